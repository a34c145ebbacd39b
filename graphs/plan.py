"""Which searches a question obliges. Pure; nothing here reads a vendor."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..tools.hunts import Hunt, bind
from ..tools.languages.query import Platform
from ..tools.languages.search import (
    All,
    AnyOf,
    Condition,
    Expression,
    Not,
    Operator,
    Scalar,
    Search,
    Window,
    disjunction,
)
from ..tools.languages.vocabulary import EventClass

ASKABLE = {Platform.DEFENDER: timedelta(days=30)}
"""Advanced hunting refuses or silently cuts older windows; the other platforms answer for what they still keep."""


@dataclass(frozen=True)
class Wanted:
    """A search and where it is to be asked."""

    search: Search
    purpose: str
    """Hunt id, or `neighbours.<what>`: shown with the query."""
    hosts: frozenset[str] = frozenset()
    """Hosts that it is about; platforms without a sensor on any of them are left out."""
    own_sensors: bool = False
    """Asked of the hosts' own sensors alone: what stands around a finding there, no log of another source tells."""
    platforms: frozenset[Platform] = frozenset()
    """Asked of these alone; none named: of every platform that may know."""

    @property
    def key(self) -> str:
        """Equal searches have equal keys."""
        return self.search.model_dump_json()


@dataclass(frozen=True)
class Slots:
    """Values for hunt parameters, by entity type."""

    values: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    outbound: bool = False
    """The question's hosts are where something came from, not where it went."""
    named: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    """Values given by parameter name (`hunts run --set`); nothing else is filled then."""

    def for_hunt(self, hunt: Hunt) -> dict[str, tuple[Scalar, ...]]:
        """Values of a hunt's parameters: what was named, else what the question holds, else the hunt's default."""
        filled: dict[str, tuple[Scalar, ...]] = {}
        for name, parameter in hunt.parameters.items():
            given = self.named.get(name, ())
            if not given and not self.named and name == self._taker(hunt, parameter.type):
                given = self.values.get(parameter.type, ())
            if not given and parameter.default is not None:
                given = (parameter.default,)
            if given:
                filled[name] = given
        return filled

    def _taker(self, hunt: Hunt, kind: str) -> str:
        """Which of a hunt's parameters of one type takes the question's entities.

        A hunt that follows something from a host to a target has two of them: the question's direction decides.
        """
        names = [name for name, parameter in hunt.parameters.items() if parameter.type == kind]
        if kind == "host" and "target" in names and not self.outbound:
            return "target"
        return kind if kind in names else names[0]


def with_addresses(expression: Expression | None, addresses: Mapping[str, Sequence[str]]) -> Expression | None:
    """Let a condition on a remote host's name also be met by its addresses.

    Many sensors record only the address of the other side; the inventory knows whose it is.
    """
    match expression:
        case Condition(
            field=("src_endpoint.hostname" | "dst_endpoint.hostname") as name, op=Operator.EQ, values=values
        ):
            known = tuple(ip for value in values for ip in addresses.get(str(value).upper(), ()))
            if not known:
                return expression
            by_address = Condition(field=name.replace(".hostname", ".ip"), values=known)
            return AnyOf(of=(expression, by_address))
        case All(of=parts) | AnyOf(of=parts):
            return type(expression)(of=tuple(filter(None, (with_addresses(part, addresses) for part in parts))))
        case Not(of=part):
            inner = with_addresses(part, addresses)
            return Not(of=inner) if inner is not None else None
        case _:
            return expression


def hosts_of(expression: Expression | None) -> frozenset[str]:
    """Hosts to which an expression restricts where an event was seen; empty when it restricts nothing."""
    match expression:
        case Condition(field="device.hostname", op=Operator.EQ, values=values):
            return frozenset(str(value).upper() for value in values)
        case All(of=parts):
            return next((hosts for part in parts if (hosts := hosts_of(part))), frozenset())
        case AnyOf(of=parts):
            each = [hosts_of(part) for part in parts]
            return frozenset().union(*each) if all(each) else frozenset()
        case _:
            return frozenset()


def fits(hunt: Hunt, slots: Slots) -> bool:
    """Whether every required parameter has a value."""
    filled = slots.for_hunt(hunt)
    return all(name in filled for name, parameter in hunt.parameters.items() if parameter.required)


def hunt_searches(
    hunt: Hunt, slots: Slots, window: Window, addresses: Mapping[str, Sequence[str]] | None = None
) -> list[Wanted]:
    """The searches of one hunt with its slots filled, those of one class joined into one."""
    filled = slots.for_hunt(hunt)
    by_class: dict[EventClass, list[Expression]] = {}
    most: dict[EventClass, int] = {}
    for search in hunt.searches:
        if any(need not in filled for need in search.needs):
            continue
        bound = bind(search.where, filled)
        if bound is None and search.where is not None and search.signal not in ("inventory", "context"):
            continue
        by_class.setdefault(search.event_class, [])
        most[search.event_class] = max(most.get(search.event_class, 0), search.limit)
        if bound is not None:
            by_class[search.event_class].append(bound)
    wanted = []
    for event_class, parts in by_class.items():
        joined = disjunction(*parts) if parts else None
        where = with_addresses(joined, addresses or {})
        whole = Search(event_class=event_class, where=where, window=window, limit=most[event_class])
        wanted.append(Wanted(whole, hunt.id, hosts_of(where)))
    return wanted


def findings_about(hosts: Iterable[str], users: Iterable[str], window: Window) -> Wanted | None:
    """Alerts that name one of the entities."""
    parts = [*_equal("device.hostname", hosts), *_equal("user.name", users), *_equal("actor.user.name", users)]
    if not parts:
        return None
    search = Search(event_class=EventClass.FINDING, where=disjunction(*parts), window=window, limit=200)
    return Wanted(search, "alerts.by-entity")


def mails_about(addresses: Iterable[str], window: Window) -> Wanted | None:
    """Mails from or to the addresses that a question names."""
    parts = [*_equal("email.from", addresses), *_equal("email.to", addresses)]
    if not parts:
        return None
    return Wanted(
        Search(event_class=EventClass.EMAIL, where=AnyOf(of=tuple(parts)), window=window), "neighbours.sender"
    )


def inventory(hosts: Iterable[str], window: Window, *, addresses: Iterable[str] = ()) -> Wanted | None:
    """Device records by name or address."""
    parts = [*_equal("device.hostname", hosts), *_equal("device.ip", addresses)]
    if not parts:
        return None
    where = disjunction(*parts)
    return Wanted(Search(event_class=EventClass.DEVICE, where=where, window=window, limit=200), "inventory.hosts")


def askable(wanted: Wanted, platforms: frozenset[Platform], now: datetime) -> list[tuple[Wanted, frozenset[Platform]]]:
    """The same search in the windows that each platform can be asked for; a platform may be left without one."""
    window = wanted.search.window
    limited = {platform for platform in platforms & ASKABLE.keys() if window.start < now - ASKABLE[platform]}
    found = [(wanted, platforms - limited)] if platforms - limited else []
    for platform in sorted(limited):
        start = now - ASKABLE[platform] + timedelta(minutes=10)
        if start < window.end:
            cut = window.model_copy(update={"start": start})
            search = wanted.search.model_copy(update={"window": cut})
            found.append((replace(wanted, search=search), frozenset({platform})))
    return found


def _equal(name: str, values: Iterable[str]) -> list[Expression]:
    given = tuple(dict.fromkeys(values))
    return [Condition(field=name, values=given)] if given else []
