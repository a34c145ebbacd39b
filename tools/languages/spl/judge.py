"""The findings of a check: fields through the pipeline, and the traps of `search`.

What `where` and `eval` get wrong is in `expression_judge`.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from ..fields_here import FieldsHere
from ..query import Diagnostic
from ..syntax import did_you_mean
from .ast import (
    Always,
    And,
    Bin,
    Compare,
    Dedup,
    Eval,
    Expression,
    Fields,
    FillNull,
    Head,
    In,
    Node,
    Not,
    Or,
    Pipeline,
    Regex,
    Rename,
    Reverse,
    Rex,
    Search,
    Sort,
    Stage,
    Stats,
    Table,
    Tail,
    Term,
    Top,
    Value,
    Where,
)
from .conditions import OR_BEFORE_AND
from .expression_judge import ExpressionJudge
from .literals import pattern_problem
from .schema import CODE, SOURCETYPES, all_fields, common, fields_of, logs, sources
from .times import resolve

_ESCAPED_STAR = re.compile(r"(?<!\\)(?:\\\\)*\\\*")
_INTERNAL = ("_time", "_raw")
"""Fields that `fields` keeps unless they are dropped by name."""
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_SOURCES = ("source", "sourcetype", "index")


class Judge:
    """Judges one query. `places` are the logs that it names, `used` the fields that it reads from events."""

    def __init__(self, query: Pipeline, text: str, collection: str | None) -> None:
        self._query, self._text = query, text
        self.used: list[str] = []
        self._here = FieldsHere(all_fields())
        head = query.stages[0]
        self._asked = list(_plain(head.condition)) if isinstance(head, Search) else []
        self._named, self._foreign = self._logs(collection)
        self._codes = self._named_codes()

    @property
    def places(self) -> tuple[str, ...]:
        """The known logs that the query names."""
        return tuple(sorted(self._named))

    def run(self) -> Iterator[Diagnostic]:
        """Every finding."""
        head = self._query.stages[0]
        if isinstance(head, Search):
            yield from self._bounds(head)
        for stage in self._query.stages:
            yield from self._stage(stage)

    def _logs(self, collection: str | None) -> tuple[frozenset[str], bool]:
        """The known logs that every event must be of, and whether other sources are named."""
        named: set[str] = {collection} if collection else set()
        foreign = False
        for name, values in self._asked:
            if name not in _SOURCES or all(value.text.strip("*") == "" for value in values):
                continue
            for value in values:
                found = (
                    {place for source, place in sources().items() if fnmatchcase(source, value.text.lower())}
                    if name == "source"
                    else set()
                )
                named |= found
                foreign = foreign or (name == "source" and not found)
                foreign = foreign or (name == "sourcetype" and value.text not in SOURCETYPES)
        indexed = any(
            name == "index" and any("*" not in value.text for value in values) for name, values in self._asked
        )
        return frozenset(named), foreign or (indexed and not named)

    def _named_codes(self) -> frozenset[str]:
        for name, values in self._asked:
            if name == CODE:
                return frozenset(value.text for value in values)
        return frozenset()

    def _bounds(self, head: Search) -> Iterator[Diagnostic]:
        place = head.start, max(head.end, head.start + 1)
        moments = []
        for name, text in (("earliest", head.earliest), ("latest", head.latest)):
            if text is None:
                continue
            try:
                moments.append(resolve(text, _ANY_TIME))
            except ValueError as error:
                start = max(self._text.find(name, head.start), 0)
                yield Diagnostic("bad_value", "error", str(error), start, start + len(name))
        if len(moments) == 2 and moments[0] >= moments[1]:
            yield Diagnostic("bad_value", "error", "earliest is not before latest", *place)
        if head.earliest is None:
            message = "no earliest: through the API a search without it reads all time"
            yield Diagnostic("unbounded", "warning", message, *place, "add earliest=-24h")
        if not any(isinstance(node, Compare | In) and node.field == "index" for node in _nodes(head.condition)):
            message = "without an index only the default indexes of the user's role are searched"
            yield Diagnostic("silent_zero", "info", message, *place, "add index=*, or the index that holds the events")

    def _stage(self, stage: Stage) -> Iterator[Diagnostic]:
        match stage:
            case Search(condition=condition):
                if condition is not None:
                    yield from self._node(condition)
            case Where(expression=expression):
                yield from self._expression(expression, wanted="condition")
            case Eval(assignments=assignments):
                for name, expression in assignments:
                    yield from self._expression(expression, wanted="value")
                    self._here.add(name)
            case Regex(field=name, pattern=pattern):
                yield from self._fields((name,), stage)
                yield from self._pattern(pattern, stage)
            case Rex(field=name, pattern=pattern, names=names):
                yield from self._fields((name,), stage)
                yield from self._pattern(pattern, stage)
                self._here.add(*names)
            case Stats():
                yield from self._stats(stage)
            case Top(fields=fields, by=by):
                yield from self._fields((*fields, *by), stage)
                self._here.leave(*fields, *by, "count", "percent")
            case Bin(field=name, name=label):
                yield from self._fields((name,), stage)
                self._here.add(label)
            case Table(fields=fields):
                yield from self._fields(fields, stage)
                self._keep(fields)
            case Fields(fields=fields, drop=drop):
                yield from self._fields(fields, stage)
                if drop:
                    self._drop(fields)
                else:
                    self._keep((*fields, *_INTERNAL))
            case Sort(keys=keys):
                yield from self._fields(tuple(key.field for key in keys), stage)
            case Dedup(fields=fields):
                yield from self._fields(fields, stage)
            case Rename(pairs=pairs):
                for old, new in pairs:
                    yield from self._fields((old,), stage)
                    self._drop((old,))
                    self._here.add(new)
            case FillNull(fields=fields):
                self._here.add(*fields)
            case Head() | Tail() | Reverse():
                return

    def _stats(self, stage: Stats) -> Iterator[Diagnostic]:
        for item in stage.functions:
            if isinstance(item.of, str):
                yield from self._field(item.of, item.start, item.end)
            elif item.of is not None:
                wanted = "condition" if item.function == "count" else "value"
                yield from self._expression(item.of, wanted=wanted)
        yield from self._fields(stage.by, stage)
        names = [item.name for item in stage.functions]
        if stage.beside:
            self._here.add(*names)
        else:
            self._here.leave(*stage.by, *names)

    # Which fields are there.

    def _keep(self, patterns: tuple[str, ...]) -> None:
        here = self._here.known
        plain = {name for name in patterns if "*" not in name and (name in here or self._foreign)}
        self._here.leave(
            *plain, *(name for name in here if any(fnmatchcase(name, item) for item in patterns if "*" in item))
        )

    def _drop(self, patterns: tuple[str, ...]) -> None:
        named = self._here.known | set(patterns)
        self._here.drop(name for name in named if any(fnmatchcase(name, item) for item in patterns))

    def _fields(self, names: tuple[str, ...], stage: Stage) -> Iterator[Diagnostic]:
        for name in names:
            if "*" not in name:
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
        yield from self._known(name, start, end)

    def _known(self, name: str, start: int, end: int) -> Iterator[Diagnostic]:
        if self._foreign or name in common():
            return
        here = fields_of(self._named)
        if name not in here:
            hint = did_you_mean(name, here)
            where = " and ".join(self.places) or "known Windows log"
            message = f"no event of {where} has a field {name}" if self._named else f"no {where} has a field {name}"
            yield Diagnostic("unknown_column", "error" if self._named else "warning", message, start, end, hint)
            return
        events = [logs()[place].events.get(code) for place in self._named for code in self._codes]
        known = [fields for fields in events if fields is not None]
        if (
            known
            and not any(name in fields for fields in known)
            and not any(name in logs()[p].common for p in self._named)
        ):
            shown = ", ".join(sorted(self._codes)[:3])
            yield Diagnostic("silent_zero", "warning", f"events {shown} carry no {name}", start, end)

    # Conditions of `search`.

    def _node(self, node: Node) -> Iterator[Diagnostic]:
        match node:
            case Always():
                return
            case Not(part=part):
                yield from self._node(part)
            case And(parts=parts) | Or(parts=parts):
                for part in parts:
                    if OR_BEFORE_AND and isinstance(node, And) and isinstance(part, Or) and not part.bracketed:
                        message = "OR beside AND without brackets; in search OR is taken first, in where AND"
                        hint = "put brackets around what belongs together"
                        yield Diagnostic("ambiguous", "warning", message, part.start, part.end, hint)
                    yield from self._node(part)
            case Term():
                yield from self._term(node)
            case In(field=name, values=values):
                yield from self._compared(name, node)
                for value in values:
                    yield from self._value(name, value)
            case Compare(field=name, comparator=comparator, value=value):
                yield from self._compared(name, node)
                yield from self._value(name, value)
                if comparator == "!=" and self._here.from_event(name) and value.text != "*":
                    message = f"{name}!= leaves out every event that has no {name}"
                    hint = f"to keep those, write NOT {name}=..."
                    yield Diagnostic("ambiguous", "info", message, node.start, node.end, hint)

    def _compared(self, name: str, node: Compare | In) -> Iterator[Diagnostic]:
        if name.startswith("'"):
            message = "single quotes are part of the name here; they quote fields in where and eval alone"
            yield Diagnostic("silent_zero", "warning", message, node.start, node.start + len(name), "use double quotes")
            return
        yield from self._field(name, node.start, node.end)

    def _term(self, term: Term) -> Iterator[Diagnostic]:
        if not term.quoted and term.text in ("and", "or", "not", "And", "Or", "Not"):
            message = f"`{term.text}` is searched for as a word"
            yield Diagnostic("silent_zero", "warning", message, term.start, term.end, f"write {term.text.upper()}")
        yield from self._star(term.start, term.end)
        if not self._here.whole:
            message = "a bare word is searched for in the raw event, which is gone here"
            yield Diagnostic("silent_zero", "warning", message, term.start, term.end, "write field=value")

    def _star(self, start: int, end: int) -> Iterator[Diagnostic]:
        if _ESCAPED_STAR.search(self._text, start, end):
            message = "an asterisk cannot be escaped in search; it stays a wildcard behind a literal backslash"
            hint = 'for the sign itself write: | where like(field, "%*%") or match(field, "\\\\*")'
            yield Diagnostic("ambiguous", "warning", message, start, end, hint)

    def _value(self, name: str, value: Value) -> Iterator[Diagnostic]:
        yield from self._star(value.start, value.end)
        if not self._here.from_event(name):
            return
        if name == "source" and not any(fnmatchcase(source, value.text.lower()) for source in sources()):
            shown = [source for log in logs().values() for source in log.sources]
            hint = did_you_mean(value.text, shown)
            if hint is not None:
                message = f"no known log is called {value.text}"
                yield Diagnostic("silent_zero", "warning", message, value.start, value.end, hint)
        if name == CODE and self._named:
            yield from self._code(value)

    def _code(self, value: Value) -> Iterator[Diagnostic]:
        if "*" in value.text or any(value.text in logs()[place].events for place in self._named):
            return
        elsewhere = [place for place, log in logs().items() if value.text in log.events]
        if elsewhere or not value.text.isdecimal() or "security" not in self._named:
            hint = f"that event is written to {' and '.join(elsewhere)}" if elsewhere else None
            message = f"{' and '.join(self.places)} has no event {value.text}"
            yield Diagnostic("silent_zero", "warning", message, value.start, value.end, hint)

    # Expressions.

    def _expression(self, item: Expression, *, wanted: str) -> Iterator[Diagnostic]:
        yield from ExpressionJudge(self._text, self._field, self._is_field).run(item, wanted)

    def _is_field(self, name: str) -> bool:
        return name in self._here.made or (self._here.whole and name in all_fields())

    def _pattern(self, pattern: str, stage: Stage) -> Iterator[Diagnostic]:
        problem = pattern_problem(pattern)
        if problem is not None:
            start = max(self._text.find('"', stage.start, stage.end), stage.start)
            yield Diagnostic("bad_value", "error", problem, start, stage.end)


def _plain(node: Node | None) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """Equality conditions that every event must meet."""
    match node:
        case And(parts=parts):
            for part in parts:
                yield from _plain(part)
        case Compare(field=name, comparator="=", value=value):
            yield name, (value,)
        case In(field=name, values=values):
            yield name, values
        case Or(parts=parts):
            alternatives = [list(_plain(part)) for part in parts]
            names = {name for found in alternatives for name, _ in found}
            if len(names) == 1 and all(len(found) == 1 for found in alternatives):
                yield names.pop(), tuple(value for found in alternatives for _, values in found for value in values)
        case _:
            return


def _nodes(node: Node | None) -> Iterator[Node]:
    if node is None:
        return
    yield node
    match node:
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                yield from _nodes(part)
        case Not(part=part):
            yield from _nodes(part)
        case _:
            return
