"""The text of a triage for a ticket: Markdown that pastes well, every line of it a claim's text with its citations."""

from collections.abc import Iterable, Mapping, Sequence

from ..tools.evidence.claims import INSTRUCTION
from ..tools.evidence.exports.markdown import inline
from ..tools.evidence.predicates import stamp
from ..tools.evidence.records import Claim, Evidence, Factor, Gap, TimelineEntry, Triage, aliases
from ..tools.evidence.safe import code_safe, markdown_safe

_HEADINGS = {"for": "For a true positive", "against": "Against", "neither": "Beside that"}
_MOST_CITED = 4
_MOST_ENTRIES = 25


def ticket(
    triage: Triage,
    summary: str,
    entries: Sequence[TimelineEntry],
    evidence: Sequence[Evidence],
    *,
    claims: Sequence[Claim] = (),
    gaps: Sequence[Gap] = (),
    runbook: str = "",
) -> str:
    """The ticket of a triage.

    Args:
        triage: Verdict, score and reasons.
        summary: The answer's summary.
        entries: The timeline.
        evidence: Rows that the answer shows.
        claims: The answer's claims; a reason whose claim failed its check is left out.
        gaps: What is not known.
        runbook: Id of the runbook that the next steps are from.
    """
    names = aliases(evidence)
    failed = {claim.id for claim in claims if not claim.verified and claim.kind == "observation"}
    reasons = [factor for factor in triage.because if factor.claim not in failed]
    told = [entry for entry in entries if entry.claim not in failed]
    verdict = triage.verdict.replace("_", " ")
    lines = [
        f"## Alert {code_safe(triage.alert)}: {verdict}, priority {triage.priority}, score {triage.score:.2f}",
        "",
        inline(summary, evidence),
    ]
    for side, heading in _HEADINGS.items():
        lines += _section(heading, [_reason(factor, names) for factor in reasons if factor.speaks == side])
    spoken = [claim for claim in claims if claim.predicate == INSTRUCTION and claim.id not in failed]
    lines += _section(
        "Text that addresses an assistant", [_cited(claim.text, claim.evidence, names) for claim in spoken]
    )
    suspicious = [entry for entry in told if entry.verdict != "benign"]
    lines += _section("Timeline (UTC)", [_line(entry, names) for entry in suspicious[:_MOST_ENTRIES]])
    if len(suspicious) > _MOST_ENTRIES:
        lines.append(f"- {len(suspicious) - _MOST_ENTRIES} more are in the case.")
    lines += _section("Ruled out", [_line(entry, names) for entry in told if entry.verdict == "benign"][:_MOST_ENTRIES])
    lines += _section("Not known", [inline(gap.text) for gap in gaps])
    if triage.next_steps:
        source = f" (runbook {code_safe(runbook)})" if runbook else ""
        lines += ["", f"### Next steps{source}", ""]
        lines += [f"{at}. {inline(step)}" for at, step in enumerate(triage.next_steps, 1)]
    return "\n".join(lines) + "\n"


def _section(heading: str, items: Iterable[str]) -> list[str]:
    listed = [f"- {item}" for item in items]
    return ["", f"### {heading}", "", *listed] if listed else []


def _reason(factor: Factor, names: Mapping[str, str]) -> str:
    points = ""
    if factor.points is not None:
        of = f" of {factor.most:.2f}" if factor.most is not None else ""
        points = f" ({factor.points:+.2f}{of})"
    return f"**{markdown_safe(factor.factor)}**{points}: {_cited(factor.value, factor.evidence, names)}"


def _line(entry: TimelineEntry, names: Mapping[str, str]) -> str:
    return f"{stamp(entry.time)} {_cited(entry.text, entry.evidence, names)}"


def _cited(text: str, evidence: Sequence[str], names: Mapping[str, str]) -> str:
    known = [names[item] for item in evidence if item in names]
    more = f" and {len(known) - _MOST_CITED} more" if len(known) > _MOST_CITED else ""
    return inline(text) + (f" [{', '.join(known[:_MOST_CITED])}{more}]" if known else "")
