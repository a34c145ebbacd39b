"""What an answer needs beside its story: runbooks, an explanation, the verdict on its claims, proposals, and itself."""

from time import monotonic

from ..knowledge import attack
from ..tools.evidence import claims as claiming
from ..tools.evidence import verify as verifying
from ..tools.evidence.records import (
    Answer,
    RunbookHit,
    Usage,
    WindowRecord,
)
from ..tools.explain import explain as read_artefact
from ..tools.explain import texts_of
from . import proposing
from . import ticket as ticketing
from .draft import Draft, story
from .matching import OFF_TOPIC, SearchText, essence
from .state import Deps, Scope, State
from .suggesting import next_questions
from .triage import techniques_of

MAX_RUNBOOKS = 3


def explain(state: State, deps: Deps) -> None:
    """Explain an artefact without asking any vendor."""
    draft = deps.workspace.draft
    found = read_artefact(state["question"])
    draft.summary = "\n".join(found.sentences)
    draft.claims = [claiming.assessment(f"C{number}", sentence) for number, sentence in enumerate(found.sentences, 1)]


def find_runbooks(state: State, deps: Deps) -> None:
    """Runbook sections for the question and for the techniques that were found."""
    draft = deps.workspace.draft
    if state.get("scope"):
        draft.story = story(state["scope"], deps)
    if deps.search_text is None:
        return
    techniques = dict.fromkeys(name for item in draft.story.entries for name in techniques_of(item))
    found = " ".join(attack.title(name) for name in list(techniques)[:3])
    # What the analyst asked comes first; what was found adds to it. An alert's question names nothing but the alert.
    wanted = {"alert": [(found or state["question"], MAX_RUNBOOKS)], "runbook": [(state["question"], MAX_RUNBOOKS)]}
    asked = wanted.get(state["route"], [(state["question"], 2), (found, MAX_RUNBOOKS)])
    named = _named_runbooks(state.get("scope"), deps)
    for query, most in asked:
        if query:
            _add_runbooks(essence(query) or query, most, draft, deps.search_text, named)


def _named_runbooks(scope: Scope | None, deps: Deps) -> frozenset[str]:
    """The runbooks that the hunts of the question name as theirs."""
    hunts = [deps.library.hunts[name] for name in scope.hunts if name in deps.library.hunts] if scope else []
    return frozenset(name for hunt in hunts for name in hunt.runbooks)


def _add_runbooks(query: str, most: int, draft: Draft, search_text: SearchText, named: frozenset[str]) -> None:
    """Add the best sections for a query until the draft has so many; those of the named runbooks come first."""
    seen = {(hit.id, hit.section) for hit in draft.runbooks}
    for passage in sorted(search_text(query, 40), key=lambda passage: passage.id not in named):
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


def verify(state: State, deps: Deps) -> None:
    """Mark every claim as verified or not; the verifier reads rows, not prose."""
    draft, workspace = deps.workspace.draft, deps.workspace
    scope = state.get("scope")
    window = WindowRecord(start=scope.window.start, end=scope.window.end) if scope else None
    phrases = {phrase for hunt in deps.library.all() for phrase in hunt.phrases}
    given = texts_of(state["question"]) if state["route"] == "explain" else ()
    claims, counts = verifying.verify(
        draft.claims,
        workspace.evidence.values(),
        workspace.records.values(),
        window=window,
        phrases=phrases,
        given=given,
        question=state["question"] if scope is not None else "",
        about=_about(scope),
        hunts=scope.hunts if scope is not None else (),
        timeline=draft.entries,
        library=deps.library,
    )
    draft.claims, draft.verification = claims, counts


def propose(state: State, deps: Deps) -> list[str]:
    """Propose what follows, write the answer, and name the approvals that wait."""
    draft, scope = deps.workspace.draft, state.get("scope")
    # A named hunt is a search: what it brings is not yet weighed against its look-alikes.
    if scope is not None and draft.declined is None and not scope.only:
        if state["route"] == "respond":
            proposing.propose_named(state["question"], scope, draft, deps)
            verify(state, deps)
        elif draft.triage is None or draft.triage.verdict == "true_positive":
            proposing.propose_isolation(draft, scope, deps)
    if scope is not None and draft.declined is None and deps.search_text is not None:
        draft.suggestions += next_questions(scope, draft.story, deps.library, deps.search_text)
    window = scope.window if scope is not None and draft.declined is None else None
    deps.workspace.case.add_question(state.get("said") or state["question"], window)
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
        runbook = draft.runbooks[0].id if draft.runbooks else ""
        text = ticketing.ticket(
            triage, draft.summary, draft.entries, shown, claims=draft.claims, gaps=draft.gaps, runbook=runbook
        )
        triage = triage.model_copy(update={"ticket": text})
    declined_off_topic = draft.declined is not None and draft.declined.reason == OFF_TOPIC
    return Answer(
        case=workspace.case.id,
        question=state.get("said") or state["question"],
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
        about=_about(scope),
        hunts=tuple(scope.hunts) if scope is not None else (),
    )


def _about(scope: Scope | None) -> tuple[str, ...]:
    if scope is None:
        return ()
    return tuple(dict.fromkeys((*scope.hosts, *scope.users, *scope.addresses, *scope.names, *scope.alerts)))


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
