"""Slips of the keyboard: a word that an index does not know, read as the known word one slip away."""

import re
from collections.abc import Iterable
from functools import cached_property

SHORTEST = 6
"""Shorter words are one slip from too many others."""
_WORD = re.compile(r"(?<![\w.@\\/-])[a-z]+(?![\w@\\/-]|\.\w)", re.IGNORECASE)


class Spelling:
    """The words of an index, and what a misspelt one of them was meant to be."""

    def __init__(self, known: Iterable[str]) -> None:
        """Remember the words, the most frequent first: of two that are equally near the first is meant."""
        self._known = dict.fromkeys(word for word in known if word.isalpha())

    def corrected(self, text: str) -> str:
        """The text with each unknown word of some length read as the known one that a slip away spells it."""
        return _WORD.sub(lambda match: self._meant(match[0].lower()) or match[0], text)

    def _meant(self, word: str) -> str | None:
        if len(word) < SHORTEST or word in self._known:
            return None
        # A letter missing, doubled, wrong or swapped leaves both words equal once a letter is dropped from each.
        near = (self._shortened.get(shorter) for shorter in (word, *_shortened(word)))
        return next((known for known in near if known is not None and known[0] == word[0]), None)

    @cached_property
    def _shortened(self) -> dict[str, str]:
        found = {word: word for word in self._known if len(word) >= SHORTEST - 1}
        for word in list(found):
            for shorter in _shortened(word):
                found.setdefault(shorter, word)
        return found


def _shortened(word: str) -> set[str]:
    return {word[:at] + word[at + 1 :] for at in range(len(word))}
