"""Competing hypotheses: the data's schema and what it names, the ranking, and the search that could refute the leader."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tracehound.knowledge.errors import ContentError
from tracehound.tools.evidence.hypotheses import weigh
from tracehound.tools.evidence.hypotheses_data import Catalogue, read_catalogue
from tracehound.tools.evidence.records import (
    Answer,
    CheckRecord,
    Claim,
    Evidence,
    QueryRecord,
    TimelineEntry,
    WindowRecord,
)
from tracehound.tools.library import HuntLibrary

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
WINDOW = WindowRecord(start=NOON - timedelta(days=1), end=NOON + timedelta(days=1))

Make = Callable[..., Answer]


def row(number: int, event_class: str, minutes: float = 0, **fields: Any) -> Evidence:
    flat = {name.replace("__", "."): value for name, value in fields.items()}
    return Evidence(
        id=f"E-{number:012x}",
        alias=f"E{number}",
        query="Q1",
        platform="falcon",
        collection="events",
        time=NOON + timedelta(minutes=minutes),
        host=flat.get("device.hostname"),
        user=flat.get("user.name") or flat.get("actor.user.name"),
        event_class=event_class,
        fields=flat,
        raw={},
        sha256=f"{number:064x}",
    )


def launch(number: int, parent: str, program: str, command: str, minutes: float = 0) -> Evidence:
    return row(
        number,
        "process_activity",
        minutes,
        activity="Launch",
        device__hostname="PC-7",
        actor__user__name="ann",
        actor__process__name=parent,
        process__name=program,
        process__cmd_line=command,
    )


DOCUMENT = launch(1, "WINWORD.EXE", "powershell.exe", "powershell.exe -enc SQBFAFgA")
DUMP = launch(2, "powershell.exe", "rundll32.exe", "rundll32.exe comsvcs.dll, MiniDump 712 c:\\x.dmp full", 5)
CHANGE = launch(3, "PSEXESVC.exe", "cmd.exe", 'cmd.exe /c "C:\\Patches\\CHG-1234\\install.cmd"', 9)
CLOSED = row(
    4, "detection_finding", 1, finding__uid="a1", finding__verdict="False Positive", finding__title="Encoded command",
    device__hostname="PC-7", severity="Medium",
)  # fmt: skip


def told(*rows: Evidence, verdict: str = "suspicious", queries: tuple[QueryRecord, ...] | None = None) -> Answer:
    asked = QueryRecord(
        id="Q1", platform="falcon", language="cql", collection="events", text="x", check=CheckRecord(ok=True),
        status="ok", window=WINDOW,
    )  # fmt: skip
    return Answer(
        case="c-1",
        question="what happened on PC-7",
        model="offline",
        estate="lab",
        window=WINDOW,
        route="search",
        queries=(asked,) if queries is None else queries,
        evidence=rows,
        timeline=tuple(
            TimelineEntry(time=item.time or NOON, text="x", evidence=(item.id,), verdict=verdict)  # type: ignore[arg-type]
            for item in rows
        ),
    )


def test_the_least_contradicted_leads_not_the_best_supported() -> None:
    found = weigh(told(DOCUMENT, DUMP))
    assert found.leader == "intrusion"
    points = {item.id: item.against for item in found.ranked}
    assert points["intrusion"] == 0 < points["administration"] < sum(row.weight for row in found.rows) + 1
    assert [item.against for item in found.ranked if item.supported] == sorted(
        item.against for item in found.ranked if item.supported
    )


def test_a_named_change_alone_reads_as_administration() -> None:
    found = weigh(told(CHANGE))
    assert found.leader == "administration"
    assert "names-a-change" in {item.sign for item in found.rows}


def test_an_alert_closed_before_speaks_against_hostile_hypotheses() -> None:
    found = weigh(told(CLOSED))
    against = {name for item in found.rows for name, bears in item.bears.items() if bears == "inconsistent"}
    assert {"intrusion", "insider", "compromised-account"} <= against


def test_what_was_ruled_out_counts_only_where_nothing_else_is_left() -> None:
    both = told(DOCUMENT).model_copy(update={"evidence": (DOCUMENT, CHANGE)})
    benign = TimelineEntry(time=NOON, text="x", evidence=(CHANGE.id,), verdict="benign")
    with_both = both.model_copy(update={"timeline": (*both.timeline, benign)})
    assert "names-a-change" not in {item.sign for item in weigh(with_both).rows}
    assert weigh(told(CHANGE, verdict="benign")).leader == "administration"


def test_nothing_found_leads_to_nothing() -> None:
    found = weigh(told())
    assert found.leader is None
    assert found.refutation is None
    assert found.sentence() == "Nothing that was found speaks for any of the hypotheses."


def test_a_leader_that_hangs_on_one_row_is_said_to() -> None:
    found = weigh(told(CHANGE))
    without = [item.sign for item in found.sensitive]
    for sign in without:
        assert sign in {item.sign for item in found.rows}
        assert next(item for item in found.sensitive if item.sign == sign).leader != found.leader
    assert without


def test_the_refuting_search_is_typed_checked_and_not_yet_made() -> None:
    found = weigh(told(DOCUMENT, DUMP))
    assert found.refutation is not None
    assert found.refutation.hypothesis == "intrusion"
    assert {query.platform for query in found.refutation.queries} == {"falcon"}
    assert all("pc-7" in query.text.lower() for query in found.refutation.queries)
    made = tuple(
        QueryRecord(
            id=f"Q{number}",
            platform=query.platform,
            language=query.language,
            collection=query.collection,
            text=query.text,
            check=CheckRecord(ok=True),
            status="ok",
            window=WINDOW,
        )
        for number, query in enumerate(found.refutation.queries, 1)
    )
    again = weigh(told(DOCUMENT, DUMP, queries=made))
    assert again.refutation is not None
    assert again.refutation.hunt != found.refutation.hunt


def test_the_same_answer_gives_the_same_json() -> None:
    answer = told(DUMP, DOCUMENT, CLOSED)
    assert weigh(answer).to_json() == weigh(Answer.model_validate(answer.to_json())).to_json()
    assert weigh(answer).to_json()["schema"] == "tracehound.hypotheses/1"


def test_claims_alone_are_weighed_where_there_is_no_timeline() -> None:
    claim = Claim(
        id="C1", kind="observation", subject="", predicate="started", object="", evidence=(DUMP.id,), text="x"
    )  # fmt: skip
    bare = told(DUMP).model_copy(update={"timeline": (), "claims": (claim,)})
    assert "credentials-read" in {item.sign for item in weigh(bare).rows}


def test_every_hypothesis_can_be_told_from_every_other() -> None:
    catalogue = Catalogue.load()
    for one in catalogue.hypotheses:
        assert any(one in sign.supports for sign in catalogue.signs.values()), one
        assert any(one in sign.against for sign in catalogue.signs.values()), one
        for other in set(catalogue.hypotheses) - {one}:
            assert any(
                (one in sign.against) != (other in sign.against) for sign in catalogue.signs.values()
            ), (one, other)  # fmt: skip


GOOD = """\
hypotheses:
  - id: one
    title: One
    about: First.
    tests:
      - hunt: discovery.commands
        with: {host: hosts}
        against: found
        because: it would
signs:
  - id: seen
    says: Something was seen
    weight: 2
    when: {hunts: ["discovery.*"]}
    for: [one]
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("discovery.commands", "discovery.nothing", 6, "there is no hunt"),
        ("{host: hosts}", "{hoost: hosts}", 7, "no parameter 'hoost'"),
        ("{host: hosts}", "{host: colours}", 7, "Input should be"),
        ('["discovery.*"]', '["nothing.*"]', 14, "no hunt or search is called"),
        ("for: [one]", "for: [two]", 15, "there is no hypothesis 'two'"),
        ("weight: 2", "weight: 9", 13, "less than or equal to 3"),
        ('{hunts: ["discovery.*"]}', "{where: {field: no.such, eq: x}}", 14, "there is no attribute 'no.such'"),
        ('{hunts: ["discovery.*"]}', '{where: {field: message, matches: "("}}', 14, "not a regular expression"),
        ('{hunts: ["discovery.*"]}', "{}", 14, "names no condition"),
        ("for: [one]", "for: [one]\n    against: [one]", 16, "both for and against"),
        ("id: one", "id: One Two", 2, "should match pattern"),
    ],
)
def test_a_fault_names_file_and_line(old: str, new: str, line: int, says: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert read_catalogue([path], HuntLibrary.load()).signs["seen"].weight == 2
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(ContentError, match=says.replace("[", r"\[")) as failed:
        read_catalogue([path], HuntLibrary.load())
    assert failed.value.path == str(path)
    assert failed.value.line in (line, line - 1)


def test_a_soc_replaces_a_hypothesis_by_its_own(tmp_path: Path) -> None:
    (tmp_path / "hypotheses").mkdir()
    (tmp_path / "hypotheses" / "own.yaml").write_text(GOOD, encoding="utf-8")
    loaded = Catalogue.load(tmp_path, HuntLibrary.load())
    assert loaded.hypotheses["one"].title == "One"
    assert "intrusion" in loaded.hypotheses
