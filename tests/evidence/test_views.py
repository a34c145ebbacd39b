"""The process tree and the movement between places, from rows as they come: torn, reused, circular, many."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.tools.evidence.movement import Movement, movement, routes
from tracehound.tools.evidence.process_tree import Process, process_tree
from tracehound.tools.evidence.records import Answer, Claim, Evidence, TimelineEntry
from tracehound.tools.evidence.report.axis import Axis, duration
from tracehound.tools.evidence.report.drawn_graph import BOX, MOST_PLACES, draw_movement
from tracehound.tools.evidence.report.drawn_timeline import WIDTH, Happened, draw_timeline
from tracehound.tools.evidence.report.tactics import NONE
from tracehound.tools.languages.vocabulary import EventClass

START = datetime(2026, 11, 1, 8, tzinfo=UTC)
Rows = Sequence[Evidence]


def row(number: int, event_class: EventClass = EventClass.PROCESS, **given: Any) -> Evidence:
    """A row by the names of its attributes; `seconds`, `host`, `user` and `platform` are the row's own."""
    seconds, host = given.pop("seconds", number), given.pop("host", "SRV-1")
    user, platform = given.pop("user", None), given.pop("platform", "sentinelone")
    fields = {name.replace("__", "."): value for name, value in given.items()}
    return Evidence(
        id=f"E-{number:012x}", alias=f"E{number}", query="Q1", platform=platform, collection="events",
        time=START + timedelta(seconds=seconds), host=host, user=user, event_class=event_class.value,
        fields={"device.hostname": host, **fields}, raw={}, sha256=f"{number:064x}",
    )  # fmt: skip


def launch(number: int, name: str, pid: int, parent: str = "", parent_pid: int | None = None, **given: Any) -> Evidence:
    acting = {"actor__process__name": parent, "actor__process__pid": parent_pid} if parent else {}
    return row(
        number,
        activity="Launch",
        process__name=name,
        process__pid=pid,
        process__cmd_line=f"{name} -x",
        **(acting | given),
    )


def wrote(number: int, path: str, name: str, pid: int) -> Evidence:
    acting = {"actor__process__name": name, "actor__process__pid": pid}
    return row(number, EventClass.FILE, activity="Create", file__path=path, **acting)


def connected(number: int, direction: str, **ends: Any) -> Evidence:
    return row(number, EventClass.NETWORK, activity="Open", connection__direction=direction, **ends)


def answer(rows: Rows, verdicts: Callable[[int], Any] = lambda _: "suspicious") -> Answer:
    entries = [
        TimelineEntry(time=item.time or START, text="x", evidence=(item.id,), hosts=(), verdict=verdicts(number))
        for number, item in enumerate(rows)
    ]
    return Answer(
        case="c-1", question="?", model="offline", estate="lab", window=None, route="search",
        evidence=tuple(rows), timeline=tuple(entries),
    )  # fmt: skip


def shape(processes: Sequence[Process]) -> list[tuple[int, str]]:
    return [(process.depth, process.name) for process in processes]


def sound(processes: Sequence[Process]) -> bool:
    """Whether parents stand before their children, one level above them."""
    return all(
        (process.parent is None) == (process.depth == 0)
        and (
            process.parent is None or (process.parent < place and processes[process.parent].depth == process.depth - 1)
        )
        for place, process in enumerate(processes)
    )


def test_children_stand_below_their_parents_in_the_order_of_time() -> None:
    rows = [
        launch(4, "whoami.exe", 40, "cmd.exe", 20), launch(1, "cmd.exe", 20, "winword.exe", 10),
        launch(3, "net.exe", 30, "cmd.exe", 20), launch(2, "calc.exe", 25, "winword.exe", 10),
        wrote(5, "C:\\a.dmp", "net.exe", 30), wrote(6, "C:\\a.dmp", "net.exe", 30),
    ]  # fmt: skip
    found = process_tree(answer(rows))
    assert shape(found) == [(0, "winword.exe"), (1, "cmd.exe"), (2, "net.exe"), (2, "whoami.exe"), (1, "calc.exe")]
    assert sound(found)
    assert found[0].started is None, "its launch is in no row, and it stands there all the same"
    assert found[0].evidence == ()
    assert [(act.what, act.count) for act in found[2].acts] == [("Create C:\\a.dmp", 2)]
    assert found[1].command == "cmd.exe -x"


def test_a_pid_that_is_used_again_is_another_process() -> None:
    rows = [
        launch(1, "cmd.exe", 7, "a.exe", 1), launch(2, "x.exe", 8, "cmd.exe", 7),
        launch(3, "cmd.exe", 7, "b.exe", 2, seconds=600), launch(4, "y.exe", 8, "cmd.exe", 7, seconds=601),
    ]  # fmt: skip
    assert shape(process_tree(answer(rows))) == [
        (0, "a.exe"), (1, "cmd.exe"), (2, "x.exe"), (0, "b.exe"), (1, "cmd.exe"), (2, "y.exe"),
    ]  # fmt: skip


def test_unseen_parents_are_one_by_their_ids_and_several_by_different_ones() -> None:
    def child(number: int, uid: str, pid: int | None = 9) -> Evidence:
        return launch(number, f"c{number}.exe", 100 + number, "svc.exe", pid, actor__process__uid=uid)

    assert [p.name for p in process_tree(answer([child(1, "u"), child(2, "u")]))].count("svc.exe") == 1
    assert [p.name for p in process_tree(answer([child(1, "u"), child(2, "v")]))].count("svc.exe") == 2
    assert [p.name for p in process_tree(answer([child(1, "u"), child(2, "u", 10)]))].count("svc.exe") == 2


def test_the_same_launch_seen_twice_is_one_process_with_both_rows() -> None:
    rows = [launch(1, "cmd.exe", 7), launch(2, "cmd.exe", 7, platform="falcon", seconds=1)]
    (found,) = process_tree(answer(rows))
    assert found.evidence == (rows[0].id, rows[1].id)


def test_processes_that_launched_each_other_are_cut_at_the_earliest() -> None:
    def ring(number: int, uid: str, parent: str) -> Evidence:
        return launch(number, f"{uid}.exe", number, f"{parent}.exe", None, process__uid=uid, actor__process__uid=parent)

    found = process_tree(answer([ring(1, "a", "c"), ring(2, "b", "a"), ring(3, "c", "b"), ring(4, "d", "d")]))
    assert sound(found)
    assert shape(found)[:3] == [(0, "a.exe"), (1, "b.exe"), (2, "c.exe")]
    assert {p.name for p in found} == {"a.exe", "b.exe", "c.exe", "d.exe"}


def test_hosts_stand_apart_and_look_alikes_keep_their_verdict() -> None:
    rows = [launch(1, "a.exe", 5), launch(2, "b.exe", 6, "a.exe", 5, host="SRV-2"), launch(3, "c.exe", 9, "a.exe", 5)]
    found = process_tree(answer(rows, lambda n: "benign" if n == 2 else "suspicious"))
    assert [(p.host, p.name, p.depth, p.verdict) for p in found] == [
        ("SRV-1", "a.exe", 0, "suspicious"), ("SRV-1", "c.exe", 1, "benign"),
        ("SRV-2", "a.exe", 0, "context"), ("SRV-2", "b.exe", 1, "suspicious"),
    ]  # fmt: skip


def test_an_answer_without_a_timeline_is_read_by_its_claims_and_one_without_rows_has_no_tree() -> None:
    made = answer([launch(1, "a.exe", 5), launch(2, "b.exe", 6)]).model_copy(update={"timeline": ()})
    assert process_tree(made) == ()
    claim = Claim(
        id="C1", kind="observation", subject="", predicate="", object="", text="", evidence=("E-000000000001",)
    )
    assert [p.name for p in process_tree(made.model_copy(update={"claims": (claim,)}))] == ["a.exe"]
    assert movement(made) == Movement((), ())


def test_a_chain_and_a_crowd_of_ten_thousand() -> None:
    chain = [
        launch(n, f"p{n}.exe", n, f"p{n - 1}.exe", n - 1, process__uid=f"u{n}", actor__process__uid=f"u{n - 1}")
        for n in range(1, 10_001)
    ]  # fmt: skip
    found = process_tree(answer(chain))
    assert len(found) == 10_001
    assert found[-1].depth == 10_000
    crowd = [launch(n, "cmd.exe", n % 97, "svc.exe", 3) for n in range(1, 10_001)]
    assert sound(process_tree(answer(crowd)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 30), st.booleans()), max_size=25))
def test_any_rows_make_a_sound_tree_that_holds_every_launch(rows: list[tuple[int, int, int, bool]]) -> None:
    made = [
        launch(
            n, f"p{own}.exe", own, f"p{parent}.exe", parent, seconds=seconds * 60,
            **({"process__uid": f"u{own}", "actor__process__uid": f"u{parent}"} if by_uid else {}),
        )
        for n, (own, parent, seconds, by_uid) in enumerate(rows, 1)
    ]  # fmt: skip
    found = process_tree(answer(made))
    assert sound(found)
    assert sorted(item for process in found for item in process.evidence) == sorted(item.id for item in made)
    assert found == process_tree(answer(made))


def logon(number: int, source: str, host: str, user: str = "ann", **given: Any) -> Evidence:
    return row(
        number, EventClass.AUTHENTICATION, host=host, user=user, user__name=user, src_endpoint__ip=source,
        **({"activity": "Logon", "logon_type": "Network", "status": "Success"} | given),
    )  # fmt: skip


def inventory(number: int, host: str, address: str) -> Evidence:
    return row(number, EventClass.DEVICE, host=host, device__ip=[address])


def test_addresses_become_hosts_where_a_row_says_whose_they_are() -> None:
    rows = [
        logon(1, "10.0.0.5", "SRV-1"),
        logon(2, "10.0.0.6", "SRV-1"),
        logon(3, "203.0.113.9", "SRV-1", status="Failure"),
    ]
    made = answer(rows)
    found = movement(made.model_copy(update={"evidence": (*rows, inventory(9, "WS-5", "10.0.0.5"))}))
    assert [(m.source.name, m.source.kind, m.target.name, m.how, m.failed) for m in found.moves] == [
        ("WS-5", "host", "SRV-1", "Network logon", False),
        ("10.0.0.6", "address", "SRV-1", "Network logon", False),
        ("203.0.113.9", "outside", "SRV-1", "Network logon", True),
    ]


def test_what_stays_on_a_host_is_no_movement_and_what_repeats_is_one() -> None:
    rows = [
        logon(1, "127.0.0.1", "SRV-1"), logon(2, "10.0.0.5", "SRV-1"), logon(3, "10.0.0.5", "SRV-1", seconds=900),
        logon(4, "10.0.0.5", "SRV-1", activity="Logoff"), logon(5, "10.0.0.5", "SRV-1", user="bob"),
        connected(6, "Outbound", dst_endpoint__ip="198.51.100.7", dst_endpoint__port=443),
        connected(7, "Inbound", src_endpoint__ip="10.0.0.8", dst_endpoint__port=445),
        logon(8, "198.51.100.9", "", app__name="Portal"),
    ]  # fmt: skip
    found = movement(answer(rows))
    assert [(m.source.name, m.target.name, m.account, m.count) for m in found.moves] == [
        ("10.0.0.5", "SRV-1", "ann", 2), ("10.0.0.5", "SRV-1", "bob", 1), ("SRV-1", "198.51.100.7", "", 1),
        ("10.0.0.8", "SRV-1", "", 1), ("198.51.100.9", "Portal", "ann", 1),
    ]  # fmt: skip
    assert found.moves[-1].target.kind == "cloud"
    assert {place for move in found.moves for place in (move.source, move.target)} == set(found.places)


def test_what_many_accounts_did_alike_is_one_route() -> None:
    rows = [logon(n, "203.0.113.9", "SRV-1", f"user{n % 4}", status="Failure") for n in range(1, 9)]
    found = movement(answer([*rows, logon(9, "203.0.113.9", "SRV-1", "user1")]))
    failed, entered = routes(found.moves)
    assert (len(failed.accounts), failed.count, len(failed.evidence)) == (4, 8, 8)
    assert (entered.accounts, entered.count, entered.first.failed) == (("user1",), 1, False)
    graph = draw_movement(found)
    assert graph is not None
    assert graph.arrows[0].words == ("4 accounts failed Network logon ×8", "user1 Network logon")


@pytest.mark.parametrize("shape_of", ["ring", "star", "random", "loop of two"])
def test_any_movement_is_drawn_without_boxes_on_boxes(shape_of: str) -> None:
    ends = {
        "ring": [(n, (n + 1) % 9) for n in range(9)],
        "star": [(0, n) for n in range(1, 60)],
        "random": [(n * 7 % 13, n * 5 % 11 + 1) for n in range(80)],
        "loop of two": [(1, 2), (2, 1), (1, 2)],
    }[shape_of]
    hosts = [inventory(1_000 + n, f"H-{n}", f"10.0.0.{n + 1}") for n in range(70)]
    rows = [logon(n, f"10.0.0.{a + 1}", f"H-{b}", f"user{n}") for n, (a, b) in enumerate(ends, 1) if a != b]
    found = movement(answer(rows).model_copy(update={"evidence": (*rows, *hosts)}))
    graph = draw_movement(found)
    assert graph is not None
    assert len(graph.boxes) <= MOST_PLACES
    assert len(graph.boxes) + graph.left_out == len(found.places)
    for number, box in enumerate(graph.boxes):
        assert 0 <= box.x <= graph.width - BOX[0]
        assert 0 <= box.y <= graph.height - BOX[1]
        for other in graph.boxes[number + 1 :]:
            assert abs(box.x - other.x) >= BOX[0] or abs(box.y - other.y) >= BOX[1]
    assert graph == draw_movement(found)


def test_a_graph_of_ten_thousand_places_is_built_and_its_weightiest_part_drawn() -> None:
    rows = [logon(n, f"10.{n // 250 // 250}.{n // 250 % 250}.{n % 250 + 1}", f"H-{n}") for n in range(1, 5_001)]
    found = movement(answer(rows, lambda n: "suspicious" if n == 4_321 else "benign"))
    assert len(found.places) == 10_000
    graph = draw_movement(found)
    assert graph is not None
    assert "H-4322" in [box.place.name for box in graph.boxes]


def entry(place: int, minutes: float, host: str = "SRV-1", lasting: float = 0) -> Happened:
    time = START + timedelta(minutes=minutes)
    return Happened(place, time, time + timedelta(minutes=lasting) if lasting else None, host, NONE, "suspicious", "x")


def test_a_long_pause_is_left_out_and_its_length_is_said() -> None:
    entries = [entry(1, 0), entry(2, 10), entry(3, 700), entry(4, 705)]
    drawing = draw_timeline(entries)
    assert drawing is not None
    assert [pause.pause for pause in drawing.breaks] == ["11 h 30 min"]
    places = {mark.of.place: mark.x for mark in drawing.marks}
    assert places[2] - places[1] > 100
    assert [places[n] for n in (1, 2, 3, 4)] == sorted(places.values())


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50_000), st.integers(0, 5), st.integers(0, 300)), min_size=1, max_size=40))
def test_any_timeline_is_drawn_in_order_and_inside_its_frame(given_entries: list[tuple[int, int, int]]) -> None:
    entries = [entry(n, minutes, f"H{host}", lasting) for n, (minutes, host, lasting) in enumerate(given_entries)]
    drawing = draw_timeline(entries)
    assert drawing is not None
    assert len(drawing.marks) == len(entries)
    assert all(mark.x >= 0 and mark.x + mark.width <= WIDTH and 0 <= mark.y <= drawing.foot for mark in drawing.marks)
    ordered = sorted(drawing.marks, key=lambda mark: mark.of.time)
    assert all(earlier.x <= later.x + 1e-6 for earlier, later in pairwise(ordered))
    assert all(later.x - earlier.x >= 60 for earlier, later in pairwise(drawing.ticks))


def test_one_moment_and_nothing() -> None:
    assert draw_timeline([]) is None
    assert draw_movement(Movement((), ())) is None
    drawing = draw_timeline([entry(n, 5) for n in range(500)])
    assert drawing is not None
    assert drawing.height < 400
    assert Axis.over([START], 0, 100).place(START) == 50


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(0), "0 s"), (timedelta(seconds=59), "59 s"), (timedelta(hours=9, minutes=45), "9 h 45 min"),
        (timedelta(days=2, minutes=3), "2 d"), (timedelta(days=1, hours=2, seconds=4), "1 d 2 h"),
    ],
)  # fmt: skip
def test_spans_are_said_in_two_units(span: timedelta, said: str) -> None:
    assert duration(span) == said
