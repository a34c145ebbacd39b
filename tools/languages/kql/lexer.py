"""KQL text to tokens. Offsets are character positions into the text, end excluded."""

import re
from typing import NamedTuple

from ..syntax import QuerySyntaxError

MAX_LENGTH = 100_000
"""Longer texts are refused before they are read: no hunting query comes near it."""


class Token(NamedTuple):
    """One token. `kind` is `name`, `keyword` (with a hyphen), `number`, `timespan`, `string`, `literal`, `op` or `end`."""

    kind: str
    text: str
    start: int
    end: int


_HYPHENATED = """
    project-away project-by-names project-keep project-rename project-reorder mv-expand mv-apply make-series
    make-graph parse-where parse-kv top-nested top-hitters sample-distinct graph-match graph-to-table
    graph-shortest-paths graph-mark-components graph-merge partition-by assert-schema execute-and-cache
"""
_UNITS = (
    "microseconds|microsecond|micros|micro|milliseconds|millisecond|millis|milli|nanoseconds|nanosecond|nanos|nano|"
    "minutes|minute|seconds|second|ticks|tick|hours|hour|days|day|mins|min|secs|sec|hrs|hr|ms|d|h|m|s"
)
_TYPED = "datetime|date|timespan|time|guid|decimal|double|real|boolean|bool|int64|int32|long|int"

_TOKEN = re.compile(
    rf"""
    (?P<space>  (?:[\s\u200b\ufeff]++ | //[^\r\n]*+)++ )
  | (?P<literal> (?:{_TYPED})\s*+\( \s*+ (?: "[^"\r\n]*+" | '[^'\r\n]*+' | [^()"'\r\n,|;]*+ ) \s*+ \) )
  | (?P<string> [hH]?(?: @"(?:[^"\r\n]|"")*+" | @'(?:[^'\r\n]|'')*+'
                       | "(?:[^"\\\r\n]|\\.)*+" | '(?:[^'\\\r\n]|\\.)*+' )
              | ```.*?``` | ~~~.*?~~~ )
  | (?P<timespan> \d+(?:\.\d+)?(?:{_UNITS})(?![A-Za-z0-9_]) )
  | (?P<number> 0[xX][0-9a-fA-F]+(?![A-Za-z0-9_])
              | \d+\.\d+(?:[eE][+-]?\d+)?(?![A-Za-z0-9_]) | \d+[eE][+-]?\d+(?![A-Za-z0-9_])
              | \d+\.(?![.\w]) | \d+(?![A-Za-z0-9_]) )
  | (?P<keyword> (?:{"|".join(_HYPHENATED.split())})(?![A-Za-z0-9_]) )
  | (?P<name> [A-Za-z0-9_$][A-Za-z0-9_]* )
  | (?P<op> (?:=~|==|=>|!=|!~|<>|<=|>=|\.\.|![A-Za-z_]+~?) | [-+*/%<>=|,;:.()\[\]{{}}?@!] )
    """,
    re.VERBOSE | re.DOTALL,
)


def tokens(text: str) -> list[Token]:
    """Split a query into tokens; comments and white space are dropped.

    Raises:
        QuerySyntaxError: a character that starts no token, an open string, or a text beyond `MAX_LENGTH`.
    """
    if len(text) > MAX_LENGTH:
        raise QuerySyntaxError(f"the query has more than {MAX_LENGTH} characters", 0, len(text), code="too_complex")
    found: list[Token] = []
    append = found.append
    position, match = 0, _TOKEN.match
    size = len(text)
    while position < size:
        hit = match(text, position)
        if hit is None:
            raise _unreadable(text, position)
        kind, end = hit.lastgroup or "", hit.end()
        if kind != "space":
            if kind == "name" and end < size and text[end] == "~" and hit.group() == "in":
                end += 1
                kind = "op"
            append(Token(kind, text[position:end], position, end))
        position = end
    append(Token("end", "", size, size))
    return found


_INSTEAD = {"&": "write and", "~": "ignoring case is written =~, !~ or in~", "`": "quote a name as ['name']"}
_INSTEAD |= dict.fromkeys("\u201c\u201d\u2018\u2019\u201e", "use straight quotes, as in 'text'")


def _unreadable(text: str, position: int) -> QuerySyntaxError:
    character = text[position]
    if character in "\"'" or text.startswith(("```", "~~~"), position):
        end = len(text) if text.startswith(("```", "~~~"), position) else _line_end(text, position)
        slash = "write a backslash twice, or the text as @'...'" if "\\" in text[position:end] else None
        return QuerySyntaxError("the text in quotes is not closed on its line", position, end, slash)
    end = position + 1 + (text[position : position + 2] == "&&")
    return QuerySyntaxError(f"{text[position:end]!r} has no meaning here", position, end, _INSTEAD.get(character))


def _line_end(text: str, position: int) -> int:
    found = [place for place in (text.find("\n", position), text.find("\r", position)) if place >= 0]
    return min(found, default=len(text))


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-7]{1,3})|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "0": "\0"}


def string_value(token: Token) -> str:
    r"""The text that a string token stands for.

    Raises:
        QuerySyntaxError: an escape that the language does not know, such as `"\d"` (write `@"\d"`).
    """
    text = token.text
    if text[:3] in ("```", "~~~"):
        return text[3:-3]
    if text[0] in "hH":
        text = text[1:]
    if text[0] == "@":
        quote = text[1]
        return text[2:-1].replace(quote * 2, quote)
    body = text[1:-1]
    if "\\" not in body:
        return body

    def one(hit: re.Match[str]) -> str:
        four, eight, two, octal, simple = hit.groups()
        if four or eight or two:
            number = int(four or eight or two, 16)
            return chr(number) if number <= 0x10FFFF else "\ufffd"
        if octal:
            return chr(int(octal, 8))
        if simple in "\\\"'":
            return str(simple)
        if simple in _SIMPLE:
            return _SIMPLE[simple]
        raise QuerySyntaxError(
            f"\\{simple} is no escape in a string",
            token.start,
            token.end,
            hint='write the string with @ before the quote, as in @"\\d+"',
        )

    return _ESCAPE.sub(one, body)
