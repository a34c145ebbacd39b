"""A lab on disk: telemetry that was written once, and the vendors that answer from it."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from platformdirs import user_data_path

from ...knowledge.errors import StorageError, UsageError
from .store import TELEMETRY, TelemetryStore

if TYPE_CHECKING:
    from ...tools.vendors.estate import Estate
    from .repeats import Repeats

SCENARIOS = ("kestrel",)
FORMAT = 5
"""Of generated telemetry: raised whenever its tables or rows change, so that the built-in lab of an earlier version is
made anew."""


class Lab:
    """A lab in a folder. Its telemetry never changes; the state of its vendors lies beside it."""

    def __init__(self, directory: Path) -> None:
        """Use `open`, `create` or `load`."""
        self.directory = directory

    @classmethod
    def open(cls, directory: Path | str | None = None, *, home: Path | None = None) -> Self:
        """Open a lab; without a folder the built-in one, which is made on first use and again after `FORMAT` changed.

        Raises:
            UsageError: the folder holds no lab.
            StorageError: it cannot be made or read.
        """
        if directory is None:
            place = (home or default_home()) / "labs" / "default"
            if not (place / TELEMETRY).is_file():
                return cls.create(place)
            lab = cls(place)
            return cls._generate(place, anew=True) if _is_outdated(lab.meta) else lab
        place = Path(directory).expanduser()
        if not (place / TELEMETRY).is_file():
            raise UsageError(f"{place} holds no lab; make one with: tracehound lab create {place}")
        return cls(place)

    @classmethod
    def create(cls, directory: Path | str, *, scenario: str = "kestrel", scale: int = 1, seed: int = 0) -> Self:
        """Make a lab. Two processes may do it at once: the folder appears whole, and the first one stays.

        Raises:
            UsageError: there is no such scenario, or the folder already holds something else, another lab too.
            StorageError: the folder cannot be written.
        """
        if scenario not in SCENARIOS:
            raise UsageError(f"there is no scenario {scenario!r}; the scenarios are {', '.join(SCENARIOS)}")
        place = Path(directory)
        lab = cls(place) if (place / TELEMETRY).is_file() else cls._generate(place, scale=scale, seed=seed)
        wanted = {"scenario": scenario, "scale": scale, "seed": seed}
        if wanted != {name: lab.meta.get(name) for name in wanted}:
            raise UsageError(
                f"{place} already holds another lab ({lab.meta['scenario']}, seed {lab.seed}); name another folder"
            )
        return lab

    @classmethod
    def _generate(cls, place: Path, *, scale: int = 1, seed: int = 0, anew: bool = False) -> Self:
        from . import kestrel

        seen, meta = kestrel.build(seed, scale)
        more = kestrel.more(seen, seed, scale)
        return cls._write(place, kestrel.rows(seen), {**meta, "format": FORMAT}, anew=anew, more=more)

    @classmethod
    def load(cls, paths: Sequence[Path], directory: Path | None = None, *, home: Path | None = None) -> dict[str, Any]:
        """Load recorded Windows telemetry; gives the report of what was loaded.

        Args:
            paths: Recordings.
            directory: A lab, to which the recording is added, or a folder that becomes one; a new one by default.
            home: Where new labs are made, and where the built-in lab lies.

        Raises:
            RecordingError: a file cannot be read; nothing was written.
            UsageError: the folder is the built-in lab's, which never changes, or holds something else.
            StorageError: the folder cannot be written.
        """
        from .importer import read_recordings
        from .loading import add, is_built_in

        labs = (home or default_home()) / "labs"
        if directory is not None and is_built_in(directory, labs):
            raise UsageError(
                "the lab `default` is never changed by `lab load`; leave --lab out, or name another folder"
            )
        recording = read_recordings(paths)
        if directory is not None and (directory / TELEMETRY).is_file():
            added = add(recording, cls(directory))
            return {"directory": str(directory), "added": added, **recording.report}
        place = directory or labs / recording.name
        number = 1
        while directory is None and place.exists():
            number += 1
            place = place.with_name(f"{recording.name}-{number}")
        lab = cls._write(place, recording.rows(), recording.meta)
        return {"directory": str(lab.directory), "added": True, **recording.report}

    @classmethod
    def _write(
        cls, place: Path, rows: Any, meta: dict[str, Any], *, anew: bool = False, more: "Repeats | None" = None
    ) -> Self:
        """Write the telemetry; `anew`: in place of what is there, and the state of the vendors stays."""
        if (place / TELEMETRY).is_file() and not anew:
            return cls(place)
        if place.exists() and any(place.iterdir()) and not anew:
            raise UsageError(f"{place} is not empty and holds no lab; name another folder")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent, prefix=".lab-") as draft:
                TelemetryStore.create(Path(draft) / TELEMETRY, rows, meta, more)
                if anew:
                    os.replace(Path(draft) / TELEMETRY, place / TELEMETRY)
                else:
                    _appear(Path(draft), place)
        except OSError as exc:
            raise StorageError(f"the lab {place} cannot be written: {exc.strerror or exc}") from exc
        return cls(place)

    @cached_property
    def meta(self) -> dict[str, Any]:
        """What the lab says of itself."""
        return TelemetryStore(self.directory / TELEMETRY).meta()

    @property
    def clock(self) -> datetime:
        """The end of the telemetry: what `now` means."""
        return datetime.fromisoformat(self.meta["clock"])

    @property
    def seed(self) -> int | None:
        """The seed of a generated lab, None of a recording."""
        seed: int | None = self.meta.get("seed")
        return seed

    @property
    def names(self) -> dict[str, str]:
        """Canonical to actual names."""
        return dict(self.meta.get("names", {}))

    @property
    def alerts(self) -> dict[str, str]:
        """Names of alerts to their ids."""
        return dict(self.meta.get("alerts", {}))

    @property
    def question(self) -> str:
        """A question that this lab answers."""
        return str(self.meta.get("question", ""))

    def info(self) -> dict[str, Any]:
        """What `tracehound lab info --json` prints."""
        keys = ("clock", "seed", "names", "alerts", "events", "tables", "question", "scenario")
        return {"directory": str(self.directory), **{key: self.meta.get(key) for key in keys}}

    def estate(self) -> "Estate":
        """The lab's vendors, connected in this process."""
        from .connect import estate_for

        return replace(estate_for(self), acting=self.acting)

    @asynccontextmanager
    async def acting(self) -> AsyncIterator[Mapping[str, str]]:
        """Serve the vendors on loopback while the executor runs; gives its settings as environment variables."""
        from .connect import environment
        from .serve import serving

        async with serving(self) as served:
            yield environment(served["vendors"], served["ca_file"])

    def journal(self) -> list[dict[str, Any]]:
        """The state-changing calls that the lab's vendors received, oldest first."""
        from .folder import STATE
        from .state import LabState

        return [asdict(entry) for entry in LabState(self.directory / STATE).journal()]


def default_home() -> Path:
    """TRACEHOUND_HOME, or the user's data folder."""
    given = os.environ.get("TRACEHOUND_HOME")
    return Path(given).expanduser() if given else user_data_path("tracehound")


def _is_outdated(meta: Mapping[str, Any]) -> bool:
    """Whether an earlier version made the built-in lab; what a person put in its place is theirs."""
    built_in = [meta.get(name) for name in ("scenario", "seed", "scale")] == ["kestrel", 0, 1]
    return built_in and meta.get("format") != FORMAT


def _appear(draft: Path, place: Path) -> None:
    """Move the finished file into place in one step; when another process was first, its lab stays."""
    place.mkdir(exist_ok=True)
    target = place / TELEMETRY
    try:
        os.link(draft / TELEMETRY, target)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not target.exists():
            shutil.move(draft / TELEMETRY, target)
