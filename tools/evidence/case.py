"""A case: the folder of one investigation, and its evidence.

    home/cases/c-20261124-092611-123a7f3a/case.sqlite    questions, searches, queries, rows, traffic, answers
    home/manifests/c-20261124-092611-123a7f3a.json       the seal of its last step

Rows go in before anything else sees them. A row keeps one id (`E-` and its hash) and one alias (`E12`) however many
queries return it. Nothing is ever changed or removed; `delete` removes a whole case.
"""

import json
import re
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from ...knowledge.errors import CaseBusyError, CaseError, StorageError, UsageError
from ..languages.query import Platform
from ..languages.search import Search, Window
from ..languages.vocabulary import EventClass
from ..vendors.estate import QueryRun
from .canonical import digest, evidence_id, original, read_form
from .custody import note_digest, problems, row_mark
from .entities import ENTITY_ATTRIBUTES, entity_values
from .event import Event
from .normalise import standard
from .records import Answer, Evidence, Note, QueryRecord, iso_z
from .rows import Kept, Stored, kept_rows, query_record, window_record
from .store import ROW, Entry, Store, storage_errors

CASE_ID = re.compile(r"c-\d{8}-\d{6}-\d{3}[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """One line of `case list`."""

    id: str
    created: str
    """UTC, ISO."""
    question: str
    """The first one."""
    estate: str
    """Of the last answer; empty before there is one."""
    answers: int
    evidence: int


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A query of a case, with what it brought."""

    record: QueryRecord
    search: Search | None
    rows: tuple[dict[str, Any], ...]


class Case:
    """An open case. One process may write at a time; close it, or use it in a `with` statement."""

    def __init__(self, home: Path, case_id: str, store: Store) -> None:
        """Use `create` or `open`."""
        self.home, self.id, self._store = home, case_id, store
        self._guard = threading.RLock()
        self._normaliser = standard()

    @classmethod
    def create(cls, home: Path, question: str = "", window: Window | None = None) -> Self:
        """Make an empty case, with its first question if one is given.

        Raises:
            StorageError: the folder cannot be written.
        """
        now = datetime.now(UTC)
        case_id = f"c-{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}{secrets.token_hex(3)}"
        folder = home / "cases" / case_id
        with storage_errors(home):
            folder.mkdir(parents=True)
        case = cls(home, case_id, Store(folder, _manifest(home, case_id), writable=True, fresh=True))
        with ExitStack() as undo:
            undo.callback(case.close)
            case._add("created", case_id, {"schema": 1, "case": case_id})
            if question:
                case.add_question(question, window)
            undo.pop_all()
        return case

    @classmethod
    def open(cls, home: Path, case_id: str, *, write: bool = True, wait: float = 0.0) -> Self:
        """Open an existing case.

        Args:
            home: TRACEHOUND_HOME.
            case_id: Id as printed by `case list`.
            write: False to look only; then another process may be writing.
            wait: Seconds to wait for another writer to end.

        Raises:
            CaseError: there is no such case, or it cannot be read.
            CaseBusyError: another process holds it for writing.
            StorageError: the folder cannot be read or written.
        """
        folder = _folder(home, case_id)
        return cls(home, case_id, Store(folder, _manifest(home, case_id), writable=write, wait=wait))

    @staticmethod
    def latest(home: Path) -> str | None:
        """Id of the newest case, or None."""
        return next(iter(case_ids(home)), None)

    def close(self) -> None:
        """Close the files and let the next writer in."""
        with self._guard:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """The case folder."""
        return self._store.folder

    def add_question(self, text: str, window: Window | None = None) -> int:
        """Note a question; gives its number in the journal."""
        span = None if window is None else window_record(window).model_dump(mode="json")
        return self._add("question", "", {"text": text, "window": span})

    def add_search(self, search: Search, why: str = "") -> int:
        """Note a typed search and why it was made (a hunt's id, a pivot, the model)."""
        return self._add("search", why, search.model_dump(mode="json"))

    def add_traffic(self, kind: str, body: Mapping[str, Any]) -> int:
        """Note what went to a model or came back; `kind` is the caller's word."""
        return self._add("traffic", kind, dict(body))

    def add_note(self, author: str, text: str, *, evidence: Sequence[str] = (), time: datetime | None = None) -> Note:
        """Keep an analyst's remark as evidence: hashed as rows are, with an id and an alias.

        Args:
            author: Who says it.
            text: What they say.
            evidence: Rows that it is about, by id or alias.
            time: When what it tells happened, if it is to stand in the timeline.

        Raises:
            UsageError: there is no text, or no such row in the case.
        """
        if not text.strip():
            raise UsageError("the note is empty; write what is to be kept")
        rows = [self._named(name) for name in evidence]
        at = datetime.now(UTC)
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        body = {"author": author, "text": text, "evidence": rows, "time": iso_z(time), "written": iso_z(at)}
        body["sha256"] = note_digest(body)
        with self._guard, self._store.transaction():
            number = self._store.count("note") + 1
            self._store.append("note", f"N{number}", body, at)
        return _note(number, body)

    def _named(self, name: str) -> str:
        found = self.evidence(name)
        if found is None:
            raise UsageError(f"case {self.id} has no evidence {name[:60]!r}; `case show {self.id}` lists what it cites")
        return found.id

    def add_view(self, body: Mapping[str, Any]) -> int:
        """Keep the digest of a view that was written, see `replay.View`."""
        return self._add("view", str(body["format"]), dict(body))

    def views(self) -> list[dict[str, Any]]:
        """Digests of views, oldest first."""
        return [entry.body for entry in self._entries("view")]

    def add_approval(self, approval_id: str) -> int:
        """Note that an approval belongs to this case; its state is the ledger's."""
        return self._add("approval", approval_id, {"id": approval_id})

    def questions(self) -> list[Entry]:
        """Questions asked, oldest first; `body` has `text` and `window`."""
        return self._entries("question")

    def window(self) -> Window | None:
        """The window of the last question that had one: what a follow-up question inherits."""
        spans = [entry.body["window"] for entry in self.questions() if entry.body["window"]]
        return Window.model_validate(spans[-1]) if spans else None

    def searches(self) -> list[Search]:
        """Typed searches, oldest first."""
        return [Search.model_validate(entry.body) for entry in self._entries("search")]

    def traffic(self, kind: str | None = None) -> list[Entry]:
        """Model traffic, oldest first."""
        return self._entries("traffic", kind)

    def notes(self) -> list[Entry]:
        """Analysts' remarks, oldest first."""
        return self._entries("note")

    def remarks(self) -> tuple[Note, ...]:
        """Analysts' remarks as evidence, oldest first."""
        return tuple(_note(number, entry.body | {"written": entry.at}) for number, entry in enumerate(self.notes(), 1))

    def with_notes(self, answer: Answer) -> Answer:
        """An answer with the remarks that the case holds by now, as exports show it."""
        return answer.model_copy(update={"notes": self.remarks()})

    def approvals(self) -> list[str]:
        """Ids of approvals that belong to this case, oldest first."""
        return list(dict.fromkeys(entry.ref for entry in self._entries("approval")))

    def queries(self) -> list[QueryRecord]:
        """Queries in the order they came back."""
        return [QueryRecord.model_validate(entry.body["record"]) for entry in self._entries("run")]

    def query(self, query_id: str) -> QueryRecord | None:
        """One query by its id, such as `Q3`."""
        found = self._entries("run", query_id)
        return QueryRecord.model_validate(found[0].body["record"]) if found else None

    def stored_runs(self) -> Iterator[StoredRun]:
        """Every query with its search and its rows as the vendor sent them, oldest first."""
        for entry in self._entries("run"):
            record = QueryRecord.model_validate(entry.body["record"])
            search = Search.model_validate(entry.body["search"]) if entry.body["search"] else None
            with self._guard, storage_errors(self.folder):
                found = self._store.db.execute(
                    "SELECT canonical FROM sightings JOIN rows USING (alias) WHERE sightings.query = ? ORDER BY position",
                    (record.id,),
                ).fetchall()
            yield StoredRun(record, search, tuple(original(read_form(data)) for (data,) in found))

    def add_run(self, run: QueryRun) -> tuple[QueryRecord, list[Evidence]]:
        """Keep a run: its record with coverage, its rows with hashes, and their normalised events, all in one step.

        Returns:
            The query's record and its rows as evidence, each row once, in the vendor's order. A row that cannot be
            kept makes the record incomplete and names the reason.

        Raises:
            StorageError: the disk is full or not writable; nothing of the run was kept.
        """
        kept, refused = kept_rows(run)
        with self._guard, self._store.transaction():
            query_id = f"Q{self._store.count('run') + 1}"
            record = query_record(query_id, run, refused)
            known = self._known(item.sha256 for item in kept)
            fresh = self._insert_rows(record, run, kept, known)
            known |= fresh
            self._store.db.executemany(
                "INSERT INTO sightings VALUES (?, ?, ?)",
                ((query_id, at, known[item.sha256].row[0]) for at, item in enumerate(kept)),
            )
            marks = (row_mark(known[item.sha256].row) for item in kept)
            search = run.query.search
            self._store.append(
                "run",
                query_id,
                {
                    "record": record.model_dump(mode="json"),
                    "search": search.model_dump(mode="json") if search else None,
                    "rows": digest("\n".join(marks).encode()),
                },
            )
        seen = dict.fromkeys(item.sha256 for item in kept)
        return record, [known[sha256].evidence() for sha256 in seen]

    def _known(self, hashes: Iterable[str]) -> dict[str, Stored]:
        wanted = list(dict.fromkeys(hashes))
        found: dict[str, Stored] = {}
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            for row in self._store.db.execute(f"SELECT {ROW} FROM rows WHERE sha256 IN ({marks})", part):
                found[row[2]] = Stored(row)
        return found

    def _insert_rows(
        self, record: QueryRecord, run: QueryRun, kept: Sequence[Kept], known: Mapping[str, Stored]
    ) -> dict[str, Stored]:
        alias = self._store.db.execute("SELECT coalesce(max(alias), 0) FROM rows").fetchone()[0]
        fresh: dict[str, Stored] = {}
        ids: set[str] = set()
        for item in kept:
            if item.sha256 in known or item.sha256 in fresh:
                continue
            alias += 1
            new_id = self._new_id(item.sha256, ids)
            ids.add(new_id)
            event = self._normaliser.event(run.query, item.form, new_id)
            row = (
                alias,
                new_id,
                item.sha256,
                item.data,
                record.id,
                record.platform,
                record.collection,
                event.event_class.value,
                iso_z(event.time),
                event.host,
                event.user,
                json.dumps(event.fields, ensure_ascii=False, separators=(",", ":")),
            )
            fresh[item.sha256] = Stored(row, item.form, event)
        marks = ",".join("?" * 12)
        self._store.db.executemany(f"INSERT INTO rows ({ROW}) VALUES ({marks})", (item.row for item in fresh.values()))
        return fresh

    def _new_id(self, sha256: str, taken: set[str]) -> str:
        # Twelve digits can be made to collide by whoever writes the rows; a collision must not hide a row.
        for digits in range(12, 65):
            candidate = evidence_id(sha256, digits)
            held = self._store.db.execute("SELECT 1 FROM rows WHERE id = ?", (candidate,)).fetchone()
            if not held and candidate not in taken:
                return candidate
        raise AssertionError(sha256)

    def evidence(self, name: str) -> Evidence | None:
        """One row by its id (`E-...`) or alias (`E12`)."""
        column, value = ("id", name) if name.startswith("E-") else ("alias", name[1:] if name[1:].isdecimal() else -1)
        with self._guard, storage_errors(self.folder):
            row = self._store.db.execute(f"SELECT {ROW} FROM rows WHERE {column} = ?", (value,)).fetchone()
        return Stored(row).evidence() if row else None

    def all_evidence(self) -> list[Evidence]:
        """Every row, in the order of aliases."""
        return [stored.evidence() for stored in self._stored()]

    def each_evidence(self) -> Iterator[Evidence]:
        """Every row, in the order of aliases, read as it is asked for."""
        with storage_errors(self.folder):
            for row in self._store.db.execute(f"SELECT {ROW} FROM rows ORDER BY alias"):
                yield Stored(row).evidence()

    def events(self) -> list[Event]:
        """Every row as its normalised event, in the order of aliases."""
        return [stored.as_event() for stored in self._stored()]

    def classes(self) -> dict[str, int]:
        """How many rows of each event class there are."""
        with self._guard, storage_errors(self.folder):
            return dict(self._store.db.execute("SELECT event_class, count(*) FROM rows GROUP BY event_class"))

    def events_of(self, event_class: str) -> Iterator[Event]:
        """Events of one class that have a time, in order of it, read as they are asked for."""
        kind, loads = EventClass(event_class), json.JSONDecoder().decode
        platforms = {item.value: item for item in Platform}
        with storage_errors(self.folder):
            for row_id, platform, collection, time, host, user, fields in self._store.db.execute(
                "SELECT id, platform, collection, time, host, user, fields FROM rows "
                "WHERE event_class = ? AND time IS NOT NULL ORDER BY time, id",
                (event_class,),
            ):
                moment = datetime.fromisoformat(time)
                yield Event(row_id, platforms[platform], collection, kind, moment, host, user, loads(fields))

    def seen_by(self, evidence: str) -> tuple[str, ...]:
        """Ids of every query that returned a row, first one first."""
        with self._guard, storage_errors(self.folder):
            found = self._store.db.execute(
                "SELECT DISTINCT s.query FROM sightings s JOIN rows r USING (alias) WHERE r.id = ?", (evidence,)
            ).fetchall()
        return tuple(sorted((query for (query,) in found), key=lambda query: int(query[1:])))

    def rows_of(self, query_id: str) -> tuple[str, ...]:
        """Ids of the rows of a query, in the vendor's order."""
        with self._guard, storage_errors(self.folder):
            found = self._store.db.execute(
                "SELECT r.id FROM sightings s JOIN rows r USING (alias) WHERE s.query = ? ORDER BY s.position",
                (query_id,),
            ).fetchall()
        return tuple(dict.fromkeys(row_id for (row_id,) in found))

    def _stored(self) -> Iterator[Stored]:
        with self._guard, storage_errors(self.folder):
            rows = self._store.db.execute(f"SELECT {ROW} FROM rows ORDER BY alias").fetchall()
        return map(Stored, rows)

    def entities(self) -> dict[str, tuple[str, ...]]:
        """What the case's events name, by entity type (host, user, ip, hash, ...), the most frequent first."""
        counts: dict[str, Counter[str]] = {kind: Counter() for kind in ENTITY_ATTRIBUTES}
        with self._guard, storage_errors(self.folder):
            rows = self._store.db.execute("SELECT fields FROM rows ORDER BY alias").fetchall()
        for (fields,) in rows:
            for kind, values in entity_values(json.loads(fields)).items():
                counts[kind].update(sorted(values))
        return {kind: tuple(value for value, _ in counter.most_common()) for kind, counter in counts.items() if counter}

    def save_answer(self, answer: Answer) -> int:
        """Keep an answer whole, with its claims and timeline; evidence of the case is kept by reference.

        Raises:
            CaseError: the answer belongs to another case.
        """
        if answer.case != self.id:
            raise CaseError(f"the answer belongs to case {answer.case}, not to {self.id}")
        held = {item.id: item for item in answer.evidence if self.evidence(item.id) == item}
        body = answer.to_json()
        body["evidence"] = [item["id"] if item["id"] in held else item for item in body["evidence"]]
        with self._guard, self._store.transaction():
            seq = self._store.append("answer", "", body)
            for claim in body["claims"]:
                self._store.append("claim", f"{seq}:{claim['id']}", claim)
            for entry in body["timeline"]:
                self._store.append("timeline", str(seq), entry)
        return seq

    def answers(self) -> list[Answer]:
        """Every answer, oldest first, each as it was given."""
        return [self._answer(entry.body) for entry in self._entries("answer")]

    def last_answer(self) -> Answer | None:
        """The newest answer, or None."""
        found = self._entries("answer")
        return self._answer(found[-1].body) if found else None

    def _answer(self, body: dict[str, Any]) -> Answer:
        items = [self._held(item) if isinstance(item, str) else item for item in body["evidence"]]
        return Answer.model_validate(body | {"evidence": items})

    def _held(self, evidence: str) -> Evidence:
        found = self.evidence(evidence)
        if found is None:
            raise CaseError(f"case {self.id} lacks {evidence}, which an answer cites; run `tracehound case verify`")
        return found

    def verify(self) -> list[str]:
        """What is wrong with the case, in sentences: every hash, the chain, the seal and the answers' references.

        Empty when nothing was changed since it was written.
        """
        with self._guard:
            return problems(self._store)

    def _add(self, kind: str, ref: str, body: Any) -> int:
        with self._guard, self._store.transaction():
            return self._store.append(kind, ref, body)

    def _entries(self, kind: str, ref: str | None = None) -> list[Entry]:
        with self._guard:
            return self._store.entries(kind, ref)


def _note(number: int, body: Mapping[str, Any]) -> Note:
    sha256 = body.get("sha256") or note_digest(body)
    return Note(
        id=f"N-{sha256[:12]}",
        alias=f"N{number}",
        author=body["author"],
        text=body["text"],
        written=body["written"],
        evidence=tuple(body.get("evidence", ())),
        time=body.get("time"),
        sha256=sha256,
    )


def verify_case(home: Path, case_id: str) -> list[str]:
    """What is wrong with a case, as `Case.verify`; a file that cannot even be opened is such a thing.

    Raises:
        CaseError: there is no such case.
        CaseBusyError: it cannot be read now.
        StorageError: the folder cannot be read.
    """
    _folder(home, case_id)
    try:
        with Case.open(home, case_id, write=False) as case:
            return case.verify()
    except CaseBusyError:
        raise
    except CaseError as exc:
        return [str(exc)]


def case_ids(home: Path) -> list[str]:
    """Ids of the cases in a home, the newest first."""
    folder = home / "cases"
    with storage_errors(folder):
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted((name for name in names if CASE_ID.fullmatch(name)), reverse=True)


def list_cases(home: Path) -> list[CaseSummary]:
    """The cases in a home, the newest first; a case that cannot be read says so in place of its question."""
    return [_summary(home, case_id) for case_id in case_ids(home)]


def _summary(home: Path, case_id: str) -> CaseSummary:
    moment = datetime.strptime(case_id[2:21], "%Y%m%d-%H%M%S-%f").replace(tzinfo=UTC)
    created = str(iso_z(moment))
    try:
        with Case.open(home, case_id, write=False) as case:
            asked = case.questions()
            rows = case._store.db.execute("SELECT count(*) FROM rows").fetchone()[0]
            question = asked[0].body["text"] if asked else ""
            given = case._entries("answer")
            estate = given[-1].body["estate"] if given else ""
            return CaseSummary(case_id, created, question, estate, len(given), rows)
    except (CaseError, StorageError) as exc:
        return CaseSummary(case_id, created, f"[{exc}]", "", 0, 0)


def delete_case(home: Path, case_id: str) -> None:
    """Remove a case and its seal.

    Raises:
        CaseError: there is no such case.
        CaseBusyError: another process holds it.
        StorageError: the folder cannot be removed.
    """
    folder = _folder(home, case_id)
    if (folder / "case.sqlite").exists():
        Case.open(home, case_id).close()
    with storage_errors(home):
        shutil.rmtree(folder)
        _manifest(home, case_id).unlink(missing_ok=True)


def _folder(home: Path, case_id: str) -> Path:
    folder = home / "cases" / case_id
    if not CASE_ID.fullmatch(case_id) or not folder.is_dir():
        known = case_ids(home)[:3]
        hint = f"the newest are {', '.join(known)}" if known else "there are none yet"
        raise CaseError(f"there is no case {case_id[:60]!r} in {home}; {hint}")
    return folder


def _manifest(home: Path, case_id: str) -> Path:
    return home / "manifests" / f"{case_id}.json"
