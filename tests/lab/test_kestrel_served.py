"""The generated lab behind its servers: facts of the world, asked in each language."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tracehound.evals.lab.lab import Lab
from tracehound.tools.languages.query import Check, Language, Platform, Query
from tracehound.tools.languages.search import Window
from tracehound.tools.vendors.estate import Estate

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab.create(tmp_path_factory.mktemp("kestrel") / "lab")


@pytest.fixture
async def connected(lab: Lab) -> AsyncIterator[Estate]:
    found = lab.estate()
    yield found
    await found.aclose()


@pytest.mark.parametrize(
    ("platform", "language", "collection", "text", "key", "expected"),
    [
        ("falcon", "fql", "hosts", "hostname:'WS-042'+status:'normal'", "local_ip", {"10.20.1.42"}),
        ("falcon", "fql", "alerts", "device.hostname:'WS-042'+severity_name:'Critical'", "technique_id", {"T1003.001"}),
        ("falcon", "fql", "vulnerabilities", "cve.id:['CVE-2021-36934']", "status", {"closed"}),
        (
            "falcon",
            "cql",
            "events",
            "#event_simpleName=ProcessRollup2 ParentBaseFileName=/^winword\\.exe$/i ComputerName=WS-042 | tail(10)",
            "FileName",
            {"powershell.exe"},
        ),
        (
            "falcon",
            "cql",
            "events",
            "RemoteAddressIP4=203.0.113.66 | groupBy([ComputerName], function=count(as=n))",
            "ComputerName",
            {"WS-042"},
        ),
        ("sentinelone", "s1ql", "events", 'TgtProcName = "rclone.exe"', "endpointName", {"FS-01"}),
        ("sentinelone", "s1ql", "events", 'DstIP = "198.51.100.23"', "dstPort", {443}),
        ("sentinelone", "rest", "threats", "GET /threats?resolved=false&computerName__contains=FS-01", "id", None),
        (
            "sentinel",
            "kql",
            "SigninLogs",
            "SigninLogs | where IPAddress == '192.0.2.77' | project UserPrincipalName",
            "UserPrincipalName",
            {"d.okoye@kestrel.example"},
        ),
        (
            "sentinel",
            "kql",
            "EmailEvents",
            "EmailEvents | where SenderFromDomain == 'kestre1-freight.example' | summarize n = count()",
            "n",
            {23},
        ),
        ("defender", "kql", "DeviceInfo", "DeviceInfo | summarize n = dcount(DeviceId)", "n", {8}),
    ],
)
async def test_a_fact_is_where_its_sensor_would_show_it(
    connected: Estate,
    platform: str,
    language: str,
    collection: str,
    text: str,
    key: str,
    expected: set[object] | None,
) -> None:
    window = Window(start=connected.now() - timedelta(days=14), end=connected.now())
    spoken = Language(language)
    asked = Query(Platform(platform), spoken, collection, text, window, 1000, Check(spoken, True, True))
    reader = connected.reader(asked.platform)
    assert reader is not None
    found = await reader.run(asked)
    assert (found.status, found.coverage.complete, bool(found.rows)) == ("ok", True, True)
    assert expected is None or {row[key] for row in found.rows} == expected


async def test_every_alert_of_the_lab_is_found_by_its_id(lab: Lab, connected: Estate) -> None:
    assert lab.alerts
    for alert in lab.alerts.values():
        found = [await reader.find_alert(alert) for reader in connected.readers]
        assert sum(item is not None for item in found) == 1


def test_two_labs_have_different_secrets(lab: Lab, tmp_path: Path) -> None:
    from tracehound.evals.lab.folder import STATE
    from tracehound.evals.lab.state import LabState

    states = [LabState(lab.directory / STATE), LabState(tmp_path / STATE)]
    secrets = {state.credential("falcon", "acting").secret for state in states}
    assert len(secrets) == 2
    for state in states:
        state.close()
