"""Asking a chat model for typed actions, whatever it can speak.

Three dialects: native tool calls; `json_schema` action choice (a `oneOf` of {tool, arguments}); fenced JSON in plain
text, which is all that small local models know. `auto` tries them in this order on the first question and keeps the
first that the model understands. Every action is validated against its tool's arguments; the model gets two turns to
repair, and what it could not put right is left out.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from .. import prompts
from ..knowledge.errors import BudgetError, ModelUnavailableError
from .reading import Action, Reading, Tool, compact, outline, read_actions, shown, text_of

Dialect = Literal["native", "json_schema", "fenced"]
DIALECTS: tuple[Dialect, ...] = ("native", "json_schema", "fenced")
REPAIRS = 2
PATIENCE = 300.0
"""Seconds that one turn may take, with all its answers, repairs and the client's own retries."""
ECHO = 2_000
"""Characters of a model's answer that it is shown again when it has to repair it."""


@dataclass(frozen=True)
class Choice:
    """What the model asked for in one turn."""

    actions: tuple[Action, ...]
    messages: tuple[BaseMessage, ...]
    """The model's answers, for the case's record."""
    calls: int
    input_tokens: int
    output_tokens: int
    problem: str = ""
    """What could not be used in the last answer; with no action at all, the whole answer was nonsense."""


@dataclass
class Caller:
    """A chat model and the dialect that was found to work with it."""

    model: BaseChatModel
    dialect: Dialect | Literal["auto"] = "auto"
    patience: float = PATIENCE
    _understood: Dialect | None = field(default=None, init=False)

    async def choose(
        self, messages: Sequence[BaseMessage], tools: Sequence[Tool], most_input: int | None = None
    ) -> Choice:
        """One turn: ask, read, validate, and let the model repair twice.

        Args:
            messages: What is said to it.
            tools: What it may ask for.
            most_input: Tokens that it may read in this turn; a request that would read more is not made.

        Returns:
            The actions of the last answer that are valid, and what was wrong with the rest.

        Raises:
            ModelUnavailableError: no usable answer from the server, or none in time.
            BudgetError: already the first request would read more than `most_input`.
        """
        try:
            async with asyncio.timeout(self.patience):
                return await self._converse(messages, tools, most_input)
        except TimeoutError as exc:
            raise ModelUnavailableError(
                f"the model gave no usable answer within {self.patience:.0f} s; try a smaller or faster one, "
                "or TRACEHOUND_MODEL=offline"
            ) from exc

    async def _converse(self, messages: Sequence[BaseMessage], tools: Sequence[Tool], most_input: int | None) -> Choice:
        dialect, *others = self._dialects()
        talk, replies, repairs = list(messages), list[AIMessage](), 0
        sent = received = 0
        reading = Reading((), (), attempted=False)
        while True:
            if most_input is not None and sent + weight_of(talk, tools) > most_input:
                if not replies:
                    raise BudgetError(f"limit reached: {most_input} input tokens are left for the model")
                problem = "; ".join((*reading.problems, "no tokens are left to correct it"))
                return Choice(reading.actions, tuple(replies), len(replies), sent, received, problem)
            try:
                reply = await self._ask(dialect, talk, tools)
            except ModelUnavailableError as exc:
                if not others or not _is_refusal_of_dialect(exc.__cause__):
                    raise
                dialect, *others = others
                continue
            replies.append(reply)
            used_in, used_out = usage_of(reply, talk)
            sent, received = sent + used_in, received + used_out
            reading = read_actions(reply, tools)
            if reading.attempted:
                self._understood, others = dialect, []
            elif others:
                dialect, *others = others
                continue
            if not reading.problems or repairs == REPAIRS:
                problem = "; ".join(reading.problems)
                return Choice(reading.actions, tuple(replies), len(replies), sent, received, problem)
            repairs += 1
            names = ", ".join(tool.name for tool in tools)
            repair = prompts.load("repair", problem="; ".join(reading.problems), tools=names)
            talk = [*messages, AIMessage(shown(reply)[:ECHO] or "(empty)"), HumanMessage(repair)]

    def _dialects(self) -> tuple[Dialect, ...]:
        if self._understood:
            return (self._understood,)
        return DIALECTS if self.dialect == "auto" else (self.dialect,)

    async def _ask(self, dialect: Dialect, talk: Sequence[BaseMessage], tools: Sequence[Tool]) -> AIMessage:
        match dialect:
            case "native":
                runnable = self.model.bind_tools([tool.as_openai() for tool in tools])
            case "json_schema":
                runnable = self.model.bind(response_format=choice_format(tools))
                talk = with_instruction(talk, tools)
            case "fenced":
                runnable = self.model
                talk = with_instruction(talk, tools)
        try:
            reply = await runnable.ainvoke(list(talk))
        except Exception as exc:  # Any chat model may be given, and each client raises errors of its own.
            cut = _cut_short(exc)
            if cut is None:
                raise ModelUnavailableError(_why(exc)) from exc
            return cut
        return reply if isinstance(reply, AIMessage) else AIMessage(text_of(reply))


def choice_format(tools: Sequence[Tool]) -> dict[str, Any]:
    """`response_format` that makes a server emit {"actions": [{tool, arguments}]}."""
    options = [
        {
            "type": "object",
            "properties": {"tool": {"const": tool.name}, "arguments": compact(tool.arguments)},
            "required": ["tool", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    schema = {
        "type": "object",
        "properties": {"actions": {"type": "array", "minItems": 1, "maxItems": 6, "items": {"oneOf": options}}},
        "required": ["actions"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "actions", "schema": schema}}


def with_instruction(talk: Sequence[BaseMessage], tools: Sequence[Tool]) -> list[BaseMessage]:
    """The talk, with how to write a call as text at the end of its last message.

    Many chat templates of local models refuse two messages of one role in a row, so none is added.
    """
    lines = (f"- {tool.name}: {tool.about} arguments: {outline(tool.arguments)}" for tool in tools)
    instruction = prompts.load("action_choice", tools="\n".join(lines))
    return [*talk[:-1], HumanMessage(f"{text_of(talk[-1])}\n\n{instruction}")]


def usage_of(reply: AIMessage, sent: Sequence[BaseMessage]) -> tuple[int, int]:
    """Input and output tokens: the server's count, or a quarter of the characters where it gives none."""
    usage = reply.usage_metadata
    if usage:
        return usage["input_tokens"], usage["output_tokens"]
    return sum(len(text_of(message)) for message in sent) // 4, len(shown(reply)) // 4


def weight_of(messages: Sequence[BaseMessage], tools: Sequence[Tool]) -> int:
    """Tokens that a request will be about, told before it is made: JSON has some three characters in one."""
    said = sum(len(text_of(message)) for message in messages)
    return (said + sum(len(json.dumps(tool.as_openai())) for tool in tools)) // 3


def _cut_short(exc: Exception) -> AIMessage | None:
    """The answer inside an error that says that it was cut at the token limit; it is read like any other."""
    completion = getattr(exc, "completion", None)
    choices = getattr(completion, "choices", None)
    if not choices:
        return None
    return AIMessage(str(choices[0].message.content or ""), response_metadata={"finish_reason": "length"})


def _is_refusal_of_dialect(cause: BaseException | None) -> bool:
    return getattr(cause, "status_code", None) in (400, 404, 422, 500, 501) or isinstance(cause, NotImplementedError)


def _why(exc: Exception) -> str:
    status = getattr(exc, "status_code", None)
    said = " ".join(str(exc).split())[:200]
    match status:
        case 401 | 403:
            return f"the model server refused the key ({status}); check OPENAI_API_KEY"
        case 404:
            return "the model server does not know this model (404); check TRACEHOUND_MODEL and OPENAI_BASE_URL"
        case 429:
            return "the model server is over its limit (429); wait, or use another model"
        case int():
            return f"the model server refused the request: {said}; try another TRACEHOUND_DIALECT or another model"
    if "timeout" in type(exc).__name__.lower():
        return "the model gave no answer in time; try a smaller model, or TRACEHOUND_MODEL=offline"
    if "connection" in type(exc).__name__.lower():
        return f"the model could not be reached ({type(exc).__name__}); check OPENAI_BASE_URL and that the server runs"
    return (
        f"the model's server sent no chat completion ({type(exc).__name__}: {said}); check that OPENAI_BASE_URL "
        "is an OpenAI-compatible address, most end in /v1"
    )
