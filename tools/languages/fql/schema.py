"""The properties that each Falcon endpoint filters on, and what the endpoint is known to do with them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from ..syntax import did_you_mean

COLLECTIONS = ("alerts", "hosts", "vulnerabilities", "cases", "iocs", "intel")
_ELSEWHERE = """
aid base_command behaviors.ioc_value behaviors.username cloud_request_id command_string commands_queued created_at
date_updated deleted_at hostname id offline_queued origin sha256 state updated_at user_id
"""
ELSEWHERE = frozenset(_ELSEWHERE.split())
"""Properties of sessions of Real Time Response and of quarantined files, which are not among the collections."""
MAX_TERMS = 20
"""Properties in one statement."""

_AGENT = ("device_id", "device.device_id", "aid", "agent_id")
SAME_THING: Mapping[str, Sequence[str]] = {
    **dict.fromkeys((*_AGENT, "agent.id", "sensor_id", "aids"), _AGENT),
    "detection_id": ("composite_id",),
    "first_behavior": ("created_timestamp",),
    "last_behavior": ("timestamp",),
    "max_severity": ("severity",),
    "max_severity_displayname": ("severity_name",),
    "max_confidence": ("confidence",),
    "ioc_value": ("ioc_values",),
    "command_line": ("cmdline", "command_lines"),
    "commandline": ("cmdline", "command_lines"),
    "username": ("user_name", "usernames"),
    "host": ("hostname", "device.hostname", "hostnames"),
    "computer_name": ("hostname", "device.hostname", "hostnames"),
    "ip": ("local_ip", "device.local_ip", "ips"),
    "os": ("platform_name", "device.platform_name", "host_info.platform_name"),
    "cve": ("cve.id",),
    "indicator": ("value",),
    "value": ("indicator",),
}
"""Properties that one endpoint, or the detections API of old, calls otherwise."""


@dataclass(frozen=True, slots=True)
class Property:
    """One filterable property. `type`: string, number, boolean, timestamp, array, object, ip, ip_text."""

    name: str
    type: str
    values: tuple[str, ...] = ()
    """Every value there is; empty when it is open."""
    range: bool = False
    """Whether `>`, `>=`, `<` and `<=` are allowed."""
    usual: tuple[str, ...] = ()
    """Values as the endpoint spells them, where others may exist."""

    @property
    def letters(self) -> str | None:
        """`lower` or `upper` when values are codes written in one case only; None for words and names."""
        last = self.name.rsplit(".", 1)[-1]
        if last in ("md5", "sha1", "sha256", "aid", "device_id", "agent_id", "cid"):
            return "lower"
        if self.name in ("technique_id", "tactic_id", "cve.id", "vulnerability_id"):
            return "upper"
        return None

    @property
    def is_code(self) -> bool:
        """An identifier, compared as it stands."""
        return self.letters is not None or self.name.endswith(("_id", ".id")) or self.name in ("id", "cid")


@cache
def tables() -> Mapping[str, Mapping[str, Property]]:
    """Every collection's properties by name. Source: LANGUAGES appendix B, VENDOR_APIS 1.15."""
    content = json.loads(files("tracehound.tools.languages.fql").joinpath("fields.json").read_text(encoding="utf-8"))
    return {
        collection: {
            name: Property(
                name,
                entry["type"],
                tuple(entry.get("values", ())),
                entry.get("range", False),
                tuple(entry.get("usual", ())),
            )
            for name, entry in properties.items()
        }
        for collection, properties in content.items()
    }


@lru_cache(maxsize=4096)
def guess(name: str, collection: str | None = None) -> str | None:
    """A hint that names what was meant by an unknown property, in one collection or in all."""
    table = tables()[collection] if collection else every_property()
    meant = next((other for other in SAME_THING.get(name, ()) if other in table), None)
    return f"did you mean {meant}?" if meant else did_you_mean(name, table)


@cache
def every_property() -> frozenset[str]:
    """The properties of all collections."""
    return frozenset(name for table in tables().values() for name in table)


def lookup(collection: str, name: str) -> Property | None:
    """A property of a collection; `parent_details.*` stands for every property below it."""
    table = tables()[collection]
    found = table.get(name)
    if found is not None:
        return found
    parent, dot, _ = name.rpartition(".")
    whole = table.get(f"{parent}.*") if dot else None
    return Property(name, "string") if whole is not None else None


@lru_cache(maxsize=4096)
def known_in(name: str) -> tuple[str, ...]:
    """The collections that have a property of this name."""
    return tuple(collection for collection in COLLECTIONS if lookup(collection, name) is not None)
