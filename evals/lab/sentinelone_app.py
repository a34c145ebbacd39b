"""SentinelOne's management API over the lab: threats, agents, isolation, notes; Deep Visibility is in its own module."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .sentinelone_dv import DeepVisibility
from .sql import moment
from .state import Role
from .wire import Call, Refusal, Vendor, World, bounded, json_answer

BASE = "/web/api/v2.1"
ISOLATION_SECONDS = 5.0
"""How long an agent takes to obey; one that is not active never does."""
_NETWORK = {"pending": "disconnecting", "contained": "disconnected", "lifting": "connecting"}
_TITLES = {
    400: "Validation Error",
    401: "Authentication Failed",
    403: "Insufficient permissions",
    404: "Not found",
    429: "Too many requests",
}
_PAGING = frozenset({"limit", "skip", "cursor", "sortBy", "sortOrder", "countOnly", "skipCount"})
_SCOPE = frozenset({"accountIds", "groupIds", "tenant"})

Record = dict[str, Any]
_THREATS: Mapping[str, str] = {
    "ids": "id",
    "contentHashes": "threatInfo.sha1",
    "resolved": "threatInfo.incidentStatus",
    "incidentStatuses": "threatInfo.incidentStatus",
    "analystVerdicts": "threatInfo.analystVerdict",
    "classifications": "threatInfo.classification",
    "confidenceLevels": "threatInfo.confidenceLevel",
    "mitigationStatuses": "threatInfo.mitigationStatus",
    "storylines": "threatInfo.storyline",
    "displayName": "threatInfo.threatName",
    "filePath": "threatInfo.filePath",
    "createdAt": "threatInfo.createdAt",
    "updatedAt": "threatInfo.updatedAt",
    "computerName": "agentRealtimeInfo.agentComputerName",
    "agentIds": "agentRealtimeInfo.agentId",
    "osTypes": "agentRealtimeInfo.agentOsType",
    "siteIds": "agentDetectionInfo.siteId",
}
_AGENTS: Mapping[str, str] = {
    "ids": "id",
    "uuids": "uuid",
    "uuid": "uuid",
    "computerName": "computerName",
    "externalIp": "externalIp",
    "networkStatuses": "networkStatus",
    "isActive": "isActive",
    "infected": "infected",
    "osTypes": "osType",
    "machineTypes": "machineType",
    "siteIds": "siteId",
    "lastActiveDate": "lastActiveDate",
    "createdAt": "createdAt",
    "registeredAt": "registeredAt",
}


class SentinelOne(Vendor):
    """The server of `sentinelone.lab`."""

    name = "sentinelone"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._dv = DeepVisibility(self)
        self._records: dict[str, list[str]] = {}

    def routes(self) -> list[Route]:
        """Every path that the lab's console serves."""
        return [
            self.route("GET", f"{BASE}/system/status", self._status, operation="system", open_to_all=True),
            self.route("GET", f"{BASE}/threats", self._threats, operation="threats"),
            self.route("POST", f"{BASE}/threats/notes", self._add_note, operation="notes", changes=True),
            self.route("GET", f"{BASE}/threats/{{id}}/notes", self._notes, operation="threats"),
            self.route("GET", f"{BASE}/agents", self._agents, operation="agents"),
            self.route(
                "POST", f"{BASE}/agents/actions/disconnect", self._disconnect, operation="disconnect", changes=True
            ),
            self.route("POST", f"{BASE}/agents/actions/connect", self._connect, operation="connect", changes=True),
            self.route("POST", f"{BASE}/dv/init-query", self._dv.start, operation="deep_visibility"),
            self.route("GET", f"{BASE}/dv/query-status", self._dv.status, operation="deep_visibility"),
            self.route("GET", f"{BASE}/dv/events", self._dv.events, operation="deep_visibility"),
            self.route("GET", f"{BASE}/dv/events/{{type}}", self._dv.events, operation="deep_visibility"),
            self.route("POST", f"{BASE}/dv/cancel-query", self._dv.cancel, operation="deep_visibility"),
        ]

    def refuse(self, refusal: Refusal) -> Response:
        """`{"errors": [{"code", "title", "detail"}]}`; the code is the status followed by 0010."""
        title = _TITLES.get(refusal.status, "Internal server error")
        error = {"code": refusal.code or int(f"{refusal.status}0010"), "title": title, "detail": refusal.message}
        return json_answer({"errors": [error]}, refusal.status, refusal.headers)

    def too_many(self, wait: float, *, say_when: bool) -> Refusal:
        """429; this vendor documents no header that says when to come back."""
        return Refusal(429, "Too many requests, please try again later.")

    def forbidden(self, operation: str) -> Refusal:
        """403: the role of the service user lacks the permission."""
        return Refusal(403, f"The service user has no permission for {operation}.")

    def authenticate(self, request: Request, audience: str) -> Role:
        """`Authorization: ApiToken <token>`."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        role = self.state.whose(self.name, None, token.strip()) if scheme == "ApiToken" else None
        if role is None:
            raise Refusal(401, "Authentication Failed")
        return role

    # reading

    async def _status(self, call: Call) -> Response:
        self.limit("system/status", 1, 1)
        return json_answer({"data": {"health": "ok"}})

    async def _threats(self, call: Call) -> Response:
        return self._listing(call, await self._all("s1_threats"), _THREATS, "createdAt")

    async def _agents(self, call: Call) -> Response:
        return self._listing(call, await self._all("s1_agents"), _AGENTS, "createdAt")

    async def _notes(self, call: Call) -> Response:
        threat = call.request.path_params["id"]
        notes = [
            {"id": str(number), "text": note.value, "createdAt": note.time}
            for number, note in enumerate(self.state.notes(self.name), 1)
            if note.object == threat
        ]
        return json_answer({"data": notes, "pagination": {"totalItems": len(notes), "nextCursor": None}})

    def _listing(self, call: Call, records: list[Record], fields: Mapping[str, str], default_sort: str) -> Response:
        asked = dict(call.request.query_params)
        filters = {name: value for name, value in asked.items() if name not in _PAGING | _SCOPE}
        kept = [record for record in records if all(_fits(record, fields, *item) for item in filters.items())]
        sort, descending = asked.get("sortBy", default_sort), asked.get("sortOrder", "asc") == "desc"
        if sort not in fields:
            raise Refusal(400, f"sortBy: {sort!r} is not a valid choice")
        kept.sort(key=lambda record: str(_at(record, fields[sort])), reverse=descending)
        return page(call, kept if call.fault != "reorder" else kept[::-1], default=10)

    async def _all(self, table: str) -> list[Record]:
        """Every record of a table as it is now."""
        if table not in self._records:
            found = await self.telemetry.query(f"SELECT document FROM {self.telemetry.place(table)}")
            self._records[table] = [document for (document,) in found.rows]
        records: list[Record] = [json.loads(document) for document in self._records[table]]
        status = {agent: _NETWORK[state] for agent, state in self.state.containment(self.name).items()}
        for record in records:
            info = record.get("agentRealtimeInfo")
            if table == "s1_agents" and record["id"] in status:
                record["networkStatus"] = status[record["id"]]
            elif info and info.get("agentId") in status:
                info["agentNetworkStatus"] = status[info["agentId"]]
        return records

    # changing

    async def _disconnect(self, call: Call) -> Response:
        return await self._move(call, "pending", ("disconnecting", "disconnected"))

    async def _connect(self, call: Call) -> Response:
        return await self._move(call, "lifting", ("connecting", "connected"))

    async def _move(self, call: Call, heading: Literal["pending", "lifting"], there: tuple[str, str]) -> Response:
        if call.fault == "affected_zero":
            return json_answer({"data": {"affected": 0}})
        chosen = self._scope(call, await self._all("s1_agents"), _AGENTS)
        moved = [agent for agent in chosen if agent.get("networkStatus", "connected") not in there]
        for agent in moved:
            stuck = call.fault == "stuck_pending" or not agent.get("isActive", True)
            self.state.contain(self.name, agent["id"], heading, None if stuck else ISOLATION_SECONDS)
        return json_answer({"data": {"affected": len(moved)}})

    async def _add_note(self, call: Call) -> Response:
        text = (call.body.get("data") or {}).get("text")
        if not isinstance(text, str) or not text:
            raise Refusal(400, "data.text: Missing data for required field.")
        if call.fault == "affected_zero":
            return json_answer({"data": {"affected": 0}})
        chosen = self._scope(call, await self._all("s1_threats"), _THREATS)
        for threat in chosen:
            self.state.add_note(self.name, threat["id"], "note", text, self.clock.stamp())
        return json_answer({"data": {"affected": len(chosen)}})

    def _scope(self, call: Call, records: list[Record], fields: Mapping[str, str]) -> list[Record]:
        """What an action's filter names. As at the vendor, an empty filter means everything in scope."""
        scope = call.body.get("filter")
        if not isinstance(scope, dict):
            raise Refusal(400, "filter: Missing data for required field.")
        asked = {
            name: ",".join(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in scope.items()
            if name not in _SCOPE
        }
        return [record for record in records if all(_fits(record, fields, *item) for item in asked.items())]


def page(call: Call, records: Sequence[Record], *, default: int) -> Response:
    """One page of a listing with its cursor."""
    limit = call.number("limit", default, 1, 1000)
    asked = sorted((k, v) for k, v in call.request.query_params.items() if k not in ("cursor", "limit", "skip"))
    offset = _offset_of(call.param("cursor"), asked) if call.param("cursor") else call.number("skip", 0, 0, 1000)
    if call.param("countOnly") == "true":
        return json_answer({"data": [], "pagination": {"totalItems": len(records), "nextCursor": None}})
    more = offset + limit < len(records)
    pagination: dict[str, Any] = {"nextCursor": _cursor(offset + limit, asked) if more else None}
    pagination["totalItems"] = 0 if call.param("skipCount") == "true" else len(records)
    return json_answer({"data": list(records[offset : offset + limit]), "pagination": pagination})


def _fits(record: Record, fields: Mapping[str, str], name: str, wanted: str) -> bool:
    """Whether a record meets one filter parameter.

    Raises:
        Refusal: 400, there is no such parameter.
    """
    if name == "query":
        return wanted.lower() in json.dumps(record).lower()
    base, _, suffix = name.partition("__")
    if base not in fields or suffix not in _COMPARE:
        raise Refusal(400, f"{name}: Unknown field.")
    actual = _at(record, fields[base])
    if base == "resolved":
        return (str(actual) == "resolved") == (wanted.lower() == "true")
    if base == "contentHashes":
        info = record.get("threatInfo") or {}
        return bool({info.get(kind) for kind in ("sha1", "sha256", "md5")} & set(wanted.split(",")))
    return _COMPARE[suffix](actual, wanted)


def _any_of(actual: Any, wanted: str) -> bool:
    text = str(actual).lower() if isinstance(actual, bool) else str(actual)
    return text in wanted.split(",")


def _contains(actual: Any, wanted: str) -> bool:
    return any(part.lower() in str(actual).lower() for part in wanted.split(","))


def _time(text: object) -> float:
    try:
        if str(text).isdigit():
            return int(str(text)) / 1000
        return moment(str(text)).timestamp()
    except ValueError:
        raise Refusal(400, f"{text!r}: Not a valid datetime.") from None


def _between(actual: Any, wanted: str) -> bool:
    low, _, high = wanted.partition("-") if wanted.replace("-", "").isdigit() else wanted.partition(",")
    return _time(low) <= _time(actual) <= _time(high)


_COMPARE: Mapping[str, Callable[[Any, str], bool]] = {
    "": _any_of,
    "contains": _contains,
    "like": _contains,
    "gt": lambda actual, wanted: actual is not None and _time(actual) > _time(wanted),
    "gte": lambda actual, wanted: actual is not None and _time(actual) >= _time(wanted),
    "lt": lambda actual, wanted: actual is not None and _time(actual) < _time(wanted),
    "lte": lambda actual, wanted: actual is not None and _time(actual) <= _time(wanted),
    "between": _between,
}


def _at(record: Record, path: str) -> Any:
    value: Any = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _cursor(offset: int, asked: object) -> str:
    digest = hashlib.sha256(repr(asked).encode()).hexdigest()[:12]
    return base64.b64encode(f"{offset}:{digest}".encode()).decode()


def _offset_of(cursor: str, asked: object) -> int:
    try:
        offset = int(base64.b64decode(cursor).decode().partition(":")[0])
    except ValueError:
        raise Refusal(400, "cursor: not valid") from None
    if _cursor(offset, asked) != cursor:
        raise Refusal(400, "cursor: made for another query")
    return bounded("cursor", offset, 0, 10_000_000)
