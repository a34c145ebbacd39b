r"""KQL literals from values. A value never changes the structure of the text around it.

Text is double-quoted; a backslash stands before `\` and `"`, and what could end a line or be invisible to a reader of
the query (control characters, U+0085, U+2028, U+2029) is written `\t`, `\n`, `\r` or `\uXXXX`.
"""

import math
from datetime import UTC, datetime

from ....knowledge.errors import UnsafeValueError

_ESCAPES = {ord("\\"): "\\\\", ord('"'): '\\"'}
_ESCAPES |= {code: f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}
_ESCAPES |= {ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}
_INT64 = 2**63


def string(value: str) -> str:
    """A string literal.

    Raises:
        UnsafeValueError: half of a surrogate pair, which no request can carry.
    """
    if any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise UnsafeValueError("KQL cannot carry text with half of a surrogate pair: remove the broken character.")
    return f'"{value.translate(_ESCAPES)}"'


def number(value: int | float) -> str:
    """A long or real literal.

    Raises:
        UnsafeValueError: beyond 64 bits, or not finite.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnsafeValueError(f"KQL has no literal for {value}.")
        return repr(value)
    if not -_INT64 < value < _INT64:
        raise UnsafeValueError(f"{value} does not fit into 64 bits.")
    return str(value)


def boolean(value: bool) -> str:
    """A bool literal."""
    return "true" if value else "false"


def moment(value: datetime) -> str:
    """A datetime literal in UTC, to the 100 ns that KQL keeps."""
    text = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"datetime({text}Z)"


def name(value: str) -> str:
    """A column or table name, bracketed where it is not a plain one."""
    plain = value.isidentifier() and value.isascii() and value not in _RESERVED
    return value if plain else f"[{string(value)}]"


_WORDS = """
    and or not in between has contains startswith endswith matches like by on kind asc desc nulls with to of true
    false let set where project extend summarize join union search find range print take limit top count sort order
    distinct parse evaluate render as first last from step null dynamic typeof datetime timespan time date guid int
    long real double decimal bool boolean string
"""
_RESERVED = frozenset(_WORDS.split())
