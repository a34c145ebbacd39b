"""Blocks of addresses as SQL: patterns over their text, since DuckDB has no addresses without its extension."""

from ipaddress import IPv6Network
from typing import Any

from ...knowledge.errors import UnsafeValueError
from ...tools.languages.literals import block_pattern
from ...tools.languages.values import block_of
from .sql import Clause, QueryRejectedError

_IPV4 = r"^(\d{1,3}\.){3}\d{1,3}$"
_DIGITS = "0123456789abcdef"


def within(block: str, text: str, values: tuple[Any, ...], cannot: str) -> Clause:
    """Whether a text is an address of a block.

    Args:
        block: As the query writes it.
        text: SQL of the text.
        values: Of its placeholders.
        cannot: What the refusal of a block begins with that the lab cannot compare.

    Raises:
        QueryRejectedError: it is no block, or one of IPv6 whose text has several beginnings.
    """
    try:
        network = block_of(block)
    except UnsafeValueError as exc:
        raise QueryRejectedError(f"{block!r} is not a block of addresses") from exc
    if isinstance(network, IPv6Network):
        pattern = _ipv6_pattern(network)
        if pattern is None:
            raise QueryRejectedError(f"{cannot}the block of IPv6 addresses {network}")
        return Clause(f"regexp_matches({text}, ?, 'i')", (*values, pattern))
    addresses = block_pattern(block) or ""
    return Clause(f"(regexp_matches({text}, ?) AND regexp_matches({text}, ?))", (*values, _IPV4, *values, addresses))


def _ipv6_pattern(network: IPv6Network) -> str | None:
    """How the addresses of a block begin; None where zeros in its prefix may be written or left out."""
    groups = network.network_address.exploded.split(":")
    if network.prefixlen == 128:
        return f"^({network.network_address.compressed}|{network.network_address.exploded})$"
    whole, bits = divmod(network.prefixlen, 16)
    if any(group == "0000" for group in groups[:whole]) or (bits and groups[whole][0] == "0"):
        return None
    begin = "".join(f"{group.lstrip('0')}:" for group in groups[:whole])
    if not bits:
        return f"^{begin}" if begin else ":"
    digits, rest = divmod(bits, 4)
    fixed = groups[whole][:digits]
    if not rest:
        return f"^{begin}{fixed}[0-9a-f]{{{4 - digits}}}:"
    low = int(groups[whole][digits], 16)
    return f"^{begin}{fixed}[{_DIGITS[low : low + 2 ** (4 - rest)]}][0-9a-f]{{{3 - digits}}}:"
