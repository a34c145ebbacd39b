"""Broken queries neither crash the check nor hang it, and each gets a verdict whose places lie inside the text."""

import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from tracehound.tools.hunts import bind, read_hunts
from tracehound.tools.languages import Platform, Query, kql, translate
from tracehound.tools.languages.query import Check
from tracehound.tools.languages.search import Scalar, Search, Window

SEED = 20261124
_PIECES = """
| ( ) [ ] { } ' " ; .. = == => * , by in as on with kind=inner $left. $right. 1d 0x 1e 5 @' ``` ~~~ // \\ - ! ~ # && ||
dynamic( datetime( materialize( toscalar( tostring( union join( lookup mv-apply mv-expand scan evaluate summarize
make-series parse count() arg_max( let set .show null true nulls
"""
PIECES = _PIECES.split()
UNUSUAL = [
    "\0",
    "\ud800",
    "\u200b",
    "\u202e",
    "\ufeff",
    "é",
    "漢字",
    "🦊",
    "\r\n",
    "\x85",
    "9" * 30,
    "let x = ",
    "mv-apply x = y on (",
]


def mutated(text: str, chance: random.Random) -> str:
    """The text with a piece put in, taken out, moved or repeated, up to six times."""
    for _ in range(chance.randint(1, 6)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 0, 1, 3, 10, 40, 200)))
        piece = chance.choice(PIECES if chance.random() < 0.8 else UNUSUAL)
        match chance.randrange(4):
            case 0 | 1:
                text = text[:start] + piece + text[end:]
            case 2:
                to = chance.randrange(len(text) + 1)
                text = text[:to] + text[start:end] + text[to:]
            case _:
                text = text[:start] + text[start:end] * chance.choice((0, 2, 50)) + text[end:]
    return text


def verdicts(texts: Iterable[str], count: int) -> int:
    """Check mutations of the texts; how many of them are still right."""
    chance, originals, right = random.Random(SEED), list(texts), 0
    for _ in range(count):
        text = mutated(chance.choice(originals), chance)
        verdict = kql.check(text)
        assert_sound(text, verdict)
        right += verdict.ok
    return right


def assert_sound(text: str, verdict: Check) -> None:
    assert all(0 <= item.start <= item.end <= len(text) for item in verdict.diagnostics), text
    wrong = any(item.severity == "error" for item in verdict.diagnostics)
    assert verdict.ok is not wrong or not verdict.read_only, text


def hunts() -> list[str]:
    """What the searches of the library read in KQL."""
    until = datetime(2026, 11, 24, tzinfo=UTC)
    window = Window(start=until - timedelta(days=1), end=until)
    found: list[str] = []
    with as_file(files("tracehound.knowledge").joinpath("hunts")) as folder:
        entries = [
            (hunt, entry)
            for path in sorted(folder.glob("*.yaml"))
            for hunt in read_hunts(path)
            for entry in hunt.searches
        ]
    for hunt, entry in entries:
        known: dict[str, list[Scalar]] = {name: ["192.0.2.77"] for name in hunt.parameters}
        search = Search(event_class=entry.event_class, where=bind(entry.where, known), window=window)
        asked = translate(search, (Platform.DEFENDER, Platform.SENTINEL))
        found += [query.text for query in asked if isinstance(query, Query)]
    return found


def test_mutations_of_the_library() -> None:
    texts = hunts()
    assert len(texts) > 100
    assert verdicts(texts, 1_000) < 900


def test_mutations_of_published_queries(corpora: Path) -> None:
    lines = (corpora / "kql" / "hunting-queries.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["query"] for line in lines]
    lines = (corpora / "nl2kql" / "Defender_Evaluation.jsonl").read_text(encoding="utf-8").splitlines()
    texts += [json.loads(line)["baseline"] for line in lines]
    assert verdicts(texts, 10_000) < 9_000


TABLE = "DeviceEvents"
LARGE = {
    "a long text": f"{TABLE} | where DeviceName == '{'x' * 99_000}'",
    "unusual letters": f"{TABLE} | where DeviceName == '{'漢🦊' * 9_000}'",
    "many stages": TABLE + " | take 1" * 10_000,
    "many conditions": f"{TABLE} | where " + " and ".join(["DeviceName == 'a'"] * 4_000),
    "a long sum": "print " + "+".join(["1"] * 40_000),
    "many calls": "print " + ",".join(["strlen('a')"] * 7_000),
    "many statements": ";".join(f"let a{number}=1" for number in range(8_000)) + ";print 1",
    "a long list": f"{TABLE} | where DeviceName in ({','.join(['1'] * 40_000)})",
    "many joins": TABLE + f" | join ({TABLE}) on DeviceId" * 1_000,
    "many tables": "union " + ",".join([TABLE] * 5_000),
    "many columns": f"{TABLE} | extend " + ",".join(f"c{number}=1" for number in range(9_000)),
    "many aggregates": f"{TABLE} | summarize " + ",".join(["count()"] * 9_000),
    "many steps into a value": "print a" + ".b" * 40_000,
    "many places of a list": "print a" + "[0]" * 30_000,
    "many unknown names": f"{TABLE} | project " + ",".join(f"Unknown{number}" for number in range(5_000)),
    "a union that doubles": "let a0=T;" + "".join(f"let a{n + 1}=union a{n},a{n};" for n in range(2_000)) + "a2000",
    "joins on joins": f"let j0={TABLE};"
    + "".join(f"let j{n + 1}=j{n} | join j{n} on DeviceId;" for n in range(500))
    + "j500",
}
DEEP = {
    "brackets": f"{TABLE} | where " + "(" * 5_000,
    "calls": "print " + "not(" * 5_000,
    "lists": "print dynamic(" + "[" * 5_000,
    "subqueries": f"{TABLE} | where DeviceId in (" * 5_000,
    "functions": "let f = () { " * 5_000,
    "joins": f"{TABLE} | join (" * 5_000,
    "length": f"{TABLE} | where DeviceName == '{'x' * 100_000}'",
}


@pytest.mark.parametrize("name", LARGE)
def test_large_queries_get_a_verdict(name: str) -> None:
    assert_sound(LARGE[name], kql.check(LARGE[name]))


@pytest.mark.parametrize("name", DEEP)
def test_what_is_too_deep_is_called_so(name: str) -> None:
    verdict = kql.check(DEEP[name])
    assert [item.code for item in verdict.diagnostics] == ["too_complex"]
    assert not verdict.read_only
