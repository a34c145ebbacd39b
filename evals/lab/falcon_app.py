"""CrowdStrike Falcon's API over the lab: token, alerts, hosts, containment, vulnerabilities.

Shapes, codes and limits as in the vendor's published specification; the raw event search is in `falcon_search`.
"""

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import sql_fql
from .falcon_search import SearchJobs
from .sql import Clause, QueryRejectedError, moment, quoted
from .state import Note, Role
from .wire import Call, Refusal, Vendor, World, bearer, bounded, json_answer

TOKEN_SECONDS = 1799
CALLS = 6000
"""Per minute and customer."""
CONTAINMENT_SECONDS = 4.0
"""How long the lab's sensor takes to obey; a host that is not online never does."""
ONLINE_WITHIN = timedelta(hours=1)
_STATUS = {"pending": "containment_pending", "contained": "contained", "lifting": "lift_containment_pending"}
_KEY = {"alerts": "composite_id", "hosts": "device_id", "vulnerabilities": "id"}
_TABLE = {"alerts": "falcon_alerts", "hosts": "falcon_devices", "vulnerabilities": "falcon_vulnerabilities"}
_SORT = {"alerts": "created_timestamp", "hosts": "hostname", "vulnerabilities": "updated_timestamp"}


class Falcon(Vendor):
    """The server of `falcon.lab`."""

    name = "falcon"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._jobs = SearchJobs(self)
        self._left = CALLS

    def routes(self) -> list[Route]:
        """Every path that the lab's Falcon serves."""
        jobs = "/humio/api/v1/repositories/{repo}/queryjobs"
        actions = "/devices/entities/devices-actions/v2"
        return [
            self.route("POST", "/oauth2/token", self._token, operation="token", open_to_all=True),
            self.route("POST", "/oauth2/revoke", self._revoke, operation="token", open_to_all=True),
            self.route("GET", "/alerts/queries/alerts/v2", self._alert_ids, operation="alerts"),
            self.route("POST", "/alerts/combined/alerts/v1", self._alerts_combined, operation="alerts"),
            self.route("POST", "/alerts/entities/alerts/v2", self._alerts, operation="alerts"),
            self.route(
                "PATCH", "/alerts/entities/alerts/v3", self._update_alerts, operation="update_alerts", changes=True
            ),
            self.route("GET", "/devices/queries/devices/v1", self._host_ids, operation="hosts"),
            self.route("GET", "/devices/combined/devices/v1", self._hosts_combined, operation="hosts"),
            self.route("POST", "/devices/entities/devices/v2", self._hosts, operation="hosts"),
            self.route("GET", "/devices/entities/devices/v2", self._hosts, operation="hosts"),
            self.route("GET", "/devices/entities/online-state/v1", self._online, operation="online"),
            _Either(
                actions,
                self.route("POST", actions, self._contain, operation="contain", changes=True),
                self.route("POST", actions, self._lift, operation="lift", changes=True),
            ),
            self.route("GET", "/spotlight/combined/vulnerabilities/v1", self._spotlight, operation="vulnerabilities"),
            self.route("POST", jobs, self._jobs.create, operation="search"),
            self.route("GET", jobs + "/{job}", self._jobs.poll, operation="search"),
            self.route("DELETE", jobs + "/{job}", self._jobs.cancel, operation="search"),
        ]

    # the envelope

    def refuse(self, refusal: Refusal) -> Response:
        """`{"meta", "errors": [{"code", "message"}]}`, from the gateway for 401, 403 and 429."""
        gateway = refusal.status in (401, 403, 429)
        meta = self._meta("crowdstrike-api-gateway" if gateway else "device-api")
        errors = [{"code": refusal.status, "message": refusal.message}]
        return json_answer({"meta": meta, "errors": errors, "resources": []}, refusal.status, refusal.headers)

    def headers(self) -> Mapping[str, str]:
        """Trace id and rate-limit headers."""
        left = str(self._left)
        return {"X-CS-TRACEID": str(uuid4()), "X-RateLimit-Limit": str(CALLS), "X-RateLimit-Remaining": left}

    def too_many(self, wait: float, *, say_when: bool) -> Refusal:
        """429; the header counts epoch seconds."""
        headers = {"X-RateLimit-Remaining": "0"}
        if say_when:
            headers["X-RateLimit-RetryAfter"] = str(int(self.epoch() + wait) + 1)
        return Refusal(429, "API rate limit exceeded.", headers=headers)

    def forbidden(self, operation: str) -> Refusal:
        """403 of the gateway: the scope is missing."""
        return Refusal(403, "access denied, authorization failed")

    def authenticate(self, request: Request, audience: str) -> Role:
        """A bearer token of this vendor; bad ones count against 15 calls a minute."""
        token = self.state.token(bearer(request))
        if token is None or token.vendor != self.name:
            self.limit("invalid tokens", 15, 60)
            raise Refusal(401, "access denied, invalid bearer token")
        self._left = self.limit("cid", CALLS, 60)
        return token.role

    def envelope(
        self, resources: Sequence[Any] | None, service: str, call: Call, *, status: int = 200, **meta: Any
    ) -> Response:
        """A success; the fault `errors_200` puts an error beside the resources."""
        errors = [{"code": 500, "message": "one of the back ends did not answer"}] if call.fault == "errors_200" else []
        content: dict[str, Any] = {"meta": self._meta(service) | meta, "errors": errors}
        if resources is not None:
            content["resources"] = list(reversed(resources)) if call.fault == "reorder" else list(resources)
        return json_answer(content, status, {"X-CS-TRACEID": content["meta"]["trace_id"]})

    def _meta(self, service: str) -> dict[str, Any]:
        return {"query_time": 0.012, "powered_by": service, "trace_id": str(uuid4())}

    # token

    async def _token(self, call: Call) -> Response:
        self.limit("oauth2", 300, 60)
        role = self.state.whose(self.name, call.body.get("client_id", ""), call.body.get("client_secret", ""))
        if role is None:
            raise Refusal(403, "access denied, authorization failed")
        token = self.state.issue_token(self.name, role, "", self.clock.elapsed + TOKEN_SECONDS)
        region = "us-2" if call.fault == "wrong_region" else "us-1"
        content = {"access_token": token, "token_type": "bearer", "expires_in": TOKEN_SECONDS}
        return json_answer(content, 201, {"X-Cs-Region": region})

    async def _revoke(self, call: Call) -> Response:
        scheme, _, given = call.request.headers.get("authorization", "").partition(" ")
        try:
            client_id, _, secret = base64.b64decode(given if scheme.lower() == "basic" else "").decode().partition(":")
        except ValueError:
            client_id = secret = ""
        if self.state.whose(self.name, client_id, secret) is None:
            raise Refusal(403, "access denied, authorization failed")
        self.state.revoke_token(str(call.body.get("token", "")))
        return self.envelope([], "csam", call)

    # alerts

    async def _alert_ids(self, call: Call) -> Response:
        limit, offset = call.number("limit", 100, 0, 10_000), call.number("offset", 0, 0, 10_000_000)
        if limit + offset > 10_000:
            raise Refusal(500, "the sum of limit and offset exceeds the window of 10000")
        ids, total = await self._ids("alerts", call.param("filter"), call.param("sort"), limit, offset, call.param("q"))
        return self.envelope(ids, "detectsapi", call, pagination={"offset": offset, "limit": limit, "total": total})

    async def _alerts_combined(self, call: Call) -> Response:
        limit = bounded("limit", call.body.get("limit", 100), 1, 1000)
        asked = (str(call.body.get("filter") or ""), str(call.body.get("sort") or ""))
        offset = _offset_of(call.body.get("after"), asked)
        ids, total = await self._ids("alerts", *asked, limit, offset)
        pagination: dict[str, Any] = {"limit": limit, "total": total}
        if offset + len(ids) < total:
            pagination["after"] = _cursor(offset + len(ids), asked)
        return self.envelope(await self._documents("alerts", ids), "detectsapi", call, pagination=pagination)

    async def _alerts(self, call: Call) -> Response:
        documents = await self._documents("alerts", _list_of(call.body, "composite_ids", 1000))
        return self.envelope(_arbitrary(documents, "composite_id"), "detectsapi", call)

    async def _update_alerts(self, call: Call) -> Response:
        ids = _list_of(call.body, "composite_ids", 1000)
        known = [document["composite_id"] for document in await self._documents("alerts", ids)]
        steps = call.body.get("action_parameters")
        if not isinstance(steps, list) or not steps:
            raise Refusal(400, "action_parameters: at least one is required")
        for step in steps:
            name, value = str(step.get("name")), str(step.get("value", ""))
            if name not in _UPDATES:
                raise Refusal(400, f"action parameter {name!r} is not known")
            if name == "update_status" and value not in ("new", "in_progress", "reopened", "closed"):
                raise Refusal(400, f"status {value!r} is not valid")
        removes_first = sorted(steps, key=lambda step: not str(step["name"]).startswith("remove"))
        for alert in known:
            for step in removes_first:
                self.state.add_note(self.name, alert, str(step["name"]), str(step.get("value", "")), self.clock.stamp())
        return self.envelope(None, "detectsapi", call, writes={"resources_affected": len(known)})

    # hosts

    async def _host_ids(self, call: Call) -> Response:
        limit, offset = call.number("limit", 100, 1, 5000), call.number("offset", 0, 0, 10_000_000)
        ids, total = await self._ids("hosts", call.param("filter"), call.param("sort"), limit, offset)
        return self.envelope(ids, "device-api", call, pagination={"offset": offset, "limit": limit, "total": total})

    async def _hosts_combined(self, call: Call) -> Response:
        limit = call.number("limit", 100, 1, 10_000)
        asked = (call.param("filter"), call.param("sort"))
        offset = _offset_of(call.param("offset"), asked)
        ids, total = await self._ids("hosts", *asked, limit, offset)
        documents = await self._documents("hosts", ids)
        wanted = [name for name in call.param("fields").split(",") if name]
        if wanted:
            documents = [{name: document.get(name) for name in wanted} for document in documents]
        pagination: dict[str, Any] = {"limit": limit, "total": total}
        pagination["next"] = _cursor(offset + len(ids), asked) if offset + len(ids) < total else ""
        return self.envelope(documents, "device-api", call, pagination=pagination)

    async def _hosts(self, call: Call) -> Response:
        ids = call.request.query_params.getlist("ids") or _list_of(call.body, "ids", 5000)
        documents = await self._documents("hosts", ids)
        missing = set(ids) - {document["device_id"] for document in documents}
        if ids and not documents:
            raise Refusal(404, f"device ids not found: {', '.join(sorted(missing))}")
        return self.envelope(_arbitrary(documents, "device_id"), "device-api", call)

    async def _online(self, call: Call) -> Response:
        documents = await self._documents("hosts", call.request.query_params.getlist("ids"))
        resources = [
            {"id": host["device_id"], "cid": host.get("cid"), "last_seen": host.get("last_seen"), "state": state}
            for host in documents
            for state in ("online" if self._is_online(host) else "offline",)
        ]
        return self.envelope(resources, "device-api", call)

    async def _contain(self, call: Call) -> Response:
        return await self._move(call, "pending", ("pending", "contained"))

    async def _lift(self, call: Call) -> Response:
        return await self._move(call, "lifting", ("lifting", "normal"))

    async def _move(self, call: Call, heading: Literal["pending", "lifting"], there: tuple[str, str]) -> Response:
        if call.param("action_name") not in ("contain", "lift_containment"):
            raise Refusal(400, f"action_name {call.param('action_name')!r} is not supported in the lab")
        ids = _list_of(call.body, "ids", 100)
        hosts = {document["device_id"]: document for document in await self._documents("hosts", ids)}
        if not ids or set(ids) - set(hosts):
            raise Refusal(404, f"device ids not found: {', '.join(sorted(set(ids) - set(hosts))) or 'none given'}")
        now = self.state.containment(self.name)
        if call.fault == "409" or any(now.get(device, "normal") in there for device in ids):
            raise Refusal(409, f"the host is already in or on its way to the requested state ({heading})")
        for device, host in hosts.items():
            stuck = call.fault == "stuck_pending" or not self._is_online(host)
            self.state.contain(self.name, device, heading, None if stuck else CONTAINMENT_SECONDS)
        resources = [{"id": device, "path": f"/devices/entities/devices/v1?ids={device}"} for device in ids]
        return self.envelope(resources, "device-api", call, status=202)

    def _is_online(self, host: Mapping[str, Any]) -> bool:
        seen = moment(str(host.get("last_seen") or "1970-01-01T00:00:00Z"), self.clock.telemetry_end)
        return seen >= self.clock.telemetry_end - ONLINE_WITHIN

    # vulnerabilities

    async def _spotlight(self, call: Call) -> Response:
        text = call.param("filter").strip()
        if not text or text in ("*", "'*'"):
            raise Refusal(400, "filter: required, and may not be empty or a wildcard")
        limit = call.number("limit", 100, 1, 5000)
        asked = (text, call.param("sort"))
        offset = _offset_of(call.param("after"), asked)
        ids, total = await self._ids("vulnerabilities", *asked, limit, offset)
        facets = set(call.request.query_params.getlist("facet"))
        documents = [
            {k: v for k, v in document.items() if k not in _FACETS or k in facets}
            for document in await self._documents("vulnerabilities", ids)
        ]
        more = _cursor(offset + len(ids), asked) if offset + len(ids) < total else ""
        return self.envelope(documents, "spapi", call, pagination={"limit": limit, "total": total, "after": more})

    # reading the tables

    async def _ids(
        self, collection: str, text: str, sort: str, limit: int, offset: int, words: str = ""
    ) -> tuple[list[str], int]:
        columns = self.telemetry.tables.get(_TABLE[collection], {})
        try:
            clause = sql_fql.where(text, collection, columns, self.clock.telemetry_end)
        except QueryRejectedError as exc:
            raise Refusal(400, str(exc)) from exc
        if words:
            clause = clause + Clause(" AND contains(lower(CAST(document AS VARCHAR)), lower(?))", (words,))
        source = self._overlaid(collection)
        key = quoted(_KEY[collection])
        found = await self.telemetry.query(
            f"SELECT {key} FROM {source.sql} WHERE {clause.sql} ORDER BY {_order(sort, collection, columns)}, {key}",
            (*source.values, *clause.values),
        )
        ids = [str(row[0]) for row in found.rows]
        return ids[offset : offset + limit], len(ids)

    async def _documents(self, collection: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        if not ids:
            return []
        key = quoted(_KEY[collection])
        found = await self.telemetry.query(
            f"SELECT {key}, document FROM {self.telemetry.place(_TABLE[collection])} "
            f"WHERE {key} IN (SELECT unnest(?::VARCHAR[]))",
            (list(ids),),
        )
        documents = {key: json.loads(document) for key, document in found.rows}
        status = {device: _STATUS[state] for device, state in self.state.containment(self.name).items()}
        notes = self._notes() if collection == "alerts" else {}
        for key, document in documents.items():
            if collection == "hosts" and key in status:
                document["status"] = status[key]
            if collection == "alerts":
                device = document.get("device") or {}
                if device.get("device_id") in status:
                    device["status"] = status[device["device_id"]]
                _annotate(document, notes.get(key, []))
        return [documents[key] for key in ids if key in documents]

    def _notes(self) -> dict[str, list[Note]]:
        by_alert: dict[str, list[Note]] = defaultdict(list)
        for note in self.state.notes(self.name):
            by_alert[note.object].append(note)
        return by_alert

    def _overlaid(self, collection: str) -> Clause:
        """The table with the columns that the lab's live state has changed."""
        place = self.telemetry.place(_TABLE[collection])
        if collection == "hosts":
            now = {device: _STATUS[state] for device, state in self.state.containment(self.name).items()}
            return _replaced(place, "device_id", "status", now)
        if collection == "alerts":
            closed = {
                alert: note.value
                for alert, notes in self._notes().items()
                for note in notes
                if note.kind == "update_status"
            }
            return _replaced(place, "composite_id", "status", closed)
        return Clause(place)


class _Either(Route):
    """One path whose action is named by a parameter: containing and lifting are two operations."""

    def __init__(self, path: str, contain: Route, lift: Route) -> None:
        async def choose(request: Request) -> Response:
            route = lift if request.query_params.get("action_name") == "lift_containment" else contain
            answer: Response = await route.endpoint(request)
            return answer

        super().__init__(path, choose, methods=["POST"])


_UPDATES = frozenset(
    {
        "assign_to_uuid",
        "assign_to_user_id",
        "assign_to_name",
        "unassign",
        "add_tag",
        "remove_tag",
        "remove_tags_by_prefix",
        "append_comment",
        "update_status",
        "show_in_ui",
    }
)
_FACETS = frozenset({"host_info", "cve", "remediation", "evaluation_logic"})


def _annotate(alert: dict[str, Any], notes: Sequence[Note]) -> None:
    for note in notes:
        tags, comments = alert.setdefault("tags", []), alert.setdefault("comments", [])
        match note.kind:
            case "update_status":
                alert["status"] = note.value
            case "add_tag" if note.value not in tags:
                tags.append(note.value)
            case "remove_tag":
                alert["tags"] = [tag for tag in tags if tag != note.value]
            case "remove_tags_by_prefix":
                alert["tags"] = [tag for tag in tags if not tag.startswith(note.value)]
            case "append_comment":
                comments.append({"value": note.value, "timestamp": note.time, "username": "lab"})
            case "assign_to_name" | "assign_to_uuid":
                alert[note.kind.replace("assign", "assigned")] = note.value
            case _:
                pass
        alert["updated_timestamp"] = note.time


def _replaced(place: str, key: str, column: str, values: Mapping[str, str]) -> Clause:
    if not values:
        return Clause(place)
    cases = " ".join("WHEN ? THEN ?" for _ in values)
    pairs = tuple(item for pair in values.items() for item in pair)
    case = f'CASE "{key}" {cases} ELSE "{column}" END'
    return Clause(f'(SELECT * REPLACE ({case} AS "{column}") FROM {place})', pairs)


def _order(sort: str, collection: str, columns: Mapping[str, str]) -> str:
    name, _, direction = sort.replace("|", ".").rpartition(".") if sort else (_SORT[collection], "", "desc")
    if name not in columns or direction not in ("asc", "desc"):
        raise Refusal(400, f"sort: {sort!r} is not a field and a direction of this endpoint")
    return f"{quoted(name)} {direction} NULLS LAST"


def _cursor(offset: int, asked: tuple[str, str]) -> str:
    """An opaque cursor that is good for the same filter and sort alone."""
    digest = hashlib.sha256(repr(asked).encode()).hexdigest()[:12]
    return base64.urlsafe_b64encode(f"{offset}:{digest}".encode()).decode()


def _offset_of(cursor: object, asked: tuple[str, str]) -> int:
    if not cursor:
        return 0
    try:
        offset, _, digest = base64.urlsafe_b64decode(str(cursor).encode()).decode().partition(":")
        position = int(offset)
    except ValueError:
        raise Refusal(400, "the pagination token is not valid") from None
    if _cursor(position, asked) != cursor:
        raise Refusal(400, f"the pagination token is not valid for this filter and sort ({digest})")
    return position


def _arbitrary(documents: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """An order that is stable and unrelated to the one asked for, as the entity endpoints return it."""
    return sorted(documents, key=lambda document: hashlib.sha256(str(document[key]).encode()).digest())


def _list_of(body: Mapping[str, Any], name: str, most: int) -> list[str]:
    items = body.get(name)
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise Refusal(400, f"{name}: a list of strings is required")
    if len(items) > most:
        raise Refusal(400, f"{name}: at most {most} are allowed")
    return items
