"""A model that may look at what was found: by counts, handles and quoted rows, within its tokens."""

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.responses import Response

from tracehound.agent.copilot import Copilot
from tracehound.agent.outcome import exit_code
from tracehound.evals.lab.lab import Lab
from tracehound.evals.ways import WAYS, unchecked
from tracehound.graphs.calling import weight_of
from tracehound.graphs.pivots import Handles, pivot_tools
from tracehound.graphs.state import Budget
from tracehound.graphs.ways import Ways
from tracehound.knowledge.errors import ConfigurationError
from tracehound.tools.languages.query import Query
from tracehound.tools.languages.translate import check_query

pytestmark = pytest.mark.anyio
Make = dict[str, Callable[..., Response]]
Ask = Callable[..., Any]
HANDLES = Handles({"host": {"H1": "PC-1"}, "user": {"U1": "anna"}, "ip": {}})
SHORT, LONGER = Budget(queries=12, turns=2), Budget(queries=30, turns=2)
BROKEN = {
    "source": "defender/kql/DeviceProcessEvents",
    "text": "DeviceProcessEvents | where NoSuchColumn == 1 | take 5",
}
MENDED = {
    "source": "defender/kql/DeviceProcessEvents",
    "text": "DeviceProcessEvents | where FileName =~ 'a.exe' | take 5",
}


@pytest.fixture
async def ask(player: Any, watched: Any, house: Path, lab: Lab) -> AsyncIterator[Ask]:
    """Asks the lab's question with the model of the server; the estate is closed when the test ends."""
    opened: list[Copilot] = []

    async def put(budget: Budget | None = None, ways: Ways | None = None) -> Any:
        settings = player.settings(house)
        made = Copilot(estate=watched[0], model="played", settings=settings, budget=budget or SHORT, ways=ways)
        opened.append(await made.__aenter__())
        return await made.ask(lab.question)

    yield put
    for made in opened:
        await made.__aexit__(None, None, None)


def block(body: dict[str, Any]) -> dict[str, Any]:
    """The situation in a request."""
    (found,) = re.findall(r"```json\n(.*?)\n```", body["messages"][1]["content"], flags=re.DOTALL)
    content: dict[str, Any] = json.loads(found)
    return content


def capable(answers: Make) -> Callable[[dict[str, Any]], Response]:
    """A model that looks at rows once, follows the first host and account by handle, and then stops."""

    def play(body: dict[str, Any]) -> Response:
        tools = {item["function"]["name"] for item in body["tools"]}
        situation = block(body)
        if "found" not in situation or situation["turn"] > 1:
            return answers["called"](("finish", {}))
        if "show_rows" in tools:
            return answers["called"](("show_rows", {"found_by": situation["found"][0]["by"], "most": 3}))
        return answers["called"](("search", {"event_class": "dns_activity", "host": situation["handles"]["host"][0]}))

    return play


async def test_a_capable_model_follows_what_was_found(
    lab: Lab, player: Any, ask: Ask, watched: Any, answers: Make
) -> None:
    player.answers = capable(answers)
    answer = await ask(LONGER)
    assert "model.pivot" in {query.hunt for query in answer.queries}
    assert answer.verification.failed == answer.verification.uncited == 0
    assert answer.usage.input_tokens <= 12_000
    after = [body for body in player.requests if "found" in block(body)]
    assert block(after[0])["found"][0]["rows"] > 0
    for body in after:
        said = json.dumps(body["messages"][:2])
        assert lab.names["WS-042"].lower() not in json.dumps(block(body)["handles"]).lower(), "it sees handles"
        assert "raw_query" not in json.dumps(body["tools"]), "free text ends where telemetry begins"
        assert "\u27e6" not in said
    rows = next(body["messages"][-1]["content"] for body in after if len(body["messages"]) > 2)
    assert rows.count("\n") < 20
    assert "⟦" in rows, "recorded text is quoted"


async def test_a_model_that_finishes_is_not_asked_again(player: Any, ask: Ask, answers: Make) -> None:
    player.script(answers["called"](("finish", {})))
    await ask(LONGER)
    assert len([body for body in player.requests if "found" in block(body)]) == 1


async def test_a_model_stops_at_its_tokens_and_the_answer_says_so(
    player: Any, ask: Ask, watched: Any, answers: Make
) -> None:
    player.script(answers["called"](("finish", {})))
    clean = await ask()
    player.requests.clear()
    stopped = await ask(Budget(queries=12, turns=2, input_tokens=50))
    assert player.requests == []
    assert stopped.usage.input_tokens == 0
    assert any(gap.text.startswith("limit reached: the model was not asked further") for gap in stopped.gaps)
    assert exit_code(stopped) == 7
    entries = {name for entry in stopped.timeline for name in entry.evidence}
    assert {name for entry in clean.timeline for name in entry.evidence} == entries, "what is obliged is found anyway"


async def test_a_clumsy_model_never_reads_more_than_its_tokens(player: Any, ask: Ask, answers: Make) -> None:
    def clumsy(body: dict[str, Any]) -> Response:
        weight = len(json.dumps(body)) // 4
        said = answers["called"](("raw_query", BROKEN), ("search", {"event_class": "nothing", "text": "x" * 900}))
        content = json.loads(bytes(said.body))
        content["usage"] = {"prompt_tokens": weight, "completion_tokens": 300, "total_tokens": weight + 300}
        return Response(json.dumps(content), media_type="application/json")

    player.answers = clumsy
    answer = await ask(Budget(queries=12, turns=3, input_tokens=6_000))
    assert 0 < answer.usage.input_tokens <= 6_000
    assert answer.verification.failed == 0
    player.requests.clear()
    whole = await ask(Budget(queries=12, turns=3))
    assert whole.usage.input_tokens <= 12_000


async def test_the_ways_of_the_comparison(player: Any, ask: Ask, watched: Any, answers: Make) -> None:
    def sent() -> list[Query]:
        return [query for query in watched[1] if query.text == BROKEN["text"]]

    typed, checked, free = WAYS.values()
    small = Budget(queries=4, turns=1)
    player.script(answers["called"](("finish", {})))
    await ask(small, typed)
    assert "raw_query" not in json.dumps(player.requests[-1]["tools"])

    player.requests.clear()
    player.script(answers["called"](("raw_query", BROKEN)), answers["called"](("raw_query", MENDED)))
    answer = await ask(small, checked)
    assert {item["function"]["name"] for item in player.requests[0]["tools"]} == {"raw_query", "finish"}
    assert [query.status for query in answer.queries if query.text == MENDED["text"]] == ["ok"]
    assert sent() == []

    player.requests.clear()
    await ask(small, free)
    assert len(player.requests) == 1
    assert len(sent()) == 1, "what the check would have caught reaches the lab"
    assert not check_query(sent()[0].language, sent()[0].text, sent()[0].collection).sendable


async def test_alone_a_model_gets_no_help(player: Any, ask: Ask, answers: Make) -> None:
    player.script(answers["called"](("finish", {})))
    answer = await ask(Budget(queries=12, turns=2), Ways(obliged=False))
    assert {query.hunt for query in answer.queries} <= {"inventory.hosts", None}


def test_unchecked_queries_are_for_a_lab(watched: Any, house: Path, player: Any) -> None:
    live = replace(watched[0], kind="live")
    with pytest.raises(ConfigurationError, match="always checked"):
        Copilot(estate=live, model="offline", settings=player.settings(house), ways=Ways(query=unchecked))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"event_class": "process_activity", "host": "PC-1"}, "H1"),
        ({"event_class": "process_activity"}, "name at least one handle"),
        ({"event_class": "process_activity", "host": "H1", "text": "anything"}, "Extra inputs"),
    ],
)
def test_a_search_after_telemetry_is_made_of_handles(given: dict[str, Any], says: str) -> None:
    search = next(tool for tool in pivot_tools(HANDLES, ["a.hunt"]) if tool.name == "search")
    with pytest.raises(ValidationError, match=says):
        search.arguments.model_validate(given)


def test_the_tools_are_small() -> None:
    assert weight_of([], pivot_tools(HANDLES, ["a.hunt"])) < 700
