"""Orders in a question: which act is ordered, in which words, and what it is to be done to. Pure.

The words are data (`orders.yaml`). An order stands where an imperative can stand; a question about such an act is none.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..knowledge.typed_yaml import Pattern, around, read_typed
from ..tools.evidence.event import Event
from ..tools.languages.entities import Entities, Mention

About = Literal["host", "user", "email", "file", "process", "indicator", "playbook", "person"]

SUPPORTED = ("isolate_host", "release_host")
"""Actions that can be proposed."""

LEAST_TOLD = 5
"""Words from which on what stands before an order tells something."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Act(_Frozen):
    """Something that an analyst may order."""

    action: str
    """The product's name for it; empty when it has no such action."""
    says: str = Field(min_length=3)
    about: About
    patterns: tuple[Pattern, ...] = Field(min_length=1)
    done: tuple[Pattern, ...]
    also: bool = False
    """It accompanies another order and is no response action by itself."""

    @property
    def supported(self) -> bool:
        """Whether it can be proposed."""
        return self.action in SUPPORTED


class Kind(_Frozen):
    """Words for a kind of host, and the parts of names and tags by which such hosts are known."""

    words: tuple[str, ...] = Field(min_length=1)
    parts: tuple[str, ...] = Field(min_length=1)


class Words(_Frozen):
    """Everything in `orders.yaml`."""

    stands: tuple[Pattern, ...] = Field(min_length=1)
    polite: tuple[Pattern, ...] = Field(min_length=1)
    requests: Pattern
    asking: Pattern
    wishes: tuple[Annotated[str, around("act")], ...]
    """`{act}` stands for the participles of an act."""
    telling: Pattern
    acts: tuple[Act, ...] = Field(min_length=1)
    haste: Pattern
    stops: Pattern
    pointers: Pattern
    owned: tuple[Annotated[str, around("owner")], ...] = Field(min_length=1)
    """`{owner}` stands for an account's name."""
    kinds: tuple[Kind, ...]
    nouns: Pattern
    harm: tuple[Pattern, ...] = Field(min_length=1)
    intent: tuple[Pattern, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Order:
    """One order: its act, and where it stands in the question."""

    act: Act
    start: int
    end: int
    """Where the target of the order ceases: the words behind speak of something else."""


@cache
def words() -> Words:
    """The words, read and checked."""
    return read_words(files("tracehound.graphs").joinpath("orders.yaml").read_text(encoding="utf-8"))


def read_words(text: str, source: str = "graphs/orders.yaml") -> Words:
    """Read the words.

    Raises:
        ContentError: names file, line and what is wrong.
    """
    return read_typed(text, source, Words)


def orders(question: str) -> tuple[Order, ...]:
    """The orders of a question in the order of their words; those of the supported list and the others."""
    found = dict(_wished(question))
    for opening in sorted(_openings(question)):
        if _fits((words().telling,), question, opening):
            continue
        act = next((act for act in words().acts if _fits(act.patterns, question, opening)), None)
        if act is not None:
            found[opening] = Order(act, opening, _end(question, opening))
    ordered = [found[place] for place in sorted(found)]
    return tuple(ordered) if any(not order.act.also for order in ordered) else ()


def is_order(question: str) -> bool:
    """Whether the question orders something to be done."""
    return bool(orders(question))


def can_be_proposed(question: str) -> bool:
    """Whether one of its orders is an action that can be proposed."""
    return any(order.act.supported for order in orders(question))


def without_haste(question: str) -> str:
    """An order without the words that say how soon: they are no window of time."""
    return re.sub(words().haste, "", question, flags=re.IGNORECASE) if is_order(question) else question


def reason_of(question: str) -> str:
    """What a question tells before its first order; empty when it only orders."""
    first = min((order.start for order in orders(question)), default=0)
    told = question[:first].rstrip(" ,;.:-")
    return told if len(told.split()) >= LEAST_TOLD else ""


def is_harmful(question: str) -> bool:
    """Whether the question wants a lure made or somebody harmed."""
    if any(re.search(pattern, question, re.IGNORECASE) for pattern in words().intent):
        return True
    return any(_fits(words().harm, question, opening) for opening in {0, *_openings(question)})


def action_of(question: str) -> str:
    """The response action that a question orders: the first that can be proposed, else the first; empty when none."""
    named = [order.act.action for order in orders(question) if order.act.action]
    return next((action for action in named if action in SUPPORTED), named[0] if named else "")


def _openings(question: str) -> set[int]:
    """Where an imperative can stand. A sentence that asks to be told something opens an order only politely."""
    found: set[int] = set()
    for sentence in re.finditer(r"[^.?!]+(?:[.?!](?!\s)[^.?!]*)*[.?!]*", question):
        start, text = sentence.start(), sentence[0]
        asks = re.match(words().asking, text, re.IGNORECASE) is not None
        patterns = words().polite if asks else (*words().stands, *words().polite)
        for pattern in patterns:
            for match in re.finditer(pattern, text, re.IGNORECASE):
                if not asks or re.match(words().requests, match[0], re.IGNORECASE):
                    found.add(start + match.end())
    return found


def _wished(question: str) -> Iterable[tuple[int, Order]]:
    if re.match(words().asking, question, re.IGNORECASE):
        return
    for act in words().acts:
        if not act.done:
            continue
        done = f"(?:{'|'.join(act.done)})"
        for pattern in words().wishes:
            for match in re.finditer(pattern.replace("{act}", done), question, re.IGNORECASE):
                yield match.start(), Order(act, match.start(), _end(question, match.start()))


def _end(question: str, start: int) -> int:
    """Where the words about the target end: at the end of the sentence, or where something else begins."""
    sentence = re.search(r"[.?!;](?=\s|$)", question[start:])
    end = start + sentence.start() if sentence else len(question)
    stop = re.search(words().stops, question[start:end], re.IGNORECASE)
    return start + stop.start() if stop else end


def _fits(patterns: Sequence[str], question: str, at: int) -> bool:
    return any(re.compile(pattern, re.IGNORECASE).match(question, at) for pattern in patterns)


def within(mentions: Iterable[Mention], kind: str, start: int, end: int) -> tuple[str, ...]:
    """Values of a kind that stand between two places, first mention first."""
    return tuple(dict.fromkeys(item.value for item in mentions if item.kind == kind and start <= item.start < end))


def owner_of(question: str, entities: Entities, start: int, end: int) -> str | None:
    """The account whose device the words between two places mean."""
    text = entities.text[start:end]
    named = [*within(entities.mentions, "user", start, end), *within(entities.mentions, "email", start, end)]
    before = within(entities.mentions, "user", 0, start)
    for pattern in words().owned:
        if "{owner}" not in pattern:
            if before and re.search(pattern, text, re.IGNORECASE):
                return before[-1]
            continue
        for name in named:
            if re.search(pattern.replace("{owner}", re.escape(name)), text, re.IGNORECASE):
                return name
    return named[0] if named else None


def points_back(text: str) -> bool:
    """Whether words stand for a target that was named before."""
    return re.search(words().pointers, text, re.IGNORECASE) is not None


def parts_of(text: str) -> tuple[str, ...]:
    """Parts of host names and tags that a description of a host stands for; empty when it describes none."""
    for match in re.finditer(words().nouns, text, re.IGNORECASE):
        for kind in words().kinds:
            if match["what"].lower() in kind.words:
                return kind.parts
    return ()


def described(parts: Sequence[str], devices: Iterable[Event]) -> tuple[str, ...]:
    """Hosts of which a part of the name or a tag is one of these."""
    found: set[str] = set()
    for device in devices:
        said = " ".join(str(device.get(name) or "") for name in ("device.tags", "device.groups", "device.type"))
        known = {*re.findall(r"[a-z]+", (device.host or "").lower()), *re.findall(r"[a-z-]+", said.lower())}
        if device.host and known & set(parts):
            found.add(device.host)
    return tuple(sorted(found))
