"""The generator of false reports: seeded, false, independent of what judges them; and that the judge sees them."""

import ast
from pathlib import Path
from typing import Any

import pytest

from tracehound.evals.bench.mutations import holds, measure
from tracehound.evals.makers import mutations, obfuscation, prose
from tracehound.evals.makers.mutations import falsehoods, sample

WINDOW = {"start": "2026-03-02T00:00:00.000Z", "end": "2026-03-03T00:00:00.000Z", "phrase": ""}


def row(number: int, second: int, **fields: Any) -> dict[str, Any]:
    flat = {"activity": "Logon", "status": "Success", "logon_type": "Network", **fields}
    digest = f"{number:012x}{number:052x}"
    return {
        "id": f"E-{digest[:12]}", "alias": f"E{number}", "query": "Q1", "platform": "falcon", "collection": "events",
        "time": f"2026-03-02T10:00:{second:02}.000Z", "host": flat["device.hostname"], "user": flat["user.name"],
        "class": "authentication", "fields": flat, "raw": {}, "sha256": digest,
    }  # fmt: skip


def report() -> dict[str, Any]:
    rows = [
        row(1, 0, **{"device.hostname": "PC-7", "user.name": "ann.lee", "src_endpoint.ip": "10.4.0.7"}),
        row(2, 40, **{"device.hostname": "SRV-2", "user.name": "svc-copy", "src_endpoint.ip": "10.4.0.9"}),
    ]
    claims, timeline = [], []
    for number, item in enumerate(rows, 1):
        flat = item["fields"]
        text = f"{flat['user.name']} logged on to {item['host']} from {flat['src_endpoint.ip']} (Network)"
        claims.append(
            {
                "id": f"C{number}", "kind": "observation", "subject": flat["user.name"], "predicate": "logged on",
                "object": item["host"], "evidence": [item["id"]], "queries": ["Q1"], "text": text, "time": item["time"],
                "techniques": [], "verified": True, "why_not": None,
            }
        )  # fmt: skip
        timeline.append(
            {
                "time": item["time"], "text": text, "evidence": [item["id"]], "techniques": [], "hosts": [item["host"]],
                "platforms": ["falcon"], "claim": f"C{number}",
            }
        )  # fmt: skip
    query = {
        "id": "Q1", "platform": "falcon", "language": "cql", "collection": "events", "text": "x", "check": {"ok": True},
        "status": "ok", "rows": 2, "complete": True, "window": WINDOW,
    }  # fmt: skip
    return {
        "schema": "tracehound.answer/1", "case": "c-1", "question": "who logged on to PC-7 and SRV-2?", "model": "offline",
        "estate": "lab", "window": WINDOW, "route": "search", "queries": [query], "evidence": rows, "claims": claims,
        "timeline": timeline,
    }  # fmt: skip


def test_the_true_report_holds() -> None:
    assert holds(report())


def test_every_falsehood_is_seen() -> None:
    tally = measure([[report()]], most=50, seed=1)
    assert tally.alarms == []
    assert {"host", "user", "address", "time", "order", "direction", "outcome", "absence", "citation dropped",
            "citation swapped", "platform", "technique"} <= set(tally.said)  # fmt: skip
    assert {kind: places for kind, places in tally.missed.items() if places} == {}


def test_the_same_seed_gives_the_same_falsehoods() -> None:
    def made(seed: int) -> list[str]:
        return [f"{item.kind} {item.says}" for item in sample(falsehoods(report(), seed), 3, seed)]

    assert made(1) == made(1)
    assert made(1) != made(2)


@pytest.mark.parametrize("module", [mutations, obfuscation, prose])
def test_what_makes_falsehoods_knows_nothing_of_the_judge(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    own = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    assert own == []


def test_the_sentences_in_prose_are_enough_and_each_is_its_own() -> None:
    found = prose.sentences()
    assert sum(not item.true for item in found) >= 200
    assert sum(item.true for item in found) >= 60
    assert len({item.id for item in found}) == len({item.text for item in found}) == len(found)
