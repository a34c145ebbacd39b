"""What the lab's three vendor servers have in common: who calls, what is disturbed, what is journalled."""

import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from .clock import LabClock
from .state import LabState, Role
from .telemetry import Telemetry

_APPROVAL = re.compile(r"approval[=:\s]+(?P<id>[A-Za-z][\w.-]*)", re.IGNORECASE)
_HANGS = 600.0
"""Seconds that a call without answer stays open over a socket."""
_LOGIN_PAGE = "<!doctype html><title>Sign in</title><form method=post><input name=user><input name=password></form>"


@dataclass(frozen=True, slots=True)
class World:
    """What every server of one lab stands on."""

    telemetry: Telemetry
    state: LabState
    clock: LabClock
    remote: bool = False
    """Callers come over sockets and keep their own time."""
    delay: float = 0.0
    """Seconds added to every answer, as a distant vendor would."""

    def close(self) -> None:
        """Let go of the lab's files."""
        self.telemetry.close()
        self.state.close()

    @property
    def patient(self) -> bool:
        """A call that comes too early is answered as if its caller had waited: the clock jumps, the caller cannot."""
        return self.remote and not self.clock.real_time


class Silence(Exception):
    """No answer will come. The in-process transport turns this into the client's time-out."""


class Refusal(Exception):
    """The vendor says no; its server writes this in its own shape."""

    def __init__(
        self, status: int, message: str, *, code: str | int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, dict(headers or {})


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read and authenticated."""

    request: Request
    body: dict[str, Any]
    role: Role | None
    fault: str | None

    def param(self, name: str, default: str = "") -> str:
        """A query parameter."""
        return self.request.query_params.get(name, default)

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """An integer query parameter within bounds.

        Raises:
            Refusal: 400, it is not one.
        """
        return bounded(name, self.param(name, str(default)), low, high)


Handler = Callable[[Call], Awaitable[Response]]


class Vendor(ABC):
    """One vendor's server."""

    name: ClassVar[str]

    def __init__(self, world: World) -> None:
        self.world = world
        self.state, self.clock, self.telemetry = world.state, world.clock, world.telemetry

    @abstractmethod
    def routes(self) -> list[Route]:
        """The paths that this vendor serves."""

    @abstractmethod
    def refuse(self, refusal: Refusal) -> Response:
        """A refusal in the vendor's shape."""

    @abstractmethod
    def authenticate(self, request: Request, audience: str) -> Role:
        """Who calls.

        Raises:
            Refusal: nobody that this vendor knows.
        """

    @abstractmethod
    def too_many(self, wait: float, *, say_when: bool) -> Refusal:
        """The vendor's own way to ask for patience, `wait` in seconds."""

    def forbidden(self, operation: str) -> Refusal:
        """The credential may not do this."""
        return Refusal(403, f"access denied, authorization failed for {operation}")

    def headers(self) -> Mapping[str, str]:
        """What every answer of the vendor carries."""
        return {}

    def epoch(self) -> float:
        """The caller's time in seconds since 1970: the wall's over sockets, the lab's clock in process."""
        return time.time() if self.world.remote else self.clock.now().timestamp()

    def app(self) -> Starlette:
        """The server."""
        return Starlette(routes=self.routes())

    def route(
        self,
        method: str,
        path: str,
        handler: Handler,
        *,
        operation: str,
        changes: bool = False,
        open_to_all: bool = False,
        audience: str = "",
    ) -> Route:
        """One endpoint.

        `changes` endpoints need the acting credential and are journalled; `open_to_all` ones need no token.
        """

        async def serve(request: Request) -> Response:
            with self.clock.working():
                if self.world.delay:
                    await anyio.sleep(self.world.delay)
                return await self._answer(request, handler, operation, changes, open_to_all, audience)

        return Route(path, serve, methods=[method])

    async def _answer(
        self, request: Request, handler: Handler, operation: str, changes: bool, open_to_all: bool, audience: str
    ) -> Response:
        fault = self.state.take_fault(self.name, operation)
        role: Role | None = None
        body: dict[str, Any] = {}
        try:
            await self._disturb(fault, operation)
            role = None if open_to_all else self.authenticate(request, audience)
            body = await read_body(request)
            if changes and role != "acting":
                raise self.forbidden(operation)
            answer = await handler(Call(request, body, role, fault))
            outcome = "accepted"
        except Refusal as refusal:
            answer = self.refuse(refusal)
            outcome = refusal.message
        if changes:
            self._journal(request, body, operation, role, answer.status_code, outcome)
        if fault == "html_200":
            return HTMLResponse(_LOGIN_PAGE)
        if fault == "truncated":
            whole = bytes(answer.body)
            answer = Response(whole[: len(whole) // 2], answer.status_code, media_type="application/json")
        for name, value in self.headers().items():
            answer.headers.setdefault(name, value)
        return answer

    async def _disturb(self, fault: str | None, operation: str) -> None:
        match fault:
            case "429" | "429_once":
                raise self.too_many(5.0, say_when=True)
            case "429_no_header":
                raise self.too_many(5.0, say_when=False)
            case "500":
                raise Refusal(500, "Internal server error")
            case "503_burst":
                raise Refusal(503, "Service unavailable")
            case "401_once":
                raise Refusal(401, "access denied, invalid bearer token")
            case "403":
                raise self.forbidden(operation)
            case "timeout" | "timeout_once":
                if self.world.remote:
                    await anyio.sleep(_HANGS)
                    raise Refusal(504, "Gateway time-out")
                raise Silence
            case _:
                return

    def limit(self, bucket: str, calls: int, seconds: float) -> int:
        """Count a call against a rate limit and say how many are left.

        Raises:
            Refusal: 429, the window is full.
        """
        admission = self.state.admit(f"{self.name}:{bucket}", calls, seconds)
        if not admission.admitted and self.world.patient:
            self.clock.advance(admission.wait)
            admission = self.state.admit(f"{self.name}:{bucket}", calls, seconds)
        if not admission.admitted:
            raise self.too_many(admission.wait, say_when=True)
        return admission.remaining

    def _journal(
        self, request: Request, body: Mapping[str, Any], operation: str, role: Role | None, status: int, outcome: str
    ) -> None:
        agent = request.headers.get("user-agent", "")
        said = _APPROVAL.search(agent) or _APPROVAL.search(str(body.get("Comment", "")))
        self.state.record(
            {
                "time": self.clock.stamp(),
                "vendor": self.name,
                "operation": operation,
                "target": ", ".join(_targets(request, body)),
                "credential": role or "",
                "user_agent": agent,
                "approval": said["id"] if said else None,
                "status": status,
                "outcome": outcome,
            }
        )


async def read_body(request: Request) -> dict[str, Any]:
    """The body, JSON or form.

    Raises:
        Refusal: 400, it is neither.
    """
    raw = await request.body()
    if not raw:
        return {}
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(raw.decode("utf-8", "replace")))
    try:
        body = json.loads(raw)
    except ValueError as exc:
        raise Refusal(400, f"the body is not JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise Refusal(400, "the body must be a JSON object")
    return body


def bounded(name: str, text: object, low: int, high: int) -> int:
    """An integer within bounds.

    Raises:
        Refusal: 400, it is not one.
    """
    try:
        number = int(str(text))
    except ValueError:
        raise Refusal(400, f"{name}: {text!r} is not a number") from None
    if not low <= number <= high:
        raise Refusal(400, f"{name}: must be between {low} and {high}")
    return number


def bearer(request: Request) -> str:
    """The token of an `Authorization: Bearer` header, or nothing."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return JSONResponse(content, status, headers)


def _targets(request: Request, body: Mapping[str, Any]) -> list[str]:
    if "id" in request.path_params:
        return [str(request.path_params["id"])]
    scope = body.get("filter")
    for place in (body, scope if isinstance(scope, dict) else {}):
        for key in ("ids", "composite_ids"):
            if isinstance(place.get(key), list):
                return [str(item) for item in place[key]]
    return []
