"""Collecting the pages of a listing, with an honest word on what is missing."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from .estate import Row

Fetch = Callable[[str | None, int], Awaitable["Page"]]
"""From a cursor (None: the first page) and a page size to a page."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page as the vendor sent it."""

    rows: Sequence[Row]
    next: str | None
    total: int | None
    problem: str | None = None
    """Why the page may lack rows, when the vendor says so."""


@dataclass(slots=True)
class Gathered:
    """All pages together."""

    rows: list[Row] = field(default_factory=list)
    total: int | None = None
    pages: int = 0
    because: str | None = None
    """Why it is not all; None: it is."""


async def gather(fetch: Fetch, *, limit: int, page_size: int, cap: int | None = None) -> Gathered:
    """Fetch pages until there are no more, or `limit` rows are here.

    `cap` is the number of rows beyond which the vendor itself shows nothing: reaching it means that there may be more,
    whatever total is given.
    """
    found = Gathered()
    cursor: str | None = None
    seen: set[str] = set()
    while True:
        page = await fetch(cursor, min(page_size, limit - len(found.rows)))
        found.pages += 1
        found.rows += page.rows
        found.total = page.total if page.total is not None else found.total
        if page.problem:
            found.because = found.because or page.problem
        cursor = page.next or None
        if cursor is None or len(found.rows) >= limit:
            break
        if cursor in seen or not page.rows:
            found.because = found.because or "the vendor's cursor did not move on, so the pages after it are missing"
            break
        seen.add(cursor)
    found.because = found.because or _what_is_missing(found, more=cursor is not None, limit=limit, cap=cap)
    del found.rows[limit:]
    return found


def _what_is_missing(found: Gathered, *, more: bool, limit: int, cap: int | None) -> str | None:
    rows = len(found.rows)
    if cap is not None and rows >= cap:
        return f"the vendor shows no more than {cap} rows, and that many came"
    if rows > limit or (rows == limit and (more or (found.total or 0) > rows)):
        return row_limit(limit, found.total)
    if found.total is not None and rows < found.total:
        return f"the vendor counts {found.total} matches and sent {rows}"
    return None


def row_limit(limit: int, total: int | None) -> str:
    """The reason for stopping at the query's own limit."""
    return f"row limit {limit} reached, " + (f"{total} matches" if total is not None else "there may be more")
