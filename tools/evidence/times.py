"""A row's time as it was written: the text, its zone, what it is in UTC, and how precise it is."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ..languages.views import View, all_views
from .normalise import raw_time
from .records import Evidence
from .values import parse_time, text_of

Precision = Literal["day", "minute", "second", "millisecond", "microsecond", "100 ns", "nanosecond"]

_ZONE = re.compile(r"(?P<utc>Z|\s*(?:UTC|GMT))$|(?P<offset>[+-]\d\d:?\d\d)$", re.IGNORECASE)
_CLOCK = re.compile(r"\d\d?:\d\d(?P<seconds>:\d\d(?:[.,](?P<fraction>\d+))?)?")
_DRIFTING = ("UtcTime", "SystemTime", "EventTime", "CreationUtcTime")
"""Fields in which one Windows event carries its time more than once: Sysmon's own clock and the log's."""


@dataclass(frozen=True, slots=True)
class Written:
    """A stamp. `zone` is `UTC`, an offset such as `+02:00`, `epoch`, or empty when the text gives none (taken as UTC)."""

    text: str
    zone: str
    utc: datetime
    precision: Precision


def read_stamp(value: Any, kind: str = "datetime") -> Written | None:
    """A vendor's time value; None when it is none.

    Args:
        value: Text or number.
        kind: `epoch_s` and `epoch_ms` say what a number counts.
    """
    utc = parse_time(value, kind)
    if utc is None:
        return None
    text = text_of(value).strip()
    if re.fullmatch(r"[+-]?\d+(\.\d+)?", text):
        return Written(text, "epoch", utc, _of_number(text))
    zone = _ZONE.search(text)
    written = "" if zone is None else "UTC" if zone["utc"] else zone["offset"]
    return Written(text, written, utc, _of_text(text))


def _of_number(text: str) -> Precision:
    whole, _, fraction = text.lstrip("+-").partition(".")
    if fraction or len(whole) <= 11:
        return "microsecond" if len(fraction) > 3 else "millisecond" if fraction else "second"
    return _up_to(len(whole), ((14, "millisecond"), (17, "microsecond"), (18, "100 ns")))


def _of_text(text: str) -> Precision:
    clock = _CLOCK.search(text)
    if clock is None:
        return "day"
    if not clock["seconds"]:
        return "minute"
    digits = len(clock["fraction"] or "")
    return _up_to(digits, ((0, "second"), (3, "millisecond"), (6, "microsecond"), (7, "100 ns")))


def _up_to(digits: int, sizes: Sequence[tuple[int, Precision]]) -> Precision:
    for most, name in sizes:
        if digits <= most:
            return name
    return "nanosecond"


def stamp_of(row: Evidence) -> Written | None:
    """The time of a row as its vendor wrote it; None where the row's view has no such field in it."""
    for view in _views(row):
        if found := read_stamp(raw_time(view, row.raw), view.attributes["time"].type):
            return found
    return None


def _views(row: Evidence) -> list[View]:
    return [
        view
        for view in all_views()
        if view.platform.value == row.platform
        and view.collection.lower() == row.collection.lower()
        and view.event_class.value == row.event_class
    ]


def drift(raw: Mapping[str, Any]) -> Mapping[str, float]:
    """Seconds by which the other time fields of one Windows event differ from the first; empty where it has one time.

    Sysmon stamps network and DNS events (3, 22) by its own clock when it writes them, so that `UtcTime` may lie seconds
    away from the log's time of the same event.
    """
    read = {name: found.utc for name in _DRIFTING if (found := read_stamp(raw.get(name))) is not None}
    first = next(iter(read.values()), None)
    return {name: (moment - first).total_seconds() for name, moment in read.items()} if first and len(read) > 1 else {}
