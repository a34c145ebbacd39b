"""When a recorded event happened, in UTC, found from the recording itself.

Shippers write the time of the log in the zone of the collector, without saying so, or say `Z` and mean local time, or
write a 12-hour clock without its half of the day. The rule:

1. `UtcTime` of Sysmon is UTC and precise, and is the time of its event, except for the network events 3 and 22: there
   it is the time of another thread, which can run seconds or minutes apart from the log.
2. For every other event the time is that of the log (the first of `EventTime`, `TimeCreated`, `SystemTime`,
   `@timestamp` that is there) plus an offset. Offsets are learned from Sysmon records that carry both: `UtcTime` minus
   the log's time, in quarters of an hour. The nearest stretch of the same host's log decides, so that a 12-hour clock
   that turns over within the recording is right on both sides; a host without Sysmon takes what the others say.
3. Without any Sysmon record a time with a zone is believed; one without is compared with `@timestamp`, which the
   collector writes in UTC a little later; when that is missing too, the time is taken as UTC and `assumed` is set.
4. Where the log's time has whole seconds, `UtcTime` of a network event gives the fraction if it lies in that second,
   else the nearest edge of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

DRIFTING = frozenset({3, 22})
"""Sysmon events whose `UtcTime` does not keep step with the log."""

_STAMPS = ("EventTime", "TimeCreated", "SystemTime", "@timestamp")
_QUARTER = timedelta(minutes=15)
_DRIFT = timedelta(minutes=1)
"""A Sysmon record further than this from a whole quarter of an hour says nothing about the zone."""
_LAST_OF_SECOND = timedelta(microseconds=999_999)


@dataclass(slots=True)
class _Stretch:
    """A part of a log that one offset holds for."""

    offset: timedelta
    first: datetime
    last: datetime

    def distance(self, moment: datetime) -> timedelta:
        return max(self.first - moment, moment - self.last, timedelta())


@dataclass
class RecordingClock:
    """Learns from every record first; then tells when each happened."""

    assumed: bool = False
    """Some times had to be taken as UTC without a proof."""
    _stretches: dict[tuple[str, str], list[_Stretch]] = field(default_factory=dict)
    _later: dict[str, timedelta] = field(default_factory=dict)

    def learn(self, host: str, fields: Mapping[str, Any], drifting: bool) -> None:
        """Take in what a record says about the zone of its log.

        Args:
            host: the host that wrote it.
            fields: the record.
            drifting: whether it is a Sysmon event whose `UtcTime` cannot be trusted.
        """
        name, moment = _stamp(fields)
        if moment is None:
            return
        precise = parse(fields.get("UtcTime"))
        raw = _naive(moment)
        if precise is not None and not drifting:
            self._anchor(host, name, raw, _naive(precise) - raw)
        received = parse(fields.get("@timestamp"))
        if name != "@timestamp" and received is not None and moment.tzinfo is None:
            later = _naive(received) - raw
            self._later[name] = min(later, self._later.get(name, later))

    def _anchor(self, host: str, name: str, raw: datetime, difference: timedelta) -> None:
        offset = round(difference / _QUARTER) * _QUARTER
        if abs(difference - offset) > _DRIFT:
            return
        for key in ((host, name), ("", name)):
            stretches = self._stretches.setdefault(key, [])
            for stretch in stretches:
                if stretch.offset == offset:
                    stretch.first, stretch.last = min(stretch.first, raw), max(stretch.last, raw)
                    break
            else:
                stretches.append(_Stretch(offset, raw, raw))

    def time(self, host: str, fields: Mapping[str, Any], drifting: bool) -> datetime | None:
        """When it happened, aware and in UTC; None when the record has no readable time."""
        precise = parse(fields.get("UtcTime"))
        if precise is not None and not drifting:
            return _naive(precise).replace(tzinfo=UTC)
        name, moment = _stamp(fields)
        if moment is None:
            return None if precise is None else _naive(precise).replace(tzinfo=UTC)
        logged = _naive(moment) + self._offset(host, name, moment)
        if precise is not None and not logged.microsecond:
            logged = min(max(_naive(precise), logged), logged + _LAST_OF_SECOND)
        return logged.replace(tzinfo=UTC)

    def _offset(self, host: str, name: str, moment: datetime) -> timedelta:
        stretches = self._stretches.get((host, name)) or self._stretches.get(("", name))
        if stretches:
            raw = _naive(moment)
            return min(stretches, key=lambda stretch: stretch.distance(raw)).offset
        if moment.tzinfo is not None:
            return timedelta()
        if name in self._later:
            # The collector is later than the event, never earlier; a second of rounding lies between them.
            return (self._later[name] + timedelta(seconds=2)) // _QUARTER * _QUARTER
        self.assumed = True
        return timedelta()


def _stamp(fields: Mapping[str, Any]) -> tuple[str, datetime | None]:
    for name in _STAMPS:
        moment = parse(fields.get(name))
        if moment is not None:
            return name, moment
    return "", None


def _naive(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def parse(text: Any) -> datetime | None:
    """A time as logs write it, None when it is none; finer than microseconds is cut."""
    if not isinstance(text, str) or len(text) < 19:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
