import re
from datetime import timedelta
from pathlib import Path

import pytest

from tracehound.evals.harness import suites
from tracehound.evals.lab.lab import Lab
from tracehound.evals.reading import read_yaml
from tracehound.evals.scoring import fill
from tracehound.evals.suites import CASES, EvalCase, choose, read_suites
from tracehound.evals.truth import TRUTH, ScenarioTruth, renamer, span, truth_of
from tracehound.knowledge.errors import ContentError, UsageError

SOUND = (
    "suites:\n  - {id: one, about: it, seeds: 0-2}\ncases:\n  - id: first\n    ask: what happened?\n    expect: {}\n"
)


def written(folder: Path, text: str) -> Path:
    path = folder / "cases.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_starter_suites_are_there() -> None:
    assert {"kestrel-lateral", "kestrel-lateral-20", "triage", "refusals", "recordings"} <= set(suites())
    assert len(read_suites()["kestrel-lateral-20"][0].seeds) == 20


def test_a_range_of_seeds(tmp_path: Path) -> None:
    assert read_suites([written(tmp_path, SOUND)])["one"][0].seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("expect: {}", "expect: {platform: 3}", 6, "platform"),
        ("expect: {}", "expect: {precision: 2}", 6, "precision"),
        ("ask: what happened?", "ask: what?\n    triage: S1", 4, "exactly one"),
        ("seeds: 0-2", "seeds: 2-0", 2, "FIRST-LAST"),
        ("id: first", "id: First", 4, "id"),
        ("expect: {}", "expect: {", 7, "not YAML"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    path = written(tmp_path, SOUND.replace(old, new))
    with pytest.raises(ContentError) as caught:
        read_suites([path])
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert says in str(caught.value)


def test_a_suite_in_two_files(tmp_path: Path) -> None:
    path = written(tmp_path, SOUND)
    with pytest.raises(ContentError, match="another file"):
        read_suites([path, path])


def test_an_unknown_suite_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="kestrel-lateral"):
        choose(["kestrel-latteral"])


def every_case() -> list[EvalCase]:
    return [case for _, cases in read_suites().values() for case in cases]


def test_cases_speak_of_roles_stories_and_look_alikes_that_exist() -> None:
    truth = read_yaml(TRUTH, ScenarioTruth)
    for case in every_case():
        fill(case.ask or "", truth.cast)
        assert case.expect.story is None or case.expect.story in truth.stories
        assert set(case.expect.look_alikes) <= set(truth.look_alikes)
        assert {item.target for item in case.expect.proposals or ()} <= set(truth.cast)


def test_cases_name_nobody_of_a_scenario() -> None:
    truth = read_yaml(TRUTH, ScenarioTruth)
    for path in CASES.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert not [name for name in (*truth.cast.values(), *truth.protected) if name in text], path


def test_the_truth_is_told_in_the_names_of_the_world(lab: Lab) -> None:
    facts = read_yaml(TRUTH, ScenarioTruth)
    sightings = [
        *facts.look_alikes.values(),
        *(step for story in facts.stories.values() for step in story.steps.values()),
    ]
    texts = {text for sighting in sightings for alternative in sighting.has for text in alternative.values()}
    addresses = {text for text in texts if re.fullmatch(r"[\d.]+", text)}
    hosts = {*facts.cast.values(), *facts.protected, *(item.host for item in sightings if item.host)}
    assert len(addresses) >= 5
    assert not {name for name in addresses | hosts if renamer(lab.names)(name) == name}
    truth = truth_of(lab)
    assert truth.clock == lab.clock
    assert truth.stories["S1"].steps["macro"].moments == (lab.clock - timedelta(hours=8, minutes=12),)


def test_renaming_prefers_the_longer_name_and_whole_words() -> None:
    rename = renamer({"FS-01": "NAS-7", "FS-01 address": "10.9.9.9", "kestrel": "osprey"})
    assert rename("FS-01 at FS-01 address, XFS-01, kestrel.example") == "NAS-7 at 10.9.9.9, XFS-01, osprey.example"


@pytest.mark.parametrize("text", ["", "8", "8h 12m", "h8", "8h12"])
def test_a_length_of_time_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="8h12m"):
        span(text)
