"""The story: which happenings are connected to the question, which only look as if they were.

See docs/decisions/0005. Pure: happenings in, entries and rulings out; every inclusion and exclusion has a reason.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from ..languages.vocabulary import EventClass
from .story_facts import (
    HUB_PROCESSES,
    NOISE,
    TELLING_FILES,
    WORKPLACES,
    Directory,
    Happening,
    base_name,
    is_public,
)
from .story_links import MEDIUM, STRONG, Link, link
from .story_links import REMOTE_PORTS as ADMIN_PORTS
from .values import account_name

MAX_HOPS = 12
MAX_ENTRIES = 120
MAX_RULED_OUT = 20


@dataclass(frozen=True)
class Focus:
    """What the question names."""

    hosts: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    """Files, processes, services, domains, hashes, in lower case."""
    findings: frozenset[str] = frozenset()
    """Ids of alerts that the question is about."""
    hunts: frozenset[str] = frozenset()
    """Hunts whose behaviour is asked for."""
    broad: bool = False
    """A hunt that only collects was asked for as well: whatever is clearly wrong answers the question."""
    outbound: bool = False
    """The question asks for what came from its hosts, not for what came to them."""
    since: datetime | None = None
    """Start of the question's window; what lies before was fetched as a baseline."""


@dataclass(frozen=True)
class Ruled:
    """A look-alike and the facts that separate it from the story."""

    happenings: tuple[Happening, ...]
    because: str


@dataclass(frozen=True)
class Story:
    """The connected happenings, in time order, and the look-alikes."""

    entries: tuple[Happening, ...] = ()
    ruled_out: tuple[Ruled, ...] = ()
    anchors: tuple[Happening, ...] = ()
    reached: frozenset[int] = frozenset()
    links: tuple[Link, ...] = ()
    directory: Directory = field(default_factory=Directory)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts of the story in order of appearance."""
        return tuple(dict.fromkeys(item.host for item in self.entries if item.host))


def assemble(happenings: Sequence[Happening], focus: Focus) -> Story:
    """Find the story around the focus.

    Args:
        happenings: Everything that is known, with `index` equal to the position.
        focus: What the question names.

    Returns:
        Entries and look-alikes; both empty when nothing fits the focus.
    """
    timed = [item for item in happenings if any(event.time for event in item.events)]
    directory = Directory.from_happenings(timed)
    routine = routine_logons(timed, focus.since)
    current = [item for item in timed if focus.since is None or item.until >= focus.since or _is_timeless(item)]
    live = [item for item in current if logon_key(item) not in routine]
    links = link(live, directory, current)
    anchors = [item for item in live if is_anchor(item, focus, directory)]
    reached = reach((item.index for item in anchors), links, {item.index: item for item in timed})
    chosen = select(live, reached, links, {item.index for item in anchors})
    return Story(
        entries=tuple(sorted(chosen, key=lambda item: (item.time, item.index)))[:MAX_ENTRIES],
        ruled_out=rule_out(current, reached, chosen, focus, directory, routine),
        anchors=tuple(anchors),
        reached=frozenset(reached),
        links=tuple(links),
        directory=directory,
    )


ROUTINE_DAYS = 3
"""A logon of one account from one place that was seen on so many earlier days is how that account works."""

LogonKey = tuple[str, str, frozenset[str]]


def logon_key(item: Happening) -> LogonKey | None:
    """Host, account and origin of a remote logon; None for anything else."""
    return (item.host, item.user, item.source_ips) if item.is_remote_logon else None


def routine_logons(happenings: Sequence[Happening], since: datetime | None) -> dict[LogonKey, int]:
    """Remote logons that recur: the days before the window on which each was seen."""
    days: dict[LogonKey, set[date]] = defaultdict(set)
    if since is None:
        return {}
    for item in happenings:
        key = logon_key(item)
        if key is not None and item.time < since:
            days[key].add(item.time.date())
    return {key: len(found) for key, found in days.items() if len(found) >= ROUTINE_DAYS}


def _is_timeless(item: Happening) -> bool:
    return item.event_class in (EventClass.DEVICE, EventClass.VULNERABILITY, EventClass.FINDING)


def is_anchor(item: Happening, focus: Focus, directory: Directory) -> bool:
    """Whether a happening is what the question asks about."""
    if item.event_class in (EventClass.DEVICE, EventClass.VULNERABILITY):
        return False
    if focus.findings:
        return bool(item.values("finding.uid") & focus.findings)
    if item.event_class is EventClass.FINDING and item.text("finding.verdict").lower() in (
        "false positive",
        "disregard",
        "benign",
    ):
        return False
    asked = any(label.hunt in focus.hunts and label.signal in ("strong", "medium") for label in item.labels)
    named = bool(focus.names & _names(item))
    if focus.names and named:
        return not focus.hosts or bool(focus.hosts & _hosts(item, directory))
    if focus.names and not asked:
        return False
    if not (asked or ((focus.broad or not focus.hunts) and item.signal >= STRONG)):
        return False
    return involves(item, focus, directory)


def involves(item: Happening, focus: Focus, directory: Directory) -> bool:
    """Whether a happening has to do with the hosts, accounts and addresses that the question names."""
    if focus.users and not focus.users & _users(item):
        return False
    if focus.addresses and not focus.addresses & (item.source_ips | item.destination_ips | _public_ips(item)):
        return False
    if not focus.hosts:
        return True
    sources = directory.sources(item)
    if focus.outbound:
        return bool(sources & focus.hosts) or (item.host in focus.hosts and not sources)
    return bool(focus.hosts & _hosts(item, directory))


def _hosts(item: Happening, directory: Directory) -> set[str]:
    return {item.host} | directory.sources(item) | directory.targets(item)


def _users(item: Happening) -> set[str]:
    found = item.values("user.name") | item.values("actor.user.name") | {item.user}
    found |= item.values("email.to") | item.values("email.from")
    return {account_name(name) for name in found if name}


def _public_ips(item: Happening) -> set[str]:
    return item.values("dst_endpoint.ip") | item.values("src_endpoint.ip")


def _names(item: Happening) -> set[str]:
    paths = ("process.name", "process.path", "process.original_name", "file.name", "file.path", "module.path")
    exact = (
        "service.name", "query.hostname", "process.hash.sha256", "process.hash.sha1", "process.hash.md5",
        "file.hash.sha256", "file.hash.sha1", "file.hash.md5", "job.name", "dst_endpoint.hostname", "email.from", "email.to",
    )  # fmt: skip
    found = {base_name(value) for name in paths for value in item.values(name)}
    found |= {value.lower() for name in exact for value in item.values(name)}
    found |= {name.removesuffix(".exe") for name in found}
    command = item.text("process.cmd_line").lower()
    found |= {base_name(token.strip("\"',;()")) for token in command.split()}
    return found - {""}


def reach(anchors: Iterable[int], links: Sequence[Link], happenings: Mapping[int, Happening]) -> dict[int, int]:
    """Happenings connected to the anchors, with the number of hops; hubs are reached but not passed through."""
    neighbours: dict[int, list[int]] = defaultdict(list)
    for found in links:
        neighbours[found.left].append(found.right)
        neighbours[found.right].append(found.left)
    hops = dict.fromkeys(anchors, 0)
    asked = frozenset(hops)
    queue = deque(hops)
    while queue:
        index = queue.popleft()
        if hops[index] >= MAX_HOPS or _is_hub(happenings[index]):
            continue
        # What one recipient of a mail suffered is no part of what another did, unless the mail itself is asked about.
        if happenings[index].event_class is EventClass.EMAIL and index not in asked:
            continue
        for other in neighbours[index]:
            if other not in hops:
                hops[other] = hops[index] + 1
                queue.append(other)
    return hops


def _is_hub(item: Happening) -> bool:
    return item.is_launch and item.process in WORKPLACES and item.signal < MEDIUM


def select(
    happenings: Sequence[Happening], reached: Mapping[int, int], links: Sequence[Link], anchors: set[int]
) -> list[Happening]:
    """Of what was reached, what a reader needs: labelled behaviour, its chain, and its traces outside the process."""
    by_index = {item.index: item for item in happenings}
    parent_of: dict[int, int] = {}
    linked: dict[int, set[str]] = defaultdict(set)
    for found in links:
        if found.left in reached and found.right in reached:
            linked[found.left].add(found.kind)
            linked[found.right].add(found.kind)
            if found.kind == "process":
                parent_of[found.right] = found.left
    chosen = {index for index in reached if index in anchors or by_index[index].signal >= MEDIUM}
    chosen = {index for index in chosen if not _is_noise(by_index[index])}
    chosen |= _ancestors(chosen, parent_of, by_index)
    for index in sorted(reached, key=lambda at: (reached[at], at)):
        item, parent = by_index[index], parent_of.get(index)
        if index in chosen or _is_noise(item):
            continue
        from_suspect = parent in chosen and by_index[parent].process not in WORKPLACES
        if (from_suspect and _is_trace(item)) or _is_linked_trace(item, linked[index]):
            chosen.add(index)
    return [by_index[index] for index in chosen]


def _ancestors(chosen: set[int], parent_of: Mapping[int, int], by_index: Mapping[int, Happening]) -> set[int]:
    found: set[int] = set()
    for index in chosen:
        at = parent_of.get(index)
        while at is not None and at not in found:
            if by_index[at].process in WORKPLACES:
                break
            found.add(at)
            at = parent_of.get(at)
    return found


def _is_noise(item: Happening) -> bool:
    if item.event_class in (EventClass.MODULE, EventClass.DEVICE, EventClass.VULNERABILITY):
        return item.signal < STRONG
    if item.is_launch and item.process in NOISE:
        return item.signal < STRONG
    if item.event_class is EventClass.PROCESS and item.activity in ("Terminate", "Open"):
        return item.signal < MEDIUM
    return item.event_class is EventClass.FILE and "\\prefetch\\" in item.text("file.path").lower()


def _is_linked_trace(item: Happening, kinds: set[str]) -> bool:
    match item.event_class:
        case EventClass.FILE:
            return "file" in kinds and _is_telling_file(item)
        case EventClass.NETWORK:
            if item.actor in HUB_PROCESSES:
                return False
            return "address" in kinds or ("remote" in kinds and _is_internal_connection(item))
        case EventClass.AUTHENTICATION:
            if "place" in kinds and not item.host:
                return item.text("status") != "Failure"
            by_person = not item.user.endswith("$") and item.user != "anonymous logon"
            return by_person and (bool(kinds & {"failure", "service"}) or ("remote" in kinds and item.is_remote_logon))
        case EventClass.SERVICE:
            return "service" in kinds
        case EventClass.EMAIL:
            return "campaign" in kinds
        case EventClass.URL:
            return "mail" in kinds
        case _:
            return False


def _is_trace(item: Happening) -> bool:
    if item.is_launch:
        return True
    if item.event_class is EventClass.NETWORK:
        return bool(item.destination_ips)
    return item.event_class is EventClass.FILE and item.activity == "Create" and _is_telling_file(item)


def _is_telling_file(item: Happening) -> bool:
    return item.text("file.path").lower().endswith(TELLING_FILES)


def _is_internal_connection(item: Happening) -> bool:
    return item.event_class is EventClass.NETWORK and not any(map(is_public, item.destination_ips))


def rule_out(
    happenings: Sequence[Happening],
    reached: Mapping[int, int],
    chosen: Sequence[Happening],
    focus: Focus,
    directory: Directory,
    routine: Mapping[LogonKey, int],
) -> tuple[Ruled, ...]:
    """Look-alikes: the same behaviour on the story's hosts or by its accounts, and not connected to it."""
    if not chosen:
        return ()
    behaviours = {label.hunt for item in chosen for label in item.labels if label.signal in ("strong", "medium")}
    behaviours |= focus.hunts
    hosts = {item.host for item in chosen} - {""}
    users = {item.user for item in chosen if item.user} - {"system", "local service", "network service"}
    alike: dict[tuple[str, ...], list[Happening]] = defaultdict(list)
    for item in happenings:
        if item.index in reached or _is_noise(item) or not _resembles(item, behaviours):
            continue
        if item.host in hosts or item.user in users or directory.targets(item) & hosts:
            alike[_kind_of(item, users)].append(item)
    ruled = [
        Ruled(
            happenings=tuple(sorted(found, key=lambda item: (-item.signal, item.time))),
            because=_difference(found, chosen, routine),
        )
        for found in alike.values()
    ]
    return tuple(sorted(ruled, key=lambda item: item.happenings[0].time))[:MAX_RULED_OUT]


def _resembles(item: Happening, behaviours: set[str]) -> bool:
    if item.event_class is EventClass.NETWORK:
        inbound = item.text("connection.direction") == "Inbound"
        return inbound and bool(item.source_ips) and bool(item.values("dst_endpoint.port") & ADMIN_PORTS)
    return item.signal >= MEDIUM and any(label.hunt in behaviours for label in item.labels)


def _kind_of(item: Happening, users: set[str]) -> tuple[str, ...]:
    """What is told in one line: each strong look-alike and each of the story's accounts apart, the rest together."""
    came_from = min(item.source_ips, default="")
    if item.event_class is EventClass.NETWORK:
        return ("connection", item.host, came_from)
    says = next((label.says for label in item.labels if label.signal in ("strong", "medium")), "")
    if item.signal >= STRONG or (item.user in users and item.user):
        return ("apart", item.user, came_from, says)
    return ("together", item.host, says)


def _difference(found: Sequence[Happening], story: Sequence[Happening], routine: Mapping[LogonKey, int]) -> str:
    sources = set().union(*(item.source_ips for item in found))
    story_sources = set().union(*(item.source_ips for item in story))
    users = {item.user for item in found if item.user}
    story_users = {item.user for item in story if item.user}
    days = max((routine.get(key, 0) for item in found if (key := logon_key(item))), default=0)
    reasons = []
    if days:
        reasons.append(f"the same logon was seen on {days} earlier days")
    if sources and not sources & story_sources:
        reasons.append("it came from another address" if len(sources) > 1 else f"it came from {min(sources)}")
    if users and not users & story_users:
        reasons.append("it ran as other accounts" if len(users) > 1 else f"it ran as {min(users)}")
    return "; ".join(reasons) or "no process, file, logon or connection ties it to the story"
