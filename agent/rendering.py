"""Answers, checks and lists on a terminal. Everything that came from telemetry passes through `safe`."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..tools.evidence.claims import INSTRUCTION, cited
from ..tools.evidence.records import Answer, Claim, Evidence, Proposal, QueryRecord, TimelineEntry, WindowRecord
from ..tools.evidence.safe import safe
from ..tools.response.approval import Outcome

STYLE = {"suspicious": "bold", "context": "", "benign": "dim"}


def text(value: object, style: str = "") -> Text:
    """Neutralised text, never interpreted as markup."""
    return Text(safe(str(value)), style=style)


def banner(model: str, estate: str, name: str = "") -> Text:
    """Where the answer comes from."""
    where = f"lab {name}".strip() if estate == "lab" else f"live tenants {name}".strip()
    return text(f"estate: {where} · model: {model}", "dim")


def progress_line(event: Mapping[str, Any]) -> Text | None:
    """One event of a running question as a line; None for events that the answer shows anyway."""
    match event["type"]:
        case "plan":
            return _plan_line(event)
        case "query":
            return query_line(QueryRecord.model_validate(event["query"]))
        case _:
            return None


def _plan_line(event: Mapping[str, Any]) -> Text:
    """What is about to be asked: how many queries where, and why."""
    planned = event["queries"]
    where = Counter(str(item["view"]).partition(":")[0] for item in planned)
    counts = ", ".join(f"{platform} {count}" for platform, count in sorted(where.items()))
    why = ", ".join(dict.fromkeys(str(item["purpose"]) for item in planned))
    return text(
        f"plan {event['turn'] + 1}: {len(planned)} queries ({counts}): {why}" if planned else "plan: done", "dim"
    )


def show_answer(console: Console, answer: Answer) -> None:
    """The whole answer, as an analyst reads it: summary, timeline, look-alikes, proposals, gaps, footer."""
    if answer.declined:
        show_declined(console, answer)
    if answer.summary:
        console.print(Text(safe(answer.summary, single_line=False)))
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
    spoken = [claim for claim in answer.claims if claim.predicate == INSTRUCTION]
    if spoken:
        console.print(Text("\nText that addresses an assistant", style="bold"))
        console.print(_marked(("!", _with_aliases(claim, alias)) for claim in spoken))
    _show_runbooks(console, answer)
    _show_proposals(console, answer.proposals, alias)
    if answer.gaps:
        console.print(Text("\nNot known", style="bold"))
        console.print(_marked(("·", gap.text) for gap in answer.gaps))
    if answer.suggestions:
        console.print(Text("\nNext questions", style="bold"))
        console.print(_marked(("›", suggestion) for suggestion in answer.suggestions))
    console.print()
    console.print(text(footer(answer), "dim"))


def _with_aliases(claim: Claim, evidence: Mapping[str, Evidence]) -> str:
    return cited(claim.text, claim.evidence, {name: item.alias for name, item in evidence.items()})


def _show_proposals(console: Console, proposals: Sequence[Proposal], evidence: Mapping[str, Evidence]) -> None:
    waiting = [item for item in proposals if item.status == "awaiting_approval"]
    others = [item for item in proposals if item.status != "awaiting_approval"]
    for title, items in (("Proposed, waiting for a person", waiting), ("Proposed", others)):
        if items:
            console.print(Text(f"\n{title}", style="bold"))
            for proposal in items:
                console.print(proposal_block(proposal, evidence))


def _marked(lines: Iterable[tuple[str, str]]) -> Table:
    """Paragraphs that hang beside a mark or a number."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    for mark, words in lines:
        grid.add_row(text(f"  {mark}"), text(words))
    return grid


def footer(answer: Answer) -> str:
    """Counts of claims, queries and time."""
    checked = answer.verification
    queries = ", ".join(
        f"{platform} {sum(1 for query in answer.queries if query.platform == platform)}"
        for platform in dict.fromkeys(query.platform for query in answer.queries)
    )
    share = f" ({checked.assessed:.0%} of the sentences)" if checked.assessments else ""
    return (
        f"{checked.claims} claims: {checked.verified} verified, {checked.assessments} assessments{share}, "
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


def timeline_table(entries: Iterable[TimelineEntry], evidence: Mapping[str, Evidence]) -> Table:
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


def proposal_block(proposal: Proposal, evidence: Mapping[str, Evidence]) -> Padding:
    """One proposal: exact target and vendor call, reason, evidence, undo, deadline, and how to decide."""
    cited = [evidence[item].alias if item in evidence else item for item in proposal.evidence]
    radius = dict(proposal.blast_radius)
    call, digest = radius.pop("vendor_call", ""), radius.pop("digest", "")
    lines = [
        text(f"{proposal.id}  {proposal.action} on {proposal.platform}", "bold"),
        _pairs("target", proposal.target),
        _pairs("blast radius", radius),
        text(f"because: {proposal.reason} [{', '.join(cited)}]"),
        text(f"call: {call}"),
        text(f"digest: {digest}"),
        text(f"undo: {proposal.undo or 'irreversible'} · status: {proposal.status}"),
    ]
    if proposal.decide_by and proposal.status == "awaiting_approval":
        lines.append(
            text(f"decide by {proposal.decide_by:%Y-%m-%d %H:%M:%SZ}:  tracehound approve {proposal.id} --by NAME")
        )
    return Padding(Group(*(line for line in lines if not line.plain.endswith(": "))), (0, 0, 0, 2))


def _pairs(title: str, values: Mapping[str, Any]) -> Text:
    """Names and values in one line; what is empty is left out."""
    said = [(name.replace("_", " "), _plain(value)) for name, value in values.items()]
    return text(f"{title}: " + ", ".join(f"{name} {value}" for name, value in said if value))


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def outcome_line(outcome: Outcome | Proposal) -> Text:
    """What became of a proposal, in one line."""
    target = outcome.target.get("hostname") or outcome.target.get("device_id")
    line = f"{outcome.id}: {outcome.action} on {target} ({outcome.platform}): {outcome.status}"
    detail = outcome.detail if isinstance(outcome, Outcome) else ""
    return text(f"{line}, {detail}" if detail else line)


def evidence_block(item: Evidence) -> Group:
    """One row: where it came from, its fields, and the vendor's own record."""
    time = f"{item.time:%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z" if item.time else "no time"
    fields = [(name, _value(value)) for name, value in sorted(item.fields.items())]
    return Group(
        text(f"{item.alias}  {item.id}  {item.platform} {item.collection} {item.event_class}  {time}", "bold"),
        text(f"query {item.query} · sha256 {item.sha256}", "dim"),
        listing(fields, ("field", "value")),
        text("as the vendor sent it:", "dim"),
        Text(safe(json.dumps(item.raw, ensure_ascii=True, indent=2, default=str), single_line=False)),
    )


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def query_block(query: QueryRecord) -> Group:
    """One query: text, verdict, window, rows, and what is missing."""
    total = f" of {query.total}" if query.total is not None else ""
    said = [
        f"{query.rows}{total} rows in {query.pages} pages, {query.duration_ms:.0f} ms, {query.retries} retries",
        f"window {_window(query.window)}",
        f"asked by {query.hunt}" if query.hunt else "",
        f"status {query.status}" + (f": {query.error}" if query.error else ""),
        "complete"
        if query.complete
        else f"incomplete: {query.incomplete_because or query.error or 'no rows came back'}",
        *(f"{item.severity}: {item.message}" for item in query.check.diagnostics),
        *(f"cannot express: {sentence}" for sentence in query.cannot_express),
    ]
    return Group(
        text(f"{query.id}  {query.platform} {query.language} {query.collection}", "bold"),
        Text(safe(query.text, single_line=False)),
        *(text(line) for line in said if line),
    )


def _window(window: WindowRecord) -> str:
    span = f"{window.start:%Y-%m-%d %H:%M:%SZ} to {window.end:%Y-%m-%d %H:%M:%SZ}"
    return f"{span} ({window.phrase})" if window.phrase else span


def claim_block(claim: Claim, evidence: Mapping[str, Evidence]) -> Group:
    """One claim: what it says, whether it stands, and on what."""
    verdict = "verified" if claim.verified else f"not verified: {claim.why_not or 'it is not checkable'}"
    cited = [f"{evidence[item].alias} ({evidence[item].query})" for item in claim.evidence if item in evidence]
    return Group(
        text(f"{claim.id}  {claim.kind}, {verdict}", "bold"),
        text(claim.text),
        text(f"rests on {', '.join(cited) or 'no row'}; queries {', '.join(claim.queries) or 'none'}", "dim"),
    )


def _show_triage(console: Console, answer: Answer) -> None:
    triage = answer.triage
    if triage is None:
        return
    verdict = triage.verdict.replace("_", " ")
    console.print(text(f"Verdict: {verdict} · priority {triage.priority} · score {triage.score:.2f}", "bold"))
    console.print(listing([(f"  {item.factor}", item.value) for item in triage.because], ("", ""), head=False))
    if triage.next_steps:
        console.print(Text("Next steps", style="bold"))
        console.print(_marked((f"{number}.", step) for number, step in enumerate(triage.next_steps, 1)))
    console.print(text(f"Ticket: tracehound case export {answer.case} --format md", "dim"))
    console.print()


def _show_runbooks(console: Console, answer: Answer) -> None:
    if not answer.runbooks:
        return
    if answer.route == "runbook":
        for hit in answer.runbooks:
            console.print(text(f"\n{hit.title} — {hit.section}", "bold"))
            console.print(Text(safe(hit.text, single_line=False)))
        return
    console.print(Text("\nRunbook", style="bold"))
    for hit in answer.runbooks[:2]:
        console.print(text(f"  {hit.id}: {hit.title} — {hit.section}"))


def query_line(query: QueryRecord) -> Text:
    """One query on one line: platform, language, what came of it, and as much of its text as fits.

    The whole text is in the case (`case show`) and in the JSON.
    """
    state = query.status if query.status != "ok" else f"{query.rows} rows" + ("" if query.complete else ", incomplete")
    return text(f"{query.id} {query.platform} {query.language} → {state}: {' '.join(query.text.split())}", "dim")


def records(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    """The named columns of objects as a table."""
    return listing([[_plain(row.get(name)) for name in columns] for row in rows], columns)


def listing(rows: Iterable[Sequence[object]], headings: Sequence[str], *, head: bool = True) -> Table:
    """A plain table of neutralised cells."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=head)
    for place, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*(text(cell) for cell in row))
    return table
