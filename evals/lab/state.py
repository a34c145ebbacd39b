"""What changes while the lab runs: containment, actions, notes, the journal, faults, tokens, rate windows, the clock.

One SQLite file beside the telemetry, in WAL mode, because several processes use one lab at the same time (a copilot,
an executor, `lab serve`). Every write is one short transaction. Times inside are seconds on the lab's clock; times
shown to people are ISO 8601 in UTC.
"""

import json
import secrets
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...knowledge.errors import StorageError

Role = Literal["reading", "acting"]
Containment = Literal["normal", "pending", "contained", "lifting"]

_CLOSE = 1e-6
"""Sums of waits are floats: a window that ends within a microsecond has ended."""

READS_UNTIL_SETTLED = 3
"""A pending containment is done after its delay or after so many reads, whichever comes first."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS clock (one INTEGER PRIMARY KEY CHECK (one = 1), elapsed REAL NOT NULL);
INSERT OR IGNORE INTO clock VALUES (1, 0);
CREATE TABLE IF NOT EXISTS credentials (
    vendor TEXT, role TEXT, client_id TEXT NOT NULL, secret TEXT NOT NULL, PRIMARY KEY (vendor, role));
CREATE TABLE IF NOT EXISTS tokens (
    token TEXT PRIMARY KEY, vendor TEXT NOT NULL, role TEXT NOT NULL, audience TEXT NOT NULL, expires REAL NOT NULL);
CREATE TABLE IF NOT EXISTS containment (
    vendor TEXT, device TEXT, state TEXT NOT NULL, due REAL, reads INTEGER NOT NULL, PRIMARY KEY (vendor, device));
CREATE TABLE IF NOT EXISTS machine_actions (id TEXT PRIMARY KEY, machine TEXT NOT NULL, due REAL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS notes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, vendor TEXT NOT NULL, object TEXT NOT NULL, kind TEXT NOT NULL,
    value TEXT NOT NULL, time TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS journal (
    number INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, vendor TEXT NOT NULL, operation TEXT NOT NULL,
    target TEXT NOT NULL, credential TEXT NOT NULL, user_agent TEXT NOT NULL, approval TEXT, status INTEGER NOT NULL,
    outcome TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS faults (vendor TEXT, operation TEXT, fault TEXT NOT NULL, uses INTEGER,
    PRIMARY KEY (vendor, operation));
CREATE TABLE IF NOT EXISTS windows (bucket TEXT PRIMARY KEY, started REAL NOT NULL, calls INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Credential:
    """What one side of the product signs in with at one vendor."""

    vendor: str
    role: Role
    client_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class Token:
    """An issued bearer token."""

    vendor: str
    role: Role
    audience: str
    expires: float


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One state-changing call that a vendor of the lab received."""

    number: int
    time: str
    vendor: str
    operation: str
    target: str
    """Ids of what was to be changed, joined by commas."""
    credential: str
    """`reading`, `acting`, or empty when the caller was not known."""
    user_agent: str
    approval: str | None
    """The approval id that the user agent or the comment carries."""
    status: int
    """HTTP status of the answer."""
    outcome: str


@dataclass(frozen=True, slots=True)
class Note:
    """A comment, tag or status that was written to an alert or a threat."""

    object: str
    kind: str
    value: str
    time: str


@dataclass(frozen=True, slots=True)
class Admission:
    """Verdict of a rate window."""

    admitted: bool
    remaining: int
    wait: float
    """Seconds until the window opens again."""


class LabState:
    """The lab's live state.

    Raises:
        StorageError: the file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        opened: sqlite3.Connection | None = None
        try:
            self._db = opened = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            # Whoever forgets to close leaves no open file behind.
            self._closing = weakref.finalize(self, opened.close)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            with self._transaction() as db:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
        except sqlite3.Error as exc:
            if opened:
                opened.close()
            raise StorageError(
                f"the lab's state {path} cannot be opened: {exc}; check the folder's permissions"
            ) from exc

    def close(self) -> None:
        """Close the file."""
        self._closing()

    # the clock

    def elapsed(self) -> float:
        """Seconds by which the lab's clock has moved since the lab was made."""
        return float(self._one("SELECT elapsed FROM clock")[0])

    def advance(self, seconds: float) -> None:
        """Move the lab's clock forward for every process."""
        with self._transaction() as db:
            db.execute("UPDATE clock SET elapsed = elapsed + ?", (seconds,))

    # who may call

    def credential(self, vendor: str, role: Role) -> Credential:
        """The lab's own credential, made at first use and different in every lab."""
        with self._transaction() as db:
            fresh = (vendor, role, f"lab-{role}-{secrets.token_hex(4)}", secrets.token_urlsafe(24))
            db.execute("INSERT OR IGNORE INTO credentials VALUES (?, ?, ?, ?)", fresh)
            row = db.execute("SELECT * FROM credentials WHERE vendor = ? AND role = ?", (vendor, role)).fetchone()
        return Credential(*row)

    def whose(self, vendor: str, client_id: str | None, secret: str) -> Role | None:
        """The role that a secret belongs to; None when it is wrong."""
        rows = self._all("SELECT role, client_id, secret FROM credentials WHERE vendor = ?", vendor)
        for role, known_id, known in rows:
            if secrets.compare_digest(known.encode(), secret.encode()) and client_id in (None, known_id):
                return "acting" if role == "acting" else "reading"
        return None

    def issue_token(self, vendor: str, role: Role, audience: str, expires: float) -> str:
        """A new bearer token, valid until `expires` on the lab's clock."""
        token = secrets.token_urlsafe(32)
        with self._transaction() as db:
            db.execute("DELETE FROM tokens WHERE expires < (SELECT elapsed FROM clock)")
            db.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?)", (token, vendor, role, audience, expires))
        return token

    def token(self, token: str) -> Token | None:
        """The token as it was issued, or None when it never was, was revoked, or has expired."""
        row = self._one("SELECT vendor, role, audience, expires FROM tokens WHERE token = ?", token)
        found = Token(*row) if row else None
        return found if found and found.expires > self.elapsed() else None

    def revoke_token(self, token: str) -> None:
        """Forget a token."""
        with self._transaction() as db:
            db.execute("DELETE FROM tokens WHERE token = ?", (token,))

    def admit(self, bucket: str, calls: int, seconds: float) -> Admission:
        """Count one call against a window that opens with its first call."""
        with self._transaction() as db:
            now = float(db.execute("SELECT elapsed FROM clock").fetchone()[0])
            row = db.execute("SELECT started, calls FROM windows WHERE bucket = ?", (bucket,)).fetchone()
            started, used = row if row and now < row[0] + seconds - _CLOSE else (now, 0)
            if used >= calls:
                return Admission(False, 0, started + seconds - now)
            db.execute("INSERT OR REPLACE INTO windows VALUES (?, ?, ?)", (bucket, started, used + 1))
        return Admission(True, calls - used - 1, 0.0)

    # containment

    def contain(self, vendor: str, device: str, heading: Literal["pending", "lifting"], delay: float | None) -> None:
        """Start to cut a device off or to let it back; `delay` None: it never gets there (offline, stuck)."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO containment SELECT ?, ?, ?, elapsed + ?, 0 FROM clock",
                (vendor, device, heading, delay),
            )

    def containment(self, vendor: str) -> Mapping[str, Containment]:
        """Devices that are not normal. Reading moves pending ones on."""
        rows = self._all("SELECT device, state, due, reads FROM containment WHERE vendor = ?", vendor)
        if any(state in ("pending", "lifting") and due is not None for _, state, due, _ in rows):
            self._settle(vendor)
            rows = self._all("SELECT device, state, due, reads FROM containment WHERE vendor = ?", vendor)
        return {device: state for device, state, _, _ in rows if state != "normal"}

    def _settle(self, vendor: str) -> None:
        with self._transaction() as db:
            moving = "vendor = ? AND due IS NOT NULL AND state IN ('pending', 'lifting')"
            db.execute(f"UPDATE containment SET reads = reads + 1 WHERE {moving}", (vendor,))
            db.execute(
                "UPDATE containment SET state = iif(state = 'pending', 'contained', 'normal') "
                f"WHERE {moving} AND (due <= (SELECT elapsed FROM clock) OR reads >= ?)",
                (vendor, READS_UNTIL_SETTLED),
            )

    # Defender's machine actions

    def machine_actions(self) -> Sequence[tuple[dict[str, Any], float | None]]:
        """Every action document with the moment at which it is done, newest first."""
        rows = self._all("SELECT document, due FROM machine_actions ORDER BY rowid DESC")
        return [(json.loads(document), due) for document, due in rows]

    def save_machine_action(self, document: Mapping[str, Any], due: float | None) -> None:
        """Write an action, new or changed."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO machine_actions VALUES (?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET due = excluded.due, document = excluded.document",
                (document["id"], document["machineId"], due, json.dumps(document)),
            )

    # notes

    def add_note(self, vendor: str, target: str, kind: str, value: str, time: str) -> None:
        """Write a comment, tag or status to an alert or a threat."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO notes (vendor, object, kind, value, time) VALUES (?, ?, ?, ?, ?)",
                (vendor, target, kind, value, time),
            )

    def notes(self, vendor: str) -> Sequence[Note]:
        """Everything written at one vendor, oldest first."""
        rows = self._all("SELECT object, kind, value, time FROM notes WHERE vendor = ? ORDER BY number", vendor)
        return [Note(*row) for row in rows]

    # journal

    def record(self, entry: Mapping[str, Any]) -> None:
        """Append one state-changing call."""
        columns = ", ".join(entry)
        with self._transaction() as db:
            db.execute(
                f"INSERT INTO journal ({columns}) VALUES ({', '.join(':' + name for name in entry)})", dict(entry)
            )

    def journal(self) -> Sequence[JournalEntry]:
        """Every state-changing call so far, oldest first."""
        return [JournalEntry(*row) for row in self._all("SELECT * FROM journal ORDER BY number")]

    # faults

    def set_fault(self, vendor: str, operation: str, fault: str | None, uses: int | None = None) -> None:
        """Disturb an operation until switched off (`fault` None), or for a number of calls."""
        with self._transaction() as db:
            db.execute("DELETE FROM faults WHERE vendor = ? AND operation = ?", (vendor, operation))
            if fault:
                db.execute("INSERT INTO faults VALUES (?, ?, ?, ?)", (vendor, operation, fault, uses))

    def faults(self) -> Sequence[tuple[str, str, str]]:
        """Every fault that is on: vendor, operation, name."""
        return [(v, o, f) for v, o, f in self._all("SELECT vendor, operation, fault FROM faults ORDER BY 1, 2")]

    def take_fault(self, vendor: str, operation: str) -> str | None:
        """The fault that disturbs this call; counts the use."""
        row = self._one(
            "SELECT operation, fault, uses FROM faults WHERE vendor = ? AND operation IN (?, 'all') "
            "ORDER BY operation = 'all'",
            vendor,
            operation,
        )
        if row is None:
            return None
        place, fault, uses = row
        if uses is None:
            return str(fault)
        with self._transaction() as db:
            taken = db.execute(
                "UPDATE faults SET uses = uses - 1 WHERE vendor = ? AND operation = ? AND fault = ? AND uses > 0",
                (vendor, place, fault),
            ).rowcount
            db.execute("DELETE FROM faults WHERE uses <= 0")
        return str(fault) if taken else None

    # the file

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            whole = False
            try:
                yield self._db
                whole = True
            finally:
                self._db.execute("COMMIT" if whole else "ROLLBACK")

    def _one(self, sql: str, *values: object) -> Any:
        with self._lock:
            return self._db.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: object) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()
