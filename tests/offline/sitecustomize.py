"""Python reads this at start in every child process of a test: sockets open to loopback alone there too."""

import socket
from typing import Any

LOOPBACK = {"127.0.0.1", "::1", "localhost", ""}

_resolve, _connect = socket.getaddrinfo, socket.socket.connect


def _guarded_resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
    if host is not None and str(host) not in LOOPBACK:
        raise AssertionError(f"network access in a test's child process: {host}")
    return _resolve(host, *args, **kwargs)


def _guarded_connect(self: socket.socket, address: Any) -> None:
    if self.family != getattr(socket, "AF_UNIX", None) and address[0] not in LOOPBACK:
        raise AssertionError(f"network access in a test's child process: {address}")
    _connect(self, address)


socket.getaddrinfo = _guarded_resolve
socket.socket.connect = _guarded_connect  # type: ignore[method-assign, assignment]
