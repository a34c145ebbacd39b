"""The chat in a real terminal: its prompt, its keys, and what Ctrl-C does."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminal that pexpect can drive", allow_module_level=True)

import pexpect

from tracehound.tools.evidence.case import Case

CTRL_C, CTRL_D, UP = "\x03", "\x04", "\x1b[A"
PROMPT = "tracehound>"


@pytest.fixture
def terminal(desk_home: Path, kestrel: Path) -> Iterator[Any]:
    # prompt-toolkit asks a terminal where its cursor is; pexpect's has no answer to that.
    environment = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    child = pexpect.spawn(
        sys.executable, ["-m", "tracehound.cli", "chat", "--lab", str(kestrel)],
        env=environment, encoding="utf-8", timeout=40, dimensions=(40, 120),
    )  # fmt: skip
    child.expect(re.escape(PROMPT))
    yield child
    child.close(force=True)


def test_a_conversation(terminal: Any, desk_home: Path) -> None:
    terminal.send("a typing mistake")
    terminal.send(CTRL_C)
    terminal.sendline("/help")
    terminal.expect("/evidence")
    terminal.expect(re.escape(PROMPT))

    terminal.sendline("show me lateral movement from WS-042 in the last day")
    terminal.expect("plan 1:")
    terminal.send(CTRL_C)
    terminal.expect(r"interrupted; (\d+) rows of evidence are kept in case (c-[0-9a-f-]+)")
    kept, case_id = int(terminal.match[1]), terminal.match[2]
    assert kept > 0
    terminal.expect(re.escape(PROMPT))
    with Case.open(desk_home, case_id, write=False) as case:
        assert len(case.all_evidence()) == kept
        assert [entry.body["question"] for entry in case.traffic("interrupted")]
        assert case.verify() == []

    terminal.send(UP)
    terminal.expect("show me lateral movement")
    terminal.send("\r")
    terminal.expect("awaiting_approval")
    terminal.expect(case_id)
    terminal.expect(re.escape(PROMPT))
    terminal.sendline("/tree")
    terminal.expect("launch not seen")
    terminal.expect("→ network to")
    terminal.expect(re.escape(PROMPT))
    terminal.sendline("/graph")
    terminal.expect("─→")
    terminal.expect("logon as")
    terminal.expect(re.escape(PROMPT))
    terminal.sendline("/timeline")
    terminal.expect("● suspicious")
    terminal.expect(re.escape(PROMPT))
    terminal.sendline("/approve")
    terminal.expect("tracehound approve A-")
    terminal.expect(re.escape(PROMPT))
    terminal.send(CTRL_C)
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert terminal.exitstatus == 0


def test_the_end_of_input_ends_it(terminal: Any) -> None:
    terminal.send(CTRL_D)
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert terminal.exitstatus == 0
