"""The telemetry of a lab: one DuckDB file, written once, read by everyone afterwards."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import duckdb

from ...knowledge.errors import StorageError
from .tables import tables

TELEMETRY = "telemetry.duckdb"
COPIES = frozenset({"splunk_events"})
"""Tables of a platform without a client: the same events once more, which `events` does not count again."""
Row = Mapping[str, Any]


class TelemetryStore:
    """A lab's telemetry, open for reading what the lab says of itself."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, rows: Iterable[tuple[str, Row]], meta: Mapping[str, Any]) -> "TelemetryStore":
        """Write a new file.

        Rows go to JSON lines first and are read by DuckDB in one go: row-wise inserts take minutes for what this does
        in a second. A column that a table does not have is an error; one that a row does not have is null.

        Args:
            path: The file; it must not exist.
            rows: (table, row) in any order.
            meta: What the lab says of itself: clock, seed, names, alerts.

        Raises:
            StorageError: the folder cannot be written, or the disk is full.
        """
        try:
            with tempfile.TemporaryDirectory() as folder:
                counts = _spool(Path(folder), rows)
                _load(path, Path(folder), counts, meta)
        except (OSError, duckdb.Error) as exc:
            raise StorageError(f"the lab's telemetry {path} cannot be written: {exc}") from exc
        return cls(path)

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


def _load(path: Path, folder: Path, counts: Mapping[str, int], meta: Mapping[str, Any]) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table, columns in tables().items():
            typed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            connection.execute(f'CREATE TABLE "{table}" ({typed})')
            if counts.get(table):
                spec = ", ".join(f"'{name.replace(chr(39), chr(39) * 2)}': '{kind}'" for name, kind in columns.items())
                names = ", ".join(f'"{name}"' for name in columns)
                source = str(folder / f"{table}.jsonl").replace("'", "''")
                connection.execute(
                    f"INSERT INTO \"{table}\" SELECT {names} FROM read_json('{source}', "
                    f"format='newline_delimited', columns={{{spec}}}, maximum_object_size=33554432)"
                )
        told = sum(number for table, number in counts.items() if table not in COPIES)
        written = {**meta, "tables": dict(counts), "events": told}
        connection.executemany("INSERT INTO lab_meta VALUES (?, ?)", [(k, json.dumps(v)) for k, v in written.items()])
