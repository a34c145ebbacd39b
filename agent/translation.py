"""One question in every language, side by side; nothing is sent anywhere."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from ..graphs import alerts
from ..graphs.matching import OFF_TOPIC, is_about_an_estate, match_hunts, slots_of, why_declined
from ..graphs.obliged import obliged_hunts
from ..graphs.plan import Wanted, findings_about, hunt_searches
from ..graphs.routing import asks_outbound, route_of
from ..graphs.scoping import nowhere, resolve_window, scope_of
from ..graphs.state import Scope
from ..graphs.think import Candidate
from ..knowledge.errors import UsageError
from ..knowledge.retrieval import Passage, Retrieval
from ..tools.evidence.records import WindowRecord
from ..tools.languages.entities import find_entities
from ..tools.languages.query import Language, Query
from ..tools.languages.translate import Inapplicable, translate
from .checking import diagnostics
from .moment import read_moment
from .settings import Settings, check_folder, require_question
from .shelves import open_library, open_retrieval

NEAREST = 3
_NO_QUERY = {
    "explain": "this asks what a text means, which needs no query; use: tracehound explain TEXT",
    "runbook": "this asks for a procedure, which needs no query; use: tracehound runbooks search WORDS",
    "respond": "this asks for an action, not for telemetry; use: tracehound ask QUESTION",
}
"""Routes that ask no vendor anything."""


@dataclass(frozen=True)
class _Reading:
    """What a question was understood as."""

    window: WindowRecord | None
    wanted: Sequence[Wanted] = ()
    confidence: float = 0.0
    reason: str | None = None
    nearest: tuple[str, ...] = ()


class Translator:
    """Translates many questions with one library and one index."""

    def __init__(self, settings: Settings) -> None:
        """Open the hunt library; the index is opened with the first question."""
        self.settings = settings
        self.library = open_library(settings)

    @cached_property
    def _retrieval(self) -> Retrieval:
        check_folder(self.settings.home)
        return open_retrieval(self.settings)

    def _search_text(self, query: str, k: int) -> list[Passage]:
        return self._retrieval.search(query, k)

    def translate(
        self, text: str, *, languages: Collection[Language] | None = None, now: str | None = None
    ) -> dict[str, Any]:
        """`tracehound.translation/1` of one question.

        Raises:
            UsageError: the question is empty, or its window lies in the future or is not understood.
        """
        question = require_question(text)
        reading = self._read(question, datetime.now(UTC) if now is None else read_moment(now))
        spoken = frozenset(Language) if languages is None else frozenset(languages)
        made = [
            (wanted, item)
            for wanted in reading.wanted
            for item in translate(wanted.search, hunt=wanted.purpose, languages=spoken)
        ]
        queries = [query_json(wanted, item) for wanted, item in made if isinstance(item, Query)]
        missing = {(item.platform.value, item.reason) for _, item in made if isinstance(item, Inapplicable)}
        absent = [{"platform": platform, "reason": reason} for platform, reason in sorted(missing)]
        return _result(question, reading, queries, absent)

    def answer(
        self, text: str, *, languages: Collection[Language] | None = None, now: str | None = None
    ) -> dict[str, Any]:
        """`translate` for a batch: a question that cannot be read is a declined one."""
        try:
            return self.translate(text, languages=languages, now=now)
        except UsageError as exc:
            return _result(text, _Reading(None, reason=str(exc)))

    def _read(self, question: str, now: datetime) -> _Reading:
        entities = find_entities(question)
        route = route_of(question, alert_ids=entities.values("alert"))
        if route in _NO_QUERY:
            return _Reading(None, reason=_NO_QUERY[route], nearest=self._nearest(question, nowhere(now)))
        if route == "search" and not entities:
            candidates = match_hunts(question, nowhere(now), self.library, self._search_text)
            if not is_about_an_estate(question, candidates):
                return _Reading(None, reason=OFF_TOPIC, nearest=_ids(candidates))
        window, is_default = resolve_window(
            question, now, since=None, until=None, case_window=None, default_days=self.settings.window_days
        )
        scope = scope_of(entities, window, is_default, asks_outbound(question, tuple(entities.hosts)))
        record = WindowRecord(start=window.start, end=window.end, phrase=window.phrase)
        if route == "alert":
            return self._read_alert(scope, record, now)
        return self._read_search(question, scope, record)

    def _read_alert(self, scope: Scope, window: WindowRecord, now: datetime) -> _Reading:
        if not scope.alerts:
            return _Reading(window, reason=alerts.NO_ID)
        return _Reading(window, [alerts.lookup(scope.alerts[0], now)], confidence=1.0)

    def _read_search(self, question: str, scope: Scope, window: WindowRecord) -> _Reading:
        candidates = match_hunts(question, scope, self.library, self._search_text)
        nearest = _ids(candidates)
        reason = why_declined(question, scope, candidates)
        if reason is not None:
            return _Reading(window, reason=reason, nearest=nearest)
        chosen = obliged_hunts((item.hunt.id, item.score) for item in candidates if item.fits)
        slots = slots_of(scope)
        wanted = [item for hunt in chosen for item in hunt_searches(self.library.get(hunt), slots, scope.window)]
        wanted += [findings] if (findings := findings_about(scope.hosts, scope.users, scope.window)) else []
        if not wanted:
            reason = "the hunts that come near need a host, an account or another name that the question does not give"
            return _Reading(window, reason=reason, nearest=nearest)
        best = max((item.score for item in candidates if item.hunt.id in chosen), default=0.0)
        return _Reading(window, wanted, confidence=round(best, 2))

    def _nearest(self, question: str, scope: Scope) -> tuple[str, ...]:
        return _ids(match_hunts(question, scope, self.library, self._search_text))


def _ids(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    return tuple(item.hunt.id for item in candidates[:NEAREST])


def _result(
    question: str, reading: _Reading, queries: Sequence[dict[str, Any]] = (), absent: Sequence[dict[str, str]] = ()
) -> dict[str, Any]:
    refused = {"reason": reading.reason, "nearest": list(reading.nearest), "candidates": []}
    return {
        "schema": "tracehound.translation/1",
        "question": question,
        "window": reading.window.model_dump(mode="json") if reading.window else None,
        "searches": [wanted.search.model_dump(mode="json") for wanted in reading.wanted],
        "queries": list(queries),
        "not_applicable": list(absent),
        "confidence": reading.confidence,
        "declined": refused if reading.reason else None,
        "model": "offline",
    }


def query_json(wanted: Wanted, query: Query) -> dict[str, Any]:
    """One query of `translate --json`."""
    return {
        "platform": query.platform.value,
        "language": query.language.value,
        "collection": query.collection,
        "text": query.text,
        "hunt": wanted.purpose,
        "check": {"ok": query.check.ok, "diagnostics": diagnostics(query.check)},
        "cannot_express": list(query.cannot_express),
    }
