"""Any single change to a case is found: every column of every table, every kind of entry, the files, the seal.

Each change is made behind the case's back, with the guards of the file taken off and put on again. The last tests show
what the seal outside the case is for: an attacker who hashes the whole case anew gets past everything else.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tracehound.knowledge.errors import CaseError, TamperError
from tracehound.tools.evidence.case import Case, verify_case
from tracehound.tools.evidence.claims import claim_for
from tracehound.tools.evidence.custody import problems, row_mark
from tracehound.tools.evidence.exports.checking import sealed_json, verify_file
from tracehound.tools.evidence.merge import merge
from tracehound.tools.evidence.records import Answer, Gap, Proposal, TimelineEntry
from tracehound.tools.evidence.store import GENESIS, ROW, chained
from tracehound.tools.evidence.verify import verify_answer
from tracehound.tools.languages.search import Condition, Search
from tracehound.tools.languages.vocabulary import EventClass

Make = Callable[..., Any]
TABLES = {
    "journal": ("seq", "at", "kind", "ref", "body", "digest"),
    "rows": tuple(ROW.split(", ")),
    "sightings": ("query", "position", "alias"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for cases that are only read."""
    return tmp_path_factory.mktemp("whole")


@pytest.fixture
def original(whole: Path, run: Make, process_row: Make, window: Any) -> tuple[Path, str]:
    """A closed case with every kind of entry, made once; tests change copies."""
    made = list((whole / "cases").glob("c-*")) if (whole / "cases").exists() else []
    if made:
        return whole, min(path.name for path in made)
    with Case.create(whole, "what ran?", window) as case:
        case.add_search(Search(event_class=EventClass.PROCESS, window=window,
                               where=Condition(field="process.name", values=("whoami.exe",))), "discovery.x")  # fmt: skip
        case.add_traffic("model", {"model": "m", "messages": [{"role": "human", "text": "hello"}], "actions": []})
        case.add_approval("A-1")
        record, rows = case.add_run(run([process_row(number) for number in range(4)]))
        case.add_run(run([process_row(9), process_row(2)]))
        case.add_note("bob", "looks odd", evidence=["E1"], time=datetime(2026, 11, 1, 10, 0, tzinfo=UTC))
        claims = [claim_for(group, claim_id=f"C{n}") for n, group in enumerate(merge(case.events()), 1)]
        entries = [
            TimelineEntry(time=rows[0].time or window.start, text=claim.text, evidence=claim.evidence, claim=claim.id,
                          techniques=("T1033",), hosts=("SRV-7",), platforms=("sentinelone",))
            for claim in claims[:2]
        ]  # fmt: skip
        answer = Answer(
            case=case.id, question="what ran?", model="offline", estate="lab", window=record.window, route="search",
            summary="whoami.exe was started", queries=(record,), evidence=tuple(rows), claims=tuple(claims[:2]),
            timeline=tuple(entries), gaps=(Gap(kind="capped", text="cut off", queries=("Q1",)),),
            proposals=(
                Proposal(id="A-1", action="isolate_host", platform="sentinelone", target={"host": "SRV-7"}, reason="odd",
                         evidence=(rows[0].id,), undo="release_host", status="awaiting_approval"),
            ),
        )  # fmt: skip
        case.save_answer(verify_answer(answer))
        case.add_question("and then?")
        first = case.id
    with Case.create(whole, "another case") as other:
        other.add_run(run([process_row(50)]))
    return whole, min(first, other.id)


@pytest.fixture
def copy(original: tuple[Path, str], tmp_path: Path) -> Callable[[], tuple[Path, str]]:
    """Makes a fresh copy of the home."""
    made: list[Path] = []

    def again() -> tuple[Path, str]:
        made.append(tmp_path / f"home-{len(made)}")
        shutil.copytree(original[0], made[-1])
        return made[-1], original[1]

    return again


class Opened:
    """The case's file with its guards off; they are back when this ends."""

    def __init__(self, home: Path, case_id: str) -> None:
        self.db = sqlite3.connect(home / "cases" / case_id / "case.sqlite", isolation_level=None)

    def __enter__(self) -> sqlite3.Connection:
        self.guards = self.db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in self.guards:
            self.db.execute(f"DROP TRIGGER {name}")
        return self.db

    def __exit__(self, *exc: object) -> None:
        for _, sql in self.guards:
            self.db.execute(sql)
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.db.close()


def found_in(home: Path, case_id: str, *, sealed: bool = True) -> list[str]:
    if sealed:
        return verify_case(home, case_id)
    with Case.open(home, case_id, write=False) as case:
        return problems(case._store, sealed=False)


def altered(value: Any) -> list[Any]:
    """Other values of the same kind, each as near as a change can be."""
    match value:
        case None:
            return ["x"]
        case bool():
            return [not value]
        case int() | float():
            return [value + 1_000]
        case bytes():
            return [value[:-2] + b" }", value[:-1], value.replace(b"SRV", b"SRW").replace(b"srv", b"srw")]
        case str():
            flipped = value[:-1] + ("0" if value[-1:] != "0" else "1")
            return [flipped, value + " ", ""] if value else ["x"]
        case _:
            return []


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def with_leaf(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    made = json.loads(json.dumps(content))
    at = made
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return made


def test_the_untouched_case_is_whole(copy: Callable[[], tuple[Path, str]]) -> None:
    home, case_id = copy()
    assert found_in(home, case_id) == []
    with Case.open(home, case_id) as case:
        case.add_note("eve", "more")
    assert found_in(home, case_id) == []


def test_every_value_of_every_table_is_watched(copy: Callable[[], tuple[Path, str]]) -> None:
    """Each column of each line of each table, one at a time; of a table's first line in up to three ways."""
    home, case_id = copy()
    tried, missed = 0, []
    for table, columns in TABLES.items():
        with Opened(home, case_id) as db:
            lines = db.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
        keys = columns[:2] if table == "sightings" else columns[:1]
        where = " AND ".join(f"{name} = ?" for name in keys)
        for line in lines:
            for column, value in zip(columns, line, strict=True):
                for other in altered(value)[: 3 if line is lines[0] else 1]:
                    with Opened(home, case_id) as db:
                        now = [other if name == column else line[columns.index(name)] for name in keys]
                        try:
                            db.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (other, *line[: len(keys)]))
                        except sqlite3.IntegrityError:
                            continue
                    tried += 1
                    if not found_in(home, case_id):
                        missed.append((table, column, value, other))
                    with Opened(home, case_id) as db:
                        db.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value, *now))
    assert missed == []
    assert found_in(home, case_id) == []
    assert tried > 150


def test_every_field_of_every_kind_of_entry_is_watched(copy: Callable[[], tuple[Path, str]]) -> None:
    """Every value in every journal body, and the digest of that entry made to fit: the chain notices all the same."""
    home, case_id = copy()
    with Opened(home, case_id) as db:
        entries = db.execute("SELECT seq, at, kind, ref, body, digest FROM journal ORDER BY seq").fetchall()
    kinds, tried, missed = set(), 0, []
    previous = GENESIS
    for seq, at, kind, ref, body, digest in entries:
        content = json.loads(body)
        for path, value in leaves(content):
            for other in altered(value)[:1]:
                text = json.dumps(with_leaf(content, path, other), separators=(",", ":"))
                with Opened(home, case_id) as db:
                    fitting = chained(previous, seq, at, kind, ref, text)
                    db.execute("UPDATE journal SET body = ?, digest = ? WHERE seq = ?", (text, fitting, seq))
                tried += 1
                kinds.add(kind)
                if not found_in(home, case_id):
                    missed.append((kind, path))
                with Opened(home, case_id) as db:
                    db.execute("UPDATE journal SET body = ?, digest = ? WHERE seq = ?", (body, digest, seq))
        previous = digest
    assert missed == []
    assert kinds == {
        "created",
        "question",
        "search",
        "traffic",
        "approval",
        "run",
        "note",
        "answer",
        "claim",
        "timeline",
    }
    assert tried > 200


SCRIPTS = {
    "row gone": "DELETE FROM rows WHERE alias = 3",
    "row gone with its sightings": "DELETE FROM sightings WHERE alias = 3; DELETE FROM rows WHERE alias = 3",
    "sighting gone": "DELETE FROM sightings WHERE query = 'Q1' AND position = 3",
    "sighting added": "INSERT INTO sightings VALUES ('Q2', 2, 1)",
    "sightings of no query": "INSERT INTO sightings VALUES ('Q9', 0, 1)",
    "two rows swapped": "UPDATE sightings SET position = position + 100 WHERE query = 'Q1' AND position IN (0, 1);"
    "UPDATE sightings SET position = 101 - position WHERE query = 'Q1' AND position > 99",
    "row added": "INSERT INTO rows SELECT 99, 'E-0', 'x', canonical, query, platform, collection, event_class, time, host,"
    " user, fields FROM rows WHERE alias = 1",
    "entry gone": "DELETE FROM journal WHERE seq = 4",
    "last entry gone": "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)",
    "last three entries gone": "DELETE FROM journal WHERE seq > (SELECT max(seq) - 3 FROM journal)",
    "all entries gone": "DELETE FROM journal",
    "entry added": "INSERT INTO journal SELECT max(seq) + 1, at, 'note', 'x', '{}', digest FROM journal",
    "two entries swapped": "UPDATE journal SET seq = -seq WHERE seq IN (2, 3);"
    "UPDATE journal SET seq = 5 + seq WHERE seq < 0",
    "kinds swapped": "UPDATE journal SET kind = 'traffic' WHERE kind = 'note'",
    "answer replaced by another": "UPDATE journal SET body = (SELECT body FROM journal WHERE kind = 'question')"
    " WHERE kind = 'answer'",
    "table added": "CREATE TABLE more (x)",
    "view in a table's place": "ALTER TABLE rows RENAME TO kept; CREATE VIEW rows AS SELECT * FROM kept",
    "index dropped": "DROP INDEX journal_kind",
    "trigger added": "CREATE TRIGGER quiet AFTER INSERT ON rows BEGIN SELECT 1; END",
    "all rows gone": "DELETE FROM rows; DELETE FROM sightings",
}  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_changed_structure_is_found(name: str, copy: Callable[[], tuple[Path, str]]) -> None:
    home, case_id = copy()
    opened = Opened(home, case_id)
    db = opened.__enter__()
    db.executescript(SCRIPTS[name])
    if name != "view in a table's place":
        opened.__exit__()
    else:
        db.close()
    assert found_in(home, case_id)


@pytest.mark.parametrize("guard", [f"{table}_no_{verb}" for table in TABLES for verb in ("update", "delete")])
def test_a_guard_that_was_taken_off_is_found(guard: str, copy: Callable[[], tuple[Path, str]]) -> None:
    home, case_id = copy()
    with sqlite3.connect(home / "cases" / case_id / "case.sqlite") as db:
        db.execute(f"DROP TRIGGER {guard}")
    db.close()
    assert any(guard in text for text in found_in(home, case_id))


def _seal(home: Path, case_id: str) -> Path:
    return home / "manifests" / f"{case_id}.json"


def test_every_change_to_a_file_is_found(copy: Callable[[], tuple[Path, str]]) -> None:
    """Files added, cut, emptied, removed, swapped with another case's, put back from before; and each value of the seal."""
    home, case_id = copy()
    folder, other = home / "cases" / case_id, next(p for p in (home / "cases").iterdir() if p.name != case_id)
    data, seal = (folder / "case.sqlite").read_bytes(), _seal(home, case_id).read_text()
    changes: list[Callable[[], object]] = [
        lambda: (folder / "notes.txt").write_text("mine"),
        lambda: (folder / "sub").mkdir(),
        lambda: (folder / "case.sqlite").write_bytes(data[: len(data) // 2]),
        lambda: (folder / "case.sqlite").write_bytes(data[:4096]),
        lambda: (folder / "case.sqlite").write_bytes(b""),
        lambda: (folder / "case.sqlite").unlink(),
        lambda: shutil.copy(other / "case.sqlite", folder / "case.sqlite"),
        lambda: _seal(home, case_id).unlink(),
        lambda: _seal(home, case_id).write_text(""),
        lambda: _seal(home, case_id).write_text(_seal(home, other.name).read_text()),
        lambda: (home / "seal.pub").write_text("00" * 32),
        lambda: (home / "seal.pub").unlink(),
    ]
    content = json.loads(seal)
    for path, value in leaves(content):
        changes += [
            lambda path=path, changed=changed: _seal(home, case_id).write_text(  # type: ignore[misc]
                json.dumps(with_leaf(content, path, changed))
            )
            for changed in altered(value)
        ]
    public = (home / "seal.pub").read_text()
    for number, change in enumerate(changes):
        change()
        assert found_in(home, case_id), number
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        (folder / "case.sqlite").write_bytes(data)
        _seal(home, case_id).write_text(seal)
        (home / "seal.pub").write_text(public)
        assert found_in(home, case_id) == []
    assert len(changes) > 20


def test_an_older_copy_of_the_file_is_found(copy: Callable[[], tuple[Path, str]]) -> None:
    home, case_id = copy()
    place = home / "cases" / case_id / "case.sqlite"
    older = place.read_bytes()
    with Case.open(home, case_id) as case:
        case.add_note("bob", "this is what must not be known")
    for path in place.parent.iterdir():
        path.unlink()
    place.write_bytes(older)
    assert any("fewer entries than were sealed" in text for text in found_in(home, case_id))


def hash_anew(db: sqlite3.Connection) -> None:
    """Everything that an attacker can compute who knows the code and holds no key."""
    from tracehound.tools.evidence.canonical import digest

    columns = ", ".join(f"r.{name}" for name in ROW.split(", "))
    for seq, ref, body in db.execute("SELECT seq, ref, body FROM journal WHERE kind = 'run'").fetchall():
        found = db.execute(
            f"SELECT {columns} FROM sightings s JOIN rows r USING (alias) WHERE s.query = ? ORDER BY s.position", (ref,)
        )
        content = json.loads(body) | {"rows": digest("\n".join(map(row_mark, found)).encode())}
        db.execute("UPDATE journal SET body = ? WHERE seq = ?", (json.dumps(content, separators=(",", ":")), seq))
    head = GENESIS
    for seq, at, kind, ref, body in db.execute("SELECT seq, at, kind, ref, body FROM journal ORDER BY seq").fetchall():
        head = chained(head, seq, at, kind, ref, body)
        db.execute("UPDATE journal SET digest = ? WHERE seq = ?", (head, seq))


FORGERIES = {
    "a host in the normalised event": "UPDATE rows SET host = 'SRV-8', fields = replace(fields, 'SRV-7', 'SRV-8')",
    "a sentence of the answer": "UPDATE journal SET body = replace(body, 'whoami', 'notepad') WHERE kind = 'answer'",
    "a query called complete": "UPDATE journal SET body = replace(body, '\"total\":4', '\"total\":5') WHERE kind = 'run'",
    "model traffic": "UPDATE journal SET body = replace(body, 'hello', 'other') WHERE kind = 'traffic'",
    "the question": "UPDATE journal SET body = replace(body, 'what ran', 'who ran') WHERE kind = 'question'",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_case_that_was_hashed_anew_is_found_by_the_seal_alone(
    name: str, copy: Callable[[], tuple[Path, str]]
) -> None:
    home, case_id = copy()
    with Opened(home, case_id) as db:
        assert db.execute(FORGERIES[name]).rowcount > 0
        hash_anew(db)
    assert found_in(home, case_id, sealed=False) == [], "the attack must work with the defence off"
    assert found_in(home, case_id) != []
    with Case.open(home, case_id) as case, pytest.raises(TamperError, match="not as it was sealed"):
        case.add_note("bob", "go on")
    assert found_in(home, case_id) != []


def test_a_seal_signed_by_another_key_is_no_seal(copy: Callable[[], tuple[Path, str]]) -> None:
    from tracehound.tools.evidence.seal import Head, write_seal

    home, case_id = copy()
    forger, _ = copy()
    (forger / "seal.key").unlink()
    with Opened(home, case_id) as db:
        db.execute("UPDATE journal SET body = replace(body, 'whoami', 'notepad') WHERE kind = 'answer'")
        hash_anew(db)
        head = Head(*db.execute("SELECT seq, digest FROM journal ORDER BY seq DESC LIMIT 1").fetchone())
    write_seal(_seal(forger, case_id), head)
    shutil.copy(_seal(forger, case_id), _seal(home, case_id))
    assert found_in(home, case_id) != []
    shutil.copy(forger / "seal.pub", home / "seal.pub")
    assert found_in(home, case_id) == [], "who holds the key and the manifests can forge: THREAT_MODEL.md says so"


def test_every_value_of_an_exported_answer_is_watched(copy: Callable[[], tuple[Path, str]], tmp_path: Path) -> None:
    home, case_id = copy()
    with Case.open(home, case_id, write=False) as case:
        answer = case.last_answer()
        assert answer is not None
        noted = case.with_notes(answer)
    file = tmp_path / "answer.json"
    signed, plain = json.loads(sealed_json(noted, home)), json.loads(json.dumps(noted.to_json()))
    tried, missed = 0, []
    for label, content in (("signed", signed), ("plain", plain)):
        file.write_text(json.dumps(content))
        assert verify_file(file, home) == [], label
        for path, value in leaves(content):
            for other in altered(value)[:1]:
                file.write_text(json.dumps(with_leaf(content, path, other)))
                tried += 1
                try:
                    found = verify_file(file, home)
                except CaseError:
                    continue
                if not found:
                    missed.append((label, path))
    assert missed == []
    assert tried > 400


def test_a_file_from_elsewhere_needs_the_key_of_its_installation(
    copy: Callable[[], tuple[Path, str]], tmp_path: Path
) -> None:
    home, case_id = copy()
    with Case.open(home, case_id, write=False) as case:
        answer = case.last_answer()
    assert answer is not None
    file, stranger = tmp_path / "a.json", tmp_path / "stranger"
    stranger.mkdir()
    file.write_text(sealed_json(answer, home))
    key = (home / "seal.pub").read_text().strip()
    assert verify_file(file, stranger, key) == []
    assert any("signed by another installation" in text for text in verify_file(file, stranger))
    assert any("signed by another" in text for text in verify_file(file, home, "00" * 32))
    file.write_text(json.dumps(answer.to_json()))
    assert any("bears no signature" in text for text in verify_file(file, stranger))
