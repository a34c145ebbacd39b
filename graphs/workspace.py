"""The working memory of one investigation: the case on disk, and its events in this process.

Everything here can be rebuilt from the case folder; a checkpoint holds none of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..knowledge.errors import QueryError, RefusedQueryError, VendorError
from ..tools.evidence.case import Case
from ..tools.evidence.event import Event
from ..tools.evidence.merge import merge
from ..tools.evidence.normalise import Normaliser
from ..tools.evidence.records import Evidence, QueryRecord
from ..tools.evidence.story_facts import Happening
from ..tools.languages.query import Platform, Query
from ..tools.languages.search import Search, matches
from ..tools.languages.translate import Inapplicable, translate
from ..tools.library import HuntLibrary, Label
from ..tools.vendors.estate import Coverage, Estate, QueryRun
from .plan import Wanted

BURST = 5
"""From this many failed logons within one folded burst on, the burst is a finding by itself."""


@dataclass
class Workspace:
    """Events, queries and labels of one case."""

    case: Case
    library: HuntLibrary
    normaliser: Normaliser = field(default_factory=Normaliser)
    events: dict[str, Event] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    runs: dict[str, QueryRun] = field(default_factory=dict)
    records: dict[str, QueryRecord] = field(default_factory=dict)
    inapplicable: dict[str, Inapplicable] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    unparsed: set[str] = field(default_factory=set)
    _labels: dict[str, tuple[Label, ...]] = field(default_factory=dict)

    def compile(self, wanted: Wanted, platforms: frozenset[Platform]) -> list[Query]:
        """Checked queries for a search, without those asked before; remembers where it does not apply."""
        queries: list[Query] = []
        for item in translate(wanted.search, platforms=platforms, hunt=wanted.purpose):
            if isinstance(item, Inapplicable):
                self.inapplicable.setdefault(f"{item.platform}:{item.reason}", item)
            elif (key := f"{item.platform}:{item.collection}:{item.text}:{item.window}") not in self.asked:
                self.asked.add(key)
                queries.append(item)
        return queries

    def keep(self, run: QueryRun) -> tuple[QueryRecord, list[Evidence]]:
        """Put a run into the case, and its rows into memory as events; rows outside the search's meaning are dropped.

        A compiled query may be a superset of its search (`cannot_express`); the rows that do not meet the search are
        counted in the query's rows and do not become evidence.
        """
        kept = run if run.status != "ok" else _narrowed(run, self.normaliser)
        record, found = self.case.add_run(kept)
        self.runs[record.id], self.records[record.id] = run, record
        for item in found:
            self.evidence.setdefault(item.id, item)
            if item.id not in self.events:
                event = self.normaliser.event(run.query, item.raw, item.id)
                self.events[item.id] = event
                if event.time is None:
                    self.unparsed.add(item.id)
        return record, found

    def labels(self, event: Event) -> tuple[Label, ...]:
        """Behaviours that an event is an instance of."""
        if event.evidence not in self._labels:
            self._labels[event.evidence] = tuple(self.library.label(event.fields, event.event_class))
        return self._labels[event.evidence]

    def happenings(self, *, only: frozenset[str] | None = None) -> list[Happening]:
        """Events merged across platforms and channels, labelled, numbered from 0."""
        events = [event for event in self.events.values() if event.time and (only is None or event.evidence in only)]
        found: list[Happening] = []
        for group in merge(events):
            labels = {label for event in group.events for label in self.labels(event)}
            happening = Happening(len(found), tuple(group.events), tuple(sorted(labels, key=lambda item: item.key)))
            found.append(happening)
        return found


def _narrowed(run: QueryRun, normaliser: Normaliser) -> QueryRun:
    search = run.query.search
    if search is None or search.aggregation is not None or not run.query.cannot_express:
        return run
    rows = [row for row in run.rows if _meets(search, run.query, row, normaliser)]
    return QueryRun(
        query=run.query,
        status=run.status,
        rows=rows,
        coverage=run.coverage,
        started=run.started,
        duration_ms=run.duration_ms,
        vendor_request_id=run.vendor_request_id,
        attempt=run.attempt,
    )


def _meets(search: Search, query: Query, row: Mapping[str, object], normaliser: Normaliser) -> bool:
    event = normaliser.event(query, dict(row), "")
    in_window = event.time is None or search.window.contains(event.time)
    return in_window and matches(search.where, event.fields)


async def run_query(estate: Estate, query: Query, started: datetime) -> QueryRun:
    """Run one query; a failure of the vendor becomes the run's status, so that the other queries survive it."""
    reader = estate.reader(query.platform)
    nothing = Coverage(rows=0, total=None, complete=False)
    if reader is None:
        why = f"{query.platform} is not connected"
        return QueryRun(query=query, status="unsupported", coverage=nothing, started=started, error=why)
    if not query.check.sendable:
        why = "; ".join(item.message for item in query.check.diagnostics) or "the check refuses it"
        return QueryRun(query=query, status="refused", coverage=nothing, started=started, error=why)
    try:
        return await reader.run(query)
    except RefusedQueryError as exc:
        return QueryRun(query=query, status="refused", coverage=nothing, started=started, error=str(exc))
    except VendorError as exc:
        return QueryRun(
            query=query,
            status="error",
            coverage=nothing,
            started=started,
            error=str(exc),
            vendor_request_id=exc.request_id,
        )
    except QueryError as exc:
        return QueryRun(query=query, status="error", coverage=nothing, started=started, error=str(exc))


def sensors(events: Sequence[Event]) -> dict[str, tuple[str, ...]]:
    """Host to the platforms whose inventory knows it."""
    found: dict[str, set[str]] = {}
    for event in events:
        if event.event_class == "inventory_info" and event.host:
            found.setdefault(event.host, set()).add(event.platform.value)
    return {host: tuple(sorted(platforms)) for host, platforms in sorted(found.items())}
