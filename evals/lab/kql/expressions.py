"""Scalar expressions: names written out, then conversions where Kusto coerces and DuckDB does not."""

import re
from collections.abc import Mapping, Sequence

from ....tools.languages.kql import ast
from ....tools.languages.kql.expressions import STRING_OPERATORS
from ....tools.languages.kql.functions import library
from ....tools.languages.kql.rows import DYNAMIC, NUMBERS, UNKNOWN, Row
from . import trees
from .aggregates import adapted_aggregate
from .calls import adapted
from .conversions import as_kind, as_text, lab
from .faults import UnrunnableError, unresolved_column
from .names import Closure, Constant, Scope, Table
from .shapes import Shapes
from .workspace import Workspace

EMPTY = Row()
_TABULAR = (ast.Pipeline, ast.Operator, ast.DataTable, ast.ExternalData)
_EQUAL = frozenset({"==", "!=", "<>"})
_COMPARING = _EQUAL | {"<", ">", "<=", ">="}
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})
_LISTS = frozenset({"in", "in~", "!in", "!in~"})
_READ_AS_LISTS = frozenset({"parse_json", "todynamic", "pack_array"})
REMOTE = frozenset({"cluster", "database", "workspace", "app", "resource", "adx", "arg", "external_table"})
"""Functions that name data elsewhere."""
_SPANS: Mapping[tuple[str, str, str], str] = {
    ("/", "timespan", "timespan"): "span_ratio",
    ("/", "timespan", "number"): "span_share",
    ("%", "timespan", "timespan"): "span_rest",
}
_UNITS: Mapping[str, str] = {
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("ms", "milli", "millis", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("micro", "micros", "microsecond", "microseconds"), "microsecond"),
}
_SPAN = re.compile(r"(-?\d+(?:\.\d+)?)\s*([a-z]+)")


class Expressions:
    """Writes the expressions of one query. Tables inside of expressions come from the subclass."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.shapes = Shapes()

    def table(self, node: ast.Node, scope: Scope) -> tuple[ast.Node, Row]:
        """A tabular expression as it runs, and its row."""
        raise NotImplementedError

    def applied(self, closure: Closure, call: ast.Call, row: Row, scope: Scope) -> tuple[ast.Node, Scope]:
        """The body of a function that is called, and the scope in which to read it."""
        raise NotImplementedError

    def written(self, node: ast.Node, row: Row, scope: Scope) -> ast.Node:
        """An expression over a row, as it runs."""
        return self.fitted(self.resolved(node, row, scope), row)

    def condition(self, node: ast.Node, row: Row, scope: Scope) -> ast.Node:
        """An expression that must be true or false."""
        if isinstance(node, ast.Named):
            raise UnrunnableError("a condition with a single =, which compares nothing")
        resolved = self.resolved(node, row, scope)
        return self._truth(self.fitted(resolved, row), self.shapes.kind(resolved, row))

    def is_table(self, node: ast.Node, row: Row, scope: Scope) -> bool:
        """Whether an expression yields a table."""
        match node:
            case ast.Name(name=name):
                if name in row.columns:
                    return False
                meaning = scope.find(name)
                if isinstance(meaning, Closure):
                    return self._yields_table(meaning)
                return isinstance(meaning, Table) or (meaning is None and name in self.workspace.tables)
            case ast.Call(name=name):
                meaning = scope.find(name)
                if isinstance(meaning, Closure):
                    return self._yields_table(meaning)
                return name in ("materialize", "table", *REMOTE)
            case ast.Member(base=base) | ast.MemberCall(base=base):
                return isinstance(base, ast.MemberCall) or (isinstance(base, ast.Call) and base.name in REMOTE)
            case _:
                return isinstance(node, _TABULAR)

    def _yields_table(self, closure: Closure) -> bool:
        inner = Scope(closure.scope)
        for parameter in closure.declaration.parameters:
            tabular = parameter.columns is not None
            inner.names[parameter.name] = Table("", EMPTY) if tabular else Constant(ast.Star(0, 0), parameter.type)
        value: ast.Node | None = None
        for statement in closure.declaration.body:
            match statement:
                case ast.Let(name=name, value=ast.Function() as function):
                    inner.names[name] = Closure(function, inner)
                case ast.Let(name=name, value=bound):
                    table = self.is_table(bound, EMPTY, inner)
                    inner.names[name] = Table("", EMPTY) if table else Constant(ast.Star(0, 0), UNKNOWN)
                case ast.ExpressionStatement(value=value):
                    pass
        return value is not None and self.is_table(value, EMPTY, inner)

    # Names

    def resolved(self, node: ast.Node, row: Row, scope: Scope) -> ast.Node:
        """The expression with every name of the query replaced by what it stands for."""
        match node:
            case ast.Literal() | ast.TypeOf() | ast.Star() | ast.DynamicLiteral():
                return node
            case ast.Name():
                return self._name(node, row, scope)
            case ast.Call(name="toscalar", arguments=(argument,)):
                if not self.is_table(argument, EMPTY, scope):
                    return self.resolved(argument, row, scope)
                return trees.call("toscalar", self.table(argument, scope)[0])
            case ast.Call():
                return self._call(node, row, scope)
            case ast.InList(items=items):
                left = self.resolved(node.left, row, scope)
                kind = self.shapes.kind(left, row)
                found = tuple(self._item(item, kind, row, scope) for item in items)
                return ast.InList(node.start, node.end, node.op, left, found)
            case ast.Member(base=ast.Name(name="$left" | "$right")):
                return node
            case ast.MemberCall():
                raise UnrunnableError(f"{_root(node)}()")
            case ast.Pipeline() | ast.Operator() | ast.DataTable() | ast.ExternalData():
                return self.table(node, scope)[0]
            case _:
                return trees.mapped(node, lambda part: self.resolved(part, row, scope))

    def _name(self, node: ast.Name, row: Row, scope: Scope) -> ast.Node:
        if node.name in row.columns:
            return node
        match scope.find(node.name):
            case Constant(node=value):
                return value
            case Table(name=name):
                return trees.name(name)
            case Closure() as closure:
                return self._inlined(closure, ast.Call(0, 0, node.name, ()), row, scope)
        if node.name in self.workspace.tables and not row.columns:
            return self.table(node, scope)[0]
        if row.open:
            return ast.DynamicLiteral(0, 0, None)
        raise unresolved_column(node.name)

    def _call(self, call: ast.Call, row: Row, scope: Scope) -> ast.Node:
        meaning = scope.find(call.name)
        if isinstance(meaning, Closure):
            return self._inlined(meaning, call, row, scope)
        if call.name in REMOTE:
            raise UnrunnableError(f"{call.name}()")
        return trees.mapped(call, lambda part: self.resolved(part, row, scope))

    def _inlined(self, closure: Closure, call: ast.Call, row: Row, scope: Scope) -> ast.Node:
        value, inner = self.applied(closure, call, row, scope)
        return self.resolved(value, EMPTY, inner)

    def _item(self, node: ast.Node, kind: str, row: Row, scope: Scope) -> ast.Node:
        """One item behind `in`: a table is written as a pipeline, so that it cannot be taken for a column."""
        if not self.is_table(node, row, scope):
            return self.resolved(node, row, scope)
        table, found = self.table(node, scope)
        first, first_kind = next(iter(found.columns.items()), ("", UNKNOWN))
        if first_kind in DYNAMIC:  # lists in its first column stand for their elements
            wanted = "string" if kind in DYNAMIC or kind == UNKNOWN else kind
            elements = ast.Expand(0, 0, trees.named(first, trees.name(first)), wanted)
            steps = (ast.MvExpand(0, 0, (elements,)), trees.project(trees.named(first, trees.name(first))))
            before = table.operators if isinstance(table, ast.Pipeline) else ()
            return ast.Pipeline(0, 0, table.source if isinstance(table, ast.Pipeline) else table, (*before, *steps))
        return (
            table if isinstance(table, ast.Pipeline) else ast.Pipeline(0, 0, table, (trees.where(trees.truth(True)),))
        )

    # Types

    def fitted(self, node: ast.Node, row: Row, aggregating: bool = False) -> ast.Node:
        """The expression with conversions and functions written out; its names are resolved."""
        match node:
            case ast.Literal():
                return _literal(node)
            case ast.Name() | ast.Star() | ast.DynamicLiteral() | ast.TypeOf():
                return node
            case ast.Pipeline() | ast.Operator() | ast.DataTable():
                return node
            case ast.Call(name="toscalar"):
                return node
            case ast.Call():
                return self._fitted_call(node, row, aggregating)
            case ast.Binary():
                return self._fitted_binary(node, row, aggregating)
            case ast.Logical(op=op, parts=parts):
                kinds = [self.shapes.kind(part, row) for part in parts]
                fitted = [self.fitted(part, row, aggregating) for part in parts]
                return ast.Logical(0, 0, op, tuple(self._truth(p, k) for p, k in zip(fitted, kinds, strict=True)))
            case ast.InList():
                return self._fitted_list(node, row, aggregating)
            case ast.Between():
                return self._fitted_between(node, row, aggregating)
            case ast.Index(base=base, index=index) if not isinstance(index, ast.Literal | ast.Unary):
                return lab("part_at", self.fitted(base, row, aggregating), self.fitted(index, row, aggregating))
            case _:
                return trees.mapped(node, lambda part: self.fitted(part, row, aggregating))

    def _truth(self, node: ast.Node, kind: str) -> ast.Node:
        if kind in DYNAMIC:
            return lab("truth", node)
        return trees.call("tobool", node) if kind in NUMBERS else node

    def _fitted_call(self, call: ast.Call, row: Row, aggregating: bool) -> ast.Node:
        aggregate = aggregating and is_aggregate(call)
        kinds = [self._kind(trees.unnamed(argument), row) for argument in call.arguments]
        arguments = tuple(self.fitted(trees.unnamed(a), row, aggregating and not aggregate) for a in call.arguments)
        changed = ast.Call(call.start, call.end, call.name, arguments)
        return adapted_aggregate(changed, kinds) if aggregate else adapted(changed, kinds, row)

    def _kind(self, node: ast.Node, row: Row) -> str:
        return "any" if isinstance(node, ast.Star | ast.TypeOf) else self.shapes.kind(node, row)

    def _fitted_binary(self, node: ast.Binary, row: Row, aggregating: bool) -> ast.Node:
        left_kind, right_kind = self.shapes.kind(node.left, row), self.shapes.kind(node.right, row)
        left, right = self.fitted(node.left, row, aggregating), self.fitted(node.right, row, aggregating)
        op = node.op
        if op in STRING_OPERATORS or op in ("=~", "!~", "matches regex"):
            if op.strip("!") in ("like", "notlike", "likecs", "notlikecs"):
                raise UnrunnableError(f"the operator {op}")
            left, right = as_text(left, left_kind), as_text(right, right_kind)
            left, right = _settled(left, left_kind, (right,)), _settled(right, right_kind, (left,))
        elif op in _COMPARING:
            left, right = _comparable(left, left_kind, right, right_kind, op in _EQUAL)
        elif op in _ARITHMETIC:
            spans = _SPANS.get((op, left_kind, "number" if right_kind in NUMBERS else right_kind))
            if spans:
                return lab(spans, left, right)
            left, right = _computable(left, left_kind, right, right_kind, op)
        return ast.Binary(node.start, node.end, op, left, right)

    def _fitted_list(self, node: ast.InList, row: Row, aggregating: bool) -> ast.Node:
        left_kind = self.shapes.kind(node.left, row)
        left = self.fitted(node.left, row, aggregating)
        kinds = [self._item_kind(item, row) for item in node.items]
        items = [self.fitted(item, row, aggregating) for item in node.items]
        if node.op not in _LISTS:
            left = as_text(left, left_kind)
        elif left_kind in DYNAMIC:
            left = as_kind(left, left_kind, next((k for k in kinds if k not in DYNAMIC), "string"))
        elif left_kind in NUMBERS and "string" in kinds:
            left = as_text(left, left_kind)
        elif left_kind == "string":
            items = [
                as_text(item, k) if k in NUMBERS and isinstance(item, ast.Literal | ast.Unary) else item
                for item, k in zip(items, kinds, strict=True)
            ]
        left = _settled(left, left_kind, items)
        items = [_as_list(item, k) for item, k in zip(items, kinds, strict=True)]
        return ast.InList(node.start, node.end, node.op, left, tuple(items))

    def _item_kind(self, item: ast.Node, row: Row) -> str:
        if isinstance(item, _TABULAR):
            return self.shapes.first_column(item)
        return self.shapes.kind(item, row)

    def _fitted_between(self, node: ast.Between, row: Row, aggregating: bool) -> ast.Node:
        left_kind, low_kind, high_kind = (self.shapes.kind(part, row) for part in (node.left, node.low, node.high))
        left, low, high = (self.fitted(part, row, aggregating) for part in (node.left, node.low, node.high))
        left = as_kind(left, left_kind, low_kind)
        low, high = as_kind(low, low_kind, left_kind), as_kind(high, high_kind, left_kind)
        if high_kind == "timespan" and "datetime" in (left_kind, low_kind):
            high = trees.binary(low, "+", high)
        return ast.Between(node.start, node.end, node.op, left, low, high)


def is_aggregate(call: ast.Call) -> bool:
    """Whether a call inside of summarize is an aggregate's."""
    return call.name in library().aggregate and call.name not in library().scalar


def _comparable(
    left: ast.Node, left_kind: str, right: ast.Node, right_kind: str, equality: bool
) -> tuple[ast.Node, ast.Node]:
    left, right = as_kind(left, left_kind, right_kind), as_kind(right, right_kind, left_kind)
    if equality:
        if left_kind == "string" and right_kind in NUMBERS:
            right = as_text(right, right_kind)
        elif right_kind == "string" and left_kind in NUMBERS:
            left = as_text(left, left_kind)
    return _settled(left, left_kind, (right,)), _settled(right, right_kind, (left,))


def _settled(node: ast.Node, kind: str, others: Sequence[ast.Node]) -> ast.Node:
    """A column of a known type, so that the translator need not test it at run time.

    A text that is not there is empty to Kusto and null to DuckDB: that matters unless it meets texts that are not empty.
    """
    if not isinstance(node, ast.Name) or kind in DYNAMIC or kind == UNKNOWN:
        return node
    filled = all(isinstance(other, ast.Literal) and other.value != "" for other in others)
    return lab("text_of_string" if kind == "string" and not filled else "same", node)


def _computable(left: ast.Node, left_kind: str, right: ast.Node, right_kind: str, op: str) -> tuple[ast.Node, ast.Node]:
    if left_kind in DYNAMIC and right_kind in DYNAMIC:
        return lab("number", left), lab("number", right)
    left = as_kind(left, left_kind, "datetime" if right_kind == "timespan" and op in "+-" else right_kind)
    right = as_kind(right, right_kind, left_kind)
    if op == "/" and left_kind in NUMBERS and right_kind in NUMBERS and "real" in (left_kind, right_kind):
        left = trees.call("todouble", left)  # so that the translator sees that no whole number comes out
    return left, right


def _as_list(item: ast.Node, kind: str) -> ast.Node:
    """A list that is no literal, marked as one, so that its elements are compared and not its text."""
    if kind not in DYNAMIC or isinstance(item, ast.DynamicLiteral | ast.Pipeline):
        return item
    if isinstance(item, ast.Call) and item.name in _READ_AS_LISTS:
        return item
    return trees.call("todynamic", item)


def _literal(node: ast.Literal) -> ast.Literal:
    """A literal as the translator reads it: no quotes in `datetime("...")`, short units."""
    if not isinstance(node.value, str) or node.type == "string":
        return node
    text = node.value.strip().strip("\"'").strip()
    if node.type == "timespan":
        found = _SPAN.fullmatch(text)
        if found:
            if found[2] not in _UNITS:
                raise UnrunnableError(f"a timespan in {found[2]}")
            text = found[1] + _UNITS[found[2]]
    return ast.Literal(node.start, node.end, node.type, text)


def _root(node: ast.Node) -> str:
    while isinstance(node, ast.MemberCall | ast.Member):
        node = node.base
    return node.name if isinstance(node, ast.Call | ast.Name) else "a remote table"
