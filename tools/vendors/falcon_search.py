"""Falcon's event search (NG-SIEM, LogScale query jobs): create, poll, collect, and always delete."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import anyio

from ...knowledge.errors import VendorError, VendorRefusedError, VendorResponseError
from ..languages.query import Query
from ..languages.search import Window
from .estate import Row
from .paging import Gathered, row_limit
from .runs import own_limit
from .transport import Session
from .wire import Operation, Tally

_JOBS = "/humio/api/v1/repositories/{repository}/queryjobs"
CREATE = Operation("event search", "POST", _JOBS, "the scopes NGSIEM:write (to start a search) and NGSIEM:read")
POLL = Operation("event search result", "GET", _JOBS + "/{job}", "the scope NGSIEM:read")
DELETE = Operation("event search clean-up", "DELETE", _JOBS + "/{job}", "the scope NGSIEM:write", timeout=5, attempts=1)

DEFAULT_EVENTS = 200
"""Events that a search returns when its text does not say how many."""
DEFAULT_GROUPS = 1500
"""Rows that an aggregation returns."""
PATIENCE = 300.0
"""Seconds after which a running search is given up; what it has found by then is kept."""
_POLL_AT_LEAST = 0.1
_POLL_AT_MOST = 10.0
"""A job that is not polled for 30 s is lost."""


class SearchJobs:
    """Query jobs in one repository."""

    def __init__(self, session: Session, repository: str) -> None:
        self._session, self._repository = session, repository

    async def run(self, query: Query, tally: Tally, *, newest_first: bool = False) -> Gathered:
        """Search the query's window; a job that the vendor lost is started once more.

        Raises:
            VendorError: the search could not be done.
        """
        try:
            result, pages, late = await self._result(query.text, query.window, tally)
        except _JobLostError:
            tally.retries += 1
            try:
                result, pages, late = await self._result(query.text, query.window, tally)
            except _JobLostError as exc:
                raise exc.error from None
        return _read(result, query, pages, late, newest_first=newest_first)

    async def probe(self, now: datetime) -> None:
        """Search one event of the last five minutes."""
        await self._result("* | head(1)", Window(start=now - timedelta(minutes=5), end=now), Tally())

    async def _result(self, text: str, window: Window, tally: Tally) -> tuple[Mapping[str, Any], int, str | None]:
        body = {
            "queryString": text,
            "start": int(window.start.timestamp() * 1000),
            "end": int(window.end.timestamp() * 1000),
            "isLive": False,
            "timeZone": "UTC",
        }
        created = await self._session.read(CREATE, place={"repository": self._repository}, body=body, tally=tally)
        job = created.body.get("id")
        if not isinstance(job, str) or not job:
            raise self._session.error(VendorResponseError, CREATE, "started no search job", status=created.status)
        place = {"repository": self._repository, "job": job}
        try:
            return await self._poll_until_done(place, tally)
        finally:
            with anyio.CancelScope(shield=True), suppress(VendorError):
                await self._session.read(DELETE, place=place)

    async def _poll_until_done(
        self, place: Mapping[str, str], tally: Tally
    ) -> tuple[Mapping[str, Any], int, str | None]:
        clock = self._session.clock
        deadline, polls = clock.seconds() + PATIENCE, 0
        while True:
            try:
                state = (await self._session.read(POLL, place=place, tally=tally)).body
            except VendorRefusedError as exc:
                if exc.status == 404:
                    raise _JobLostError(exc) from None
                raise
            polls += 1
            if state.get("cancelled"):
                raise self._session.error(VendorResponseError, POLL, "cancelled the search before it was done")
            if state.get("done"):
                return state, polls, None
            if clock.seconds() >= deadline:
                share = _share(_meta(state))
                return state, polls, f"the search was stopped after {PATIENCE:.0f} s{share}; narrow the window"
            await clock.sleep(min(max(_pause(_meta(state)), _POLL_AT_LEAST), _POLL_AT_MOST))


class _JobLostError(Exception):
    """The vendor no longer knows the job."""

    def __init__(self, error: VendorError) -> None:
        super().__init__(str(error))
        self.error = error


def _read(state: Mapping[str, Any], query: Query, polls: int, late: str | None, *, newest_first: bool) -> Gathered:
    meta = _meta(state)
    rows: list[Row] = [row for row in state.get("events") or [] if isinstance(row, dict)]
    grouped = bool(meta.get("isAggregate"))
    if not grouped:
        rows.sort(key=_moment, reverse=newest_first)
    found = Gathered(rows=rows, pages=polls)
    matches = state.get("filterMatches")
    cap = own_limit(query.text) or (DEFAULT_GROUPS if grouped else DEFAULT_EVENTS)
    warnings = _warnings(state, meta)
    if late:
        found.because = late
    elif warnings:
        found.because = f"Falcon warns: {'; '.join(warnings)}"
    elif len(rows) >= min(cap, query.limit):
        kept = min(len(rows), query.limit)
        found.total = matches if isinstance(matches, int) and not grouped and matches > kept else None
        found.because = row_limit(kept, found.total)
    elif str((meta.get("extraData") or {}).get("hasMoreEvents", "false")).lower() == "true":
        found.because = "Falcon says that there are more events than it sent"
    if found.because is None:
        found.total = len(rows)
    del found.rows[query.limit :]
    return found


def _warnings(state: Mapping[str, Any], meta: Mapping[str, Any]) -> list[str]:
    listed = [*(state.get("warnings") or []), *(meta.get("warnings") or [])]
    said = [str(item.get("message") or item) if isinstance(item, dict) else str(item) for item in listed]
    return list(dict.fromkeys(" ".join(text.split())[:200] for text in said))


def _meta(state: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = state.get("metaData")
    return meta if isinstance(meta, dict) else {}


def _pause(meta: Mapping[str, Any]) -> float:
    after = meta.get("pollAfter")
    return after / 1000 if isinstance(after, int | float) else 1.0


def _share(meta: Mapping[str, Any]) -> str:
    done, total = meta.get("workDone"), meta.get("totalWork")
    if isinstance(done, int) and isinstance(total, int) and total > 0:
        return f" with {100 * done // total} % of the work done"
    return ""


def _moment(row: Row) -> tuple[int, str]:
    text = str(row.get("@timestamp") or "")
    return (int(text) if text.isdigit() else 0, str(row.get("@id") or ""))
