"""An ATT&CK Navigator layer: the techniques of what was told, with the evidence in the comments."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from ....knowledge import attack
from ..predicates import stamp
from ..records import Answer, TimelineEntry, aliases
from ..safe import safe, shorten

LAYER = "4.5"
COMMENT = 4_000
"""Longest comment, in characters."""


@dataclass
class _Seen:
    entries: list[TimelineEntry] = field(default_factory=list)
    named: dict[str, None] = field(default_factory=dict)


def to_navigator(answer: Answer) -> str:
    """The layer as JSON in ASCII. What was ruled out counts for nothing; a superseded id stands under its successor."""
    seen: dict[str, _Seen] = {}
    for entry in answer.timeline:
        for name in entry.techniques if entry.verdict != "benign" else ():
            found = attack.current(name)
            if found is not None:
                place = seen.setdefault(found.id, _Seen())
                place.entries.append(entry)
                place.named[name.upper()] = None
    names = aliases(answer.evidence)
    most = max((len(item.entries) for item in seen.values()), default=1)
    layer = {
        "name": shorten(safe(f"{answer.case}: {answer.question}"), 200),
        "versions": {"attack": attack.version().partition(".")[0], "navigator": "5.1.0", "layer": LAYER},
        "domain": "enterprise-attack",
        "description": shorten(safe(answer.question), 1_000),
        "techniques": [_technique(name, item, names) for name, item in sorted(seen.items())],
        "gradient": {"colors": ["#ffe9a8", "#e8590c"], "minValue": 0, "maxValue": most},
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
        "metadata": [{"name": "case", "value": answer.case}, {"name": "ATT&CK", "value": attack.version()}],
    }
    return json.dumps(layer, ensure_ascii=True, indent=2)


def _technique(technique: str, seen: _Seen, names: dict[str, str]) -> dict[str, object]:
    cited = list(dict.fromkeys(name for entry in seen.entries for name in entry.evidence))
    older = sorted(seen.named.keys() - {technique})
    told = "\n".join(_told(entry, names) for entry in seen.entries)
    comment = f"{', '.join(cited)}\n{told}" + (f"\nNamed as {', '.join(older)}" if older else "")
    return {
        "techniqueID": technique,
        "score": len(seen.entries),
        "comment": shorten(comment, COMMENT),
        "enabled": True,
        "showSubtechniques": "." in technique,
        "metadata": [{"name": names.get(name, name), "value": name} for name in cited[:50]],
    }


def _told(entry: TimelineEntry, names: dict[str, str]) -> str:
    marks = _marks(names.get(name, name) for name in entry.evidence)
    return f"{stamp(entry.time)} {safe(entry.text)} {marks}"


def _marks(found: Iterable[str]) -> str:
    return " ".join(f"[{name}]" for name in found)
