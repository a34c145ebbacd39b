"""Sockets open to loopback alone. Python reads this at start in every child process of a test; conftest loads it here."""

import socket
from typing import Any

LOOPBACK = {"127.0.0.1", "::1", "localhost", ""}

_resolve, _connect = socket.getaddrinfo, socket.socket.connect


class NetworkAccessError(BaseException):
    """No `except Exception` on the way may take it for a failure of the other side."""


def _guarded_resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
    if host is not None and str(host) not in LOOPBACK:
        raise NetworkAccessError(f"network access in a test: {host}")
    return _resolve(host, *args, **kwargs)


def _guarded_connect(self: socket.socket, address: Any) -> None:
    if self.family != getattr(socket, "AF_UNIX", None) and address[0] not in LOOPBACK:
        raise NetworkAccessError(f"network access in a test: {address}")
    _connect(self, address)


socket.getaddrinfo = _guarded_resolve
socket.socket.connect = _guarded_connect  # type: ignore[method-assign, assignment]
