"""Searches that a hunt's relations need: the time before, what goes with a row, what may be absent, other inventories.

Pure: nothing here reads a vendor. `knowledge/hunts/*.yaml` declares relations (`tools.hunt_relations`), `telling_related`
tells what they brought. A query of a relation is shown with the purpose `hunt#relation`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..tools.evidence.story_facts import Happening
from ..tools.hunt_relations import Count, Follow, Lacks, attributes_named, choices
from ..tools.hunts import Hunt, HuntSearch, bind
from ..tools.languages.query import Platform
from ..tools.languages.search import Condition, Expression, Scalar, Search, Window, conditions, matches
from ..tools.languages.vocabulary import EventClass
from ..tools.library import HuntLibrary
from .matching import slots_of
from .plan import Wanted, hosts_of, with_addresses
from .state import Scope
from .think import Candidate

MOST_FOLLOWED = 12
"""Rows of one kind that are followed."""
MOST_LACKING = 60
"""Devices that an inventory is asked about by name."""
INVENTORY_LIMIT = 5_000

Values = Mapping[str, tuple[Scalar, ...]]


@dataclass(frozen=True)
class Asked:
    """A hunt that the question obliges, with the values of its parameters."""

    hunt: Hunt
    values: Values
    rows: frozenset[str] | None = None
    """Only these rows (evidence ids) are followed, where the hunt was not asked for and merely labels the story."""

    def search(self, name: str) -> HuntSearch:
        """One of its searches, by id."""
        return next(search for search in self.hunt.searches if search.id == name)

    def where(self, name: str) -> Expression | None:
        """The condition of one of its searches, filled."""
        return bind(self.search(name).where, self.values)

    def runs(self, name: str) -> bool:
        """Whether one of its searches has what it needs."""
        return all(need in self.values for need in self.search(name).needs)

    def counts(self, count: Count) -> bool:
        """Whether one of its amounts has what it needs."""
        return self.runs(count.search) and all(need in self.values for need in count.needs)

    def purpose(self, relation: str) -> str:
        """What the queries of one of its relations are shown with."""
        return f"{self.hunt.id}#{relation}"


def is_composite(hunt: Hunt) -> bool:
    """Whether a hunt is nothing but several others, asked for together."""
    return not hunt.searches and bool(hunt.relations.include)


def asks_for_several(scope: Scope, library: HuntLibrary) -> bool:
    """Whether the question is one over several hunts: then their rows are the answer, and no story around each."""
    return bool(scope.hunts) and scope.hunts[0] in library.hunts and is_composite(library.hunts[scope.hunts[0]])


VOUCHED = 0.5
"""A hunt that another stands for is taken along when its score is at least this share of the best one's."""


def with_included(
    obliged: Sequence[str], candidates: Sequence[Candidate], library: HuntLibrary, *, named: bool
) -> tuple[str, ...]:
    """Obliged hunts, each followed by those that it asks for together with itself.

    A hunt that is nothing but several others stands for all of them where it fits best and the question names no host,
    account or thing (`named`), whose story would be one of the others' alone; elsewhere for those that come near the
    question by themselves.
    """
    best = max((item.score for item in candidates), default=0.0)
    near = {item.hunt.id for item in candidates if item.fits and item.score >= VOUCHED * best}
    found: list[str] = []
    for at, name in enumerate(obliged):
        vouched = (at > 0 or named) and is_composite(library.get(name))
        found += [] if vouched else [name]
        found += [hunt for hunt in _included(name, library) if not vouched or hunt in near]
    return tuple(dict.fromkeys(name for name in found if name in library.hunts))


def _included(hunt: str, library: HuntLibrary) -> tuple[str, ...]:
    return library.hunts[hunt].relations.include if hunt in library.hunts else ()


def asked_relations(scope: Scope, question: str, library: HuntLibrary) -> list[Asked]:
    """The hunts of a scope, with their parameters filled from its slots and from the question's words."""
    slots = slots_of(scope)
    found = []
    for name in scope.hunts:
        if name not in library.hunts:
            continue
        hunt = library.hunts[name]
        values: dict[str, tuple[Scalar, ...]] = dict(slots.for_hunt(hunt))
        for key, parameter in hunt.parameters.items():
            if parameter.type == "choice" and key not in values and (chosen := choices(parameter, question)):
                values[key] = chosen
        found.append(Asked(hunt, values))
    return found


def with_labelling(asked: Sequence[Asked], entries: Iterable[Happening], library: HuntLibrary) -> list[Asked]:
    """The asked hunts, and those that label the story and say what goes with its rows, for these rows alone."""
    rows: dict[str, set[str]] = {}
    for entry in entries:
        for label in entry.labels:
            if label.signal in ("strong", "medium") and library.get(label.hunt).relations.follow:
                rows.setdefault(label.hunt, set()).update(event.evidence for event in entry.events)
    known = {item.hunt.id for item in asked}
    more = [Asked(library.get(hunt), {}, frozenset(found)) for hunt, found in rows.items() if hunt not in known]
    return [*asked, *more]


def first_searches(
    asked: Sequence[Asked], window: Window, inventory: Window, addresses: Mapping[str, Sequence[str]]
) -> list[Wanted]:
    """What relations ask whatever is found: the time before, what may be absent, and the inventories."""
    wanted: list[Wanted] = []
    for item in asked:
        relations = item.hunt.relations
        for count in relations.count:
            if count.usual and item.counts(count):
                limit = count.limit
                wanted.append(_before(item, count.id, count.search, days_before(window, count.usual), limit))
        for spot in relations.spot:
            if spot.back and item.runs(spot.search):
                limit = item.search(spot.search).limit
                wanted.append(_before(item, spot.id, spot.search, days_before(window, spot.back), limit))
        for routine in relations.routine:
            for name in routine.of:
                if item.runs(name):
                    limit = item.search(name).limit
                    wanted.append(_before(item, routine.id, name, days_before(window, routine.back), limit))
        for absent in relations.absent:
            if all(need in item.values for need in absent.needs):
                where = with_addresses(bind(absent.where, item.values), addresses)
                search = Search(event_class=absent.event_class, where=where, window=window)
                wanted.append(Wanted(search, item.purpose(absent.id), hosts_of(where)))
        for lacks in relations.lacks:
            if platform_of(lacks, item):
                search = Search(event_class=EventClass.DEVICE, window=inventory, limit=INVENTORY_LIMIT)
                wanted.append(Wanted(search, item.hunt.id))
    return wanted


def days_before(window: Window, days: int) -> Window:
    """The days before a window."""
    return Window(start=window.start - timedelta(days=days), end=window.start, phrase=f"the {days} days before")


def _before(item: Asked, relation: str, search: str, window: Window, limit: int) -> Wanted:
    where = item.where(search)
    found = Search(event_class=item.search(search).event_class, where=where, window=window, limit=limit)
    return Wanted(found, item.purpose(relation), hosts_of(where))


def next_searches(
    asked: Sequence[Asked], happenings: Sequence[Happening], window: Window, inventory: Window
) -> list[Wanted]:
    """What relations ask because of what was found: what goes with a row, and whether a device is really missing."""
    wanted: list[Wanted] = []
    for item in asked:
        for follow in item.hunt.relations.follow:
            for row in followed(follow, item, happenings, window):
                search = follow_search(follow, row, item, window)
                if search is not None:
                    wanted.append(Wanted(search, item.purpose(follow.id), hosts_of(search.where)))
        for lacks in item.hunt.relations.lacks:
            platform = platform_of(lacks, item)
            names = missing_devices(lacks, item, happenings)[:MOST_LACKING]
            if platform and names:
                where = Condition(field="device.hostname", values=tuple(names))
                search = Search(event_class=EventClass.DEVICE, where=where, window=inventory, limit=INVENTORY_LIMIT)
                purpose = item.purpose(lacks.id)
                wanted.append(Wanted(search, purpose, platforms=frozenset({platform})))
    return wanted


def followed(follow: Follow, item: Asked, happenings: Sequence[Happening], window: Window) -> list[Happening]:
    """The rows that a relation follows, the most telling first."""
    rows = [
        row
        for row in happenings
        if any(label.hunt == item.hunt.id and label.search in follow.of for label in row.labels)
        and row.time < window.end
        and (item.rows is None or any(event.evidence in item.rows for event in row.events))
        and _fits_one(row, follow, item)
    ]
    return sorted(rows, key=lambda row: (-row.signal, row.time))[:MOST_FOLLOWED]


def _fits_one(row: Happening, follow: Follow, item: Asked) -> bool:
    """Whether a row meets one of the followed searches as the question fills it: its own host, account, address."""
    spots = {spot.id: spot.search for spot in item.hunt.relations.spot}
    names = [spots.get(name, name) for name in follow.of]
    return any(matches(item.where(name), event.fields) for name in names for event in row.events)


def follow_search(follow: Follow, row: Happening, item: Asked, window: Window) -> Search | None:
    """The search for what goes with one row; None where the row lacks a value that it needs."""
    needed = attributes_named(conditions(follow.where))
    of_row = {name: tuple(sorted(row.values(name))) for name in needed}
    if not all(of_row.values()):
        return None
    where = bind(follow.where, {**item.values, **of_row})
    return Search(event_class=follow.event_class, where=where, window=span_of(follow, row, window))


def span_of(follow: Follow, row: Happening, window: Window) -> Window:
    """Where it is looked for: around the row, or in the question's window, so that an absence can be told of it."""
    if not follow.is_near:
        return window
    start = row.time - timedelta(minutes=follow.before_minutes, seconds=2)
    end = row.until + timedelta(minutes=follow.after_minutes, seconds=2)
    return Window(start=_whole(start), end=_whole(end) + timedelta(seconds=1))


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def goes_with(follow: Follow, row: Happening, other: Happening, item: Asked, window: Window) -> bool:
    """Whether a happening is what goes with a row."""
    search = follow_search(follow, row, item, window)
    if search is None or other.event_class is not follow.event_class or other is row:
        return False
    if follow.after and other.time <= row.time:
        return False
    if not (search.window.start <= other.until and other.time < search.window.end):
        return False
    return any(matches(search.where, event.fields) for event in other.events)


def platform_of(lacks: Lacks, item: Asked) -> Platform | None:
    """The platform whose inventory may lack a device; None when the question names none."""
    named = item.values.get(lacks.platform.removeprefix("$"), ())
    return next((platform for platform in Platform if platform.value in named), None)


def missing_devices(lacks: Lacks, item: Asked, happenings: Sequence[Happening]) -> list[str]:
    """Hosts that the other inventories know, and this one's answer does not hold."""
    platform = platform_of(lacks, item)
    where = bind(lacks.where, item.values)
    devices = [row for row in happenings if row.event_class is EventClass.DEVICE and row.host]
    have = {row.host for row in devices if any(event.platform is platform for event in row.events)}
    others = [row for row in devices if any(matches(where, event.fields) for event in row.events)]
    return sorted({row.host for row in others} - have)
