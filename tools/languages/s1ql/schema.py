"""The fields of S1QL 1.0, their types and closed lists of values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

COLLECTIONS = ("events",)
MAX_LIST = 100
"""Items in one In list."""
MAX_ORS = 10
"""About as many ORs as a query may hold; an empirical limit."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `type`: string, int, bool, timestamp, enum."""

    name: str
    type: str
    values: tuple[str, ...] = ()
    """Every value of an enum, as the vendor spells it; empty when they are not documented."""
    inferred: bool = False
    """The type is read off the name and not documented."""
    v2: str | None = None
    """Name in S1QL 2.0."""
    use: str | None = None
    """A name of old; this one has taken its place."""


@cache
def fields() -> Mapping[str, Field]:
    """Every field by its name in lower case, since names are the same in any case.

    Source: LANGUAGES appendix A; names of old are the keys of events in VENDOR_APIS 2.4 and in public clients.
    """
    content = json.loads(files("tracehound.tools.languages.s1ql").joinpath("fields.json").read_text(encoding="utf-8"))
    return {name.lower(): _field(name, entry, content) for name, entry in content.items()}


def _field(name: str, entry: Mapping[str, Any], content: Mapping[str, Mapping[str, Any]]) -> Field:
    """A field; a name of old is of the type of the name that has taken its place."""
    newer = entry.get("use")
    facts = content[newer] if newer else entry
    inferred = newer is not None or facts.get("inferred", False)
    return Field(name, facts["type"], tuple(facts.get("values", ())), inferred, entry.get("v2"), newer)


@cache
def by_v2() -> Mapping[str, str]:
    """Names of S1QL 2.0 in lower case to those of 1.0."""
    return {field.v2.lower(): field.name for field in fields().values() if field.v2}


def lookup(name: str) -> Field | None:
    """A field by its name in any case."""
    return fields().get(name.lower())
