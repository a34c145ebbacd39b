"""What can be done to the world: actions, their canonical bytes and how each is undone."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ...knowledge.errors import NotSupportedError, UsageError
from ..languages.query import Platform
from .audit import canonical

PLANNED = frozenset(
    {
        "kill_process",
        "quarantine_file",
        "block_indicator",
        "collect_package",
        "revoke_sessions",
        "disable_account",
        "enable_account",
        "remove_mail",
        "run_playbook",
    }
)
UNDO: Mapping[str, str] = {"isolate_host": "release_host", "release_host": "isolate_host"}
"""Each supported action and the action that takes it back."""

SUPPORTED = frozenset(UNDO)

Containment = Literal["normal", "contained", "pending", "lifting", "unknown"]
BEFORE: Mapping[str, Containment] = {"isolate_host": "normal", "release_host": "contained"}
"""The containment in which a host must be found for the action to make sense."""

AFTER: Mapping[str, Containment] = {"isolate_host": "contained", "release_host": "normal"}
"""The containment that proves the action took effect."""

_CALLS: Mapping[tuple[str, Platform], str] = {
    (
        "isolate_host",
        Platform.FALCON,
    ): "POST /devices/entities/devices-actions/v2?action_name=contain ids=[{device_id}]",
    ("release_host", Platform.FALCON): (
        "POST /devices/entities/devices-actions/v2?action_name=lift_containment ids=[{device_id}]"
    ),
    ("isolate_host", Platform.SENTINELONE): "POST /web/api/v2.1/agents/actions/disconnect filter.ids=[{device_id}]",
    ("release_host", Platform.SENTINELONE): "POST /web/api/v2.1/agents/actions/connect filter.ids=[{device_id}]",
    ("isolate_host", Platform.DEFENDER): "POST /api/machines/{device_id}/isolate IsolationType=Full",
    ("release_host", Platform.DEFENDER): "POST /api/machines/{device_id}/unisolate",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A host, by the id that its vendor gave it."""

    device_id: str
    hostname: str


@dataclass(frozen=True)
class Action:
    """One change in the world, fully resolved: nothing in it is looked up later."""

    action: str
    platform: Platform
    tenant: str
    target: Target
    estate: Literal["lab", "live"]
    parameters: Mapping[str, str] = field(default_factory=dict)

    def canonical(self) -> bytes:
        """The RFC 8785 bytes that are shown, hashed, approved and executed.

        Raises:
            UnsafeValueError: A name that JSON cannot carry exactly.
        """
        return canonical(
            {
                "action": self.action,
                "platform": self.platform.value,
                "tenant": self.tenant,
                "target": {"device_id": self.target.device_id, "hostname": self.target.hostname},
                "estate": self.estate,
                "parameters": dict(self.parameters),
            }
        )

    @property
    def target_key(self) -> str:
        """One name for the host across cases."""
        return f"{self.platform.value}/{self.tenant}/{self.target.device_id}"

    @property
    def vendor_call(self) -> str:
        """The call that the vendor will receive, as a person should see it before deciding."""
        return _CALLS[self.action, self.platform].format(device_id=self.target.device_id)

    def undone(self) -> "Action":
        """The action that takes this one back."""
        return Action(UNDO[self.action], self.platform, self.tenant, self.target, self.estate, self.parameters)


def digest(request: bytes) -> str:
    """H: the SHA-256 of canonical bytes, in hex."""
    return hashlib.sha256(request).hexdigest()


def read_action(fields: Mapping[str, Any]) -> Action:
    """The action of parsed canonical bytes."""
    target = Target(fields["target"]["device_id"], fields["target"]["hostname"])
    return Action(
        fields["action"],
        Platform(fields["platform"]),
        fields["tenant"],
        target,
        fields["estate"],
        fields["parameters"],
    )


def require_supported(action: str, platform: Platform) -> None:
    """Refuse what cannot be carried out yet.

    Raises:
        NotSupportedError: A planned action, or a platform without an agent on hosts.
        UsageError: No such action.
    """
    if action in PLANNED:
        raise NotSupportedError(f"the action {action}; isolate_host and release_host are")
    if action not in SUPPORTED:
        raise UsageError(f"there is no action {action!r}; supported are {', '.join(sorted(SUPPORTED))}")
    if (action, platform) not in _CALLS:
        raise NotSupportedError(f"{action} on {platform.value}; falcon, sentinelone and defender can do it")
