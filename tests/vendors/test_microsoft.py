from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from tracehound.knowledge.errors import (
    RefusedQueryError,
    VendorAuthError,
    VendorRefusedError,
    VendorResponseError,
    VendorUnavailableError,
)
from tracehound.tools.languages.query import Language, Platform
from tracehound.tools.vendors.microsoft import Microsoft
from tracehound.tools.vendors.settings import MicrosoftSettings

pytestmark = pytest.mark.anyio
KQL = Language.KQL


def settings_of(url: str, secret: str, **more: str) -> MicrosoftSettings:
    urls = dict.fromkeys(("login_url", "loganalytics_url", "graph_url", "mde_url"), url)
    values = urls | {"tenant_id": "t-1", "client_id": "c-1", "client_secret": secret, "workspace_id": "ws-1"} | more
    return MicrosoftSettings.model_validate(values)


@pytest.fixture
async def reader(microsoft: Any, time: Any, secret: str) -> AsyncIterator[Microsoft]:
    client = httpx.AsyncClient(transport=microsoft.transport())
    reader = Microsoft(settings_of(microsoft.url, secret), client, time.clock)
    yield reader
    await reader.aclose()


@pytest.fixture
def sentinel(ask: Any) -> Any:
    return ask(Platform.SENTINEL, KQL, "SigninLogs", "SigninLogs | take 1000")


@pytest.fixture
def defender(ask: Any) -> Any:
    return ask(Platform.DEFENDER, KQL, "DeviceProcessEvents", "DeviceProcessEvents | take 1000")


async def test_a_table_becomes_rows_with_dynamic_columns_as_sent(
    reader: Microsoft, microsoft: Any, sentinel: Any
) -> None:
    run = await reader.run(sentinel)
    assert run.rows == (
        {"TimeGenerated": "2026-03-02T10:00:00Z", "Details": '{"a":1}'},
        {"TimeGenerated": "2026-03-02T11:00:00Z", "Details": None},
    )
    assert (run.coverage.complete, run.coverage.total, run.vendor_request_id) == (True, 2, "ms-1")
    (sent,) = microsoft.named("workspace")
    assert sent["timespan"] == "2026-03-01T12:00:00Z/2026-03-02T12:00:00Z"
    assert sent["query"] == sentinel.text


async def test_hunting_goes_to_graph(reader: Microsoft, microsoft: Any, defender: Any) -> None:
    run = await reader.run(defender)
    assert list(run.rows) == microsoft.results
    assert run.vendor_request_id == "graph-1"
    (sent,) = microsoft.named("hunting")
    assert sent == {"Query": defender.text, "Timespan": "2026-03-01T12:00:00Z/2026-03-02T12:00:00Z"}


async def test_one_token_per_audience(reader: Microsoft, microsoft: Any, sentinel: Any, defender: Any) -> None:
    for query in (sentinel, defender, sentinel, defender):
        await reader.run(query)
    assert [body["scope"] for body in microsoft.named("token")] == [
        "https://api.loganalytics.io/.default",
        "https://graph.microsoft.com/.default",
    ]


async def test_a_partial_error_is_an_incomplete_run(reader: Microsoft, microsoft: Any, sentinel: Any) -> None:
    microsoft.error_beside = {
        "code": "PartialError",
        "message": "There were some errors when processing your query.",
        "details": [
            {
                "code": "EngineError",
                "message": "Something went wrong",
                "innererror": {"code": "-2133196797", "message": "exceed the set limit of 64000000 bytes"},
            }
        ],
    }
    run = await reader.run(sentinel)
    assert len(run.rows) == 2
    assert not run.coverage.complete
    assert run.coverage.total is None
    assert "64000000 bytes" in str(run.coverage.because)


async def test_an_error_without_tables_is_an_error(reader: Microsoft, microsoft: Any, sentinel: Any) -> None:
    microsoft.faults["workspace"] = [microsoft.error(200, "Weird", "no tables")]
    with pytest.raises(VendorResponseError, match="no tables"):
        await reader.run(sentinel)


@pytest.mark.parametrize("tables", [[], [{}], [{"columns": [{"name": "a"}], "rows": [[1, 2]]}], None, [7]])
async def test_a_table_that_does_not_fit_is_an_error(
    tables: Any, reader: Microsoft, microsoft: Any, sentinel: Any
) -> None:
    microsoft.faults["workspace"] = [JSONResponse({"tables": tables})]
    with pytest.raises(VendorResponseError, match="do not fit"):
        await reader.run(sentinel)


@pytest.mark.parametrize(
    ("text", "limit", "because"),
    [
        ("T | take 2", 1000, "row limit 2 reached, there may be more"),
        ("T", 2, "row limit 2 reached, there may be more"),
        ("T", 1, "row limit 1 reached, 2 matches"),
        ("T | take 3", 1000, None),
        ("T | summarize count() by A | top 2 by count_", 1000, "row limit 2 reached, there may be more"),
    ],
)
async def test_row_limits(text: str, limit: int, because: str | None, reader: Microsoft, ask: Any) -> None:
    run = await reader.run(ask(Platform.SENTINEL, KQL, "T", text, limit=limit))
    assert run.coverage.because == because
    assert len(run.rows) == min(2, limit)


async def test_the_caps_of_rows_and_bytes(
    reader: Microsoft, microsoft: Any, sentinel: Any, defender: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "tracehound.tools.vendors.microsoft"
    monkeypatch.setattr(f"{place}.MOST_ROWS", {Platform.SENTINEL: 2, Platform.DEFENDER: 1})
    assert "2 rows came" in str((await reader.run(sentinel)).coverage.because)
    assert "1 rows came" in str((await reader.run(defender)).coverage.because)
    monkeypatch.undo()
    monkeypatch.setattr(f"{place}.MOST_BYTES", 50)
    assert "bytes long" in str((await reader.run(sentinel)).coverage.because)


async def test_a_semantic_error_gives_the_deepest_message(reader: Microsoft, microsoft: Any, sentinel: Any) -> None:
    inner = {"code": "SEM0100", "message": "Failed to resolve column named 'X'"}
    outer = {"innererror": {"code": "SemanticError", "message": "A semantic error occurred.", "innererror": inner}}
    microsoft.faults["workspace"] = [microsoft.error(400, "BadArgumentError", "The request had errors", None, **outer)]
    with pytest.raises(VendorRefusedError, match="Failed to resolve column named 'X'") as caught:
        await reader.run(sentinel)
    assert "The request had errors" not in str(caught.value)


async def test_graph_errors_carry_their_request_id(reader: Microsoft, microsoft: Any, defender: Any) -> None:
    fault = microsoft.error(400, "BadRequest", "Semantic error", None, innerError={"request-id": "r-7"})
    microsoft.faults["hunting"] = [fault]
    with pytest.raises(VendorRefusedError, match="Semantic error") as caught:
        await reader.run(defender)
    assert (caught.value.request_id, caught.value.platform) == ("r-7", "defender")


async def test_a_504_is_not_repeated(reader: Microsoft, microsoft: Any, sentinel: Any) -> None:
    microsoft.faults["workspace"] = [Response(status_code=504)]
    with pytest.raises(VendorUnavailableError, match="narrow"):
        await reader.run(sentinel)
    assert len(microsoft.named("workspace")) == 1


async def test_throttling_is_waited_out(reader: Microsoft, microsoft: Any, sentinel: Any, time: Any) -> None:
    microsoft.faults["workspace"] = [microsoft.error(429, "ThrottledError", "slow", {"Retry-After": "11"})]
    run = await reader.run(sentinel)
    assert run.coverage.retries == 1
    assert time.slept == [11.0]


@pytest.mark.parametrize("fault", [HTMLResponse("<!doctype html>"), Response('{"tables": [')])
async def test_a_200_that_is_not_json(fault: Response, reader: Microsoft, microsoft: Any, sentinel: Any) -> None:
    microsoft.faults["workspace"] = [fault]
    with pytest.raises(VendorResponseError):
        await reader.run(sentinel)


async def test_missing_rights_are_named(reader: Microsoft, microsoft: Any, sentinel: Any, defender: Any) -> None:
    microsoft.faults["workspace"] = [microsoft.error(403, "InsufficientAccessError", "no")]
    with pytest.raises(VendorAuthError, match="Log Analytics Reader"):
        await reader.run(sentinel)
    microsoft.faults["hunting"] = [microsoft.error(403, "Forbidden", "no")]
    with pytest.raises(VendorAuthError, match=r"ThreatHunting\.Read\.All"):
        await reader.run(defender)


@pytest.mark.parametrize("status", [400, 401])
async def test_a_wrong_key_is_said_in_one_sentence(
    status: int, reader: Microsoft, microsoft: Any, sentinel: Any, secret: str
) -> None:
    said = {
        "error": "invalid_client",
        "error_description": f"AADSTS7000215: Invalid client secret {secret}.\r\nTrace: 1",
    }
    microsoft.faults["token"] = [JSONResponse(said, status)]
    with pytest.raises(VendorAuthError, match=r"AADSTS7000215.*TRACEHOUND_MICROSOFT_CLIENT_SECRET") as caught:
        await reader.run(sentinel)
    assert secret not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_refused_token_is_renewed_once(reader: Microsoft, microsoft: Any, sentinel: Any) -> None:
    microsoft.faults["workspace"] = [Response(status_code=401)]
    assert (await reader.run(sentinel)).coverage.retries == 1
    assert len(microsoft.named("token")) == 2


async def test_a_token_that_log_analytics_refuses_with_403_is_renewed_once(
    reader: Microsoft, microsoft: Any, sentinel: Any
) -> None:
    refusal = microsoft.error(403, "InvalidAuthenticationToken", "not valid for this resource")
    microsoft.faults["workspace"] = [refusal]
    assert (await reader.run(sentinel)).coverage.retries == 1
    assert len(microsoft.named("token")) == 2
    microsoft.faults["workspace"] = [refusal, refusal]
    with pytest.raises(VendorAuthError):
        await reader.run(sentinel)
    assert len(microsoft.named("token")) == 3


@pytest.mark.parametrize("code", ["InvalidAuthenticationTokenAudience", "InsufficientAccessError"])
async def test_a_403_that_a_fresh_token_cannot_help_is_final(
    code: str, reader: Microsoft, microsoft: Any, sentinel: Any
) -> None:
    microsoft.faults["workspace"] = [microsoft.error(403, code, "no")]
    with pytest.raises(VendorAuthError):
        await reader.run(sentinel)
    assert len(microsoft.named("token")) == 1


# thirty days


async def test_what_lies_before_the_thirty_days_is_told(reader: Microsoft, microsoft: Any, ask: Any, time: Any) -> None:
    old = ask(Platform.DEFENDER, KQL, "AlertInfo", "AlertInfo", start=time.now() - timedelta(days=45))
    run = await reader.run(old)
    assert not run.coverage.complete
    assert run.coverage.window
    assert run.coverage.window.start == time.now() - timedelta(days=30)
    assert "nothing before 2026-01-31T12:00:00Z" in str(run.coverage.because)
    gone = {"start": time.now() - timedelta(days=45), "end": time.now() - timedelta(days=31)}
    run = await reader.run(ask(Platform.DEFENDER, KQL, "AlertInfo", "AlertInfo", **gone))
    assert not run.coverage.complete
    assert run.coverage.window is None


async def test_a_workspace_may_look_further_back(reader: Microsoft, ask: Any, time: Any) -> None:
    run = await reader.run(ask(Platform.SENTINEL, KQL, "T", "T", start=time.now() - timedelta(days=45)))
    assert run.coverage.complete


# one half configured


@pytest.mark.parametrize(("missing", "left"), [("workspace_id", Platform.DEFENDER), ("graph_url", Platform.SENTINEL)])
async def test_one_half_is_enough(
    missing: str, left: Platform, microsoft: Any, time: Any, secret: str, sentinel: Any, defender: Any
) -> None:
    client = httpx.AsyncClient(transport=microsoft.transport())
    reader = Microsoft(settings_of(microsoft.url, secret, **{missing: ""}), client, time.clock)
    assert reader.platforms == {left}
    here, other = (defender, sentinel) if left is Platform.DEFENDER else (sentinel, defender)
    assert (await reader.run(here)).status == "ok"
    with pytest.raises(RefusedQueryError, match="not supported"):
        await reader.run(other)
    await reader.find_alert("da637-1_2")
    assert {probe.platform for probe in await reader.probe()} == {left.value}
    await reader.aclose()


# alerts by id


async def test_an_alert_is_looked_for_in_defender_then_in_the_workspace(reader: Microsoft, microsoft: Any) -> None:
    assert await reader.find_alert("da637-1_2") == (Platform.DEFENDER, "AlertInfo", microsoft.results[0])
    microsoft.results = []
    found = await reader.find_alert("0b3c7a9e-1111-2222-3333-444455556666")
    assert found
    assert found[:2] == (Platform.SENTINEL, "SecurityAlert")
    assert '"0b3c7a9e-1111-2222-3333-444455556666"' in microsoft.named("workspace")[0]["query"]
    microsoft.table["rows"] = []
    assert await reader.find_alert("da637-1_2") is None


async def test_an_alert_is_not_called_absent_while_one_half_is_down(reader: Microsoft, microsoft: Any) -> None:
    microsoft.table["rows"] = []
    microsoft.faults["hunting"] = [microsoft.error(403, "Forbidden", "no")]
    with pytest.raises(VendorAuthError):
        await reader.find_alert("da637-1_2")


@pytest.mark.parametrize("alert", ['x" or 1==1 //', "", "a", "c1:ind:x:1", "x" * 500, "a|b|c|d|e"])
async def test_an_id_that_is_none_is_not_asked_for(alert: str, reader: Microsoft, microsoft: Any) -> None:
    assert await reader.find_alert(alert) is None
    assert microsoft.calls == []


async def test_the_probe(reader: Microsoft, microsoft: Any) -> None:
    microsoft.faults["hunting"] = [microsoft.error(403, "Forbidden", "no")]
    assert [(probe.platform, probe.ok) for probe in await reader.probe()] == [("defender", False), ("sentinel", True)]
