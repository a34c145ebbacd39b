"""The runbook shelf: the built-in runbooks and the SOC's own, which are kept as Markdown files in one folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..knowledge.errors import ContentError, StorageError, UsageError
from ..knowledge.retrieval import Document
from ..knowledge.runbooks import Runbook, load_runbooks, read_runbook
from .passages import runbook_documents


@dataclass(frozen=True)
class RunbookShelf:
    """Runbooks to read, and a folder to keep own ones in.

    Own runbooks come from `folder` (`runbooks add` writes there) and from `extra`, a content folder that the SOC keeps
    elsewhere; its sub-folder `runbooks` is read when there is one. An own runbook replaces the built-in one of its id.
    """

    folder: Path
    extra: Path | None = None

    def list(self) -> Sequence[Runbook]:
        """Every runbook by id.

        Raises:
            ContentError: an own file breaks the schema; names file and line.
        """
        folders = [self.folder]
        if self.extra is not None:
            inner = self.extra / "runbooks"
            folders.append(inner if inner.is_dir() else self.extra)
        return load_runbooks(*dict.fromkeys(folders))

    def show(self, runbook_id: str) -> Runbook:
        """One runbook.

        Raises:
            UsageError: there is none with this id.
        """
        books = self.list()
        found = next((book for book in books if book.id == runbook_id), None)
        if found is None:
            raise UsageError(f"there is no runbook {runbook_id!r}; there are {', '.join(book.id for book in books)}")
        return found

    def passages(self) -> Sequence[Document]:
        """The sections of every runbook as documents for retrieval."""
        return [document for book in self.list() for document in runbook_documents(book)]

    def add(self, path: Path) -> Runbook:
        """Check a Markdown file and keep a copy of it; an own runbook of the same id is replaced.

        Raises:
            UsageError: the file does not exist.
            ContentError: it breaks the schema; names file and line.
            StorageError: the folder cannot be written.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, IsADirectoryError, PermissionError) as exc:
            raise UsageError(f"{path} cannot be read: {exc.strerror}") from exc
        except UnicodeDecodeError as exc:
            raise ContentError(str(path), None, "the file is not UTF-8 text") from exc
        runbook = read_runbook(text, str(path), own=True)
        target = self.folder / f"{runbook.id}.md"
        part = target.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part.write_text(text, encoding="utf-8")
            os.replace(part, target)
        except OSError as exc:
            raise StorageError(f"runbooks are kept in {self.folder}, which cannot be written: {exc.strerror}") from exc
        return runbook

    def remove(self, runbook_id: str) -> None:
        """Remove one of the SOC's own runbooks; a built-in one of the same id shows again.

        Raises:
            UsageError: it is not an own one of this folder.
            StorageError: the file cannot be removed.
        """
        found = self.show(runbook_id)
        path = Path(found.source)
        if not found.own:
            raise UsageError(f"{runbook_id} is built in and cannot be removed; an own runbook of that id replaces it")
        if path.parent != self.folder:
            raise UsageError(f"{runbook_id} lies in {path.parent}; remove it there")
        try:
            path.unlink()
        except OSError as exc:
            raise StorageError(f"{path} cannot be removed: {exc.strerror}") from exc
