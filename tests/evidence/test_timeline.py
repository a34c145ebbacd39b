"""The timeline that is read from the store piece by piece is the one that `merge` makes of everything at once."""

import random
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tracehound.tools.evidence import timeline as room
from tracehound.tools.evidence.case import Case
from tracehound.tools.evidence.event import Event
from tracehound.tools.evidence.merge import _rhythm, merge
from tracehound.tools.evidence.timeline import PAUSES, Moment, merged, timeline
from tracehound.tools.languages.query import Platform
from tracehound.tools.languages.vocabulary import EventClass

Make = Callable[..., Any]
START = datetime(2026, 11, 1, tzinfo=UTC)
FIELDS: dict[EventClass, Callable[[random.Random], dict[str, Any]]] = {
    EventClass.PROCESS: lambda r: {"activity": r.choice(["launch", "open"]), "process.name": f"p{r.randrange(4)}.exe",
                                   "process.pid": r.randrange(6), "process.cmd_line": f"p {r.randrange(4)}"},
    EventClass.NETWORK: lambda r: {"activity": "open", "dst_endpoint.ip": f"10.0.0.{r.randrange(3)}",
                                   "dst_endpoint.port": r.choice([443, 445]), "connection.direction": "outbound"},
    EventClass.FILE: lambda r: {"activity": "create", "file.path": f"C:\\d{r.randrange(2)}\\f{r.randrange(40)}.txt"},
    EventClass.AUTHENTICATION: lambda r: {"activity": "logon", "status": r.choice(["failure", "success"]),
                                          "src_endpoint.ip": "10.0.0.9", "logon_type": "Network"},
    EventClass.API: lambda r: {"activity": "other", "api.operation": f"Op{r.randrange(3)}", "user.name": "ann"},
    EventClass.EMAIL: lambda r: {"email.uid": f"m{r.randrange(60)}", "email.from": "x@y.example", "email.subject": "s"},
    EventClass.DNS: lambda r: {"query.hostname": f"h{r.randrange(3)}.example"},
    EventClass.FINDING: lambda r: {"finding.uid": f"f{r.randrange(9)}"},
}  # fmt: skip


def events(event_class: EventClass, seed: int, count: int = 900) -> list[Event]:
    """Events of one class in order of time, with pauses of all lengths between them."""
    dice, at, found = random.Random(seed), START, []
    for number in range(count):
        at += timedelta(seconds=dice.choice([0, 0.5, 1, 2, 9, 40, 70, 300, 700, 1_500, 4_000]))
        found.append(
            Event(
                evidence=f"E-{number:012d}", platform=dice.choice([Platform.SENTINELONE, Platform.DEFENDER]),
                collection="events", event_class=event_class, time=at, host=f"SRV-{dice.randrange(2)}", user="ann",
                fields=FIELDS[event_class](dice),
            )
        )  # fmt: skip
    return found


@pytest.mark.parametrize("event_class", FIELDS, ids=lambda item: item.name)
def test_pieces_make_the_same_groups(event_class: EventClass, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CHUNK", 37)
    for seed in range(4):
        given = events(event_class, seed)
        found = sorted(merged(iter(given), event_class), key=lambda group: (group.first, group.events[0].evidence))
        assert found == merge(given), seed


def test_a_reach_that_is_too_short_would_tear_bursts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CHUNK", 37)
    monkeypatch.setattr(room, "PAUSES", dict.fromkeys(EventClass, timedelta(0)))
    given = events(EventClass.NETWORK, 0)
    assert len(list(merged(iter(given), EventClass.NETWORK))) != len(merge(given))


def test_no_class_pauses_for_longer_than_is_waited_for() -> None:
    for event_class in FIELDS:
        for event in events(event_class, 1, 200):
            rhythm = _rhythm(event)
            assert rhythm is None or rhythm[1] <= PAUSES.get(event_class, timedelta(minutes=15))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_case_is_told_whole(
    processes: int, home: Path, run: Make, process_row: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "FEW", 0)
    network = [
        process_row(n, eventType="IP Connect", dstIp="10.9.9.9", dstPort=443, srcIp="10.1.1.1") for n in range(40)
    ]
    with Case.create(home) as case:
        case.add_run(run([*(process_row(number) for number in range(60)), *network, process_row(1, eventTime=None)]))
        expected = [
            Moment(group.first, group.last, group.events[0].event_class.value, group.kind, group.count,
                   tuple(event.evidence for event in group.events))
            for group in merge(case.events())
        ]  # fmt: skip
        assert len(case.classes()) > 1
    found = list(timeline(home, case.id, processes=processes))
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    assert [item.first for item in found] == sorted(item.first for item in found)
    assert sum(len(asdict(item)["evidence"]) for item in found) == 100
