"""A lab of a larger scale: its everyday events again and again, and everything else once."""

from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tracehound.evals.lab import kestrel
from tracehound.evals.lab.background import DAYS
from tracehound.evals.lab.repeats import Repeats, times
from tracehound.evals.lab.store import TELEMETRY, TelemetryStore

SEED = 5
END = kestrel.end_of(SEED)
TOLD = 400
"""Observations of the sample."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab of a sample of everyday events, and of the repetitions of nine times as many."""
    seen, _ = kestrel.build(SEED, 2)
    more = kestrel.more(seen, SEED, 2)
    assert more is not None
    everyday = list(islice(more.rows, TOLD))
    told = sum(table != "splunk_events" for table, _ in everyday)
    path = tmp_path_factory.mktemp("scaled") / TELEMETRY
    TelemetryStore.create(path, everyday, {}, Repeats(everyday, told * 10, more.lowest, more.highest))
    meta = TelemetryStore(path).meta()
    assert meta["events"] == told * 10
    return path


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_only_the_background_is_repeated() -> None:
    seen, _ = kestrel.build(SEED, 2)
    repeated = kestrel.more(seen, SEED, 2)
    assert repeated is not None
    assert repeated.events == 100_000
    assert kestrel.more(seen, SEED, 1) is None
    tables = {table for table, _ in repeated.rows}
    assert "falcon_events" in tables
    assert not tables & {"falcon_alerts", "OfficeActivity", "AWSCloudTrail", "EmailEvents"}


@pytest.mark.parametrize(
    ("table", "unique"),
    [
        ("falcon_events", '"@id"'),
        ("s1_events", "id"),
        ("DeviceProcessEvents", "ReportId"),
        ("IdentityLogonEvents", "ReportId"),
    ],
)
def test_every_repetition_has_ids_of_its_own(written: Path, table: str, unique: str) -> None:
    [(total, ids, lengths)] = rows(
        written,
        f"SELECT count(*), count(DISTINCT {unique}), count(DISTINCT length({unique}::VARCHAR)) FROM {table}",
    )
    assert total == ids
    assert table == "DeviceProcessEvents" or lengths == 1, "an id keeps the shape that its vendor gives it"


def test_what_belongs_together_stays_together(written: Path) -> None:
    launches = (
        """SELECT TargetProcessId, "@timestamp" AS at FROM falcon_events WHERE "#event_simpleName" = 'ProcessRollup2'"""
    )
    [(launched, connected)] = rows(
        written,
        f"""SELECT count(DISTINCT launch.TargetProcessId), count(*) FROM ({launches}) launch
        JOIN falcon_events other ON other.ContextProcessId = launch.TargetProcessId
        AND abs(other."@timestamp" - launch.at) <= 31000""",
    )
    [(single, together)] = rows(
        written,
        f"""SELECT count(DISTINCT launch.TargetProcessId), count(*) FROM ({launches}) launch
        JOIN falcon_events other ON other.ContextProcessId = launch.TargetProcessId""",
    )
    assert launched
    assert (launched, connected) == (single, together), "a program's events follow its launch by seconds"


def test_repetitions_lie_near_their_pattern_and_inside_the_window(written: Path) -> None:
    [(low, high)] = rows(written, "SELECT min(eventTime), max(eventTime) FROM s1_events")
    lowest = (END - timedelta(days=DAYS)).replace(tzinfo=None)
    assert lowest <= low <= high <= (END - timedelta(seconds=30)).replace(tzinfo=None)
    written_as = "strftime(_time, '%Y-%m-%d %H:%M:%S.%g')"
    assert rows(written, f"SELECT count(*) FROM splunk_events WHERE UtcTime <> {written_as}") == [(0,)]
    [(moments,)] = rows(
        written,
        "SELECT max(moments) FROM (SELECT count(DISTINCT eventTime) moments FROM s1_events GROUP BY agentName, srcProcName)",
    )
    assert moments >= 10, "each repetition has times of its own"


def test_what_is_null_stays_null(written: Path) -> None:
    lookups = "falcon_events WHERE \"#event_simpleName\" = 'DnsRequest'"
    [(all_of_them, started)] = rows(written, f"SELECT count(*), count(TargetProcessId) FROM {lookups}")
    assert all_of_them
    assert not started


def test_how_often_a_background_is_repeated() -> None:
    assert times(100, 40, 20) == 3
    assert times(100, 41, 20) == 3
    assert times(100, 100, 20) == times(100, 120, 20) == times(100, 40, 0) == 0
