"""CQL (LogScale) over the table of raw sensor events: a chain of common table expressions, one a stage.

Comparison heeds case and `*` is a wildcard; `!=` and `not` also hold for events without the field. A text that is no
CQL is searched as free text, as the vendor does.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ...tools.languages import cql
from ...tools.languages.cql import ast
from ...tools.languages.cql.conditions import RAW
from ...tools.languages.syntax import QuerySyntaxError
from .sql import Clause, QueryRejectedError, joined, like_literal, like_wildcards, quoted
from .sql_blocks import within
from .tables import tables
from .telemetry import Telemetry

TABLE = "falcon_events"
MOST_GROUPS = 1_500
"""Rows of an aggregate that does not say how many."""
CANNOT = "the lab cannot run this query: "
"""What the message begins with when a query is right and the lab lacks a construct, which follows."""
_TIME = "@timestamp"
_BUCKET = "_bucket"
_GROUP = re.compile(r"\(\?<(?=[A-Za-z_])")


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
            raise QueryRejectedError(f"{CANNOT}{exc}") from exc
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


def unsupported(text: str) -> str | None:
    """The construct that the lab cannot run, or None when it runs the query (or the query is wrong anyway)."""
    try:
        stages = cql.parse(text).stages
    except QuerySyntaxError as exc:
        return exc.message if exc.code == "unknown_function" else None
    step = _Step(Clause("SELECT 1"), tuple(tables()[TABLE]))
    try:
        for stage in stages:
            step = _stage(step, stage)
    except QueryRejectedError as exc:
        _, named, construct = str(exc).partition(CANNOT)
        return construct if named else None
    return None


def _stage(step: _Step, stage: ast.Stage) -> _Step:
    match stage:
        case ast.Filter(condition=condition):
            return _extracted(_filtered(step, _condition(condition, step.columns)), condition)
        case ast.Assign(field=name, value=value):
            return _with(step, name, _value(value, step.columns))
        case ast.Case():
            return _branched(step, stage)
        case ast.Count() | ast.Aggregate():
            return _grouped(step, (), (stage,), None)
        case ast.GroupBy(fields=fields, functions=functions, limit=limit):
            return _grouped(step, fields, functions, limit)
        case ast.Bucket(milliseconds=span, fields=fields, functions=functions):
            start = Clause(f'CAST(floor("{_TIME}" / {span}) * {span} AS BIGINT)')
            return _grouped(_with(step, _BUCKET, start), (_BUCKET, *fields), functions, None)
        case ast.Top(fields=fields, limit=limit, name=name):
            counted = _grouped(step, fields, (ast.Count(name=name),), None)
            return _sorted(counted, (name,), "desc", limit)
        case ast.Sort(fields=fields, order=order, limit=limit):
            return _sorted(step, fields, order, limit)
        case ast.Head(limit=limit):
            return _first(step, "ASC", limit)
        case ast.Tail(limit=limit):
            return _first(step, "DESC", limit)
        case ast.Select(fields=fields):
            return _selected(step, fields)
        case ast.Table(fields=fields, limit=limit, sort_by=sort_by, order=order):
            if sort_by is not None:
                step = _sorted(step, (sort_by,), order, limit)
            newest = step if step.ordered or step.aggregate else _first(step, "DESC", limit)
            chosen = _selected(newest, fields)
            return _Step(_limited(chosen.sql, limit), chosen.columns, aggregate=True, sized=True, ordered=True)
        case ast.Drop(fields=fields):
            return _without(step, fields)
        case ast.Rename(pairs=pairs):
            for old, new in pairs:
                column = _column(old, step.columns)
                if column is not None:
                    step = _without(_with(step, new, Clause(column)), (old,) if old != new else ())
            return step


def _filtered(step: _Step, condition: Clause) -> _Step:
    sql = Clause(f"SELECT * FROM ({step.sql.sql}) WHERE {condition.sql}", step.sql.values + condition.values)
    return _Step(sql, step.columns, step.aggregate, step.sized, step.ordered)


def _with(step: _Step, name: str, value: Clause) -> _Step:
    """The step with one more field, or another value in a field that is there."""
    old = next((column for column in step.columns if column.lower() == name.lower()), None)
    if old is None:
        before, columns = f"SELECT *, {value.sql} AS {quoted(name)}", (*step.columns, name)
    elif old == name:
        before, columns = f"SELECT * REPLACE ({value.sql} AS {quoted(name)})", step.columns
    else:
        raise QueryRejectedError(f"{CANNOT}{name} beside {old}, which differ in case alone")
    sql = Clause(f"{before} FROM ({step.sql.sql})", value.values + step.sql.values)
    return replace(step, sql=sql, columns=columns)


def _without(step: _Step, names: Sequence[str]) -> _Step:
    gone = [name for name in step.columns if name in names]
    kept = tuple(name for name in step.columns if name not in gone)
    if not gone or not kept:
        return step
    listed = ", ".join(map(quoted, gone))
    sql = Clause(f"SELECT * EXCLUDE ({listed}) FROM ({step.sql.sql})", step.sql.values)
    return replace(step, sql=sql, columns=kept)


def _extracted(step: _Step, condition: ast.Node) -> _Step:
    """The named groups of the patterns that every event passed, as fields."""
    match condition:
        case ast.And(parts=parts):
            for part in parts:
                step = _extracted(step, part)
        case ast.Compare(field=name, comparator="=", value=ast.Regex() as value) if "(?<" in value.pattern:
            column, pattern = _column(name, step.columns), _re2(value)
            try:
                groups = re.compile(pattern).groupindex
            except re.error as exc:
                raise QueryRejectedError(f"not a regular expression: {exc}") from exc
            for group, place in groups.items():
                found = f"regexp_extract(CAST({column or 'NULL'} AS VARCHAR), ?, {place}, '{_options(value)}')"
                step = _with(step, group, Clause(found, (pattern,)))
        case _:
            pass
    return step


def _value(value: ast.Ref | ast.Text | ast.Call, columns: Sequence[str]) -> Clause:
    """What a field is assigned."""
    match value:
        case ast.Text(text=text):
            return Clause("CAST(? AS VARCHAR)", (text,))
        case ast.Ref(field=name):
            return Clause(_text_of(name, columns))
        case ast.Call(function="concat", fields=fields):
            return Clause(f"concat({', '.join(_text_of(name, columns) for name in fields)})")
        case ast.Call(function="replace", fields=(name, *_), pattern=ast.Regex() as pattern, text=text):
            # LogScale writes a group as $1, RE2 as a backslash and the number.
            new = re.sub(r"\$(\d)", r"\\\1", text.replace("\\", "\\\\"))
            sql = f"regexp_replace({_text_of(name, columns)}, ?, ?, '{_options(pattern)}g')"
            return Clause(sql, (_re2(pattern), new))
        case ast.Call(function=function, fields=fields):
            text = f"{function}({_text_of(fields[0], columns)})"
            return Clause(f"CAST({text} AS VARCHAR)")


def _branched(step: _Step, stage: ast.Case) -> _Step:
    """Each event takes the first branch that it meets; one that meets none goes."""
    tests = [_condition(branch.condition, step.columns) for branch in stage.branches]
    names = tuple(dict.fromkeys(item.field for branch in stage.branches for item in branch.assignments))
    before = step
    step = _filtered(step, joined(tests, "OR"))
    for name in names:
        held = _column(name, before.columns)
        whole = Clause("CASE")
        for test, branch in zip(tests, stage.branches, strict=True):
            given = [item for item in branch.assignments if item.field == name]
            value = _value(given[-1].value, before.columns) if given else Clause(f"CAST({held or 'NULL'} AS VARCHAR)")
            whole += Clause(f" WHEN {test.sql} THEN ", test.values) + value
        step = _with(step, name, whole + Clause(" END"))
    return step


def _summary(item: ast.Summary, columns: Sequence[str]) -> list[str]:
    """The columns that an aggregate makes."""
    if isinstance(item, ast.Count):
        of = "*" if item.of is None else _column(item.of, columns) or "NULL"
        return [f"count({'DISTINCT ' if item.distinct else ''}{of}) AS {quoted(item.name)}"]
    if item.name:
        number = f"TRY_CAST({_column(item.fields[0], columns) or 'NULL'} AS DOUBLE)"
        return [f"{item.function}({number}) AS {quoted(item.name)}"]
    made = []
    for name in item.fields:
        text = _text_of(name, columns)
        if item.function == "collect":
            listed = f"list_sort(list(DISTINCT {text}) FILTER (WHERE {text} IS NOT NULL))"
            made.append(f"array_to_string({listed}, chr(10)) AS {quoted(name)}")
        elif _TIME in columns:
            made.append(f'arg_max({text}, "{_TIME}") AS {quoted(name)}')
        else:
            raise QueryRejectedError(f"{CANNOT}selectLast() without {_TIME}")
    return made


def _grouped(step: _Step, fields: Sequence[str], functions: Sequence[ast.Summary], limit: int | None) -> _Step:
    """One row for each combination of values; events without one of the fields do not take part."""
    keys = [_column(name, step.columns) for name in fields]
    if None in keys:
        keys, condition = [], Clause("FALSE")
        outputs = [f"NULL AS {quoted(name)}" for name in fields]
    else:
        condition = Clause(" AND ".join(f"{key} IS NOT NULL" for key in keys) or "TRUE")
        outputs = [f"{key} AS {quoted(name)}" for key, name in zip(keys, fields, strict=True)]
    outputs += [made for item in functions for made in _summary(item, step.columns)]
    groups = f" GROUP BY {', '.join(str(key) for key in keys)} ORDER BY ALL" if keys else ""
    if fields and not keys:
        groups = " HAVING count(*) > 0"
    inner = f"SELECT {', '.join(outputs)} FROM ({step.sql.sql}) WHERE {condition.sql}{groups}"
    sql = Clause(inner, step.sql.values)
    made_names = [
        name for item in functions for name in (item.names if isinstance(item, ast.Aggregate) else (item.name,))
    ]
    names = (*fields, *made_names)
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
        case ast.In(field=name, values=values, ignore_case=ignore_case):
            column = _column(name, columns)
            return joined([_equal(column, value, ignore_case) for value in values], "OR") if column else Clause("FALSE")
        case ast.Cidr(field=name, blocks=blocks):
            column = _column(name, columns) or "NULL"
            return joined([within(block.text, f"CAST({column} AS VARCHAR)", (), CANNOT) for block in blocks], "OR")
        case ast.Test(left=left, comparator=comparator, right=right):
            return _tested(_value(left, columns), comparator, _value(right, columns))
        case ast.Compare(field=name, comparator=comparator, value=value):
            column = _column(name, columns)
            if comparator == "!=":
                return _not(_equal(column, value) if column else Clause("FALSE"))
            if column is None:
                return Clause("FALSE")
            return _equal(column, value) if comparator == "=" else _ordered(column, comparator, value)


def _equal(column: str, value: ast.Text | ast.Regex, ignore_case: bool = False) -> Clause:
    text = f"CAST({column} AS VARCHAR)"
    if isinstance(value, ast.Regex):
        return Clause(f"regexp_matches({text}, ?, '{_options(value)}')", (_re2(value),))
    if value.text == "*":
        return Clause(f"{column} IS NOT NULL")
    if "*" in value.text:
        return Clause(f"{text} {'I' if ignore_case else ''}LIKE ? ESCAPE '\\'", (like_wildcards(value.text),))
    if ignore_case:
        return Clause(f"lower({text}) = lower(?)", (value.text,))
    return Clause(f"{text} = ?", (value.text,))


def _tested(left: Clause, comparator: str, right: Clause) -> Clause:
    """Two values compared: as numbers where both are, as text otherwise."""
    sign = "=" if comparator == "==" else comparator
    numbers = f"TRY_CAST({left.sql} AS DOUBLE) {sign} TRY_CAST({right.sql} AS DOUBLE)"
    texts = f"({left.sql}) {sign} ({right.sql})"
    whole = Clause(f"coalesce({numbers}, {texts})", (left.values + right.values) * 2)
    # What is missing differs from everything.
    return Clause(f"coalesce({whole.sql}, TRUE)", whole.values) if sign == "!=" else whole


def _options(value: ast.Regex) -> str:
    return ("i" if value.ignores_case else "c") + ("s" if "d" in value.flags else "")


def _re2(value: ast.Regex) -> str:
    """The pattern as RE2 reads it: without the slashes' backslashes, named groups with a P, `^` of lines by its flag."""
    pattern = _GROUP.sub("(?P<", value.pattern.replace("\\/", "/"))
    return f"(?m){pattern}" if "m" in value.flags else pattern


def _ordered(column: str, comparator: str, value: ast.Text | ast.Regex) -> Clause:
    wanted = value.pattern if isinstance(value, ast.Regex) else value.text
    return Clause(f"TRY_CAST({column} AS DOUBLE) {comparator} TRY_CAST(? AS DOUBLE)", (wanted,))


def _not(clause: Clause) -> Clause:
    return Clause(f"NOT coalesce({clause.sql}, FALSE)", clause.values)


def _column(name: str, columns: Sequence[str]) -> str | None:
    """The field as an SQL expression; None when no event has it. Names heed case, and a tag may go without its `#`."""
    for candidate in (name, name.removeprefix("#"), f"#{name}"):
        if candidate in columns:
            return quoted(candidate)
    if name == RAW:
        return f"concat_ws(' ', {', '.join(map(quoted, columns))})"
    return None


def _text_of(name: str, columns: Sequence[str]) -> str:
    return f"CAST({_column(name, columns) or 'NULL'} AS VARCHAR)"


def _free_text(text: str, columns: Mapping[str, str]) -> Clause:
    """Every word of the text up to the first stage, somewhere in the event, in any case."""
    words = re.findall(r'"([^"]*)"|([^\s|"()\[\],]+)', text.split("|")[0])
    wanted = [quoted_text or bare for quoted_text, bare in words if quoted_text or bare]
    names = ", ".join(quoted(name) for name, kind in columns.items() if kind == "VARCHAR")
    if not wanted or not names:
        return Clause("FALSE")
    whole = f"concat_ws(' ', {names})"
    return joined([Clause(f"{whole} ILIKE ? ESCAPE '\\'", (f"%{like_literal(word)}%",)) for word in wanted], "AND")
