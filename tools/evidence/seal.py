"""The installation's signature: proof, kept outside a case, of how far the case went.

    home/seal.key          Ed25519, readable by its owner alone, made on first use
    home/seal.pub          for those who only check
    home/manifests/ID.json the signed heads of a case's chain

Who can write a case's folder can hash it anew as a whole; the head of that new chain bears no signature.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ...knowledge.errors import StorageError

KEY_FILE, PUBLIC_FILE = "seal.key", "seal.pub"
_DOMAIN = b"tracehound/seal/1\n"


@dataclass(frozen=True, slots=True)
class Head:
    """State of a case's chain: number of entries and the digest of the last."""

    entries: int
    digest: str


def signed(home: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with the installation's key and signature over the rest of it.

    Raises:
        StorageError: the key cannot be read, or not be made the first time.
    """
    key = _key(home)
    body = dict(content) | {"key": key.public_key().public_bytes_raw().hex()}
    return body | {"signature": key.sign(_bytes(body)).hex()}


def is_signed(content: Mapping[str, Any], public: bytes) -> bool:
    """Whether an object bears this key's signature over all the rest of it."""
    body = {name: value for name, value in content.items() if name != "signature"}
    try:
        signature = bytes.fromhex(content["signature"])
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _bytes(body))
    except (InvalidSignature, KeyError, ValueError, TypeError):
        return False
    return bool(body.get("key") == public.hex() and content["signature"] == signature.hex())


def public_key(home: Path) -> bytes | None:
    """The installation's public key; None before there is one."""
    try:
        return bytes.fromhex((home / PUBLIC_FILE).read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None


def read_seal(place: Path) -> list[Head]:
    """The sealed head, or the two between which a step was cut off; empty when there is no seal that holds."""
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        heads = [Head(int(item["entries"]), str(item["digest"])) for item in content["heads"]]
        belongs = content["case"] == place.stem
    except (OSError, ValueError, KeyError, TypeError):
        return []
    public = public_key(place.parent.parent)
    return heads if belongs and public is not None and is_signed(content, public) else []


def write_seal(place: Path, *heads: Head) -> None:
    """Sign heads of a case's chain, in one step.

    Raises:
        OSError: the seal cannot be written.
        StorageError: the key cannot be used.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    content = signed(place.parent.parent, {"case": place.stem, "heads": [asdict(head) for head in heads]})
    draft = place.with_suffix(".new")
    draft.write_text(json.dumps(content), encoding="utf-8")
    os.replace(draft, place)


def _bytes(body: Mapping[str, Any]) -> bytes:
    return _DOMAIN + json.dumps(body, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()


def _key(home: Path) -> Ed25519PrivateKey:
    place = home / KEY_FILE
    try:
        if not place.exists():
            _make(home)
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(place.read_text(encoding="ascii")))
    except (OSError, ValueError) as exc:
        raise StorageError(f"the key {place}, which seals cases, cannot be used: {exc}; restore it") from exc


def _make(home: Path) -> None:
    """A new key. Of two processes that make one at once, the second takes what the first has made."""
    key = Ed25519PrivateKey.generate()
    with NamedTemporaryFile("w", dir=home, prefix=".seal.", delete=False, encoding="ascii") as out:
        out.write(key.private_bytes_raw().hex())
    draft = Path(out.name)
    try:
        os.link(draft, home / KEY_FILE)
    except FileExistsError:
        return
    finally:
        draft.unlink()
    (home / PUBLIC_FILE).write_text(key.public_key().public_bytes_raw().hex() + "\n", encoding="ascii")
