"""The wire to a model server that nobody here wrote. Runs where TRACEHOUND_TEST_MODEL_URL names one.

    TRACEHOUND_TEST_MODEL_URL=http://127.0.0.1:8080/v1 TRACEHOUND_TEST_MODEL=smollm2 pytest tests/graphs/test_model_server.py

The model may be too weak to be right: each run must end in a declared state, with nothing unchecked sent.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage

from tracehound.agent.copilot import Copilot
from tracehound.agent.models import close_model, open_model
from tracehound.agent.settings import Settings
from tracehound.evals.lab.lab import Lab
from tracehound.graphs.calling import PATIENCE, Caller, Dialect
from tracehound.graphs.reading import Tool
from tracehound.graphs.state import Budget
from tracehound.graphs.think import Finish
from tracehound.knowledge.errors import ModelError
from tracehound.tools.languages.translate import check_query

URL, MODEL = os.environ.get("TRACEHOUND_TEST_MODEL_URL"), os.environ.get("TRACEHOUND_TEST_MODEL", "smollm2")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not URL, reason="TRACEHOUND_TEST_MODEL_URL names no model server, so none is asked in this run"),
]
FINISH = Tool("finish", "Stop: nothing more is needed.", Finish)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environment = {"OPENAI_BASE_URL": str(URL), "OPENAI_API_KEY": "x", "TRACEHOUND_ANSWER_LIMIT": "128"}
    return Settings(environment=environment, folder=tmp_path, user_file=tmp_path / "none.toml")


@pytest.fixture
async def model(settings: Settings) -> AsyncIterator[BaseChatModel]:
    opened = open_model(MODEL, settings)
    yield opened
    await close_model(opened)


async def test_plain(model: BaseChatModel) -> None:
    reply = await model.ainvoke([HumanMessage("Say hello.")])
    assert isinstance(reply, AIMessage)
    assert reply.text
    assert reply.usage_metadata is not None
    assert 0 < reply.usage_metadata["output_tokens"] <= 128


async def test_streaming(model: BaseChatModel) -> None:
    chunks = [chunk async for chunk in model.astream([HumanMessage("Count to five.")])]
    assert len(chunks) > 2
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
    usages = [chunk.usage_metadata for chunk in chunks if isinstance(chunk, AIMessageChunk) and chunk.usage_metadata]
    assert sum(usage["output_tokens"] for usage in usages) > 0


async def test_an_abandoned_answer_frees_the_server(model: BaseChatModel) -> None:
    task = asyncio.ensure_future(model.ainvoke([HumanMessage("Write a long story about the sea.")]))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await model.ainvoke([HumanMessage("Say hello.")])


@pytest.mark.parametrize("choice", ["auto", "required", "none"])
async def test_tool_choice(model: BaseChatModel, choice: str) -> None:
    reply = await model.bind_tools([FINISH.as_openai()], tool_choice=choice).ainvoke([HumanMessage("Call finish.")])
    assert isinstance(reply, AIMessage)
    assert all(call["name"] == "finish" for call in reply.tool_calls)


@pytest.mark.parametrize("dialect", ["native", "json_schema", "fenced", "auto"])
async def test_choosing(model: BaseChatModel, dialect: Dialect) -> None:
    choice = await Caller(model, dialect).choose([HumanMessage("Nothing is left to do: call finish.")], [FINISH])
    assert {action.tool for action in choice.actions} <= {"finish"}
    assert choice.actions or choice.problem
    assert choice.output_tokens > 0


@pytest.mark.parametrize("dialect", ["native", "json_schema", "fenced", "auto"])
async def test_a_whole_question_ends_in_a_declared_state(
    lab: Lab, watched: Any, house: Path, settings: Settings, dialect: str
) -> None:
    estate, sent = watched
    environment = {**settings.environment, "TRACEHOUND_DIALECT": dialect}
    settled = Settings(environment=environment, folder=house, user_file=house / "none.toml")
    started = time.monotonic()
    async with Copilot(
        estate=estate, model=MODEL, settings=settled, home=house, budget=Budget(queries=12, turns=1)
    ) as copilot:
        with contextlib.suppress(ModelError):
            answer = await copilot.ask(lab.question)
            assert answer.verification.failed == answer.verification.uncited == 0
            assert answer.usage.model_calls > 0
    assert time.monotonic() - started < 3 * PATIENCE
    for query in sent:
        assert check_query(query.language, query.text, query.collection).sendable
