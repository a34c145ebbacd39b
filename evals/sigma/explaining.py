"""What a difference between two queries comes from: the faults of a backend that no correction of ours undoes."""

import re
from collections.abc import Callable, Sequence

from .comparing import Outcome

Sign = Callable[[Outcome], bool]


def _theirs(pattern: str, *languages: str) -> Sign:
    found = re.compile(pattern)
    return lambda outcome: outcome.language.startswith(languages or ("",)) and bool(found.search(outcome.corrected.query))


EXPLANATIONS: Sequence[tuple[Sign, str]] = (
    (_theirs(r"(?i)\bnot [^()\n]+? or "), "a negated value that stands for several (`windash`) is not bracketed: `not a or b`"),
)
"""The first sign that fits an outcome says why it differs."""


def explanation(outcome: Outcome) -> str:
    """Why the queries differ; empty where nobody has said so yet."""
    return next((why for sign, why in EXPLANATIONS if sign(outcome)), "")
