"""A time axis that leaves out what is empty: busy spans get room, long pauses become a marked break."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

BREAK = 38.0
"""Width of a pause that is left out, in drawing units."""
MOST_BREAKS = 5
LONG = 0.12
"""A pause is left out when it takes more than this part of the whole time."""
_STEPS = tuple(
    timedelta(seconds=seconds)
    for seconds in (1, 5, 15, 30, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400, 604_800, 2_592_000)
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A span that is drawn to scale."""

    start: datetime
    end: datetime
    left: float
    right: float

    def place(self, moment: datetime) -> float:
        """Where a moment of this stretch stands."""
        span = (self.end - self.start).total_seconds()
        if span == 0:
            return (self.left + self.right) / 2
        return self.left + (self.right - self.left) * (moment - self.start).total_seconds() / span


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on the axis; `day` is written where the date changes."""

    x: float
    time: str
    day: str


@dataclass(frozen=True, slots=True)
class Break:
    """A pause that is left out, and how long it was."""

    x: float
    pause: str


@dataclass(frozen=True)
class Axis:
    """Places of moments between two edges. Every moment that it was made of lies in a stretch."""

    stretches: tuple[Stretch, ...]

    @classmethod
    def over(cls, moments: Sequence[datetime], left: float, right: float, pause: float = BREAK) -> "Axis":
        """The axis of at least one moment between two edges; `pause` is the width of what is left out."""
        ordered = sorted(set(moments))
        whole = (ordered[-1] - ordered[0]).total_seconds()
        pauses = sorted(pairwise(ordered), key=lambda pair: pair[1] - pair[0], reverse=True)[:MOST_BREAKS]
        left_out = {start for start, end in pauses if (end - start).total_seconds() > LONG * whole}
        spans: list[list[datetime]] = [[]]
        for moment in ordered:
            spans[-1].append(moment)
            if moment in left_out:
                spans.append([])
        return cls(tuple(_stretches([span for span in spans if span], left, right, pause)))

    def place(self, moment: datetime) -> float:
        """Where a moment stands."""
        inside = (stretch for stretch in self.stretches if moment <= stretch.end)
        return next(inside, self.stretches[-1]).place(moment)

    @property
    def breaks(self) -> tuple[Break, ...]:
        """The pauses between the stretches."""
        return tuple(
            Break((before.right + after.left) / 2, duration(after.start - before.end))
            for before, after in pairwise(self.stretches)
        )

    def ticks(self, room: float = 62.0) -> tuple[Tick, ...]:
        """Labelled places at round times, at least `room` apart."""
        found: list[Tick] = []
        day = ""
        for stretch in self.stretches:
            for moment in _round_times(stretch, room):
                x = stretch.place(moment)
                if found and x - found[-1].x < room:
                    continue
                today = f"{moment:%m-%d}"
                seconds = "%H:%M:%S" if moment.second else "%H:%M"
                found.append(Tick(x, f"{moment:{seconds}}", today if today != day else ""))
                day = today
        return tuple(found)


def _stretches(spans: Sequence[Sequence[datetime]], left: float, right: float, pause: float) -> list[Stretch]:
    """Half of the room goes by duration, half by how much there is to see."""
    room = right - left - pause * (len(spans) - 1)
    seconds = [(span[-1] - span[0]).total_seconds() for span in spans]
    whole, number = sum(seconds) or 1.0, sum(map(len, spans))
    found, at = [], left
    for span, duration_ in zip(spans, seconds, strict=True):
        width = room * (0.5 * duration_ / whole + 0.5 * len(span) / number)
        if not sum(seconds):
            width = room / len(spans)
        found.append(Stretch(span[0], span[-1], at, at + width))
        at += width + pause
    return found


def _round_times(stretch: Stretch, room: float) -> list[datetime]:
    span = stretch.end - stretch.start
    most = max(int((stretch.right - stretch.left) // room), 1)
    step = next((step for step in _STEPS if step * most >= span), _STEPS[-1])
    first = datetime.fromtimestamp(-(-stretch.start.timestamp() // step.total_seconds()) * step.total_seconds(), UTC)
    times: list[datetime] = []
    while first <= stretch.end and len(times) <= most:
        times.append(first)
        first += step
    return times or [stretch.start]


def duration(span: timedelta) -> str:
    """A span in its two largest units: `9 h 45 min`."""
    seconds = int(span.total_seconds())
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        number, seconds = divmod(seconds, size)
        if number or parts:
            parts.append(f"{number} {name}" if number else "")
    return " ".join(filter(None, parts[:2])) or "0 s"
