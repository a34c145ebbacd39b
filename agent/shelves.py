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


def open_library(settings: Settings) -> HuntLibrary:
    """Built-in hunts and the SOC's own."""
    return HuntLibrary.load(content_folder(settings))


def open_runbooks(settings: Settings) -> RunbookShelf:
    """Built-in runbooks and the SOC's own."""
    return RunbookShelf(settings.home / "content" / "runbooks", extra=content_folder(settings))


def open_retrieval(settings: Settings) -> Retrieval:
    """The index over hunts and runbooks; it is kept under the home folder and rebuilt when its content changes."""
    hunts = (hunt_document(hunt) for hunt in open_library(settings).all())
    return Retrieval.open(settings.home / "index", passages=(*hunts, *open_runbooks(settings).passages()))
