"""Authority: actions, approvals, policy, audit trail, executor.

Read it in this order: `actions`, `approval` (states), `policy`, `ledger`, `guards` (the claim), `executor`, `desk`.
"""

from .approval import Approval, Outcome, State
from .approvers import Approver, add_approver, list_approvers, revoke_approver
from .audit import Audit
from .desk import Desk, RunExecutor, subprocess_executor
from .killswitch import KillState, KillSwitch, Level
from .lab import ensure_lab_approvers, ensure_lab_protected
from .policy import Decision, Policy
from .targets import TargetFacts, facts_from_event, facts_from_state

__all__ = [
    "Approval",
    "Approver",
    "Audit",
    "Decision",
    "Desk",
    "KillState",
    "KillSwitch",
    "Level",
    "Outcome",
    "Policy",
    "RunExecutor",
    "State",
    "TargetFacts",
    "add_approver",
    "ensure_lab_approvers",
    "ensure_lab_protected",
    "facts_from_event",
    "facts_from_state",
    "list_approvers",
    "revoke_approver",
    "subprocess_executor",
]
