"""Rows told apart by what they share with an earlier row, and by what they differ in: one session, two addresses.

A spot (`tools.hunt_relations`) is a behaviour that no row shows by itself, so it labels rows after they are known. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from ..tools.evidence.event import Event
from ..tools.hunt_relations import Spot
from ..tools.hunts import Hunt, bind
from ..tools.languages.search import matches
from ..tools.library import Label


def spotted(hunts: Iterable[Hunt], events: Iterable[Event]) -> Mapping[str, list[Label]]:
    """Evidence id to the labels that rows get for what they share with an earlier row, and differ in."""
    held = [event for event in events if event.time is not None]
    found: dict[str, list[Label]] = {}
    for hunt in hunts:
        for spot in hunt.relations.spot:
            where = bind(next(item for item in hunt.searches if item.id == spot.search).where, {})
            event_class = next(item.event_class for item in hunt.searches if item.id == spot.search)
            rows = [event for event in held if event.event_class is event_class and matches(where, event.fields)]
            techniques = spot.techniques or hunt.techniques
            for event in _newcomers(spot, rows):
                signal = "context" if is_benign(spot, event) else spot.signal
                found.setdefault(event.evidence, []).append(Label(hunt.id, spot.id, signal, spot.says, techniques))
    return found


def is_benign(spot: Spot, event: Event) -> bool:
    """Whether a spotted row carries the fact that rules it out."""
    return spot.benign is not None and matches(spot.benign, event.fields)


def _newcomers(spot: Spot, rows: Sequence[Event]) -> Iterable[Event]:
    """Rows whose differing value is not that of the row that they share the rest with."""
    groups: dict[tuple[str, ...], list[Event]] = {}
    for event in rows:
        shared = tuple(event.text(name).lower() for name in spot.shares)
        if all(shared) and event.text(spot.differs):
            groups.setdefault(shared, []).append(event)
    for events in groups.values():
        events.sort(key=lambda event: (event.time, event.evidence))
        yield from _apart(spot, events)


def _apart(spot: Spot, events: Sequence[Event]) -> Iterable[Event]:
    within = timedelta(minutes=spot.within_minutes) if spot.within_minutes else None
    usual = events[0].text(spot.differs).lower()
    for at, event in enumerate(events):
        own = event.text(spot.differs).lower()
        if within is None:
            if own != usual:
                yield event
            continue
        assert event.time is not None
        earlier = (other for other in events[:at] if other.time and event.time - other.time <= within)
        if any(other.text(spot.differs).lower() != own for other in earlier):
            yield event
