import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.tools.languages import fql
from tracehound.tools.languages.fql.schema import COLLECTIONS, lookup, tables
from tracehound.tools.languages.syntax import QuerySyntaxError

RESOURCES = {"detections": "alerts", "hosts": "hosts", "spotlight": "vulnerabilities", "cases": "cases", "ioc": "iocs"}


def refused_at(text: str) -> tuple[int, int]:
    try:
        fql.parse(text)
    except QuerySyntaxError as error:
        return error.start, error.end
    return 0, 0


def codes(text: str, collection: str | None = None) -> list[tuple[str, str]]:
    return [(item.severity, item.code) for item in fql.check(text, collection).diagnostics]


def test_plus_binds_tighter_than_comma() -> None:
    node = fql.parse("a:'1'+b:'2',c:'3'")
    assert isinstance(node, fql.Or)
    assert isinstance(node.parts[0], fql.And)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("status:'new'", "status:'new'"),
        ('Status: "new"', "status:'new'"),
        ("a:1,b:true,c:null", "(a:1,b:true,c:null)"),
        ("a:'1'+(b:'2',c:'3')", "a:'1'+(b:'2',c:'3')"),
        ("!(a:'1'+b:'2')", "!(a:'1'+b:'2')"),
        ("!(a:'1',b:'2')", "!(a:'1',b:'2')"),
        ("!hostname:'x'", "!hostname:'x'"),
        (r"p:'C:\Windows\System32'", r"p:'C:\\Windows\\System32'"),
        (r"p:'it\'s'", r"p:'it\'s'"),
        ("n:*'*mid*'", "n:*'*mid*'"),
        ("n:!~'word'+t:>='now-7d'", "n:!~'word'+t:>='now-7d'"),
        ("product:['epp', 'xdr']", "product:['epp','xdr']"),
        ("_all:'x'", "_all:'x'"),
    ],
)
def test_canonical_text_reads_back(text: str, printed: str) -> None:
    node = fql.parse(text)
    assert fql.to_text(node) == printed
    assert fql.parse(printed) == node


@pytest.mark.parametrize(
    ("text", "start", "end", "hint"),
    [
        ("status:'new' AND severity:>1", 13, 16, "write + for and"),
        ("status:'new' or x:'y'", 13, 15, "write , for or, in brackets"),
        ("status:new", 7, 10, "write 'new'"),
        ("status:'new", 7, 11, None),
        ("(status:'new'", 0, 1, "add )"),
        ("tags:['a'", 5, 6, "add ]"),
        ("status:'ACTIVE'%2Btype:'x'", 15, 16, "write the filter itself; encoding it is the client's work"),
        ("severity:=<5", 9, 10, None),
        ("name:!*'x'", 5, 7, "a negated pattern is written !'*text*'"),
        ("hostname", 0, 8, "write property:'value'"),
        ("", 0, 1, None),
    ],
)
def test_what_is_no_filter_is_refused_with_its_place(text: str, start: int, end: int, hint: str | None) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        fql.parse(text)
    assert (caught.value.start, caught.value.end, caught.value.hint) == (start, end, hint)


def test_deep_nesting_is_refused_and_does_not_overflow() -> None:
    assert codes("(" * 5000 + "a:'1'" + ")" * 5000) == [("error", "too_complex")]
    assert codes("!" * 5000 + "a:'1'") == [("error", "too_complex")]


@pytest.mark.parametrize(
    ("text", "collection", "expected"),
    [
        ("device.hostname:'WS-1'", "alerts", []),
        ("parent_details.filename:'explorer.exe'", "alerts", []),
        ("hostname:'WS-1'", "alerts", [("error", "unknown_column")]),
        ("hostnam:'WS-1'", "hosts", [("error", "unknown_column")]),
        ("hostnam:'WS-1'", None, [("warning", "unknown_column")]),
        ("status:'New'", "alerts", [("error", "bad_value")]),
        ("status:'contained'", "alerts", [("error", "bad_value")]),
        ("status:'contained'", None, []),
        ("status:'bogus'", None, [("warning", "bad_value")]),
        ("severity:'high'", "alerts", [("error", "type_mismatch")]),
        ("severity:>=60", "alerts", []),
        ("pattern_id:'123*'", "alerts", []),
        ("cmdline:>'x'", "alerts", [("error", "bad_operator")]),
        ("tags:'*positive*'", "alerts", [("error", "bad_operator")]),
        ("created_timestamp:'2024-01*'", "alerts", [("error", "bad_operator")]),
        ("created_timestamp:>'yesterday'", "alerts", [("error", "bad_value")]),
        ("created_timestamp:>'2026-13-01'", "alerts", [("error", "bad_value")]),
        ("created_timestamp:>'NOW-7D'", "alerts", [("error", "bad_value")]),
        ("created_timestamp:>'now-7d'", "alerts", []),
        ("show_in_ui:'true'", "alerts", [("error", "type_mismatch")]),
        ("assigned_to_name:!'*'", "alerts", []),
        ("hostname:'*mid*'", "hosts", [("warning", "silent_zero")]),
        ("hostname:*'*mid*'", "hosts", []),
        ("hostname:'PC*'", "hosts", []),
        ("hostname:!~'pc'", "hosts", [("error", "bad_operator")]),
        ("local_ip:'10.1.*'", "hosts", [("warning", "silent_zero")]),
        ("local_ip.raw:*'10.1.*'", "hosts", []),
        ("tags:'Quarantined'", "hosts", [("warning", "silent_zero")]),
        ("platform_name:>'a'", "hosts", [("error", "bad_operator")]),
        ("cve.id:'CVE-2024-38112'", "vulnerabilities", [("warning", "silent_zero")]),
        ("cve.id:['CVE-2024-38112']", "vulnerabilities", []),
        ("cve.severity:'High'", "vulnerabilities", [("error", "bad_value")]),
        ("aid:'abc*'", "vulnerabilities", [("error", "bad_operator")]),
        ("name:~'x'", "cases", [("warning", "silent_zero")]),
        ("name:'*x*'", "cases", [("warning", "silent_zero")]),
        ("status:'new'+severity_name:'High',severity_name:'Critical'", "alerts", [("warning", "ambiguous")]),
        ("(status:'new'+severity_name:'High'),severity_name:'Critical'", "alerts", []),
        ("severity:1", "nowhere", [("error", "unknown_collection")]),
    ],
)
def test_what_an_endpoint_would_answer_silently_is_found(
    text: str, collection: str | None, expected: list[tuple[str, str]]
) -> None:
    assert codes(text, collection) == expected


def test_a_finding_points_at_its_place_and_guesses_the_name() -> None:
    text = "status:'new'+hostname:'WS-1'"
    (found,) = fql.check(text, "alerts").diagnostics
    assert text[found.start : found.end] == "hostname"
    assert found.hint == "did you mean device.hostname?"


def test_more_than_twenty_properties_are_too_complex() -> None:
    names = list(tables()["alerts"])[:21]
    text = "+".join(f"{name}:!null" for name in names if not name.endswith("*"))
    assert fql.check("+".join(["severity:>1"] * 21), "alerts").ok
    assert ("error", "too_complex") in codes(text, "alerts")


def test_the_tables_have_every_field_of_the_guides() -> None:
    assert {name: len(table) for name, table in tables().items()} == {
        "alerts": 97,
        "hosts": 42,
        "vulnerabilities": 38,
        "cases": 45,
        "iocs": 13,
        "intel": 16,
    }
    assert lookup("alerts", "parent_details.cmdline") is not None
    assert lookup("alerts", "parent_details") is None
    assert set(COLLECTIONS) == set(tables())


def test_corpus_verdicts(corpora: Path, record_property: Callable[[str, object], None]) -> None:
    lines = [json.loads(line) for line in (corpora / "fql" / "strings.jsonl").read_text("utf-8").splitlines()]
    wrong = [line["query"] for line in lines if fql.check(line["query"]).ok is not line["ok"]]
    accepted = sum(fql.check(line["query"]).ok for line in lines)
    record_property("fql_accepted", f"{accepted} of {len(lines)}")
    assert wrong == []
    for line in lines:
        if line["ok"]:
            node = fql.parse(line["query"])
            assert fql.parse(fql.to_text(node)) == node


def test_corpus_against_its_own_endpoints(corpora: Path) -> None:
    refused = [
        line["query"]
        for line in map(json.loads, (corpora / "fql" / "strings.jsonl").read_text("utf-8").splitlines())
        if line["ok"] and line["resource"] in RESOURCES and not fql.check(line["query"], RESOURCES[line["resource"]]).ok
    ]
    # An example of the cases module that filters file details by the case they hang on.
    assert refused == ["case_id:'019f449a-558e-71ea-ba8f-106d7b265036'"]


values = st.text(max_size=20)
names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}(\.[a-z0-9_]{1,5})?", fullmatch=True)
strings = values.map(lambda text: fql.Value(fql.ValueKind.STRING, text))
terms = st.builds(
    lambda name, operator, items, one: fql.Term(name, operator, tuple(items[:1] if one else items), not one),
    names,
    st.sampled_from(list(fql.Operator)),
    st.lists(strings, min_size=1, max_size=3),
    st.booleans(),
)


def _joined(children: st.SearchStrategy[fql.Node]) -> st.SearchStrategy[fql.Node]:
    several = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.one_of(several.map(fql.And), several.map(fql.Or), children.map(fql.Not))


@settings(max_examples=300, deadline=None)
@given(st.recursive(terms, _joined, max_leaves=8))
def test_any_filter_survives_printing(node: fql.Node) -> None:
    assert fql.parse(fql.to_text(node)) == node


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_either_parsed_or_refused_with_a_place_inside_it(text: str) -> None:
    start, end = refused_at(text)
    assert 0 <= start <= end <= len(text) + 1
