import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from tracehound.evals.lab.clock import LabClock
from tracehound.evals.lab.state import LabState
from tracehound.knowledge.errors import StorageError

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    return LabState(tmp_path / "state.sqlite")


async def test_waiting_moves_the_servers_time_and_not_now(state: LabState) -> None:
    clock = LabClock(state, NOW)
    with anyio.fail_after(5):
        await clock.sleep(3600)
    assert (clock.now() - NOW).total_seconds() == 3600
    assert clock.telemetry_end == NOW


async def test_sleepers_wake_in_the_order_of_their_moments(state: LabState) -> None:
    clock, woken = LabClock(state, NOW), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.elapsed))

    async with anyio.create_task_group() as group:
        for seconds in (60.0, 1.0, 30.0):
            group.start_soon(sleeper, seconds)
    assert woken == [(1, 1), (30, 30), (60, 60)]


async def test_a_long_wait_lets_a_poller_take_its_turns(state: LabState) -> None:
    clock, gaps = LabClock(state, NOW), []

    async def poller() -> None:
        for _ in range(50):
            before = clock.elapsed
            await clock.sleep(1)
            gaps.append(clock.elapsed - before)

    async with anyio.create_task_group() as group:
        group.start_soon(clock.sleep, 60)
        group.start_soon(poller)
    assert max(gaps) == pytest.approx(1)
    assert clock.elapsed == pytest.approx(60)


async def test_time_stands_still_while_a_request_is_answered(state: LabState) -> None:
    clock = LabClock(state, NOW)
    async with anyio.create_task_group() as group:
        with clock.working():
            group.start_soon(clock.sleep, 60)
            await anyio.sleep(0.05)
            assert clock.elapsed == 0
    assert clock.elapsed == 60


async def test_a_cancelled_sleeper_does_not_hold_the_others_up(state: LabState) -> None:
    clock = LabClock(state, NOW)
    async with anyio.create_task_group() as group:
        with clock.working():
            with anyio.move_on_after(0.02):
                await clock.sleep(1)
            group.start_soon(clock.sleep, 60)
    assert clock.elapsed == 60


def test_real_time_is_the_walls(state: LabState) -> None:
    clock = LabClock(state, NOW, real_time=True)
    first = clock.elapsed
    assert clock.elapsed >= first >= 0


def test_rate_windows(state: LabState) -> None:
    assert [state.admit("b", 2, 60).admitted for _ in range(3)] == [True, True, False]
    state.advance(59)
    assert state.admit("b", 2, 60).wait == pytest.approx(1)
    state.advance(1)
    assert state.admit("b", 2, 60).admitted


def test_credentials_differ_by_role_and_stay(state: LabState) -> None:
    reading, acting = state.credential("falcon", "reading"), state.credential("falcon", "acting")
    assert reading.secret != acting.secret
    assert LabState(state.path).credential("falcon", "reading") == reading
    assert state.whose("falcon", acting.client_id, acting.secret) == "acting"
    assert state.whose("falcon", reading.client_id, acting.secret) is None
    assert state.whose("sentinelone", None, reading.secret) is None


def test_containment_is_done_after_its_delay_or_three_reads(state: LabState) -> None:
    state.contain("falcon", "a", "pending", 4.0)
    assert state.containment("falcon") == {"a": "pending"}
    state.advance(4)
    assert state.containment("falcon") == {"a": "contained"}
    state.contain("falcon", "a", "lifting", 4.0)
    assert [dict(state.containment("falcon")) for _ in range(3)] == [{"a": "lifting"}, {"a": "lifting"}, {}]


def test_many_processes_write_one_journal(state: LabState) -> None:
    program = (
        "import sys; from pathlib import Path; from tracehound.evals.lab.state import LabState\n"
        "state = LabState(Path(sys.argv[1]))\n"
        "for n in range(25):\n"
        "    state.record(dict(time='t', vendor='falcon', operation='contain', target=str(n), credential='acting',\n"
        "                      user_agent='', approval=None, status=202, outcome='accepted'))\n"
        "    state.advance(1)\n"
    )
    command = [sys.executable, "-c", program, str(state.path)]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert len(state.journal()) == 75
    assert [entry.number for entry in state.journal()] == list(range(1, 76))
    assert state.elapsed() == 75


def test_a_folder_that_is_not_there_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"state\.sqlite cannot be opened"):
        LabState(tmp_path / "nowhere" / "state.sqlite")


def test_a_file_that_is_no_database_is_one_clear_sentence(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StorageError, match="cannot be opened"):
        LabState(path)
    assert sqlite3.sqlite_version
