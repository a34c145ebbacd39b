"""What every reader does around its calls: refuse what may not be sent, take the time, write down the coverage."""

import re
import time
from collections.abc import Awaitable, Callable

from ...knowledge.errors import RefusedQueryError
from ..languages.query import Query
from ..languages.search import Window
from .estate import Coverage, QueryRun
from .pacing import Clock
from .paging import Gathered
from .wire import Tally

Execute = Callable[[Query, Tally], Awaitable[Gathered]]

_OWN_LIMIT = re.compile(r"\|\s*(?:take|limit|top|head|tail)\s*\(?\s*(?:limit\s*=\s*)?\"?(\d+)", re.IGNORECASE)


async def timed(query: Query, clock: Clock, execute: Execute, window: Window | None) -> QueryRun:
    """Run a query that its check allows to be sent. `window` is the span that can be covered.

    Raises:
        RefusedQueryError: the check does not allow it.
        VendorError: no usable answer.
    """
    refuse_unless_sendable(query)
    started, before, tally = clock.now(), time.perf_counter(), Tally()
    found = await execute(query, tally)
    coverage = Coverage(
        rows=len(found.rows),
        total=found.total,
        complete=found.because is None,
        because=found.because,
        pages=found.pages,
        window=window,
        retries=tally.retries,
    )
    return QueryRun(
        query=query,
        status="ok",
        rows=tuple(found.rows),
        coverage=coverage,
        started=started,
        duration_ms=(time.perf_counter() - before) * 1000,
        vendor_request_id=tally.request_id,
    )


def refuse_unless_sendable(query: Query) -> None:
    """Guard of every door out.

    Raises:
        RefusedQueryError: the check found an error, a write or no bound; the message repeats its first finding.
    """
    if query.check.sendable and query.limit >= 1:
        return
    finding = next((item.message for item in query.check.diagnostics), "its check does not allow it")
    raise RefusedQueryError(f"this {query.language.value} query for {query.platform.value} was not sent: {finding}")


def unsupported(query: Query) -> RefusedQueryError:
    """The error for a collection or language that a reader does not know."""
    what = f"{query.language.value} over {query.collection!r} on {query.platform.value}"
    return RefusedQueryError(f"not supported yet: {what}")


def own_limit(text: str) -> int | None:
    """The row limit that a piped query ends with, `| take 50` or `| tail(50)`; None when it has none."""
    stated = _OWN_LIMIT.findall(text)
    return int(stated[-1]) if stated else None
