"""The vendors' servers of one lab, each under its own host name."""

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
_VENDORS: Mapping[str, tuple[str, ...]] = {
    "falcon": ("falcon.lab",),
    "sentinelone": ("sentinelone.lab",),
    "microsoft": ("login.lab", "loganalytics.lab", "graph.lab", "mde.lab"),
}


def by_host(world: World) -> ASGIApp:
    """One ASGI app that answers for every host of the lab; any other host is not found."""
    servers = {host: vendor(world).app() for host, vendor in HOSTS.items()}
    nowhere = Starlette()

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        host = next((value.decode() for name, value in scope.get("headers", ()) if name == b"host"), "")
        await servers.get(host.partition(":")[0], nowhere)(scope, receive, send)

    return dispatch


def by_vendor(world: World) -> Mapping[str, Starlette]:
    """One app for each vendor, for a port of its own: the paths of Microsoft's APIs do not overlap."""
    return {
        name: Starlette(routes=[route for host in hosts for route in HOSTS[host](world).routes()])
        for name, hosts in _VENDORS.items()
    }
