"""Columns through a query: statements, functions, and which rule binds which node."""

from collections.abc import Callable, Mapping

from ..query import Diagnostic
from . import ast
from .binding_nested import NestedBinder
from .binding_tables import columns_of
from .rows import UNKNOWN, Row, array_of, bag_of, inside
from .scalars import Scope, UserFunction, Value
from .schema import Schema

_CALL_DEPTH = 12
_MOST_CALLS = 400
"""Bodies of functions that one check follows; beyond it their values are taken as they come."""
REMOTE = frozenset(
    {"cluster", "database", "workspace", "app", "resource", "adx", "arg", "external_table", "materialized_view"}
)
"""Functions that lead to tables elsewhere, of which no schema is known."""


class Binder(NestedBinder):
    """Binds one query. The findings are in `diagnostics`, the tables and columns that were used beside them."""

    def __init__(self, schema: Schema, functions: Mapping[str, ast.Function]) -> None:
        super().__init__(schema)
        self._calls = self._applied = 0
        self.result: Value = UNKNOWN
        """What the last expression of the query yields."""
        outer = self._scope
        for name, declaration in functions.items():
            outer.names[name] = UserFunction(declaration, outer)

    def bind(self, query: ast.Query) -> tuple[Diagnostic, ...]:
        """Check a whole query."""
        self._scope = Scope(self._scope)
        self.result = self._statements(query.statements)
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
            self._report("bad_value", f"{statement.name} is declared twice", statement, "give one another name")
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
        over, self._over = self._over, None
        self._calls += 1
        for declared in function.declaration.parameters:
            self._scope.names[declared.name] = (arguments or {}).get(declared.name, _declared(declared))
        self._quiet += arguments is not None
        value = self._statements(function.declaration.body)
        self._quiet -= arguments is not None
        self._calls -= 1
        self._scope, self._over = outer, over
        return value

    def _call_user(self, function: UserFunction, call: ast.Call, row: Row | None, piped: Row | None = None) -> Value:
        """Call a function; `piped` is the table that `invoke` passes as the first argument."""
        parameters = list(function.declaration.parameters)
        arguments: dict[str, Value] = {}
        if piped is not None and parameters:
            first = parameters.pop(0)
            arguments[first.name] = self._passed(first, piped, call)
        for index, argument in enumerate(call.arguments):
            node = argument.value if isinstance(argument, ast.Named) else argument
            parameter = self._parameter(call, argument, index, parameters)
            if parameter is not None and parameter.columns is not None:
                arguments[parameter.name] = self._passed(parameter, self._table(node, row), node)
                continue
            value: Value = self._scalar(node, row)
            if parameter is not None:
                arguments[parameter.name] = parameter.type if value != UNKNOWN else value
        missing = [p.name for p in parameters if p.name not in arguments and p.default is None]
        if missing:
            self._report("bad_value", f"{call.name} needs {', '.join(missing)}", call)
        elif len(call.arguments) > len(parameters):
            some = ", ".join(parameter.name for parameter in parameters) or "no arguments"
            self._report("bad_value", f"{call.name} takes {some}, here are {len(call.arguments)}", call)
        return self._apply(function, arguments)

    def _named_function(self, function: UserFunction, node: ast.Name) -> Value:
        """A function without brackets, which needs no arguments."""
        if any(parameter.default is None for parameter in function.declaration.parameters):
            self._report("bad_value", f"{node.name} needs its arguments", node, f"write {node.name}(...)")
        return self._apply(function, {})

    def _parameter(
        self, call: ast.Call, argument: ast.Node, index: int, parameters: list[ast.Parameter]
    ) -> ast.Parameter | None:
        """The parameter that an argument is for, by its name or by its place."""
        if not isinstance(argument, ast.Named):
            return parameters[index] if index < len(parameters) else None
        name = argument.names[0]
        found = next((parameter for parameter in parameters if parameter.name == name), None)
        if found is None:
            hint = self._meant(name, [parameter.name for parameter in parameters])
            self._report("bad_value", f"{call.name} has no parameter {name}", argument, hint)
        return found

    def _passed(self, parameter: ast.Parameter, table: Row, node: ast.Node) -> Row:
        """A table as the function's body sees it; it must have the columns that the parameter declares."""
        for column in parameter.columns or ():
            if column.name != "*" and column.name not in table.columns and not table.open:
                message = f"{parameter.name} needs the column {column.name}, which this table does not have"
                self._report("type_mismatch", message, node, self._meant(column.name, table.columns))
        return table

    # Values

    def _value(self, node: ast.Node, row: Row | None) -> Value:
        match node:
            case ast.Name():
                found = self._name(node, row)
                return self._named_function(found, node) if isinstance(found, UserFunction) else found
            case ast.Literal(type=kind):
                return kind
            case ast.DynamicLiteral(value=value):
                return _literal_kind(value)
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
            case ast.Index():
                return self._item(node, row)
            case ast.Unary():
                return self._sign(node, row)
            case ast.TypeOf():
                return "type"
            case ast.Star(pattern=pattern):
                return UNKNOWN if row is not None else self._tables_like(node, pattern)
            case ast.Named(value=value):
                return self._value(value, row)
            case ast.Pipeline():
                return self._pipeline(node, row)
            case ast.DataTable():
                return self._data_table(node, row)
            case ast.ExternalData(columns=columns):
                return Row(columns_of(columns))
            case ast.MemberCall():
                return Row(open=True)
            case ast.Operator():
                return self._operator(node, Row())
            case _:
                return UNKNOWN

    def _member(self, node: ast.Member, row: Row | None) -> Value:
        base = node.base
        if isinstance(base, ast.MemberCall) or (isinstance(base, ast.Call) and base.name in REMOTE):
            return Row(open=True)
        step = self._scope.find(base.name) if isinstance(base, ast.Name) and row is not None else None
        if isinstance(step, Row) and isinstance(base, ast.Name) and base.name not in (row.columns if row else ()):
            return self._column(ast.Name(node.start, node.end, node.name), step)  # a step of scan and its column
        return self._part(node, row)

    def _call(self, call: ast.Call, row: Row | None) -> Value:
        if call.name in self._library.aggregate and self._over is not None:
            return self._call_aggregate(call)
        declared = self._scope.find(call.name)
        if isinstance(declared, UserFunction):
            return self._call_user(declared, call, row)
        match call.name:
            case "materialize" if call.arguments:
                return self._table(call.arguments[0], row)
            case "toscalar" if call.arguments:
                value = self._value(call.arguments[0], row)
                return next(iter(value.columns.values()), UNKNOWN) if isinstance(value, Row) else value
            case "table":
                return self._table_named(call)
            case "column_ifexists" | "columnifexists" if len(call.arguments) == 2:
                self._signature_call(call, self._library.scalar[call.name], row)
                return self._column_if_exists(call, row)
            case _ if call.name in REMOTE:
                return Row(open=True)
        signature = self._library.scalar.get(call.name)
        if signature is not None:
            return self._signature_call(call, signature, row)
        self._unknown_function(call)
        for argument in call.arguments:
            self._value(argument, row)
        return UNKNOWN

    def _table_named(self, call: ast.Call) -> Row:
        for argument in call.arguments[:1]:
            if isinstance(argument, ast.Literal):
                return self._table(ast.Name(argument.start, argument.end, str(argument.value)))
        return Row(open=True)

    def _column_if_exists(self, call: ast.Call, row: Row | None) -> str:
        name, default = call.arguments
        if isinstance(name, ast.Literal) and row is not None and name.value in row.columns:
            return row.columns[str(name.value)]
        return self._silently(default, row)

    def _invoke(self, node: ast.Invoke, row: Row) -> Row:
        function = self._scope.find(node.call.name)
        if not isinstance(function, UserFunction):
            self._unknown_function(node.call)
            return Row(open=True)
        value = self._call_user(function, node.call, Row(), piped=row)
        return value if isinstance(value, Row) else Row(open=True)

    def _operator(self, node: ast.Operator, row: Row) -> Row:
        return self._binders[type(node)](self, node, row)

    _binders: Mapping[type[ast.Node], Callable[..., Row]] = {
        ast.Where: NestedBinder._where,
        ast.Project: NestedBinder._project,
        ast.Extend: NestedBinder._extend,
        ast.Distinct: NestedBinder._distinct,
        ast.Summarize: NestedBinder._summarize,
        ast.Sort: NestedBinder._sort,
        ast.Top: NestedBinder._sort,
        ast.Take: NestedBinder._take,
        ast.Count: NestedBinder._count,
        ast.TopNested: NestedBinder._top_nested,
        ast.TopHitters: NestedBinder._top_hitters,
        ast.SampleDistinct: NestedBinder._sample_distinct,
        ast.Join: NestedBinder._join,
        ast.Union: NestedBinder._union,
        ast.Partition: NestedBinder._partition,
        ast.Fork: NestedBinder._fork,
        ast.MvExpand: NestedBinder._mv_expand,
        ast.MakeSeries: NestedBinder._make_series,
        ast.Parse: NestedBinder._parse,
        ast.ParseKv: NestedBinder._parse_kv,
        ast.Evaluate: NestedBinder._evaluate,
        ast.Invoke: _invoke,
        ast.Render: NestedBinder._render,
        ast.Consume: NestedBinder._unchanged,
        ast.GetSchema: NestedBinder._get_schema,
        ast.As: NestedBinder._as,
        ast.Search: NestedBinder._search,
        ast.Find: NestedBinder._find,
        ast.Range: NestedBinder._range,
        ast.Print: NestedBinder._print,
        ast.Reduce: NestedBinder._reduce,
        ast.Scan: NestedBinder._scan,
    }


def _declared(parameter: ast.Parameter) -> Value:
    if parameter.columns is None:
        return parameter.type
    return Row(columns_of(parameter.columns))


def _literal_kind(value: object) -> str:
    """The type of what `dynamic(...)` holds."""
    match value:
        case tuple():
            kinds = {_literal_kind(item) for item in value}
            return array_of(kinds.pop() if len(kinds) == 1 else UNKNOWN)
        case ast.Bag(pairs=pairs):
            return bag_of({name: _literal_kind(item) for name, item in pairs})
        case None:
            return "dynamic"
        case ast.Node():
            return inside(getattr(value, "type", UNKNOWN))
        case _:
            return "primitive"
