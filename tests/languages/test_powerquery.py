import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.knowledge.errors import QueryError, UnsafeValueError
from tracehound.tools.languages import powerquery, s1ql
from tracehound.tools.languages.powerquery import Call, Compare, Field, Named, Operator, Value, ValueKind
from tracehound.tools.languages.powerquery.functions import AGGREGATES, SCALARS
from tracehound.tools.languages.powerquery.printer import KEYWORDS
from tracehound.tools.languages.powerquery.schema import by_older_name, fields
from tracehound.tools.languages.syntax import QuerySyntaxError
from tracehound.tools.languages.views import all_views


def refused_at(text: str) -> tuple[int, int]:
    try:
        powerquery.parse(text)
    except QuerySyntaxError as error:
        return error.start, error.end
    return 0, 0


def codes(text: str) -> list[tuple[str, str]]:
    return [(item.severity, item.code) for item in powerquery.check(text).diagnostics]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("tgt.process.name = 'a'", 'tgt.process.name = "a"'),
        ("a.b=='x' && c != 4 || !d", '((a.b = "x" and c != 4) or not (d))'),
        ("a contains:anycase ('x','y') b = *", 'a contains:anycase ("x", "y") and b = *'),
        (
            "a CONTAINS:MATCHCASE 'x' AND NOT b IN ('x', 5, true)",
            'a contains:matchcase "x" and not (b in ("x", 5, true))',
        ),
        ("a !contains 'x' and b not in ('y') and c != *", 'not (a contains "x") and not (b in ("y")) and !(c = *)'),
        (r"a matches '^C:\\\\Temp\\\\.*\\.tmp$'", r'a matches "^C:\\\\Temp\\\\.*\\.tmp$"'),
        (r'a = "say \"hi\"" or b = "C:\Temp"', r'(a = "say \"hi\"" or b = "C:\\Temp")'),
        ('"free text" * contains:anycase "x"', '"free text" and * contains:anycase "x"'),
        ("| group count() by event.type // the rest", "| group count() by event.type"),
        ("filter a = 1 | limit 1_000", "| filter a = 1 | limit 1000"),
        (
            "a = * | group n = count(), \"Distinct hosts\"=estimate_distinct(b) by c, t=timebucket(d, '1h') "
            "| filter n >= 3 | sort -n, +c | columns c, n | limit 5",
            'a = * | group n=count(), "Distinct hosts"=estimate_distinct(b) by c, t=timebucket(d, "1h") '
            "| filter n >= 3 | sort -n, c | columns c, n | limit 5",
        ),
        ("| let x = a ? b : (c + 1) * -2, y = count(d = 'e')", '| let x=(a ? b : ((c + 1) * -2)), y=count(d = "e")'),
        ("a = 1 | savelookup 'hosts', 'merge'", 'a = 1 | savelookup "hosts", "merge"'),
    ],
)
def test_canonical_text_reads_back(text: str, printed: str) -> None:
    query = powerquery.parse(text)
    assert powerquery.to_text(query) == printed
    assert powerquery.parse(printed) == query


@pytest.mark.parametrize(
    ("text", "place", "code", "hint"),
    [
        ("", "", "syntax", None),
        ("* | limit 5", "*", "syntax", "begin with |"),
        ('a = "x', '"x', "syntax", None),
        ('(a = "x"', "(", "syntax", "add )"),
        ('a in ("x"', "(", "syntax", "add )"),
        ('a in "x"', '"x"', "syntax", 'in ("a", "b")'),
        ('a contains:anycasee "x"', "contains:anycasee", "syntax", "did you mean contains:anycase?"),
        ('a in anycase ("x")', "in anycase", "syntax", "write in:anycase"),
        ('TgtProcName ContainsCIS "x"', "ContainsCIS", "syntax", "write contains:anycase"),
        ('TgtProcName RegExp "x"', "RegExp", "syntax", "write matches"),
        ('a like "x"', "like", "syntax", "write contains:anycase or matches"),
        ("a is not empty", "is", "syntax", "write field = * or !(field = *)"),
        ("a = 1 sort -a", "sort", "syntax", None),
        ("a = 1 | sort a desc", "desc", "syntax", "write sort -a"),
        ("a = 1 | limit many", "many", "syntax", "limit 100"),
        ("a = 1 | columns 'a'", "'a'", "syntax", "fields are written without quotes"),
        ("a = 1 | let b", "b", "syntax", "write name=..."),
        ("a = 1 | group by b", "by", "syntax", "write group n=count() by"),
        ("a = 1 |", "", "syntax", "commands: filter, columns, let, group, sort, limit"),
        ("a in (b = 1 | columns c)", "b", "unknown_function", None),
        ("a = 1 | join (b = 1) on c", "join", "unknown_function", "supported: filter"),
        ("join (b = 1), (c = 1) on d", "join", "unknown_function", "supported: filter"),
        ("a = 1 | parse 'x $y$' from b", "parse", "unknown_function", "supported: filter"),
        ("a = 1 | union (b = 1)", "union", "unknown_function", "supported: filter"),
        ("a = 1 | transpose b", "transpose", "unknown_function", "supported: filter"),
        ("| dataset 'config://datatables/x'", "dataset", "unknown_function", "supported: filter"),
        ("a = 1 | where b = 2", "where", "unknown_function", "write filter"),
        ("a = 1 | grop n=count()", "grop", "unknown_function", "did you mean group?"),
        ("#cmdline contains 'x'", "#cmdline", "unknown_function", "name the field"),
        ("a = 1 | filter $'x'", "$", "unknown_function", "write message matches"),
    ],
)
def test_what_the_subset_lacks_is_refused_by_name_and_place(text: str, place: str, code: str, hint: str | None) -> None:
    verdict = powerquery.check(text)
    (found,) = verdict.diagnostics
    assert text[found.start : found.end] == place
    assert (found.code, found.severity) == (code, "error")
    assert (found.hint or "").startswith(hint or "")
    assert not verdict.ok
    assert not verdict.read_only


def test_deep_nesting_is_refused_and_does_not_overflow() -> None:
    for text in (
        "(" * 5000 + "a = 1" + ")" * 5000,
        "!" * 5000 + "a = 1",
        "| let a=" + "-" * 5000 + "b",
        "| let a=f(" * 999,
    ):
        assert ("error", "too_complex") in codes(text) or ("error", "syntax") in codes(text)
    assert codes("| let a=" + "1 ? 2 : " * 5000 + "3") == [("error", "too_complex")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('event.type = "Process Creation" and tgt.process.name contains:anycase "x" | limit 5', []),
        ('tgt.process.name contains "x"', [("warning", "silent_zero")]),
        ('Tgt.Process.Name = "x"', [("error", "unknown_column")]),
        ('event.type = "ModuleLoad"', [("error", "bad_value")]),
        ('event.type = "process creation"', [("warning", "silent_zero")]),
        ('event.type in:anycase ("process creation")', []),
        ('event.type contains:anycase "creation"', []),
        ('event.type contains:anycase "craetion"', [("warning", "silent_zero")]),
        ('event.category = "File"', []),
        ("dst.port.number = 443 and dst.port.number > 1_000", []),
        ('dst.port.number in (443, "445")', [("warning", "type_mismatch")]),
        ('dst.port.number = "https"', [("error", "type_mismatch")]),
        ('dst.port.number contains:anycase "4"', [("error", "bad_operator")]),
        ('tgt.process.name > "a"', [("error", "bad_operator")]),
        ("tgt.process.name = 5", [("warning", "type_mismatch")]),
        ("src.process.crossProcessCount contains:anycase 4", [("warning", "bad_operator")]),
        ('event.time > "yesterday"', [("error", "bad_value")]),
        ('event.time >= "2026-01-01T00:00:00Z"', []),
        ("event.login.loginIsSuccessful = true", []),
        ('event.login.isAdministratorEquivalent = "perhaps"', [("error", "type_mismatch")]),
        ('tgt.process.cmdline matches "("', [("error", "bad_value")]),
        ('tgt.process.cmdline matches "a(?!b)"', [("warning", "bad_value")]),
        (r'tgt.file.path contains:anycase "C:\Temp"', [("warning", "ambiguous")]),
        (r'tgt.file.path contains:anycase "C:\\Temp"', []),
        ("registry.value = null", [("warning", "silent_zero")]),
        ("| let x=registry.value | filter x = null", []),
        ('tgt.process.name = "a" or endpoint.os = "linux" and dst.port.number = 1', [("warning", "ambiguous")]),
        ('tgt.process.name = "a" or (endpoint.os = "linux" and dst.port.number = 1)', []),
        ("powershell", [("error", "unknown_column")]),
        ('"powershell" | filter "x"', [("error", "bad_operator")]),
        ('* contains:anycase "x" | filter * contains:anycase "y"', [("error", "bad_operator")]),
        ("| group n=count() by endpoint.name | filter n > 3 | sort -n, endpoint.name", []),
        ("| group count() by endpoint.name | sort -count", []),
        ('| group n=count() by endpoint.name | filter src.ip.address = "1"', [("error", "unknown_column")]),
        (
            "| columns endpoint.name, p=dst.port.number | filter p > 5 | sort -dst.port.number",
            [("error", "unknown_column")],
        ),
        ("| group n=count(), endpoint.name by src.ip.address", [("error", "bad_operator")]),
        ("| group r=count(dst.port.number = 443) / count() by endpoint.name", []),
        ("| let n=count()", [("error", "bad_operator")]),
        ("| let x=coalesce(registry.value, registry.oldValue)", [("error", "unknown_function")]),
        ("| group x=pct(95), y=sum()", [("error", "type_mismatch"), ("error", "type_mismatch")]),
        ('tgt.process.name = "*.exe"', [("warning", "silent_zero")]),
        ('tgt.process.name = "*"', [("warning", "silent_zero")]),
        ('tgt.process.cmdline contains:anycase "SELECT * FROM" and tgt.process.cmdline matches "a.*"', []),
        ("event.category = process", [("error", "unknown_column")]),
        ("| group count() by endpoint.name | sort -count(), endpoint.name", []),
        (
            'dataSource.name = "Okta" actor.alternateId = * | group n=count() by actor.alternateId',
            [("warning", "unknown_column"), ("warning", "unknown_column")],
        ),
        ('dataSource.name = "SentinelOne" actor.alternateId = *', [("error", "unknown_column")]),
        ('filter( event.type == "IP Connect" AND endpoint.name contains:anycase("H") ) | limit 5', []),
        ("| let x=lower(registry.value) + 1", [("error", "type_mismatch")]),
    ],
)
def test_what_the_data_lake_would_answer_silently_is_found(text: str, expected: list[tuple[str, str]]) -> None:
    assert codes(text) == expected


def test_hints_name_the_right_field_value_and_function() -> None:
    hints = {
        'TgtProcName = "x"': "TgtProcName is the S1QL 1.0 name of tgt.process.name",
        "event.category = process": 'write "process"',
        'CmdLine = "x"': "CmdLine is the S1QL 1.0 name of src.process.cmdline",
        'tgt.process.nmae = "x"': "did you mean tgt.process.name?",
        'event.type = "ModuleLoad"': "did you mean Module Load?",
        "| let x=if(registry.value, 1, 2)": "write condition ? a : b, and count(condition) in a group",
        "| let x=lowre(registry.value)": "did you mean lower?",
        "| group n=count() by endpoint.name | sort -m": "columns here: endpoint.name, n",
    }
    assert {text: powerquery.check(text).diagnostics[0].hint for text in hints} == hints


def test_a_query_that_stores_rows_is_not_read_only_and_is_not_sent() -> None:
    for text in ('event.type = "Login" | savelookup "t"', "| columns endpoint.name | savelookup t, 'merge' | limit 5"):
        verdict = powerquery.check(text)
        assert verdict.ok
        assert not verdict.read_only
        assert not verdict.sendable
        assert [item.code for item in verdict.diagnostics] == ["not_read_only"]
    assert powerquery.check('tgt.process.cmdline contains:anycase "| savelookup t"').sendable


def test_collections_and_sizes() -> None:
    assert powerquery.check("| limit 5", "events").sendable
    assert codes("| limit 5") == []
    assert not powerquery.check("| limit 5", "alerts").ok
    many = ", ".join(f'"{number:050}"' for number in range(200))
    assert codes(f"tgt.process.name in ({many})") == [("warning", "too_complex")]


@pytest.mark.parametrize(
    ("older", "newer", "losses"),
    [
        ('TgtProcName = "a" AND DstPort != "445"', 'tgt.process.name = "a" and dst.port.number != 445', 0),
        ('TgtProcName Contains "a"', 'tgt.process.name contains:matchcase "a"', 0),
        ('TgtProcName ContainsCIS "a"', 'tgt.process.name contains:anycase "a"', 0),
        ('TgtProcName Contains Anycase "a"', 'tgt.process.name contains:anycase "a"', 0),
        ('TgtProcName Does Not ContainCIS "a"', 'not (tgt.process.name contains:anycase "a")', 0),
        ('TgtProcName In Contains ("a", "b")', 'tgt.process.name contains:matchcase ("a", "b")', 0),
        ('TgtProcName In Contains Anycase ("a", "b")', 'tgt.process.name contains:anycase ("a", "b")', 0),
        ('TgtProcName In Anycase ("a")', 'tgt.process.name in:anycase ("a")', 0),
        ('TgtProcName Not In ("a")', 'not (tgt.process.name in ("a"))', 0),
        ('NOT TgtProcName In ("a")', 'not (tgt.process.name in ("a"))', 0),
        ('TgtFilePath StartsWithCIS "C:\\a."', r'tgt.file.path matches "^C:\\\\a\\."', 0),
        ('TgtFilePath StartsWith "C:\\a."', r'tgt.file.path matches "^C:\\\\a\\."', 1),
        ('TgtFilePath EndsWith Anycase ".tmp"', r'tgt.file.path matches "\\.tmp$"', 0),
        ('TgtFilePath EndsWith ".tmp"', r'tgt.file.path matches "\\.tmp$"', 1),
        (r'TgtFilePath RegExp "(?i)\\a\d"', r'tgt.file.path matches "\\\\a\\d"', 0),
        (r'TgtFilePath RegExp "\\a\d"', r'tgt.file.path matches "\\\\a\\d"', 1),
        ("TgtFilePath Is Empty", "!(tgt.file.path = *)", 0),
        ("TgtFilePath Is Not Empty OR TgtFileOldPath Exists", "(tgt.file.path = * or tgt.file.oldPath = *)", 0),
        ("DstPort Between 1 AND 1024", "dst.port.number >= 1 and dst.port.number <= 1024", 0),
        ("LoginIsSuccessful Is False", "event.login.loginIsSuccessful = false", 0),
        ('ProcessCmd = "x"', 'src.process.cmdline = "x"', 0),
        (r'TgtProcCmdLine Contains "C:\x "y""', r'tgt.process.cmdline contains:matchcase "C:\\x \"y\""', 0),
    ],
)
def test_s1ql_1_0_is_translated_with_its_case_rules(older: str, newer: str, losses: int) -> None:
    compiled = powerquery.from_s1ql(older)
    assert (compiled.text, len(compiled.cannot_express)) == (newer, losses)
    assert powerquery.check(compiled.text).diagnostics == ()
    assert powerquery.from_s1ql(s1ql.parse(older)) == compiled


def test_a_translation_says_what_it_cannot_do() -> None:
    with pytest.raises(QueryError, match="no known name for NamedPipeAccessMode"):
        powerquery.from_s1ql('NamedPipeAccessMode = "x"')
    with pytest.raises(UnsafeValueError, match="control characters"):
        powerquery.from_s1ql('TgtProcName = "a\nb"')
    strict = powerquery.from_s1ql(r'TgtProcCmdLine Contains "C:\\x\"y"', s1ql.Quoting.ESCAPED)
    assert strict.text == r'tgt.process.cmdline contains:matchcase "C:\\x\"y"'


def test_published_queries_translate_into_right_ones(corpora: Path) -> None:
    lines = [json.loads(line) for line in (corpora / "s1ql" / "strings.jsonl").read_text("utf-8").splitlines()]
    for line in lines:
        text = powerquery.from_s1ql(line["query"]).text
        verdict = powerquery.check(text)
        assert verdict.sendable, (text, verdict.diagnostics)
        assert powerquery.to_text(powerquery.parse(text)) == text


def test_every_field_of_a_view_has_a_name_there() -> None:
    for view in all_views():
        if view.language == "s1ql":
            for name in (*view.select, *(attribute.field for attribute in view.attributes.values())):
                assert by_older_name()[name.lower()] in fields()


words = st.text(max_size=12)
names = st.from_regex(r"[a-z][a-zA-Z0-9]{1,6}(\.[a-zA-Z0-9]{1,6}){0,2}", fullmatch=True).filter(
    lambda name: name.lower() not in KEYWORDS
)
strings = words.map(lambda text: Value(ValueKind.STRING, text))
numbers = st.integers(-9, 10**9).map(lambda number: Value(ValueKind.NUMBER, str(number)))
literals = st.one_of(
    strings, numbers, st.just(Value(ValueKind.BOOLEAN, "true")), st.just(Value(ValueKind.NULL, "null"))
)
columns = names.map(Field)
values = st.recursive(
    st.one_of(columns, literals),
    lambda inner: st.one_of(
        st.builds(powerquery.Arithmetic, st.sampled_from("+-*/%"), columns, inner),
        st.builds(lambda name, arguments: Call(name, tuple(arguments)), names, st.lists(inner, max_size=3)),
        st.builds(powerquery.Choice, columns, inner, inner),
    ),
    max_leaves=4,
)
comparisons = st.one_of(
    st.builds(Compare, columns, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), values),
    st.builds(
        lambda subject, operator, several: powerquery.Test(subject, operator, tuple(several)),
        columns,
        st.sampled_from(list(Operator)),
        st.lists(literals, min_size=1, max_size=3),
    ),
    columns.map(powerquery.Present),
    words.map(powerquery.FreeText),
)


def _joined(children: st.SearchStrategy[powerquery.Expression]) -> st.SearchStrategy[powerquery.Expression]:
    parts = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.one_of(parts.map(powerquery.And), parts.map(powerquery.Or), children.map(powerquery.Not))


conditions = st.recursive(comparisons, _joined, max_leaves=6)
items = st.lists(st.builds(Named, values, words.filter(bool)), min_size=1, max_size=3).map(tuple)
commands = st.one_of(
    conditions.map(powerquery.Filter),
    items.map(powerquery.Columns),
    items.map(powerquery.Let),
    st.builds(powerquery.Group, items, st.one_of(st.just(()), items)),
    st.builds(powerquery.Key, columns, st.booleans()).map(lambda key: powerquery.Sort((key,))),
    st.integers(1, 9999).map(powerquery.Limit),
)


@settings(max_examples=300, deadline=None)
@given(
    st.builds(powerquery.Query, st.one_of(st.none(), conditions), st.lists(commands, min_size=1, max_size=3).map(tuple))
)
def test_any_query_survives_printing_or_is_refused(query: powerquery.Query) -> None:
    try:
        text = powerquery.to_text(query)
    except UnsafeValueError:
        return
    assert powerquery.parse(text) == query


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_either_parsed_or_refused_with_a_place_inside_it(text: str) -> None:
    start, end = refused_at(text)
    assert 0 <= start <= end <= len(text) + 1


def test_the_checks_and_the_language_name_the_same_functions() -> None:
    for name in (*SCALARS, *AGGREGATES):
        assert powerquery.parse(f"| group x={name}(a) by {name}(b)")


def test_what_is_no_number_truth_or_name_is_not_printed() -> None:
    field, one = Field("dst.port.number"), Value(ValueKind.NUMBER, "1")
    for value in (
        Value(ValueKind.NUMBER, "1 or b = 2"),
        Value(ValueKind.BOOLEAN, "true | savelookup t"),
        Value(ValueKind.NULL, "null)"),
        Value(ValueKind.STRING, "a\nb"),
        Value(ValueKind.STRING, "a\u2028b"),
    ):
        with pytest.raises(UnsafeValueError):
            powerquery.to_text(Compare(field, "=", value))
    for expression in (Field("a = 1 or b"), Field("a b"), Field("in"), Call("count() | limit 5 | let a", ())):
        with pytest.raises(UnsafeValueError):
            powerquery.to_text(Compare(expression, "=", one))
