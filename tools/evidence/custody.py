"""Proof that a case is as it was written: recompute every hash, the chain, the seal and the answers' references."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from .canonical import canonical, digest
from .store import GENESIS, ROW, TRIGGERS, Head, Store, chained, read_manifest, storage_errors


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


def problems(store: Store) -> list[str]:
    """What is wrong, in sentences; empty when nothing is."""
    with storage_errors(store.folder):
        try:
            damage = [text for (text,) in store.db.execute("PRAGMA quick_check(5)") if text != "ok"]
            if damage:
                return [f"the case file is damaged: {damage[0]}"]
            return [*_triggers(store), *_chain(store), *_rows(store), *_runs(store), *_answers(store)]
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as exc:
            return [f"the case file cannot be read whole: {exc}"]


def _triggers(store: Store) -> Iterator[str]:
    present = {name for (name,) in store.db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    for name in TRIGGERS:
        if name not in present:
            yield f"the guard {name} was removed, so the case is no longer append-only"


def _chain(store: Store) -> Iterator[str]:
    head = Head(0, GENESIS)
    heads = {head}
    for seq, at, kind, ref, body, stored in store.db.execute("SELECT * FROM journal ORDER BY seq"):
        if seq != head.entries + 1:
            yield f"journal entry {head.entries + 1} is missing"
        head = Head(seq, chained(head.digest, seq, at, kind, ref, body))
        if head.digest != stored:
            yield f"journal entry {seq} ({kind} {ref}) was changed"
            head = Head(seq, stored)
        heads.add(head)
    sealed = read_manifest(store.manifest)
    if not sealed:
        yield f"the seal {store.manifest} is missing or unreadable, so it cannot be shown that the case is whole"
    elif head not in sealed:
        more = (
            "more" if head.entries > sealed[-1].entries else "other" if head.entries == sealed[-1].entries else "fewer"
        )
        yield f"the case holds {more} entries than were sealed ({head.entries} and {sealed[-1].entries})"


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
