"""Text in telemetry that speaks to an assistant: found to be named, never to be followed, hidden or blocked.

An attacker writes command lines, file names, subjects and user agents. What they say is evidence of its own, so an
answer says that it was there (UX: `[untrusted instruction]`). The words are data in `tripwire.yaml`.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files

from ...knowledge.loading import parsed
from .event import Event

MARK = "[untrusted instruction]"
_LONGEST = 4_000
"""Characters of one value that are read."""
_TOO_SHORT = 12
"""Characters that no order fits in."""
_JOINERS = re.compile(r"[\s_+\-]+|%20")


@cache
def _spoken() -> re.Pattern[str]:
    text = files("tracehound.tools.evidence").joinpath("tripwire.yaml").read_text(encoding="utf-8")
    groups: Mapping[str, Sequence[str]] = parsed(text)
    return re.compile("|".join(f"(?:{pattern})" for group in groups.values() for pattern in group), re.IGNORECASE)


@lru_cache(maxsize=16_384)
def speaks_to_a_machine(text: str) -> bool:
    """Whether a text addresses an assistant or orders one about. Rows repeat their values, so verdicts are kept."""
    read = text[:_LONGEST]
    plain = _JOINERS.sub(" ", read)
    return _spoken().search(read) is not None or (plain != read and _spoken().search(plain) is not None)


def instructing(event: Event) -> tuple[str, str] | None:
    """The first attribute of an event whose text speaks to a machine, with that text."""
    for name, value in event.fields.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and len(text) > _TOO_SHORT and speaks_to_a_machine(text):
                return name, text
    return None
