"""Time modifiers: `earliest=-24h@h`, epoch seconds, `11/23/2026:09:00:00` (read as UTC here), `now`."""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

_STEP = re.compile(r"([+-])(\d*)([a-z]+)|@([a-z]+?)([0-7]?)(?![a-z0-9])")
_EPOCH = re.compile(r"\d+(\.\d+)?\Z")
_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
    **dict.fromkeys(("mon", "month", "months"), "mon"),
    **dict.fromkeys(("q", "qtr", "qtrs", "quarter", "quarters"), "q"),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), "y"),
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MONTHS = {"mon": 1, "q": 3, "y": 12}


def resolve(text: str, now: datetime) -> datetime:
    """The UTC moment that a modifier means.

    Raises:
        ValueError: it is none, or one of a real-time search; the message says which.
    """
    modifier = text.strip()
    lowered = modifier.lower()
    if lowered.startswith("rt"):
        raise ValueError("a real-time search is not supported")
    if _EPOCH.match(modifier):
        return _within(lambda: datetime.fromtimestamp(float(modifier), UTC), text)
    if "/" in modifier:
        return _absolute(modifier)
    if re.match(r"\d{4}-", modifier):
        return _iso(modifier)
    return _relative(lowered.removeprefix("now"), now, text)


def relative(text: str, base: datetime) -> datetime:
    """A moment moved and snapped, as `relative_time` does it.

    Raises:
        ValueError: the text is no such movement.
    """
    return _relative(text.strip().lower().removeprefix("now"), base, text)


def _within(make: Callable[[], datetime], text: str) -> datetime:
    try:
        return make()
    except (OverflowError, OSError):
        raise ValueError(f"{text!r} lies outside the years that can be searched") from None


def _absolute(text: str) -> datetime:
    for shape in ("%m/%d/%Y:%H:%M:%S", "%m/%d/%Y:%H:%M", "%m/%d/%Y"):
        try:
            return datetime.strptime(text, shape).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ValueError(f"{text!r} is no time: write it as 11/23/2026:09:00:00")


def _iso(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _relative(steps: str, now: datetime, text: str) -> datetime:
    moment, at = now, 0
    if steps and steps[0].isalnum():
        # Without a sign a number means the past.
        steps = "-" + steps
    while at < len(steps):
        step = _STEP.match(steps, at)
        unit = _UNITS.get((step[3] or step[4]) if step else "")
        if step is None or unit is None or len(step[2] or "") > 9:
            raise ValueError(f"{text!r} is no time: write it as -24h, -7d@d, now or epoch seconds")
        if step[1]:
            amount = int(step[2] or 1) * (1 if step[1] == "+" else -1)
            moment = _within(partial(_moved, moment, amount, unit), text)
        else:
            moment = _snapped(moment, unit, step[5])
        at = step.end()
    return moment


def _moved(moment: datetime, amount: int, unit: str) -> datetime:
    if unit in _SECONDS:
        return moment + timedelta(seconds=amount * _SECONDS[unit])
    months = moment.year * 12 + moment.month - 1 + amount * _MONTHS[unit]
    year, month = divmod(months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))


def _snapped(moment: datetime, unit: str, weekday: str) -> datetime:
    """The start of the second, minute, ... that holds the moment; weeks begin on Sunday or on the day that is named."""
    match unit:
        case "s":
            return moment.replace(microsecond=0)
        case "m":
            return moment.replace(second=0, microsecond=0)
        case "h":
            return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "w":
            return day - timedelta(days=(day.isoweekday() - int(weekday or 0) % 7) % 7)
        case "mon":
            return day.replace(day=1)
        case "q":
            return day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1)
        case "y":
            return day.replace(day=1, month=1)
        case _:
            return day
