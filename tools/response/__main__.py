"""The executor as a process of its own: `python -m tracehound.tools.response APPROVAL_ID`.

It reads its home, its estate, base URLs and acting credentials from its environment alone, prints the outcome as one
JSON line, and exits 0 verified, 1 failed or unknown, 6 refused, or with the code of the error.

    TRACEHOUND_HOME         the folder of approvals, policy, protected list, kill switch and keys
    TRACEHOUND_ESTATE       `lab` or `live`: whose vendors the addresses below belong to
    TRACEHOUND_CHECKPOINTS  the second place of the audit trail, by default HOME/checkpoints
    TRACEHOUND_*_ACTING     credentials, see `tools.vendors.settings`
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from ...knowledge.errors import ConfigurationError, TracehoundError, UsageError
from ..vendors.attribution import attributed
from ..vendors.connect import responders
from ..vendors.settings import ActingSettings
from .approval import Outcome
from .executor import Executor
from .ledger import Ledger
from .policy import Estate


async def execute(approval_id: str, environment: Mapping[str, str]) -> Outcome:
    """Carry out one approval with what the environment names.

    Raises:
        ConfigurationError: The environment is incomplete.
        ApprovalError: It may not run.
    """
    home, estate = environment.get("TRACEHOUND_HOME"), environment.get("TRACEHOUND_ESTATE")
    if not home or estate not in ("lab", "live"):
        raise ConfigurationError("the executor needs TRACEHOUND_HOME and TRACEHOUND_ESTATE (lab or live)")
    second_place = environment.get("TRACEHOUND_CHECKPOINTS")
    ledger = Ledger(Path(home), second_place=Path(second_place) if second_place else None)
    connected = responders(ActingSettings.from_environment(environment))
    try:
        with attributed(approval=approval_id):
            return await Executor(ledger, connected, cast(Estate, estate)).execute(approval_id)
    finally:
        for responder in connected.values():
            await responder.aclose()


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run, print one JSON line, and return the exit code."""
    try:
        if len(arguments) != 1:
            raise UsageError("give exactly one approval id: python -m tracehound.tools.response APPROVAL_ID")
        outcome = asyncio.run(execute(arguments[0], environment))
    except TracehoundError as error:
        line = {"error": str(error), "kind": type(error).__name__, "exit": error.exit_code}
        sys.stdout.write(json.dumps(line) + "\n")
        return error.exit_code
    sys.stdout.write(outcome.model_dump_json() + "\n")
    if outcome.refused:
        return 6
    return 0 if outcome.status in ("verified", "undone") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
