"""KQL over the lab's Microsoft tables: every call of duckdb-kql is in this module.

A query sees the tables of its own API and no others, as temporary views that are cut to the time span. `now()` and
`ago()` mean the lab's clock. What the translator cannot run is an `UnrunnableError`, never an approximation.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

import duckdb
import duckdb_kql
from duckdb_kql import KqlError, KqlSchemaError, KqlSyntaxError, KqlUnsupportedError

from ...tools.languages.kql import schema
from .kql_rewrites import rewritten
from .sql import naive, quoted
from .telemetry import Telemetry, fetch

Surface = Literal["sentinel", "defender"]

TIME_COLUMNS = ("TimeGenerated", "Timestamp")
_ANY_TIME = naive(datetime(2000, 1, 1, tzinfo=UTC))
_CACHED = 512
_DEFENDER = re.compile(r"(Device|Identity|Alert)[A-Z]")
_OURS = re.compile(r"(falcon_|s1_|lab_)")
_SETS_CLOCK = re.compile(r"\bset\s+query_now\b", re.IGNORECASE)
_LEAVES = re.compile(r"\b(?P<name>database|cluster|workspace|app|adx|arg|external_table)\s*\(", re.IGNORECASE)
_LITERALS = re.compile(r"""//[^\n]*|@?"(?:[^"\\\n]|\\.)*"|@?'(?:[^'\\\n]|\\.)*'|```.*?```""", re.DOTALL)
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
_DUCKDB: Mapping[str, str] = {
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


class UnrunnableError(Exception):
    """The lab cannot run a construct of this query, though the vendor may."""

    def __init__(self, construct: str) -> None:
        super().__init__(f"the lab cannot run {construct}")
        self.construct = construct


class SyntaxFaultError(Exception):
    """The text is not KQL."""


class SemanticFaultError(Exception):
    """A table, column or function that does not exist here, or values of the wrong type."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A table: columns with their KQL types, and rows."""

    columns: tuple[tuple[str, str], ...]
    rows: Sequence[tuple[Any, ...]]


class Engine:
    """Runs KQL for one API: `sentinel` (Log Analytics) or `defender` (hunting)."""

    def __init__(self, telemetry: Telemetry, surface: Surface, now: datetime) -> None:
        self._telemetry, self._surface, self._now = telemetry, surface, naive(now)
        self._translated: dict[str, tuple[str, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    @cached_property
    def tables(self) -> dict[str, dict[str, str]]:
        """Table to its columns with their KQL types: those that hold rows here, and the documented ones without any."""
        held = {name: columns for name, columns in self._telemetry.tables.items() if not _OURS.match(name)}
        documented = schema.tables(self._surface)
        found: dict[str, dict[str, str]] = {
            name: _apart(columns) for name, columns in documented.items() if name not in held and self._serves(name)
        }
        for name, columns in held.items():
            if self._serves(name):
                known = documented.get(name) or columns
                found[name] = {column: kusto_type(kind) for column, kind in columns.items() if column in known}
        return found

    def _serves(self, table: str) -> bool:
        return bool(_DEFENDER.match(table)) == (self._surface == "defender")

    def run(self, text: str, start: datetime | None = None, end: datetime | None = None) -> Answer:
        """Execute a query over the rows of a time span (start included, end excluded; None: unbounded).

        Raises:
            SyntaxFaultError: the text is not KQL.
            SemanticFaultError: it names what does not exist here.
            UnrunnableError: it uses what the lab cannot run.
        """
        sql, values = self._translate(text)
        cursor = self._telemetry.cursor()
        try:
            for view in self._views(text, start, end):
                cursor.execute(view)
            result = fetch(cursor, sql, values)
        except duckdb.Error as exc:
            raise _fault(exc) from exc
        finally:
            cursor.close()
        return Answer(tuple((name, kusto_type(kind)) for name, kind in result.columns), result.rows)

    def _translate(self, text: str) -> tuple[str, dict[str, Any]]:
        with self._lock:
            if text not in self._translated:
                if len(self._translated) >= _CACHED:
                    self._translated.pop(next(iter(self._translated)))
                self._translated[text] = self._fresh(text)
            return self._translated[text]

    def _fresh(self, text: str) -> tuple[str, dict[str, Any]]:
        time = "TimeGenerated" if self._surface == "sentinel" else "Timestamp"
        tables = {name: list(columns) for name, columns in self.tables.items()}
        return _to_sql(rewritten(text, time), tables, self._now)

    def _views(self, text: str, start: datetime | None, end: datetime | None) -> list[str]:
        """The tables that the text may mean, each cut to the span."""
        wild = "*" in text
        return [
            f"CREATE TEMP VIEW {quoted(name)} AS {self._rows_of(name, columns, start, end)}"
            for name, columns in self.tables.items()
            if wild or name in text
        ]

    def _rows_of(self, name: str, columns: Mapping[str, str], start: datetime | None, end: datetime | None) -> str:
        if name not in self._telemetry.tables:
            nothing = ", ".join(
                f"CAST(NULL AS {_DUCKDB[kind]}) AS {quoted(column)}" for column, kind in columns.items()
            )
            return f"SELECT {nothing} WHERE FALSE"
        chosen = ", ".join(quoted(column) for column in columns)
        times = [quoted(column) for column in TIME_COLUMNS if column in self._telemetry.tables[name]]
        return f"SELECT {chosen} FROM {self._telemetry.place(name)}{_span(times, start, end)}"


def unsupported(text: str) -> str | None:
    """The construct of a query that the lab cannot run, whatever the API; None when there is none."""
    tables = {name: list(_apart(columns)) for name, columns in schema.tables().items()}
    try:
        _to_sql(rewritten(text, "TimeGenerated"), tables, _ANY_TIME)
    except UnrunnableError as exc:
        return exc.construct
    except (SyntaxFaultError, SemanticFaultError):
        return None
    return None


def _to_sql(text: str, tables: dict[str, list[str]], now: datetime) -> tuple[str, dict[str, Any]]:
    """DuckDB SQL and its parameters; `now` is UTC without a zone."""
    code = _LITERALS.sub("''", text)
    if code.lstrip().startswith("."):
        raise SyntaxFaultError("control commands are not allowed in a query")
    if _SETS_CLOCK.search(code):
        raise UnrunnableError("a statement that sets query_now")
    if leaves := _LEAVES.search(code):
        raise UnrunnableError(f"{leaves['name']}()")
    try:
        sql = duckdb_kql.to_sql(text, schema=tables, allow_write=False, query_now=now, functions=[])
    except KqlSyntaxError as exc:
        raise SyntaxFaultError(str(exc)) from exc
    except KqlUnsupportedError as exc:
        raise UnrunnableError(f"{exc.construct}{f' ({exc.hint})' if exc.hint else ''}") from exc
    except KqlSchemaError as exc:
        raise SemanticFaultError(f"Failed to resolve table or column expression named '{exc.name}'") from exc
    except KqlError as exc:
        raise SemanticFaultError(str(exc)) from exc
    return str(sql), dict(sql.parameters)


def kusto_type(kind: str) -> str:
    """The KQL type of a DuckDB type."""
    if kind.startswith("DECIMAL"):
        return "decimal"
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP")):
        return "dynamic"
    return _TYPES.get(kind, "string" if "NULL" in kind else "long" if "INT" in kind else "string")


def _apart(columns: Mapping[str, str]) -> dict[str, str]:
    """Without the columns that differ from an earlier one in case alone: DuckDB cannot tell them apart."""
    first: dict[str, str] = {}
    for column in columns:
        first.setdefault(column.casefold(), column)
    return {column: columns[column] for column in first.values()}


def time_column(columns: Mapping[str, Any]) -> str | None:
    """The column that a time span cuts by."""
    return next((name for name in TIME_COLUMNS if name in columns), None)


def _span(times: Sequence[str], start: datetime | None, end: datetime | None) -> str:
    """The condition of a time span on a table whose time is the first of these columns that has a value."""
    if not times:
        return ""
    time = times[0] if len(times) == 1 else f"coalesce({', '.join(times)})"
    bounds = [
        f"{time} {sign} TIMESTAMP '{naive(bound).isoformat(sep=' ')}'"
        for sign, bound in ((">=", start), ("<", end))
        if bound
    ]
    return f" WHERE {' AND '.join(bounds)}" if bounds else ""


def _fault(exc: duckdb.Error) -> SemanticFaultError | UnrunnableError:
    """What Kusto would say to what DuckDB says."""
    text = str(exc)
    if isinstance(exc, duckdb.CatalogException):
        table = re.search(r"Table with name (\S+) does not exist", text)
        if table:
            return SemanticFaultError(f"Failed to resolve table or column expression named '{table[1]}'")
        function = re.search(r"Function with name (\S+) does not exist", text)
        return UnrunnableError(f"the function {function[1]}" if function else text.splitlines()[0])
    column = re.search(r'(?:Referenced column|column named) "([^"]+)"', text)
    if column:
        return SemanticFaultError(f"Failed to resolve scalar expression named '{column[1]}'")
    if isinstance(exc, duckdb.BinderException):
        return SemanticFaultError(f"Operands do not fit: {text.splitlines()[0]}")
    return UnrunnableError(f"this expression: {text.splitlines()[0]}")
