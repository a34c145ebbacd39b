"""What is wrong with a CQL query. Falcon answers most mistakes with HTTP 200 and free-text matches or no rows."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from ..literals import regex_problem
from ..query import Check, Diagnostic, Language
from ..syntax import QuerySyntaxError, did_you_mean
from .ast import (
    Always,
    And,
    Compare,
    Count,
    Filter,
    GroupBy,
    Head,
    In,
    Node,
    Not,
    Or,
    Pipeline,
    Regex,
    Select,
    Sort,
    Stage,
    Table,
    Tail,
    Text,
)
from .parser import parse
from .schema import COLLECTIONS, EVENT, all_fields, common, events

_NUMBERS = frozenset({"<", "<=", ">", ">="})


def check(text: str, collection: str | None = None) -> Check:
    """Check a query: the supported subset, event names, fields through the pipeline, regular expressions.

    The time span is given outside the text, so a query is always bounded in time.
    """
    place = (collection,) if collection else ("events",)
    if collection is not None and collection not in COLLECTIONS:
        hint = did_you_mean(collection, COLLECTIONS) or "repositories: " + ", ".join(COLLECTIONS)
        unknown = Diagnostic("unknown_collection", "error", f"there is no repository {collection}", 0, 0, hint)
        return Check(Language.CQL, False, True, (unknown,))
    try:
        query = parse(text)
    except QuerySyntaxError as error:
        return Check(Language.CQL, False, True, (error.diagnostic(),), place)
    judge = _Judge(query, text)
    found = tuple(sorted(judge.run(), key=lambda item: (item.start, item.end)))
    ok = not any(item.severity == "error" for item in found)
    return Check(Language.CQL, ok, True, found, place, tuple(dict.fromkeys(judge.used)))


class _Judge:
    def __init__(self, query: Pipeline, text: str) -> None:
        self._query, self._text = query, text
        self.used: list[str] = []
        self._made: frozenset[str] | None = None
        """Fields that a stage has left; None while the whole event is there."""
        self._events = _named_events(query)

    def run(self) -> Iterator[Diagnostic]:
        for stage in self._query.stages:
            yield from self._stage(stage)

    def _stage(self, stage: Stage) -> Iterator[Diagnostic]:
        match stage:
            case Filter(condition=condition):
                yield from self._node(condition)
            case Count(of=column):
                if column is not None:
                    yield from self._field(column, stage.start, stage.end)
                self._made = frozenset({stage.name})
            case GroupBy(fields=fields, functions=functions):
                counted = [function.of for function in functions if function.of is not None]
                for name in (*fields, *counted):
                    yield from self._field(name, stage.start, stage.end)
                self._made = frozenset(fields) | {function.name for function in functions}
            case Sort(fields=fields):
                for name in fields:
                    yield from self._field(name, stage.start, stage.end)
            case Select(fields=fields) | Table(fields=fields):
                for name in fields:
                    yield from self._field(name, stage.start, stage.end)
                self._made = frozenset(fields)
            case Head() | Tail():
                return

    def _node(self, node: Node) -> Iterator[Diagnostic]:
        match node:
            case Always():
                return
            case Not(part=part):
                yield from self._node(part)
            case And(parts=parts) | Or(parts=parts):
                for part in parts:
                    if isinstance(node, And) and isinstance(part, Or) and not part.bracketed:
                        yield Diagnostic(
                            "ambiguous",
                            "warning",
                            "OR beside AND without brackets; here OR is taken first",
                            part.start,
                            part.end,
                            "put brackets around what belongs together",
                        )
                    yield from self._node(part)
            case In(field=name, values=values):
                yield from self._field(name, node.start, node.end)
                for value in values:
                    yield from self._event_name(name, value)
            case Compare(field=name, value=Regex() as value):
                yield from self._field(name, node.start, node.start + len(name))
                problem = regex_problem(value.pattern.replace("\\/", "/"))
                if problem is not None:
                    yield Diagnostic("bad_value", *problem, value.start, value.end)
            case Compare(field=name, comparator=comparator, value=Text() as value):
                yield from self._field(name, node.start, node.start + len(name))
                if comparator in _NUMBERS and not _is_number(value.text):
                    message = f"{comparator} compares numbers, and {value.text!r} is none"
                    yield Diagnostic("type_mismatch", "error", message, value.start, value.end)
                yield from self._event_name(name, value)

    def _event_name(self, name: str, value: Text) -> Iterator[Diagnostic]:
        if (
            name not in (EVENT, "event_simpleName")
            or value.text == ""
            or any(fnmatchcase(known, value.text) for known in events())
        ):
            return
        hint = did_you_mean(value.text, events())
        yield Diagnostic("bad_value", "error", f"no event is called {value.text}", value.start, value.end, hint)

    def _field(self, name: str, start: int, end: int) -> Iterator[Diagnostic]:
        place = self._text.find(name, start, end)
        if place >= 0:
            start, end = place, place + len(name)
        if self._made is not None:
            if name not in self._made:
                left = did_you_mean(name, self._made) or "fields here: " + ", ".join(sorted(self._made))
                yield Diagnostic("unknown_column", "error", f"no stage before has left {name}", start, end, left)
            return
        self.used.append(name)
        if name not in all_fields():
            hint = did_you_mean(name, all_fields())
            yield Diagnostic("unknown_column", "error", f"no known event has a field {name}", start, end, hint)
        elif self._events and name not in common() and not any(name in events()[event] for event in self._events):
            shown = ", ".join(sorted(self._events)[:3])
            yield Diagnostic("silent_zero", "warning", f"{shown} carry no {name}", start, end)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _named_events(query: Pipeline) -> frozenset[str]:
    """The events that every row must be one of, when the first filter says so plainly."""
    first = query.stages[0]
    if not isinstance(first, Filter):
        return frozenset()
    parts = first.condition.parts if isinstance(first.condition, And) else (first.condition,)
    for part in parts:
        for node in part.parts if isinstance(part, And) else (part,):
            match node:
                case Compare(field=name, comparator="=", value=Text(text=text)) if name == EVENT:
                    return frozenset(event for event in events() if fnmatchcase(event, text))
                case In(field=name, values=values) if name == EVENT:
                    return frozenset(e for e in events() if any(fnmatchcase(e, value.text) for value in values))
                case _:
                    continue
    return frozenset()
