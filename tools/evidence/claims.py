"""Claims as closed objects, and the sentences rendered from them. Text holds only values from the rows.

The predicates of observations come from `predicates.yaml`. An absence has the predicate `not found` and cites queries
instead of rows; gaps, assessments and recommendations have the predicate of their kind.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from .event import Event
from .merge import Group, group_of
from .predicates import Values, predicate_for, render, repetition, shown, stamp
from .records import Claim, Gap, QueryRecord, WindowRecord
from .safe import safe, shorten

NOT_FOUND = "not found"
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
    where = ", ".join(dict.fromkeys(query.platform for query in queries))
    return Claim(
        id=claim_id,
        kind="observation",
        subject=shown_what,
        predicate=NOT_FOUND,
        object=where,
        queries=tuple(query.id for query in queries),
        text=f"no {shown_what} in {where} between {stamp(window.start)} and {stamp(window.end)}",
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
