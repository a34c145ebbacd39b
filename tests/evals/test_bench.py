from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tracehound.agent import Copilot
from tracehound.evals.bench.bare import bare_graph
from tracehound.evals.bench.measuring import spread
from tracehound.evals.bench.stages import STAGES, Call, Logbook, covered, stage_clock, watched
from tracehound.evals.lab.lab import Lab
from tracehound.tools.languages.query import Check, Language, Platform, Query
from tracehound.tools.languages.search import Window

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 5, 4, tzinfo=UTC)
QUERY = Query(
    Platform.FALCON, Language.FQL, "alerts", "severity:>=60", Window(start=NOW - timedelta(days=1), end=NOW), 10,
    Check(Language.FQL, True, True),
)  # fmt: skip


def test_a_round_is_whatever_overlaps() -> None:
    book = Logbook([Call(QUERY, span) for span in ((5.0, 6.0), (0.0, 2.0), (1.0, 4.0), (4.0, 5.0))])
    assert [[call.span for call in batch] for batch in book.rounds()] == [
        [(0.0, 2.0), (1.0, 4.0)],
        [(4.0, 5.0)],
        [(5.0, 6.0)],
    ]
    assert [call.seconds for call in book.slowest()] == [3.0, 1.0, 1.0]


def test_time_that_spans_cover_counts_once() -> None:
    assert covered([]) == 0
    assert covered([(0, 2), (1, 3), (5, 6), (5, 5.5)]) == 4


def test_spread() -> None:
    assert spread([1.0]) == {"p50": 1.0, "p95": 1.0}
    assert spread([float(number) for number in range(1, 102)]) == {"p50": 51.0, "p95": 96.0}


async def test_stages_and_calls_of_an_ask_are_noted_and_the_bare_graph_repeats_them(lab: Lab, tmp_path: Path) -> None:
    book = Logbook()
    async with Copilot(estate=watched(lab.estate(), book), model="offline", home=tmp_path) as copilot:
        with stage_clock() as clock:
            answer = await copilot.ask(lab.question)
    assert set(STAGES) <= set(clock.spans)
    assert len(clock.spans["search"]) + len(clock.spans["think"]) > len(clock.spans["evidence"]) > 1
    assert len(book.calls) == len(answer.queries)

    repeated = Logbook()
    connected = watched(lab.estate(), repeated)
    rounds = [[call.query for call in batch] for batch in book.rounds()]
    done = await bare_graph(connected, rounds).ainvoke({"round": 0, "rows": 0}, {"recursion_limit": 100})
    await connected.aclose()
    sent = [sorted(call.query.text for call in log.calls) for log in (book, repeated)]
    assert sent[0] == sent[1]
    assert done["rows"] == sum(query.rows for query in answer.queries)
    assert done["round"] == len(rounds)


async def test_nothing_is_noted_outside_of_the_clock(lab: Lab, tmp_path: Path) -> None:
    with stage_clock() as clock:
        pass
    async with Copilot(estate=lab.estate(), model="offline", home=tmp_path) as copilot:
        await copilot.ask("what will the weather be like on Sunday?")
    assert clock.spans == {}
