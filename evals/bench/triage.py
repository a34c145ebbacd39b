"""`python -m tracehound.evals.bench.triage`: every open alert of a lab triaged and ranked, beside what is true of it.

What an alert belongs to is read from the lab's own list of alerts (`S...` a story, `B...` a look-alike); an open alert
that the list does not name is background. Of the answers only their JSON is read.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from ...agent import Settings
from ...knowledge.errors import TracehoundError
from ..lab.lab import Lab
from ..lab.store import TELEMETRY
from ..worlds import ask_apart, lab_of

SEEDS = (0, 1, 2, 3, 4)
_OPEN = (
    "SELECT composite_id FROM falcon_alerts WHERE status <> 'closed'",
    "SELECT id FROM s1_threats WHERE \"incidentStatus\" <> 'resolved'",
    'SELECT DISTINCT "SystemAlertId" FROM "SecurityAlert" '
    "WHERE coalesce(\"Status\", 'New') NOT IN ('Resolved', 'Dismissed')",
    'SELECT DISTINCT "AlertId" FROM "AlertInfo"',
)
"""Ids of alerts that nobody closed, by platform."""


@dataclass(frozen=True)
class Ranked:
    """One alert of one lab, and what the triage said of it."""

    seed: int
    name: str
    """The lab's name of it, such as `S1-macro`; the id where it has none."""
    truth: str
    score: float
    verdict: str
    priority: str
    claims: int
    failed: int
    unfounded: int
    """Reasons whose text is that of no claim."""


def alerts_of(lab: Lab) -> dict[str, str]:
    """Ids of the alerts to rank, with the lab's names: those it lists, and every open one beside them."""
    listed = {uid: name for name, uid in lab.alerts.items()}
    with duckdb.connect(str(lab.directory / TELEMETRY), read_only=True) as telemetry:
        found = [str(row[0]) for query in _OPEN for row in telemetry.execute(query).fetchall()]
    return {**dict.fromkeys(found, ""), **listed}


def truth_of(name: str) -> str:
    """`story`, `look-alike` or `background`, by the lab's name of an alert."""
    return {"S": "story", "B": "look-alike"}.get(name[:1], "background")


async def rank(lab: Lab, settings: Settings, seed: int) -> list[Ranked]:
    """Triage the alerts of a lab, best first."""
    found = []
    for uid, name in alerts_of(lab).items():
        answer = await ask_apart(lab, f"triage alert {uid}", settings)
        found.append(_row(seed, uid, name, answer.to_json()))
    return sorted(found, key=lambda item: (-item.score, item.name))


def _row(seed: int, uid: str, name: str, answer: Mapping[str, Any]) -> Ranked:
    triage = answer["triage"] or {"score": 0.0, "verdict": "none", "priority": "", "because": []}
    said = {claim["text"] for claim in answer["claims"] if claim["verified"] or claim["kind"] != "observation"}
    return Ranked(
        seed=seed,
        name=name or uid,
        truth=truth_of(name),
        score=triage["score"],
        verdict=triage["verdict"],
        priority=triage["priority"],
        claims=answer["verification"]["claims"],
        failed=answer["verification"]["failed"] + answer["verification"]["uncited"],
        unfounded=sum(factor["value"] not in said for factor in triage["because"]),
    )


def misplaced(found: Sequence[Ranked]) -> list[Ranked]:
    """Look-alikes of one lab that stand above a story; where there are ten stories, none is among the first ten."""
    last = max((at for at, item in enumerate(found) if item.truth == "story"), default=0)
    return [item for at, item in enumerate(found) if item.truth == "look-alike" and at < last]


def table(found: Sequence[Ranked]) -> str:
    """The ranking of one lab."""
    lines = [f"seed {found[0].seed}", f"{'rank':>4}  {'score':>5}  {'priority':<9}{'verdict':<15}{'truth':<12}alert"]
    for at, item in enumerate(found, 1):
        lines.append(
            f"{at:>4}  {item.score:>5.2f}  {item.priority:<9}{item.verdict.replace('_', ' '):<15}{item.truth:<12}{item.name}"
        )
    return "\n".join(lines)


async def _all(settings: Settings, seeds: Sequence[int]) -> list[list[Ranked]]:
    found = []
    for seed in seeds:
        found.append(await rank(lab_of(settings.home, seed), settings, seed))
        print(table(found[-1]), flush=True)
    return found


def main() -> int:
    """Rank, and print; the exit code is 1 when a look-alike stands above a story or a reason is unfounded."""
    parser = argparse.ArgumentParser(prog="python -m tracehound.evals.bench.triage", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="0 to 4")
    parser.add_argument("-o", "--output", type=Path, help="write the rankings as JSON")
    arguments = parser.parse_args()
    settings = Settings()
    try:
        labs = asyncio.run(_all(settings, arguments.seeds))
    except TracehoundError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return exc.exit_code
    if arguments.output:
        rows = [asdict(item) for found in labs for item in found]
        arguments.output.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    every = [item for found in labs for item in found]
    above = sum(len(misplaced(found)) for found in labs)
    stories = [item for item in every if item.truth == "story"]
    print(f"look-alikes above a story: {above} (wanted 0), over {len(labs)} seeds and {len(every)} alerts")
    print(f"stories judged true positive: {sum(item.verdict == 'true_positive' for item in stories)} of {len(stories)}")
    failed, unfounded = sum(item.failed for item in every), sum(item.unfounded for item in every)
    print(
        f"claims {sum(item.claims for item in every)}, failed or uncited {failed}, reasons without a claim {unfounded}"
    )
    return int(bool(above or failed or unfounded))


if __name__ == "__main__":
    sys.exit(main())
