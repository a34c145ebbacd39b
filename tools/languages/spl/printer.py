"""SPL objects to text, canonically."""

from .ast import (
    Aggregate,
    Always,
    And,
    Bin,
    Binary,
    Call,
    Compare,
    Constant,
    Dedup,
    Eval,
    Expression,
    Fields,
    FillNull,
    Head,
    In,
    Joined,
    Name,
    Node,
    Not,
    Or,
    Pipeline,
    Regex,
    Rename,
    Reverse,
    Rex,
    Search,
    Sort,
    SortKey,
    Stage,
    Stats,
    Table,
    Tail,
    Term,
    Top,
    Unary,
    Where,
)
from .expressions import COMPARISONS
from .literals import encoded, field_name, name, word


def to_text(query: Pipeline) -> str:
    """Print a query canonically: alternatives and what is negated always in brackets, AND left out in `search`.

    The text does not begin with `search`; Splunk's API wants it there, its search bar does not.
    """
    first, *rest = query.stages
    head = _stage(first)
    return " | ".join([head.removeprefix("search "), *map(_stage, rest)])


def _stage(stage: Stage) -> str:
    match stage:
        case Search(condition=condition, earliest=earliest, latest=latest):
            times = [f"earliest={word(earliest)}"] if earliest is not None else []
            times += [f"latest={word(latest)}"] if latest is not None else []
            parts = [_node(condition)] if condition is not None else []
            return " ".join(["search", *times, *parts])
        case Where(expression=expression):
            return f"where {_expression(expression)}"
        case Eval(assignments=assignments):
            return "eval " + ", ".join(f"{name(field)}={_expression(value)}" for field, value in assignments)
        case Regex(field=field, pattern=pattern, negated=negated):
            return f"regex {field_name(field)}{'!=' if negated else '='}{encoded(pattern)}"
        case Rex(field=field, pattern=pattern):
            return f"rex field={field_name(field)} {encoded(pattern)}"
        case Stats(functions=functions, by=by, beside=beside):
            return f"{'eventstats' if beside else 'stats'} {' '.join(map(_aggregate, functions))}{_by(by)}"
        case Top(fields=fields, by=by, limit=limit, rare=rare):
            return f"{'rare' if rare else 'top'} limit={limit} {_names(fields)}{_by(by)}"
        case Bin(field=field, span=span, name=label):
            return f"bin {field_name(field)} span={span}" + (f" AS {field_name(label)}" if label != field else "")
        case Table(fields=fields):
            return f"table {_names(fields)}"
        case Fields(fields=fields, drop=drop):
            return f"fields {'- ' if drop else ''}{_names(fields)}"
        case Sort(keys=keys, limit=limit):
            return f"sort {limit} {', '.join(map(_key, keys))}"
        case Head(limit=limit):
            return f"head {limit}"
        case Tail(limit=limit):
            return f"tail {limit}"
        case Reverse():
            return "reverse"
        case Dedup(fields=fields, limit=limit, keep_empty=keep):
            return f"dedup {f'{limit} ' if limit != 1 else ''}{_names(fields)}{' keepempty=true' if keep else ''}"
        case Rename(pairs=pairs):
            return "rename " + ", ".join(f"{field_name(old)} AS {field_name(new)}" for old, new in pairs)
        case FillNull(value=value, fields=fields):
            return f"fillnull value={encoded(value)}{' ' + _names(fields) if fields else ''}"


def _names(fields: tuple[str, ...]) -> str:
    return ", ".join(field if field == "*" else field_name(field) for field in fields)


def _by(fields: tuple[str, ...]) -> str:
    return f" BY {_names(fields)}" if fields else ""


def _key(key: SortKey) -> str:
    field = field_name(key.field) if key.kind == "auto" else f"{key.kind}({field_name(key.field)})"
    return f"{'-' if key.descending else ''}{field}"


def _aggregate(item: Aggregate) -> str:
    of = "" if item.of is None else field_name(item.of) if isinstance(item.of, str) else f"eval({_expression(item.of)})"
    call = f"{item.function}({of})" if of else item.function
    return call if item.name == call else f"{call} AS {field_name(item.name)}"


def _node(node: Node) -> str:
    match node:
        case Always():
            return "*"
        case Term(text=text):
            return encoded(text)
        case Compare(field=field, comparator=comparator, value=value):
            return f"{field_name(field)}{comparator}{word(value.text)}"
        case In(field=field, values=values):
            return f"{field_name(field)} IN ({', '.join(word(value.text) for value in values)})"
        case Not(part=part):
            return f"NOT {_node(part)}" if isinstance(part, Or) else f"NOT ({_node(part)})"
        case And(parts=parts):
            return " ".join(f"({_node(part)})" if isinstance(part, And) else _node(part) for part in parts)
        case Or(parts=parts):
            return f"({' OR '.join(f'({_node(part)})' if isinstance(part, And) else _node(part) for part in parts)})"


def _expression(item: Expression) -> str:
    match item:
        case Constant(value=value):
            return _constant(value)
        case Name(name=field):
            return name(field)
        case Call(function="in", arguments=(value, *rest)):
            return f"{_operand(value)} IN ({', '.join(map(_expression, rest))})"
        case Call(function=function, arguments=arguments):
            return f"{function}({', '.join(map(_expression, arguments))})"
        case Unary(operator="NOT", operand=operand):
            return f"NOT ({_expression(operand)})"
        case Unary(operand=operand):
            return f"-{_operand(operand)}"
        case Joined(operator=operator, operands=operands):
            return f" {operator} ".join(map(_part, operands))
        case Binary(operator=operator, left=left, right=right):
            sign = operator if operator in COMPARISONS else f" {operator} "
            return f"{_operand(left)}{sign}{_operand(right)}"


def _part(item: Expression) -> str:
    """An expression between AND, OR and XOR: in brackets when it is joined or negated itself."""
    text = _expression(item)
    return f"({text})" if isinstance(item, Joined) else text


def _operand(item: Expression) -> str:
    """An expression beside a sign: in brackets when it has an operator of its own."""
    text = _expression(item)
    alone = isinstance(item, Name | Constant) or (isinstance(item, Call) and item.function != "in")
    return text if alone else f"({text})"


def _constant(value: str | int | float | bool | None) -> str:
    match value:
        case None:
            return "null()"
        case bool():
            return "true()" if value else "false()"
        case str():
            return encoded(value)
        case float():
            return f"{value:f}" if "e" in repr(value) else repr(value)
        case _:
            return str(value)
