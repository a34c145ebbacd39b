"""What a question costs as a whole process, beside a process that only imports the package.

    python -m tracehound.evals.bench.ask [-n N] [--deck FILE] [--lab DIR]

The questions are examples of the hunt library, spread over it, or the first turns of a deck (JSON lines with `turns`).
Wall time and CPU time stand side by side: on a machine with other work the first says little. The processes alternate
with the bare one, so that a change of load meets both.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from ...knowledge.errors import TracehoundError, UsageError
from ...tools.library import HuntLibrary
from ..reports import percentile
from .measuring import machine
from .processes import ASKING, IMPORTING, Cost, cost_of

MEDIAN, P95 = 2.0, 6.0
"""Seconds that a question should stay under on two quiet cores."""


def main() -> int:
    """Measure and print; the exit code says nothing of the times, since they depend on the machine's load."""
    given = _arguments()
    try:
        asked = chosen(_deck(given.deck) if given.deck else library_questions(), given.number)
    except TracehoundError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return exc.exit_code
    with tempfile.TemporaryDirectory() as temporary:
        home = given.home or Path(temporary)
        lab = ("--lab", given.lab) if given.lab else ()
        cost_of(ASKING, ("ask", asked[0], *lab, "--json"), home=home)  # makes the lab and the index
        bare, whole = list[Cost](), list[Cost]()
        for number, question in enumerate(asked, 1):
            bare.append(cost_of(IMPORTING, home=home))
            whole.append(cost_of(ASKING, ("ask", question, *lab, "--json"), home=home))
            print(
                f"{number}/{len(asked)}: {whole[-1].text}, exit {whole[-1].code}: {question}",
                file=sys.stderr,
                flush=True,
            )
    print(shown(bare, whole))
    return 0


def library_questions() -> list[str]:
    """The example questions of the hunts that name nothing in particular."""
    return [text for hunt in HuntLibrary.load().all() for text in hunt.questions if "{" not in text]


def chosen(questions: Sequence[str], number: int) -> list[str]:
    """So many of the questions, spread evenly.

    Raises:
        UsageError: there is no question.
    """
    if not questions:
        raise UsageError("there is no question to ask; give a deck of JSON lines with `turns`")
    number = min(number, len(questions))
    return [questions[place * len(questions) // number] for place in range(number)]


def _deck(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        first = [str(json.loads(line)["turns"][0]) for line in lines if line.strip()]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as exc:
        raise UsageError(f"{path} is not a deck of JSON lines with `turns`: {exc}") from exc
    return [question for question in first if "{" not in question]


def shown(bare: Sequence[Cost], whole: Sequence[Cost]) -> str:
    """The table."""
    lines = [f"{'':<24}{'median':>9}{'p95':>9}"]
    for label, costs, of in (
        ("question, wall s", whole, "wall"),
        ("question, CPU s", whole, "cpu"),
        ("bare import, wall s", bare, "wall"),
        ("bare import, CPU s", bare, "cpu"),
    ):
        values = [getattr(cost, of) for cost in costs]
        lines.append(f"{label:<24}{median(values):>9.2f}{percentile(values, 0.95):>9.2f}")
    ratio = median(cost.cpu for cost in whole) / max(median(cost.cpu for cost in bare), 1e-9)
    host = machine()
    lines.append(f"CPU of a question / of a bare import, medians: {ratio:.0f}")
    lines.append(
        f"{len(whole)} questions; {host['cores']} cores, load {host['load']}, Python {host['python']}; "
        f"wanted on quiet cores: median {MEDIAN:g} s, p95 {P95:g} s"
    )
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tracehound.evals.bench.ask", description=__doc__)
    parser.add_argument("-n", "--number", type=int, default=20, help="questions (20)")
    parser.add_argument("--deck", type=Path, help="take the first turns of this deck")
    parser.add_argument("--lab", help="ask this lab; the built-in one by default")
    parser.add_argument("--home", type=Path, help="TRACEHOUND_HOME of the runs; a new one by default")
    given = parser.parse_args()
    if given.number < 1:
        parser.error("--number is at least 1")
    return given


if __name__ == "__main__":
    sys.exit(main())
