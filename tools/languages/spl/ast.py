"""The subset of SPL that Tracehound reads and writes. Offsets take no part in comparison.

Conditions of `search` and expressions of `where` and `eval` are two languages: the first ignores case and knows one
wildcard, the second heeds case and calculates. They have trees of their own.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal

Comparator = Literal["=", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Value:
    """A word or quoted string of `search`. `*` stands for anything and cannot be escaped; case is ignored."""

    text: str
    """Backslashes and quotes decoded."""
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """`field=value`. `!=` holds only for events that have the field."""

    field: str
    comparator: Comparator
    value: Value
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class In:
    """`field IN (a, b)`: equal to any of the values."""

    field: str
    values: tuple[Value, ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Term:
    """A word or phrase anywhere in the raw event, bounded by breakers."""

    text: str
    quoted: bool = dataclasses.field(default=True, compare=False)
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds. In the text: AND, or nothing but a space."""

    parts: tuple["Node", ...]
    bracketed: bool = dataclasses.field(default=True, compare=False)
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds."""

    parts: tuple["Node", ...]
    bracketed: bool = dataclasses.field(default=True, compare=False)
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold; an event without the field does not hold anything."""

    part: "Node"
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Always:
    """`*`: every event."""

    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


Node = Compare | In | Term | And | Or | Not | Always


@dataclass(frozen=True, slots=True)
class Constant:
    """A string, a number, a truth value or null in an expression."""

    value: str | int | float | bool | None
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A field in an expression; in the text in single quotes unless it is a plain word."""

    name: str
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function. `x LIKE p` and `x IN (a, b)` are `like(x, p)` and `in(x, a, b)`."""

    function: str
    arguments: tuple["Expression", ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """`NOT x` or `-x`."""

    operator: Literal["NOT", "-"]
    operand: "Expression"
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands: comparison, arithmetic, `.` for joining text."""

    operator: str
    left: "Expression"
    right: "Expression"
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Joined:
    """Conditions between AND, OR or XOR; two or more."""

    operator: Literal["AND", "OR", "XOR"]
    operands: tuple["Expression", ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


Expression = Constant | Name | Call | Unary | Binary | Joined


@dataclass(frozen=True, slots=True)
class Search:
    """The condition that picks events. At the head of a query it may bound the time."""

    condition: Node | None
    earliest: str | None = None
    latest: str | None = None
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Where:
    """Keeps the rows for which an expression is true."""

    expression: Expression
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Eval:
    """New fields, one after another."""

    assignments: tuple[tuple[str, Expression], ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Regex:
    """`regex field="..."`: a pattern found anywhere in the field; heeds case."""

    field: str
    pattern: str
    negated: bool = False
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Rex:
    """`rex field=f "(?<name>...)"`: each named group becomes a field."""

    field: str
    pattern: str
    names: tuple[str, ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`dc(User) AS users`."""

    function: str
    of: str | Expression | None = None
    """A field, an expression inside `eval(...)`, or nothing for the number of events."""
    name: str = ""
    """The field that holds the result; by default the function as it is written."""
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Stats:
    """One row for each combination of values; events without one of the fields take no part."""

    functions: tuple[Aggregate, ...]
    by: tuple[str, ...] = ()
    beside: bool = False
    """`eventstats`: the results are written beside each event instead."""
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Top:
    """`top` and `rare`: the most or least frequent values with their count and percentage."""

    fields: tuple[str, ...]
    by: tuple[str, ...] = ()
    limit: int = 10
    rare: bool = False
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Bin:
    """Times or numbers cut into spans: `bin _time span=5m`."""

    field: str
    seconds: float
    """Size of a span: seconds for a time, the number itself for a number."""
    span: str
    name: str = ""
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Table:
    """Only these fields, in this order. `*` in a name stands for anything."""

    fields: tuple[str, ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Fields:
    """Keeps or drops fields."""

    fields: tuple[str, ...]
    drop: bool = False
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SortKey:
    """One field to sort by."""

    field: str
    descending: bool = False
    kind: Literal["auto", "num", "str"] = "auto"


@dataclass(frozen=True, slots=True)
class Sort:
    """Sorts; 0 as limit means all rows, and Splunk keeps 10,000 when nothing is said."""

    keys: tuple[SortKey, ...]
    limit: int = 10_000
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Head:
    """The first rows: of events, the newest."""

    limit: int = 10
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Tail:
    """The last rows, the last one first."""

    limit: int = 10
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Reverse:
    """The rows in the other order."""

    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Dedup:
    """The first rows of each combination of values; rows without one of the fields go."""

    fields: tuple[str, ...]
    limit: int = 1
    keep_empty: bool = False
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Rename:
    """Fields under another name."""

    pairs: tuple[tuple[str, str], ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class FillNull:
    """A value where a field has none; all fields when none is named."""

    value: str = "0"
    fields: tuple[str, ...] = ()
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


Stage = (
    Search
    | Where
    | Eval
    | Regex
    | Rex
    | Stats
    | Top
    | Bin
    | Table
    | Fields
    | Sort
    | Head
    | Tail
    | Reverse
    | Dedup
    | Rename
    | FillNull
)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages joined with `|`; the first is a `search`."""

    stages: tuple[Stage, ...]
