"""Decks: questions of analysts with the facts that a right answer holds, one JSON object a line.

A deck is written in the canonical names of the generated world; `fill` puts the names of one lab in their place.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..knowledge.errors import ContentError

_FILLED = ("turns", "facts", "not", "proposal", "no_proposal")
"""Keys whose texts hold names."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Moment(_Part):
    """A time before the lab's clock, in minutes."""

    minutes_before: float
    tolerance: float = Field(default=0, ge=0)


class WantedAction(_Part):
    """An action and whom it is for."""

    action: str
    target: str


class DeckItem(_Part):
    """One question, in one or more turns of one case, and what the last answer must hold."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    domain: Literal["endpoint", "identity", "email", "cloud", "mixed"]
    kind: str
    style: str = ""
    story: str | None = None
    why: str = ""
    turns: tuple[str, ...] = Field(min_length=1)
    facts: tuple[tuple[str, ...], ...] = ()
    """Of each inner list at least one text must occur."""
    times: tuple[Moment, ...] = ()
    never: tuple[str, ...] = Field(default=(), alias="not")
    """What no claim and no entry may assert."""
    declined: bool = False
    asks_back: bool = False
    absence: bool = False
    proposal: WantedAction | None = None
    no_proposal: bool | WantedAction | None = None


@dataclass(frozen=True)
class Names:
    """How a lab calls what a deck names."""

    actual: Mapping[str, str]
    """Canonical to actual names."""
    alerts: Mapping[str, str]
    clock: datetime

    def fill(self, item: DeckItem) -> DeckItem:
        """The item in this lab's names.

        Raises:
            KeyError: the lab has no alert of a name that the item asks about.
        """
        parts = item.model_dump(by_alias=True).items()
        return DeckItem.model_validate({key: self._filled(part) if key in _FILLED else part for key, part in parts})

    def text(self, text: str) -> str:
        """A text with actual names and alert ids; longer names win, case is ignored."""
        folded = {name.casefold(): actual for name, actual in self.actual.items()}
        either = "|".join(re.escape(name) for name in sorted(folded, key=lambda name: (-len(name), name))) or r"(?!)"
        return re.sub(
            rf"\{{alert:([^}}]+)\}}|(?<!\w)(?<!\w-)(?:{either})(?!\w|-\w)",
            lambda match: self.alerts[match[1]] if match[1] else folded[match[0].casefold()],
            text,
            flags=re.IGNORECASE,
        )

    def _filled(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: part if key == "action" else self._filled(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return tuple(self._filled(part) for part in value)
        return self.text(value) if isinstance(value, str) else value


def read_deck(path: Path) -> tuple[DeckItem, ...]:
    """The questions of a deck.

    Raises:
        ContentError: the file is no deck; names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ContentError(str(path), None, f"the deck cannot be read: {exc}") from exc
    items: dict[str, DeckItem] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        item = _item(path, number, line)
        if item.id in items:
            raise ContentError(str(path), number, f"{item.id} is in the deck twice")
        items[item.id] = item
    if not items:
        raise ContentError(str(path), None, "the deck holds no question")
    return tuple(items.values())


def _item(path: Path, number: int, line: str) -> DeckItem:
    try:
        return DeckItem.model_validate_json(line)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(map(str, first["loc"]))
        problem = f"{where}: {first['msg']}" if where else first["msg"]
        raise ContentError(str(path), number, problem) from exc
    except json.JSONDecodeError as exc:
        raise ContentError(str(path), number, f"not JSON: {exc.msg}") from exc
