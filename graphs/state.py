"""State of an investigation: small, plain, and without rows. Rows live in the case; state holds what names them."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypedDict

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from pydantic import BaseModel, ConfigDict

from ..tools.languages.search import Window
from .ways import Ways

if TYPE_CHECKING:
    from ..tools.languages.query import Platform
    from ..tools.library import HuntLibrary
    from ..tools.response.desk import Desk
    from ..tools.vendors.estate import Estate
    from .calling import Caller
    from .workspace import Workspace

GRAPH_VERSION = "1"
"""Raised when node names or state change: a run of another version is not resumed."""


class Scope(BaseModel):
    """What a question is about, fixed before any telemetry is read."""

    model_config = ConfigDict(frozen=True)

    hosts: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Files, processes, services, domains and hashes that the question names, in lower case."""
    alerts: tuple[str, ...] = ()
    slots: dict[str, tuple[str, ...]] = {}
    """Entity type to values: what hunt parameters are filled from."""
    window: Window
    default_window: bool = False
    outbound: bool = False
    hunts: tuple[str, ...] = ()
    """Hunts that the question obliges, and behind them those that a model added."""
    added: tuple[str, ...] = ()
    """Hunts of these that a model added."""
    only: str = ""
    """The hunt to run, when the analyst named one: then nothing is chosen."""
    named: dict[str, tuple[str, ...]] = {}
    """Values of that hunt's parameters, by parameter."""
    sensors: dict[str, tuple[str, ...]] = {}
    """Host to the platforms that have a sensor on it."""

    def without_added(self) -> Self:
        """The scope as the question alone fixes it."""
        obliged = tuple(hunt for hunt in self.hunts if hunt not in self.added)
        return self.model_copy(update={"hunts": obliged, "added": ()})


class Task(TypedDict, total=False):
    """One planned query; compiled again in the branch that runs it, so that a checkpoint needs no query objects."""

    search: dict[str, Any]
    view: str
    purpose: str
    raw: dict[str, Any]


class State(TypedDict, total=False):
    """State of the investigation graph."""

    question: str
    """In full: what a follow-up leaves out is said again."""
    said: str
    """As the analyst said it."""
    case: str
    options: dict[str, Any]
    route: str
    scope: Scope
    turn: int
    planned: list[Task]
    declined: dict[str, Any] | None
    approval_ids: list[str]
    outcomes: Annotated[list[dict[str, Any]], operator.add]


class QueryTask(TypedDict):
    """Input of one search branch."""

    task: Task


CHECKPOINT_TYPES = [Scope, Window]
"""Every type of ours that may sit in a checkpoint. The default serializer runs code found in one; this does not."""

SERDE = JsonPlusSerializer(allowed_msgpack_modules=CHECKPOINT_TYPES)


@dataclass(frozen=True)
class Budget:
    """Limits of one investigation; docs/decisions/0007 says why these."""

    queries: int = 120
    added: int = 24
    """Queries that a model may add to those; they never use up what is obliged."""
    turns: int = 6
    query_seconds: float = 180.0
    input_tokens: int = 12_000
    """What a model may read in one investigation."""
    default_days: int = 7


@dataclass(frozen=True)
class Deps:
    """What the nodes need and a checkpoint never holds; passed again on every call, resume included."""

    estate: "Estate"
    library: "HuntLibrary"
    caller: "Caller"
    workspace: "Workspace"
    desk: "Desk"
    home: Path
    now: datetime
    user: str
    model_name: str
    budget: Budget = field(default_factory=Budget)
    ways: Ways = field(default_factory=Ways)
    search_text: Callable[[str, int], list[Any]] | None = None
    """Retrieval over hunts and runbooks: (query, k) to passages."""
    emit: Callable[[Mapping[str, Any]], None] = lambda event: None
    """Receives typed events while the run goes on (`ask --jsonl`)."""

    @property
    def platforms(self) -> "frozenset[Platform]":
        """Connected platforms, or those of them that the analyst named."""
        named = self.workspace.platforms
        return self.estate.platforms if named is None else self.estate.platforms & named
