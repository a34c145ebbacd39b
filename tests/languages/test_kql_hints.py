"""What the check says about a slip: which one it is, where it is, and what to write instead."""

import pytest

from tracehound.tools.languages import kql

SCHEMA = {
    "T": {"Timestamp": "datetime", "Name": "string", "Port": "int", "Extra": "dynamic"},
    "U": {"Timestamp": "datetime", "Name": "string", "Other": "string"},
}
AGGREGATES = "aggregates stand in summarize, make-series and top-nested"
SPAN = "write a span of time without quotes and with its unit: 7d, 12h, 30m"
EQUALS = "compare with ==, or with =~ to ignore case"


@pytest.mark.parametrize(
    ("text", "code", "place", "hint"),
    [
        # Signs that are missing or those of another language
        ("T where Port == 1", "syntax", "where", "put | before where"),
        ("T | summarize x = count() by Port where x > 5", "syntax", "where", "put | before where"),
        ("T | join (U where Other == 'x') on Name", "syntax", "where", "put | before where"),
        ("T | project Name Port", "syntax", "Port", "is a comma or an operator missing before Port?"),
        ("T | where Name = 'x'", "bad_operator", "Name = 'x'", EQUALS),
        ("T | where Port = 1 and Name == 'x'", "bad_operator", "Port = 1", EQUALS),
        ("T | where (Name = 'x')", "syntax", "=", EQUALS),
        ("T | where iff(Name = 'x', true, false)", "type_mismatch", "Name = 'x'", "compare with =="),
        ("T | where Name == 'a' && Port == 1", "syntax", "&&", "write and"),
        ("T | where Name == 'a' & Port == 1", "syntax", "&", "write and"),
        ("T | where Name == 'a' || Port == 1", "syntax", "|", "write or"),
        ("T | where Name == 'a' AND Port == 1", "syntax", "AND", "operators are written small: and"),
        ("T | WHERE Port == 1", "syntax", "WHERE", "did you mean where?"),
        ("T | where !isempty(Name)", "syntax", "!isempty", "write not(isempty(...))"),
        ("T | where not Name has 'x'", "syntax", "Name", "not takes brackets: not(...)"),
        ("T | where Name not has 'x'", "syntax", "not", "write !has, !contains, !in or not(...)"),
        ("T | where Name is null", "syntax", "is", "write isnull(...) or isempty(...)"),
        ("T | where Name in 'x'", "syntax", "'x'", "put what it is compared with in brackets: in (...)"),
        ("/* note */ T", "syntax", "/", "comments start with //"),
        ("T | where Name == \u201cx\u201d", "syntax", "\u201c", "use straight quotes, as in 'text'"),
        ("T | where last == 1", "syntax", "last", "as a name it is written ['last']"),
        ("T | where Name == 'C:\\temp\\'", "syntax", "'C:\\temp\\'", "write a backslash twice, or the text as @'...'"),
        ("T | where Name == 'open\n| take 5", "syntax", "'open", None),
        ("T | render timechrt", "syntax", "timechrt", "did you mean timechart?"),
        ("T | join kind=left (U) on Name", "syntax", "left", "did you mean leftouter?"),
        # Names
        ("T | where port == 1", "unknown_column", "port", "did you mean Port?"),
        ("T | summarize count() by Name | sort by Port", "unknown_column", "Port", "summarize dropped this column"),
        ("T | project Name | where Port == 1", "unknown_column", "Port", "project dropped this column"),
        ("T | project-away P* | where Port == 1", "unknown_column", "Port", "project-away dropped this column"),
        ("T | distinct Name | where Port == 1", "unknown_column", "Port", "distinct dropped this column"),
        (
            "T | project-rename P = Port | where Port == 1",
            "unknown_column",
            "Port",
            "project-rename called it P and dropped this column",
        ),
        (
            "T | summarize Name by Port",
            "unknown_column",
            "Name",
            "put Name behind by, or into an aggregate: max(Name)",
        ),
        (
            "T | join (U) on Port",
            "unknown_column",
            "Port",
            "where it has another name: on $left.Port == $right.<its name>",
        ),
        (
            "T | join (U) on Other",
            "unknown_column",
            "Other",
            "where it has another name: on $left.<its name> == $right.Other",
        ),
        ("T | join (U | project Other) on Name", "unknown_column", "Name", "project dropped it"),
        (
            "T | join (U) on $right.Name == $left.Name",
            "bad_value",
            "$right.Name",
            "$left stands before ==, $right behind it",
        ),
        ("T | where $left.Name == 'x'", "unknown_column", "$left", "name the column alone"),
        ("T | where count() > 5", "unknown_function", "count()", AGGREGATES),
        ("T | evaluate bagunpack(Extra)", "unknown_function", "bagunpack(Extra)", "did you mean bag_unpack?"),
        ("T | extend a = 1, a = 2", "bad_value", "a = 2", "give one of them another name"),
        ("T | extend d = datetime_diff('weeks', Timestamp, now())", "bad_value", "'weeks'", "did you mean week?"),
        ("let f = (a:string) { a }; T | extend b = f('y', c='x')", "bad_value", "f('y', c='x')", None),
        # Types
        ("T | where Timestamp > 7d", "type_mismatch", "Timestamp > 7d", "compare a time with a time, such as ago(1d)"),
        ("T | where Timestamp > ago('7d')", "type_mismatch", "'7d'", SPAN),
        ("T | where Timestamp > ago(7)", "type_mismatch", "7", SPAN),
        ("T | where Timestamp > Extra.t", "type_mismatch", "Timestamp > Extra.t", "wrap it in todatetime(...)"),
        (
            "T | where Name > 5",
            "type_mismatch",
            "Name > 5",
            "read the text as a number or a time first: tolong(...), todatetime(...)",
        ),
        ("T | summarize max(Extra.a)", "type_mismatch", "Extra.a", "wrap it in tostring(...)"),
        ("T | sort by Extra", "type_mismatch", "Extra", "wrap it in tostring(...)"),
        ("T | extend x = Name[0]", "type_mismatch", "Name[0]", "read it with parse_json(...) first"),
        (
            "T | mv-expand Name",
            "type_mismatch",
            "Name",
            "make a list of it first, as with split(...) or parse_json(...)",
        ),
        (
            "T | extend p = parse_path(Name).Extension | extend trim('a', p)",
            "type_mismatch",
            "p",
            "wrap it in tostring(...)",
        ),
        (
            "T | join (U) on $left.Port == $right.Other",
            "type_mismatch",
            "$left.Port == $right.Other",
            "bring both to one type",
        ),
    ],
)
def test_a_slip(text: str, code: str, place: str, hint: str | None) -> None:
    first = next(item for item in kql.check(text, schema=SCHEMA).diagnostics if item.severity == "error")
    assert (first.code, text[first.start : first.end], first.hint) == (code, place, hint)


@pytest.mark.parametrize(
    "text",
    [
        "T | extend Port = tostring(Port) | where Port has '44'",
        "T | summarize take_any(Port) by Name | where Port == 1",
        "T | summarize count(), dcount(Name) by bin(Timestamp, 1h) | where count_ > 1 and dcount_Name > 1",
        "T | project tostring(Extra.a.b) | where Extra_a_b == 'x'",
        "T | extend parts = split(Name, '/') | mv-expand parts to typeof(string) | where trim('a', parts) == ''",
        "T | join kind=inner (U) on Name | where Name1 == Name and Timestamp1 > Timestamp",
        "T | union (U | extend Port = '1') | where Port_int == 1 and Port_string == '1'",
        "T | summarize arg_max(Timestamp, *) by Name | where Port == 1",
        "T | evaluate bag_unpack(Extra) | where anything == 1",
        "T | where column_ifexists('Nope', 'x') == 'x'",
    ],
)
def test_what_is_right_is_left_alone(text: str) -> None:
    assert [item.message for item in kql.check(text, schema=SCHEMA).diagnostics if item.severity == "error"] == []
