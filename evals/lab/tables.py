"""The tables of a lab's DuckDB file and their column types."""

from collections.abc import Mapping
from functools import cache

from ...tools.languages.kql import schema as kql_schema
from ...tools.languages.spl import schema as spl_schema

_TYPES = {
    "string": "VARCHAR",
    "guid": "VARCHAR",
    "long": "BIGINT",
    "int": "INTEGER",
    "real": "DOUBLE",
    "decimal": "DOUBLE",
    "bool": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "timespan": "VARCHAR",
    "dynamic": "JSON",
}
"""KQL types in DuckDB."""

MICROSOFT_TABLES = (
    "DeviceProcessEvents", "DeviceNetworkEvents", "DeviceFileEvents", "DeviceLogonEvents", "DeviceRegistryEvents",
    "DeviceImageLoadEvents", "DeviceEvents", "DeviceInfo", "DeviceNetworkInfo", "IdentityLogonEvents", "IdentityInfo",
    "IdentityQueryEvents", "IdentityDirectoryEvents", "AlertInfo", "AlertEvidence", "SigninLogs",
    "AADNonInteractiveUserSignInLogs", "AuditLogs", "OfficeActivity", "CloudAppEvents", "EmailEvents",
    "EmailAttachmentInfo", "EmailUrlInfo", "EmailPostDeliveryEvents", "UrlClickEvents", "AzureActivity", "AWSCloudTrail",
    "SecurityAlert", "SecurityIncident", "SecurityEvent", "Event", "Syslog", "CommonSecurityLog",
)  # fmt: skip

_FALCON_EVENT = """
@id #event_simpleName aid cid event_platform ComputerName UserName UserSid LogonDomain LocalIP AuthenticationId
FileName ImageFileName CommandLine RawProcessId TargetProcessId ParentProcessId ParentBaseFileName
GrandParentBaseFileName SHA256HashData SHA1HashData MD5HashData IntegrityLevel ContextBaseFileName ContextProcessId
LocalAddressIP4 LocalPort RemoteAddressIP4 RemotePort Protocol ConnectionDirection DomainName RequestType IP4Records
TargetFileName SourceFileName Size RegObjectName RegValueName RegStringValue ServiceDisplayName ServiceImagePath
ServiceObjectName ServiceStart TaskName TaskExecCommand ScriptContent ScriptContentName ApplicationName CommandHistory
LogonType SubStatus ClientComputerName AuthenticationPackage UserIsAdmin OriginalFilename
"""

_S1_EVENT = """
id eventType objectType agentUuid agentName agentId endpointName endpointOs siteName
srcProcUser srcProcName srcProcImagePath srcProcCmdLine srcProcUid srcProcImageSha256 srcProcParentName
srcProcParentImagePath srcProcStorylineId srcProcCmdScript
tgtProcName tgtProcImagePath tgtProcCmdLine tgtProcUid tgtProcUser tgtProcImageSha256 tgtProcImageSha1 tgtProcImageMd5
tgtProcPublisher tgtProcDisplayName tgtProcIntegrityLevel tgtProcAccessRights tgtProcStorylineId
srcIp dstIp netEventDirection netProtocolName netConnStatus url dnsRequest dnsResponse
tgtFilePath tgtFileOldPath tgtFileSize tgtFileSha256 tgtFileSha1 tgtFileMd5
modulePath moduleSignerName moduleSignedStatus registryKeyPath registryValue taskName
loginsUserName loginAccountDomain loginAccountSid srcMachineIp loginSessionId loginIsSuccessful loginFailureReason
loginType trueContext traceId
"""

_ALERT = """
composite_id agent_id aggregate_id cid name display_name description status severity_name tactic tactic_id technique
technique_id objective scenario product platform type data_domains tags resolution source_products source_vendors
comments.value cmdline filename filepath sha256 sha1 md5 user_name user_id logon_domain process_id parent_process_id
parent_details.filename parent_details.filepath parent_details.cmdline parent_details.local_process_id
grandparent_details.filename device.device_id device.hostname device.local_ip device.external_ip device.os_version
device.platform_name device.product_type_desc device.status assigned_to_name assigned_to_uid
pattern_disposition_description falcon_host_link triggering_process_graph_id
"""

_DEVICE = """
device_id cid hostname local_ip local_ip.raw external_ip mac_address machine_domain site_name ou platform_name
platform_id os_version os_build kernel_version product_type product_type_desc agent_version status
reduced_functionality_mode criticality last_login_user groups tags service_provider serial_number system_manufacturer
system_product_name
"""

_VULNERABILITY = """
id aid cid vulnerability_id status confidence cve.id cve.severity cve.exprt_rating cve.exploit_status cve.types
host_info.hostname host_info.local_ip host_info.os_version host_info.platform_name host_info.product_type_desc
host_info.asset_criticality host_info.internet_exposure host_info.managed_by host_info.tags host_info.groups
apps.product_name_version suppression_info.reason
"""


def _text(names: str, **others: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), "VARCHAR") | others


@cache
def tables() -> Mapping[str, Mapping[str, str]]:
    """Table to its columns with their DuckDB types."""
    found: dict[str, Mapping[str, str]] = {
        "falcon_events": {"@timestamp": "BIGINT", **_text(_FALCON_EVENT)},
        "falcon_alerts": _text(_ALERT)
        | dict.fromkeys(("timestamp", "created_timestamp", "updated_timestamp", "crawled_timestamp"), "TIMESTAMP")
        | {
            "severity": "INTEGER", "confidence": "INTEGER", "pattern_id": "INTEGER", "local_process_id": "BIGINT",
            "show_in_ui": "BOOLEAN", "seconds_to_triaged": "BIGINT", "seconds_to_resolved": "BIGINT",
            "document": "JSON",
        },
        "falcon_devices": _text(_DEVICE)
        | dict.fromkeys(("first_seen", "last_seen", "last_login_timestamp", "modified_timestamp"), "TIMESTAMP")
        | {"document": "JSON"},
        "falcon_vulnerabilities": _text(_VULNERABILITY)
        | dict.fromkeys(("created_timestamp", "updated_timestamp", "closed_timestamp"), "TIMESTAMP")
        | {
            "cve.base_score": "DOUBLE", "cve.is_cisa_kev": "BOOLEAN", "suppression_info.is_suppressed": "BOOLEAN",
            "document": "JSON",
        },
        "s1_events": {"eventTime": "TIMESTAMP", **_text(_S1_EVENT)}
        | dict.fromkeys(("srcProcPid", "tgtProcPid", "srcPort", "dstPort"), "BIGINT"),
        "s1_threats": _text("id computerName incidentStatus analystVerdict confidenceLevel mitigationStatus contentHash")
        | {"createdAt": "TIMESTAMP", "updatedAt": "TIMESTAMP", "document": "JSON"},
        "s1_agents": _text("id uuid computerName externalIp networkStatus osType siteId")
        | {"lastActiveDate": "TIMESTAMP", "isActive": "BOOLEAN", "document": "JSON"},
        "splunk_events": {"_time": "TIMESTAMP", **dict.fromkeys(_splunk_fields(), "VARCHAR")},
        "lab_meta": {"key": "VARCHAR", "value": "VARCHAR"},
    }  # fmt: skip
    schema = kql_schema.tables()
    for name in MICROSOFT_TABLES:
        # DuckDB ignores the case of names; where the joined surfaces write one column twice (Isp, ISP), the first stays.
        first = {column.lower(): column for column in reversed(list(schema[name]))}
        found[name] = {column: _TYPES[kind] for column, kind in schema[name].items() if first[column.lower()] == column}
    return found


def _splunk_fields() -> list[str]:
    """The fields of Windows events in Splunk; of two that differ in case alone (DuckDB ignores it) the first."""
    found: dict[str, str] = {}
    for names in (*(log.fields for log in spl_schema.logs().values()), spl_schema.common()):
        for name in sorted(names):
            found.setdefault(name.lower(), name)
    return [name for name in found.values() if name not in ("_time", "_raw")]
