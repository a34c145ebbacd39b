"""KQL on the lab's tables and on empty ones: stages, spellings, what is named as not runnable, how much runs."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from tracehound.evals.bench import kql_execution
from tracehound.evals.lab import sql_kql
from tracehound.evals.lab.runnable import unsupported
from tracehound.evals.lab.sql import naive
from tracehound.evals.lab.telemetry import Telemetry
from tracehound.tools.languages.kql import check
from tracehound.tools.languages.query import Language

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SHARE = 0.85


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sql_kql.Engine]:
    path = tmp_path_factory.mktemp("kql") / "telemetry.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute(
            "CREATE TABLE DeviceProcessEvents (Timestamp TIMESTAMP, DeviceName VARCHAR, FileName VARCHAR, "
            "ProcessId BIGINT, AdditionalFields JSON)"
        )
        db.executemany(
            "INSERT INTO DeviceProcessEvents VALUES (?, ?, ?, ?, ?)",
            [
                (
                    naive(datetime(2026, 3, 2, hour, tzinfo=UTC)),
                    f"ws-{hour % 2}",
                    None if hour == 3 else "cmd.exe",
                    hour,
                    fields,
                )
                for hour, fields in enumerate(['{"a": [1, 2], "k": "x"}', '{"a": []}', None, '{"a": [5], "n": 1}'])
            ],
        )
    telemetry = Telemetry(path)
    yield sql_kql.Engine(telemetry, "defender", NOW)
    telemetry.close()


def test_stages_work_on_rows_of_the_span(engine: sql_kql.Engine) -> None:
    text = (
        "DeviceProcessEvents | mv-apply x = AdditionalFields.a to typeof(long) on (summarize s = sum(x))"
        " | project ProcessId, s"
    )
    assert sorted(engine.run(text).rows) == [(0, 3), (2, 0), (3, 5)]
    assert sorted(engine.run(text, start=NOW - timedelta(hours=10)).rows) == [(2, 0), (3, 5)]


def test_columns_of_values_are_those_of_the_rows(engine: sql_kql.Engine) -> None:
    text = "DeviceProcessEvents | project AdditionalFields | evaluate bag_unpack(AdditionalFields)"
    assert [name for name, _ in engine.run(text).columns] == ["a", "k", "n"]
    assert [name for name, _ in engine.run(text, start=NOW - timedelta(hours=9)).columns] == ["a", "n"]
    with pytest.raises(sql_kql.SemanticFaultError, match="'k'"):
        engine.run(f"{text} | where k == 'x'", start=NOW - timedelta(hours=9))


def test_a_query_runs_again_and_beside_others(engine: sql_kql.Engine) -> None:
    texts = [
        f"DeviceProcessEvents | where ProcessId == {number} | summarize n = count(), devices = make_set(DeviceName)"
        for number in range(6)
    ]
    texts += [
        "DeviceProcessEvents | make-series n = count() on Timestamp from ago(12h) to now() step 1h by DeviceName"
    ] * 4
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda text: engine.run(text).rows, texts * 2))
    assert [rows[0][0] for rows in answers[:6]] == [1, 1, 1, 1, 0, 0]
    assert answers[: len(texts)] == answers[len(texts) :]


def test_now_is_the_clock_of_the_lab(engine: sql_kql.Engine) -> None:
    assert engine.run("print now(), ago(1d)").rows == [(naive(NOW), naive(NOW - timedelta(days=1)))]


def test_absent_text_is_empty(engine: sql_kql.Engine) -> None:
    assert engine.run('DeviceProcessEvents | where FileName == "" | count').rows == [(1,)]
    assert engine.run("DeviceProcessEvents | where isnull(FileName) | count").rows == [(0,)]


def test_columns_that_differ_in_case_are_two() -> None:
    tables = {"T": {"ISP": "string", "Isp": "string", "Timestamp": "datetime"}}
    answer = sql_kql.run_on_nothing("T | project Isp, ISP, both = strcat(Isp, ISP)", tables)
    assert answer.columns == (("Isp", "string"), ("ISP", "string"), ("both", "string"))


@pytest.mark.parametrize(
    ("text", "construct"),
    [
        ("externaldata(a: string)['https://x.example/a.csv'] | take 1", "externaldata"),
        ("SigninLogs | extend place = geo_info_from_ip_address(IPAddress)", "geo_info_from_ip_address"),
        ("DeviceFileEvents | invoke FileProfile(SHA1, 100)", "FileProfile()"),
        ("_GetWatchlist('vip') | take 1", "_GetWatchlist()"),
        ("DeviceInfo | evaluate autocluster()", "evaluate autocluster"),
        ("DeviceInfo | fork (take 1) (take 2)", "fork"),
        ("DeviceInfo | reduce by DeviceName", "reduce"),
        ("workspace('other').SigninLogs | take 1", "workspace()"),
        ("print hash('a')", "hash"),
        ("set query_now = datetime(2020-01-01); DeviceInfo | take 1", "query_now"),
        ("DeviceInfo | summarize hll(DeviceName)", "hll"),
    ],
)
def test_what_cannot_run_is_named_in_the_words_of_kusto(text: str, construct: str) -> None:
    found = unsupported(Language.KQL, text)
    assert found is not None
    assert construct in found


@pytest.mark.parametrize(
    "text",
    [
        "SecurityEvent | where NoSuchColumn == 1",
        "NoSuchTable | take 1",
        "SecurityEvent | where",
        "SecurityEvent | extend x = nosuchfunction(1)",
        "union isfuzzy=true SecurityEvent, NoSuchTable | search 'x' | take 1",
        "search in (SecurityEvent, SigninLogs) 'x' and TimeGenerated > ago(1d)",
        "SigninLogs | evaluate pivot(ResultType, count(), UserPrincipalName) | project UserPrincipalName",
        "IdentityInfo | summarize arg_max(TimeGenerated, *) by AccountUPN | project AccountUPN, AccountObjectId",
    ],
)
def test_what_is_wrong_or_runs_is_not_called_unrunnable(text: str) -> None:
    assert unsupported(Language.KQL, text) is None


def test_an_expression_that_only_the_lab_refuses_is_unrunnable_and_not_wrong() -> None:
    text = "DeviceProcessEvents | extend part = extract('(a)', toint(ProcessId), FileName)"
    assert check(text).ok
    assert "extract" in str(unsupported(Language.KQL, text)) or "expression" in str(unsupported(Language.KQL, text))


def test_the_verdict_of_check_costs_little() -> None:
    text = "DeviceProcessEvents | where FileName =~ 'cmd.exe' and ProcessCommandLine has_any ('whoami', '{}') | take 5"
    unsupported(Language.KQL, text)
    started = time.perf_counter()
    for number in range(10):
        unsupported(Language.KQL, text.format(number))
    assert (time.perf_counter() - started) / 10 < 0.5  # about 0.03 s on an idle core


def test_most_published_queries_run(corpora: Path) -> None:
    (tally,) = kql_execution.measured(corpora / "kql", step=6, both=False)
    print(tally.line())
    assert tally.ran / len(tally.times) >= SHARE
    assert not any("Error" in reason for reason in tally.reasons)
