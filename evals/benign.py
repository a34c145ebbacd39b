"""Fifty everyday cases that are harmless and their malicious twins, asked on labs made for them.

`tracehound eval run benign` prints each; `python -m tracehound.evals.bench.benign` prints the table by kind. A case is
condemned when its verdict is `true_positive`, a twin is missed when its verdict is `benign`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..agent import Settings
from .lab.lab import Lab
from .suites import WorldName
from .worlds import ask_apart, lab_of

SEEDS = (1, 2, 3, 4, 5)
MOST_CONDEMNED = 1
WORLDS: tuple[WorldName, ...] = ("everyday", "twins")
VERDICTS = ("benign", "unclear", "true_positive")


@dataclass(frozen=True)
class Outcome:
    """What one case or twin came to."""

    kind: str
    seed: int
    world: str
    verdict: str
    priority: str
    score: float
    failed: int
    """Claims that failed their check."""

    @property
    def right(self) -> bool:
        """A harmless case that is not condemned, or a twin that is not called benign."""
        return self.verdict != ("true_positive" if self.world == "everyday" else "benign")


async def outcomes(
    home: Path,
    settings: Settings,
    seeds: Iterable[int],
    kinds: Sequence[str],
    said: Callable[[str], None] = lambda line: None,
) -> list[Outcome]:
    """Triage every case and every twin of these kinds; `said` hears of each."""
    found = []
    for seed in seeds:
        for world in WORLDS:
            lab = lab_of(home, seed, world)
            for kind in kinds:
                found.append(await _triaged(lab, settings, kind, seed, world))
                said(f"{world} {seed} {kind}: {found[-1].verdict}")
    return found


async def _triaged(lab: Lab, settings: Settings, kind: str, seed: int, world: str) -> Outcome:
    answer = await ask_apart(lab, f"triage alert {lab.alerts[kind]}", settings)
    if answer.triage is None:
        why = answer.declined.reason if answer.declined else "no triage"
        return Outcome(kind, seed, world, f"declined: {why}", "", 0.0, answer.verification.failed)
    draft = answer.triage
    return Outcome(kind, seed, world, draft.verdict, draft.priority, draft.score, answer.verification.failed)


def table(found: Sequence[Outcome]) -> str:
    """A line for each kind: the verdicts of its cases and of its twins."""
    lines = [f"{'kind':<20}{'harmless: benign / unclear / condemned':<42}twin: true / unclear / missed"]
    for kind in dict.fromkeys(item.kind for item in found):
        cells = []
        for world, order in (("everyday", VERDICTS), ("twins", VERDICTS[::-1])):
            counted = Counter(item.verdict for item in found if item.kind == kind and item.world == world)
            cells.append(" / ".join(str(counted[verdict]) for verdict in order))
        lines.append(f"{kind:<20}{cells[0]:<42}{cells[1]}")
    harmless = [item for item in found if item.world == "everyday"]
    twins = [item for item in found if item.world == "twins"]
    condemned, missed = (sum(not item.right for item in part) for part in (harmless, twins))
    lines.append(f"condemned {condemned} of {len(harmless)} harmless cases (wanted <= {MOST_CONDEMNED} of 50)")
    lines.append(f"called benign {missed} of {len(twins)} twins (wanted 0)")
    lines.append(f"claims that failed their check: {sum(item.failed for item in found)}")
    return "\n".join(lines)
