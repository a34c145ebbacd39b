r"""What a Splunk forwarder sends of a Windows host: the Sysmon, Security, System and PowerShell logs.

Fields are named as the add-ons for Windows and for Sysmon name them with XML rendering. A recorded event keeps its own
fields; one that was made up is written as the log writes it.
"""

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any
from zlib import crc32

from ...tools.languages.spl.schema import logs
from ...tools.languages.vocabulary import LOGON_TYPES, EventClass
from .identity import guid, sha256_of, sid
from .observation import Observation
from .tables import tables
from .windows_reading import hashes

TABLE = "splunk_events"
INDEX = "wineventlog"
_SYSMON, _SECURITY, _SYSTEM = "Microsoft-Windows-Sysmon/Operational", "Security", "System"
_POWERSHELL = "Microsoft-Windows-PowerShell/Operational"
_LOGON_NUMBERS = {name: str(number) for number, name in LOGON_TYPES.items()}
_SERVICE_STARTS = {
    "Boot": "boot start", "System": "system start", "Automatic": "auto start", "Manual": "demand start",
    "Disabled": "disabled",
}  # fmt: skip
_JOBS = {"Create": "4698", "Delete": "4699", "Update": "4702"}
_ACCOUNTS = {
    "User created": "4720", "User enabled": "4722", "Password change attempted": "4723",
    "Password reset attempted": "4724", "User disabled": "4725", "User deleted": "4726", "User changed": "4738",
    "User locked out": "4740", "User unlocked": "4767", "Member added to global group": "4728",
    "Member removed from global group": "4729", "Member added to local group": "4732",
    "Member removed from local group": "4733", "Member added to universal group": "4756",
    "Member removed from universal group": "4757",
}  # fmt: skip
_NOT_SHOWN = frozenset({"Hostname", "host", "port", "tags", "@version", "@timestamp", "EventReceivedTime", "EventTime"})
"""What shippers other than Splunk's add to a record."""

Rows = Iterator[tuple[str, dict[str, Any]]]
Written = tuple[str, str, Mapping[str, Any]]
"""Channel, number and fields of an event."""


def rows(seen: Observation) -> Rows:
    """The row of one observation; none where a Windows host logs no such thing."""
    if seen.text("device.os") != "windows" or not seen.host:
        return
    record = seen.extra.get("record")
    written = _recorded(record) if record else _logged(seen)
    if written is not None:
        channel, code, fields = written
        yield TABLE, _event(seen, channel, code, fields)


def _event(seen: Observation, channel: str, code: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    domain, host = seen.extra.get("domain", ""), seen.host
    row: dict[str, Any] = {}
    for name, value in fields.items():
        if value not in (None, "") and (column := _column(name)) is not None:
            row[column] = value if isinstance(value, str) else str(value)
    if "Hashes" in row:
        found = hashes(row["Hashes"]).items()
        row |= {column: digits.upper() for name, digits in found if (column := _column(name.upper())) is not None}
    row.setdefault("EventRecordID", str(crc32("\x1f".join(row.values()).encode("utf-8", "backslashreplace"))))
    return row | {
        "_time": seen.time,
        "index": INDEX,
        "source": f"XmlWinEventLog:{channel}",
        "sourcetype": "XmlWinEventLog",
        "host": host,
        "Computer": f"{host.lower()}.{domain}" if domain and "." not in host else host,
        "Channel": channel,
        "EventCode": code,
        "EventID": code,
    }


@lru_cache(maxsize=4096)
def _column(name: str) -> str | None:
    """The column of a field; two that two logs write in different cases share one."""
    return _columns().get(name.lower())


@cache
def _columns() -> Mapping[str, str]:
    return {name.lower(): name for name in tables()[TABLE]}


def _recorded(fields: Mapping[str, Any]) -> Written | None:
    channel = str(fields.get("Channel") or "").strip()
    code = str(fields.get("EventID") or "").strip()
    if not channel or not code:
        return None
    held = {name: value for name, value in fields.items() if name not in _NOT_SHOWN and value != "-"}
    return _channel(channel), code, held | {"EventRecordID": fields.get("RecordNumber") or fields.get("EventRecordID")}


def _channel(name: str) -> str:
    """The log's own spelling, whatever case the recording has it in."""
    known = {channel.lower(): channel for log in logs().values() for channel in log.channels}
    return known.get(name.lower(), name)


def _logged(seen: Observation) -> Written | None:
    """The event that the host's logs hold of something that was made up."""
    windows = seen.extra.get("windows")
    if windows and windows.get("EventID"):
        return str(windows.get("Channel") or _SECURITY), str(windows["EventID"]), windows
    match seen.event_class:
        case EventClass.PROCESS:
            return _process(seen)
        case EventClass.NETWORK:
            return _network(seen)
        case EventClass.DNS:
            return _dns(seen)
        case EventClass.FILE:
            return _file(seen)
        case EventClass.MODULE:
            return _module(seen)
        case EventClass.REGISTRY:
            return _registry(seen)
        case EventClass.SERVICE:
            return _service(seen)
        case EventClass.JOB:
            return _job(seen)
        case EventClass.SCRIPT:
            return _script(seen)
        case EventClass.AUTHENTICATION:
            return _authentication(seen)
        case EventClass.SMB:
            return _share(seen)
        case EventClass.ACCOUNT:
            return _account(seen)
        case _:
            return None


def _user(seen: Observation, role: str = "actor.user") -> str:
    name, domain = seen.text(f"{role}.name"), seen.text(f"{role}.domain")
    return f"{domain}\\{name}" if name and domain else name


def _guid(seen: Observation, role: str) -> str:
    uid = seen.text(f"{role}.uid") or seen.text(f"{role}.pid")
    return _process_guid(seen.host, uid) if uid else ""


@lru_cache(maxsize=65536)
def _process_guid(host: str, uid: str) -> str:
    return "{" + guid("sysmon", host, uid).upper() + "}"


def _hashes(seen: Observation, role: str) -> str:
    path = seen.text(f"{role}.path")
    known = {kind: seen.text(f"{role}.hash.{kind}") for kind in ("sha1", "md5", "sha256")}
    known["sha256"] = known["sha256"] or (sha256_of(path) if path else "")
    return ",".join(f"{kind.upper()}={digits.upper()}" for kind, digits in known.items() if digits)


def _acting(seen: Observation) -> dict[str, Any]:
    """The process that acts, as most Sysmon events name it."""
    return {
        "Image": seen.text("actor.process.path") or seen.text("actor.process.name"),
        "ProcessId": seen.text("actor.process.pid"),
        "ProcessGuid": _guid(seen, "actor.process"),
        "User": _user(seen),
        "UtcTime": f"{seen.time:%Y-%m-%d %H:%M:%S}.{seen.time.microsecond // 1000:03d}",
    }


def _process(seen: Observation) -> Written | None:
    text, acting = seen.text, _acting(seen)
    target = {
        "Image": text("process.path") or text("process.name"),
        "ProcessId": text("process.pid"),
        "ProcessGuid": _guid(seen, "process"),
    }
    match text("activity"):
        case "Launch":
            return _SYSMON, "1", acting | target | {
                "CommandLine": text("process.cmd_line"),
                "OriginalFileName": text("process.original_name"),
                "Description": text("process.description"),
                "Product": text("process.product"),
                "Company": text("process.signer"),
                "IntegrityLevel": text("process.integrity"),
                "LogonId": text("actor.session.uid"),
                "Hashes": _hashes(seen, "process"),
                "ParentImage": acting["Image"],
                "ParentProcessId": acting["ProcessId"],
                "ParentProcessGuid": acting["ProcessGuid"],
                "ParentCommandLine": text("actor.process.cmd_line"),
            }  # fmt: skip
        case "Terminate":
            return _SYSMON, "5", acting | target
        case "Open" | "Inject" as activity:
            return _SYSMON, "10" if activity == "Open" else "8", {
                "UtcTime": acting["UtcTime"],
                "SourceImage": acting["Image"],
                "SourceProcessId": acting["ProcessId"],
                "SourceProcessGUID": acting["ProcessGuid"],
                "SourceUser": acting["User"],
                "TargetImage": target["Image"],
                "TargetProcessId": target["ProcessId"],
                "TargetProcessGUID": target["ProcessGuid"],
                "GrantedAccess": text("process.access_mask"),
            }  # fmt: skip
    return None


def _network(seen: Observation) -> Written | None:
    text = seen.text
    if text("activity") != "Open":
        return None
    inbound = text("connection.direction") == "Inbound"
    return _SYSMON, "3", _acting(seen) | {
        "Initiated": "false" if inbound else "true",
        "Protocol": text("connection.protocol") or "tcp",
        "SourceIp": text("src_endpoint.ip"),
        "SourcePort": text("src_endpoint.port"),
        "SourceHostname": text("src_endpoint.hostname"),
        "DestinationIp": text("dst_endpoint.ip"),
        "DestinationPort": text("dst_endpoint.port"),
        "DestinationHostname": text("dst_endpoint.hostname"),
    }  # fmt: skip


def _dns(seen: Observation) -> Written | None:
    answers = seen.attributes.get("answers") or ()
    listed = answers.split(";") if isinstance(answers, str) else list(answers)
    return _SYSMON, "22", _acting(seen) | {
        "QueryName": seen.text("query.hostname"),
        "QueryStatus": seen.text("rcode") or "0",
        "QueryResults": "".join(f"{address};" for address in map(str.strip, map(str, listed)) if address),
    }  # fmt: skip


def _file(seen: Observation) -> Written | None:
    codes = {"Create": "11", "Delete": "23"}
    code = codes.get(seen.text("activity"))
    if code is None:
        return None
    hashed = {"Hashes": _hashes(seen, "file")} if code == "23" else {}
    return _SYSMON, code, _acting(seen) | {"TargetFilename": seen.text("file.path")} | hashed


def _module(seen: Observation) -> Written:
    return _SYSMON, "7", _acting(seen) | {
        "ImageLoaded": seen.text("module.path"),
        "Hashes": _hashes(seen, "module"),
        "Signed": seen.text("module.signed") or "false",
        "Signature": seen.text("module.signer"),
    }  # fmt: skip


def _registry(seen: Observation) -> Written | None:
    path, value, acting = seen.text("reg.path"), seen.text("reg.value_name"), _acting(seen)
    match seen.text("activity"):
        case "Set":
            whole = f"{path}\\{value}" if value and not path.endswith(f"\\{value}") else path
            return _SYSMON, "13", acting | {
                "EventType": "SetValue", "TargetObject": whole, "Details": seen.text("reg.value_data"),
            }  # fmt: skip
        case "Create":
            return _SYSMON, "12", acting | {"EventType": "CreateKey", "TargetObject": path}
        case "Delete":
            return _SYSMON, "12", acting | {"EventType": "DeleteKey", "TargetObject": path}
        case "Rename":
            return _SYSMON, "14", acting | {"EventType": "RenameKey", "NewName": path}
    return None


def _service(seen: Observation) -> Written | None:
    text = seen.text
    match text("activity"):
        case "Create":
            start = text("service.start_type")
            return _SYSTEM, "7045", {
                "ServiceName": text("service.name"),
                "ImagePath": text("service.cmd_line"),
                "ServiceType": "user mode service",
                "StartType": _SERVICE_STARTS.get(start, start),
                "AccountName": text("service.account"),
            }  # fmt: skip
        case "Start" | "Stop" as activity:
            state = "running" if activity == "Start" else "stopped"
            return _SYSTEM, "7036", {"param1": text("service.name"), "param2": state}
    return None


def _subject(seen: Observation) -> dict[str, Any]:
    name = seen.text("actor.user.name")
    return {
        "SubjectUserName": name,
        "SubjectDomainName": seen.text("actor.user.domain"),
        "SubjectUserSid": seen.text("actor.user.uid") or (sid(name) if name else ""),
        "SubjectLogonId": seen.text("actor.session.uid"),
    }


def _target(seen: Observation) -> dict[str, Any]:
    name = seen.text("user.name")
    return {
        "TargetUserName": name,
        "TargetDomainName": seen.text("user.domain"),
        "TargetUserSid": seen.text("user.uid") or (sid(name) if name else ""),
    }


def _job(seen: Observation) -> Written | None:
    code = _JOBS.get(seen.text("activity"))
    if code is None:
        return None
    content = "TaskContentNew" if code == "4702" else "TaskContent"
    return _SECURITY, code, _subject(seen) | {"TaskName": seen.text("job.name"), content: seen.text("job.cmd_line")}


def _script(seen: Observation) -> Written:
    return _POWERSHELL, "4104", {
        "ScriptBlockText": seen.text("script.content")[:20_000],
        "Path": seen.text("script.path"),
        "MessageNumber": "1",
        "MessageTotal": "1",
        "ScriptBlockId": guid("script", seen.host, seen.time.isoformat()),
    }  # fmt: skip


def _authentication(seen: Observation) -> Written | None:
    text, failed = seen.text, seen.text("status") == "Failure"
    address = {"IpAddress": text("src_endpoint.ip"), "IpPort": text("src_endpoint.port")}
    # The key distribution centre writes IPv4 addresses mapped into IPv6.
    mapped = address | {"IpAddress": f"::ffff:{text('src_endpoint.ip')}" if text("src_endpoint.ip") else ""}
    status = {"Status": text("status_detail") or ("0x18" if failed else "0x0")}
    kind = {"LogonType": _LOGON_NUMBERS.get(text("logon_type"), "3")}
    ticket = {"TargetUserName": text("user.name"), "TargetDomainName": text("user.domain")}
    match text("activity"):
        case "Logon":
            caller = {"ProcessName": text("actor.process.path"), "WorkstationName": text("src_endpoint.hostname")}
            return _SECURITY, "4625" if failed else "4624", _subject(seen) | _target(seen) | address | kind | caller | {
                "AuthenticationPackageName": text("auth_protocol"),
                "TargetLogonId": text("session.uid"),
                "SubStatus": text("status_detail") if failed else "",
            }  # fmt: skip
        case "Logoff":
            return _SECURITY, "4634", _target(seen) | kind | {"TargetLogonId": text("session.uid")}
        case "Explicit Credentials":
            server = {"TargetServerName": text("service.name"), "ProcessName": text("actor.process.path")}
            return _SECURITY, "4648", _subject(seen) | ticket | address | server
        case "Special Privileges":
            acting = {f"Subject{name.removeprefix('Target')}": value for name, value in _target(seen).items()}
            return _SECURITY, "4672", acting | {"SubjectLogonId": text("session.uid")}
        case "Authentication Ticket":
            return _SECURITY, "4771" if failed else "4768", ticket | mapped | status | {"ServiceName": "krbtgt"}
        case "Service Ticket":
            asked = {"ServiceName": text("service.name"), "TicketEncryptionType": text("ticket.encryption") or "0x12"}
            return _SECURITY, "4769", ticket | mapped | status | asked
        case "Credential Validation":
            package = {
                "PackageName": "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0",
                "Workstation": text("src_endpoint.hostname"),
            }
            return _SECURITY, "4776", {"TargetUserName": text("user.name")} | status | package
    return None


def _share(seen: Observation) -> Written:
    text = seen.text
    return _SECURITY, "5145" if text("share.path") else "5140", _subject(seen) | {
        "IpAddress": text("src_endpoint.ip"),
        "IpPort": text("src_endpoint.port"),
        "ShareName": text("share.name"),
        "RelativeTargetName": text("share.path"),
        "AccessMask": text("access_mask"),
        "ObjectType": "File",
    }  # fmt: skip


def _account(seen: Observation) -> Written | None:
    code = _ACCOUNTS.get(seen.text("activity"))
    if code is None:
        return None
    name = seen.text("user.name")
    if seen.text("group.name"):
        group = {"TargetUserName": seen.text("group.name"), "MemberName": name, "MemberSid": sid(name) if name else ""}
        return _SECURITY, code, _subject(seen) | group
    target = {
        "TargetUserName": name,
        "TargetDomainName": seen.text("user.domain"),
        "TargetSid": sid(name) if name else "",
    }
    return _SECURITY, code, _subject(seen) | target | {"UserAccountControl": seen.text("change.detail")}
