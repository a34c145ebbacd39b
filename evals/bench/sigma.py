"""`python -m tracehound.evals.bench.sigma`: Sigma rules in our queries and in pySigma's, on the same events."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ...knowledge.errors import TracehoundError
from ...tools.sigma import rule_files
from ..sigma.comparing import Outcome, compare
from ..sigma.explaining import explanation

CHUNK = 30
"""Rules that share one lab file."""
_DEPTH = 6_000
"""Rules list hundreds of values, and the KQL translator walks them one within the other."""
WANTED = 0.95


def main() -> int:
    """Measure and print; the exit code is 1 where fewer than the wanted share of the counted cases agree."""
    arguments = _arguments()
    if find_spec("sigma.backends.kusto") is None:
        print("error: pySigma's backends are not installed; `pip install --group dev` brings them", file=sys.stderr)
        return 2
    try:
        paths = rule_files([arguments.rules])[:: arguments.every]
    except TracehoundError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return exc.exit_code
    outcomes = measure(paths, arguments.processes)
    report = summary(outcomes, len(paths))
    if arguments.output:
        details = [asdict(outcome) for outcome in outcomes]
        text = json.dumps({**report, "outcomes": details}, indent=1, ensure_ascii=False)
        arguments.output.write_text(text + "\n", encoding="utf-8")
    print(shown(report))
    return 0 if report["whole"]["corrected"]["share"] >= WANTED else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tracehound.evals.bench.sigma", description=__doc__)
    parser.add_argument("--rules", type=Path, required=True, metavar="DIR", help="a folder of Sigma rules")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th rule")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="rules run side by side (2)")
    parser.add_argument("-o", "--output", type=Path, help="write every outcome with its queries as JSON")
    arguments = parser.parse_args()
    if arguments.every < 1 or arguments.processes < 1:
        parser.error("--every and --processes are at least 1")
    return arguments


def measure(paths: Sequence[Path], processes: int) -> list[Outcome]:
    """Compare rules, a lab file for each chunk of them."""
    chunks = [paths[at : at + CHUNK] for at in range(0, len(paths), CHUNK)]
    if processes == 1 or len(chunks) == 1:
        return [outcome for chunk in chunks for outcome in _chunk(chunk)]
    found: list[Outcome] = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for number, outcomes in enumerate(pool.map(_chunk, chunks), 1):
            found += outcomes
            print(f"{min(number * CHUNK, len(paths))}/{len(paths)} rules", file=sys.stderr, flush=True)
    return found


def _chunk(paths: Sequence[Path]) -> list[Outcome]:
    sys.setrecursionlimit(max(_DEPTH, sys.getrecursionlimit()))
    return compare(paths)


def summary(outcomes: Sequence[Outcome], rules: int) -> dict[str, Any]:
    """The table by language, why rules are not counted, and what each difference comes from."""
    languages = list(dict.fromkeys(outcome.language for outcome in outcomes))
    return {
        "rules": rules,
        "languages": {name: _of([item for item in outcomes if item.language == name]) for name in languages},
        "whole": _of(outcomes),
    }


def _of(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    reasons = Counter(_group(item.corrected.why) for item in outcomes if item.corrected.verdict == "not counted")
    different = [item for item in outcomes if item.corrected.verdict == "different"]
    explained = Counter(explanation(item) or "not explained" for item in different)
    repaired = Counter(
        why
        for item in outcomes
        if (item.as_written.verdict, item.corrected.verdict) in (("different", "same"), ("not counted", "same"))
        for why in item.faults
    )
    return {
        "converted": len(outcomes),
        "importable": sum(item.importable for item in outcomes),
        "as_written": _verdicts([item.as_written.verdict for item in outcomes]),
        "corrected": _verdicts([item.corrected.verdict for item in outcomes]),
        "not_counted": dict(reasons.most_common()),
        "repaired": dict(repaired.most_common()),
        "differences": dict(explained.most_common()),
        "unexplained": sorted(item.rule for item in different if not explanation(item)),
    }


def _verdicts(verdicts: Sequence[str]) -> dict[str, Any]:
    count = Counter(verdicts)
    counted = count["same"] + count["different"]
    return {
        "counted": counted,
        "same": count["same"],
        "different": count["different"],
        "share": count["same"] / counted if counted else 0.0,
    }


def _group(why: str) -> str:
    """A reason without the names in it."""
    for head in (
        "ours: not expressible", "ours: not imported", "ours: not runnable", "theirs: not runnable", "theirs: not read",
        "theirs: refused", "ours: refused", "ours: not read",
    ):  # fmt: skip
        if why.startswith(head):
            return head
    return why


def shown(report: Mapping[str, Any]) -> str:
    """The report for a person."""
    head = ("", "converted", "importable", "counted", "same", "different", "share", "as written")
    rows: list[tuple[str, ...]] = [head]
    for name, found in [*report["languages"].items(), ("all", report["whole"])]:
        fixed, plain = found["corrected"], found["as_written"]
        rows.append(
            (
                name, *map(str, (found["converted"], found["importable"], fixed["counted"], fixed["same"])),
                str(fixed["different"]), f"{fixed['share']:.1%}", f"{plain['same']}/{plain['counted']}",
            )
        )  # fmt: skip
    lines = [f"{row[0]:<26}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in rows]
    for title, key in (
        ("not counted", "not_counted"),
        ("the same once a known fault of the backend is corrected", "repaired"),
        ("different, and why", "differences"),
    ):
        lines += ["", title]
        for name, found in report["languages"].items():
            lines += [f"  {name}: {count} x {why}" for why, count in found[key].items()]
    unexplained = [f"  {name}: {rule}" for name, found in report["languages"].items() for rule in found["unexplained"]]
    lines += ["", f"{report['rules']} rules; not explained: {len(unexplained)}", *unexplained]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
