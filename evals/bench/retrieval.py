"""`python -m tracehound.evals.bench.retrieval`: do hunts and runbooks come first, and how fast at ten thousand passages.

The queries (`evals/cases/retrieval.jsonl`) were written before the hunts that they ask for; half of them are held out,
nothing is tuned on those. Each is put to the product's ranking, to BM25 alone and to word vectors alone, over the same
passages. For the time the passages are multiplied with words drawn from them until there are ten thousand.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from ...knowledge.documents import Document, Kind
from ...knowledge.retrieval import By, Retrieval
from ...tools.library import HuntLibrary
from ...tools.runbooks import RunbookShelf
from .measuring import machine, spread

RECALL, MRR, P95_MS = 0.92, 0.86, 10.0
"""What is wanted."""
PASSAGES = 10_000
_DEPTH = 40
_NAMES: Mapping[By, str] = {"both": "product", "words": "BM25 alone", "vectors": "vectors alone"}


@dataclass(frozen=True)
class Query:
    """One query and what answers it; any of `expect` is right."""

    query: str
    half: str
    group: str
    kind: Kind
    expect: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """Of some queries: the share with a right answer among the first three, and the mean of 1 / its place."""

    queries: int
    recall: float
    mrr: float


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tracehound.evals.bench.retrieval", description=__doc__)
    parser.add_argument(
        "--misses", action="store_true", help="name the tuned queries without an answer in the first three"
    )
    parser.add_argument("--passages", type=int, default=PASSAGES, help="passages for the time; 0 leaves it out")
    parser.add_argument("-o", "--output", type=Path, help="also write the numbers as JSON")
    arguments = parser.parse_args()
    report = measure(arguments.passages)
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(shown(report))
    if arguments.misses:
        print(
            *(f"  {item['query']!r} wants {item['expect']}, found {item['found']}" for item in report["misses"]),
            sep="\n",
        )
    return 0


def queries() -> tuple[Query, ...]:
    """The queries, with their halves."""
    text = files("tracehound.evals").joinpath("cases", "retrieval.jsonl").read_text(encoding="utf-8")
    return tuple(Query(**{**row, "expect": tuple(row["expect"])}) for row in map(json.loads, text.splitlines()))


def passages() -> tuple[Document, ...]:
    """The built-in hunts and runbooks as documents."""
    return (*HuntLibrary.load().passages(), *RunbookShelf(Path("no own runbooks")).passages())


def measure(many: int = PASSAGES) -> dict[str, Any]:
    """Scores by ranking and half, the misses of the tuned half, and times at `many` passages."""
    asked, documents = queries(), passages()
    report: dict[str, Any] = {"machine": machine(), "passages": len(documents), "scores": {}, "misses": []}
    with TemporaryDirectory() as folder:
        index = Retrieval.open(Path(folder) / "index", passages=documents)
        for by in get_args(By):
            places = [(query, place_of(index, query, by)) for query in asked]
            report["scores"][_NAMES[by]] = {
                half: vars(score([place for query, place in places if half in (query.half, "all")]))
                for half in ("tuned", "held-out", "all")
            }
            if by == "both":
                report["misses"] = [
                    _miss(index, query) for query, place in places if place > 3 and query.half == "tuned"
                ]
        if many:
            large = Retrieval.open(Path(folder) / "large", passages=multiplied(documents, many))
            report["milliseconds"] = spread([_milliseconds(large, query) for query in (asked[0], *asked)][1:])
            report["many"] = len(large.documents)
    return report


def place_of(index: Retrieval, query: Query, by: By = "both") -> int:
    """The place of the first right answer, from 1; a large number where there is none."""
    found = dict.fromkeys(hit.id for hit in index.search(query.query, _DEPTH, query.kind, by))
    return next((place for place, name in enumerate(found, 1) if name in query.expect), 1_000_000)


def score(places: Sequence[int]) -> Score:
    """What the places of right answers come to."""
    total = max(len(places), 1)
    return Score(len(places), sum(place <= 3 for place in places) / total, sum(1 / place for place in places) / total)


def multiplied(documents: Sequence[Document], many: int) -> list[Document]:
    """The documents, and variants of them in other words, until there are `many`. The same each time."""
    draw = random.Random(10)
    words = sorted({word for document in documents for word in document.text.split()})
    found = list(documents)
    while len(found) < many:
        model = documents[len(found) % len(documents)]
        said = " ".join(draw.choices(words, k=max(len(model.text.split()), 12)))
        phrases = tuple(" ".join(draw.choices(words, k=9)) for _ in range(2))
        title = " ".join(draw.choices(words, k=5))
        found.append(replace(model, id=f"generated-{len(found)}", title=title, text=said, phrases=phrases))
    return found


def _milliseconds(index: Retrieval, query: Query) -> float:
    started = time.perf_counter()
    index.search(query.query, 5, query.kind)
    return (time.perf_counter() - started) * 1_000


def _miss(index: Retrieval, query: Query) -> dict[str, Any]:
    found = dict.fromkeys(hit.id for hit in index.search(query.query, 10, query.kind))
    return {"query": query.query, "expect": list(query.expect), "found": list(found)[:4]}


def shown(report: Mapping[str, Any]) -> str:
    """The report as a table."""
    lines = [f"{report['passages']} passages of hunts and runbooks; wanted: recall@3 {RECALL}, MRR {MRR}"]
    lines.append(f"{'':16}{'half':10}{'queries':>8}{'recall@3':>10}{'MRR':>8}")
    for name, halves in report["scores"].items():
        for half, item in halves.items():
            lines.append(f"{name:16}{half:10}{item['queries']:8}{item['recall']:10.3f}{item['mrr']:8.3f}")
    if "milliseconds" in report:
        taken = report["milliseconds"]
        lines.append(
            f"one search at {report['many']:,} passages: p50 {taken['p50']:.1f} ms, p95 {taken['p95']:.1f} ms"
            f" (wanted {P95_MS:.0f})"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
