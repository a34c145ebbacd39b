"""The subset of PowerQuery (Singularity Data Lake) that Tracehound reads and writes. Offsets take no part in comparison."""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal as OneOf

Sign = OneOf["=", "!=", "<", "<=", ">", ">="]
Operation = OneOf["+", "-", "*", "/", "%"]


class ValueKind(StrEnum):
    """How a literal is written."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    NULL = "null"


class Operator(StrEnum):
    """Tests of text against one or several literals, any of which may fit.

    `in` minds case and `matches` does not; public sources disagree on a bare `contains`.
    """

    CONTAINS = "contains"
    CONTAINS_ANYCASE = "contains:anycase"
    CONTAINS_MATCHCASE = "contains:matchcase"
    IN = "in"
    IN_ANYCASE = "in:anycase"
    IN_MATCHCASE = "in:matchcase"
    MATCHES = "matches"
    MATCHES_ANYCASE = "matches:anycase"
    MATCHES_MATCHCASE = "matches:matchcase"


LISTS = frozenset({Operator.IN, Operator.IN_ANYCASE, Operator.IN_MATCHCASE})
PATTERNS = frozenset({Operator.MATCHES, Operator.MATCHES_ANYCASE, Operator.MATCHES_MATCHCASE})


@dataclass(frozen=True, slots=True)
class Value:
    """A literal, unquoted and unescaped."""

    kind: ValueKind
    text: str
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the event, or a column that a command has made. Names mind case."""

    name: str
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Anywhere:
    """`*` before `contains` or `matches`: any field of the event. Only in the first filter."""

    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class FreeText:
    """A quoted text that stands alone as a condition: found in the event's message, ignoring case."""

    text: str
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`: a function of a row, or inside `group` an aggregate of rows."""

    name: str
    arguments: tuple["Expression", ...] = ()
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left + right` and its like."""

    operation: Operation
    left: "Expression"
    right: "Expression"
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """`condition ? yes : no`; a missing value counts as false."""

    condition: "Expression"
    yes: "Expression"
    no: "Expression"
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """`left = right`. Equality of text minds case."""

    left: "Expression"
    sign: Sign
    right: "Expression"
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Test:
    """`subject contains:anycase ("a", "b")`: any of the values fits."""

    subject: "Expression"
    operator: Operator
    values: tuple[Value, ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Present:
    """`field = *`: the field is there."""

    field: Field
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds. In the text: `and`, `&&`, or in a filter nothing but a space."""

    parts: tuple["Expression", ...]
    bracketed: bool = dataclasses.field(default=True, compare=False)
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds."""

    parts: tuple["Expression", ...]
    bracketed: bool = dataclasses.field(default=True, compare=False)
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold; a missing field does not hold anything."""

    part: "Expression"
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


Expression = (
    Value | Field | Anywhere | FreeText | Call | Arithmetic | Choice | Compare | Test | Present | And | Or | Not
)


@dataclass(frozen=True, slots=True)
class Named:
    """An output column, `name=expression`; without a name it is called after its expression, see `printer.label`."""

    expression: Expression
    name: str | None = None
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Filter:
    """`| filter condition`."""

    condition: Expression
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Columns:
    """`| columns a, n=expression`: these columns and no others."""

    items: tuple[Named, ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Let:
    """`| let n=expression`: further columns."""

    items: tuple[Named, ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Group:
    """`| group n=count() by f`: one row for each combination of the keys, one row in all without keys."""

    aggregates: tuple[Named, ...]
    by: tuple[Named, ...] = ()
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Key:
    """What rows are sorted by; `-` before it turns the order round."""

    expression: Expression
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Sort:
    """`| sort -n, f`."""

    keys: tuple[Key, ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Limit:
    """`| limit N`; without one Singularity Data Lake answers 1,000 rows."""

    count: int
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SaveLookup:
    """`| savelookup 'table'[, 'merge']`: stores the rows in the tenant. Read so that it can be refused by name."""

    table: str
    merge: bool = False
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


Command = Filter | Columns | Let | Group | Sort | Limit | SaveLookup


@dataclass(frozen=True, slots=True)
class Query:
    """`condition | command | command`; None where the text begins with its first command."""

    condition: Expression | None
    commands: tuple[Command, ...] = ()
