"""Microsoft's APIs over the lab: Entra tokens and Defender for Endpoint's machines; queries are in `microsoft_query`.

Each API is a server with its own host and audience. Their paths do not overlap, so on loopback one port serves all.
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal
from uuid import NAMESPACE_DNS, uuid4, uuid5

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .state import Role
from .wire import Call, Refusal, Vendor, bearer, json_answer

TENANT = str(uuid5(NAMESPACE_DNS, "tenant.lab"))
WORKSPACE = str(uuid5(NAMESPACE_DNS, "workspace.lab"))
TOKEN_SECONDS = 3599
ACTION_SECONDS = 6.0
"""How long a machine takes to obey; one that is not active never does."""
READS_UNTIL_DONE = 3

AUDIENCES: Mapping[str, str] = {
    "https://api.loganalytics.io": "loganalytics",
    "https://api.loganalytics.azure.com": "loganalytics",
    "https://graph.microsoft.com": "graph",
    "https://api.securitycenter.microsoft.com": "mde",
    "https://api.security.microsoft.com": "mde",
}
"""Resource of a scope to the server that accepts its tokens."""


class Microsoft(Vendor):
    """What the servers of Microsoft have in common."""

    name = "microsoft"
    audience: ClassVar[str]

    @abstractmethod
    def unauthorised(self, why: str) -> Refusal:
        """A missing, bad or foreign token."""

    def authenticate(self, request: Request, audience: str) -> Role:
        """A bearer token for this server's audience."""
        given = bearer(request)
        token = self.state.token(given) if given else None
        if token is None or token.vendor != self.name:
            raise self.unauthorised("missing" if not given else "invalid")
        if token.audience != self.audience:
            raise self.unauthorised("audience")
        return token.role

    def too_many(self, wait: float, *, say_when: bool) -> Refusal:
        """429 with seconds in `Retry-After`."""
        headers = {"Retry-After": str(int(wait) + 1)} if say_when else {}
        return Refusal(429, "The request has been throttled.", code="TooManyRequests", headers=headers)

    def headers(self) -> Mapping[str, str]:
        """The id to cite."""
        request = str(uuid4())
        return {"request-id": request, "x-ms-correlation-request-id": request}


class Entra(Microsoft):
    """The server of `login.lab`."""

    audience = ""

    def routes(self) -> list[Route]:
        """The token endpoint."""
        path = "/{tenant}/oauth2/v2.0/token"
        return [self.route("POST", path, self._token, operation="token", open_to_all=True)]

    def unauthorised(self, why: str) -> Refusal:
        """Bad client credentials."""
        return Refusal(401, "AADSTS7000215: Invalid client secret provided.", code="invalid_client")

    def refuse(self, refusal: Refusal) -> Response:
        """`{"error", "error_description", "error_codes", ...}`."""
        number = re.match(r"AADSTS(\d+)", refusal.message)
        content = {
            "error": refusal.code if isinstance(refusal.code, str) else "temporarily_unavailable",
            "error_description": refusal.message,
            "error_codes": [int(number[1])] if number else [90055 if refusal.status == 429 else 90033],
            "timestamp": self.clock.stamp(),
            "trace_id": str(uuid4()),
            "correlation_id": str(uuid4()),
        }
        return json_answer(content, refusal.status, refusal.headers)

    async def _token(self, call: Call) -> Response:
        if call.request.path_params["tenant"] != TENANT:
            tenant = call.request.path_params["tenant"]
            raise Refusal(400, f"AADSTS90002: Tenant '{tenant}' not found.", code="invalid_request")
        if call.body.get("grant_type") != "client_credentials":
            raise Refusal(400, "AADSTS70003: The grant type is not supported.", code="unsupported_grant_type")
        audience = AUDIENCES.get(str(call.body.get("scope", "")).removesuffix("/.default").rstrip("/"))
        if audience is None:
            raise Refusal(400, "AADSTS500011: The resource principal of the scope was not found.", code="invalid_scope")
        client_id, secret = str(call.body.get("client_id", "")), str(call.body.get("client_secret", ""))
        known = {self.state.credential(self.name, role).client_id for role in ("reading", "acting")}
        if client_id not in known:
            raise Refusal(400, f"AADSTS700016: Application '{client_id}' was not found.", code="unauthorized_client")
        role = self.state.whose(self.name, client_id, secret)
        if role is None:
            raise self.unauthorised("invalid")
        token = self.state.issue_token(self.name, role, audience, self.clock.elapsed + TOKEN_SECONDS)
        lifetimes = {"expires_in": TOKEN_SECONDS, "ext_expires_in": TOKEN_SECONDS}
        return json_answer({"token_type": "Bearer", **lifetimes, "access_token": token})


class DefenderForEndpoint(Microsoft):
    """The server of `mde.lab`: machines and machine actions."""

    audience = "mde"

    def routes(self) -> list[Route]:
        """Every path that the lab's Defender for Endpoint serves."""
        machine, action = "/api/machines/{id}", "/api/machineactions"
        return [
            self.route("GET", "/api/machines", self._machines, operation="machines"),
            self.route("GET", machine, self._machine, operation="machines"),
            self.route("POST", f"{machine}/isolate", self._isolate, operation="isolate", changes=True),
            self.route("POST", f"{machine}/unisolate", self._unisolate, operation="unisolate", changes=True),
            self.route("GET", action, self._actions, operation="machine_actions"),
            self.route("GET", f"{action}/{{id}}", self._action, operation="machine_actions"),
        ]

    def unauthorised(self, why: str) -> Refusal:
        """401 for anything wrong with the token."""
        return Refusal(401, "The token is missing, expired, or made for another audience.", code="Unauthorized")

    def forbidden(self, operation: str) -> Refusal:
        """403: the application role is missing."""
        message = "Missing application roles. API required roles: Machine.Isolate, application roles: Machine.Read.All."
        return Refusal(403, message, code="Forbidden")

    def refuse(self, refusal: Refusal) -> Response:
        """`{"error": {"code", "message", "target"}}`."""
        codes = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "ResourceNotFound"}
        code = refusal.code or codes.get(refusal.status, "InternalServerError")
        error = {"code": code, "message": refusal.message, "target": str(uuid4())}
        return json_answer({"error": error}, refusal.status, refusal.headers)

    # machines

    async def _machines(self, call: Call) -> Response:
        kept = [m for m in (await self._inventory()).values() if _meets(call.param("$filter"), m)]
        top, skip = call.number("$top", 10_000, 1, 10_000), call.number("$skip", 0, 0, 1_000_000)
        return json_answer(
            {"@odata.context": "https://mde.lab/api/$metadata#Machines", "value": kept[skip : skip + top]}
        )

    async def _machine(self, call: Call) -> Response:
        return json_answer(await self._known(call.request.path_params["id"]))

    async def _known(self, name: str) -> dict[str, Any]:
        inventory = await self._inventory()
        if name not in inventory:
            raise Refusal(404, f"Machine {name} was not found.")
        return inventory[name]

    async def _inventory(self) -> dict[str, dict[str, Any]]:
        """Machines by id, from the latest inventory row of each."""
        if "DeviceInfo" not in self.telemetry.tables:
            return {}
        time = "Timestamp" if "Timestamp" in self.telemetry.tables["DeviceInfo"] else "TimeGenerated"
        found = await self.telemetry.query(
            f"SELECT * FROM {self.telemetry.place('DeviceInfo')} QUALIFY row_number() OVER "
            f'(PARTITION BY DeviceId ORDER BY "{time}" DESC) = 1 ORDER BY DeviceName'
        )
        return {row["DeviceId"]: _machine_of(row, time) for row in found.records()}

    # machine actions

    async def _isolate(self, call: Call) -> Response:
        kind = call.body.get("IsolationType", "Full")
        if kind not in ("Full", "Selective", "UnManagedDevice"):
            raise Refusal(400, f"IsolationType {kind!r} is not valid.", code="InvalidInput")
        return await self._request(call, "Isolate", str(kind))

    async def _unisolate(self, call: Call) -> Response:
        return await self._request(call, "Unisolate", None)

    async def _request(self, call: Call, kind: Literal["Isolate", "Unisolate"], scope: str | None) -> Response:
        comment = call.body.get("Comment")
        if not isinstance(comment, str) or not comment.strip():
            raise Refusal(400, "Comment is required.", code="InvalidInput")
        machine = await self._known(call.request.path_params["id"])
        self.limit("machine actions", 100, 60)
        busy = ("Pending", "InProgress")
        if any(action["status"] in busy for action in self._settled(lambda a: bool(a["machineId"] == machine["id"]))):
            raise Refusal(400, "Action is already in progress on the machine.", code="ActiveRequestAlreadyExists")
        now = self.clock.stamp()
        action = {
            "id": str(uuid4()),
            "type": kind,
            "title": None,
            "requestor": self.state.credential(self.name, "acting").client_id,
            "requestorComment": comment,
            "status": "Pending",
            "machineId": machine["id"],
            "computerDnsName": machine["computerDnsName"],
            "creationDateTimeUtc": now,
            "lastUpdateDateTimeUtc": now,
            "cancellationRequestor": None,
            "cancellationComment": None,
            "cancellationDateTimeUtc": None,
            "errorHResult": 0,
            "scope": scope,
            "externalId": call.body.get("ExternalId"),
            "requestSource": "PublicApi",
            "relatedFileInfo": None,
            "commands": [],
        }
        stuck = call.fault == "stuck_pending" or machine["healthStatus"] != "Active"
        due = None if stuck else self.clock.elapsed + ACTION_SECONDS
        hidden = {"_ends": "Failed" if call.fault == "action_failed" else "Succeeded", "_reads": 0}
        self.state.save_machine_action(action | hidden, due)
        return json_answer({"@odata.context": "https://mde.lab/api/$metadata#MachineActions/$entity"} | action, 201)

    async def _actions(self, call: Call) -> Response:
        wanted = call.param("$filter")
        kept = [_shown(action) for action in self._settled(lambda action: _meets(wanted, action))]
        return json_answer({"value": kept[: call.number("$top", 10_000, 1, 10_000)]})

    async def _action(self, call: Call) -> Response:
        wanted = call.request.path_params["id"]
        for action in self._settled(lambda action: bool(action["id"] == wanted)):
            return json_answer(_shown(action))
        raise Refusal(404, f"Machine action {wanted} was not found.")

    def _settled(self, wanted: Callable[[Mapping[str, Any]], bool]) -> list[dict[str, Any]]:
        """The wanted actions as they stand now, newest first. Being read moves an action on."""
        settled = []
        for action, due in self.state.machine_actions():
            if not wanted(action):
                continue
            before = dict(action)
            if action["status"] in ("Pending", "InProgress") and due is not None:
                action["_reads"] += 1
                if self.clock.elapsed >= due or action["_reads"] >= READS_UNTIL_DONE:
                    action["status"] = action["_ends"]
                elif action["_reads"] > 1:
                    action["status"] = "InProgress"
            if action != before:
                action["lastUpdateDateTimeUtc"] = self.clock.stamp()
                self.state.save_machine_action(action, due)
            settled.append(action)
        return settled


_CLAUSE = re.compile(r"^\s*(?P<field>\w+)\s+(?P<op>eq|ne)\s+(?:'(?P<text>[^']*)'|(?P<bare>[\w.-]+))\s*$", re.IGNORECASE)
_STARTS = re.compile(r"^\s*startswith\(\s*(?P<field>\w+)\s*,\s*'(?P<text>[^']*)'\s*\)\s*$", re.IGNORECASE)


def _meets(expression: str, record: Mapping[str, Any]) -> bool:
    """OData `eq`, `ne` and `startswith`, joined by `and`.

    Raises:
        Refusal: 400, anything else.
    """
    for part in re.split(r"\s+and\s+", expression, flags=re.IGNORECASE) if expression.strip() else ():
        clause, starts = _CLAUSE.match(part), _STARTS.match(part)
        found = clause or starts
        if not found or found["field"] not in record:
            raise Refusal(400, f"$filter: cannot read {part!r}.", code="InvalidInput")
        actual = str(record[found["field"]] or "").lower()
        if starts:
            holds = actual.startswith(starts["text"].lower())
        else:
            assert clause is not None
            wanted = (clause["text"] if clause["text"] is not None else clause["bare"]).lower()
            holds = (actual == wanted) == (clause["op"].lower() == "eq")
        if not holds:
            return False
    return True


def _shown(action: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in action.items() if not name.startswith("_")}


def _machine_of(row: Mapping[str, Any], time: str) -> dict[str, Any]:
    seen: datetime = row[time]
    active = str(row.get("SensorHealthState") or "Active") == "Active"
    return {
        "id": row["DeviceId"],
        "computerDnsName": str(row["DeviceName"]).lower(),
        "lastSeen": seen.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z"),
        "osPlatform": row.get("OSPlatform"),
        "osVersion": row.get("OSVersion"),
        "version": row.get("OSVersionInfo"),
        "lastExternalIpAddress": row.get("PublicIP"),
        "agentVersion": row.get("ClientVersion"),
        "healthStatus": "Active" if active else "Inactive",
        "onboardingStatus": row.get("OnboardingStatus") or "Onboarded",
        "deviceValue": row.get("AssetValue") or "Normal",
        "rbacGroupName": row.get("MachineGroup"),
        "exposureLevel": row.get("ExposureLevel"),
        "riskScore": None,
        "isAadJoined": row.get("IsAzureADJoined"),
        "aadDeviceId": row.get("AadDeviceId"),
        "machineTags": [],
    }
