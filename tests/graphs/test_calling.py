"""Asking a model server over real HTTP for typed actions, in three dialects, and everything that it may answer."""

import json
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse, JSONResponse, Response

from tracehound.agent.models import close_model
from tracehound.graphs.calling import Caller, Choice
from tracehound.graphs.reading import Tool
from tracehound.knowledge.errors import ModelError, ModelUnavailableError

pytestmark = pytest.mark.anyio
Make = dict[str, Callable[..., Response]]


class Look(BaseModel):
    model_config = ConfigDict(extra="forbid")
    host: Literal["WS-042", "FS-01"]
    depth: int | None = Field(default=None, le=3)


class Stop(BaseModel):
    model_config = ConfigDict(extra="forbid")


TOOLS = [Tool("look", "Look at a host.", Look), Tool("finish", "Stop.", Stop)]
TALK = [SystemMessage("Choose."), HumanMessage("Look at WS-042.")]
LOOK = {"tool": "look", "arguments": {"host": "WS-042"}}


@pytest.fixture
async def caller(player: Any, tmp_path: Path) -> AsyncIterator[Callable[..., Caller]]:
    opened: list[BaseChatModel] = []

    def make(dialect: Any = "auto", **more: Any) -> Caller:
        opened.append(player.model(tmp_path))
        return Caller(opened[-1], dialect, **more)

    yield make
    for model in opened:
        await close_model(model)


def hosts(choice: Choice) -> list[str]:
    return [action.arguments.host for action in choice.actions if isinstance(action.arguments, Look)]


def fenced(*actions: Any) -> str:
    return f"Sure!\n```json\n{json.dumps({'actions': list(actions)})}\n```\nAnything else?"


# What a server may be able to do


async def test_native_tool_calls(player: Any, caller: Any, answers: Make) -> None:
    player.script(answers["called"](("look", {"host": "WS-042"}), ("look", {"host": "FS-01", "depth": 2})))
    choice = await caller().choose(TALK, TOOLS)
    assert hosts(choice) == ["WS-042", "FS-01"]
    assert (choice.problem, choice.calls, choice.input_tokens, choice.output_tokens) == ("", 1, 100, 10)
    assert player.dialects == ["native"]
    assert player.keys == ["Bearer a-key"]


async def test_a_server_that_knows_only_json_schema_is_found_by_probing_once(
    player: Any, caller: Any, answers: Make
) -> None:
    def answer(body: dict[str, Any]) -> Response:
        if "tools" in body:
            return answers["failed"](400, "tools are not supported")
        schema = body["response_format"]["json_schema"]["schema"]
        assert schema["properties"]["actions"]["items"]["oneOf"][0]["properties"]["tool"] == {"const": "look"}
        return answers["said"](json.dumps({"actions": [LOOK]}))

    player.answers = answer
    auto = caller()
    assert hosts(await auto.choose(TALK, TOOLS)) == ["WS-042"]
    assert player.dialects == ["native", "json_schema"]
    assert hosts(await auto.choose(TALK, TOOLS)) == ["WS-042"]
    assert player.dialects == ["native", "json_schema", "json_schema"]


async def test_a_model_that_knows_only_fenced_json(player: Any, caller: Any, answers: Make) -> None:
    def answer(body: dict[str, Any]) -> Response:
        if "tools" in body or "response_format" in body:
            return answers["said"]("I would look at WS-042 first.")
        return answers["said"](fenced(LOOK))

    player.answers = answer
    auto = caller()
    choice = await auto.choose(TALK, TOOLS)
    assert hosts(choice) == ["WS-042"]
    assert player.dialects == ["native", "json_schema", "fenced"]
    assert (choice.calls, choice.input_tokens) == (3, 300)
    await auto.choose(TALK, TOOLS)
    assert player.dialects[3:] == ["fenced"]


async def test_probing_uses_up_no_repair(player: Any, caller: Any, answers: Make) -> None:
    wrong = fenced({"tool": "look", "arguments": {"host": "DC-01"}})
    prose = answers["said"]("Hm.")
    player.script(prose, prose, answers["said"](wrong), answers["said"](wrong), answers["said"](fenced(LOOK)))
    assert hosts(await caller().choose(TALK, TOOLS)) == ["WS-042"]


@pytest.mark.parametrize(
    "text",
    [
        'look {"tool": "look", "arguments": {"host": "WS-042"}} done',
        '{"name": "look", "parameters": {"host": "WS-042"}}',
        '{"tool": "look", "host": "WS-042"}',
        '{"tool_calls": [{"type": "function", "function": {"name": "look", "arguments": "{\\"host\\": \\"WS-042\\"}"}}]}',
        '```\n{"actions": [{"tool": "look", "args": {"host": "WS-042"}}]}\n```',
        '<tool_call>{"name": "look", "arguments": {"host": "WS-042"}}</tool_call>',
    ],
)
async def test_calls_written_as_text(player: Any, caller: Any, answers: Make, text: str) -> None:
    player.script(answers["said"](text))
    assert hosts(await caller("fenced").choose(TALK, TOOLS)) == ["WS-042"]


async def test_content_in_parts_is_read(player: Any, caller: Any, answers: Make) -> None:
    player.script(answers["said"]([{"type": "text", "text": fenced(LOOK)}]))
    assert hosts(await caller("fenced").choose(TALK, TOOLS)) == ["WS-042"]


# What a model may get wrong


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("isolate", {"host": "WS-042"}), "there is no tool 'isolate'"),
        (("look", {"host": "DC-01"}), "look.host: Input should be 'WS-042' or 'FS-01'"),
        (("look", {"host": ["WS-042"]}), "look.host"),
        (("look", {"host": "WS-042", "depth": "deep"}), "look.depth"),
        (("look", {"host": "WS-042", "window": "90d"}), "look.window: Extra inputs"),
        (("look", "{host: WS-042"), "the arguments of look are not JSON"),
        (("look", {}), "look.host: Field required"),
    ],
)
async def test_a_wrong_call_goes_back_with_what_is_wrong(
    player: Any, caller: Any, answers: Make, wrong: tuple[str, Any], says: str
) -> None:
    player.script(answers["called"](wrong), answers["called"](("look", {"host": "WS-042"})))
    choice = await caller().choose(TALK, TOOLS)
    assert hosts(choice) == ["WS-042"]
    assert choice.calls == 2
    roles = [message["role"] for message in player.requests[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert says in player.requests[1]["messages"][-1]["content"]


async def test_a_wrong_call_is_never_taken(player: Any, caller: Any, answers: Make) -> None:
    player.script(answers["called"](("look", {"host": "DC-01"})))
    choice = await caller().choose(TALK, TOOLS)
    assert choice.actions == ()
    assert "look.host" in choice.problem
    assert choice.calls == len(player.requests) == 3


async def test_what_is_right_in_a_wrong_answer_is_kept_after_the_repairs(
    player: Any, caller: Any, answers: Make
) -> None:
    player.script(answers["called"](("look", {"host": "DC-01"}), ("look", {"host": "FS-01"})))
    choice = await caller().choose(TALK, TOOLS)
    assert hosts(choice) == ["FS-01"]
    assert choice.problem


async def test_a_model_that_repeats_itself_is_heard_once(player: Any, caller: Any, answers: Make) -> None:
    player.script(answers["called"](*[("look", {"host": "WS-042"})] * 50))
    assert hosts(await caller().choose(TALK, TOOLS)) == ["WS-042"]


async def test_no_answer_brings_more_than_six_actions(player: Any, caller: Any, answers: Make) -> None:
    player.script(answers["called"](*[("look", {"host": "WS-042", "depth": -number}) for number in range(20)]))
    assert len((await caller().choose(TALK, TOOLS)).actions) == 6


@pytest.mark.parametrize(
    "message",
    [
        {"content": "Bananas are yellow. " * 3_000},
        {"content": ""},
        {"content": None},
        {"content": None, "refusal": "I can not help with that."},
        {"content": "I'm sorry, but I can't assist with hacking."},
        {"content": "{" * 19_000},
        {"content": "[" * 19_000},
        {"content": '{"tool": 7, "arguments": null}'},
        {"content": "```json\n\n```"},
        {"content": "\ud83d\ude00 \u202e }{ ``` ``` {]"},
    ],
)
async def test_nonsense_ends_after_the_dialects_and_two_repairs(
    player: Any, caller: Any, answers: Make, message: dict[str, Any]
) -> None:
    player.script(answers["completion"]({"role": "assistant", **message}))
    choice = await caller().choose(TALK, TOOLS)
    assert choice.actions == ()
    assert choice.problem == "no tool call and no JSON object with `tool` and `arguments`"
    assert player.dialects == ["native", "json_schema", "fenced", "fenced", "fenced"]


@pytest.mark.parametrize("dialect", ["native", "json_schema", "fenced"])
async def test_an_answer_cut_at_the_token_limit_is_read_like_any_other(
    player: Any, caller: Any, answers: Make, dialect: str
) -> None:
    whole = answers["said"](json.dumps({"actions": [LOOK]}))
    player.script(answers["completion"]({"role": "assistant", "content": '{"actions": [{"to'}, finish="length"), whole)
    choice = await caller(dialect).choose(TALK, TOOLS)
    assert hosts(choice) == ["WS-042"]
    assert choice.calls == 2
    assert "TRACEHOUND_ANSWER_LIMIT" in player.requests[1]["messages"][-1]["content"]


async def test_answers_are_bounded_in_tokens(player: Any, caller: Any, answers: Make) -> None:
    player.script(answers["called"](("finish", {})))
    await caller().choose(TALK, TOOLS)
    assert 0 < player.requests[0]["max_completion_tokens"] <= 4_096


# What a server may get wrong


@pytest.mark.parametrize(
    ("response", "says"),
    [
        (JSONResponse({"error": {"message": "bad key"}}, 401), "refused the key (401); check OPENAI_API_KEY"),
        (JSONResponse({"error": {"message": "not yours"}}, 403), "refused the key (403); check OPENAI_API_KEY"),
        (JSONResponse({"error": {"message": "no model"}}, 404), "does not know this model (404)"),
        (JSONResponse({"error": {"message": "context size exceeded"}}, 400), "context size exceeded"),
        (HTMLResponse("<h1>Welcome</h1>"), "sent no chat completion"),
        (JSONResponse({"choices": []}), "sent no chat completion"),
        (JSONResponse({"choices": None}), "sent no chat completion"),
        (JSONResponse([]), "sent no chat completion"),
        (Response("{", media_type="application/json"), "sent no chat completion"),
    ],
)
async def test_a_server_that_cannot_be_used(player: Any, caller: Any, response: Response, says: str) -> None:
    player.script(response)
    with pytest.raises(ModelUnavailableError, match=r".") as caught:
        await caller().choose(TALK, TOOLS)
    assert says in str(caught.value)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    assert "a-key" not in str(caught.value)


async def test_a_key_that_is_refused_is_not_tried_in_every_dialect(player: Any, caller: Any, answers: Make) -> None:
    player.script(answers["failed"](401))
    with pytest.raises(ModelUnavailableError):
        await caller().choose(TALK, TOOLS)
    assert len(player.requests) == 1


async def test_a_limit_that_passes_is_waited_for(player: Any, caller: Any, answers: Make) -> None:
    player.script(answers["failed"](429), answers["called"](("finish", {})))
    assert [action.tool for action in (await caller().choose(TALK, TOOLS)).actions] == ["finish"]


async def test_a_limit_that_stays(player: Any, caller: Any, answers: Make) -> None:
    player.script(answers["failed"](429))
    with pytest.raises(ModelUnavailableError, match="over its limit"):
        await caller().choose(TALK, TOOLS)
    assert len(player.requests) == 3


async def test_a_server_that_breaks(player: Any, caller: Any, answers: Make) -> None:
    player.script(answers["failed"](500, "CUDA out of memory"))
    with pytest.raises(ModelUnavailableError, match="CUDA out of memory"):
        await caller().choose(TALK, TOOLS)


async def test_a_slow_server_is_given_up_in_time(player: Any, caller: Any, answers: Make) -> None:
    player.delay = 5.0
    player.script(answers["called"](("finish", {})))
    with pytest.raises(ModelUnavailableError, match=r"no usable answer within 0 s|within"):
        await caller(patience=0.3).choose(TALK, TOOLS)


async def test_nobody_listens(player: Any, caller: Any) -> None:
    player.url = "http://127.0.0.1:9/v1"
    with pytest.raises(ModelUnavailableError, match="could not be reached") as caught:
        await caller().choose(TALK, TOOLS)
    assert isinstance(caught.value, ModelError)


# What the caller never does


async def test_tokens_are_never_counted_by_a_tokenizer(
    player: Any, caller: Any, answers: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: Any) -> int:
        pytest.fail("get_num_tokens loads a tokenizer from the network")

    monkeypatch.setattr(BaseChatModel, "get_num_tokens", forbidden)
    monkeypatch.setattr("langchain_openai.ChatOpenAI.get_num_tokens", forbidden, raising=False)
    body = {
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": fenced(LOOK)}}]
    }
    player.script(JSONResponse({"id": "x", "object": "chat.completion", "created": 0, "model": "m", **body}))
    choice = await caller("fenced").choose(TALK, TOOLS)
    assert choice.input_tokens > 0
    assert choice.output_tokens > 0


async def test_no_two_messages_of_one_role_follow_each_other(player: Any, caller: Any, answers: Make) -> None:
    player.script(answers["said"]("Hm."))
    await caller().choose(TALK, TOOLS)
    for body in player.requests:
        roles = [message["role"] for message in body["messages"]]
        assert all(one != other for one, other in pairwise(roles)), roles


async def test_the_tools_are_told_in_words_that_no_model_takes_for_an_answer(
    player: Any, caller: Any, answers: Make
) -> None:
    player.script(answers["said"](fenced(LOOK)))
    await caller("fenced").choose(TALK, TOOLS)
    told = player.requests[0]["messages"][-1]["content"]
    assert (
        '- look: Look at a host. arguments: {"host": "WS-042" | "FS-01", "depth" (may be left out): "integer"}' in told
    )
    assert "- finish: Stop. arguments: {}" in told
    assert "additionalProperties" not in told
