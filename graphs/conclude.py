"""From events to an answer: story, claims, gaps, runbooks, triage, proposals. Each step is short; the thinking is in
the pure modules that it calls.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

from ..knowledge import attack
from ..tools.evidence import claims as claiming
from ..tools.evidence.records import (
    Claim,
    Declined,
    Gap,
    Proposal,
    RunbookHit,
    TimelineEntry,
    Triage,
)
from ..tools.evidence.story import Focus, Story, assemble
from ..tools.evidence.story_facts import Happening
from ..tools.languages.search import Condition, Search, Window
from ..tools.languages.vocabulary import EventClass
from .plan import Wanted, findings_about
from .state import Deps, Scope, State

ALERT_REACH = timedelta(days=45)
"""How far back alerts are kept and compared."""
BEFORE_ALERT, AFTER_ALERT = timedelta(hours=12), timedelta(hours=12)
MAX_RUNBOOKS = 3


@dataclass
class Draft:
    """The answer in the making; it lives in the workspace, not in the graph's state."""

    story: Story = field(default_factory=Story)
    claims: list[Claim] = field(default_factory=list)
    entries: list[TimelineEntry] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    runbooks: list[RunbookHit] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    triage: Triage | None = None
    declined: Declined | None = None
    summary: str = ""
    suggestions: list[str] = field(default_factory=list)
    started: float = field(default_factory=monotonic)


def focus(scope: Scope) -> Focus:
    """What the story is assembled around."""
    return Focus(
        hosts=frozenset(scope.hosts),
        users=frozenset(scope.users),
        addresses=frozenset(scope.addresses),
        names=frozenset(scope.names),
        findings=frozenset(scope.alerts),
        hunts=frozenset(scope.hunts),
        outbound=scope.outbound,
    )


def story(scope: Scope, deps: Deps) -> Story:
    """The story as far as it is known now."""
    return assemble(deps.workspace.happenings(), focus(scope))


def addresses(deps: Deps) -> dict[str, tuple[str, ...]]:
    """Host to its addresses, from device records."""
    found: dict[str, dict[str, None]] = {}
    for event in deps.workspace.events.values():
        if event.event_class is EventClass.DEVICE and event.host:
            value = event.get("device.ip")
            for ip in value if isinstance(value, list) else [value]:
                if ip:
                    found.setdefault(event.host, {})[str(ip)] = None
    return {host: tuple(ips) for host, ips in found.items()}


def alert_lookup(alert_id: str, now: datetime) -> Wanted:
    """The alert with this id, on any platform."""
    window = Window(start=now - ALERT_REACH, end=now + timedelta(seconds=1), phrase="alerts kept")
    where = Condition(field="finding.uid", values=(alert_id,))
    return Wanted(Search(event_class=EventClass.FINDING, where=where, window=window, limit=50), "alerts.by-id")


def find_alert(alert_id: str, deps: Deps) -> Happening | None:
    """The alert among what is known."""
    for item in deps.workspace.happenings():
        if item.event_class is EventClass.FINDING and alert_id in item.values("finding.uid"):
            return item
    return None


def alert_window(alert: Happening, now: datetime) -> Window:
    """What stands around an alert: half a day each way, never in the future."""
    end = min(alert.until + AFTER_ALERT, now + timedelta(seconds=1))
    return Window(start=alert.time - BEFORE_ALERT, end=end, phrase="12 hours around the alert")


def around_alert(scope: Scope, deps: Deps) -> list[Wanted]:
    """The searches that an alert obliges: its history, and what happened around it on its host."""
    alert = find_alert(scope.alerts[0], deps)
    if alert is None:
        return []
    wanted = []
    past = Window(start=deps.now - ALERT_REACH, end=deps.now + timedelta(seconds=1), phrase="alerts kept")
    about = findings_about(scope.hosts, (), past)
    title = alert.text("finding.title")
    if title:
        same = Condition(field="finding.title", values=(title,))
        wanted.append(
            Wanted(
                Search(event_class=EventClass.FINDING, where=same, window=past, limit=200),
                "alerts.history",
                widens=True,
            )
        )
    if about is not None:
        wanted.append(Wanted(about.search, "alerts.history", widens=True))
    if alert.host:
        span = Window(
            start=alert.time - timedelta(hours=1), end=min(alert.until + timedelta(hours=2), scope.window.end)
        )
        host = Condition(field="device.hostname", values=(alert.host,))
        for event_class in (EventClass.PROCESS, EventClass.AUTHENTICATION):
            where = host
            wanted.append(
                Wanted(
                    Search(event_class=event_class, where=where, window=span),
                    f"alerts.around-{event_class.split('_')[0]}",
                    frozenset({alert.host}),
                )
            )
    return wanted


def explain(state: State, deps: Deps) -> None:
    """Explain an artefact without asking any vendor."""
    from ..tools.explain import explain as read

    draft = deps.workspace.draft
    found = read(state["question"])
    draft.summary = "\n".join(found.sentences)
    draft.claims = [claiming.assessment(f"C{number}", sentence) for number, sentence in enumerate(found.sentences, 1)]


def find_runbooks(state: State, deps: Deps) -> None:
    """Runbook sections for the question and for the techniques that were found."""
    if deps.search_text is None:
        return
    draft = deps.workspace.draft
    query = state["question"]
    techniques = _techniques(story(state["scope"], deps).entries) if state.get("scope") else []
    if techniques and state["route"] != "runbook":
        query = f"{query} {' '.join(attack.title(item) for item in techniques[:3])}"
    seen: set[tuple[str, str]] = set()
    for passage in deps.search_text(query, 20):
        if passage.kind != "runbook" or (passage.id, passage.section) in seen:
            continue
        seen.add((passage.id, passage.section))
        draft.runbooks.append(
            RunbookHit(
                id=passage.id,
                title=passage.title,
                section=passage.section,
                score=round(passage.score, 4),
                text=passage.text,
            )
        )
        if len(draft.runbooks) >= MAX_RUNBOOKS:
            break


def _techniques(entries: Iterable[Happening]) -> list[str]:
    found: dict[str, None] = {}
    for item in entries:
        for label in item.labels:
            if label.signal in ("strong", "medium"):
                found.update(dict.fromkeys(label.techniques[:1]))
    return list(found)
