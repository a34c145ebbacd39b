"""One rule in one language: does our query return the rows that the backend's returns?"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import yaml

from ...knowledge.errors import QueryError
from ...tools.hunts import HuntSearch
from ...tools.languages.query import Query
from ..lab.telemetry import Telemetry
from .building import Made, build
from .converters import PAIRS, NotConvertedError, Pair, imported, ours
from .reading import SigmaRule, UnreadRuleError, read_rule
from .running import Bench, NotRunError, as_we_read, moments_of
from .telemetry import Placed, defaults, write

Verdict = Literal["same", "different", "not counted"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Our query beside one of the backend's: the verdict, and what tells why."""

    verdict: Verdict
    why: str = ""
    """Why it is not counted."""
    only_ours: int = 0
    only_theirs: int = 0
    wrong: tuple[str, ...] = ()
    """Whose query differs from the rule's own reading on the events: `ours`, `theirs`, both or neither."""
    query: str = ""
    """The backend's."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a rule in a language that the backend converts it for."""

    rule: str
    language: str
    as_written: Comparison
    corrected: Comparison
    """The same where the backend's query has no known fault."""
    faults: tuple[str, ...] = ()
    importable: bool = True
    our_query: str = ""


@dataclass
class Subject:
    """A rule with its events."""

    path: Path
    rule: SigmaRule | None = None
    made: Made | None = None
    why_not: str = ""
    placed: Placed | None = field(default=None)


def prepare(path: Path) -> Subject:
    """Read a rule and make its events."""
    try:
        rule = read_rule(path.name, yaml.safe_load(path.read_text(encoding="utf-8")))
    except UnreadRuleError as exc:
        return Subject(path, why_not=f"events: the judge does not read {exc}")
    usual = defaults(rule)
    if usual is None:
        return Subject(path, rule, why_not="events: the lab has none of this log source")
    made = build(rule, usual)
    if not made.matches:
        return Subject(path, rule, why_not="events: no matching event was found")
    if not made.misses or made.broken < made.conditions:
        return Subject(path, rule, made, "events: not every condition has a near miss")
    return Subject(path, rule, made)


def compare(paths: Sequence[Path], pairs: Sequence[Pair] = PAIRS) -> list[Outcome]:
    """Compare rules in every language; one lab file holds the events of all.

    Returns:
        An outcome for each rule and language that the backend converts.
    """
    subjects = [prepare(path) for path in paths]
    usable = [subject for subject in subjects if subject.rule and subject.made and not subject.why_not]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "events.duckdb"
        placed = write(file, [(subject.rule, subject.made) for subject in usable if subject.rule and subject.made])
        for subject, place in zip(usable, placed, strict=True):
            subject.placed = place
        telemetry = Telemetry(file)
        try:
            bench = Bench(telemetry)
            return [
                outcome
                for subject in subjects
                for pair in pairs
                if (outcome := _outcome(subject, pair, bench)) is not None
            ]
        finally:
            telemetry.close()


def _outcome(subject: Subject, pair: Pair, bench: Bench) -> Outcome | None:
    try:
        theirs, corrected = pair.convert(subject.path), pair.corrected(subject.path)
    except NotConvertedError:
        return None
    faults = pair.faults_in(theirs) if theirs != corrected else ()
    search, refusal = imported(subject.path)
    importable = search is not None
    text = ""
    if search is None or subject.placed is None:
        why = subject.why_not if importable else f"ours: not imported: {refusal}"
        first = second = Comparison("not counted", why, query="\n".join(theirs))
    else:
        try:
            text, mine = _ours(search, pair, bench, subject.placed)
        except _NoQueryError as exc:
            first = second = Comparison("not counted", f"ours: {exc}", query="\n".join(theirs))
        else:
            first = _compared(theirs, mine, pair, bench, subject.placed)
            second = first if corrected == theirs else _compared(corrected, mine, pair, bench, subject.placed)
    return Outcome(subject.path.name, pair.name, first, second, faults, importable, text)


class _NoQueryError(Exception):
    """We have no query for the rule in a language, or it does not run."""


def _ours(search: HuntSearch, pair: Pair, bench: Bench, place: Placed) -> tuple[str, set[datetime]]:
    try:
        written = ours(search, pair, place.start, place.end)
        queries = [query for query in written if isinstance(query, Query)]
        if not queries:
            reasons = "; ".join(item.reason for item in written if not isinstance(item, Query))
            raise _NoQueryError(f"not expressible: {reasons or 'the platform records no such events'}")
        found: set[datetime] = set()
        for query in queries:
            found |= bench.moments(query, place.start, place.end)
    except (QueryError, NotRunError) as exc:
        raise _NoQueryError(str(exc)) from exc
    return "\n".join(query.text for query in queries), found


def _compared(queries: Sequence[str], mine: set[datetime], pair: Pair, bench: Bench, place: Placed) -> Comparison:
    text = "\n".join(queries)
    try:
        theirs: set[datetime] = set()
        for query in queries:
            read = as_we_read(pair.language, query)
            theirs |= moments_of(pair.language, bench.rows(pair.platform, pair.language, read, place.start, place.end))
    except NotRunError as exc:
        return Comparison("not counted", f"theirs: {exc}", query=text)
    sides = (("ours", mine), ("theirs", theirs))
    if lost := [who for who, found in sides if not place.matches & found]:
        return Comparison("not counted", f"{' and '.join(lost)}: no matching event is returned", query=text)
    return Comparison(
        "same" if mine == theirs else "different",
        only_ours=len(mine - theirs),
        only_theirs=len(theirs - mine),
        wrong=tuple(who for who, found in sides if found != place.matches),
        query=text,
    )
