"""Canonical bytes of a vendor row: RFC 8785 JSON, also for values that JSON cannot carry.

The same row gives the same bytes, hash and evidence id in any run. Ordinary rows are their own safe form. What RFC 8785
cannot write takes a reversible form, an object with one reserved key:

    {"$text": hex}    text with lone surrogates, as UTF-16 code units
    {"$int": digits}  an integer beyond 2^53
    {"$float": name}  NaN, Infinity, -Infinity
    {"$bytes": hex}   bytes
    {"$pairs": [[key, value], ...]}   an object with a repeated key, or one whose own key is reserved
    {"$flat": [...]}  nesting beyond 64 levels: brackets as text, keys and values each in a list of one
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import rfc8785

from ...knowledge.errors import CaseError

MAX_SAFE_INTEGER = 2**53 - 1
MAX_DEPTH = 64
MAX_NODES = 1_000_000
"""A row with more values than this is refused: it holds a cycle, or is no row."""

_RESERVED = frozenset({"$text", "$int", "$float", "$bytes", "$pairs", "$flat"})
# Code points whose order in UTF-16 differs from their own, and lone surrogates.
_UNORDERED = re.compile("[\ud800-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN = frozenset({str, bool, type(None)})
_encode_plain = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


class RepeatedKeys(dict[str, Any]):
    """An object whose JSON repeats a key. It reads as JSON parsers read it (the last value); `pairs` keeps them all."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def read_row(raw: bytes) -> Any:
    """Parse JSON as a vendor sent it and lose nothing: bytes that are no UTF-8, repeated keys, huge numbers.

    Raises:
        CaseError: the bytes are no JSON, or nest deeper than the parser goes.
    """
    try:
        return json.loads(
            raw.decode("utf-8", "surrogateescape"), object_pairs_hook=_object, parse_int=_integer, strict=False
        )
    except RecursionError as exc:
        raise CaseError("a row cannot be kept: it nests deeper than the JSON parser goes") from exc
    except ValueError as exc:
        raise CaseError(f"a row cannot be kept: it is not JSON ({exc})") from exc


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else RepeatedKeys(pairs)


def _integer(digits: str) -> int | float:
    # Beyond some thousand digits int() refuses, to stay linear; as a float such a number is infinite.
    return int(digits) if len(digits) < 4_000 else float(digits)


def canonical(row: Mapping[str, Any]) -> bytes:
    """RFC 8785 bytes of a row's safe form.

    Raises:
        CaseError: the row holds a value that is neither JSON nor bytes, a key that is no text, or a cycle.
    """
    return kept_form(row)[1]


def kept_form(row: Mapping[str, Any]) -> tuple[Any, bytes]:
    """A row's safe form (an ordinary row is its own) and its canonical bytes.

    Raises:
        CaseError: as `canonical`.
    """
    if _is_plain(row, 0):
        text = _encode_plain(row)
        if '"$' not in text and (text.isascii() or not _UNORDERED.search(text)):
            return row, text.encode()
    form = safe_form(row)
    try:
        return form, rfc8785.dumps(form)
    except rfc8785.CanonicalizationError as exc:
        raise CaseError(f"a row cannot be kept: {exc}") from exc


def _is_plain(value: Any, depth: int) -> bool:
    """Whether the standard encoder writes a value as RFC 8785 asks, but for the order of unusual keys."""
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind is int:
        return bool(-MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER)
    if depth >= MAX_DEPTH:
        return False
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not (type(item) is str or _is_plain(item, depth + 1)):
                return False
        return True
    return kind is list and all(_is_plain(item, depth + 1) for item in value)


def digest(data: bytes) -> str:
    """SHA-256 as hex digits."""
    return hashlib.sha256(data).hexdigest()


def evidence_id(sha256: str, digits: int = 12) -> str:
    """`E-` and the first hex digits of a row's hash; more than 12 only where two rows of a case collide."""
    return f"E-{sha256[:digits]}"


def safe_form(value: Any) -> Any:
    """A value as JSON that RFC 8785 can write; `original` turns it back.

    Raises:
        CaseError: as `canonical`.
    """
    return _safe(value, 0, [0])


def _safe(value: Any, depth: int, count: list[int]) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            return {"$text": value.encode("utf-16-be", "surrogatepass").hex()} if _SURROGATE.search(value) else value
        case int():
            return value if abs(value) <= MAX_SAFE_INTEGER else {"$int": _digits(value)}
        case float():
            return value if math.isfinite(value) else {"$float": str(value)}
        case bytes():
            return {"$bytes": value.hex()}
        case dict() | list() | tuple() if depth >= MAX_DEPTH:
            return {"$flat": _flatten(value, count)}
        case list() | tuple():
            _spend(count, len(value))
            return [_safe(item, depth + 1, count) for item in value]
        case dict():
            pairs = _pairs(value)
            _spend(count, len(pairs))
            if _fits_object(value):
                return {key: _safe(item, depth + 1, count) for key, item in pairs}
            return {"$pairs": [[_safe(key, depth, count), _safe(item, depth + 1, count)] for key, item in pairs]}
        case _:
            raise CaseError(f"a row cannot be kept: it holds a {type(value).__name__}, which is no JSON value")


def _pairs(value: dict[str, Any]) -> list[tuple[str, Any]]:
    pairs = value.pairs if isinstance(value, RepeatedKeys) else list(value.items())
    for key, _ in pairs:
        if not isinstance(key, str):
            raise CaseError(f"a row cannot be kept: it has a key that is a {type(key).__name__} and no text")
    if isinstance(value, RepeatedKeys):
        return pairs
    return sorted(pairs, key=lambda pair: pair[0].encode("utf-16-be", "surrogatepass"))


def _fits_object(value: dict[str, Any]) -> bool:
    if isinstance(value, RepeatedKeys) or _RESERVED & value.keys():
        return False
    return not any(_SURROGATE.search(key) for key in value)


def _digits(value: int) -> str:
    return str(value) if value.bit_length() < 10_000 else hex(value)


def _spend(count: list[int], nodes: int) -> None:
    count[0] += nodes
    if count[0] > MAX_NODES:
        raise CaseError(f"a row cannot be kept: it holds more than {MAX_NODES:,} values")


_OPEN, _CLOSE = {list: "[", dict: "{"}, {list: "]", dict: "}"}


def _flatten(value: Any, count: list[int]) -> list[Any]:
    """Tokens of a value whose nesting no recursive reader could follow."""
    tokens: list[Any] = []
    todo: list[tuple[str, Any]] = [("value", value)]
    while todo:
        kind, item = todo.pop()
        if kind == "token":
            tokens.append(item)
        elif isinstance(item, dict):
            pairs = _pairs(item)
            _spend(count, len(pairs))
            tokens.append(_OPEN[dict])
            todo.append(("token", _CLOSE[dict]))
            for key, part in reversed(pairs):
                todo += [("value", part), ("token", [_safe(key, 0, count)])]
        elif isinstance(item, list | tuple):
            _spend(count, len(item))
            tokens.append(_OPEN[list])
            todo.append(("token", _CLOSE[list]))
            todo += [("value", part) for part in reversed(item)]
        else:
            tokens.append([_safe(item, 0, count)])
    return tokens


def read_form(data: bytes) -> Any:
    """The safe form that canonical bytes hold.

    RFC 8785 writes a large float as digits; an integer of that size has a form of its own, so such digits are a float.
    """
    return json.loads(data, parse_int=_safe_integer)


def _safe_integer(digits: str) -> int | float:
    number = int(digits)
    return number if abs(number) <= MAX_SAFE_INTEGER else float(digits)


def original(value: Any) -> Any:
    """The value that a safe form stands for.

    Raises:
        ValueError: it is no safe form.
    """
    if isinstance(value, list):
        return [original(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (key, held), *_ = value.items()
        match key:
            case "$text":
                return bytes.fromhex(held).decode("utf-16-be", "surrogatepass")
            case "$int":
                return int(held, 0)
            case "$float":
                return float(held)
            case "$bytes":
                return bytes.fromhex(held)
            case "$pairs":
                return _object([(original(name), original(item)) for name, item in held])
            case "$flat":
                return _unflatten(held)
    return {key: original(item) for key, item in value.items()}


def kept_bytes(raw: Any) -> bytes:
    """The canonical bytes of a row in its safe form, as evidence carries it; empty where it is none."""
    try:
        return kept_form(original(raw))[1]
    except (CaseError, ValueError, TypeError):
        return b""


def _unflatten(tokens: list[Any]) -> Any:
    stack: list[list[Any]] = [[]]
    for token in tokens:
        if token in ("[", "{"):
            stack.append([])
        elif token in ("]", "}"):
            items = stack.pop()
            stack[-1].append(items if token == "]" else _object(list(zip(items[::2], items[1::2], strict=True))))
        else:
            stack[-1].append(original(token[0]))
    return stack[0][0]
