"""From events to an answer: story, claims, gaps, runbooks, triage, proposals.

Each step is short; the thinking is in the pure modules that it calls.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from ..knowledge import attack
from ..tools.evidence import claims as claiming
from ..tools.evidence import gaps as gapping
from ..tools.evidence import verify as verifying
from ..tools.evidence.records import (
    Answer,
    Claim,
    Declined,
    Gap,
    Proposal,
    RunbookHit,
    TimelineEntry,
    Triage,
    Usage,
    Verification,
    WindowRecord,
)
from ..tools.evidence.story import Focus, Story, assemble, involves
from ..tools.evidence.story_facts import Happening
from ..tools.evidence.story_links import MEDIUM
from ..tools.hunts import Hunt
from ..tools.languages.vocabulary import EventClass
from ..tools.library import HuntLibrary
from . import alerts, proposing
from . import triage as triaging
from .matching import OFF_TOPIC, SearchText
from .state import Deps, Scope, State

MAX_RUNBOOKS = 3
MAX_MATCHES = 60
MAX_INSTRUCTIONS = 3


@dataclass
class Draft:
    """The answer in the making; it lives in the workspace, not in the graph's state."""

    story: Story = field(default_factory=Story)
    claims: list[Claim] = field(default_factory=list)
    entries: list[TimelineEntry] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    runbooks: list[RunbookHit] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    verification: Verification = field(default_factory=Verification)
    triage: Triage | None = None
    declined: Declined | None = None
    summary: str = ""
    matches: int = 0
    """Entries that answer by themselves, where nothing connects them into a story."""
    suggestions: list[str] = field(default_factory=list)
    started: float = field(default_factory=monotonic)


def focus(scope: Scope, library: HuntLibrary) -> Focus:
    """What the story is assembled around. A hunt that only collects (an overview) asks for no behaviour in particular."""
    asked = [library.hunts[hunt] for hunt in scope.hunts if hunt in library.hunts]
    telling = {hunt.id for hunt in asked if not _only_collects(hunt)}
    return Focus(
        hosts=frozenset(scope.hosts),
        users=frozenset(scope.users),
        addresses=frozenset(scope.addresses),
        names=frozenset(scope.names),
        findings=frozenset(scope.alerts),
        hunts=frozenset(telling),
        broad=len(telling) < len(asked),
        outbound=scope.outbound,
        since=scope.window.start,
    )


def _only_collects(hunt: Hunt) -> bool:
    """Whether a hunt reads what happened without saying what would be suspicious; alerts are suspicious anywhere."""
    own = {search.signal for search in hunt.searches if search.event_class is not EventClass.FINDING}
    return "context" in own and not own & {"strong", "medium"}


def story(scope: Scope, deps: Deps) -> Story:
    """The story as far as it is known now."""
    return assemble(deps.workspace.happenings(), focus(scope, deps.library))


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
    if state.get("scope"):
        draft.story = story(state["scope"], deps)
    techniques = _techniques(draft.story.entries)
    found = " ".join(attack.title(item) for item in techniques[:3])
    # What the analyst asked comes first; what was found adds to it. An alert's question names nothing but the alert.
    wanted = {"alert": [(found or state["question"], MAX_RUNBOOKS)], "runbook": [(state["question"], MAX_RUNBOOKS)]}
    asked = wanted.get(state["route"], [(state["question"], 2), (found, MAX_RUNBOOKS)])
    for query, most in asked:
        if query:
            _add_runbooks(query, most, draft, deps.search_text)


def _add_runbooks(query: str, most: int, draft: Draft, search_text: SearchText) -> None:
    """Add the best sections for a query until the draft has so many."""
    seen = {(hit.id, hit.section) for hit in draft.runbooks}
    for passage in search_text(query, 20):
        if len(draft.runbooks) >= most:
            return
        if passage.kind == "runbook" and (passage.id, passage.section) not in seen:
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


def _techniques(entries: Iterable[Happening]) -> list[str]:
    found: dict[str, None] = {}
    for item in entries:
        for label in item.labels:
            if label.signal in ("strong", "medium"):
                found.update(dict.fromkeys(label.techniques[:1]))
    return list(found)


def tell(state: State, deps: Deps) -> None:
    """Story, claims, entries and gaps, from what the case holds now."""
    draft = deps.workspace.draft
    declined = state.get("declined")
    if declined:
        draft.declined = Declined.model_validate(declined)
    scope = state.get("scope")
    if scope is None or declined:
        return
    _tell_entries(draft, deps)
    _tell_look_alikes(draft, deps)
    _tell_tallies(draft, deps)
    if not draft.entries:
        _tell_matches(scope, draft, deps)
    if not draft.entries:
        _tell_absence(scope, draft, deps)
    _tell_instructions(draft, deps)
    if state["route"] == "alert":
        _tell_triage(scope, draft, deps)
    _tell_gaps(scope, draft, deps)
    draft.summary = _summary(scope, draft, deps)


def _queries_of(item: Happening, deps: Deps) -> tuple[str, ...]:
    return tuple(dict.fromkeys(deps.workspace.evidence[event.evidence].query for event in item.events))


def _label(item: Happening) -> Any:
    order = {"strong": 0, "medium": 1, "context": 2, "inventory": 3}
    suspicious = sorted(item.labels, key=lambda label: (order[label.signal], label.hunt, label.search))
    return suspicious[0] if suspicious and suspicious[0].signal in ("strong", "medium") else None


def _observe(item: Happening, draft: Draft, deps: Deps, *, ruled_out: bool = False) -> Claim:
    claim = claiming.claim_for(
        item.events, _label(item), claim_id=f"C{len(draft.claims) + 1}", queries=_queries_of(item, deps)
    )
    if ruled_out:
        claim = claim.model_copy(update={"text": f"{claiming.RULED_OUT}{claim.text}"})
    draft.claims.append(claim)
    deps.emit({"type": "claim", "claim": claim.model_dump(mode="json")})
    return claim


def _entry(item: Happening, claim: Claim, verdict: Any, text: str) -> TimelineEntry:
    hosts = dict.fromkeys([item.host] if item.host else [])
    return TimelineEntry(
        time=item.time,
        text=text,
        evidence=claim.evidence,
        techniques=claim.techniques if verdict == "suspicious" else (),
        hosts=tuple(hosts),
        platforms=tuple(dict.fromkeys(event.platform.value for event in item.events)),
        until=item.until if item.until > item.time else None,
        verdict=verdict,
        claim=claim.id,
    )


def _tell_entries(draft: Draft, deps: Deps) -> None:
    for item in draft.story.entries:
        claim = _observe(item, draft, deps)
        verdict = "suspicious" if item.signal >= MEDIUM or item in draft.story.anchors else "context"
        draft.entries.append(_entry(item, claim, verdict, claim.text))


def _tell_look_alikes(draft: Draft, deps: Deps) -> None:
    for ruled in draft.story.ruled_out:
        first = ruled.happenings[0]
        claim = _observe(first, draft, deps, ruled_out=True)
        said = claim.text.removeprefix(claiming.RULED_OUT)
        more = len(ruled.happenings) - 1
        text = (
            f"{said} (and {more} more like it): ruled out, {ruled.because}"
            if more
            else (f"{said}: ruled out, {ruled.because}")
        )
        draft.entries.append(_entry(first, claim, "benign", text))


def _tell_tallies(draft: Draft, deps: Deps) -> None:
    """What the story's entries add up to: the mails of each sender, the operations of each account in the cloud."""
    alike: dict[tuple[str, str], list[Happening]] = {}
    for item in draft.story.entries:
        if item.event_class is EventClass.EMAIL:
            alike.setdefault((item.text("email.from").lower(), ""), []).append(item)
        elif item.event_class is EventClass.API and len(item.events) > 1:
            alike.setdefault((item.user, item.text("api.operation")), []).append(item)
    for items in alike.values():
        queries = [query for item in items for query in _queries_of(item, deps)]
        events = [event for item in items for event in item.events]
        claim = claiming.tally(f"C{len(draft.claims) + 1}", events, queries) if len(events) > 1 else None
        if claim is not None:
            draft.claims.append(claim)
            deps.emit({"type": "claim", "claim": claim.model_dump(mode="json")})


def _tell_instructions(draft: Draft, deps: Deps) -> None:
    """Name what telemetry says to an assistant; it is evidence and changes nothing else."""
    told: set[str] = set()
    shown = {name for entry in draft.entries for name in entry.evidence}
    for item in deps.workspace.happenings():
        for event in item.events:
            if event.evidence not in shown or len(told) >= MAX_INSTRUCTIONS:
                continue
            claim = claiming.instruction(f"C{len(draft.claims) + 1}", [event], _queries_of(item, deps))
            if claim is not None and claim.text not in told:
                told.add(claim.text)
                draft.claims.append(claim)
                deps.emit({"type": "claim", "claim": claim.model_dump(mode="json")})


def _tell_matches(scope: Scope, draft: Draft, deps: Deps) -> None:
    """What was asked for and is no story: the rows of the asked hunts themselves, such as weaknesses or mails."""
    around = focus(scope, deps.library)
    found = [item for item in _asked_for(scope, deps) if involves(item, around, draft.story.directory)]
    for item in sorted(found, key=lambda item: (item.time, item.index))[:MAX_MATCHES]:
        claim = _observe(item, draft, deps)
        draft.entries.append(_entry(item, claim, "context", claim.text))
        draft.matches += 1


def _asked_for(scope: Scope, deps: Deps) -> list[Happening]:
    """Rows that a search of an asked hunt stands for: the telling ones, or else those that a telling hunt lists."""
    happenings = [item for item in deps.workspace.happenings() if item.events[0].time is not None]
    telling = {
        hunt for hunt in scope.hunts if hunt in deps.library.hunts and not _only_collects(deps.library.hunts[hunt])
    }

    def by(hunts: Collection[str], signals: Collection[str]) -> list[Happening]:
        return [item for item in happenings if any(x.hunt in hunts and x.signal in signals for x in item.labels)]

    return by(scope.hunts, ("strong", "medium", "inventory")) or by(telling, ("context",))


def _tell_absence(scope: Scope, draft: Draft, deps: Deps) -> None:
    """Nothing was found: said only over queries that are complete, empty, and cover the window."""
    titles = [deps.library.get(hunt).title for hunt in scope.hunts if hunt in deps.library.hunts]
    what = " or ".join(titles[:2]) or "suspicious activity"
    named = (*scope.hosts, *scope.users, *scope.addresses, *scope.names)
    about = f" for {', '.join(named)}" if named else ""
    asked = [record for record in deps.workspace.records.values() if record.hunt in scope.hunts]
    window = WindowRecord(start=scope.window.start, end=scope.window.end, phrase=scope.window.phrase)
    # A hunt that brought rows, failed or was cut short anywhere supports no absence, however empty the rest is.
    if asked and all(record.status == "ok" and record.complete and record.rows == 0 for record in asked):
        draft.claims.append(claiming.absence(f"C{len(draft.claims) + 1}", f"{what}{about}", asked, window))


def _tell_triage(scope: Scope, draft: Draft, deps: Deps) -> None:
    happenings = deps.workspace.happenings()
    alert = alerts.find(scope.alerts[0], happenings)
    if alert is None:
        return
    findings = [item for item in happenings if item.event_class is EventClass.FINDING]
    criticality = next(
        (
            item.text("device.criticality")
            for item in happenings
            if item.event_class is EventClass.DEVICE and item.host == alert.host and item.text("device.criticality")
        ),
        "",
    )
    steps = _next_steps(draft)
    draft.triage = triaging.judge(alert, draft.story, findings, criticality=criticality, next_steps=steps)
    for closing in triaging.earlier_closings(alert, findings)[:2]:
        claim = _observe(closing, draft, deps)
        draft.entries.append(_entry(closing, claim, "context", claim.text))
    draft.entries.sort(key=lambda entry: (entry.verdict == "benign", entry.time))


def _next_steps(draft: Draft) -> list[str]:
    """The steps that the best runbook lists."""
    for hit in draft.runbooks:
        steps = [line.lstrip("-*0123456789. ").strip() for line in hit.text.splitlines()]
        listed = [
            step for step, line in zip(steps, hit.text.splitlines(), strict=True) if line[:1] in "-*0123456789" and step
        ]
        if listed:
            return listed[:6]
    return []


def _tell_gaps(scope: Scope, draft: Draft, deps: Deps) -> None:
    workspace = deps.workspace
    records = list(workspace.records.values())
    asked = {record.platform for record in records}
    not_queried = {
        platform.value: item.reason
        for item in workspace.inapplicable.values()
        if (platform := item.platform).value not in asked
    }
    silent = {host: "no connected inventory lists a sensor on it" for host in scope.hosts if host not in scope.sensors}
    draft.gaps = list(
        gapping.find_gaps(
            records,
            workspace.evidence.values(),
            window=WindowRecord(start=scope.window.start, end=scope.window.end, phrase=scope.window.phrase),
            now=deps.now,
            retention_days={platform.value: days for platform, days in deps.estate.retention_days.items()},
            not_queried=not_queried,
            silent_hosts=silent,
        )
    )
    if workspace.skipped:
        text = f"limit reached: {workspace.skipped} planned queries were not sent, {deps.budget.queries} is the budget"
        draft.gaps.append(Gap(kind="not_queried", text=text))
    for found in draft.gaps:
        draft.claims.append(claiming.gap(f"C{len(draft.claims) + 1}", found))
        deps.emit({"type": "gap", "gap": found.model_dump(mode="json")})


def _summary(scope: Scope, draft: Draft, deps: Deps) -> str:
    """The shortest true account: how much, where, and the strongest steps, rendered from claims."""
    told = [entry for entry in draft.entries if entry.verdict != "benign"]
    ruled = len(draft.entries) - len(told)
    if draft.triage is not None:
        lead = f"Verdict {draft.triage.verdict.replace('_', ' ')}, priority {draft.triage.priority}. "
    else:
        lead = ""
    if not told:
        absent = [claim.text for claim in draft.claims if claim.predicate == claiming.NOT_FOUND]
        if absent:
            return f"{lead}{absent[0][:1].upper()}{absent[0][1:]}."
        return lead + (_unconnected(scope, deps) or "Nothing that answers the question was found.")
    names = {item.id: item.alias for item in deps.workspace.evidence.values()}
    counts = [
        claiming.cited(claim.text, claim.evidence, names, limit=1)
        for claim in draft.claims
        if claim.predicate == claiming.TALLY
    ]
    steps = "; ".join([*counts, *_steps(draft.story.entries, names)]) or claiming.cited(
        told[0].text, told[0].evidence, names, limit=2
    )
    hosts = ", ".join(dict.fromkeys(host for entry in told for host in entry.hosts))
    also = f" {ruled} look-alike{'s were' if ruled > 1 else ' was'} ruled out." if ruled else ""
    count = f"{len(told)} {'matching' if draft.matches else 'connected'} event{'s' if len(told) > 1 else ''}"
    return f"{lead}{count} on {hosts or 'no named host'}: {steps}.{also}"


def _unconnected(scope: Scope, deps: Deps) -> str:
    """What the hunts brought although nothing ties it to the hosts and accounts that were asked about."""
    found = [
        item
        for item in deps.workspace.happenings()
        if any(label.hunt in scope.hunts and label.signal in ("strong", "medium") for label in item.labels)
    ]
    if not found:
        return ""
    names = [deps.workspace.evidence[item.events[0].evidence].alias for item in found[:4]]
    hosts = ", ".join(dict.fromkeys(item.host for item in found if item.host))
    about = ", ".join((*scope.hosts, *scope.users)) or "the question"
    return f"{len(found)} events match on {hosts} [{', '.join(names)}], and nothing ties them to {about}."


def _steps(entries: Iterable[Happening], names: dict[str, str]) -> list[str]:
    """The strong behaviours in order, each once, with its host and one citation."""
    found: dict[tuple[str, str], str] = {}
    for item in entries:
        label = _label(item)
        if label is not None and label.signal == "strong" and (label.says, item.host) not in found:
            cited = names.get(item.events[0].evidence, "")
            where = f" on {item.host}" if item.host else ""
            found[label.says, item.host] = f"{label.says}{where} [{cited}]"
    return list(found.values())[:8]


def verify(state: State, deps: Deps) -> None:
    """Mark every claim as verified or not; the verifier reads rows, not prose."""
    draft, workspace = deps.workspace.draft, deps.workspace
    scope = state.get("scope")
    window = WindowRecord(start=scope.window.start, end=scope.window.end) if scope else None
    phrases = {search.says for hunt in deps.library.all() for search in hunt.searches if search.says}
    given: tuple[str, ...] = ()
    if state["route"] == "explain":
        from ..tools.explain import texts_of

        given = texts_of(state["question"])
    claims, counts = verifying.verify(
        draft.claims,
        workspace.evidence.values(),
        workspace.records.values(),
        window=window,
        phrases=phrases,
        given=given,
    )
    draft.claims, draft.verification = claims, counts


def propose(state: State, deps: Deps) -> list[str]:
    """Propose what follows, write the answer, and name the approvals that wait."""
    draft, scope = deps.workspace.draft, state.get("scope")
    # A named hunt is a search: what it brings is not yet weighed against its look-alikes.
    if scope is not None and draft.declined is None and not scope.only:
        if state["route"] == "respond":
            proposing.propose_named(state["question"], scope, draft, deps)
        elif draft.triage is None or draft.triage.verdict == "true_positive":
            proposing.propose_isolation(draft, scope, deps)
    window = scope.window if scope is not None and draft.declined is None else None
    deps.workspace.case.add_question(state["question"], window)
    answer = _answer(state, deps)
    deps.workspace.answer = answer
    deps.workspace.case.save_answer(answer)
    for proposal in draft.proposals:
        deps.workspace.case.add_approval(proposal.id)
        deps.emit({"type": "approval", "proposal": proposal.model_dump(mode="json")})
    deps.emit({"type": "text", "text": answer.summary})
    return [proposal.id for proposal in draft.proposals if proposal.status == "awaiting_approval"]


def _answer(state: State, deps: Deps) -> Answer:
    draft, workspace, scope = deps.workspace.draft, deps.workspace, state.get("scope")
    cited = _cited(draft)
    shown = [workspace.evidence[item] for item in workspace.evidence if item in cited]
    triage = draft.triage
    if triage is not None:
        triage = triage.model_copy(update={"ticket": triaging.ticket(triage, draft.summary, draft.entries, shown)})
    declined_off_topic = draft.declined is not None and draft.declined.reason == OFF_TOPIC
    return Answer(
        case=workspace.case.id,
        question=state["question"],
        model=deps.model_name,
        estate=deps.estate.kind,
        window=WindowRecord(start=scope.window.start, end=scope.window.end, phrase=scope.window.phrase)
        if scope
        else None,
        route="off_topic" if declined_off_topic else state["route"],  # type: ignore[arg-type]
        summary=draft.summary,
        queries=tuple(workspace.records.values()),
        evidence=tuple(shown),
        timeline=tuple(draft.entries),
        claims=tuple(draft.claims),
        verification=draft.verification,
        runbooks=tuple(draft.runbooks),
        gaps=tuple(draft.gaps),
        proposals=tuple(draft.proposals),
        declined=draft.declined,
        triage=triage,
        usage=Usage(
            model_calls=workspace.model_calls,
            input_tokens=workspace.input_tokens,
            output_tokens=workspace.output_tokens,
            queries=workspace.sent,
            wall_ms=round((monotonic() - draft.started) * 1000),
        ),
        suggestions=tuple(draft.suggestions),
    )


def _cited(draft: Draft) -> set[str]:
    """Evidence that the answer names; the rest stays in the case."""
    found = {item for claim in draft.claims for item in claim.evidence}
    found |= {item for entry in draft.entries for item in entry.evidence}
    found |= {item for proposal in draft.proposals for item in proposal.evidence}
    if draft.triage is not None:
        found |= {item for factor in draft.triage.because for item in factor.evidence}
    for ruled in draft.story.ruled_out:
        found |= {event.evidence for item in ruled.happenings[:20] for event in item.events}
    return found
