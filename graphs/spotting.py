"""Rows told apart by others: what shares a session and differs in the address, and what is the same every night.

A spot or a routine (`tools.hunt_relations`) is nothing that a row shows by itself, so both are found after the rows are
known: a spot labels a row, a routine takes the suspicion out of the labels that its hunt gave it. Pure.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from ..tools.evidence.event import Event
from ..tools.evidence.values import base_name
from ..tools.hunt_relations import Routine, Spot
from ..tools.hunts import Hunt, bind
from ..tools.languages.search import matches
from ..tools.library import Label


def spotted(hunts: Iterable[Hunt], events: Iterable[Event]) -> Mapping[str, list[Label]]:
    """Evidence id to the labels that rows get for what they share with an earlier row, and differ in."""
    held = [event for event in events if event.time is not None]
    found: dict[str, list[Label]] = {}
    for hunt in hunts:
        for spot in hunt.relations.spot:
            techniques = spot.techniques or hunt.techniques
            for event in _newcomers(spot, _rows_of(hunt, spot.search, held)):
                signal = "context" if is_benign(spot, event) else spot.signal
                found.setdefault(event.evidence, []).append(Label(hunt.id, spot.id, signal, spot.says, techniques))
    return found


def routine_days(hunts: Iterable[Hunt], events: Iterable[Event]) -> Mapping[tuple[str, str], int]:
    """Hunt and evidence id of rows that are routine, with the number of earlier days on which the same was seen."""
    held = [event for event in events if event.time is not None]
    found: dict[tuple[str, str], int] = {}
    for hunt in hunts:
        for routine in hunt.relations.routine:
            for name in routine.of:
                for event, days in _recurring(routine, _rows_of(hunt, name, held)):
                    found[hunt.id, event.evidence] = max(days, found.get((hunt.id, event.evidence), 0))
    return found


def _rows_of(hunt: Hunt, name: str, held: Iterable[Event]) -> list[Event]:
    """Rows that meet one of a hunt's searches, whatever its parameters may be."""
    search = next(search for search in hunt.searches if search.id == name)
    where = bind(search.where, {})
    return [event for event in held if event.event_class is search.event_class and matches(where, event.fields)]


def _recurring(routine: Routine, rows: Iterable[Event]) -> Iterable[tuple[Event, int]]:
    seen: dict[tuple[str, ...], set[date]] = {}
    for event in sorted(rows, key=lambda event: (event.time, event.evidence)):
        assert event.time is not None
        key = tuple(_plain(event, name) for name in routine.same)
        if not all(key):
            continue
        days, today = seen.setdefault(key, set()), event.time.date()
        earlier = len(days - {today})
        if earlier >= routine.days:
            yield event, earlier
        days.add(today)


def _plain(event: Event, name: str) -> str:
    """A value for comparing: hosts, accounts and programs by their short names."""
    if name == "device.hostname":
        return event.host or ""
    return base_name(event.text(name)).lower()


def without_suspicion(labels: Iterable[Label], hunts: Collection[str]) -> set[Label]:
    """Labels, those of some hunts as context."""
    suspicious = ("strong", "medium")
    return {
        replace(label, signal="context") if label.hunt in hunts and label.signal in suspicious else label
        for label in labels
    }


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
