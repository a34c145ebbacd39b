"""Queries on the lab's tables: the moments of the events that they return, and why one cannot be run."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from ...knowledge.errors import UnsafeValueError
from ...tools.evidence.normalise import standard
from ...tools.languages import s1ql
from ...tools.languages.query import Language, Platform, Query
from ...tools.languages.search import matches
from ...tools.languages.syntax import QuerySyntaxError
from ..lab import sql_cql, sql_kql, sql_powerquery, sql_s1ql, sql_spl
from ..lab.sql import QueryRejectedError
from ..lab.telemetry import Telemetry

ROWS = 20_000
Rows = list[dict[str, Any]]


class NotRunError(Exception):
    """A query that did not run: the text is not read, or the lab has no words for it. The message says which."""


@dataclass
class Bench:
    """One lab file, and every language over it."""

    telemetry: Telemetry

    @cached_property
    def _kusto(self) -> Mapping[Platform, sql_kql.Engine]:
        now = datetime(2026, 12, 31, tzinfo=UTC)
        return {
            Platform.DEFENDER: sql_kql.Engine(self.telemetry, "defender", now),
            Platform.SENTINEL: sql_kql.Engine(self.telemetry, "sentinel", now),
        }

    def rows(self, platform: Platform, language: Language, text: str, start: datetime, end: datetime) -> Rows:
        """What a query returns of a window.

        Raises:
            NotRunError: it cannot be read or run.
        """
        runner = self._runners[language]
        try:
            return runner(platform, text, start, end)
        except RecursionError as exc:
            raise NotRunError("not runnable in the lab: a condition of this depth") from exc
        except sql_kql.UnrunnableError as exc:
            raise NotRunError(f"not runnable in the lab: {exc.construct}") from exc
        except (sql_kql.SyntaxFaultError, QuerySyntaxError) as exc:
            raise NotRunError(f"not read: {exc}") from exc
        except (sql_kql.SemanticFaultError, QueryRejectedError, UnsafeValueError) as exc:
            raise NotRunError(f"refused: {exc}") from exc

    def moments(self, query: Query, start: datetime, end: datetime) -> set[datetime]:
        """The moments of the events that a query of ours finds; what its text leaves out is applied to the rows.

        Raises:
            NotRunError: it cannot be read or run.
        """
        rows = self.rows(query.platform, query.language, query.text, start, end)
        if query.cannot_express and query.search is not None:
            read = standard()
            rows = [row for row in rows if matches(query.search.where, read.event(query, row, "E-0").fields)]
        return moments_of(query.language, rows)

    @property
    def _runners(self) -> Mapping[Language, Callable[[Platform, str, datetime, datetime], Rows]]:
        return {
            Language.KQL: self._kql,
            Language.CQL: lambda _, text, start, end: list(sql_cql.run(self.telemetry, text, start, end).rows),
            Language.S1QL: lambda _, text, start, end: sql_s1ql.run(self.telemetry, text, start, end, ROWS),
            Language.POWERQUERY: lambda _, text, start, end: sql_powerquery.run(
                self.telemetry, text, start, end
            ).records(),
            Language.SPL: lambda _, text, start, end: list(sql_spl.run(self.telemetry, text, start, end).rows),
        }

    def _kql(self, platform: Platform, text: str, start: datetime, end: datetime) -> Rows:
        if text.count("ipv6_is_in_range(") > 1:
            # The SQL for two of them keeps DuckDB's planner busy for minutes.
            raise NotRunError("not runnable in the lab: several ipv6_is_in_range")
        answer = self._kusto[platform].run(text, start, end)
        names = [name for name, _ in answer.columns]
        return [dict(zip(names, row, strict=True)) for row in answer.rows]


def as_we_read(language: Language, text: str) -> str:
    r"""A backend's text for our reader.

    Its S1QL escapes quotes and stars, doubles the backslashes of patterns, and leaves those of plain text single, so a
    value may end in one; published queries escape nothing.

    Raises:
        NotRunError: our reader refuses it.
    """
    if language is not Language.S1QL:
        return text
    try:
        return s1ql.to_text(_unescaped(s1ql.parse(text)))
    except (QuerySyntaxError, UnsafeValueError) as exc:
        raise NotRunError(f"not read: {exc}") from exc


def _unescaped(node: s1ql.Node) -> s1ql.Node:
    match node:
        case s1ql.And(parts=parts) | s1ql.Or(parts=parts):
            return type(node)(tuple(map(_unescaped, parts)))
        case s1ql.Not(part=part):
            return s1ql.Not(_unescaped(part))
        case s1ql.Comparison(operator=operator, values=values):
            escaped = r"\\(.)" if operator is s1ql.Operator.REGEXP else r"\\([\"*?])"
            return replace(
                node, values=tuple(replace(value, text=re.sub(escaped, r"\1", value.text)) for value in values)
            )


_TIMES: Mapping[Language, tuple[str, ...]] = {
    Language.KQL: ("Timestamp", "TimeGenerated"),
    Language.CQL: ("@timestamp",),
    Language.S1QL: ("eventTime",),
    Language.POWERQUERY: ("event.time", "eventTime", "timestamp"),
    Language.SPL: ("_time",),
}


def moments_of(language: Language, rows: Iterable[Mapping[str, Any]]) -> set[datetime]:
    """The times of rows, by which the events are known."""
    names = _TIMES[language]
    return {_moment(next(row[name] for name in names if row.get(name) is not None)) for row in rows}


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC)
    if isinstance(value, str) and "-" in value:
        return datetime.fromisoformat(value)
    return datetime.fromtimestamp(int(value) / 1000, UTC)
