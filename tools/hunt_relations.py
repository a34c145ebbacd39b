r"""What a hunt may ask beyond filters: rows compared with other rows, with the time before, and with other platforms.

    count:                             # how much, by whom, and how much is usual
      - id: per-account
        search: downloads              # rows of this search of the hunt
        unit: files downloaded         # from `tools/evidence/units.yaml`, which says what may be called so
        by: [user.name]                # one sentence for each of these values
        facets: [resource.namespace]   # what else is named, or counted when there are many
        usual: 14                      # days before the window that tell what is usual; left out: no comparison
    spot:                              # rows told apart by what they share with others
      - id: shared-session
        search: session
        shares: [session.uid]          # equal in both
        differs: src_endpoint.ip       # and not the value that came first
        within_minutes: 120            # how far apart; left out: any time
        back: 7                        # days before the window that are read as well
        says: The same session from another address
        signal: medium
        benign: {field: src_endpoint.location.desc, exists: true}   # then it is ruled out
        because: the address is a named location
    routine:                           # rows that are how things always are: labelled as context, and ruled out
      - id: job
        of: [archiver, archive-file]   # rows of these searches
        same: [device.hostname, actor.user.name, process.name]    # seen with the same values
        days: 5                        # on so many earlier days
        back: 14                       # days before the window that are read
    follow:                            # what goes with a row that was found, on whatever platform
      - id: requests
        of: [page, shared-session]     # rows of these searches and spots
        class: network_activity
        where: {all: [{field: device.hostname, eq: $device.hostname}, ...]}   # $attribute: the value of that row
        before_minutes: 2              # around the row; neither: anywhere in the window; `after: true`: later on
        says: Request just before
        absent: true                   # and when there is none over complete searches, that is told
    absent:                            # asked for by itself, and told when nothing is there
      - id: elsewhere
        class: process_activity
        says: '{file} run on any host but {host}'
        needs: [file, host]
        where: {all: [..., {not: {field: device.hostname, eq: $host}}]}
    lacks:                             # in the inventories of the others, and not in this one's
      - id: sensor
        platform: $lacking             # a parameter whose values are platforms
        says: device record
        where: {field: device.type, eq: $kind}
    include: [exfiltration.tools]      # hunts that one question asks for together

A parameter of the type `choice` is filled from the question's words:

    lacking:
      type: choice
      words: {falcon: [crowdstrike, falcon]}      # value to the words that mean it
      cues: ['(?:without|lack\w*)\W+(?:\w+\W+){0,3}{word}']     # only where one of these fits; left out: anywhere
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .languages.search import Expression
from .languages.vocabulary import ATTRIBUTES, EventClass

Signal = Literal["strong", "medium", "context", "inventory"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Count(_Frozen):
    """Rows of one search, added up for each value of some attributes."""

    id: str
    search: str
    unit: str
    by: tuple[str, ...] = Field(min_length=1)
    needs: tuple[str, ...] = ()
    """Parameters without which it is not counted."""
    facets: tuple[str, ...] = ()
    usual: int = Field(default=0, ge=0, le=60)
    """Days before the window that tell what is usual; 0: no comparison."""
    top: int = Field(default=8, ge=1, le=50)
    limit: int = Field(default=5_000, ge=1, le=10_000)


class Spot(_Frozen):
    """Rows of one search that share some values with an earlier row and differ from it in another."""

    id: str
    search: str
    shares: tuple[str, ...] = Field(min_length=1)
    differs: str
    within_minutes: int | None = Field(default=None, ge=1)
    back: int = Field(default=0, ge=0, le=60)
    says: str
    signal: Signal = "medium"
    techniques: tuple[str, ...] = ()
    benign: Expression | None = None
    because: str = ""

    @model_validator(mode="after")
    def _a_ruling_has_a_reason(self) -> Self:
        if (self.benign is None) != (not self.because):
            raise ValueError(f"spot {self.id}: `benign` and `because` go together")
        return self


class Routine(_Frozen):
    """Rows that were seen with the same values on several earlier days."""

    id: str
    of: tuple[str, ...] = Field(min_length=1)
    same: tuple[str, ...] = Field(min_length=2)
    days: int = Field(default=5, ge=3, le=60)
    back: int = Field(default=14, ge=3, le=60)


class Follow(_Frozen):
    """What goes with a row of certain searches or spots."""

    id: str
    of: tuple[str, ...] = Field(min_length=1)
    event_class: EventClass = Field(validation_alias="class", serialization_alias="class")
    where: Expression
    before_minutes: int = Field(default=0, ge=0)
    after_minutes: int = Field(default=0, ge=0)
    after: bool = False
    """Anywhere in the window after the row."""
    says: str
    signal: Signal = "context"
    techniques: tuple[str, ...] = ()
    absent: bool = False

    @property
    def is_near(self) -> bool:
        """Whether it is looked for around the row alone."""
        return bool(self.before_minutes or self.after_minutes)


class Absent(_Frozen):
    """What is looked for by itself, so that its absence can be told."""

    id: str
    event_class: EventClass = Field(validation_alias="class", serialization_alias="class")
    where: Expression
    needs: tuple[str, ...] = ()
    says: str
    """Noun phrase; `{parameter}` stands for its values."""
    signal: Signal = "context"


class Lacks(_Frozen):
    """Devices that some inventory knows and a certain one does not."""

    id: str
    platform: str
    says: str
    where: Expression | None = None


class Relations(_Frozen):
    """Everything that a hunt asks beyond its searches."""

    count: tuple[Count, ...] = ()
    spot: tuple[Spot, ...] = ()
    routine: tuple[Routine, ...] = ()
    follow: tuple[Follow, ...] = ()
    absent: tuple[Absent, ...] = ()
    lacks: tuple[Lacks, ...] = ()
    include: tuple[str, ...] = ()


KEYS = tuple(Relations.model_fields)
WITH_EXPRESSION: Mapping[str, str] = {"spot": "benign", "follow": "where", "absent": "where", "lacks": "where"}
"""Where a relation holds a condition in its short form."""


def choices(parameter: Any, question: str) -> tuple[str, ...]:
    """Values of a `choice` parameter that a question's words mean, in the order of the declaration.

    A cue says in which company a word counts; where no cue fits anywhere, a word that stands alone does.
    """
    named = {value: [_as_pattern(word) for word in words] for value, words in parameter.words.items()}
    if parameter.cues:
        cued = tuple(
            value
            for value, words in named.items()
            if any(_holds(cue.replace("{word}", word), question) for cue in parameter.cues for word in words)
        )
        if cued:
            return cued
    plain = tuple(value for value, words in named.items() if any(_holds(word, question) for word in words))
    return plain if not parameter.cues or len(plain) == 1 else ()


def _as_pattern(word: str) -> str:
    return rf"\b{re.escape(word)}\b"


def _holds(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


def attributes_named(expressions: Iterable[Any]) -> set[str]:
    """The row attributes that values such as `$device.hostname` stand for."""
    return {
        value[1:]
        for condition in expressions
        for value in condition.values
        if isinstance(value, str) and value.startswith("$") and "." in value
    }


def faults(relations: Relations, searches: Mapping[str, EventClass], units: Sequence[str]) -> Iterable[str]:
    """What is wrong between a hunt's relations and its searches, as sentences."""
    spots = {spot.id: searches.get(spot.search) for spot in relations.spot}
    for count in relations.count:
        yield from _unknown(f"count {count.id}", count.search, searches, (*count.by, *count.facets))
        if count.unit not in units:
            yield f"count {count.id}: there is no unit {count.unit!r}; known are {', '.join(units)}"
    for spot in relations.spot:
        yield from _unknown(f"spot {spot.id}", spot.search, searches, (*spot.shares, spot.differs))
    for routine in relations.routine:
        for name in routine.of:
            yield from _unknown(f"routine {routine.id}", name, searches, routine.same)
    for follow in relations.follow:
        for name in follow.of:
            if name not in searches and name not in spots:
                yield f"follow {follow.id}: no search or spot is called {name}"
    ids = [item.id for kind in KEYS[:-1] for item in getattr(relations, kind)]
    for repeated in sorted({name for name in ids if ids.count(name) > 1 or name in searches}):
        yield f"two searches or relations are called {repeated}"


def _unknown(what: str, search: str, searches: Mapping[str, EventClass], attributes: Iterable[str]) -> Iterable[str]:
    if search not in searches:
        yield f"{what}: no search is called {search}"
        return
    for name in attributes:
        if name not in ATTRIBUTES[searches[search]]:
            yield f"{what}: {searches[search]} has no attribute {name!r}"
