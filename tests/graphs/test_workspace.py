"""The working memory: what is read from the rows follows the rows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tracehound.graphs.workspace import Workspace
from tracehound.tools.evidence.case import Case
from tracehound.tools.evidence.records import Evidence
from tracehound.tools.evidence.story import Focus
from tracehound.tools.languages.vocabulary import EventClass
from tracehound.tools.library import HuntLibrary

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def launch(number: int) -> Evidence:
    fields = {"activity": "launch", "process.name": "sampletool.exe", "process.pid": number}
    return Evidence(
        id=f"E-{number:012x}",
        alias=f"E{number}",
        query="Q1",
        platform="falcon",
        time=NOON + timedelta(hours=number),
        host="HOST-1",
        user=None,
        event_class=EventClass.PROCESS.value,
        fields=fields,
        raw={},
        sha256=f"{number:064x}",
    )


def test_a_row_that_is_learnt_later_is_among_the_happenings_and_in_the_story(tmp_path: Path) -> None:
    focus = Focus(names=frozenset({"sampletool.exe"}))
    with Case.create(tmp_path) as case:
        workspace = Workspace(case, HuntLibrary.load())
        workspace.learn(launch(1))
        first, told = workspace.happenings(), workspace.story(focus)
        assert workspace.happenings() is first
        assert workspace.story(focus) is told
        workspace.learn(launch(2))
        assert [item.events[0].evidence for item in workspace.happenings()] == [launch(1).id, launch(2).id]
        assert len(workspace.story(focus).entries) == len(told.entries) + 1 == 2
        assert not workspace.story(Focus(names=frozenset({"other.exe"}))).entries
