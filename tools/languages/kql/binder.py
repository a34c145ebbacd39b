"""Columns through the pipeline: what each operator needs from the row before it and hands to the one behind."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from ..query import Diagnostic
from . import ast
from .rows import DYNAMIC, UNKNOWN, Row, aggregate_name, fresh, implied_name, joined, united
from .scalars import ScalarBinder, Scope, UserFunction, Value, fits, result_type
from .schema import Schema

_LEFT_ONLY = frozenset({"leftanti", "anti", "leftantisemi", "leftsemi", "semi"})
_RIGHT_ONLY = frozenset({"rightanti", "rightantisemi", "rightsemi"})
_JOIN_KINDS = _LEFT_ONLY | _RIGHT_ONLY | {"", "inner", "innerunique", "leftouter", "rightouter", "fullouter", "cross"}
_CALL_DEPTH = 12
_MOST_CALLS = 400
"""Bodies of functions that one check follows; beyond it their values are taken as they come."""
_REMOTE = frozenset({"cluster", "database", "workspace", "app", "resource", "adx", "arg", "external_table"})
_SEARCH_COLUMNS = {"$table": "string"}


class Binder(ScalarBinder):
    """Binds one query. The findings are in `diagnostics`, the tables and columns that were used beside them."""

    def __init__(self, schema: Schema, functions: Mapping[str, ast.Function]) -> None:
        super().__init__(schema)
        self._calls = self._applied = 0
        outer = self._scope
        for name, declaration in functions.items():
            outer.names[name] = UserFunction(declaration, outer)

    def bind(self, query: ast.Query) -> tuple[Diagnostic, ...]:
        """Check a whole query."""
        self._scope = Scope(self._scope)
        self._statements(query.statements)
        return tuple(sorted(self.diagnostics, key=lambda item: item.start))

    def _statements(self, statements: tuple[ast.Statement, ...]) -> Value:
        """Bind statements in order; the value of the last expression."""
        last: Value = UNKNOWN
        for statement in statements:
            match statement:
                case ast.Let():
                    self._let(statement)
                case ast.ExpressionStatement(value=value):
                    last = self._value(value, None)
                case ast.Declare(parameters=parameters):
                    for parameter in parameters:
                        self._scope.names[parameter.name] = parameter.type
        return last

    def _let(self, statement: ast.Let) -> None:
        value = statement.value
        if statement.name in self._scope.names:
            self._report("ambiguous", f"{statement.name} is declared twice", statement)
        if isinstance(value, ast.Function):
            bound: Value = UserFunction(value, self._scope)
            self._apply(UserFunction(value, self._scope), None)
        else:
            bound = self._value(value, None)
        self._scope.names[statement.name] = bound

    # Functions of the query and the workspace

    def _apply(self, function: UserFunction, arguments: dict[str, Value] | None) -> Value:
        """The value of a function's body. Without arguments: as it is declared, and only then is it reported on."""
        self._applied += 1
        if self._calls >= _CALL_DEPTH or self._applied > _MOST_CALLS:
            return UNKNOWN
        outer, self._scope = self._scope, Scope(function.scope)
        self._calls += 1
        for parameter in function.declaration.parameters:
            self._scope.names[parameter.name] = (arguments or {}).get(parameter.name, _declared(parameter))
        self._quiet += arguments is not None
        value = self._statements(function.declaration.body)
        self._quiet -= arguments is not None
        self._calls -= 1
        self._scope = outer
        return value

    def _call_user(self, function: UserFunction, call: ast.Call, row: Row | None, piped: Row | None = None) -> Value:
        """Call a function; `piped` is the table that `invoke` passes as the first argument."""
        parameters = list(function.declaration.parameters)
        arguments: dict[str, Value] = {}
        if piped is not None and parameters:
            arguments[parameters.pop(0).name] = piped
        for index, argument in enumerate(call.arguments):
            node = argument.value if isinstance(argument, ast.Named) else argument
            value = self._value(node, row)
            if isinstance(argument, ast.Named):
                arguments[argument.names[0]] = value
            elif index < len(parameters):
                arguments[parameters[index].name] = value
                self._argument_fits(parameters[index], value, node)
        missing = [p.name for p in parameters if p.name not in arguments and p.default is None]
        if missing or len(call.arguments) > len(parameters):
            self._report("bad_value", f"{call.name} takes {len(parameters)} arguments, see its declaration", call)
        return self._apply(function, arguments)

    def _argument_fits(self, parameter: ast.Parameter, value: Value, node: ast.Node) -> None:
        if isinstance(value, str) and not fits(value, frozenset({parameter.type})):
            self._report("type_mismatch", f"{parameter.name} is {parameter.type}, this is {value}", node)

    # Values

    def _value(self, node: ast.Node, row: Row | None) -> Value:
        match node:
            case ast.Name():
                found = self._name(node, row)
                return self._apply(found, {}) if isinstance(found, UserFunction) else found
            case ast.Literal(type=kind):
                return kind
            case ast.DynamicLiteral(value=value):
                return "array" if isinstance(value, tuple) else "dynamic"
            case ast.Logical():
                return self._logical(node, row)
            case ast.Binary():
                return self._binary(node, row)
            case ast.Call():
                return self._call(node, row)
            case ast.InList():
                return self._in_list(node, row)
            case ast.Between():
                return self._between(node, row)
            case ast.Member():
                return self._member(node, row)
            case ast.Index(base=base, index=index):
                self._scalar(index, row)
                return self._path(base, node, row)
            case ast.Unary(operand=operand):
                return self._scalar(operand, row)
            case ast.TypeOf():
                return UNKNOWN
            case ast.Star(pattern=pattern):
                return UNKNOWN if row is not None else self._tables_like(node, pattern)
            case ast.Named(value=value):
                return self._value(value, row)
            case ast.Pipeline():
                return self._pipeline(node, row)
            case ast.DataTable(columns=columns, values=values):
                for value in values:
                    self._scalar(value, row)
                return Row(_columns(columns))
            case ast.ExternalData(columns=columns):
                return Row(_columns(columns))
            case ast.MemberCall():
                return Row(open=True)
            case ast.Operator():
                return self._operator(node, Row())
            case _:
                return UNKNOWN

    def _member(self, node: ast.Member, row: Row | None) -> Value:
        base = node.base
        if isinstance(base, ast.Name) and base.name in ("$left", "$right"):
            return UNKNOWN
        if isinstance(base, ast.MemberCall) or (isinstance(base, ast.Call) and base.name in _REMOTE):
            return Row(open=True)
        return self._path(base, node, row)

    def _call(self, call: ast.Call, row: Row | None) -> Value:
        declared = self._scope.find(call.name)
        if isinstance(declared, UserFunction):
            return self._call_user(declared, call, row)
        match call.name:
            case "materialize" if call.arguments:
                return self._value(call.arguments[0], row)
            case "toscalar" if call.arguments:
                value = self._value(call.arguments[0], row)
                return next(iter(value.columns.values()), UNKNOWN) if isinstance(value, Row) else UNKNOWN
            case "table" if call.arguments and isinstance(call.arguments[0], ast.Literal):
                literal = call.arguments[0]
                return self._name(ast.Name(literal.start, literal.end, str(literal.value)), None)
            case "table" | "column_ifexists" if call.name == "table" or len(call.arguments) == 2:
                return self._column_if_exists(call, row) if call.name != "table" else Row(open=True)
            case _ if call.name in _REMOTE:
                return Row(open=True)
        signature = self._library.scalar.get(call.name)
        if signature is None:
            self._unknown_function(call)
            for argument in call.arguments:
                self._value(argument, row)
            return UNKNOWN
        return self._signature_call(call, signature, row)

    def _column_if_exists(self, call: ast.Call, row: Row | None) -> str:
        name, default = call.arguments
        kind = self._scalar(default, row)
        if isinstance(name, ast.Literal) and row is not None and name.value in row.columns:
            return row.columns[str(name.value)]
        return kind

    def _table(self, node: ast.Node, row: Row | None = None) -> Row:
        """The row of an expression that must be a table."""
        value = self._value(node, row)
        if isinstance(value, Row):
            return value
        if value != UNKNOWN:
            self._report("type_mismatch", "a table is expected here", node)
        return Row(open=True)

    def _tables_like(self, node: ast.Node, pattern: str) -> Row:
        names = [name for name in self._schema if fnmatchcase(name, pattern)]
        names += [
            name for name, value in self._scope.names.items() if isinstance(value, Row) and fnmatchcase(name, pattern)
        ]
        if not names:
            self._report("unknown_collection", f"no table is named like {pattern}", node)
            return Row(open=True)
        self.collections.update(dict.fromkeys(name for name in names if name in self._schema))
        rows = [Row(self._schema[name]) for name in names if name in self._schema]
        return united(rows, "outer") if rows else Row(open=True)

    def _pipeline(self, node: ast.Pipeline, row: Row | None) -> Row:
        current = self._table(node.source, row)
        for operator in node.operators:
            current = self._operator(operator, current)
        return current

    def _operator(self, node: ast.Operator, row: Row) -> Row:
        return self._binders[type(node)](self, node, row)

    # Filtering and shaping

    def _where(self, node: ast.Where, row: Row) -> Row:
        self._typed(node.predicate, row, "bool")
        return row

    def _project(self, node: ast.Project, row: Row) -> Row:
        match node.kind:
            case "project":
                return self._named_columns(node.items, Row(open=False), row)
            case "project-away" | "project-keep":
                chosen = [name for item in node.items for name in self._chosen(item, row, node.kind)]
                if node.kind == "project-away":
                    return row.without(chosen)
                return Row({name: row.columns.get(name, UNKNOWN) for name in row.columns if name in chosen}, row.open)
            case "project-rename":
                return self._renamed(node, row)
            case _:
                for item in node.items:
                    self._chosen(item, row, node.kind)
                return row

    def _chosen(self, item: ast.Node, row: Row, kind: str) -> list[str]:
        if isinstance(item, ast.Star):
            return [name for name in row.columns if fnmatchcase(name, item.pattern)]
        if isinstance(item, ast.Name):
            self._column(item, row)
            return [item.name]
        return []

    def _column(self, node: ast.Name, row: Row) -> str:
        """The type of a name that must be a column."""
        found = self._name(node, row)
        return found if isinstance(found, str) else UNKNOWN

    def _renamed(self, node: ast.Project, row: Row) -> Row:
        names: dict[str, str] = {}
        for item in node.items:
            if isinstance(item, ast.Named) and isinstance(item.value, ast.Name):
                self._column(item.value, row)
                names[item.value.name] = item.names[0]
        return Row({names.get(name, name): kind for name, kind in row.columns.items()}, row.open).with_columns(
            {new: UNKNOWN for old, new in names.items() if old not in row.columns}
        )

    def _named_columns(self, items: tuple[ast.Node, ...], onto: Row, row: Row, prefix: str = "Column") -> Row:
        """Add the columns of `name = expression` items, bound against `row`, to another row."""
        columns = dict(onto.columns)
        for index, item in enumerate(items):
            if isinstance(item, ast.Star):
                columns.update(row.columns)
                continue
            names, value = (item.names, item.value) if isinstance(item, ast.Named) else ((), item)
            kind = self._scalar(value, row)
            if not names:
                names = (implied_name(value) or fresh(f"{prefix}{index + (prefix == 'Column')}", columns),)
            for name in names:
                columns[name] = kind if len(names) == 1 else UNKNOWN
        return Row(columns, onto.open)

    def _extend(self, node: ast.Extend, row: Row) -> Row:
        return self._named_columns(node.items, row, row)

    def _distinct(self, node: ast.Distinct, row: Row) -> Row:
        result = self._named_columns(node.items, Row(), row)
        self._groupable(node.items, row)
        return Row(result.columns, row.open and any(isinstance(item, ast.Star) for item in node.items))

    def _groupable(self, items: tuple[ast.Node, ...], row: Row) -> None:
        """Columns of type dynamic cannot be grouped by."""
        for item in items:
            value = item.value if isinstance(item, ast.Named) else item
            if (
                isinstance(value, ast.Name | ast.Member | ast.Index | ast.Call)
                and self._silently(value, row) in DYNAMIC
            ):
                self._report("type_mismatch", "a dynamic value cannot be grouped by", value, "wrap it in tostring(...)")

    def _silently(self, node: ast.Node, row: Row) -> Value:
        self._quiet += 1
        value = self._value(node, row)
        self._quiet -= 1
        return value

    def _summarize(self, node: ast.Summarize, row: Row) -> Row:
        groups = self._named_columns(node.by, Row(), row)
        self._groupable(node.by, row)
        return self._aggregated(node.aggregates, groups, row)

    def _aggregated(self, items: tuple[ast.Node, ...], onto: Row, row: Row) -> Row:
        columns = dict(onto.columns)
        open_row = onto.open
        for index, item in enumerate(items):
            names, value = (item.names, item.value) if isinstance(item, ast.Named) else ((), item)
            if isinstance(value, ast.Call) and value.name in (
                "arg_max",
                "arg_min",
                "argmax",
                "argmin",
                "take_any",
                "any",
            ):
                open_row = self._picked(value, names, columns, row) or open_row
                continue
            kind = self._aggregate(value, row)
            if not names:
                named = isinstance(value, ast.Call) and value.name in self._library.aggregate
                name = aggregate_name(value) if named and isinstance(value, ast.Call) else implied_name(value)
                names = (fresh(name or f"Column{index + 1}", columns),)
                if isinstance(value, ast.Call) and value.name in ("percentiles", "percentilesw"):
                    names = tuple(_percentile_names(value))
            for name in names:
                columns[name] = kind if len(names) == 1 else UNKNOWN
        return Row(columns, open_row)

    def _picked(self, call: ast.Call, names: tuple[str, ...], columns: dict[str, str], row: Row) -> bool:
        """Columns of `arg_max(key, ...)` and `take_any(...)`; True when an open row flows through a star."""
        self._count_arguments(call, self._library.aggregate[call.name])
        prefix = "any_" if call.name == "any" else ""
        left = list(names)
        through = False
        for argument in call.arguments:
            if isinstance(argument, ast.Star):
                for name, kind in row.columns.items():
                    columns.setdefault(name, kind)
                through = row.open
                continue
            kind = self._scalar(argument, row)
            implied = implied_name(argument)
            name = left.pop(0) if left else fresh(f"{prefix}{implied}" if implied else "Column1", columns)
            columns[name] = kind
        return through

    def _aggregate(self, node: ast.Node, row: Row) -> str:
        """The type of an expression over aggregates, whose arguments are bound against the row."""
        match node:
            case ast.Call(name=name) if name in self._library.aggregate and not (
                name in self._library.scalar and name not in ("hll_merge", "tdigest_merge", "merge_tdigest")
            ):
                return self._signature_call(node, self._library.aggregate[name], row)
            case ast.Call(name=name, arguments=arguments):
                kinds = [self._aggregate(argument, row) for argument in arguments]
                declared = self._scope.find(name)
                if isinstance(declared, UserFunction):
                    value = self._apply(declared, {})
                    return value if isinstance(value, str) else UNKNOWN
                if name not in self._library.scalar:
                    self._unknown_function(node)
                    return UNKNOWN
                return result_type(self._library.scalar[name].result, kinds, node)
            case ast.Binary(left=left, right=right):
                return self._operation_on(node, self._aggregate(left, row), self._aggregate(right, row))
            case ast.Logical(parts=parts):
                for part in parts:
                    self._aggregate(part, row)
                return "bool"
            case ast.Unary(operand=operand):
                return self._aggregate(operand, row)
            case ast.Member(base=base):
                return "dynamic" if self._aggregate(base, row) else UNKNOWN
            case ast.Index(base=base):
                return "dynamic" if self._aggregate(base, row) else UNKNOWN
            case ast.InList(left=left):
                self._aggregate(left, row)
                return "bool"
            case _:
                return self._scalar(node, row)

    def _operation_on(self, node: ast.Binary, left: str, right: str) -> str:
        return self._arithmetic(node, left, right) if node.op in ("+", "-", "*", "/", "%") else "bool"

    # Ordering and counting

    def _sort(self, node: ast.Sort | ast.Top, row: Row) -> Row:
        if isinstance(node, ast.Top):
            self._scalar(node.count, Row())
        for key in node.by:
            value = key.value if isinstance(key, ast.Ordered) else key
            self._scalar(value.value if isinstance(value, ast.Named) else value, row)
        return row

    def _take(self, node: ast.Take, row: Row) -> Row:
        self._scalar(node.count, Row())
        return row

    def _count(self, node: ast.Count, row: Row) -> Row:
        return Row({node.name or "Count": "long"})

    def _top_nested(self, node: ast.TopNested, row: Row) -> Row:
        columns: dict[str, str] = {}
        for part in node.parts:
            columns |= self._named_columns((part.key,), Row(), row).columns
            aggregate = part.aggregate.value if isinstance(part.aggregate, ast.Ordered) else part.aggregate
            if isinstance(aggregate, ast.Named):
                columns[aggregate.names[0]] = self._aggregate(aggregate.value, row)
            else:
                self._aggregate(aggregate, row)
                columns[f"aggregated_{list(columns)[-1]}"] = UNKNOWN
        return Row(columns, open=True)

    def _top_hitters(self, node: ast.TopHitters, row: Row) -> Row:
        base = self._named_columns((node.of,), Row(), row)
        weight = "approximate_sum_" + (implied_name(node.by) or "" if node.by else "")
        return base.with_columns({weight if node.by else "approximate_count_" + (implied_name(node.of) or ""): "long"})

    def _sample_distinct(self, node: ast.SampleDistinct, row: Row) -> Row:
        return self._named_columns((node.of,), Row(), row)

    # Several tables

    def _join(self, node: ast.Join, row: Row) -> Row:
        if node.kind not in _JOIN_KINDS:
            self._report("bad_value", f"there is no join kind {node.kind}", node, self._meant(node.kind, _JOIN_KINDS))
        right = self._table(node.right)
        keys = [key for condition in node.on for key in self._join_keys(condition, row, right)]
        if node.kind in _LEFT_ONLY:
            return row
        if node.kind in _RIGHT_ONLY:
            return right
        return joined(row, right, keys if node.operator == "lookup" else ())

    def _join_keys(self, condition: ast.Node, left: Row, right: Row) -> list[str]:
        """The columns of the right side that a condition of a join uses."""
        match condition:
            case ast.Name():
                for side in (left, right):
                    if condition.name not in side.columns and not side.open:
                        known = set(left.columns) & set(right.columns)
                        self._report(
                            "unknown_column",
                            f"{condition.name} is not on both sides of the join",
                            condition,
                            self._meant(condition.name, known),
                        )
                        break
                self.fields[condition.name] = None
                return [condition.name]
            case ast.Logical(op="and", parts=parts):
                return [key for part in parts for key in self._join_keys(part, left, right)]
            case ast.Binary(op="==", left=one, right=other):
                found = [self._join_side(one, left, right), self._join_side(other, left, right)]
                return [name for name in found if name]
            case _:
                self._report("bad_value", "a join needs a column, or $left.a == $right.b", condition)
                return []

    def _join_side(self, node: ast.Node, left: Row, right: Row) -> str | None:
        """Bind one side of `==`; the name of the column when it belongs to the right table."""
        if isinstance(node, ast.Member) and isinstance(node.base, ast.Name) and node.base.name in ("$left", "$right"):
            on_right = node.base.name == "$right"
            self._column(ast.Name(node.start, node.end, node.name), right if on_right else left)
            return node.name if on_right else None
        self._report("bad_value", "each side of a join condition starts with $left. or $right.", node)
        return None

    def _union(self, node: ast.Union, row: Row) -> Row:
        parts = [row] if row.columns or row.open else []
        parts += [self._table(table) for table in node.tables]
        result = united(parts, node.kind)
        return result.with_columns({node.with_source: "string"}) if node.with_source else result

    def _partition(self, node: ast.Partition, row: Row) -> Row:
        self._scalar(node.by, row)
        if node.source is not None:
            return self._table(node.source)
        return self._through(node.body, row)

    def _through(self, operators: tuple[ast.Operator, ...], row: Row) -> Row:
        for operator in operators:
            row = self._operator(operator, row)
        return row

    def _fork(self, node: ast.Fork, row: Row) -> Row:
        for key in node.by:
            self._scalar(key, row)
        results = [self._through(branch, row) for branch in node.branches]
        return results[0] if results else row

    # Nested values

    def _mv_expand(self, node: ast.MvExpand, row: Row) -> Row:
        expanded = dict(row.columns)
        for index, item in enumerate(node.items):
            named = isinstance(item.value, ast.Named)
            value = item.value.value if isinstance(item.value, ast.Named) else item.value
            self._scalar(value, row)
            name = item.value.names[0] if isinstance(item.value, ast.Named) else implied_name(value)
            if not named and name is None:
                name = fresh(f"Column{index + 1}", expanded)
            expanded[name or "Column1"] = item.type or "dynamic"
        if node.item_index:
            expanded[node.item_index] = "long"
        result = Row(expanded, row.open)
        if node.subquery is None:
            return result
        return row.with_columns(self._through(node.subquery, result).columns)

    def _make_series(self, node: ast.MakeSeries, row: Row) -> Row:
        for bound in node.bounds:
            self._scalar(bound, row)
        keys = self._named_columns((*node.by, node.axis), Row(), row)
        result = self._aggregated(node.aggregates, keys, row)
        groups = set(self._named_columns(node.by, Row(), row).columns)
        return Row({name: kind if name in groups else "dynamic" for name, kind in result.columns.items()})

    def _parse(self, node: ast.Parse, row: Row) -> Row:
        self._scalar(node.source, row)
        captured = tuple(part for part in node.pattern if isinstance(part, ast.ColumnDef))
        return row.with_columns(_columns(captured))

    def _parse_kv(self, node: ast.ParseKv, row: Row) -> Row:
        self._scalar(node.source, row)
        return row.with_columns(_columns(node.columns))

    # Plugins and the rest

    def _evaluate(self, node: ast.Evaluate, row: Row) -> Row:
        name = node.call.name
        if name not in self._library.plugin:
            known = self._meant(name, self._library.plugin)
            self._report("unknown_function", f"there is no plugin {name}", node.call, known)
            return Row(open=True)
        for argument in node.call.arguments:
            value = argument.value if isinstance(argument, ast.Named) else argument
            if name in ("ipv4_lookup", "ipv6_lookup", "pivot"):
                self._silently(value, row)
            else:
                self._value(value, row)
        if node.columns is not None:
            kept = row.columns if any(column.name == "*" for column in node.columns) else {}
            return Row({**kept, **_columns(tuple(c for c in node.columns if c.name != "*"))})
        match self._library.plugin[name]:
            case "same":
                return row
            case "bag_unpack":
                unpacked = [arg.name for arg in node.call.arguments[:1] if isinstance(arg, ast.Name)]
                return Row(row.without(unpacked).columns, open=True)
            case "lookup":
                tables = [self._silently(arg, row) for arg in node.call.arguments[:1]]
                return joined(row, next((t for t in tables if isinstance(t, Row)), Row(open=True)))
            case "open" | "deny":
                return Row(row.columns, open=True)
            case columns:
                return Row(dict(pair.strip().split(":") for pair in columns.split(",")))

    def _invoke(self, node: ast.Invoke, row: Row) -> Row:
        function = self._scope.find(node.call.name)
        if not isinstance(function, UserFunction):
            self._unknown_function(node.call)
            return Row(open=True)
        value = self._call_user(function, node.call, Row(), piped=row)
        return value if isinstance(value, Row) else Row(open=True)

    def _unchanged(self, node: ast.Operator, row: Row) -> Row:
        return row

    def _get_schema(self, node: ast.GetSchema, row: Row) -> Row:
        return Row({"ColumnName": "string", "ColumnOrdinal": "int", "DataType": "string", "ColumnType": "string"})

    def _as(self, node: ast.As, row: Row) -> Row:
        self._scope.names[node.name] = row
        return row

    def _search(self, node: ast.Search, row: Row) -> Row:
        searched = self._searched(node.tables, row)
        self._silently(node.predicate, searched)
        return searched.with_columns(_SEARCH_COLUMNS)

    def _searched(self, tables: tuple[ast.Node, ...], row: Row) -> Row:
        rows = [self._table(table) for table in tables]
        if not rows and (row.columns or row.open):
            return row
        if not rows:
            rows = [Row(columns) for columns in self._schema.values()]
        return Row(united(rows, "outer").columns, open=True)

    def _find(self, node: ast.Find, row: Row) -> Row:
        searched = self._searched(node.tables, Row())
        self._silently(node.predicate, searched)
        chosen = self._named_columns(node.columns, Row(), searched) if node.columns else searched
        return Row({"source_": "string", **chosen.columns, "pack_": "dynamic"}, open=not node.columns)

    def _range(self, node: ast.Range, row: Row) -> Row:
        kind = self._scalar(node.low, Row())
        self._scalar(node.high, Row())
        self._scalar(node.step, Row())
        return Row({node.name: kind})

    def _print(self, node: ast.Print, row: Row) -> Row:
        columns: dict[str, str] = {}
        for index, item in enumerate(node.items):
            name = item.names[0] if isinstance(item, ast.Named) else f"print_{index}"
            columns[name] = self._scalar(item.value if isinstance(item, ast.Named) else item, Row())
        return Row(columns)

    def _reduce(self, node: ast.Reduce, row: Row) -> Row:
        self._scalar(node.by, row)
        return Row({"Pattern": "string", "Count": "long", "Representative": "string"})

    def _scan(self, node: ast.Scan, row: Row) -> Row:
        return row.with_columns(_columns(node.columns))

    _binders: Mapping[type[ast.Node], Callable[..., Row]] = {
        ast.Where: _where,
        ast.Project: _project,
        ast.Extend: _extend,
        ast.Distinct: _distinct,
        ast.Summarize: _summarize,
        ast.Sort: _sort,
        ast.Top: _sort,
        ast.Take: _take,
        ast.Count: _count,
        ast.TopNested: _top_nested,
        ast.TopHitters: _top_hitters,
        ast.SampleDistinct: _sample_distinct,
        ast.Join: _join,
        ast.Union: _union,
        ast.Partition: _partition,
        ast.Fork: _fork,
        ast.MvExpand: _mv_expand,
        ast.MakeSeries: _make_series,
        ast.Parse: _parse,
        ast.ParseKv: _parse_kv,
        ast.Evaluate: _evaluate,
        ast.Invoke: _invoke,
        ast.Render: _unchanged,
        ast.Consume: _unchanged,
        ast.GetSchema: _get_schema,
        ast.As: _as,
        ast.Search: _search,
        ast.Find: _find,
        ast.Range: _range,
        ast.Print: _print,
        ast.Reduce: _reduce,
        ast.Scan: _scan,
    }


def _declared(parameter: ast.Parameter) -> Value:
    if parameter.columns is None:
        return parameter.type
    named = tuple(column for column in parameter.columns if column.name != "*")
    return Row(_columns(named), open=len(named) < len(parameter.columns) or not parameter.columns)


def _columns(columns: tuple[ast.ColumnDef, ...]) -> dict[str, str]:
    return {column.name: column.type for column in columns}


def _percentile_names(call: ast.Call) -> list[str]:
    of = implied_name(call.arguments[0]) or ""
    return [
        f"percentile_{of}_{str(rank.value).replace('.', '_')}"
        for rank in call.arguments[1:]
        if isinstance(rank, ast.Literal)
    ]
