"""Constructs that the lab's KQL engine does not read, written as ones that it does and that mean the same.

The rewriting works on tokens, so that nothing inside a string or a comment is touched.
"""

from collections.abc import Iterator, Mapping

from ...tools.languages.kql.lexer import Token, tokens
from ...tools.languages.syntax import QuerySyntaxError

_OLD_NAMES: Mapping[str, str] = {
    "makeset": "make_set",
    "makelist": "make_list",
    "parsejson": "parse_json",
    "pack_dictionary": "bag_pack",
}
_CLOSES: Mapping[str, str] = {"(": ")", "[": "]", "{": "}"}

Edit = tuple[int, int, str]
"""Start, end, replacement."""


def rewritten(text: str, time_column: str) -> str:
    """The query in words that the engine reads.

    `project-reorder` falls away: it changes the order of columns alone. Old function names become the new ones,
    `ingestion_time()` becomes the row's own time (a lab has no delay), and a bracketed source becomes a `let`.
    """
    try:
        found = tokens(text)
    except QuerySyntaxError:
        return text
    edits = sorted([*_reorders(found), *_renames(found, time_column), *_bracketed(found)], reverse=True)
    for start, end, replacement in edits:
        text = text[:start] + replacement + text[end:]
    return text


def _reorders(found: list[Token]) -> Iterator[Edit]:
    for at, token in enumerate(found):
        if token.text == "project-reorder" and at and found[at - 1].text == "|":
            yield found[at - 1].start, _stage_end(found, at), ""


def _renames(found: list[Token], time_column: str) -> Iterator[Edit]:
    for at, token in enumerate(found[:-1]):
        if token.kind != "name" or found[at + 1].text != "(":
            continue
        if token.text in _OLD_NAMES:
            yield token.start, token.end, _OLD_NAMES[token.text]
        elif token.text == "ingestion_time" and found[at + 2].text == ")":
            yield token.start, found[at + 2].end, time_column


def _bracketed(found: list[Token]) -> Iterator[Edit]:
    """`(T | where x) | take 1` to `let _source = T | where x; _source | take 1`."""
    for at, token in enumerate(found):
        if token.text != "(" or (at and found[at - 1].text != ";"):
            continue
        close = _partner(found, at)
        if close is None or found[close + 1].text != "|":
            continue
        name = f"_source{token.start}"
        yield token.start, token.end, f"let {name} = "
        yield found[close].start, found[close].end, f"; {name}"


def _stage_end(found: list[Token], at: int) -> int:
    """Where the stage that begins with this token ends."""
    depth = 0
    for token in found[at:]:
        if (depth == 0 and token.text in ("|", ";", ")")) or token.kind == "end":
            return token.start
        depth += (token.text in _CLOSES) - (token.text in _CLOSES.values())
    return found[-1].start


def _partner(found: list[Token], at: int) -> int | None:
    depth = 0
    for position in range(at, len(found)):
        depth += (found[position].text in _CLOSES) - (found[position].text in _CLOSES.values())
        if depth == 0:
            return position
    return None
