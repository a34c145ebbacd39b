"""From events to claims and entries: what is told, counted, ruled out, absent, and not known.

Each step is short; the thinking is in the pure modules that it calls.
"""

from collections.abc import Collection, Iterable, Sequence

from ..tools.evidence import claims as claiming
from ..tools.evidence import counting
from ..tools.evidence import gaps as gapping
from ..tools.evidence.records import (
    Claim,
    Declined,
    Gap,
    TimelineEntry,
    WindowRecord,
)
from ..tools.evidence.story import Focus, Story, involves
from ..tools.evidence.story_facts import Happening
from ..tools.evidence.story_links import MEDIUM
from ..tools.languages.vocabulary import EventClass
from . import telling_related as related
from .draft import Draft, asks_for_texts, focus, only_collects
from .observing import add, entry_for, observe, queries_of, telling_label
from .relating import Asked, asked_relations, with_labelling
from .state import Deps, Scope, State
from .verdict import tell_triage

MAX_MATCHES = 60
MAX_INSTRUCTIONS = 3
MAX_TEXTS = 5
"""Texts that the summary quotes, where the question asks for them."""
MAX_FOLLOWED = 4
"""Rows that go with others which the summary tells."""
MAX_HOSTS = 12
"""Hosts that an entry about an amount names."""


def tell(state: State, deps: Deps) -> None:
    """Story, claims, entries and gaps, from what the case holds now."""
    draft = deps.workspace.draft
    declined = state.get("declined")
    if declined:
        draft.declined = Declined.model_validate(declined)
    scope = state.get("scope")
    if scope is None or declined:
        return
    asked = asked_relations(scope, state["question"], deps.library)
    if asks_for_texts(scope, deps.library):
        draft.story = Story()
        _tell_texts(scope, draft, deps)
        if not draft.entries:
            _tell_matches(scope, draft, deps)
        _tell_absence(scope, draft, deps)
    else:
        _tell_story(asked, scope, draft, deps)
    if state["route"] == "alert":
        tell_triage(scope, draft, deps)
    _tell_gaps(scope, draft, deps)
    draft.summary = _summary(scope, draft, deps)


def _tell_story(asked: Sequence[Asked], scope: Scope, draft: Draft, deps: Deps) -> None:
    _tell_entries(draft, deps)
    _tell_look_alikes(draft, deps)
    _tell_amounts(asked, scope, draft, deps)
    _tell_related(asked, scope, draft, deps)
    _tell_tallies(draft, deps)
    if not draft.entries:
        _tell_matches(scope, draft, deps)
    _tell_absence(scope, draft, deps)
    _tell_instructions(draft, deps)


def _tell_entries(draft: Draft, deps: Deps) -> None:
    for item in draft.story.entries:
        claim = observe(item, draft, deps)
        verdict = "suspicious" if item.signal >= MEDIUM or item in draft.story.anchors else "context"
        draft.entries.append(entry_for(item, claim, verdict, claim.text))


def _tell_look_alikes(draft: Draft, deps: Deps) -> None:
    for ruled in draft.story.ruled_out:
        first = ruled.happenings[0]
        claim = observe(first, draft, deps, ruled_out=True)
        draft.entries.append(_ruled_out(first, claim, len(ruled.happenings) - 1, ruled.because))


def _ruled_out(item: Happening, claim: Claim, others: int, because: str) -> TimelineEntry:
    said = claim.text.removeprefix(claiming.RULED_OUT)
    more = f" (and {others} more like it)" if others else ""
    return entry_for(item, claim, "benign", f"{said}{more}: ruled out, {because}")


def _tell_amounts(asked: Sequence[Asked], scope: Scope, draft: Draft, deps: Deps) -> None:
    """What the asked hunts count; what is no more than usual is no suspicion, and an amount without an entry gets one."""
    ordinary: set[str] = set()
    shown = {name for entry in draft.entries for name in entry.evidence}
    rows = {name: item.query for name, item in deps.workspace.evidence.items()}
    for amount, queries in related.amounts(asked, scope, draft, deps):
        claim = counting.claim(f"C{len(draft.claims) + 1}", amount, queries, rows)
        add(claim, draft, deps)
        draft.counted |= {event.evidence for act in (*amount.acts, *amount.left_out) for event in act.events}
        usual = amount.left_out if amount.above else amount.acts if amount.before else ()
        ordinary |= {event.evidence for act in usual for event in act.events}
        if shown.isdisjoint(event.evidence for act in amount.acts for event in act.events):
            draft.entries.append(_entry_of(amount, claim))
    draft.entries = [
        entry.model_copy(update={"verdict": "context", "techniques": ()})
        if entry.verdict == "suspicious" and ordinary.issuperset(entry.evidence)
        else entry
        for entry in draft.entries
    ]


def _entry_of(amount: counting.Amount, claim: Claim) -> TimelineEntry:
    events = [event for act in amount.acts for event in act.events]
    return TimelineEntry(
        time=amount.acts[0].time,
        until=amount.acts[-1].time if len(amount.acts) > 1 else None,
        text=claim.text,
        # A claim cites the time before as well; what an entry shows happened in the window.
        evidence=tuple(dict.fromkeys(event.evidence for event in events)),
        hosts=tuple(dict.fromkeys(event.host for event in events if event.host))[:MAX_HOSTS],
        platforms=tuple(dict.fromkeys(event.platform.value for event in events)),
        verdict="suspicious" if amount.above else "context",
        claim=claim.id,
    )


def _tell_related(asked: Sequence[Asked], scope: Scope, draft: Draft, deps: Deps) -> None:
    """The rows that the asked hunts' relations found, and what they looked for in vain."""
    shown = {name for entry in draft.entries if entry.verdict != "context" for name in entry.evidence}
    ruled: dict[tuple[str, str], list[related.Told]] = {}
    whole = with_labelling(asked, draft.story.entries, deps.library)
    for told in related.related_rows(whole, scope, draft, deps):
        if told.verdict == "benign":
            ruled.setdefault((told.item.user, told.because), []).append(told)
        elif shown.isdisjoint(event.evidence for event in told.item.events):
            claim = observe(told.item, draft, deps, label=told.label)
            draft.entries.append(entry_for(told.item, claim, told.verdict, claim.text))
            draft.followed += [claim] if told.label else []
    for alike in ruled.values():
        claim = observe(alike[0].item, draft, deps, ruled_out=True, label=alike[0].label)
        draft.entries.append(_ruled_out(alike[0].item, claim, len(alike) - 1, alike[0].because))
    draft.entries.sort(key=lambda entry: (entry.verdict == "benign", entry.time))
    for claim in related.absences(asked, scope, draft, deps):
        add(claim, draft, deps)


def _tell_tallies(draft: Draft, deps: Deps) -> None:
    """What the story's entries add up to: the mails of each sender, the operations of each account in the cloud."""
    alike: dict[tuple[str, str], list[Happening]] = {}
    for item in draft.story.entries:
        if not draft.counted.isdisjoint(event.evidence for event in item.events):
            continue
        if item.event_class is EventClass.EMAIL:
            alike.setdefault((item.text("email.from").lower(), ""), []).append(item)
        elif item.event_class is EventClass.API and len(item.events) > 1:
            alike.setdefault((item.user, item.text("api.operation")), []).append(item)
    for items in alike.values():
        queries = [query for item in items for query in queries_of(item, deps)]
        events = [event for item in items for event in item.events]
        claim = claiming.tally(f"C{len(draft.claims) + 1}", events, queries) if len(events) > 1 else None
        if claim is not None:
            add(claim, draft, deps)


def _tell_instructions(draft: Draft, deps: Deps) -> None:
    """Name what telemetry says to an assistant; it is evidence and changes nothing else."""
    told: set[str] = set()
    workspace = deps.workspace
    for name in dict.fromkeys(name for entry in draft.entries for name in entry.evidence):
        claim_id, query = f"C{len(draft.claims) + 1}", workspace.evidence[name].query
        claim = claiming.instruction(claim_id, workspace.events[name], query)
        if claim is not None and claim.text not in told:
            told.add(claim.text)
            add(claim, draft, deps)
        if len(told) >= MAX_INSTRUCTIONS:
            return


def _tell_texts(scope: Scope, draft: Draft, deps: Deps) -> None:
    """The rows of the asked hunt whose text addresses an assistant, each text once."""
    around, told = focus(scope, deps.library), set[str]()
    for item in sorted(deps.workspace.happenings(), key=lambda item: (item.time, item.index)):
        asked = any(label.hunt == scope.hunts[0] for label in item.labels)
        if not asked or not involves(item, around, draft.story.directory):
            continue
        for event in item.events:
            query = deps.workspace.evidence[event.evidence].query
            claim = claiming.instruction(f"C{len(draft.claims) + 1}", event, query)
            if claim is not None and claim.text not in told and len(told) < MAX_MATCHES:
                told.add(claim.text)
                add(claim, draft, deps)
                draft.entries.append(entry_for(item, claim, "context", claim.text))


def _tell_matches(scope: Scope, draft: Draft, deps: Deps) -> None:
    """What was asked for and is no story: the rows of the asked hunts themselves, such as weaknesses or mails."""
    around = focus(scope, deps.library)
    found = [
        item
        for item in _asked_for(scope, around, draft, deps)
        if draft.counted.isdisjoint(event.evidence for event in item.events)
    ]
    for item in sorted(found, key=lambda item: (item.time, item.index))[:MAX_MATCHES]:
        claim = observe(item, draft, deps)
        draft.entries.append(entry_for(item, claim, "context", claim.text))


def _asked_for(scope: Scope, around: Focus, draft: Draft, deps: Deps) -> list[Happening]:
    """Rows that a search of an asked hunt stands for: the telling ones, or else what the best hunt that lists any lists."""
    happenings = [
        item
        for item in deps.workspace.happenings()
        if item.events[0].time is not None and involves(item, around, draft.story.directory)
    ]
    telling = {
        hunt for hunt in scope.hunts if hunt in deps.library.hunts and not only_collects(deps.library.hunts[hunt])
    }

    def by(hunts: Collection[str], signals: Collection[str]) -> list[Happening]:
        return [item for item in happenings if any(x.hunt in hunts and x.signal in signals for x in item.labels)]

    if found := by(scope.hunts, ("strong", "medium")):
        return found
    # What merely collects says nothing of a host or an account, and everything of an indicator that is asked about.
    indicator = bool(scope.slots.keys() - {"host", "user", "alert"})
    listing = [hunt for hunt in scope.hunts if hunt in telling or indicator]
    return next((rows for hunt in listing if (rows := by([hunt], ("context", "inventory")))), []) or by(
        scope.hunts, ("inventory",)
    )


def _tell_absence(scope: Scope, draft: Draft, deps: Deps) -> None:
    """Nothing was found: said only over queries that are complete, empty, and cover the window."""
    known = [hunt for hunt in scope.hunts if hunt in deps.library.hunts]
    telling = [hunt for hunt in known if not only_collects(deps.library.hunts[hunt])] or known
    if any(x.hunt in telling and x.signal in ("strong", "medium") for item in draft.story.entries for x in item.labels):
        # Something that was asked for is told; what the question is first about may still not be there.
        telling = telling[:1]
    asked = [record for record in deps.workspace.records.values() if record.hunt in telling]
    if not any(entry.verdict != "benign" for entry in draft.entries):
        # Other hunts may have brought rows that have nothing to do with the question.
        brought = {record.hunt for record in asked if record.rows or record.status != "ok" or not record.complete}
        telling = [hunt for hunt in telling if hunt not in brought]
        asked = [record for record in asked if record.hunt not in brought]
    titles = [deps.library.get(hunt).title for hunt in telling]
    what = " or ".join(titles[:2]) or "suspicious activity"
    named = (*scope.hosts, *scope.users, *scope.addresses, *scope.names)
    about = f" for {', '.join(named)}" if named else ""
    window = WindowRecord(start=scope.window.start, end=scope.window.end, phrase=scope.window.phrase)
    # A hunt that brought rows, failed or was cut short anywhere supports no absence, however empty the rest is.
    if asked and all(record.status == "ok" and record.complete and record.rows == 0 for record in asked):
        draft.claims.append(claiming.absence(f"C{len(draft.claims) + 1}", f"{what}{about}", asked, window))


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
    if workspace.model_limit:
        draft.gaps.append(Gap(kind="not_queried", text=workspace.model_limit))
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
    absent = " ".join(
        f"{claim.text[:1].upper()}{claim.text[1:]}." for claim in draft.claims if claim.predicate == claiming.NOT_FOUND
    )
    if not told and not ruled:
        return lead + (absent or _unconnected(scope, deps) or "Nothing that answers the question was found.")
    names = {item.id: item.alias for item in deps.workspace.evidence.values()}
    counts = [
        claiming.cited(claim.text, claim.evidence, names, limit=1)
        for claim in draft.claims
        if claim.predicate in (claiming.TALLY, counting.COUNTED)
    ]
    if told and asks_for_texts(scope, deps.library):
        texts = [claiming.cited(entry.text, entry.evidence, names, limit=1) for entry in told[:MAX_TEXTS]]
        return f"{len(told)} text{'s' if len(told) > 1 else ''} found: {'; '.join(texts)}."
    if not told:
        first = draft.entries[0]
        said = "; ".join(counts) or claiming.cited(first.text, first.evidence, names, limit=2)
        return f"{lead}{absent}{' ' if absent else ''}{said[:1].upper()}{said[1:]}."
    followed = [claiming.cited(claim.text, claim.evidence, names, limit=1) for claim in draft.followed[:MAX_FOLLOWED]]
    steps = "; ".join([*counts, *_steps(draft.story.entries, names), *followed]) or claiming.cited(
        told[0].text, told[0].evidence, names, limit=2
    )
    hosts = ", ".join(dict.fromkeys(host for entry in told for host in entry.hosts))
    also = f" {ruled} look-alike{'s were' if ruled > 1 else ' was'} ruled out." if ruled else ""
    count = f"{len(told)} {'connected' if draft.story.entries else 'matching'} event{'s' if len(told) > 1 else ''}"
    before = f"{absent} " if absent else ""
    return f"{lead}{before}{count} on {hosts or 'no named host'}: {steps}.{also}"


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
        label = telling_label(item)
        if label is not None and label.signal == "strong" and (label.says, item.host) not in found:
            cited = names.get(item.events[0].evidence, "")
            where = f" on {item.host}" if item.host else ""
            found[label.says, item.host] = f"{label.says}{where} [{cited}]"
    return list(found.values())[:8]
