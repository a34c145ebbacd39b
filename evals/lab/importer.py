"""Recorded Windows telemetry as a lab: what happened, seen by every sensor (`tracehound lab load`).

A recording is read twice. The first reading learns what the second needs: the zone of the logs, the process behind each
GUID, the addresses and the last user of each host, and what Sysmon told anyway. The second makes observations and rows,
so that a recording of any size passes through. Every record also stands in the Windows table that Sentinel would keep
it in, with its original fields: `SecurityEvent` for the Security log, `Event` for all others.

Two logs of one host often tell the same thing. A sensor sees it once, so the Security log's account of a launch or a
connection goes to the endpoint sensors only where Sysmon gave none.
"""

import hashlib
import html
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ...knowledge.errors import RecordingError
from ...tools.languages.vocabulary import EventClass
from .detections import Detection, Detector
from .identity import CID, aid, digest, guid, threat_id
from .observation import DEFENDER, FALCON, SENTINEL, SENTINELONE, Observation
from .recording_clock import RecordingClock
from .recordings import Record, read
from .rows import rows_of
from .windows_events import happened
from .windows_reading import Programs, account, address, channel, drifts, event_id, host_of, short, text

ENDPOINT = frozenset({FALCON, SENTINELONE, DEFENDER})
_CONTROLLER_EVENTS = frozenset({4768, 4769, 4771, 4776})
_PERSONAL_LOGONS = ("2", "10", "11", "7")
_TRANSPORT = frozenset(
    {
        "Hostname", "Computer", "ComputerName", "Channel", "EventID", "EventTime", "EventReceivedTime", "TimeCreated",
        "SystemTime", "@timestamp", "@version", "Message", "SourceName", "SourceModuleName", "SourceModuleType",
        "ProviderGuid", "Provider", "Keywords", "Severity", "SeverityValue", "host", "port", "tags", "Version", "Task",
        "Category", "Opcode", "OpcodeValue", "Level", "RecordNumber", "ExecutionProcessID", "ThreadID", "AccountType",
        "ERROR_EVT_UNRESOLVED", "EventTypeOrignal", "ActivityID",
    }
)  # fmt: skip
"""What the log and its shippers add to the data of an event."""

Rows = Iterator[tuple[str, Mapping[str, Any]]]


@dataclass
class Host:
    """What a recording says of one host."""

    name: str
    domain: str = ""
    addresses: Counter[str] = field(default_factory=Counter)
    user: str = ""
    controller: bool = False
    sysmon: bool = False
    """Whether Sysmon reported launches there."""

    @property
    def address(self) -> str:
        """Its own address: the one at its end of most connections."""
        found = self.addresses.most_common(1)
        return found[0][0] if found else ""


@dataclass
class Survey:
    """What the first reading learned."""

    clock: RecordingClock = field(default_factory=RecordingClock)
    programs: Programs = field(default_factory=Programs)
    hosts: dict[str, Host] = field(default_factory=dict)
    connections: set[tuple[str, ...]] = field(default_factory=set)
    """Host, addresses and ports of the connections that Sysmon reported."""
    records: int = 0

    def learn(self, fields: Mapping[str, Any]) -> None:
        """Take in one record."""
        self.records += 1
        name = host_of(fields)
        host = self.hosts.setdefault(short(name), Host(short(name)))
        host.domain = host.domain or name.partition(".")[2].lower()
        self.clock.learn(host.name, fields, drifts(fields))
        log, code = channel(fields), event_id(fields)
        if log == "sysmon":
            self.programs.learn(host.name, fields)
            host.sysmon = host.sysmon or code == 1
        if connection := connection_of(host.name, fields):
            if log == "sysmon":
                self.connections.add(connection)
            host.addresses.update(_own_addresses(fields))
        if log == "security" and code == 4624 and text(fields, "LogonType") in _PERSONAL_LOGONS:
            host.user = text(fields, "TargetUserName") or host.user
        host.controller = host.controller or (log == "security" and code in _CONTROLLER_EVENTS)


def connection_of(host: str, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Host, addresses and ports of a connection record; empty for other records."""
    match channel(fields), event_id(fields):
        case "sysmon", 3:
            names = ("SourceIp", "SourcePort", "DestinationIp", "DestinationPort")
        case "security", 5156:
            names = ("SourceAddress", "SourcePort", "DestAddress", "DestPort")
        case _:
            return ()
    return (host, *(address(text(fields, name)) for name in names))


def _own_addresses(fields: Mapping[str, Any]) -> Iterator[str]:
    inbound = text(fields, "Initiated").lower() == "false" or text(fields, "Direction") == "%%14592"
    own = text(fields, "DestinationIp", "DestAddress") if inbound else text(fields, "SourceIp", "SourceAddress")
    try:
        found = ip_address(address(own))
    except ValueError:
        return
    if found.version == 4 and not (found.is_loopback or found.is_unspecified or found.is_multicast):
        yield str(found)


class Recording:
    """Recorded telemetry on its way into a lab. `meta` and `report` are complete when the last row was taken."""

    def __init__(self, paths: Sequence[Path], survey: Survey) -> None:
        self._paths = paths
        self.survey = survey
        self._detector = Detector()
        self._unmapped: Counter[str] = Counter()
        self._mapped = 0
        self._last: datetime | None = None
        self.meta: dict[str, Any] = {"scenario": "recording", "seed": None, "names": {}, "alerts": {}}

    @cached_property
    def name(self) -> str:
        """A name for the lab's folder."""
        stem = self._paths[0].name.split(".")[0]
        return "".join(letter if letter.isalnum() else "-" for letter in stem.lower()).strip("-")[:60] or "recording"

    @cached_property
    def digest(self) -> str:
        """The content of its files, whatever they are called: 64 hex digits."""
        found = []
        for path in self._paths:
            with path.open("rb") as file:
                found.append(hashlib.file_digest(file, "sha256").hexdigest())
        return digest(*sorted(found))

    def rows(self) -> Rows:
        """The rows of every platform."""
        for record in read(self._paths):
            for seen in self._observe(record):
                self._detector.look(seen)
                yield from rows_of(seen)
        if self._last is None:
            raise RecordingError(f"{self._paths[0]} holds no event with a readable time; nothing was loaded")
        end = self._last.replace(microsecond=0) + timedelta(seconds=1)
        for host in self.survey.hosts.values():
            yield from rows_of(_inventory(host, end))
        for detection in self._detector.detections():
            for seen in self._alerts(detection):
                yield from rows_of(seen)
        self.meta["clock"] = _iso(end)
        self.meta["names"] = {name: name for name in self.survey.hosts}
        self.meta["question"] = self._question()
        self.meta["recordings"] = [self.digest]

    @property
    def report(self) -> dict[str, Any]:
        """What was loaded, and what has no place outside the Windows tables."""
        return {
            "records": self.survey.records,
            "loaded": self._mapped,
            "unmapped": dict(self._unmapped.most_common()),
            "clock": self.meta.get("clock"),
            "clock_assumed_utc": self.survey.clock.assumed,
            "hosts": sorted(self.survey.hosts),
            "alerts": self.meta["alerts"],
        }

    def _observe(self, record: Record) -> Iterator[Observation]:
        fields = record.fields
        host = self.survey.hosts[short(host_of(fields))]
        when = self.survey.clock.time(host.name, fields, drifts(fields))
        log, code = channel(fields), event_id(fields)
        if when is None:
            self._unmapped[f"{text(fields, 'Channel') or 'no channel'}/{code} (no readable time)"] += 1
            return
        self._last = when if self._last is None else max(self._last, when)
        told = happened(host.name, fields, self.survey.programs)
        device = {"device.hostname": host.name, "device.os": "windows"}
        if host.address:
            device["device.ip"] = host.address
        extra = {"domain": host.domain, "record": fields, **_windows(fields, log, host)}
        if told is None:
            self._unmapped[f"{text(fields, 'Channel') or 'no channel'}/{code}"] += 1
            yield Observation(EventClass.BASE, when, device, frozenset({SENTINEL}), extra=extra)
            return
        self._mapped += 1
        event_class, attributes = told
        sensors = frozenset({SENTINEL}) if self._is_twin(host, fields, log, code) else ENDPOINT | {SENTINEL}
        yield Observation(event_class, when, device | attributes, sensors, extra=extra)

    def _is_twin(self, host: Host, fields: Mapping[str, Any], log: str, code: int) -> bool:
        if log != "security":
            return False
        if code in (4688, 4689):
            return host.sysmon
        return code == 5156 and connection_of(host.name, fields) in self.survey.connections

    def _alerts(self, detection: Detection) -> Iterator[Observation]:
        rule, last = detection.rule, detection.last
        shared = {
            "finding.title": rule.title, "finding.description": _describe(detection), "severity": rule.severity,
            "attacks.technique": rule.technique, "attacks.tactic": rule.tactic, "finding.status": "New",
        }  # fmt: skip
        copied = {
            name: value
            for name, value in last.attributes.items()
            if name.startswith(("device.", "actor.", "process.", "file.", "user."))
        }
        if last.text("actor.user.name"):
            copied["user.name"] = last.text("actor.user.name")
        mark = digest("finding", rule.id, last.host, last.time.isoformat())
        ids = {
            FALCON: f"{CID}:ind:{aid(last.host)}:{int(mark[:9], 16)}", SENTINELONE: threat_id(mark),
            DEFENDER: f"da{mark[:18]}", SENTINEL: guid(mark),
        }  # fmt: skip
        label = f"{rule.id}-{last.host}"
        label = label if label not in self.meta["alerts"] else f"{label}-{mark[:4]}"
        for sensor, uid in ids.items():
            self.meta["alerts"][label if sensor == FALCON else f"{label}@{sensor}"] = uid
            yield Observation(
                EventClass.FINDING, last.time, copied | shared | {"finding.uid": uid}, frozenset({sensor}),
                extra={"domain": last.extra.get("domain", ""), "product": "Azure Sentinel"},
            )  # fmt: skip

    def _question(self) -> str:
        first = next((name for name in self.meta["alerts"] if "@" not in name), None)
        hosts = ", ".join(self.survey.hosts)
        return f"triage {self.meta['alerts'][first]}" if first else f"what happened on {hosts}?"


def read_recordings(paths: Sequence[Path]) -> Recording:
    """Read recordings once, to the end, and learn what their second reading needs.

    Raises:
        RecordingError: a file is damaged or holds no Windows events; names the file and the line.
    """
    survey = Survey()
    recognised = False
    for record in read(paths):
        survey.learn(record.fields)
        recognised = recognised or (event_id(record.fields) > 0 and bool(host_of(record.fields)))
    if not recognised:
        raise RecordingError(
            f"{paths[0] if paths else 'the recording'} holds no Windows events (no EventID, no host); nothing was loaded"
        )
    return Recording(paths, survey)


def _windows(fields: Mapping[str, Any], log: str, host: Host) -> dict[str, Any]:
    """Where Sentinel keeps the record, with its original fields."""
    data = {name: value for name, value in fields.items() if name not in _TRANSPORT and value not in (None, "")}
    if log == "security":
        names = {
            "EventID": event_id(fields), "Channel": text(fields, "Channel"),
            "EventSourceName": text(fields, "SourceName"), "EventRecordId": text(fields, "RecordNumber"),
        }  # fmt: skip
        return {"windows": data | {name: value for name, value in names.items() if value}}
    writer, domain = text(fields, "AccountName"), text(fields, "Domain")
    row = {
        "Computer": f"{host.name.lower()}.{host.domain}" if host.domain else host.name, "EventLog": text(fields, "Channel"),
        "Source": text(fields, "SourceName"), "EventID": event_id(fields),
        "UserName": f"{domain}\\{writer}" if writer and domain else writer,
        "EventData": event_xml(data),
    }  # fmt: skip
    if log != "sysmon":
        row["RenderedDescription"] = text(fields, "Message")
    return {"table": "Event", "row": row}


def event_xml(data: Mapping[str, Any]) -> str:
    """The data of an event as Windows renders it."""
    # Escaped in one go, with two control characters in place of the tags: the values are many and short.
    joined = html.escape("\x1e".join(f"{name}\x1f{value}" for name, value in data.items()), quote=False)
    items = joined.replace("\x1e", '</Data><Data Name="').replace("\x1f", '">')
    inner = f'<Data Name="{items}</Data>' if data else ""
    return f'<EventData xmlns="http://schemas.microsoft.com/win/2004/08/events/event">{inner}</EventData>'


def _inventory(host: Host, end: datetime) -> Observation:
    product = "Domain Controller" if host.controller else "Workstation"
    attributes = {
        "device.hostname": host.name, "device.os": "windows", "device.ip": host.address, "device.domain": host.domain,
        "device.type": product, "device.criticality": "critical" if host.controller else "normal",
        "device.tags": ["domain-controller"] if host.controller else [], "device.last_user": account(host.user)[0],
    }  # fmt: skip
    return Observation(
        EventClass.DEVICE, end - timedelta(seconds=1), attributes, ENDPOINT,
        extra={"domain": host.domain, "os_version": "Windows", "product_type": product},
    )  # fmt: skip


def _describe(detection: Detection) -> str:
    last, size = detection.last, len(detection.seen)
    if size == 1:
        return f"{detection.rule.title} on {last.host}."
    count = detection.rule.count
    values = sorted({item.text(count.distinct) for item in detection.seen}) if count and count.distinct else []
    span = (last.time - detection.seen[0].time).total_seconds()
    named = f": {', '.join(values[:10])}" if values else ""
    return f"{detection.rule.title} on {last.host}: {size} events in {span:.0f} seconds{named}."


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
