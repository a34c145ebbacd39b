"""Words that point at somebody or something without a name: resolved from the case, or asked back with candidates.

The words are data (`references.yaml`). Pure: what earlier questions named and what the last answer told is passed in.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..knowledge.typed_yaml import Pattern, read_typed
from ..tools.evidence.records import Answer
from ..tools.evidence.story_facts import Happening
from ..tools.evidence.values import account_name
from ..tools.languages.entities import Entities, find_entities
from ..tools.languages.search import Condition, matches
from ..tools.languages.vocabulary import ATTRIBUTES, EventClass

MOST_CANDIDATES = 8
_NOBODY = frozenset({"system", "local service", "network service", "anonymous logon"})


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trace(_Frozen):
    """Where those who play a part are seen: an attribute of some events."""

    event_class: EventClass = Field(validation_alias="class")
    attribute: str
    where: Condition | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name in (self.attribute, *([self.where.field] if self.where else [])):
            if name not in ATTRIBUTES[self.event_class]:
                raise ValueError(f"{self.event_class} has no attribute {name!r}")
        return self


class Role(_Frozen):
    """A part that several accounts may play."""

    what: str
    patterns: tuple[Pattern, ...] = Field(min_length=1)
    seen: tuple[Trace, ...] = Field(min_length=1)


class Pointer(_Frozen):
    """Words that point at something of a kind."""

    kind: Literal["host", "user"]
    patterns: tuple[Pattern, ...] = Field(min_length=1)
    other: bool = False
    all: bool = False


class Again(_Frozen):
    """Words of a follow-up that leaves the question before it standing."""

    leads: tuple[Pattern, ...]
    before: tuple[Pattern, ...]
    since: tuple[Pattern, ...]


class Rules(_Frozen):
    """Everything in `references.yaml`."""

    refer: tuple[Pointer, ...]
    leans: tuple[Pattern, ...]
    roles: tuple[Role, ...]
    families: tuple[Pattern, ...]
    again: Again


@cache
def rules() -> Rules:
    """The words, read and checked."""
    return read_rules(files("tracehound.graphs").joinpath("references.yaml").read_text(encoding="utf-8"))


def read_rules(text: str, source: str = "graphs/references.yaml") -> Rules:
    """Read the words.

    Raises:
        ContentError: names file, line and what is wrong.
    """
    return read_typed(text, source, Rules)


def refers(question: str) -> bool:
    """Whether any words of the question point at something without a name."""
    return any(_any(rule.patterns, question) for rule in rules().refer)


def leans(question: str) -> bool:
    """Whether a question only says something together with the one before it."""
    return _any(rules().leans, question)


def resolved(
    question: str, entities: Entities, earlier: Sequence[str], last: Answer | None
) -> Mapping[str, tuple[str, ...]]:
    """Entity type to what the question's references mean; a kind that the question names by itself is left alone.

    Args:
        question: The analyst's words.
        entities: What they name.
        earlier: Earlier questions of the case, oldest first.
        last: The case's last answer.
    """
    found: dict[str, tuple[str, ...]] = {}
    for rule in rules().refer:
        kind = rule.kind
        if kind in found or entities.values(kind) or not _any(rule.patterns, question):
            continue
        known = _salient(kind, earlier, last)
        if rule.all:
            known = list(dict.fromkeys(_told(kind, last)))
            found |= {kind: tuple(known[:MOST_CANDIDATES])} if known else {}
        elif known:
            found[kind] = (known[1] if rule.other and len(known) > 1 else known[0],)
    return found


def _salient(kind: str, earlier: Sequence[str], last: Answer | None) -> list[str]:
    """Names of a kind, the likeliest meant first.

    What the last question named, then what its answer brought up that no question had named, then the rest.
    """
    named = [list(reversed(find_entities(text).values(kind))) for text in reversed(earlier)]
    latest, before = named[0] if named else [], [name for names in named[1:] for name in names]
    asked = {account_name(name) for name in (*latest, *before)}
    new = [name for name in _told(kind, last) if account_name(name) not in asked]
    return list(dict.fromkeys([*latest, *new, *before]))


def _told(kind: str, last: Answer | None) -> list[str]:
    """Hosts or accounts of the last answer's story, in the order of their appearance."""
    if last is None:
        return []
    rows = {item.id: item for item in last.evidence}
    entries = [entry for entry in last.timeline if entry.verdict != "benign"]
    if kind == "host":
        return [host for entry in entries for host in entry.hosts]
    users = [rows[name].user for entry in entries for name in entry.evidence[:1] if name in rows]
    return [user for user in users if user and not user.endswith("$")]


def role_of(question: str, entities: Entities) -> Role | None:
    """The part that the question speaks of where it names no account."""
    if entities.users:
        return None
    return next((role for role in rules().roles if _any(role.patterns, question)), None)


def players(role: Role, happenings: Iterable[Happening]) -> tuple[str, ...]:
    """Accounts that play a part in what was found, the busiest first; machine accounts are none."""
    counts: Counter[str] = Counter()
    for item in happenings:
        for trace in role.seen:
            if item.event_class is trace.event_class:
                named = {event.text(trace.attribute) for event in item.events if matches(trace.where, event.fields)}
                counts.update({account_name(name) for name in named} - {""})
    people = [name for name, _ in counts.most_common() if not name.endswith("$") and name not in _NOBODY]
    return tuple(people[:MOST_CANDIDATES])


def family_of(question: str, entities: Entities) -> str | None:
    """The beginning of the host names that the question speaks of where it names no host."""
    if entities.hosts:
        return None
    found = (re.search(pattern, question) for pattern in rules().families)
    return next((match["stem"].upper() for match in found if match), None)


def _any(patterns: Sequence[str], question: str) -> bool:
    return any(re.search(pattern, question, re.IGNORECASE) for pattern in patterns)
