"""What the model sees and what it may ask for.

The model gets the question, entity handles, and the hunts that come near; it answers by naming a hunt, by filling a
typed search whose entity slots are enums of what code found, by a raw query, or by `finish`. It never sees a row
unless it asks for one, and then as quoted data. The situation is one JSON block, the same for every model.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field, create_model

from .. import prompts
from ..tools.hunts import Hunt
from ..tools.languages.search import AnyOf, Condition, Expression, Operator, Search, Window, conjunction
from ..tools.languages.vocabulary import ATTRIBUTES, EventClass
from .calling import Tool

ENTITY_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "host": ("device.hostname",),
    "user": ("user.name", "actor.user.name"),
    "ip": ("src_endpoint.ip", "dst_endpoint.ip"),
    "domain": ("query.hostname", "dst_endpoint.hostname"),
    "hash": ("process.hash.sha256", "file.hash.sha256"),
    "file": ("file.name", "process.name"),
    "process": ("process.name", "actor.process.name"),
    "service": ("service.name",),
    "cve": ("vulnerability.cve",),
    "email": ("email.from", "email.to", "user.name"),
    "url": ("url.url_string",),
}
"""Where an entity of a type may stand in an event; the first that the class knows, or any of them."""


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Finish(_Arguments):
    """Nothing more is needed."""


@dataclass(frozen=True)
class Candidate:
    """A hunt that comes near the question."""

    hunt: Hunt
    score: float
    fits: bool


def tools_for(candidates: Sequence[Candidate], slots: Mapping[str, Sequence[str]], *, raw: bool) -> list[Tool]:
    """The tools of one turn; their enums hold only what code found, so an argument cannot invent a target."""
    hunts = tuple(candidate.hunt.id for candidate in candidates if candidate.fits)
    tools = []
    if hunts:
        run_hunt = create_model("RunHunt", __base__=_Arguments, hunt=(Literal[hunts], ...))
        tools.append(
            Tool("run_hunt", "Run a hunt of the library; its parameters are filled from the question.", run_hunt)
        )
    fields: dict[str, Any] = {
        "event_class": (Literal[tuple(item.value for item in EventClass)], ...),
        "text": (
            str | None,
            Field(default=None, max_length=200, description="words that the command line, title or name holds"),
        ),
    }
    for kind, values in slots.items():
        if values and kind in ENTITY_ATTRIBUTES:
            fields[kind] = (Literal[tuple(values)] | None, None)
    tools.append(
        Tool(
            "search",
            "Search events of one class for the named entities.",
            create_model("SearchEvents", __base__=_Arguments, **fields),
        )
    )
    if raw:
        query = create_model(
            "RawQuery",
            __base__=_Arguments,
            platform=(Literal["falcon", "sentinelone", "sentinel", "defender"], ...),
            language=(Literal["fql", "cql", "s1ql", "kql"], ...),
            collection=(str, Field(max_length=60)),
            text=(str, Field(max_length=4_000)),
        )
        tools.append(Tool("raw_query", "Send a query of your own; it passes the same checks as any other.", query))
    tools.append(Tool("finish", "Stop: what is planned is enough.", Finish))
    return tools


TEXT_ATTRIBUTES = (
    "process.cmd_line", "process.name", "file.path", "service.name", "finding.title", "script.content", "email.subject",
    "query.hostname", "api.operation", "activity", "url.url_string", "job.name", "reg.path", "share.name", "app.name",
)  # fmt: skip


def search_from(arguments: BaseModel, window: Window) -> Search:
    """The typed search that the model filled."""
    given = arguments.model_dump()
    event_class = EventClass(given.pop("event_class"))
    known = ATTRIBUTES[event_class]
    parts: list[Expression] = []
    text = given.pop("text", None)
    if text:
        named = [name for name in TEXT_ATTRIBUTES if name in known]
        parts.append(_any([Condition(field=name, op=Operator.CONTAINS, values=(text,)) for name in named]))
    for kind, value in given.items():
        names = [name for name in ENTITY_ATTRIBUTES[kind] if name in known]
        if value and names:
            parts.append(_any([Condition(field=name, values=(value,)) for name in names]))
    return Search(event_class=event_class, where=conjunction(*parts), window=window)


def _any(parts: Sequence[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else AnyOf(of=tuple(parts))


def situation(
    question: str,
    window: Window,
    candidates: Sequence[Candidate],
    slots: Mapping[str, Sequence[str]],
    turn: int,
    findings: Sequence[str] = (),
) -> list[BaseMessage]:
    """The messages of one turn: system prompt, and the situation as one JSON block."""
    content = {
        "turn": turn,
        "question": question,
        "window": {"start": window.start.isoformat(), "end": window.end.isoformat()},
        "entities": {kind: list(values) for kind, values in slots.items() if values},
        "hunts": [
            {
                "id": candidate.hunt.id,
                "title": candidate.hunt.title,
                "score": round(candidate.score, 4),
                "fits": candidate.fits,
            }
            for candidate in candidates
        ],
        "found": list(findings),
    }
    block = json.dumps(content, ensure_ascii=True)
    return [SystemMessage(prompts.load("investigate")), HumanMessage(f"```json\n{block}\n```")]
