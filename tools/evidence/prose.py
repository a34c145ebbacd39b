"""Free prose checked against the rows that it cites, as far as code can: what it names, numbers, outcomes, order, tone.

An assessment may judge; it may not name, count, date or report what its rows do not hold. The rules are data in
`prose.yaml`. A sentence that passes is still an assessment and never called verified.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from ...knowledge.loading import parsed
from ..library import HuntLibrary
from .event import Event
from .merge import merge
from .prose_numbers import bad_number
from .prose_order import bad_order
from .tripwire import instructing
from .values import base_name

LONGEST = 2_000
"""Characters of prose that is read; patterns are slow on longer words than any language has."""

_CODE = re.compile(r"`([^`]+)`")
_WHOLE = re.compile(
    r"https?://[^\s`]+|[A-Za-z]:\\[^\s`,;]+|[\w.+-]+@[\w.-]+\.\w+|HK(?:LM|CU)\\[^\s`,;]+", re.IGNORECASE
)
_TOKEN = re.compile(r"[A-Za-z0-9][\w.$-]*[\w$]")
_SHAPED = re.compile(r"(?=.*[A-Za-z])(?=.*\d)[\w.$-]+|[A-Za-z]\w*(?:\.\w+)+|\w*[A-Za-z]\w*_\w+")
_TECHNIQUE = re.compile(
    r"T\d{4}(?:\.\d{3})?|CVE-\d{4}-\d+|E\d+|C\d+|Q\d+|\d+(?:st|nd|rd|th|s|x)|e\.g|i\.e|\d{1,2}h\d{0,2}", re.I
)
_CAPITAL = re.compile(r"(?<=[a-z,;] )[A-Z][\w&-]*[\w](?: [A-Z][\w&-]*[\w])*")
_PORT = re.compile(r"\bport (\d{1,5})\b", re.IGNORECASE)


@dataclass(frozen=True)
class Rules:
    """`prose.yaml`."""

    content: dict[str, Any]

    @cached_property
    def terms(self) -> frozenset[str]:
        """Names that need no row, in lower case."""
        return frozenset(self.content["terms"].lower().split())

    def said(self, key: str) -> re.Pattern[str]:
        """One pattern of the file."""
        return _pattern(self.content[key])


@cache
def rules() -> Rules:
    """The rules of prose."""
    text = files("tracehound.tools.evidence").joinpath("prose.yaml").read_text(encoding="utf-8")
    return Rules(parsed(text))


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def holds(text: str, token: str) -> bool:
    """Whether a text in lower case holds a token that is not part of a longer name, number or address."""
    return re.search(rf"(?<![0-9a-z]){re.escape(token.lower())}(?![0-9a-z]|\.\d)", text) is not None


@dataclass(frozen=True)
class Cited:
    """The cited rows as a sentence is judged by them."""

    events: Sequence[Event]
    text: str
    """Everything that they hold, in lower case."""
    known: Collection[str]
    """Hosts and accounts of the case, in lower case."""
    library: HuntLibrary | None
    skew: timedelta
    empty_queries: bool
    """Whether the claim cites queries, all of them complete and empty."""

    def holds(self, token: str) -> bool:
        """Whether the rows hold a token, see the function of this name."""
        return holds(self.text, token)

    @cached_property
    def labels(self) -> frozenset[str]:
        """`hunt#search` of every behaviour that a hunt recognises."""
        if self.library is None:
            return frozenset()
        label = self.library.label
        return frozenset(
            f"{x.hunt}#{x.search}" for event in self.events for x in label(event.fields, event.event_class)
        )

    @cached_property
    def happenings(self) -> int:
        """How many happenings the rows report."""
        return len(merge(self.events, fold=False))


def bad_prose(text: str, cited: Cited) -> str | None:
    """The first thing that a sentence says and its rows do not hold; None when code finds none."""
    if len(text) > LONGEST:
        return f"it is longer than {LONGEST} characters: write sentences"
    if (found := _bad_tone(text)) or not cited.events:
        return found
    checks: Sequence[Callable[[str, Cited], str | None]] = (
        _bad_name, _bad_moment, _bad_absence, _bad_outcome, _bad_act, _bad_platform, _bad_severity, _bad_relation,
        _bad_echo, _bad_amount, _bad_sequence,
    )  # fmt: skip
    return next((found for check in checks if (found := check(text, cited))), None)


def _bad_tone(text: str) -> str | None:
    """ICD 203: estimates, not certainty; one likelihood a sentence; no hedge upon a hedge."""
    if found := rules().said("certainty").search(text):
        return f"{found[0]!r} is no term of estimation"
    if len({found.lower() for found in rules().said("likelihoods").findall(text)}) > 1:
        return "it uses two likelihoods in one sentence"
    if len(rules().said("hedges").findall(text)) > 1:
        return "it heaps one hedge upon another"
    return None


def _bad_name(text: str, cited: Cited) -> str | None:
    for code in _CODE.findall(text):
        if code.lower() not in cited.text:
            return f"no cited row holds {code!r}"
    for found in _WHOLE.finditer(text):
        if found[0].rstrip(".,;:)").lower() not in cited.text:
            return f"no cited row holds {found[0].rstrip('.,;:)')}"
    plain = _WHOLE.sub(" ", _CODE.sub(" ", text))
    prefixes = {re.split(r"[-_.]", name)[0] for name in cited.known if re.search(r"[-_.]", name)}
    for found in _TOKEN.finditer(plain):
        token = found[0].rstrip(".")
        if _TECHNIQUE.fullmatch(token) or token.lower() in rules().terms or re.fullmatch(r"[\d.:-]+", token):
            continue
        own = re.split(r"[-_.]", token.lower())
        named = _SHAPED.fullmatch(token) or (len(own) > 1 and own[0] in prefixes and len(own[0]) > 1)
        if named and not re.fullmatch(r"\d+[a-z]{1,2}", token.lower()) and not cited.holds(token):
            return f"no cited row names {token}"
    for found in _CAPITAL.finditer(plain):
        for word in found[0].split(" "):
            bare = word.removesuffix("'s")
            if bare.lower() not in rules().terms and not _TECHNIQUE.fullmatch(bare) and bare.lower() not in cited.text:
                return f"no cited row names {found[0]}"
    for found in _PORT.finditer(text):
        if not any(event.text(name) == found[1] for event in cited.events for name in _PORTS):
            return f"no cited row has port {found[1]}"
    return None


_PORTS = ("dst_endpoint.port", "src_endpoint.port")


def _bad_moment(text: str, cited: Cited) -> str | None:
    times = [event.time for event in cited.events if event.time]
    dates = list(_DATE.finditer(text))
    days = [_day(found, times) for found in dates]
    for found, fits in zip(dates, days, strict=True):
        if not fits and not cited.holds(found[0]):
            return f"no cited row is of {found[0]}"
    near = [time for time in times if not days or any(time.date() == day.date() for fits in days for day in fits)]
    for found in _CLOCK.finditer(text):
        hour, minute = int(found["h"]) % 24, int(found["m"])
        hour = hour % 12 + (12 if found["half"].lower() == "p" else 0) if found["half"] else hour
        second = int(found["s"]) if found["s"] else None
        if not any((t.hour, t.minute) == (hour, minute) and second in (None, t.second) for t in near):
            return f"no cited row is of {found[0].strip()}"
    return None


_MONTHS: Sequence[str] = "january february march april may june july august september october november december".split()  # noqa: SIM905
_DATE = re.compile(
    rf"\b(?P<iso>\d{{4}}-\d\d-\d\d)|\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)? (?P<month>{'|'.join(_MONTHS)})(?: (?P<y>\d{{4}}))?\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?<![\d:.])(?P<h>[0-2]?\d):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d)(?:\.\d+)?)?(?: ?(?P<half>[ap])\.?m)?(?![\d:])",
    re.IGNORECASE,
)


def _day(found: re.Match[str], times: Iterable[datetime]) -> list[datetime]:
    """The times that lie on a written day."""
    if found["iso"]:
        return [time for time in times if f"{time:%Y-%m-%d}" == found["iso"]]
    month = _MONTHS.index(str(found["month"]).lower()) + 1
    return [
        time
        for time in times
        if (time.day, time.month) == (int(found["d"]), month) and (not found["y"] or time.year == int(found["y"]))
    ]


def _bad_absence(text: str, cited: Cited) -> str | None:
    if cited.empty_queries:
        return None
    for pattern in rules().content["absences"]:
        if found := _pattern(pattern).search(text):
            return f"{found[0]!r} claims an absence, and it cites no query that was complete and empty"
    return None


def _bad_outcome(text: str, cited: Cited) -> str | None:
    values = "\n".join(str(value) for event in cited.events for value in event.fields.values()).lower()
    for rule in rules().content["outcomes"]:
        found = _pattern(rule["said"]).search(text)
        if found and not any(word in values for word in rule["rows"]):
            return f"no cited row says {found[0]!r}"
    return None


def _bad_act(text: str, cited: Cited) -> str | None:
    classes = {event.event_class.value for event in cited.events}
    for rule in rules().content["acts"]:
        found = _pattern(rule["said"]).search(text)
        if found is None or classes & set(rule.get("classes", ())):
            continue
        if any(fnmatchcase(label, name) for label in cited.labels for name in rule.get("hunts", ())):
            continue
        if not any(word in cited.text for word in rule.get("rows", ())):
            return f"no cited row shows {found[0]!r}"
    return None


def _bad_platform(text: str, cited: Cited) -> str | None:
    held = {event.platform.value for event in cited.events}
    for platform, names in rules().content["platforms"].items():
        for name in names:
            found = re.search(rf"\b{name}\b", text)
            if found and platform not in held and found[0].lower() not in cited.text:
                return f"no cited row is of {found[0]}"
    return None


def _bad_severity(text: str, cited: Cited) -> str | None:
    held = {event.text("severity").lower() for event in cited.events} - {""}
    if not held or not re.search(r"\b(?:alert|rated|severity)\b", text, re.IGNORECASE):
        return None
    said = {word for word in rules().content["severities"] if re.search(rf"\b{word}\b(?! confidence)", text, re.I)}
    return f"no cited alert is {min(said)}" if said and not said & held else None


def _bad_relation(text: str, cited: Cited) -> str | None:
    """Who acted and what was acted on, where a sentence names both and the rows have both."""
    for rule in rules().content["relations"]:
        passive = _pattern(rule["passive"]).search(text)
        found = passive or _pattern(rule["active"]).search(text)
        if found is None:
            continue
        before, after = text[: found.start()].lower(), text[found.end() :].lower()
        actor_side, other_side = (after, before) if passive else (before, after)
        pairs = [(_words(event, rule["acts"]), _words(event, rule["suffers"]), event) for event in cited.events]
        actors, suffering = set().union(*(a for a, _, _ in pairs)), set().union(*(s for _, s, _ in pairs))
        everybody = actors | suffering
        acts = _nearest(actor_side, everybody, last=not passive)
        suffers = _nearest(other_side, everybody, last=bool(passive))
        if rule.get("whole"):
            # A program that a sentence names as parent must be the parent in a row, and not merely occur in one.
            acts = acts or _program(actor_side, last=not passive)
            suffers = suffers or _program(other_side, last=bool(passive))
        if not acts or not suffers or acts == suffers:
            continue
        if not any(acts in a and suffers in s for a, s, _ in pairs) and (
            rule.get("whole") or any(acts in s and suffers in a for a, s, _ in pairs)
        ):
            return f"no cited row has {acts} acting on {suffers} this way"
    return None


def _words(event: Event, names: Iterable[str]) -> set[str]:
    values = {base_name(event.text(name)).lower() for name in names} - {""}
    return values | {value.removesuffix(".exe") for value in values}


def _nearest(text: str, names: Iterable[str], *, last: bool) -> str:
    """The name nearest to the verb in the part of a sentence on one side of it."""
    places = [
        (found.start(), -len(name), name)
        for name in names
        for found in re.finditer(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", text)
    ]
    if not places:
        return ""
    return (max if last else min)(places, key=lambda place: (place[0], place[1] if not last else -place[1]))[2]


def _program(text: str, *, last: bool) -> str:
    found = re.findall(r"[\w-]+\.exe\b", text)
    return found[-1 if last else 0] if found else ""


_QUOTING = re.compile(
    r"\b(claims?|says|said|text|reads|asks?|instruct\w*|addressed|carr(?:y|ies)|held|holds|named?|subject)\b", re.I
)


def _bad_echo(text: str, cited: Cited) -> str | None:
    """A sentence that repeats as a fact what telemetry says to an assistant."""
    if _QUOTING.search(text):
        return None
    told = {word for word in re.findall(r"[a-z0-9-]{4,}", text.lower()) if word not in _FILLING}
    for event in cited.events:
        found = instructing(event)
        if found and told:
            held = sum(word[:6] in found[1].lower() for word in told)
            if held >= max(1, round(len(told) * 0.75)):
                return "it repeats as a fact what a row says to an assistant"
    return None


_FILLING = frozenset(("been", "were", "have", "this", "that", "with", "from", "application"))


def _bad_amount(text: str, cited: Cited) -> str | None:
    return bad_number(text, cited.events, cited.happenings, cited.text, rules().content["units"])


def _bad_sequence(text: str, cited: Cited) -> str | None:
    return bad_order(text, cited.events, cited.library, cited.skew)
