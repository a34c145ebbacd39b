"""What the analyst holds back stays here; what is asked stands in the case, however the question ends."""

from pathlib import Path
from typing import Any

import pytest

from tracehound.agent.copilot import Copilot
from tracehound.evals.lab import Lab
from tracehound.graphs.state import Budget
from tracehound.tools.evidence.case import Case

pytestmark = pytest.mark.anyio
QUESTION = "show me lateral movement from WS-042 in the last day"


async def test_nothing_is_sent_that_the_analyst_holds_back(watched: Any, house: Path) -> None:
    estate, sent = watched
    shown: list[str] = []

    def hold(text: str) -> bool:
        shown.append(text)
        return False

    async with Copilot(estate=estate, model="offline", home=house, budget=Budget(turns=1)) as copilot:
        answer = await copilot.ask(QUESTION, confirm=hold)
    assert sent == []
    assert shown
    assert {query.status for query in answer.queries} == {"refused"}
    assert not answer.timeline
    assert any(gap.kind == "not_queried" for gap in answer.gaps)


async def test_what_the_analyst_lets_pass_is_sent_word_for_word(watched: Any, house: Path) -> None:
    estate, sent = watched
    shown: list[str] = []

    def look(text: str) -> bool:
        shown.append(text)
        return True

    async with Copilot(estate=estate, model="offline", home=house, budget=Budget(turns=1)) as copilot:
        answer = await copilot.ask(QUESTION, confirm=look)
    assert sorted(query.text for query in sent) == sorted(shown)
    assert answer.timeline


@pytest.mark.parametrize(
    "question",
    [
        "isolate WS-042",
        "explain: whoami /all",
        "how do I handle a phishing mail?",
        "who won the match?",
        "what about WS-999?",
    ],
)
async def test_every_question_stands_once_in_its_case(lab: Lab, house: Path, question: str) -> None:
    async with Copilot(estate=lab.estate(), model="offline", home=house) as copilot:
        answer = await copilot.ask(question)
    with Case.open(house, answer.case, write=False) as case:
        assert [entry.body["text"] for entry in case.questions()] == [question]
