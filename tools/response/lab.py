"""What a lab brings so that approvals work out of the box: people with keys, and a protected list."""

from collections.abc import Iterable
from pathlib import Path

from ...knowledge.errors import UsageError
from .approvers import Approver, Role, add_approver, load_registry
from .audit import Audit
from .policy import Policy
from .protected import FILE_NAME, ProtectedDevice, write_protected
from .targets import TargetFacts

PEOPLE: tuple[tuple[str, Role], ...] = (("admin", "admin"), ("lead", "lead"), ("second", "responder"))


def ensure_lab_approvers(home: Path, *, audit: Audit | None = None) -> None:
    """Make the lab's people, once: `admin` who signs, `lead` and `second` who decide. Their keys decide about labs only.

    Also writes a protected list without entries when there is none; what protects itself by class or label needs none.

    Raises:
        StorageError: The home cannot be written.
    """
    trail = audit or Audit(home)
    for name, role in PEOPLE:
        if load_registry(home).find(name):
            continue
        admin = None if role == "admin" else Approver.open("admin", home)
        try:
            add_approver(home, name, role=role, scope="lab", admin=admin, audit=trail)
        except UsageError:
            if not load_registry(home).find(name):  # unless another process made it at the same moment
                raise
    ensure_lab_protected(home, audit=trail)


def ensure_lab_protected(home: Path, hosts: Iterable[TargetFacts] = (), *, audit: Audit | None = None) -> None:
    """Write the protected list: the hosts whose class or labels protect them, by exact id. Without hosts, an empty list.

    Raises:
        StorageError: The home cannot be written.
    """
    policy = Policy.load(home)
    found = []
    for host in hosts:
        protection = policy.protects_by_nature(host)
        if protection and host.asset_class != "unknown":
            device = ProtectedDevice(
                platform=host.platform, device_id=host.device_id, hostname=host.hostname, why=protection[1]
            )
            found.append(device)
    if found or not (home / FILE_NAME).exists():
        write_protected(home, found, by="lab", audit=audit)
