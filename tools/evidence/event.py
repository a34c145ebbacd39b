"""A normalised event: one vendor row in the vocabulary's words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from ..languages.query import Platform
from ..languages.vocabulary import EventClass
from .records import Evidence


@dataclass(frozen=True, slots=True)
class Event:
    """One row, normalised. `evidence` names the row in the case; `fields` holds flat vocabulary attributes.

    `time` is the resolved UTC time and repeats `fields["time"]` (ISO text there). `host` is the short host name in
    upper case as written by the vendor without its domain, `user` the account without its domain.
    """

    evidence: str
    platform: Platform
    collection: str
    event_class: EventClass
    time: datetime | None
    host: str | None
    user: str | None
    fields: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Evidence) -> Self:
        """The event that a row of evidence holds."""
        return cls(
            evidence=row.id,
            platform=Platform(row.platform),
            collection=row.collection,
            event_class=EventClass(row.event_class),
            time=row.time,
            host=row.host,
            user=row.user,
            fields=row.fields,
        )

    def get(self, name: str) -> Any:
        """The value of an attribute, or None."""
        return self.fields.get(name)

    def text(self, name: str) -> str:
        """The value of an attribute as text, empty when it is not there."""
        value = self.fields.get(name)
        return "" if value is None else str(value)
