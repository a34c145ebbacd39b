"""What a hunt's relations brought, as claims and entries: amounts, spotted rows, what goes with them, what is absent.

An absence is told over queries that asked for just that, are complete and brought nothing; rows that a relation found
are observations like any other. Amounts are counted from the rows alone (`tools.evidence.counting`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ..tools.evidence import claims as claiming
from ..tools.evidence import counting
from ..tools.evidence.counting import Amount, Basis, Span
from ..tools.evidence.event import Event
from ..tools.evidence.records import Claim, QueryRecord, WindowRecord
from ..tools.evidence.story import involves
from ..tools.evidence.story_facts import Happening
from ..tools.hunt_relations import Count, Follow, Lacks, Spot, attributes_named
from ..tools.hunts import bind
from ..tools.languages.query import Query
from ..tools.languages.search import Condition, Expression, Search, conditions, matches
from ..tools.languages.translate import translate
from ..tools.languages.views import views_for
from ..tools.languages.vocabulary import EventClass
from ..tools.library import Label
from . import scoping
from .asking import platforms_for
from .draft import Draft, focus
from .plan import Wanted, askable, hosts_of, with_addresses
from .relating import Asked, follow_search, followed, goes_with, missing_devices, platform_of
from .spotting import is_benign, routine_days
from .state import Deps, Scope

MOST_ROWS = 40
"""Rows of relations that are told one by one."""

Verdict = Literal["suspicious", "context", "benign"]


@dataclass(frozen=True)
class Told:
    """A row worth an entry, and why."""

    item: Happening
    label: Label | None
    verdict: Verdict
    because: str = ""
    """What rules a benign one out."""


def related_rows(asked: Sequence[Asked], scope: Scope, draft: Draft, deps: Deps) -> list[Told]:
    """Rows that the relations of the asked hunts found, each once, in time order."""
    happenings = deps.workspace.happenings()
    found: dict[int, Told] = {}
    for item in asked:
        for told in _rows_of(item, happenings, scope, draft, deps):
            found.setdefault(told.item.index, told)
    rows = sorted(found.values(), key=lambda told: (told.item.time, told.item.index))
    return rows[:MOST_ROWS]


def _rows_of(item: Asked, happenings: Sequence[Happening], scope: Scope, draft: Draft, deps: Deps) -> Iterator[Told]:
    around = focus(scope, deps.library)
    relations = item.hunt.relations
    for spot in relations.spot:
        for row in happenings:
            label = _labelled(row, item, spot.id)
            if label is not None and involves(row, around, draft.story.directory):
                yield _spotted(spot, row, label)
    for row, days in _routine_rows(item, happenings, deps):
        if involves(row, around, draft.story.directory) and _within(row, scope):
            yield Told(row, None, "benign", f"the same was seen on {days} earlier days")
    for follow in relations.follow:
        label = Label(item.hunt.id, follow.id, follow.signal, follow.says, follow.techniques)
        for row in followed(follow, item, happenings, scope.window):
            for other in happenings:
                if goes_with(follow, row, other, item, scope.window):
                    yield Told(other, label, _verdict(label))
    for absent in relations.absent:
        where = bind(absent.where, item.values)
        for row in happenings if all(need in item.values for need in absent.needs) else ():
            if _meets(row, absent.event_class, where) and _within(row, scope):
                yield Told(row, None, "suspicious" if absent.signal in ("strong", "medium") else "context")
    for lacks in relations.lacks:
        missing = set(missing_devices(lacks, item, happenings))
        for row in happenings:
            if row.event_class is EventClass.DEVICE and row.host in missing:
                yield Told(row, None, "context")


def _routine_rows(item: Asked, happenings: Sequence[Happening], deps: Deps) -> Iterator[tuple[Happening, int]]:
    """Rows that a hunt would have called suspicious, were they not how things always are."""
    found = routine_days([item.hunt] if item.hunt.relations.routine else [], deps.workspace.events.values())
    for row in happenings if found else ():
        days = max((found.get((item.hunt.id, event.evidence), 0) for event in row.events), default=0)
        if days:
            yield row, days


def _labelled(row: Happening, item: Asked, relation: str) -> Label | None:
    return next((label for label in row.labels if label.hunt == item.hunt.id and label.search == relation), None)


def _spotted(spot: Spot, row: Happening, label: Label) -> Told:
    if any(is_benign(spot, event) for event in row.events):
        return Told(row, label, "benign", spot.because)
    return Told(row, label, _verdict(label))


def _verdict(label: Label) -> Verdict:
    return "suspicious" if label.signal in ("strong", "medium") else "context"


def _meets(row: Happening, event_class: EventClass, where: Expression | None) -> bool:
    return row.event_class is event_class and any(matches(where, event.fields) for event in row.events)


def _within(row: Happening, scope: Scope) -> bool:
    return scope.window.start <= row.until and row.time < scope.window.end


def amounts(asked: Sequence[Asked], scope: Scope, draft: Draft, deps: Deps) -> list[tuple[Amount, dict[str, bool]]]:
    """What the counting relations add up to, each with the queries that looked and whether each is complete."""
    around, directory = focus(scope, deps.library), draft.story.directory
    found: list[tuple[Amount, dict[str, bool]]] = []
    for item in asked:
        for count in item.hunt.relations.count:
            if item.counts(count):
                queries = {record.id: _is_whole(record) for record in _queries_of(count, item, deps)}
                events = [
                    event
                    for event in _counted(count, item, deps)
                    if involves(Happening(0, (event,), ()), around, directory)
                ]
                basis = Basis(count.unit, count.by, count.facets, _before(count, scope, deps))
                window = Span(scope.window.start, scope.window.end)
                found += [(amount, queries) for amount in counting.amounts(events, basis, window)[: count.top]]
    return found


def _counted(count: Count, item: Asked, deps: Deps) -> Iterable[Event]:
    where, event_class = item.where(count.search), item.search(count.search).event_class
    for event in deps.workspace.events.values():
        if event.event_class is event_class and event.time is not None and matches(where, event.fields):
            yield event


def _queries_of(count: Count, item: Asked, deps: Deps) -> list[QueryRecord]:
    """The queries that could have brought rows of a count: its hunt's, and those of the time before."""
    views = views_for(item.search(count.search).event_class)
    places = {(view.platform.value, view.collection) for view in views}
    purposes = {item.hunt.id, item.purpose(count.id)}
    records = deps.workspace.records.values()
    return [item for item in records if item.hunt in purposes and (item.platform, item.collection) in places]


def _is_whole(record: QueryRecord) -> bool:
    return record.status == "ok" and record.complete


def _before(count: Count, scope: Scope, deps: Deps) -> Span | None:
    """The time before the window, as far back as every platform that was asked keeps rows."""
    if not count.usual:
        return None
    kept = [deps.estate.retention_days[platform] for platform in deps.platforms & deps.estate.retention_days.keys()]
    start = scope.window.start - timedelta(days=count.usual)
    start = max([start, *(deps.now - timedelta(days=days) for days in kept)])
    whole = _second(start) if start.microsecond == 0 else _second(start) + timedelta(seconds=1)
    end = _second(scope.window.start)
    return Span(whole, end) if whole < end else None


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def absences(asked: Sequence[Asked], scope: Scope, draft: Draft, deps: Deps) -> list[Claim]:
    """What the relations looked for and is not there."""
    found: list[Claim] = []
    for what, wanted in _looked_for(asked, scope, deps):
        records = records_of(wanted, deps)
        if records and all(_is_whole(record) and _brought(record) == 0 for record in records):
            window = scope.window
            spans = WindowRecord(start=window.start, end=window.end)
            if wanted.search.event_class is EventClass.DEVICE:
                spans = WindowRecord(start=wanted.search.window.start, end=wanted.search.window.end)
            found.append(claiming.absence(f"C{len(draft.claims) + len(found) + 1}", what, records, spans))
    return found


def _brought(record: QueryRecord) -> int:
    return record.kept if record.kept is not None and record.cannot_express else record.rows


def _looked_for(asked: Sequence[Asked], scope: Scope, deps: Deps) -> Iterator[tuple[str, Wanted]]:
    happenings = deps.workspace.happenings()
    for item in asked:
        for follow in item.hunt.relations.follow:
            for row in followed(follow, item, happenings, scope.window) if follow.absent else ():
                search = follow_search(follow, row, item, scope.window)
                if search is not None and not follow.is_near:
                    what = f"{_lowered(follow.says)} for {', '.join(_named(follow, row))}"
                    yield what, Wanted(search, item.purpose(follow.id), hosts_of(search.where))
        for absent in item.hunt.relations.absent:
            if all(need in item.values for need in absent.needs):
                where = with_addresses(bind(absent.where, item.values), deps.workspace.addresses)
                search = Search(event_class=absent.event_class, where=where, window=scope.window)
                yield _filled(absent.says, item), Wanted(search, item.purpose(absent.id), hosts_of(where))
        for lacks in item.hunt.relations.lacks:
            yield from _devices_looked_for(lacks, item, happenings, deps)


def _devices_looked_for(
    lacks: Lacks, item: Asked, happenings: Sequence[Happening], deps: Deps
) -> Iterator[tuple[str, Wanted]]:
    """Each device by itself, all of them over the one query that named them."""
    platform, names = platform_of(lacks, item), missing_devices(lacks, item, happenings)[:MOST_ROWS]
    if platform is None or not names:
        return
    where = Condition(field="device.hostname", values=tuple(names))
    search = Search(event_class=EventClass.DEVICE, where=where, window=scoping.inventory_window(deps.now), limit=5_000)
    wanted = Wanted(search, item.purpose(lacks.id), platforms=frozenset({platform}))
    for name in names:
        yield f"{_lowered(lacks.says)} of {name}", wanted


def _named(follow: Follow, row: Happening) -> list[str]:
    """The values of a row that the search for what goes with it was made from."""
    names = [value for condition in conditions(follow.where) for value in condition.values]
    ordered = [str(name)[1:] for name in names if str(name)[1:] in attributes_named(conditions(follow.where))]
    return list(dict.fromkeys(value for name in ordered for value in sorted(row.values(name))))[:4]


def _filled(says: str, item: Asked) -> str:
    """What was looked for, with the parameters' values in their places."""
    for name, values in item.values.items():
        says = says.replace(f"{{{name}}}", ", ".join(map(str, values)))
    return _lowered(says)


def _lowered(says: str) -> str:
    return says[:1].lower() + says[1:] if says[1:2].islower() else says


def records_of(wanted: Wanted, deps: Deps) -> list[QueryRecord]:
    """The records of a search's queries; none when one of them was not sent or a platform could not be asked."""
    made: dict[tuple[str, str, str, datetime, datetime], QueryRecord] = {
        (item.platform, item.collection, item.text, item.window.start, item.window.end): item
        for item in deps.workspace.records.values()
    }
    found: list[QueryRecord] = []
    for part, platforms in askable(wanted, platforms_for(wanted, deps), deps.now):
        for query in translate(part.search, platforms=platforms, hunt=wanted.purpose):
            if isinstance(query, Query):
                record = made.get(_key(query))
                if record is None:
                    return []
                found.append(record)
    return found


def _key(query: Query) -> tuple[str, str, str, datetime, datetime]:
    return query.platform.value, query.collection, query.text, query.window.start, query.window.end
