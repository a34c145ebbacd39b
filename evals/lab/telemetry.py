"""The lab's DuckDB file as the servers read it: attached read-only, one cursor a request, off the event loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import anyio.to_thread
import duckdb

from ...knowledge.errors import StorageError
from .sql import QueryRejectedError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """Rows with their columns' names and DuckDB types."""

    columns: tuple[tuple[str, str], ...]
    rows: Sequence[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        names = [name for name, _ in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


class Telemetry:
    """Read-only access to the tables of one lab.

    The file is attached to an in-memory database under a name that no query can guess, so a query reaches the tables
    that its server lays out for it and no others.

    Raises:
        StorageError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.catalog = f"lab_{uuid4().hex}"
        try:
            self._database = duckdb.connect()
            self._database.execute("SET TimeZone = 'UTC'")
            self._database.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS {self.catalog} (READ_ONLY)")
        except duckdb.Error as exc:
            raise StorageError(f"the lab's telemetry {path} cannot be opened: {exc}") from exc
        self._database.execute("SET enable_external_access = false")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @cached_property
    def tables(self) -> dict[str, dict[str, str]]:
        """Table to its columns, each with its DuckDB type, in order."""
        found: dict[str, dict[str, str]] = {}
        rows = self._database.cursor().execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = ? "
            "ORDER BY table_name, column_index",
            [self.catalog],
        )
        for table, column, kind in rows.fetchall():
            found.setdefault(table, {})[column] = kind
        return found

    def place(self, table: str) -> str:
        """The table's full name, quoted for SQL."""
        return f'{self.catalog}.main."{table}"'

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the same database; temporary views are its own as well."""
        cursor = self._database.cursor()
        cursor.execute("SET TimeZone = 'UTC'")
        return cursor

    def run(self, sql: str, values: Sequence[Any] = ()) -> Result:
        """Execute one statement in this thread.

        Raises:
            QueryRejectedError: a value of the query makes no sense to the database, such as a broken regular expression.
        """
        cursor = self.cursor()
        try:
            return fetch(cursor, sql, values)
        except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException) as exc:
            raise QueryRejectedError(str(exc).splitlines()[0]) from exc
        finally:
            cursor.close()

    async def query(self, sql: str, values: Sequence[Any] = ()) -> Result:
        """Execute one statement in a worker thread."""
        return await off_loop(partial(self.run, sql, values))


def fetch(cursor: duckdb.DuckDBPyConnection, sql: str, values: Any = ()) -> Result:
    """Execute on a cursor and read everything."""
    cursor.execute(sql, values) if values else cursor.execute(sql)
    columns = tuple((str(name), str(kind)) for name, kind, *_ in cursor.description or ())
    return Result(columns, cursor.fetchall())


async def off_loop(work: Callable[[], T]) -> T:
    """Do blocking work in a worker thread."""
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
