"""`python -m tracehound.evals.bench.benign`: everyday cases that are condemned, beside malicious twins that are missed."""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from ...agent import Settings
from ...knowledge.errors import TracehoundError
from ..benign import SEEDS, outcomes, table
from ..lab import everyday


def main() -> int:
    """Ask all, and print the table; the exit code is 1 when any case is condemned or any twin is called benign."""
    parser = argparse.ArgumentParser(prog="python -m tracehound.evals.bench.benign", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="1 to 5")
    parser.add_argument("--kinds", nargs="+", default=list(everyday.TELLERS), choices=list(everyday.TELLERS))
    parser.add_argument("-o", "--output", type=Path, help="write the outcomes as JSON")
    arguments = parser.parse_args()
    settings = Settings()
    try:
        found = asyncio.run(outcomes(settings.home, settings, arguments.seeds, arguments.kinds, _said))
    except TracehoundError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return exc.exit_code
    if arguments.output:
        arguments.output.write_text(json.dumps([asdict(item) for item in found], indent=2) + "\n", encoding="utf-8")
    print(table(found))
    return int(any(not item.right for item in found))


def _said(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
