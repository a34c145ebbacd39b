"""Words for telling what happened in a scenario: short methods that make observations."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ...tools.languages.vocabulary import EventClass
from .observation import DEFENDER, FALCON, SENTINEL, SENTINELONE, Observation

SYSTEM32 = "C:\\Windows\\System32\\"


@dataclass(frozen=True)
class Host:
    """A machine of the world and the sensors on it."""

    name: str
    ip: str
    sensors: frozenset[str]
    product: str = "Workstation"
    os: str = "Windows 11"
    linux: bool = False
    criticality: str = "normal"
    tags: tuple[str, ...] = ()
    user: str = ""


@dataclass(frozen=True)
class Process:
    """A running program."""

    name: str
    path: str
    pid: int
    command: str = ""
    parent: "Process | None" = None

    @property
    def uid(self) -> str:
        """What tells this instance from others of the same id."""
        return f"{self.pid}-{self.name}-{self.command[:40]}"


@dataclass
class Scene:
    """A scenario in the making: its end, its hosts, and what was seen."""

    end: datetime
    domain: str
    netbios: str
    hosts: dict[str, Host]
    rename: Callable[[str], str] = str
    """Renames what is encoded before it is written; everything else is renamed afterwards."""
    egress: str = ""
    """The address that its hosts have outside."""
    seen: list[Observation] = field(default_factory=list)
    _next_pid: int = 4000

    def at(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
        """The moment that lies so long before the end."""
        return self.end - timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)

    def program(self, name: str, path: str = "", command: str = "", parent: Process | None = None) -> Process:
        """A new process; the path defaults to System32."""
        self._next_pid += 4
        return Process(name, path or SYSTEM32 + name, self._next_pid, command or name, parent)

    def note(
        self, event_class: EventClass, when: datetime, host: Host | None, attributes: dict[str, Any], story: str = "",
        sensors: Iterable[str] | None = None, **extra: Any,
    ) -> Observation:  # fmt: skip
        """Add what the sensors of a host see of something."""
        known: dict[str, Any] = {}
        if host is not None:
            known = {"device.hostname": host.name, "device.ip": host.ip, "device.domain": self.domain}
            known["device.os"] = "linux" if host.linux else "windows"
            if event_class in (EventClass.DEVICE, EventClass.FINDING):
                known["device.external_ip"] = self.egress
            if event_class is not EventClass.DEVICE:
                known.pop("device.domain")
        watching = frozenset(sensors) if sensors is not None else host.sensors if host else frozenset({SENTINEL})
        extra.setdefault("domain", self.domain)
        seen = Observation(event_class, when, known | attributes, watching, story, extra)
        self.seen.append(seen)
        return seen

    def actor(self, process: Process, user: str = "") -> dict[str, Any]:
        """Attributes of a process that acts."""
        found = {
            "actor.process.name": process.name,
            "actor.process.path": process.path,
            "actor.process.cmd_line": process.command,
            "actor.process.pid": process.pid,
            "actor.process.uid": process.uid,
        }
        if process.parent is not None:
            found["actor.process.parent.name"] = process.parent.name
        if user:
            found |= {"actor.user.name": user, "actor.user.domain": self.netbios}
        return found

    def launch(self, when: datetime, host: Host, process: Process, user: str, story: str = "") -> Process:
        """A process starts."""
        parent = process.parent or Process("explorer.exe", "C:\\Windows\\explorer.exe", 3300, "explorer.exe")
        attributes = {
            "activity": "Launch",
            "process.name": process.name,
            "process.path": process.path,
            "process.cmd_line": process.command,
            "process.pid": process.pid,
            "process.uid": process.uid,
            "process.integrity": "System" if user == "SYSTEM" else "Medium",
            **self.actor(parent, user),
        }
        self.note(EventClass.PROCESS, when, host, attributes, story)
        return process

    def connect(
        self, when: datetime, host: Host, process: Process, ip: str, port: int, user: str = "", story: str = "",
        name: str = "",
    ) -> None:  # fmt: skip
        """A program opens a connection outwards."""
        attributes = {
            "activity": "Open",
            "connection.direction": "Outbound",
            "connection.protocol": "tcp",
            "src_endpoint.ip": host.ip,
            "src_endpoint.port": 49700 + (int(when.timestamp()) * 7 + port) % 15000,
            "dst_endpoint.ip": ip,
            "dst_endpoint.port": port,
            **self.actor(process, user),
        }
        if name:
            attributes["dst_endpoint.hostname"] = name
        self.note(EventClass.NETWORK, when, host, attributes, story)

    def accept(
        self, when: datetime, host: Host, ip: str, port: int, story: str = "", process: Process | None = None
    ) -> None:
        """A connection comes in."""
        system = process or Process("sshd" if host.linux else "System", "", 4)
        attributes = {
            "activity": "Open",
            "connection.direction": "Inbound",
            "connection.protocol": "tcp",
            "src_endpoint.ip": ip,
            "src_endpoint.port": 40000 + (int(when.timestamp()) + port) % 20000,
            "dst_endpoint.ip": host.ip,
            "dst_endpoint.port": port,
            **self.actor(system),
        }
        self.note(EventClass.NETWORK, when, host, attributes, story)

    def write(
        self, when: datetime, host: Host, process: Process, path: str, user: str = "", size: int = 0, story: str = "", *,
        activity: str = "Create",
    ) -> None:  # fmt: skip
        """A program creates a file, or deletes it."""
        name = path.replace("/", "\\").rpartition("\\")[2]
        attributes = {"activity": activity, "file.path": path, "file.name": name, **self.actor(process, user)}
        if size:
            attributes["file.size"] = size
        self.note(EventClass.FILE, when, host, attributes, story)

    def resolve(self, when: datetime, host: Host, process: Process, name: str, story: str = "") -> None:
        """A program looks up a name."""
        attributes = {"activity": "Query", "query.hostname": name, "query.type": "A", **self.actor(process)}
        self.note(EventClass.DNS, when, host, attributes, story)

    def registry(
        self, when: datetime, host: Host, process: Process, key: str, value: str, data: str, story: str = ""
    ) -> None:
        """A registry value is set."""
        attributes = {
            "activity": "Set", "reg.path": key, "reg.value_name": value, "reg.value_data": data, **self.actor(process),
        }  # fmt: skip
        self.note(EventClass.REGISTRY, when, host, attributes, story)

    def logon(
        self, when: datetime, host: Host, user: str, *, kind: str = "Interactive", source: str = "", failed: str = "",
        protocol: str = "Kerberos", story: str = "", source_name: str = "",
    ) -> None:  # fmt: skip
        """An account logs on, or fails to."""
        attributes: dict[str, Any] = {
            "activity": "Logon",
            "status": "Failure" if failed else "Success",
            "user.name": user,
            "user.domain": self.netbios,
            "logon_type": kind,
            "auth_protocol": protocol,
            "session.uid": str(0x40000 + int(when.timestamp()) % 0xFFFFF),
        }
        if source:
            attributes["src_endpoint.ip"] = source
        if source_name:
            attributes["src_endpoint.hostname"] = source_name
        if failed:
            attributes["status_detail"] = failed
        self.note(EventClass.AUTHENTICATION, when, host, attributes, story)

    def ticket(
        self,
        when: datetime,
        controller: Host,
        user: str,
        service: str,
        source: str,
        encryption: str = "0x12",
        story: str = "",
    ) -> None:
        """A domain controller issues a service ticket; Windows auditing and Defender for Identity see it there."""
        attributes = {
            "activity": "Service Ticket", "status": "Success", "user.name": user, "user.domain": self.netbios,
            "service.name": service, "src_endpoint.ip": source, "ticket.encryption": encryption,
            "src_endpoint.hostname": self.name_of(source),
        }  # fmt: skip
        self.note(EventClass.AUTHENTICATION, when, controller, attributes, story)

    def name_of(self, ip: str) -> str:
        """The host that has an address, empty when none has."""
        return next((host.name for host in self.hosts.values() if host.ip == ip), "")

    def last(self, story: str, name: str, host: Host) -> Process:
        """The process of this name that a story started last on a host."""
        seen = next(
            seen
            for seen in reversed(self.seen)
            if seen.story == story and seen.host == host.name and seen.text("process.name") == name
        )
        return Process(name, seen.text("process.path"), int(seen.text("process.pid")), seen.text("process.cmd_line"))

    def cloud(self, when: datetime, table: str, row: dict[str, Any], story: str = "") -> None:
        """A row of a cloud log, written by the service itself."""
        self.note(EventClass.API, when, None, {}, story, sensors={SENTINEL}, table=table, row=row)

    def alert(
        self, when: datetime, host: Host, title: str, severity: str, technique: str, tactic: str, process: Process,
        user: str, *, sensor: str, story: str = "", uid: str = "", about: str = "", verdict: str = "", comment: str = "",
        mitigation: str = "", file: str = "",
    ) -> str:  # fmt: skip
        """A vendor's detection; gives its id."""
        parent = process.parent or process
        attributes: dict[str, Any] = {
            "finding.uid": uid,
            "finding.title": title,
            "finding.description": about or title,
            "severity": severity,
            "attacks.technique": technique,
            "attacks.tactic": tactic,
            "process.name": process.name,
            "process.path": process.path,
            "process.cmd_line": process.command,
            "process.pid": process.pid,
            "process.uid": process.uid,
            **self.actor(parent, user),
        }
        if verdict:
            attributes |= {"finding.verdict": verdict, "finding.status": "Resolved", "finding.comment": comment}
        if mitigation:
            attributes["mitigation"] = mitigation
        if file:
            attributes["file.path"] = file
        self.note(
            EventClass.FINDING, when, host, attributes, story, sensors={sensor},
            os_version=host.os, product_type=host.product,
        )  # fmt: skip
        return uid


__all__ = ["DEFENDER", "FALCON", "SENTINEL", "SENTINELONE", "Host", "Process", "Scene"]
