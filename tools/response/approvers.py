"""People who decide: their Ed25519 keys on this machine, and the signed registry of who may do what.

The registry is a file, signed by an admin, and every version of it is in the audit trail as well. A file that is not the
newest audited version is replaced by that (a crash, an old copy put back) or refused (an edit).
"""

import json
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ...knowledge.errors import ConfigurationError, DeniedError, StorageError, TamperError, UsageError
from . import audit as trail
from . import store
from .audit import Audit, canonical, write_private
from .clock import Clock, system_moment

Role = Literal["viewer", "analyst", "responder", "lead", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "analyst", "responder", "lead", "admin")
Scope = Literal["lab", "live"]
"""A key of the lab decides nothing about live vendors; a live key decides in both."""

FOLDER, REGISTRY_FILE = "approvers", "registry.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One person in the registry."""

    name: str
    role: Role
    identity: str
    """Who this is in the directory. Quorum counts identities, not keys."""
    scope: Scope
    public_key: str
    """Ed25519, hex."""
    added: str
    revoked: str | None = None

    @property
    def active(self) -> bool:
        """Not revoked."""
        return self.revoked is None

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether this key signed exactly these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_key)).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Registry:
    """Who may decide, signed as a whole by an admin."""

    version: int
    entries: tuple[Entry, ...]
    signed_by: str
    signature: str

    def find(self, name: str) -> Entry | None:
        """The entry of this name, revoked or not; the newest when a name was given anew."""
        return next((entry for entry in reversed(self.entries) if entry.name == name), None)

    def identity_of(self, name: str) -> str:
        """Who a name is in the directory; a name that is not registered stands for itself."""
        entry = self.find(name)
        return entry.identity if entry else name

    def message(self) -> bytes:
        """What the admin signs."""
        entries = [asdict(entry) for entry in self.entries]
        return canonical({"domain": "tracehound.registry/1", "version": self.version, "entries": entries})

    def to_json(self) -> dict[str, Any]:
        """The file's content."""
        return {
            "version": self.version,
            "entries": [asdict(entry) for entry in self.entries],
            "signed_by": self.signed_by,
            "signature": self.signature,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Registry":
        """Read and check the signature.

        Raises:
            TamperError: It is not signed by an admin that it names.
        """
        try:
            entries = tuple(Entry(**entry) for entry in stored["entries"])
            registry = cls(stored["version"], entries, stored["signed_by"], stored["signature"])
            signer = registry.find(registry.signed_by)
            signed = (
                signer
                and signer.role == "admin"
                and signer.verifies(registry.message(), bytes.fromhex(registry.signature))
            )
        except (KeyError, TypeError, ValueError) as error:
            raise TamperError(f"the registry of approvers cannot be read: {error}") from error
        if not signed:
            raise TamperError("the registry of approvers carries no valid signature of an admin, so nobody may decide")
        return registry


EMPTY = Registry(0, (), "", "")


class Approver:
    """A person's key. `Approver.open("lead")` names it; without a home it is read where it is first used."""

    def __init__(self, name: str, home: Path | None, passphrase: str | None) -> None:
        self.name, self.home, self._passphrase = name, home, passphrase
        self._key: Ed25519PrivateKey | None = None

    def __repr__(self) -> str:
        return f"Approver({self.name!r})"

    @classmethod
    def open(cls, name: str, home: Path | None = None, passphrase: str | None = None) -> "Approver":
        """The key of this name under `home/approvers`.

        Args:
            name: As in `tracehound approver list`.
            home: The TRACEHOUND_HOME folder; left out, the home of the copilot that is asked to approve.
            passphrase: Needed when the key file has one.

        Raises:
            ConfigurationError: No such key, a wrong passphrase, or a key file that others can read.
        """
        _require_name(name)
        approver = cls(name, home, passphrase)
        return approver.within(home) if home else approver

    def within(self, home: Path) -> "Approver":
        """This key, read from `home` unless it was opened already.

        Raises:
            ConfigurationError: As for `open`.
        """
        if self._key is None:
            self.home = self.home or home
            self._key = _read_key(self.home / FOLDER / f"{self.name}.key", self._passphrase)
        return self

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes.

        Raises:
            ConfigurationError: The key was not read yet: `open` it with a home, or call `within`.
        """
        if self._key is None:
            raise ConfigurationError(
                f"the key of {self.name} was not opened from a home; use Approver.open(name, home)"
            )
        return self._key.sign(message)


def load_registry(home: Path, *, connection: sqlite3.Connection | None = None) -> Registry:
    """The registry in force: the newest version of the audit trail, which the file must match.

    Raises:
        TamperError: The file is no version that was ever audited, or its signature does not fit.
        StorageError: The file cannot be read.
    """
    if connection is None:
        with store.reading(store.create(home)) as own:
            return load_registry(home, connection=own)
    audited = trail.last_of_kind(connection, "registry")
    path = home / FOLDER / REGISTRY_FILE
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else None
        if audited is None:
            if text is not None:
                raise TamperError(f"{path} is not in the audit trail; remove it and add the approvers again")
            return EMPTY
        registry = Registry.from_json(audited["registry"])
        if text != _file_text(registry):
            if text is not None and not _was_audited(connection, text):
                raise TamperError(f"{path} was changed outside Tracehound, so nobody may decide; remove the file")
            _write_registry(path, registry)
        return registry
    except OSError as error:
        raise StorageError(f"cannot read the registry of approvers {path}: {error}") from error


def add_approver(
    home: Path,
    name: str,
    *,
    role: str = "responder",
    identity: str | None = None,
    scope: Scope | None = None,
    passphrase: str | None = None,
    admin: Approver | None = None,
    audit: Audit | None = None,
    clock: Clock = system_moment,
) -> Path:
    """Make a key and enter it in the registry, signed by an admin.

    Args:
        home: The TRACEHOUND_HOME folder.
        name: Letters, digits, `.`, `_`, `-`.
        role: What the person may do, see `policy.yaml`.
        identity: Who it is in the directory; by default the name.
        scope: `lab` keys decide about labs only; by default the scope of the admin who signs.
        passphrase: Encrypts the key file.
        admin: Who signs. The first admin for live vendors signs for itself; left out otherwise, the lab's admin signs
            for the lab as long as there is nobody for live vendors.
        audit: The trail, when its second place is not the default.
        clock: Source of times.

    Returns:
        The key file.

    Raises:
        UsageError: A bad name, an unknown role, or a name that is taken.
        DeniedError: No admin of this scope signs.
    """
    _require_name(name)
    if role not in ROLES:
        raise UsageError(f"there is no role {role!r}; roles are {', '.join(ROLES)}")
    path = home / FOLDER / f"{name}.key"
    with _changing(home, audit, clock) as change:
        if (known := change.registry.find(name)) and known.active:
            raise UsageError(f"there is an approver {name} already; revoke it first")
        signer, scope = _signer(change.registry, home, role, scope, admin)
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes_raw().hex()
        _write_key(path, key, passphrase)
        entry = Entry(name, role, identity or name, scope, public, change.at)
        first = None if signer else public
        change.commit((*change.registry.entries, entry), signer or Approver.open(name, home, passphrase), first)
    return path


def _signer(
    registry: Registry, home: Path, role: str, scope: Scope | None, admin: Approver | None
) -> tuple[Approver | None, Scope]:
    """Who signs for a new entry, and its scope. None: it is the first admin of its scope, and signs for itself."""
    admins = {item.scope: item for item in registry.entries if item.role == "admin" and item.active}
    if admin is not None:
        entry = registry.find(admin.name)
        scope = scope or (entry.scope if entry else "live")
        _require_admin(registry, admin, scope, home)
        return admin, scope
    if role == "admin" and (scope or "live") not in admins:
        return None, scope or "live"
    if scope != "live" and "live" not in admins and "lab" in admins:
        lab_admin = Approver.open(admins["lab"].name, home)
        _require_admin(registry, lab_admin, "lab", home)
        return lab_admin, "lab"
    if not admins:
        raise UsageError("the first approver must be an admin: add one with the role admin, who then signs for others")
    raise DeniedError("only an admin may add approvers: name the one who signs")


def revoke_approver(
    home: Path,
    name: str,
    *,
    admin: Approver | None = None,
    audit: Audit | None = None,
    clock: Clock = system_moment,
) -> Entry:
    """Take a person's authority away, also over what they approved and nobody has executed yet.

    Args:
        home: The TRACEHOUND_HOME folder.
        name: Whose.
        admin: Who signs; left out, the lab's admin signs for a key of the lab.
        audit: The trail, when its second place is not the default.
        clock: Source of times.

    Raises:
        UsageError: Nobody of this name, or an admin's own key.
        DeniedError: Not signed by an admin.
    """
    with _changing(home, audit, clock) as change:
        entry = change.registry.find(name)
        if entry is None or not entry.active:
            raise UsageError(f"there is no active approver {name}; `tracehound approver list` names them")
        if admin is None and entry.scope == "lab":
            admin = _signer(change.registry, home, "viewer", "lab", None)[0]
        _require_admin(change.registry, admin, entry.scope, home)
        assert admin is not None
        if entry.name == admin.name:
            raise UsageError("an admin cannot revoke their own key: another admin must")
        revoked = replace(entry, revoked=change.at)
        change.commit(tuple(revoked if item is entry else item for item in change.registry.entries), admin)
    return revoked


def list_approvers(home: Path) -> tuple[Entry, ...]:
    """Everybody in the registry, revoked ones too."""
    return load_registry(home).entries


class _Change:
    """A change of the registry inside one transaction."""

    def __init__(self, home: Path, connection: sqlite3.Connection, at: str) -> None:
        self.home, self.at, self._connection = home, at, connection
        self.registry = load_registry(home, connection=connection)
        self.written: Registry | None = None

    def commit(self, entries: tuple[Entry, ...], signer: Approver, first_admin: str | None = None) -> None:
        """Sign the new version and put it into the audit trail."""
        draft = Registry(self.registry.version + 1, entries, signer.name, "")
        signed = replace(draft, signature=signer.sign(draft.message()).hex())
        body = {"kind": "registry", "at": self.at, "by": signer.name, "registry": signed.to_json()}
        trail.append(self._connection, body | ({"first_admin": first_admin} if first_admin else {}))
        self.written = signed


@contextmanager
def _changing(home: Path, audit: Audit | None, clock: Clock) -> Iterator[_Change]:
    audit = audit or Audit(home, clock=clock)
    with store.transaction(audit.path) as connection:
        change = _Change(home, connection, clock().wall.isoformat())
        yield change
    if change.written:
        _write_registry(home / FOLDER / REGISTRY_FILE, change.written)


def _require_admin(registry: Registry, admin: Approver | None, scope: Scope, home: Path) -> None:
    entry = registry.find(admin.name) if admin else None
    if admin is None or entry is None or not entry.active or entry.role != "admin":
        raise DeniedError("only an active admin may change who decides: name one whose key is on this machine")
    if entry.scope == "lab" and scope == "live":
        raise DeniedError(f"{entry.name} is an admin of the lab and cannot add or revoke people for live vendors")
    challenge = canonical({"domain": "tracehound.admin/1", "version": registry.version})
    if not entry.verifies(challenge, admin.within(home).sign(challenge)):
        raise DeniedError(f"the key of {entry.name} on this machine is not the one in the registry")


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for an approver: use letters, digits, '.', '_' and '-', at most 64")


def _file_text(registry: Registry) -> str:
    return json.dumps(registry.to_json(), indent=2, sort_keys=True) + "\n"


def _was_audited(connection: sqlite3.Connection, text: str) -> bool:
    wanted = sha256(text.encode()).digest()
    rows = connection.execute("select body from audit where json_extract(body, '$.kind') = 'registry'")
    earlier = (Registry.from_json(json.loads(row["body"])["registry"]) for row in rows)
    return any(sha256(_file_text(registry).encode()).digest() == wanted for registry in earlier)


def _write_registry(path: Path, registry: Registry) -> None:
    draft = path.with_suffix(f".{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(_file_text(registry), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write the registry of approvers {path}: {error}") from error


def _write_key(path: Path, key: Ed25519PrivateKey, passphrase: str | None) -> None:
    lock: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    try:
        write_private(path, pem)
    except OSError as error:
        raise StorageError(f"cannot write the key {path}: {error}") from error


def _read_key(path: Path, passphrase: str | None) -> Ed25519PrivateKey:
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigurationError(f"the key {path} can be read by others: run chmod 600 on it")
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase.encode() if passphrase else None)
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no key of an approver {path.stem} at {path}: `tracehound approver list` names those there are"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"the key {path} cannot be read: {error}") from error
    except TypeError:
        hint = "has a passphrase: give it" if passphrase is None else "has no passphrase: leave it out"
        raise ConfigurationError(f"the key {path} {hint}") from None
    except ValueError as error:
        raise ConfigurationError(f"the key {path} cannot be opened: wrong passphrase or damaged file") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"the key {path} is not an Ed25519 key")
    return key
