"""What the four translations of queries into DuckDB SQL share."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

_RELATIVE = re.compile(r"^(\d+)\s*([a-z]+)$")
_UNITS: Mapping[str, float] = {
    "ms": 0.001,
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hr": 3600,
    "hour": 3600,
    "d": 86400,
    "day": 86400,
    "w": 604800,
    "week": 604800,
}


class QueryRejectedError(Exception):
    """The server cannot run this query; the message is what the vendor would say."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of SQL with the values of its placeholders, in order."""

    sql: str
    values: tuple[Any, ...] = field(default=())

    def __add__(self, other: "Clause") -> "Clause":
        return Clause(self.sql + other.sql, self.values + other.values)


def joined(parts: Sequence[Clause], word: str) -> Clause:
    """The parts in brackets, with a word between them."""
    return Clause(f" {word} ".join(f"({part.sql})" for part in parts), tuple(v for part in parts for v in part.values))


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def like_literal(text: str) -> str:
    """Text in which LIKE finds no wildcard; escape character is the backslash."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def like_wildcards(text: str) -> str:
    """Text whose `*` match anything, as a LIKE pattern."""
    return "%".join(like_literal(part) for part in text.split("*"))


def seconds_of(text: str) -> float | None:
    """Seconds of `5m`, `24h`, `1day`, `2 weeks`; None when it is no duration."""
    found = _RELATIVE.match(text.strip().lower())
    if not found:
        return None
    unit = found[2] if found[2] in _UNITS else found[2].rstrip("s")
    return int(found[1]) * _UNITS[unit] if unit in _UNITS else None


def moment(text: str, now: datetime | None = None) -> datetime:
    """A UTC moment from ISO 8601 (nanoseconds are cut) or, where `now` is given, `now` and `now-7d`.

    Raises:
        ValueError: it is none of them.
    """
    lowered = text.strip().lower()
    if now and lowered == "now":
        return now
    if now and lowered.startswith(("now-", "now+")):
        span = seconds_of(lowered[4:])
        if span is None:
            raise ValueError(f"not a time: {text!r}")
        return now + timedelta(seconds=span if lowered[3] == "+" else -span)
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", text.strip())
    found = datetime.fromisoformat(trimmed.replace("Z", "+00:00").replace("z", "+00:00"))
    return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)


def naive(value: datetime) -> datetime:
    """The moment as DuckDB's TIMESTAMP holds it: UTC without a zone."""
    return value.astimezone(UTC).replace(tzinfo=None)
