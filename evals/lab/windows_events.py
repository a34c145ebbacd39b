"""Windows events as observations: Sysmon, Security, System and PowerShell, event by event.

Each reader takes a record and gives the class and the attributes of what happened. What a record leaves out and another
one told (the account and the command line behind a process GUID) is filled in from `Programs`. The original values stay
in the Windows tables, which `importer` writes beside these.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ...tools.languages.vocabulary import LOGON_TYPES, EventClass
from .recording_clock import DRIFTING

Fields = Mapping[str, Any]
Happened = tuple[EventClass, dict[str, Any]]
Reader = Callable[["Reading"], Happened | None]

_NO_GUID = "{00000000-0000-0000-0000-000000000000}"
_INTEGRITY = {
    "S-1-16-0": "Untrusted", "S-1-16-4096": "Low", "S-1-16-8192": "Medium", "S-1-16-8448": "Medium",
    "S-1-16-12288": "High", "S-1-16-16384": "System",
}  # fmt: skip
_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp"}
_START_TYPES = {"0": "Boot", "1": "System", "2": "Automatic", "3": "Manual", "4": "Disabled"}
_START_WORDS = {
    "boot start": "Boot", "system start": "System", "auto start": "Automatic", "demand start": "Manual",
    "disabled": "Disabled",
}  # fmt: skip
_ACCOUNT_CHANGES = {
    4720: "User created", 4722: "User enabled", 4723: "Password change attempted", 4724: "Password reset attempted",
    4725: "User disabled", 4726: "User deleted", 4738: "User changed", 4740: "User locked out", 4767: "User unlocked",
}  # fmt: skip
_GROUP_CHANGES = {
    4728: "Member added to global group", 4729: "Member removed from global group",
    4732: "Member added to local group", 4733: "Member removed from local group",
    4756: "Member added to universal group", 4757: "Member removed from universal group",
}  # fmt: skip
_TASK = re.compile(r"<Command>(.*?)</Command>(?:.*?<Arguments>(.*?)</Arguments>)?", re.DOTALL)
_HOST_URL = re.compile(r"HostUrl=(\S+)")
_APPLICATION = re.compile(r"Host ?Application ?= ?(.+)")
_USER_LINE = re.compile(r"User(?:Id)? ?= ?(\S+\\\S+)")
_COMMAND_LINE = re.compile(r"\bCommandLine=\s*(.*?)\s*(?:\r?\n\r?\n|\Z)", re.DOTALL)


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
            program = self.by_guid.get(_guid(fields, "ProcessGuid"))
            if program is not None:
                program.command = text(fields, "CommandLine") or program.command
                program.parent = text(fields, "ParentImage") or program.parent
                program.sha256 = hashes(text(fields, "Hashes")).get("sha256", "")

    def _note(self, host: str, fields: Fields, guid: str, pid: str, image: str, user: str, command: str = "") -> None:
        key = _guid(fields, guid)
        if not key:
            return
        program = self.by_guid.setdefault(key, Program())
        program.path = program.path or text(fields, image)
        program.user = program.user or text(fields, user)
        program.command = program.command or (text(fields, command) if command else "")
        if found := text(fields, pid):
            program.pid = program.pid or found
            self.guid_of[host, found] = key


def _guid(fields: Fields, name: str) -> str:
    found = text(fields, name, name.replace("Guid", "GUID"), name.replace("GUID", "Guid")).lower()
    return "" if found == _NO_GUID else found


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
        return _present(
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
        key = _guid(self.fields, guid)
        known = self.programs.by_guid.get(key, Program())
        name, domain = account(self.text(user) or known.user)
        path = self.text(image) or known.path
        return _present(
            {
                "actor.process.name": basename(path),
                "actor.process.path": path,
                "actor.process.cmd_line": known.command,
                "actor.process.pid": number(self.text(pid) or known.pid),
                "actor.process.uid": key,
                "actor.process.hash.sha256": known.sha256,
                "actor.process.parent.name": basename(known.parent),
                "actor.user.name": name,
                "actor.user.domain": domain,
            }
        )

    def hashed(self, role: str, name: str = "Hashes") -> dict[str, Any]:
        """The hashes of a file or program."""
        found = hashes(self.text(name, "Hash"))
        return _present({f"{role}.hash.{kind}": found.get(kind, "") for kind in ("sha256", "sha1", "md5")})

    def endpoints(self, source: str, source_port: str, target: str, target_port: str) -> dict[str, Any]:
        """Both ends of a connection."""
        return _present(
            {
                "src_endpoint.ip": address(self.text(source)),
                "src_endpoint.port": number(self.text(source_port)),
                "dst_endpoint.ip": address(self.text(target)),
                "dst_endpoint.port": number(self.text(target_port)),
            }
        )

    def caller(self) -> dict[str, Any]:
        """The remote end of a logon or a share access."""
        return _present(
            {
                "src_endpoint.ip": address(self.text("IpAddress")),
                "src_endpoint.port": number(self.text("IpPort")),
                "src_endpoint.hostname": self.text("WorkstationName", "Workstation").lstrip("\\"),
            }
        )


def _present(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value not in (None, "")}


def happened(host: str, fields: Fields, programs: Programs) -> Happened | None:
    """What a record tells; None where the lab has no word for it."""
    reader = _READERS.get((channel(fields), event_id(fields)))
    return reader(Reading(host, fields, programs)) if reader else None


# Sysmon


def _launched(at: Reading) -> Happened:
    parent = at.actor("ParentProcessGuid", "ParentProcessId", "ParentImage", "ParentUser")
    parent.update(_present({"actor.process.cmd_line": at.text("ParentCommandLine")}))
    known = at.programs.by_guid.get(_guid(at.fields, "ProcessGuid"), Program())
    return EventClass.PROCESS, {
        "activity": "Launch",
        **parent,
        **at.user("actor.user", "User"),
        **_present(
            {
                "actor.session.uid": at.text("LogonId"),
                "process.name": basename(at.text("Image")),
                "process.path": at.text("Image"),
                "process.cmd_line": at.text("CommandLine"),
                "process.pid": number(at.text("ProcessId") or known.pid),
                "process.uid": _guid(at.fields, "ProcessGuid"),
                "process.original_name": at.text("OriginalFileName"),
                "process.integrity": at.text("IntegrityLevel"),
                "process.signer": at.text("Company"),
            }
        ),
        **at.hashed("process"),
    }


def _ended(at: Reading) -> Happened:
    as_actor = at.actor()
    parent = at.programs.by_guid.get(_guid(at.fields, "ProcessGuid"), Program()).parent
    moved = {name.removeprefix("actor."): value for name, value in as_actor.items() if "parent" not in name}
    named = {name: value for name, value in moved.items() if name.startswith("process.")}
    user = {name: value for name, value in as_actor.items() if name.startswith("actor.user")}
    actor = _present({"actor.process.name": basename(parent), "actor.process.path": parent})
    return EventClass.PROCESS, {"activity": "Terminate", **named, **user, **actor}


def _accessed(activity: str) -> Reader:
    def read(at: Reading) -> Happened:
        return EventClass.PROCESS, {
            "activity": activity,
            **at.actor("SourceProcessGUID", "SourceProcessId", "SourceImage", "SourceUser"),
            **_present(
                {
                    "process.name": basename(at.text("TargetImage")),
                    "process.path": at.text("TargetImage"),
                    "process.pid": number(at.text("TargetProcessId")),
                    "process.uid": _guid(at.fields, "TargetProcessGUID"),
                    "process.access_mask": at.text("GrantedAccess"),
                }
            ),
        }

    return read


def _loaded(at: Reading) -> Happened:
    return EventClass.MODULE, {
        "activity": "Load",
        **at.actor(),
        **_present(
            {
                "module.name": basename(at.text("ImageLoaded")),
                "module.path": at.text("ImageLoaded"),
                "module.hash.sha256": hashes(at.text("Hashes")).get("sha256", ""),
                "module.signer": at.text("Signature"),
                "module.signed": at.text("Signed").lower(),
            }
        ),
    }


def _file(activity: str) -> Reader:
    def read(at: Reading) -> Happened:
        origin = _HOST_URL.search(at.text("Contents"))
        return EventClass.FILE, {
            "activity": activity,
            **at.actor(),
            **_present(
                {
                    "file.name": basename(at.text("TargetFilename")),
                    "file.path": at.text("TargetFilename"),
                    "file.origin_url": origin.group(1) if origin else "",
                }
            ),
            **at.hashed("file"),
        }

    return read


def _key(at: Reading) -> Happened:
    kind = at.text("EventType")
    activity = "Delete" if kind.startswith("Delete") else "Create"
    return EventClass.REGISTRY, {"activity": activity, **at.actor(), "reg.path": at.text("TargetObject")}


def _value(at: Reading) -> Happened:
    key, _, value = at.text("TargetObject").rpartition("\\")
    return EventClass.REGISTRY, {
        "activity": "Set",
        **at.actor(),
        "reg.path": key,
        "reg.value_name": value,
        **_present({"reg.value_data": at.text("Details")}),
    }


def _renamed_key(at: Reading) -> Happened:
    path = at.text("NewName") or at.text("TargetObject")
    return EventClass.REGISTRY, {"activity": "Rename", **at.actor(), "reg.path": path}


def _connected(at: Reading) -> Happened:
    outbound = at.text("Initiated").lower() != "false"
    far = "DestinationHostname" if outbound else "SourceHostname"
    return EventClass.NETWORK, {
        "activity": "Open",
        "connection.direction": "Outbound" if outbound else "Inbound",
        **at.actor(),
        **at.endpoints("SourceIp", "SourcePort", "DestinationIp", "DestinationPort"),
        **_present(
            {
                "connection.protocol": at.text("Protocol").lower(),
                f"{'dst' if outbound else 'src'}_endpoint.hostname": at.text(far),
            }
        ),
    }


def _resolved(at: Reading) -> Happened:
    answers = [address(part) for part in at.text("QueryResults").split(";") if part and part != "-"]
    found = _present({"query.hostname": at.text("QueryName"), "rcode": at.text("QueryStatus")})
    if answers:
        found["answers"] = ";".join(answers)
    return EventClass.DNS, {"activity": "Query", **at.actor(), **found}


# Security


def _audited_launch(at: Reading) -> Happened:
    other = at.text("TargetUserName")
    user = (
        at.user("actor.user", "TargetUserName", "TargetDomainName", "TargetUserSid")
        if other
        else at.user("actor.user", "SubjectUserName", "SubjectDomainName", "SubjectUserSid")
    )
    pid, parent = number(at.text("NewProcessId")), number(at.text("ProcessId"))
    return EventClass.PROCESS, {
        "activity": "Launch",
        **user,
        **_present(
            {
                "actor.session.uid": at.text("TargetLogonId") if other else at.text("SubjectLogonId"),
                "actor.process.name": basename(at.text("ParentProcessName")),
                "actor.process.path": at.text("ParentProcessName"),
                "actor.process.pid": parent,
                "process.name": basename(at.text("NewProcessName")),
                "process.path": at.text("NewProcessName"),
                "process.cmd_line": at.text("CommandLine"),
                "process.pid": pid,
                "process.integrity": _INTEGRITY.get(at.text("MandatoryLabel"), ""),
            }
        ),
    }


def _audited_end(at: Reading) -> Happened:
    return EventClass.PROCESS, {
        "activity": "Terminate",
        **at.user("actor.user", "SubjectUserName", "SubjectDomainName", "SubjectUserSid"),
        **_present(
            {
                "process.name": basename(at.text("ProcessName")),
                "process.path": at.text("ProcessName"),
                "process.pid": number(at.text("ProcessId")),
            }
        ),
    }


def _logon(status: str) -> Reader:
    def read(at: Reading) -> Happened:
        kind = number(at.text("LogonType"))
        return EventClass.AUTHENTICATION, {
            "activity": "Logon",
            "status": status,
            **at.user("user", "TargetUserName", "TargetDomainName", "TargetUserSid"),
            **at.user("actor.user", "SubjectUserName", "SubjectDomainName", "SubjectUserSid"),
            **at.caller(),
            **_present(
                {
                    "logon_type": LOGON_TYPES.get(kind or 0, ""),
                    "auth_protocol": at.text("AuthenticationPackageName"),
                    "session.uid": at.text("TargetLogonId"),
                    "status_detail": at.text("SubStatus", "Status") if status == "Failure" else "",
                    "actor.process.name": basename(at.text("ProcessName")),
                    "actor.process.path": at.text("ProcessName"),
                    "actor.process.pid": number(at.text("ProcessId")) or None,
                }
            ),
        }

    return read


def _logoff(at: Reading) -> Happened:
    kind = number(at.text("LogonType"))
    return EventClass.AUTHENTICATION, {
        "activity": "Logoff",
        "status": "Success",
        **at.user("user", "TargetUserName", "TargetDomainName", "TargetUserSid"),
        **_present({"logon_type": LOGON_TYPES.get(kind or 0, ""), "session.uid": at.text("TargetLogonId")}),
    }


def _explicit(at: Reading) -> Happened:
    return EventClass.AUTHENTICATION, {
        "activity": "Explicit Credentials",
        "status": "Success",
        **at.user("user", "TargetUserName", "TargetDomainName"),
        **at.user("actor.user", "SubjectUserName", "SubjectDomainName", "SubjectUserSid"),
        **at.caller(),
        **_present(
            {
                "service.name": at.text("TargetServerName"),
                "actor.process.name": basename(at.text("ProcessName")),
                "actor.process.path": at.text("ProcessName"),
            }
        ),
    }


def _privileges(at: Reading) -> Happened:
    return EventClass.AUTHENTICATION, {
        "activity": "Special Privileges",
        "status": "Success",
        **at.user("user", "SubjectUserName", "SubjectDomainName", "SubjectUserSid"),
        **_present({"session.uid": at.text("SubjectLogonId")}),
    }


def _ticket(activity: str) -> Reader:
    def read(at: Reading) -> Happened:
        status = at.text("Status", "FailureCode") or "0x0"
        return EventClass.AUTHENTICATION, {
            "activity": activity,
            "status": "Success" if number(status) == 0 else "Failure",
            "status_detail": status,
            **at.user("user", "TargetUserName", "TargetDomainName"),
            **at.caller(),
            **_present({"service.name": at.text("ServiceName"), "ticket.encryption": at.text("TicketEncryptionType")}),
        }

    return read


def _service(name: str, path: str, user: str, start: str) -> Reader:
    def read(at: Reading) -> Happened:
        kind = at.text(start)
        return EventClass.SERVICE, {
            "activity": "Create",
            **at.user("actor.user", "SubjectUserName", "SubjectDomainName", "SubjectUserSid"),
            **_present(
                {
                    "actor.session.uid": at.text("SubjectLogonId"),
                    "service.name": at.text(name),
                    "service.cmd_line": at.text(path),
                    "service.account": at.text(user),
                    "service.start_type": _START_TYPES.get(kind) or _START_WORDS.get(kind.lower(), kind),
                }
            ),
        }

    return read


def _service_state(at: Reading) -> Happened | None:
    states = {"running": "Start", "stopped": "Stop"}
    activity = states.get(at.text("param2").lower())
    if activity is None:
        return None
    return EventClass.SERVICE, {"activity": activity, "service.name": at.text("param1")}


def _task(activity: str) -> Reader:
    def read(at: Reading) -> Happened:
        content = at.text("TaskContent", "TaskContentNew")
        command = _TASK.search(content)
        line = " ".join(part.strip() for part in command.groups() if part) if command else content
        return EventClass.JOB, {
            "activity": activity,
            **at.user("actor.user", "SubjectUserName", "SubjectDomainName", "SubjectUserSid"),
            **_present({"job.name": at.text("TaskName"), "job.cmd_line": line}),
        }

    return read


def _account_change(activity: str) -> Reader:
    def read(at: Reading) -> Happened:
        return EventClass.ACCOUNT, {
            "activity": activity,
            "status": "Success",
            **at.user("user", "TargetUserName", "TargetDomainName", "TargetSid"),
            **at.user("actor.user", "SubjectUserName", "SubjectDomainName", "SubjectUserSid"),
        }

    return read


def _group_change(activity: str) -> Reader:
    def read(at: Reading) -> Happened:
        return EventClass.ACCOUNT, {
            "activity": activity,
            "status": "Success",
            **at.user("user", "MemberName", "", "MemberSid"),
            **at.user("actor.user", "SubjectUserName", "SubjectDomainName", "SubjectUserSid"),
            **_present({"group.name": at.text("TargetUserName")}),
        }

    return read


def _share(at: Reading) -> Happened:
    return EventClass.SMB, {
        "activity": "Open",
        **at.user("actor.user", "SubjectUserName", "SubjectDomainName", "SubjectUserSid"),
        **at.caller(),
        **_present(
            {
                "share.name": at.text("ShareName"),
                "share.path": at.text("RelativeTargetName"),
                "access_mask": at.text("AccessMask"),
                "actor.session.uid": at.text("SubjectLogonId"),
            }
        ),
    }


def _filtered(at: Reading) -> Happened:
    application = at.text("Application")
    pid = at.text("ProcessId", "ProcessID")
    known = at.programs.guid_of.get((at.host, pid), "")
    return EventClass.NETWORK, {
        "activity": "Open",
        "connection.direction": "Inbound" if at.text("Direction") in ("%%14592", "Inbound") else "Outbound",
        **at.endpoints("SourceAddress", "SourcePort", "DestAddress", "DestPort"),
        **_present(
            {
                "connection.protocol": _PROTOCOLS.get(at.text("Protocol"), at.text("Protocol")),
                "actor.process.name": basename(application),
                "actor.process.path": at.programs.by_guid[known].path if known else application,
                "actor.process.pid": number(pid),
                "actor.process.uid": known,
            }
        ),
    }


# PowerShell


def _script(content: Callable[[Reading], str]) -> Reader:
    def read(at: Reading) -> Happened | None:
        found = content(at)
        if not found:
            return None
        context = at.text("ContextInfo") or at.text("Message")
        application = _APPLICATION.search(context)
        command = application.group(1).strip() if application else ""
        pid = at.text("ExecutionProcessID")
        guid = at.programs.guid_of.get((at.host, pid), "")
        known = at.programs.by_guid.get(guid, Program())
        line = _USER_LINE.search(context)
        named = f"{at.text('Domain')}\\{at.text('AccountName')}" if at.text("AccountName") else ""
        name, domain = account((line.group(1) if line else "") or named or known.user)
        path = known.path or command.partition(".exe")[0].strip('"') + ".exe" if command else known.path
        return EventClass.SCRIPT, {
            "activity": "Execute",
            "script.content": found,
            **_present(
                {
                    "script.path": at.text("Path"),
                    "script.name": basename(at.text("Path")),
                    "actor.process.name": basename(path),
                    "actor.process.path": path,
                    "actor.process.cmd_line": known.command or command,
                    "actor.process.pid": number(pid) or None,
                    "actor.process.uid": guid,
                    "actor.user.name": name,
                    "actor.user.domain": domain,
                }
            ),
        }

    return read


def _pipeline(at: Reading) -> str:
    found = _COMMAND_LINE.search(at.text("Message"))
    return found.group(1) if found else ""


def _engine(at: Reading) -> str:
    found = _APPLICATION.search(at.text("Message"))
    return found.group(1).strip() if found else ""


_READERS: dict[tuple[str, int], Reader] = {
    ("sysmon", 1): _launched,
    ("sysmon", 2): _file("Update"),
    ("sysmon", 3): _connected,
    ("sysmon", 5): _ended,
    ("sysmon", 6): _loaded,
    ("sysmon", 7): _loaded,
    ("sysmon", 8): _accessed("Inject"),
    ("sysmon", 10): _accessed("Open"),
    ("sysmon", 11): _file("Create"),
    ("sysmon", 12): _key,
    ("sysmon", 13): _value,
    ("sysmon", 14): _renamed_key,
    ("sysmon", 15): _file("Create"),
    ("sysmon", 22): _resolved,
    ("sysmon", 23): _file("Delete"),
    ("sysmon", 26): _file("Delete"),
    ("sysmon", 29): _file("Create"),
    ("security", 4624): _logon("Success"),
    ("security", 4625): _logon("Failure"),
    ("security", 4634): _logoff,
    ("security", 4647): _logoff,
    ("security", 4648): _explicit,
    ("security", 4672): _privileges,
    ("security", 4688): _audited_launch,
    ("security", 4689): _audited_end,
    ("security", 4697): _service("ServiceName", "ServiceFileName", "ServiceAccount", "ServiceStartType"),
    ("security", 4698): _task("Create"),
    ("security", 4699): _task("Delete"),
    ("security", 4702): _task("Update"),
    ("security", 4768): _ticket("Authentication Ticket"),
    ("security", 4769): _ticket("Service Ticket"),
    ("security", 4771): _ticket("Authentication Ticket"),
    ("security", 4776): _ticket("Credential Validation"),
    ("security", 5140): _share,
    ("security", 5145): _share,
    ("security", 5156): _filtered,
    ("system", 7036): _service_state,
    ("system", 7045): _service("ServiceName", "ImagePath", "AccountName", "StartType"),
    ("powershell", 400): _script(_engine),
    ("powershell", 600): _script(_engine),
    ("powershell", 800): _script(_pipeline),
    ("powershell", 4103): _script(lambda at: at.text("Payload")),
    ("powershell", 4104): _script(lambda at: at.text("ScriptBlockText")),
    **{("security", code): _account_change(name) for code, name in _ACCOUNT_CHANGES.items()},
    **{("security", code): _group_change(name) for code, name in _GROUP_CHANGES.items()},
}
