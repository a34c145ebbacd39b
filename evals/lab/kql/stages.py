"""Operators done in SQL of ours, on a table that holds the rows so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ....tools.languages.kql import ast
from ....tools.languages.kql.rows import NUMBERS, UNKNOWN, Row
from . import trees
from .conversions import converted, lab
from .expressions import EMPTY
from .faults import SemanticFaultError, UnrunnableError
from .flow import Flow
from .names import Scope, name_of_aggregate, output_name
from .nested import Nested
from .sql_functions import NO_LIMIT
from .translation import Rewritten

_MOST_COLUMNS = 1_000
_PRIMITIVE: Mapping[str, str] = {
    "VARCHAR": "string",
    "BIGINT": "long",
    "UBIGINT": "long",
    "DOUBLE": "real",
    "BOOLEAN": "bool",
}


@dataclass(frozen=True, slots=True)
class _Bins:
    """The axis of a series: the column of a row's bin, its name, bounds and step; `always`: a series without rows."""

    at: str
    axis: str
    low: ast.Node | None
    high: ast.Node | None
    step: ast.Node
    inclusive: bool
    always: bool


class Stages(Nested):
    """Operators whose columns or rows depend on values."""

    def keep(self, flow: Flow) -> bool:
        """Run the pipeline so far into a table and go on from there; whether it has no rows."""
        kept = self.workspace.keep(self.workspace.statement(self.rewritten(flow.node)))
        known = flow.row.columns
        row = Row(
            {
                name: known.get(name, kind) if known.get(name) != UNKNOWN else kind
                for name, kind in kept.row.columns.items()
            }
        )
        self.shapes.declare(kept.name, row)
        flow.restart(trees.name(kept.name), Row(row.columns, flow.row.open))
        return kept.empty

    def rewritten(self, node: ast.Node) -> Rewritten:
        """A table that is written, with what it reads."""
        raise NotImplementedError

    def _go_on(self, flow: Flow, sql: str, row_open: bool = False) -> None:
        """Run SQL into a table and go on from there."""
        kept = self.workspace.keep_sql(sql)
        self.shapes.declare(kept.name, kept.row)
        flow.restart(trees.name(kept.name), Row(kept.row.columns, row_open))

    def _table(self, flow: Flow) -> str:
        assert isinstance(flow.source, ast.Name)
        return flow.source.name

    # Plugins

    def _evaluate(self, flow: Flow, node: ast.Evaluate, scope: Scope) -> None:
        if flow.per:
            raise UnrunnableError("evaluate in a subquery")
        match node.call.name:
            case "bag_unpack":
                self._bag_unpack(flow, node, scope)
            case "pivot":
                self._pivot(flow, node, scope)
            case "narrow":
                self._narrow(flow)
            case "ipv4_lookup":
                self._ipv4_lookup(flow, node, scope)
            case name:
                raise UnrunnableError(f"evaluate {name}")

    def _bag_unpack(self, flow: Flow, node: ast.Evaluate, scope: Scope) -> None:
        column, *rest = (trees.unnamed(argument) for argument in node.call.arguments)
        if not isinstance(column, ast.Name) or column.name not in flow.row.columns:
            raise UnrunnableError("bag_unpack() of an expression")
        prefix, conflict, ignored = _unpacking([self.written(part, EMPTY, scope) for part in rest])
        empty = self.keep(flow)
        bag, table = self.workspace.column(column.name), self._table(flow)
        rows = self.workspace.look(
            f"SELECT k, list_sort(list(DISTINCT json_type(lab_member({bag}, k)))) FROM (SELECT {bag}, "
            f"unnest(json_keys({bag})) AS k FROM {table} WHERE json_type({bag}) = 'OBJECT') GROUP BY k ORDER BY k"
        )
        found = {
            f"{prefix}{key}": (str(key), _kind({str(kind) for kind in kinds}))
            for key, kinds in rows
            if key not in ignored
        }
        if node.columns is not None:
            found = {c.name: (c.name.removeprefix(prefix), c.type) for c in node.columns if c.name != "*"} | (
                {} if not any(c.name == "*" for c in node.columns) else found
            )
        others = [name for name in flow.row.columns if name != column.name]
        if node.columns is not None and not any(c.name == "*" for c in node.columns):
            others = [name for name in others if name in found]
        self.workspace.columns_of_values = True
        clash = sorted(set(others) & set(found))
        if clash and conflict == "error":
            raise SemanticFaultError(f"bag_unpack(): a column named {clash[0]} is there already")
        if conflict == "keep_source":
            found = {name: value for name, value in found.items() if name not in clash}
        others = [name for name in others if name not in found]
        if len(found) > _MOST_COLUMNS:
            raise UnrunnableError(f"bag_unpack() into {len(found)} columns")
        values = {
            name: self._read(ast.Index(0, 0, column, trees.text(key)), kind) for name, (key, kind) in found.items()
        }
        items = [*trees.columns(others), *(trees.named(name, value) for name, value in values.items())]
        kinds = {
            **{name: flow.row.columns[name] for name in others},
            **{name: kind for name, (_, kind) in found.items()},
        }
        if items:
            flow.add(trees.project(*items), Row(kinds, empty and node.columns is None))

    def _read(self, node: ast.Node, kind: str) -> ast.Node:
        text = trees.call("tostring", node)
        return node if kind == "dynamic" else text if kind == "string" else converted(text, kind)

    def _pivot(self, flow: Flow, node: ast.Evaluate, scope: Scope) -> None:
        column, *rest = (trees.unnamed(argument) for argument in node.call.arguments)
        if not isinstance(column, ast.Name) or column.name not in flow.row.columns:
            raise UnrunnableError("pivot() of an expression")
        aggregate = rest.pop(0) if rest and isinstance(rest[0], ast.Call) else trees.call("count")
        read = {part.name for part in ast.walk(aggregate) if isinstance(part, ast.Name)} | {column.name}
        groups = [part.name for part in rest if isinstance(part, ast.Name)]
        groups = groups or [name for name in flow.row.columns if name not in read]
        value, key = self.fresh("value"), self.fresh("key")
        by = (*trees.columns(groups), trees.named(key, trees.call("tostring", column)))
        self._summarize(flow, ast.Summarize(0, 0, (trees.named(value, aggregate),), by), scope)
        empty = self.keep(flow)
        keys = [
            str(found) for (found,) in self.workspace.look(f"SELECT DISTINCT {key} FROM {self._table(flow)} ORDER BY 1")
        ]
        if node.columns is not None:
            keys = [c.name for c in node.columns if c.name not in groups and c.name != "*"]
        self.workspace.columns_of_values = node.columns is None
        if len(keys) > _MOST_COLUMNS:
            raise UnrunnableError(f"pivot() into {len(keys)} columns")
        kind, name = flow.row.columns[value], aggregate.name if isinstance(aggregate, ast.Call) else ""
        cells = [
            f"{_or_nothing(f'max({value}) FILTER (WHERE {key} = {_quoted(k)})', name, kind)} AS {self.workspace.column(k)}"
            for k in keys
        ]
        shown = [self.workspace.column(group) for group in groups]
        tail = f" GROUP BY {', '.join(shown)} ORDER BY {', '.join(shown)}" if shown else ""
        if not cells and not shown:
            raise UnrunnableError("pivot() of no rows into no columns")
        self._go_on(
            flow, f"SELECT {', '.join([*shown, *cells])} FROM {self._table(flow)}{tail}", empty and node.columns is None
        )

    def _narrow(self, flow: Flow) -> None:
        place = self.fresh("row")
        names = list(flow.row.columns)
        texts = {self.fresh("text"): trees.call("tostring", trees.name(name)) for name in names}
        self.extended(flow, {place: lab("row_number", trees.number(0)), **texts}, "string")
        self.keep(flow)
        pairs = ", ".join(f"{{'c': {_quoted(name)}, 'v': {text}}}" for name, text in zip(names, texts, strict=True))
        self._go_on(
            flow,
            f'SELECT "Row", p.c AS "Column", p.v AS "Value" FROM (SELECT {place} AS "Row", unnest([{pairs}]) AS p '
            f"FROM {self._table(flow)})",
        )

    def _ipv4_lookup(self, flow: Flow, node: ast.Evaluate, scope: Scope) -> None:
        options = {a.names[0]: a.value for a in node.call.arguments if isinstance(a, ast.Named)}
        lookup, address, network, *extra = (a for a in node.call.arguments if not isinstance(a, ast.Named))
        if extra or not (isinstance(address, ast.Name) and isinstance(network, ast.Name)):
            raise UnrunnableError("ipv4_lookup() with further keys")
        unmatched = options.get("return_unmatched")
        right_table, right_row = self.table(lookup, scope)
        right = Flow(right_table, right_row)
        self.keep(flow)
        self.keep(right)
        left = [f"l.{self.workspace.column(name)}" for name in flow.row.columns]
        others = []
        taken = set(flow.row.columns)
        for name in right_row.columns:
            new = name if name not in taken else f"{name}1"
            taken.add(new)
            others.append(f"r.{self.workspace.column(name)} AS {self.workspace.column(new)}")
        kind = "LEFT" if isinstance(unmatched, ast.Literal) and unmatched.value is True else "INNER"
        on = f"lab_ipv4_is_in_range(l.{self.workspace.column(address.name)}, r.{self.workspace.column(network.name)})"
        self._go_on(
            flow,
            f"SELECT {', '.join([*left, *others])} FROM {self._table(flow)} l {kind} JOIN {self._table(right)} r ON {on}",
        )

    # Series

    def _make_series(self, flow: Flow, node: ast.MakeSeries, scope: Scope) -> None:
        """Bins of the axis, each group's aggregates in them, and what stands for a bin without rows."""
        bounds = dict(zip(node.words, node.bounds, strict=True))
        inclusive = "in" in bounds
        if inclusive:
            around = bounds.pop("in")
            if not (isinstance(around, ast.Call) and len(around.arguments) == 3):
                raise UnrunnableError("make-series in a range that is computed")
            bounds = dict(zip(("from", "to", "step"), around.arguments, strict=True))
        step = self.written(bounds["step"], EMPTY, scope)
        low, high = (self.written(bounds[w], EMPTY, scope) if w in bounds else None for w in ("from", "to"))
        axis = node.axis.names[0] if isinstance(node.axis, ast.Named) else _axis_name(node.axis)
        value = self.resolved(trees.unnamed(node.axis), flow.row, scope)
        kind = self.shapes.kind(value, flow.row)
        if kind not in ("datetime", *NUMBERS):
            raise UnrunnableError(f"make-series on an axis of type {kind}")
        at, written = self.fresh("axis"), self.fitted(value, flow.row)
        self.extended(flow, {at: written}, kind)
        for bound, sign in ((low, ">="), (high, "<=" if inclusive else "<")):
            if bound is not None:
                flow.add(trees.where(trees.binary(trees.name(at), sign, bound)))
        bin_name = f"bin_at_{'moment' if kind == 'datetime' else 'number'}"
        binned = trees.call("bin", trees.name(at), step) if low is None else lab(bin_name, trees.name(at), step, low)
        self.extended(flow, {at: binned}, kind)
        if node.kind == "nonempty" and (node.by or low is None or high is None):
            raise UnrunnableError("make-series kind=nonempty by groups or without bounds")
        names = [_series_name(item) for item in node.aggregates]
        aggregates = tuple(
            trees.named(name, trees.unnamed(item)) for name, item in zip(names, node.aggregates, strict=True)
        )
        groups = [item.names[0] if isinstance(item, ast.Named) else _axis_name(item) for item in node.by]
        per = [flow.per] if flow.per and flow.per not in groups else []
        self._summarize(flow, ast.Summarize(0, 0, aggregates, (*node.by, trees.name(at))), scope)
        self.keep(flow)
        filled = [self._default(default, scope) for default in node.defaults or (None,) * len(names)]
        bins = _Bins(at, axis, low, high, step, inclusive, node.kind == "nonempty")
        self._series(flow, [*groups, *per], dict(zip(names, filled, strict=True)), bins)

    def _default(self, node: ast.Node | None, scope: Scope) -> str:
        if node is None:
            return "0"
        value = self.written(node, EMPTY, scope)
        if isinstance(value, ast.Unary) and isinstance(value.operand, ast.Literal):
            return f"{value.op}{value.operand.value}"
        if not isinstance(value, ast.Literal):
            raise UnrunnableError("make-series with a default that is computed")
        match value.value:
            case int() | float() as number:
                return str(number)
            case str(text) if text.lower() in ("null", "nan"):
                return "NULL" if text.lower() == "null" else "CAST('NaN' AS DOUBLE)"
            case str(text) if value.type != "string" and text.replace(".", "").lstrip("-").isdigit():
                return text
            case text:
                return _quoted(str(text))

    def _series(
        self,
        flow: Flow,
        groups: Sequence[str],
        values: Mapping[str, str],
        bounds: "_Bins",
    ) -> None:
        at, low, high, step = bounds.at, bounds.low, bounds.high, bounds.step
        edges = ast.Print(
            0,
            0,
            tuple(
                trees.named(name, node)
                for name, node in (("low", low), ("high", high), ("step", step))
                if node is not None
            ),
        )
        kept_edges = Flow(edges, EMPTY)
        self.keep(kept_edges)
        table = self._table(flow)
        first = "low" if low is not None else f"(SELECT min({at}) FROM {table})"
        last = "high" if high is not None else f"(SELECT max({at}) FROM {table})"
        closed = bounds.inclusive or high is None
        series = "generate_series" if closed else "range"
        bins = f"SELECT unnest({series}({first}, {last}, step)) AS b FROM {self._table(kept_edges)}"
        shown = [self.workspace.column(name) for name in groups]
        same = " AND ".join(f"t.{g} IS NOT DISTINCT FROM g.{g}" for g in shown)
        grid = "SELECT 1 AS one" if bounds.always else f"SELECT DISTINCT {', '.join(shown) or '1 AS one'} FROM {table}"
        lists = [
            f"to_json(list(CASE WHEN t.{at} IS NULL THEN {fill} ELSE t.{self.workspace.column(name)} END ORDER BY bins.b))"
            f" AS {self.workspace.column(name)}"
            for name, fill in values.items()
        ]
        moments = flow.row.columns[at] == "datetime"
        edge = "strftime(bins.b, '%Y-%m-%dT%H:%M:%S.%f') || '0Z'" if moments else "bins.b"
        lists.append(f"to_json(list({edge} ORDER BY bins.b)) AS {self.workspace.column(bounds.axis)}")
        keys = ", ".join(f"g.{g}" for g in shown)
        grouped = f" GROUP BY {keys} ORDER BY {keys}" if shown else " HAVING count(*) > 0"
        count = self.workspace.look(f"SELECT count(*) FROM ({bins})")[0][0]
        if count > NO_LIMIT:
            raise UnrunnableError(f"make-series of {count} bins")
        self._go_on(
            flow,
            f"SELECT {', '.join([*(f'g.{g}' for g in shown), *lists])} FROM ({grid}) g CROSS JOIN ({bins}) bins "
            f"LEFT JOIN {table} t ON t.{at} = bins.b{' AND ' + same if same else ''}{grouped}",
        )


def _unpacking(options: Sequence[ast.Node]) -> tuple[str, str, tuple[str, ...]]:
    """The options of bag_unpack(): prefix, what happens to columns that are there already, keys that are left out."""
    texts = [str(item.value) for item in options if isinstance(item, ast.Literal)]
    lists = [item.value for item in options if isinstance(item, ast.DynamicLiteral) and isinstance(item.value, tuple)]
    conflict = texts[1] if len(texts) > 1 else "error"
    if len(texts) + len(lists) < len(options) or conflict not in ("error", "replace_source", "keep_source"):
        raise UnrunnableError("bag_unpack() with options that are computed")
    return (texts[0] if texts else "", conflict, tuple(str(key) for key in lists[0]) if lists else ())


def _kind(kinds: set[str]) -> str:
    found = {_PRIMITIVE.get(kind, "dynamic") for kind in kinds if kind != "NULL"}
    if found == {"long", "real"}:
        return "real"
    return found.pop() if len(found) == 1 else "dynamic"


def _or_nothing(cell: str, aggregate: str, kind: str) -> str:
    """What the aggregate of no rows is."""
    if aggregate in ("count", "countif", "dcount", "dcountif", "sum", "sumif", "count_distinct", "count_distinctif"):
        return f"coalesce({cell}, 0)"
    if aggregate in ("make_set", "make_list", "make_set_if", "make_list_if"):
        return f"coalesce({cell}, CAST('[]' AS JSON))"
    if aggregate in ("avg", "avgif"):
        return f"coalesce({cell}, CAST('NaN' AS DOUBLE))"
    return cell


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _axis_name(node: ast.Node) -> str:
    return output_name(node) or "Column1"


def _series_name(item: ast.Node) -> str:
    if isinstance(item, ast.Named):
        return item.names[0]
    return name_of_aggregate(item) if isinstance(item, ast.Call) else "Column1"
