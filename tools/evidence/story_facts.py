"""What the story engine knows about each happening: who acted, on what, from where."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from importlib.resources import files
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from ...knowledge.loading import parsed
from ..languages.vocabulary import EventClass
from ..library import Label
from . import values
from .event import Event

_PROGRAMS: Mapping[str, str] = parsed(
    files("tracehound.tools.evidence").joinpath("story.yaml").read_text(encoding="utf-8")
)

HUB_PROCESSES = frozenset(_PROGRAMS["hubs"].split())
WORKPLACES = HUB_PROCESSES | frozenset(_PROGRAMS["workplaces"].split())
NOISE = frozenset(_PROGRAMS["noise"].split())
REMOTE_HOSTS_OF_CODE = frozenset(_PROGRAMS["remote_hosts"].split())
TELLING_FILES = tuple(_PROGRAMS["telling_files"].split())

INSTANCE_REACH = timedelta(hours=24)
"""How far back the launch of a process may lie that an event names."""

CLOCK_SLACK = timedelta(seconds=3)
"""Sensors and channels of one host disagree by up to this much."""


@dataclass(frozen=True)
class Happening:
    """One thing that happened: the events that report it (several sensors, or a folded burst) and their labels."""

    index: int
    events: tuple[Event, ...]
    labels: tuple[Label, ...]

    @cached_property
    def time(self) -> datetime:
        """Time of the first report."""
        return min(event.time for event in self.events if event.time is not None)

    @cached_property
    def until(self) -> datetime:
        """Time of the last report."""
        return max(event.time for event in self.events if event.time is not None)

    @property
    def event_class(self) -> EventClass:
        """OCSF class."""
        return self.events[0].event_class

    @cached_property
    def host(self) -> str:
        """Short host name in upper case, empty when the events have none."""
        return next((event.host for event in self.events if event.host), "") or ""

    @cached_property
    def user(self) -> str:
        """Account in lower case without its domain."""
        named = (self.text("user.name"), self.text("actor.user.name"), self.events[0].user or "")
        return values.account_name(next((name for name in named if name), ""))

    def get(self, name: str) -> Any:
        """The first value that any report carries for an attribute."""
        for event in self.events:
            value = event.fields.get(name)
            if value not in (None, "", []):
                return value
        return None

    def text(self, name: str) -> str:
        """The same as text, empty when there is none."""
        value = self.get(name)
        return "" if value is None else str(value)

    def values(self, name: str) -> set[str]:
        """Every value that the reports carry, as text."""
        found: set[str] = set()
        for event in self.events:
            value = event.fields.get(name)
            if isinstance(value, list):
                found.update(map(str, value))
            elif value not in (None, ""):
                found.add(str(value))
        return found

    @property
    def activity(self) -> str:
        """The vocabulary's activity."""
        return self.text("activity")

    @property
    def signal(self) -> int:
        """Strength of the strongest label: 3 strong, 2 medium, 1 context, 0 none."""
        order = {"strong": 3, "medium": 2, "context": 1, "inventory": 0}
        return max((order[label.signal] for label in self.labels), default=0)

    @cached_property
    def process(self) -> str:
        """Name of the process that a launch starts, in lower case."""
        return base_name(self.text("process.name") or self.text("process.path"))

    @cached_property
    def actor(self) -> str:
        """Name of the acting process, in lower case."""
        return base_name(self.text("actor.process.name") or self.text("actor.process.path"))

    @property
    def is_launch(self) -> bool:
        """Whether a process starts here."""
        return self.event_class is EventClass.PROCESS and self.activity in ("Launch", "")

    @property
    def is_remote_logon(self) -> bool:
        """Whether an account logs on to a host from another address."""
        if self.event_class is not EventClass.AUTHENTICATION or self.activity not in ("Logon", ""):
            return False
        return self.text("status") != "Failure" and bool(self.source_ips) and bool(self.host)

    @cached_property
    def source_ips(self) -> frozenset[str]:
        """Addresses that the event came from; loopback and link-local are none."""
        return frozenset(ip for ip in map(clean_ip, self.values("src_endpoint.ip")) if ip)

    @cached_property
    def destination_ips(self) -> frozenset[str]:
        """Addresses that the event went to."""
        return frozenset(ip for ip in map(clean_ip, self.values("dst_endpoint.ip")) if ip)


@dataclass
class Directory:
    """Which addresses belong to which host, from inventory and from what the hosts' own events say."""

    host_of: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def learn(self, host: str, address: str) -> None:
        """Note that an address is a host's."""
        ip = clean_ip(address)
        if host and ip:
            self.host_of.setdefault(ip, host)
            self.addresses[host].add(ip)

    def sources(self, happening: Happening) -> set[str]:
        """Hosts that a happening came from, other than the one it was seen on."""
        named = {named_host(name) for name in happening.values("src_endpoint.hostname")}
        hosts = {self.host_of[ip] for ip in happening.source_ips if ip in self.host_of} | named
        return {host for host in hosts if host and host != happening.host}

    def targets(self, happening: Happening) -> set[str]:
        """Hosts that a happening went to, other than the one it was seen on."""
        named = {named_host(name) for name in happening.values("dst_endpoint.hostname")}
        hosts = {self.host_of[ip] for ip in happening.destination_ips if ip in self.host_of} | named
        return {host for host in hosts if host and host != happening.host}

    @classmethod
    def from_happenings(cls, happenings: Iterable[Happening]) -> "Directory":
        """Read device records first, then what network events of a host say of its own side."""
        directory = cls()
        rest = []
        for happening in happenings:
            if happening.event_class is EventClass.DEVICE:
                for address in happening.values("device.ip"):
                    directory.learn(happening.host, address)
            else:
                rest.append(happening)
        for happening in rest:
            for address in happening.values("device.ip"):
                directory.learn(happening.host, address)
            if happening.event_class is EventClass.NETWORK and happening.host:
                inbound = happening.text("connection.direction") == "Inbound"
                own = "dst_endpoint.ip" if inbound else "src_endpoint.ip"
                for address in happening.values(own):
                    directory.learn(happening.host, address)
        return directory


class ProcessTable:
    """Launches by host, to find the launch that an event's process ids or names mean."""

    def __init__(self, happenings: Sequence[Happening]) -> None:
        self._by_uid: dict[tuple[str, str], Happening] = {}
        self._by_pid: dict[tuple[str, int], list[Happening]] = defaultdict(list)
        self._by_name: dict[tuple[str, str], list[Happening]] = defaultdict(list)
        for happening in happenings:
            if not happening.is_launch:
                continue
            for uid in happening.values("process.uid"):
                self._by_uid.setdefault((happening.host, uid), happening)
            for pid in happening.values("process.pid"):
                number = values.parse_int(pid)
                if number is not None:
                    self._by_pid[happening.host, number].append(happening)
            self._by_name[happening.host, happening.process].append(happening)
        for launches in (*self._by_pid.values(), *self._by_name.values()):
            launches.sort(key=lambda launch: launch.time)

    def actor_of(self, happening: Happening) -> Happening | None:
        """The launch of the process that acts in a happening."""
        return self._find(happening, "actor.process", happening.actor)

    def object_of(self, happening: Happening) -> Happening | None:
        """The launch of the process that a happening is about (an alert's process, a handle's target)."""
        return self._find(happening, "process", happening.process)

    def _find(self, happening: Happening, role: str, name: str) -> Happening | None:
        host, moment = happening.host, happening.time
        for uid in happening.values(f"{role}.uid"):
            launch = self._by_uid.get((host, uid))
            if launch is not None and launch.index != happening.index:
                return launch
        pids = {values.parse_int(pid) for pid in happening.values(f"{role}.pid")} - {None}
        for pid in pids:
            launch = _latest(self._by_pid.get((host, pid), ()), happening, moment)  # type: ignore[arg-type]
            if launch is not None and (not name or not launch.process or launch.process == name):
                return launch
        if not name or name in HUB_PROCESSES or (pids and self._pids_known(host, name)):
            return None
        return _latest(self._by_name.get((host, name), ()), happening, moment)

    def _pids_known(self, host: str, name: str) -> bool:
        return any(launch.get("process.pid") is not None for launch in self._by_name.get((host, name), ()))


def _latest(launches: Sequence[Happening], of: Happening, moment: datetime) -> Happening | None:
    for launch in reversed(launches):
        if launch.index != of.index and launch.time <= moment + CLOCK_SLACK:
            return launch if moment - launch.time <= INSTANCE_REACH else None
    return None


def base_name(path: str) -> str:
    """Last part of a path for comparing, in lower case."""
    return values.base_name(path.strip()).lower()


def named_host(name: str) -> str:
    """A host's short name in upper case; empty for an address, which is no name, and for the host's name for itself."""
    host = values.short_host(name)
    return "" if host is None or host == "LOCALHOST" or _address(host) else host


def clean_ip(text: str) -> str:
    """A usable address in canonical form: not loopback, link-local or unspecified; else empty."""
    address = _address(values.clean_address(text) or "")
    useless = address is None or address.is_loopback or address.is_link_local or address.is_unspecified
    return "" if useless else str(address)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def is_public(text: str) -> bool:
    """Whether an address lies outside private ranges. Documentation ranges count as public: labs use them."""
    address = _address(text)
    documentation = ("192.0.2.", "198.51.100.", "203.0.113.")
    return address is not None and (address.is_global or text.startswith(documentation))


def by_host(happenings: Iterable[Happening]) -> Mapping[str, list[Happening]]:
    """Happenings of each host in time order."""
    table: dict[str, list[Happening]] = defaultdict(list)
    for happening in happenings:
        table[happening.host].append(happening)
    for found in table.values():
        found.sort(key=lambda item: item.time)
    return table
