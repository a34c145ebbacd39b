"""Numbers in prose: counts, sizes and spans of time, recomputed from the cited rows."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from .event import Event

_WORDS: Mapping[str, float] = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "twenty": 20,
    "thirty": 30, "forty": 40, "fifty": 50, "hundred": 100, "half an": 0.5, "half a": 0.5, "two and a half": 2.5,
    "one and a half": 1.5, "three and a half": 3.5,
}  # fmt: skip
_NUMBER = rf"(?:\d[\d,]*(?:\.\d+)?|{'|'.join(sorted(map(re.escape, _WORDS), key=len, reverse=True))})"
_UNIT: Mapping[str, float] = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_SPAN = re.compile(
    rf"(?P<how>within|less than|under|more than|over|at least|only|about|around|some|nearly|almost|after)?\s*"
    rf"\b(?P<n>{_NUMBER}) (?P<unit>second|minute|hour|day|week)s?\b",
    re.IGNORECASE,
)
_RECENT = re.compile(r"\b(?:last|past|previous|next|within|every|each)\s+(?:\w+\s+)?$", re.IGNORECASE)
_SIZE = re.compile(rf"\b(?P<n>{_NUMBER}) ?(?P<unit>[kmgt]b)\b", re.IGNORECASE)
_COUNT = re.compile(
    rf"(?<![\w.:/\\#-])(?P<n>\d{{1,6}}|{'|'.join(w for w, n in _WORDS.items() if n >= 2 and ' ' not in w)})"
    r"(?: (?:different|distinct|other|separate|of the|of them))?(?: (?P<noun>[a-z]{3,}))",
    re.IGNORECASE,
)
_AT_A_TIME = re.compile(
    r"(?:second|minute|hour|day|week|month|year)s?$|percent|th$|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*$",
    re.I,
)
_ABOUT = 0.2
"""Share by which `about` and its like may miss."""


def bad_number(text: str, events: Sequence[Event], happenings: int, held: str, units: Mapping[str, int]) -> str | None:
    """The first number that the rows do not give.

    Args:
        text: The sentence.
        events: The cited rows.
        happenings: How many happenings they report.
        held: All text of the rows, in lower case.
        units: Bytes of each unit of size.
    """
    return _bad_span(text, events) or _bad_size(text, events, units) or _bad_count(text, events, happenings, held)


def _value(word: str) -> float:
    return _WORDS.get(word.lower()) or float(word.replace(",", ""))


def _bad_span(text: str, events: Sequence[Event]) -> str | None:
    times = sorted({event.time for event in events if event.time})
    if len(times) < 2:
        return None
    gaps = _gaps(times)
    for found in _SPAN.finditer(text):
        if _RECENT.search(text[: found.start("n")]) and (found["how"] or "").lower() != "within":
            continue
        length, unit = _value(found["n"]) * _UNIT[found["unit"].lower()], _UNIT[found["unit"].lower()]
        if not any(_fits(gap, length, unit, (found["how"] or "").lower(), found["n"]) for gap in gaps):
            return f"no two cited rows lie {found[0].strip()} apart"
    return None


def _gaps(times: Sequence[datetime]) -> list[float]:
    """Seconds between neighbours, between ends, and between every pair where the rows are few."""
    if len(times) > 40:
        times = [times[0], *times[:: len(times) // 20], times[-1]]
    return [(later - earlier) / timedelta(seconds=1) for at, earlier in enumerate(times) for later in times[at + 1 :]]


def _fits(gap: float, length: float, unit: float, how: str, written: str) -> bool:
    match how:
        case "within" | "less than" | "under":
            return gap <= length * (1 + _ABOUT / 4)
        case "more than" | "over" | "at least":
            return length * (1 - _ABOUT / 4) <= gap <= 3 * length
        case _:
            loose = how in ("about", "around", "some", "nearly", "almost") or not written.isdigit()
            return abs(gap - length) <= max(length * _ABOUT if loose else length * 0.1, unit / 2)


def _bad_size(text: str, events: Sequence[Event], units: Mapping[str, int]) -> str | None:
    names = ("traffic.bytes_out", "traffic.bytes_in", "file.size")
    held = [float(number) for event in events for name in names if (number := event.text(name)).isdigit()]
    for found in _SIZE.finditer(text):
        wanted = _value(found["n"]) * units[found["unit"].lower()]
        if not any(0.85 * wanted <= size <= 1.15 * wanted for size in (*held, sum(held))):
            return f"no cited row holds the size {found[0]}"
    return None


def _bad_count(text: str, events: Sequence[Event], happenings: int, held: str) -> str | None:
    possible: set[int] | None = None
    for found in _COUNT.finditer(text):
        if _AT_A_TIME.search(found["noun"]) or re.search(
            r"\bport $|\bday $|\bbetween $|\band $", text[: found.start()], re.I
        ):
            continue
        number = int(_value(found["n"]))
        if found["n"].isdigit() and 1990 <= number < 2100:
            continue
        if found["n"].isdigit() and re.search(rf"(?<![\w.]){found['n']} {re.escape(found['noun'].lower())}", held):
            continue
        possible = _counts(events, happenings) if possible is None else possible
        if number not in possible and not (number > 31 and re.search(rf"(?<![\w.:]){number}(?![\w.:])", held)):
            return f"the cited rows do not add up to {found[0]}"
    return None


def _counts(events: Sequence[Event], happenings: int) -> set[int]:
    """What may be counted of rows: the rows, the happenings, and the distinct values of an attribute."""
    names = Counter(name for event in events for name in event.fields)
    distinct = {len(set(_folded(event.text(name) for event in events))) for name in names}
    repeated = {number for name in names for number in Counter(_folded(e.text(name) for e in events)).values()}
    return {len(events), happenings, *distinct, *repeated}


def _folded(values: Iterable[str]) -> list[str]:
    return [value.casefold() for value in values if value]
