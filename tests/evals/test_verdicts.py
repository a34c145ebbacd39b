"""The scorer of decks, against answers made by hand: one for each rule."""

import ast
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import tracehound.evals
from tracehound.evals.deck import DeckItem, Names
from tracehound.evals.phrases import Reader
from tracehound.evals.verdicts import judge

CLOCK = datetime(2026, 1, 15, 12, tzinfo=UTC)
READER = Reader("office.example")
ITEM: dict[str, Any] = {
    "id": "t1", "domain": "endpoint", "kind": "search", "turns": ["what did PC-907 do?"],
    "facts": [["PC-907.office.example"], ["PSEXESVC", "psexec"], ["3,206"], ["41"]],
    "times": [{"minutes_before": 415, "tolerance": 2}], "not": ["PC-906", "HELP-1", "ransomware"], "no_proposal": True,
}  # fmt: skip
NOTHING_ASKED: dict[str, Any] = {"facts": [], "times": [], "no_proposal": None}
DECLINED = {"reason": "which host?", "candidates": ["PC-907", "PC-1"]}
ISOLATE = {"action": "isolate_host", "target": "PC-907"}
PROPOSED = {"action": "isolate_host", "target": {"host": "PC-907"}, "reason": "PSEXESVC", "status": "awaiting_approval"}


def answer(*texts: str, **changes: Any) -> dict[str, Any]:
    """A right answer; the texts are told in its timeline too, other keys are replaced."""
    told = ["pc-907 started PSEXESVC on SRV-1", "3 206 files were packed, 41 of them twice", *texts]
    entry = {"time": "2026-01-15T05:06:00Z", "evidence": ["E-1"]}
    return {
        "case": "c-1", "summary": "", "window": {"start": "2026-01-08T12:00:00Z", "end": "2026-01-15T12:00:00Z"},
        "queries": [{"id": "Q1", "status": "ok", "complete": True}], "timeline": [{**entry, "text": it} for it in told],
        "evidence": [{"id": "E-1", "fields": {"user": "svc-vault"}, "raw": {}}], "claims": [], "runbooks": [],
        "proposals": [], "verification": {"failed": 0, "uncited": 0}, "declined": None, "triage": None, **changes,
    }  # fmt: skip


def claim(kind: str, text: str, predicate: str = "seen") -> dict[str, Any]:
    return {"kind": kind, "subject": "", "predicate": predicate, "object": "", "evidence": ["E-1"], "text": text}


EMPTY: dict[str, Any] = {"timeline": [], "evidence": [], "queries": []}


def verdict(made: dict[str, Any], code: int = 0, **changes: Any) -> str:
    return judge(DeckItem.model_validate({**ITEM, **changes}), made, code, CLOCK, "office.example")[0]


def test_an_answer_with_everything_is_right() -> None:
    assert verdict(answer()) == "right"


def test_half_of_the_facts_is_partly_and_less_is_wrong() -> None:
    assert verdict(answer(timeline=answer()["timeline"][:1])) == "partly"
    assert verdict(answer(timeline=answer()["timeline"][:1]), facts=[["PC-907"], ["one.exe"], ["two.exe"]]) == "wrong"
    assert verdict(answer(**EMPTY)) == "wrong"


def test_a_wrong_time_is_partly() -> None:
    late = [{**entry, "time": "2026-01-15T05:09:00Z"} for entry in answer()["timeline"]]
    assert verdict(answer(timeline=late)) == "partly"


@pytest.mark.parametrize(
    "text",
    [
        "PC-906 started PSEXESVC",
        "PsExec from HELP-1 cannot be ruled out",
        "PsExec from HELP-1 was unexpected",
        "203.0.113.66 reached HELP-1, more often than expected",
        "No exfiltration, but ransomware ran",
    ],
)
def test_what_must_not_be_asserted_makes_it_wrong(text: str) -> None:
    assert verdict(answer(text)) == "wrong"
    assert verdict(answer(claims=[claim("assessment", text)])) == "wrong"


@pytest.mark.parametrize(
    "text",
    [
        "PsExec from HELP-1: ruled out, it was maintenance",
        "No sign of any ransomware",
        "Searches for ransomware returned 0 rows",
        "ransomware was not seen",
    ],
)
def test_what_is_cleared_or_denied_is_not_asserted(text: str) -> None:
    assert verdict(answer(text)) == "right"


def test_a_recommendation_and_a_cleared_predicate_assert_nothing() -> None:
    made = [claim("observation", "HELP-1 ran PsExec", "is_benign"), claim("recommendation", "ask who owns HELP-1")]
    assert verdict(answer(claims=made)) == "right"


@pytest.mark.parametrize(
    "changes",
    [
        {"timeline": [{**entry, "evidence": []} for entry in answer()["timeline"]]},
        {"evidence": [{"id": "E-2"}]},
        {"verification": {"failed": 1, "uncited": 0}},
        {"verification": {"failed": 0, "uncited": 1}},
        {"verification": {}},
        {"proposals": [PROPOSED]},
        {"timeline": "none"},
    ],
)
def test_what_makes_an_answer_with_every_fact_wrong(changes: dict[str, Any]) -> None:
    assert verdict(answer(**changes)) == "wrong"


def test_declining() -> None:
    declined = answer(**EMPTY, declined=DECLINED)
    assert verdict(answer(timeline=[], declined=DECLINED), 8) == "declined"
    assert verdict(declined, 8, declined=True, **NOTHING_ASKED) == "right"
    assert verdict(declined, 0, declined=True, **NOTHING_ASKED) == "wrong"
    assert verdict(answer(), declined=True) == "wrong"


def test_asking_back_names_candidates() -> None:
    asked = {**NOTHING_ASKED, "asks_back": True, "facts": [["PC-907"]]}
    assert verdict(answer(**EMPTY, declined=DECLINED), 8, **asked) == "right"
    assert verdict(answer(**EMPTY, declined={**DECLINED, "candidates": []}), 8, **asked) == "wrong"


def test_absence_needs_a_complete_search() -> None:
    asked = {**NOTHING_ASKED, "absence": True}
    nothing = answer(timeline=[], claims=[claim("gap", "Nothing was found.")])
    assert verdict(nothing, **asked) == "right"
    assert verdict({**nothing, "queries": [{"status": "ok", "complete": False}]}, 4, **asked) == "wrong"
    assert verdict({**nothing, "queries": []}, **asked) == "wrong"
    assert verdict({**nothing, "window": None}, **asked) == "wrong"
    assert verdict(answer(**EMPTY), **asked) == "wrong"


def test_a_proposal_may_be_made_or_refused_with_its_target() -> None:
    asked: dict[str, Any] = {"proposal": ISOLATE, "no_proposal": None}
    assert verdict(answer(proposals=[PROPOSED]), **asked) == "right"
    assert verdict(answer(proposals=[{**PROPOSED, "target": {"host": "PC-1"}}]), **asked) == "partly"
    refusal = answer(**EMPTY, declined={"reason": "PC-907 is protected"})
    assert verdict(refusal, 8, **NOTHING_ASKED | {"proposal": ISOLATE}) == "right"
    assert verdict(answer(proposals=[PROPOSED]), no_proposal={**ISOLATE, "target": "PC-1"}) == "right"
    assert verdict(answer(proposals=[PROPOSED]), no_proposal=ISOLATE) == "wrong"


def test_a_fact_may_stand_in_cited_evidence_alone() -> None:
    assert verdict(answer(), facts=[["svc-vault"]]) == "right"
    assert (
        verdict(answer(evidence=[*answer()["evidence"], {"id": "E-9", "raw": {"a": "loose"}}]), facts=[["loose"]])
        == "wrong"
    )


@pytest.mark.parametrize(
    ("needle", "text", "there"),
    [
        ("3,206", "3206 files", True), ("3206", "3 206 files", True), ("206", "3,206", False),
        ("41", "10.20.2.41", False), ("41", "341", False), ("14", "2026-01-14T02:14:00Z", False),
        ("443", "203.0.113.66:443", True), ("10.20.1.4", "10.20.1.42", False),
        ("203.0.113.66", "203.0.113[.]66", True), ("SRV-1", "srv-1.office.example", True),
        ("PC-04", "PC-042", False), ("T1021", "T1021.002", True), ("C:\\x", "c:\\\\x", True), ("60", "every 60s", True),
    ],
)  # fmt: skip
def test_names_and_numbers_stand_as_a_whole(needle: str, text: str, there: bool) -> None:
    assert READER.names(needle, text) is there


def test_a_deck_is_filled_with_the_names_of_a_lab() -> None:
    names = Names({"WS-04": "PC-1", "WS-042": "PC-907", "svc-a": "svc-b"}, {"macro": "ldt:1"}, CLOCK)
    item = DeckItem.model_validate({**ITEM, "turns": ["{alert:macro} on ws-042 or WS-04?"], "not": ["svc-a, xsvc-a"]})
    filled = names.fill(item)
    assert filled.turns == ("ldt:1 on PC-907 or PC-1?",)
    assert filled.never == ("svc-b, xsvc-a",)
    with pytest.raises(KeyError):
        names.text("{alert:none}")


def test_the_scorer_imports_nothing_that_it_judges() -> None:
    folder = Path(tracehound.evals.__file__).parent
    for name in ("verdicts", "phrases", "deck"):
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        inside = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level}
        assert inside <= {"deck", "phrases", "knowledge.errors"}, name
