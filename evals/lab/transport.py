"""The way from an httpx client to the lab's servers in the same process."""

from collections.abc import Callable

import httpx
from starlette.types import ASGIApp

from .apps import by_host
from .wire import Silence, World

_PATIENCE = 60.0
"""Seconds that a client without a time-out of its own is made to wait."""


class LabTransport(httpx.AsyncBaseTransport):
    """Answers `https://<vendor>.lab/...` from the lab; other hosts get status 404. Time-outs run on the lab's clock."""

    def __init__(self, world: World, servers: ASGIApp | None = None, closed: Callable[[], None] | None = None) -> None:
        """Serve one client.

        Args:
            world: the lab.
            servers: its servers, where several clients share them.
            closed: called when the client closes.
        """
        self._clock, self._closed = world.clock, closed
        self._inner = httpx.ASGITransport(app=servers or by_host(world))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises:
            httpx.ReadTimeout: the lab does not answer, as a fault told it.
        """
        try:
            return await self._inner.handle_async_request(request)
        except Silence:
            timeout = request.extensions.get("timeout", {}).get("read")
            await self._clock.sleep(_PATIENCE if timeout is None else timeout)
            raise httpx.ReadTimeout("the vendor did not answer", request=request) from None

    async def aclose(self) -> None:
        """Tell whoever opened the lab."""
        if self._closed:
            self._closed()
