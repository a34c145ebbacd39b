"""Small vendors, written from their documentation: real Starlette apps that page, poll, cap and refuse."""

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import anyio
import anyio.lowlevel
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tracehound.tools.languages.query import Check, Language, Platform, Query
from tracehound.tools.languages.search import Window
from tracehound.tools.vendors.pacing import Clock

T = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECRET = "canary-secret-do-not-print-7f3a"
JSON = dict[str, Any]
Fault = Response | Exception


class Server:
    """A vendor. `faults[operation]` is a queue of answers that come before the real ones; `calls` is what it saw."""

    def __init__(self) -> None:
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.calls: list[tuple[str, Request, JSON]] = []
        self.headers: dict[str, str] = {}

    def named(self, operation: str) -> list[JSON]:
        return [body for name, _, body in self.calls if name == operation]

    def route(
        self, method: str, path: str, name: str, handler: Callable[[Request, JSON], Awaitable[Response]]
    ) -> Route:
        async def serve(request: Request) -> Response:
            raw = await request.body()
            is_json = request.headers.get("content-type", "").startswith("application/json")
            body: JSON = json.loads(raw) if is_json else dict(parse_qsl(raw.decode()))
            self.calls.append((name, request, body | dict(request.query_params)))
            if self.faults[name]:
                fault = self.faults[name].pop(0)
                if isinstance(fault, Exception):
                    raise fault
                return fault
            response = await handler(request, body)
            response.headers.update(self.headers)
            return response

        return Route(path, serve, methods=[method])

    def transport(self) -> httpx.ASGITransport:
        return httpx.ASGITransport(self.app)

    @property
    def app(self) -> Starlette:
        raise NotImplementedError


class FalconServer(Server):
    """Tokens, combined alerts, hosts, Spotlight, query jobs, containment."""

    url = "https://falcon.test"

    def __init__(self) -> None:
        super().__init__()
        self.tokens: set[str] = set()
        self.issued = 0
        self.alerts: list[JSON] = [
            {"composite_id": f"c1:ind:a{n:04}:1", "id": f"ind:a{n:04}:1", "created_timestamp": stamp(n), "severity": 70}
            for n in range(25)
        ]
        self.hosts: list[JSON] = [
            {
                "device_id": f"{n:032x}",
                "hostname": f"HOST-{n:02}",
                "cid": "c1",
                "status": "normal",
                "last_seen": stamp(n),
            }
            for n in range(12)
        ]
        self.vulnerabilities: list[JSON] = [{"id": f"v{n}", "updated_timestamp": stamp(n)} for n in range(4)]
        self.job: JSON = {}
        self.polls_until_done = 2
        self.deleted: list[str] = []
        self.region = ""

    @property
    def app(self) -> Starlette:
        jobs = "/humio/api/v1/repositories/search-all/queryjobs"
        return Starlette(
            routes=[
                self.route("POST", "/oauth2/token", "token", self.token),
                self.route("POST", "/oauth2/revoke", "revoke", self.revoke),
                self.route("POST", "/alerts/combined/alerts/v1", "alerts", self.combined_alerts),
                self.route("POST", "/alerts/entities/alerts/v2", "alert", self.alert),
                self.route("GET", "/devices/combined/devices/v1", "hosts", self.combined_hosts),
                self.route("GET", "/spotlight/combined/vulnerabilities/v1", "vulnerabilities", self.spotlight),
                self.route("POST", "/devices/entities/devices/v2", "device", self.device),
                self.route("POST", "/devices/entities/devices-actions/v2", "act", self.act),
                self.route("POST", jobs, "create", self.create),
                self.route("GET", jobs + "/{id}", "poll", self.poll),
                self.route("DELETE", jobs + "/{id}", "delete", self.delete),
            ]
        )

    def envelope(self, resources: Any, status: int = 200, **meta: Any) -> Response:
        body = {"meta": {"trace_id": "trace-1", **meta}, "errors": None, "resources": resources}
        return JSONResponse(body, status, {"X-CS-TRACEID": "trace-1"})

    def error(self, status: int, message: str, code: int | None = None, **headers: str) -> Response:
        body = {"meta": {"trace_id": "trace-e"}, "errors": [{"code": code or status, "message": message}]}
        return JSONResponse(body, status, headers)

    def allowed(self, request: Request) -> bool:
        return request.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens

    async def token(self, request: Request, body: JSON) -> Response:
        if body.get("client_secret") != SECRET:
            return self.error(403, "access denied, authorization failed")
        self.issued += 1
        token = f"falcon-token-{self.issued}"
        self.tokens.add(token)
        headers = {"X-Cs-Region": self.region} if self.region else {}
        return JSONResponse({"access_token": token, "token_type": "bearer", "expires_in": 1799}, 201, headers)

    async def revoke(self, request: Request, body: JSON) -> Response:
        self.tokens.discard(str(body.get("token")))
        return JSONResponse({"meta": {}, "errors": []})

    async def combined_alerts(self, request: Request, body: JSON) -> Response:
        if not self.allowed(request):
            return self.error(401, "access denied, invalid bearer token")
        offset, limit = int(body.get("after") or 0), int(body["limit"])
        assert 1 <= limit <= 1000
        page = {"limit": limit, "total": len(self.alerts)}
        if offset + limit < len(self.alerts):
            page["after"] = str(offset + limit)  # type: ignore[assignment]
        return self.envelope(self.alerts[offset : offset + limit], pagination=page)

    async def alert(self, request: Request, body: JSON) -> Response:
        found = [alert for alert in self.alerts if alert["composite_id"] in body["composite_ids"]]
        return self.envelope(found)

    async def combined_hosts(self, request: Request, body: JSON) -> Response:
        limit, offset = int(request.query_params["limit"]), int(request.query_params.get("offset") or 0)
        following = str(offset + limit) if offset + limit < len(self.hosts) else ""
        page = {"limit": limit, "total": len(self.hosts), "next": following}
        return self.envelope(list(reversed(self.hosts[offset : offset + limit])), pagination=page)

    async def spotlight(self, request: Request, body: JSON) -> Response:
        assert request.query_params["filter"]
        assert set(request.query_params.getlist("facet")) >= {"host_info", "cve"}
        return self.envelope(self.vulnerabilities, pagination={"total": len(self.vulnerabilities), "after": ""})

    async def device(self, request: Request, body: JSON) -> Response:
        found = [host for host in self.hosts if host["device_id"] in body["ids"]]
        return self.envelope(found) if found else self.error(404, "not found")

    async def act(self, request: Request, body: JSON) -> Response:
        if not self.allowed(request):
            return self.error(401, "access denied, invalid bearer token")
        (host,) = [host for host in self.hosts if host["device_id"] in body["ids"]]
        contain = request.query_params["action_name"] == "contain"
        if host["status"] != ("normal" if contain else "contained"):
            return self.error(409, "the host is already there")
        host["status"] = "containment_pending" if contain else "lift_containment_pending"
        return self.envelope([{"id": host["device_id"], "path": "/devices"}], 202)

    async def create(self, request: Request, body: JSON) -> Response:
        self.polled = 0
        return JSONResponse({"id": "job-1", "hashedQueryOnView": "x"}, headers={"X-CS-TRACEID": "trace-job"})

    async def poll(self, request: Request, body: JSON) -> Response:
        self.polled += 1
        done = self.polled >= self.polls_until_done
        state = {"done": done, "cancelled": False, "events": [], "metaData": {"pollAfter": 1500}, "warnings": []}
        return JSONResponse(state | (self.job if done else {"events": self.job.get("events", [])[:1]}))

    async def delete(self, request: Request, body: JSON) -> Response:
        self.deleted.append(request.path_params["id"])
        return Response(status_code=200)


class SentinelOneServer(Server):
    """Deep Visibility with its minute between queries, threats, agents, disconnect and connect."""

    url = "https://s1.test"

    def __init__(self, clock: "FakeClock") -> None:
        super().__init__()
        self.clock = clock
        self.last_start: datetime | None = None
        self.last_poll: datetime | None = None
        self.states = ["RUNNING", "FINISHED"]
        self.state: JSON = {}
        self.events: list[JSON] = [{"id": str(n), "eventTime": stamp(n), "srcProcName": "a.exe"} for n in range(30)]
        self.total: int | None = None
        self.threats: list[JSON] = [{"id": f"{10**17 + n}", "threatInfo": {}} for n in range(7)]
        self.agents: list[JSON] = [
            {"id": f"{10**17 + n}", "computerName": f"SRV-{n}", "siteId": "9", "networkStatus": "connected"}
            for n in range(3)
        ]
        self.affected: int | None = None

    @property
    def app(self) -> Starlette:
        base = "/web/api/v2.1"
        return Starlette(
            routes=[
                self.route("POST", f"{base}/dv/init-query", "start", self.start),
                self.route("GET", f"{base}/dv/query-status", "status", self.status),
                self.route("GET", f"{base}/dv/events", "events", self.read_events),
                self.route("POST", f"{base}/dv/cancel-query", "cancel", self.cancel),
                self.route("GET", f"{base}/threats", "threats", self.list_threats),
                self.route("GET", f"{base}/agents", "agents", self.list_agents),
                self.route("POST", f"{base}/agents/actions/disconnect", "disconnect", self.disconnect),
                self.route("POST", f"{base}/agents/actions/connect", "connect", self.connect),
            ]
        )

    def error(self, status: int, detail: str, code: int | None = None) -> Response:
        return JSONResponse(
            {"errors": [{"code": code or status * 10_000 + 10, "title": "Error", "detail": detail}]}, status
        )

    def too_soon(self, last: datetime | None, seconds: float) -> bool:
        return last is not None and self.clock.now() - last < timedelta(seconds=seconds)

    async def start(self, request: Request, body: JSON) -> Response:
        if request.headers.get("authorization") != f"ApiToken {SECRET}":
            return self.error(401, "Authentication Failed")
        if self.too_soon(self.last_start, 60):
            return self.error(429, "Too many requests")
        self.last_start, self.running = self.clock.now(), list(self.states)
        return JSONResponse({"data": {"queryId": "q-1"}})

    async def status(self, request: Request, body: JSON) -> Response:
        if self.too_soon(self.last_poll, 1):
            return self.error(429, "Too many requests")
        self.last_poll = self.clock.now()
        state = self.running.pop(0) if len(self.running) > 1 else self.running[0]
        answer = {"progressStatus": 100, "responseState": state, "responseError": None, "warnings": None}
        return JSONResponse({"data": answer | self.state})

    def page(self, request: Request, rows: list[JSON], total: int | None = None) -> Response:
        offset, limit = int(request.query_params.get("cursor") or 0), int(request.query_params["limit"])
        assert 1 <= limit <= 1000
        more = str(offset + limit) if offset + limit < len(rows) else None
        paging = {"totalItems": total or len(rows), "nextCursor": more}
        return JSONResponse({"data": rows[offset : offset + limit], "pagination": paging})

    async def read_events(self, request: Request, body: JSON) -> Response:
        return self.page(request, self.events, self.total)

    async def cancel(self, request: Request, body: JSON) -> Response:
        return JSONResponse({"data": {"success": True}})

    async def list_threats(self, request: Request, body: JSON) -> Response:
        wanted = request.query_params.get("ids")
        return self.page(request, [row for row in self.threats if wanted in (None, row["id"])])

    async def list_agents(self, request: Request, body: JSON) -> Response:
        wanted = request.query_params.get("ids")
        return self.page(request, [row for row in self.agents if wanted in (None, row["id"])])

    async def disconnect(self, request: Request, body: JSON) -> Response:
        return self.move(body, "connected", "disconnecting")

    async def connect(self, request: Request, body: JSON) -> Response:
        return self.move(body, "disconnected", "connecting")

    def move(self, body: JSON, before: str, after: str) -> Response:
        moved = [row for row in self.agents if row["id"] in body["filter"]["ids"] and row["networkStatus"] == before]
        for row in moved:
            row["networkStatus"] = after
        return JSONResponse({"data": {"affected": len(moved) if self.affected is None else self.affected}})


class MicrosoftServer(Server):
    """Entra, Log Analytics, hunting through Graph, machine actions."""

    url = "https://ms.test"

    def __init__(self) -> None:
        super().__init__()
        self.table: JSON = {
            "name": "PrimaryResult",
            "columns": [{"name": "TimeGenerated", "type": "datetime"}, {"name": "Details", "type": "dynamic"}],
            "rows": [["2026-03-02T10:00:00Z", '{"a":1}'], ["2026-03-02T11:00:00Z", None]],
        }
        self.error_beside: JSON | None = None
        self.results: list[JSON] = [{"Timestamp": "2026-03-02T10:00:00Z", "DeviceName": "pc1"}]
        self.machine: JSON = {
            "id": "ab" * 20,
            "computerDnsName": "pc1.example",
            "lastSeen": "2026-03-02T11:59:00.1234567Z",
        }
        self.actions: list[JSON] = []

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                self.route("POST", "/{tenant}/oauth2/v2.0/token", "token", self.token),
                self.route("POST", "/v1/workspaces/{id}/query", "workspace", self.workspace),
                self.route("POST", "/v1.0/security/runHuntingQuery", "hunting", self.hunting),
                self.route("GET", "/api/machines/{id}", "machine", self.read_machine),
                self.route("GET", "/api/machineactions", "actions", self.list_actions),
                self.route("POST", "/api/machines/{id}/isolate", "isolate", self.isolate),
                self.route("POST", "/api/machines/{id}/unisolate", "unisolate", self.unisolate),
            ]
        )

    def error(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None, **more: Any
    ) -> Response:
        return JSONResponse({"error": {"code": code, "message": message, **more}}, status, headers)

    async def token(self, request: Request, body: JSON) -> Response:
        if body["client_secret"] != SECRET:
            said = "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1"
            return JSONResponse({"error": "invalid_client", "error_description": said}, 401)
        return JSONResponse({"token_type": "Bearer", "expires_in": 3599, "access_token": f"for {body['scope']}"})

    def allowed(self, request: Request, audience: str) -> bool:
        return request.headers["authorization"] == f"Bearer for https://{audience}/.default"

    async def workspace(self, request: Request, body: JSON) -> Response:
        assert self.allowed(request, "api.loganalytics.io")
        assert request.headers["prefer"] == "wait=180"
        answer: JSON = {"tables": [self.table]}
        return JSONResponse(
            answer | ({"error": self.error_beside} if self.error_beside else {}), headers={"x-ms-request-id": "ms-1"}
        )

    async def hunting(self, request: Request, body: JSON) -> Response:
        assert self.allowed(request, "graph.microsoft.com")
        return JSONResponse({"schema": [], "results": self.results}, headers={"request-id": "graph-1"})

    async def read_machine(self, request: Request, body: JSON) -> Response:
        assert self.allowed(request, "api.securitycenter.microsoft.com")
        if request.path_params["id"] != self.machine["id"]:
            return self.error(404, "ResourceNotFound", "Machine not found")
        return JSONResponse(self.machine)

    async def list_actions(self, request: Request, body: JSON) -> Response:
        return JSONResponse({"value": self.actions})

    async def isolate(self, request: Request, body: JSON) -> Response:
        return self.act("Isolate", body)

    async def unisolate(self, request: Request, body: JSON) -> Response:
        return self.act("Unisolate", body)

    def act(self, kind: str, body: JSON) -> Response:
        if not body.get("Comment"):
            return self.error(400, "InvalidInput", "Comment is required")
        if any(action["status"] == "Pending" for action in self.actions):
            return self.error(400, "ActiveRequestAlreadyExists", "Action is already in progress")
        number = len(self.actions)
        action = {
            "id": f"action-{number}",
            "type": kind,
            "status": "Pending",
            "machineId": self.machine["id"],
            "creationDateTimeUtc": stamp(number),
            "requestorComment": body["Comment"],
        }
        self.actions.append(action)
        return JSONResponse(action, 201)


class FakeClock:
    """Time that moves only when everybody waits: then the sleeper who is due first wakes."""

    def __init__(self) -> None:
        self.moment = T
        self.slept: list[float] = []
        self._sleepers: list[tuple[datetime, int]] = []

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        ticket = (self.moment + timedelta(seconds=seconds), len(self.slept))
        self._sleepers.append(ticket)
        try:
            patience = 100
            while patience:
                await anyio.lowlevel.checkpoint()
                patience = patience - 1 if min(self._sleepers) == ticket else 100
            self.moment = max(self.moment, ticket[0])
        finally:
            self._sleepers.remove(ticket)

    @property
    def clock(self) -> Clock:
        return Clock(self.now, self.sleep, lambda: 1.0)


def stamp(minutes: int) -> str:
    """T and some minutes, with the nanoseconds that Falcon sends."""
    return (T + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.973070837Z")


Ask = Callable[..., Query]


@pytest.fixture
def ask() -> Ask:
    """Makes a query as if its check had passed."""

    def make(
        platform: Platform,
        language: Language,
        collection: str,
        text: str,
        *,
        limit: int = 1000,
        check: Check | None = None,
        start: datetime = T - timedelta(days=1),
        end: datetime = T,
    ) -> Query:
        verdict = check or Check(language, ok=True, read_only=True)
        window = Window(start=start, end=end)
        return Query(platform, language, collection, text, window, limit, verdict)

    return make


@pytest.fixture
def secret() -> str:
    return SECRET


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
def falcon() -> FalconServer:
    return FalconServer()


@pytest.fixture
def sentinelone(time: FakeClock) -> SentinelOneServer:
    return SentinelOneServer(time)


@pytest.fixture
def microsoft() -> MicrosoftServer:
    return MicrosoftServer()


@pytest.fixture
def environment() -> dict[str, str]:
    """Settings of the three servers, for reading and for acting."""
    reading = {
        "TRACEHOUND_FALCON_BASE_URL": FalconServer.url,
        "TRACEHOUND_FALCON_CLIENT_ID": "id-1",
        "TRACEHOUND_FALCON_CLIENT_SECRET": SECRET,
        "TRACEHOUND_SENTINELONE_BASE_URL": SentinelOneServer.url,
        "TRACEHOUND_SENTINELONE_API_TOKEN": SECRET,
        "TRACEHOUND_MICROSOFT_BASE_URL": MicrosoftServer.url,
        "TRACEHOUND_MICROSOFT_TENANT_ID": "tenant-1",
        "TRACEHOUND_MICROSOFT_CLIENT_ID": "id-2",
        "TRACEHOUND_MICROSOFT_CLIENT_SECRET": SECRET,
        "TRACEHOUND_MICROSOFT_WORKSPACE_ID": "ws-1",
    }
    return reading | {f"{name}_ACTING": value for name, value in reading.items()}
