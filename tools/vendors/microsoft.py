"""The reader of Microsoft Sentinel (Log Analytics) and Microsoft Defender (hunting through Graph), both by KQL."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx

from ...knowledge.errors import VendorError, VendorResponseError
from ..languages.query import Language, Platform, Query
from ..languages.search import Window
from .estate import QueryRun, Row
from .microsoft_api import GRAPH, LOG_ANALYTICS, Tenant, innermost
from .pacing import Clock, Rate
from .paging import Gathered, row_limit
from .probe import Probe, tried
from .runs import own_limit, timed, unsupported
from .settings import MicrosoftSettings
from .transport import Session
from .wire import Operation, Tally

WORKSPACE = Operation(
    "Log Analytics query",
    "POST",
    "/v1/workspaces/{workspace}/query",
    "the roles Log Analytics Reader and Microsoft Sentinel Reader on the workspace",
    audience=LOG_ANALYTICS,
    timeout=200,
    repeat_timeouts=False,
)
HUNTING = Operation(
    "advanced hunting",
    "POST",
    "/v1.0/security/runHuntingQuery",
    "the Graph application permission ThreatHunting.Read.All",
    audience=GRAPH,
    timeout=200,
    repeat_timeouts=False,
)
SERVER_WAIT = 180
"""Seconds that Log Analytics may work on one query."""
MOST_ROWS = {Platform.SENTINEL: 500_000, Platform.DEFENDER: 100_000}
MOST_BYTES = 64_000_000
HUNTING_DAYS = 30
"""Days that advanced hunting reaches back."""
ALERT_DAYS = 90
"""Days that a workspace keeps alerts unless it is told otherwise."""
_ALERT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{4,99}")

_FIND = {
    Platform.DEFENDER: ("AlertInfo", 'AlertInfo | where AlertId =~ "{id}" | take 1'),
    Platform.SENTINEL: (
        "SecurityAlert",
        'SecurityAlert | where SystemAlertId =~ "{id}" or VendorOriginalId =~ "{id}" '
        "| sort by TimeGenerated desc | take 1",
    ),
}


class Microsoft:
    """Reads one tenant: a workspace, Defender, or both, as far as they are configured."""

    def __init__(
        self,
        settings: MicrosoftSettings,
        client: httpx.AsyncClient,
        clock: Clock | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._settings, self._client, self._clock = settings, client, clock or Clock()
        self._now = now or self._clock.now
        tenant = Tenant.of(settings, client, self._clock)
        self._sessions: dict[Platform, Session] = {}
        if settings.workspace_id:
            self._sessions[Platform.SENTINEL] = tenant.session(
                Session,
                "Sentinel",
                "sentinel",
                settings.loganalytics_url,
                "LOGANALYTICS_URL",
                Rate(200, 30, burst=20),
                5,
            )
        if settings.graph_url:
            self._sessions[Platform.DEFENDER] = tenant.session(
                Session, "Defender", "defender", settings.graph_url, "GRAPH_URL", Rate(45, 60, burst=15), 5
            )
        self.platforms = frozenset(self._sessions)

    async def run(self, query: Query) -> QueryRun:
        """Execute a checked query, see `Reader.run`."""
        if query.language is not Language.KQL or query.platform not in self.platforms:
            raise unsupported(query)
        return await timed(query, self._clock, self._execute, self._reached(query))

    async def find_alert(self, alert_id: str) -> tuple[Platform, str, Row] | None:
        """The alert with this id: of Defender, else of the workspace (`SystemAlertId` or the product's own id)."""
        if not _ALERT_ID.fullmatch(alert_id):
            return None
        failed: VendorError | None = None
        for platform in (Platform.DEFENDER, Platform.SENTINEL):
            if platform not in self._sessions:
                continue
            table, text = _FIND[platform]
            days = HUNTING_DAYS if platform is Platform.DEFENDER else ALERT_DAYS
            try:
                found = await self._ask(platform, text.replace("{id}", alert_id), self._last(days), 1, Tally())
            except VendorError as exc:
                failed = exc
                continue
            if found.rows:
                return platform, table, found.rows[0]
        if failed:
            raise failed
        return None

    async def probe(self) -> list[Probe]:
        """Whether each of the two answers the smallest query."""
        texts = {Platform.SENTINEL: "print answer = 1", Platform.DEFENDER: "AlertInfo | take 1"}
        return [
            await tried(platform.value, "query", self._ask(platform, texts[platform], self._last(1), 1, Tally()))
            for platform in sorted(self._sessions)
        ]

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    def _last(self, days: int) -> Window:
        now = self._now()
        return Window(start=now - timedelta(days=days), end=now + timedelta(minutes=1))

    def _reached(self, query: Query) -> Window | None:
        """The part of the window that the service can still look at."""
        horizon = self._now() - timedelta(days=HUNTING_DAYS)
        if query.platform is not Platform.DEFENDER or query.window.start >= horizon:
            return query.window
        return query.window.model_copy(update={"start": horizon}) if query.window.end > horizon else None

    async def _execute(self, query: Query, tally: Tally) -> Gathered:
        found = await self._ask(query.platform, query.text, query.window, query.limit, tally)
        reached = self._reached(query)
        if reached != query.window and found.because is None:
            horizon = _iso(reached.start if reached else query.window.end)
            found.because = f"Defender keeps {HUNTING_DAYS} days: nothing before {horizon} could be searched"
        return found

    async def _ask(self, platform: Platform, text: str, window: Window, limit: int, tally: Tally) -> Gathered:
        ask = self._ask_workspace if platform is Platform.SENTINEL else self._ask_hunting
        rows, because = await ask(self._sessions[platform], text, f"{_iso(window.start)}/{_iso(window.end)}", tally)
        found = Gathered(rows=rows, pages=1, because=because)
        stated = min(own_limit(text) or limit, limit)
        if because is None and len(rows) >= MOST_ROWS[platform]:
            found.because = f"{MOST_ROWS[platform]} rows came, the most that one query returns"
        elif because is None and len(rows) > limit:
            found.total, found.because = len(rows), row_limit(limit, len(rows))
        elif because is None and len(rows) >= stated:
            found.because = row_limit(stated, None)
        elif because is None:
            found.total = len(rows)
        del found.rows[limit:]
        return found

    async def _ask_workspace(
        self, session: Session, text: str, timespan: str, tally: Tally
    ) -> tuple[list[Row], str | None]:
        reply = await session.read(
            WORKSPACE,
            place={"workspace": self._settings.workspace_id},
            body={"query": text, "timespan": timespan},
            headers={"Prefer": f"wait={SERVER_WAIT}"},
            tally=tally,
        )
        error, tables = reply.body.get("error"), reply.body.get("tables")
        said = "; ".join(dict.fromkeys(innermost(error))) if isinstance(error, dict) else ""
        if said and not tables:
            what = f"answered {reply.status} with an error inside: {said}"
            raise session.error(VendorResponseError, WORKSPACE, what, status=reply.status, request_id=reply.request_id)
        try:
            rows = _rows(_primary(tables))
        except (IndexError, KeyError, TypeError, ValueError):
            what = "sent a table whose columns and rows do not fit"
            raise session.error(
                VendorResponseError, WORKSPACE, what, status=reply.status, request_id=reply.request_id
            ) from None
        if said:
            return rows, f"Sentinel returned a partial result: {session.redact(said)}"
        if reply.size >= MOST_BYTES:
            return rows, f"the answer is {reply.size} bytes long, at the limit of {MOST_BYTES}"
        return rows, None

    async def _ask_hunting(
        self, session: Session, text: str, timespan: str, tally: Tally
    ) -> tuple[list[Row], str | None]:
        reply = await session.read(HUNTING, body={"Query": text, "Timespan": timespan}, tally=tally)
        rows = reply.body.get("results")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            what = "sent an answer without a list of results"
            raise session.error(VendorResponseError, HUNTING, what, status=reply.status, request_id=reply.request_id)
        return rows, None


def _primary(tables: Any) -> Any:
    return next((table for table in tables if table["name"] == "PrimaryResult"), None) or tables[0]


def _rows(table: Any) -> list[Row]:
    """Rows as objects. Values stay as they came: a dynamic column is the JSON text that the API sends."""
    names = [str(column["name"]) for column in table["columns"]]
    return [dict(zip(names, row, strict=True)) for row in table["rows"]]


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
