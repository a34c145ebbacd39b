"""What Defender and Sentinel keep of an observation (tables and types as Microsoft documents them)."""

import html
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ...tools.languages.vocabulary import LOGON_TYPES, EventClass
from .identity import digest, guid, machine_id, sha256_of, sid
from .microsoft_app import TENANT
from .observation import DEFENDER, SENTINEL, Observation, integer
from .tables import tables

_PATHS = {"Create": "FileCreated", "Update": "FileModified", "Delete": "FileDeleted", "Rename": "FileRenamed"}
_KEYS = {"Create": "RegistryKeyCreated", "Set": "RegistryValueSet", "Delete": "RegistryKeyDeleted"}
_JOBS = {"Create": "ScheduledTaskCreated", "Update": "ScheduledTaskUpdated", "Delete": "ScheduledTaskDeleted"}
_LOGON_NUMBERS = {name: number for number, name in LOGON_TYPES.items()}

Rows = Iterator[tuple[str, dict[str, Any]]]


def rows(seen: Observation) -> Rows:
    """Rows of Microsoft's tables for one observation, by the sensors that saw it."""
    if DEFENDER in seen.sensors:
        for table, row in _defender(seen):
            yield table, _stamped(seen, table, row, "Timestamp")
    if SENTINEL in seen.sensors:
        for table, row in _sentinel(seen):
            yield table, _stamped(seen, table, row, "TimeGenerated")


def _stamped(seen: Observation, table: str, row: dict[str, Any], clock: str) -> dict[str, Any]:
    columns = tables()[table]
    found = {name: value for name, value in row.items() if value not in (None, "")}
    found[clock] = seen.time
    if "TimeGenerated" in columns:
        found["TimeGenerated"] = seen.time
    if "Timestamp" in columns:
        found["Timestamp"] = seen.time
    if "Type" in columns:
        found["Type"] = table
    if "TenantId" in columns:
        found["TenantId"] = TENANT
    mark = digest(table, found)
    if "ReportId" in columns and "ReportId" not in found:
        found["ReportId"] = int(mark[:12], 16) if columns["ReportId"] == "BIGINT" else mark[:32]
    if "_ItemId" in columns:
        found["_ItemId"] = guid(mark)
    if "SourceSystem" in columns and table == "SecurityEvent":
        found["SourceSystem"] = "OpsManager"
    return found


def _fqdn(seen: Observation) -> str:
    domain = seen.extra.get("domain", "")
    host = seen.host.lower()
    return f"{host}.{domain}" if domain and "." not in host else host


def _device(seen: Observation) -> dict[str, Any]:
    return {"DeviceId": machine_id(seen.host), "DeviceName": _fqdn(seen)}


def _initiator(seen: Observation) -> dict[str, Any]:
    text = seen.text
    return {
        "InitiatingProcessAccountName": text("actor.user.name").lower(),
        "InitiatingProcessAccountDomain": text("actor.user.domain").lower(),
        "InitiatingProcessAccountSid": sid(text("actor.user.name")) if text("actor.user.name") else "",
        "InitiatingProcessFileName": text("actor.process.name"),
        "InitiatingProcessFolderPath": text("actor.process.path"),
        "InitiatingProcessCommandLine": text("actor.process.cmd_line"),
        "InitiatingProcessId": integer(text("actor.process.pid")),
        "InitiatingProcessSHA256": sha256_of(text("actor.process.path")) if text("actor.process.path") else "",
        "InitiatingProcessParentFileName": text("actor.process.parent.name"),
    }


def _defender(seen: Observation) -> Rows:
    """What Defender records, and in which table."""
    activity = seen.text("activity")
    base = _device(seen) | _initiator(seen)
    match seen.event_class:
        case EventClass.PROCESS if activity == "Launch":
            yield "DeviceProcessEvents", base | _launched(seen)
        case EventClass.PROCESS if activity in ("Open", "Inject"):
            yield "DeviceEvents", base | _opened(seen)
        case EventClass.NETWORK:
            yield "DeviceNetworkEvents", base | _connection(seen)
        case EventClass.DNS:
            yield "DeviceEvents", base | _lookup(seen)
        case EventClass.FILE if activity in _PATHS:
            yield "DeviceFileEvents", base | _written(seen)
        case EventClass.MODULE:
            yield "DeviceImageLoadEvents", base | {"ActionType": "ImageLoaded", **_file(seen, "module")}
        case EventClass.REGISTRY if activity in _KEYS:
            yield "DeviceRegistryEvents", base | _registry(seen)
        case EventClass.SERVICE if activity == "Create":
            yield "DeviceEvents", base | _service(seen)
        case EventClass.JOB if activity in _JOBS:
            yield "DeviceEvents", base | _job(seen)
        case EventClass.SCRIPT:
            command = {"Command": seen.text("script.content")[:20_000]}
            yield "DeviceEvents", base | {"ActionType": "PowerShellCommand", "AdditionalFields": command}
        case EventClass.AUTHENTICATION:
            yield from _logons(seen, base)
        case EventClass.FINDING:
            yield from _alert(seen)
        case EventClass.DEVICE:
            yield "DeviceInfo", _device_info(seen)


def _launched(seen: Observation) -> dict[str, Any]:
    text = seen.text
    return {
        "ActionType": "ProcessCreated",
        **_file(seen, "process"),
        "ProcessCommandLine": text("process.cmd_line"),
        "ProcessId": integer(text("process.pid")),
        "ProcessVersionInfoOriginalFileName": text("process.original_name"),
        "ProcessVersionInfoCompanyName": text("process.signer"),
        "ProcessVersionInfoFileDescription": text("process.description"),
        "ProcessVersionInfoProductName": text("process.product"),
        "ProcessIntegrityLevel": text("process.integrity"),
        "AccountName": text("actor.user.name").lower(),
        "AccountDomain": text("actor.user.domain").lower(),
        "AccountSid": sid(text("actor.user.name")) if text("actor.user.name") else "",
        "LogonId": integer(text("actor.session.uid")),
    }


def _opened(seen: Observation) -> dict[str, Any]:
    mask = seen.text("process.access_mask")
    return {
        "ActionType": "OpenProcessApiCall" if seen.text("activity") == "Open" else "CreateRemoteThreadApiCall",
        **_file(seen, "process"),
        "ProcessId": integer(seen.text("process.pid")),
        "AdditionalFields": {"DesiredAccess": mask} if mask else None,
    }


def _lookup(seen: Observation) -> dict[str, Any]:
    answer = {"DnsQueryString": seen.text("query.hostname"), "DnsQueryResult": seen.attributes.get("answers")}
    return {"ActionType": "DnsQueryResponse", "AdditionalFields": answer}


def _written(seen: Observation) -> dict[str, Any]:
    return {
        "ActionType": _PATHS[seen.text("activity")],
        **_file(seen, "file"),
        "FileSize": integer(seen.text("file.size")),
        "FileOriginUrl": seen.text("file.origin_url"),
        "PreviousFolderPath": seen.text("file.previous_path"),
    }


def _registry(seen: Observation) -> dict[str, Any]:
    return {
        "ActionType": _KEYS[seen.text("activity")],
        "RegistryKey": seen.text("reg.path"),
        "RegistryValueName": seen.text("reg.value_name"),
        "RegistryValueData": seen.text("reg.value_data"),
    }


def _service(seen: Observation) -> dict[str, Any]:
    return {
        "ActionType": "ServiceInstalled",
        "FolderPath": seen.text("service.cmd_line"),
        "AdditionalFields": {
            "ServiceName": seen.text("service.name"),
            "ServiceAccount": seen.text("service.account"),
            "ServiceStartType": seen.text("service.start_type"),
        },
    }


def _job(seen: Observation) -> dict[str, Any]:
    task = {"TaskName": seen.text("job.name"), "TaskContent": seen.text("job.cmd_line")}
    return {"ActionType": _JOBS[seen.text("activity")], "AdditionalFields": task}


def _file(seen: Observation, role: str) -> dict[str, Any]:
    path = seen.text(f"{role}.path")
    name = seen.text(f"{role}.name") or path.replace("/", "\\").rpartition("\\")[2]
    return {
        "FileName": name,
        "FolderPath": path,
        "SHA256": seen.text(f"{role}.hash.sha256") or (sha256_of(path) if path else ""),
        "SHA1": seen.text(f"{role}.hash.sha1"),
        "MD5": seen.text(f"{role}.hash.md5"),
    }


def _connection(seen: Observation) -> dict[str, Any]:
    text = seen.text
    inbound = text("connection.direction") == "Inbound"
    near, far = ("dst_endpoint", "src_endpoint") if inbound else ("src_endpoint", "dst_endpoint")
    refused = text("activity") == "Refuse"
    return {
        "ActionType": "InboundConnectionAccepted"
        if inbound
        else "ConnectionFailed"
        if refused
        else "ConnectionSuccess",
        "LocalIP": text(f"{near}.ip"),
        "LocalPort": integer(text(f"{near}.port")),
        "RemoteIP": text(f"{far}.ip"),
        "RemotePort": integer(text(f"{far}.port")),
        "RemoteUrl": text(f"{far}.hostname"),
        "Protocol": (text("connection.protocol") or "tcp").capitalize(),
    }


def _logons(seen: Observation, base: dict[str, Any]) -> Rows:
    text, activity = seen.text, seen.text("activity")
    action = "LogonFailed" if text("status") == "Failure" else "LogonSuccess"
    account = {
        "ActionType": action,
        "AccountName": text("user.name").lower(),
        "AccountDomain": text("user.domain").lower(),
        "AccountSid": sid(text("user.name")) if text("user.name") else "",
        "FailureReason": text("status_detail") if action == "LogonFailed" else "",
    }
    if activity == "Logon":
        yield (
            "DeviceLogonEvents",
            base
            | account
            | {
                "LogonType": text("logon_type"),
                "Protocol": text("auth_protocol"),
                "RemoteIP": text("src_endpoint.ip"),
                "RemoteDeviceName": text("src_endpoint.hostname"),
                "RemotePort": integer(text("src_endpoint.port")),
                "LogonId": integer(text("session.uid")),
            },
        )
    elif activity in ("Credential Validation", "Authentication Ticket", "Service Ticket"):
        failed = action == "LogonFailed"
        kinds = {"Credential Validation": "Credentials validation", "Service Ticket": "Resource access"}
        service = text("service.name")
        # Defender for Identity reads the domain controllers: it is they who processed the action.
        yield (
            "IdentityLogonEvents",
            account
            | {
                "Application": "Active Directory",
                "LogonType": kinds.get(activity, "Failed logon" if failed else "Interactive"),
                "Protocol": "Ntlm" if activity == "Credential Validation" else "Kerberos",
                "DeviceName": text("src_endpoint.hostname"),
                "IPAddress": text("src_endpoint.ip"),
                "DestinationDeviceName": seen.host,
                "DestinationIPAddress": text("device.ip"),
                "TargetDeviceName": service.removesuffix("$") if service.endswith("$") else "",
            },
        )


def _alert(seen: Observation) -> Rows:
    text = seen.text
    uid = text("finding.uid") or "da" + digest("alert", seen.host, seen.time.isoformat(), text("finding.title"))[:18]
    techniques = json.dumps([text("attacks.technique")] if text("attacks.technique") else [])
    shared = {
        "AlertId": uid,
        "Title": text("finding.title"),
        "Severity": text("severity"),
        "ServiceSource": "Microsoft Defender for Endpoint",
        "DetectionSource": "EDR",
        "AttackTechniques": techniques,
    }
    yield "AlertInfo", shared | {"Category": text("attacks.tactic").replace(" ", "")}
    yield (
        "AlertEvidence",
        shared
        | {
            "Categories": json.dumps([text("attacks.tactic").replace(" ", "")]),
            "EntityType": "Process" if text("process.cmd_line") else "Machine",
            "EvidenceRole": "Impacted",
            "DeviceId": machine_id(seen.host),
            "DeviceName": _fqdn(seen),
            "LocalIP": text("device.ip"),
            "AccountName": text("user.name") or text("actor.user.name"),
            "ProcessCommandLine": text("process.cmd_line"),
            "FileName": text("process.name"),
            "FolderPath": text("process.path"),
        },
    )


def _device_info(seen: Observation) -> dict[str, Any]:
    text = seen.text
    user = text("device.last_user")
    tags = list(seen.attributes.get("device.tags", ()))
    return {
        "DeviceId": machine_id(seen.host),
        "DeviceName": _fqdn(seen),
        "ClientVersion": "10.8760.22631.3447",
        "PublicIP": text("device.external_ip"),
        "OSPlatform": seen.extra.get("os_version", "Windows11").replace(" ", ""),
        "DeviceType": seen.extra.get("product_type", "Workstation"),
        "DeviceCategory": "Endpoint",
        "OnboardingStatus": "Onboarded",
        "SensorHealthState": "Active",
        "LoggedOnUsers": [{"UserName": user}] if user else [],
        "MachineGroup": seen.extra.get("group", "Default"),
        "AssetValue": (text("device.criticality") or "normal").capitalize(),
        "DeviceManualTags": json.dumps(tags),
        "DeviceDynamicTags": "[]",
    }


def _sentinel(seen: Observation) -> Rows:
    if "table" in seen.extra:
        yield seen.extra["table"], dict(seen.extra["row"])
        return
    if seen.event_class is EventClass.FINDING:
        yield "SecurityAlert", _security_alert(seen)
        return
    windows = seen.extra.get("windows") or _windows_event(seen)
    if windows:
        yield "SecurityEvent", _security_event(seen, windows)


def _security_alert(seen: Observation) -> dict[str, Any]:
    text = seen.text
    return {
        "SystemAlertId": text("finding.uid") or guid("alert", seen.host, seen.time.isoformat(), text("finding.title")),
        "DisplayName": text("finding.title"),
        "AlertName": text("finding.title"),
        "AlertSeverity": text("severity"),
        "Description": text("finding.description"),
        "Status": text("finding.status") or "New",
        "ProductName": seen.extra.get("product", "Azure Sentinel"),
        "VendorName": "Microsoft",
        "ProviderName": "ASI Scheduled Alerts",
        "CompromisedEntity": text("user.name") or seen.host,
        "Tactics": text("attacks.tactic").replace(" ", ""),
        "Techniques": json.dumps([text("attacks.technique")] if text("attacks.technique") else []),
        "Entities": json.dumps(seen.extra.get("entities", [])),
        "StartTime": seen.time,
        "EndTime": seen.time,
    }


def _security_event(seen: Observation, windows: Mapping[str, Any]) -> dict[str, Any]:
    columns = tables()["SecurityEvent"]
    row: dict[str, Any] = {"Computer": _fqdn(seen) or windows.get("Computer")}
    for name, value in windows.items():
        if name in columns and value not in (None, "-"):
            row[name] = integer(str(value)) if columns[name] in ("INTEGER", "BIGINT") else str(value)
    data = "".join(
        f'<Data Name="{name}">{html.escape(str(value))}</Data>'
        for name, value in windows.items()
        if name not in ("EventID", "Channel", "Computer") and value not in (None, "", "-")
    )
    row["EventData"] = f'<EventData xmlns="http://schemas.microsoft.com/win/2004/08/events/event">{data}</EventData>'
    row.pop("Type", None)
    return row


def _windows_event(seen: Observation) -> dict[str, Any]:
    """The Security event that Windows writes for an observation; empty where auditing records none."""
    text, activity = seen.text, seen.text("activity")
    address = {"IpAddress": text("src_endpoint.ip"), "IpPort": text("src_endpoint.port")}
    # The key distribution centre writes IPv4 addresses mapped into IPv6.
    mapped = {"IpAddress": f"::ffff:{text('src_endpoint.ip')}", "IpPort": text("src_endpoint.port")}
    target = {"TargetUserName": text("user.name"), "TargetDomainName": text("user.domain"), "Channel": "Security"}
    match seen.event_class, activity:
        case EventClass.AUTHENTICATION, "Logon":
            failed = text("status") == "Failure"
            return (
                target
                | address
                | {
                    "EventID": 4625 if failed else 4624,
                    "LogonType": _LOGON_NUMBERS.get(text("logon_type"), 3),
                    "AuthenticationPackageName": text("auth_protocol"),
                    "WorkstationName": text("src_endpoint.hostname"),
                    "TargetLogonId": text("session.uid"),
                    "SubStatus": text("status_detail") if failed else "",
                }
            )
        case EventClass.AUTHENTICATION, "Service Ticket":
            return (
                target
                | mapped
                | {
                    "EventID": 4769,
                    "ServiceName": text("service.name"),
                    "TicketEncryptionType": text("ticket.encryption") or "0x12",
                    "Status": "0x0",
                }
            )
        case EventClass.AUTHENTICATION, "Authentication Ticket":
            return (
                target | mapped | {"EventID": 4768, "ServiceName": "krbtgt", "Status": text("status_detail") or "0x0"}
            )
        case EventClass.AUTHENTICATION, "Credential Validation":
            return target | {
                "EventID": 4776,
                "Workstation": text("src_endpoint.hostname"),
                "Status": text("status_detail") or "0x0",
                "PackageName": "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0",
            }
        case _:
            return {}
