"""From searches to queries and from queries to rows: which platform is asked, what budget and analyst let pass.

Two ways lead from here to the vendors: `run` for one query, which is what a branch of the fan-out does, and `ask` for
the look-ups that have to be answered before anything else can be planned.
"""

import asyncio
from collections.abc import Sequence

from ..knowledge.errors import QueryError, VendorAuthError
from ..tools.evidence.records import QueryRecord
from ..tools.languages.query import Language, Platform, Query
from ..tools.languages.search import Search, Window
from ..tools.languages.translate import translate
from ..tools.vendors.estate import QueryRun
from .plan import Wanted, askable
from .state import Deps, Task
from .workspace import failed, run_query, view_key

SENSOR_ORDER = (Platform.DEFENDER, Platform.FALCON, Platform.SENTINELONE)
"""Of a host's sensors at most two are asked about its neighbourhood, the quickest to answer first."""


def queries_for(wanted: Wanted, deps: Deps) -> list[tuple[Wanted, Query]]:
    """The queries of a search that were not asked before, each with the search in the window that it is asked for."""
    return [
        (part, query)
        for part, platforms in askable(wanted, platforms_for(wanted, deps), deps.now)
        for query in deps.workspace.compile(part, platforms)
    ]


def platforms_for(wanted: Wanted, deps: Deps) -> frozenset[Platform]:
    """Connected platforms; for a search about certain hosts only those with a sensor on one of them.

    Sentinel collects logs of many sources and is asked too, unless the search is for the hosts' own sensors.
    """
    if wanted.platforms:
        return deps.platforms & wanted.platforms
    known = deps.workspace.sensors
    covered = [known[host] for host in wanted.hosts if host in known]
    if not covered or len(covered) < len(wanted.hosts):
        return deps.platforms
    if wanted.own_sensors:
        near = {platform for on in covered for platform in [item for item in SENSOR_ORDER if item.value in on][:2]}
        return deps.platforms & near
    return deps.platforms & ({Platform(platform) for on in covered for platform in on} | {Platform.SENTINEL})


def tasks_for(wanted: Sequence[Wanted], deps: Deps) -> list[Task]:
    """One task for each query that the searches need."""
    return [
        {"search": part.search.model_dump(mode="json"), "view": view_key(query), "purpose": part.purpose}
        for item in wanted
        for part, query in queries_for(item, deps)
    ]


def raw_task(query: Query) -> Task:
    """A task for a query that a model wrote itself."""
    given = {name: getattr(query, name) for name in ("platform", "language", "collection", "text", "limit")}
    return {"raw": {**given, "window": query.window.model_dump(mode="json")}, "purpose": "model.raw"}


def within_budget(planned: list[Task], deps: Deps) -> list[Task]:
    """As many as the budget leaves; the others are counted, and told as a gap."""
    left = max(deps.budget.queries - deps.workspace.obliged, 0)
    deps.workspace.skipped += len(planned[left:])
    return planned[:left]


def agreed(planned: Sequence[Task], deps: Deps) -> list[Task]:
    """The tasks whose queries the analyst lets pass."""
    return [task for task in planned if _lets_pass(query_of(task, deps), deps)]


def _lets_pass(query: Query, deps: Deps) -> bool:
    """Without `--step` every query passes; one that is held back is recorded as refused."""
    if deps.workspace.confirm is None or deps.workspace.confirm(query.text):
        return True
    deps.workspace.keep(failed(query, "refused", "the analyst did not let it be sent", deps.now))
    return False


def query_of(task: Task, deps: Deps) -> Query:
    """The query of a task; after a restart it is compiled again.

    Raises:
        QueryError: the views or hunts have changed since it was planned.
    """
    if "raw" in task:
        raw = task["raw"]
        return deps.ways.query(
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


async def ask(wanted: Sequence[Wanted], deps: Deps) -> bool:
    """Run searches at once, outside the fan-out (look-ups of the scope, baselines); whether any was new."""
    queries = [query for item in wanted for _, query in queries_for(item, deps)]
    runs = await asyncio.gather(*(run(query, deps) for query in queries if _lets_pass(query, deps)))
    for each in runs:
        keep(each, deps)
    require_a_way_in(deps)
    return bool(runs)


async def run(query: Query, deps: Deps) -> QueryRun:
    """Run one query, in bounded time. A vendor's failure becomes the run's status, so the others survive it."""
    try:
        async with asyncio.timeout(deps.budget.query_seconds):
            return await run_query(deps.estate, query, deps.now)
    except TimeoutError:
        return failed(query, "error", f"no answer within {deps.budget.query_seconds:.0f} s", deps.now)


def keep(found_by: QueryRun, deps: Deps) -> QueryRecord:
    """Put a run's rows into the case, and tell who listens."""
    record, found = deps.workspace.keep(found_by)
    deps.emit({"type": "query", "query": record.model_dump(mode="json")})
    for item in found:
        deps.emit({"type": "evidence", "id": item.id, "alias": item.alias, "query": record.id})
    return record


def require_a_way_in(deps: Deps) -> None:
    """Stop when every query was refused because of the credentials: more of the same helps nobody.

    Raises:
        VendorAuthError: with what one of the vendors said.
    """
    workspace = deps.workspace
    if workspace.sent and workspace.locked_out == workspace.sent:
        last = next(record for record in reversed(workspace.records.values()) if record.error)
        said = f"every platform refused the credentials; {last.platform} says: {last.error}"
        raise VendorAuthError(said, platform=last.platform, operation="query")
