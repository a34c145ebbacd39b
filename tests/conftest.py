"""Fixtures for every test. Tests run offline: only loopback and Unix sockets may open."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

LOOPBACK = {"127.0.0.1", "::1", "localhost", ""}

# Child processes read tests/offline/sitecustomize.py at start, which closes their sockets in the same way.
_OFFLINE = str(Path(__file__).parent / "offline")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_OFFLINE, os.environ.get("PYTHONPATH", ""))))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def closed_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail any test that reaches for the network, at name resolution or at connect."""
    resolve, connect = socket.getaddrinfo, socket.socket.connect

    def guarded_resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host is not None and str(host) not in LOOPBACK:
            pytest.fail(f"network access in a test: {host}")
        return resolve(host, *args, **kwargs)

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family != getattr(socket, "AF_UNIX", None) and address[0] not in LOOPBACK:
            pytest.fail(f"network access in a test: {address}")
        connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", guarded_resolve)
    monkeypatch.setattr(socket.socket, "connect", guarded_connect)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TRACEHOUND_HOME, and no other TRACEHOUND_* or OPENAI_* setting of the machine."""
    for name in list(os.environ):
        if name.startswith(("TRACEHOUND_", "OPENAI_")) and name != "TRACEHOUND_CORPORA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("TRACEHOUND_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of recordings and query corpora; tests over it do not run where it is not given."""
    place = os.environ.get("TRACEHOUND_CORPORA")
    if not place or not Path(place).is_dir():
        pytest.skip("TRACEHOUND_CORPORA names no folder, so the corpora are not checked in this run")
    return Path(place)
