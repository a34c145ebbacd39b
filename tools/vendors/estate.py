"""The estate: the connected platforms, and what a run of a query brings back."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from ..languages.query import Platform, Query
from ..languages.search import Window

Row = dict[str, Any]
"""One record as the vendor sent it, keys and values unchanged."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How complete a run was. Absence may be claimed only when `complete`."""

    rows: int
    total: int | None
    """Matches that the vendor counted, when it says."""
    complete: bool
    because: str | None = None
    """Why it is not complete: cap reached, partial result, pages left, window cut by retention."""
    pages: int = 1
    window: Window | None = None
    """The span that was really covered."""
    retries: int = 0


@dataclass(frozen=True, slots=True)
class QueryRun:
    """One execution of one query. A failure is a value here, at the one place where many calls run side by side."""

    query: Query
    status: Literal["ok", "error", "refused", "unsupported"]
    rows: Sequence[Row] = ()
    coverage: Coverage = field(default_factory=lambda: Coverage(rows=0, total=None, complete=False))
    started: datetime | None = None
    duration_ms: float = 0.0
    vendor_request_id: str | None = None
    error: str | None = None
    attempt: int = 1
    locked_out: bool = False
    """The vendor refused the credentials."""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A host as its vendor knows it now: the re-read that guards an action."""

    platform: Platform
    device_id: str
    hostname: str
    tenant: str
    last_seen: datetime | None
    containment: Literal["normal", "contained", "pending", "lifting", "unknown"]
    raw: Row


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a vendor answered to a state-changing call."""

    accepted: bool
    vendor_reference: str | None
    detail: str


class Reader(Protocol):
    """A vendor as the investigator sees it: it can only read. One reader may serve several platforms."""

    platforms: frozenset[Platform]

    async def run(self, query: Query) -> QueryRun:
        """Execute a checked query, all pages up to `query.limit`. Vendor failures raise `VendorError`."""
        ...

    async def find_alert(self, alert_id: str) -> tuple[Platform, str, Row] | None:
        """The alert with this id: platform, collection, row. None when this vendor does not know it."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class Responder(Protocol):
    """A vendor as the executor sees it: the acting credential, reachable from no other process."""

    platform: Platform

    async def device(self, device_id: str) -> DeviceState:
        """Read the host's state now."""
        ...

    async def isolate(self, device_id: str, *, comment: str) -> Receipt:
        """Cut the host off the network (Falcon contain, SentinelOne disconnect, Defender isolate)."""
        ...

    async def release(self, device_id: str, *, comment: str) -> Receipt:
        """Let the host back onto the network."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True)
class Estate:
    r"""The connected vendors and the clock that \"now\" means."""

    kind: Literal["lab", "live"]
    readers: Sequence[Reader]
    now: Callable[[], datetime]
    name: str = ""
    """What a banner says: the lab's folder, or the tenants."""
    retention_days: Mapping[Platform, int] = field(default_factory=dict)
    tenants: Mapping[Platform, str] = field(default_factory=dict)
    """Tenant ids that the settings name; elsewhere device records carry them."""
    acting: Callable[[], AbstractAsyncContextManager[Mapping[str, str]]] | None = None
    """Opens the environment of the executor process: addresses and acting credentials. None: nothing can be executed."""

    @property
    def platforms(self) -> frozenset[Platform]:
        """Every platform that some reader serves."""
        return frozenset().union(*(reader.platforms for reader in self.readers))

    def reader(self, platform: Platform) -> Reader | None:
        """The reader of a platform, or None when it is not connected."""
        return next((reader for reader in self.readers if platform in reader.platforms), None)

    async def aclose(self) -> None:
        """Close every reader."""
        for reader in self.readers:
            await reader.aclose()
