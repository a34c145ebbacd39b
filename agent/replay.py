"""A case asked again: by another model over the stored rows, or of the vendors as they are now."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..knowledge.errors import CaseError, QueryError
from ..tools.evidence.canonical import canonical, digest
from ..tools.evidence.case import Case, StoredRun
from ..tools.evidence.normalise import standard
from ..tools.evidence.records import Answer, QueryRecord
from ..tools.languages.query import Language, Platform, Query
from ..tools.languages.search import Window
from ..tools.languages.translate import raw_query, translate
from ..tools.vendors.estate import Coverage, Estate, QueryRun, Row
from .settings import Settings

NOT_ASKED = "it was not asked when the case was made, so the case cannot say"
RAW_LIMIT = 10_000


class StoredReader:
    """Every vendor of a case, as it answered then. What was not asked then has no answer."""

    def __init__(self, runs: Sequence[StoredRun], platforms: frozenset[Platform]) -> None:
        """Hold the runs of a case; of a query that was sent several times, the last answer counts."""
        self.platforms = platforms
        self._exact = {_key(run.record, _window(run)): run for run in runs}
        self._text = {_key(run.record): run for run in runs}

    async def run(self, query: Query) -> QueryRun:
        """The stored answer to a query; `unsupported` where there is none."""
        found = self._exact.get(_key(query, query.window)) or self._text.get(_key(query))
        if found is None:
            return QueryRun(query=query, status="unsupported", error=NOT_ASKED)
        record = found.record
        coverage = Coverage(
            rows=record.rows,
            total=record.total,
            complete=record.complete,
            because=record.incomplete_because,
            pages=record.pages,
            window=Window(start=record.window.start, end=record.window.end, phrase=record.window.phrase),
            retries=record.retries,
        )
        return QueryRun(
            query=query,
            status=record.status,
            rows=found.rows,
            coverage=coverage,
            started=record.started,
            duration_ms=record.duration_ms,
            vendor_request_id=record.vendor_request_id,
            error=record.error,
            attempt=record.attempt,
        )

    async def find_alert(self, alert_id: str) -> tuple[Platform, str, Row] | None:
        """Nothing: alerts are found by the stored queries."""
        return None

    async def aclose(self) -> None:
        """Nothing is open."""


def _key(query: Query | QueryRecord, window: Window | None = None) -> tuple[str, ...]:
    asked = (str(query.platform), str(query.language), query.collection, query.text)
    return (*asked, window.start.isoformat(), window.end.isoformat()) if window else asked


def _window(run: StoredRun) -> Window:
    record = run.record.window
    return run.search.window if run.search else Window(start=record.start, end=record.end, phrase=record.phrase)


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of a case, with what it was asked under."""

    question: str
    now: datetime
    options: Mapping[str, Any] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reasoned:
    """One answer beside what another model says over the same rows."""

    question: str
    before: str
    after: str
    """Models."""
    kept: tuple[str, ...]
    gone: tuple[str, ...]
    new: tuple[str, ...]
    """Sentences of claims."""
    not_asked: tuple[str, ...]
    """Queries that only the other model asks for."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One query, and how its rows differ now."""

    query: str
    platform: str
    text: str
    same: int
    gone: tuple[str, ...]
    """Evidence ids."""
    new: int
    changed: tuple[str, ...]
    problem: str = ""


def stored_estate(case: Case, now: datetime) -> Estate:
    """The estate of a case as it was, answering from the case alone."""
    told: Mapping[str, Any] = next((entry.body for entry in case.traffic("estate")), {})
    runs = list(case.stored_runs())
    names = told.get("platforms") or sorted({run.record.platform for run in runs})
    reader = StoredReader(runs, frozenset(map(Platform, names)))
    return Estate(
        kind=told.get("kind", "lab"),
        readers=[reader],
        now=lambda: now,
        name=told.get("name", ""),
        retention_days={Platform(name): days for name, days in told.get("retention_days", {}).items()},
        tenants={Platform(name): tenant for name, tenant in told.get("tenants", {}).items()},
    )


def estate_place(home: Path, case_id: str) -> str | None:
    """The folder of the lab that a case was asked of, while it is there; None for live vendors.

    Raises:
        CaseError: there is no such case, or its lab is gone.
    """
    with Case.open(home, case_id, write=False) as case:
        told: Mapping[str, Any] = next((entry.body for entry in case.traffic("estate")), {})
    if told.get("kind") != "lab":
        return None
    place = Path(str(told.get("name", "")))
    if not place.is_dir():
        raise CaseError(f"case {case_id} was asked of the lab {place}, which is not there any more")
    return str(place)


def turns(case: Case) -> Iterator[tuple[Turn, Answer]]:
    """The case's answered questions, oldest first, each with its answer."""
    asked = [entry.body for entry in case.traffic("turn")]
    at = 0
    for answer in case.answers():
        body: Mapping[str, Any] = {}
        for position in range(at, len(asked)):
            if asked[position]["question"] == answer.question:
                body, at = asked[position], position + 1
                break
        fallback = answer.window.end if answer.window else datetime.now(UTC)
        now = datetime.fromisoformat(body["now"]) if "now" in body else fallback
        platforms = tuple(body.get("platforms") or ())
        yield Turn(answer.question, now, body.get("options") or {}, platforms), answer


async def reason_again(home: Path, case_id: str, model: str, settings: Settings) -> list[Reasoned]:
    """Let a model answer the case's questions anew, over its stored rows; the case itself is not changed.

    Raises:
        CaseError: there is no such case, or it has no answer.
    """
    from .copilot import Copilot

    with Case.open(home, case_id, write=False) as case:
        before = list(turns(case))
        if not before:
            raise CaseError(f"case {case_id} has no answer, so there is nothing to reason about again")
        estate = stored_estate(case, before[-1][0].now)
    found: list[Reasoned] = []
    # On Windows a file that is still open cannot be removed; what stays is the system's to clean.
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        again: str | None = None
        async with Copilot(estate, model, settings=settings, home=Path(scratch)) as copilot:
            for turn, answer in before:
                options = {name: turn.options.get(name) for name in ("since", "until")}
                hunt = turn.options.get("hunt")
                after = await copilot.ask(
                    turn.question,
                    case=again,
                    now=turn.now,
                    platforms=turn.platforms or None,
                    hunt=(hunt[0], hunt[1]) if hunt else None,
                    **options,
                )
                again = after.case
                found.append(compared(answer, after))
    return found


def compared(before: Answer, after: Answer) -> Reasoned:
    """Which sentences two answers share, and what one has alone."""
    old, new = ([claim.text for claim in answer.claims] for answer in (before, after))
    return Reasoned(
        question=before.question,
        before=before.model,
        after=after.model,
        kept=tuple(text for text in old if text in new),
        gone=tuple(text for text in old if text not in new),
        new=tuple(text for text in new if text not in old),
        not_asked=tuple(
            f"{query.platform} {query.collection}: {query.text}"
            for query in after.queries
            if query.status == "unsupported" and query.error == NOT_ASKED
        ),
    )


async def ask_again(home: Path, case_id: str, estate: Estate) -> list[Drift]:
    """Send the case's queries again and compare the rows; the case is not changed.

    Raises:
        CaseError: there is no such case.
    """
    from ..graphs.workspace import narrowed, run_query

    with Case.open(home, case_id, write=False) as case:
        runs = [run for run in case.stored_runs() if run.record.status == "ok"]
    found = []
    for run in runs:
        try:
            query = query_of(run)
        except QueryError as exc:
            found.append(_unasked(run, f"it cannot be written again: {exc}"))
            continue
        made = narrowed(await run_query(estate, query, estate.now()), standard())
        if made.status != "ok":
            found.append(_unasked(run, made.error or made.status))
        else:
            found.append(drift(run, made.rows))
    return found


def query_of(run: StoredRun) -> Query:
    """The query of a stored run, written anew.

    Raises:
        QueryError: the views have changed since, or the text does not pass the check any more.
    """
    record = run.record
    if run.search is not None:
        for item in translate(run.search, platforms=frozenset({Platform(record.platform)}), hunt=record.hunt or ""):
            if isinstance(item, Query) and (item.collection, item.text) == (record.collection, record.text):
                return item
    return raw_query(
        Platform(record.platform), Language(record.language), record.collection, record.text, _window(run), RAW_LIMIT
    )


def _unasked(run: StoredRun, problem: str) -> Drift:
    record = run.record
    return Drift(record.id, record.platform, record.text, 0, (), 0, (), problem)


def drift(run: StoredRun, rows: Sequence[Row]) -> Drift:
    """How a query's rows now differ from those that it brought then.

    A row that is gone and a new one that agrees with it in most of its values are one row that was changed.
    """
    then = {digest(canonical(row)): row for row in run.rows}
    now = {digest(canonical(row)): row for row in rows}
    gone = {key: row for key, row in then.items() if key not in now}
    new = {key: row for key, row in now.items() if key not in then}
    changed = []
    for key, row in list(gone.items()):
        near = max(new, key=lambda other: _likeness(row, new[other]), default=None)
        if near is not None and _likeness(row, new[near]) > 0.5:
            changed.append(f"E-{key[:12]}")
            del gone[key], new[near]
    record = run.record
    same = len(then.keys() & now.keys())
    ids = tuple(f"E-{key[:12]}" for key in gone)
    return Drift(record.id, record.platform, record.text, same, ids, len(new), tuple(changed))


def _likeness(a: Row, b: Row) -> float:
    keys = a.keys() | b.keys()
    alike = sum(json.dumps(a.get(key), default=str) == json.dumps(b.get(key), default=str) for key in keys)
    return alike / len(keys) if keys else 0.0
