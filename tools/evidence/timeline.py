"""All of a case's events as one merged timeline, in memory that does not grow with their number.

`merge` holds every event at once. Here events come from the store class by class in order of time, since only events of
one class are ever one happening; what is too old to grow is let go. Classes are shared out over processes.
"""

import gc
import heapq
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path

from ..languages.vocabulary import EventClass
from .case import Case
from .event import Event
from .merge import MIN_BURST, MIN_FILES, TIMELESS, TOLERANCE, Group, merge

PAUSES: Mapping[EventClass, timedelta] = {
    EventClass.EMAIL: timedelta(hours=2),
    EventClass.API: timedelta(minutes=30),
    EventClass.FILE: timedelta(minutes=1),
    EventClass.SMB: timedelta(minutes=1),
    EventClass.PROCESS: timedelta(minutes=5),
    EventClass.AUTHENTICATION: timedelta(minutes=10),
}
"""Longest pause within a burst of a class, by `merge`; of every other class a quarter of an hour."""
CHUNK = 20_000
"""Events that are merged at a time, at least."""
FEW = 50_000
"""With fewer events than this, further processes cost more than they save."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One happening or burst of the timeline, by the ids of its rows."""

    first: datetime
    last: datetime
    event_class: str
    kind: str
    count: int
    evidence: tuple[str, ...]


def timeline(home: Path, case_id: str, *, processes: int = 2) -> Iterator[Moment]:
    """The merged timeline of a case, in order of time; events without a time are left out.

    Args:
        home: TRACEHOUND_HOME.
        case_id: The case.
        processes: How many processes share the work.

    Raises:
        CaseError: there is no such case, or it cannot be read.
    """
    with Case.open(home, case_id, write=False) as case:
        counts = case.classes()
    shares = _shares(counts, processes if sum(counts.values()) > FEW else 1)
    if len(shares) == 1:
        found = [_moments_of(home, case_id, shares[0])]
    else:
        # A forked process would share locks and connections with this one.
        with ProcessPoolExecutor(len(shares), mp_context=get_context("spawn")) as pool:
            work = [pool.submit(_share, home, case_id, share) for share in shares]
            found = [item.result() for item in work]
    yield from heapq.merge(*found, key=attrgetter("first", "evidence"))


def _shares(counts: Mapping[str, int], processes: int) -> list[list[str]]:
    """Classes by process, the largest first to whoever has least."""
    shares: list[tuple[int, list[str]]] = [(0, []) for _ in range(max(processes, 1))]
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        least = min(range(len(shares)), key=lambda at: shares[at][0])
        shares[least] = shares[least][0] + count, [*shares[least][1], name]
    return [names for _, names in shares if names] or [[]]


def _share(home: Path, case_id: str, classes: Iterable[str]) -> list[Moment]:
    # Nothing here refers to itself, and looking for what does would take longer than the merge.
    gc.disable()
    return _moments_of(home, case_id, classes)


def _moments_of(home: Path, case_id: str, classes: Iterable[str]) -> list[Moment]:
    with Case.open(home, case_id, write=False) as case:
        found = [_moment(group) for name in classes for group in merged(case.events_of(name), EventClass(name))]
    return sorted(found, key=attrgetter("first", "evidence"))


def _moment(group: Group) -> Moment:
    ids = tuple(event.evidence for event in group.events)
    # One object where both are the same moment: most are, and there may be a million.
    last = group.first if group.last == group.first else group.last
    return Moment(group.first, last, group.events[0].event_class.value, group.kind, group.count, ids)


def merged(events: Iterable[Event], event_class: EventClass) -> Iterator[Group]:
    """Groups of one class's events, which come in order of time, as `merge` would make them of all at once."""
    if event_class in TIMELESS:
        yield from merge(events)
        return
    fewest = MIN_FILES if event_class is EventClass.FILE else MIN_BURST
    # A run of fewer happenings than make a burst may still become one, so that its first waits for the last.
    reach = fewest * (PAUSES.get(event_class, timedelta(minutes=15)) + TOLERANCE)
    held: list[Event] = []
    wanted = CHUNK
    for event in events:
        held.append(event)
        if len(held) >= wanted:
            assert event.time is not None
            edge = event.time - reach
            still: list[Event] = []
            for group in merge(held):
                if group.last < edge:
                    yield group
                else:
                    still += group.events
            held = still
            wanted = max(CHUNK, 3 * len(held))
    yield from merge(held)
