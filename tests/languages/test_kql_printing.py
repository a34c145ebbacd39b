"""What KQL's printer writes is read as the tree that it was given."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tracehound.knowledge.errors import NotSupportedError
from tracehound.tools.languages.kql import ast, parse, to_text


def bare(value: Any) -> Any:
    """A tree without its places in the text."""
    if isinstance(value, ast.Node):
        inside = {name: bare(getattr(value, name)) for name in type(value).__slots__}
        return replace(value, start=0, end=0, **inside)
    return tuple(map(bare, value)) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    "text",
    [
        "T | make-series n = count() default=0, avg(x) on t from ago(1d) to now() step 1h by a, b = tolower(c)",
        "T | make-series kind=nonempty count() on t in range(ago(1d), now(), 1h)",
        "T | mv-expand kind=array with_itemindex=i x = d.a to typeof(long), y limit 5",
        "T | mv-apply x = d.a to typeof(long) on (where x > 1 | top 2 by x asc nulls last | summarize sum(x))",
        'T | parse-kv s as (a: long, b: string) with (pair_delimiter=";", kv_delimiter="=")',
        'T | top-nested 3 of a with others = "rest" by count() desc, top-nested of b by s = sum(x) asc',
        "T | top-hitters 5 of a by x | sample-distinct 3 of a",
        'search kind=case_sensitive in (T, U) "x" and a == 1',
        'find withsource=place in (T, U) where a == "x" project a, b',
        "union kind=inner isfuzzy=true withsource=place T, (U | take 1)",
        "T | partition by a (top 1 by t desc)",
        'T | render timechart with (title="a b", ycolumns=n)',
        'externaldata(a: string, b: long)["https://x.example/a.csv"] with (format="csv") | take 1',
        'T | where -x < - 1 and a - (b - c) > 0 and (a or b) and not(c) and d.e[0]["f g"].h in~ ("x", "y")',
    ],
)
def test_a_text_that_is_written_is_read_as_the_same_tree(text: str) -> None:
    tree = parse(text)
    assert bare(parse(to_text(tree))) == bare(tree)


def test_published_queries_are_written_and_read_alike(corpora: Path) -> None:
    written = refused = 0
    for line in (corpora / "kql" / "hunting-queries.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if not row["syntax_ok"]:
            continue
        tree = parse(row["query"])
        try:
            text = to_text(tree)
        except NotSupportedError:
            refused += 1
            continue
        assert bare(parse(text)) == bare(tree), row["id"]
        written += 1
    assert written > 800
    assert refused <= 5
