"""What the model sees and what it may ask for.

The model gets the question, entity handles, and the hunts that come near; it answers by naming a hunt, by filling a
typed search whose entity slots are enums of what code found, by a raw query, or by `finish`. It never sees a row. The
situation is one JSON block, the same for every model.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Optional, Self

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from .. import prompts
from ..tools.hunts import Hunt
from ..tools.languages.query import Language, Platform
from ..tools.languages.search import Condition, Expression, Operator, Scalar, Search, Window, conjunction, disjunction
from ..tools.languages.views import all_views
from ..tools.languages.vocabulary import ATTRIBUTES, EventClass
from .reading import Tool

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


class _SearchArguments(_Arguments):
    event_class: str

    @model_validator(mode="after")
    def _narrows(self) -> Self:
        """A search for nothing in particular, or one that leaves a named entity out, would say more than was asked."""
        given = self.model_dump()
        event_class = EventClass(given.pop("event_class"))
        for kind, value in given.items():
            if value and kind != "text" and not places(kind, event_class):
                raise ValueError(f"{event_class} events name no {kind}; choose another class or leave {kind} out")
        if not any(given.values()):
            raise ValueError("name at least one entity, or the text to look for")
        return self


class Finish(_Arguments):
    """Nothing more is needed."""


@dataclass(frozen=True)
class Candidate:
    """A hunt that comes near the question."""

    hunt: Hunt
    score: float
    fits: bool


def tools_for(
    candidates: Sequence[Candidate],
    slots: Mapping[str, Sequence[Scalar]],
    *,
    platforms: Collection[Platform] = frozenset(Platform),
    free: bool,
    raw: bool = True,
    typed: bool = True,
) -> list[Tool]:
    """The tools of one turn; their enums hold only what code found, so an argument cannot invent a target.

    Args:
        candidates: Hunts that come near the question.
        slots: Entity type to the values that code found in the question.
        platforms: Where a raw query may go.
        free: Whether text of the model's own may enter a search at all; never after telemetry was read.
        raw: Whether raw queries are offered to this model.
        typed: Whether hunts and typed searches are.
    """
    tools = []
    hunts = tuple(candidate.hunt.id for candidate in candidates if candidate.fits)
    if hunts and typed:
        one_of: Any = Literal[hunts]
        run_hunt = create_model("RunHunt", __base__=_Arguments, hunt=(one_of, ...))
        tools.append(
            Tool("run_hunt", "Run a hunt of the library; its parameters are filled from the question.", run_hunt)
        )
    entities = {kind: tuple(values) for kind, values in slots.items() if values and kind in ENTITY_ATTRIBUTES}
    if typed and (entities or free):
        tools.append(
            Tool("search", "Search events of one class for the named entities.", _search_arguments(entities, free))
        )
    if raw and free:
        sources = tuple(sorted(item for item in _sources() if item.partition("/")[0] in platforms))
        source: Any = Literal[sources]
        query = create_model(
            "RawQuery",
            __base__=_Arguments,
            source=(source, Field(description="platform/language/collection")),
            text=(str, Field(max_length=4_000)),
        )
        tools.append(Tool("raw_query", "Send a query of your own; it passes the same checks as any other.", query))
    tools.append(Tool("finish", "Stop: what is planned is enough.", Finish))
    return tools


def _search_arguments(entities: Mapping[str, tuple[Scalar, ...]], free: bool) -> type[BaseModel]:
    fields: dict[str, Any] = {"event_class": (Literal[tuple(item.value for item in EventClass)], ...)}
    for kind, values in entities.items():
        fields[kind] = (Optional[Literal[values]], None)  # noqa: UP045  # a literal made at run time knows no `|` to checkers
    if free:
        about = "words that the command line, title or name holds"
        fields["text"] = (str | None, Field(default=None, min_length=2, max_length=200, description=about))
    return create_model("SearchEvents", __base__=_SearchArguments, **fields)


@cache
def _sources() -> frozenset[str]:
    """Everywhere that a raw query can go, as platform/language/collection."""
    return frozenset(
        f"{view.platform}/{view.language}/{view.collection}"
        for view in all_views()
        if view.language is not Language.REST
    )


TEXT_ATTRIBUTES = (
    "process.cmd_line", "process.name", "file.path", "service.name", "finding.title", "script.content", "email.subject",
    "query.hostname", "api.operation", "activity", "url.url_string", "job.name", "reg.path", "share.name", "app.name",
)  # fmt: skip


def places(kind: str, event_class: EventClass) -> list[str]:
    """Attributes of a class in which an entity of a type may stand."""
    return [name for name in ENTITY_ATTRIBUTES[kind] if name in ATTRIBUTES[event_class]]


def search_from(arguments: BaseModel, window: Window) -> Search:
    """The typed search that the model filled."""
    given = arguments.model_dump()
    event_class = EventClass(given.pop("event_class"))
    parts: list[Expression] = []
    text = given.pop("text", None)
    if text:
        named = [name for name in TEXT_ATTRIBUTES if name in ATTRIBUTES[event_class]]
        parts.append(disjunction(*(Condition(field=name, op=Operator.CONTAINS, values=(text,)) for name in named)))
    for kind, value in given.items():
        if value:
            parts.append(anywhere(kind, value, event_class))
    return Search(event_class=event_class, where=conjunction(*parts), window=window)


def anywhere(kind: str, value: Scalar, event_class: EventClass) -> Expression:
    """The condition that an entity of a type stands in any of its places."""
    return disjunction(*(Condition(field=name, values=(value,)) for name in places(kind, event_class)))


def situation(
    question: str,
    window: Window,
    candidates: Sequence[Candidate],
    slots: Mapping[str, Sequence[str]],
    turn: int,
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
    }
    block = json.dumps(content, ensure_ascii=True)
    return [SystemMessage(prompts.load("investigate")), HumanMessage(f"```json\n{block}\n```")]
