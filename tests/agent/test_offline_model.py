"""The offline model behind LangChain's interface of a chat model, and the opening of models by name."""

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from pydantic import BaseModel

from tracehound.agent.models import close_model, open_model
from tracehound.agent.offline import OfflineChatModel
from tracehound.agent.settings import Settings
from tracehound.graphs.calling import Caller
from tracehound.graphs.obliged import obliged_hunts
from tracehound.graphs.reading import Tool
from tracehound.graphs.think import Finish
from tracehound.knowledge.errors import ConfigurationError

pytestmark = pytest.mark.anyio


def situation(*hunts: tuple[str, float, bool], turn: int = 0) -> list[BaseMessage]:
    content = {"turn": turn, "hunts": [{"id": name, "score": score, "fits": fits} for name, score, fits in hunts]}
    return [HumanMessage(f"```json\n{json.dumps(content)}\n```")]


def chosen(message: AIMessage) -> list[str]:
    return [call["args"].get("hunt", call["name"]) for call in message.tool_calls]


NEAR = situation(("a.best", 0.5, True), ("b.near", 0.4, True), ("c.blank", 0.49, False), ("d.far", 0.3, True))


def test_it_names_the_hunts_that_fit_best() -> None:
    assert chosen(OfflineChatModel().invoke(NEAR)) == ["a.best", "b.near"]


@pytest.mark.parametrize(
    "messages",
    [
        situation(),
        situation(("c.blank", 0.9, False)),
        situation(("a.best", 0.5, True), turn=1),
        [HumanMessage("What is the capital of France?")],
        [HumanMessage("```json\n{broken\n```")],
        [HumanMessage("```json\n{broken}\n```")],
    ],
)
def test_it_finishes_when_there_is_nothing_to_choose(messages: list[BaseMessage]) -> None:
    assert chosen(OfflineChatModel().invoke(messages)) == ["finish"]


def test_same_input_same_output() -> None:
    one, other = OfflineChatModel().invoke(NEAR), OfflineChatModel().invoke(NEAR)
    assert one.tool_calls == other.tool_calls
    assert one.usage_metadata == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}


def test_the_stream_adds_up_to_the_answer() -> None:
    whole: AIMessageChunk | None = None
    for chunk in OfflineChatModel().stream(NEAR):
        assert isinstance(chunk, AIMessageChunk)
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    assert whole.tool_calls == OfflineChatModel().invoke(NEAR).tool_calls


async def test_it_answers_in_async_and_in_batches() -> None:
    model = OfflineChatModel()
    assert chosen(await model.ainvoke(NEAR)) == ["a.best", "b.near"]
    assert [chosen(item) for item in model.batch([NEAR, situation()])] == [["a.best", "b.near"], ["finish"]]
    assert [chunk async for chunk in model.astream(NEAR)]


def test_tools_can_be_bound_in_any_form() -> None:
    class RunHunt(BaseModel):
        """Run a hunt."""

        hunt: str

    bound = OfflineChatModel().bind_tools([RunHunt, Tool("finish", "Stop.", Finish).as_openai()])
    assert chosen(bound.invoke(NEAR)) == ["a.best", "b.near"]
    kwargs: dict[str, Any] = bound.kwargs  # type: ignore[attr-defined]
    assert [tool["function"]["name"] for tool in kwargs["tools"]] == ["RunHunt", "finish"]


async def test_the_caller_takes_it_like_any_other_model() -> None:
    choice = await Caller(OfflineChatModel()).choose(situation(), [Tool("finish", "Stop.", Finish)])
    assert [action.tool for action in choice.actions] == ["finish"]
    assert (choice.calls, choice.input_tokens, choice.output_tokens) == (1, 0, 0)


# The rule


def test_near_hunts_are_taken_along_and_far_ones_are_not() -> None:
    assert obliged_hunts([("a", 0.4), ("b", 0.31), ("c", 0.29)]) == ("a", "b")


def test_no_more_than_three() -> None:
    assert obliged_hunts([(name, 0.4) for name in "abcdef"]) == ("a", "b", "c")


def test_best_first_whatever_the_order_given() -> None:
    assert obliged_hunts([("b", 0.4), ("a", 0.5)]) == ("a", "b")


def test_nothing_comes_near() -> None:
    assert obliged_hunts([]) == ()


# Opening a model


def settings(tmp_path: Any, **environment: str) -> Settings:
    return Settings(environment=environment, folder=tmp_path, user_file=tmp_path / "none.toml")


def test_an_online_model_needs_a_key_or_an_address(tmp_path: Any) -> None:
    with pytest.raises(ConfigurationError, match="needs OPENAI_API_KEY, or OPENAI_BASE_URL"):
        open_model("gpt-x", settings(tmp_path))


async def test_a_server_of_ones_own_needs_no_key(tmp_path: Any) -> None:
    model = open_model("own", settings(tmp_path, OPENAI_BASE_URL="http://127.0.0.1:9/v1"))
    assert model.max_tokens == 1_024  # type: ignore[attr-defined]
    await close_model(model)


async def test_the_length_of_an_answer_is_a_setting(tmp_path: Any) -> None:
    model = open_model("gpt-x", settings(tmp_path, OPENAI_API_KEY="k", TRACEHOUND_ANSWER_LIMIT="9000"))
    assert model.max_tokens == 9_000  # type: ignore[attr-defined]
    await close_model(model)
    with pytest.raises(ConfigurationError, match="TRACEHOUND_ANSWER_LIMIT is 'long'"):
        open_model("gpt-x", settings(tmp_path, OPENAI_API_KEY="k", TRACEHOUND_ANSWER_LIMIT="long"))


async def test_closing_leaves_a_model_of_the_callers_own_alone() -> None:
    await close_model(OfflineChatModel())
