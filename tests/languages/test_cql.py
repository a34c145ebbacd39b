import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.evals.lab import runnable, sql_cql
from tracehound.evals.lab.sql import QueryRejectedError
from tracehound.evals.lab.store import TelemetryStore
from tracehound.evals.lab.telemetry import Telemetry
from tracehound.tools.languages import Language, cql
from tracehound.tools.languages.cql.schema import EVENT, UNSURE, all_fields, events
from tracehound.tools.languages.query import Platform, Query
from tracehound.tools.languages.search import Condition, Operator, Search, Window, matches
from tracehound.tools.languages.syntax import QuerySyntaxError
from tracehound.tools.languages.translate import translate
from tracehound.tools.languages.vocabulary import EventClass
from tracehound.tools.recognise import recogniser

WINDOW = Window(start=datetime(2026, 11, 23, 9, tzinfo=UTC), end=datetime(2026, 11, 24, 9, tzinfo=UTC))


def refused_at(text: str) -> tuple[int, int]:
    try:
        cql.parse(text)
    except QuerySyntaxError as error:
        return error.start, error.end
    return 0, 0


def codes(text: str, collection: str | None = None) -> list[tuple[str, str]]:
    return [(item.severity, item.code) for item in cql.check(text, collection).diagnostics]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("#event_simpleName=ProcessRollup2", "#event_simpleName=ProcessRollup2"),
        ("#event_simpleName = DnsRequest DomainName = /evil/i", "#event_simpleName=DnsRequest AND DomainName=/evil/i"),
        ('FileName="power*.exe"', 'FileName="power*.exe"'),
        (r'CommandLine="a \"b\" c\\"', r'CommandLine="a \"b\" c\\"'),
        ("aid=x or aid=y RemotePort=443", "(aid=x OR aid=y) AND RemotePort=443"),
        ("not UserName=svc", "NOT (UserName=svc)"),
        ("!(aid=x or aid=y)", "NOT (aid=x OR aid=y)"),
        ('in(field=aid, values=["x", y])', "in(aid, values=[x, y])"),
        ("* | count()", "* | count(as=_count)"),
        (
            "aid=x | groupBy([aid, UserName], function=[count(as=n), count(FileName, distinct=true, as=files)], limit=50)",
            "aid=x | groupBy([aid, UserName], function=[count(as=n), count(FileName, distinct=true, as=files)], limit=50)",
        ),
        ("aid=x | groupBy(aid) | _count>=3", "aid=x | groupBy([aid], function=[count(as=_count)]) | _count>=3"),
        ("aid=x | sort(@timestamp, order=asc, limit=5)", "aid=x | sort([@timestamp], order=asc, limit=5)"),
        ("aid=x | head() | select([aid])", "aid=x | head(200) | select([aid])"),
        ("aid=x // a comment\n| table([aid, FileName])", "aid=x | table([aid, FileName], limit=200)"),
        (r"FilePath=/\/tmp\/x/", r"FilePath=/\/tmp\/x/"),
        ("/mimikatz/i", "@rawstring=/mimikatz/i"),
        ('"FileName"=x', "FileName=x"),
        ("in(aid, ignoreCase=true, values=[x])", "in(aid, ignoreCase=true, values=[x])"),
        ("aid =~ in(values=[x, y])", "in(aid, values=[x, y])"),
        ("!cidr(aip, subnet=10.0.0.0/8)", 'NOT (cidr(aip, subnet=["10.0.0.0/8"]))'),
        ('cidr(aip, subnet=["10.0.0.0/8", "192.168.0.0/16"])', 'cidr(aip, subnet=["10.0.0.0/8", "192.168.0.0/16"])'),
        (r'regex("a/\\d", field=FileName, flags=i)', r"FileName=/a\/\d/i"),
        (r'regex(field=FileName,"a.b")', r"FileName=/a.b/"),
        ("FileName =~ regex(x)", "FileName=/x/"),
        (
            "test(FileName==ParentBaseFileName) | test(RemotePort > 5)",
            "test(FileName == ParentBaseFileName) | test(RemotePort > 5)",
        ),
        ("aid=x /* a\ncomment */ cid=y", "aid=x AND cid=y"),
        ('n := lower(FileName) | m := n | k := "a b" | j := 5', 'n := lower(FileName) | m := n | k := "a b" | j := 5'),
        ("lower(FileName, as=n)", "n := lower(FileName)"),
        ("length(CommandLine)", "_length := length(CommandLine)"),
        ("concat([aid, cid], as=k)", "k := concat([aid, cid])"),
        ('replace("a/b", with="c", field=FileName, as=n)', 'n := replace("a/b", with="c", field=FileName)'),
        (
            'case { FileName=/a/i | k := "a" | n := 1; FileName=b; * | k := "c"; }',
            'case { FileName=/a/i | k := "a" | n := 1; FileName=b; * | k := "c" }',
        ),
        (
            "groupBy(aid, function=([count(), sum(Size, as=s), collect(FileName), selectLast([aip, cid])]))",
            "groupBy([aid], function=[count(as=_count), sum(Size, as=s), collect([FileName]), selectLast([aip, cid])])",
        ),
        ("groupBy(aid, limit=max)", "groupBy([aid], function=[count(as=_count)])"),
        ("max(Size)", "max(Size, as=_max)"),
        ("bucket(5m, field=aid)", "bucket(span=5m, field=[aid], function=[count(as=_count)])"),
        ("top(aid, limit=3, as=n)", "top([aid], limit=3, as=n)"),
        ("drop([aid, cid]) | rename(aip, as=ip)", "drop([aid, cid]) | rename([[aip, ip]])"),
        ("rename(field=[[aip, ip], [cid, c]])", "rename([[aip, ip], [cid, c]])"),
        ("table([aid], sortby=aid, order=asc)", "table([aid], limit=200, sortby=aid, order=asc)"),
    ],
)
def test_canonical_text_reads_back(text: str, printed: str) -> None:
    query = cql.parse(text)
    assert cql.to_text(query) == printed
    assert cql.parse(printed) == query


@pytest.mark.parametrize(
    ("text", "start", "end", "code"),
    [
        ("powershell", 0, 10, "syntax"),
        ('"powershell"', 0, 12, "syntax"),
        ("aid=x powershell", 6, 16, "syntax"),
        ("aid=x | stats(count)", 8, 13, "unknown_function"),
        ("aid=x | groupby(aid)", 8, 15, "unknown_function"),
        ("aid=x AND match(file=a, field=aid)", 10, 15, "unknown_function"),
        ("aid=x | groupBy(aid, function=stdDev(x))", 30, 36, "unknown_function"),
        ("aid=x | y := format(aid)", 13, 19, "unknown_function"),
        ("aid=x | y := RemotePort + 1", 24, 25, "syntax"),
        ("aid=x y := 3", 8, 10, "syntax"),
        ("aid=x | join({aid=y}, field=aid)", 8, 12, "unknown_function"),
        ("aid == x", 4, 6, "syntax"),
        ("test(aid = cid)", 9, 10, "syntax"),
        ("in(aid)", 0, 2, "syntax"),
        ("cidr(aip)", 0, 4, "syntax"),
        ("aid=/x/s", 4, 8, "syntax"),
        ("aid=x | case { aid=x | head(1) }", 23, 27, "syntax"),
        ("aid=x | case { aid=x", 20, 21, "syntax"),
        ("aid=x | bucket(span=often)", 20, 25, "syntax"),
        ("aid=x | rename(aid)", 8, 14, "syntax"),
        ("aid=", 4, 5, "syntax"),
        ("aid=x |", 7, 8, "syntax"),
        ("(aid=x", 0, 1, "syntax"),
        ("aid=x | sort(aid, limit=ten)", 24, 27, "syntax"),
        ("aid=x | sort(aid, direction=asc)", 18, 27, "syntax"),
        ("aid=/x/q", 4, 8, "syntax"),
        ("aid</x/", 3, 4, "syntax"),
        ("", 0, 0, "syntax"),
    ],
)
def test_what_the_subset_lacks_is_refused_by_name_and_place(text: str, start: int, end: int, code: str) -> None:
    (found,) = cql.check(text).diagnostics
    assert (found.start, found.end, found.code, found.severity) == (start, end, code, "error")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#event_simpleName=ProcessRollup2 CommandLine=/x/i", []),
        ("#event_simpleName=ProcessRollup CommandLine=/x/i", [("error", "bad_value")]),
        ("#event_simpleName=*FileWritten TargetFileName=/x/i", []),
        ("#event_simpleName=DnsRequest CommandLine=/x/i", [("warning", "silent_zero")]),
        ("in(#event_simpleName, values=[DnsRequest, ProcessRollup2]) CommandLine=/x/i", []),
        ("ComandLine=/x/i", [("error", "unknown_column")]),
        ("CommandLine=/(/", [("error", "bad_value")]),
        ("RemotePort>443", []),
        ("RemotePort>https", [("error", "type_mismatch")]),
        ("aid=x | groupBy([ComputerName]) | FileName=y", [("error", "unknown_column")]),
        ("aid=x | groupBy([ComputerName]) | sort(_count)", []),
        ("aid=x | select([aid]) | sort(FileName)", [("error", "unknown_column")]),
        ("aid=x or aid=y RemotePort=443", [("warning", "ambiguous")]),
        ("(aid=x or aid=y) RemotePort=443", []),
        ("#event_simpleName=/^DnsRequest$/i CommandLine=/x/i", [("warning", "silent_zero")]),
        (
            "#event_simpleName=DnsRequest or #event_simpleName=ProcessRollup2 CommandLine=/x/i",
            [("warning", "ambiguous")],
        ),
        (r'ImageFileName="C:\\Windows\\*"', [("warning", "silent_zero")]),
        (r"ImageFileName=/^C:\\Windows/i", [("warning", "silent_zero")]),
        (r'ImageFileName="*\\Windows\\*"', []),
        ("RemoteAddressIP4=10.0.0.0/8", [("warning", "silent_zero")]),
        ("cidr(RemoteAddressIP4, subnet=10.0.0.0/8)", []),
        ("cidr(RemoteAddressIP4, subnet=10.0.0.0/99)", [("error", "bad_value")]),
        ("test(FileName == Parent)", [("error", "unknown_column")]),
        ('test("FileName" == "x")', [("warning", "silent_zero")]),
        ("CommandLine=/-(?<flag>\\w+)/ | groupBy(flag)", []),
        ("CommandLine!=/-(?<flag>\\w+)/ | groupBy(flag)", [("error", "unknown_column")]),
        ("n := lower(FileName) | n=cmd.exe | groupBy(n)", []),
        ("n := lower(Nme)", [("error", "unknown_column")]),
        ('case { aid=x | k := "a"; * } | groupBy(k)', []),
        ("drop(aid) | sort(aid)", [("error", "unknown_column")]),
        ("rename(aid, as=host) | groupBy([host]) | sort(_count)", []),
        ("bucket(1h) | sort(_bucket)", []),
        ("groupBy(aid, function=selectLast([FileName])) | FileName=x", []),
        ("top(FileName) | sort(Size)", [("error", "unknown_column")]),
    ],
)
def test_what_falcon_would_answer_silently_is_found(text: str, expected: list[tuple[str, str]]) -> None:
    assert codes(text) == expected


def test_a_finding_points_at_its_place() -> None:
    text = "#event_simpleName=ProcessRollup2 ComandLine=/x/i"
    (found,) = cql.check(text).diagnostics
    assert text[found.start : found.end] == "ComandLine"
    assert found.hint == "did you mean CommandLine?"


def test_repositories_are_known() -> None:
    assert codes("aid=x", "search-all") == []
    assert codes("aid=x", "serch-all") == [("error", "unknown_collection")]


def test_deep_nesting_is_refused_and_does_not_overflow() -> None:
    assert codes("(" * 5000 + "aid=x" + ")" * 5000) == [("error", "too_complex")]


def test_what_is_not_confirmed_is_named() -> None:
    assert all_fields() | set(events()) >= UNSURE
    assert EVENT not in UNSURE


words = st.text(max_size=12)
conditions = st.one_of(
    st.builds(lambda text: cql.In("aid", (cql.Text(text),), ignore_case=True), words),
    st.builds(lambda text: cql.Test(cql.Ref("aid"), "==", cql.Text(text)), words),
    st.just(cql.Cidr("aip", (cql.Text("10.0.0.0/8"), cql.Text("192.168.0.0/16")))),
    st.builds(lambda text: cql.Compare("FileName", "=", cql.Text(text)), words),
    st.builds(lambda text: cql.In("aid", (cql.Text(text), cql.Text("b"))), words),
    st.builds(lambda flag: cql.Compare("FileName", "!=", cql.Regex("a\\/b", "i" if flag else "")), st.booleans()),
)


def _joined(children: st.SearchStrategy[cql.Node]) -> st.SearchStrategy[cql.Node]:
    parts = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.one_of(parts.map(cql.And), parts.map(cql.Or), children.map(cql.Not))


@settings(max_examples=300, deadline=None)
@given(st.recursive(conditions, _joined, max_leaves=6))
def test_any_condition_survives_printing(node: cql.Node) -> None:
    query = cql.Pipeline((cql.Filter(node), cql.Tail(10)))
    assert cql.parse(cql.to_text(query)) == query


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_either_parsed_or_refused_with_a_place_inside_it(text: str) -> None:
    start, end = refused_at(text)
    assert 0 <= start <= end <= len(text) + 1


@pytest.mark.parametrize(
    ("op", "wanted", "path", "expected"),
    [
        ("startswith", "C:\\Windows\\", "\\Device\\HarddiskVolume3\\Windows\\x.exe", True),
        ("startswith", "C:\\Windows\\", "c:\\windows\\x.exe", True),
        ("startswith", "C:\\Windows\\", "D:\\Windows\\x.exe", False),
        ("startswith", "C:\\Windows\\", "\\Device\\HarddiskVolume3\\Temp\\x.exe", False),
        ("eq", "C:\\x.exe", "\\Device\\HarddiskVolume12\\x.exe", True),
        ("contains", ":\\Windows\\", "\\Device\\HarddiskVolume3\\Windows\\x.exe", True),
        ("contains", ":\\Windows\\", "\\Device\\HarddiskVolume3\\Temp\\Windows\\x.exe", False),
        ("startswith", ":\\Windows\\", "\\Device\\HarddiskVolume3\\Windows\\x.exe", False),
        ("matches", r"^c:\\win", "\\Device\\HarddiskVolume3\\Windows\\x.exe", True),
        ("matches", r"harddiskvolume3", "\\Device\\HarddiskVolume3\\Windows\\x.exe", True),
    ],
)
def test_a_drive_means_any_volume_in_the_text_and_in_the_meaning(
    op: str, wanted: str, path: str, expected: bool
) -> None:
    condition = Condition(field="process.path", op=Operator(op), values=(wanted,))
    event = {"process.path": path}
    assert matches(condition, event) is expected
    assert recogniser(condition)(event) is expected
    search = Search(event_class=EventClass.PROCESS, where=condition, window=WINDOW)
    (query,) = (item for item in translate(search, [Platform.FALCON]) if isinstance(item, Query))
    pattern = re.search(r"ImageFileName=/(.*)/i", query.text)
    if op != "matches":
        assert query.cannot_express == ()
        assert pattern is not None
        assert (re.search(pattern[1], path, re.IGNORECASE) is not None) is expected


NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def sensed(number: int, name: str, **fields: str) -> dict[str, Any]:
    moment = int((NOW - timedelta(minutes=number)).timestamp() * 1000)
    return {"@timestamp": moment, "@id": str(number), "#event_simpleName": name, **fields}


EVENTS = [
    sensed(1, "ProcessRollup2", aid="a", FileName="cmd.exe", ParentBaseFileName="cmd.exe", CommandLine="cmd /c whoami"),
    sensed(2, "ProcessRollup2", aid="a", FileName="CMD.EXE", ParentBaseFileName="explorer.exe", CommandLine="CMD"),
    sensed(3, "ProcessRollup2", aid="b", FileName="notcmd.exe", ParentBaseFileName="explorer.exe", CommandLine="x/y"),
    sensed(4, "NetworkConnectIP4", aid="b", RemoteAddressIP4="10.1.2.3", RemotePort="443"),
    sensed(5, "NetworkConnectIP4", aid="b", RemoteAddressIP4="192.0.2.7", RemotePort="8443"),
    sensed(90, "NetworkConnectIP4", aid="c", RemoteAddressIP4="10.200.0.1", RemotePort="80"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telemetry]:
    path = tmp_path_factory.mktemp("cql") / "telemetry.duckdb"
    TelemetryStore.create(path, [("falcon_events", event) for event in EVENTS], {"clock": NOW.isoformat()})
    telemetry = Telemetry(path)
    yield telemetry
    telemetry.close()


def asked(lab: Telemetry, text: str) -> list[dict[str, Any]]:
    answer = sql_cql.run(lab, text, NOW - timedelta(days=1), NOW)
    return [{name: value for name, value in row.items() if value is not None} for row in answer.rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", [1, 2, 3, 4, 5, 90]),
        ("#event_simpleName=ProcessRollup2", [1, 2, 3]),
        ("event_simpleName=ProcessRollup2", [1, 2, 3]),
        ("FileName=cmd.exe", [1]),
        ("FileName=/^cmd\\.exe$/i", [1, 2]),
        ("FileName=*cmd.exe", [1, 3]),
        ("FileName!=cmd.exe", [2, 3, 4, 5, 90]),
        ("FileName=*", [1, 2, 3]),
        ("FileName!=*", [4, 5, 90]),
        ("in(FileName, values=[cmd.exe, notcmd.exe])", [1, 3]),
        ("in(FileName, ignoreCase=true, values=[Cmd.Exe])", [1, 2]),
        ('in(FileName, ignoreCase=true, values=["c*"])', [1, 2]),
        ("!in(FileName, values=[cmd.exe])", [2, 3, 4, 5, 90]),
        ("cidr(RemoteAddressIP4, subnet=10.0.0.0/8)", [4, 90]),
        ('cidr(RemoteAddressIP4, subnet=["10.1.0.0/16", "192.0.2.0/28"])', [4, 5]),
        ("!cidr(RemoteAddressIP4, subnet=10.0.0.0/8)", [1, 2, 3, 5]),
        ("RemotePort>443", [5]),
        ("RemotePort<=443", [4, 90]),
        ("test(FileName == ParentBaseFileName)", [1]),
        ('test(FileName == "cmd.exe")', [1]),
        ("test(RemotePort > 100)", [4, 5]),
        ("/whoami/", [1]),
        ("/WHOAMI/i", [1]),
        ("CommandLine=/x\\/y/", [3]),
        ('regex("x/y", field=CommandLine)', [3]),
        ("aid=a or aid=b FileName=cmd.exe", [1]),
        ("FileName=cmd.exe or FileName=notcmd.exe aid=b", [3]),
        ("FileName=cmd.exe | aid=b", []),
        ("n := lower(FileName) | n=cmd.exe", [1, 2]),
        ("FileName := upper(FileName) | FileName=CMD.EXE", [1, 2]),
        ("length(CommandLine, as=n) | n>3", [1]),
        ('case { FileName=cmd.exe | k := "one"; FileName=/cmd/i | k := "two" } | k=two', [2, 3]),
        ("case { RemotePort=443; aid=a } ", [1, 2, 4]),
        ("* | head(2)", [90, 5]),
        ("* | tail(2)", [1, 2]),
        ("RemotePort=* | sort(RemotePort, order=asc)", [90, 4, 5]),
    ],
)
def test_events_that_a_query_means_come_back(lab: Telemetry, text: str, expected: list[int]) -> None:
    found = [int(row["@id"]) for row in asked(lab, text)]
    assert sorted(found) == sorted(expected) if "head" in text or "tail" in text else found == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count()", [{"_count": 6}]),
        ("count(aid, distinct=true, as=n)", [{"n": 3}]),
        ("sum(RemotePort)", [{"_sum": 8966.0}]),
        ("groupBy(aid)", [{"aid": "a", "_count": 2}, {"aid": "b", "_count": 3}, {"aid": "c", "_count": 1}]),
        (
            "FileName=* | groupBy(aid, function=[collect(FileName), selectLast(CommandLine)])",
            [
                {"aid": "a", "FileName": "CMD.EXE\ncmd.exe", "CommandLine": "cmd /c whoami"},
                {"aid": "b", "FileName": "notcmd.exe", "CommandLine": "x/y"},
            ],
        ),
        (
            "RemotePort=* | groupBy(aid, function=[min(RemotePort), max(RemotePort), avg(RemotePort, as=m)])",
            [
                {"aid": "b", "_min": 443.0, "_max": 8443.0, "m": 4443.0},
                {"aid": "c", "_min": 80.0, "_max": 80.0, "m": 80.0},
            ],
        ),
        ("top(aid, limit=1)", [{"aid": "b", "_count": 3}]),
        ("groupBy(aid) | _count>1 | sort(_count, limit=1)", [{"aid": "b", "_count": 3}]),
        (
            "bucket(1h)",
            [{"_bucket": 1795503600000, "_count": 1}, {"_bucket": 1795507200000, "_count": 5}],
        ),
        (
            'FileName=*cmd.exe | replace("cmd", with="<$0>", field=FileName, as=n) | select([n])',
            [{"n": "<cmd>.exe"}, {"n": "not<cmd>.exe"}],
        ),
        (r"CommandLine=/^(?<first>\w+) \/(?<flag>\w)/ | select([first, flag])", [{"first": "cmd", "flag": "c"}]),
        ("FileName=cmd.exe | concat([aid, FileName], as=k) | select([k])", [{"k": "acmd.exe"}]),
        ("FileName=cmd.exe | rename(FileName, as=f) | drop([aid]) | table([f, aid, FileName])", [{"f": "cmd.exe"}]),
        (
            "RemotePort=* | table([RemotePort], sortby=RemotePort, order=desc, limit=2)",
            [{"RemotePort": "8443"}, {"RemotePort": "443"}],
        ),
    ],
)  # fmt: skip
def test_rows_are_what_the_stages_make_of_events(lab: Telemetry, text: str, expected: list[dict[str, Any]]) -> None:
    assert asked(lab, text) == expected


@pytest.mark.parametrize(
    ("text", "construct"),
    [
        ('cidr(aip, subnet="::/3")', "IPv6"),
        ("groupBy(aid) | selectLast(aid)", "selectLast"),
        ("aid=x | join({aid=y}, field=aid)", "join"),
    ],
)
def test_what_the_lab_cannot_run_is_named_and_never_an_empty_answer(lab: Telemetry, text: str, construct: str) -> None:
    assert construct in (runnable.unsupported(Language.CQL, text) or "")
    with pytest.raises(QueryRejectedError, match=construct):
        asked(lab, text)


def test_what_the_lab_runs_is_called_runnable() -> None:
    assert runnable.unsupported(Language.CQL, "aid=x | groupBy(aid)") is None
    assert runnable.unsupported(Language.CQL, "aid=") is None


def corpus() -> list[Path]:
    place = os.environ.get("TRACEHOUND_CORPORA")
    if not place:
        pytest.skip("TRACEHOUND_CORPORA names no folder with the Sigma rules")
    rules = sorted(Path(place, "sigma").rglob("*.yml"))
    return rules if os.environ.get("TRACEHOUND_FULL") else rules[::8]


def test_what_pysigma_writes_is_read() -> None:
    sigma = pytest.importorskip("sigma.backends.crowdstrike", reason="the pySigma backends are not installed")
    pipelines = pytest.importorskip("sigma.pipelines.crowdstrike")
    rules = pytest.importorskip("sigma.rule")
    errors = pytest.importorskip("sigma.exceptions")
    read, refused = 0, []
    for path in corpus():
        backend = sigma.LogScaleBackend(pipelines.crowdstrike_falcon_pipeline())
        try:
            (text,) = backend.convert_rule(rules.SigmaRule.from_yaml(path.read_text(encoding="utf-8")))
        except errors.SigmaError:
            continue
        try:
            assert cql.parse(cql.to_text(cql.parse(text))) == cql.parse(text)
            read += 1
        except QuerySyntaxError:
            refused.append(text)
    # The backend writes an empty pattern as a comment, and a slash in a pattern bare.
    bugs = [text for text in refused if re.search(r"=//|=/[^ ]*[^\\]/[^im \n]", text)]
    assert len(bugs) == len(refused)
    assert read >= 0.99 * (read + len(refused))
