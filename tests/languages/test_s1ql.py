import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.knowledge.errors import UnsafeValueError
from tracehound.tools.languages import s1ql
from tracehound.tools.languages.s1ql import Operator, Value, ValueKind
from tracehound.tools.languages.s1ql.ast import LIST_OPERATORS, UNARY_OPERATORS
from tracehound.tools.languages.s1ql.parser import FORMS
from tracehound.tools.languages.s1ql.schema import fields, lookup
from tracehound.tools.languages.syntax import QuerySyntaxError


def refused_at(text: str) -> tuple[int, int]:
    try:
        s1ql.parse(text)
    except QuerySyntaxError as error:
        return error.start, error.end
    return 0, 0


def codes(text: str) -> list[tuple[str, str]]:
    return [(item.severity, item.code) for item in s1ql.check(text).diagnostics]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ('SrcProcName = "a"', 'SrcProcName = "a"'),
        ("SrcProcName contains anycase 'a'", 'SrcProcName ContainsCIS "a"'),
        ('a StartsWith anycase "x" or b endswithcis "y"', '(a StartsWithCIS "x" OR b EndsWithCIS "y")'),
        ('a Does Not ContainCIS "x"', 'a Does Not ContainCIS "x"'),
        ('a not in ("x","y")', 'a Not In ("x", "y")'),
        ('a In Contains Anycase "x"', 'a In Contains Anycase ("x")'),
        ('not a in anycase ("x")', 'NOT (a In Anycase ("x"))'),
        ("a is not empty and b exists", "a Is Not Empty AND b Exists"),
        ("a between 1 and 9 and b is true", "a Between 1 AND 9 AND b Is True"),
        ('a = "C:\\Windows\\"', 'a = "C:\\Windows\\"'),
        ('a = "say "hi" now"', 'a = "say "hi" now"'),
        ("a = \"x 'y' b = 'z'\"", "a = \"x 'y' b = 'z'\""),
        ('(a = "1" or b = "2") AND c = "3"', '(a = "1" OR b = "2") AND c = "3"'),
        ('a = "1" or b = "2" AND c = "3"', '(a = "1" OR (b = "2" AND c = "3"))'),
    ],
)
def test_canonical_text_reads_back(text: str, printed: str) -> None:
    node = s1ql.parse(text)
    assert s1ql.to_text(node) == printed
    assert s1ql.parse(printed) == node


def test_backslashes_are_literal_unless_the_strict_dialect_is_asked_for() -> None:
    text = r'a = "C:\\dir\"x"'
    with pytest.raises(QuerySyntaxError):
        s1ql.parse(text + " trailing")
    strict = s1ql.parse(r'a = "C:\\dir \"x\"" AND b = "y"', s1ql.Quoting.ESCAPED)
    assert isinstance(strict, s1ql.And)
    assert isinstance(strict.parts[0], s1ql.Comparison)
    assert strict.parts[0].values[0].text == 'C:\\dir "x"'
    plain = s1ql.parse(r'a = "C:\\dir"')
    assert isinstance(plain, s1ql.Comparison)
    assert plain.values[0].text == r"C:\\dir"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (r'a containsCIS "C:\Users\" AND b = "\x"', ["C:\\Users\\", "\\x"]),
        (r'a containsCIS "h\"t\"p" OR b endswithCIS ".7z\""', ['h"t"p', '.7z"']),
        (r'a startswithCIS "\"C:\x.exe\"  /q C:\Users\" AND b = "1"', ['"C:\\x.exe"  /q C:\\Users\\', "1"]),
        (r'(a endswithCIS ".cpl\",")', ['.cpl",']),
        (r'a In Contains AnyCase ("\\srv\", "say \"hi\"", "b")', [r"\\srv" + "\\", 'say "hi"', "b"]),
        (r'a RegExp "\\\\[0-9]{8}\\.txt$" AND b = "445"', [r"\\[0-9]{8}\.txt$", "445"]),
        (r'a RegExp "x\\"set\\s\\\\\\"$"', [r"x\"set\s\\\"$"]),
    ],
)
def test_what_pysigma_writes_is_read_as_it_means(text: str, values: list[str]) -> None:
    node = s1ql.parse(text, s1ql.Quoting.PYSIGMA)
    parts = node.parts if isinstance(node, s1ql.And | s1ql.Or) else (node,)
    found = [value.text for part in parts if isinstance(part, s1ql.Comparison) for value in part.values]
    assert found == values


def test_a_line_of_dashes_is_a_comment() -> None:
    node = s1ql.parse('a = "1"')
    assert s1ql.parse('--Name\na = "1"') == s1ql.parse('-- one\n  -- two\r\na = "1"\n--end') == node
    assert refused_at('a = "1" --not at the beginning') == (4, 30)
    with_dashes = s1ql.parse('a = "x\n--y" OR b = "1"')
    assert isinstance(with_dashes, s1ql.Or)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('TgtProcName == "x"', "write ="),
        ('TgtProcName <> "x"', "write !="),
        ("TgtProcName = \u201cx\u201d", "write straight quotes"),
        ("TgtProcPID = 4 | limit 5", "S1QL 1.0 has no commands; PowerQuery has"),
        ('TgtProcName =~ "x"', "write In Anycase (...) or RegExp"),
        ('TgtProcName LIKE "%x%"', "write ContainsCIS, StartsWithCIS, EndsWithCIS or RegExp"),
        ('TgtProcName matches "x"', "write RegExp"),
        ('TgtProcName Containscsi "x"', "did you mean ContainsCIS?"),
        ('TgtProcName StrtsWith "x"', "did you mean StartsWith?"),
        ('TgtProcName Does Not StartWith "x"', "write StartsWith, and NOT (...) around it to negate"),
        ("TgtProcName is null", "write Is Empty or Is Not Empty"),
        ('TgtProcName In AnyCas ("x")', "did you mean In Anycase?"),
        ('TgtProcName In Contain ("x")', "did you mean In Contains?"),
        ('TgtProcName Regex "x"', "write RegExp"),
        ('TgtProcName RegExpp "x"', "did you mean RegExp?"),
        ('TgtProcName Not StartsWith "x"', "write NOT (...) around the condition"),
        ('TgtProcName Contains ("x", "y")', "lists stand behind In, In Anycase, In Contains and In Contains Anycase"),
        ('TgtProcName In Contains "x", "y"', 'In ("a", "b")'),
        ('TgtProcName = "x" AND', None),
        ('TgtProcName = "x")', "no bracket is open here"),
        ('(TgtProcName = "x" SrcProcName = "y")', "join conditions with AND or OR"),
        ('Contains "x"', "a field stands before Contains"),
        (
            'TgtProcName = "x" | limit 5',
            "a quote ends a string only before ), AND, OR, NOT or the end, and in a list before a comma",
        ),
        ("TgtProcName = powershell.exe", 'write "powershell.exe"'),
    ],
)
def test_a_refusal_says_what_to_write(text: str, hint: str | None) -> None:
    (found,) = s1ql.check(text).diagnostics
    assert (found.severity, found.code, found.hint) == ("error", "syntax", hint)
    assert 0 <= found.start < found.end <= len(text) + 1


def test_names_of_old_are_known_by_what_has_taken_their_place() -> None:
    for known in fields().values():
        if known.use is not None:
            newer = lookup(known.use)
            assert newer is not None
            assert newer.use is None
            assert (known.type, known.values) == (newer.type, newer.values)
            (found,) = (item for item in s1ql.check(f"{known.name} Is Not Empty").diagnostics)
            assert (found.severity, found.hint) == ("warning", f"use {known.use}")


def test_every_way_of_writing_an_operator_is_read_in_any_case() -> None:
    for form, (operator, negated) in FORMS.items():
        value = '("x")' if operator in LIST_OPERATORS else '"x" AND "y"' if operator is Operator.BETWEEN else '"x"'
        for written in (form, form.upper(), form.title()):
            text = f"a {written} {'' if operator in UNARY_OPERATORS else value}"
            node = s1ql.parse(text)
            assert isinstance(node, s1ql.Comparison)
            assert (node.operator, node.negated) == (operator, negated)
            assert s1ql.parse(s1ql.to_text(node)) == node


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ('a = "x" b = "y"', 7, 8),
        ('a = "x', 4, 6),
        ("a = x", 4, 5),
        ('(a = "x"', 0, 1),
        ('a In ("x"', 5, 6),
        ('a In "x"', 5, 8),
        ('a not regexp "x"', 6, 12),
        ('"free text"', 0, 11),
        ("a like b", 2, 6),
        ('a = "x" AND', 11, 12),
        ("", 0, 1),
    ],
)
def test_what_is_no_query_is_refused_with_its_place(text: str, start: int, end: int) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        s1ql.parse(text)
    assert (caught.value.start, caught.value.end) == (start, end)


def test_deep_nesting_is_refused_and_does_not_overflow() -> None:
    assert codes("(" * 5000 + 'a = "1"' + ")" * 5000) == [("error", "too_complex")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('EventType = "Process Creation" AND TgtProcName ContainsCIS "x"', []),
        ('tgtprocname = "x"', []),
        ('TgtProcNmae = "x"', [("error", "unknown_column")]),
        ('tgt.process.name = "x"', [("error", "unknown_column")]),
        ('ProcessName = "x"', [("warning", "unknown_column")]),
        ('EventType = "ModuleLoad"', [("error", "bad_value")]),
        ('EventType = "process creation"', [("warning", "silent_zero")]),
        ('ObjectType = "File"', []),
        ('EventType ContainsCIS "Process"', [("error", "bad_operator")]),
        ("DstPort = 443", []),
        ('TgtProcName = "*.exe"', [("warning", "silent_zero")]),
        ('TgtProcName In Contains Anycase ("a", "b*")', [("warning", "silent_zero")]),
        ('TgtProcCmdLine ContainsCIS "SELECT * FROM"', []),
        ('TgtProcCmdLine RegExp "a.*"', []),
        ('DstPort In ("443", "445")', []),
        ('DstPort = "https"', [("error", "type_mismatch")]),
        ('DstPort Contains "4"', [("error", "bad_operator")]),
        ('TgtProcName > "a"', [("error", "bad_operator")]),
        ("TgtProcName = 5", [("warning", "type_mismatch")]),
        ("CrossProcCount Contains 4", [("warning", "bad_operator")]),
        ('TgtProcName RegExp "("', [("error", "bad_value")]),
        ('TgtProcName RegExp "a(?!b)"', [("warning", "bad_value")]),
        ('EventTime > "yesterday"', [("error", "bad_value")]),
        ('EventTime Between "2026-01-01T00:00:00Z" AND "2026-01-02T00:00:00Z"', []),
        ('SrcProcName In ("a "b" c", "d")', [("warning", "ambiguous")]),
        ("SrcProcName Is Not Empty", []),
        ("TgtProcSignedStatus Is Not Empty", []),
    ],
)
def test_what_deep_visibility_would_answer_silently_is_found(text: str, expected: list[tuple[str, str]]) -> None:
    assert codes(text) == expected


def test_hints_name_the_right_field_and_value() -> None:
    hints = {
        'tgt.process.name = "x"': "tgt.process.name is the S1QL 2.0 name of TgtProcName",
        'TgtProcNmae = "x"': "did you mean TgtProcName?",
        'EventType = "ModuleLoad"': "did you mean Module Load?",
        'CmdLine ContainsCIS "x"': "use SrcProcCmdLine",
    }
    assert {text: s1ql.check(text).diagnostics[0].hint for text in hints} == hints


def test_sizes_are_bounded() -> None:
    items = ", ".join(f'"{number}"' for number in range(101))
    assert codes(f"TgtProcName In ({items})") == [("error", "too_complex")]
    ors = " OR ".join(f'TgtProcName = "{number}"' for number in range(12))
    assert codes(ors) == [("warning", "too_complex")]


def test_the_converter_s_broken_names_are_not_accepted() -> None:
    assert not [name for name in fields() if "convert_v1" in name]
    for name in ("LoginAccountDomain", "LoginTgtDomainName", "LogoutTgtDomainName"):
        assert lookup(name) is not None


def test_corpus_verdicts(corpora: Path, record_property: Callable[[str, object], None]) -> None:
    lines = [json.loads(line) for line in (corpora / "s1ql" / "strings.jsonl").read_text("utf-8").splitlines()]
    refused = {
        line["query"]: s1ql.check(line["query"]).diagnostics for line in lines if not s1ql.check(line["query"]).ok
    }
    record_property("s1ql_accepted", f"{len(lines) - len(refused)} of {len(lines)}")
    assert refused == {}
    for line in lines:
        node = s1ql.parse(line["query"])
        assert s1ql.parse(s1ql.to_text(node)) == node


names = st.from_regex(r"[A-Z][A-Za-z0-9]{1,8}", fullmatch=True).filter(
    lambda name: name.lower() not in ("and", "or", "not")
)
several = st.lists(st.text(max_size=12).map(lambda text: Value(ValueKind.STRING, text)), min_size=1, max_size=3)
lists = st.builds(
    lambda name, operator, values, negated: s1ql.Comparison(name, operator, tuple(values), negated),
    names,
    st.sampled_from([Operator.IN, Operator.IN_ANYCASE, Operator.IN_CONTAINS, Operator.IN_CONTAINS_ANYCASE]),
    several,
    st.booleans(),
)
singles = st.builds(
    lambda name, operator, values: s1ql.Comparison(name, operator, tuple(values[:1])),
    names,
    st.sampled_from([Operator.EQ, Operator.CONTAINS_CIS, Operator.STARTSWITH, Operator.REGEXP]),
    several,
)


def _joined(children: st.SearchStrategy[s1ql.Node]) -> st.SearchStrategy[s1ql.Node]:
    parts = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.one_of(parts.map(s1ql.And), parts.map(s1ql.Or), children.map(s1ql.Not))


@settings(max_examples=300, deadline=None)
@given(st.recursive(lists | singles, _joined, max_leaves=6))
def test_any_query_survives_printing_or_is_refused(node: s1ql.Node) -> None:
    try:
        text = s1ql.to_text(node)
    except UnsafeValueError:
        return
    assert s1ql.parse(text) == node


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_either_parsed_or_refused_with_a_place_inside_it(text: str) -> None:
    start, end = refused_at(text)
    assert 0 <= start <= end <= len(text) + 1


def test_what_is_no_number_truth_or_name_is_not_printed() -> None:
    for value in (
        Value(ValueKind.NUMBER, "1 OR b = 2"),
        Value(ValueKind.BOOLEAN, "true) OR (b"),
        Value(ValueKind.NUMBER, "\u0661"),
    ):
        with pytest.raises(UnsafeValueError):
            s1ql.to_text(s1ql.Comparison("DstPort", Operator.EQ, (value,)))
    with pytest.raises(UnsafeValueError):
        s1ql.to_text(s1ql.Comparison('a = "x" OR b', Operator.EQ, (Value(ValueKind.NUMBER, "1"),)))
