"""Stories in the cloud and in mail: S2, S3, S4, S5, S8, S10, S12, told in offsets before the end (KESTREL facts)."""

import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from .identity import digest, guid
from .scene import Scene

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Edg/131.0"
_NAMED = [{"networkType": "namedNetwork", "networkNames": ["Company VPN egress"]}]
_RESULTS = {"0": "", "50126": "Invalid username or password.", "50053": "Account is locked."}


def signin(
    scene: Scene, when: datetime, user: str, ip: str, city: str, country: str, *, session: str = "", result: str = "0",
    client: str = "Browser", mfa: bool = True, detail: str = "", app: str = "Office 365 Exchange Online", story: str = "",
    agent: str = BROWSER,
) -> None:  # fmt: skip
    """A sign-in to the cloud directory."""
    # Sessions belong to browsers: legacy protocols have none. One from another address is another one.
    usual = guid("session", user, when.date(), ip) if client == "Browser" else ""
    requirement = "multiFactorAuthentication" if mfa else "singleFactorAuthentication"
    row = {
        "Id": guid("signin", user, when.isoformat(), ip), "UserPrincipalName": f"{user}@{scene.domain}",
        "UserId": guid("user", user), "UserDisplayName": user, "UserType": "Member", "IPAddress": ip, "Location": country,
        "LocationDetails": {"city": city, "countryOrRegion": country}, "ResultType": result,
        "ResultDescription": _RESULTS.get(result, ""), "ClientAppUsed": client, "AppDisplayName": app,
        "ResourceDisplayName": app, "AuthenticationRequirement": requirement, "UserAgent": agent, "IsInteractive": True,
        "SessionId": session or usual, "RiskLevelDuringSignIn": "none", "RiskState": "none",
        "ConditionalAccessStatus": "success" if mfa else "notApplied", "CorrelationId": guid("corr", user, when.isoformat()),
        "Status": {"errorCode": int(result), "additionalDetails": detail}, "OperationName": "Sign-in activity",
        "Category": "SignInLogs", "NetworkLocationDetails": json.dumps(_NAMED if ip == scene.egress else []),
    }  # fmt: skip
    scene.cloud(when, "SigninLogs", row, story)


def audit(
    scene: Scene, when: datetime, operation: str, category: str, actor: str, target: str, ip: str, story: str = "", *,
    properties: Sequence[Mapping[str, str]] = (), name: str = "", detail: str = "",
) -> None:  # fmt: skip
    """A change in the cloud directory."""
    person = {"userPrincipalName": f"{actor}@{scene.domain}", "id": guid("user", actor), "ipAddress": ip}
    changed = {
        "userPrincipalName": f"{target}@{scene.domain}" if target else None, "id": guid("user", target or name),
        "displayName": name or target, "type": "User" if target else "ServicePrincipal",
        "modifiedProperties": list(properties),
    }  # fmt: skip
    row = {
        "Id": guid("audit", operation, actor, target, when.isoformat()), "OperationName": operation, "Category": category,
        "ActivityDisplayName": operation, "ActivityDateTime": when, "Result": "success", "ResultReason": detail,
        "LoggedByService": "Core Directory", "InitiatedBy": {"user": person}, "TargetResources": [changed],
        "CorrelationId": guid("audit-corr", operation, when.isoformat()),
    }  # fmt: skip
    scene.cloud(when, "AuditLogs", row, story)


def office(
    scene: Scene,
    when: datetime,
    user: str,
    operation: str,
    workload: str,
    ip: str,
    item: str,
    story: str = "",
    **more: Any,
) -> None:
    """An action in Microsoft 365."""
    kinds = {"Exchange": "ExchangeAdmin", "SharePoint": "SharePointFileOperation"}
    row = {
        "OfficeId": guid("office", user, operation, item, when.isoformat()), "Operation": operation,
        "OfficeWorkload": workload, "RecordType": kinds.get(workload, workload), "ResultStatus": "Succeeded",
        "UserId": f"{user}@{scene.domain}", "ClientIP": ip, "OfficeObjectId": item, **more,
    }  # fmt: skip
    scene.cloud(when, "OfficeActivity", row, story)


def download(scene: Scene, when: datetime, user: str, ip: str, site: str, name: str, story: str = "") -> None:
    """A file downloaded from SharePoint."""
    tenant = scene.domain.partition(".")[0]
    home = f"https://{tenant}.sharepoint.com/sites/{site}"
    office(
        scene, when, user, "FileDownloaded", "SharePoint", ip, f"{home}/Shared Documents/{name}", story,
        ItemType="File", Site_Url=home, SourceFileName=name, UserAgent=BROWSER,
    )  # fmt: skip


def campaign(scene: Scene, world: Mapping[str, Any]) -> None:
    """S12: 23 mails, 9 with the document, 14 with a link; 6 quarantined; five clicks; one password; two reports."""
    facts, company = world["campaign"], world["company"]["domain"]
    people = list(world["people"])
    crowd = [f"{name}.{family}" for name, family in zip(world["given"], world["family"], strict=False)]
    link = f"http://{facts['domain']}/login"
    clickers = ["d.okoye", "t.brandt", *crowd[:3]]
    recipients = [("m.alvarez", True), *((name, True) for name in crowd[10:18])]
    recipients += [(name, False) for name in clickers] + [(name, False) for name in [*people[3:7], *crowd[3:8]]]
    sent = scene.at(hours=33)
    for number, (user, with_file) in enumerate(recipients):
        when = sent + timedelta(seconds=7 * number)
        message = guid("mail", number, facts["domain"])
        stopped = number in (4, 6, 8, 18, 20, 22)
        subject = world["hostile"]["subject"] if number == 12 else facts["subject"]
        mail = {
            "NetworkMessageId": message, "SenderFromAddress": f"{facts['sender']}@{facts['domain']}",
            "SenderMailFromAddress": f"{facts['sender']}@{facts['domain']}", "SenderDisplayName": "Kestrel Freight Billing",
            "SenderFromDomain": facts["domain"], "SenderIPv4": world["external"]["mailer"],
            "RecipientEmailAddress": f"{user}@{company}", "Subject": subject, "EmailDirection": "Inbound",
            "DeliveryAction": "Blocked" if stopped else "Delivered",
            "DeliveryLocation": "Quarantine" if stopped else "Inbox/folder", "ThreatTypes": "Phish" if stopped else "",
            "AttachmentCount": int(with_file), "UrlCount": int(not with_file),
        }  # fmt: skip
        scene.cloud(when, "EmailEvents", mail, "S12")
        shared = {key: mail[key] for key in ("NetworkMessageId", "SenderFromAddress", "RecipientEmailAddress")}
        if with_file:
            file = {
                "FileName": world["files"][0],
                "FileType": "docm",
                "SHA256": digest("file", world["files"][0].lower()),
            }
            scene.cloud(when, "EmailAttachmentInfo", shared | file, "S12")
        else:
            address = {"NetworkMessageId": message, "Url": link, "UrlDomain": facts["domain"], "UrlLocation": "Body"}
            scene.cloud(when, "EmailUrlInfo", address, "S12")
            if user in clickers:
                pressed = scene.at(hours=32, minutes=8) if user == "d.okoye" else when + timedelta(minutes=11 + number)
                click = {
                    "Url": link, "ActionType": "ClickAllowed", "AccountUpn": f"{user}@{company}", "Workload": "Email",
                    "NetworkMessageId": message, "IPAddress": world["external"]["vpn"], "IsClickedThrough": True,
                }  # fmt: skip
                scene.cloud(pressed, "UrlClickEvents", click, "S12")
    form = {
        "Url": f"{link}/submit", "ActionType": "ClickAllowed", "AccountUpn": f"d.okoye@{company}", "Workload": "Browser",
        "IPAddress": world["external"]["vpn"], "IsClickedThrough": True,
    }  # fmt: skip
    scene.cloud(scene.at(hours=32), "UrlClickEvents", form, "S12")
    for user, minutes in (("l.haas", 1920), (crowd[4], 1900)):
        office(
            scene, scene.at(minutes=minutes), user, "UserSubmission", "SecurityComplianceCenter", world["external"]["vpn"],
            facts["subject"], "S12", Parameters=f"reported mail from {facts['sender']}@{facts['domain']} as phishing",
        )  # fmt: skip


def session(scene: Scene, world: Mapping[str, Any]) -> None:
    """S2: a stolen session, a new authenticator, a forwarding rule, a mass download."""
    user, thief = "d.okoye", world["external"]["session_thief"]
    stolen = guid("stolen-session", user)
    signin(scene, scene.at(hours=31), user, world["external"]["vpn"], "Hamburg", "DE", session=stolen, story="S2")
    signin(
        scene, scene.at(hours=30), user, thief, "Amsterdam", "NL", session=stolen, story="S2",
        detail="MFA requirement satisfied by claim in the token",
    )  # fmt: skip
    audit(
        scene, scene.at(hours=29, minutes=30), "User registered security info", "UserManagement", user, user, thief, "S2",
        detail="User registered Authenticator App with Notification and Code",
    )  # fmt: skip
    rule = [
        {"Name": "Name", "Value": "."}, {"Name": "SubjectContainsWords", "Value": "invoice"},
        {"Name": "ForwardTo", "Value": world["campaign"]["drop"]}, {"Name": "StopProcessingRules", "Value": "True"},
    ]  # fmt: skip
    office(
        scene, scene.at(hours=29), user, "New-InboxRule", "Exchange", thief, ".", "S2", ResultStatus="True",
        Parameters=json.dumps(rule, separators=(",", ":")),
    )  # fmt: skip
    for number in range(214):
        when = scene.at(hours=28) + timedelta(seconds=3 * number)
        download(scene, when, user, thief, "Contracts", f"contract_{number:04d}.pdf", "S2")


def consent(scene: Scene, world: Mapping[str, Any]) -> None:
    """S3: consent to an app of an unverified publisher, which then reads 1,140 mails."""
    user, reader, when = "h.lindqvist", world["external"]["consent_reader"], scene.at(days=3)
    scopes = [
        {"displayName": "ConsentAction.Permissions", "oldValue": "", "newValue": "Scope: Mail.Read offline_access"}
    ]
    audit(
        scene, when, "Consent to application", "ApplicationManagement", user, "", world["external"]["vpn"], "S3",
        properties=scopes, name=world["hostile"]["app"], detail="publisher unverified",
    )  # fmt: skip
    for number in range(95):
        read, batch = when + timedelta(minutes=10 + 30 * number), f"Inbox batch {number}"
        office(
            scene, read, user, "MailItemsAccessed", "Exchange", reader, batch, "S3",
            RecordType="ExchangeItemAggregated", ClientInfoString=world["app"]["name"], Parameters="12 items",
        )  # fmt: skip
        _mails_seen_by_cloud_apps(scene, read, user, reader, batch, world["app"]["name"], 12)


def _mails_seen_by_cloud_apps(
    scene: Scene, when: datetime, user: str, ip: str, item: str, app: str, mails: int
) -> None:
    """The same aggregated access as Defender for Cloud Apps reports it, with the number of mails that it stands for."""
    audited = {
        "Operation": "MailItemsAccessed", "Workload": "Exchange", "UserId": f"{user}@{scene.domain}", "ClientIPAddress": ip,
        "OperationCount": mails, "AppDisplayName": app, "ClientInfoString": app,
    }  # fmt: skip
    row = {
        "ReportId": guid("cloud-app", user, item, when.isoformat()), "ActionType": "MailItemsAccessed",
        "ActivityType": "Access", "Application": "Microsoft Exchange Online", "AccountObjectId": guid("user", user),
        "AccountDisplayName": user, "IPAddress": ip, "ObjectName": item, "ObjectType": "Mail", "RawEventData": audited,
    }  # fmt: skip
    scene.cloud(when, "CloudAppEvents", row, "S3")


def role(scene: Scene, world: Mapping[str, Any]) -> None:
    """S4: a service account makes a person Global Administrator at night, and takes it back later."""
    actor, user, ip = "svc-idm", "p.novak", world["external"]["role_actor"]
    # 02:14 in Hamburg is 01:14 UTC in winter, which the lab's dates are in.
    night = scene.at(days=4).replace(hour=1, minute=14, second=0, microsecond=0)
    signin(
        scene,
        night - timedelta(minutes=3),
        actor,
        ip,
        "Warsaw",
        "PL",
        mfa=False,
        story="S4",
        app="Microsoft Graph PowerShell",
    )
    for when, operation, key in (
        (night, "Add member to role", "newValue"),
        (scene.at(days=3, hours=18), "Remove member from role", "oldValue"),
    ):
        properties = [
            {"displayName": "Role.ObjectID", key: json.dumps(guid("role", "global-administrator"))},
            {"displayName": "Role.DisplayName", key: '"Global Administrator"'},
        ]
        audit(scene, when, operation, "RoleManagement", actor, user, ip, "S4", properties=properties)


def spray(scene: Scene, world: Mapping[str, Any]) -> None:
    """S5: eight addresses try 38 accounts over 40 minutes; one gets in over IMAP without a second factor."""
    draw = random.Random("spray")
    crowd = [f"{given}.{family}" for family in world["family"] for given in world["given"][:2]]
    accounts = [*world["people"], *crowd][:38]
    start, sources = scene.at(days=2), world["external"]["spray"]
    for number, user in enumerate(accounts):
        for attempt in range(draw.randint(3, 5)):
            when = start + timedelta(seconds=61 * number + 14 * attempt)
            signin(
                scene, when, user, sources[(number + attempt) % 8], "Sofia", "BG", result="50126", client="IMAP4",
                mfa=False, agent="BAV2ROPC", story="S5",
            )  # fmt: skip
    signin(
        scene, start + timedelta(minutes=39), "k.ferreira", sources[5], "Sofia", "BG", client="IMAP4", mfa=False,
        agent="BAV2ROPC", story="S5",
    )  # fmt: skip


def leaver(scene: Scene, world: Mapping[str, Any]) -> None:
    """S8 in the cloud: 3,206 files from one site within eight days, where fifteen a day are usual."""
    user, ip = "l.haas", world["external"]["vpn"]
    days = [scene.at(days=day) for day in range(9, 0, -1)]
    share, rest = divmod(3_206, len(days) - 1)
    number = 0
    for index, day in enumerate(days[:-1]):
        for at in range(share + (index < rest)):
            download(
                scene, day + timedelta(seconds=25 * at), user, ip, "Customers", f"customer_{number:04d}.docx", "S8"
            )
            number += 1
    for ago in range(13, 9, -1):
        for at in range(15):
            when = scene.at(days=ago) + timedelta(minutes=7 * at)
            download(scene, when, user, ip, "Customers", f"customer_{(ago * 31 + at) % 900:04d}.docx")


def key(scene: Scene, world: Mapping[str, Any]) -> None:
    """S10: a deployment key used from elsewhere makes a user and opens a bucket; storage opened by mistake, and shut."""
    thief, agent, user = world["external"]["key_thief"], world["hostile"]["user_agent"], "ci-deploy"
    calls: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("ListBuckets", "s3.amazonaws.com", {}),
        ("CreateUser", "iam.amazonaws.com", {"userName": "support-svc"}),
        ("AttachUserPolicy", "iam.amazonaws.com",
         {"userName": "support-svc", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        ("PutBucketPolicy", "s3.amazonaws.com",
         {"bucketName": "kestrel-manifests", "policy": {"Principal": "*", "Effect": "Allow"}}),
    )  # fmt: skip
    for number, (name, source, parameters) in enumerate(calls):
        when = scene.at(days=2, hours=6) + timedelta(minutes=2 * number)
        _call(scene, when, user, name, source, parameters, thief, agent, "S10")
    for day in range(13):
        when = scene.at(days=day, hours=5)
        parameters = {"bucketName": "kestrel-manifests", "key": f"manifest-{day}.json"}
        _call(
            scene, when, user, "PutObject", "s3.amazonaws.com", parameters, world["external"]["vpn"], "aws-cli/2.15", ""
        )
    for minutes, public in ((0, True), (50, False)):
        when = scene.at(days=5, hours=3) + timedelta(minutes=minutes)
        _storage(scene, when, "s.meyer", world["external"]["vpn"], public)


def _call(
    scene: Scene, when: datetime, user: str, name: str, source: str, parameters: Mapping[str, Any], ip: str, agent: str,
    story: str,
) -> None:  # fmt: skip
    key = "AKIA" + digest("aws-key", scene.rename(user))[:16].upper()
    row = {
        "AwsEventId": guid("aws", name, ip, when.isoformat()), "EventName": name, "EventSource": source,
        "EventTypeName": "AwsApiCall", "EventVersion": "1.09", "AWSRegion": "eu-central-1", "SourceIpAddress": ip,
        "UserAgent": agent, "UserIdentityType": "IAMUser", "UserIdentityUserName": user,
        "UserIdentityArn": f"arn:aws:iam::210987654321:user/{user}", "UserIdentityAccountId": "210987654321",
        "UserIdentityAccessKeyId": key, "RecipientAccountId": "210987654321",
        "RequestParameters": json.dumps(parameters, separators=(",", ":")),
        "ReadOnly": name.startswith(("List", "Get")), "ManagementEvent": name != "PutObject",
    }  # fmt: skip
    scene.cloud(when, "AWSCloudTrail", row, story)


def _storage(scene: Scene, when: datetime, user: str, ip: str, public: bool) -> None:
    account = "/subscriptions/9a1f/resourceGroups/exports/providers/Microsoft.Storage/storageAccounts/kfexports"
    row = {
        "OperationNameValue": "MICROSOFT.STORAGE/STORAGEACCOUNTS/WRITE", "OperationName": "Create/Update Storage Account",
        "CategoryValue": "Administrative", "ActivityStatusValue": "Success", "Caller": f"{user}@{scene.domain}",
        "CallerIpAddress": ip, "ResourceProviderValue": "MICROSOFT.STORAGE", "ResourceGroup": "exports",
        "_ResourceId": account,
        "EventDataId": guid("azure", when.isoformat()), "CorrelationId": guid("azure-corr", when.isoformat()),
        "Properties": json.dumps({"requestbody": {"properties": {"allowBlobPublicAccess": public}}}),
    }  # fmt: skip
    scene.cloud(when, "AzureActivity", row, "S10")
