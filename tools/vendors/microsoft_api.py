"""Microsoft's APIs on the wire: Entra tokens per audience, error bodies, request ids.

Sources: Microsoft Learn, Azure's REST specifications, azure-monitor-query.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from ...knowledge.errors import VendorAuthError, VendorRefusedError, VendorResponseError
from .pacing import Clock, Rate
from .redaction import Redactor
from .settings import MicrosoftSettings
from .tokens import OAuthTokens, Token
from .transport import Session
from .wire import Body, Dialect, Headers, Operation

LOG_ANALYTICS = "https://api.loganalytics.io/.default"
GRAPH = "https://graph.microsoft.com/.default"
DEFENDER = "https://api.securitycenter.microsoft.com/.default"

TOKEN = Operation("token request", "POST", "/{tenant}/oauth2/v2.0/token")

SomeSession = TypeVar("SomeSession", bound=Session)
_IDS = ("x-ms-request-id", "request-id", "x-ms-correlation-request-id", "client-request-id")


def explain(body: Body) -> str:
    """The deepest message of nested errors, with its code; for Entra the description of its first line."""
    if isinstance(body.get("error"), str):
        return str(body.get("error_description") or body["error"]).splitlines()[0]
    error = body.get("error")
    return "; ".join(dict.fromkeys(innermost(error))) if isinstance(error, dict) else ""


def innermost(error: Mapping[str, Any]) -> list[str]:
    """`code: message` of the deepest errors below this one. Log Analytics nests by `innererror` and by `details`."""
    details = error.get("details")
    listed = details if isinstance(details, list) else []
    below = [item for item in (error.get("innererror"), *listed) if isinstance(item, dict) and item.get("message")]
    if below:
        return [text for item in below for text in innermost(item)]
    code, message = str(error.get("code") or ""), str(error.get("message") or "")
    return [": ".join(part for part in (code, message) if part)]


def token_refused(status: int, body: Body) -> bool:
    """A 401; Log Analytics answers a token that it does not take any more with 403 and this code."""
    error = body.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return status == 401 or (status == 403 and code == "InvalidAuthenticationToken")


def request_id(headers: Headers, body: Body) -> str | None:
    """From a header, or from the inner error of Graph and Defender."""
    for name in _IDS:
        if headers.get(name):
            return headers[name]
    error = body.get("error")
    inner = error.get("innerError") if isinstance(error, dict) else None
    named = inner.get("request-id") if isinstance(inner, dict) else None
    return str(named) if named else None


@dataclass(frozen=True)
class Tenant:
    """One Entra application: its tokens, and sessions that use them."""

    settings: MicrosoftSettings
    client: httpx.AsyncClient
    clock: Clock
    redact: Redactor
    tokens: OAuthTokens

    @classmethod
    def of(cls, settings: MicrosoftSettings, client: httpx.AsyncClient, clock: Clock) -> "Tenant":
        """The application that the settings name."""
        secret = settings.client_secret.get_secret_value()
        redact = Redactor(secret)
        login = Session(
            client, settings.login_url, _dialect(settings, "Entra", "microsoft", "LOGIN_URL"), clock, redact=redact
        )

        async def fetch(audience: str) -> Token:
            return await _token(login, settings, audience)

        return cls(settings, client, clock, redact, OAuthTokens(fetch, clock, redact))

    def session(
        self, kind: type[SomeSession], vendor: str, platform: str, base_url: str, setting: str, rate: Rate, at_once: int
    ) -> SomeSession:
        """A session with one of the tenant's APIs."""
        dialect = _dialect(self.settings, vendor, platform, setting)
        return kind(self.client, base_url, dialect, self.clock, self.tokens, self.redact, rate, at_once)


def _dialect(settings: MicrosoftSettings, vendor: str, platform: str, setting: str) -> Dialect:
    keys = ", ".join(settings.named(name) for name in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET"))
    return Dialect(vendor, platform, explain, request_id, keys, settings.named(setting), token_refused)


async def _token(login: Session, settings: MicrosoftSettings, audience: str) -> Token:
    form = {
        "grant_type": "client_credentials",
        "client_id": settings.client_id,
        "client_secret": settings.client_secret.get_secret_value(),
        "scope": audience,
    }
    try:
        reply = await login.read(TOKEN, place={"tenant": settings.tenant_id}, form=form)
    except VendorRefusedError as exc:
        # Entra answers wrong keys, tenants and applications with 400 as well as with 401.
        raise VendorAuthError(
            f"{exc}; check {login.dialect.keys}",
            platform=exc.platform,
            operation=exc.operation,
            status=exc.status,
            request_id=exc.request_id,
        ) from None
    value, lifetime = reply.body.get("access_token"), reply.body.get("expires_in")
    try:
        seconds = float(str(lifetime))
    except ValueError:
        seconds = 0.0
    if not isinstance(value, str) or not value or seconds <= 0:
        raise login.error(VendorResponseError, TOKEN, "sent no access token", status=reply.status)
    return Token(value, seconds)
