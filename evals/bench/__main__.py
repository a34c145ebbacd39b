"""`make bench`: stages of an ask, wall against the slowest vendor, a whole investigation against a bare graph."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...agent import Settings
from ...knowledge.errors import TracehoundError
from ..lab.lab import Lab
from .measuring import Pair, machine, opened, served, summary

AGAINST_VENDOR, AGAINST_BARE = 1.2, 1.25
"""Ratios that an investigation should stay under."""


def main() -> int:
    """Measure and print; the exit code says nothing of the ratios, since they depend on the machine's load."""
    arguments = _arguments()
    settings = Settings()
    try:
        lab = Lab.open(home=settings.home)
        report = asyncio.run(_measure(lab, settings, arguments))
    except TracehoundError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return exc.exit_code
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(_shown(report))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tracehound.evals.bench", description=__doc__)
    parser.add_argument("--asks", type=int, default=50, help="paired runs (50)")
    parser.add_argument("--delay-ms", type=int, default=250, help="added to every answer of the vendors (250)")
    parser.add_argument("--question", default="", help="what is asked; the lab's own question by default")
    parser.add_argument("-o", "--output", type=Path, help="write the report as JSON")
    arguments = parser.parse_args()
    if arguments.asks < 1 or arguments.delay_ms < 0:
        parser.error("--asks is at least 1 and --delay-ms at least 0")
    return arguments


async def _measure(lab: Lab, settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    question, found = arguments.question or lab.question, list[Pair]()
    with served(lab, arguments.delay_ms) as env:
        async with opened(lab, env, settings) as bench:
            async for pair in bench.pairs(question, arguments.asks):
                found.append(pair)
                told = f"ask {pair.ask.wall / 1000:.2f} s, bare {pair.bare / 1000:.2f} s, load {machine()['load']}"
                print(f"{len(found)}/{arguments.asks}: {told}", file=sys.stderr, flush=True)
    return summary(found, lab, arguments.delay_ms, question)


def _shown(report: Mapping[str, Any]) -> str:
    wall = report["wall_ms"]["p50"]
    rows = [("stage", "p50 ms", "p95 ms", "share")]
    for name, times in report["stages_ms"].items():
        rows.append((name, f"{times['p50']:.0f}", f"{times['p95']:.0f}", f"{times['p50'] / wall:.0%}"))
    for label, key in (("whole ask", "wall_ms"), ("  CPU", "cpu_ms"), ("bare graph", "bare_ms"), ("  CPU", "bare_cpu_ms"),
                       ("slowest vendor", "slowest_vendor_ms")):  # fmt: skip
        rows.append((label, f"{report[key]['p50']:.0f}", f"{report[key]['p95']:.0f}", ""))
    rows += [
        (f"  {name}", f"{times['p50']:.0f}", f"{times['p95']:.0f}", "")
        for name, times in report["waited_for_ms"].items()
    ]
    lines = [f"{a:<16}{b:>9}{c:>9}{d:>7}" for a, b, c, d in rows]
    for label, key, most in (
        ("wall / slowest vendor", "wall_to_slowest_vendor", AGAINST_VENDOR),
        ("whole / bare graph", "whole_to_bare", AGAINST_BARE),
    ):
        ratio = report[key]
        verdict = "met" if ratio["p50"] <= most else "missed"
        lines.append(f"{label:<22} p50 {ratio['p50']:.2f}  p95 {ratio['p95']:.2f}  (wanted <= {most}: {verdict})")
    if report["failed_queries"]:
        lines.append(f"{report['failed_queries']} queries brought no answer: these times say little")
    host = report["machine"]
    lines.append(
        f"{report['asks']} asks of {report['queries']} queries in {report['rounds']} rounds, "
        f"{report['delay_ms']} ms added to each answer; {host['cores']} cores, load {host['load']}, Python {host['python']}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
