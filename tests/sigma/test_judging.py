"""The judge of the measurement: it reads rules by itself, and the events that are built for a rule are what they claim."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tracehound.evals.sigma import building, reading, telemetry
from tracehound.evals.sigma.building import build
from tracehound.evals.sigma.reading import SigmaRule, UnreadRuleError, each_test, read_rule
from tracehound.evals.sigma.telemetry import defaults

PROCESS = "{product: windows, category: process_creation}"


def rule(detection: str, source: str = PROCESS) -> SigmaRule:
    return read_rule("lab", yaml.safe_load(f"title: Lab\nlogsource: {source}\ndetection:\n{detection}"))


def one(modifiers: str, value: str) -> SigmaRule:
    return rule(f"  selection: {{CommandLine{modifiers}: {value}}}\n  condition: selection\n")


@pytest.mark.parametrize("module", [reading, building, telemetry])
def test_the_judge_imports_neither_converter(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    named |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not [name for name in named if re.match(r"(sigma|tools\.|converters)", name)]


HOLDS = [
    ("", "Lab", ["lab", "LAB"], ["labs", ""]),
    ("", "'l*b'", ["lab", "lb", "l a b"], ["labs"]),
    ("", r"'l\*b'", ["l*b"], ["lab"]),
    ("", "'l?b'", ["lab"], ["laab", "lb"]),
    ("", r"'a\\*'", ["a\\", "a\\b"], ["a*"]),
    ("", "'a[b]*'", ["a[b]c"], ["ab"]),
    ("|contains", "lab", ["a lab", "lab"], ["la b"]),
    ("|startswith", "lab", ["labs"], ["a lab"]),
    ("|endswith", "lab", ["a lab"], ["labs"]),
    ("|contains|all", "[a, b]", ["ab"], ["a", "b"]),
    ("|contains", "[a, b]", ["a", "b"], ["c"]),
    ("|cased", "Lab", ["Lab"], ["lab"]),
    ("|re", r"'l\d'", ["xl7"], ["L7", "l"]),
    ("|re|i", r"'l\d'", ["L7"], ["l"]),
    ("|windash|contains", "' -x'", ["a /x", "a -x", "a \u2013x"], ["a +x"]),
    ("|base64|contains", "lab", ["bGFi"], ["lab"]),
    ("|neq", "lab", ["x"], ["lab"]),
    ("|exists", "true", ["x"], [""]),
    ("", "null", [""], ["x"]),
    ("|lt", "5", ["4"], ["5", "x"]),
    ("|gte", "5", ["5"], ["4"]),
    ("|cidr", "10.7.0.0/16", ["10.7.1.1"], ["10.8.1.1", "x"]),
]


@pytest.mark.parametrize(("modifiers", "value", "found", "passed_over"), HOLDS)
def test_the_judge_reads_values_as_the_specification_says(
    modifiers: str, value: str, found: list[str], passed_over: list[str]
) -> None:
    read = one(modifiers, value)
    assert [text for text in found if not read.holds({"CommandLine": text})] == []
    assert [text for text in passed_over if read.holds({"CommandLine": text})] == []


def test_not_binds_closer_than_and_and_that_closer_than_or() -> None:
    parts = "".join(f"  {name}: {{CommandLine|contains: {name}}}\n" for name in "abc")
    read = rule(f"{parts}  condition: a or not b and c\n")
    assert read.holds({"CommandLine": "a b"})
    assert read.holds({"CommandLine": "c"})
    assert not read.holds({"CommandLine": "b c"})


def test_what_the_judge_does_not_know_is_said() -> None:
    for detection in (
        "  keywords: [lab]\n  condition: keywords\n",
        "  a: {CommandLine: x}\n  condition: a | count() > 5\n",
        "  a: {CommandLine|unheard: x}\n  condition: a\n",
        "  a: {CommandLine: x}\n  condition: a and\n",
        "  a: {CommandLine: x}\n  condition: b\n",
    ):
        with pytest.raises(UnreadRuleError):
            rule(detection)


BUILT = [
    one("|contains", "lab7"),
    one("|contains|all", "[alpha, beta]"),
    one("|startswith", "[alpha, beta]"),
    one("|endswith", "alpha"),
    one("|re", r"'\s-[a-f0-9]{8,}\s'"),
    one("|windash|contains", "' -x'"),
    one("|base64offset|contains", "laboratory"),
    rule(
        "  sel: {Image|endswith: '\\lab.exe', CommandLine|contains: [aa, bb]}\n"
        "  filter_a: {ParentImage|startswith: 'C:\\Odd\\'}\n  filter_b: {CommandLine|contains: cc}\n"
        "  condition: sel and not 1 of filter_*\n"
    ),
    rule("  a: {Image|endswith: '\\lab.exe'}\n  b: {CommandLine: null}\n  condition: a and b\n"),
    rule(
        "  a: {DestinationIp|cidr: 10.9.0.0/16, DestinationPort: [7, 9], Initiated: 'true'}\n  condition: a\n",
        "{product: windows, category: network_connection}",
    ),
]


@pytest.mark.parametrize("read", BUILT, ids=range(len(BUILT)))
def test_matches_match_and_near_misses_break_every_condition(read: SigmaRule) -> None:
    usual = defaults(read)
    assert usual is not None
    made = build(read, usual)
    assert made.matches
    assert made.misses
    assert all(read.holds(event) for event in made.matches)
    assert not any(read.holds(event) for event in made.misses)
    assert made.broken == made.conditions
    for test in each_test(read.condition):
        verdicts = {test.holds(event) for event in (*made.matches, *made.misses)}
        assert verdicts == {True, False}, test


def test_every_alternative_has_a_match_of_its_own() -> None:
    read = one("|contains", "[alpha, beta, gamma]")
    commands = [event["CommandLine"] for event in build(read, defaults(read) or {}).matches]
    assert all(any(word in command for command in commands) for word in ("alpha", "beta", "gamma"))


def test_a_rule_that_contradicts_itself_has_no_match() -> None:
    read = rule("  a: {CommandLine: x}\n  b: {CommandLine: y}\n  condition: a and b\n")
    assert build(read, defaults(read) or {}).matches == ()
