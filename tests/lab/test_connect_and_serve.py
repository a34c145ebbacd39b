import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx
import pytest

from tracehound.evals.lab.connect import environment, estate_for
from tracehound.evals.lab.faults import set_fault
from tracehound.evals.lab.folder import STATE
from tracehound.evals.lab.serve import running, serving
from tracehound.evals.lab.state import LabState
from tracehound.knowledge.errors import ConfigurationError, StorageError
from tracehound.tools.languages.query import Check, Language, Platform, Query
from tracehound.tools.languages.search import Window
from tracehound.tools.vendors.attribution import attributed
from tracehound.tools.vendors.connect import estate, responders
from tracehound.tools.vendors.estate import Estate, QueryRun
from tracehound.tools.vendors.settings import ActingSettings, EstateSettings

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Folder:
    directory: Path
    clock: datetime = NOW


@pytest.fixture
def lab(small_telemetry: Path, tmp_path: Path) -> Folder:
    shutil.copy(small_telemetry, tmp_path / "telemetry.duckdb")
    return Folder(tmp_path)


@pytest.fixture
def journal(lab: Folder) -> Iterator[LabState]:
    state = LabState(lab.directory / STATE)
    yield state
    state.close()


def query(platform: Platform, language: Language, collection: str, text: str, limit: int = 1000) -> Query:
    window = Window(start=NOW - timedelta(days=1), end=NOW)
    return Query(platform, language, collection, text, window, limit, Check(language, True, True))


QUERIES = {
    "alerts": (query(Platform.FALCON, Language.FQL, "alerts", "severity:>=60"), 3),
    "hosts": (query(Platform.FALCON, Language.FQL, "hosts", "hostname:'WS-00*'"), 3),
    "vulnerabilities": (query(Platform.FALCON, Language.FQL, "vulnerabilities", "status:'open'"), 1),
    "events": (query(Platform.FALCON, Language.CQL, "events", "ComputerName=WS-001 | tail(1000)"), 134),
    "s1ql": (query(Platform.SENTINELONE, Language.S1QL, "events", 'TgtProcName ContainsCIS "rclone"'), 1),
    "threats": (query(Platform.SENTINELONE, Language.REST, "threats", "GET /threats?resolved=false"), 1),
    "sentinel": (query(Platform.SENTINEL, Language.KQL, "SecurityEvent", "SecurityEvent | where LogonType == 3"), 24),
    "defender": (query(Platform.DEFENDER, Language.KQL, "DeviceProcessEvents", "DeviceProcessEvents"), 1),
}


async def run(connected: Estate, asked: Query) -> QueryRun:
    reader = connected.reader(asked.platform)
    assert reader is not None
    return await reader.run(asked)


async def test_every_language_runs_in_process(lab: Folder) -> None:
    connected = estate_for(lab)
    assert (connected.kind, connected.now()) == ("lab", NOW)
    assert connected.platforms == {Platform.FALCON, Platform.SENTINELONE, Platform.SENTINEL, Platform.DEFENDER}
    for name, (asked, rows) in QUERIES.items():
        found = await run(connected, asked)
        assert (name, found.status, len(found.rows), found.coverage.complete) == (name, "ok", rows, True)
    await connected.aclose()


async def test_deep_visibilitys_minutes_take_no_time_and_lose_no_search_job(lab: Folder) -> None:
    connected = estate_for(lab)
    found: list[QueryRun] = []

    async def ask(name: str) -> None:
        found.append(await run(connected, QUERIES[name][0]))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for name in ["s1ql"] * 4 + ["events"] * 6 + ["sentinel"] * 3:
                group.start_soon(ask, name)
    assert len(found) == 13
    assert {(item.status, item.coverage.complete) for item in found} == {("ok", True)}
    assert connected.now() == NOW
    await connected.aclose()


async def test_the_next_process_does_not_inherit_a_rate_window(lab: Folder) -> None:
    for _ in range(2):
        connected = estate_for(lab)
        found = await run(connected, QUERIES["s1ql"][0])
        assert (found.status, found.coverage.retries) == ("ok", 0)
        await connected.aclose()


async def test_alerts_are_found_by_id(lab: Folder) -> None:
    connected = estate_for(lab)
    for platform, alert in ((Platform.FALCON, f"c1:ind:{1:032x}:1"), (Platform.SENTINELONE, "200000000000000001")):
        reader = connected.reader(platform)
        assert reader is not None
        found = await reader.find_alert(alert)
        assert found is not None
        assert found[0] is platform
        assert await reader.find_alert(alert[:-1] + "9") is None
    await connected.aclose()


async def test_a_fault_reaches_a_lab_that_is_open_already(lab: Folder) -> None:
    connected = estate_for(lab)
    set_fault(lab, "microsoft", "sentinel", "partial")
    partial = await run(connected, QUERIES["sentinel"][0])
    assert (partial.status, partial.coverage.complete) == ("ok", False)
    set_fault(lab, "microsoft", "sentinel", "off")
    assert (await run(connected, QUERIES["sentinel"][0])).coverage.complete
    await connected.aclose()


def test_a_folder_without_telemetry_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no telemetry"):
        estate_for(Folder(tmp_path))


async def test_the_same_clients_reach_the_lab_over_tls(lab: Folder, journal: LabState) -> None:
    async with serving(lab) as described:
        variables = environment(described["vendors"], described["ca_file"])
        connected = estate(EstateSettings.from_environment(variables), now=lambda: NOW)
        for name, (asked, rows) in QUERIES.items():
            found = await run(connected, asked)
            assert (name, found.status, len(found.rows)) == (name, "ok", rows)
        await connected.aclose()
        acting = responders(ActingSettings.from_environment(variables))
        targets = {Platform.FALCON: f"{2:032x}", Platform.SENTINELONE: "100000000000000001", Platform.DEFENDER: "d1"}
        for platform, device in targets.items():
            with attributed(approval="A-77"):
                receipt = await acting[platform].isolate(device, comment="approval A-77 by lead")
            assert receipt.accepted
            states = [(await acting[platform].device(device)).containment for _ in range(4)]
            assert (states[0], states[-1]) == ("pending", "contained")
            await acting[platform].aclose()
    calls = [(entry.vendor, entry.operation, entry.target, entry.approval) for entry in journal.journal()]
    assert calls == [
        ("falcon", "contain", targets[Platform.FALCON], "A-77"),
        ("sentinelone", "disconnect", targets[Platform.SENTINELONE], "A-77"),
        ("microsoft", "isolate", targets[Platform.DEFENDER], "A-77"),
    ]


def test_what_is_served_needs_its_own_authority_and_is_gone_afterwards(lab: Folder) -> None:
    with running(lab) as described:
        address = described["vendors"]["sentinelone"]["base_url"]
        trusted = ssl.create_default_context(cafile=described["ca_file"])
        url = f"{address}/web/api/v2.1/system/status"
        assert httpx.get(url, verify=trusted).json() == {"data": {"health": "ok"}}
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, verify=ssl.create_default_context())
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, verify=trusted)
    assert not Path(described["ca_file"]).exists()


def test_every_answer_is_delayed_on_demand(lab: Folder) -> None:
    with running(lab, delay_ms=150) as described:
        trusted = ssl.create_default_context(cafile=described["ca_file"])
        started = time.monotonic()
        httpx.get(f"{described['vendors']['falcon']['base_url']}/devices/queries/devices/v1", verify=trusted)
        assert time.monotonic() - started >= 0.15


async def test_real_time_limits_are_refusals_and_others_are_waits(lab: Folder) -> None:
    span = {"fromDate": "2026-03-01T12:00:00Z", "toDate": "2026-03-02T12:00:00Z"}
    body = {"query": 'ObjectType = "ip"', **span}
    for real_time, expected in ((False, [200, 200]), (True, [200, 429])):
        async with serving(lab, real_time=real_time) as described:
            settings = described["vendors"]["sentinelone"]
            assert ("query_interval" in settings) is not real_time
            trusted = ssl.create_default_context(cafile=described["ca_file"])
            headers = {"Authorization": f"ApiToken {settings['api_token_acting' if real_time else 'api_token']}"}
            async with httpx.AsyncClient(verify=trusted, headers=headers) as client:
                url = f"{settings['base_url']}/web/api/v2.1/dv/init-query"
                assert [(await client.post(url, json=body)).status_code for _ in range(2)] == expected


async def test_a_served_search_job_outlives_the_minutes_that_another_vendor_is_granted(lab: Folder) -> None:
    body = {"query": 'ObjectType = "ip"', "fromDate": "2026-03-01T12:00:00Z", "toDate": "2026-03-02T12:00:00Z"}
    async with serving(lab) as described:
        falcon, sentinelone = described["vendors"]["falcon"], described["vendors"]["sentinelone"]
        trusted = ssl.create_default_context(cafile=described["ca_file"])
        async with httpx.AsyncClient(verify=trusted) as client:
            key = {"client_id": falcon["client_id"], "client_secret": falcon["client_secret"]}
            token = (await client.post(f"{falcon['base_url']}/oauth2/token", data=key)).json()["access_token"]
            jobs = f"{falcon['base_url']}/humio/api/v1/repositories/search-all/queryjobs"
            bearer = {"Authorization": f"Bearer {token}"}
            job = (await client.post(jobs, json={"queryString": "*"}, headers=bearer)).json()["id"]
            start = f"{sentinelone['base_url']}/web/api/v2.1/dv/init-query"
            for _ in range(2):
                started = await client.post(
                    start, json=body, headers={"Authorization": f"ApiToken {sentinelone['api_token']}"}
                )
                assert started.status_code == 200
            assert (await client.get(f"{jobs}/{job}", headers=bearer)).status_code == 200


def test_a_port_that_is_taken_is_one_clear_sentence(lab: Folder) -> None:
    with running(lab) as described:
        port = int(described["vendors"]["falcon"]["base_url"].rpartition(":")[2])
        with pytest.raises(ConfigurationError, match="cannot be opened"), running(lab, port=port):
            pass


@pytest.mark.skipif(os.name == "nt", reason="signals are sent in another way there")
def test_serving_is_announced_in_one_line_of_json_and_stops_cleanly(lab: Folder) -> None:
    program = (
        "import sys; from dataclasses import dataclass; from datetime import UTC, datetime; from pathlib import Path\n"
        "from tracehound.evals.lab.serve import serve\n"
        "@dataclass\nclass Folder:\n    directory: Path\n    clock: datetime\n"
        "serve(Folder(Path(sys.argv[1]), datetime(2026, 3, 2, 12, tzinfo=UTC)), as_json=True)\n"
    )
    command = [sys.executable, "-c", program, str(lab.directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        described = json.loads(process.stdout.readline())
        assert set(described) == {"vendors", "ca_file"}
        for vendor in ("falcon", "sentinelone", "microsoft"):
            assert described["vendors"][vendor]["base_url"].startswith("https://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not Path(described["ca_file"]).exists()
