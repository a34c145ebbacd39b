from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from tracehound.knowledge.errors import (
    RefusedQueryError,
    VendorAuthError,
    VendorError,
    VendorRateLimitError,
    VendorRefusedError,
    VendorResponseError,
    VendorUnavailableError,
)
from tracehound.tools.languages.query import Check, Diagnostic, Language, Platform
from tracehound.tools.vendors.falcon import Falcon
from tracehound.tools.vendors.falcon_api import REGIONS
from tracehound.tools.vendors.settings import FalconSettings

pytestmark = pytest.mark.anyio
FQL, CQL = Language.FQL, Language.CQL


@pytest.fixture
async def reader(falcon: Any, time: Any, secret: str) -> AsyncIterator[Falcon]:
    settings = FalconSettings(base_url=falcon.url, client_id="id-1", client_secret=secret)  # type: ignore[arg-type]
    reader = Falcon(settings, httpx.AsyncClient(transport=falcon.transport()), time.clock)
    yield reader
    await reader.aclose()


@pytest.fixture
def alerts(ask: Any) -> Any:
    return ask(Platform.FALCON, FQL, "alerts", "severity:>60")


@pytest.fixture
def events(ask: Any) -> Any:
    return ask(Platform.FALCON, CQL, "events", "#event_simpleName=ProcessRollup2")


async def test_alerts_come_whole_in_order_with_their_coverage(reader: Falcon, falcon: Any, alerts: Any) -> None:
    run = await reader.run(alerts)
    assert [row["composite_id"] for row in run.rows] == [row["composite_id"] for row in falcon.alerts]
    assert (run.status, run.vendor_request_id, run.coverage.complete) == ("ok", "trace-1", True)
    assert (run.coverage.rows, run.coverage.total, run.coverage.pages, run.coverage.retries) == (25, 25, 1, 0)
    assert run.coverage.window == alerts.window
    assert run.started is not None
    sent = falcon.named("alerts")[0]
    assert sent["filter"] == "severity:>60"
    assert sent["sort"] == "created_timestamp|asc"


async def test_alerts_are_paged_by_the_after_token(
    reader: Falcon, falcon: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    falcon.alerts = [dict(falcon.alerts[0], composite_id=f"c:ind:a:{n:05}") for n in range(2300)]
    run = await reader.run(ask(Platform.FALCON, FQL, "alerts", "", limit=5000))
    assert run.coverage.pages == 3
    assert len({row["composite_id"] for row in run.rows}) == 2300
    assert run.coverage.complete
    assert [call.get("after") for call in falcon.named("alerts")] == [None, "1000", "2000"]
    assert "filter" not in falcon.named("alerts")[0]


async def test_the_row_limit_is_told(reader: Falcon, falcon: Any, ask: Any) -> None:
    run = await reader.run(ask(Platform.FALCON, FQL, "alerts", "", limit=10))
    assert (len(run.rows), run.coverage.total, run.coverage.complete) == (10, 25, False)
    assert run.coverage.because == "row limit 10 reached, 25 matches"


async def test_a_vendor_that_stops_early_is_noticed(reader: Falcon, falcon: Any, alerts: Any) -> None:
    short = {"meta": {"pagination": {"total": 12_345}}, "resources": falcon.alerts, "errors": []}
    falcon.faults["alerts"] = [JSONResponse(short)]
    run = await reader.run(alerts)
    assert run.coverage.because == "the vendor counts 12345 matches and sent 25"


async def test_exactly_the_window_of_rows_is_suspect(reader: Falcon, falcon: Any, ask: Any) -> None:
    falcon.alerts = [{"composite_id": str(n)} for n in range(10_000)]
    run = await reader.run(ask(Platform.FALCON, FQL, "alerts", "", limit=20_000))
    assert len(run.rows) == 10_000
    assert not run.coverage.complete
    assert "window" in str(run.coverage.because)


async def test_a_cursor_that_does_not_move_ends_the_run(reader: Falcon, falcon: Any, ask: Any) -> None:
    stuck = {"meta": {"pagination": {"total": 99, "after": "same"}}, "resources": falcon.alerts[:1]}
    falcon.faults["alerts"] = [JSONResponse(stuck) for _ in range(9)]
    run = await reader.run(ask(Platform.FALCON, FQL, "alerts", ""))
    assert run.coverage.pages == 2
    assert "did not move" in str(run.coverage.because)


async def test_hosts_are_paged_by_next_and_come_sorted(
    reader: Falcon, falcon: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tracehound.tools.vendors import falcon as module

    listing = module._LISTINGS["hosts"]
    small = type(listing)(listing.operation, 5, *(getattr(listing, n) for n in ("sort", "order", "next_key", "cursor")))
    monkeypatch.setattr(module, "_LISTINGS", {**module._LISTINGS, "hosts": small})
    run = await reader.run(ask(Platform.FALCON, FQL, "hosts", "hostname:'HOST*'"))
    assert [row["hostname"] for row in run.rows] == [f"HOST-{n:02}" for n in range(12)]
    assert run.coverage.pages == 3


async def test_vulnerabilities(reader: Falcon, ask: Any) -> None:
    run = await reader.run(ask(Platform.FALCON, FQL, "vulnerabilities", "status:'open'"))
    assert len(run.rows) == 4
    assert run.coverage.complete


# errors with HTTP 200, and others


async def test_errors_beside_rows_make_the_run_incomplete(reader: Falcon, falcon: Any, alerts: Any) -> None:
    body = {
        "meta": {"pagination": {"total": 25}},
        "resources": falcon.alerts,
        "errors": [{"code": 500, "message": "shard"}],
    }
    falcon.faults["alerts"] = [JSONResponse(body)]
    run = await reader.run(alerts)
    assert len(run.rows) == 25
    assert not run.coverage.complete
    assert "500 shard" in str(run.coverage.because) or "shard" in str(run.coverage.because)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, VendorRefusedError),
        (403, VendorAuthError),
        (429, VendorRateLimitError),
        (500, VendorUnavailableError),
        (0, VendorResponseError),
    ],
)
async def test_errors_without_rows_are_errors(
    code: int, kind: type[VendorError], reader: Falcon, falcon: Any, alerts: Any
) -> None:
    falcon.faults["alerts"] = [JSONResponse({"resources": [], "errors": [{"code": code, "message": "invalid filter"}]})]
    with pytest.raises(kind, match="invalid filter"):
        await reader.run(alerts)


@pytest.mark.parametrize("body", [{"meta": {}}, {"resources": "x"}, {"resources": [1]}])
async def test_an_answer_of_another_shape_is_an_error(body: Any, reader: Falcon, falcon: Any, alerts: Any) -> None:
    falcon.faults["alerts"] = [JSONResponse(body)]
    with pytest.raises(VendorResponseError, match="resources"):
        await reader.run(alerts)


async def test_a_missing_scope_is_named(reader: Falcon, falcon: Any, alerts: Any) -> None:
    falcon.faults["alerts"] = [falcon.error(403, "access denied, authorization failed")]
    with pytest.raises(VendorAuthError, match="Alerts:read") as caught:
        await reader.run(alerts)
    assert caught.value.exit_code == 3
    assert len(falcon.named("alerts")) == 1


async def test_throttling_with_an_epoch_header(reader: Falcon, falcon: Any, alerts: Any, time: Any) -> None:
    moment = str(int(time.now().timestamp()) + 9)
    falcon.faults["alerts"] = [falcon.error(429, "slow down", **{"X-RateLimit-RetryAfter": moment})]
    run = await reader.run(alerts)
    assert run.coverage.retries == 1
    assert time.slept == [9.0]


async def test_a_burst_of_503(reader: Falcon, falcon: Any, alerts: Any) -> None:
    falcon.faults["alerts"] = [Response(status_code=503), Response(status_code=503)]
    run = await reader.run(alerts)
    assert (run.coverage.retries, run.coverage.complete) == (2, True)


@pytest.mark.parametrize("fault", [HTMLResponse("<html>Sign in</html>"), Response('{"meta": {"tr')])
async def test_a_200_that_is_not_json(fault: Response, reader: Falcon, falcon: Any, alerts: Any) -> None:
    falcon.faults["alerts"] = [fault]
    with pytest.raises(VendorResponseError):
        await reader.run(alerts)


# tokens and regions


async def test_an_expired_token_is_renewed_once(reader: Falcon, falcon: Any, alerts: Any) -> None:
    await reader.run(alerts)
    falcon.tokens.clear()
    run = await reader.run(alerts)
    assert run.coverage.complete
    assert falcon.issued == 2


async def test_a_token_is_renewed_before_it_ends(reader: Falcon, falcon: Any, alerts: Any, time: Any) -> None:
    await reader.run(alerts)
    await time.sleep(0.85 * 1799 + 1)
    await reader.run(alerts)
    assert falcon.issued == 2


async def test_a_wrong_key_is_said_in_one_sentence(falcon: Any, time: Any, alerts: Any) -> None:
    wrong = "not-the-secret-92"
    settings = FalconSettings(base_url=falcon.url, client_id="id-1", client_secret=wrong)  # type: ignore[arg-type]
    reader = Falcon(settings, httpx.AsyncClient(transport=falcon.transport()), time.clock)
    with pytest.raises(
        VendorAuthError, match=r"TRACEHOUND_FALCON_CLIENT_ID and TRACEHOUND_FALCON_CLIENT_SECRET"
    ) as caught:
        await reader.run(alerts)
    assert wrong not in str(caught.value)
    await reader.aclose()


@pytest.mark.parametrize(("named", "moved"), [("us-2", True), ("us-1", False), ("nowhere", False)])
async def test_the_region_header_moves_the_client_to_its_home(
    named: str, moved: bool, falcon: Any, time: Any, secret: str, alerts: Any
) -> None:
    falcon.region = named
    hosts: list[str] = []

    async def remember(request: httpx.Request) -> None:
        hosts.append(request.url.host)

    settings = FalconSettings(base_url=REGIONS["us-1"], client_id="id-1", client_secret=secret)  # type: ignore[arg-type]
    client = httpx.AsyncClient(transport=falcon.transport(), event_hooks={"request": [remember]})
    reader = Falcon(settings, client, time.clock)
    await reader.run(alerts)
    home = "api.us-2.crowdstrike.com" if moved else "api.crowdstrike.com"
    assert hosts[0] == "api.crowdstrike.com"
    assert set(hosts[1:]) == {home}
    await reader.aclose()


async def test_a_government_region_is_never_moved_to(falcon: Any, time: Any, secret: str, alerts: Any) -> None:
    falcon.region = "us-gov-1"
    settings = FalconSettings(base_url=REGIONS["us-1"], client_id="id-1", client_secret=secret)  # type: ignore[arg-type]
    reader = Falcon(settings, httpx.AsyncClient(transport=falcon.transport()), time.clock)
    with pytest.raises(VendorAuthError, match=r"laggar.*BASE_URL"):
        await reader.run(alerts)
    await reader.aclose()


# the event search


def job(rows: list[dict[str, Any]], **meta: Any) -> dict[str, Any]:
    return {"events": rows, "filterMatches": len(rows), "metaData": {"eventCount": len(rows), **meta}}


def event(n: int) -> dict[str, Any]:
    return {"@timestamp": str(1_772_000_000_000 + n), "@id": f"e{n}", "FileName": "a.exe"}


async def test_events_are_polled_collected_in_order_and_the_job_deleted(
    reader: Falcon, falcon: Any, events: Any, time: Any
) -> None:
    falcon.job, falcon.polls_until_done = job([event(2), event(1), event(3)]), 3
    run = await reader.run(events)
    assert [row["@id"] for row in run.rows] == ["e1", "e2", "e3"]
    assert time.slept == [1.5, 1.5]
    assert falcon.deleted == ["job-1"]
    assert (run.coverage.complete, run.coverage.total, run.vendor_request_id) == (True, 3, "trace-job")
    sent = falcon.named("create")[0]
    assert sent["queryString"] == events.text
    assert sent["start"] == int(events.window.start.timestamp() * 1000)
    assert sent["end"] == int(events.window.end.timestamp() * 1000)
    assert sent["isLive"] is False


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"warnings": [{"message": "a node is down"}]}, "a node is down"),
        ({"metaData": {"warnings": ["slow"], "extraData": {}}}, "slow"),
        ({"metaData": {"extraData": {"hasMoreEvents": "true"}}}, "more events"),
        ({"metaData": {"extraData": {"hasMoreEvents": True}}}, "more events"),
    ],
)
async def test_signs_of_a_partial_search(
    more: dict[str, Any], reason: str, reader: Falcon, falcon: Any, events: Any
) -> None:
    falcon.job = job([event(1)]) | more
    run = await reader.run(events)
    assert not run.coverage.complete
    assert reason in str(run.coverage.because)


@pytest.mark.parametrize(
    ("text", "rows", "matches", "limit", "because"),
    [
        ("x=1", 200, 4321, 1000, "row limit 200 reached, 4321 matches"),
        ("x=1 | tail(300)", 300, 300, 1000, "row limit 300 reached, there may be more"),
        ("x=1 | head(limit=300)", 300, 301, 1000, "row limit 300 reached, 301 matches"),
        ("x=1 | tail(5000)", 250, 250, 100, "row limit 100 reached, 250 matches"),
        ("x=1 | tail(5000)", 250, 900, 1000, None),
    ],
)
async def test_caps_of_the_search(
    text: str, rows: int, matches: int, limit: int, because: str | None, reader: Falcon, falcon: Any, ask: Any
) -> None:
    falcon.job = job([event(n) for n in range(rows)]) | {"filterMatches": matches}
    run = await reader.run(ask(Platform.FALCON, CQL, "events", text, limit=limit))
    assert len(run.rows) == min(rows, limit)
    assert run.coverage.because == because


async def test_groups_keep_their_order_and_their_cap_is_told(reader: Falcon, falcon: Any, ask: Any) -> None:
    groups = [{"FileName": str(n), "_count": str(9 - n)} for n in range(3)]
    falcon.job = job(groups, isAggregate=True)
    query = ask(Platform.FALCON, CQL, "events", "groupBy(FileName)")
    run = await reader.run(query)
    assert list(run.rows) == groups
    assert run.coverage.complete
    falcon.job = job([{"FileName": str(n)} for n in range(1500)], isAggregate=True)
    run = await reader.run(ask(Platform.FALCON, CQL, "events", "groupBy(FileName)", limit=5000))
    assert run.coverage.because == "row limit 1500 reached, there may be more"


async def test_a_job_that_the_vendor_lost_is_started_once_more(reader: Falcon, falcon: Any, events: Any) -> None:
    falcon.job = job([event(1)])
    falcon.faults["poll"] = [falcon.error(404, "not found")]
    run = await reader.run(events)
    assert (len(run.rows), run.coverage.retries) == (1, 1)
    assert len(falcon.named("create")) == 2
    falcon.faults["poll"] = [falcon.error(404, "not found") for _ in range(2)]
    with pytest.raises(VendorRefusedError, match="not found"):
        await reader.run(events)


async def test_the_job_is_deleted_when_the_search_fails_or_is_cancelled(
    reader: Falcon, falcon: Any, events: Any, time: Any
) -> None:
    import anyio

    falcon.faults["poll"] = [falcon.error(400, "bad") for _ in range(2)]
    with pytest.raises(VendorRefusedError):
        await reader.run(events)
    assert falcon.deleted == ["job-1"]
    falcon.faults["poll"] = []
    falcon.polls_until_done = 10**6
    with anyio.CancelScope() as scope:

        async def cancel(seconds: float) -> None:
            scope.cancel()
            await anyio.sleep(60)

        object.__setattr__(reader._session.clock, "sleep", cancel)
        await reader.run(events)
    assert scope.cancelled_caught
    assert falcon.deleted == ["job-1", "job-1"]


async def test_a_search_that_never_ends_is_stopped_and_keeps_what_it_has(
    reader: Falcon, falcon: Any, events: Any, time: Any
) -> None:
    falcon.job, falcon.polls_until_done = job([event(1)]), 10**6
    start = time.now()
    run = await reader.run(events)
    assert time.now() - start < timedelta(minutes=6)
    assert len(run.rows) == 1
    assert "stopped after 300 s" in str(run.coverage.because)
    assert falcon.deleted == ["job-1"]


async def test_a_cancelled_search_is_an_error(reader: Falcon, falcon: Any, events: Any) -> None:
    falcon.faults["poll"] = [JSONResponse({"done": True, "cancelled": True, "events": []})]
    with pytest.raises(VendorResponseError, match="cancelled"):
        await reader.run(events)


# the door, alerts by id, the doctor


@pytest.mark.parametrize(
    "check",
    [
        Check(FQL, ok=False, read_only=True, diagnostics=(Diagnostic("syntax", "error", "no such thing", 0, 1),)),
        Check(
            FQL, ok=True, read_only=False, diagnostics=(Diagnostic("not_read_only", "error", "no such thing", 0, 1),)
        ),
        Check(FQL, ok=True, read_only=True, diagnostics=(Diagnostic("unbounded", "warning", "no such thing", 0, 1),)),
    ],
)
async def test_what_is_not_sendable_is_not_sent(check: Check, reader: Falcon, falcon: Any, ask: Any) -> None:
    with pytest.raises(RefusedQueryError, match="no such thing"):
        await reader.run(ask(Platform.FALCON, FQL, "alerts", "x", check=check))
    assert falcon.calls == []


@pytest.mark.parametrize(("language", "collection"), [(FQL, "cases"), (CQL, "alerts"), (Language.KQL, "alerts")])
async def test_what_is_not_known_is_said_so(language: Language, collection: str, reader: Falcon, ask: Any) -> None:
    with pytest.raises(RefusedQueryError, match="not supported yet"):
        await reader.run(ask(Platform.FALCON, language, collection, "x"))


async def test_an_alert_by_id(reader: Falcon, falcon: Any) -> None:
    found = await reader.find_alert("c1:ind:a0007:1")
    assert found == (Platform.FALCON, "alerts", falcon.alerts[7])
    assert await reader.find_alert("c1:ind:a9999:1") is None
    assert await reader.find_alert("ind:a0001:1") == (Platform.FALCON, "alerts", falcon.alerts[1])
    assert falcon.named("alerts")[0]["filter"] == "id:'ind:a0001:1'"
    falcon.calls.clear()
    for other in ("1234567890", "da63-1_2", "", "x' + y", "c1:ind:a'b"):
        assert await reader.find_alert(other) is None
    assert falcon.calls == []
    falcon.faults["alert"] = [falcon.error(404, "unknown")]
    assert await reader.find_alert("c1:ind:a0007:1") is None


async def test_the_probe_names_what_is_missing(reader: Falcon, falcon: Any) -> None:
    falcon.job = job([])
    falcon.faults["vulnerabilities"] = [falcon.error(403, "access denied")]
    probes = await reader.probe()
    assert [(probe.ok, probe.detail.partition(":")[0]) for probe in probes] == [
        (True, "alerts"),
        (True, "hosts"),
        (False, "vulnerabilities"),
        (True, "events"),
    ]
    assert "Vulnerabilities:read" in probes[2].detail
