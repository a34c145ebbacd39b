"""What one query works on: the tables that it names, as temporary views, and the tables that it makes on its way."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from ....tools.languages.kql.rows import Row
from ..sql import quoted
from .faults import SemanticFaultError, UnrunnableError, unresolved_column, unresolved_table
from .spelling import Spelling
from .sql_functions import macros_for
from .translation import Rewritten, Statement, translated

_TYPES: Mapping[str, str] = {
    "VARCHAR": "string",
    "BIGINT": "long",
    "HUGEINT": "long",
    "UBIGINT": "long",
    "INTEGER": "int",
    "DOUBLE": "real",
    "FLOAT": "real",
    "BOOLEAN": "bool",
    "TIMESTAMP": "datetime",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "DATE": "datetime",
    "INTERVAL": "timespan",
    "UUID": "guid",
    "JSON": "dynamic",
}
DUCKDB: Mapping[str, str] = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "int": "INTEGER",
    "real": "DOUBLE",
    "decimal": "DOUBLE",
    "bool": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "timespan": "INTERVAL",
    "guid": "VARCHAR",
    "dynamic": "JSON",
}
"""The DuckDB type of each KQL type."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A table that a query made on its way: its name, its columns as KQL knows them, and whether it has rows."""

    name: str
    row: Row
    empty: bool


class Workspace:
    """The tables of one query on a cursor of its own.

    Args:
        cursor: Where temporary views and tables are made; nobody else uses it.
        tables: Table to its columns with their KQL types.
        select: The SQL that yields a table's rows, with the columns under the names that are given to it.
        now: What `now()` means, UTC without a zone.
        time_column: The column of a row's own time.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        tables: Mapping[str, Mapping[str, str]],
        select: Callable[[str, Mapping[str, str]], str],
        now: datetime,
        time_column: str,
    ) -> None:
        self._cursor, self._select = cursor, select
        self.tables, self.now, self.time_column = tables, now, time_column
        self.spelling = Spelling()
        self._columns: dict[str, list[str]] = {}
        self.opened: list[str] = []
        self.stages = 0
        self.columns_of_values = False
        """Whether columns were made of values, so that a name that is missing may be right on other rows."""
        self._macros: set[str] = set()

    def open(self, table: str) -> Row:
        """Lay out a table for the query.

        Raises:
            SemanticFaultError: there is no such table.
        """
        if table not in self.tables:
            raise unresolved_table(table)
        columns = self.tables[table]
        if table not in self._columns:
            spelled = {column: self.spelling.of(column) for column in columns}
            self._run(f"CREATE TEMP VIEW {quoted(table)} AS {self._select(table, spelled)}")
            self._columns[table] = list(spelled.values())
            self.opened.append(table)
        return Row(columns)

    @property
    def staged(self) -> bool:
        """Whether a table was made on the way, so that the last statement alone is not the query."""
        return self.stages > 0

    def answer_again(
        self, statement: Statement, tables: Sequence[str], spelling: Spelling
    ) -> tuple[tuple[tuple[str, str], ...], Sequence[tuple[Any, ...]]]:
        """The answer of a statement that was translated for another cursor."""
        self.spelling = spelling
        for table in tables:
            self.open(table)
        return self.answer(statement)

    def statement(self, query: Rewritten) -> Statement:
        """The SQL of a query over the tables that are laid out."""
        return translated(query, self._columns, self.now)

    def keep(self, statement: Statement) -> Kept:
        """Run a statement into a table of the query's own."""
        self.stages += 1
        name = f"kept_{self.stages}"
        self._run(f"CREATE TEMP TABLE {name} AS {statement.sql}", statement.values)
        described = self._run(f"DESCRIBE {name}").fetchall()
        self._columns[name] = [str(column) for column, *_ in described]
        row = Row({self.spelling.meant(str(column)): kusto_type(str(kind)) for column, kind, *_ in described})
        empty = self._run(f"SELECT count(*) FROM {name}").fetchall()[0][0] == 0
        return Kept(name, row, empty)

    def keep_sql(self, sql: str) -> Kept:
        """Run SQL of ours into a table of the query's own."""
        return self.keep(Statement(sql, {}))

    def combine(self, selects: Sequence[str], columns: Sequence[str]) -> str:
        """A view of tables put together by the names of their columns; its name."""
        self.stages += 1
        name = f"combined_{self.stages}"
        shown = [self.spelling.of(column) for column in columns]
        body = " UNION ALL BY NAME ".join(selects)
        self._run(f"CREATE TEMP VIEW {name} AS SELECT {', '.join(map(quoted, shown))} FROM ({body})")
        self._columns[name] = shown
        return name

    def look(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of SQL of ours."""
        return self._run(sql).fetchall()

    def column(self, name: str) -> str:
        """A column as SQL names it."""
        return quoted(self.spelling.of(name))

    def answer(self, statement: Statement) -> tuple[tuple[tuple[str, str], ...], Sequence[tuple[Any, ...]]]:
        """The columns with their KQL types, and the rows, of the last statement."""
        cursor = self._run(statement.sql, statement.values)
        described = [(str(name), str(kind)) for name, kind, *_ in cursor.description or ()]
        columns = tuple((self.spelling.meant(name), kusto_type(kind)) for name, kind in described)
        return columns, cursor.fetchall()

    def _run(self, sql: str, values: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
        try:
            for macro in macros_for(sql):
                if macro not in self._macros:
                    self._macros.add(macro)
                    self._cursor.execute(macro)
            return self._cursor.execute(sql, dict(values)) if values else self._cursor.execute(sql)
        except duckdb.Error as exc:
            raise _fault(exc) from exc


def kusto_type(kind: str) -> str:
    """The KQL type of a DuckDB type."""
    if kind.startswith("DECIMAL"):
        return "decimal"
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP")):
        return "dynamic"
    return _TYPES.get(kind, "string" if "NULL" in kind else "long" if "INT" in kind else "string")


def _fault(exc: duckdb.Error) -> SemanticFaultError | UnrunnableError:
    """What Kusto would say to what DuckDB says."""
    text = str(exc)
    if isinstance(exc, duckdb.CatalogException):
        table = re.search(r"Table with name (\S+) does not exist", text)
        if table:
            return unresolved_table(table[1])
        function = re.search(r"Function with name (\S+) does not exist", text)
        return UnrunnableError(f"the function {function[1]}" if function else text.splitlines()[0])
    column = re.search(r'(?:Referenced column|column named) "([^"]+)"', text)
    if column:
        return unresolved_column(column[1])
    if isinstance(exc, duckdb.BinderException):
        return SemanticFaultError(f"Operands do not fit: {text.splitlines()[0]}")
    return UnrunnableError(f"this expression: {text.splitlines()[0]}")
