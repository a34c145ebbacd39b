"""The vendors' servers of one lab."""

from collections.abc import Callable, Mapping

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from .falcon_app import Falcon
from .microsoft_app import DefenderForEndpoint, Entra
from .microsoft_query import Graph, LogAnalytics
from .sentinelone_app import SentinelOne
from .wire import Vendor, World

HOSTS: Mapping[str, Callable[[World], Vendor]] = {
    "falcon.lab": Falcon,
    "sentinelone.lab": SentinelOne,
    "login.lab": Entra,
    "loganalytics.lab": LogAnalytics,
    "graph.lab": Graph,
    "mde.lab": DefenderForEndpoint,
}


def by_host(world: World) -> ASGIApp:
    """Each server under its own host name; any other host is not found."""
    servers = {host: vendor(world).app() for host, vendor in HOSTS.items()}
    nowhere = Starlette()

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        host = next((value.decode() for name, value in scope.get("headers", ()) if name == b"host"), "")
        await servers.get(host.partition(":")[0], nowhere)(scope, receive, send)

    return dispatch


def on_one_port(world: World) -> Starlette:
    """All servers under one address: their paths do not overlap."""
    return Starlette(routes=[route for vendor in HOSTS.values() for route in vendor(world).routes()])
