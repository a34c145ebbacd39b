from collections.abc import Callable

import httpx
import pytest

from tracehound.evals.lab.falcon_app import CONTAINMENT_SECONDS
from tracehound.evals.lab.wire import World

pytestmark = pytest.mark.anyio
URL = "https://falcon.lab"
JOBS = f"{URL}/humio/api/v1/repositories/search-all/queryjobs"
Headers = Callable[..., dict[str, str]]


def aid(number: int) -> str:
    return f"{number:032x}"


async def test_a_token_is_created_used_and_revoked(http: httpx.AsyncClient, world: World) -> None:
    known = world.state.credential("falcon", "reading")
    form = {"client_id": known.client_id, "client_secret": known.secret}
    answer = await http.post(f"{URL}/oauth2/token", data=form)
    assert answer.status_code == 201
    assert answer.json()["expires_in"] == 1799
    assert answer.headers["x-cs-region"] == "us-1"
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    hosts = await http.get(f"{URL}/devices/queries/devices/v1", headers=headers)
    assert hosts.status_code == 200
    assert hosts.json()["meta"]["trace_id"] == hosts.headers["x-cs-traceid"]
    assert hosts.headers["x-ratelimit-limit"] == "6000"
    basic = (known.client_id, known.secret)
    revoked = await http.post(f"{URL}/oauth2/revoke", data={"token": answer.json()["access_token"]}, auth=basic)
    assert revoked.status_code == 200
    assert (await http.get(f"{URL}/devices/queries/devices/v1", headers=headers)).status_code == 401


async def test_a_wrong_secret_is_refused_by_the_gateway(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{URL}/oauth2/token", data={"client_id": "x", "client_secret": "y"})
    assert answer.status_code == 403
    assert answer.json()["meta"]["powered_by"] == "crowdstrike-api-gateway"
    assert answer.json()["errors"][0]["code"] == 403


async def test_tokens_expire_on_the_labs_clock(http: httpx.AsyncClient, world: World) -> None:
    known = world.state.credential("falcon", "reading")
    form = {"client_id": known.client_id, "client_secret": known.secret}
    token = (await http.post(f"{URL}/oauth2/token", data=form)).json()["access_token"]
    world.clock.advance(1800)
    answer = await http.get(f"{URL}/devices/queries/devices/v1", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


async def test_invalid_tokens_are_limited_to_fifteen_a_minute(http: httpx.AsyncClient, world: World) -> None:
    bad = {"Authorization": "Bearer nonsense"}
    statuses = [(await http.get(f"{URL}/devices/queries/devices/v1", headers=bad)).status_code for _ in range(16)]
    assert statuses == [401] * 15 + [429]
    world.clock.advance(60)
    assert (await http.get(f"{URL}/devices/queries/devices/v1", headers=bad)).status_code == 401


async def test_alert_ids_then_documents_in_another_order(http: httpx.AsyncClient, falcon_headers: Headers) -> None:
    headers = falcon_headers()
    params = {"filter": "severity:>=40", "sort": "severity.desc"}
    answer = (await http.get(f"{URL}/alerts/queries/alerts/v2", params=params, headers=headers)).json()
    assert answer["meta"]["pagination"] == {"offset": 0, "limit": 100, "total": 4}
    ids = answer["resources"]
    assert [identity[-1] for identity in ids] == ["5", "4", "3", "2"]
    body = {"composite_ids": ids}
    documents = (await http.post(f"{URL}/alerts/entities/alerts/v2", json=body, headers=headers)).json()["resources"]
    assert {document["composite_id"] for document in documents} == set(ids)
    assert [document["composite_id"] for document in documents] != ids


async def test_combined_alerts_page_by_a_token_bound_to_filter_and_sort(
    http: httpx.AsyncClient, falcon_headers: Headers
) -> None:
    headers, url = falcon_headers(), f"{URL}/alerts/combined/alerts/v1"
    seen, body = [], {"filter": "", "limit": 2, "sort": "created_timestamp|asc"}
    while True:
        page = (await http.post(url, json=body, headers=headers)).json()
        seen += [alert["composite_id"][-1] for alert in page["resources"]]
        after = page["meta"]["pagination"].get("after")
        if after is None:
            break
        body = body | {"after": after}
    assert seen == ["5", "4", "3", "2", "1"]
    other = await http.post(url, json=body | {"sort": "severity|asc"}, headers=headers)
    assert other.status_code == 400


async def test_comments_and_status_are_written_by_the_acting_credential_alone(
    http: httpx.AsyncClient, falcon_headers: Headers, world: World
) -> None:
    alert = f"c1:ind:{aid(2)}:2"
    steps = [
        {"name": "append_comment", "value": "looked at"},
        {"name": "add_tag", "value": "false_positive"},
        {"name": "update_status", "value": "closed"},
    ]
    body = {"composite_ids": [alert], "action_parameters": steps}
    url = f"{URL}/alerts/entities/alerts/v3"
    assert (await http.patch(url, json=body, headers=falcon_headers())).status_code == 403
    answer = await http.patch(url, json=body, headers=falcon_headers("acting"))
    assert answer.json()["meta"]["writes"] == {"resources_affected": 1}
    found = await http.get(
        f"{URL}/alerts/queries/alerts/v2", params={"filter": "status:'closed'"}, headers=falcon_headers()
    )
    assert found.json()["resources"] == [alert]
    documents = await http.post(
        f"{URL}/alerts/entities/alerts/v2", json={"composite_ids": [alert]}, headers=falcon_headers()
    )
    changed = documents.json()["resources"][0]
    assert (changed["status"], changed["tags"]) == ("closed", ["false_positive"])
    assert changed["comments"][0]["value"] == "looked at"
    assert [(entry.status, entry.credential) for entry in world.state.journal()] == [(403, "reading"), (200, "acting")]


async def test_a_bad_filter_is_400_and_an_unknown_field_is_silence(
    http: httpx.AsyncClient, falcon_headers: Headers
) -> None:
    url, headers = f"{URL}/alerts/queries/alerts/v2", falcon_headers()
    bad = await http.get(url, params={"filter": "status=new"}, headers=headers)
    assert bad.status_code == 400
    assert bad.json()["errors"][0]["message"]
    silent = await http.get(url, params={"filter": "hostname:'WS-001'"}, headers=headers)
    assert (silent.status_code, silent.json()["resources"]) == (200, [])


async def test_containment_is_queued_then_done_after_a_while(
    http: httpx.AsyncClient, falcon_headers: Headers, world: World
) -> None:
    acting = falcon_headers("acting") | {"User-Agent": "tracehound/0 (approval=A-17)"}
    url = f"{URL}/devices/entities/devices-actions/v2"

    async def status() -> str:
        answer = await http.post(f"{URL}/devices/entities/devices/v2", json={"ids": [aid(1)]}, headers=acting)
        return str(answer.json()["resources"][0]["status"])

    answer = await http.post(url, params={"action_name": "contain"}, json={"ids": [aid(1)]}, headers=acting)
    assert answer.status_code == 202
    assert answer.json()["resources"][0]["id"] == aid(1)
    assert await status() == "containment_pending"
    again = await http.post(url, params={"action_name": "contain"}, json={"ids": [aid(1)]}, headers=acting)
    assert again.status_code == 409
    await world.clock.sleep(CONTAINMENT_SECONDS)
    assert await status() == "contained"
    found = await http.get(f"{URL}/devices/queries/devices/v1", params={"filter": "status:'contained'"}, headers=acting)
    assert found.json()["resources"] == [aid(1)]
    await http.post(url, params={"action_name": "lift_containment"}, json={"ids": [aid(1)]}, headers=acting)
    assert await status() == "lift_containment_pending"
    await world.clock.sleep(CONTAINMENT_SECONDS)
    assert await status() == "normal"
    entries = world.state.journal()
    assert [(entry.operation, entry.status) for entry in entries] == [("contain", 202), ("contain", 409), ("lift", 202)]
    assert {entry.approval for entry in entries} == {"A-17"}
    assert {entry.target for entry in entries} == {aid(1)}


async def test_an_offline_host_stays_pending(http: httpx.AsyncClient, falcon_headers: Headers, world: World) -> None:
    acting = falcon_headers("acting")
    state = await http.get(f"{URL}/devices/entities/online-state/v1", params={"ids": aid(3)}, headers=acting)
    assert state.json()["resources"][0]["state"] == "offline"
    url = f"{URL}/devices/entities/devices-actions/v2"
    await http.post(url, params={"action_name": "contain"}, json={"ids": [aid(3)]}, headers=acting)
    await world.clock.sleep(3600)
    for _ in range(5):
        answer = await http.post(f"{URL}/devices/entities/devices/v2", json={"ids": [aid(3)]}, headers=acting)
        assert answer.json()["resources"][0]["status"] == "containment_pending"


async def test_the_reading_credential_cannot_contain(
    http: httpx.AsyncClient, falcon_headers: Headers, world: World
) -> None:
    answer = await http.post(
        f"{URL}/devices/entities/devices-actions/v2",
        params={"action_name": "contain"},
        json={"ids": [aid(1)]},
        headers=falcon_headers(),
    )
    assert answer.status_code == 403
    assert world.state.containment("falcon") == {}


async def test_spotlight_needs_a_filter_and_returns_the_facets_asked_for(
    http: httpx.AsyncClient, falcon_headers: Headers
) -> None:
    url, headers = f"{URL}/spotlight/combined/vulnerabilities/v1", falcon_headers()
    assert (await http.get(url, headers=headers)).status_code == 400
    params = {"filter": "cve.exploit_status:'90'+status:'open'", "facet": "cve"}
    answer = (await http.get(url, params=params, headers=headers)).json()
    assert answer["resources"][0]["cve"]["id"] == "CVE-2023-23397"
    assert "host_info" not in answer["resources"][0]


async def test_a_search_job_is_partial_first_and_capped_at_two_hundred(
    http: httpx.AsyncClient, falcon_headers: Headers
) -> None:
    headers = falcon_headers()
    body = {"queryString": "#event_simpleName=ProcessRollup2", "start": "24h", "end": "now", "isLive": False}
    job = (await http.post(JOBS, json=body, headers=headers)).json()["id"]
    first = (await http.get(f"{JOBS}/{job}", headers=headers)).json()
    assert (first["done"], len(first["events"])) == (False, 50)
    second = (await http.get(f"{JOBS}/{job}", headers=headers)).json()
    assert second["done"]
    assert [event["@id"] for event in second["events"]] == [f"e{number}" for number in range(1, 201)]
    assert second["metaData"]["extraData"]["hasMoreEvents"] == "true"
    assert all(isinstance(value, str) for value in second["events"][0].values())
    assert (await http.delete(f"{JOBS}/{job}", headers=headers)).status_code == 200
    assert (await http.get(f"{JOBS}/{job}", headers=headers)).status_code == 404


async def test_tail_lifts_the_cap_and_an_unpolled_job_is_lost(
    http: httpx.AsyncClient, falcon_headers: Headers, world: World
) -> None:
    headers = falcon_headers()
    body = {"queryString": "#event_simpleName=ProcessRollup2 | tail(1000)", "start": "24h", "end": "now"}
    job = (await http.post(JOBS, json=body, headers=headers)).json()["id"]
    await http.get(f"{JOBS}/{job}", headers=headers)
    await world.clock.sleep(29)
    whole = (await http.get(f"{JOBS}/{job}", headers=headers)).json()
    assert (len(whole["events"]), whole["metaData"]["extraData"]["hasMoreEvents"]) == (400, "false")
    await world.clock.sleep(31)
    assert (await http.get(f"{JOBS}/{job}", headers=headers)).status_code == 404


async def test_a_malformed_search_is_200_with_free_text_matches_or_nothing(
    http: httpx.AsyncClient, falcon_headers: Headers
) -> None:
    headers = falcon_headers()

    async def events(text: str) -> int:
        created = await http.post(JOBS, json={"queryString": text, "start": "24h", "end": "now"}, headers=headers)
        assert created.status_code == 200
        job = created.json()["id"]
        await http.get(f"{JOBS}/{job}", headers=headers)
        return len((await http.get(f"{JOBS}/{job}", headers=headers)).json()["events"])

    assert await events("203.0.113.66") == 1
    assert await events("SELECT * FROM processes WHERE name = 'cmd.exe'") == 0
