"""Expressions of PowerQuery as SQL: values with their kinds, conditions, functions of rows and of groups."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from ...tools.languages.powerquery import (
    And,
    Anywhere,
    Arithmetic,
    Call,
    Choice,
    Compare,
    Expression,
    Field,
    FreeText,
    Not,
    Operator,
    Or,
    Present,
    Test,
    Value,
    ValueKind,
    to_text,
)
from .sql import Clause, QueryRejectedError, joined, moment, naive, seconds_of


class Kind(Enum):
    """What a piece of SQL yields."""

    TEXT = auto()
    NUMBER = auto()
    TIME = auto()
    BOOLEAN = auto()
    LIST = auto()


@dataclass(frozen=True, slots=True)
class Typed:
    """A piece of SQL and what it yields."""

    clause: Clause
    kind: Kind


def kind_of(duckdb_type: str) -> Kind:
    """The kind of a column of the lab."""
    if duckdb_type.startswith("TIMESTAMP"):
        return Kind.TIME
    if duckdb_type == "BOOLEAN":
        return Kind.BOOLEAN
    return Kind.TEXT if duckdb_type in ("VARCHAR", "JSON") else Kind.NUMBER


_NOTHING = Typed(Clause("CAST(NULL AS VARCHAR)"), Kind.TEXT)
_MATH = {
    "abs": "abs({})", "ceiling": "ceil({})", "floor": "floor({})", "exp": "exp({})",
    "sqrt": "sqrt(CASE WHEN {0} >= 0 THEN {0} END)", "ln": "ln(CASE WHEN {0} > 0 THEN {0} END)",
    "log": "log10(CASE WHEN {0} > 0 THEN {0} END)",
}  # fmt: skip
_TEXT = frozenset({"lower", "upper", "trim", "ltrim", "rtrim"})
"""Functions of text that DuckDB has by the same name."""
_STATISTICS = {"sum": "sum", "avg": "avg", "mean": "avg", "median": "median", "stddev": "stddev"}
_SHARES = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
_PLACEHOLDER = re.compile(
    r"%(?:(?P<percent>%)|(?P<thousands>,)?(?P<whole>d)|(?:\.(?P<places>\d+))?(?P<real>f)|(?P<text>s))"
)


class Values:
    """Writes expressions over columns under the names that the query knows."""

    def __init__(self, columns: Mapping[str, Typed]) -> None:
        self._columns = columns

    def truth(self, node: Expression) -> Clause:
        """A condition that is never null: a missing value is false, and so are 0, `false` and the empty text."""
        found = self.typed(node)
        match found.kind:
            case Kind.BOOLEAN:
                return _wrapped("coalesce({}, FALSE)", found.clause)
            case Kind.NUMBER:
                return _wrapped("coalesce({} <> 0, FALSE)", found.clause)
            case Kind.TEXT:
                return _wrapped("coalesce(lower({}), '') NOT IN ('', 'false')", found.clause)
            case Kind.TIME | Kind.LIST:
                return _wrapped("({}) IS NOT NULL", found.clause)

    def typed(self, node: Expression) -> Typed:
        """An expression of one row.

        Raises:
            QueryRejectedError: a function or a value that the lab cannot run.
        """
        return self._typed(node, grouped=False)

    def aggregated(self, node: Expression) -> Typed:
        """An expression of a group's rows.

        Raises:
            QueryRejectedError: a function or a value that the lab cannot run.
        """
        return self._typed(node, grouped=True)

    def number(self, found: Typed) -> Clause:
        """The value as a number, null where it is none."""
        if found.kind is Kind.NUMBER:
            return found.clause
        if found.kind is Kind.TIME:
            return _wrapped("epoch_ms({})", found.clause)
        return _wrapped("TRY_CAST({} AS DOUBLE)", found.clause)

    def text(self, found: Typed) -> Clause:
        """The value as text."""
        return found.clause if found.kind is Kind.TEXT else _wrapped("CAST({} AS VARCHAR)", found.clause)

    def _typed(self, node: Expression, *, grouped: bool) -> Typed:
        match node:
            case Value():
                return _literal(node)
            case Field(name=name):
                if grouped:
                    raise QueryRejectedError(f"{name} is neither counted nor a key of the group")
                return self._columns.get(name, _NOTHING)
            case Call():
                return self._aggregate(node) if grouped and node.name in _AGGREGATES else self._function(node, grouped)
            case Arithmetic(operation=operation, left=left, right=right):
                sides = [self.number(self._typed(part, grouped=grouped)) for part in (left, right)]
                divisor = _wrapped("nullif({}, 0)", sides[1]) if operation in "/%" else sides[1]
                return Typed(Clause("(") + sides[0] + Clause(f" {operation} ") + divisor + Clause(")"), Kind.NUMBER)
            case Choice():
                return self._choice(node, grouped)
            case _:
                return Typed(self._condition(node, grouped), Kind.BOOLEAN)

    def _choice(self, node: Choice, grouped: bool) -> Typed:
        yes, no = (self._typed(part, grouped=grouped) for part in (node.yes, node.no))
        same = yes.kind is no.kind
        kind = yes.kind if same else Kind.TEXT
        sides = [part.clause if same else self.text(part) for part in (yes, no)]
        when = Clause("CASE WHEN ") + self.truth(node.condition) + Clause(" THEN ")
        return Typed(when + sides[0] + Clause(" ELSE ") + sides[1] + Clause(" END"), kind)

    # Conditions.

    def _condition(self, node: Expression, grouped: bool) -> Clause:
        match node:
            case And(parts=parts):
                return _in_brackets(joined([self.truth(part) for part in parts], "AND"))
            case Or(parts=parts):
                return _in_brackets(joined([self.truth(part) for part in parts], "OR"))
            case Not(part=part):
                return _wrapped("(NOT {})", self.truth(part))
            case Present(field=field):
                return _wrapped("coalesce({}, '') <> ''", self.text(self.typed(field)))
            case FreeText(text=text):
                return _wrapped("contains(lower({}), lower(?))", self._anywhere(), text)
            case Compare():
                return self._compared(node, grouped)
            case Test(subject=subject, operator=operator, values=values):
                found = Typed(self._anywhere(), Kind.TEXT) if isinstance(subject, Anywhere) else None
                tested = found or self._typed(subject, grouped=grouped)
                return _in_brackets(joined([self._tested(tested, operator, value) for value in values], "OR"))
            case _:
                raise QueryRejectedError(f"{to_text(node)} is no condition")

    def _anywhere(self) -> Clause:
        texts = {column.clause.sql for column in self._columns.values() if column.kind is Kind.TEXT}
        return Clause(f"concat_ws(' ', {', '.join(sorted(texts))})") if texts else Clause("''")

    def _compared(self, node: Compare, grouped: bool) -> Clause:
        left, right = (self._typed(part, grouped=grouped) for part in (node.left, node.right))
        for part, other in ((node.right, left), (node.left, right)):
            if isinstance(part, Value) and part.kind is ValueKind.NULL:
                missing = _wrapped("({}) IS NULL", other.clause)
                return _wrapped("(NOT {})", missing) if node.sign == "!=" else missing
        sign = "=" if node.sign == "!=" else node.sign
        compared = _in_brackets(self._sides(left, right, sign))
        return _wrapped("(NOT coalesce({}, FALSE))", compared) if node.sign == "!=" else compared

    def _sides(self, left: Typed, right: Typed, sign: str) -> Clause:
        kinds = {left.kind, right.kind}
        between = Clause(f" {sign} ")
        if Kind.TIME in kinds:
            return self._time(left) + between + self._time(right)
        if Kind.BOOLEAN in kinds:
            return _wrapped("lower({})", self.text(left)) + between + _wrapped("lower({})", self.text(right))
        if Kind.NUMBER in kinds:
            return self.number(left) + between + self.number(right)
        return self.text(left) + between + self.text(right)

    def _time(self, found: Typed) -> Clause:
        if found.kind is Kind.TIME:
            return found.clause
        if found.clause.sql == "?" and isinstance(found.clause.values[0], str):
            return Clause("?", (naive(_moment(found.clause.values[0])),))
        if found.kind is Kind.NUMBER:
            return _wrapped("make_timestamp(TRY_CAST({} AS BIGINT))", _microseconds(found.clause))
        return _wrapped("TRY_CAST({} AS TIMESTAMP)", found.clause)

    def _tested(self, found: Typed, operator: Operator, value: Value) -> Clause:
        if value.kind is ValueKind.NULL:
            return Clause("FALSE")
        text = self.text(found)
        match operator:
            case Operator.IN | Operator.IN_MATCHCASE:
                return self._sides(found, _literal(value), "=")
            case Operator.IN_ANYCASE:
                if value.kind is ValueKind.NUMBER:
                    return self._sides(found, _literal(value), "=")
                return _wrapped("lower({}) = lower(?)", text, value.text)
            case Operator.CONTAINS | Operator.CONTAINS_ANYCASE:
                return _wrapped("contains(lower({}), lower(?))", text, value.text)
            case Operator.CONTAINS_MATCHCASE:
                return _wrapped("contains({}, ?)", text, value.text)
            case Operator.MATCHES | Operator.MATCHES_ANYCASE:
                return _wrapped("regexp_matches({}, ?, 'i')", text, value.text)
            case Operator.MATCHES_MATCHCASE:
                return _wrapped("regexp_matches({}, ?, 'c')", text, value.text)

    # Functions.

    def _function(self, node: Call, grouped: bool) -> Typed:
        name = node.name
        arguments = [self._typed(part, grouped=grouped) for part in node.arguments]
        if not arguments and name != "count":
            raise QueryRejectedError(f"{name}() needs an argument")
        if name in _MATH:
            return Typed(_wrapped(_MATH[name], self.number(arguments[0])), Kind.NUMBER)
        if name in _TEXT:
            return Typed(_wrapped(name + "({})", self.text(arguments[0])), Kind.TEXT)
        if name == "timebucket":
            return self._timebucket(node, arguments, grouped)
        writers: Mapping[str, Callable[[Call, list[Typed]], Typed]] = {
            "number": lambda _, given: Typed(self.number(given[0]), Kind.NUMBER),
            "string": lambda _, given: Typed(self.text(given[0]), Kind.TEXT),
            "len": lambda _, given: Typed(_wrapped("length({})", self.text(given[0])), Kind.NUMBER),
            "isempty": lambda _, given: Typed(_wrapped("coalesce({}, '') = ''", self.text(given[0])), Kind.BOOLEAN),
            "isblank": lambda _, given: Typed(
                _wrapped("trim(coalesce({}, '')) = ''", self.text(given[0])), Kind.BOOLEAN
            ),
            "pow": self._pow,
            "substr": self._substr,
            "array_to_string": self._array_to_string,
            "strftime": self._strftime,
            "format": self._format,
        }
        if name not in writers:
            raise QueryRejectedError(f"the lab cannot run {name}()")
        return writers[name](node, arguments)

    def _pow(self, node: Call, given: list[Typed]) -> Typed:
        return Typed(_call("pow", self.number(given[0]), self.number(_nth(node, given, 1))), Kind.NUMBER)

    def _substr(self, node: Call, given: list[Typed]) -> Typed:
        begin = _wrapped("CAST({} AS BIGINT) + 1", self.number(_nth(node, given, 1)))
        length = [_wrapped("CAST({} AS BIGINT)", self.number(given[2]))] if len(given) > 2 else []
        return Typed(_call("substring", self.text(given[0]), begin, *length), Kind.TEXT)

    def _array_to_string(self, _: Call, given: list[Typed]) -> Typed:
        separator = self.text(given[1]) if len(given) > 1 else Clause("', '")
        if given[0].kind is not Kind.LIST:
            return Typed(self.text(given[0]), Kind.TEXT)
        return Typed(_call("array_to_string", given[0].clause, separator), Kind.TEXT)

    def _strftime(self, node: Call, given: list[Typed]) -> Typed:
        pattern = _text_of(node, 1) if len(given) > 1 else "%Y-%m-%dT%H:%M:%SZ"
        return Typed(_wrapped("strftime({}, ?)", self._time(given[0]), pattern), Kind.TEXT)

    def _timebucket(self, node: Call, given: list[Typed], grouped: bool) -> Typed:
        width = _text_of(node, len(given) - 1)
        seconds = seconds_of(width)
        if not seconds:
            raise QueryRejectedError(f"{width!r} is no span of time")
        when = self._time(given[0] if len(given) > 1 else self._typed(Field("event.time"), grouped=grouped))
        clause = Clause("time_bucket(to_seconds(CAST(? AS DOUBLE)), ", (seconds,)) + when
        return Typed(clause + Clause(", TIMESTAMP '1970-01-01')"), Kind.TIME)

    def _format(self, node: Call, given: list[Typed]) -> Typed:
        """The text with its `%s`, `%d`, `%,d`, `%f` and `%.2f` filled in order."""
        pattern, rest, at = _text_of(node, 0), iter(given[1:]), 0
        pieces: list[Clause] = []
        for found in _PLACEHOLDER.finditer(pattern):
            pieces.append(Clause("?", (pattern[at : found.start()],)))
            at = found.end()
            pieces.append(Clause("'%'") if found["percent"] else self._filled(found, next(rest, None)))
        pieces.append(Clause("?", (pattern[at:],)))
        return Typed(_call("concat", *pieces), Kind.TEXT)

    def _filled(self, place: re.Match[str], given: Typed | None) -> Clause:
        if given is None:
            raise QueryRejectedError("format has more places than values")
        if place["text"]:
            return self.text(given)
        if place["whole"]:
            whole = _wrapped("TRY_CAST({} AS BIGINT)", self.number(given))
            return _wrapped("format('{{:,}}', {})" if place["thousands"] else "CAST({} AS VARCHAR)", whole)
        return _wrapped(f"format('{{{{:.{int(place['places'] or 6)}f}}}}', CAST({{}} AS DOUBLE))", self.number(given))

    def _aggregate(self, node: Call) -> Typed:
        given = [self.typed(part) for part in node.arguments]
        name = node.name
        if name == "count":
            kept = Clause(" FILTER (WHERE ") + self.truth(node.arguments[0]) + Clause(")") if given else Clause("")
            return Typed(Clause("count(*)") + kept, Kind.NUMBER)
        first = _nth(node, given, 0)
        if name in _STATISTICS:
            return Typed(_call(_STATISTICS[name], self.number(first)), Kind.NUMBER)
        if name in _SHARES:
            return Typed(_call("quantile_cont", self.number(first), Clause(str(_SHARES[name]))), Kind.NUMBER)
        match name:
            case "pct":
                share = _share(node)
                return Typed(_call("quantile_cont", self.number(_nth(node, given, 1)), Clause(str(share))), Kind.NUMBER)
            case "estimate_distinct":
                return Typed(_wrapped("count(DISTINCT {})", first.clause), Kind.NUMBER)
            case "min" | "max":
                return Typed(_call(name, first.clause), first.kind)
            case "any":
                return Typed(_call("any_value", first.clause), first.kind)
            case "newest" | "oldest":
                when = self._columns.get("event.time", _NOTHING).clause
                return Typed(_call("arg_max" if name == "newest" else "arg_min", first.clause, when), first.kind)
            case "min_by" | "max_by":
                by = _nth(node, given, 1)
                return Typed(_call("arg_min" if name == "min_by" else "arg_max", first.clause, by.clause), first.kind)
            case _:
                return self._gathered(node, self.text(first))

    def _gathered(self, node: Call, text: Clause) -> Typed:
        kept = _wrapped("list({0}) FILTER (WHERE {0} IS NOT NULL)", text)
        if node.name == "array_agg_distinct":
            kept = _wrapped("list_sort(list_distinct({}))", kept)
        if len(node.arguments) > 1:
            kept = _wrapped(f"({{}})[1:{_whole_of(node, 1)}]", kept)
        return Typed(kept, Kind.LIST)


_AGGREGATES = frozenset(
    {
        "count", *_STATISTICS, *_SHARES, "pct", "estimate_distinct", "min", "max", "any", "newest", "oldest", "min_by",
        "max_by", "array_agg", "array_agg_distinct",
    }
)  # fmt: skip


def _wrapped(pattern: str, clause: Clause, *values: str) -> Clause:
    """SQL around a piece, which may stand in it more than once; further values come behind the piece's own."""
    times = len(re.findall(r"(?<!\{)\{0?\}(?!\})", pattern))
    return Clause(pattern.format(clause.sql), clause.values * times + values)


def _in_brackets(clause: Clause) -> Clause:
    return Clause(f"({clause.sql})", clause.values)


def _call(name: str, *arguments: Clause) -> Clause:
    values = tuple(value for argument in arguments for value in argument.values)
    return Clause(f"{name}({', '.join(argument.sql for argument in arguments)})", values)


def _literal(value: Value) -> Typed:
    match value.kind:
        case ValueKind.STRING:
            return Typed(Clause("?", (value.text,)), Kind.TEXT)
        case ValueKind.NUMBER:
            number = float(value.text)
            return Typed(Clause("?", (int(number) if number.is_integer() else number,)), Kind.NUMBER)
        case ValueKind.BOOLEAN:
            return Typed(Clause(value.text.upper()), Kind.BOOLEAN)
        case ValueKind.NULL:
            return _NOTHING


def _moment(text: str) -> datetime:
    if re.fullmatch(r"\d{10,19}", text):
        return datetime.fromtimestamp(int(text) / 10 ** (3 * ((len(text) - 10) // 3)), UTC)
    try:
        return moment(text)
    except ValueError as exc:
        raise QueryRejectedError(f"{text!r} is no time") from exc


def _microseconds(number: Clause) -> Clause:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size, as microseconds."""
    return _wrapped(
        "CASE WHEN {0} < 1e11 THEN {0} * 1e6 WHEN {0} < 1e14 THEN {0} * 1e3 WHEN {0} < 1e17 THEN {0} ELSE {0} / 1e3 END",
        number,
    )


def _nth(node: Call, given: list[Typed], number: int) -> Typed:
    if number >= len(given):
        raise QueryRejectedError(f"{node.name}() needs {number + 1} argument{'s' if number else ''}")
    return given[number]


def _text_of(node: Call, number: int) -> str:
    argument = node.arguments[number] if number < len(node.arguments) else None
    if not isinstance(argument, Value) or argument.kind is not ValueKind.STRING:
        raise QueryRejectedError(f"the lab runs {node.name}() only where its argument {number + 1} is a quoted text")
    return argument.text


def _number_of(node: Call, number: int) -> float:
    argument = node.arguments[number] if number < len(node.arguments) else None
    if not isinstance(argument, Value) or argument.kind is not ValueKind.NUMBER:
        raise QueryRejectedError(f"the lab runs {node.name}() only where its argument {number + 1} is a number")
    return float(argument.text)


def _whole_of(node: Call, number: int) -> int:
    return int(_number_of(node, number))


def _share(node: Call) -> float:
    percent = _number_of(node, 0)
    if not 0 <= percent <= 100:
        raise QueryRejectedError("pct takes 0 to 100")
    return percent / 100
