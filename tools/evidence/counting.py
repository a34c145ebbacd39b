"""Amounts, told as claims: how much of something, by whom, on which days, and how much is usual.

Happenings are counted, not rows: several reports of one happening count once. A day begins at the time of day before
which a group is quiet for longest, so that work that runs past midnight is one day's. What is usual is the median of
the days with activity before the window; a day is above it with more than three times as much and ten more.

The claim carries how it was counted (`Basis`), so that whoever holds the rows can count again: `verify_counts` does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from .event import Event
from .merge import merge
from .predicates import shown, stamp
from .records import Claim
from .units import Unit, facets, units
from .values import account_name

COUNTED = "counted"
_A_DAY = 86_400
TIMES, MORE = 3, 10
NAMED = 3
"""Distinct values of a facet that are named; more are told by their number."""
_ACCOUNTS = frozenset({"user.name", "actor.user.name"})


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time, start included and end excluded."""

    start: datetime
    end: datetime

    def contains(self, moment: datetime) -> bool:
        """Whether a moment lies in it."""
        return self.start <= moment < self.end


@dataclass(frozen=True, slots=True)
class Basis:
    """How an amount was counted. `write` and `read` are each other's inverse; the text holds no value of a row."""

    unit: str
    by: tuple[str, ...]
    facets: tuple[str, ...] = ()
    before: Span | None = None
    """The time before the window that tells what is usual."""
    day: int = 0
    """Second of the UTC day at which a day begins."""

    def write(self) -> str:
        """As a claim carries it."""
        parts = [self.unit, f"by {', '.join(self.by)}"]
        if self.facets:
            parts.append(f"telling {', '.join(self.facets)}")
        if self.before:
            parts.append(f"before {self.before.start:%Y-%m-%dT%H:%M:%SZ} {self.before.end:%Y-%m-%dT%H:%M:%SZ}")
        if self.day:
            parts.append(f"day from {self.day}")
        return "; ".join(parts)

    @classmethod
    def read(cls, text: str) -> "Basis":
        """Read what `write` wrote.

        Raises:
            ValueError: the text is no such basis.
        """
        unit, *rest = text.split("; ")
        named = {word: value for word, _, value in (part.partition(" ") for part in rest)}
        if unit not in units() or "by" not in named or set(named) - {"by", "telling", "before", "day"}:
            raise ValueError(f"no basis of a count: {text[:80]!r}")
        before = None
        if "before" in named:
            start, _, end = named["before"].partition(" ")
            before = Span(_moment(start), _moment(end))
        telling = tuple(named["telling"].split(", ")) if "telling" in named else ()
        day = int(named.get("day", "from 0").removeprefix("from "))
        if not 0 <= day < _A_DAY:
            raise ValueError(f"no second of a day: {day}")
        return cls(unit, tuple(named["by"].split(", ")), telling, before, day)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Act:
    """One happening of a unit, with what it amounts to."""

    events: tuple[Event, ...]
    time: datetime
    amount: int

    def value(self, name: str) -> str:
        """The first value that a report carries for an attribute; accounts without their domain."""
        return next((found for event in self.events if (found := value_of(event, name))), "")


@dataclass(frozen=True, slots=True)
class Day:
    """A day with activity."""

    acts: tuple[Act, ...]

    @property
    def amount(self) -> int:
        """What its acts add up to."""
        return sum(act.amount for act in self.acts)


@dataclass(frozen=True, slots=True)
class Amount:
    """What one group of acts adds up to."""

    basis: Basis
    group: tuple[str, ...]
    days: tuple[Day, ...]
    """Days that are told: those above the usual where there are any."""
    above: bool
    usual: float | None
    before: tuple[Act, ...]
    """Acts of the time before."""
    left_out: tuple[Act, ...] = ()
    """Acts of the window on days that are not above the usual."""

    @property
    def total(self) -> int:
        """What the told days add up to."""
        return sum(day.amount for day in self.days)

    @property
    def acts(self) -> list[Act]:
        """The acts of the told days."""
        return [act for day in self.days for act in day.acts]


def value_of(event: Event, name: str) -> str:
    """An attribute as it is counted by: accounts without their domain, hosts by their short name."""
    if name == "device.hostname":
        return event.host or ""
    value: Any = event.fields.get(name)
    text = ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    return account_name(text) if name in _ACCOUNTS and text else text


def may_count(event: Event, unit: Unit) -> bool:
    """Whether an event is one of a unit's."""
    if event.event_class is not unit.event_class:
        return False
    return all(event.text(name).lower() in values for name, values in unit.when.items())


def acts_of(events: Iterable[Event], unit: Unit) -> list[Act]:
    """The happenings that events report, in time order, with their amounts."""
    groups = merge((event for event in events if may_count(event, unit)), fold=False)
    return [Act(group.events, group.first, _amount(group.events, unit)) for group in groups]


def _amount(events: Sequence[Event], unit: Unit) -> int:
    if not unit.sum:
        return 1
    return max((_number(event.fields.get(unit.sum)) for event in events), default=0)


def _number(value: Any) -> int:
    try:
        return max(int(float(value)), 0)
    except (TypeError, ValueError, OverflowError):
        return 0


def quiet_until(acts: Sequence[Act]) -> int:
    """The second of the UTC day at which the longest quiet time of day ends."""
    seconds = sorted({_second_of_day(act.time) for act in acts})
    gaps = [((here - before) % _A_DAY or _A_DAY, here) for before, here in pairwise([seconds[-1], *seconds])]
    longest = max(gap for gap, _ in gaps)
    return next(here for gap, here in gaps if gap == longest)


def _second_of_day(moment: datetime) -> int:
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def days_of(acts: Sequence[Act], begins: int) -> list[Day]:
    """Acts, in time order, by day; a day begins at this second of the UTC day."""
    days: dict[date, list[Act]] = {}
    for act in acts:
        days.setdefault((act.time - timedelta(seconds=begins)).date(), []).append(act)
    return [Day(tuple(day)) for day in days.values()]


def amounts(events: Iterable[Event], basis: Basis, window: Span) -> list[Amount]:
    """What each group adds up to within a window, the most unusual first, then the largest.

    Args:
        events: Reports from the window and from the time before it.
        basis: What is counted and how it is told.
        window: The span that is asked about.
    """
    unit = units()[basis.unit]
    groups: dict[tuple[str, ...], list[Act]] = {}
    for act in acts_of(events, unit):
        group = tuple(act.value(name) for name in basis.by)
        if all(group):
            groups.setdefault(group, []).append(act)
    found = [_amount_of(group, acts, basis, window) for group, acts in groups.items()]
    return sorted((item for item in found if item and item.total), key=lambda item: (not item.above, -item.total))


def _amount_of(group: tuple[str, ...], acts: Sequence[Act], basis: Basis, window: Span) -> Amount | None:
    basis = replace(basis, day=quiet_until(acts))
    days = days_of([act for act in acts if window.contains(act.time)], basis.day)
    if not days:
        return None
    if basis.before is None:
        return Amount(basis, group, tuple(days), above=False, usual=None, before=())
    earlier = [act for act in acts if basis.before.contains(act.time)]
    usual = usual_of(days_of(earlier, basis.day))
    high = tuple(day for day in days if is_above(day.amount, usual))
    told = high or tuple(days)
    rest = tuple(act for day in days if day not in told for act in day.acts)
    return Amount(basis, group, told, bool(high), usual, tuple(earlier), rest)


def usual_of(days: Sequence[Day]) -> float:
    """The median of the days with activity; 0 without any."""
    return float(median(day.amount for day in days)) if days else 0.0


def is_above(amount: int, usual: float) -> bool:
    """Whether a day's amount is more than usual."""
    return amount > max(TIMES * usual, usual + MORE)


def claim(claim_id: str, amount: Amount, queries: Mapping[str, bool], of_row: Mapping[str, str]) -> Claim:
    """The claim of an amount.

    Args:
        claim_id: Such as `C1`.
        amount: What was counted.
        queries: The queries that looked, by id, with whether each is complete.
        of_row: Evidence id to the query that returned it.
    """
    cited = [event for act in (*amount.acts, *amount.before) for event in act.events]
    asked = dict.fromkeys([*(of_row[event.evidence] for event in cited), *queries])
    whole = all(queries.values())
    return Claim(
        id=claim_id,
        kind="observation",
        subject=", ".join(shown(value, code=False) for value in amount.group),
        predicate=COUNTED,
        object=amount.basis.write(),
        evidence=tuple(dict.fromkeys(event.evidence for event in cited)),
        queries=tuple(asked),
        text=sentence(amount, whole=whole),
        time=amount.acts[0].time,
    )


def sentence(amount: Amount, *, whole: bool) -> str:
    """The sentence of an amount; `at least` when not everything was returned."""
    unit = units()[amount.basis.unit]
    acts = amount.acts
    subject = ", ".join(shown(value, code=False) for value in amount.group)
    size = f" ({human_bytes(amount.total)})" if unit.bytes else ""
    least = "" if whole else "at least "
    told = "".join(_facet(name, acts) for name in amount.basis.facets)
    span = f", {stamp(acts[0].time)}" + (f" to {stamp(acts[-1].time)}" if acts[-1].time > acts[0].time else "")
    return (
        f"{subject}: {least}{amount.total} {unit.noun(amount.total)}{size}{told}{_days(amount)}{span}{_usual(amount)}"
    )


def _facet(name: str, acts: Sequence[Act]) -> str:
    facet = facets()[name]
    values = list(dict.fromkeys(value for act in acts if (value := act.value(name))))
    if not values:
        return ""
    if len(values) > NAMED:
        return f" {facet.many.format(n=len(values))}"
    return f" {facet.word} {', '.join(shown(value, code=facet.code) for value in values)}"


def _days(amount: Amount) -> str:
    above = " above the usual" if amount.above and amount.usual else ""
    if len(amount.days) == 1:
        return ""
    least, most = min(day.amount for day in amount.days), max(day.amount for day in amount.days)
    a_day = f"{least} to {most}" if least < most else f"{most}"
    return f" on {len(amount.days)} days{above} ({a_day} a day)"


def _usual(amount: Amount) -> str:
    before = amount.basis.before
    if before is None:
        return ""
    between = f"between {stamp(before.start)} and {stamp(before.end)}"
    if not amount.before:
        return f"; none {between}"
    days = days_of(amount.before, amount.basis.day)
    total = sum(day.amount for day in days)
    return f"; usual are {amount.usual:g} a day ({total} on {_times(len(days), 'day')} {between})"


def _times(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def human_bytes(size: int) -> str:
    """A size in the largest unit of 1024 that leaves at least one."""
    value, names = float(size), ("bytes", "kB", "MB", "GB", "TB")
    step = 0
    while value >= 1024 and step < len(names) - 1:
        value, step = value / 1024, step + 1
    return f"{value:.0f} {names[step]}" if step == 0 else f"{value:.1f} {names[step]}"
