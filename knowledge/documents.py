"""What search finds: documents."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["hunt", "runbook"]


@dataclass(frozen=True, slots=True)
class Document:
    """One thing to find: a hunt, or a section of a runbook.

    `text` is what a reader is shown, `keywords` are words that only help to find it, and each of `phrases` (example
    questions, headings) is a sentence that a searcher may say; the nearest of them stands for the document.
    """

    id: str
    kind: Kind
    title: str
    section: str
    text: str
    keywords: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
