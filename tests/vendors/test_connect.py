import ast
import inspect
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tracehound.tools.vendors as package
from tracehound.knowledge.errors import ConfigurationError
from tracehound.tools.languages.query import Platform
from tracehound.tools.vendors import connect
from tracehound.tools.vendors.estate import Reader
from tracehound.tools.vendors.probe import Probe, probe
from tracehound.tools.vendors.settings import ActingSettings, EstateSettings
from tracehound.tools.vendors.transport import ActingSession
from tracehound.tools.vendors.wire import Operation

pytestmark = pytest.mark.anyio


def reading(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.endswith("_ACTING")}


# settings


def test_settings_are_read_from_the_mapping_alone(environment: dict[str, str]) -> None:
    settings = EstateSettings.from_environment(environment | {"TRACEHOUND_SENTINELONE_SITE_IDS": "1, 2"})
    assert settings.falcon
    assert settings.falcon.client_id == "id-1"
    assert settings.sentinelone
    assert settings.sentinelone.site_ids == ("1", "2")
    assert settings.microsoft
    assert settings.microsoft.graph_url == "https://ms.test"
    assert EstateSettings.from_environment({}).is_empty


def test_no_secret_is_shown(environment: dict[str, str], secret: str) -> None:
    settings = EstateSettings.from_environment(environment)
    assert secret not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        ("FALCON_CLIENT_ID", "FALCON_CLIENT_SECRET"),
        ("FALCON_CLIENT_SECRET", "FALCON_CLIENT_ID"),
        ("FALCON_BASE_URL", "FALCON_CLIENT_ID"),
        ("SENTINELONE_API_TOKEN", "SENTINELONE_BASE_URL"),
        ("SENTINELONE_BASE_URL", "SENTINELONE_API_TOKEN"),
        ("MICROSOFT_TENANT_ID", "MICROSOFT_CLIENT_ID"),
        ("MICROSOFT_CLIENT_ID", "MICROSOFT_CLIENT_SECRET"),
    ],
)
def test_half_a_credential_names_the_other_half(present: str, missing: str, environment: dict[str, str]) -> None:
    value = environment[f"TRACEHOUND_{present}"]
    with pytest.raises(ConfigurationError, match=f"TRACEHOUND_{missing} is not set"):
        EstateSettings.from_environment({f"TRACEHOUND_{present}": value})
    with pytest.raises(ConfigurationError, match=f"TRACEHOUND_{missing}_ACTING is not set"):
        ActingSettings.from_environment({f"TRACEHOUND_{present}_ACTING": value})


def test_acting_credentials_never_fall_back_to_reading_ones(environment: dict[str, str]) -> None:
    assert ActingSettings.from_environment(reading(environment)).is_empty
    only = reading(environment) | {
        "TRACEHOUND_FALCON_CLIENT_ID_ACTING": "actor",
        "TRACEHOUND_FALCON_CLIENT_SECRET_ACTING": "other",
        "TRACEHOUND_SENTINELONE_API_TOKEN_ACTING": "third",
    }
    settings = ActingSettings.from_environment(only)
    assert settings.falcon
    assert settings.falcon.base_url == "https://falcon.test", "an address may be shared"
    assert settings.falcon.client_secret.get_secret_value() == "other"
    assert settings.sentinelone
    assert settings.sentinelone.base_url == "https://s1.test"
    assert settings.falcon.named("CLIENT_SECRET") == "TRACEHOUND_FALCON_CLIENT_SECRET_ACTING"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FALCON_BASE_URL", "http://api.crowdstrike.com"),
        ("FALCON_BASE_URL", "api.crowdstrike.com"),
        ("FALCON_BASE_URL", "https://user:pw@api.crowdstrike.com"),
        ("SENTINELONE_BASE_URL", "ftp://x"),
        ("MICROSOFT_GRAPH_URL", "http://graph.microsoft.com"),
        ("SENTINELONE_QUERY_INTERVAL", "often"),
    ],
)
def test_a_value_that_is_not_valid_is_named_and_not_repeated(
    name: str, value: str, environment: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match=f"^TRACEHOUND_{name}: ") as caught:
        EstateSettings.from_environment(environment | {f"TRACEHOUND_{name}": value})
    assert value not in str(caught.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8443", "http://localhost:1", "https://x.test/"])
def test_addresses_that_are_allowed(address: str, environment: dict[str, str]) -> None:
    settings = EstateSettings.from_environment(environment | {"TRACEHOUND_FALCON_BASE_URL": address})
    assert settings.falcon
    assert settings.falcon.base_url == address.rstrip("/")


def test_microsoft_may_be_configured_by_half(environment: dict[str, str]) -> None:
    del environment["TRACEHOUND_MICROSOFT_WORKSPACE_ID"]
    estate = connect.estate(EstateSettings.from_environment(environment))
    assert Platform.SENTINEL not in estate.platforms
    assert Platform.DEFENDER in estate.platforms
    environment |= {"TRACEHOUND_MICROSOFT_WORKSPACE_ID": "w", "TRACEHOUND_MICROSOFT_GRAPH_URL": "none"}
    estate = connect.estate(EstateSettings.from_environment(environment))
    assert Platform.DEFENDER not in estate.platforms
    assert Platform.SENTINEL in estate.platforms


# the estate


async def test_the_estate_serves_what_is_configured(
    environment: dict[str, str], falcon: Any, sentinelone: Any, microsoft: Any, time: Any
) -> None:
    servers = {"falcon": falcon, "sentinelone": sentinelone, "microsoft": microsoft}
    falcon.job = {"events": [], "metaData": {}}
    estate = connect.estate(
        EstateSettings.from_environment(environment),
        kind="lab",
        now=lambda: time.moment - timedelta(days=1),
        clock=time.now,
        sleep=time.sleep,
        transport={name: server.transport() for name, server in servers.items()},
    )
    assert estate.platforms == {Platform.FALCON, Platform.SENTINELONE, Platform.SENTINEL, Platform.DEFENDER}
    assert estate.name == "falcon.test, s1.test, tenant tenant-1"
    assert estate.retention_days == {Platform.DEFENDER: 30}
    assert estate.now() == time.moment - timedelta(days=1)
    assert estate.reader(Platform.SENTINEL) is estate.reader(Platform.DEFENDER)
    probes = [item for reader in estate.readers for item in await probe(reader)]
    assert all(item.ok for item in probes), probes
    assert {item.platform for item in probes} == {"falcon", "sentinelone", "sentinel", "defender"}
    await estate.aclose()


async def test_nothing_configured_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"Lab\.open\(\)\.estate\(\)"):
        connect.estate(EstateSettings())
    assert connect.responders(ActingSettings()) == {}


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_ca_file_that_cannot_be_read(content: str | None, environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    settings = EstateSettings.from_environment(environment | {"TRACEHOUND_CA_FILE": str(path)})
    with pytest.raises(ConfigurationError, match="TRACEHOUND_CA_FILE"):
        connect.estate(settings)


def test_a_proxy_that_is_none(environment: dict[str, str]) -> None:
    settings = EstateSettings.from_environment(environment | {"TRACEHOUND_PROXY": "gopher://x"})
    with pytest.raises(ConfigurationError, match="TRACEHOUND_PROXY"):
        connect.estate(settings)


async def test_a_reader_without_a_probe_is_told_apart() -> None:
    class Plain:
        platforms = frozenset({Platform.FALCON})

        async def run(self, query: Any) -> Any: ...
        async def find_alert(self, alert_id: str) -> None: ...
        async def aclose(self) -> None: ...

    assert await probe(Plain()) == [Probe("falcon", True, "connected; this reader has no probe")]


# readers cannot act


ROOM = Path(inspect.getfile(package)).parent
READERS = [
    *("falcon", "falcon_api", "falcon_search"),
    *("sentinelone", "sentinelone_api", "sentinelone_dv"),
    *("microsoft", "microsoft_api"),
]


def test_readers_have_no_word_that_changes_anything(environment: dict[str, str]) -> None:
    estate = connect.estate(EstateSettings.from_environment(environment))
    allowed = {"run", "find_alert", "probe", "aclose", "platforms"}
    for reader in estate.readers:
        assert {name for name in dir(reader) if not name.startswith("_")} == allowed
        for value in vars(reader).values():
            assert not isinstance(value, ActingSession)
            for below in value.values() if isinstance(value, dict) else [value]:
                assert not hasattr(below, "change")


@pytest.mark.parametrize("module", READERS)
def test_no_operation_of_a_reader_changes_the_world(module: str) -> None:
    from importlib import import_module

    loaded = import_module(f"{package.__name__}.{module}")
    operations = [value for value in vars(loaded).values() if isinstance(value, Operation)]
    for group in (value for value in vars(loaded).values() if isinstance(value, dict)):
        operations += [value for value in group.values() if isinstance(value, Operation)]
    assert not [operation.name for operation in operations if operation.changes]
    words = ("actions", "contain", "isolate", "mitigate", "disconnect", "analyst-verdict", "v3")
    assert not [operation.path for operation in operations if any(word in operation.path for word in words)]
    assert "_response" not in (ROOM / f"{module}.py").read_text(encoding="utf-8")


def test_the_room_reads_no_environment_and_knows_no_room_above() -> None:
    for path in ROOM.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level < 2:
                names.append(node.module or "")
            assert not {"os", "agent", "graphs", "evals"} & {name.split(".")[0] for name in names}, path.name


def test_readers_are_readers(environment: dict[str, str]) -> None:
    readers: list[Reader] = list(connect.estate(EstateSettings.from_environment(environment)).readers)
    assert len(readers) == 3
