from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from starlette.responses import JSONResponse

from tracehound.knowledge.errors import (
    RefusedQueryError,
    VendorAuthError,
    VendorError,
    VendorRefusedError,
    VendorResponseError,
    VendorUnavailableError,
)
from tracehound.tools.languages.query import Language, Platform
from tracehound.tools.vendors.sentinelone import SentinelOne
from tracehound.tools.vendors.settings import SentinelOneSettings

pytestmark = pytest.mark.anyio
S1QL, REST = Language.S1QL, Language.REST


@pytest.fixture
async def reader(sentinelone: Any, time: Any, secret: str) -> AsyncIterator[SentinelOne]:
    settings = SentinelOneSettings(base_url=sentinelone.url, api_token=secret, site_ids=("7", "8"))  # type: ignore[arg-type]
    reader = SentinelOne(settings, httpx.AsyncClient(transport=sentinelone.transport()), time.clock)
    yield reader
    await reader.aclose()


@pytest.fixture
def events(ask: Any) -> Any:
    return ask(Platform.SENTINELONE, S1QL, "events", 'ProcessName ContainsCIS "powershell"')


async def test_events_of_a_window(reader: SentinelOne, sentinelone: Any, events: Any, time: Any) -> None:
    sentinelone.events.reverse()
    run = await reader.run(events)
    assert [row["id"] for row in run.rows] == [str(n) for n in range(30)]
    assert (run.coverage.total, run.coverage.complete, run.vendor_request_id) == (30, True, "q-1")
    (sent,) = sentinelone.named("start")
    assert sent["query"] == events.text
    assert sent["fromDate"] == "2026-03-01T12:00:00.000000Z"
    assert sent["toDate"] == "2026-03-02T12:00:00.000000Z"
    assert sent["siteIds"] == ["7", "8"]
    assert sentinelone.named("cancel") == []


async def test_events_are_paged(reader: SentinelOne, sentinelone: Any, ask: Any) -> None:
    sentinelone.events = [{"id": str(n), "eventTime": None} for n in range(2500)]
    run = await reader.run(ask(Platform.SENTINELONE, S1QL, "events", "x", limit=5000))
    assert (len(run.rows), run.coverage.pages, run.coverage.complete) == (2500, 3, True)
    limited = await reader.run(ask(Platform.SENTINELONE, S1QL, "events", "x", limit=1200))
    assert limited.coverage.because == "row limit 1200 reached, 2500 matches"
    assert len(limited.rows) == 1200


async def test_the_cap_of_20000_is_told(reader: SentinelOne, sentinelone: Any, ask: Any) -> None:
    sentinelone.events = [{"id": str(n)} for n in range(20_000)]
    run = await reader.run(ask(Platform.SENTINELONE, S1QL, "events", "x", limit=50_000))
    assert len(run.rows) == 20_000
    assert "20000" in str(run.coverage.because)


async def test_queries_queue_for_their_minute_and_polls_for_their_second(
    reader: SentinelOne, sentinelone: Any, events: Any, time: Any
) -> None:
    start = time.now()
    runs = []

    async def one() -> None:
        runs.append(await reader.run(events))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(one)
    assert len(runs) == 3
    assert sum(run.coverage.retries for run in runs) == 0, "nobody was refused"
    assert 120 <= (time.now() - start).total_seconds() < 300


async def test_another_process_that_took_the_minute_is_waited_for(
    reader: SentinelOne, sentinelone: Any, events: Any, time: Any
) -> None:
    sentinelone.last_start = time.now()
    run = await reader.run(events)
    assert run.coverage.retries == 1
    assert run.coverage.complete
    assert (await reader.run(events)).coverage.retries == 0, "the minute counts from the start that was let through"


async def test_who_queues_behind_a_refused_start_is_not_refused(
    reader: SentinelOne, sentinelone: Any, events: Any, time: Any
) -> None:
    sentinelone.last_start = time.now()
    retries = []

    async def one() -> None:
        retries.append((await reader.run(events)).coverage.retries)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(one)
    assert retries == [1, 0, 0]


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ({"responseState": "FAILED", "responseError": "could not parse query"}, VendorRefusedError),
        ({"responseState": "ERROR"}, VendorRefusedError),
        ({"responseState": "QUERY_EXPIRED"}, VendorUnavailableError),
        ({"responseState": "RUNNING"}, VendorUnavailableError),
    ],
)
async def test_queries_that_do_not_finish_are_errors_and_cancelled(
    state: dict[str, Any], kind: type[VendorError], reader: SentinelOne, sentinelone: Any, events: Any
) -> None:
    sentinelone.state = state
    with pytest.raises(kind, match=state.get("responseError", "SentinelOne")) as caught:
        await reader.run(events)
    assert caught.value.request_id == "q-1"
    assert len(sentinelone.named("cancel")) == 1


@pytest.mark.parametrize(
    ("state", "because"),
    [
        ({"warnings": ["too much data"]}, "too much data"),
        ({"warnings": {"message": "cut"}}, "cut"),
        ({"responseState": "TIMED_OUT", "progressStatus": 60}, "60 %"),
    ],
)
async def test_signs_of_a_partial_result(
    state: dict[str, Any], because: str, reader: SentinelOne, sentinelone: Any, events: Any
) -> None:
    sentinelone.state = state
    run = await reader.run(events)
    assert len(run.rows) == 30
    assert not run.coverage.complete
    assert because in str(run.coverage.because)


async def test_no_events_over_a_complete_query(reader: SentinelOne, sentinelone: Any, events: Any) -> None:
    sentinelone.events, sentinelone.states = [], ["EMPTY_RESULTS"]
    run = await reader.run(events)
    assert (run.rows, run.coverage.complete, run.coverage.total) == ((), True, 0)


async def test_a_wrong_token_is_said(reader: SentinelOne, sentinelone: Any, events: Any, secret: str) -> None:
    sentinelone.faults["start"] = [sentinelone.error(401, f"Authentication Failed for {secret}")]
    with pytest.raises(VendorAuthError, match="TRACEHOUND_SENTINELONE_API_TOKEN") as caught:
        await reader.run(events)
    assert secret not in str(caught.value)


async def test_errors_with_status_200(reader: SentinelOne, sentinelone: Any, events: Any) -> None:
    sentinelone.faults["start"] = [sentinelone.error(200, "could not parse query", 4000040)]
    with pytest.raises(VendorRefusedError, match="could not parse"):
        await reader.run(events)
    body = {"data": sentinelone.threats, "errors": [{"code": 5000010, "detail": "one site failed"}]}
    sentinelone.faults["events"] = [JSONResponse(body)]
    run = await reader.run(events)
    assert "one site failed" in str(run.coverage.because)


@pytest.mark.parametrize("body", [{}, {"data": {}}, {"data": {"queryId": 7}}, {"data": "x"}])
async def test_an_answer_of_another_shape(body: Any, reader: SentinelOne, sentinelone: Any, events: Any) -> None:
    sentinelone.faults["start"] = [JSONResponse(body)]
    with pytest.raises(VendorResponseError):
        await reader.run(events)


# lists


async def test_a_list_request(reader: SentinelOne, sentinelone: Any, ask: Any) -> None:
    text = "GET /threats?createdAt__gte=2026-03-01T00%3A00%3A00Z&resolved=false&cursor=99&sortOrder=desc"
    run = await reader.run(ask(Platform.SENTINELONE, REST, "threats", text, limit=5))
    assert (len(run.rows), run.coverage.because) == (5, "row limit 5 reached, 7 matches")
    (sent,) = sentinelone.named("threats")
    expected = {"createdAt__gte": "2026-03-01T00:00:00Z", "resolved": "false", "limit": "5", "sortOrder": "desc"}
    assert sent.items() >= expected.items()
    assert sent["siteIds"] == "7,8"
    assert "cursor" not in sent


async def test_agents(reader: SentinelOne, ask: Any) -> None:
    run = await reader.run(ask(Platform.SENTINELONE, REST, "agents", "GET /agents"))
    assert len(run.rows) == 3
    assert run.coverage.complete


@pytest.mark.parametrize(
    "text",
    [
        "POST /threats/mitigate/kill",
        "GET /threats/1/notes",
        "GET /agents?x=1",
        "GET https://evil.test/threats",
        "GET //evil.test/threats",
        "DELETE /threats",
        "",
    ],
)
async def test_nothing_but_its_own_list_is_read(text: str, reader: SentinelOne, sentinelone: Any, ask: Any) -> None:
    with pytest.raises(RefusedQueryError):
        await reader.run(ask(Platform.SENTINELONE, REST, "threats", text))
    assert sentinelone.calls == []


async def test_a_threat_by_id(reader: SentinelOne, sentinelone: Any) -> None:
    wanted = sentinelone.threats[3]
    assert await reader.find_alert(wanted["id"]) == (Platform.SENTINELONE, "threats", wanted)
    assert await reader.find_alert("99999999") is None
    sentinelone.calls.clear()
    for other in ("c1:ind:a:1", "1,2", "", "12a"):
        assert await reader.find_alert(other) is None
    assert sentinelone.calls == []


async def test_the_probe(reader: SentinelOne, sentinelone: Any) -> None:
    sentinelone.faults["agents"] = [sentinelone.error(403, "no permission")]
    probes = await reader.probe()
    assert [probe.ok for probe in probes] == [True, False]
    assert "Endpoints: View" in probes[1].detail
    assert sentinelone.named("start") == []
