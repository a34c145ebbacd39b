"""`python -m tracehound.evals.bench.languages`: how long a check takes, beside the others that check KQL.

With `TRACEHOUND_CORPORA` the queries are published ones, else those of the hunt library. With `TRACEHOUND_KUSTO`
Microsoft's analyser runs in the same process after ours, on the same queries and tables.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import duckdb_kql

from ...tools.hunts import bind, read_hunts
from ...tools.languages import Language, Platform, Query, fql, kql, s1ql, translate
from ...tools.languages.kql.schema import tables
from ...tools.languages.search import Scalar, Search, Window
from .languages_accepted import accepted
from .languages_kusto import analyse, missing
from .measuring import machine, spread

KQL_P50_MS, KQL_P95_MS, CHECKS_A_SECOND = 3.0, 25.0, 5_000
"""What is wanted."""
_PLATFORMS = (Platform.FALCON, Platform.SENTINELONE, Platform.SENTINEL, Platform.DEFENDER)


@dataclass(frozen=True)
class Queries:
    """The texts that are checked, by language, and what KQL is checked against."""

    source: str
    texts: Mapping[Language, Sequence[str]]
    schema: Mapping[str, Mapping[str, str]]
    functions: Mapping[str, Any]
    """As `functions.json` of the corpus declares them."""
    verdicts: Sequence[tuple[bool, bool]] | None = None
    """Syntax and schema verdict of Microsoft's analyser on each KQL text, where they are known."""


def main() -> int:
    """Measure and print; the exit code says nothing of the times, since they depend on the machine's load."""
    arguments = _arguments()
    report = measure(published() or library(), arguments.every)
    if folder := corpora():
        report["accepted"] = dict(accepted(folder))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(shown(report))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tracehound.evals.bench.languages", description=__doc__)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="give the slower ones every N-th query (1)")
    parser.add_argument("-o", "--output", type=Path, help="write the report as JSON")
    arguments = parser.parse_args()
    if arguments.every < 1:
        parser.error("--every is at least 1")
    return arguments


def corpora() -> Path | None:
    """The folder that `TRACEHOUND_CORPORA` names; None where it holds no published queries."""
    folder = Path(os.environ.get("TRACEHOUND_CORPORA") or "nowhere")
    return folder if (folder / "kql" / "hunting-queries.jsonl").is_file() else None


def published() -> Queries | None:
    """The queries of the corpora; None where there are none."""
    folder = corpora()
    if folder is None:
        return None
    rows = _lines(folder / "kql" / "hunting-queries.jsonl")
    schema = kql.load_schema((folder / "kql" / "schema.json").read_text(encoding="utf-8"))
    functions = json.loads((folder / "kql" / "functions.json").read_text(encoding="utf-8"))
    texts = {
        Language.KQL: [row["query"] for row in rows],
        Language.FQL: [row["query"] for row in _lines(folder / "fql" / "strings.jsonl")],
        Language.S1QL: [row["query"] for row in _lines(folder / "s1ql" / "strings.jsonl")],
    }
    return Queries("published queries", texts, schema, functions, [(r["syntax_ok"], r["schema_ok"]) for r in rows])


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def library() -> Queries:
    """What the searches of the hunt library read in each language."""
    until = datetime(2026, 1, 1, tzinfo=UTC)
    window = Window(start=until - timedelta(days=1), end=until)
    texts: dict[Language, list[str]] = {Language.KQL: [], Language.FQL: [], Language.S1QL: []}
    with as_file(files("tracehound.knowledge").joinpath("hunts")) as folder:
        hunts = [hunt for path in sorted(folder.glob("*.yaml")) for hunt in read_hunts(path)]
    for hunt in hunts:
        known: dict[str, list[Scalar]] = {name: ["198.51.100.7"] for name in hunt.parameters}
        for entry in hunt.searches:
            search = Search(event_class=entry.event_class, where=bind(entry.where, known), window=window)
            for query in translate(search, _PLATFORMS):
                if isinstance(query, Query) and query.language in texts:
                    texts[query.language].append(query.text)
    return Queries("queries of the hunt library", texts, tables(), {})


def measure(queries: Queries, every: int) -> dict[str, Any]:
    """The report, `tracehound.bench.languages/1`: times of a check in milliseconds, checks a second on one core."""
    functions = kql.load_functions(json.dumps(queries.functions)) if queries.functions else None
    texts = queries.texts[Language.KQL]
    ours, verdicts = timed(lambda text: kql.check(text, schema=queries.schema, functions=functions), texts)
    report: dict[str, Any] = {
        "schema": "tracehound.bench.languages/1",
        "source": queries.source,
        "machine": machine(),
        "kql": {"ours": {"queries": len(texts), "ms": spread(ours)}},
        "checks_a_second": {},
        "missing": [],
    }
    if queries.verdicts:
        report["agreement"] = agreement(verdicts, queries.verdicts)
    sample = texts[::every]
    others, _ = timed(duckdb_kql.validate, sample)
    report["kql"]["duckdb-kql validate (syntax only)"] = {"queries": len(sample), "ms": spread(others)}
    if reason := missing():
        report["missing"].append(f"Microsoft's analyser in Node: {reason}")
    else:
        analysed = [one for one in analyse(sample, queries.schema, queries.functions) if one.schema_ok is not None]
        report["kql"]["Microsoft's analyser in Node"] = {
            "queries": len(analysed),
            "ms": spread([one.ms for one in analysed]),
        }
    checks: Mapping[Language, Callable[[str], Any]] = {Language.FQL: fql.check, Language.S1QL: s1ql.check}
    for language, check in checks.items():
        report["checks_a_second"][language.value] = a_second(check, queries.texts[language])
    whole = a_second(lambda text: kql.check(text, schema=queries.schema, functions=functions), texts, rounds=1)
    report["checks_a_second"][Language.KQL.value] = whole
    return report


def timed(check: Callable[[str], Any], texts: Sequence[str]) -> tuple[list[float], list[Any]]:
    """Milliseconds of each check, and what came of it; the first one before, uncounted, warms up."""
    check(texts[0])
    times, results = [], []
    for text in texts:
        start = time.perf_counter()
        results.append(check(text))
        times.append((time.perf_counter() - start) * 1_000)
    return times, results


def a_second(check: Callable[[str], Any], texts: Sequence[str], rounds: int = 10) -> int:
    """Checks a second of processor time: every text, over and over."""
    timed(check, texts)
    start = time.process_time()
    for _ in range(rounds):
        for text in texts:
            check(text)
    return round(rounds * len(texts) / (time.process_time() - start))


def agreement(verdicts: Sequence[Any], known: Sequence[tuple[bool, bool]]) -> dict[str, float]:
    """The share of queries on which ours and Microsoft's verdict are the same."""
    syntax = [not any(item.code in ("syntax", "too_complex") for item in verdict.diagnostics) for verdict in verdicts]
    pairs = list(zip(verdicts, syntax, known, strict=True))
    return {
        "syntax": sum(well_formed == parsed for _, well_formed, (parsed, _) in pairs) / len(pairs),
        "schema": sum(verdict.ok == clean for verdict, _, (_, clean) in pairs) / len(pairs),
    }


def shown(report: Mapping[str, Any]) -> str:
    """The report as a table for people."""
    lines = [f"{'KQL check, ' + report['source']:<46}{'queries':>8}{'p50 ms':>9}{'p95 ms':>9}"]
    for name, entry in report["kql"].items():
        lines.append(f"{name:<46}{entry['queries']:>8}{entry['ms']['p50']:>9.2f}{entry['ms']['p95']:>9.2f}")
    lines += [f"not measured: {reason}" for reason in report["missing"]]
    ours = report["kql"]["ours"]["ms"]
    met = ours["p50"] <= KQL_P50_MS and ours["p95"] <= KQL_P95_MS
    wanted = f"p50 <= {KQL_P50_MS:g} ms and p95 <= {KQL_P95_MS:g} ms"
    lines.append(f"ours: wanted {wanted}: {'met' if met else 'missed'}")
    if "agreement" in report:
        shares = report["agreement"]
        lines.append(f"agreement with Microsoft: syntax {shares['syntax']:.2%}, schema {shares['schema']:.2%}")
    lines += [f"{what}: {count}" for what, count in report.get("accepted", {}).items()]
    for language, number in report["checks_a_second"].items():
        wish = "" if language == "kql" else f"  (wanted >= {CHECKS_A_SECOND:,}: {_met(number >= CHECKS_A_SECOND)})"
        lines.append(f"{language.upper():<5} {number:>8,} checks a second on one core{wish}")
    host = report["machine"]
    lines.append(f"{host['cores']} cores, load {host['load']}, Python {host['python']}")
    return "\n".join(lines)


def _met(verdict: bool) -> str:
    return "met" if verdict else "missed"


if __name__ == "__main__":
    sys.exit(main())
