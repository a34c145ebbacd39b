"""Tricks of the command line that hide words without encoding them: carets, quotes, variables, letters moved about."""

import re
from collections.abc import Callable

from .literals import assigned, literals, quoted, resolved

_MOST_FILLED = 100_000
"""Characters that variables may add to a text."""

_ENVIRONMENT = {
    "comspec": r"C:\Windows\system32\cmd.exe",
    "systemroot": r"C:\Windows",
    "windir": r"C:\Windows",
    "systemdrive": "C:",
    "programfiles": r"C:\Program Files",
    "programdata": r"C:\ProgramData",
    "allusersprofile": r"C:\ProgramData",
    "public": r"C:\Users\Public",
    "pathext": ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC",
    "os": "Windows_NT",
    "psmodulepath": r"C:\Program Files\WindowsPowerShell\Modules",
}
"""Values of a default installation, from which obfuscators cut letters."""
_SHELL_TEXTS = {
    "pshome": r"C:\Windows\System32\WindowsPowerShell\v1.0",
    "shellid": "Microsoft.PowerShell",
    "env:comspec": r"C:\Windows\system32\cmd.exe",
}


def untangled(text: str, limit: int) -> tuple[str, list[str]]:
    """A text with tricks of quoting, joining and naming undone, and the names of those tricks.

    Args:
        text: A command line or script.
        limit: A result longer than this is not made.
    """
    names: list[str] = []
    for name, undo in _TRICKS:
        plain = undo(text)
        if plain != text and len(plain) <= limit:
            names.append(name)
            text = plain
    text, more = resolved(text, limit)
    return text, list(dict.fromkeys((*names, *more)))


def _carets(text: str) -> str:
    return re.sub(r"\^(?=[^^])", "", text) if len(re.findall(r"\w\^", text)) >= 3 else text


def _backticks(text: str) -> str:
    return re.sub(r"`(?=[A-Za-z\-])", "", text) if len(re.findall(r"\w`[A-Za-z]|`[A-Za-z]\w", text)) >= 2 else text


def _quotes(text: str) -> str:
    """`w"h"oami` and `who""ami`."""
    return re.sub(r"(?<=\w)(?:\"\"|''|\"(\w{1,3})\"|'(\w{1,3})')(?=\w)", lambda m: m[1] or m[2] or "", text)


def _substrings(text: str) -> str:
    """`%COMSPEC:~-7,3%` is cut out of a default value; `%COMSPEC%` alone says enough as it is."""

    def cut(match: re.Match[str]) -> str:
        value = _ENVIRONMENT.get(match[1].lower())
        if value is None:
            return match[0]
        return _cut(value, match[2], match[3])

    return re.sub(r"%(\w{1,40}):~(-?\d{1,4})(?:,(-?\d{1,4}))?%", cut, text)


def _indexed(text: str) -> str:
    """`$PSHome[4]+$PSHome[30]+'x'` spells `iex`."""

    def letter(match: re.Match[str]) -> str:
        value, at = _SHELL_TEXTS[match[1].lower()], int(match[2])
        return f"'{value[at]}'" if at < len(value) else match[0]

    def picked(match: re.Match[str]) -> str:
        value = _SHELL_TEXTS[match[1].lower()]
        places = [int(place) for place in match[2].split(",")]
        return f"'{''.join(value[place] for place in places)}'" if max(places) < len(value) else match[0]

    name = r"\$\{?(pshome|shellid|env:comspec)\}?"
    text = re.sub(
        rf"\(?{name}\[\s*(\d{{1,2}}(?:\s*,\s*\d{{1,2}})+)\s*\]\)?\s*-join\s*''", picked, text, flags=re.IGNORECASE
    )
    return re.sub(rf"{name}\[(\d{{1,2}})\]", letter, text, flags=re.IGNORECASE)


_BACKWARDS = re.compile(r"StrReverse\(\s*\"((?:[^\"]|\"\")*+)\"\s*\)", re.IGNORECASE)


def _reversed(text: str) -> str:
    """`StrReverse("...")`, `rev` behind an echo, and the strings that `[Array]::Reverse` is there for."""
    text = _BACKWARDS.sub(lambda m: quoted(m[1].replace('""', '"')[::-1]), text)
    if re.search(r"\|\s*rev\b|\brev\s*<<<", text):
        return _each_string(text, lambda says: says[::-1] if len(says) >= 4 else says, "\"'")
    if re.search(r"\[Array\]::Reverse", text, re.IGNORECASE):
        return _each_string(text, lambda says: says[::-1] if len(says) >= 8 else says, "'\"")
    return text


def _each_string(text: str, change: Callable[[str], str], quotes: str) -> str:
    out, at = [], 0
    for literal in literals(text, quotes):
        out += [text[at : literal.start], quoted(change(literal.says))]
        at = literal.end
    return "".join([*out, text[at:]])


_SET = re.compile(r"(?<![\w%])set\s+\"?(\w{1,40})=([^&|\r\n\"]{0,2000})", re.IGNORECASE)
_USED = re.compile(r"%(\w{1,40})(?::~(-?\d{1,4})(?:,(-?\d{1,4}))?|:([^=%\s]{1,20})=([^%\s]{0,20}))?%|!(\w{1,40})!")


def _cmd_variables(text: str) -> str:
    """`set a=who&&set b=ami&&call %a%%b%`."""
    known = {match[1].lower(): match[2] for match in _SET.finditer(text)}
    if not known:
        return text
    left = [_MOST_FILLED]

    def value(match: re.Match[str]) -> str:
        name = (match[1] or match[6]).lower()
        if name not in known or left[0] <= 0:
            return match[0]
        says = known[name]
        if match[2] is not None:
            says = _cut(says, match[2], match[3])
        elif match[4] and len(says) < 10_000:
            says = re.sub(re.escape(match[4]), lambda _: match[5], says, flags=re.IGNORECASE)
        left[0] -= len(says)
        return says

    return _USED.sub(value, text)


def _cut(value: str, start: str, length: str | None) -> str:
    at = int(start)
    at = max(0, len(value) + at) if at < 0 else at
    if length is None:
        return value[at:]
    end = int(length)
    return value[at : at + end] if end >= 0 else value[at:end]


def _shell_variables(text: str) -> str:
    """`$a='who';$b='ami';IEX($a+$b)`."""
    known = dict(assigned(text))
    if not known:
        return text
    left = [_MOST_FILLED]

    def value(match: re.Match[str]) -> str:
        says = known.get(match[0].lower())
        if says is None or left[0] <= 0:
            return match[0]
        left[0] -= len(says)
        return quoted(says)

    return re.sub(r"\$\w{1,40}(?!\w)(?!\s*=[^=])", value, text)


def _translated(text: str) -> str:
    """`echo ... | tr 'A-Za-z' 'N-ZA-Mn-za-m'`."""
    found = re.search(r"\|\s*tr\s+['\"]?([^\s'\"|]{2,120})['\"]?\s+['\"]?([^\s'\"|]{2,120})['\"]?", text)
    if found is None:
        return text
    old, new = _range(found[1]), _range(found[2])
    if not 2 <= len(new) <= len(old):
        return text
    table = str.maketrans(dict(zip(old, new.ljust(len(old), new[-1]), strict=True)))
    head = text[: found.start()]
    given = literals(head)
    if given:
        last = given[-1]
        return f"{head[: last.start]}{quoted(last.says.translate(table))}{text[found.end() :]}"
    return head.translate(table) + text[found.end() :]


def _range(letters: str) -> str:
    return re.sub(r"(\w)-(\w)", lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1)))[:128], letters)


def _escaped_quotes(text: str) -> str:
    """Quotes that Python escapes within a string."""
    if not re.search(r"\bimport\s+os\b|\bos\.(?:system|popen)\b|\bsubprocess\b", text):
        return text
    return re.sub(r"\\(['\"])", r"\1", text)


def _unix_gaps(text: str) -> str:
    """`cat${IFS}/etc/passwd`."""
    return re.sub(r"\$\{?IFS\}?(?:\$9)?", " ", text)


_TRICKS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("carets removed", _carets),
    ("variables filled in", _cmd_variables),
    ("variable substrings resolved", _substrings),
    ("letters of shell variables resolved", _indexed),
    ("backticks removed", _backticks),
    ("quotes inside words removed", _quotes),
    ("gaps filled", _unix_gaps),
    ("escaped quotes bared", _escaped_quotes),
    ("letters translated back", _translated),
    ("variables filled in", _shell_variables),
    ("reversed text turned", _reversed),
)
