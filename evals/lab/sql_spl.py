"""SPL over the table of Windows events: one SELECT around another for each command.

`search` ignores case and `*` is a wildcard; a bare word is looked for between breakers in the event's values, which stand
for its raw text. The newest events come first until a command sorts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import count
from typing import Any

import duckdb

from ...knowledge.errors import UnsafeValueError
from ...tools.languages import spl
from ...tools.languages.literals import escaped
from ...tools.languages.spl import ast
from ...tools.languages.spl.schema import all_fields
from ...tools.languages.spl.times import resolve
from ...tools.languages.syntax import QuerySyntaxError
from ...tools.languages.values import block_of
from .sql import Clause, QueryRejectedError, joined, like_wildcards, naive
from .sql_blocks import within
from .sql_spl_expressions import CANNOT, MACROS, Column, Expressions, Term, iso, pattern_for_re2
from .tables import tables
from .telemetry import Result, Telemetry, fetch

TABLE = "splunk_events"
MOST_LISTED = 100
"""Values that `list()` keeps."""
_ORDER = '"#"'
"""A column of every step: rows in ascending order of it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search brought: its fields in order, and its rows without the fields that have no value."""

    columns: tuple[str, ...]
    rows: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Step:
    """The query so far and the fields of its rows."""

    sql: Clause
    columns: Mapping[str, Column]

    def around(self, before: str, after: str = "", values: Clause | None = None) -> Clause:
        """A SELECT around it; `values` are those of the text before it."""
        given = values.values if values else ()
        return Clause(f"{before} FROM ({self.sql.sql}){after}", given + self.sql.values)


def run(telemetry: Telemetry, text: str, start: datetime, end: datetime, now: datetime | None = None) -> Answer:
    """Execute a query.

    Args:
        telemetry: The lab's tables.
        text: SPL; `earliest` and `latest` in it take precedence over the window beside it, as at the vendor.
        start: Start of the window beside the text, included.
        end: Its end, excluded.
        now: What `now` means; the end of the window when None.

    Raises:
        QueryRejectedError: the text is no SPL of the subset, or the lab cannot run a construct, which is named.
    """
    try:
        query = spl.parse(text)
    except QuerySyntaxError as exc:
        raise QueryRejectedError(f"{CANNOT}{exc}") from exc
    writer = _Writer(telemetry.tables.get(TABLE, {}), telemetry.place(TABLE), now or end)
    step = writer.source(query, start, end)
    for stage in query.stages:
        step = writer.stage(step, stage)
    names = _shown(step.columns, query)
    shown = ", ".join(f"{step.columns[name].sql} AS v{index}" for index, name in enumerate(names)) or "NULL AS v0"
    final = step.around(f"SELECT {shown}", f" ORDER BY {_ORDER}")
    result = _executed(telemetry, final)
    return Answer(names, [_row(names, values) for values in result.rows])


def unsupported(text: str) -> str | None:
    """The construct that the lab cannot run, or None when it runs the query (or the query is wrong anyway)."""
    try:
        query = spl.parse(text)
    except QuerySyntaxError as exc:
        return exc.message if exc.code == "unknown_function" else None
    now = datetime(2026, 1, 1, tzinfo=UTC)
    writer = _Writer(tables()[TABLE], TABLE, now)
    try:
        step = writer.source(query, now, now)
        for stage in query.stages:
            step = writer.stage(step, stage)
    except QueryRejectedError as exc:
        _, named, construct = str(exc).partition(CANNOT)
        return construct if named else None
    return None


def _shown(columns: Mapping[str, Column], query: spl.Pipeline) -> tuple[str, ...]:
    """The fields of the result: of an event each column once, and its raw text where it was asked for."""
    if any(isinstance(stage, ast.Table | ast.Stats | ast.Top) for stage in query.stages):
        return tuple(columns)
    own = {_quoted(name) for name in columns}
    twins = {name for name, column in columns.items() if column.sql != _quoted(name) and column.sql in own}
    return tuple(name for name in columns if name != "_raw" and name not in twins)


def _executed(telemetry: Telemetry, query: Clause) -> Result:
    cursor = telemetry.cursor()
    try:
        for macro in MACROS:
            cursor.execute(macro)
        return fetch(cursor, query.sql, query.values)
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException) as exc:
        raise QueryRejectedError(str(exc).splitlines()[0]) from exc
    finally:
        cursor.close()


def _row(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in zip(names, values, strict=False):
        if value is None or value == []:
            continue
        if name == "_time" and isinstance(value, float):
            found[name] = iso(value)
        elif isinstance(value, float) and value.is_integer():
            found[name] = int(value)
        else:
            found[name] = value
    return found


class _Writer:
    """Writes the commands of one query."""

    def __init__(self, table: Mapping[str, str], place: str, now: datetime) -> None:
        self._table, self._place, self._now = table, place, now
        self._numbers = count()

    def _name(self) -> str:
        """A name for a new column."""
        return f"c{next(self._numbers)}"

    def source(self, query: spl.Pipeline, start: datetime, end: datetime) -> _Step:
        """The events of the window."""
        head = query.stages[0]
        if isinstance(head, ast.Search):
            start = self._moment(head.earliest) or start
            end = self._moment(head.latest) or end
        held = {name.lower(): name for name in self._table}
        columns = {
            name: Column(_quoted(held[name.lower()]))
            for name in sorted(all_fields() - {"_time", "_raw"})
            if name.lower() in held
        }
        raw = ", ".join(dict.fromkeys(column.sql for name, column in columns.items() if name not in ("index", "host")))
        columns = {"_time": Column("seconds", "number"), **columns, "_raw": Column(f"concat_ws(' ', {raw})")}
        sql = (
            f'SELECT *, epoch("_time") AS seconds, -epoch_us("_time") AS {_ORDER} FROM {self._place} '
            'WHERE "_time" >= ? AND "_time" < ?'
        )
        return _Step(Clause(sql, (naive(start), naive(end))), columns)

    def _moment(self, text: str | None) -> datetime | None:
        if text is None:
            return None
        try:
            return resolve(text, self._now)
        except ValueError as exc:
            raise QueryRejectedError(str(exc)) from exc

    def stage(self, step: _Step, stage: ast.Stage) -> _Step:
        """The step after one command."""
        match stage:
            case ast.Search(condition=condition):
                return step if condition is None else _filtered(step, _condition(condition, step.columns))
            case ast.Where(expression=expression):
                return _filtered(step, Expressions(step.columns, self._now).condition(expression))
            case ast.Regex(field=name, pattern=pattern, negated=negated):
                matched = _any_text(
                    step.columns.get(name), lambda sql: f"regexp_matches({sql}, ?)", pattern_for_re2(pattern)
                )
                return _filtered(step, _not(matched) if negated else matched)
            case ast.Eval(assignments=assignments):
                for name, expression in assignments:
                    step = self._with(step, name, Expressions(step.columns, self._now).term(expression))
                return step
            case ast.Rex(field=name, pattern=pattern):
                return self._extracted(step, name, pattern)
            case ast.Stats(beside=True):
                return self._beside(step, stage)
            case ast.Stats():
                return self._grouped(step, stage)
            case ast.Top():
                return self._top(step, stage)
            case ast.Bin():
                return self._cut(step, stage)
            case ast.Table(fields=fields):
                return replace(step, columns=_chosen(step.columns, fields))
            case ast.Fields(fields=fields, drop=True):
                kept = {n: c for n, c in step.columns.items() if not any(fnmatchcase(n, item) for item in fields)}
                return replace(step, columns=kept)
            case ast.Fields(fields=fields):
                kept = _chosen(step.columns, fields)
                internal = {name: step.columns[name] for name in ("_time",) if name in step.columns}
                return replace(step, columns=kept | internal)
            case ast.Sort(keys=keys, limit=limit):
                return _sorted(step, keys, limit)
            case ast.Head(limit=limit):
                return replace(step, sql=step.around("SELECT *", f" ORDER BY {_ORDER} LIMIT {limit}"))
            case ast.Tail(limit=limit):
                turned = step.around(f"SELECT * REPLACE (-{_ORDER} AS {_ORDER})")
                return replace(step, sql=_Step(turned, {}).around("SELECT *", f" ORDER BY {_ORDER} LIMIT {limit}"))
            case ast.Reverse():
                return replace(step, sql=step.around(f"SELECT * REPLACE (-{_ORDER} AS {_ORDER})"))
            case ast.Dedup():
                return _deduplicated(step, stage)
            case ast.Rename(pairs=pairs):
                columns = dict(step.columns)
                for old, new in pairs:
                    if old in columns:
                        columns = {new if n == old else n: c for n, c in columns.items() if n != new or n == old}
                return replace(step, columns=columns)
            case ast.FillNull(value=value, fields=fields):
                for name in fields or tuple(step.columns):
                    step = self._filled(step, name, value)
                return step

    def _with(self, step: _Step, name: str, term: Term) -> _Step:
        """The step with one more field."""
        made = self._name()
        clause = term.text if term.kind == "truth" else term.clause
        sql = step.around(f"SELECT *, {clause.sql} AS {made}", values=clause)
        kind = "text" if term.kind == "truth" else term.kind
        return _Step(sql, {**step.columns, name: Column(made, kind)})

    def _filled(self, step: _Step, name: str, value: str) -> _Step:
        column = step.columns.get(name)
        if column is not None and column.kind == "list":
            return step
        held = _term(column).text if column else Clause("NULL")
        return self._with(step, name, Term(Clause(f"coalesce({held.sql}, ?)", (*held.values, value)), "text"))

    def _extracted(self, step: _Step, name: str, pattern: str) -> _Step:
        """Named groups as fields; a field that was there stays where the pattern is not found."""
        written = pattern_for_re2(pattern)
        try:
            groups = re.compile(written).groupindex
        except re.error as exc:
            raise QueryRejectedError(f"Error in 'rex': {exc}") from exc
        column = step.columns.get(name)
        text = _term(column).text.sql if column else "CAST(NULL AS VARCHAR)"
        for group, place in groups.items():
            old = step.columns.get(group)
            otherwise = _term(old).text.sql if old else "NULL"
            found = f"CASE WHEN regexp_matches({text}, ?) THEN nullif(regexp_extract({text}, ?, {place}), '') END"
            clause = Clause(f"coalesce({found}, {otherwise})", (written, written))
            step = self._with(step, group, Term(clause, "text"))
        return step

    def _aggregate(self, item: ast.Aggregate, step: _Step) -> tuple[Clause, Column]:
        made = self._name()
        if item.function == "count" and not isinstance(item.of, str | None):
            condition = Expressions(step.columns, self._now).condition(item.of)
            return Clause(f"count(*) FILTER (WHERE {condition.sql}) AS {made}", condition.values), Column(
                made, "number"
            )
        term = (
            Term(Clause("1"), "number")
            if item.of is None
            else _term(step.columns.get(item.of))
            if isinstance(item.of, str)
            else Expressions(step.columns, self._now).term(item.of)
        )
        if term.kind == "list" and item.function != "count":
            raise QueryRejectedError(f"{CANNOT}{item.function}() of a field with many values")
        text, number = term.text, term.number
        there = f"FILTER (WHERE {text.sql} IS NOT NULL)"
        time = step.columns.get("_time", Column("NULL")).sql
        match item.function:
            case "count":
                return Clause(f"count({term.clause.sql}) AS {made}", term.clause.values), Column(made, "number")
            case "dc":
                return Clause(f"count(DISTINCT {text.sql}) AS {made}", text.values), Column(made, "number")
            case "values":
                sql = f"list_sort(list(DISTINCT {text.sql}) {there}) AS {made}"
                return Clause(sql, text.values * 2), Column(made, "list")
            case "list":
                sql = f"list_slice(list({text.sql} ORDER BY {_ORDER}) {there}, 1, {MOST_LISTED}) AS {made}"
                return Clause(sql, text.values * 2), Column(made, "list")
            case "sum" | "avg" as name:
                return Clause(f"{name}({number.sql}) AS {made}", number.values), Column(made, "number")
            case "min" | "max" as name:
                sql = (
                    f"CASE WHEN count({text.sql}) = count({number.sql}) THEN spl_text({name}({number.sql})) "
                    f"ELSE {name}({text.sql}) END AS {made}"
                )
                return Clause(sql, text.values + number.values * 2 + text.values), Column(made)
            case "first" | "last" | "earliest" | "latest" as name:
                by = {"first": ("arg_min", _ORDER), "last": ("arg_max", _ORDER)}
                by |= {"earliest": ("arg_min", time), "latest": ("arg_max", time)}
                function, key = by[name]
                return Clause(f"{function}({text.sql}, {key}) {there} AS {made}", text.values * 2), Column(made)
            case name:
                raise QueryRejectedError(f"{CANNOT}{name}()")

    def _groups(self, step: _Step, by: Sequence[str]) -> list[Column]:
        columns = [step.columns.get(name) for name in by]
        if any(column is not None and column.kind == "list" for column in columns):
            raise QueryRejectedError(f"{CANNOT}grouping by a field with many values")
        return [column or Column("CAST(NULL AS VARCHAR)") for column in columns]

    def _grouped(self, step: _Step, stage: ast.Stats) -> _Step:
        keys = self._groups(step, stage.by)
        names = [self._name() for _ in keys]
        made = [self._aggregate(item, step) for item in stage.functions]
        outputs = [f"{key.sql} AS {name}" for key, name in zip(keys, names, strict=True)]
        clauses = [clause for clause, _ in made]
        there = " AND ".join(f"{key.sql} IS NOT NULL" for key in keys) or "TRUE"
        groups = f" GROUP BY {', '.join(str(place + 1) for place in range(len(keys)))}" if keys else ""
        selected = ", ".join([*outputs, *(clause.sql for clause in clauses)])
        values = Clause("", tuple(value for clause in clauses for value in clause.values))
        inner = step.around(f"SELECT {selected}", f" WHERE {there}{groups}", values)
        order = f"row_number() OVER (ORDER BY {', '.join(names)})" if names else "1"
        sql = Clause(f"SELECT *, {order} AS {_ORDER} FROM ({inner.sql})", inner.values)
        columns = {f: Column(name, key.kind) for f, name, key in zip(stage.by, names, keys, strict=True)}
        columns |= {item.name: column for item, (_, column) in zip(stage.functions, made, strict=True)}
        return _Step(sql, columns)

    def _beside(self, step: _Step, stage: ast.Stats) -> _Step:
        grouped = self._grouped(step, stage)
        keys = self._groups(step, stage.by)
        others = [grouped.columns[name].sql for name in stage.by]
        on = " AND ".join(f"{key.sql} = g.{other}" for key, other in zip(keys, others, strict=True)) or "TRUE"
        right = f"SELECT * EXCLUDE ({_ORDER}) FROM ({grouped.sql.sql})"
        sql = Clause(
            f"SELECT e.*, g.* FROM ({step.sql.sql}) e LEFT JOIN ({right}) g ON {on}",
            step.sql.values + grouped.sql.values,
        )
        added = {item.name: grouped.columns[item.name] for item in stage.functions}
        return _Step(sql, {**step.columns, **added})

    def _top(self, step: _Step, stage: ast.Top) -> _Step:
        by = (*stage.by, *stage.fields)
        counted = self._grouped(step, ast.Stats((ast.Aggregate("count", None, "count"),), by))
        number = counted.columns["count"].sql
        within = ", ".join(counted.columns[name].sql for name in stage.by)
        part = f"PARTITION BY {within} " if within else ""
        rank, percent = self._name(), self._name()
        order = f"{number} {'ASC' if stage.rare else 'DESC'}, {_ORDER}"
        ranked = counted.around(
            f"SELECT *, row_number() OVER ({part}ORDER BY {order}) AS {rank}, "
            f"100.0 * {number} / sum({number}) OVER ({part}) AS {percent}"
        )
        limit = f" WHERE {rank} <= {stage.limit}" if stage.limit else ""
        turned = f"row_number() OVER (ORDER BY {within + ', ' if within else ''}{rank})"
        sql = _Step(ranked, {}).around(f"SELECT * REPLACE ({turned} AS {_ORDER})", limit)
        return _Step(sql, {**counted.columns, "percent": Column(percent, "number")})

    def _cut(self, step: _Step, stage: ast.Bin) -> _Step:
        number = _term(step.columns.get(stage.field)).number
        low = f"floor({number.sql} / {stage.seconds}) * {stage.seconds}"
        if stage.field == "_time":
            return self._with(step, stage.name, Term(Clause(low, number.values), "number"))
        span = f"spl_text({low}) || '-' || spl_text({low} + {stage.seconds})"
        return self._with(step, stage.name, Term(Clause(span, number.values * 2), "text"))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _term(column: Column | None) -> Term:
    return Term(Clause(column.sql), column.kind) if column else Term(Clause("CAST(NULL AS VARCHAR)"), "text")


def _chosen(columns: Mapping[str, Column], patterns: Sequence[str]) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for item in patterns:
        found |= {name: column for name, column in columns.items() if name == item or fnmatchcase(name, item)}
    return found


def _filtered(step: _Step, condition: Clause) -> _Step:
    sql = Clause(f"SELECT * FROM ({step.sql.sql}) WHERE {condition.sql}", step.sql.values + condition.values)
    return replace(step, sql=sql)


def _sorted(step: _Step, keys: Sequence[ast.SortKey], limit: int) -> _Step:
    terms = []
    for key in keys:
        term, way = _term(step.columns.get(key.field)), "DESC" if key.descending else "ASC"
        if key.kind in ("auto", "num"):
            terms.append(f"{term.number.sql} {way} NULLS LAST")
        if key.kind in ("auto", "str"):
            terms.append(f"{term.text.sql} {way} NULLS LAST")
    order = f"row_number() OVER (ORDER BY {', '.join(terms)}, {_ORDER})"
    sql = step.around(f"SELECT * REPLACE ({order} AS {_ORDER})")
    if limit:
        sql = Clause(f"SELECT * FROM ({sql.sql}) ORDER BY {_ORDER} LIMIT {limit}", sql.values)
    return replace(step, sql=sql)


def _deduplicated(step: _Step, stage: ast.Dedup) -> _Step:
    keys = [_term(step.columns.get(name)).text.sql for name in stage.fields]
    missing = " OR ".join(f"{key} IS NULL" for key in keys)
    first = f"row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY {_ORDER}) <= {stage.limit}"
    if stage.keep_empty:
        return replace(step, sql=step.around("SELECT *", f" QUALIFY {first} OR {missing}"))
    return replace(step, sql=step.around("SELECT *", f" WHERE NOT ({missing}) QUALIFY {first}"))


# Conditions of `search`.


def _condition(node: ast.Node, columns: Mapping[str, Column]) -> Clause:
    match node:
        case ast.Always():
            return Clause("TRUE")
        case ast.And(parts=parts):
            return joined([_condition(part, columns) for part in parts], "AND")
        case ast.Or(parts=parts):
            return joined([_condition(part, columns) for part in parts], "OR")
        case ast.Not(part=part):
            return _not(_condition(part, columns))
        case ast.Term(text=text):
            return _spoken(text, columns)
        case ast.In(field=name, values=values):
            return joined([_equal(columns.get(name), value.text) for value in values], "OR")
        case ast.Compare(field=name, comparator="=", value=value):
            return _equal(columns.get(name), value.text)
        case ast.Compare(field=name, comparator="!=", value=value):
            column = columns.get(name)
            there = Clause(f"{column.sql} IS NOT NULL" if column else "FALSE")
            return joined([there, _not(_equal(column, value.text))], "AND")
        case ast.Compare(field=name, comparator=comparator, value=value):
            return _ordered(columns.get(name), comparator, value.text)


def _any_text(column: Column | None, test: Any, *values: Any) -> Clause:
    """A test of a field's text; of a field with many values any of which passes."""
    if column is None:
        return Clause("FALSE")
    if column.kind != "list":
        return Clause(test(_term(column).text.sql), values)
    return Clause(f"len(list_filter({column.sql}, lambda x: {test('x')})) > 0", values)


def _equal(column: Column | None, text: str) -> Clause:
    if column is None:
        return Clause("FALSE")
    if text.strip("*") == "" and text:
        return Clause(f"{column.sql} IS NOT NULL")
    if "*" in text:
        return _any_text(column, lambda sql: f"{sql} ILIKE ? ESCAPE '\\'", like_wildcards(text))
    same = _any_text(column, lambda sql: f"lower({sql}) = lower(?)", text)
    if "/" not in text or column.kind == "list":
        return same
    try:
        block_of(text)
    except UnsafeValueError:
        return same
    return joined([same, within(text, _term(column).text.sql, (), CANNOT)], "OR")


def _ordered(column: Column | None, comparator: str, text: str) -> Clause:
    if column is None:
        return Clause("FALSE")
    if column.kind == "list":
        raise QueryRejectedError(f"{CANNOT}< and > on a field with many values")
    value, number = _term(column).text.sql, _term(column).number.sql
    sql = (
        f"coalesce({number} {comparator} TRY_CAST(CAST(? AS VARCHAR) AS DOUBLE), "
        f"lower({value}) {comparator} lower(CAST(? AS VARCHAR)))"
    )
    return Clause(sql, (text, text))


def _spoken(text: str, columns: Mapping[str, Column]) -> Clause:
    """A word or phrase between breakers, ignoring case; `*` stands for anything but spaces."""
    column = columns.get("_raw")
    if column is None or not text.strip("*"):
        return Clause("TRUE" if column is not None else "FALSE")
    before = r"(^|[^\pL\pN])" if text[0].isalnum() else ""
    after = r"($|[^\pL\pN])" if text[-1].isalnum() else ""
    body = r"\S*".join(escaped(part) for part in text.split("*"))
    return Clause(f"regexp_matches({column.sql}, ?, 'i')", (before + body + after,))


def _not(clause: Clause) -> Clause:
    return Clause(f"NOT coalesce({clause.sql}, FALSE)", clause.values)
