"""Sentences of an answer as HTML: escaped, with their code as code and their citations as links.

Nothing from evidence becomes markup: every piece is neutralised and escaped here, and only this module builds markup
around it.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from ..safe import safe, spans

_CITED = re.compile(r"\[(E\d+)\]")
_LABEL = re.compile(r"[^`:\[]{3,90}: (?![`\[])")


def neutral(value: Any) -> Any:
    """What the template prints: markup of ours as it is, anything else with its hidden characters shown."""
    return value if isinstance(value, Markup) else safe(value, single_line=False)


def sentence(text: str, links: Mapping[str, Markup] | None = None) -> Markup:
    """One sentence or several lines: backticks become code, `[E12]` becomes the link that is given for it."""
    return Markup("").join(code(part) if is_code else _prose(part, links or {}) for part, is_code in spans(text))


def labelled(text: str, links: Mapping[str, Markup] | None = None) -> Markup:
    """The same, with the name of the behaviour that a claim begins with set apart."""
    found = _LABEL.match(text)
    if found is None:
        return sentence(text, links)
    label = found[0].removesuffix(": ")
    return Markup("<b>{}</b> {}").format(safe(label), sentence(text[found.end() :], links))


def code(text: str) -> Markup:
    """A value as it is, on one line."""
    return Markup("<code>{}</code>").format(safe(text))


def _prose(text: str, links: Mapping[str, Markup]) -> Markup:
    out, at = [], 0
    for match in _CITED.finditer(text):
        link = links.get(match[1])
        if link is not None:
            out += [escape(safe(text[at : match.start()], single_line=False)), link]
            at = match.end()
    return Markup("").join([*out, escape(safe(text[at:], single_line=False))])


def raw_row(row: Mapping[str, Any]) -> str:
    """A vendor's row as JSON in ASCII, a field a line: it can be read, copied and hashed."""
    if not row:
        return "{}"
    lines = (f" {json.dumps(key)}: {json.dumps(value, default=str)}" for key, value in row.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def value_text(value: Any) -> str:
    """A normalised value as one line of text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def clip(text: str, most: int) -> str:
    """The beginning of a name that has little room; the whole of it is close by."""
    shown = safe(text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
