"""The reader of CrowdStrike Falcon: alerts, hosts and vulnerabilities by FQL, raw events by CQL."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import httpx

from ...knowledge.errors import VendorRefusedError
from ..languages.query import Language, Platform, Query
from .estate import QueryRun, Row
from .falcon_api import TokenDesk, dialect, pagination, resources
from .falcon_search import SearchJobs
from .pacing import Clock, Rate
from .paging import Gathered, Page, gather
from .probe import Probe, tried
from .redaction import Redactor
from .runs import timed, unsupported
from .settings import FalconSettings
from .tokens import OAuthTokens
from .transport import Session
from .wire import Operation, Tally, parse_time

ALERTS = Operation("alerts search", "POST", "/alerts/combined/alerts/v1", "the scope Alerts:read")
ALERT = Operation("alert by id", "POST", "/alerts/entities/alerts/v2", "the scope Alerts:read")
HOSTS = Operation("hosts search", "GET", "/devices/combined/devices/v1", "the scope Hosts:read")
VULNERABILITIES = Operation(
    "vulnerabilities search", "GET", "/spotlight/combined/vulnerabilities/v1", "the scope Vulnerabilities:read"
)

SomeSession = TypeVar("SomeSession", bound=Session)

WINDOW = 10_000
"""Rows beyond which Falcon's listings are known to break off."""
_COMPOSITE = re.compile(r"[\w-]+(:[\w.-]+){3,}")
"""`<cid>:ind:<aid>:<n>`, also of other products such as `ngsiem`."""
_ALERT_ID = re.compile(r"[a-z-]+:[\w-]+:[\w.-]+")
"""`ind:<aid>:<n>`: the same without the customer."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """How one FQL collection is paged and put in order."""

    operation: Operation
    page_size: int
    sort: str
    order: tuple[str, ...]
    """Fields that put rows in order, the first by time where it is one."""
    next_key: str
    """Where a page names the next one, and..."""
    cursor: str
    """...the parameter that takes it back."""
    facets: tuple[str, ...] = ()


_LISTINGS: Mapping[str, _Listing] = {
    "alerts": _Listing(ALERTS, 1000, "created_timestamp", ("created_timestamp", "composite_id"), "after", "after"),
    "hosts": _Listing(HOSTS, 5000, "hostname", ("hostname", "device_id"), "next", "offset"),
    "vulnerabilities": _Listing(
        VULNERABILITIES,
        5000,
        "updated_timestamp",
        ("updated_timestamp", "id"),
        "after",
        "after",
        ("host_info", "cve", "remediation"),
    ),
}


class Falcon:
    """Reads one CrowdStrike tenant."""

    platforms = frozenset({Platform.FALCON})

    def __init__(
        self,
        settings: FalconSettings,
        client: httpx.AsyncClient,
        clock: Clock | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._client, self._clock = client, clock or Clock()
        self._now = now or self._clock.now
        self._session = session(settings, client, self._clock)
        self._jobs = SearchJobs(self._session, settings.repository)

    async def run(self, query: Query) -> QueryRun:
        """Execute a checked query, see `Reader.run`."""
        return await timed(query, self._clock, self._execute, query.window)

    async def find_alert(self, alert_id: str) -> tuple[Platform, str, Row] | None:
        """The alert with this composite id, or with this id (`ind:...`)."""
        if _COMPOSITE.fullmatch(alert_id):
            try:
                reply = await self._session.read(ALERT, body={"composite_ids": [alert_id]})
                rows, _ = resources(self._session, ALERT, reply)
            except VendorRefusedError:
                return None
        elif _ALERT_ID.fullmatch(alert_id):
            found = await self._listing("alerts", f"id:'{alert_id}'", 2, Tally(), newest_first=False)
            rows = found.rows
        else:
            return None
        row = next((row for row in rows if alert_id in (row.get("composite_id"), row.get("id"))), None)
        return (Platform.FALCON, "alerts", row) if row else None

    async def probe(self) -> list[Probe]:
        """Whether each area can be read, by the smallest question that shows it."""
        listings = {"alerts": "", "hosts": "", "vulnerabilities": "status:'open'"}
        return [
            *[
                await tried("falcon", area, self._listing(area, text, 1, Tally(), newest_first=False))
                for area, text in listings.items()
            ],
            await tried("falcon", "events", self._jobs.probe(self._now())),
        ]

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _execute(self, query: Query, tally: Tally) -> Gathered:
        newest_first = query.search is not None and query.search.newest_first
        match query.language:
            case Language.FQL if query.collection in _LISTINGS:
                return await self._listing(query.collection, query.text, query.limit, tally, newest_first=newest_first)
            case Language.CQL if query.collection == "events":
                return await self._jobs.run(query, tally, newest_first=newest_first)
            case _:
                raise unsupported(query)

    async def _listing(self, collection: str, text: str, limit: int, tally: Tally, *, newest_first: bool) -> Gathered:
        listing = _LISTINGS[collection]
        direction = "desc" if newest_first else "asc"

        async def fetch(cursor: str | None, size: int) -> Page:
            asked: dict[str, Any] = {"limit": size, "sort": f"{listing.sort}|{direction}"}
            if text.strip():
                asked["filter"] = text
            if cursor:
                asked[listing.cursor] = cursor
            if listing.operation.method == "POST":
                reply = await self._session.read(listing.operation, body=asked, tally=tally)
            else:
                params = [(key, str(value)) for key, value in asked.items()]
                params += [("facet", facet) for facet in listing.facets]
                reply = await self._session.read(listing.operation, params=params, tally=tally)
            rows, problem = resources(self._session, listing.operation, reply)
            page = pagination(reply)
            total = page.get("total")
            following = page.get(listing.next_key)
            return Page(rows, str(following) if following else None, total if isinstance(total, int) else None, problem)

        found = await gather(fetch, limit=limit, page_size=listing.page_size)
        if len(found.rows) == found.total == WINDOW and found.because is None:
            found.because = f"exactly {WINDOW} rows came, which is the size of Falcon's window; there may be more"
        found.rows.sort(key=lambda row: _order(row, listing.order), reverse=newest_first)
        return found


def session(settings: FalconSettings, client: httpx.AsyncClient, clock: Clock) -> Session:
    """A reading session with its own tokens."""
    return with_tokens(Session, settings, client, clock)[0]


def with_tokens(
    kind: type[SomeSession], settings: FalconSettings, client: httpx.AsyncClient, clock: Clock
) -> tuple[SomeSession, OAuthTokens, TokenDesk]:
    """A session of the kind asked for, its tokens, and the desk that issues them."""
    redact = Redactor(settings.client_secret.get_secret_value())
    rate = Rate(6000, 60, burst=50)
    main = kind(client, settings.base_url, dialect(settings), clock, redact=redact, rate=rate)
    plain = Session(client, settings.base_url, dialect(settings), clock, redact=redact, rate=Rate(300, 60, burst=5))
    desk = TokenDesk(settings, plain, [main])
    main.credentials = tokens = OAuthTokens(desk.fetch, clock, redact)
    return main, tokens, desk


def _order(row: Row, names: tuple[str, ...]) -> tuple[float, tuple[str, ...]]:
    values = tuple(str(row.get(name) or "") for name in names)
    moment = parse_time(values[0]) if names[0].endswith("timestamp") else None
    return (moment.timestamp() if moment else 0.0, values)
