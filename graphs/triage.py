"""From one alert and what stands around it to a score, a priority and a verdict, with the reasons for and against. Pure.

The vendor's severity is a floor, of the priority and of the score: nothing that was read can lower it. Text in
telemetry is never a reason; what an account, a program and a person at the console did is. See docs/decisions/0026.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..knowledge import attack
from ..knowledge.typed_yaml import read_typed
from ..tools.evidence import weighing
from ..tools.evidence.event import Event
from ..tools.evidence.sameness import same_alert, same_run
from ..tools.evidence.story import Story
from ..tools.evidence.story_facts import Happening
from ..tools.evidence.story_links import MEDIUM, STRONG
from ..tools.evidence.values import account_name
from ..tools.explain import gravity
from ..tools.languages.vocabulary import EventClass

Priority = Literal["Critical", "High", "Medium", "Low"]
Verdict = Literal["true_positive", "benign", "unclear"]
Side = Literal["for", "against", "neither"]

ORDER: tuple[Priority, ...] = ("Low", "Medium", "High", "Critical")
KNOWN_DAYS = 3
"""An address from which an account signed in on so many earlier days is one of its own."""
NEAR = timedelta(hours=1)
MOST_CITED = 40


class Rules(BaseModel):
    """Everything in `triage.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: Mapping[str, float]
    discount: float
    severities: Mapping[str, float]
    criticalities: Mapping[str, float]
    types: Mapping[str, float]
    otherwise: float
    administrators_do: str


@cache
def _rules() -> Rules:
    text = files("tracehound.graphs").joinpath("triage.yaml").read_text(encoding="utf-8")
    return read_typed(text, "graphs/triage.yaml", Rules)


def weights() -> Mapping[str, float]:
    """Parts of a score, and the most that each can add."""
    return _rules().weights


@dataclass(frozen=True)
class Ground:
    """One reason: a predicate of `weighing` over events, and on which side it speaks."""

    factor: str
    predicate: str
    events: tuple[Event, ...]
    side: Side = "neither"


@dataclass(frozen=True)
class Around:
    """What is known about one alert."""

    alert: Event
    severity: str
    closings: tuple[Event, ...] = ()
    """Earlier alerts of the very same pattern that a person gave a verdict on, oldest first."""
    alike: tuple[Event, ...] = ()
    """Alerts of the same title, this one first."""
    runs: tuple[Event, ...] = ()
    """Earlier launches that are runs of what the alert reports."""
    launches: tuple[Happening, ...] = ()
    """The launch that the alert is about, as the host's own sensor saw it."""
    others: tuple[Happening, ...] = ()
    """Suspicious happenings connected with it, without what is routine there."""
    near: tuple[Event, ...] = ()
    """What else ran on its host around it."""
    devices: tuple[Event, ...] = ()
    signins: tuple[Event, ...] = ()
    """Sign-ins of the alert's account, when the alert is about an account and no host."""


@dataclass(frozen=True)
class Judgement:
    """What an alert comes to."""

    verdict: Verdict
    priority: Priority
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)
    """Part of the score to its points; `history` is negative."""
    grounds: tuple[Ground, ...] = ()


def look_around(alert: Happening, story: Story, happenings: Sequence[Happening]) -> Around:
    """Sort what is known by what it says about an alert."""
    about = _fullest(alert)
    findings = [item for item in happenings if item.event_class is EventClass.FINDING and item.index != alert.index]
    launches = [item for item in happenings if item.is_launch]
    on_host = [event for item in launches if item.host == alert.host for event in item.events]
    earlier = [event for event in on_host if event.time and about.time and event.time < about.time]
    closings = [
        event
        for item in findings
        if item.time < alert.time
        for event in [_fullest(item)]
        if weighing.is_closed(event) and same_alert(about, event)
    ]
    title = about.text("finding.title").casefold()
    alike = [_fullest(item) for item in findings if item.text("finding.title").casefold() == title]
    watched = any(item.event_class is EventClass.DEVICE and item.host == alert.host for item in happenings)
    return Around(
        alert=about,
        severity=alert.text("severity").lower(),
        closings=tuple(sorted(closings, key=_when)),
        alike=(about, *alike),
        runs=tuple(event for event in earlier if same_run(about, event)),
        launches=tuple(item for item in launches if _is_about(alert, item)),
        others=tuple(item for item in connected(alert, story) if not _is_routine(item, on_host)),
        near=tuple(sorted((event for event in on_host if _is_beside(event, about)), key=_gravest_first)),
        devices=_devices(alert, happenings),
        signins=() if watched and alert.host else tuple(_signins(about, happenings)),
    )


def connected(alert: Happening, story: Story) -> list[Happening]:
    """Suspicious happenings of the story that are neither the alert nor the very process that it reports."""
    return [
        item
        for item in story.entries
        if item.index != alert.index
        and item.signal >= MEDIUM
        and item.event_class is not EventClass.FINDING
        and not _is_about(alert, item)
    ]


def judge(around: Around, labels: Iterable[tuple[str, int]] = ()) -> Judgement:
    """The verdict on an alert.

    Args:
        around: What is known about it.
        labels: Technique and signal of each behaviour that the hunts recognise in the alert's own process.
    """
    known = [*labels, *((technique, item.signal) for item in around.launches for technique in techniques_of(item))]
    own = _own_strength(around.alert, known)
    harm = [item for item in around.others if _is_harmful(item)]
    parts = _parts(around, own)
    verdict = _verdict(around, own, harm)
    floor = parts["severity"]
    score = max(floor, sum(parts.values()))
    return Judgement(
        verdict=verdict,
        priority=_priority(score, verdict, around.severity),
        score=round(min(score, 1.0), 3),
        parts={name: round(points, 3) for name, points in parts.items()},
        grounds=tuple(_grounds(around, own, harm)),
    )


def _parts(around: Around, own: float) -> dict[str, float]:
    values = {
        "severity": _rules().severities.get(around.severity, 0.5),
        "behaviour": own,
        "correlation": _correlation(around.others),
        "criticality": _criticality(around.devices),
        "prevalence": _rarity(around),
    }
    parts = {name: weights()[name] * value for name, value in values.items()}
    if _is_dismissed(around):
        parts["history"] = -_rules().discount
    return parts


def _correlation(others: Sequence[Happening]) -> float:
    tactics = {tactic for item in others for tactic in tactics_of(item)}
    harmful = sum(_is_harmful(item) for item in others)
    return min(1.0, 0.15 * len(tactics) + 0.05 * len(others) + 0.1 * harmful)


def _criticality(devices: Sequence[Event]) -> float:
    rules = _rules()
    rated = [rules.criticalities.get(event.text("device.criticality").lower(), 0) for event in devices]
    typed = [rules.types.get(event.text("device.type").lower(), 0) for event in devices]
    # The word of an inventory that has one for every host, such as `normal`, says less than what kind of host it is.
    return max([*rated, *typed], default=0) or rules.otherwise


def _rarity(around: Around) -> float:
    if _is_routine_run(around):
        return 0.0
    others = {event.host for event in around.alike if event.host} - {around.alert.host}
    return 0.3 if others else 0.8


def _is_routine_run(around: Around) -> bool:
    return weighing.routine((around.alert, *around.runs)) is not None


def _own_strength(alert: Event, labels: Sequence[tuple[str, int]]) -> float:
    """How clearly the alert's own process is wrong: what hunts recognise in it, and what its command line does."""
    labelled = max((signal for technique, signal in labels if not _administrators_do(technique)), default=0)
    grave = gravity(alert.text("process.cmd_line"))
    if grave >= weighing.GRAVE or (grave and labelled >= STRONG):
        return 1.0
    return 0.7 if labelled >= STRONG else 0.5 if labelled >= MEDIUM or grave else 0.0


def _is_harmful(item: Happening) -> bool:
    """Whether a connected happening is what no administrator does: by what hunts say, or by what its command does."""
    if item.is_launch and gravity(item.text("process.cmd_line")) >= weighing.GRAVE:
        return True
    return any(
        label.signal == "strong" and not _administrators_do(technique)
        for label in item.labels
        for technique in label.techniques[:1]
    )


@cache
def _everyday() -> frozenset[str]:
    return frozenset(_rules().administrators_do.split())


def _administrators_do(technique: str) -> bool:
    return technique.partition(".")[0] in _everyday()


def techniques_of(item: Happening) -> list[str]:
    """The ATT&CK technique of each of a happening's suspicious labels."""
    return [
        technique for label in item.labels if label.signal in ("strong", "medium") for technique in label.techniques[:1]
    ]


def tactics_of(item: Happening) -> set[str]:
    """ATT&CK tactics of a happening's suspicious labels."""
    found: set[str] = set()
    for name in techniques_of(item):
        technique = attack.technique(name)
        found.update(technique.tactics[:1] if technique else ())
    return found


def _verdict(around: Around, own: float, harm: Sequence[Happening]) -> Verdict:
    tactics = {tactic for item in around.others for tactic in tactics_of(item)}
    if _is_dismissed(around) and not harm and len(tactics) < 2:
        return "benign"
    if _comes_from_its_own_places(around) and not around.others and around.severity not in ("high", "critical"):
        return "benign"
    if _is_routine_run(around):
        return "true_positive" if len(harm) >= 2 else "unclear"
    telling = around.severity in ("high", "critical") or bool(around.others)
    if harm or own >= 1.0 or (own >= 0.7 and telling) or (around.others and _comes_from_a_strange_place(around)):
        return "true_positive"
    return "unclear"


def _is_dismissed(around: Around) -> bool:
    """Whether the last word of a person on the very same alert was that it is harmless."""
    said = [around.alert] if weighing.is_closed(around.alert) else list(around.closings)
    if not said:
        return False
    return said[-1].text("finding.verdict").casefold() in weighing.DISMISSALS


def _comes_from_its_own_places(around: Around) -> bool:
    recent = {event.text("src_endpoint.ip") for event in around.signins if weighing.is_recent(event, around.alert)}
    return bool(recent) and all(_days_at(address, around) >= KNOWN_DAYS for address in recent)


def _comes_from_a_strange_place(around: Around) -> bool:
    """Whether an address around the alert was never seen, while the account has places of its own."""
    recent = {event.text("src_endpoint.ip") for event in around.signins if weighing.is_recent(event, around.alert)}
    days = {
        address: _days_at(address, around) for address in {event.text("src_endpoint.ip") for event in around.signins}
    }
    return max(days.values(), default=0) >= KNOWN_DAYS and any(not days[address] for address in recent)


def _days_at(address: str, around: Around) -> int:
    older = [event for event in around.signins if not weighing.is_recent(event, around.alert)]
    return len({event.time.date() for event in older if event.time and event.text("src_endpoint.ip") == address})


def _priority(score: float, verdict: Verdict, severity: str) -> Priority:
    floor = severity.capitalize() if severity.capitalize() in ORDER else "Low"
    earned = "Critical" if score >= 0.75 else "High" if score >= 0.5 else "Medium" if score >= 0.3 else "Low"
    if verdict == "benign":
        earned = "Low"
    return ORDER[max(ORDER.index(floor), ORDER.index(earned))]


def _grounds(around: Around, own: float, harm: Sequence[Happening]) -> Iterable[Ground]:
    """Reasons in the order in which they are read: what the vendor says, what it is, what is around it, what was before."""
    alert = around.alert
    rated: Side = "for" if around.severity in ("high", "critical") else "neither"
    yield Ground("severity", weighing.RATED, (alert,), rated)
    if alert.text("process.cmd_line"):
        plain: Side = "against" if own == 0 else "neither"
        yield Ground("behaviour", weighing.SHOWS, (alert,), "for" if gravity(alert.text("process.cmd_line")) else plain)
    if around.others:
        told = [event for item in around.others for event in item.events][:MOST_CITED]
        yield Ground("correlation", weighing.CONNECTED, (alert, *told), "for" if harm else "neither")
    elif around.near:
        yield Ground("correlation", weighing.QUIET, (alert, *around.near[:MOST_CITED]), "against")
    if around.signins:
        known = _comes_from_its_own_places(around)
        yield Ground("correlation", weighing.PLACES, (alert, *around.signins), "against" if known else "for")
    if around.devices:
        yield Ground("criticality", weighing.PLACED, around.devices)
    if alert.text("finding.title"):
        yield Ground("prevalence", weighing.SPREAD, around.alike[:MOST_CITED])
    if _is_routine_run(around):
        yield Ground("prevalence", weighing.ROUTINE, (alert, *around.runs), "against")
    side: Side = "against" if _is_dismissed(around) else "for"
    if weighing.is_closed(alert):
        yield Ground("history", weighing.CLOSED, (alert,), side)
    if around.closings:
        yield Ground("history", weighing.CLOSED_BEFORE, (alert, *around.closings), side)


def _is_about(alert: Happening, item: Happening) -> bool:
    """Whether a launch is that of the very process that an alert reports."""
    if not item.is_launch or item.host != alert.host:
        return False
    if alert.values("process.uid") & item.values("process.uid"):
        return True
    command = alert.text("process.cmd_line").lower()
    near = abs((item.time - alert.time).total_seconds()) <= 3600
    return near and bool(command) and item.text("process.cmd_line").lower() == command


def _is_beside(event: Event, about: Event) -> bool:
    near = event.time is not None and about.time is not None and abs(event.time - about.time) <= NEAR
    return near and not same_run(about, event)


def _gravest_first(event: Event) -> int:
    return -gravity(event.text("process.cmd_line"))


def _is_routine(item: Happening, on_host: Sequence[Event]) -> bool:
    if not item.is_launch:
        return False
    about = item.events[0]
    return weighing.routine((about, *(event for event in on_host if _before(event, about, same_run)))) is not None


def _before(event: Event, about: Event, same: Callable[[Event, Event], bool]) -> bool:
    return event.time is not None and about.time is not None and event.time < about.time and same(about, event)


def _devices(alert: Happening, happenings: Sequence[Happening]) -> tuple[Event, ...]:
    told = ("device.criticality", "device.type")
    return tuple(
        event
        for item in happenings
        if item.event_class is EventClass.DEVICE and item.host == alert.host and alert.host
        for event in item.events
        if any(event.text(name) for name in told)
    )


def _signins(alert: Event, happenings: Sequence[Happening]) -> Iterable[Event]:
    account = account_name(alert.text("user.name") or alert.user or "")
    for item in happenings:
        if item.event_class is not EventClass.AUTHENTICATION or item.host or item.text("status") == "Failure":
            continue
        for event in item.events:
            if account and item.user == account and event.text("src_endpoint.ip"):
                yield event


def _fullest(item: Happening) -> Event:
    """The report of an alert that tells most."""
    return max(item.events, key=lambda event: (len(event.fields), event.evidence))


def _when(event: Event) -> tuple[str, str]:
    return (event.time.isoformat() if event.time else "", event.evidence)
