"""Operators that open nested values and texts (`mv-expand`, `parse`), and plugins."""

from itertools import pairwise

from . import ast
from .binding_tables import TableBinder, columns_of
from .naming import implied_name
from .rows import DYNAMIC, UNKNOWN, Row, element_of, fresh, joined, plain
from .scalars import TEXT, Scope

_LOOKUPS = frozenset({"ipv4_lookup", "ipv6_lookup", "geo_polygon_lookup", "geo_line_lookup"})


class NestedBinder(TableBinder):
    """Columns through the operators that yield columns of what lies inside a value."""

    def _mv_expand(self, node: ast.MvExpand, row: Row) -> Row:
        expanded = dict(row.columns)
        named: set[str] = set()
        for item in node.items:
            name, kind = self._expanded(item, row, expanded)
            if name in named:
                self._declared_twice(name, item)
            named.add(name)
            expanded[name] = kind
        if node.limit is not None:
            self._rows(node.limit, row)
        if node.item_index:
            expanded[node.item_index] = "long"
        result = Row(expanded, row.open)
        if node.subquery is None:
            return result
        return row.without(named).with_columns(self._through(node.subquery, result).columns)

    def _expanded(self, item: ast.Expand, row: Row, taken: dict[str, str]) -> tuple[str, str]:
        """The name and the type of what one item of `mv-expand` becomes."""
        value = item.value.value if isinstance(item.value, ast.Named) else item.value
        found = self._scalar(value, row)
        if found not in DYNAMIC and found != UNKNOWN:
            hint = "make a list of it first, as with split(...) or parse_json(...)" if found == "string" else None
            self._report("type_mismatch", f"mv-expand opens a dynamic value, this is {found}", value, hint)
        name = implied_name(item.value) or fresh("Column1", taken)
        return name, item.type or element_of(found)

    # Texts

    def _parse(self, node: ast.Parse, row: Row) -> Row:
        self._scalar(node.source, row)
        self._pattern(node)
        captured = [part for part in node.pattern if isinstance(part, ast.ColumnDef)]
        names: set[str] = set()
        for part in captured:
            if part.name in names:
                self._declared_twice(part.name, part)
            names.add(part.name)
        return row.with_columns(columns_of(tuple(captured)))

    def _pattern(self, node: ast.Parse) -> None:
        """What may follow what in a pattern: between two captures there is a text that parts them."""
        for before, part in pairwise(node.pattern):
            match before, part:
                case ast.ColumnDef(), ast.ColumnDef():
                    self._report(
                        "bad_value", f"no text parts {before.name} and {part.name}", part, "put a text between them"
                    )
                case ast.Star(), ast.ColumnDef() | ast.Star():
                    self._report("bad_value", "behind * stands the text that is looked for", part)
                case ast.ColumnDef(type="string"), ast.Star():
                    self._report("bad_value", f"{before.name} ends nowhere before *", part, "put a text between them")

    def _parse_kv(self, node: ast.ParseKv, row: Row) -> Row:
        self._scalar(node.source, row)
        return row.with_columns(columns_of(node.columns))

    def _reduce(self, node: ast.Reduce, row: Row) -> Row:
        found = self._scalar(node.by, row)
        if not TEXT.rank(found):
            self._report("type_mismatch", f"reduce finds patterns in text, this is {plain(found)}", node.by)
        return Row({"Pattern": "string", "Count": "long", "Representative": "string"})

    def _scan(self, node: ast.Scan, row: Row) -> Row:
        for key in node.by:
            self._scalar(key.value if isinstance(key, ast.Ordered) else key, row)
        wide = row.with_columns(columns_of(node.columns))
        outer, self._scope = self._scope, Scope(self._scope)
        self._scope.names |= {step.name: wide for step in node.steps}
        for step in node.steps:
            self._scalar(step.condition, wide)
            for item in step.assignments:
                self._assigned(item, wide)
        self._scope = outer
        return wide.with_columns({node.match_id or "match_id": "long"})

    def _assigned(self, item: ast.Node, row: Row) -> None:
        """A step of `scan` sets a declared column."""
        if not isinstance(item, ast.Named):
            self._report("bad_value", "a step sets columns: Column = value", item)
            return
        self._column(ast.Name(item.start, item.value.start, item.names[0]), row)
        self._scalar(item.value, row)

    # Plugins

    def _evaluate(self, node: ast.Evaluate, row: Row) -> Row:
        call = node.call
        rule = self._library.plugin.get(call.name)
        if rule is None:
            known = self._meant(call.name, self._library.plugin)
            self._report("unknown_function", f"there is no plugin {call.name}", call, known)
            return Row(open=True)
        tables = [self._table(call.arguments[0])] if call.name in _LOOKUPS and call.arguments else []
        both = joined(row, tables[0]) if tables else row
        for argument in call.arguments[len(tables) :]:
            self._plugin_argument(argument, both, row)
        if call.name == "bag_unpack":
            self._opened(call, row)
        elif call.name == "pivot":
            self._groupable(call.arguments[:1], row)
        if node.columns is not None:
            kept = row.columns if any(column.name == "*" for column in node.columns) else {}
            return Row({**kept, **columns_of(node.columns)})
        return self._plugin_row(rule, call, row, both)

    def _plugin_argument(self, argument: ast.Node, both: Row, row: Row) -> None:
        value = argument.value if isinstance(argument, ast.Named) else argument
        if isinstance(value, ast.Call) and value.name in self._library.aggregate:
            self._aggregate(value, row)
        elif not isinstance(value, ast.Star | ast.TypeOf):
            self._value(value, both)

    def _opened(self, call: ast.Call, row: Row) -> None:
        """`bag_unpack` opens a column."""
        for argument in call.arguments[:1]:
            if not isinstance(argument, ast.Name):
                self._report("bad_value", "bag_unpack opens a column", argument, "name it in extend first")

    def _plugin_row(self, rule: str, call: ast.Call, row: Row, both: Row) -> Row:
        named = [argument.name for argument in call.arguments if isinstance(argument, ast.Name)]
        match rule:
            case "same":
                return row
            case "bag_unpack":
                return Row(row.without(named[:1]).columns, open=True)
            case "pivot" if len(call.arguments) > 2:
                return Row({name: row.columns[name] for name in named if name in row.columns}, open=True)
            case "pivot":
                return Row(row.without(named[:1]).columns, open=True)
            case "lookup":
                return both
            case "open" | "deny":
                return Row(row.columns, open=True)
            case _ if rule.startswith("+"):
                return Row({**dict(pair.split(":") for pair in rule[1:].split()), **row.columns}, row.open)
            case _:
                return Row(dict(pair.split(":") for pair in rule.split()))
