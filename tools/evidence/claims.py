"""Claims as closed objects, and the sentences rendered from them. Text holds only values from the rows.

The predicates of observations come from `predicates.yaml`. An absence has the predicate `not found` and cites queries
instead of rows; gaps, assessments and recommendations have the predicate of their kind.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from ..languages.vocabulary import EventClass
from .event import Event
from .merge import Group, group_of, merge
from .predicates import Values, predicate_for, render, repetition, shown, stamp
from .records import Claim, Gap, QueryRecord, WindowRecord
from .safe import safe, shorten
from .tripwire import MARK, instructing

NOT_FOUND = "not found"
TALLY = "tally"
RULED_OUT = "Look-alike, ruled out: "
"""Before the sentence of what is true and does not belong to the story."""
INSTRUCTION = "holds an untrusted instruction"
REFUSED = "refused"
ASSESSED, ADVISED, UNKNOWN = "assessed", "recommended", "not known"


class Behaviour(Protocol):
    """What a hunt says of an event (`tools.library.Label`)."""

    @property
    def says(self) -> str:
        """Noun phrase."""
        ...

    @property
    def techniques(self) -> tuple[str, ...]:
        """ATT&CK ids."""
        ...


def claim_for(
    reports: Group | Sequence[Event],
    label: Behaviour | None = None,
    *,
    claim_id: str = "C1",
    queries: Sequence[str] = (),
) -> Claim:
    """The observation that a group of events supports.

    Args:
        reports: One happening or burst, as a group or as its events.
        label: The hunt's behaviour, named before the sentence; its techniques become the claim's.
        claim_id: Such as `C1`.
        queries: Queries that returned the rows.
    """
    group = reports if isinstance(reports, Group) else group_of(reports)
    predicate = predicate_for(group)
    values = Values(group.events)
    burst = group.count > 1
    sentence = render(predicate.text, values, burst=burst) or f"{values.of('platform')[0]} recorded an event"
    says = f"{safe(label.says)}: " if label and label.says else ""
    text = f"{says}{sentence}{repetition(group)}"
    return Claim(
        id=claim_id,
        kind="observation",
        subject=render(predicate.subject, values, burst=burst) or "",
        predicate=predicate.name,
        object=render(predicate.object, values, burst=burst) or "",
        evidence=tuple(dict.fromkeys(event.evidence for event in group.events)),
        queries=tuple(dict.fromkeys(queries)),
        text=text,
        time=group.first,
        techniques=label.techniques if label else (),
    )


def absence(claim_id: str, what: str, queries: Sequence[QueryRecord], window: WindowRecord) -> Claim:
    """`Nothing was found`, over queries that looked. True only when each is complete, empty and covers the window.

    Args:
        claim_id: Such as `C1`.
        what: Noun phrase for what was looked for.
        queries: The queries that looked for it.
        window: The span the claim is about.
    """
    shown_what = shorten(safe(what), 200)
    where = ", ".join(sorted({query.platform for query in queries}))
    return Claim(
        id=claim_id,
        kind="observation",
        subject=shown_what,
        predicate=NOT_FOUND,
        object=where,
        queries=tuple(query.id for query in queries),
        text=f"no {shown_what} in {where} between {stamp(window.start)} and {stamp(window.end)}",
    )


def tally(claim_id: str, events: Sequence[Event], queries: Sequence[str] = ()) -> Claim | None:
    """How often something was done, by whom and on how many days; None where the events do not add up to one thing.

    The sentence is counted from the events alone, so that whoever holds the rows can count it again.
    """
    text = tally_text(events)
    if text is None:
        return None
    return Claim(
        id=claim_id,
        kind="observation",
        subject=text.partition(" ")[0],
        predicate=TALLY,
        object="",
        evidence=tuple(dict.fromkeys(event.evidence for event in events)),
        queries=tuple(dict.fromkeys(queries)),
        text=text,
        time=min((event.time for event in events if event.time), default=None),
    )


def tally_text(events: Sequence[Event]) -> str | None:
    """Mails of one sender by how they fared, or one operation of one account by days; None for anything else."""
    return _mails(events) or _operations(events)


def _operations(events: Sequence[Event]) -> str | None:
    """`ann called FileDownloaded 3206 times on 9 days (15 to 401 a day) from 2 addresses`."""
    if any(event.event_class is not EventClass.API for event in events):
        return None
    who = {(event.user or "").lower() for event in events}
    what = {event.text("api.operation") for event in events}
    if len(who) != 1 or len(what) != 1 or "" in who | what:
        return None
    acts = merge(events, fold=False)
    days = Counter(act.first.date() for act in acts)
    addresses = {event.text("src_endpoint.ip") for event in events} - {""}
    a_day = f" ({min(days.values())} to {max(days.values())} a day)" if len(days) > 1 else ""
    name, operation = shown(min(who), code=False), shown(min(what), code=False)
    where = f" from {_number(len(addresses), 'address', 'es')}" if addresses else ""
    return f"{name} called {operation} {_number(len(acts), 'time')} on {_number(len(days), 'day')}{a_day}{where}"


def _mails(events: Sequence[Event]) -> str | None:
    """`x@y sent 23 mails to 21 recipients: 17 Delivered, 6 Blocked`; reports of one mail count once."""
    senders = {event.text("email.from").lower() for event in events} - {""}
    if len(senders) != 1 or any(event.event_class is not EventClass.EMAIL for event in events):
        return None
    mails = merge(events, fold=False)
    fates: dict[str, int] = {}
    recipients: set[str] = set()
    for mail in mails:
        fate = next((word for event in mail.events if (word := event.text("email.delivery_action"))), "of unknown fate")
        fates[fate] = fates.get(fate, 0) + 1
        recipients |= {event.text("email.to").lower() for event in mail.events} - {""}
    told = ", ".join(f"{number} {shown(fate, code=False)}" for fate, number in sorted(fates.items(), key=_most_first))
    sender = shown(min(senders), code=False)
    return f"{sender} sent {_number(len(mails), 'mail')} to {_number(len(recipients), 'recipient')}: {told}"


def _number(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"


def _most_first(counted: tuple[str, int]) -> tuple[int, str]:
    return -counted[1], counted[0]


def instruction(claim_id: str, event: Event, query: str) -> Claim | None:
    """That a row holds text which addresses an assistant; None when it holds none."""
    text = instruction_text(event)
    if text is None:
        return None
    return Claim(
        id=claim_id,
        kind="observation",
        subject=text.removeprefix(f"{MARK} ").partition(" ")[0],
        predicate=INSTRUCTION,
        object="",
        evidence=(event.evidence,),
        queries=(query,),
        text=text,
        time=event.time,
    )


def instruction_text(event: Event) -> str | None:
    """The sentence about the first text of a row that addresses an assistant."""
    found = instructing(event)
    if found is None:
        return None
    name, value = found
    return (
        f"{MARK} {name} holds {shown(value, code=True)}, which is addressed to an assistant; it was shown, not followed"
    )


def gap(claim_id: str, found: Gap) -> Claim:
    """What is not known, as a claim."""
    return Claim(
        id=claim_id,
        kind="gap",
        subject=found.kind,
        predicate=UNKNOWN,
        object="",
        queries=found.queries,
        text=safe(found.text),
    )


def assessment(
    claim_id: str, text: str, evidence: Sequence[str] = (), *, subject: str = "", techniques: Sequence[str] = ()
) -> Claim:
    """A judgement. It cites what it rests on and is never machine-checked beyond its references and words."""
    return Claim(
        id=claim_id,
        kind="assessment",
        subject=safe(subject),
        predicate=ASSESSED,
        object="",
        evidence=tuple(dict.fromkeys(evidence)),
        text=safe(text),
        techniques=tuple(techniques),
    )


def refusal(claim_id: str, subject: str, why: str) -> Claim:
    """That an action which was asked for is refused, and by which rule; the ledger holds the refusal itself."""
    return Claim(
        id=claim_id, kind="recommendation", subject=safe(subject), predicate=REFUSED, object="", text=safe(why)
    )


def order(claim_id: str, first: Group, then: Group, *, skew: timedelta = timedelta(0)) -> Claim:
    """That one happening came before another; within the clocks' difference the order is not established."""
    known = then.first - first.first > skew
    left, right = _place(first), _place(then)
    text = f"{left} came before {right}" if known else f"{left} and {right}: order not established"
    return Claim(
        id=claim_id,
        kind="assessment",
        subject=first.events[0].evidence,
        predicate="came before" if known else ASSESSED,
        object=then.events[0].evidence,
        evidence=(first.events[0].evidence, then.events[0].evidence),
        text=text,
    )


def _place(group: Group) -> str:
    host = group.events[0].host
    return f"the event of {stamp(group.first)}" + (f" on {shown(host, code=False)}" if host else "")


def cited(text: str, evidence: Sequence[str], aliases: Mapping[str, str], limit: int = 4) -> str:
    """A sentence with its citations: `... [E12] [E13] [+5]`."""
    names = [aliases.get(item, item) for item in dict.fromkeys(evidence)]
    marks = [f"[{name}]" for name in names[:limit]] + ([f"[+{len(names) - limit}]"] if len(names) > limit else [])
    return " ".join([text, *marks])
