import pytest

from tracehound.agent import Settings
from tracehound.agent.checking import Checker, connected_workspace
from tracehound.knowledge.errors import ConfigurationError, UsageError
from tracehound.tools.languages import Language

METADATA = {
    "tables": [
        {
            "name": "Badge_CL",
            "columns": [{"name": "TimeGenerated", "type": "datetime"}, {"name": "Door_s", "type": "string"}],
        }
    ],
    "functions": [{"name": "Doors", "parameters": "", "body": "Badge_CL | distinct Door_s"}],
}


@pytest.mark.parametrize(
    ("query", "ok"),
    [
        ("Badge_CL | where TimeGenerated > ago(1d) | project Door_s", True),
        ("Badge_CL | where TimeGenerated > ago(1d) | project Floor_s", False),
        ("Doors | take 5", True),
        ("DeviceProcessEvents | where Timestamp > ago(1d) | project FileName", True),
        ("Syslog | where TimeGenerated > ago(1d)", False),
    ],
)
def test_a_query_is_checked_against_the_tables_that_the_workspace_has(query: str, ok: bool) -> None:
    assert Checker(Language.KQL, workspace=METADATA).report(query)["ok"] is ok


def test_other_languages_have_no_workspace() -> None:
    with pytest.raises(UsageError, match="--workspace are for kql"):
        Checker(Language.SPL, workspace=METADATA)


def test_without_a_workspace_it_says_which_settings_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET", "WORKSPACE_ID"):
        monkeypatch.delenv(f"TRACEHOUND_MICROSOFT_{name}", raising=False)
    with pytest.raises(ConfigurationError, match="TRACEHOUND_MICROSOFT_TENANT_ID"):
        connected_workspace(Settings())
