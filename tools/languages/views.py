"""Views: where each event class lives on each platform, and which vendor field carries which attribute.

One file per platform in `views/`. The same table serves three readers: compilers write queries from it, the normaliser
reads rows through it, and `translate` explains from it what a platform does not carry. Vendor names are as documented
(LANGUAGES appendices A to C, vendor API reference); a test checks every one against the language's own schema.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...knowledge.errors import ContentError
from ...knowledge.loading import parsed
from .joined import parted
from .query import Language, Platform
from .search import All, AnyOf, Condition, Expression, Not, Operator, Search, matches
from .vocabulary import ATTRIBUTES, EventClass


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Attribute(_Frozen):
    """How one attribute is carried by a vendor field."""

    field: str
    """Name in the query language."""
    row: str | None = None
    """Key in the returned row where it differs; dots walk into nested objects."""
    type: Literal["string", "int", "float", "bool", "datetime", "epoch_ms", "epoch_s", "dynamic"] = "string"
    kind: Literal["plain", "host", "user", "ip", "list", "json", "event_data"] = "plain"
    """`user`: may hold DOMAIN\\name or a UPN. `list`: several values. `json`: a JSON text to be parsed.
    `event_data`: `COLUMN.NAME`, the `<Data Name="NAME">` of a Windows event's XML in COLUMN."""
    transform: Literal["none", "basename"] = "none"
    """`basename`: the field is a path and the attribute its last part."""
    values: Mapping[str, str] = Field(default_factory=dict)
    """Vendor value to the vocabulary's value."""
    filterable: bool = True
    """False: rows carry the field and the vendor cannot filter on it; conditions on it are applied locally."""

    @property
    def key(self) -> str:
        """Key in the row."""
        return self.row or self.field


class View(_Frozen):
    """One event class in one collection of one platform."""

    id: str
    platform: Platform
    language: Language
    collection: str
    """Alerts endpoint, event repository or table, as the query names it."""
    event_class: EventClass
    select: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Vendor field to the values that make a row belong to this class; all fields must fit."""
    activity: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    """One vendor field to {vendor value: activity}."""
    constants: Mapping[str, str] = Field(default_factory=dict)
    """Attributes that hold the same value in every row."""
    attributes: Mapping[str, Attribute]
    joined: Mapping[str, tuple[str, str]] = Field(default_factory=dict)
    """Attributes that the platform keeps as two others, which a backslash would join: key and value of the registry."""
    sensor: Literal["endpoint", "identity", "email", "cloud", "alerts", "inventory"] = "endpoint"

    @model_validator(mode="after")
    def _names_are_known(self) -> "View":
        unknown = (set(self.attributes) | set(self.constants) | set(self.joined)) - ATTRIBUTES[self.event_class]
        if unknown:
            raise ValueError(f"view {self.id}: {self.event_class} has no {', '.join(sorted(unknown))}")
        if unread := {part for parts in self.joined.values() for part in parts} - set(self.attributes):
            raise ValueError(f"view {self.id}: {', '.join(sorted(unread))} is joined and not carried")
        if "time" not in self.attributes:
            raise ValueError(f"view {self.id}: no attribute carries the time")
        return self

    def carries(self, attribute: str) -> bool:
        """Whether a row of this view can hold the attribute."""
        return (
            attribute in self.attributes
            or attribute in self.constants
            or attribute in self.joined
            or (attribute == "activity" and bool(self.activity))
        )


@cache
def all_views() -> tuple[View, ...]:
    """Every view of every platform, in file order.

    Raises:
        ContentError: a view file breaks the schema; names the file.
    """
    views: list[View] = []
    for path in sorted(files("tracehound.tools.languages").joinpath("views").iterdir(), key=lambda p: p.name):
        if not path.name.endswith(".yaml"):
            continue
        content: dict[str, Any] = parsed(path.read_text(encoding="utf-8"))
        for entry in content["views"]:
            shared = {
                "platform": content["platform"],
                **{k: content[k] for k in ("language",) if k in content},
            }
            try:
                views.append(View.model_validate(shared | entry))
            except ValidationError as exc:
                raise ContentError(f"views/{path.name}", None, f"{entry.get('id')}: {exc}") from exc
    return tuple(views)


def views_for(event_class: EventClass, platforms: frozenset[Platform] | None = None) -> tuple[View, ...]:
    """The views that carry a class, on the given platforms or on all."""
    return tuple(
        view
        for view in all_views()
        if view.event_class is event_class and (platforms is None or view.platform in platforms)
    )


def narrow(search: Search, view: View) -> tuple[Expression | bool | None, tuple[str, ...]]:
    """Reduce a search's condition to what a view can carry.

    A condition on an attribute that no row of the view holds is false for all of them, so it is dropped from an
    `any`, makes an `all` false, and its negation true.

    Returns:
        The reduced expression (None: no condition is left), or False when no row of the view can match; and the
        attributes that the view lacks.
    """
    missing: list[str] = []

    def reduce(expression: Expression) -> Expression | bool:
        match expression:
            case Condition(field=name):
                settled = _settled(expression, view)
                if settled is not None:
                    return settled
                if name in view.joined:
                    return reduce(parted(expression, *view.joined[name]))
                if view.carries(name):
                    return expression
                if name not in missing:
                    missing.append(name)
                return False
            case Not(of=part):
                inner = reduce(part)
                return (not inner) if isinstance(inner, bool) else Not(of=inner)
            case All(of=parts):
                reduced = [reduce(part) for part in parts]
                if any(inner is False for inner in reduced):
                    return False
                rest = tuple(inner for inner in reduced if not isinstance(inner, bool))
                return True if not rest else rest[0] if len(rest) == 1 else All(of=rest)
            case AnyOf(of=parts):
                reduced = [reduce(part) for part in parts]
                if any(inner is True for inner in reduced):
                    return True
                rest = tuple(inner for inner in reduced if not isinstance(inner, bool))
                return False if not rest else rest[0] if len(rest) == 1 else AnyOf(of=rest)

    if search.where is None:
        return None, ()
    whole = reduce(search.where)
    return (None if whole is True else whole), tuple(missing)


def _settled(condition: Condition, view: View) -> bool | None:
    """The truth of a condition that is the same for all rows of a view; None where it depends on the row."""
    name = condition.field
    if name in view.attributes:
        return None
    if name in view.constants:
        return matches(condition, view.constants)
    if name == "activity" and view.activity and condition.op is Operator.EQ:
        possible = {value.lower() for mapping in view.activity.values() for value in mapping.values()}
        return None if any(str(value).lower() in possible for value in condition.values) else False
    return None
