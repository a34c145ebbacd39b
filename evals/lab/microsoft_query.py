"""Microsoft's two query APIs over the lab: Log Analytics for Sentinel's tables, Graph hunting for Defender's."""

import json
import math
import re
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from starlette.responses import Response
from starlette.routing import Route

from . import sql_kql
from .microsoft_app import WORKSPACE, Microsoft
from .sql import moment
from .telemetry import off_loop
from .wire import Call, Refusal, World, json_answer

MOST_ROWS = 500_000
MOST_BYTES = 64_000_000
HUNTING_ROWS = 100_000
HUNTING_DAYS = 30
HUNTING_CALLS_A_MINUTE = 45

_SPAN = re.compile(
    r"^P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?$"
)
_GRAPH_TYPES = {
    "string": "String",
    "long": "Int64",
    "int": "Int32",
    "real": "Double",
    "decimal": "Decimal",
    "bool": "SByte",
    "datetime": "DateTime",
    "timespan": "TimeSpan",
    "guid": "Guid",
    "dynamic": "Object",
}


class LogAnalytics(Microsoft):
    """The server of `loganalytics.lab`."""

    audience = "loganalytics"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._engine = sql_kql.Engine(world.telemetry, "sentinel", world.clock.telemetry_end)

    def routes(self) -> list[Route]:
        """Query and metadata of the workspace."""
        base = "/v1/workspaces/{workspace}"
        return [
            self.route("POST", f"{base}/query", self._query, operation="sentinel"),
            self.route("GET", f"{base}/query", self._query, operation="sentinel"),
            self.route("GET", f"{base}/metadata", self._metadata, operation="metadata"),
        ]

    def unauthorised(self, why: str) -> Refusal:
        """401 without a token, 403 with a bad or a foreign one."""
        if why == "missing":
            return Refusal(401, "Valid authentication was not provided", code="AuthenticationFailed")
        code = "InvalidAuthenticationToken" + ("Audience" if why == "audience" else "")
        return Refusal(403, "The provided authentication is not valid for this resource", code=code)

    def forbidden(self, operation: str) -> Refusal:
        """403: no role on the workspace."""
        return Refusal(403, "The provided credentials have insufficient access", code="InsufficientAccessError")

    def too_many(self, wait: float, *, say_when: bool) -> Refusal:
        """429 with seconds in `Retry-After`."""
        refusal = super().too_many(wait, say_when=say_when)
        return Refusal(429, "Too many requests", code="ThrottledError", headers=refusal.headers)

    def refuse(self, refusal: Refusal) -> Response:
        """`{"error": {"message", "code", "correlationId", "innererror"}}`; the deepest innererror says what is wrong."""
        error: dict[str, Any] = {"correlationId": str(uuid4())}
        if isinstance(refusal.code, str) and refusal.code.startswith("query:"):
            kind = refusal.code.removeprefix("query:")
            deepest = {"code": "SEM0100" if kind == "SemanticError" else kind, "message": refusal.message}
            error |= {
                "code": "BadArgumentError",
                "message": "The request had some invalid properties",
                "innererror": {"code": kind, "message": "A recognition error occurred.", "innererror": deepest},
            }
        else:
            error |= {
                "code": refusal.code or _CODES.get(refusal.status, "BadArgumentError"),
                "message": refusal.message,
            }
        return json_answer({"error": error}, refusal.status, refusal.headers)

    async def _query(self, call: Call) -> Response:
        self._workspace(call)
        self.limit(f"queries:{call.role}", 200, 30)
        text = call.body.get("query", call.param("query"))
        if not isinstance(text, str) or not text.strip():
            raise Refusal(400, "The query must not be empty", code="BadArgumentError")
        span = span_of(call.body.get("timespan", call.param("timespan")), self.clock.telemetry_end)
        answer = await _run(self._engine, text, span)
        rows = [[_value(value) for value in row] for row in answer.rows]
        kept, problem = _within_limits(rows)
        if call.fault == "partial":
            kept, problem = rows[: len(rows) // 2], "The query was stopped: it used too many resources"
        table = {
            "name": "PrimaryResult",
            "columns": [{"name": name, "type": kind} for name, kind in answer.columns],
            "rows": kept,
        }
        content: dict[str, Any] = {"tables": [table]}
        if "include-statistics=true" in call.request.headers.get("prefer", ""):
            sizes = {"tableRowCount": len(kept), "tableSize": len(kept) * 100}
            content["statistics"] = {"query": {"executionTime": 0.015, "datasetStatistics": [sizes]}}
        if problem:
            content["error"] = _partial_error(problem)
        return json_answer(content)

    async def _metadata(self, call: Call) -> Response:
        self._workspace(call)
        tables = [
            {
                "id": f"t/{name}",
                "name": name,
                "timespanColumn": sql_kql.time_column(columns),
                "columns": [{"name": column, "type": kind} for column, kind in columns.items()],
            }
            for name, columns in self._engine.tables.items()
        ]
        return json_answer({"tables": tables, "functions": []})

    def _workspace(self, call: Call) -> None:
        if call.request.path_params["workspace"] != WORKSPACE:
            raise Refusal(404, "The workspace could not be found", code="WorkspaceNotFoundError")


class Graph(Microsoft):
    """The server of `graph.lab`: Defender XDR hunting."""

    audience = "graph"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._engine = sql_kql.Engine(world.telemetry, "defender", world.clock.telemetry_end)

    def routes(self) -> list[Route]:
        """The hunting endpoint."""
        return [self.route("POST", "/v1.0/security/runHuntingQuery", self._hunt, operation="defender")]

    def unauthorised(self, why: str) -> Refusal:
        """401 for anything wrong with the token."""
        return Refusal(401, "Access token validation failure.", code="InvalidAuthenticationToken")

    def forbidden(self, operation: str) -> Refusal:
        """403: the application permission is missing."""
        return Refusal(403, "Missing application permission ThreatHunting.Read.All.", code="Forbidden")

    def refuse(self, refusal: Refusal) -> Response:
        """`{"error": {"code", "message", "innerError": {"date", "request-id", "client-request-id"}}}`."""
        code = str(refusal.code or _CODES.get(refusal.status, "BadRequest"))
        message = refusal.message
        if code.startswith("query:"):
            kind = {"SemanticError": "Semantic error", "SyntaxError": "Syntax error"}.get(code[6:], "Not supported")
            code, message = "BadRequest", f"{kind}: {message}"
        request = str(uuid4())
        inner = {"date": self.clock.stamp(), "request-id": request, "client-request-id": request}
        content = {"error": {"code": code, "message": message, "innerError": inner}}
        return json_answer(content, refusal.status, refusal.headers)

    async def _hunt(self, call: Call) -> Response:
        body = {name.lower(): value for name, value in call.body.items()}
        text = body.get("query")
        if not isinstance(text, str) or not text.strip():
            raise Refusal(400, "The query must not be empty")
        self.limit("hunting", HUNTING_CALLS_A_MINUTE, 60)
        now = self.clock.telemetry_end
        start, end = span_of(body.get("timespan"), now)
        oldest = now - timedelta(days=HUNTING_DAYS)
        answer = await _run(self._engine, text, (max(start or oldest, oldest), end))
        names = [name for name, _ in answer.columns]
        results = [dict(zip(names, map(_value, row), strict=True)) for row in answer.rows[:HUNTING_ROWS]]
        schema = [{"name": name, "type": _GRAPH_TYPES[kind]} for name, kind in answer.columns]
        return json_answer({"schema": schema, "results": results})


_CODES = {
    400: "BadRequest",
    401: "InvalidAuthenticationToken",
    403: "InsufficientAccessError",
    404: "PathNotFoundError",
    429: "TooManyRequests",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}

Span = tuple[datetime | None, datetime | None]


async def _run(engine: sql_kql.Engine, text: str, span: Span) -> sql_kql.Answer:
    try:
        return await off_loop(partial(engine.run, text, *span))
    except sql_kql.UnrunnableError as exc:
        raise Refusal(400, str(exc), code="query:UnsupportedConstruct") from exc
    except sql_kql.SyntaxFaultError as exc:
        raise Refusal(400, str(exc), code="query:SyntaxError") from exc
    except sql_kql.SemanticFaultError as exc:
        raise Refusal(400, str(exc), code="query:SemanticError") from exc


def span_of(text: object, now: datetime) -> Span:
    """Start and end of an ISO 8601 time span: a duration back from now, `start/end`, `start/duration`, `duration/end`.

    Raises:
        Refusal: 400, it is none of them.
    """
    if not text:
        return None, None
    first, slash, second = str(text).partition("/")
    try:
        if not slash:
            return now - _duration(first), now
        if second.startswith("P"):
            start = moment(first, now)
            return start, start + _duration(second)
        if first.startswith("P"):
            end = moment(second, now)
            return end - _duration(first), end
        return moment(first, now), moment(second, now)
    except ValueError:
        raise Refusal(400, f"timespan: {text!r} is not an ISO 8601 time span", code="BadArgumentError") from None


def _duration(text: str) -> timedelta:
    found = _SPAN.match(text)
    if not found or text in ("P", "PT"):
        raise ValueError(text)
    return timedelta(**{name: float(value) for name, value in found.groupdict().items() if value})


def _within_limits(rows: list[list[Any]]) -> tuple[list[list[Any]], str | None]:
    """The rows that fit, and why some do not."""
    if len(rows) > MOST_ROWS:
        return rows[:MOST_ROWS], f"The results of this query exceed the set limit of {MOST_ROWS} records"
    if not rows:
        return rows, None
    size = len(json.dumps(rows[0])) * len(rows)
    if size > MOST_BYTES:
        fits = math.floor(MOST_BYTES / size * len(rows))
        return rows[:fits], f"The results of this query exceed the set limit of {MOST_BYTES} bytes"
    return rows, None


def _partial_error(problem: str) -> dict[str, Any]:
    inner = {"code": "-2133196797", "message": problem, "severity": 2, "severityName": "Error"}
    return {
        "code": "PartialError",
        "message": "There were some errors when processing your query.",
        "details": [
            {"code": "EngineError", "message": "Something went wrong processing your query.", "innererror": inner}
        ],
    }


def _value(value: Any) -> Any:
    """A cell as both APIs write it: dynamic values are JSON texts, moments ISO 8601 with Z."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            return value.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
        case date():
            return f"{value.isoformat()}T00:00:00Z"
        case timedelta():
            return _timespan(value)
        case list() | tuple() | dict():
            return json.dumps(value, default=_value)
        case _:
            return str(value)


def _timespan(value: timedelta) -> str:
    sign, ticks = ("-", -value) if value < timedelta(0) else ("", value)
    hours, rest = divmod(ticks.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    days = f"{ticks.days}." if ticks.days else ""
    fraction = f".{ticks.microseconds:06d}0" if ticks.microseconds else ""
    return f"{sign}{days}{hours:02}:{minutes:02}:{seconds:02}{fraction}"
