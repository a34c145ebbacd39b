"""The subset of CQL (LogScale) that Tracehound reads and writes. Offsets take no part in comparison."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

Comparator = Literal["=", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Text:
    """A word or quoted string. `*` in it stands for anything; comparison minds case."""

    text: str
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Regex:
    """`/pattern/flags`, found anywhere in the value."""

    pattern: str
    """Without the slashes; a slash in it is written as backslash and slash."""
    flags: str = ""
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)

    @property
    def ignores_case(self) -> bool:
        """Whether the pattern ignores case."""
        return "i" in self.flags


@dataclass(frozen=True, slots=True)
class Compare:
    """`field=value`. A tag is a field whose name begins with `#`."""

    field: str
    comparator: Comparator
    value: Text | Regex
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class In:
    """`in(field, values=[...])`: equal to any of the values; `*` is a wildcard."""

    field: str
    values: tuple[Text, ...]
    ignore_case: bool = False
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Cidr:
    """`cidr(field, subnet=[...])`: an address of any of the blocks."""

    field: str
    blocks: tuple[Text, ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Ref:
    """A field where a value could stand as well."""

    field: str
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Test:
    """`test(a == b)`: fields and values compared with one another."""

    left: Ref | Text
    comparator: Literal["==", "!=", "<", "<=", ">", ">="]
    right: Ref | Text
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds. In the text: `and`, or nothing but a space."""

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
    """The part does not hold; a missing field does not hold anything."""

    part: "Node"
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Always:
    """`*`: every event."""

    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


Node = Compare | In | Cidr | Test | And | Or | Not | Always


@dataclass(frozen=True, slots=True)
class Filter:
    """A stage that keeps what a condition holds for."""

    condition: Node
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Count:
    """`count()`: events, those with a field, or its distinct values."""

    of: str | None = None
    """The field whose presence or distinct values are counted."""
    distinct: bool = False
    name: str = "_count"
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`sum`, `avg`, `min` and `max` of one field; `collect` and `selectLast` keep the names of their fields."""

    function: Literal["sum", "avg", "min", "max", "collect", "selectLast"]
    fields: tuple[str, ...]
    name: str = ""
    """The field that holds the result of the first four."""
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that it makes."""
        return (self.name,) if self.name else self.fields


Summary = Count | Aggregate


@dataclass(frozen=True, slots=True)
class GroupBy:
    """`groupBy([fields], function=[...], limit=n)`: one row for each combination of values."""

    fields: tuple[str, ...]
    functions: tuple[Summary, ...] = (Count(),)
    limit: int | None = None
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Bucket:
    """`bucket(span=1h, field=[...], function=[...])`: one row for each span of time, its start in `_bucket`."""

    span: str
    milliseconds: int
    fields: tuple[str, ...] = ()
    functions: tuple[Summary, ...] = (Count(),)
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Top:
    """`top([fields], limit=10)`: the most frequent values and their number."""

    fields: tuple[str, ...]
    limit: int = 10
    name: str = "_count"
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function that makes a value: `lower`, `upper`, `length`, `concat`, or `replace` with a pattern and a text."""

    function: Literal["lower", "upper", "length", "concat", "replace"]
    fields: tuple[str, ...]
    pattern: Regex | None = None
    text: str = ""
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Assign:
    """`name := value`."""

    field: str
    value: Ref | Text | Call
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Branch:
    """One way through `case`: what an event must meet, and what it gets then."""

    condition: Node
    assignments: tuple[Assign, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """`case { a=1 | x := "one"; * }`: each event takes the first branch that it meets, and goes when it meets none."""

    branches: tuple[Branch, ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Drop:
    """`drop([fields])`: without these fields."""

    fields: tuple[str, ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Rename:
    """`rename(field=old, as=new)`, or several at once."""

    pairs: tuple[tuple[str, str], ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Sort:
    """`sort([fields], order=desc, limit=200)`."""

    fields: tuple[str, ...]
    order: Literal["asc", "desc"] = "desc"
    limit: int = 200
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Head:
    """The oldest events."""

    limit: int = 200
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Tail:
    """The newest events."""

    limit: int = 200
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Select:
    """`select([fields])`: only these fields."""

    fields: tuple[str, ...]
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Table:
    """`table([fields], limit=200, sortby=f, order=desc)`: a table of these fields, newest first unless sorted."""

    fields: tuple[str, ...]
    limit: int = 200
    sort_by: str | None = None
    order: Literal["asc", "desc"] = "desc"
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


Stage = (
    Filter
    | Assign
    | Case
    | Count
    | Aggregate
    | GroupBy
    | Bucket
    | Top
    | Sort
    | Head
    | Tail
    | Select
    | Table
    | Drop
    | Rename
)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages joined with `|`."""

    stages: tuple[Stage, ...]
