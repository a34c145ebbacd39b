"""Running suites: every case on every world, measured and written down.

The cases of a suite follow each other, since some are measured by the clock; the questions of a deck run side by side.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..agent import Settings
from ..agent.settings import check_folder
from ..knowledge.errors import ConfigurationError, TracehoundError, UsageError
from ..tools.evidence.records import Answer
from .deck import read_deck
from .deck_run import DeckJob, run_deck, sample_id, workers_for
from .opening import Source, Traffic, opened, tape_path
from .recorded import Recording, measure_recording, recordings
from .reports import Report, report_of, write
from .scoring import Measure, fill, measure, outcome
from .suites import EvalCase, Expect, Suite, choose, read_suites
from .truth import Truth, truth_of
from .worlds import lab_of, recording_lab


@dataclass(frozen=True)
class Plan:
    """How suites are to be run."""

    names: tuple[str, ...]
    repeat: int = 1
    """How often each sample is asked."""
    seeds: tuple[int, ...] | None = None
    """The worlds to ask, instead of those of the suites."""
    only: frozenset[str] = frozenset()
    """Only the cases of these ids."""
    out: Path | None = None
    """Folder for `report.json`, one transcript a sample, and the recorded traffic."""
    traffic: Traffic = ""
    workers: int | None = None
    """Questions of a deck at a time; None: as many as suit the model."""
    changes: Mapping[str, Any] | None = None
    """More arguments of the copilots that answer a deck."""


@dataclass(frozen=True)
class Sample:
    """One question to one world."""

    suite: str
    case: str
    seed: int | None
    attempt: int
    question: str
    expect: Expect
    source: Source
    truth: Truth
    recording: Recording | None = None

    @property
    def id(self) -> str:
        """What tells it from the others; good as a file name."""
        return sample_id(self.suite, self.case, self.seed, self.attempt)


def suites() -> dict[str, str]:
    """Suites by name, and what each is about.

    Raises:
        ContentError: a file of cases breaks the schema; names file and line.
    """
    return {name: suite.about for name, (suite, _) in read_suites().items()}


async def run_suites(
    names: Sequence[str],
    settings: Settings,
    repeat: int = 1,
    out: Path | None = None,
    tell: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> Report:
    """Run suites one after the other.

    Args:
        names: Suites to run, or paths of decks.
        settings: The copilot's settings; labs are made under its home folder on first use.
        repeat: How often each sample is asked.
        out: Folder for `report.json`, one transcript a sample, and the recorded traffic.
        tell: Gets a line for each question of a deck as it ends.
        options: The other parts of a `Plan`.

    Returns:
        The report, `tracehound.eval/1`.

    Raises:
        UsageError: there is no such suite, or no case of an id that was asked for.
        ConfigurationError: a suite needs recordings and TRACEHOUND_CORPORA names no folder of them, or `out` cannot be
            written.
        RecordingError: traffic is to be replayed that was not recorded.
    """
    plan = Plan(tuple(dict.fromkeys(names)), repeat=repeat, out=out, **options)
    if plan.traffic and out is None:
        raise UsageError("--record and --replay need the folder of the traffic; name it with -o DIR")
    chosen = choose(plan.names)
    if out is not None:
        check_folder(out)
    rows: list[dict[str, Any]] = []
    for suite, cases in chosen:
        if suite.deck is not None:
            jobs = _jobs(suite, settings, plan)
            rows += await run_deck(jobs, plan.workers or workers_for(settings.get("model", "offline")), tell)
        else:
            rows += [await _measured(sample, settings, out) for sample in _samples(suite, cases, settings.home, plan)]
    if not rows:
        raise UsageError(f"no case is called {', '.join(sorted(plan.only)) or 'anything'} in {', '.join(plan.names)}")
    report = report_of(rows, [suite.id for suite, _ in chosen], settings.get("model", "offline"), repeat)
    if out is not None:
        write(out / ("replay.json" if plan.traffic == "replay" else "report.json"), report)
    return report


def _jobs(suite: Suite, settings: Settings, plan: Plan) -> list[DeckJob]:
    """Every question of a deck on every world."""
    assert suite.deck is not None
    items = [item for item in read_deck(Path(suite.deck)) if not plan.only or item.id in plan.only]
    seeds = suite.seeds if plan.seeds is None else plan.seeds
    labs = {seed: None if plan.traffic == "replay" else lab_of(settings.home, seed).directory for seed in seeds}
    return [
        DeckJob(suite.id, item, seed, attempt, settings, labs[seed], plan.traffic, plan.out, plan.changes or {})
        for seed in seeds
        for item in items
        for attempt in range(1, plan.repeat + 1)
    ]


def _samples(suite: Suite, cases: Sequence[EvalCase], home: Path, plan: Plan) -> Iterator[Sample]:
    chosen = [case for case in cases if not plan.only or case.id in plan.only]
    asked = [case for case in chosen if case.recordings is None]
    replayed = plan.traffic == "replay"
    for seed in (suite.seeds if plan.seeds is None else plan.seeds) if asked else ():
        lab = None if replayed else lab_of(home, seed, suite.world).directory
        first = sample_id(suite.id, asked[0].id, seed, 1)
        truth = truth_of(Source(lab, plan.traffic, tape_path(plan.out, first)).world)
        for case in asked:
            yield from _attempts(suite.id, case.id, seed, _question(case, truth), case.expect, lab, truth, None, plan)
    for case in chosen:
        for recording in recordings(_corpora() / case.recordings) if case.recordings else ():
            lab = None if replayed else recording_lab(home, recording).directory
            name = f"{case.id}-{recording.name}"
            yield from _attempts(suite.id, name, None, recording.question, case.expect, lab, Truth(), recording, plan)


def _attempts(
    suite: str, case: str, seed: int | None, question: str, expect: Expect, lab: Path | None, truth: Truth,
    recording: Recording | None, plan: Plan,
) -> Iterator[Sample]:  # fmt: skip
    for attempt in range(1, plan.repeat + 1):
        tape = tape_path(plan.out, sample_id(suite, case, seed, attempt))
        source = Source(lab, plan.traffic, tape)
        yield Sample(suite, case, seed, attempt, question, expect, source, truth, recording)


def _corpora() -> Path:
    place = os.environ.get("TRACEHOUND_CORPORA", "")
    if not place or not Path(place).is_dir():
        raise ConfigurationError("TRACEHOUND_CORPORA names no folder; set it to the folder that holds the recordings")
    return Path(place)


def _question(case: EvalCase, truth: Truth) -> str:
    if case.triage is not None:
        return f"triage alert {truth.alerts[case.triage]}"
    return fill(case.ask or "", truth.cast)


async def _measured(sample: Sample, settings: Settings, out: Path | None) -> dict[str, Any]:
    row, answer = await _run(sample, settings)
    if out is not None:
        write(out / f"{sample.id}.json", {**row, "answer": answer.to_json() if answer else None})
    return row


async def _run(sample: Sample, settings: Settings) -> tuple[dict[str, Any], Answer | None]:
    """One sample: its row of the report, and the answer when there is one."""
    before, started = sample.source.acted(), time.perf_counter()
    answer: Answer | None = None
    error: TracehoundError | None = None
    try:
        # Cases and proposals of an eval are nobody's work: they go with the folder.
        with TemporaryDirectory(prefix="tracehound-eval-", ignore_cleanup_errors=True) as home:
            async with opened(sample.source, settings, Path(home)) as copilot:
                started = time.perf_counter()
                answer = await copilot.ask(sample.question)
    except TracehoundError as exc:
        error = exc
    seconds = time.perf_counter() - started
    return _row(sample, answer, error, seconds, sample.source.acted() - before), answer


def _row(
    sample: Sample, answer: Answer | None, error: TracehoundError | None, seconds: float, acted: int
) -> dict[str, Any]:
    found = _judge(sample, answer, error, seconds, acted)
    usage = answer.usage.model_dump() if answer else {}
    return {
        "id": sample.id,
        "suite": sample.suite,
        "case": sample.case,
        "seed": sample.seed,
        "attempt": sample.attempt,
        "question": sample.question,
        "outcome": _outcome(sample, answer, error, found),
        "error": f"{type(error).__name__}: {error}" if error else None,
        "measures": [asdict(item) for item in found],
        "wall_ms": round(seconds * 1000),
        "queries": usage.get("queries", 0),
        "model_calls": usage.get("model_calls", 0),
        "input_tokens": usage.get("input_tokens", 0),
        "output_tokens": usage.get("output_tokens", 0),
    }


def _judge(
    sample: Sample, answer: Answer | None, error: TracehoundError | None, seconds: float, acted: int
) -> list[Measure]:
    wanted = sample.expect.error
    if wanted is not None:
        raised = [kind.__name__ for kind in type(error).__mro__] if error else []
        return [Measure("error", raised[0] if raised else "an answer", wanted, wanted in raised, grave=True)]
    if answer is None:
        return []
    weigh = partial(measure, answer, sample.expect, sample.truth, seconds=seconds, acted=acted)
    return [*weigh(), *(measure_recording(answer, sample.recording, sample.expect) if sample.recording else ())]


def _outcome(sample: Sample, answer: Answer | None, error: TracehoundError | None, found: Sequence[Measure]) -> str:
    if sample.expect.error is not None:
        return "right" if all(item.ok for item in found) else "wrong" if answer else "error"
    if answer is None:
        return "error"
    return outcome(found, answer, sample.expect)
