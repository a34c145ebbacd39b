"""A small lab written by hand, for tests of the servers: every row is known."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from tracehound.evals.lab.clock import LabClock
from tracehound.evals.lab.state import LabState, Role
from tracehound.evals.lab.telemetry import Telemetry
from tracehound.evals.lab.transport import LabTransport
from tracehound.evals.lab.wire import World

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def _iso(hours: float) -> str:
    return (NOW - timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def _plain(hours: float) -> datetime:
    return (NOW - timedelta(hours=hours)).replace(tzinfo=None)


def _table(db: duckdb.DuckDBPyConnection, name: str, columns: dict[str, str], rows: list[dict[str, Any]]) -> None:
    db.execute(f'CREATE TABLE "{name}" ({", ".join(f"{chr(34)}{c}{chr(34)} {t}" for c, t in columns.items())})')
    marks = ", ".join("?" for _ in columns)
    for row in rows:
        db.execute(f'INSERT INTO "{name}" VALUES ({marks})', [row.get(column) for column in columns])


def _falcon(db: duckdb.DuckDBPyConnection) -> None:
    devices = [
        {"device_id": f"{number:032x}", "cid": "c1", "hostname": f"WS-{number:03}", "local_ip": f"10.0.0.{number}",
         "status": "normal", "os_version": "Windows 11", "platform_name": "Windows", "machine_domain": "corp.example",
         "last_seen": _iso(0.1 if number != 3 else 50), "first_seen": _iso(2000),
         "tags": ["FalconGroupingTags/Finance"] if number == 1 else []}
        for number in (1, 2, 3)
    ]  # fmt: skip
    kinds = dict.fromkeys(devices[0], "VARCHAR") | {"tags": "VARCHAR[]", "document": "JSON"}
    _table(db, "falcon_devices", kinds, [device | {"document": json.dumps(device)} for device in devices])
    alerts = []
    for number in range(1, 6):
        host = devices[(number - 1) % 3]
        document = {
            "composite_id": f"c1:ind:{host['device_id']}:{number}", "agent_id": host["device_id"], "cid": "c1",
            "display_name": f"Alert {number}", "filename": "PowerShell.exe", "cmdline": f"powershell.exe -enc {number}",
            "severity": 20 * number, "severity_name": "High", "status": "new", "timestamp": _iso(number),
            "created_timestamp": _iso(number), "tags": ["true_positive"] if number == 1 else [], "resolution": None,
            "device": {"device_id": host["device_id"], "hostname": host["hostname"], "status": "normal"},
        }  # fmt: skip
        flat = {key: value for key, value in document.items() if key != "device"}
        flat |= {f"device.{key}": value for key, value in host.items() if key in ("device_id", "hostname", "status")}
        alerts.append(flat | {"document": json.dumps(document)})
    kinds = dict.fromkeys(alerts[0], "VARCHAR") | {"severity": "BIGINT", "tags": "VARCHAR[]", "document": "JSON"}
    _table(db, "falcon_alerts", kinds, alerts)
    flaw = {"id": "v1", "aid": devices[0]["device_id"], "cve.id": "CVE-2023-23397", "status": "open",
            "cve.exploit_status": 90, "cve.is_cisa_kev": True, "cve.base_score": 9.8,
            "updated_timestamp": _iso(5)}  # fmt: skip
    document = {"id": "v1", "aid": flaw["aid"], "status": "open", "cve": {"id": "CVE-2023-23397"},
                "host_info": {"hostname": "WS-001"}}  # fmt: skip
    kinds = dict.fromkeys(flaw, "VARCHAR") | {"cve.exploit_status": "BIGINT", "cve.base_score": "DOUBLE"}
    kinds |= {"cve.is_cisa_kev": "BOOLEAN", "document": "JSON"}
    _table(db, "falcon_vulnerabilities", kinds, [flaw | {"document": json.dumps(document)}])
    columns = ["@id", "#event_simpleName", "aid", "ComputerName", "UserName", "FileName", "CommandLine",
               "TargetProcessId", "RemoteAddressIP4", "RemotePort"]  # fmt: skip
    events: list[dict[str, Any]] = [
        {"@timestamp": int((NOW - timedelta(minutes=number)).timestamp() * 1000), "@id": f"e{number}",
         "#event_simpleName": "ProcessRollup2", "aid": devices[0]["device_id"], "ComputerName": f"WS-{number % 3 + 1:03}",
         "UserName": "ann", "FileName": "cmd.exe", "CommandLine": f"cmd /c echo {number}", "TargetProcessId": str(number)}
        for number in range(1, 401)
    ]  # fmt: skip
    events.append(
        {"@timestamp": int((NOW - timedelta(minutes=90)).timestamp() * 1000), "@id": "n1", "ComputerName": "WS-001",
         "#event_simpleName": "NetworkConnectIP4", "RemoteAddressIP4": "203.0.113.66", "RemotePort": "443"}
    )  # fmt: skip
    _table(db, "falcon_events", {"@timestamp": "BIGINT"} | dict.fromkeys(columns, "VARCHAR"), events)


def _sentinelone(db: duckdb.DuckDBPyConnection) -> None:
    agents: list[dict[str, Any]] = [
        {"id": f"10000000000000000{number}", "uuid": f"u{number}", "computerName": name, "osType": "windows",
         "isActive": active, "networkStatus": "connected", "siteId": "s1", "createdAt": _iso(999), "infected": False}
        for number, name, active in ((1, "FS-01", True), (2, "MX-01", True), (3, "OLD-01", False))
    ]  # fmt: skip
    documents = {"id": "VARCHAR", "document": "JSON"}
    _table(db, "s1_agents", documents, [{"id": agent["id"], "document": json.dumps(agent)} for agent in agents])
    threat = {
        "id": "200000000000000001",
        "threatInfo": {"threatName": "rclone.exe", "incidentStatus": "unresolved", "createdAt": _iso(6),
                       "confidenceLevel": "suspicious", "mitigationStatus": "not_mitigated", "sha1": "ab"},
        "agentRealtimeInfo": {"agentId": agents[0]["id"], "agentComputerName": "FS-01", "agentNetworkStatus": "connected"},
        "agentDetectionInfo": {"siteId": "s1"},
    }  # fmt: skip
    _table(db, "s1_threats", documents, [{"id": threat["id"], "document": json.dumps(threat)}])
    columns = {"id": "VARCHAR", "eventType": "VARCHAR", "objectType": "VARCHAR", "endpointName": "VARCHAR",
               "eventTime": "TIMESTAMP", "tgtProcName": "VARCHAR", "tgtProcCmdLine": "VARCHAR", "tgtProcPid": "BIGINT",
               "dstIp": "VARCHAR", "dstPort": "BIGINT", "dnsRequest": "VARCHAR"}  # fmt: skip
    events: list[dict[str, Any]] = [
        {"id": f"p{number}", "eventType": "Process Creation", "objectType": "process", "endpointName": "FS-01",
         "eventTime": _plain(number), "tgtProcName": "Rclone.exe" if number == 6 else "cmd.exe", "tgtProcPid": number,
         "tgtProcCmdLine": rf"C:\Windows\Temp\x{number}.exe copy"}
        for number in range(1, 13)
    ]  # fmt: skip
    events.append(
        {"id": "n1", "eventType": "IP Connect", "objectType": "ip", "endpointName": "FS-01", "eventTime": _plain(6),
         "dstIp": "198.51.100.23", "dstPort": 443}
    )  # fmt: skip
    _table(db, "s1_events", columns, events)


def _microsoft(db: duckdb.DuckDBPyConnection) -> None:
    columns = {"TimeGenerated": "TIMESTAMP", "Computer": "VARCHAR", "EventID": "INTEGER", "Account": "VARCHAR",
               "LogonType": "INTEGER", "IpAddress": "VARCHAR"}  # fmt: skip
    _table(db, "SecurityEvent", columns, [
        {"TimeGenerated": _plain(hours), "Computer": "DC-01", "EventID": 4624, "Account": r"CORP\Ann", "LogonType": 3,
         "IpAddress": f"10.0.0.{hours}"} for hours in range(1, 49)
    ])  # fmt: skip
    _table(db, "SigninLogs", {"TimeGenerated": "TIMESTAMP", "UserPrincipalName": "VARCHAR", "LocationDetails": "JSON"}, [
        {"TimeGenerated": _plain(2), "UserPrincipalName": "ann@corp.example", "LocationDetails": '{"city":"Hamburg"}'}
    ])  # fmt: skip
    columns = {"Timestamp": "TIMESTAMP", "DeviceId": "VARCHAR", "DeviceName": "VARCHAR", "FileName": "VARCHAR",
               "ProcessCommandLine": "VARCHAR", "ProcessId": "BIGINT"}  # fmt: skip
    _table(db, "DeviceProcessEvents", columns, [
        {"Timestamp": _plain(3), "DeviceId": "d1", "DeviceName": "dc-01.corp.example", "FileName": "whoami.exe",
         "ProcessCommandLine": "whoami /all", "ProcessId": 7}
    ])  # fmt: skip
    columns = {"Timestamp": "TIMESTAMP", "DeviceId": "VARCHAR", "DeviceName": "VARCHAR", "OSPlatform": "VARCHAR",
               "SensorHealthState": "VARCHAR"}  # fmt: skip
    _table(db, "DeviceInfo", columns, [
        {"Timestamp": _plain(1), "DeviceId": name, "DeviceName": f"{host}.corp.example", "OSPlatform": "Windows11",
         "SensorHealthState": health} for name, host, health in (("d1", "dc-01", "Active"), ("d2", "lt-01", "Inactive"))
    ])  # fmt: skip


@pytest.fixture(scope="session")
def small_telemetry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "telemetry.duckdb"
    with duckdb.connect(str(path)) as db:
        _falcon(db)
        _sentinelone(db)
        _microsoft(db)
    return path


@pytest.fixture
def world(small_telemetry: Path, tmp_path: Path) -> Iterator[World]:
    telemetry, state = Telemetry(small_telemetry), LabState(tmp_path / "state.sqlite")
    yield World(telemetry, state, LabClock(state, NOW))
    telemetry.close()
    state.close()


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=LabTransport(world)) as client:
        yield client


Headers = dict[str, str]


@pytest.fixture
def falcon_headers(world: World) -> Callable[..., Headers]:
    """Headers of a caller with the reading or the acting credential, without the detour over the token endpoint."""

    def headers(role: Role = "reading") -> Headers:
        return {"Authorization": f"Bearer {world.state.issue_token('falcon', role, '', 1e9)}"}

    return headers


@pytest.fixture
def s1_headers(world: World) -> Callable[..., Headers]:
    def headers(role: Role = "reading") -> Headers:
        return {"Authorization": f"ApiToken {world.state.credential('sentinelone', role).secret}"}

    return headers


@pytest.fixture
def ms_headers(world: World) -> Callable[..., Headers]:
    def headers(audience: str, role: Role = "reading") -> Headers:
        return {"Authorization": f"Bearer {world.state.issue_token('microsoft', role, audience, 1e9)}"}

    return headers
