"""Asking a chat model for typed actions, whatever it can speak.

Three dialects: native tool calls; `json_schema` action choice (a `oneOf` of {tool, arguments}); fenced JSON in plain
text, which is all that small local models know. `auto` tries them in this order once and keeps the first that works.
Every action is validated against its tool's arguments; the model gets two turns to repair, then the run stops.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import BaseModel, ValidationError

from ..knowledge.errors import ModelError, ModelUnavailableError

Dialect = Literal["native", "json_schema", "fenced"]
DIALECTS: tuple[Dialect, ...] = ("native", "json_schema", "fenced")
REPAIRS = 2
MAX_TEXT = 20_000
"""Characters of a model's answer that are read; a longer one is nonsense."""


@dataclass(frozen=True)
class Tool:
    """Something that a model may ask for: a name, a sentence, and a pydantic model of its arguments."""

    name: str
    about: str
    arguments: type[BaseModel]

    def as_openai(self) -> dict[str, Any]:
        """The tool in OpenAI's function format."""
        schema = self.arguments.model_json_schema()
        return {"type": "function", "function": {"name": self.name, "description": self.about, "parameters": schema}}


@dataclass(frozen=True)
class Action:
    """One validated call."""

    tool: str
    arguments: BaseModel


@dataclass(frozen=True)
class Choice:
    """What the model asked for in one turn."""

    actions: tuple[Action, ...]
    text: str
    messages: tuple[BaseMessage, ...]
    """The turn's traffic, for the case's record."""
    calls: int
    input_tokens: int
    output_tokens: int


@dataclass
class Caller:
    """A chat model and the dialect that was found to work with it."""

    model: BaseChatModel
    dialect: Dialect | Literal["auto"] = "auto"
    strict: bool = True
    """Whether no usable action after the repairs is an error."""
    _found: Dialect | None = field(default=None, init=False)

    async def choose(self, messages: Sequence[BaseMessage], tools: Sequence[Tool]) -> Choice:
        """One turn: ask, read, validate, and let the model repair twice.

        Raises:
            ModelUnavailableError: no answer from the server.
            ModelError: nonsense after two repairs.
        """
        talk = list(messages)
        traffic: list[BaseMessage] = []
        calls = sent = received = 0
        problem = ""
        for _ in range(1 + REPAIRS):
            dialect, reply = await self._ask(talk, tools)
            calls += 1
            used_in, used_out = usage_of(reply, talk)
            sent, received = sent + used_in, received + used_out
            traffic.append(reply)
            try:
                actions = read_actions(reply, tools)
            except ValueError as exc:
                problem = str(exc)
                self._demote(dialect)
                talk = [
                    *messages,
                    AIMessage(content=text_of(reply)[:2_000] or "(empty)"),
                    HumanMessage(_repair(problem, tools)),
                ]
                continue
            self._found = dialect
            return Choice(tuple(actions), text_of(reply), tuple(traffic), calls, sent, received)
        raise ModelError(
            f"the model's answer could not be read after {REPAIRS} repairs ({problem}); try another model, "
            "or TRACEHOUND_MODEL=offline"
        )

    def _demote(self, dialect: Dialect) -> None:
        if self.dialect == "auto" and self._found is None:
            at = DIALECTS.index(dialect)
            self._trying = DIALECTS[min(at + 1, len(DIALECTS) - 1)]

    _trying: Dialect = "native"

    async def _ask(self, talk: Sequence[BaseMessage], tools: Sequence[Tool]) -> tuple[Dialect, AIMessage]:
        dialect = self._found or (self._trying if self.dialect == "auto" else self.dialect)
        match dialect:
            case "native":
                runnable = self.model.bind_tools([tool.as_openai() for tool in tools])
            case "json_schema":
                runnable = self.model.bind(response_format=choice_format(tools))
            case "fenced":
                runnable = self.model
                talk = [*talk, HumanMessage(fenced_instruction(tools))]
        try:
            reply = await runnable.ainvoke(list(talk))
        except Exception as exc:
            if _is_refusal_of_dialect(exc) and self.dialect == "auto" and dialect != "fenced":
                self._demote(dialect)
                return await self._ask(talk, tools)
            raise ModelUnavailableError(_why(exc)) from exc
        if not isinstance(reply, AIMessage):
            raise ModelError(f"the model answered with {type(reply).__name__} instead of a message")
        return dialect, reply


def read_actions(reply: AIMessage, tools: Sequence[Tool]) -> list[Action]:
    """Validated actions of a reply, from native calls or from JSON in its text.

    Raises:
        ValueError: nothing readable, an unknown tool, or arguments outside the schema; says which.
    """
    by_name = {tool.name: tool for tool in tools}
    wanted: list[tuple[str, Any]] = [(call["name"], call["args"]) for call in reply.tool_calls]
    if not wanted:
        wanted = [
            (str(found.get("tool") or found.get("name")), _arguments(found)) for found in find_json(text_of(reply))
        ]
    if not wanted:
        raise ValueError("no tool call and no JSON object with `tool` and `arguments`")
    actions = []
    for name, arguments in wanted:
        if name not in by_name:
            raise ValueError(f"there is no tool {name[:40]!r}; the tools are {', '.join(by_name)}")
        try:
            actions.append(Action(name, by_name[name].arguments.model_validate(arguments)))
        except ValidationError as exc:
            first = exc.errors()[0]
            raise ValueError(f"{name}.{'.'.join(map(str, first['loc']))}: {first['msg']}") from exc
    return actions


def _arguments(found: Mapping[str, Any]) -> Any:
    for key in ("arguments", "args", "parameters"):
        if key in found:
            return found[key]
    return {key: value for key, value in found.items() if key not in ("tool", "name")}


def find_json(text: str) -> list[dict[str, Any]]:
    """JSON objects in a model's text: fenced blocks first, else every balanced top-level object."""
    text = text[:MAX_TEXT]
    blocks = re.findall(r"```(?:json)?\s*(.*?)```", text, flags=re.DOTALL) or [text]
    found: list[dict[str, Any]] = []
    decoder = json.JSONDecoder()
    for block in blocks:
        at = 0
        while (at := block.find("{", at)) >= 0:
            try:
                value, end = decoder.raw_decode(block, at)
            except (json.JSONDecodeError, RecursionError):
                at += 1
                continue
            found.extend(_as_calls(value))
            at = end
    return found


def _as_calls(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("actions"), list):
        return [item for item in value["actions"] if isinstance(item, dict)]
    if isinstance(value.get("function"), dict):
        return [value["function"]]
    return [value] if "tool" in value or "name" in value else []


def choice_format(tools: Sequence[Tool]) -> dict[str, Any]:
    """`response_format` that makes a server emit {"actions": [{tool, arguments}]}."""
    definitions: dict[str, Any] = {}
    options = []
    for tool in tools:
        schema = tool.arguments.model_json_schema()
        definitions |= schema.pop("$defs", {})
        options.append(
            {
                "type": "object",
                "properties": {"tool": {"const": tool.name}, "arguments": schema},
                "required": ["tool", "arguments"],
                "additionalProperties": False,
            }
        )
    schema = {
        "type": "object",
        "properties": {"actions": {"type": "array", "minItems": 1, "maxItems": 6, "items": {"oneOf": options}}},
        "required": ["actions"],
        "additionalProperties": False,
        "$defs": definitions,
    }
    return {"type": "json_schema", "json_schema": {"name": "actions", "schema": schema}}


def fenced_instruction(tools: Sequence[Tool]) -> str:
    """How to write a call as text, for models that know neither tools nor schemas."""
    names = "\n".join(f"- {tool.name}: {tool.about}" for tool in tools)
    return (
        "Answer with one JSON object in a ```json block and nothing else:\n"
        '```json\n{"tool": "<name>", "arguments": {...}}\n```\n'
        f"Tools:\n{names}"
    )


def _repair(problem: str, tools: Sequence[Tool]) -> str:
    return f"That could not be used: {problem}. {fenced_instruction(tools)}"


def text_of(message: BaseMessage) -> str:
    """The text of a message, whatever shape its content has."""
    if isinstance(message.content, str):
        return message.content
    parts = [part if isinstance(part, str) else str(part.get("text", "")) for part in message.content]
    return "".join(parts)


def usage_of(reply: AIMessage, sent: Sequence[BaseMessage]) -> tuple[int, int]:
    """Input and output tokens: the server's count, or a quarter of the characters where it gives none."""
    usage = reply.usage_metadata
    if usage:
        return usage["input_tokens"], usage["output_tokens"]
    return sum(len(text_of(message)) for message in sent) // 4, len(text_of(reply)) // 4


def _is_refusal_of_dialect(exc: Exception) -> bool:
    return getattr(exc, "status_code", None) in (400, 404, 422, 500, 501) or isinstance(exc, NotImplementedError)


def _why(exc: Exception) -> str:
    status = getattr(exc, "status_code", None)
    if status in (401, 403):
        return f"the model server refused the key ({status}); check OPENAI_API_KEY"
    if status == 404:
        return "the model server does not know this model (404); check TRACEHOUND_MODEL and OPENAI_BASE_URL"
    return f"the model could not be reached ({type(exc).__name__}); check OPENAI_BASE_URL and that the server runs"
