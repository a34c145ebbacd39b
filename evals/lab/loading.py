"""A recording added to a lab that exists.

The telemetry is copied, written and put back in one step: whoever reads the lab reads the old file to the end or the
new one from its start. Of two who add at once the second waits, on a lock that a process lets go of however it ends.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...knowledge.errors import StorageError
from .importer import Recording
from .store import TELEMETRY, TelemetryStore

if TYPE_CHECKING:
    from .lab import Lab

LOCK = "loading.sqlite"
_PATIENCE = 600.0
"""Seconds that one who adds waits for another."""


def is_built_in(directory: Path, labs: Path) -> bool:
    """Whether a folder is that of the lab `default`, however it is written."""
    return directory.expanduser().resolve() == (labs / "default").resolve()


def add(recording: Recording, lab: "Lab") -> bool:
    """Add a recording to a lab, whose clock goes on to the recording's end where that is later.

    Returns:
        Whether it was added: a recording that the lab holds already is not added again.

    Raises:
        RecordingError: a file cannot be read; nothing was written.
        StorageError: the folder cannot be written, or another process adds for longer than ten minutes.
    """
    with _alone(lab.directory):
        held = TelemetryStore(lab.directory / TELEMETRY).meta()
        if recording.digest in held.get("recordings", ()):
            for _ in recording.rows():  # what the report tells is learned on the way
                pass
            return False
        try:
            with tempfile.TemporaryDirectory(dir=lab.directory.parent, prefix=".lab-") as draft:
                copy = Path(draft) / TELEMETRY
                shutil.copyfile(lab.directory / TELEMETRY, copy)
                TelemetryStore(copy).add(recording.rows(), lambda: joined(held, recording.meta))
                os.replace(copy, lab.directory / TELEMETRY)
        except OSError as exc:
            raise StorageError(f"the lab {lab.directory} cannot be written: {exc.strerror or exc}") from exc
    return True


def joined(held: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """What a lab says of itself with a recording: its own names stay, a label that is taken gets a number."""
    alerts = dict(held.get("alerts", {}))
    for label, uid in added["alerts"].items():
        number, free = 1, label
        while free in alerts:
            number += 1
            free = f"{label}-{number}"
        alerts[free] = uid
    return {
        **held,
        "clock": max(held["clock"], added["clock"], key=datetime.fromisoformat),
        "names": {**added["names"], **held.get("names", {})},
        "alerts": alerts,
        "recordings": [*held.get("recordings", ()), *added["recordings"]],
    }


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    try:
        with closing(sqlite3.connect(directory / LOCK, timeout=_PATIENCE, isolation_level=None)) as lock:
            lock.execute("BEGIN EXCLUSIVE")
            yield
    except sqlite3.OperationalError as exc:
        raise StorageError(f"the lab {directory} cannot be locked for writing: {exc}") from exc
