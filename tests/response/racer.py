"""A process of the races and crashes: `racer.py MODE HOME JOURNAL IDS [NAME]`. Its vendor is a file shared by all processes.

Modes: `execute` claims each id; `approve` approves each id as NAME; `hang-before` and `hang-after` stop inside the
vendor call, before or after it takes effect, until they are killed. `unlocked` drops the ledger's single-use defences.
"""

import asyncio
import json
import sqlite3
import sys
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from tracehound.tools.languages.query import Platform
from tracehound.tools.response import Approver, Desk
from tracehound.tools.response.approval import Approval, State
from tracehound.tools.response.executor import Executor
from tracehound.tools.response.guards import Reading
from tracehound.tools.response.ledger import Claim, Ledger
from tracehound.tools.response.policy import Estate
from tracehound.tools.vendors.estate import DeviceState, Receipt


class FileVendor:
    """One row per call; a host is contained when there is one for it."""

    platform = Platform.FALCON

    def __init__(self, path: Path, hangs: str = "") -> None:
        self.path, self.hangs = path, hangs

    async def device(self, device_id: str) -> DeviceState:
        with closing(sqlite3.connect(self.path, timeout=20)) as db:
            called = db.execute("select 1 from calls where device = ?", (device_id,)).fetchone()
        now: Any = "contained" if called else "normal"
        return DeviceState(
            Platform.FALCON, device_id, f"PC-{device_id}", "tenant-1", None, now, {"product_type_desc": "Workstation"}
        )

    async def isolate(self, device_id: str, *, comment: str) -> Receipt:
        if self.hangs == "hang-before":
            self._hang()
        with closing(sqlite3.connect(self.path, timeout=20)) as db:
            db.execute("insert into calls values (?)", (device_id,))
            db.commit()
        if self.hangs == "hang-after":
            self._hang()
        return Receipt(True, None, "queued")

    async def release(self, device_id: str, *, comment: str) -> Receipt:
        raise AssertionError(device_id)

    async def aclose(self) -> None:
        pass

    def _hang(self) -> None:
        self.path.with_suffix(".hangs").touch()
        time.sleep(60)


class UnlockedLedger(Ledger):
    """Without compare-and-swap: state is read, and some time later written."""

    def claim(self, approval_id: str, *, reading: Reading, estate: Estate) -> Claim:
        approval: Approval = self.get(approval_id)
        if approval.state is not State.APPROVED:
            return Claim(approval, won=False)
        time.sleep(0.05)
        with closing(sqlite3.connect(self.path, timeout=20)) as db:
            db.execute("update approvals set state = 'EXECUTING' where id = ?", (approval_id,))
            db.commit()
        return Claim(approval, won=True)


async def main(mode: str, home: Path, journal: Path, ids: list[str]) -> list[str]:
    vendor = FileVendor(journal, mode)
    kind = UnlockedLedger if mode == "unlocked" else Ledger
    ledger = kind(home, lease=timedelta(seconds=1) if mode.startswith("hang") else timedelta(seconds=60))
    executor = Executor(ledger, {Platform.FALCON: vendor}, "lab", poll_seconds=(0.05,) * 20)
    outcomes = []
    for approval_id in ids:
        if mode == "approve":
            outcome = await Desk(home).approve(approval_id, Approver.open("lead", home), executor.execute)
        else:
            outcome = await executor.execute(approval_id)
        outcomes.append(outcome.status)
    return outcomes


def line_up(journal: Path, name: str) -> None:
    """Wait until every racer has loaded."""
    journal.with_suffix(f".ready-{name}").touch()
    while not journal.with_suffix(".start").exists():
        time.sleep(0.005)


if __name__ == "__main__":
    line_up(Path(sys.argv[3]), sys.argv[5])
    found = asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4].split(",")))
    print(json.dumps(found))
