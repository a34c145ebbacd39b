"""The words of a `Search`: OCSF event classes and the attributes of each.

Names follow OCSF 1.x, written flat and dotted. Where OCSF nests one word deeper than an analyst says (`file.hashes[]`,
`actor.process.parent_process`), the flat name is the shorter one. Every platform's view (`views/*.yaml`), every hunt
and every normalised event uses these names and no others.
"""

from collections.abc import Mapping
from enum import StrEnum


class EventClass(StrEnum):
    """OCSF event class; the comment is its class uid."""

    PROCESS = "process_activity"  # 1007
    FILE = "file_activity"  # 1001
    MODULE = "module_activity"  # 1005
    REGISTRY = "registry_activity"  # 201001, 201002 of the Windows extension
    SERVICE = "service_activity"  # 201004 of the Windows extension
    JOB = "scheduled_job_activity"  # 1006
    SCRIPT = "script_activity"  # 1009
    NETWORK = "network_activity"  # 4001
    DNS = "dns_activity"  # 4003
    SMB = "smb_activity"  # 4006
    AUTHENTICATION = "authentication"  # 3002
    ACCOUNT = "account_change"  # 3001, also directory and role changes (3004 to 3006)
    API = "api_activity"  # 6003
    EMAIL = "email_activity"  # 4009
    URL = "email_url_activity"  # 4012, also clicks
    FINDING = "detection_finding"  # 2004
    VULNERABILITY = "vulnerability_finding"  # 2002
    DEVICE = "inventory_info"  # 5001
    BASE = "base_event"  # 0, rows of a raw query that fit no view


_COMMON = """
time activity status status_detail message metadata.uid metadata.event_code
device.hostname device.ip device.uid device.os
actor.user.name actor.user.domain actor.user.uid actor.session.uid
actor.process.name actor.process.path actor.process.cmd_line actor.process.pid actor.process.uid
actor.process.hash.sha256 actor.process.parent.name actor.process.parent.path
"""

# `actor.process` is who acts: the parent for a launch, the writer for a file, the reader for `Open` on a process.
_BY_CLASS: Mapping[EventClass, str] = {
    EventClass.PROCESS: """process.name process.path process.cmd_line process.pid process.uid process.original_name
        process.description process.product
        process.hash.sha256 process.hash.sha1 process.hash.md5 process.integrity process.signer process.access_mask""",
    EventClass.FILE: """file.name file.path file.size file.hash.sha256 file.hash.sha1 file.hash.md5
        file.origin_url file.previous_path""",
    EventClass.MODULE: "module.name module.path module.hash.sha256 module.signer module.signed",
    # `reg.target` is the key with the value's name behind it, as Sysmon writes TargetObject.
    EventClass.REGISTRY: "reg.path reg.value_name reg.value_data reg.target",
    EventClass.SERVICE: "service.name service.cmd_line service.account service.start_type",
    EventClass.JOB: "job.name job.cmd_line",
    EventClass.SCRIPT: "script.content script.path script.name",
    EventClass.NETWORK: """src_endpoint.ip src_endpoint.port src_endpoint.hostname
        dst_endpoint.ip dst_endpoint.port dst_endpoint.hostname connection.direction connection.protocol
        traffic.bytes_out traffic.bytes_in url.url_string""",
    EventClass.DNS: "query.hostname query.type answers rcode",
    EventClass.SMB: "share.name share.path src_endpoint.ip src_endpoint.hostname src_endpoint.port access_mask",
    EventClass.AUTHENTICATION: """user.name user.domain user.uid src_endpoint.ip src_endpoint.hostname src_endpoint.port
        src_endpoint.location.country src_endpoint.location.city src_endpoint.location.desc
        logon_type auth_protocol session.uid service.name ticket.encryption is_mfa mfa_detail auth_flow
        app.name http_request.user_agent risk""",
    EventClass.ACCOUNT: """user.name user.domain user.uid role.name group.name app.name app.publisher app.permissions
        src_endpoint.ip http_request.user_agent change.detail""",
    EventClass.API: """api.operation api.service user.name src_endpoint.ip src_endpoint.location.country
        http_request.user_agent resource.name resource.type resource.namespace resource.detail
        app.name session.uid api.count""",
    EventClass.EMAIL: """email.uid email.from email.from_ip email.to email.subject email.direction
        email.delivery_action email.delivery_location email.threat email.attachment_count email.url_count
        file.name file.hash.sha256 url.url_string""",
    EventClass.URL: "email.uid user.name url.url_string src_endpoint.ip url.threat url.workload is_allowed",
    EventClass.FINDING: """finding.uid finding.title finding.description finding.status finding.verdict
        finding.comment finding.product finding.created severity severity_id attacks.technique attacks.tactic
        user.name process.name process.path process.cmd_line process.hash.sha256 process.pid process.uid
        file.name file.path file.hash.sha256 device.containment mitigation""",
    EventClass.VULNERABILITY: """vulnerability.cve vulnerability.severity vulnerability.score vulnerability.status
        vulnerability.exploit_status vulnerability.kev vulnerability.product vulnerability.closed""",
    EventClass.DEVICE: """device.type device.domain device.first_seen device.last_seen device.last_user device.tags
        device.containment device.criticality device.agent_version device.external_ip device.groups""",
    EventClass.BASE: "",
}

ATTRIBUTES: Mapping[EventClass, frozenset[str]] = {
    event_class: frozenset((_COMMON + names).split()) for event_class, names in _BY_CLASS.items()
}

HOST_ATTRIBUTES = frozenset({"device.hostname", "src_endpoint.hostname", "dst_endpoint.hostname"})
"""Attributes where `eq` also matches the fully qualified name."""

USER_ATTRIBUTES = frozenset({"user.name", "actor.user.name", "device.last_user"})
"""Attributes where `eq` also matches `DOMAIN\\user` and `user@domain`."""

ACTIVITIES: Mapping[EventClass, tuple[str, ...]] = {
    EventClass.PROCESS: ("Launch", "Terminate", "Open", "Inject"),
    EventClass.FILE: ("Create", "Update", "Delete", "Rename", "Read"),
    EventClass.MODULE: ("Load",),
    EventClass.REGISTRY: ("Create", "Set", "Delete", "Rename"),
    EventClass.SERVICE: ("Create", "Start", "Stop", "Update", "Delete"),
    EventClass.JOB: ("Create", "Update", "Delete", "Start"),
    EventClass.SCRIPT: ("Execute",),
    EventClass.NETWORK: ("Open", "Refuse", "Listen"),
    EventClass.DNS: ("Query",),
    EventClass.SMB: ("Open", "Read", "Write"),
    EventClass.AUTHENTICATION: (
        "Logon",
        "Logoff",
        "Authentication Ticket",
        "Service Ticket",
        "Credential Validation",
        "Explicit Credentials",
        "Special Privileges",
    ),
}
"""Values of `activity` where the class has a closed list; elsewhere it is the vendor's own operation name."""

LOGON_TYPES: Mapping[int, str] = {
    2: "Interactive",
    3: "Network",
    4: "Batch",
    5: "Service",
    7: "Unlock",
    8: "NetworkCleartext",
    9: "NewCredentials",
    10: "RemoteInteractive",
    11: "CachedInteractive",
}
"""Windows logon types; `logon_type` holds the name."""
