"""What a whole process costs: wall time as its caller sees it, CPU time and peak memory as it says itself at its end."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_TOLD = """
import atexit, json, sys, time
def peak():
    try:
        with open('/proc/self/status') as status:  # what getrusage says on Linux counts the parent's memory too
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith('VmHWM'))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)
def told(path=sys.argv.pop(1)):
    with open(path, 'w') as file:
        json.dump([time.process_time(), peak()], file)
atexit.register(told)
"""
ASKING = "sys.argv[0] = 'tracehound'\nfrom tracehound.cli import main\nmain()"
IMPORTING = "import tracehound.agent"


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    wall: float
    """Seconds from its start to its end."""
    cpu: float
    """Seconds of all its threads, user and system."""
    peak: int
    """Bytes resident at most; 0 where the system does not say."""
    code: int
    """Its exit code."""
    output: str

    @property
    def text(self) -> str:
        """For a person."""
        memory = f", {self.peak / 2**20:,.0f} MB at most" if self.peak else ""
        return f"{self.wall:.1f} s ({self.cpu:.1f} s of CPU{memory})"


def cost_of(program: str, arguments: Sequence[str] = (), *, home: Path) -> Cost:
    """Run Python text in a process of its own, with a TRACEHOUND_HOME of its own.

    Raises:
        OSError: the process cannot be started.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        began = time.perf_counter()
        ran = subprocess.run(
            [sys.executable, "-c", _TOLD + program, str(told), *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, "TRACEHOUND_HOME": str(home)},
            check=False,
        )
        wall = time.perf_counter() - began
        cpu, peak = json.loads(told.read_text(encoding="utf-8")) if told.is_file() else (0.0, 0)
    return Cost(wall, cpu, peak, ran.returncode, ran.stdout)
