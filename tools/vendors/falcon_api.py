"""CrowdStrike Falcon on the wire: regions, tokens, the envelope and its errors.

Sources: CrowdStrike's published specification (gofalcon, falconpy) and falcon-mcp.
"""

import base64
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from ...knowledge.errors import (
    VendorAuthError,
    VendorError,
    VendorRateLimitError,
    VendorRefusedError,
    VendorResponseError,
    VendorUnavailableError,
)
from .estate import Row
from .settings import FalconSettings
from .tokens import Token
from .transport import Session
from .wire import Body, Dialect, Headers, Operation, Reply

REGIONS: Mapping[str, str] = {
    "us-1": "https://api.crowdstrike.com",
    "us-2": "https://api.us-2.crowdstrike.com",
    "us-3": "https://api.us-3.crowdstrike.com",
    "eu-1": "https://api.eu-1.crowdstrike.com",
    "us-gov-1": "https://api.laggar.gcw.crowdstrike.com",
    "us-gov-2": "https://api.us-gov-2.crowdstrike.mil",
}
"""Base URL by the value of the `X-Cs-Region` header."""

TOKEN = Operation("token request", "POST", "/oauth2/token")
REVOKE = Operation("token revocation", "POST", "/oauth2/revoke", timeout=5, attempts=1)


def explain(body: Body) -> str:
    """The messages of the envelope's errors."""
    return "; ".join(message for _, message in envelope_errors(body))


def request_id(headers: Headers, body: Body) -> str | None:
    """The trace id: the citation that CrowdStrike's support accepts."""
    meta = body.get("meta")
    named = meta.get("trace_id") if isinstance(meta, dict) else None
    return headers.get("x-cs-traceid") or (str(named) if named else None)


def dialect(settings: FalconSettings) -> Dialect:
    """Falcon's way on the wire."""
    return Dialect(
        "Falcon",
        "falcon",
        explain,
        request_id,
        keys=f"{settings.named('CLIENT_ID')} and {settings.named('CLIENT_SECRET')}",
        address=settings.named("BASE_URL"),
    )


def envelope_errors(body: Body) -> list[tuple[int, str]]:
    """Code and message of each error in an envelope; it may carry them beside HTTP 200."""
    errors = body.get("errors")
    if not isinstance(errors, list):
        return []
    return [
        (
            code if isinstance(code := item.get("code"), int) else 0,
            str(item.get("message") or item.get("id") or "unnamed"),
        )
        for item in errors
        if isinstance(item, dict)
    ]


def resources(session: Session, operation: Operation, reply: Reply) -> tuple[list[Row], str | None]:
    """The documents of an envelope, and why there may be fewer than there should be.

    Raises:
        VendorError: there are errors and no documents, or no envelope at all.
    """
    errors, found = envelope_errors(reply.body), reply.body.get("resources")
    if errors and not found:
        code, message = errors[0]
        what = f"answered {reply.status} with an error inside: {code} {message}"
        raise session.error(_kind(code), operation, what, status=code or reply.status, request_id=reply.request_id)
    if found is None and "resources" in reply.body:
        found = []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        what = "sent an answer without a list of resources"
        raise session.error(VendorResponseError, operation, what, status=reply.status, request_id=reply.request_id)
    problem = f"Falcon reported beside the rows: {session.redact(explain(reply.body))}" if errors else None
    return found, problem


def pagination(reply: Reply) -> dict[str, Any]:
    """`meta.pagination`, empty when there is none."""
    meta = reply.body.get("meta")
    page = meta.get("pagination") if isinstance(meta, dict) else None
    return page if isinstance(page, dict) else {}


class TokenDesk:
    """Fetches tokens; follows the region header once, within the commercial clouds and from a fixed table alone."""

    def __init__(self, settings: FalconSettings, plain: Session, movable: list[Session]) -> None:
        self._settings, self._plain, self._movable = settings, plain, movable

    async def fetch(self, audience: str) -> Token:
        """A token of this client.

        Raises:
            VendorAuthError: the key is wrong, or the client is not allowed from here.
        """
        reply = await self._ask()
        home = REGIONS.get(reply.headers.get("x-cs-region", "").lower())
        here = self._plain.base_url.rstrip("/")
        if home and here in REGIONS.values() and home != here:
            self._move(home)
            reply = await self._ask()
        value, lifetime = reply.body.get("access_token"), reply.body.get("expires_in")
        if not isinstance(value, str) or not value or not isinstance(lifetime, int | float):
            raise self._plain.error(VendorResponseError, TOKEN, "sent no access token", status=reply.status)
        return Token(value, float(lifetime))

    async def revoke(self, tokens: list[str]) -> None:
        """Give tokens back; a token that cannot be given back expires by itself within half an hour."""
        settings = self._settings
        pair = f"{settings.client_id}:{settings.client_secret.get_secret_value()}"
        basic = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        for token in tokens:
            with suppress(VendorError):
                await self._plain.read(REVOKE, form={"token": token}, headers=basic)

    async def _ask(self) -> Reply:
        settings = self._settings
        form = {"client_id": settings.client_id, "client_secret": settings.client_secret.get_secret_value()}
        if settings.member_cid:
            form["member_cid"] = settings.member_cid
        try:
            return await self._plain.read(TOKEN, form=form)
        except (VendorAuthError, VendorRefusedError) as exc:
            dialect = self._plain.dialect
            what = (
                f"did not accept the client id and secret (status {exc.status}); check {dialect.keys}, "
                f"{dialect.address} (now {urlsplit(self._plain.base_url).netloc}) and the client's allowed addresses"
            )
            raise self._plain.error(
                VendorAuthError, TOKEN, what, status=exc.status, request_id=exc.request_id
            ) from None

    def _move(self, home: str) -> None:
        if "gov" in home or "laggar" in home:
            what = f"says that these credentials belong to {home}; set {self._plain.dialect.address} to it"
            raise self._plain.error(VendorAuthError, TOKEN, what)
        for session in (self._plain, *self._movable):
            session.base_url = home


def _kind(code: int) -> type[VendorError]:
    if code in (401, 403):
        return VendorAuthError
    if code == 429:
        return VendorRateLimitError
    return VendorUnavailableError if code >= 500 else VendorRefusedError if code >= 400 else VendorResponseError
