import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.tools.languages import cql
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
        ('aid=x | regex("a", field=b)', 8, 13, "unknown_function"),
        ("aid=x AND cidr(a, subnet=b)", 10, 14, "unknown_function"),
        ("aid=x | groupBy(aid, function=avg(x))", 30, 33, "unknown_function"),
        ("x := 3", 2, 4, "syntax"),
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
