"""`python -m tracehound.evals.bench.kql_execution FOLDER`: which published KQL runs on empty typed tables.

FOLDER holds `hunting-queries.jsonl` (a query a line, `schema_ok` where Microsoft's analyser finds nothing wrong) and
`schema.json` (table to column to type). The lab's executor stands beside duckdb-kql alone on the same tables.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import duckdb_kql

from ...tools.languages.kql.schema import Schema, load_schema
from ..lab.sql_kql import SemanticFaultError, SyntaxFaultError, UnrunnableError, nothing, run_on_nothing

Run = Callable[[str], None]


@dataclass(slots=True)
class Tally:
    """What one executor did with the queries: times in milliseconds, and why some did not run."""

    name: str
    ran: int = 0
    times: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def take(self, run: Run, text: str) -> None:
        """Run one query."""
        start = time.perf_counter()
        reason = attempt(run, text)
        self.times.append((time.perf_counter() - start) * 1_000)
        if reason is None:
            self.ran += 1
        else:
            self.reasons[reason] += 1

    def line(self) -> str:
        """One row of the table."""
        ordered = sorted(self.times)
        count = len(ordered)
        half, most = ordered[count // 2], ordered[int(count * 0.95)]
        share = f"{self.ran:>5} of {count} = {self.ran / count:6.1%}"
        return f"{self.name:<20} {share}   p50 {half:6.0f} ms   p95 {most:6.0f} ms"


def attempt(run: Run, text: str) -> str | None:
    """Why a query does not run; None when it does."""
    try:
        run(text)
    except UnrunnableError as exc:
        return exc.construct
    except (SemanticFaultError, SyntaxFaultError) as exc:
        return str(exc).splitlines()[0]
    except (duckdb_kql.KqlError, duckdb.Error) as exc:
        return f"{type(exc).__name__}: {str(exc).splitlines()[0]}"
    return None


def queries(path: Path) -> Iterator[str]:
    """The texts that Microsoft's analyser finds right."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["schema_ok"]:
            yield row["query"]


def lab(schema: Schema) -> Run:
    """The lab's executor."""

    def run(text: str) -> None:
        run_on_nothing(text, schema)

    return run


def alone(schema: Schema) -> Run:
    """duckdb-kql as it comes, on the same tables; of columns that differ in case alone it gets the first."""
    database = duckdb_kql.connect()
    for table, columns in schema.items():
        first: dict[str, str] = {}
        for column in columns:
            first.setdefault(column.casefold(), column)
        kept = {column: columns[column] for column in first.values()}
        database.execute(f'CREATE VIEW "{table}" AS {nothing(kept, {column: column for column in kept})}')

    def run(text: str) -> None:
        duckdb_kql.kql(database, text, allow_write=False).fetchall()

    return run


def measured(folder: Path, step: int, both: bool) -> list[Tally]:
    """Each executor's tally over every `step`-th query."""
    schema = load_schema((folder / "schema.json").read_text(encoding="utf-8"))
    runs: Mapping[str, Run] = {"lab": lab(schema)} | ({"duckdb-kql alone": alone(schema)} if both else {})
    tallies = []
    for name, run in runs.items():
        tally = Tally(name)
        for text in list(queries(folder / "hunting-queries.jsonl"))[::step]:
            tally.take(run, text)
        tallies.append(tally)
    return tallies


def main() -> int:
    """Print the table, and the constructs that the lab does not run."""
    parser = argparse.ArgumentParser(prog="python -m tracehound.evals.bench.kql_execution", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--step", type=int, default=1, help="take every n-th query (1)")
    parser.add_argument("--lab-only", action="store_true", help="leave out duckdb-kql alone")
    arguments = parser.parse_args()
    tallies = measured(arguments.folder, arguments.step, not arguments.lab_only)
    out = sys.stdout.write
    for tally in tallies:
        out(tally.line() + "\n")
    for reason, count in tallies[0].reasons.most_common():
        out(f"{count:>5}  {reason[:140]}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
