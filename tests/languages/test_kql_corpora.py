"""The check against Microsoft's own verdicts on published hunting queries.

The verdicts are in the corpus. With Node there is also the analyser itself, on mutations of those queries:

    npm install --prefix /tmp/kusto @kusto/language-service-next@12.4.1
    export TRACEHOUND_KUSTO=/tmp/kusto/node_modules/@kusto/language-service-next
"""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from tracehound.evals.bench.languages_kusto import analyse, missing
from tracehound.tools.languages import kql
from tracehound.tools.languages.query import Check

SYNTAX_FLOOR = 0.995
SCHEMA_FLOOR = 0.985
SAMPLE = 400
MUTATED_FLOOR = 0.98


class Corpus:
    """Published queries, and the tables and functions that they are checked against."""

    def __init__(self, folder: Path) -> None:
        self.tables = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
        self.declared = json.loads((folder / "functions.json").read_text(encoding="utf-8"))
        self.schema = kql.load_schema(json.dumps(self.tables))
        self.functions = kql.load_functions(json.dumps(self.declared))
        lines = (folder / "hunting-queries.jsonl").read_text(encoding="utf-8").splitlines()
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def check(self, text: str) -> Check:
        return kql.check(text, schema=self.schema, functions=self.functions)

    def judged(self) -> list[tuple[dict[str, Any], Check]]:
        return [(row, self.check(row["query"])) for row in self.rows]


@pytest.fixture(scope="module")
def corpus(corpora: Path) -> Corpus:
    return Corpus(corpora / "kql")


def well_formed(verdict: Check) -> bool:
    return not any(item.code in ("syntax", "too_complex") for item in verdict.diagnostics)


def test_agreement_with_microsoft(corpus: Corpus) -> None:
    rows = corpus.judged()
    syntax = sum(well_formed(verdict) == row["syntax_ok"] for row, verdict in rows) / len(rows)
    schema = sum(verdict.ok == row["schema_ok"] for row, verdict in rows) / len(rows)
    print(f"{len(rows)} queries: syntax {syntax:.4f}, schema {schema:.4f}")
    assert syntax >= SYNTAX_FLOOR
    assert schema >= SCHEMA_FLOOR


def test_few_published_queries_are_refused_for_other_than_listed_reasons(corpus: Corpus) -> None:
    """Listed are externaldata, and a time that is not bounded."""
    refused = [
        row["id"]
        for row, verdict in corpus.judged()
        if well_formed(verdict)
        and any(item.code == "not_read_only" and "externaldata" not in item.message for item in verdict.diagnostics)
    ]
    assert len(refused) <= len(corpus.rows) / 100


@pytest.mark.parametrize("name", ["kql/schema.json", "nl2kql/Defender_Schema.json"])
def test_expert_queries_are_right(corpora: Path, name: str) -> None:
    schema = kql.load_schema((corpora / name).read_text(encoding="utf-8"))
    lines = (corpora / "nl2kql" / "Defender_Evaluation.jsonl").read_text(encoding="utf-8").splitlines()
    wrong = [line for line in lines if not kql.check(json.loads(line)["baseline"], schema=schema).ok]
    assert len(lines) == 230
    assert len(wrong) <= (2 if name.startswith("kql") else 0)


def test_a_misspelt_column_is_found(corpus: Corpus) -> None:
    """Agreement counts for little if everything is called right: break one column in each right query."""
    broken = found = 0
    for row, verdict in corpus.judged():
        if not verdict.ok or not verdict.fields:
            continue
        name = max(verdict.fields, key=len)
        text = str(row["query"])
        if text.count(name) != 1 or len(name) < 6:
            continue
        broken += 1
        found += not kql.check(text.replace(name, name[:-2] + "xq")).ok
    assert broken > 100
    assert found / broken >= 0.93


WORD = re.compile(
    r"//[^\n]*|@?\"(?:[^\"\\\n]|\\.)*\"|@?'(?:[^'\\\n]|\\.)*'|[A-Za-z_][\w-]*|\d[\w.]*|\s+|[=!<>]=|=~|.", re.DOTALL
)
_INSTEAD = """
| , ) ( == =~ has in~ by and not 5 'a' 1d now() dynamic([]) count() tostring( max( iff( Timestamp DeviceName
"""
INSTEAD = _INSTEAD.split()


def mutated(text: str, chance: random.Random) -> str:
    """One word taken out, put twice or replaced; or one stage left out."""
    if chance.random() < 0.3:
        lines = text.split("\n")
        stages = [number for number, line in enumerate(lines) if line.lstrip().startswith("|")]
        if stages:
            del lines[chance.choice(stages)]
        return "\n".join(lines)
    words = WORD.findall(text)
    at = chance.choice([number for number, word in enumerate(words) if not word.isspace()])
    words[at] = chance.choice(("", f"{words[at]} {words[at]}", chance.choice(INSTEAD)))
    return "".join(words)


@pytest.mark.skipif(missing() is not None, reason=f"Microsoft's analyser is not asked: {missing()}")
def test_agreement_with_the_analyser_itself(corpus: Corpus) -> None:
    """On queries nobody has judged before: published ones with one slip each."""
    chance = random.Random(20261124)
    texts = [mutated(row["query"], chance) for row in chance.sample(corpus.rows, SAMPLE)]
    theirs = analyse(texts, corpus.tables, corpus.declared)
    ours = [corpus.check(text) for text in texts]
    pairs = [(mine, other) for mine, other in zip(ours, theirs, strict=True) if other.schema_ok is not None]
    syntax = sum(well_formed(mine) == other.syntax_ok for mine, other in pairs) / len(pairs)
    schema = sum(mine.ok == other.schema_ok for mine, other in pairs) / len(pairs)
    right = sum(bool(other.schema_ok) for _, other in pairs)
    print(f"{len(pairs)} mutated queries, {right} of them right: syntax {syntax:.4f}, schema {schema:.4f}")
    assert right > SAMPLE / 10
    assert syntax >= MUTATED_FLOOR
    assert schema >= MUTATED_FLOOR
