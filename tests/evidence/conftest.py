from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tracehound.tools.languages.query import Check, Language, Platform, Query
from tracehound.tools.languages.search import Search, Window
from tracehound.tools.languages.vocabulary import EventClass
from tracehound.tools.vendors.estate import Coverage, QueryRun

START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture
def window() -> Window:
    return Window(start=START, end=END, phrase="1 November")


@pytest.fixture
def query(window: Window) -> Callable[..., Query]:
    """Makes a checked query."""

    def make(
        platform: Platform = Platform.SENTINELONE,
        collection: str = "events",
        event_class: EventClass | None = None,
        *,
        compiled: bool = False,
        language: Language = Language.S1QL,
        text: str = "EventType is not empty",
    ) -> Query:
        search = Search(event_class=event_class, window=window) if compiled and event_class else None
        return Query(
            platform=platform,
            language=language,
            collection=collection,
            text=text,
            window=window,
            limit=1_000,
            check=Check(language, ok=True, read_only=True),
            event_class=event_class,
            search=search,
        )

    return make


@pytest.fixture
def run(query: Callable[..., Query]) -> Callable[..., QueryRun]:
    """Makes a complete run of rows."""

    def make(rows: Sequence[dict[str, Any]], made: Query | None = None, **changes: Any) -> QueryRun:
        settings: dict[str, Any] = {
            "query": made or query(),
            "status": "ok",
            "rows": rows,
            "coverage": Coverage(rows=len(rows), total=len(rows), complete=True),
            "started": START,
            "duration_ms": 12.5,
        }
        return QueryRun(**(settings | changes))

    return make


@pytest.fixture
def process_row() -> Callable[..., dict[str, Any]]:
    """Makes a Deep Visibility row of a process creation."""

    def make(number: int = 1, **changes: Any) -> dict[str, Any]:
        row = {
            "eventType": "Process Creation",
            "eventTime": f"2026-11-01T10:{number // 60 % 60:02d}:{number % 60:02d}.000Z",
            "endpointName": "srv-7.corp.example",
            "agentUuid": "ab12",
            "tgtProcName": "whoami.exe",
            "tgtProcPid": 4_000 + number,
            "tgtProcCmdLine": "whoami /all",
            "tgtProcUser": "CORP\\bob",
            "srcProcName": "cmd.exe",
            "srcProcPid": 77,
        }
        return row | changes

    return make
