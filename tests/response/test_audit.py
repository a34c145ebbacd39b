"""The trail notices every change, survives kills, and stops everything when it cannot be written."""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tracehound import Approver
from tracehound.knowledge.errors import StorageError, TamperError, UnsafeValueError
from tracehound.tools.response import Audit, State, chain, store
from tracehound.tools.response.chain import AuditRow

ROWS = 40
POSITIONS = (2, 5, 9, 13, 17, 21, 25, 29, 33, 37)
"""Each is covered by a checkpoint, which are made every ten rows and at the end."""


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose trail has rows, checkpoints, and `older`: the state half-way."""
    home = tmp_path_factory.mktemp("audit")
    audit = Audit(home)
    for number in range(ROWS):
        audit.append("note", number=number, text="x" * 20)
        if number % 10 == 9:
            audit.checkpoint()
        if number == ROWS // 2:
            audit.export(home / "older")
    audit.append("note", number=ROWS, text="last")
    audit.checkpoint()
    other = Audit(home / "other")
    for number in range(ROWS):
        other.append("note", number=number, text="of another log")
    other.checkpoint()
    other.export(home / "other-export")
    return home


Rows = list[AuditRow]
Tampering = Callable[[Rows, int, Path], Rows]


def _flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def _body(rows: Rows, at: int, home: Path) -> Rows:
    return [*rows[:at], rows[at]._replace(body=rows[at].body.replace('"at"', '"au"')), *rows[at + 1 :]]


def _hash(rows: Rows, at: int, home: Path) -> Rows:
    return [*rows[:at], rows[at]._replace(hash=_flip(rows[at].hash)), *rows[at + 1 :]]


def _prev(rows: Rows, at: int, home: Path) -> Rows:
    return [*rows[:at], rows[at]._replace(prev=_flip(rows[at].prev)), *rows[at + 1 :]]


def _seq(rows: Rows, at: int, home: Path) -> Rows:
    return [*rows[:at], rows[at]._replace(seq=rows[at].seq + 1000), *rows[at + 1 :]]


def _delete(rows: Rows, at: int, home: Path) -> Rows:
    return [*rows[:at], *rows[at + 1 :]]


def _insert(rows: Rows, at: int, home: Path) -> Rows:
    body = '{"kind":"note"}'
    added = AuditRow(rows[at].seq, rows[at - 1].hash, body, chain.row_hash(rows[at].seq, rows[at - 1].hash, body))
    return [*rows[:at], added, *(row._replace(seq=row.seq + 1) for row in rows[at:])]


def _swap(rows: Rows, at: int, home: Path) -> Rows:
    first, second = rows[at], rows[at + 1]
    return [*rows[:at], second._replace(seq=first.seq), first._replace(seq=second.seq), *rows[at + 2 :]]


def _duplicate(rows: Rows, at: int, home: Path) -> Rows:
    copy = rows[at]._replace(hash=_flip(rows[at].hash))  # the column is unique
    return [*rows[: at + 1], *(row._replace(seq=row.seq + 1) for row in [copy, *rows[at + 1 :]])]


def _truncate(rows: Rows, at: int, home: Path) -> Rows:
    return rows[:at]


def _roll_back(rows: Rows, at: int, home: Path) -> Rows:
    return chain.read_export(home / "older")[0]


def _rehash(rows: Rows, at: int, home: Path) -> Rows:
    prev, built = rows[at].prev, rows[:at]
    for row in rows[at:]:
        body = row.body.replace('"at"', '"au"') if row is rows[at] else row.body
        built = [*built, AuditRow(row.seq, prev, body, chain.row_hash(row.seq, prev, body))]
        prev = built[-1].hash
    return built


def _splice(rows: Rows, at: int, home: Path) -> Rows:
    other = chain.read_export(home / "other-export")[0]
    return [*rows[:at], *other[at : at + 3], *rows[at + 3 :]]


ROW_TAMPERINGS: list[Tampering] = [
    _body, _hash, _prev, _seq, _delete, _insert, _swap, _duplicate, _truncate, _roll_back, _rehash, _splice,
]  # fmt: skip


def _drop_note(folder: Path, at: int) -> None:
    notes = chain.split_notes((folder / "checkpoints.txt").read_bytes().decode())
    del notes[at % len(notes)]
    (folder / "checkpoints.txt").write_bytes(chain.join_notes(notes).encode())


def _forge_signature(folder: Path, at: int) -> None:
    notes = chain.split_notes((folder / "checkpoints.txt").read_bytes().decode())
    key = Ed25519PrivateKey.generate()
    note = chain.read_note(notes[at % len(notes)], bytes.fromhex((folder / "audit.pub").read_text().strip()))
    notes[at % len(notes)] = chain.write_note(note.size, note.head, key)
    (folder / "checkpoints.txt").write_bytes(chain.join_notes(notes).encode())
    if at % 2:
        (folder / "audit.pub").write_text(key.public_key().public_bytes_raw().hex() + "\n")


NOTE_TAMPERINGS = [_drop_note, _forge_signature]


@pytest.mark.parametrize("at", POSITIONS)
@pytest.mark.parametrize("tamper", ROW_TAMPERINGS, ids=lambda tamper: tamper.__name__)
@pytest.mark.parametrize("place", ["database", "export"])
def test_every_tampering_with_rows_is_detected(
    grown: Path, tmp_path: Path, tamper: Tampering, at: int, place: str
) -> None:
    home = tmp_path / "home"
    shutil.copytree(grown, home, ignore=shutil.ignore_patterns("older", "other", "other-export"))
    audit = Audit(home)
    audit.export(home / "out")
    rows, _, _ = chain.read_export(home / "out")
    changed = tamper(rows, at, grown)
    if place == "export":
        stored = [{"seq": row.seq, "prev": row.prev.hex(), "body": row.body, "hash": row.hash.hex()} for row in changed]
        (home / "out" / "audit.jsonl").write_text("".join(json.dumps(line) + "\n" for line in stored))
        assert chain.verify_export(home / "out")
        return
    with closing(sqlite3.connect(home / store.FILE_NAME)) as db:
        db.execute("drop trigger audit_keeps_rows")
        db.execute("delete from audit")
        db.executemany("insert into audit values (?, ?, ?, ?)", changed)
        db.commit()
    assert audit.verify()


@pytest.mark.parametrize("at", POSITIONS)
@pytest.mark.parametrize("tamper", NOTE_TAMPERINGS, ids=lambda tamper: tamper.__name__)
@pytest.mark.parametrize("place", ["database", "export"])
def test_every_tampering_with_checkpoints_is_detected(
    grown: Path, tmp_path: Path, tamper: Callable[[Path, int], None], at: int, place: str
) -> None:
    home = tmp_path / "home"
    shutil.copytree(grown, home, ignore=shutil.ignore_patterns("older", "other", "other-export"))
    audit = Audit(home)
    audit.export(home / "out")
    if place == "export":
        tamper(home / "out", at)
        assert chain.verify_export(home / "out")
    else:
        tamper(home / "checkpoints", at)
        assert audit.verify()


def test_a_whole_trail_verifies_here_and_by_the_exported_script(grown: Path, tmp_path: Path) -> None:
    audit = Audit(grown)
    assert audit.verify() == []
    out = audit.export(tmp_path / "out")
    ran = subprocess.run([sys.executable, "-I", str(out / "verify.py"), str(out)], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "ok\n"), ran.stderr
    (out / "audit.jsonl").write_text((out / "audit.jsonl").read_text().replace("xxxx", "yyyy", 1))
    ran = subprocess.run([sys.executable, "-I", str(out / "verify.py"), str(out)], capture_output=True, text=True)
    assert ran.returncode == 1
    assert "was changed" in ran.stdout


def test_what_comes_after_the_last_checkpoint_is_the_window_of_loss(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    audit.checkpoint()
    audit.append("note")
    with closing(sqlite3.connect(tmp_path / store.FILE_NAME)) as db:
        db.execute("drop trigger audit_keeps_rows")
        db.execute("delete from audit where json_extract(body, '$.kind') = 'note'")
        db.commit()
    assert audit.verify() == []


def test_a_checkpoint_torn_by_a_crash_does_not_spoil_the_next(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    audit.checkpoint()
    with (tmp_path / "checkpoints" / "checkpoints.txt").open("ab") as notes:
        notes.write(b"tracehound/audit\n7\n")
    assert audit.verify() == []
    audit.append("note")
    audit.checkpoint()
    assert audit.verify() == []


def test_rows_refuse_update_and_delete(tmp_path: Path) -> None:
    Audit(tmp_path)
    with closing(sqlite3.connect(tmp_path / store.FILE_NAME)) as db:
        for statement in ("update audit set body = '{}'", "delete from audit"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(statement)


def test_what_json_cannot_carry_is_refused_before_it_is_hashed(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    for value in ("\ud800", 2**60, float("nan")):
        with pytest.raises(UnsafeValueError):
            audit.append("note", value=value)
    assert audit.verify() == []


WRITER = """
import sys
from pathlib import Path
from tracehound.tools.response import Audit
audit = Audit(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    print(audit.append("note", writer=sys.argv[3], number=number), flush=True)
"""


def writer(home: Path, count: int, name: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(home), str(count), str(name)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_writers_at_once_never_fork(tmp_path: Path) -> None:
    Audit(tmp_path)
    processes = [writer(tmp_path, 60, name) for name in range(4)]
    seen = [int(line) for process in processes for line in process.communicate(timeout=60)[0].split()]
    assert sorted(seen) == list(range(2, 242))
    assert Audit(tmp_path).verify() == []


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    Audit(tmp_path)
    acknowledged: set[int] = set()
    for name in range(6):
        process = writer(tmp_path, 100_000, name)
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(0.02 * name)
        process.kill()
        rest = process.communicate()[0].split("\n")[:-1]
        acknowledged |= {int(line) for line in (first, *rest)}
    with closing(sqlite3.connect(tmp_path / store.FILE_NAME)) as db:
        kept = {row[0] for row in db.execute("select seq from audit")}
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    assert acknowledged <= kept
    assert Audit(tmp_path).verify() == []


def test_verifying_is_fast() -> None:
    rows, prev = [], chain.FIRST_PREVIOUS
    body = json.dumps({"kind": "note", "text": "x" * 450})
    for seq in range(1, 20_001):
        rows.append(AuditRow(seq, prev, body, chain.row_hash(seq, prev, body)))
        prev = rows[-1].hash
    begun = time.perf_counter()
    assert chain.chain_problems(rows) == []
    assert len(rows) / (time.perf_counter() - begun) > 20_000


def fill(audit: Audit) -> None:
    for number in range(1000):
        audit.append("note", number=number, text="x" * 100)


@pytest.mark.anyio
async def test_no_audit_no_action(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = house.propose()
    house.desk.ledger.decide(wanted, Approver.open("lead"), "approve")
    connect = store._connect

    def full(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        pages = connection.execute("pragma page_count").fetchone()[0]
        connection.execute(f"pragma max_page_count = {pages}")
        return connection

    # A disk that is full: SQLite itself says so on the next row that needs a page.
    monkeypatch.setattr(store, "_connect", full)
    with pytest.raises(StorageError, match="full"):
        fill(house.desk.audit)
    with pytest.raises(StorageError, match="no action runs without its audit row"):
        await house.executor().execute(wanted)
    monkeypatch.setattr(store, "_connect", connect)
    assert house.vendor.calls == []
    assert house.desk.approval(wanted).state is State.APPROVED
    assert (await house.executor().execute(wanted)).status == "verified"


@pytest.mark.anyio
async def test_a_file_put_back_from_before_executes_nothing_again(house: Any) -> None:
    wanted = house.propose()
    house.desk.ledger.decide(wanted, Approver.open("lead"), "approve")
    for name in ("approvals.sqlite", "approvals.sqlite-wal"):
        if (house.home / name).exists():
            shutil.copy(house.home / name, house.home / f"{name}.old")
    assert (await house.executor().execute(wanted)).status == "verified"
    for name in ("approvals.sqlite", "approvals.sqlite-wal"):
        (house.home / name).unlink(missing_ok=True)
        if (house.home / f"{name}.old").exists():
            shutil.copy(house.home / f"{name}.old", house.home / name)
    (house.home / "approvals.sqlite-shm").unlink(missing_ok=True)
    house.vendor.containment = "normal"
    assert house.desk.approval(wanted).state is State.APPROVED
    with pytest.raises(TamperError, match="trail was cut"):
        await house.executor().execute(wanted)
    assert len(house.vendor.calls) == 1
