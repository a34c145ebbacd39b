"""What must hold at the instant an approval is claimed: nine conditions, each a function, all of them or no call.

They run inside the claim transaction (SECURITY 6.4). A refusal either ends the approval in the state it names, or leaves
it as it is (`to` None) because the condition may pass later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..vendors.estate import DeviceState
from .actions import BEFORE
from .approval import Approval, State
from .approvers import Registry
from .audit import canonical
from .clock import Moment
from .killswitch import KillState, Level
from .policy import Estate, Policy, Request, Usage
from .protected import ProtectedList
from .targets import facts_from_state, with_labels_of

READING_LIVES = timedelta(seconds=30)
"""Oldest re-read of a target that a claim may rest on."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The target as its vendor showed it just before the claim."""

    device: DeviceState
    taken: Moment


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything the claim looks at, read inside the transaction."""

    approval: Approval
    now: Moment
    estate: Estate
    """Whose vendors this executor talks to, from its own environment."""
    reading: Reading
    kill: KillState
    policy: Policy
    protected: ProtectedList | None
    registry: Registry
    usage: Usage
    target_busy: bool
    """Another approval for the same host is executing."""
    nonce_spent: bool
    trail_state: str | None
    """The state that the audit trail has for this approval."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no call."""

    rule: str
    reason: str
    to: State | None


Check = Callable[[Situation], Refusal | None]


def decision_message(approval: Approval, verdict: str, signed_at: datetime) -> bytes:
    """The bytes that a person signs: they bind H, nonce, id, deadline and epoch."""
    return canonical(
        {
            "domain": "tracehound.decision/1",
            "verdict": verdict,
            "approval": approval.id,
            "digest": approval.digest,
            "nonce": approval.nonce,
            "decide_by": approval.decide_by.ends.wall.isoformat(),
            "epoch": approval.epoch,
            "signed_at": signed_at.isoformat(),
        }
    )


def trail_agrees(at: Situation) -> Refusal | None:
    """A row that was edited past the audit trail is no authority."""
    if at.trail_state == at.approval.state.value:
        return None
    return Refusal(
        "trail", f"the audit trail has {at.trail_state}, not {at.approval.state.value}: the row was edited", None
    )


def nonce_unspent(at: Situation) -> Refusal | None:
    """Single use."""
    return Refusal("nonce", "this approval was used already", None) if at.nonce_spent else None


def not_expired(at: Situation) -> Refusal | None:
    """Before `execute_by`, on both clocks."""
    deadline = at.approval.execute_by
    if deadline is not None and not deadline.passed(at.now):
        return None
    return Refusal("execute-by", "the time to execute it has passed; propose it again", State.EXPIRED)


def epoch_current(at: Situation) -> Refusal | None:
    """A kill switch that moved cancels every earlier approval, also after release."""
    if at.approval.epoch == at.kill.epoch:
        return None
    return Refusal("epoch", "the kill switch moved since it was proposed; propose it again", State.CANCELLED)


def not_killed(at: Situation) -> Refusal | None:
    """Below K2; an undo runs below K3."""
    limit = Level.K3 if at.approval.undo_of else Level.K2
    if at.kill.level < limit:
        return None
    return Refusal("kill-switch", f"the kill switch is at K{at.kill.level.value}", State.CANCELLED)


def hash_matches(at: Situation) -> Refusal | None:
    """The stored bytes are those that were approved."""
    if at.approval.intact:
        return None
    return Refusal("digest", "the stored request is not the one that was approved", State.SUPERSEDED)


def signatures_hold(at: Situation) -> Refusal | None:
    """Enough distinct people, each with a valid signature over exactly this, and still entitled."""
    identities: set[str] = set()
    for item in at.approval.signatures:
        if item.verdict != "approve":
            continue
        entry = at.registry.find(item.approver)
        message = decision_message(at.approval, "approve", item.signed_at)
        if entry is None or entry.identity != item.identity or not entry.verifies(message, item.signature):
            return Refusal("signature", f"the signature of {item.approver} does not fit this request", State.DENIED)
        asked = at.registry.identity_of(at.approval.requester)
        request = Request(
            "approve", at.approval.action.action, at.estate, at.approval.facts, asked, entry,
            KillState(Level.K0, at.kill.epoch), at.protected, is_undo=bool(at.approval.undo_of),
        )  # fmt: skip
        if not (decision := at.policy.decide(request)).allowed:
            return Refusal(decision.rule, decision.reason, State.DENIED)
        identities.add(entry.identity.casefold())
    if len(identities) >= at.approval.quorum:
        return None
    return Refusal("quorum", f"{len(identities)} of {at.approval.quorum} people have approved it", State.DENIED)


def reading_fresh(at: Situation) -> Refusal | None:
    """The re-read is of now."""
    age = at.now.monotonic - at.reading.taken.monotonic
    if 0 <= age <= READING_LIVES.total_seconds():
        return None
    return Refusal("reading-age", "the target was read too long ago", None)


def target_unchanged(at: Situation) -> Refusal | None:
    """Id, name, tenant and containment equal what was approved; last seen is not older."""
    action, seen, approved = at.approval.action, at.reading.device, at.approval.facts
    differing = [
        name
        for name, then, now in (
            ("estate", action.estate, at.estate),
            ("platform", action.platform, seen.platform),
            ("device id", action.target.device_id, seen.device_id),
            ("name", action.target.hostname, seen.hostname),
            ("tenant", action.tenant, seen.tenant),
            ("containment", BEFORE[action.action], seen.containment),
        )
        if then != now
    ]
    if approved.last_seen and (seen.last_seen is None or seen.last_seen < approved.last_seen):
        differing.append("last seen")
    if not differing:
        return None
    return Refusal(
        "target-changed", f"the target is not as approved any more: {', '.join(differing)}", State.SUPERSEDED
    )


def unprotected_now(at: Situation) -> Refusal | None:
    """Not protected by the list, the policy or the labels of this instant."""
    if at.approval.undo_of:
        return None
    fresh = facts_from_state(at.reading.device, seen_in=at.approval.facts.seen_in)
    if found := at.policy.protects(with_labels_of(at.approval.facts, fresh), at.protected):
        return Refusal(found[0], found[1], State.DENIED)
    return None


def policy_allows(at: Situation) -> Refusal | None:
    """Phase and caps of this instant; a cap that is used up may free itself before the deadline."""
    approval = at.approval
    request = Request(
        "execute", approval.action.action, at.estate, approval.facts, approval.requester, None,
        at.kill, at.protected, at.usage, is_undo=bool(approval.undo_of),
    )  # fmt: skip
    decision = at.policy.decide(request)
    if decision.allowed:
        return None
    return Refusal(decision.rule, decision.reason, None if decision.rule.startswith("cap-") else State.DENIED)


def target_idle(at: Situation) -> Refusal | None:
    """No other action on this host is under way."""
    return Refusal("target-busy", "another action on this host is under way", None) if at.target_busy else None


CLAIM_CHECKS: tuple[Check, ...] = (
    trail_agrees,
    nonce_unspent,
    not_expired,
    epoch_current,
    not_killed,
    hash_matches,
    signatures_hold,
    reading_fresh,
    target_unchanged,
    unprotected_now,
    policy_allows,
    target_idle,
)
