"""What a model may ask once telemetry was read: searches around what was found, by handle, and a few rows to look at.

Rows stay in the case. The model sees how many there are, handles of the hosts, accounts and addresses in the story,
and, when it asks, some rows with recorded text quoted. Its searches are made of handles and event classes alone, so
nothing that an attacker wrote can become a literal of a query.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Optional

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from .. import prompts
from ..prompts.quoting import QuotedRow
from ..prompts.quoting import rows as quoted
from ..tools.evidence.story import Story
from ..tools.evidence.story_facts import Happening
from ..tools.languages.search import Search, conjunction
from ..tools.languages.vocabulary import EventClass
from .calling import Choice
from .consult import choose
from .plan import Wanted, hosts_of
from .reading import Tool, shown
from .state import Deps, Scope
from .think import Finish, anywhere, places

LAST_TURN = 2
"""Turns after which a model is asked; later ones follow the findings alone."""
MOST_HANDLES, MOST_HUNTS, MOST_ROWS = 8, 12, 8
_FACTS = ("activity", "dst_endpoint.port", "logon_type", "status", "severity", "api.operation")
_TEXT = (
    "process.name",
    "process.cmd_line",
    "file.path",
    "service.name",
    "query.hostname",
    "email.subject",
    "finding.title",
)


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Pivot(_Arguments):
    event_class: str

    @model_validator(mode="after")
    def _names_something(self) -> "_Pivot":
        given = self.model_dump()
        event_class = EventClass(given.pop("event_class"))
        if not any(given.values()):
            raise ValueError("name at least one handle")
        for kind, handle in given.items():
            if handle and not places(kind, event_class):
                raise ValueError(f"{event_class} events name no {kind}; choose another class or leave {kind} out")
        return self


@dataclass(frozen=True)
class Handles:
    """Names for what the story holds, to be used in place of it."""

    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Entity type to handle to value."""

    def of(self, kind: str, value: str | None) -> str:
        """The handle of a value, `-` for what has none."""
        return next((handle for handle, known in self.values.get(kind, {}).items() if known == value), "-")


def handles_of(story: Story, scope: Scope) -> Handles:
    """Handles of hosts, accounts and addresses, those that the question names first."""
    return Handles(
        {
            "host": _numbered("H", (*scope.hosts, *story.hosts)),
            "user": _numbered("U", (*scope.users, *(item.user for item in story.entries))),
            "ip": _numbered("A", (*scope.addresses, *(ip for item in story.entries for ip in _addresses(item)))),
        }
    )


def _numbered(letter: str, values: Iterable[str]) -> dict[str, str]:
    unique = [value for value in dict.fromkeys(values) if value][:MOST_HANDLES]
    return {f"{letter}{number}": value for number, value in enumerate(unique, 1)}


def _addresses(item: Happening) -> list[str]:
    return [item.text(name) for name in ("src_endpoint.ip", "dst_endpoint.ip") if item.text(name)]


def pivot_tools(handles: Handles, hunts: Sequence[str]) -> list[Tool]:
    """Searches by handle, rows by hunt, and `finish`; everything is an enum."""
    tools = []
    fields: dict[str, Any] = {"event_class": (Literal[tuple(item.value for item in EventClass)], ...)}
    for kind, known in handles.values.items():
        if known:
            fields[kind] = (Optional[Literal[tuple(known)]], None)  # noqa: UP045  # made at run time
    if len(fields) > 1:
        search: type[BaseModel] = create_model("PivotSearch", __base__=_Pivot, **fields)
        tools.append(Tool("search", "Search events of one class around handles.", search))
    if hunts:
        one_of: Any = Literal[tuple(hunts)]
        most = (int, Field(default=MOST_ROWS, ge=1, le=MOST_ROWS))
        rows: type[BaseModel] = create_model("ShowRows", __base__=_Arguments, found_by=(one_of, ...), most=most)
        tools.append(Tool("show_rows", "Look at a few rows of what a search found.", rows))
    tools.append(Tool("finish", "Stop: what was found is enough.", Finish))
    return tools


async def pivot(question: str, scope: Scope, story: Story, turn: int, deps: Deps) -> list[Wanted]:
    """Let the model choose searches around what was found; it may look at rows once.

    A model that said `finish`, or used up its tokens, is not asked again in this investigation.

    Raises:
        ModelUnavailableError: no usable answer from the server.
    """
    workspace = deps.workspace
    if turn > LAST_TURN or workspace.model_done or not deps.ways.typed or deps.model_name == "offline":
        return []
    handles, counts = handles_of(story, scope), found_counts(deps)
    messages = _situation(question, handles, counts, turn)
    choice = await choose(messages, pivot_tools(handles, list(counts)), deps)
    asked = [action.arguments for action in choice.actions if action.tool == "show_rows"] if choice else []
    if choice and asked:
        shown_rows = "\n".join(_rows(arguments, handles, deps) for arguments in asked[:2])
        looked = [*messages, AIMessage(shown(choice.messages[-1])), HumanMessage(shown_rows)]
        choice = _both(choice, await choose(looked, pivot_tools(handles, ()), deps))
    searches = [action.arguments for action in choice.actions if action.tool == "search"] if choice else []
    workspace.model_done = not searches
    return [_wanted(arguments, handles, scope) for arguments in searches]


def _both(first: Choice, second: Choice | None) -> Choice:
    actions = (*first.actions, *(second.actions if second else ()))
    return Choice(actions, first.messages, first.calls, first.input_tokens, first.output_tokens)


def found_counts(deps: Deps) -> dict[str, int]:
    """Rows of each hunt or search so far, most first."""
    counts: dict[str, int] = {}
    for record in deps.workspace.records.values():
        if record.status == "ok" and record.hunt and record.rows:
            counts[record.hunt] = counts.get(record.hunt, 0) + record.rows
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_HUNTS])


def _situation(question: str, handles: Handles, counts: Mapping[str, int], turn: int) -> list[BaseMessage]:
    content = {
        "turn": turn,
        "question": question,
        "found": [{"by": hunt, "rows": rows} for hunt, rows in counts.items()],
        "handles": {kind: list(known) for kind, known in handles.values.items() if known},
    }
    return [SystemMessage(prompts.load("pivot")), HumanMessage(f"```json\n{json.dumps(content)}\n```")]


def _rows(arguments: BaseModel, handles: Handles, deps: Deps) -> str:
    given = arguments.model_dump()
    by = {record.id for record in deps.workspace.records.values() if record.hunt == given["found_by"]}
    found = [item for item in deps.workspace.evidence.values() if item.query in by][: given["most"]]
    return quoted(
        [
            QuotedRow(
                alias=item.alias,
                time=item.time.isoformat() if item.time else "-",
                host=handles.of("host", item.host),
                user=handles.of("user", item.user),
                event_class=item.event_class,
                facts={name: str(item.fields[name]) for name in _FACTS if item.fields.get(name)},
                text={name: str(item.fields[name]) for name in _TEXT if item.fields.get(name)},
            )
            for item in found
        ]
    )


def _wanted(arguments: BaseModel, handles: Handles, scope: Scope) -> Wanted:
    given = arguments.model_dump()
    event_class = EventClass(given.pop("event_class"))
    parts = [anywhere(kind, handles.values[kind][handle], event_class) for kind, handle in given.items() if handle]
    search = Search(event_class=event_class, where=conjunction(*parts), window=scope.window)
    return Wanted(search, "model.pivot", hosts_of(search.where))
