"""What looks like a story and is harmless: B1 to B8 (KESTREL facts)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from .scene import FALCON, Host, Process, Scene
from .stories_cloud import audit, signin
from .stories_endpoint import POWERSHELL, SERVICES, SYSTEM, encoded, install_service


def patching(scene: Scene, world: Mapping[str, Any]) -> None:
    """B1: an administrator patches servers by PsExec under a change ticket."""
    admin, user, change = scene.hosts["ADM-01"], "j.okafor", world["change"]
    targets = ["SRV-APP-01", "SRV-APP-02", "SRV-APP-03", "SRV-APP-04", "SRV-SQL-01", "FS-01"]
    for number, name in enumerate(targets):
        server = scene.hosts[name]
        when = scene.at(hours=20) + timedelta(minutes=22 * number)
        command = f"C:\\Tools\\PsExec64.exe \\\\{name} C:\\Patches\\{change}\\install.cmd"
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
            f'"C:\\Program Files\\7-Zip\\7z.exe" a D:\\Staging\\shares_{night:%Y%m%d}.7z D:\\Shares', agent,
        )  # fmt: skip
        scene.launch(night + timedelta(seconds=30), server, seven, "svc-backup", "B3")
        scene.write(
            night + timedelta(minutes=9),
            server,
            seven,
            f"D:\\Staging\\shares_{night:%Y%m%d}.7z",
            "svc-backup",
            9_000_000_000,
            "B3",
        )
        scene.connect(night + timedelta(minutes=10), server, agent, source.ip, 10006, "svc-backup", "B3")


def help_desk(scene: Scene, world: Mapping[str, Any]) -> None:
    """B4: the help desk helps a colleague with AnyDesk."""
    host, when = scene.hosts["WS-011"], scene.at(hours=26)
    path = "C:\\Program Files (x86)\\AnyDesk\\AnyDesk.exe"
    tool = scene.program("AnyDesk.exe", path, f'"{path}"')
    scene.launch(when, host, tool, host.user, "B4")
    scene.resolve(when + timedelta(seconds=1), host, tool, "relay-4f2c.net.anydesk.com", "B4")
    scene.connect(
        when + timedelta(seconds=2), host, tool, world["external"]["anydesk"], 443, host.user, "B4",
        name="relay-4f2c.net.anydesk.com",
    )  # fmt: skip


def traveller(scene: Scene, world: Mapping[str, Any]) -> None:
    """B5: the managing director signs in at home, and 40 minutes later through the VPN."""
    home, vpn = world["external"]["home_of_the_director"], world["external"]["vpn"]
    for day in range(14):
        when = scene.at(days=day, hours=6)
        if when.weekday() < 5:
            signin(scene, when, "c.moreau", home, "Lyon", "FR", story="B5")
            signin(scene, when + timedelta(minutes=40), "c.moreau", vpn, "Frankfurt", "DE", story="B5")


def password_reset(scene: Scene, world: Mapping[str, Any]) -> None:
    """B7: the help desk resets a password."""
    audit(
        scene, scene.at(days=12), "Reset user password", "UserManagement", "p.novak", "k.ferreira",
        world["external"]["vpn"], "B7", detail="help desk",
    )  # fmt: skip


def new_phone(scene: Scene, world: Mapping[str, Any]) -> None:
    """B8: a new authenticator on the day the phone was replaced."""
    audit(
        scene, scene.at(days=8), "User registered security info", "UserManagement", "p.novak", "p.novak",
        world["external"]["vpn"], "B8", detail="User registered Authenticator App; phone replaced, ticket INC-2093",
    )  # fmt: skip


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
