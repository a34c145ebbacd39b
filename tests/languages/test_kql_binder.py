"""Tables, columns, functions and types of KQL, followed through the pipeline."""

import json

import pytest

from tracehound.knowledge.errors import UsageError
from tracehound.tools.languages import kql
from tracehound.tools.languages.kql import ast
from tracehound.tools.languages.kql.binder import Binder
from tracehound.tools.languages.kql.schema import surfaces_of, tables
from tracehound.tools.languages.query import Diagnostic

SCHEMA = {
    "T": {"Timestamp": "datetime", "Name": "string", "Port": "int", "Size": "long", "Extra": "dynamic", "On": "bool"},
    "U": {"Timestamp": "datetime", "Name": "string", "Other": "string"},
    "U2": {"Other": "string", "Third": "long"},
    "Sessions": {"Name": "string"},
}


STATS = ("min", "min_idx", "max", "max_idx", "avg", "stdev", "variance")


def findings(text: str) -> list[Diagnostic]:
    return [item for item in kql.check(text, schema=SCHEMA).diagnostics if item.severity == "error"]


def columns(text: str) -> list[str]:
    """The columns that a query yields, as `getschema` would list them."""
    tree = kql.parse(text)
    statement = tree.statements[-1]
    assert isinstance(statement, ast.ExpressionStatement)
    binder = Binder(SCHEMA, {})
    for earlier in tree.statements[:-1]:
        binder._statements((earlier,))
    row = binder._table(statement.value)
    assert not binder.diagnostics
    return list(row.columns)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T | project Name, p = Port, Extra.a.b", ["Name", "p", "Extra_a_b"]),
        ("T | project-away T*, Extra | project-rename Big = Size", ["Name", "Port", "Big", "On"]),
        ("T | project-keep P*, Name", ["Name", "Port"]),
        ("T | summarize count(), dcount(Name), make_set(Port) by Name", ["Name", "count_", "dcount_Name", "set_Port"]),
        ("T | summarize arg_max(Timestamp, *) by Name", ["Name", "Timestamp", "Port", "Size", "Extra", "On"]),
        ("T | summarize (a, b) = arg_min(Timestamp, Size) by bin(Timestamp, 1h)", ["Timestamp", "a", "b"]),
        ("U | join kind=inner (U) on Name", ["Timestamp", "Name", "Other", "Timestamp1", "Name1", "Other1"]),
        ("U | join kind=leftanti (T) on Name", ["Timestamp", "Name", "Other"]),
        ("U | join kind=rightsemi (U2) on Other", ["Other", "Third"]),
        ("U | lookup (U2) on Other", ["Timestamp", "Name", "Other", "Third"]),
        ("U | union withsource=From U2", ["From", "Timestamp", "Name", "Other", "Third"]),
        ("union U*", ["Timestamp", "Name", "Other", "Third"]),
        ("U | parse Name with a ':' b:long | distinct a, b", ["a", "b"]),
        ("U | mv-expand with_itemindex=i x = todynamic(Other)", ["Timestamp", "Name", "Other", "x", "i"]),
        ("T | count", ["Count"]),
        (
            "T | project strlen(Name), tolower(Name), tostring(Port), 1 + 1",
            ["strlen_Name", "Column1", "Port", "Column2"],
        ),
        ("T | project Extra['a b'], Extra[0].c, tostring(Extra.d)", ["Extra_a b", "Extra_0_c", "Extra_d"]),
        (
            "T | summarize percentiles(Size, 5, 99.9), any(Name), max(Port)",
            ["percentile_Size_5", "percentile_Size_99_9", "any_Name", "max_Port"],
        ),
        ("T | summarize count(), count() by tostring(Extra.a)", ["Extra_a", "count_", "count_1"]),
        (
            "T | summarize arg_max(Timestamp, Name), arg_min(Timestamp, Port + 1)",
            ["Timestamp", "Name", "Timestamp1", "min_Timestamp_arg1"],
        ),
        (
            "U | union (U2 | extend Timestamp = 'x')",
            ["Timestamp_datetime", "Timestamp_string", "Name", "Other", "Third"],
        ),
        (
            "U | mv-apply x = split(Other, ',') on (summarize n = count() by tostring(x))",
            ["Timestamp", "Name", "Other", "x", "n"],
        ),
        ("find in (U, U2) where Other == 'x'", ["source_", "Other", "pack_"]),
        ("search in (U) 'x'", ["$table", "Timestamp", "Name", "Other"]),
        ("U2 | scan declare (n:long = 0) with (step s: true => n = s.n + 1;)", ["Other", "Third", "n", "match_id"]),
        ("U2 | project series_stats(range(1, 5)), Other", [*(f"series_stats__{name}" for name in STATS), "Other"]),
        (
            "U2 | top-nested 2 of Other by n = count(), top-nested 1 of Third by max(Third)",
            ["Other", "n", "Third", "aggregated_Third"],
        ),
        ("U2 | evaluate narrow()", ["Row", "Column", "Value"]),
        ("T | make-series n = count() on Timestamp from ago(1d) to now() step 1h by Name", ["Name", "n", "Timestamp"]),
        ("let f = (t:(*)) { t | extend z = 1 }; U2 | invoke f()", ["Other", "Third", "z"]),
        ("let f = (n:long) { T | where Size > n | project Name }; f(5)", ["Name"]),
        ("print a = 1, 'x'", ["a", "print_1"]),
        ("range n from 1 to 3 step 1", ["n"]),
        ("datatable(a:string, b:long)['x', 1]", ["a", "b"]),
        ("T | getschema", ["ColumnName", "ColumnOrdinal", "DataType", "ColumnType"]),
    ],
)
def test_columns_flow(text: str, expected: list[str]) -> None:
    assert columns(text) == expected


@pytest.mark.parametrize(
    ("text", "code", "place", "hint"),
    [
        ("Sesions | take 1", "unknown_collection", "Sesions", "did you mean Sessions?"),
        ("T | where Nme == 'x'", "unknown_column", "Nme", "did you mean Name?"),
        ("T | where name == 'x'", "unknown_column", "name", "did you mean Name?"),
        ("T | project Name | where Port > 1", "unknown_column", "Port", None),
        ("T | summarize count() by Name | sort by Port", "unknown_column", "Port", None),
        ("T | join (U) on Port", "unknown_column", "Port", None),
        ("T | join (U) on $left.Name == $right.Port", "unknown_column", "$right.Port", None),
        ("T | extend x = tolwer(Name)", "unknown_function", "tolwer(Name)", "did you mean tolower?"),
        ("T | extend x = count()", "unknown_function", "count()", None),
        ("T | summarize x = tolower(Nam)", "unknown_column", "Nam", "did you mean Name?"),
        ("T | where Name", "type_mismatch", "Name", None),
        ("T | where Port has '44'", "type_mismatch", "Port", None),
        ("T | extend x = Name + 'y'", "type_mismatch", "Name + 'y'", "join text with strcat(...)"),
        ("T | extend x = Name.part", "type_mismatch", "Name.part", "read it with parse_json(...) first"),
        ("T | extend x = strlen(Port)", "type_mismatch", "Port", None),
        ("T | where Timestamp > 5", "type_mismatch", "Timestamp > 5", None),
        ("T | summarize count() by Extra", "type_mismatch", "Extra", "wrap it in tostring(...)"),
        ("T | extend x = substring(Name)", "bad_value", "substring(Name)", None),
        ("T | join kind=iner (U) on Name", "syntax", "iner", "did you mean inner?"),
        ("T | evaluate mystery(Name)", "unknown_function", "mystery(Name)", None),
        ("T | invoke FileProfile(Name)", "unknown_column", "Name", None),
        ("let f = (a:string) { T | where Nme == a }; f('x')", "unknown_column", "Nme", "did you mean Name?"),
        ("T | where Name in (U | project Othr)", "unknown_column", "Othr", "did you mean Other?"),
        ("union Z*", "unknown_collection", "Z*", None),
    ],
)
def test_what_does_not_exist_or_fit(text: str, code: str, place: str, hint: str | None) -> None:
    first = findings(text)[0]
    assert (first.code, text[first.start : first.end]) == (code, place)
    if hint is not None:
        assert first.hint == hint


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("T | project Name, Name", "bad_value", "Name"),
        ("T | summarize Name = count() by Name", "bad_value", "Name = count()"),
        ("T | summarize max(Extra)", "type_mismatch", "Extra"),
        ("T | summarize Size by Name", "unknown_column", "Size"),
        ("T | summarize sum(count())", "unknown_function", "count()"),
        ("T | extend x = bin(Extra.t, 1h)", "type_mismatch", "Extra.t"),
        ("T | extend x = bin(Timestamp, 1)", "type_mismatch", "1"),
        ("T | extend x = iff(Extra.a, 1, 2)", "type_mismatch", "Extra.a"),
        ("T | extend x = coalesce(Name, Extra)", "type_mismatch", "coalesce(Name, Extra)"),
        ("T | extend x = trim('a', split(Name, ',')[0])", "type_mismatch", "split(Name, ',')[0]"),
        ("T | extend x = array_length(parse_path(Name))", "type_mismatch", "parse_path(Name)"),
        ("T | extend x = split(Name, ',')['a']", "type_mismatch", "'a'"),
        ("T | extend x = extract(Name, 1, Name)", "bad_value", "Name"),
        ("T | extend x = format_datetime(Timestamp, Name)", "bad_value", "Name"),
        ("T | extend x = pack_array(Name, *)", "bad_value", "*"),
        ("T | extend (a, b) = Name", "bad_value", "(a, b) = Name"),
        ("T | where Name between ('a' .. 'b')", "type_mismatch", "Name between ('a' .. 'b')"),
        ("T | where Timestamp between (ago(1d) .. 5)", "type_mismatch", "5"),
        ("T | where Port in~ (1)", "type_mismatch", "Port"),
        ("T | where Extra", "type_mismatch", "Extra"),
        ("T | distinct *", "type_mismatch", "*"),
        ("T | make-series count() on Timestamp step 1", "type_mismatch", "1"),
        ("T | join (U | extend Port = '1') on Port", "type_mismatch", "Port"),
        ("T | join (T) on $left.Extra == $right.Name", "type_mismatch", "$left.Extra == $right.Name"),
        ("T | parse Name with a b", "bad_value", "b"),
        ("T | parse Name with * a", "bad_value", "a"),
        ("T | evaluate bag_unpack(Extra.a)", "bad_value", "Extra.a"),
        ("T | project-rename Port = Name", "bad_value", "Port = Name"),
        ("T | project-away zz*", "unknown_column", "zz*"),
        ("T | mv-expand a = Extra, a = Extra", "bad_value", "a = Extra"),
        ("let f = (n:long) { n }; T | extend x = f", "bad_value", "f"),
        ("let f = (t:(Nope:string)) { t }; f(T)", "type_mismatch", "T"),
        ("let f = (t:(*)) { t | where Name == 'x' }; f(T)", "unknown_column", "Name"),
        ("let f = (a:string) { f(a) }; print f('x')", "unknown_function", "f(a)"),
        ("datatable(a:string, b:long)['x', 1, 'y']", "bad_value", "datatable(a:string, b:long)['x', 1, 'y']"),
        ("let x = 1; let x = 2; T", "bad_value", "let x = 2"),
    ],
)
def test_what_the_language_does_not_take(text: str, code: str, place: str) -> None:
    first = findings(text)[0]
    assert (first.code, text[first.start : first.end]) == (code, place)


def test_one_mistake_is_reported_once() -> None:
    assert len(findings("Tt | where Anything == 1 | summarize count() by Whatever | where Whatever > 2")) == 1
    assert len(findings("T | extend x = Nme | where x == 1 and strlen(x) > 2 and x has 'y'")) == 1


def test_text_against_a_number_is_legal_and_warned_of() -> None:
    verdict = kql.check("T | where Timestamp > ago(1d) and Port == '443'", schema=SCHEMA)
    assert verdict.ok
    assert [(item.code, item.severity) for item in verdict.diagnostics] == [("type_mismatch", "warning")]


def test_a_place_has_its_own_tables_and_columns() -> None:
    text = "DeviceProcessEvents | where TimeGenerated > ago(1d)"
    assert kql.check(text).ok
    assert kql.check(text, "sentinel").ok
    assert [item.code for item in kql.check(text, "defender").diagnostics if item.severity == "error"] == [
        "unknown_column"
    ]
    assert surfaces_of("SigninLogs") == ("sentinel",)
    assert surfaces_of("DeviceProcessEvents") == ("defender", "sentinel")
    assert len(tables()) >= 58
    assert "AppDisplayName" in tables("sentinel")["SigninLogs"]


def test_a_collection_must_be_a_table() -> None:
    verdict = kql.check("print 1", "SigninLog")
    assert not verdict.ok
    assert verdict.diagnostics[0].hint == "did you mean SigninLogs?"


def test_collections_and_fields_are_those_that_were_used() -> None:
    verdict = kql.check("SigninLogs | where TimeGenerated > ago(1d) | project UserPrincipalName")
    assert verdict.collections == ("SigninLogs",)
    assert verdict.fields == ("TimeGenerated", "UserPrincipalName")


def test_a_schema_of_ones_own() -> None:
    schema = kql.load_schema(json.dumps({"Mine_CL": {"TimeGenerated": "datetime", "Score": "Double"}}))
    assert kql.check("Mine_CL | where TimeGenerated > ago(1d) and Score > 1.5", schema=schema).sendable
    exported = [{"Database": "D", "Tables": [{"Table": "T", "Columns": [{"Name": "a", "Type": "System.Int64"}]}]}]
    assert kql.load_schema(json.dumps(exported)) == {"T": {"a": "long"}}
    for content in ("{", "[1]", '{"T": []}', '{"T": {"a": "text"}}'):
        with pytest.raises(UsageError, match="schema"):
            kql.load_schema(content)


def test_functions_of_ones_own() -> None:
    functions = kql.load_functions(
        json.dumps({"Recent": {"parameters": "(days:int)", "body": "{ T | where Timestamp > ago(days * 1d) }"}})
    )
    assert kql.check("Recent(5) | where Name == 'x'", schema=SCHEMA, functions=functions).ok
    bad = kql.check("Recent(5) | where Nme == 'x'", schema=SCHEMA, functions=functions)
    assert [item.code for item in bad.diagnostics if item.severity == "error"] == ["unknown_column"]
    for content in ("{", '{"f": {}}', '{"f": {"parameters": "(", "body": "{"}}'):
        with pytest.raises(UsageError, match="function"):
            kql.load_functions(content)
