"""The next questions: what the library can still answer about what an answer found. Pure but for the index.

A hunt that found something names hunts that follow it (`pivots`). A suggestion is an example question of such a hunt,
filled with what the answer names; it is offered only where asking it would lead to that hunt.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from ..tools.evidence.story import Story
from ..tools.evidence.story_facts import Happening, is_public
from ..tools.evidence.story_links import MEDIUM
from ..tools.hunts import Hunt
from ..tools.languages.vocabulary import EventClass
from ..tools.library import HuntLibrary
from .matching import NEAR_ENOUGH, SearchText, hunt_scores
from .obliged import obliged_hunts
from .state import Scope

MOST = 4
_SLOT = re.compile(r"\{(\w+)\}")
_POINTS = re.compile(r"\b(?:this|that|these|those|it|its|he|she|her|his|they|the key|the app|the link)\b")
"""Words that mean something which only a conversation would tell."""


def next_questions(scope: Scope, story: Story, library: HuntLibrary, search_text: SearchText) -> tuple[str, ...]:
    """At most `MOST` questions, the pivots of what was found first."""
    found = [item for item in story.entries if item.signal >= MEDIUM]
    names = _names(scope, found)
    mailed = {name for item in found if item.event_class is EventClass.EMAIL for name in item.values("file.name")}
    offered: dict[str, None] = {}
    for hunt in _pivots(scope, found, library):
        unmailed = hunt.domain == "email" and names.get("file") not in mailed
        usable = {slot: name for slot, name in names.items() if not (unmailed and slot == "file")}
        question = _question(hunt, usable, search_text)
        if question is not None:
            offered.setdefault(question)
        if len(offered) == MOST:
            break
    return tuple(offered)


def _pivots(scope: Scope, found: Sequence[Happening], library: HuntLibrary) -> Iterable[Hunt]:
    """Hunts that follow those that found something and those that were asked for; none that was asked already."""
    telling = [label.hunt for item in found for label in item.labels if label.signal in ("strong", "medium")]
    sources = dict.fromkeys(name for name in (*telling, *scope.hunts) if name in library.hunts)
    named = (pivot for source in sources for pivot in library.hunts[source].pivots)
    return [library.hunts[name] for name in dict.fromkeys(named) if name in library.hunts and name not in scope.hunts]


def _names(scope: Scope, found: Sequence[Happening]) -> Mapping[str, str]:
    """By slot, one name to ask about: of what was found, else of the question."""
    hosts = [*(item.host for item in found if item.host), *scope.hosts]
    users = [*(item.user for item in found if item.user and not item.user.endswith("$")), *scope.users]
    outside = [ip for item in found for ip in sorted(item.destination_ips | item.source_ips) if is_public(ip)]
    files = [name for item in found for name in sorted(item.values("file.name")) if "." in name]
    programs = [name for item in found for name in sorted(item.values("process.name"))]
    kinds = {
        "host": hosts, "target": hosts[-1:], "user": users, "ip": [*outside, *scope.addresses], "file": files,
        "process": programs,
    }  # fmt: skip
    return {slot: values[0] for slot, values in kinds.items() if values and values[0]}


def _question(hunt: Hunt, names: Mapping[str, str], search_text: SearchText) -> str | None:
    """The hunt's first example question that can be filled and, asked, leads to the hunt; one with a name before others."""
    spoken = [text for text in hunt.questions if _SLOT.search(text) or not _POINTS.search(text)]
    examples = sorted(spoken, key=lambda text: not _SLOT.search(text))
    for example in examples:
        if all(slot in names for slot in _SLOT.findall(example)):
            text = _SLOT.sub(lambda match: names[match[1]], example)
            text = text[0].upper() + text[1:] if not _SLOT.match(example) else text
            return text if _leads_to(hunt, text, search_text) else None
    return None


def _leads_to(hunt: Hunt, text: str, search_text: SearchText) -> bool:
    scores = hunt_scores(text, 12, search_text)
    return scores.get(hunt.id, 0.0) >= NEAR_ENOUGH and hunt.id in obliged_hunts(scores.items())
