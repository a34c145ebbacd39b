"""Carry out one approved action: read, claim, call once, read back, settle.

The executor holds the acting credentials and nothing else that matters: no model, no graph, no evidence text. An outcome
that is not known leads to reading the vendor, never to a second call.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from ...knowledge.errors import (
    DeniedError,
    NotPendingError,
    NotSupportedError,
    VendorAuthError,
    VendorError,
    VendorRateLimitError,
    VendorRefusedError,
)
from ..languages.query import Platform
from ..vendors.estate import DeviceState, Receipt, Responder
from .actions import AFTER, BEFORE
from .approval import RUNNING, Approval, Outcome, State
from .guards import Reading
from .ledger import Ledger
from .policy import Estate

POLL_SECONDS: Sequence[float] = (0.2, 0.3, 0.5, 1, 1, 2, 2, 3, *(5.0 for _ in range(20)))
"""Pauses between reads after the call; Falcon, SentinelOne and Defender contain within seconds to two minutes."""

ABSENT_AFTER = timedelta(minutes=10)
"""A call of unknown fate counts as never received when the host is untouched so long after it."""

WAIT_SECONDS = 0.1

Sleep = Callable[[float], Awaitable[None]]


class Executor:
    """Executes approvals of one ledger at the vendors it can act on."""

    def __init__(
        self,
        ledger: Ledger,
        responders: Mapping[Platform, Responder],
        estate: Estate,
        *,
        sleep: Sleep = asyncio.sleep,
        poll_seconds: Sequence[float] = POLL_SECONDS,
    ) -> None:
        self.ledger, self.responders = ledger, responders
        self.estate: Estate = estate
        self._sleep, self._poll_seconds = sleep, poll_seconds

    async def execute(self, approval_id: str) -> Outcome:
        """Carry out an approval, or wait for the process that already does, and return the recorded outcome.

        Raises:
            NotPendingError: Unknown, or not approved yet.
            DeniedError: It may not run now; the approval stands until its deadline.
            TamperError: Ledger or audit trail were edited.
            VendorError: The target could not be read, so nothing was claimed.
        """
        await self.reconcile()
        approval = self.ledger.get(approval_id)
        if approval.state in (State.PROPOSED, State.PENDING):
            raise NotPendingError(f"{approval_id} has not been approved: it is {approval.status}")
        if approval.state is State.APPROVED:
            approval = await self._claim_and_run(approval)
        while approval.state in RUNNING:
            await self._sleep(WAIT_SECONDS)
            approval = self.ledger.get(approval_id)
            if approval.lease and approval.lease.until.passed(self.ledger.clock()):
                await self.reconcile()
                approval = self.ledger.get(approval_id)
        return approval.outcome()

    async def reconcile(self) -> None:
        """Ask the vendors about every claimed action whose executor died or whose outcome is unknown. Calls nothing."""
        for approval in self.ledger.lost():
            try:
                device = await self._device(approval)
            except (VendorError, NotSupportedError):
                continue
            self._conclude(approval, device)

    async def _claim_and_run(self, approval: Approval) -> Approval:
        device = await self._device(approval)
        claim = self.ledger.claim(approval.id, reading=Reading(device, self.ledger.clock()), estate=self.estate)
        if claim.won:
            settled = await self._run(claim.approval)
            self.ledger.audit.checkpoint()
            return settled
        if claim.refusal and claim.approval.state is State.APPROVED:
            raise DeniedError(f"{approval.id} may not run now: {claim.refusal.reason} ({claim.refusal.rule})")
        return claim.approval

    async def _run(self, approval: Approval) -> Approval:
        """The one call, after the claim is on disk."""
        refused = State.UNDO_FAILED if approval.undo_of else State.FAILED
        try:
            receipt = await self._call(approval)
        except (VendorRefusedError, VendorAuthError, VendorRateLimitError) as error:
            return self.ledger.settle(approval, refused, why=f"the vendor refused: {error}")
        except VendorError as error:
            if not approval.undo_of:
                approval = self.ledger.settle(approval, State.UNKNOWN, why=f"the call may have been received: {error}")
            return await self._watch(approval)
        if not receipt.accepted:
            why = f"the vendor refused: {receipt.detail}"
            return self.ledger.settle(approval, refused, why=why, vendor_reference=receipt.vendor_reference)
        if not approval.undo_of:
            approval = self.ledger.settle(
                approval, State.SUBMITTED, why="accepted, not seen yet", vendor_reference=receipt.vendor_reference
            )
        return await self._watch(approval)

    async def _call(self, approval: Approval) -> Receipt:
        action = approval.action
        responder = self._responder(action.platform)
        people = ", ".join(item.approver for item in approval.signatures if item.verdict == "approve")
        comment = f"Tracehound {approval.id}, approved by {people}"
        call = responder.isolate if action.action == "isolate_host" else responder.release
        return await call(action.target.device_id, comment=comment)

    async def _watch(self, approval: Approval) -> Approval:
        """Read the host until it is where the action takes it, or the budget is spent."""
        for pause in self._poll_seconds:
            try:
                if (device := await self._device(approval)).containment == AFTER[approval.action.action]:
                    return self._seen(approval, device)
            except VendorError:
                pass  # Whatever keeps the vendor from answering, the next read may get through.
            self.ledger.renew(approval)
            await self._sleep(pause)
        why = "accepted or unclear, and its effect was not seen in time: look at the host, then decide anew"
        unclear = State.UNDO_FAILED if approval.undo_of else State.UNKNOWN
        return self.ledger.settle(approval, unclear, why=why)

    def _seen(self, approval: Approval, device: DeviceState) -> Approval:
        to = State.UNDONE if approval.undo_of else State.VERIFIED
        return self.ledger.settle(approval, to, why=f"{device.hostname} was read back as {device.containment}")

    def _conclude(self, approval: Approval, device: DeviceState) -> Approval:
        action = approval.action.action
        if device.containment == AFTER[action]:
            return self._seen(approval, device)
        if approval.undo_of:
            why = f"the executor stopped, and {device.hostname} is {device.containment}"
            return self.ledger.settle(approval, State.UNDO_FAILED, why=why)
        since = self.ledger.clock().wall - approval.lease.claimed if approval.lease else timedelta()
        if device.containment == BEFORE[action] and since >= ABSENT_AFTER:
            return self.ledger.settle(approval, State.FAILED, why="the vendor never received it: the host is untouched")
        return approval

    async def _device(self, approval: Approval) -> DeviceState:
        action = approval.action
        return await self._responder(action.platform).device(action.target.device_id)

    def _responder(self, platform: Platform) -> Responder:
        responder = self.responders.get(platform)
        if responder is None:
            raise NotSupportedError(f"acting on {platform.value} without its acting credentials (settings ..._ACTING)")
        return responder
