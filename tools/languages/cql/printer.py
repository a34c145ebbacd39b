"""CQL objects to text, canonically."""

import re

from .ast import (
    Always,
    And,
    Compare,
    Count,
    Filter,
    GroupBy,
    Head,
    In,
    Node,
    Not,
    Or,
    Pipeline,
    Regex,
    Select,
    Sort,
    Stage,
    Table,
    Tail,
    Text,
)

_PLAIN = re.compile(r"-?[A-Za-z0-9_][A-Za-z0-9_.\-:]*\Z")
_KEYWORDS = frozenset({"and", "or", "not"})


def to_text(query: Pipeline) -> str:
    """Print a query canonically: conditions joined by AND, alternatives always in brackets."""
    return " | ".join(_stage(stage) for stage in query.stages)


def _stage(stage: Stage) -> str:
    match stage:
        case Filter(condition=condition):
            return _node(condition)
        case Count():
            return _count(stage)
        case GroupBy(fields=fields, functions=functions, limit=limit):
            cap = f", limit={limit}" if limit is not None else ""
            return f"groupBy({_names(fields)}, function=[{', '.join(map(_count, functions))}]{cap})"
        case Sort(fields=fields, order=order, limit=limit):
            return f"sort({_names(fields)}, order={order}, limit={limit})"
        case Head(limit=limit):
            return f"head({limit})"
        case Tail(limit=limit):
            return f"tail({limit})"
        case Select(fields=fields):
            return f"select({_names(fields)})"
        case Table(fields=fields, limit=limit):
            return f"table({_names(fields)}, limit={limit})"


def _names(fields: tuple[str, ...]) -> str:
    return "[" + ", ".join(fields) + "]"


def _count(count: Count) -> str:
    arguments = [count.of] if count.of else []
    if count.distinct:
        arguments.append("distinct=true")
    return f"count({', '.join([*arguments, f'as={count.name}'])})"


def _node(node: Node) -> str:
    match node:
        case Always():
            return "*"
        case Compare(field=name, comparator=comparator, value=value):
            written = f"/{value.pattern}/{value.flags}" if isinstance(value, Regex) else _text(value)
            return f"{name}{comparator}{written}"
        case In(field=name, values=values):
            return f"in({name}, values=[{', '.join(map(_text, values))}])"
        case Not(part=part):
            return f"NOT {_node(part)}" if isinstance(part, Or) else f"NOT ({_node(part)})"
        case And(parts=parts):
            return " AND ".join(f"({_node(part)})" if isinstance(part, And) else _node(part) for part in parts)
        case Or(parts=parts):
            return f"({' OR '.join(f'({_node(part)})' if isinstance(part, And) else _node(part) for part in parts)})"


def _text(value: Text) -> str:
    plain = value.text == "*" or (_PLAIN.match(value.text) and value.text.lower() not in _KEYWORDS)
    if plain:
        return value.text
    return '"' + value.text.replace("\\", "\\\\").replace('"', '\\"') + '"'
