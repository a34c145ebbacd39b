"""The movement between places as a drawing: columns by how many moves a place is away from where it began."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..movement import Move, Movement, Place
from ..told import WEIGHT, Verdict

BOX, ROW, COLUMN = (126, 40), 84, 290
LINE, WORDS_WIDE = 13, 120
CROWDED = 4
"""Arrows at one place that stand in each other's way."""
MOST_PLACES = 28
MOST_WORDS = 3
"""Lines at an arrow; what more there is stands in the table."""


@dataclass(frozen=True, slots=True)
class Box:
    """One place, by its upper left corner."""

    place: Place
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Arrow:
    """All moves from one place to another; the words stand in the middle of the curve."""

    path: str
    x: float
    y: float
    words: tuple[str, ...]
    verdict: Verdict
    failed: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """Everything that the template draws; `left_out` places stand in the table alone."""

    width: float
    height: float
    box_width: int
    box_height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    left_out: int


def draw_movement(movement: Movement) -> Graph | None:
    """Lay out a movement; None when nothing moved."""
    if not movement.moves:
        return None
    shown = _weightiest(movement)
    moves = [move for move in movement.moves if move.source in shown and move.target in shown]
    columns = _columns(shown, moves)
    most = max(len(column) for column in columns)
    height = most * ROW + 24
    places: dict[Place, Box] = {}
    for number, column in enumerate(columns):
        top = (height - len(column) * ROW) / 2
        for row, place in enumerate(column):
            places[place] = Box(place, 12 + number * COLUMN, top + row * ROW + (ROW - BOX[1]) / 2)
    between: dict[tuple[Place, Place], list[Move]] = defaultdict(list)
    for move in moves:
        between[move.source, move.target].append(move)
    worded = [ends for ends, held in between.items() if any(move.verdict != "benign" for move in held)]
    leaving, arriving = Counter(source for source, _ in worded), Counter(target for _, target in worded)
    arrows = [
        _arrow(
            places[source],
            places[target],
            held,
            both_ways=(target, source) in between,
            at=_word_place(leaving[source], arriving[target]),
        )
        for (source, target), held in between.items()
    ]
    # What matters is drawn last, on top of the rest.
    arrows.sort(key=lambda arrow: -WEIGHT[arrow.verdict])
    arrows = list(_apart(arrows))
    return Graph(
        width=(len(columns) - 1) * COLUMN + BOX[0] + 24,
        height=height,
        box_width=BOX[0],
        box_height=BOX[1],
        boxes=tuple(places.values()),
        arrows=tuple(arrows),
        left_out=len(movement.places) - len(shown),
    )


def _weightiest(movement: Movement) -> set[Place]:
    """The places to draw: those of the weightiest moves first, and of these the earliest."""
    shown: dict[Place, None] = {}
    for move in sorted(movement.moves, key=lambda move: (WEIGHT[move.verdict], move.first)):
        fresh = {move.source, move.target} - shown.keys()
        if len(shown) + len(fresh) <= MOST_PLACES:
            shown.update(dict.fromkeys((move.source, move.target)))
    return set(shown)


def _columns(shown: set[Place], moves: Sequence[Move]) -> list[list[Place]]:
    """Places by their distance from a beginning, over the weightiest moves first; within a column by first appearance."""
    distance: dict[Place, int] = {}
    for move in sorted(moves, key=lambda move: (WEIGHT[move.verdict], move.first)):
        if move.source not in distance:
            # Whoever moves to a place that is drawn already stands to its left, where there is room.
            known = distance.get(move.target)
            distance[move.source] = 0 if known is None else max(known - 1, 0)
        distance.setdefault(move.target, distance[move.source] + 1)
    columns: dict[int, list[Place]] = defaultdict(list)
    order = dict.fromkeys(place for move in moves for place in (move.source, move.target))
    for place in order:
        columns[distance[place]].append(place)
    return [_centred(columns[number], moves) for number in sorted(columns)]


def _centred(column: list[Place], moves: Sequence[Move]) -> list[Place]:
    """The places of the story in the middle of their column, so that its path runs straight."""
    weight = dict.fromkeys(column, 2)
    for move in moves:
        for place in (move.source, move.target):
            if place in weight:
                weight[place] = min(weight[place], WEIGHT[move.verdict])
    ordered = sorted(column, key=lambda place: weight[place])
    return [*ordered[1::2][::-1], *ordered[::2]]


def _word_place(leaving: int, arriving: int) -> float:
    """How far along an arrow its words stand: where many arrows meet, at the end that they do not share."""
    if max(leaving, arriving) < CROWDED:
        return 0.5
    return 0.42 if arriving >= leaving else 0.58


def _arrow(source: Box, target: Box, moves: Sequence[Move], *, both_ways: bool, at: float) -> Arrow:
    width, height = BOX
    if source.x < target.x:
        start, end = (source.x + width, source.y + height / 2), (target.x - 2, target.y + height / 2)
        bend = (end[0] - start[0]) / 2
        lift = -13 if both_ways else 0
        turns = (start[0] + bend, start[1] + lift), (end[0] - bend, end[1] + lift)
    elif source.x > target.x:
        start, end = (source.x, source.y + height / 2 + 9), (target.x + width + 2, target.y + height / 2 + 9)
        bend = (start[0] - end[0]) / 2
        turns = (start[0] - bend, start[1] + 18), (end[0] + bend, end[1] + 18)
    else:
        start, end = (source.x + width, source.y + height / 2), (target.x + width + 2, target.y + height / 2)
        turns = (start[0] + 54, start[1]), (end[0] + 54, end[1])
    (a, b), (c, d) = turns
    weightiest = min(moves, key=lambda move: WEIGHT[move.verdict]).verdict
    told = [move for move in moves if move.verdict == weightiest]
    words = tuple(_words(told))
    if len(words) > MOST_WORDS:
        words = (*words[: MOST_WORDS - 1], f"and {len(words) - MOST_WORDS + 1} more")
    return Arrow(
        path=f"M{start[0]:.1f} {start[1]:.1f}C{a:.1f} {b:.1f} {c:.1f} {d:.1f} {end[0]:.1f} {end[1]:.1f}",
        x=_along(at, start[0], a, c, end[0]),
        y=_along(at, start[1], b, d, end[1]),
        words=words,
        verdict=weightiest,
        failed=all(move.failed for move in moves),
    )


def _apart(arrows: Sequence[Arrow]) -> Iterator[Arrow]:
    """The same arrows, their words lifted until they stand clear of each other."""
    taken: list[tuple[float, float, float]] = []
    for arrow in arrows:
        if arrow.verdict == "benign":
            yield arrow
            continue
        y, height = arrow.y, LINE * len(arrow.words)
        while any(abs(arrow.x - x) < WORDS_WIDE and y - height < bottom and y > top for x, top, bottom in taken):
            y -= LINE
        taken.append((arrow.x, y - height, y))
        yield replace(arrow, y=y)


def _along(part: float, *points: float) -> float:
    """One coordinate of a cubic curve at a part of its way."""
    rest = 1 - part
    a, b, c, d = points
    return rest**3 * a + 3 * rest * rest * part * b + 3 * rest * part * part * c + part**3 * d


def _words(moves: Sequence[Move]) -> Iterator[str]:
    """What went this way: a line for each kind, with the account where it is one."""
    alike: dict[tuple[str, bool], list[Move]] = defaultdict(list)
    for move in moves:
        alike[move.how, move.failed].append(move)
    for (how, failed), found in alike.items():
        accounts = {move.account for move in found if move.account and move.kind == "logon"}
        who = f"{len(accounts)} accounts " if len(accounts) > 1 else "".join(f"{account} " for account in accounts)
        times = sum(move.count for move in found)
        often = f" ×{times}" if times > max(len(accounts), 1) else ""
        yield f"{who}{'failed ' if failed else ''}{how}{often}"
