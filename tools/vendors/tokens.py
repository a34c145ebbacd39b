"""Credentials: a fixed API token, or OAuth tokens that are fetched, shared and renewed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from .pacing import Clock
from .redaction import Redactor


@dataclass(frozen=True, slots=True)
class FixedToken:
    """A token that never changes: `ApiToken ...`."""

    value: str

    async def header(self, audience: str) -> str:
        """The same for every audience."""
        return self.value

    def refused(self, audience: str, header: str) -> bool:
        """There is no other."""
        return False


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token and its life in seconds from when it was issued."""

    value: str
    lifetime: float


class OAuthTokens:
    """One token per audience, shared by all calls and renewed after 85 % of its life.

    A lock per audience makes callers that need a new token at the same moment wait for one fetch.
    """

    def __init__(self, fetch: Callable[[str], Awaitable[Token]], clock: Clock, redact: Redactor) -> None:
        self._fetch, self._clock, self._redact = fetch, clock, redact
        self._held: dict[str, tuple[str, float]] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def header(self, audience: str) -> str:
        """`Bearer <token>`.

        Raises:
            VendorError: no token was given.
        """
        if (value := self._fresh(audience)) is None:
            async with self._locks.setdefault(audience, anyio.Lock()):
                if (value := self._fresh(audience)) is None:
                    value = await self._new(audience)
        return f"Bearer {value}"

    def refused(self, audience: str, header: str) -> bool:
        """Forget the token that was refused, unless another call has replaced it already."""
        held = self._held.get(audience)
        if held and header == f"Bearer {held[0]}":
            del self._held[audience]
        return True

    def surrender(self) -> list[str]:
        """Forget every token and say which there were."""
        held, self._held = self._held, {}
        return [value for value, _ in held.values()]

    def _fresh(self, audience: str) -> str | None:
        value, until = self._held.get(audience, (None, 0.0))
        return value if self._clock.seconds() < until else None

    async def _new(self, audience: str) -> str:
        asked = self._clock.seconds()
        token = await self._fetch(audience)
        self._redact.learn(token.value)
        self._held[audience] = (token.value, asked + 0.85 * token.lifetime)
        return token.value
