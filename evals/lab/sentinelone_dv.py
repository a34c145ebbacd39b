"""SentinelOne's Deep Visibility: start a query, poll it, page through its events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.responses import Response

from . import sql_s1ql
from .sql import QueryRejectedError, moment
from .telemetry import off_loop
from .wire import Call, Refusal, bounded, json_answer

if TYPE_CHECKING:
    from .sentinelone_app import SentinelOne

MOST_EVENTS = 20_000
_PORTS = frozenset({"srcPort", "dstPort"})


@dataclass
class Query:
    """One Deep Visibility query."""

    id: str
    rows: list[dict[str, Any]]
    state: str = "RUNNING"
    ends_as: str = "FINISHED"
    polls: int = field(default=0)


class DeepVisibility:
    """The queries of one console. They live in its memory."""

    def __init__(self, vendor: "SentinelOne") -> None:
        self._vendor = vendor
        self._queries: dict[str, Query] = {}

    async def start(self, call: Call) -> Response:
        """POST dv/init-query: one a minute for a token."""
        text = call.body.get("query")
        if not isinstance(text, str) or not text.strip():
            raise Refusal(400, "query: Missing data for required field.")
        start, end = _when(call.body, "fromDate"), _when(call.body, "toDate")
        limit = bounded("limit", call.body.get("limit", MOST_EVENTS), 1, MOST_EVENTS)
        self._vendor.limit(f"dv/init-query:{call.role}", 1, 60)
        try:
            rows = await off_loop(partial(sql_s1ql.run, self._vendor.telemetry, text, start, end, limit))
        except QueryRejectedError as exc:
            raise Refusal(400, f"could not parse query: {exc}", code=4000040) from exc
        query = Query(f"q{uuid4().hex}", [_event(row) for row in rows])
        if call.fault == "partial":
            query.rows, query.ends_as = query.rows[: len(rows) // 2], "TIMED_OUT"
        elif call.fault == "query_failed":
            query.rows, query.ends_as = [], "FAILED"
        self._queries[query.id] = query
        return json_answer({"data": {"queryId": query.id}})

    async def status(self, call: Call) -> Response:
        """GET dv/query-status: one a second for a token; running at the first poll, finished at the second.

        A patient lab has taken the wait upon itself, so that it is finished at the first.
        """
        query = self._query(call.param("queryId"))
        self._vendor.limit(f"dv/query-status:{call.role}", 1, 1)
        query.polls += 1
        if query.state == "RUNNING" and (query.polls > 1 or self._vendor.world.patient):
            query.state = query.ends_as
        progress = {"RUNNING": 40, "TIMED_OUT": 60}.get(query.state, 100)
        error = "The query failed." if query.state == "FAILED" else None
        data = {
            "progressStatus": progress,
            "responseState": query.state,
            "responseError": error,
            "queryModeInfo": {"mode": "scalyr", "lastActivatedAt": None},
            "warnings": None,
        }
        return json_answer({"data": data})

    async def events(self, call: Call) -> Response:
        """GET dv/events, and dv/events/{type} for one object type."""
        from .sentinelone_app import page

        query = self._query(call.param("queryId") or call.param("query_id"))
        if query.state == "RUNNING":
            raise Refusal(400, "queryId: the query is still running", code=4000040)
        kind = call.request.path_params.get("type")
        rows = [row for row in query.rows if kind is None or row.get("objectType") == kind]
        order = call.param("sortBy", "eventTime")
        if rows and order not in rows[0]:
            raise Refusal(400, f"sortBy: {order!r} is not a valid choice")
        rows.sort(key=lambda row: str(row[order] or ""), reverse=call.param("sortOrder", "desc") == "desc")
        return page(call, rows[::-1] if call.fault == "reorder" else rows, default=10)

    async def cancel(self, call: Call) -> Response:
        """POST dv/cancel-query."""
        self._query(str(call.body.get("queryId", ""))).state = "QUERY_CANCELLED"
        return json_answer({"data": {"success": True}})

    def _query(self, name: str) -> Query:
        query = self._queries.get(name)
        if query is None:
            raise Refusal(404, f"queryId: {name!r} not found")
        return query


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as the API writes it: numbers and booleans as strings, ports as numbers, missing values as null."""
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    match value:
        case None:
            return None
        case datetime():
            return value.replace(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case int() if name in _PORTS:
            return value
        case str():
            return value
        case _:
            return str(value)


def _when(body: Mapping[str, Any], name: str) -> datetime:
    value = body.get(name)
    if value is None:
        raise Refusal(400, f"{name}: Missing data for required field.")
    try:
        if str(value).isdigit():
            return datetime.fromtimestamp(int(str(value)) / 1000, UTC)
        return moment(str(value))
    except ValueError:
        raise Refusal(400, f"{name}: Not a valid datetime.") from None
