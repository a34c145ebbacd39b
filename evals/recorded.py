"""Recall and precision on recorded attacks whose steps are known.

A step counts when an entry cites a record that matches it. Precision is the share of entries at least half of whose
records match a step or a context event. Entries that rule out a look-alike are left out of both.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..knowledge.errors import ConfigurationError
from ..tools.evidence.records import Answer, Evidence
from .scoring import Measure
from .suites import Expect
from .truth import occurs

_CLASSES: Mapping[int, frozenset[str]] = {
    number: frozenset(classes.split())
    for numbers, classes in {
        (1, 5, 8, 10, 4688, 4689): "process_activity",
        (3, 5156, 5158): "network_activity",
        (2, 11, 15, 23, 26, 29, 4663): "file_activity",
        (7,): "module_activity",
        (12, 13, 14, 4657): "registry_activity",
        (22,): "dns_activity",
        (17, 18, 5140, 5145): "smb_activity file_activity",
        (4103, 4104, 400, 600): "script_activity",
        (4697, 7045, 7036): "service_activity",
        (4698, 4702): "scheduled_job_activity",
        (4624, 4625, 4627, 4634, 4647, 4648, 4672, 4674, 4768, 4769, 4771, 4776): "authentication",
    }.items()
    for number in numbers
}
"""Windows event id to the event classes that carry it."""

_ROLES: Mapping[str, tuple[str, ...]] = {
    "Hostname": ("device.hostname",),
    "CommandLine": ("process.cmd_line",),
    "NewProcessName": ("process.name", "process.path"),
    "ParentImage": ("actor.process.name", "actor.process.path"),
    "ParentProcessName": ("actor.process.name", "actor.process.path"),
    "SourceImage": ("actor.process.name", "actor.process.path"),
    "TargetImage": ("process.name", "process.path"),
    "TargetFilename": ("file.name", "file.path"),
    "TargetObject": ("reg.path",),
    "DestinationIp": ("dst_endpoint.ip",),
    "DestAddress": ("dst_endpoint.ip",),
    "DestinationPort": ("dst_endpoint.port",),
    "DestPort": ("dst_endpoint.port",),
    "SourceIp": ("src_endpoint.ip",),
    "SourceAddress": ("src_endpoint.ip",),
    "IpAddress": ("src_endpoint.ip",),
    "QueryName": ("query.hostname",),
    "ShareName": ("share.name",),
    "ScriptBlockText": ("script.content",),
}
"""Field of a Windows event to the attributes that play the same part."""


@dataclass(frozen=True)
class Recording:
    """One recorded attack and its truth."""

    name: str
    question: str
    archive: Path
    steps: tuple[Mapping[str, Any], ...]
    context: tuple[Mapping[str, Any], ...]


def recordings(folder: Path) -> list[Recording]:
    """The recordings of a folder with a `truth.json`.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        content: dict[str, dict[str, Any]] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigurationError(
            f"{folder} holds no truth.json that can be read ({exc}); see TRACEHOUND_CORPORA"
        ) from exc
    return [
        Recording(
            name=name,
            question=item["question"],
            archive=folder / Path(item["source"]["path"]).name,
            steps=tuple(item["steps"]),
            context=tuple(item["context"]),
        )
        for name, item in content.items()
    ]


def measure_recording(answer: Answer, recording: Recording, expect: Expect) -> Iterator[Measure]:
    """Recall, precision, and what is missed or beside the point."""
    evidence = {item.id: item for item in answer.evidence}
    told = [entry for entry in answer.timeline if entry.verdict != "benign"]
    rows = [[evidence[name] for name in entry.evidence if name in evidence] for entry in told]
    met = [step for step in recording.steps if any(shows(row, step) for cited in rows for row in cited)]
    recall = len(met) / len(recording.steps)
    relevant = (*recording.steps, *recording.context)
    beside = [
        entry.text
        for entry, cited in zip(told, rows, strict=True)
        if not cited or 2 * sum(any(shows(row, event) for event in relevant) for row in cited) < len(cited)
    ]
    precision = 1 - len(beside) / len(told) if told else 0.0
    if expect.recall is not None:
        yield Measure("recall", round(recall, 3), f">= {expect.recall:g}", recall >= expect.recall)
    if expect.precision is not None:
        yield Measure("precision", round(precision, 3), f">= {expect.precision:g}", precision >= expect.precision)
    missed = [f"{step['id']}: {step['what']}" for step in recording.steps if step not in met]
    yield Measure("steps missed", missed or 0, "", ok=True)
    yield Measure("entries beside the point", beside or 0, "", ok=True)


def shows(row: Evidence, event: Mapping[str, Any]) -> bool:
    """Whether a row matches one of an event's alternatives."""
    return any(_fits(row, alternative) and _holds(row, alternative) for alternative in event["match"])


def _fits(row: Evidence, alternative: Mapping[str, Any]) -> bool:
    ids = alternative.get("event_id", ())
    classes = frozenset().union(
        *(_CLASSES.get(number, frozenset()) for number in ([ids] if isinstance(ids, int) else ids))
    )
    return not classes or row.event_class in classes or row.event_class == "detection_finding"


def _holds(row: Evidence, alternative: Mapping[str, Any]) -> bool:
    own_shape = "source" not in alternative
    return all(_has(row, name, str(text), own_shape) for name, text in alternative["values"].items())


def _has(row: Evidence, name: str, text: str, own_shape: bool) -> bool:
    """Whether a text occurs in a field, else in what plays its part, else anywhere (unless only the field will do)."""
    if name in row.raw and row.raw[name] not in (None, ""):
        return occurs(text, str(row.raw[name]))
    played = [str(row.fields[part]) for part in _ROLES.get(name, ()) if row.fields.get(part) not in (None, "")]
    if played:
        return any(occurs(text, value) for value in played)
    if own_shape and name not in _ROLES:
        return False
    return any(occurs(text, str(value)) for value in (*row.raw.values(), *row.fields.values()))
