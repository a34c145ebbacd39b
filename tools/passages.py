"""Hunts and runbooks as documents for retrieval."""

from collections.abc import Iterable, Sequence

from ..knowledge import attack
from ..knowledge.retrieval import Document
from ..knowledge.runbooks import Runbook
from .hunts import Hunt


def documents(hunts: Iterable[Hunt], runbooks: Iterable[Runbook]) -> Sequence[Document]:
    """One document a hunt, one a section of a runbook."""
    return tuple(hunt_document(hunt) for hunt in hunts) + tuple(
        document for runbook in runbooks for document in runbook_documents(runbook)
    )


def hunt_document(hunt: Hunt) -> Document:
    """A hunt: its title and what its searches say; questions, tags and technique names help to find it."""
    techniques = {*hunt.techniques, *(name for search in hunt.searches for name in search.techniques)}
    says = "; ".join(dict.fromkeys(search.says for search in hunt.searches if search.says))
    return Document(
        id=hunt.id,
        kind="hunt",
        title=hunt.title,
        section="",
        text=" ".join(part for part in (hunt.about, f"{says}." if says else "") if part),
        keywords=(*hunt.tags, hunt.id, *(attack.title(name) for name in sorted(techniques)), *hunt.benign),
        phrases=hunt.questions,
    )


def runbook_documents(runbook: Runbook) -> tuple[Document, ...]:
    """The sections of a runbook; each carries the runbook's title, tags and techniques."""
    words = (*runbook.tags, runbook.id, *(attack.title(name) for name in runbook.techniques))
    return tuple(
        Document(
            id=runbook.id,
            kind="runbook",
            title=runbook.title,
            section=section.title,
            text=section.text,
            keywords=words,
            phrases=(f"{runbook.title}: {section.title}", f"{runbook.title} {' '.join(runbook.tags)}"),
        )
        for section in runbook.sections
    )
