"""Operators over several tables: joins, unions, searches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ....tools.languages.kql import ast
from ....tools.languages.kql.rows import DYNAMIC, UNKNOWN, Row, joined, united
from ..sql import quoted
from . import trees
from .conversions import as_text, lab
from .faults import SemanticFaultError, UnrunnableError, unresolved_column
from .flow import Flow
from .names import Scope
from .summaries import Summaries

_KINDS = {
    "": "innerunique",
    "anti": "leftanti",
    "leftantisemi": "leftanti",
    "rightantisemi": "rightanti",
    "semi": "leftsemi",
}
_LEFT_ONLY, _RIGHT_ONLY = frozenset({"leftanti", "leftsemi"}), frozenset({"rightanti", "rightsemi"})
_WHOLE = {"==": "in", "=~": "in~"}
"""What says of a text that one of many columns holds it and nothing else."""
_MANY = 8
"""Tables beyond which a union is one view."""
_SEARCHED = frozenset({"string", "guid", UNKNOWN}) | DYNAMIC
Arm = tuple[str | None, ast.Node, Row]
"""A table of a union: the name it goes by in withsource, where it has one, the table, its row."""


class Several(Summaries):
    """Puts tables together."""

    def tables_like(self, pattern: str) -> Iterator[tuple[str, ast.Node, Row]]:
        """The tables whose names fit a pattern."""
        raise NotImplementedError

    def _join(self, flow: Flow, node: ast.Join, scope: Scope) -> None:
        kind = (node.kind or "leftouter") if node.operator == "lookup" else _KINDS.get(node.kind, node.kind)
        if flow.per and kind in (*_RIGHT_ONLY, "rightouter", "fullouter", "innerunique"):
            raise UnrunnableError(f"join kind={kind} in a subquery")
        right, right_row = self.table(node.right, scope)
        keys = tuple(self._key(key, flow.row, right_row) for key in _conditions(node.on))
        if not keys:
            raise UnrunnableError("join without a condition")
        if kind not in _LEFT_ONLY | _RIGHT_ONLY:
            dropped = {_right_name(key) for key in keys} if node.operator == "lookup" else set()
            right, right_row, keys = self._apart(flow.row, right, right_row, keys, dropped)
        flow.add(
            ast.Join(0, 0, node.operator, kind, right, keys), _joined(flow.row, right_row, node.operator, kind, keys)
        )

    def _apart(
        self, left: Row, right: ast.Node, row: Row, keys: tuple[ast.Node, ...], dropped: set[str]
    ) -> tuple[ast.Node, Row, tuple[ast.Node, ...]]:
        """The right side of a join with the names that its columns have behind it, and the keys in these names."""
        both = list(joined(left, row, dropped).columns)[len(left.columns) :]
        kept = [name for name in row.columns if name not in dropped]
        renames = {old: new for old, new in zip(kept, both, strict=True) if old != new}
        if not renames:
            return right, row, keys
        items = tuple(trees.named(new, trees.name(old)) for old, new in renames.items())
        source = right if isinstance(right, ast.Pipeline) else ast.Pipeline(0, 0, right, ())
        renamed = ast.Pipeline(0, 0, source.source, (*source.operators, trees.project(*items, kind="project-rename")))
        columns = {renames.get(name, name): kind for name, kind in row.columns.items()}
        return renamed, Row(columns, row.open), tuple(_renamed_key(key, renames) for key in keys)

    def _key(self, key: ast.Node, left: Row, right: Row) -> ast.Node:
        if isinstance(key, ast.Name):
            for side in (left, right):
                if key.name not in side.columns:
                    raise unresolved_column(key.name)
            return key
        if isinstance(key, ast.Binary) and key.op == "==":
            sides = {_side(part): part for part in (key.left, key.right)}
            if set(sides) == {"$left", "$right"}:
                return trees.binary(sides["$left"], "==", sides["$right"])
        raise SemanticFaultError("join: only equality of $left and $right columns is allowed here")

    # Unions

    def _union(self, flow: Flow, node: ast.Union, scope: Scope) -> None:
        arms = [arm for table in node.tables for arm in self._arms(table, scope, node.fuzzy)]
        self.together(flow, [(self._label(flow.node), flow.node, flow.row), *arms], node)

    def _union_head(self, node: ast.Union, scope: Scope) -> Flow:
        arms = [arm for table in node.tables for arm in self._arms(table, scope, node.fuzzy)]
        if not arms:
            raise SemanticFaultError("union: none of the tables exists here")
        flow = Flow(arms[0][1], arms[0][2])
        self.together(flow, arms, node)
        return flow

    def _arms(self, node: ast.Node, scope: Scope, fuzzy: bool) -> Iterator[Arm]:
        if isinstance(node, ast.Star):
            yield from self.tables_like(node.pattern)
            return
        try:
            table, row = self.table(node, scope)
        except SemanticFaultError:
            if fuzzy:
                return
            raise
        yield self._label(table), table, row

    def _label(self, table: ast.Node) -> str | None:
        """The name that a bare table of the database goes by."""
        return table.name if isinstance(table, ast.Name) and table.name in self.workspace.tables else None

    def together(self, flow: Flow, arms: Sequence[Arm], node: ast.Union) -> None:
        """Put tables together; the flow goes on from all of them."""
        if flow.per:
            raise UnrunnableError("union in a subquery")
        if len(arms) > _MANY and all(
            isinstance(table, ast.Name) and table.name in self.workspace.tables for _, table, _ in arms
        ):
            self._combined(flow, arms, node)
            return
        tables = [self._arm(arm, place, arms, node) for place, arm in enumerate(arms)]
        row = united([row for _, row in tables], node.kind)
        if node.with_source:
            names = [node.with_source, *(name for name in row.columns if name != node.with_source)]
            row = Row({name: row.columns.get(name, "string") for name in names}, row.open)
        (first, _), *others = tables
        if not others:
            flow.restart(first, row)
            return
        flow.restart(first, row)
        flow.operators = [ast.Union(0, 0, node.kind, None, tuple(table for table, _ in others))]

    def _combined(self, flow: Flow, arms: Sequence[Arm], node: ast.Union) -> None:
        """Many tables in one view: the translator takes its time over thousands of columns."""
        selects, rows = [], []
        for place, (label, table, row) in enumerate(arms):
            names = self._names_apart(row, arms, node)
            column = self.workspace.column
            shown = [f"{column(name)} AS {column(names[name])}" for name in row.columns]
            if node.with_source:
                text = (label or f"union_arg{place}").replace("'", "''")
                shown.insert(0, f"'{text}' AS {column(node.with_source)}")
            selects.append(
                f"SELECT {', '.join(shown)} FROM {quoted(table.name if isinstance(table, ast.Name) else '')}"
            )
            rows.append(Row({names[name]: kind for name, kind in row.columns.items()}))
        row = united(rows, node.kind)
        if node.with_source:
            row = Row({node.with_source: "string", **row.columns})
        name = self.workspace.combine(selects, list(row.columns))
        self.shapes.declare(name, row)
        flow.restart(trees.name(name), row)

    def _names_apart(self, row: Row, arms: Sequence[Arm], node: ast.Union) -> dict[str, str]:
        """The columns of one table under the names that they have in the union."""
        names = {}
        for name, kind in row.columns.items():
            others = {other.columns[name] for _, _, other in arms if name in other.columns} - {UNKNOWN}
            apart = len(others) > 1 and kind != UNKNOWN and node.kind != "inner"
            names[name] = f"{name}_{kind}" if apart else name
        return names

    def _arm(self, arm: Arm, place: int, arms: Sequence[Arm], node: ast.Union) -> tuple[ast.Node, Row]:
        """One table, with what tells it apart: its name, and the types of columns that have another one elsewhere."""
        label, table, row = arm
        flow = Flow(table, row)
        renames = {old: new for old, new in self._names_apart(row, arms, node).items() if old != new}
        if renames:
            columns = {renames.get(name, name): kind for name, kind in row.columns.items()}
            items = [trees.named(new, trees.name(old)) for old, new in renames.items()]
            flow.add(trees.project(*items, kind="project-rename"), Row(columns, row.open))
        if node.with_source:
            named = trees.named(node.with_source, trees.text(label or f"union_arg{place}"))
            kept = [name for name in flow.row.columns if name != node.with_source]
            columns = {node.with_source: "string", **{name: flow.row.columns[name] for name in kept}}
            flow.add(trees.project(named, *trees.columns(kept)), Row(columns, row.open))
        return flow.node, flow.row

    # Searches

    def _search(self, flow: Flow, node: ast.Search, scope: Scope) -> None:
        if node.tables:
            raise UnrunnableError("search in (tables) behind a pipe")
        self.searched(flow, node.predicate, scope, node.case_sensitive)

    def _search_head(self, node: ast.Search, scope: Scope) -> Flow:
        tables = node.tables or (ast.Star(0, 0),)
        arms = [arm for table in tables for arm in self._arms(table, scope, fuzzy=False)]
        flow = Flow(arms[0][1], arms[0][2])
        self.together(flow, arms, ast.Union(0, 0, "outer", "$table", ()))
        self.searched(flow, node.predicate, scope, node.case_sensitive)
        return flow

    def searched(self, flow: Flow, predicate: ast.Node, scope: Scope, exact: bool = False) -> None:
        """Keep the rows that a search means: text without a column is looked for in all of them."""
        everything, row = self.fresh("all"), flow.row
        texts = [as_text(trees.name(name), kind) for name, kind in row.columns.items() if kind in _SEARCHED]
        joined_texts = lab("lines", *(texts or [trees.text("")]))
        predicate = _spread(predicate, everything, exact, row)
        self.extended(flow, {everything: joined_texts}, "string")
        flow.add(trees.where(self.condition(predicate, flow.row, scope)))
        self.select(flow, [name for name in flow.row.columns if name != everything])

    def _find_head(self, node: ast.Find, scope: Scope) -> Flow:
        if not node.columns:
            raise UnrunnableError("find without project")
        tables = node.tables or (ast.Star(0, 0),)
        arms = []
        for table in tables:
            for label, source, row in self._arms(table, scope, fuzzy=False):
                arms.append((label, *self._found(node, Flow(source, row), scope)))
        flow = Flow(arms[0][1], arms[0][2])
        self.together(flow, arms, ast.Union(0, 0, "outer", node.with_source, ()))
        return flow

    def _found(self, node: ast.Find, flow: Flow, scope: Scope) -> tuple[ast.Node, Row]:
        open_row = replace(flow.row, open=True)
        flow.row = open_row
        self.searched(flow, node.predicate, scope)
        items = []
        columns = {}
        for item in node.columns:
            if not isinstance(item, ast.Name):
                raise UnrunnableError("find with project of more than columns")
            columns[item.name] = flow.row.columns.get(item.name, UNKNOWN)
            known = item.name in flow.row.columns
            items.append(trees.named(item.name, item if known else ast.DynamicLiteral(0, 0, None)))
        flow.add(trees.project(*items), Row(columns))
        return flow.node, flow.row


def _conditions(on: tuple[ast.Node, ...]) -> Iterator[ast.Node]:
    for condition in on:
        if isinstance(condition, ast.Logical) and condition.op == "and":
            yield from _conditions(condition.parts)
        else:
            yield condition


def _renamed_key(key: ast.Node, renames: Mapping[str, str]) -> ast.Node:
    old = _right_name(key)
    left = key.left if isinstance(key, ast.Binary) else ast.Member(0, 0, trees.name("$left"), old)
    return trees.binary(left, "==", ast.Member(0, 0, trees.name("$right"), renames.get(old, old)))


def _side(node: ast.Node) -> str:
    return node.base.name if isinstance(node, ast.Member) and isinstance(node.base, ast.Name) else ""


def _joined(left: Row, right: Row, operator: str, kind: str, keys: tuple[ast.Node, ...]) -> Row:
    if kind in _LEFT_ONLY:
        return left
    if kind in _RIGHT_ONLY:
        return right
    dropped = [_right_name(key) for key in keys] if operator == "lookup" else []
    return joined(left, right, dropped)


def _right_name(key: ast.Node) -> str:
    if isinstance(key, ast.Binary) and isinstance(key.right, ast.Member):
        return key.right.name
    return key.name if isinstance(key, ast.Name) else ""


def _spread(node: ast.Node, everything: str, exact: bool, row: Row) -> ast.Node:
    """A predicate of search in words of where: a bare text, and `*`, mean all columns."""
    match node:
        case ast.Logical(op=op, parts=parts):
            return ast.Logical(0, 0, op, tuple(_spread(part, everything, exact, row) for part in parts))
        case ast.Call(name="not", arguments=(argument,)):
            return trees.call("not", _spread(argument, everything, exact, row))
        case ast.Star():
            return trees.truth(True)
        case ast.Literal(type="string", value=str(text)):
            return _term(trees.name(everything), text, exact)
        case ast.Binary(op=op, left=ast.Star(), right=right):
            if op == "has" and isinstance(right, ast.Literal) and isinstance(right.value, str):
                return _term(trees.name(everything), right.value, exact)
            if op in _WHOLE and isinstance(right, ast.Literal) and right.type == "string":
                texts = trees.columns(name for name, kind in row.columns.items() if kind == "string")
                return ast.InList(0, 0, _WHOLE[op], right, texts)
            if op in ("==", "=~", "!=", "!~"):
                raise UnrunnableError(f"* {op}")
            return trees.binary(trees.name(everything), op, right)
        case ast.InList(op=op, left=ast.Star(), items=items):
            return ast.InList(0, 0, op, trees.name(everything), items)
        case ast.Binary(op="has", left=ast.Name() as column, right=ast.Literal(type="string", value=str(text))):
            return _term(column, text, exact)
        case _:
            return node


def _term(column: ast.Node, text: str, exact: bool) -> ast.Node:
    """A term of search: stars at its ends widen it."""
    suffix = "_cs" if exact else ""
    bare = text.strip("*")
    if text == "*":
        return trees.truth(True)
    if "*" in bare:
        raise UnrunnableError("search with a star inside of a term")
    front, back = text.startswith("*"), text.endswith("*")
    word = "contains" if front and back else "hassuffix" if front else "hasprefix" if back else "has"
    return trees.binary(column, f"{word}{suffix}", trees.text(bare))
