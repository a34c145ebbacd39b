"""The check against Microsoft's own verdicts on published hunting queries."""

import json
import time
from pathlib import Path

import pytest

from tracehound.tools.languages import kql
from tracehound.tools.languages.query import Check

SYNTAX_FLOOR = 0.995
SCHEMA_FLOOR = 0.985
MEDIAN_MS, P95_MS = 3, 25


def judged(corpora: Path) -> list[tuple[dict[str, object], Check, float]]:
    folder = corpora / "kql"
    schema = kql.load_schema((folder / "schema.json").read_text(encoding="utf-8"))
    functions = kql.load_functions((folder / "functions.json").read_text(encoding="utf-8"))
    found = []
    for line in (folder / "hunting-queries.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        start = time.perf_counter()
        verdict = kql.check(row["query"], schema=schema, functions=functions)
        found.append((row, verdict, (time.perf_counter() - start) * 1_000))
    return found


def well_formed(verdict: Check) -> bool:
    return not any(item.code in ("syntax", "too_complex") for item in verdict.diagnostics)


def test_agreement_with_microsoft(corpora: Path) -> None:
    rows = judged(corpora)
    syntax = sum(well_formed(verdict) == row["syntax_ok"] for row, verdict, _ in rows) / len(rows)
    schema = sum(verdict.ok == row["schema_ok"] for row, verdict, _ in rows) / len(rows)
    times = sorted(elapsed for _, _, elapsed in rows)
    median, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
    print(f"{len(rows)} queries: syntax {syntax:.4f}, schema {schema:.4f}, median {median:.2f} ms, p95 {p95:.2f} ms")
    assert syntax >= SYNTAX_FLOOR
    assert schema >= SCHEMA_FLOOR
    assert median <= MEDIAN_MS
    assert p95 <= P95_MS


def test_few_published_queries_are_refused_for_other_than_listed_reasons(corpora: Path) -> None:
    refused = [(row, verdict) for row, verdict, _ in judged(corpora) if well_formed(verdict) and not verdict.read_only]
    listed = ("externaldata", "cluster(", "database(", "workspace(", "adx(", "arg(", "evaluate", "set ")
    for row, _ in refused:
        assert any(word in str(row["query"]) for word in listed), row["id"]
    unlisted = [row for row, verdict in refused if "externaldata" not in str(row["query"]) and verdict.ok]
    assert len(unlisted) <= 9


@pytest.mark.parametrize("name", ["kql/schema.json", "nl2kql/Defender_Schema.json"])
def test_expert_queries_are_right(corpora: Path, name: str) -> None:
    schema = kql.load_schema((corpora / name).read_text(encoding="utf-8"))
    lines = (corpora / "nl2kql" / "Defender_Evaluation.jsonl").read_text(encoding="utf-8").splitlines()
    wrong = [line for line in lines if not kql.check(json.loads(line)["baseline"], schema=schema).ok]
    assert len(lines) == 230
    assert len(wrong) <= (2 if name.startswith("kql") else 0)


def test_a_misspelt_column_is_found(corpora: Path) -> None:
    """Agreement counts for little if everything is called right: break one column in each right query."""
    broken = found = 0
    for row, verdict, _ in judged(corpora):
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
