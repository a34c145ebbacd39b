"""The folder of a lab, as its servers know it."""

from datetime import datetime
from pathlib import Path
from typing import Protocol

from ...knowledge.errors import StorageError
from .clock import LabClock
from .state import LabState
from .telemetry import Telemetry
from .wire import World

STATE = "state.sqlite"
_BETWEEN_RUNS = 60.0
"""Seconds that pass in the lab between two processes, so that one does not inherit the other's rate windows."""


class LabFolder(Protocol):
    """A lab on disk."""

    @property
    def directory(self) -> Path:
        """Where its telemetry (`*.duckdb`) and its state lie."""
        ...

    @property
    def clock(self) -> datetime:
        """The end of its telemetry: what `now` means."""
        ...


def open_world(lab: LabFolder, *, remote: bool = False, real_time: bool = False, delay: float = 0.0) -> World:
    """Open a lab's files for servers; see `World` for what the options mean.

    Raises:
        StorageError: there is no telemetry, or a file cannot be opened.
    """
    found = sorted(lab.directory.glob("*.duckdb"))
    if not found:
        raise StorageError(f"{lab.directory} holds no telemetry (*.duckdb); make the lab with `tracehound lab create`")
    telemetry = Telemetry(found[0])
    state = LabState(lab.directory / STATE)
    if not real_time:
        state.advance(_BETWEEN_RUNS)
    return World(telemetry, state, LabClock(state, lab.clock, real_time=real_time), remote, delay)
