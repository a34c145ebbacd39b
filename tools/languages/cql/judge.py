"""The findings of a check: fields through the pipeline, event names, and what Falcon answers with nothing."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from ....knowledge.errors import UnsafeValueError
from ..fields_here import FieldsHere
from ..literals import regex_problem
from ..query import Diagnostic
from ..syntax import did_you_mean
from ..values import block_of
from .ast import (
    Aggregate,
    Always,
    And,
    Assign,
    Bucket,
    Call,
    Case,
    Cidr,
    Compare,
    Count,
    Drop,
    Filter,
    GroupBy,
    Head,
    In,
    Node,
    Not,
    Or,
    Pipeline,
    Ref,
    Regex,
    Rename,
    Select,
    Sort,
    Stage,
    Summary,
    Table,
    Tail,
    Test,
    Text,
    Top,
)
from .conditions import OR_BEFORE_AND
from .schema import DEVICE_PATHS, EVENT, all_fields, common, events

BUCKET = "_bucket"
_NUMBERS = frozenset({"<", "<=", ">", ">="})
_GROUP = re.compile(r"\(\?P?<([A-Za-z_][A-Za-z0-9_]*)>")
_DRIVE = re.compile(r"\^?\(?\[?[A-Za-z](?:-[A-Za-z]\])?:(?:\\\\|\\)")


def groups_of(pattern: Regex) -> tuple[str, ...]:
    """The named groups of a pattern, which become fields of the events that it is found in."""
    return tuple(dict.fromkeys(_GROUP.findall(pattern.pattern)))


class Judge:
    """Judges one query. `used` are the fields that it reads from events."""

    def __init__(self, query: Pipeline, text: str) -> None:
        self._query, self._text = query, text
        self.used: list[str] = []
        self._here = FieldsHere(all_fields())
        self._events = _named_events(query)

    def run(self) -> Iterator[Diagnostic]:
        """Every finding."""
        for stage in self._query.stages:
            yield from self._stage(stage)

    def _stage(self, stage: Stage) -> Iterator[Diagnostic]:
        match stage:
            case Filter(condition=condition):
                yield from self._node(condition)
                self._here.add(*_extracted(condition))
            case Assign(field=name, value=value):
                yield from self._value(value)
                self._here.add(name)
            case Case(branches=branches):
                for branch in branches:
                    yield from self._node(branch.condition)
                    for item in branch.assignments:
                        yield from self._value(item.value)
                self._here.add(*(item.field for branch in branches for item in branch.assignments))
            case Count() | Aggregate():
                yield from self._summaries((stage,), stage)
                self._here.leave(*_names((stage,)))
            case GroupBy(fields=fields, functions=functions):
                yield from self._fields(fields, stage)
                yield from self._summaries(functions, stage)
                self._here.leave(*fields, *_names(functions))
            case Bucket(fields=fields, functions=functions):
                yield from self._fields(fields, stage)
                yield from self._summaries(functions, stage)
                self._here.leave(BUCKET, *fields, *_names(functions))
            case Top(fields=fields, name=name):
                yield from self._fields(fields, stage)
                self._here.leave(*fields, name)
            case Sort(fields=fields):
                yield from self._fields(fields, stage)
            case Select(fields=fields) | Table(fields=fields):
                yield from self._fields(fields, stage)
                if isinstance(stage, Table) and stage.sort_by is not None:
                    yield from self._fields((stage.sort_by,), stage)
                self._here.leave(*fields)
            case Drop(fields=fields):
                yield from self._fields(fields, stage)
                self._here.drop(fields)
            case Rename(pairs=pairs):
                for old, new in pairs:
                    yield from self._fields((old,), stage)
                    self._here.drop((old,))
                    self._here.add(new)
            case Head() | Tail():
                return

    def _summaries(self, functions: Iterable[Summary], stage: Stage) -> Iterator[Diagnostic]:
        for item in functions:
            named = item.fields if isinstance(item, Aggregate) else (item.of,) if item.of is not None else ()
            yield from self._fields(named, item if item.end else stage)

    def _value(self, value: Ref | Text | Call) -> Iterator[Diagnostic]:
        match value:
            case Ref(field=name):
                yield from self._field(name, value.start, value.end)
            case Call(fields=fields, pattern=pattern):
                for name in fields:
                    yield from self._field(name, value.start, value.end)
                if pattern is not None:
                    yield from self._pattern(pattern)
            case Text():
                return

    # Conditions.

    def _node(self, node: Node) -> Iterator[Diagnostic]:
        match node:
            case Always():
                return
            case Not(part=part):
                yield from self._node(part)
            case And(parts=parts) | Or(parts=parts):
                for part in parts:
                    if OR_BEFORE_AND and isinstance(node, And) and isinstance(part, Or) and not part.bracketed:
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
                    yield from self._compared(name, value)
            case Cidr(field=name, blocks=blocks):
                yield from self._field(name, node.start, node.end)
                for block in blocks:
                    yield from self._block(block)
            case Test(left=left, right=right):
                for item in (left, right):
                    if isinstance(item, Ref):
                        yield from self._field(item.field, item.start, item.end)
                if isinstance(left, Text) and isinstance(right, Text):
                    message = "this compares two values; a field stands without quotes"
                    yield Diagnostic("silent_zero", "warning", message, node.start, node.end)
            case Compare(field=name, value=Regex() as value):
                yield from self._field(name, node.start, node.end)
                yield from self._pattern(value)
                yield from self._path(name, value.pattern, value)
            case Compare(field=name, comparator=comparator, value=Text() as value):
                yield from self._field(name, node.start, node.end)
                if comparator in _NUMBERS and not _is_number(value.text):
                    message = f"{comparator} compares numbers, and {value.text!r} is none"
                    yield Diagnostic("type_mismatch", "error", message, value.start, value.end)
                if comparator in ("=", "!="):
                    yield from self._compared(name, value)

    def _compared(self, name: str, value: Text) -> Iterator[Diagnostic]:
        """What is wrong with a text that a field is to equal."""
        yield from self._event_name(name, value)
        yield from self._path(name, value.text, value)
        if "/" in value.text and _is_block(value.text):
            message = f"= compares the text; no address is called {value.text}"
            hint = f'write cidr({name}, subnet="{value.text}")'
            yield Diagnostic("silent_zero", "warning", message, value.start, value.end, hint)

    def _path(self, name: str, text: str, place: Text | Regex) -> Iterator[Diagnostic]:
        if name in DEVICE_PATHS and self._here.from_event(name) and _DRIVE.match(text):
            message = f"{name} begins with \\Device\\HarddiskVolumeN; no drive letter is in it"
            hint = "search for the path behind the drive letter"
            yield Diagnostic("silent_zero", "warning", message, place.start, place.end, hint)

    def _pattern(self, value: Regex) -> Iterator[Diagnostic]:
        problem = regex_problem(_GROUP.sub(r"(?P<\1>", value.pattern.replace("\\/", "/")))
        if problem is not None:
            yield Diagnostic("bad_value", *problem, value.start, value.end)

    def _block(self, block: Text) -> Iterator[Diagnostic]:
        if not _is_block(block.text):
            message = f"{block.text!r} is not a block of addresses"
            yield Diagnostic("bad_value", "error", message, block.start, block.end, "write it as 10.20.0.0/16")

    def _event_name(self, name: str, value: Text) -> Iterator[Diagnostic]:
        if name not in (EVENT, "event_simpleName") or value.text == "" or _called(value.text):
            return
        hint = did_you_mean(value.text, events())
        yield Diagnostic("bad_value", "error", f"no event is called {value.text}", value.start, value.end, hint)

    # Fields.

    def _fields(self, names: Iterable[str], stage: Stage) -> Iterator[Diagnostic]:
        for name in names:
            yield from self._field(name, stage.start, stage.end)

    def _field(self, name: str, start: int, end: int) -> Iterator[Diagnostic]:
        place = self._text.find(name, start, end)
        if place >= 0:
            start, end = place, place + len(name)
        if name in self._here.made:
            return
        if (gone := self._here.gone(name, start, end)) is not None:
            yield gone
            return
        self.used.append(name)
        if name not in all_fields():
            hint = did_you_mean(name, all_fields())
            yield Diagnostic("unknown_column", "error", f"no known event has a field {name}", start, end, hint)
        elif self._events and name not in common() and not any(name in events()[event] for event in self._events):
            shown = ", ".join(sorted(self._events)[:3])
            yield Diagnostic("silent_zero", "warning", f"{shown} carry no {name}", start, end)


def _names(functions: Iterable[Summary]) -> tuple[str, ...]:
    return tuple(name for item in functions for name in (item.names if isinstance(item, Aggregate) else (item.name,)))


def _extracted(node: Node) -> Iterator[str]:
    """Fields that every event which passes has from the patterns that were found in it."""
    match node:
        case And(parts=parts):
            for part in parts:
                yield from _extracted(part)
        case Compare(comparator="=", value=Regex() as value):
            yield from groups_of(value)
        case _:
            return


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_block(text: str) -> bool:
    try:
        block_of(text)
    except UnsafeValueError:
        return False
    return True


def _named_events(query: Pipeline) -> frozenset[str]:
    """The events that every row must be one of, when the first filter says so plainly."""
    first = query.stages[0]
    return (_named(first.condition) if isinstance(first, Filter) else None) or frozenset()


def _named(node: Node) -> frozenset[str] | None:
    match node:
        case Compare(field=name, comparator="=", value=Text(text=text)) if name in (EVENT, "event_simpleName"):
            return _called(text)
        case Compare(field=name, comparator="=", value=Regex() as value) if name in (EVENT, "event_simpleName"):
            return _found_by(value)
        case In(field=name, values=values) if name in (EVENT, "event_simpleName"):
            return frozenset[str]().union(*(_called(value.text) for value in values))
        case And(parts=parts):
            return next((found for part in parts if (found := _named(part)) is not None), None)
        case Or(parts=parts):
            each = [_named(part) for part in parts]
            return frozenset[str]().union(*(found for found in each if found)) if all(each) else None
        case _:
            return None


@lru_cache(maxsize=1024)
def _called(text: str) -> frozenset[str]:
    """The events of a name, in which `*` stands for anything."""
    if "*" not in text:
        return frozenset({text} & events().keys())
    pattern = re.compile(".*".join(map(re.escape, text.split("*"))))
    return frozenset(event for event in events() if pattern.fullmatch(event))


def _found_by(value: Regex) -> frozenset[str] | None:
    try:
        pattern = re.compile(value.pattern, re.IGNORECASE if value.ignores_case else 0)
    except re.error:
        return None
    return frozenset(event for event in events() if pattern.search(event))
