"""What the Security and System logs record, event by event."""

import re

from ...tools.languages.vocabulary import LOGON_TYPES, EventClass
from .windows_reading import Happened, Reader, Reading, basename, number, present

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
        **present(
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
        **present(
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
            **present(
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
        **present({"logon_type": LOGON_TYPES.get(kind or 0, ""), "session.uid": at.text("TargetLogonId")}),
    }


def _explicit(at: Reading) -> Happened:
    return EventClass.AUTHENTICATION, {
        "activity": "Explicit Credentials",
        "status": "Success",
        **at.user("user", "TargetUserName", "TargetDomainName"),
        **at.user("actor.user", "SubjectUserName", "SubjectDomainName", "SubjectUserSid"),
        **at.caller(),
        **present(
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
        **present({"session.uid": at.text("SubjectLogonId")}),
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
            **present({"service.name": at.text("ServiceName"), "ticket.encryption": at.text("TicketEncryptionType")}),
        }

    return read


def _service(name: str, path: str, user: str, start: str) -> Reader:
    def read(at: Reading) -> Happened:
        kind = at.text(start)
        return EventClass.SERVICE, {
            "activity": "Create",
            **at.user("actor.user", "SubjectUserName", "SubjectDomainName", "SubjectUserSid"),
            **present(
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
            **present({"job.name": at.text("TaskName"), "job.cmd_line": line}),
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
            **present({"group.name": at.text("TargetUserName")}),
        }

    return read


def _share(at: Reading) -> Happened:
    return EventClass.SMB, {
        "activity": "Open",
        **at.user("actor.user", "SubjectUserName", "SubjectDomainName", "SubjectUserSid"),
        **at.caller(),
        **present(
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
        **present(
            {
                "connection.protocol": _PROTOCOLS.get(at.text("Protocol"), at.text("Protocol")),
                "actor.process.name": basename(application),
                "actor.process.path": at.programs.by_guid[known].path if known else application,
                "actor.process.pid": number(pid),
                "actor.process.uid": known,
            }
        ),
    }


AUDITED: dict[tuple[str, int], Reader] = {
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
    **{("security", code): _account_change(name) for code, name in _ACCOUNT_CHANGES.items()},
    **{("security", code): _group_change(name) for code, name in _GROUP_CHANGES.items()},
    ("system", 7036): _service_state,
    ("system", 7045): _service("ServiceName", "ImagePath", "AccountName", "StartType"),
}
