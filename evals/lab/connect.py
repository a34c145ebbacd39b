"""A lab as an estate: the real vendor clients, talking to the lab's servers instead of the network."""

from collections.abc import Callable, Mapping

from ...tools.languages.query import Platform
from ...tools.vendors.connect import estate
from ...tools.vendors.estate import Estate
from ...tools.vendors.settings import EstateSettings
from .apps import by_host
from .folder import LabFolder, open_world
from .microsoft_app import TENANT, WORKSPACE
from .state import LabState
from .transport import LabTransport
from .wire import World

RETENTION_DAYS = 14
"""Days of raw events in a lab."""

LONGEST_WINDOW = 61.0
"""Seconds of the servers' time that pass before a new process calls: the rate windows of the one before are over."""

Settings = Mapping[str, Mapping[str, str]]
"""Vendor to its settings, named as `TRACEHOUND_<VENDOR>_<SETTING>` in lower case."""

_HOSTS = {
    "falcon": {"base_url": "https://falcon.lab"},
    "sentinelone": {"base_url": "https://sentinelone.lab"},
    "microsoft": {
        "base_url": "https://graph.lab",
        "login_url": "https://login.lab",
        "loganalytics_url": "https://loganalytics.lab",
        "graph_url": "https://graph.lab",
        "mde_url": "https://mde.lab",
    },
}


def estate_for(lab: LabFolder) -> Estate:
    """The connected vendors of a lab, in this process. Their waits take no time.

    Raises:
        StorageError: the lab's files cannot be opened.
    """
    world = open_world(lab)
    world.clock.advance(LONGEST_WINDOW)
    return estate(
        EstateSettings.from_environment(environment(settings_of(world.state))),
        kind="lab",
        name=str(lab.directory),
        now=lambda: world.clock.telemetry_end,
        clock=world.clock.now,
        sleep=world.clock.sleep,
        transport=_transports(world),
        retention_days=dict.fromkeys(Platform, RETENTION_DAYS),
    )


def settings_of(state: LabState, address: str | None = None, *, unhurried: bool = False) -> Settings:
    """Every setting with which a client reaches the lab, the acting ones too.

    Args:
        state: the lab's state, which holds its credentials.
        address: one base URL for all vendors; None: the host names of the in-process lab.
        unhurried: the lab takes the vendors' waits upon itself, so that clients need not pace themselves.
    """
    found: dict[str, dict[str, str]] = {}
    for vendor, addresses in _HOSTS.items():
        fixed = {name: address or host for name, host in addresses.items()}
        if vendor == "microsoft":
            fixed |= {"tenant_id": TENANT, "workspace_id": WORKSPACE}
        if vendor == "sentinelone" and unhurried:
            fixed["query_interval"] = "0"
        found[vendor] = {
            f"{name}{suffix}": value
            for role, suffix in (("reading", ""), ("acting", "_acting"))
            for name, value in {**fixed, **_secrets(state, vendor, role)}.items()
        }
    return found


def environment(settings: Settings, ca_file: str | None = None) -> dict[str, str]:
    """The same as `TRACEHOUND_*` variables."""
    found = {
        f"TRACEHOUND_{vendor}_{name}".upper(): value
        for vendor, values in settings.items()
        for name, value in values.items()
    }
    return found | ({"TRACEHOUND_CA_FILE": ca_file} if ca_file else {})


def _secrets(state: LabState, vendor: str, role: str) -> dict[str, str]:
    known = state.credential(vendor, "acting" if role == "acting" else "reading")
    if vendor == "sentinelone":
        return {"api_token": known.secret}
    return {"client_id": known.client_id, "client_secret": known.secret}


def _transports(world: World) -> dict[str, LabTransport]:
    """One for each vendor's client; the last that is closed closes the lab's files."""
    servers = by_host(world)
    open_ones = set(_HOSTS)

    def closing(vendor: str) -> Callable[[], None]:
        def close() -> None:
            if vendor in open_ones:
                open_ones.remove(vendor)
                if not open_ones:
                    world.close()

        return close

    return {vendor: LabTransport(world, servers, closing(vendor)) for vendor in _HOSTS}
