"""The guard itself: nothing but loopback can be reached, here or in a child process."""

import socket
import subprocess
import sys

import pytest

REACH = "import socket; socket.create_connection(({host!r}, 9), timeout=0.2)"


def child(host: str) -> str:
    done = subprocess.run([sys.executable, "-c", REACH.format(host=host)], capture_output=True, text=True, check=False)
    return done.stderr


@pytest.mark.parametrize("host", ["192.0.2.1", "example.com"])
def test_a_child_process_reaches_no_network(host: str) -> None:
    assert "network access in a test" in child(host)


def test_a_child_process_reaches_loopback() -> None:
    assert "network access in a test" not in child("127.0.0.1")


@pytest.mark.parametrize("host", ["192.0.2.1", "example.com"])
def test_this_process_reaches_no_network(host: str) -> None:
    with pytest.raises(BaseException, match="network access in a test"):
        socket.create_connection((host, 9), timeout=0.2)
