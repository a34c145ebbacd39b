"""Calls that wait for one another, and calls that need not."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from tracehound.tools.vendors.pacing import Clock, Spacing

pytestmark = pytest.mark.anyio


class Hands:
    """A clock that jumps."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    def clock(self) -> Clock:
        return Clock(now=lambda: self.moment, sleep=self.sleep)


async def most_at_once(spacing: Spacing, clock: Clock) -> int:
    """How many of five calls were under way together."""
    under_way = most = 0

    async def call() -> None:
        nonlocal under_way, most
        async with spacing.turn(clock):
            under_way += 1
            most = max(most, under_way)
            await anyio.lowlevel.checkpoint()
            under_way -= 1

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(call)
    return most


async def test_calls_with_a_gap_go_one_at_a_time() -> None:
    hands = Hands()
    began = hands.moment
    assert await most_at_once(Spacing(60), hands.clock()) == 1
    assert hands.moment - began == timedelta(seconds=4 * 60)


async def test_calls_without_a_gap_go_together() -> None:
    hands = Hands()
    assert await most_at_once(Spacing(0), hands.clock()) == 5
