r"""Evidence text made harmless for each place where it is shown. The raw row keeps every byte; only views are escaped.

`safe` comes before any renderer: control characters (C0, C1), zero-width and bidirectional characters, tag characters,
line and paragraph separators, and lone surrogates become visible escapes such as `\u202e`.
"""

import re
from collections.abc import Iterator

_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners and fillers that show nothing
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, separators, bidirectional controls
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\ud800-\udfff"
    "\U000e0000-\U000e0fff"  # tags and variation selectors
)
_UNSAFE = re.compile(f"[{_HIDDEN}]")
_UNSAFE_LINE = re.compile(f"[{_HIDDEN}\t\n]")
_PROSE = re.compile(r"([\\`*_\[\]<>|~&!])")
_BLOCK = re.compile(r"^(\s*)([#>+\-=:]|\d{1,9}[.)])", re.MULTILINE)
_SCHEME = re.compile(r"\b(https?|ftp|file|mailto|javascript|data)(:)", re.IGNORECASE)
_WWW = re.compile(r"\bwww(\.)", re.IGNORECASE)
_AT = re.compile(r"(?<=\w)@(?=\w)")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)


def safe(text: object, single_line: bool = True) -> str:
    """Text with every invisible or controlling character as a visible escape.

    Args:
        text: Any value; `str()` of it is shown.
        single_line: Escape tab and newline too, so that a value cannot fake a line of its own.
    """
    pattern = _UNSAFE_LINE if single_line else _UNSAFE
    return pattern.sub(_escape, str(text))


def _escape(match: re.Match[str]) -> str:
    point = ord(match[0])
    if point in (9, 10, 13):
        return {9: "\\t", 10: "\\n", 13: "\\r"}[point]
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def shorten(text: str, limit: int) -> str:
    """Text cut in the middle, where it is least telling; the cut shows how much is left out."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    tail = max(limit - head - 12, 0)
    left_out = len(text) - head - tail
    return f"{text[:head]}[+{left_out}]{text[-tail:] if tail else ''}"


def markdown_safe(text: object) -> str:
    """Text that Markdown shows as it is: no link, image, HTML, emphasis, table cell or automatic link comes of it."""
    shown = _PROSE.sub(r"\\\1", safe(text))
    shown = _BLOCK.sub(r"\1\\\2", shown)
    return _AT.sub("&#64;", _WWW.sub(r"www&#46;", _SCHEME.sub(r"\1&#58;", shown)))


def code_safe(text: object) -> str:
    """Text as a Markdown code span, whatever backticks it holds."""
    shown = safe(text)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if not shown or shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def spans(text: str) -> Iterator[tuple[str, bool]]:
    """A sentence in parts, in order: what stands between backticks, without them, is code (True), the rest is prose."""
    at = 0
    for match in _SPAN.finditer(text):
        yield text[at : match.start()], False
        yield _unpadded(match[2]), True
        at = match.end()
    yield text[at:], False


def _unpadded(code: str) -> str:
    return code[1:-1] if len(code) > 2 and code[0] == code[-1] == " " and code.strip() else code


def csv_safe(text: object) -> str:
    """A CSV field that no spreadsheet reads as a formula; quoting is the writer's part."""
    shown = safe(text, single_line=False)
    return f"'{shown}" if shown.lstrip()[:1] in ("=", "+", "-", "@", "\t", "\r") else shown
