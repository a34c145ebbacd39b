"""The responder of Microsoft Defender for Endpoint: isolate a machine, release it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import httpx

from ...knowledge.errors import VendorRefusedError, VendorResponseError
from ..languages.query import Platform
from .estate import DeviceState, Receipt
from .microsoft_api import DEFENDER, Tenant
from .pacing import Clock, Rate
from .responding import one_device, said
from .settings import MicrosoftSettings
from .transport import ActingSession
from .wire import Operation, parse_time

_READ = "the application permission Machine.Read.All"
MACHINE = Operation("machine by id", "GET", "/api/machines/{id}", _READ, audience=DEFENDER)
ACTIONS = Operation("machine actions", "GET", "/api/machineactions", _READ, audience=DEFENDER)
ISOLATE = Operation(
    "isolate",
    "POST",
    "/api/machines/{id}/isolate",
    "the application permission Machine.Isolate",
    audience=DEFENDER,
    changes=True,
)
RELEASE = Operation(
    "unisolate",
    "POST",
    "/api/machines/{id}/unisolate",
    "the application permission Machine.Isolate",
    audience=DEFENDER,
    changes=True,
)

Containment = Literal["normal", "contained", "pending", "lifting", "unknown"]
_RUNNING = frozenset({"Pending", "InProgress"})
_STATES: Mapping[tuple[str, bool], Containment] = {
    ("Isolate", True): "pending",
    ("Isolate", False): "contained",
    ("Unisolate", True): "lifting",
    ("Unisolate", False): "normal",
}


class DefenderResponder:
    """Acts on the machines of one Defender tenant with the acting credential."""

    platform = Platform.DEFENDER

    def __init__(self, settings: MicrosoftSettings, client: httpx.AsyncClient, clock: Clock | None = None) -> None:
        self._settings, self._client = settings, client
        tenant = Tenant.of(settings, client, clock or Clock())
        self._session = tenant.session(
            ActingSession, "Defender", "defender", settings.mde_url, "MDE_URL", Rate(100, 60, burst=20), 5
        )

    async def device(self, device_id: str) -> DeviceState:
        """The machine as Defender knows it now. Its isolation follows from its latest isolate and unisolate actions.

        Raises:
            VendorRefusedError: no such machine.
        """
        wanted = one_device(device_id)
        machine = (await self._session.read(MACHINE, place={"id": wanted})).body
        if str(machine.get("id")) != wanted:
            raise self._session.error(VendorResponseError, MACHINE, f"answered about another machine than {wanted}")
        return DeviceState(
            platform=self.platform,
            device_id=wanted,
            hostname=str(machine.get("computerDnsName") or ""),
            tenant=self._settings.tenant_id,
            last_seen=parse_time(machine.get("lastSeen")),
            containment=containment(await self._actions(wanted)),
            raw=machine,
        )

    async def isolate(self, device_id: str, *, comment: str) -> Receipt:
        """Isolate fully; Defender keeps the comment."""
        return await self._act(ISOLATE, device_id, {"Comment": said(comment), "IsolationType": "Full"})

    async def release(self, device_id: str, *, comment: str) -> Receipt:
        """Release from isolation; Defender keeps the comment."""
        return await self._act(RELEASE, device_id, {"Comment": said(comment)})

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _actions(self, machine: str) -> list[dict[str, Any]]:
        params = [("$filter", f"machineId eq '{machine}'"), ("$orderby", "creationDateTimeUtc desc"), ("$top", "100")]
        reply = await self._session.read(ACTIONS, params=params)
        actions = reply.body.get("value")
        if not isinstance(actions, list):
            raise self._session.error(VendorResponseError, ACTIONS, "sent no list of actions", status=reply.status)
        return [item for item in actions if isinstance(item, dict) and item.get("machineId") == machine]

    async def _act(self, operation: Operation, device_id: str, body: Mapping[str, Any]) -> Receipt:
        wanted = one_device(device_id)
        try:
            reply = await self._session.change(operation, place={"id": wanted}, body=body)
        except VendorRefusedError as exc:
            if "ActiveRequestAlreadyExists" in str(exc):
                return Receipt(False, exc.request_id, str(exc))
            raise
        action, state = reply.body.get("id"), str(reply.body.get("status"))
        if not action or state in ("Failed", "TimeOut", "Cancelled"):
            return Receipt(False, str(action) if action else reply.request_id, f"the machine action is {state}")
        return Receipt(True, str(action), f"machine action {action} is {state}; its status shows when it is done")


def containment(actions: Sequence[Mapping[str, Any]]) -> Containment:
    """The state that isolate and unisolate actions leave behind: the latest that runs or succeeded decides."""
    latest_first = sorted(actions, key=lambda item: str(item.get("creationDateTimeUtc")), reverse=True)
    for item in latest_first:
        kind, status = str(item.get("type")), str(item.get("status"))
        if kind in ("Isolate", "Unisolate") and (status in _RUNNING or status == "Succeeded"):
            return _STATES[kind, status in _RUNNING]
    return "normal"
