"""The ordinary days of Kestrel: what people and machines do when nothing happens."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from .scene import Host, Process, Scene
from .stories_cloud import signin
from .stories_endpoint import OFFICE, SERVICES

DAYS = 14
_PROGRAMS = (
    ("OUTLOOK.EXE", OFFICE + "OUTLOOK.EXE"), ("EXCEL.EXE", OFFICE + "EXCEL.EXE"), ("WINWORD.EXE", OFFICE + "WINWORD.EXE"),
    ("msedge.exe", "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe"),
    ("Teams.exe", "C:\\Program Files\\WindowsApps\\MSTeams\\Teams.exe"),
    ("notepad.exe", "C:\\Windows\\System32\\notepad.exe"),
    ("OneDrive.exe", "C:\\Program Files\\Microsoft OneDrive\\OneDrive.exe"), ("calc.exe", "C:\\Windows\\System32\\calc.exe"),
)  # fmt: skip
_TALKERS = ("OUTLOOK.EXE", "msedge.exe", "Teams.exe", "OneDrive.exe")
_SITES = (
    ("outlook.office365.com", "52.96.165.18"), ("teams.microsoft.com", "52.113.194.132"), ("www.bing.com", "204.79.197.200"),
    ("login.microsoftonline.com", "20.190.160.20"), ("tracking.carrier.example", "198.51.100.40"),
    ("customs.portal.example", "203.0.113.30"), ("news.daily.example", "203.0.113.44"),
    ("cdn.fonts.example", "198.51.100.61"),
)  # fmt: skip
_TASKS = (
    ("svchost.exe", "C:\\Windows\\System32\\svchost.exe", "C:\\Windows\\system32\\svchost.exe -k netsvcs -p -s Schedule"),
    ("taskhostw.exe", "C:\\Windows\\System32\\taskhostw.exe", "taskhostw.exe"),
    ("MsMpEng.exe", "C:\\ProgramData\\Microsoft\\Windows Defender\\Platform\\MsMpEng.exe", "MsMpEng.exe"),
    ("wmiprvse.exe", "C:\\Windows\\System32\\wbem\\WmiPrvSE.exe",
     "C:\\Windows\\system32\\wbem\\wmiprvse.exe -secured -Embedding"),
)  # fmt: skip


EVENTS = 50_000
"""Of a lab, for each unit of scale beyond the first."""
BACKGROUND = "background"
"""The story that all of it is part of."""


def fill(scene: Scene, world: Mapping[str, Any], seed: int) -> None:
    """Alerts of 45 days that are closed, and the events of 14 everyday days up to the end."""
    first = len(scene.seen)
    draw = random.Random(f"background-{seed}")
    for day in range(DAYS):
        midnight = (scene.end - timedelta(days=day)).replace(hour=0, minute=0, second=0, microsecond=0)
        for host in scene.hosts.values():
            if host.product == "Workstation":
                _working_day(scene, world, host, midnight, draw)
            else:
                _server_day(scene, host, midnight, draw)
    scene.seen[first:] = [replace(item, story=BACKGROUND) for item in scene.seen[first:]]
    _old_alerts(scene, draw)


def _add(scene: Scene, when: datetime) -> bool:
    return scene.end - timedelta(days=DAYS) <= when < scene.end - timedelta(seconds=30)


def _working_day(scene: Scene, world: Mapping[str, Any], host: Host, midnight: datetime, draw: random.Random) -> None:
    if midnight.weekday() >= 5 and draw.random() < 0.85:
        return
    user = host.user
    start = midnight + timedelta(hours=7, minutes=draw.randint(0, 150), seconds=draw.randint(0, 59))
    if not _add(scene, start):
        return
    scene.logon(start, host, user, kind="Interactive")
    explorer = Process(
        "explorer.exe", "C:\\Windows\\explorer.exe", 3000 + draw.randint(0, 900), "C:\\Windows\\explorer.exe"
    )
    city = world["people"].get(user, {}).get("city", "Hamburg")
    if user != "c.moreau":
        country = "FR" if city == "Lyon" else "DE"
        signin(scene, start + timedelta(minutes=2), user, world["external"]["vpn"], city, country)
    for _ in range(draw.randint(18, 27)):
        when = start + timedelta(seconds=draw.randint(60, 9 * 3600))
        if not _add(scene, when):
            continue
        name, path = draw.choice(_PROGRAMS)
        process = scene.program(name, path, f'"{path}"', explorer)
        scene.launch(when, host, process, user)
        site, ip = draw.choice(_SITES)
        if name in _TALKERS:
            scene.connect(when + timedelta(seconds=2), host, process, ip, 443, user, name=site)
        if name in _TALKERS and draw.random() < 0.7:
            scene.resolve(when + timedelta(seconds=1), host, process, site)
        if draw.random() < 0.3:
            topic = draw.choice(("plan", "rates", "notes", "cargo"))
            document = f"C:\\Users\\{user}\\Documents\\{topic}_{draw.randint(1, 400)}.xlsx"
            scene.write(when + timedelta(seconds=30), host, process, document, user, draw.randint(9_000, 900_000))
    share = start + timedelta(minutes=draw.randint(3, 240))
    if _add(scene, share) and draw.random() < 0.6:
        scene.logon(share, scene.hosts["FS-01"], user, kind="Network", source=host.ip)


def _server_day(scene: Scene, host: Host, midnight: datetime, draw: random.Random) -> None:
    for _ in range(draw.randint(26, 40)):
        when = midnight + timedelta(seconds=draw.randint(0, 86_399))
        if not _add(scene, when):
            continue
        if host.linux:
            cron = Process("cron", "/usr/sbin/cron", 611, "/usr/sbin/cron -f")
            job = draw.choice(
                ("/usr/sbin/logrotate /etc/logrotate.conf", "/usr/bin/apt-get update -qq", "/usr/bin/certbot renew -q")
            )
            path = job.split(" ")[0]
            scene.launch(when, host, scene.program(path.rpartition("/")[2], path, job, cron), "root")
            continue
        name, path, command = draw.choice(_TASKS)
        process = scene.program(name, path, command, SERVICES)
        scene.launch(when, host, process, "SYSTEM")
        if draw.random() < 0.5:
            other = draw.choice(("DC-01", "DC-02"))
            scene.connect(
                when + timedelta(seconds=1), host, process, scene.hosts[other].ip, draw.choice((88, 389)), "SYSTEM"
            )
    if host.name.startswith("DC-"):
        people = [item.user for item in scene.hosts.values() if item.user]
        for _ in range(60):
            when = midnight + timedelta(seconds=draw.randint(6 * 3600, 19 * 3600))
            if _add(scene, when):
                user = draw.choice(people)
                source = next(item for item in scene.hosts.values() if item.user == user)
                scene.ticket(when, host, user, f"{draw.choice(('FS-01', 'MX-01', 'SRV-APP-02'))}$", source.ip)


def _old_alerts(scene: Scene, draw: random.Random) -> None:
    kinds = (
        ("Potentially Unwanted Program", "Low", "T1204.002", "Execution", "Disregard", "toolbar removed by the user"),
        ("Suspicious Browser Extension", "Low", "T1176", "Persistence", "False Positive", "extension is on the allow list"),
        ("Malicious Document Quarantined", "Medium", "T1566.001", "Initial Access", "True Positive",
         "quarantined on arrival, user informed"),
    )  # fmt: skip
    stations = [host for host in scene.hosts.values() if host.product == "Workstation" and "falcon" in host.sensors]
    for number in range(26):
        title, severity, technique, tactic, verdict, comment = draw.choice(kinds)
        host = draw.choice(stations)
        when = scene.at(days=draw.randint(4, 44), minutes=draw.randint(0, 1400))
        process = scene.program(f"setup_{number}.exe", f"C:\\Users\\{host.user}\\Downloads\\setup_{number}.exe")
        scene.alert(
            when, host, title, severity, technique, tactic, process, host.user, sensor="falcon", verdict=verdict,
            comment=comment, uid=f"@old-{number}",
        )  # fmt: skip
