"""An answer as Markdown for a ticket. Hostile text of the evidence becomes visible escapes and never markup."""

import re
from collections.abc import Iterable, Mapping

from ..claims import INSTRUCTION, cited
from ..predicates import stamp
from ..records import Answer, Evidence, Note, Proposal, QueryRecord, TimelineEntry, aliases
from ..safe import code_safe, markdown_safe, spans


def to_markdown(answer: Answer) -> str:
    """The answer for a ticket: summary, timeline, what was ruled out, evidence, gaps, proposals, verification."""
    return "\n\n".join(filter(None, _sections(answer))) + "\n"


def _sections(answer: Answer) -> Iterable[str]:
    names = aliases(answer.evidence)
    yield f"# {markdown_safe(answer.question)}"
    yield _head(answer)
    if answer.declined:
        yield _list("Not answered", [answer.declined.reason, *(f"nearest: {item}" for item in answer.declined.nearest)])
        yield _list("To choose from", answer.declined.candidates)
    yield inline(answer.summary, answer.evidence)
    if answer.triage:
        triage = answer.triage
        yield f"## Triage: {markdown_safe(triage.verdict)}, {triage.priority} (score {triage.score:.2f})"
        yield "\n".join(
            f"- {markdown_safe(item.factor)}: {cited(inline(item.value), item.evidence, names)}"
            for item in triage.because
        )
        yield _list("Next steps", triage.next_steps)
    told = [entry for entry in answer.timeline if entry.verdict != "benign"]
    told = sorted([*told, *_timed(answer.notes)], key=lambda entry: entry.time) if answer.notes else told
    yield _timeline("Timeline", told, names)
    yield _timeline("Ruled out", [entry for entry in answer.timeline if entry.verdict == "benign"], names)
    yield _notes(answer.notes, names)
    spoken = [claim for claim in answer.claims if claim.predicate == INSTRUCTION]
    if spoken:
        yield "## Text that addresses an assistant\n\n" + "\n".join(
            f"- {cited(inline(claim.text), claim.evidence, names)}" for claim in spoken
        )
    yield _proposals(answer.proposals, names)
    yield _list("Gaps", [gap.text + _queries(gap.queries) for gap in answer.gaps])
    if answer.runbooks:
        lines = [
            f"- {markdown_safe(hit.title)}: {markdown_safe(hit.section)} ({code_safe(hit.id)})"
            for hit in answer.runbooks
        ]
        yield "## Runbooks\n\n" + "\n".join(lines)
    yield _evidence(answer)
    yield _query_table(answer.queries)
    yield footer(answer)


def _head(answer: Answer) -> str:
    parts = [f"Case {code_safe(answer.case)}", f"estate {code_safe(answer.estate)}", f"model {code_safe(answer.model)}"]
    if answer.window:
        phrase = f" ({markdown_safe(answer.window.phrase)})" if answer.window.phrase else ""
        parts.append(f"window {stamp(answer.window.start)} to {stamp(answer.window.end)}{phrase}")
    return " · ".join(parts)


def inline(text: str, evidence: Iterable[Evidence] = ()) -> str:
    """A sentence of ours as Markdown: code spans stay code, everything else is neutralised, citations stay readable."""
    known = {item.alias for item in evidence}
    return "".join(code_safe(part) if is_code else _prose(part, known) for part, is_code in spans(text))


def _prose(text: str, known: set[str]) -> str:
    lines = [markdown_safe(line) for line in text.split("\n")]
    shown = "\n".join(lines)
    return re.sub(r"\\\[(E\d+)\\\]", lambda match: f"[{match[1]}]" if match[1] in known else match[0], shown)


def _list(title: str, items: Iterable[str]) -> str:
    lines = [f"- {inline(item)}" for item in items]
    return f"## {title}\n\n" + "\n".join(lines) if lines else ""


def _timeline(title: str, entries: list[TimelineEntry], names: Mapping[str, str]) -> str:
    if not entries:
        return ""
    lines = []
    for entry in entries:
        when = stamp(entry.time) + (f" to {stamp(entry.until)}" if entry.until and entry.until > entry.time else "")
        seen = ", ".join(map(markdown_safe, entry.platforms))
        marks = " · ".join(
            filter(None, [", ".join(map(markdown_safe, entry.techniques)), f"seen by {seen}" if seen else ""])
        )
        line = cited(inline(entry.text), entry.evidence, names)
        lines.append(f"- **{when}** {line}" + (f"  \n  {marks}" if marks else ""))
    return f"## {title}\n\n" + "\n".join(lines)


def _timed(notes: Iterable[Note]) -> Iterable[TimelineEntry]:
    """Notes that say when it happened, to stand among what the rows tell."""
    for note in notes:
        if note.time:
            yield TimelineEntry(
                time=note.time, text=f"note by {note.author}: {note.text}", evidence=note.evidence, verdict="context"
            )


def _notes(notes: Iterable[Note], names: Mapping[str, str]) -> str:
    lines = []
    for note in notes:
        when = f" about {stamp(note.time)}" if note.time else ""
        said = cited(inline(note.text), note.evidence, names)
        lines.append(f"- **{stamp(note.written)}** {markdown_safe(note.author)}{when}: {said} ({code_safe(note.id)})")
    return "## Notes by analysts\n\n" + "\n".join(lines) if lines else ""


def _proposals(proposals: Iterable[Proposal], names: Mapping[str, str]) -> str:
    lines = []
    for item in proposals:
        target = ", ".join(f"{key} {code_safe(value)}" for key, value in item.target.items() if value not in (None, ""))
        undo = f"undo: {code_safe(item.undo)}" if item.undo else "irreversible"
        until = f", decide by {stamp(item.decide_by)}" if item.decide_by else ""
        lines.append(
            f"- {code_safe(item.id)} **{markdown_safe(item.action)}** on {markdown_safe(item.platform)}: {target}; {undo}; "
            f"{markdown_safe(item.status)}{until}. {cited(inline(item.reason), item.evidence, names)}"
        )
    return "## Proposals\n\n" + "\n".join(lines) if lines else ""


def _evidence(answer: Answer) -> str:
    used = {name for entry in answer.timeline for name in entry.evidence}
    used |= {name for claim in answer.claims for name in claim.evidence}
    shown = [item for item in answer.evidence if item.id in used]
    if not shown:
        return ""
    lines = [
        f"- [{item.alias}] {code_safe(item.id)} {stamp(item.time) if item.time else 'no time'} "
        f"{markdown_safe(item.platform)} {markdown_safe(item.collection)} ({item.query}), {markdown_safe(item.event_class)}"
        + (f" on {markdown_safe(item.host)}" if item.host else "")
        for item in shown
    ]
    rest = len(answer.evidence) - len(shown)
    more = f"\n\n{rest} further rows are in the case and are not cited." if rest else ""
    return "## Evidence\n\n" + "\n".join(lines) + more


def _query_table(queries: Iterable[QueryRecord]) -> str:
    lines = []
    for query in queries:
        state = (
            query.status
            if query.complete or query.status != "ok"
            else f"incomplete: {query.incomplete_because or 'unknown'}"
        )
        where = " ".join(map(markdown_safe, (query.platform, query.language, query.collection)))
        lines.append(f"- {query.id} {where}: {query.rows} rows, {markdown_safe(state)}  \n  {code_safe(query.text)}")
    return "## Queries\n\n" + "\n".join(lines) if lines else ""


def _queries(names: tuple[str, ...]) -> str:
    return f" ({', '.join(names)})" if names else ""


def footer(answer: Answer) -> str:
    """The count of checks: `41 claims: 36 verified, 3 assessments, 2 gaps; 0 uncited, 0 failed`."""
    count = answer.verification
    return (
        f"{count.claims} claims: {count.verified} verified, {count.assessments} assessments, {count.gaps} gaps; "
        f"{count.uncited} uncited, {count.failed} failed."
    )
