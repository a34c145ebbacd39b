"""What a query may not do, and whether it is bounded: judged on the tree, never on the text.

A string that holds `externaldata(...)` is a string. What the tree does not show to be harmless is refused: a plugin
that is not known, a statement that changes how the query runs, a step to another database.
"""

from collections.abc import Collection, Iterator, Mapping
from math import inf

from ..query import Diagnostic
from . import ast
from .functions import library

_ELSEWHERE = {
    "cluster": "reads another cluster",
    "database": "reads another database",
    "workspace": "reads another workspace",
    "app": "reads another application",
    "resource": "reads another resource",
    "adx": "reads an Azure Data Explorer cluster",
    "arg": "reads Azure Resource Graph",
    "external_table": "reads an external table",
    "inline_external_table": "reads an external table",
    "materialized_view": "reads a view whose definition is not known",
    "entity_group": "reads a group of other databases",
    "graph": "reads a stored graph",
    "stored_query_result": "reads a stored result",
}
_OF_INTEREST = frozenset(
    {ast.Call, ast.Evaluate, ast.ExpressionStatement, ast.ExternalData, ast.Find, ast.InList, ast.Invoke, ast.Join}
    | {ast.Let, ast.OtherStatement, ast.Partition, ast.Pipeline, ast.Search, ast.SetStatement, ast.Union}
)
"""The nodes that the rules below look at; most of a tree is names and texts."""
_FROM_TABLES = frozenset({"table", "materialize", "toscalar", "totable"})
TIME_COLUMNS = frozenset({"Timestamp", "TimeGenerated", "ingestion_time"})
"""What bounds a query in time when it is compared from below."""
_LIMITS = (ast.Take, ast.Top, ast.SampleDistinct, ast.TopHitters, ast.TopNested)


def writes(
    query: ast.Query, functions: Mapping[str, ast.Function], allowed_locations: Collection[str] = ()
) -> Iterator[Diagnostic]:
    """What makes a query more than a read of its own tables. Empty: read-only.

    Args:
        query: The tree.
        functions: Functions that it may call besides its own; those it names are judged with it.
        allowed_locations: Addresses that `externaldata` may read, as an administrator lists them.
    """
    if query.command is not None:
        yield _refused(f".{query.command.lstrip('.')} is a control command, not a query", query)
        return
    waiting: list[ast.Node] = [query]
    seen: set[str] = set()
    while waiting:
        nodes = list(ast.walk(waiting.pop()))
        declared = _Declared(nodes)
        for node in nodes:
            if type(node) in _OF_INTEREST:
                yield from _judged(node, allowed_locations)
                for call in _called_for_rows(node):
                    named = call.name in functions or call.name in _FROM_TABLES or call.name in _ELSEWHERE
                    if not (named or call.name in library().scalar or declared.before(call)):
                        yield _refused(f"{call.name}() is a function whose body is not known", call)
            if isinstance(node, ast.Call | ast.Name) and node.name in functions and node.name not in seen:
                seen.add(node.name)
                waiting.append(functions[node.name])


class _Declared:
    """The functions that a text declares itself, each from its let statement to the end of the body around it."""

    def __init__(self, nodes: list[ast.Node]) -> None:
        bodies = [node for node in nodes if type(node) is ast.Function]
        self._reach: dict[str, list[tuple[int, float]]] = {}
        for let in nodes:
            if type(let) is ast.Let:
                around = [body.end for body in bodies if body.start < let.start and let.end < body.end]
                self._reach.setdefault(let.name, []).append((let.end, min(around, default=inf)))

    def before(self, call: ast.Call) -> bool:
        """Whether a call is one of a function that was declared before it, where it can be seen."""
        return any(start <= call.start and call.end <= end for start, end in self._reach.get(call.name, ()))


def _called_for_rows(node: ast.Node) -> Iterator[ast.Call]:
    """The calls directly below a node whose rows it takes."""
    match node:
        case (
            ast.Pipeline(source=value)
            | ast.Join(right=value)
            | ast.Let(value=value)
            | ast.ExpressionStatement(value=value)
        ):
            below: tuple[ast.Node, ...] = (value,)
        case ast.Union(tables=tables) | ast.Search(tables=tables) | ast.Find(tables=tables):
            below = tables
        case ast.InList(items=items):
            below = items
        case ast.Partition(source=ast.Call() as value):
            below = (value,)
        case ast.Call(name=name, arguments=arguments) if name in _FROM_TABLES:
            below = arguments
        case ast.Invoke(call=call):
            below = (call,)
        case _:
            below = ()
    yield from (item for item in below if isinstance(item, ast.Call))


def _judged(node: ast.Node, allowed_locations: Collection[str]) -> Iterator[Diagnostic]:
    match node:
        case ast.ExternalData(locations=locations):
            addresses = [item.value if isinstance(item, ast.Literal) else None for item in locations]
            if not addresses or any(address not in allowed_locations for address in addresses):
                yield _refused("externaldata reads from outside", node)
        case ast.Evaluate(call=call):
            if library().plugin.get(call.name, "deny") == "deny":
                yield _refused(f"the plugin {call.name} is not known to be harmless", call)
        case ast.Call(name=name) if name in _ELSEWHERE:
            yield _refused(f"{name}() {_ELSEWHERE[name]}", node)
        case ast.Call(name=name) if name.startswith("__"):
            yield _refused(f"{name}() is not for queries", node)
        case ast.SetStatement(name=name):
            yield _refused(f"set {name} changes how the query runs", node)
        case ast.OtherStatement(keyword=keyword):
            yield _refused(f"{keyword} is not a statement of a plain query", node)


def _refused(message: str, node: ast.Node) -> Diagnostic:
    return Diagnostic("not_read_only", "warning", message, node.start, node.end)


def unbounded(query: ast.Query, tables: Collection[str]) -> Diagnostic | None:
    """The first table that is read without a bound on time or rows; None when there is none.

    A table is bounded by `where Timestamp > ...` (or `TimeGenerated`) behind it, or by a limit on the rows. A let
    statement carries its own bound to where it is used.
    """
    return _Bounds(frozenset(tables)).first(query)


class _Bounds:
    """Follows the tables that are still read whole."""

    def __init__(self, tables: frozenset[str]) -> None:
        self._tables = tables
        self._names: dict[str, Diagnostic | None] = {}
        self._everything: Diagnostic | None = None
        """Where every table is read: no bound behind it makes that cheap."""

    def first(self, query: ast.Query) -> Diagnostic | None:
        found = self._statements(query.statements)
        return self._everything or found

    def _statements(self, statements: tuple[ast.Statement, ...]) -> Diagnostic | None:
        found: Diagnostic | None = None
        for statement in statements:
            match statement:
                case ast.Let(name=name, value=ast.Function(body=body, parameters=parameters)):
                    for parameter in parameters:
                        self._names[parameter.name] = None
                    self._names[name] = self._statements(body)
                case ast.Let(name=name, value=value):
                    self._names[name] = self._open(value)
                case ast.ExpressionStatement(value=value):
                    found = found or self._open(value)
        return found

    def _open(self, node: ast.Node) -> Diagnostic | None:
        """The first table below a node that nothing bounds."""
        match node:
            case ast.Name(name=name):
                if name in self._names:
                    return self._names[name]
                return (
                    self._whole(f"{name} is read without a bound on its time", node) if name in self._tables else None
                )
            case ast.Star(pattern="*"):
                return self._all_tables("every table is read", node)
            case ast.Star(pattern=pattern):
                return self._whole(f"tables named {pattern} are read without a bound on their time", node)
            case ast.Pipeline(source=source, operators=operators):
                return self._through(self._open(source), operators)
            case ast.Union(tables=tables):
                return self._any(tables)
            case ast.Search(tables=tables) | ast.Find(tables=tables):
                head = self._any(tables) if tables else self._all_tables("every table is searched", node)
                return None if head is None or from_below(node.predicate) else head
            case ast.Call(name="toscalar" | "materialize" | "table", arguments=arguments):
                return self._any(arguments)
            case ast.Call(name=name, arguments=arguments):
                return self._names.get(name) or self._any(
                    tuple(item for item in arguments if isinstance(item, ast.Pipeline | ast.Name))
                )
            case _:
                return None

    def _through(self, head: Diagnostic | None, operators: tuple[ast.Operator, ...]) -> Diagnostic | None:
        """What is left open behind the operators. A bound closes what flows in, never what a join brought in."""
        joined: Diagnostic | None = None
        for operator in operators:
            match operator:
                case ast.Where(predicate=predicate) if from_below(predicate):
                    head = None
                case ast.Join(right=right):
                    joined = joined or self._open(right)
                case ast.Union(tables=tables):
                    head = head or self._any(tables)
                case _ if isinstance(operator, _LIMITS):
                    head = joined = None
                case _:
                    pass
            if not isinstance(operator, ast.Join | ast.Union):
                joined = joined or self._inside(operator)
        return head or joined

    def _inside(self, operator: ast.Operator) -> Diagnostic | None:
        """Tables that are read inside the operator's expressions, as in `in (Table | ...)`."""
        waiting = list(ast.children(operator))
        while waiting:
            node = waiting.pop(0)
            match node:
                case ast.Pipeline():
                    found = self._open(node)
                case ast.InList(items=items):
                    found = self._any(items)
                    waiting.append(node.left)
                case ast.Call(name="toscalar", arguments=arguments):
                    found = self._any(arguments)
                case _:
                    found = None
                    waiting.extend(ast.children(node))
            if found is not None:
                return found
        return None

    def _any(self, nodes: tuple[ast.Node, ...]) -> Diagnostic | None:
        return next((found for node in nodes if (found := self._open(node)) is not None), None)

    def _all_tables(self, message: str, node: ast.Node) -> Diagnostic:
        found = Diagnostic("unbounded", "warning", message, node.start, node.end, "name the tables")
        self._everything = self._everything or found
        return found

    def _whole(self, message: str, node: ast.Node) -> Diagnostic:
        return Diagnostic(
            "unbounded", "warning", message, node.start, node.end, "add a bound such as `where Timestamp > ago(1d)`"
        )


def from_below(predicate: ast.Node) -> bool:
    """Whether a predicate holds for no row before some moment."""
    match predicate:
        case ast.Logical(op="and", parts=parts):
            return any(from_below(part) for part in parts)
        case ast.Logical(parts=parts):
            return all(from_below(part) for part in parts)
        case ast.Binary(op=">" | ">=" | "==", left=left) if _is_time(left):
            return True
        case ast.Binary(op="<" | "<=" | "==", right=right) if _is_time(right):
            return True
        case ast.Between(op="between", left=left):
            return _is_time(left)
        case _:
            return False


def _is_time(node: ast.Node) -> bool:
    match node:
        case ast.Name(name=name):
            return name in TIME_COLUMNS
        case ast.Call(name=name, arguments=arguments):
            return name in TIME_COLUMNS or (len(arguments) > 0 and _is_time(arguments[0]))
        case ast.Member(base=ast.Name(name="$left" | "$right"), name=name):
            return name in TIME_COLUMNS
        case _:
            return False
