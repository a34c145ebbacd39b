"""One consultation of the model: its choice, the check of the queries that it wrote itself, and their repair.

The model is asked before it has seen any telemetry. What it asks for is added to what the question obliges; it can
take nothing away. A query of its own that fails the check goes back to it with the diagnostics, twice at most; then it
is dropped and kept in the case as refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import BaseModel

from .. import prompts
from ..knowledge.errors import BudgetError, ModelError
from ..tools.languages.query import Language, Platform, Query
from ..tools.languages.search import Window
from ..tools.languages.translate import raw_query
from .calling import REPAIRS, Choice
from .plan import Wanted, hosts_of
from .reading import Action, Tool, shown
from .state import Deps, Scope
from .think import Candidate, search_from, situation, tools_for
from .workspace import failed

RAW_LIMIT = 1_000
"""Rows that a model's own query may bring."""


@dataclass(frozen=True)
class Additions:
    """What a model asks for beyond what the question obliges."""

    hunts: tuple[str, ...] = ()
    searches: tuple[Wanted, ...] = ()
    queries: tuple[Query, ...] = ()
    """Queries of its own that passed the check."""


async def consult(question: str, scope: Scope, candidates: Sequence[Candidate], turn: int, deps: Deps) -> Additions:
    """Ask the model which searches to make.

    Free text, in a search or as a raw query, is offered on the first turn alone: later ones follow telemetry, and what
    an attacker wrote must not become a literal of a query.

    Raises:
        ModelUnavailableError: no usable answer from the server.
        ModelError: nonsense after two repairs.
        BudgetError: the model's tokens are used up.
    """
    tools = tools_for(
        candidates, scope.slots, platforms=deps.platforms, free=turn == 0, raw=deps.model_name != "offline"
    )
    messages = situation(question, scope.window, candidates, scope.slots, turn)
    choice = await _choose(messages, tools, deps)
    if not choice.actions:
        raise ModelError(
            f"the model's answer could not be used after {REPAIRS} repairs ({choice.problem[:300]}); "
            "try another model, or TRACEHOUND_MODEL=offline"
        )
    actions, queries = await _with_checked_queries(choice, messages, tools, scope.window, deps)
    found = [search_from(action.arguments, scope.window) for action in actions if action.tool == "search"]
    return Additions(
        hunts=tuple(dict.fromkeys(str(action.arguments.hunt) for action in actions if action.tool == "run_hunt")),  # type: ignore[attr-defined]
        searches=tuple(Wanted(search, "model.search", hosts_of(search.where)) for search in found),
        queries=tuple(queries),
    )


async def _choose(messages: Sequence[BaseMessage], tools: Sequence[Tool], deps: Deps) -> Choice:
    choice = await deps.caller.choose(messages, tools)
    deps.workspace.record_model(deps.model_name, messages, choice)
    if deps.workspace.input_tokens > deps.budget.input_tokens:
        raise BudgetError(f"limit reached: {deps.workspace.input_tokens} input tokens of {deps.budget.input_tokens}")
    return choice


async def _with_checked_queries(
    choice: Choice, messages: Sequence[BaseMessage], tools: Sequence[Tool], window: Window, deps: Deps
) -> tuple[list[Action], list[Query]]:
    """Every action, and those of its raw queries that may be sent, after at most two turns of repair."""
    actions = list(choice.actions)
    fine, wrong = _sorted_queries(choice.actions, window)
    for _ in range(REPAIRS):
        if not wrong:
            break
        diagnostics = "\n".join(f"- {problem}" for _, problem in wrong)
        repair = HumanMessage(prompts.load("query_repair", diagnostics=diagnostics))
        choice = await _choose([*messages, AIMessage(shown(choice.messages[-1])), repair], tools, deps)
        passed, failing = _sorted_queries(choice.actions, window)
        actions += choice.actions
        fine += passed
        if choice.actions:
            wrong = failing or wrong if choice.problem else failing
    for query, problem in wrong:
        record, _ = deps.workspace.keep(failed(query, "refused", problem, deps.now))
        deps.emit({"type": "query", "query": record.model_dump(mode="json")})
    return actions, fine


def _sorted_queries(actions: Sequence[Action], window: Window) -> tuple[list[Query], list[tuple[Query, str]]]:
    """The raw queries among some actions: those that may be sent, and those that may not with the reason."""
    fine, wrong = list[Query](), list[tuple[Query, str]]()
    for action in actions:
        if action.tool == "raw_query":
            query, problem = query_from(action.arguments, window)
            if problem:
                wrong.append((query, problem))
            else:
                fine.append(query)
    return fine, wrong


def query_from(arguments: BaseModel, window: Window) -> tuple[Query, str]:
    """The query that the arguments of `raw_query` hold, over the window of the question, and why it must not be sent.

    The reason is empty when it may be sent.
    """
    given = arguments.model_dump()
    platform, language, collection = str(given["source"]).split("/")
    query = raw_query(Platform(platform), Language(language), collection, given["text"], window, RAW_LIMIT)
    if not query.check.sendable:
        found = [item.message for item in query.check.diagnostics if item.severity != "info"]
        return query, "; ".join(found) or "it does more than read"
    if query.language is Language.FQL and collection == "alerts" and query.text == given["text"]:
        # FQL alone carries its time in the text; where the text names one, the window was not added.
        return query, "it names a time of its own; leave that out, the window of the question is added"
    return query, ""
