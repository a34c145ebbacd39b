"""Numbers of logs in words: event ids, logon types, status codes, ticket encryption, sign-in errors. Read from data."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ..knowledge.loading import parsed

MAX_TEXT = 2_000
"""A longer text is no question about a number."""


@dataclass(frozen=True, slots=True)
class Code:
    """A number, what kind it is, and what it means."""

    kind: str
    number: str
    means: str


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    asks: tuple[str, ...]
    codes: Mapping[str, str]


@cache
def _kinds() -> tuple[_Kind, ...]:
    text = files("tracehound.knowledge").joinpath("event_codes.yaml").read_text(encoding="utf-8")
    content: Mapping[str, Mapping[str, object]] = parsed(text)
    found = []
    for name, entry in content.items():
        asks, codes = entry["asks"], entry["codes"]
        assert isinstance(asks, list)
        assert isinstance(codes, dict)
        told = {str(code).casefold(): str(means) for code, means in codes.items()}
        found.append(_Kind(name, tuple(str(word).casefold() for word in asks), told))
    return tuple(found)


def codes_in(text: str) -> list[Code]:
    """The codes that a short text names, in the order in which they stand.

    A number of four digits or more, or one in hexadecimal of eight, is known by itself; a shorter one only right behind
    a word that says what it is (`logon type 3`, `sysmon 10`).
    """
    if len(text) > MAX_TEXT:
        return []
    found: dict[tuple[str, str], Code] = {}
    for match in re.finditer(
        r"(?<![\w.:/\\-])(?:AADSTS)?(0x[0-9a-f]{1,8}|\d{1,7})(?![\w:/\\-]|\.\d)", text, re.IGNORECASE
    ):
        for kind in _meant(match, text):
            found.setdefault(
                (kind.name, match[1].casefold()), Code(kind.name, match[1], kind.codes[match[1].casefold()])
            )
    return list(found.values())


def _meant(match: re.Match[str], text: str) -> Iterator[_Kind]:
    number = match[1].casefold()
    before, whole = text[max(match.start() - 24, 0) : match.start()].casefold(), text.casefold()
    known = [kind for kind in _kinds() if number in kind.codes]
    near = [kind for kind in known if any(_ends_with(before, word) for word in kind.asks)]
    if near:
        yield near[0]
        return
    for kind in known:
        if not kind.asks or (len(number) >= 4 and any(word in whole for word in kind.asks)):
            yield kind
            return


def _ends_with(before: str, word: str) -> bool:
    """Whether a word stands right before a number; `event id`, `code` and the like may stand between."""
    return re.search(rf"{re.escape(word)}s?\W*(?:event\W*|id\W*|code\W*|no\W*|of\W*|is\W*|=\W*)*$", before) is not None
