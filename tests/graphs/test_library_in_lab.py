"""The hunt library against the lab: every search runs, own hunts are found by a question, suggestions are answered."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from tracehound.agent import Copilot, Settings
from tracehound.evals.lab.lab import Lab
from tracehound.graphs.plan import Slots, hunt_searches
from tracehound.graphs.workspace import run_query
from tracehound.tools.hunts import Hunt
from tracehound.tools.languages.query import Query
from tracehound.tools.languages.search import Scalar, Window
from tracehound.tools.languages.translate import translate
from tracehound.tools.library import HuntLibrary

LIBRARY = HuntLibrary.load()


def test_the_library_is_as_wide_as_a_soc_asks() -> None:
    hunts = LIBRARY.all()
    techniques = {name for hunt in hunts for name in hunt.techniques}
    techniques |= {name for hunt in hunts for search in hunt.searches for name in search.techniques}
    assert len(hunts) >= 80
    assert len({name.partition(".")[0] for name in techniques}) >= 50
    domains = [hunt.domain for hunt in hunts]
    assert {domain for domain in domains if domains.count(domain) >= 8} == {"endpoint", "identity", "email", "cloud"}


@pytest.mark.parametrize("hunt", LIBRARY.all(), ids=lambda hunt: hunt.id)
def test_each_hunt_says_what_it_cannot_see_and_what_is_harmless(hunt: Hunt) -> None:
    assert hunt.blind
    assert hunt.benign
    assert len(hunt.questions) >= 8


async def test_every_search_runs_on_every_platform_that_carries_it(lab: Lab) -> None:
    estate = lab.estate()
    now = estate.now()
    window = Window(start=now - timedelta(days=2), end=now)
    failed: list[str] = []
    # Every fourth hunt in a common run, and with TRACEHOUND_FULL all of them.
    for hunt in LIBRARY.all()[:: 1 if os.environ.get("TRACEHOUND_FULL") else 4]:
        needed = {name for search in hunt.searches for name in search.needs}
        filled: dict[str, tuple[Scalar, ...]] = {
            item.type: ("none",) for name, item in hunt.parameters.items() if item.required or name in needed
        }
        wanted = hunt_searches(hunt, Slots(filled), window)
        compiled = [translate(item.search, platforms=estate.platforms) for item in wanted]
        queries = [item for items in compiled for item in items if isinstance(item, Query)]
        if not queries and hunt.searches:
            failed.append(f"{hunt.id} compiles nowhere")
        for query in queries:
            run = await run_query(estate, query, now)
            if run.status != "ok":
                failed.append(f"{hunt.id} on {query.platform}: {run.error}")
    await estate.aclose()
    assert failed == []


OWN = """\
id: own.tape-robot
title: Use of the tape robot
domain: endpoint
techniques: [T1490]
tags: [tape, robot, magazine]
questions: ["was the tape robot used on {host}", "who ejected a tape magazine"]
parameters: {host: {type: host}}
searches:
  - id: robot
    class: process_activity
    signal: medium
    says: Tape robot used
    where:
      all:
        - {field: device.hostname, eq: $host}
        - {field: process.cmd_line, contains: robotctl}
pivots: [overview.host]
blind: [Buttons on the robot]
benign: [Operators change tapes]
runbooks: [alert-triage]
"""


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    folder = tmp_path / "content" / "hunts"
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text(OWN, encoding="utf-8")
    environment = {"TRACEHOUND_HOME": str(tmp_path / "home"), "TRACEHOUND_CONTENT": str(folder.parent)}
    return Settings(environment=environment, folder=tmp_path, user_file=tmp_path / "none.toml")


async def test_a_hunt_in_the_content_folder_is_found_by_a_question(lab: Lab, own: Settings) -> None:
    host = lab.names["FS-01"]
    async with Copilot(estate=lab.estate(), settings=own) as copilot:
        answer = await copilot.ask(f"somebody ejected a tape magazine of the robot on {host}?")
    assert answer.declined is None
    assert any(query.hunt == "own.tape-robot" and "robotctl" in query.text for query in answer.queries)


@pytest.mark.parametrize("question", ["kerberoasting in the last week", "inbox rules that forward mail"])
async def test_suggested_questions_are_answered(lab: Lab, house: Path, question: str) -> None:
    environment = {"TRACEHOUND_HOME": str(house)}
    settings = Settings(environment=environment, folder=house, user_file=house / "none.toml")
    async with Copilot(estate=lab.estate(), settings=settings) as copilot:
        first = await copilot.ask(question)
        assert first.suggestions
        for suggestion in first.suggestions:
            answer = await copilot.ask(suggestion, case=first.case)
            assert answer.declined is None, suggestion
            assert len(answer.queries) > len(first.queries), suggestion


async def test_a_follow_up_repeats_the_question_for_another_host(lab: Lab, house: Path) -> None:
    settings = Settings(environment={"TRACEHOUND_HOME": str(house)}, folder=house, user_file=house / "none.toml")
    one, other = lab.names["WS-017"], lab.names["WS-023"]
    async with Copilot(estate=lab.estate(), settings=settings) as copilot:
        first = await copilot.ask(f"scheduled tasks created on {one} in the last day")
        second = await copilot.ask(f"same for {other}", case=first.case)
    asked = [query for query in second.queries if query.hunt == "persistence.task" and other in query.text]
    assert asked
    assert second.question == f"same for {other}"
    assert second.window is not None
    assert second.window == first.window
