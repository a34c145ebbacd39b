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


Node = Compare | In | And | Or | Not | Always


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
class GroupBy:
    """`groupBy([fields], function=[...], limit=n)`: one row for each combination of values."""

    fields: tuple[str, ...]
    functions: tuple[Count, ...] = (Count(),)
    limit: int | None = None
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
    """`table([fields], limit=200)`: a table of these fields, newest first unless sorted."""

    fields: tuple[str, ...]
    limit: int = 200
    start: int = dataclasses.field(default=0, compare=False)
    end: int = dataclasses.field(default=0, compare=False)


Stage = Filter | Count | GroupBy | Sort | Head | Tail | Select | Table


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages joined with `|`."""

    stages: tuple[Stage, ...]
