"""Which happenings belong to the question, and which only look as if they did."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tracehound.tools.evidence.event import Event
from tracehound.tools.evidence.story import Focus, Story, assemble
from tracehound.tools.evidence.story_facts import Happening, base_name, clean_ip, is_public, named_host
from tracehound.tools.hunts import Signal
from tracehound.tools.languages.query import Platform
from tracehound.tools.languages.vocabulary import EventClass
from tracehound.tools.library import Label

START = datetime(2026, 3, 2, 20, tzinfo=UTC)
FOCUS = Focus(hosts=frozenset({"PC-7"}), outbound=True, since=START - timedelta(hours=12))


class Tale:
    """Happenings in the order in which they are told, in hours after the start."""

    def __init__(self) -> None:
        self.told: list[Happening] = []
        self.note(EventClass.DEVICE, -1, "PC-7", device__ip="10.9.0.7")
        self.note(EventClass.DEVICE, -1, "NAS-1", device__ip="10.9.0.100")

    def note(self, kind: EventClass, hours: float, host: str, signal: Signal | None = None, **fields: Any) -> Happening:
        number = len(self.told)
        named = {name.replace("__", "."): value for name, value in fields.items()}
        event = Event(
            evidence=f"E-{number:012d}", platform=Platform.SENTINELONE, collection="events", event_class=kind,
            time=START + timedelta(hours=hours), host=host, user=named.get("user.name"), fields=named,
        )  # fmt: skip
        labels = (Label("test.hunt", "search", signal, f"Behaviour {number}", ("T1021",)),) if signal else ()
        self.told.append(Happening(number, (event,), labels))
        return self.told[-1]

    def logon(self, hours: float, source: str) -> Happening:
        return self.note(
            EventClass.AUTHENTICATION, hours, "NAS-1", "medium",
            activity="Logon", status="Success", user__name="svc-a", src_endpoint__ip=source,
        )  # fmt: skip

    def launch(self, hours: float, host: str, signal: Signal, user: str, pid: int) -> Happening:
        return self.note(
            EventClass.PROCESS, hours, host, signal,
            activity="Launch", process__name=f"p{pid}.exe", process__pid=pid, user__name=user,
        )  # fmt: skip

    def story(self) -> Story:
        return assemble(self.told, FOCUS)

    def entries(self) -> set[int]:
        return {entry.index for entry in self.story().entries}


def attack(tale: Tale) -> tuple[Happening, Happening, Happening]:
    """Code on a workstation, a logon from there with a stolen account, and what was run with it."""
    return (
        tale.launch(0, "PC-7", "strong", "ann", 11),
        tale.logon(0.5, "10.9.0.7"),
        tale.launch(0.6, "NAS-1", "medium", "svc-a", 22),
    )


def test_a_logon_from_the_host_and_what_the_account_then_did_are_one_story() -> None:
    tale = Tale()
    told = attack(tale)
    assert {item.index for item in told} <= tale.entries()


def test_an_administrators_work_is_not_behind_what_another_account_did_from_the_host() -> None:
    tale = Tale()
    work = tale.launch(-4, "PC-7", "strong", "admin", 9)
    own = tale.launch(0, "PC-7", "strong", "svc-a", 11)
    tale.logon(0.5, "10.9.0.7")
    tale.launch(0.6, "NAS-1", "strong", "svc-a", 22)
    focus = Focus(hosts=frozenset({"NAS-1"}), since=FOCUS.since)
    found = {entry.index for entry in assemble(tale.told, focus).entries}
    assert own.index in found
    assert work.index not in found


def test_any_wrong_on_the_host_is_behind_an_account_that_did_nothing_there() -> None:
    tale = Tale()
    work = tale.launch(-4, "PC-7", "strong", "ann", 9)
    tale.logon(0.5, "10.9.0.7")
    tale.launch(0.6, "NAS-1", "strong", "svc-a", 22)
    focus = Focus(hosts=frozenset({"NAS-1"}), since=FOCUS.since)
    assert work.index in {entry.index for entry in assemble(tale.told, focus).entries}


def test_an_act_belongs_to_the_latest_logon_of_its_account() -> None:
    tale = Tale()
    attack(tale)
    other = tale.logon(4, "10.9.0.200")
    backup = tale.launch(4.1, "NAS-1", "medium", "svc-a", 33)
    assert not {other.index, backup.index} & tale.entries()


def test_without_the_other_logon_the_act_would_be_told_as_the_attackers() -> None:
    tale = Tale()
    attack(tale)
    backup = tale.launch(4.1, "NAS-1", "medium", "svc-a", 33)
    assert backup.index in tale.entries()


def test_a_logon_that_recurs_is_routine_and_takes_its_acts_along() -> None:
    tale = Tale()
    for day in (1, 2, 3, 4):
        tale.logon(4 - 24 * day, "10.9.0.200")
    attack(tale)
    nightly = tale.logon(4, "10.9.0.200")
    backup = tale.launch(4.1, "NAS-1", "medium", "svc-a", 33)
    assert not {nightly.index, backup.index} & tale.entries()
    because = {item.because for item in tale.story().ruled_out if nightly in item.happenings}
    assert any("4 earlier days" in reason for reason in because)


def test_names_and_addresses_are_compared_in_one_form() -> None:
    assert base_name(r"C:\Windows\System32\Cmd.EXE") == base_name("/usr/bin/cmd.exe") == "cmd.exe"
    assert named_host("pc-7.corp.example") == named_host("\\\\PC-7") == "PC-7"
    assert named_host("10.9.0.7") == named_host("localhost") == named_host("-") == ""
    assert clean_ip("::ffff:10.9.0.7") == "10.9.0.7"
    assert clean_ip("127.0.0.1") == clean_ip("fe80::1") == clean_ip("-") == ""
    assert is_public("203.0.113.9")
    assert not is_public("10.9.0.7")
