"""Types of scalar expressions, and what in them cannot be resolved or does not fit."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..query import Code, Diagnostic, Severity
from ..syntax import did_you_mean
from . import ast
from .expressions import STRING_OPERATORS
from .functions import Library, Signature, library
from .rows import DYNAMIC, NUMBERS, UNKNOWN, Row
from .schema import Schema


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A declared function and the scope that it sees."""

    declaration: ast.Function
    scope: "Scope"


Value = str | Row | UserFunction
"""What a name can stand for: a scalar of a type, a table, or a function."""


@dataclass(slots=True)
class Scope:
    """Names declared so far; a function's body opens a scope of its own."""

    parent: "Scope | None" = None
    names: dict[str, Value] = field(default_factory=dict)

    def find(self, name: str) -> Value | None:
        """What the name stands for here; None when it is not declared."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None

    def all_names(self) -> set[str]:
        """Every name that can be seen from here."""
        return set(self.names) | (self.parent.all_names() if self.parent else set())


MOST_FINDINGS = 50
"""Findings of each severity that are reported of one query."""
_ORDERED = {"<", ">", "<=", ">="}
_EQUAL = {"==", "!=", "<>", "=~", "!~"}
_CLOSED_SCALARS = {"bool", "datetime", "guid", "string", "timespan"}


class ScalarBinder:
    """Resolves expressions against a row and a scope; what a tabular expression yields comes from the subclass."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._library: Library = library()
        self._scope = Scope()
        self._quiet = 0
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
        self._report("type_mismatch", "a single value is expected here, not a table", node)
        return UNKNOWN

    def _typed(self, node: ast.Node, row: Row | None, wanted: str) -> None:
        """The expression must be of a type."""
        found = self._scalar(node, row)
        if not fits(found, frozenset({wanted})):
            self._report("type_mismatch", f"a value of type {wanted} is expected, this is {found}", node)

    # Names

    def _name(self, node: ast.Name, row: Row | None) -> Value:
        if row is not None and node.name in row.columns:
            self.fields[node.name] = None
            return row.columns[node.name]
        declared = self._scope.find(node.name)
        if declared is not None:
            return declared
        if node.name in self._schema:
            self.collections[node.name] = None
            return Row(self._schema[node.name])
        if row is not None and row.open:
            return UNKNOWN
        if row is None:
            known: Iterable[str] = {*self._schema, *self._scope.all_names()}
            self._report("unknown_collection", f"there is no table {node.name}", node, self._meant(node.name, known))
            return Row(open=True)
        known = {*row.columns, *self._scope.all_names()}
        self._report("unknown_column", f"there is no column {node.name} here", node, self._meant(node.name, known))
        return UNKNOWN

    # Operators

    def _logical(self, node: ast.Logical, row: Row | None) -> str:
        for part in node.parts:
            self._typed(part, row, "bool")
        return "bool"

    def _binary(self, node: ast.Binary, row: Row | None) -> str:
        chain = [node]
        while isinstance(chain[-1].left, ast.Binary):
            chain.append(chain[-1].left)
        left = self._scalar(chain[-1].left, row)
        for link in reversed(chain):
            left = self._operation(link, left, row)
        return left

    def _operation(self, node: ast.Binary, left: str, row: Row | None) -> str:
        right = self._scalar(node.right, row)
        op = node.op
        if op in _EQUAL or op in _ORDERED:
            self._compare(left, right, node)
            return "bool"
        if op in STRING_OPERATORS or op == "matches regex":
            for found, side in ((left, node.left), (right, node.right)):
                if not fits(found, frozenset({"string", "dynamic"})):
                    self._report("type_mismatch", f"{op} compares text, this is {found}", side)
            return "bool"
        return self._arithmetic(node, left, right)

    def _arithmetic(self, node: ast.Binary, left: str, right: str) -> str:
        pair = {left, right}
        if UNKNOWN in pair or pair & DYNAMIC:
            return UNKNOWN
        if pair <= set(NUMBERS):
            return widest((left, right))
        match node.op, left, right:
            case "-", "datetime", "datetime":
                return "timespan"
            case "+" | "-", "datetime", "timespan":
                return "datetime"
            case "+", "timespan", "datetime":
                return "datetime"
            case "+" | "-", "timespan", "timespan":
                return "timespan"
            case "/", "timespan", "timespan":
                return "real"
            case "%", "timespan", "timespan":
                return "timespan"
            case "*" | "/", "timespan", _ if right in NUMBERS:
                return "timespan"
            case "*", _, "timespan" if left in NUMBERS:
                return "timespan"
        hint = "join text with strcat(...)" if pair == {"string"} and node.op == "+" else None
        self._report("type_mismatch", f"{left} {node.op} {right} has no meaning", node, hint)
        return UNKNOWN

    def _in_list(self, node: ast.InList, row: Row | None) -> str:
        left = self._scalar(node.left, row)
        for item in node.items:
            value = self._value(item, row)
            if isinstance(value, Row):
                value = next(iter(value.columns.values()), UNKNOWN)
            if not isinstance(value, str):
                self._report("type_mismatch", "a value or a list is expected here", item)
            elif node.op in ("in", "in~", "!in", "!in~"):
                self._compare(left, value, item)
        return "bool"

    def _between(self, node: ast.Between, row: Row | None) -> str:
        left = self._scalar(node.left, row)
        low, high = self._scalar(node.low, row), self._scalar(node.high, row)
        for found, side in ((low, node.low), (high, node.high)):
            span = left == "datetime" and found == "timespan" and side is node.high
            if not span:
                self._compare(left, found, side)
        return "bool"

    def _compare(self, left: str, right: str, node: ast.Node) -> None:
        """Two types meet in a comparison. Text against another type is legal and mostly a slip."""
        if not comparable(left, right):
            severity: Severity = "warning" if "string" in (left, right) else "error"
            self._report("type_mismatch", f"{left} is compared with {right}", node, severity=severity)

    def _path(self, base: ast.Node, node: ast.Node, row: Row | None) -> str:
        found = self._scalar(base, row)
        if found not in DYNAMIC and found != UNKNOWN:
            self._report(
                "type_mismatch",
                f"a value of type {found} has no parts",
                node,
                "read it with parse_json(...) first" if found == "string" else None,
            )
            return UNKNOWN
        return "dynamic"

    # Calls of documented functions

    def _signature_call(self, call: ast.Call, signature: Signature, row: Row | None) -> str:
        kinds: list[str] = []
        for index, argument in enumerate(call.arguments):
            value = argument.value if isinstance(argument, ast.Named) else argument
            found = "any" if isinstance(value, ast.Star) else self._scalar(value, row)
            kinds.append(found)
            if signature.parameters:
                wanted = signature.parameter(index)
                if not fits(found, wanted):
                    names = " or ".join(sorted(wanted))
                    self._report("type_mismatch", f"{call.name} takes {names} here, this is {found}", value)
        self._count_arguments(call, signature)
        return result_type(signature.result, kinds, call)

    def _count_arguments(self, call: ast.Call, signature: Signature) -> None:
        given, most = len(call.arguments), len(signature.parameters)
        if given < signature.required or (given > most and not signature.variadic):
            some = str(signature.required) if signature.required == most else f"{signature.required} to {most}"
            if signature.variadic:
                some = f"{signature.required} or more"
            self._report("bad_value", f"{call.name} takes {some} arguments, here are {given}", call)

    def _unknown_function(self, call: ast.Call) -> None:
        if call.name in self._library.aggregate:
            self._report("unknown_function", f"{call.name} is an aggregate: use it in summarize", call)
            return
        known: Mapping[str, object] = {**self._library.scalar, **dict.fromkeys(self._scope.all_names())}
        self._report("unknown_function", f"there is no function {call.name}", call, self._meant(call.name, known))


def fits(found: str, wanted: frozenset[str]) -> bool:
    """Whether a value of one type can be passed where one of some types is wanted."""
    if "any" in wanted or found in wanted or found in (UNKNOWN, "any"):
        return True
    if found in NUMBERS:
        return (
            bool(wanted & {"real", "decimal"})
            or (found == "int" and "long" in wanted)
            or (found == "long" and "int" in wanted)
        )
    if found in ("array", "bag"):
        return "dynamic" in wanted
    return found == "dynamic" and wanted != {"bool"}


def comparable(left: str, right: str) -> bool:
    """Whether two types can be compared for equality or order."""
    if left == right or UNKNOWN in (left, right) or left in DYNAMIC or right in DYNAMIC:
        return True
    if left in _CLOSED_SCALARS and right in _CLOSED_SCALARS:
        return False
    if "bool" in (left, right):
        return True
    return left in NUMBERS and right in NUMBERS


def widest(kinds: Iterable[str]) -> str:
    """The type that holds values of all the types."""
    found = [kind for kind in kinds if kind != "any"]
    if not found:
        return UNKNOWN
    if all(kind in NUMBERS for kind in found):
        return max(found, key=NUMBERS.index)
    first = found[0]
    return first if all(kind == first for kind in found) else UNKNOWN


def result_type(rule: str, kinds: list[str], call: ast.Call) -> str:
    """The result of a call by its signature's rule and the types of its arguments."""
    match rule:
        case "common":
            return widest(kinds)
        case "common2":
            return widest(kinds[1:])
        case "case":
            return widest(kinds[1:-1:2] + kinds[-1:])
        case "sum":
            return {"int": "long"}.get(kinds[0], kinds[0]) if kinds else UNKNOWN
        case "avg":
            return "real" if kinds and kinds[0] in NUMBERS else kinds[0] if kinds else UNKNOWN
        case "extract":
            last = call.arguments[-1] if call.arguments else None
            return last.type if isinstance(last, ast.TypeOf) else "string"
        case "any" | "scalar" | "table":
            return UNKNOWN
        case _ if rule.startswith("$"):
            index = int(rule[1:]) - 1
            return kinds[index] if index < len(kinds) else UNKNOWN
        case _:
            return rule
