"""An answer as a document: Markdown for a ticket, JSON for programs. Evidence text is neutralised in both.

`md` is for people and shows hostile text as visible escapes. `json` is the public object with ASCII escapes, so that no
control character reaches a terminal, and nothing is lost.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...knowledge.errors import CaseError, NotSupportedError, UsageError
from .canonical import digest, kept_form
from .claims import INSTRUCTION, cited
from .predicates import stamp
from .records import Answer, Evidence, Proposal, QueryRecord, TimelineEntry, aliases
from .safe import code_safe, markdown_safe
from .verify import verify_answer

_LATER = ("html", "timesketch", "iris", "navigator", "pdf", "stix")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)


def export(answer: Answer, format_name: str) -> str:
    """An answer in a format: `md` or `json`.

    Raises:
        NotSupportedError: the format is planned.
        UsageError: there is no such format.
    """
    match format_name:
        case "md":
            return to_markdown(answer)
        case "json":
            return to_json(answer)
        case _ if format_name in _LATER:
            raise NotSupportedError(f"export format {format_name}")
        case _:
            raise UsageError(
                f"there is no export format {format_name!r}; the formats are md, json; {', '.join(_LATER)} come later"
            )


def to_json(answer: Answer) -> str:
    """The public JSON object as text, in ASCII."""
    return json.dumps(answer.to_json(), ensure_ascii=True, indent=2)


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
    yield _timeline("Timeline", told, names)
    yield _timeline("Ruled out", [entry for entry in answer.timeline if entry.verdict == "benign"], names)
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
    out, at = [], 0
    for match in _SPAN.finditer(text):
        out += [_prose(text[at : match.start()], known), code_safe(_unpadded(match[2]))]
        at = match.end()
    return "".join([*out, _prose(text[at:], known)])


def _unpadded(code: str) -> str:
    return code[1:-1] if len(code) > 2 and code[0] == code[-1] == " " and code.strip() else code


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


def verify_file(path: Path) -> list[str]:
    """What is wrong with an exported answer (`json`), in sentences: hashes, references, claims.

    Raises:
        CaseError: the file is no exported answer.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        answer = Answer.model_validate(content)
    except OSError as exc:
        raise CaseError(f"{path} cannot be read: {exc.strerror}") from exc
    except (ValueError, ValidationError, RecursionError) as exc:
        raise CaseError(
            f"{path} is no exported answer: write one with `tracehound case export ID --format json`"
        ) from exc
    return [*_tampered(answer.evidence), *_failed_claims(answer)]


def _tampered(evidence: Iterable[Evidence]) -> Iterable[str]:
    for item in evidence:
        if _hash(item.raw) != item.sha256:
            yield f"the raw row of {item.alias} ({item.id}) was changed"
        if not f"E-{item.sha256}".startswith(item.id):
            yield f"the id of {item.alias} ({item.id}) does not belong to its hash"


def _hash(raw: dict[str, Any]) -> str:
    from .canonical import original

    try:
        return digest(kept_form(original(raw))[1])
    except (CaseError, ValueError, TypeError):
        return ""


def _failed_claims(answer: Answer) -> Iterable[str]:
    checked = verify_answer(answer)
    for before, after in zip(answer.claims, checked.claims, strict=True):
        if before.verified and not after.verified:
            yield f"claim {after.id} does not hold: {after.why_not}"
    held = {item.id for item in answer.evidence}
    for entry in answer.timeline:
        for name in entry.evidence:
            if name not in held:
                yield f"the timeline cites {name}, which is not in the file"
