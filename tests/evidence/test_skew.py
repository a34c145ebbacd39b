"""Clocks: offsets from twin records, what is told of them, and order within them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tracehound.tools.evidence.claims import ASSESSED
from tracehound.tools.evidence.event import Event
from tracehound.tools.evidence.gaps import find_gaps
from tracehound.tools.evidence.merge import merge
from tracehound.tools.evidence.records import Claim, Evidence
from tracehound.tools.evidence.skew import ASSUMED, allowance, offsets, telling
from tracehound.tools.evidence.verify import NOT_CHECKED, verify

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def row(number: int, platform: str, seconds: float, **fields: Any) -> Evidence:
    flat = {
        "activity": "Launch", "device.hostname": "PC-7", "process.name": "cmd.exe", "process.pid": str(100 + number),
        "process.cmd_line": f"cmd.exe /c {number}", "actor.process.name": "a.exe",
    } | fields  # fmt: skip
    digest = f"{number:032x}{platform.encode().hex():0>32}"
    return Evidence(
        id=f"E-{platform[:6]}{number:06x}", alias=f"E{number}", query="Q1", platform=platform, collection="events",
        time=NOON + timedelta(minutes=10 * number, seconds=seconds), host="PC-7", user=None,
        event_class="process_activity", fields=flat, raw={}, sha256=digest,
    )  # fmt: skip


def twins(by: float, number: int = 5, drift: float = 0.0) -> list[Evidence]:
    """So many events, each reported by two platforms whose clocks lie `by` seconds apart."""
    one = [row(n, "falcon", 0) for n in range(number)]
    return [*one, *(row(n, "sentinel", by + drift * (n - number // 2)) for n in range(number))]


def events(rows: list[Evidence]) -> list[Event]:
    return [Event.of(item) for item in rows]


@pytest.mark.parametrize("by", [-7_200.0, -95.0, -1.5, 0.0, 2.0, 240.0, 19_800.0])
def test_the_offset_is_the_median_of_the_twins(by: float) -> None:
    (found,) = offsets(events(twins(by, drift=0.2)))
    assert (found.one, found.other, found.twins) == ("falcon", "sentinel", 5)
    assert found.by == timedelta(seconds=by)
    assert found.spread == timedelta(seconds=0.2)


def test_one_wild_twin_moves_nothing() -> None:
    rows = twins(4.0)
    rows[-1] = row(4, "sentinel", 3_000)
    assert offsets(events(rows))[0].by == timedelta(seconds=4)


def test_too_few_twins_tell_nothing_and_three_seconds_are_assumed() -> None:
    assert offsets(events(twins(90, number=2))) == ()
    assert allowance(events(twins(90, number=2))) == ASSUMED
    assert allowance(events(twins(90))) == timedelta(seconds=90)
    assert allowance(events(twins(0))) == timedelta(seconds=1)


def test_a_recycled_process_id_makes_no_twin() -> None:
    rows = [*twins(0), row(0, "falcon", 5_000)]
    assert offsets(events(rows))[0].twins == 4


def test_local_time_written_as_utc_is_named() -> None:
    (found,) = telling(events(twins(7_201)))
    assert found.zone_hours == 2
    assert "local time of UTC+2 h" in found.sentence()
    assert telling(events(twins(95)))[0].zone_hours is None
    assert telling(events(twins(0.4))) == ()


def test_the_answer_prints_the_skew_as_a_gap() -> None:
    (gap,) = find_gaps([], twins(95))
    assert gap.kind == "clock"
    assert gap.text.startswith("sentinel stamps the same events 95.0 s later than falcon (median of 5 twin records)")
    assert find_gaps([], twins(0)) == ()


def order(text: str, first: Evidence, second: Evidence, rows: list[Evidence]) -> str | None:
    claim = Claim(
        id="C1", kind="assessment", subject="", predicate=ASSESSED, object="", evidence=(first.id, second.id), text=text
    )
    (checked,), _ = verify([claim], rows, [])
    return None if checked.why_not == NOT_CHECKED else checked.why_not


def test_order_within_the_skew_is_not_established_in_prose_too() -> None:
    one, other = row(90, "falcon", 0), row(90, "sentinel", 60, **{"process.cmd_line": "x", "process.name": "b.exe"})
    text = "One came before the other."
    assert order(text, one, other, [one, other, *twins(0)]) is None
    assert "not established" in (order(text, one, other, [one, other, *twins(95)]) or "")
    assert "another order" in (order(text, other, one, [one, other, *twins(0)]) or "")


@pytest.mark.parametrize("by", [1.0, 2.5])
def test_twins_within_the_tolerance_are_one_entry_that_keeps_both_ids(by: float) -> None:
    groups = merge(events(twins(by)), fold=False)
    assert [len(group.events) for group in groups] == [2] * 5


@pytest.mark.parametrize("by", [40.0, 180.0])
def test_twins_under_a_larger_skew_are_one_entry_where_the_tolerance_is_the_skew(by: float) -> None:
    rows = events(twins(by))
    groups = merge(rows, allowance(rows) + timedelta(seconds=1), fold=False)
    assert [{event.platform.value for event in group.events} for group in groups] == [{"falcon", "sentinel"}] * 5
