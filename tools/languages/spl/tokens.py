"""A part of a query as tokens whose places are those in the whole."""

import re

from ..syntax import QuerySyntaxError, Token, tokenize


def tokens_at(text: str, offset: int, pattern: re.Pattern[str]) -> list[Token]:
    """The tokens of a part that begins at an offset.

    Raises:
        QuerySyntaxError: a character that starts no token.
    """
    try:
        tokens = tokenize(text, pattern)
    except QuerySyntaxError as error:
        raise QuerySyntaxError(error.message, error.start + offset, error.end + offset) from error
    return [Token(item.kind, item.text, item.start + offset, item.end + offset) for item in tokens]
