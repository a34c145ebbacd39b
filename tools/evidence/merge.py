"""One happening, several reports: events of different sensors and log channels become one group; bursts are folded.

Two events report the same happening when class, host and one identifying key agree (process and pid, or process and
command line; account and outcome; path; destination and process; ...), nothing that both carry contradicts it, they
come from different sources, and their times lie within a small tolerance. Groups that repeat at short intervals (failed
logons, beacons, tickets, downloads) are folded into one. Pure; no event is dropped, every id stays in its group.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Literal

from ..languages.vocabulary import EventClass
from .event import Event
from .values import base_name, parse_int

TOLERANCE = timedelta(seconds=3)
"""Sensors and channels of one host disagree by up to this much."""
ANY_TIME = timedelta(days=400)
MIN_BURST = 3
"""Fewer repetitions are listed one by one."""
MIN_FILES = 12
"""The same for files: a handful written together are steps of their own, a folder full of them is one copying."""

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Reports of one happening, or of a folded burst, in time order."""

    events: tuple[Event, ...]
    first: datetime
    last: datetime
    kind: Literal["single", "same", "burst"]
    """`same`: several reports of one happening. `burst`: `count` happenings of one kind."""
    count: int = 1


def merge(events: Iterable[Event], tolerance: timedelta = TOLERANCE, *, fold: bool = True) -> list[Group]:
    """Group events by happening, in time order. Events without a time are left out: nothing orders them.

    Args:
        events: Normalised events in any order.
        tolerance: How far apart the reports of one happening may lie.
        fold: Fold bursts too.
    """
    timed = sorted((event for event in events if event.time), key=_order)
    happenings = _same(timed, tolerance)
    if not fold:
        return [_group([items]) for items in happenings]
    return sorted(_fold(happenings), key=lambda group: (group.first, group.events[0].evidence))


def group_of(events: Sequence[Event]) -> Group:
    """The group that these events form by themselves; where they form several, they are taken as one happening."""
    found = merge(events)
    if len(found) == 1:
        return found[0]
    return _group([[event for event in events if event.time]])


def _order(event: Event) -> tuple[datetime, str]:
    assert event.time is not None
    return event.time, event.evidence


def _same(events: Sequence[Event], tolerance: timedelta) -> list[list[Event]]:
    happenings: list[list[Event]] = []
    open_groups: dict[Key, list[list[Event]]] = defaultdict(list)
    for event in events:
        keys = [(event.event_class.value, *key) for key in _keys(event)]
        reach = ANY_TIME if event.event_class in TIMELESS else tolerance
        group = _home(event, keys, open_groups, reach)
        if group is None:
            group = []
            happenings.append(group)
        group.append(event)
        for key in keys:
            held = open_groups[key]
            if not any(other is group for other in held):
                held.append(group)
    return happenings


TIMELESS = frozenset({EventClass.FINDING, EventClass.DEVICE, EventClass.VULNERABILITY})
"""Classes whose reports are one however far apart they are."""


def _home(
    event: Event, keys: Iterable[Key], open_groups: Mapping[Key, list[list[Event]]], reach: timedelta
) -> list[Event] | None:
    best, distance = None, reach
    for key in keys:
        held = open_groups.get(key)
        if not held:
            continue
        # Events come in time order, so what is out of reach now stays so.
        held[:] = [group for group in held if _gap(event, group[-1]) <= reach]
        for group in held:
            gap = min(_gap(event, other) for other in group)
            if gap <= distance and all(_compatible(event, other) for other in group):
                best, distance = group, gap
    return best


def _gap(left: Event, right: Event) -> timedelta:
    assert left.time is not None
    assert right.time is not None
    return abs(left.time - right.time)


def _compatible(left: Event, right: Event) -> bool:
    """Whether two events may report one happening: different sources, or the very same record."""
    if left.evidence == right.evidence:
        return True
    if left.event_class not in TIMELESS and (left.platform, left.collection) == (right.platform, right.collection):
        uid = left.get("metadata.uid")
        if uid is None or uid != right.get("metadata.uid"):
            return False
    for name, read in _CONTRADICTIONS.get(left.event_class, ()):
        one, other = read(left, name), read(right, name)
        if one and other and one != other:
            return False
    if left.platform is right.platform:
        one, other = left.text("session.uid").lower(), right.text("session.uid").lower()
        return not (one and other and one != other)
    return True


def _word(event: Event, name: str) -> str:
    text = event.text(name)
    # Names come again and again; whole scripts do not, and must not stay in memory.
    return _squeezed(text) if len(text) < 200 else " ".join(text.lower().split())


@lru_cache(maxsize=65_536)
def _squeezed(text: str) -> str:
    return " ".join(text.lower().split())


def _base(event: Event, name: str) -> str:
    text = event.text(name) or event.text(name.replace(".name", ".path"))
    return base_name(text).lower() if text else ""


def _number(event: Event, name: str) -> str:
    number = parse_int(event.get(name)) if event.get(name) is not None else None
    return "" if number is None else str(number)


Read = Callable[[Event, str], str]

_ACTOR: tuple[tuple[str, Read], ...] = (("actor.process.name", _base), ("actor.process.pid", _number))
_CONTRADICTIONS: Mapping[EventClass, tuple[tuple[str, Read], ...]] = {
    EventClass.PROCESS: (("activity", _word), ("process.pid", _number), ("process.name", _base), *_ACTOR),
    EventClass.FILE: (*_ACTOR, ("file.hash.sha256", _word)),
    EventClass.MODULE: _ACTOR,
    EventClass.REGISTRY: (*_ACTOR, ("reg.value_data", _word)),
    EventClass.SCRIPT: (("actor.process.pid", _number),),
    EventClass.NETWORK: (
        *_ACTOR,
        ("src_endpoint.port", _number),
        ("src_endpoint.ip", _word),
        ("connection.direction", _word),
    ),
    EventClass.DNS: _ACTOR,
    EventClass.SMB: (("src_endpoint.ip", _word), ("src_endpoint.port", _number)),
    EventClass.AUTHENTICATION: (
        ("src_endpoint.ip", _word),
        ("src_endpoint.port", _number),
        ("logon_type", _word),
        ("service.name", _word),
        ("app.name", _word),
    ),
    EventClass.EMAIL: (("email.to", _word),),
}

_DEVICE_PREFIX = re.compile(r"^(\\\?\?)?(\\device\\harddiskvolume\d+|[a-z]:)")
_REGISTRY_ROOT = re.compile(r"^(\\registry\\|hkey_local_|hkey_|local_)?(machine|hklm|users|hku|user)\\")


def _path(event: Event, name: str) -> str:
    r"""A path without its drive: `\Device\HarddiskVolume3\x` and `C:\x` are one."""
    return _DEVICE_PREFIX.sub("", _word(event, name))


def _keys(event: Event) -> list[Key]:
    """Alternative identities of the happening within its class; sharing one is enough."""
    host = event.host or ""
    activity = _word(event, "activity")
    match event.event_class:
        case EventClass.PROCESS if activity in ("launch", "terminate", ""):
            name = _base(event, "process.name")
            parts = [("pid", _number(event, "process.pid")), ("cmd", _word(event, "process.cmd_line"))]
            return [(host, activity, name, kind, value) for kind, value in parts if name and value]
        case EventClass.PROCESS:
            actor, target = _base(event, "actor.process.name"), _base(event, "process.name")
            return [(host, activity, actor, target)] if actor and target else []
        case EventClass.FILE:
            verb = "write" if activity in ("create", "update") else activity
            path = _path(event, "file.path")
            return [(host, verb, path)] if path else []
        case EventClass.MODULE:
            path = _path(event, "module.path")
            return _if(path, (host, path, _base(event, "actor.process.name")))
        case EventClass.REGISTRY:
            path = _REGISTRY_ROOT.sub("", _word(event, "reg.path"))
            value = _word(event, "reg.value_name")
            return _if(path, (host, activity, path.removesuffix("\\" + value) if value else path))
        case EventClass.SERVICE:
            name = _word(event, "service.name")
            return _if(name, (host, activity, name))
        case EventClass.JOB:
            name = _word(event, "job.name").lstrip("\\")
            return _if(name, (host, activity, name))
        case EventClass.SCRIPT:
            content = _word(event, "script.content")[:400]
            return _if(content, (host, content))
        case EventClass.NETWORK:
            target = _word(event, "dst_endpoint.ip") or _word(event, "dst_endpoint.hostname")
            return _if(target, (host, activity, target, _number(event, "dst_endpoint.port")))
        case EventClass.DNS:
            name = _word(event, "query.hostname").rstrip(".")
            return _if(name, (host, name))
        case EventClass.SMB:
            share = _word(event, "share.name").rpartition("\\")[2]
            return _if(share, (host, share, (event.user or "").lower(), _word(event, "share.path")))
        case EventClass.AUTHENTICATION:
            user = (event.user or "").lower()
            return _if(user, (activity, _word(event, "status"), host, user))
        case EventClass.ACCOUNT:
            what = [_word(event, name) for name in ("user.name", "role.name", "group.name", "app.name")]
            return _if(activity and any(what), (host, activity, *what))
        case EventClass.API:
            what = [_word(event, name) for name in ("api.operation", "user.name", "resource.name", "src_endpoint.ip")]
            return _if(what[0] and what[1], (host, *what))
        case EventClass.EMAIL:
            uid = _word(event, "email.uid")
            return _if(uid, (uid,))
        case EventClass.URL:
            url = _word(event, "url.url_string")
            return _if(url, (url, _word(event, "user.name"), activity))
        case EventClass.FINDING:
            uid = _word(event, "finding.uid")
            return _if(uid, (event.platform.value, uid))
        case EventClass.VULNERABILITY:
            cve = _word(event, "vulnerability.cve")
            return _if(cve, (host, cve, event.platform.value))
        case EventClass.DEVICE:
            uid = _word(event, "device.uid")
            return _if(uid, (event.platform.value, uid))
        case _:
            return []


def _if(known: object, key: Key) -> list[Key]:
    """The key, when the part that identifies is known."""
    return [key] if known else []


# How each class repeats: what stays equal in a burst, and the longest pause within one.
_SECONDS, _MINUTE = timedelta(seconds=10), timedelta(minutes=1)
_REMOTE_PORTS = frozenset({"22", "135", "139", "445", "3389", "5985", "5986"})


def _rhythm(event: Event) -> tuple[Key, timedelta] | None:
    """What stays equal while a happening repeats, and how long it may pause; None when it is not folded."""
    host, activity, user = event.host or "", _word(event, "activity"), (event.user or "").lower()
    source = _word(event, "src_endpoint.ip")
    match event.event_class:
        case EventClass.AUTHENTICATION if _word(event, "status") == "failure":
            origin = _network(source) or _word(event, "src_endpoint.hostname").partition(".")[0] or user
            return (host, activity, "failure", origin), timedelta(minutes=10)
        case EventClass.AUTHENTICATION if activity in ("service ticket", "authentication ticket"):
            return (host, activity, user, source, _word(event, "ticket.encryption")), timedelta(minutes=2)
        case EventClass.AUTHENTICATION:
            # What a logon sets off is found by its time, so logons fold only where they are one arrival.
            kind, status = _word(event, "logon_type"), _word(event, "status")
            return (host, activity, status, user, source, kind, _word(event, "app.name")), _SECONDS
        case EventClass.NETWORK:
            port = _number(event, "dst_endpoint.port")
            target = _word(event, "dst_endpoint.ip") or _word(event, "dst_endpoint.hostname")
            key = (
                host,
                activity,
                _base(event, "actor.process.name"),
                target,
                port,
                _word(event, "connection.direction"),
            )
            # A remote-service connection is tied to what follows it on the other host, so it keeps its own time.
            away = _word(event, "src_endpoint.ip") if key[-1] == "inbound" else ""
            return (*key, away), _SECONDS if port in _REMOTE_PORTS else timedelta(minutes=15)
        case EventClass.DNS:
            return (host, _word(event, "query.hostname"), _base(event, "actor.process.name")), timedelta(minutes=15)
        case EventClass.FILE:
            folder = _path(event, "file.path").rpartition("\\")[0] or _word(event, "file.path").rpartition("/")[0]
            by = (_base(event, "actor.process.name"), _number(event, "actor.process.pid"))
            return (host, activity, user, folder, *by), _MINUTE
        case EventClass.SMB:
            share = _word(event, "share.name").rpartition("\\")[2]
            return (host, share, user, source), _MINUTE
        case EventClass.PROCESS if activity in ("open", "inject"):
            actor, target = _base(event, "actor.process.name"), _base(event, "process.name")
            return (host, activity, actor, target, _number(event, "actor.process.pid")), timedelta(minutes=5)
        case EventClass.API:
            # Two logs of one operation call its service by different names.
            names = ("api.operation", "app.name")
            return (user, source, *(_word(event, name) for name in names)), timedelta(minutes=30)
        case _:
            return None


def _campaign(items: Sequence[Event]) -> tuple[Key, timedelta] | None:
    """One sender's mails of one subject, with the same file or none, that fared alike; reports of a mail add up."""

    def any_of(name: str) -> str:
        return next((word for item in items if (word := _word(item, name))), "")

    subject, file = any_of("email.subject"), any_of("file.name")
    if not (subject or file):
        return None
    return (any_of("email.from"), subject, file, any_of("email.delivery_action")), timedelta(hours=2)


def _network(address: str) -> str:
    """The /24 of a public IPv4 address, since sprays change the last byte; another address whole."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 6 or not _is_outside(address) else address.rpartition(".")[0] + ".0/24"


def _is_outside(address: str) -> bool:
    documentation = ("192.0.2.", "198.51.100.", "203.0.113.")
    return ip_address(address).is_global or address.startswith(documentation)


def _combined(reports: Sequence[Event]) -> Event:
    """One event with what all reports of a happening carry; where they differ, the first one's word."""
    if len(reports) == 1:
        return reports[0]
    fields: dict[str, Any] = {}
    for report in reports:
        for name, value in report.fields.items():
            if value not in (None, "") and fields.get(name) in (None, ""):
                fields[name] = value
    user = next((report.user for report in reports if report.user), None)
    return replace(reports[0], user=user, fields=fields)


def _fold(happenings: Sequence[list[Event]]) -> list[Group]:
    runs: dict[Key, list[list[list[Event]]]] = defaultdict(list)
    groups: list[Group] = []
    for items in happenings:
        rhythm = _campaign(items) if items[0].event_class is EventClass.EMAIL else _rhythm(_combined(items))
        if rhythm is None:
            groups.append(_group([items]))
            continue
        key, pause = (items[0].event_class.value, *rhythm[0]), rhythm[1]
        held = runs[key]
        if held and _gap(items[0], held[-1][-1][0]) <= pause:
            held[-1].append(items)
        else:
            held.append([items])
    for held in runs.values():
        for run in held:
            fewest = MIN_FILES if run[0][0].event_class is EventClass.FILE else MIN_BURST
            groups += [_group(run)] if len(run) >= fewest else [_group([items]) for items in run]
    return groups


def _group(run: Sequence[Sequence[Event]]) -> Group:
    events = tuple(sorted((event for items in run for event in items), key=_order))
    first, last = events[0].time, events[-1].time
    assert first is not None
    assert last is not None
    kind: Literal["single", "same", "burst"] = "burst" if len(run) > 1 else "same" if len(events) > 1 else "single"
    return Group(events, first, last, kind, len(run))
