r"""The events of a rule as the lab's tables: flat Windows and Linux fields, read and written by the lab's own code.

Each event gets a moment of its own, and the rules' moments follow one another, so a rule's events are a time window and
a row is known by its time. What the lab's writers put more simply than the sensors is put as those write it: Falcon's
paths by volume, its second event of a script, Defender's registry hives in full; Splunk's sources are those of logs that
are not rendered as XML, which the backend asks for.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ..lab.observation import DEFENDER, FALCON, SENTINEL, SENTINELONE, Observation
from ..lab.rows import rows_of
from ..lab.store import TelemetryStore
from ..lab.windows_events import happened
from ..lab.windows_reading import Programs
from .building import Made
from .reading import SigmaRule

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
APART = timedelta(milliseconds=20)
HOST = {"windows": "WS-LAB7", "linux": "srv-lab7"}
_GUID, _PARENT = "{0a1b2c3d-0001-0002-0003-00000000000a}", "{0a1b2c3d-0001-0002-0003-00000000000b}"
_HIVES = {"HKLM\\": "HKEY_LOCAL_MACHINE\\", "HKU\\": "HKEY_USERS\\", "HKCR\\": "HKEY_CLASSES_ROOT\\"}
_SYSMON = "Microsoft-Windows-Sysmon/Operational"
_WHO = {"User": "LAB\\mara", "Image": r"C:\Lab\bin\labapp.exe"}
_LAUNCH = {
    **_WHO, "CommandLine": "labapp.exe 7", "ParentImage": r"C:\Lab\bin\labshell.exe", "ParentCommandLine": "labshell.exe",
    "OriginalFileName": "labapp.exe", "Description": "Lab application", "Product": "Lab", "Company": "Lab Ltd",
    "IntegrityLevel": "Medium", "CurrentDirectory": "C:\\Lab\\",
}  # fmt: skip
_LINUX = {
    "User": "mara", "Image": "/opt/lab/labapp", "CommandLine": "labapp 7", "ParentImage": "/opt/lab/labshell",
    "ParentCommandLine": "labshell",
}  # fmt: skip

SOURCES: Mapping[tuple[str, str, str], tuple[str, int, Mapping[str, Any]]] = {
    ("windows", "process_creation", ""): (_SYSMON, 1, _LAUNCH),
    ("linux", "process_creation", ""): (_SYSMON, 1, _LINUX),
    ("windows", "file_event", ""): (_SYSMON, 11, {**_WHO, "TargetFilename": r"C:\Lab\data\note.lab"}),
    ("windows", "image_load", ""): (
        _SYSMON, 7, {**_WHO, "ImageLoaded": r"C:\Lab\bin\labpart.lab", "Signed": "true", "Signature": "Lab Ltd"}
    ),
    ("windows", "registry_set", ""): (
        _SYSMON, 13,
        {**_WHO, "EventType": "SetValue", "TargetObject": r"HKLM\SOFTWARE\Lab\Seven", "Details": "lab"},
    ),
    ("windows", "network_connection", ""): (
        _SYSMON, 3,
        {**_WHO, "Initiated": "true", "Protocol": "tcp", "SourceIp": "10.77.0.7", "SourcePort": "50777",
         "DestinationIp": "203.0.113.77", "DestinationPort": "7777", "DestinationHostname": "lab7.example"},
    ),
    ("windows", "dns_query", ""): (_SYSMON, 22, {**_WHO, "QueryName": "lab7.example", "QueryResults": "10.77.0.9"}),
    ("windows", "process_access", ""): (
        _SYSMON, 10,
        {"SourceImage": r"C:\Lab\bin\labapp.exe", "SourceUser": "LAB\\mara", "TargetImage": r"C:\Lab\bin\labshell.exe",
         "GrantedAccess": "0x7", "CallTrace": "lab"},
    ),
    ("windows", "ps_script", ""): (
        "Microsoft-Windows-PowerShell/Operational", 4104, {"ScriptBlockText": "lab 7", "Path": r"C:\Lab\seven.lab"}
    ),
    ("windows", "", "security"): ("Security", 0, {"SubjectUserName": "mara", "SubjectDomainName": "LAB"}),
    ("windows", "", "system"): ("System", 0, {"ServiceName": "lab7", "ImagePath": r"C:\Lab\bin\labapp.exe"}),
}  # fmt: skip
"""A rule's log source to the channel and number of its events, and to what such an event has by itself."""


@dataclass(frozen=True, slots=True)
class Placed:
    """The events of one rule in a lab: the window, and which of its moments are matches."""

    start: datetime
    end: datetime
    matches: frozenset[datetime]
    misses: frozenset[datetime]


def defaults(rule: SigmaRule) -> Mapping[str, Any] | None:
    """What an event of the rule's log source has by itself; None where the lab has no such events."""
    source = SOURCES.get((rule.product, rule.category, rule.service))
    return None if source is None else source[2]


def write(path: Path, rules: Sequence[tuple[SigmaRule, Made]]) -> list[Placed]:
    """Write the events of rules into a new lab file.

    Returns:
        For each rule where its events are.
    """
    placed: list[Placed] = []
    rows: list[tuple[str, Mapping[str, Any]]] = []
    now = START
    for rule, made in rules:
        start = now
        moments: list[frozenset[datetime]] = []
        for events in (made.matches, made.misses):
            times = [now + number * APART for number in range(len(events))]
            for event, when in zip(events, times, strict=True):
                rows += _as_written(_rows(rule, event, when))
            moments.append(frozenset(times))
            now += len(events) * APART
        placed.append(Placed(start, now, *moments))
        now += timedelta(minutes=1)
    TelemetryStore.create(path, rows, {"clock": now.isoformat(), "seed": None, "names": {}, "alerts": {}})
    return placed


def flat(rule: SigmaRule, event: Mapping[str, Any]) -> dict[str, Any]:
    """An event with the fields that every record of its log has."""
    log, code, _ = SOURCES[rule.product, rule.category, rule.service]
    host = HOST[rule.product]
    ids = {"ProcessGuid": _GUID, "ProcessId": "7707", "ParentProcessGuid": _PARENT, "ParentProcessId": "7077",
           "SourceProcessGUID": _GUID, "SourceProcessId": "7707", "TargetProcessGUID": _PARENT}  # fmt: skip
    return {
        "Channel": log,
        "EventID": event.get("EventID", code),
        "Hostname": host,
        **(ids if log == _SYSMON else {}),
        **event,
    }


def _rows(rule: SigmaRule, event: Mapping[str, Any], when: datetime) -> Iterator[tuple[str, Mapping[str, Any]]]:
    record = flat(rule, event)
    host = record["Hostname"]
    told = happened(host, record, _programs(record))
    if told is None:
        return
    event_class, attributes = told
    device = {"device.hostname": host, "device.os": rule.product, "device.ip": "10.77.0.7"}
    sensors = {FALCON, SENTINELONE, DEFENDER} | ({SENTINEL} if record["Channel"] == "Security" else set())
    extra = {"record": record, **({"windows": record} if SENTINEL in sensors else {})}
    yield from rows_of(Observation(event_class, when, device | attributes, frozenset(sensors), extra=extra))
    audited = _audited(rule, record)
    if audited:
        seen = Observation(event_class, when, device | attributes, frozenset({SENTINEL}), extra={"windows": audited})
        # Splunk has the launch from Sysmon already.
        yield from ((table, row) for table, row in rows_of(seen) if table == "SecurityEvent")


def _programs(record: Mapping[str, Any]) -> Programs:
    """What is known of the acting process: rules on files and connections name its command line and its parent."""
    programs = Programs()
    if record["Channel"] == _SYSMON and record["EventID"] != 1:
        known = {name: record[name] for name in ("Image", "CommandLine", "ParentImage", "User") if name in record}
        programs.learn(record["Hostname"], {"EventID": 1, "ProcessGuid": _GUID, "ProcessId": "7707", **known})
    return programs


def _audited(rule: SigmaRule, record: Mapping[str, Any]) -> dict[str, Any]:
    """The Security log's account of a launch, which is where Sentinel has it from."""
    if (rule.product, rule.category) != ("windows", "process_creation"):
        return {}
    user = str(record.get("User", ""))
    named = {
        "NewProcessName": record.get("Image"), "CommandLine": record.get("CommandLine"),
        "ParentProcessName": record.get("ParentImage"), "SubjectUserName": user.rpartition("\\")[2],
        "SubjectDomainName": user.rpartition("\\")[0], "NewProcessId": "0x1e1b", "ProcessId": "0x1ba5",
    }  # fmt: skip
    return {"EventID": 4688, "Channel": "Security", "Hostname": record["Hostname"]} | {
        name: value for name, value in named.items() if value
    }


def _as_written(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for table, row in rows:
        if table == "falcon_events":
            paths = {key: row[key] for key in ("ImageFileName", "TargetFileName", "SourceFileName") if row.get(key)}
            written = {**row, **{key: _by_volume(str(path)) for key, path in paths.items()}}
            yield table, written
            if written["#event_simpleName"] == "ScriptControlScanInfo":
                yield table, {**written, "#event_simpleName": "ScriptControlScanTelemetry"}
        elif table == "splunk_events":
            yield table, {**row, "source": str(row["source"]).removeprefix("Xml")}
        elif table == "DeviceRegistryEvents":
            yield table, {**row, "RegistryKey": _in_full(str(row.get("RegistryKey", "")))}
        else:
            yield table, row


def _by_volume(path: str) -> str:
    return re.sub(r"^[A-Za-z]:(?=\\)", r"\\Device\\HarddiskVolume3", path)


def _in_full(key: str) -> str:
    return next((full + key[len(short) :] for short, full in _HIVES.items() if key.upper().startswith(short)), key)
