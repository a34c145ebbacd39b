"""The command line in this process, over a lab that is made once."""

import io
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tracehound import cli
from tracehound.agent.settings import Settings
from tracehound.agent.shelves import open_retrieval
from tracehound.evals.lab.lab import Lab


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line that says what is wrong; anything else beside it fails the test."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0].removeprefix("error: ")


Run = Callable[..., Result]


@pytest.fixture(scope="session")
def kestrel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built-in scenario; tests read it and leave it as it is."""
    return Lab.create(tmp_path_factory.mktemp("labs") / "kestrel").directory


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the search index is built already."""
    home = tmp_path_factory.mktemp("prepared") / "home"
    settings = Settings(environment={"TRACEHOUND_HOME": str(home)}, user_file=home / "none.toml")
    open_retrieval(settings).search("lateral movement", 1)
    return home


@pytest.fixture
def desk_home(home: Path, prepared_home: Path) -> Path:
    """A home of the test's own, with the index."""
    shutil.copytree(prepared_home, home)
    return home


@pytest.fixture
def lab(kestrel: Path, tmp_path: Path) -> Path:
    """A lab of the test's own, to be broken."""
    return Path(shutil.copytree(kestrel, tmp_path / "lab"))


@pytest.fixture
def run(desk_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command as `tracehound` would, `stdin` being what is piped into it."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str, stdin: str = "") -> Result:
        monkeypatch.setattr(sys, "argv", ["tracehound", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return Result(int(stopped.value.code or 0), captured.out, captured.err)

    return command
