"""PowerQuery (Singularity Data Lake) over the table of endpoint events: a chain of common table expressions, one a stage.

Fields bear their S1QL 2.0 names; one that no event has is missing everywhere, as in the data lake. `=` and `in` mind
case, `contains` and `matches` ignore it unless they say `:matchcase`. A negation also holds for events without the
field. Rows come newest first and groups in the order of their keys, unless the query sorts; without `limit` there are
at most 1,000.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from ...tools.languages import powerquery
from ...tools.languages.powerquery import (
    Columns,
    Command,
    Expression,
    Filter,
    Group,
    Let,
    Limit,
    Named,
    SaveLookup,
    Sort,
    label,
)
from ...tools.languages.powerquery.schema import MOST_ROWS, same_as
from ...tools.languages.s1ql.schema import lookup
from ...tools.languages.syntax import QuerySyntaxError
from .sql import Clause, QueryRejectedError, naive, quoted
from .sql_powerquery_values import Kind, Typed, Values, kind_of
from .telemetry import Telemetry

TABLE = "s1_events"
_OWN = {"id": "event.id", "traceId": "trace.id"}
"""Columns of the table that are no field of S1QL 1.0."""
_TIME = "eventTime"


class Table(NamedTuple):
    """The answer: names of columns, and rows in their order."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class _Step:
    """The chain so far, and the columns of its last link under the names that the query knows.

    In SQL columns are called `c0`, `c1`, ... and the order of rows is a column `o`: no name of the query is an identifier.
    """

    links: tuple[Clause, ...]
    columns: Mapping[str, Typed]
    limited: bool = False

    @property
    def last(self) -> str:
        return f"s{len(self.links) - 1}"

    def then(self, sql: Clause, columns: Mapping[str, Typed] | None = None, *, limited: bool = False) -> "_Step":
        return _Step((*self.links, sql), self.columns if columns is None else columns, self.limited or limited)


def run(telemetry: Telemetry, text: str, start: datetime, end: datetime) -> Table:
    """Execute a query over the events of a window, start included and end excluded.

    Raises:
        QueryRejectedError: the text is not PowerQuery, or the lab cannot run it; the message names the construct.
    """
    step = _source(telemetry, start, end)
    try:
        query = powerquery.parse(text)
    except QuerySyntaxError as exc:
        raise QueryRejectedError(str(exc)) from exc
    if query.condition is not None:
        step = _filtered(step, query.condition)
    for command in query.commands:
        step = _command(step, command)
    chain = ", ".join(f"s{number} AS ({link.sql})" for number, link in enumerate(step.links))
    chosen = ", ".join(column.clause.sql for column in step.columns.values())
    cap = "" if step.limited else f" LIMIT {MOST_ROWS}"
    values = tuple(value for link in step.links for value in link.values)
    result = telemetry.run(f"WITH {chain} SELECT {chosen} FROM {step.last} ORDER BY o{cap}", values)
    return Table(tuple(step.columns), result.rows)


def unsupported(text: str) -> str | None:
    """The construct that the lab cannot run, or None when it runs the query (or the query is wrong anyway)."""
    try:
        query = powerquery.parse(text)
    except QuerySyntaxError as exc:
        return exc.message if exc.code == "unknown_function" else None
    return "savelookup" if any(isinstance(command, SaveLookup) for command in query.commands) else None


def _source(telemetry: Telemetry, start: datetime, end: datetime) -> _Step:
    """The window's events under their 2.0 names."""
    chosen: list[str] = []
    columns: dict[str, Typed] = {}
    for column, kind in telemetry.tables.get(TABLE, {}).items():
        known = lookup(column)
        name = known.v2 if known is not None and known.v2 else _OWN.get(column)
        if name is None or name in columns:
            continue
        place = f"c{len(chosen)}"
        chosen.append(f"{quoted(column)} AS {place}")
        columns[name] = Typed(Clause(place), kind_of(kind))
    for name, twin in same_as().items():
        if twin in columns:
            columns[name] = columns[twin]
    sql = (
        f'SELECT {", ".join(chosen)}, -epoch_us("{_TIME}") AS o FROM {telemetry.place(TABLE)} '
        f'WHERE "{_TIME}" >= ? AND "{_TIME}" < ?'
    )
    return _Step((Clause(sql, (naive(start), naive(end))),), columns)


def _command(step: _Step, command: Command) -> _Step:
    match command:
        case Filter(condition=condition):
            return _filtered(step, condition)
        case Columns(items=items):
            return _selected(step, items, keep=False)
        case Let(items=items):
            for item in items:
                step = _selected(step, (item,), keep=True)
            return step
        case Group(aggregates=aggregates, by=by):
            return _grouped(step, aggregates, by)
        case Sort():
            return _sorted(step, command)
        case Limit(count=count):
            return step.then(Clause(f"SELECT * FROM {step.last} ORDER BY o LIMIT {count}"), limited=True)
        case SaveLookup():
            raise QueryRejectedError("savelookup writes, and the lab only reads")


def _filtered(step: _Step, condition: Expression) -> _Step:
    kept = Values(step.columns).truth(condition)
    return step.then(Clause(f"SELECT * FROM {step.last} WHERE ") + kept)


def _selected(step: _Step, items: Sequence[Named], *, keep: bool) -> _Step:
    """The columns of some expressions, beside those that are there or instead of them."""
    values = Values(step.columns)
    first = _free(step)
    made = {label(item): values.typed(item.expression) for item in items}
    chosen = [found.clause + Clause(f" AS c{first + number}") for number, found in enumerate(made.values())]
    columns = {
        name: Typed(Clause(f"c{first + number}"), found.kind) for number, (name, found) in enumerate(made.items())
    }
    sql = Clause("SELECT ") + _listed(chosen) + Clause(f", {'*' if keep else 'o'} FROM {step.last}")
    return step.then(sql, {**step.columns, **columns} if keep else columns)


def _grouped(step: _Step, aggregates: Sequence[Named], by: Sequence[Named]) -> _Step:
    """One row for each combination of the keys; events without a key make a group of their own."""
    values = Values(step.columns)
    keys = {label(item): values.typed(item.expression) for item in by}
    found = keys | {label(item): values.aggregated(item.expression) for item in aggregates}
    chosen = _listed([column.clause + Clause(f" AS c{number}") for number, column in enumerate(found.values())])
    places = ", ".join(f"c{number}" for number in range(len(keys)))
    groups = f" GROUP BY {', '.join(str(number + 1) for number in range(len(keys)))}" if keys else ""
    order = f"row_number() OVER (ORDER BY {places})" if keys else "1"
    inner = Clause("SELECT ") + chosen + Clause(f" FROM {step.last}{groups}")
    sql = Clause(f"SELECT *, {order} AS o FROM (") + inner + Clause(")")
    columns = {name: Typed(Clause(f"c{number}"), column.kind) for number, (name, column) in enumerate(found.items())}
    return step.then(sql, columns)


def _sorted(step: _Step, sort: Sort) -> _Step:
    values = Values(step.columns)
    terms: list[Clause] = []
    for key in sort.keys:
        direction = f" {'DESC' if key.descending else 'ASC'} NULLS LAST"
        found = values.typed(key.expression)
        if found.kind is Kind.TEXT:
            # Most numbers of the events are stored as text.
            terms.append(values.number(found) + Clause(direction))
        terms.append(found.clause + Clause(direction))
    sql = Clause("SELECT * REPLACE (row_number() OVER (ORDER BY ") + _listed([*terms, Clause("o")])
    return step.then(sql + Clause(f") AS o) FROM {step.last}"))


def _free(step: _Step) -> int:
    """A number that no column of the chain bears yet."""
    return 1 + max(int(column.clause.sql[1:]) for column in step.columns.values())


def _listed(clauses: Sequence[Clause]) -> Clause:
    whole = Clause("")
    for number, clause in enumerate(clauses):
        whole = whole + Clause(", " if number else "") + clause
    return whole
