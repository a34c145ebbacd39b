"""A home with the lab's people, and a vendor whose state is a file, so that many processes can act on it."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tracehound.tools.languages.query import Platform
from tracehound.tools.response import Desk, TargetFacts, ensure_lab_approvers, ensure_lab_protected
from tracehound.tools.response.clock import Moment
from tracehound.tools.response.executor import Executor
from tracehound.tools.vendors.estate import DeviceState, Receipt

SEEN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class SteppedClock:
    """A clock that tests step, each hand by itself."""

    def __init__(self) -> None:
        self.wall, self.monotonic = datetime(2026, 3, 2, 13, 0, tzinfo=UTC), 1000.0

    def __call__(self) -> Moment:
        return Moment(self.wall, self.monotonic)

    def step(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.monotonic += seconds


@dataclass
class FakeVendor:
    """A responder in memory; containment completes after `lag` reads."""

    platform: Platform = Platform.FALCON
    containment: Any = "normal"
    hostname: str = "PC-7"
    tenant: str = "tenant-1"
    last_seen: datetime | None = SEEN
    raw: dict[str, Any] = field(default_factory=lambda: {"product_type_desc": "Workstation"})
    lag: int = 2
    fails_with: Exception | None = None
    fails_before_effect: bool = False
    accepted: bool = True
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    reads: int = 0
    reads_left: int = 0
    on_call: Callable[[], None] | None = None

    async def device(self, device_id: str) -> DeviceState:
        self.reads += 1
        if self.containment in ("pending", "lifting"):
            self.reads_left -= 1
            if self.reads_left <= 0:
                self.containment = {"pending": "contained", "lifting": "normal"}[self.containment]
        return DeviceState(
            self.platform, device_id, self.hostname, self.tenant, self.last_seen, self.containment, self.raw
        )

    async def isolate(self, device_id: str, *, comment: str) -> Receipt:
        return self._act("isolate", device_id, comment, "pending")

    async def release(self, device_id: str, *, comment: str) -> Receipt:
        return self._act("release", device_id, comment, "lifting")

    def _act(self, verb: str, device_id: str, comment: str, becomes: str) -> Receipt:
        self.calls.append((verb, device_id, comment))
        if self.on_call:
            self.on_call()
        if self.fails_with and self.fails_before_effect:
            raise self.fails_with
        if self.accepted:
            self.containment, self.reads_left = becomes, self.lag
        if self.fails_with:
            raise self.fails_with
        return Receipt(self.accepted, "ref-1", "ok" if self.accepted else "no such host")

    async def aclose(self) -> None:
        pass


@dataclass
class House:
    """A home, its desk, a clock to step and a vendor."""

    home: Path
    clock: SteppedClock
    vendor: FakeVendor
    desk: Desk

    def facts(self, **changes: Any) -> TargetFacts:
        values: dict[str, Any] = {
            "platform": Platform.FALCON,
            "tenant": "tenant-1",
            "device_id": "d-7",
            "hostname": "PC-7",
            "asset_class": "workstation",
            "last_seen": SEEN,
            "containment": "normal",
            "seen_in": ("E-0123456789ab",),
        }
        return TargetFacts(**(values | changes))

    def propose(self, action: str = "isolate_host", **changes: Any) -> str:
        given: dict[str, Any] = {
            name: changes.pop(name) for name in ("case_id", "requester", "evidence") if name in changes
        }
        arguments: dict[str, Any] = {"evidence": ["E-0123456789ab"], "case_id": "c-1", **given}
        return self.desk.propose(action, self.facts(**changes), reason="beacons to a known address", **arguments).id

    def executor(self, **options: Any) -> Executor:
        async def no_sleep(seconds: float) -> None:
            self.clock.step(seconds)
            await asyncio.sleep(0)

        settings: dict[str, Any] = {"sleep": no_sleep, **options}
        return Executor(self.desk.ledger, {self.vendor.platform: self.vendor}, "lab", **settings)

    async def run(self, approval_id: str) -> object:
        return await self.executor().execute(approval_id)

    def edit_policy(self, old: str, new: str) -> None:
        """Give the home a policy of its own."""
        text = (files("tracehound.tools.response") / "policy.yaml").read_text(encoding="utf-8")
        assert old in text
        (self.home / "policy.yaml").write_text(text.replace(old, new), encoding="utf-8")

    def sql(self, statement: str, *values: Any) -> None:
        """Edit the ledger behind its back."""
        with closing(sqlite3.connect(self.home / "approvals.sqlite")) as db:
            db.execute(statement, values)
            db.commit()


@pytest.fixture
def house(tmp_path: Path) -> House:
    home, clock = tmp_path / "home", SteppedClock()
    ensure_lab_approvers(home)
    ensure_lab_protected(home)
    return House(home, clock, FakeVendor(), Desk(home, "lab", clock=clock))
