"""Hunts and runbooks as documents for retrieval."""

from ..knowledge import attack
from ..knowledge.retrieval import Document
from ..knowledge.runbooks import Runbook
from .hunts import Hunt
from .languages.search import Operator, conditions

_NAMED = ("process.name", "actor.process.name", "file.name", "service.name", "api.operation", "process.original_name")


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
        keywords=(
            *hunt.tags,
            hunt.id,
            *(attack.title(name) for name in sorted(techniques)),
            *hunt.benign,
            *_names(hunt),
        ),
        phrases=hunt.questions,
    )


def _names(hunt: Hunt) -> list[str]:
    """The programs, files, services and operations that a hunt looks for by name."""
    found = (
        value
        for search in hunt.searches
        for condition in conditions(search.where)
        if condition.field in _NAMED and condition.op in (Operator.EQ, Operator.CONTAINS)
        for value in condition.values
        if isinstance(value, str) and not value.startswith("$")
    )
    return list(dict.fromkeys(found))


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
