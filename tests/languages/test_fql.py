import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.evals.lab import sql_fql
from tracehound.evals.lab.runnable import unsupported
from tracehound.evals.lab.sql import QueryRejectedError
from tracehound.evals.lab.tables import tables as lab_tables
from tracehound.tools.languages import Language, fql
from tracehound.tools.languages.fql.schema import COLLECTIONS, lookup, tables
from tracehound.tools.languages.syntax import QuerySyntaxError

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
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
    ("text", "place", "hint"),
    [
        ("status:'new' AND severity:>1", "AND", "write + for and"),
        ("status:'new' or x:'y'", "or", "write , for or, in brackets"),
        ("NOT status:'new'", "NOT", "write ! before the value"),
        ("hostname in ('a','b')", "hostname", "write a list: hostname:['a','b']"),
        ("hostname like 'a'", "hostname", "write hostname:*'*text*'"),
        ("status:new", "new", "write 'new'"),
        ("hostname:WS-042", "WS-042", "write 'WS-042'"),
        ("ip:10.0.0.1", "10.0.0.1", "write '10.0.0.1'"),
        ("created:>now-7d+a:'b'", "now-7d", "write 'now-7d'"),
        ("created:<now+7d", "now+7d", "write 'now+7d'"),
        ("seen:True", "True", "write true"),
        ("severity:60-80", "60-80", "write severity:>=60+severity:<=80"),
        ("pattern_id:123*", "123*", "write '123*'"),
        ("hostname:*", "*", "write hostname:!'' for any value"),
        ("status:'new", "'new", None),
        (r"filepath:'C:\Temp\'", r"'C:\Temp\'", "a backslash before the closing quote is written twice"),
        ("name:'it's'", "s", r"a quote inside a value is written \'"),
        ("status:\u2018new\u2019", "\u2018", "write straight quotes: '"),
        ("(status:'new'", "(", "add )"),
        ("status:'new')", ")", "no bracket is open here"),
        ("tags:['a'", "[", "add ]"),
        ("tags:['a' 'b']", "'", "separate the values of a list with ,"),
        ("tags:[]", "[]", "property:!'' means any value"),
        ("tags:['a',]", "]", None),
        ("status:'ACTIVE'%2Btype:'x'", "%", "write the filter itself; encoding it is the client's work"),
        ("filter=status:'new'", "filter", "write the filter alone; filter= belongs to the address"),
        ("status:'new'&limit=5", "&", "write + for and; limit, sort and offset are parameters of the call"),
        ("#event_simpleName=ProcessRollup2", "#", "this looks like CQL, which searches raw events; "
         "FQL filters alerts, hosts and other entities"),
        ("severity:=<5", "=<", "write <="),
        ("severity:==5", "==", "equality has no sign: property:'value'"),
        ("hostname='a'", "hostname", "write hostname:'value'"),
        ("hostname!='a'", "hostname", "write hostname:!'value'"),
        ("name:!*'x'", "!*", "a negated pattern is written !'*text*'"),
        ("hostname", "hostname", "write property:'value'"),
        ("status:'new'. See the guide", ".", "end the filter here; prose does not belong to it"),
        ("a:'1'+", "", "a condition is missing behind +"),
        ("", "", None),
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_with_its_place(text: str, place: str, hint: str | None) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        fql.parse(text)
    assert (text[caught.value.start : caught.value.end], caught.value.hint) == (place, hint)


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
        ("status:'New'", "alerts", [("warning", "silent_zero"), ("error", "bad_value")]),
        ("status:'contained'", "alerts", [("error", "bad_value")]),
        ("status:'contained'", None, []),
        ("status:'bogus'", None, [("warning", "bad_value")]),
        ("Status:'new'", "alerts", [("info", "silent_zero")]),
        ("base_command:'ps'+offline_queued:true", None, []),
        ("base_command:'ps'", "hosts", [("error", "unknown_column")]),
        ("severity:'high'", "alerts", [("error", "bad_value")]),
        ("severity:'much'", "alerts", [("error", "type_mismatch")]),
        ("severity_name:70", "alerts", [("warning", "silent_zero"), ("error", "bad_value")]),
        ("severity_name:>='High'", "alerts", [("error", "bad_operator")]),
        ("severity:4", "alerts", [("warning", "silent_zero")]),
        ("severity:>100", "alerts", [("warning", "silent_zero")]),
        ("severity:<=100", "alerts", []),
        ("severity:>=60", "alerts", []),
        ("severity:~'6'", "alerts", [("error", "bad_operator")]),
        ("pattern_id:'123*'", "alerts", []),
        ("cmdline:>'x'", "alerts", [("error", "bad_operator")]),
        ("tags:'*positive*'", "alerts", [("warning", "silent_zero")]),
        ("tags:~'positive'", "alerts", [("warning", "silent_zero")]),
        ("tags:['true_positive']", "alerts", []),
        ("data_domains:'endpoint'", "alerts", [("warning", "silent_zero"), ("error", "bad_value")]),
        ("created_timestamp:'2024-01*'", "alerts", [("warning", "silent_zero")]),
        ("created_timestamp:*'2024*'", "alerts", [("warning", "silent_zero")]),
        ("created_timestamp:'2024-01-31'", "alerts", [("warning", "silent_zero")]),
        ("created_timestamp:'now-7d'", "alerts", [("warning", "silent_zero")]),
        ("created_timestamp:>'now'", "alerts", [("warning", "silent_zero")]),
        ("created_timestamp:~'2024'", "alerts", [("error", "bad_operator")]),
        ("created_timestamp:>'yesterday'", "alerts", [("error", "bad_value")]),
        ("created_timestamp:>'2026-13-01'", "alerts", [("error", "bad_value")]),
        ("created_timestamp:>'NOW-7D'", "alerts", [("error", "bad_value")]),
        ("created_timestamp:>1704067200", "alerts", [("error", "type_mismatch")]),
        ("created_timestamp:>'now-7d'", "alerts", []),
        ("created_timestamp:>'2021-10-12T03'", "alerts", []),
        ("created_date:>1753022288", "intel", []),
        ("show_in_ui:'true'", "alerts", [("error", "type_mismatch")]),
        ("assigned_to_name:!'*'", "alerts", []),
        ("assigned_to_name:['Ann']", "alerts", [("info", "silent_zero")]),
        ("assigned_to_name:['Ann','Bob']", "alerts", []),
        ("user_name:['adm*','svc*']", "alerts", [("warning", "silent_zero")]),
        ("technique:'T1003.001'", "alerts", [("warning", "silent_zero")]),
        ("technique_id:'t1003'", "alerts", [("warning", "silent_zero")]),
        ("filename:'C:\\\\Windows\\\\cmd.exe'", "alerts", [("warning", "silent_zero")]),
        ("device.local_ip:'10.0.0.0/8'", "alerts", [("warning", "silent_zero")]),
        ("device.local_ip:'10.0.*'", "alerts", []),
        ("device.platform_name:'windows'", "alerts", [("warning", "silent_zero")]),
        ("sha256:'ABCDEF'", "alerts", [("warning", "silent_zero")]),
        ("device.hostname:'WS%'", "alerts", [("warning", "silent_zero")]),
        ("cmdline:'*%TEMP%*'", "alerts", []),
        ("device.hostname:' WS-042'", "alerts", [("warning", "silent_zero")]),
        ("status:'new'+status:'closed'", "alerts", [("warning", "silent_zero")]),
        ("tags:'a'+tags:'b'", "alerts", []),
        ("hostname:'*mid*'", "hosts", [("warning", "silent_zero")]),
        ("hostname:'WS-*-01'", "hosts", [("warning", "silent_zero")]),
        ("hostname:*'*mid*'", "hosts", []),
        ("hostname:'PC*'", "hosts", []),
        ("hostname:'*'", "hosts", [("warning", "silent_zero")]),
        ("hostname:!~'pc'", "hosts", [("error", "bad_operator")]),
        ("local_ip:'10.1.*'", "hosts", [("warning", "silent_zero")]),
        ("local_ip.raw:*'10.1.*'", "hosts", []),
        ("tags:'Quarantined'", "hosts", [("warning", "silent_zero")]),
        ("tags:'FalconGroupingTags/Quarantined'", "hosts", []),
        ("platform_name:>'a'", "hosts", [("error", "bad_operator")]),
        ("platform_name:'windows'", "hosts", [("warning", "silent_zero")]),
        ("status:'Contained'", "hosts", [("warning", "silent_zero"), ("error", "bad_value")]),
        ("cve.id:'CVE-2024-38112'", "vulnerabilities", [("warning", "silent_zero")]),
        ("cve.id:['CVE-2024-38112']", "vulnerabilities", []),
        ("cve.severity:'High'", "vulnerabilities", [("warning", "silent_zero"), ("error", "bad_value")]),
        ("cve.severity:'7.5'", "vulnerabilities", [("warning", "silent_zero"), ("error", "bad_value")]),
        ("cve.base_score:>10", "vulnerabilities", [("warning", "silent_zero")]),
        ("aid:'abc*'", "vulnerabilities", [("error", "bad_operator")]),
        ("status:~'open'", "vulnerabilities", [("error", "bad_operator")]),
        ("name:~'x'", "cases", [("warning", "silent_zero")]),
        ("name:'*x*'", "cases", [("warning", "silent_zero")]),
        ("name:*'*x*'", "cases", []),
        ("severity:'High'", "cases", [("error", "bad_value")]),
        ("value:'*evil*'", "iocs", [("info", "silent_zero")]),
        ("value:*'*evil*'", "iocs", []),
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


@pytest.mark.parametrize(
    ("text", "collection", "hint"),
    [
        ("severity:'High'", "alerts", "write severity_name:'High' or severity:>=60+severity:<80"),
        ("severity:>'High'", "alerts", "write severity:>80"),
        ("severity_name:70", "alerts", "write severity_name:'High', or compare severity:>=70"),
        ("severity_name:>='High'", "alerts", "compare severity instead: severity:>=60"),
        ("cve.severity:'7.5'", "vulnerabilities", "write cve.severity:'HIGH', or compare cve.base_score:>=7.5"),
        ("created_timestamp:>'NOW-7D'", "alerts", "write 'now-7d'"),
        ("created_timestamp:>'last 2 days'", "alerts", "write 'now-2d'"),
        ("created_timestamp:>'3 weeks ago'", "alerts", "write 'now-21d'"),
        ("created_timestamp:>'2026-01-31 10:00:00'", "alerts", "write '2026-01-31T10:00:00'"),
        ("created_timestamp:>1704067200", "alerts", "write '2024-01-01T00:00:00Z' or 'now-7d'"),
        (
            "created_timestamp:'2024-12-31'",
            "alerts",
            "created_timestamp:>='2024-12-31'+created_timestamp:<'2025-01-01'",
        ),
        ("hostname:'*mid*'", "hosts", "hostname:*'*mid*'"),
        ("name:'*mid*'", "cases", "name:*'*mid*'"),
        ("name:~'mid'", "cases", "name:*'*mid*'"),
        ("tags:~'mid'", "alerts", "tags:'mid'"),
        ("aid:'1'", "hosts", "did you mean device_id?"),
        ("device_id:'1'", "vulnerabilities", "did you mean aid?"),
        ("max_severity_displayname:'High'", "alerts", "did you mean severity_name?"),
        ("hostname:'WS-1'", "alerts", "did you mean device.hostname?"),
        ("status:'new'+status:'closed'", "alerts", "for either of them write status:['new','closed']"),
    ],
)
def test_a_hint_says_what_to_write(text: str, collection: str, hint: str) -> None:
    assert hint in [item.hint for item in fql.check(text, collection).diagnostics]


def test_both_readings_of_mixed_joiners_are_shown() -> None:
    (found,) = [item for item in fql.check("a:1+b:2,c:3+d:4,e:5").diagnostics if item.code == "ambiguous"]
    assert (found.start, found.end) == (0, 15)
    assert found.hint is not None
    assert found.hint == "write (a:1+b:2),(c:3+d:4),e:5 as it is read here, or a:1+(b:2,c:3)+(d:4,e:5)"
    for reading in found.hint.removeprefix("write ").split(" as it is read here, or "):
        assert not [item for item in fql.check(reading).diagnostics if item.code == "ambiguous"]


SILENT = [
    ("status:'New'", "status:'new'", "alerts"),
    ("tags:~'true positive'", "tags:'true_positive'", "alerts"),
    ("tags:'true*'", "tags:['true_positive']", "alerts"),
    ("timestamp:'2026-03*'", "timestamp:>='2026-03-01'", "alerts"),
    ("timestamp:'2026-03-02'", "timestamp:>='2026-03-02'+timestamp:<'2026-03-03'", "alerts"),
    ("severity_name:70", "severity:>=70", "alerts"),
    ("severity:4", "severity:>=60", "alerts"),
    ("severity:>100", "severity:<=100", "alerts"),
    ("user_name:['adm*']", "user_name:'adm*'", "alerts"),
    ("technique:'T1003.001'", "technique_id:'T1003.001'", "alerts"),
    ("filename:'C:\\\\Windows\\\\cmd.exe'", "filepath:'C:\\\\Windows\\\\cmd.exe'", "alerts"),
    ("device.local_ip:'10.20.0.0/16'", "device.local_ip:'10.20.*'", "alerts"),
    ("device.hostname:'WS%'", "device.hostname:'WS*'", "alerts"),
    ("device.platform_name:'windows'", "device.platform_name:'Windows'", "alerts"),
    ("hostname:'*S-0*'", "hostname:*'*S-0*'", "hosts"),
    ("hostname:'W*42'", "hostname:'*42'", "hosts"),
    ("hostname:['WS*']", "hostname:'WS*'", "hosts"),
    ("hostname:'*'", "hostname:!''", "hosts"),
    ("local_ip:'10.20.*'", "local_ip.raw:*'10.20.*'", "hosts"),
    ("external_ip:'203.0.113.*'", "external_ip:>='203.0.113.0'+external_ip:<='203.0.113.255'", "hosts"),
    ("tags:'Blue'", "tags:'FalconGroupingTags/Blue'", "hosts"),
    ("platform_name:'windows'", "platform_name:'Windows'", "hosts"),
    ("cve.id:'CVE-2026-1'", "cve.id:['CVE-2026-1']", "vulnerabilities"),
    ("cve.severity:'High'", "cve.severity:'HIGH'", "vulnerabilities"),
]
RECORDS = {
    "alerts": {
        "status": "new", "tags": '["true_positive"]', "timestamp": "2026-03-02 11:00", "severity_name": "High",
        "severity": "70", "user_name": "administrator", "technique": "LSASS Memory", "technique_id": "T1003.001",
        "filename": "cmd.exe", "filepath": r"C:\Windows\cmd.exe", "device.local_ip": "10.20.1.42",
        "device.hostname": "WS-042", "device.platform_name": "Windows",
    },
    "hosts": {
        "hostname": "WS-042", "local_ip": "10.20.1.42", "external_ip": "203.0.113.66",
        "tags": '["FalconGroupingTags/Blue"]', "platform_name": "Windows",
    },
    "vulnerabilities": {"cve.id": "CVE-2026-1", "cve.severity": "HIGH"},
}  # fmt: skip
TYPES = {"severity": "INTEGER", "timestamp": "TIMESTAMP"}


@pytest.mark.parametrize(("text", "instead", "collection"), SILENT)
def test_the_lab_answers_a_silent_zero_with_nothing_and_the_better_filter_with_the_record(
    text: str, instead: str, collection: str
) -> None:
    record = RECORDS[collection]
    columns = {name: TYPES.get(name, "VARCHAR") for name in record}

    def count(filter_text: str) -> int:
        clause = sql_fql.where(filter_text, collection, columns, NOW)
        held = ", ".join(f'CAST(? AS {kind}) AS "{name}"' for name, kind in columns.items())
        sql = f"SELECT count(*) FROM (SELECT {held}) WHERE {clause.sql}"
        with duckdb.connect() as database:
            return int(database.execute(sql, [*record.values(), *clause.values]).fetchall()[0][0])

    assert "silent_zero" in [code for _, code in codes(text, collection)]
    assert "silent_zero" not in [code for _, code in codes(instead, collection)]
    assert (count(text), count(instead)) == (0, 1)


@pytest.mark.parametrize(
    ("collection", "table"),
    [("alerts", "falcon_alerts"), ("hosts", "falcon_devices"), ("vulnerabilities", "falcon_vulnerabilities")],
)
def test_every_operator_on_every_property_runs_in_the_lab_or_is_refused(collection: str, table: str) -> None:
    columns = {name: kind for name, kind in lab_tables()[table].items() if name != "document"}
    values = ["'10.0.0.1'", "'*a*'", "''", "-1.5", "true", "null", "'9999-12-31'", "['a','*']"]
    ran = refused = 0
    with duckdb.connect() as database:
        database.execute("CREATE TABLE t (" + ", ".join(f'"{name}" {kind}' for name, kind in columns.items()) + ")")
        database.execute(f"INSERT INTO t VALUES ({', '.join(['NULL'] * len(columns))})")
        for name in [*columns, "unknown"]:
            for operator in fql.Operator:
                for value in values:
                    try:
                        clause = sql_fql.where(f"{name}:{operator}{value}", collection, columns, NOW)
                    except QueryRejectedError:
                        refused += 1
                        continue
                    database.execute(f"SELECT count(*) FROM t WHERE {clause.sql}", list(clause.values))
                    ran += 1
    assert ran > 400
    assert refused > 200


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_the_lab_says_which_collections_it_does_not_hold(collection: str) -> None:
    text = "created_timestamp:>'now-7d'" if collection in ("alerts", "vulnerabilities", "cases") else "cid:!''"
    lacking = unsupported(Language.FQL, text if fql.check(text, collection).ok else "type:!''", collection)
    assert (lacking is None) is (collection in ("alerts", "hosts", "vulnerabilities"))
    assert unsupported(Language.FQL, text) is None
    assert unsupported(Language.FQL, "no filter", collection) is None


def test_ten_thousand_mutated_filters_get_a_verdict_with_places_inside_them() -> None:
    draw = random.Random(20261124)
    pieces = [*"'\"\\*~!<>=:+,()[]%.-", "now-7d", "AND ", "null", "true", "severity", "\u2019", "\n", "9", "-", "\0"]
    filters = [text for silent in SILENT for text in silent[:2]]
    for _ in range(10_000):
        text = draw.choice(filters)
        for _ in range(draw.randrange(1, 6)):
            at, until = sorted(draw.randrange(len(text) + 1) for _ in range(2))
            text = text[:at] + draw.choice(pieces) + text[at if draw.random() < 0.6 else until :]
        verdict = fql.check(text, draw.choice([None, *COLLECTIONS]))
        assert verdict.ok is not any(item.severity == "error" for item in verdict.diagnostics)
        assert all(0 <= item.start <= item.end <= len(text) + 1 for item in verdict.diagnostics), text


def test_five_thousand_checks_a_second() -> None:
    """Typical filters, on a loaded machine still far from the floor."""
    filters = [text.replace("042", f"{number:03d}") for number in range(40) for text, _, _ in SILENT]
    started = process_time()
    for text in filters:
        fql.check(text, "alerts")
    assert len(filters) / (process_time() - started) > 5_000


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


@settings(max_examples=150, deadline=None)
@given(st.recursive(terms, _joined, max_leaves=8))
def test_any_filter_survives_printing(node: fql.Node) -> None:
    assert fql.parse(fql.to_text(node)) == node


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_either_parsed_or_refused_with_a_place_inside_it(text: str) -> None:
    start, end = refused_at(text)
    assert 0 <= start <= end <= len(text) + 1
