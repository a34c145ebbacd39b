"""Operators over the columns and rows of one table."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from ....tools.languages.kql import ast
from ....tools.languages.kql.rows import DYNAMIC, Row, fresh
from . import sql_functions, trees
from .conversions import converted, lab
from .expressions import EMPTY, Expressions
from .faults import UnrunnableError
from .flow import Flow
from .names import Namer, Scope, Table
from .workspace import Workspace

_SCHEMA_COLUMNS = {"ColumnName": "string", "ColumnOrdinal": "int", "DataType": "string", "ColumnType": "string"}
_BEGINNING = "\u0001"
_RESTARTING = {
    "row_number": f"{sql_functions.PREFIX}row_number_since",
    "row_cumsum": f"{sql_functions.PREFIX}row_cumsum_since",
}
"""Functions whose second argument says where they begin anew, and the ones of the lab that do."""
_ORDER_MATTERS = frozenset({"row_number", "prev", "next", "row_cumsum", "row_rank_dense", "row_rank_min"})


class Shaping(Expressions):
    """Filters, computes, sorts and cuts."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.lets: list[ast.Let] = []
        self._made = 0

    def fresh(self, name: str) -> str:
        """A name that nothing else in the query has."""
        self._made += 1
        return f"{re.sub(r'[^A-Za-z0-9_]', '_', name)}_let{self._made}"

    def hoisted(self, name: str, node: ast.Node, row: Row) -> Table:
        """A table under a name of its own, as a `let` of the text; a bare table keeps the name that it has."""
        if isinstance(node, ast.Name):
            return Table(node.name, row)
        made = self.fresh(name)
        self.lets.append(ast.Let(0, 0, made, node))
        self.shapes.declare(made, row)
        return Table(made, row)

    # Columns

    def items(
        self, items: tuple[ast.Node, ...], row: Row, scope: Scope, namer: Namer
    ) -> Iterator[tuple[str, ast.Node, str]]:
        """The columns of `name = expression` items: name, expression as it runs, type."""
        for item in items:
            value = self.resolved(trees.unnamed(item), row, scope)
            names = namer.names(item)
            kind, written = self.shapes.kind(value, row), self.fitted(value, row)
            if len(names) == 1:
                yield names[0], written, kind
                continue
            for place, name in enumerate(names):
                yield name, ast.Index(0, 0, written, trees.number(place)), "dynamic"

    def _where(self, flow: Flow, node: ast.Where, scope: Scope) -> None:
        """Keep rows; a function over neighbouring rows is computed before the filter, as a column."""
        if any(
            isinstance(part, ast.Binary | ast.InList) and isinstance(part.left, ast.Star) for part in ast.walk(node)
        ):
            self.searched(flow, node.predicate, scope)
            return
        before, windows = list(flow.row.columns), dict[str, ast.Node]()
        predicate = self._lifted_windows(self.condition(node.predicate, flow.row, scope), windows)
        if windows:
            self.extended(flow, windows)
        flow.add(trees.where(predicate))
        if windows:
            self.select(flow, before)

    def searched(self, flow: Flow, predicate: ast.Node, scope: Scope, exact: bool = False) -> None:
        """Keep the rows that a search means: `*` stands for any column."""
        raise NotImplementedError

    def _lifted_windows(self, node: ast.Node, windows: dict[str, ast.Node]) -> ast.Node:
        if isinstance(node, ast.Call) and sql_functions.is_window(node.name):
            name = self.fresh("window")
            windows[name] = node
            return trees.name(name)
        return trees.mapped(node, lambda part: self._lifted_windows(part, windows))

    def _project(self, flow: Flow, node: ast.Project, scope: Scope) -> None:
        match node.kind:
            case "project":
                self._projected(flow, node, scope)
            case "project-rename":
                self._renamed(flow, node)
            case "project-away":
                dropped = set(self._chosen(flow.row, node.items)) - {flow.per}
                if dropped:
                    self.select(flow, [name for name in flow.row.columns if name not in dropped])
            case "project-keep":
                chosen = {*self._chosen(flow.row, node.items), flow.per}
                self.select(flow, [name for name in flow.row.columns if name in chosen])
            case _:
                first = list(dict.fromkeys(self._chosen(flow.row, node.items)))
                self.select(flow, [*first, *(name for name in flow.row.columns if name not in first)])

    def select(self, flow: Flow, names: list[str]) -> None:
        """Keep these columns, in this order."""
        kinds = flow.row.columns
        flow.add(trees.project(*trees.columns(names)), Row({name: kinds[name] for name in names}, flow.row.open))

    def _chosen(self, row: Row, items: tuple[ast.Node, ...]) -> Iterator[str]:
        for item in items:
            if isinstance(item, ast.Star):
                yield from (name for name in row.columns if fnmatchcase(name, item.pattern))
            elif isinstance(item, ast.Name) and item.name in row.columns:
                yield item.name

    def _projected(self, flow: Flow, node: ast.Project, scope: Scope) -> None:
        if not node.items:
            raise UnrunnableError("project without columns")
        found = list(self.items(node.items, flow.row, scope, Namer(node.items)))
        if flow.per and flow.per not in {name for name, _, _ in found}:
            found.append((flow.per, trees.name(flow.per), "long"))
        row = Row({name: kind for name, _, kind in found})
        flow.add(trees.project(*(trees.named(name, value) for name, value, _ in found)), row)

    def _renamed(self, flow: Flow, node: ast.Project) -> None:
        renames = {
            item.value.name: item.names[0]
            for item in node.items
            if isinstance(item, ast.Named) and isinstance(item.value, ast.Name) and item.value.name in flow.row.columns
        }
        if renames:
            items = [trees.named(new, trees.name(old)) for old, new in renames.items()]
            columns = {renames.get(name, name): kind for name, kind in flow.row.columns.items()}
            flow.add(trees.project(*items, kind="project-rename"), Row(columns, flow.row.open))

    def _extend(self, flow: Flow, node: ast.Extend, scope: Scope) -> None:
        if not node.items:
            return
        if flow.per and any(isinstance(c, ast.Call) and c.name in _ORDER_MATTERS for c in ast.walk(node)):
            raise UnrunnableError("a function over neighbouring rows in a subquery")
        before, namer = list(flow.row.columns), Namer(node.items, flow.row.columns)
        places: list[ast.Name] = []
        items = tuple(self._without_restarts(flow, item, scope, places) for item in node.items)
        found = list(self.items(items, flow.row, scope, namer))
        added = {name: kind for name, _, kind in found}
        flow.add(trees.extend(*(trees.named(name, value) for name, value, _ in found)), flow.row.with_columns(added))
        if places:  # windows of parts have shuffled the rows
            flow.add(ast.Sort(0, 0, (ast.Ordered(0, 0, places[0], descending=False),)))
            self.select(flow, list(dict.fromkeys([*before, *added])))

    def _without_restarts(self, flow: Flow, node: ast.Node, scope: Scope, places: list[ast.Name]) -> ast.Node:
        """A number or sum that begins anew is one within the rows since it did so last, which are numbered first."""
        if not (isinstance(node, ast.Call) and node.name in _RESTARTING and len(node.arguments) == 2):
            return trees.mapped(node, lambda part: self._without_restarts(flow, part, scope, places))
        value, restart = node.arguments
        begins, since, place = self.fresh("begins"), self.fresh("since"), self.fresh("row")
        flag = trees.call("iff", self.condition(restart, flow.row, scope), trees.number(1), trees.number(0))
        self.extended(flow, {begins: flag, place: lab("row_number", trees.number(1))}, "long")
        self.extended(flow, {since: lab("row_cumsum", trees.name(begins))}, "long")
        places.append(trees.name(place))
        return ast.Call(0, 0, _RESTARTING[node.name], (value, trees.name(since), trees.name(place)))

    def extended(self, flow: Flow, columns: dict[str, ast.Node], kind: str = "unknown") -> None:
        """Add columns whose expressions are written already."""
        items = [trees.named(name, value) for name, value in columns.items()]
        flow.add(trees.extend(*items), flow.row.with_columns(dict.fromkeys(columns, kind)))

    def _distinct(self, flow: Flow, node: ast.Distinct, scope: Scope) -> None:
        items = tuple(
            column
            for item in node.items
            for column in (trees.columns(flow.row.columns) if isinstance(item, ast.Star) else (item,))
        )
        found = list(self.items(items, flow.row, scope, Namer(items)))
        if flow.per and flow.per not in {name for name, _, _ in found}:
            found.append((flow.per, trees.name(flow.per), "long"))
        row = Row({name: kind for name, _, kind in found}, flow.row.open and len(items) != len(node.items))
        flow.add(ast.Distinct(0, 0, tuple(trees.named(name, value) for name, value, _ in found)), row)

    # Order and number

    def _keys(self, keys: tuple[ast.Node, ...], row: Row, scope: Scope) -> tuple[ast.Node, ...]:
        found = []
        for key in keys:
            ordered = key if isinstance(key, ast.Ordered) else ast.Ordered(0, 0, key)
            value = self.resolved(trees.unnamed(ordered.value), row, scope)
            kind, written = self.shapes.kind(value, row), self.fitted(value, row)
            if kind in DYNAMIC:
                written = trees.call("tostring", written)
            found.append(ast.Ordered(0, 0, written, ordered.descending, ordered.nulls))
        return tuple(found)

    def _sort(self, flow: Flow, node: ast.Sort, scope: Scope) -> None:
        flow.add(ast.Sort(0, 0, self._keys(node.by, flow.row, scope)))

    def _top(self, flow: Flow, node: ast.Top, scope: Scope) -> None:
        keys = self._keys(node.by, flow.row, scope)
        count = self._count_of(node.count, scope, "top")
        if flow.per is None:
            flow.add(ast.Top(0, 0, count, keys))
        else:
            self.ranked(flow, flow.per, keys[0], count)

    def ranked(self, flow: Flow, per: str, key: ast.Node, count: ast.Node) -> None:
        """Keep the first rows of each subtable."""
        rank = self.fresh("rank")
        value = key.value if isinstance(key, ast.Ordered) else key
        descending = not isinstance(key, ast.Ordered) or key.descending
        first = key.nulls == "first" if isinstance(key, ast.Ordered) and key.nulls else not descending
        name = f"rank_{'desc' if descending else 'asc'}_{'first' if first else 'last'}"
        self.extended(flow, {rank: lab(name, trees.name(per), value)}, "long")
        flow.add(trees.where(trees.binary(trees.name(rank), "<=", count)))
        self.select(flow, [column for column in flow.row.columns if column != rank])

    def _take(self, flow: Flow, node: ast.Take, scope: Scope) -> None:
        count = self._count_of(node.count, scope, node.word)
        if flow.per is None:
            flow.add(ast.Take(0, 0, count))
        else:
            place = self.fresh("row")
            self.extended(flow, {place: lab("row_number", trees.number(1))}, "long")
            self.ranked(flow, flow.per, ast.Ordered(0, 0, trees.name(place), descending=False), count)
            self.select(flow, [column for column in flow.row.columns if column != place])

    def _count_of(self, node: ast.Node, scope: Scope, word: str) -> ast.Literal:
        count = self.written(node, EMPTY, scope)
        if isinstance(count, ast.Call) and count.name in ("toint", "tolong") and len(count.arguments) == 1:
            count = count.arguments[0]
        if isinstance(count, ast.Literal) and isinstance(count.value, int | str) and str(count.value).isdigit():
            return trees.number(int(count.value))
        raise UnrunnableError(f"{word} with a number that is computed")

    def _sample_distinct(self, flow: Flow, node: ast.SampleDistinct, scope: Scope) -> None:
        self._distinct(flow, ast.Distinct(0, 0, (node.of,)), scope)
        self._take(flow, ast.Take(0, 0, node.count), scope)

    def _as(self, flow: Flow, node: ast.As, scope: Scope) -> None:
        table = self.hoisted(node.name, flow.node, flow.row)
        scope.names[node.name] = table
        flow.restart(trees.name(table.name), flow.row)

    def _unchanged(self, flow: Flow, node: ast.Operator, scope: Scope) -> None:
        """A chart or a hint: no effect on rows."""

    def _get_schema(self, flow: Flow, node: ast.GetSchema, scope: Scope) -> None:
        flow.add(node, Row(dict(_SCHEMA_COLUMNS)))

    # Text to columns

    def _parse(self, flow: Flow, node: ast.Parse, scope: Scope) -> None:
        source = self.resolved(node.source, flow.row, scope)
        kind, written = self.shapes.kind(source, flow.row), self.fitted(source, flow.row)
        if kind != "string":
            written = trees.call("tostring", written)
        columns = {part.name: part.type for part in node.pattern if isinstance(part, ast.ColumnDef)}
        made = {name: self.fresh("parsed") for name in columns if not (name.isidentifier() and name.isascii())}
        pattern = tuple(
            ast.ColumnDef(0, 0, made.get(part.name, part.name), part.type) if isinstance(part, ast.ColumnDef) else part
            for part in node.pattern
        )
        if isinstance(pattern[0], ast.ColumnDef):  # it begins with the text itself: give that a beginning
            pattern = (trees.text(_BEGINNING), *pattern)
            written = trees.call("strcat", trees.text(_BEGINNING), written)
        parsed = ast.Parse(0, 0, node.word, node.parameters, written, pattern)
        flow.add(parsed, flow.row.with_columns({made.get(name, name): kind for name, kind in columns.items()}))
        if made:
            self.extended(flow, {name: trees.name(column) for name, column in made.items()})
            flow.row = flow.row.with_columns(columns)
            self.select(flow, [name for name in flow.row.columns if name not in made.values()])

    def _parse_kv(self, flow: Flow, node: ast.ParseKv, scope: Scope) -> None:
        properties = {name: value.value for name, value in node.properties if isinstance(value, ast.Literal)}
        if set(properties) - {"pair_delimiter", "kv_delimiter"}:
            raise UnrunnableError(
                f"parse-kv with {', '.join(sorted(set(properties) - {'pair_delimiter', 'kv_delimiter'}))}"
            )
        pair, split = str(properties.get("pair_delimiter", " ")), str(properties.get("kv_delimiter", "="))
        source = self.resolved(node.source, flow.row, scope)
        text = self.fitted(source, flow.row)
        if self.shapes.kind(source, flow.row) != "string":
            text = trees.call("tostring", text)
        found = {}
        for column in node.columns:
            pattern = (
                f"(?:^|{re.escape(pair)})\\s*{re.escape(column.name)}{re.escape(split)}(.*?)(?:{re.escape(pair)}|$)"
            )
            value = trees.call("extract", trees.text(pattern), trees.number(1), text)
            found[column.name] = value if column.type == "string" else converted(value, column.type)
        items = [trees.named(name, value) for name, value in found.items()]
        flow.add(trees.extend(*items), flow.row.with_columns({c.name: c.type for c in node.columns}))

    # Heads

    def _range(self, node: ast.Range, scope: Scope) -> Flow:
        low, high, step = (self.resolved(part, EMPTY, scope) for part in (node.low, node.high, node.step))
        kind = self.shapes.kind(low, EMPTY)
        written = [self.fitted(part, EMPTY) for part in (low, high, step)]
        return Flow(ast.Range(0, 0, node.name, *written), Row({node.name: kind}))

    def _print(self, node: ast.Print, scope: Scope) -> Flow:
        columns: dict[str, str] = {}
        items = []
        for place, item in enumerate(node.items):
            value = self.resolved(trees.unnamed(item), EMPTY, scope)
            name = item.names[0] if isinstance(item, ast.Named) else fresh(f"print_{place}", columns)
            columns[name] = self.shapes.kind(value, EMPTY)
            items.append(trees.named(name, self.fitted(value, EMPTY)))
        return Flow(ast.Print(0, 0, tuple(items)), Row(columns))
