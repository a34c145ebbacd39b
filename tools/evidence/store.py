"""The SQLite file of a case: append-only tables, a chained journal, one writer, and a seal outside the folder.

`journal` holds everything but rows, each entry chained to the one before by SHA-256; `rows` holds evidence, `sightings`
which query returned which row. Triggers refuse to change or remove anything. After each step the head of the chain is
signed and kept in `manifests/` beside the cases, so that a case that was cut off or hashed anew is noticed.

One process at a time writes. It holds an open SQLite transaction on `lock.sqlite` as long as the case is open: the
operating system frees it when the process dies, on every platform, so no lease outlives its holder.
"""

import errno
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from ...knowledge.errors import CaseBusyError, CaseError, StorageError, TamperError, TracehoundError
from .records import iso_z
from .seal import Head, read_seal, write_seal

SCHEMA = """
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, ref TEXT NOT NULL, body TEXT NOT NULL,
    digest TEXT NOT NULL
) STRICT;
CREATE INDEX journal_kind ON journal (kind, ref);
CREATE TABLE rows (
    alias INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, sha256 TEXT NOT NULL UNIQUE, canonical BLOB NOT NULL,
    query TEXT NOT NULL, platform TEXT NOT NULL, collection TEXT NOT NULL,
    event_class TEXT NOT NULL, time TEXT, host TEXT, user TEXT, fields TEXT NOT NULL
) STRICT;
CREATE TABLE sightings (
    query TEXT NOT NULL, position INTEGER NOT NULL, alias INTEGER NOT NULL, PRIMARY KEY (query, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX sightings_alias ON sightings (alias);
"""
ROW = "alias, id, sha256, canonical, query, platform, collection, event_class, time, host, user, fields"
"""Columns of `rows`, in order."""

_TABLES = ("journal", "rows", "sightings")
FILES = frozenset(f"{name}.sqlite{end}" for name in ("case", "lock") for end in ("", "-wal", "-shm", "-journal"))
"""What may lie in a case's folder."""
GENESIS = "0" * 64
"""What the first journal entry is chained to."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal entry."""

    seq: int
    at: str
    kind: str
    ref: str
    body: Any


@contextmanager
def storage_errors(place: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the file system into one sentence each."""
    try:
        yield
    except sqlite3.Error as exc:
        raise _translated(exc, place) from exc
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(place) from exc
        raise StorageError(f"cannot write {place}: {exc.strerror or exc}; choose another TRACEHOUND_HOME") from exc


def _disk_full(place: Path) -> StorageError:
    return StorageError(f"the disk of {place} is full: this step was not kept, all before it was; free space and retry")


def _translated(exc: sqlite3.Error, place: Path) -> TracehoundError:
    text = str(exc)
    if "full" in text:
        return _disk_full(place)
    if "locked" in text or "busy" in text:
        return CaseBusyError(f"{place} is held by another process; wait for it to end, or start another case")
    if "readonly" in text or "unable to open" in text or "disk I/O" in text:
        return StorageError(f"cannot read or write {place}: {text}; check the folder's permissions or TRACEHOUND_HOME")
    return CaseError(f"{place} cannot be used: {text}; restore it from a copy")


class Store:
    """One case's database. Not for use from two threads at once; `Case` guards it."""

    def __init__(self, folder: Path, manifest: Path, *, writable: bool, fresh: bool = False, wait: float = 0.0) -> None:
        self.folder, self.manifest, self.writable = folder, manifest, writable
        self._lock: sqlite3.Connection | None = None
        place = folder / "case.sqlite"
        if not fresh and not place.exists():
            raise TamperError(f"case.sqlite is missing in {folder}; restore it from a copy")
        try:
            with storage_errors(folder):
                if writable:
                    self._lock = _hold(folder, wait)
                self.db = _connect(place) if writable else _connect_to_read(place)
                if fresh:
                    self.db.executescript(SCHEMA + _triggers())
                head = self.head()
                sealed = read_seal(manifest) if writable else []
                if len(sealed) > 1 and head in sealed:
                    self._seal(head)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files and let the next writer in."""
        for connection in (getattr(self, "db", None), self._lock):
            if connection is not None:
                connection.close()
        self._lock = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. The seal names the coming head before the commit, and that head alone after it."""
        if not self.writable:
            raise CaseError(f"{self.folder.name} was opened for reading only")
        with storage_errors(self.folder):
            self.db.execute("BEGIN IMMEDIATE")
            before = self.head()
            try:
                self._require_seal(before)
                yield
                after = self.head()
                if after != before:
                    # Until the commit is known to have happened, both heads are right.
                    write_seal(self.manifest, before, after)
                self.db.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise
            self._seal(after)

    def _require_seal(self, head: Head) -> None:
        # Going on would put a true seal on what somebody else has written.
        if head.entries and head not in read_seal(self.manifest):
            raise TamperError(
                f"case {self.folder.name} is not as it was sealed, so nothing is added to it; run `tracehound case verify`"
            )

    def _seal(self, head: Head) -> None:
        # The step is kept already; a seal that still names the head before it is true as well.
        with suppress(OSError, StorageError):
            write_seal(self.manifest, head)

    def append(self, kind: str, ref: str, body: Any, at: datetime | None = None) -> int:
        """Add a journal entry inside a transaction; gives its number."""
        head = self.head()
        moment = iso_z(at or datetime.now(UTC))
        # ASCII escapes carry every text, lone surrogates included, through SQLite and back.
        text = json.dumps(body, ensure_ascii=True, separators=(",", ":"))
        # One line, so that no part of an entry can pass for another in what the digest covers.
        ref = ref.encode("utf-8", "backslashreplace").decode().replace("\n", "\\n")
        seq = head.entries + 1
        entry = (seq, moment, kind, ref, text, chained(head.digest, seq, str(moment), kind, ref, text))
        self.db.execute("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", entry)
        return seq

    def head(self) -> Head:
        """State of the chain now."""
        row = self.db.execute("SELECT seq, digest FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        return Head(*row) if row else Head(0, GENESIS)

    def entries(self, kind: str, ref: str | None = None) -> list[Entry]:
        """Journal entries of a kind in order."""
        query = "SELECT seq, at, kind, ref, body FROM journal WHERE kind = ?"
        with storage_errors(self.folder):
            if ref is None:
                found = self.db.execute(query + " ORDER BY seq", (kind,)).fetchall()
            else:
                found = self.db.execute(query + " AND ref = ? ORDER BY seq", (kind, ref)).fetchall()
        return [Entry(seq, at, kind, ref, json.loads(body)) for seq, at, kind, ref, body in found]

    def count(self, kind: str) -> int:
        """Number of journal entries of a kind."""
        return int(self.db.execute("SELECT count(*) FROM journal WHERE kind = ?", (kind,)).fetchone()[0])


def chained(previous: str, seq: int, at: str, kind: str, ref: str, body: str) -> str:
    """Digest of a journal entry, which holds the digest of the one before."""
    return hashlib.sha256("\n".join((previous, str(seq), at, kind, ref, body)).encode()).hexdigest()


@cache
def schema() -> dict[str, str | None]:
    """Names and definitions of everything that a case's file is made of."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA + _triggers())
        return dict(db.execute("SELECT name, sql FROM sqlite_master"))


def _triggers() -> str:
    return "".join(
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'a case is append-only'); END;\n"
        for table in _TABLES
        for verb in ("update", "delete")
    )


def _connect(place: Path) -> sqlite3.Connection:
    db = sqlite3.connect(place, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
    except BaseException:
        db.close()
        raise
    return db


def _connect_to_read(place: Path) -> sqlite3.Connection:
    address = place.resolve().as_uri()
    db = sqlite3.connect(f"{address}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.OperationalError:
        # On read-only media SQLite cannot make the shared-memory file of a WAL database.
        db.close()
        db = sqlite3.connect(f"{address}?immutable=1", uri=True, isolation_level=None, check_same_thread=False)
    except BaseException:
        db.close()
        raise
    return db


def _hold(folder: Path, wait: float) -> sqlite3.Connection:
    """Take the writer's place: a transaction left open for as long as the case is."""
    lock = sqlite3.connect(folder / "lock.sqlite", isolation_level=None, check_same_thread=False, timeout=wait)
    try:
        lock.execute("CREATE TABLE IF NOT EXISTS holder (pid INTEGER, since TEXT)")
        lock.execute("BEGIN IMMEDIATE")
        lock.execute("DELETE FROM holder")
        lock.execute("INSERT INTO holder VALUES (?, ?)", (os.getpid(), iso_z(datetime.now(UTC))))
        lock.execute("COMMIT")
        lock.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as exc:
        if "locked" not in str(exc):
            lock.close()
            raise
        holder = lock.execute("SELECT pid, since FROM holder").fetchone() or ("unknown", "now")
        lock.close()
        raise CaseBusyError(
            f"case {folder.name} is in use by process {holder[0]} since {holder[1]}; wait for it, or start another case"
        ) from exc
    except BaseException:
        lock.close()
        raise
    return lock
