"""Points in time in an analyst's words: days, dates, clock times and stamps, each as the span that it may mean."""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ...knowledge.errors import UsageError

_WORDS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "couple": 2, "three": 3, "few": 3, "four": 4, "five": 5, "several": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fourteen": 14, "fifteen": 15, "twenty": 20,
    "eighteen": 18, "twenty-one": 21, "twenty-four": 24, "thirty": 30, "thirty-six": 36, "forty": 40, "forty-eight": 48,
    "sixty": 60, "seventy-two": 72, "ninety": 90,
}  # fmt: skip
_UNITS = {
    "s": timedelta(seconds=1), "sec": timedelta(seconds=1), "second": timedelta(seconds=1),
    "m": timedelta(minutes=1), "min": timedelta(minutes=1), "minute": timedelta(minutes=1),
    "h": timedelta(hours=1), "hr": timedelta(hours=1), "hour": timedelta(hours=1),
    "d": timedelta(days=1), "day": timedelta(days=1),
    "w": timedelta(days=7), "wk": timedelta(days=7), "week": timedelta(days=7),
    "night": timedelta(days=1), "fortnight": timedelta(days=14), "month": timedelta(days=30), "year": timedelta(days=365),
}  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PARTS = {"morning": (0, 12), "afternoon": (12, 18), "evening": (18, 24), "night": (18, 30)}

NUMBER = (
    r"(?:\d{1,4}|half(?:\s+an?)?|(?:an?\s+)?(?:couple|few)(?:\s+of)?|several|"
    + "|".join(sorted((word for word in _WORDS if word not in ("couple", "few", "several")), key=len, reverse=True))
    + r")(?=[\s\dhdmws]|$)"
)
UNIT = r"(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|nights|weeks?|wks?|fortnights?|months?|years?)"
CLOCK = (
    r"(?:(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:\s*[ap]\.?m\b\.?)?(?:\s?(?:utc|z|gmt)\b)?"
    r"|(?:1[0-2]|0?[1-9])\s*[ap]\.?m\b\.?(?:\s?(?:utc|gmt)\b)?|(?:noon|midday|midnight)\b)"
)
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
# Short names that are also words count as days only where a preposition says so.
WEEKDAY = (
    r"(?:monday|tues(?:day)?|tue|wednesday|thur(?:s(?:day)?)?|thu|friday|fri|saturday|sunday"
    r"|(?:(?<=on\s)|(?<=since\s)|(?<=last\s))(?:mon|wed|sat|sun))\b"
)
_PART = r"(?:morning|afternoon|evening|night)\b"
DATE = (
    r"(?:\d{4}-\d{2}-\d{2}(?![\dT])"
    rf"|(?<!\d)\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{MONTH}(?:,?\s+\d{{4}})?\b"
    rf"|{MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?\b"
    r"|(?<![\d./])\d{1,2}\.\d{1,2}\.\d{4}\b|(?<![\d./])\d{1,2}/\d{1,2}/\d{4}\b)"
)
DAY = (
    rf"(?:(?:the\s+)?day\s+before\s+yesterday|yesterday(?:\s+{_PART})?|today|tonight|this\s+{_PART}|last\s+night\b|overnight\b"
    rf"|(?:the\s+|last\s+|this\s+|past\s+)?weekend\b"
    rf"|(?:last\s+|this\s+|past\s+)?(?:{WEEKDAY})(?:\s+{_PART})?|{DATE})"
)
STAMP = r"(?:\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:\s?(?:Z\b|UTC\b)|[+-]\d{2}:?\d{2})?)"
_SPAN = r"(?:this|last)\s+(?:week|month|year)\b|now\b"
AGO = rf"(?:{NUMBER}\s*{UNIT}\s+ago\b|\d{{1,4}}\s?[smhdw]\s+ago\b)"
POINT = rf"(?:{STAMP}|{AGO}|(?:{DAY}),?\s+(?:at\s+)?{CLOCK}|{CLOCK}\s+(?:on\s+)?(?:{DAY})|{DAY}|{CLOCK}|{_SPAN})"
UNIT = rf"(?:{UNIT}|(?<=\d)[hdmw]\b|(?<=\d\s)[hdmw]\b)"


class Span(NamedTuple):
    """The time that a phrase may mean. `exact`: a moment; `clock_only`: it names no day."""

    start: datetime
    end: datetime
    exact: bool = False
    clock_only: bool = False


def number(words: str) -> float:
    """`24`, `a couple of`, `half an`, `three`."""
    text = words.lower().split()
    if text[0].isdigit():
        return int(text[0])
    if text[0] == "half":
        return 0.5
    return next(_WORDS[word] for word in reversed(text) if word in _WORDS and word != "of")


def unit(word: str) -> timedelta:
    """`hours`, `hrs`, `h`, `week`."""
    text = word.strip().lower()
    return _UNITS[text] if text in _UNITS else _UNITS[text.removesuffix("s")]


def point(words: str, now: datetime, near: datetime | None = None) -> Span:
    """The span that a phrase of `POINT` means; days and clock times that carry no date are the latest past ones.

    Args:
        words: the phrase.
        now: the clock; its zone is that of days and clock times.
        near: the day that a clock time belongs to.

    Raises:
        UsageError: a date that does not exist or can be read in two ways.
    """
    text = re.sub(r"\s+", " ", words.strip().lower()).rstrip(",")
    if text == "now":
        return Span(now, now, exact=True)
    if re.fullmatch(STAMP, text, re.IGNORECASE):
        return _stamp(text, now)
    ago = re.fullmatch(rf"(?P<n>{NUMBER}) ?(?P<unit>{UNIT}|[smhdw]) ago", text)
    if ago:
        moment = now - number(ago["n"]) * unit(ago["unit"])
        return Span(moment, moment, exact=True)
    if re.fullmatch(CLOCK, text):
        return _clock(text, now, near)
    both = re.fullmatch(rf"(?P<day>{DAY}),? (?:at )?(?P<clock>{CLOCK})", text) or re.fullmatch(
        rf"(?P<clock>{CLOCK}) (?:on )?(?P<day>{DAY})", text
    )
    if both:
        moment = _clock(both["clock"], now, _day(both["day"], now).start).start
        return Span(moment, moment, exact=True)
    return _day(text, now)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _stamp(text: str, now: datetime) -> Span:
    normal = re.sub(r"\s?(z|utc)$", "+00:00", text.upper().replace(" ", "T", 1), flags=re.IGNORECASE)
    try:
        moment = datetime.fromisoformat(normal.replace("TUTC", "+00:00"))
    except ValueError:
        raise UsageError(f"there is no time {text!r}; write it as 2026-11-20T14:03:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=now.tzinfo)
    return Span(moment, moment, exact=True)


def _clock(text: str, now: datetime, near: datetime | None) -> Span:
    zone = UTC if re.search(r"(utc|z|gmt)$", text) else now.tzinfo
    text = re.sub(r"\s?(utc|z|gmt)$", "", text)
    if text in ("noon", "midday"):
        hour, minute, second = 12, 0, 0
    elif text == "midnight":
        hour, minute, second = 0, 0, 0
    else:
        digits = [int(part) for part in re.findall(r"\d+", text)]
        hour, minute, second = (*digits, 0, 0)[:3]
        if re.search(r"p\.?m", text):
            hour = hour % 12 + 12
        elif re.search(r"a\.?m", text):
            hour %= 12
    day = (near or now).astimezone(zone)
    moment = day.replace(hour=hour, minute=minute, second=second, microsecond=0)
    if near is None and moment > now:
        moment -= timedelta(days=1)
    return Span(moment, moment, exact=True, clock_only=True)


def _day(text: str, now: datetime) -> Span:
    today = _midnight(now)
    one = timedelta(days=1)
    if text in ("last night", "overnight"):
        return Span(today - timedelta(hours=6), today + timedelta(hours=6))
    if text == "tonight":
        return Span(today + timedelta(hours=18), today + timedelta(hours=30))
    if text == "today":
        return Span(today, today + one)
    if text.endswith("weekend"):
        # The latest one that has begun: a question is about what has happened.
        saturday = today - timedelta(days=(today.weekday() - 5) % 7)
        return Span(saturday, saturday + 2 * one)
    if text.endswith("day before yesterday"):
        return Span(today - 2 * one, today - one)
    if text in ("this week", "this month", "this year", "last week", "last month", "last year"):
        return _calendar(text, today)
    part = re.search(rf"\s?({_PART})$", text)
    words = text[: part.start()] if part else text
    start = _day_start(words, today)
    if part is None:
        return Span(start, start + one)
    first, last = _PARTS[part[1]]
    return Span(start + timedelta(hours=first), start + timedelta(hours=last))


def _calendar(text: str, today: datetime) -> Span:
    if text == "this week":
        # On a Monday "this week" would be a few hours; a window that is too wide shows more, a narrow one hides.
        return Span(today - timedelta(days=7), today + timedelta(days=1))
    if text == "last week":
        monday = today - timedelta(days=today.weekday() + 7)
        return Span(monday, monday + timedelta(days=7))
    month = today.replace(day=1)
    if text.endswith("month"):
        previous = (month - timedelta(days=1)).replace(day=1)
        return Span(month, today + timedelta(days=1)) if text.startswith("this") else Span(previous, month)
    year = month.replace(month=1)
    previous = year.replace(year=year.year - 1)
    return Span(year, today + timedelta(days=1)) if text.startswith("this") else Span(previous, year)


def _day_start(words: str, today: datetime) -> datetime:
    if words in ("this", "today"):
        return today
    if words == "yesterday":
        return today - timedelta(days=1)
    weekday = re.fullmatch(rf"(?:(?P<which>last|this|past) )?(?P<name>{WEEKDAY})", words)
    if weekday:
        wanted = next(at for at, name in enumerate(_WEEKDAYS) if name.startswith(weekday["name"][:3]))
        back = (today.weekday() - wanted) % 7  # nobody says "since Tuesday" on a Tuesday and means today
        return today - timedelta(days=back or (0 if weekday["which"] == "this" else 7))
    return _date(words, today)


def _date(words: str, today: datetime) -> datetime:
    iso = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", words)
    numeric = re.fullmatch(r"(\d{1,2})([./])(\d{1,2})\2(\d{4})", words)
    if iso:
        year, month, day = (int(part) for part in iso.groups())
    elif numeric:
        first, second, year = int(numeric[1]), int(numeric[3]), int(numeric[4])
        if numeric[2] == "/" and first <= 12 and second <= 12 and first != second:
            raise UsageError(f"{words!r} can be read as day/month and as month/day; write {year}-MM-DD")
        day, month = (first, second) if numeric[2] == "." or first > 12 else (second, first)
    else:
        name = re.search(
            r"[a-z]{3}", re.sub(r"\d+(?:st|nd|rd|th)", lambda match: match[0][:-2], words).replace(" of ", " ")
        )
        numbers = [int(part) for part in re.findall(r"\d+", words)]
        month = _MONTHS.index(name[0]) + 1 if name else 0
        day = numbers[0]
        year = numbers[1] if len(numbers) > 1 else today.year
        if len(numbers) == 1 and (month, day) > (today.month, today.day):
            year -= 1
    try:
        return today.replace(year=year, month=month, day=day)
    except ValueError:
        raise UsageError(f"there is no date {words!r}") from None
