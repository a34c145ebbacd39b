"""Deciding for an action: the approver's key, the executor's environment, the outcome."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from ..knowledge.errors import ConfigurationError
from ..tools.evidence.case import Case
from ..tools.response import Approver, Desk, KillSwitch, Level, Outcome, subprocess_executor
from .settings import Settings, check_folder

DONE = frozenset(
    {"awaiting_approval", "approved", "executing", "submitted", "verified", "undoing", "undone", "rejected"}
)
"""States with which a decision ended as the person wanted, or still goes on."""

_KEPT = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHASHSEED", "VIRTUAL_ENV")
"""What an interpreter needs of the surrounding environment to start; everything else stays outside."""

PASSPHRASE_FILE = "TRACEHOUND_APPROVER_PASSPHRASE_FILE"


def open_approver(settings: Settings, name: str) -> Approver:
    """A person's key, with its passphrase from a file or, at a terminal, from a prompt.

    Raises:
        UsageError: there is no such approver.
        ConfigurationError: the passphrase file cannot be read.
    """
    file = settings.environment.get(PASSPHRASE_FILE)
    passphrase: str | None = None
    if file:
        try:
            passphrase = Path(file).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as exc:
            raise ConfigurationError(f"{PASSPHRASE_FILE} names {file}, which cannot be read: {exc.strerror}") from exc
    return Approver.open(name, settings.home, passphrase=passphrase)


def executor_environment(home: Path, estate_kind: str, vendors: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the executor process."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, **vendors, "TRACEHOUND_HOME": str(home), "TRACEHOUND_ESTATE": estate_kind}


@asynccontextmanager
async def _given(values: Mapping[str, str]) -> AsyncIterator[Mapping[str, str]]:
    yield values


async def decide(desk: Desk, estate: Any, proposal_id: str, approver: Approver) -> Outcome:
    """Approve over an open estate; its `acting` opens the vendors for the executor.

    Raises:
        ConfigurationError: the estate has no acting side.
    """
    if estate.acting is None:
        raise ConfigurationError("this estate has no acting credentials; set the TRACEHOUND_*_ACTING variables")
    async with estate.acting() as vendors:
        run = subprocess_executor(executor_environment(desk.home, estate.kind, vendors))
        return await desk.approve(proposal_id, approver, run)


async def approve_proposal(
    settings: Settings,
    proposal_id: str,
    name: str,
    acting_of: Callable[[str], AbstractAsyncContextManager[Mapping[str, str]]],
) -> Outcome:
    """Approve from the command line: the proposal itself says whether a lab or live vendors are meant.

    Args:
        settings: Settings of this process.
        proposal_id: The proposal.
        name: The approver.
        acting_of: Opens a lab's vendors for the executor, by the lab's folder.
    """
    home = check_folder(settings.home)
    approver = open_approver(settings, name)
    desk = Desk(home)
    approval = desk.approval(proposal_id)
    kind = approval.action.estate
    vendors = (
        acting_of(_estate_name(home, approval.case_id))
        if kind == "lab"
        else _given(settings.vendor_environment(acting=True))
    )
    async with vendors as environment:
        return await desk.approve(
            proposal_id, approver, subprocess_executor(executor_environment(home, kind, environment))
        )


def _estate_name(home: Path, case_id: str) -> str:
    """The lab's folder, as the case of a proposal noted it."""
    with Case.open(home, case_id, write=False) as case:
        noted = case.traffic("estate")
    return str(noted[-1].body["name"]) if noted else ""


def decision_code(status: str) -> int:
    """Exit code of a decision."""
    return 0 if status in DONE else 6


def raise_switch(settings: Settings, level: str, by: str, why: str) -> str:
    """Raise the kill switch; anybody may, named."""
    state = KillSwitch(check_folder(settings.home)).raise_to(Level.read(level), by=by, why=why)
    return f"{state.level.name} is in force (epoch {state.epoch})"


def lower_switch(settings: Settings, level: str, by: str, why: str) -> str:
    """Lower the kill switch; only an admin, with a reason."""
    admin = open_approver(settings, by)
    state = KillSwitch(check_folder(settings.home)).lower_to(Level.read(level), admin=admin, why=why)
    return f"{state.level.name} is in force (epoch {state.epoch})"
