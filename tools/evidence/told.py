"""What an answer tells, as happenings: the rows that its timeline cites, merged, with the verdict of their entry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from .event import Event
from .merge import merge
from .records import Answer, TimelineEntry
from .story_facts import Directory, Happening

Verdict = Literal["suspicious", "context", "benign"]
WEIGHT: Mapping[Verdict, int] = {"suspicious": 0, "context": 1, "benign": 2}
"""The weightiest verdict first."""


@dataclass(frozen=True)
class Told:
    """The happenings of an answer, and what the answer says of their rows."""

    answer: Answer

    @cached_property
    def happenings(self) -> tuple[Happening, ...]:
        """What is told in the order of time; what rows several sensors have of one thing is one happening."""
        rows = [row for row in self.answer.evidence if row.id in self._cited]
        groups = merge(map(Event.of, rows), fold=False)
        return tuple(Happening(index, group.events, ()) for index, group in enumerate(groups))

    @cached_property
    def directory(self) -> Directory:
        """Whose addresses are whose, by every row of the answer."""
        events = (Event.of(row) for row in self.answer.evidence)
        return Directory.from_happenings(Happening(0, (event,), ()) for event in events if event.time)

    def verdict(self, evidence: Iterable[str]) -> Verdict:
        """The weightiest verdict that an entry which cites one of these rows has."""
        found: list[Verdict] = [entry.verdict for row in evidence if (entry := self._cited.get(row))]
        return min(found, key=WEIGHT.__getitem__) if found else "context"

    @cached_property
    def _cited(self) -> Mapping[str, TimelineEntry | None]:
        cited: dict[str, TimelineEntry | None] = {}
        for entry in sorted(self.answer.timeline, key=lambda entry: WEIGHT[entry.verdict]):
            for row in entry.evidence:
                cited.setdefault(row, entry)
        if cited:
            return cited
        # An answer without a timeline is a list or a count: its claims are all that it tells.
        return {row: None for claim in self.answer.claims for row in claim.evidence}


def evidence_of(happening: Happening) -> tuple[str, ...]:
    """Ids of the rows of a happening, each once."""
    return tuple(dict.fromkeys(event.evidence for event in happening.events))
