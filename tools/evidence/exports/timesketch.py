"""Timesketch JSONL: `message`, `datetime` and `timestamp_desc` on each line, and whatever else helps to search.

Told entries, the rows below them and notes are lines of their own, told apart by `data_type`. A field holds at most
32,766 bytes, the limit of OpenSearch for a term; what is cut says so, and `sha256` names the whole row.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ..records import Answer, Evidence, aliases
from ..safe import safe
from . import lines
from .lines import Line

MAX_BYTES = 32_766
_RESERVED = frozenset({"message", "datetime", "timestamp", "timestamp_desc", "tag", "data_type", "label", "raw"})
_WHAT = {"entry": "Timeline entry", "row": "Event time", "note": "Note by an analyst"}


def to_timesketch(answer: Answer) -> str:
    """The answer as JSON lines in ASCII, in order of time."""
    found = [*lines.entries(answer), *lines.rows(answer), *lines.notes(answer)]
    names = aliases(answer.evidence)
    ordered = sorted(found, key=lambda line: line.time)
    return "".join(json.dumps(_object(line, answer, names), ensure_ascii=True) + "\n" for line in ordered)


def _object(line: Line, answer: Answer, names: Mapping[str, str]) -> dict[str, Any]:
    moment = "Time of the query; the row itself has none" if not line.timed else _WHAT[line.kind]
    shown: dict[str, Any] = {
        "message": fitted(safe(line.text, single_line=False)) or "(empty)",
        "datetime": _iso(line.time),
        "timestamp_desc": moment,
        "data_type": f"tracehound:{line.kind}",
        "case_id": answer.case,
        "evidence_id": list(line.evidence),
        "evidence_alias": [names.get(name, name) for name in line.evidence],
        "hosts": [fitted(safe(host)) for host in line.hosts],
        "platforms": list(line.platforms),
        "tag": [*line.techniques, *([line.verdict] if line.verdict else [])],
        "claim_id": line.claim,
        "until": _iso(line.until) if line.until else "",
        "author": fitted(safe(line.author)),
        "note_id": line.id,
    }
    if line.row is not None:
        shown |= dict(_of_row(line.row))
    return {name: value for name, value in shown.items() if value not in ("", [])}


def _of_row(row: Evidence) -> Iterator[tuple[str, Any]]:
    for name, value in row.fields.items():
        # Dots would nest in OpenSearch, where `file` and `file.name` cannot both be.
        key = re.sub(r"\W", "_", name)
        yield (f"event_{key}" if key in _RESERVED or key == "time" else key), _value(value)
    yield from {
        "query_id": row.query,
        "collection": row.collection,
        "event_class": row.event_class,
        "host": fitted(safe(row.host or "")),
        "user": fitted(safe(row.user or "")),
        "sha256": row.sha256,
        "raw": fitted(json.dumps(row.raw, ensure_ascii=True)),
    }.items()


def _value(value: Any) -> Any:
    match value:
        case None:
            return ""
        case bool() | float():
            return value
        case int():
            return value if -(2**63) <= value < 2**63 else str(value)
        case list() if all(isinstance(item, str) for item in value):
            return [fitted(safe(item, single_line=False)) for item in value]
        case str():
            return fitted(safe(value, single_line=False))
        case _:
            return fitted(json.dumps(value, ensure_ascii=True))


def fitted(text: str) -> str:
    """Text of at most 32,766 bytes; the end of what was cut says by how much."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= MAX_BYTES:
        return text
    kept = data[: MAX_BYTES - 40].decode("utf-8", "ignore")
    return f"{kept}[+{len(data) - len(kept.encode())} bytes]"


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
