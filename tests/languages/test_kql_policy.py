"""What a KQL query may not do, and when it is bounded."""

import pytest

from tracehound.tools.languages import kql

SEEDS = [
    ("DeviceProcessEvents | where Timestamp > ago(1d) | where FileName =~ 'powershell.exe' | take 100", True),
    ("DeviceProcessEvents | where ProcessCommandLine has 'externaldata(a:string) .drop table'", True),
    ("DeviceProcessEvents // externaldata\n| take 1", True),
    (".show tables", False),
    ("// c\n .drop table X", False),
    (
        "let x = externaldata(a:string)['https://evil/x.csv']; DeviceProcessEvents | join x on $left.FileName==$right.a",
        False,
    ),
    ("DeviceProcessEvents | evaluate http_request('https://evil')", False),
    ("cluster('evil.kusto.windows.net').database('d').T | take 1", False),
    ("set notruncation; DeviceProcessEvents", False),
    ("DeviceProcessEvents | wher x ==", False),
]
PLUGINS = """
http_request http_request_post sql_request mysql_request postgresql_request cosmosdb_sql_request
azure_digital_twins_query_request ai_chat_completion ai_chat_completion_prompt ai_embeddings python r
infer_storage_schema infer_storage_schema_with_suggestions never_heard_of
"""
ELSEWHERE = "cluster database workspace app adx arg external_table resource"


@pytest.mark.parametrize(("text", "allowed"), SEEDS)
def test_seed_cases(text: str, allowed: bool) -> None:
    assert kql.check(text).read_only is allowed


def frames(construct: str) -> list[str]:
    """The same construct wherever a table or an operator may stand."""
    return [
        construct,
        f"DeviceEvents | union ({construct})",
        f"DeviceEvents | join kind=inner ({construct}) on DeviceId",
        f"let x = {construct}; DeviceEvents | take 1",
        f"let f = () {{ {construct} }}; DeviceEvents | take 1",
        f"DeviceEvents | where DeviceId in ({construct})",
        f"DeviceEvents | where DeviceId == toscalar({construct})",
        f"print toscalar(materialize({construct}))",
        f"// quiet\nDeviceEvents | partition by DeviceId {{ {construct} }}",
        f"union (DeviceEvents | take 1), ({construct} | take 1)",
    ]


@pytest.mark.parametrize("word", ELSEWHERE.split())
def test_other_places_are_refused_wherever_they_stand(word: str) -> None:
    for text in frames(f"{word}('x')") + frames(f"{word} ( 'x' ).T"):
        assert not kql.check(text).read_only, text


def test_external_data_is_refused_wherever_it_stands() -> None:
    for text in frames("externaldata(a:string)['https://evil/x.csv']") + frames("external_data (a:string) [ 'x' ]"):
        assert not kql.check(text).read_only, text


@pytest.mark.parametrize("plugin", PLUGINS.split())
def test_plugins_that_reach_out_and_unknown_ones_are_refused(plugin: str) -> None:
    for text in [*frames(f"DeviceEvents | evaluate {plugin}('x')"), f"evaluate {plugin}('x')"]:
        assert not kql.check(text).read_only, text


@pytest.mark.parametrize("text", [".show tables", " \n.create table X(a:string)", "// x\n\t.set-or-append X <| T", "."])
def test_control_commands_are_refused(text: str) -> None:
    verdict = kql.check(text)
    assert not verdict.read_only
    assert [item.code for item in verdict.diagnostics] == ["not_read_only"]


@pytest.mark.parametrize(
    "text",
    [
        "set query_now = datetime(2020-01-01); print now()",
        "alias database D = cluster('c').database('d'); DeviceEvents",
        "restrict access to (DeviceEvents); DeviceEvents",
        "declare pattern P; DeviceEvents",
    ],
)
def test_statements_beside_the_query_are_refused(text: str) -> None:
    assert not kql.check(text).read_only


def test_a_function_of_the_workspace_is_judged_with_the_query() -> None:
    body = "{ externaldata(a:string)['https://x'] }"
    functions = kql.load_functions(f'{{"Feed": {{"parameters": "()", "body": "{body}"}}}}')
    assert not kql.check("Feed() | take 1", functions=functions).read_only
    assert kql.check("DeviceEvents | take 1", functions=functions).read_only


@pytest.mark.parametrize(
    ("text", "read_only"),
    [
        ("let Feed = () { DeviceEvents }; Feed() | take 1", True),
        ("let f = () { let Feed = () { DeviceEvents }; Feed() | take 1 }; f()", True),
        ("Feed() | take 1", False),
        ("Feed() | take 1; let Feed = () { DeviceEvents }; Feed() | take 1", False),
        ("let Feed = () { Feed() }; Feed() | take 1", False),
        ("let f = () { let Feed = () { DeviceEvents }; Feed() }; Feed() | take 1", False),
        ("DeviceEvents | invoke Feed()", False),
        ("DeviceEvents | where DeviceId in (Feed('x'))", False),
    ],
)
def test_a_function_whose_body_is_not_known_is_refused(text: str, read_only: bool) -> None:
    assert kql.check(text).read_only is read_only


def test_an_administrator_may_allow_a_location() -> None:
    text = "externaldata(a:string)['https://feeds.example/x.csv'] | take 5"
    assert not kql.check(text).read_only
    assert kql.check(text, allowed_locations=("https://feeds.example/x.csv",)).read_only
    assert not kql.check(text.replace("x.csv", "y.csv"), allowed_locations=("https://feeds.example/x.csv",)).read_only


@pytest.mark.parametrize(
    "text",
    [
        "DeviceEvents | where Timestamp > ago(1d)",
        "SigninLogs | where TimeGenerated between (ago(2d) .. ago(1d)) | summarize count() by UserPrincipalName",
        "SigninLogs | where ago(1d) <= TimeGenerated and UserPrincipalName has 'x'",
        "DeviceEvents | where ingestion_time() > ago(1h)",
        "DeviceEvents | take 10",
        "DeviceEvents | top 5 by Timestamp",
        "union DeviceEvents, DeviceInfo | where Timestamp > ago(1d)",
        "let recent = DeviceEvents | where Timestamp > ago(1d); recent | join (recent) on DeviceId",
        "let f = (t:timespan) { DeviceEvents | where Timestamp > ago(t) }; f(1d) | count",
        "print now()",
    ],
)
def test_bounded(text: str) -> None:
    verdict = kql.check(text)
    assert verdict.ok
    assert verdict.bounded


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("DeviceEvents", "DeviceEvents"),
        ("DeviceEvents | where Timestamp < ago(1d)", "DeviceEvents"),
        ("DeviceEvents | where Timestamp > ago(1d) or DeviceName == 'x'", "DeviceEvents"),
        ("DeviceEvents | where DeviceName has 'Timestamp > ago(1d)'", "DeviceEvents"),
        ("DeviceEvents | where Timestamp > ago(1d) | join (DeviceInfo) on DeviceId", "DeviceInfo"),
        ("DeviceEvents | where Timestamp > ago(1d) | union DeviceInfo", "DeviceInfo"),
        ("DeviceEvents | where Timestamp > ago(1d) and DeviceId in (DeviceInfo | project DeviceId)", "DeviceInfo"),
        ("let all = DeviceEvents; all | summarize count()", "DeviceEvents"),
        ("search *", "search *"),
        ("search 'mimikatz' | take 5", "search 'mimikatz'"),
        ("union * | where TimeGenerated > ago(1d) | take 5", "*"),
    ],
)
def test_unbounded(text: str, place: str) -> None:
    verdict = kql.check(text)
    found = [item for item in verdict.diagnostics if item.code == "unbounded"]
    assert [text[item.start : item.end] for item in found] == [place]
    assert verdict.ok
    assert not verdict.sendable
