"""What the benches of whole processes measure and print."""

from pathlib import Path

import pytest

from tracehound.evals.bench.ask import chosen, library_questions, shown
from tracehound.evals.bench.processes import ASKING, IMPORTING, Cost, cost_of
from tracehound.evals.reports import percentile
from tracehound.knowledge.errors import UsageError


def test_a_process_tells_its_own_time_and_memory(tmp_path: Path) -> None:
    idle = cost_of(IMPORTING, home=tmp_path)
    busy = cost_of("block = bytearray(300_000_000)\nsum(range(6_000_000))", home=tmp_path)
    assert idle.code == busy.code == 0
    assert busy.cpu > idle.cpu > 0
    assert not busy.peak or busy.peak > idle.peak + 200_000_000
    assert busy.wall > 0


def test_a_command_runs_as_it_does_from_a_shell(tmp_path: Path) -> None:
    good = cost_of(ASKING, ("--version",), home=tmp_path)
    assert (good.code, good.output.startswith("tracehound ")) == (0, True)
    bad = cost_of(ASKING, ("ask", ""), home=tmp_path)
    assert bad.code == 2
    assert bad.cpu > 0, "an exit code is no reason not to be measured"


def test_questions_are_spread_over_what_there_is() -> None:
    assert chosen("abcdefghij", 5) == list("acegi")
    assert chosen("ab", 5) == ["a", "b"]
    with pytest.raises(UsageError, match="no question"):
        chosen([], 5)
    assert len(library_questions()) > 20


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile(list(range(1, 101)), 0.95) == 95
    assert percentile([7.0], 0.95) == 7.0


def test_the_table_compares_with_the_bare_import() -> None:
    text = shown([Cost(1.0, 0.5, 0, 0, "")], [Cost(4.0, 3.0, 0, 0, "")])
    assert "question, wall s             4.00     4.00" in text
    assert "medians: 6" in text
