import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tracehound.tools.evidence.normalise import Normaliser, is_unparsed, standard
from tracehound.tools.evidence.values import event_data, parse_int, parse_time, short_host, split_account
from tracehound.tools.languages.query import Language, Platform
from tracehound.tools.languages.views import all_views
from tracehound.tools.languages.vocabulary import ATTRIBUTES, EventClass

FALCON = {
    "@timestamp": "1793527200123",
    "@id": "k1",
    "ComputerName": "PC-9",
    "aid": "0123",
    "LocalIP": "10.1.2.3",
    "event_platform": "Win",
}
S1 = {"eventTime": "2026-11-01T10:00:00.123Z", "endpointName": "SRV-9", "agentUuid": "u1", "endpointOs": "windows"}
LOG = {"TimeGenerated": "2026-11-01T10:00:00.1234567Z", "Computer": "SRV-9.corp.example"}
MDE = {"Timestamp": "2026-11-01T10:00:00.1234567Z", "DeviceName": "lap-9.corp.example", "DeviceId": "d1"}

# view id: a row as the vendor's documentation shows it, and what must come of it
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "falcon.alerts": (
        {
            "composite_id": "cid:ind:1",
            "timestamp": "2026-11-01T10:00:00.123Z",
            "display_name": "CredentialDumping",
            "severity_name": "Critical",
            "status": "in_progress",
            "resolution": "false_positive",
            "technique_id": "T1003.001",
            "tactic": "Credential Access",
            "user_name": "CORP\\bob",
            "filename": "rundll32.exe",
            "cmdline": "rundll32 x",
            "local_process_id": "0x1f4",
            "device": {"hostname": "PC-9", "device_id": "0123", "local_ip": "10.1.2.3", "status": "normal"},
            "parent_details": {"filename": "cmd.exe", "local_process_id": "400"},
            "comments": [{"value": "first"}, {"value": "second"}],
        },
        {
            "finding.uid": "cid:ind:1", "finding.title": "CredentialDumping", "severity": "Critical",
            "attacks.technique": "T1003.001", "user.name": "bob", "process.name": "rundll32.exe", "process.pid": 500,
            "device.hostname": "PC-9", "device.containment": "normal", "actor.process.name": "cmd.exe",
            "actor.process.pid": 400, "finding.comment": ["first", "second"],
        },
    ),
    "falcon.hosts": (
        {
            "device_id": "0123", "hostname": "PC-9", "local_ip": "10.1.2.3", "last_seen": "2026-11-01T10:00:00Z",
            "first_seen": "2026-01-01T00:00:00Z", "os_version": "Windows 11", "status": "lift_containment_pending",
            "tags": ["a", "b"], "last_login_user": "CORP\\bob",
        },
        {"device.hostname": "PC-9", "device.containment": "lifting", "device.tags": ["a", "b"], "device.uid": "0123"},
    ),
    "falcon.vulnerabilities": (
        {
            "id": "v1", "aid": "0123", "status": "reopen", "created_timestamp": "2026-11-01T10:00:00Z",
            "cve": {"id": "CVE-2023-23397", "base_score": 9.8, "severity": "CRITICAL", "exploit_status": 90,
                    "cisa_info": {"is_cisa_kev": True}},
            "host_info": {"hostname": "PC-9"}, "apps": [{"product_name_version": "Outlook 16"}],
        },
        {
            "vulnerability.cve": "CVE-2023-23397", "vulnerability.score": 9.8, "vulnerability.status": "Open",
            "vulnerability.severity": "Critical", "vulnerability.kev": True, "vulnerability.product": ["Outlook 16"],
            "device.hostname": "PC-9",
        },
    ),
    "falcon.process": (
        FALCON | {"#event_simpleName": "ProcessRollup2", "FileName": "whoami.exe", "RawProcessId": "44",
                  "CommandLine": "whoami", "ParentBaseFileName": "cmd.exe", "UserName": "bob", "IntegrityLevel": "12288"},
        {"activity": "Launch", "process.name": "whoami.exe", "process.pid": 44, "actor.process.name": "cmd.exe",
         "actor.user.name": "bob", "process.integrity": "High", "device.os": "windows"},
    ),
    "falcon.network_outbound": (
        FALCON | {"#event_simpleName": "NetworkConnectIP4", "RemoteAddressIP4": "203.0.113.9", "RemotePort": "443",
                  "LocalAddressIP4": "10.1.2.3", "Protocol": "6", "ContextBaseFileName": "x.exe"},
        {"activity": "Open", "connection.direction": "Outbound", "dst_endpoint.ip": "203.0.113.9",
         "dst_endpoint.port": 443, "connection.protocol": "tcp", "actor.process.name": "x.exe"},
    ),
    "falcon.network_inbound": (
        FALCON | {"#event_simpleName": "NetworkReceiveAcceptIP4", "RemoteAddressIP4": "10.1.2.4", "LocalPort": "445"},
        {"connection.direction": "Inbound", "src_endpoint.ip": "10.1.2.4", "dst_endpoint.port": 445},
    ),
    "falcon.dns": (
        FALCON | {"#event_simpleName": "DnsRequest", "DomainName": "x.example", "RequestType": "28"},
        {"activity": "Query", "query.hostname": "x.example", "query.type": "AAAA"},
    ),
    "falcon.file": (
        FALCON | {"#event_simpleName": "ExecutableDeleted",
                  "TargetFileName": "\\Device\\HarddiskVolume3\\Users\\bob\\a.exe"},
        {"activity": "Delete", "file.name": "a.exe", "file.path": "\\Device\\HarddiskVolume3\\Users\\bob\\a.exe"},
    ),
    "falcon.module": (
        FALCON | {"#event_simpleName": "ClassifiedModuleLoad", "ImageFileName": "C:\\x\\evil.dll",
                  "ContextBaseFileName": "y.exe"},
        {"activity": "Load", "module.name": "evil.dll", "actor.process.name": "y.exe"},
    ),
    "falcon.registry": (
        FALCON | {"#event_simpleName": "AsepValueUpdate", "RegObjectName": "\\REGISTRY\\MACHINE\\Run",
                  "RegValueName": "x", "RegStringValue": "c:\\x.exe"},
        {"activity": "Set", "reg.path": "\\REGISTRY\\MACHINE\\Run", "reg.value_name": "x"},
    ),
    "falcon.service": (
        FALCON | {"#event_simpleName": "CreateService", "ServiceDisplayName": "svc", "ServiceImagePath": "c:\\s.exe",
                  "ServiceStart": "3"},
        {"activity": "Create", "service.name": "svc", "service.start_type": "Manual"},
    ),
    "falcon.scheduled_job": (
        FALCON | {"#event_simpleName": "ScheduledTaskRegistered", "TaskName": "\\t", "TaskExecCommand": "x"},
        {"activity": "Create", "job.name": "\\t", "job.cmd_line": "x"},
    ),
    "falcon.script": (
        FALCON | {"#event_simpleName": "ScriptControlScanInfo", "ScriptContent": "iex $x"},
        {"activity": "Execute", "script.content": "iex $x"},
    ),
    "falcon.command_history": (
        FALCON | {"#event_simpleName": "CommandHistory", "ApplicationName": "cmd.exe", "CommandHistory": "whoami"},
        {"activity": "Execute", "script.content": "whoami", "actor.process.name": "cmd.exe"},
    ),
    "falcon.authentication": (
        FALCON | {"#event_simpleName": "UserLogonFailed2", "UserName": "bob", "LogonType": "3",
                  "RemoteAddressIP4": "10.1.2.4", "LogonDomain": "CORP"},
        {"activity": "Logon", "status": "Failure", "user.name": "bob", "user.domain": "CORP", "logon_type": "Network",
         "src_endpoint.ip": "10.1.2.4"},
    ),
    "sentinelone.process": (
        S1 | {"eventType": "Process Creation", "tgtProcName": "whoami.exe", "tgtProcPid": 44, "tgtProcUser": "CORP\\bob",
              "srcProcName": "cmd.exe", "tgtProcIntegrityLevel": "SYSTEM", "tgtProcImageSha1": None},
        {"activity": "Launch", "process.pid": 44, "actor.user.name": "bob", "actor.user.domain": "CORP",
         "process.integrity": "System", "device.os": "windows"},
    ),
    "sentinelone.process_access": (
        S1 | {"eventType": "Remote Thread Creation", "tgtProcName": "lsass.exe", "srcProcName": "a.exe"},
        {"activity": "Inject", "process.name": "lsass.exe", "actor.process.name": "a.exe"},
    ),
    "sentinelone.network": (
        S1 | {"eventType": "IP Connect", "dstIp": "198.51.100.23", "dstPort": 443, "netEventDirection": "OUTGOING"},
        {"activity": "Open", "connection.direction": "Outbound", "dst_endpoint.ip": "198.51.100.23"},
    ),
    "sentinelone.url": (
        S1 | {"eventType": "GET", "url": "http://x.example/a", "srcProcName": "a.exe"},
        {"activity": "Open", "url.url_string": "http://x.example/a", "connection.direction": "Outbound"},
    ),
    "sentinelone.dns": (
        S1 | {"eventType": "DNS Resolved", "dnsRequest": "x.example", "dnsResponse": "10.0.0.1;10.0.0.2;"},
        {"query.hostname": "x.example", "answers": ["10.0.0.1", "10.0.0.2"]},
    ),
    "sentinelone.file": (
        S1 | {"eventType": "File Rename", "tgtFilePath": "/tmp/b", "tgtFileOldPath": "/tmp/a", "tgtFileSize": "12"},
        {"activity": "Rename", "file.name": "b", "file.previous_path": "/tmp/a", "file.size": 12},
    ),
    "sentinelone.module": (
        S1 | {"eventType": "Module Load", "modulePath": "C:\\x\\m.dll", "moduleSignedStatus": "unsigned"},
        {"activity": "Load", "module.name": "m.dll", "module.signed": "false"},
    ),
    "sentinelone.registry": (
        S1 | {"eventType": "Registry Value Modified", "registryKeyPath": "MACHINE\\Run\\x", "registryValue": "v"},
        {"activity": "Set", "reg.path": "MACHINE\\Run\\x", "reg.value_name": "x"},
    ),
    "sentinelone.scheduled_job": (
        S1 | {"eventType": "Task Register", "taskName": "\\t"},
        {"activity": "Create", "job.name": "\\t"},
    ),
    "sentinelone.script": (
        S1 | {"eventType": "Command Script", "srcProcCmdScript": "iex $x"},
        {"activity": "Execute", "script.content": "iex $x"},
    ),
    "sentinelone.authentication": (
        S1 | {"eventType": "Login", "loginsUserName": "svc", "loginAccountDomain": "CORP", "srcMachineIp": "10.1.2.4",
              "loginType": "NETWORK", "loginIsSuccessful": True},
        {"activity": "Logon", "status": "Success", "user.name": "svc", "logon_type": "Network",
         "src_endpoint.ip": "10.1.2.4"},
    ),
    "sentinelone.threats": (
        {
            "id": "99",
            "threatInfo": {"createdAt": "2026-11-01T10:00:00.123Z", "threatName": "x.exe", "confidenceLevel": "suspicious",
                           "incidentStatus": "unresolved", "filePath": "C:\\Windows\\Temp\\x.exe", "sha256": "ab",
                           "processUser": "CORP\\svc", "mitigationStatus": "not_mitigated"},
            "agentRealtimeInfo": {"agentComputerName": "SRV-9", "agentId": "7", "agentNetworkStatus": "connected"},
        },
        {"finding.uid": "99", "finding.product": "SentinelOne", "severity": "Medium", "finding.status": "New",
         "device.hostname": "SRV-9", "device.containment": "normal", "user.name": "svc", "file.name": "x.exe",
         "mitigation": "not_mitigated"},
    ),
    "sentinelone.agents": (
        {"id": "7", "computerName": "SRV-9", "lastActiveDate": "2026-11-01T10:00:00.123Z", "osName": "Windows Server",
         "networkStatus": "disconnected", "lastIpToMgmt": "10.1.2.9"},
        {"device.uid": "7", "device.hostname": "SRV-9", "device.containment": "contained", "device.ip": "10.1.2.9"},
    ),
    "sentinel.signin": (
        LOG | {"UserPrincipalName": "bob@corp.example", "ResultType": "50126", "IPAddress": "203.0.113.140",
               "Location": "DE", "AppDisplayName": "IMAP", "AuthenticationRequirement": "singleFactorAuthentication",
               "LocationDetails": '{"city": "Berlin"}', "DeviceDetail": {"displayName": ""}, "Status": "{}"},
        {"activity": "Logon", "status": "Failure", "user.name": "bob", "user.domain": "corp.example",
         "src_endpoint.ip": "203.0.113.140", "src_endpoint.location.city": "Berlin", "is_mfa": "false"},
    ),
    "sentinel.audit_directory": (
        LOG | {"Category": "RoleManagement", "OperationName": "Add member to role", "Result": "success",
               "InitiatedBy": json.dumps({"user": {"userPrincipalName": "svc@corp.example", "ipAddress": "192.0.2.91"}}),
               "TargetResources": json.dumps([{"userPrincipalName": "bob@corp.example", "modifiedProperties": [
                   {"newValue": "x"}, {"newValue": '"Global Administrator"'}]}])},
        {"activity": "Add member to role", "status": "Success", "actor.user.name": "svc", "user.name": "bob",
         "src_endpoint.ip": "192.0.2.91", "role.name": "Global Administrator"},
    ),
    "sentinel.audit_application": (
        LOG | {"Category": "ApplicationManagement", "OperationName": "Consent to application", "Result": "success",
               "InitiatedBy": {"user": {"userPrincipalName": "bob@corp.example"}},
               "TargetResources": [{"displayName": "Calendar Pro"}]},
        {"activity": "Consent to application", "app.name": "Calendar Pro", "user.name": "bob"},
    ),
    "sentinel.office": (
        LOG | {"Operation": "FileDownloaded", "OfficeWorkload": "SharePoint", "UserId": "bob@corp.example",
               "ClientIP": "192.0.2.77", "OfficeObjectId": "https://x/y.docx", "ResultStatus": "Succeeded"},
        {"activity": "FileDownloaded", "status": "Success", "user.name": "bob", "src_endpoint.ip": "192.0.2.77"},
    ),
    "sentinel.cloud_app": (
        LOG | {"ActionType": "MailItemsAccessed", "Application": "Microsoft Exchange Online", "IPAddress": "203.0.113.150",
               "RawEventData": json.dumps({"UserId": "bob@corp.example", "OperationCount": 12})},
        {"api.operation": "MailItemsAccessed", "user.name": "bob", "api.count": 12},
    ),
    "sentinel.azure": (
        LOG | {"OperationNameValue": "MICROSOFT.STORAGE/STORAGEACCOUNTS/WRITE", "ActivityStatusValue": "Success",
               "Caller": "bob@corp.example", "CallerIpAddress": "192.0.2.10", "_ResourceId": "/subscriptions/1"},
        {"status": "Success", "user.name": "bob", "resource.name": "/subscriptions/1"},
    ),
    "sentinel.aws": (
        LOG | {"EventName": "CreateUser", "EventSource": "iam.amazonaws.com", "UserIdentityUserName": "ci",
               "SourceIpAddress": "198.51.100.77", "AwsEventId": "e1"},
        {"api.operation": "CreateUser", "user.name": "ci", "src_endpoint.ip": "198.51.100.77"},
    ),
    "sentinel.email": (
        LOG | {"NetworkMessageId": "m1", "SenderFromAddress": "a@x.example", "RecipientEmailAddress": "bob@corp.example",
               "Subject": "Overdue", "DeliveryAction": "Delivered", "SenderIPv4": "192.0.2.5", "UrlCount": 1},
        {"email.uid": "m1", "email.from": "a@x.example", "email.delivery_action": "Delivered", "email.url_count": 1},
    ),
    "sentinel.email_attachment": (
        LOG | {"NetworkMessageId": "m1", "FileName": "a.docm", "SHA256": "ab", "SenderFromAddress": "a@x.example"},
        {"email.uid": "m1", "file.name": "a.docm", "file.hash.sha256": "ab"},
    ),
    "sentinel.email_url": (
        LOG | {"NetworkMessageId": "m1", "Url": "http://x.example/login"},
        {"email.uid": "m1", "url.url_string": "http://x.example/login"},
    ),
    "sentinel.url_click": (
        LOG | {"ActionType": "ClickAllowed", "AccountUpn": "bob@corp.example", "Url": "http://x.example/login",
               "IsClickedThrough": "true"},
        {"activity": "ClickAllowed", "user.name": "bob", "is_allowed": True},
    ),
    "sentinel.alert": (
        LOG | {"SystemAlertId": "a1", "DisplayName": "Spray", "AlertSeverity": "High", "Techniques": '["T1110"]'},
        {"finding.uid": "a1", "finding.title": "Spray", "severity": "High", "attacks.technique": ["T1110"]},
    ),
    "sentinel.incident": (
        LOG | {"IncidentName": "i1", "Title": "Spray", "Severity": "High", "Status": "New",
               "AdditionalData": '{"tactics": ["CredentialAccess"], "techniques": ["T1110"]}'},
        {"finding.uid": "i1", "attacks.tactic": ["CredentialAccess"], "attacks.technique": ["T1110"]},
    ),
    "sentinel.logon": (
        LOG | {"EventID": 4625, "TargetUserName": "bob", "TargetDomainName": "CORP", "LogonType": 3,
               "IpAddress": "::ffff:10.1.2.4", "WorkstationName": "-", "IpPort": "0"},
        {"activity": "Logon", "status": "Failure", "user.name": "bob", "logon_type": "Network",
         "src_endpoint.ip": "10.1.2.4"},
    ),
    "sentinel.logoff": (
        LOG | {"EventID": 4634, "TargetUserName": "bob", "TargetLogonId": "0x1"},
        {"activity": "Logoff", "status": "Success", "session.uid": "0x1"},
    ),
    "sentinel.explicit_credentials": (
        LOG | {"EventID": 4648, "SubjectUserName": "bob", "TargetUserName": "admin", "ProcessName": "C:\\x\\r.exe"},
        {"activity": "Explicit Credentials", "actor.user.name": "bob", "user.name": "admin", "actor.process.name": "r.exe"},
    ),
    "sentinel.special_privileges": (
        LOG | {"EventID": 4672, "SubjectUserName": "bob"},
        {"activity": "Special Privileges", "user.name": "bob"},
    ),
    "sentinel.authentication_ticket": (
        LOG | {"EventID": 4771, "TargetUserName": "bob", "Status": "0x18", "IpAddress": "10.1.2.4"},
        {"activity": "Authentication Ticket", "status": "Failure", "user.name": "bob"},
    ),
    "sentinel.service_ticket": (
        LOG | {"EventID": 4769, "TargetUserName": "bob@CORP.EXAMPLE", "ServiceName": "svc-sql", "Status": "0x0",
               "EventData": '<EventData><Data Name="TicketEncryptionType">0x17</Data></EventData>'},
        {"activity": "Service Ticket", "status": "Success", "service.name": "svc-sql", "ticket.encryption": "0x17",
         "user.name": "bob"},
    ),
    "sentinel.credential_validation": (
        LOG | {"EventID": 4776, "TargetUserName": "bob", "Status": "0xc000006a", "Workstation": "PC-9"},
        {"activity": "Credential Validation", "status": "Failure", "src_endpoint.hostname": "PC-9"},
    ),
    "sentinel.process": (
        LOG | {"EventID": 4688, "NewProcessName": "C:\\Windows\\System32\\whoami.exe", "NewProcessId": "0x2c",
               "ParentProcessName": "C:\\Windows\\System32\\cmd.exe", "SubjectUserName": "bob"},
        {"activity": "Launch", "process.name": "whoami.exe", "actor.process.name": "cmd.exe", "actor.user.name": "bob"},
    ),
    "sentinel.process_end": (
        LOG | {"EventID": 4689, "ProcessName": "C:\\x\\whoami.exe"},
        {"activity": "Terminate", "process.name": "whoami.exe"},
    ),
    "sentinel.service": (
        LOG | {"EventID": 4697, "ServiceName": "svc", "ServiceFileName": "c:\\s.exe", "SubjectUserName": "bob"},
        {"activity": "Create", "service.name": "svc", "service.cmd_line": "c:\\s.exe"},
    ),
    "sentinel.service_system_log": (
        LOG | {"EventLog": "System", "EventID": 7045,
               "EventData": '<DataItem><EventData><Data Name="ServiceName">a &amp; b</Data></EventData></DataItem>'},
        {"activity": "Create", "service.name": "a & b"},
    ),
    "sentinel.job": (
        LOG | {"EventID": 4699, "EventData": "<Data Name='TaskName'>\\t</Data>"},
        {"activity": "Delete", "job.name": "\\t"},
    ),
    "sentinel.share": (
        LOG | {"EventID": 5140, "ShareName": "\\\\*\\C$", "IpAddress": "10.1.2.4", "SubjectUserName": "bob"},
        {"activity": "Open", "share.name": "\\\\*\\C$", "src_endpoint.ip": "10.1.2.4", "actor.user.name": "bob"},
    ),
    "sentinel.account": (
        LOG | {"EventID": 4720, "TargetUserName": "new", "SubjectUserName": "bob"},
        {"activity": "User created", "user.name": "new", "actor.user.name": "bob"},
    ),
    "sentinel.group": (
        LOG | {"EventID": 4728, "TargetUserName": "Domain Admins", "MemberName": "CN=bob", "SubjectUserName": "x"},
        {"activity": "Member added to global group", "group.name": "Domain Admins", "user.name": "CN=bob"},
    ),
    "defender.process": (
        MDE | {"ActionType": "ProcessCreated", "FileName": "whoami.exe", "ProcessId": 44, "AccountName": "bob",
               "InitiatingProcessFileName": "cmd.exe", "InitiatingProcessAccountName": "other"},
        {"activity": "Launch", "process.name": "whoami.exe", "actor.user.name": "bob", "actor.process.name": "cmd.exe"},
    ),
    "defender.process_open": (
        MDE | {"ActionType": "OpenProcessApiCall", "FileName": "lsass.exe", "InitiatingProcessFileName": "a.exe",
               "AdditionalFields": '{"DesiredAccess": 2097151}'},
        {"activity": "Open", "process.name": "lsass.exe", "process.access_mask": 2097151},
    ),
    "defender.script": (
        MDE | {"ActionType": "PowerShellCommand", "AdditionalFields": '{"Command": "iex"}'},
        {"activity": "Execute", "script.content": "iex"},
    ),
    "defender.service": (
        MDE | {"ActionType": "ServiceInstalled", "AdditionalFields": '{"ServiceName": "svc"}', "FolderPath": "c:\\s.exe"},
        {"activity": "Create", "service.name": "svc", "service.cmd_line": "c:\\s.exe"},
    ),
    "defender.job": (
        MDE | {"ActionType": "ScheduledTaskCreated", "AdditionalFields": {"TaskName": "\\t"}},
        {"activity": "Create", "job.name": "\\t"},
    ),
    "defender.network_outbound": (
        MDE | {"ActionType": "ConnectionFailed", "RemoteIP": "203.0.113.9", "RemotePort": 443, "Protocol": "Tcp"},
        {"activity": "Refuse", "connection.direction": "Outbound", "dst_endpoint.port": 443, "connection.protocol": "tcp"},
    ),
    "defender.network_inbound": (
        MDE | {"ActionType": "InboundConnectionAccepted", "RemoteIP": "10.1.2.4", "LocalPort": 445},
        {"connection.direction": "Inbound", "src_endpoint.ip": "10.1.2.4", "dst_endpoint.port": 445},
    ),
    "defender.dns": (
        MDE | {"ActionType": "DnsQueryResponse", "AdditionalFields": '{"DnsQueryString": "x.example"}'},
        {"activity": "Query", "query.hostname": "x.example"},
    ),
    "defender.file": (
        MDE | {"ActionType": "FileCreated", "FileName": "a.exe", "FolderPath": "C:\\a.exe", "FileSize": "7"},
        {"activity": "Create", "file.name": "a.exe", "file.size": 7},
    ),
    "defender.module": (
        MDE | {"ActionType": "ImageLoaded", "FileName": "m.dll", "FolderPath": "C:\\m.dll"},
        {"activity": "Load", "module.name": "m.dll"},
    ),
    "defender.registry": (
        MDE | {"ActionType": "RegistryValueSet", "RegistryKey": "HKLM\\Run", "RegistryValueName": "x"},
        {"activity": "Set", "reg.path": "HKLM\\Run", "reg.value_name": "x"},
    ),
    "defender.logon": (
        MDE | {"ActionType": "LogonSuccess", "AccountName": "bob", "AccountDomain": "corp", "LogonType": "Network",
               "RemoteIP": "10.1.2.4"},
        {"activity": "Logon", "status": "Success", "user.name": "bob", "user.domain": "corp", "logon_type": "Network"},
    ),
    "defender.identity_logon": (
        {"Timestamp": "2026-11-01T10:00:00Z", "ActionType": "LogonFailed", "AccountName": "bob", "DeviceName": "PC-9",
         "DestinationDeviceName": "DC-9", "IPAddress": "10.1.2.4", "Protocol": "Kerberos"},
        {"status": "Failure", "device.hostname": "DC-9", "src_endpoint.hostname": "PC-9", "user.name": "bob"},
    ),
    "defender.alert": (
        {"Timestamp": "2026-11-01T10:00:00Z", "AlertId": "da1", "Title": "x", "Severity": "High",
         "AttackTechniques": '["Pass the Hash (T1550.002)"]'},
        {"finding.uid": "da1", "finding.title": "x", "severity": "High"},
    ),
    "defender.alert_evidence": (
        {"Timestamp": "2026-11-01T10:00:00Z", "AlertId": "da1", "Title": "x", "DeviceName": "lap-9", "FileName": "a.exe",
         "EntityType": "Process"},
        {"finding.uid": "da1", "device.hostname": "lap-9", "file.name": "a.exe"},
    ),
    "defender.device": (
        {"Timestamp": "2026-11-01T10:00:00Z", "DeviceName": "lap-9.corp.example", "DeviceId": "d1",
         "LoggedOnUsers": '[{"UserName": "bob"}]', "PublicIP": "192.0.2.10"},
        {"device.hostname": "lap-9.corp.example", "device.uid": "d1", "device.last_user": "bob"},
    ),
}  # fmt: skip

VIEWS = {view.id: view for view in all_views()}


def test_every_view_has_a_row() -> None:
    assert set(ROWS) == set(VIEWS)


@pytest.mark.parametrize("view_id", ROWS)
@pytest.mark.parametrize("compiled", [True, False])
def test_vendor_row_becomes_its_event(view_id: str, compiled: bool, query: Callable[..., Any]) -> None:
    view = VIEWS[view_id]
    row, expected = ROWS[view_id]
    asked = query(view.platform, view.collection, view.event_class if compiled else None, compiled=compiled)
    event = standard().event(asked, row, "E-1")
    assert event.event_class is view.event_class
    assert {name: event.fields.get(name) for name in expected} == expected
    assert event.time is not None
    assert event.time.replace(microsecond=0) == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert event.fields["time"].startswith("2026-11-01T10:00:00.")
    assert set(event.fields) <= ATTRIBUTES[view.event_class]
    assert event.host in (None, "PC-9", "SRV-9", "LAP-9", "DC-9")
    assert event.user is None or not set(event.user) & set("\\@")
    json.dumps(event.fields, allow_nan=False).encode()


def test_reading_a_row_twice_gives_the_same_event_and_changes_nothing(query: Callable[..., Any]) -> None:
    row, _ = ROWS["falcon.alerts"]
    before = json.dumps(row)
    asked = query(Platform.FALCON, "alerts")
    assert standard().event(asked, row, "E-1") == Normaliser().event(asked, row, "E-1")
    assert json.dumps(row) == before


def test_raw_row_that_fits_no_view_is_read_by_its_names(query: Callable[..., Any]) -> None:
    asked = query(Platform.SENTINEL, "Heartbeat", language=Language.KQL)
    event = standard().event(
        asked,
        {"max_TimeGenerated": "2026-11-01 10:00:00Z", "Computer": "srv-9.corp", "AccountName": "CORP\\bob"},
        "E-1",
    )
    assert event.event_class is EventClass.BASE
    assert (event.host, event.user) == ("SRV-9", "bob")
    assert event.time == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert not is_unparsed(event.fields)


@pytest.mark.parametrize("row", [{}, {"count_": 7}, {"x": None, "y": "z"}])
def test_row_that_says_nothing_is_marked(row: dict[str, Any], query: Callable[..., Any]) -> None:
    event = standard().event(query(Platform.SENTINEL, "Heartbeat", language=Language.KQL), row, "E-1")
    assert is_unparsed(event.fields)
    assert event.time is None


def test_projection_that_drops_the_selecting_column_is_read_where_one_class_is_possible(
    query: Callable[..., Any],
) -> None:
    row = {"Timestamp": "2026-11-01T10:00:00Z", "DeviceName": "lap-9", "FileName": "a.exe", "ProcessCommandLine": "a"}
    event = standard().event(query(Platform.DEFENDER, "DeviceProcessEvents", language=Language.KQL), row, "E-1")
    assert event.event_class is EventClass.PROCESS
    assert event.fields["process.cmd_line"] == "a"


def test_row_of_another_class_is_not_forced_into_the_asked_one(query: Callable[..., Any]) -> None:
    row, _ = ROWS["sentinelone.dns"]
    event = standard().event(query(Platform.SENTINELONE, "events", EventClass.PROCESS), row, "E-1")
    assert event.event_class is EventClass.DNS


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("2026-11-01T10:00:00Z", "datetime", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01T12:00:00.123456789+02:00", "datetime", datetime(2026, 11, 1, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2026-11-01 10:00:00", "datetime", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01 10:00:00 UTC", "datetime", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        (1793527200, "epoch_s", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("1793527200123", "epoch_ms", datetime(2026, 11, 1, 10, 0, 0, 123000, tzinfo=UTC)),
        (1793527200123456, "datetime", datetime(2026, 11, 1, 10, 0, 0, 123456, tzinfo=UTC)),
        (1793527200123456789, "datetime", datetime(2026, 11, 1, 10, 0, 0, 123456, tzinfo=UTC)),
        ("1793527200.5", "datetime", datetime(2026, 11, 1, 10, 0, 0, 500000, tzinfo=UTC)),
        ("yesterday", "datetime", None),
        ("", "datetime", None),
        (None, "datetime", None),
        (True, "epoch_s", None),
        (float("nan"), "epoch_ms", None),
        (1e300, "epoch_ms", None),
        ("9" * 400, "datetime", None),
        ("0001-01-01T00:00:00+14:00", "datetime", None),
    ],
)
def test_times(value: Any, kind: str, expected: datetime | None) -> None:
    assert parse_time(value, kind) == expected


def test_names_and_numbers() -> None:
    assert split_account("CORP\\bob") == ("bob", "CORP")
    assert split_account("bob@corp.example") == ("bob", "corp.example")
    assert split_account("NT AUTHORITY\\SYSTEM") == ("SYSTEM", "NT AUTHORITY")
    assert split_account("bob") == ("bob", "")
    assert short_host("\\\\srv-9.corp.example") == "SRV-9"
    assert short_host("10.1.2.3") == "10.1.2.3"
    assert short_host("-") is None
    assert parse_int("0x1f4") == 500
    assert parse_int("12.0") == 12
    assert parse_int("twelve") is None
    assert event_data('<Data Name="A">1</Data><Data Name="AB">2</Data>', "AB") == "2"
    assert event_data("<Data Name='A'>" + "x" * 10, "A") is None
