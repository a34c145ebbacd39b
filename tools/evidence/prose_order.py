"""Order in prose: which of two things a sentence says came first, against the times of the rows that it cites."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from ..library import HuntLibrary
from .event import Event
from .values import base_name

_LATER = re.compile(
    r"\b(?:came |happened |started |began |was started |ran )?(?:\w+ ){0,6}?after\b|\bfollowed(?! by)\b|\blater than\b",
    re.IGNORECASE,
)
_EARLIER = re.compile(
    r"\bbefore\b|\bfollowed by\b|\bpreced(?:ed|es|ing)\b|\bprior to\b|\bearlier than\b|\bled to\b|\bthen\b", re.I
)
_FIRST = re.compile(r"\bfirst\b(?=.*\b(?:then|afterwards|later)\b)", re.IGNORECASE)
_SUPERLATIVE = re.compile(r"\bthe first (?:\w+ ){0,2}(?:to|by|was)\b", re.IGNORECASE)
_WORD = re.compile(r"[a-z0-9][\w.-]*\w", re.IGNORECASE)
_KIND = {
    "process_activity": "process started ran run program command",
    "file_activity": "file written wrote archive dump creation",
    "network_activity": "connection connected beacon outbound exfiltration upload",
    "authentication": "logon logged sign-in signed reached access",
    "email_activity": "mail mails message delivered sent",
    "email_url_activity": "click clicked clicks link submitted form",
    "detection_finding": "alert raised",
    "registry_activity": "registry key",
    "service_activity": "service installed",
    "account_change": "role consent added directory",
}
"""Words that stand for a class of events in prose."""


def bad_order(text: str, events: Sequence[Event], library: HuntLibrary | None, skew: timedelta) -> str | None:
    """Why the order that a sentence says is not that of the rows; None when it is, or when it says none."""
    timed = [event for event in events if event.time]
    if len({event.time for event in timed}) < 2 or "order not established" in text:
        return None
    if _SUPERLATIVE.search(text) and (why := _bad_first(text, timed)):
        return why
    halves = _halves(text)
    if halves is None:
        return None
    earlier, later = (_meant(half, timed, library) for half in halves)
    if earlier is None and later is None and len(timed) == 2:
        # Neither half names anything of a row: the rows are meant in the order in which they are cited.
        cited = [event.time for event in timed]
        earlier, later = cited if _LATER.search(text) is None or _EARLIER.search(text) else cited[::-1]
    if earlier is None or later is None or earlier == later:
        return None
    if earlier - later > skew:
        return "the cited rows are in another order than it says"
    if abs(later - earlier) <= skew:
        return "the order is not established: the times lie within the clocks' difference"
    return None


def _halves(text: str) -> tuple[str, str] | None:
    """The part of a sentence that it says came earlier, and the part that came later."""
    for pattern, turned in ((_FIRST, False), (_EARLIER, False), (_LATER, True)):
        found = pattern.search(text)
        if not found:
            continue
        if pattern is _FIRST:
            cut = re.search(r"\b(?:then|afterwards|later)\b", text[found.end() :], re.IGNORECASE)
            place = found.end() + (cut.start() if cut else 0)
            return text[:place], text[place:]
        left, right = text[: found.start()] + found[0][: -len(found[0].split()[-1])], text[found.end() :]
        if not left.strip():  # `After the dump, the account logged on`
            left, comma, right = right.partition(",")
            if not comma:
                return None
            return (left, right) if turned else (right, left)
        return (right, left) if turned else (left, right)
    return None


def _meant(half: str, events: Sequence[Event], library: HuntLibrary | None) -> datetime | None:
    """The time of the first row that part of a sentence is about; None when it could be several."""
    words = {word.lower() for word in _WORD.findall(half)}
    stems = {word[:6] for word in words}
    scored = [(_score(words, stems, event, library), event.time) for event in events]
    best = max(score for score, _ in scored)
    if best == 0:
        return None
    meant = sorted(time for score, time in scored if score == best and time)
    others = [score for score, _ in scored if score < best]
    return meant[0] if others else None


def _score(words: set[str], stems: set[str], event: Event, library: HuntLibrary | None) -> float:
    """How much of a row a text names: its own values count most, then what hunts and its class call it."""
    values = {
        part
        for name in ("process.name", "actor.process.name", "file.name", "service.name", "user.name", "src_endpoint.ip",
                     "dst_endpoint.ip", "query.hostname", "url.url_string", "email.to")
        if (value := event.text(name).lower())
        for part in (value, base_name(value), base_name(value).removesuffix(".exe"))
    }  # fmt: skip
    says = " ".join(label.says for label in library.label(event.fields, event.event_class)) if library else ""
    told = {word.lower()[:6] for word in _WORD.findall(f"{says} {_KIND.get(event.event_class.value, '')}")}
    host = (event.host or "").lower()
    return 2 * len(words & values) + len(stems & told) + (0.5 if host and host in words else 0)


def _bad_first(text: str, events: Sequence[Event]) -> str | None:
    ordered = sorted((event for event in events if event.time), key=lambda event: str(event.time))
    names = [{(event.user or "").lower(), (event.host or "").lower()} - {""} for event in ordered]
    told = {word.lower() for word in _WORD.findall(text)}
    named = set().union(*names) & told
    shared = set.intersection(*names) if names else set()
    if named - shared and not (named - shared) & names[0]:
        return f"{min(named - shared)} is not in the first of the cited rows"
    return None
