"""The calling side: propose, look, decide, undo. It holds no acting credential; the executor is another process."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError

from ...knowledge.errors import (
    ApprovalError,
    ConfigurationError,
    DeniedError,
    NotPendingError,
    StorageError,
    TamperError,
    TracehoundError,
    VendorUnavailableError,
)
from ..evidence.records import Proposal
from .actions import UNDO, Action, Target, require_supported
from .approval import COPILOT, RUNNING, SETTLED, Approval, Outcome, State
from .approvers import Approver
from .audit import Audit
from .clock import Clock, system_moment
from .killswitch import KillSwitch
from .ledger import LEASE, Draft, Ledger
from .policy import Decision, Estate
from .targets import TargetFacts

RunExecutor = Callable[[str], Awaitable[object]]
"""Starts the executor for an approval id and returns when it has ended; see `subprocess_executor`."""

GRACE_SECONDS = 15.0
"""How long one who did not give the deciding signature waits for that caller's executor before starting one."""

LOOK_SECONDS = 0.05


class Desk:
    """Where proposals wait for people."""

    def __init__(
        self,
        home: Path,
        estate: Estate | None = None,
        *,
        second_place: Path | None = None,
        clock: Clock = system_moment,
        lease: timedelta = LEASE,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        """Open the desk of a home.

        Args:
            home: The TRACEHOUND_HOME folder.
            estate: Whose vendors proposals are about; a desk that only decides needs none.
            second_place: Folder for audit checkpoints, by default `home/checkpoints`.
            clock: Source of time.
            lease: How long a silent executor counts as alive.
            grace_seconds: See `GRACE_SECONDS`.

        Raises:
            StorageError: The home cannot be written.
        """
        self.home, self._grace = home, grace_seconds
        self.estate: Estate | None = estate
        self.ledger = Ledger(home, second_place=second_place, clock=clock, lease=lease)

    @property
    def audit(self) -> Audit:
        """The audit trail."""
        return self.ledger.audit

    @property
    def kill_switch(self) -> KillSwitch:
        """The kill switch."""
        return self.ledger.kill_switch

    def propose(
        self,
        action: str,
        facts: TargetFacts,
        *,
        reason: str,
        evidence: Sequence[str],
        case_id: str,
        requester: str = COPILOT,
        parameters: Mapping[str, str] | None = None,
    ) -> Proposal:
        """Draft an action and have policy check it. The same proposal in the same case is the same row.

        Args:
            action: `isolate_host` or `release_host`.
            facts: The target as vendor inventory describes it; `seen_in` names the records that assert its id.
            reason: Why, for the person who decides.
            evidence: Evidence ids that justify it.
            case_id: The case.
            requester: `copilot`, or the analyst who asked for it by name.
            parameters: Further parameters of the vendor call; none are needed.

        Returns:
            The proposal; `status` is `awaiting_approval`, or what became of an earlier one.

        Raises:
            DeniedError: Policy refuses it; the message names the rule.
            NotSupportedError: An action that cannot be carried out yet.
            UsageError: No such action.
        """
        proposal, decision = self.consider(
            action,
            facts,
            reason=reason,
            evidence=evidence,
            case_id=case_id,
            requester=requester,
            parameters=parameters,
        )
        if proposal.status == State.DENIED.label:
            raise DeniedError(f"{action} on {facts.hostname} is refused: {decision.reason} ({decision.rule})")
        return proposal

    def consider(
        self,
        action: str,
        facts: TargetFacts,
        *,
        reason: str,
        evidence: Sequence[str],
        case_id: str,
        requester: str = COPILOT,
        parameters: Mapping[str, str] | None = None,
    ) -> tuple[Proposal, Decision]:
        """`propose` for callers that show refusals too: a refused proposal has the status `denied`."""
        require_supported(action, facts.platform)
        if self.estate is None:
            raise ConfigurationError("this desk was opened without an estate, so it can decide but not propose")
        target = Target(facts.device_id, facts.hostname)
        wanted = Action(action, facts.platform, facts.tenant, target, self.estate, parameters or {})
        draft = Draft(wanted, facts, reason, tuple(evidence), case_id, requester)
        approval, decision = self.ledger.propose(draft)
        return self.proposal(approval), decision

    def approval(self, approval_id: str) -> Approval:
        """The whole row: digest, vendor call, signatures, why.

        Raises:
            NotPendingError: There is none.
        """
        return self.ledger.get(approval_id)

    def outcome(self, approval_id: str) -> Outcome:
        """What became of an approval so far.

        Raises:
            NotPendingError: There is none.
        """
        return self.ledger.get(approval_id).outcome()

    def pending(self, case_id: str | None = None) -> list[Proposal]:
        """What waits for a person, oldest first."""
        self.ledger.expire()
        return [self.proposal(item) for item in self.ledger.find(State.PENDING, case_id=case_id)]

    async def approve(
        self,
        approval_id: str,
        approver: Approver,
        run_executor: RunExecutor,
        *,
        shown_digest: str | None = None,
        wait_seconds: float = 300.0,
    ) -> Outcome:
        """Approve and have it carried out. Of several at once one executes; the others return its recorded outcome.

        Args:
            approval_id: The proposal.
            approver: A person's key.
            run_executor: Starts the executor process, see `subprocess_executor`.
            shown_digest: The digest that the person saw, when a screen showed it.
            wait_seconds: How long to wait for an outcome that another process brings about.

        Returns:
            The outcome. Its status is `awaiting_approval` while policy wants more people.

        Raises:
            NotPendingError: It does not wait: unknown, rejected, expired, cancelled, superseded.
            DeniedError: This person may not approve it, or policy no longer allows it.
        """
        approver.within(self.home)
        decided = False
        try:
            approval = self.ledger.decide(approval_id, approver, "approve", shown_digest=shown_digest)
            decided = True
        except NotPendingError:
            approval = self.ledger.get(approval_id)
            if approval.outcome().refused or approval.state is State.PROPOSED:
                raise
        if approval.state is State.PENDING:
            return approval.outcome()
        if approval.state is State.APPROVED:
            approval = await self._execute(approval, run_executor, wait=0.0 if decided else self._grace)
        approval = await self._settled(approval, wait_seconds)
        if approval.state is State.DENIED:
            raise DeniedError(f"{approval.id} was refused at the last moment: {approval.why}")
        if approval.outcome().refused:
            raise NotPendingError(f"{approval.id} was not carried out: it is {approval.status}. {approval.why}")
        return approval.outcome()

    def reject(self, approval_id: str, approver: Approver, why: str = "") -> Proposal:
        """Say no. Saying it twice is the same.

        Raises:
            NotPendingError: It does not wait any more.
            DeniedError: This person may not decide.
        """
        try:
            approval = self.ledger.decide(approval_id, approver, "reject", why=why)
        except NotPendingError:
            approval = self.ledger.get(approval_id)
            if approval.state is not State.REJECTED:
                raise
        return self.proposal(approval)

    def undo(self, approval_id: str, approver: Approver) -> Proposal:
        """Ask to take a verified action back: a linked proposal that waits for the approval of somebody else.

        Raises:
            NotPendingError: There is nothing to undo.
            DeniedError: This person may not ask, or policy refuses.
        """
        approval, decision = self.ledger.request_undo(approval_id, approver)
        if approval.state is State.DENIED:
            raise DeniedError(f"the undo of {approval_id} is refused: {decision.reason} ({decision.rule})")
        return self.proposal(approval)

    def proposal(self, approval: Approval) -> Proposal:
        """The public record of an approval."""
        action, facts = approval.action, approval.facts
        return Proposal(
            id=approval.id,
            action=action.action,
            platform=action.platform.value,
            target={
                "device_id": action.target.device_id,
                "hostname": action.target.hostname,
                "tenant": action.tenant,
                "last_seen": facts.last_seen.isoformat().replace("+00:00", "Z") if facts.last_seen else None,
            },
            reason=approval.reason,
            evidence=approval.evidence,
            blast_radius={
                "criticality": facts.criticality,
                "asset_class": facts.asset_class,
                "domain_controller": facts.asset_class == "domain_controller",
                "logged_on_users": list(facts.logged_on_users),
                "groups": list(facts.groups),
                "tags": list(facts.tags),
                "approvals_needed": approval.quorum,
                "vendor_call": action.vendor_call,
                "digest": approval.digest,
            },
            undo=UNDO[action.action],
            status=approval.status,
            decide_by=approval.decide_by.ends.wall,
        )

    async def _execute(self, approval: Approval, run_executor: RunExecutor, *, wait: float) -> Approval:
        """Start the executor, unless within `wait` seconds the caller who decided has done so."""
        waited = 0.0
        while approval.state is State.APPROVED and waited < wait:
            await asyncio.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
            approval = self.ledger.get(approval.id)
        if approval.state is not State.APPROVED:
            return approval
        await run_executor(approval.id)
        return self.ledger.get(approval.id)

    async def _settled(self, approval: Approval, wait_seconds: float) -> Approval:
        """The row once nothing more happens by itself, or once its executor counts as dead."""
        waited = 0.0
        while approval.state not in SETTLED and waited < wait_seconds:
            lease = approval.lease
            if approval.state in RUNNING and lease and lease.until.passed(self.ledger.clock()):
                break
            await asyncio.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
            approval = self.ledger.get(approval.id)
        return approval


def subprocess_executor(environment: Mapping[str, str], *, python: str = sys.executable) -> RunExecutor:
    """A `RunExecutor` that starts `python -m tracehound.tools.response`.

    Args:
        environment: The whole environment of the process: TRACEHOUND_HOME, TRACEHOUND_ESTATE, base URLs, acting
            credentials, CA file. Nothing else is handed on.
        python: The interpreter.
    """

    async def run(approval_id: str) -> Outcome:
        command = (python, "-m", "tracehound.tools.response", approval_id)
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *command, env=dict(environment), stdin=nothing, stdout=pipe, stderr=pipe
            )
        except OSError as error:
            raise ConfigurationError(f"cannot start the executor {python}: {error}") from error
        out, noise = await process.communicate()
        return _read_line(approval_id, out.decode(errors="replace"), noise.decode(errors="replace"))

    return run


_RAISED_AGAIN: Mapping[str, Callable[[str], TracehoundError]] = {
    kind.__name__: kind for kind in (DeniedError, NotPendingError, TamperError, StorageError, ConfigurationError)
}


def _read_line(approval_id: str, out: str, noise: str) -> Outcome:
    """The outcome that the executor printed, or its error, raised here.

    Raises:
        ConfigurationError: It misses a setting or a credential.
        VendorUnavailableError: It could not read the target, so nothing was claimed.
        TamperError: Ledger or audit trail were edited.
        ApprovalError: It refused, or it died.
    """
    line = next((text for text in reversed(out.splitlines()) if text.startswith("{")), "{}")
    try:
        return Outcome.model_validate_json(line)
    except ValidationError:
        said = json.loads(line)
    last = noise.strip().splitlines()[-1:] or ["no message"]
    message = str(
        said.get("error") or f"the executor of {approval_id} stopped before it recorded an outcome: {last[0]}"
    )
    if said.get("exit") == VendorUnavailableError.exit_code:
        raise VendorUnavailableError(message, platform="", operation="read the target")
    if said.get("exit") == ConfigurationError.exit_code:
        raise ConfigurationError(message)
    raise _RAISED_AGAIN.get(str(said.get("kind")), ApprovalError)(message)
