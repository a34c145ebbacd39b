"""Text of CQL as tokens."""

import re

from ..syntax import QuerySyntaxError, Token, tokenize

_TOKENS = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<block>\d{1,3}(?:\.\d{1,3}){3}/\d{1,2}(?![\w/.]))
      | (?P<regex>/(?:[^/\\\n]|\\.)+/[a-zA-Z]*)
      | (?P<operator>:=|=~|==|!=|<=|>=|[=<>])
      | (?P<word>(?:(?!:=)[@#*A-Za-z0-9_.\-:\\$%+~?])+)
      | (?P<sign>[()\[\]{},;|!])
    """,
    re.VERBOSE | re.DOTALL,
)
FIELD = re.compile(r"[@#]?[A-Za-z_][A-Za-z0-9_.]*\Z")


def tokens_of(text: str) -> list[Token]:
    """The tokens of a query.

    Raises:
        QuerySyntaxError: a character that starts no token.
    """
    try:
        return tokenize(text, _TOKENS)
    except QuerySyntaxError as error:
        if text[error.start : error.start + 1] != "/":
            raise
        hint = "quote a value that holds a slash; a pattern is written /.../i after ="
        raise QuerySyntaxError(error.message, error.start, error.end, hint) from error
