"""Types of scalar expressions, and what in them cannot be resolved or does not fit."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ..query import Code, Diagnostic, Severity
from ..syntax import did_you_mean
from . import ast
from .functions import Library, library
from .rows import DYNAMIC, NUMBERS, UNKNOWN, Row, element_of, part_of, plain
from .schema import Schema
from .scopes import Names
from .signatures import Parameter, matched, parameter, widest
from .words import STRING_OPERATORS


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A declared function and the scope that it sees."""

    declaration: ast.Function
    scope: "Scope"


@dataclass(frozen=True, slots=True)
class Several:
    """The columns that one call yields, as `arg_max(...)` and `series_stats(...)` do."""

    columns: tuple[tuple[str, str], ...]
    open: bool = False


Value = str | Row | UserFunction | Several
"""What an expression can stand for: a scalar of a type, a table, a function, or several columns."""


Scope = Names[Value]


MOST_FINDINGS = 50
"""Findings of each severity that are reported of one query."""
NOTHING = Row()
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})
_ORDER = frozenset({"<", ">", "<=", ">="})
_EQUAL = frozenset({"==", "!=", "<>"})
_IGNORING_CASE = frozenset({"=~", "!~"})
_ANY_LIST = frozenset({"in", "!in"})


class ScalarBinder:
    """Resolves expressions against a row and a scope; what a tabular expression yields comes from the subclass."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._library: Library = library()
        self._scope = Scope()
        self._quiet = 0
        self._over: Row | None = None
        """The rows that aggregates in the expression at hand run over; None where no aggregate may stand."""
        self._gone: dict[str, str] = {}
        """Columns that an operator dropped, and which one."""
        self._reported: Counter[Severity] = Counter()
        self.diagnostics: list[Diagnostic] = []
        self.collections: dict[str, None] = {}
        self.fields: dict[str, None] = {}

    # Reports

    def _report(
        self, code: Code, message: str, node: ast.Node, hint: str | None = None, severity: Severity = "error"
    ) -> None:
        if self._quiet or self._reported[severity] >= MOST_FINDINGS:
            return
        finding = Diagnostic(code, severity, message, node.start, node.end, hint)
        if finding not in self.diagnostics:
            self._reported[severity] += 1
            self.diagnostics.append(finding)

    def _meant(self, name: str, known: Iterable[str]) -> str | None:
        """A guess at what was meant, while anybody reads it: comparing names with all others takes its time."""
        unread = self._quiet or self._reported["error"] >= MOST_FINDINGS
        return None if unread else did_you_mean(name, known)

    # Entry points

    def _value(self, node: ast.Node, row: Row | None) -> Value:
        """What an expression yields: the type of a scalar, or the row of a table."""
        raise NotImplementedError

    def _scalar(self, node: ast.Node, row: Row | None) -> str:
        """The type of an expression that must be a scalar."""
        value = self._value(node, row)
        if isinstance(value, str):
            return value
        if isinstance(value, Several):
            return value.columns[0][1] if value.columns else UNKNOWN
        self._report("type_mismatch", "a single value is expected here, not a table", node)
        return UNKNOWN

    def _typed(self, node: ast.Node, row: Row | None, wanted: Parameter) -> None:
        """The expression must be of a type."""
        found = self._scalar(node, row)
        if not wanted.rank(found):
            self._report(
                "type_mismatch", f"a value of type {wanted.described} is expected, this is {plain(found)}", node
            )

    # Names

    def _name(self, node: ast.Name, row: Row | None) -> Value:
        name = node.name
        if row is not None and name in row.columns:
            self.fields[name] = None
            return row.columns[name]
        declared = self._scope.find(name)
        if declared is not None:
            return declared
        if name in self._schema:
            self.collections[name] = None
            return Row(self._schema[name])
        if row is None:
            self._unknown_table(node)
            return Row(open=True)
        if not row.open:
            self._unknown_column(node, row)
        return UNKNOWN

    def _unknown_table(self, node: ast.Name) -> None:
        known = {*self._schema, *self._scope.all_names()}
        self._report("unknown_collection", f"there is no table {node.name}", node, self._meant(node.name, known))

    def _unknown_column(self, node: ast.Name, row: Row) -> None:
        name = node.name
        if self._over is not None and (self._over.open or name in self._over.columns):
            message = f"{name} is no aggregate: summarize yields one value for many rows"
            self._report("unknown_column", message, node, f"put {name} behind by, or into an aggregate: max({name})")
            return
        over = self._over.columns if self._over is not None else ()
        if name in ("$left", "$right"):
            self._report(
                "unknown_column", f"{name} stands in the condition of a join only", node, "name the column alone"
            )
            return
        if name in self._gone:
            hint: str | None = f"{self._gone[name]} dropped this column"
        else:
            hint = self._meant(name, {*row.columns, *over, *self._scope.all_names()})
        self._report("unknown_column", f"there is no column {name} here", node, hint)

    # Operators

    def _logical(self, node: ast.Logical, row: Row | None) -> str:
        for part in node.parts:
            self._typed(part, row, _TRUTH)
        return "bool"

    def _binary(self, node: ast.Binary, row: Row | None) -> str:
        chain = [node]
        while isinstance(chain[-1].left, ast.Binary):
            chain.append(chain[-1].left)
        left = self._scalar(chain[-1].left, row)
        for link in reversed(chain):
            left = self._operation(link, left, self._scalar(link.right, row))
        return left

    def _operation(self, node: ast.Binary, left: str, right: str) -> str:
        op = node.op
        if op in _EQUAL:
            self._compare(left, right, node)
            return "bool"
        result, misfit = _operator(_family(op), str(left), str(right))
        if misfit is None:
            return result
        self._misfit(node, left, right, misfit)
        return "bool" if op not in _ARITHMETIC else UNKNOWN

    def _misfit(self, node: ast.Binary, left: str, right: str, misfit: int) -> None:
        op, hint = node.op, None
        if op in STRING_OPERATORS or op in _IGNORING_CASE or op == "matches regex":
            side, found = (node.left, left) if misfit == 0 else (node.right, right)
            self._report(
                "type_mismatch", f"{op} compares text, this is {plain(found)}", side, "wrap it in tostring(...)"
            )
            return
        if {left, right} == {"string"} and op == "+":
            hint = "join text with strcat(...)"
        elif op in _ORDER and "string" in (left, right):
            hint = "read the text as a number or a time first: tolong(...), todatetime(...)"
        elif DYNAMIC & {left, right}:
            other = right if left in DYNAMIC else left
            hint = {"datetime": "wrap it in todatetime(...)", "timespan": "wrap it in totimespan(...)"}.get(other)
        elif op in _ORDER and {left, right} == {"datetime", "timespan"}:
            hint = "compare a time with a time, such as ago(1d)"
        elif "datetime" in (left, right) and {left, right} & set(NUMBERS):
            hint = "a span of time has a unit: 1d, 12h, 30m"
        verb = f"{plain(left)} is compared with {plain(right)}" if op in _ORDER else None
        self._report("type_mismatch", verb or f"{plain(left)} {op} {plain(right)} has no meaning", node, hint)

    def _in_list(self, node: ast.InList, row: Row | None) -> str:
        left = self._scalar(node.left, row)
        if node.op not in _ANY_LIST and not TEXT.rank(left):
            self._report("type_mismatch", f"{node.op} compares text, this is {plain(left)}", node.left)
        for item in node.items:
            value = self._value(item, row)
            if isinstance(value, Row):
                if len(node.items) > 1:
                    self._report("type_mismatch", "a table stands alone in the brackets, without other values", item)
                value = next(iter(value.columns.values()), UNKNOWN)
            if not isinstance(value, str):
                self._report("type_mismatch", "a value or a list is expected here", item)
            elif node.op in _ANY_LIST:
                self._compare(left, value, item)
        return "bool"

    def _between(self, node: ast.Between, row: Row | None) -> str:
        sides = (node.left, node.low, node.high)
        kinds = [self._scalar(side, row) for side in sides]
        match = matched(self._library.operator["between"], kinds)
        if match is not None and match.misfit is not None:
            at = match.misfit
            message = f"{plain(kinds[0])} cannot lie between {plain(kinds[1])} and {plain(kinds[2])}"
            self._report("type_mismatch", message, sides[at] if at else node)
        return "bool"

    def _sign(self, node: ast.Unary, row: Row | None) -> str:
        found = self._scalar(node.operand, row)
        if not _SIGNED.rank(found):
            self._report("type_mismatch", f"{node.op} needs a number, this is {found}", node)
            return UNKNOWN
        return "long" if found == "int" else found

    def _compare(self, left: str, right: str, node: ast.Node) -> None:
        """Two types meet in a comparison. Text against another type is legal and mostly a slip."""
        if not comparable(left, right):
            message = f"{plain(left)} is compared with {plain(right)}"
            self._report("type_mismatch", message, node, severity="warning")

    # Parts of nested values

    def _part(self, node: ast.Member, row: Row | None) -> str:
        found = self._nested(node.base, node, row)
        return part_of(found, node.name)

    def _item(self, node: ast.Index, row: Row | None) -> str:
        found = self._nested(node.base, node, row)
        index = self._scalar(node.index, row)
        if found == "primitive":
            self._report("type_mismatch", "a plain value has no parts", node)
        wanted = {"array": _PLACE, "bag": _KEY}.get(found, _PLACE_OR_KEY)
        if found != UNKNOWN and not wanted.rank(index):
            self._report("type_mismatch", f"parts are found by {wanted.described}, this is {plain(index)}", node.index)
        if found == "bag" and isinstance(node.index, ast.Literal):
            return part_of(found, str(node.index.value))
        return element_of(found) if found == "array" else "dynamic"

    def _nested(self, base: ast.Node, node: ast.Node, row: Row | None) -> str:
        found = self._scalar(base, row)
        if found not in DYNAMIC and found != UNKNOWN:
            hint = "read it with parse_json(...) first" if found == "string" else None
            self._report("type_mismatch", f"a value of type {found} has no parts", node, hint)
            return UNKNOWN
        return found


_TRUTH, TEXT, _SIGNED = parameter("bool|dynamic"), parameter("string|dynamic"), parameter("summable|dynamic")
_PLACE, _KEY, _PLACE_OR_KEY = parameter("integer"), parameter("string"), parameter("integer|string|dynamic")
BOOL = parameter("bool")


def _family(op: str) -> str:
    """The operator whose signature an operator shares."""
    if op in _ARITHMETIC or op in _ORDER:
        return op
    return "has" if op.lstrip("!").startswith("has") else "=~"


@lru_cache(maxsize=4096)
def _operator(op: str, left: str, right: str) -> tuple[str, int | None]:
    """The result of an operator on two types, and the side that does not fit."""
    match = matched(library().operator[op], (left, right))
    if match is None:
        return UNKNOWN, 0
    if match.misfit is not None:
        return UNKNOWN, match.misfit
    rule = match.overload.result
    if UNKNOWN in (left, right):
        return ("bool" if rule == "bool" else UNKNOWN), None
    if rule == "widest":
        return {"int": "long"}.get(wide := widest((left, right)), wide), None
    return {"$1": left, "$2": right}.get(rule, rule), None


def comparable(left: str, right: str) -> bool:
    """Whether two types can be sensibly compared for equality."""
    if left == right or UNKNOWN in (left, right) or left in DYNAMIC or right in DYNAMIC:
        return True
    if "bool" in (left, right):
        return "string" not in (left, right)
    return left in NUMBERS and right in NUMBERS
