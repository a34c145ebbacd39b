"""Paired runs: a whole investigation and the bare graph, in turn, against vendors in another process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from ...agent import Copilot, Settings
from ...knowledge.errors import ConfigurationError, UsageError
from ...tools.response import ensure_lab_approvers
from ...tools.vendors.connect import estate
from ...tools.vendors.estate import Estate
from ...tools.vendors.settings import EstateSettings
from ..lab.connect import environment
from ..lab.lab import Lab
from .bare import bare_graph
from .stages import STAGES, Logbook, covered, stage_clock, watched


@dataclass(frozen=True)
class Ask:
    """What one ask took, in milliseconds."""

    wall: float
    cpu: float
    """Of this process."""
    stages: Mapping[str, float]
    slowest: Mapping[str, float]
    """Platform to the time for which a round waited for a query of it."""
    queries: int
    rounds: int
    failed: int
    """Queries that brought no answer; where there are any, the times say little."""


@dataclass(frozen=True)
class Pair:
    """One ask and one run of the bare graph with the same queries."""

    ask: Ask
    bare: float
    bare_cpu: float


@contextmanager
def served(lab: Lab, delay_ms: int) -> Iterator[Mapping[str, str]]:
    """Serve a lab from another process; gives the settings that reach it, as environment variables.

    Raises:
        ConfigurationError: the server does not start.
    """
    serve = ["lab", "serve", "--lab", str(lab.directory), "--delay-ms", str(delay_ms), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tracehound.cli", *serve], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise ConfigurationError("`tracehound lab serve` ended before it served; its message is above")
        described = json.loads(line)
        yield environment(described["vendors"], described["ca_file"])
    finally:
        process.terminate()
        process.wait(timeout=20)


@dataclass(frozen=True)
class Bench:
    """A copilot over served vendors, and what is needed to run the bare graph beside it.

    Every run has connections and tokens of its own, as a command of its own would. A served lab's clock jumps over the
    waits of its vendors, so that tokens held from run to run would age by hours.
    """

    copilot: Copilot
    lab: Lab
    vendors: EstateSettings
    book: Logbook

    @asynccontextmanager
    async def estate(self) -> AsyncIterator[Estate]:
        """The vendors, freshly connected."""
        over_https = estate(self.vendors, kind="lab", name=str(self.lab.directory), now=lambda: self.lab.clock)
        try:
            yield over_https
        finally:
            await over_https.aclose()

    async def pairs(self, question: str, count: int) -> AsyncIterator[Pair]:
        """Ask and bare run in turn, the order changing each time; one of each before, uncounted, warms both up.

        Raises:
            UsageError: the lab's copilot declines the question.
        """
        await self.ask(question)
        await self.bare()
        for number in range(count):
            bare = await self.bare() if number % 2 else None
            ask = await self.ask(question)
            yield Pair(ask, *(bare or await self.bare()))

    async def ask(self, question: str) -> Ask:
        """One whole investigation."""
        self.book.calls.clear()
        async with self.estate() as fresh:
            self.copilot.estate = watched(fresh, self.book)
            with stage_clock() as clock:
                before, cpu = time.perf_counter(), time.process_time()
                answer = await self.copilot.ask(question)
                wall, cpu = time.perf_counter() - before, time.process_time() - cpu
        if answer.declined is not None:
            raise UsageError(f"the question was declined ({answer.declined.reason}); ask one that the lab answers")
        stages = {name: 1000 * covered(clock.spans.get(name, ())) for name in STAGES}
        inside = covered([span for spans in clock.spans.values() for span in spans])
        stages["between stages"] = 1000 * (wall - inside)
        failed = sum(query.status != "ok" for query in answer.queries)
        slowest = dict.fromkeys((platform.value for platform in sorted(fresh.platforms)), 0.0)
        for call in self.book.slowest():
            slowest[call.query.platform.value] += 1000 * call.seconds
        rounds = len(self.book.rounds())
        return Ask(1000 * wall, 1000 * cpu, stages, slowest, len(self.book.calls), rounds, failed)

    async def bare(self) -> tuple[float, float]:
        """The queries of the last ask in a bare graph: wall and CPU, in milliseconds."""
        rounds = [[call.query for call in batch] for batch in self.book.rounds()]
        async with self.estate() as fresh:
            graph = bare_graph(fresh, rounds)
            before, cpu = time.perf_counter(), time.process_time()
            await graph.ainvoke({"round": 0, "rows": 0}, {"recursion_limit": 2 * len(rounds) + 10})
            return 1000 * (time.perf_counter() - before), 1000 * (time.process_time() - cpu)


@asynccontextmanager
async def opened(lab: Lab, env: Mapping[str, str], settings: Settings) -> AsyncIterator[Bench]:
    """A bench over the served vendors of a lab; its cases are thrown away."""
    with TemporaryDirectory(prefix="tracehound-bench-", ignore_cleanup_errors=True) as home:
        ensure_lab_approvers(Path(home))
        vendors = EstateSettings.from_environment(env)
        idle = Estate(kind="lab", readers=(), now=lambda: lab.clock)
        async with Copilot(estate=idle, settings=settings, home=Path(home)) as copilot:
            yield Bench(copilot, lab, vendors, Logbook())


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    p95 = quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
    return {"p50": round(median(values), 3), "p95": round(p95, 3)}


def summary(found: Sequence[Pair], lab: Lab, delay_ms: int, question: str) -> dict[str, Any]:
    """The report of a run, `tracehound.bench/1`; times in milliseconds."""
    asks = [pair.ask for pair in found]
    return {
        "schema": "tracehound.bench/1",
        "question": question,
        "asks": len(found),
        "delay_ms": delay_ms,
        "events": lab.info()["events"],
        "machine": machine(),
        "queries": round(median([ask.queries for ask in asks])),
        "failed_queries": sum(ask.failed for ask in asks),
        "rounds": round(median([ask.rounds for ask in asks])),
        "wall_ms": spread([ask.wall for ask in asks]),
        "cpu_ms": spread([ask.cpu for ask in asks]),
        "stages_ms": {name: spread([ask.stages[name] for ask in asks]) for name in asks[0].stages},
        "slowest_vendor_ms": spread([sum(ask.slowest.values()) for ask in asks]),
        "waited_for_ms": {name: spread([ask.slowest[name] for ask in asks]) for name in asks[0].slowest},
        "bare_ms": spread([pair.bare for pair in found]),
        "bare_cpu_ms": spread([pair.bare_cpu for pair in found]),
        "wall_to_slowest_vendor": spread([ask.wall / sum(ask.slowest.values()) for ask in asks]),
        "whole_to_bare": spread([pair.ask.wall / pair.bare for pair in found]),
    }


def machine() -> dict[str, Any]:
    """Cores, and the load average of the last minute where the system keeps one."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"cores": os.cpu_count(), "load": load, "python": sys.version.split()[0], "platform": sys.platform}
