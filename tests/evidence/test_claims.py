import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tracehound.knowledge.errors import ContentError
from tracehound.tools.evidence import claims, predicates
from tracehound.tools.evidence.case import Case
from tracehound.tools.evidence.merge import merge
from tracehound.tools.evidence.predicates import Values, parse_template, pattern, render
from tracehound.tools.evidence.records import Evidence, Gap, QueryRecord, WindowRecord
from tracehound.tools.evidence.verify import verify
from tracehound.tools.languages.views import all_views
from tracehound.tools.languages.vocabulary import ACTIVITIES, EventClass

Make = Callable[..., Any]
ROWS: dict[str, Any] = json.loads(Path(__file__).with_name("vendor_rows.json").read_text(encoding="utf-8"))
VIEWS = {view.id: view for view in all_views()}


@dataclass(frozen=True)
class Label:
    says: str
    techniques: tuple[str, ...]


@pytest.fixture
def kept(home: Path, run: Make, query: Make) -> Callable[..., tuple[list[Any], list[Evidence], list[QueryRecord]]]:
    """Keeps rows of a view in a case; gives events, evidence, queries."""

    def make(view_id: str, rows: Sequence[dict[str, Any]]) -> tuple[list[Any], list[Evidence], list[QueryRecord]]:
        view = VIEWS[view_id]
        with Case.create(home) as case:
            case.add_run(run(rows, query(view.platform, view.collection, view.event_class, compiled=True)))
            return case.events(), case.all_evidence(), case.queries()

    return make


@pytest.mark.parametrize("view_id", ROWS)
def test_what_is_said_of_a_row_is_found_true(view_id: str, kept: Make) -> None:
    events, evidence, queries = kept(view_id, [ROWS[view_id]["row"]])
    (group,) = merge(events)
    claim = claims.claim_for(group, Label("Something odd", ("T1059.001",)), queries=["Q1"])
    (checked,), counts = verify([claim], evidence, queries, phrases={"Something odd"})
    assert checked.why_not is None, claim.text
    assert counts.verified == 1
    assert claim.text.startswith("Something odd: ")
    assert claim.predicate != "recorded"
    assert claim.subject
    assert claim.object


@pytest.mark.parametrize(
    "view_id", ["falcon.process", "sentinel.alert", "defender.file", "sentinel.email", "falcon.dns"]
)
@pytest.mark.parametrize(
    "value",
    [
        "plain", "`; rm -rf `", "``x``", " `", "a\ud800b", "\u202eexe.gpj", "x" * 50_000, "[E1]", "] [x](http://evil) [",
        "{host}", "|", "\n- forged line", "\x1b[2J", "(?P<a>", "C:\\a\\b", "a: b: c", "=1+1", "", " ", "\x00",
        "no logon in falcon", "powershell.exe started cmd.exe on PC-1 as admin: ``",
    ],
)  # fmt: skip
def test_hostile_values_are_said_safely_and_found_true(view_id: str, value: str, kept: Make) -> None:
    row = dict(ROWS[view_id]["row"])
    for key in ("CommandLine", "FileName", "DisplayName", "FolderPath", "Subject", "DomainName", "SenderFromAddress"):
        if key in row:
            row[key] = value
    events, evidence, queries = kept(view_id, [row])
    claim = claims.claim_for(events)
    (checked,), _ = verify([claim], evidence, queries)
    assert checked.why_not is None, claim.text
    assert len(claim.text) < 1_500
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or char == "\u202e" for char in claim.text)
    claim.text.encode()


def test_several_sensors_and_a_burst_are_said_once(kept: Make) -> None:
    row = ROWS["falcon.network_outbound"]["row"]
    start = int(row["@timestamp"])
    rows = [row | {"@timestamp": str(start + 60_000 * step), "@id": f"k{step}"} for step in range(12)]
    events, evidence, queries = kept("falcon.network_outbound", rows)
    (group,) = merge(events)
    claim = claims.claim_for(group)
    assert "(12 times between 2026-11-01 10:00:00Z and 2026-11-01 10:11:00Z)" in claim.text
    assert len(claim.evidence) == 12
    assert verify([claim], evidence, queries)[1].verified == 1


def test_an_alert_nobody_judged_is_not_said_to_be_judged(kept: Make) -> None:
    judged = ROWS["falcon.alerts"]["row"]
    open_alert = {key: value for key, value in judged.items() if key != "resolution"} | {"composite_id": "cid:ind:2"}
    events, evidence, queries = kept("falcon.alerts", [judged, open_alert])
    found = [claims.claim_for(group) for group in merge(events)]
    assert sorted("verdict given" in claim.text for claim in found) == [False, True]
    assert verify(found, evidence, queries)[1].verified == 2


def test_every_activity_of_the_vocabulary_has_a_predicate() -> None:
    covered: dict[EventClass, set[str]] = {}
    for item in predicates.predicates():
        if item.event_class:
            covered.setdefault(item.event_class, set()).update(item.when.get("activity", {"*"}))
    for event_class, activities in ACTIVITIES.items():
        missing = {activity for activity in activities if activity.lower() not in covered[event_class]}
        assert "*" in covered[event_class] or not missing, (event_class, missing)
    assert set(covered) == set(EventClass)


def test_absences_gaps_and_orders(kept: Make, window: Any) -> None:
    events, evidence, queries = kept("falcon.process", [ROWS["falcon.process"]["row"]])
    span = WindowRecord(start=window.start, end=window.end)
    empty = queries[0].model_copy(update={"id": "Q2", "rows": 0, "kept": 0, "total": 0})
    nothing = claims.absence("C1", "web shell", [empty], span)
    assert nothing.text == "no web shell in falcon between 2026-11-01 00:00:00Z and 2026-11-02 00:00:00Z"
    wrong = claims.absence("C2", "web shell", queries, span)
    gap = claims.gap("C3", Gap(kind="capped", text="Q1 is capped", queries=("Q1",)))
    checked, _ = verify([nothing, wrong, gap], evidence, [*queries, empty], window=span)
    assert [claim.verified for claim in checked] == [True, False, True]
    (first,) = merge(events)
    later = merge(
        [event.__class__(**{**_parts(event), "time": event.time + timedelta(minutes=5)}) for event in events]
    )[0]
    assert "came before" in claims.order("C4", first, later, skew=timedelta(seconds=3)).text
    assert "order not established" in claims.order("C5", first, later, skew=timedelta(minutes=6)).text


def _parts(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__dataclass_fields__}


def test_citations_use_aliases() -> None:
    ids = [f"E-{n}" for n in range(7)]
    assert claims.cited("x", ids[:2], {"E-0": "E1"}) == "x [E1] [E-1]"
    assert claims.cited("x", ids, {}).endswith("[E-3] [+3]")


@pytest.mark.parametrize("text", ["[", "]", "a [b", "{", "`x`", "a ] b [", "{a} } b"])
def test_broken_templates_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"template|without"):
        parse_template(text)


def test_a_template_reads_back_what_it_writes(kept: Make) -> None:
    events, _, _ = kept("falcon.process", [ROWS["falcon.process"]["row"]])
    values = Values(events)
    template = parse_template("{actor.process.name|host} did[ to `{process.cmd_line}`][ with {file.name}]")
    assert render(template, values) == "cmd.exe did to `whoami`"
    import re

    accepts = re.compile(pattern(template, values)).fullmatch
    assert accepts("cmd.exe did to `whoami`")
    assert accepts("cmd.exe did")
    assert not accepts("PC-9 did to `whoami`")
    assert not accepts("cmd.exe did to whoami")
    assert render(parse_template("{file.name}"), values) is None


def test_content_errors_name_the_predicate(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"dns_activity": [{"predicate": "x", "subject": "{host}", "object": "{host}", "text": "{no.such}"}]}
    predicates.predicates.cache_clear()
    monkeypatch.setattr(predicates, "parsed", lambda text: broken)
    with pytest.raises(ContentError, match=r"dns_activity, x: no attribute no\.such"):
        predicates.predicates()
    monkeypatch.undo()
    predicates.predicates.cache_clear()
