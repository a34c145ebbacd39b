"""A home that all tests of the evals share: making a world takes seconds, and a run of an eval leaves nothing in it."""

from pathlib import Path

import pytest

from tracehound.evals.lab.lab import Lab

SEED = 2


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("evals-home")
    Lab.create(home / "labs" / f"seed-{SEED}", seed=SEED)
    return home


@pytest.fixture
def home(home: Path, worlds: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRACEHOUND_HOME", str(worlds))
    return worlds


@pytest.fixture
def lab(worlds: Path) -> Lab:
    return Lab.open(worlds / "labs" / f"seed-{SEED}")
