"""S1QL 1.0 as typed objects. Offsets point into the text and take no part in comparison."""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum


class ValueKind(StrEnum):
    """How a value is written."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"


class Operator(StrEnum):
    """What stands between field and value. `...CIS` and `... Anycase` ignore case, the others do not."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "In"
    IN_ANYCASE = "In Anycase"
    IN_CONTAINS = "In Contains"
    IN_CONTAINS_ANYCASE = "In Contains Anycase"
    CONTAINS = "Contains"
    CONTAINS_CIS = "ContainsCIS"
    STARTSWITH = "StartsWith"
    STARTSWITH_CIS = "StartsWithCIS"
    ENDSWITH = "EndsWith"
    ENDSWITH_CIS = "EndsWithCIS"
    REGEXP = "RegExp"
    BETWEEN = "Between"
    IS_EMPTY = "Is Empty"
    IS_TRUE = "Is True"
    IS_FALSE = "Is False"
    EXISTS = "Exists"


LIST_OPERATORS = frozenset({Operator.IN, Operator.IN_ANYCASE, Operator.IN_CONTAINS, Operator.IN_CONTAINS_ANYCASE})
UNARY_OPERATORS = frozenset({Operator.IS_EMPTY, Operator.IS_TRUE, Operator.IS_FALSE, Operator.EXISTS})


@dataclass(frozen=True, slots=True)
class Value:
    """One value, unquoted; backslashes are literal."""

    kind: ValueKind
    text: str
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`Field OPERATOR value`. Lists mean any of their values; `Between` has two values, `Is ...` and `Exists` none."""

    field: str
    """As written; names are the same in any case."""
    operator: Operator
    values: tuple[Value, ...] = ()
    negated: bool = False
    """`Not In`, `Does Not Contain`, `Is Not Empty`."""
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds."""

    parts: tuple["Node", ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds."""

    parts: tuple["Node", ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Node"
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


Node = Comparison | And | Or | Not


def ors(node: Node) -> int:
    """How many times a query says OR."""
    match node:
        case Comparison():
            return 0
        case Not(part=part):
            return ors(part)
        case And(parts=parts):
            return sum(map(ors, parts))
        case Or(parts=parts):
            return len(parts) - 1 + sum(map(ors, parts))
