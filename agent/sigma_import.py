"""`hunts import`: Sigma rules become hunt files in a folder, and each rule gets one line."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..knowledge.errors import ContentError, StorageError, UsageError
from ..tools.hunts import Hunt, read_hunts
from ..tools.library import HuntLibrary
from ..tools.sigma import Imported, Refused, import_file, rule_files, to_yaml, unique_ids
from .settings import Settings
from .shelves import hunts_folder


@dataclass(frozen=True, slots=True)
class SigmaImport:
    """What became of the rules."""

    lines: tuple[str, ...]
    """One for each rule, in the order of the files."""
    imported: int
    refused: int
    broken: bool
    """Whether a file was no Sigma rule at all."""
    folder: Path
    active: bool
    """Whether the copilot reads hunts from this folder."""


def import_rules(paths: Sequence[Path], settings: Settings, output: Path | None = None) -> SigmaImport:
    """Turn rules into hunts of one folder: `output`, else the folder of own hunts.

    Args:
        paths: Sigma files, and folders of them.
        settings: Where the folder of own hunts is set.
        output: Another folder.

    Raises:
        UsageError: a path does not exist, or holds no rule file.
        ContentError: the folder holds a hunt file that breaks the schema.
        StorageError: the folder cannot be written.
    """
    own = hunts_folder(settings)
    folder = own if output is None else output
    files = rule_files(paths)
    if not files:
        raise UsageError(f"there is no .yml file in {', '.join(map(str, paths))}")
    taken = {hunt.id: hunt.attribution for hunt in HuntLibrary.load().all()}
    results = unique_ids([result for path in files for result in import_file(path)], taken | _present(folder))
    for result in results:
        if isinstance(result, Imported):
            _write(folder, result.hunt)
    refused = [result for result in results if isinstance(result, Refused)]
    return SigmaImport(
        lines=tuple(map(_line, results)),
        imported=len(results) - len(refused),
        refused=len(refused),
        broken=any(result.broken for result in refused),
        folder=folder,
        active=folder.resolve().is_relative_to(own.resolve()),
    )


def _present(folder: Path) -> dict[str, str]:
    """The hunts that the folder holds already; a rule that is imported again keeps its id."""
    paths = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    return {hunt.id: hunt.attribution for path in paths for hunt in read_hunts(path)}


def _write(folder: Path, hunt: Hunt) -> None:
    target = folder / f"{hunt.id.partition('.')[2]}.yaml"
    part = target.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_text(to_yaml(hunt), encoding="utf-8")
        os.replace(part, target)
    except OSError as exc:
        raise StorageError(f"hunts are written to {folder}, which cannot be written: {exc.strerror}") from exc


def _line(result: Imported | Refused) -> str:
    if isinstance(result, Imported):
        remarks = f" ({'; '.join(result.remarks)})" if result.remarks else ""
        return f"{result.path}:{result.line}: imported as {result.hunt.id}{remarks}"
    what = "not a Sigma rule" if result.broken else "not imported"
    return str(ContentError(str(result.path), result.line, f"{what}: {result.why}"))
