"""The rows of every platform that saw an observation."""

from collections.abc import Iterator
from typing import Any

from . import falcon_rows, microsoft_rows, sentinelone_rows, splunk_rows
from .observation import DEFENDER, FALCON, SENTINEL, SENTINELONE, Observation

Rows = Iterator[tuple[str, dict[str, Any]]]
"""Table and row."""


def rows_of(seen: Observation) -> Rows:
    """What each platform's sensors keep of an observation."""
    if FALCON in seen.sensors:
        yield from falcon_rows.rows(seen)
    if SENTINELONE in seen.sensors:
        yield from sentinelone_rows.rows(seen)
    if seen.sensors & {DEFENDER, SENTINEL}:
        yield from microsoft_rows.rows(seen)
    yield from splunk_rows.rows(seen)
