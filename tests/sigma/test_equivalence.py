"""Our query and pySigma's return the same events, over the lab's tables: a few rules of our own, and a public sample."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("sigma.backends.kusto", reason="the backends of pySigma are development dependencies")

from tracehound.evals.bench.sigma import summary
from tracehound.evals.sigma.comparing import Outcome, compare
from tracehound.evals.sigma.converters import PAIRS
from tracehound.evals.sigma.explaining import explanation

LOGS = {
    "process": "{product: windows, category: process_creation}",
    "linux": "{product: linux, category: process_creation}",
    "file": "{product: windows, category: file_event}",
    "module": "{product: windows, category: image_load}",
    "registry": "{product: windows, category: registry_set}",
    "network": "{product: windows, category: network_connection}",
    "dns": "{product: windows, category: dns_query}",
    "script": "{product: windows, category: ps_script}",
}
RULES: dict[str, tuple[str, str]] = {
    "tool": ("process", "  a: {Image|endswith: '\\labtool.exe', CommandLine|contains: [--one, --two]}\n  condition: a\n"),
    "parent": (
        "process",
        "  a: {ParentImage|endswith: ['\\word.exe', '\\sheet.exe']}\n  b: {CommandLine|contains|all: [alpha, beta]}\n"
        "  condition: all of them\n",
    ),
    "filter": (
        "process",
        "  a: {CommandLine|contains: gamma}\n  filter_x: {Image|startswith: 'C:\\Odd\\'}\n"
        "  filter_y: {ParentImage|endswith: '\\quiet.exe'}\n  condition: a and not 1 of filter_*\n",
    ),
    "pattern": ("process", "  a: {CommandLine|re: '-n\\s+[0-9]{3,5}'}\n  condition: a\n"),
    "dash": ("process", "  a: {CommandLine|windash|contains: ' -quiet'}\n  condition: a\n"),
    "slash": ("linux", "  a: {Image|endswith: '/labtool', CommandLine|contains: ' --seven'}\n  condition: a\n"),
    "dropped": ("file", "  a: {TargetFilename|endswith: '.labx', Image|endswith: '\\word.exe'}\n  condition: a\n"),
    "loaded": ("module", "  a: {ImageLoaded|endswith: '\\labpart.dll'}\n  condition: a\n"),
    "value": ("registry", "  a: {TargetObject|contains: '\\Lab\\Seven\\', Details: odd}\n  condition: a\n"),
    "address": (
        "network",
        "  a: {DestinationIp|cidr: 10.9.0.0/16, DestinationPort: 7707, Initiated: 'true'}\n  condition: a\n",
    ),
    "name": ("dns", "  a: {QueryName|endswith: '.odd.example'}\n  condition: a\n"),
    "written": ("script", "  a: {ScriptBlockText|contains: [Invoke-Lab, Start-Lab]}\n  condition: a\n"),
}  # fmt: skip


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    folder = tmp_path_factory.mktemp("rules")
    for name, (log, detection) in RULES.items():
        text = f"title: Lab {name}\nlogsource: {LOGS[log]}\ndetection:\n{detection}"
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    return compare(sorted(folder.glob("*.yml")))


def of(outcomes: Sequence[Outcome], language: str) -> dict[str, Outcome]:
    return {Path(outcome.rule).stem: outcome for outcome in outcomes if outcome.language == language}


@pytest.mark.parametrize("language", [pair.name for pair in PAIRS])
def test_the_same_rows_in_every_language_once_the_backends_known_faults_are_corrected(
    outcomes: list[Outcome], language: str
) -> None:
    found = of(outcomes, language)
    counted = {name: item for name, item in found.items() if item.corrected.verdict != "not counted"}
    assert len(counted) >= 4
    assert [name for name, item in counted.items() if item.corrected.verdict != "same" and not explanation(item)] == []
    # The judge agrees with our query, wherever it runs.
    assert [name for name, item in counted.items() if "ours" in item.corrected.wrong] == []


def test_the_measurement_sees_a_difference(outcomes: list[Outcome]) -> None:
    """PowerQuery's backend writes `contains` for `endswith`: the near misses must tell."""
    found = of(outcomes, "powerquery (SentinelOne)")["tool"]
    assert found.as_written.verdict == "different"
    assert found.as_written.wrong == ("theirs",)
    assert found.faults == ("`startswith` and `endswith` become `contains`",)


def test_a_query_that_finds_nothing_is_not_counted_as_equal(outcomes: list[Outcome]) -> None:
    found = of(outcomes, "s1ql (SentinelOne)")["loaded"]
    assert found.as_written.verdict == "not counted"
    assert found.as_written.why == "theirs: no matching event is returned"
    assert found.corrected.verdict == "same"


def test_the_summary_adds_up(outcomes: list[Outcome]) -> None:
    report = summary(outcomes, len(RULES))
    for found in report["languages"].values():
        not_counted = sum(found["not_counted"].values())
        assert found["converted"] == found["corrected"]["counted"] + not_counted
    assert report["whole"]["corrected"]["share"] >= 0.95


@pytest.mark.skipif("TRACEHOUND_CORPORA" not in os.environ, reason="TRACEHOUND_CORPORA names no folder of public rules")
def test_a_sample_of_the_public_rules_agrees_in_ninety_five_of_a_hundred_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = sorted((Path(os.environ["TRACEHOUND_CORPORA"]) / "sigma").rglob("*.yml"))[::60]
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(6_000)
    try:
        report = summary(compare(rules), len(rules))
    finally:
        sys.setrecursionlimit(before)
    assert report["whole"]["corrected"]["counted"] >= 40
    assert report["whole"]["corrected"]["share"] >= 0.95
    assert report["whole"]["unexplained"] == []
