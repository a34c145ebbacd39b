"""Searches written in KQL: right by their own check, runnable, and meaning what the search means."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import duckdb
import duckdb_kql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.knowledge.errors import UnsafeValueError
from tracehound.tools.languages import Inapplicable, Language, Query, kql, translate
from tracehound.tools.languages.compiling import NotCarriedError
from tracehound.tools.languages.kql import ast
from tracehound.tools.languages.kql.schema import tables
from tracehound.tools.languages.query import Compiled
from tracehound.tools.languages.search import (
    Aggregation,
    All,
    AnyOf,
    Condition,
    Expression,
    Not,
    Operator,
    Scalar,
    Search,
    Window,
    matches,
)
from tracehound.tools.languages.views import View, all_views

WINDOW = Window(start=datetime(2026, 11, 23, 9, tzinfo=UTC), end=datetime(2026, 11, 24, 9, tzinfo=UTC))
VIEWS = {view.id: view for view in all_views() if view.language is Language.KQL}
VALUES: dict[Operator, tuple[Scalar, ...]] = {
    Operator.EQ: ("abc", "12"),
    Operator.NE: ("x",),
    Operator.CONTAINS: ('a"b\\c',),
    Operator.STARTSWITH: ("a",),
    Operator.ENDSWITH: (".exe",),
    Operator.MATCHES: (r"a\d+\.b",),
    Operator.GT: (5,),
    Operator.GE: (5.5,),
    Operator.LT: (5,),
    Operator.LE: (5,),
    Operator.CIDR: ("10.20.0.0/16", "172.16.0.0/12"),
    Operator.EXISTS: (),
}
MOMENT = "2026-11-23T10:00:00Z"


def where(field: str, op: str, *values: Scalar) -> Condition:
    return Condition(field=field, op=Operator(op), values=values)


def compiled(view: View, expression: Expression | None, **more: Any) -> Compiled:
    return kql.compile_search(Search(event_class=view.event_class, where=expression, window=WINDOW, **more), view)


def body(view: str, expression: Expression | None, **more: Any) -> str:
    """The query without its table, window, order and limit."""
    return "\n".join(compiled(VIEWS[view], expression, **more).text.split("\n| ")[2:-2])


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_every_attribute_and_operator_is_right_and_runnable(view: View) -> None:
    documented = {name: list(columns) for name, columns in tables(view.platform.value).items()}
    written, text = 0, ""
    for name, attribute in view.attributes.items():
        for op, values in VALUES.items():
            if name == "time":
                continue
            if attribute.type == "datetime" and op not in (Operator.EXISTS, Operator.MATCHES, Operator.CIDR):
                values = (MOMENT,)
            condition = Condition(field=name, op=op, values=values)
            for expression in (condition, Not(of=condition)):
                try:
                    text = compiled(view, expression).text
                except NotCarriedError:
                    continue
                verdict = kql.check(text, view.platform.value)
                assert verdict.sendable, (text, verdict.diagnostics)
                assert not verdict.diagnostics, (text, verdict.diagnostics)
                written += 1
        if written:
            duckdb_kql.to_sql(text, schema=documented, allow_write=False)
    assert written > 2 * len(view.attributes)


def test_the_shape_of_a_query() -> None:
    found = compiled(
        VIEWS["defender.process"],
        All(
            of=(
                where("device.hostname", "eq", "ws-042"),
                where("process.name", "eq", "rundll32.exe", "powershell.exe"),
                where("process.cmd_line", "contains", 'say "hi"'),
            )
        ),
        limit=50,
    )
    assert found == Compiled(
        """DeviceProcessEvents
| where Timestamp >= datetime(2026-11-23T09:00:00Z) and Timestamp < datetime(2026-11-24T09:00:00Z)
| where ActionType == "ProcessCreated"
| where DeviceName =~ "ws-042" or DeviceName startswith "ws-042."
| where FileName in~ ("rundll32.exe", "powershell.exe")
| where ProcessCommandLine contains "say \\"hi\\""
| order by Timestamp asc
| take 50"""
    )


@pytest.mark.parametrize(
    ("view", "expression", "expected"),
    [
        (
            "defender.logon",
            where("user.name", "eq", "m.alvarez"),
            'where ActionType in ("LogonSuccess", "LogonFailed")\n'
            'where AccountName =~ "m.alvarez" or AccountName endswith "\\\\m.alvarez"'
            ' or AccountName startswith "m.alvarez@"',
        ),
        ("defender.logon", where("status", "eq", "failure"), 'where ActionType == "LogonFailed"'),
        (
            "defender.network_outbound",
            All(of=(where("activity", "eq", "Open"), where("dst_endpoint.port", "eq", "443", 8443))),
            'where ActionType in ("ConnectionSuccess", "ConnectionAttempt")\nwhere RemotePort in (443, 8443)',
        ),
        (
            "defender.network_inbound",
            Not(of=where("src_endpoint.port", "gt", 1024)),
            'where ActionType == "InboundConnectionAccepted"\nwhere not(coalesce(RemotePort > 1024, false))',
        ),
        (
            "defender.network_inbound",
            where("src_endpoint.ip", "cidr", "10.20.0.0/16", "172.16.0.0/12"),
            'where ActionType == "InboundConnectionAccepted"\n'
            'where RemoteIP startswith "10.20." or parse_ipv4(RemoteIP) between (2886729728 .. 2887778303)',
        ),
        (
            "defender.script",
            where("script.content", "matches", "frombase64"),
            'where ActionType == "PowerShellCommand"\n'
            'where tostring(parse_json(AdditionalFields).Command) matches regex "(?i)frombase64"',
        ),
        (
            "sentinel.process",
            where("process.name", "eq", "net.exe"),
            'where EventID == 4688\nwhere NewProcessName =~ "net.exe" or NewProcessName endswith "\\\\net.exe"',
        ),
        (
            "sentinel.logon",
            All(of=(where("logon_type", "eq", "Network"), where("status", "eq", "Success"))),
            "where EventID == 4624\nwhere LogonType == 3",
        ),
        (
            "sentinel.logon",
            where("src_endpoint.ip", "eq", "10.20.1.42"),
            'where EventID in (4624, 4625)\nwhere IpAddress in~ ("10.20.1.42", "::ffff:10.20.1.42")',
        ),
        (
            "sentinel.service_ticket",
            where("ticket.encryption", "eq", "0x17"),
            'where EventID == 4769\nwhere extract("<Data Name=\\"TicketEncryptionType\\">([^<]*)</Data>", 1, EventData)'
            ' =~ "0x17"',
        ),
        (
            "sentinel.signin",
            All(of=(where("status", "eq", "Success"), where("src_endpoint.location.city", "ne", "Hamburg"))),
            'where ResultType =~ "0"\nwhere tostring(LocationDetails.city) !~ "Hamburg"',
        ),
        ("sentinel.signin", where("session.uid", "exists"), "where isnotempty(SessionId)"),
        ("sentinel.email", where("email.attachment_count", "ge", 1), "where AttachmentCount >= 1"),
        ("sentinel.url_click", where("is_allowed", "eq", True), "where IsClickedThrough == true"),
    ],
)
def test_conditions(view: str, expression: Expression, expected: str) -> None:
    assert body(view, expression) == expected


def test_counting_is_asked_where_the_groups_are_columns() -> None:
    counted = Aggregation(by=("user.name", "src_endpoint.ip"), distinct="app.name", minimum=5)
    text = compiled(VIEWS["sentinel.signin"], where("status", "eq", "Success"), aggregation=counted).text
    assert text.split("\n| ")[3:] == [
        "summarize _count = count(), _distinct = dcount(AppDisplayName) by UserPrincipalName, IPAddress",
        "where _count >= 5",
        "order by _count desc",
        "take 1000",
    ]
    assert kql.check(text).sendable
    later = compiled(VIEWS["sentinel.signin"], None, aggregation=Aggregation(by=("status",)))
    assert "summarize" not in later.text
    assert later.cannot_express


def test_what_cannot_be_asked_is_widened_and_said() -> None:
    found = compiled(VIEWS["defender.alert"], where("attacks.technique", "eq", "T1059.001"))
    assert 'AttackTechniques contains "T1059.001"' in found.text
    assert len(found.cannot_express) == 1
    widened = compiled(VIEWS["defender.alert"], Not(of=where("attacks.technique", "eq", "T1059.001")))
    assert "AttackTechniques" not in widened.text
    assert widened.cannot_express


def test_order_and_limits() -> None:
    text = compiled(VIEWS["defender.dns"], None, newest_first=True, limit=7).text
    assert text.endswith("| order by Timestamp desc\n| take 7")
    with pytest.raises(UnsafeValueError, match="surrogate"):
        compiled(VIEWS["defender.dns"], where("query.hostname", "eq", "\ud800"))
    with pytest.raises(UnsafeValueError, match="block of addresses"):
        compiled(VIEWS["defender.logon"], where("src_endpoint.ip", "cidr", "ten"))


def test_translation_reaches_both_platforms() -> None:
    for event_class in sorted({view.event_class for view in VIEWS.values()}):
        search = Search(event_class=event_class, where=where("device.hostname", "eq", "dc-01"), window=WINDOW)
        for answer in translate(search):
            if isinstance(answer, Query) and answer.language is Language.KQL:
                assert answer.check.sendable
            else:
                assert isinstance(answer, Query | Inapplicable)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_views_name_documented_columns(view: View) -> None:
    columns = tables(view.platform.value)[view.collection]
    fields = [*view.select, *view.activity, *(attribute.field for attribute in view.attributes.values())]
    for field in fields:
        assert re.split(r"[.\[]", field)[0] in columns, field


# Meaning: compiled queries over real rows, against `matches`

ROWS: list[dict[str, Any]] = [
    {"FileName": "powershell.exe", "DeviceName": "WS-042.corp.example", "AccountName": "m.alvarez", "ProcessId": 10},
    {"FileName": "PowerShell.EXE", "DeviceName": "ws-0421", "AccountName": "CORP\\m.alvarez", "ProcessId": 2048},
    {"FileName": "", "DeviceName": "ws-042", "AccountName": "m.alvarez@corp.example", "ProcessId": None},
    {"FileName": None, "DeviceName": None, "AccountName": None, "ProcessId": 0},
    {"FileName": 'odd "name".exe', "DeviceName": "WS_042", "AccountName": "it's", "ProcessId": -5},
    {"FileName": "a%b_c\\d.exe", "DeviceName": "dc-01", "AccountName": "svc-backup", "ProcessId": 99},
    {"FileName": "é\u2028x\ttab", "DeviceName": "DC-01.corp", "AccountName": "", "ProcessId": 7},
]
ATTRIBUTES = {
    "process.name": "FileName",
    "device.hostname": "DeviceName",
    "actor.user.name": "AccountName",
    "process.pid": "ProcessId",
}
TEXTS = [
    "powershell.exe",
    "ws-042",
    "m.alvarez",
    "corp",
    ".exe",
    '"',
    "\\",
    "%",
    "_",
    "e",
    "DC-01",
    "\t",
    "it's",
    "svc",
]


def conditions() -> st.SearchStrategy[Expression]:
    text = st.builds(
        lambda field, op, values: Condition(field=field, op=op, values=tuple(values)),
        st.sampled_from(["process.name", "device.hostname", "actor.user.name"]),
        st.sampled_from(["eq", "ne", "contains", "startswith", "endswith"]),
        st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3),
    )
    number = st.builds(
        lambda op, values: Condition(field="process.pid", op=op, values=tuple(values)),
        st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]),
        st.lists(st.sampled_from([0, 7, 10, 99, 2048, -5]), min_size=1, max_size=2),
    )
    exists = st.builds(lambda field: Condition(field=field, op=Operator.EXISTS), st.sampled_from(sorted(ATTRIBUTES)))
    return st.recursive(
        text | number | exists,
        lambda inner: (
            st.builds(lambda part: Not(of=part), inner)
            | st.builds(lambda parts: All(of=tuple(parts)), st.lists(inner, min_size=1, max_size=3))
            | st.builds(lambda parts: AnyOf(of=tuple(parts)), st.lists(inner, min_size=1, max_size=3))
        ),
        max_leaves=6,
    )


@pytest.fixture(scope="module")
def store() -> Iterator[duckdb.DuckDBPyConnection]:
    kinds = {"string": "VARCHAR", "long": "BIGINT", "int": "INTEGER", "datetime": "TIMESTAMP", "bool": "BOOLEAN"}
    columns = tables("defender")["DeviceProcessEvents"]
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    listed = ", ".join(f'"{name}" {kinds[kind]}' for name, kind in columns.items())
    connection.execute(f"CREATE TABLE DeviceProcessEvents ({listed})")
    for number, row in enumerate(ROWS):
        full = {"Timestamp": datetime(2026, 11, 23, 10), "ActionType": "ProcessCreated", "ReportId": number, **row}  # noqa: DTZ001
        names, marks = ", ".join(f'"{name}"' for name in full), ", ".join("?" * len(full))
        connection.execute(f"INSERT INTO DeviceProcessEvents ({names}) VALUES ({marks})", list(full.values()))
    yield connection
    connection.close()


def read(row: dict[str, Any]) -> dict[str, Any]:
    """The row as an event: the account without its domain."""
    event = {name: row[column] for name, column in ATTRIBUTES.items()}
    account = event["actor.user.name"]
    return event | {"actor.user.name": account and account.rpartition("\\")[2].partition("@")[0]}


@settings(max_examples=60, deadline=None)
@given(expression=conditions())
def test_the_rows_that_come_back_are_those_that_the_search_means(
    store: duckdb.DuckDBPyConnection, expression: Expression
) -> None:
    events = [read(row) for row in ROWS]
    meant = {number for number, event in enumerate(events) if matches(expression, event)}
    found = compiled(VIEWS["defender.process"], expression)
    result = duckdb_kql.query(store, found.text, allow_write=False)
    place = [column[0] for column in result.description].index("ReportId")
    returned = {row[place] for row in result.fetchall()}
    assert returned >= meant, found.text
    assert returned == meant or found.cannot_express, found.text


def test_the_tree_that_is_written_is_plain() -> None:
    """The lab runs the common part of the language; nothing else may be written."""
    for view in VIEWS.values():
        tree = kql.parse(compiled(view, None).text)
        kinds = {type(node).__name__ for node in ast.walk(tree) if isinstance(node, ast.Operator)}
        assert kinds <= {"Where", "Sort", "Take"}
