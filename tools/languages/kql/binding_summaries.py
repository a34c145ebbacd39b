"""Operators that aggregate: `summarize`, `make-series`, `top-nested` and their kin."""

from collections.abc import Iterable
from itertools import zip_longest

from . import ast
from .binding_columns import ColumnBinder, Projection
from .naming import implied_name, percentile_name
from .rows import UNKNOWN, Row, array_of, fresh, plain
from .scalars import NOTHING, Several, Value
from .signatures import parameter

_STAR = frozenset({"any", "take_any", "arg_max", "arg_min", "argmax", "argmin"})
_EXTREMES = frozenset({"arg_max", "arg_min", "argmax", "argmin"})
_RANKS = {"percentiles": 1, "percentilesw": 2}
_AXIS = parameter("datetime|timespan|long|real")
_STEPS = {
    axis: parameter(step) for axis, step in (("datetime", "timespan"), ("timespan", "timespan"), ("long", "long"))
}


class SummaryBinder(ColumnBinder):
    """Columns through the operators whose expressions run over many rows."""

    def _summarize(self, node: ast.Summarize, row: Row) -> Row:
        projection = Projection()
        self._make(node.by, projection, row)
        self._groupable(node.by, row)
        self._aggregated(node.aggregates, projection, row)
        whole = row.open and any(
            isinstance(argument, ast.Star)
            for item in node.aggregates
            for argument in getattr(item.value if isinstance(item, ast.Named) else item, "arguments", ())
        )
        return self._dropping(row, Row(projection.columns, whole), "summarize")

    def _aggregated(self, items: Iterable[ast.Node], projection: Projection, row: Row) -> None:
        """Add the columns of aggregates over the rows to a projection."""
        groups = set(projection.columns)
        for item in items:
            names, value = (item.names, item.value) if isinstance(item, ast.Named) else ((), item)
            if isinstance(value, ast.Call) and value.name in _STAR:
                self._picked(projection, item, names, value, row, groups)
                continue
            self._add(projection, item, names, value, self._aggregate(value, row), NOTHING)

    def _aggregate(self, node: ast.Node, row: Row) -> Value:
        """The type of an expression over aggregates, whose arguments are bound against the rows."""
        outer, self._over = self._over, row
        value = self._value(node, NOTHING)
        self._over = outer
        return value

    def _call_aggregate(self, call: ast.Call) -> Value:
        """An aggregate where one may stand."""
        rows, self._over = self._over, None
        value = self._signature_call(call, self._library.aggregate[call.name], rows)
        self._over = rows
        if call.name in _RANKS:
            first = implied_name(call.arguments[0]) or "" if call.arguments else ""
            kind = value if isinstance(value, str) else UNKNOWN
            return Several(tuple((percentile_name(first, rank), kind) for rank in call.arguments[_RANKS[call.name] :]))
        return value

    def _picked(
        self,
        projection: Projection,
        item: ast.Node,
        names: tuple[str, ...],
        call: ast.Call,
        row: Row,
        groups: set[str],
    ) -> None:
        """The columns of `arg_max(key, ...)` and `take_any(...)`; `*` is every column that is not named or grouped by."""
        self._signature_call(call, self._library.aggregate[call.name], row)
        several: list[tuple[str, str]] = []
        mentioned = {argument.name for argument in call.arguments if isinstance(argument, ast.Name)}
        for index, argument in enumerate(call.arguments):
            if isinstance(argument, ast.Star):
                left = [(name, kind) for name, kind in row.columns.items() if name not in mentioned | groups]
                several += [(self._picked_name(call, name), kind) for name, kind in left]
                continue
            kind = self._silently(argument, row)
            implied = implied_name(argument) if isinstance(argument, ast.Name | ast.Member | ast.Index) else None
            several.append((self._picked_name(call, implied, index), kind))
        self._add_several(projection, item, names, Several(tuple(several), row.open))

    def _picked_name(self, call: ast.Call, column: str | None, index: int | None = None) -> str:
        first = (implied_name(call.arguments[0]) if call.arguments else None) or ""
        match call.name:
            case "argmax" | "argmin":
                base = f"{call.name[3:]}_{first}"
                return base if index == 0 else f"{base}_{column or f'arg{index}'}"
            case "any":
                return f"any_{column or ''}"
            case _ if column is not None:
                return column
            case "arg_max" | "arg_min":
                return f"{call.name[4:]}_{first}" + (f"_arg{index}" if index else "")
            case _:
                return "Column1"

    # Series

    def _make_series(self, node: ast.MakeSeries, row: Row) -> Row:
        projection = Projection()
        self._make(node.by, projection, row)
        self._groupable(node.by, row)
        groups = set(projection.columns)
        self._aggregated(node.aggregates, projection, row)
        axis = node.axis.value if isinstance(node.axis, ast.Named) else node.axis
        kind = self._scalar(axis, row)
        if not _AXIS.rank(kind):
            self._report("type_mismatch", "the axis of make-series is a time or a number", axis)
        self._bounds(node, kind, row)
        name = implied_name(node.axis)
        if name is None:
            projection.number(kind)
        else:
            projection.add(name, kind, given=True)
        columns = {name: kind if name in groups else array_of(kind) for name, kind in projection.columns.items()}
        return self._dropping(row, Row(columns), "make-series")

    def _bounds(self, node: ast.MakeSeries, axis: str, row: Row) -> None:
        """The bounds of a series; its step must fit its axis."""
        for word, bound in zip_longest(node.words, node.bounds, fillvalue=""):
            if not isinstance(bound, ast.Node):
                continue
            found = self._scalar(bound, row)
            wanted = _STEPS.get(axis)
            if word == "step" and wanted is not None and not wanted.rank(found):
                hint = "such as 1h" if wanted.word == "timespan" else None
                self._report(
                    "type_mismatch", f"a step along {axis} is {wanted.word}, this is {plain(found)}", bound, hint
                )

    # The most frequent

    def _top_nested(self, node: ast.TopNested, row: Row) -> Row:
        columns: dict[str, str] = {}
        for part in node.parts:
            if part.count is not None:
                self._rows(part.count, row)
            key = part.key.value if isinstance(part.key, ast.Named) else part.key
            kind = self._scalar(key, row)
            name = fresh(implied_name(part.key) or "Column1", columns)
            columns[name] = kind
            aggregate = part.aggregate.value if isinstance(part.aggregate, ast.Ordered) else part.aggregate
            value = aggregate.value if isinstance(aggregate, ast.Named) else aggregate
            found = self._aggregate(value, row)
            label = aggregate.names[0] if isinstance(aggregate, ast.Named) else f"aggregated_{name}"
            columns[label] = found if isinstance(found, str) else UNKNOWN
        return self._dropping(row, Row(columns), "top-nested")

    def _top_hitters(self, node: ast.TopHitters, row: Row) -> Row:
        self._rows(node.count, row)
        kind, name = self._column(node.of, row), implied_name(node.of) or ""
        if node.by is None:
            return Row({name: kind, f"approximate_count_{name}": "long"})
        weight = self._scalar(node.by, row)
        return Row({name: kind, f"approximate_sum_{implied_name(node.by) or ''}": weight})
