"""The way of a proposal: asked, approved, executed once, read back, undone."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from tracehound import Approver
from tracehound.knowledge.errors import (
    ConfigurationError,
    DeniedError,
    NotPendingError,
    NotSupportedError,
    TamperError,
    UsageError,
    VendorRefusedError,
    VendorUnavailableError,
)
from tracehound.tools.languages.query import Platform
from tracehound.tools.response import State, add_approver
from tracehound.tools.response.approvers import revoke_approver

pytestmark = pytest.mark.anyio


def transitions(house: Any, approval_id: str) -> list[str]:
    with closing(sqlite3.connect(house.home / "approvals.sqlite")) as db:
        bodies = [json.loads(row[0]) for row in db.execute("select body from audit order by seq")]
    return [body["to"] for body in bodies if body.get("approval") == approval_id]


async def test_approved_once_executed_once_and_read_back(house: Any) -> None:
    wanted = house.propose()
    assert [item.id for item in house.desk.pending()] == [wanted]
    outcome = await house.desk.approve(wanted, Approver.open("lead"), house.run)
    assert (outcome.status, outcome.approved_by, outcome.vendor_reference) == ("verified", ("lead",), "ref-1")
    assert house.vendor.calls == [("isolate", "d-7", f"Tracehound {wanted}, approved by lead")]
    assert house.desk.pending() == []
    assert transitions(house, wanted) == ["PROPOSED", "PENDING", "APPROVED", "EXECUTING", "SUBMITTED", "VERIFIED"]
    assert house.desk.audit.verify() == []


async def test_the_public_record_is_complete(house: Any) -> None:
    facts = house.facts(criticality="High", logged_on_users=("m.someone",), groups=("Finance",))
    record = house.desk.propose("isolate_host", facts, reason="why", evidence=["E-1"], case_id="c-1")
    shown = record.model_dump(mode="json")
    assert shown["status"] == "awaiting_approval"
    assert shown["undo"] == "release_host"
    assert shown["target"]["device_id"] == "d-7"
    assert shown["decide_by"] == "2026-03-02T13:15:00.000Z"
    assert shown["blast_radius"]["logged_on_users"] == ["m.someone"]
    assert "action_name=contain ids=[d-7]" in shown["blast_radius"]["vendor_call"]


async def test_proposing_twice_is_the_same_row_and_new_evidence_a_new_one(house: Any) -> None:
    first = house.propose()
    assert house.propose() == first
    second = house.propose(evidence=["E-0123456789ab", "E-ffffffffffff"])
    assert second != first
    assert house.desk.approval(first).state is State.SUPERSEDED
    assert house.propose(case_id="c-2") not in (first, second)


async def test_the_second_approval_returns_the_recorded_outcome(house: Any) -> None:
    wanted = house.propose()
    first = await house.desk.approve(wanted, Approver.open("lead"), house.run)
    assert await house.desk.approve(wanted, Approver.open("second"), house.run) == first
    assert len(house.vendor.calls) == 1


async def test_many_at_once_in_one_process(house: Any) -> None:
    wanted = house.propose()
    approvals = [house.desk.approve(wanted, Approver.open(name), house.run) for name in ("lead", "second") * 4]
    assert {outcome.status for outcome in await asyncio.gather(*approvals)} == {"verified"}
    assert len(house.vendor.calls) == 1


async def test_a_rejected_proposal_stays_rejected(house: Any) -> None:
    wanted = house.propose()
    assert house.desk.reject(wanted, Approver.open("second"), "it is the scanner").status == "rejected"
    assert house.desk.reject(wanted, Approver.open("lead")).status == "rejected"
    with pytest.raises(NotPendingError, match="it is the scanner"):
        await house.desk.approve(wanted, Approver.open("lead"), house.run)
    assert house.propose() == wanted
    assert house.vendor.calls == []


async def test_an_undo_waits_for_its_own_approval(house: Any) -> None:
    done = house.propose()
    await house.desk.approve(done, Approver.open("lead"), house.run)
    undo = house.desk.undo(done, Approver.open("lead"))
    assert (undo.action, undo.status) == ("release_host", "awaiting_approval")
    assert house.desk.undo(done, Approver.open("lead")).id == undo.id
    with pytest.raises(DeniedError, match="self-approval"):
        await house.desk.approve(undo.id, Approver.open("lead"), house.run)
    outcome = await house.desk.approve(undo.id, Approver.open("second"), house.run)
    assert outcome.status == "undone"
    assert [call[0] for call in house.vendor.calls] == ["isolate", "release"]
    assert house.desk.approval(done).state is State.VERIFIED
    assert transitions(house, undo.id) == ["PROPOSED", "PENDING", "APPROVED", "UNDOING", "UNDONE"]


async def test_only_a_verified_action_can_be_undone(house: Any) -> None:
    with pytest.raises(NotPendingError, match="only a verified action"):
        house.desk.undo(house.propose(), Approver.open("lead"))
    with pytest.raises(NotPendingError, match="there is no approval"):
        house.desk.undo("A-000000000000", Approver.open("lead"))


async def test_after_an_undo_the_host_can_be_isolated_again(house: Any) -> None:
    done = house.propose()
    await house.desk.approve(done, Approver.open("lead"), house.run)
    undo = house.desk.undo(done, Approver.open("lead"))
    await house.desk.approve(undo.id, Approver.open("second"), house.run)
    again = house.propose()
    assert again != done
    assert (await house.desk.approve(again, Approver.open("lead"), house.run)).status == "verified"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"asset_class": "domain_controller"}, "protected-class-domain_controller"),
        ({"asset_class": "unknown"}, "protected-class-unknown"),
        ({"tags": ("FalconGroupingTags/Tier0",)}, "protected-label"),
        ({"groups": ("Backup servers",)}, "protected-label"),
        ({"roles": ("OU=Domain Controllers,DC=corp",)}, "protected-label"),
        ({"seen_in": ()}, "target-not-in-evidence"),
        ({"tenant": ""}, "target-incomplete"),
        ({"containment": "contained"}, "target-state"),
    ],
)
async def test_policy_refuses_and_names_the_rule(house: Any, changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(DeniedError, match=rule):
        house.propose(**changes)
    with pytest.raises(DeniedError):
        house.propose(**changes)
    assert [item.state for item in house.desk.ledger.find()] == [State.DENIED]
    proposal, decision = house.desk.consider(
        "isolate_host", house.facts(**changes), reason="r", evidence=["E-0123456789ab"], case_id="c-1"
    )
    assert proposal.status == "denied"
    assert not decision.allowed
    with pytest.raises(NotPendingError):
        await house.desk.approve(proposal.id, Approver.open("lead"), house.run)


async def test_who_asked_by_name_cannot_approve(house: Any) -> None:
    wanted = house.propose(requester="Lead")
    with pytest.raises(DeniedError, match="self-approval"):
        await house.desk.approve(wanted, Approver.open("lead"), house.run)
    assert (await house.desk.approve(wanted, Approver.open("second"), house.run)).status == "verified"


async def test_one_person_with_two_keys_cannot_approve_what_they_asked_for(house: Any) -> None:
    admin = Approver.open("admin", house.home)
    add_approver(house.home, "twin", role="lead", identity="lead", scope="lab", admin=admin)
    wanted = house.propose(requester="twin")
    with pytest.raises(DeniedError, match="self-approval"):
        await house.desk.approve(wanted, Approver.open("lead"), house.run)


async def test_a_request_that_was_edited_is_neither_decided_nor_undone(house: Any) -> None:
    waits, done = house.propose(device_id="d-6"), house.propose()
    await house.desk.approve(done, Approver.open("lead"), house.run)
    for edited in (waits, done):
        request = house.desk.approval(edited).request.replace(b"PC-7", b"PC-8")
        house.sql("update approvals set request = ? where id = ?", request, edited)
    with pytest.raises(TamperError, match="was edited"):
        await house.desk.approve(waits, Approver.open("lead"), house.run)
    with pytest.raises(TamperError, match="was edited"):
        house.desk.undo(done, Approver.open("lead"))


async def test_admins_and_analysts_do_not_approve(house: Any) -> None:
    admin = Approver.open("admin", house.home)
    add_approver(house.home, "ana", role="analyst", scope="lab", admin=admin)
    wanted = house.propose()
    for name in ("admin", "ana"):
        with pytest.raises(DeniedError, match="may not approve"):
            await house.desk.approve(wanted, Approver.open(name), house.run)


@pytest.mark.parametrize("action", ["kill_process", "disable_account", "run_playbook"])
async def test_planned_actions_say_so(house: Any, action: str) -> None:
    with pytest.raises(NotSupportedError, match=f"not supported yet: the action {action}"):
        house.propose(action)


async def test_actions_and_platforms_that_do_not_exist(house: Any) -> None:
    with pytest.raises(UsageError, match="there is no action"):
        house.propose("format_disk")
    with pytest.raises(NotSupportedError, match="on sentinel"):
        house.propose(platform=Platform.SENTINEL)


async def test_two_people_where_policy_wants_two(house: Any) -> None:
    house.edit_policy('{estate: lab, criticality: "*", people: 1}', '{estate: lab, criticality: "*", people: 2}')
    wanted = house.propose()
    for _ in range(2):
        waiting = await house.desk.approve(wanted, Approver.open("lead"), house.run)
        assert waiting.status == "awaiting_approval"
    add_approver(
        house.home, "twin", role="lead", identity="lead", scope="lab", admin=Approver.open("admin", house.home)
    )
    assert (await house.desk.approve(wanted, Approver.open("twin"), house.run)).status == "awaiting_approval"
    assert house.vendor.calls == []
    assert (await house.desk.approve(wanted, Approver.open("second"), house.run)).status == "verified"


async def test_live_tenants_start_at_phase_one(house: Any) -> None:
    live = type(house.desk)(house.home, "live", clock=house.clock)
    wanted = live.propose("isolate_host", house.facts(), reason="r", evidence=["E-1"], case_id="c-1")
    assert wanted.status == "awaiting_approval"
    with pytest.raises(DeniedError, match="key of the lab"):
        await live.approve(wanted.id, Approver.open("lead"), house.run)
    add_approver(house.home, "boss", role="admin", scope="live")
    boss = Approver.open("boss", house.home)
    add_approver(house.home, "rita", role="responder", scope="live", admin=boss)
    with pytest.raises(DeniedError, match="phase 1"):
        await live.approve(wanted.id, Approver.open("rita"), house.run)


async def test_a_refusal_of_the_vendor_is_a_failure_and_unclear_is_unknown(house: Any) -> None:
    no = VendorRefusedError("no", platform="falcon", operation="contain")
    late = VendorUnavailableError("time-out", platform="falcon", operation="contain")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"accepted": False}, "failed"),
        ({"fails_with": no, "fails_before_effect": True}, "failed"),
        ({"fails_with": late}, "verified"),
        ({"fails_with": late, "fails_before_effect": True}, "unknown"),
        ({"lag": 10_000}, "unknown"),
    ]
    for number, (settings, status) in enumerate(cases):
        house.vendor = type(house.vendor)(**settings)
        wanted = house.propose(case_id=f"c-{number}")
        outcome = await house.desk.approve(wanted, Approver.open("lead"), house.run)
        assert (outcome.status, len(house.vendor.calls)) == (status, 1), settings


async def test_an_unknown_outcome_is_settled_by_reading_never_by_calling(house: Any) -> None:
    house.vendor.fails_with = VendorUnavailableError("time-out", platform="falcon", operation="contain")
    house.vendor.lag = 10_000
    wanted = house.propose()
    assert (await house.desk.approve(wanted, Approver.open("lead"), house.run)).status == "unknown"
    house.vendor.containment = "contained"
    assert (await house.executor().execute(wanted)).status == "verified"
    assert len(house.vendor.calls) == 1


async def test_an_effect_that_never_came_is_a_failure_after_ten_minutes(house: Any) -> None:
    house.vendor.fails_with = VendorUnavailableError("time-out", platform="falcon", operation="contain")
    house.vendor.fails_before_effect = True
    wanted = house.propose()
    assert (await house.desk.approve(wanted, Approver.open("lead"), house.run)).status == "unknown"
    house.clock.step(601)
    outcome = await house.executor().execute(wanted)
    assert (outcome.status, len(house.vendor.calls)) == ("failed", 1)
    house.vendor.fails_with = None
    again = house.propose()
    assert again != wanted
    assert (await house.desk.approve(again, Approver.open("lead"), house.run)).status == "verified"


async def test_a_vendor_that_cannot_be_read_leaves_the_approval_standing(house: Any) -> None:
    async def down(device_id: str) -> Any:
        raise VendorUnavailableError("connection refused", platform="falcon", operation="read")

    wanted, read = house.propose(), house.vendor.device
    house.vendor.device = down
    with pytest.raises(VendorUnavailableError):
        await house.desk.approve(wanted, Approver.open("lead"), house.run)
    assert house.desk.approval(wanted).state is State.APPROVED
    house.vendor.device = read
    house.desk._grace = 0.0
    assert (await house.desk.approve(wanted, Approver.open("second"), house.run)).status == "verified"


Attack = Callable[[Any, str], None]


def _expire(house: Any, approval_id: str) -> None:
    house.clock.step(601)


def _wall_back(house: Any, approval_id: str) -> None:
    house.clock.step(601)
    house.clock.wall = house.clock.wall.replace(hour=12, minute=59)


def _wall_forward(house: Any, approval_id: str) -> None:
    house.clock.wall = house.clock.wall.replace(hour=14)


def _restarted(house: Any, approval_id: str) -> None:
    house.clock.monotonic = 3.0


def _kill_and_lower(house: Any, approval_id: str) -> None:
    from tracehound.tools.response import Level

    house.desk.kill_switch.raise_to(Level.K2, by="ana", why="exercise")
    house.desk.kill_switch.lower_to(Level.K0, admin=Approver.open("admin"), why="over")


def _broken_switch(house: Any, approval_id: str) -> None:
    (house.home / "kill-switch.json").write_text("{")


def _other_bytes(house: Any, approval_id: str) -> None:
    request = house.desk.approval(approval_id).request.replace(b"d-7", b"d-8")
    house.sql("update approvals set request = ? where id = ?", request, approval_id)


def _other_bytes_and_digest(house: Any, approval_id: str) -> None:
    import hashlib

    request = house.desk.approval(approval_id).request.replace(b"PC-7", b"PC-8")
    digest = hashlib.sha256(request).hexdigest()
    house.vendor.hostname = "PC-8"
    house.sql("update approvals set request = ?, digest = ? where id = ?", request, digest, approval_id)


def _renamed(house: Any, approval_id: str) -> None:
    house.vendor.hostname = "PC-8"


def _other_tenant(house: Any, approval_id: str) -> None:
    house.vendor.tenant = "tenant-2"


def _older_sighting(house: Any, approval_id: str) -> None:
    house.vendor.last_seen = None


def _contained_meanwhile(house: Any, approval_id: str) -> None:
    house.vendor.containment = "contained"


def _tagged_meanwhile(house: Any, approval_id: str) -> None:
    house.vendor.raw = {"product_type_desc": "Workstation", "tags": ["SensorGroupingTags/backup"]}


def _promoted_meanwhile(house: Any, approval_id: str) -> None:
    house.vendor.raw = {"product_type_desc": "Domain Controller"}


def _listed_meanwhile(house: Any, approval_id: str) -> None:
    (house.home / "protected.yaml").write_text("version: 2\ndevices: [{platform: falcon, device_id: d-7}]\n")


def _list_gone(house: Any, approval_id: str) -> None:
    (house.home / "protected.yaml").unlink()


def _revoked(house: Any, approval_id: str) -> None:
    revoke_approver(house.home, "lead", admin=Approver.open("admin", house.home))


def _no_signature(house: Any, approval_id: str) -> None:
    house.sql("delete from signatures where approval_id = ?", approval_id)


def _phase_lowered(house: Any, approval_id: str) -> None:
    house.edit_policy("phase: 2", "phase: 1")


REFUSED: list[tuple[Attack, State, str]] = [
    (_expire, State.EXPIRED, "not_expired"),
    (_wall_back, State.EXPIRED, "not_expired"),
    (_wall_forward, State.EXPIRED, "not_expired"),
    (_restarted, State.EXPIRED, "not_expired"),
    (_kill_and_lower, State.CANCELLED, "epoch_current"),
    (_broken_switch, State.CANCELLED, "not_killed policy_allows"),
    (_other_bytes, State.SUPERSEDED, "hash_matches"),
    (_other_bytes_and_digest, State.DENIED, "signatures_hold"),
    (_renamed, State.SUPERSEDED, "target_unchanged"),
    (_other_tenant, State.SUPERSEDED, "target_unchanged"),
    (_older_sighting, State.SUPERSEDED, "target_unchanged"),
    (_contained_meanwhile, State.SUPERSEDED, "target_unchanged"),
    (_tagged_meanwhile, State.DENIED, "unprotected_now"),
    (_promoted_meanwhile, State.DENIED, "unprotected_now"),
    (_listed_meanwhile, State.DENIED, "unprotected_now signatures_hold policy_allows"),
    (_list_gone, State.DENIED, "unprotected_now signatures_hold policy_allows"),
    (_revoked, State.DENIED, "signatures_hold"),
    (_no_signature, State.DENIED, "signatures_hold"),
    (_phase_lowered, State.DENIED, "signatures_hold policy_allows"),
]


@pytest.mark.parametrize(("attack", "ends", "checks"), REFUSED, ids=[item[0].__name__ for item in REFUSED])
async def test_what_changed_after_the_approval_stops_the_claim(
    house: Any, attack: Attack, ends: State, checks: str
) -> None:
    wanted = house.propose()
    house.desk.ledger.decide(wanted, Approver.open("lead"), "approve")
    attack(house, wanted)
    outcome = await house.executor().execute(wanted)
    assert (outcome.status, house.vendor.calls) == (ends.label, [])
    with pytest.raises((DeniedError, NotPendingError)):
        await house.desk.approve(wanted, Approver.open("second"), house.run)
    assert house.desk.audit.verify() == []


@pytest.mark.parametrize(("attack", "ends", "checks"), REFUSED, ids=[item[0].__name__ for item in REFUSED])
async def test_with_its_defence_off_each_of_these_attacks_works(
    house: Any, attack: Attack, ends: State, checks: str
) -> None:
    ledger = house.desk.ledger
    wanted = house.propose()
    ledger.decide(wanted, Approver.open("lead"), "approve")
    attack(house, wanted)
    ledger.claim_checks = [check for check in ledger.claim_checks if check.__name__ not in checks.split()]
    await house.executor().execute(wanted)
    assert len(house.vendor.calls) == 1


async def test_a_row_edited_to_approved_is_no_authority(house: Any) -> None:
    wanted = house.propose()
    house.sql("update approvals set state = 'APPROVED', approved_wall = decide_wall where id = ?", wanted)
    with pytest.raises(TamperError, match="audit trail has PENDING"):
        await house.executor().execute(wanted)
    assert house.vendor.calls == []


async def test_an_executed_approval_cannot_be_opened_again(house: Any) -> None:
    wanted = house.propose()
    await house.desk.approve(wanted, Approver.open("lead"), house.run)
    house.vendor.containment = "normal"
    house.sql("update approvals set state = 'APPROVED' where id = ?", wanted)
    with pytest.raises(TamperError):
        await house.executor().execute(wanted)
    without = [check for check in house.desk.ledger.claim_checks if check.__name__ != "trail_agrees"]
    house.desk.ledger.claim_checks = without
    with pytest.raises(TamperError, match="used already"):
        await house.executor().execute(wanted)
    assert len(house.vendor.calls) == 1


async def test_a_signature_fits_one_request_only(house: Any) -> None:
    ledger, lead = house.desk.ledger, Approver.open("lead", house.home)
    from tracehound.tools.response.guards import decision_message

    first, second = house.propose(), house.propose(case_id="c-2", device_id="d-8")
    now = house.clock.wall
    signature = lead.sign(decision_message(ledger.get(first), "approve", now))
    with pytest.raises(DeniedError, match="does not fit"):
        ledger.enter_signature(second, "lead", "approve", signed_at=now, signature=signature)
    with pytest.raises(DeniedError, match="does not fit"):
        ledger.enter_signature(first, "second", "approve", signed_at=now, signature=signature)
    with pytest.raises(DeniedError, match="no registered key"):
        ledger.enter_signature(first, "mallory", "approve", signed_at=now, signature=signature)
    with pytest.raises(DeniedError, match="does not fit"):
        ledger.enter_signature(first, "lead", "reject", signed_at=now, signature=signature)
    house.clock.step(400)
    with pytest.raises(DeniedError, match="not of now"):
        ledger.enter_signature(first, "lead", "approve", signed_at=now, signature=signature)
    with pytest.raises(DeniedError, match="not the request that was shown"):
        ledger.decide(first, lead, "approve", shown_digest=ledger.get(second).digest)


async def test_a_nonce_exists_once(house: Any) -> None:
    from tracehound.knowledge.errors import StorageError

    first, second = house.propose(), house.propose(case_id="c-2", device_id="d-8")
    nonce = house.desk.approval(first).nonce
    with pytest.raises(sqlite3.IntegrityError, match="nonce"):
        house.sql("update approvals set nonce = ? where id = ?", nonce, second)
    house.sql("insert into intents values (?, ?, 'x', 'x', 'x')", nonce, first)
    with pytest.raises((TamperError, StorageError)):
        await house.desk.approve(first, Approver.open("lead"), house.run)


async def test_undecided_proposals_expire(house: Any) -> None:
    wanted = house.propose()
    house.clock.step(901)
    with pytest.raises(NotPendingError, match="expired"):
        await house.desk.approve(wanted, Approver.open("lead"), house.run)
    assert house.desk.pending() == []
    assert house.propose() != wanted


async def test_a_kill_switch_freezes_what_waits(house: Any) -> None:
    from tracehound.tools.response import Level

    done = house.propose(case_id="c-0")
    await house.desk.approve(done, Approver.open("lead"), house.run)
    wanted = house.propose(device_id="d-9")
    house.desk.kill_switch.raise_to(Level.K2, by="ana", why="vendor outage")
    with pytest.raises(DeniedError, match="kill switch"):
        await house.desk.approve(wanted, Approver.open("lead"), house.run)
    undo = house.desk.undo(done, Approver.open("lead"))
    assert (await house.desk.approve(undo.id, Approver.open("second"), house.run)).status == "undone"
    house.desk.kill_switch.lower_to(Level.K0, admin=Approver.open("admin"), why="over")
    with pytest.raises(DeniedError, match="propose it again"):
        await house.desk.approve(wanted, Approver.open("lead"), house.run)
    again = house.propose(device_id="d-9")
    assert again != wanted
    assert len(house.vendor.calls) == 2


async def test_caps_hold_an_action_back_until_they_free_themselves(house: Any) -> None:
    house.edit_policy("lab: {group_hour: 20, hour: 20", "lab: {group_hour: 2, hour: 2")
    for number in range(2):
        house.vendor.containment = "normal"
        wanted = house.propose(device_id=f"d-{number}")
        assert (await house.desk.approve(wanted, Approver.open("lead"), house.run)).status == "verified"
    house.vendor.containment = "normal"
    wanted = house.propose(device_id="d-3")
    with pytest.raises(DeniedError, match="cap-hour"):
        await house.desk.approve(wanted, Approver.open("lead"), house.run)
    assert house.desk.approval(wanted).state is State.APPROVED
    assert len(house.vendor.calls) == 2


async def test_two_actions_on_one_host_do_not_overlap(house: Any) -> None:
    first, second = house.propose(case_id="c-1"), house.propose(case_id="c-2")
    for wanted in (first, second):
        house.desk.ledger.decide(wanted, Approver.open("lead"), "approve")
    refusals: list[str] = []

    def meanwhile() -> None:
        from tracehound.tools.response.guards import Reading
        from tracehound.tools.vendors.estate import DeviceState

        device = DeviceState(Platform.FALCON, "d-7", "PC-7", "tenant-1", house.vendor.last_seen, "normal", {})
        claim = house.desk.ledger.claim(second, reading=Reading(device, house.clock()), estate="lab")
        refusals.append(claim.refusal.rule if claim.refusal else "none")

    house.vendor.on_call = meanwhile
    assert (await house.executor().execute(first)).status == "verified"
    assert refusals == ["target-busy"]


async def test_names_that_json_cannot_carry_are_refused(house: Any) -> None:
    from tracehound.knowledge.errors import UnsafeValueError

    with pytest.raises(UnsafeValueError):
        house.propose(hostname="PC-\ud800")


async def test_an_unknown_key_says_where_to_look(house: Any) -> None:
    with pytest.raises(ConfigurationError, match="approver list"):
        await house.desk.approve(house.propose(), Approver.open("nobody"), house.run)
    with pytest.raises(UsageError, match="no name"):
        Approver.open("../lead")
