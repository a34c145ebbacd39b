r"""The typed question that stands between an analyst's words and the vendors' languages.

A `Search` asks for events of one class whose attributes meet a condition within a UTC window. Attributes are
OCSF-style dotted names (`ATTRIBUTES` lists them for each class). All string comparisons ignore case: that is what an
analyst means, and each language compiler writes it in its own way. Equality on a host also matches the fully
qualified name (`web-7` and `web-7.corp.example`), and so does its end; equality on a user also matches `DOMAIN\\user`
and `user@domain`.
A drive letter also matches the path by volume that some sensors write (`\Device\HarddiskVolume3\Windows` for
`C:\Windows`), since no event tells which letter a volume has.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from .vocabulary import ATTRIBUTES, HOST_ATTRIBUTES, USER_ATTRIBUTES, EventClass

Scalar = str | int | float | bool

_VOLUME = re.compile(r"\\device\\harddiskvolume\d+(?=\\)", re.IGNORECASE)
_DRIVE = re.compile(r"[a-z]?:(?=\\)", re.IGNORECASE)


class Operator(StrEnum):
    """How an attribute is compared. Several values mean: any of them (for `ne`: none of them)."""

    EQ = "eq"
    NE = "ne"
    CONTAINS = "contains"
    STARTSWITH = "startswith"
    ENDSWITH = "endswith"
    MATCHES = "matches"
    """RE2 regular expression, found anywhere in the value."""
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"
    CIDR = "cidr"
    EXISTS = "exists"
    """The attribute is present and not empty; takes no values."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(_Frozen):
    """One attribute compared with one or more values."""

    kind: Literal["condition"] = "condition"
    field: str
    op: Operator = Operator.EQ
    values: tuple[Scalar, ...] = ()

    @model_validator(mode="after")
    def _values_fit_the_operator(self) -> "Condition":
        if (self.op is Operator.EXISTS) == bool(self.values):
            raise ValueError(f"{self.field}: `exists` takes no values, every other operator at least one")
        return self


class All(_Frozen):
    """Every part holds."""

    kind: Literal["all"] = "all"
    of: tuple["Expression", ...]


class AnyOf(_Frozen):
    """At least one part holds."""

    kind: Literal["any"] = "any"
    of: tuple["Expression", ...]


class Not(_Frozen):
    """The part does not hold; an event without the attribute counts as not holding it."""

    kind: Literal["not"] = "not"
    of: "Expression"


Expression = Annotated[Condition | All | AnyOf | Not, Field(discriminator="kind")]
All.model_rebuild()
AnyOf.model_rebuild()
Not.model_rebuild()


class Window(_Frozen):
    """A span of UTC time, start included and end excluded, with the words it came from."""

    start: AwareDatetime
    end: AwareDatetime
    phrase: str = ""

    @model_validator(mode="after")
    def _in_order_and_utc(self) -> "Window":
        if self.start >= self.end:
            raise ValueError("a window must start before it ends")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))
        return self

    def contains(self, moment: datetime) -> bool:
        """Whether the moment lies in the window."""
        return self.start <= moment < self.end


class Aggregation(_Frozen):
    """Count events by attributes instead of listing them."""

    by: tuple[str, ...]
    distinct: str | None = None
    """Also count the distinct values of this attribute."""
    minimum: int = 1
    """Only groups with at least this many events."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that are counted by or told apart."""
        return self.by if not self.distinct else (*self.by, self.distinct)


class Search(_Frozen):
    """One typed question for one event class."""

    event_class: EventClass
    where: Expression | None = None
    window: Window
    aggregation: Aggregation | None = None
    limit: int = Field(default=1_000, ge=1, le=10_000)
    newest_first: bool = False

    @model_validator(mode="after")
    def _attributes_belong_to_the_class(self) -> "Search":
        known = ATTRIBUTES[self.event_class]
        for name in attributes(self):
            if name not in known:
                raise ValueError(f"{self.event_class} has no attribute {name!r}")
        return self


def conditions(expression: Expression | None) -> Iterable[Condition]:
    """Every condition of an expression, left to right."""
    match expression:
        case None:
            return
        case Condition():
            yield expression
        case Not(of=part):
            yield from conditions(part)
        case All(of=parts) | AnyOf(of=parts):
            for part in parts:
                yield from conditions(part)


def attributes(search: Search) -> set[str]:
    """The attributes that a search names."""
    names = {condition.field for condition in conditions(search.where)}
    if search.aggregation:
        names |= set(search.aggregation.attributes)
    return names


def conjunction(*parts: Expression | None) -> Expression | None:
    """All of the parts that are there; None when none is."""
    present = tuple(part for part in parts if part is not None)
    if not present:
        return None
    return present[0] if len(present) == 1 else All(of=present)


def disjunction(*parts: Expression) -> Expression:
    """Any of the parts; one alone stays as it is."""
    return parts[0] if len(parts) == 1 else AnyOf(of=parts)


def matches(expression: Expression | None, event: Mapping[str, Any]) -> bool:
    """Whether an event (flat attributes) meets an expression: the meaning that every compiler must keep."""
    match expression:
        case None:
            return True
        case Condition():
            return _holds(expression, event.get(expression.field))
        case Not(of=part):
            return not matches(part, event)
        case All(of=parts):
            return all(matches(part, event) for part in parts)
        case AnyOf(of=parts):
            return any(matches(part, event) for part in parts)


def _holds(condition: Condition, actual: Any) -> bool:
    if isinstance(actual, list | tuple):
        if condition.op is Operator.NE:
            return all(_holds(condition, item) for item in actual)
        return any(_holds(condition, item) for item in actual)
    if condition.op is Operator.EXISTS:
        return actual not in (None, "")
    if condition.op is Operator.NE:
        return not any(_compare(condition.field, Operator.EQ, actual, value) for value in condition.values)
    return any(_compare(condition.field, condition.op, actual, value) for value in condition.values)


def _compare(field: str, op: Operator, actual: Any, value: Scalar) -> bool:
    if actual is None:
        return False
    if op in (Operator.GT, Operator.GE, Operator.LT, Operator.LE):
        return _ordered(op, actual, value)
    left, right = str(actual).casefold(), str(value).casefold()
    if left.startswith("\\device\\"):
        left = _by_drive(left, right)
    match op:
        case Operator.EQ if field in HOST_ATTRIBUTES:
            return left == right or left.startswith(right + ".")
        case Operator.ENDSWITH if field in HOST_ATTRIBUTES:
            return left.endswith(right) or _short(left).endswith(right)
        case Operator.MATCHES if field in HOST_ATTRIBUTES:
            return any(re.search(str(value), name, re.IGNORECASE) for name in (str(actual), _short(str(actual))))
        case Operator.EQ if field in USER_ATTRIBUTES:
            return left == right or left.endswith("\\" + right) or left.startswith(right + "@")
        case Operator.EQ:
            return left == right
        case Operator.CONTAINS:
            return right in left
        case Operator.STARTSWITH:
            return left.startswith(right)
        case Operator.ENDSWITH:
            return left.endswith(right)
        case Operator.MATCHES:
            texts = {str(actual), _by_drive(str(actual), "c:\\")}
            return any(re.search(str(value), text, re.IGNORECASE) for text in texts)
        case Operator.CIDR:
            try:
                return ip_address(str(actual)) in ip_network(str(value), strict=False)
            except ValueError:
                return False
        case _:
            raise AssertionError(op)


def names_drive(text: str) -> bool:
    r"""Whether a text begins with a drive (`C:\`, or its end `:\`), which a path by volume can stand for."""
    return _DRIVE.match(text) is not None


def _by_drive(path: str, wanted: str) -> str:
    """A path by volume with the drive that is asked for; any other path as it is."""
    volume, drive = _VOLUME.match(path), _DRIVE.match(wanted)
    if volume is None or drive is None:
        return path
    # A text that begins with the end of a drive is not at the beginning of a path.
    letter = drive.group() if len(drive.group()) == 2 else f"?{drive.group()}"
    return letter + path[volume.end() :]


def _short(host: str) -> str:
    return host.partition(".")[0]


def _ordered(op: Operator, actual: Any, value: Scalar) -> bool:
    try:
        left, right = float(actual), float(value)
    except (OverflowError, TypeError, ValueError):
        return False
    return {
        Operator.GT: left > right,
        Operator.GE: left >= right,
        Operator.LT: left < right,
        Operator.LE: left <= right,
    }[op]
