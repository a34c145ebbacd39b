"""The parts of a call: what is asked, what comes back, and what differs between vendors on the wire."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

Params = Sequence[tuple[str, str]]
Body = Mapping[str, Any]
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint of a vendor."""

    name: str
    method: str
    path: str
    """Below the base URL, with `{names}` that `place` fills."""
    needs: str = ""
    """The permission in the vendor's words, for the message of a 403."""
    audience: str = ""
    timeout: float = 30.0
    """Seconds without a byte from the vendor."""
    changes: bool = False
    """It changes something in the world: only an `ActingSession` calls it, and once."""
    attempts: int = 4
    repeat_timeouts: bool = True
    """False where a time-out means that the question is too large: asking again would only double the wait."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent to an operation, but for the credentials."""

    operation: Operation
    path: str
    params: Params = ()
    body: Body | None = None
    form: Mapping[str, str] | None = None
    headers: Headers | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, unread."""

    status: int
    headers: Headers
    content: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a 2xx status and a JSON object. That makes it neither complete nor free of errors."""

    status: int
    headers: Headers
    body: dict[str, Any]
    request_id: str | None
    size: int
    """Bytes."""


@dataclass(slots=True)
class Tally:
    """What one run has cost so far, over all its calls."""

    retries: int = 0
    request_id: str | None = None
    """The vendor's id of the first call: what its support asks for."""


class Credentials(Protocol):
    """What makes a call authentic."""

    async def header(self, audience: str) -> str:
        """The value of the Authorization header."""
        ...

    def refused(self, audience: str, header: str) -> bool:
        """Take note that this header was refused; True when a new one may do better."""
        ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between vendors on the wire."""

    vendor: str
    """Its name for people."""
    platform: str
    explain: Callable[[Body], str]
    """The vendor's own words in the body of an error; empty when there are none."""
    request_id: Callable[[Headers, Body], str | None]
    """The id to cite."""
    keys: str
    """The settings that hold the credentials, for the message of a 401."""
    address: str
    """The setting that holds the base URL."""
    token_refused: Callable[[int, Body], bool] = lambda status, body: status == 401
    """Whether an error is about the token itself, so that a fresh one may do better."""


def read_object(content: bytes) -> dict[str, Any] | str:
    """The JSON object in a body, or what is wrong with it in words that follow the vendor's name."""
    start = content.lstrip()[:64].lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "sent a web page instead of JSON; a proxy or a sign-in page may stand in between"
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return f"sent an answer that is not whole JSON ({len(content)} bytes)"
    return value if isinstance(value, dict) else f"sent a JSON {type(value).__name__} where an object belongs"


def asked_wait(headers: Headers, now: float) -> float | None:
    """Seconds that a vendor asks to wait, or None when it does not say.

    Falcon's `X-RateLimit-RetryAfter` is a moment in epoch seconds, at most a minute ahead; clocks that disagree make
    it look further away or past, so it is held between 1 and 60 seconds.
    """
    moment = _number(headers.get("x-ratelimit-retryafter"))
    if moment is not None:
        return min(max(moment - now, 1.0), 60.0)
    said = headers.get("retry-after")
    if said is None:
        return None
    seconds = _number(said)
    if seconds is not None:
        return max(seconds, 0.0)
    try:
        when = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now, 0.0)


def parse_time(text: str | None) -> datetime | None:
    """An ISO 8601 time of a vendor as UTC; digits beyond microseconds are cut. None when it is none."""
    if not text:
        return None
    head, dot, rest = text.strip().replace(" ", "T").partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    try:
        moment = datetime.fromisoformat(head + dot + digits[:6] + rest[len(digits) :])
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < 1e12 else None
