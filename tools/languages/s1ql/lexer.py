r"""Text to tokens of S1QL 1.0, and where a quoted string ends, which depends on who wrote the query.

Published queries write backslashes singly and quotes inside quotes, so a quote ends a string only before `)`, AND, OR,
NOT, the end, or inside a list a comma. A line that begins with `--` is a comment.
"""

import re
from enum import StrEnum

from ..syntax import QuerySyntaxError, Token


class Quoting(StrEnum):
    """How strings are written."""

    PUBLISHED = "published"
    """Backslashes and quotes stand for themselves; what follows a quote tells whether it ends the string."""
    ESCAPED = "escaped"
    """A backslash stands before quotes and backslashes, as the vendor's API asks for."""
    PYSIGMA = "pysigma"
    """As pySigma-backend-sentinelone writes: `\\"` and `\\*`, else backslashes singly, but doubled in patterns."""


KEYWORDS = frozenset(
    {
        "and", "or", "not", "in", "contains", "containscis", "contain", "containcis", "anycase", "does", "startswith",
        "startswithcis", "endswith", "endswithcis", "regexp", "exists", "between", "is", "empty", "true", "false",
    }
)  # fmt: skip
"""Words that are no names; the kind of their token is the word itself in lower case."""

_GAP = r"(?:^[\ \t]*--[^\n]*|\s)*+"
"""White space and comments."""
_TOKEN = re.compile(
    _GAP
    + r"""(?: (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
      | (?P<quote>["'])
      | (?P<sign>[(),])
      | (?P<operator>!=|<=|>=|==|<>|=~|[=<>])
      | (?P<number>-?[0-9]+(?:\.[0-9]+)?(?![\w.]))
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.MULTILINE,
)
_STRAY = {"~": "patterns are compared with RegExp", "|": "S1QL 1.0 has no commands; PowerQuery has"} | dict.fromkeys(
    "\u201c\u201d\u2018\u2019", "write straight quotes"
)
"""Characters of other languages and of word processors, and what to do about them."""
_SPACE = re.compile(_GAP, re.MULTILINE)
_CLOSES = {
    quote: re.compile(rf"{quote}(?={_GAP}(?:\)|\Z|(?:and|or|not)\b))", re.IGNORECASE | re.MULTILINE) for quote in "\"'"
}
CLOSES_IN_LIST = {
    quote: re.compile(rf"{quote}(?={_GAP}(?:[),]|\Z|(?:and|or|not)\b))", re.IGNORECASE | re.MULTILINE)
    for quote in "\"'"
}
"""Where a string may end inside a list, which is wherever it may end elsewhere, and before a comma."""
_ESCAPED = {quote: re.compile(rf"(?:[^{quote}\\]|\\.)*{quote}", re.DOTALL) for quote in "\"'"}
_PYSIGMA_ESCAPE = re.compile(r"""\\(["*?])""")
_CONDITION = (
    r"[A-Za-z]\w*\s*(?:=|!=|[<>]|(?:in|not|contains|containscis|does|startswith|startswithcis|endswith|endswithcis|"
    r"regexp|between|is)\s)"
)
NEXT_CONDITION = {quote: re.compile(rf"{quote}\s+{_CONDITION}", re.IGNORECASE) for quote in "\"'"}
"""A quote behind which a further condition seems to begin."""
_NEXT_ITEM = {quote: re.compile(rf"{quote}\s*,\s*{quote}") for quote in "\"'"}


def tokens_of(text: str, quoting: Quoting) -> list[Token]:
    """Cut a query into tokens, the last of kind `end`.

    Raises:
        QuerySyntaxError: a character that starts no token, or a string that does not end.
    """
    tokens: list[Token] = []
    position = 0
    while True:
        found = _TOKEN.match(text, position)
        kind = found.lastgroup if found else None
        if found is None or kind is None:
            place = _skipped(text, position)
            hint = _STRAY.get(text[place])
            raise QuerySyntaxError(f"{text[place]!r} does not belong here", place, place + 1, hint)
        start, position = found.span(kind)
        if kind == "quote":
            token = _string(text, start, quoting, tokens)
            position = token.end
        elif kind == "word":
            written = found[kind]
            lowered = written.lower()
            token = Token(lowered if lowered in KEYWORDS else "word", written, start, position)
        else:
            token = Token(kind, found[kind], start, position)
        tokens.append(token)
        if kind == "end":
            return tokens


def _skipped(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return space.end() if space else position


def _string(text: str, start: int, quoting: Quoting, before: list[Token]) -> Token:
    last = before[-1].text if before else ""
    end = _end_of(text, start, quoting, last)
    content = text[start + 1 : end - 1]
    if quoting is Quoting.ESCAPED:
        content = re.sub(r"""\\(["'\\])""", r"\1", content)
    elif quoting is Quoting.PYSIGMA:
        pattern = last.lower() == "regexp"
        content = content.replace("\\\\", "\\") if pattern else _PYSIGMA_ESCAPE.sub(r"\1", content)
    elif '"' in content or "'" in content:
        _refuse_swallowed(content, start + 1, text[start], in_list=last in ("(", ","))
    return Token("string", content, start, end)


def _end_of(text: str, start: int, quoting: Quoting, last: str) -> int:
    quote = text[start]
    closes = (CLOSES_IN_LIST if last in ("(", ",") else _CLOSES)[quote]
    if quoting is Quoting.ESCAPED:
        found = _ESCAPED[quote].match(text, start + 1)
    else:
        found = closes.search(text, start + 1)
        plain = text.find(quote, start + 1)
        if quoting is Quoting.PYSIGMA and last.lower() != "regexp":
            # A quote without a backslash before it is never part of the value there.
            while plain >= 0 and text[plain - 1] == "\\" and not closes.match(text, plain):
                plain = text.find(quote, plain + 1)
            if plain >= 0:
                return plain + 1
    if found is None:
        later = text.find(quote, start + 1) >= 0
        hint = "a quote ends a string only before ), AND, OR, NOT or the end, and in a list before a comma"
        raise QuerySyntaxError("this quoted string is not closed", start, len(text), hint if later else None)
    return found.end()


def _refuse_swallowed(content: str, offset: int, quote: str, *, in_list: bool) -> None:
    """A forgotten AND, OR or bracket makes the string end too late."""
    swallowed = NEXT_CONDITION[quote].search(content)
    if swallowed is not None:
        place = offset + swallowed.start() + 1
        raise QuerySyntaxError("AND or OR is missing here", place, place + 1, "join conditions with AND or OR")
    item = None if in_list else _NEXT_ITEM[quote].search(content)
    if item is not None:
        place = offset + item.start() + 1
        raise QuerySyntaxError("several values stand in brackets", place, place + 1, 'In ("a", "b")')
