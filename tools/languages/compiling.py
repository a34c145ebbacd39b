"""From a search and a view to the condition of one language: the part that every compiler shares.

What a language cannot express is widened, never guessed: the text then matches at least the rows that the search
means, and a plain sentence says what was left to be applied to the rows. Under a negation the same care turns round,
so that the whole stays a superset.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from ...knowledge.errors import QueryError
from .literals import beside_domain, beyond_re2, in_last_part, joined_patterns, keeps_to_name, part_of_name
from .search import Aggregation, All, AnyOf, Condition, Expression, Not, Operator, Search, conditions, matches
from .views import Attribute, View, narrow

N = TypeVar("N")


_PARTS_OF_HOSTS = (Operator.ENDSWITH, Operator.MATCHES)
_PARTS_OF_USERS = (Operator.CONTAINS, Operator.STARTSWITH, Operator.ENDSWITH, Operator.MATCHES)
_SIGNS = {
    ("host", Operator.ENDSWITH): "{}.",
    ("user", Operator.STARTSWITH): "\\{}",
    ("user", Operator.ENDSWITH): "{}@",
}
"""What stands between a name's begin or end and its domain, with the part of the name."""
_DOMAIN = "the name's domain is searched, too"


class NotCarriedError(QueryError):
    """No row of the view can answer the search; the message says why."""


@dataclass(frozen=True, slots=True)
class Part(Generic[N]):
    """One condition in a language: a node, or True (every row) or False (no row).

    When it is not `exact`, it holds for more rows than the condition does, and `why` says what is missing.
    """

    node: N | bool
    exact: bool = True
    why: str = ""


def regex_part(texts: Sequence[str], attribute: Attribute, write: Callable[[str], N]) -> Part[N]:
    """A condition on regular expressions, any of which may be found, for languages that take RE2.

    Args:
        texts: The expressions.
        attribute: What they are compared with.
        write: The node of one expression.
    """
    if attribute.kind == "list":
        return Part(True, False, "a pattern is not compared with the items of a list")
    if (problem := beyond_re2(texts)) is not None:
        return Part(True, False, problem)
    if attribute.transform != "basename":
        return Part(write(joined_patterns(texts)))
    patterns = [found for text in texts if (found := in_last_part(text)) is not None]
    if len(patterns) < len(texts):
        return Part(True, False, "the pattern cannot be asked of a whole path")
    return Part(write(joined_patterns(patterns)), False, "asked of the whole path")


class Builder(ABC, Generic[N]):
    """How one language writes conditions."""

    joins = True
    """Whether the language has alternatives and negation; without them only a plain list of conditions is sent."""

    @abstractmethod
    def condition(self, condition: Condition, attribute: Attribute) -> Part[N]:
        """A condition on a vendor field; never `ne`, never on a field with a table of values."""

    @abstractmethod
    def one_of(self, field: str, values: Sequence[str], attribute: Attribute | None) -> N:
        """The field holds exactly one of these vendor values."""

    @abstractmethod
    def vendor_value(self, attribute: Attribute, value: str) -> str | None:
        """A value that the view's table does not list, as the vendor spells it; None when the field never holds it."""

    @abstractmethod
    def all_of(self, nodes: Sequence[N]) -> N:
        """Every node holds; two or more."""

    @abstractmethod
    def any_of(self, nodes: Sequence[N]) -> N:
        """At least one node holds; two or more."""

    @abstractmethod
    def negated(self, node: N) -> N:
        """The node does not hold."""


@dataclass(frozen=True)
class Narrowed(Generic[N]):
    """What a compiler needs: the nodes that all must hold, and what they leave out."""

    nodes: tuple[N, ...]
    cannot_express: tuple[str, ...]


def carried(search: Search, view: View) -> Expression | None:
    """The search's condition, reduced to what the view's rows can hold and without what is the same in every row.

    Raises:
        NotCarriedError: no row can match, or the rows lack what is to be counted by.
    """
    expression, missing = narrow(search, view)
    if expression is False:
        raise NotCarriedError(_reason(search, view, missing))
    if search.aggregation is not None:
        lacking = [name for name in search.aggregation.attributes if not view.carries(name)]
        if lacking:
            raise NotCarriedError(_reason(search, view, lacking))
    return None if isinstance(expression, bool) else expression


def countable(aggregation: Aggregation, view: View) -> bool:
    """Whether the groups are plain fields: what the view translates is grouped afterwards."""
    fields = [view.attributes.get(name) for name in aggregation.attributes]
    return all(a is not None and a.filterable and not a.values and a.transform == "none" for a in fields)


def _reason(search: Search, view: View, missing: Sequence[str]) -> str:
    if missing:
        return f"{view.id} carries no {' and no '.join(missing)}"
    named = {condition.field for condition in conditions(search.where)}
    fixed = [f"{name} {value}" for name, value in view.constants.items() if name in named]
    if fixed:
        return f"every row of {view.id} has {', '.join(fixed)}"
    asked = [str(value) for item in conditions(search.where) if item.field == "activity" for value in item.values]
    return f"{view.id} never holds activity {', '.join(dict.fromkeys(asked))}"


def condition_nodes(search: Search, view: View, builder: Builder[N]) -> Narrowed[N]:
    """The nodes that say which rows are asked for: the view's own selection and the search's condition.

    Raises:
        NotCarriedError: no row of the view can match.
        UnsafeValueError: a value cannot be encoded in this language.
    """
    work = _Work(view, builder)
    whole = work.at_least(carried(search, view))
    if whole is False:
        raise NotCarriedError(f"{view.id} never holds {', '.join(dict.fromkeys(work.never)) or 'what is asked for'}")
    selections = [builder.one_of(name, values, None) for name, values in work.selected.items()]
    nodes = (*selections, *([] if whole is True else [whole]))
    return Narrowed(nodes, tuple(dict.fromkeys(work.notes)))


@dataclass
class _Work(Generic[N]):
    view: View
    builder: Builder[N]
    notes: list[str] = field(default_factory=list)
    never: list[str] = field(default_factory=list)
    selected: dict[str, tuple[str, ...]] = field(init=False)
    """The view's own selection; an activity that must hold narrows it, and needs no condition of its own then."""

    def __post_init__(self) -> None:
        self.selected = dict(self.view.select)

    def at_least(self, expression: Expression | None, top: bool = True) -> N | bool:
        """A node that holds for every row that the expression holds for."""
        match expression:
            case None:
                return True
            case Condition():
                return self._part(expression, widen=True, top=top)
            case Not(of=part):
                return self._not(self.at_most(part), widen=True)
            case All(of=parts):
                return self._all([self.at_least(part, top) for part in parts])
            case AnyOf(of=parts):
                return self._any([self.at_least(part, False) for part in parts], widen=True)

    def at_most(self, expression: Expression) -> N | bool:
        """A node that holds for no row that the expression does not hold for."""
        match expression:
            case Condition():
                return self._part(expression, widen=False, top=False)
            case Not(of=part):
                return self._not(self.at_least(part, False), widen=False)
            case All(of=parts):
                return self._all([self.at_most(part) for part in parts])
            case AnyOf(of=parts):
                return self._any([self.at_most(part) for part in parts], widen=False)

    def _part(self, condition: Condition, *, widen: bool, top: bool) -> N | bool:
        if condition.op is Operator.NE and not (top and self._selects(condition.field)):
            equal = condition.model_copy(update={"op": Operator.EQ})
            return self._not(self._part(equal, widen=not widen, top=False), widen=widen)
        attribute = self.view.attributes.get(condition.field)
        if attribute is not None and _may_hold_domain(condition, attribute):
            part = self._name(condition, attribute, widen=widen)
        else:
            part = self._translate(condition, top)
        if part.node is False:
            self.never.append(f"{condition.field} {', '.join(map(str, condition.values[:3]))}")
        if not part.exact:
            self.notes.append(_sentence(condition, part.why))
        return part.node if part.exact or widen else False

    def _table(self, name: str) -> tuple[str, Mapping[str, str]] | None:
        """The vendor field and its table of values, when the view lists the attribute's values."""
        if name == "activity" and self.view.activity:
            ((vendor_field, table),) = self.view.activity.items()
            return vendor_field, table
        attribute = self.view.attributes[name]
        return (attribute.field, attribute.values) if attribute.values else None

    def _selects(self, name: str) -> bool:
        """Whether the attribute only tells the selected rows apart."""
        listed = self._table(name)
        return listed is not None and listed[0] in self.selected and set(self.selected[listed[0]]) <= set(listed[1])

    def _translate(self, condition: Condition, top: bool) -> Part[N]:
        name = condition.field
        attribute = self.view.attributes.get(name)
        if attribute is not None and not attribute.filterable:
            return Part(True, False, "the vendor returns this field but does not filter on it")
        listed = self._table(name)
        if listed is not None and condition.op is not Operator.EXISTS:
            return self._listed(condition, *listed, attribute, top)
        if attribute is None:
            return Part(True)
        return self.builder.condition(condition, attribute)

    def _name(self, condition: Condition, attribute: Attribute, *, widen: bool) -> Part[N]:
        """A part or a pattern of a name, which vendors write with its domain or without.

        What is widened is asked in plain words, on both sides of the domain's sign; what may not be is asked exactly, by a
        pattern.
        """
        kind, values = attribute.kind, [str(value) for value in condition.values]
        if condition.op is Operator.MATCHES:
            patterns = tuple(beside_domain(value, kind) for value in values)
            part = self.builder.condition(condition.model_copy(update={"values": patterns}), attribute)
            surely = all(keeps_to_name(value, kind) for value in values)
            return part if surely else replace(part, exact=False, why=part.why or _DOMAIN)
        if kind == "host" and all("." in value for value in values):
            return self.builder.condition(condition, attribute)  # no bare name holds a dot
        if not widen:
            # What holds a sign of the domain could be found in the domain.
            if any(set(value) & set("." if kind == "host" else "\\@") for value in values):
                return Part(False, False, _DOMAIN)
            pattern = part_of_name(condition.op, values, kind)
            exactly = Condition(field=condition.field, op=Operator.MATCHES, values=(pattern,))
            return self.builder.condition(exactly, attribute)
        part = self.builder.condition(condition, attribute)
        sign = _SIGNS.get((kind, condition.op))
        if sign is None or isinstance(part.node, bool):
            return replace(part, exact=False, why=part.why or _DOMAIN)
        inside = {"op": Operator.CONTAINS, "values": tuple(sign.format(value) for value in values)}
        further = self.builder.condition(condition.model_copy(update=inside), attribute)
        return Part(self._any([part.node, further.node], widen=True), False, part.why or _DOMAIN)

    def _listed(
        self, condition: Condition, vendor_field: str, table: Mapping[str, str], attribute: Attribute | None, top: bool
    ) -> Part[N]:
        wanted = [
            value for value, ours in table.items() if matches(condition, {condition.field: _typed(ours, condition)})
        ]
        if condition.op is Operator.EQ and attribute is not None:
            known = {ours.casefold() for ours in table.values()}
            for value in condition.values:
                spelled = self.builder.vendor_value(attribute, str(value))
                if str(value).casefold() not in known and spelled is not None:
                    wanted.append(spelled)
        if vendor_field in self.selected:
            wanted = [value for value in self.selected[vendor_field] if value in wanted]
        if not wanted:
            return Part(False)
        if top and vendor_field in self.selected:
            self.selected[vendor_field] = tuple(wanted)
            return Part(True)
        return Part(self.builder.one_of(vendor_field, wanted, attribute))

    def _not(self, node: N | bool, *, widen: bool) -> N | bool:
        if isinstance(node, bool):
            return not node
        return self.builder.negated(node) if self.builder.joins else self._left_out("negations", widen)

    def _left_out(self, what: str, widen: bool) -> bool:
        self.notes.append(f"{self.view.collection} cannot be asked for {what}; the rows are narrowed afterwards")
        return widen

    def _all(self, nodes: Sequence[N | bool]) -> N | bool:
        if any(node is False for node in nodes):
            return False
        rest: list[N] = [node for node in nodes if not isinstance(node, bool)]
        return True if not rest else rest[0] if len(rest) == 1 else self.builder.all_of(rest)

    def _any(self, nodes: Sequence[N | bool], *, widen: bool) -> N | bool:
        if any(node is True for node in nodes):
            return True
        rest: list[N] = [node for node in nodes if not isinstance(node, bool)]
        if len(rest) <= 1:
            return rest[0] if rest else False
        return self.builder.any_of(rest) if self.builder.joins else self._left_out("alternatives", widen)


def _may_hold_domain(condition: Condition, attribute: Attribute) -> bool:
    """Whether a part of a name is asked for that reads otherwise where the name stands with its domain."""
    parts = {"host": _PARTS_OF_HOSTS, "user": _PARTS_OF_USERS}.get(attribute.kind, ())
    return condition.op in parts and attribute.filterable and not attribute.values


def _typed(text: str, condition: Condition) -> str | float:
    """A table's value as the search compares it: numbers by size."""
    if condition.op in (Operator.GT, Operator.GE, Operator.LT, Operator.LE):
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _sentence(condition: Condition, why: str) -> str:
    values = ", ".join(str(value) for value in condition.values[:3]) + (", ..." if len(condition.values) > 3 else "")
    return (
        f"`{condition.field} {condition.op}{' ' + values if values else ''}`: {why}; the rows are narrowed afterwards"
    )
