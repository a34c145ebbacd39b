"""What is not known, and why: derived from the queries and from what was never asked. Every answer carries these."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from .event import Event
from .normalise import is_unparsed
from .records import Evidence, Gap, QueryRecord, WindowRecord
from .safe import safe, shorten
from .skew import telling


def find_gaps(
    queries: Iterable[QueryRecord],
    evidence: Iterable[Evidence] = (),
    *,
    window: WindowRecord | None = None,
    now: datetime | None = None,
    retention_days: Mapping[str, int] | None = None,
    not_queried: Mapping[str, str] | None = None,
    silent_hosts: Mapping[str, str] | None = None,
) -> tuple[Gap, ...]:
    """Every gap of an answer.

    Args:
        queries: What was asked, with coverage.
        evidence: Rows, to count those that could not be read.
        window: The question's window.
        now: The estate's clock.
        retention_days: Platform to the days for which it keeps raw events.
        not_queried: Platform to the reason why it was not asked.
        silent_hosts: Host to the reason why it has no telemetry.
    """
    asked, rows = list(queries), list(evidence)
    return (
        *_not_queried(asked, not_queried or {}),
        *_failed(asked),
        *_incomplete(asked),
        *_retention(asked, window, now, retention_days or {}),
        *(
            Gap(kind="no_telemetry", text=f"{safe(host)} has no telemetry: {safe(why)}")
            for host, why in sorted((silent_hosts or {}).items())
        ),
        *_unparsed(rows),
        *_clocks(rows),
    )


def _not_queried(asked: list[QueryRecord], reasons: Mapping[str, str]) -> Iterable[Gap]:
    for platform, why in sorted(reasons.items()):
        yield Gap(kind="not_queried", text=f"{platform} was not asked: {safe(why)}")
    for query in asked:
        if query.status in ("unsupported", "refused"):
            why = safe(query.error or "the check refuses the query")
            yield Gap(kind="not_queried", text=f"{_place(query)} was not asked: {why}", queries=(query.id,))


def _failed(asked: list[QueryRecord]) -> Iterable[Gap]:
    for query in asked:
        if query.status == "error":
            why = shorten(safe(query.error or "no reason given"), 300)
            yield Gap(kind="failed", text=f"{_place(query)} gave no answer: {why}", queries=(query.id,))


def _incomplete(asked: list[QueryRecord]) -> Iterable[Gap]:
    for query in asked:
        if query.status == "ok" and not query.complete:
            of = f" of {query.total}" if query.total is not None else ""
            why = shorten(safe(query.incomplete_because or "its coverage is not known"), 300)
            text = f"{_place(query)} returned {query.rows}{of} rows and is not complete: {why}"
            yield Gap(kind="capped", text=text, queries=(query.id,))


def _retention(
    asked: list[QueryRecord], window: WindowRecord | None, now: datetime | None, days: Mapping[str, int]
) -> Iterable[Gap]:
    if window is None or now is None:
        return
    answered = [query for query in asked if query.status == "ok"]
    for platform in sorted({query.platform for query in answered} & days.keys()):
        edge = now - timedelta(days=days[platform])
        if window.start < edge:
            ids = tuple(query.id for query in answered if query.platform == platform)
            kept = f"{edge:%Y-%m-%d %H:%M}Z"
            text = f"{platform} keeps raw events for {days[platform]} days: nothing before {kept} can be seen there"
            yield Gap(kind="retention", text=text, queries=ids)


def _unparsed(evidence: Iterable[Evidence]) -> Iterable[Gap]:
    unread = Counter(item.query for item in evidence if item.time is None or is_unparsed(item.fields))
    for query, count in sorted(unread.items()):
        rows = "1 row" if count == 1 else f"{count} rows"
        yield Gap(kind="unparsed", text=f"{rows} of {query} could not be placed in time", queries=(query,))


def _clocks(evidence: Iterable[Evidence]) -> Iterable[Gap]:
    for found in telling(Event.of(row) for row in evidence if row.time is not None):
        yield Gap(kind="clock", text=found.sentence())


def _place(query: QueryRecord) -> str:
    return f"{query.platform} {safe(query.collection)} ({query.id})"
