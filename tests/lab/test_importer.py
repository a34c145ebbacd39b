"""Recorded telemetry in a lab: true times, every platform's tables, alerts, and input that cannot be read."""

import gzip
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tracehound.evals.lab.importer import read_recordings
from tracehound.evals.lab.lab import Lab
from tracehound.evals.lab.recordings import flat, read
from tracehound.evals.lab.windows_reading import drifts, host_of, short
from tracehound.knowledge.errors import RecordingError, UsageError

SYSMON, SECURITY = "Microsoft-Windows-Sysmon/Operational", "Security"
START = datetime(2024, 5, 6, 7, 30, tzinfo=UTC)
OFFSET = timedelta(hours=-5)
"""How far the zone of the test's collector lies from UTC."""

Event = dict[str, Any]


def utc(seconds: float) -> str:
    return f"{START + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}.{round(seconds % 1 * 1000):03d}"


def local(seconds: float) -> str:
    return f"{START + OFFSET + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"


def event(code: int, seconds: float, host: str = "PC7.corp.test", channel: str = SYSMON, **fields: Any) -> Event:
    found = {"EventID": code, "Channel": channel, "Hostname": host, "EventTime": local(seconds)}
    if channel == SYSMON:
        found["UtcTime"] = utc(seconds)
    return found | fields


def guid(number: int) -> str:
    return f"{{00000000-0000-0000-0000-{number:012d}}}"


SHELL = {
    "ProcessGuid": guid(2),
    "ProcessId": "4242",
    "Image": r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
}
ENCODED = "powershell.exe -nop -enc " + "QUJD" * 20
EVENTS: list[Event] = [
    event(1, 0, **SHELL, CommandLine=ENCODED, User=r"CORP\ann", LogonId="0x77", IntegrityLevel="High",
          ParentProcessGuid=guid(1), ParentProcessId="900", ParentImage=r"C:\Windows\explorer.exe",
          Hashes="MD5=0A,SHA256=0B"),
    event(4688, 0, channel=SECURITY, NewProcessName=SHELL["Image"], NewProcessId="0x1092", CommandLine=ENCODED,
          SubjectUserName="ann", SubjectDomainName="CORP", ProcessId="0x384", ParentProcessName=r"C:\Windows\explorer.exe"),
    event(3, 2.4, **SHELL, UtcTime=utc(190), Initiated="true", Protocol="tcp", SourceIp="10.1.2.7", SourcePort="50001",
          DestinationIp="203.0.113.5", DestinationPort="8443"),
    event(5156, 2, channel=SECURITY, Application=r"\device\harddiskvolume2\windows\powershell.exe", ProcessId="4242",
          Direction="%%14593", Protocol="6", SourceAddress="10.1.2.7", SourcePort="50001", DestAddress="203.0.113.5",
          DestPort="8443"),
    event(5156, 3, channel=SECURITY, Application=r"\device\harddiskvolume2\windows\system32\svchost.exe", ProcessId="77",
          Direction="%%14593", Protocol="17", SourceAddress="10.1.2.7", SourcePort="50002", DestAddress="10.1.2.1",
          DestPort="53"),
    event(22, 3.5, **SHELL, QueryName="drop.evil.test", QueryStatus="0", QueryResults="::ffff:203.0.113.5;"),
    event(10, 5, SourceProcessGUID=guid(2), SourceProcessId="4242", SourceImage=SHELL["Image"], TargetProcessGUID=guid(9),
          TargetProcessId="700", TargetImage=r"C:\Windows\System32\lsass.exe", GrantedAccess="0x1fffff"),
    event(11, 6, **SHELL, TargetFilename=r"C:\Users\ann\out.bin"),
    event(13, 7, **SHELL, EventType="SetValue", TargetObject=r"HKLM\System\CurrentControlSet\Services\Upd\ImagePath",
          Details="cmd.exe"),
    event(7, 8, **SHELL, ImageLoaded=r"C:\Windows\System32\samlib.dll", Signed="true", Signature="Microsoft Windows"),
    event(9, 8.5, **SHELL, Device=r"\Device\HarddiskVolume2"),
    event(4624, 9, "SRV1.corp.test", SECURITY, TargetUserName="ann", TargetDomainName="CORP", LogonType="3",
          IpAddress="10.1.2.7", IpPort="50100", TargetLogonId="0x9a1", AuthenticationPackageName="Kerberos"),
    event(7045, 10, "SRV1.corp.test", "System", ServiceName="Upd", AccountName="LocalSystem", StartType="demand start",
          ImagePath=f"%COMSPEC% /b /c start /b /min {ENCODED}"),
    event(4688, 11, "SRV1.corp.test", SECURITY, NewProcessName=r"C:\Windows\System32\cmd.exe", NewProcessId="0xabc",
          CommandLine="cmd.exe /c whoami", SubjectUserName="SRV1$", SubjectDomainName="CORP", ProcessId="0x2bc",
          ParentProcessName=r"C:\Windows\System32\services.exe"),
    event(4104, 12, channel="Microsoft-Windows-PowerShell/Operational", ScriptBlockText="Invoke-Thing -Deep",
          AccountName="ann", Domain="CORP", ExecutionProcessID=4242),
    *(
        event(4625, 13 + number, channel=SECURITY, TargetUserName=f"user{number}", TargetDomainName="CORP", LogonType="2",
              SubStatus="0xc000006a", Status="0xc000006d", ProcessName=SHELL["Image"], SubjectUserName="ann",
              SubjectDomainName="CORP", IpAddress="-")
        for number in range(6)
    ),
    *(
        event(4769, 20, "DC1.corp.test", SECURITY, TargetUserName="ann@CORP.TEST", ServiceName=f"svc{number}",
              TicketEncryptionType="0x17", TicketOptions="0x40810000", Status="0x0", IpAddress="::ffff:10.1.2.7",
              IpPort="50200")
        for number in range(4)
    ),
]  # fmt: skip


def write(path: Path, events: Iterable[Event]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in events), encoding="utf-8")
    return path


def ask(lab: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(lab / "telemetry.duckdb"), read_only=True) as db:
        return db.execute(sql).fetchall()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("recording")
    report = Lab.load([write(folder / "events.jsonl", EVENTS)], folder / "lab")
    return folder / "lab", report


@pytest.fixture
def lab(loaded: tuple[Path, dict[str, Any]]) -> Path:
    return loaded[0]


def test_what_was_loaded_is_reported(loaded: tuple[Path, dict[str, Any]]) -> None:
    place, report = loaded
    assert report["records"] == len(EVENTS)
    assert report["unmapped"] == {f"{SYSMON}/9": 1}
    assert report["loaded"] == len(EVENTS) - 1
    assert report["hosts"] == ["DC1", "PC7", "SRV1"]
    assert report["clock_assumed_utc"] is False
    assert Lab.open(place).clock == START + timedelta(seconds=21)
    assert Lab.open(place).info()["tables"]["SecurityEvent"] == 1 + 2 + 1 + 1 + 6 + 4
    assert report["directory"] == str(place)


def test_the_zone_of_the_log_is_found_from_sysmon(lab: Path) -> None:
    times = dict(ask(lab, "SELECT EventID, min(TimeGenerated) FROM SecurityEvent GROUP BY 1"))
    assert times[4624] == (START + timedelta(seconds=9)).replace(tzinfo=None), "a host without Sysmon takes the others'"
    assert times[4625] == (START + timedelta(seconds=13)).replace(tzinfo=None)


def test_network_events_of_sysmon_take_the_time_of_the_log(lab: Path) -> None:
    (when,) = ask(lab, "SELECT Timestamp FROM DeviceNetworkEvents WHERE RemotePort = 8443")[0]
    drift = when.replace(tzinfo=UTC) - START
    assert timedelta(seconds=2) <= drift < timedelta(seconds=3), "not 190 seconds, as UtcTime says"
    (looked_up,) = ask(lab, "SELECT Timestamp FROM DeviceEvents WHERE ActionType = 'DnsQueryResponse'")[0]
    assert looked_up.replace(tzinfo=UTC) - START == timedelta(seconds=3.5), "the fraction fits, so it is kept"


EVERYWHERE = {
    "launch": (
        "SELECT CommandLine, UserName, RawProcessId, ParentBaseFileName FROM falcon_events "
        "WHERE FileName = 'powershell.exe' AND \"#event_simpleName\" = 'ProcessRollup2'",
        "SELECT tgtProcCmdLine, split_part(tgtProcUser, '\\', 2), tgtProcPid::VARCHAR, srcProcName FROM s1_events "
        "WHERE eventType = 'Process Creation' AND tgtProcName = 'powershell.exe'",
        "SELECT ProcessCommandLine, AccountName, ProcessId::VARCHAR, InitiatingProcessFileName FROM DeviceProcessEvents "
        "WHERE FileName = 'powershell.exe'",
        (ENCODED, "ann", "4242", "explorer.exe"),
    ),
    "connection": (
        "SELECT RemoteAddressIP4, RemotePort, LocalAddressIP4, ContextBaseFileName FROM falcon_events "
        "WHERE RemotePort = '8443'",
        "SELECT dstIp, dstPort::VARCHAR, srcIp, srcProcName FROM s1_events WHERE dstPort = 8443",
        "SELECT RemoteIP, RemotePort::VARCHAR, LocalIP, InitiatingProcessFileName FROM DeviceNetworkEvents "
        "WHERE RemotePort = 8443",
        ("203.0.113.5", "8443", "10.1.2.7", "powershell.exe"),
    ),
    "logon": (
        "SELECT UserName, LogonType, RemoteAddressIP4, ComputerName FROM falcon_events "
        "WHERE \"#event_simpleName\" = 'UserLogon'",
        "SELECT loginsUserName, CASE loginType WHEN 'NETWORK' THEN '3' END, srcMachineIp, endpointName FROM s1_events "
        "WHERE eventType = 'Login' AND loginIsSuccessful = 'true'",
        "SELECT AccountName, CASE LogonType WHEN 'Network' THEN '3' END, RemoteIP, upper(split_part(DeviceName, '.', 1)) "
        "FROM DeviceLogonEvents WHERE ActionType = 'LogonSuccess'",
        ("ann", "3", "10.1.2.7", "SRV1"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", EVERYWHERE)
def test_the_same_event_is_in_every_platforms_table_once(lab: Path, what: str) -> None:
    *queries, expected = EVERYWHERE[what]
    assert [ask(lab, str(query)) for query in queries] == [[expected]] * 3


def test_original_values_stay_findable(lab: Path) -> None:
    assert ask(lab, "SELECT tgtProcAccessRights, srcProcPid FROM s1_events WHERE tgtProcName = 'lsass.exe'") == [
        ("0x1fffff", 4242)
    ]
    assert ask(
        lab,
        "SELECT AdditionalFields->>'DesiredAccess', FileName FROM DeviceEvents WHERE ActionType = 'OpenProcessApiCall'",
    ) == [("0x1fffff", "lsass.exe")]
    tickets = ask(
        lab, "SELECT ServiceName, IpAddress, EventData FROM SecurityEvent WHERE EventID = 4769 ORDER BY ServiceName"
    )
    assert [row[:2] for row in tickets] == [(f"svc{number}", "::ffff:10.1.2.7") for number in range(4)]
    assert all('<Data Name="TicketEncryptionType">0x17</Data>' in row[2] for row in tickets)
    assert ask(lab, "SELECT DISTINCT Computer, Channel, SubStatus FROM SecurityEvent WHERE EventID = 4625") == [
        ("pc7.corp.test", "Security", "0xc000006a")
    ]
    service = ask(lab, "SELECT Computer, EventLog, EventData FROM Event WHERE EventID = 7045")[0]
    assert service[:2] == ("srv1.corp.test", "System")
    assert ENCODED in service[2]
    assert ask(
        lab, "SELECT AdditionalFields->>'ServiceName' FROM DeviceEvents WHERE ActionType = 'ServiceInstalled'"
    ) == [("Upd",)]
    assert ask(lab, "SELECT RegistryKey, RegistryValueName FROM DeviceRegistryEvents") == [
        (r"HKLM\System\CurrentControlSet\Services\Upd", "ImagePath")
    ]
    assert ask(lab, "SELECT srcProcCmdScript, srcProcName FROM s1_events WHERE eventType = 'Command Script'") == [
        ("Invoke-Thing -Deep", "powershell.exe")
    ]
    assert ask(lab, "SELECT IP4Records FROM falcon_events WHERE DomainName = 'drop.evil.test'") == [("203.0.113.5",)]
    assert ask(lab, "SELECT count(*) FROM Event WHERE EventID = 9") == [(1,)], "what has no class is kept raw"


def test_security_stands_in_for_sysmon_only_where_there_is_none(lab: Path) -> None:
    assert ask(lab, "SELECT FileName FROM DeviceProcessEvents WHERE DeviceName LIKE 'srv1%'") == [("cmd.exe",)]
    assert ask(lab, "SELECT RemotePort FROM DeviceNetworkEvents ORDER BY 1") == [(53,), (8443,)]
    assert ask(lab, "SELECT InitiatingProcessCommandLine FROM DeviceFileEvents") == [(ENCODED,)], (
        "from the launch, by GUID"
    )


def test_hosts_are_in_every_inventory(lab: Path) -> None:
    assert ask(lab, "SELECT hostname, local_ip FROM falcon_devices WHERE hostname = 'PC7'") == [("PC7", "10.1.2.7")]
    assert {name for (name,) in ask(lab, "SELECT computerName FROM s1_agents")} == {"PC7", "SRV1", "DC1"}
    assert ask(lab, "SELECT DeviceType FROM DeviceInfo WHERE DeviceName = 'dc1.corp.test'") == [("Domain Controller",)]


def test_detections_become_alerts_of_every_vendor(lab: Path) -> None:
    alerts = Lab.open(lab).alerts
    raised = {name.partition("@")[0] for name in alerts}
    assert raised == {
        "lsass-full-access-PC7", "service-encoded-command-SRV1", "service-starts-shell-SRV1", "encoded-powershell-PC7",
        "failed-logon-burst-PC7", "kerberoasting-DC1",
    }  # fmt: skip
    for name in raised:
        assert ask(lab, f"SELECT 1 FROM falcon_alerts WHERE composite_id = '{alerts[name]}'"), name
        assert ask(lab, f"SELECT 1 FROM s1_threats WHERE id = '{alerts[name + '@sentinelone']}'"), name
        for table in ("AlertInfo", "AlertEvidence"):
            assert ask(lab, f"SELECT 1 FROM {table} WHERE AlertId = '{alerts[name + '@defender']}'"), name
        assert ask(lab, f"SELECT 1 FROM SecurityAlert WHERE SystemAlertId = '{alerts[name + '@sentinel']}'"), name
    described = ask(lab, "SELECT description FROM falcon_alerts WHERE display_name LIKE 'Many Accounts%'")[0][0]
    assert "user0, user1" in described


def test_a_twelve_hour_clock_is_right_on_both_sides_of_its_turn(tmp_path: Path) -> None:
    turn = datetime(2024, 5, 6, 20, 0, tzinfo=UTC)  # 13:00 in the zone of the log, where 12:59 is followed by 01:00

    def twelve(moment: datetime) -> str:
        there = moment - timedelta(hours=7)
        return f"{there:%Y-%m-%dT}{(there.hour - 1) % 12 + 1:02d}:{there:%M:%S}.000Z"

    events = []
    for minute in range(-20, 20):
        when = turn + timedelta(minutes=minute)
        shared = {"Hostname": "PC7.corp.test", "TimeCreated": twelve(when), "@timestamp": twelve(when)}
        events.append(
            {
                **shared,
                "Channel": SYSMON,
                "EventID": 11,
                **SHELL,
                "TargetFilename": rf"C:\a{minute}",
                "UtcTime": f"{when:%F %T}.000",
            }
        )
        events.append({**shared, "Channel": SECURITY, "EventID": 4634, "TargetUserName": f"u{minute}"})
    Lab.load([write(tmp_path / "turn.json", events)], tmp_path / "lab")
    found = dict(ask(tmp_path / "lab", "SELECT TargetUserName, TimeGenerated FROM SecurityEvent"))
    assert found == {f"u{minute}": (turn + timedelta(minutes=minute)).replace(tzinfo=None) for minute in range(-20, 20)}


def test_without_sysmon_the_collectors_time_tells_the_zone(tmp_path: Path) -> None:
    later = f"{START + timedelta(seconds=3):%Y-%m-%dT%H:%M:%S}.120Z"
    seen = event(4634, 0, channel=SECURITY, TargetUserName="ann") | {"@timestamp": later}
    report = Lab.load([write(tmp_path / "a.json", [seen])], tmp_path / "a")
    assert ask(tmp_path / "a", "SELECT TimeGenerated FROM SecurityEvent") == [(START.replace(tzinfo=None),)]
    assert report["clock_assumed_utc"] is False
    report = Lab.load([write(tmp_path / "b.json", [event(4634, 0, channel=SECURITY)])], tmp_path / "b")
    assert report["clock_assumed_utc"] is True


def zipped(path: Path, text: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/events.json", text)
        archive.writestr("README.md", "not events")
        archive.writestr("__MACOSX/._events.json", "not events")


def tarred(path: Path, text: bytes) -> None:
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("events.jsonl")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))


def compressed(path: Path, text: bytes) -> None:
    path.write_bytes(gzip.compress(text))


@pytest.mark.parametrize(("name", "pack"), [("r.zip", zipped), ("r.tar.gz", tarred), ("r.json.gz", compressed)])
def test_archives_are_read(tmp_path: Path, name: str, pack: Callable[[Path, bytes], None]) -> None:
    text = write(tmp_path / "plain.json", EVENTS).read_bytes()
    pack(tmp_path / name, b"\xef\xbb\xbf" + text)
    report = Lab.load([tmp_path / name, tmp_path / "plain.json"], tmp_path / "lab")
    assert report["records"] == 2 * len(EVENTS)


def test_nested_shapes_are_flattened() -> None:
    evtx = {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}}, "EventID": 1, "Channel": SYSMON,
                "Computer": "PC7.corp.test", "TimeCreated": {"#attributes": {"SystemTime": "2024-05-06T07:30:00.123456Z"}},
                "Execution": {"#attributes": {"ProcessID": 12}}, "EventRecordID": 5,
            },
            "EventData": {"Image": r"C:\a.exe", "UtcTime": "2024-05-06 07:30:00.100"},
        }
    }  # fmt: skip
    found = flat(evtx)
    assert (found["EventID"], found["Hostname"], found["Image"], found["SourceName"]) == (
        1, "PC7.corp.test", r"C:\a.exe", "Microsoft-Windows-Sysmon",
    )  # fmt: skip
    beat = {"@timestamp": "2024-05-06T07:30:00Z", "winlog": {"event_id": 4624, "channel": SECURITY, "computer_name": "PC7",
            "event_data": {"TargetUserName": "ann"}}}  # fmt: skip
    assert flat(beat)["TargetUserName"] == "ann"


def truncated(path: Path, text: bytes) -> None:
    zipped(path, text)
    path.write_bytes(path.read_bytes()[:-60])


def halved(path: Path, text: bytes) -> None:
    path.write_bytes(gzip.compress(text)[:-40])


BROKEN: Mapping[str, tuple[str, Callable[[Path, bytes], Any], str]] = {
    "a line is cut": (
        "r.json", lambda path, text: path.write_bytes(text + b'{"EventID": 1, "Cha'), f"line {len(EVENTS) + 1}",
    ),
    "a line is no object": ("r.jsonl", lambda path, text: path.write_bytes(b"[1, 2]\n" + text), "line 1"),
    "bytes that are no text": ("r.json", lambda path, text: path.write_bytes(b"\xff\xfe\x00{"), "line 1"),
    "an archive is cut": ("r.zip", truncated, "r.zip cannot be read to its end"),
    "a compressed file is cut": ("r.json.gz", halved, "r.json.gz cannot be read to its end"),
    "an archive of something else": ("r.zip", lambda path, text: zipfile.ZipFile(path, "w").close(), "holds no recording"),
    "no archive at all": ("r.tar.gz", lambda path, text: path.write_bytes(b"x" * 2000), "r.tar.gz cannot be read"),
    "a log that is none": ("r.evtx", lambda path, text: path.write_bytes(b"x" * 5000), "r.evtx cannot be read"),
    "an empty file": ("r.json", lambda path, text: path.write_bytes(b""), "is empty"),
    "no Windows events": ("r.json", lambda path, text: path.write_bytes(b'{"a": 1}\n'), "no Windows events"),
    "no readable time": (
        "r.json", lambda path, text: path.write_bytes(b'{"EventID": 1, "Hostname": "PC7", "Channel": "Security"}\n'),
        "readable time",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_recording_is_named_and_leaves_nothing(tmp_path: Path, case: str) -> None:
    name, damage, message = BROKEN[case]
    text = write(tmp_path / "plain.json", EVENTS).read_bytes()
    damage(tmp_path / name, text)
    paths = [tmp_path / name] if case.startswith("no ") else [tmp_path / "plain.json", tmp_path / name]
    with pytest.raises(RecordingError, match=message) as caught:
        Lab.load(paths, tmp_path / "lab")
    assert name in str(caught.value)
    assert caught.value.exit_code == 1
    assert not (tmp_path / "lab").exists()
    assert not list(tmp_path.glob(".lab-*"))


OTHERS = [{**item, "Hostname": "PC9.corp.test"} for item in EVENTS if item.get("Hostname", "").startswith("PC7")]


def test_a_recording_is_added_to_a_lab(tmp_path: Path) -> None:
    first, second = write(tmp_path / "first.json", EVENTS), write(tmp_path / "second.json", OTHERS)
    place = tmp_path / "lab"
    Lab.load([first], place)
    before = Lab.open(place).info()
    report = Lab.load([second], place)
    after = Lab.open(place).info()
    assert (report["added"], report["hosts"]) == (True, ["PC9"])
    assert after["events"] > before["events"]
    assert set(after["names"]) == {"DC1", "PC7", "PC9", "SRV1"}
    assert set(before["alerts"].items()) <= set(after["alerts"].items()), "what it held stays as it was"
    assert set(report["alerts"].values()) <= set(after["alerts"].values())
    assert after["question"] == before["question"]
    [(hosts,)] = ask(place, "SELECT count(DISTINCT hostname) FROM falcon_devices")
    assert hosts == 4
    assert after["tables"]["falcon_events"] == ask(place, "SELECT count(*) FROM falcon_events")[0][0]


def test_a_recording_that_a_lab_holds_is_not_added_again(tmp_path: Path) -> None:
    path, place = write(tmp_path / "first.json", EVENTS), tmp_path / "lab"
    loaded = Lab.load([path], place)
    before = Lab.open(place).info()
    again = Lab.load([path.rename(tmp_path / "renamed.json")], place)
    assert (loaded["added"], again["added"]) == (True, False)
    assert {**again, "added": True} == loaded
    assert Lab.open(place).info() == before


def test_a_device_seen_twice_is_one_device(tmp_path: Path) -> None:
    place, later = tmp_path / "lab", EVENTS[: len(EVENTS) // 2]
    Lab.load([write(tmp_path / "first.json", EVENTS)], place)
    seen = ask(place, "SELECT hostname, last_seen FROM falcon_devices ORDER BY 1")
    Lab.load([write(tmp_path / "second.json", later)], place)
    assert ask(place, "SELECT hostname, last_seen FROM falcon_devices ORDER BY 1") == seen, "the later row stays"
    [(rows, agents)] = ask(place, "SELECT count(*), count(DISTINCT id) FROM s1_agents")
    assert rows == agents


def test_a_broken_recording_leaves_a_lab_as_it_was(lab: Path, tmp_path: Path) -> None:
    before = (lab / "telemetry.duckdb").read_bytes()
    broken = tmp_path / "broken.json"
    broken.write_text(write(tmp_path / "good.json", OTHERS).read_text(encoding="utf-8") + "{", encoding="utf-8")
    with pytest.raises(RecordingError):
        Lab.load([broken], lab)
    assert (lab / "telemetry.duckdb").read_bytes() == before
    assert not list(lab.parent.glob(".lab-*"))


def test_two_who_add_to_a_lab_both_do(tmp_path: Path) -> None:
    place = tmp_path / "lab"
    Lab.load([write(tmp_path / "first.json", EVENTS)], place)
    paths = [
        write(tmp_path / f"{name}.json", [{**item, "Hostname": f"{name}.corp.test"} for item in OTHERS])
        for name in ("PCA", "PCB", "PCC")
    ]
    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(lambda path: Lab.load([path], place), paths))
    assert [report["added"] for report in reports] == [True] * 3
    assert {"PCA", "PCB", "PCC"} <= Lab.open(place).names.keys()


def test_the_built_in_lab_is_never_loaded_over(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="never changed"):
        Lab.load([write(tmp_path / "r.json", EVENTS)], tmp_path / "labs" / "other" / ".." / "default", home=tmp_path)
    assert not (tmp_path / "labs").exists()


def test_without_a_folder_a_new_lab_is_made_each_time(tmp_path: Path) -> None:
    path = write(tmp_path / "My Case 7.json", EVENTS)
    made = [Lab.load([path], home=tmp_path)["directory"] for _ in range(2)]
    assert made == [str(tmp_path / "labs" / "my-case-7"), str(tmp_path / "labs" / "my-case-7-2")]


def test_two_who_load_into_the_same_folder_share_it(tmp_path: Path) -> None:
    path = write(tmp_path / "r.json", EVENTS)
    with ThreadPoolExecutor(2) as pool:
        made = [job.result() for job in [pool.submit(Lab.load, [path], tmp_path / "home" / "lab") for _ in range(2)]]
    assert {report["directory"] for report in made} == {str(tmp_path / "home" / "lab")}
    assert [item.name for item in (tmp_path / "home").iterdir()] == ["lab"]


CORPORA = os.environ.get("TRACEHOUND_CORPORA", "")
needs_corpora = pytest.mark.skipif(not CORPORA, reason="TRACEHOUND_CORPORA is not set: no recordings to read")


def _scenarios() -> dict[str, Any]:
    truth: dict[str, Any] = (
        json.loads((Path(CORPORA) / "otrf" / "truth.json").read_text(encoding="utf-8")) if CORPORA else {}
    )
    return truth


@needs_corpora
@pytest.mark.parametrize("name", _scenarios() or ["none"])
def test_times_of_a_recorded_attack_agree_with_what_is_known_of_it(name: str) -> None:
    truth = _scenarios()[name]
    archive = Path(CORPORA) / "otrf" / Path(truth["source"]["path"]).name
    survey, records = read_recordings([archive]).survey, {}
    wanted = {line for step in truth["steps"] for line in step["evidence_lines"]}
    for record in read([archive]):
        if record.number in wanted:
            host = short(host_of(record.fields))
            when = survey.clock.time(host, record.fields, drifts(record.fields))
            assert when is not None
            records[record.number] = when
    assert survey.records == truth["source"]["records"]
    assert survey.clock.assumed is False
    for step in truth["steps"]:
        first = min(records[line] for line in step["evidence_lines"])
        known = datetime.fromisoformat(step["time"])
        assert abs((first - known).total_seconds()) <= max(1.0, truth["order_tolerance_s"]), step["id"]


@needs_corpora
def test_a_recorded_attack_fills_every_platform(tmp_path: Path) -> None:
    truth = _scenarios()["psexec_lateral"]
    archive = Path(CORPORA) / "otrf" / Path(truth["source"]["path"]).name
    report = Lab.load([archive], tmp_path / "lab")
    tables = Lab.open(tmp_path / "lab").info()["tables"]
    assert report["records"] == truth["source"]["records"]
    assert report["loaded"] > 0.8 * report["records"]
    for table in (
        "falcon_events",
        "s1_events",
        "DeviceProcessEvents",
        "DeviceEvents",
        "SecurityEvent",
        "Event",
        "AlertInfo",
    ):
        assert tables[table] > 0, table
    assert set(report["hosts"]) == set(truth["entities"]["hosts"])
