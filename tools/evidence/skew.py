"""How far the clocks of platforms lie apart, estimated from twin records: one event that two platforms report.

Twins are told by what cannot recur (a process by host, name, id and command; a connection by its ports; a file by path and
writer), never by their times, so that a clock that is hours off is seen as well. Pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from ..languages.vocabulary import EventClass
from .event import Event
from .values import base_name

ASSUMED = timedelta(seconds=3)
"""How far clocks may lie apart where no twins tell."""
LEAST = timedelta(seconds=1)
"""Stamps are not trusted further than this, whatever the twins say."""
FARTHEST = timedelta(hours=15)
"""Twins farther apart are two events with recycled ids; no two zones lie farther apart than this."""
FEWEST = 3
_QUARTER = 900.0

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offset:
    """`other`'s stamps are `by` later than `one`'s on the average of so many twins; `spread` is how much twins differ."""

    one: str
    other: str
    by: timedelta
    spread: timedelta
    twins: int

    @property
    def zone_hours(self) -> float | None:
        """Hours of a time zone that the offset looks like: local time written as UTC; None for plain drift."""
        seconds = self.by.total_seconds()
        near = round(seconds / _QUARTER) * _QUARTER
        return near / 3600 if abs(near) >= 1_800 and abs(seconds - near) <= 30 else None

    def sentence(self) -> str:
        """What an analyst must know of it."""
        way = "earlier" if self.by < timedelta(0) else "later"
        told = f"{self.other} stamps the same events {_length(abs(self.by))} {way} than {self.one}"
        zone = self.zone_hours
        looks = f"; it looks like local time of UTC{zone:+g} h written as UTC" if zone else ""
        return f"{told} (median of {self.twins} twin records){looks}: closer than that, their order is not established"


def offsets(events: Iterable[Event]) -> tuple[Offset, ...]:
    """The offset of every pair of platforms with enough twins, by name."""
    held: dict[Key, dict[str, list[Event]]] = defaultdict(lambda: defaultdict(list))
    for event in events:
        key = _key(event)
        if key is not None and event.time is not None:
            held[key][event.platform.value].append(event)
    apart: dict[tuple[str, str], list[float]] = defaultdict(list)
    for reports in held.values():
        # A key that one platform has twice tells no twin from the other.
        single = {platform: found[0] for platform, found in sorted(reports.items()) if len(found) == 1}
        names = list(single)
        for at, one in enumerate(names):
            for other in names[at + 1 :]:
                first, second = single[one].time, single[other].time
                assert first is not None
                assert second is not None
                if abs(second - first) <= FARTHEST:
                    apart[one, other].append((second - first).total_seconds())
    return tuple(_offset(pair, seconds) for pair, seconds in sorted(apart.items()) if len(seconds) >= FEWEST)


def _offset(pair: tuple[str, str], seconds: Sequence[float]) -> Offset:
    middle = median(seconds)
    spread = median(abs(item - middle) for item in seconds)
    return Offset(*pair, timedelta(seconds=middle), timedelta(seconds=spread), len(seconds))


def allowance(events: Iterable[Event]) -> timedelta:
    """How far two stamps must lie apart for their order to be established."""
    found = offsets(events)
    if not found:
        return ASSUMED
    return max(LEAST, *(abs(item.by) + 3 * item.spread for item in found))


def telling(events: Iterable[Event]) -> tuple[Offset, ...]:
    """The offsets that a reader must be told."""
    return tuple(item for item in offsets(events) if abs(item.by) >= LEAST)


def _length(span: timedelta) -> str:
    seconds = span.total_seconds()
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7_200 else f"{seconds / 3600:.2f} h"


def _key(event: Event) -> Key | None:
    """What tells one event from every other of its host without its time; None where nothing does."""
    host = (event.host or "").lower()
    if not host:
        return None

    def text(*names: str) -> tuple[str, ...] | None:
        found = tuple(event.text(name).lower() for name in names)
        return found if all(found) else None

    match event.event_class:
        case EventClass.PROCESS if event.text("activity") == "Launch":
            parts = text("process.pid", "process.cmd_line")
            name = base_name(event.text("process.name") or event.text("process.path")).lower()
            return (host, "launch", name, *parts) if parts and name else None
        case EventClass.NETWORK:
            ends = text("dst_endpoint.ip", "dst_endpoint.port", "src_endpoint.port")
            return (host, "connection", event.text("connection.direction"), *ends) if ends else None
        case EventClass.FILE:
            parts = text("file.path", "actor.process.pid")
            return (host, "file", event.text("activity"), *parts) if parts else None
        case _:
            return None
