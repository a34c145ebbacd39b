"""SentinelOne's Deep Visibility: start a query, poll it, page through its events."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import anyio

from ...knowledge.errors import VendorError, VendorRefusedError, VendorResponseError, VendorUnavailableError
from ..languages.query import Query
from .estate import Row
from .pacing import Rate, Spacing
from .paging import Gathered, Page, gather
from .sentinelone_api import BASE, PAGE, data_of, page_of
from .settings import SentinelOneSettings
from .transport import Session
from .wire import Operation, Tally, parse_time

_NEEDS = "the permission Deep Visibility: View"
START = Operation("Deep Visibility query", "POST", f"{BASE}/dv/init-query", _NEEDS)
STATUS = Operation("Deep Visibility status", "GET", f"{BASE}/dv/query-status", _NEEDS)
EVENTS = Operation("Deep Visibility events", "GET", f"{BASE}/dv/events", _NEEDS)
CANCEL = Operation("Deep Visibility clean-up", "POST", f"{BASE}/dv/cancel-query", _NEEDS, timeout=5, attempts=1)

MOST_EVENTS = 20_000
PATIENCE = 300.0
"""Seconds after which a running query is cancelled."""
_DONE = frozenset({"FINISHED", "EMPTY_RESULTS"})
_CUT_SHORT = frozenset({"TIMED_OUT"})
"""Ended early; the events that it found can be read."""
_FAILED = frozenset({"FAILED", "FAILED_CLIENT", "ERROR"})
_GONE = frozenset({"QUERY_CANCELLED", "QUERY_EXPIRED", "QUERY_NOT_FOUND"})


class DeepVisibility:
    """Queries of one console. They queue: a token may start one a minute and ask for its state once a second."""

    def __init__(self, session: Session, settings: SentinelOneSettings) -> None:
        self._session, self._settings = session, settings
        between = settings.seconds_between_queries
        self._starts = Spacing(between + 0.5 if between else 0.0)
        self._polls = Rate(1, 1.1) if between else Rate(10, 1, burst=10)

    async def run(self, query: Query, tally: Tally) -> Gathered:
        """Search the query's window.

        Raises:
            VendorError: the query could not be started, failed, or did not finish.
        """
        async with self._starts.turn(self._session.clock):
            name = await self._start(query, tally)
        finished = False
        try:
            state = await self._wait(name, tally)
            newest_first = query.search is not None and query.search.newest_first
            found = await self._events(name, query.limit, tally, newest_first=newest_first)
            finished = True
        finally:
            if not finished:
                with anyio.CancelScope(shield=True), suppress(VendorError):
                    await self._session.read(CANCEL, body={"queryId": name})
        found.because = _warning(state) or found.because
        return found

    async def _start(self, query: Query, tally: Tally) -> str:
        body: dict[str, Any] = {
            "query": query.text,
            "fromDate": _iso(query.window.start),
            "toDate": _iso(query.window.end),
            "queryType": ["events"],
            "isVerbose": False,
            "limit": MOST_EVENTS,
        }
        if self._settings.account_ids:
            body["accountIds"] = list(self._settings.account_ids)
        if self._settings.site_ids:
            body["siteIds"] = list(self._settings.site_ids)
        reply = await self._session.read(START, body=body, tally=tally)
        data, _ = data_of(self._session, START, reply)
        name = data.get("queryId") if isinstance(data, dict) else None
        if not isinstance(name, str) or not name:
            raise self._session.error(VendorResponseError, START, "started no query", status=reply.status)
        return name

    async def _wait(self, name: str, tally: Tally) -> Mapping[str, Any]:
        clock = self._session.clock
        deadline = clock.seconds() + PATIENCE
        while True:
            await self._polls.turn(clock)
            reply = await self._session.read(STATUS, params=[("queryId", name)], tally=tally)
            data, _ = data_of(self._session, STATUS, reply)
            state: Mapping[str, Any] = data if isinstance(data, dict) else {}
            match str(state.get("responseState")):
                case ended if ended in _DONE | _CUT_SHORT:
                    return state
                case failed if failed in _FAILED:
                    said = state.get("responseError") or "it gives no reason"
                    raise self._error(VendorRefusedError, f"could not run the query: {said}", name)
                case gone if gone in _GONE:
                    raise self._error(VendorUnavailableError, f"lost the query: {gone}", name)
                case running if clock.seconds() >= deadline:
                    what = f"is still {running} after {PATIENCE:.0f} s; narrow the window"
                    raise self._error(VendorUnavailableError, what, name)

    async def _events(self, name: str, limit: int, tally: Tally, *, newest_first: bool) -> Gathered:
        asked = [("queryId", name), ("sortBy", "eventTime"), ("sortOrder", "desc" if newest_first else "asc")]

        async def fetch(cursor: str | None, size: int) -> Page:
            params = [*asked, ("limit", str(size)), *([("cursor", cursor)] if cursor else [])]
            return page_of(self._session, EVENTS, await self._session.read(EVENTS, params=params, tally=tally))

        found = await gather(fetch, limit=limit, page_size=PAGE, cap=MOST_EVENTS)
        if found.total == MOST_EVENTS and found.because is None:
            found.because = f"the query matched {MOST_EVENTS} events, the most that are kept; there may be more"
        found.rows.sort(key=_moment, reverse=newest_first)
        return found

    def _error(self, kind: type[VendorError], what: str, name: str) -> VendorError:
        return self._session.error(kind, STATUS, what, status=200, request_id=name)


def _warning(state: Mapping[str, Any]) -> str | None:
    if state.get("responseState") in _CUT_SHORT:
        return f"SentinelOne stopped the query at {state.get('progressStatus', '?')} % of its work"
    warnings = state.get("warnings")
    if not warnings:
        return None
    listed = warnings if isinstance(warnings, list) else [warnings]
    said = [str(item.get("message") or item) if isinstance(item, dict) else str(item) for item in listed]
    return f"SentinelOne warns: {'; '.join(' '.join(text.split())[:200] for text in said)}"


def _moment(row: Row) -> tuple[float, str]:
    text = str(row.get("eventTime") or row.get("createdAt") or "")
    moment = int(text) / 1000 if text.isdigit() else None
    parsed = parse_time(text) if moment is None else None
    return (moment if moment is not None else parsed.timestamp() if parsed else 0.0, str(row.get("id") or ""))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
