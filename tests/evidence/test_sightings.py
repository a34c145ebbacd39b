"""First and last seen, with the windows that they rest on."""

from datetime import UTC, datetime, timedelta

import pytest

from tracehound.tools.evidence.records import CheckRecord, Evidence, QueryRecord, WindowRecord
from tracehound.tools.evidence.sightings import sighted

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def query(name: str, platform: str, days: int, text: str = "x", complete: bool = True) -> QueryRecord:
    return QueryRecord(
        id=name, platform=platform, language="cql", collection="events", text=text, check=CheckRecord(ok=True), status="ok",
        complete=complete, window=WindowRecord(start=NOON - timedelta(days=days), end=NOON + timedelta(days=1)),
    )  # fmt: skip


def row(number: int, name: str, hours: float, **fields: str) -> Evidence:
    return Evidence(
        id=f"E-{number:012x}", alias=f"E{number}", query=name, platform="falcon" if name == "Q1" else "sentinel",
        time=NOON + timedelta(hours=hours), host="PC-7", user=None, event_class="network_activity",
        fields={key.replace("__", "."): value for key, value in fields.items()}, raw={}, sha256=f"{number:064x}",
    )  # fmt: skip


ROWS = [
    row(1, "Q1", 2, dst_endpoint__ip="203.0.113.7", user__name="CORP\\ann"),
    row(2, "Q2", -3, dst_endpoint__ip="203.0.113.7"),
    row(3, "Q1", 5, dst_endpoint__ip="203.0.113.70", user__name="ann@corp.example"),
]
ASKED = [query("Q1", "falcon", 1), query("Q2", "sentinel", 7), query("Q3", "sentinelone", 3, "dst = 203.0.113.7")]


def test_first_last_and_the_windows() -> None:
    found = sighted("ip", "203.0.113.7", ROWS, ASKED)
    assert found is not None
    assert (found.first.alias, found.last.alias, found.rows) == ("E2", "E1", 2)
    assert [name for name, _ in found.windows] == ["falcon", "sentinel", "sentinelone"]
    assert found.whole
    assert found.sentence() == (
        "203.0.113.7 was first seen 2026-03-02 09:00:00Z and last seen 2026-03-02 14:00:00Z, within what was searched: "
        "falcon 2026-03-01 12:00:00Z to 2026-03-03 12:00:00Z, sentinel 2026-02-23 12:00:00Z to 2026-03-03 12:00:00Z, "
        "sentinelone 2026-02-27 12:00:00Z to 2026-03-03 12:00:00Z"
    )


@pytest.mark.parametrize("written", ["ann", "ANN", "corp\\ann", "ann@corp.example"])
def test_an_account_is_the_same_with_and_without_its_domain(written: str) -> None:
    found = sighted("user", written, ROWS, ASKED)
    assert found is not None
    assert found.rows == 2


def test_what_was_cut_off_is_said() -> None:
    found = sighted("ip", "203.0.113.7", ROWS, [*ASKED[1:], query("Q1", "falcon", 1, complete=False)])
    assert found is not None
    assert not found.whole
    assert found.sentence().endswith("not every search was complete")


def test_what_was_not_seen_has_no_sighting() -> None:
    assert sighted("ip", "203.0.113.9", ROWS, ASKED) is None
