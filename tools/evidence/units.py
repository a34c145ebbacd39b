"""What amounts may be called: the closed list in `units.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from ...knowledge.errors import ContentError
from ...knowledge.loading import parsed
from ..languages.vocabulary import ATTRIBUTES, EventClass

_FILE = "units.yaml"


@dataclass(frozen=True, slots=True)
class Unit:
    """A noun for an amount, and the events that it may be said of."""

    name: str
    event_class: EventClass
    when: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sum: str = ""
    """Attribute whose numbers are added up; empty: each happening counts one."""
    bytes: bool = False
    one: str = ""
    """The name of a single one."""

    def noun(self, number: int) -> str:
        """The name as it stands behind a number."""
        return self.one if number == 1 else self.name


@dataclass(frozen=True, slots=True)
class Facet:
    """How an attribute stands in a counting sentence."""

    word: str
    """Before the values that are named."""
    many: str
    """Instead of them, with `{n}` for how many they are."""
    code: bool = False


@cache
def _content() -> Mapping[str, Any]:
    text = files("tracehound.tools.evidence").joinpath(_FILE).read_text(encoding="utf-8")
    content: Mapping[str, Any] = parsed(text)
    return content


@cache
def units() -> Mapping[str, Unit]:
    """Every unit by its name.

    Raises:
        ContentError: the file names an attribute that the unit's class does not have.
    """
    found: dict[str, Unit] = {}
    for name, entry in _content()["units"].items():
        event_class = EventClass(entry["class"])
        when = {key: frozenset(str(value).lower() for value in values) for key, values in entry.get("when", {}).items()}
        unit = Unit(name, event_class, when, entry.get("sum", ""), entry.get("bytes", False), entry["one"])
        unknown = ({*when, unit.sum} - {""}) - ATTRIBUTES[event_class]
        if unknown:
            raise ContentError(_FILE, None, f"unit {name!r}: {event_class} has no {', '.join(sorted(unknown))}")
        found[name] = unit
    return found


@cache
def unit_names() -> tuple[str, ...]:
    """The names of the units, in file order."""
    return tuple(_content()["units"])


@cache
def facets() -> Mapping[str, Facet]:
    """Every attribute that may be named in a counting sentence."""
    return {name: Facet(**entry) for name, entry in _content()["facets"].items()}
