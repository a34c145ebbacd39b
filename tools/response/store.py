"""The one SQLite file of the response room, and its transactions.

Approvals and their audit trail share a file, so a transition and its audit row are one commit: neither exists alone,
and a copy of the file put back from yesterday takes its audit trail back too, which the exported checkpoints show.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ...knowledge.errors import StorageError

FILE_NAME = "approvals.sqlite"
BUSY_SECONDS = 5.0
"""How long a writer waits for another one before it gives up, and with it the action."""

SCHEMA = """
create table if not exists audit (
    seq integer primary key,
    prev blob not null,
    body text not null,
    hash blob not null unique
) strict;
create index if not exists audit_kind on audit (json_extract(body, '$.kind'), seq);
create index if not exists audit_approval on audit (json_extract(body, '$.approval'), seq);
create trigger if not exists audit_keeps_rows before delete on audit
    begin select raise(abort, 'the audit trail is append-only'); end;
create trigger if not exists audit_keeps_values before update on audit
    begin select raise(abort, 'the audit trail is append-only'); end;

create table if not exists approvals (
    id text primary key,
    state text not null,
    case_id text not null,
    attempt integer not null,
    target_key text not null,
    request blob not null,
    digest text not null,
    nonce text not null unique,
    requester text not null,
    reason text not null,
    evidence text not null,
    facts text not null,
    quorum integer not null,
    epoch integer not null,
    policy_hash text not null,
    protected_hash text not null,
    undo_of text references approvals (id),
    proposed_wall text not null, proposed_monotonic real not null,
    decide_wall text not null, decide_monotonic real not null,
    approved_wall text, approved_monotonic real,
    execute_wall text, execute_monotonic real,
    attempt_id text,
    lease_wall text, lease_monotonic real, claimed_wall text, claimed_monotonic real,
    vendor_reference text,
    why text not null default '',
    settled_wall text
) strict;
create index if not exists approvals_target on approvals (target_key);

create table if not exists signatures (
    approval_id text not null references approvals (id),
    identity text not null,
    approver text not null,
    verdict text not null,
    signed_at text not null,
    signature blob not null,
    primary key (approval_id, identity)
) strict;

create table if not exists intents (
    nonce text primary key,
    approval_id text not null references approvals (id),
    attempt_id text not null,
    digest text not null,
    at text not null
) strict;
"""


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("pragma synchronous = full")
    connection.execute("pragma foreign_keys = on")
    return connection


def create(home: Path) -> Path:
    """Make the file with its tables when it is not there.

    Raises:
        StorageError: The folder or the file cannot be written.
    """
    path = home / FILE_NAME
    try:
        home.mkdir(parents=True, exist_ok=True)
        with closing(_connect(path)) as connection:
            connection.execute("pragma journal_mode = wal")
            if not connection.execute("select 1 from sqlite_master where name = 'intents'").fetchone():
                connection.executescript(f"begin immediate; {SCHEMA} commit;")
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"cannot keep approvals in {path}: {error}; check that the folder can be written") from error
    return path


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """One `begin immediate` to commit; any exception rolls everything back.

    Raises:
        StorageError: The file is locked, full, read-only or damaged. Nothing was changed.
    """
    try:
        with closing(_connect(path)) as connection:
            connection.execute("begin immediate")
            yield connection  # an exception closes the connection, and with it rolls back
            connection.commit()
    except sqlite3.Error as error:
        raise StorageError(f"cannot write {path}: {error}; no action runs without its audit row") from error


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for reading one consistent state.

    Raises:
        StorageError: The file cannot be read.
    """
    try:
        with closing(_connect(path)) as connection:
            connection.execute("begin")
            yield connection
    except sqlite3.Error as error:
        raise StorageError(f"cannot read {path}: {error}") from error
