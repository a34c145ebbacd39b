"""Competing hypotheses: the evidence of an answer against every class of incident, ranked by what speaks against each.

After Heuer's analysis of competing hypotheses: a hypothesis is not better for what fits it, since most evidence fits
several, but worse for what does not. Pure and without a model: an answer in, a matrix out, the same each time.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from ...knowledge import attack
from ..library import HuntLibrary, Label
from ..recognise import recogniser
from .entities import entity_values
from .event import Event
from .hypotheses_data import Catalogue, Fact, Hypothesis, Sign, When
from .hypotheses_trials import Refutation, cheapest_trials
from .records import Answer, Evidence, iso_z

Bearing = Literal["consistent", "inconsistent", "neutral"]

TACTICS, ACCOUNTS, HOSTS, DAYS = 3, 8, 5, 3
"""From how many on rows go through several stages, concern many accounts or hosts, or recur daily."""
RHYTHM = 2
"""Different hours of the day at which what recurs daily may happen."""
SHOWN = 12
"""Rows that a sign names at most; the number says how many there are."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """One hypothesis with what speaks against it and for it, as sums of the signs' weights."""

    id: str
    title: str
    about: str
    against: int
    supported: int


@dataclass(frozen=True, slots=True)
class Row:
    """One sign: what the evidence shows, the rows that show it, and what it says of each hypothesis."""

    sign: str
    says: str
    weight: int
    evidence: tuple[str, ...]
    rows: int
    bears: Mapping[str, Bearing]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Without this row another hypothesis would lead."""

    sign: str
    evidence: tuple[str, ...]
    leader: str


@dataclass(frozen=True)
class Hypotheses:
    """The matrix: `ranked` from least to most contradicted, `rows` in order of time."""

    question: str
    ranked: tuple[Weighed, ...]
    rows: tuple[Row, ...]
    leader: str | None
    """None: nothing found speaks for any hypothesis."""
    level_with: tuple[str, ...]
    """Hypotheses that nothing found contradicts more than the leader."""
    sensitive: tuple[Sensitivity, ...]
    refutation: Refutation | None
    """The cheapest search, not made yet, that could refute the leader."""

    def title(self, hypothesis: str) -> str:
        """The title of a hypothesis of the matrix."""
        return next((item.title for item in self.ranked if item.id == hypothesis), hypothesis)

    def sentence(self) -> str:
        """The result in words of estimation, without a probability: what leads, by what, and what it hangs on."""
        if self.leader is None:
            return "Nothing that was found speaks for any of the hypotheses."
        first = self.ranked[0]
        told = f"Least contradicted: {first.title} ({_points(first)})"
        if self.level_with:
            told += f"; not told apart from {', '.join(map(self.title, self.level_with))}"
        elif len(self.ranked) > 1:
            told += f"; next: {self.ranked[1].title} ({_points(self.ranked[1])})"
        if self.sensitive:
            said = next(row.says for row in self.rows if row.sign == self.sensitive[0].sign)
            told += f". It hangs on one row: without `{said}` it would be {self.title(self.sensitive[0].leader)}"
        return f"{told}."

    def to_json(self) -> dict[str, Any]:
        """The matrix as JSON, `tracehound.hypotheses/1`."""
        return {
            "schema": "tracehound.hypotheses/1",
            "question": self.question,
            "leader": self.leader,
            "level_with": list(self.level_with),
            "sentence": self.sentence(),
            "hypotheses": [
                {
                    "id": item.id,
                    "title": item.title,
                    "about": item.about,
                    "inconsistent": item.against,
                    "consistent": item.supported,
                }
                for item in self.ranked
            ],
            "evidence": [
                {
                    "sign": row.sign,
                    "says": row.says,
                    "weight": row.weight,
                    "evidence": list(row.evidence),
                    "rows": row.rows,
                    "bears": dict(row.bears),
                }
                for row in self.rows
            ],
            "sensitivity": [
                {"without": item.sign, "evidence": list(item.evidence), "leader": item.leader}
                for item in self.sensitive
            ],
            "refutation": self.refutation.to_json() if self.refutation else None,
        }


def weigh(answer: Answer, library: HuntLibrary | None = None, catalogue: Catalogue | None = None) -> Hypotheses:
    """Weigh what an answer found against every hypothesis.

    Args:
        answer: The answer; its timeline, claims, evidence and queries are read, its prose is not.
        library: Hunts that recognise behaviour and hold the refuting searches; the built-in ones when None.
        catalogue: Hypotheses and signs; the built-in ones when None.
    """
    library, catalogue = library or HuntLibrary.load(), catalogue or Catalogue.load()
    facts = _Facts.of(answer, library)
    rows = [row for sign in catalogue.signs.values() if (row := _row(sign, facts, catalogue)) is not None]
    rows.sort(key=lambda row: (facts.first(row.evidence), row.sign))
    ranked = _rank(rows, catalogue)
    leader = _leader(ranked)
    level = tuple(item.id for item in ranked[1:] if leader and item.against == ranked[0].against and item.supported)
    found = _entities(facts.rows)
    return Hypotheses(
        question=answer.question,
        ranked=ranked,
        rows=tuple(rows),
        leader=leader,
        level_with=level,
        sensitive=tuple(_sensitive(rows, leader, catalogue)) if leader else (),
        refutation=_refute(catalogue.hypotheses[leader], answer, library, found) if leader else None,
    )


def _points(item: Weighed) -> str:
    return f"{item.against} against, {item.supported} for"


def _rank(rows: Sequence[Row], catalogue: Catalogue) -> tuple[Weighed, ...]:
    def total(hypothesis: str, bearing: Bearing) -> int:
        return sum(row.weight for row in rows if row.bears[hypothesis] == bearing)

    found = [
        Weighed(item.id, item.title, item.about, total(item.id, "inconsistent"), total(item.id, "consistent"))
        for item in catalogue.hypotheses.values()
    ]
    # What nothing speaks for has nothing to be contradicted by either: it comes after what something speaks for.
    return tuple(sorted(found, key=lambda item: (item.supported == 0, item.against, -item.supported)))


def _leader(ranked: Sequence[Weighed]) -> str | None:
    return ranked[0].id if ranked and ranked[0].supported else None


def _sensitive(rows: Sequence[Row], leader: str, catalogue: Catalogue) -> Iterable[Sensitivity]:
    for row in rows:
        other = _leader(_rank([item for item in rows if item is not row], catalogue))
        if other is not None and other != leader:
            yield Sensitivity(row.sign, row.evidence, other)


def _refute(
    hypothesis: Hypothesis, answer: Answer, library: HuntLibrary, found: Mapping[str, Sequence[str]]
) -> Refutation | None:
    return next(iter(cheapest_trials(hypothesis, answer, library, found)), None)


def _entities(rows: Iterable["_Seen"]) -> Mapping[str, Sequence[str]]:
    """Hosts, accounts and addresses of the rows, the most frequent first."""
    counted: dict[str, Counter[str]] = {"host": Counter(), "user": Counter(), "ip": Counter()}
    for row in rows:
        named = entity_values(row.event.fields)
        for kind, counter in counted.items():
            counter.update(sorted(named.get(kind, ())))
    return {
        kind: [name for name, _ in counted[entity].most_common()]
        for kind, entity in (("hosts", "host"), ("users", "user"), ("addresses", "ip"))
    }


@dataclass(frozen=True, slots=True)
class _Seen:
    """A row with the behaviours that the hunts recognise in it, and how the timeline judged it."""

    evidence: str
    event: Event
    labels: tuple[Label, ...]
    judged: str


@dataclass(frozen=True)
class _Facts:
    """The rows that the question's answer rests on, and those that were ruled out."""

    rows: tuple[_Seen, ...]
    ruled_out: tuple[_Seen, ...]

    @classmethod
    def of(cls, answer: Answer, library: HuntLibrary) -> "_Facts":
        judged = {name: entry.verdict for entry in answer.timeline for name in entry.evidence}
        for name in _triaged(answer):
            judged.setdefault(name, "context")
        if not judged:
            judged = {name: "context" for claim in answer.claims for name in claim.evidence}
        seen = [_seen(row, judged[row.id], library) for row in answer.evidence if row.id in judged]
        told = tuple(row for row in seen if row.judged != "benign")
        benign = tuple(row for row in seen if row.judged == "benign")
        # Where everything was ruled out, what was ruled out is what the question is about.
        return cls(told or benign, benign)

    def first(self, names: Iterable[str]) -> str:
        """Time of the first of some rows, to sort by."""
        times = {row.evidence: row.event.time for row in (*self.rows, *self.ruled_out)}
        return min((iso_z(time) or "" for name in names if (time := times.get(name))), default="")


def _triaged(answer: Answer) -> Iterable[str]:
    return (name for factor in answer.triage.because for name in factor.evidence) if answer.triage else ()


def _seen(row: Evidence, judged: str, library: HuntLibrary) -> _Seen:
    event = Event.of(row)
    return _Seen(row.id, event, tuple(library.label(event.fields, event.event_class)), judged)


def _row(sign: Sign, facts: _Facts, catalogue: Catalogue) -> Row | None:
    held = facts.ruled_out if sign.when.judged == "benign" else facts.rows
    shows = [row for row in held if _meets(row, sign.when)]
    if not shows or not all(_FACTS[name](shows) for name in sign.when.facts):
        return None
    shows.sort(key=lambda row: (iso_z(row.event.time) or "", row.evidence))
    bears: dict[str, Bearing] = {
        name: "consistent" if name in sign.supports else "inconsistent" if name in sign.against else "neutral"
        for name in catalogue.hypotheses
    }
    named = tuple(dict.fromkeys(row.evidence for row in shows))
    return Row(sign.id, sign.says, sign.weight, named[:SHOWN], len(named), bears)


def _meets(row: _Seen, when: When) -> bool:
    if when.hunts and not any(
        fnmatchcase(f"{label.hunt}#{label.search}", name) for label in row.labels for name in when.hunts
    ):
        return False
    if when.tactics and not _tactics(row) & set(when.tactics):
        return False
    if when.judged is not None and row.judged != when.judged:
        return False
    return when.where is None or recogniser(when.where)(row.event.fields)


def _tactics(row: _Seen) -> set[str]:
    telling = [label for label in row.labels if label.signal in ("strong", "medium")]
    named = [attack.technique(name) for label in telling for name in label.techniques]
    return {tactic for technique in named if technique for tactic in technique.tactics}


def _several_tactics(rows: Sequence[_Seen]) -> bool:
    return len({min(tactics) for row in rows if (tactics := _tactics(row))}) >= TACTICS


def _many_accounts(rows: Sequence[_Seen]) -> bool:
    return len({row.event.text("user.name").lower() for row in rows} - {""}) >= ACCOUNTS


def _many_hosts(rows: Sequence[_Seen]) -> bool:
    reached: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        reached[row.event.text("src_endpoint.ip")].add(row.event.host or row.event.text("dst_endpoint.ip"))
    return any(len(hosts - {""}) >= HOSTS for source, hosts in reached.items() if source)


def _daily(rows: Sequence[_Seen]) -> bool:
    """Whether the same kind of event recurs within two hours of the day on several days."""
    kinds: dict[tuple[str, ...], set[tuple[int, int]]] = defaultdict(set)
    for row in rows:
        if row.event.time:
            process = row.event.text("process.name") or row.event.text("actor.process.name")
            kind = (row.event.event_class.value, row.event.text("activity"), row.event.user or "", process.lower())
            kinds[kind].add((row.event.time.toordinal(), row.event.time.hour))
    for held in kinds.values():
        days, hours = {day for day, _ in held}, {hour for _, hour in held}
        if len(days) >= DAYS and len(hours) <= RHYTHM:
            return True
    return False


_FACTS: Mapping[Fact, Callable[[Sequence[_Seen]], bool]] = {
    "several-tactics": _several_tactics,
    "many-accounts": _many_accounts,
    "many-hosts": _many_hosts,
    "daily-rhythm": _daily,
    "no-host": lambda rows: not any(row.event.host for row in rows),
}
