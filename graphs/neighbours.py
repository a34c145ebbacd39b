"""Which searches follow from what was found: fixed rules, the same for any model. Pure; nothing here reads a vendor."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..tools.evidence.story import Story
from ..tools.evidence.story_facts import WORKPLACES, Directory, Happening, is_public
from ..tools.evidence.story_links import MEDIUM, MIN_NAME
from ..tools.evidence.values import url_host
from ..tools.languages.search import (
    All,
    AnyOf,
    Condition,
    Expression,
    Operator,
    Scalar,
    Search,
    Window,
    conjunction,
)
from ..tools.languages.vocabulary import ATTRIBUTES, EventClass
from .plan import Wanted, inventory

BEFORE, AFTER = timedelta(minutes=30), timedelta(hours=2)
"""How far around a finding its host is looked at."""
BEFORE_ORIGIN = timedelta(hours=12)
"""How far back the programs of a host are looked at from which something came."""
TRACES = timedelta(hours=6)
"""How long a suspicious process's connections and files are followed."""
EPISODE_GAP = timedelta(hours=3)
BASELINE = timedelta(days=14)
PLACE_LIMIT = 5_000
"""Acts of an account from one address: a mass download alone is thousands."""


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
    """What belongs to suspicious mails and clicks: the sender's other mail, clicks on its domain, opened attachments."""
    clicks = [entry for entry in entries if entry.event_class is EventClass.URL and entry.signal >= MEDIUM]
    mails = [entry for entry in entries if entry.event_class is EventClass.EMAIL and entry.signal >= MEDIUM]
    linked = tuple(sorted({url_host(click.text("url.url_string")) for click in clicks} - {""}))[:20]
    senders = tuple(sorted({name for mail in mails for name in mail.values("email.from")}))[:20]
    domains = tuple(sorted({sender.rpartition("@")[2].lower() for sender in senders if "@" in sender}))
    names = {name for mail in mails for name in mail.values("file.name") if len(name) >= MIN_NAME}
    attached = tuple(sorted(names))[:20]
    wanted = [_mails_of(linked, window)] if linked else []
    if senders:
        where = Condition(field="email.from", values=senders)
        wanted.append(Wanted(Search(event_class=EventClass.EMAIL, where=where, window=window), "neighbours.sender"))
    if domains:
        on_links = Condition(field="url.url_string", op=Operator.CONTAINS, values=domains)
        wanted.append(Wanted(Search(event_class=EventClass.URL, where=on_links, window=window), "neighbours.clicks"))
    if attached:
        opened = Condition(field="process.cmd_line", op=Operator.CONTAINS, values=attached)
        launched = conjunction(Condition(field="activity", values=("Launch",)), opened)
        search = Search(event_class=EventClass.PROCESS, where=launched, window=window)
        wanted.append(Wanted(search, "neighbours.attachment"))
    return wanted


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
    wanted = [
        Wanted(Search(event_class=kind, where=where, window=window, limit=PLACE_LIMIT), "neighbours.place")
        for kind in cloud
    ]
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
