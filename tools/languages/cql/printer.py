"""CQL objects to text, canonically."""

import re

from .ast import (
    Aggregate,
    Always,
    And,
    Assign,
    Branch,
    Bucket,
    Call,
    Case,
    Cidr,
    Compare,
    Count,
    Drop,
    Filter,
    GroupBy,
    Head,
    In,
    Node,
    Not,
    Or,
    Pipeline,
    Ref,
    Regex,
    Rename,
    Select,
    Sort,
    Stage,
    Summary,
    Table,
    Tail,
    Test,
    Text,
    Top,
)

_PLAIN = re.compile(r"-?[A-Za-z0-9_][A-Za-z0-9_.\-:]*\Z")
_NUMBER = re.compile(r"-?\d+(\.\d+)?\Z")
_KEYWORDS = frozenset({"and", "or", "not"})


def to_text(query: Pipeline) -> str:
    """Print a query canonically: conditions joined by AND, alternatives always in brackets."""
    return " | ".join(_stage(stage) for stage in query.stages)


def _stage(stage: Stage) -> str:
    match stage:
        case Filter(condition=condition):
            return _node(condition)
        case Assign(field=name, value=value):
            return f"{name} := {_value(value)}"
        case Case(branches=branches):
            return f"case {{ {'; '.join(map(_branch, branches))} }}"
        case Count() | Aggregate():
            return _summary(stage)
        case GroupBy(fields=fields, functions=functions, limit=limit):
            cap = f", limit={limit}" if limit is not None else ""
            return f"groupBy({_names(fields)}, function={_summaries(functions)}{cap})"
        case Bucket(span=span, fields=fields, functions=functions):
            within = f", field={_names(fields)}" if fields else ""
            return f"bucket(span={_text(Text(span))}{within}, function={_summaries(functions)})"
        case Top(fields=fields, limit=limit, name=name):
            return f"top({_names(fields)}, limit={limit}, as={name})"
        case Sort(fields=fields, order=order, limit=limit):
            return f"sort({_names(fields)}, order={order}, limit={limit})"
        case Head(limit=limit):
            return f"head({limit})"
        case Tail(limit=limit):
            return f"tail({limit})"
        case Select(fields=fields):
            return f"select({_names(fields)})"
        case Table(fields=fields, limit=limit, sort_by=sort_by, order=order):
            sorting = f", sortby={sort_by}, order={order}" if sort_by is not None else ""
            return f"table({_names(fields)}, limit={limit}{sorting})"
        case Drop(fields=fields):
            return f"drop({_names(fields)})"
        case Rename(pairs=pairs):
            return f"rename([{', '.join(f'[{old}, {new}]' for old, new in pairs)}])"


def _names(fields: tuple[str, ...]) -> str:
    return "[" + ", ".join(fields) + "]"


def _summaries(functions: tuple[Summary, ...]) -> str:
    return "[" + ", ".join(map(_summary, functions)) + "]"


def _summary(item: Summary) -> str:
    if isinstance(item, Count):
        arguments = [item.of] if item.of else []
        if item.distinct:
            arguments.append("distinct=true")
        return f"count({', '.join([*arguments, f'as={item.name}'])})"
    if item.name:
        return f"{item.function}({item.fields[0]}, as={item.name})"
    return f"{item.function}({_names(item.fields)})"


def _value(value: Ref | Text | Call) -> str:
    match value:
        case Call(function="replace", fields=(name, *_), pattern=Regex() as pattern, text=text):
            flags = f', flags="{pattern.flags}"' if pattern.flags else ""
            bare = pattern.pattern.replace("\\/", "/")
            return f"replace({_quoted(bare)}, with={_quoted(text)}, field={name}{flags})"
        case Call(function="concat", fields=fields):
            return f"concat({_names(fields)})"
        case Call(function=function, fields=fields):
            return f"{function}({fields[0]})"
        case _:
            return _operand(value)


def _branch(branch: Branch) -> str:
    return " | ".join([_node(branch.condition), *map(_stage, branch.assignments)])


def _node(node: Node) -> str:
    match node:
        case Always():
            return "*"
        case Compare(field=name, comparator=comparator, value=value):
            written = f"/{value.pattern}/{value.flags}" if isinstance(value, Regex) else _text(value)
            return f"{name}{comparator}{written}"
        case In(field=name, values=values, ignore_case=ignore_case):
            listed = f"values=[{', '.join(map(_text, values))}]"
            return f"in({name}, {'ignoreCase=true, ' if ignore_case else ''}{listed})"
        case Cidr(field=name, blocks=blocks):
            return f"cidr({name}, subnet=[{', '.join(_quoted(block.text) for block in blocks)}])"
        case Test(left=left, comparator=comparator, right=right):
            return f"test({_operand(left)} {comparator} {_operand(right)})"
        case Not(part=part):
            return f"NOT {_node(part)}" if isinstance(part, Or) else f"NOT ({_node(part)})"
        case And(parts=parts):
            return " AND ".join(f"({_node(part)})" if isinstance(part, And) else _node(part) for part in parts)
        case Or(parts=parts):
            return f"({' OR '.join(f'({_node(part)})' if isinstance(part, And) else _node(part) for part in parts)})"


def _operand(value: Ref | Text) -> str:
    if isinstance(value, Ref):
        return value.field
    return value.text if _NUMBER.match(value.text) else _quoted(value.text)


def _text(value: Text) -> str:
    plain = value.text == "*" or (_PLAIN.match(value.text) and value.text.lower() not in _KEYWORDS)
    return value.text if plain else _quoted(value.text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
