"""A query in one language for one platform, and the verdict of its check."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from .search import Search, Window
from .vocabulary import EventClass


class Platform(StrEnum):
    """Where a query can be sent."""

    FALCON = "falcon"
    SENTINELONE = "sentinelone"
    SENTINEL = "sentinel"
    DEFENDER = "defender"
    SPLUNK = "splunk"


UNCONNECTED = frozenset({Platform.SPLUNK})
"""Platforms that have no client yet: queries for them are written and checked, and sent nowhere."""


class Language(StrEnum):
    """Language of a query's text; `REST` is a vendor's list endpoint with typed parameters (SentinelOne threats)."""

    FQL = "fql"
    CQL = "cql"
    S1QL = "s1ql"
    KQL = "kql"
    POWERQUERY = "powerquery"
    SPL = "spl"
    REST = "rest"


Severity = Literal["error", "warning", "info"]
Code = Literal[
    "syntax",
    "unknown_collection",
    "unknown_column",
    "unknown_function",
    "type_mismatch",
    "bad_operator",
    "bad_value",
    "ambiguous",
    "silent_zero",
    "not_read_only",
    "unbounded",
    "too_complex",
]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding about a query. `start` and `end` are character offsets into the text, end excluded."""

    code: Code
    severity: Severity
    message: str
    start: int
    end: int
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Verdict on a query: `ok` is syntax, schema and types; `read_only` is the policy's word."""

    language: Language
    ok: bool
    read_only: bool
    diagnostics: tuple[Diagnostic, ...] = ()
    collections: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    @property
    def bounded(self) -> bool:
        """Whether the query limits its time span or its rows (see `unbounded`)."""
        return not any(item.code == "unbounded" for item in self.diagnostics)

    @property
    def sendable(self) -> bool:
        """A query leaves only when it is right, reads only, and is bounded."""
        return self.ok and self.read_only and self.bounded


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a language compiler makes of a search for one view."""

    text: str
    cannot_express: tuple[str, ...] = ()
    """Plain sentences on what the text leaves out; the rows are then a superset and are narrowed by `matches`."""


@dataclass(frozen=True, slots=True)
class Query:
    """Text in one language for one collection of one platform, checked."""

    platform: Platform
    language: Language
    collection: str
    text: str
    window: Window
    limit: int
    check: Check
    event_class: EventClass | None = None
    search: Search | None = None
    """The search it was compiled from; None for a raw query."""
    hunt: str | None = None
    """`hunt.id` or `hunt.id#search` that asked for it."""
    cannot_express: tuple[str, ...] = ()
