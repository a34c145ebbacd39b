"""How long a large lab takes to make, what that takes in memory, and what a question over it costs.

    python -m tracehound.evals.bench.scale [--scale N] [--seed N] [--keep DIR]

The same beside a lab of scale 1. Every step is a whole process; wall time and CPU time stand side by side, because a
shared machine tells them apart.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from ..lab.background import EVENTS
from ..lab.lab import Lab
from .processes import ASKING, cost_of


def main() -> int:
    """Make both labs, ask each, print the table; 1 when the large lab holds fewer events than its scale promises."""
    given = _arguments()
    with tempfile.TemporaryDirectory() as temporary:
        place = given.keep or Path(temporary)
        for scale in (1, given.scale):
            folder = place / f"scale-{scale}"
            make = ("lab", "create", str(folder), "--scale", str(scale), "--seed", str(given.seed))
            made = cost_of(ASKING, make, home=place / "home")
            lab = Lab.open(folder)
            events = int(lab.info()["events"])
            print(f"scale {scale}: {events:,} events, made in {made.text}", flush=True)
            asked = cost_of(ASKING, ("ask", lab.question, "--lab", str(folder), "--json"), home=place / "home")
            print(f"scale {scale}: {lab.question!r} answered in {asked.text}", flush=True)
    return int(given.scale > 1 and events < given.scale * EVENTS)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tracehound.evals.bench.scale", description=__doc__)
    parser.add_argument("--scale", type=int, default=100, help="of the large lab (100)")
    parser.add_argument("--seed", type=int, default=0, help="of both labs (0)")
    parser.add_argument("--keep", type=Path, help="make the labs here and keep them")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
