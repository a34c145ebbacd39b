"""The audit trail: a hash chain in the approvals file, with signed checkpoints kept in a second place.

Against one account that owns the file, the key and the second place no local proof holds; the second place should be
a folder that leaves the machine. See THREAT_MODEL.md.
"""

import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ...knowledge.errors import StorageError, UnsafeValueError
from . import chain, store
from .chain import AuditRow
from .clock import Clock, system_moment

KEY_FILE, NOTES_FILE, PUBLIC_FILE = "audit.key", "checkpoints.txt", "audit.pub"


def canonical(body: Mapping[str, Any]) -> bytes:
    """RFC 8785 bytes of a JSON object.

    Raises:
        UnsafeValueError: A value that JSON cannot carry exactly: a lone surrogate, NaN, an integer above 53 bits.
    """
    try:
        return rfc8785.dumps(dict(body))
    except ValueError as error:
        raise UnsafeValueError(f"a value cannot be written exactly as JSON, so it is refused: {error}") from error


def append(connection: sqlite3.Connection, body: Mapping[str, Any]) -> int:
    """Add one row inside the caller's transaction and return its number."""
    last = connection.execute("select seq, hash from audit order by seq desc limit 1").fetchone()
    seq, prev = (last["seq"] + 1, bytes(last["hash"])) if last else (1, chain.FIRST_PREVIOUS)
    text = canonical(body).decode()
    connection.execute("insert into audit values (?, ?, ?, ?)", (seq, prev, text, chain.row_hash(seq, prev, text)))
    return int(seq)


def last_of_kind(connection: sqlite3.Connection, kind: str) -> dict[str, Any] | None:
    """The newest body of this kind."""
    query = "select body from audit where json_extract(body, '$.kind') = ? order by seq desc limit 1"
    row = connection.execute(query, (kind,)).fetchone()
    return json.loads(row["body"]) if row else None


def last_transition(connection: sqlite3.Connection, approval_id: str) -> dict[str, Any] | None:
    """The newest transition of an approval."""
    query = "select body from audit where json_extract(body, '$.approval') = ? order by seq desc limit 1"
    row = connection.execute(query, (approval_id,)).fetchone()
    return json.loads(row["body"]) if row else None


class Audit:
    """The trail of one home."""

    def __init__(self, home: Path, *, second_place: Path | None = None, clock: Clock = system_moment) -> None:
        """Open the trail; the first time, make its key and its first row.

        Args:
            home: The TRACEHOUND_HOME folder.
            second_place: Folder for the signed checkpoints, by default `home/checkpoints`.
            clock: Source of the times in rows.

        Raises:
            StorageError: The folder cannot be written, or the key cannot be read.
        """
        self.home, self.second_place, self._clock = home, second_place or home / "checkpoints", clock
        self.path = store.create(home)
        self._begin()

    def append(self, kind: str, **facts: Any) -> int:
        """Add one row of its own and return its number. It is durable when this returns.

        Raises:
            StorageError: It could not be written; what it announces must not happen.
        """
        with store.transaction(self.path) as connection:
            return append(connection, {"kind": kind, "at": self._clock().wall.isoformat(), **facts})

    def checkpoint(self) -> None:
        """Sign the trail as it is now, and write the note to the second place.

        Raises:
            StorageError: The second place cannot be written.
        """
        with store.transaction(self.path) as connection:
            last = connection.execute("select seq, hash, body from audit order by seq desc limit 1").fetchone()
            size, head = last["seq"], bytes(last["hash"])
            announced = json.loads(last["body"])
            if announced["kind"] == "checkpoint":
                # Nothing happened since; the note of that row may still be missing after a crash.
                size, head = announced["size"], bytes.fromhex(announced["head"])
                if self._notes()[-1:] == [chain.write_note(size, head, self._key())]:
                    return
            else:
                body = {"kind": "checkpoint", "at": self._clock().wall.isoformat(), "size": size, "head": head.hex()}
                append(connection, body)
            # The note is written before the commit: a note without its row is harmless, a row without its note is a
            # problem that `verify` reports.
            self._export(chain.write_note(size, head, self._key()))

    def verify(self) -> list[str]:
        """Every problem of the trail in plain sentences; empty when it is whole."""
        try:
            # Under the write lock, so that rows and notes are of one moment.
            with store.transaction(self.path) as connection:
                stored = connection.execute("select seq, prev, body, hash from audit order by seq").fetchall()
                notes = self._notes()
            public_key = bytes.fromhex((self.second_place / PUBLIC_FILE).read_text(encoding="ascii").strip())
            rows = [AuditRow(row["seq"], bytes(row["prev"]), row["body"], bytes(row["hash"])) for row in stored]
        except (StorageError, OSError, ValueError, TypeError) as error:
            return [f"the trail cannot be read: {error}"]
        return chain.problems_of(rows, notes, public_key)

    def export(self, path: Path) -> Path:
        """Write rows, checkpoints, public key and a verifier that needs none of Tracehound into a folder.

        Raises:
            StorageError: The folder cannot be written.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            with store.transaction(self.path) as connection, (path / "audit.jsonl").open("wb") as lines:
                for row in connection.execute("select seq, prev, body, hash from audit order by seq"):
                    shown = {
                        "seq": row["seq"],
                        "prev": row["prev"].hex(),
                        "body": row["body"],
                        "hash": row["hash"].hex(),
                    }
                    lines.write(json.dumps(shown).encode() + b"\n")
                (path / NOTES_FILE).write_bytes(chain.join_notes(self._notes()).encode())
            (path / PUBLIC_FILE).write_bytes((self.second_place / PUBLIC_FILE).read_bytes())
            (path / "verify.py").write_bytes(Path(chain.__file__).read_bytes())
        except OSError as error:
            raise StorageError(f"cannot export the audit trail to {path}: {error}") from error
        return path

    def _begin(self) -> None:
        with store.reading(self.path) as connection:
            if connection.execute("select 1 from audit limit 1").fetchone():
                return
        with store.transaction(self.path) as connection:
            if connection.execute("select 1 from audit limit 1").fetchone():
                return
            public = self._make_key().public_key().public_bytes_raw().hex()
            append(
                connection,
                {"kind": "audit.begun", "at": self._clock().wall.isoformat(), "public_key": public},
            )

    def _make_key(self) -> Ed25519PrivateKey:
        key = Ed25519PrivateKey.generate()
        try:
            write_private(self.home / KEY_FILE, key.private_bytes_raw().hex().encode())
            self.second_place.mkdir(parents=True, exist_ok=True)
            (self.second_place / PUBLIC_FILE).write_text(key.public_key().public_bytes_raw().hex() + "\n", "ascii")
        except OSError as error:
            raise StorageError(f"cannot keep the audit key under {self.home}: {error}") from error
        return key

    def _key(self) -> Ed25519PrivateKey:
        path = self.home / KEY_FILE
        try:
            return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii")))
        except (OSError, ValueError) as error:
            raise StorageError(f"the audit key {path} cannot be read ({error}), so no action may run") from error

    def _notes(self) -> list[str]:
        path = self.second_place / NOTES_FILE
        return chain.split_notes(path.read_bytes().decode()) if path.exists() else []

    def _export(self, note: str) -> None:
        path = self.second_place / NOTES_FILE
        try:
            self.second_place.mkdir(parents=True, exist_ok=True)
            path.touch()
            with path.open("r+b") as notes:
                whole = chain.join_notes(chain.split_notes(notes.read().decode())).encode()
                notes.seek(len(whole))
                notes.truncate()
                notes.write(chain.join_notes([note]).encode())
                notes.flush()
                os.fsync(notes.fileno())
        except OSError as error:
            raise StorageError(f"cannot write the audit checkpoint to {path}: {error}; no action may run") from error


def write_private(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Write a secret file that only its owner may read, where the system has modes.

    Raises:
        FileExistsError: It is there, and `replace` is false.
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_EXCL)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as secret:
        secret.write(content)
