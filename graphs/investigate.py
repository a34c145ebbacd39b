"""The investigation graph.

    START -> route -> scope -> think -> search x N -> evidence -> (think again | runbooks) -> timeline -> verify
          -> propose -> respond x M [approve -> execute] -> END

Nodes are thin: what they decide is decided by pure functions in the modules beside this one. Nodes have no effect
before an interrupt, since LangGraph runs a resumed node again from its first line.
"""

import asyncio
from datetime import timedelta
from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, Send

from ..knowledge.errors import QueryError, VendorAuthError
from ..tools.evidence.records import QueryRecord
from ..tools.hunts import Hunt
from ..tools.languages.entities import find_entities
from ..tools.languages.query import Language, Platform, Query
from ..tools.languages.search import Search, Window
from ..tools.languages.translate import raw_query, translate
from ..tools.languages.vocabulary import EventClass
from ..tools.vendors.estate import QueryRun
from . import conclude, scoping
from .consult import consult
from .matching import is_about_an_estate, match_hunts, slots_of, why_declined
from .obliged import obliged_hunts
from .plan import Wanted, askable, baseline, findings_about, hunt_searches, neighbours
from .respond import response_graph
from .routing import asks_outbound, route_of
from .state import Deps, QueryTask, RunNote, Scope, State, Task
from .think import Candidate
from .workspace import failed, run_query, sensors, view_key

SENSOR_ORDER = (Platform.DEFENDER, Platform.FALCON, Platform.SENTINELONE)
"""Of a host's sensors at most two are asked about its neighbourhood, the quickest to answer first."""


async def route(state: State, runtime: Runtime[Deps]) -> Command[Literal["scope", "explain", "runbooks"]]:
    """Decide what kind of question this is, from its words alone."""
    question = state["question"]
    entities = find_entities(question)
    named_hunt = state.get("options", {}).get("hunt")
    chosen = "search" if named_hunt else route_of(question, alert_ids=entities.values("alert"))
    runtime.context.emit({"type": "session", "case": runtime.context.workspace.case.id, "route": chosen})
    target: Literal["scope", "explain", "runbooks"] = (
        "explain" if chosen == "explain" else "runbooks" if chosen == "runbook" else "scope"
    )
    return Command(update={"route": chosen, "turn": 0, "planned": []}, goto=target)


async def explain(state: State, runtime: Runtime[Deps]) -> State:
    """Explain an artefact; reads no vendor."""
    conclude.explain(state, runtime.context)
    return {"declined": None}


async def scope(state: State, runtime: Runtime[Deps]) -> Command[Literal["think", "timeline", "propose"]]:
    """Fix what the question is about: entities, hosts that exist, window, obliged hunts."""
    deps = runtime.context
    found, declined = await _scope(state, deps)
    if declined is not None:
        return Command(update={"scope": found, "declined": declined}, goto="timeline")
    goto: Literal["think", "propose"] = "propose" if state["route"] == "respond" else "think"
    return Command(update={"scope": found}, goto=goto)


async def _scope(state: State, deps: Deps) -> tuple[Scope, dict[str, Any] | None]:
    options = state.get("options", {})
    question = state["question"]
    if options.get("hunt"):
        return await _scope_of_hunt(options, deps)
    known = deps.workspace.case.entities()
    entities = find_entities(question, known_hosts=known.get("host", ()), known_users=known.get("user", ()))
    if state["route"] == "search" and not entities:
        candidates = near_hunts(question, scoping.nowhere(deps.now), deps)
        if not is_about_an_estate(question, candidates):
            return scoping.nowhere(deps.now), _off_topic(candidates)
    window, is_default = scoping.resolve_window(
        question,
        deps.now,
        since=options.get("since"),
        until=options.get("until"),
        case_window=deps.workspace.case.window(),
        default_days=deps.budget.default_days,
    )
    named = list(entities.hosts)
    outbound = asks_outbound(question, tuple(named))
    scope = scoping.scope_of(entities, [name.partition(".")[0].upper() for name in named], window, is_default, outbound)
    if state["route"] == "alert":
        return await _scope_of_alert(scope, deps)
    declined = await _check_hosts(named, deps) if named else None
    scope = scope.model_copy(update={"sensors": sensors(list(deps.workspace.events.values()))})
    if declined is None and state["route"] == "search":
        scope, declined = _oblige(question, scope, deps)
    return scope, declined


async def _scope_of_hunt(options: dict[str, Any], deps: Deps) -> tuple[Scope, dict[str, Any] | None]:
    hunt_id, values = options["hunt"]
    window, is_default = scoping.resolve_window(
        "",
        deps.now,
        since=options.get("since"),
        until=options.get("until"),
        case_window=None,
        default_days=deps.budget.default_days,
    )
    scope = scoping.scope_of_hunt(deps.library.get(hunt_id), values, window, is_default)
    declined = await _check_hosts(list(scope.hosts), deps) if scope.hosts else None
    return scope.model_copy(update={"sensors": sensors(list(deps.workspace.events.values()))}), declined


async def _check_hosts(named: list[str], deps: Deps) -> dict[str, Any] | None:
    window = scoping.inventory_window(deps.now)
    await _ask([scoping.lookup(named, window)], deps)
    devices = [event for event in deps.workspace.events.values() if event.event_class is EventClass.DEVICE]
    found = scoping.match_hosts(named, devices)
    if found.unknown and not _inventories_answered(deps):
        return None
    if found.unknown:
        name = found.unknown[0]
        await _ask([scoping.similar(name, window)], deps)
        devices = [event for event in deps.workspace.events.values() if event.event_class is EventClass.DEVICE]
        reason = f"no connected platform knows a host called {name}"
        return {"reason": reason, "candidates": scoping.candidates(name, devices), "nearest": ()}
    for name, ids in found.ambiguous.items():
        reason = f"{name} names {len(ids)} different devices; say which one by its id"
        return {"reason": reason, "candidates": tuple(f"{name} ({device_id})" for device_id in ids), "nearest": ()}
    return None


def _inventories_answered(deps: Deps) -> bool:
    """Whether every inventory that was asked answered whole: only then is a host unknown rather than unseen."""
    asked = [record for record in deps.workspace.records.values() if record.hunt == "inventory.hosts"]
    return all(record.status == "ok" and record.complete for record in asked)


async def _scope_of_alert(scope: Scope, deps: Deps) -> tuple[Scope, dict[str, Any] | None]:
    if not scope.alerts:
        reason = "no alert id was found in the request; copy it as the platform shows it"
        return scope, {"reason": reason, "candidates": (), "nearest": ()}
    await _ask([conclude.alert_lookup(scope.alerts[0], deps.now)], deps)
    alert = conclude.find_alert(scope.alerts[0], deps)
    if alert is None:
        reason = f"no connected platform knows an alert {scope.alerts[0]}"
        return scope, {"reason": reason, "candidates": (), "nearest": ()}
    if alert.host:
        await _ask([scoping.lookup([alert.host], scoping.inventory_window(deps.now))], deps)
    around = conclude.alert_window(alert, deps.now)
    hosts = (alert.host,) if alert.host else ()
    users = (alert.user,) if alert.user else ()
    update = {
        "hosts": hosts,
        "users": users,
        "window": around,
        "default_window": False,
        "hunts": tuple(dict.fromkeys(label.hunt for label in deps.workspace.labels(alert.events[0]))),
        "sensors": sensors(list(deps.workspace.events.values())),
        "slots": {"host": hosts, "user": users},
    }
    return scope.model_copy(update=update), None


def _off_topic(candidates: list[Candidate]) -> dict[str, Any]:
    nearest = tuple(candidate.hunt.id for candidate in candidates[:3])
    return {"reason": "this is not a question about a security estate", "candidates": (), "nearest": nearest}


def _oblige(question: str, scope: Scope, deps: Deps) -> tuple[Scope, dict[str, Any] | None]:
    candidates = near_hunts(question, scope, deps)
    reason = why_declined(question, scope, candidates)
    if reason is None:
        return scope, None
    nearest = tuple(candidate.hunt.id for candidate in candidates[:3])
    return scope, {"reason": reason, "candidates": (), "nearest": nearest}


def near_hunts(question: str, scope: Scope, deps: Deps) -> list[Candidate]:
    """Hunts that come near the question, best first, with whether their required parameters are known."""
    if deps.search_text is None:
        return []
    return match_hunts(question, scope, deps.library, deps.search_text)


async def think(state: State, runtime: Runtime[Deps]) -> Command[Literal["plan"]]:
    """Let the model choose hunts and searches; what the question and the findings oblige is added by code."""
    deps, scope, turn = runtime.context, state["scope"], state.get("turn", 0)
    wanted: list[Wanted] = []
    extra: list[Wanted] = []
    raw: list[Task] = []
    if turn == 0 and scope.only:
        wanted += _searches(deps.library.get(scope.only), scope, deps)
    elif turn == 0 and state["route"] == "search":
        candidates = near_hunts(state["question"], scope, deps)
        obliged = obliged_hunts((item.hunt.id, item.score) for item in candidates if item.fits)
        wanted += [item for hunt in obliged for item in _searches(deps.library.get(hunt), scope, deps)]
        alerts = findings_about(scope.hosts, scope.users, scope.window)
        wanted += [alerts] if alerts else []
        added = await consult(state["question"], scope, candidates, turn, deps)
        chosen = tuple(hunt for hunt in added.hunts if hunt not in obliged)
        extra += [item for hunt in chosen for item in _searches(deps.library.get(hunt), scope, deps)]
        extra += added.searches
        raw = [_raw_task(query) for query in added.queries]
        hunts = tuple(dict.fromkeys((*scope.hunts, *obliged, *chosen)))
        scope = scope.model_copy(update={"hunts": hunts, "added": chosen})
    elif turn == 0:
        wanted += conclude.around_alert(scope, deps)
    else:
        wanted += await _following(scope.without_added(), deps)
        extra += await _following(scope, deps) if scope.added else []
    planned = _within_budget(_tasks(wanted, scope, deps), deps)
    planned = _agreed([*planned, *_additional(extra, raw, scope, deps)], deps)
    plan = [{"purpose": task["purpose"], "view": task.get("view", "raw")} for task in planned]
    deps.emit({"type": "plan", "turn": turn, "queries": plan})
    return Command(update={"planned": planned, "scope": scope, "turn": turn + 1}, goto="plan")


async def _following(scope: Scope, deps: Deps) -> list[Wanted]:
    """The searches that the story so far obliges."""
    found = conclude.story(scope, deps)
    met = await _meet(found.hosts, deps)
    # What is routine has to be known before neighbours are drawn, or an everyday logon leads the search astray.
    if await _ask(baseline(found, scope.window), deps, scope) or met:
        found = conclude.story(scope, deps)
    return neighbours(found, _reach_window(scope, deps))


def _additional(extra: list[Wanted], raw: list[Task], scope: Scope, deps: Deps) -> list[Task]:
    """What a model added, as far as its own share of the queries goes; what is obliged never waits for it."""
    tasks: list[Task] = list(raw)
    left = deps.budget.added - deps.workspace.added
    for item in extra:
        if len(tasks) < left:
            tasks += _tasks([item], scope, deps)
    tasks = tasks[: max(left, 0)]
    deps.workspace.added += len(tasks)
    return tasks


async def _meet(hosts: tuple[str, ...], deps: Deps) -> bool:
    """Look up hosts that the story reached: which sensor watches them decides whom to ask next."""
    known = sensors(list(deps.workspace.events.values()))
    unknown = [host for host in hosts if host not in known and host not in deps.workspace.looked_up]
    if unknown:
        deps.workspace.looked_up.update(unknown)
        await _ask([scoping.lookup(unknown, scoping.inventory_window(deps.now))], deps)
    return bool(unknown)


def _reach_window(scope: Scope, deps: Deps) -> Window:
    """Neighbours may lie a little outside the question's window, never in the future."""
    start = scope.window.start - timedelta(hours=1)
    return Window(start=start, end=min(scope.window.end + timedelta(hours=1), deps.now + timedelta(seconds=1)))


def _searches(hunt: Hunt, scope: Scope, deps: Deps) -> list[Wanted]:
    return hunt_searches(hunt, slots_of(scope), scope.window, conclude.addresses(deps))


def _raw_task(query: Query) -> Task:
    given = {name: getattr(query, name) for name in ("platform", "language", "collection", "text", "limit")}
    return {"raw": {**given, "window": query.window.model_dump(mode="json")}, "purpose": "model.raw"}


def _tasks(wanted: list[Wanted], scope: Scope, deps: Deps) -> list[Task]:
    tasks: list[Task] = []
    for item in wanted:
        for part, platforms in askable(item, _platforms(item, scope, deps), deps.now):
            for query in deps.workspace.compile(part, platforms):
                tasks.append(
                    {"search": part.search.model_dump(mode="json"), "view": view_key(query), "purpose": part.purpose}
                )
    return tasks


def _platforms(wanted: Wanted, scope: Scope, deps: Deps) -> frozenset[Platform]:
    """Connected platforms; for a search about certain hosts only those with a sensor on one of them.

    Sentinel collects logs of many sources and is always asked.
    """
    connected = deps.estate.platforms
    if deps.workspace.platforms is not None:
        connected &= deps.workspace.platforms
    if wanted.platforms is not None:
        return connected & wanted.platforms
    known = sensors(list(deps.workspace.events.values()))
    covered = [known[host] for host in wanted.hosts if host in known]
    if not covered or len(covered) < len(wanted.hosts):
        return connected
    near = {Platform(platform) for platforms in covered for platform in platforms}
    if wanted.purpose.startswith(("neighbours.", "baseline.", "alerts.around-")):
        kept = [[platform for platform in SENSOR_ORDER if platform.value in platforms][:2] for platforms in covered]
        return connected & {platform for platforms in kept for platform in platforms}
    return connected & (near | {Platform.SENTINEL})


def _within_budget(planned: list[Task], deps: Deps) -> list[Task]:
    left = deps.budget.queries - deps.workspace.obliged
    if len(planned) > left:
        deps.workspace.skipped += len(planned) - max(left, 0)
    return planned[: max(left, 0)]


def _agreed(planned: list[Task], deps: Deps) -> list[Task]:
    """The queries that the analyst lets pass; those held back are recorded as refused. Without `--step` all pass."""
    confirm = deps.workspace.confirm
    if confirm is None:
        return planned
    agreed = []
    for task in planned:
        query = _query_of(task, deps)
        if confirm(query.text):
            agreed.append(task)
        else:
            deps.workspace.keep(failed(query, "refused", "the analyst did not let it be sent", deps.now))
    return agreed


def fan_out(state: State) -> list[Send] | Literal["runbooks"]:
    """One branch per query; they run at the same time."""
    if not state["planned"]:
        return "runbooks"
    return [Send("search", QueryTask(task=task)) for task in state["planned"]]


async def search(state: QueryTask, runtime: Runtime[Deps]) -> State:
    """Run one query and put its rows into the case. A vendor's failure becomes a row, so the others survive it."""
    deps, task = runtime.context, state["task"]
    query = _query_of(task, deps)
    try:
        async with asyncio.timeout(deps.budget.query_seconds):
            run = await run_query(deps.estate, query, deps.now)
    except TimeoutError:
        run = failed(query, "error", f"no answer within {deps.budget.query_seconds:.0f} s", deps.now)
    record = _keep(run, deps)
    note = RunNote(query=record.id, platform=record.platform, status=record.status, rows=record.rows)
    return {"runs": [note]}


def _query_of(task: Task, deps: Deps) -> Query:
    if "raw" in task:
        raw = task["raw"]
        return raw_query(
            Platform(raw["platform"]), Language(raw["language"]), raw["collection"], raw["text"],
            Window.model_validate(raw["window"]), raw["limit"],
        )  # fmt: skip
    known = deps.workspace.planned(task["view"])
    if known is not None:
        return known
    platform = Platform(task["view"].partition(":")[0])
    for item in translate(Search.model_validate(task["search"]), platforms=frozenset({platform}), hunt=task["purpose"]):
        if isinstance(item, Query) and view_key(item) == task["view"]:
            return item
    raise QueryError(f"the planned query for {task['view'][:80]} cannot be compiled again; ask the question anew")


async def _ask(wanted: list[Wanted], deps: Deps, scope: Scope | None = None) -> bool:
    """Run searches at once, outside the fan-out (look-ups of the scope, baselines); whether any was new."""
    everywhere = deps.estate.platforms
    if deps.workspace.platforms is not None:
        everywhere &= deps.workspace.platforms
    queries = [
        query
        for item in wanted
        for part, platforms in askable(item, _platforms(item, scope, deps) if scope else everywhere, deps.now)
        for query in deps.workspace.compile(part, platforms)
    ]
    runs = await asyncio.gather(*(run_query(deps.estate, query, deps.now) for query in queries))
    for run in runs:
        _keep(run, deps)
    _require_a_way_in(deps)
    return bool(runs)


def _keep(run: QueryRun, deps: Deps) -> QueryRecord:
    record, found = deps.workspace.keep(run)
    deps.emit({"type": "query", "query": record.model_dump(mode="json")})
    for item in found:
        deps.emit({"type": "evidence", "id": item.id, "alias": item.alias, "query": record.id})
    return record


def _require_a_way_in(deps: Deps) -> None:
    """Stop when every query was refused because of the credentials: more of the same helps nobody.

    Raises:
        VendorAuthError: with what one of the vendors said.
    """
    workspace = deps.workspace
    if workspace.sent and workspace.locked_out == workspace.sent:
        last = next(record for record in reversed(workspace.records.values()) if record.error)
        said = f"every platform refused the credentials; {last.platform} says: {last.error}"
        raise VendorAuthError(said, platform=last.platform, operation="query")


async def evidence(state: State, runtime: Runtime[Deps]) -> Command[Literal["think", "runbooks"]]:
    """Look at what came back: go on while findings oblige more searches and the budget lasts."""
    deps = runtime.context
    _require_a_way_in(deps)
    spent = state.get("turn", 0) >= deps.budget.turns or deps.workspace.obliged >= deps.budget.queries
    return Command(goto="runbooks" if spent else "think")


async def runbooks(state: State, runtime: Runtime[Deps]) -> State:
    """Find the runbook sections that fit the question and what was found."""
    conclude.find_runbooks(state, runtime.context)
    return {}


async def timeline(state: State, runtime: Runtime[Deps]) -> State:
    """Build the story, its claims and entries, and the gaps."""
    conclude.tell(state, runtime.context)
    return {}


async def verify(state: State, runtime: Runtime[Deps]) -> State:
    """Check every claim against the rows that it cites."""
    conclude.verify(state, runtime.context)
    return {}


async def propose(state: State, runtime: Runtime[Deps]) -> State:
    """Propose what follows from verified claims, and write the answer into the case; nothing is executed here."""
    ids = conclude.propose(state, runtime.context)
    return {"approval_ids": ids}


def respond_to_each(state: State) -> list[Send] | Literal["__end__"]:
    """One task, one interrupt and one decision per action."""
    waiting = state.get("approval_ids") or []
    return [Send("respond", {"approval_id": approval_id}) for approval_id in waiting] or "__end__"


def build() -> StateGraph[State, Deps, State, State]:
    """The graph, not compiled."""
    graph = StateGraph(State, context_schema=Deps)
    graph.add_node("route", route)
    graph.add_node("explain", explain)
    graph.add_node("scope", scope)
    graph.add_node("think", think)
    graph.add_node("plan", lambda state: {})
    graph.add_node("search", search, input_schema=QueryTask)
    graph.add_node("evidence", evidence)
    graph.add_node("runbooks", runbooks)
    graph.add_node("timeline", timeline)
    graph.add_node("verify", verify)
    graph.add_node("propose", propose)
    graph.add_node("respond", response_graph())
    graph.add_edge(START, "route")
    graph.add_edge("explain", "timeline")
    graph.add_conditional_edges("plan", fan_out, ["search", "runbooks"])
    graph.add_edge("search", "evidence")
    graph.add_edge("runbooks", "timeline")
    graph.add_edge("timeline", "verify")
    graph.add_edge("verify", "propose")
    graph.add_conditional_edges("propose", respond_to_each, ["respond", END])
    graph.add_edge("respond", END)
    return graph


def compile_graph(checkpointer: BaseCheckpointSaver[Any] | None) -> CompiledStateGraph[State, Deps, State, State]:
    """The investigation graph over a checkpointer; without one, approvals cannot be resumed through the graph."""
    return build().compile(checkpointer=checkpointer, name="investigate")
