"""Fixtures for every test. Tests run offline: only loopback and Unix sockets may open."""

import os
import runpy
from pathlib import Path

import pytest

# The same guard for this process and, through PYTHONPATH, for every child process of a test.
OFFLINE = Path(__file__).parent / "offline"
runpy.run_path(str(OFFLINE / "sitecustomize.py"))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(OFFLINE), os.environ.get("PYTHONPATH", ""))))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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
