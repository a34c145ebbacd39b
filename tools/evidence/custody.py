"""Proof that a case is as it was written: recompute every hash, the chain, the seal and the answers' references."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from .canonical import canonical, digest
from .seal import Head, read_seal
from .store import FILES, GENESIS, ROW, Store, chained, schema, storage_errors


def row_mark(row: tuple[Any, ...]) -> str:
    """What a run's digest holds of a row: its names, its hash, and the hash of its normalised event.

    Args:
        row: A line of `rows` in the order of its columns.
    """
    alias, row_id, sha256, _, query, platform, collection, *event = row
    return "|".join((str(alias), row_id, sha256, query, platform, collection, digest(json.dumps(event).encode())))


def note_digest(body: Mapping[str, Any]) -> str:
    """Hash of an analyst's remark, over what it says, who says it, when, and about which rows."""
    said = {name: body.get(name) for name in ("author", "text", "written", "time")}
    return digest(canonical(said | {"evidence": list(body.get("evidence", ()))}))


def problems(store: Store, *, sealed: bool = True) -> list[str]:
    """What is wrong, in sentences; empty when nothing is.

    Args:
        store: The case.
        sealed: Whether the signed seal outside the case is asked too; without it, a case that was hashed anew as a
            whole looks whole.
    """
    with storage_errors(store.folder):
        try:
            damage = [text for (text,) in store.db.execute("PRAGMA integrity_check(5)") if text != "ok"]
            if damage:
                return [f"the case file is damaged: {damage[0]}"]
            return [
                *_files(store),
                *_schema(store),
                *_chain(store, sealed),
                *_rows(store),
                *_runs(store),
                *_answers(store),
                *_notes(store),
            ]
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError, AttributeError) as exc:
            return [f"the case file cannot be read whole: {exc}"]


def _files(store: Store) -> Iterator[str]:
    for path in sorted(store.folder.iterdir()):
        if path.name not in FILES or not path.is_file():
            yield f"{path.name} is no part of the case and lies in its folder"


def _schema(store: Store) -> Iterator[str]:
    expected, present = schema(), dict(_master(store.db))
    for name in sorted(expected.keys() - present.keys()):
        yield f"the guard {name} was removed, so the case is no longer append-only"
    for name in sorted(present.keys() - expected.keys()):
        yield f"the case file holds {name}, which is no part of it"
    for name in sorted(expected.keys() & present.keys()):
        if expected[name] != present[name]:
            yield f"{name} of the case file was changed"


def _master(db: sqlite3.Connection) -> Iterator[tuple[str, str | None]]:
    yield from db.execute("SELECT name, sql FROM sqlite_master")


def _chain(store: Store, sealed: bool) -> Iterator[str]:
    head = Head(0, GENESIS)
    begun = ""
    for seq, at, kind, ref, body, stored in store.db.execute("SELECT * FROM journal ORDER BY seq"):
        if seq != head.entries + 1:
            yield f"journal entry {head.entries + 1} is missing"
        if "\n" in kind or "\n" in ref or "\n" in at:
            yield f"journal entry {seq} was changed: a field of it has more than one line"
        if seq == 1:
            begun = ref
        head = Head(seq, chained(head.digest, seq, at, kind, ref, body))
        if head.digest != stored:
            yield f"journal entry {seq} ({kind} {ref}) was changed"
            head = Head(seq, stored)
    if begun != store.folder.name:
        yield f"the case was begun as {begun or 'nothing'} and lies in the folder of {store.folder.name}"
    if sealed:
        yield from _seal(store, head)


def _seal(store: Store, head: Head) -> Iterator[str]:
    heads = read_seal(store.manifest)
    if not heads:
        yield f"the seal {store.manifest} is missing or was changed, so it cannot be shown that the case is whole"
    elif head not in heads:
        known = heads[-1].entries
        more = "more" if head.entries > known else "other" if head.entries == known else "fewer"
        yield f"the case holds {more} entries than were sealed ({head.entries} and {known})"


def _rows(store: Store) -> Iterator[str]:
    for alias, row_id, sha256, data in store.db.execute("SELECT alias, id, sha256, canonical FROM rows"):
        if digest(data) != sha256:
            yield f"the raw row of E{alias} ({row_id}) was changed"
        if not f"E-{sha256}".startswith(row_id) or len(row_id) < 14:
            yield f"the id of E{alias} ({row_id}) does not belong to its hash"
    strays = store.db.execute("SELECT alias FROM rows WHERE alias NOT IN (SELECT alias FROM sightings)")
    for (alias,) in strays:
        yield f"E{alias} belongs to no query"


def _runs(store: Store) -> Iterator[str]:
    known = set()
    columns = ", ".join(f"r.{name.strip()}" for name in ROW.split(","))
    for ref, body in store.db.execute("SELECT ref, body FROM journal WHERE kind = 'run'").fetchall():
        known.add(ref)
        found = store.db.execute(
            f"SELECT {columns} FROM sightings s JOIN rows r USING (alias) WHERE s.query = ? ORDER BY s.position", (ref,)
        )
        if digest("\n".join(map(row_mark, found)).encode()) != json.loads(body)["rows"]:
            yield f"the rows of {ref} are not those it returned"
    gaps = store.db.execute(
        "SELECT query FROM sightings GROUP BY query HAVING min(position) <> 0 OR max(position) <> count(*) - 1"
    )
    for (query,) in gaps:
        yield f"the rows of {query} are not numbered as they came"
    for (query,) in store.db.execute("SELECT DISTINCT query FROM sightings"):
        if query not in known:
            yield f"rows belong to {query}, which is not in the case"


def _answers(store: Store) -> Iterator[str]:
    rows = {row_id for (row_id,) in store.db.execute("SELECT id FROM rows")}
    queries = {ref for (ref,) in store.db.execute("SELECT ref FROM journal WHERE kind = 'run'")}
    for seq, text in store.db.execute("SELECT seq, body FROM journal WHERE kind = 'answer'"):
        body = json.loads(text)
        cited = [item if isinstance(item, str) else item["id"] for item in body["evidence"]]
        for part in ("timeline", "claims", "proposals"):
            cited += [name for item in body[part] for name in item["evidence"]]
        asked = [query["id"] for query in body["queries"]]
        for part in ("claims", "gaps"):
            asked += [name for item in body[part] for name in item["queries"]]
        for name in sorted(set(cited) - rows):
            yield f"answer {seq} cites {name}, which is not in the case"
        for name in sorted(set(asked) - queries):
            yield f"answer {seq} names {name}, which is not in the case"


def _notes(store: Store) -> Iterator[str]:
    rows = {row_id for (row_id,) in store.db.execute("SELECT id FROM rows")}
    for seq, at, text in store.db.execute("SELECT seq, at, body FROM journal WHERE kind = 'note' ORDER BY seq"):
        body = json.loads(text)
        if "sha256" in body and (note_digest(body) != body["sha256"] or body["written"] != at):
            yield f"the note of entry {seq} was changed"
        for name in sorted(set(body.get("evidence", ())) - rows):
            yield f"the note of entry {seq} is about {name}, which is not in the case"
