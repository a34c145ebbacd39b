"""One approval: its states, which may follow which, and the row that the ledger keeps."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ...knowledge.errors import TamperError
from ..languages.query import Platform
from .actions import UNDO, Action, digest, read_action
from .clock import Deadline, Moment
from .targets import TargetFacts

COPILOT = "copilot"
"""Requester of everything that no analyst asked for by name."""


class State(StrEnum):
    """Where an approval stands. Terminal states never change."""

    PROPOSED = "PROPOSED"
    DENIED = "DENIED"
    PENDING = "PENDING"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"
    APPROVED = "APPROVED"
    EXECUTING = "EXECUTING"
    SUBMITTED = "SUBMITTED"
    VERIFIED = "VERIFIED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    UNDOING = "UNDOING"
    UNDONE = "UNDONE"
    UNDO_FAILED = "UNDO_FAILED"

    @property
    def label(self) -> str:
        """The status that people read."""
        return "awaiting_approval" if self is State.PENDING else self.value.lower()


S = State
TRANSITIONS: frozenset[tuple[State, State]] = frozenset(
    {
        (S.PROPOSED, S.DENIED),
        (S.PROPOSED, S.PENDING),
        (S.PENDING, S.PENDING),
        (S.PENDING, S.APPROVED),
        (S.PENDING, S.REJECTED),
        (S.PENDING, S.EXPIRED),
        (S.PENDING, S.CANCELLED),
        (S.PENDING, S.SUPERSEDED),
        (S.APPROVED, S.EXECUTING),
        (S.APPROVED, S.UNDOING),
        (S.APPROVED, S.EXPIRED),
        (S.APPROVED, S.CANCELLED),
        (S.APPROVED, S.SUPERSEDED),
        (S.APPROVED, S.DENIED),
        (S.EXECUTING, S.SUBMITTED),
        (S.EXECUTING, S.FAILED),
        (S.EXECUTING, S.UNKNOWN),
        (S.SUBMITTED, S.VERIFIED),
        (S.SUBMITTED, S.UNKNOWN),
        (S.UNKNOWN, S.VERIFIED),
        (S.UNKNOWN, S.FAILED),
        (S.UNDOING, S.UNDONE),
        (S.UNDOING, S.UNDO_FAILED),
    }
)
LEAVES: dict[State, frozenset[State]] = {
    state: frozenset(after for before, after in TRANSITIONS if before is state) for state in State
}
TERMINAL = frozenset(state for state in State if not LEAVES[state] and state is not S.UNDO_FAILED)
RUNNING = frozenset({S.EXECUTING, S.SUBMITTED, S.UNDOING})
"""Claimed, with a lease; the vendor may be hearing of it now."""

SETTLED = TERMINAL | {S.UNKNOWN, S.UNDO_FAILED}
"""Nothing more happens by itself."""


class Outcome(BaseModel):
    """What came of an approval, as the ledger recorded it; one JSON line of the executor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    status: str
    action: str
    platform: Platform
    target: dict[str, str]
    detail: str
    approved_by: tuple[str, ...] = ()
    vendor_reference: str | None = None
    settled: datetime | None = None
    undo: str | None = None

    @property
    def refused(self) -> bool:
        """Whether the action was stopped before any call."""
        return self.status in {"denied", "rejected", "expired", "cancelled", "superseded"}


@dataclass(frozen=True)
class Lease:
    """Who is executing, and until when nobody else may conclude that they died."""

    attempt_id: str
    claimed: datetime
    until: Deadline


@dataclass(frozen=True)
class Signature:
    """A stored decision of a person."""

    identity: str
    approver: str
    verdict: Literal["approve", "reject", "undo"]
    signed_at: datetime
    signature: bytes


@dataclass(frozen=True)
class Approval:
    """A row of the ledger."""

    id: str
    state: State
    case_id: str
    attempt: int
    request: bytes
    """The canonical bytes: what is shown, hashed, approved and executed."""
    digest: str
    nonce: str
    requester: str
    reason: str
    evidence: tuple[str, ...]
    facts: TargetFacts
    quorum: int
    epoch: int
    policy_hash: str
    protected_hash: str
    undo_of: str | None
    proposed: datetime
    decide_by: Deadline
    approved: datetime | None
    execute_by: Deadline | None
    lease: Lease | None
    vendor_reference: str | None
    why: str
    settled: datetime | None
    signatures: tuple[Signature, ...] = ()

    @property
    def action(self) -> Action:
        """The action that the stored bytes name.

        Raises:
            TamperError: They were edited into something that is no action.
        """
        try:
            return read_action(json.loads(self.request))
        except (ValueError, KeyError, TypeError) as error:
            raise TamperError(f"the stored request of {self.id} was edited and cannot be read: {error}") from error

    @property
    def intact(self) -> bool:
        """Whether the stored bytes are still those that were hashed when it was proposed."""
        return digest(self.request) == self.digest

    @property
    def status(self) -> str:
        """The state in the words of the public JSON."""
        return self.state.label

    def outcome(self) -> Outcome:
        """What came of it so far."""
        action = self.action
        return Outcome(
            id=self.id,
            status=self.status,
            action=action.action,
            platform=action.platform,
            target={"device_id": action.target.device_id, "hostname": action.target.hostname},
            detail=self.why,
            approved_by=tuple(item.approver for item in self.signatures if item.verdict == "approve"),
            vendor_reference=self.vendor_reference,
            settled=self.settled,
            undo=None if self.undo_of else UNDO[action.action],
        )


def read_row(row: Any, signatures: tuple[Signature, ...]) -> Approval:
    """An approval from its SQLite row."""

    def deadline(name: str, start: str) -> Deadline | None:
        if row[f"{name}_wall"] is None:
            return None
        return Deadline(_moment(row, start), _moment(row, name))

    decide_by = deadline("decide", "proposed")
    lease_until = deadline("lease", "claimed")
    assert decide_by is not None
    return Approval(
        id=row["id"],
        state=State(row["state"]),
        case_id=row["case_id"],
        attempt=row["attempt"],
        request=bytes(row["request"]),
        digest=row["digest"],
        nonce=row["nonce"],
        requester=row["requester"],
        reason=row["reason"],
        evidence=tuple(json.loads(row["evidence"])),
        facts=TargetFacts.from_json(row["facts"]),
        quorum=row["quorum"],
        epoch=row["epoch"],
        policy_hash=row["policy_hash"],
        protected_hash=row["protected_hash"],
        undo_of=row["undo_of"],
        proposed=datetime.fromisoformat(row["proposed_wall"]),
        decide_by=decide_by,
        approved=_time(row["approved_wall"]),
        execute_by=deadline("execute", "approved"),
        lease=Lease(row["attempt_id"], lease_until.set_at.wall, lease_until) if lease_until else None,
        vendor_reference=row["vendor_reference"],
        why=row["why"],
        settled=_time(row["settled_wall"]),
        signatures=signatures,
    )


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def _moment(row: Any, name: str) -> Moment:
    return Moment(datetime.fromisoformat(row[f"{name}_wall"]), row[f"{name}_monotonic"])
