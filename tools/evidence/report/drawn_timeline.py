"""The timeline as a drawing: a lane for each host, a mark for each entry, time from left to right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from .axis import Axis, Break, Tick
from .tactics import Tactic

WIDTH, GUTTER, MARGIN = 800, 118, 14
MOST_LANES = 24
STEP = 11.0
"""Distance of marks that would cover each other, in drawing units."""
MOST_LEVELS = 9


@dataclass(frozen=True, slots=True)
class Happened:
    """What is to be drawn of an entry; `place` is its position in the timeline."""

    place: int
    time: datetime
    until: datetime | None
    host: str
    tactic: Tactic
    verdict: Literal["suspicious", "context", "benign"]
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """One drawn entry; `width` is above zero for what lasted."""

    of: Happened
    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Lane:
    """One host's line."""

    name: str
    top: float
    middle: float
    height: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything that the template draws."""

    width: int
    height: float
    gutter: int
    lanes: tuple[Lane, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    breaks: tuple[Break, ...]
    foot: float
    """Where the lanes end and the labels of the axis begin."""


def draw_timeline(entries: Sequence[Happened]) -> Drawing | None:
    """Lay out the entries; None when there is nothing to draw."""
    if not entries:
        return None
    moments = [moment for entry in entries for moment in (entry.time, entry.until) if moment]
    axis = Axis.over(moments, GUTTER + MARGIN, WIDTH - MARGIN)
    lanes: list[Lane] = []
    marks: list[Mark] = []
    top = 8.0
    for name, held in _by_lane(entries):
        levels = list(_levels(held, axis))
        height = 26 + STEP * max((level for _, _, _, level in levels), default=0)
        middle = top + height - 13
        lanes.append(Lane(name, top, middle, height))
        marks += [Mark(entry, x, middle - STEP * level, width) for entry, x, width, level in levels]
        top += height
    return Drawing(
        width=WIDTH,
        height=top + 38,
        gutter=GUTTER,
        lanes=tuple(lanes),
        marks=tuple(marks),
        ticks=axis.ticks(),
        breaks=axis.breaks,
        foot=top,
    )


def _by_lane(entries: Sequence[Happened]) -> Iterable[tuple[str, list[Happened]]]:
    lanes: dict[str, list[Happened]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.time, entry.place)):
        name = entry.host or "no host"
        if name not in lanes and len(lanes) >= MOST_LANES - 1:
            name = "other hosts"
        lanes.setdefault(name, []).append(entry)
    return lanes.items()


def _levels(entries: Sequence[Happened], axis: Axis) -> Iterable[tuple[Happened, float, float, int]]:
    """Each entry with its place, its width, and how far it is lifted to be seen beside the others."""
    free = [float("-inf")] * MOST_LEVELS
    for entry in entries:
        x = axis.place(entry.time)
        width = max(axis.place(entry.until) - x, 0.0) if entry.until else 0.0
        level = next((level for level, edge in enumerate(free) if x - edge >= STEP), MOST_LEVELS - 1)
        free[level] = x + width
        yield entry, x, width, level
