"""Time windows in an analyst's words: a small closed grammar. Nothing is guessed, and nothing ends in the future.

    last 24 hours · past 3 days · since Tuesday · since 14:00 · yesterday · last night · this week · on 20 Nov
    from 5 days ago to yesterday · between 14:00 and 16:00 · yesterday after 14:00 · 15 minutes before 14:30 · 6 days ago
    between 5 days and 1 day ago · 5 to 2 days ago · look at 3 days · 12 days back · a 12h window · ..., 48h?

A phrase that speaks of time and is none of these is asked back, since a window that is quietly wrong hides findings.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from ...knowledge.errors import UsageError
from .search import Window
from .window_points import CLOCK, DAY, MONTH, NUMBER, POINT, UNIT, WEEKDAY, Span, number, point, unit

UNDERSTOOD = (
    "last 24 hours, past 3 days, since Tuesday, today, yesterday, last night, this week, on 2026-11-20, "
    "from 5 days ago to yesterday, between 14:00 and 16:00, 15 minutes before 14:30, 2026-11-20T14:03:00Z"
)
_MAX_CHARACTERS = 20_000


class ParsedWindow(NamedTuple):
    """What a text says about time: the window, whether it is the default, and the text without its time phrases."""

    window: Window
    used_default: bool
    rest: str


@dataclass(frozen=True, slots=True)
class _Found:
    """One time phrase. The lowest rank wins: 0 states a range, 1 names a day, 2 points vaguely, 3 lies ahead."""

    start: datetime
    end: datetime
    rank: int
    at: tuple[int, int]
    border: timedelta | None = None
    """Clock time of `after 14:00` or `before 14:00`, which beside another window only moves one of its borders."""
    after: bool = False


def parse_window(
    text: str,
    now: datetime,
    default_days: int = 7,
    *,
    anchor: datetime | None = None,
    zone: tzinfo | None = None,
) -> ParsedWindow:
    """Find the time window that a question speaks of.

    Several ranges are joined into the one that covers them all; vaguer phrases beside a stated range are left out.

    Args:
        text: the question.
        now: the clock, aware.
        default_days: length of the window when the text names none.
        anchor: what "before the alert" refers to.
        zone: time zone of clock times and day borders; that of `now` when left out.

    Returns:
        A window that ends at `now` at the latest.

    Raises:
        UsageError: the window lies in the future, runs backwards, or a phrase about time is not understood.
    """
    now = now.astimezone(zone) if zone else now
    text = text[:_MAX_CHARACTERS]
    found, rest = _scan(text, _Reader(now, anchor, default_days))
    leftover = _LEFTOVER.search(rest)
    if leftover:
        raise UsageError(f"the time {leftover[0].strip()!r} is not understood; understood: {UNDERSTOOD}")
    if not found:
        start = now - timedelta(days=default_days)
        window = Window(start=start, end=now, phrase=f"last {default_days} days")
        return ParsedWindow(window, True, _squeeze(rest))
    chosen = _choose(found)
    start, end = _join(chosen)
    if start >= now:
        raise UsageError(f"the window from {_iso(start)} lies in the future; now is {_iso(now)}")
    end = min(end, now)
    if start >= end:
        raise UsageError(f"the window from {_iso(start)} to {_iso(end)} ends before it starts")
    phrase = _squeeze(" ".join(text[slice(*item.at)] for item in sorted(chosen, key=lambda item: item.at)))
    return ParsedWindow(Window(start=start, end=end, phrase=phrase), False, _squeeze(rest))


def without_time(text: str, now: datetime) -> str:
    """A text without its time phrases; the text itself where they are not understood."""
    try:
        return parse_window(text, now).rest
    except UsageError:
        return text


def _choose(found: Sequence[_Found]) -> list[_Found]:
    """The phrases of the best rank, and the clock borders beside them."""
    ranges = [item for item in found if item.border is None]
    if not ranges:
        return list(found)
    best = min(item.rank for item in ranges)
    return [item for item in found if item.border is not None or item.rank == best]


def _join(chosen: Sequence[_Found]) -> tuple[datetime, datetime]:
    ranges = [item for item in chosen if item.border is None]
    borders = [item for item in chosen if item.border is not None] if ranges else []
    ranges = ranges or list(chosen)
    start, end = min(item.start for item in ranges), max(item.end for item in ranges)
    for item in borders:
        last_day = _midnight(end - timedelta(microseconds=1))
        moment = last_day + (item.border or timedelta())
        start, end = (max(start, moment), end) if item.after else (start, min(end, moment))
    return start, end


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns matched phrases into spans of time, relative to one clock."""

    now: datetime
    anchor: datetime | None
    default_days: int

    def point(self, words: str, near: datetime | None = None) -> Span:
        return point(words, self.now, near)

    def last(self, match: re.Match[str]) -> tuple[datetime, datetime]:
        return self.now - number(match["n"] or "1") * unit(match["unit"]), self.now

    def apart(self, match: re.Match[str]) -> tuple[datetime, datetime]:
        far = number(match["n"]) * unit(match["far"] or match["unit"])
        near = number(match["m"]) * unit(match["unit"])
        if far == near:
            raise UsageError(f"{match[0].strip()!r} is no span; say two different times")
        return self.now - max(far, near), self.now - min(far, near)

    def month(self, match: re.Match[str]) -> tuple[datetime, datetime]:
        first = self.point(f"1 {match['month'].rstrip('.')}").start
        after = (first + timedelta(days=32)).replace(day=1)
        return first, self.now if match["word"].lower() == "since" else after

    def ahead(self, match: re.Match[str]) -> tuple[datetime, datetime]:
        return self.now, self.now + timedelta(days=1)

    def since(self, match: re.Match[str]) -> tuple[datetime, datetime]:
        return self.point(match["p"]).start, self.now

    def until(self, match: re.Match[str]) -> tuple[datetime, datetime]:
        span = self.point(match["p"])
        end = span.start if match["edge"].lower() == "before" else span.end
        return (_midnight(end) if span.clock_only else end - timedelta(days=self.default_days)), end

    def between(self, match: re.Match[str]) -> tuple[datetime, datetime]:
        day = match.groupdict().get("day")
        near = self.point(day).start if day else None
        left = self.point(match["p"], near)
        right = self.point(match["q"], near or left.start)
        start, end = left.start, right.start if right.exact else right.end
        if end <= start and right.clock_only:
            end += timedelta(days=1)
        if end <= start and re.match(WEEKDAY, match["p"], re.IGNORECASE):
            start -= timedelta(days=7)
        if end <= start:
            raise UsageError(f"{match[0].strip()!r} ends before it starts; say the earlier time first")
        return start, end

    def around(self, match: re.Match[str]) -> tuple[datetime, datetime]:
        groups = match.groupdict()
        span = self.point(match["p"], self.point(groups["day"]).start if groups.get("day") else None)
        if not span.exact:
            return span.start, span.end
        reach = timedelta(minutes=60 if groups.get("word", "").lower() in ("around", "about", "near") else 30)
        return span.start - reach, span.start + reach

    def beside(self, match: re.Match[str]) -> tuple[datetime, datetime]:
        if match["p"]:
            moment = self.point(match["p"]).start
        elif self.anchor is not None:
            moment = self.anchor
        else:
            raise UsageError(f"write a time in place of {match['anchor'].strip()!r}; understood: {UNDERSTOOD}")
        reach = number(match["n"] or "1") * unit(match["unit"])
        word = match["word"].lower()
        return moment if word == "after" else moment - reach, moment if word == "before" else moment + reach

    def ago(self, match: re.Match[str]) -> tuple[datetime, datetime]:
        count, length = number(match["n"]), unit(match["unit"])
        return self.now - (count + 1) * length, self.now - max(count - 1, 0) * length

    def day_border(self, match: re.Match[str]) -> tuple[datetime, datetime]:
        day = self.point(match["day"])
        moment = self.point(match["p"], day.start).start
        return (moment, day.end) if match["word"].lower() in ("after", "since", "from") else (day.start, moment)


_Handler = Callable[[_Reader, re.Match[str]], tuple[datetime, datetime]]
_TO = r"\s*(?:to|and|until|till|through|-|–)\s*"
_IN = r"(?:(?:in|within|over|during|for|from)\s+)?"
_COUNTED = rf"(?P<n>{NUMBER}\s*)?(?P<unit>{UNIT})\b"
_LONG = rf"(?P<n>{NUMBER})\s*(?P<unit>h\b|d\b|w\b|hours?\b|hrs?\b|days?\b|weeks?\b|wks?\b|months?\b|fortnights?\b)"
"""A length that may be a window where nothing but its place says so: minutes are the pace of an attack."""
_EITHER = rf"(?:{NUMBER}|\d{{1,3}}(?=[-–]))"
_LAST = r"(?:last|past|previous|preceding)"
_GRAMMAR: tuple[tuple[int, _Handler, str], ...] = (
    (0, _Reader.between, rf"(?:on\s+)?(?P<day>{DAY}),?\s+(?:from|between)\s+(?P<p>{CLOCK}){_TO}(?P<q>{CLOCK})"),
    (0, _Reader.between, rf"(?:from|between)\s+(?P<p>{CLOCK}){_TO}(?P<q>{CLOCK})\s+(?:on\s+)?(?P<day>{DAY})\b"),
    (
        0,
        _Reader.apart,
        rf"(?:(?:from|between)\s+)?(?P<n>{_EITHER})(?:\s*(?P<far>{UNIT})(?:\s+ago)?)?{_TO}"
        rf"(?P<m>{NUMBER})\s*(?P<unit>{UNIT})\s+ago\b",
    ),
    (0, _Reader.last, rf"{_IN}(?:the\s+)?{_LAST}\s+{_EITHER}\s*(?:-|–|to|or)\s*{_COUNTED}"),
    (0, _Reader.between, rf"(?:from|between)\s+(?P<p>{POINT}){_TO}(?P<q>{POINT})"),
    (
        0,
        _Reader.day_border,
        rf"(?P<word>before|until|till|up\s+to)\s+(?P<p>{CLOCK})\s+(?:on\s+)?(?P<day>{DAY})",
    ),
    (
        0,
        _Reader.day_border,
        rf"(?:on\s+)?(?P<day>{DAY}),?\s+(?P<word>after|since|from|before|until)\s+(?P<p>{CLOCK})",
    ),
    (0, _Reader.around, rf"(?:on\s+)?(?P<day>{DAY}),?\s+(?P<word>at|around|about|near)\s+(?P<p>{CLOCK})"),
    (0, _Reader.around, rf"(?P<word>at|around|about|near)\s+(?P<p>{CLOCK})\s+(?:on\s+)?(?P<day>{DAY})\b"),
    (
        0,
        _Reader.beside,
        rf"{_IN}(?:the\s+)?{_COUNTED}\s+(?P<word>before|after|around)\s+"
        rf"(?:(?P<p>{POINT})|(?P<anchor>(?:the|this|that)\s+(?:alert|detection|threat|incident|event)\b))",
    ),
    (0, _Reader.last, rf"{_IN}(?:the|these|those|our)\s+(?:last|past|previous|preceding)\s+{_COUNTED}"),
    (0, _Reader.last, rf"{_IN}this\s+past\s+{_COUNTED}"),
    (0, _Reader.last, rf"{_IN}past\s+{_COUNTED}"),
    # Without an article and without a number, "last week" is the calendar's: POINT takes it below.
    (0, _Reader.last, rf"{_IN}(?:last|previous|preceding)\s+(?!(?:week|month|year)\b){_COUNTED}"),
    (0, _Reader.last, rf"since\s+(?P<n>{NUMBER})\s*(?P<unit>{UNIT})\b(?!\s+(?:ago|before|after|earlier|later))"),
    (1, _Reader.month, rf"(?P<word>in|during|since)\s+(?P<month>{MONTH})(?!\s*\d)(?=\W|$)"),
    (1, _Reader.last, rf"(?:go(?:ing)?|look(?:ing)?|reach(?:ing)?)\s+back\s+{_LONG}"),
    (1, _Reader.last, rf"{_LONG}\s+(?:back\b|windows?\b)"),
    (1, _Reader.last, rf"window\s*(?:of|:|=|is)?\s*(?:the\s+)?{_LONG}"),
    (
        2,
        _Reader.last,
        rf"(?:over|within|(?:look(?:ing)?|check(?:ing)?)\s+at)\s+{_LONG}(?!\s+(?:of|later|apart|after|before|old)\b)",
    ),
    # A length set apart from the sentence, as in "..., 48h?": the grammar of a search box.
    (2, _Reader.last, rf"(?:(?<=[,;:(]\s)|(?<=\()|(?<=\s[-–—]\s)|^){_LONG}(?=\s*(?:[?.!,;:)]|$))"),
    (2, _Reader.last, rf"within\s+(?P<n>{NUMBER}\s*)(?P<unit>{UNIT})\b(?!\s+(?:of|later|apart|after|before))"),
    (0, _Reader.since, rf"(?P<edge>since)\s+(?:(?:at|about|around|on)\s+)?(?P<p>{POINT})"),
    (0, _Reader.since, rf"(?:starting|beginning)\s+(?:(?:from|on|at)\s+)?(?P<p>{POINT})"),
    (
        0,
        _Reader.since,
        rf"(?:(?:but\s+)?only\s+)?(?P<edge>from|after)\s+(?P<p>{POINT})(?:\s+(?:on|onwards?|until\s+now|to\s+now)\b)?",
    ),
    (0, _Reader.until, rf"(?:(?:but\s+)?only\s+)?(?P<edge>until|till|up\s+to|before)\s+(?P<p>{POINT})"),
    (1, _Reader.around, rf"(?P<word>around|about|near|at)\s+(?P<p>{POINT})"),
    (2, _Reader.ago, rf"(?P<n>{NUMBER})\s*(?P<unit>{UNIT})\s+ago\b"),
    (1, _Reader.around, rf"(?:(?:on|during|over)\s+)?(?P<p>{POINT})"),
    (
        3,
        _Reader.ahead,
        rf"(?:in\s+)?(?:the\s+)?next\s+(?:{NUMBER}\s*)?(?:{UNIT})\b|tomorrow\b",
    ),
)
_RULES = tuple((rank, handler, re.compile(rf"(?<!\w)(?:{text})", re.IGNORECASE)) for rank, handler, text in _GRAMMAR)

_IGNORED = re.compile(
    rf"""\b(?:
        (?:in|within|during)\s+the\s+(?:following|same|next)\s+(?:{NUMBER}\s*)?(?:{UNIT})\b
      | (?:{NUMBER})\s*(?:{UNIT})\s+(?:later|apart|long|afterwards?|earlier|each)\b
      | (?:in|within)\s+(?:under\s+|about\s+)?(?:{NUMBER})\s*(?:{UNIT})\s+of\b
      | (?:every|each|per)\s+(?:{UNIT}|night|evening|morning)\b(?:\s+at\s+(?:{CLOCK}|\d{{1,2}}\b))?
      | (?:{NUMBER})\s+(?:times\s+)?(?:a|per)\s+(?:{UNIT})\b
      | last\s+(?:time|one|turn|step)\b | 24/7\b
      | (?:in|at)\s+the\s+(?:middle\s+of\s+the\s+)?(?:night|morning|evening)\b | at\s+night\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
"""Durations and habits, which are no windows."""

_SEASONS = (
    r"quarters?|decades?|sprints?|shifts?|centur(?:y|ies)"
    r"|summer|winter|spring|autumn|christmas|easter"
)
_LEFTOVER = re.compile(
    rf"""\b(?:
        (?:last|past|previous|since|until|till|during|over\s+the|before|after|between)\s+
        (?:the\s+)?(?:{NUMBER}\s*)?(?:{UNIT}|{_SEASONS})\b
      | \d{{4}}-\d{{1,2}}-\d{{1,2}}\S*
      | (?<![\w./\\:])\d{{1,2}}/\d{{1,2}}(?:/\d{{2,4}})?(?![\w./\\])
      | (?<![\d.])\d{{1,2}}\.\d{{1,2}}\.\d{{4}}(?![\d.])
      | (?:in|since|during|until|last)\s+(?:{MONTH})\b(?!\s*\d)
      | (?:since|until|till)\s+\d{{1,2}}(?:\s*o'?clock)?(?=\s*[,.?!]|\s*$)
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def _scan(text: str, reader: _Reader) -> tuple[list[_Found], str]:
    """The time phrases of a text, and the text with them and with mere durations blanked."""
    rest = _IGNORED.sub(lambda match: "\0" * len(match[0]), text)
    found: list[_Found] = []
    for rank, handler, pattern in _RULES:
        for match in list(pattern.finditer(rest)):
            start, end = handler(reader, match)
            left, right = match.span()
            found.append(_Found(start, end, rank, (left, right), *_border(match, reader)))
            rest = rest[:left] + "\0" * (right - left) + rest[right:]
    return found, rest.replace("\0", " ")


def _border(match: re.Match[str], reader: _Reader) -> tuple[timedelta | None, bool]:
    edge = match.groupdict().get("edge")
    if edge is None or not re.fullmatch(CLOCK, match["p"], re.IGNORECASE):
        return None, False
    moment = reader.point(match["p"]).start
    return moment - _midnight(moment), edge.lower() in ("since", "from", "after")


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip(" ,;")


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")
