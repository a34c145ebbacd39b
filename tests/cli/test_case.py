"""A case from question to hand-over, as an analyst and an auditor use it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracehound.agent.replay import drift
from tracehound.tools.evidence.case import Case, StoredRun

Run = Callable[..., Any]
QUESTION = "which alerts were raised on WS-042 in the last day?"


@pytest.fixture
def asked(run: Run, kestrel: Path) -> str:
    """A case with one answer from the lab."""
    result = run("ask", QUESTION, "--lab", str(kestrel), "--json")
    assert result.code == 0, result.err
    return str(json.loads(result.out)["case"])


def test_a_case_is_exported_verified_replayed_and_handed_over(run: Run, asked: str, tmp_path: Path) -> None:
    for name in ("md", "json", "html", "timesketch", "iris", "navigator", "stix", "jsonl", "parquet"):
        place = tmp_path / f"case.{name}"
        result = run("case", "export", asked, "--format", name, "-o", str(place))
        assert (result.code, result.out) == (0, ""), name
        assert place.stat().st_size > 100, name
        assert run("case", "export", asked, "--format", name).code == (2 if name == "parquet" else 0)
    assert run("case", "export", asked, "--format", "docx").code == 2
    assert run("case", "verify", asked).code == 0
    file = tmp_path / "case.json"
    assert run("case", "verify", str(file)).code == 0
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"summary": content["summary"] + " and nothing else"}))
    changed = run("case", "verify", str(file))
    assert (changed.code, "changed after it was signed" in changed.out) == (5, True)

    first = run("case", "replay", asked, "--json")
    again = run("case", "replay", asked, "--json")
    assert (first.code, again.code) == (0, 0)
    assert {view["state"] for view in json.loads(first.out)} == {"first"}
    assert {view["state"] for view in json.loads(again.out)} == {"same"}
    assert "none differs" in again.err

    handed = run("case", "handoff", asked)
    assert handed.code == 0
    assert QUESTION.rstrip("?") in handed.out
    assert "The case is whole." in handed.out


def test_a_case_reasons_again_over_its_own_rows(run: Run, asked: str, home: Path) -> None:
    with Case.open(home, asked, write=False) as case:
        before = case.verify(), len(case.queries())
    result = run("case", "replay", asked, "--model", "offline", "--json")
    assert result.code == 0, result.err
    (turn,) = json.loads(result.out)
    assert turn["kept"]
    assert (turn["gone"], turn["new"], turn["not_asked"]) == ([], [], [])
    with Case.open(home, asked, write=False) as case:
        assert (case.verify(), len(case.queries())) == before


def test_a_case_is_asked_again_of_the_lab(run: Run, asked: str) -> None:
    result = run("case", "replay", asked, "--live", "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert sum(item["same"] for item in found) > 0
    assert [item for item in found if item["gone"] or item["new"] or item["changed"] or item["problem"]] == []
    assert run("case", "replay", asked, "--live", "--model", "offline").code == 2


def test_drift_tells_gone_new_and_changed_rows_apart(home: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": number, "host": "a", "user": "u", "status": "new"} for number in range(4)]
    now: list[dict[str, Any]] = [rows[0], rows[1] | {"status": "closed"}, {"something": "else"}]
    from tracehound.tools.evidence.records import CheckRecord, QueryRecord, WindowRecord

    window = WindowRecord.model_validate({"start": "2026-11-01T00:00:00Z", "end": "2026-11-02T00:00:00Z"})
    record = QueryRecord(id="Q1", platform="falcon", language="fql", collection="alerts", text="x",
                         check=CheckRecord(ok=True), status="ok", window=window)  # fmt: skip
    found = drift(StoredRun(record, None, tuple(rows)), now)
    assert (found.same, len(found.gone), found.new, len(found.changed)) == (1, 2, 1, 1)


def test_a_case_that_was_tampered_with_is_not_replayed(run: Run, asked: str, home: Path) -> None:
    (home / "cases" / asked / "added.txt").write_text("x")
    for command in ("verify", "replay", "handoff"):
        result = run("case", command, asked)
        assert result.code == 5, command
        assert "added.txt" in result.out.replace("\\", "")
    assert run("case", "verify", "c-20260101-000000-000abcdef").code == 1
