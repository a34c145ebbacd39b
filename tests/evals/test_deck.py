"""Running decks: from the file to the report, again from recorded traffic, and comparing runs."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tracehound.agent import Settings
from tracehound.evals.deck import read_deck
from tracehound.evals.deck_run import DeckJob, run_deck
from tracehound.evals.harness import run_suites
from tracehound.evals.lab.lab import Lab
from tracehound.evals.reports import difference, group_tables, regressions, report_of, summary
from tracehound.evals.suites import read_seeds, read_suites
from tracehound.knowledge.errors import ContentError, RecordingError, UsageError

pytestmark = pytest.mark.anyio
ITEMS: list[dict[str, Any]] = [
    {"id": "a1", "domain": "endpoint", "kind": "respond", "turns": ["isolate WS-042Q"], "declined": True,
     "no_proposal": True},
    {"id": "a2", "domain": "mixed", "kind": "offtopic", "turns": ["will it rain in Lisbon on Sunday?"], "declined": True},
    {"id": "a3", "domain": "identity", "kind": "respond", "turns": ["isolate WS-042Q", "isolate DC-01"],
     "facts": [["protected"]], "no_proposal": True, "proposal": {"action": "isolate_host", "target": "DC-01"}},
    {"id": "a4", "domain": "mixed", "kind": "search", "turns": ["will it rain in Lisbon on Sunday?"], "facts": [["rain"]]},
    {"id": "a5", "domain": "mixed", "kind": "search", "turns": ["  "], "facts": [["rain"]]},
]  # fmt: skip


@pytest.fixture
def deck(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in ITEMS), encoding="utf-8")
    return path


async def test_a_deck_from_file_to_report_and_again_without_the_lab(
    home: Path, lab: Lab, deck: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    report = await run_suites([str(deck)], Settings(), out=out, seeds=(2,), traffic="record", workers=1)
    outcomes = {row["case"]: row["outcome"] for row in report["cases"]}
    assert outcomes == {"a1": "right", "a2": "right", "a3": "right", "a4": "declined", "a5": "wrong"}
    assert report["by"]["domain"]["mixed"] == {"right": 1, "partly": 0, "wrong": 1, "declined": 1, "error": 0}
    assert [table.row_count for table in group_tables(report)] == [3, 3]
    assert summary(report).startswith("mine: right 0.60 wrong 0.20 declined 0.20 of 5")
    rows = {row["case"]: row for row in report["cases"]}
    assert rows["a5"]["missing"][0].startswith("exit 2: UsageError")
    assert lab.names["DC-01"] in rows["a3"]["question"], "a world is asked in its own names"

    transcript = json.loads((out / "mine.a3.seed-2.json").read_text(encoding="utf-8"))
    first, last = transcript["turns"]
    assert first["question"].startswith("isolate ")
    assert last["answer"]
    assert last["exit"] == 6
    assert {"language", "text", "status"} <= set((first["queries"] or last["queries"])[0])
    assert transcript["answer"]["case"] == transcript["case_id"]

    monkeypatch.setattr(Lab, "open", lambda *_, **__: pytest.fail("a replay opens no lab"))
    monkeypatch.setattr(Lab, "create", lambda *_, **__: pytest.fail("a replay makes no lab"))
    again = await run_suites([str(deck)], Settings(), out=out, seeds=(2,), traffic="replay", workers=1)
    assert {row["case"]: row["outcome"] for row in again["cases"]} == outcomes
    same = json.loads((out / "mine.a3.seed-2.json").read_text(encoding="utf-8"))
    assert [turn["queries"] for turn in same["turns"]] == [turn["queries"] for turn in transcript["turns"]]


async def test_what_was_not_recorded_is_not_made_up(home: Path, deck: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"out": tmp_path / "out", "seeds": (2,), "workers": 1, "only": frozenset({"a1"})}
    await run_suites([str(deck)], Settings(), traffic="record", **options)
    (tape,) = (tmp_path / "out" / "traffic").iterdir()
    with gzip.open(tape, "rt", encoding="utf-8") as file:
        world = file.readline()
    with gzip.open(tape, "wt", encoding="utf-8") as file:
        file.write(world)
    report = await run_suites([str(deck)], Settings(), traffic="replay", **options)
    assert report["cases"][0]["outcome"] == "wrong"
    assert "RecordingError: the recording holds no answer to this query" in report["cases"][0]["missing"][0]
    tape.write_bytes(b"not a tape")
    with pytest.raises(RecordingError, match="--record"):
        await run_suites([str(deck)], Settings(), traffic="replay", **options)
    with pytest.raises(UsageError, match="-o DIR"):
        await run_suites([str(deck)], Settings(), traffic="replay")


async def test_several_workers_answer_like_one(home: Path, lab: Lab, deck: Path) -> None:
    jobs = [DeckJob("mine", item, 2, 1, Settings(), lab.directory) for item in read_deck(deck)]
    told: list[str] = []
    alone, together = await run_deck(jobs, 1), await run_deck(jobs, 2, told.append)
    assert [(row["id"], row["missing"]) for row in alone] == [(row["id"], row["missing"]) for row in together]
    assert len(told) == len(jobs)


def row(name: str, outcome: str, wall: int = 500) -> dict[str, Any]:
    usage = {"queries": 1, "model_calls": 1, "input_tokens": 10, "output_tokens": 0}
    return {"id": name, "suite": "s", "outcome": outcome, "error": None, "measures": [], "wall_ms": wall, **usage}


def test_a_regression_is_a_case_that_became_worse() -> None:
    old = report_of([row("a", "right"), row("b", "declined"), row("c", "wrong"), row("gone", "right")], ["s"], "m", 1)
    new = report_of([row("a", "partly", 1500), row("b", "right", 1500), row("c", "error", 700)], ["s"], "m", 1)
    assert regressions(old, new) == ["a: right -> partly"]
    assert regressions(new, new) == []
    assert difference(old, new).splitlines()[-1] == "medians: 0.5 -> 1.5 s, 10 -> 10 input tokens, 1 -> 1 queries"


def test_the_deck_of_our_own_is_a_suite() -> None:
    suite, cases = read_suites()["deck"]
    assert suite.deck is not None
    assert len(read_deck(Path(suite.deck))) == 50
    assert cases == ()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "b", "domain": "sea", "kind": "k", "turns": ["x"]}', "domain"),
        ('{"id": "b", "domain": "cloud", "kind": "k", "turns": []}', "turns"),
        ('{"id": "b", "domain": "cloud", "kind": "k", "turns": ["x"], "fact": []}', "fact"),
        ('{"id": "a", "domain": "cloud", "kind": "k", "turns": ["x"]}', "twice"),
        ("{", "JSON"),
    ],
)
def test_a_broken_deck_is_named_with_its_line(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"id": "a", "domain": "cloud", "kind": "k", "turns": ["x"]}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(ContentError) as caught:
        read_deck(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert says in str(caught.value)


def test_seeds_as_a_person_writes_them() -> None:
    assert read_seeds("0,7") == (0, 7)
    assert read_seeds("0-2, 9") == (0, 1, 2, 9)
    with pytest.raises(UsageError, match="0-5"):
        read_seeds("some")
