"""Stamps as vendors write them: zone, UTC and precision."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tracehound.tools.evidence.times import drift, read_stamp
from tracehound.tools.evidence.values import parse_time

AT = datetime(2026, 11, 20, 17, 48, 14, tzinfo=UTC)
SECONDS = int(AT.timestamp())


@pytest.mark.parametrize(
    ("value", "zone", "precision"),
    [
        ("2026-11-20T17:48:14Z", "UTC", "second"),
        ("2026-11-20 17:48:14", "", "second"),
        ("2026-11-20T17:48:14.000Z", "UTC", "millisecond"),
        ("2026-11-20T17:48:14.000000Z", "UTC", "microsecond"),
        ("2026-11-20T17:48:14.0000000Z", "UTC", "100 ns"),
        ("2026-11-20T19:48:14+02:00", "+02:00", "second"),
        ("2026-11-20T12:48:14-05:00", "-05:00", "second"),
        ("2026-11-20 17:48:14 UTC", "UTC", "second"),
        ("11/20/2026 5:48:14 PM", "", "second"),
        ("11/20/2026 05:48:14.000 pm UTC", "UTC", "millisecond"),
        ("2026-11-20 5:48:14 p.m.", "", "second"),
        (SECONDS, "epoch", "second"),
        (SECONDS * 1_000, "epoch", "millisecond"),
        (SECONDS * 1_000_000, "epoch", "microsecond"),
        (SECONDS * 1_000_000_000, "epoch", "nanosecond"),
        (str(SECONDS * 1_000), "epoch", "millisecond"),
        ((SECONDS + 11_644_473_600) * 10_000_000, "epoch", "100 ns"),
    ],
)
def test_a_stamp_keeps_its_zone_and_precision(value: Any, zone: str, precision: str) -> None:
    found = read_stamp(value)
    assert found is not None
    assert (found.utc, found.zone, found.precision, found.text) == (AT, zone, precision, str(value))


@pytest.mark.parametrize(
    ("text", "hour"), [("11/20/2026 12:00:00 AM", 0), ("11/20/2026 12:00 PM", 12), ("11/20/2026 1:00 AM", 1)]
)
def test_noon_and_midnight_of_a_12_hour_clock(text: str, hour: int) -> None:
    found = parse_time(text)
    assert found is not None
    assert found.hour == hour


@pytest.mark.parametrize(
    "value", ["", None, True, "13/45/2026 1:00 PM", "11/20/2026 13:00 PM", "yesterday", {}, "9" * 40]
)
def test_what_is_no_time_is_none(value: Any) -> None:
    assert read_stamp(value) is None


def test_a_filetime_is_not_taken_for_nanoseconds() -> None:
    assert parse_time(133_000_000_000_000_000) == datetime(2022, 6, 18, 4, 26, 40, tzinfo=UTC)


def test_two_clocks_of_one_event_are_compared() -> None:
    row = {"UtcTime": "2026-11-20 17:48:14.000", "EventTime": "2026-11-20 17:48:16", "Other": 1}
    assert drift(row) == {"UtcTime": 0.0, "EventTime": 2.0}
    assert drift({"UtcTime": "2026-11-20 17:48:14.000"}) == {}
