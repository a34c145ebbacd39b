"""Keys, the signed registry, the kill switch, the protected list and the policy table."""

import json
import os
import shutil
import stat
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tracehound import Approver
from tracehound.knowledge.errors import ConfigurationError, DeniedError, StorageError, TamperError, UsageError
from tracehound.tools.languages.query import Platform
from tracehound.tools.response import (
    Audit,
    KillState,
    KillSwitch,
    Level,
    Policy,
    TargetFacts,
    add_approver,
    ensure_lab_approvers,
    ensure_lab_protected,
    facts_from_event,
    facts_from_state,
    list_approvers,
    revoke_approver,
)
from tracehound.tools.response.approvers import ROLES, Entry, load_registry
from tracehound.tools.response.policy import Estate, Operation, Request, Usage
from tracehound.tools.response.protected import ProtectedDevice, load_protected, write_protected
from tracehound.tools.vendors.estate import DeviceState


@pytest.fixture
def lab_home(tmp_path: Path) -> Path:
    ensure_lab_approvers(tmp_path)
    return tmp_path


def test_the_lab_brings_its_people_once(lab_home: Path) -> None:
    before = list_approvers(lab_home)
    ensure_lab_approvers(lab_home)
    assert list_approvers(lab_home) == before
    assert {(item.name, item.role, item.scope) for item in before} == {
        ("admin", "admin", "lab"),
        ("lead", "lead", "lab"),
        ("second", "responder", "lab"),
    }
    assert Audit(lab_home).verify() == []


@pytest.mark.skipif(os.name != "posix", reason="file modes are a matter of POSIX systems")
def test_key_files_are_private(lab_home: Path) -> None:
    for key in (*(lab_home / "approvers").glob("*.key"), lab_home / "audit.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    (lab_home / "approvers" / "lead.key").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Approver.open("lead", lab_home)


def test_a_passphrase_locks_a_key(lab_home: Path) -> None:
    add_approver(lab_home, "pia", role="lead", passphrase="correct horse")
    assert b"ENCRYPTED" in (lab_home / "approvers" / "pia.key").read_bytes()
    Approver.open("pia", lab_home, "correct horse").sign(b"x")
    with pytest.raises(ConfigurationError, match="has a passphrase"):
        Approver.open("pia", lab_home)
    with pytest.raises(ConfigurationError, match="wrong passphrase"):
        Approver.open("pia", lab_home, "battery staple")
    with pytest.raises(ConfigurationError, match="has no passphrase"):
        Approver.open("lead", lab_home, "battery staple")


def test_a_key_without_a_home_is_read_where_it_is_used(lab_home: Path) -> None:
    lead = Approver.open("lead")
    with pytest.raises(ConfigurationError, match="was not opened"):
        lead.sign(b"x")
    assert len(lead.within(lab_home).sign(b"x")) == 64
    assert "lead" in repr(lead)


def test_the_first_approver_is_an_admin(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="first approver must be an admin"):
        add_approver(tmp_path, "alice")
    add_approver(tmp_path, "root", role="admin")
    with pytest.raises(DeniedError, match="only an admin"):
        add_approver(tmp_path, "alice")
    with pytest.raises(DeniedError, match="only an admin"):
        add_approver(tmp_path, "eve", role="admin")
    root = Approver.open("root", tmp_path)
    add_approver(tmp_path, "alice", role="lead", admin=root)
    alice = Approver.open("alice", tmp_path)
    with pytest.raises(DeniedError, match="active admin"):
        add_approver(tmp_path, "mallory", admin=alice)
    with pytest.raises(UsageError, match="there is an approver"):
        add_approver(tmp_path, "alice", admin=root)
    with pytest.raises(UsageError, match="no role"):
        add_approver(tmp_path, "bob", role="king", admin=root)
    assert [(item.name, item.scope) for item in list_approvers(tmp_path)] == [("root", "live"), ("alice", "live")]


def test_an_admin_of_the_lab_rules_the_lab_alone(lab_home: Path) -> None:
    add_approver(lab_home, "ben")
    admin = Approver.open("admin", lab_home)
    with pytest.raises(DeniedError, match="for live vendors"):
        add_approver(lab_home, "eve", scope="live", admin=admin)
    assert load_registry(lab_home).find("ben").scope == "lab"  # type: ignore[union-attr]
    add_approver(lab_home, "root", role="admin")
    with pytest.raises(DeniedError):
        revoke_approver(lab_home, "root", admin=admin)


def test_a_key_swapped_on_disk_is_not_the_registered_one(lab_home: Path, tmp_path_factory: Any) -> None:
    other = tmp_path_factory.mktemp("other")
    ensure_lab_approvers(other)
    shutil.copy(other / "approvers" / "admin.key", lab_home / "approvers" / "admin.key")
    with pytest.raises(DeniedError, match="not the one in the registry"):
        add_approver(lab_home, "eve", admin=Approver.open("admin", lab_home))


def test_an_edited_registry_is_refused_and_an_old_one_replaced(lab_home: Path) -> None:
    path = lab_home / "approvers" / "registry.json"
    before = path.read_text()
    revoke_approver(lab_home, "second")
    path.write_text(before)
    assert not load_registry(lab_home).find("second").active  # type: ignore[union-attr]
    newest = path.read_text()
    assert newest != before
    path.write_text(newest.replace('"role": "responder"', '"role": "lead"'))
    with pytest.raises(TamperError, match="changed outside"):
        list_approvers(lab_home)
    path.unlink()
    assert len(list_approvers(lab_home)) == 3
    with pytest.raises(UsageError, match="no active approver"):
        revoke_approver(lab_home, "second")
    with pytest.raises(UsageError, match="another admin"):
        revoke_approver(lab_home, "admin")


def test_a_registry_from_elsewhere_is_refused(lab_home: Path, tmp_path_factory: Any) -> None:
    other = tmp_path_factory.mktemp("other")
    ensure_lab_approvers(other)
    shutil.copy(other / "approvers" / "registry.json", lab_home / "approvers" / "registry.json")
    with pytest.raises(TamperError):
        list_approvers(lab_home)


def test_the_kill_switch_is_raised_by_anybody_and_lowered_by_an_admin(lab_home: Path) -> None:
    switch = KillSwitch(lab_home)
    assert switch.state() == KillState(Level.K0, 0)
    assert switch.raise_to(Level.K1, by="anybody", why="drill").level is Level.K1
    raised = switch.raise_to(Level.K3, by="anybody", why="worse")
    assert (raised.level, raised.epoch, raised.why) == (Level.K3, 2, "worse")
    with pytest.raises(UsageError, match="already"):
        switch.raise_to(Level.K2, by="anybody", why="x")
    with pytest.raises(UsageError, match="reason"):
        switch.lower_to(Level.K0, admin=Approver.open("admin"), why=" ")
    for name in ("lead", "second"):
        with pytest.raises(DeniedError, match="only an active admin"):
            switch.lower_to(Level.K0, admin=Approver.open(name), why="x")
    assert switch.lower_to(Level.K0, admin=Approver.open("admin"), why="over") == KillState(Level.K0, 3, "over")
    assert Audit(lab_home).verify() == []


def test_a_kill_switch_that_cannot_be_read_stops_everything(lab_home: Path) -> None:
    switch, path = KillSwitch(lab_home), lab_home / "kill-switch.json"
    path.write_text('{"level": "K2", "why": "by hand"}')
    assert switch.state().level is Level.K2
    for text in ("{", "[]", '{"level": "K9"}', '{"level": null}', "\x00"):
        path.write_text(text)
        assert switch.state().level is Level.K3, text
    path.unlink()
    assert switch.state().level is Level.K0
    switch.raise_to(Level.K2, by="anybody", why="drill")
    path.write_text('{"level": "K0"}')
    assert switch.state().level is Level.K2, "a file lowered by hand lowers nothing"
    path.unlink()
    assert switch.state().level is Level.K3
    with pytest.raises(UsageError):
        Level.read("K7")
    assert Level.read("2") is Level.read("k2") is Level.K2


def test_a_raised_switch_holds_though_the_trail_cannot_be_written(
    lab_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tracehound.tools.response import store

    switch = KillSwitch(lab_home)

    def locked(path: Path) -> Any:
        raise StorageError("locked")

    monkeypatch.setattr(store, "transaction", locked)
    with pytest.raises(StorageError):
        switch.raise_to(Level.K2, by="anybody", why="now")
    monkeypatch.undo()
    assert switch.state().level is Level.K2


FACTS = TargetFacts(
    Platform.FALCON,
    "tenant-1",
    "d-7",
    "PC-7",
    "workstation",
    ("FalconGroupingTags/EMEA",),
    ("Sales",),
    seen_in=("E-1",),
)


def test_the_protected_list_grows_by_versions(lab_home: Path) -> None:
    assert load_protected(lab_home).version == 1
    device = ProtectedDevice(platform=Platform.FALCON, device_id="d-7", why="payroll")
    listed = write_protected(lab_home, [device], by="lead")
    assert (listed.version, listed.names(FACTS)) == (2, "payroll")
    assert write_protected(lab_home, [device], by="lead") == listed
    backup = TargetFacts(Platform.SENTINELONE, "t", "7", "SRV-7", "server", ("backup",))
    ensure_lab_protected(lab_home, [FACTS, backup])
    assert [item.device_id for item in load_protected(lab_home).content.devices] == ["d-7", "7"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("hostnames: [pc-7]", "hostname pc-7"),
        ("tags: [falcongroupingtags/emea]", "tag falcongroupingtags/emea"),
        ("groups: [SALES]", "group sales"),
    ],
)
def test_the_list_names_hosts_tags_and_groups(lab_home: Path, line: str, word: str) -> None:
    (lab_home / "protected.yaml").write_text(f"version: 4\n{line}\n")
    assert Policy.load(lab_home).protects(FACTS, load_protected(lab_home)) == (
        "protected-list",
        f"PC-7 is on the protected list (version 4): {word}",
    )


@pytest.mark.parametrize("text", ["", "devices: [1]", "version: 1\nunknown: []", "{", "version: 1\n\tx: 1", "[]"])
def test_a_list_that_cannot_be_read_protects_everything(lab_home: Path, text: str) -> None:
    (lab_home / "protected.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match="every host is protected"):
        load_protected(lab_home)
    assert Policy.load(lab_home).protects(FACTS, None)


@pytest.mark.parametrize("text", ["", "version: 1", "{", "[]", "version: x"])
def test_a_policy_that_cannot_be_read_allows_nothing(house: Any, text: str) -> None:
    (house.home / "policy.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match="nothing is allowed"):
        house.propose()


@pytest.mark.parametrize(
    ("label", "protected"),
    [
        ("SensorGroupingTags/Tier0", True),
        ("tier-0", True),
        ("BACKUP", True),
        ("Backup_Servers", True),
        ("Domain-Controllers", True),
        ("jump_host", True),
        ("JumpHost", True),
        ("VIP", True),
        ("do-not-isolate", True),
        ("unprotected", False),
        ("Tier1", False),
        ("vipassana", False),
        ("Servers", False),
        ("", False),
    ],
)
def test_labels_that_protect(label: str, protected: bool, tmp_path: Path) -> None:
    facts = TargetFacts(Platform.FALCON, "t", "d", "h", "server", (label,))
    assert bool(Policy.load(tmp_path).protects_by_nature(facts)) is protected


def _entry(role: Any, **changes: Any) -> Entry:
    return Entry(
        **({"name": "x", "role": role, "identity": "x", "scope": "live", "public_key": "", "added": ""} | changes)
    )


def test_the_golden_matrix(lab_home: Path) -> None:
    """Who may do what, by role, phase and kill level: the whole table, against the rules written out again here."""
    policy, protected = Policy.load(lab_home), load_protected(lab_home)
    operations: tuple[Operation, ...] = ("propose", "withdraw", "approve", "reject", "undo")
    seen: Counter[bool] = Counter()
    estates: tuple[Estate, ...] = ("lab", "live")
    for role, operation, estate, level in product(ROLES, operations, estates, Level):
        request = Request(
            operation, "isolate_host", estate, FACTS, "copilot", _entry(role), KillState(level, 0), protected
        )  # fmt: skip
        expected = (
            role in ("responder", "lead")
            and level < (Level.K2 if operation == "approve" else Level.K3)
            and (estate == "lab" or operation in ("propose", "withdraw", "reject"))
        )
        decision = policy.decide(request)
        assert decision.allowed is expected, (role, operation, estate, level, decision)
        seen[expected] += 1
    assert min(seen.values()) > 20


def test_what_each_rule_refuses(lab_home: Path) -> None:
    policy, protected, off = Policy.load(lab_home), load_protected(lab_home), KillState(Level.K0, 0)
    base = {"operation": "approve", "action": "isolate_host", "estate": "lab", "facts": FACTS, "requester": "copilot"}
    base |= {"by": _entry("lead"), "kill": off, "protected": protected}
    assert policy.decide(Request(**base)).allowed  # type: ignore[arg-type]
    for changes, rule in (
        ({"by": _entry("lead", revoked="now")}, "revoked"),
        ({"by": _entry("lead", scope="lab"), "estate": "live"}, "scope"),
        ({"by": None}, "role"),
        ({"requester": "X"}, "self-approval"),
        ({"action": "format_disk"}, "phase"),
        ({"protected": None}, "protected-list-unreadable"),
        ({"usage": Usage(decisions_hour=120)}, "cap-decisions"),
        ({"operation": "execute", "by": None, "usage": Usage(hour=20)}, "cap-hour"),
        ({"operation": "execute", "by": None, "usage": Usage(day=100)}, "cap-day"),
        ({"operation": "execute", "by": None, "usage": Usage(group_hour=20)}, "cap-group-hour"),
        ({"operation": "execute", "by": None, "kill": KillState(Level.K2, 0)}, "kill-switch"),
    ):
        assert policy.decide(Request(**(base | changes))).rule == rule  # type: ignore[arg-type]
    undo = base | {"operation": "execute", "by": None, "is_undo": True, "usage": Usage(hour=20)}
    assert policy.decide(Request(**(undo | {"kill": KillState(Level.K2, 0), "protected": None}))).allowed  # type: ignore[arg-type]
    assert policy.quorum("live", "Critical") == 2
    assert policy.quorum("live", None) == policy.quorum("lab", "Critical") == 1


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"product_type_desc": "Domain Controller"}, "domain_controller"),
        ({"product_type_desc": "Server", "ou": ["Domain Controllers"]}, "domain_controller"),
        ({"activeDirectory": {"computerDistinguishedName": "CN=X,OU=Domain Controllers"}}, "domain_controller"),
        ({"machineType": "laptop"}, "workstation"),
        ({"osPlatform": "WindowsServer2022", "machineTags": ["emea"]}, "server"),
        ({}, "unknown"),
    ],
)  # fmt: skip
def test_the_class_of_a_vendor_record(raw: dict[str, Any], expected: str) -> None:
    state = DeviceState(Platform.FALCON, "d", "h", "t", None, "normal", raw)
    assert facts_from_state(state, seen_in=["E-1"]).asset_class == expected


def test_facts_of_a_normalised_event_survive_the_ledger() -> None:
    event = {
        "device.uid": "d-1",
        "device.hostname": "PC-1",
        "device.type": "Workstation",
        "device.tags": ["a/b", "c"],
        "device.groups": '["g1"]',
        "device.criticality": "High",
        "device.last_user": "ana",
        "device.containment": "normal",
        "device.last_seen": "2026-03-02T12:00:00+00:00",
    }
    facts = facts_from_event(event, platform=Platform.FALCON, tenant="t", seen_in=["E-1"])
    assert (facts.asset_class, facts.tags, facts.groups, facts.containment) == (
        "workstation",
        ("a/b", "c"),
        ("g1",),
        "normal",
    )
    assert TargetFacts.from_json(facts.to_json()) == facts
    assert json.loads(facts.to_json())["platform"] == "falcon"
