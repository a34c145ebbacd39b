"""Layers of encoding and obfuscation in a command line or script, undone by reading alone. Nothing is ever run.

Every step is bounded: text, output of a decompression, depth and number of layers.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

MAX_TEXT = 100_000
MAX_LAYERS = 16
MAX_DEPTH = 6
_MAX_UNPACKED = 200_000

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


@dataclass(frozen=True, slots=True)
class Layer:
    """One text found inside another: how it was hidden, and what it says."""

    encoding: str
    text: str


def layers(text: str) -> list[Layer]:
    """The texts hidden in a text, outermost first; equal texts are listed once."""
    found: list[Layer] = []
    seen = {text.strip()}
    queue = [(text[:MAX_TEXT], 0)]
    while queue and len(found) < MAX_LAYERS:
        current, depth = queue.pop(0)
        if depth >= MAX_DEPTH:
            continue
        for layer in _inside(current):
            if layer.text.strip() in seen or len(found) >= MAX_LAYERS:
                continue
            seen.add(layer.text.strip())
            found.append(layer)
            queue.append((layer.text[:MAX_TEXT], depth + 1))
    return found


def _inside(text: str) -> Iterator[Layer]:
    plain, names = _without_obfuscation(text)
    if names:
        yield Layer(" and ".join(names), plain)
    for step in (_base64_parts, _hex_parts, _character_codes, _percent):
        yield from step(plain)


_BASE64 = re.compile(
    r"(?<![A-Za-z0-9+/=_-])(?:[A-Za-z0-9+/]{4}){3,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?(?![A-Za-z0-9+/=])"
)


def _base64_parts(text: str) -> Iterator[Layer]:
    for match in _BASE64.finditer(text):
        token = match[0]
        encoded_argument = re.search(r"[-/–]e[a-z]{0,14}\s+[\"']?$", text[: match.start()], re.IGNORECASE)
        whole = token == text.strip()
        if len(token) < 20 and not encoded_argument and not whole:
            continue
        try:
            raw = base64.b64decode(token, validate=True)
        except (binascii.Error, ValueError):
            continue
        found = _text_of(raw)
        if found is not None:
            yield Layer(f"base64, {found[0]}", found[1])


def _text_of(raw: bytes) -> tuple[str, str] | None:
    """What bytes say, when they say something: compressed, UTF-16 or UTF-8 text."""
    unpacked = _unpack(raw)
    if unpacked is not None:
        name, raw = unpacked
        inner = _text_of(raw)
        return (f"{name}, {inner[0]}", inner[1]) if inner else None
    if len(raw) >= 4 and len(raw) % 2 == 0 and raw[1::2].count(0) * 2 > len(raw) // 2:
        text = raw.decode("utf-16-le", errors="replace")
        return ("UTF-16LE", text) if _reads(text) else None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return ("UTF-8", text) if _reads(text) else None


def _unpack(raw: bytes) -> tuple[str, bytes] | None:
    for name, head, bits in (("gzip", b"\x1f\x8b", 31), ("zlib", b"\x78", 15), ("deflate", b"", -15)):
        if not raw.startswith(head) or (name == "deflate" and _looks_like_text(raw)):
            continue
        engine = zlib.decompressobj(bits)
        try:
            unpacked = engine.decompress(raw, _MAX_UNPACKED)
        except zlib.error:
            continue
        if unpacked and (engine.eof or engine.unconsumed_tail):
            return name, unpacked
    return None


def _looks_like_text(raw: bytes) -> bool:
    return sum(byte in b"\t\r\n" or 32 <= byte < 127 or byte == 0 for byte in raw) > 0.95 * len(raw)


def _reads(text: str) -> bool:
    text = text.strip("\ufeff\0")
    good = sum(character.isascii() and (character.isprintable() or character in "\t\r\n") for character in text)
    return len(text) >= 3 and good >= 0.9 * len(text)


def _hex_parts(text: str) -> Iterator[Layer]:
    for match in re.finditer(r"(?<![0-9a-zA-Z])(?:[0-9a-fA-F]{2}){12,}(?![0-9a-zA-Z])", text):
        yield from _from_bytes("hex", bytes.fromhex(match[0]), len(match[0]) in (32, 40, 64, 128))
    for match in re.finditer(r"(?:(?:0x|\\x)[0-9a-fA-F]{2}[,\s]{0,2}){6,}", text):
        yield from _from_bytes("hex", bytes.fromhex("".join(re.findall(r"x([0-9a-fA-F]{2})", match[0]))), False)


def _from_bytes(name: str, raw: bytes, may_be_hash: bool) -> Iterator[Layer]:
    found = _text_of(raw)
    if found is not None and not (may_be_hash and len(set(found[1])) > 0.8 * len(found[1])):
        yield Layer(f"{name}, {found[0]}", found[1])


_CODES = (
    re.compile(r"String\.fromCharCode\(([\d,\s]{5,})\)", re.IGNORECASE),
    re.compile(r"((?:\[char\]\s*\(?\s*(?:0x[0-9a-f]{1,4}|\d{1,5})\s*\)?\s*\+?\s*){3,})", re.IGNORECASE),
    re.compile(r"((?:chrw?\(\s*\d{1,5}\s*\)\s*[&+]?\s*){3,})", re.IGNORECASE),
    re.compile(r"\(?((?:\d{2,3}\s*,\s*){5,}\d{2,3})\)?(?=.{0,40}\[char)", re.IGNORECASE | re.DOTALL),
    re.compile(r"\[char\[\]\]\s*\(?((?:\d{2,3}\s*,\s*){3,}\d{2,3})", re.IGNORECASE),
)


def _character_codes(text: str) -> Iterator[Layer]:
    for pattern in _CODES:
        for match in pattern.finditer(text):
            codes = [
                int(code, 16 if code.lower().startswith("0x") else 10)
                for code in re.findall(r"0x[0-9a-fA-F]+|\d+", match[1])
            ]
            if codes and all(9 <= code < 0x10000 for code in codes):
                said = "".join(map(chr, codes))
                if _reads(said):
                    yield Layer("character codes", said)


def _percent(text: str) -> Iterator[Layer]:
    if len(re.findall(r"%[0-9a-fA-F]{2}", text)) >= 4:
        said = unquote(text, errors="replace")
        if _reads(said):
            yield Layer("percent encoding", said)


def _without_obfuscation(text: str) -> tuple[str, list[str]]:
    """The text with tricks of quoting and joining undone, and their names."""
    names: list[str] = []
    for name, undo in _TRICKS:
        plain = undo(text)
        if plain != text and len(plain) <= MAX_TEXT:
            names.append(name)
            text = plain
    return text, names


def _carets(text: str) -> str:
    return re.sub(r"\^(?=[^^])", "", text) if len(re.findall(r"\w\^", text)) >= 3 else text


def _backticks(text: str) -> str:
    return re.sub(r"`(?=[A-Za-z\-])", "", text) if len(re.findall(r"\w`[A-Za-z]|`[A-Za-z]\w", text)) >= 2 else text


def _quotes(text: str) -> str:
    """`w"h"oami` and `who""ami`."""
    return re.sub(r"(?<=\w)(?:\"\"|''|\"(\w{1,3})\"|'(\w{1,3})')(?=\w)", lambda m: m[1] or m[2] or "", text)


def _joined(text: str) -> str:
    """`'Down'+'load'` becomes `'Download'`."""
    for _ in range(200):
        plain = re.sub(r"(['\"])([^'\"\n]*)\1\s*\+\s*(['\"])([^'\"\n]*)\3", lambda m: f"{m[1]}{m[2]}{m[4]}{m[1]}", text)
        if plain == text:
            return text
        text = plain
    return text


def _formatted(text: str) -> str:
    """`"{1}{0}" -f 'b','a'` becomes `'ab'`."""

    def fill(match: re.Match[str]) -> str:
        parts = [
            part[0] or part[1] for part in re.findall(r"'([^']*)'|\"([^\"]*)\"", match["bracketed"] or match["parts"])
        ]
        try:
            said = re.sub(r"\{(\d+)\}", lambda slot: parts[int(slot[1])], match["format"])
        except IndexError:
            return match[0]
        return f"'{said}'"

    values = r"(?:'[^']*'|\"[^\"]*\")(?:\s*,\s*(?:'[^']*'|\"[^\"]*\"))*"
    return re.sub(
        rf"[\"'](?P<format>(?:[^\"'{{}}]*\{{\d+\}})+[^\"'{{}}]*)[\"']\s*-f\s*(?:\((?P<bracketed>{values})\)|(?P<parts>{values}))",
        fill,
        text,
        flags=re.IGNORECASE,
    )


def _substrings(text: str) -> str:
    """`%COMSPEC:~-7,3%` is cut out of a default value; `%COMSPEC%` alone says enough as it is."""

    def cut(match: re.Match[str]) -> str:
        value = _ENVIRONMENT.get(match[1].lower())
        if value is None:
            return match[0]
        start = int(match[2])
        start = max(0, len(value) + start) if start < 0 else start
        if match[3] is None:
            return value[start:]
        length = int(match[3])
        return value[start : start + length] if length >= 0 else value[start:length]

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


def _reversed(text: str) -> str:
    """`'...'[-1..-n]`, `StrReverse("...")`."""
    text = re.sub(r"StrReverse\(\s*\"([^\"]*)\"\s*\)", lambda m: f'"{m[1][::-1]}"', text, flags=re.IGNORECASE)
    return re.sub(
        r"\(?(['\"])([^'\"]{3,})\1\)?\s*\[\s*-1\s*\.\.\s*-[^\]]{1,40}\](?:\s*-join\s*'')?",
        lambda m: f"'{m[2][::-1]}'",
        text,
    )


_TRICKS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("carets removed", _carets),
    ("variable substrings resolved", _substrings),
    ("letters of shell variables resolved", _indexed),
    ("backticks removed", _backticks),
    ("quotes inside words removed", _quotes),
    ("strings joined", _joined),
    ("format strings filled", _formatted),
    ("reversed text turned", _reversed),
    ("strings joined again", _joined),
)
