"""The views of an answer on a terminal: lanes of time, the ways between places, the process tree. All text is `safe`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ..tools.evidence.hypotheses import Hypotheses
from ..tools.evidence.movement import Move, Movement
from ..tools.evidence.process_tree import Act, Process
from ..tools.evidence.records import Evidence, TimelineEntry
from ..tools.evidence.report.axis import Axis
from ..tools.evidence.safe import shorten
from .rendering import listing, text

STYLE = {"suspicious": "bold red", "context": "", "benign": "dim"}
MARKS = {"suspicious": "●", "context": "○", "benign": "·"}
SHOWN = 200
"""Processes or moves that are drawn; the HTML and JSON exports hold the rest."""
LANE = 64
"""Columns of a lane of time."""

Aliases = Mapping[str, Evidence]


def lanes(entries: Sequence[TimelineEntry]) -> Group | None:
    """Time from left to right, a lane for each host; None for fewer than two moments."""
    moments = [moment for entry in entries for moment in (entry.time, entry.until) if moment]
    if len(set(moments)) < 2:
        return None
    axis = Axis.over(moments, 0, LANE - 1, pause=3)
    held: dict[str, list[TimelineEntry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.time):
        held.setdefault(entry.hosts[0] if entry.hosts else "no host", []).append(entry)
    table = Table.grid(padding=(0, 1))
    for name, found in held.items():
        table.add_row(text(shorten(name, 20), "bold"), _lane(found, axis))
    first, last = (f"{moment:%m-%d %H:%M:%S}" for moment in (min(moments), max(moments)))
    table.add_row("", Text(first + last.rjust(LANE - len(first)), style="dim"))
    return Group(table, Text("● suspicious  ○ context  · ruled out  ━ lasted  ┊ a pause left out", style="dim"), Text())


def _lane(entries: Iterable[TimelineEntry], axis: Axis) -> Text:
    cells = [(" ", "")] * LANE
    for pause in axis.breaks:
        cells[round(pause.x)] = ("┊", "dim")
    weight = {"benign": 0, "context": 1, "suspicious": 2}
    for entry in sorted(entries, key=lambda entry: weight[entry.verdict]):
        start = round(axis.place(entry.time))
        for column in range(start, round(axis.place(entry.until)) + 1 if entry.until else start):
            cells[column] = ("━", STYLE[entry.verdict])
        cells[start] = (MARKS[entry.verdict], STYLE[entry.verdict])
    return Text.assemble(*cells)


def tree_view(processes: Sequence[Process], evidence: Aliases) -> Group:
    """The process tree by host."""
    roots: dict[str, Tree] = {}
    nodes: list[Tree] = []
    for process in processes[:SHOWN]:
        if process.parent is None:
            host = roots.setdefault(process.host, Tree(text(process.host or "no host", "bold"), guide_style="dim"))
            nodes.append(host.add(_process(process, evidence)))
        else:
            nodes.append(nodes[process.parent].add(_process(process, evidence)))
    return Group(*roots.values(), *_left_out(len(processes) - SHOWN, "processes"))


def _process(process: Process, evidence: Aliases) -> Group:
    line = text(process.name, STYLE[process.verdict])
    detail = (
        str(process.pid) if process.pid is not None else "",
        process.user,
        _moment(process.started) if process.started else "launch not seen",
    )
    line.append_text(text(f"  {'  '.join(filter(None, detail))}", "dim"))
    line.append_text(_cited(process.evidence, evidence))
    lines = [line]
    if process.command and process.command != process.name:
        lines.append(text(shorten(process.command, 300), "cyan"))
    lines += [_act(act, evidence) for act in process.acts[:8]]
    if len(process.acts) > 8:
        lines.append(Text(f"→ and {len(process.acts) - 8} more", style="dim"))
    return Group(*lines)


def _act(act: Act, evidence: Aliases) -> Text:
    often = f" ×{act.count}" if act.count > 1 else ""
    kind = act.kind.removesuffix("_activity").replace("_", " ")
    line = text(f"→ {kind} {shorten(act.what, 160)}{often}", "dim" if act.verdict == "benign" else "")
    return line.append_text(_cited(act.evidence, evidence))


def graph_view(movement: Movement, evidence: Aliases) -> Group:
    """The ways between places: who went where from where, with what, and how often."""
    by_source: dict[str, Tree] = {}
    for move in movement.moves[:SHOWN]:
        name = move.source.name
        if name not in by_source:
            kind = "" if move.source.kind == "host" else f"  {move.source.kind} place"
            by_source[name] = Tree(text(f"{name}{kind}", "bold"), guide_style="dim")
        by_source[name].add(_move(move, evidence))
    return Group(*by_source.values(), *_left_out(len(movement.moves) - SHOWN, "movements"))


def _move(move: Move, evidence: Aliases) -> Text:
    line = text(f"{'✗' if move.failed else '─'}→ {move.target.name}", STYLE[move.verdict])
    who = f" as {move.account}" if move.account else ""
    often = f" ×{move.count}" if move.count > 1 else ""
    failed = "failed " if move.failed else ""
    ruled = ", ruled out" if move.verdict == "benign" else ""
    line.append_text(text(f"  {failed}{move.how}{who}{often}  {_moment(move.first)}{ruled}", "dim"))
    return line.append_text(_cited(move.evidence, evidence))


def hypotheses_view(found: Hypotheses, evidence: Aliases) -> Group:
    """The ranking, the matrix, and the search that could refute the leader."""
    letters = {item.id: chr(ord("A") + place) for place, item in enumerate(found.ranked)}
    ranking = listing(
        [(letters[item.id], item.title, item.against, item.supported) for item in found.ranked],
        ("", "hypothesis", "against", "for"),
    )
    signs = {"consistent": "+", "inconsistent": "-", "neutral": "·"}
    matrix = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    matrix.add_column("evidence", overflow="fold", ratio=1)
    for item in found.ranked:
        matrix.add_column(letters[item.id], justify="center")
    matrix.add_column("rests on", overflow="fold")
    for row in found.rows:
        cells = (signs[row.bears[item.id]] for item in found.ranked)
        matrix.add_row(text(row.says), *cells, _cited(row.evidence, evidence))
    parts: list[RenderableType] = [text(found.sentence()), Text(), ranking, Text(), matrix]
    if found.refutation:
        parts += [Text(), Text("The cheapest search that could refute the leader", style="bold")]
        parts.append(text(f"{found.refutation.says}: {found.refutation.because}"))
        for query in found.refutation.queries:
            parts.append(text(f"{query.platform} {query.language} {query.collection}", "dim"))
            parts.append(text(query.text))
    return Group(*parts)


def _cited(rows: Sequence[str], evidence: Aliases) -> Text:
    names = [evidence[row].alias for row in rows if row in evidence]
    more = f" +{len(names) - 3}" if len(names) > 3 else ""
    return text(f"  [{', '.join(names[:3])}{more}]" if names else "", "green")


def _moment(moment: datetime) -> str:
    return f"{moment:%m-%d %H:%M:%S}"


def _left_out(number: int, what: str) -> Iterator[Text]:
    if number > 0:
        yield Text(f"{number} further {what}: /export html FILE or /export json FILE holds them", style="dim")
