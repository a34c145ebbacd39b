"""S1QL 1.0 to PowerQuery, by the table of LANGUAGES 4.2: the same events, and a sentence for each case rule that is lost."""

import re
from dataclasses import dataclass, field

from ....knowledge.errors import QueryError
from .. import s1ql
from ..literals import escaped
from ..query import Compiled
from ..s1ql.schema import Field as OlderField
from ..s1ql.schema import lookup
from .ast import And, Compare, Expression, Field, Not, Operator, Or, Present, Sign, Test, Value, ValueKind
from .printer import to_text
from .schema import by_older_name

_FROM = s1ql.Operator
_TESTS = {
    _FROM.IN: Operator.IN,
    _FROM.IN_ANYCASE: Operator.IN_ANYCASE,
    _FROM.CONTAINS: Operator.CONTAINS_MATCHCASE,
    _FROM.IN_CONTAINS: Operator.CONTAINS_MATCHCASE,
    _FROM.CONTAINS_CIS: Operator.CONTAINS_ANYCASE,
    _FROM.IN_CONTAINS_ANYCASE: Operator.CONTAINS_ANYCASE,
}
_SIGNS: dict[s1ql.Operator, Sign] = {
    _FROM.EQ: "=", _FROM.NE: "!=", _FROM.LT: "<", _FROM.LE: "<=", _FROM.GT: ">", _FROM.GE: ">=",
}  # fmt: skip
_STARTS = frozenset({_FROM.STARTSWITH, _FROM.STARTSWITH_CIS})
_ENDS = frozenset({_FROM.ENDSWITH, _FROM.ENDSWITH_CIS})
_MINDS_CASE = frozenset({_FROM.STARTSWITH, _FROM.ENDSWITH})
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?\Z", re.ASCII)


def from_s1ql(query: str | s1ql.Node, quoting: s1ql.Quoting = s1ql.Quoting.PUBLISHED) -> Compiled:
    """Write an S1QL 1.0 query as a PowerQuery filter.

    Args:
        query: The text, or its tree.
        quoting: How the text writes its strings.

    Returns:
        The text of the filter; `cannot_express` says what differs.

    Raises:
        QuerySyntaxError: the text is no S1QL 1.0.
        QueryError: it names a field that has no known name in S1QL 2.0.
        UnsafeValueError: a value holds control characters, which no literal of PowerQuery carries.
    """
    node = s1ql.parse(query, quoting) if isinstance(query, str) else query
    work = Translation()
    return Compiled(to_text(work.condition(node)), tuple(dict.fromkeys(work.losses)))


@dataclass
class Translation:
    """Translates conditions and gathers what they lose."""

    losses: list[str] = field(default_factory=list)

    def condition(self, node: s1ql.Node) -> Expression:
        """A condition of S1QL 1.0 in PowerQuery.

        Raises:
            QueryError: a field has no known name in S1QL 2.0.
        """
        match node:
            case s1ql.And(parts=parts):
                return And(tuple(map(self.condition, parts)))
            case s1ql.Or(parts=parts):
                return Or(tuple(map(self.condition, parts)))
            case s1ql.Not(part=part):
                return _negated(self.condition(part))
            case s1ql.Comparison(negated=negated):
                found = self._comparison(node)
                return _negated(found) if negated else found

    def _comparison(self, node: s1ql.Comparison) -> Expression:
        known = lookup(node.field)
        name = Field(_name(node.field))
        values = tuple(_value(item, known) for item in node.values)
        match node.operator:
            case operator if operator in _SIGNS:
                return Compare(name, _SIGNS[operator], values[0])
            case _FROM.BETWEEN:
                return And((Compare(name, ">=", values[0]), Compare(name, "<=", values[1])))
            case _FROM.IS_EMPTY:
                return Not(Present(name))
            case _FROM.EXISTS:
                return Present(name)
            case _FROM.IS_TRUE | _FROM.IS_FALSE:
                truth = "true" if node.operator is _FROM.IS_TRUE else "false"
                return Compare(name, "=", Value(ValueKind.BOOLEAN, truth))
            case _FROM.REGEXP:
                return self._pattern(node, name, node.values[0].text)
            case operator if operator in _STARTS:
                return self._pattern(node, name, f"^{escaped(node.values[0].text)}")
            case operator if operator in _ENDS:
                return self._pattern(node, name, f"{escaped(node.values[0].text)}$")
            case operator:
                return Test(name, _TESTS[operator], values)

    def _pattern(self, node: s1ql.Comparison, name: Field, pattern: str) -> Test:
        ignoring = pattern.removeprefix("(?i)")
        if node.operator in _MINDS_CASE or (node.operator is _FROM.REGEXP and ignoring == pattern):
            what = f"`{node.field} {node.operator}` minds case in S1QL 1.0; PowerQuery's matches does not"
            self.losses.append(f"{what}, so it also finds other spellings")
        return Test(name, Operator.MATCHES, (Value(ValueKind.STRING, ignoring),))


def _negated(node: Expression) -> Expression:
    return node.part if isinstance(node, Not) else Not(node)


def _name(older: str) -> str:
    found = by_older_name().get(older.lower())
    if found is None:
        what = f"S1QL 2.0 has no known name for {older}"
        raise QueryError(f"{what}; the rest can be translated without this condition.")
    return found


def _value(value: s1ql.Value, known: OlderField | None) -> Value:
    """The literal in the kind that the field holds: S1QL 1.0 quotes numbers and booleans as well."""
    kind = known.type if known else "string"
    if kind == "int" and _NUMBER.match(value.text):
        return Value(ValueKind.NUMBER, value.text)
    if kind == "bool" and value.text.lower() in ("true", "false"):
        return Value(ValueKind.BOOLEAN, value.text.lower())
    return Value(ValueKind.STRING, value.text)
