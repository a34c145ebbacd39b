"""What a search's values mean to every compiler: numbers, moments, blocks of addresses."""

import math
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network

from ...knowledge.errors import UnsafeValueError
from .query import Language
from .search import Scalar


def number_of(value: Scalar) -> int | float | None:
    """A finite number, an int where it is whole; None when the value is no such number."""
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    if not math.isfinite(number):
        return None
    if not number.is_integer():
        return number
    try:
        return int(value)  # keeps the digits that a float loses
    except ValueError:
        return int(number)


def moment_of(value: Scalar, language: Language) -> datetime:
    """A time, in UTC where the value names no zone.

    Raises:
        UnsafeValueError: the value is not an ISO 8601 time; names the language that was to compare it.
    """
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise UnsafeValueError(
            f"{language.upper()} cannot compare a time with {value!r}: write it as 2026-01-31T00:00:00Z."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def block_of(text: str) -> IPv4Network | IPv6Network:
    """A block of addresses; bits behind its prefix are dropped.

    Raises:
        UnsafeValueError: the text is no block of addresses.
    """
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise UnsafeValueError(f"{text!r} is not a block of addresses: write it as 10.20.0.0/16.") from None
