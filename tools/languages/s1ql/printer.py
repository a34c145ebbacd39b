"""S1QL 1.0 objects to text, canonically."""

import re

from ....knowledge.errors import UnsafeValueError
from .ast import LIST_OPERATORS, UNARY_OPERATORS, And, Comparison, Node, Not, Operator, Or, Value, ValueKind
from .lexer import CLOSES_IN_LIST, NEXT_CONDITION

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
_BARE = {
    ValueKind.NUMBER: re.compile(r"-?\d+(?:\.\d+)?\Z", re.ASCII),
    ValueKind.BOOLEAN: re.compile(r"(?:true|false)\Z"),
}


def to_text(node: Node) -> str:
    """Print a query canonically: alternatives always in brackets, strings in double quotes.

    Raises:
        UnsafeValueError: a string that no way of quoting can carry, or a number or a name that is none.
    """
    match node:
        case Comparison():
            return _comparison(node)
        case Not(part=part):
            return f"NOT {to_text(part)}" if isinstance(part, Or) else f"NOT ({to_text(part)})"
        case And(parts=parts):
            return " AND ".join(f"({to_text(part)})" if isinstance(part, And) else to_text(part) for part in parts)
        case Or(parts=parts):
            alternatives = (f"({to_text(part)})" if isinstance(part, And) else to_text(part) for part in parts)
            return f"({' OR '.join(alternatives)})"


def _comparison(node: Comparison) -> str:
    if _NAME.match(node.field) is None:
        raise UnsafeValueError(f"S1QL has no field called {node.field!r}: names are letters, digits and dots.")
    values = [_literal(value) for value in node.values]
    match node.operator:
        case Operator.IS_EMPTY:
            return f"{node.field} Is {'Not ' if node.negated else ''}Empty"
        case operator if operator in UNARY_OPERATORS:
            return f"{node.field} {operator}"
        case Operator.BETWEEN:
            return f"{node.field} Between {values[0]} AND {values[1]}"
        case operator if operator in LIST_OPERATORS:
            return f"{node.field} {'Not ' if node.negated else ''}{operator} ({', '.join(values)})"
        case Operator.CONTAINS | Operator.CONTAINS_CIS if node.negated:
            suffix = "CIS" if node.operator is Operator.CONTAINS_CIS else ""
            return f"{node.field} Does Not Contain{suffix} {values[0]}"
        case operator:
            return f"{node.field} {operator} {values[0]}"


def _literal(value: Value) -> str:
    bare = _BARE.get(value.kind)
    if bare is not None:
        if bare.match(value.text) is None:
            raise UnsafeValueError(f"{value.text!r} is no {value.kind} that S1QL could be asked for.")
        return value.text
    for quote in "\"'":
        close = CLOSES_IN_LIST[quote].search(value.text + quote)
        # The first place where the reader would stop must be the end of the value.
        if close is not None and close.start() == len(value.text) and not NEXT_CONDITION[quote].search(value.text):
            return f"{quote}{value.text}{quote}"
    raise UnsafeValueError(f"S1QL cannot carry the value {value.text!r}: its quotes would end the string.")
