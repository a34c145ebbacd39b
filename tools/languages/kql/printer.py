"""A tree back to text. `parse(to_text(tree))` is the tree again, places aside."""

from collections.abc import Mapping

from ....knowledge.errors import NotSupportedError
from . import ast, literals

_LEVELS: Mapping[str, int] = {
    "or": 1,
    "and": 2,
    **dict.fromkeys(("==", "!=", "<>", "=~", "!~"), 3),
    **dict.fromkeys(("<", ">", "<=", ">="), 4),
    **dict.fromkeys(("+", "-"), 5),
    **dict.fromkeys(("*", "/", "%"), 6),
}
_TEXT_LEVEL = 7
_ATOM = 9


def to_text(node: ast.Node) -> str:
    """Write a query, a statement, a pipeline or an expression.

    Raises:
        NotSupportedError: a rare operator that has no writer yet; names it.
    """
    match node:
        case ast.Query(statements=statements):
            return ";\n".join(to_text(statement) for statement in statements)
        case ast.Let(name=name, value=value):
            return f"let {literals.name(name)} = {to_text(value)}"
        case ast.Function(parameters=parameters, body=body):
            inner = "; ".join(to_text(statement) for statement in body)
            return f"({', '.join(_parameter(item) for item in parameters)}) {{ {inner} }}"
        case ast.ExpressionStatement(value=value):
            return to_text(value)
        case ast.Pipeline(source=source, operators=operators):
            return "\n| ".join([to_text(source), *(_operator(operator) for operator in operators)])
        case ast.Operator():
            return _operator(node)
        case _:
            return _expression(node)


def _operator(node: ast.Operator) -> str:
    match node:
        case ast.Where(predicate=predicate):
            return f"where {_expression(predicate)}"
        case ast.Project(kind=kind, items=items):
            return f"{kind} {_list(items)}"
        case ast.Extend(word=word, items=items):
            return f"{word} {_list(items)}".rstrip()
        case ast.Distinct(items=items):
            return f"distinct {_list(items)}"
        case ast.Summarize(aggregates=aggregates, by=by):
            return " ".join(
                ["summarize", *([_list(aggregates)] if aggregates else []), *([f"by {_list(by)}"] if by else [])]
            )
        case ast.Sort(by=by):
            return f"order by {_list(by)}"
        case ast.Top(count=count, by=by):
            return f"top {_expression(count)} by {_list(by)}"
        case ast.Take(count=count, word=word):
            return f"{word} {_expression(count)}"
        case ast.Count(name=name):
            return f"count as {literals.name(name)}" if name else "count"
        case ast.Join(operator=word, kind=kind, right=right, on=on):
            parts = [
                word,
                *([f"kind={kind}"] if kind else []),
                f"({to_text(right)})",
                *([f"on {_list(on)}"] if on else []),
            ]
            return " ".join(parts)
        case ast.Union(kind=kind, with_source=source, tables=tables):
            head = ["union", *([f"kind={kind}"] if kind != "outer" else [])]
            head += ["isfuzzy=true"] if node.fuzzy else []
            head += [f"withsource={literals.name(source)}"] if source else []
            return " ".join([*head, ", ".join(_wrapped(table) for table in tables)])
        case ast.MvExpand():
            return _mv_expand(node)
        case ast.Parse(word=word, parameters=parameters, source=source, pattern=pattern):
            options = "".join(f"{name}={value} " for name, value in parameters)
            return f"{word} {options}{_expression(source)} with {' '.join(_piece(piece) for piece in pattern)}"
        case ast.Evaluate(call=call, columns=columns):
            schema = f" : ({', '.join(_column(column) for column in columns)})" if columns is not None else ""
            return f"evaluate {_expression(call)}{schema}"
        case ast.Invoke(call=call):
            return f"invoke {_expression(call)}"
        case ast.As(name=name):
            return f"as {literals.name(name)}"
        case ast.Range(name=name, low=low, high=high, step=step):
            return (
                f"range {literals.name(name)} from {_expression(low)} to {_expression(high)} step {_expression(step)}"
            )
        case ast.Print(items=items):
            return f"print {_list(items)}"
        case ast.GetSchema():
            return "getschema"
        case ast.Render(chart=chart, properties=properties):
            return f"render {chart}{_properties(properties)}"
        case ast.MakeSeries():
            return _make_series(node)
        case ast.ParseKv(source=source, columns=columns, properties=properties):
            schema = ", ".join(_column(column) for column in columns)
            return f"parse-kv {_expression(source)} as ({schema}){_properties(properties)}"
        case ast.TopNested(parts=parts):
            return ", ".join(_top_nested(part) for part in parts)
        case ast.TopHitters(count=count, of=of, by=by):
            weight = f" by {_expression(by)}" if by is not None else ""
            return f"top-hitters {_expression(count)} of {_expression(of)}{weight}"
        case ast.SampleDistinct(count=count, of=of):
            return f"sample-distinct {_expression(count)} of {_expression(of)}"
        case ast.Search(tables=tables, predicate=predicate, case_sensitive=exact):
            kind = "kind=case_sensitive " if exact else ""
            return f"search {kind}{_in_tables(tables)}{_expression(predicate)}"
        case ast.Find(tables=tables, predicate=predicate, columns=columns, with_source=source):
            name = f"withsource={literals.name(source)} " if source != "source_" else ""
            shown = f" project {_list(columns)}" if columns else ""
            return f"find {name}{_in_tables(tables)}where {_expression(predicate)}{shown}"
        case ast.Partition(by=key, body=body, source=None):
            return f"partition by {_expression(key)} ({' | '.join(_operator(operator) for operator in body)})"
        case ast.Consume():
            return "consume"
        case _:
            raise NotSupportedError(f"writing the KQL operator {type(node).__name__}")


def _properties(properties: tuple[tuple[str, ast.Node], ...]) -> str:
    """`with (name=value)`; several values under one name are columns, which stand behind the first."""
    if not properties:
        return ""
    return f" with ({', '.join(f'{name}={_expression(value)}' for name, value in properties)})"


def _in_tables(tables: tuple[ast.Node, ...]) -> str:
    return f"in ({', '.join(_wrapped(table) for table in tables)}) " if tables else ""


def _make_series(node: ast.MakeSeries) -> str:
    defaults = node.defaults or (None,) * len(node.aggregates)
    series = ", ".join(
        _expression(value) + (f" default={_expression(default)}" if default is not None else "")
        for value, default in zip(node.aggregates, defaults, strict=True)
    )
    bounds = " ".join(f"{word} {_expression(bound)}" for word, bound in zip(node.words, node.bounds, strict=True))
    by = f" by {_list(node.by)}" if node.by else ""
    kind = f"kind={node.kind} " if node.kind else ""
    return f"make-series {kind}{series} on {_expression(node.axis)} {bounds}{by}"


def _top_nested(part: ast.TopNestedPart) -> str:
    count = f"{_expression(part.count)} " if part.count is not None else ""
    others = f" with others = {_expression(part.others)}" if part.others is not None else ""
    return f"top-nested {count}of {_expression(part.key)}{others} by {_expression(part.aggregate)}"


def _mv_expand(node: ast.MvExpand) -> str:
    index = f"kind={node.bags} " if node.bags != "bag" else ""
    index += f"with_itemindex={node.item_index} " if node.item_index else ""
    items = ", ".join(
        _expression(item.value) + (f" to typeof({item.type})" if item.type else "") for item in node.items
    )
    limit = f" limit {_expression(node.limit)}" if node.limit is not None else ""
    if node.subquery is None:
        return f"mv-expand {index}{items}{limit}"
    body = " | ".join(_operator(operator) for operator in node.subquery)
    return f"mv-apply {index}{items}{limit} on ({body})"


def _piece(piece: ast.Literal | ast.Star | ast.ColumnDef) -> str:
    if isinstance(piece, ast.ColumnDef):
        return literals.name(piece.name) + ("" if piece.type == "string" else f":{piece.type}")
    return _expression(piece)


def _column(column: ast.ColumnDef) -> str:
    return "*" if column.name == "*" else f"{literals.name(column.name)}:{column.type}"


def _parameter(parameter: ast.Parameter) -> str:
    if parameter.columns is not None:
        return f"{literals.name(parameter.name)}:({', '.join(_column(column) for column in parameter.columns)})"
    default = f"={_expression(parameter.default)}" if parameter.default is not None else ""
    return f"{literals.name(parameter.name)}:{parameter.type}{default}"


def _list(items: tuple[ast.Node, ...]) -> str:
    return ", ".join(_expression(item) for item in items)


def _expression(node: ast.Node, floor: int = 0) -> str:
    text, level = _leveled(node)
    return f"({text})" if level < floor else text


def _wrapped(node: ast.Node) -> str:
    return f"({to_text(node)})" if isinstance(node, ast.Pipeline | ast.Operator) else _expression(node)


def _leveled(node: ast.Node) -> tuple[str, int]:
    """The text of an expression and how tightly it binds."""
    match node:
        case ast.Logical(op=op, parts=parts):
            level = _LEVELS[op]
            return f" {op} ".join(_expression(part, level + 1) for part in parts), level
        case ast.Binary(op=op, left=left, right=right):
            level = _LEVELS.get(op, _TEXT_LEVEL)
            chain = level in (5, 6)
            return f"{_expression(left, level if chain else level + 1)} {op} {_expression(right, level + 1)}", level
        case ast.InList(op=op, left=left, items=items):
            return f"{_expression(left, 4)} {op} ({', '.join(_value(item) for item in items)})", 3
        case ast.Between(op=op, left=left, low=low, high=high):
            return f"{_expression(left, 4)} {op} ({_expression(low, 5)} .. {_expression(high, 5)})", 3
        case ast.Unary(op=op, operand=operand):
            return f"{op}{_expression(operand, _TEXT_LEVEL + 1)}", _TEXT_LEVEL + 1
        case _:
            return _atom(node), _ATOM


def _value(node: ast.Node) -> str:
    return to_text(node) if isinstance(node, ast.Pipeline | ast.Operator) else _expression(node)


def _atom(node: ast.Node) -> str:
    match node:
        case ast.Literal():
            return _literal(node)
        case ast.DynamicLiteral(value=value):
            return f"dynamic({_json(value)})"
        case ast.Name(name=name):
            return name if name in ("$left", "$right") else literals.name(name)
        case ast.Star(pattern=pattern):
            return pattern
        case ast.Member(base=base, name=name):
            return f"{_expression(base, _ATOM)}.{_member(name)}"
        case ast.MemberCall(base=base, call=call):
            return f"{_expression(base, _ATOM)}.{_expression(call)}"
        case ast.Index(base=base, index=index):
            return f"{_expression(base, _ATOM)}[{_expression(index)}]"
        case ast.Named(names=names, value=value):
            left = literals.name(names[0]) if len(names) == 1 else f"({', '.join(map(literals.name, names))})"
            return f"{left} = {_value(value)}"
        case ast.Call(name=name, arguments=arguments):
            return f"{name}({', '.join(_value(argument) for argument in arguments)})"
        case ast.TypeOf(type=kind):
            return f"typeof({kind})"
        case ast.Ordered(value=value, descending=descending, nulls=nulls):
            order = "desc" if descending else "asc"
            return f"{_expression(value)} {order}" + (f" nulls {nulls}" if nulls else "")
        case ast.Pipeline() | ast.Operator():
            return f"({to_text(node)})"
        case ast.DataTable(columns=columns, values=values):
            return f"datatable({', '.join(_column(column) for column in columns)})[{_list(values)}]"
        case ast.ExternalData(columns=columns, locations=locations, properties=properties):
            schema = ", ".join(_column(column) for column in columns)
            return f"externaldata({schema})[{_list(locations)}]{_properties(properties)}"
        case _:
            raise NotSupportedError(f"writing the KQL construct {type(node).__name__}")


def _member(name: str) -> str:
    return name if name.isascii() and name.replace("_", "a").isalnum() else f"[{literals.string(name)}]"


def _literal(node: ast.Literal) -> str:
    match node.type, node.value:
        case "string", str(text):
            return literals.string(text)
        case "bool", bool(value):
            return literals.boolean(value)
        case (("long" | "int" | "real"), int(value) | float(value)):
            return literals.number(value)
        case "timespan", str(text) if text[:1].isdigit() and text[-1:].isalpha():
            return text
        case kind, value:
            return f"{kind}({value})"


def _json(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return literals.boolean(value)
        case str():
            return literals.string(value)
        case int() | float():
            return repr(value)
        case ast.Bag(pairs=pairs):
            return "{" + ", ".join(f"{literals.string(key)}: {_json(item)}" for key, item in pairs) + "}"
        case tuple():
            return "[" + ", ".join(_json(item) for item in value) + "]"
        case ast.Node():
            return _expression(value)
        case _:
            raise NotSupportedError(f"writing {type(value).__name__} in dynamic()")
