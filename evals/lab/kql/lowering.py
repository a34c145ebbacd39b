"""A rewritten tree as the nodes that duckdb-kql makes SQL of.

duckdb-kql reads KQL into this representation by itself; a rewritten tree needs none of what its reader does (names,
`let`, functions), and its generated parser takes longer than all the rest.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from duckdb_kql import ir

from ....tools.languages.kql import ast
from .faults import UnrunnableError

_IN: Mapping[str, tuple[bool, bool]] = {
    "in": (False, False),
    "!in": (True, False),
    "in~": (False, True),
    "!in~": (True, True),
}
_DATE = re.compile(r"\s*(\d{1,4})\s*,\s*(\d{1,2})\s*(?:,\s*(\d{1,2})\s*)?")


def lowered(node: ast.Node, lets: Iterable[ast.Let]) -> ir.Query:
    """The whole query; `lets` are the tables and scalars that it reads, in order.

    Raises:
        UnrunnableError: a construct that has no such node.
    """
    lowering = _Lowering()
    tables = []
    for let in lets:
        if isinstance(let.value, ast.Pipeline | ast.Operator | ast.DataTable):
            tables.append((let.name, lowering.query(let.value)))
        else:
            lowering.scalars[let.name] = lowering.scalar(let.value)
    query = lowering.query(node)
    query.lets.extend(tables)
    return query


class _Lowering:
    def __init__(self) -> None:
        self.scalars: dict[str, ir.Expr] = {}

    # Tables

    def query(self, node: ast.Node) -> ir.Query:
        if not isinstance(node, ast.Pipeline):
            return self._head(node)
        query = self._head(node.source)
        query.operators.extend(step for operator in node.operators for step in self._operator(operator))
        return query

    def _head(self, node: ast.Node) -> ir.Query:
        match node:
            case ast.Pipeline():
                return self.query(node)
            case ast.Name(name=name):
                return ir.Query(ir.TableRef(name))
            case ast.DataTable(columns=columns, values=values):
                shown = tuple((column.name, column.type) for column in columns)
                return ir.Query(ir.DataTable(shown, tuple(self.scalar(value) for value in values)))
            case ast.Print(items=items):
                return ir.Query(ir.PrintSource(tuple(self._named(items))))
            case ast.Range(name=name, low=low, high=high, step=step):
                return ir.Query(ir.RangeSource(name, self.scalar(low), self.scalar(high), self.scalar(step)))
            case _:
                raise UnrunnableError(f"a source such as {type(node).__name__}")

    def _operator(self, node: ast.Operator) -> Iterator[ir.Operator]:
        match node:
            case ast.Where(predicate=predicate):
                yield ir.Where(self.scalar(predicate))
            case ast.Project(kind="project", items=items):
                yield ir.Project(tuple(self._named(items)))
            case ast.Project(kind="project-rename", items=items):
                yield ir.ProjectRename(tuple((_column(_value(item)), _label(item) or "") for item in items))
            case ast.Extend(items=items):
                yield ir.Extend(tuple(self._named(items)))
            case ast.Distinct(items=items):
                yield ir.Distinct(tuple(self._named(items)))
            case ast.Summarize(aggregates=aggregates, by=by):
                yield ir.Summarize(tuple(self._named(aggregates)), tuple(self._named(by)))
            case ast.Sort(by=by):
                yield ir.Sort(self._keys(by))
            case ast.Top(count=count, by=by):
                yield ir.Top(_number(count), self._keys(by))
            case ast.Take(count=count):
                yield ir.Take(_number(count))
            case ast.Count(name=name):
                yield ir.Count(name or "Count")
            case ast.GetSchema():
                yield ir.GetSchema()
            case ast.Join():
                yield self._join(node)
            case ast.Union(kind=kind, tables=tables):
                yield ir.Union(tuple(self.query(table) for table in tables), kind)
            case ast.MvExpand():
                yield self._mv_expand(node)
            case ast.Parse():
                yield self._parse(node)
            case _:
                raise UnrunnableError(type(node).__name__.lower())

    def _named(self, items: Iterable[ast.Node]) -> Iterator[ir.NamedExpr]:
        for item in items:
            yield ir.NamedExpr(self.scalar(_value(item)), _label(item))

    def _keys(self, keys: Iterable[ast.Node]) -> tuple[ir.SortKey, ...]:
        found = []
        for key in keys:
            if isinstance(key, ast.Ordered):
                first = None if key.nulls is None else key.nulls == "first"
                found.append(ir.SortKey(self.scalar(key.value), not key.descending, first))
            else:
                found.append(ir.SortKey(self.scalar(key)))
        return tuple(found)

    def _join(self, node: ast.Join) -> ir.Operator:
        keys = tuple(_join_key(key) for key in node.on)
        right = self.query(node.right)
        return ir.Lookup(right, keys, node.kind) if node.operator == "lookup" else ir.Join(right, keys, node.kind)

    def _mv_expand(self, node: ast.MvExpand) -> ir.Operator:
        if node.bags not in ("bag", "array"):
            raise UnrunnableError(f"mv-expand kind={node.bags}")
        targets = tuple(
            ir.MvExpandTarget(_column(_value(item.value)), _label(item.value), item.type) for item in node.items
        )
        limit = None if node.limit is None else _number(node.limit)
        return ir.MvExpand(targets, node.item_index, limit, node.bags == "array")

    def _parse(self, node: ast.Parse) -> ir.Operator:
        segments: list[ir.ParseSegment] = []
        skip = False
        for part in node.pattern:
            if isinstance(part, ast.Star):
                skip = True
            elif isinstance(part, ast.Literal):
                segments.append(ir.ParseSegment(str(part.value), skip))
                skip = False
            elif segments and segments[-1].name is None and not skip:
                last = segments.pop()
                kind = None if part.type == "string" else part.type
                segments.append(ir.ParseSegment(last.literal, last.skip, part.name, kind))
            else:
                raise UnrunnableError(f"parse with the column {part.name} behind no text")
        options = dict(node.parameters)
        return ir.Parse(
            self.scalar(node.source),
            tuple(segments),
            options.get("kind", "simple"),
            options.get("flags"),
            node.word == "parse-where",
            skip,
        )

    # Scalars

    def scalar(self, node: ast.Node) -> ir.Expr:
        match node:
            case ast.Name(name=name):
                return self.scalars.get(name) or ir.ColumnRef(name)
            case ast.Literal():
                return _literal(node)
            case ast.DynamicLiteral(value=value):
                return self._dynamic(value)
            case ast.Star():
                return ir.Wildcard()
            case ast.Member() | ast.Index():
                return self._path(node)
            case ast.Call(name="toscalar", arguments=(table,)):
                return ir.ToScalar(self.query(table))
            case ast.Call(name=name, arguments=arguments):
                return ir.FunctionCall(name, tuple(self.scalar(_value(argument)) for argument in arguments))
            case ast.Unary():
                return self._unary(node)
            case ast.Binary(op=op, left=left, right=right):
                return ir.BinaryOp(op, self.scalar(left), self.scalar(right))
            case ast.Logical(op=op, parts=parts):
                found = self.scalar(parts[0])
                for part in parts[1:]:
                    found = ir.BinaryOp(op, found, self.scalar(part))
                return found
            case ast.InList():
                return self._list(node)
            case ast.Between(op=op, left=left, low=low, high=high):
                return ir.Between(self.scalar(left), self.scalar(low), self.scalar(high), op.startswith("!"))
            case _:
                raise UnrunnableError(f"an expression such as {type(node).__name__}")

    def _unary(self, node: ast.Unary) -> ir.Expr:
        operand = self.scalar(node.operand)
        if node.op == "+":
            return operand
        if isinstance(operand, ir.Literal) and isinstance(operand.value, int | float):
            return ir.Literal(-operand.value, operand.kind)
        return ir.UnaryOp("-", operand)

    def _list(self, node: ast.InList) -> ir.Expr:
        table = node.items[0] if len(node.items) == 1 and isinstance(node.items[0], ast.Pipeline) else None
        items = () if table else tuple(self.scalar(item) for item in node.items)
        query = self.query(table) if table else None
        if node.op in _IN:
            return ir.InList(self.scalar(node.left), items, *_IN[node.op], query)
        return ir.HasList(self.scalar(node.left), items, node.op == "has_all", query)

    def _path(self, node: ast.Node) -> ir.Expr:
        steps: list[ir.PathStep] = []
        while isinstance(node, ast.Member | ast.Index):
            if isinstance(node, ast.Member):
                steps.append(ir.PathStep(name=node.name))
            elif isinstance(node.index, ast.Literal) and node.index.type == "string":
                steps.append(ir.PathStep(name=str(node.index.value)))
            else:
                steps.append(ir.PathStep(index=self.scalar(node.index)))
            node = node.base
        return ir.PathAccess(self.scalar(node), tuple(reversed(steps)))

    def _dynamic(self, value: object) -> ir.Expr:
        if value is None:
            return ir.Literal(None, "dynamic")
        parts: list[str | ir.Expr] = []
        self._json(value, parts)
        if all(isinstance(part, str) for part in parts):
            return ir.Literal("".join(part for part in parts if isinstance(part, str)), "dynamic")
        texts = tuple(
            ir.Literal(part, "string") if isinstance(part, str) else ir.FunctionCall("tostring", (part,))
            for part in parts
        )
        return ir.FunctionCall("parse_json", (ir.FunctionCall("strcat", texts),))

    def _json(self, value: object, parts: list[str | ir.Expr]) -> None:
        """The pieces of a JSON text; a datetime or timespan in it is written by the database."""
        match value:
            case ast.Bag(pairs=pairs):
                self._joined("{", [(json.dumps(key) + ":", item) for key, item in pairs], "}", parts)
            case tuple():
                self._joined("[", [("", item) for item in value], "]", parts)
            case ast.Node():
                parts += ['"', self.scalar(value), '"']
            case _:
                parts.append(json.dumps(value))

    def _joined(self, start: str, items: list[tuple[str, object]], end: str, parts: list[str | ir.Expr]) -> None:
        parts.append(start)
        for place, (before, item) in enumerate(items):
            parts.append(("," if place else "") + before)
            self._json(item, parts)
        parts.append(end)


def _label(item: ast.Node) -> str | None:
    return item.names[0] if isinstance(item, ast.Named) else item.name if isinstance(item, ast.Name) else None


def _value(item: ast.Node) -> ast.Node:
    return item.value if isinstance(item, ast.Named) else item


def _column(node: ast.Node) -> str:
    if not isinstance(node, ast.Name):
        raise UnrunnableError(f"{type(node).__name__} where a column is expected")
    return node.name


def _number(node: ast.Node) -> int:
    if isinstance(node, ast.Literal) and isinstance(node.value, int):
        return node.value
    raise UnrunnableError("a number of rows that is computed")


def _join_key(node: ast.Node) -> ir.JoinKey:
    if isinstance(node, ast.Binary) and isinstance(node.left, ast.Member) and isinstance(node.right, ast.Member):
        return ir.JoinKey(node.left.name, node.right.name)
    return ir.JoinKey(_column(node), _column(node))


def _literal(node: ast.Literal) -> ir.Literal:
    kind, value = "real" if node.type == "decimal" else node.type, node.value
    if kind == "string":
        return ir.Literal(str(value), kind)
    if isinstance(value, str) and value.lower() in ("null", ""):
        return ir.Literal(None, kind)
    try:
        match kind:
            case "long" | "int":
                return ir.Literal(int(value, 0) if isinstance(value, str) else int(value), kind)
            case "real":
                return ir.Literal(float(value), kind)
            case "bool":
                return ir.Literal(value if isinstance(value, bool) else str(value).lower() in ("true", "1"), kind)
            case "datetime" if date := _DATE.fullmatch(str(value)):
                return ir.Literal(f"{int(date[1]):04d}-{int(date[2]):02d}-{int(date[3] or 1):02d}", kind)
            case _:
                return ir.Literal(str(value), kind)
    except ValueError as exc:
        raise UnrunnableError(f"the literal {kind}({value})") from exc
