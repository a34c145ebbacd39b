"""Which hunts a question obliges: one rule, the same for every model. A model can add to them and take nothing away."""

from collections.abc import Iterable

NEAR = 0.75
"""A hunt is taken along when its score is at least this share of the best one's."""
MOST = 3
DIGITS = 4
"""Scores are compared as a model sees them."""


def obliged_hunts(scored: Iterable[tuple[str, float]]) -> tuple[str, ...]:
    """The best hunt and those nearly as good, best first.

    Args:
        scored: Ids and retrieval scores (0 to 1) of the hunts that come near and whose required parameters are known.
    """
    rounded = [(name, round(score, DIGITS)) for name, score in scored]
    best = max((score for _, score in rounded), default=0.0)
    near = [item for item in rounded if item[1] >= NEAR * best]
    return tuple(name for name, _ in sorted(near, key=lambda item: -item[1])[:MOST])
