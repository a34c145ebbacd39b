"""Why a claim is shown: what an asked hunt recognises, what the question names, and what is tied to either."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from tracehound.tools.evidence.claims import claim_for
from tracehound.tools.evidence.event import Event
from tracehound.tools.evidence.records import CheckRecord, Claim, Evidence, QueryRecord, WindowRecord
from tracehound.tools.evidence.relevance import UNTIED
from tracehound.tools.evidence.verify import verify
from tracehound.tools.library import HuntLibrary

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
EARLIER = QueryRecord(
    id="Q1", platform="falcon", language="cql", collection="events", text="x", check=CheckRecord(ok=True), status="ok",
    rows=9, complete=True, window=WindowRecord(start=NOON, end=NOON + timedelta(days=1)),
)  # fmt: skip
"""A query of an earlier question, which no hunt made: only what hunts recognise in its rows can say what they are."""
DUMP = "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 712 C:\\x.dmp full"
SHADOWS = "vssadmin.exe delete shadows /all /quiet"
STRANGERS = {
    "recognised by a hunt that was not asked for": SHADOWS,
    "recognised by several that were not asked for": "wevtutil.exe cl Security",
    "recognised by none": "notepad.exe C:\\todo.txt",
}


def launch(number: int, command: str, host: str, account: str) -> Evidence:
    fields = {
        "activity": "Launch", "process.name": command.partition(" ")[0], "process.cmd_line": command,
        "actor.process.name": "cmd.exe", "actor.user.name": account, "device.hostname": host,
    }  # fmt: skip
    return Evidence(
        id=f"E-{number:012x}", alias=f"E{number}", query="Q1", platform="falcon", collection="events",
        time=NOON + timedelta(hours=number), host=host, user=account, event_class="process_activity", fields=fields,
        raw={}, sha256=f"{number:064x}",
    )  # fmt: skip


def judged(question: str, rows: Sequence[Evidence], hunts: Sequence[str] = ()) -> list[Claim]:
    claims = [claim_for([Event.of(row)], claim_id=f"C{at}", queries=["Q1"]) for at, row in enumerate(rows, 1)]
    return verify(claims, rows, [EARLIER], question=question, hunts=hunts, library=HuntLibrary.load())[0]


ASKED = pytest.mark.parametrize(
    ("question", "hunts"),
    [("Which hosts had their credentials dumped?", ["credential-access.lsass"]), ("Was lsass dumped anywhere?", [])],
    ids=["by its hunt", "by its words"],
)


@ASKED
@pytest.mark.parametrize("command", STRANGERS.values(), ids=STRANGERS)
def test_what_no_asked_hunt_recognises_and_nothing_ties_is_beside_the_point(
    command: str, question: str, hunts: list[str]
) -> None:
    asked, stranger = judged(question, [launch(1, DUMP, "SRV-1", "ann"), launch(2, command, "WS-2", "bob")], hunts)
    assert asked.verified
    assert asked.why_shown.startswith("asked: ")
    assert not stranger.verified
    assert (stranger.why_not, stranger.why_shown) == (UNTIED, "")


@pytest.mark.parametrize(
    ("host", "account", "why"), [("SRV-1", "bob", "same host as C1"), ("WS-2", "ann", "same account as C1")]
)
def test_the_same_row_is_shown_once_something_ties_it(host: str, account: str, why: str) -> None:
    _, tied = judged("Was lsass dumped anywhere?", [launch(1, DUMP, "SRV-1", "ann"), launch(2, SHADOWS, host, account)])
    assert tied.verified
    assert tied.why_shown == why


def test_the_same_row_is_shown_once_its_own_hunt_is_asked_for() -> None:
    rows = [launch(1, DUMP, "SRV-1", "ann"), launch(2, SHADOWS, "WS-2", "bob")]
    _, found = judged("What happened?", rows, ["credential-access.lsass", "impact.recovery-inhibited"])
    assert found.verified
    assert found.why_shown.startswith("asked: ")
