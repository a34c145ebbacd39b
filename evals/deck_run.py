"""Putting a deck's questions to the copilot: each in a home of its own, several at a time, judged as it ends.

Workers are processes, since answering is mostly computing; within one, questions follow each other. What a fault of the
product breaks is one question: it counts as wrong, with the fault's name, and the run goes on.
"""

import asyncio
import multiprocessing
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..agent import Copilot, Settings
from ..agent.outcome import exit_code
from ..knowledge.errors import TracehoundError
from ..tools.evidence.case import Case
from ..tools.evidence.records import Answer
from ..tools.languages.query import Language
from ..tools.languages.translate import check_query
from .deck import DeckItem, Names
from .lab.names import DOMAIN
from .opening import Source, Traffic, opened, tape_path
from .reports import write
from .verdicts import judge

PATIENCE = 900.0
"""Seconds that one turn may take; a model on two cores is slow."""
AT_ONCE = 2
FEW = 3
"""Questions that are not worth starting processes for."""


@dataclass(frozen=True)
class DeckJob:
    """One question of a deck, to be put once to one lab."""

    suite: str
    item: DeckItem
    seed: int | None
    attempt: int
    settings: Settings
    lab: Path | None
    """None: its traffic is replayed."""
    traffic: Traffic = ""
    out: Path | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    """More arguments of the copilot."""

    @property
    def id(self) -> str:
        """What tells it from the others; good as a file name."""
        return sample_id(self.suite, self.item.id, self.seed, self.attempt)

    @property
    def source(self) -> Source:
        """Where its answers come from."""
        return Source(self.lab, self.traffic, tape_path(self.out, self.id))


def sample_id(suite: str, case: str, seed: int | None, attempt: int) -> str:
    """What tells one sample from the others; good as a file name."""
    parts = [suite, case, *([f"seed-{seed}"] if seed is not None else [])]
    return ".".join([*parts, *([f"try-{attempt}"] if attempt > 1 else [])])


@dataclass(frozen=True)
class Turn:
    """One turn as it went."""

    question: str
    answer: Answer | None
    code: int
    seconds: float
    error: str | None = None
    written: tuple[tuple[str, bool], ...] = ()
    """Queries that the model wrote, and whether the check passes them."""


async def run_deck(
    jobs: Sequence[DeckJob], workers: int, tell: Callable[[str], None] = lambda line: None
) -> list[dict[str, Any]]:
    """Put every question, as many at a time as there are workers; gives a row for each, in the order of the jobs.

    Args:
        jobs: The questions.
        workers: Processes; 1 stays in this one.
        tell: Gets a line for each question as it ends.
    """
    rows: dict[str, dict[str, Any]] = {}
    async for row in _one_by_one(jobs) if workers < 2 or len(jobs) <= FEW else _side_by_side(jobs, workers):
        rows[row["id"]] = row
        tell(f"{row['case']:<8} {row['outcome']:<9}{row['wall_ms'] / 1000:6.1f} s  {'; '.join(row['missing'])[:200]}")
    return [rows[job.id] for job in jobs]


def workers_for(model: str) -> int:
    """How many questions to put at a time; a model's server is asked one at a time, so that its times can be compared."""
    return min(AT_ONCE, os.cpu_count() or 1) if model == "offline" else 1


async def _one_by_one(jobs: Iterable[DeckJob]) -> AsyncIterator[dict[str, Any]]:
    for job in jobs:
        yield await put(job)


async def _side_by_side(jobs: Sequence[DeckJob], workers: int) -> AsyncIterator[dict[str, Any]]:
    loop = asyncio.get_running_loop()
    # Spawned, not forked: threads and open databases do not survive a fork, and Windows has none.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for ended in asyncio.as_completed([loop.run_in_executor(pool, _in_a_process, job) for job in jobs]):
            yield await ended


def _in_a_process(job: DeckJob) -> dict[str, Any]:
    return asyncio.run(put(job))


async def put(job: DeckJob) -> dict[str, Any]:
    """Put one question and judge the answer; its row, which is written with the answer when there is a folder."""
    world = job.source.world
    names = Names(world.names, world.alerts, world.clock)
    filled = names.fill(job.item)
    turns = await _turns(job, filled)
    row = _row(job, filled, turns, names)
    if job.out is not None:
        answer = turns[-1].answer
        transcript = {"case_id": answer.case if answer else None, "turns": [_told(turn) for turn in turns]}
        write(job.out / f"{job.id}.json", {**row, **transcript, "answer": _kept(answer)})
    return row


async def _turns(job: DeckJob, item: DeckItem) -> list[Turn]:
    """Every turn in one case, in a home that goes with it."""
    turns: list[Turn] = []
    case: str | None = None
    with TemporaryDirectory(prefix="tracehound-eval-", ignore_cleanup_errors=True) as home:
        async with opened(job.source, job.settings, Path(home), **job.changes) as copilot:
            for question in item.turns:
                turns.append(turn := await _ask(copilot, question, case, Path(home)))
                if turn.answer is None:
                    break
                case = turn.answer.case
    return turns


async def _ask(copilot: Copilot, question: str, case: str | None, home: Path) -> Turn:
    started = time.perf_counter()
    # A fault of the product comes back as a value: it breaks this question, not the run.
    (answer,) = await asyncio.gather(
        asyncio.wait_for(copilot.ask(question, case=case), PATIENCE), return_exceptions=True
    )
    seconds = time.perf_counter() - started
    if isinstance(answer, Answer):
        return Turn(question, answer, exit_code(answer), seconds, written=_written(home, answer.case))
    if not isinstance(answer, Exception):
        raise answer
    code = answer.exit_code if isinstance(answer, TracehoundError) else 1
    return Turn(question, None, code, seconds, f"{type(answer).__name__}: {answer}")


def _row(job: DeckJob, item: DeckItem, turns: Sequence[Turn], names: Names) -> dict[str, Any]:
    last = turns[-1]
    measures: list[dict[str, Any]] = []
    outcome = "wrong"
    if last.answer is not None:
        verdict, findings = judge(item, last.answer.to_json(), last.code, names.clock, names.text(DOMAIN))
        outcome = verdict
        measures = [
            {"name": it.name, "value": it.found or it.ok, "wanted": "True", "ok": it.ok, "grave": it.grave}
            for it in findings
        ]
    return {
        "id": job.id,
        "suite": job.suite,
        "case": item.id,
        "seed": job.seed,
        "attempt": job.attempt,
        "domain": item.domain,
        "kind": item.kind,
        "question": last.question,
        "outcome": outcome,
        "exit": last.code,
        "error": last.error,
        "missing": _missing(last, outcome, measures),
        "measures": measures,
        "wall_ms": round(sum(turn.seconds for turn in turns) * 1000),
        **_usage(turns),
        "written": _counted(turns),
    }


def _written(home: Path, case: str) -> tuple[tuple[str, bool], ...]:
    """Every query that the model wrote in a case so far, held against the check anew."""
    with Case.open(home, case, write=False) as kept:
        actions = [action for line in kept.traffic("model") for action in line.body["actions"]]
    found: dict[str, bool] = {}
    for action in actions:
        if action["tool"] == "raw_query":
            _, language, collection = action["arguments"]["source"].split("/")
            text = action["arguments"]["text"]
            found[text] = check_query(Language(language), text, collection).sendable
    return tuple(found.items())


def _counted(turns: Sequence[Turn]) -> dict[str, int]:
    """What became of the queries that the model wrote: those that failed the check were repaired, dropped or sent."""
    written = turns[-1].written
    invalid = {text for text, sendable in written if not sendable}
    asked = [query for turn in turns if turn.answer for query in turn.answer.queries]
    # The text that is sent may have the window added behind it.
    dropped = {text for text in invalid for query in asked if query.status == "refused" and text in query.text}
    sent = {text for text in invalid for query in asked if query.status != "refused" and text in query.text}
    repaired = len(invalid) - len(dropped) - len(sent)
    counts = {"repaired": repaired, "dropped": len(dropped), "sent": len(sent)}
    return {"queries": len(written), "invalid": len(invalid), **counts}


def _missing(last: Turn, outcome: str, measures: Sequence[Mapping[str, Any]]) -> list[str]:
    if last.answer is None:
        return [f"exit {last.code}: {last.error}"]
    if outcome == "declined":
        return [f"declined: {last.answer.declined.reason if last.answer.declined else 'exit 8'}"]
    return [
        f"{it['name']}{': ' + it['value'] if isinstance(it['value'], str) else ''}" for it in measures if not it["ok"]
    ]


def _usage(turns: Sequence[Turn]) -> dict[str, int]:
    """Tokens and queries of all turns; and the most input tokens that one of them took."""
    used = [turn.answer.usage for turn in turns if turn.answer is not None]
    total = {
        name: sum(getattr(item, name) for item in used)
        for name in ("queries", "model_calls", "input_tokens", "output_tokens")
    }
    return {**total, "most_input_tokens": max((item.input_tokens for item in used), default=0)}


def _told(turn: Turn) -> dict[str, Any]:
    """A turn for a person who reads the transcript."""
    told: dict[str, Any] = {"question": turn.question, "exit": turn.code, "seconds": round(turn.seconds, 3)}
    if turn.answer is None:
        return {**told, "error": turn.error}
    queries = [query.model_dump(mode="json") for query in turn.answer.queries]
    keys = ("id", "platform", "language", "collection", "text", "hunt", "status", "rows", "complete", "error")
    return {
        **told,
        "answer": turn.answer.to_markdown(),
        "queries": [{key: query.get(key) for key in keys} for query in queries],
    }


def _kept(answer: Answer | None) -> dict[str, Any] | None:
    """An answer with the evidence that it cites; the rows that nothing rests on would be most of the file."""
    if answer is None:
        return None
    content = answer.to_json()
    factors = (content.get("triage") or {}).get("because") or []
    cited = {name for part in [*content["timeline"], *content["claims"], *factors] for name in part["evidence"]}
    cited |= {name for part in content["proposals"] for name in part["evidence"]}
    kept = [record for record in content["evidence"] if record["id"] in cited]
    return {**content, "evidence": kept, "evidence_left_out": len(content["evidence"]) - len(kept)}
