"""A Hypothesis state machine over the real ledger, and planted bugs that it must find.

The judge sits inside the vendor: at the instant of a call it compares what it knows from the outside with what must hold
(invariants A1 to A18). Counts of what was reached keep the run from proving nothing.
"""

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tracehound import Approver
from tracehound.knowledge.errors import (
    ApprovalError,
    TamperError,
    UsageError,
    VendorRefusedError,
    VendorUnavailableError,
)
from tracehound.tools.languages.query import Platform
from tracehound.tools.response import (
    Desk,
    Level,
    State,
    TargetFacts,
    add_approver,
    ensure_lab_approvers,
    killswitch,
    policy,
    revoke_approver,
    store,
)
from tracehound.tools.response.approval import SETTLED, TERMINAL, Approval
from tracehound.tools.response.clock import Deadline, Moment
from tracehound.tools.response.executor import Executor
from tracehound.tools.response.guards import CLAIM_CHECKS
from tracehound.tools.response.killswitch import KillState, KillSwitch
from tracehound.tools.response.ledger import Ledger
from tracehound.tools.response.policy import Caps, Policy
from tracehound.tools.vendors.estate import DeviceState, Receipt

IDENTITY = {"lead": "lead", "twin": "lead", "second": "second", "rita": "rita"}
PEOPLE = st.sampled_from(sorted(IDENTITY))
TEAM = st.lists(PEOPLE, min_size=2, max_size=3)
EVERYBODY = st.permutations(sorted(IDENTITY))
HOSTS = {"d-1": None, "d-2": None, "d-3": "critical"}
CAP_AN_HOUR = 3
HOST = st.sampled_from(sorted(HOSTS))
MODE = st.sampled_from(
    ("ok", "ok", "ok", "refused", "lost-before", "lost-after", "killed-before", "killed-after", "slow")
)
CHANCES = "none none none none own unseen under_kill late wall_back wall_forward kill drill protect rename edit revoke"
CHANCE = st.runner().flatmap(lambda world: st.sampled_from(world.chances))
"""What happens around approval and execution, see `World.deal` and `World.happen`."""
REACHED: Counter[str] = Counter()


class KilledError(BaseException):
    """The process is gone."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("template") / "home"
    ensure_lab_approvers(home)
    admin = Approver.open("admin", home)
    add_approver(home, "twin", role="lead", identity="lead", admin=admin)
    add_approver(home, "rita", role="responder", admin=admin)
    text = (files("tracehound.tools.response") / "policy.yaml").read_text(encoding="utf-8")
    text = text.replace("quorum:\n", "quorum:\n  - {estate: lab, criticality: critical, people: 2}\n")
    text = text.replace("lab: {group_hour: 20, hour: 20", f"lab: {{group_hour: 20, hour: {CAP_AN_HOUR}")
    (home / "policy.yaml").write_text(text.replace("decisions_hour: 120", "decisions_hour: 1000"))
    return home


@pytest.fixture(autouse=True)
def no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here cuts the power, so nothing waits for the disk."""
    connect = store._connect

    def fast(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("pragma synchronous = off")
        return connection

    monkeypatch.setattr(store, "_connect", fast)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@dataclass
class Known:
    """What the judge knows about an approval, from the outside."""

    device: str
    digest: str
    requester: str
    epoch: int
    seen: bool
    undo: bool
    quorum: int
    approved: dict[str, Moment]


class World(RuleBasedStateMachine):
    template: ClassVar[Path]
    chances: ClassVar[Sequence[str]] = CHANCES.split()
    ledger_type: ClassVar[type[Ledger]] = Ledger
    executor_type: ClassVar[type[Executor]] = Executor

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.home = self.folder / "home"
        shutil.copytree(self.template, self.home)
        self.now = Moment(datetime(2030, 1, 1, tzinfo=UTC), 1000.0)
        self.desk = Desk(self.home, "lab", clock=lambda: self.now)
        self.desk.ledger = self.ledger_type(self.home, clock=lambda: self.now)
        self.known: dict[str, Known] = {}
        self.calls: list[str] = []
        self.effects: list[tuple[datetime, str]] = []
        self.ended: dict[str, State] = {}
        self.containment: dict[str, Any] = dict.fromkeys(HOSTS, "normal")
        self.names = {device: f"PC-{device}" for device in HOSTS}
        self.protected: set[str] = set()
        self.revoked: set[str] = set()
        self.level, self.epoch, self.mode = 0, 0, "ok"
        self.cases = 0
        # While one connection stays open, closing the others does not fold the log back into the file each time.
        self.kept_open = sqlite3.connect(self.home / store.FILE_NAME)
        self.kept_open.execute("select count(*) from audit").fetchone()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            try:
                assert self.desk.audit.verify() == []
            finally:
                self.kept_open.close()
                shutil.rmtree(self.folder)

    # The vendor, with the judge inside

    platform = Platform.FALCON

    async def device(self, device_id: str) -> DeviceState:
        now = self.containment[device_id]
        if now in ("pending", "lifting") and self.mode != "slow":
            self.containment[device_id] = {"pending": "contained", "lifting": "normal"}[now]
        raw = {"product_type_desc": "Workstation"}
        return DeviceState(Platform.FALCON, device_id, self.names[device_id], "t", None, now, raw)

    async def isolate(self, device_id: str, *, comment: str) -> Receipt:
        return self.act(device_id, comment, "pending")

    async def release(self, device_id: str, *, comment: str) -> Receipt:
        return self.act(device_id, comment, "lifting")

    async def aclose(self) -> None:
        pass

    def act(self, device_id: str, comment: str, becomes: str) -> Receipt:
        approval_id = comment.split()[1].rstrip(",")
        self.judge(approval_id, device_id)
        self.calls.append(approval_id)
        REACHED["calls"] += 1
        if self.mode == "refused":
            raise VendorRefusedError("no", platform="falcon", operation="contain")
        if self.mode == "killed-before":
            raise KilledError
        if self.mode == "lost-before":
            raise VendorUnavailableError("time-out", platform="falcon", operation="contain")
        self.containment[device_id] = becomes
        if not self.known[approval_id].undo:
            self.effects.append((self.now.wall, device_id))
        if self.mode == "killed-after":
            raise KilledError
        if self.mode == "lost-after":
            raise VendorUnavailableError("time-out", platform="falcon", operation="contain")
        return Receipt(True, "r", "ok")

    def judge(self, approval_id: str, device_id: str) -> None:
        known, row = self.known[approval_id], self.desk.ledger.get(approval_id)
        assert approval_id not in self.calls, "A1: one call per approval"
        assert device_id == known.device, "A2: the approved target"
        assert row.digest == known.digest, "A2: the approved request"
        people = {IDENTITY[name] for name in known.approved if name not in self.revoked}
        assert len(people) >= known.quorum, "A4, A16: enough distinct people who still may"
        assert IDENTITY.get(known.requester) not in people, "A3: nobody approves what they asked for"
        since = max(known.approved.values(), key=lambda moment: moment.monotonic)
        assert self.now.monotonic - since.monotonic < 600, "A5: in time on the monotonic clock"
        assert self.now.wall - since.wall < timedelta(minutes=10), "A5: in time on the wall clock"
        assert self.level < (3 if known.undo else 2), "A6: not killed"
        assert known.epoch == self.epoch, "A7: not of an earlier epoch"
        assert known.undo or device_id not in self.protected, "A8: not protected"
        assert known.seen, "A9: seen in evidence"
        hour_ago = self.now.wall - timedelta(hours=1)
        if not known.undo:
            assert sum(1 for at, _ in self.effects if at > hour_ago) < CAP_AN_HOUR, "A10: within the cap"
        assert self.names[device_id] == f"PC-{device_id}", "G3: the same host as approved"
        assert row.state in (State.EXECUTING, State.UNDOING), "A12: the claim is on disk before the call"
        assert self.audited(approval_id)[-1] == row.state.value, "A12: and so is its audit row"

    def audited(self, approval_id: str) -> list[str]:
        with closing(sqlite3.connect(self.home / store.FILE_NAME)) as db:
            rows = db.execute(
                "select body from audit where json_extract(body, '$.approval') = ? order by seq", (approval_id,)
            )
            return [json.loads(row[0])["to"] for row in rows]

    # What may happen

    @rule(device=HOST, requester=st.sampled_from(("copilot", "lead")), seen=st.booleans())
    def ask(self, device: str, requester: str, seen: bool) -> None:
        self.propose(device, requester, seen)

    def propose(self, device: str, requester: str, seen: bool) -> str:
        self.cases += 1
        facts = TargetFacts(
            Platform.FALCON, "t", device, f"PC-{device}", "workstation",
            criticality=HOSTS[device], seen_in=("E-1",) if seen else (),
        )  # fmt: skip
        proposal, _ = self.desk.consider(
            "isolate_host", facts, reason="r", evidence=["E-1"], case_id=f"c-{self.cases}", requester=requester
        )
        row = self.desk.approval(proposal.id)
        quorum = 2 if HOSTS[device] else 1
        self.known[row.id] = Known(device, row.digest, requester, self.epoch, seen, False, quorum, {})
        return row.id

    @precondition(lambda self: self.known)
    @rule(data=st.data(), name=PEOPLE)
    def approve(self, data: st.DataObject, name: str) -> None:
        self.sign(self.pick(data, State.PENDING), name)

    def sign(self, approval_id: str, name: str) -> None:
        with suppress(ApprovalError, TamperError):
            self.desk.ledger.decide(approval_id, Approver.open(name), "approve")
            self.known[approval_id].approved.setdefault(name, self.now)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), name=PEOPLE)
    def reject(self, data: st.DataObject, name: str) -> None:
        with suppress(ApprovalError, TamperError):
            self.desk.reject(self.pick(data, State.PENDING), Approver.open(name))

    @precondition(lambda self: any(known.approved for known in self.known.values()))
    @rule(data=st.data(), mode=MODE)
    def execute(self, data: st.DataObject, mode: str) -> None:
        self.mode = mode
        self.run(self.executor().execute(self.pick(data, State.APPROVED)))
        self.mode = "ok"

    @rule(device=HOST, names=TEAM, chance=CHANCE, mode=MODE, pause=st.sampled_from((70, 1200, 3601)))
    def deal(self, device: str, names: list[str], chance: str, mode: str, pause: int) -> None:
        """The usual way of a proposal, with something that happens between approval and execution."""
        self.containment[device] = "normal"
        self.step(pause)
        if chance == "under_kill":
            self.kill(Level.K2)
        approval_id = self.propose(
            device, requester=names[0] if chance == "own" else "copilot", seen=chance != "unseen"
        )
        self.carry_out(approval_id, names, chance, mode)

    @rule(device=HOST, names=TEAM, chance=CHANCE, mode=MODE)
    def deal_at_once(self, device: str, names: list[str], chance: str, mode: str) -> None:
        """The same again: most steps should lead somewhere."""
        self.deal(device, names, chance, mode, pause=70)

    @rule(device=HOST, name=PEOPLE, names=EVERYBODY, mode=MODE, data=st.data())
    def deal_and_take_back(self, device: str, name: str, names: list[str], mode: str, data: st.DataObject) -> None:
        self.deal(device, names, "none", mode, pause=3601)
        if self.desk.ledger.find(State.VERIFIED):
            self.take_back(data, name, names, "none", mode)

    @precondition(lambda self: State.VERIFIED in self.ended.values())
    @rule(
        data=st.data(),
        name=PEOPLE,
        names=EVERYBODY,
        chance=st.sampled_from(("none", "none", "kill", "edit")),
        mode=MODE,
    )
    def take_back(self, data: st.DataObject, name: str, names: list[str], chance: str, mode: str) -> None:
        original = self.pick(data, State.VERIFIED)
        device = self.known[original].device
        self.heal()
        with suppress(ApprovalError, TamperError):
            row = self.desk.approval(self.desk.undo(original, Approver.open(name)).id)
            quorum = 2 if HOSTS[device] else 1
            self.known.setdefault(row.id, Known(device, row.digest, IDENTITY[name], self.epoch, True, True, quorum, {}))
            self.containment[device] = "contained"
            self.carry_out(row.id, names, chance, mode)

    def carry_out(self, approval_id: str, names: list[str], chance: str, mode: str) -> None:
        for name in names:
            self.sign(approval_id, name)
        self.happen(chance, approval_id, names[0])
        self.mode = mode
        self.run(self.executor().execute(approval_id))
        self.mode = "ok"
        self.heal()

    @precondition(lambda self: self.calls)
    @rule(silence=st.sampled_from((1, 61, 700)))
    def reconcile(self, silence: int) -> None:
        self.step(silence)
        before = len(self.calls)
        self.run(self.executor().reconcile())
        assert len(self.calls) == before, "A14: reconciling calls nothing"

    @precondition(lambda self: self.known)
    @rule(data=st.data(), chance=CHANCE, name=PEOPLE)
    def disturb(self, data: st.DataObject, chance: str, name: str) -> None:
        self.happen(chance, self.pick(data, State.APPROVED), name)

    @rule()
    def heal(self) -> None:
        self.names = {device: f"PC-{device}" for device in HOSTS}
        self.protected.clear()
        (self.home / "protected.yaml").write_text("version: 1")
        self.revive()

    def happen(self, chance: str, approval_id: str, name: str) -> None:
        device = self.known[approval_id].device
        match chance:
            case "late":
                self.step(601)
            case "wall_back":
                self.step(601)
                self.set_the_wall_clock(-550)
            case "wall_forward":
                self.set_the_wall_clock(650)
            case "kill":
                self.kill(Level.K2)
            case "drill":
                self.kill(Level.K3)
                self.revive()
            case "protect":
                self.protected.add(device)
                listed = [{"platform": "falcon", "device_id": item} for item in sorted(self.protected)]
                (self.home / "protected.yaml").write_text(json.dumps({"version": 9, "devices": listed}))
            case "rename":
                self.names[device] = "PC-elsewhere"
            case "edit":
                other = "d-2" if device == "d-1" else "d-1"
                request = self.desk.approval(approval_id).request.replace(device.encode(), other.encode())
                self.sql("update approvals set request = ? where id = ?", request, approval_id)
            case "revoke" if len(self.revoked) < 2:
                with suppress(UsageError):
                    revoke_approver(self.home, name)
                    self.revoked.add(name)
            case _:
                pass

    def step(self, seconds: float) -> None:
        self.now = Moment(self.now.wall + timedelta(seconds=seconds), self.now.monotonic + seconds)

    def set_the_wall_clock(self, seconds: int) -> None:
        self.now = Moment(self.now.wall + timedelta(seconds=seconds), self.now.monotonic)

    def kill(self, level: Level) -> None:
        with suppress(UsageError):
            KillSwitch(self.home, clock=lambda: self.now).raise_to(level, by="anybody", why="drill")
            self.level, self.epoch = int(level), self.epoch + 1
            REACHED["kills"] += 1

    def revive(self) -> None:
        if self.level:
            with suppress(UsageError):
                KillSwitch(self.home, clock=lambda: self.now).lower_to(
                    Level.K0, admin=Approver.open("admin"), why="over"
                )
            self.level, self.epoch = 0, self.epoch + 1

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        """An executed row is put back by hand, and the host is normal again; the forgery ends with the attempt."""
        approval_id = data.draw(st.sampled_from(self.calls))
        row = self.desk.approval(approval_id)
        device = self.known[approval_id].device
        held, self.containment[device] = self.containment[device], "normal"
        self.sql("update approvals set state = 'APPROVED' where id = ?", approval_id)
        self.run(self.executor().execute(approval_id))
        self.sql("update approvals set state = ?, why = ? where id = ?", row.state.value, row.why, approval_id)
        self.containment[device] = held

    # What always holds

    @invariant()
    def terminal_states_stay(self) -> None:
        if not hasattr(self, "desk"):
            return
        with closing(sqlite3.connect(self.home / store.FILE_NAME)) as db:
            states = {row[0]: State(row[1]) for row in db.execute("select id, state from approvals")}
            bodies = [json.loads(row[0]) for row in db.execute("select body from audit order by seq")]
        trail = {body["approval"]: body["to"] for body in bodies if body["kind"] == "transition"}
        for approval_id, state in states.items():
            before = self.ended.get(approval_id)
            assert before not in TERMINAL or state is before, "A11: terminal states are final"
            assert trail[approval_id] == state.value, "A12: the trail has every transition"
            REACHED["recoveries"] += before is State.UNKNOWN and state is not before
            if state in SETTLED and state is not before:
                self.ended[approval_id] = state
                REACHED[state.value] += 1

    def pick(self, data: st.DataObject, likely: State) -> str:
        """Mostly an approval where something can happen."""
        rows = [row.id for row in self.desk.ledger.find(likely)]
        return data.draw(st.sampled_from(rows or sorted(self.known)))

    def executor(self) -> Executor:
        async def pause(seconds: float) -> None:
            self.step(max(seconds, 5))

        return self.executor_type(
            self.desk.ledger, {Platform.FALCON: self}, "lab", sleep=pause, poll_seconds=(1, 1, 1)
        )  # fmt: skip

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Nothing here waits for anything outside, so no event loop is needed."""
        try:
            work.send(None)
        except (StopIteration, ApprovalError, TamperError, KilledError):
            pass
        finally:
            work.close()

    def sql(self, statement: str, *values: Any) -> None:
        with closing(sqlite3.connect(self.home / store.FILE_NAME)) as db:
            db.execute(statement, values)
            db.commit()


def explore(world: type[World], examples: int, steps: int) -> None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(world, settings=chosen)


FLOORS = {
    "calls": 60, "recoveries": 5, "kills": 10, "VERIFIED": 20, "UNDONE": 10, "UNDO_FAILED": 5, "UNKNOWN": 5, "FAILED": 5,
    "EXPIRED": 10, "DENIED": 10, "CANCELLED": 5, "REJECTED": 1, "SUPERSEDED": 5,
}  # fmt: skip


def test_the_ledger_keeps_its_invariants(template: Path) -> None:
    REACHED.clear()
    explore(type("Sound", (World,), {"template": template}), examples=25, steps=25)
    print("reached:", *sorted(REACHED.items()))
    for what, floor in FLOORS.items():
        assert REACHED[what] >= floor, f"{what} was reached {REACHED[what]} times only, so the run proves little"


def without(*names: str) -> type[Ledger]:
    checks = tuple(check for check in CLAIM_CHECKS if check.__name__ not in names)
    assert len(checks) == len(CLAIM_CHECKS) - len(names)
    return type("Mutant", (Ledger,), {"claim_checks": checks})


class ReusableNonce(without("trail_agrees", "nonce_unspent")):  # type: ignore[misc]
    def _take(self, db: sqlite3.Connection, approval: Approval) -> Approval:
        db.execute("delete from intents where nonce = ?", (approval.nonce,))
        taken: Approval = super()._take(db, approval)
        return taken


class CountsKeysNotPeople(without("signatures_hold")):  # type: ignore[misc]
    def _require_entitled(
        self, db: Any, approval: Any, approver: str, verdict: Any, signed_at: Any, signature: Any, now: Any
    ) -> str:
        super()._require_entitled(db, approval, approver, verdict, signed_at, signature, now)
        return approver


class RetriesAfterTimeout(Ledger):
    def settle(self, approval: Approval, to: State, **words: Any) -> Approval:
        if to is not State.UNKNOWN:
            return super().settle(approval, to, **words)
        with store.transaction(self.path) as db:
            db.execute("update approvals set state = 'APPROVED' where id = ?", (approval.id,))
        return self.get(approval.id)


class ForgetsTheAuditRow(without("trail_agrees")):  # type: ignore[misc]
    def _take(self, db: sqlite3.Connection, approval: Approval) -> Approval:
        last = db.execute("select max(seq) from audit").fetchone()[0]
        taken: Approval = super()._take(db, approval)
        db.execute("drop trigger audit_keeps_rows")
        db.execute("delete from audit where seq > ?", (last,))
        return taken


class ReopensTerminalStates(Ledger):
    def lost(self) -> list[Approval]:
        with store.transaction(self.path) as db:
            db.execute("update approvals set state = 'UNKNOWN' where state = 'FAILED'")
        return super().lost()


class RetriesBlindly(Executor):
    async def reconcile(self) -> None:
        for approval in self.ledger.lost():
            await self._run(approval)


def _wall_only(self: Deadline, now: Moment) -> bool:
    return now.wall >= self.ends.wall


def _monotonic_only(self: Deadline, now: Moment) -> bool:
    return now.monotonic >= self.ends.monotonic


def _never_killed(self: KillSwitch, **options: Any) -> KillState:
    return KillState(Level.K0, _state(self, **options).epoch)


_state = KillSwitch.state
_RULES = policy._RULES


def _rules(*names: str) -> tuple[Any, ...]:
    kept = tuple(item for item in _RULES if item.__name__ not in names)
    assert len(kept) == len(_RULES) - len(names)
    return kept


Patch = tuple[Any, str, Any]
MUTANTS: dict[str, tuple[str, dict[str, Any], list[Patch]]] = {
    "reusable nonce": ("none", {"ledger_type": ReusableNonce}, []),
    "no hash check": ("edit", {"ledger_type": without("hash_matches")}, []),
    "no expiry check": ("late", {"ledger_type": without("not_expired")}, []),
    "no epoch check": ("drill", {"ledger_type": without("epoch_current")}, []),
    "no kill check": ("under_kill", {}, [(killswitch.KillSwitch, "state", _never_killed)]),
    "revoked people accepted": ("revoke", {"ledger_type": without("signatures_hold")}, []),
    "target not read again": ("rename", {"ledger_type": without("target_unchanged")}, []),
    "no protected check": ("protect", {}, [(Policy, "protects", lambda *_: None)]),
    "no cap": ("none", {}, [(Policy, "caps", lambda *_: Caps(group_hour=99, hour=99, day=99, decisions_hour=9999))]),
    "self-approval": ("own", {}, [(policy, "_RULES", _rules("_self_approval"))]),
    "evidence not asked for": ("unseen", {}, [(policy, "_RULES", _rules("_seen"))]),
    "one person counts twice": ("none", {"ledger_type": CountsKeysNotPeople}, []),
    "time-out becomes approved": ("none", {"ledger_type": RetriesAfterTimeout}, []),
    "audit row missing": ("none", {"ledger_type": ForgetsTheAuditRow}, []),
    "terminal state reopened": ("none", {"ledger_type": ReopensTerminalStates}, []),
    "reconcile retries": ("none", {"executor_type": RetriesBlindly}, []),
    "wall clock alone": ("wall_back", {}, [(Deadline, "passed", _wall_only)]),
    "monotonic clock alone": ("wall_forward", {}, [(Deadline, "passed", _monotonic_only)]),
}
"""A bug, the chance in which it would show (beside nothing at all), and where it is planted."""


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_each_planted_bug_is_found(template: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, parts, patches = MUTANTS[name]
    for owner, attribute, value in patches:
        monkeypatch.setattr(owner, attribute, value)
    with pytest.raises(AssertionError, match=r"^(A\d|G3)"):
        explore(
            type("Mutant", (World,), {"template": template, "chances": ["none", chance], **parts}),
            examples=60,
            steps=12,
        )
