"""A Windows record as its readers see it: its fields, and what other records say of the processes that it names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ...tools.languages.vocabulary import EventClass
from .recording_clock import DRIFTING

Fields = Mapping[str, Any]
Happened = tuple[EventClass, dict[str, Any]]
Reader = Callable[["Reading"], Happened | None]

NO_GUID = "{00000000-0000-0000-0000-000000000000}"


def channel(fields: Fields) -> str:
    """Which log a record is of: sysmon, security, system, powershell, or another name in lower case."""
    return _channel(fields.get("Channel"))


@lru_cache(maxsize=256)
def _channel(name: object) -> str:
    lower = str(name or "").strip().lower()
    if "sysmon" in lower:
        return "sysmon"
    return "powershell" if "powershell" in lower else lower


def event_id(fields: Fields) -> int:
    """The number of the event, 0 when it has none."""
    return _event_id(fields.get("EventID"))


@lru_cache(maxsize=4096)
def _event_id(number: object) -> int:
    return int(str(number)) if str(number).isdecimal() else 0


def drifts(fields: Fields) -> bool:
    """Whether `UtcTime` of this record does not keep step with the log."""
    return event_id(fields) in DRIFTING and channel(fields) == "sysmon"


def host_of(fields: Fields) -> str:
    """The host that wrote the record, as it stands there."""
    return next((found for key in ("Hostname", "Computer", "ComputerName") if (found := text(fields, key))), "")


def short(host: str) -> str:
    """A host name without its domain, in upper case."""
    return host.partition(".")[0].upper()


def text(fields: Fields, *names: str) -> str:
    """The first field that is there and is not a dash."""
    for name in names:
        value = fields.get(name)
        if value is None:
            continue
        found = value.strip() if isinstance(value, str) else str(value)
        if found and found != "-" and found != "N/A":
            return found
    return ""


def address(value: str) -> str:
    """An IP address; IPv4 mapped into IPv6 is unpacked."""
    return value[7:] if value.lower().startswith("::ffff:") and "." in value else value


def number(value: str) -> int | None:
    """A decimal or hexadecimal number."""
    try:
        return int(value, 16) if value.lower().startswith("0x") else int(value)
    except ValueError:
        return None


def basename(path: str) -> str:
    """The last part of a path."""
    return path.replace("/", "\\").rpartition("\\")[2]


def account(value: str) -> tuple[str, str]:
    r"""Name and domain of `DOMAIN\name` or `name@domain`."""
    if "\\" in value:
        domain, _, name = value.rpartition("\\")
        return name, domain
    name, _, domain = value.partition("@")
    return name, domain


@dataclass
class Program:
    """What a recording says of one process."""

    path: str = ""
    command: str = ""
    user: str = ""
    pid: str = ""
    parent: str = ""
    sha256: str = ""


@dataclass
class Programs:
    """Every process of a recording that some record describes."""

    by_guid: dict[str, Program] = field(default_factory=dict)
    guid_of: dict[tuple[str, str], str] = field(default_factory=dict)
    """(host, process id) to the GUID that had it last."""

    def learn(self, host: str, fields: Fields) -> None:
        """Take in what a Sysmon record says about the processes that it names."""
        self._note(host, fields, "ProcessGuid", "ProcessId", "Image", "User")
        self._note(
            host, fields, "ParentProcessGuid", "ParentProcessId", "ParentImage", "ParentUser", "ParentCommandLine"
        )
        self._note(host, fields, "SourceProcessGUID", "SourceProcessId", "SourceImage", "SourceUser")
        self._note(host, fields, "TargetProcessGUID", "TargetProcessId", "TargetImage", "TargetUser")
        if event_id(fields) == 1:
            program = self.by_guid.get(guid_in(fields, "ProcessGuid"))
            if program is not None:
                program.command = text(fields, "CommandLine") or program.command
                program.parent = text(fields, "ParentImage") or program.parent
                program.sha256 = hashes(text(fields, "Hashes")).get("sha256", "")

    def _note(self, host: str, fields: Fields, guid: str, pid: str, image: str, user: str, command: str = "") -> None:
        key = guid_in(fields, guid)
        if not key:
            return
        program = self.by_guid.setdefault(key, Program())
        program.path = program.path or text(fields, image)
        program.user = program.user or text(fields, user)
        program.command = program.command or (text(fields, command) if command else "")
        if found := text(fields, pid):
            program.pid = program.pid or found
            self.guid_of[host, found] = key


def guid_in(fields: Fields, name: str) -> str:
    """A process GUID, in lower case; empty when it is all zeros. Sysmon spells the field in two ways."""
    found = text(fields, name, name.replace("Guid", "GUID"), name.replace("GUID", "Guid")).lower()
    return "" if found == NO_GUID else found


def hashes(value: str) -> dict[str, str]:
    """`SHA256=...,MD5=...` as a mapping with lower-case names and digits."""
    pairs = (part.partition("=") for part in value.split(",") if "=" in part)
    return {name.strip().lower(): digits.strip().lower() for name, _, digits in pairs}


@dataclass(frozen=True, slots=True)
class Reading:
    """One record with what else is known."""

    host: str
    fields: Fields
    programs: Programs

    def text(self, *names: str) -> str:
        """The first of the fields that says something."""
        return text(self.fields, *names)

    def user(self, role: str, name: str, domain: str = "", sid: str = "") -> dict[str, Any]:
        """An account from its fields."""
        found, within = account(self.text(name))
        return present(
            {
                f"{role}.name": found,
                f"{role}.domain": (self.text(domain) if domain else "") or within,
                f"{role}.uid": self.text(sid) if sid else "",
            }
        )

    def actor(
        self, guid: str = "ProcessGuid", pid: str = "ProcessId", image: str = "Image", user: str = "User"
    ) -> dict[str, Any]:
        """The process that acts, with what other records say of it."""
        key = guid_in(self.fields, guid)
        known = self.programs.by_guid.get(key, Program())
        name, domain = account(self.text(user) or known.user)
        path = self.text(image) or known.path
        return present(
            {
                "actor.process.name": basename(path),
                "actor.process.path": path,
                "actor.process.cmd_line": known.command,
                "actor.process.pid": number(self.text(pid) or known.pid),
                "actor.process.uid": key,
                "actor.process.hash.sha256": known.sha256,
                "actor.process.parent.name": basename(known.parent),
                "actor.process.parent.path": known.parent,
                "actor.user.name": name,
                "actor.user.domain": domain,
            }
        )

    def hashed(self, role: str, name: str = "Hashes") -> dict[str, Any]:
        """The hashes of a file or program."""
        found = hashes(self.text(name, "Hash"))
        return present({f"{role}.hash.{kind}": found.get(kind, "") for kind in ("sha256", "sha1", "md5")})

    def endpoints(self, source: str, source_port: str, target: str, target_port: str) -> dict[str, Any]:
        """Both ends of a connection."""
        return present(
            {
                "src_endpoint.ip": address(self.text(source)),
                "src_endpoint.port": number(self.text(source_port)),
                "dst_endpoint.ip": address(self.text(target)),
                "dst_endpoint.port": number(self.text(target_port)),
            }
        )

    def caller(self) -> dict[str, Any]:
        """The remote end of a logon or a share access."""
        return present(
            {
                "src_endpoint.ip": address(self.text("IpAddress")),
                "src_endpoint.port": number(self.text("IpPort")),
                "src_endpoint.hostname": self.text("WorkstationName", "Workstation").lstrip("\\"),
            }
        )


def present(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes that say something."""
    return {name: value for name, value in attributes.items() if value not in (None, "")}
