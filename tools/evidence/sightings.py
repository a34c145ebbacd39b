"""First and last seen of an entity in a case, with the windows that were searched: a first sighting is worth its window."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from .entities import entity_values
from .records import Evidence, QueryRecord, WindowRecord
from .values import account_name, short_host


@dataclass(frozen=True, slots=True)
class Sighting:
    """When an entity was seen, in which rows, and from when to when each platform was searched for rows at all."""

    kind: str
    value: str
    first: Evidence
    last: Evidence
    rows: int
    hosts: tuple[str, ...]
    platforms: tuple[str, ...]
    windows: tuple[tuple[str, WindowRecord], ...]
    """Platform and window of the queries that returned such rows or looked for them."""
    whole: bool
    """Whether every such query was complete: an earlier or later row may be missing otherwise."""

    def sentence(self) -> str:
        """`10.4.0.9 was first seen ... and last seen ...`, with the windows that this rests on."""
        first, last = _stamp(self.first.time), _stamp(self.last.time)
        spans = ", ".join(f"{name} {_stamp(span.start)} to {_stamp(span.end)}" for name, span in self.windows)
        seen = f"was seen once, {first}" if self.rows == 1 else f"was first seen {first} and last seen {last}"
        cut = "" if self.whole else "; not every search was complete"
        return f"{self.value} {seen}, within what was searched: {spans}{cut}"


def sighted(kind: str, value: str, evidence: Iterable[Evidence], queries: Sequence[QueryRecord]) -> Sighting | None:
    """First and last row that names an entity; None where no timed row does.

    Args:
        kind: An entity type of `entities.ENTITY_ATTRIBUTES`, such as `ip` or `user`.
        value: Its value; hosts with or without domain, accounts likewise.
        evidence: Rows of the case.
        queries: Queries of the case.
    """
    wanted = _folded(kind, value)
    found = [
        row
        for row in evidence
        if row.time and wanted in {_folded(kind, item) for item in entity_values(row.fields).get(kind, ())}
    ]
    if not found:
        return None
    found.sort(key=lambda row: (str(row.time), row.id))
    by_id = {query.id: query for query in queries}
    asked = [
        query for query in queries if query.id in {row.query for row in found} or value.lower() in query.text.lower()
    ]
    searched = [query for query in asked if query.status == "ok"]
    return Sighting(
        kind=kind,
        value=value,
        first=found[0],
        last=found[-1],
        rows=len(found),
        hosts=tuple(dict.fromkeys(row.host for row in found if row.host)),
        platforms=tuple(dict.fromkeys(row.platform for row in found)),
        windows=_spans(searched),
        whole=all(query.complete for query in asked) and all(row.query in by_id for row in found),
    )


def _spans(queries: Iterable[QueryRecord]) -> tuple[tuple[str, WindowRecord], ...]:
    """One span a platform: from the earliest start to the latest end of its searches."""
    spans: dict[str, WindowRecord] = {}
    for query in queries:
        held = spans.get(query.platform, query.window)
        spans[query.platform] = WindowRecord(
            start=min(held.start, query.window.start), end=max(held.end, query.window.end)
        )
    return tuple(sorted(spans.items()))


def _folded(kind: str, value: str) -> str:
    match kind:
        case "host":
            return (short_host(value) or "").lower()
        case "user":
            return account_name(value)
        case _:
            return value.lower()


def _stamp(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%SZ}" if moment else "at no known time"
