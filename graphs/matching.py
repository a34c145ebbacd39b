"""Which hunts come near a question, and whether there is a question at all. Pure but for the index that is passed in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..tools.languages.entities import find_entities
from ..tools.library import HuntLibrary
from .plan import Slots, fits
from .routing import speaks_of_an_estate, speaks_of_something_else
from .state import Scope
from .think import Candidate

CANDIDATES = 8
"""Hunts that a model may choose from."""
NEAR_ENOUGH = 0.24
"""Retrieval score under which a hunt does not answer; it was set between small talk and the hunts' example questions."""

CLEAR = 0.4
"""Retrieval score from which a hunt's own words make a question one about an estate; small talk reaches 0.31."""

OFF_TOPIC = "this is not a question about a security estate"

_FILLS = frozenset({"host", "user", "ip", "network", "email", "url", "domain", "hash", "alert"})
"""Kinds of entities that fill parameters; a program, a file or a service often names the hunt."""

SearchText = Callable[[str, int], list[Any]]
"""Retrieval over hunts and runbooks: (query, k) to passages."""


def slots_of(scope: Scope) -> Slots:
    """What hunt parameters are filled from."""
    return Slots(dict(scope.slots), scope.outbound, dict(scope.named))


def essence(question: str) -> str:
    """What a question asks, without the names that fill the parameters of a hunt: those say nothing of which hunt it is."""
    found = find_entities(question)
    kept, at = "", 0
    for mention in sorted(found.mentions, key=lambda mention: mention.start):
        if mention.kind in _FILLS and mention.start >= at:
            kept, at = f"{kept}{found.text[at : mention.start]} ", mention.end
    return " ".join((kept + found.text[at:]).split())


def hunt_scores(question: str, most: int, search_text: SearchText) -> Mapping[str, float]:
    """The best score of each hunt among so many passages that come near what a question asks."""
    scores: dict[str, float] = {}
    for passage in search_text(essence(question) or question, most):
        if passage.kind == "hunt":
            scores[passage.id] = max(scores.get(passage.id, 0.0), passage.score)
    return scores


def match_hunts(question: str, scope: Scope, library: HuntLibrary, search_text: SearchText) -> list[Candidate]:
    """Hunts that come near the question, best first, with whether their required parameters are known."""
    slots = slots_of(scope)
    scores = hunt_scores(question, 3 * CANDIDATES, search_text)
    known = [(name, score) for name, score in scores.items() if name in library.hunts]
    ranked = sorted(known, key=lambda item: (-item[1], item[0]))[:CANDIDATES]
    return [Candidate(hunt, score, fits(hunt, slots)) for hunt, score in ((library.get(i), s) for i, s in ranked)]


def is_about_an_estate(question: str, candidates: Sequence[Candidate]) -> bool:
    """Whether a question that names nothing is about a security estate: by its words, or because a hunt is clearly meant."""
    return speaks_of_an_estate(question) or _best(candidates) >= CLEAR


def _best(candidates: Sequence[Candidate]) -> float:
    return max((candidate.score for candidate in candidates), default=0.0)


def why_declined(question: str, scope: Scope, candidates: Sequence[Candidate]) -> str | None:
    """Why the question cannot be answered, or None when it can."""
    if speaks_of_something_else(question) and not (scope.hosts or scope.addresses or scope.names):
        return OFF_TOPIC
    named = bool(scope.hosts or scope.users or scope.addresses or scope.names or scope.slots)
    if not named and not is_about_an_estate(question, candidates):
        return OFF_TOPIC
    if _best(candidates) < NEAR_ENOUGH and not named:
        return "no hunt of the library answers this"
    return None
