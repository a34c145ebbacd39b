"""Sentences in free prose about reports of the lab, false and true, and whether their falsehood is noticed.

The sentences (`evals/lab/prose.jsonl`) were written by hand before the rules that judge them were read. Works on the public
JSON of answers and imports nothing of what judges: whoever measures passes the judge.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

Json = dict[str, Any]
Judge = Callable[[Json], Json]
"""Takes an answer's JSON and gives it back with its claims checked."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence about one report. `cites`: words that all occur in one cited row, one text a row."""

    id: str
    report: str
    kind: str
    true: bool
    cites: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a sentence; `why` is the judge's reason against it, empty when it had none."""

    sentence: Sentence
    caught: bool
    why: str


def sentences() -> list[Sentence]:
    """The sentences in file order."""
    text = files("tracehound.evals.lab").joinpath("prose.jsonl").read_text(encoding="utf-8")
    return [Sentence(**{**item, "cites": tuple(item["cites"])}) for item in map(json.loads, text.splitlines())]


def assert_in(answer: Json, sentence: Sentence) -> Json:
    """The answer with the sentence as one more assessment, citing the rows that it is about.

    Raises:
        LookupError: a row that it cites is not in the answer.
    """
    rows = [name for words in sentence.cites for name in _cited(answer, words)]
    claim = {
        "id": "C9999",
        "kind": "assessment",
        "subject": "",
        "predicate": "assessed",
        "object": "",
        "evidence": list(dict.fromkeys(rows)),
        "queries": [],
        "text": sentence.text,
    }
    return {**answer, "claims": [*answer["claims"], claim]}


def _cited(answer: Json, words: str) -> list[str]:
    """What the first claim cites of whose rows one holds every word."""
    by_id = {row["id"]: row for row in answer["evidence"]}
    wanted = words.lower().split()
    for claim in answer["claims"]:
        for row in (by_id[name] for name in claim["evidence"] if name in by_id):
            told = json.dumps([row["class"], row["host"], row["user"], row["time"], row["fields"]]).lower()
            if all(word in told for word in wanted):
                return list(claim["evidence"])
    raise LookupError(f"no cited row holds all of {words!r}")


def judged(answers: Mapping[str, Json], judge: Judge, asked: Iterable[Sentence] | None = None) -> list[Verdict]:
    """Every sentence, put to the judge within its report.

    Raises:
        LookupError: a report does not cite a row that a sentence is about.
    """
    return [_verdict(answers[item.report], item, judge) for item in (sentences() if asked is None else asked)]


def _verdict(answer: Json, sentence: Sentence, judge: Judge) -> Verdict:
    before, after = judge(answer)["verification"]["failed"], judge(assert_in(answer, sentence))
    caught = after["verification"]["failed"] > before
    return Verdict(sentence, caught, (after["claims"][-1]["why_not"] or "") if caught else "")


def table(verdicts: Sequence[Verdict]) -> list[str]:
    """Caught by kind of falsehood, and false alarms, one line each."""
    said, caught = Counter[str](), Counter[str]()
    for item in verdicts:
        said[item.sentence.kind] += 1
        caught[item.sentence.kind] += item.caught
    lines = [f"{'false by':<12} caught  of"]
    for kind in sorted(said, key=lambda name: (-said[name], name)):
        if kind != "true":
            lines.append(f"{kind:<12} {caught[kind]:>6} {said[kind]:>3}")
    false = sum(number for kind, number in said.items() if kind != "true")
    found = sum(number for kind, number in caught.items() if kind != "true")
    lines.append(f"{'all':<12} {found:>6} {false:>3}  {found / max(false, 1):.1%}")
    lines.append(f"false alarms on true sentences: {caught['true']} of {said['true']}")
    return lines
