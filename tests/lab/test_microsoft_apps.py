import json
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from tracehound.evals.lab.microsoft_app import ACTION_SECONDS, TENANT, WORKSPACE
from tracehound.evals.lab.microsoft_query import span_of
from tracehound.evals.lab.wire import Refusal, World

pytestmark = pytest.mark.anyio
QUERY = f"https://loganalytics.lab/v1/workspaces/{WORKSPACE}/query"
HUNT = "https://graph.lab/v1.0/security/runHuntingQuery"
MDE = "https://mde.lab/api"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
Headers = Callable[..., dict[str, str]]


async def test_entra_issues_one_token_for_each_audience(http: httpx.AsyncClient, world: World) -> None:
    known = world.state.credential("microsoft", "reading")
    url = f"https://login.lab/{TENANT}/oauth2/v2.0/token"
    form = {
        "grant_type": "client_credentials",
        "client_id": known.client_id,
        "client_secret": known.secret,
        "scope": "https://graph.microsoft.com/.default",
    }
    answer = await http.post(url, data=form)
    assert (answer.status_code, answer.json()["token_type"], answer.json()["expires_in"]) == (200, "Bearer", 3599)
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await http.post(HUNT, json={"Query": "DeviceInfo | count"}, headers=headers)).status_code == 200
    foreign = await http.post(QUERY, json={"query": "SigninLogs | count"}, headers=headers)
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "InvalidAuthenticationTokenAudience")
    wrong = await http.post(url, data=form | {"client_secret": "x"})
    assert (wrong.status_code, wrong.json()["error"], wrong.json()["error_codes"]) == (401, "invalid_client", [7000215])
    stranger = await http.post(url, data=form | {"client_id": "x"})
    assert stranger.json()["error_codes"] == [700016]
    elsewhere = await http.post("https://login.lab/other/oauth2/v2.0/token", data=form)
    assert elsewhere.json()["error_codes"] == [90002]


async def test_log_analytics_answers_with_a_typed_table(http: httpx.AsyncClient, ms_headers: Headers) -> None:
    text = "SecurityEvent | where TimeGenerated > ago(6h) | project TimeGenerated, EventID, Account | top 1 by TimeGenerated"
    answer = await http.post(QUERY, json={"query": text, "timespan": "P1D"}, headers=ms_headers("loganalytics"))
    assert answer.status_code == 200
    assert answer.json() == {
        "tables": [
            {
                "name": "PrimaryResult",
                "columns": [
                    {"name": "TimeGenerated", "type": "datetime"},
                    {"name": "EventID", "type": "int"},
                    {"name": "Account", "type": "string"},
                ],
                "rows": [["2026-03-02T11:00:00Z", 4624, "CORP\\Ann"]],
            }
        ]
    }
    assert answer.headers["x-ms-correlation-request-id"]


async def test_the_time_span_is_intersected_with_the_query(http: httpx.AsyncClient, ms_headers: Headers) -> None:
    async def count(timespan: str | None, condition: str = "") -> int:
        body = {"query": f"SecurityEvent {condition} | count"} | ({"timespan": timespan} if timespan else {})
        answer = await http.post(QUERY, json=body, headers=ms_headers("loganalytics"))
        return int(answer.json()["tables"][0]["rows"][0][0])

    assert await count(None) == 48
    assert await count("P1D") == 24
    assert await count("PT6H") == 6
    assert await count("2026-03-01T00:00:00Z/2026-03-01T06:00:00Z") == 6
    assert await count("P1D", "| where TimeGenerated > ago(2h)") == 1
    assert await count("PT2H", "| where TimeGenerated > ago(30d)") == 2


async def test_a_documented_table_without_rows_is_empty(http: httpx.AsyncClient, ms_headers: Headers) -> None:
    body = {"query": "Syslog | where SyslogMessage has 'sudo' | project TimeGenerated, Computer, SyslogMessage"}
    answer = await http.post(QUERY, json=body, headers=ms_headers("loganalytics"))
    assert answer.json()["tables"][0]["rows"] == []
    assert [column["type"] for column in answer.json()["tables"][0]["columns"]] == ["datetime", "string", "string"]


async def test_dynamic_columns_are_json_texts(http: httpx.AsyncClient, ms_headers: Headers) -> None:
    text = "SigninLogs | extend City = tostring(LocationDetails.city) | project LocationDetails, City, Span = 90m"
    answer = await http.post(QUERY, json={"query": text, "timespan": "P1D"}, headers=ms_headers("loganalytics"))
    table = answer.json()["tables"][0]
    assert [column["type"] for column in table["columns"]] == ["dynamic", "string", "timespan"]
    details, city, span = table["rows"][0]
    assert (json.loads(details), city, span) == ({"city": "Hamburg"}, "Hamburg", "01:30:00")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("SecurityEvent | wherever x", "SyntaxError", "could not parse KQL at 1:16"),
        ("DeviceProcessEvents | take 1", "SemanticError", "'DeviceProcessEvents'"),
        ("falcon_events | take 1", "SemanticError", "'falcon_events'"),
        ("NoSuchTable | take 1", "SemanticError", "'NoSuchTable'"),
        ("union SecurityEvent, NoSuchTable | count", "SemanticError", "'NoSuchTable'"),
        ("SecurityEvent | where Nope == 1", "SemanticError", "'Nope'"),
        ("externaldata(a:string)['https://x.example/'] | take 1", "UnsupportedConstruct", "ExternalData"),
        ("database('x').SecurityEvent | take 1", "UnsupportedConstruct", "database()"),
        ("set query_now = datetime(2020-01-01); SecurityEvent | take 1", "UnsupportedConstruct", "query_now"),
        (".show tables", "SyntaxError", "control commands"),
    ],
)
async def test_the_deepest_inner_error_says_what_is_wrong(
    http: httpx.AsyncClient, ms_headers: Headers, text: str, code: str, words: str
) -> None:
    answer = await http.post(QUERY, json={"query": text}, headers=ms_headers("loganalytics"))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["innererror"]["code"]) == ("BadArgumentError", code)
    assert words.lower() in error["innererror"]["innererror"]["message"].lower()


async def test_refusals_of_log_analytics(http: httpx.AsyncClient, ms_headers: Headers) -> None:
    none = await http.post(QUERY, json={"query": "SigninLogs"})
    assert (none.status_code, none.json()["error"]["code"]) == (401, "AuthenticationFailed")
    bad = await http.post(QUERY, json={"query": "SigninLogs"}, headers={"Authorization": "Bearer x"})
    assert (bad.status_code, bad.json()["error"]["code"]) == (403, "InvalidAuthenticationToken")
    other = QUERY.replace(WORKSPACE, TENANT)
    lost = await http.post(other, json={"query": "SigninLogs"}, headers=ms_headers("loganalytics"))
    assert lost.status_code == 404


async def test_metadata_lists_sentinels_tables_alone(http: httpx.AsyncClient, ms_headers: Headers) -> None:
    answer = await http.get(QUERY.replace("/query", "/metadata"), headers=ms_headers("loganalytics"))
    tables = {table["name"]: table for table in answer.json()["tables"]}
    assert {"SecurityEvent", "SigninLogs"} <= set(tables)
    assert not {name for name in tables if name.startswith(("Device", "Identity", "Alert", "falcon", "s1_", "lab_"))}
    assert tables["SecurityEvent"]["timespanColumn"] == "TimeGenerated"
    assert {"name": "EventID", "type": "int"} in tables["SecurityEvent"]["columns"]


async def test_hunting_answers_with_schema_and_results(http: httpx.AsyncClient, ms_headers: Headers) -> None:
    text = "DeviceProcessEvents | where DeviceName startswith 'DC-01' | project Timestamp, FileName, ProcessId"
    answer = await http.post(HUNT, json={"Query": text, "Timespan": "P1D"}, headers=ms_headers("graph"))
    assert answer.json() == {
        "schema": [
            {"name": "Timestamp", "type": "DateTime"},
            {"name": "FileName", "type": "String"},
            {"name": "ProcessId", "type": "Int64"},
        ],
        "results": [{"Timestamp": "2026-03-02T09:00:00Z", "FileName": "whoami.exe", "ProcessId": 7}],
    }
    narrow = await http.post(HUNT, json={"Query": text, "Timespan": "PT1H"}, headers=ms_headers("graph"))
    assert narrow.json()["results"] == []
    wrong = await http.post(HUNT, json={"Query": "SecurityEvent | take 1"}, headers=ms_headers("graph"))
    assert wrong.status_code == 400
    assert "Semantic error" in wrong.json()["error"]["message"]
    assert wrong.json()["error"]["innerError"]["request-id"]


async def test_hunting_is_limited_to_forty_five_calls_a_minute(
    http: httpx.AsyncClient, ms_headers: Headers, world: World
) -> None:
    headers, body = ms_headers("graph"), {"Query": "DeviceInfo | count"}
    statuses = [(await http.post(HUNT, json=body, headers=headers)).status_code for _ in range(46)]
    assert statuses == [200] * 45 + [429]
    limited = await http.post(HUNT, json=body, headers=headers)
    await world.clock.sleep(float(limited.headers["retry-after"]))
    assert (await http.post(HUNT, json=body, headers=headers)).status_code == 200


async def test_machines_are_listed_filtered_and_read(http: httpx.AsyncClient, ms_headers: Headers) -> None:
    headers = ms_headers("mde")
    params = {"$filter": "computerDnsName eq 'dc-01.corp.example'"}
    found = (await http.get(f"{MDE}/machines", params=params, headers=headers)).json()["value"]
    assert [(machine["id"], machine["healthStatus"]) for machine in found] == [("d1", "Active")]
    assert (await http.get(f"{MDE}/machines/d2", headers=headers)).json()["healthStatus"] == "Inactive"
    assert (await http.get(f"{MDE}/machines/none", headers=headers)).status_code == 404
    assert (await http.get(f"{MDE}/machines", params={"$filter": "x gt 3"}, headers=headers)).status_code == 400


async def test_isolation_is_an_action_to_poll(http: httpx.AsyncClient, ms_headers: Headers, world: World) -> None:
    acting, url = ms_headers("mde", "acting"), f"{MDE}/machines/d1/isolate"
    silent = await http.post(url, json={"IsolationType": "Full"}, headers=acting)
    assert silent.status_code == 400
    body = {"Comment": "lateral movement; approval A-42", "IsolationType": "Full"}
    answer = await http.post(url, json=body, headers=acting)
    assert answer.status_code == 201
    action = answer.json()
    assert (action["status"], action["type"], action["machineId"]) == ("Pending", "Isolate", "d1")
    again = await http.post(url, json=body, headers=acting)
    assert (again.status_code, again.json()["error"]["code"]) == (400, "ActiveRequestAlreadyExists")
    await world.clock.sleep(ACTION_SECONDS)
    done = await http.get(f"{MDE}/machineactions/{action['id']}", headers=acting)
    assert done.json()["status"] == "Succeeded"
    params = {"$filter": "machineId eq 'd1' and type eq 'Isolate'"}
    listed = await http.get(f"{MDE}/machineactions", params=params, headers=acting)
    assert [item["id"] for item in listed.json()["value"]] == [action["id"]]
    assert not any(name.startswith("_") for name in listed.json()["value"][0])
    release = await http.post(f"{MDE}/machines/d1/unisolate", json={"Comment": "clean"}, headers=acting)
    assert (release.status_code, release.json()["type"]) == (201, "Unisolate")
    assert [(entry.status, entry.approval) for entry in world.state.journal()] == [
        (400, None),
        (201, "A-42"),
        (400, "A-42"),
        (201, None),
    ]


async def test_an_inactive_machine_stays_pending(http: httpx.AsyncClient, ms_headers: Headers, world: World) -> None:
    acting = ms_headers("mde", "acting")
    action = (await http.post(f"{MDE}/machines/d2/isolate", json={"Comment": "x"}, headers=acting)).json()
    await world.clock.sleep(3600)
    for _ in range(5):
        read = await http.get(f"{MDE}/machineactions/{action['id']}", headers=acting)
        assert read.json()["status"] == "Pending"


async def test_the_reading_credential_cannot_isolate(
    http: httpx.AsyncClient, ms_headers: Headers, world: World
) -> None:
    answer = await http.post(f"{MDE}/machines/d1/isolate", json={"Comment": "x"}, headers=ms_headers("mde"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Forbidden")
    assert world.state.machine_actions() == []


def test_time_spans() -> None:
    assert span_of("PT6H", NOW) == (datetime(2026, 3, 2, 6, tzinfo=UTC), NOW)
    assert span_of("2026-03-01T00:00:00Z/P1D", NOW)[1] == datetime(2026, 3, 2, tzinfo=UTC)
    assert span_of("P1D/2026-03-01T00:00:00Z", NOW)[0] == datetime(2026, 2, 28, tzinfo=UTC)
    assert span_of(None, NOW) == (None, None)
    with pytest.raises(Refusal):
        span_of("6 hours", NOW)
