"""Verify a Tracehound audit export: the hash chain of its rows and the signed checkpoints over it.

This file stands alone (standard library and `cryptography`) and travels with every export:

    python verify.py FOLDER          exit 0 when nothing was changed, 1 with one line per problem

A row's hash is SHA-256(domain || seq as 8 bytes big-endian || previous hash || body). A checkpoint is a C2SP signed
note over (origin, size, head), where the head is the hash of the row `size`; it commits to every row before it.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

DOMAIN = b"\x00audit1"
FIRST_PREVIOUS = bytes(32)
ORIGIN = "tracehound/audit"
SIGNER = "tracehound-audit"


class AuditRow(NamedTuple):
    """One stored row."""

    seq: int
    prev: bytes
    body: str
    hash: bytes


class Checkpoint(NamedTuple):
    """What a signed note says."""

    size: int
    head: bytes
    note: str


def row_hash(seq: int, prev: bytes, body: str) -> bytes:
    """The link of the chain that this row is."""
    return hashlib.sha256(DOMAIN + seq.to_bytes(8, "big") + prev + body.encode()).digest()


def key_id(public_key: bytes) -> bytes:
    """The four bytes by which a C2SP note names an Ed25519 key."""
    return hashlib.sha256(SIGNER.encode() + b"\n\x01" + public_key).digest()[:4]


def write_note(size: int, head: bytes, private_key: Ed25519PrivateKey) -> str:
    """A signed note over the first `size` rows."""
    text = f"{ORIGIN}\n{size}\n{base64.b64encode(head).decode()}\n"
    public = private_key.public_key().public_bytes_raw()
    signature = base64.b64encode(key_id(public) + private_key.sign(text.encode())).decode()
    return f"{text}\n\u2014 {SIGNER} {signature}\n"


def read_note(note: str, public_key: bytes) -> Checkpoint:
    """Check a note's signature and read it.

    Raises:
        ValueError: It is no checkpoint of this log, or the signature does not fit the key.
    """
    text, separator, trailer = note.partition("\n\n")
    lines = text.split("\n")
    words = trailer.removesuffix("\n").split(" ")
    if not separator or len(lines) != 3 or lines[0] != ORIGIN or words[:2] != ["\u2014", SIGNER] or len(words) != 3:
        raise ValueError("not a checkpoint of this log")
    sealed = base64.b64decode(words[2], validate=True)
    if sealed[:4] != key_id(public_key):
        raise ValueError("signed by another key")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(sealed[4:], f"{text}\n".encode())
    except InvalidSignature:
        raise ValueError("the signature does not fit") from None
    return Checkpoint(int(lines[1]), base64.b64decode(lines[2], validate=True), note)


END_OF_NOTE = "\n\n\n"


def split_notes(text: str) -> list[str]:
    """The notes of a checkpoint file. A last note without its end was torn by a crash and does not count."""
    return [f"{note}\n" for note in text.split(END_OF_NOTE)[:-1]]


def join_notes(notes: Iterable[str]) -> str:
    """The inverse of `split_notes`."""
    return "".join(f"{note}\n\n" for note in notes)


def chain_problems(rows: Iterable[AuditRow]) -> list[str]:
    """What is wrong with the chain itself: gaps, edits, insertions, order."""
    problems: list[str] = []
    prev, expected = FIRST_PREVIOUS, 1
    for row in rows:
        if row.seq != expected:
            problems.append(f"row {expected} is missing or out of order: found row {row.seq}")
        if row.prev != prev:
            problems.append(f"row {row.seq} does not follow the row before it")
        if row.hash != row_hash(row.seq, row.prev, row.body):
            problems.append(f"row {row.seq} was changed: its hash does not fit")
        prev, expected = row.hash, row.seq + 1
    return problems


def checkpoint_problems(rows: Sequence[AuditRow], notes: Sequence[str], public_key: bytes) -> list[str]:
    """Where the exported checkpoints and the rows disagree: truncation, roll-back, rewriting, a lost checkpoint."""
    problems: list[str] = []
    heads = {row.seq: row.hash for row in rows}
    seen: dict[int, bytes] = {}
    for number, note in enumerate(notes, start=1):
        try:
            point = read_note(note, public_key)
        except ValueError as error:
            problems.append(f"checkpoint {number}: {error}")
            continue
        seen[point.size] = point.head
        if point.size not in heads:
            problems.append(f"the trail was cut: a checkpoint covers {point.size} rows and {len(rows)} are left")
        elif heads[point.size] != point.head:
            problems.append(f"the rows up to {point.size} are not those that the checkpoint signed")
    for row in rows:
        body = json.loads(row.body)
        if body.get("kind") == "checkpoint" and seen.get(body["size"], b"").hex() != body["head"]:
            problems.append(f"the checkpoint over {body['size']} rows is missing or was changed")
    return problems


def key_problems(rows: Sequence[AuditRow], public_key: bytes) -> list[str]:
    """Whether the log began under this key: the first row names it."""
    if not rows:
        return ["the trail is empty: its first row is missing"]
    begun = json.loads(rows[0].body).get("public_key")
    return [] if begun == public_key.hex() else ["the public key is not the one under which this trail began"]


def problems_of(rows: Sequence[AuditRow], notes: Sequence[str], public_key: bytes) -> list[str]:
    """Everything wrong with a trail, in plain sentences; empty when nothing is."""
    try:
        return [
            *chain_problems(rows),
            *key_problems(rows, public_key),
            *checkpoint_problems(rows, notes, public_key),
        ]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        return [*chain_problems(rows), f"a row cannot be read: {error}"]


def read_export(folder: Path) -> tuple[list[AuditRow], list[str], bytes]:
    """Rows, notes and public key of an exported folder."""
    rows = []
    for line in (folder / "audit.jsonl").read_bytes().decode().split("\n"):
        if line:
            stored = json.loads(line)
            row = stored["seq"], bytes.fromhex(stored["prev"]), stored["body"], bytes.fromhex(stored["hash"])
            rows.append(AuditRow(*row))
    notes = split_notes((folder / "checkpoints.txt").read_bytes().decode())
    return rows, notes, bytes.fromhex((folder / "audit.pub").read_text(encoding="ascii").strip())


def verify_export(folder: Path) -> list[str]:
    """Problems of an exported trail; an unreadable file is a problem too."""
    try:
        rows, notes, public_key = read_export(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"the export cannot be read: {error}"]
    return problems_of(rows, notes, public_key)


def main() -> int:
    """Verify the folder named on the command line."""
    found = verify_export(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    sys.stdout.write("".join(f"{problem}\n" for problem in found) or "ok\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
