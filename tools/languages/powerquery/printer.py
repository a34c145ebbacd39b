"""PowerQuery objects to text, canonically."""

import re
import unicodedata

from ....knowledge.errors import UnsafeValueError
from .ast import (
    LISTS,
    And,
    Anywhere,
    Arithmetic,
    Call,
    Choice,
    Columns,
    Command,
    Compare,
    Expression,
    Field,
    Filter,
    FreeText,
    Group,
    Key,
    Let,
    Limit,
    Named,
    Not,
    Or,
    Present,
    Query,
    SaveLookup,
    Sort,
    Test,
    Value,
    ValueKind,
)

KEYWORDS = frozenset({"and", "or", "not", "by", "true", "false", "null", "contains", "in", "matches"})
"""Words that are no names."""
NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*\Z", re.ASCII)
_BARE = {
    ValueKind.NUMBER: re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\Z", re.ASCII),
    ValueKind.BOOLEAN: re.compile(r"(?:true|false)\Z"),
    ValueKind.NULL: re.compile(r"null\Z"),
}
_BREAKS = frozenset("\x85\u2028\u2029")


def to_text(query: Query | Expression) -> str:
    """Print a query, or a condition alone, canonically: strings in double quotes, alternatives always in brackets.

    Raises:
        UnsafeValueError: a string or a name that the language has no way of writing.
    """
    if not isinstance(query, Query):
        return _expression(query)
    first = _expression(query.condition) if query.condition is not None else ""
    return " | ".join([first, *map(_command, query.commands)]).strip()


def label(item: Named) -> str:
    """The name of an output column: as given, else the field's or the function's own, else its text."""
    if item.name is not None:
        return item.name
    match item.expression:
        case Field(name=name) | Call(name=name):
            return name
        case other:
            return _expression(other)


def _command(command: Command) -> str:
    match command:
        case Filter(condition=condition):
            return f"filter {_expression(condition)}"
        case Columns(items=items):
            return f"columns {_items(items)}"
        case Let(items=items):
            return f"let {_items(items)}"
        case Group(aggregates=aggregates, by=by):
            return f"group {_items(aggregates)}" + (f" by {_items(by)}" if by else "")
        case Sort(keys=keys):
            return f"sort {', '.join(map(_key, keys))}"
        case Limit(count=count):
            return f"limit {count}"
        case SaveLookup(table=table, merge=merge):
            return f"savelookup {_string(table)}" + (', "merge"' if merge else "")


def _items(items: tuple[Named, ...]) -> str:
    return ", ".join(
        f"{_name(item.name)}={_operand(item.expression)}" if item.name is not None else _operand(item.expression)
        for item in items
    )


def _key(key: Key) -> str:
    return f"{'-' if key.descending else ''}{_operand(key.expression)}"


def _name(name: str) -> str:
    plain = NAME.match(name) is not None and name.lower() not in KEYWORDS
    return name if plain else _string(name)


def _expression(node: Expression) -> str:
    match node:
        case Compare(left=left, sign=sign, right=right):
            return f"{_operand(left)} {sign} {_operand(right)}"
        case Test(subject=subject, operator=operator, values=values):
            listed = ", ".join(map(_value, values))
            one = len(values) == 1 and operator not in LISTS
            return f"{_operand(subject)} {operator} {listed if one else f'({listed})'}"
        case Present(field=field):
            return f"{_operand(field)} = *"
        case FreeText(text=text):
            return _string(text)
        case Not(part=Present() as part):
            return f"!({_expression(part)})"
        case Not(part=part):
            return f"not {_bracketed(part)}"
        case And(parts=parts):
            return " and ".join(_part(part) for part in parts)
        case Or(parts=parts):
            return f"({' or '.join(_part(part) for part in parts)})"
        case Arithmetic(operation=operation, left=left, right=right):
            return f"{_operand(left)} {operation} {_operand(right)}"
        case Choice(condition=condition, yes=yes, no=no):
            return f"{_operand(condition)} ? {_operand(yes)} : {_operand(no)}"
        case _:
            return _operand(node)


def _part(node: Expression) -> str:
    """A part of a conjunction or an alternative; a literal in brackets would be read as what it is without them."""
    return f"({_expression(node)})" if isinstance(node, And | Arithmetic | Choice) else _expression(node)


def _bracketed(node: Expression) -> str:
    return _expression(node) if isinstance(node, Or) else f"({_expression(node)})"


def _operand(node: Expression) -> str:
    match node:
        case Value():
            return _value(node)
        case Field(name=name):
            _refuse_no_name(name)
            return name
        case Anywhere():
            return "*"
        case Call(name=name, arguments=arguments):
            _refuse_no_name(name)
            return f"{name}({', '.join(map(_expression, arguments))})"
        case _:
            return _bracketed(node)


def _refuse_no_name(name: str) -> None:
    if NAME.match(name) is None or name.lower() in KEYWORDS:
        raise UnsafeValueError(f"PowerQuery cannot name a field or function {name!r}: it is no dotted name.")


def _value(value: Value) -> str:
    bare = _BARE.get(value.kind)
    if bare is None:
        return _string(value.text)
    if bare.match(value.text) is None:
        raise UnsafeValueError(f"{value.text!r} is no {value.kind} that PowerQuery could be asked for.")
    return value.text


def _string(text: str) -> str:
    r"""The text in double quotes; backslashes and quotes are written behind a backslash.

    Control characters have no documented escape. In a pattern they can be written as `\xHH`.
    """
    if any(char in _BREAKS or unicodedata.category(char) in ("Cc", "Cs") for char in text):
        raise UnsafeValueError(f"PowerQuery cannot carry the value {text!r}: it holds control characters.")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
