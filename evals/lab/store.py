"""The telemetry of a lab: one DuckDB file, written once, read by everyone afterwards."""

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import duckdb

from ...knowledge.errors import StorageError
from .repeats import Repeats, is_repeated, repeat, times
from .tables import tables

TELEMETRY = "telemetry.duckdb"
COPIES = frozenset({"splunk_events"})
"""Tables of a platform without a client: the same events once more, which `events` does not count again."""
_MEMORY = "1536MB"
"""What DuckDB may hold while it repeats rows."""
_INVENTORIES: Mapping[str, tuple[str, str]] = {
    "falcon_devices": ("device_id", "last_seen"),
    "s1_agents": ("id", "lastActiveDate"),
}
"""Tables that hold one row for each device: its key, and when it was seen last."""
Row = Mapping[str, Any]


class TelemetryStore:
    """A lab's telemetry, open for reading what the lab says of itself."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(
        cls, path: Path, rows: Iterable[tuple[str, Row]], meta: Mapping[str, Any], more: Repeats | None = None
    ) -> "TelemetryStore":
        """Write a new file.

        Rows go to JSON lines first and are read by DuckDB in one go: row-wise inserts take minutes for what this does
        in a second. A column that a table does not have is an error; one that a row does not have is null.

        Args:
            path: The file; it must not exist.
            rows: (table, row) in any order.
            meta: What the lab says of itself: clock, seed, names, alerts.
            more: Rows that are repeated, by the database itself, until there are as many events as it wants.

        Raises:
            StorageError: the folder cannot be written, or the disk is full.
        """
        try:
            with tempfile.TemporaryDirectory() as folder, duckdb.connect(str(path)) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                counts = _load(connection, Path(folder), rows)
                if more is not None:
                    _repeat(connection, Path(folder), more, counts)
                _sign(connection, counts, meta)
        except (OSError, duckdb.Error) as exc:
            raise StorageError(f"the lab's telemetry {path} cannot be written: {exc}") from exc
        return cls(path)

    def add(self, rows: Iterable[tuple[str, Row]], describe: Callable[[], Mapping[str, Any]]) -> None:
        """Write more rows into the file; of a device that it knows already, the row that was seen last stays.

        Args:
            rows: (table, row) in any order.
            describe: What the lab says of itself then; called when all rows are taken.

        Raises:
            StorageError: the file cannot be written, or the disk is full.
        """
        try:
            with tempfile.TemporaryDirectory() as folder, duckdb.connect(str(self.path)) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                for table in _spool(Path(folder), rows):
                    _add(connection, table, Path(folder))
                connection.execute("DELETE FROM lab_meta")
                _sign(connection, _counted(connection), describe())
        except (OSError, duckdb.Error) as exc:
            raise StorageError(f"the lab's telemetry {self.path} cannot be written: {exc}") from exc

    def meta(self) -> dict[str, Any]:
        """What the lab says of itself.

        Raises:
            StorageError: the file is not a lab's telemetry.
        """
        try:
            with duckdb.connect(str(self.path), read_only=True) as connection:
                found = connection.execute("SELECT key, value FROM lab_meta").fetchall()
        except duckdb.Error as exc:
            raise StorageError(f"{self.path} is not the telemetry of a lab: {exc}") from exc
        return {key: json.loads(value) for key, value in found}


def _spool(folder: Path, rows: Iterable[tuple[str, Row]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    known = tables()
    with ExitStack() as stack:
        files: dict[str, TextIO] = {}
        for table, row in rows:
            if table not in files:
                files[table] = stack.enter_context((folder / f"{table}.jsonl").open("w", encoding="utf-8"))
                counts[table] = 0
            if wrong := row.keys() - known[table].keys():
                raise KeyError(f"table {table} has no column {', '.join(sorted(wrong))}")
            files[table].write(_JSON.encode(row) + "\n")
            counts[table] += 1
    return counts


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ")
    raise TypeError(f"a row cannot hold {value!r}")


_JSON = json.JSONEncoder(default=_plain)


def _load(connection: duckdb.DuckDBPyConnection, folder: Path, rows: Iterable[tuple[str, Row]]) -> dict[str, int]:
    counts = _spool(folder, rows)
    for table, columns in tables().items():
        typed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        connection.execute(f'CREATE TABLE "{table}" ({typed})')
        if counts.get(table):
            connection.execute(f'INSERT INTO "{table}" {_spooled(table, folder)}')
    return counts


def _add(connection: duckdb.DuckDBPyConnection, table: str, folder: Path) -> None:
    if table not in _INVENTORIES:
        connection.execute(f'INSERT INTO "{table}" {_spooled(table, folder)}')
        return
    key, seen = _INVENTORIES[table]
    connection.execute(f"CREATE TEMP TABLE added AS {_spooled(table, folder)}")
    connection.execute(
        f'DELETE FROM "{table}" held USING added WHERE held."{key}" = added."{key}" AND held."{seen}" <= added."{seen}"'
    )
    connection.execute(f'INSERT INTO "{table}" FROM added WHERE "{key}" NOT IN (SELECT "{key}" FROM "{table}")')
    connection.execute("DROP TABLE added")


def _counted(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    found = {table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone() for table in tables()}
    return {table: row[0] for table, row in found.items() if row and row[0] and table != "lab_meta"}


def _repeat(connection: duckdb.DuckDBPyConnection, folder: Path, more: Repeats, counts: dict[str, int]) -> None:
    connection.execute(f"SET memory_limit = '{_MEMORY}'")
    connection.execute("SET preserve_insertion_order = false")
    each = _spool(folder, ((table, row) for table, row in more.rows if is_repeated(table)))
    count = times(more.events, _told(counts), _told(each))
    for table, rows in each.items():
        connection.execute(f"CREATE TEMP TABLE background AS {_spooled(table, folder)}")
        repeat(connection, table, "background", tables()[table], count, more)
        connection.execute("DROP TABLE background")
        counts[table] = counts.get(table, 0) + rows * count


def _spooled(table: str, folder: Path) -> str:
    """The query that reads the rows of a table from its spool file."""
    columns = tables()[table]
    spec = ", ".join(f"'{name.replace(chr(39), chr(39) * 2)}': '{kind}'" for name, kind in columns.items())
    names = ", ".join(f'"{name}"' for name in columns)
    source = str(folder / f"{table}.jsonl").replace("'", "''")
    return (
        f"SELECT {names} FROM read_json('{source}', "
        f"format='newline_delimited', columns={{{spec}}}, maximum_object_size=33554432)"
    )


def _told(counts: Mapping[str, int]) -> int:
    return sum(number for table, number in counts.items() if table not in COPIES)


def _sign(connection: duckdb.DuckDBPyConnection, counts: Mapping[str, int], meta: Mapping[str, Any]) -> None:
    """Write what the lab says of itself."""
    written = {**meta, "tables": dict(counts), "events": _told(counts)}
    connection.executemany("INSERT INTO lab_meta VALUES (?, ?)", [(k, json.dumps(v)) for k, v in written.items()])
