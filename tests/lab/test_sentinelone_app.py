from collections.abc import Callable

import httpx
import pytest

from tracehound.evals.lab.sentinelone_app import ISOLATION_SECONDS
from tracehound.evals.lab.wire import World

pytestmark = pytest.mark.anyio
URL = "https://sentinelone.lab/web/api/v2.1"
Headers = Callable[..., dict[str, str]]
SPAN = {"fromDate": "2026-03-01T12:00:00.000000Z", "toDate": "2026-03-02T12:00:00.000000Z"}
FIRST, OLD = "100000000000000001", "100000000000000003"


async def test_a_wrong_token_is_4010010_and_the_bearer_scheme_is_wrong(
    http: httpx.AsyncClient, s1_headers: Headers
) -> None:
    token = s1_headers()["Authorization"].removeprefix("ApiToken ")
    for header in ("ApiToken nonsense", f"Bearer {token}"):
        answer = await http.get(f"{URL}/agents", headers={"Authorization": header})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, 4010010)


async def test_agents_are_filtered_and_paged_by_cursor(http: httpx.AsyncClient, s1_headers: Headers) -> None:
    headers = s1_headers()
    page = (await http.get(f"{URL}/agents", params={"limit": 2}, headers=headers)).json()
    assert (len(page["data"]), page["pagination"]["totalItems"]) == (2, 3)
    cursor = page["pagination"]["nextCursor"]
    rest = (await http.get(f"{URL}/agents", params={"limit": 2, "cursor": cursor}, headers=headers)).json()
    assert (len(rest["data"]), rest["pagination"]["nextCursor"]) == (1, None)
    found = await http.get(f"{URL}/agents", params={"computerName__contains": "fs-"}, headers=headers)
    assert [agent["computerName"] for agent in found.json()["data"]] == ["FS-01"]
    for wrong in ({"limit": 1001}, {"colour": "red"}):
        answer = await http.get(f"{URL}/agents", params=wrong, headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 4000010)


async def test_threats_by_time_confidence_and_hash(http: httpx.AsyncClient, s1_headers: Headers) -> None:
    async def count(**params: str) -> int:
        answer = await http.get(f"{URL}/threats", params=params, headers=s1_headers())
        return int(answer.json()["pagination"]["totalItems"])

    assert await count(createdAt__gte="2026-03-02T05:00:00Z", confidenceLevels="suspicious,malicious") == 1
    assert await count(createdAt__gte="2026-03-02T07:00:00Z") == 0
    assert await count(contentHashes="ab") == 1
    assert await count(resolved="true") == 0


async def test_deep_visibility_runs_and_pages(http: httpx.AsyncClient, s1_headers: Headers, world: World) -> None:
    headers = s1_headers()
    body = {"query": 'EventType = "Process Creation"', **SPAN, "limit": 20000}
    started = (await http.post(f"{URL}/dv/init-query", json=body, headers=headers)).json()
    query = {"queryId": started["data"]["queryId"]}
    early = await http.get(f"{URL}/dv/events", params=query, headers=headers)
    assert early.status_code == 400
    first = (await http.get(f"{URL}/dv/query-status", params=query, headers=headers)).json()["data"]
    assert (first["responseState"], first["progressStatus"]) == ("RUNNING", 40)
    assert (await http.get(f"{URL}/dv/query-status", params=query, headers=headers)).status_code == 429
    await world.clock.sleep(1)
    second = (await http.get(f"{URL}/dv/query-status", params=query, headers=headers)).json()["data"]
    assert second["responseState"] == "FINISHED"
    page = (await http.get(f"{URL}/dv/events", params=query | {"limit": "5"}, headers=headers)).json()
    assert (len(page["data"]), page["pagination"]["totalItems"]) == (5, 12)
    assert page["data"][0]["tgtProcPid"] == "1"
    assert page["data"][0]["eventTime"] == "2026-03-02T11:00:00.000Z"
    assert page["data"][0]["dstPort"] is None
    ports = await http.get(f"{URL}/dv/events/ip", params=query, headers=headers)
    assert ports.json()["data"] == []


async def test_one_deep_visibility_query_a_minute(http: httpx.AsyncClient, s1_headers: Headers, world: World) -> None:
    body = {"query": 'EventType = "IP Connect"', **SPAN}
    url, headers = f"{URL}/dv/init-query", s1_headers()
    assert (await http.post(url, json=body, headers=headers)).status_code == 200
    refused = await http.post(url, json=body, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (429, 4290010)
    assert (await http.post(url, json=body, headers=s1_headers("acting"))).status_code == 200
    await world.clock.sleep(60)
    assert (await http.post(url, json=body, headers=headers)).status_code == 200


async def test_what_cannot_be_parsed_says_so(http: httpx.AsyncClient, s1_headers: Headers) -> None:
    for text, role in (("ProcessRollup2 | head", "reading"), ('NoSuchField = "x"', "acting")):
        answer = await http.post(f"{URL}/dv/init-query", json={"query": text, **SPAN}, headers=s1_headers(role))
        assert answer.status_code == 400
        assert "could not parse query" in answer.json()["errors"][0]["detail"]


async def test_disconnect_is_affected_then_disconnecting_then_disconnected(
    http: httpx.AsyncClient, s1_headers: Headers, world: World
) -> None:
    acting = s1_headers("acting")

    async def status(agent: str) -> str:
        answer = await http.get(f"{URL}/agents", params={"ids": agent}, headers=acting)
        return str(answer.json()["data"][0]["networkStatus"])

    async def act(name: str, agent: str) -> int:
        body = {"filter": {"ids": [agent]}, "data": {}}
        answer = await http.post(f"{URL}/agents/actions/{name}", json=body, headers=acting)
        return int(answer.json()["data"]["affected"])

    assert await act("disconnect", FIRST) == 1
    assert await status(FIRST) == "disconnecting"
    await world.clock.sleep(ISOLATION_SECONDS)
    assert await status(FIRST) == "disconnected"
    assert await act("disconnect", FIRST) == 0
    threats = (await http.get(f"{URL}/threats", headers=acting)).json()["data"]
    assert threats[0]["agentRealtimeInfo"]["agentNetworkStatus"] == "disconnected"
    assert await act("connect", FIRST) == 1
    await world.clock.sleep(ISOLATION_SECONDS)
    assert await status(FIRST) == "connected"
    assert await act("disconnect", "999") == 0
    assert await act("disconnect", OLD) == 1
    await world.clock.sleep(3600)
    assert await status(OLD) == "disconnecting"


async def test_an_empty_filter_means_everything_in_scope(
    http: httpx.AsyncClient, s1_headers: Headers, world: World
) -> None:
    body: dict[str, object] = {"filter": {}, "data": {}}
    answer = await http.post(f"{URL}/agents/actions/disconnect", json=body, headers=s1_headers("acting"))
    assert answer.json()["data"]["affected"] == 3


async def test_the_reading_token_cannot_disconnect_or_annotate(
    http: httpx.AsyncClient, s1_headers: Headers, world: World
) -> None:
    scope = {"filter": {"ids": [FIRST]}, "data": {"text": "x"}}
    for path in ("agents/actions/disconnect", "agents/actions/connect", "threats/notes"):
        answer = await http.post(f"{URL}/{path}", json=scope, headers=s1_headers())
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, 4030010)
    assert world.state.containment("sentinelone") == {}


async def test_notes_are_kept(http: httpx.AsyncClient, s1_headers: Headers) -> None:
    threat = "200000000000000001"
    body = {"filter": {"ids": [threat]}, "data": {"text": "isolated, approval A-9"}}
    answer = await http.post(f"{URL}/threats/notes", json=body, headers=s1_headers("acting"))
    assert answer.json() == {"data": {"affected": 1}}
    notes = await http.get(f"{URL}/threats/{threat}/notes", headers=s1_headers())
    assert [note["text"] for note in notes.json()["data"]] == ["isolated, approval A-9"]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('TgtProcName = "Rclone.exe"', 1),
        ('TgtProcName = "rclone.exe"', 0),
        ('TgtProcName In Anycase ("rclone.exe", "7z.exe")', 1),
        ('TgtProcName ContainsCIS "RCLONE"', 1),
        ('TgtProcName Contains "RCLONE"', 0),
        (r'TgtProcCmdLine StartsWith "C:\Windows\Temp\x1"', 4),
        ('TgtProcCmdLine EndsWithCIS "COPY"', 12),
        (r'TgtProcCmdLine RegExp "x1[0-2]?\.exe"', 4),
        ('DstPort = "443" AND EventType = "IP Connect"', 1),
        ("DstPort > 400", 1),
        ("DstPort Between 400 AND 500", 1),
        ('NOT DstIP = "198.51.100.23"', 12),
        ("DstIP Is Not Empty", 1),
        ('DnsRequest ContainsCIS "x" OR ObjectType = "ip"', 1),
        ('EndpointName != "FS-01"', 0),
        ('SrcProcName = "x"', 0),
    ],
)
async def test_s1ql_means_what_it_says(
    http: httpx.AsyncClient, s1_headers: Headers, world: World, text: str, rows: int
) -> None:
    headers = s1_headers()
    started = await http.post(f"{URL}/dv/init-query", json={"query": text, **SPAN}, headers=headers)
    assert started.status_code == 200, started.text
    query = {"queryId": started.json()["data"]["queryId"]}
    await http.get(f"{URL}/dv/query-status", params=query, headers=headers)
    await world.clock.sleep(1)
    await http.get(f"{URL}/dv/query-status", params=query, headers=headers)
    events = await http.get(f"{URL}/dv/events", params=query | {"limit": "1000"}, headers=headers)
    assert len(events.json()["data"]) == rows
