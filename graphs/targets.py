"""What an order is to be done to: the host that is named, described, used by a person, or was the source before.

A target is taken only where one thing can be meant. Several are asked back, with those that fit; none is never guessed.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ..tools.evidence.event import Event
from ..tools.evidence.records import Answer
from ..tools.evidence.values import account_name
from ..tools.languages.entities import Entities
from ..tools.languages.search import All, AnyOf, Condition, Operator, Search, Window
from ..tools.languages.vocabulary import EventClass
from . import orders
from .asking import ask
from .plan import Wanted
from .references import MOST_CANDIDATES, resolved
from .scoping import host_name, inventory_window
from .state import Deps

LOGON_REACH = timedelta(days=14)
"""How far back interactive logons tell whose device a host is."""
INTERACTIVE = ("interactive", "cached_interactive", "remote_interactive", "unlock", "2", "7", "10", "11")


@dataclass(frozen=True)
class Target:
    """What is meant, or why it is not known."""

    hosts: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    why_not: str = ""
    candidates: tuple[str, ...] = ()


async def target_of(question: str, entities: Entities, deps: Deps) -> Target:
    """What the orders of a question are about; several orders of one act may name it in turn."""
    given = orders.orders(entities.text)
    supported = [order for order in given if order.act.supported]
    chosen = supported or list(given[:1])
    about = chosen[0].act.about if chosen else "host"
    if about == "user" and not supported:
        return await _account(question, entities, deps)
    if about != "host" and not supported:
        return Target(hosts=tuple(map(host_name, entities.hosts)))
    later = [order.start for order in given]
    last = Target()
    for order in chosen:
        end = min((start for start in later if start > order.start), default=order.end)
        last = await _host(question, entities, order.start, min(end, order.end), deps)
        if last.hosts or last.candidates:
            return last
    return last


async def _host(question: str, entities: Entities, start: int, end: int, deps: Deps) -> Target:
    """The host that the words between two places mean, else the one that the words before them name."""
    text = entities.text
    named = orders.within(entities.mentions, "host", start, end)
    if named:
        return Target(hosts=tuple(dict.fromkeys(map(host_name, named))))
    addresses = orders.within(entities.mentions, "ip", start, end)
    if addresses:
        return await _at(addresses, deps)
    owner = orders.owner_of(question, entities, start, end)
    if owner:
        return await _device_of(owner, deps)
    parts = orders.parts_of(text[start:end])
    before = tuple(dict.fromkeys(map(host_name, orders.within(entities.mentions, "host", 0, start))))
    if parts:
        return await _described(parts, before, text[start:end], deps)
    if len(before) == 1:
        return Target(hosts=before)
    if before:
        return Target(why_not="several hosts are named; say which one is meant", candidates=before)
    owner = orders.owner_of(question, entities, 0, start)
    if owner:
        return await _device_of(owner, deps)
    everywhere = tuple(dict.fromkeys(map(host_name, entities.hosts)))
    if everywhere and not orders.points_back(text[start:end]):
        return Target(why_not="the order names no host; say which one is meant", candidates=everywhere)
    return await _told(question, entities, deps)


async def _at(addresses: tuple[str, ...], deps: Deps) -> Target:
    """The hosts that the inventories know by these addresses."""
    window = inventory_window(deps.now)
    where = Condition(field="device.ip", values=addresses)
    search = Search(event_class=EventClass.DEVICE, where=where, window=window, limit=200)
    await ask([Wanted(search, "inventory.hosts")], deps)
    known = {host for host, ips in deps.workspace.addresses.items() if set(ips) & set(addresses)}
    if not known:
        said = f"no connected inventory has a host with the address {', '.join(addresses)}; name the host"
        return Target(why_not=said)
    if len(known) > len(addresses):
        return Target(why_not="several hosts have had that address; name the one", candidates=tuple(sorted(known)))
    return Target(hosts=tuple(sorted(known)))


async def _described(parts: Sequence[str], before: Sequence[str], said: str, deps: Deps) -> Target:
    window = inventory_window(deps.now)
    where = AnyOf(
        of=tuple(
            Condition(field=name, op=Operator.CONTAINS, values=tuple(parts))
            for name in ("device.hostname", "device.tags")
        )
    )
    search = Search(event_class=EventClass.DEVICE, where=where, window=window, limit=200)
    await ask([Wanted(search, "inventory.described")], deps)
    found = orders.described(parts, deps.workspace.devices)
    near = [host for host in before if host in found]
    if len(near) == 1 or len(found) == 1:
        return Target(hosts=tuple(near or found))
    if not found:
        return Target(why_not=f"no connected inventory has a host that fits {said.strip()!r}; name the host")
    reason = f"{len(found)} hosts fit {said.strip()!r}; name the one that is meant"
    return Target(why_not=reason, candidates=found[:MOST_CANDIDATES])


async def _device_of(owner: str, deps: Deps) -> Target:
    """The device of a person: of which the inventories name them as the last user, else where they log on in person."""
    name = account_name(owner)
    window = inventory_window(deps.now)
    last_user = Condition(field="device.last_user", values=(name,))
    search = Search(event_class=EventClass.DEVICE, where=last_user, window=window, limit=200)
    await ask([Wanted(search, "inventory.of-user")], deps)
    used = {item.host for item in deps.workspace.devices if item.host and _is(item, "device.last_user", name)}
    if not used:
        used = await _logged_on(name, deps)
    hosts = tuple(sorted(host for host in used if host))
    if len(hosts) == 1:
        return Target(hosts=hosts)
    if hosts:
        reason = f"{name} uses {len(hosts)} devices; name the one that is meant"
        return Target(why_not=reason, candidates=hosts[:MOST_CANDIDATES])
    return Target(why_not=f"no inventory and no logon in person says which device {name} uses; name the host")


async def _logged_on(name: str, deps: Deps) -> set[str]:
    window = Window(start=deps.now - LOGON_REACH, end=deps.now)
    where = All(of=(Condition(field="user.name", values=(name,)), Condition(field="activity", values=("Logon",))))
    search = Search(event_class=EventClass.AUTHENTICATION, where=where, window=window, limit=500)
    await ask([Wanted(search, "inventory.logons")], deps)
    counts: Counter[str] = Counter()
    for item in deps.workspace.events.values():
        kind = item.text("logon_type").lower().replace(" ", "_")
        if item.event_class is EventClass.AUTHENTICATION and item.host and _is(item, "user.name", name):
            counts[item.host] += kind in INTERACTIVE or kind.replace("_", "") in INTERACTIVE
    return {host for host, times in counts.items() if times}


def _is(item: Event, attribute: str, name: str) -> bool:
    value = item.get(attribute)
    return any(account_name(str(one)) == name for one in (value if isinstance(value, list) else [value]) if one)


async def _told(question: str, entities: Entities, deps: Deps) -> Target:
    """The host that the case speaks of: where the last answer's suspicion came from, else what was asked about."""
    case = deps.workspace.case
    last = case.last_answer()
    earlier = deps.workspace.earlier
    if last is None or not earlier:
        return Target(why_not="the order names no host; name the host", candidates=await recent("host", deps))
    sources = await _sources(last, deps)
    asked = [host_name(host) for host in resolved(question, entities, earlier, last).get("host", ())]
    if len(sources) == 1:
        return Target(hosts=sources)
    if sources and len(near := [host for host in asked if host in sources]) == 1:
        return Target(hosts=tuple(near))
    told = tuple(
        dict.fromkeys(host for entry in last.timeline if entry.verdict == "suspicious" for host in entry.hosts)
    )
    about = tuple(host_name(host) for host in last.about if host_name(host) in told)
    if not sources and (len(about) == 1 or len(told) == 1):
        return Target(hosts=about if len(about) == 1 else told)
    several = sources or told or tuple(asked)
    if len(several) == 1:
        return Target(hosts=several)
    if several:
        return Target(why_not="several hosts may be meant; name the one", candidates=several[:MOST_CANDIDATES])
    return Target(why_not="the order names no host; name the host", candidates=await recent("host", deps))


async def _sources(last: Answer, deps: Deps) -> tuple[str, ...]:
    """Hosts of the estate from which the suspicious entries came, without those that were reached themselves."""
    rows = {item.id: item for item in last.evidence}
    cited = [
        rows[name]
        for entry in last.timeline
        if entry.verdict == "suspicious"
        for name in entry.evidence
        if name in rows
    ]
    seen: dict[str, str] = {}
    for row in cited:
        for attribute in ("src_endpoint.hostname", "src_endpoint.ip"):
            value = str(row.fields.get(attribute) or "")
            if value:
                seen.setdefault(value, row.host or "")
    addresses = [value for value in seen if value.replace(".", "").isdigit() or ":" in value]
    if addresses:
        where = Condition(field="device.ip", values=tuple(addresses))
        window = inventory_window(deps.now)
        search = Search(event_class=EventClass.DEVICE, where=where, window=window, limit=200)
        await ask([Wanted(search, "inventory.hosts")], deps)
    by_address = {ip: host for host, ips in deps.workspace.addresses.items() for ip in ips}
    came: dict[str, set[str]] = {}
    for value, on in seen.items():
        host = by_address.get(value) or (host_name(value) if value not in addresses else "")
        if host and host != on:
            came.setdefault(host, set()).add(on)
    reached = set().union(*came.values()) if came else set()
    return tuple(host for host in came if host not in reached) or tuple(came)


async def _account(question: str, entities: Entities, deps: Deps) -> Target:
    """The account that an order is about."""
    named = tuple(map(account_name, (*entities.users, *entities.values("email"))))
    if named:
        return Target(users=tuple(dict.fromkeys(named)))
    case = deps.workspace.case
    earlier = deps.workspace.earlier
    meant = resolved(question, entities, earlier, case.last_answer()).get("user", ()) if earlier else ()
    if meant:
        return Target(users=tuple(map(account_name, meant)))
    return Target(why_not="the order names no account; name the account", candidates=await recent("user", deps))


async def recent(kind: str, deps: Deps) -> tuple[str, ...]:
    """Hosts or accounts of the alerts of the last days, those with most alerts first."""
    window = Window(start=deps.now - timedelta(days=deps.budget.default_days), end=deps.now)
    await ask(
        [Wanted(Search(event_class=EventClass.FINDING, where=None, window=window, limit=200), "alerts.recent")], deps
    )
    counts: Counter[str] = Counter(_names(kind, deps.workspace.events.values()))
    return tuple(name for name, _ in counts.most_common(MOST_CANDIDATES))


def _names(kind: str, events: Iterable[Event]) -> Iterable[str]:
    for item in events:
        if item.event_class is EventClass.FINDING:
            name = (item.host or "") if kind == "host" else account_name(item.user or item.text("user.name") or "")
            if name and not name.endswith("$") and name.lower() not in ("system", "local service", "network service"):
                yield name
