"""KQL held against what the workspace itself says it has."""

import httpx
import pytest

from tracehound.evals.lab.connect import environment, settings_of
from tracehound.evals.lab.folder import open_world
from tracehound.evals.lab.lab import Lab
from tracehound.evals.lab.transport import LabTransport
from tracehound.knowledge.errors import ConfigurationError, UsageError
from tracehound.tools.languages import kql
from tracehound.tools.languages.kql.schema import tables
from tracehound.tools.vendors.microsoft_metadata import workspace_metadata
from tracehound.tools.vendors.settings import EstateSettings, MicrosoftSettings

METADATA = {
    "tables": [
        {
            "id": "t/SigninLogs",
            "name": "SigninLogs",
            "timespanColumn": "TimeGenerated",
            "columns": [{"name": "TimeGenerated", "type": "datetime"}, {"name": "UserPrincipalName", "type": "string"}],
        },
        {
            "id": "t/Badges_CL",
            "name": "Badges_CL",
            "columns": [{"name": "TimeGenerated", "type": "datetime"}, {"name": "Door_d", "type": "real"}],
        },
    ],
    "functions": [
        {
            "name": "Recent",
            "parameters": "days:int",
            "body": "Badges_CL\n| where TimeGenerated > ago(days * 1d) // all",
        },
        {"name": "Bare", "body": "SigninLogs | take 5"},
        {"name": "Feed", "parameters": "(n:int=5)", "body": "externaldata(a:string)['https://x'] | take n"},
        {"name": "Broken", "body": "SigninLogs | | take"},
    ],
}


def test_tables_and_functions_of_a_workspace() -> None:
    schema, functions = kql.from_metadata(METADATA), kql.functions_from_metadata(METADATA)
    assert schema["Badges_CL"] == {"TimeGenerated": "datetime", "Door_d": "real"}
    for text, ok, read_only in (
        ("Badges_CL | where TimeGenerated > ago(1d) and Door_d > 2", True, True),
        ("Recent(3) | where Door_d > 2", True, True),
        ("Bare | project UserPrincipalName", True, True),
        ("Recent(3) | where UserPrincipalName == 'x'", False, True),
        ("Feed() | take 1", True, False),
        ("Broken() | take 1", False, False),
        ("DeviceEvents | take 1", False, True),
        ("SigninLogs | take 1 | invoke FileProfile('SHA1')", True, True),
    ):
        verdict = kql.check(text, schema=schema, functions=functions)
        assert (verdict.ok, verdict.read_only) == (ok, read_only), text


def test_metadata_of_another_shape_is_refused() -> None:
    for data in ({}, {"tables": [{"name": "T"}]}, {"tables": [{"name": "T", "columns": [{"name": "a", "type": "x"}]}]}):
        with pytest.raises(UsageError):
            kql.from_metadata(data)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab.create(tmp_path_factory.mktemp("kestrel") / "lab")


@pytest.mark.anyio
async def test_a_connected_workspace_tells_its_tables(lab: Lab) -> None:
    world = open_world(lab)
    settings = EstateSettings.from_environment(environment(settings_of(world.state))).microsoft
    assert settings is not None
    async with httpx.AsyncClient(transport=LabTransport(world, closed=world.close)) as client:
        schema = kql.from_metadata(await workspace_metadata(settings, client))
    assert {"SigninLogs", "SecurityAlert"} <= set(schema)
    for table, columns in schema.items():
        assert set(columns) <= set(tables("sentinel").get(table, columns)), table
    assert kql.check("SigninLogs | where TimeGenerated > ago(1d) | project UserPrincipalName", schema=schema).sendable


@pytest.mark.anyio
async def test_without_a_workspace_it_says_which_setting_is_missing() -> None:
    values = {"tenant_id": "t", "client_id": "c", "client_secret": "s", "graph_url": "https://graph.invalid"}
    async with httpx.AsyncClient() as client:
        with pytest.raises(ConfigurationError, match="WORKSPACE_ID"):
            await workspace_metadata(MicrosoftSettings.model_validate(values), client)
