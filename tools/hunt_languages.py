"""In which languages a hunt's search can be asked, and why not in the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .hunts import Hunt, HuntSearch, bind
from .languages.query import Language, Platform, Query
from .languages.search import Search, Window
from .languages.translate import ALSO, translate
from .languages.views import all_views

_SPOKEN = tuple(
    dict.fromkeys(language for view in all_views() for language in (view.language, *ALSO.get(view.language, ())))
)
"""Languages that some platform takes, in the order of their views."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One language for one search: the platforms that it is valid on, or why there is none."""

    language: Language
    platforms: tuple[Platform, ...]
    why: str = ""

    @property
    def valid(self) -> bool:
        """Whether the search can be asked in this language: it compiles, and passes the language's own check."""
        return bool(self.platforms)


def spoken(search: HuntSearch) -> tuple[Spoken, ...]:
    """Every language with its verdict on a search, filled with nothing but the parameters that it needs.

    Raises:
        QueryError: a compiled query fails its own check, which is a fault of the compiler.
    """
    return tuple(_in(language, search) for language in _SPOKEN)


def _in(language: Language, search: HuntSearch) -> Spoken:
    answers = translate(sample(search), languages=frozenset({language}))
    found = tuple(dict.fromkeys(answer.platform for answer in answers if isinstance(answer, Query)))
    if found:
        return Spoken(language, found)
    reasons = [answer.reason for answer in answers if not isinstance(answer, Query) and answer.view is not None]
    why = "; ".join(dict.fromkeys(reasons)) or f"nothing there records {search.event_class}"
    return Spoken(language, (), why)


def sample(search: HuntSearch) -> Search:
    """The search with nothing but the parameters that it needs, over some window."""
    where = bind(search.where, dict.fromkeys(search.needs, ("x",)))
    window = Window(start=datetime(2000, 1, 1, tzinfo=UTC), end=datetime(2000, 1, 2, tzinfo=UTC))
    return Search(event_class=search.event_class, where=where, window=window)


def languages_json(hunt: Hunt) -> Mapping[str, list[dict[str, Any]]]:
    """For each search of a hunt the languages, as `hunts show --json` writes them."""
    return {
        search.id: [
            {
                "language": item.language.value,
                "valid": item.valid,
                "platforms": [platform.value for platform in item.platforms],
                "why": item.why or None,
            }
            for item in spoken(search)
        ]
        for search in hunt.searches
    }


def sentence(search: HuntSearch) -> str:
    """The languages of a search in one line: `valid in cql, kql; not in fql, rest (...)`."""
    items = spoken(search)
    valid = ", ".join(item.language for item in items if item.valid) or "no language"
    reasons: dict[str, list[str]] = {}
    for item in items:
        if not item.valid:
            reasons.setdefault(item.why, []).append(item.language)
    return "; ".join([f"valid in {valid}", *(f"not in {', '.join(names)} ({why})" for why, names in reasons.items())])
