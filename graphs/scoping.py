"""From words to a scope: which hosts, accounts and things, which window; and whether they exist and are meant.

Hosts are looked up in the inventories of the connected platforms before anything else is asked: a host that nobody
knows, or a name that fits several, is asked back with candidates instead of answered with silence.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from ipaddress import IPv4Address
from typing import get_args

from ..knowledge.errors import UsageError
from ..tools.evidence.event import Event
from ..tools.evidence.values import account_name
from ..tools.hunts import Hunt, ParameterType
from ..tools.languages.entities import Entities
from ..tools.languages.search import Condition, Operator, Search, Window
from ..tools.languages.vocabulary import EventClass
from ..tools.languages.window import parse_window
from .plan import Wanted
from .state import Scope

INVENTORY_REACH = timedelta(days=29)
"""Inventory records are found by when they were last seen; a host silent for longer is not in the estate."""


def resolve_window(
    question: str,
    now: datetime,
    *,
    since: str | None,
    until: str | None,
    case_window: Window | None,
    default_days: int,
) -> tuple[Window, bool]:
    """The window of a question, and whether it is the default one.

    Options win over words, words over the case's window, that over the default.

    Raises:
        UsageError: it lies in the future or is not understood.
    """
    if since or until:
        start = _moment(since, now) if since else now - timedelta(days=default_days)
        end = _moment(until, now) if until else now
        if start >= now:
            raise UsageError(
                f"the window starts at {start:%Y-%m-%d %H:%M}Z, which lies in the future; now is {now:%Y-%m-%d %H:%M}Z"
            )
        if start >= end:
            raise UsageError(
                f"the window starts at {start:%Y-%m-%d %H:%M}Z and ends before that; swap --since and --until"
            )
        return Window(
            start=start, end=min(end, now), phrase=f"since {since or ''} until {until or 'now'}".strip()
        ), False
    parsed = parse_window(question, now, default_days=default_days)
    if parsed.used_default and case_window is not None:
        return case_window, False
    return parsed.window, parsed.used_default


def _moment(text: str, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return parse_window(f"since {text}", now).window.start
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def nowhere(now: datetime) -> Scope:
    """The scope of what is no question: an empty one."""
    return Scope(window=Window(start=now - timedelta(seconds=1), end=now))


def inventory_window(now: datetime) -> Window:
    """The span in which a host must have been seen to be known."""
    return Window(start=now - INVENTORY_REACH, end=now + timedelta(minutes=1), phrase="inventory")


def lookup(hosts: Sequence[str], window: Window) -> Wanted:
    """Device records of exactly these hosts."""
    where = Condition(field="device.hostname", values=tuple(hosts))
    return Wanted(Search(event_class=EventClass.DEVICE, where=where, window=window, limit=200), "inventory.hosts")


def similar(name: str, window: Window) -> Wanted:
    """Device records whose name begins like this one."""
    stem = name.rstrip("0123456789") or name[:3]
    where = Condition(field="device.hostname", op=Operator.STARTSWITH, values=(stem[: max(2, len(stem))],))
    return Wanted(Search(event_class=EventClass.DEVICE, where=where, window=window, limit=200), "inventory.similar")


@dataclass(frozen=True)
class HostFindings:
    """What the inventories say of the named hosts."""

    unknown: tuple[str, ...]
    ambiguous: Mapping[str, tuple[str, ...]]
    """Name to the device ids that share it on one platform."""


def match_hosts(named: Sequence[str], devices: Sequence[Event]) -> HostFindings:
    """Compare the names of a question with device records."""
    by_host: dict[str, list[Event]] = {}
    for device in devices:
        if device.host:
            by_host.setdefault(device.host, []).append(device)
    unknown: list[str] = []
    ambiguous: dict[str, tuple[str, ...]] = {}
    for name in named:
        short = host_name(name)
        records = by_host.get(short, [])
        if not records:
            unknown.append(name)
        for platform in {record.platform for record in records}:
            ids = {record.text("device.uid") for record in records if record.platform == platform} - {""}
            if len(ids) > 1:
                ambiguous[short] = tuple(sorted(ids))
    return HostFindings(tuple(unknown), ambiguous)


def candidates(name: str, devices: Sequence[Event], most: int = 6) -> tuple[str, ...]:
    """Known hosts whose names are nearest, nearest first."""
    names = sorted({device.host for device in devices if device.host})
    return tuple(get_close_matches(name.upper(), names, n=most, cutoff=0.5)) or tuple(names[:most])


def scope_of(
    entities: Entities,
    window: Window,
    default_window: bool,
    outbound: bool,
    meant: Mapping[str, tuple[str, ...]] | None = None,
) -> Scope:
    """The scope of a question from what code found in it; `meant` adds what its references stand for, by kind."""
    slots = {kind: entities.values(kind) or (meant or {}).get(kind, ()) for kind in get_args(ParameterType)}
    slots["host"] = tuple(map(host_name, slots["host"]))
    slots["ip"] = meant_addresses(entities.text, slots["ip"])
    given = {kind: values for kind, values in slots.items() if values}
    return _about(slots, window, default_window).model_copy(update={"slots": given, "outbound": outbound})


def meant_addresses(question: str, named: Sequence[str]) -> tuple[str, ...]:
    """The addresses that a question is about: a range holds all within it, what is named as an exception is left out."""
    left_out = {match["ip"] for match in _EXCEPTED.finditer(question)}
    within = [address for match in _RANGE.finditer(question) for address in _between(match["first"], match["last"])]
    return tuple(address for address in dict.fromkeys([*named, *within]) if address not in left_out)


_IP = r"\d{1,3}(?:\.\d{1,3}){3}"
_RANGE = re.compile(rf"(?P<first>{_IP})\s*(?:-|–|to|through|until|till|\.\.+)\s*(?P<last>{_IP})", re.IGNORECASE)
_EXCEPTED = re.compile(
    rf"\b(?:other\s+than|except(?:\s+for)?|besides|apart\s+from|aside\s+from|excluding|without|(?:and|but)\s+not)\s+"
    rf"(?:from\s+)?(?P<ip>{_IP})",
    re.IGNORECASE,
)
MOST_IN_RANGE = 64
"""Addresses of a range that are asked for one by one; a wider one is a network and is written as one."""


def _between(first: str, last: str) -> tuple[str, ...]:
    try:
        low, high = IPv4Address(first), IPv4Address(last)
    except ValueError:
        return ()
    return (
        tuple(str(low + step) for step in range(int(high) - int(low) + 1))
        if int(high) - int(low) < MOST_IN_RANGE
        else ()
    )


def scope_of_hunt(hunt: Hunt, values: Mapping[str, Sequence[str]], window: Window, default_window: bool) -> Scope:
    """The scope of one named hunt with given parameters."""
    slots: dict[str, tuple[str, ...]] = {}
    for name, given in values.items():
        kind = hunt.parameters[name].type
        slots[kind] = (*slots.get(kind, ()), *map(str, given))
    only = {
        # A hunt with both follows something from its host to its target.
        "outbound": "target" in hunt.parameters and "host" in values and "target" not in values,
        "hunts": (hunt.id,),
        "only": hunt.id,
        "named": {name: tuple(map(str, given)) for name, given in values.items()},
    }
    return _about(slots, window, default_window).model_copy(update=only)


def _about(slots: Mapping[str, tuple[str, ...]], window: Window, default_window: bool) -> Scope:
    names = [name for kind in ("file", "process", "service", "domain", "hash", "email") for name in slots.get(kind, ())]
    return Scope(
        hosts=tuple(map(host_name, slots.get("host", ()))),
        users=tuple(map(account_name, slots.get("user", ()))),
        addresses=slots.get("ip", ()),
        names=tuple(dict.fromkeys(_last_part(name) for name in names if name)),
        alerts=slots.get("alert", ()),
        window=window,
        default_window=default_window,
    )


def host_name(name: str) -> str:
    """A host's name as events carry it: short, in upper case."""
    return name.partition(".")[0].upper()


def _last_part(name: str) -> str:
    return name.replace("/", "\\").rpartition("\\")[2].lower()
