"""A query's tree in words that can be translated: statements, functions and tables; operators are in `operators`."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from ....tools.languages.kql import ast
from ....tools.languages.kql.functions import workspace_functions
from ....tools.languages.kql.rows import Row
from . import trees
from .expressions import EMPTY, REMOTE
from .faults import SyntaxFaultError, UnrunnableError, unresolved_table
from .flow import Flow
from .names import Closure, Constant, Scope, Table
from .operators import Operators
from .translation import Rewritten
from .workspace import Workspace

_MOST_CALLS = 200
"""Bodies of functions that one query may be inlined from: a function that calls itself is no KQL."""


class Rewriter(Operators):
    """Rewrites one query. Stages are run in the workspace on the way."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self._calls = 0

    def query(self, tree: ast.Query) -> Rewritten:
        """The query's last expression, with what it needs.

        Raises:
            SyntaxFaultError: a control command.
            SemanticFaultError: it names what does not exist here.
            UnrunnableError: it uses what cannot run here.
        """
        if tree.command is not None:
            raise SyntaxFaultError("control commands are not allowed in a query")
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                self.workspace.spelling.of(node.name)
        scope = Scope()
        result: ast.Node | None = None
        for statement in tree.statements:
            match statement:
                case ast.Let():
                    self._let(statement, scope, hoisting=True)
                case ast.ExpressionStatement(value=value):
                    if result is not None:
                        raise UnrunnableError("several queries in one text")
                    result = self._result(value, scope)
                case ast.SetStatement(name=name):
                    if name == "query_now":
                        raise UnrunnableError("a statement that sets query_now")
                case ast.Declare(parameters=parameters):
                    self._declare(parameters, scope)
                case ast.OtherStatement(keyword=keyword):
                    raise UnrunnableError(f"a statement {keyword}")
        if result is None:
            raise SyntaxFaultError("the query has no expression that yields rows")
        return self.rewritten(result)

    def _result(self, value: ast.Node, scope: Scope) -> ast.Node:
        if self.is_table(value, EMPTY, scope) or isinstance(value, ast.Name):
            return self.table(value, scope)[0]
        return ast.Print(0, 0, (trees.named("print_0", self.written(value, EMPTY, scope)),))

    def rewritten(self, node: ast.Node) -> Rewritten:
        """A table that is written, with what it reads."""
        needed = self._needed(node)
        lets = [ast.Let(0, 0, let.name, self._spelled(let.value)) for let in self.lets if let.name in needed]
        return Rewritten(self._spelled(node), lets)

    def _needed(self, node: ast.Node) -> set[str]:
        known = {let.name: let for let in self.lets}
        found: set[str] = set()
        waiting = [node]
        while waiting:
            for part in ast.walk(waiting.pop()):
                if isinstance(part, ast.Name) and part.name in known and part.name not in found:
                    found.add(part.name)
                    waiting.append(known[part.name].value)
        return found

    def _spelled(self, node: ast.Node) -> ast.Node:
        """The node with columns named as DuckDB can tell them apart."""
        of, kept = self.workspace.spelling.of, {let.name for let in self.lets} | set(self.workspace.tables)

        def spelled(part: ast.Node) -> ast.Node:
            match part:
                case ast.Name(name=name) if name not in kept and not name.startswith("$"):
                    return ast.Name(0, 0, of(name))
                case ast.Named(names=names):
                    return ast.Named(0, 0, tuple(of(name) for name in names), spelled(part.value))
                case ast.Member(base=ast.Name(name="$left" | "$right") as base, name=name):
                    return ast.Member(0, 0, base, of(name))
                case ast.ColumnDef(name=name, type=kind):
                    return ast.ColumnDef(0, 0, of(name), kind)
            return trees.mapped(part, spelled)

        return spelled(node)

    # Statements

    def _declare(self, parameters: tuple[ast.Parameter, ...], scope: Scope) -> None:
        for parameter in parameters:
            if parameter.default is None:
                raise UnrunnableError(f"the query parameter {parameter.name} without a value")
            scope.names[parameter.name] = Constant(self.written(parameter.default, EMPTY, scope), parameter.type)

    def _let(self, statement: ast.Let, scope: Scope, hoisting: bool) -> None:
        value, name = statement.value, statement.name
        if isinstance(value, ast.Function):
            scope.names[name] = Closure(value, scope)
        elif self.is_table(value, EMPTY, scope):
            node, row = self.table(value, scope)
            scope.names[name] = self.hoisted(name, node, row)
        else:
            resolved = self.resolved(value, EMPTY, scope)
            kind = self.shapes.kind(resolved, EMPTY)
            if hoisting and not isinstance(resolved, ast.Literal | ast.DynamicLiteral):
                resolved = self._constant(name, resolved, kind)
            scope.names[name] = Constant(resolved, kind)

    def _constant(self, name: str, resolved: ast.Node, kind: str) -> ast.Node:
        """A scalar under a name that no column has."""
        fresh = self.fresh(name)
        self.lets.append(ast.Let(0, 0, fresh, self.fitted(resolved, EMPTY)))
        self.shapes.declare(fresh, kind)
        return trees.name(fresh)

    # Functions

    def applied(self, closure: Closure, call: ast.Call, row: Row, scope: Scope) -> tuple[ast.Node, Scope]:
        """The body of a function that is called, and the scope in which to read it."""
        self._calls += 1
        if self._calls > _MOST_CALLS:
            raise UnrunnableError(f"the function {call.name}, which calls itself")
        inner = Scope(closure.scope)
        for parameter, argument in self._bound(closure, call):
            if argument is None:
                default = parameter.default
                if default is None:
                    raise UnrunnableError(f"{call.name}() without {parameter.name}")
                inner.names[parameter.name] = Constant(self.resolved(default, EMPTY, closure.scope), parameter.type)
            elif parameter.columns is not None:
                node, columns = self.table(argument, scope)
                inner.names[parameter.name] = self.hoisted(parameter.name, node, columns)
            else:
                inner.names[parameter.name] = Constant(self.resolved(argument, row, scope), parameter.type)
        result: ast.Node | None = None
        for statement in closure.declaration.body:
            match statement:
                case ast.Let():
                    self._let(statement, inner, hoisting=False)
                case ast.ExpressionStatement(value=value):
                    result = value
        if result is None:
            raise UnrunnableError(f"the function {call.name}, whose body yields nothing")
        return result, inner

    def _bound(self, closure: Closure, call: ast.Call) -> Iterator[tuple[ast.Parameter, ast.Node | None]]:
        given: dict[str, ast.Node] = {}
        names = [parameter.name for parameter in closure.declaration.parameters]
        for index, argument in enumerate(call.arguments):
            if isinstance(argument, ast.Named):
                given[argument.names[0]] = argument.value
            elif index < len(names):
                given[names[index]] = argument
        for parameter in closure.declaration.parameters:
            yield parameter, given.get(parameter.name)

    # Tables

    def table(self, node: ast.Node, scope: Scope) -> tuple[ast.Node, Row]:
        """A tabular expression as it runs, and its row."""
        match node:
            case ast.Pipeline(source=source, operators=operators):
                flow = self.flow(source, scope)
                for operator in operators:
                    self.step(flow, operator, scope)
                return flow.node, flow.row
            case ast.Name(name=name):
                return self._named_table(name, scope)
            case ast.Call():
                return self._called_table(node, scope)
            case ast.DataTable(columns=columns, values=values):
                written = tuple(self.written(value, EMPTY, scope) for value in values)
                return ast.DataTable(0, 0, columns, written), Row({c.name: c.type for c in columns})
            case ast.ExternalData():
                raise UnrunnableError("externaldata: the lab reads nothing from the network")
            case ast.Operator():
                flow = self.head(node, scope)
                return flow.node, flow.row
            case ast.Member() | ast.MemberCall():
                raise UnrunnableError(f"{_place(node)}()")
            case _:
                raise UnrunnableError(f"a source such as {type(node).__name__}")

    def flow(self, node: ast.Node, scope: Scope) -> Flow:
        """The start of a pipeline."""
        if isinstance(node, ast.Operator):
            return self.head(node, scope)
        source, row = self.table(node, scope)
        if isinstance(source, ast.Pipeline):
            return Flow(source.source, row, list(source.operators))
        return Flow(source, row)

    def _named_table(self, name: str, scope: Scope) -> tuple[ast.Node, Row]:
        match scope.find(name):
            case Table(name=known, row=row):
                return trees.name(known), row
            case Closure() as closure:
                value, inner = self.applied(closure, ast.Call(0, 0, name, ()), EMPTY, scope)
                return self.table(value, inner)
            case Constant(node=node, kind=kind):
                return ast.Print(0, 0, (trees.named("print_0", self.fitted(node, EMPTY)),)), Row({"print_0": kind})
        if name in workspace_functions() and name not in self.workspace.tables:
            raise UnrunnableError(f"{name}(): it answers from Microsoft's own data")
        return trees.name(name), self.workspace.open(name)

    def _called_table(self, call: ast.Call, scope: Scope) -> tuple[ast.Node, Row]:
        meaning = scope.find(call.name)
        if isinstance(meaning, Closure):
            value, inner = self.applied(meaning, call, EMPTY, scope)
            return self.table(value, inner)
        match call.name:
            case "materialize" if call.arguments:
                return self.table(call.arguments[0], scope)
            case "table" if call.arguments:
                name = self.written(call.arguments[0], EMPTY, scope)
                if not isinstance(name, ast.Literal):
                    raise UnrunnableError("table() of a name that is computed")
                return self._named_table(str(name.value), scope)
            case _ if call.name in REMOTE:
                raise UnrunnableError(f"{call.name}()")
            case _ if call.name in workspace_functions():
                raise UnrunnableError(f"{call.name}(): it answers from Microsoft's own data")
        raise unresolved_table(call.name)

    def tables_like(self, pattern: str) -> Iterator[tuple[str, ast.Node, Row]]:
        """The tables whose names fit a pattern; what `let` declares is none of them."""
        names = [name for name in self.workspace.tables if fnmatchcase(name, pattern)]
        if not names:
            raise unresolved_table(pattern)
        for name in names:
            yield name, trees.name(name), self.workspace.open(name)


def _place(node: ast.Node) -> str:
    while isinstance(node, ast.MemberCall | ast.Member):
        node = node.base
    return node.name if isinstance(node, ast.Call | ast.Name) else "database"
