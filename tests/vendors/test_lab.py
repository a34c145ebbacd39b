"""The clients against the lab's servers, which another room wrote from the same documentation and really execute."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import duckdb
import httpx
import pytest

from tracehound.evals.lab import faults
from tracehound.evals.lab.apps import by_host
from tracehound.evals.lab.connect import environment as variables
from tracehound.evals.lab.connect import estate_for, settings_of
from tracehound.evals.lab.folder import open_world
from tracehound.evals.lab.serve import running
from tracehound.evals.lab.state import LabState
from tracehound.evals.lab.transport import LabTransport
from tracehound.evals.lab.wire import World
from tracehound.knowledge.errors import (
    VendorAuthError,
    VendorError,
    VendorRateLimitError,
    VendorRefusedError,
    VendorResponseError,
    VendorUnavailableError,
)
from tracehound.tools.languages.query import Check, Language, Platform, Query
from tracehound.tools.languages.search import Window
from tracehound.tools.vendors import connect
from tracehound.tools.vendors.attribution import attributed
from tracehound.tools.vendors.estate import Estate, QueryRun
from tracehound.tools.vendors.probe import probe
from tracehound.tools.vendors.settings import ActingSettings, EstateSettings

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOST, AGENT, MACHINE = f"{1:032x}", "100000000000000001", "d1"


@dataclass(frozen=True)
class Folder:
    directory: Path
    clock: datetime = NOW


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def iso(minutes: float) -> str:
    return ago(minutes).isoformat().replace("+00:00", "Z")


def fill(db: duckdb.DuckDBPyConnection, table: str, kinds: dict[str, str], rows: list[dict[str, Any]]) -> None:
    columns = ", ".join(f'"{name}" {kind}' for name, kind in kinds.items())
    db.execute(f'CREATE TABLE "{table}" ({columns})')
    values = ", ".join(f"unnest(?::{kind}[])" for kind in kinds.values())
    db.execute(f'INSERT INTO "{table}" SELECT {values}', [[row.get(name) for row in rows] for name in kinds])


@pytest.fixture(scope="module")
def telemetry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lab") / "telemetry.duckdb"
    text, documents = "VARCHAR", {"id": "VARCHAR", "document": "JSON"}
    hosts = [
        {"device_id": f"{n:032x}", "hostname": f"PC-{n:02}", "cid": "c1", "status": "normal", "last_seen": iso(5)}
        for n in range(1, 8)
    ]
    alerts = [
        {"composite_id": f"c1:ind:{HOST}:{n}", "severity": n % 100, "status": "new", "created_timestamp": iso(n)}
        for n in range(1, 1206)
    ]
    events = [
        {"@timestamp": int(ago(n).timestamp() * 1000), "@id": f"e{n}", "#event_simpleName": "ProcessRollup2"}
        for n in range(1, 301)
    ]
    deep = [
        {"id": f"p{n}", "eventTime": ago(n).replace(tzinfo=None), "eventType": "Process Creation", "endpointName": "FS"}
        for n in range(1, 1206)
    ]
    agents = [{"id": AGENT, "computerName": "FS", "siteId": "9", "networkStatus": "connected", "isActive": True}]
    threats = [
        {"id": f"2{n:017}", "threatInfo": {"createdAt": iso(n), "incidentStatus": "unresolved"}} for n in range(3)
    ]
    logons = [{"TimeGenerated": ago(n).replace(tzinfo=None), "EventID": 4624, "Computer": "DC"} for n in range(1, 31)]
    launches = [{"Timestamp": ago(n).replace(tzinfo=None), "FileName": "a.exe"} for n in range(1, 31)]
    inventory = [{"Timestamp": ago(1).replace(tzinfo=None), "DeviceId": MACHINE, "DeviceName": "lt.corp.example"}]
    with duckdb.connect(str(path)) as db:
        for table, rows, number in (("falcon_devices", hosts, None), ("falcon_alerts", alerts, "severity")):
            kinds = {name: "BIGINT" if name == number else text for name in rows[0]} | {"document": "JSON"}
            fill(db, table, kinds, [row | {"document": json.dumps(row)} for row in rows])
        fill(db, "falcon_vulnerabilities", {"id": text, "status": text, "updated_timestamp": text, "document": "JSON"}, [
            {"id": "v1", "status": "open", "updated_timestamp": iso(9), "document": json.dumps({"id": "v1"})}
        ])  # fmt: skip
        fill(db, "falcon_events", {"@timestamp": "BIGINT", "@id": text, "#event_simpleName": text}, events)
        fill(db, "s1_events", {"id": text, "eventTime": "TIMESTAMP", "eventType": text, "endpointName": text}, deep)
        fill(db, "s1_agents", documents, [{"id": row["id"], "document": json.dumps(row)} for row in agents])
        fill(db, "s1_threats", documents, [{"id": row["id"], "document": json.dumps(row)} for row in threats])
        fill(db, "SecurityEvent", {"TimeGenerated": "TIMESTAMP", "EventID": "INTEGER", "Computer": text}, logons)
        fill(db, "DeviceProcessEvents", {"Timestamp": "TIMESTAMP", "FileName": text}, launches)
        fill(db, "DeviceInfo", {"Timestamp": "TIMESTAMP", "DeviceId": text, "DeviceName": text}, inventory)
        fill(db, "AlertInfo", {"Timestamp": "TIMESTAMP", "AlertId": text}, [])
        fill(db, "SecurityAlert", {"TimeGenerated": "TIMESTAMP", "SystemAlertId": text, "VendorOriginalId": text}, [
            {"TimeGenerated": ago(9).replace(tzinfo=None), "SystemAlertId": "a-0001", "VendorOriginalId": "o-0001"}
        ])  # fmt: skip
    return path


@pytest.fixture
def folder(telemetry: Path, tmp_path: Path) -> Folder:
    (tmp_path / telemetry.name).write_bytes(telemetry.read_bytes())
    return Folder(tmp_path)


@pytest.fixture
async def lab(folder: Folder) -> AsyncIterator[Estate]:
    estate = estate_for(folder)
    yield estate
    await estate.aclose()


@pytest.fixture
def disturb(folder: Folder, lab: Estate) -> Iterator[Callable[[str, str, str], None]]:
    state = LabState(folder.directory / "state.sqlite")
    yield lambda vendor, operation, fault: faults.put(state, vendor, operation, fault)
    state.close()


QUESTIONS = {
    "alerts": (Platform.FALCON, Language.FQL, "alerts", "severity:>=0", 1205),
    "hosts": (Platform.FALCON, Language.FQL, "hosts", "status:'normal'", 7),
    "vulnerabilities": (Platform.FALCON, Language.FQL, "vulnerabilities", "status:'open'", 1),
    "search": (Platform.FALCON, Language.CQL, "events", '#event_simpleName="ProcessRollup2" | tail(1000)', 300),
    "deep_visibility": (Platform.SENTINELONE, Language.S1QL, "events", 'EventType = "Process Creation"', 1205),
    "threats": (Platform.SENTINELONE, Language.REST, "threats", "GET /threats?resolved=false", 3),
    "agents": (Platform.SENTINELONE, Language.REST, "agents", "GET /agents?computerName__contains=F", 1),
    "sentinel": (Platform.SENTINEL, Language.KQL, "SecurityEvent", "SecurityEvent | where EventID == 4624", 30),
    "defender": (Platform.DEFENDER, Language.KQL, "DeviceProcessEvents", "DeviceProcessEvents | take 100", 30),
}


def transports_of(world: World) -> dict[str, httpx.AsyncBaseTransport]:
    servers = by_host(world)
    return {vendor: LabTransport(world, servers) for vendor in ("falcon", "sentinelone", "microsoft")}


VENDOR = {Platform.SENTINEL: "microsoft", Platform.DEFENDER: "microsoft"}


async def run(lab: Estate, name: str, *, limit: int = 5000) -> QueryRun:
    platform, language, collection, text, _ = QUESTIONS[name]
    window = Window(start=NOW - timedelta(days=2), end=NOW)
    reader = lab.reader(platform)
    assert reader
    return await reader.run(
        Query(platform, language, collection, text, window, limit, Check(language, ok=True, read_only=True))
    )


@pytest.mark.parametrize("name", QUESTIONS)
async def test_every_collection_comes_whole(name: str, lab: Estate) -> None:
    found = await run(lab, name)
    rows = QUESTIONS[name][-1]
    assert (len(found.rows), found.coverage.total, found.coverage.because) == (rows, rows, None)
    assert found.coverage.complete
    assert found.coverage.retries == 0
    assert found.vendor_request_id or QUESTIONS[name][1] is Language.REST


@pytest.mark.parametrize("name", [name for name, question in QUESTIONS.items() if question[-1] > 2])
async def test_every_collection_tells_its_row_limit(name: str, lab: Estate) -> None:
    found = await run(lab, name, limit=2)
    assert len(found.rows) == 2
    assert not found.coverage.complete
    assert "row limit 2 reached" in str(found.coverage.because)


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("fault", ["429_once", "503_burst", "timeout_once", "401_once"])
async def test_faults_that_pass(fault: str, name: str, lab: Estate, disturb: Any) -> None:
    platform, language, *_ = QUESTIONS[name]
    disturb(VENDOR.get(platform, platform.value), name, fault)
    final = (fault == "timeout_once" and language is Language.KQL) or (
        fault == "401_once" and platform is Platform.SENTINELONE
    )
    if final:
        with pytest.raises(VendorAuthError if fault == "401_once" else VendorUnavailableError):
            await run(lab, name)
        return
    found = await run(lab, name)
    assert found.coverage.complete
    assert found.coverage.retries == (2 if fault == "503_burst" else 1)


FINAL: dict[str, type[VendorError]] = {
    "429": VendorRateLimitError,
    "429_no_header": VendorRateLimitError,
    "500": VendorUnavailableError,
    "timeout": VendorUnavailableError,
    "403": VendorAuthError,
    "html_200": VendorResponseError,
    "truncated": VendorResponseError,
}


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("fault", FINAL)
async def test_faults_that_stay(fault: str, name: str, lab: Estate, disturb: Any) -> None:
    platform = QUESTIONS[name][0]
    disturb(VENDOR.get(platform, platform.value), name, fault)
    with pytest.raises(FINAL[fault]):
        await run(lab, name)


@pytest.mark.parametrize(
    ("name", "fault"),
    [("alerts", "errors_200"), ("hosts", "errors_200"), ("search", "partial"), ("deep_visibility", "partial"),
     ("sentinel", "partial")],
)  # fmt: skip
async def test_partial_results_are_incomplete(name: str, fault: str, lab: Estate, disturb: Any) -> None:
    whole = QUESTIONS[name][-1]
    platform = QUESTIONS[name][0]
    disturb(VENDOR.get(platform, platform.value), name, fault)
    found = await run(lab, name)
    assert 0 < len(found.rows) <= whole
    assert not found.coverage.complete
    assert found.coverage.because


@pytest.mark.parametrize("name", ["alerts", "hosts", "deep_visibility"])
async def test_order_does_not_depend_on_the_vendor(name: str, lab: Estate, disturb: Any) -> None:
    before = await run(lab, name)
    disturb(QUESTIONS[name][0].value, name, "reorder")
    assert (await run(lab, name)).rows == before.rows


async def test_a_failed_query(lab: Estate, disturb: Any) -> None:
    disturb("sentinelone", "deep_visibility", "query_failed")
    with pytest.raises(VendorRefusedError):
        await run(lab, "deep_visibility")


async def test_alerts_by_id(lab: Estate) -> None:
    wanted = {f"c1:ind:{HOST}:7": Platform.FALCON, f"2{1:017}": Platform.SENTINELONE, "o-0001": Platform.SENTINEL}
    for alert, platform in wanted.items():
        found = [hit for reader in lab.readers if (hit := await reader.find_alert(alert))]
        assert [hit[0] for hit in found] == [platform], alert


async def test_the_probe_is_content(lab: Estate) -> None:
    probes = [item for reader in lab.readers for item in await probe(reader)]
    assert len(probes) == 8
    assert not [item for item in probes if not item.ok]


@pytest.mark.parametrize(
    ("platform", "device"),
    [(Platform.FALCON, HOST), (Platform.SENTINELONE, AGENT), (Platform.DEFENDER, MACHINE)],
)
async def test_a_host_is_isolated_and_released(platform: Platform, device: str, folder: Folder) -> None:
    world = open_world(folder)
    settings = ActingSettings.from_environment(variables(settings_of(world.state)))
    transports = transports_of(world)
    found = connect.responders(settings, clock=world.clock.now, sleep=world.clock.sleep, transport=transports)
    responder = found[platform]

    async def until(state: str) -> None:
        for _ in range(10):
            if (await responder.device(device)).containment == state:
                return
            await world.clock.sleep(2)
        pytest.fail(f"{platform} never became {state}")

    await until("normal")
    with attributed(approval="A-1"):
        assert (await responder.isolate(device, comment="approval A-1")).accepted
        assert not (await responder.isolate(device, comment="approval A-1")).accepted
        await until("contained")
        assert (await responder.release(device, comment="approval A-1")).accepted
        await until("normal")
    entries = world.state.journal()
    assert [entry.approval for entry in entries] == ["A-1"] * 3
    assert {entry.credential for entry in entries} == {"acting"}
    for other in found.values():
        await other.aclose()
    world.close()


async def test_the_reading_credential_cannot_isolate(folder: Folder) -> None:
    world = open_world(folder)
    reading = {name: value for name, value in variables(settings_of(world.state)).items() if "_ACTING" not in name}
    borrowed = {f"{name}_ACTING": value for name, value in reading.items()}
    transports = transports_of(world)
    found = connect.responders(ActingSettings.from_environment(borrowed), transport=transports)
    devices = {Platform.FALCON: HOST, Platform.SENTINELONE: AGENT, Platform.DEFENDER: MACHINE}
    for platform, responder in found.items():
        with pytest.raises(VendorAuthError, match=r"need"):
            await responder.isolate(devices[platform], comment="approval A-1")
        await responder.aclose()
    world.close()


async def test_over_tls_on_loopback(folder: Folder) -> None:
    with running(folder) as described:
        settings = EstateSettings.from_environment(variables(described["vendors"], described["ca_file"]))
        estate = connect.estate(settings, kind="lab", now=lambda: NOW)
        for name in QUESTIONS:
            assert (await run(estate, name)).coverage.complete, name
        await estate.aclose()
        stranger = connect.estate(settings.model_copy(update={"ca_file": None}), kind="lab", now=lambda: NOW)
        with pytest.raises(VendorResponseError, match="TRACEHOUND_CA_FILE"):
            await run(stranger, "hosts")
        await stranger.aclose()


async def test_everything_at_once(lab: Estate) -> None:
    found: list[QueryRun] = []

    async def one(name: str) -> None:
        found.append(await run(lab, name))

    async with anyio.create_task_group() as group:
        for name in [*QUESTIONS, *QUESTIONS, "deep_visibility", "deep_visibility"]:
            group.start_soon(one, name)
    assert len(found) == 2 * len(QUESTIONS) + 2
    assert not [item for item in found if not item.coverage.complete]
    assert sum(item.coverage.retries for item in found) == 0
