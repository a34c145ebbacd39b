"""The responder of SentinelOne: disconnect an agent's host from the network, connect it again."""

from collections.abc import Mapping
from typing import Literal

import httpx

from ...knowledge.errors import VendorRefusedError, VendorResponseError
from ..languages.query import Platform
from .estate import DeviceState, Receipt
from .pacing import Clock
from .responding import one_device, said
from .sentinelone_api import BASE, data_of, page_of, session
from .settings import SentinelOneSettings
from .transport import ActingSession
from .wire import Operation, parse_time

AGENT = Operation("agent by id", "GET", f"{BASE}/agents", "the permission Endpoints: View")
DISCONNECT = Operation(
    "disconnect", "POST", f"{BASE}/agents/actions/disconnect", "the permission Endpoints: Disconnect", changes=True
)
CONNECT = Operation(
    "connect", "POST", f"{BASE}/agents/actions/connect", "the permission Endpoints: Reconnect", changes=True
)

_STATES: Mapping[str, Literal["normal", "contained", "pending", "lifting"]] = {
    "connected": "normal",
    "disconnected": "contained",
    "disconnecting": "pending",
    "connecting": "lifting",
}


class SentinelOneResponder:
    """Acts on one SentinelOne console with the acting credential."""

    platform = Platform.SENTINELONE

    def __init__(self, settings: SentinelOneSettings, client: httpx.AsyncClient, clock: Clock | None = None) -> None:
        self._client = client
        self._session = session(ActingSession, settings, client, clock or Clock())

    async def device(self, device_id: str) -> DeviceState:
        """The agent as the console knows it now.

        Raises:
            VendorRefusedError: no such agent.
        """
        wanted = one_device(device_id)
        reply = await self._session.read(AGENT, params=[("ids", wanted), ("limit", "1")])
        rows = page_of(self._session, AGENT, reply).rows
        row = next((row for row in rows if str(row.get("id")) == wanted), None)
        if row is None:
            raise self._session.error(VendorRefusedError, AGENT, f"knows no agent {wanted}", status=404)
        return DeviceState(
            platform=self.platform,
            device_id=wanted,
            hostname=str(row.get("computerName") or ""),
            tenant=str(row.get("siteId") or row.get("accountId") or ""),
            last_seen=parse_time(row.get("lastActiveDate")),
            containment=_STATES.get(str(row.get("networkStatus")), "unknown"),
            raw=row,
        )

    async def isolate(self, device_id: str, *, comment: str) -> Receipt:
        """Disconnect. The console takes no comment; the User-Agent carries the approval."""
        return await self._act(DISCONNECT, device_id, comment)

    async def release(self, device_id: str, *, comment: str) -> Receipt:
        """Connect again."""
        return await self._act(CONNECT, device_id, comment)

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _act(self, operation: Operation, device_id: str, comment: str) -> Receipt:
        # The filter always names one id: to the vendor an empty one means every agent in scope.
        wanted = one_device(device_id)
        said(comment)
        reply = await self._session.change(operation, body={"filter": {"ids": [wanted]}, "data": {}})
        data, problem = data_of(self._session, operation, reply)
        affected = data.get("affected") if isinstance(data, dict) else None
        if not isinstance(affected, int):
            what = f"does not say how many agents were affected{f' ({problem})' if problem else ''}"
            raise self._session.error(VendorResponseError, operation, what, status=reply.status)
        if affected != 1:
            return Receipt(False, reply.request_id, f"SentinelOne affected {affected} agents where one was meant")
        return Receipt(True, reply.request_id, problem or "accepted; the agent's network status shows when it is done")
