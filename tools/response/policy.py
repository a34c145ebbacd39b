"""The policy: a typed table that denies by default, and the one function that reads it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...knowledge.errors import ConfigurationError
from ...knowledge.loading import parsed
from .approvers import Entry, Role
from .audit import canonical
from .killswitch import KillState, Level
from .protected import ProtectedList
from .targets import TargetFacts

FILE_NAME = "policy.yaml"
Estate = Literal["lab", "live"]
Operation = Literal["propose", "withdraw", "approve", "reject", "undo", "execute"]

_NEEDED_PHASE: Mapping[Operation, int] = {
    "propose": 1,
    "withdraw": 1,
    "reject": 1,
    "approve": 2,
    "undo": 2,
    "execute": 2,
}
_STOPPED_AT: Mapping[Operation, Level] = {
    "propose": Level.K3,
    "withdraw": Level.K3,
    "reject": Level.K3,
    "approve": Level.K2,
    "undo": Level.K3,
    "execute": Level.K2,
}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Phase(_Strict):
    estate: Estate
    tenant: str
    action: str
    phase: int = Field(ge=0, le=2)


class _Quorum(_Strict):
    estate: Estate
    criticality: str
    people: int = Field(ge=1, le=5)


class Caps(_Strict):
    """Most effects of one action in a sliding span, and most decisions of one person in an hour."""

    group_hour: int = Field(ge=0)
    hour: int = Field(ge=0)
    day: int = Field(ge=0)
    decisions_hour: int = Field(ge=0)


class _Protected(_Strict):
    classes: tuple[str, ...]
    words: tuple[str, ...]


class _Table(_Strict):
    version: int
    roles: Mapping[Role, tuple[str, ...]]
    copilot: tuple[str, ...]
    phases: tuple[_Phase, ...]
    quorum: tuple[_Quorum, ...]
    caps: Mapping[Estate, Caps]
    protected: _Protected


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of the caps is used up."""

    group_hour: int = 0
    hour: int = 0
    day: int = 0
    decisions_hour: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One thing that somebody wants to do, with everything the decision rests on."""

    operation: Operation
    action: str
    estate: Estate
    facts: TargetFacts
    requester: str
    by: Entry | None
    """Who acts; None is the copilot when it proposes, and the executor when it executes."""
    kill: KillState
    protected: ProtectedList | None
    """None when the list cannot be read."""
    usage: Usage = Usage()
    is_undo: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and the rule that gave it."""

    verdict: Literal["allow", "deny"]
    rule: str
    reason: str

    @property
    def allowed(self) -> bool:
        """Whether it may be done."""
        return self.verdict == "allow"


@dataclass(frozen=True)
class Policy:
    """The table in force, with its hash."""

    table: _Table
    hash: str

    @classmethod
    def load(cls, home: Path) -> "Policy":
        """`home/policy.yaml`, or the packaged table.

        Raises:
            ConfigurationError: The table cannot be read whole; nothing is allowed then.
        """
        own = home / FILE_NAME
        try:
            packaged = files("tracehound.tools.response") / FILE_NAME
            text = own.read_text(encoding="utf-8") if own.exists() else packaged.read_text(encoding="utf-8")
            return cls(*_read_table(text))
        except (OSError, yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
            problem = " ".join(str(error).split())
            raise ConfigurationError(f"the policy {own} cannot be read, so nothing is allowed: {problem}") from error

    def phase(self, estate: Estate, tenant: str, action: str) -> int:
        """How far this action may go on this tenant; 0 when no line fits."""
        fitting = (
            line.phase
            for line in self.table.phases
            if line.estate == estate and line.tenant in ("*", tenant) and line.action in ("*", action)
        )
        return next(fitting, 0)

    def quorum(self, estate: Estate, criticality: str | None) -> int:
        """Distinct people needed; two when no line fits."""
        wanted = (criticality or "").casefold()
        fitting = (
            line.people for line in self.table.quorum if line.estate == estate and line.criticality in ("*", wanted)
        )
        return next(fitting, 2)

    def caps(self, estate: Estate) -> Caps:
        """The limits of this estate; none left when the table has no line."""
        return self.table.caps.get(estate) or Caps(group_hour=0, hour=0, day=0, decisions_hour=0)

    def protects(self, facts: TargetFacts, listed: ProtectedList | None) -> tuple[str, str] | None:
        """Rule and reason why this host is protected, or None."""
        if listed is None:
            return "protected-list-unreadable", "the protected list cannot be read, so every host is protected"
        if found := listed.names(facts):
            return "protected-list", f"{facts.hostname} is on the protected list (version {listed.version}): {found}"
        return self.protects_by_nature(facts)

    def protects_by_nature(self, facts: TargetFacts) -> tuple[str, str] | None:
        """The same from class and labels alone, for making a list."""
        if facts.asset_class in self.table.protected.classes:
            shown = facts.asset_class.replace("_", " ")
            return f"protected-class-{facts.asset_class}", f"{facts.hostname} is protected: its class is {shown}"
        for label in facts.labels:
            if word := self._protected_word(label):
                return "protected-label", f"{facts.hostname} is protected: its label {label!r} says {word}"
        return None

    def decide(self, request: Request) -> Decision:
        """Allow or deny. The first rule that objects names itself; what nobody allows is denied."""
        for rule in _RULES:
            if objection := rule(self, request):
                return Decision("deny", *objection)
        return Decision("allow", f"{request.operation}-allowed", "reversible, on a known and unprotected host")

    def _protected_word(self, label: str) -> str | None:
        plain = f" {' '.join(re.split('[^a-z0-9]+', label.casefold())).strip()} "
        joined = plain.replace(" ", "")
        for word in self.table.protected.words:
            if f" {word} " in plain or (" " in word and word.replace(" ", "") in joined):
                return word
        return None


@lru_cache(maxsize=8)
def _read_table(text: str) -> tuple[_Table, str]:
    """The table of this very text and its hash: parsing takes 20 ms, and each claim reads the file anew."""
    table = _Table.model_validate(parsed(text))
    return table, sha256(canonical(table.model_dump(mode="json"))).hexdigest()


Objection = tuple[str, str] | None


def _kill_switch(policy: Policy, request: Request) -> Objection:
    limit = Level.K3 if request.is_undo else _STOPPED_AT[request.operation]
    if request.kill.level < limit:
        return None
    why = f" ({request.kill.why})" if request.kill.why else ""
    return "kill-switch", f"the kill switch is at K{request.kill.level.value}{why}"


def _role(policy: Policy, request: Request) -> Objection:
    if request.by is None:
        if request.operation == "execute" or request.operation in policy.table.copilot:
            return None
        return "role", f"the copilot may not {request.operation}"
    if not request.by.active:
        return "revoked", f"the key of {request.by.name} was revoked"
    if request.by.scope == "lab" and request.estate == "live":
        return "scope", f"{request.by.name} is a key of the lab and decides nothing about live vendors"
    if request.operation not in policy.table.roles.get(request.by.role, ()):
        return "role", f"the role {request.by.role} of {request.by.name} may not {request.operation}"
    return None


def _phase(policy: Policy, request: Request) -> Objection:
    phase = policy.phase(request.estate, request.facts.tenant, request.action)
    if phase >= _NEEDED_PHASE[request.operation]:
        return None
    return "phase", (
        f"{request.action} on tenant {request.facts.tenant} is at phase {phase}: it cannot {request.operation} until an "
        "admin raises it in policy.yaml"
    )


def _self_approval(policy: Policy, request: Request) -> Objection:
    if request.operation != "approve" or request.by is None:
        return None
    asked = request.requester.casefold()
    if asked not in (request.by.name.casefold(), request.by.identity.casefold()):
        return None
    return "self-approval", f"{request.by.name} asked for this by name, so somebody else must approve it"


def _seen(policy: Policy, request: Request) -> Objection:
    facts = request.facts
    if not facts.device_id or not facts.tenant or not facts.hostname:
        return (
            "target-incomplete",
            "the target has no vendor id, tenant or name, so it cannot be re-read before the act",
        )
    if not facts.seen_in and not request.is_undo:
        return "target-not-in-evidence", f"no evidence of this case asserts the device id of {facts.hostname}"
    return None


def _protected_asset(policy: Policy, request: Request) -> Objection:
    # An undo gives back what was there before, also on a host that was put on the list meanwhile.
    if request.is_undo or request.operation in ("reject", "withdraw"):
        return None
    return policy.protects(request.facts, request.protected)


def _caps(policy: Policy, request: Request) -> Objection:
    limits, used = policy.caps(request.estate), request.usage
    if request.operation == "execute" and not request.is_undo:
        for rule, limit, count, span in (
            ("cap-group-hour", limits.group_hour, used.group_hour, "an hour in this group"),
            ("cap-hour", limits.hour, used.hour, "an hour"),
            ("cap-day", limits.day, used.day, "a day"),
        ):
            if count >= limit:
                return rule, f"the cap of {limit} times {request.action} {span} is used up"
    if request.operation in ("approve", "reject") and used.decisions_hour >= limits.decisions_hour:
        return "cap-decisions", f"one person decides at most {limits.decisions_hour} times an hour"
    return None


_RULES: tuple[Callable[[Policy, Request], Objection], ...] = (
    _kill_switch,
    _role,
    _self_approval,
    _seen,
    _protected_asset,
    _phase,
    _caps,
)
