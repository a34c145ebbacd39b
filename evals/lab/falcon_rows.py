"""What Falcon's sensor and its APIs keep of an observation (VENDOR_APIS 1.4, 1.5, 1.8, 1.12)."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from ...tools.languages.vocabulary import LOGON_TYPES, EventClass
from .identity import CID, aid, digest, epoch_ms, process_number, sha256_of, sid
from .observation import Observation

_LOGON_NUMBERS = {name: str(number) for number, name in LOGON_TYPES.items()}
_INTEGRITY = {"Untrusted": "0", "Low": "4096", "Medium": "8192", "High": "12288", "System": "16384"}
_PROTOCOLS = {"icmp": "1", "tcp": "6", "udp": "17"}
_QUERY_TYPES = {"A": "1", "NS": "2", "CNAME": "5", "PTR": "12", "MX": "15", "TXT": "16", "AAAA": "28", "SRV": "33"}
_START_TYPES = {"Boot": "0", "System": "1", "Automatic": "2", "Manual": "3", "Disabled": "4"}
_WRITTEN = {
    ".exe": "PeFileWritten", ".dll": "PeFileWritten", ".sys": "PeFileWritten", ".ps1": "NewScriptWritten",
    ".bat": "NewScriptWritten", ".vbs": "NewScriptWritten", ".js": "NewScriptWritten", ".docx": "OoxmlFileWritten",
    ".docm": "OoxmlFileWritten", ".xlsx": "OoxmlFileWritten", ".xlsm": "OoxmlFileWritten", ".7z": "SevenZipFileWritten",
    ".zip": "ZipFileWritten", ".rar": "RarFileWritten", ".dmp": "DmpFileWritten", ".pdf": "PdfFileWritten",
}  # fmt: skip
_SERVICE_EVENTS = {"Create": "CreateService", "Start": "ServiceStarted", "Update": "ModifyServiceBinary"}
_JOB_EVENTS = {
    "Create": "ScheduledTaskRegistered", "Update": "ScheduledTaskModified", "Delete": "ScheduledTaskDeleted"
}  # fmt: skip
_SEVERITIES = {"Critical": 90, "High": 70, "Medium": 50, "Low": 30, "Informational": 10}

Rows = Iterator[tuple[str, dict[str, Any]]]


def rows(seen: Observation) -> Rows:
    """Rows of Falcon's tables for one observation; none where the sensor records no such thing."""
    match seen.event_class:
        case EventClass.FINDING:
            yield from _alert(seen)
        case EventClass.DEVICE:
            yield from _device(seen)
        case EventClass.VULNERABILITY:
            yield from _vulnerability(seen)
        case _:
            for name, fields in _events(seen):
                yield "falcon_events", _event(seen, name, fields)


def _event(seen: Observation, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    host = seen.host
    row: dict[str, Any] = {
        "@timestamp": epoch_ms(seen.time),
        "#event_simpleName": name,
        "aid": aid(host),
        "cid": CID,
        "event_platform": {"linux": "Lin", "macos": "Mac"}.get(seen.text("device.os"), "Win"),
        "ComputerName": host,
        "LocalIP": seen.text("device.ip") or None,
        "UserName": seen.text("actor.user.name") or None,
    }
    row |= {key: str(value) for key, value in fields.items() if value not in (None, "")}
    row["@id"] = digest("event", row)[:32]
    return row


def _process(seen: Observation, role: str) -> str:
    uid = seen.text(f"{role}.uid") or (f"{seen.text(f'{role}.pid')}" if seen.text(f"{role}.pid") else "")
    return process_number(seen.host, uid)


def _context(seen: Observation) -> dict[str, Any]:
    return {"ContextBaseFileName": seen.text("actor.process.name"), "ContextProcessId": _process(seen, "actor.process")}


def _events(seen: Observation) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the sensor records, and under which name."""
    activity = seen.text("activity")
    match seen.event_class:
        case EventClass.PROCESS if activity in ("Launch", "Terminate"):
            yield "ProcessRollup2" if activity == "Launch" else "EndOfProcess", _launched(seen)
        case EventClass.NETWORK if activity == "Open":
            inbound = _is_inbound(seen)
            yield "NetworkReceiveAcceptIP4" if inbound else "NetworkConnectIP4", _context(seen) | _connection(seen)
        case EventClass.DNS:
            yield "DnsRequest", _context(seen) | _lookup(seen)
        case EventClass.FILE if activity in ("Create", "Update", "Rename", "Delete"):
            yield _file_event(seen), _context(seen) | _file(seen)
        case EventClass.MODULE:
            yield "ClassifiedModuleLoad", _module(seen)
        case EventClass.REGISTRY if activity == "Set":
            at_start = "\\run" in seen.text("reg.path").lower()
            yield "AsepValueUpdate" if at_start else "RegGenericValueUpdate", _context(seen) | _registry(seen)
        case EventClass.SERVICE if activity in _SERVICE_EVENTS:
            yield _SERVICE_EVENTS[activity], _context(seen) | _service(seen)
        case EventClass.JOB if activity in _JOB_EVENTS:
            yield _JOB_EVENTS[activity], _context(seen) | _job(seen)
        case EventClass.SCRIPT:
            yield "ScriptControlScanInfo", _context(seen) | _script(seen)
        case EventClass.AUTHENTICATION if activity in ("Logon", "Logoff"):
            logon = "UserLogonFailed2" if seen.text("status") == "Failure" else "UserLogon"
            yield logon if activity == "Logon" else "UserLogoff", _session(seen)


def _launched(seen: Observation) -> dict[str, Any]:
    text = seen.text
    return {
        "FileName": text("process.name"),
        "ImageFileName": text("process.path"),
        "CommandLine": text("process.cmd_line"),
        "RawProcessId": text("process.pid"),
        "TargetProcessId": _process(seen, "process"),
        "ParentBaseFileName": text("actor.process.name"),
        "ParentProcessId": _process(seen, "actor.process"),
        "GrandParentBaseFileName": text("actor.process.parent.name"),
        "OriginalFilename": text("process.original_name"),
        "SHA256HashData": text("process.hash.sha256") or sha256_of(text("process.path")),
        "IntegrityLevel": _INTEGRITY.get(text("process.integrity"), ""),
        "UserSid": sid(text("actor.user.name")) if text("actor.user.name") else "",
        "AuthenticationId": text("actor.session.uid"),
    }


def _is_inbound(seen: Observation) -> bool:
    return seen.text("connection.direction") == "Inbound"


def _connection(seen: Observation) -> dict[str, Any]:
    text = seen.text
    near, far = ("dst_endpoint", "src_endpoint") if _is_inbound(seen) else ("src_endpoint", "dst_endpoint")
    return {
        "LocalAddressIP4": text(f"{near}.ip"),
        "LocalPort": text(f"{near}.port"),
        "RemoteAddressIP4": text(f"{far}.ip"),
        "RemotePort": text(f"{far}.port"),
        "Protocol": _PROTOCOLS.get(text("connection.protocol") or "tcp", "6"),
    }


def _lookup(seen: Observation) -> dict[str, Any]:
    return {
        "DomainName": seen.text("query.hostname"),
        "RequestType": _QUERY_TYPES.get(seen.text("query.type") or "A", "1"),
        "IP4Records": seen.text("answers"),
    }


def _file(seen: Observation) -> dict[str, Any]:
    return {
        "TargetFileName": seen.text("file.path"),
        "SourceFileName": seen.text("file.previous_path"),
        "Size": seen.text("file.size"),
        "SHA256HashData": seen.text("file.hash.sha256") or sha256_of(seen.text("file.path")),
    }


def _module(seen: Observation) -> dict[str, Any]:
    return {
        "ContextBaseFileName": seen.text("actor.process.name"),
        "TargetProcessId": _process(seen, "actor.process"),
        "ImageFileName": seen.text("module.path"),
        "SHA256HashData": seen.text("module.hash.sha256") or sha256_of(seen.text("module.path")),
    }


def _registry(seen: Observation) -> dict[str, Any]:
    return {
        "RegObjectName": seen.text("reg.path"),
        "RegValueName": seen.text("reg.value_name"),
        "RegStringValue": seen.text("reg.value_data"),
    }


def _service(seen: Observation) -> dict[str, Any]:
    return {
        "ServiceDisplayName": seen.text("service.name"),
        "ServiceImagePath": seen.text("service.cmd_line"),
        "ServiceObjectName": seen.text("service.account"),
        "ServiceStart": _START_TYPES.get(seen.text("service.start_type"), ""),
    }


def _job(seen: Observation) -> dict[str, Any]:
    return {"TaskName": seen.text("job.name"), "TaskExecCommand": seen.text("job.cmd_line")}


def _script(seen: Observation) -> dict[str, Any]:
    return {
        "ScriptContent": seen.text("script.content")[:20_000],
        "ScriptContentName": seen.text("script.name") or seen.text("script.path"),
    }


def _session(seen: Observation) -> dict[str, Any]:
    text = seen.text
    return {
        "UserName": text("user.name"),
        "LogonDomain": text("user.domain"),
        "UserSid": sid(text("user.name")),
        "AuthenticationId": text("session.uid"),
        "LogonType": _LOGON_NUMBERS.get(text("logon_type"), ""),
        "RemoteAddressIP4": text("src_endpoint.ip"),
        "ClientComputerName": text("src_endpoint.hostname"),
        "AuthenticationPackage": text("auth_protocol"),
        "SubStatus": text("status_detail") if text("status") == "Failure" else "",
    }


def _file_event(seen: Observation) -> str:
    activity, path = seen.text("activity"), seen.text("file.path").lower()
    suffix = path[path.rfind(".") :] if "." in path else ""
    if activity == "Delete":
        return "ExecutableDeleted" if suffix in (".exe", ".dll") else "FileDeleteInfo"
    if activity == "Rename":
        return "NewExecutableRenamed"
    return _WRITTEN.get(suffix, "GenericFileWritten")


def _nanoseconds(seen: Observation, later: timedelta = timedelta()) -> str:
    moment = seen.time + later
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}{int(digest(seen.text('finding.title'))[:2], 16) % 999:03d}Z"


def _alert(seen: Observation) -> Rows:
    text, host = seen.text, seen.host
    number = int(digest("alert", host, seen.time.isoformat(), text("finding.title"))[:9], 16)
    uid = text("finding.uid") or f"{CID}:ind:{aid(host)}:{number}"
    severity = text("severity") or "Medium"
    device = {
        "device_id": aid(host), "hostname": host, "local_ip": text("device.ip"), "external_ip": text("device.external_ip"),
        "os_version": seen.extra.get("os_version", "Windows 11"), "platform_name": "Windows",
        "product_type_desc": seen.extra.get("product_type", "Workstation"), "status": "normal",
    }  # fmt: skip
    parent = {
        "filename": text("actor.process.name"), "filepath": text("actor.process.path"),
        "cmdline": text("actor.process.cmd_line"), "local_process_id": text("actor.process.pid"),
    }  # fmt: skip
    closed = text("finding.status") == "Resolved"
    created = seen.time + timedelta(seconds=20)
    verdicts = {"False Positive": "false_positive", "True Positive": "true_positive", "Disregard": "ignored"}
    verdict = verdicts.get(text("finding.verdict"))
    document: dict[str, Any] = {
        "composite_id": uid, "id": uid.partition(":")[2], "aggregate_id": f"aggind:{aid(host)}:{number}",
        "agent_id": aid(host), "cid": CID, "name": text("finding.title").replace(" ", ""),
        "display_name": text("finding.title"), "description": text("finding.description"),
        "severity": _SEVERITIES[severity], "severity_name": severity, "confidence": 80,
        "status": "closed" if closed else "new", "resolution": verdict, "product": "epp", "type": "ldt",
        "platform": "Windows", "pattern_id": int(digest(text("finding.title"))[:4], 16), "objective": "Follow Through",
        "scenario": "suspicious_activity", "tactic": text("attacks.tactic"), "tactic_id": "",
        "technique": seen.extra.get("technique_name", ""), "technique_id": text("attacks.technique"),
        "timestamp": _nanoseconds(seen), "created_timestamp": _nanoseconds(seen, timedelta(seconds=20)),
        "updated_timestamp": _nanoseconds(seen, timedelta(hours=2) if closed else timedelta(seconds=20)),
        "crawled_timestamp": _nanoseconds(seen, timedelta(seconds=25)),
        "assigned_to_name": None, "assigned_to_uid": None, "tags": [verdict] if verdict else [],
        "show_in_ui": True, "data_domains": ["Endpoint"], "source_products": ["Falcon Insight"],
        "source_vendors": ["CrowdStrike"], "device": device, "filename": text("process.name"),
        "filepath": text("process.path"), "cmdline": text("process.cmd_line"),
        "sha256": text("process.hash.sha256") or sha256_of(text("process.path")), "user_name": text("actor.user.name"),
        "user_id": sid(text("actor.user.name")), "logon_domain": text("actor.user.domain"),
        "process_id": _process(seen, "process"), "parent_process_id": _process(seen, "actor.process"),
        "local_process_id": text("process.pid"), "parent_details": parent, "grandparent_details": {},
        "triggering_process_graph_id": f"pid:{aid(host)}:{_process(seen, 'process')}",
        "pattern_disposition_description": text("mitigation") or "Detection, standard detection.",
        "comments": [{"value": text("finding.comment"), "falcon_user_id": "analyst"}] if text("finding.comment") else [],
        "falcon_host_link": f"https://falcon.crowdstrike.com/activity/detections/detail/{aid(host)}/{number}",
    }  # fmt: skip
    flat = {name: value for name, value in document.items() if not isinstance(value, dict | list)}
    flat |= {f"device.{name}": value for name, value in device.items()}
    flat |= {f"parent_details.{name}": value for name, value in parent.items()}
    flat |= {
        "comments.value": text("finding.comment") or None,
        "tags": json.dumps(document["tags"]),
        "data_domains": '["Endpoint"]',
        "source_products": '["Falcon Insight"]',
        "source_vendors": '["CrowdStrike"]',
        "timestamp": seen.time,
        "created_timestamp": created,
        "updated_timestamp": created,
        "crawled_timestamp": created,
        "local_process_id": int(text("process.pid")) if text("process.pid").isdigit() else None,
        "document": document,
    }
    flat.pop("id")
    flat.pop("tactic_id")
    yield "falcon_alerts", flat | {"tactic_id": None}


def _device(seen: Observation) -> Rows:
    text, host = seen.text, seen.host
    product = seen.extra.get("product_type", "Workstation")
    document: dict[str, Any] = {
        "device_id": aid(host), "cid": CID, "hostname": host, "local_ip": text("device.ip"),
        "external_ip": text("device.external_ip"),
        "mac_address": "-".join(digest("mac", host)[at : at + 2] for at in range(0, 12, 2)),
        "machine_domain": text("device.domain"), "site_name": seen.extra.get("site", "HQ"), "ou": [product + "s"],
        "platform_name": "Linux" if text("device.os") == "linux" else "Windows", "platform_id": "0",
        "os_version": seen.extra.get("os_version", "Windows 11"), "os_build": "22631", "kernel_version": "10.0.22631",
        "product_type": "1" if product == "Workstation" else "3", "product_type_desc": product,
        "agent_version": "7.26.17905.0", "status": "normal", "reduced_functionality_mode": "no",
        "criticality": text("device.criticality") or "normal", "first_seen": _iso(seen.time - timedelta(days=200)),
        "last_seen": _iso(seen.time), "last_login_timestamp": _iso(seen.time - timedelta(hours=2)),
        "modified_timestamp": _iso(seen.time), "last_login_user": text("device.last_user"),
        "groups": [digest("group", product)[:32]],
        "tags": [f"FalconGroupingTags/{tag}" for tag in seen.attributes.get("device.tags", ())],
        "serial_number": digest("serial", host)[:10].upper(), "system_manufacturer": "Dell Inc.",
        "system_product_name": "Latitude 7440",
    }  # fmt: skip
    flat = {name: value for name, value in document.items() if not isinstance(value, list)}
    flat |= {
        "groups": json.dumps(document["groups"]), "tags": json.dumps(document["tags"]), "ou": json.dumps(document["ou"]),
        "local_ip.raw": document["local_ip"], "first_seen": seen.time - timedelta(days=200), "last_seen": seen.time,
        "last_login_timestamp": seen.time - timedelta(hours=2), "modified_timestamp": seen.time, "document": document,
    }  # fmt: skip
    yield "falcon_devices", flat


def _iso(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _vulnerability(seen: Observation) -> Rows:
    text, host = seen.text, seen.host
    cve, closed = text("vulnerability.cve"), text("vulnerability.closed")
    key = digest("vulnerability", host, cve)[:32]
    status = "closed" if closed else "open"
    facts = {
        "id": cve, "base_score": float(text("vulnerability.score") or 0), "severity": text("vulnerability.severity").upper(),
        "exploit_status": int(text("vulnerability.exploit_status") or 0), "exprt_rating": "CRITICAL",
        "is_cisa_kev": bool(seen.attributes.get("vulnerability.kev")), "types": ["Vulnerability"],
        "cisa_info": {"is_cisa_kev": bool(seen.attributes.get("vulnerability.kev"))},
    }  # fmt: skip
    host_info = {
        "hostname": host, "local_ip": text("device.ip"), "os_version": "Windows 11", "platform": "Windows",
        "platform_name": "Windows", "product_type_desc": "Workstation", "asset_criticality": "Noncritical",
        "internet_exposure": "No", "managed_by": "Falcon sensor", "tags": [], "groups": [],
    }  # fmt: skip
    document = {
        "id": key, "aid": aid(host), "cid": CID, "vulnerability_id": cve, "status": status, "confidence": "confirmed",
        "created_timestamp": _iso(seen.time), "updated_timestamp": closed or _iso(seen.time),
        "closed_timestamp": closed or None, "cve": facts, "host_info": host_info,
        "apps": [{"product_name_version": text("vulnerability.product")}], "suppression_info": {"is_suppressed": False},
    }  # fmt: skip
    yield "falcon_vulnerabilities", {
        "id": key, "aid": aid(host), "cid": CID, "vulnerability_id": cve, "status": status, "confidence": "confirmed",
        "created_timestamp": seen.time, "updated_timestamp": seen.time,
        "closed_timestamp": closed.replace("T", " ").rstrip("Z") if closed else None, "cve.id": cve,
        "cve.base_score": facts["base_score"], "cve.severity": facts["severity"], "cve.exprt_rating": "CRITICAL",
        "cve.exploit_status": str(facts["exploit_status"]), "cve.is_cisa_kev": facts["is_cisa_kev"],
        "cve.types": "Vulnerability", "host_info.hostname": host, "host_info.local_ip": text("device.ip"),
        "host_info.os_version": "Windows 11", "host_info.platform_name": "Windows",
        "host_info.product_type_desc": "Workstation", "host_info.asset_criticality": "Noncritical",
        "host_info.internet_exposure": "No", "host_info.managed_by": "Falcon sensor",
        "apps.product_name_version": text("vulnerability.product"), "suppression_info.is_suppressed": False,
        "document": document,
    }  # fmt: skip
