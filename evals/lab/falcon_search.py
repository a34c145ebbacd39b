"""Falcon's raw event search (NG-SIEM): query jobs that are polled, capped, and lost when nobody asks for them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.responses import Response

from . import sql_cql
from .sql import QueryRejectedError, moment, seconds_of
from .telemetry import off_loop
from .wire import Call, Refusal, json_answer

if TYPE_CHECKING:
    from .falcon_app import Falcon

REPOSITORIES = frozenset(
    {"search-all", "investigate_view", "xdr", "third-party", "falcon_for_it_view", "forensics_view", "base_sensor"}
)
LOST_AFTER = 30.0
"""Seconds of the caller's time without a poll: over sockets, where the lab's clock jumps for early calls, the wall's."""
DEFAULT_EVENTS = 200
"""Events that come back when the query does not say how many."""


@dataclass
class Job:
    """One running or finished search."""

    id: str
    start: datetime
    end: datetime
    answer: sql_cql.Answer
    polled_at: float
    polls: int = field(default=0)


class SearchJobs:
    """The query jobs of one server. They live in its memory, as they do at the vendor."""

    def __init__(self, vendor: "Falcon") -> None:
        self._vendor = vendor
        self._jobs: dict[str, Job] = {}

    async def create(self, call: Call) -> Response:
        """POST queryjobs: start a search."""
        self._repository(call)
        text = call.body.get("queryString")
        if not isinstance(text, str):
            raise Refusal(400, "queryString: a string is required")
        now = self._vendor.clock.telemetry_end
        start = _when(call.body.get("start", "24h"), now)
        end = _when(call.body.get("end", "now"), now)
        try:
            answer = await off_loop(partial(sql_cql.run, self._vendor.telemetry, text, start, end))
        except QueryRejectedError as exc:
            raise Refusal(400, str(exc)) from exc
        job = Job(f"P1-{uuid4().hex[:24]}", start, end, answer, self._vendor.epoch())
        self._jobs[job.id] = job
        return json_answer({"id": job.id, "hashedQueryOnView": uuid4().hex})

    async def poll(self, call: Call) -> Response:
        """GET queryjobs/{id}: partial at the first poll, whole at the second."""
        job = self._job(call)
        if call.fault == "job_lost":
            self._jobs.pop(job.id)
            raise Refusal(404, f"query job {job.id} not found")
        job.polls += 1
        job.polled_at = self._vendor.epoch()
        return json_answer(_page(job, done=job.polls > 1, disturbed=call.fault == "partial"))

    async def cancel(self, call: Call) -> Response:
        """DELETE queryjobs/{id}."""
        job = self._job(call)
        del self._jobs[job.id]
        return json_answer({})

    def _job(self, call: Call) -> Job:
        self._repository(call)
        now = self._vendor.epoch()
        self._jobs = {job.id: job for job in self._jobs.values() if now - job.polled_at <= LOST_AFTER}
        job = self._jobs.get(call.request.path_params["job"])
        if job is None:
            raise Refusal(404, f"query job {call.request.path_params['job']} not found")
        return job

    def _repository(self, call: Call) -> None:
        if call.request.path_params["repo"] not in REPOSITORIES:
            raise Refusal(404, f"repository {call.request.path_params['repo']} not found")


def _page(job: Job, *, done: bool, disturbed: bool) -> dict[str, Any]:
    answer = job.answer
    cap = len(answer.rows) if answer.aggregate or answer.sized else DEFAULT_EVENTS
    rows = answer.rows[:cap]
    if not done:
        rows = rows[: math.ceil(len(rows) / 4)] if not answer.aggregate else rows
    if disturbed:
        rows = rows[: len(rows) // 2]
    warnings = [{"message": "Some of the data could not be searched; the result is incomplete."}] if disturbed else []
    more = disturbed or len(answer.rows) > cap
    return {
        "done": done,
        "cancelled": False,
        "events": [_event(row) for row in rows],
        "filesUsed": [],
        "filterMatches": answer.matches,
        "queryEventDistribution": {},
        "warnings": warnings,
        "metaData": {
            "eventCount": len(rows),
            "isAggregate": answer.aggregate,
            "fieldOrder": list(answer.fields),
            "pollAfter": 100 if not done else 1000,
            "processedEvents": answer.matches,
            "processedBytes": answer.matches * 500,
            "workDone": 4 if done else 1,
            "totalWork": 4,
            "timeMillis": 40,
            "queryStart": _epoch_ms(job.start),
            "queryEnd": _epoch_ms(job.end),
            "warnings": warnings,
            "extraData": {"hasMoreEvents": str(more).lower()},
            "filterQuery": {},
        },
    }


def _event(row: Mapping[str, Any]) -> dict[str, str]:
    """Every value is a string in JSON; fields without a value are absent."""
    return {name: _text(value) for name, value in row.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _when(value: object, now: datetime) -> datetime:
    """Epoch milliseconds, `now`, or a span back from now such as `24h`."""
    text = str(value).strip()
    if text.lstrip("-").isdigit():
        return datetime.fromtimestamp(int(text) / 1000, now.tzinfo)
    span = seconds_of(text)
    if span is not None:
        return now - timedelta(seconds=span)
    try:
        return moment(text, now)
    except ValueError:
        raise Refusal(400, f"{text!r} is not a time") from None


def _epoch_ms(value: datetime) -> int:
    return int(value.timestamp() * 1000)
