"""What a workspace of Log Analytics knows of itself: tables, columns, functions. Checks of KQL are held against it."""

from collections.abc import Mapping
from typing import Any

import httpx

from ...knowledge.errors import ConfigurationError, VendorResponseError
from .microsoft_api import LOG_ANALYTICS, Tenant
from .pacing import Clock, Rate
from .settings import MicrosoftSettings
from .transport import Session
from .wire import Operation

METADATA = Operation(
    "Log Analytics metadata",
    "GET",
    "/v1/workspaces/{workspace}/metadata",
    "the role Log Analytics Reader on the workspace",
    audience=LOG_ANALYTICS,
    timeout=60,
)


async def workspace_metadata(
    settings: MicrosoftSettings, client: httpx.AsyncClient, clock: Clock | None = None
) -> Mapping[str, Any]:
    """The metadata as the API sends it: `tables` of `name`, `columns` and `timespanColumn`; `functions`.

    `kql.from_metadata` and `kql.functions_from_metadata` read it. The client stays open.

    Raises:
        ConfigurationError: the settings name no workspace.
        VendorError: no usable answer; the class says which kind.
    """
    if not settings.workspace_id:
        raise ConfigurationError(f"set {settings.named('WORKSPACE_ID')} to the workspace whose tables are asked for")
    tenant = Tenant.of(settings, client, clock or Clock())
    address, rate = settings.loganalytics_url, Rate(200, 30, burst=20)
    session = tenant.session(Session, "Sentinel", "sentinel", address, "LOGANALYTICS_URL", rate, 5)
    reply = await session.read(METADATA, place={"workspace": settings.workspace_id})
    if not isinstance(reply.body.get("tables"), list):
        what = "sent metadata without a list of tables"
        raise session.error(VendorResponseError, METADATA, what, status=reply.status, request_id=reply.request_id)
    return reply.body
