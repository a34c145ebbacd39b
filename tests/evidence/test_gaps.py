from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tracehound.tools.evidence.case import Case
from tracehound.tools.evidence.gaps import find_gaps
from tracehound.tools.languages.query import Language, Platform
from tracehound.tools.vendors.estate import Coverage


def test_each_kind_of_gap_is_named_with_its_query(
    home: Any, run: Callable[..., Any], query: Callable[..., Any]
) -> None:
    capped = Coverage(rows=2, total=90, complete=False, because="row cap of 2")
    heartbeat = query(Platform.SENTINEL, "Heartbeat", language=Language.KQL)
    with Case.create(home) as case:
        case.add_run(run([], status="error", error="HTTP 503 \x1b[2J", coverage=Coverage(0, None, complete=False)))
        case.add_run(run([], status="unsupported", error="not connected"))
        case.add_run(run([], status="refused", error="it writes"))
        case.add_run(run([{"a": 1}, {"a": 2}], heartbeat, coverage=capped))
        case.add_run(run([{"eventType": "Login", "eventTime": "2026-11-01T10:00:00Z", "endpointName": "x"}]))
        queries, evidence = case.queries(), case.all_evidence()
    window = queries[0].window
    gaps = find_gaps(
        queries,
        evidence,
        window=window,
        now=window.end,
        retention_days={"sentinelone": 0, "sentinel": 30},
        not_queried={"falcon": "--platform left it out"},
        silent_hosts={"LT-3": "no Falcon sensor"},
    )
    found = [(gap.kind, gap.queries) for gap in gaps]
    assert found == [
        ("not_queried", ()),
        ("not_queried", ("Q2",)),
        ("not_queried", ("Q3",)),
        ("failed", ("Q1",)),
        ("capped", ("Q4",)),
        ("retention", ("Q5",)),
        ("no_telemetry", ()),
        ("unparsed", ("Q4",)),
    ]
    text = "\n".join(gap.text for gap in gaps)
    assert "returned 2 of 90 rows and is not complete: row cap of 2" in text
    assert "2 rows of Q4" in text
    assert "\\x1b" in text
    assert "\x1b" not in text


def test_complete_queries_leave_no_gap(home: Any, run: Callable[..., Any], process_row: Callable[..., Any]) -> None:
    with Case.create(home) as case:
        case.add_run(run([process_row()]))
        queries, evidence = case.queries(), case.all_evidence()
    window = queries[0].window
    now = window.end + timedelta(days=1)
    assert find_gaps(queries, evidence, window=window, now=now, retention_days={"sentinelone": 14}) == ()
    assert find_gaps([]) == ()
