"""Kestrel Freight: the default world of the lab, from a seed (KESTREL facts)."""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from ...knowledge.loading import parsed
from ...tools.languages.vocabulary import EventClass
from .background import BACKGROUND, DAYS, EVENTS, fill
from .identity import CID, aid, digest, guid, threat_id
from .names import Names
from .observation import DEFENDER, FALCON, SENTINEL, SENTINELONE, Observation
from .repeats import Repeats
from .rows import rows_of
from .scene import Host, Scene
from .stories import STORIES, Story

CANONICAL_END = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
QUESTION = "show me lateral movement from WS-042 in the last day"


@cache
def world() -> Mapping[str, Any]:
    """Who and what there is, by canonical names."""
    content: Mapping[str, Any] = parsed(
        files("tracehound.evals.lab").joinpath("kestrel.yaml").read_text(encoding="utf-8")
    )
    return content


def end_of(seed: int) -> datetime:
    """The lab's clock: seed 0 has a fixed one, other seeds another date and hour."""
    if not seed:
        return CANONICAL_END
    draw = random.Random(f"clock-{seed}")
    return CANONICAL_END - timedelta(days=draw.randint(3, 60), hours=draw.randint(0, 23), minutes=draw.randint(0, 59))


def build(seed: int, scale: int, stories: Iterable[Story] = STORIES) -> tuple[list[Observation], dict[str, Any]]:
    """Everything that happened, renamed, and what the lab says of itself (clock, names, alerts, question).

    Args:
        seed: What names, dates and background are drawn from.
        scale: How much background there will be (`more`).
        stories: What happens beside the background.
    """
    facts = _drawn(seed)
    names = Names(facts, seed)
    scene = Scene(
        end_of(seed),
        facts["company"]["domain"],
        facts["company"]["netbios"],
        _hosts(facts),
        names.text,
        facts["external"]["vpn"],
    )
    _inventory(scene)
    _directory(scene, facts)
    for story in stories:
        story(scene, facts)
    fill(scene, facts, seed)
    alerts: dict[str, str] = {}
    seen = [_finished(item, names, seed, alerts) for item in scene.seen]
    meta = {
        "scenario": "kestrel",
        "seed": seed,
        "scale": scale,
        "clock": scene.end.isoformat().replace("+00:00", "Z"),
        "names": names.public(),
        "alerts": {name: uid for name, uid in alerts.items() if not name.startswith("old-")},
        "question": names.text(QUESTION),
    }
    return seen, meta


def rows(seen: list[Observation]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rows of every vendor that saw something, oldest first."""
    for item in sorted(seen, key=lambda item: item.time):
        yield from rows_of(item)


def more(seen: Iterable[Observation], seed: int, scale: int) -> Repeats | None:
    """The background that a scale above 1 repeats; what happened in it, beside it or never stays as it is."""
    if scale <= 1:
        return None
    everyday = [item for item in seen if item.story == BACKGROUND and item.event_class is not EventClass.FINDING]
    end = end_of(seed)
    lowest, highest = end - timedelta(days=DAYS), end - timedelta(seconds=30)
    return Repeats(rows(everyday), scale * EVENTS, lowest, highest)


def _finished(item: Observation, names: Names, seed: int, alerts: dict[str, str]) -> Observation:
    """An observation with its final names and, for an alert, its final id."""
    attributes = names.value(dict(item.attributes))
    extra = names.value(dict(item.extra))
    label = str(attributes.get("finding.uid", ""))
    if item.event_class is EventClass.FINDING and label.startswith("@"):
        host = str(attributes.get("device.hostname") or attributes.get("user.name", ""))
        mark = digest("finding", seed, label, host)
        if SENTINELONE in item.sensors:
            uid = threat_id(mark)
        elif FALCON in item.sensors:
            uid = f"{CID}:ind:{aid(host)}:{int(mark[:9], 16)}"
        else:
            uid = guid(mark)
        attributes["finding.uid"] = alerts[label[1:]] = uid
    return replace(item, attributes=attributes, extra=extra)


def _drawn(seed: int) -> Mapping[str, Any]:
    """The world with another crowd behind the named people for every seed."""
    facts = dict(world())
    if seed:
        draw = random.Random(f"crowd-{seed}")
        for name in ("given", "family"):
            facts[name] = draw.sample(facts[name], len(facts[name]))
    return facts


def _directory(scene: Scene, facts: Mapping[str, Any]) -> None:
    """Accounts as the cloud directory knows them."""
    people = [(name, person["department"], False) for name, person in facts["people"].items()]
    people += [(name, "service account", True) for name in facts["services"]]
    for name, department, service in people:
        upn = f"{name}@{scene.domain}"
        row = {
            "AccountObjectId": guid("user", name), "AccountUpn": upn, "AccountName": name, "AccountDomain": scene.netbios,
            "AccountDisplayName": name, "Department": department, "JobTitle": department, "EmailAddress": upn,
            "IsAccountEnabled": True, "IsServiceAccount": service, "SourceProvider": "Hybrid", "Type": "User",
            "GroupMembership": ["Domain Admins"] if "administrat" in department else [],
        }  # fmt: skip
        scene.cloud(scene.at(hours=1), "IdentityInfo", row)


def _hosts(facts: Mapping[str, Any]) -> dict[str, Host]:
    crowd = [f"{given}.{family}" for family in facts["family"] for given in facts["given"]]
    at = {person["host"]: user for user, person in facts["people"].items()}
    hosts: dict[str, Host] = {}
    for number in range(1, facts["workstations"] + 1):
        name = f"WS-{number:03d}"
        hosts[name] = Host(name, f"10.20.1.{number}", frozenset({FALCON}), user=at.get(name) or crowd[number])
    for name, record in facts["special"].items():
        hosts[name] = Host(name, record["ip"], frozenset({FALCON}), user=at.get(name, "svc-build"))
    for number in range(1, facts["laptops"] + 1):
        name = f"LT-{number:02d}"
        watched = {DEFENDER} if name in facts["laptops_without_falcon"] else {DEFENDER, FALCON}
        hosts[name] = Host(name, f"10.20.1.{150 + number}", frozenset(watched), user=crowd[60 + number])
    for name, record in facts["servers"].items():
        hosts[name] = Host(
            name, record["ip"], frozenset({SENTINELONE}), "Server", record["os"], record.get("linux", False),
            record["criticality"], tuple(record["tags"]),
        )  # fmt: skip
    for name, record in facts["controllers"].items():
        hosts[name] = Host(
            name, record["ip"], frozenset({DEFENDER, SENTINEL}), "Domain Controller", "Windows Server 2022", False,
            "critical", ("domain-controller", "tier0"),
        )  # fmt: skip
    return hosts


def _inventory(scene: Scene) -> None:
    for number, host in enumerate(scene.hosts.values()):
        attributes = {
            "device.type": host.product, "device.criticality": host.criticality, "device.tags": list(host.tags),
            "device.last_user": host.user,
        }  # fmt: skip
        watching = host.sensors - {SENTINEL}
        scene.note(
            EventClass.DEVICE, scene.at(minutes=2, seconds=number), host, attributes, sensors=watching,
            os_version=host.os, product_type=host.product,
        )  # fmt: skip
