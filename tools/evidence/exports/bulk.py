"""All evidence of a case, for tools that take many rows: JSON lines, and Parquet. Rows are streamed, never held."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..records import Evidence, iso_z
from ..values import readable

BULK = ("jsonl", "parquet")


def to_jsonl(rows: Iterable[Evidence]) -> Iterator[str]:
    """One row of evidence a line, in ASCII, with its raw form and its normalised fields."""
    for item in rows:
        yield json.dumps(item.model_dump(mode="json", by_alias=True), ensure_ascii=True) + "\n"


def write_parquet(rows: Iterable[Evidence], place: Path) -> None:
    """One row of evidence a row; what differs from class to class (`fields`, `raw`) is JSON text in a column."""
    import duckdb

    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in _COLUMNS.items())
    with TemporaryDirectory() as folder, duckdb.connect() as db:
        lines = Path(folder) / "rows.jsonl"
        with lines.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(_flat(item), ensure_ascii=True) + "\n" for item in rows)
        how = f"format='newline_delimited', maximum_object_size=268435456, columns={{{columns}}}"
        db.execute("SET TimeZone = 'UTC'")
        db.execute(f"CREATE VIEW found AS SELECT * FROM read_json({_quoted(lines)}, {how})")
        db.execute(f"COPY found TO {_quoted(place)} (FORMAT parquet, COMPRESSION zstd)")


_COLUMNS = {
    "id": "VARCHAR", "alias": "VARCHAR", "query": "VARCHAR", "platform": "VARCHAR", "collection": "VARCHAR",
    "time": "TIMESTAMPTZ", "host": "VARCHAR", "user": "VARCHAR", "class": "VARCHAR", "fields": "VARCHAR",
    "raw": "VARCHAR", "sha256": "VARCHAR",
}  # fmt: skip


def _flat(item: Evidence) -> dict[str, Any]:
    return {
        "id": item.id, "alias": item.alias, "query": item.query, "platform": item.platform,
        "collection": item.collection, "time": iso_z(item.time), "host": _text(item.host), "user": _text(item.user),
        "class": item.event_class, "fields": json.dumps(item.fields), "raw": json.dumps(item.raw),
        "sha256": item.sha256,
    }  # fmt: skip


def _text(value: str | None) -> str | None:
    """A column of text can hold no NUL and no lone surrogate; the raw row keeps both."""
    return None if value is None else readable(value.replace("\x00", "\\x00"))


def _quoted(place: Path) -> str:
    return "'" + str(place).replace("'", "''") + "'"
