"""What happened, and which sensors saw it. The generator and the importer both make these; rows are written from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ...tools.languages.vocabulary import EventClass

FALCON, SENTINELONE, DEFENDER, SENTINEL = "falcon", "sentinelone", "defender", "sentinel"


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that happened.

    `attributes` are vocabulary attributes without `time`; `device.hostname` is the short name. `extra` holds what a
    vendor's row has and the vocabulary does not: `windows` (the fields of a Windows event), `email`, `document`, ...
    `story` is the ground truth and never reaches a row.
    """

    event_class: EventClass
    time: datetime
    attributes: Mapping[str, Any]
    sensors: frozenset[str]
    story: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """An attribute as text, empty when it is not there."""
        value = self.attributes.get(name)
        return "" if value is None else str(value)

    @property
    def host(self) -> str:
        """Short host name."""
        return self.text("device.hostname")


def integer(text: str) -> int | None:
    """A number as events write it, decimal or `0x` hexadecimal; None where the text is none."""
    try:
        return int(text, 16) if text.lower().startswith("0x") else int(text)
    except ValueError:
        return None
