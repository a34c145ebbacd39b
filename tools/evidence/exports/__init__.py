"""An answer as a document: a format is a module of its own, which is imported when it is asked for.

Evidence text is neutralised in each by that format's rules; the raw rows in `json` keep everything.
"""

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import cast

from ....knowledge.errors import NotSupportedError, UsageError
from ..records import Answer

_WRITERS: Mapping[str, tuple[str, str]] = {
    "md": ("markdown", "to_markdown"),
    "html": ("html", "to_html"),
}
"""Format to the module beside this one that writes it, and the function: an answer in, text out."""
_LATER = ("timesketch", "iris", "navigator", "pdf", "stix")


def export(answer: Answer, format_name: str) -> str:
    """An answer in a format.

    Raises:
        NotSupportedError: the format is planned.
        UsageError: there is no such format.
    """
    if format_name == "json":
        return to_json(answer)
    if format_name in _LATER:
        raise NotSupportedError(f"export format {format_name}")
    if format_name not in _WRITERS:
        raise UsageError(f"there is no export format {format_name!r}; the formats are {', '.join(['json', *_WRITERS])}")
    return _writer(format_name)(answer)


def to_json(answer: Answer) -> str:
    """The public JSON object as text, in ASCII, so that no control character reaches a terminal."""
    return json.dumps(answer.to_json(), ensure_ascii=True, indent=2)


def _writer(format_name: str) -> Callable[[Answer], str]:
    module, function = _WRITERS[format_name]
    if find_spec(f".{module}", __name__) is None:
        raise NotSupportedError(f"export format {format_name}")
    return cast("Callable[[Answer], str]", getattr(import_module(f".{module}", __name__), function))
