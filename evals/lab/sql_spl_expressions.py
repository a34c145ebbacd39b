"""Expressions of SPL's `where` and `eval` as SQL.

A value is text, a number, a truth value or a list of texts. Text that looks like a number is compared as one, as Splunk
does; a comparison with a missing field is neither true nor false, and its negation is neither as well.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Literal

from ...tools.languages.literals import regex_problem
from ...tools.languages.spl import ast
from ...tools.languages.spl.expressions import COMPARISONS
from ...tools.languages.spl.times import relative
from .sql import Clause, QueryRejectedError, joined
from .sql_blocks import within

Kind = Literal["text", "number", "truth", "list"]
CANNOT = "the lab cannot run this query: "
"""What the message begins with when a query is right and the lab lacks a construct, which follows."""
_GROUP = re.compile(r"\(\?<(?=[A-Za-z_])")
_FORMATS = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S"}
_KNOWN_FORMATS = frozenset("YmdHMSyjAaBbpIuwf%")


@dataclass(frozen=True, slots=True)
class Column:
    """A field of the rows so far: the SQL that names it and what it holds."""

    sql: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Term:
    """An expression in SQL and what it gives."""

    clause: Clause
    kind: Kind

    @property
    def text(self) -> Clause:
        """The value as text; whole numbers without a fraction."""
        sql, values = self.clause.sql, self.clause.values
        match self.kind:
            case "text":
                return self.clause
            case "number":
                return Clause(f"spl_text({sql})", values)
            case "truth":
                return Clause(f"CAST({sql} AS VARCHAR)", values)
            case "list":
                return Clause(f"array_to_string({sql}, chr(10))", values)

    @property
    def number(self) -> Clause:
        """The value as a number; null where it is none."""
        return (
            self.clause if self.kind == "number" else Clause(f"TRY_CAST({self.text.sql} AS DOUBLE)", self.text.values)
        )


MACROS = (
    "CREATE TEMP MACRO spl_text(x) AS CASE WHEN x = floor(x) AND abs(x) < 1e15 "
    "THEN CAST(CAST(x AS BIGINT) AS VARCHAR) ELSE CAST(x AS VARCHAR) END",
    "CREATE TEMP MACRO spl_equal(a, b) AS coalesce(TRY_CAST(a AS DOUBLE) = TRY_CAST(b AS DOUBLE), a = b)",
    "CREATE TEMP MACRO spl_less(a, b) AS coalesce(TRY_CAST(a AS DOUBLE) < TRY_CAST(b AS DOUBLE), a < b)",
)
"""What the SQL of a query calls; to be defined on its connection first."""


def pattern_for_re2(pattern: str) -> str:
    """A pattern of Splunk's as RE2 writes its named groups.

    Raises:
        QueryRejectedError: RE2 has no such pattern, while Splunk's engine (PCRE) may.
    """
    written = _GROUP.sub("(?P<", pattern)
    problem = regex_problem(written)
    if problem is not None:
        raise QueryRejectedError(f"{CANNOT if problem[0] == 'warning' else ''}{problem[1]}")
    return written


class Expressions:
    """Writes expressions over the fields of one step."""

    def __init__(self, columns: Mapping[str, Column], now: datetime) -> None:
        self._columns, self._now = columns, now

    def condition(self, item: ast.Expression) -> Clause:
        """An expression that is true or false.

        Raises:
            QueryRejectedError: it is a value.
        """
        found = self.term(item)
        if found.kind != "truth":
            raise QueryRejectedError("Error in 'where': the expression is a value, not a condition")
        return found.clause

    def term(self, item: ast.Expression) -> Term:
        """Any expression.

        Raises:
            QueryRejectedError: the lab cannot run it; the message names the construct.
        """
        match item:
            case ast.Constant(value=bool() as value):
                return Term(Clause("TRUE" if value else "FALSE"), "truth")
            case ast.Constant(value=None):
                return Term(Clause("CAST(NULL AS VARCHAR)"), "text")
            case ast.Constant(value=str() as value):
                return Term(Clause("CAST(? AS VARCHAR)", (value,)), "text")
            case ast.Constant(value=value):
                return Term(Clause("CAST(? AS DOUBLE)", (float(value or 0),)), "number")
            case ast.Name(name=name):
                column = self._columns.get(name)
                return (
                    Term(Clause(column.sql), column.kind) if column else Term(Clause("CAST(NULL AS VARCHAR)"), "text")
                )
            case ast.Unary(operator="NOT", operand=operand):
                inner = self.condition(operand)
                return Term(Clause(f"NOT ({inner.sql})", inner.values), "truth")
            case ast.Unary(operand=operand):
                number = self.term(operand).number
                return Term(Clause(f"-({number.sql})", number.values), "number")
            case ast.Joined(operator=word, operands=operands):
                parts = [self.condition(operand) for operand in operands]
                if word != "XOR":
                    return Term(joined(parts, word), "truth")
                return Term(reduce(lambda one, other: joined([one, other], "<>"), parts), "truth")
            case ast.Binary(operator=operator, left=left, right=right) if operator in COMPARISONS:
                return Term(_compared(operator, self.term(left), self.term(right)), "truth")
            case ast.Binary(operator=operator, left=left, right=right):
                return _calculated(operator, self.term(left), self.term(right))
            case ast.Call():
                return self._call(item)

    def _call(self, item: ast.Call) -> Term:
        special: dict[str, Callable[[Sequence[ast.Expression]], Term]] = {
            "case": self._case, "cidrmatch": self._cidrmatch, "coalesce": self._coalesce, "if": self._if, "in": self._in,
            "isnotnull": lambda given: self._is(given[0], "IS NOT NULL"),
            "isnull": lambda given: self._is(given[0], "IS NULL"), "isnum": self._isnum, "len": self._len,
            "like": self._like, "match": self._match, "max": lambda given: self._most("greatest", given),
            "min": lambda given: self._most("least", given), "mvcount": self._mvcount, "mvindex": self._mvindex,
            "mvjoin": self._mvjoin, "now": lambda given: self._at(self._now), "nullif": self._nullif,
            "relative_time": self._relative_time, "replace": self._replace, "round": self._round, "split": self._split,
            "strftime": self._strftime, "substr": self._substr, "tonumber": self._tonumber,
            "tostring": lambda given: Term(self.term(given[0]).text, "text"),
        }  # fmt: skip
        if item.function in special:
            return special[item.function](item.arguments)
        terms = [self.term(argument) for argument in item.arguments]
        first = terms[0]
        match item.function:
            case "lower" | "upper" as name:
                return Term(Clause(f"{name}({first.text.sql})", first.text.values), "text")
            case "trim" | "ltrim" | "rtrim" as name:
                parts = [term.text for term in terms] + ([Clause("' ' || chr(9)")] if len(terms) == 1 else [])
                return Term(_called(name, *parts), "text")
            case "abs" | "floor" as name:
                return Term(_called(name, first.number), "number")
            case "ceil" | "ceiling":
                return Term(_called("ceil", first.number), "number")
            case name:
                raise QueryRejectedError(f"{CANNOT}{name}()")

    def _is(self, item: ast.Expression, test: str) -> Term:
        found = self.term(item).clause
        return Term(Clause(f"({found.sql}) {test}", found.values), "truth")

    def _isnum(self, given: Sequence[ast.Expression]) -> Term:
        number = self.term(given[0]).number
        return Term(Clause(f"({number.sql}) IS NOT NULL", number.values), "truth")

    def _len(self, given: Sequence[ast.Expression]) -> Term:
        return Term(_called("length", self.term(given[0]).text), "number")

    def _like(self, given: Sequence[ast.Expression]) -> Term:
        pattern = self.term(given[1]).text
        return self._each(given[0], lambda value: joined([value, pattern], "LIKE"))

    def _match(self, given: Sequence[ast.Expression]) -> Term:
        pattern = pattern_for_re2(_constant(given[1], "match"))
        return self._each(given[0], lambda value: Clause(f"regexp_matches({value.sql}, ?)", (*value.values, pattern)))

    def _cidrmatch(self, given: Sequence[ast.Expression]) -> Term:
        block = _constant(given[0], "cidrmatch")
        return self._each(given[1], lambda value: within(block, value.sql, value.values, CANNOT))

    def _each(self, item: ast.Expression, test: Callable[[Clause], Clause]) -> Term:
        """A test of a text; of a list any of whose texts passes."""
        found = self.term(item)
        if found.kind != "list":
            return Term(test(found.text), "truth")
        inner = test(Clause("x"))
        sql = f"len(list_filter({found.clause.sql}, lambda x: {inner.sql})) > 0"
        return Term(Clause(sql, found.clause.values + inner.values), "truth")

    def _in(self, given: Sequence[ast.Expression]) -> Term:
        first = self.term(given[0])
        return Term(joined([_compared("=", first, self.term(item)) for item in given[1:]], "OR"), "truth")

    def _if(self, given: Sequence[ast.Expression]) -> Term:
        return self._chosen([(given[0], given[1])], given[2])

    def _case(self, given: Sequence[ast.Expression]) -> Term:
        return self._chosen(list(zip(given[::2], given[1::2], strict=False)), None)

    def _chosen(self, cases: Sequence[tuple[ast.Expression, ast.Expression]], other: ast.Expression | None) -> Term:
        terms = [self.term(value) for _, value in cases] + ([self.term(other)] if other is not None else [])
        kind = _shared(terms)
        values = [_as(kind, term) for term in terms]
        whole = Clause("CASE")
        for (condition, _), value in zip(cases, values, strict=False):
            test = self.condition(condition)
            whole += Clause(f" WHEN {test.sql} THEN {value.sql}", test.values + value.values)
        if other is not None:
            whole += Clause(f" ELSE {values[-1].sql}", values[-1].values)
        return Term(whole + Clause(" END"), kind)

    def _coalesce(self, given: Sequence[ast.Expression]) -> Term:
        terms = [self.term(item) for item in given]
        kind = _shared(terms)
        return Term(_called("coalesce", *(_as(kind, term) for term in terms)), kind)

    def _nullif(self, given: Sequence[ast.Expression]) -> Term:
        first, second = (self.term(item) for item in given)
        equal = _compared("=", first, second)
        sql = f"CASE WHEN {equal.sql} THEN NULL ELSE {first.clause.sql} END"
        return Term(Clause(sql, equal.values + first.clause.values), first.kind)

    def _most(self, function: str, given: Sequence[ast.Expression]) -> Term:
        terms = [self.term(item) for item in given]
        kind: Kind = "number" if all(term.kind == "number" for term in terms) else "text"
        return Term(_called(function, *(_as(kind, term) for term in terms)), kind)

    def _round(self, given: Sequence[ast.Expression]) -> Term:
        digits = given[1].value if len(given) > 1 and isinstance(given[1], ast.Constant) else 0
        if not isinstance(digits, int) or (len(given) > 1 and not isinstance(given[1], ast.Constant)):
            raise QueryRejectedError(f"{CANNOT}round() to a calculated number of digits")
        number = self.term(given[0]).number
        return Term(Clause(f"round({number.sql}, {digits})", number.values), "number")

    def _tonumber(self, given: Sequence[ast.Expression]) -> Term:
        first = self.term(given[0])
        base = given[1].value if len(given) > 1 and isinstance(given[1], ast.Constant) else 10
        if base == 10:
            return Term(first.number, "number")
        if base != 16:
            raise QueryRejectedError(f"{CANNOT}tonumber() to the base {base}")
        digits = f"regexp_replace({first.text.sql}, '^0[xX]', '')"
        return Term(Clause(f"CAST(TRY_CAST('0x' || {digits} AS BIGINT) AS DOUBLE)", first.text.values), "number")

    def _substr(self, given: Sequence[ast.Expression]) -> Term:
        text = self.term(given[0]).text
        parts = [
            Clause(f"CAST({part.sql} AS BIGINT)", part.values) for part in (self.term(i).number for i in given[1:])
        ]
        return Term(_called("substr", text, *parts), "text")

    def _replace(self, given: Sequence[ast.Expression]) -> Term:
        text, new = self.term(given[0]).text, self.term(given[2]).text
        pattern = pattern_for_re2(_constant(given[1], "replace"))
        sql = f"regexp_replace({text.sql}, ?, {new.sql}, 'g')"
        return Term(Clause(sql, (*text.values, pattern, *new.values)), "text")

    def _split(self, given: Sequence[ast.Expression]) -> Term:
        return Term(_called("string_split", self.term(given[0]).text, self.term(given[1]).text), "list")

    def _list(self, item: ast.Expression) -> Clause:
        found = self.term(item)
        if found.kind == "list":
            return found.clause
        text = found.text
        return Clause(f"CASE WHEN {text.sql} IS NULL THEN NULL ELSE [{text.sql}] END", text.values * 2)

    def _mvcount(self, given: Sequence[ast.Expression]) -> Term:
        items = self._list(given[0])
        return Term(Clause(f"nullif(len({items.sql}), 0)", items.values), "number")

    def _mvindex(self, given: Sequence[ast.Expression]) -> Term:
        places = [item.value for item in given[1:] if isinstance(item, ast.Constant)]
        if len(places) < len(given) - 1 or not all(isinstance(place, int) for place in places):
            raise QueryRejectedError(f"{CANNOT}mvindex() at a calculated place")
        # Splunk counts from 0, DuckDB from 1; both count from the end with negative numbers.
        from_one = [int(place) + 1 if int(place) >= 0 else int(place) for place in map(int, map(str, places))]
        items = self._list(given[0])
        if len(from_one) == 1:
            return Term(Clause(f"list_extract({items.sql}, {from_one[0]})", items.values), "text")
        return Term(Clause(f"list_slice({items.sql}, {from_one[0]}, {from_one[1]})", items.values), "list")

    def _mvjoin(self, given: Sequence[ast.Expression]) -> Term:
        return Term(_called("array_to_string", self._list(given[0]), self.term(given[1]).text), "text")

    def _at(self, moment: datetime) -> Term:
        return Term(Clause("CAST(? AS DOUBLE)", (moment.timestamp(),)), "number")

    def _relative_time(self, given: Sequence[ast.Expression]) -> Term:
        steps = _constant(given[1], "relative_time")
        if not isinstance(given[0], ast.Call) or given[0].function != "now":
            raise QueryRejectedError(f"{CANNOT}relative_time() of anything but now()")
        try:
            return self._at(relative(steps, self._now))
        except ValueError as exc:
            raise QueryRejectedError(str(exc)) from exc

    def _strftime(self, given: Sequence[ast.Expression]) -> Term:
        shape = _constant(given[1], "strftime")
        for short, long in _FORMATS.items():
            shape = shape.replace(short, long)
        if unknown := [sign for sign in re.findall(r"%(.)", shape) if sign not in _KNOWN_FORMATS]:
            raise QueryRejectedError(f"{CANNOT}the format %{unknown[0]} of strftime()")
        number = self.term(given[0]).number
        sql = f"strftime(make_timestamp(CAST({number.sql} * 1000000 AS BIGINT)), ?)"
        return Term(Clause(sql, (*number.values, shape)), "text")


def iso(seconds: float) -> str:
    """A time as Splunk's results write it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _constant(item: ast.Expression, function: str) -> str:
    if isinstance(item, ast.Constant) and isinstance(item.value, str):
        return item.value
    raise QueryRejectedError(f"{CANNOT}{function}() with a calculated pattern")


def _called(function: str, *parts: Clause) -> Clause:
    sql = f"{function}({', '.join(part.sql for part in parts)})"
    return Clause(sql, tuple(value for part in parts for value in part.values))


def _shared(terms: Sequence[Term]) -> Kind:
    first = terms[0].kind
    return first if all(term.kind == first for term in terms) else "text"


def _as(kind: Kind, term: Term) -> Clause:
    return term.clause if term.kind == kind else term.number if kind == "number" else term.text


def _compared(operator: str, left: Term, right: Term) -> Clause:
    for one, other, sign in ((left, right, operator), (right, left, _turned(operator))):
        if one.kind == "list":
            inner = _compared(sign, Term(Clause("x"), "text"), other)
            sql = f"len(list_filter({one.clause.sql}, lambda x: {inner.sql})) > 0"
            return Clause(sql, one.clause.values + inner.values)
    if left.kind == right.kind == "number":
        return joined([left.clause, right.clause], operator)
    a, b = left.text, right.text
    match operator:
        case "=":
            return _called("spl_equal", a, b)
        case "!=":
            return Clause("NOT ") + _called("spl_equal", a, b)
        case "<":
            return _called("spl_less", a, b)
        case ">":
            return _called("spl_less", b, a)
        case "<=":
            return Clause("NOT ") + _called("spl_less", b, a)
        case _:
            return Clause("NOT ") + _called("spl_less", a, b)


def _turned(operator: str) -> str:
    return {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(operator, operator)


def _calculated(operator: str, left: Term, right: Term) -> Term:
    if operator == ".":
        return Term(joined([left.text, right.text], "||"), "text")
    numbers = [left.number, right.number]
    if operator in ("/", "%"):
        numbers[1] = Clause(f"nullif({numbers[1].sql}, 0)", numbers[1].values)
    whole = joined(numbers, operator)
    if operator != "+" or left.kind == right.kind == "number":
        return Term(whole, "number")
    # Splunk's + joins texts that are no numbers.
    sum_, texts = Term(whole, "number").text, joined([left.text, right.text], "||")
    return Term(_called("coalesce", sum_, texts), "text")
