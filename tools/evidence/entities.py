"""Which attributes name which kind of entity, and the entities that an event names."""

from collections.abc import Mapping
from typing import Any

from .values import clean_address, short_host, split_account

ENTITY_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "host": ("device.hostname", "src_endpoint.hostname", "dst_endpoint.hostname"),
    "user": ("user.name", "actor.user.name"),
    "ip": ("device.ip", "src_endpoint.ip", "dst_endpoint.ip", "email.from_ip"),
    "hash": tuple(
        f"{what}.hash.{kind}"
        for what in ("process", "file", "module", "actor.process")
        for kind in ("sha256", "sha1", "md5")
    ),
    "file": ("file.name",),
    "process": ("process.name", "actor.process.name"),
    "service": ("service.name",),
    "domain": ("query.hostname",),
    "url": ("url.url_string",),
    "email": ("email.from", "email.to"),
    "cve": ("vulnerability.cve",),
    "alert": ("finding.uid",),
    "app": ("app.name",),
}
"""Entity types are those of hunt parameters."""


def entity_values(fields: Mapping[str, Any]) -> dict[str, set[str]]:
    """Entities of one event by type; hosts short and in upper case, accounts without their domain."""
    found: dict[str, set[str]] = {}
    for kind, attributes in ENTITY_ATTRIBUTES.items():
        for attribute in attributes:
            value = fields.get(attribute)
            for item in value if isinstance(value, list) else (value,):
                text = _entity(kind, item)
                if text:
                    found.setdefault(kind, set()).add(text)
    return found


def _entity(kind: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    text = str(value)
    match kind:
        case "host":
            return short_host(text)
        case "user":
            return split_account(text)[0]
        case "ip":
            return clean_address(text)
        case "hash" | "domain":
            return text.lower()
        case _:
            return text
