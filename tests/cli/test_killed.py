"""A process that is killed while an approval waits loses nothing: the next one goes on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

Run = Callable[..., Any]
QUESTION = "show me lateral movement from WS-042 in the last day"

ASK_AND_WAIT = f"""
import asyncio, time
from tracehound import Copilot
from tracehound.evals.lab import Lab

async def main():
    async with Copilot(estate=Lab.open({{lab!r}}).estate()) as copilot:
        answer = await copilot.ask({QUESTION!r})
        print(answer.case, answer.proposals[0].id, flush=True)
        time.sleep(600)

asyncio.run(main())
"""


def ask_for_events(lab: Path) -> list[str]:
    return [sys.executable, "-m", "tracehound.cli", "ask", QUESTION, "--lab", str(lab), "--jsonl"]


@contextmanager
def process(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A child process and its output; it does not outlive the test."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=os.environ) as child:
        assert child.stdout is not None
        try:
            yield child, child.stdout
        finally:
            child.kill()


def test_killed_while_an_approval_waits(run: Run, lab: Path, desk_home: Path) -> None:
    command = [sys.executable, "-c", ASK_AND_WAIT.format(lab=str(lab))]
    with process(command) as (asking, output):
        case_id, proposal_id = output.readline().split()
        asking.kill()
        assert asking.wait(30) == (-signal.SIGKILL if sys.platform != "win32" else 1)

    waiting = json.loads(run("pending", "--json").out)
    assert [(item["id"], item["status"]) for item in waiting] == [(proposal_id, "awaiting_approval")]
    approved = run("approve", proposal_id, "--by", "lead", "--json")
    assert approved.code == 0, approved.err
    assert json.loads(approved.out)["status"] == "verified"
    assert len(json.loads(run("lab", "journal", str(lab), "--json").out)) == 1

    shown = json.loads(run("case", "show", case_id, "--json").out)
    assert shown["proposals"][0]["id"] == proposal_id
    assert run("case", "verify", case_id).code == 0
    assert run("audit", "verify").code == 0
    followed = run("ask", "which alerts are there on WS-042?", "--case", case_id, "--lab", str(lab), "--json")
    assert json.loads(followed.out)["case"] == case_id


def test_killed_in_the_middle_of_a_question(run: Run, lab: Path, desk_home: Path) -> None:
    events: list[dict[str, Any]] = []
    with process(ask_for_events(lab)) as (asking, output):
        while not events or events[-1]["type"] != "evidence":
            events.append(json.loads(output.readline()))
        asking.kill()
    case_id = events[0]["case"]
    assert run("case", "verify", case_id).code == 0
    assert run("case", "show", case_id).code == 1
    followed = json.loads(run("ask", QUESTION, "--case", case_id, "--lab", str(lab), "--json").out)
    assert followed["case"] == case_id
    assert followed["timeline"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a single process")
def test_an_interrupt_ends_with_130(lab: Path, desk_home: Path) -> None:
    # A job of a shell's background inherits an ignored SIGINT, and then so would this child.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{listen}; from tracehound.cli import main; main()", *ask_for_events(lab)[3:]]
    with process(command) as (asking, output):
        assert json.loads(output.readline())["type"] == "session"
        asking.send_signal(signal.SIGINT)
        _, said = asking.communicate(timeout=30)
    assert asking.returncode == 130
    assert "Traceback" not in said
