"""The working memory of one investigation: the case on disk, and its events in this process.

Everything here can be rebuilt from the case folder; a checkpoint holds none of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from langchain_core.messages import BaseMessage

from ..knowledge.errors import RefusedQueryError, VendorAuthError, VendorError
from ..tools.evidence.case import Case
from ..tools.evidence.event import Event
from ..tools.evidence.merge import merge
from ..tools.evidence.normalise import Normaliser
from ..tools.evidence.records import Answer, Evidence, QueryRecord
from ..tools.evidence.story import Focus, Story, assemble
from ..tools.evidence.story_facts import Happening
from ..tools.languages.query import Platform, Query
from ..tools.languages.search import Search, Window, matches
from ..tools.languages.translate import Inapplicable, translate
from ..tools.languages.vocabulary import EventClass
from ..tools.library import HuntLibrary, Label
from ..tools.vendors.estate import Coverage, Estate, QueryRun
from .calling import Choice
from .plan import Wanted
from .reading import shown
from .spotting import routine_days, spotted, without_suspicion


@dataclass
class Workspace:
    """Events, queries and labels of one case."""

    case: Case
    library: HuntLibrary
    normaliser: Normaliser = field(default_factory=Normaliser)
    events: dict[str, Event] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    records: dict[str, QueryRecord] = field(default_factory=dict)
    inapplicable: dict[str, Inapplicable] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    platforms: frozenset[Platform] | None = None
    """Only these platforms, when the analyst said so."""
    looked_up: set[str] = field(default_factory=set)
    """Hosts that the inventories were asked for."""
    skipped: int = 0
    """Planned queries that the budget left out."""
    sent: int = 0
    """Queries of this question; the case may hold those of earlier ones."""
    locked_out: int = 0
    """Of these, how many a vendor refused because of the credentials."""
    added: int = 0
    """Queries that a model added to those that the question and the findings oblige."""
    model_done: bool = False
    """Whether the model has nothing to add, or no tokens left."""
    model_limit: str = ""
    """Why it was not asked further."""
    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    confirm: Callable[[str], bool] | None = None
    """Asked with the text of each query before it is sent (`ask --step`)."""
    answer: Answer | None = None
    draft: Any = None
    """The answer in the making (`draft.Draft`)."""
    _planned: dict[str, Query] = field(default_factory=dict)
    _covered: dict[str, list[tuple[Window, frozenset[Platform]]]] = field(default_factory=dict)
    _labels: dict[str, tuple[Label, ...]] = field(default_factory=dict)
    _read: int = 0
    """How many events the happenings and stories below were made from: events are added and never change."""
    _happenings: Sequence[Happening] = ()
    _stories: dict[Focus, Story] = field(default_factory=dict)

    def compile(self, wanted: Wanted, platforms: frozenset[Platform]) -> list[Query]:
        """Checked queries for a search, without those asked before; remembers where it does not apply."""
        queries: list[Query] = []
        if not self._is_new(wanted, platforms):
            return queries
        for item in translate(wanted.search, platforms=platforms, hunt=wanted.purpose):
            if isinstance(item, Inapplicable):
                self.inapplicable.setdefault(f"{item.platform}:{item.reason}", item)
            elif (key := f"{item.platform}:{item.collection}:{item.text}:{item.window}") not in self.asked:
                self.asked.add(key)
                self._planned[view_key(item)] = item
                queries.append(item)
        return queries

    def _is_new(self, wanted: Wanted, platforms: frozenset[Platform]) -> bool:
        """Whether the same was not already asked of these platforms for a window that holds this one."""
        search = wanted.search
        key = f"{search.event_class}:{search.where.model_dump_json() if search.where else ''}:{search.aggregation}"
        for window, asked in self._covered.get(key, ()):
            if window.start <= search.window.start and search.window.end <= window.end and platforms <= asked:
                return False
        self._covered.setdefault(key, []).append((search.window, platforms))
        return True

    @property
    def obliged(self) -> int:
        """Queries made without the model's additions: what the budget counts."""
        return self.sent - self.added

    def planned(self, key: str) -> Query | None:
        """A query compiled in this process, by its key; after a restart it is compiled again."""
        return self._planned.get(key)

    def keep(self, run: QueryRun) -> tuple[QueryRecord, list[Evidence]]:
        """Put a run into the case, and its rows into memory as events; rows outside the search's meaning are dropped.

        A compiled query may be a superset of its search (`cannot_express`); the rows that do not meet the search are
        counted in the query's rows and do not become evidence.
        """
        record, found = self.case.add_run(narrowed(run, self.normaliser))
        self.records[record.id] = record
        self.sent += 1
        self.locked_out += run.locked_out
        for item in found:
            self.learn(item)
        return record, found

    def learn(self, item: Evidence) -> None:
        """Hold a row of the case as an event."""
        if item.id not in self.events:
            self.evidence[item.id] = item
            self.events[item.id] = Event.of(item)

    def recall(self) -> None:
        """Read everything that the case already holds: a follow-up question, or a run that goes on after a restart."""
        for item in self.case.all_evidence():
            self.learn(item)
        self.records.update((record.id, record) for record in self.case.queries())

    def record_model(self, model: str, messages: Sequence[BaseMessage], choice: Choice) -> None:
        """Keep a turn of model traffic in the case, and count it."""
        self.model_calls += choice.calls
        self.input_tokens += choice.input_tokens
        self.output_tokens += choice.output_tokens
        turn = [{"role": message.type, "text": shown(message)} for message in (*messages, *choice.messages)]
        actions = [
            {"tool": action.tool, "arguments": action.arguments.model_dump(mode="json")} for action in choice.actions
        ]
        self.case.add_traffic(
            "model", {"model": model, "messages": turn, "actions": actions, "problem": choice.problem}
        )

    def labels(self, event: Event) -> tuple[Label, ...]:
        """Behaviours that an event is an instance of."""
        if event.evidence not in self._labels:
            self._labels[event.evidence] = tuple(self.library.label(event.fields, event.event_class))
        return self._labels[event.evidence]

    @property
    def earlier(self) -> list[str]:
        """Earlier questions of the case as they were said, oldest first."""
        return [str(entry.body["text"]) for entry in self.case.questions()]

    @property
    def devices(self) -> list[Event]:
        """Device records of the inventories."""
        return [event for event in self.events.values() if event.event_class is EventClass.DEVICE and event.host]

    @property
    def sensors(self) -> dict[str, tuple[str, ...]]:
        """Host to the platforms whose inventory knows it."""
        found: dict[str, set[str]] = {}
        for device in self.devices:
            found.setdefault(device.host or "", set()).add(device.platform.value)
        return {host: tuple(sorted(platforms)) for host, platforms in sorted(found.items())}

    @property
    def addresses(self) -> dict[str, tuple[str, ...]]:
        """Host to its addresses, from its device records."""
        found: dict[str, dict[str, None]] = {}
        for device in self.devices:
            value = device.get("device.ip")
            for ip in value if isinstance(value, list) else [value]:
                if ip:
                    found.setdefault(device.host or "", {})[str(ip)] = None
        return {host: tuple(ips) for host, ips in found.items()}

    def happenings(self) -> Sequence[Happening]:
        """Events merged across platforms and channels, labelled, numbered from 0."""
        if self._read != len(self.events):
            self._happenings, self._stories, self._read = self._merged(), {}, len(self.events)
        return self._happenings

    def story(self, focus: Focus) -> Story:
        """The story around a focus, as far as it is known now."""
        happenings = self.happenings()
        if focus not in self._stories:
            self._stories[focus] = assemble(happenings, focus)
        return self._stories[focus]

    def _merged(self) -> tuple[Happening, ...]:
        events = [event for event in self.events.values() if event.time]
        found: list[Happening] = []
        hunts = self.library.all()
        spots = spotted((hunt for hunt in hunts if hunt.relations.spot), events)
        routine = routine_days((hunt for hunt in hunts if hunt.relations.routine), events)
        for group in merge(events):
            labels = {label for event in group.events for label in self.labels(event)}
            labels |= {label for event in group.events for label in spots.get(event.evidence, ())}
            usual = {label.hunt for label in labels if any((label.hunt, e.evidence) in routine for e in group.events)}
            labels = without_suspicion(labels, usual)
            ordered = tuple(sorted(labels, key=lambda item: (item.hunt, item.search)))
            found.append(Happening(len(found), tuple(group.events), ordered))
        return tuple(found)


def narrowed(run: QueryRun, normaliser: Normaliser) -> QueryRun:
    """A run without the rows that its query had to return beyond what the search asks for."""
    search = run.query.search
    if run.status != "ok" or search is None or search.aggregation is not None or not run.query.cannot_express:
        return run
    rows = [row for row in run.rows if _meets(search, run.query, row, normaliser)]
    return replace(run, rows=rows)


def _meets(search: Search, query: Query, row: Mapping[str, object], normaliser: Normaliser) -> bool:
    event = normaliser.event(query, dict(row), "")
    in_window = event.time is None or search.window.contains(event.time)
    return in_window and matches(search.where, event.fields)


def view_key(query: Query) -> str:
    """What tells one planned query from another: the window too, since S1QL and CQL carry it beside the text."""
    window = f"{query.window.start.isoformat()}/{query.window.end.isoformat()}"
    return f"{query.platform.value}:{query.collection}:{window}:{query.text}"


def failed(query: Query, status: Literal["error", "refused", "unsupported"], why: str, started: datetime) -> QueryRun:
    """A run that brought nothing, and why."""
    nothing = Coverage(rows=0, total=None, complete=False)
    return QueryRun(query=query, status=status, coverage=nothing, started=started, error=why)


async def run_query(estate: Estate, query: Query, started: datetime) -> QueryRun:
    """Run one query; a failure of the vendor becomes the run's status, so that the other queries survive it."""
    reader = estate.reader(query.platform)
    if reader is None:
        return failed(query, "unsupported", f"{query.platform} is not connected", started)
    if not query.check.sendable:
        problems = "; ".join(item.message for item in query.check.diagnostics if item.severity != "info")
        return failed(query, "refused", problems or "the check refuses it", started)
    try:
        return await reader.run(query)
    except RefusedQueryError as exc:
        return failed(query, "refused", str(exc), started)
    except VendorError as exc:
        run = failed(query, "error", str(exc), started)
        return replace(run, vendor_request_id=exc.request_id, locked_out=isinstance(exc, VendorAuthError))
