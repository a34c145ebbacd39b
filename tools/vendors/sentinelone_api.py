"""SentinelOne's management API on the wire: token, envelope, errors, listings.

Sources: public connectors (Cortex XSOAR, InsightConnect, surveyor, stix-shifter) and their recorded answers.
"""

from collections.abc import Sequence
from typing import TypeVar

import httpx

from ...knowledge.errors import (
    VendorAuthError,
    VendorError,
    VendorRateLimitError,
    VendorRefusedError,
    VendorResponseError,
    VendorUnavailableError,
)
from .estate import Row
from .pacing import Clock, Rate
from .paging import Page
from .redaction import Redactor
from .settings import SentinelOneSettings
from .tokens import FixedToken
from .transport import Session
from .wire import Body, Dialect, Headers, Operation, Reply

BASE = "/web/api/v2.1"
PAGE = 1000

SomeSession = TypeVar("SomeSession", bound=Session)


def explain(body: Body) -> str:
    """Title and detail of each error."""
    errors = body.get("errors")
    if not isinstance(errors, list):
        return ""
    said = []
    for item in errors:
        if isinstance(item, dict):
            parts = [str(part) for part in (item.get("title"), item.get("detail")) if part]
            said.append(": ".join(dict.fromkeys(parts)) or f"code {item.get('code')}")
    return "; ".join(said)


def request_id(headers: Headers, body: Body) -> str | None:
    """The id of a Deep Visibility query, or a header where a console sets one."""
    data = body.get("data")
    query = data.get("queryId") if isinstance(data, dict) else None
    return str(query) if query else headers.get("x-request-id")


def session(
    kind: type[SomeSession], settings: SentinelOneSettings, client: httpx.AsyncClient, clock: Clock
) -> SomeSession:
    """A session of the kind asked for. The management API takes `ApiToken`, at most 10 calls at a time."""
    token = settings.api_token.get_secret_value()
    dialect = Dialect(
        "SentinelOne",
        "sentinelone",
        explain,
        request_id,
        keys=settings.named("API_TOKEN"),
        address=settings.named("BASE_URL"),
    )
    return kind(
        client,
        settings.base_url,
        dialect,
        clock,
        FixedToken(f"ApiToken {token}"),
        Redactor(token),
        Rate(25, 1, burst=25),
    )


def scope(settings: SentinelOneSettings) -> list[tuple[str, str]]:
    """The accounts and sites to which listings are restricted."""
    wanted = {"accountIds": settings.account_ids, "siteIds": settings.site_ids}
    return [(name, ",".join(ids)) for name, ids in wanted.items() if ids]


def data_of(session: Session, operation: Operation, reply: Reply) -> tuple[object, str | None]:
    """`data` of an envelope, and the errors that stand beside it.

    Raises:
        VendorError: there are errors and no data.
    """
    said, data = explain(reply.body), reply.body.get("data")
    if said and not data:
        kind, status = _kind(reply.body), reply.status
        what = f"answered {status} with an error inside: {said}"
        raise session.error(kind, operation, what, status=status, request_id=reply.request_id)
    if data is None:
        what = "sent an answer without data"
        raise session.error(VendorResponseError, operation, what, status=reply.status, request_id=reply.request_id)
    return data, f"SentinelOne reported beside the rows: {session.redact(said)}" if said else None


def page_of(session: Session, operation: Operation, reply: Reply) -> Page:
    """One page of a listing.

    Raises:
        VendorError: it is not one.
    """
    data, problem = data_of(session, operation, reply)
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise session.error(VendorResponseError, operation, "sent no list of rows", status=reply.status)
    rows: Sequence[Row] = data
    pagination = reply.body.get("pagination")
    paging = pagination if isinstance(pagination, dict) else {}
    total, cursor = paging.get("totalItems"), paging.get("nextCursor")
    return Page(rows, str(cursor) if cursor else None, total if isinstance(total, int) else None, problem)


def _kind(body: Body) -> type[VendorError]:
    errors = body.get("errors")
    code = errors[0].get("code") if isinstance(errors, list) and errors and isinstance(errors[0], dict) else None
    match str(code)[:3]:
        case "401" | "403":
            return VendorAuthError
        case "429":
            return VendorRateLimitError
        case text if text.startswith("5"):
            return VendorUnavailableError
        case _:
            return VendorRefusedError
