"""More background than Python writes in minutes: its rows again and again, moved in time, with ids of their own.

Each time all rows move by the same seconds, so that what belongs together (a logon on both of its hosts, a process and
its connections) still does. Ids change in the shape that they have; names, addresses and contents stay.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

REACH = 900
"""Seconds by which rows move at most, either way: working hours stay what they are."""
_AT_ONCE = 16
"""Times that one statement writes, which bounds what the database holds in memory."""

_DEFENDER = {"Timestamp": "time", "TimeGenerated": "time", "ReportId": "number"}
_CHANGES: Mapping[str, Mapping[str, str]] = {
    "falcon_events": {
        "@timestamp": "millis", "@id": "hex", "TargetProcessId": "digits", "ParentProcessId": "digits",
        "ContextProcessId": "digits",
    },
    "s1_events": {
        "eventTime": "time", "id": "hex", "traceId": "hex", "srcProcUid": "HEX", "tgtProcUid": "HEX",
        "srcProcStorylineId": "HEX", "tgtProcStorylineId": "HEX", "trueContext": "HEX",
    },
    "DeviceProcessEvents": _DEFENDER,
    "DeviceNetworkEvents": _DEFENDER,
    "DeviceFileEvents": _DEFENDER,
    "DeviceLogonEvents": _DEFENDER,
    "DeviceEvents": _DEFENDER,
    "IdentityLogonEvents": {"Timestamp": "time", "TimeGenerated": "time", "ReportId": "hex"},
    "SecurityEvent": {"TimeGenerated": "time"},
    "SigninLogs": {
        "TimeGenerated": "time", "CreatedDateTime": "time", "Id": "guid", "CorrelationId": "guid", "SessionId": "guid",
    },
    "splunk_events": {
        "_time": "time", "UtcTime": "text", "EventRecordID": "digits", "ProcessGuid": "{GUID}",
        "ParentProcessGuid": "{GUID}",
    },
}  # fmt: skip
"""Tables of the background, and the columns that differ in each repetition; no other table is repeated."""

_KINDS: Mapping[str, str] = {
    "time": "moved({c}, k, $lowest, $highest)",
    "millis": "epoch_ms(moved(make_timestamp_ms({c}), k, $lowest, $highest))",
    "text": "strftime(moved({c}::TIMESTAMP, k, $lowest, $highest), '%Y-%m-%d %H:%M:%S.%g')",
    "hex": "substr(md5(concat({c}, '/', k)), 1, length({c}))",
    "HEX": "upper(substr(md5(concat({c}, '/', k)), 1, length({c})))",
    "guid": "md5(concat({c}, '/', k))::UUID::VARCHAR",
    "{GUID}": "'{{' || upper(md5(concat({c}, '/', k))::UUID::VARCHAR) || '}}'",
    "digits": "({c}::BIGINT + k * 20_000_000_000_000)::VARCHAR",
    "number": "{c} + k",
}
"""A column of the k-th repetition; one that is null stays null."""

_MOVED = f"""
CREATE TEMP MACRO moved(t, k, lowest, highest) AS
  CASE WHEN t + to_seconds((k * 617) % {2 * REACH + 1} - {REACH}) BETWEEN lowest AND highest
       THEN t + to_seconds((k * 617) % {2 * REACH + 1} - {REACH})
       ELSE t - to_seconds((k * 617) % {2 * REACH + 1} - {REACH}) END
"""


@dataclass(frozen=True)
class Repeats:
    """What to repeat until a lab holds so many events.

    `rows` are tables and their rows; repeated ones lie from `lowest` to `highest`. A table of the vendors' copies
    (`store.COPIES`) is repeated with the others, and not counted.
    """

    rows: Iterable[tuple[str, Mapping[str, Any]]]
    events: int
    lowest: datetime
    highest: datetime


def times(wanted: int, held: int, each: int) -> int:
    """How often a background of `each` events is repeated beside `held` events to make `wanted`."""
    return max(0, math.ceil((wanted - held) / each)) if each else 0


def is_repeated(table: str) -> bool:
    """Whether the rows of a table are background."""
    return table in _CHANGES


def repeat(
    connection: duckdb.DuckDBPyConnection, table: str, source: str, columns: Iterable[str], count: int, what: Repeats
) -> None:
    """Write the rows of `source`, a table of the same columns, `count` times into a table."""
    connection.execute(_MOVED.replace("CREATE TEMP", "CREATE OR REPLACE TEMP"))
    changes = _CHANGES[table]
    chosen = ", ".join(_column(name, changes.get(name)) for name in columns)
    sql = f'INSERT INTO "{table}" SELECT {chosen} FROM "{source}", range($first, $past) repeated(k)'
    bounds = {
        name: moment.replace(tzinfo=None) for name, moment in (("lowest", what.lowest), ("highest", what.highest))
    }
    for first in range(1, count + 1, _AT_ONCE):
        connection.execute(sql, {"first": first, "past": min(first + _AT_ONCE, count + 1), **bounds})


def _column(name: str, kind: str | None) -> str:
    quoted = f'"{name}"'
    if kind is None:
        return quoted
    return f"CASE WHEN {quoted} IS NOT NULL THEN {_KINDS[kind].format(c=quoted)} END"
