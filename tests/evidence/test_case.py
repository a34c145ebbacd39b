import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tracehound.knowledge.errors import CaseBusyError, CaseError, StorageError
from tracehound.tools.evidence.case import CASE_ID, Case, case_ids, delete_case, list_cases
from tracehound.tools.evidence.claims import claim_for
from tracehound.tools.evidence.merge import merge
from tracehound.tools.evidence.records import Answer, TimelineEntry
from tracehound.tools.evidence.seal import Head, write_seal
from tracehound.tools.languages.search import Condition, Search, Window
from tracehound.tools.languages.vocabulary import EventClass
from tracehound.tools.vendors.estate import Coverage

Make = Callable[..., Any]


OPENED: list[sqlite3.Connection] = []


def database(home: Path, case_id: str) -> sqlite3.Connection:
    """The case's file behind the case's back."""
    OPENED.append(sqlite3.connect(home / "cases" / case_id / "case.sqlite", isolation_level=None))
    return OPENED[-1]


@pytest.fixture(autouse=True)
def closed_databases() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture
def filled(home: Path, run: Make, process_row: Make, window: Window) -> tuple[Path, str]:
    """A closed case with two queries, an answer and a note."""
    with Case.create(home, "what ran?", window) as case:
        record, rows = case.add_run(run([process_row(number) for number in range(5)]))
        case.add_run(run([process_row(9)]))
        claims = [claim_for(group, claim_id=f"C{n}") for n, group in enumerate(merge(case.events()), 1)]
        assert rows[0].time is not None
        entry = TimelineEntry(time=rows[0].time, text=claims[0].text, evidence=(rows[0].id,), claim="C1")
        answer = Answer(
            case=case.id, question="what ran?", model="offline", estate="lab", window=record.window, route="search",
            queries=(record,), evidence=tuple(rows), claims=tuple(claims[:1]), timeline=(entry,),
        )  # fmt: skip
        case.save_answer(answer)
        case.add_note("bob", "looks odd")
        return home, case.id


def test_ids_sort_by_time_and_latest_is_the_newest(home: Path) -> None:
    assert Case.latest(home) is None
    ids = []
    for _ in range(3):
        with Case.create(home) as case:
            ids.append(case.id)
    assert all(CASE_ID.fullmatch(name) for name in ids)
    assert case_ids(home) == sorted(ids, reverse=True)
    assert Case.latest(home) == max(ids)


def test_everything_comes_back_after_a_restart(filled: tuple[Path, str], run: Make, process_row: Make) -> None:
    home, case_id = filled
    with Case.open(home, case_id) as case:
        answer = case.last_answer()
        assert answer is not None
        assert answer.claims[0].evidence == (answer.evidence[0].id,)
        assert case.answers() == [answer]
        assert [query.id for query in case.queries()] == ["Q1", "Q2"]
        assert case.query("Q2") is not None
        assert case.query("Q3") is None
        assert [item.alias for item in case.all_evidence()] == [f"E{n}" for n in range(1, 7)]
        assert case.evidence("E2") == case.evidence(case.all_evidence()[1].id)
        assert case.evidence("E99") is None
        assert case.evidence("nonsense") is None
        assert case.questions()[0].body["text"] == "what ran?"
        assert case.window() is not None
        assert case.window().phrase == "1 November"  # type: ignore[union-attr]
        assert [(note.alias, note.author, note.text) for note in case.remarks()] == [("N1", "bob", "looks odd")]
        assert case.entities()["host"] == ("SRV-7",)
        assert case.entities()["user"] == ("bob",)
        assert [event.evidence for event in case.events()] == [item.id for item in case.all_evidence()]
        assert case.events()[0].time == case.all_evidence()[0].time
        assert case.verify() == []
        record, _ = case.add_run(run([process_row(100)]))
        assert record.id == "Q3"


def test_the_same_row_keeps_its_id_alias_and_both_queries(home: Path, run: Make, process_row: Make) -> None:
    with Case.create(home) as case:
        _, first = case.add_run(run([process_row(1), process_row(2), process_row(1)]))
        _, again = case.add_run(run([process_row(2), process_row(3)]))
        assert [item.alias for item in first] == ["E1", "E2"]
        assert [item.alias for item in again] == ["E2", "E3"]
        assert again[0] == first[1]
        assert case.seen_by(first[1].id) == ("Q1", "Q2")
        assert case.rows_of("Q2") == (again[0].id, again[1].id)
        assert case.verify() == []


def test_ids_are_the_same_in_another_case(home: Path, run: Make, process_row: Make) -> None:
    found = []
    for _ in range(2):
        with Case.create(home) as case:
            found.append([item.id for item in case.add_run(run([process_row(1), process_row(2)]))[1]])
    assert found[0] == found[1]


def test_rows_whose_short_ids_collide_are_both_kept(
    home: Path, run: Make, process_row: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tracehound.tools.evidence.rows.digest",
        lambda data: "ab" * 6 + __import__("hashlib").sha256(data).hexdigest()[:52],
    )
    with Case.create(home) as case:
        _, kept = case.add_run(run([process_row(1), process_row(2)]))
    assert kept[0].id == "E-abababababab"
    assert kept[1].id.startswith("E-abababababab")
    assert len(kept[1].id) > len(kept[0].id)


def test_coverage_is_recorded_and_a_row_that_cannot_be_kept_makes_it_incomplete(
    home: Path, run: Make, process_row: Make, window: Window
) -> None:
    cut = Window(start=window.start + timedelta(hours=1), end=window.end)
    coverage = Coverage(rows=2, total=9, complete=False, because="row cap", pages=3, window=cut, retries=1)
    with Case.create(home) as case:
        record, kept = case.add_run(run([process_row(1), process_row(2, odd=object())], coverage=coverage))
        failed, _ = case.add_run(run([], status="error", error="HTTP 500"))
        assert case.verify() == []
    assert len(kept) == 1
    assert (record.rows, record.total, record.complete, record.pages, record.retries) == (2, 9, False, 3, 1)
    assert record.incomplete_because is not None
    assert "row cap; 1 of its rows could not be kept" in record.incomplete_because
    assert record.window.start == cut.start
    assert (failed.status, failed.complete, failed.error) == ("error", False, "HTTP 500")


def test_complete_run_with_an_unkeepable_row_is_not_called_complete(home: Path, run: Make, process_row: Make) -> None:
    with Case.create(home) as case:
        record, _ = case.add_run(run([process_row(1, odd={1: 2})]))
    assert not record.complete


def test_searches_and_traffic_and_approvals_are_kept(home: Path, window: Window) -> None:
    search = Search(
        event_class=EventClass.PROCESS, window=window, where=Condition(field="process.name", values=("a\ud800",))
    )
    with Case.create(home) as case:
        case.add_search(search, why="hunt.x")
        case.add_traffic("model", {"messages": ["\udcff", "b"]})
        case.add_traffic("other", {})
        case.add_approval("A-1")
        case.add_approval("A-1")
        assert case.searches() == [search]
        assert case.traffic("model")[0].body == {"messages": ["\udcff", "b"]}
        assert len(case.traffic()) == 2
        assert case.approvals() == ["A-1"]
        assert case.verify() == []


def test_an_answer_of_another_case_is_refused(filled: tuple[Path, str], home: Path) -> None:
    with Case.open(*filled, write=False) as case:
        answer = case.last_answer()
    assert answer is not None
    with Case.create(home) as other, pytest.raises(CaseError, match="belongs to case"):
        other.save_answer(answer)


@pytest.mark.parametrize("table", ["journal", "rows", "sightings"])
@pytest.mark.parametrize(
    "statement", ["DELETE FROM {}", "UPDATE {} SET rowid = rowid + 1", "UPDATE {} SET query = 'Q9'"]
)
def test_nothing_can_be_changed_or_removed(filled: tuple[Path, str], table: str, statement: str) -> None:
    with Case.open(*filled):
        db = database(*filled)
        with pytest.raises(sqlite3.Error, match=r"append-only|no such column"):
            db.execute(statement.format(table))
        db.close()
    with Case.open(*filled, write=False) as case:
        assert case.verify() == []


UNGUARD = "DROP TRIGGER {0}_no_update; DROP TRIGGER {0}_no_delete;"
REGUARD = (
    "CREATE TRIGGER {0}_no_update BEFORE UPDATE ON {0} BEGIN SELECT RAISE(ABORT, 'a case is append-only'); END;"
    "CREATE TRIGGER {0}_no_delete BEFORE DELETE ON {0} BEGIN SELECT RAISE(ABORT, 'a case is append-only'); END;"
)
TAMPERING = {
    "raw value": ("rows", "UPDATE rows SET canonical = CAST(replace(CAST(canonical AS TEXT), 'bob', 'eve') AS BLOB)"),
    "raw value and its hash": ("rows", "UPDATE rows SET canonical = x'7b7d', sha256 = "
                               "'44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a' WHERE alias = 1"),
    "normalised event": ("rows", "UPDATE rows SET fields = replace(fields, 'whoami', 'notepad')"),
    "normalised host": ("rows", "UPDATE rows SET host = 'OTHER'"),
    "time": ("rows", "UPDATE rows SET time = '2026-11-01T00:00:00.000Z' WHERE alias = 1"),
    "row removed": ("rows", "DELETE FROM rows WHERE alias = 2"),
    "row removed with its sighting": (
        "rows,sightings", "DELETE FROM sightings WHERE alias = 2; DELETE FROM rows WHERE alias = 2"
    ),
    "row added": ("rows", "INSERT INTO rows SELECT 50, 'E-000000000000', 'x', canonical, query, platform, collection, "
                  "event_class, time, host, user, fields FROM rows WHERE alias = 1"),
    "sighting moved to another query": ("sightings", "UPDATE sightings SET query = 'Q2', position = 7 WHERE position = 4"),
    "id": ("rows", "UPDATE rows SET id = 'E-000000000000' WHERE alias = 1"),
    "query record": ("journal", "UPDATE journal SET body = replace(body, '\"complete\":true', '\"complete\":false')"),
    "answer": ("journal", "UPDATE journal SET body = replace(body, 'whoami', 'notepad') WHERE kind = 'answer'"),
    "note": ("journal", "UPDATE journal SET body = '{}' WHERE kind = 'note'"),
    "last entry removed": ("journal", "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)"),
    "middle entry removed": ("journal", "DELETE FROM journal WHERE seq = 2"),
    "time of an entry": ("journal", "UPDATE journal SET at = '2020-01-01T00:00:00.000Z' WHERE seq = 2"),
    "guards removed": ("", "DROP TRIGGER journal_no_update"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_found(filled: tuple[Path, str], name: str) -> None:
    tables, script = TAMPERING[name]
    db = database(*filled)
    names = [table for table in tables.split(",") if table]
    for table in names:
        db.executescript(UNGUARD.format(table))
    db.executescript(script)
    for table in names:
        db.executescript(REGUARD.format(table))
    db.close()
    with Case.open(*filled, write=False) as case:
        assert case.verify() != []


def test_a_whole_rewritten_chain_is_found_by_the_seal_outside(filled: tuple[Path, str]) -> None:
    from tracehound.tools.evidence.store import GENESIS, chained

    home, case_id = filled
    db = database(home, case_id)
    db.executescript(UNGUARD.format("journal"))
    db.execute("DELETE FROM journal WHERE kind = 'note'")
    digest = GENESIS
    for seq, at, kind, ref, body in db.execute("SELECT seq, at, kind, ref, body FROM journal ORDER BY seq").fetchall():
        digest = chained(digest, seq, at, kind, ref, body)
        db.execute("UPDATE journal SET digest = ? WHERE seq = ?", (digest, seq))
    db.executescript(REGUARD.format("journal"))
    db.close()
    with Case.open(home, case_id, write=False) as case:
        assert [text for text in case.verify() if "fewer entries than were sealed" in text]
    (home / "manifests" / f"{case_id}.json").unlink()
    with Case.open(home, case_id, write=False) as case:
        assert [text for text in case.verify() if "seal" in text]


def test_an_answer_that_cites_what_is_not_there_is_found(filled: tuple[Path, str]) -> None:
    home, case_id = filled
    with Case.open(home, case_id) as case:
        answer = case.last_answer()
        assert answer is not None
        stray = answer.claims[0].model_copy(update={"evidence": ("E-ffffffffffff",), "queries": ("Q77",)})
        case.save_answer(answer.model_copy(update={"claims": (stray,)}))
        found = case.verify()
    assert any("E-ffffffffffff" in text for text in found)
    assert any("Q77" in text for text in found)


def test_a_damaged_file_is_one_sentence(filled: tuple[Path, str]) -> None:
    home, case_id = filled
    place = home / "cases" / case_id / "case.sqlite"
    place.write_bytes(b"not a database at all" * 100)
    with pytest.raises(CaseError, match="cannot be used"):
        Case.open(home, case_id)
    assert list_cases(home)[0].question.startswith("[")


def test_one_writer_at_a_time_and_readers_beside_it(filled: tuple[Path, str]) -> None:
    home, case_id = filled
    with Case.open(home, case_id) as writer:
        with pytest.raises(CaseBusyError, match=f"case {case_id} is in use by process"):
            Case.open(home, case_id)
        with pytest.raises(CaseBusyError):
            delete_case(home, case_id)
        with Case.open(home, case_id, write=False) as reader:
            writer.add_note("x", "y")
            assert len(reader.notes()) == 2
            with pytest.raises(CaseError, match="for reading only"):
                reader.add_note("x", "z")
    Case.open(home, case_id).close()


HOLDER = """
import sys, pathlib
from tracehound.tools.evidence.case import Case
case = Case.open(pathlib.Path(sys.argv[1]), sys.argv[2])
case.add_note("child", "here")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_killed_writer_frees_the_case_and_loses_nothing(filled: tuple[Path, str]) -> None:
    home, case_id = filled
    command = [sys.executable, "-c", HOLDER, str(home), case_id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "held"
        with pytest.raises(CaseBusyError, match=str(child.pid)):
            Case.open(home, case_id)
        child.kill()
        child.wait()
    with Case.open(home, case_id) as case:
        assert [note.body["author"] for note in case.notes()] == ["bob", "child"]
        assert case.verify() == []


def test_a_full_disk_is_one_sentence_and_loses_nothing(filled: tuple[Path, str], run: Make, process_row: Make) -> None:
    with Case.open(*filled) as case:
        before = case.all_evidence()
        pages = case._store.db.execute("PRAGMA page_count").fetchone()[0]
        case._store.db.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StorageError, match="is full"):
            case.add_run(run([process_row(number, pad="x" * 2_000) for number in range(200, 300)]))
        case._store.db.execute("PRAGMA max_page_count = 1000000")
        assert case.all_evidence() == before
        assert case.verify() == []
        record, kept = case.add_run(run([process_row(number) for number in range(200, 300)]))
        assert (record.id, len(kept)) == ("Q3", 100)
        assert case.verify() == []


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, not a folder")
    with pytest.raises(StorageError, match="cannot write"):
        Case.create(tmp_path / "home")


@pytest.mark.parametrize("committed", [True, False])
def test_a_step_cut_off_between_seal_and_commit_is_no_tampering(filled: tuple[Path, str], committed: bool) -> None:
    home, case_id = filled
    seal = home / "manifests" / f"{case_id}.json"
    before = json.loads(seal.read_text())["heads"]
    with Case.open(home, case_id) as case:
        case.add_note("x", "y")
    after = json.loads(seal.read_text())["heads"]
    coming = [{"entries": after[0]["entries"] + 1, "digest": "f" * 64}]
    heads = [*before, *after] if committed else [*after, *coming]
    write_seal(seal, *(Head(**head) for head in heads))
    with Case.open(home, case_id, write=False) as case:
        assert case.verify() == []
    Case.open(home, case_id).close()
    assert json.loads(seal.read_text())["heads"] == after


def test_seal_that_cannot_be_written_keeps_nothing_of_the_step(filled: tuple[Path, str]) -> None:
    home, case_id = filled
    with Case.open(home, case_id) as case:
        seal = home / "manifests" / f"{case_id}.json"
        seal.with_suffix(".new").mkdir()
        with pytest.raises(StorageError):
            case.add_note("x", "y")
        seal.with_suffix(".new").rmdir()
        assert len(case.notes()) == 1
        assert case.verify() == []


@pytest.mark.parametrize("name", ["c-20260101-000000-000abcdef", "../../etc", "", "c-x", "\x00"])
def test_a_case_that_is_not_there_is_one_sentence(home: Path, name: str) -> None:
    with pytest.raises(CaseError, match="there is no case"):
        Case.open(home, name)
    with pytest.raises(CaseError, match="there is no case"):
        delete_case(home, name)


def test_list_and_delete(filled: tuple[Path, str]) -> None:
    home, case_id = filled
    (summary,) = list_cases(home)
    assert (summary.id, summary.question, summary.estate, summary.answers, summary.evidence) == (
        case_id, "what ran?", "lab", 1, 6,
    )  # fmt: skip
    assert summary.created.endswith("Z")
    delete_case(home, case_id)
    assert list_cases(home) == []
    assert not (home / "manifests" / f"{case_id}.json").exists()


def test_evidence_of_an_answer_that_differs_from_the_row_is_kept_as_it_was(filled: tuple[Path, str]) -> None:
    with Case.open(*filled) as case:
        answer = case.last_answer()
        assert answer is not None
        redacted = answer.evidence[0].model_copy(update={"raw": {"hidden": True}})
        changed = answer.model_copy(update={"evidence": (redacted, *answer.evidence[1:])})
        case.save_answer(changed)
        assert case.answers() == [answer, changed]


def test_journal_bodies_hold_no_rows(filled: tuple[Path, str]) -> None:
    db = database(*filled)
    bodies = [json.loads(body) for (body,) in db.execute("SELECT body FROM journal WHERE kind = 'answer'")]
    db.close()
    assert all(isinstance(item, str) for body in bodies for item in body["evidence"])
