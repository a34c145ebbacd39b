"""The drawn views on a terminal: what they show, and that evidence cannot steer the terminal through them."""

import io
import re
from datetime import UTC, datetime, timedelta

from rich.console import Console, RenderableType

from tracehound.agent.drawing import SHOWN, graph_view, hypotheses_view, lanes, tree_view
from tracehound.tools.evidence.hypotheses import weigh
from tracehound.tools.evidence.movement import movement
from tracehound.tools.evidence.process_tree import process_tree
from tracehound.tools.evidence.records import Answer, Evidence, TimelineEntry

START = datetime(2026, 11, 1, 8, tzinfo=UTC)
HOSTILE = "a\x1b]0;owned\x07\x1b[2Jb\x9b31m[bold]c[/bold][link=http://evil.example]d\u202egpj\nline\U000e0041"


def answer(text: str, number: int = 2) -> Answer:
    rows = [
        Evidence(
            id=f"E-{n:012x}", alias=f"E{n}", query="Q1", platform="falcon", time=START + timedelta(minutes=n), host=text,
            user=text,
            event_class="process_activity" if n % 2 else "authentication", raw={}, sha256=f"{n:064x}",
            fields={
                "process.name": text, "process.cmd_line": text, "process.pid": n, "actor.process.name": text,
                "activity": "Launch",
            } if n % 2 else {
                "activity": "Logon", "user.name": text, "logon_type": text,
                "src_endpoint.ip": f"10.0.{n // 250}.{n % 250 + 1}",
            },
        )
        for n in range(1, number + 1)
    ]  # fmt: skip
    entries = [
        TimelineEntry(time=row.time or START, text=text, evidence=(row.id,), hosts=(text,), techniques=("T1059.001",))
        for row in rows
    ]
    return Answer(
        case="c-1", question=text, model="m", estate="lab", window=None, route="search",
        evidence=tuple(rows), timeline=tuple(entries),
    )  # fmt: skip


def views(of: Answer) -> list[RenderableType]:
    evidence = {row.id: row for row in of.evidence}
    drawn = lanes(of.timeline)
    assert drawn is not None
    return [
        drawn, tree_view(process_tree(of), evidence), graph_view(movement(of), evidence),
        hypotheses_view(weigh(of), evidence),
    ]  # fmt: skip


def printed(view: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, force_terminal=True, width=120, highlight=False, color_system="standard").print(view)
    return out.getvalue()


def test_evidence_does_not_steer_the_terminal() -> None:
    for view in views(answer(HOSTILE)):
        shown = printed(view)
        # What remains of escapes is rich's own: colours and weights, which end in m.
        without_colours = re.sub(r"\x1b\[[0-9;]*m", "", shown)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\U000e0041]", without_colours), view
        assert "\x1b]8" not in shown
    tree = printed(views(answer(HOSTILE))[1])
    assert "\\x1b]0;owned\\x07" in tree
    assert "[bold]c[/bold]" in re.sub(r"\x1b\[[0-9;]*m", "", tree)


def test_a_lane_is_no_wider_than_its_frame_however_time_runs() -> None:
    made = answer("host", 2)
    for minutes in (0.01, 1, 60, 100_000):
        second = made.timeline[1].model_copy(
            update={"time": START + timedelta(minutes=minutes), "until": START + timedelta(minutes=minutes * 3)}
        )
        drawn = lanes([made.timeline[0].model_copy(update={"time": START}), second])
        assert drawn is not None
        assert all(len(line) <= 120 for line in re.sub(r"\x1b\[[0-9;]*m", "", printed(drawn)).splitlines())
    assert lanes(made.timeline[:1]) is None
    assert lanes([]) is None


def test_what_is_too_much_is_counted() -> None:
    made = answer("x", 2 * SHOWN + 20)
    evidence = {row.id: row for row in made.evidence}
    assert "further movements" in printed(graph_view(movement(made), evidence))
    assert "further processes" in printed(tree_view(process_tree(made), evidence))
