"""FQL as typed objects. Offsets point into the text and take no part in comparison."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class ValueKind(StrEnum):
    """How a value is written: quoted, or bare."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    NULL = "null"


class Operator(StrEnum):
    """The sign between `:` and the value."""

    EQ = ""
    NE = "!"
    MATCH = "~"
    """Text match: by words, ignoring case, spaces and punctuation."""
    NOT_MATCH = "!~"
    GT = ">"
    GE = ">="
    LT = "<"
    LE = "<="
    WILDCARD = "*"
    """The value is a pattern in which `*` stands for anything."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value. `text` is unquoted and unescaped; `*` in it is a wildcard where the endpoint takes wildcards."""

    kind: ValueKind
    text: str
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Term:
    """`property:OPvalue`. A list means any of its values."""

    property: str
    """Lower case, dotted for nested."""
    operator: Operator
    values: tuple[Value, ...]
    is_list: bool = False
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class And:
    """Parts joined with `+`."""

    parts: tuple["Node", ...]
    bracketed: bool = field(default=True, compare=False)
    """Whether the source had brackets around it; without them a reader may take `a,b+c` either way."""
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Or:
    """Parts joined with `,`."""

    parts: tuple["Node", ...]
    bracketed: bool = field(default=True, compare=False)
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """`!` before a term or a bracket."""

    part: "Node"
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


Node = Term | And | Or | Not


def terms(node: Node) -> Iterator[Term]:
    """Every term of a filter, left to right."""
    match node:
        case Term():
            yield node
        case Not(part=part):
            yield from terms(part)
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                yield from terms(part)
