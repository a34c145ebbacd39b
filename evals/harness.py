"""Running suites: every case on every world, one answer at a time, measured and written down."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..agent import Copilot, Settings
from ..agent.settings import check_folder
from ..knowledge.errors import ConfigurationError, TracehoundError
from ..tools.evidence.records import Answer
from ..tools.response import ensure_lab_approvers
from .lab.lab import Lab
from .recorded import Recording, measure_recording, recordings
from .reports import Report, difference, report_of, table, write
from .scoring import Measure, fill, measure, outcome
from .suites import EvalCase, Expect, Suite, choose, read_suites
from .truth import Truth, truth_of

__all__ = ["difference", "run_suites", "suites", "table"]


@dataclass(frozen=True)
class Sample:
    """One question to one world."""

    suite: str
    case: str
    seed: int | None
    attempt: int
    question: str
    expect: Expect
    lab: Lab
    truth: Truth
    recording: Recording | None = None

    @property
    def id(self) -> str:
        """What tells it from the others; good as a file name."""
        parts = [self.suite, self.case, *([f"seed-{self.seed}"] if self.seed is not None else [])]
        return ".".join([*parts, *([f"try-{self.attempt}"] if self.attempt > 1 else [])])


def suites() -> dict[str, str]:
    """Suites by name, and what each is about.

    Raises:
        ContentError: a file of cases breaks the schema; names file and line.
    """
    return {name: suite.about for name, (suite, _) in read_suites().items()}


async def run_suites(names: Sequence[str], settings: Settings, repeat: int = 1, out: Path | None = None) -> Report:
    """Run suites one after the other.

    Args:
        names: Suites to run.
        settings: The copilot's settings; labs are made under its home folder on first use.
        repeat: How often each sample is asked.
        out: Folder for `report.json` and one transcript a sample.

    Returns:
        The report, `tracehound.eval/1`.

    Raises:
        UsageError: there is no such suite.
        ConfigurationError: a suite needs recordings and TRACEHOUND_CORPORA names no folder of them, or `out` cannot be
            written.
    """
    chosen = choose(names)
    if out is not None:
        check_folder(out)
    samples = [sample for suite, cases in chosen for sample in _samples(suite, cases, settings.home, repeat)]
    rows = []
    for sample in samples:
        row, answer = await _run(sample, settings)
        rows.append(row)
        if out is not None:
            write(out / f"{sample.id}.json", {**row, "answer": answer.to_json() if answer else None})
    report = report_of(rows, list(dict.fromkeys(names)), settings.get("model", "offline"), repeat)
    if out is not None:
        write(out / "report.json", report)
    return report


def _samples(suite: Suite, cases: Sequence[EvalCase], home: Path, repeat: int) -> Iterator[Sample]:
    for seed in suite.seeds:
        lab = Lab.open(_seed_lab(home, seed))
        truth = truth_of(lab)
        for case in cases:
            if case.recordings is None:
                for attempt in range(1, repeat + 1):
                    question = _question(case, truth)
                    yield Sample(suite.id, case.id, seed, attempt, question, case.expect, lab, truth)
    for case in cases:
        for recording in recordings(_corpora() / case.recordings) if case.recordings else ():
            lab = Lab.open(_recording_lab(home, recording))
            for attempt in range(1, repeat + 1):
                name, asked = f"{case.id}-{recording.name}", recording.question
                yield Sample(suite.id, name, None, attempt, asked, case.expect, lab, Truth(), recording)


def _seed_lab(home: Path, seed: int) -> Path:
    return Lab.create(home / "labs" / f"seed-{seed}", seed=seed).directory


def _recording_lab(home: Path, recording: Recording) -> Path:
    place = home / "labs" / f"recording-{recording.name}"
    if not place.exists():
        Lab.load([recording.archive], place)
    return place


def _corpora() -> Path:
    place = os.environ.get("TRACEHOUND_CORPORA", "")
    if not place or not Path(place).is_dir():
        raise ConfigurationError("TRACEHOUND_CORPORA names no folder; set it to the folder that holds the recordings")
    return Path(place)


def _question(case: EvalCase, truth: Truth) -> str:
    if case.triage is not None:
        return f"triage alert {truth.alerts[case.triage]}"
    return fill(case.ask or "", truth.cast)


async def _run(sample: Sample, settings: Settings) -> tuple[dict[str, Any], Answer | None]:
    """One sample: its row of the report, and the answer when there is one."""
    before, started = len(sample.lab.journal()), time.perf_counter()
    answer: Answer | None = None
    error: TracehoundError | None = None
    try:
        # Cases and proposals of an eval are nobody's work: they go with the folder.
        with TemporaryDirectory(prefix="tracehound-eval-", ignore_cleanup_errors=True) as home:
            ensure_lab_approvers(Path(home))
            async with Copilot(estate=sample.lab.estate(), settings=settings, home=Path(home)) as copilot:
                started = time.perf_counter()
                answer = await copilot.ask(sample.question)
    except TracehoundError as exc:
        error = exc
    seconds = time.perf_counter() - started
    acted = len(sample.lab.journal()) - before
    return _row(sample, answer, error, seconds, acted), answer


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
