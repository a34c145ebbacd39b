"""Quoted strings in a command line or script, and the tricks of joining, filling, turning and cleaning them, undone.

Read in one pass from left to right, so that no text, however many quotes it holds, takes more than its length.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

MAX_PASSES = 40
MAX_MADE = 200_000
"""A string longer than this is not made."""
MAX_BETWEEN = 60
"""Code between two strings that belong together is shorter than this."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A quoted string: where it stands, quotes included, and what it says."""

    start: int
    end: int
    says: str


def literals(text: str, quotes: str = "'\"") -> list[Literal]:
    """The quoted strings of a text; a doubled quote stands for one, and a string that never ends is none."""
    found: list[Literal] = []
    open_for_ever: set[str] = set()
    at = 0
    while at < len(text):
        quote = text[at]
        if quote not in quotes or quote in open_for_ever:
            at += 1
            continue
        end = _closing(text, at + 1, quote)
        if end < 0:
            open_for_ever.add(quote)
            at += 1
            continue
        found.append(Literal(at, end + 1, text[at + 1 : end].replace(quote * 2, quote)))
        at = end + 1
    return found


def _closing(text: str, at: int, quote: str) -> int:
    while True:
        end = text.find(quote, at)
        if end < 0 or text[end + 1 : end + 2] != quote:
            return end
        at = end + 2


def quoted(text: str) -> str:
    """A text as a string."""
    return "'" + text.replace("'", "''") + "'"


def resolved(text: str, limit: int) -> tuple[str, list[str]]:
    """A text with tricks on its strings undone, and the names of those tricks.

    Args:
        text: A command line or script.
        limit: A result longer than this is not made.
    """
    names: dict[str, None] = {}
    for _ in range(MAX_PASSES):
        before = text
        for quotes in ("'", "'\"", '"'):
            plain, name = _once(text, literals(text, quotes))
            if name and len(plain) <= limit:
                text = plain
                names[name] = None
        if text == before:
            break
    return text, list(names)


Step = tuple[int, int, str]
"""Index of the literal behind the trick, end of the trick in the text, and what it says."""
Trick = Callable[[str, Sequence[Literal], int], Step | None]


def _once(text: str, strings: Sequence[Literal]) -> tuple[str, str]:
    """Every trick that begins at a string, undone once from left to right; the name of the first that was found."""
    for name, trick in _TRICKS:
        out, at, index, changed = [], 0, 0, False
        while index < len(strings):
            step = trick(text, strings, index)
            if step is None:
                index += 1
                continue
            following, end, says = step
            out += [text[at : strings[index].start], quoted(says)]
            at, changed, index = end, True, following
        if changed:
            return "".join([*out, text[at:]]), name
    return text, ""


def _between(text: str, strings: Sequence[Literal], index: int) -> str:
    """The code between a string and the next one; too long to belong together: nothing that any trick fits."""
    if index + 1 >= len(strings):
        return "\0"
    left, right = strings[index].end, strings[index + 1].start
    return text[left:right] if right - left <= MAX_BETWEEN else "\0"


def _after(text: str, literal: Literal) -> str:
    return text[literal.end : literal.end + MAX_BETWEEN]


def _joined(text: str, strings: Sequence[Literal], index: int) -> Step | None:
    """`'Down'+'load'`."""
    says, at = [strings[index].says], index
    plus = r"\s*[+&]\s*" if _is_basic(text) else r"\s*\+\s*"
    while re.fullmatch(plus, _between(text, strings, at)):
        at += 1
        says.append(strings[at].says)
    return (at + 1, strings[at].end, "".join(says)) if at > index else None


_BASIC = re.compile(r"\b(?:CreateObject|StrReverse|Execute|Chrw?)\s*\(", re.IGNORECASE)


@lru_cache(maxsize=4)
def _is_basic(text: str) -> bool:
    """Whether a text is VBScript, where `&` joins strings; asked for every string of it, and looked up once."""
    return _BASIC.search(text) is not None


def _filled(text: str, strings: Sequence[Literal], index: int) -> Step | None:
    """`"{1}{0}" -f 'b','a'`."""
    opening = re.fullmatch(r"\s*\)?\s*-f\s*(\(?)\s*", _between(text, strings, index), re.IGNORECASE)
    template = strings[index].says
    if opening is None or not re.search(r"\{\d{1,3}\}", template):
        return None
    at = index + 1
    parts = [strings[at].says]
    while re.fullmatch(r"\s*,\s*", _between(text, strings, at)):
        at += 1
        parts.append(strings[at].says)
    slots = [int(slot) for slot in re.findall(r"\{(\d{1,3})\}", template)]
    if max(slots) >= len(parts) or len(template) + sum(len(parts[slot]) for slot in slots) > MAX_MADE:
        return None
    end = strings[at].end + (1 if opening[1] and text[strings[at].end : strings[at].end + 1] == ")" else 0)
    return at + 1, end, re.sub(r"\{(\d{1,3})\}", lambda slot: parts[int(slot[1])], template)


def _cleaned(text: str, strings: Sequence[Literal], index: int) -> Step | None:
    """`'whXoami'.Replace('X','')` and `-replace 'X'`."""
    method = re.fullmatch(r"\s*\)?\s*\.\s*replace\s*\(\s*", _between(text, strings, index), re.IGNORECASE)
    operator = re.fullmatch(r"\s*\)?\s*-[ci]?replace\s*\(?\s*", _between(text, strings, index), re.IGNORECASE)
    if not method and not operator:
        return None
    old, last, new = strings[index + 1].says, index + 1, ""
    if re.fullmatch(r"\s*,\s*", _between(text, strings, last)):
        last += 1
        new = strings[last].says
    elif method:
        return None
    if operator:
        old = re.sub(r"\\(.)", r"\1", old)
    end = strings[last].end
    if method and text[end : end + 1] == ")":
        end += 1
    says = strings[index].says
    if not old or len(says) + says.count(old) * len(new) > MAX_MADE:
        return None
    return last + 1, end, says.replace(old, new)


def _split(text: str, strings: Sequence[Literal], index: int) -> Step | None:
    """`'w!h!o'.Split('!') -join ''`, `.split('').reverse().join('')`."""
    begins = re.fullmatch(r"\s*\)?\s*(?:\.\s*split\s*\(|-split)\s*", _between(text, strings, index), re.IGNORECASE)
    if begins is None or index + 2 >= len(strings):
        return None
    middle = re.fullmatch(
        r"\s*\)?\s*(?P<turned>\.reverse\(\)\s*)?(?:-join|\.\s*join\s*\()\s*",
        _between(text, strings, index + 1),
        re.IGNORECASE,
    )
    if middle is None:
        return None
    separator, glue = strings[index + 1].says, strings[index + 2].says
    parts = strings[index].says.split(separator) if separator else list(strings[index].says)
    if len(strings[index].says) + len(parts) * len(glue) > MAX_MADE:
        return None
    says = glue.join(reversed(parts) if middle["turned"] else parts)
    end = strings[index + 2].end + (1 if ".join" in middle[0] or ". join" in middle[0] else 0)
    return index + 3, end, says


_TURNED = re.compile(r"\)?\s*\[\s*-1\s*\.\.\s*-[^\]]{1,40}\](?:\s*-join\s*(?:''|\"\"))?")


def _turned(text: str, strings: Sequence[Literal], index: int) -> Step | None:
    """`'imaohw'[-1..-6]`, with or without `-join ''` behind it."""
    here = strings[index]
    if len(here.says) < 3:
        return None
    back = _TURNED.match(_after(text, here))
    if back:
        return index + 1 + bool(re.search(r"''|\"\"", back[0])), here.end + back.end(), here.says[::-1]
    return None


_TRICKS: tuple[tuple[str, Trick], ...] = (
    ("strings joined", _joined),
    ("format strings filled", _filled),
    ("markers taken out", _cleaned),
    ("strings split and joined", _split),
    ("reversed text turned", _turned),
)


def assigned(text: str) -> Iterator[tuple[str, str]]:
    """Variables of PowerShell that are given one string once, with what they say."""
    seen: dict[str, list[str]] = {}
    for literal in literals(text, "'") + literals(text, '"'):
        before = re.search(r"(\$\w{1,40})\s*=\s*$", text[max(literal.start - 50, 0) : literal.start])
        after = re.match(r"\s*(?:[;\n|)}]|$)", _after(text, literal))
        if before and after:
            seen.setdefault(before[1].lower(), []).append(literal.says)
    yield from ((name, values[0]) for name, values in seen.items() if len(set(values)) == 1)
