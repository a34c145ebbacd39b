"""The labs that evals ask, made under a home on first use, and one question put to one of them."""

from pathlib import Path
from tempfile import TemporaryDirectory

from ..agent import Copilot, Settings
from ..tools.evidence.records import Answer
from .lab import everyday, kestrel
from .lab.lab import Lab
from .lab.store import TELEMETRY, TelemetryStore
from .recorded import Recording
from .suites import WorldName


def lab_of(home: Path, seed: int, world: WorldName = "kestrel") -> Lab:
    """The lab of a world for a seed."""
    if world == "kestrel":
        return Lab.create(home / "labs" / f"seed-{seed}", seed=seed)
    place = home / "labs" / f"{world}-{seed}"
    if not (place / TELEMETRY).is_file():
        place.mkdir(parents=True, exist_ok=True)
        seen, meta = kestrel.build(seed, 1, everyday.stories(seed, twins=world == "twins"))
        TelemetryStore.create(place / TELEMETRY, kestrel.rows(seen), meta)
    return Lab.open(place)


def recording_lab(home: Path, recording: Recording) -> Lab:
    """The lab of a recording."""
    place = home / "labs" / f"recording-{recording.name}"
    if not place.exists():
        Lab.load([recording.archive], place)
    return Lab.open(place)


async def ask_apart(lab: Lab, question: str, settings: Settings) -> Answer:
    """The answer to one question, in a home that goes with its case."""
    with TemporaryDirectory(prefix="tracehound-eval-", ignore_cleanup_errors=True) as home:
        async with Copilot(estate=lab.estate(), settings=settings, home=Path(home)) as copilot:
            return await copilot.ask(question)
