"""The offline model: rules behind the interface of a chat model. It never pretends to be a language model.

It reads the situation that `graphs.think` writes for any model, a JSON block in the last human message, and calls
the tools that a careful analyst would: the hunts that fit best, with the entities that were found; then `finish`.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool

from ..graphs.obliged import obliged_hunts


class OfflineChatModel(BaseChatModel):
    """Answers from rules: no network, no key, same input gives same output."""

    @property
    def _llm_type(self) -> str:
        return "offline-rules"

    def _generate(self, messages: list[BaseMessage], *_: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=decide(messages))])

    def _stream(self, messages: list[BaseMessage], *_: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        answer = decide(messages)
        for word in re.findall(r"\S+\s*", str(answer.content)):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        chunks = [
            tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index)
            for index, call in enumerate(answer.tool_calls)
        ]
        yield ChatGenerationChunk(
            message=AIMessageChunk(content="", tool_call_chunks=chunks, usage_metadata=answer.usage_metadata)
        )

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Remember the tools, in OpenAI's format."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools])


def decide(messages: Sequence[BaseMessage]) -> AIMessage:
    """The calls for the situation in the last message that holds one; `finish` when there is nothing to add."""
    situation = read_situation(messages)
    candidates = situation.get("hunts", []) if situation.get("turn", 0) == 0 else []
    chosen = obliged_hunts((item["id"], item["score"]) for item in candidates if item.get("fits", True))
    calls: list[tuple[str, dict[str, Any]]] = [("run_hunt", {"hunt": hunt}) for hunt in chosen]
    if not calls:
        calls = [("finish", {})]
    message = AIMessage(
        content="",
        tool_calls=[tool_call(name=name, args=args, id=_call_id(name, args, len(messages))) for name, args in calls],
    )
    message.usage_metadata = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    return message


def read_situation(messages: Sequence[BaseMessage]) -> dict[str, Any]:
    """The JSON block of the last message that has one."""
    for message in reversed(messages):
        found = re.search(r"```json\s*(\{.*?\})\s*```", str(message.content), flags=re.DOTALL)
        if found:
            try:
                content = json.loads(found.group(1))
            except json.JSONDecodeError:
                continue
            return content if isinstance(content, dict) else {}
    return {}


def _call_id(name: str, arguments: dict[str, Any], position: int) -> str:
    seed = json.dumps([name, arguments, position], sort_keys=True)
    return "call_" + hashlib.sha256(seed.encode()).hexdigest()[:16]
