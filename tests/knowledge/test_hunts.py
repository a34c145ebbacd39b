"""The hunt library: its content is valid, its check finds faults, and its labels are right on sample events."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.knowledge import attack
from tracehound.knowledge.errors import ContentError, UsageError
from tracehound.tools.hunts import read_hunts
from tracehound.tools.languages.search import All, AnyOf, Condition, Expression, Not, Operator, conditions, matches
from tracehound.tools.languages.vocabulary import ACTIVITIES, LOGON_TYPES, EventClass
from tracehound.tools.library import HuntLibrary, check, hunt_files, missing_attributes
from tracehound.tools.recognise import recogniser

ROOT = Path(__file__).resolve().parents[2]
HUNTS = ROOT / "knowledge" / "hunts"
LIBRARY = HuntLibrary.load()


def test_every_hunt_passes_the_check() -> None:
    errors = [str(problem) for problem in check([HUNTS]) if problem.severity == "error"]
    assert errors == []


def test_the_library_covers_every_domain() -> None:
    domains = [hunt.domain for hunt in LIBRARY.all()]
    assert len(domains) >= 50
    assert {domain: domains.count(domain) >= 4 for domain in ("endpoint", "identity", "email", "cloud")} == {
        "endpoint": True,
        "identity": True,
        "email": True,
        "cloud": True,
    }


@pytest.mark.parametrize("hunt", LIBRARY.all(), ids=lambda hunt: hunt.id)
def test_each_hunt_can_be_asked_for_and_followed(hunt: Any) -> None:
    assert len(hunt.questions) >= 8
    assert len(set(hunt.questions)) == len(hunt.questions)
    assert hunt.pivots, "a dead end"
    assert hunt.runbooks
    assert hunt.blind, "every search is blind somewhere"
    slots = {slot for question in hunt.questions for slot in re.findall(r"\{(\w+)\}", question)}
    known = set(hunt.parameters) | {"host", "user", "target", "file", "process", "ip", "domain"}
    assert slots <= known


@pytest.mark.parametrize("hunt", LIBRARY.all(), ids=lambda hunt: hunt.id)
def test_each_search_speaks_the_vocabulary(hunt: Any) -> None:
    for search in hunt.searches:
        assert search.says, search.id
        for condition in conditions(search.where):
            if condition.op is Operator.MATCHES:
                for value in condition.values:
                    re.compile(str(value))
                    assert "(?=" not in str(value), "RE2 has no lookaround"
                    assert "(?!" not in str(value), "RE2 has no lookaround"
            if condition.field == "activity" and search.event_class in ACTIVITIES and condition.op is Operator.EQ:
                assert set(condition.values) <= set(ACTIVITIES[search.event_class]), search.id
            if condition.field == "logon_type":
                assert set(condition.values) <= set(LOGON_TYPES.values()), search.id


def test_unknown_hunt_names_its_neighbours() -> None:
    with pytest.raises(UsageError, match=r"lateral-movement\.remote-service"):
        LIBRARY.get("lateral-movement.remote-services")


def test_own_hunts_join_and_replace(tmp_path: Path) -> None:
    folder = tmp_path / "hunts"
    folder.mkdir()
    (folder / "own.yaml").write_text(GOOD.replace("own.hunt", "discovery.commands"), encoding="utf-8")
    library = HuntLibrary.load(tmp_path)
    assert library.get("discovery.commands").title == "A hunt of our own"
    assert len(library.all()) == len(LIBRARY.all())
    assert HuntLibrary.load().get("discovery.commands").title != "A hunt of our own"


def test_two_own_hunts_of_one_id_are_refused(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(GOOD, encoding="utf-8")
    with pytest.raises(ContentError, match="is also in"):
        HuntLibrary.load(tmp_path)


GOOD = """\
id: own.hunt
title: A hunt of our own
domain: endpoint
techniques: [T1059.001]
questions: [anything odd]
parameters: {host: {type: host}}
searches:
  - id: one
    class: process_activity
    says: Something odd
    where:
      all:
        - {field: device.hostname, eq: $host}
        - {field: process.name, eq: odd.exe}
pivots: [overview.host]
blind: [elsewhere]
runbooks: [alert-triage]
"""


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("T1059.001", "T9999"), 4, "has no T9999"),
        (("T1059.001", "T1086"), 4, "withdrew T1086"),
        (("overview.host", "overview.nothing"), 14, "no hunt overview.nothing"),
        (("alert-triage", "no-runbook"), 16, "no runbook no-runbook"),
        (("process.name", "process.colour"), 1, "no attribute 'process.colour'"),
        (("eq: $host", "eq: $machine"), 1, "not declared"),
        (("domain: endpoint", "domain: space"), 3, "domain"),
        (("class: process_activity", "class: process"), 9, "class"),
        (("eq: odd.exe", "matches: 'odd('"), 1, "search one: 'odd(' is not a regular expression"),
        (("eq: odd.exe", "like: odd.exe"), 1, "unknown operator 'like'"),
        (("title: A hunt", "titel: A hunt"), 1, "title"),
        (("[anything odd]", "[anything odd"), 6, "not YAML"),
        (("process.name, eq: odd.exe", "process.access_mask, gt: 4"), None, None),
    ],
)
def test_check_points_at_the_fault(tmp_path: Path, change: tuple[str, str], line: int | None, says: str | None) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(GOOD.replace(*change), encoding="utf-8")
    errors = [problem for problem in check([tmp_path]) if problem.severity == "error"]
    if says is None:
        assert errors == []
        return
    assert len(errors) == 1
    assert says in errors[0].text
    assert errors[0].path == str(path)
    assert line is not None
    assert errors[0].line is not None
    assert abs(errors[0].line - line) <= 1, str(errors[0])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hunts: 5", "list"),
        ("hunts:", "list"),
        ("hunts: [1]", "mapping"),
        ("hunts: [{id: own.hunt, searches: 3}]", "title"),
        (GOOD[: GOOD.index("searches")] + "searches: 3", "searches"),
        (GOOD[: GOOD.index("searches")] + "searches: [3]", "searches"),
        (GOOD.replace("{field: process.name, eq: odd.exe}", "{any: 5}"), "any: expected a list"),
        (GOOD.replace("{field: process.name, eq: odd.exe}", "{1: 2, eq: x}"), "a condition has"),
        ("id: 2020-13-45", "not YAML"),
        ("caf\xe9", "not UTF-8"),
    ],
)
def test_a_file_of_another_shape_is_refused_with_its_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(text.encode("latin-1"))
    (problem,) = check([path])
    assert problem.path == str(path)
    assert says in problem.text
    with pytest.raises(ContentError, match=r"own\.yaml"):
        HuntLibrary.load(tmp_path)


def test_check_refuses_what_no_platform_can_run(tmp_path: Path) -> None:
    text = GOOD.replace("process.name, eq: odd.exe", "actor.process.hash.sha256, eq: ab").replace(
        "process_activity", "smb_activity"
    )
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    errors = [str(problem) for problem in check([tmp_path]) if problem.severity == "error"]
    assert any("no platform can run it" in error for error in errors), errors


def test_check_names_the_platforms_that_cannot() -> None:
    lacking = missing_attributes(LIBRARY.search("credential-access.lsass", "lsass-access"))
    assert "process.access_mask" in lacking["falcon"]  # type: ignore[index]


def test_check_refuses_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        hunt_files([tmp_path / "nothing"])


# Labels ------------------------------------------------------------------------------------------------------------

LAUNCH = {"activity": "Launch"}
ENCODED = "powershell.exe -nop -w hidden -enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQA"
EVENTS = yaml.safe_load((Path(__file__).parent / "events.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("sample", EVENTS["recognised"], ids=lambda sample: sample["label"])
def test_behaviour_is_recognised(sample: dict[str, Any]) -> None:
    found = [f"{item.hunt}#{item.search}" for item in LIBRARY.label(sample["event"], EventClass(sample["class"]))]
    assert sample["label"] in found


@pytest.mark.parametrize("sample", EVENTS["ordinary"], ids=lambda sample: sample["name"])
def test_ordinary_event_is_no_finding(sample: dict[str, Any]) -> None:
    labels = LIBRARY.label(sample["event"], EventClass(sample["class"]))
    assert [f"{item.hunt}#{item.search}" for item in labels if item.signal in ("strong", "medium")] == []


def test_the_ipc_share_is_no_disk_share() -> None:
    event = {"activity": "Open", "share.name": r"\\*\IPC$", "actor.user.name": "anna", "src_endpoint.ip": "10.1.1.5"}
    assert [item.search for item in LIBRARY.label(event, EventClass.SMB)] == ["ipc-share"]


def test_searches_that_need_a_parameter_label_nothing() -> None:
    event = {"activity": "Launch", "process.name": "notepad.exe"}
    assert not [item for item in LIBRARY.label(event, EventClass.PROCESS) if item.hunt.startswith("overview.")]


def test_strongest_label_comes_first() -> None:
    event = {
        **LAUNCH,
        "process.name": "powershell.exe",
        "process.cmd_line": ENCODED,
        "actor.process.name": "services.exe",
    }
    signals = [item.signal for item in LIBRARY.label(event, EventClass.PROCESS)]
    assert signals[0] == "strong"
    assert signals == sorted(signals, key=("strong", "medium", "context", "inventory").index)


def test_labels_carry_techniques_that_exist() -> None:
    for event_class in EventClass:
        for _, label in LIBRARY._recognisers.get(event_class, ()):
            assert all(attack.technique(name) for name in label.techniques)


FIELDS = ("process.name", "user.name", "device.hostname", "dst_endpoint.port", "activity")
VALUES = st.one_of(
    st.sampled_from(
        ["cmd.exe", "CMD.EXE", "anna", r"CORP\anna", "anna@corp.example", "ws-1", "WS-1.corp", "", "ÄÖ", "4"]
    ),
    st.integers(0, 5),
)
CONDITION = st.builds(
    lambda field, op, values: Condition(field=field, op=op, values=() if op is Operator.EXISTS else tuple(values)),
    st.sampled_from(FIELDS),
    st.sampled_from([op for op in Operator if op not in (Operator.CIDR, Operator.MATCHES)]),
    st.lists(VALUES, min_size=1, max_size=3),
)
EXPRESSION = st.recursive(
    CONDITION,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: All(of=tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: AnyOf(of=tuple(parts))),
        inner.map(lambda part: Not(of=part)),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(EXPRESSION, st.dictionaries(st.sampled_from(FIELDS), st.one_of(VALUES, st.none(), st.lists(VALUES, max_size=2))))
def test_a_recogniser_says_what_matches_says(expression: Expression, event: dict[str, Any]) -> None:
    assert recogniser(expression)(event) == matches(expression, event)


def test_hunts_file_may_hold_one_hunt_or_many() -> None:
    assert len(read_hunts(HUNTS / "discovery.yaml")) == 1
    assert len(read_hunts(HUNTS / "email.yaml")) > 1
