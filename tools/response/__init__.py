"""Authority: actions, approvals, policy, audit trail, executor."""
