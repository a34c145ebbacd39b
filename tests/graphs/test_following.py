"""Follow-ups that leave words out are said again in full."""

from datetime import UTC, datetime, timedelta

import pytest

from tracehound.graphs.following import in_full, leaves_out
from tracehound.tools.languages.search import Window

NOW = datetime(2026, 3, 5, 16, 0, tzinfo=UTC)
DAY = Window(start=NOW - timedelta(days=1), end=NOW, phrase="last day")
FIRST = "lateral movement from PC-7 in the last day"


@pytest.mark.parametrize(
    ("said", "whole"),
    [
        ("same for PC-9", "lateral movement from PC-9"),
        ("I meant PC-9", "lateral movement from PC-9"),
        ("no, PC-9 please", "lateral movement from PC-9"),
        ("what about PC-9 and PC-8?", "lateral movement from PC-9 and PC-8"),
        ("only since 14:00", "lateral movement from PC-7"),
        ("and before that?", "lateral movement from PC-7"),
    ],
)
def test_what_changes_is_put_into_the_question_before(said: str, whole: str) -> None:
    found = in_full(said, [FIRST], None, DAY, NOW).text
    assert " ".join(found.split()) == whole


@pytest.mark.parametrize(
    "said",
    [
        "who clicked the link?",
        "and where did the data go from there?",
        "what did ann do on PC-9 yesterday",
        "which other hosts did that account touch?",
        "isolate PC-9",
        "alerts on PC-9",
    ],
)
def test_a_question_of_its_own_stays_as_it_is(said: str) -> None:
    assert not leaves_out(said, NOW)
    assert in_full(said, [FIRST], None, DAY, NOW).text == said


def test_changes_add_up_over_several_turns() -> None:
    earlier = [FIRST, "same for PC-9", "only since 10:00"]
    found = in_full("and PC-8?", earlier, None, DAY, NOW)
    assert " ".join(found.text.split()) == "lateral movement from PC-8"
    assert found.window is None, "the case keeps the window of the turn before"


def test_a_name_answers_who_was_meant() -> None:
    asked = "what did the admin change this week"
    assert in_full("ann@corp.example", [asked], None, None, NOW).text == "what did ann@corp.example change this week"
    assert in_full("NB-4", ["anything odd on the NB laptops"], None, None, NOW).text == "anything odd on NB-4"


def test_the_other_one_is_the_host_named_before() -> None:
    earlier = ["what happened on PC-7", "logons to SRV-3 today"]
    assert in_full("not that one, the other", earlier, None, DAY, NOW).text == "logons to PC-7"


def test_windows_follow_what_was_told() -> None:
    before = in_full("and before that?", [FIRST], None, DAY, NOW).window
    assert before is not None
    assert (before.start, before.end) == (DAY.start - timedelta(days=1), DAY.start)
    since = in_full("only since 14:00", [FIRST], None, DAY, NOW).window
    assert since is not None
    assert (since.start.hour, since.end) == (14, NOW)


def test_the_first_question_of_a_case_is_never_rewritten() -> None:
    assert in_full("same for PC-9", [], None, None, NOW).text == "same for PC-9"
