"""What each language means, on tables whose every row is known."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from tracehound.evals.lab import sql_cql, sql_fql, sql_kql, sql_s1ql
from tracehound.evals.lab.runnable import unsupported
from tracehound.evals.lab.sql import QueryRejectedError
from tracehound.evals.lab.telemetry import Telemetry
from tracehound.tools.languages.query import Language

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ALERTS = {
    "id": "VARCHAR",
    "name": "VARCHAR",
    "cmdline": "VARCHAR",
    "severity": "INTEGER",
    "tags": "VARCHAR",
    "created_timestamp": "TIMESTAMP",
    "assigned_to_name": "VARCHAR",
    "show_in_ui": "BOOLEAN",
    "hostname": "VARCHAR",
    "local_ip": "VARCHAR",
    "status": "VARCHAR",
}
ROWS = [
    ("1", "EICAR test file", r"cmd /c C:\x.exe", 70, '["true_positive", "fc/offering"]', "2026-03-02 11:00", "Ann", True,
     "WS-042"),
    ("2", "Credential dump", "rundll32 comsvcs.dll, MiniDump", 90, "[]", "2026-02-20 11:00", None, True, "WS-017"),
    ("3", "Eicar-like", "50%_off", 20, "[]", "2026-03-01 11:00", "", False, "FS-042"),
]  # fmt: skip


@pytest.fixture(scope="module")
def table() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as db:
        db.execute(f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, kind in ALERTS.items())})")
        db.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '10.20.1.42', 'open')", [list(row) for row in ROWS]
        )
        yield db


@pytest.mark.parametrize(
    ("text", "collection", "ids"),
    [
        ("", "alerts", "123"),
        ("name:'EICAR test file'", "alerts", "1"),
        ("name:'eicar test file'", "alerts", ""),
        ("name:'EICAR*'", "alerts", "1"),
        ("name:'*dump'", "alerts", "2"),
        ("name:'*est fi*'", "alerts", "1"),
        ("name:*'*est fi*'", "alerts", "1"),
        ("name:~'eicar LIKE'", "alerts", "3"),
        ("name:~'eicar'", "alerts", "13"),
        ("name:!~'eicar'", "alerts", "2"),
        ("name:!'Credential dump'", "alerts", "13"),
        ("name:['EICAR test file','Credential dump']", "alerts", "12"),
        ("name:!['EICAR test file','Credential dump']", "alerts", "3"),
        ("severity:>=70", "alerts", "12"),
        ("severity:<70", "alerts", "3"),
        ("severity:90", "alerts", "2"),
        ("severity:>20+severity:<90", "alerts", "1"),
        ("(severity:90,severity:20)+show_in_ui:true", "alerts", "2"),
        ("severity:90,severity:20+show_in_ui:true", "alerts", "2"),
        ("created_timestamp:>'now-2d'", "alerts", "13"),
        ("created_timestamp:>='2026-03-02T11:00:00Z'", "alerts", "1"),
        ("created_timestamp:'2026*'", "alerts", ""),
        ("tags:'fc/offering'", "alerts", "1"),
        ("tags:'fc*'", "alerts", ""),
        ("tags:!'true_positive'", "alerts", "23"),
        ("tags:!'*'", "alerts", "23"),
        ("assigned_to_name:''", "alerts", "23"),
        ("assigned_to_name:!''", "alerts", "1"),
        ("assigned_to_name:!'*'", "alerts", "23"),
        ("assigned_to_name:null", "alerts", "2"),
        ("show_in_ui:false", "alerts", "3"),
        ("cmdline:'50%_off'", "alerts", "3"),
        ("cmdline:'*%_o*'", "alerts", "3"),
        ("cmdline:'*c%d*'", "alerts", ""),
        (r"cmdline:'*C:\\x.exe'", "alerts", "1"),
        ("nothing.known:'x'", "alerts", ""),
        ("nothing.known:!'x'", "alerts", ""),
        ("!(severity:90)", "alerts", "13"),
        ("hostname:'WS-*'", "hosts", "12"),
        ("hostname:'*-042'", "hosts", "13"),
        ("hostname:'*S-0*'", "hosts", ""),
        ("hostname:*'*S-0*'", "hosts", "123"),
        ("hostname:>'A'", "hosts", ""),
        ("local_ip:'10.20.*'", "hosts", ""),
        ("local_ip.raw:*'10.20.*'", "hosts", "123"),
        ("name:'EICAR*'", "vulnerabilities", ""),
    ],
)
def test_fql_keeps_the_habits_of_each_endpoint(
    table: duckdb.DuckDBPyConnection, text: str, collection: str, ids: str
) -> None:
    clause = sql_fql.where(text, collection, ALERTS, NOW)
    found = table.execute(f"SELECT id FROM t WHERE {clause.sql} ORDER BY id", list(clause.values)).fetchall()
    assert "".join(identity for (identity,) in found) == ids


@pytest.mark.parametrize(
    ("text", "collection"),
    [
        ("status=new", "alerts"),
        ("status:'a' AND status:'b'", "alerts"),
        ("name:>'a'", "alerts"),
        ("created_timestamp:>'yesterday'", "alerts"),
        ("hostname:!~'x'", "hosts"),
        ("status:~'open'", "vulnerabilities"),
        ("+".join(f"p{number}:1" for number in range(21)), "alerts"),
    ],
)
def test_fql_that_the_vendor_answers_with_400(text: str, collection: str) -> None:
    with pytest.raises(QueryRejectedError, match="invalid filter"):
        sql_fql.where(text, collection, ALERTS, NOW)


@pytest.fixture
def telemetry(small_telemetry: Path) -> Iterator[Telemetry]:
    opened = Telemetry(small_telemetry)
    yield opened
    opened.close()


START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("*", 401),
        ("#event_simpleName=NetworkConnectIP4", 1),
        ("FileName=cmd.exe", 400),
        ("FileName=CMD.EXE", 0),
        ("FileName=/^CMD/i", 400),
        ("FileName=/^CMD/", 0),
        ("FileName=cmd*", 400),
        ("FileName=*", 400),
        ("FileName!=cmd.exe", 1),
        ("NOT FileName=*", 1),
        ("RemotePort>=443", 1),
        ('CommandLine="cmd /c echo 7"', 1),
        ("in(ComputerName, values=[WS-001, WS-002]) | tail(1000)", 267 + 1),
        ("ComputerName=WS-001 OR ComputerName=WS-002 FileName=cmd.exe | tail(1000)", 267),
        ("(ComputerName=WS-001 AND FileName=cmd.exe) OR RemotePort=443", 134),
        ("FileName=cmd.exe | head(5)", 5),
        ("NoSuchField=x", 0),
        ("NoSuchField!=x", 401),
    ],
)
def test_cql_filters(telemetry: Telemetry, text: str, rows: int) -> None:
    assert len(sql_cql.run(telemetry, text, START, NOW).rows) == rows


def test_cql_head_is_the_oldest_and_tail_the_newest(telemetry: Telemetry) -> None:
    def ids(text: str) -> list[str]:
        return [row["@id"] for row in sql_cql.run(telemetry, text, START, NOW).rows]

    assert ids("FileName=cmd.exe | head(2)") == ["e400", "e399"]
    assert ids("FileName=cmd.exe | tail(2)") == ["e1", "e2"]
    assert ids("FileName=cmd.exe | sort(TargetProcessId, order=asc, limit=2)") == ["e1", "e2"]
    assert ids("FileName=cmd.exe | sort(TargetProcessId, limit=2)") == ["e400", "e399"]


def test_cql_groups_and_counts(telemetry: Telemetry) -> None:
    text = "FileName=cmd.exe | groupBy([ComputerName], function=[count(as=n), count(CommandLine, distinct=true, as=d)])"
    answer = sql_cql.run(telemetry, text, START, NOW)
    assert answer.aggregate
    assert answer.fields == ("ComputerName", "n", "d")
    assert answer.rows[0] == {"ComputerName": "WS-001", "n": 133, "d": 133}
    assert sql_cql.run(telemetry, "* | count()", START, NOW).rows == [{"_count": 401}]
    assert sql_cql.run(telemetry, "* | groupBy(NoSuchField)", START, NOW).rows == []
    top = sql_cql.run(telemetry, "* | groupBy(ComputerName) | sort(_count, limit=1)", START, NOW)
    assert [row["_count"] for row in top.rows] == [134]
    table = sql_cql.run(telemetry, "FileName=cmd.exe | table([ComputerName, TargetProcessId], limit=3)", START, NOW)
    assert [row["TargetProcessId"] for row in table.rows] == ["1", "2", "3"]
    chosen = sql_cql.run(telemetry, "FileName=cmd.exe | select([TargetProcessId])", START, NOW)
    assert chosen.rows[0] == {"TargetProcessId": "1"}


def test_cql_is_cut_to_its_window(telemetry: Telemetry) -> None:
    start = datetime(2026, 3, 2, 11, 50, tzinfo=UTC)
    assert len(sql_cql.run(telemetry, "*", start, NOW).rows) == 10


def test_a_broken_regular_expression_is_rejected(telemetry: Telemetry) -> None:
    with pytest.raises(QueryRejectedError, match="perl operator"):
        sql_cql.run(telemetry, "FileName=/a(?!b)/", START, NOW)
    with pytest.raises(QueryRejectedError, match="perl operator"):
        sql_s1ql.run(telemetry, 'TgtProcName RegExp "a(?!b)"', START, NOW, 10)


def test_cql_functions_outside_the_subset_are_refused_by_name(telemetry: Telemetry) -> None:
    with pytest.raises(QueryRejectedError, match="timeChart"):
        sql_cql.run(telemetry, "* | timeChart(span=5m)", START, NOW)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SecurityEvent | where Account =~ 'corp\\\\ann' | count", 48),
        ("SecurityEvent | where Account == 'corp\\\\ann' | count", 0),
        ("SecurityEvent | where Account has 'ann' | count", 48),
        ("SecurityEvent | where Account has 'an' | count", 0),
        ("SecurityEvent | where Account contains 'AN' | count", 48),
        ("SecurityEvent | where EventID in (4624, 4625) and IpAddress startswith '10.0.0.4' | count", 10),
        ("SecurityEvent | where isempty(Account) or Account != 'x' | count", 48),
        ("SecurityEvent | where TimeGenerated between (ago(5h) .. now()) | count", 5),
        ("SecurityEvent | summarize dcount(IpAddress)", 48),
        ("let span = 3h; SecurityEvent | where TimeGenerated > ago(span) | count", 2),
        ("SecurityEvent | summarize n = count() by Computer, bin(TimeGenerated, 1d) | summarize max(n)", 24),
        ("union SecurityEvent, SigninLogs | count", 49),
        ("SecurityEvent | join kind=leftanti (SecurityEvent | where LogonType == 3) on EventID | count", 0),
        ("SecurityEvent | where Account matches regex '(?i)^corp' | count", 48),
    ],
)
def test_kql(telemetry: Telemetry, text: str, value: int) -> None:
    answer = sql_kql.Engine(telemetry, "sentinel", NOW).run(text)
    assert answer.rows[0][-1] == value


def test_kql_runs_side_by_side_on_one_engine(telemetry: Telemetry) -> None:
    from concurrent.futures import ThreadPoolExecutor

    engine = sql_kql.Engine(telemetry, "sentinel", NOW)
    texts = [f"SecurityEvent | where IpAddress == '10.0.0.{number}' | count" for number in range(1, 17)]
    spans = [(None, None), (datetime(2026, 3, 2, 11, 30, tzinfo=UTC), NOW)]
    with ThreadPoolExecutor(4) as pool:
        whole = list(pool.map(lambda text: engine.run(text, *spans[0]).rows[0][0], texts))
        none = list(pool.map(lambda text: engine.run(text, *spans[1]).rows[0][0], texts))
    assert (whole, none) == ([1] * 16, [0] * 16)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("SecurityEvent | where", sql_kql.SyntaxFaultError),
        (".drop table SecurityEvent", sql_kql.SyntaxFaultError),
        ("lab_meta | take 1", sql_kql.SemanticFaultError),
        ("duckdb_settings | take 1", sql_kql.SemanticFaultError),
        ("SecurityEvent | where NoSuchColumn == 1", sql_kql.SemanticFaultError),
        ("cluster('x').database('y').SecurityEvent", sql_kql.UnrunnableError),
        ("externaldata(a: string)['https://x.example/a']", sql_kql.UnrunnableError),
        ("SecurityEvent | evaluate nothing()", sql_kql.UnrunnableError),
    ],
)
def test_kql_that_does_not_run(telemetry: Telemetry, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        sql_kql.Engine(telemetry, "sentinel", NOW).run(text)


def test_words_in_literals_are_no_constructs(telemetry: Telemetry) -> None:
    text = "SecurityEvent | where Account == 'database(x) set query_now' // cluster('y')\n| count"
    assert sql_kql.Engine(telemetry, "sentinel", NOW).run(text).rows == [(0,)]


@pytest.mark.parametrize(
    ("language", "text", "construct"),
    [
        (Language.KQL, "DeviceProcessEvents | where FileName =~ 'cmd.exe' | take 5", None),
        (Language.KQL, "externaldata(a:string)['https://x.example'] | take 5", "externaldata"),
        (Language.KQL, "this is | not kql", None),
        (Language.CQL, "* | timeChart(span=5m)", "timeChart"),
        (Language.CQL, "FileName=cmd.exe | tail(5)", None),
        (Language.FQL, "status:'new'", None),
    ],
)
def test_what_the_lab_cannot_run_is_named(language: Language, text: str, construct: str | None) -> None:
    found = unsupported(language, text)
    assert (found is None) == (construct is None)
    assert construct is None or construct in str(found)


def test_rewritten_kql_runs(telemetry: Telemetry) -> None:
    text = (
        "(SecurityEvent | where ingestion_time() > ago(6h)) | project-reorder Account, Computer"
        " | summarize ids = makeset(EventID) by Computer"
    )
    answer = sql_kql.Engine(telemetry, "sentinel", NOW).run(text)
    assert [(name, kind) for name, kind in answer.columns] == [("Computer", "string"), ("ids", "dynamic")]
    assert answer.rows[0][0] == "DC-01"


def test_published_fql_and_s1ql_run_or_are_rejected(corpora: Path, telemetry: Telemetry) -> None:
    counts: Counter[str] = Counter()
    for line in (corpora / "fql" / "strings.jsonl").read_text(encoding="utf-8").splitlines():
        for collection in ("alerts", "hosts"):
            table = {"alerts": "falcon_alerts", "hosts": "falcon_devices"}[collection]
            try:
                clause = sql_fql.where(json.loads(line)["query"], collection, telemetry.tables[table], NOW)
                telemetry.run(f"SELECT count(*) FROM {telemetry.place(table)} WHERE {clause.sql}", clause.values)
            except QueryRejectedError:
                counts["fql rejected"] += 1
            else:
                counts["fql"] += 1
    for line in (corpora / "s1ql" / "strings.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            sql_s1ql.run(telemetry, json.loads(line)["query"], START, NOW, 10)
        except QueryRejectedError:
            counts["s1ql rejected"] += 1
        else:
            counts["s1ql"] += 1
    assert counts["fql"] > 50 * counts["fql rejected"]
    assert counts["s1ql"] > 10 * counts["s1ql rejected"]
