"""Taking the time of an ask: the stages of its graph, and the queries that its vendors answered."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from ...tools.languages.query import Platform, Query
from ...tools.vendors.estate import Estate, QueryRun, Reader, Row

STAGES = ("route", "scope", "think", "search", "evidence", "runbooks", "timeline", "verify", "propose")

Span = tuple[float, float]
"""Start and end, in seconds of `time.perf_counter`."""


class StageClock(BaseCallbackHandler):
    """Writes down when each node of a graph ran; LangChain calls it."""

    run_inline = True

    def __init__(self) -> None:
        self.spans: dict[str, list[Span]] = {}
        self._open: dict[UUID, tuple[str, float]] = {}

    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A runnable starts; only whole nodes are of interest, not what runs inside of them."""
        name = kwargs.get("name")
        if name and name == (metadata or {}).get("langgraph_node"):
            self._open[run_id] = (name, time.perf_counter())

    def on_chain_end(self, outputs: dict[str, Any], *, run_id: UUID, **kwargs: Any) -> None:
        """A runnable ends."""
        if run_id in self._open:
            name, start = self._open.pop(run_id)
            self.spans.setdefault(name, []).append((start, time.perf_counter()))


_clock: ContextVar[StageClock | None] = ContextVar("stage_clock", default=None)
register_configure_hook(_clock, inheritable=True)


@contextmanager
def stage_clock() -> Iterator[StageClock]:
    """Takes the time of every graph that runs inside."""
    clock = StageClock()
    token = _clock.set(clock)
    try:
        yield clock
    finally:
        _clock.reset(token)


@dataclass(frozen=True)
class Call:
    """One query that a reader answered."""

    query: Query
    span: Span

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.span[1] - self.span[0]


@dataclass
class Logbook:
    """The queries of one ask."""

    calls: list[Call] = field(default_factory=list)

    def rounds(self) -> list[list[Call]]:
        """Queries that ran side by side: a round is whatever overlaps, since a round waits for the one before it."""
        found: list[list[Call]] = []
        until = float("-inf")
        for call in sorted(self.calls, key=lambda call: call.span[0]):
            if call.span[0] < until:
                found[-1].append(call)
            else:
                found.append([call])
            until = max(until, call.span[1])
        return found

    def slowest(self) -> list[Call]:
        """The slowest query of every round; together they take what no ask with these rounds can beat."""
        return [max(batch, key=lambda call: call.seconds) for batch in self.rounds()]


class WatchedReader:
    """A reader that notes what it was asked."""

    def __init__(self, inner: Reader, book: Logbook) -> None:
        self.platforms = inner.platforms
        self._inner, self._book = inner, book

    async def run(self, query: Query) -> QueryRun:
        """Run a query and take its time."""
        start = time.perf_counter()
        try:
            return await self._inner.run(query)
        finally:
            self._book.calls.append(Call(query, (start, time.perf_counter())))

    async def find_alert(self, alert_id: str) -> tuple[Platform, str, Row] | None:
        """Ask the reader inside."""
        return await self._inner.find_alert(alert_id)

    async def aclose(self) -> None:
        """Close the reader inside."""
        await self._inner.aclose()


def watched(estate: Estate, book: Logbook) -> Estate:
    """The same estate, whose readers note what they are asked."""
    return replace(estate, readers=tuple(WatchedReader(reader, book) for reader in estate.readers))


def covered(spans: Sequence[Span]) -> float:
    """Seconds that at least one of the spans covers."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total
