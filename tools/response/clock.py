"""Time as authority sees it: deadlines hold on the wall clock and on the monotonic clock, whichever passes first.

Stepping the wall clock back does not lengthen an approval, because the monotonic clock of the machine runs on.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of both clocks."""

    wall: datetime
    """Aware UTC."""
    monotonic: float
    """Seconds; comparable between processes of one machine until it restarts."""


def system_moment() -> Moment:
    """Read the clocks of this machine."""
    return Moment(datetime.now(UTC), time.monotonic())


Clock = Callable[[], Moment]


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time on both clocks."""

    set_at: Moment
    ends: Moment

    @classmethod
    def after(cls, start: Moment, span: timedelta) -> "Deadline":
        """The deadline `span` after `start`."""
        return cls(start, Moment(start.wall + span, start.monotonic + span.total_seconds()))

    def passed(self, now: Moment) -> bool:
        """Whether it is over on either clock. After a restart of the machine the monotonic proof is gone: passed."""
        restarted = now.monotonic < self.set_at.monotonic
        return restarted or now.wall >= self.ends.wall or now.monotonic >= self.ends.monotonic
