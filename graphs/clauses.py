"""The parts of a question that asks for several things at once, each of which obliges a hunt of its own. Pure.

A retrieval over the whole of "phishing mail, typed password, login from 198.18.0.7: in what order?" finds what comes
near all three and none of them well; over each part it finds the hunt that the part asks for.
"""

import re
from collections.abc import Callable, Sequence

from ..knowledge.tokens import tokens
from .think import Candidate

PLAIN = 0.6
"""Score from which a part of a question asks for its hunt by itself; a part is short, so chance reaches further."""
MOST = 3
"""Hunts that parts add to those of the whole question."""
FEWEST_WORDS = 2

_BORDER = re.compile(
    r"[;:!?]+(?=\s|$)|[,.]+(?=\s|$)|\s[-–—+]+\s|\b(?:and|or|then|before|after|versus|vs|followed\s+by|until|but)\b",
    re.IGNORECASE,
)


def clauses(question: str) -> tuple[str, ...]:
    """The parts of a question between its commas, colons and conjunctions that hold enough words to ask something."""
    parts = [" ".join(part.split()) for part in _BORDER.split(question)]
    telling = tuple(dict.fromkeys(part for part in parts if len(tokens(part)) >= FEWEST_WORDS))
    return telling if len(parts) > 1 else ()


def asked_by_parts(
    question: str, obliged: Sequence[str], near: Callable[[str], Sequence[Candidate]]
) -> tuple[str, ...]:
    """Hunts that parts of the question ask for beyond those that the whole of it obliges, the best first.

    Args:
        question: The analyst's words.
        obliged: Hunts that the whole question obliges.
        near: Hunts that come near a text, best first.
    """
    found: dict[str, float] = {}
    for part in clauses(question):
        best = next((item for item in near(part) if item.fits), None)
        if best is not None and best.score >= PLAIN and best.hunt.id not in obliged:
            found[best.hunt.id] = max(found.get(best.hunt.id, 0.0), best.score)
    return tuple(sorted(found, key=lambda name: (-found[name], name))[:MOST])
