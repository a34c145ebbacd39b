"""The responder of CrowdStrike Falcon: contain a host, lift the containment."""

from collections.abc import Mapping
from typing import Literal

import httpx

from ...knowledge.errors import VendorRefusedError
from ..languages.query import Platform
from .estate import DeviceState, Receipt
from .falcon import with_tokens
from .falcon_api import resources
from .pacing import Clock
from .responding import one_device, said
from .settings import FalconSettings
from .transport import ActingSession
from .wire import Operation, parse_time

DEVICE = Operation("host by id", "POST", "/devices/entities/devices/v2", "the scope Hosts:read")
ACT = Operation("containment", "POST", "/devices/entities/devices-actions/v2", "the scope Hosts:write", changes=True)

_STATES: Mapping[str, Literal["normal", "contained", "pending", "lifting"]] = {
    "normal": "normal",
    "contained": "contained",
    "containment_pending": "pending",
    "lift_containment_pending": "lifting",
}


class FalconResponder:
    """Acts on one CrowdStrike tenant with the acting credential, and gives its token back at the end."""

    platform = Platform.FALCON

    def __init__(self, settings: FalconSettings, client: httpx.AsyncClient, clock: Clock | None = None) -> None:
        self._client = client
        self._session, self._tokens, self._desk = with_tokens(ActingSession, settings, client, clock or Clock())

    async def device(self, device_id: str) -> DeviceState:
        """The host as Falcon knows it now.

        Raises:
            VendorRefusedError: no such host.
        """
        wanted = one_device(device_id)
        reply = await self._session.read(DEVICE, body={"ids": [wanted]})
        rows, _ = resources(self._session, DEVICE, reply)
        row = next((row for row in rows if row.get("device_id") == wanted), None)
        if row is None:
            raise self._session.error(VendorRefusedError, DEVICE, f"knows no host {wanted}", status=404)
        return DeviceState(
            platform=self.platform,
            device_id=wanted,
            hostname=str(row.get("hostname") or ""),
            tenant=str(row.get("cid") or ""),
            last_seen=parse_time(row.get("last_seen")),
            containment=_STATES.get(str(row.get("status")), "unknown"),
            raw=row,
        )

    async def isolate(self, device_id: str, *, comment: str) -> Receipt:
        """Contain: 202 means queued. Falcon takes no comment; the User-Agent carries the approval."""
        return await self._act("contain", device_id, comment)

    async def release(self, device_id: str, *, comment: str) -> Receipt:
        """Lift the containment: 202 means queued."""
        return await self._act("lift_containment", device_id, comment)

    async def aclose(self) -> None:
        """Revoke the token, close connections."""
        await self._desk.revoke(self._tokens.surrender())
        await self._client.aclose()

    async def _act(self, action: str, device_id: str, comment: str) -> Receipt:
        wanted = one_device(device_id)
        said(comment)
        try:
            reply = await self._session.change(ACT, params=[("action_name", action)], body={"ids": [wanted]})
            rows, problem = resources(self._session, ACT, reply)
        except VendorRefusedError as exc:
            if exc.status == 409:
                return Receipt(False, exc.request_id, str(exc))
            raise
        if problem or wanted not in [row.get("id") for row in rows]:
            return Receipt(False, reply.request_id, problem or "Falcon did not name the host in its answer")
        return Receipt(True, reply.request_id, f"{action} is queued; the host's status shows when it is done")
