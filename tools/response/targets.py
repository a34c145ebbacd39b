"""What is known about a host that an action is aimed at, and what a vendor's record of it says."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from ..languages.query import Platform
from ..vendors.estate import DeviceState
from .actions import Containment

AssetClass = Literal["workstation", "server", "domain_controller", "unknown"]

_CLASS_WORDS: tuple[tuple[str, AssetClass], ...] = (
    ("domain controller", "domain_controller"),
    ("server", "server"),
    ("workstation", "workstation"),
    ("desktop", "workstation"),
    ("laptop", "workstation"),
)


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """A host as its vendor's inventory describes it, taken when the action was proposed."""

    platform: Platform
    tenant: str
    device_id: str
    hostname: str
    asset_class: AssetClass = "unknown"
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    criticality: str | None = None
    logged_on_users: tuple[str, ...] = ()
    last_seen: datetime | None = None
    containment: Containment = "unknown"
    seen_in: tuple[str, ...] = ()
    """Evidence ids of vendor records that assert this device id. Empty means the target was never seen."""

    def to_json(self) -> str:
        """For the ledger."""
        last_seen = self.last_seen.isoformat() if self.last_seen else None
        return json.dumps(asdict(self) | {"last_seen": last_seen}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "TargetFacts":
        """The inverse of `to_json`."""
        stored: dict[str, Any] = json.loads(text)
        values: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in stored.items()}
        values["platform"] = Platform(stored["platform"])
        values["last_seen"] = _moment(stored["last_seen"])
        return cls(**values)

    @property
    def labels(self) -> tuple[str, ...]:
        """Tags, groups and roles together."""
        return (*self.tags, *self.groups, *self.roles)


def asset_class(*descriptions: object) -> AssetClass:
    """The class that a vendor's product or machine type names; `unknown` when none does."""
    text = " ".join(str(item).casefold().replace("_", " ") for item in descriptions if item)
    for word, found in _CLASS_WORDS:
        if word in text:
            return found
    return "unknown"


def facts_from_event(
    event: Mapping[str, Any], *, platform: Platform, tenant: str, seen_in: Iterable[str]
) -> TargetFacts:
    """Facts from a normalised device event (attributes of `tools/languages/vocabulary`).

    Args:
        event: `Evidence.fields` of a device record.
        platform: Whose record it is.
        tenant: The vendor's tenant, as `Responder.device` reports it.
        seen_in: Evidence ids of the records that carry `device.uid`.
    """
    labels = (*_words(event.get("device.tags")), *_words(event.get("device.groups")))
    return TargetFacts(
        platform=platform,
        tenant=tenant,
        device_id=str(event.get("device.uid") or ""),
        hostname=str(event.get("device.hostname") or ""),
        asset_class=asset_class(
            event.get("device.type"), *(word for word in labels if "controller" in word.casefold())
        ),
        tags=_words(event.get("device.tags")),
        groups=_words(event.get("device.groups")),
        criticality=str(event["device.criticality"]) if event.get("device.criticality") else None,
        logged_on_users=_words(event.get("device.last_user")),
        last_seen=_moment(event.get("device.last_seen")),
        containment=_containment(event.get("device.containment")),
        seen_in=tuple(seen_in),
    )


def facts_from_state(state: DeviceState, *, seen_in: Iterable[str]) -> TargetFacts:
    """Facts from a device read through a vendor client."""
    raw = state.raw
    return TargetFacts(
        platform=state.platform,
        tenant=state.tenant,
        device_id=state.device_id,
        hostname=state.hostname,
        asset_class=asset_class(*(raw.get(key) for key in _TYPE_KEYS), *_words(raw.get("ou")), _domain_path(raw)),
        tags=tuple(word for key in _TAG_KEYS for word in _words(raw.get(key))),
        groups=tuple(word for key in _GROUP_KEYS for word in _words(raw.get(key))),
        roles=tuple(filter(None, (*_words(raw.get("ou")), _domain_path(raw)))),
        criticality=next((str(raw[key]) for key in _CRITICALITY_KEYS if raw.get(key)), None),
        logged_on_users=tuple(word for key in _USER_KEYS for word in _words(raw.get(key))),
        last_seen=state.last_seen,
        containment=state.containment,
        seen_in=tuple(seen_in),
    )


# Keys of Falcon hosts, SentinelOne agents, Defender machines and DeviceInfo, see VENDOR_APIS.
_TYPE_KEYS = ("product_type_desc", "machineType", "DeviceType", "deviceType", "osPlatform", "DeviceSubtype")
_TAG_KEYS = ("tags", "machineTags", "RegistryDeviceTag", "DeviceManualTags", "DeviceDynamicTags")
_GROUP_KEYS = ("groups", "groupName", "rbacGroupName", "MachineGroup")
_CRITICALITY_KEYS = ("criticality", "asset_criticality", "deviceValue", "AssetValue")
_USER_KEYS = ("last_login_user", "lastLoggedInUserName", "LoggedOnUsers")


def with_labels_of(facts: TargetFacts, fresh: TargetFacts) -> TargetFacts:
    """The approved facts with everything that a fresh read adds: protection can only grow between the two."""
    classes = (facts.asset_class, fresh.asset_class)
    return replace(
        facts,
        asset_class="domain_controller" if "domain_controller" in classes else facts.asset_class,
        tags=(*facts.tags, *fresh.tags),
        groups=(*facts.groups, *fresh.groups),
        roles=(*facts.roles, *fresh.roles),
    )


def _domain_path(raw: Mapping[str, Any]) -> str:
    directory = raw.get("activeDirectory")
    return str(directory.get("computerDistinguishedName") or "") if isinstance(directory, Mapping) else ""


def _words(value: Any) -> tuple[str, ...]:
    """The strings inside a vendor's value: a string, a list, or objects with a key, a name or a value."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        if value.startswith(("[", "{")):
            try:
                return _words(json.loads(value))
            except ValueError:
                return (value,)
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, Mapping):
        return tuple(word for item in value.values() for word in _words(item))
    if isinstance(value, Iterable):
        return tuple(word for item in value for word in _words(item))
    return (str(value),)


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else None


_CONTAINMENT: Mapping[str, Containment] = {
    "normal": "normal",
    "connected": "normal",
    "notisolated": "normal",
    "contained": "contained",
    "disconnected": "contained",
    "isolated": "contained",
    "containment_pending": "pending",
    "disconnecting": "pending",
    "pending": "pending",
    "lift_containment_pending": "lifting",
    "connecting": "lifting",
    "lifting": "lifting",
}


def _containment(value: Any) -> Containment:
    return _CONTAINMENT.get(str(value or "").casefold(), "unknown")
