"""S1QL 1.0 and PowerQuery on small telemetry of SentinelOne: the rows are those that a search means, in both."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.evals.lab import sql_powerquery, sql_s1ql
from tracehound.evals.lab.runnable import unsupported
from tracehound.evals.lab.sql import QueryRejectedError
from tracehound.evals.lab.store import TELEMETRY, TelemetryStore
from tracehound.evals.lab.telemetry import Telemetry
from tracehound.tools.evidence.normalise import standard
from tracehound.tools.languages import Language, Platform, Query, powerquery, translate
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
from tracehound.tools.languages.vocabulary import EventClass

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
WINDOW = Window(start=START, end=START + timedelta(days=1))
WIDE = (START - timedelta(days=400), START + timedelta(days=400))

TEXTS = {
    "endpointName": ["WS-7", "ws-7", "WS-71", "srv a"],
    "tgtProcName": ["powershell.exe", "PowerShell.EXE", "cmd.exe", "a.b", "say \"hi\""],
    "tgtProcCmdLine": ["powershell -enc AAAA", "cmd /c dir C:\\Temp\\x", "a.b", "50% of_it", "x 'y' \"z\"", "C:\\a\\"],
    "tgtProcUser": ["CORP\\ann", "ann", "ann@corp.example", "joann", "NT AUTHORITY\\SYSTEM"],
    "tgtProcIntegrityLevel": ["HIGH", "LOW", "SYSTEM"],
}  # fmt: skip


def process_rows() -> list[dict[str, Any]]:
    """Every text of every field at least once, each field missing now and then."""
    rows = []
    for number in range(60):
        row: dict[str, Any] = {
            "id": f"e{number:02}",
            "eventTime": START + timedelta(minutes=number),
            "eventType": "Process Creation",
            "objectType": "process",
            "tgtProcPid": number * 7 if number % 5 else None,
        }
        for offset, (name, texts) in enumerate(TEXTS.items()):
            turn = (number + offset * 3) % (len(texts) + 1)
            row[name] = texts[turn] if turn < len(texts) else None
        rows.append({key: value for key, value in row.items() if value is not None})
    return rows


def other_rows() -> list[dict[str, Any]]:
    def row(number: int, kind: str, group: str, **fields: Any) -> dict[str, Any]:
        when = START + timedelta(hours=2, minutes=number)
        return {"id": f"o{number}", "eventTime": when, "eventType": kind, "objectType": group, **fields}

    return [
        row(0, "IP Connect", "ip", endpointName="WS-7", dstIp="10.20.0.5", dstPort=445, netEventDirection="OUTGOING"),
        row(1, "IP Connect", "ip", endpointName="WS-7", dstIp="10.21.0.5", dstPort=443, netEventDirection="OUTGOING"),
        row(2, "IP Listen", "ip", endpointName="srv a", dstPort=3389, netEventDirection="INCOMING"),
        row(3, "Login", "logins", endpointName="WS-7", loginsUserName="ann", loginIsSuccessful="true"),
        row(4, "Login", "logins", endpointName="WS-7", loginsUserName="bob", loginIsSuccessful="false"),
        row(5, "Login", "logins", endpointName="srv a", loginsUserName="ann", loginIsSuccessful="false"),
        row(6, "Registry Value Modified", "registry", registryKeyPath="HKLM\\Run\\Updater", registryValue="C:\\u.exe"),
        row(7, "File Creation", "file", tgtFilePath="C:\\Temp\\a.tmp", tgtFileSize="1500"),
        row(
            8,
            "File Creation",
            "file",
            endpointName="ws-7.corp.example",
            tgtFilePath="C:\\temp\\B.TMP",
            tgtFileSize="900",
        ),
    ]


@pytest.fixture(scope="module")
def telemetry(tmp_path_factory: pytest.TempPathFactory) -> Telemetry:
    path = tmp_path_factory.mktemp("small") / TELEMETRY
    TelemetryStore.create(path, [("s1_events", row) for row in (*process_rows(), *other_rows())], {})
    return Telemetry(path)


def s1ql_ids(telemetry: Telemetry, text: str) -> list[str]:
    return sorted(row["id"] for row in sql_s1ql.run(telemetry, text, *WIDE, 1_000))


def powerquery_ids(telemetry: Telemetry, text: str) -> list[str]:
    return sorted(row["event.id"] for row in sql_powerquery.run(telemetry, text, *WIDE).records())


def asked(where: Expression | None, event_class: EventClass = EventClass.PROCESS) -> list[Query]:
    search = Search(event_class=event_class, where=where, window=WINDOW)
    languages = (Language.S1QL, Language.POWERQUERY)
    return [q for q in translate(search, [Platform.SENTINELONE], languages=languages) if isinstance(q, Query)]


def returned(telemetry: Telemetry, query: Query) -> list[str]:
    run = s1ql_ids if query.language is Language.S1QL else powerquery_ids
    return run(telemetry, query.text)


def meant(where: Expression | None, query: Query, rows: list[dict[str, Any]]) -> list[str]:
    read = standard()
    found = []
    for row in rows:
        event: Mapping[str, Any] = read.event(query, row | {"eventTime": row["eventTime"].isoformat()}, "E").fields
        if matches(where, event):
            found.append(row["id"])
    return sorted(found)


FIELDS: dict[str, list[Scalar]] = {
    "device.hostname": ["ws-7", "WS-71", "a", "x"],
    "process.name": ["powershell.exe", "POWER", ".exe", "say \"hi\"", "A.B"],
    "process.cmd_line": ["-ENC", "c:\\temp\\", "a.b", "%", "_", "\"z\"", "C:\\A\\", "'y'"],
    "actor.user.name": ["ann", "system", "x"],
    "process.integrity": ["High", "low"],
    "process.pid": [7, 70, 200],
}  # fmt: skip
TEXT_OPERATORS = [Operator.EQ, Operator.NE, Operator.CONTAINS, Operator.STARTSWITH, Operator.ENDSWITH, Operator.EXISTS]
NUMBER_OPERATORS = [Operator.EQ, Operator.NE, Operator.GT, Operator.GE, Operator.LT, Operator.LE, Operator.EXISTS]


def condition(name: str, op: Operator, several: list[Scalar]) -> Expression:
    return Condition(field=name, op=op, values=() if op is Operator.EXISTS else tuple(several))


leaves = st.sampled_from(list(FIELDS)).flatmap(
    lambda name: st.builds(
        condition,
        st.just(name),
        st.sampled_from(NUMBER_OPERATORS if name == "process.pid" else TEXT_OPERATORS),
        st.lists(st.sampled_from(FIELDS[name]), min_size=1, max_size=3),
    )
)


def _joined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    parts = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        parts.map(lambda of: All(of=of)), parts.map(lambda of: AnyOf(of=of)), inner.map(lambda of: Not(of=of))
    )


@settings(max_examples=100, deadline=None)
@given(where=st.recursive(leaves, _joined, max_leaves=5))
def test_the_same_search_gives_the_same_rows_in_both_languages(telemetry: Telemetry, where: Expression) -> None:
    for query in asked(where):
        rows = returned(telemetry, query)
        # The view of opened processes is asked too, and holds nothing here.
        expected = meant(where, query, process_rows()) if "Process Creation" in query.text else []
        if query.cannot_express:
            assert set(rows) >= set(expected)
        else:
            assert rows == expected, query.text


@pytest.mark.parametrize(
    ("event_class", "where", "expected"),
    [
        (EventClass.NETWORK, Condition(field="dst_endpoint.ip", op=Operator.CIDR, values=("10.20.0.0/16",)), ["o0"]),
        (EventClass.NETWORK, Condition(field="dst_endpoint.port", values=(445, 3389)), ["o0", "o2"]),
        (EventClass.NETWORK, Condition(field="connection.direction", values=("inbound",)), ["o2"]),
        (EventClass.AUTHENTICATION, Condition(field="status", values=("failure",)), ["o4", "o5"]),
        (EventClass.AUTHENTICATION, Not(of=Condition(field="status", values=("failure",))), ["o3"]),
        (EventClass.REGISTRY, Condition(field="reg.value_name", values=("updater",)), ["o6"]),
        (EventClass.FILE, Condition(field="file.name", values=("b.tmp",)), ["o8"]),
        (EventClass.FILE, Condition(field="file.name", op=Operator.MATCHES, values=(r"^[ab]\.tmp$",)), ["o7", "o8"]),
        (EventClass.FILE, Condition(field="device.hostname", values=("WS-7", "x")), ["o8"]),
        (EventClass.FILE, Condition(field="file.size", op=Operator.GT, values=(1000,)), ["o7"]),
        (EventClass.FILE, Condition(field="time", op=Operator.GE, values=("2026-11-23T11:08:00Z",)), ["o8"]),
    ],
)
def test_typed_fields_mean_the_same_in_both(
    telemetry: Telemetry, event_class: EventClass, where: Expression, expected: list[str]
) -> None:
    queries = asked(where, event_class)
    assert {query.language for query in queries} == {Language.S1QL, Language.POWERQUERY}
    for language in (Language.S1QL, Language.POWERQUERY):
        found = [row for query in queries if query.language is language for row in returned(telemetry, query)]
        assert sorted(found) == expected


@pytest.mark.parametrize(
    "older",
    [
        'EndpointName = "WS-7"',
        'EndpointName != "WS-7"',
        'EndpointName In ("WS-7", "srv a")',
        'EndpointName Not In ("WS-7", "srv a")',
        'EndpointName In Anycase ("ws-7")',
        'TgtProcName Contains "Power"',
        'TgtProcName ContainsCIS "Power"',
        'TgtProcName Does Not ContainCIS "Power"',
        'TgtProcName In Contains ("Power", "cmd")',
        'TgtProcName In Contains Anycase ("POWER", "CMD")',
        'TgtProcName StartsWithCIS "POWER"',
        'TgtProcName EndsWith Anycase ".EXE"',
        r'TgtProcCmdLine RegExp "(?i)c:\\temp\\\w$"',
        "TgtProcCmdLine Is Empty",
        "TgtProcCmdLine Is Not Empty",
        "TgtProcPID Exists",
        "TgtProcPID Between 7 AND 70",
        'TgtProcPID >= "70" AND NOT (TgtProcPID > 200 OR TgtProcPID = "77")',
        "LoginIsSuccessful Is True",
        'LoginIsSuccessful = "False"',
        'EventTime Between "2026-11-23T09:10:00Z" AND "2026-11-23T09:20:00.000Z"',
        'EventTime > "2026-11-23T11:05:00Z"',
        'ObjectType = "ip" OR ObjectType = "file"',
        r'TgtProcCmdLine = "x \'y\' "z"" or TgtProcCmdLine ContainsCIS "c:\a\"'.replace("\\'", "'"),
        'TIIndicatorType Is Empty AND EndpointName = "WS-7"'.replace("TIIndicatorType", "ModuleMd5"),
    ],
)
def test_a_translated_query_finds_what_the_older_one_found(telemetry: Telemetry, older: str) -> None:
    found = s1ql_ids(telemetry, older)
    assert 0 < len(found) < len(process_rows()) + len(other_rows())
    compiled = powerquery.from_s1ql(older)
    assert compiled.cannot_express == ()
    assert powerquery_ids(telemetry, compiled.text) == found


def test_where_case_is_lost_the_translation_finds_more(telemetry: Telemetry) -> None:
    for older in ('TgtProcName StartsWith "power"', 'TgtProcName EndsWith ".EXE"', 'TgtProcName RegExp "^power"'):
        compiled = powerquery.from_s1ql(older)
        assert len(compiled.cannot_express) == 1
        assert set(powerquery_ids(telemetry, compiled.text)) > set(s1ql_ids(telemetry, older))


def table(telemetry: Telemetry, text: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    assert powerquery.check(text).sendable, powerquery.check(text).diagnostics
    columns, rows = sql_powerquery.run(telemetry, text, *WIDE)
    return columns, list(rows)


def test_commands_run_one_after_another(telemetry: Telemetry) -> None:
    columns, rows = table(
        telemetry,
        'event.type = "Login" | group n=count(), failed=count(event.login.loginIsSuccessful = false), '
        "hosts=array_agg_distinct(endpoint.name), last=newest(event.login.userName) by event.login.userName "
        "| let share=failed / n * 100, where=array_to_string(hosts, '; ') | filter n >= 1 | sort -n "
        "| columns event.login.userName, n, failed, share, where, last | limit 5",
    )
    assert columns == ("event.login.userName", "n", "failed", "share", "where", "last")
    assert rows == [("ann", 2, 1, 50.0, "WS-7; srv a", "ann"), ("bob", 1, 1, 100.0, "WS-7", "bob")]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("dst.port.number = * | sort dst.port.number | columns dst.port.number", [(443,), (445,), (3389,)]),
        ("dst.port.number = * | sort -dst.port.number | limit 1 | columns p=dst.port.number", [(3389,)]),
        ("dst.port.number = * | columns dst.port.number | limit 2", [(3389,), (443,)]),
        ("tgt.file.size = * | sort -tgt.file.size | columns tgt.file.size", [("1500",), ("900",)]),
        ("tgt.file.size > 1000 | columns s=tgt.file.size * 2", [(3000.0,)]),
        ("dst.port.number in (445, 3389) and !(dst.ip.address = *) | columns dst.port.number", [(3389,)]),
        ('event.type = "Login" | group count() by endpoint.name | sort -count', [("WS-7", 2), ("srv a", 1)]),
        ('event.type = "Login" | group n=count()', [(3,)]),
        ('event.type = "Logout" | group n=count(), m=max(dst.port.number)', [(0, None)]),
        ("| group lo=min(dst.port.number), hi=max(dst.port.number), mid=median(dst.port.number), p=p95(dst.port.number)",
         [(443, 3389, 445.0, 3094.6)]),
        ("| group n=estimate_distinct(dst.port.number), s=sum(dst.port.number), a=avg(dst.port.number)",
         [(3, 4277, 4277 / 3)]),
        ('event.category = "ip" | group n=count() by t=timebucket(event.time, "1 hour")',
         [(datetime.fromisoformat("2026-11-23T11:00:00"), 3)]),
        ('event.id = "o0" | columns a=strftime(event.time, "%H:%M"), b=substr(dst.ip.address, 3, 2), c=len(endpoint.name)',
         [("11:00", "20", 4)]),
        ('event.id = "o0" | let p=dst.port.number | columns t=format("%s:%d %,d %.1f%%", dst.ip.address, p, p * 10, p / 2)',
         [("10.20.0.5:445 4,450 222.5%",)]),
        ('event.id in ("o0", "o2") | sort event.id | columns ip=dst.ip.address ? dst.ip.address : "none"',
         [("10.20.0.5",), ("none",)]),
        ('event.id = "o0" | let x=registry.value | filter x = null | columns n=number("12") + 1, u=upper("a"), e=isempty(x)',
         [(13.0, "A", True)]),
        ('event.id = "o0" | columns x=5 % 3, y=1 / 0, z=abs(-2), f=floor(2.7), c=ceiling(2.1), q=sqrt(-1), w=pow(2, 3)',
         [(2.0, None, 2.0, 2.0, 3.0, None, 8.0)]),
        ('* contains:anycase "UPDATER" | columns event.id', [("o6",)]),
        ('"updater" | columns event.id', [("o6",)]),
        ('tgt.file.path matches:matchcase "TMP$" | columns event.id', [("o8",)]),
        ('tgt.file.path matches ("a[.]tmp$", "nothing") | columns event.id', [("o7",)]),
        ("timestamp < 1763900000000 | group n=count()", [(0,)]),
        ("event.time >= 1795432080000 | columns event.id", [("o8",)]),
        ("some.unknown.field = * | group n=count()", [(0,)]),
        ('event.type = "Login" | let ok=event.login.loginIsSuccessful = true | filter ok | columns event.id', [("o3",)]),
        ('event.type = "Login" | group who=array_agg(event.login.userName, 2), any(endpoint.os)', [(["ann", "bob"], None)]),
        ('event.type = "Login" | group a=min_by(event.id, event.time), b=max_by(event.id, event.time), c=oldest(event.id)',
         [("o3", "o5", "o3")]),
        ("dst.port.number = * | group n=count() by big=dst.port.number > 444 | sort -n",
         [(True, 2), (False, 1)]),
    ],
)  # fmt: skip
def test_what_the_subset_accepts_runs(telemetry: Telemetry, text: str, rows: list[tuple[Any, ...]]) -> None:
    _, found = sql_powerquery.run(telemetry, text, *WIDE)
    assert [tuple(row) for row in found] == [
        tuple(pytest.approx(value) if isinstance(value, float) else value for value in row) for row in rows
    ]


def test_an_answer_is_capped_and_newest_first(telemetry: Telemetry) -> None:
    _, rows = sql_powerquery.run(telemetry, 'event.type = "Process Creation" | columns event.id', *WIDE)
    assert [row[0] for row in rows[:2]] == ["e59", "e58"]
    window = (START, START + timedelta(minutes=10))
    assert len(sql_powerquery.run(telemetry, 'event.type = "Process Creation"', *window).rows) == 10


def test_what_cannot_run_is_named(telemetry: Telemetry) -> None:
    for text, construct in (
        ("a = 1 | join (b = 1) on c", "join"),
        ("| limit 5 | savelookup 't'", "savelookup"),
        ("| columns x=frobnicate(endpoint.name)", "frobnicate"),
        ("| columns x=format(endpoint.name, 1)", "format"),
        ("endpoint.name = ", "character"),
        ('event.time > "yesterday"', "yesterday"),
    ):
        with pytest.raises(QueryRejectedError, match=construct):
            sql_powerquery.run(telemetry, text, *WIDE)
    assert "join" in str(unsupported(Language.POWERQUERY, "a = 1 | join (b = 1) on c"))
    assert unsupported(Language.POWERQUERY, "| limit 5 | savelookup 't'") == "savelookup"
    assert unsupported(Language.POWERQUERY, "endpoint.name = *") is None


def test_counting_is_asked_as_a_group(telemetry: Telemetry) -> None:
    search = Search(
        event_class=EventClass.PROCESS,
        where=Condition(field="process.name", values=("powershell.exe",)),
        window=WINDOW,
        aggregation=Aggregation(by=("device.hostname",), distinct="process.cmd_line", minimum=3),
        limit=10,
    )
    (query,) = [
        item
        for item in translate(search, [Platform.SENTINELONE], languages=[Language.POWERQUERY])
        if isinstance(item, Query) and "Process Creation" in item.text
    ]
    assert "| group n=count(), distinct=estimate_distinct(tgt.process.cmdline) by endpoint.name" in query.text
    columns, rows = sql_powerquery.run(telemetry, query.text, *WIDE)
    groups: dict[str | None, list[str | None]] = {}
    for row in process_rows():
        if row.get("tgtProcName", "").lower() == "powershell.exe":
            groups.setdefault(row.get("endpointName"), []).append(row.get("tgtProcCmdLine"))
    expected = {name: (len(lines), len({*lines} - {None})) for name, lines in groups.items() if len(lines) >= 3}
    assert columns == ("endpoint.name", "n", "distinct")
    assert {row[0]: row[1:] for row in rows} == expected
    assert [row[1] for row in rows] == sorted((count for count, _ in expected.values()), reverse=True)
