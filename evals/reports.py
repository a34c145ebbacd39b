"""Reports of eval runs: totals, tables for a person, the difference of two, and files."""

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from ..knowledge.errors import StorageError, UsageError
from ..tools.evidence.records import iso_z
from ..tools.evidence.safe import safe

Report = dict[str, Any]
"""`{"schema", "suites", "model", "repeat", "finished", "cases": [...], "totals": {...}, "by": {...}, "failed"}`.

`by` counts outcomes by `domain` and by `kind`, for the cases that have them.
"""

SCHEMA = "tracehound.eval/1"
OUTCOMES = ("right", "partly", "wrong", "declined", "error")
GROUPS = ("domain", "kind")
_WORTH = {"right": 3, "partly": 2, "declined": 1, "wrong": 0, "error": 0}
"""A case that gets one that is worth less has become worse."""
_STYLES = {"right": "green", "partly": "yellow", "declined": "yellow", "wrong": "bold red", "error": "bold red"}
_MOST_SHOWN = 120


def report_of(rows: Sequence[dict[str, Any]], names: Sequence[str], model: str, repeat: int) -> Report:
    """The report of the rows of a run. `failed` counts the cases that are not right."""
    return {
        "schema": SCHEMA,
        "suites": list(names),
        "model": model,
        "repeat": repeat,
        "finished": iso_z(datetime.now(UTC).replace(microsecond=0)),
        "cases": list(rows),
        "totals": {
            "all": _totals(rows),
            **{name: _totals([row for row in rows if row["suite"] == name]) for name in names},
        },
        "by": {group: _grouped(rows, group) for group in GROUPS if any(group in row for row in rows)},
        "failed": sum(row["outcome"] != "right" for row in rows),
    }


def _totals(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    outcomes = Counter(row["outcome"] for row in rows)
    sums = ("wall_ms", "queries", "model_calls", "input_tokens", "output_tokens")
    return {
        "cases": len(rows),
        **{name: outcomes[name] for name in OUTCOMES},
        **{name: sum(row[name] for row in rows) for name in sums},
        "p50_ms": percentile([row["wall_ms"] for row in rows], 0.5),
        "p95_ms": percentile([row["wall_ms"] for row in rows], 0.95),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; 0 of nothing."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else 0


def _grouped(rows: Sequence[Mapping[str, Any]], group: str) -> dict[str, dict[str, int]]:
    """Outcomes counted by what the cases have under a key."""
    found: dict[str, Counter[str]] = {}
    for row in rows:
        if group in row:
            found.setdefault(row[group], Counter())[row["outcome"]] += 1
    return {name: {outcome: found[name][outcome] for outcome in OUTCOMES} for name in sorted(found)}


def table(report: Report) -> Table:
    """A line for each case, and one for all of them."""
    shown = Table(title=f"{', '.join(report['suites'])} with {safe(report['model'])}", title_justify="left")
    for heading in ("case", "outcome", "checks", "s", "queries", "what failed"):
        number = heading in ("checks", "s", "queries")
        whole = number or heading in ("case", "outcome")
        shown.add_column(heading, justify="right" if number else "left", overflow="fold", no_wrap=whole)
    for row in report["cases"]:
        shown.add_row(*_line(row))
    totals = report["totals"]["all"]
    shown.add_section()
    shown.add_row(
        f"{totals['cases']} cases",
        "\n".join(f"{totals[name]} {name}" for name in OUTCOMES if totals[name]),
        "",
        f"{totals['wall_ms'] / 1000:.1f}",
        str(totals["queries"]),
        f"{totals['model_calls']} model calls, {totals['input_tokens'] + totals['output_tokens']} tokens",
    )
    return shown


def group_tables(report: Report) -> list[Table]:
    """Outcomes by domain and by kind."""
    shown = []
    for group, counts in report["by"].items():
        grid = Table(title=f"by {group}", title_justify="left")
        grid.add_column(group, no_wrap=True)
        for outcome in (*OUTCOMES, "of"):
            grid.add_column(outcome, justify="right", no_wrap=True)
        for name, found in counts.items():
            grid.add_row(name, *(str(found[outcome]) for outcome in OUTCOMES), str(sum(found.values())))
        shown.append(grid)
    return shown


def summary(report: Report) -> str:
    """The shares of the outcomes, and the time of a case, in one line."""
    total = report["totals"]["all"]
    shares = " ".join(f"{name} {total[name] / max(total['cases'], 1):.2f}" for name in OUTCOMES if total[name])
    seconds = f"p50 {total['p50_ms'] / 1000:.1f} s, p95 {total['p95_ms'] / 1000:.1f} s"
    return f"{', '.join(report['suites'])}: {shares or 'no outcome'} of {total['cases']} ({seconds})"


def _line(row: Mapping[str, Any]) -> tuple[str | Text, ...]:
    passed = sum(item["ok"] for item in row["measures"])
    return (
        row["id"],
        Text(row["outcome"], style=_STYLES[row["outcome"]]),
        f"{passed}/{len(row['measures'])}",
        f"{row['wall_ms'] / 1000:.1f}",
        str(row["queries"]),
        Text(safe("; ".join(failures(row)))),
    )


def failures(row: Mapping[str, Any]) -> list[str]:
    """What went wrong in a case, one phrase each."""
    if "missing" in row:
        return [_short(text) for text in row["missing"]]
    failed = [
        f"{item['name']}: {_short(item['value'])} (wanted {item['wanted']})"
        for item in row["measures"]
        if not item["ok"]
    ]
    return [*([row["error"]] if row["error"] and row["outcome"] == "error" else []), *failed]


def _short(value: object) -> str:
    text = "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"


def difference(old: Report, new: Report) -> str:
    """What changed between two runs, in lines; cases are told apart by their id.

    Raises:
        UsageError: one of them is no report.
    """
    for report in (old, new):
        _require_schema(report)
    before, after = ({row["id"]: row for row in report["cases"]} for report in (old, new))
    lines = [line for name in before | after for line in _changes(name, before.get(name), after.get(name))]
    right = [sum(row["outcome"] == "right" for row in rows.values()) for rows in (before, after)]
    wall = [sum(row["wall_ms"] for row in rows.values()) / 1000 for rows in (before, after)]
    total = f"right {right[0]}/{len(before)} -> {right[1]}/{len(after)}, {wall[0]:.1f} s -> {wall[1]:.1f} s"
    medians = ", ".join(_medians(before.values(), after.values()))
    return safe("\n".join([*(lines or ["no case changed"]), total, f"medians: {medians}"]), single_line=False)


def _medians(old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for name, unit, scale in (("wall_ms", "s", 1000), ("input_tokens", "input tokens", 1), ("queries", "queries", 1)):
        was, now = (statistics.median([row[name] for row in rows] or [0]) / scale for rows in (old, new))
        yield f"{was:.4g} -> {now:.4g} {unit}"


def regressions(old: Report, new: Report) -> list[str]:
    """Cases of both runs whose outcome is worth less in the new one."""
    before = {row["id"]: row["outcome"] for row in old["cases"]}
    return [
        f"{row['id']}: {before[row['id']]} -> {row['outcome']}"
        for row in new["cases"]
        if row["id"] in before and _WORTH[row["outcome"]] < _WORTH[before[row["id"]]]
    ]


def _changes(name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterable[str]:
    if old is None or new is None:
        yield f"{name}: only in the {'new' if old is None else 'old'} run"
        return
    if old["outcome"] != new["outcome"]:
        yield f"{name}: {old['outcome']} -> {new['outcome']}"
    earlier = {item["name"]: item for item in old["measures"]}
    for item in new["measures"]:
        was = earlier.get(item["name"])
        if was is not None and was["ok"] != item["ok"]:
            word = "mended" if item["ok"] else "broken"
            yield f"{name}: {word}: {item['name']}: {_short(was['value'])} -> {_short(item['value'])}"


def read_report(path: Path) -> Report:
    """The report that a run wrote.

    Raises:
        UsageError: the file is no report.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise UsageError(f"{path} is not JSON; give the report that `tracehound eval run -o DIR` wrote") from exc
    if not isinstance(report, dict):
        raise UsageError(f"{path} is no report of an eval run; give the one that `tracehound eval run -o DIR` wrote")
    _require_schema(report)
    return report


def _require_schema(report: Report) -> None:
    if report.get("schema") != SCHEMA:
        raise UsageError(f"this is no report of an eval run: its schema is {report.get('schema')!r}, not {SCHEMA!r}")


def write(path: Path, content: object) -> None:
    """Write JSON.

    Raises:
        StorageError: the file cannot be written.
    """
    try:
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
    except OSError as exc:
        raise StorageError(f"{path} cannot be written: {exc.strerror or exc}") from exc
