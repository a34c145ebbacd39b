"""The cheapest search that could refute a hypothesis: searches of the hunt library, filled from what was found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from ...knowledge.errors import UsageError
from ..hunts import HuntSearch, bind
from ..languages.query import Platform, Query
from ..languages.search import Search, Window
from ..languages.translate import translate
from ..languages.vocabulary import EventClass
from ..library import HuntLibrary
from .hypotheses_data import Hypothesis, Trial, searches_of
from .records import Answer, iso_z

MOST_VALUES = 5
"""Hosts or accounts that a search is filled with at most."""

_VOLUME: Mapping[EventClass, float] = {
    EventClass.FINDING: 0.2,
    EventClass.DEVICE: 0.2,
    EventClass.VULNERABILITY: 0.2,
    EventClass.ACCOUNT: 2,
    EventClass.EMAIL: 2,
    EventClass.URL: 2,
    EventClass.SERVICE: 2,
    EventClass.JOB: 2,
    EventClass.API: 3,
    EventClass.AUTHENTICATION: 3,
    EventClass.SCRIPT: 4,
    EventClass.REGISTRY: 6,
    EventClass.FILE: 6,
    EventClass.PROCESS: 6,
    EventClass.DNS: 8,
    EventClass.NETWORK: 10,
}
"""How much a platform must read for a class of events, as a ratio to each other."""


@dataclass(frozen=True, slots=True)
class Text:
    """One query of the search in a platform's language, checked and not sent."""

    platform: str
    language: str
    collection: str
    text: str


@dataclass(frozen=True, slots=True)
class Refutation:
    """A search that could refute a hypothesis. `cost` compares searches with each other and has no unit."""

    hypothesis: str
    hunt: str
    says: str
    against: Literal["found", "nothing"]
    because: str
    window: Window
    queries: tuple[Text, ...]
    cost: float

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "hypothesis": self.hypothesis,
            "hunt": self.hunt,
            "says": self.says,
            "against_if": self.against,
            "because": self.because,
            "window": {"start": iso_z(self.window.start), "end": iso_z(self.window.end)},
            "queries": [
                {
                    "platform": query.platform,
                    "language": query.language,
                    "collection": query.collection,
                    "text": query.text,
                }
                for query in self.queries
            ],
            "cost": self.cost,
        }


def cheapest_trials(
    hypothesis: Hypothesis, answer: Answer, library: HuntLibrary, found: Mapping[str, Sequence[str]]
) -> list[Refutation]:
    """Searches that could refute a hypothesis and were not made yet, the cheapest first.

    Args:
        hypothesis: What is to be refuted.
        answer: What was asked already, and where; without a window there is nothing to search.
        library: The hunts.
        found: `hosts`, `users` and `addresses` of the answer, the most frequent first.
    """
    if answer.window is None:
        return []
    asked = {(query.platform, query.text) for query in answer.queries}
    made = (_refutation(hypothesis, trial, answer, library, found) for trial in hypothesis.tests)
    open_ones = [
        item for item in made if item and not all((query.platform, query.text) in asked for query in item.queries)
    ]
    return sorted(open_ones, key=lambda item: item.cost)


def _refutation(
    hypothesis: Hypothesis, trial: Trial, answer: Answer, library: HuntLibrary, found: Mapping[str, Sequence[str]]
) -> Refutation | None:
    assert answer.window is not None
    values = {name: tuple(found.get(kind, ()))[:MOST_VALUES] for name, kind in trial.fill.items()}
    if not all(values.values()):
        return None
    start, end = answer.window.start, answer.window.end
    if trial.days_before:
        start, end = start - timedelta(days=trial.days_before), start
    window = Window(start=start, end=end)
    try:
        searches = searches_of(trial.hunt, library)
    except UsageError:  # a SOC's own library may have replaced the hunt by one without this search
        return None
    platforms = _platforms(answer)
    queries = [query for search in searches for query in _queries(search, values, window, platforms)]
    if not queries:
        return None
    days = (window.end - window.start) / timedelta(days=1)
    return Refutation(
        hypothesis=hypothesis.id,
        hunt=trial.hunt,
        says=next((search.says for search in searches if search.says), library.get(trial.hunt.partition("#")[0]).title),
        against=trial.against,
        because=trial.because,
        window=window,
        queries=tuple(Text(item.platform.value, item.language.value, item.collection, item.text) for item in queries),
        cost=round(sum(_VOLUME.get(item.event_class or EventClass.BASE, 10) for item in queries) * max(days, 0.1), 2),
    )


def _platforms(answer: Answer) -> frozenset[Platform]:
    known = {platform.value: platform for platform in Platform}
    return frozenset(known[query.platform] for query in answer.queries if query.platform in known)


def _queries(
    search: HuntSearch, values: Mapping[str, tuple[str, ...]], window: Window, platforms: frozenset[Platform]
) -> Iterable[Query]:
    if set(search.needs) - values.keys():
        return
    where = bind(search.where, values)
    made = Search(event_class=search.event_class, where=where, window=window, limit=search.limit)
    yield from (query for query in translate(made, platforms or None) if isinstance(query, Query))
