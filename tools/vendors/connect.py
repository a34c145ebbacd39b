"""From settings to the connected vendors: readers for the investigation, responders for the executor."""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio
import httpx

from ...knowledge.errors import ConfigurationError
from ..languages.query import Platform
from .estate import Estate, Reader, Responder
from .falcon import Falcon
from .falcon_response import FalconResponder
from .microsoft import HUNTING_DAYS, Microsoft
from .microsoft_metadata import workspace_metadata
from .microsoft_response import DefenderResponder
from .pacing import Clock, wall_clock
from .sentinelone import SentinelOne
from .sentinelone_response import SentinelOneResponder
from .settings import ActingSettings, EstateSettings

Transport = httpx.AsyncBaseTransport | Mapping[str, httpx.AsyncBaseTransport] | None
"""Where requests go instead of the network: one for all vendors, or one by `falcon`, `sentinelone`, `microsoft`."""


def estate(
    settings: EstateSettings,
    *,
    kind: Literal["lab", "live"] = "live",
    name: str = "",
    now: Callable[[], datetime] = wall_clock,
    clock: Callable[[], datetime] = wall_clock,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    transport: Transport = None,
    retention_days: Mapping[Platform, int] | None = None,
) -> Estate:
    """The connected vendors.

    `now` is what "now" means to an analyst, and may stand still. `clock` and `sleep` are the time by which tokens age
    and rate limits run: the machine's, or a lab's that jumps instead of waiting.

    Raises:
        ConfigurationError: no vendor is configured, or the CA file cannot be read.
    """
    if settings.is_empty:
        raise ConfigurationError(
            "no vendor is configured: set TRACEHOUND_FALCON_*, TRACEHOUND_SENTINELONE_* or TRACEHOUND_MICROSOFT_*, "
            "or use Lab.open().estate()"
        )
    time = Clock(clock, sleep)
    connections = _Connections(settings, transport)
    readers: list[Reader] = []
    if settings.falcon:
        readers.append(Falcon(settings.falcon, connections.client("falcon"), time, now))
    if settings.sentinelone:
        readers.append(SentinelOne(settings.sentinelone, connections.client("sentinelone"), time))
    if settings.microsoft:
        readers.append(Microsoft(settings.microsoft, connections.client("microsoft"), time, now))
    connected = Estate(
        kind=kind,
        readers=tuple(readers),
        now=now,
        name=name or _tenants(settings),
        retention_days={Platform.DEFENDER: HUNTING_DAYS} if retention_days is None else retention_days,
        tenants={Platform.DEFENDER: settings.microsoft.tenant_id} if settings.microsoft else {},
    )
    return replace(connected, retention_days=_of(connected.platforms, connected.retention_days))


def responders(
    settings: ActingSettings,
    *,
    clock: Callable[[], datetime] = wall_clock,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    transport: Transport = None,
) -> dict[Platform, Responder]:
    """Who can act, by platform: the executor's side. Platforms without an acting credential are absent.

    Raises:
        ConfigurationError: the CA file cannot be read.
    """
    time, connections = Clock(clock, sleep), _Connections(settings, transport)
    found: list[Responder] = []
    if settings.falcon:
        found.append(FalconResponder(settings.falcon, connections.client("falcon"), time))
    if settings.sentinelone:
        found.append(SentinelOneResponder(settings.sentinelone, connections.client("sentinelone"), time))
    if settings.microsoft:
        found.append(DefenderResponder(settings.microsoft, connections.client("microsoft"), time))
    return {responder.platform: responder for responder in found}


async def workspace(settings: EstateSettings, *, transport: Transport = None) -> Mapping[str, Any]:
    """What the connected workspace of Log Analytics knows of its tables and functions, see `workspace_metadata`.

    Raises:
        ConfigurationError: no workspace is configured.
        VendorError: it gives no usable answer.
    """
    if settings.microsoft is None:
        raise ConfigurationError(
            "no workspace is connected; set TRACEHOUND_MICROSOFT_TENANT_ID, _CLIENT_ID, "
            "_CLIENT_SECRET and _WORKSPACE_ID"
        )
    async with _Connections(settings, transport).client("microsoft") as client:
        return await workspace_metadata(settings.microsoft, client)


@dataclass(frozen=True)
class _Connections:
    """Makes the HTTP clients, one per vendor."""

    settings: EstateSettings | ActingSettings
    transport: Transport

    def client(self, vendor: str) -> httpx.AsyncClient:
        # The process's environment is not consulted here: proxy and authorities are settings like any other.
        given = self.transport.get(vendor) if isinstance(self.transport, Mapping) else self.transport
        if given is not None:
            return httpx.AsyncClient(transport=given, trust_env=False)
        limits = httpx.Limits(max_connections=20, max_keepalive_connections=10)
        proxy = self.settings.proxy
        direct = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")} if proxy else {}
        try:
            return httpx.AsyncClient(
                verify=_authorities(self.settings.ca_file), limits=limits, proxy=proxy, mounts=direct, trust_env=False
            )
        except (ValueError, httpx.InvalidURL):
            raise ConfigurationError(
                "TRACEHOUND_PROXY is not the address of a proxy, such as http://proxy:3128"
            ) from None


def _authorities(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(Path(ca_file))
        except OSError as exc:
            raise ConfigurationError(f"TRACEHOUND_CA_FILE {ca_file} cannot be read: {exc.strerror or exc}") from exc
    return context


def _tenants(settings: EstateSettings) -> str:
    addresses = [
        urlsplit(settings.falcon.base_url).netloc if settings.falcon else "",
        urlsplit(settings.sentinelone.base_url).netloc if settings.sentinelone else "",
        f"tenant {settings.microsoft.tenant_id}" if settings.microsoft else "",
    ]
    return ", ".join(address for address in addresses if address)


def _of(platforms: frozenset[Platform], days: Mapping[Platform, int]) -> dict[Platform, int]:
    return {platform: days[platform] for platform in platforms if platform in days}
