"""Suites of eval cases: data under `evals/cases`, read into typed cases."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..knowledge.errors import ContentError, UsageError
from .reading import read_yaml

CASES = Path(__file__).parent / "cases"
DECK = ".jsonl"
WorldName = Literal["kestrel", "everyday", "twins"]
"""Kestrel's stories, everyday work that raises alerts, or the malicious twins of it."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _seeds(value: Any) -> Any:
    """`0-19` as the numbers from 0 to 19."""
    if isinstance(value, str):
        first, dash, last = value.partition("-")
        if not (dash and first.isdigit() and last.isdigit() and int(first) <= int(last)):
            raise ValueError(f"write seeds as a list or as FIRST-LAST, not {value!r}")
        return tuple(range(int(first), int(last) + 1))
    return value


class Suite(_Data):
    """A named set of cases, each asked on the worlds of these seeds."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    about: str
    seeds: Annotated[tuple[int, ...], BeforeValidator(_seeds)]
    world: WorldName = "kestrel"
    """What happens in its labs."""
    deck: str | None = None
    """File of a deck, beside the file of the suite: its questions are the cases."""


class Proposed(_Data):
    """A response action that the answer must propose; `target` is a role of the scenario's cast."""

    action: str
    target: str
    undo: str | None
    status: str


class Expect(_Data):
    """What a right answer holds; what is not named is not measured."""

    error: str | None = None
    """Class of the error that must be raised instead of an answer."""
    declined: bool = False
    reason: tuple[str, ...] = ()
    """Texts that occur in the reason for declining."""
    candidates: tuple[str, ...] = ()
    route: str | None = None
    queries: int | None = None
    """Exactly so many queries."""
    platforms: int | None = None
    """At least so many platforms answered."""
    window_hours: float | None = None
    story: str | None = None
    """Every step of this story is in the timeline."""
    look_alikes: tuple[str, ...] = ()
    """Those that lie in the window are in the timeline, and ruled out."""
    proposals: tuple[Proposed, ...] | None = None
    """Exactly these; None: not measured."""
    verdict: str | None = None
    verdict_not: str | None = None
    """A verdict that would be wrong; any other is right."""
    priority: tuple[str, ...] = ()
    reasons: int | None = None
    next_steps: int | None = None
    ticket: bool = False
    cites_alert: str | None = None
    """Name of an earlier alert whose row the triage's reasons cite."""
    within_seconds: float | None = None
    recall: float | None = Field(default=None, ge=0, le=1)
    precision: float | None = Field(default=None, ge=0, le=1)


class EvalCase(_Data):
    """One question, one alert, or one folder of recordings with their truth. `{role}` stands for one of the cast."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    ask: str | None = None
    triage: str | None = None
    recordings: str | None = None
    """Folder of TRACEHOUND_CORPORA with a `truth.json`: one sample for each of its scenarios."""
    expect: Expect

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if sum(item is not None for item in (self.ask, self.triage, self.recordings)) != 1:
            raise ValueError("a case has exactly one of `ask`, `triage`, `recordings`")
        return self


class _File(_Data):
    suites: tuple[Suite, ...] = Field(min_length=1)
    cases: tuple[EvalCase, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        ids = [case.id for case in self.cases]
        if len(set(ids)) < len(ids):
            raise ValueError("two cases have the same id")
        if not ids and any(suite.deck is None for suite in self.suites):
            raise ValueError("a suite has cases or a deck")
        return self


def read_suites(files: Iterable[Path] | None = None) -> dict[str, tuple[Suite, tuple[EvalCase, ...]]]:
    """Every suite by name, with its cases.

    Raises:
        ContentError: a file breaks the schema, or a suite is there twice; names file and line.
    """
    found: dict[str, tuple[Suite, tuple[EvalCase, ...]]] = {}
    for path in files if files is not None else sorted(CASES.glob("*.yaml")):
        content = read_yaml(path, _File)
        for suite in content.suites:
            if suite.id in found:
                raise ContentError(str(path), None, f"suite {suite.id} is in another file too")
            beside = str((path.parent / suite.deck).resolve()) if suite.deck else None
            found[suite.id] = (suite.model_copy(update={"deck": beside}), content.cases if beside is None else ())
    return found


def choose(names: Iterable[str]) -> list[tuple[Suite, tuple[EvalCase, ...]]]:
    """The suites of these names; the path of a deck is a suite too, on the world of seed 0.

    Raises:
        UsageError: there is no such suite; names those there are.
    """
    known = read_suites()
    chosen = []
    for name in dict.fromkeys(names):
        if name not in known and not name.endswith(DECK):
            raise UsageError(
                f"there is no eval suite {name!r}; the suites are {', '.join(known)}, and any deck by its path (*{DECK})"
            )
        chosen.append(known[name] if name in known else (_elsewhere(Path(name)), ()))
    return chosen


def _elsewhere(path: Path) -> Suite:
    """The suite of a deck that lies somewhere."""
    if not path.is_file():
        raise UsageError(f"there is no deck {path}; give the path of a file of questions, one JSON object a line")
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "deck"
    return Suite(id=name, about=f"the deck {path}", seeds=(0,), deck=str(path.resolve()))


def read_seeds(text: str) -> tuple[int, ...]:
    """Seeds as a person writes them: `0,7`, `0-5`, or both.

    Raises:
        UsageError: they are not written so.
    """
    try:
        parts = [_seeds(part) if "-" in part else (int(part),) for part in text.replace(" ", "").split(",")]
    except ValueError as exc:
        raise UsageError(f"seeds are numbers and ranges such as 0,7 or 0-5, not {text!r}") from exc
    return tuple(dict.fromkeys(seed for part in parts for seed in part))
