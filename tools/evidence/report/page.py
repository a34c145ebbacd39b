"""What the page shows of an answer: everything that the template needs, computed and in order.

Anchors and filter keys are numbers of ours, so that no text of evidence stands in an attribute.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import groupby

from markupsafe import Markup

from ....knowledge import attack
from ..claims import INSTRUCTION
from ..movement import Movement, Route, moves_of, routes
from ..process_tree import Process, forest
from ..records import Answer, Claim, Evidence, QueryRecord, TimelineEntry
from ..told import Told, Verdict
from .axis import duration
from .drawn_graph import Graph, draw_movement
from .drawn_timeline import Drawing, Happened, draw_timeline
from .tactics import Tactic, in_order, tactic_of
from .words import labelled, sentence

CITED_AT_ONCE = 4
"""Citations that a line shows; the others open on demand."""
ROWS_OF_ONE = 24
"""Rows of one entry that are held whole: what was folded into it beyond them is listed by id, and is in the case."""
MOST_ROWS = 2_000
"""Rows that the page holds whole."""
MOST_LISTED = 400
"""Citations of one line that are listed by name."""
MOST_PROCESSES = 400
MOST_ROUTES = 200
DEEPEST = 12
"""Indentation of the process tree ends here; deeper processes say how deep they are."""
RULED_OUT = ": ruled out, "


@dataclass(frozen=True)
class Citation:
    """A row as it is cited: its alias, and the places of its row and query on the page (0: not on the page)."""

    alias: str
    row: int
    query: int


@dataclass(frozen=True)
class Cited:
    """The citations of a line: those shown, those that open on demand, and how many more there are."""

    shown: tuple[Citation, ...]
    more: tuple[Citation, ...]
    beyond: int


@dataclass(frozen=True)
class Line:
    """An entry of the timeline."""

    place: int
    entry: TimelineEntry
    text: Markup
    because: str
    """Why a look-alike was ruled out."""
    tactic: Tactic
    techniques: tuple[tuple[str, str], ...]
    """Id and name."""
    lasted: str
    claim: Claim | None
    cited: Cited
    keys: str
    """What the filters know it by."""


@dataclass(frozen=True)
class Choice:
    """One value of a filter."""

    key: str
    name: str
    count: int
    style: str = ""


@dataclass(frozen=True)
class Filter:
    """A group of choices."""

    name: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Branch:
    """A process in the drawn tree, with the lists that open before it and close after it."""

    process: Process
    opening: Markup
    closing: Markup
    cited: Cited
    depth_note: str


class Page:
    """An answer, as the template reads it."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self._told = Told(answer)
        self._rows = {row.id: place for place, row in enumerate(answer.evidence, 1)}
        self._queries = {query.id: place for place, query in enumerate(answer.queries, 1)}
        self._claims = {claim.id: claim for claim in answer.claims}

    @cached_property
    def held(self) -> frozenset[str]:
        """Ids of the rows that the page holds whole, those of the timeline first."""
        citing: list[Sequence[str]] = [entry.evidence for entry in self.answer.timeline]
        citing += [claim.evidence for claim in self.answer.claims]
        citing += [proposal.evidence for proposal in self.answer.proposals]
        citing += [note.evidence for note in self.answer.notes]
        if self.answer.triage:
            citing += [factor.evidence for factor in self.answer.triage.because]
        chosen = dict.fromkeys(row for rows in citing for row in _first_and_last(rows) if row in self._rows)
        cited = {row for rows in citing for row in rows}
        chosen |= dict.fromkeys(row for row in self._rows if row not in cited)
        return frozenset(list(chosen)[:MOST_ROWS])

    def cite(self, evidence: Iterable[str]) -> Cited:
        """How a line's rows are cited: whole ones first."""
        names = [name for name in dict.fromkeys(evidence) if name in self._rows]
        names.sort(key=lambda name: name not in self.held)
        found = [self._citation(name) for name in names[:MOST_LISTED]]
        return Cited(tuple(found[:CITED_AT_ONCE]), tuple(found[CITED_AT_ONCE:]), max(len(names) - MOST_LISTED, 0))

    def _citation(self, name: str) -> Citation:
        row = self.answer.evidence[self._rows[name] - 1]
        return Citation(row.alias, self._rows[name] if name in self.held else 0, self._queries.get(row.query, 0))

    @cached_property
    def _links(self) -> Mapping[str, Markup]:
        """The citation of each alias, as a link where its row is on the page."""
        links: dict[str, Markup] = {}
        for row in self.answer.evidence:
            found = self._citation(row.id)
            if found.row:
                links.setdefault(row.alias, _LINK.format(found.row, found.query, row.alias))
        return links

    def text(self, text: str) -> Markup:
        """A sentence with its citations."""
        return sentence(text, self._links)

    @cached_property
    def summary(self) -> Markup:
        """The answer in a paragraph."""
        return sentence(self.answer.summary, self._links)

    @cached_property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What the page is about, in numbers: value and what it counts."""
        told = [entry for entry in self.answer.timeline if entry.verdict != "benign"]
        ruled = len(self.answer.timeline) - len(told)
        queries = [query for query in self.answer.queries if query.status == "ok"]
        found = [
            (len(told), "event told", "events told"),
            (ruled, "look-alike ruled out", "look-alikes ruled out"),
            (len({host for entry in told for host in entry.hosts}), "host", "hosts"),
            (len({name for entry in told for name in entry.platforms}), "platform saw it", "platforms saw it"),
            (len(self.answer.evidence), "row cited", "rows cited"),
            (len(queries), "query answered", "queries answered"),
        ]
        numbers = [(f"{number:,}", one if number == 1 else many) for number, one, many in found if number]
        times = [moment for entry in told for moment in (entry.time, entry.until) if moment]
        lasted = duration(max(times) - min(times)) if len(times) > 1 and max(times) > min(times) else ""
        return (*numbers, *([(lasted, "from first to last")] if lasted else []))

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Every entry in the order of time, look-alikes included."""
        ordered = sorted(enumerate(self.answer.timeline, 1), key=lambda item: (item[1].time, item[0]))
        return tuple(self._line(place, entry) for place, entry in ordered)

    @property
    def days(self) -> list[tuple[date, list[Line]]]:
        """What is told, by day."""
        told = (line for line in self.lines if line.entry.verdict != "benign")
        return [(day, list(lines)) for day, lines in groupby(told, key=lambda line: line.entry.time.date())]

    @property
    def ruled_out(self) -> list[Line]:
        """The look-alikes."""
        return [line for line in self.lines if line.entry.verdict == "benign"]

    def _line(self, place: int, entry: TimelineEntry) -> Line:
        said, mark, because = entry.text.rpartition(RULED_OUT)
        if entry.verdict != "benign" or not mark:
            said, because = entry.text, ""
        lasted = duration(entry.until - entry.time) if entry.until and entry.until > entry.time else ""
        tactic = self._tactic(entry)
        return Line(
            place=place,
            entry=entry,
            text=labelled(said, self._links),
            because=because,
            tactic=tactic,
            techniques=tuple((item, _technique_name(item)) for item in entry.techniques),
            lasted=lasted,
            claim=self._claims.get(entry.claim),
            cited=self.cite(entry.evidence),
            keys=" ".join((*self._keys(entry), tactic.style)),
        )

    def _tactic(self, entry: TimelineEntry) -> Tactic:
        rows = (self.answer.evidence[self._rows[name] - 1] for name in entry.evidence[:8] if name in self._rows)
        named = [str(value) for row in rows for value in _as_list(row.fields.get("attacks.tactic"))]
        return tactic_of(entry.techniques, named)

    def _keys(self, entry: TimelineEntry) -> Iterable[str]:
        yield from (f"h{self._hosts.index(host)}" for host in dict.fromkeys(entry.hosts))
        yield from (f"p{self._platforms.index(name)}" for name in dict.fromkeys(entry.platforms))

    @cached_property
    def _hosts(self) -> list[str]:
        return list(dict.fromkeys(host for entry in self.answer.timeline for host in entry.hosts))

    @cached_property
    def _platforms(self) -> list[str]:
        return sorted({name for entry in self.answer.timeline for name in entry.platforms})

    @property
    def filters(self) -> list[Filter]:
        """What the timeline can be narrowed by; a group with one choice narrows nothing."""
        entries = [line.entry for line in self.lines]
        tactics = [line.tactic for line in self.lines]
        groups = (
            Filter("Host", tuple(
                Choice(f"h{n}", host, sum(host in entry.hosts for entry in entries)) for n, host in enumerate(self._hosts)
            )),
            Filter("Tactic", tuple(
                Choice(tactic.style, tactic.name, tactics.count(tactic), tactic.style) for tactic in in_order(tactics)
            )),
            Filter("Platform", tuple(
                Choice(f"p{n}", name, sum(name in entry.platforms for entry in entries))
                for n, name in enumerate(self._platforms)
            )),
        )  # fmt: skip
        return [group for group in groups if len(group.choices) > 1]

    @property
    def legend(self) -> list[Tactic]:
        """The tactics that the drawing uses."""
        return in_order(line.tactic for line in self.lines)

    @cached_property
    def drawing(self) -> Drawing | None:
        """The drawn timeline."""
        entries = [
            Happened(
                place=line.place,
                time=line.entry.time,
                until=line.entry.until,
                host=line.entry.hosts[0] if line.entry.hosts else "",
                tactic=line.tactic,
                verdict=line.entry.verdict,
                title=f"{clock(line.entry.time)} {line.entry.text}"[:240],
            )
            for line in self.lines
        ]
        return draw_timeline(entries)

    @cached_property
    def movement(self) -> Movement:
        """Logons and connections between places."""
        return moves_of(self._told)

    @cached_property
    def graph(self) -> Graph | None:
        """The movement, drawn."""
        return draw_movement(self.movement)

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """The movement as lines of a table."""
        return routes(self.movement.moves)

    @property
    def routes_shown(self) -> int:
        """Lines that the table holds."""
        return MOST_ROUTES

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """The processes, depth first."""
        return forest(self._told)

    @property
    def trees(self) -> list[tuple[str, list[Branch]]]:
        """The processes by host, as lists within lists."""
        shown = self.processes[:MOST_PROCESSES]
        return [(host, self._branches(list(found))) for host, found in groupby(shown, key=lambda process: process.host)]

    def _branches(self, processes: Sequence[Process]) -> list[Branch]:
        depths = [min(process.depth, DEEPEST) for process in processes]
        before, after = [-1, *depths[:-1]], [*depths[1:], -1]
        return [
            Branch(
                process=process,
                # Depth first, a child follows its parent at once, so lists open one at a time.
                opening=_OPEN if depth > earlier else Markup(""),
                closing=Markup("")
                if later > depth
                else _CLOSE + (_END + _CLOSE) * (depth - max(later, 0)) + (_END if later < 0 else Markup("")),
                cited=self.cite(process.evidence),
                depth_note=f"level {process.depth}" if process.depth > DEEPEST else "",
            )
            for process, depth, earlier, later in zip(processes, depths, before, after, strict=True)
        ]

    @property
    def processes_shown(self) -> int:
        """Processes that the tree holds."""
        return MOST_PROCESSES

    def prose(self, text: str) -> Markup:
        """A runbook's text: lists and paragraphs as they are, code as code."""
        return Markup("").join(
            Markup('<p class="{}">{}</p>').format(
                "item" if line.lstrip().startswith(("- ", "* ")) else "", sentence(line)
            )
            for line in text.split("\n")
            if line.strip()
        )

    @property
    def rows(self) -> list[tuple[int, Evidence]]:
        """The rows that the page holds whole, with their places."""
        return [(place, row) for place, row in enumerate(self.answer.evidence, 1) if row.id in self.held]

    @property
    def other_rows(self) -> list[Evidence]:
        """Rows that are cited and not held whole."""
        return [row for row in self.answer.evidence if row.id not in self.held]

    def query_place(self, query_id: str) -> int:
        """The place of a query on the page; 0 when it is not there."""
        return self._queries.get(query_id, 0)

    @property
    def coverage(self) -> list[tuple[str, int, int, int]]:
        """By platform: queries, those that are complete, rows returned."""
        ordered = sorted(self.answer.queries, key=lambda query: query.platform)
        found = []
        for platform, held in groupby(ordered, key=lambda query: query.platform):
            queries = list(held)
            found.append((platform, len(queries), sum(q.complete for q in queries), sum(q.rows for q in queries)))
        return found

    @property
    def instructions(self) -> list[Claim]:
        """Texts in telemetry that address an assistant."""
        return [claim for claim in self.answer.claims if claim.predicate == INSTRUCTION]


_OPEN, _CLOSE, _END = Markup('<ul class="tree">'), Markup("</li>"), Markup("</ul>")
_LINK = Markup('<a class="cite" href="#row-{}" data-query="{}">{}</a>')


def _first_and_last(rows: Sequence[str]) -> Sequence[str]:
    """The rows of a line that are held whole: where it began, and how it ended."""
    return rows if len(rows) <= ROWS_OF_ONE else (*rows[: ROWS_OF_ONE - 1], rows[-1])


def _technique_name(technique_id: str) -> str:
    found = attack.technique(technique_id)
    return found.name if found else ""


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def clock(moment: datetime) -> str:
    """The time of day in UTC, with milliseconds where they say something."""
    return f"{moment:%H:%M:%S}" + (f".{moment.microsecond // 1000:03d}" if moment.microsecond else "")


def state_of(query: QueryRecord) -> str:
    """How a query ended, in a word or a reason."""
    if query.status != "ok":
        return query.status + (f": {query.error}" if query.error else "")
    return "complete" if query.complete else f"incomplete: {query.incomplete_because or 'unknown'}"


def verdict_word(verdict: Verdict) -> str:
    """A verdict as a reader says it."""
    return {"suspicious": "suspicious", "context": "context", "benign": "ruled out"}[verdict]
