"""Reading typed actions out of a model's answer, in whatever form it gave them. Pure."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from pydantic import BaseModel, ValidationError

NO_CALL = "no tool call and no JSON object with `tool` and `arguments`"
CUT = "cut at the limit of an answer (TRACEHOUND_ANSWER_LIMIT, in tokens) before any call was whole"
MAX_TEXT = 20_000
"""Characters of a model's answer that are read; a longer one is nonsense."""
MAX_TRIES = 100
"""Opening braces from which an object is read; text full of them is nonsense."""
MAX_ACTIONS = 6
"""Actions of one answer that are taken; a model that repeats itself gets no more."""


@dataclass(frozen=True)
class Tool:
    """Something that a model may ask for: a name, a sentence, and a pydantic model of its arguments."""

    name: str
    about: str
    arguments: type[BaseModel]

    def as_openai(self) -> dict[str, Any]:
        """The tool in OpenAI's function format."""
        function = {"name": self.name, "description": self.about, "parameters": compact(self.arguments)}
        return {"type": "function", "function": function}


@dataclass(frozen=True)
class Action:
    """One validated call."""

    tool: str
    arguments: BaseModel


@dataclass(frozen=True)
class Reading:
    """What an answer asks for, and what of it cannot be used."""

    actions: tuple[Action, ...]
    problems: tuple[str, ...]
    attempted: bool
    """Whether it holds anything meant as a call; without one, the model did not understand the dialect."""


def read_actions(reply: AIMessage, tools: Sequence[Tool]) -> Reading:
    """Validated actions of a reply, from native calls or from JSON in its text."""
    by_name = {tool.name: tool for tool in tools}
    actions: dict[str, Action] = {}
    problems: dict[str, None] = {}
    calls = list(_calls(reply))
    for name, arguments in calls:
        try:
            action = _validated(name, arguments, by_name)
        except ValueError as exc:
            problems[str(exc)] = None
        else:
            actions.setdefault(f"{name} {action.arguments.model_dump_json()}", action)
    if not calls:
        cut = reply.response_metadata.get("finish_reason") == "length"
        problems[CUT if cut else NO_CALL] = None
    return Reading(tuple(actions.values())[:MAX_ACTIONS], tuple(problems)[:MAX_ACTIONS], bool(calls))


def _calls(reply: AIMessage) -> Iterator[tuple[str, Any]]:
    for call in reply.tool_calls:
        yield call["name"], call["args"]
    for broken in reply.invalid_tool_calls:
        yield str(broken["name"]), broken["args"]
    if not reply.tool_calls and not reply.invalid_tool_calls:
        for found in find_json(text_of(reply)):
            yield str(found.get("tool") or found.get("name")), _arguments(found)


def _validated(name: str, arguments: Any, by_name: Mapping[str, Tool]) -> Action:
    if name not in by_name:
        raise ValueError(f"there is no tool {name[:40]!r}; the tools are {', '.join(by_name)}")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (json.JSONDecodeError, RecursionError) as exc:
            raise ValueError(f"the arguments of {name} are not JSON") from exc
    try:
        return Action(name, by_name[name].arguments.model_validate(arguments))
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join((name, *map(str, first["loc"])))
        raise ValueError(f"{where[:80]}: {first['msg'][:400]}") from exc


def _arguments(found: Mapping[str, Any]) -> Any:
    for key in ("arguments", "args", "parameters"):
        if key in found:
            return found[key]
    return {key: value for key, value in found.items() if key not in ("tool", "name", "type")}


def find_json(text: str) -> list[dict[str, Any]]:
    """Calls written as JSON in a model's text: fenced blocks first, else every balanced top-level object."""
    text = text[:MAX_TEXT]
    blocks = re.findall(r"```(?:json)?\s*(.*?)```", text, flags=re.DOTALL) or [text]
    found: list[dict[str, Any]] = []
    decoder = json.JSONDecoder()
    tries = 0
    for block in blocks:
        at = 0
        while (at := block.find("{", at)) >= 0 and (tries := tries + 1) <= MAX_TRIES:
            try:
                value, end = decoder.raw_decode(block, at)
            except (json.JSONDecodeError, RecursionError):
                at += 1
                continue
            found.extend(_as_calls(value))
            at = end
    return found


def _as_calls(value: dict[str, Any]) -> list[dict[str, Any]]:
    for key in ("actions", "tool_calls"):
        if isinstance(value.get(key), list):
            return [call for item in value[key] if isinstance(item, dict) for call in _as_calls(item)]
    if isinstance(value.get("function"), dict):
        return [value["function"]]
    return [value] if isinstance(value.get("tool") or value.get("name"), str) else []


def compact(arguments: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments without what only validation needs; a prompt is read by the token.

    Lengths go as well: they are checked when the answer is read, and some servers turn them into a slow grammar.
    """
    schema: dict[str, Any] = _without(arguments.model_json_schema(), {"title", "default", "maxLength"})
    schema.pop("description", None)
    return schema


def outline(arguments: type[BaseModel]) -> str:
    """A tool's arguments in one line of near-JSON; small models copy the words of a JSON schema instead of meeting it."""
    schema = compact(arguments)
    required = schema.get("required", ())
    fields = (
        f'"{name}"{"" if name in required else " (may be left out)"}: {_values(field)}'
        for name, field in schema.get("properties", {}).items()
    )
    return "{" + ", ".join(fields) + "}"


def _values(field: Mapping[str, Any]) -> str:
    listed = field.get("enum") or ([field["const"]] if "const" in field else [])
    about = f" ({field['description']})" if "description" in field else ""
    return (" | ".join(json.dumps(value) for value in listed) or f'"{field.get("type", "value")}"') + about


def _without(schema: Any, keys: set[str]) -> Any:
    if isinstance(schema, list):
        return [_without(item, keys) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "anyOf" in schema:
        # Left out says the same as null, and is one way less to say it.
        some = [option for option in schema["anyOf"] if option != {"type": "null"}]
        if len(some) == 1:
            schema = {**{key: value for key, value in schema.items() if key != "anyOf"}, **some[0]}
    kept = {}
    for key, value in schema.items():
        if key == "properties":
            # Names of properties are the tool's own words, whatever they are.
            kept[key] = {name: _without(item, keys) for name, item in value.items()}
        elif key not in keys:
            kept[key] = _without(value, keys)
    return kept


def text_of(message: BaseMessage) -> str:
    """The text of a message, whatever shape its content has."""
    content = message.content
    parts = [content] if isinstance(content, str) else content
    text = "".join(part if isinstance(part, str) else str(part.get("text", "")) for part in parts)
    # Half a surrogate pair can be received as JSON and cannot be sent back.
    return text.encode("utf-8", "replace").decode("utf-8")


def shown(message: BaseMessage) -> str:
    """A message as the record shows it: its text, and calls as JSON."""
    text = text_of(message)
    if not isinstance(message, AIMessage):
        return text
    calls: list[dict[str, Any]] = [{"tool": call["name"], "arguments": call["args"]} for call in message.tool_calls]
    calls += [{"tool": call["name"], "arguments": call["args"]} for call in message.invalid_tool_calls]
    return "\n".join(filter(None, (text, json.dumps({"actions": calls}) if calls else "")))
