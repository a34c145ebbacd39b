"""Opening a copilot to be measured: over a lab, over a lab whose traffic is kept, or over kept traffic alone."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from ..agent import Copilot, Settings
from ..agent.models import close_model, open_model
from ..tools.response import ensure_lab_approvers
from .lab.lab import Lab
from .traffic import Tape, TapedModel, recorded_estate, replayed_estate

Traffic = Literal["record", "replay", ""]
"""Whether what vendors and model answer is kept, or comes from what was kept."""


class World(Protocol):
    """What a generated lab says of itself, or said when it was recorded."""

    @property
    def names(self) -> Mapping[str, str]:
        """Canonical to actual names."""
        ...

    @property
    def alerts(self) -> Mapping[str, str]:
        """Names of alerts to their ids."""
        ...

    @property
    def clock(self) -> datetime:
        """What `now` means."""
        ...


@dataclass(frozen=True)
class Recalled:
    """A world whose lab is not there."""

    names: Mapping[str, str]
    alerts: Mapping[str, str]
    clock: datetime


@dataclass(frozen=True)
class Source:
    """Where answers come from, and where traffic is kept."""

    lab: Path | None
    """None: the tape alone is there."""
    traffic: Traffic = ""
    tape: Path = Path()

    @property
    def world(self) -> World:
        """What the lab says of itself.

        Raises:
            RecordingError: the tape cannot be read.
        """
        if self.lab is not None:
            return Lab.open(self.lab)
        world = Tape.read(self.tape).world
        return Recalled(world["names"], world["alerts"], datetime.fromisoformat(world["clock"]))

    def acted(self) -> int:
        """State-changing calls that the lab's vendors received so far; nothing can act on a tape."""
        return len(Lab.open(self.lab).journal()) if self.lab is not None else 0


def tape_path(out: Path | None, sample: str) -> Path:
    """Where the traffic of a sample is kept."""
    return (out or Path()) / "traffic" / f"{sample}.jsonl.gz"


@asynccontextmanager
async def opened(source: Source, settings: Settings, home: Path, **changes: Any) -> AsyncIterator[Copilot]:
    """A copilot over a source, with cases and approvals in a home of its own.

    Args:
        source: Where answers come from.
        settings: The copilot's settings; they name the model.
        home: Folder of cases and approvals.
        changes: More arguments of the copilot.

    Raises:
        RecordingError: the tape cannot be read.
    """
    ensure_lab_approvers(home)
    name = settings.get("model", "offline")
    tape = Tape.read(source.tape) if source.traffic == "replay" else Tape()
    model = None if name == "offline" or source.traffic == "replay" else open_model(name, settings)
    taped = TapedModel(inner=model, tape=tape, model_name=name) if name != "offline" and source.traffic else None
    async with Copilot(
        estate=_estate(source, tape), model=taped or model or name, settings=settings, home=home, **changes
    ) as copilot:
        try:
            yield copilot
        finally:
            if model is not None:
                await close_model(model)
            if source.traffic == "record":
                tape.write(source.tape)


def _estate(source: Source, tape: Tape) -> Any:
    if source.lab is None:
        return replayed_estate(tape)
    lab = Lab.open(source.lab)
    if source.traffic != "record":
        return lab.estate()
    tape.world |= {"names": dict(lab.names), "alerts": dict(lab.alerts), "clock": lab.clock.isoformat()}
    return recorded_estate(lab.estate(), tape)
