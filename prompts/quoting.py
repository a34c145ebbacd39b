"""Rows as a model may see them: recorded text is marked as quoted data, or masked altogether."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import load

OPEN, CLOSE, SPACE = "⟦", "⟧", "·"
_MAX_FIELD = 300


@dataclass(frozen=True, slots=True)
class QuotedRow:
    """One row. `host` and `user` are handles; `text` holds fields that an attacker may have written."""

    alias: str
    time: str
    host: str
    user: str
    event_class: str
    facts: Mapping[str, str]
    """Fields from closed lists or made by a sensor: ports, ids, activities."""
    text: Mapping[str, str]


def quote(text: str) -> str:
    """Recorded text between marks, with every space marked, so that no phrase of it reads as one of the prompt's."""
    plain = "".join(character if character.isprintable() else "?" for character in text)
    plain = plain.replace(OPEN, "[").replace(CLOSE, "]").replace("```", "'''")
    cut = f"{plain[:_MAX_FIELD]}…" if len(plain) > _MAX_FIELD else plain
    return f"{OPEN}{SPACE.join(cut.split())}{CLOSE}"


def mask(text: str) -> str:
    """The length of recorded text in place of the text."""
    return f"{OPEN}text of {len(text)} characters{CLOSE}"


def rows(found: Sequence[QuotedRow], *, masked: bool = False) -> str:
    """The prompt for some rows.

    Args:
        found: the rows.
        masked: show no recorded text; a verdict that changes with it rests on what an attacker may have written.
    """
    lines = "\n".join(_line(row, masked) for row in found)
    return load("rows_masked" if masked else "rows", rows=lines)


def _line(row: QuotedRow, masked: bool) -> str:
    return " | ".join((row.alias, row.time, row.host, row.user, row.event_class, ", ".join(_fields(row, masked))))


def _fields(row: QuotedRow, masked: bool) -> Iterable[str]:
    for name, value in row.facts.items():
        yield f"{name}={value}"
    for name, value in row.text.items():
        yield f"{name}={mask(value) if masked else quote(value)}"
