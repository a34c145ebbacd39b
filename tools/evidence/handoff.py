"""A case for the next shift: what is known, what was ruled out, what waits, what could not be seen, what comes next.

Every line is taken from the case's records and verified claims; nothing is phrased anew.
"""

from collections.abc import Iterable, Sequence

from .case import Case
from .claims import NOT_FOUND, RULED_OUT, cited
from .exports.markdown import footer, inline
from .hypotheses import Hypotheses
from .predicates import stamp
from .records import Answer, Claim, Proposal, QueryRecord, aliases
from .safe import code_safe, markdown_safe, shorten

TOLD = 25
"""Timeline entries that are listed; the export holds them all."""


def to_handoff(
    case: Case,
    *,
    pending: Sequence[Proposal] = (),
    hypotheses: Hypotheses | None = None,
    problems: Sequence[str] = (),
) -> str:
    """The hand-over of a case as Markdown.

    Args:
        case: The case.
        pending: Actions of this case that wait for a person now.
        hypotheses: The last answer's evidence, weighed.
        problems: What `case verify` found.
    """
    answers = case.answers()
    last = answers[-1] if answers else None
    parts = [
        f"# Hand-over of case {code_safe(case.id)}",
        _state(case, answers, problems),
        _section("Asked", _asked(case, answers)),
        _section("Known", _known(last)),
        _section("Checked and ruled out", _ruled_out(answers)),
        _section("Explanations, by what speaks against them", _weighed(hypotheses)),
        _section("Waiting for a decision", _pending(pending)),
        _section("Not known", _gaps(answers)),
        _section("Platforms that did not answer", _outages(case.queries())),
        _section("Notes by analysts", _notes(case)),
        _section("Next", _next(last, hypotheses)),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _section(title: str, lines: Iterable[str]) -> str:
    shown = "\n".join(f"- {line}" for line in lines)
    return f"## {title}\n\n{shown}" if shown else ""


def _state(case: Case, answers: Sequence[Answer], problems: Sequence[str]) -> str:
    queries = case.queries()
    moments = [entry.at for entry in (*case.questions(), *case.notes())]
    held = sum(1 for _ in case.each_evidence())
    parts = [
        f"{len(case.questions())} questions, {len(answers)} answers, {len(queries)} queries, {held} rows",
        f"last entry {stamp_text(max(moments))}" if moments else "",
    ]
    if answers:
        parts += [f"estate {code_safe(answers[-1].estate)}", f"model {code_safe(answers[-1].model)}"]
    whole = "The case is whole." if not problems else f"**The case was changed:** {markdown_safe('; '.join(problems))}."
    checked = f" Of the last answer: {footer(answers[-1])}" if answers else ""
    return f"{' · '.join(filter(None, parts))}\n\n{whole}{checked}"


def stamp_text(text: str) -> str:
    """A moment of the journal as the views write it."""
    return text[:19].replace("T", " ") + "Z"


def _asked(case: Case, answers: Sequence[Answer]) -> Iterable[str]:
    outcomes = {answer.question: answer for answer in answers}
    seen: set[str] = set()
    for entry in case.questions():
        text = str(entry.body["text"])
        answer = outcomes.get(text)
        if text in seen:
            continue
        seen.add(text)
        yield f"{stamp_text(entry.at)} {markdown_safe(text)}: {_outcome(answer)}"


def _outcome(answer: Answer | None) -> str:
    if answer is None:
        return "not answered"
    if answer.declined:
        return f"declined, {inline(answer.declined.reason)}"
    told = [entry for entry in answer.timeline if entry.verdict != "benign"]
    verdict = f"triage {markdown_safe(answer.triage.verdict)} ({answer.triage.priority}), " if answer.triage else ""
    return f"{verdict}{len(told)} entries told, {len(answer.timeline) - len(told)} ruled out, {len(answer.gaps)} gaps"


def _known(last: Answer | None) -> Iterable[str]:
    if last is None:
        return
    names = aliases(last.evidence)
    told = [entry for entry in last.timeline if entry.verdict == "suspicious"]
    for entry in told[:TOLD]:
        yield f"**{stamp(entry.time)}** {cited(inline(entry.text), entry.evidence, names)}"
    if len(told) > TOLD:
        yield f"{len(told) - TOLD} more entries: {code_safe(f'tracehound case export {last.case}')}"


def _ruled_out(answers: Sequence[Answer]) -> Iterable[str]:
    """Look-alikes and verified absences, of all answers, each once."""
    seen: set[str] = set()
    for answer in answers:
        names = aliases(answer.evidence)
        lines = [
            cited(inline(entry.text.removeprefix(RULED_OUT)), entry.evidence, names)
            for entry in answer.timeline
            if entry.verdict == "benign"
        ]
        lines += [_absence(claim) for claim in answer.claims if claim.predicate == NOT_FOUND and claim.verified]
        for line in lines:
            if line not in seen:
                seen.add(line)
                yield line


def _absence(claim: Claim) -> str:
    return f"{inline(claim.text)} ({', '.join(claim.queries)})"


def _weighed(hypotheses: Hypotheses | None) -> Iterable[str]:
    for item in hypotheses.ranked if hypotheses else ():
        yield f"{markdown_safe(item.title)}: {item.against} against, {item.supported} for"


def _pending(pending: Sequence[Proposal]) -> Iterable[str]:
    for item in pending:
        target = ", ".join(f"{name} {code_safe(value)}" for name, value in item.target.items() if value)
        until = f"; decide by {stamp(item.decide_by)}" if item.decide_by else ""
        yield (
            f"{code_safe(item.id)} **{markdown_safe(item.action)}** on {markdown_safe(item.platform)}: {target}{until}. "
            f"{inline(item.reason)}"
        )


def _gaps(answers: Sequence[Answer]) -> Iterable[str]:
    yield from dict.fromkeys(
        inline(gap.text) + (f" ({', '.join(gap.queries)})" if gap.queries else "")
        for answer in answers[-1:]
        for gap in answer.gaps
    )


def _outages(queries: Sequence[QueryRecord]) -> Iterable[str]:
    """Platforms whose last query failed, with what they said."""
    latest = {query.platform: query for query in queries if query.status in ("ok", "error")}
    for platform, query in sorted(latest.items()):
        if query.status == "error":
            failed = sum(item.platform == platform and item.status == "error" for item in queries)
            said = shorten(query.error or "no reason given", 300)
            yield f"{markdown_safe(platform)}: {failed} queries failed, the last one {query.id}: {markdown_safe(said)}"


def _notes(case: Case) -> Iterable[str]:
    for note in case.remarks():
        rows = [row for name in note.evidence if (row := case.evidence(name))]
        names = aliases(rows)
        said = cited(inline(note.text), note.evidence, names)
        yield f"**{stamp(note.written)}** {markdown_safe(note.author)}: {said} ({code_safe(note.id)})"


def _next(last: Answer | None, hypotheses: Hypotheses | None) -> Iterable[str]:
    if last is None:
        return
    steps = [*(last.triage.next_steps if last.triage else ()), *last.suggestions]
    if last.declined:
        steps += [f"name which is meant: {name}" for name in last.declined.candidates]
    yield from map(inline, dict.fromkeys(steps))
    refutation = hypotheses.refutation if hypotheses else None
    if refutation is not None:
        yield f"what could refute the leading explanation: {inline(refutation.says)} ({code_safe(refutation.hunt)})"
