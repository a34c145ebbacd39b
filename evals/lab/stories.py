"""Every story of Kestrel in the order in which it is told, and the weaknesses of its machines."""

from collections.abc import Callable, Mapping
from typing import Any

from ...tools.languages.vocabulary import EventClass
from .lookalikes import (
    build_agent,
    help_desk,
    new_phone,
    nightly_backup,
    password_reset,
    patching,
    scanner,
    traveller,
)
from .scene import FALCON, Scene
from .stories_cloud import campaign, consent, key, leaver, role, session, spray
from .stories_endpoint import hostile_file, invoice, miner, roast, shadow_copies, usb_copy, web_shell

Story = Callable[[Scene, Mapping[str, Any]], None]


def vulnerabilities(scene: Scene, world: Mapping[str, Any]) -> None:
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


STORIES: tuple[Story, ...] = (
    invoice, hostile_file, shadow_copies, campaign, session, consent, role, spray, web_shell, roast, leaver, usb_copy, miner,
    key, patching, scanner, nightly_backup, help_desk, traveller, build_agent, password_reset, new_phone, vulnerabilities,
)  # fmt: skip
