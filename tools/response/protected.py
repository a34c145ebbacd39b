"""The protected list of one home: hosts that no action may touch, by exact id, tag, group or role."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ...knowledge.errors import ConfigurationError, StorageError
from ...knowledge.loading import parsed
from ..languages.query import Platform
from .audit import Audit, canonical
from .targets import TargetFacts

FILE_NAME = "protected.yaml"


class ProtectedDevice(BaseModel):
    """One host by the id that its vendor gave it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: Platform
    device_id: str
    hostname: str = ""
    why: str = ""


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    devices: tuple[ProtectedDevice, ...] = ()
    hostnames: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProtectedList:
    """A list that was read whole, with its version and hash."""

    content: _File
    hash: str

    @property
    def version(self) -> int:
        """As the file says."""
        return self.content.version

    def names(self, facts: TargetFacts) -> str | None:
        """The entry of the list that this host falls under, in words; None when there is none."""
        held = self.content
        for device in held.devices:
            if (device.platform, device.device_id) == (facts.platform, facts.device_id):
                return device.why or f"device {device.device_id}"
        for kind, listed, has in (
            ("hostname", held.hostnames, (facts.hostname,)),
            ("tag", held.tags, facts.tags),
            ("group", held.groups, facts.groups),
            ("role", held.roles, facts.roles),
            ("user", held.users, facts.logged_on_users),
        ):
            found = {item.casefold() for item in listed} & {item.casefold() for item in has}
            if found:
                return f"{kind} {min(found)}"
        return None


def load_protected(home: Path) -> ProtectedList:
    """Read `home/protected.yaml`.

    Raises:
        ConfigurationError: It is missing or cannot be read whole; nothing may be acted on then.
    """
    path = home / FILE_NAME
    try:
        return _read_list(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no protected list {path}, so every host counts as protected; `version: 1` alone is a list"
        ) from None
    except (OSError, yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise ConfigurationError(
            f"the protected list {path} is unreadable, so every host is protected: {problem}"
        ) from error


@lru_cache(maxsize=8)
def _read_list(text: str) -> ProtectedList:
    content = _File.model_validate(parsed(text))
    return ProtectedList(content, sha256(canonical(content.model_dump(mode="json"))).hexdigest())


def write_protected(
    home: Path, devices: Iterable[ProtectedDevice], *, by: str, audit: Audit | None = None
) -> ProtectedList:
    """Put these devices on the list beside what it holds, with the next version and an audit row.

    Raises:
        ConfigurationError: The list that is there cannot be read.
        StorageError: The list or the audit trail cannot be written.
    """
    path = home / FILE_NAME
    held = load_protected(home).content if path.exists() else _File(version=0)
    known = {(item.platform, item.device_id) for item in held.devices}
    fresh = [item for item in devices if (item.platform, item.device_id) not in known]
    if path.exists() and not fresh:
        return load_protected(home)
    content: dict[str, Any] = held.model_dump(mode="json")
    content["version"] = held.version + 1
    content["devices"] = [item.model_dump(mode="json") for item in (*held.devices, *fresh)]
    (audit or Audit(home)).append(
        "protected-list",
        by=by,
        version=content["version"],
        hash=sha256(canonical(content)).hexdigest(),
        added=len(fresh),
    )
    try:
        draft = path.with_suffix(".new")
        draft.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write the protected list {path}: {error}") from error
    return load_protected(home)
