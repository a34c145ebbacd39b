"""Text in telemetry that speaks to an assistant: found to be named, never to be followed, hidden or blocked.

An attacker writes command lines, file names, subjects and user agents. What they say is evidence of its own, so an
answer says that it was there (UX: `[untrusted instruction]`). The words are data in `tripwire.yaml`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

import yaml

from .event import Event

MARK = "[untrusted instruction]"
_LONGEST = 4_000
"""Characters of one value that are read."""
_JOINERS = re.compile(r"[\s_+\-]+|%20")


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    text = files("tracehound.tools.evidence").joinpath("tripwire.yaml").read_text(encoding="utf-8")
    groups: Mapping[str, Sequence[str]] = yaml.safe_load(text)
    return tuple(re.compile(pattern, re.IGNORECASE) for group in groups.values() for pattern in group)


def speaks_to_a_machine(text: str) -> bool:
    """Whether a text addresses an assistant or orders one about."""
    plain = _JOINERS.sub(" ", text[:_LONGEST])
    return any(pattern.search(form) for form in {text[:_LONGEST], plain} for pattern in _patterns())


def instructing(events: Iterable[Event]) -> dict[str, str]:
    """Attribute to the first value of it that speaks to a machine, in the events' order."""
    found: dict[str, str] = {}
    for event in events:
        for name, value in event.fields.items():
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and name not in found and len(text) > 12 and speaks_to_a_machine(text):
                    found[name] = text
    return found
