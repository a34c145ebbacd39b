"""Who a call is made for: the User-Agent that vendors write into their own audit logs."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.metadata import version

_NOTE: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("attribution", default=())


@contextmanager
def attributed(*, case: str | None = None, approval: str | None = None) -> Iterator[None]:
    """Name the case or the approval in every call made inside, also in tasks started there."""
    given = {"case": case, "approval": approval}
    note = dict(_NOTE.get()) | {key: re.sub(r"[^\w.-]", "_", value) for key, value in given.items() if value}
    token = _NOTE.set(tuple(note.items()))
    try:
        yield
    finally:
        _NOTE.reset(token)


def user_agent() -> str:
    """`tracehound/<version> (case=...; approval=...)`, with what is known."""
    note = "; ".join(f"{key}={value}" for key, value in _NOTE.get())
    return f"tracehound/{_version()}" + (f" ({note})" if note else "")


@cache
def _version() -> str:
    return version("tracehound")
