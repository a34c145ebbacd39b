"""The reader of SentinelOne: Deep Visibility events by S1QL, threats and agents by their list endpoints."""

import re
from urllib.parse import parse_qsl, urlsplit

import httpx

from ...knowledge.errors import RefusedQueryError
from ..languages.query import Language, Platform, Query
from .estate import QueryRun, Row
from .pacing import Clock
from .paging import Gathered, Page, gather
from .probe import Probe, tried
from .runs import timed, unsupported
from .sentinelone_api import BASE, PAGE, page_of, scope, session
from .sentinelone_dv import DeepVisibility
from .settings import SentinelOneSettings
from .transport import Session
from .wire import Operation, Params, Tally

LISTS = {
    "threats": Operation("threats list", "GET", f"{BASE}/threats", "the permission Threats: View"),
    "agents": Operation("agents list", "GET", f"{BASE}/agents", "the permission Endpoints: View"),
}
_PAGING = frozenset({"limit", "skip", "cursor", "countOnly", "skipCount"})
_THREAT_ID = re.compile(r"\d{5,20}")


class SentinelOne:
    """Reads one SentinelOne console."""

    platforms = frozenset({Platform.SENTINELONE})

    def __init__(self, settings: SentinelOneSettings, client: httpx.AsyncClient, clock: Clock | None = None) -> None:
        self._settings, self._client, self._clock = settings, client, clock or Clock()
        self._session = session(Session, settings, client, self._clock)
        self._events = DeepVisibility(self._session, settings)

    async def run(self, query: Query) -> QueryRun:
        """Execute a checked query, see `Reader.run`."""
        return await timed(query, self._clock, self._execute, query.window)

    async def find_alert(self, alert_id: str) -> tuple[Platform, str, Row] | None:
        """The threat with this id."""
        if not _THREAT_ID.fullmatch(alert_id):
            return None
        found = await self._list("threats", [("ids", alert_id)], 1, Tally())
        row = next((row for row in found.rows if str(row.get("id")) == alert_id), None)
        return (Platform.SENTINELONE, "threats", row) if row else None

    async def probe(self) -> list[Probe]:
        """Whether threats and agents can be read. Deep Visibility is left alone: it takes one query a minute."""
        return [await tried("sentinelone", name, self._list(name, [], 1, Tally())) for name in LISTS]

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _execute(self, query: Query, tally: Tally) -> Gathered:
        match query.language:
            case Language.S1QL if query.collection == "events":
                return await self._events.run(query, tally)
            case Language.REST if query.collection in LISTS:
                params, limit = list_request(query)
                return await self._list(query.collection, params, limit, tally)
            case _:
                raise unsupported(query)

    async def _list(self, name: str, asked: Params, limit: int, tally: Tally) -> Gathered:
        operation, given = LISTS[name], {key for key, _ in asked}
        fixed = [("sortBy", "createdAt"), ("sortOrder", "asc"), *scope(self._settings)]
        params = [*asked, *(pair for pair in fixed if pair[0] not in given)]

        async def fetch(cursor: str | None, size: int) -> Page:
            paging = [("limit", str(size)), *([("cursor", cursor)] if cursor else [])]
            return page_of(
                self._session, operation, await self._session.read(operation, params=[*params, *paging], tally=tally)
            )

        return await gather(fetch, limit=limit, page_size=PAGE)


def list_request(query: Query) -> tuple[list[tuple[str, str]], int]:
    """Parameters and row limit of a text such as `GET /threats?createdAt__gte=...&resolved=false`.

    Raises:
        RefusedQueryError: it is not a GET of the collection's own list.
    """
    method, _, target = query.text.strip().partition(" ")
    parts = urlsplit(target.strip())
    path = parts.path.removeprefix(BASE)
    if method != "GET" or parts.scheme or parts.netloc or path != f"/{query.collection}":
        raise RefusedQueryError(
            f"this list request was not sent: it must start with `GET /{query.collection}?`, the only thing read there"
        )
    params = parse_qsl(parts.query, keep_blank_values=True)
    stated = next((int(value) for name, value in params if name == "limit" and value.isdigit()), query.limit)
    return [(name, value) for name, value in params if name not in _PAGING], max(min(stated, query.limit), 1)
