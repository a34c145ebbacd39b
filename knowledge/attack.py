"""Names and tactics of ATT&CK techniques, from a small file generated out of MITRE's data (see NOTICE.md)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Technique:
    """One technique or sub-technique. `withdrawn`: revoked or deprecated in the version that this build carries."""

    id: str
    name: str
    tactics: tuple[str, ...]
    withdrawn: bool = False
    replaced_by: str | None = None
    """The id that took its place, where MITRE names one."""
    stix: str = ""
    """UUID of its STIX object in MITRE's data."""

    @property
    def url(self) -> str:
        """The page of the technique at MITRE."""
        return f"https://attack.mitre.org/techniques/{self.id.replace('.', '/')}"


@cache
def techniques() -> Mapping[str, Technique]:
    """Every technique by id."""
    return {
        key: Technique(
            key,
            entry["name"],
            tuple(entry["tactics"]),
            entry.get("withdrawn", False),
            entry.get("replaced_by"),
            entry["stix"],
        )
        for key, entry in _content()["techniques"].items()
    }


def version() -> str:
    """The ATT&CK version of the data, such as `18.1`."""
    return str(_content()["version"])


def technique(technique_id: str) -> Technique | None:
    """The technique with this id, case ignored; None when this version has none."""
    return techniques().get(technique_id.upper())


def current(technique_id: str) -> Technique | None:
    """The technique that an id means today: itself, or what took its place; None where there is neither."""
    found = technique(technique_id)
    while found is not None and found.replaced_by:
        found = technique(found.replaced_by)
    return None if found is None or found.withdrawn else found


def title(technique_id: str) -> str:
    """`T1021.002 Remote Services: SMB/Windows Admin Shares`; the bare id when it is not known."""
    found = technique(technique_id)
    if found is None:
        return technique_id
    parent = techniques().get(found.id.split(".")[0])
    name = found.name if parent is None or parent is found else f"{parent.name}: {found.name}"
    return f"{found.id} {name}"


@cache
def _content() -> dict[str, Any]:
    text = files("tracehound.knowledge").joinpath("attack.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
