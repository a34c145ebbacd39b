"""The kill switch: K0 off, K1 no autonomous start, K2 no state change, K3 nothing at all.

The file raises at once, without database, network or model. Only a signed lowering of an admin, kept in the audit trail,
takes a level back: the level in force is the higher of file and trail, and what cannot be read counts as K3. Every
change begins a new epoch, and an approval of an earlier epoch is never executed.
"""

import json
import os
import sqlite3
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from ...knowledge.errors import DeniedError, StorageError, UsageError
from . import audit as trail
from . import store
from .approvers import Approver, load_registry
from .audit import Audit, canonical
from .clock import Clock, system_moment

FILE_NAME = "kill-switch.json"


class Level(IntEnum):
    """How much is stopped."""

    K0 = 0
    K1 = 1
    K2 = 2
    K3 = 3

    @classmethod
    def read(cls, text: str) -> "Level":
        """A level from `K2` or `2`.

        Raises:
            UsageError: Anything else.
        """
        name = text.strip().upper()
        name = name if name.startswith("K") else f"K{name}"
        if name not in cls.__members__:
            raise UsageError(f"there is no kill-switch level {text!r}; levels are K0, K1, K2 and K3")
        return cls[name]


@dataclass(frozen=True, slots=True)
class KillState:
    """What is in force now."""

    level: Level
    epoch: int
    why: str = ""


class KillSwitch:
    """The switch of one home."""

    def __init__(self, home: Path, *, audit: Audit | None = None, clock: Clock = system_moment) -> None:
        self.home, self.path, self._clock = home, home / FILE_NAME, clock
        self._audit = audit or Audit(home, clock=clock)

    def state(self, *, connection: sqlite3.Connection | None = None) -> KillState:
        """The level and epoch in force; K3 when the file or the trail cannot be read."""
        if connection is None:
            try:
                with store.reading(self._audit.path) as own:
                    return self.state(connection=own)
            except StorageError as error:
                return KillState(Level.K3, -1, str(error))
        audited = trail.last_of_kind(connection, "kill-switch")
        epoch = audited["epoch"] if audited else 0
        said = Level(audited["level"]) if audited else Level.K0
        try:
            text = self.path.read_text(encoding="utf-8")
            content = json.loads(text)
            in_file = Level.read(str(content["level"]))
        except FileNotFoundError:
            if audited:
                return KillState(Level.K3, epoch, f"{self.path} was removed after the switch had been used")
            return KillState(Level.K0, epoch)
        except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
            return KillState(Level.K3, epoch, f"{self.path} cannot be read: {error}")
        if in_file > said:
            return KillState(in_file, epoch, str(content.get("why", "")))
        return KillState(said, epoch, audited["why"] if audited else "")

    def raise_to(self, level: Level, *, by: str, why: str) -> KillState:
        """Stop more. Any operator may, with a name and a reason.

        Raises:
            UsageError: Not higher than now, or no reason.
            StorageError: The file or the audit trail cannot be written; a written file is in force all the same.
        """
        before = self.state()
        if level <= before.level:
            raise UsageError(f"the kill switch is at K{before.level.value} already; K{level.value} would not raise it")
        return self._change(level, by=by, why=why)

    def lower_to(self, level: Level, *, admin: Approver, why: str) -> KillState:
        """Stop less. Needs an admin's signature and a reason.

        Raises:
            UsageError: Not lower than now, or no reason.
            DeniedError: Not an active admin, or not their key.
        """
        before = self.state()
        if level >= before.level:
            raise UsageError(f"the kill switch is at K{before.level.value}; K{level.value} would not lower it")
        entry = load_registry(self.home).find(admin.name)
        message = canonical(
            {"domain": "tracehound.kill-switch/1", "level": level.value, "why": why, "epoch": before.epoch}
        )
        signature = admin.within(self.home).sign(message)
        if entry is None or not entry.active or entry.role != "admin" or not entry.verifies(message, signature):
            raise DeniedError(f"only an active admin may lower the kill switch, and {admin.name} is none")
        return self._change(level, by=admin.name, why=why, signature=signature.hex())

    def _change(self, level: Level, *, by: str, why: str, **proof: str) -> KillState:
        if not why.strip():
            raise UsageError("the kill switch needs a reason: give --why")
        at = self._clock().wall.isoformat()
        content = {"level": f"K{level.value}", "by": by, "why": why, "at": at}
        raising = level > self.state().level
        if raising:  # in force before the trail is asked, in case the trail is what is broken
            self._write(content)
        with store.transaction(self._audit.path) as connection:
            audited = trail.last_of_kind(connection, "kill-switch")
            epoch = (audited["epoch"] if audited else 0) + 1
            body = {
                "kind": "kill-switch",
                "at": at,
                "by": by,
                "why": why,
                "level": level.value,
                "epoch": epoch,
                **proof,
            }
            trail.append(connection, body)
        if not raising:
            self._write(content)
        self._audit.checkpoint()
        return self.state()

    def _write(self, content: dict[str, str]) -> None:
        draft = self.path.with_suffix(f".{os.getpid()}.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            draft.replace(self.path)
        except OSError as error:
            raise StorageError(f"cannot write the kill switch {self.path}: {error}") from error
