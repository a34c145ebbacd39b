"""Stable ids: the same thing in the same lab has the same id in every vendor's shape, run after run."""

import hashlib
import uuid
from datetime import datetime
from functools import lru_cache
from typing import Any

CID = "8f2e41c07d5b4a9e9b6d3c1f0a7e5d24"
"""The Falcon customer id of every lab."""


def digest(*parts: Any) -> str:
    """64 hex digits that depend on the parts alone."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "backslashreplace")).hexdigest()


@lru_cache(maxsize=4096)
def aid(host: str) -> str:
    """Falcon agent id of a host: 32 hex digits."""
    return digest("aid", host.upper())[:32]


@lru_cache(maxsize=4096)
def agent_id(host: str) -> str:
    """SentinelOne agent id of a host: 19 decimal digits."""
    return str(10**18 + int(digest("s1", host.upper())[:15], 16) % (9 * 10**18))


@lru_cache(maxsize=4096)
def agent_uuid(host: str) -> str:
    """SentinelOne agent UUID of a host."""
    return digest("s1-uuid", host.upper())[:32]


@lru_cache(maxsize=4096)
def machine_id(host: str) -> str:
    """Defender device id of a host: 40 hex digits."""
    return digest("mde", host.upper())[:40]


@lru_cache(maxsize=65536)
def process_number(host: str, uid: str) -> str:
    """Falcon's process id for a process: decimal digits."""
    return str(int(digest("process", host.upper(), uid)[:11], 16) + 10**11) if uid else ""


def threat_id(*parts: Any) -> str:
    """SentinelOne threat id: 19 decimal digits."""
    return str(10**18 + int(digest("threat", *parts)[:15], 16) % (9 * 10**18))


def guid(*parts: Any) -> str:
    """A GUID that depends on the parts alone."""
    return str(uuid.UUID(digest(*parts)[:32]))


def sid(user: str) -> str:
    """A domain SID of an account."""
    return f"S-1-5-21-1004336348-1177238915-682003330-{1100 + int(digest('sid', user.lower())[:4], 16) % 8000}"


@lru_cache(maxsize=65536)
def sha256_of(path: str) -> str:
    """The hash of a program: the same file name has the same content everywhere in a lab."""
    return digest("file", path.replace("/", "\\").rpartition("\\")[2].lower())


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return round(moment.timestamp() * 1000)
