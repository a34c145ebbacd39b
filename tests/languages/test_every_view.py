r"""What a view's queries return is what its rows mean once they are read.

Rows of every view are drawn from a seed and written by its table of fields alone: hosts with and without their domain,
accounts as `DOMAIN\name` and `name@domain`, coded values, paths into objects, empty and missing values. The
normaliser reads the rows that come back without a condition; a search then has to bring the events that
`search.matches` picks among them, in every language of the view.
"""

import json
import os
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from html import escape
from importlib import import_module
from typing import Any

import pytest

from tracehound.evals.lab import sql_cql, sql_fql, sql_kql, sql_powerquery, sql_s1ql, sql_spl
from tracehound.evals.lab.sql_kql import UnrunnableError
from tracehound.evals.lab.store import TelemetryStore
from tracehound.evals.lab.tables import tables
from tracehound.evals.lab.telemetry import Telemetry
from tracehound.knowledge.errors import UnsafeValueError
from tracehound.tools.evidence.normalise import standard
from tracehound.tools.languages import Language, Platform, Query
from tracehound.tools.languages.compiling import NotCarriedError
from tracehound.tools.languages.fql.schema import lookup as fql_lookup
from tracehound.tools.languages.query import Check, Compiled
from tracehound.tools.languages.s1ql.schema import lookup
from tracehound.tools.languages.search import All, AnyOf, Condition, Expression, Not, Operator, Search, Window, matches
from tracehound.tools.languages.translate import ALSO
from tracehound.tools.languages.views import Attribute, View, all_views

SEARCHES = 40 if os.environ.get("TRACEHOUND_FULL") else 3
ROWS = 25
START = datetime(2026, 11, 1, tzinfo=UTC)
EACH = timedelta(hours=1)

HOSTS = ("WS-042", "ws-042.corp.example", "WS-0421.corp.example", "dc-01", "DC-01.corp.example", "10.20.1.42")
USERS = ("jdoe", "CORP\\jdoe", "jdoe@corp.example", "CORP\\ajdoe", "SVC-Backup", "o'brien", "it admin")
PATHS = ("C:\\Windows\\System32\\cmd.exe", "C:\\it's\\My Tool (1).exe", "D:\\x\\CMD.EXE", "/usr/bin/ssh", "cmd.exe")
ADDRESSES = ("10.20.1.42", "10.20.200.7", "203.0.113.66", "172.16.31.255")
TEXTS = (
    'say "hi" & go',
    "it's 50%_off",
    "a*b?c",
    "C:\\x\\y",
    "na\u00efve",
    "High",
    "true",
    "0",
    "plain",
    "{x} [y] (z) ^$|",
)


@dataclass(frozen=True)
class Place:
    """A view and the hour that holds its rows."""

    view: View
    start: datetime

    @property
    def window(self) -> Window:
        return Window(start=self.start, end=self.start + EACH)


TABLES = {
    Language.CQL: "falcon_events",
    Language.S1QL: "s1_events",
    Language.SPL: "splunk_events",
}
DOCUMENTS = {"alerts": "falcon_alerts", "hosts": "falcon_devices", "vulnerabilities": "falcon_vulnerabilities"}
VIEWS = [view for view in all_views() if view.language is not Language.REST]


def table_of(view: View) -> str:
    if view.language is Language.FQL:
        return DOCUMENTS[view.collection]
    return TABLES.get(view.language, view.collection)


PLACES = [Place(view, START + number * EACH) for number, view in enumerate(VIEWS) if table_of(view) in tables()]

# Rows


def drawn(draw: random.Random, view: View, attribute: Attribute) -> Any:
    """A vendor's value of an attribute."""
    if attribute.values:
        return draw.choice(list(attribute.values))
    if view.language is Language.FQL and (codes := property_of(view.collection, attribute.field)):
        return draw.choice(codes)
    if view.language is Language.S1QL and is_number(attribute.field):
        return draw.choice(("0", "443", "4711"))
    match attribute.type, attribute.kind:
        case "int" | "float", _:
            return draw.choice((0, 4, 443, 4711, 50_000))
        case "bool", _:
            return draw.choice((True, False))
        case "datetime" | "epoch_ms" | "epoch_s", _:
            return None
        case _, "host":
            return draw.choice(HOSTS)
        case _, "user":
            return draw.choice(USERS)
        case _, "ip":
            return draw.choice(ADDRESSES)
        case _, "list" | "json" if attribute.kind == "list" or "." not in attribute.field:
            several = draw.sample(TEXTS[:4], 2)
            return several if view.language in (Language.KQL, Language.FQL) else ";".join(several)
        case _ if attribute.transform == "basename":
            return draw.choice(PATHS)
        case _:
            return draw.choice(TEXTS)


def property_of(collection: str, field: str) -> tuple[str, ...]:
    """Every value of a property of Falcon's that has a closed list; codes, which have one spelling."""
    known = fql_lookup(collection, field)
    if known is None:
        return ()
    return known.values or (("17", "4711", "50000") if known.is_code else ())


def is_number(field: str) -> bool:
    known = lookup(field)
    return known is not None and known.type == "int"


def row_of(draw: random.Random, place: Place, time: datetime) -> dict[str, Any]:
    view, columns = place.view, tables()[table_of(place.view)]
    by_key = {attribute.key: attribute for attribute in view.attributes.values() if not attribute.values}
    by_key |= {attribute.key: attribute for attribute in view.attributes.values() if attribute.transform == "basename"}
    by_key |= {attribute.key: attribute for attribute in view.attributes.values() if attribute.values}
    row: dict[str, Any] = {}
    events: dict[str, list[str]] = {}
    for key, attribute in by_key.items():
        value = None if draw.random() < 0.12 else drawn(draw, view, attribute)
        if value is None:
            continue
        if attribute.kind == "event_data":
            column, _, name = key.partition(".")
            events.setdefault(column, []).append(f'<Data Name="{name}">{escape(str(value), quote=False)}</Data>')
        else:
            put(row, re.split(r"\.", key) if key.split(".")[0] in columns and key not in columns else [key], value)
        if view.language is Language.FQL and attribute.field in columns:
            row[attribute.field] = value  # documents are returned under other names than they are asked by
    row |= {column: f"<EventData>{''.join(parts)}</EventData>" for column, parts in events.items()}
    for name, values in view.select.items():
        row[column_of(view, name)] = draw.choice(values)
    row[column_of(view, view.attributes["time"].field)] = time if view.language is not Language.CQL else _epoch(time)
    if view.language is Language.FQL and view.collection == "hosts":
        row |= {"first_seen": time, "local_ip.raw": row.get("local_ip")}
    if view.language is Language.SPL:
        row["index"] = "wineventlog"
    return {name: typed(value, columns[name]) for name, value in row.items() if name in columns}


def column_of(view: View, field: str) -> str:
    known = next((a.key for a in view.attributes.values() if a.field == field), field)
    return known if known in tables()[table_of(view)] else field[:1].lower() + field[1:]


def put(row: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a value inside nested objects; a number is a place in a list."""
    here: Any = row
    for part, following in zip(path, [*path[1:], ""], strict=True):
        slot: Any = int(part) if part.isdecimal() else part
        if isinstance(here, list):
            here.extend({} for _ in range(slot + 1 - len(here)))
        if not following:
            here[slot] = value
            return
        nested = here[slot] if isinstance(here, list) else here.get(slot)
        if not isinstance(nested, dict | list) or (not nested and following.isdecimal()):
            here[slot] = [] if following.isdecimal() else {}
        here = here[slot]


def typed(value: Any, kind: str) -> Any:
    if kind == "VARCHAR" and isinstance(value, dict | list):
        return json.dumps(value)
    if kind == "VARCHAR" and isinstance(value, bool):
        return str(value).lower()
    if kind == "VARCHAR" and not isinstance(value, str | datetime):
        return str(value)
    if kind in ("INTEGER", "BIGINT") and isinstance(value, str):
        return int(value) if value.isdecimal() else None
    if kind == "BOOLEAN" and isinstance(value, str):
        return value.lower() == "true"
    return value


def _epoch(time: datetime) -> int:
    return round(time.timestamp() * 1000)


@pytest.fixture(scope="module")
def telemetry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telemetry]:
    draw = random.Random(20261124)
    rows = [
        (table_of(place.view), row_of(draw, place, place.start + timedelta(seconds=10 * (number + 1))))
        for place in PLACES
        for number in range(ROWS)
    ]
    path = tmp_path_factory.mktemp("views") / "views.duckdb"
    TelemetryStore.create(path, rows, {})
    opened = Telemetry(path)
    yield opened
    opened.close()


# Searches


def expression(draw: random.Random, place: Place, events: list[Mapping[str, Any]]) -> Expression:
    view = place.view
    names = [name for name, attribute in view.attributes.items() if asked_for(name, attribute)]
    parts = [condition(draw, view.attributes[name], name, events) for name in draw.sample(names, min(3, len(names)))]
    first, *rest = parts
    if not rest:
        return first
    return draw.choice(
        (first, Not(of=first), All(of=tuple(parts)), AnyOf(of=tuple(parts)), All(of=(first, Not(of=rest[0])))),
    )


def asked_for(name: str, attribute: Attribute) -> bool:
    """What is compared here: no times, no whole objects, and no domain, which is also read out of an account."""
    timed = attribute.type in ("datetime", "epoch_ms", "epoch_s")
    whole = attribute.type == "dynamic" and "." not in attribute.field
    return attribute.filterable and not timed and not whole and not name.endswith("user.domain")


def condition(draw: random.Random, attribute: Attribute, name: str, events: list[Mapping[str, Any]]) -> Condition:
    held = [event[name] for event in events if event.get(name) not in (None, "", [])] or ["nothing"]
    value = draw.choice(held)
    value = draw.choice(value) if isinstance(value, list) else value
    if isinstance(value, int | float) and not isinstance(value, bool):
        operators = [Operator.EQ, Operator.NE, Operator.GT, Operator.LE, Operator.EXISTS]
        op = draw.choice(operators)
        return Condition(field=name, op=op, values=() if op is Operator.EXISTS else (value,))
    text = str(value)
    cut = max(1, len(text) // 2)
    cased = draw.choice((str, str.upper, str.lower))
    asked: dict[Operator, tuple[str, ...]] = {
        Operator.EQ: (cased(text),),
        Operator.NE: (cased(text), "other"),
        Operator.CONTAINS: (cased(text[cut // 2 : cut // 2 + cut]),),
        Operator.STARTSWITH: (cased(text[:cut]),),
        Operator.ENDSWITH: (cased(text[-cut:]), "zzz"),
        Operator.MATCHES: (f"^{re.escape(text[:cut])}",),
        Operator.EXISTS: (),
    }
    if attribute.kind == "ip":
        asked = {
            Operator.EQ: (text,),
            Operator.NE: (text,),
            Operator.CIDR: (f"{text}/16",),
            Operator.STARTSWITH: (text[:6],),
        }
    op = draw.choice(list(asked))
    return Condition(field=name, op=op, values=asked[op])


# Running


def compiled(place: Place, language: Language, where: Expression | None) -> Query | None:
    module = import_module(f"tracehound.tools.languages.{language.value}")
    search = Search(event_class=place.view.event_class, where=where, window=place.window, limit=10_000)
    try:
        found: Compiled = module.compile_search(search, place.view)
    except (NotCarriedError, UnsafeValueError):
        return None
    view = place.view
    return Query(view.platform, language, view.collection, found.text, place.window, 10_000, Check(language, True, True),
                 view.event_class, search, None, found.cannot_express)  # fmt: skip


def ran(telemetry: Telemetry, place: Place, query: Query) -> list[dict[str, Any]]:
    start, end = place.window.start, place.window.end
    match query.language:
        case Language.CQL:
            return [dict(row) for row in sql_cql.run(telemetry, query.text, start, end).rows]
        case Language.S1QL:
            return [dict(row) for row in sql_s1ql.run(telemetry, query.text, start, end, 10_000)]
        case Language.POWERQUERY:
            return [dict(row) for row in sql_powerquery.run(telemetry, query.text, start, end).records()]
        case Language.SPL:
            return [dict(row) for row in sql_spl.run(telemetry, query.text, start, end).rows]
        case Language.FQL:
            table = table_of(place.view)
            clause = sql_fql.where(query.text, query.collection, telemetry.tables[table], end)
            sql = f"SELECT * EXCLUDE (document) FROM {telemetry.place(table)} WHERE {clause.sql}"
            return [row for row in telemetry.run(sql, clause.values).records() if start <= moment(place, row) < end]
        case _:
            answer = engine(telemetry, query.platform).run(query.text)
            return [dict(zip([name for name, _ in answer.columns], row, strict=True)) for row in answer.rows]


@cache
def engine(telemetry: Telemetry, platform: Platform) -> sql_kql.Engine:
    return sql_kql.Engine(telemetry, "sentinel" if platform is Platform.SENTINEL else "defender", START)


def moment(place: Place, row: Mapping[str, Any]) -> datetime:
    """When the row's event happened: its identity."""
    for name in (column_of(place.view, place.view.attributes["time"].field), "timestamp", "eventTime", "event.time"):
        value = row.get(name)
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC)
        if value is not None and str(value).isdigit():
            return datetime.fromtimestamp(int(value) / 1000, UTC)
        if value is not None:
            return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
    raise AssertionError(f"{place.view.id}: a row without a time")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.view.id)
def test_what_comes_back_is_what_the_rows_mean_once_they_are_read(place: Place, telemetry: Telemetry) -> None:
    draw = random.Random(place.view.id)
    whole = compiled(place, place.view.language, None)
    assert whole is not None
    rows = {moment(place, row): row for row in ran(telemetry, place, whole)}
    assert len(rows) == ROWS
    events = {time: standard().event(whole, with_plain_times(row), "E").fields for time, row in rows.items()}
    asked = 0
    for _ in range(SEARCHES):
        where = expression(draw, place, list(events.values()))
        meant = {time for time, event in events.items() if matches(where, event)}
        for language in (place.view.language, *ALSO.get(place.view.language, ())):
            query = compiled(place, language, where)
            if query is None:
                assert not meant, (language, str(where), [events[time] for time in list(meant)[:1]])
                continue
            try:
                came = {moment(place, row) for row in ran(telemetry, place, query)}
            except UnrunnableError:
                continue
            asked += 1
            lost, more = meant - came, came - meant
            shown = [{name: events[time].get(name) for name in fields_of(where)} for time in sorted(lost | more)[:3]]
            assert not lost, (language, str(where), query.text, shown)
            assert not more or query.cannot_express, (language, str(where), query.text, shown)
    assert asked


def fields_of(where: Expression) -> list[str]:
    return re.findall(r"field='([^']+)'", str(where))


def with_plain_times(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() + "Z" if isinstance(value, datetime) else value for name, value in row.items()}
