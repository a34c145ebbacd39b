"""The text shelves of an installation: hunts and runbooks, built in and own, with one index over both."""

from pathlib import Path

from ..knowledge.retrieval import Retrieval
from ..tools.library import HuntLibrary
from ..tools.passages import hunt_document
from ..tools.runbooks import RunbookShelf
from .settings import Settings


def content_folder(settings: Settings) -> Path | None:
    """Folder of the SOC's own hunts, when one is set."""
    content = settings.get("content")
    return Path(content).expanduser() if content else None


def hunts_folder(settings: Settings) -> Path:
    """Where imported hunts are written: the SOC's content folder, else `content/hunts` of the home folder."""
    content = content_folder(settings)
    if content is None:
        return settings.home / "content" / "hunts"
    return content / "hunts" if (content / "hunts").is_dir() else content


def open_library(settings: Settings) -> HuntLibrary:
    """Built-in hunts and the SOC's own."""
    folder = hunts_folder(settings)
    return HuntLibrary.load(folder if folder.is_dir() or content_folder(settings) is not None else None)


def open_runbooks(settings: Settings) -> RunbookShelf:
    """Built-in runbooks and the SOC's own."""
    return RunbookShelf(settings.home / "content" / "runbooks", extra=content_folder(settings))


def open_retrieval(settings: Settings) -> Retrieval:
    """The index over hunts and runbooks; it is kept under the home folder and rebuilt when its content changes."""
    hunts = (hunt_document(hunt) for hunt in open_library(settings).all())
    return Retrieval.open(settings.home / "index", passages=(*hunts, *open_runbooks(settings).passages()))
