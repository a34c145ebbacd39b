"""Answers, checks and lists on a terminal. Everything that came from telemetry passes through `safe`."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..tools.evidence.records import Answer, Evidence, Proposal, QueryRecord, TimelineEntry
from ..tools.evidence.safe import safe

STYLE = {"suspicious": "bold", "context": "", "benign": "dim"}


def text(value: object, style: str = "") -> Text:
    """Neutralised text, never interpreted as markup."""
    return Text(safe(str(value)), style=style)


def banner(model: str, estate: str, name: str = "") -> Text:
    """Where the answer comes from."""
    where = f"lab {name}".strip() if estate == "lab" else f"live tenants {name}".strip()
    return text(f"estate: {where} · model: {model}", "dim")


def show_answer(console: Console, answer: Answer) -> None:
    """The whole answer, as an analyst reads it: summary, timeline, look-alikes, proposals, gaps, footer."""
    if answer.declined:
        show_declined(console, answer)
    if answer.summary:
        console.print(text(answer.summary))
        console.print()
    if answer.triage:
        _show_triage(console, answer)
    alias = {item.id: item for item in answer.evidence}
    told = [entry for entry in answer.timeline if entry.verdict != "benign"]
    ruled = [entry for entry in answer.timeline if entry.verdict == "benign"]
    if told:
        console.print(Text("Timeline (UTC)", style="bold"))
        console.print(timeline_table(told, alias))
    if ruled:
        console.print(Text("\nLooked alike and ruled out", style="bold"))
        console.print(timeline_table(ruled, alias))
    _show_runbooks(console, answer)
    if answer.proposals:
        console.print(Text("\nProposed, waiting for a person", style="bold"))
        for proposal in answer.proposals:
            console.print(proposal_block(proposal, alias))
    if answer.gaps:
        console.print(Text("\nNot known", style="bold"))
        for gap in answer.gaps:
            console.print(text(f"  · {gap.text}"))
    if answer.suggestions:
        console.print(Text("\nNext questions", style="bold"))
        for suggestion in answer.suggestions:
            console.print(text(f"  › {suggestion}"))
    console.print()
    console.print(text(footer(answer), "dim"))


def footer(answer: Answer) -> str:
    """Counts of claims, queries and time."""
    checked = answer.verification
    queries = ", ".join(
        f"{platform} {sum(1 for query in answer.queries if query.platform == platform)}"
        for platform in dict.fromkeys(query.platform for query in answer.queries)
    )
    return (
        f"{checked.claims} claims: {checked.verified} verified, {checked.assessments} assessments, "
        f"{checked.gaps} gaps; {checked.uncited} uncited, {checked.failed} failed · "
        f"{answer.usage.queries} queries ({queries}) · {answer.usage.wall_ms / 1000:.1f} s · case {answer.case}"
    )


def show_declined(console: Console, answer: Answer) -> None:
    """Why there is no answer, and what can be asked instead."""
    if answer.declined is None:
        return
    console.print(text(answer.declined.reason, "bold yellow"))
    if answer.declined.candidates:
        console.print(text("Did you mean: " + ", ".join(answer.declined.candidates)))
    if answer.declined.nearest:
        console.print(text("Nearest hunts: " + ", ".join(answer.declined.nearest)))


def timeline_table(entries: Iterable[TimelineEntry], evidence: dict[str, Evidence]) -> Table:
    """Time, sentence, citations."""
    table = Table(box=None, padding=(0, 1), show_header=False, pad_edge=False, expand=False)
    table.add_column(no_wrap=True, style="cyan")
    table.add_column(overflow="fold", ratio=1)
    for entry in entries:
        cited = [evidence[item].alias for item in entry.evidence if item in evidence]
        more = f" +{len(cited) - 4}" if len(cited) > 4 else ""
        line = text(entry.text, STYLE[entry.verdict])
        line.append(f"  [{', '.join(cited[:4])}{more}]", style="green")
        if entry.techniques:
            line.append(f"  {' '.join(entry.techniques)}", style="magenta")
        table.add_row(f"{entry.time:%m-%d %H:%M:%S}", line)
    return table


def proposal_block(proposal: Proposal, evidence: dict[str, Evidence]) -> Padding:
    """One proposal: exact target, reason, evidence, undo, deadline, and how to decide."""
    cited = ", ".join(evidence[item].alias for item in proposal.evidence if item in evidence)
    target = ", ".join(f"{key} {value}" for key, value in proposal.target.items() if value)
    lines = [
        text(f"{proposal.id}  {proposal.action} on {proposal.platform}", "bold"),
        text(f"target: {target}"),
        text(f"because: {proposal.reason} [{cited}]"),
        text(f"undo: {proposal.undo or 'irreversible'} · status: {proposal.status}"),
    ]
    if proposal.blast_radius:
        lines.insert(2, text("blast radius: " + "; ".join(f"{k} {v}" for k, v in proposal.blast_radius.items())))
    if proposal.decide_by:
        lines.append(
            text(f"decide by {proposal.decide_by:%Y-%m-%d %H:%M:%SZ}:  tracehound approve {proposal.id} --by NAME")
        )
    return Padding(Group(*lines), (0, 0, 0, 2))


def _show_triage(console: Console, answer: Answer) -> None:
    triage = answer.triage
    if triage is None:
        return
    console.print(text(f"Verdict {triage.verdict} · priority {triage.priority} · score {triage.score:.2f}", "bold"))
    for factor in triage.because:
        console.print(text(f"  {factor.factor}: {factor.value}"))
    if triage.next_steps:
        console.print(Text("Next steps", style="bold"))
        for number, step in enumerate(triage.next_steps, 1):
            console.print(text(f"  {number}. {step}"))
    console.print()


def _show_runbooks(console: Console, answer: Answer) -> None:
    if not answer.runbooks:
        return
    if answer.route == "runbook":
        for hit in answer.runbooks:
            console.print(text(f"\n{hit.title} — {hit.section}", "bold"))
            console.print(text(hit.text) if "\n" not in hit.text else Text(safe(hit.text, single_line=False)))
        return
    console.print(Text("\nRunbook", style="bold"))
    for hit in answer.runbooks[:2]:
        console.print(text(f"  {hit.id}: {hit.title} — {hit.section}"))


def query_line(query: QueryRecord) -> Text:
    """One query as it is run: platform, language, verdict, rows."""
    state = query.status if query.status != "ok" else f"{query.rows} rows" + ("" if query.complete else ", incomplete")
    line = text(f"{query.id} {query.platform} {query.language} ", "dim")
    line.append_text(text(" ".join(query.text.split()), "dim"))
    line.append_text(text(f" → {state}", "dim"))
    return line


def show_check(console: Console, query: str, result: dict[str, Any]) -> None:
    """A verdict with carets under the text, as a compiler shows it."""
    verdict = "ok" if result["ok"] else "not ok"
    policy = "read-only" if result["read_only"] else "NOT read-only"
    console.print(text(f"{result['language']}: {verdict}, {policy}", "bold green" if result["ok"] else "bold red"))
    for item in result["diagnostics"]:
        number, column, line = _position(query, item["start"])
        width = max(1, min(item["end"] - item["start"], len(line) - column))
        console.print(text(f"{item['severity']}[{item['code']}]: {item['message']}", "bold"))
        console.print(text(f"  {number:>4} | {line}"))
        console.print(text(f"       | {' ' * column}{'^' * width}", "red"))
        if item.get("hint"):
            console.print(text(f"       = {item['hint']}", "cyan"))


def _position(query: str, offset: int) -> tuple[int, int, str]:
    before = query[:offset]
    number = before.count("\n")
    lines = query.split("\n")
    line = lines[number] if number < len(lines) else ""
    return number + 1, offset - (before.rfind("\n") + 1), line


def listing(rows: Sequence[Sequence[object]], headings: Sequence[str]) -> Table:
    """A plain table of neutralised cells."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(text(cell) for cell in row))
    return table
