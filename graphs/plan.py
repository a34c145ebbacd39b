"""Which searches a question obliges, and which follow from what was found. Pure; nothing here reads a vendor."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from ..tools.evidence.story import Story
from ..tools.evidence.story_facts import WORKPLACES, Directory, Happening, is_public
from ..tools.evidence.story_links import MEDIUM, MIN_NAME
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
    conjunction,
)
from ..tools.languages.vocabulary import ATTRIBUTES, EventClass

BEFORE, AFTER = timedelta(minutes=30), timedelta(hours=2)
"""How far around a finding its host is looked at."""
BEFORE_ORIGIN = timedelta(hours=12)
"""How far back the programs of a host are looked at from which something came."""
TRACES = timedelta(hours=6)
"""How long a suspicious process's connections and files are followed."""
EPISODE_GAP = timedelta(hours=3)
ASKABLE = {Platform.DEFENDER: timedelta(days=30)}
"""Advanced hunting refuses or silently cuts older windows; the other platforms answer for what they still keep."""
BASELINE = timedelta(days=14)


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
        joined = parts[0] if len(parts) == 1 else AnyOf(of=tuple(parts)) if parts else None
        where = with_addresses(joined, addresses or {})
        whole = Search(event_class=event_class, where=where, window=window, limit=most[event_class])
        wanted.append(Wanted(whole, hunt.id, hosts_of(where)))
    return wanted


def findings_about(hosts: Iterable[str], users: Iterable[str], window: Window) -> Wanted | None:
    """Alerts that name one of the entities."""
    parts = [*_equal("device.hostname", hosts), *_equal("user.name", users), *_equal("actor.user.name", users)]
    if not parts:
        return None
    where = parts[0] if len(parts) == 1 else AnyOf(of=tuple(parts))
    search = Search(event_class=EventClass.FINDING, where=where, window=window, limit=200)
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
    where = parts[0] if len(parts) == 1 else AnyOf(of=tuple(parts))
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


@dataclass(frozen=True)
class Episode:
    """A span on one host in which something of the story happened."""

    host: str
    window: Window


def episodes(entries: Sequence[Happening], within: Window) -> list[Episode]:
    """Spans around the entries of each host, joined where they are close, cut to the question's window."""
    spans: dict[str, list[list[Happening]]] = {}
    for entry in sorted(entries, key=lambda item: item.time):
        if not entry.host:
            continue
        groups = spans.setdefault(entry.host, [])
        if groups and entry.time - groups[-1][-1].until <= EPISODE_GAP:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    found = []
    for host, groups in spans.items():
        for group in groups:
            # Whole hours, so that an episode that grows by minutes is not asked for again.
            start = max(_floor(group[0].time - BEFORE), within.start)
            end = min(_floor(max(item.until for item in group) + AFTER) + HOUR, within.end)
            if start < end:
                found.append(Episode(host, Window(start=start, end=end)))
    return found


HOUR = timedelta(hours=1)


def _floor(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def neighbours(story: Story, window: Window) -> list[Wanted]:
    """What has to be looked at because of what was found: fixed rules, the same for any model."""
    entries = story.entries or story.anchors
    wanted: list[Wanted] = []
    origins = {origin for entry in entries for origin in story.directory.sources(entry)}
    origins |= {entry.host for entry in entries if story.directory.targets(entry)}
    # The most telling first: the budget may end before the list does.
    wanted += _traces(entries, window)
    for episode in episodes(entries, window):
        wanted += _around(episode, window, is_origin=episode.host in origins)
    wanted += _arrivals(entries, story.directory, window)
    wanted += _writers(entries, window)
    wanted += _accounts(entries, story.directory, window)
    wanted += _outside_addresses(entries, story.directory, window)
    wanted += _mails(entries, window)
    wanted += _places(entries, window)
    wanted += _unknown_addresses(entries, story.directory, window)
    return together(wanted)


def together(wanted: Sequence[Wanted]) -> list[Wanted]:
    """Searches that differ in nothing but the host become one: a story over four hosts costs one question, not four."""
    merged: dict[str, Wanted] = {}
    for item in wanted:
        split = _host_and_rest(item.search.where)
        if split is None:
            merged[item.key] = item
            continue
        hosts, rest = split
        search = item.search
        key = f"{search.event_class}:{search.window.start}:{search.window.end}:{[part.model_dump_json() for part in rest]}"
        earlier = merged.get(key)
        if earlier is not None:
            hosts = tuple(dict.fromkeys((*sorted(earlier.hosts), *hosts)))
        where = conjunction(Condition(field="device.hostname", values=hosts), *rest)
        merged[key] = replace(
            item,
            search=search.model_copy(update={"where": where}),
            hosts=frozenset(str(host).upper() for host in hosts),
        )
    return list(merged.values())


def _host_and_rest(where: Expression | None) -> tuple[tuple[Scalar, ...], tuple[Expression, ...]] | None:
    match where:
        case Condition(field="device.hostname", op=Operator.EQ, values=values):
            return values, ()
        case All(of=(Condition(field="device.hostname", op=Operator.EQ, values=values), *rest)):
            return values, tuple(rest)
        case _:
            return None


def _around(episode: Episode, window: Window, *, is_origin: bool) -> list[Wanted]:
    start = max(episode.window.start - BEFORE_ORIGIN, window.start) if is_origin else episode.window.start
    longer = Window(start=start, end=episode.window.end)
    host = Condition(field="device.hostname", values=(episode.host,))
    launch = Condition(field="activity", values=("Launch",))
    arrivals = AnyOf(
        of=(
            Condition(field="src_endpoint.ip", op=Operator.EXISTS),
            Condition(field="status", values=("Failure",)),
        )
    )
    logon = Condition(field="activity", values=("Logon",))
    spans = (
        (EventClass.PROCESS, conjunction(host, launch), longer),
        (EventClass.SERVICE, host, episode.window),
        (EventClass.AUTHENTICATION, conjunction(host, logon, arrivals), episode.window),
    )
    return [
        _for_host(event_class, where, span, event_class.split("_")[0], episode.host)
        for event_class, where, span in spans
    ]


def _traces(entries: Sequence[Happening], window: Window) -> list[Wanted]:
    """Connections, names and files of the story's processes."""
    acting: dict[str, list[Happening]] = {}
    for entry in entries:
        if entry.is_launch and entry.process and entry.process not in WORKPLACES:
            acting.setdefault(entry.host, []).append(entry)
    launches = [launch for found in acting.values() for launch in found]
    if not launches:
        return []
    names = tuple(sorted({launch.process for launch in launches}))[:60]
    start = max(_floor(min(launch.time for launch in launches) - timedelta(minutes=5)), window.start)
    end = min(_floor(max(launch.time for launch in launches) + TRACES) + HOUR, window.end)
    if start >= end:
        return []
    hosts = Condition(field="device.hostname", values=tuple(sorted(acting)))
    by_them = Condition(field="actor.process.name", values=names)
    created = Condition(field="activity", values=("Create",))
    opened = Condition(field="activity", values=("Open",))
    span = Window(start=start, end=end)
    traces = (
        ("connections", EventClass.NETWORK, conjunction(hosts, by_them)),
        ("files", EventClass.FILE, conjunction(hosts, by_them, created)),
        ("handles", EventClass.PROCESS, conjunction(hosts, by_them, opened)),
    )
    return [
        Wanted(
            Search(event_class=kind, where=where, window=span),
            f"neighbours.{what}",
            frozenset(acting),
            own_sensors=True,
        )
        for what, kind, where in traces
    ]


def _for_host(event_class: EventClass, where: Expression | None, span: Window, what: str, host: str) -> Wanted:
    search = Search(event_class=event_class, where=where, window=span)
    return Wanted(search, f"neighbours.{what}", frozenset({host}), own_sensors=True)


def _writers(entries: Sequence[Happening], window: Window) -> list[Wanted]:
    """Who wrote the programs that ran, and the documents that were opened."""
    run: dict[str, set[str]] = {}
    for entry in entries:
        if not entry.is_launch:
            continue
        names = {entry.process} - WORKPLACES
        path = entry.text("process.path").lower()
        if not path.startswith(("c:\\windows\\", "c:\\program files")) and names:
            run.setdefault(entry.host, set()).update(names)
    wanted = []
    for host, names in run.items():
        where = conjunction(
            Condition(field="device.hostname", values=(host,)),
            Condition(field="file.name", values=tuple(sorted(names))[:40]),
        )
        wanted.append(_for_host(EventClass.FILE, where, window, "writers", host))
    return wanted


def _outside_addresses(entries: Sequence[Happening], directory: Directory, window: Window) -> list[Wanted]:
    """Who else talked to the addresses outside that the story's processes talked to."""
    addresses: set[str] = set()
    for entry in entries:
        if entry.event_class is EventClass.NETWORK and entry.text("connection.direction") != "Inbound":
            addresses |= {ip for ip in entry.destination_ips if ip not in directory.host_of}
    if not addresses:
        return []
    where = Condition(field="dst_endpoint.ip", values=tuple(sorted(addresses))[:40])
    return [Wanted(Search(event_class=EventClass.NETWORK, where=where, window=window), "neighbours.same-address")]


def _mails(entries: Sequence[Happening], window: Window) -> list[Wanted]:
    """The whole of a suspicious sender's mail, and who clicked on links to its domain."""
    clicked = {_domain_of(entry) for entry in entries if entry.event_class is EventClass.URL and entry.signal >= MEDIUM}
    wanted = [_mails_of(tuple(sorted(clicked - {""}))[:20], window)] if clicked - {""} else []
    mails = [entry for entry in entries if entry.event_class is EventClass.EMAIL and entry.signal >= MEDIUM]
    senders = tuple(sorted({name for mail in mails for name in mail.values("email.from")}))[:20]
    if not senders:
        return wanted
    domains = tuple(sorted({sender.rpartition("@")[2].lower() for sender in senders} - {""}))
    of_senders = Search(
        event_class=EventClass.EMAIL, where=Condition(field="email.from", values=senders), window=window
    )
    on_links = Condition(field="url.url_string", op=Operator.CONTAINS, values=domains)
    clicks = Search(event_class=EventClass.URL, where=on_links, window=window)
    wanted += [Wanted(of_senders, "neighbours.sender"), Wanted(clicks, "neighbours.clicks")]
    attached = tuple(sorted({name for mail in mails for name in mail.values("file.name") if len(name) >= MIN_NAME}))[
        :20
    ]
    if attached:
        opened = Condition(field="process.cmd_line", op=Operator.CONTAINS, values=attached)
        launched = conjunction(Condition(field="activity", values=("Launch",)), opened)
        search = Search(event_class=EventClass.PROCESS, where=launched, window=window)
        wanted.append(Wanted(search, "neighbours.attachment"))
    return wanted


def _domain_of(click: Happening) -> str:
    url = click.text("url.url_string")
    return (urlsplit(url if "//" in url else f"//{url}").hostname or "").lower()


def _mails_of(domains: tuple[str, ...], window: Window) -> Wanted:
    """The mails that a clicked link may have come from."""
    where = AnyOf(
        of=(
            Condition(field="email.from", op=Operator.ENDSWITH, values=tuple(f"@{domain}" for domain in domains)),
            Condition(field="url.url_string", op=Operator.CONTAINS, values=domains),
        )
    )
    return Wanted(Search(event_class=EventClass.EMAIL, where=where, window=window), "neighbours.mails")


def _places(entries: Sequence[Happening], window: Window) -> list[Wanted]:
    """What a suspicious account of the cloud did from the outside addresses that it came from."""
    cloud = (EventClass.AUTHENTICATION, EventClass.ACCOUNT, EventClass.API)
    acts = [entry for entry in entries if entry.event_class in cloud and entry.signal >= MEDIUM and not entry.host]
    users = tuple(sorted({act.user for act in acts if act.user}))[:20]
    addresses = tuple(sorted({ip for act in acts for ip in act.source_ips if is_public(ip)}))[:40]
    if not users or not addresses:
        return []
    from_there = Condition(field="src_endpoint.ip", values=addresses)
    where = conjunction(Condition(field="user.name", values=users), from_there)
    wanted = [Wanted(Search(event_class=kind, where=where, window=window), "neighbours.place") for kind in cloud]
    clicks = Search(event_class=EventClass.URL, where=Condition(field="user.name", values=users), window=window)
    return [*wanted, Wanted(clicks, "neighbours.clicked")]


def _arrivals(entries: Sequence[Happening], directory: Directory, window: Window) -> list[Wanted]:
    """For each arrival from another host: what that host did then, and its connections to the target."""
    wanted = []
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        origins = directory.sources(entry)
        for origin in sorted(origins):
            if (origin, entry.host) in seen:
                continue
            seen.add((origin, entry.host))
            start, end = max(entry.time - BEFORE, window.start), min(entry.until + timedelta(minutes=5), window.end)
            if start >= end:
                continue
            span = Window(start=start, end=end)
            wanted += _knocks(entry.host, window)
            host = Condition(field="device.hostname", values=(origin,))
            launches = conjunction(host, Condition(field="activity", values=("Launch",)))
            wanted.append(_for_host(EventClass.PROCESS, launches, span, "origin", origin))
            targets = tuple(sorted(directory.addresses.get(entry.host, ())))[:20]
            if targets:
                towards = conjunction(host, Condition(field="dst_endpoint.ip", values=targets))
                wanted.append(_for_host(EventClass.NETWORK, towards, span, "towards", origin))
    return wanted


def _knocks(target: str, window: Window) -> list[Wanted]:
    """Who else connected to the target's administration ports: scanners, administrators, other hosts."""
    where = conjunction(
        Condition(field="device.hostname", values=(target,)),
        Condition(field="connection.direction", values=("Inbound",)),
        Condition(field="dst_endpoint.port", values=(22, 135, 445, 3389, 5985, 5986)),
    )
    return [_for_host(EventClass.NETWORK, where, window, "knocks", target)]


def baseline(story: Story, window: Window) -> list[Wanted]:
    """The remote logons of the fortnight before, for each host and account of the story: what is routine there."""
    pairs: dict[str, set[str]] = {}
    for entry in story.entries:
        if entry.is_remote_logon and entry.user and not entry.user.endswith("$"):
            pairs.setdefault(entry.host, set()).add(entry.user)
    # Up to the window's end: a routine logon inside the window is a look-alike that has to be seen to be ruled out.
    before = Window(start=window.start - BASELINE, end=window.end, phrase="the window and the fortnight before")
    wanted = []
    for host, users in pairs.items():
        where = conjunction(
            Condition(field="device.hostname", values=(host,)),
            Condition(field="activity", values=("Logon",)),
            Condition(field="user.name", values=tuple(sorted(users))),
            Condition(field="src_endpoint.ip", op=Operator.EXISTS),
        )
        search = Search(event_class=EventClass.AUTHENTICATION, where=where, window=before)
        wanted.append(Wanted(search, "baseline.logons", frozenset({host}), own_sensors=True))
    return wanted


def _accounts(entries: Sequence[Happening], directory: Directory, window: Window) -> list[Wanted]:
    """Where else the story's travelling accounts appeared, and what the domain controller says of failures."""
    travelling: dict[str, list[Happening]] = {}
    failing: list[Happening] = []
    for entry in entries:
        if entry.event_class is EventClass.AUTHENTICATION and entry.text("status") == "Failure":
            failing.append(entry)
        elif _travels(entry, directory):
            travelling.setdefault(entry.user, []).append(entry)
    wanted = []
    if travelling:
        every = [item for items in travelling.values() for item in items]
        span = _span(every, timedelta(minutes=15), TRACES, window)
        users = tuple(sorted(travelling))[:40]
        for event_class in (EventClass.AUTHENTICATION, EventClass.SMB):
            by_them = AnyOf(
                of=tuple(
                    Condition(field=name, values=users)
                    for name in ("user.name", "actor.user.name")
                    if name in ATTRIBUTES[event_class]
                )
            )
            telling = Condition(field="activity", values=("Logon", "Service Ticket", "Explicit Credentials"))
            where = conjunction(by_them, telling) if event_class is EventClass.AUTHENTICATION else by_them
            wanted.append(Wanted(Search(event_class=event_class, where=where, window=span), "neighbours.account"))
    if failing:
        span = _span(failing, timedelta(minutes=2), timedelta(minutes=2), window)
        names = tuple(sorted({name for item in failing for name in item.values("user.name")}))[:60]
        where = conjunction(Condition(field="user.name", values=names), Condition(field="status", values=("Failure",)))
        wanted.append(
            Wanted(Search(event_class=EventClass.AUTHENTICATION, where=where, window=span), "neighbours.failures")
        )
    return wanted


def _travels(entry: Happening, directory: Directory) -> bool:
    """Whether the entry's account may have acted elsewhere: it came from another host, or runs the story's programs."""
    if not entry.user or _is_machine_account(entry.user):
        return False
    return bool(directory.sources(entry)) or entry.is_remote_logon or (entry.is_launch and entry.signal >= MEDIUM)


def _is_machine_account(user: str) -> bool:
    return user.endswith("$") or user in ("system", "local service", "network service")


def _span(items: Sequence[Happening], before: timedelta, after: timedelta, within: Window) -> Window:
    start = max(min(item.time for item in items) - before, within.start)
    end = min(max(item.until for item in items) + after, within.end)
    return Window(start=start, end=end) if start < end else within


def _unknown_addresses(entries: Sequence[Happening], directory: Directory, window: Window) -> list[Wanted]:
    """Device records of inside addresses that no record explains yet."""
    addresses: set[str] = set()
    for entry in entries:
        for ip in entry.source_ips | entry.destination_ips:
            if ip not in directory.host_of and not is_public(ip):
                addresses.add(ip)
    found = inventory((), window, addresses=sorted(addresses)[:40])
    return [found] if found else []
