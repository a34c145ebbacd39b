"""How fast a client may call and how often it may try again, on a clock that tests and the lab can move."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio


def wall_clock() -> datetime:
    """The machine's time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Time for waits, tokens and rate limits. The lab gives one that jumps instead of sleeping."""

    now: Callable[[], datetime] = wall_clock
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    chance: Callable[[], float] = random.random
    """A number in [0, 1) that spreads retries."""

    def seconds(self) -> float:
        """Now, in seconds since 1970."""
        return self.now().timestamp()


class Rate:
    """A rate budget: `calls` per `seconds`, at most `burst` of them at once. Callers queue in the order they come.

    Each caller reserves the next free moment (the generic cell rate algorithm), so no lock is held while waiting.
    """

    def __init__(self, calls: float, seconds: float, *, burst: int = 1) -> None:
        self._gap = seconds / calls
        self._slack = (burst - 1) * self._gap
        self._next = 0.0

    async def turn(self, clock: Clock) -> None:
        """Wait for the caller's turn."""
        now = clock.seconds()
        moment = max(self._next, now)
        self._next = moment + self._gap
        wait = moment - now - self._slack
        if wait > 0:
            await clock.sleep(wait)


class Spacing:
    """Calls of which one goes out at a time, each `seconds` after the one before has ended; with 0 they go at once.

    The end counts, not the turn: a call that was refused and tried again reached the vendor later than planned.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0
        self._lock = anyio.Lock()

    @asynccontextmanager
    async def turn(self, clock: Clock) -> AsyncIterator[None]:
        """Wait for the caller's turn; the call is made inside."""
        if not self._seconds:
            yield
            return
        async with self._lock:
            if (rest := self._next - clock.seconds()) > 0:
                await clock.sleep(rest)
            try:
                yield
            finally:
                self._next = clock.seconds() + self._seconds


class RetryBudget:
    """A bound on the retries of all calls of one vendor together, so that an outage is not answered with a storm.

    A retry costs 1, a success pays 0.1 back: in the long run at most one call in eleven is a retry.
    """

    def __init__(self, most: float = 20.0) -> None:
        self._most = self._left = most

    def spend(self) -> bool:
        """Take one retry; False when none is left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def earn(self) -> None:
        """Count a success."""
        self._left = min(self._most, self._left + 0.1)


def backoff(attempt: int, clock: Clock) -> float:
    """Seconds before the retry after the attempt with this number (from 1): 0.5, 1, 2, ... up to 20, less jitter."""
    return min(20.0, 0.5 * 2.0 ** (attempt - 1)) * (0.5 + 0.5 * clock.chance())
