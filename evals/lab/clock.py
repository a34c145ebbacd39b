"""Time as the lab's vendors see it.

Telemetry ends at a fixed moment, which is what `now` means in every query. Beside it runs the servers' own time: rate
limits, tokens and containment. In process nobody waits for that time: a client that must wait says so to `sleep`, and
the clock jumps. In real time the clock is the wall's.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappush
from itertools import count

import anyio

from .state import LabState

_LOOK = 0.001
"""Seconds between two looks at whether everybody else is waiting too."""


class LabClock:
    """The servers' time, shared by all processes of a lab through its state.

    `telemetry_end` is the lab's clock as users see it: it never moves.
    """

    def __init__(self, state: LabState, telemetry_end: datetime, *, real_time: bool = False) -> None:
        self.telemetry_end = telemetry_end.astimezone(UTC)
        self.real_time = real_time
        self._state = state
        self._waited = 0.0
        self._sleepers: list[tuple[float, int]] = []
        self._order = count()
        self._working = 0
        self._activity = 0
        self._started = time.monotonic()

    def now(self) -> datetime:
        """The moment for this process: what its clients' tokens, retries and rate limits run by."""
        return self.telemetry_end + timedelta(seconds=self.waited)

    def stamp(self) -> str:
        """The moment for the whole lab, ISO 8601 with Z: what is written into records."""
        moment = self.telemetry_end + timedelta(seconds=self.elapsed)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def elapsed(self) -> float:
        """Seconds since the lab was made, by the servers' time."""
        if self.real_time:
            self._follow_the_wall()
        return self._state.elapsed()

    @property
    def waited(self) -> float:
        """Seconds of the servers' time that passed for this process: what its own jobs and cursors expire by."""
        if self.real_time:
            self._follow_the_wall()
        return self._waited

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        if seconds > 0:
            self._waited += seconds
            self._state.advance(seconds)

    async def sleep(self, seconds: float) -> None:
        """Wait on the servers' time.

        Sleepers wake in the order of their moments, and only while no request is being answered, so that one client's
        long wait does not run another's job out of time.
        """
        if self.real_time:
            await anyio.sleep(seconds)
            return
        ticket = (self._waited + max(seconds, 0.0), next(self._order))
        heappush(self._sleepers, ticket)
        try:
            seen = -1
            while self._working or self._sleepers[0] != ticket or seen != self._activity:
                seen = self._activity
                await anyio.sleep(_LOOK)
            self.advance(ticket[0] - self._waited)
        finally:
            self._drop(ticket)

    @contextmanager
    def working(self) -> Iterator[None]:
        """A request is being answered: time stands still."""
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self._activity += 1

    def _drop(self, ticket: tuple[float, int]) -> None:
        self._sleepers.remove(ticket)
        heapify(self._sleepers)
        self._activity += 1

    def _follow_the_wall(self) -> None:
        passed = time.monotonic() - self._started
        self._started += passed
        self._waited += passed
        self._state.advance(passed)
