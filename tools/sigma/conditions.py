"""A rule's parsed condition as a `Search` expression, and what had to be left out of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sigma import conditions as parsed
from sigma import types as sigma

from ..languages.search import All, AnyOf, Condition, Expression, Not, Operator
from .mapping import EventKind, LogSource, SigmaMapping, Target
from .values import CannotExpressError, any_of, condition_on

_MERGED = frozenset(
    {Operator.EQ, Operator.CONTAINS, Operator.STARTSWITH, Operator.ENDSWITH, Operator.MATCHES, Operator.CIDR}
)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A part of a condition that cannot be stated: the Sigma field and why."""

    field: str | None
    why: str

    def __str__(self) -> str:
        return f"{self.field}: {self.why}" if self.field else self.why


Part = Expression | bool | Unknown


@dataclass
class Translation:
    """One condition on its way into a search."""

    mapping: SigmaMapping
    fields: Mapping[str, Target]
    kinds: Mapping[str, EventKind] = field(default_factory=dict)
    """Of a log with many kinds: EventID to the kind, all of one class."""
    dropped_alternatives: list[Unknown] = field(default_factory=list)
    dropped_filters: list[Unknown] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of(self, node: Any, *, under_not: bool = False) -> Part:
        """The expression of a node of the condition; True where it always holds, `Unknown` where it cannot be stated."""
        match node:
            case parsed.ConditionAND():
                return self._all([self.of(part, under_not=under_not) for part in node.args])
            case parsed.ConditionOR():
                return self._any([self.of(part, under_not=under_not) for part in node.args], under_not)
            case parsed.ConditionNOT():
                return self._not(self.of(node.args[0], under_not=not under_not), under_not)
            case parsed.ConditionFieldEqualsValueExpression():
                return self._compared(node.field, node.value)
            case parsed.ConditionValueExpression():
                return Unknown(None, f"the keyword {str(node.value)!r} stands without a field")
            case _:
                return Unknown(None, "the condition is empty")

    def _compared(self, name: str, value: sigma.SigmaType) -> Part:
        if name == "EventID" and self.kinds:
            return self._event(value)
        target = self.fields.get(name)
        if target is None:
            return Unknown(name, "no attribute carries this field")
        try:
            found = condition_on(target, value, self._hives, self.notes.append)
        except CannotExpressError as exc:
            return Unknown(name, f"no search can state {exc}")
        return found if isinstance(found, bool) else merged(found)

    def _event(self, value: sigma.SigmaType) -> Part:
        kind = self.kinds.get(str(value.to_plain())) if not isinstance(value, sigma.SigmaNull) else None
        if kind is None:
            return Unknown("EventID", f"{value} has no event class")
        return conjunction(where_of(kind))

    def _hives(self, text: str) -> Iterable[str]:
        for prefix, spellings in self.mapping.hives.items():
            if text.casefold().startswith(prefix.casefold()):
                return [spelling + text[len(prefix) :] for spelling in spellings]
        return [text]

    def _all(self, parts: list[Part]) -> Part:
        unknown = next((part for part in parts if isinstance(part, Unknown)), None)
        if unknown is not None:
            return unknown
        return conjunction([part for part in parts if not isinstance(part, bool | Unknown)])

    def _any(self, parts: list[Part], under_not: bool) -> Part:
        unknown = [part for part in parts if isinstance(part, Unknown)]
        known = [part for part in parts if not isinstance(part, Unknown)]
        if not known:
            return unknown[0]
        (self.dropped_filters if under_not else self.dropped_alternatives).extend(unknown)
        whole = any_of(known)
        return whole if isinstance(whole, bool) else merged(whole)

    def _not(self, part: Part, under_not: bool) -> Part:
        if isinstance(part, Unknown):
            if under_not:
                return part
            self.dropped_filters.append(part)
            return True
        if isinstance(part, bool):
            return Unknown(None, "the rule excludes what every event of its log source has")
        return part.of if isinstance(part, Not) else Not(of=part)


def where_of(kind: EventKind) -> list[Expression]:
    """What all events of a kind have, as conditions."""
    return [Condition(field=name, op=Operator.EQ, values=values) for name, values in kind.where.items()]


def conjunction(parts: Iterable[Expression]) -> Expression | bool:
    """All parts, flat; True when there is none."""
    flat: list[Expression] = []
    for part in parts:
        flat.extend(item for item in (part.of if isinstance(part, All) else (part,)) if item not in flat)
    return True if not flat else flat[0] if len(flat) == 1 else All(of=tuple(flat))


def merged(expression: Expression) -> Expression:
    """Alternatives on one attribute with one operator as one condition with several values."""
    if not isinstance(expression, AnyOf):
        return expression
    flat: list[Expression] = []
    for part in expression.of:
        flat.extend(part.of if isinstance(part, AnyOf) else (part,))
    groups: dict[Any, Expression] = {}
    for part in flat:
        key: Any = part
        if isinstance(part, Condition) and part.op in _MERGED:
            key = (part.field, part.op)
            if key in groups:
                before = groups[key]
                assert isinstance(before, Condition)
                values = tuple(dict.fromkeys((*before.values, *part.values)))
                groups[key] = before.model_copy(update={"values": values})
                continue
        groups.setdefault(key, part)
    found = tuple(groups.values())
    return found[0] if len(found) == 1 else AnyOf(of=found)


def event_ids(node: Any) -> list[str]:
    """The EventIDs that a condition names outside of filters."""
    match node:
        case parsed.ConditionAND() | parsed.ConditionOR():
            return [found for part in node.args for found in event_ids(part)]
        case parsed.ConditionFieldEqualsValueExpression(field="EventID", value=value):
            return [str(value.to_plain())] if isinstance(value, sigma.SigmaNumber | sigma.SigmaString) else []
        case _:
            return []


def kinds_of(source: LogSource, node: Any) -> tuple[EventKind | None, Mapping[str, EventKind], str]:
    """The kind of a rule's events: one of them to stand for all, all by EventID, and why there is none."""
    if source.kind is not None:
        return source.kind, {}, ""
    named = event_ids(node)
    if not named:
        return None, {}, "the rule names no EventID, so its events have no class"
    lacking = [name for name in named if name not in source.events]
    if lacking:
        return None, {}, f"EventID {lacking[0]} has no event class"
    kinds = {name: source.events[name] for name in named}
    first = kinds[named[0]]
    if any(kind.event_class is not first.event_class for kind in kinds.values()):
        return None, {}, f"EventIDs {', '.join(dict.fromkeys(named))} are of several event classes"
    return first, kinds, ""
