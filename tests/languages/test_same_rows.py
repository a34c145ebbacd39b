"""The same search on the same events returns the same events through every language that can express it.

Searches are drawn from a seed, for each event class, operator and kind of literal. For each one, events are built from
the search alone: one that meets every condition, one that narrowly misses each, and one that meets only it. The lab's
writers put them into every vendor's tables, in that vendor's spelling of hosts, accounts and paths; no compiler takes
part. Each query then runs over all events, and `search.matches` says which of them must come back.
"""

import os
import random
import re
import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from tracehound.evals.lab import sql_cql, sql_fql, sql_kql, sql_powerquery, sql_s1ql, sql_spl
from tracehound.evals.lab.observation import DEFENDER, FALCON, SENTINEL, SENTINELONE, Observation
from tracehound.evals.lab.rows import rows_of
from tracehound.evals.lab.store import TelemetryStore
from tracehound.evals.lab.telemetry import Telemetry
from tracehound.tools.languages import Language, Platform, Query, translate
from tracehound.tools.languages.search import (
    All,
    AnyOf,
    Condition,
    Expression,
    Not,
    Operator,
    Scalar,
    Search,
    Window,
    conditions,
    matches,
)
from tracehound.tools.languages.views import views_for
from tracehound.tools.languages.vocabulary import EventClass

SEARCHES = 1_000 if os.environ.get("TRACEHOUND_FULL") else 56
START = datetime(2026, 11, 20, 8, tzinfo=UTC)
END = START + timedelta(days=3)
SENSORS = frozenset({FALCON, SENTINELONE, DEFENDER, SENTINEL})
DOMAIN, FOREST = "CORP", "corp.example"

Event = dict[str, Any]

# What the attributes of a class hold

HOSTS = ("WS-042", "WS-0421", "DC-01", "SRV-FILE-7", "XWS-042")
USERS = ("jdoe", "svc-backup", "Administrator", "o'brien", "j.doe", "ajdoe")
PROGRAMS = ("cmd.exe", "powershell.exe", "rundll32.exe", "7z.exe", "My Tool (1).exe", "na\u00efve.exe", "50%_off.exe")
FOLDERS = (
    "C:\\Windows\\System32",
    "C:\\Program Files (x86)\\Vendor",
    "C:\\Users\\jdoe\\AppData\\Local\\Temp",
    "D:\\it's",
)
COMMANDS = (
    'cmd.exe /c "echo %TEMP% > C:\\x.txt" & whoami',
    "powershell -NoP -enc SQBFAFgAIAAoAE4AZQB3AA== -w hidden",
    "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 624 C:\\l.dmp full",
    "reg add HKLM\\Software\\Run /v 'it''s' /d \"a*b?c\" /f",
    "7z a -p$ecret! [out].zip {x} (y) ^z|w;v # 100%",
    "tool --name=na\u00efve --path=/usr/local/bin -- //server/share",
)
NAMES = ("login.evil.example", "evil.example", "cdn-1.vendor.example", "xn--80ak6aa92e.example")
ADDRESSES = ("10.20.1.42", "10.20.200.7", "192.168.7.9", "203.0.113.66", "172.16.31.255")
TITLES = ("LSASS memory read", "Suspicious PowerShell", 'It\'s a "test" (50%)')

PARTS = (Operator.CONTAINS, Operator.STARTSWITH, Operator.ENDSWITH, Operator.MATCHES)
SPREAD = (Operator.EQ, Operator.NE, *PARTS, Operator.EXISTS)
ORDERED = (Operator.EQ, Operator.NE, Operator.GT, Operator.GE, Operator.LT, Operator.LE)


@dataclass(frozen=True)
class Kind:
    """A sort of attribute: the values it takes and the operators that make sense on it."""

    values: tuple[Scalar, ...]
    operators: tuple[Operator, ...] = SPREAD


def paths() -> tuple[str, ...]:
    return tuple(f"{folder}\\{program}" for folder in FOLDERS for program in PROGRAMS)


HOST = Kind(HOSTS, (Operator.EQ, Operator.NE, *PARTS))
USER, PROGRAM, PATH, COMMAND, NAME = Kind(USERS), Kind(PROGRAMS), Kind(paths()), Kind(COMMANDS), Kind(NAMES)
ADDRESS = Kind(ADDRESSES, (Operator.EQ, Operator.NE, Operator.CIDR, Operator.STARTSWITH))
PORT = Kind((22, 80, 443, 445, 3389, 49_152), ORDERED)
PID = Kind((4, 624, 4_711, 65_000), ORDERED)
HASH = Kind(tuple(digit * 64 for digit in "0a9f"), (Operator.EQ, Operator.NE))
TITLE = Kind(TITLES)


def closed(*values: str) -> Kind:
    return Kind(values, (Operator.EQ, Operator.NE))


@dataclass(frozen=True)
class Scene:
    """An event class: what is the same in all its events, and what the others differ in."""

    event_class: EventClass
    fixed: Mapping[str, Any]
    attributes: Mapping[str, Kind]


HERE = {"device.hostname": HOST, "actor.process.name": PROGRAM}
SCENES = (
    Scene(
        EventClass.PROCESS,
        {"activity": "Launch"},
        {
            "device.hostname": HOST,
            "actor.user.name": USER,
            "process.name": PROGRAM,
            "process.path": PATH,
            "process.cmd_line": COMMAND,
            "process.pid": PID,
            "process.hash.sha256": HASH,
            "actor.process.name": PROGRAM,
        },
    ),
    Scene(
        EventClass.NETWORK,
        {"activity": "Open", "connection.direction": "Outbound", "src_endpoint.port": 50_000},
        {
            **HERE,
            "src_endpoint.ip": ADDRESS,
            "dst_endpoint.ip": ADDRESS,
            "dst_endpoint.port": PORT,
            "connection.protocol": closed("tcp", "udp"),
        },
    ),
    Scene(EventClass.DNS, {"activity": "Query"}, {**HERE, "query.hostname": NAME}),
    Scene(
        EventClass.FILE,
        {},
        {**HERE, "file.path": PATH, "file.name": PROGRAM, "file.hash.sha256": HASH, "activity": closed("Create", "Delete")},
    ),
    Scene(EventClass.MODULE, {"activity": "Load"}, {**HERE, "module.path": PATH, "module.name": PROGRAM}),
    Scene(EventClass.REGISTRY, {"activity": "Set", "reg.path": "HKLM\\Software\\A", "reg.value_name": "B"},
          {**HERE, "reg.value_data": COMMAND}),
    Scene(EventClass.SCRIPT, {"activity": "Execute"}, {**HERE, "script.content": COMMAND}),
    Scene(
        EventClass.AUTHENTICATION,
        {"activity": "Logon"},
        {
            "device.hostname": HOST,
            "user.name": USER,
            "src_endpoint.ip": ADDRESS,
            "src_endpoint.hostname": HOST,
            "logon_type": closed("Network", "RemoteInteractive", "Interactive"),
            "status": closed("Success", "Failure"),
        },
    ),
    Scene(EventClass.JOB, {"activity": "Create"}, {"device.hostname": HOST, "job.name": TITLE, "job.cmd_line": COMMAND}),
    Scene(
        EventClass.SERVICE,
        {"activity": "Create"},
        {"device.hostname": HOST, "service.name": TITLE, "service.cmd_line": COMMAND, "service.account": USER},
    ),
    Scene(EventClass.DEVICE, {}, {"device.hostname": HOST, "device.external_ip": ADDRESS}),
    Scene(
        EventClass.VULNERABILITY,
        {},
        {
            "vulnerability.cve": closed("CVE-2026-1001", "CVE-2026-10012", "CVE-2023-23397"),
            "vulnerability.severity": closed("Low", "High", "Critical"),
            "vulnerability.score": Kind((2, 5, 9), ORDERED),
        },
    ),
    Scene(
        EventClass.FINDING,
        {},
        {
            "device.hostname": HOST,
            "finding.title": TITLE,
            "severity": closed("Low", "Medium", "High", "Critical"),
            "attacks.technique": closed("T1003.001", "T1059"),
            "process.cmd_line": COMMAND,
            "process.name": PROGRAM,
        },
    ),
)  # fmt: skip
TOGETHER = {"process.name": "process.path", "file.name": "file.path", "module.name": "module.path"}
"""A path says the name, so events hold both and a search names one of them."""

# Searches


def recased(draw: random.Random, text: str) -> str:
    return draw.choice((text, text.upper(), text.lower(), text.swapcase()))


def condition(draw: random.Random, name: str, kind: Kind) -> Condition:
    op = draw.choice(kind.operators)
    if op is Operator.EXISTS:
        return Condition(field=name, op=op)
    several = (
        len(kind.values) > 2 and draw.random() < 0.35 and op not in (Operator.GT, Operator.GE, Operator.LT, Operator.LE)
    )
    drawn = draw.sample(kind.values, 2 if several else 1)
    return Condition(field=name, op=op, values=tuple(asked(draw, op, value) for value in drawn))


def asked(draw: random.Random, op: Operator, value: Scalar) -> Scalar:
    """What a search compares with when an attribute holds this value."""
    if not isinstance(value, str):
        return value
    if op is Operator.CIDR:
        return str(ip_network(f"{value}/{draw.choice((8, 12, 16, 20, 24, 27, 32))}", strict=False))
    if op is Operator.MATCHES:
        return pattern(draw, value)
    size = max(1, len(value) * 2 // 3)
    start = draw.randrange(len(value) - size + 1)
    part = {
        Operator.CONTAINS: value[start : start + size],
        Operator.STARTSWITH: value[:size],
        Operator.ENDSWITH: value[-size:],
    }.get(op, value)
    return recased(draw, part)


def pattern(draw: random.Random, value: str) -> str:
    """A regular expression that this value meets, as analysts write them."""
    third = max(1, len(value) // 3)
    begin, end = re.escape(value[:third]), re.escape(value[-third:])
    return draw.choice(
        (f"^{begin}", f"{end}$", f"^{begin}.*{end}$", f"{begin}.+", f"(zz|{end})$", f"(?i){end.upper()}")
    )


def expression(draw: random.Random, parts: list[Condition]) -> Expression:
    """The conditions joined in one of the ways that analysts join them."""
    first, *rest = parts
    if not rest:
        return draw.choice((first, Not(of=first)))
    half = max(1, len(rest) // 2)
    return draw.choice(
        (
            All(of=tuple(parts)),
            AnyOf(of=tuple(parts)),
            All(of=(first, AnyOf(of=tuple(rest)))),
            All(of=(first, Not(of=All(of=tuple(rest))))),
            AnyOf(of=(All(of=(first, *rest[:half])), *rest[half:])),
            Not(of=AnyOf(of=tuple(parts))),
            All(of=(*(Not(of=part) for part in rest), first)),
        )
    )


def searches(draw: random.Random, count: int) -> Iterator[tuple[Scene, Search]]:
    for number in range(count):
        scene = SCENES[number % len(SCENES)]
        size = min(len(scene.attributes), draw.choice((1, 1, 2, 2, 3, 4)))
        drawn = draw.sample(list(scene.attributes), size)
        chosen = [name for name in drawn if TOGETHER.get(name) not in drawn]
        parts = [condition(draw, name, scene.attributes[name]) for name in chosen]
        yield scene, Search(event_class=scene.event_class, where=expression(draw, parts),
                            window=Window(start=START, end=END), limit=10_000)  # fmt: skip


# Events, built from a search


def met(draw: random.Random, wanted: Condition, kind: Kind) -> Scalar | None:
    """A value that meets a condition; None for no value at all."""
    if wanted.op is Operator.EXISTS:
        return draw.choice(kind.values)
    value = draw.choice(wanted.values)
    text = str(value)
    match wanted.op:
        case Operator.NE:
            others = [other for other in kind.values if matches(wanted, {wanted.field: other})]
            return draw.choice(others)
        case Operator.GT:
            return int(value) + 1
        case Operator.LT:
            return int(value) - 1
        case Operator.CONTAINS | Operator.STARTSWITH | Operator.ENDSWITH | Operator.MATCHES:
            return whole(draw, wanted, kind)
        case Operator.CIDR:
            block = ip_network(text)
            return str(block[draw.choice((0, -1))])
        case _:
            return value if isinstance(value, int) or kind is HASH else spelled(draw, text, kind)


def whole(draw: random.Random, wanted: Condition, kind: Kind) -> Scalar:
    """One of the usual values that meets the condition."""
    usual = [value for value in kind.values if matches(wanted, {wanted.field: value})]
    value = draw.choice(usual)
    return spelled(draw, str(value), kind) if isinstance(value, str) else value


def spelled(draw: random.Random, text: str, kind: Kind) -> str:
    """Closed lists are spelled in one way, by the vendors' rules."""
    if len(kind.operators) == 2:
        return next(str(value) for value in kind.values if str(value).casefold() == text.casefold())
    return recased(draw, text)


def missed(draw: random.Random, wanted: Condition, kind: Kind) -> Scalar | None:
    """A value that narrowly misses a condition; None for no value at all."""
    if wanted.op is Operator.EXISTS:
        return None
    if wanted.op is Operator.NE:
        value = draw.choice(wanted.values)
        return value if isinstance(value, int) else spelled(draw, str(value), kind)
    near = [value for value in near_misses(draw, wanted, kind) if not matches(wanted, {wanted.field: value})]
    return draw.choice(near)


def near_misses(draw: random.Random, wanted: Condition, kind: Kind) -> list[Scalar]:
    if len(kind.operators) == 2 or isinstance(kind.values[0], int):
        numbers = [int(value) + step for value in wanted.values if isinstance(value, int) for step in (-1, 1, 0)]
        return [*numbers, *kind.values]
    found: list[Scalar] = []
    usual = [value for value in kind.values if matches(wanted, {wanted.field: value})]
    for value in map(str, usual if wanted.op is Operator.MATCHES else wanted.values):
        match wanted.op:
            case Operator.CIDR:
                block = ip_network(value)
                found += [str(block[0] - 1), str(block[-1] + 1)]
            case Operator.STARTSWITH if kind is ADDRESS:
                found += ["198.51.100.7"]
            case Operator.EQ if kind is ADDRESS:
                found += [value[:-1] + ("1" if value[-1] != "1" else "2"), *kind.values]
            case _:
                letter = draw.choice(string.ascii_lowercase)
                middle = draw.randrange(len(value))
                found += [f"{letter}{value}", f"{value}{letter}", value[:-1] + letter, value[1:]]
                found += [value[:middle] + letter + value[middle + 1 :]]
    return [value for value in found if value] + [value for value in kind.values if kind is ADDRESS]


def events_of(draw: random.Random, scene: Scene, search: Search) -> Iterator[Event]:
    """A match of every condition, a near miss of each, and events that meet one condition alone."""
    wanted = list(conditions(search.where))
    usual = {name: draw.choice(kind.values) for name, kind in scene.attributes.items()}
    good = {part.field: met(draw, part, scene.attributes[part.field]) for part in wanted}
    bad = {part.field: missed(draw, part, scene.attributes[part.field]) for part in wanted}
    for part in wanted:
        assert matches(part, good), (part, good)
        assert not matches(part, bad), (part, bad)
    yield usual | good
    yield usual | bad
    for part in wanted:
        yield usual | good | {part.field: bad[part.field]}
        if len(wanted) > 2:
            yield usual | bad | {part.field: good[part.field]}


def completed(scene: Scene, event: Event, named: set[str]) -> Event:
    """With what is fixed, without what is absent, and with path and name agreeing."""
    whole = {**scene.fixed, **{name: value for name, value in event.items() if value is not None}}
    for name, path in TOGETHER.items():
        if name not in scene.attributes:
            continue
        if path in named:
            whole.pop(name, None)
            if path in whole:
                whole[name] = str(whole[path]).replace("/", "\\").rpartition("\\")[2]
        elif name in whole:
            whole[path] = f"C:\\Data\\{whole[name]}"
        else:
            whole.pop(path, None)
    return whole


def observation(scene: Scene, event: Event, time: datetime) -> Observation:
    account = {"actor.user.domain": DOMAIN, "user.domain": DOMAIN, "device.os": "windows"}
    return Observation(scene.event_class, time, event | account, SENSORS, extra={"domain": FOREST})


def process_creation(event: Event, time: datetime) -> dict[str, Any]:
    """What the Security log writes of a new process, as Sentinel keeps it; the lab's scenario has none."""
    host = event.get("device.hostname", "")
    return {
        "TimeGenerated": time,
        "EventID": 4688,
        "Channel": "Security",
        "Computer": f"{host.lower()}.{FOREST}",
        "SubjectUserName": event.get("actor.user.name"),
        "SubjectDomainName": DOMAIN,
        "NewProcessName": event.get("process.path"),
        "CommandLine": event.get("process.cmd_line"),
        "ParentProcessName": f"C:\\Parents\\{event['actor.process.name']}" if "actor.process.name" in event else None,
    }


# The lab


@dataclass
class World:
    """All events in the tables of all vendors, and the searches that they were built for."""

    telemetry: Telemetry
    events: dict[datetime, Event] = field(default_factory=dict)
    classes: dict[datetime, EventClass] = field(default_factory=dict)
    seen_by: dict[str, set[datetime]] = field(default_factory=dict)
    """Table to the events that it holds."""
    searches: list[tuple[Scene, Search]] = field(default_factory=list)


PLACES = {
    Language.CQL: "falcon_events",
    Language.S1QL: "s1_events",
    Language.POWERQUERY: "s1_events",
    Language.SPL: "splunk_events",
}
DOCUMENTS = {
    "alerts": ("falcon_alerts", "timestamp"),
    "hosts": ("falcon_devices", "last_seen"),
    "vulnerabilities": ("falcon_vulnerabilities", "created_timestamp"),
}
"""FQL's collections: table, and the time of its rows."""
NOT_WRITTEN = {
    (Platform.SENTINEL, "process.pid"),  # hexadecimal text in the Security log
    (Platform.SPLUNK, "file.hash.sha256"),  # Sysmon hashes no file that it sees created
}
"""Attributes that a platform's views know and its rows do not hold."""
CLOCKS = ("Timestamp", "TimeGenerated", "eventTime", "_time", "timestamp", "@timestamp")


def built(folder: Path) -> World:
    draw = random.Random(20261124)
    asked_for = list(searches(draw, SEARCHES))
    events: dict[datetime, Event] = {}
    classes: dict[datetime, EventClass] = {}
    seen_by: dict[str, set[datetime]] = {}
    rows: list[tuple[str, dict[str, Any]]] = []
    for scene, search in asked_for:
        named = {part.field for part in conditions(search.where)}
        for event in events_of(draw, scene, search):
            time = START + timedelta(seconds=7 * (len(events) + 1))
            events[time] = completed(scene, event, named)
            classes[time] = scene.event_class
            written = list(rows_of(observation(scene, events[time], time)))
            if scene.event_class is EventClass.PROCESS:
                written.append(("SecurityEvent", process_creation(events[time], time)))
            for table, row in written:
                rows.append((table, row))
                seen_by.setdefault(table, set()).add(time)
    TelemetryStore.create(folder / "same.duckdb", rows, {})
    return World(Telemetry(folder / "same.duckdb"), events, classes, seen_by, asked_for)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = built(tmp_path_factory.mktemp("same"))
    yield made
    made.telemetry.close()


def when(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
    if isinstance(value, int) or str(value).isdigit():
        return datetime.fromtimestamp(int(value) / 1000, UTC)
    return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)


class Engines:
    """The lab's executors, each giving the moments of the events that it returns."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        self.kusto = {
            Platform.SENTINEL: sql_kql.Engine(telemetry, "sentinel", END),
            Platform.DEFENDER: sql_kql.Engine(telemetry, "defender", END),
        }

    def found(self, query: Query) -> set[datetime]:
        run: Mapping[Language, Callable[[Query], list[Mapping[str, Any]]]] = {
            Language.CQL: lambda q: list(sql_cql.run(self.telemetry, q.text, START, END).rows),
            Language.S1QL: lambda q: list(sql_s1ql.run(self.telemetry, q.text, START, END, q.limit)),
            Language.POWERQUERY: lambda q: list(sql_powerquery.run(self.telemetry, q.text, START, END).records()),
            Language.SPL: lambda q: list(sql_spl.run(self.telemetry, q.text, START, END).rows),
            Language.KQL: self._kql,
            Language.FQL: self._fql,
        }
        return {self._moment(row) for row in run[query.language](query)}

    def _kql(self, query: Query) -> list[Mapping[str, Any]]:
        answer = self.kusto[query.platform].run(query.text)
        names = [name for name, _ in answer.columns]
        return [dict(zip(names, row, strict=True)) for row in answer.rows]

    def _fql(self, query: Query) -> list[Mapping[str, Any]]:
        table, clock = DOCUMENTS[query.collection]
        clause = sql_fql.where(query.text, query.collection, self.telemetry.tables[table], END)
        sql = f'SELECT "{clock}" AS _time FROM {self.telemetry.place(table)} WHERE {clause.sql}'
        return list(self.telemetry.run(sql, clause.values).records())

    @staticmethod
    def _moment(row: Mapping[str, Any]) -> datetime:
        return when(next(row[name] for name in CLOCKS if row.get(name) is not None))


def queries(search: Search) -> list[Query]:
    found = [item for item in translate(search, languages=[*Language]) if isinstance(item, Query)]
    return [query for query in found if query.language is not Language.REST]


def table_of(query: Query) -> str:
    return (
        DOCUMENTS[query.collection][0]
        if query.language is Language.FQL
        else PLACES.get(query.language, query.collection)
    )


def speaks_of_all(query: Query, search: Search) -> bool:
    """Whether the view carries every attribute that the search names; a language that does not is told so apart."""
    view = next(
        v for v in views_for(search.event_class) if v.platform is query.platform and v.collection == query.collection
    )
    return all(view.carries(part.field) for part in conditions(search.where))


def qualified(event: Event) -> Event:
    host = event.get("device.hostname")
    return event | {"device.hostname": f"{host}.{FOREST}"} if host else event


def test_every_language_returns_the_events_that_the_search_means(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    engines = Engines(world.telemetry)
    exact: Counter[Language] = Counter()
    wider: Counter[Language] = Counter()
    wrong: list[str] = []
    for scene, search in world.searches:
        own = {time: event for time, event in world.events.items() if world.classes[time] is scene.event_class}
        meant = {time for time, event in own.items() if matches(search.where, event)}
        # Unanchored patterns may run on into the domain that some platforms write behind a host.
        open_to_doubt = {
            time for time, event in own.items() if matches(search.where, qualified(event)) is not (time in meant)
        }
        parts: dict[tuple[Platform, Language], list[Query]] = {}
        for query in queries(search):
            parts.setdefault((query.platform, query.language), []).append(query)
        for (platform, language), asked_queries in parts.items():
            if not all(speaks_of_all(query, search) for query in asked_queries):
                continue
            if any((platform, part.field) in NOT_WRITTEN for part in conditions(search.where)):
                continue
            tables = {table_of(query) for query in asked_queries}
            visible = set().union(*(world.seen_by.get(table, set()) for table in tables))
            came = set().union(*(engines.found(query) for query in asked_queries))
            narrowed = any(query.cannot_express for query in asked_queries)
            lost, extra = (meant & visible) - came - open_to_doubt, came - meant - open_to_doubt
            (wider if narrowed else exact)[language] += 1
            if lost or (extra and not narrowed):
                wrong.append(
                    f"{platform} {language}: {search.where}\n  {[query.text for query in asked_queries]}\n"
                    f"  lost {[world.events[time] for time in list(lost)[:2]]}\n"
                    f"  extra {[world.events.get(time) for time in list(extra)[:2]]}"
                )
    record_property("exact", {language.value: number for language, number in exact.items()})
    record_property("wider", {language.value: number for language, number in wider.items()})
    assert not wrong, f"{len(wrong)} of {exact.total() + wider.total()}\n" + "\n".join(wrong[:12])
    assert set(exact) | set(wider) == {language for language in Language if language is not Language.REST}
