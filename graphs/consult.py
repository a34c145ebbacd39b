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
from .calling import ECHO, REPAIRS, Choice
from .plan import Wanted, hosts_of
from .reading import Action, Tool, shown
from .state import Deps, Scope
from .think import Candidate, search_from, situation, tools_for
from .ways import RawQuery, Ways
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
    """
    ways = deps.ways
    tools = tools_for(
        candidates,
        scope.slots,
        platforms=deps.platforms,
        free=turn == 0,
        raw=ways.raw and deps.model_name != "offline",
        typed=ways.typed,
    )
    messages = situation(question, scope.window, candidates if ways.typed else (), scope.slots, turn)
    choice = await choose(messages, tools, deps)
    if choice is None:
        return Additions()
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


async def choose(messages: Sequence[BaseMessage], tools: Sequence[Tool], deps: Deps) -> Choice | None:
    """One turn of the model within its tokens; None when they are used up, which the answer tells as a gap.

    Raises:
        ModelUnavailableError: no usable answer from the server.
    """
    workspace, budget = deps.workspace, deps.budget.input_tokens
    try:
        choice = await deps.caller.choose(messages, tools, most_input=budget - workspace.input_tokens)
    except BudgetError:
        workspace.model_done = True
        workspace.model_limit = (
            f"limit reached: the model was not asked further, it has read {workspace.input_tokens} of {budget} tokens"
        )
        return None
    workspace.record_model(deps.model_name, messages, choice)
    return choice


async def _with_checked_queries(
    choice: Choice, messages: Sequence[BaseMessage], tools: Sequence[Tool], window: Window, deps: Deps
) -> tuple[list[Action], list[Query]]:
    """Every action, and those of its raw queries that may be sent, after at most two turns of repair."""
    actions = list(choice.actions)
    fine, wrong = _sorted_queries(choice.actions, window, deps.ways)
    for _ in range(deps.ways.repairs):
        if not wrong:
            break
        diagnostics = "\n".join(f"- {problem}" for _, problem in wrong)
        repair = HumanMessage(prompts.load("query_repair", diagnostics=diagnostics))
        said = AIMessage(shown(choice.messages[-1])[:ECHO])
        again = await choose([*messages, said, repair], tools, deps)
        if again is None:
            break
        choice = again
        passed, failing = _sorted_queries(choice.actions, window, deps.ways)
        actions += choice.actions
        fine += passed
        if choice.actions:
            wrong = failing or wrong if choice.problem else failing
    for query, problem in wrong:
        record, _ = deps.workspace.keep(failed(query, "refused", problem, deps.now))
        deps.emit({"type": "query", "query": record.model_dump(mode="json")})
    return actions, fine


def _sorted_queries(
    actions: Sequence[Action], window: Window, ways: Ways
) -> tuple[list[Query], list[tuple[Query, str]]]:
    """The raw queries among some actions: those that may be sent, and those that may not with the reason."""
    fine, wrong = list[Query](), list[tuple[Query, str]]()
    for action in actions:
        if action.tool == "raw_query":
            query, problem = query_from(action.arguments, window, ways.query)
            if problem:
                wrong.append((query, problem))
            else:
                fine.append(query)
    return fine, wrong


def query_from(arguments: BaseModel, window: Window, make: RawQuery = raw_query) -> tuple[Query, str]:
    """The query that the arguments of `raw_query` hold, over the window of the question, and why it must not be sent.

    The reason is empty when it may be sent.
    """
    given = arguments.model_dump()
    platform, language, collection = str(given["source"]).split("/")
    query = make(Platform(platform), Language(language), collection, given["text"], window, RAW_LIMIT)
    if not query.check.sendable:
        found = [item.message for item in query.check.diagnostics if item.severity != "info"]
        return query, "; ".join(found) or "it does more than read"
    if make is raw_query and query.language is Language.FQL and collection == "alerts" and query.text == given["text"]:
        # FQL alone carries its time in the text; where the text names one, the window was not added.
        return query, "it names a time of its own; leave that out, the window of the question is added"
    return query, ""
