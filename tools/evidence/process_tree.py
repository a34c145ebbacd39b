"""The processes of an answer as trees, one forest for each host: who started whom, and what each of them did.

A process is one launch; a pid that is used again is another process. An actor whose launch is in no cited row stands in
the tree all the same, marked as not seen, so that nothing hangs in the air. Rows that contradict themselves (a process
that is its own ancestor) are cut at the earliest launch. Pure, and safe for trees of any depth.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..languages.vocabulary import EventClass
from .records import Answer
from .story_facts import Happening, ProcessTable
from .told import Told, Verdict, evidence_of
from .values import base_name, parse_int


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a process did, as often as it did it."""

    kind: str
    """Event class: `file_activity`, `network_activity`."""
    what: str
    """Verb and object from the rows: `Create C:\\x.dmp`, `198.18.0.7 port 443`."""
    first: datetime
    last: datetime
    count: int
    verdict: Verdict
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Process:
    """One process. Positions are those in the tuple that `process_tree` gives, parents before their children."""

    host: str
    name: str
    pid: int | None
    user: str
    command: str
    started: datetime | None
    """None: no cited row holds its launch."""
    verdict: Verdict
    evidence: tuple[str, ...]
    """Rows of the launch."""
    acts: tuple[Act, ...]
    depth: int
    parent: int | None
    """Position of the parent; None for a root."""


def process_tree(answer: Answer) -> tuple[Process, ...]:
    """The processes that an answer's rows name, depth first; hosts, roots and children in the order of time."""
    return forest(Told(answer))


def forest(told: Told) -> tuple[Process, ...]:
    """The same over an answer that was read already."""
    nodes = _Nodes(told).nodes
    return tuple(_walk(nodes, _without_cycles(nodes), told))


@dataclass(slots=True)
class _Node:
    place: int
    host: str
    name: str
    pid: int | None
    user: str
    first: datetime
    launch: Happening | None = None
    parent: int | None = None
    acts: list[Happening] = field(default_factory=list)
    uids: dict[str, str] = field(default_factory=dict)
    """Of an actor that was not seen to start: the id that each platform gives it."""


class _Nodes:
    """Launches and unseen actors, each tied to its parent."""

    def __init__(self, told: Told) -> None:
        self.nodes: list[_Node] = []
        self._unseen: dict[tuple[str, str, int | None], list[_Node]] = defaultdict(list)
        table = ProcessTable(told.happenings)
        launches = {item.index: self._launched(item) for item in told.happenings if item.is_launch}
        for item in told.happenings:
            actor = table.actor_of(item)
            owner = launches[actor.index] if actor is not None else self._actor(item)
            if item.index in launches:
                launches[item.index].parent = owner.place if owner else None
            elif owner is not None:
                owner.acts.append(item)

    def _launched(self, item: Happening) -> _Node:
        name = item.text("process.name") or base_name(item.text("process.path")) or "unnamed process"
        pid = parse_int(item.get("process.pid"))
        return self._add(_Node(len(self.nodes), item.host, name, pid, item.user, item.time, item))

    def _actor(self, item: Happening) -> _Node | None:
        """The node of the process that acts in a happening and whose launch no row holds."""
        if not item.actor:
            return None
        pid = parse_int(item.get("actor.process.pid"))
        uids = {event.platform.value: uid for event in item.events if (uid := event.text("actor.process.uid"))}
        known = self._unseen[item.host, item.actor, pid]
        node = next((node for node in known if _same_ids(node.uids, uids)), None)
        if node is None:
            name = item.text("actor.process.name") or base_name(item.text("actor.process.path"))
            # The user of a launch is the new process's; whose the unseen starter was is not known from it.
            user = "" if item.is_launch else item.text("actor.user.name")
            node = self._add(_Node(len(self.nodes), item.host, name, pid, user, item.time))
            known.append(node)
        node.uids.update(uids)
        return node

    def _add(self, node: _Node) -> _Node:
        self.nodes.append(node)
        return node


def _same_ids(held: Mapping[str, str], given: Mapping[str, str]) -> bool:
    return all(held.get(platform, uid) == uid for platform, uid in given.items())


def _without_cycles(nodes: Sequence[_Node]) -> list[int | None]:
    """The parent of each node, where following parents always ends."""
    parents = [node.parent for node in nodes]
    settled: set[int] = set()
    for node in sorted(nodes, key=_order):
        path: dict[int, None] = {}
        at: int | None = node.place
        while at is not None and at not in settled and at not in path:
            path[at] = None
            at = parents[at]
        if at is not None and at in path:
            steps = list(path)
            first = min(steps[steps.index(at) :], key=lambda place: _order(nodes[place]))
            parents[first] = None
        settled.update(path)
    return parents


def _order(node: _Node) -> tuple[datetime, str, int]:
    return node.first, node.name, node.place


def _walk(nodes: Sequence[_Node], parents: Sequence[int | None], told: Told) -> Iterator[Process]:
    """Depth first without recursion: a chain of processes may be longer than Python's stack."""
    children: dict[int | None, list[_Node]] = defaultdict(list)
    for node in sorted(nodes, key=_order):
        children[parents[node.place]].append(node)
    hosts = {host: number for number, host in enumerate(dict.fromkeys(node.host for node in children[None]))}
    roots = sorted(children[None], key=lambda node: hosts[node.host])
    stack: list[tuple[_Node, int, int | None]] = [(node, 0, None) for node in reversed(roots)]
    position = 0
    while stack:
        node, depth, parent = stack.pop()
        yield _process(node, depth, parent, told)
        stack.extend((child, depth + 1, position) for child in reversed(children[node.place]))
        position += 1


def _process(node: _Node, depth: int, parent: int | None, told: Told) -> Process:
    launch = node.launch
    rows = evidence_of(launch) if launch else ()
    return Process(
        host=node.host,
        name=node.name,
        pid=node.pid,
        user=node.user,
        command=launch.text("process.cmd_line") if launch else "",
        started=node.first if launch else None,
        verdict=told.verdict(rows),
        evidence=rows,
        acts=_acts(node.acts, told),
        depth=depth,
        parent=parent,
    )


def _acts(happenings: Iterable[Happening], told: Told) -> tuple[Act, ...]:
    alike: dict[tuple[str, str, Verdict], list[Happening]] = defaultdict(list)
    for item in happenings:
        rows = evidence_of(item)
        alike[item.event_class.value, _what(item), told.verdict(rows)].append(item)
    return tuple(
        Act(
            kind=kind,
            what=what,
            first=min(item.time for item in items),
            last=max(item.until for item in items),
            count=len(items),
            verdict=verdict,
            evidence=tuple(dict.fromkeys(row for item in items for row in evidence_of(item))),
        )
        for (kind, what, verdict), items in alike.items()
    )


_OBJECTS: Mapping[EventClass, tuple[str, ...]] = {
    EventClass.FILE: ("file.path", "file.name"),
    EventClass.MODULE: ("module.path", "module.name"),
    EventClass.REGISTRY: ("reg.target", "reg.path"),
    EventClass.SERVICE: ("service.name",),
    EventClass.JOB: ("job.name",),
    EventClass.SCRIPT: ("script.path", "script.name"),
    EventClass.DNS: ("query.hostname",),
    EventClass.SMB: ("share.path", "share.name"),
    EventClass.FINDING: ("finding.title",),
    EventClass.PROCESS: ("process.name", "process.path"),
}


def _what(item: Happening) -> str:
    if item.event_class is EventClass.NETWORK:
        inbound = item.text("connection.direction") == "Inbound"
        side = "src_endpoint" if inbound else "dst_endpoint"
        other = item.text(f"{side}.hostname") or item.text(f"{side}.ip")
        port = item.text("dst_endpoint.port")
        return f"{'from' if inbound else 'to'} {other}" + (f" port {port}" if port else "")
    named = next((text for name in _OBJECTS.get(item.event_class, ()) if (text := item.text(name))), "")
    verb = "" if item.event_class is EventClass.FINDING else item.activity
    return " ".join(filter(None, (verb, named))) or item.event_class.value
