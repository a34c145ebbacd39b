"""From one alert and what stands around it to a verdict, a priority and the reasons for both. Pure.

The score has visible parts. The vendor's severity is a floor for the priority: nothing that was read can lower it.
A benign verdict needs an earlier closing of the same pattern by a person, and nothing suspicious connected to this
alert beyond the pattern itself.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from ..knowledge import attack
from ..tools.evidence.records import Evidence, Factor, TimelineEntry, Triage
from ..tools.evidence.safe import markdown_safe
from ..tools.evidence.story import Story
from ..tools.evidence.story_facts import Happening
from ..tools.languages.vocabulary import EventClass

Priority = Literal["Critical", "High", "Medium", "Low"]
Verdict = Literal["true_positive", "benign", "unclear"]

SEVERITIES: Mapping[str, float] = {"critical": 1.0, "high": 0.75, "medium": 0.5, "low": 0.25, "informational": 0.1}
CRITICALITIES: Mapping[str, float] = {"critical": 1.0, "high": 0.7, "normal": 0.3, "noncritical": 0.3, "": 0.3}
WEIGHTS: Mapping[str, float] = {"severity": 0.35, "correlation": 0.4, "criticality": 0.15, "prevalence": 0.1}
HISTORY_DISCOUNT = 0.35
"""What an earlier closing as false positive takes off the score; the priority's floor stays."""
DISMISSALS = frozenset({"false positive", "disregard", "benign"})
"""Verdicts by which a person closed an alert as harmless (OCSF verdicts)."""

ORDER: tuple[Priority, ...] = ("Low", "Medium", "High", "Critical")


def earlier_closings(alert: Happening, findings: Sequence[Happening]) -> list[Happening]:
    """Earlier alerts of the same pattern on the same host that a person closed as false positives."""
    return [
        other
        for other in findings
        if other.index != alert.index
        and other.event_class is EventClass.FINDING
        and other.time < alert.time
        and other.text("finding.verdict").lower() in DISMISSALS
        and _pattern(other) == _pattern(alert)
    ]


def tactics_of(item: Happening) -> set[str]:
    """ATT&CK tactics of a happening's suspicious labels."""
    found: set[str] = set()
    for label in item.labels:
        if label.signal in ("strong", "medium"):
            for technique_id in label.techniques[:1]:
                technique = attack.technique(technique_id)
                found.update(technique.tactics[:1] if technique else ())
    return found


def same_pattern(alert: Happening, findings: Sequence[Happening]) -> list[Happening]:
    """Alerts of the same title and program on other hosts."""
    return [
        other
        for other in findings
        if other.index != alert.index
        and other.event_class is EventClass.FINDING
        and other.host != alert.host
        and _pattern(other)[1:] == _pattern(alert)[1:]
    ]


def _pattern(alert: Happening) -> tuple[str, str, str]:
    return alert.host, alert.text("finding.title").lower(), alert.process


def correlated(alert: Happening, story: Story) -> list[Happening]:
    """Suspicious happenings of the story that are neither the alert nor the very process that it reports."""
    about = alert.text("process.cmd_line").lower()
    return [
        item
        for item in story.entries
        if item.index != alert.index
        and item.signal >= 2
        and item.event_class is not EventClass.FINDING
        and not (item.is_launch and about and item.text("process.cmd_line").lower() == about)
    ]


def judge(
    alert: Happening,
    story: Story,
    findings: Sequence[Happening],
    *,
    criticality: str = "",
    next_steps: Sequence[str] = (),
) -> Triage:
    """The verdict on an alert, without the ticket text (see `ticket`)."""
    closings = earlier_closings(alert, findings)
    others = correlated(alert, story)
    elsewhere = same_pattern(alert, findings)
    tactics = {tactic for item in others for tactic in tactics_of(item)}
    parts = {
        "severity": SEVERITIES.get(alert.text("severity").lower(), 0.5),
        "correlation": min(1.0, 0.25 * len(tactics) + 0.1 * len(others)),
        "criticality": CRITICALITIES.get(criticality.lower(), 0.3),
        "prevalence": 0.3 if elsewhere else 0.7,
    }
    score = sum(WEIGHTS[name] * value for name, value in parts.items())
    if closings:
        score = max(0.0, score - HISTORY_DISCOUNT)
    verdict = _verdict(alert, others, tactics, closings)
    return Triage(
        alert=min(alert.values("finding.uid"), default=""),
        verdict=verdict,
        priority=_priority(score, verdict, alert.text("severity")),
        score=round(score, 3),
        because=tuple(_factors(alert, others, tactics, closings, elsewhere, criticality, parts)),
        next_steps=tuple(next_steps),
    )


def _verdict(
    alert: Happening, others: Sequence[Happening], tactics: set[str], closings: Sequence[Happening]
) -> Verdict:
    if closings and len(tactics) < 2:
        return "benign"
    if len(others) >= 2 or (others and alert.text("severity").lower() in ("high", "critical")):
        return "true_positive"
    if any(item.signal >= 3 for item in others):
        return "true_positive"
    return "unclear"


def _priority(score: float, verdict: Verdict, severity: str) -> Priority:
    floor = severity.capitalize() if severity.capitalize() in ORDER else "Low"
    earned = "Critical" if score >= 0.8 else "High" if score >= 0.6 else "Medium" if score >= 0.35 else "Low"
    if verdict == "benign":
        earned = "Low"
    return ORDER[max(ORDER.index(floor), ORDER.index(earned))]


def _ids(items: Sequence[Happening]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(event.evidence for item in items for event in item.events))


def _factors(
    alert: Happening,
    others: Sequence[Happening],
    tactics: set[str],
    closings: Sequence[Happening],
    elsewhere: Sequence[Happening],
    criticality: str,
    parts: Mapping[str, float],
) -> list[Factor]:
    points = {name: f"{WEIGHTS[name] * value:.2f} of {WEIGHTS[name]:.2f}" for name, value in parts.items()}
    factors = [
        Factor(
            factor="severity",
            value=f"{alert.text('severity') or 'not given'} by the vendor, a floor for the priority ({points['severity']})",
            evidence=_ids([alert]),
        ),
        Factor(
            factor="correlation",
            value=(
                f"{len(others)} connected suspicious events"
                + (f" in {', '.join(sorted(tactics))}" if tactics else "")
                + f" ({points['correlation']})"
            ),
            evidence=_ids(others)[:20],
        ),
        Factor(factor="criticality", value=f"{criticality or 'normal'} host ({points['criticality']})", evidence=()),
        Factor(
            factor="prevalence",
            value=(
                f"same alert on {len({item.host for item in elsewhere})} other hosts ({points['prevalence']})"
                if elsewhere
                else f"not raised on any other host in the window ({points['prevalence']})"
            ),
            evidence=_ids(elsewhere)[:10],
        ),
    ]
    for closing in closings[:3]:
        comment = "; ".join(sorted(closing.values("finding.comment")))
        value = f"closed as {closing.text('finding.verdict').lower()} on {closing.time:%Y-%m-%d}"
        if comment:
            value += f': "{comment[:200]}"'
        factors.append(Factor(factor="history", value=f"{value} (-{HISTORY_DISCOUNT:.2f})", evidence=_ids([closing])))
    return factors


def ticket(triage: Triage, summary: str, entries: Sequence[TimelineEntry], evidence: Sequence[Evidence]) -> str:
    """The text for a ticket, as Markdown: verdict, reasons, timeline with citations, next steps."""
    names = {item.id: item.alias for item in evidence}
    lines = [
        f"## Alert {markdown_safe(triage.alert)}: {triage.verdict.replace('_', ' ')}, priority {triage.priority}",
        "",
        markdown_safe(summary),
        "",
        "### Why",
        *(
            f"- {factor.factor}: {markdown_safe(factor.value)}{_aliases(factor.evidence, names)}"
            for factor in triage.because
        ),
        "",
        "### Timeline (UTC)",
        *(
            f"- {entry.time:%Y-%m-%d %H:%M:%S} {markdown_safe(entry.text)}{_aliases(entry.evidence, names)}"
            for entry in entries
        ),
    ]
    if triage.next_steps:
        lines += [
            "",
            "### Next steps",
            *(f"{at}. {markdown_safe(step)}" for at, step in enumerate(triage.next_steps, 1)),
        ]
    return "\n".join(lines)


def _aliases(evidence: Sequence[str], names: Mapping[str, str]) -> str:
    known = [names[item] for item in evidence if item in names]
    return f" [{', '.join(known[:4])}]" if known else ""
