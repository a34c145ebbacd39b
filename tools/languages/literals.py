r"""Regular expressions made from plain values, for the languages that compare text by RE2 patterns.

A value never changes a pattern's structure: everything but letters, digits and harmless signs is escaped, and quotes,
slashes and control characters are written as `\xHH`, so the pattern can stand in any kind of quotes.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Network

from ...knowledge.errors import UnsafeValueError
from .query import Language, Severity
from .search import Operator
from .values import block_of

_HARMLESS = frozenset(" _-,:;=@%<>!~&")
_META = frozenset("\\.^$*+?()[]{}|")
_BEGINS = ("^", r"\A")
_ENDS = ("$", r"\z", r"\Z")
_UNUSUAL = re.compile(r"[^A-Za-z0-9 _,:;=@%<>!~&-]")
_PIECE = re.compile(
    r"""(?P<look>\(\?<?[=!])
      | (?P<reference>\\[1-9])
      | (?P<re2>\\x\{[0-9A-Fa-f]+\}|\\[pP](?:\{\^?\w+\}|[A-Z])|\\z)
      | (?P<flags>\(\?[imsU]+(?:-[imsU]+)?\))
      | (?P<group>\(\?[imsU]+(?:-[imsU]+)?:)
      | (?P<escape>\\.)
      | (?P<set>\[\^?\]?(?:[^\]\\]|\\.)*\])
      | (?P<anchor>\^|\\A)
      | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
"""A pattern cut into pieces, so that an escaped backslash hides nothing behind it."""


def whole(value: str, language: Language) -> str:
    """The value itself, when it is text that can be sent.

    Raises:
        UnsafeValueError: half of a surrogate pair, which has no bytes and would be lost or replaced on the way.
    """
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise UnsafeValueError(
            f"{language.upper()} cannot carry text with half of a surrogate pair: remove the broken character."
        )
    return value


def escaped(value: str) -> str:
    """A pattern that matches exactly this text.

    Raises:
        UnsafeValueError: half of a surrogate pair, which no pattern names.
    """
    return _UNUSUAL.sub(lambda found: _escape(found.group()), value)


def _escape(char: str) -> str:
    if char.isalnum() or char in _HARMLESS:
        return char
    if char in _META:
        return "\\" + char
    if "\ud800" <= char <= "\udfff":
        raise UnsafeValueError("A pattern cannot hold half of a surrogate pair: remove the broken character.")
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\x{{{ord(char):x}}}"


def pattern(op: Operator, values: Sequence[str], *, kind: str = "plain", last_part: bool = False) -> str:
    r"""The pattern of a comparison, to be searched anywhere in the field, ignoring case.

    Args:
        op: eq, contains, startswith or endswith.
        values: Any of them may match.
        kind: `host` and `user` let equality match `name.domain`, `DOMAIN\name` and `name@domain`.
        last_part: Compare with the last part of a path.
    """
    each = [escaped(value) for value in values]
    middle = each[0] if len(each) == 1 else f"({'|'.join(each)})"
    begin, rest, end = (r"(^|[\\\x2f])", r"[^\\\x2f]*", "$") if last_part else ("^", "", "")
    match op:
        case Operator.EQ if kind == "host":
            return rf"^{middle}(\.|$)"
        case Operator.EQ if kind == "user":
            return rf"(^|\\){middle}$|^{middle}@"
        case Operator.EQ:
            return f"{begin}{middle}$"
        case Operator.STARTSWITH:
            return f"{begin}{middle}{rest}{end}"
        case Operator.ENDSWITH:
            return f"{middle}$"
        case Operator.CONTAINS:
            return f"{middle}{rest}{end}"
        case _:
            raise AssertionError(op)


def within_last_part(values: Sequence[str]) -> list[str]:
    """The values that the last part of a path can hold: those without a separator."""
    return [value for value in values if "\\" not in value and "/" not in value]


def block_pattern(text: str) -> str | None:
    """A pattern that finds the addresses of an IPv4 block and no others; None for IPv6.

    Raises:
        UnsafeValueError: the text is no block of addresses.
    """
    network = block_of(text)
    if not isinstance(network, IPv4Network):
        return None
    whole, bits = divmod(network.prefixlen, 8)
    octets = str(network.network_address).split(".")
    written = [*octets[:whole]]
    if bits:
        first = int(octets[whole])
        written.append("(" + "|".join(str(number) for number in range(first, first + 2 ** (8 - bits))) + ")")
    return "^" + r"\.".join(written) + ("$" if len(written) == 4 else r"\." if written else "")


def regex_problem(text: str) -> tuple[Severity, str] | None:
    """What is wrong with a pattern: an error that no engine takes, or a warning that RE2 does not; None when nothing."""
    pieces = list(_PIECE.finditer(text))
    if any(piece.lastgroup in ("look", "reference") for piece in pieces):
        return "warning", "RE2 has no look-around and no back-references"
    # What only RE2 knows is replaced by something that Python knows and that fits in the same place.
    stand_ins = {"re2": r"\d", "flags": "", "group": "(?:"}
    try:
        re.compile("".join(stand_ins.get(piece.lastgroup or "", piece.group()) for piece in pieces))
    except re.error as error:
        return "warning" if error.msg.startswith("bad escape") else "error", f"not a regular expression: {error}"
    except (OverflowError, RecursionError):
        return "error", "the regular expression is too large"
    return None


def beyond_re2(patterns: Sequence[str]) -> str | None:
    """Why RE2 cannot be asked for patterns; None when it can.

    Raises:
        UnsafeValueError: no engine takes one of them.
    """
    for text in patterns:
        problem = regex_problem(text)
        if problem is not None and problem[0] == "error":
            raise UnsafeValueError(f"{text!r} cannot be searched for: {problem[1]}.")
        if problem is not None:
            return problem[1]
    return None


def in_last_part(text: str) -> str | None:
    """A pattern for the whole path that finds at least what this one finds in the last part; None when there is none."""
    bare = text.removeprefix("(?i)")
    anchors = [piece.start() for piece in _PIECE.finditer(bare) if piece.lastgroup == "anchor"]
    if not anchors:
        return bare
    return r"(?:^|[\\\x2f])" + bare[1:] if anchors == [0] and bare[0] == "^" else None


def part_of_name(op: Operator, values: Sequence[str], kind: str) -> str:
    r"""The pattern of a name that holds a part, where the name may stand as `name.domain`, `DOMAIN\name`, `name@domain`.

    Args:
        op: For a user contains, startswith or endswith; for a host endswith, since it begins with the name.
        values: Any of them may match.
        kind: `host` or `user`.
    """
    each = [escaped(value) for value in values]
    middle = each[0] if len(each) == 1 else f"({'|'.join(each)})"
    match kind, op:
        case "host", _:
            return rf"{middle}$|^[^.]*{middle}\."
        case _, Operator.STARTSWITH:
            return rf"(^|\\){middle}[^\\]*$"
        case _, Operator.ENDSWITH:
            return rf"(^|\\)[^\\@]*{middle}(@[^\\]*)?$"
        case _:
            return rf"(^|\\)[^\\@]*{middle}[^\\]*$"


def beside_domain(text: str, kind: str) -> str:
    """A pattern of a bare name that finds at least the same where the name stands with its domain.

    Args:
        text: The pattern.
        kind: `host` or `user`.
    """
    pieces = [piece.group() for piece in _PIECE.finditer(text.removeprefix("(?i)"))]
    begin, end = (r"(?:^|\\)", "(?:$|@)") if kind == "user" else ("^", r"(?:$|\.)")
    return "".join(begin if piece in _BEGINS else end if piece in _ENDS else piece for piece in pieces)


def keeps_to_name(text: str, kind: str) -> bool:
    """Whether the pattern that `beside_domain` makes of a pattern finds no more than it.

    A host's must not ask for its end, behind which a domain follows; a user's must, so that it cannot lie in the domain.
    """
    pieces = [piece.group() for piece in _PIECE.finditer(text)]
    if kind == "host":
        return not any(piece in _ENDS for piece in pieces)
    if any(piece in _BEGINS for piece in pieces) or _has_alternatives(pieces):
        return False
    while pieces and pieces[-1] == ")":
        pieces.pop()
    return bool(pieces) and pieces[-1] in _ENDS


def _has_alternatives(pieces: Sequence[str]) -> bool:
    """Whether a `|` stands outside all groups."""
    depth = 0
    for piece in pieces:
        depth += piece.startswith("(") - (piece == ")")
        if piece == "|" and depth == 0:
            return True
    return False


def joined_patterns(patterns: Sequence[str]) -> str:
    """One pattern that finds any of several; a leading `(?i)` is dropped, since comparison ignores case anyway."""
    bare = [text.removeprefix("(?i)") for text in patterns]
    return bare[0] if len(bare) == 1 else "|".join(f"(?:{text})" for text in bare)
