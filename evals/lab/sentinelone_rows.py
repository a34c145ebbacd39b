"""What SentinelOne's agent and its APIs keep of an observation (VENDOR_APIS 2.2 to 2.4, LANGUAGES appendix A).

Event rows carry the camelCase of the S1QL field. Most numbers and booleans are strings there; ports and process ids
are numbers.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from ...tools.languages.vocabulary import EventClass
from .identity import agent_id, agent_uuid, digest, sha256_of, sid, threat_id
from .observation import Observation, integer

SITE = "Default site"
_LOGON_TYPES = {
    "Interactive": "INTERACTIVE", "Network": "NETWORK", "Batch": "BATCH", "Service": "SERVICE", "Unlock": "UNLOCK",
    "NetworkCleartext": "NETWORK_CLEAR_TEXT", "NewCredentials": "NETWORK_CREDENTIALS",
    "RemoteInteractive": "REMOTE_INTERACTIVE", "CachedInteractive": "CACHED_INTERACTIVE",
}  # fmt: skip
_FILE_EVENTS = {
    "Create": "File Creation", "Update": "File Modification", "Delete": "File Deletion", "Rename": "File Rename"
}  # fmt: skip
_REGISTRY_EVENTS = {
    "Create": "Registry Key Create", "Delete": "Registry Key Delete", "Set": "Registry Value Modified"
}  # fmt: skip
_JOB_EVENTS = {"Create": "Task Register", "Update": "Task Update", "Delete": "Task Delete", "Start": "Task Start"}

Rows = Iterator[tuple[str, dict[str, Any]]]


def rows(seen: Observation) -> Rows:
    """Rows of SentinelOne's tables for one observation; none where the agent records no such thing."""
    match seen.event_class:
        case EventClass.FINDING:
            yield from _threat(seen)
        case EventClass.DEVICE:
            yield from _agent(seen)
        case _:
            for kind, group, fields in _events(seen):
                yield "s1_events", _event(seen, kind, group, fields)


def account(name: str, domain: str) -> str:
    """An account as the agent writes it."""
    return f"{domain}\\{name}" if name and domain and "\\" not in name else name


def _event(seen: Observation, kind: str, group: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    host = seen.host
    row: dict[str, Any] = {
        "eventTime": seen.time,
        "eventType": kind,
        "objectType": group,
        "agentUuid": agent_uuid(host),
        "agentId": agent_id(host),
        "agentName": host,
        "endpointName": host,
        "endpointOs": {"linux": "linux", "macos": "osx"}.get(seen.text("device.os"), "windows"),
        "siteName": SITE,
    }
    row |= {key: value for key, value in fields.items() if value not in (None, "")}
    story = seen.text("actor.process.uid") or seen.text("process.uid")
    row["trueContext"] = digest("storyline", host, story)[:16].upper() if story else None
    row["srcProcStorylineId"] = row["trueContext"]
    row["id"] = row["traceId"] = digest("s1-event", row)[:24]
    return row


def _actor(seen: Observation) -> dict[str, Any]:
    text = seen.text
    return {
        "srcProcUser": account(text("actor.user.name"), text("actor.user.domain")),
        "srcProcName": text("actor.process.name"),
        "srcProcImagePath": text("actor.process.path"),
        "srcProcCmdLine": text("actor.process.cmd_line"),
        "srcProcPid": integer(text("actor.process.pid")),
        "srcProcUid": _uid(seen, "actor.process"),
        "srcProcImageSha256": text("actor.process.hash.sha256") or _hash(text("actor.process.path")),
        "srcProcParentName": text("actor.process.parent.name"),
        "srcProcParentImagePath": text("actor.process.parent.path"),
    }


def _target(seen: Observation) -> dict[str, Any]:
    text = seen.text
    integrity = text("process.integrity").upper()
    return {
        "tgtProcName": text("process.name"),
        "tgtProcImagePath": text("process.path"),
        "tgtProcCmdLine": text("process.cmd_line"),
        "tgtProcPid": integer(text("process.pid")),
        "tgtProcUid": _uid(seen, "process"),
        "tgtProcImageSha256": text("process.hash.sha256") or _hash(text("process.path")),
        "tgtProcImageSha1": text("process.hash.sha1"),
        "tgtProcImageMd5": text("process.hash.md5"),
        "tgtProcPublisher": text("process.signer"),
        "tgtProcDisplayName": text("process.description"),
        "tgtProcIntegrityLevel": integrity if integrity in ("LOW", "MEDIUM", "HIGH", "SYSTEM") else "",
        "tgtProcAccessRights": text("process.access_mask"),
    }


def _uid(seen: Observation, role: str) -> str:
    uid = seen.text(f"{role}.uid") or seen.text(f"{role}.pid")
    return digest("s1-process", seen.host, uid)[:16].upper() if uid else ""


def _hash(path: str) -> str:
    return sha256_of(path) if path else ""


def _events(seen: Observation) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What the agent records: type and group of the event, and its fields."""
    activity, actor = seen.text("activity"), _actor(seen)
    match seen.event_class:
        case EventClass.PROCESS if activity == "Launch":
            # The account is the new process's; the parent's own account is not in the observation.
            user = actor.pop("srcProcUser")
            yield "Process Creation", "process", actor | _target(seen) | {"tgtProcUser": user}
        case EventClass.PROCESS if activity in ("Open", "Inject"):
            kind = "Open Remote Process Handle" if activity == "Open" else "Remote Thread Creation"
            yield kind, "cross_process", actor | _target(seen)
        case EventClass.NETWORK:
            yield "IP Connect", "ip", actor | _connection(seen)
        case EventClass.DNS:
            answer = {"dnsRequest": seen.text("query.hostname"), "dnsResponse": seen.text("answers")}
            yield "DNS Resolved", "dns", actor | answer
        case EventClass.FILE if activity in _FILE_EVENTS:
            yield _FILE_EVENTS[activity], "file", actor | _file(seen)
        case EventClass.MODULE:
            yield "Module Load", "module", actor | _module(seen)
        case EventClass.REGISTRY:
            yield _REGISTRY_EVENTS.get(activity, "Registry Key Rename"), "registry", actor | _registry(seen)
        case EventClass.JOB if activity in _JOB_EVENTS:
            yield _JOB_EVENTS[activity], "scheduled_task", actor | {"taskName": seen.text("job.name")}
        case EventClass.SCRIPT:
            script = seen.text("script.content")[:20_000]
            yield "Command Script", "command_script", actor | {"srcProcCmdScript": script}
        case EventClass.AUTHENTICATION if activity in ("Logon", "Logoff"):
            yield "Logout" if activity == "Logoff" else "Login", "logins", _login(seen)


def _connection(seen: Observation) -> dict[str, Any]:
    text = seen.text
    return {
        "srcIp": text("src_endpoint.ip"),
        "srcPort": integer(text("src_endpoint.port")),
        "dstIp": text("dst_endpoint.ip"),
        "dstPort": integer(text("dst_endpoint.port")),
        "netEventDirection": "INCOMING" if text("connection.direction") == "Inbound" else "OUTGOING",
        "netProtocolName": text("connection.protocol"),
        "netConnStatus": "Failure" if text("activity") == "Refuse" else "Success",
    }


def _file(seen: Observation) -> dict[str, Any]:
    text = seen.text
    return {
        "tgtFilePath": text("file.path"),
        "tgtFileOldPath": text("file.previous_path"),
        "tgtFileSize": text("file.size"),
        "tgtFileSha256": text("file.hash.sha256") or sha256_of(text("file.path")),
        "tgtFileSha1": text("file.hash.sha1"),
        "tgtFileMd5": text("file.hash.md5"),
    }


def _module(seen: Observation) -> dict[str, Any]:
    return {
        "modulePath": seen.text("module.path"),
        "moduleSignerName": seen.text("module.signer"),
        "moduleSignedStatus": "signed" if seen.text("module.signed") == "true" else "unsigned",
    }


def _registry(seen: Observation) -> dict[str, Any]:
    path, value = seen.text("reg.path"), seen.text("reg.value_name")
    if seen.text("activity") == "Set" and value and not path.endswith("\\" + value):
        path = f"{path}\\{value}"
    return {"registryKeyPath": path, "registryValue": seen.text("reg.value_data")}


def _login(seen: Observation) -> dict[str, Any]:
    text = seen.text
    failed = text("status") == "Failure"
    return {
        "srcProcName": text("actor.process.name"),
        "loginsUserName": text("user.name"),
        "loginAccountDomain": text("user.domain"),
        "loginAccountSid": sid(text("user.name")),
        "srcMachineIp": text("src_endpoint.ip"),
        "loginSessionId": text("session.uid"),
        "loginIsSuccessful": "false" if failed else "true",
        "loginFailureReason": text("status_detail") if failed else "",
        "loginType": _LOGON_TYPES.get(text("logon_type"), ""),
    }


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z"


def _threat(seen: Observation) -> Rows:
    text, host = seen.text, seen.host
    uid = text("finding.uid") or threat_id(host, seen.time.isoformat(), text("finding.title"))
    verdicts = {"True Positive": "true_positive", "False Positive": "false_positive", "Suspicious": "suspicious"}
    verdict = verdicts.get(text("finding.verdict"), "undefined")
    confidence = "malicious" if text("severity") in ("High", "Critical") else "suspicious"
    status = "resolved" if text("finding.status") == "Resolved" else "unresolved"
    mitigation = text("mitigation") or "not_mitigated"
    user = account(text("actor.user.name"), text("actor.user.domain"))
    document = {
        "id": uid,
        "agentDetectionInfo": {
            "agentDomain": text("device.domain"), "agentIpV4": text("device.ip"), "agentOsName": "Windows Server 2022",
            "agentUuid": agent_uuid(host), "agentVersion": "24.1.4.257",
            "externalIp": text("device.external_ip"), "siteName": SITE,
            "agentMitigationMode": "detect", "agentLastLoggedInUserName": user,
        },
        "agentRealtimeInfo": {
            "agentId": agent_id(host), "agentUuid": agent_uuid(host), "agentComputerName": host,
            "agentDomain": text("device.domain"), "agentIsActive": True, "agentInfected": True,
            "agentNetworkStatus": "connected", "agentOsName": "Windows Server 2022", "agentOsType": "windows",
            "agentMachineType": "server",
            "networkInterfaces": [{"inet": [text("device.ip")], "inet6": [], "name": "Ethernet", "physical": ""}],
        },
        "threatInfo": {
            "threatId": uid, "threatName": text("finding.title"), "classification": text("finding.description"),
            "classificationSource": "Engine", "confidenceLevel": confidence, "analystVerdict": verdict,
            "analystVerdictDescription": verdict.replace("_", " ").capitalize(), "incidentStatus": status,
            "mitigationStatus": mitigation, "filePath": text("process.path") or text("file.path"),
            "sha1": digest("sha1", text("process.name"))[:40],
            "sha256": text("process.hash.sha256") or sha256_of(text("process.path")), "publisherName": "",
            "isFileless": False, "processUser": user, "originatorProcess": text("actor.process.name"),
            "maliciousProcessArguments": text("process.cmd_line"), "storyline": digest(uid)[:16].upper(),
            "detectionType": "dynamic", "engines": ["DBT - Executables"], "initiatedBy": "agent_policy",
            "identifiedAt": _iso(seen.time), "createdAt": _iso(seen.time + timedelta(seconds=5)),
            "updatedAt": _iso(seen.time + timedelta(seconds=30)), "pendingActions": False, "failedActions": False,
        },
        "mitigationStatus": [],
        "indicators": [
            {
                "category": "Exfiltration", "description": text("finding.title"), "ids": [1],
                "tactics": [{"name": text("attacks.tactic"), "source": "MITRE", "techniques": [text("attacks.technique")]}],
            }
        ],
        "whiteningOptions": [],
    }  # fmt: skip
    yield (
        "s1_threats",
        {
            "id": uid,
            "computerName": host,
            "incidentStatus": status,
            "analystVerdict": verdict,
            "confidenceLevel": confidence,
            "mitigationStatus": mitigation,
            "contentHash": digest("sha1", text("process.name"))[:40],
            "createdAt": seen.time + timedelta(seconds=5),
            "updatedAt": seen.time + timedelta(seconds=30),
            "document": document,
        },
    )


def _agent(seen: Observation) -> Rows:
    text, host = seen.text, seen.host
    linux = text("device.os") == "linux"
    document: dict[str, Any] = {
        "id": agent_id(host), "uuid": agent_uuid(host), "computerName": host, "domain": text("device.domain"),
        "siteId": "1", "siteName": SITE, "groupId": "1", "groupName": seen.extra.get("group", "Default Group"),
        "accountId": "1", "accountName": "Default account",
        "osName": seen.extra.get("os_version", "Windows Server 2022"), "osType": "linux" if linux else "windows",
        "osRevision": "20348", "osArch": "64 bit",
        "machineType": seen.extra.get("product_type", "Server").lower().replace("workstation", "desktop"),
        "modelName": "VMware7,1", "agentVersion": "24.1.4.257", "isActive": True, "isDecommissioned": False,
        "isUninstalled": False, "infected": False, "activeThreats": 0, "networkStatus": "connected",
        "networkQuarantineEnabled": False,
        "networkInterfaces": [{"inet": [text("device.ip")], "inet6": [], "name": "Ethernet", "physical": ""}],
        "externalIp": text("device.external_ip"), "lastIpToMgmt": text("device.ip"),
        "lastActiveDate": _iso(seen.time), "registeredAt": _iso(seen.time - timedelta(days=200)),
        "createdAt": _iso(seen.time - timedelta(days=200)), "updatedAt": _iso(seen.time),
        "lastLoggedInUserName": text("device.last_user"), "mitigationMode": "detect",
        "mitigationModeSuspicious": "detect", "operationalState": "na", "scanStatus": "finished",
        "userActionsNeeded": [], "activeDirectory": {}, "tags": {
            "sentinelone": [{"key": "role", "value": tag} for tag in seen.attributes.get("device.tags", ())]
        },
        "isUpToDate": True, "firewallEnabled": True, "allowRemoteShell": False,
    }  # fmt: skip
    yield (
        "s1_agents",
        {
            "id": document["id"],
            "uuid": document["uuid"],
            "computerName": host,
            "externalIp": document["externalIp"],
            "networkStatus": "connected",
            "osType": document["osType"],
            "siteId": "1",
            "lastActiveDate": seen.time,
            "isActive": True,
            "document": json.loads(json.dumps(document)),
        },
    )
