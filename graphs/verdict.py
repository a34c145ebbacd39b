"""From a judgement to the claims, factors and entries of an answer: every reason that is shown is a claim."""

from collections.abc import Iterable, Sequence

from ..knowledge import attack
from ..tools.evidence import claims as claiming
from ..tools.evidence import weighing
from ..tools.evidence.event import Event
from ..tools.evidence.predicates import shown
from ..tools.evidence.records import Claim, Factor, Gap, RunbookHit, TimelineEntry, Triage
from ..tools.evidence.story_facts import Happening
from ..tools.evidence.story_links import MEDIUM, STRONG
from ..tools.languages.vocabulary import EventClass
from . import alerts, triage
from .draft import Draft
from .observing import add, entry_for, observe
from .state import Deps, Scope

Reason = tuple[str, Claim, triage.Side]
"""Part of the score, the claim, and on which side it speaks."""

MOST_STEPS = 6
STEPS = ("Check", "Contain", "Triage questions")
"""Sections of a runbook that say what to do, in the order in which it is done."""
GENERAL = "alert-triage"
"""The runbook of any alert, where none of its own fits."""
MOST_CLOSINGS = 2


def tell_triage(scope: Scope, draft: Draft, deps: Deps) -> None:
    """Judge the alert, and add what the judgement rests on to the answer."""
    happenings = deps.workspace.happenings()
    alert = alerts.find(scope.alerts[0], happenings)
    if alert is None:
        return
    around = triage.look_around(alert, draft.story, happenings)
    judgement = triage.judge(around, own_labels(around.alert, deps))
    runbook, steps = next_steps(alert, draft.story.entries, deps)
    factors = list(_factors(judgement, around, draft, deps))
    draft.triage = Triage(
        alert=min(alert.values("finding.uid"), default=""),
        verdict=judgement.verdict,
        priority=judgement.priority,
        score=judgement.score,
        because=tuple(factors),
        next_steps=tuple(steps),
    )
    if runbook is not None:
        others = [hit for hit in draft.runbooks if (hit.id, hit.section) != (runbook.id, runbook.section)]
        draft.runbooks = [runbook, *others][: max(len(draft.runbooks), 1)]
    told = {name for item in draft.entries for name in item.evidence}
    closings = {event.evidence for event in around.closings[-MOST_CLOSINGS:]} - told
    for closing in happenings:
        if any(event.evidence in closings for event in closing.events):
            claim = observe(closing, draft, deps)
            draft.entries.append(entry_for(closing, claim, "context", claim.text))
    if judgement.verdict == "benign":
        draft.entries[:] = [_cleared(item) for item in draft.entries]
    draft.entries.sort(key=lambda item: (item.verdict == "benign", item.time))


def own_labels(alert: Event, deps: Deps) -> list[tuple[str, int]]:
    """Technique and signal of what the hunts recognise in the process that an alert reports."""
    if not alert.text("process.name"):
        return []
    strength = {"strong": STRONG, "medium": MEDIUM}
    fields = {**alert.fields, "activity": "Launch"}
    labels = deps.library.label(fields, EventClass.PROCESS)
    return [
        (label.techniques[0], strength[label.signal])
        for label in labels
        if label.signal in strength and label.techniques
    ]


def next_steps(alert: Happening, story: Sequence[Happening], deps: Deps) -> tuple[RunbookHit | None, list[str]]:
    """What to do next: the runbook that fits the alert and what was found, and the steps that it lists."""
    if deps.search_text is None:
        return None, []
    named = [*alert.values("attacks.technique"), *(name for item in story for name in triage.techniques_of(item))]
    told = [attack.title(name) for name in dict.fromkeys(named) if attack.technique(name)]
    about = [alert.text("finding.title"), alert.text("finding.description"), alert.text("attacks.tactic"), *told[:4]]
    passages = [item for item in deps.search_text(" ".join(about)[:400], 40) if item.kind == "runbook"]
    best = next((item.id for item in passages if item.id != GENERAL), GENERAL)
    more = [item for item in deps.search_text(f"{best} {' '.join(STEPS)}", 60) if item.kind == "runbook"]
    sections = {item.section: item for item in (*passages, *more) if item.id == best}
    steps = [step for name in STEPS if name in sections for step in _listed(sections[name].text)]
    hit = next((sections[name] for name in STEPS if name in sections), None)
    if hit is None:
        return None, []
    found = RunbookHit(id=hit.id, title=hit.title, section=hit.section, score=round(hit.score, 4), text=hit.text)
    return found, steps[:MOST_STEPS]


def _listed(text: str) -> list[str]:
    """The items of a Markdown list, each with the lines that continue it."""
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        bare = line.lstrip()
        if bare[:2] in ("- ", "* ") or (bare[:1].isdigit() and bare.lstrip("0123456789").startswith(". ")):
            found.append(bare.lstrip("-*0123456789. ").strip())
            inside = True
        elif inside and line[:1] == " " and bare:
            found[-1] = f"{found[-1]} {bare.strip()}"
        else:
            inside = False
    return [step for step in found if step]


def _factors(judgement: triage.Judgement, around: triage.Around, draft: Draft, deps: Deps) -> Iterable[Factor]:
    weights = triage.weights()
    counted: set[str] = set()
    grounded = _grounded(judgement, deps)
    told = {name for name, _, _ in grounded}
    for name, made, side in [*grounded, *_ungrounded(around, told)]:
        claim = made.model_copy(update={"id": f"C{len(draft.claims) + 1}"})
        add(claim, draft, deps)
        first = name not in counted
        counted.add(name)
        yield Factor(
            factor=name,
            value=claim.text,
            evidence=claim.evidence,
            speaks=side,
            points=judgement.parts.get(name) if first else None,
            most=weights.get(name) if first else None,
            claim=claim.id,
        )


def _grounded(judgement: triage.Judgement, deps: Deps) -> list[Reason]:
    found: list[Reason] = []
    for ground in judgement.grounds:
        queries = [deps.workspace.evidence[event.evidence].query for event in ground.events]
        claim = weighing.claim("C", ground.predicate, ground.events, queries)
        if claim is not None:
            found.append((ground.factor, claim, ground.side))
    return found


def _ungrounded(around: triage.Around, told: set[str]) -> list[Reason]:
    """Parts of the score that no row speaks for: said as what they are, an assessment or something not known."""
    found: list[Reason] = []
    if "correlation" not in told:
        text = "whether more belongs to the alert is not known: what was searched around it tells nothing that is suspicious"
        found.append(("correlation", claiming.gap("C", Gap(kind="no_telemetry", text=text)), "neither"))
    if "criticality" not in told:
        about = shown(around.alert.host, code=False) if around.alert.host else "what the alert is about"
        unknown = Gap(kind="no_telemetry", text=f"no inventory that answered tells how important {about} is")
        found.append(("criticality", claiming.gap("C", unknown), "neither"))
    return found


def _cleared(entry: TimelineEntry) -> TimelineEntry:
    """An entry of an alert that proved benign: shown, and not held against anyone."""
    if entry.verdict != "suspicious":
        return entry
    return entry.model_copy(update={"verdict": "context", "techniques": ()})
