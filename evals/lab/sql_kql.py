"""KQL over the lab's Microsoft tables.

A query sees the tables of its own API and no others, as temporary views that are cut to the time span. `now()` and
`ago()` mean the lab's clock. What cannot run is an `UnrunnableError`, never an approximation.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property, lru_cache
from typing import Any, Literal

import duckdb

from ...tools.languages.kql import ast, check, parser, schema
from ...tools.languages.syntax import QuerySyntaxError
from .kql.faults import SemanticFaultError, SyntaxFaultError, UnrunnableError
from .kql.rewriter import Rewriter
from .kql.spelling import Spelling
from .kql.translation import Statement
from .kql.workspace import DUCKDB, Workspace, kusto_type
from .sql import naive, quoted
from .telemetry import Telemetry

__all__ = ["Answer", "Engine", "SemanticFaultError", "SyntaxFaultError", "UnrunnableError", "kusto_type", "unsupported"]
Surface = Literal["sentinel", "defender"]

TIME_COLUMNS = ("TimeGenerated", "Timestamp")
_ANY_TIME = naive(datetime(2000, 1, 1, tzinfo=UTC))
_CACHED = 512
_DEFENDER = re.compile(r"(Device|Identity|Alert)[A-Z]")
_OURS = re.compile(r"(falcon_|s1_|lab_)")


@dataclass(frozen=True, slots=True)
class Answer:
    """A table: columns with their KQL types, and rows."""

    columns: tuple[tuple[str, str], ...]
    rows: Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A query without stages: its SQL, the tables that it reads, and how their columns are spelt for DuckDB."""

    statement: Statement
    tables: tuple[str, ...]
    spelling: Spelling


class Engine:
    """Runs KQL for one API: `sentinel` (Log Analytics) or `defender` (hunting)."""

    def __init__(self, telemetry: Telemetry, surface: Surface, now: datetime) -> None:
        self._telemetry, self._surface, self._now = telemetry, surface, naive(now)
        self._plans: dict[str, _Plan] = {}
        self._lock = threading.Lock()

    @cached_property
    def tables(self) -> dict[str, dict[str, str]]:
        """Table to its columns with their KQL types: those that hold rows here, and the documented ones without any."""
        held = {name: columns for name, columns in self._telemetry.tables.items() if not _OURS.match(name)}
        documented = schema.tables(self._surface)
        found: dict[str, dict[str, str]] = {
            name: dict(columns) for name, columns in documented.items() if name not in held and self._serves(name)
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
        time = "TimeGenerated" if self._surface == "sentinel" else "Timestamp"

        def select(table: str, spelled: Mapping[str, str]) -> str:
            return self._rows_of(table, spelled, start, end)

        cursor = self._telemetry.cursor()
        try:
            workspace = Workspace(cursor, self.tables, select, self._now, time)
            with self._lock:
                plan = self._plans.get(text)
            if plan is not None:
                return Answer(*workspace.answer_again(plan.statement, plan.tables, plan.spelling))
            statement, answer = _answered(text, workspace)
            if not workspace.staged:
                self._remember(text, _Plan(statement, tuple(workspace.opened), workspace.spelling))
            return answer
        finally:
            cursor.close()

    def _remember(self, text: str, plan: _Plan) -> None:
        with self._lock:
            if len(self._plans) >= _CACHED:
                self._plans.pop(next(iter(self._plans)))
            self._plans[text] = plan

    def _rows_of(self, name: str, spelled: Mapping[str, str], start: datetime | None, end: datetime | None) -> str:
        if name not in self._telemetry.tables:
            return nothing(self.tables[name], spelled)
        chosen = ", ".join(f"{quoted(column)} AS {quoted(shown)}" for column, shown in spelled.items())
        times = [quoted(column) for column in TIME_COLUMNS if column in self._telemetry.tables[name]]
        return f"SELECT {chosen} FROM {self._telemetry.place(name)}{_span(times, start, end)}"


def nothing(columns: Mapping[str, str], spelled: Mapping[str, str]) -> str:
    """SQL of a table without rows, with the types of its columns."""
    shown = ", ".join(f"CAST(NULL AS {DUCKDB[kind]}) AS {quoted(spelled[column])}" for column, kind in columns.items())
    return f"SELECT {shown} WHERE FALSE"


@lru_cache(maxsize=_CACHED)
def unsupported(text: str) -> str | None:
    """The construct of a query that the lab cannot run, whatever the API; None when there is none.

    The query runs on empty tables of the documented types, by the code that runs it on telemetry.
    """
    try:
        run_on_nothing(text, schema.tables())
    except UnrunnableError as exc:
        return exc.construct
    except (SyntaxFaultError, SemanticFaultError):
        return None
    return None


def run_on_nothing(text: str, tables: Mapping[str, Mapping[str, str]], time_column: str = "TimeGenerated") -> Answer:
    """Execute a query on tables without rows.

    Raises:
        SyntaxFaultError: the text is not KQL.
        SemanticFaultError: it names what these tables do not have.
        UnrunnableError: it uses what the lab cannot run.
    """

    def select(table: str, spelled: Mapping[str, str]) -> str:
        return nothing(tables[table], spelled)

    cursor = _memory().cursor()
    try:
        cursor.execute("SET TimeZone = 'UTC'")
        workspace = Workspace(cursor, tables, select, _ANY_TIME, time_column)
        return _answered(text, workspace)[1]
    finally:
        cursor.close()


@cache
def _memory() -> duckdb.DuckDBPyConnection:
    """A database without tables and without a way out."""
    database = duckdb.connect()
    database.execute("SET enable_external_access = false")
    return database


def _answered(text: str, workspace: Workspace) -> tuple[Statement, Answer]:
    """The last statement of a query, and what it yields."""
    tree = _parsed(text)
    try:
        statement = workspace.statement(Rewriter(workspace).query(tree))
        return statement, Answer(*workspace.answer(statement))
    except SemanticFaultError as exc:
        if workspace.columns_of_values or not check(text, schema=workspace.tables).ok:
            raise
        raise UnrunnableError(f"an expression of this query: {exc}") from exc


def _parsed(text: str) -> ast.Query:
    try:
        return parser.parse(text)
    except QuerySyntaxError as exc:
        before = text[: exc.start]
        place = f"{before.count(chr(10)) + 1}:{exc.start - before.rfind(chr(10)) - 1}"
        raise SyntaxFaultError(f"could not parse KQL at {place}: {exc.message}") from exc


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
