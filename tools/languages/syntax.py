"""What the parsers of all languages share: errors with a place, tokens, and a guess at what was meant."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from ...knowledge.errors import QueryError
from .query import Code, Diagnostic

MAX_DEPTH = 60
"""Brackets and negations inside one another; more is refused before Python's own stack is."""


class QuerySyntaxError(QueryError):
    """A text that is not a query of the language.

    Attributes:
        start: First character offset of the problem.
        end: Offset behind it.
        message: What is wrong.
        hint: What to write instead, when that is known.
        code: Diagnostic code: `syntax`, `unknown_function` or `too_complex`.
    """

    def __init__(self, message: str, start: int, end: int, hint: str | None = None, code: Code = "syntax") -> None:
        super().__init__(f"{message} (at character {start + 1})")
        self.message, self.start, self.end, self.hint = message, start, end, hint
        self.code: Code = code

    def diagnostic(self) -> Diagnostic:
        """The same as a finding of a check."""
        return Diagnostic(self.code, "error", self.message, self.start, self.end, self.hint)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a query with its place in the text."""

    kind: str
    text: str
    start: int
    end: int


def tokenize(text: str, pattern: re.Pattern[str]) -> list[Token]:
    """Cut a text by a pattern of named groups; the group `space` is dropped, and an `end` token is added.

    Raises:
        QuerySyntaxError: a character that starts no token.
    """
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        found = pattern.match(text, position)
        if found is None or found.end() == position:
            quote = text[position] in "'\""
            raise QuerySyntaxError(
                "this quoted string is not closed" if quote else f"{text[position]!r} does not belong here",
                position,
                len(text) if quote else position + 1,
            )
        kind = found.lastgroup or ""
        if kind != "space":
            tokens.append(Token(kind, found.group(), position, found.end()))
        position = found.end()
    tokens.append(Token("end", "", len(text), len(text)))
    return tokens


class TokenStream:
    """Tokens read one after another; the `end` token is never passed."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens, self._at = tokens, 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    @property
    def _after(self) -> Token:
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    @property
    def _last_end(self) -> int:
        """Where the token read last ends."""
        return self._tokens[self._at - 1].end if self._at else 0

    def _take(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the closest known name, whatever its case; None when nothing is close."""
    by_lower = {item.lower(): item for item in known}
    lowered = name.lower()
    if lowered in by_lower:
        return f"did you mean {by_lower[lowered]}?"
    # Comparing letter by letter is slow, so only names that share the most pairs of letters are compared.
    pairs = _pairs(lowered)
    likely = sorted(by_lower, key=lambda item: len(pairs & _pairs(item)) / (len(item) + len(lowered)), reverse=True)
    close = get_close_matches(lowered, likely[:8], n=1, cutoff=0.7)
    if close:
        return f"did you mean {by_lower[close[0]]}?"
    # A short name is often the tail of a longer one: hostname -> device.hostname, CommandLine -> ProcessCommandLine.
    tails = sorted((item for item in by_lower if len(lowered) >= 4 and item.endswith(lowered)), key=len)
    return f"did you mean {by_lower[tails[0]]}?" if tails else None


def listed_hint(value: str, known: Sequence[str], most: int = 8) -> str:
    """A hint on a value of a closed list: the one that is meant, whatever its spaces and case, or the first of the list."""
    squeezed = {name.replace(" ", "").lower(): name for name in known}
    near = squeezed.get(value.replace(" ", "").lower())
    meant = f"did you mean {near}?" if near else did_you_mean(value, known)
    return meant or "values: " + ", ".join(known[:most])


@lru_cache(maxsize=4096)
def _pairs(name: str) -> frozenset[str]:
    return frozenset(name[at : at + 2] for at in range(len(name) - 1))
