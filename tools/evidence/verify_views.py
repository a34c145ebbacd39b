"""Whether a timeline says what its claims say: text, rows, time, hosts, platforms and techniques of every entry."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from .claims import RULED_OUT
from .counting import COUNTED
from .entities import entity_values
from .records import Claim, Evidence, TimelineEntry
from .values import short_host

_SLACK = timedelta(seconds=1)
_MORE = re.compile(r"(?: \(and \d+ more like it\))?(?:: ruled out, .+)?", re.DOTALL)


def view_problems(
    timeline: Sequence[TimelineEntry], claims: Sequence[Claim], evidence: Mapping[str, Evidence]
) -> Iterable[str]:
    """What entries say that their claims do not, one sentence an entry."""
    by_id = {claim.id: claim for claim in claims}
    for number, entry in enumerate(timeline, 1):
        why = _problem(entry, by_id.get(entry.claim), evidence)
        if why:
            yield f"entry {number} of the timeline: {why}"


def _problem(entry: TimelineEntry, claim: Claim | None, evidence: Mapping[str, Evidence]) -> str | None:
    if claim is None:
        return f"there is no claim {entry.claim!r}" if entry.claim else "it names no claim"
    said = claim.text.removeprefix(RULED_OUT)
    if not entry.text.startswith(said) or not _MORE.fullmatch(entry.text[len(said) :]):
        return f"its text is not that of {claim.id}"
    if set(entry.evidence) != _rows_of(claim, evidence):
        return f"it cites other rows than {claim.id}"
    rows = [evidence[name] for name in entry.evidence if name in evidence]
    times = [row.time for row in rows if row.time]
    if times and abs(entry.time - min(times)) > _SLACK:
        return "its time is not that of its first row"
    if times and entry.until is not None and entry.until > max(times) + _SLACK:
        return "it ends after its last row"
    held = {short_host(row.host) for row in rows if row.host}.union(*(_hosts(row) for row in rows))
    if strangers := [host for host in entry.hosts if short_host(host) not in held]:
        return f"no cited row is about {strangers[0]}"
    if strangers := sorted(set(entry.platforms) - {row.platform for row in rows}):
        return f"no cited row is of {strangers[0]}"
    if strangers := sorted(set(entry.techniques) - set(claim.techniques)):
        return f"{claim.id} is not called {strangers[0]}"
    return None


def _rows_of(claim: Claim, evidence: Mapping[str, Evidence]) -> set[str]:
    """The rows that a claim's entry shows: an amount's claim also cites the time before, which is no entry's."""
    if claim.predicate != COUNTED or claim.time is None:
        return set(claim.evidence)
    times = {name: evidence[name].time for name in claim.evidence if name in evidence}
    return {name for name in claim.evidence if (at := times.get(name)) is None or at >= claim.time - _SLACK}


def _hosts(row: Evidence) -> set[str]:
    return entity_values(row.fields).get("host", set())
