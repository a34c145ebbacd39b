"""CQL (LogScale) over the table of raw sensor events: a chain of common table expressions, one a stage.

Comparison heeds case and `*` is a wildcard; `!=` and `not` also hold for events without the field. A text that is no
CQL is searched as free text, as the vendor does.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...tools.languages import cql
from ...tools.languages.cql import ast
from ...tools.languages.syntax import QuerySyntaxError
from .sql import Clause, QueryRejectedError, joined, like_literal, like_wildcards, quoted
from .telemetry import Telemetry

TABLE = "falcon_events"
MOST_GROUPS = 1_500
"""Rows of an aggregate that does not say how many."""
_TIME = "@timestamp"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search brought."""

    rows: Sequence[dict[str, Any]]
    fields: tuple[str, ...]
    aggregate: bool
    sized: bool
    """Whether the query says how many events it wants."""
    matches: int
    """Events that the first filter let through."""


@dataclass(frozen=True, slots=True)
class _Step:
    """The chain so far: SQL of its last link, its columns, and what is known about it."""

    sql: Clause
    columns: tuple[str, ...]
    aggregate: bool = False
    sized: bool = False
    ordered: bool = False


def run(telemetry: Telemetry, text: str, start: datetime, end: datetime) -> Answer:
    """Execute a query over the events of a window, newest first unless it sorts.

    Raises:
        QueryRejectedError: the query calls a function that the lab cannot run.
    """
    columns = telemetry.tables.get(TABLE, {})
    window = (int(start.timestamp() * 1000), int(end.timestamp() * 1000))
    source = Clause(f'SELECT * FROM {telemetry.place(TABLE)} WHERE "{_TIME}" >= ? AND "{_TIME}" < ?', window)
    try:
        stages = cql.parse(text).stages
    except QuerySyntaxError as exc:
        if exc.code == "unknown_function":
            raise QueryRejectedError(f"the lab cannot run this query: {exc}") from exc
        step = _filtered(_Step(source, tuple(columns)), _free_text(text, columns))
    else:
        step = _Step(source, tuple(columns))
        for stage in stages:
            step = _stage(step, stage)
    final = step.sql
    if not step.ordered and not step.aggregate and _TIME in step.columns:
        final = Clause(f'SELECT * FROM ({final.sql}) ORDER BY "{_TIME}" DESC', final.values)
    if step.aggregate and not step.sized:
        final = Clause(f"SELECT * FROM ({final.sql}) LIMIT {MOST_GROUPS}", final.values)
    result = telemetry.run(final.sql, final.values)
    return Answer(result.records(), step.columns, step.aggregate, step.sized, len(result.rows))


def _stage(step: _Step, stage: ast.Stage) -> _Step:
    match stage:
        case ast.Filter(condition=condition):
            return _filtered(step, _condition(condition, step.columns))
        case ast.Count():
            return _grouped(step, (), (stage,), None)
        case ast.GroupBy(fields=fields, functions=functions, limit=limit):
            return _grouped(step, fields, functions, limit)
        case ast.Sort(fields=fields, order=order, limit=limit):
            return _sorted(step, fields, order, limit)
        case ast.Head(limit=limit):
            return _first(step, "ASC", limit)
        case ast.Tail(limit=limit):
            return _first(step, "DESC", limit)
        case ast.Select(fields=fields):
            return _selected(step, fields)
        case ast.Table(fields=fields, limit=limit):
            newest = step if step.ordered or step.aggregate else _first(step, "DESC", limit)
            chosen = _selected(newest, fields)
            return _Step(_limited(chosen.sql, limit), chosen.columns, aggregate=True, sized=True, ordered=True)


def _filtered(step: _Step, condition: Clause) -> _Step:
    sql = Clause(f"SELECT * FROM ({step.sql.sql}) WHERE {condition.sql}", step.sql.values + condition.values)
    return _Step(sql, step.columns, step.aggregate, step.sized, step.ordered)


def _grouped(step: _Step, fields: Sequence[str], counts: Sequence[ast.Count], limit: int | None) -> _Step:
    """One row for each combination of values; events without one of the fields do not take part."""
    keys = [_column(name, step.columns) for name in fields]
    if None in keys:
        keys, condition = [], Clause("FALSE")
        outputs = [f"NULL AS {quoted(name)}" for name in fields]
    else:
        condition = Clause(" AND ".join(f"{key} IS NOT NULL" for key in keys) or "TRUE")
        outputs = [f"{key} AS {quoted(name)}" for key, name in zip(keys, fields, strict=True)]
    for count in counts:
        of = "*" if count.of is None else _column(count.of, step.columns) or "NULL"
        outputs.append(f"count({'DISTINCT ' if count.distinct else ''}{of}) AS {quoted(count.name)}")
    groups = f" GROUP BY {', '.join(str(key) for key in keys)} ORDER BY ALL" if keys else ""
    if fields and not keys:
        groups = " HAVING count(*) > 0"
    inner = f"SELECT {', '.join(outputs)} FROM ({step.sql.sql}) WHERE {condition.sql}{groups}"
    sql = Clause(inner, step.sql.values)
    names = (*fields, *(count.name for count in counts))
    return _Step(_limited(sql, limit) if limit else sql, names, aggregate=True, sized=limit is not None or not fields)


def _sorted(step: _Step, fields: Sequence[str], order: str, limit: int) -> _Step:
    keys = [_column(name, step.columns) for name in fields]
    terms = [f"TRY_CAST({key} AS DOUBLE) {order} NULLS LAST, {key} {order} NULLS LAST" for key in keys if key]
    by = f" ORDER BY {', '.join(terms)}" if terms else ""
    sql = Clause(f"SELECT * FROM ({step.sql.sql}){by} LIMIT {limit}", step.sql.values)
    return _Step(sql, step.columns, step.aggregate, sized=True, ordered=True)


def _first(step: _Step, direction: str, limit: int) -> _Step:
    by = f' ORDER BY "{_TIME}" {direction}' if _TIME in step.columns else ""
    sql = Clause(f"SELECT * FROM ({step.sql.sql}){by} LIMIT {limit}", step.sql.values)
    return _Step(sql, step.columns, step.aggregate, sized=True, ordered=bool(by))


def _selected(step: _Step, fields: Sequence[str]) -> _Step:
    chosen = ", ".join(f"{_column(name, step.columns) or 'NULL'} AS {quoted(name)}" for name in fields)
    sql = Clause(f"SELECT {chosen} FROM ({step.sql.sql})", step.sql.values)
    ordered = step.ordered or (_TIME not in fields and not step.aggregate)
    if ordered and not step.ordered:
        newest = _first(step, "DESC", 1_000_000)
        sql = Clause(f"SELECT {chosen} FROM ({newest.sql.sql})", newest.sql.values)
    return _Step(sql, tuple(fields), step.aggregate, step.sized, ordered)


def _limited(sql: Clause, limit: int) -> Clause:
    return Clause(f"SELECT * FROM ({sql.sql}) LIMIT {limit}", sql.values)


def _condition(node: ast.Node, columns: Sequence[str]) -> Clause:
    match node:
        case ast.Always():
            return Clause("TRUE")
        case ast.And(parts=parts):
            return joined([_condition(part, columns) for part in parts], "AND")
        case ast.Or(parts=parts):
            return joined([_condition(part, columns) for part in parts], "OR")
        case ast.Not(part=part):
            return _not(_condition(part, columns))
        case ast.In(field=name, values=values):
            column = _column(name, columns)
            return joined([_equal(column, value) for value in values], "OR") if column else Clause("FALSE")
        case ast.Compare(field=name, comparator=comparator, value=value):
            column = _column(name, columns)
            if comparator == "!=":
                return _not(_equal(column, value) if column else Clause("FALSE"))
            if column is None:
                return Clause("FALSE")
            return _equal(column, value) if comparator == "=" else _ordered(column, comparator, value)


def _equal(column: str, value: ast.Text | ast.Regex) -> Clause:
    text = f"CAST({column} AS VARCHAR)"
    if isinstance(value, ast.Regex):
        options = ("i" if value.ignores_case else "c") + ("s" if "d" in value.flags else "")
        return Clause(f"regexp_matches({text}, ?, '{options}')", (value.pattern.replace("\\/", "/"),))
    if value.text == "*":
        return Clause(f"{column} IS NOT NULL")
    if "*" in value.text:
        return Clause(f"{text} LIKE ? ESCAPE '\\'", (like_wildcards(value.text),))
    return Clause(f"{text} = ?", (value.text,))


def _ordered(column: str, comparator: str, value: ast.Text | ast.Regex) -> Clause:
    wanted = value.pattern if isinstance(value, ast.Regex) else value.text
    return Clause(f"TRY_CAST({column} AS DOUBLE) {comparator} TRY_CAST(? AS DOUBLE)", (wanted,))


def _not(clause: Clause) -> Clause:
    return Clause(f"NOT coalesce({clause.sql}, FALSE)", clause.values)


def _column(name: str, columns: Sequence[str]) -> str | None:
    """The field as an SQL identifier; None when no event has it. Names heed case, and a tag may go without its `#`."""
    for candidate in (name, name.removeprefix("#"), f"#{name}"):
        if candidate in columns:
            return quoted(candidate)
    return None


def _free_text(text: str, columns: Mapping[str, str]) -> Clause:
    """Every word of the text up to the first stage, somewhere in the event, in any case."""
    words = re.findall(r'"([^"]*)"|([^\s|"()\[\],]+)', text.split("|")[0])
    wanted = [quoted_text or bare for quoted_text, bare in words if quoted_text or bare]
    names = ", ".join(quoted(name) for name, kind in columns.items() if kind == "VARCHAR")
    if not wanted or not names:
        return Clause("FALSE")
    whole = f"concat_ws(' ', {names})"
    return joined([Clause(f"{whole} ILIKE ? ESCAPE '\\'", (f"%{like_literal(word)}%",)) for word in wanted], "AND")
