"""Sigma rules become hunts that the library's own check accepts, or are refused with file, line and one sentence."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tracehound.knowledge.errors import ContentError, UsageError
from tracehound.tools.hunts import Hunt, parse_expression, read_hunts
from tracehound.tools.languages.search import Expression, matches
from tracehound.tools.library import check, missing_attributes
from tracehound.tools.sigma import Imported, Refused, import_file, rule_files, to_yaml, unique_ids
from tracehound.tools.sigma.importing import short_form
from tracehound.tools.sigma.mapping import mapping, read_mapping

HEAD = """title: Lab Tool Starts Oddly
id: 7a1b2c3d-0000-4000-8000-00000000000a
description: |
  A tool of the lab starts
  in an odd way.
author: Ida Berg, Mats Lind
tags: [attack.execution, attack.t1059.001, attack.g0007, cve.2021-44228]
level: high
falsepositives: [Packaging jobs, Unknown]
"""
PROCESS = "logsource: {product: windows, category: process_creation}\n"


def written(folder: Path, detection: str, source: str = PROCESS, head: str = HEAD, name: str = "rule.yml") -> Path:
    path = folder / name
    path.write_text(f"{head}{source}detection:\n{detection}", encoding="utf-8")
    return path


def imported(folder: Path, detection: str, source: str = PROCESS) -> Imported:
    (result,) = import_file(written(folder, detection, source))
    assert isinstance(result, Imported), result
    return result


def refused(folder: Path, detection: str, source: str = PROCESS) -> Refused:
    (result,) = import_file(written(folder, detection, source))
    assert isinstance(result, Refused), result
    return result


def condition(result: Imported) -> Any:
    """The rule's own condition in short form, without the host, the system and the kind of event."""
    where = short_form(result.hunt.searches[0].where)
    rest = [
        part
        for part in where["all"]
        if part.get("field") not in ("device.hostname", "activity") and "device.os" not in str(part.get("not"))
    ]
    return rest[0] if len(rest) == 1 else rest


def one(modifiers: str, value: object, field: str = "CommandLine") -> str:
    return f"  selection: {{{field}{modifiers}: {value}}}\n  condition: selection\n"


def test_an_imported_rule_is_a_hunt_that_the_check_accepts(tmp_path: Path) -> None:
    result = imported(tmp_path, one("|contains", "' -lab'"))
    folder = tmp_path / "hunts"
    folder.mkdir()
    (folder / "lab.yaml").write_text(to_yaml(result.hunt), encoding="utf-8")
    assert [problem for problem in check([folder]) if problem.severity == "error"] == []
    (hunt,) = read_hunts(folder / "lab.yaml")
    assert hunt.model_copy(update={"source": ""}) == result.hunt
    assert hunt.id == "sigma.lab-tool-starts-oddly"
    assert (hunt.title, hunt.domain, hunt.techniques) == ("Lab Tool Starts Oddly", "endpoint", ("T1059.001",))
    assert hunt.about == "A tool of the lab starts in an odd way."
    assert hunt.benign == ("Packaging jobs",)
    assert hunt.tags == ("sigma", "execution")
    assert any("{host}" in question for question in hunt.questions)
    assert hunt.searches[0].signal == "strong"


def test_author_number_and_licence_stay_with_the_hunt_and_at_the_head_of_its_file(tmp_path: Path) -> None:
    hunt = imported(tmp_path, one("|contains", "lab")).hunt
    for words in ("7a1b2c3d-0000-4000-8000-00000000000a", "Ida Berg, Mats Lind", "Detection Rule License (DRL) 1.1"):
        assert words in hunt.attribution
        assert words in to_yaml(hunt).splitlines()[0]


def test_a_rules_own_licence_goes_before_that_of_sigmahq(tmp_path: Path) -> None:
    path = written(tmp_path, one("", "lab"), head=HEAD + "license: CC-BY-4.0\n")
    (result,) = import_file(path)
    assert isinstance(result, Imported)
    assert result.hunt.attribution.endswith("CC-BY-4.0")


VALUES: list[tuple[str, object, Any]] = [
    ("", "lab", {"field": "process.cmd_line", "eq": "lab"}),
    ("", "[lab, x7]", {"field": "process.cmd_line", "eq": ["lab", "x7"]}),
    ("", "'*lab'", {"field": "process.cmd_line", "endswith": "lab"}),
    ("", r"'lab\*'", {"field": "process.cmd_line", "eq": "lab*"}),
    ("", r"'C:\\lab\x'", {"field": "process.cmd_line", "eq": r"C:\lab\x"}),
    ("", "'*'", {"field": "process.cmd_line", "exists": True}),
    ("", "null", {"field": "process.cmd_line", "exists": False}),
    ("", "''", {"field": "process.cmd_line", "exists": False}),
    ("|exists", "true", {"field": "process.cmd_line", "exists": True}),
    ("|exists", "false", {"field": "process.cmd_line", "exists": False}),
    ("|contains", "[lab, x7]", {"field": "process.cmd_line", "contains": ["lab", "x7"]}),
    (
        "|contains|all",
        "[lab, x7]",
        [{"field": "process.cmd_line", "contains": "lab"}, {"field": "process.cmd_line", "contains": "x7"}],
    ),
    ("|startswith", "lab", {"field": "process.cmd_line", "startswith": "lab"}),
    ("|endswith", "lab", {"field": "process.cmd_line", "endswith": "lab"}),
    ("|contains", "'la*b?'", {"field": "process.cmd_line", "matches": "(?s:la.*b.)"}),
    ("|startswith", "'la*b'", {"field": "process.cmd_line", "matches": "^(?s:la.*b)"}),
    ("|re", r"'l\d{2}'", {"field": "process.cmd_line", "matches": r"l\d{2}"}),
    ("|re|i|s", "'l.b'", {"field": "process.cmd_line", "matches": "(?s:l.b)"}),
    ("|neq", "lab", {"not": {"field": "process.cmd_line", "eq": "lab"}}),
    ("|base64|contains", "lab", {"field": "process.cmd_line", "contains": base64.b64encode(b"lab").decode()}),
    (
        "|windash|contains",
        "' -x'",
        {"field": "process.cmd_line", "contains": [" -x", " /x", " –x", " —x", " ―x"]},
    ),
    ("|contains", "'$env:lab'", {"field": "process.cmd_line", "matches": r"\$env:lab"}),
]


@pytest.mark.parametrize(("modifiers", "value", "expected"), VALUES)
def test_every_modifier_has_its_operator(tmp_path: Path, modifiers: str, value: object, expected: Any) -> None:
    assert condition(imported(tmp_path, one(modifiers, value))) == expected


def test_base64offset_finds_the_text_at_every_offset(tmp_path: Path) -> None:
    found = condition(imported(tmp_path, one("|base64offset|contains", "laboratory")))["contains"]
    for before in ("", "x", "xy"):
        blob = base64.b64encode(f"{before}laboratory and more".encode()).decode()
        assert any(part in blob for part in found)


def test_numbers_networks_and_booleans(tmp_path: Path) -> None:
    source = "logsource: {product: windows, category: network_connection}\n"
    text = (
        "  selection:\n    DestinationPort|gte: 5000\n    SourcePort: 7\n    DestinationIp|cidr: 10.77.0.0/16\n"
        "    Initiated: 'true'\n  condition: selection\n"
    )
    assert condition(imported(tmp_path, text, source)) == [
        {"field": "dst_endpoint.port", "ge": 5000},
        {"field": "src_endpoint.port", "eq": 7},
        {"field": "dst_endpoint.ip", "cidr": "10.77.0.0/16"},
        {"field": "connection.direction", "eq": "Outbound"},
    ]


def test_a_path_that_ends_in_a_file_name_is_asked_by_name(tmp_path: Path) -> None:
    text = (
        "  selection:\n    Image|endswith: ['\\lab.exe', '\\bin\\x7.exe', 'b.exe']\n"
        "    ParentImage|endswith: '\\shell.exe'\n"
        "  condition: selection\n"
    )
    assert condition(imported(tmp_path, text)) == [
        {
            "any": [
                {"field": "process.name", "eq": "lab.exe"},
                {"field": "process.path", "endswith": r"\bin\x7.exe"},
                {"field": "process.name", "endswith": "b.exe"},
            ]
        },
        {"field": "actor.process.name", "eq": "shell.exe"},
    ]


def test_registry_hives_and_numbers_are_asked_in_every_vendors_spelling(tmp_path: Path) -> None:
    source = "logsource: {product: windows, category: registry_set}\n"
    text = "  selection:\n    TargetObject|startswith: HKLM\\Lab\n    Details: DWORD (0x0000000a)\n  condition: selection\n"
    assert condition(imported(tmp_path, text, source)) == [
        {
            "field": "reg.target",
            "startswith": [r"HKLM\Lab", r"HKEY_LOCAL_MACHINE\Lab", r"\REGISTRY\MACHINE\Lab", r"MACHINE\Lab"],
        },
        {"field": "reg.value_data", "eq": ["DWORD (0x0000000a)", "10", "0xa", "0x0000000a"]},
    ]


def test_an_account_with_its_domain_is_found_in_one_field_and_in_two(tmp_path: Path) -> None:
    where = imported(tmp_path, one("", r"LAB\mara", "User")).hunt.searches[0].where
    event = {"activity": "Launch", "device.hostname": "$host"}
    assert matches(where, event | {"actor.user.name": "mara", "actor.user.domain": "LAB"})
    assert matches(where, event | {"actor.user.name": r"LAB\mara"})
    assert not matches(where, event | {"actor.user.name": "mara", "actor.user.domain": "ODD"})
    assert not matches(where, event | {"actor.user.name": "mara"})


def test_an_integrity_level_is_asked_by_its_name_and_as_the_rule_has_it(tmp_path: Path) -> None:
    assert condition(imported(tmp_path, one("", "[High, S-1-16-16384]", "IntegrityLevel"))) == {
        "field": "process.integrity",
        "eq": ["High", "System", "S-1-16-16384"],
    }


def test_hashes_are_told_apart_by_their_kind(tmp_path: Path) -> None:
    text = one("|contains", f"['SHA256={'a' * 64}', 'MD5={'b' * 32}']", "Hashes")
    assert condition(imported(tmp_path, text)) == {
        "any": [{"field": "process.hash.sha256", "eq": "a" * 64}, {"field": "process.hash.md5", "eq": "b" * 32}]
    }


PARTS = (
    "  sel_a: {CommandLine|contains: aa}\n  sel_b: {CommandLine|contains: bb}\n"
    "  filter_x: {CommandLine|contains: xx}\n  filter_y: {CommandLine|contains: yy}\n  _hidden: {CommandLine: hidden}\n"
)
FORMS = [
    ("1 of sel_*", ["aa", "bb"], ["xx", ""]),
    ("all of sel_*", ["aa bb"], ["aa", "bb"]),
    ("sel_a and not 1 of filter_*", ["aa"], ["aa xx", "aa yy", "bb"]),
    ("sel_a and not all of filter_*", ["aa", "aa xx"], ["aa xx yy"]),
    ("sel_a or sel_b and not filter_x", ["aa xx", "bb"], ["bb xx"]),
    ("not (sel_a or sel_b)", ["xx"], ["aa", "bb"]),
    ("1 of them", ["aa", "yy"], ["hidden"]),
    ("all of them", ["aa bb xx yy"], ["aa bb xx"]),
]


@pytest.mark.parametrize(("form", "found", "passed_over"), FORMS)
def test_every_form_of_a_condition(tmp_path: Path, form: str, found: list[str], passed_over: list[str]) -> None:
    where = imported(tmp_path, f"{PARTS}  condition: {form}\n").hunt.searches[0].where

    def finds(command: str) -> bool:
        event = {"activity": "Launch", "device.os": "windows", "device.hostname": "$host", "process.cmd_line": command}
        return matches(where, event)

    assert [command for command in found if not finds(command)] == []
    assert [command for command in passed_over if finds(command)] == []


def test_a_rule_about_one_system_leaves_the_hosts_of_others_alone(tmp_path: Path) -> None:
    where = imported(tmp_path, one("|contains", "lab")).hunt.searches[0].where
    event = {"activity": "Launch", "device.hostname": "$host", "process.cmd_line": "lab"}
    assert matches(where, event | {"device.os": "windows"})
    assert matches(where, event)
    assert not matches(where, event | {"device.os": "linux"})


AUDITED = "logsource: {product: windows, service: security}\n"


def test_an_event_number_tells_the_class(tmp_path: Path) -> None:
    text = "  selection: {EventID: 4697, ServiceFileName|contains: lab}\n  condition: selection\n"
    search = imported(tmp_path, text, AUDITED).hunt.searches[0]
    assert search.event_class == "service_activity"
    assert condition(imported(tmp_path, text, AUDITED)) == {"field": "service.cmd_line", "contains": "lab"}


def test_event_numbers_of_one_class_may_stand_together(tmp_path: Path) -> None:
    text = "  selection: {EventID: [4624, 4776], TargetUserName: mara}\n  condition: selection\n"
    assert imported(tmp_path, text, AUDITED).hunt.domain == "identity"


def test_a_cloud_rule_asks_for_an_account_instead_of_a_host(tmp_path: Path) -> None:
    source = "logsource: {product: azure, service: auditlogs}\n"
    hunt = imported(tmp_path, one("", "Add member to role", "OperationName"), source).hunt
    assert list(hunt.parameters) == ["user"]
    assert hunt.domain == "identity"


REFUSALS = [
    (one("|cased", "Lab"), PROCESS, 12, "CommandLine: no search can state `cased`"),
    (one("|fieldref", "Image"), PROCESS, 12, "`fieldref`"),
    (one("|expand", "'%lab%'"), PROCESS, 12, "`expand`"),
    (one("|re", "'(?=lab)x'"), PROCESS, 12, "look-around"),
    (one("", "lab", "Unheard"), PROCESS, 12, "Unheard: no attribute carries this field"),
    ("  keywords: [lab, x7]\n  condition: keywords\n", PROCESS, 11, "stands without a field"),
    (one("", "lab"), "logsource: {product: windows, category: pipe_created}\n", 10, "pipe_created"),
    (one("", "7", "EventID"), AUDITED, 12, "EventID 7 has no event class"),
    (one("", "lab", "ServiceName"), AUDITED, 11, "names no EventID"),
    ("  selection: {EventID: [4697, 4624]}\n  condition: selection\n", AUDITED, 12, "several event classes"),
    (one("", f"IMPHASH={'a' * 32}", "Hashes"), PROCESS, 12, "a hash of the kind IMPHASH"),
    (
        "  selection: {ProductName|contains: lab}\n  condition: not selection\n", PROCESS, 11,
        "nothing is left of its condition",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("detection", "source", "line", "why"), REFUSALS)
def test_what_cannot_be_stated_is_refused_by_name_and_line(
    tmp_path: Path, detection: str, source: str, line: int, why: str
) -> None:
    result = refused(tmp_path, detection, source)
    assert why in result.why
    assert result.line == line
    assert not result.broken


def test_an_alternative_without_attribute_is_left_out_and_said(tmp_path: Path) -> None:
    text = "  selection:\n    - CommandLine: lab\n    - Unheard: x7\n  condition: selection\n"
    result = imported(tmp_path, text)
    assert condition(result) == {"field": "process.cmd_line", "eq": "lab"}
    assert "Unheard" in result.remarks[0]
    assert any("Unheard" in line for line in result.hunt.blind)


def test_a_filter_without_attribute_is_left_out_and_said(tmp_path: Path) -> None:
    text = "  sel: {CommandLine: lab}\n  filter: {Unheard: x7}\n  condition: sel and not filter\n"
    result = imported(tmp_path, text)
    assert condition(result) == {"field": "process.cmd_line", "eq": "lab"}
    assert any("Unheard" in line for line in result.hunt.benign)


def test_a_part_of_a_filter_without_attribute_never_makes_the_filter_stronger(tmp_path: Path) -> None:
    text = "  sel: {CommandLine: lab}\n  filter: {Unheard: x7, User: mara}\n  condition: sel and not filter\n"
    assert condition(imported(tmp_path, text)) == {"field": "process.cmd_line", "eq": "lab"}


def test_a_pattern_that_heeds_case_is_said(tmp_path: Path) -> None:
    assert "case" in imported(tmp_path, one("|re", "'La+b'")).remarks[0]
    assert imported(tmp_path, one("|re", r"'\d+'")).remarks == ()


BROKEN = [
    ("title: [", 2, "not YAML"),
    (HEAD + PROCESS + "detection:\n  sel: {CommandLine: a}\n", None, "condition"),
    (HEAD + PROCESS + "detection:\n  sel: {CommandLine: a}\n  condition: sel and absent\n", 13, "absent"),
    (HEAD + PROCESS + "detection:\n  sel: {CommandLine: a}\n  condition: sel and (\n", 13, "Expected"),
    (HEAD + PROCESS + "detection:\n  sel: {CommandLine|unheard: a}\n  condition: sel\n", 11, "unheard"),
    (HEAD + PROCESS + "detection:\n  sel:\n    CommandLine: a\n    CommandLine: b\n  condition: sel\n", 14, "twice"),
    ("- one\n- two\n", 1, "a mapping"),
    ("", 1, "empty"),
    ("title: Lab\ncorrelation: {type: event_count}\n", 1, "correlation"),
]


@pytest.mark.parametrize(("text", "line", "why"), BROKEN)
def test_a_file_that_is_no_rule_is_named_with_its_line(tmp_path: Path, text: str, line: int | None, why: str) -> None:
    path = tmp_path / "broken.yml"
    path.write_text(text, encoding="utf-8")
    (result,) = import_file(path)
    assert isinstance(result, Refused)
    assert why in result.why
    assert line is None or result.line == line


def test_several_rules_of_a_file_become_several_hunts(tmp_path: Path) -> None:
    text = f"{HEAD}{PROCESS}detection:\n{one('', 'a')}---\n{HEAD}{PROCESS}detection:\n{one('', 'b', 'Unheard')}"
    path = tmp_path / "two.yml"
    path.write_text(text, encoding="utf-8")
    first, second = import_file(path)
    assert isinstance(first, Imported)
    assert isinstance(second, Refused)
    assert second.line == 26


def test_two_rules_of_one_title_get_two_ids_and_a_rule_keeps_its_own(tmp_path: Path) -> None:
    first = import_file(written(tmp_path, one("", "a")))[0]
    other = written(tmp_path, one("", "b"), head=HEAD.replace("7a1b2c3d", "8b2c3d4e"), name="other.yml")
    assert isinstance(first, Imported)
    results = unique_ids([first, *import_file(other)], {first.hunt.id: first.hunt.attribution})
    ids = [result.hunt.id for result in results if isinstance(result, Imported)]
    assert ids == ["sigma.lab-tool-starts-oddly", "sigma.lab-tool-starts-oddly-8b2c3d4e"]


def test_folders_are_searched_and_a_missing_path_is_named(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    path = written(tmp_path / "deep", one("", "a"))
    assert rule_files([tmp_path]) == [path]
    with pytest.raises(UsageError, match="nowhere"):
        rule_files([tmp_path / "nowhere"])


def test_the_mapping_is_checked_against_the_vocabulary() -> None:
    assert mapping().logsources
    wrong = yaml.safe_dump(
        {
            "logsources": [{"product": "windows", "category": "x", "class": "process_activity", "fields": "t"}],
            "fields": {"t": {"Image": {"attribute": "process.colour"}}},
            "hives": {},
        }
    )
    with pytest.raises(ContentError, match=r"process\.colour"):
        read_mapping(wrong, "fields.yaml")


WORDS = st.text("ab*\\.$ (%", min_size=1, max_size=6)


@given(
    st.recursive(
        st.builds(
            lambda op, values: {"field": "process.cmd_line", op: values},
            st.sampled_from(["eq", "contains", "startswith", "endswith"]),
            st.lists(WORDS, min_size=1, max_size=3),
        ),
        lambda inner: st.one_of(
            inner.map(lambda part: {"not": part}),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        ),
        max_leaves=6,
    )
)
def test_an_expression_survives_its_short_form(content: dict[str, Any]) -> None:
    expression: Expression = parse_expression(content)
    assert parse_expression(yaml.safe_load(yaml.safe_dump(_plain(short_form(expression))))) == expression


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    return [_plain(item) for item in node] if isinstance(node, list) else node


def test_every_platform_of_a_plain_rule_can_run_it(tmp_path: Path) -> None:
    hunt: Hunt = imported(tmp_path, one("|contains", "lab")).hunt
    assert missing_attributes(hunt.searches[0]) == {}
