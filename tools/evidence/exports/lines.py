"""What a timeline holds, for formats that are lists of events: told entries, the rows below them, analysts' notes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..claims import claim_for
from ..event import Event
from ..records import Answer, Evidence


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a timeline."""

    kind: Literal["entry", "row", "note"]
    time: datetime
    timed: bool
    """False where the row itself has no time, and `time` is that of its query."""
    text: str
    evidence: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    verdict: str = ""
    row: Evidence | None = None
    author: str = ""
    until: datetime | None = None
    claim: str = ""
    id: str = ""
    """Of a note."""


def entries(answer: Answer) -> Iterator[Line]:
    """What the answer tells, in its order."""
    for entry in answer.timeline:
        yield Line(
            kind="entry",
            time=entry.time,
            timed=True,
            text=entry.text,
            evidence=entry.evidence,
            hosts=entry.hosts,
            techniques=entry.techniques,
            platforms=entry.platforms,
            verdict=entry.verdict,
            until=entry.until,
            claim=entry.claim,
        )


def rows(answer: Answer) -> Iterator[Line]:
    """Every row of the answer with its own sentence."""
    asked = {query.id: query for query in answer.queries}
    for item in answer.evidence:
        query = asked.get(item.query)
        seen = query.started or query.window.end if query else None
        fallback = seen or (answer.window.end if answer.window else None)
        moment = item.time or fallback
        if moment is None:
            continue
        yield Line(
            kind="row",
            time=moment,
            timed=item.time is not None,
            text=sentence(item),
            evidence=(item.id,),
            hosts=(item.host,) if item.host else (),
            platforms=(item.platform,),
            row=item,
        )


def notes(answer: Answer) -> Iterator[Line]:
    """Analysts' notes, at the time that they tell of or else at that of writing."""
    for note in answer.notes:
        yield Line(
            kind="note",
            time=note.time or note.written,
            timed=True,
            text=note.text,
            evidence=note.evidence,
            author=note.author,
            id=note.id,
        )


def sentence(item: Evidence) -> str:
    """What a row says, in the words of its predicate; a row without a time only says where it is from."""
    if item.time is None:
        return f"{item.platform} {item.collection} returned {item.alias}, a row without a time"
    return claim_for([Event.of(item)]).text
