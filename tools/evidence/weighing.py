"""The sentences of a triage, each made from the rows that it cites and from nothing else.

Whoever holds the rows can make a sentence again; the verifier does exactly that.
"""

from collections.abc import Callable, Mapping, Sequence

from ..explain import explain, gravity
from ..languages.vocabulary import EventClass
from .event import Event
from .merge import merge
from .predicates import shown
from .records import Claim
from .sameness import behaviour, same_alert, same_run
from .values import account_name

RATED = "is rated"
PLACED = "is placed"
SHOWS = "shows by its command"
SPREAD = "is spread over"
CLOSED = "is closed"
CLOSED_BEFORE = "was closed before"
ROUTINE = "is routine"
CONNECTED = "is connected with"
PLACES = "came from places"
QUIET = "is quiet"

DISMISSALS = frozenset({"false positive", "disregard", "benign", "benignpositive", "falsepositive"})
"""Verdicts by which a person closed an alert as harmless, in lower case."""
GRAVE = 2
"""A command that does so many things that are seldom right needs no other reason."""
ROUTINE_DAYS = 3
"""What ran on so many earlier days is how things work there."""
MAX_SHOWN = 6


def claim(claim_id: str, predicate: str, events: Sequence[Event], queries: Sequence[str] = ()) -> Claim | None:
    """The claim of a predicate over events, in their order; None where they do not support it."""
    if not events:
        return None
    text = SENTENCES[predicate](events)
    if text is None:
        return None
    return Claim(
        id=claim_id,
        kind="observation",
        subject=shown(events[0].host or events[0].user or events[0].platform.value, code=False),
        predicate=predicate,
        object="",
        evidence=tuple(dict.fromkeys(event.evidence for event in events)),
        queries=tuple(dict.fromkeys(queries)),
        text=text,
        time=min((event.time for event in events if event.time), default=None),
    )


def why_not(given: Claim, events: Sequence[Event]) -> str | None:
    """Why a claim is not what its rows support; None when it is."""
    made = claim(given.id, given.predicate, events)
    if made is None:
        return f"the cited rows do not support {given.predicate!r}"
    told = (made.text, made.subject, made.object, made.time)
    return None if told == (given.text, given.subject, given.object, given.time) else f"the cited rows say: {made.text}"


MEANT = {
    "mitigated": "its agent stopped it: blocked, killed or quarantined",
    "not mitigated": "it was detected and not stopped",
    "marked as benign": "somebody ruled it harmless",
}
"""What SentinelOne's words for the outcome of a threat mean."""


def rated(events: Sequence[Event]) -> str | None:
    """`Falcon rates it High and says: not mitigated`."""
    alert = events[0]
    if alert.event_class is not EventClass.FINDING or len(merge(events, fold=False)) != 1:
        return None
    severity = _first(events, "severity")
    product = _first(events, "finding.product") or alert.platform.value
    mitigation = _first(events, "mitigation").replace("_", " ").rstrip(".")
    means = f" ({MEANT[mitigation.lower()]})" if mitigation.lower() in MEANT else ""
    acted = f", and says what became of it: {shown(mitigation, code=True)}{means}" if mitigation else ""
    rating = f"rates the alert {shown(severity, code=False)}" if severity else "gives the alert no severity"
    return f"{shown(product, code=False)} {rating}{acted}"


def placed(events: Sequence[Event]) -> str | None:
    """`SRV-7 is a Domain Controller, criticality critical`."""
    if (
        any(event.event_class is not EventClass.DEVICE for event in events)
        or len({event.host for event in events}) != 1
    ):
        return None
    kind, criticality = _first(events, "device.type"), _first(events, "device.criticality")
    tags = sorted({tag for event in events for tag in _listed(event, "device.tags")})
    told = [f"of type {shown(kind, code=False)}"] if kind else []
    told += [f"of criticality {shown(criticality, code=False)}"] if criticality else []
    told += [f"tagged {shown(', '.join(tags), code=True)}"] if tags else []
    return f"the inventory knows {shown(events[0].host or '', code=False)} {', '.join(told)}" if told else None


def shows(events: Sequence[Event]) -> str | None:
    """What the command line of one event does, read without running it; what is seldom right is named first."""
    if len(merge(events, fold=False)) != 1 and len(events) > 1:
        return None
    command = _first(events, "process.cmd_line")
    if not command:
        return None
    found = explain(command, asked=False)
    grave = [item.means for item in found.behaviours if item.suspicious]
    plain = [item.means for item in found.behaviours if not item.suspicious]
    inside = " (decoded)" if found.layers else ""
    if grave:
        return f"its command line{inside} {_listing(grave)}, which is seldom right"
    if not plain:
        return None
    return f"its command line{inside} {_listing(plain)}, none of which is unusual by itself"


def spread(events: Sequence[Event]) -> str | None:
    """On how many hosts an alert of this title was raised; the first event is the alert."""
    titles = {event.text("finding.title").casefold() for event in events}
    if len(titles) != 1 or "" in titles or any(event.event_class is not EventClass.FINDING for event in events):
        return None
    hosts = sorted({event.host for event in events if event.host})
    others = [host for host in hosts if host != events[0].host]
    alerts = len({event.text("finding.uid") for event in events})
    number = f"{alerts} alert{'s' if alerts > 1 else ''} of this title {'were' if alerts > 1 else 'was'} found"
    if not others:
        return f"{number}, on no other host" if events[0].host else f"{number}, on no host"
    return (
        f"{number}, on {_count(len(others), 'other host')}: {', '.join(shown(host, code=False) for host in others[:6])}"
    )


def closed_before(events: Sequence[Event]) -> str | None:
    """How the same alert was closed earlier; the first event is the alert, the others its closings, oldest first."""
    alert, closings = events[0], events[1:]
    if not closings or not all(_is_closing(alert, event) for event in closings):
        return None
    told = []
    for event in closings[-3:]:
        comment = " / ".join(_listed(event, "finding.comment"))
        said = f", with the comment {shown(comment, code=True)}" if comment else ""
        told.append(f"as {shown(event.text('finding.verdict'), code=False)} ({event.time:%Y-%m-%d}){said}")
    where = f" on {shown(alert.host, code=False)}" if alert.host else ""
    return f"a person closed the same alert{where} (same account, program, parent and command) {'; '.join(told)}"


def closed(events: Sequence[Event]) -> str | None:
    """How a person closed this very alert."""
    if len(events) != 1 or not is_closed(events[0]):
        return None
    comment = " / ".join(_listed(events[0], "finding.comment"))
    said = f", with the comment {shown(comment, code=True)}" if comment else ""
    return f"a person closed this alert as {shown(events[0].text('finding.verdict'), code=False)}{said}"


def routine(events: Sequence[Event]) -> str | None:
    """That the alert's process ran the same way on earlier days; the first event is the alert or its launch."""
    about, runs = events[0], events[1:]
    if about.time is None or not runs or not all(same_run(about, run) and run.time for run in runs):
        return None
    days = {run.time.date() for run in runs if run.time and run.time.date() < about.time.date()}
    if len(days) < ROUTINE_DAYS:
        return None
    told = behaviour(runs[0])
    parent = f" under {shown(told.parent, code=False)}" if told.parent else ""
    account = f" as {shown(told.account, code=False)}" if told.account else ""
    program, host = shown(told.program, code=False), shown(told.host, code=False)
    return f"{program}{parent} ran the same command on {host}{account} on {len(days)} earlier days"


def connected(events: Sequence[Event]) -> str | None:
    """How many other things are connected with an alert, on which hosts; the first event is the alert."""
    others = merge(list(events[1:]), fold=False)
    if not others:
        return None
    hosts = sorted({event.host for event in events[1:] if event.host})
    where = f" on {', '.join(shown(host, code=False) for host in hosts[:MAX_SHOWN])}" if hosts else ""
    more = f" and {len(hosts) - MAX_SHOWN} more" if len(hosts) > MAX_SHOWN else ""
    return f"{_count(len(others), 'suspicious event')}{where}{more} {'is' if len(others) == 1 else 'are'} connected with it"


def quiet(events: Sequence[Event]) -> str | None:
    """That what ran around an alert is of no concern by its commands: the first event is the alert."""
    alert, runs = events[0], events[1:]
    if not runs or any(run.event_class is not EventClass.PROCESS or run.host != alert.host for run in runs):
        return None
    if any(gravity(run.text("process.cmd_line")) >= GRAVE for run in runs):
        return None
    number = len(merge(list(runs), fold=False))
    where = shown(alert.host or "", code=False)
    verb = "is" if number == 1 else "are"
    return f"{_count(number, 'program')} that ran on {where} around it {verb} of no concern by the command line"


def places(events: Sequence[Event]) -> str | None:
    """Whether the addresses that an account came from around an alert are known: the first event is the alert.

    Sign-ins within a day before the alert are those that it may be about; older ones are what is known.
    """
    alert, signins = events[0], events[1:]
    account = account_name(alert.text("user.name") or alert.user or "")
    if not account or alert.time is None or not signins:
        return None
    if any(_account(event) != account or not event.time for event in signins):
        return None
    recent: dict[str, None] = {}
    days: dict[str, set[object]] = {}
    for event in signins:
        address = event.text("src_endpoint.ip")
        if event.time is None or not address:
            continue
        if is_recent(event, alert):
            recent[address] = None
        elif event.time < alert.time:
            days.setdefault(address, set()).add(event.time.date())
    if not recent:
        return None
    told = [
        f"{shown(address, code=False)} ({_count(len(days[address]), 'earlier day')})"
        if address in days
        else f"{shown(address, code=False)} (never before)"
        for address in sorted(recent)
    ]
    return f"{shown(account, code=False)} came from {', '.join(told[:MAX_SHOWN])} around the alert"


def is_recent(event: Event, alert: Event) -> bool:
    """Whether a sign-in is near enough to an alert to be what it is about."""
    if event.time is None or alert.time is None:
        return False
    hours = (alert.time - event.time).total_seconds() / 3600
    return -2 <= hours <= 12


def _account(event: Event) -> str:
    return account_name(event.text("user.name") or event.user or "")


def _is_closing(alert: Event, event: Event) -> bool:
    earlier = event.time is not None and alert.time is not None and event.time < alert.time
    return earlier and bool(event.text("finding.verdict")) and same_alert(alert, event)


def is_closed(event: Event) -> bool:
    """Whether a person gave a verdict on an alert."""
    return event.text("finding.verdict").casefold() not in ("", "unknown", "undefined")


def _first(events: Sequence[Event], name: str) -> str:
    return next((event.text(name) for event in events if event.text(name)), "")


def _listed(event: Event, name: str) -> list[str]:
    value = event.get(name)
    return list(map(str, value)) if isinstance(value, list | tuple) else [str(value)] if value not in (None, "") else []


def _listing(items: Sequence[str]) -> str:
    told = list(dict.fromkeys(items))
    more = f" and does {_count(len(told) - MAX_SHOWN, 'more thing')}" if len(told) > MAX_SHOWN else ""
    return ", ".join(shown(item, code=False) for item in told[:MAX_SHOWN]) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


SENTENCES: Mapping[str, Callable[[Sequence[Event]], str | None]] = {
    RATED: rated,
    PLACED: placed,
    SHOWS: shows,
    SPREAD: spread,
    CLOSED: closed,
    CLOSED_BEFORE: closed_before,
    ROUTINE: routine,
    CONNECTED: connected,
    PLACES: places,
    QUIET: quiet,
}
"""Every predicate of a triage, and what makes its sentence."""
