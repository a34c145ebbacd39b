"""A query cut into commands, whatever they are: what the policy judges and what the parser reads command by command.

Only double quotes protect a pipe or a bracket. Where two readings of the text are possible (a backslash before a quote
outside quotes), there is no outline, so nothing can be read one way here and another way by Splunk.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..syntax import MAX_DEPTH, QuerySyntaxError

_PIECE = re.compile(
    r"""(?P<comment>```.*?```)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<macro>`[^`]+`)
      | (?P<escape>\\+(?=(?P<behind>["|\[\]`])))
      | (?P<sign>[|\[\]])
      | (?P<text>[^"`|\[\]\\]+|\\+)
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)(?=\s|\Z|`|\[)")


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `name` is lower case, and `search` where the text leaves it out."""

    name: str
    start: int
    end: int
    body: int
    """Where its arguments begin."""
    implied: bool = False
    inner: tuple["Outline", ...] = ()
    """Its subsearches."""
    macros: tuple[tuple[int, int], ...] = ()

    def arguments(self, text: str) -> str:
        """What follows the name."""
        return text[self.body : self.end]


@dataclass(frozen=True, slots=True)
class Outline:
    """The commands of a search or subsearch, in order."""

    commands: tuple[Command, ...]

    def all_commands(self) -> Iterator[Command]:
        """Every command, those of subsearches included."""
        for command in self.commands:
            yield command
            for inner in command.inner:
                yield from inner.all_commands()


@dataclass
class _Draft:
    """A command that is being read."""

    start: int
    inner: list[Outline] = field(default_factory=list)
    macros: list[tuple[int, int]] = field(default_factory=list)


def without_comments(text: str) -> str:
    """The text with spaces in place of its comments, so that every offset stays."""
    return _PIECE.sub(lambda found: " " * len(found.group()) if found["comment"] else found.group(), text)


def outline(text: str) -> Outline:
    """The commands of a query whose comments are gone.

    Raises:
        QuerySyntaxError: quotes or brackets are not closed, or can be read in two ways.
    """
    return _Reader(text).whole()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def whole(self) -> Outline:
        found = self._pipeline(0)
        if self._at < len(self._text):
            raise QuerySyntaxError("this bracket was not opened", self._at, self._at + 1)
        return found

    def _pipeline(self, depth: int) -> Outline:
        commands: list[Command] = []
        draft = _Draft(self._at)
        first = True
        while self._at < len(self._text):
            piece = _PIECE.match(self._text, self._at)
            if piece is None:
                raise self._unclosed()
            sign = piece["sign"]
            if sign == "]" and depth:
                break
            if sign == "]":
                break
            if piece["escape"]:
                message = "a backslash before this sign can be read in two ways"
                raise QuerySyntaxError(message, piece.start(), piece.end() + 1, "put the value in double quotes")
            if sign == "[":
                self._nested(draft, depth)
                continue
            if piece["macro"]:
                draft.macros.append(piece.span())
            self._at = piece.end()
            if sign == "|":
                commands += self._finished(draft, piece.start(), first, depth)
                draft, first = _Draft(piece.end()), False
        return Outline((*commands, *self._finished(draft, self._at, first, depth)))

    def _nested(self, draft: _Draft, depth: int) -> None:
        opened = self._at
        if depth >= MAX_DEPTH:
            raise QuerySyntaxError("subsearches are nested too deeply", opened, opened + 1, code="too_complex")
        self._at += 1
        draft.inner.append(self._pipeline(depth + 1))
        if self._at >= len(self._text):
            raise QuerySyntaxError("this subsearch is not closed", opened, opened + 1, "add ]")
        self._at += 1

    def _unclosed(self) -> QuerySyntaxError:
        what = "this quoted string is not closed" if self._text[self._at] == '"' else "this macro is not closed"
        return QuerySyntaxError(what, self._at, len(self._text))

    def _finished(self, draft: _Draft, end: int, first: bool, depth: int) -> list[Command]:
        """The command between two pipes; none before a leading pipe."""
        body = self._text[draft.start : end]
        start = draft.start + len(body) - len(body.lstrip())
        stop = draft.start + len(body.rstrip())
        if not body.strip():
            if first:
                return []
            raise QuerySyntaxError("a command is expected here", draft.start, min(draft.start + 1, len(self._text)))
        named = _NAME.match(body)
        inner, macros = tuple(draft.inner), tuple(draft.macros)
        # A query that begins with no pipe is a search; a subsearch names its first command, `search` too.
        if first and not depth and (named is None or named[1] != "search"):
            return [Command("search", start, stop, start, True, inner, macros)]
        if named is not None:
            return [Command(named[1].lower(), start, stop, draft.start + named.end(), False, inner, macros)]
        if first or macros or inner:
            return [Command("search" if first else "", start, stop, start, True, inner, macros)]
        raise QuerySyntaxError("a command is expected here", start, max(stop, start + 1))
