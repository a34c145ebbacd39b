"""An answer as a document: a format is a module of its own, which is imported when it is asked for.

Evidence text is neutralised in each by that format's rules; the raw rows in `json` keep everything.
"""

import json
from collections.abc import Mapping
from importlib import import_module

from ....knowledge.errors import UsageError
from ..records import Answer

_WRITERS: Mapping[str, tuple[str, str]] = {
    "md": (".markdown", "to_markdown"),
    "json": ("", "to_json"),
    "html": ("..report.html", "to_html"),
    "timesketch": (".timesketch", "to_timesketch"),
    "iris": (".iris", "to_iris"),
    "navigator": (".navigator", "to_navigator"),
    "stix": (".stix", "to_stix"),
    "pdf": (".pdf", "to_pdf"),
}
"""Format to the module that writes it (empty: this one), and the function: an answer in, text or bytes out."""
FORMATS = tuple(_WRITERS)
VIEWS = ("md", "json", "html", "timesketch", "iris", "navigator")
"""What a replay rebuilds: the formats that need no extra."""


def export(answer: Answer, format_name: str) -> str:
    """An answer in a format that is text.

    Raises:
        ConfigurationError: the format needs an extra that is not installed.
        UsageError: there is no such format, or it is no text.
    """
    written = _written(answer, format_name)
    if isinstance(written, bytes):
        raise UsageError(f"the format {format_name} is no text; write it to a file with -o")
    return written


def document(answer: Answer, format_name: str) -> bytes:
    """An answer as the bytes of a file, the same on every machine.

    Raises:
        ConfigurationError: the format needs an extra that is not installed.
        UsageError: there is no such format.
    """
    written = _written(answer, format_name)
    return written if isinstance(written, bytes) else (written.rstrip("\n") + "\n").encode()


def to_json(answer: Answer) -> str:
    """The public JSON object as text, in ASCII, so that no control character reaches a terminal."""
    return json.dumps(answer.to_json(), ensure_ascii=True, indent=2)


def _written(answer: Answer, format_name: str) -> str | bytes:
    if format_name not in _WRITERS:
        raise UsageError(f"there is no export format {format_name!r}; the formats are {', '.join(FORMATS)}")
    module, function = _WRITERS[format_name]
    written: str | bytes = getattr(import_module(module or __name__, __name__), function)(answer)
    return written
