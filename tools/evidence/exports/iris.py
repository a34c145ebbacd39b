"""DFIR-IRIS events as CSV, in the columns that its importer asks for.

Its importer splits the file into lines before it reads fields, so that no field holds a line break; it takes assets
apart at `;`, indicators and tags at `|`, and knows categories by name. Assets and indicators have to be in the IRIS
case before; a spreadsheet reads no field as a formula.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Any

from ....knowledge import attack
from ..entities import entity_values
from ..records import Answer, Evidence, aliases
from ..safe import csv_safe, safe, shorten
from . import lines
from .lines import Line

COLUMNS: tuple[str, ...] = (
    "event_date", "event_tz", "event_title", "event_category", "event_content", "event_raw", "event_source",
    "event_assets", "event_iocs", "event_tags",
)  # fmt: skip
UTC_OFFSET = "+00:00"
TITLE, RAW = 240, 100_000
"""Longest title and longest raw part, in characters; the rows stay whole in the case."""
_CATEGORIES = {
    "initial-access": "Initial Access", "execution": "Execution", "persistence": "Persistence",
    "privilege-escalation": "Privilege Escalation", "defense-evasion": "Defense Evasion",
    "credential-access": "Credential Access", "discovery": "Discovery", "lateral-movement": "Lateral Movement",
    "collection": "Collection", "command-and-control": "Command and Control", "exfiltration": "Exfiltration",
    "impact": "Impact",
}  # fmt: skip
"""Tactic to the category that every IRIS has."""
_INDICATORS = ("ip", "hash", "domain", "url", "email")


def to_iris(answer: Answer) -> str:
    """Told entries and notes as CSV, in order of time."""
    held = {item.id: item for item in answer.evidence}
    names = aliases(answer.evidence)
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    found = [*lines.entries(answer), *lines.notes(answer)]
    for line in sorted(found, key=lambda line: line.time):
        row = _row(line, held, names)
        writer.writerow({name: value if name == "event_tz" else csv_safe(value) for name, value in row.items()})
    return out.getvalue()


def _row(line: Line, held: Mapping[str, Evidence], names: Mapping[str, str]) -> dict[str, str]:
    rows = [held[name] for name in line.evidence if name in held]
    cited = " ".join(f"[{names.get(name, name)}] {name}" for name in line.evidence)
    told = f"Note by {line.author}: {line.text}" if line.kind == "note" else line.text
    until = f"; until {line.until.astimezone(UTC).isoformat()}" if line.until and line.until > line.time else ""
    raw = json.dumps([{"id": row.id, "sha256": row.sha256, "row": row.raw} for row in rows], ensure_ascii=True)
    found = _joined("|", _indicators(rows))
    return {
        "event_date": line.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "event_tz": UTC_OFFSET,
        "event_title": shorten(safe(told), TITLE) or "(empty)",
        "event_category": _category(line.techniques, line.verdict),
        "event_content": safe(f"{told} ({' '.join(filter(None, (line.id, cited)))}{until})"),
        "event_raw": shorten(raw, RAW) if rows else "",
        "event_source": _joined(", ", line.platforms) or ("analyst" if line.kind == "note" else ""),
        "event_assets": _joined(";", line.hosts),
        "event_iocs": found,
        "event_tags": _joined("|", (*line.techniques, line.verdict)),
    }


def _category(techniques: Iterable[str], verdict: str) -> str:
    if verdict == "benign":
        return "Legitimate"
    for name in techniques:
        found = attack.current(name)
        for tactic in found.tactics if found else ():
            if tactic in _CATEGORIES:
                return _CATEGORIES[tactic]
    return "Unspecified"


def _indicators(rows: Iterable[Evidence]) -> list[str]:
    found: dict[str, None] = {}
    for row in rows:
        values: Mapping[str, Any] = entity_values(row.fields)
        for kind in _INDICATORS:
            found.update(dict.fromkeys(sorted(values.get(kind, ()))))
    return list(found)


def _joined(mark: str, values: Iterable[str]) -> str:
    """A list in one field; a value that holds the mark itself would come apart, so it is replaced there."""
    return mark.join(re.sub(r"[;|]", "_", safe(value)) for value in values if value)
