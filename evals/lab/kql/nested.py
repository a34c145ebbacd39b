"""Operators that expand nested values, and those that run a subquery for each row or group."""

from ....tools.languages.kql import ast
from ....tools.languages.kql.rows import Row, fresh
from . import trees
from .conversions import lab
from .faults import UnrunnableError
from .flow import Flow
from .names import Scope, output_name
from .several import Several


class Nested(Several):
    """Expansion and subqueries."""

    def step(self, flow: Flow, operator: ast.Operator, scope: Scope) -> None:
        """Write an operator behind a pipeline."""
        raise NotImplementedError

    def keep(self, flow: Flow) -> bool:
        """Run the pipeline so far into a table and go on from there; whether it has no rows."""
        raise NotImplementedError

    def _mv_expand(self, flow: Flow, node: ast.MvExpand, scope: Scope) -> None:
        if node.subquery is not None:
            self._mv_apply(flow, node, node.subquery, scope)
            return
        self._expanded(flow, node, scope)

    def _expanded(self, flow: Flow, node: ast.MvExpand, scope: Scope) -> list[str]:
        """Expand; the names of the columns that hold the elements."""
        before = dict(flow.row.columns)
        made: dict[str, ast.Node] = {}
        items: list[ast.Expand] = []
        kinds: dict[str, str] = {}
        for place, item in enumerate(node.items):
            value = trees.unnamed(item.value)
            named = item.value.names[0] if isinstance(item.value, ast.Named) else output_name(value)
            name = named or fresh(f"Column{place + 1}", before)
            resolved = self.resolved(value, flow.row, scope)
            written = self.fitted(resolved, flow.row)
            if not (isinstance(written, ast.Name) and written.name in flow.row.columns):
                column = self.fresh("expanded")
                made[column], written = written, trees.name(column)
            kinds[name] = item.type or "dynamic"
            items.append(ast.Expand(0, 0, trees.named(name, written), item.type))
        if made:
            self.extended(flow, made, "dynamic")
        limit = None if node.limit is None else self._count_of(node.limit, scope, "mv-expand limit")
        flow.add(
            ast.MvExpand(0, 0, tuple(items), node.item_index, limit, None, node.bags),
            flow.row.with_columns(kinds | ({node.item_index: "long"} if node.item_index else {})),
        )
        if made:
            self.select(flow, [name for name in flow.row.columns if name not in made])
        return list(kinds)

    def _mv_apply(self, flow: Flow, node: ast.MvExpand, subquery: tuple[ast.Operator, ...], scope: Scope) -> None:
        """Number the rows, expand them, run the subquery with that number as a further group, and join it back."""
        place = self.fresh("row")
        outer = list(flow.row.columns)
        self.extended(flow, {place: lab("row_number", trees.number(1))}, "long")
        self.keep(flow)
        inner = Flow(flow.source, flow.row, per=place)
        expansion = ast.MvExpand(0, 0, node.items, node.item_index, node.limit, None, node.bags)
        self._expanded(inner, expansion, scope)
        for operator in subquery:
            self.step(inner, operator, scope)
        self._joined_back(flow, inner, place, outer)

    def _joined_back(self, flow: Flow, inner: Flow, place: str, outer: list[str]) -> None:
        """The columns of the rows, those of the subquery in their place and behind them."""
        found = [name for name in inner.row.columns if name != place]
        names = [*outer, *(name for name in found if name not in outer)]
        if set(outer) <= set(found):
            flow.restart(inner.source, inner.row)
            flow.operators = list(inner.operators)
            self.select(flow, names)
            return
        renamed = {name: self.fresh("inner") for name in [place, *found]}
        items = [trees.named(new, trees.name(old)) for old, new in renamed.items()]
        inner.add(trees.project(*items), Row({new: inner.row.columns[old] for old, new in renamed.items()}))
        on = trees.binary(
            ast.Member(0, 0, trees.name("$left"), place), "==", ast.Member(0, 0, trees.name("$right"), renamed[place])
        )
        columns = flow.row.with_columns(inner.row.columns)
        flow.add(ast.Join(0, 0, "join", "inner", inner.node, (on,)), columns)
        kinds = {name: columns.columns[renamed.get(name, name)] for name in names}
        shown = [trees.named(name, trees.name(renamed.get(name, name))) for name in names]
        flow.add(trees.project(*shown), Row(kinds))

    def _partition(self, flow: Flow, node: ast.Partition, scope: Scope) -> None:
        """Run the subquery with the key as a further group."""
        if node.source is not None:
            raise UnrunnableError("partition with a subquery in braces")
        if flow.per:
            raise UnrunnableError("partition in a subquery")
        place = self.fresh("part")
        self.extended(flow, {place: self.written(node.by, flow.row, scope)}, self.shapes.kind(node.by, flow.row))
        flow.per = place
        for operator in node.body:
            self.step(flow, operator, scope)
        flow.per = None
        self.select(flow, [name for name in flow.row.columns if name != place])

    def _top_nested(self, flow: Flow, node: ast.TopNested, scope: Scope) -> None:
        """Level for level: aggregate the rows that the levels above keep, and keep the first of each group."""
        if any(part.others is not None for part in node.parts):
            raise UnrunnableError("top-nested with others")
        if flow.per:
            raise UnrunnableError("top-nested in a subquery")
        self.keep(flow)
        rows = Flow(flow.source, flow.row)
        keys: list[str] = []
        shown: list[str] = []
        for part in node.parts:
            key = (
                part.key.names[0] if isinstance(part.key, ast.Named) else output_name(part.key) or f"Column{len(keys)}"
            )
            self.extended(rows, {key: self.written(trees.unnamed(part.key), rows.row, scope)}, "unknown")
            rows.row = rows.row.with_columns({key: self.shapes.kind(trees.unnamed(part.key), flow.row)})
            self.keep(rows)
            level = Flow(rows.source, rows.row)
            ordered = part.aggregate if isinstance(part.aggregate, ast.Ordered) else ast.Ordered(0, 0, part.aggregate)
            value = ordered.value
            name = value.names[0] if isinstance(value, ast.Named) else f"aggregated_{key}"
            groups = trees.columns([*keys, key])
            self._summarize(level, ast.Summarize(0, 0, (trees.named(name, trees.unnamed(value)),), groups), scope)
            self._cut(level, keys, part, ast.Ordered(0, 0, trees.name(name), ordered.descending), scope)
            on = groups
            keys.append(key)
            shown += [key, name]
            self.keep(level)
            kept = Row({**rows.row.columns, name: level.row.columns[name]})
            rows.add(ast.Join(0, 0, "join", "inner", level.node, on))
            rows.row = Row({**rows.row.columns, **{f"{column}1": level.row.columns[column] for column in keys}})
            rows.add(trees.project(*trees.columns(kept.columns)), kept)
        rows.add(ast.Distinct(0, 0, trees.columns(shown)), Row({name: rows.row.columns[name] for name in shown}))
        flow.restart(rows.source, rows.row)
        flow.operators = list(rows.operators)

    def _cut(self, level: Flow, keys: list[str], part: ast.TopNestedPart, key: ast.Ordered, scope: Scope) -> None:
        if part.count is None:
            return
        count = self._count_of(part.count, scope, "top-nested")
        group = self.fresh("group")
        texts = [trees.call("tostring", trees.name(name)) for name in keys]
        together = trees.call("strcat_delim", trees.text("\u0001"), *texts) if texts else trees.number(0)
        self.extended(level, {group: together}, "string")
        self.ranked(level, group, key, count)
        self.select(level, [name for name in level.row.columns if name != group])
