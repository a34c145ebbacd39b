"""Real processes on one ledger: at once, and killed at the worst moment."""

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tracehound import Approver
from tracehound.tools.response import Desk, State

RACER = Path(__file__).with_name("racer.py")


class Track:
    """A home with approvals on the system clock, a journal of vendor calls, and racers over both."""

    def __init__(self, house: Any, folder: Path) -> None:
        self.house, self.home, self.journal = house, house.home, folder / "vendor.sqlite"
        self.desk = Desk(house.home, "lab", lease=timedelta(seconds=1))
        with closing(sqlite3.connect(self.journal)) as db:
            db.execute("pragma journal_mode = wal")
            db.execute("create table calls (device text)")

    def propose(self, count: int, *, approved: bool) -> list[str]:
        ids = []
        for number in range(count):
            facts = self.house.facts(device_id=str(number), hostname=f"PC-{number}", last_seen=None)
            record = self.desk.propose("isolate_host", facts, reason="r", evidence=["E-1"], case_id="c-1")
            ids.append(record.id)
            if approved:
                self.desk.ledger.decide(record.id, Approver.open("lead"), "approve")
        return ids

    def start(self, mode: str, ids: list[str], racers: int) -> list["subprocess.Popen[str]"]:
        def racer(number: int) -> "subprocess.Popen[str]":
            command = [sys.executable, str(RACER), mode, str(self.home), str(self.journal), ",".join(ids), str(number)]
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        processes = [racer(number) for number in range(racers)]
        wait_for(lambda: all(self.journal.with_suffix(f".ready-{number}").exists() for number in range(racers)))
        self.journal.with_suffix(".start").touch()
        return processes

    def race(self, mode: str, ids: list[str], racers: int) -> list[list[str]]:
        found = []
        for process in self.start(mode, ids, racers):
            out, problems = process.communicate(timeout=60)
            assert process.returncode == 0, problems
            found.append(json.loads(out))
        return found

    def calls(self) -> Counter[str]:
        with closing(sqlite3.connect(self.journal)) as db:
            return Counter(row[0] for row in db.execute("select device from calls"))


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def track(house: Any, tmp_path: Path) -> Track:
    return Track(house, tmp_path)


@pytest.mark.parametrize("racers", [2, 4, 6])
def test_of_many_executors_at_once_one_calls(track: Track, racers: int) -> None:
    ids = track.propose(12, approved=True)
    outcomes = track.race("execute", ids, racers)
    assert outcomes == [["verified"] * 12] * racers
    assert track.calls() == Counter({str(number): 1 for number in range(12)})
    assert track.desk.audit.verify() == []


def test_of_many_approvals_at_once_one_is_carried_out(track: Track) -> None:
    ids = track.propose(8, approved=False)
    assert track.race("approve", ids, 4) == [["verified"] * 8] * 4
    assert track.calls() == Counter({str(number): 1 for number in range(8)})
    assert track.desk.audit.verify() == []


def test_without_compare_and_swap_the_race_is_lost(track: Track) -> None:
    ids = track.propose(4, approved=True)
    for process in track.start("unlocked", ids, 4):
        process.communicate(timeout=60)
    assert max(track.calls().values()) > 1


@pytest.mark.parametrize("moment", ["hang-before", "hang-after"])
def test_killed_during_the_call_leads_to_reading_not_to_calling(track: Track, moment: str) -> None:
    (wanted,) = track.propose(1, approved=True)
    (process,) = track.start(moment, [wanted], 1)
    wait_for(track.journal.with_suffix(".hangs").exists)
    process.kill()
    process.communicate()
    assert track.desk.approval(wanted).state is State.EXECUTING
    called = track.calls()
    time.sleep(1.1)
    (after,) = track.race("execute", [wanted], 1)
    assert after == [{"hang-before": "unknown", "hang-after": "verified"}[moment]]
    assert track.calls() == called
    assert track.desk.audit.verify() == []


def test_a_process_that_dies_while_an_approval_waits_loses_nothing(track: Track) -> None:
    (wanted,) = track.propose(1, approved=False)
    again = Desk(track.home, "lab")
    assert [item.id for item in again.pending()] == [wanted]
    assert track.race("approve", [wanted], 1) == [["verified"]]
