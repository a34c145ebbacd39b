"""The approval ledger: what was asked, who decided, what came of it. The only authority over actions.

Every method is one `begin immediate` transaction; every transition is a compare-and-swap with its audit row in the same
commit, the audit row first. The graph, the command line and the executor carry approval ids and nothing else.
"""

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from ...knowledge.errors import ApprovalError, ConfigurationError, DeniedError, NotPendingError, TamperError, UsageError
from . import audit as trail
from . import store
from .actions import AFTER, BEFORE, Action, digest, require_supported
from .approval import (
    COPILOT,
    LEAVES,
    SETTLED,
    TRANSITIONS,
    Approval,
    Signature,
    State,
    read_row,
)
from .approvers import Approver, Entry, Registry, load_registry
from .audit import Audit, canonical
from .clock import Clock, Deadline, Moment, system_moment
from .guards import CLAIM_CHECKS, Check, Reading, Refusal, Situation, decision_message
from .killswitch import KillSwitch
from .policy import Decision, Estate, Policy, Request, Usage
from .protected import ProtectedList, load_protected
from .targets import TargetFacts

DECIDE_WITHIN = timedelta(minutes=15)
EXECUTE_WITHIN = timedelta(minutes=10)
LEASE = timedelta(seconds=60)
"""How long an executor may be silent before it counts as dead; it renews while it polls."""

FRESH_SIGNATURE = timedelta(minutes=5)
_RETRYABLE = frozenset(
    {State.EXPIRED, State.CANCELLED, State.SUPERSEDED, State.FAILED, State.UNKNOWN, State.UNDO_FAILED, State.UNDONE}
)
"""After these the same action in the same case is a new row, with a new id, nonce and approval."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What is asked for, before policy has looked at it."""

    action: Action
    facts: TargetFacts
    reason: str
    evidence: tuple[str, ...]
    case_id: str
    requester: str = COPILOT
    undo_of: str | None = None
    by: Entry | None = None
    """The person whose signature asked for it; None when the copilot enters it, for itself or for an analyst."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a claim. Only with `won` may the vendor be called, once."""

    approval: Approval
    won: bool
    refusal: Refusal | None = None


def approval_id(draft: Draft, request: bytes, attempt: int) -> str:
    """The same action in the same case and attempt is the same row, however often it is proposed."""
    seed = canonical(
        {"case": draft.case_id, "digest": digest(request), "attempt": attempt, "undo": draft.undo_of or ""}
    )
    return f"A-{sha256(seed).hexdigest()[:12]}"


class Ledger:
    """The approvals of one home."""

    claim_checks: Sequence[Check] = CLAIM_CHECKS

    def __init__(
        self,
        home: Path,
        *,
        second_place: Path | None = None,
        clock: Clock = system_moment,
        lease: timedelta = LEASE,
    ) -> None:
        """Open the ledger, making its file when needed.

        Raises:
            StorageError: The home cannot be written.
        """
        self.home, self.clock, self.lease = home, clock, lease
        self.audit = Audit(home, second_place=second_place, clock=clock)
        self.kill_switch = KillSwitch(home, audit=self.audit, clock=clock)
        self.path = self.audit.path

    # Reading

    def get(self, approval_id: str) -> Approval:
        """The approval with this id.

        Raises:
            NotPendingError: There is none.
        """
        with store.reading(self.path) as db:
            return self._load(db, approval_id)

    def find(self, *states: State, case_id: str | None = None) -> list[Approval]:
        """Approvals in these states (all without any), oldest first."""
        with store.reading(self.path) as db:
            rows = db.execute("select id from approvals order by proposed_wall, id").fetchall()
            found = [self._load(db, row["id"]) for row in rows]
        return [item for item in found if (not states or item.state in states) and case_id in (None, item.case_id)]

    # Proposing

    def propose(self, draft: Draft) -> tuple[Approval, Decision]:
        """Enter an action and let policy look at it: PENDING or DENIED. Proposing twice gives the same row.

        Raises:
            NotSupportedError: An action that cannot be carried out yet.
            UsageError: No such action, or facts of another host.
            UnsafeValueError: A name that cannot be written exactly.
        """
        require_supported(draft.action.action, draft.action.platform)
        _require_same_host(draft)
        request = draft.action.canonical()
        policy = Policy.load(self.home)
        with store.transaction(self.path) as db:
            self._expire(db)
            standing = self._standing(db, draft, request)
            if standing and self._is_same(standing, draft, policy):
                return standing, _recorded(standing)
            self._supersede(db, draft)
            attempt = standing.attempt + 1 if standing else 1
            return self._enter(db, draft, request, attempt, policy)

    def _enter(
        self, db: sqlite3.Connection, draft: Draft, request: bytes, attempt: int, policy: Policy
    ) -> tuple[Approval, Decision]:
        now, kill = self.clock(), self.kill_switch.state(connection=db)
        protected = self._protected()
        decide_by = Deadline.after(now, DECIDE_WITHIN)
        entered = {
            "id": approval_id(draft, request, attempt),
            "state": State.PROPOSED.value,
            "case_id": draft.case_id,
            "attempt": attempt,
            "target_key": draft.action.target_key,
            "request": request,
            "digest": digest(request),
            "nonce": secrets.token_hex(16),
            "requester": draft.requester,
            "reason": draft.reason,
            "evidence": json.dumps(draft.evidence),
            "facts": draft.facts.to_json(),
            "quorum": policy.quorum(draft.action.estate, draft.facts.criticality),
            "epoch": kill.epoch,
            "policy_hash": policy.hash,
            "protected_hash": protected.hash if protected else "",
            "undo_of": draft.undo_of,
            "proposed_wall": now.wall.isoformat(),
            "proposed_monotonic": now.monotonic,
            "decide_wall": decide_by.ends.wall.isoformat(),
            "decide_monotonic": decide_by.ends.monotonic,
        }
        trail.append(
            db,
            {
                "kind": "transition",
                "at": now.wall.isoformat(),
                "approval": entered["id"],
                "from": None,
                "to": State.PROPOSED.value,
                "by": draft.requester,
                "digest": entered["digest"],
                "case": draft.case_id,
                "request": json.loads(request),
                "evidence": list(draft.evidence),
                "undo_of": draft.undo_of,
            },
        )
        names = ", ".join(entered)
        db.execute(
            f"insert into approvals ({names}) values ({', '.join('?' * len(entered))})",
            tuple(entered.values()),
        )
        decision = policy.decide(
            Request(
                "undo" if draft.undo_of else "propose",
                draft.action.action,
                draft.action.estate,
                draft.facts,
                draft.requester,
                draft.by,
                kill,
                protected,
                is_undo=bool(draft.undo_of),
            )
        )
        if decision.allowed:
            decision = _sensible(draft) or decision
        approval = self._load(db, str(entered["id"]))
        to = State.PENDING if decision.allowed else State.DENIED
        return self._move(
            db, approval, to, by="policy", rule=decision.rule, why="" if decision.allowed else decision.reason
        ), decision

    def _supersede(self, db: sqlite3.Connection, draft: Draft) -> None:
        """End what waits for the same action on the same host in this case: parameters or evidence changed."""
        rows = db.execute(
            "select id from approvals where case_id = ? and target_key = ? and undo_of is ? and state = 'PENDING'",
            (draft.case_id, draft.action.target_key, draft.undo_of),
        ).fetchall()
        for row in rows:
            standing = self._load(db, row["id"])
            if standing.action.action == draft.action.action:
                self._move(db, standing, State.SUPERSEDED, by=draft.requester, rule="edited", why="proposed anew")

    def _standing(self, db: sqlite3.Connection, draft: Draft, request: bytes) -> Approval | None:
        """The newest row of this action in this case."""
        row = db.execute(
            "select id from approvals where case_id = ? and digest = ? and undo_of is ? order by attempt desc limit 1",
            (draft.case_id, digest(request), draft.undo_of),
        ).fetchone()
        return self._load(db, row["id"]) if row else None

    def _is_same(self, standing: Approval, draft: Draft, policy: Policy) -> bool:
        """Whether a proposal asks for nothing that the standing row does not answer already."""
        if standing.state in _RETRYABLE:
            return False
        if standing.state is State.PENDING:
            return set(standing.evidence) == set(draft.evidence) and standing.epoch == self.kill_switch.state().epoch
        if standing.state is State.DENIED:
            protected = self._protected()
            held = standing.policy_hash, standing.protected_hash, standing.facts
            return held == (policy.hash, protected.hash if protected else "", draft.facts)
        if standing.state is State.REJECTED:
            return draft.requester == COPILOT
        if standing.state is State.VERIFIED:
            return draft.facts.containment != BEFORE[draft.action.action]
        return True

    def request_undo(self, approval_id: str, approver: Approver) -> tuple[Approval, Decision]:
        """Ask to take a verified action back: a linked action that waits for its own approval by somebody else.

        Raises:
            NotPendingError: There is nothing to undo.
            DeniedError: This person may not ask for it.
        """
        done = self.get(approval_id)
        if done.undo_of or done.state is not State.VERIFIED:
            raise NotPendingError(
                f"{approval_id} cannot be undone: it is {done.status}, and only a verified action can"
            )
        _require_intact(done)
        message = canonical({"domain": "tracehound.undo/1", "approval": done.id, "digest": done.digest})
        signature = approver.within(self.home).sign(message)
        entry = load_registry(self.home).find(approver.name)
        if entry is None or not entry.verifies(message, signature):
            raise DeniedError(f"the key of {approver.name} is not the one in the registry")
        undo = done.action.undone()
        facts = replace(done.facts, containment=BEFORE[undo.action])
        reason = f"undo of {done.id}"
        return self.propose(Draft(undo, facts, reason, done.evidence, done.case_id, entry.identity, done.id, entry))

    def withdraw(self, approval_id: str, *, requester: str) -> Approval:
        """Take a proposal back.

        Raises:
            NotPendingError: It does not wait any more.
            DeniedError: Somebody else asked for it.
        """
        with store.transaction(self.path) as db:
            approval = self._waiting(db, approval_id)
            if approval.requester != requester:
                raise DeniedError(f"{approval_id} was asked for by {approval.requester}, who alone may withdraw it")
            return self._move(db, approval, State.CANCELLED, by=requester, rule="withdrawn", why="withdrawn")

    # Deciding

    def decide(
        self,
        approval_id: str,
        approver: Approver,
        verdict: Literal["approve", "reject"],
        *,
        shown_digest: str | None = None,
        why: str = "",
    ) -> Approval:
        """Enter a person's signed decision.

        Args:
            approval_id: The proposal.
            approver: Whose key signs.
            verdict: `approve` or `reject`.
            shown_digest: H as the person saw it, when a screen showed it before.
            why: A reason, for a rejection.

        Returns:
            The row afterwards: APPROVED when enough people agreed, PENDING while some are missing.

        Raises:
            NotPendingError: It does not wait any more; the message says what became of it.
            DeniedError: This person may not, or policy no longer allows it.
        """
        approval, signed_at = self.get(approval_id), self.clock().wall
        if shown_digest and shown_digest != approval.digest:
            raise DeniedError(f"{approval_id} is not the request that was shown; look at it again")
        message = decision_message(approval, verdict, signed_at)
        signature = approver.within(self.home).sign(message)
        return self.enter_signature(
            approval_id, approver.name, verdict, signed_at=signed_at, signature=signature, why=why
        )

    def enter_signature(
        self,
        approval_id: str,
        approver: str,
        verdict: Literal["approve", "reject"],
        *,
        signed_at: datetime,
        signature: bytes,
        why: str = "",
    ) -> Approval:
        """Check a signature over `guards.decision_message` and enter it; see `decide`."""
        with store.transaction(self.path) as db:
            expired = self._expire(db, approval_id)
            approval = expired or self._waiting(db, approval_id)
            if expired is None:
                approval = self._decided(db, approval, approver, verdict, signed_at, signature, why)
        if approval.state is State.EXPIRED:
            raise NotPendingError(f"{approval_id} has expired: nobody decided by {_clock_text(approval.decide_by)}")
        self.audit.checkpoint()
        return approval

    def _decided(
        self,
        db: sqlite3.Connection,
        approval: Approval,
        approver: str,
        verdict: Literal["approve", "reject"],
        signed_at: datetime,
        signature: bytes,
        why: str,
    ) -> Approval:
        now = self.clock()
        identity = self._require_entitled(db, approval, approver, verdict, signed_at, signature, now)
        if any(item.identity.casefold() == identity.casefold() for item in approval.signatures):
            return approval
        db.execute(
            "insert into signatures values (?, ?, ?, ?, ?, ?)",
            (approval.id, identity, approver, verdict, signed_at.isoformat(), signature),
        )
        given = 1 + len(approval.signatures)
        proof = {"signature": signature.hex(), "signed_at": signed_at.isoformat(), "identity": identity}
        if verdict == "reject":
            return self._move(
                db,
                approval,
                State.REJECTED,
                by=approver,
                rule="rejected",
                why=why or f"rejected by {approver}",
                **proof,
            )
        if given < approval.quorum:
            missing = f"{given} of {approval.quorum} people have approved"
            return self._move(db, approval, State.PENDING, by=approver, rule="approved", why=missing, **proof)
        execute_by = Deadline.after(now, EXECUTE_WITHIN)
        _set(
            db,
            approval.id,
            approved_wall=now.wall.isoformat(),
            approved_monotonic=now.monotonic,
            execute_wall=execute_by.ends.wall.isoformat(),
            execute_monotonic=execute_by.ends.monotonic,
        )
        return self._move(
            db, approval, State.APPROVED, by=approver, rule="approved", why=f"approved by {approver}", **proof
        )

    def _require_entitled(
        self,
        db: sqlite3.Connection,
        approval: Approval,
        approver: str,
        verdict: Literal["approve", "reject"],
        signed_at: datetime,
        signature: bytes,
        now: Moment,
    ) -> str:
        """The directory identity behind a valid and allowed signature."""
        _require_intact(approval)
        registry = self._registry(db)
        entry = registry.find(approver)
        if entry is None or not entry.verifies(decision_message(approval, verdict, signed_at), signature):
            raise DeniedError(f"the signature of {approver} does not fit {approval.id} or is by no registered key")
        if abs(now.wall - signed_at) > FRESH_SIGNATURE:
            raise DeniedError(f"the signature of {approver} is not of now; sign again")
        kill = self.kill_switch.state(connection=db)
        if verdict == "approve" and kill.epoch != approval.epoch:
            raise DeniedError(f"the kill switch moved since {approval.id} was proposed; propose it again")
        action = approval.action
        request = Request(
            verdict, action.action, action.estate, approval.facts, registry.identity_of(approval.requester), entry,
            kill, self._protected(), self._usage(db, approval, entry.identity, now), is_undo=bool(approval.undo_of),
        )  # fmt: skip
        decision = Policy.load(self.home).decide(request)
        if not decision.allowed:
            raise DeniedError(f"{approval.id} cannot be decided by {approver}: {decision.reason} ({decision.rule})")
        return entry.identity

    # Executing

    def claim(self, approval_id: str, *, reading: Reading, estate: Estate) -> Claim:
        """Take APPROVED to EXECUTING (an undo to UNDOING): intent and audit row are on disk before this returns.

        Raises:
            TamperError: The row or the audit trail was edited; nothing may run.
            StorageError: The claim could not be written; nothing may run.
        """
        if problems := self.audit.verify():
            raise TamperError(f"the audit trail does not hold, so no action may run: {problems[0]}")
        with store.transaction(self.path) as db:
            approval = self._load(db, approval_id)
            if approval.state is not State.APPROVED:
                return Claim(approval, won=False)
            situation = self._situation(db, approval, reading, estate)
            refusal = next(filter(None, (check(situation) for check in self.claim_checks)), None)
            if refusal is None:
                return Claim(self._take(db, approval), won=True)
            if refusal.to is not None:
                approval = self._move(db, approval, refusal.to, by="executor", rule=refusal.rule, why=refusal.reason)
        if refusal.rule in ("trail", "nonce"):
            raise TamperError(f"{approval_id} may not run: {refusal.reason}")
        return Claim(approval, won=False, refusal=refusal)

    def _situation(self, db: sqlite3.Connection, approval: Approval, reading: Reading, estate: Estate) -> Situation:
        now = self.clock()
        last = trail.last_transition(db, approval.id)
        busy = db.execute(
            "select 1 from approvals where target_key = ? and id <> ? and state in ('EXECUTING', 'SUBMITTED', 'UNDOING')",
            (approval.action.target_key, approval.id),
        ).fetchone()
        spent = db.execute("select 1 from intents where nonce = ?", (approval.nonce,)).fetchone()
        return Situation(
            approval=approval,
            now=now,
            estate=estate,
            reading=reading,
            kill=self.kill_switch.state(connection=db),
            policy=Policy.load(self.home),
            protected=self._protected(),
            registry=self._registry(db),
            usage=self._usage(db, approval, "", now),
            target_busy=busy is not None,
            nonce_spent=spent is not None,
            trail_state=last["to"] if last else None,
        )

    def _take(self, db: sqlite3.Connection, approval: Approval) -> Approval:
        now, attempt_id = self.clock(), secrets.token_hex(8)
        db.execute(
            "insert into intents values (?, ?, ?, ?, ?)",
            (approval.nonce, approval.id, attempt_id, approval.digest, now.wall.isoformat()),
        )
        lease = Deadline.after(now, self.lease)
        _set(
            db,
            approval.id,
            attempt_id=attempt_id,
            claimed_wall=now.wall.isoformat(),
            claimed_monotonic=now.monotonic,
            lease_wall=lease.ends.wall.isoformat(),
            lease_monotonic=lease.ends.monotonic,
        )
        to = State.UNDOING if approval.undo_of else State.EXECUTING
        return self._move(
            db, approval, to, by="executor", rule="claimed", why="the call may have been sent", attempt=attempt_id,
            vendor_call=approval.action.vendor_call,
        )  # fmt: skip

    def renew(self, approval: Approval) -> None:
        """Say that the executor of this attempt is alive."""
        lease = Deadline.after(self.clock(), self.lease).ends
        with store.transaction(self.path) as db:
            db.execute(
                "update approvals set lease_wall = ?, lease_monotonic = ? where id = ? and attempt_id = ?",
                (lease.wall.isoformat(), lease.monotonic, approval.id, _attempt(approval)),
            )

    def settle(self, approval: Approval, to: State, *, why: str, vendor_reference: str | None = None) -> Approval:
        """Record what the vendor answered or showed. When another process got there first, its record stands."""
        with store.transaction(self.path) as db:
            current = self._load(db, approval.id)
            if (current.state, to) not in TRANSITIONS or _attempt(current) != _attempt(approval):
                return current
            if vendor_reference:
                _set(db, approval.id, vendor_reference=vendor_reference)
            return self._move(db, current, to, by="executor", rule="observed", why=why)

    def lost(self) -> list[Approval]:
        """Claimed rows whose executor died: EXECUTING and SUBMITTED become UNKNOWN. With older UNKNOWN rows."""
        with store.transaction(self.path) as db:
            rows = db.execute(
                "select id from approvals where state in ('EXECUTING', 'SUBMITTED', 'UNDOING', 'UNKNOWN')"
            ).fetchall()
            return [found for row in rows if (found := self._lost(db, row["id"]))]

    def _lost(self, db: sqlite3.Connection, approval_id: str) -> Approval | None:
        approval = self._load(db, approval_id)
        if not approval.intact:
            return None  # its bytes name another host now; only a person can say what became of the right one
        if approval.state is State.UNKNOWN:
            return approval
        if approval.lease and not approval.lease.until.passed(self.clock()):
            return None
        if approval.state is State.UNDOING:
            return approval
        why = "the executor stopped before it recorded an outcome"
        return self._move(db, approval, State.UNKNOWN, by="reconcile", rule="lease-lost", why=why)

    # Inside a transaction

    def _move(
        self, db: sqlite3.Connection, approval: Approval, to: State, *, by: str, rule: str, why: str, **proof: str
    ) -> Approval:
        """One transition: the audit row first, then the compare-and-swap, in one commit."""
        if to not in LEAVES[approval.state]:
            raise ApprovalError(f"{approval.id} is {approval.status} and cannot become {to.label}")
        now = self.clock().wall.isoformat()
        trail.append(
            db,
            {
                "kind": "transition",
                "at": now,
                "approval": approval.id,
                "from": approval.state.value,
                "to": to.value,
                "by": by,
                "rule": rule,
                "why": why,
                "digest": approval.digest,
                **proof,
            },
        )
        swapped = db.execute(
            "update approvals set state = ?, why = ?, settled_wall = ? where id = ? and state = ?",
            (to.value, why, now if to in SETTLED else None, approval.id, approval.state.value),
        )
        if swapped.rowcount != 1:
            raise ApprovalError(f"{approval.id} was changed by another process at the same moment; look at it again")
        return self._load(db, approval.id)

    def _expire(self, db: sqlite3.Connection, only: str | None = None) -> Approval | None:
        """Move waiting rows past `decide_by` to EXPIRED; returns the one asked about if it was among them."""
        rows = db.execute(
            "select id from approvals where state = 'PENDING' and ? in (id, '')", (only or "",)
        ).fetchall()
        found = None
        for row in rows:
            approval = self._load(db, row["id"])
            if approval.decide_by.passed(self.clock()):
                why = f"nobody decided by {_clock_text(approval.decide_by)}"
                found = self._move(db, approval, State.EXPIRED, by="clock", rule="decide-by", why=why)
        return found if only else None

    def expire(self) -> None:
        """Move every waiting row past `decide_by` to EXPIRED."""
        with store.transaction(self.path) as db:
            self._expire(db)

    def _waiting(self, db: sqlite3.Connection, approval_id: str) -> Approval:
        approval = self._load(db, approval_id)
        if approval.state is not State.PENDING:
            raise NotPendingError(
                f"{approval_id} does not wait for a decision: it is {approval.status}. {approval.why}".strip()
            )
        return approval

    def _load(self, db: sqlite3.Connection, approval_id: str) -> Approval:
        row = db.execute("select * from approvals where id = ?", (approval_id,)).fetchone()
        if row is None:
            raise NotPendingError(f"there is no approval {approval_id}; `tracehound pending` lists those that wait")
        signed = db.execute(
            "select * from signatures where approval_id = ? order by signed_at, identity", (approval_id,)
        ).fetchall()
        return read_row(row, tuple(_signature(item) for item in signed))

    def _registry(self, db: sqlite3.Connection) -> Registry:
        return load_registry(self.home, connection=db)

    def _protected(self) -> ProtectedList | None:
        try:
            return load_protected(self.home)
        except ConfigurationError:
            return None

    def _usage(self, db: sqlite3.Connection, approval: Approval, identity: str, now: Moment) -> Usage:
        """Effects of the same action in the last hour and day, over all cases, and decisions of this person."""
        hour, day = ((now.wall - span).isoformat() for span in (timedelta(hours=1), timedelta(days=1)))
        rows = db.execute(
            "select request, facts, claimed_wall from approvals "
            "where claimed_wall > ? and undo_of is null and state <> 'FAILED'",
            (day,),
        ).fetchall()
        action = approval.action.action
        same = [row for row in rows if json.loads(row["request"])["action"] == action]
        recent = [row for row in same if row["claimed_wall"] > hour]
        groups = set(approval.facts.groups)
        decided = db.execute(
            "select count(*) from signatures where identity = ? and signed_at > ?", (identity, hour)
        ).fetchone()
        return Usage(
            group_hour=sum(1 for row in recent if groups & set(json.loads(row["facts"])["groups"])),
            hour=len(recent),
            day=len(same),
            decisions_hour=decided[0],
        )


def _set(db: sqlite3.Connection, approval_id: str, **values: str | float) -> None:
    assignments = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"update approvals set {assignments} where id = ?", (*values.values(), approval_id))


def _signature(row: Any) -> Signature:
    return Signature(
        row["identity"],
        row["approver"],
        row["verdict"],
        datetime.fromisoformat(row["signed_at"]),
        bytes(row["signature"]),
    )


def _attempt(approval: Approval) -> str | None:
    return approval.lease.attempt_id if approval.lease else None


def _clock_text(deadline: Deadline) -> str:
    return f"{deadline.ends.wall:%H:%M:%S} UTC"


def _recorded(approval: Approval) -> Decision:
    if approval.state is State.DENIED:
        return Decision("deny", "recorded", approval.why)
    return Decision("allow", "recorded", approval.status)


def _require_intact(approval: Approval) -> None:
    if not approval.intact:
        raise TamperError(f"the stored request of {approval.id} was edited, so nothing may be decided about it")


def _require_same_host(draft: Draft) -> None:
    action, facts = draft.action, draft.facts
    same = (action.platform, action.tenant, action.target.device_id, action.target.hostname)
    if same != (facts.platform, facts.tenant, facts.device_id, facts.hostname):
        raise UsageError(f"the facts are about {facts.hostname}, and the action is aimed at {action.target.hostname}")


def _sensible(draft: Draft) -> Decision | None:
    """A host that is already where the action would take it needs no action."""
    known, wanted = draft.facts.containment, BEFORE[draft.action.action]
    if known in (wanted, "unknown"):
        return None
    shown = "contained already" if known == AFTER[draft.action.action] else f"in the state {known}"
    return Decision(
        "deny", "target-state", f"{draft.facts.hostname} is {shown}, so {draft.action.action} would do nothing"
    )
