"""Rows and queries on their way into a case and out of it: what came back from a platform, and what the file holds of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...knowledge.errors import CaseError
from ..languages.query import Platform
from ..languages.search import Window
from ..languages.vocabulary import EventClass
from ..vendors.estate import QueryRun
from .canonical import digest, kept_form, read_form
from .event import Event
from .records import CheckRecord, DiagnosticRecord, Evidence, QueryRecord, WindowRecord


@dataclass(frozen=True, slots=True)
class Kept:
    """A row that can be kept: its safe form, its canonical bytes and their hash."""

    form: Any
    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A line of the `rows` table, with what was at hand when it was made."""

    row: tuple[Any, ...]
    form: Any = None
    event: Event | None = None

    def evidence(self) -> Evidence:
        """The row as evidence."""
        alias, row_id, sha256, data, query, platform, collection, event_class, time, host, user, fields = self.row
        return Evidence(
            id=row_id,
            alias=f"E{alias}",
            query=query,
            platform=platform,
            collection=collection,
            time=self.event.time if self.event else _moment(time),
            host=host,
            user=user,
            event_class=event_class,
            fields=dict(self.event.fields) if self.event else json.loads(fields),
            raw=self.form if self.form is not None else read_form(data),
            sha256=sha256,
        )

    def as_event(self) -> Event:
        """The row as its normalised event."""
        _, row_id, _, _, _, platform, collection, event_class, time, host, user, fields = self.row
        return Event(
            evidence=row_id,
            platform=Platform(platform),
            collection=collection,
            event_class=EventClass(event_class),
            time=_moment(time),
            host=host,
            user=user,
            fields=json.loads(fields),
        )


def kept_rows(run: QueryRun) -> tuple[list[Kept], list[str]]:
    """The rows of a run that can be kept, and why each of the others cannot."""
    kept, refused = [], []
    for row in run.rows:
        try:
            form, data = kept_form(row)
        except CaseError as exc:
            refused.append(str(exc))
        else:
            kept.append(Kept(form, data, digest(data)))
    return kept, refused


def window_record(window: Window) -> WindowRecord:
    """A window as a record."""
    return WindowRecord(start=window.start, end=window.end, phrase=window.phrase)


def query_record(query_id: str, run: QueryRun, refused: Sequence[str]) -> QueryRecord:
    """What a case keeps of a query: what was sent, what came back and how complete it is."""
    query, coverage = run.query, run.coverage
    because = coverage.because
    if refused:
        because = "; ".join(filter(None, (because, f"{len(refused)} of its rows could not be kept: {refused[0]}")))
    return QueryRecord(
        id=query_id,
        platform=query.platform.value,
        language=query.language.value,
        collection=query.collection,
        text=query.text,
        check=CheckRecord(
            ok=query.check.ok,
            diagnostics=tuple(
                DiagnosticRecord(
                    code=item.code,
                    severity=item.severity,
                    message=item.message,
                    start=item.start,
                    end=item.end,
                    hint=item.hint,
                )
                for item in query.check.diagnostics
            ),
        ),
        status=run.status,
        rows=max(coverage.rows, len(run.rows)),
        kept=len(run.rows) if run.status == "ok" else None,
        total=coverage.total,
        complete=coverage.complete and run.status == "ok" and not refused,
        incomplete_because=because,
        window=window_record(coverage.window or query.window),
        hunt=query.hunt,
        attempt=run.attempt,
        started=run.started,
        duration_ms=run.duration_ms,
        vendor_request_id=run.vendor_request_id,
        error=run.error,
        cannot_express=query.cannot_express,
        pages=coverage.pages,
        retries=coverage.retries,
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
