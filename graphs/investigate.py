"""The investigation graph.

    START -> route -> scope -> think -> search x N -> evidence -> (think again | runbooks) -> timeline -> verify
          -> propose -> respond x M [approve -> execute] -> END

Nodes are thin: what they decide is decided by pure functions in the modules beside this one. Nodes have no effect
before an interrupt, since LangGraph runs a resumed node again from its first line.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, Send

from ..tools.hunts import Hunt
from ..tools.languages.entities import Entities, find_entities
from ..tools.languages.search import Search, Window
from ..tools.languages.window import parse_window, without_time
from . import alerts, conclude, following, references, scoping, telling
from .asking import agreed, ask, keep, query_of, raw_task, require_a_way_in, run, tasks_for, within_budget
from .clauses import PLAIN, asked_by_parts
from .consult import consult
from .draft import story
from .matching import OFF_TOPIC, is_about_an_estate, match_hunts, slots_of, why_declined
from .neighbours import baseline, neighbours
from .obliged import obliged_hunts
from .orders import can_be_proposed, reason_of, without_haste
from .pivots import pivot
from .plan import Wanted, findings_about, hunt_searches, mails_about
from .proposing import HARM, refused_acts
from .relating import (
    asked_relations,
    asks_for_several,
    first_searches,
    next_searches,
    with_included,
    with_labelling,
)
from .respond import response_graph
from .routing import asks_outbound, route_of
from .state import Deps, QueryTask, Scope, State, Task
from .targets import target_of
from .think import Candidate


async def route(state: State, runtime: Runtime[Deps]) -> Command[Literal["scope", "explain", "runbooks"]]:
    """Decide what kind of question this is, from its words alone."""
    named_hunt = state.get("options", {}).get("hunt")
    asked = following.Question(state["question"]) if named_hunt else _in_full(state["question"], runtime.context)
    question = asked.text
    entities = find_entities(question)
    chosen = "search" if named_hunt else route_of(question, alert_ids=entities.values("alert"))
    runtime.context.emit({"type": "session", "case": runtime.context.workspace.case.id, "route": chosen})
    target: Literal["scope", "explain", "runbooks"] = (
        "explain" if chosen == "explain" else "runbooks" if chosen == "runbook" else "scope"
    )
    update: State = {"question": question, "said": state["question"], "route": chosen, "turn": 0, "planned": []}
    if asked.window is not None:
        span = {"since": asked.window.start.isoformat(), "until": asked.window.end.isoformat()}
        update["options"] = {**state.get("options", {}), **span}
    return Command(update=update, goto=target)


def _in_full(said: str, deps: Deps) -> following.Question:
    """The question with what its words leave to earlier ones of the case."""
    case = deps.workspace.case
    earlier = deps.workspace.earlier
    if not earlier:
        return following.Question(said)
    return following.in_full(said, earlier, case.last_answer(), case.window(), deps.now)


async def explain(state: State, runtime: Runtime[Deps]) -> State:
    """Explain an artefact; reads no vendor."""
    conclude.explain(state, runtime.context)
    return {"declined": None}


async def scope(state: State, runtime: Runtime[Deps]) -> Command[Literal["think", "timeline", "propose"]]:
    """Fix what the question is about: entities, hosts that exist, window, obliged hunts."""
    deps = runtime.context
    found, why_not = await _scope(state, deps)
    if why_not is not None:
        return Command(update={"scope": found, "declined": why_not}, goto="timeline")
    orders = state["route"] == "respond" and not _tells_of_something(state["question"], found, deps)
    goto: Literal["think", "propose"] = "propose" if orders else "think"
    return Command(update={"scope": found}, goto=goto)


def _tells_of_something(question: str, scope: Scope, deps: Deps) -> bool:
    """Whether a supported order comes with what happened: that is looked at as well, before a person decides."""
    reason = reason_of(question)
    if not (can_be_proposed(question) and (reason or not parse_window(without_haste(question), deps.now).used_default)):
        return False
    return any(item.fits for item in near_hunts(reason or question, scope, deps))


async def _scope(state: State, deps: Deps) -> tuple[Scope, dict[str, Any] | None]:
    options = state.get("options", {})
    question = state["question"]
    if options.get("hunt"):
        return await _scope_of_hunt(options, deps)
    known = deps.workspace.case.entities()
    entities = find_entities(question, known_hosts=known.get("host", ()), known_users=known.get("user", ()))
    meant = _meant(question, entities, deps)
    family = None if "host" in meant else references.family_of(question, entities)
    role = None if "user" in meant else references.role_of(question, entities)
    if state["route"] == "search" and not (entities or meant or family or role):
        near = near_hunts(question, scoping.nowhere(deps.now), deps)
        if not is_about_an_estate(question, near):
            return scoping.nowhere(deps.now), declined(OFF_TOPIC, nearest=near)
    window, is_default = scoping.resolve_window(
        without_haste(question) if state["route"] == "respond" else question,
        deps.now,
        since=options.get("since"),
        until=options.get("until"),
        case_window=deps.workspace.case.window(),
        default_days=deps.budget.default_days,
    )
    if state["route"] == "off_topic":
        return scoping.nowhere(deps.now), declined(HARM)
    target = await target_of(question, entities, deps) if state["route"] == "respond" else None
    if target is not None:
        meant = {**meant, "host": target.hosts, "user": target.users or meant.get("user", ())}
    named = list(target.hosts if target is not None else entities.hosts or meant.get("host", ()))
    outbound = asks_outbound(question, tuple(named))
    scope = scoping.scope_of(entities, window, is_default, outbound, meant)
    if target is not None:
        scope = scope.model_copy(update={"hosts": target.hosts})
        if target.why_not:
            return scope, declined(f"{refused_acts(question)}{target.why_not}", candidates=target.candidates)
    if state["route"] == "search" and (family or role):
        why_not = await _ask_back(family, role, window, deps)
        if why_not is not None:
            return scope, why_not
    if state["route"] == "alert":
        return await _scope_of_alert(scope, deps)
    why_not = await _check_hosts(named, deps) if named else None
    scope = scope.model_copy(update={"sensors": deps.workspace.sensors})
    if why_not is None and state["route"] == "search":
        why_not = _oblige(question, scope, deps)
    return scope, why_not


def _meant(question: str, entities: Entities, deps: Deps) -> Mapping[str, tuple[str, ...]]:
    """What the question's references mean in this case; a new case has nothing that they could mean."""
    case = deps.workspace.case
    if not references.refers(question):
        return {}
    earlier = deps.workspace.earlier
    return references.resolved(question, entities, earlier, case.last_answer()) if earlier else {}


async def _ask_back(
    family: str | None, role: references.Role | None, window: Window, deps: Deps
) -> dict[str, Any] | None:
    """Which host of a family or which account in a role is meant, when there are several."""
    if family:
        await ask([scoping.similar(family, scoping.inventory_window(deps.now))], deps)
        hosts = tuple(
            sorted({item.host for item in deps.workspace.devices if item.host and item.host.startswith(family)})
        )
        if len(hosts) > 1:
            return declined(f"several hosts are called {family}...; name the one that is meant", candidates=hosts)
    if role:
        wanted = [
            Wanted(Search(event_class=t.event_class, where=t.where, window=window), "inventory.accounts")
            for t in role.seen
        ]
        await ask(wanted, deps)
        accounts = references.players(role, deps.workspace.happenings())
        if len(accounts) > 1:
            reason = f"several accounts may be meant by the {role.what}; name the one that is meant"
            return declined(reason, candidates=accounts)
    return None


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
    why_not = await _check_hosts(list(scope.hosts), deps) if scope.hosts else None
    return scope.model_copy(update={"sensors": deps.workspace.sensors}), why_not


async def _check_hosts(named: list[str], deps: Deps) -> dict[str, Any] | None:
    window = scoping.inventory_window(deps.now)
    await ask([scoping.lookup(named, window)], deps)
    found = scoping.match_hosts(named, deps.workspace.devices)
    if found.unknown and not _inventories_answered(deps):
        return None
    if found.unknown:
        name = found.unknown[0]
        await ask([scoping.similar(name, window)], deps)
        reason = f"no connected platform knows a host called {name}"
        return declined(reason, candidates=scoping.candidates(name, deps.workspace.devices))
    for name, ids in found.ambiguous.items():
        reason = f"{name} names {len(ids)} different devices; say which one by its id"
        return declined(reason, candidates=[f"{name} ({device_id})" for device_id in ids])
    return None


def _inventories_answered(deps: Deps) -> bool:
    """Whether every inventory that was asked answered whole: only then is a host unknown rather than unseen."""
    asked = [record for record in deps.workspace.records.values() if record.hunt == "inventory.hosts"]
    return all(record.status == "ok" and record.complete for record in asked)


async def _scope_of_alert(scope: Scope, deps: Deps) -> tuple[Scope, dict[str, Any] | None]:
    if not scope.alerts:
        return scope, declined(alerts.NO_ID)
    await ask([alerts.lookup(scope.alerts[0], deps.now)], deps)
    alert = alerts.find(scope.alerts[0], deps.workspace.happenings())
    if alert is None:
        reason = f"no connected platform knows an alert {scope.alerts[0]}"
        return scope, declined(reason)
    if alert.host:
        await ask([scoping.lookup([alert.host], scoping.inventory_window(deps.now))], deps)
    around = alerts.window_around(alert, deps.now)
    hosts = (alert.host,) if alert.host else ()
    users = (alert.user,) if alert.user else ()
    update = {
        "hosts": hosts,
        "users": users,
        "window": around,
        "default_window": False,
        "hunts": tuple(dict.fromkeys(label.hunt for label in deps.workspace.labels(alert.events[0]))),
        "sensors": deps.workspace.sensors,
        "slots": {"host": hosts, "user": users},
    }
    return scope.model_copy(update=update), None


def _oblige(question: str, scope: Scope, deps: Deps) -> dict[str, Any] | None:
    near = near_hunts(question, scope, deps)
    reason = why_declined(question, scope, near)
    return None if reason is None else declined(reason, nearest=near)


def declined(reason: str, candidates: Sequence[str] = (), nearest: Sequence[Candidate] = ()) -> dict[str, Any]:
    """Why a question is not answered, with what may be meant instead."""
    hunts = tuple(near.hunt.id for near in nearest[:3])
    return {"reason": reason, "candidates": tuple(candidates), "nearest": hunts}


def near_hunts(question: str, scope: Scope, deps: Deps) -> list[Candidate]:
    """Hunts that come near the question, best first, with whether their required parameters are known."""
    if deps.search_text is None:
        return []
    found = match_hunts(question, scope, deps.library, deps.search_text)
    if max((item.score for item in found), default=0.0) >= PLAIN or not references.leans(question):
        return found
    # What leans on the question before it and says little by itself asks more about the same thing.
    before = deps.workspace.earlier[-1:]
    again = [item for text in before for item in match_hunts(text, scope, deps.library, deps.search_text)]
    mine = {item.hunt.id for item in found}
    return sorted([*found, *(item for item in again if item.hunt.id not in mine)], key=lambda item: -item.score)


async def think(state: State, runtime: Runtime[Deps]) -> Command[Literal["plan"]]:
    """Let the model choose hunts and searches; what the question and the findings oblige is added by code."""
    deps, scope, turn = runtime.context, state["scope"], state.get("turn", 0)
    wanted: list[Wanted] = []
    extra: list[Wanted] = []
    raw: list[Task] = []
    if turn == 0 and scope.only:
        wanted += _searches(deps.library.get(scope.only), scope, deps)
        wanted += _related_first(scope, state, deps)
    elif turn == 0 and state["route"] in ("search", "respond"):
        candidates = near_hunts(state["question"], scope, deps)
        best = obliged_hunts((item.hunt.id, item.score) for item in candidates if item.fits)
        whole = without_time(state["question"], deps.now)
        if find := deps.search_text:
            best += asked_by_parts(whole, best, lambda part: match_hunts(part, scope, deps.library, find))
        named = bool(scope.hosts or scope.users or scope.addresses or scope.names)
        obliged = with_included(best, candidates, deps.library, named=named) if deps.ways.obliged else ()
        wanted += [item for hunt in obliged for item in _searches(deps.library.get(hunt), scope, deps)]
        findings = findings_about(scope.hosts, scope.users, scope.window)
        mails = mails_about(scope.slots.get("email", ()), scope.window)
        wanted += [item for item in (findings, mails) if item and deps.ways.obliged]
        added = await consult(state["question"], scope, candidates, turn, deps)
        chosen = tuple(hunt for hunt in added.hunts if hunt not in obliged)
        extra += [item for hunt in chosen for item in _searches(deps.library.get(hunt), scope, deps)]
        extra += added.searches
        raw = [raw_task(query) for query in added.queries]
        hunts = tuple(dict.fromkeys((*scope.hunts, *obliged, *chosen)))
        scope = scope.model_copy(update={"hunts": hunts, "added": chosen})
        wanted += _related_first(scope.without_added(), state, deps)
    elif turn == 0:
        alert = alerts.find(scope.alerts[0], deps.workspace.happenings())
        wanted += alerts.around(alert, scope, deps.now) if alert else []
    else:
        wanted += await _following(scope.without_added(), state, deps)
        extra += await _following(scope, state, deps) if scope.added else []
        extra += await pivot(state["question"], scope, story(scope, deps), turn, deps)
    planned = within_budget(tasks_for(wanted, deps), deps)
    planned = agreed([*planned, *_additional(extra, raw, deps)], deps)
    plan = [{"purpose": task["purpose"], "view": task.get("view", "raw")} for task in planned]
    deps.emit({"type": "plan", "turn": turn, "queries": plan})
    return Command(update={"planned": planned, "scope": scope, "turn": turn + 1}, goto="plan")


def _related_first(scope: Scope, state: State, deps: Deps) -> list[Wanted]:
    """What the obliged hunts ask beyond their searches, before anything is known."""
    asked = asked_relations(scope, state["question"], deps.library)
    return first_searches(asked, scope.window, scoping.inventory_window(deps.now), deps.workspace.addresses)


async def _following(scope: Scope, state: State, deps: Deps) -> list[Wanted]:
    """The searches that the story so far obliges."""
    found = story(scope, deps)
    met = await _meet(found.hosts, deps)
    # What is routine has to be known before neighbours are drawn, or an everyday logon leads the search astray.
    if await ask(baseline(found, scope.window), deps) or met:
        found = story(scope, deps)
    asked = asked_relations(scope, state["question"], deps.library)
    asked = with_labelling(asked, found.entries, deps.library)
    rows = deps.workspace.happenings()
    related = next_searches(asked, rows, scope.window, scoping.inventory_window(deps.now))
    if asks_for_several(scope, deps.library):
        return related
    return [*related, *neighbours(found, _reach_window(scope, deps))]


def _additional(extra: list[Wanted], raw: list[Task], deps: Deps) -> list[Task]:
    """What a model added, as far as its own share of the queries goes; what is obliged never waits for it."""
    tasks: list[Task] = list(raw)
    left = deps.budget.added - deps.workspace.added
    for item in extra:
        if len(tasks) < left:
            tasks += tasks_for([item], deps)
    tasks = tasks[: max(left, 0)]
    deps.workspace.added += len(tasks)
    return tasks


async def _meet(hosts: tuple[str, ...], deps: Deps) -> bool:
    """Look up hosts that the story reached: which sensor watches them decides whom to ask next."""
    known = deps.workspace.sensors.keys() | deps.workspace.looked_up
    unknown = [host for host in hosts if host not in known]
    if unknown:
        deps.workspace.looked_up.update(unknown)
        await ask([scoping.lookup(unknown, scoping.inventory_window(deps.now))], deps)
    return bool(unknown)


def _reach_window(scope: Scope, deps: Deps) -> Window:
    """Neighbours may lie a little outside the question's window, never in the future."""
    start = scope.window.start - timedelta(hours=1)
    return Window(start=start, end=min(scope.window.end + timedelta(hours=1), deps.now + timedelta(seconds=1)))


def _searches(hunt: Hunt, scope: Scope, deps: Deps) -> list[Wanted]:
    return hunt_searches(hunt, slots_of(scope), scope.window, deps.workspace.addresses)


def fan_out(state: State) -> list[Send] | Literal["runbooks"]:
    """One branch per query; they run at the same time."""
    if not state["planned"]:
        return "runbooks"
    return [Send("search", QueryTask(task=task)) for task in state["planned"]]


async def search(state: QueryTask, runtime: Runtime[Deps]) -> State:
    """Run one query and put its rows into the case."""
    deps = runtime.context
    keep(await run(query_of(state["task"], deps), deps), deps)
    return {}


async def evidence(state: State, runtime: Runtime[Deps]) -> Command[Literal["think", "runbooks"]]:
    """Look at what came back: go on while findings oblige more searches and the budget lasts."""
    deps = runtime.context
    require_a_way_in(deps)
    spent = state.get("turn", 0) >= deps.budget.turns or deps.workspace.obliged >= deps.budget.queries
    return Command(goto="runbooks" if spent else "think")


async def runbooks(state: State, runtime: Runtime[Deps]) -> State:
    """Find the runbook sections that fit the question and what was found."""
    conclude.find_runbooks(state, runtime.context)
    return {}


async def timeline(state: State, runtime: Runtime[Deps]) -> State:
    """Build the story, its claims and entries, and the gaps."""
    telling.tell(state, runtime.context)
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
