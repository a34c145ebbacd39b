from collections.abc import Callable

import httpx
import pytest

from tracehound.evals.lab.faults import SPECIAL, put
from tracehound.evals.lab.microsoft_app import WORKSPACE
from tracehound.evals.lab.wire import World
from tracehound.knowledge.errors import UsageError

pytestmark = pytest.mark.anyio
HOSTS = "https://falcon.lab/devices/combined/devices/v1"
AGENTS = "https://sentinelone.lab/web/api/v2.1"
QUERY = f"https://loganalytics.lab/v1/workspaces/{WORKSPACE}/query"
Headers = Callable[..., dict[str, str]]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("splunk", "search", "500"), "falcon, sentinelone, microsoft"),
        (("falcon", "fly", "500"), "alerts"),
        (("falcon", "hosts", "flood"), "429"),
        (("falcon", "hosts", "affected_zero"), "reorder"),
    ],
)
def test_a_wrong_name_lists_those_that_exist(world: World, names: tuple[str, str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        put(world.state, *names)


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        ("429", [429, 429, 429]),
        ("429_once", [429, 200]),
        ("500", [500, 500]),
        ("503_burst", [503, 503, 200]),
        ("401_once", [401, 200]),
        ("403", [403, 403]),
    ],
)
async def test_faults_of_status(
    http: httpx.AsyncClient, world: World, falcon_headers: Headers, fault: str, statuses: list[int]
) -> None:
    put(world.state, "falcon", "hosts", fault)
    headers = falcon_headers()
    assert [(await http.get(HOSTS, headers=headers)).status_code for _ in statuses] == statuses
    put(world.state, "falcon", "hosts", "off")
    assert (await http.get(HOSTS, headers=headers)).status_code == 200


async def test_retry_headers_count_on_the_labs_clock(
    http: httpx.AsyncClient, world: World, falcon_headers: Headers
) -> None:
    put(world.state, "falcon", "all", "429")
    answer = await http.get(HOSTS, headers=falcon_headers())
    wait = int(answer.headers["x-ratelimit-retryafter"]) - world.clock.now().timestamp()
    assert 4 < wait < 7
    put(world.state, "falcon", "all", "429_no_header")
    assert "x-ratelimit-retryafter" not in (await http.get(HOSTS, headers=falcon_headers())).headers


async def test_no_answer_is_a_time_out_that_takes_no_time(
    http: httpx.AsyncClient, world: World, falcon_headers: Headers
) -> None:
    put(world.state, "falcon", "hosts", "timeout_once")
    before = world.clock.elapsed
    with pytest.raises(httpx.ReadTimeout):
        await http.get(HOSTS, headers=falcon_headers(), timeout=30)
    assert world.clock.elapsed == pytest.approx(before + 30)
    assert (await http.get(HOSTS, headers=falcon_headers())).status_code == 200


async def test_a_login_page_and_a_broken_answer_have_status_200(
    http: httpx.AsyncClient, world: World, falcon_headers: Headers
) -> None:
    put(world.state, "falcon", "hosts", "html_200")
    page = await http.get(HOSTS, headers=falcon_headers())
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (200, "text/html")
    put(world.state, "falcon", "hosts", "truncated")
    broken = await http.get(HOSTS, headers=falcon_headers())
    assert broken.status_code == 200
    with pytest.raises(ValueError, match=r"char \d+"):
        broken.json()


async def test_errors_beside_resources(http: httpx.AsyncClient, world: World, falcon_headers: Headers) -> None:
    put(world.state, "falcon", "hosts", "errors_200")
    answer = (await http.get(HOSTS, headers=falcon_headers())).json()
    assert answer["errors"]
    assert answer["resources"]


async def test_reordered_records(http: httpx.AsyncClient, world: World, falcon_headers: Headers) -> None:
    names = [host["hostname"] for host in (await http.get(HOSTS, headers=falcon_headers())).json()["resources"]]
    put(world.state, "falcon", "hosts", "reorder")
    again = [host["hostname"] for host in (await http.get(HOSTS, headers=falcon_headers())).json()["resources"]]
    assert again == names[::-1]


async def test_partial_log_analytics_is_200_with_an_error(
    http: httpx.AsyncClient, world: World, ms_headers: Headers
) -> None:
    put(world.state, "microsoft", "sentinel", "partial")
    answer = await http.post(QUERY, json={"query": "SecurityEvent"}, headers=ms_headers("loganalytics"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, "PartialError")
    assert len(answer.json()["tables"][0]["rows"]) == 24


async def test_partial_search_and_deep_visibility(
    http: httpx.AsyncClient, world: World, falcon_headers: Headers, s1_headers: Headers
) -> None:
    put(world.state, "falcon", "search", "partial")
    jobs = "https://falcon.lab/humio/api/v1/repositories/search-all/queryjobs"
    body = {"queryString": "FileName=cmd.exe | tail(100)", "start": "24h", "end": "now"}
    job = (await http.post(jobs, json=body, headers=falcon_headers())).json()["id"]
    await http.get(f"{jobs}/{job}", headers=falcon_headers())
    whole = (await http.get(f"{jobs}/{job}", headers=falcon_headers())).json()
    assert (len(whole["events"]), bool(whole["metaData"]["warnings"])) == (50, True)
    put(world.state, "sentinelone", "deep_visibility", "partial")
    span = {"fromDate": "2026-03-01T12:00:00Z", "toDate": "2026-03-02T12:00:00Z"}
    started = await http.post(
        f"{AGENTS}/dv/init-query", json={"query": 'ObjectType = "process"', **span}, headers=s1_headers()
    )
    query = {"queryId": started.json()["data"]["queryId"]}
    await http.get(f"{AGENTS}/dv/query-status", params=query, headers=s1_headers())
    await world.clock.sleep(1)
    state = await http.get(f"{AGENTS}/dv/query-status", params=query, headers=s1_headers())
    assert state.json()["data"]["responseState"] == "TIMED_OUT"
    events = await http.get(f"{AGENTS}/dv/events", params=query, headers=s1_headers())
    assert events.json()["pagination"]["totalItems"] == 6


async def test_actions_that_do_nothing_or_never_end(http: httpx.AsyncClient, world: World, s1_headers: Headers) -> None:
    scope = {"filter": {"ids": ["100000000000000001"]}, "data": {}}
    put(world.state, "sentinelone", "disconnect", "affected_zero")
    nothing = await http.post(f"{AGENTS}/agents/actions/disconnect", json=scope, headers=s1_headers("acting"))
    assert (nothing.status_code, nothing.json()) == (200, {"data": {"affected": 0}})
    put(world.state, "sentinelone", "disconnect", "stuck_pending")
    await http.post(f"{AGENTS}/agents/actions/disconnect", json=scope, headers=s1_headers("acting"))
    await world.clock.sleep(3600)
    agents = await http.get(f"{AGENTS}/agents", params=scope["filter"], headers=s1_headers())
    assert agents.json()["data"][0]["networkStatus"] == "disconnecting"


def test_every_vendor_can_be_disturbed_everywhere(world: World) -> None:
    for vendor, operations in SPECIAL.items():
        for operation, special in operations.items():
            for fault in ("429", *special):
                put(world.state, vendor, operation, fault)
                assert (vendor, operation, fault) in world.state.faults()
