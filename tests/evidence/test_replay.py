"""Every view of a case comes out the same, byte for byte, wherever and whenever it is built again."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tracehound.tools.evidence.case import Case, case_ids, verify_case
from tracehound.tools.evidence.claims import claim_for
from tracehound.tools.evidence.exports import VIEWS
from tracehound.tools.evidence.handoff import to_handoff
from tracehound.tools.evidence.merge import merge
from tracehound.tools.evidence.records import Answer, Gap, Proposal, TimelineEntry, aliases
from tracehound.tools.evidence.replay import View, replay
from tracehound.tools.evidence.verify import verify_answer
from tracehound.tools.languages.search import Window

Make = Callable[..., Any]
CASES = 20
TEXTS = (
    "whoami /all",
    "日本 😀 é",
    "a\u202egpj\x00",
    "\ud800",
    "<script>x</script>",
    "=1+1",
    "x" * 5_000,
    "a,b;c|d\n#e",
)
PLACES = [
    {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "0"},
    {"TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "4242"},
]
SCRIPT = """
import json, sys
from pathlib import Path
from tracehound.tools.evidence.case import case_ids
from tracehound.tools.evidence.replay import replay
home = Path(sys.argv[1])
print(json.dumps({c: [(v.format, v.sha256, v.state) for v in replay(home, c, keep=False)] for c in case_ids(home)}))
"""


def fill(home: Path, number: int, run: Make, process_row: Make, window: Window) -> str:
    """A closed case with an answer, a note and a gap; no two are alike."""
    value = TEXTS[number % len(TEXTS)]
    rows = [process_row(n, tgtProcCmdLine=f"{value} {n}", endpointName=f"srv-{number}.corp.example") for n in range(9)]
    with Case.create(home, f"what ran on SRV-{number}?", window) as case:
        record, kept = case.add_run(run(rows))
        case.add_run(run([], status="error", error="HTTP 500 <b>oops</b>"))
        claims = [claim_for(group, claim_id=f"C{n}") for n, group in enumerate(merge(case.events()), 1)]
        by_id = {item.id: item for item in kept}
        entries = [
            TimelineEntry(
                time=claim.time or window.start, until=window.start + timedelta(hours=20), text=claim.text,
                evidence=claim.evidence, techniques=("T1033", "T1059.001"), platforms=("sentinelone",), claim=claim.id,
                hosts=tuple({by_id[name].host or "" for name in claim.evidence}),
                verdict="benign" if n == 1 else "suspicious",
            )
            for n, claim in enumerate(claims)
        ]  # fmt: skip
        answer = Answer(
            case=case.id, question=f"what ran on SRV-{number}?", model="offline", estate="lab", window=record.window,
            route="search", summary=value, queries=tuple(case.queries()), evidence=tuple(kept), claims=tuple(claims),
            timeline=tuple(entries), gaps=(Gap(kind="failed", text=value, queries=("Q2",)),),
            suggestions=("look at SRV-9",),
        )  # fmt: skip
        case.save_answer(verify_answer(answer))
        case.add_note("bob", value, evidence=["E1"], time=datetime(2026, 11, 1, 10, number, tzinfo=UTC))
        return case.id


@pytest.fixture
def filled(home: Path, run: Make, process_row: Make, window: Window) -> Callable[[int], list[str]]:
    return lambda count: [fill(home, number, run, process_row, window) for number in range(count)]


def test_twenty_cases_are_the_same_bytes_in_other_places(filled: Make, home: Path, tmp_path: Path) -> None:
    filled(CASES)
    first = {case_id: [(view.format, view.sha256) for view in replay(home, case_id)] for case_id in case_ids(home)}
    assert len(first) == CASES
    assert {name for views in first.values() for name, _ in views} == set(VIEWS)
    assert len({sha256 for views in first.values() for _, sha256 in views}) == CASES * len(VIEWS)
    for number, place in enumerate(PLACES):
        moved = tmp_path / f"elsewhere é {number}"
        shutil.move(home, moved)
        home = moved
        done = subprocess.run(
            [sys.executable, "-X", "utf8=0", "-c", SCRIPT, str(moved)],
            env={**os.environ, **place}, capture_output=True, text=True, check=True, cwd=tmp_path,
        )  # fmt: skip
        found = json.loads(done.stdout)
        assert {case: [(name, sha256) for name, sha256, _ in views] for case, views in found.items()} == first
        assert {state for views in found.values() for _, _, state in views} == {"same"}
    assert all(verify_case(home, case_id) == [] for case_id in case_ids(home))


def test_a_view_that_comes_out_otherwise_is_named(filled: Make, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (case_id,) = filled(1)
    assert {view.state for view in replay(home, case_id)} == {"first"}
    assert {view.state for view in replay(home, case_id)} == {"same"}
    monkeypatch.setattr("tracehound.tools.evidence.exports.timesketch.MAX_BYTES", 100)
    states = {view.format: view.state for view in replay(home, case_id)}
    assert states.pop("timesketch") == "differs"
    assert set(states.values()) == {"same"}


def test_a_note_makes_new_views_and_leaves_the_old_ones_known(filled: Make, home: Path) -> None:
    (case_id,) = filled(1)
    before = replay(home, case_id)
    with Case.open(home, case_id) as case:
        case.add_note("eve", "one more")
    after = replay(home, case_id)
    assert {view.state for view in after} == {"first"}
    assert {view.notes for view in after} == {2}
    changed = {view.format for view, old in zip(after, before, strict=True) if view.sha256 != old.sha256}
    assert {"md", "json", "timesketch", "iris"} <= changed
    assert {view.state for view in replay(home, case_id)} == {"same"}


def test_a_case_that_another_process_writes_can_be_replayed(filled: Make, home: Path) -> None:
    (case_id,) = filled(1)
    with Case.open(home, case_id):
        views = replay(home, case_id)
    assert [view.format for view in views] == list(VIEWS)
    assert all(isinstance(view, View) and view.state == "first" for view in views)
    assert {view.state for view in replay(home, case_id)} == {"first"}


def section(text: str, title: str) -> str:
    return text.partition(f"## {title}\n\n")[2].partition("\n\n## ")[0]


def test_the_next_shift_gets_what_the_case_holds(filled: Make, home: Path) -> None:
    (case_id,) = filled(1)
    waiting = Proposal(
        id="A-1", action="isolate_host", platform="falcon", target={"hostname": "SRV-0"}, reason="two strong signs",
        evidence=(), undo="release_host", status="awaiting_approval", decide_by=datetime(2026, 11, 2, 3, 4, tzinfo=UTC),
    )  # fmt: skip
    with Case.open(home, case_id, write=False) as case:
        text = to_handoff(case, pending=[waiting])
        broken = to_handoff(case, problems=["journal entry 3 was changed"])
        answer = case.last_answer()
    assert answer is not None
    assert "The case is whole." in text
    assert "**The case was changed:** journal entry 3 was changed." in broken
    assert "what ran on SRV-0?: 8 entries told, 1 ruled out, 1 gaps" in section(text, "Asked")
    names = aliases(answer.evidence)
    known, ruled_out = section(text, "Known"), section(text, "Checked and ruled out")
    for entry in answer.timeline:
        place = ruled_out if entry.verdict == "benign" else known
        assert all(f"[{names[name]}]" in place for name in entry.evidence)
    assert "decide by 2026-11-02 03:04:00Z" in section(text, "Waiting for a decision")
    assert "Q2" in section(text, "Not known")
    assert "1 queries failed, the last one Q2: HTTP 500" in section(text, "Platforms that did not answer")
    assert "bob: whoami /all [E1]" in section(text, "Notes by analysts")
    assert "look at SRV-9" in section(text, "Next")


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_hostile_text_is_only_text_in_a_hand_over(
    number: int, home: Path, run: Make, process_row: Make, window: Window
) -> None:
    with Case.open(home, fill(home, number, run, process_row, window), write=False) as case:
        text = to_handoff(case)
    text.encode()
    assert not any(ord(char) < 32 and char != "\n" for char in text)
    assert "\u202e" not in text
    assert {line for line in text.splitlines() if line.startswith("#")} <= {
        f"# Hand-over of case `{case.id}`",
        *(f"## {title}" for title in ("Asked", "Known", "Checked and ruled out", "Not known", "Notes by analysts", "Next",
                                      "Platforms that did not answer")),
    }  # fmt: skip
    assert "<script>" not in text.replace("`<script>x</script>", "")
