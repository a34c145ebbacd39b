"""The deck side by side in the ways in which a model can take part: typed searches, checked and unchecked queries.

    python -m tracehound.evals.ways --model NAME --base-url URL [--deck DECK] [--seeds 0] [--only ID ...] [--alone] [-o DIR]

The product obliges searches whatever a model says, so its ways differ little there. `--alone` leaves those searches out
and shows what each way is worth by itself. Queries that fail the check reach a lab in the third way, and never a vendor.
"""

import argparse
import asyncio
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ..agent import Settings
from ..graphs.ways import Ways
from ..knowledge.errors import TracehoundError
from ..tools.languages.query import Check, Language, Platform, Query
from ..tools.languages.search import Window
from ..tools.languages.translate import raw_query
from .harness import run_suites
from .reports import OUTCOMES, Report, write
from .suites import read_seeds


def unchecked(platform: Platform, language: Language, collection: str, text: str, window: Window, limit: int) -> Query:
    """A query as a model wrote it, let through whatever the check says of it."""
    query = raw_query(platform, language, collection, text, window, limit)
    return replace(query, check=Check(language, ok=True, read_only=True, collections=query.check.collections))


WAYS: Mapping[str, Ways] = {
    "typed searches with enums": Ways(raw=False),
    "free queries, checked and repaired": Ways(typed=False),
    "free queries, unchecked": Ways(typed=False, repairs=0, query=unchecked),
}


async def compare(
    decks: Sequence[str], settings: Settings, *, alone: bool = False, out: Path | None = None, **options: Any
) -> dict[str, Report]:
    """Run decks in each way.

    Args:
        decks: Names or paths of decks.
        settings: They name the model.
        alone: Without the searches that the question obliges.
        out: Folder with one folder for each way, and `ways.json`.
        options: Further parts of a plan: seeds, only, workers.
    """
    reports: dict[str, Report] = {}
    for number, (name, ways) in enumerate(WAYS.items(), 1):
        place = out / f"way-{number}" if out else None
        if place is not None:
            place.mkdir(parents=True, exist_ok=True)
        chosen = replace(ways, obliged=not alone)
        reports[name] = await run_suites(decks, settings, out=place, changes={"ways": chosen}, **options)
    if out is not None:
        write(out / "ways.json", {name: column(report) for name, report in reports.items()})
    return reports


def column(report: Report) -> dict[str, Any]:
    """What a table says of one way: outcomes, and tokens, seconds and queries of its own for a question."""
    rows = report["cases"]
    queries = {
        name: sum(row["written"][name] for row in rows)
        for name in ("queries", "invalid", "repaired", "dropped", "sent")
    }
    return {
        **{outcome: sum(row["outcome"] == outcome for row in rows) for outcome in OUTCOMES if outcome != "error"},
        "of": len(rows),
        "input tokens, median": statistics.median(row["input_tokens"] for row in rows),
        "input tokens, most in one turn": max(row["most_input_tokens"] for row in rows),
        "output tokens, median": statistics.median(row["output_tokens"] for row in rows),
        "seconds, median": round(statistics.median(row["wall_ms"] for row in rows) / 1000, 1),
        "queries written": queries["queries"],
        "invalid, written": queries["invalid"],
        "invalid, repaired": queries["repaired"],
        "invalid, dropped": queries["dropped"],
        "invalid, sent": queries["sent"],
    }


def side_by_side(reports: Mapping[str, Report]) -> Table:
    """A column for each way."""
    columns = {name: column(report) for name, report in reports.items()}
    shown = Table()
    shown.add_column("")
    for name in columns:
        shown.add_column(name, justify="right")
    for key in next(iter(columns.values())):
        shown.add_row(key, *(str(found[key]) for found in columns.values()))
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, run, print; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tracehound.evals.ways", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--model", required=True, help="name of the model")
    parser.add_argument("--base-url", default="", help="address of an OpenAI-compatible server, most end in /v1")
    parser.add_argument("--deck", default="deck", help="name of a suite, or path of a deck")
    parser.add_argument("--seeds", default="0", help="worlds to ask: 0,7 or 0-5")
    parser.add_argument("--only", nargs="*", default=[], metavar="ID", help="only these questions")
    parser.add_argument("--alone", action="store_true", help="without the searches that a question obliges")
    parser.add_argument("-o", "--out", type=Path, help="folder for reports and transcripts")
    given = parser.parse_args(arguments)
    flags = {"model": given.model, **({"base_url": given.base_url} if given.base_url else {})}
    try:
        reports = asyncio.run(
            compare(
                [given.deck],
                Settings(flags=flags),
                alone=given.alone,
                out=given.out,
                seeds=read_seeds(given.seeds),
                only=frozenset(given.only),
                tell=lambda line: sys.stderr.write(line + "\n"),
            )
        )
    except TracehoundError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return exc.exit_code
    Console(highlight=False).print(side_by_side(reports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
