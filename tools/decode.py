"""Layers of encoding and obfuscation in a command line or script, undone by reading alone. Nothing is ever run.

Every step is bounded: text, output of a decompression, depth and number of layers.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from .literals import literals
from .untangling import untangled

MAX_TEXT = 100_000
MAX_LAYERS = 16
MAX_DEPTH = 6
_MAX_UNPACKED = 200_000


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
    plain, names = untangled(text, MAX_TEXT)
    if names:
        yield Layer(" and ".join(names), plain)
    for step in (_run_as_code, _base64_parts, _hex_parts, _octal, _character_codes, _combined, _percent):
        yield from step(plain)


_RUNS = re.compile(r"(?:\b(?:iex|invoke-expression|eval|exec|execute|system)|\.\s*run)\s*\(?\s*$", re.IGNORECASE)


def _run_as_code(text: str) -> Iterator[Layer]:
    """A string that is run: a text of its own, with quotes of its own."""
    for quotes in ("'", '"'):
        for literal in literals(text, quotes):
            if len(literal.says) >= 8 and _RUNS.search(text[max(literal.start - 40, 0) : literal.start]):
                yield Layer("a string that is run as code", literal.says)


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


def _octal(text: str) -> Iterator[Layer]:
    for match in re.finditer(r"(?:\\[0-3]?[0-7]{2}){6,}", text):
        raw = bytes(int(code, 8) & 255 for code in re.findall(r"\\([0-7]{2,3})", match[0]))
        yield from _from_bytes("octal", raw, False)
    for match in re.finditer(r"(?:\\u00[0-9a-fA-F]{2}){4,}", text):
        raw = bytes(int(code, 16) for code in re.findall(r"\\u00([0-9a-fA-F]{2})", match[0]))
        yield from _from_bytes("unicode escapes", raw, False)


_KEY = re.compile(r"(?:-bxor|\^|\bxor\b)\s*\(?\s*(0x[0-9a-f]{1,2}|\d{1,3}|\$?[a-z_]\w{0,20})", re.IGNORECASE)
_NUMBERS = re.compile(r"(?:(?:0x[0-9a-fA-F]{1,2}|\d{1,3})\s*,\s*){5,}(?:0x[0-9a-fA-F]{1,2}|\d{1,3})")


def _combined(text: str) -> Iterator[Layer]:
    """Bytes combined with a constant (XOR) that stands in the text itself."""
    keys = dict.fromkeys(key for match in _KEY.finditer(text) if (key := _constant(match[1], text)))
    if not keys:
        return
    for raw in _byte_strings(text):
        for key in list(keys)[:4]:
            found = _text_of(bytes(byte ^ key for byte in raw))
            if found is not None:
                yield Layer(f"XOR with {key}", found[1])


def _constant(written: str, text: str) -> int:
    """A key from 1 to 255: the number itself, or what a variable is set to; 0 when it is neither."""
    if not re.fullmatch(r"0x[0-9a-fA-F]+|\d+", written):
        given = re.search(rf"(?<!\w){re.escape(written)}\s*=\s*(0x[0-9a-fA-F]{{1,2}}|\d{{1,3}})(?!\w)", text)
        if given is None:
            return 0
        written = given[1]
    number = int(written, 16 if written.lower().startswith("0x") else 10)
    return number if number < 256 else 0


def _byte_strings(text: str) -> Iterator[bytes]:
    for match in _NUMBERS.finditer(text):
        numbers = [int(item, 16 if "x" in item.lower() else 10) for item in re.findall(r"0x[0-9a-fA-F]+|\d+", match[0])]
        if all(number < 256 for number in numbers):
            yield bytes(numbers)
    for match in _BASE64.finditer(text):
        try:
            yield base64.b64decode(match[0], validate=True)
        except (binascii.Error, ValueError):
            continue
    for match in re.finditer(r"(?<![0-9a-zA-Z])(?:[0-9a-fA-F]{2}){6,}(?![0-9a-zA-Z])", text):
        yield bytes.fromhex(match[0])


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
    few = 1 if re.search(r"unescape|decodeURI", text, re.IGNORECASE) else 4
    if len(re.findall(r"%[0-9a-fA-F]{2}", text)) >= few:
        said = unquote(text, errors="replace")
        if _reads(said):
            yield Layer("percent encoding", said)
