from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from tracehound.knowledge.errors import (
    UsageError,
    VendorError,
    VendorRefusedError,
    VendorResponseError,
    VendorUnavailableError,
)
from tracehound.tools.languages.query import Platform
from tracehound.tools.vendors import connect
from tracehound.tools.vendors.attribution import attributed
from tracehound.tools.vendors.estate import Responder
from tracehound.tools.vendors.microsoft_response import containment
from tracehound.tools.vendors.settings import ActingSettings

pytestmark = pytest.mark.anyio
HOST = f"{3:032x}"
AGENT = str(10**17 + 1)
MACHINE = "ab" * 20
NOTE = "approval A-1 by lead"


@pytest.fixture
async def acting(
    environment: dict[str, str], falcon: Any, sentinelone: Any, microsoft: Any, time: Any
) -> AsyncIterator[Mapping[Platform, Responder]]:
    servers = {"falcon": falcon, "sentinelone": sentinelone, "microsoft": microsoft}
    transports = {name: server.transport() for name, server in servers.items()}
    settings = ActingSettings.from_environment(environment)
    found = connect.responders(settings, clock=time.now, sleep=time.sleep, transport=transports)
    yield found
    for responder in found.values():
        await responder.aclose()


CASES = [
    (Platform.FALCON, HOST, "falcon", "act", "contained"),
    (Platform.SENTINELONE, AGENT, "sentinelone", "disconnect", "disconnected"),
    (Platform.DEFENDER, MACHINE, "microsoft", "isolate", "Succeeded"),
]


@pytest.mark.parametrize(("platform", "device", "server", "operation", "done"), CASES, ids=lambda value: str(value))
async def test_isolate_and_release(
    platform: Platform, device: str, server: str, operation: str, done: str, acting: Any, request: Any
) -> None:
    responder: Responder = acting[platform]
    vendor = request.getfixturevalue(server)
    before = await responder.device(device)
    assert (before.platform, before.device_id, before.containment) == (platform, device, "normal")
    assert before.hostname
    assert before.tenant
    receipt = await responder.isolate(device, comment=NOTE)
    assert receipt.accepted
    assert (await responder.device(device)).containment == "pending", "accepted is not done"
    again = await responder.isolate(device, comment=NOTE)
    assert not again.accepted
    assert again.detail
    settle(vendor, device, done)
    assert (await responder.device(device)).containment == "contained"
    assert (await responder.release(device, comment=NOTE)).accepted
    assert (await responder.device(device)).containment == "lifting"


def settle(vendor: Any, device: str, done: str) -> None:
    for row in [*getattr(vendor, "hosts", []), *getattr(vendor, "agents", []), *getattr(vendor, "actions", [])]:
        for key in ("status", "networkStatus"):
            if key in row and device in row.values():
                row[key] = done


async def test_falcon_names_one_host_and_gives_its_token_back(acting: Any, falcon: Any) -> None:
    with attributed(approval="A-1"):
        receipt = await acting[Platform.FALCON].isolate(HOST, comment=NOTE)
    (body,) = falcon.named("act")
    assert body == {"ids": [HOST], "action_name": "contain"}
    assert receipt.vendor_reference == "trace-1"
    agent = next(request for name, request, _ in falcon.calls if name == "act").headers["user-agent"]
    assert "approval=A-1" in agent
    await acting[Platform.FALCON].aclose()
    assert falcon.tokens == set()


async def test_falcon_accepts_only_what_it_confirms(acting: Any, falcon: Any) -> None:
    falcon.faults["act"] = [
        JSONResponse({"resources": [], "errors": None}, 202),
        JSONResponse({"resources": [{"id": HOST}], "errors": [{"code": 500, "message": "odd"}]}, 202),
    ]
    assert not (await acting[Platform.FALCON].isolate(HOST, comment=NOTE)).accepted
    assert not (await acting[Platform.FALCON].isolate(HOST, comment=NOTE)).accepted


async def test_sentinelone_always_names_one_agent(acting: Any, sentinelone: Any) -> None:
    await acting[Platform.SENTINELONE].isolate(AGENT, comment=NOTE)
    (body,) = sentinelone.named("disconnect")
    assert body["filter"] == {"ids": [AGENT]}


@pytest.mark.parametrize("affected", [0, 2])
async def test_sentinelone_must_affect_exactly_one(affected: int, acting: Any, sentinelone: Any) -> None:
    sentinelone.affected = affected
    receipt = await acting[Platform.SENTINELONE].isolate(AGENT, comment=NOTE)
    assert not receipt.accepted
    assert str(affected) in receipt.detail


async def test_sentinelone_that_does_not_say_is_an_error(acting: Any, sentinelone: Any) -> None:
    sentinelone.faults["disconnect"] = [JSONResponse({"data": {"ok": True}})]
    with pytest.raises(VendorResponseError, match="how many"):
        await acting[Platform.SENTINELONE].isolate(AGENT, comment=NOTE)


async def test_defender_keeps_the_comment(acting: Any, microsoft: Any) -> None:
    receipt = await acting[Platform.DEFENDER].isolate(MACHINE, comment=NOTE)
    assert microsoft.named("isolate") == [{"Comment": NOTE, "IsolationType": "Full"}]
    assert receipt.vendor_reference == "action-0"
    scopes = {body["scope"] for body in microsoft.named("token")}
    assert scopes == {"https://api.securitycenter.microsoft.com/.default"}


async def test_defender_other_refusals_are_errors(acting: Any, microsoft: Any) -> None:
    microsoft.faults["isolate"] = [microsoft.error(400, "OsNotSupported", "too old")]
    with pytest.raises(VendorRefusedError, match="too old"):
        await acting[Platform.DEFENDER].isolate(MACHINE, comment=NOTE)


@pytest.mark.parametrize("platform", [Platform.FALCON, Platform.SENTINELONE, Platform.DEFENDER])
@pytest.mark.parametrize("device", ["", " ", "a,b", "a b", "*", "../x", "a'", "x" * 65])
async def test_an_action_names_exactly_one_device(
    platform: Platform, device: str, acting: Any, falcon: Any, sentinelone: Any, microsoft: Any
) -> None:
    for call in (acting[platform].isolate(device, comment=NOTE), acting[platform].release(device, comment=NOTE)):
        with pytest.raises(UsageError, match="exactly one"):
            await call
    with pytest.raises(UsageError, match="exactly one"):
        await acting[platform].device(device)
    assert falcon.calls == sentinelone.calls == microsoft.calls == []


@pytest.mark.parametrize(("platform", "device"), [case[:2] for case in CASES])
async def test_an_action_needs_a_comment(platform: Platform, device: str, acting: Any) -> None:
    with pytest.raises(UsageError, match="comment"):
        await acting[platform].isolate(device, comment="  ")


@pytest.mark.parametrize("platform", [Platform.FALCON, Platform.SENTINELONE, Platform.DEFENDER])
async def test_an_unknown_device_is_refused(platform: Platform, acting: Any) -> None:
    with pytest.raises(VendorRefusedError) as caught:
        await acting[platform].device("f" * 32)
    assert caught.value.status == 404


@pytest.mark.parametrize(("platform", "device", "server", "operation", "done"), CASES, ids=lambda value: str(value))
@pytest.mark.parametrize("fault", [503, 429, 401, "timeout"])
async def test_an_action_is_sent_once(
    fault: int | str,
    platform: Platform,
    device: str,
    server: str,
    operation: str,
    done: str,
    acting: Any,
    request: Any,
    time: Any,
) -> None:
    vendor = request.getfixturevalue(server)
    answer: Any = httpx.ReadTimeout("?") if fault == "timeout" else Response(status_code=int(fault))
    vendor.faults[operation] = [answer]
    with pytest.raises(VendorError) as caught:
        await acting[platform].isolate(device, comment=NOTE)
    assert len(vendor.named(operation)) == 1
    assert time.slept == []
    if fault in (503, "timeout"):
        assert isinstance(caught.value, VendorUnavailableError)
        assert "not known" in str(caught.value)


def action(kind: str, status: str, minute: int) -> dict[str, Any]:
    return {"type": kind, "status": status, "creationDateTimeUtc": f"2026-03-02T12:{minute:02}:00Z"}


@pytest.mark.parametrize(
    ("actions", "state"),
    [
        ([], "normal"),
        ([action("Isolate", "Pending", 1)], "pending"),
        ([action("Isolate", "InProgress", 1)], "pending"),
        ([action("Isolate", "Succeeded", 1)], "contained"),
        ([action("Isolate", "Succeeded", 1), action("Unisolate", "Pending", 2)], "lifting"),
        ([action("Unisolate", "Succeeded", 2), action("Isolate", "Succeeded", 1)], "normal"),
        ([action("Isolate", "Succeeded", 1), action("Unisolate", "Failed", 2)], "contained"),
        ([action("Isolate", "Cancelled", 1)], "normal"),
        ([action("RunAntiVirusScan", "Succeeded", 5), action("Isolate", "Succeeded", 1)], "contained"),
    ],
)
def test_what_machine_actions_leave_behind(actions: list[dict[str, Any]], state: str) -> None:
    assert containment(actions) == state
