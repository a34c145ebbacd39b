"""`python -m tracehound.evals.bench.mutations`: false reports made from true ones, and how many the verifier catches.

True reports come from the lab (`evals/lab/asked.yaml`, several seeds) and, where TRACEHOUND_CORPORA names them, from the
recordings. Every report goes through the public door: its JSON is parsed and checked as `case verify FILE.json` does.
The sentences in free prose (`evals/lab/prose.jsonl`) are measured and told apart from the closed claims.
"""

import argparse
import asyncio
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ...agent import Settings
from ...knowledge.errors import TracehoundError
from ...tools.evidence.records import Answer
from ...tools.evidence.verify import verify_answer
from ..lab.lab import Lab
from ..makers.mutations import Falsehood, falsehoods, sample
from ..makers.prose import Json, judged, table
from ..reading import read_yaml
from ..recorded import recordings
from ..truth import renamer
from ..worlds import ask_apart, lab_of, recording_lab

ASKED = Path(__file__).parents[1] / "lab" / "asked.yaml"
CAUGHT, ALARMS = 0.95, 0.01
"""Wanted: at least so many of the false closed claims caught, at most so many of the true ones called false."""


class _Asked(BaseModel):
    reports: tuple[str, ...]
    prose: Mapping[str, str]


@dataclass
class Tally:
    """What came of the closed claims."""

    said: Counter[str] = field(default_factory=Counter)
    missed: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    claims: int = 0
    alarms: list[str] = field(default_factory=list)

    @property
    def caught(self) -> float:
        """Share of the false reports in which something was found not to hold."""
        total = self.said.total()
        return 1 - sum(map(len, self.missed.values())) / total if total else 0.0


def checked(answer: Json) -> Json:
    """An answer's JSON after its claims and timeline were checked."""
    return verify_answer(Answer.model_validate(answer)).to_json()


def holds(answer: Json) -> bool:
    """Whether everything in an answer's JSON holds; what is no answer any more does not."""
    try:
        return verify_answer(Answer.model_validate(answer)).verification.failed == 0
    except ValidationError:
        return False


def measure(groups: Sequence[Sequence[Json]], most: int, seed: int) -> Tally:
    """Mutate reports and judge them.

    Args:
        groups: Reports of one estate together, so that claims of one can be put into another.
        most: False reports of each kind from each report.
        seed: Chooses them.
    """
    tally = Tally()
    for reports in groups:
        for report in reports:
            found = checked(report)
            tally.claims += len(found["claims"])
            tally.alarms += _alarms(found)
            others = [other for other in reports if other is not report]
            for item in sample(falsehoods(report, seed, others), most, seed):
                tally.said[item.kind] += 1
                if holds(item.answer):
                    tally.missed[item.kind].append(_place(report, item))
    return tally


def _alarms(report: Json) -> Iterator[str]:
    for claim in report["claims"]:
        if claim["kind"] in ("observation", "gap") and not claim["verified"]:
            yield f"{report['question'][:40]}: {claim['text'][:80]}: {claim['why_not']}"
    yield from (f"{report['question'][:40]}: {problem}" for problem in report["verification"]["problems"])


def _place(report: Json, item: Falsehood) -> str:
    return f"{report['question'][:40]}: {item.claim}: {item.says[:90]}"


async def lab_reports(seed: int, settings: Settings) -> tuple[list[Json], dict[str, Json]]:
    """The reports of one seed, and those that the prose is about (for seed 0, whose names it uses)."""
    lab = lab_of(settings.home, seed)
    asked, rename = read_yaml(ASKED, _Asked), renamer(lab.names)
    reports = [await _answer(lab, rename(question), settings) for question in asked.reports]
    prose = {name: await _answer(lab, text, settings) for name, text in asked.prose.items()} if seed == 0 else {}
    return reports, prose


async def recorded_reports(folder: Path, settings: Settings) -> list[Json]:
    """The report of each recording."""
    return [
        await _answer(recording_lab(settings.home, recording), recording.question, settings)
        for recording in recordings(folder)
    ]


async def _answer(lab: Lab, question: str, settings: Settings) -> Json:
    return (await ask_apart(lab, question, settings)).to_json()


async def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    settings, groups, prose = Settings(), list[list[Json]](), dict[str, Json]()
    for seed in range(arguments.seeds):
        reports, about = await lab_reports(seed, settings)
        groups.append(reports)
        prose |= about
        print(f"seed {seed}: {len(reports)} reports", file=sys.stderr, flush=True)
    corpora = os.environ.get("TRACEHOUND_CORPORA")
    if corpora:
        groups.append(await recorded_reports(Path(corpora) / "otrf", settings))
    tally = measure(groups, arguments.most, arguments.seed)
    verdicts = judged(prose, checked)
    print("\n".join([*_shown(tally, sum(map(len, groups)), arguments.misses), "", "Free prose:", *table(verdicts)]))
    return {
        "said": dict(tally.said),
        "missed": {kind: places for kind, places in tally.missed.items() if places},
        "caught": round(tally.caught, 4),
        "claims": tally.claims,
        "alarms": tally.alarms,
        "prose": [
            {"id": item.sentence.id, "true": item.sentence.true, "caught": item.caught, "why": item.why}
            for item in verdicts
        ],
    }


def _shown(tally: Tally, reports: int, misses: int) -> Iterator[str]:
    yield f"{'false by':<18} caught    of"
    for kind in sorted(tally.said):
        lost = tally.missed[kind]
        yield f"{kind:<18} {tally.said[kind] - len(lost):>6} {tally.said[kind]:>5}"
        yield from (f"    missed: {place}" for place in lost[:misses])
    total = tally.said.total()
    verdict = "met" if tally.caught >= CAUGHT else "missed"
    yield f"{'all':<18} {round(tally.caught * total):>6} {total:>5}  {tally.caught:.2%} (wanted {CAUGHT:.0%}: {verdict})"
    share = len(tally.alarms) / max(tally.claims, 1)
    verdict = "met" if share <= ALARMS else "missed"
    yield (
        f"false alarms on {tally.claims} true claims of {reports} reports: {len(tally.alarms)}, {share:.2%} "
        f"(wanted at most {ALARMS:.0%}: {verdict})"
    )
    yield from (f"    alarm: {alarm}" for alarm in tally.alarms[: misses or 3])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tracehound.evals.bench.mutations", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="worlds of the lab (3)")
    parser.add_argument("--seed", type=int, default=1, help="chooses the falsehoods (1)")
    parser.add_argument("--most", type=int, default=6, help="false reports of each kind from each report (6)")
    parser.add_argument("--misses", type=int, default=2, help="misses shown of each kind (2)")
    parser.add_argument("-o", "--output", type=Path, help="write the result as JSON")
    return parser.parse_args()


def main() -> int:
    """Measure and print; the exit code says whether what is wanted of closed claims was met."""
    arguments = _arguments()
    try:
        result = asyncio.run(_run(arguments))
    except TracehoundError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return exc.exit_code
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    met = result["caught"] >= CAUGHT and len(result["alarms"]) <= ALARMS * max(result["claims"], 1)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
