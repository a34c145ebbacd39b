"""SPL: read, printed, checked, compiled, and run on events beside `search.matches`."""

import os
import random
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.evals.lab import runnable, sql_spl
from tracehound.evals.lab.sql import QueryRejectedError
from tracehound.evals.lab.sql_blocks import within
from tracehound.evals.lab.store import TelemetryStore
from tracehound.evals.lab.telemetry import Telemetry
from tracehound.knowledge.errors import UnsafeValueError
from tracehound.tools.evidence.normalise import standard
from tracehound.tools.languages import Language, Platform, Query, spl, translate
from tracehound.tools.languages.compiling import NotCarriedError
from tracehound.tools.languages.search import All as AllOf
from tracehound.tools.languages.search import AnyOf, Condition, Expression, Not, Operator, Search, Window, matches
from tracehound.tools.languages.spl import ast
from tracehound.tools.languages.spl.outline import outline
from tracehound.tools.languages.spl.policy import READING, REFUSED
from tracehound.tools.languages.spl.schema import all_fields, logs
from tracehound.tools.languages.spl.times import resolve
from tracehound.tools.languages.syntax import QuerySyntaxError
from tracehound.tools.languages.views import View, all_views
from tracehound.tools.languages.vocabulary import EventClass

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
WINDOW = Window(start=NOW - timedelta(days=1), end=NOW)
VIEWS = {view.id: view for view in all_views() if view.platform is Platform.SPLUNK}
BOUND = "index=* earliest=-1d "
SYSMON = 'source="XmlWinEventLog:Microsoft-Windows-Sysmon/Operational" '


# Reading and printing.


def refused_at(text: str) -> tuple[int, int]:
    """Where a text is refused; what is not refused prints and reads back."""
    try:
        query = spl.parse(text)
    except QuerySyntaxError as error:
        return error.start, error.end
    assert spl.parse(spl.to_text(query)) == query
    return 0, 0


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("index=main", "index=main"),
        ("search index=main", "index=main"),
        ('Image="*\\\\cmd.exe"', r'Image="*\\cmd.exe"'),
        (r"Image=C:\Windows\cmd.exe", r'Image="C:\\Windows\\cmd.exe"'),
        ('CommandLine="a \\"b\\" c"', r'CommandLine="a \"b\" c"'),
        ("a=1 OR b=2 c=3", "(a=1 OR b=2) c=3"),
        ("a=1 AND b=2", "a=1 b=2"),
        ("NOT a=1 b=2", "NOT (a=1) b=2"),
        ("NOT (a=1 OR b=2)", "NOT (a=1 OR b=2)"),
        ("(a=1 b=2) OR c=3", "((a=1 b=2) OR c=3)"),
        ('EventCode IN (1, "5", x*)', 'EventCode IN (1, 5, "x*")'),
        ("earliest=-24h latest=now error", 'earliest=-24h latest=now "error"'),
        ('"process name"=x', '"process name"=x'),
        ("*", "*"),
        ("a!=1 b>=5 c<2", "a!=1 b>=5 c<2"),
        ("a=1 ```a comment | delete``` b=2", "a=1 b=2"),
        ("a=1 | where b=\"x\" OR c>1 AND NOT d='e f'", "a=1 | where b=\"x\" OR (c>1 AND NOT (d='e f'))"),
        ('a=1 | where x LIKE "a%" AND y IN ("b", 3)', 'a=1 | where like(x, "a%") AND y IN ("b", 3)'),
        ("a=1 | where (b + 1) * 2 == -c / 4", "a=1 | where ((b + 1) * 2)=((-c) / 4)"),
        ('a=1 | where match(b, "^C:\\\\\\\\x")', 'a=1 | where match(b, "^C:\\\\\\\\x")'),
        ('a=1 | eval n=if(isnull(b), "none", b), m=lower(n)', 'a=1 | eval n=if(isnull(b), "none", b), m=lower(n)'),
        ('a=1 | regex b!="x.y"', 'a=1 | regex b!="x.y"'),
        ('a=1 | regex "x.y"', 'a=1 | regex _raw="x.y"'),
        ('a=1 | rex field=b "(?<c>\\d+)"', r'a=1 | rex field=b "(?<c>\\d+)"'),
        (
            "a=1 | stats count, dc(b) as users values(c) by d e",
            "a=1 | stats count dc(b) AS users values(c) BY d, e",
        ),
        ("a=1 | stats count(eval(b>1)) AS n", "a=1 | stats count(eval(b>1)) AS n"),
        ("a=1 | eventstats count by b", "a=1 | eventstats count BY b"),
        ("a=1 | top limit=5 b by c", "a=1 | top limit=5 b BY c"),
        ("a=1 | rare b", "a=1 | rare limit=10 b"),
        ("a=1 | bucket _time span=5m", "a=1 | bin _time span=5m"),
        ("a=1 | table _time b*, c", 'a=1 | table _time, "b*", c'),
        ("a=1 | fields - b c", "a=1 | fields - b, c"),
        ("a=1 | fields + b", "a=1 | fields b"),
        ("a=1 | sort - b, +c", "a=1 | sort 10000 -b, c"),
        ("a=1 | sort 0 -num(b) str(c)", "a=1 | sort 0 -num(b), str(c)"),
        ("a=1 | sort b desc", "a=1 | sort 10000 -b"),
        ("a=1 | head", "a=1 | head 10"),
        ("a=1 | head limit=3 | tail 2 | reverse", "a=1 | head 3 | tail 2 | reverse"),
        ("a=1 | dedup 2 b, c keepempty=true", "a=1 | dedup 2 b, c keepempty=true"),
        ('a=1 | rename b AS "new name", c as d', 'a=1 | rename b AS "new name", c AS d'),
        ("a=1 | fillnull value=none b", 'a=1 | fillnull value="none" b'),
        (
            "a=1 | stats count by b | search count>5 | where count<9",
            "a=1 | stats count BY b | search count>5 | where count<9",
        ),
    ],
)
def test_canonical_text_reads_back(text: str, printed: str) -> None:
    query = spl.parse(text)
    assert spl.to_text(query) == printed
    assert spl.parse(printed) == query


@pytest.mark.parametrize(
    ("text", "marked", "code"),
    [
        ("", "", "syntax"),
        ("a=", "", "syntax"),
        ("a=1 |", "", "syntax"),
        ("a=1 | | head", " ", "syntax"),
        ("(a=1", "(", "syntax"),
        ("a=1)", ")", "syntax"),
        ("a=1 OR", "", "syntax"),
        ('a="x', '"x', "syntax"),
        ("a=`m`", "`m`", "syntax"),
        ('a=x\\"y"', '\\"', "syntax"),
        ("a in (1, 2)", "in", "syntax"),
        ("a=1 (earliest=-1d OR b=2)", "earliest=-1d", "syntax"),
        ("a=1 | search earliest=-1d", "earliest=-1d", "syntax"),
        ("TERM(10.0.0.1)", "TERM(", "unknown_function"),
        ("a=1 | transaction b", "transaction", "unknown_function"),
        ("a=1 | statz count", "statz", "unknown_function"),
        ("a=1 | where spath(b)", "spath", "unknown_function"),
        ("a=1 | where like(b)", "like(b)", "syntax"),
        ("a=1 | stats perc95(b)", "perc95", "unknown_function"),
        ("a=1 | stats dc", "dc", "syntax"),
        ('a=1 | rex field=b mode=sed "s/a/b/"', "mode", "syntax"),
        ('a=1 | rex field=b "x"', '"x"', "syntax"),
        ("a=1 | head (b>1)", "(", "syntax"),
        ("a=1 | sort ip(b)", "ip", "unknown_function"),
        ("a=1 | rename b* AS c*", "b*", "syntax"),
        ("a=1 | bin b", "", "syntax"),
        ("a=[search b=1]", "[", "syntax"),
        ("| tstats count", "tstats", "unknown_function"),
    ],
)
def test_what_the_subset_lacks_is_refused_by_name_and_place(text: str, marked: str, code: str) -> None:
    errors = [item for item in spl.check(text).diagnostics if item.severity == "error"]
    (found,) = errors
    assert found.code == code
    if marked:
        assert text[found.start : found.end] == marked
    assert 0 <= found.start <= found.end <= len(text) + 1


names = st.sampled_from(["Image", "CommandLine", "User", "a field", "dc(x)", "search"])
texts = st.text(max_size=10).filter(lambda text: all(not 0xD800 <= ord(char) <= 0xDFFF for char in text))
leaves: st.SearchStrategy[ast.Node] = st.one_of(
    st.builds(lambda n, v: ast.Compare(n, "=", ast.Value(v)), names, texts),
    st.builds(lambda n, v: ast.In(n, (ast.Value(v), ast.Value("b"))), names, texts),
    st.builds(ast.Term, texts),
)


def _joined(children: st.SearchStrategy[ast.Node]) -> st.SearchStrategy[ast.Node]:
    parts = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.one_of(parts.map(ast.And), parts.map(ast.Or), children.map(ast.Not))


@settings(max_examples=150, deadline=None)
@given(st.recursive(leaves, _joined, max_leaves=6))
def test_any_condition_survives_printing(node: ast.Node) -> None:
    query = ast.Pipeline((ast.Search(node, "-1d", None), ast.Head(5)))
    assert spl.parse(spl.to_text(query)) == query


values: st.SearchStrategy[ast.Expression] = st.one_of(
    st.builds(ast.Constant, texts),
    st.builds(ast.Constant, st.integers(-(10**9), 10**9)),
    st.builds(ast.Name, st.sampled_from(["Image", "a field", "not", "x.y"])),
)


def _calculated(children: st.SearchStrategy[ast.Expression]) -> st.SearchStrategy[ast.Expression]:
    return st.one_of(
        st.builds(ast.Binary, st.sampled_from(["=", "<", "+", ".", "*"]), children, children),
        st.builds(
            ast.Joined, st.sampled_from(["AND", "OR", "XOR"]), st.lists(children, min_size=2, max_size=3).map(tuple)
        ),
        st.builds(lambda operand: ast.Unary("NOT", operand), children),
        st.builds(lambda a, b: ast.Call("in", (a, b)), children, children),
        st.builds(lambda a, b, c: ast.Call("if", (a, b, c)), children, children, children),
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(values, _calculated, max_leaves=6))
def test_any_expression_survives_printing(item: ast.Expression) -> None:
    query = ast.Pipeline((ast.Search(ast.Always()), ast.Where(item)))
    assert spl.parse(spl.to_text(query)) == query


@settings(max_examples=250, deadline=None)
@given(st.text(st.sampled_from("ab=1\"'\\|[]`()* \n!<>,.-ANDORNOTINwherestatsby"), max_size=60))
def test_any_text_is_either_parsed_or_refused_with_a_place_inside_it(text: str) -> None:
    start, end = refused_at(text)
    assert 0 <= start <= end <= len(text) + 1
    spl.check(text)


def test_deep_nesting_is_refused_and_does_not_overflow() -> None:
    for text in (
        "(" * 5000 + "a=1" + ")" * 5000,
        "NOT " * 5000 + "a=1",
        "a=1 | where " + "(" * 5000 + "b" + ")" * 5000,
        "a=1 | where " + "NOT " * 5000 + "b=1",
        "a=1 | where b=" + "-" * 5000 + "1",
        "a=1 | where b=" + "1+" * 5000 + "1",
        "[" * 5000,
    ):
        found = spl.check(text)
        assert [item.code for item in found.diagnostics if item.severity == "error"] == ["too_complex"]


# Checking.


def codes(text: str, collection: str | None = None) -> list[tuple[str, str]]:
    return [(item.severity, item.code) for item in spl.check(text, collection).diagnostics]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOUND + SYSMON + "EventCode=1 Image=x", []),
        ("index=* Image=x", [("warning", "unbounded")]),
        ("earliest=-1d Image=x", [("info", "silent_zero")]),
        ("index=* earliest=yesterday", [("error", "bad_value")]),
        ("index=* earliest=rt-5m", [("error", "bad_value")]),
        ("index=* earliest=-1h latest=-2h", [("error", "bad_value")]),
        (BOUND + SYSMON + "Imgae=x", [("error", "unknown_column")]),
        (BOUND + "Imgae=x", [("warning", "unknown_column")]),
        ("index=proxy earliest=-1d cs_host=x", []),
        (BOUND + 'source="/var/log/auth.log" pid=5', []),
        (BOUND + SYSMON + "EventCode=1 DestinationIp=x", [("warning", "silent_zero")]),
        (BOUND + SYSMON + "EventCode=4624", [("warning", "silent_zero")]),
        (BOUND + 'source="WinEventLog:Securty" a=1', [("warning", "silent_zero")]),
        (BOUND + 'source="WinEventLog:Security" EventCode=4624 TargetUserName=x', []),
        (BOUND + "Image=a OR Image=b User=c", [("warning", "ambiguous")]),
        (BOUND + "(Image=a OR Image=b) User=c", []),
        (BOUND + "Image=a or Image=b", [("warning", "silent_zero")]),
        (BOUND + "Image!=a", [("info", "ambiguous")]),
        (BOUND + "NOT Image=a", []),
        (BOUND + r'Image="a\*b"', [("warning", "ambiguous")]),
        (BOUND + r'Image="a\\*b"', []),
        (BOUND + "'Image'=a", [("warning", "silent_zero")]),
        (BOUND + '| where Image="*x*"', [("warning", "silent_zero")]),
        (BOUND + '| where like(Image, "%x%")', []),
        (BOUND + '| where like(Image, "*x*")', [("warning", "silent_zero")]),
        (BOUND + '| where "Image"="x"', [("warning", "silent_zero")]),
        (BOUND + "| where 'Image'=\"x\"", []),
        (BOUND + "| where Image=cmd", [("warning", "silent_zero")]),
        (BOUND + "| where Image=ParentImage", []),
        (BOUND + '| where lower(Image)="Cmd.exe"', [("warning", "silent_zero")]),
        (BOUND + '| where lower(Image)="cmd.exe"', []),
        (BOUND + '| where Image IN ("a*", "b")', [("warning", "silent_zero")]),
        (BOUND + "| where Image", [("error", "type_mismatch")]),
        (BOUND + '| where Image="a" OR "b"', [("error", "type_mismatch")]),
        (BOUND + '| eval x=Image="a"', [("error", "type_mismatch")]),
        (BOUND + '| where match(Image, "(")', [("error", "bad_value")]),
        (BOUND + '| where match(Image, "a(?!b)")', []),
        (BOUND + '| regex Image="*x"', [("error", "bad_value")]),
        (BOUND + '| where cidrmatch("10.0.0.0/33", SourceIp)', [("error", "bad_value")]),
        (BOUND + '| where cidrmatch("10.0.0.0/8", SourceIp)', []),
        (BOUND + "| stats count by Image | where User=1", [("error", "unknown_column")]),
        (BOUND + "| stats count AS n by Image | sort -n | search n>5", []),
        (BOUND + "| table Image | sort User", [("error", "unknown_column")]),
        (BOUND + "| fields - Image | where isnull(Image)", [("error", "unknown_column")]),
        (BOUND + "| rename Image AS i | table Image", [("error", "unknown_column")]),
        (BOUND + r'| rex field=Image "(?<name>[^\\\\]+)$" | table name', []),
        (BOUND + "| eval a=process.name", [("warning", "silent_zero")]),
        (BOUND + "| stats count | search powershell", [("warning", "silent_zero")]),
    ],
)
def test_what_splunk_would_answer_silently_is_found(text: str, expected: list[tuple[str, str]]) -> None:
    assert codes(text) == expected


def test_a_finding_points_at_its_place_and_says_what_to_write() -> None:
    text = BOUND + SYSMON + 'EventCode=1 | where Imgae="x"'
    (found,) = spl.check(text).diagnostics
    assert text[found.start : found.end] == "Imgae"
    assert found.hint == "did you mean Image?"


def test_a_collection_says_which_log_a_text_is_for() -> None:
    assert codes(BOUND + "TargetUserName=x", "security") == []
    assert codes(BOUND + "TargetUserName=x", "sysmon") == [("error", "unknown_column")]
    assert codes(BOUND, "sismon") == [("error", "unknown_collection")]


# Reading only.


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_commands_that_write_or_hide_their_work_are_refused_wherever_they_stand(name: str) -> None:
    for text in (
        f"a=1 | {name} x",
        f"| {name} x",
        f"a=1 | append [ search b=1 | {name} x ]",
        f"a=1 | join c [ | {name} x ]",
        f"a=1 [ search b=1 [ {name} x ] ]",
        f"a=1 |{name.upper()} x",
        f"a=1 ```x```| ```y``` {name} x",
        f"a=1\n|\t{name}\nx",
    ):
        found = spl.check(text)
        assert not found.read_only, text
        assert "not_read_only" in {item.code for item in found.diagnostics}
        assert not found.sendable


@pytest.mark.parametrize(
    "text",
    [
        "`indextime`",
        "a=1 | `m(1)`",
        "a=1 | stats count by `m`",
        "a=1 | frobnicate b",
        "a=1 | append [ frobnicate ]",
        'a=1 | map search="search b=1"',
        '| savedsearch "x"',
    ],
)
def test_what_hides_its_work_is_not_read_only(text: str) -> None:
    assert not spl.check(text).read_only


@pytest.mark.parametrize(
    "text",
    [
        'a="| delete"',
        r'a="\" | delete"',
        'a=1 | where b="x | outputlookup y"',
        'a="`m`"',
        "a=1 ```| delete``` b=2",
        "delete",
        "a=1 | search delete=1",
    ],
)
def test_a_string_that_looks_like_a_command_is_a_string(text: str) -> None:
    assert spl.check(text).read_only


def test_what_reads_is_allowed_even_where_the_subset_lacks_it() -> None:
    assert not READING & set(REFUSED)
    found = spl.check("a=1 | lookup x b | transaction c")
    assert found.read_only
    assert not found.ok
    assert spl.check("| inputlookup x").read_only


def test_commands_are_found_at_their_places() -> None:
    text = 'a="x|y" | append [ search b=1 | head ] | stats count'
    assert [text[item.start : item.end] for item in outline(text).commands] == [
        'a="x|y"', "append [ search b=1 | head ]", "stats count"
    ]  # fmt: skip
    assert [item.name for item in outline(text).all_commands()] == ["search", "append", "search", "head", "stats"]


# Time.


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", "2026-11-24T09:30:15"),
        ("-24h", "2026-11-23T09:30:15"),
        ("24h", "2026-11-23T09:30:15"),
        ("-1d@d", "2026-11-23T00:00:00"),
        ("@d", "2026-11-24T00:00:00"),
        ("-h@h", "2026-11-24T08:00:00"),
        ("@d+3h", "2026-11-24T03:00:00"),
        ("@w1", "2026-11-23T00:00:00"),
        ("@w0", "2026-11-22T00:00:00"),
        ("-1mon@mon", "2026-10-01T00:00:00"),
        ("@q", "2026-10-01T00:00:00"),
        ("@y", "2026-01-01T00:00:00"),
        ("0", "1970-01-01T00:00:00"),
        ("1795000000", "2026-11-18T11:06:40"),
        ("11/23/2026:09:00:00", "2026-11-23T09:00:00"),
    ],
)
def test_time_modifiers_are_read(text: str, moment: str) -> None:
    assert resolve(text, datetime(2026, 11, 24, 9, 30, 15, tzinfo=UTC)).isoformat()[:19] == moment


@pytest.mark.parametrize("text", ["yesterday", "rt", "-1x", "@", "-", "13/45/2026", "-1d@", "9" * 40, "-999999999y"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        resolve(text, NOW)


# The lab's engine.


def record(
    code: str, minutes: int = 5, source: str = "Microsoft-Windows-Sysmon/Operational", **fields: str
) -> dict[str, Any]:
    return {
        "_time": NOW - timedelta(minutes=minutes), "index": "wineventlog", "source": f"XmlWinEventLog:{source}",
        "sourcetype": "XmlWinEventLog", "EventCode": code, **fields,
    }  # fmt: skip


EVENTS = [
    record(
        "1",
        1,
        Computer="pc-1.corp",
        Image=r"C:\Windows\System32\cmd.exe",
        CommandLine="cmd /c whoami",
        User=r"CORP\ann",
    ),
    record("1", 2, Computer="pc-1.corp", Image=r"C:\Windows\System32\CMD.EXE", CommandLine="CMD", User=r"CORP\bob"),
    record("1", 3, Computer="pc-2.corp", Image=r"C:\Temp\notcmd.exe", CommandLine="a*b [x]", User=r"CORP\ann"),
    record("1", 4, Computer="pc-2", Image="System"),
    record("3", 5, Computer="pc-2.corp", DestinationIp="10.1.2.3", DestinationPort="443", User=r"CORP\ann"),
    record("3", 6, Computer="pc-1.corp", DestinationIp="192.0.2.7", DestinationPort="8443"),
    record(
        "4624", 7, "Security", Computer="dc-1.corp", TargetUserName="ann", LogonType="3", IpAddress="::ffff:10.1.2.3"
    ),
    record("3", 60 * 31, Computer="pc-3.corp", DestinationIp="fe80::1", DestinationPort="80"),
    record("1", 60 * 30, Computer="pc-1.corp", Image="old.exe"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telemetry]:
    path = tmp_path_factory.mktemp("spl") / "telemetry.duckdb"
    TelemetryStore.create(path, [("splunk_events", event) for event in EVENTS], {"clock": NOW.isoformat()})
    telemetry = Telemetry(path)
    yield telemetry
    telemetry.close()


def asked(lab: Telemetry, text: str) -> list[dict[str, Any]]:
    return list(sql_spl.run(lab, text, WINDOW.start, WINDOW.end, NOW).rows)


def minutes(lab: Telemetry, text: str) -> list[int]:
    """The events that come back, by the minutes before the end, in order."""
    rows = asked(lab, text)
    return [round((NOW - datetime.fromisoformat(row["_time"])).total_seconds() / 60) for row in rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("index=*", [1, 2, 3, 4, 5, 6, 7]),
        ("earliest=-40h DestinationIp=fe80::/10", [1860]),
        ('earliest=-40h DestinationIp="fe80::1/128" OR DestinationIp="fc00::/7"', [1860]),
        ("earliest=-40h DestinationIp=2001:db8::/32", []),
        (r'Image="c:\\windows\\system32\\cmd.exe"', [1, 2]),
        (r'Image="*\\cmd.exe"', [1, 2]),
        ("Image=*cmd.exe", [1, 2, 3]),
        ("image=*cmd.exe", []),
        ("Image=*", [1, 2, 3, 4]),
        ("Image!=System", [1, 2, 3]),
        ("NOT Image=System", [1, 2, 3, 5, 6, 7]),
        ("Image!=*", []),
        ("EventCode=1 NOT User=*", [4]),
        ("Computer=pc-1.corp OR Computer=pc-2 EventCode=1", [1, 2, 4]),
        ("EventCode IN (3, 4624)", [5, 6, 7]),
        ("DestinationPort>1000", [6]),
        ("DestinationPort>=443 DestinationPort<8443", [5]),
        ("DestinationIp=10.0.0.0/8", [5]),
        ('DestinationIp="192.0.2.0/28"', [6]),
        ("whoami", [1]),
        ("who", []),
        ("who*", [1]),
        ('"cmd /c"', [1]),
        ("earliest=-3m", [1, 2, 3]),
        ("earliest=-40h EventCode=1 Image=old.exe", [1800]),
        ("latest=-6m", [7]),
        ('EventCode=1 | where CommandLine="cmd"', []),
        ('EventCode=1 | where CommandLine="CMD"', [2]),
        ('EventCode=1 | where like(CommandLine, "%*b%")', [3]),
        ('EventCode=1 | where match(CommandLine, "(?i)^cmd")', [1, 2]),
        (r'EventCode=1 | where Image="C:\\Windows\\System32\\cmd.exe"', [1]),
        ("EventCode=1 | where isnull(User)", [4]),
        ('EventCode=1 | where User!="x"', [1, 2, 3]),
        ('EventCode=1 | where NOT User="x"', [1, 2, 3]),
        ('index=* | where cidrmatch("10.0.0.0/8", DestinationIp)', [5]),
        ("index=* | where DestinationPort=443", [5]),
        ('index=* | where DestinationPort="443" OR DestinationPort>8000', [5, 6]),
        ('index=* | where User IN ("CORP\\\\bob")', [2]),
        ('EventCode=1 | regex CommandLine="wh.ami"', [1]),
        ('EventCode=1 | regex CommandLine!="wh.ami"', [2, 3, 4]),
        ("EventCode=1 | head 2", [1, 2]),
        ("EventCode=1 | tail 2", [4, 3]),
        ("EventCode=1 | reverse", [4, 3, 2, 1]),
        ("EventCode=1 | dedup User", [1, 2]),
        ("EventCode=1 | dedup User keepempty=true", [1, 2, 4]),
        ("EventCode=1 | sort CommandLine", [2, 3, 1, 4]),
        ("EventCode=1 | sort 1 -_time", [1]),
        ("EventCode=3 | sort -DestinationPort", [6, 5]),
        ('index=* | where _time >= relative_time(now(), "-2m")', [1, 2]),
    ],
)
def test_events_that_a_query_means_come_back(lab: Telemetry, text: str, expected: list[int]) -> None:
    assert minutes(lab, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EventCode=1 | stats count", [{"count": 4}]),
        ("EventCode=99 | stats count", [{"count": 0}]),
        (
            "EventCode=1 | stats count dc(User) AS users by Computer",
            [
                {"Computer": "pc-1.corp", "count": 2, "users": 2},
                {"Computer": "pc-2", "count": 1, "users": 0},
                {"Computer": "pc-2.corp", "count": 1, "users": 1},
            ],
        ),
        (
            "index=* | stats values(User) AS u by EventCode | where mvcount(u)>1",
            [{"EventCode": "1", "u": [r"CORP\ann", r"CORP\bob"]}],
        ),
        ('index=* | stats values(User) AS u by EventCode | search u="*bob" | table EventCode', [{"EventCode": "1"}]),
        ("EventCode=3 | rename DestinationPort AS p | stats min(p) AS a max(p) AS b sum(p) AS c avg(p) AS d",
         [{"a": "443", "b": "8443", "c": 8886, "d": 4443}]),
        ("EventCode=1 | stats earliest(Image) AS a latest(CommandLine) AS b first(CommandLine) AS c last(Image) AS d",
         [{"a": "System", "b": "cmd /c whoami", "c": "cmd /c whoami", "d": "System"}]),
        ('index=* | stats count(eval(EventCode="1")) AS n count(User) AS u', [{"n": 4, "u": 4}]),
        ("EventCode=1 | stats list(Computer) AS c by User | table c",
         [{"c": ["pc-1.corp", "pc-2.corp"]}, {"c": ["pc-1.corp"]}]),
        ("EventCode=1 | stats count by Computer | sort -count | head 1", [{"Computer": "pc-1.corp", "count": 2}]),
        ("index=* | top limit=1 Computer", [{"Computer": "pc-1.corp", "count": 3, "percent": 100 * 3 / 7}]),
        ("EventCode=1 | rare limit=1 Computer", [{"Computer": "pc-2", "count": 1, "percent": 25}]),
        ("EventCode=1 | eventstats count by Computer | where count=1 | table Computer",
         [{"Computer": "pc-2.corp"}, {"Computer": "pc-2"}]),
        (r'Image="*\\cmd.exe" | eval n=mvindex(split(Image, "\\"), -1), k=len(CommandLine), t=lower(n).":".k | table t',
         [{"t": "cmd.exe:13"}, {"t": "cmd.exe:3"}]),
        (r'EventCode=1 Image="C:*" | rex field=Image "(?<leaf>[^\\\\]+)$" | dedup leaf | table leaf',
         [{"leaf": "cmd.exe"}, {"leaf": "CMD.EXE"}, {"leaf": "notcmd.exe"}]),
        ('EventCode=1 | eval k=case(isnull(User), "none", match(User, "ann"), "ann", true(), "other") | stats count by k',
         [{"k": "ann", "count": 2}, {"k": "none", "count": 1}, {"k": "other", "count": 1}]),
        ("EventCode=3 | rename DestinationPort AS p | eval q=p*2-1, r=p/0 | fields q, r | fields - _time",
         [{"q": 885}, {"q": 16885}]),
        ("EventCode=1 Computer=pc-2 | fillnull value=none User | table User Computer",
         [{"User": "none", "Computer": "pc-2"}]),
        ("index=* | bin _time span=1h | stats count by _time",
         [{"_time": "2026-11-24T08:00:00.000+00:00", "count": 7}]),
        ('EventCode=3 | head 1 | eval h=strftime(_time, "%Y-%m-%d %H:%M") | table h', [{"h": "2026-11-24 08:55"}]),
        (r'EventCode=3 | head 1 | eval x=replace(DestinationIp, "\\.\\d+$", ".0"), y=tonumber("ff", 16) | table x y',
         [{"x": "10.1.2.0", "y": 255}]),
        ('EventCode=3 | eval a=coalesce(User, "-"), b=if(DestinationPort>1000, "high", "low") | table a b',
         [{"a": r"CORP\ann", "b": "low"}, {"a": "-", "b": "high"}]),
        ("EventCode=3 | head 1 | eval c=substr(DestinationIp, 1, 2), d=round(1.26, 1) | table c d", [{"c": "10", "d": 1.3}]),
    ],
)  # fmt: skip
def test_rows_are_what_the_commands_make_of_events(lab: Telemetry, text: str, expected: list[dict[str, Any]]) -> None:
    assert asked(lab, text) == expected


@pytest.mark.parametrize(
    "block",
    [
        "fe80::/10",
        "fc00::/7",
        "2001:db8::/32",
        "2001:db8:8000::/33",
        "2001:db8:1:2::/64",
        "2000::/3",
        "::1/128",
        "10.1.2.0/23",
    ],
)
def test_a_block_holds_the_addresses_that_it_holds(block: str) -> None:
    network, rng = ip_network(block), random.Random(block)
    size = network.max_prefixlen
    numbers = [int(network.network_address) ^ (1 << bit) for bit in range(size)]
    numbers += [int(network.network_address) + rng.randrange(network.num_addresses) for _ in range(50)]
    addresses = [type(network.network_address)(number) for number in numbers]
    clause = within(block, "a", (), "")
    asking = f"SELECT a, {clause.sql} FROM (SELECT unnest(?) AS a)"
    with duckdb.connect() as connection:
        rows = connection.execute(asking, [*clause.values, [str(item) for item in addresses]]).fetchall()
    assert {address for address, held in rows if held} == {str(item) for item in addresses if item in network}


@pytest.mark.parametrize(
    ("text", "construct"),
    [
        ('a=1 | where match(Image, "a(?!b)")', "look-around"),
        ("a=1 | where match(Image, User)", "match() with a calculated pattern"),
        ('a=1 | eval x=strftime(_time, "%Q")', "the format %Q of strftime()"),
        ('a=1 | where cidrmatch("::/3", SourceIp)', "IPv6"),
        ("a=1 | transaction Image", "the command transaction is not supported"),
        ("a=1 | stats values(Image) AS i | stats dc(i)", "many values"),
    ],
)
def test_what_the_lab_cannot_run_is_named_and_never_an_empty_answer(lab: Telemetry, text: str, construct: str) -> None:
    assert construct in (runnable.unsupported(Language.SPL, text) or "")
    with pytest.raises(QueryRejectedError, match=re.escape(construct)):
        asked(lab, text)


def test_what_the_lab_runs_is_called_runnable() -> None:
    assert runnable.unsupported(Language.SPL, BOUND + "| stats count by Image") is None
    assert runnable.unsupported(Language.SPL, "a=") is None


# Compiling.


def where(field: str, op: str, *given: Any) -> Condition:
    return Condition(field=field, op=Operator(op), values=given)


def compiled(view: View, expression: Expression | None, **more: Any) -> str:
    search = Search.model_validate({"event_class": view.event_class, "where": expression, "window": WINDOW, **more})
    made = spl.compile_search(search, view)
    assert spl.check(made.text, view.collection).sendable, (made.text, spl.check(made.text).diagnostics)
    return made.text


def test_a_launch_is_asked_in_splunk_s_words() -> None:
    text = compiled(
        VIEWS["splunk.process"],
        AllOf(
            of=(where("device.hostname", "eq", "ws-042"), where("process.cmd_line", "contains", "comsvcs.dll", "a*b"))
        ),
        limit=50,
    )
    assert text == (
        "earliest=1795424400 latest=1795510800 index=* "
        "source IN (XmlWinEventLog:Microsoft-Windows-Sysmon/Operational, WinEventLog:Microsoft-Windows-Sysmon/Operational) "
        'EventCode=1 Computer IN (ws-042, "ws-042.*") '
        r'| where match(CommandLine, "(?i)(comsvcs\\.dll|a\\*b)") | head 50'
    ).replace(
        "XmlWinEventLog:Microsoft-Windows-Sysmon/Operational",
        '"XmlWinEventLog:Microsoft-Windows-Sysmon/Operational"',
        1,
    ).replace(
        " WinEventLog:Microsoft-Windows-Sysmon/Operational", ' "WinEventLog:Microsoft-Windows-Sysmon/Operational"', 1
    )


def test_counting_is_asked_of_stats() -> None:
    text = compiled(
        VIEWS["splunk.logon"], where("status", "eq", "Failure"),
        aggregation={"by": ["user.name"], "distinct": "device.hostname", "minimum": 5}, limit=20,
    )  # fmt: skip
    assert text.endswith(
        "EventCode=4625 | stats count dc(Computer) AS distinct BY TargetUserName | where count>=5 | sort 20 -count"
    )


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.id)
def test_every_name_of_a_view_is_in_the_table_of_its_log(view: View) -> None:
    log = logs()[view.collection]
    assert set(view.select["source"]) <= set(log.sources)
    assert set(view.select["EventCode"]) <= set(log.events)
    for attribute in view.attributes.values():
        assert attribute.field in all_fields()
        codes_named = ", ".join(view.select["EventCode"])
        text = f'index=* earliest=-1d source="{view.select["source"][0]}" EventCode IN ({codes_named})'
        findings = spl.check(f"{text} {attribute.field}=*").diagnostics
        assert findings == (), (view.id, attribute.field)


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.id)
def test_every_attribute_of_every_view_can_be_asked_for(view: View) -> None:
    for name, attribute in view.attributes.items():
        value: Any = "2026-11-23T10:00:00Z" if name == "time" else 5 if attribute.type == "int" else "x"
        for op in (Operator.EQ, Operator.CONTAINS, Operator.GE, Operator.EXISTS, Operator.NE, Operator.MATCHES):
            expression = Condition(field=name, op=op, values=() if op is Operator.EXISTS else (value,))
            try:
                compiled(view, expression)
                compiled(view, Not(of=expression))
            except NotCarriedError:
                continue


def test_half_a_character_is_refused() -> None:
    with pytest.raises(UnsafeValueError, match="half"):
        compiled(VIEWS["splunk.process"], where("process.cmd_line", "contains", "\ud800"))


HOSTILE = "aB1 .*'\"\\/|()[]{}^$+?,:;=!~%&#<>-_@é`"
anything = st.one_of(
    st.text(st.sampled_from(HOSTILE), max_size=20),
    st.text(max_size=20),
    st.sampled_from(
        [
            '" | delete', "x\\", 'x\\"', '\\\\" OR a="', "`m`", "[ search * ]", "*", "a\nb", "\x00", " ", "$t$",
            '") OR match(Image, "', "```", "10.0.0.0/8", '" latest=now earliest="0', "NOT", "\ud800",
        ]
    ),
)  # fmt: skip
TEXT_OPERATORS = (Operator.EQ, Operator.NE, Operator.CONTAINS, Operator.STARTSWITH, Operator.ENDSWITH)


def shape(text: str) -> list[Any]:
    """A query's structure without its values: types, fields, functions, operators."""

    def inside(item: Any) -> list[Any]:
        match item:
            case ast.Compare(field=name) | ast.In(field=name) | ast.Name(name=name):
                return [name]
            case ast.Call(function=function, arguments=arguments):
                return [function, *(part for argument in arguments for part in inside(argument))]
            case ast.Unary(operator=operator, operand=operand):
                return [operator, *inside(operand)]
            case ast.Joined(operator=operator, operands=operands):
                return [operator, *(part for operand in operands for part in inside(operand))]
            case ast.Binary(operator=operator, left=left, right=right):
                return [operator, *inside(left), *inside(right)]
            case ast.Not(part=part):
                return ["not", *inside(part)]
            case ast.And(parts=parts) | ast.Or(parts=parts):
                return [type(item).__name__, *(name for part in parts for name in inside(part))]
            case _:
                return []

    found: list[Any] = []
    for stage in spl.parse(text).stages:
        found.append(type(stage).__name__)
        match stage:
            case ast.Search(condition=condition):
                found += inside(condition)
            case ast.Where(expression=expression):
                found += inside(expression)
            case _:
                continue
    return found


@settings(max_examples=250, deadline=None)
@given(value=anything, op=st.sampled_from(TEXT_OPERATORS))
def test_no_value_changes_the_structure(value: str, op: Operator) -> None:
    benign = AllOf(of=(where("process.cmd_line", op, "p"), where("process.original_name", "eq", "q")))
    hostile = AllOf(of=(where("process.cmd_line", op, value), where("process.original_name", "eq", "q")))
    starred = AllOf(of=(where("process.cmd_line", op, "p*"), where("process.original_name", "eq", "q")))
    view = VIEWS["splunk.process"]
    try:
        text = compiled(view, hostile)
    except UnsafeValueError:
        assert any(0xD800 <= ord(char) <= 0xDFFF for char in value)
        return
    assert shape(text) in (shape(compiled(view, benign)), shape(compiled(view, starred)))
    assert spl.check(text).read_only
    assert [item.name for item in outline(text).all_commands()] in (["search", "head"], ["search", "where", "head"])


BREAKOUTS = (
    'x" | delete',
    'x" | outputlookup users.csv',
    'x" OR index="*',
    'x" | map search="search index=* | delete',
    'x" [ | rest / ] "',
)


@pytest.mark.parametrize("value", BREAKOUTS)
def test_what_a_value_would_do_if_it_were_pasted_it_cannot_do_here(value: str) -> None:
    pasted = f'index=* earliest=-1d CommandLine="{value}"'
    harmless = shape('index=* earliest=-1d CommandLine="x"')
    verdict = spl.check(pasted)
    assert not verdict.read_only or shape(pasted) != harmless
    text = compiled(VIEWS["splunk.process"], where("process.cmd_line", "eq", value))
    assert spl.check(text).sendable
    benign = (compiled(VIEWS["splunk.process"], where("process.cmd_line", "eq", item)) for item in ("x", "x*"))
    assert shape(text) in map(shape, benign)


# A compiled query and `search.matches` on the same events, near misses among them.

POOL: Mapping[str, list[str]] = {
    "process.cmd_line": ["cmd /c x", "CMD /C X", "cmd", "xcmd", "a*b", "aXb", 'say "hi"', "C:\\x\\", "`m`", "[x]", ""],
    "process.path": [
        "C:\\Windows\\cmd.exe",
        "C:\\cmd.exe\\notcmd.exe",
        "cmd.exe",
        "D:\\x\\CMD.EXE",
        "C:\\a/cmd.exe",
        "",
    ],
    "device.hostname": ["pc-1", "PC-1.corp.example", "pc-10", "xpc-1", "pc-1x.corp"],
    "actor.user.name": ["ann", "CORP\\ann", "ANN@corp", "joann", "CORP\\bob", ""],
    "process.pid": ["4", "40", "400", ""],
}
NEEDLES = ["cmd", "CMD.exe", "a*b", "x", "pc-1", "ann", '"hi"', "\\", "`m`", "[x]", "4", "C:\\", "/c", "*", ""]


def events(data: st.DataObject) -> list[dict[str, str]]:
    row = st.fixed_dictionaries({name: st.sampled_from(pool) for name, pool in POOL.items()})
    return data.draw(st.lists(row, min_size=6, max_size=10))


def expressions() -> st.SearchStrategy[Expression]:
    fields = [*POOL, "process.name"]
    operators = [*TEXT_OPERATORS, Operator.EXISTS, Operator.MATCHES, Operator.GE]

    def condition(name: str, op: Operator, needles: list[str]) -> Expression:
        if op is Operator.MATCHES:
            needles = [re.escape(needle) for needle in needles]
        if op is Operator.GE:
            return where("process.pid", "ge", 40)
        return Condition(field=name, op=op, values=() if op is Operator.EXISTS else tuple(needles))

    leaves = st.builds(
        condition, st.sampled_from(fields), st.sampled_from(operators),
        st.lists(st.sampled_from(NEEDLES), min_size=1, max_size=2),
    )  # fmt: skip

    def joined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        parts = st.lists(inner, min_size=1, max_size=3).map(tuple)
        return st.one_of(
            parts.map(lambda of: AllOf(of=of)), parts.map(lambda of: AnyOf(of=of)), inner.map(lambda of: Not(of=of))
        )

    return st.recursive(leaves, joined, max_leaves=5)


class Drawn:
    """Rows, and the id of each to the event that is read from it. A plain class: what fails shows no 300 events."""

    def __init__(self, telemetry: Telemetry, events: Mapping[str, Mapping[str, Any]]) -> None:
        self.telemetry, self.events = telemetry, events


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawn]:
    """Every combination of a few values, as rows and as events read from them."""
    view = VIEWS["splunk.process"]
    rows = []
    for index in range(300):
        fields = {
            name: pool[(index * prime) % len(pool)]
            for prime, (name, pool) in zip((1, 3, 5, 7, 11), POOL.items(), strict=True)
        }
        row = record("1", 1, EventRecordID=str(index), **{view.attributes[n].field: v for n, v in fields.items() if v})
        rows.append(row)
    path: Path = tmp_path_factory.mktemp("drawn") / "telemetry.duckdb"
    TelemetryStore.create(path, [("splunk_events", row) for row in rows], {"clock": NOW.isoformat()})
    (query,) = [
        item for item in translate(Search(event_class=EventClass.PROCESS, window=WINDOW), [Platform.SPLUNK])
        if isinstance(item, Query) and "EventCode=1 " in item.text + " "
    ]  # fmt: skip
    reader = standard()
    read = {}
    for row in rows:
        written = row | {"_time": row["_time"].isoformat()}
        read[row["EventRecordID"]] = reader.event(query, written, "E").fields
    telemetry = Telemetry(path)
    yield Drawn(telemetry, read)
    telemetry.close()


@settings(max_examples=60, deadline=None)
@given(expression=expressions())
def test_the_rows_are_those_that_the_search_means(drawn: Drawn, expression: Expression) -> None:
    search = Search(event_class=EventClass.PROCESS, where=expression, window=WINDOW, limit=1000)
    meant = {uid for uid, event in drawn.events.items() if matches(expression, event)}
    try:
        made = spl.compile_search(search, VIEWS["splunk.process"])
    except NotCarriedError:
        assert not meant
        return
    found = {row["EventRecordID"] for row in asked(drawn.telemetry, made.text)}
    if made.cannot_express:
        assert not meant - found, made.text
    else:
        assert not meant ^ found, made.text


def corpus() -> list[Path]:
    place = os.environ.get("TRACEHOUND_CORPORA")
    if not place:
        pytest.skip("TRACEHOUND_CORPORA names no folder with the Sigma rules")
    rules = sorted(Path(place, "sigma").rglob("*.yml"))
    return rules if os.environ.get("TRACEHOUND_FULL") else rules[::8]


def test_what_pysigma_writes_is_read() -> None:
    backends = pytest.importorskip("sigma.backends.splunk", reason="the pySigma backends are not installed")
    pipelines = pytest.importorskip("sigma.pipelines.splunk")
    sysmon = pytest.importorskip("sigma.pipelines.sysmon")
    rules = pytest.importorskip("sigma.rule")
    errors = pytest.importorskip("sigma.exceptions")
    read, refused = 0, []
    for path in corpus():
        backend = backends.SplunkBackend(sysmon.sysmon_pipeline() + pipelines.splunk_windows_pipeline())
        try:
            (text,) = backend.convert_rule(rules.SigmaRule.from_yaml(path.read_text(encoding="utf-8")))
        except errors.SigmaError:
            continue
        assert spl.check(text).read_only, text
        try:
            assert spl.parse(spl.to_text(spl.parse(text))) == spl.parse(text)
            read += 1
        except QuerySyntaxError:
            refused.append(text)
    # The backend begins with a pipe before any search, or leaves an OR without its first condition.
    bugs = [text for text in refused if text.lstrip().startswith("|") or "| search OR" in text]
    assert len(bugs) == len(refused)
    assert read >= 0.97 * (read + len(refused))
