"""The verifier: whether each claim says what its cited rows say. It needs no model.

An observation passes when its rows exist and are reports of one happening or burst, its predicate is in the closed list
and every row agrees with it, and its sentence, subject and object are among those that the rows support, attribute by
attribute; counts and times are recomputed. An absence passes when every query that it cites is complete, empty and
covers the window. Assessments are never called verified; they fail when they cite nothing, name what no cited row
holds, use an unknown ATT&CK id, claim an order that the clocks do not establish, or mix likelihood and confidence.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from ...knowledge import attack
from ..explain import texts_of
from ..languages.query import Platform
from ..library import HuntLibrary
from . import weighing
from .claims import ASSESSED, INSTRUCTION, NOT_FOUND, RULED_OUT, TALLY, instruction_text, tally_text
from .counting import COUNTED
from .entities import entity_values
from .event import Event
from .merge import TOLERANCE, Group, merge
from .predicates import Values, may_mean, pattern, predicates, repetition, stamp
from .prose import Cited, bad_prose, holds
from .records import Answer, Claim, Evidence, QueryRecord, TimelineEntry, Verification, WindowRecord
from .relevance import UNTIED, Asked, Tied, reasons
from .safe import safe
from .skew import ASSUMED, allowance
from .verify_counts import bad_count
from .verify_views import view_problems

CLOCK_SLACK = timedelta(seconds=1)
"""How far a claim's time may lie from its first row's."""
NOT_CHECKED = "assessment - not machine-checked"

_IP = re.compile(
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)|(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{1,4}(?![\w:])", re.I
)
_HASH = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})\b", re.IGNORECASE)
_CVE = re.compile(r"\bCVE-\d{4}-\d{4,}\b", re.IGNORECASE)
_TECHNIQUE = re.compile(r"\bT\d{4}(?:\.\d{3})?\b")
_TIME = re.compile(r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?Z?\b")
_FILE = re.compile(
    r"(?<![\w.])[\w$~-]+\.(?:exe|dll|sys|ps1|bat|cmd|vbs|js|docm?|xlsm?|zip|7z|iso|lnk|dmp|aspx|jsp|php|elf|sh|py)\b",
    re.I,
)
_WORD = re.compile(r"[A-Za-z0-9][\w.$-]*[A-Za-z0-9$]")
_LIKELIHOOD = re.compile(
    r"\b(almost no chance|(?:very |highly )?(?:un)?likely|roughly even|almost certain(?:ly)?|probabl[ey]|possibl[ey])\b",
    re.I,
)
_CONFIDENCE = re.compile(r"\b(?:low|moderate|high) confidence\b", re.IGNORECASE)
_BEFORE = re.compile(r"\b(?:before|then|followed by|led to|afterwards|later)\b", re.IGNORECASE)
_AFTER = re.compile(r"\bafter\b", re.IGNORECASE)
_PREFIX = re.compile(r"(?P<says>[^`:]{1,160}): (?P<rest>.+)", re.DOTALL)


@dataclass(frozen=True)
class Record:
    """What claims are judged against: the case's rows and queries."""

    evidence: Mapping[str, Evidence]
    queries: Mapping[str, QueryRecord]
    window: WindowRecord | None = None
    """The question's window; an absence must cover it."""
    phrases: Collection[str] | None = None
    """Noun phrases that may precede a sentence (the hunts' `says`). None: any that names nothing of the case."""
    skew: timedelta = ASSUMED
    """Difference of the clocks; events closer than this have no order."""
    given: Collection[str] = ()
    """Texts that the question itself gave: what an explanation, which reads no row, may name."""
    library: HuntLibrary | None = None
    """Hunts that recognise behaviour in rows; None: techniques are only looked up."""
    _entities: dict[str, set[str]] = field(default_factory=dict)

    def entities(self, kind: str) -> set[str]:
        """Hosts or accounts that the case's rows name, in lower case."""
        if not self._entities:
            self._entities.update(host=set(), user=set())
            for item in self.evidence.values():
                found = entity_values(item.fields)
                for name, held in self._entities.items():
                    held |= {value.lower() for value in found.get(name, ()) if len(value) > 2}
        return self._entities[kind]


def verify(
    claims: Sequence[Claim],
    evidence: Iterable[Evidence],
    queries: Iterable[QueryRecord],
    *,
    window: WindowRecord | None = None,
    phrases: Collection[str] | None = None,
    skew: timedelta | None = None,
    given: Collection[str] = (),
    question: str = "",
    about: Collection[str] = (),
    hunts: Collection[str] = (),
    timeline: Sequence[TimelineEntry] = (),
    library: HuntLibrary | None = None,
) -> tuple[list[Claim], Verification]:
    """Check every claim; gives them back with `verified`, `why_not` and `why_shown` set, and the counts.

    Recommendations and assessments count as `assessments`. An uncited claim is also a failed one.

    Args:
        claims: What is said.
        evidence: Rows of the case.
        queries: Queries of the case.
        window: The question's window.
        phrases: Noun phrases that may precede a sentence.
        skew: Difference of the clocks; estimated from twin records of the case when None.
        given: Texts that the question itself gave.
        question: What was asked; empty: whether a claim answers it is not judged.
        about: Hosts, accounts and other names that the question was resolved to.
        hunts: Hunts that the question asked for; those whose words it uses when empty.
        timeline: Entries that stand on the claims.
        library: Hunts. With them a claim's techniques must be those of behaviour in its rows, and with the question
            each claim must answer it or be tied to what does.
    """
    by_id = {item.id: item for item in evidence}
    apart = allowance(map(Event.of, by_id.values())) if skew is None else skew
    record = Record(by_id, {item.id: item for item in queries}, window, phrases, apart, given, library)
    tied = Tied({}, judged=False)
    if question and library is not None:
        tied = reasons(Asked(question, about, hunts), claims, by_id, record.queries, library)
    verdicts = [(claim, _why_not(claim, record) or _beside(claim, tied)) for claim in claims]
    checked = [_marked(claim, why, tied.reasons.get(claim.id, "")) for claim, why in verdicts]
    problems = tuple(view_problems(timeline, checked, by_id))
    judgements = ("assessment", "recommendation")
    verified = sum(claim.kind == "observation" and why is None for claim, why in verdicts)
    opinions = sum(claim.kind == "assessment" for claim in claims)
    return checked, Verification(
        claims=len(claims),
        verified=verified,
        assessments=sum(claim.kind in judgements and why is None for claim, why in verdicts),
        gaps=sum(claim.kind == "gap" and why is None for claim, why in verdicts),
        uncited=sum(_is_uncited(claim, record) for claim in claims),
        failed=sum(why is not None for _, why in verdicts) + len(problems),
        problems=problems,
        assessed=round(opinions / max(verified + opinions, 1), 3),
    )


def verify_answer(
    answer: Answer, *, phrases: Collection[str] | None = None, library: HuntLibrary | None = None
) -> Answer:
    """An answer with its claims and its timeline checked against the evidence and queries that it carries."""
    artefact = answer.route == "explain"
    claims, counts = verify(
        answer.claims,
        answer.evidence,
        answer.queries,
        window=answer.window,
        phrases=phrases,
        given=texts_of(answer.question) if artefact else (),
        question=answer.question if answer.route in ("search", "alert") else "",
        about=answer.about,
        hunts=answer.hunts,
        timeline=answer.timeline,
        library=library or HuntLibrary.load(),
    )
    return answer.model_copy(update={"claims": tuple(claims), "verification": counts})


def _beside(claim: Claim, tied: Tied) -> str | None:
    """A claim with rows that nothing ties to the question; what cites no row is judged by its queries alone."""
    if not tied.judged or claim.kind != "observation" or not claim.evidence:
        return None
    return None if claim.id in tied.reasons else UNTIED


def _marked(claim: Claim, why: str | None, shown: str) -> Claim:
    judged = claim.kind in ("assessment", "recommendation")
    verified = why is None and not judged
    why_not = why or (NOT_CHECKED if judged else None)
    return claim.model_copy(update={"verified": verified, "why_not": why_not, "why_shown": shown})


def _is_uncited(claim: Claim, record: Record) -> bool:
    if claim.kind in ("gap", "recommendation"):
        return False
    if claim.kind == "assessment" and not record.evidence and not record.queries:
        # Nothing was read: it explains what the question itself holds.
        return False
    return not claim.evidence and not (claim.predicate == NOT_FOUND and claim.queries)


def _why_not(claim: Claim, record: Record) -> str | None:
    """The first reason why a claim does not hold; None when it does."""
    return (
        _missing_references(claim, record)
        or _bad_technique(claim, record)
        or {"observation": _bad_observation, "assessment": _bad_assessment}.get(claim.kind, _bad_other)(claim, record)
    )


def _missing_references(claim: Claim, record: Record) -> str | None:
    if _is_uncited(claim, record):
        return "it cites nothing"
    for name in claim.evidence:
        if name not in record.evidence:
            return f"{name} is not in the case"
    for name in claim.queries:
        if name not in record.queries:
            return f"{name} is no query of the case"
    return None


def _bad_technique(claim: Claim, record: Record) -> str | None:
    named = [*claim.techniques, *(_TECHNIQUE.findall(claim.text) if claim.kind != "observation" else ())]
    for name in named:
        found = attack.technique(name)
        if found is None or found.withdrawn:
            return f"ATT&CK {attack.version()} {'has no' if found is None else 'withdrew'} {name}"
    return _foreign_technique(named, claim, record)


def _foreign_technique(named: Iterable[str], claim: Claim, record: Record) -> str | None:
    """A technique that no hunt gives to behaviour in the cited rows; a technique stands for its sub-techniques."""
    wanted = {found.id for name in named if (found := attack.technique(name))}
    if record.library is None or not claim.evidence:
        return None
    recognised = False
    for name in claim.evidence:
        if not wanted:
            return None
        event = Event.of(record.evidence[name])
        given = {x for label in record.library.label(event.fields, event.event_class) for x in label.techniques}
        recognised = recognised or bool(given)
        wanted -= given | {technique.partition(".")[0] for technique in given}
        wanted = {technique for technique in wanted if technique.partition(".")[0] not in given}
    # Rows that no hunt of today recognises may have been recognised by a hunt that the library no longer has.
    return f"no hunt recognises {min(wanted)} in the cited rows" if wanted and recognised else None


def _bad_observation(claim: Claim, record: Record) -> str | None:
    if claim.predicate == NOT_FOUND:
        return _bad_absence(claim, record)
    rows = [record.evidence[name] for name in claim.evidence]
    events = [Event.of(row) for row in rows]
    if any(event.time is None for event in events):
        return f"{rows[0].id} has no time"
    if claim.time is not None and not any(
        abs(claim.time - event.time) <= CLOCK_SLACK for event in events if event.time
    ):
        return "its time is that of no cited row"
    if problem := _needless(claim, rows):
        return problem
    if claim.predicate == TALLY:
        return None if claim.text == tally_text(events) else "the cited rows do not count up to it"
    if claim.predicate == COUNTED:
        return bad_count(claim, events, record.queries)
    if claim.predicate == INSTRUCTION:
        holds = len(events) == 1 and claim.text == instruction_text(events[0])
        return None if holds else "the cited row holds no such text"
    if claim.predicate in weighing.SENTENCES:
        return weighing.why_not(claim, events)
    groups = merge(events, max(TOLERANCE, record.skew))
    if len(groups) > 1:
        return "it cites rows of different happenings"
    return _bad_sentence(claim, groups[0], rows, record)


def _needless(claim: Claim, rows: Sequence[Evidence]) -> str | None:
    """A citation that adds nothing: a row named twice, or a query that returned none of the cited rows."""
    if len(set(claim.evidence)) < len(claim.evidence):
        return "it cites one row twice"
    if claim.predicate in weighing.SENTENCES or claim.predicate == COUNTED:
        return None
    needless = sorted(set(claim.queries) - {row.query for row in rows})
    return f"{needless[0]} returned none of the cited rows" if needless else None


def _bad_sentence(claim: Claim, group: Group, rows: Sequence[Evidence], record: Record) -> str | None:
    named = [item for item in predicates() if item.name == claim.predicate]
    if not named:
        return f"{claim.predicate!r} is not in the list of predicates: call it an assessment"
    fitting = [
        item
        for item in named
        if any(item.fits(event) for event in group.events) and all(may_mean(item, event) for event in group.events)
    ]
    if not fitting:
        return _disagreement(claim, group)
    if claim.time is not None and abs(claim.time - group.first) > CLOCK_SLACK:
        return f"its time is not that of its first row, {stamp(group.first)}"
    values = Values(group.events)
    burst, tail = group.count > 1, re.escape(repetition(group))
    said = claim.text.removeprefix(RULED_OUT)
    sentences = [said]
    prefix = _PREFIX.fullmatch(said)
    if prefix and _may_precede(prefix["says"], rows, record):
        sentences.append(prefix["rest"])
    for item in fitting:
        if not any(re.fullmatch(pattern(item.text, values, burst=burst) + tail, text) for text in sentences):
            continue
        if not re.fullmatch(pattern(item.subject, values, burst=burst), claim.subject):
            return f"no cited row has {claim.subject!r} as what acted"
        if not re.fullmatch(pattern(item.object, values, burst=burst), claim.object):
            return f"no cited row has {claim.object!r} as what was acted on"
        return None
    return _foreign(claim.text, rows, record, group) or "its sentence is not one that the cited rows support"


def _disagreement(claim: Claim, group: Group) -> str:
    event = group.events[0]
    about = " ".join(filter(None, (event.text("activity"), event.text("status"), event.text("connection.direction"))))
    return f"{event.evidence} is {event.event_class.value} ({about}), which is not {claim.predicate!r}"


def _may_precede(says: str, rows: Sequence[Evidence], record: Record) -> bool:
    if record.phrases is not None:
        return says in record.phrases or any(says == safe(phrase) for phrase in record.phrases)
    return _foreign(says, rows, record) is None and not _LIKELIHOOD.search(says)


def _foreign(text: str, rows: Sequence[Evidence], record: Record, group: Group | None = None) -> str | None:
    """The first hard token of a text that no cited row holds, as a sentence."""
    held = _Held(rows, () if rows else record.given)
    for pattern_, kind in ((_IP, "address"), (_HASH, "hash"), (_CVE, "CVE"), (_FILE, "file")):
        for match in pattern_.finditer(text):
            if not held.has(match[0]):
                return f"no cited row holds the {kind} {match[0]}"
    for match in _TIME.finditer(text):
        moments = {stamp(row.time) for row in rows if row.time}
        if not held.has(match[0]) and match[0].replace("T", " ")[:19] + "Z" not in moments:
            return f"no cited row has the time {match[0]}"
    entities = record.entities("host") | record.entities("user")
    for match in _WORD.finditer(text):
        word = match[0].lower()
        if word in entities and not held.has(word):
            return f"no cited row names {match[0]}"
    count = re.search(r"\((\d+) times between", text)
    if group and count and int(count[1]) != group.count:
        return f"it says {count[1]} times, and the cited rows are {group.count}"
    return None


class _Held:
    """Text of the cited rows, to look for whole tokens."""

    def __init__(self, rows: Sequence[Evidence], given: Collection[str] = ()) -> None:
        held = [text for row in rows for text in _texts((row.fields, row.raw, row.host, row.user))]
        self._text = "\n".join([*held, *map(safe, given)]).lower()

    def has(self, token: str) -> bool:
        """Whether the rows hold a token that is not part of a longer one."""
        return holds(self._text, token)


def _texts(value: Any, depth: int = 0) -> Iterable[str]:
    if isinstance(value, Mapping) and depth < 80:
        for item in value.values():
            yield from _texts(item, depth + 1)
    elif isinstance(value, list | tuple) and depth < 80:
        for item in value:
            yield from _texts(item, depth + 1)
    elif value is not None:
        yield safe(value)


def _bad_absence(claim: Claim, record: Record) -> str | None:
    if not claim.queries:
        return "it cites no query"
    queries = [record.queries[name] for name in claim.queries]
    for query in queries:
        if query.status != "ok":
            return f"{query.id} did not run: {query.error or query.status}"
        if (query.kept if query.kept is not None and query.cannot_express else query.rows) > 0:
            return f"{query.id} returned rows"
        if not query.complete:
            return f"{query.id} is not complete: {query.incomplete_because or 'its coverage is not known'}"
        stranger = _asked_of_others(claim.text, query, record)
        if stranger:
            return f"{query.id} did not ask about {stranger}"
    moments = [_moment(text) for text in _TIME.findall(claim.text)]
    if record.window:
        moments += [record.window.start, record.window.end]
    for query in queries:
        if moments and (query.window.start > min(moments) or query.window.end + CLOCK_SLACK < max(moments)):
            return f"{query.id} does not cover the whole window"
    platforms = {query.platform for query in queries}
    named = {name.strip() for name in claim.object.split(",") if name.strip()}
    if named - platforms:
        return f"no cited query asked {', '.join(sorted(named - platforms))}"
    mentioned = {
        platform.value for platform in Platform if re.search(rf"\b{platform.value}\b", claim.text, re.IGNORECASE)
    }
    if mentioned - platforms:
        return f"no cited query asked {', '.join(sorted(mentioned - platforms))}"
    return None


def _asked_of_others(text: str, query: QueryRecord, record: Record) -> str | None:
    """A host, account or address that a claim names while the query names others of the kind, and not this one."""
    words, asked = ({match[0].lower() for match in _WORD.finditer(part)} for part in (text, query.text))
    for kind in ("host", "user"):
        named, held = words & record.entities(kind), asked & record.entities(kind)
        if held and named - held:
            return min(named - held)
    named, held = set(_IP.findall(text)), set(_IP.findall(query.text))
    return min(named - held) if held and named - held else None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace(" ", "T").rstrip("Z") + "+00:00")


def _bad_assessment(claim: Claim, record: Record) -> str | None:
    rows = [record.evidence[name] for name in claim.evidence]
    if _CONFIDENCE.search(claim.text) and _LIKELIHOOD.search(claim.text):
        return "it mixes a likelihood and a confidence in one sentence"
    return (
        _foreign(claim.text, rows, record)
        or (_bad_order(claim, rows, record.skew) if claim.predicate != ASSESSED else None)
        or (bad_prose(claim.text, _cited(claim, rows, record)) if claim.predicate == ASSESSED else None)
    )


def _cited(claim: Claim, rows: Sequence[Evidence], record: Record) -> Cited:
    asked = [record.queries[name] for name in claim.queries]
    held = _texts([[row.fields, row.raw, row.host, row.user, row.collection] for row in rows])
    return Cited(
        events=[Event.of(row) for row in rows],
        text="\n".join(held).lower(),
        known=record.entities("host") | record.entities("user"),
        library=record.library,
        skew=record.skew,
        empty_queries=bool(asked) and all(query.complete and not query.rows for query in asked),
    )


def _bad_order(claim: Claim, rows: Sequence[Evidence], skew: timedelta) -> str | None:
    """Between two cited rows, an order that a closed sentence says must be that of their times."""
    if len(rows) != 2 or "order not established" in claim.text:
        return None
    before, after = _BEFORE.search(claim.text), _AFTER.search(claim.text)
    if bool(before) == bool(after):
        return None
    times = [row.time for row in (rows if before else rows[::-1]) if row.time]
    for earlier, later in pairwise(times):
        if later - earlier < -skew:
            return "the cited rows are in another order than it says"
        if before and claim.predicate == "came before" and later - earlier <= skew:
            return "the order is not established: the times lie within the clocks' difference"
    return None


def _bad_other(claim: Claim, record: Record) -> str | None:
    return _foreign(claim.text, [record.evidence[name] for name in claim.evidence], record) if claim.evidence else None
