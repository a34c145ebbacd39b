"""Relations of hunts: what they ask for, what they spot, and what they take for routine."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tracehound.graphs.relating import Asked, asked_relations, first_searches, missing_devices, next_searches
from tracehound.graphs.scoping import inventory_window
from tracehound.graphs.spotting import routine_days, spotted
from tracehound.graphs.state import Scope
from tracehound.knowledge.errors import ContentError
from tracehound.tools.evidence.event import Event
from tracehound.tools.evidence.story_facts import Happening
from tracehound.tools.hunts import Hunt, read_hunts
from tracehound.tools.languages.query import Platform
from tracehound.tools.languages.search import Window, conditions
from tracehound.tools.languages.vocabulary import EventClass
from tracehound.tools.library import HuntLibrary, Label

NOW = datetime(2026, 3, 20, 8, tzinfo=UTC)
WINDOW = Window(start=NOW - timedelta(days=2), end=NOW)
HEAD = "id: x.one\ntitle: One\ndomain: endpoint\nquestions: [q]\n"


def hunt(path: Path, text: str) -> Hunt:
    file = path / "hunt.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    return read_hunts(file)[0]


def event(name: str, kind: EventClass, at: datetime, host: str | None = None, **fields: Any) -> Event:
    named = {key.replace("__", "."): value for key, value in fields.items()}
    return Event(name, Platform.SENTINEL, "t", kind, at, host, named.get("user.name"), named)


def rows(*events: Event, label: Label | None = None) -> list[Happening]:
    return [Happening(at, (item,), (label,) if label else ()) for at, item in enumerate(events)]


def values(searches: Sequence[Any]) -> list[tuple[str, tuple[object, ...]]]:
    return [(item.purpose, tuple(v for c in conditions(item.search.where) for v in c.values)) for item in searches]


SIGN_IN = """
parameters: {user: {type: user}}
searches:
  - {id: signin, class: authentication, signal: context, says: Sign-in, where: {field: session.uid, exists: true}}
spot:
  - {id: shared, search: signin, shares: [session.uid], differs: src_endpoint.ip, back: 3, says: One session moved,
     benign: {field: src_endpoint.location.desc, exists: true}, because: it is a named location}
follow:
  - id: again
    of: [shared]
    class: authentication
    after: true
    absent: true
    says: Sign-in from there
    where: {all: [{field: user.name, eq: $user.name}, {field: src_endpoint.ip, eq: $src_endpoint.ip}]}
"""


def test_a_session_that_turns_up_elsewhere_is_spotted_and_a_named_location_is_no_suspicion(tmp_path: Path) -> None:
    found = hunt(tmp_path, SIGN_IN)

    def signed_in(name: str, minutes: int, ip: str, **more: str) -> Event:
        at = NOW - timedelta(hours=9) + timedelta(minutes=minutes)
        return event(
            name, EventClass.AUTHENTICATION, at, session__uid="s", user__name="ann", src_endpoint__ip=ip, **more
        )

    events = [
        signed_in("E-1", 0, "192.0.2.1"), signed_in("E-2", 5, "203.0.113.9"),
        signed_in("E-3", 9, "192.0.2.7", src_endpoint__location__desc="Office"),
    ]  # fmt: skip
    labels = {name: found[0].signal for name, found in spotted([found], events).items()}
    assert labels == {"E-2": "medium", "E-3": "context"}


def test_the_days_before_are_read_and_a_spotted_row_is_followed(tmp_path: Path) -> None:
    found = hunt(tmp_path, SIGN_IN)
    asked = Asked(found, {})
    (before,) = first_searches([asked], WINDOW, inventory_window(NOW), {})
    assert (before.purpose, before.search.window.end) == ("x.one#shared", WINDOW.start)
    assert WINDOW.start - before.search.window.start == timedelta(days=3)
    seen = event(
        "E-2", EventClass.AUTHENTICATION, WINDOW.start - timedelta(hours=4),
        session__uid="s", user__name="ann", src_endpoint__ip="203.0.113.9",
    )  # fmt: skip
    label = Label("x.one", "shared", "medium", "One session moved", ())
    (after,) = next_searches([asked], rows(seen, label=label), WINDOW, inventory_window(NOW))
    assert after.search.window == WINDOW, "an absence is told of the whole window"
    assert values([after]) == [("x.one#again", ("ann", "203.0.113.9"))]
    bare = event("E-9", EventClass.AUTHENTICATION, seen.time or NOW, session__uid="s", user__name="ann")
    assert not next_searches([asked], rows(bare, label=label), WINDOW, inventory_window(NOW)), (
        "no search without a value"
    )


LACKS = """
parameters:
  lacking:
    type: choice
    words: {falcon: [crowdstrike, falcon], defender: [defender]}
    cues: ['(?:without|not in)\\W+{word}']
  kind: {type: choice, words: {Workstation: [laptops], Server: [servers]}}
lacks:
  - {id: none, platform: $lacking, says: record, where: {field: device.type, eq: $kind}}
"""


def device(name: str, platform: Platform, kind: str) -> Event:
    return Event(name + platform.value, platform, "hosts", EventClass.DEVICE, NOW, name, None, {"device.type": kind})


@pytest.mark.parametrize(
    ("question", "missing"),
    [
        ("laptops in defender and not in falcon", ["B"]),
        ("laptops without CrowdStrike", ["B"]),
        ("servers without falcon", ["S"]),
        ("laptops without defender", []),
        ("laptops in falcon and defender", []),
    ],
)
def test_one_inventory_lacks_what_the_others_know(tmp_path: Path, question: str, missing: list[str]) -> None:
    library = HuntLibrary({"x.one": hunt(tmp_path, LACKS)})
    (asked,) = asked_relations(Scope(window=WINDOW, hunts=("x.one",)), question, library)
    both = Happening(
        0, (device("A", Platform.DEFENDER, "Workstation"), device("A", Platform.FALCON, "Workstation")), ()
    )
    held = [both, *rows(device("B", Platform.DEFENDER, "Workstation"), device("S", Platform.SENTINELONE, "Server"))]
    lacks = asked.hunt.relations.lacks[0]
    named = "lacking" in asked.values
    assert (missing_devices(lacks, asked, held) if named else []) == missing
    searches = next_searches([asked], held, WINDOW, inventory_window(NOW))
    assert [(item.platforms, names) for item in searches for _, names in values([item])] == (
        [(frozenset({Platform.FALCON}), tuple(missing))] if missing else []
    )


ROUTINE = """
searches:
  - {id: pack, class: process_activity, says: Packed, where: {field: process.name, eq: 7z.exe}}
routine:
  - {id: job, of: [pack], same: [device.hostname, actor.user.name, actor.process.name], days: 5}
"""


def test_the_same_on_five_earlier_days_is_routine_and_another_parent_is_not(tmp_path: Path) -> None:
    found = hunt(tmp_path, ROUTINE)

    def packed(name: str, day: int, parent: str) -> Event:
        named = {"process.name": "7z.exe", "actor.user.name": "CORP\\svc", "actor.process.name": parent}
        at = NOW - timedelta(days=day)
        return Event(name, Platform.SENTINELONE, "events", EventClass.PROCESS, at, "FS-1", "svc", named)

    events = [packed(f"E-{day}", day, "backup.exe") for day in range(6)] + [packed("E-x", 0, "cmd.exe")]
    assert routine_days([found], events) == {("x.one", "E-0"): 5}
    assert not routine_days([found], events[1:]), "four earlier days are not enough"


def test_what_may_be_absent_is_asked_without_the_host_that_is_named(tmp_path: Path) -> None:
    library = HuntLibrary.load()
    hunts = ("file.sightings",)
    scope = Scope(window=WINDOW, hunts=hunts, slots={"file": ("a.docm",), "host": ("WS-1",)})
    asked = asked_relations(scope, "", library)
    (elsewhere,) = [item for item in first_searches(asked, WINDOW, inventory_window(NOW), {}) if "#" in item.purpose]
    assert elsewhere.hosts == frozenset(), "every platform is asked, whatever watches the host that is left out"
    assert "WS-1" in values([elsewhere])[0][1]
    unnamed = asked_relations(Scope(window=WINDOW, hunts=hunts, slots={"file": ("a.docm",)}), "", library)
    assert not first_searches(unnamed, WINDOW, inventory_window(NOW), {})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("count: [{id: c, search: gone, unit: mails, by: [user.name]}]", "no search is called gone"),
        ("count: [{id: c, search: s, unit: bananas, by: [user.name]}]", "there is no unit 'bananas'"),
        ("count: [{id: c, search: s, unit: mails, by: [file.name]}]", "has no attribute 'file.name'"),
        ("count: [{id: s, search: s, unit: mails, by: [user.name]}]", "two searches or relations are called s"),
        ("spot: [{id: p, search: s, shares: [user.name], differs: app.name, says: x, because: y}]", "go together"),
        ("follow: [{id: f, of: [z], class: authentication, says: x, where: {field: user.name, eq: a}}]", "called z"),
        (
            "follow: [{id: f, of: [s], class: authentication, says: x, where: {field: user.name, eq: $file.name}}]",
            "row",
        ),
        ("lacks: [{id: l, platform: $p, says: x}]", "parameter $p is not declared"),
        ("absent: [{id: a, class: authentication, says: x, where: {field: file.name, eq: a}}]", "no attribute"),
    ],
)
def test_a_relation_that_cannot_work_names_file_line_and_fault(tmp_path: Path, text: str, problem: str) -> None:
    searches = "searches: [{id: s, class: authentication, where: {field: user.name, exists: true}}]\n"
    with pytest.raises(ContentError) as caught:
        hunt(tmp_path, searches + text)
    assert problem in str(caught.value)
    assert "hunt.yaml:" in str(caught.value)
