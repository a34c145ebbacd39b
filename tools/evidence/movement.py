"""Who reached what from where: logons and connections of an answer as a graph of places.

A place is a host, an address that is no known host's, or an application in the cloud. A move is a logon, a sign-in or a
connection between two places, as often as it happened. Pure; the order is that of time, and of names within one moment.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..languages.vocabulary import EventClass
from .records import Answer
from .story_facts import Directory, Happening, is_public, named_host
from .told import Told, Verdict, evidence_of

PlaceKind = Literal["host", "address", "outside", "cloud"]
MoveKind = Literal["logon", "connection"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something came from or went to. `outside`: a public address."""

    name: str
    kind: PlaceKind


@dataclass(frozen=True, slots=True)
class Move:
    """One way from one place to another."""

    source: Place
    target: Place
    kind: MoveKind
    account: str
    """Empty where the rows name none."""
    how: str
    """`Network logon`, `port 445`, `sign-in`."""
    failed: bool
    first: datetime
    last: datetime
    count: int
    verdict: Verdict
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Movement:
    """The graph. Both are in the order of first appearance; every place of a move is among the places."""

    places: tuple[Place, ...]
    moves: tuple[Move, ...]


_Alike = tuple[Place, Place, MoveKind, str, str, bool, Verdict]
"""Ends, kind, account, way, whether it failed, verdict: what the happenings of one move share."""


def movement(answer: Answer) -> Movement:
    """The logons and connections between places that an answer tells."""
    return moves_of(Told(answer))


def moves_of(told: Told) -> Movement:
    """The same over an answer that was read already."""
    alike: dict[_Alike, list[Happening]] = defaultdict(list)
    for item in told.happenings:
        verdict = told.verdict(evidence_of(item))
        for source, target in _ways(item, told.directory):
            kind: MoveKind = "logon" if item.event_class is EventClass.AUTHENTICATION else "connection"
            failed = item.text("status") == "Failure" or item.activity == "Refuse"
            alike[source, target, kind, item.user, _how(item), failed, verdict].append(item)
    moves = [_move(key, items) for key, items in alike.items()]
    moves.sort(key=lambda move: (move.first, move.source.name, move.target.name, move.how, move.account))
    places = dict.fromkeys(place for move in moves for place in (move.source, move.target))
    return Movement(tuple(places), tuple(moves))


def _move(key: _Alike, items: Iterable[Happening]) -> Move:
    source, target, kind, account, how, failed, verdict = key
    found = tuple(items)
    return Move(
        source=source,
        target=target,
        kind=kind,
        account=account,
        how=how,
        failed=failed,
        first=min(item.time for item in found),
        last=max(item.until for item in found),
        count=len(found),
        verdict=verdict,
        evidence=tuple(dict.fromkeys(row for item in found for row in evidence_of(item))),
    )


@dataclass(frozen=True, slots=True)
class Route:
    """Moves that differ in the account alone: how many they were, and who made them, in order of appearance."""

    first: Move
    accounts: tuple[str, ...]
    count: int
    evidence: tuple[str, ...]


def routes(moves: Iterable[Move]) -> tuple[Route, ...]:
    """Moves as a reader lists them: one line for what many accounts did in the same way."""
    alike: dict[tuple[Place, Place, str, bool, Verdict], list[Move]] = defaultdict(list)
    for move in moves:
        alike[move.source, move.target, move.how, move.failed, move.verdict].append(move)
    return tuple(
        Route(
            first=found[0],
            accounts=tuple(dict.fromkeys(move.account for move in found if move.account)),
            count=sum(move.count for move in found),
            evidence=tuple(dict.fromkeys(row for move in found for row in move.evidence)),
        )
        for found in alike.values()
    )


def _ways(item: Happening, directory: Directory) -> list[tuple[Place, Place]]:
    """From where to where a happening went; none for what stays in one place."""
    match item.event_class:
        case EventClass.AUTHENTICATION if item.activity in ("Logon", ""):
            return _pairs(_sources(item, directory), [_logged_on_to(item)])
        case EventClass.SMB:
            return _pairs(_sources(item, directory), [_host(item.host)])
        case EventClass.NETWORK if item.text("connection.direction") == "Inbound":
            return _pairs(_sources(item, directory), [_host(item.host)])
        case EventClass.NETWORK:
            return _pairs([_host(item.host)], _targets(item, directory))
        case EventClass.API | EventClass.ACCOUNT:
            return _pairs(_sources(item, directory), [_logged_on_to(item)])
        case _:
            return []


def _pairs(sources: Iterable[Place], targets: Iterable[Place]) -> list[tuple[Place, Place]]:
    targets = tuple(targets)
    return [
        (source, target) for source in sources for target in targets if source.name and target.name and source != target
    ]


def _host(name: str) -> Place:
    return Place(name, "host")


def _logged_on_to(item: Happening) -> Place:
    if item.host:
        return _host(item.host)
    service = item.text("app.name") or item.text("api.service")
    return Place(service or f"cloud ({item.events[0].platform.value})", "cloud")


def _sources(item: Happening, directory: Directory) -> list[Place]:
    names = {named_host(name) for name in item.values("src_endpoint.hostname")} - {""}
    return _ends(names, item.source_ips, directory)


def _targets(item: Happening, directory: Directory) -> list[Place]:
    names = {named_host(name) for name in item.values("dst_endpoint.hostname")} - {""}
    return _ends(names, item.destination_ips, directory)


def _ends(names: set[str], addresses: frozenset[str], directory: Directory) -> list[Place]:
    """A name says more than an address; an address that a known host has is that host."""
    known = {directory.host_of[ip] for ip in addresses if ip in directory.host_of}
    hosts = known or names
    if hosts:
        return [_host(name) for name in sorted(hosts)]
    return [Place(ip, "outside" if is_public(ip) else "address") for ip in sorted(addresses)]


_NAMES: Mapping[EventClass, str] = {EventClass.SMB: "share access", EventClass.ACCOUNT: "account change"}


def _how(item: Happening) -> str:
    match item.event_class:
        case EventClass.AUTHENTICATION:
            kind = item.text("logon_type")
            return f"{kind} logon" if kind else "logon" if item.host else "sign-in"
        case EventClass.NETWORK:
            port = item.text("dst_endpoint.port")
            return f"port {port}" if port else "connection"
        case EventClass.API:
            return item.text("api.operation") or "cloud call"
        case other:
            return _NAMES.get(other, other.value)
