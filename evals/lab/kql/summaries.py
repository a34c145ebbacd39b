"""`summarize` and its kin: aggregates are computed under names of the lab's, then the expressions over them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ....tools.languages.kql import ast
from ....tools.languages.kql.rows import Row
from . import sql_functions, trees
from .conversions import ALIASES, lab
from .expressions import is_aggregate
from .faults import UnrunnableError
from .flow import Flow
from .names import Namer, Scope, output_name
from .shaping import Shaping

_EXTREMES = {"arg_max": "max_", "arg_min": "min_"}
Output = tuple[str, ast.Node, str]
"""A column: its name, its expression over what summarize yields, its type."""


@dataclass(slots=True)
class _Sums:
    """One summarize while it is written: the columns before it, its groups, and the aggregates noted so far."""

    flow: Flow
    scope: Scope
    columns: Mapping[str, str]
    namer: Namer
    groups: set[str]
    calls: list[ast.Named] = field(default_factory=list)


class Summaries(Shaping):
    """Aggregates."""

    def _summarize(self, flow: Flow, node: ast.Summarize, scope: Scope) -> None:
        before = dict(flow.row.columns)
        items = tuple(self._from_one_row(flow, item) for part in node.aggregates for item in _ranks(part))
        namer = Namer([*node.by, *(item for item in items if isinstance(item, ast.Named))], before)
        keys = list(self.items(node.by, flow.row, scope, namer))
        if flow.per and flow.per not in {name for name, _, _ in keys}:
            keys.append((flow.per, trees.name(flow.per), "long"))
        sums = _Sums(flow, scope, before, namer, {name for name, _, _ in keys})
        outputs = [output for item in items for output in self._aggregated(sums, item)]
        if not sums.calls and not keys:
            raise UnrunnableError("summarize without aggregates and groups")
        by = tuple(trees.named(name, value) for name, value, _ in keys)
        row = Row({name: kind for name, _, kind in (*keys, *outputs)})
        flow.add(ast.Summarize(0, 0, tuple(sums.calls), by), row)
        if not all(isinstance(value, ast.Name) and value.name == name for name, value, _ in outputs):
            shown = [*trees.columns(name for name, _, _ in keys), *(trees.named(n, v) for n, v, _ in outputs)]
            flow.add(trees.project(*shown))

    def _from_one_row(self, flow: Flow, item: ast.Node) -> ast.Node:
        """`take_any` of several columns takes them from one row: the first."""
        call = trees.unnamed(item)
        if not (isinstance(call, ast.Call) and call.name in ("take_any", "any")):
            return item
        if len(call.arguments) == 1 and not isinstance(call.arguments[0], ast.Star):
            return item
        if call.name == "any":
            raise UnrunnableError("any() of several columns, an old name of take_any()")
        place = self.fresh("row")
        self.extended(flow, {place: lab("row_number", trees.number(1))}, "long")
        return ast.Call(0, 0, "arg_min", (trees.name(place), *call.arguments))

    def _aggregated(self, sums: _Sums, item: ast.Node) -> Iterator[Output]:
        value, row = trees.unnamed(item), sums.flow.row
        if isinstance(value, ast.Call) and ALIASES.get(value.name, value.name) in _EXTREMES:
            yield from self._extreme(sums, item, value)
            return
        resolved = self.resolved(value, row, sums.scope)
        kind = self.shapes.kind(resolved, row)
        names = sums.namer.names(item)
        over = self._lifted(self.fitted(resolved, row, aggregating=True), sums.calls)
        if isinstance(over, ast.Name) and len(names) == 1:
            sums.calls[-1] = trees.named(names[0], sums.calls[-1].value)
            over = trees.name(names[0])
        for place, name in enumerate(names):
            each = over if len(names) == 1 else ast.Index(0, 0, over, trees.number(place))
            yield name, each, kind if len(names) == 1 else "dynamic"

    def _lifted(self, node: ast.Node, calls: list[ast.Named]) -> ast.Node:
        """The expression with each aggregate as a column of its own, which is noted down."""
        if isinstance(node, ast.Call) and (is_aggregate(node) or sql_functions.is_own_aggregate(node.name)):
            name = self.fresh("aggregate")
            calls.append(trees.named(name, node))
            return trees.name(name)
        return trees.mapped(node, lambda part: self._lifted(part, calls))

    def _extreme(self, sums: _Sums, item: ast.Node, call: ast.Call) -> Iterator[Output]:
        """`arg_max(key, columns)`: every column from the row with the largest key."""
        word = ALIASES.get(call.name, call.name)
        wanted = list(self._of_extreme(sums, item, call, word))
        made: dict[str, ast.Node] = {}
        outputs: list[Output] = []
        for name, value in wanted:
            resolved = self.resolved(value, sums.flow.row, sums.scope)
            column = self.fresh("picked")
            made[column] = self.fitted(resolved, sums.flow.row)
            shown = trees.name(column)
            outputs.append((sums.namer.take(name), shown, self.shapes.kind(resolved, sums.flow.row)))
        columns = list(made)
        if len(columns) == 1:
            sums.calls.append(trees.named(columns[0], trees.call(word.removeprefix("arg_"), made[columns[0]])))
        else:
            self.extended(sums.flow, made)
            sums.calls.append(trees.named(columns[0], trees.call(word, *trees.columns(columns))))
        for output in outputs:
            if not output[0].startswith("row_let"):
                yield output

    def _of_extreme(self, sums: _Sums, item: ast.Node, call: ast.Call, word: str) -> Iterator[tuple[str, ast.Node]]:
        key, *rest = call.arguments
        names = list(item.names) if isinstance(item, ast.Named) else []
        first = names.pop(0) if names else output_name(key) or _EXTREMES[word]
        yield first, key
        hidden = sums.groups | {first} | ({key.name} if isinstance(key, ast.Name) else set())
        for part in rest:
            if isinstance(part, ast.Star):
                yield from ((name, trees.name(name)) for name in sums.columns if name not in hidden)
                continue
            name = names.pop(0) if names else output_name(part)
            if name is None:
                raise UnrunnableError(f"{word}() of an expression without a name")
            yield name, part

    def _count(self, flow: Flow, node: ast.Count, scope: Scope) -> None:
        if flow.per is None:
            flow.add(node, Row({node.name or "Count": "long"}))
            return
        counted = trees.named(node.name or "Count", trees.call("count"))
        self._summarize(flow, ast.Summarize(0, 0, (counted,), ()), scope)

    def _top_hitters(self, flow: Flow, node: ast.TopHitters, scope: Scope) -> None:
        weight = trees.call("sum", node.by) if node.by is not None else trees.call("count")
        of = output_name(node.by if node.by is not None else node.of) or ""
        name = f"approximate_{'sum' if node.by is not None else 'count'}_{of}"
        self._summarize(flow, ast.Summarize(0, 0, (trees.named(name, weight),), (node.of,)), scope)
        self._top(flow, ast.Top(0, 0, node.count, (ast.Ordered(0, 0, trees.name(name)),)), scope)


def _ranks(item: ast.Node) -> Iterator[ast.Node]:
    """`percentiles(x, 5, 50)` as one aggregate for each rank."""
    call = trees.unnamed(item)
    if not (isinstance(call, ast.Call) and call.name == "percentiles"):
        yield item
        return
    value, *ranks = call.arguments
    names = item.names if isinstance(item, ast.Named) else ()
    for place, rank in enumerate(ranks):
        text = str(rank.value).replace(".", "_") if isinstance(rank, ast.Literal) else str(place)
        name = names[place] if place < len(names) else f"percentile_{output_name(value) or ''}_{text}"
        yield trees.named(name, trees.call("percentile", value, rank))
