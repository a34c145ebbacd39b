"""Whether a counting claim says what its cited rows add up to.

It counts by itself, from the rows and from how the claim says that it was counted: it shares with the writer what a
happening is (`merge`), how a value is shown, and the list of units, and nothing that adds, compares or writes.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from statistics import median

from .counting import Basis, value_of
from .event import Event
from .merge import Group, merge
from .predicates import shown, stamp
from .records import Claim, QueryRecord
from .units import Unit, facets, units

_HEAD = re.compile(r": (?P<least>at least )?(?P<total>\d+) ")


def bad_count(claim: Claim, events: Sequence[Event], queries: Mapping[str, QueryRecord]) -> str | None:
    """The first reason why a counting claim does not hold; None when it does."""
    try:
        basis = Basis.read(claim.object)
    except ValueError as exc:
        return str(exc)
    unit = units()[basis.unit]
    for event in events:
        if not _is_one(event, unit):
            return f"{event.evidence} is none of the {unit.name}"
    groups = merge(events, fold=False)
    group = [_held(groups[0], name) for name in basis.by]
    if any([_held(item, name) for name in basis.by] != group for item in groups):
        return f"the cited rows are not all of one {' and '.join(basis.by)}"
    subject = ", ".join(shown(value, code=False) for value in group)
    if claim.subject != subject or not claim.text.startswith(f"{subject}: "):
        return f"the cited rows are of {subject}"
    before = basis.before
    is_earlier = [before is not None and before.start <= item.first < before.end for item in groups]
    earlier = [item for item, is_early in zip(groups, is_earlier, strict=True) if is_early]
    current = [item for item, is_early in zip(groups, is_earlier, strict=True) if not is_early]
    if not current:
        return "no cited row lies in the window"
    if basis.before and min(item.first for item in current) < basis.before.end:
        return "it counts rows of the time before the window"
    if claim.time is not None and abs(claim.time - current[0].first) > timedelta(seconds=1):
        return f"its time is not that of its first row, {stamp(current[0].first)}"
    return _bad_numbers(claim, basis, unit, current, earlier) or _bad_coverage(claim, basis, queries)


def _is_one(event: Event, unit: Unit) -> bool:
    named = (event.text(name).lower() in values for name, values in unit.when.items())
    return event.event_class is unit.event_class and all(named)


def _held(group: Group, name: str) -> str:
    return next(filter(None, (value_of(event, name) for event in group.events)), "")


def _bad_numbers(
    claim: Claim, basis: Basis, unit: Unit, current: Sequence[Group], earlier: Sequence[Group]
) -> str | None:
    rest = claim.text[len(claim.subject) :]
    head = _HEAD.match(rest)
    total = sum(_size(item, unit) for item in current)
    if head is None or int(head["total"]) != total:
        return f"the cited rows add up to {total} {unit.name}"
    days, before = _by_day(current, unit, basis.day), _by_day(earlier, unit, basis.day)
    usual = median(before) if before else 0
    if " above the usual " in rest and not all(day > max(3 * usual, usual + 10) for day in days):
        return "a day that it calls above the usual is not"
    said = _expected(basis, unit, current, days, before, total, float(usual))
    body = rest[head.end() :]
    allowed = {said, said.replace(" days (", " days above the usual (", 1)} if basis.before and before else {said}
    return None if body in allowed else "its sentence is not one that the cited rows add up to"


def _expected(
    basis: Basis, unit: Unit, current: Sequence[Group], days: Sequence[int], before: Sequence[int], total: int,
    usual: float,
) -> str:  # fmt: skip
    parts = [unit.one if total == 1 else unit.name]
    if unit.bytes:
        parts.append(f"({_in_words(total)})")
    for name in basis.facets:
        values = list(dict.fromkeys(value for item in current if (value := _held(item, name))))
        if len(values) > 3:
            parts.append(facets()[name].many.replace("{n}", str(len(values))))
        elif values:
            named = ", ".join(shown(value, code=facets()[name].code) for value in values)
            parts.append(f"{facets()[name].word} {named}")
    if len(days) > 1:
        a_day = f"{min(days)} to {max(days)}" if min(days) < max(days) else f"{max(days)}"
        parts.append(f"on {len(days)} days ({a_day} a day)")
    first, last = current[0].first, current[-1].first
    said = " ".join(parts) + f", {stamp(first)}" + (f" to {stamp(last)}" if last > first else "")
    if basis.before is None:
        return said
    between = f"between {stamp(basis.before.start)} and {stamp(basis.before.end)}"
    if not before:
        return f"{said}; none {between}"
    on = f"{len(before)} day{'' if len(before) == 1 else 's'}"
    return f"{said}; usual are {usual:g} a day ({sum(before)} on {on} {between})"


def _size(group: Group, unit: Unit) -> int:
    if not unit.sum:
        return 1
    sizes = [0]
    for event in group.events:
        value = event.text(unit.sum)
        if re.fullmatch(r"\d{1,18}(?:\.\d+)?", value):
            sizes.append(int(value.partition(".")[0]))
    return max(sizes)


def _by_day(groups: Sequence[Group], unit: Unit, begins: int) -> list[int]:
    """What each day adds up to; a day begins at this second of the UTC day."""
    days: Counter[int] = Counter()
    for item in groups:
        days[int(item.first.timestamp() - begins) // 86_400] += _size(item, unit)
    return [days[day] for day in sorted(days)]


def _in_words(size: int) -> str:
    for power, name in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if size >= 1024**power:
            return f"{size / 1024**power:.1f} {name}"
    return f"{size} bytes"


def _bad_coverage(claim: Claim, basis: Basis, queries: Mapping[str, QueryRecord]) -> str | None:
    """Only complete queries support a whole number, and only a query of the time before says what was then."""
    asked = [queries[name] for name in claim.queries]
    if not asked:
        return "it cites no query"
    for query in asked:
        if not (query.status == "ok" and query.complete) and ": at least " not in claim.text:
            return f"{query.id} is not complete: {query.incomplete_because or query.error or 'coverage not known'}"
    if basis.before and not any(
        query.window.start <= basis.before.start and basis.before.end <= query.window.end for query in asked
    ):
        return "no cited query covers the time before the window"
    return None
