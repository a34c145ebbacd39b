"""Timesketch, IRIS, Navigator and STIX as their own readers take them, on ordinary and on hostile text."""

import csv
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tracehound.knowledge.errors import ConfigurationError, UsageError
from tracehound.tools.evidence.case import Case
from tracehound.tools.evidence.claims import claim_for
from tracehound.tools.evidence.exports import document, export
from tracehound.tools.evidence.exports.timesketch import MAX_BYTES
from tracehound.tools.evidence.merge import merge
from tracehound.tools.evidence.records import Answer, TimelineEntry
from tracehound.tools.evidence.verify import verify_answer

Make = Callable[..., Any]
FORMATS = ("md", "json", "html", "timesketch", "iris", "navigator", "stix")
HOSTILE = [
    "=cmd|'/c calc'!A1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", 'a,"b";c|d', "line\nbreak\r\nagain", "\x1b[2J\x9b0m",
    "\x00", "\u202egpj.exe", "a\u200bb", "\u2028x\u2029y\x85z\x0b\x0c\x1c", "\ud800 alone", "\U000e0041", "</script>",
    "<img src=x onerror=alert(1)>", "${jndi:ldap://x}", "{{7*7}}", "'; DROP TABLE x; --", "x" * 100_000, "日本 😀 é",
]  # fmt: skip


@pytest.fixture
def answer(home: Path, run: Make, process_row: Make) -> Callable[..., Answer]:
    """Makes an answer whose rows, texts and note carry a value."""

    def make(value: str = "whoami /all") -> Answer:
        rows = [process_row(1, tgtProcCmdLine=value, tgtProcUser=f"CORP\\{value}"), process_row(2), process_row(3)]
        rows[2].pop("eventTime")
        with Case.create(home) as case:
            record, kept = case.add_run(run(rows))
            case.add_note("bob", value, evidence=["E1"], time=datetime(2026, 11, 1, 9, 59, tzinfo=UTC))
            case.add_note(value, "a remark without a time")
            groups = merge([event for event in case.events() if event.time])
            claims = [claim_for(group, claim_id=f"C{n}") for n, group in enumerate(groups, 1)]
            entries = [
                TimelineEntry(
                    time=group.first, text=claim.text, evidence=claim.evidence, techniques=("T1033", "T1086"),
                    hosts=(value, "SRV-7"), platforms=("sentinelone",), claim=claim.id,
                )
                for group, claim in zip(groups, claims, strict=True)
            ]  # fmt: skip
            made = Answer(
                case=case.id, question=value, model="offline", estate="lab", window=record.window, route="search",
                summary=claims[0].text, queries=(record,), evidence=tuple(kept), timeline=tuple(entries),
                claims=tuple(claims),
            )  # fmt: skip
            return case.with_notes(verify_answer(made))

    return make


def sketch_reader(text: str) -> list[dict[str, Any]]:
    """What Timesketch's own importer does with a line (lib/utils.py, read_and_validate_jsonl)."""
    found = []
    for line in text.encode().split(b"\n")[:-1]:
        row = json.loads(line)
        assert {"message", "datetime", "timestamp_desc"} <= row.keys()
        datetime.fromisoformat(row["datetime"])
        found.append(row)
    return found


def iris_reader(text: str) -> list[dict[str, str]]:
    """What IRIS's importer does with a file (case_timeline_routes.py, case_events_upload_csv)."""
    rows = list(csv.DictReader(text.splitlines(), delimiter=","))
    for row in rows:
        assert None not in row
        assert None not in row.values()
        datetime.strptime(f"{row['event_date']}{row['event_tz']}", "%Y-%m-%dT%H:%M:%S.%f%z")
        assert row["event_title"]
    return rows


def test_timesketch_takes_every_entry_row_and_note(answer: Make) -> None:
    made = answer()
    rows = sketch_reader(export(made, "timesketch"))
    kinds = [row["data_type"].partition(":")[2] for row in rows]
    assert (kinds.count("entry"), kinds.count("row"), kinds.count("note")) == (2, 3, 2)
    assert [row["datetime"] for row in rows] == sorted(row["datetime"] for row in rows)
    entries = [row for row in rows if row["data_type"] == "tracehound:entry"]
    for entry, shown in zip(made.timeline, entries, strict=True):
        assert (shown["message"], shown["evidence_id"]) == (entry.text, list(entry.evidence))
        assert datetime.fromisoformat(shown["datetime"]) == entry.time
        assert shown["tag"] == [*entry.techniques, entry.verdict]
    by_id = {row["evidence_id"][0]: row for row in rows if row["data_type"] == "tracehound:row"}
    for item in made.evidence:
        shown = by_id[item.id]
        assert (shown["sha256"], json.loads(shown["raw"])) == (item.sha256, item.raw)
        assert shown["process_cmd_line"] == item.fields["process.cmd_line"]
    assert by_id[made.evidence[2].id]["timestamp_desc"] == "Time of the query; the row itself has none"
    note = next(row for row in rows if row["data_type"] == "tracehound:note")
    assert (note["message"], note["author"], note["note_id"]) == ("whoami /all", "bob", made.notes[0].id)


def test_iris_takes_every_entry_and_note(answer: Make) -> None:
    made = answer()
    rows = iris_reader(export(made, "iris"))
    assert len(rows) == 4
    assert [row["event_title"] for row in rows[1:3]] == [entry.text for entry in made.timeline]
    assert rows[1]["event_category"] == "Discovery"
    assert rows[1]["event_assets"] == "whoami /all;SRV-7"
    assert rows[1]["event_tags"] == "T1033|T1086|suspicious"
    assert json.loads(rows[1]["event_raw"])[0] == {
        "id": made.evidence[0].id, "sha256": made.evidence[0].sha256, "row": made.evidence[0].raw,
    }  # fmt: skip
    assert made.evidence[0].id in rows[1]["event_content"]
    assert rows[0]["event_title"] == "Note by bob: whoami /all"
    assert rows[0]["event_date"] == "2026-11-01T09:59:00.000000"


def test_a_navigator_layer_loads_in_the_layer_model(answer: Make) -> None:
    from mitreattack.navlayers import Layer

    made = answer()
    content = json.loads(export(made, "navigator"))
    loaded = Layer(content, strict=True).to_dict()
    assert loaded
    assert {item["techniqueID"]: item["score"] for item in loaded["techniques"]} == {"T1033": 2, "T1059.001": 2}
    for item in loaded["techniques"]:
        for evidence in made.timeline[0].evidence:
            assert evidence in item["comment"]
    assert "Named as T1086" in loaded["techniques"][1]["comment"]
    assert loaded["versions"] == {"attack": "18", "navigator": "5.1.0", "layer": "4.5"}
    assert loaded["name"] == content["name"]


def test_what_was_ruled_out_covers_no_technique(answer: Make) -> None:
    made = answer()
    benign = tuple(entry.model_copy(update={"verdict": "benign"}) for entry in made.timeline)
    assert json.loads(export(made.model_copy(update={"timeline": benign}), "navigator"))["techniques"] == []
    rows = iris_reader(export(made.model_copy(update={"timeline": benign}), "iris"))
    assert {row["event_category"] for row in rows[1:3]} == {"Legitimate"}


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_breaks_no_format(value: str, answer: Make) -> None:
    made = answer(value)
    for name in FORMATS:
        text = export(made, name)
        text.encode()
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u202e\u2028\u2029\U000e0041\ud800]", text), (
            name
        )
    rows = sketch_reader(export(made, "timesketch"))
    assert len(rows) == 7
    for row in rows:
        for field in row.values():
            for part in field if isinstance(field, list) else [field]:
                assert len(str(part).encode()) <= MAX_BYTES
    events = iris_reader(export(made, "iris"))
    assert len(events) == 4
    for event in events:
        for name, field in event.items():
            assert name == "event_tz" or not re.match(r"\s*[=+\-@\t\r]", field), (name, field)
    json.loads(export(made, "navigator"))


def test_a_formula_would_be_one_without_the_defence(answer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracehound.tools.evidence.exports.iris.csv_safe", str)
    rows = iris_reader(export(answer("=1+1"), "iris"))
    assert any(field.startswith("=") for row in rows for field in row.values())


def test_notes_are_evidence_in_every_view(answer: Make) -> None:
    made = answer()
    note = made.notes[0]
    assert (note.alias, note.author, note.evidence) == ("N1", "bob", (made.evidence[0].id,))
    assert note.id == f"N-{note.sha256[:12]}"
    for name in ("md", "json", "timesketch", "iris", "stix"):
        assert note.id in export(made, name), name
    markdown = export(made, "md")
    timeline = markdown.partition("## Timeline")[2].partition("##")[0]
    assert "note by bob: whoami /all [E1]" in timeline
    assert "a remark without a time" not in timeline
    assert "a remark without a time" in markdown


def test_a_stix_bundle_parses_and_carries_the_rows(answer: Make) -> None:
    import base64
    import hashlib

    import stix2

    made = answer()
    bundle = stix2.parse(export(made, "stix"), allow_custom=False)
    kinds = [item["type"] for item in bundle["objects"]]
    assert (kinds.count("observed-data"), kinds.count("note"), kinds.count("report")) == (2, 2, 1)
    assert {"attack-pattern", "user-account", "process", "artifact", "identity"} <= set(kinds)
    patterns = {item["id"] for item in bundle["objects"] if item["type"] == "attack-pattern"}
    # T1033 and T1059.001 in MITRE's own bundle.
    assert patterns == {
        "attack-pattern--03d7999c-1f4c-42cc-8373-e7690d318104", "attack-pattern--970a3432-3237-47ad-bcca-7d8cbb217736",
    }  # fmt: skip
    held = {item["id"] for item in bundle["objects"]}
    report = next(item for item in bundle["objects"] if item["type"] == "report")
    assert set(report["object_refs"]) <= held
    for artifact in (item for item in bundle["objects"] if item["type"] == "artifact"):
        data = base64.b64decode(artifact["payload_bin"])
        assert hashlib.sha256(data).hexdigest() == artifact["hashes"]["SHA-256"]
    assert export(made, "stix") == export(made, "stix")


def test_a_pdf_is_one(answer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        import weasyprint  # noqa: F401
    except OSError:
        pytest.skip("weasyprint finds no Pango on this machine")
    made = answer("<img src='http://127.0.0.1:9/x'>")
    data = document(made, "pdf")
    assert data.startswith(b"%PDF-")
    assert data == document(made, "pdf")
    with pytest.raises(UsageError, match="is no text"):
        export(made, "pdf")


@pytest.mark.parametrize(("name", "package"), [("pdf", "weasyprint"), ("stix", "stix2")])
def test_a_missing_extra_is_one_sentence(
    name: str, package: str, answer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"pip install 'tracehound\[{name}\]'"):
        document(answer(), name)
