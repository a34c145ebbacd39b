"""Types of expressions whose names are resolved: what decides on conversions. What is not known fits everywhere."""

from collections.abc import Mapping, Sequence

from ....tools.languages.kql import ast
from ....tools.languages.kql.functions import library
from ....tools.languages.kql.rows import DYNAMIC, NUMBERS, UNKNOWN, Row, plain
from ....tools.languages.kql.signatures import Signature, matched, widest

_ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})
_SPANS: Mapping[tuple[str, str, str], str] = {
    ("-", "datetime", "datetime"): "timespan",
    ("/", "timespan", "timespan"): "real",
    ("+", "timespan", "datetime"): "datetime",
}


class Shapes:
    """Knows what each name of the rewritten text stands for."""

    def __init__(self) -> None:
        self._declared: dict[str, str | Row] = {}

    def declare(self, name: str, value: str | Row) -> None:
        """Let a name stand for a scalar of a type, or a table."""
        self._declared[name] = value

    def kind(self, node: ast.Node, row: Row) -> str:
        """The KQL type of an expression over a row, `unknown` where it cannot be told."""
        return plain(self._kind(node, row))

    def first_column(self, node: ast.Node) -> str:
        """The type of the first column of a table that is named in the text."""
        if isinstance(node, ast.Pipeline) and all(isinstance(step, ast.Where | ast.Take) for step in node.operators):
            node = node.source
        known = self._declared.get(node.name) if isinstance(node, ast.Name) else None
        return next(iter(known.columns.values()), UNKNOWN) if isinstance(known, Row) else UNKNOWN

    def _kind(self, node: ast.Node, row: Row) -> str:
        match node:
            case ast.Name(name=name):
                known = row.columns.get(name) or self._declared.get(name)
                return known if isinstance(known, str) else UNKNOWN
            case ast.Literal(type=kind):
                return kind
            case ast.DynamicLiteral() | ast.Member() | ast.Index():
                return "dynamic"
            case ast.Logical() | ast.InList() | ast.Between():
                return "bool"
            case ast.Binary():
                return self._operation(node, row)
            case ast.Unary(operand=operand):
                return self._kind(operand, row)
            case ast.Named(value=value):
                return self._kind(value, row)
            case ast.Call(name="toscalar", arguments=(argument,)):
                return self.first_column(argument)
            case ast.Call():
                return self._call(node, row)
            case _:
                return UNKNOWN

    def _operation(self, node: ast.Binary, row: Row) -> str:
        if node.op not in _ARITHMETIC:
            return "bool"
        left, right = self.kind(node.left, row), self.kind(node.right, row)
        if UNKNOWN in (left, right) or "dynamic" in (left, right):
            return UNKNOWN
        if left in NUMBERS and right in NUMBERS:
            return widest((left, right, "long"))
        return _SPANS.get((node.op, left, right), left if left in ("datetime", "timespan") else right)

    def _call(self, call: ast.Call, row: Row) -> str:
        signature = signature_of(call.name)
        kinds = [self._kind(argument, row) for argument in call.arguments]
        match = matched(signature, kinds) if signature else None
        if match is None:
            return UNKNOWN
        head = match.overload.result.partition(":")[0]
        if head.startswith("$"):
            index = int(head[1:]) - 1
            return kinds[index] if index < len(kinds) else UNKNOWN
        match head:
            case "widest":
                return widest(kinds)
            case "promoted":
                return "long" if kinds and kinds[0] == "int" else kinds[0]
            case "percentile":
                return kinds[0]
            case "typeof":
                last = call.arguments[-1]
                return last.type if isinstance(last, ast.TypeOf) else UNKNOWN
            case "common":
                shared = [k for place, k in zip(match.places, kinds, strict=True) if place.word.startswith("common")]
                return _common(shared)
            case "pack":
                return "bag"
            case "any" | "table" | "tuple":
                return UNKNOWN
            case kind:
                return kind


def signature_of(name: str) -> Signature | None:
    """The signature of a function, or of an aggregate where there is no such function."""
    return library().scalar.get(name) or library().aggregate.get(name)


def _common(kinds: Sequence[str]) -> str:
    known = {plain(kind) for kind in kinds if kind not in (UNKNOWN, "any")}
    if known and known <= set(NUMBERS):
        return widest(list(known))
    if len(known) == 1:
        return known.pop()
    return "dynamic" if known & DYNAMIC else UNKNOWN
