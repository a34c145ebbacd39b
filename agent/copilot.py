"""The copilot as other programs hold it: ask, stream, approve, tools, graph."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import aiosqlite
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph.state import CompiledStateGraph

from ..graphs.calling import Caller
from ..graphs.draft import Draft
from ..graphs.investigate import compile_graph
from ..graphs.state import GRAPH_VERSION, SERDE, Budget, Deps, State
from ..graphs.ways import Ways
from ..graphs.workspace import Workspace
from ..knowledge.errors import ConfigurationError, NotSupportedError, UsageError
from ..tools.evidence.case import Case
from ..tools.evidence.records import Answer
from ..tools.languages.query import UNCONNECTED, Platform
from ..tools.response import Approver, Desk, Outcome, ensure_lab_approvers
from ..tools.vendors.attribution import attributed
from ..tools.vendors.estate import Estate
from .hunting import question_of
from .models import close_model, open_model
from .moment import read_moment
from .settings import Settings, check_folder, require_question
from .shelves import open_library, open_retrieval

RECURSION_LIMIT = 60


class Copilot:
    """An investigation copilot over an estate.

    Use it in `async with`. One instance serves many questions, one after the other or side by side in different cases.
    """

    def __init__(
        self,
        estate: Estate,
        model: str | BaseChatModel | None = None,
        *,
        settings: Settings | None = None,
        home: Path | None = None,
        budget: Budget | None = None,
        ways: Ways | None = None,
    ) -> None:
        """Connect a model to an estate.

        Args:
            estate: The vendors, `Lab.open().estate()` or `Copilot.from_settings`.
            model: `offline`, a model's name, or a LangChain chat model; the settings' model by default.
            settings: Settings; read from the environment by default.
            home: Folder of cases and approvals, instead of the settings' one.
            budget: Limits of one question.
            ways: How a model takes part; evals compare them.

        Raises:
            ConfigurationError: queries that were not checked by the product are meant for live vendors.
        """
        if ways is not None and ways.query is not Ways().query and estate.kind == "live":
            raise ConfigurationError("queries to live vendors are always checked; compare other ways on a lab")
        self.ways = ways or Ways()
        self.settings = settings or Settings()
        self.estate = estate
        self.home = check_folder(home or self.settings.home)
        chosen = model if model is not None else self.settings.get("model", "offline")
        self.model_name = chosen if isinstance(chosen, str) else getattr(chosen, "model_name", type(chosen).__name__)
        dialect = self.settings.get("dialect", "auto")
        if dialect not in ("auto", "native", "json_schema", "fenced"):
            raise ConfigurationError(f"TRACEHOUND_DIALECT is {dialect!r}; use auto, native, json_schema or fenced")
        self._opened_model = isinstance(chosen, str)
        opened = open_model(chosen, self.settings) if isinstance(chosen, str) else chosen
        self.caller = Caller(opened, dialect)  # type: ignore[arg-type]
        self.budget = budget or Budget(default_days=self.settings.window_days)
        self.library = open_library(self.settings)
        if estate.kind == "lab":
            ensure_lab_approvers(self.home)
        self.desk = Desk(self.home, estate.kind)
        self._retrieval: Any = None
        self._stack = AsyncExitStack()
        self._graph: CompiledStateGraph[State, Deps, State, State] | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The copilot on the live vendors of the settings.

        Raises:
            ConfigurationError: no vendor is configured; names the lab as the way to try without one.
        """
        from ..tools.vendors.connect import estate
        from ..tools.vendors.settings import EstateSettings

        if not settings.has_vendors:
            raise ConfigurationError(
                "no vendor is configured (TRACEHOUND_FALCON_*, TRACEHOUND_SENTINELONE_*, TRACEHOUND_MICROSOFT_*); "
                "to try without one, pass the lab: Copilot(estate=Lab.open().estate())"
            )
        configured = EstateSettings.from_environment(settings.vendor_environment())
        live = estate(configured, kind="live", name="", now=lambda: datetime.now(UTC))
        return cls(estate=live, settings=settings)

    async def __aenter__(self) -> Self:
        connection = await self._stack.enter_async_context(aiosqlite.connect(self.home / "checkpoints.sqlite"))
        # A killed process loses nothing; after a power cut the case and the ledger, on synchronous=FULL, still hold all.
        await connection.execute("pragma journal_mode = wal")
        await connection.execute("pragma synchronous = normal")
        self._graph = compile_graph(AsyncSqliteSaver(connection, serde=SERDE))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.estate.aclose()
        if self._opened_model:
            await close_model(self.caller.model)
        await self._stack.aclose()

    @property
    def graph(self) -> CompiledStateGraph[State, Deps, State, State]:
        """The compiled LangGraph graph, for composition."""
        return self._graph if self._graph is not None else compile_graph(None)

    async def ask(self, question: str, **options: Any) -> Answer:
        """Answer one question; the options are those of `stream`."""
        answer: Answer | None = None
        async for event in self.stream(question, **options):
            if event["type"] == "result":
                answer = event["answer"]
        assert answer is not None
        return answer

    async def stream(
        self,
        question: str,
        *,
        case: str | None = None,
        now: str | datetime | None = None,
        since: str | None = None,
        until: str | None = None,
        platforms: Sequence[str] | None = None,
        confirm: Callable[[str], bool] | None = None,
        hunt: tuple[str, Mapping[str, Sequence[str]]] | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Answer one question, telling what happens while it happens.

        Args:
            question: The analyst's words.
            case: Id of a case to go on with; a new one is made otherwise.
            now: What `now` means; the estate's clock by default.
            since: Start of the window, ISO or words.
            until: End of the window, ISO or words.
            platforms: Only these platforms.
            confirm: Asked with the text of each query before it is sent.
            hunt: Run exactly this hunt, with these parameters, instead of choosing.

        Yields:
            Events `session`, `plan`, `query`, `evidence`, `claim`, `gap`, `approval`, `text`, and last `result` with
            the `Answer` under `answer`.
        """
        text = require_question(question)
        moment = self.estate.now() if now is None else read_moment(now)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        opened = Case.open(self.home, case, wait=2.0) if case else Case.create(self.home)
        with opened:
            workspace = Workspace(opened, self.library, platforms=_platforms(platforms), confirm=confirm, draft=Draft())
            if case:
                workspace.recall()
            else:
                opened.add_traffic("estate", described(self.estate))
            deps = Deps(
                estate=self.estate,
                library=self.library,
                caller=self.caller,
                workspace=workspace,
                desk=self.desk,
                home=self.home,
                now=moment,
                user=self.settings.user,
                model_name=self.model_name,
                budget=self.budget,
                ways=self.ways,
                search_text=self._search_text,
                emit=lambda event: queue.put_nowait(dict(event)),
            )
            options = {"since": since, "until": until, "hunt": list(hunt) if hunt else None}
            work = asyncio.ensure_future(self._run(text, opened.id, options, deps))
            work.add_done_callback(lambda _: queue.put_nowait(None))
            try:
                while (event := await queue.get()) is not None:
                    yield event
                await work
            finally:
                if not work.done():
                    work.cancel()
                    await asyncio.gather(work, return_exceptions=True)
            answer = workspace.answer
            assert answer is not None
            yield {"type": "result", "answer": answer}

    async def _run(self, question: str, case: str, options: dict[str, Any], deps: Deps) -> None:
        from langsmith import tracing_context

        asked = deps.workspace.platforms
        number = deps.workspace.case.add_traffic(
            "turn",
            {
                "question": question,
                "now": deps.now.isoformat(),
                "options": options,
                "platforms": sorted(item.value for item in asked) if asked else None,
            },
        )
        # Every question has a thread of its own: nothing of one that was declined or broke off reaches the next.
        config = _config(f"{case}:{number}")
        # LangSmith would send prompts away when its variable is set; evidence leaves by no side door.
        with tracing_context(enabled=False), attributed(case=case):
            await self.graph.ainvoke(
                {"question": question, "case": case, "options": options},
                config,
                context=deps,
                durability="sync",
                version="v2",
            )

    def _search_text(self, query: str, k: int) -> list[Any]:
        if self._retrieval is None:
            self._retrieval = open_retrieval(self.settings)
        return list(self._retrieval.search(query, k))

    async def hunt(self, hunt_id: str, values: Mapping[str, Sequence[str]], **options: Any) -> Answer:
        """Run one hunt of the library with parameters."""
        from ..tools.hunts import check_parameters

        chosen = self.library.get(hunt_id)
        check_parameters(chosen, values)
        return await self.ask(question_of(chosen, values), hunt=(hunt_id, values), **options)

    async def approve(self, proposal_id: str, *, approver: Approver) -> Outcome:
        """Decide for one action, with a person's key; it is executed at once by the executor process."""
        from .decisions import decide

        return await decide(self.desk, self.estate, proposal_id, approver)

    def tools(self) -> list[Any]:
        """LangChain tools, for other agents: ask, translate, check, explain. None of them changes anything."""
        from .toolbox import toolbox

        return toolbox(self)


def described(estate: Estate) -> dict[str, Any]:
    """What a case keeps of the estate that it was asked of, so that it can be asked again without it."""
    return {
        "kind": estate.kind,
        "name": estate.name,
        "platforms": sorted(platform.value for platform in estate.platforms),
        "retention_days": {platform.value: days for platform, days in estate.retention_days.items()},
        "tenants": {platform.value: tenant for platform, tenant in estate.tenants.items()},
    }


def _config(thread_id: str) -> RunnableConfig:
    return {
        "configurable": {"thread_id": thread_id},
        "metadata": {"graph_version": GRAPH_VERSION},
        "recursion_limit": RECURSION_LIMIT,
    }


def _platforms(names: Sequence[str] | None) -> frozenset[Platform] | None:
    if not names:
        return None
    known = {item.value: item for item in Platform}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no platform {name!r}; the platforms are {', '.join(known)}")
        if known[name] in UNCONNECTED:
            raise NotSupportedError(
                f"asking {name}, which has no client; `translate` and `check` write and check its queries"
            )
    return frozenset(known[name] for name in names)
