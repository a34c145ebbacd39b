import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tracehound.tools.evidence.normalise import Normaliser, is_unparsed, standard
from tracehound.tools.evidence.records import Evidence
from tracehound.tools.evidence.times import stamp_of
from tracehound.tools.evidence.values import (
    account_name,
    event_data,
    parse_int,
    parse_time,
    short_host,
    split_account,
    url_host,
)
from tracehound.tools.languages.query import Language, Platform
from tracehound.tools.languages.views import all_views
from tracehound.tools.languages.vocabulary import ATTRIBUTES, EventClass

# View id to a row as the vendor's documentation shows it, and what must come of it; written by hand.
ROWS: dict[str, Any] = json.loads(Path(__file__).with_name("vendor_rows.json").read_text(encoding="utf-8"))

VIEWS = {view.id: view for view in all_views()}


def test_every_view_has_a_row() -> None:
    assert set(ROWS) == set(VIEWS)


@pytest.mark.parametrize("view_id", ROWS)
@pytest.mark.parametrize("compiled", [True, False])
def test_vendor_row_becomes_its_event(view_id: str, compiled: bool, query: Callable[..., Any]) -> None:
    view = VIEWS[view_id]
    row, expected = ROWS[view_id]["row"], ROWS[view_id]["expected"]
    asked = query(view.platform, view.collection, view.event_class if compiled else None, compiled=compiled)
    event = standard().event(asked, row, "E-1")
    assert event.event_class is view.event_class
    assert {name: event.fields.get(name) for name in expected} == expected
    assert event.time is not None
    assert event.time.replace(microsecond=0) == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert event.fields["time"].startswith("2026-11-01T10:00:00.")
    assert set(event.fields) <= ATTRIBUTES[view.event_class]
    assert event.host in (None, "PC-9", "SRV-9", "LAP-9", "DC-9")
    assert event.user is None or not set(event.user) & set("\\@")
    json.dumps(event.fields, allow_nan=False).encode()


@pytest.mark.parametrize("view_id", ROWS)
def test_every_view_gives_class_time_and_host_where_its_vendor_has_one(view_id: str, query: Callable[..., Any]) -> None:
    view, row = VIEWS[view_id], ROWS[view_id]["row"]
    event = standard().event(query(view.platform, view.collection, view.event_class), row, "E-1")
    assert event.event_class in EventClass
    carried = "device.hostname" in view.attributes and event.fields.get("device.hostname")
    assert bool(event.host) == bool(carried)
    assert event.host is None or event.host == event.host.upper().partition(".")[0]
    kept = Evidence(
        id="E-1", alias="E1", query="Q1", platform=view.platform.value, collection=view.collection, time=event.time,
        host=event.host, user=event.user, event_class=view.event_class.value, fields=dict(event.fields), raw=row, sha256="",
    )  # fmt: skip
    stamp = stamp_of(kept)
    assert stamp is not None
    assert stamp.utc == event.time


def test_reading_a_row_twice_gives_the_same_event_and_changes_nothing(query: Callable[..., Any]) -> None:
    row = ROWS["falcon.alerts"]["row"]
    before = json.dumps(row)
    asked = query(Platform.FALCON, "alerts")
    assert standard().event(asked, row, "E-1") == Normaliser().event(asked, row, "E-1")
    assert json.dumps(row) == before


def test_raw_row_that_fits_no_view_is_read_by_its_names(query: Callable[..., Any]) -> None:
    asked = query(Platform.SENTINEL, "Heartbeat", language=Language.KQL)
    event = standard().event(
        asked,
        {"max_TimeGenerated": "2026-11-01 10:00:00Z", "Computer": "srv-9.corp", "AccountName": "CORP\\bob"},
        "E-1",
    )
    assert event.event_class is EventClass.BASE
    assert (event.host, event.user) == ("SRV-9", "bob")
    assert event.time == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert not is_unparsed(event.fields)


@pytest.mark.parametrize("row", [{}, {"count_": 7}, {"x": None, "y": "z"}])
def test_row_that_says_nothing_is_marked(row: dict[str, Any], query: Callable[..., Any]) -> None:
    event = standard().event(query(Platform.SENTINEL, "Heartbeat", language=Language.KQL), row, "E-1")
    assert is_unparsed(event.fields)
    assert event.time is None


def test_projection_that_drops_the_selecting_column_is_read_where_one_class_is_possible(
    query: Callable[..., Any],
) -> None:
    row = {"Timestamp": "2026-11-01T10:00:00Z", "DeviceName": "lap-9", "FileName": "a.exe", "ProcessCommandLine": "a"}
    event = standard().event(query(Platform.DEFENDER, "DeviceProcessEvents", language=Language.KQL), row, "E-1")
    assert event.event_class is EventClass.PROCESS
    assert event.fields["process.cmd_line"] == "a"


def test_row_of_another_class_is_not_forced_into_the_asked_one(query: Callable[..., Any]) -> None:
    row = ROWS["sentinelone.dns"]["row"]
    event = standard().event(query(Platform.SENTINELONE, "events", EventClass.PROCESS), row, "E-1")
    assert event.event_class is EventClass.DNS


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("2026-11-01T10:00:00Z", "datetime", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01T12:00:00.123456789+02:00", "datetime", datetime(2026, 11, 1, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2026-11-01 10:00:00", "datetime", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01 10:00:00 UTC", "datetime", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        (1793527200, "epoch_s", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("1793527200123", "epoch_ms", datetime(2026, 11, 1, 10, 0, 0, 123000, tzinfo=UTC)),
        (1793527200123456, "datetime", datetime(2026, 11, 1, 10, 0, 0, 123456, tzinfo=UTC)),
        (1793527200123456789, "datetime", datetime(2026, 11, 1, 10, 0, 0, 123456, tzinfo=UTC)),
        ("1793527200.5", "datetime", datetime(2026, 11, 1, 10, 0, 0, 500000, tzinfo=UTC)),
        ("yesterday", "datetime", None),
        ("", "datetime", None),
        (None, "datetime", None),
        (True, "epoch_s", None),
        (float("nan"), "epoch_ms", None),
        (1e300, "epoch_ms", None),
        ("9" * 400, "datetime", None),
        ("0001-01-01T00:00:00+14:00", "datetime", None),
    ],
)
def test_times(value: Any, kind: str, expected: datetime | None) -> None:
    assert parse_time(value, kind) == expected


def test_names_and_numbers() -> None:
    assert split_account("CORP\\bob") == ("bob", "CORP")
    assert split_account("bob@corp.example") == ("bob", "corp.example")
    assert split_account("NT AUTHORITY\\SYSTEM") == ("SYSTEM", "NT AUTHORITY")
    assert split_account("bob") == ("bob", "")
    assert short_host("\\\\srv-9.corp.example") == "SRV-9"
    assert short_host("10.1.2.3") == "10.1.2.3"
    assert short_host("-") is None
    assert parse_int("0x1f4") == 500
    assert parse_int("12.0") == 12
    assert parse_int("twelve") is None
    assert event_data('<Data Name="A">1</Data><Data Name="AB">2</Data>', "AB") == "2"
    assert event_data("<Data Name='A'>" + "x" * 10, "A") is None


def test_accounts_are_compared_without_their_domain() -> None:
    assert {account_name(text) for text in ("CORP\\Bob", "bob@corp.example", "BOB", "bob")} == {"bob"}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Evil.test:8443/login?x=1", "evil.test"),
        ("evil.test/login", "evil.test"),
        ("http://user@evil.test/", "evil.test"),
        ("http://[2001:db8::1]/", "2001:db8::1"),
        ("http://[not an address", ""),
        ("http://evil.test]/", ""),
        ("", ""),
    ],
)
def test_the_host_of_a_url_is_read_and_a_broken_url_has_none(url: str, host: str) -> None:
    assert url_host(url) == host
