"""What `doctor` asks of each vendor: may this credential read, and what does it lack."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ...knowledge.errors import VendorError
from .estate import Reader


@dataclass(frozen=True, slots=True)
class Probe:
    """One area of one platform: `ok`, or a sentence on what is missing."""

    platform: str
    ok: bool
    detail: str


@runtime_checkable
class Probing(Protocol):
    """A reader that can say what it may read."""

    async def probe(self) -> list[Probe]:
        """One small question per area; failures are values."""
        ...


async def probe(reader: Reader) -> list[Probe]:
    """What a reader may read, area by area. Asks the vendor; changes nothing."""
    if isinstance(reader, Probing):
        return await reader.probe()
    return [Probe(platform.value, True, "connected; this reader has no probe") for platform in sorted(reader.platforms)]


async def tried(platform: str, area: str, question: Awaitable[object]) -> Probe:
    """Ask one question; a failure is a finding."""
    try:
        await question
    except VendorError as exc:
        return Probe(platform, False, f"{area}: {exc}")
    return Probe(platform, True, f"{area}: readable")
