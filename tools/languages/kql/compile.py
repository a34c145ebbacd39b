"""From a search to a KQL query: table, window, conditions, order, limit.

Text is compared without case by the language's own operators. Values inside objects and JSON texts are read in place
(`parse_json(AdditionalFields).Command`), so every column of the row comes back as it is.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Network

from ..compiling import Builder, Part, condition_nodes, countable
from ..literals import beyond_re2, joined_patterns
from ..query import Compiled, Language
from ..search import Aggregation, Condition, Operator, Scalar, Search, Window
from ..values import block_of, moment_of, number_of
from ..views import Attribute, View
from ..vocabulary import HOST_ATTRIBUTES, USER_ATTRIBUTES
from . import ast
from .literals import moment
from .parser import parse
from .printer import to_text
from .rows import DYNAMIC, NUMBERS
from .schema import tables

_ORDER = {Operator.GT: ">", Operator.GE: ">=", Operator.LT: "<", Operator.LE: "<="}
_TEXT_OPERATORS = {
    Operator.CONTAINS: "contains",
    Operator.STARTSWITH: "startswith",
    Operator.ENDSWITH: "endswith",
}
_OPPOSITES = {"=~": "!~", "==": "!=", "contains": "!contains", "startswith": "!startswith", "endswith": "!endswith"}
_OPPOSITE_CALLS = {"isnotempty": "isempty", "isnotnull": "isnull"}
_LAST_PART = r"([^\\/]*)$"
_XML_SIGNS = frozenset("&<>\"'")
_MAPPED, _PORTED = "::ffff:", ":"
_ADDRESS_FORMS = {("SecurityEvent", "IpAddress"): _MAPPED, ("OfficeActivity", "ClientIP"): _PORTED}
"""Columns where an IPv4 address also stands behind `::ffff:`, or before `:port`."""
_BARE_ADDRESS = r"^(?:::ffff:)?([0-9.]+)"
COUNTED = "_count"
DISTINCT = "_distinct"
"""Columns of a counted search, beside the columns that it is counted by."""


def compile_search(search: Search, view: View) -> Compiled:
    """Write a search as a query of one table. The window stands in the text, and goes beside it in the request too.

    Raises:
        NotCarriedError: no row of the view can match.
        UnsafeValueError: a value cannot be encoded.
    """
    builder = _Kql(view)
    narrowed = condition_nodes(search, view, builder)
    notes = list(narrowed.cannot_express)
    time = _name(view.attributes["time"].field)
    operators: list[ast.Operator] = [_where(_within(time, search.window))]
    operators += [_where(part) for node in narrowed.nodes for part in _conjuncts(node)]
    if search.aggregation is not None and not notes and _countable(search.aggregation, view):
        operators += _counting(search.aggregation, view)
        key = ast.Ordered(0, 0, _name(COUNTED))
    else:
        if search.aggregation is not None:
            notes.append("the events are counted afterwards, since not every condition can be asked here")
        key = ast.Ordered(0, 0, time, descending=search.newest_first)
    operators += [ast.Sort(0, 0, (key,)), ast.Take(0, 0, _literal(search.limit))]
    return Compiled(to_text(ast.Pipeline(0, 0, _name(view.collection), tuple(operators))), tuple(notes))


def _countable(aggregation: Aggregation, view: View) -> bool:
    """Whether the groups are plain columns, not paths into one."""
    names = aggregation.attributes
    return countable(aggregation, view) and all(view.attributes[name].field.isidentifier() for name in names)


def _counting(aggregation: Aggregation, view: View) -> list[ast.Operator]:
    by = tuple(_name(field) for field in dict.fromkeys(view.attributes[name].field for name in aggregation.by))
    columns: list[ast.Node] = [ast.Named(0, 0, (COUNTED,), _call("count"))]
    if aggregation.distinct is not None:
        of = _name(view.attributes[aggregation.distinct].field)
        columns.append(ast.Named(0, 0, (DISTINCT,), _call("dcount", of)))
    stages: list[ast.Operator] = [ast.Summarize(0, 0, tuple(columns), by)]
    if aggregation.minimum > 1:
        stages.append(_where(_binary(">=", _name(COUNTED), _literal(aggregation.minimum))))
    return stages


class _Kql(Builder[ast.Node]):
    def __init__(self, view: View) -> None:
        self._table = view.collection
        self._columns = tables(view.platform.value).get(view.collection, {})

    def all_of(self, nodes: Sequence[ast.Node]) -> ast.Node:
        return _logical("and", nodes)

    def any_of(self, nodes: Sequence[ast.Node]) -> ast.Node:
        return _logical("or", nodes)

    def negated(self, node: ast.Node) -> ast.Node:
        match node:
            case ast.Call(name="not", arguments=(ast.Call(name="coalesce", arguments=(inner, _)),)):
                return inner
            case ast.Call(name="not", arguments=(inner,)):
                return inner
            case ast.Call(name=name, arguments=arguments) if name in _OPPOSITE_CALLS:
                return _call(_OPPOSITE_CALLS[name], *arguments)
            case ast.Binary(op=op, left=left, right=right) if op in _OPPOSITES:
                return _binary(_OPPOSITES[op], left, right)
            case ast.InList(op="in~", left=left, items=items):
                return ast.InList(0, 0, "!in~", left, items)
        # A comparison with nothing is neither true nor false, and `not` keeps it so: such a row must be kept.
        return _call("not", _call("coalesce", node, _literal(False)) if _nullable(node) else node)

    def one_of(self, field: str, values: Sequence[str], attribute: Attribute | None) -> ast.Node:
        place = self._place(attribute) if attribute is not None else self._plain(field)
        if place.type in NUMBERS or place.type == "bool":
            return _equal(place.node, [item for value in values if (item := _constant(place.type, value)) is not None])
        texts = [_literal(value) for value in values]
        return _equal(place.text, texts, anycase=attribute is not None)

    def vendor_value(self, attribute: Attribute, value: str) -> str | None:
        kind = self._place(attribute).type
        if kind in NUMBERS or kind == "bool":
            return value if _constant(kind, value) is not None else None
        return value

    def condition(self, condition: Condition, attribute: Attribute) -> Part[ast.Node]:
        place = self._place(attribute)
        if attribute.kind == "event_data" and any(_XML_SIGNS & set(str(value)) for value in condition.values):
            return Part(True, False, "the event's XML spells such signs otherwise")
        match condition.op:
            case Operator.EXISTS:
                known = place.type == "string" or place.type in DYNAMIC
                subject = place.last_part if place.basename else place.text
                return Part(_call("isnotempty", subject) if known else _call("isnotnull", place.node))
            case Operator.GT | Operator.GE | Operator.LT | Operator.LE:
                return _ordered(condition, place)
            case _ if place.type in NUMBERS or place.type in ("bool", "datetime"):
                return _typed(condition, place)
            case Operator.CIDR:
                blocks = [_in_block(place, str(value)) for value in condition.values]
                return Part(_any([part for block in blocks for part in block]))
            case Operator.MATCHES:
                return _matching(condition, place)
            case _ if place.many:
                return _in_a_list(condition, place)
            case Operator.EQ:
                return Part(_equal_text(condition, place))
            case op:
                subject = place.last_part if place.basename else place.text
                texts = [str(value) for value in condition.values]
                return Part(_any([_binary(_TEXT_OPERATORS[op], subject, _literal(text)) for text in texts]))

    def _place(self, attribute: Attribute) -> "_Place":
        many = attribute.kind == "list" or (attribute.kind == "json" and "." not in attribute.field)
        basename = attribute.transform == "basename"
        if attribute.kind == "event_data":
            column, _, entry = attribute.field.partition(".")
            pattern = _literal(f'<Data Name="{entry}">([^<]*)</Data>')
            node = _call("extract", pattern, _literal(1), _name(column))
            return _Place(node, "string", many, basename)
        plain = self._plain(attribute.field)
        return _Place(plain.node, plain.type, many, basename, _ADDRESS_FORMS.get((self._table, attribute.field), ""))

    def _plain(self, field: str) -> "_Place":
        node = _expression(field)
        root = _root(node)
        kind = self._columns.get(root, "string")
        if isinstance(node, ast.Name):
            return _Place(node, kind)
        return _Place(node if kind in DYNAMIC else _reading_json(node), "dynamic")


class _Place:
    """Where an attribute stands in the table, as an expression of a type."""

    def __init__(
        self, node: ast.Node, kind: str, many: bool = False, basename: bool = False, address_form: str = ""
    ) -> None:
        self.node, self.type, self.many, self.basename = node, kind, many, basename
        self.address_form = address_form

    @property
    def text(self) -> ast.Node:
        return self.node if self.type == "string" else _call("tostring", self.node)

    @property
    def last_part(self) -> ast.Node:
        return _call("extract", _literal(_LAST_PART), _literal(1), self.text)


def _equal_text(condition: Condition, place: _Place) -> ast.Node:
    texts = [str(value) for value in condition.values]
    if place.basename:
        ends = [_binary("endswith", place.text, _literal("\\" + text)) for text in texts]
        return _any([_equal(place.text, [_literal(text) for text in texts], anycase=True), *ends])
    more: list[ast.Node] = []
    if place.address_form == _MAPPED:
        texts += [_MAPPED + text for text in texts]
    elif place.address_form == _PORTED:
        more = [_binary("startswith", place.text, _literal(text + _PORTED)) for text in texts]
    if condition.field in HOST_ATTRIBUTES:
        more = [_binary("startswith", place.text, _literal(text + ".")) for text in texts]
    elif condition.field in USER_ATTRIBUTES:
        more = [_binary("endswith", place.text, _literal("\\" + text)) for text in texts]
        more += [_binary("startswith", place.text, _literal(text + "@")) for text in texts]
    return _any([_equal(place.text, [_literal(text) for text in texts], anycase=True), *more])


def _in_a_list(condition: Condition, place: _Place) -> Part[ast.Node]:
    """Items of a list are searched for in its JSON text, where they are written with escapes."""
    texts = [str(value) for value in condition.values]
    if any(json.dumps(text) != f'"{text}"' for text in texts):
        return Part(True, False, "such a value cannot be looked for inside a list")
    node = _any([_binary("contains", place.text, _literal(text)) for text in texts])
    exact = condition.op is Operator.CONTAINS and all(text.isalnum() for text in texts)
    return Part(node, exact, "asked anywhere in the list")


def _matching(condition: Condition, place: _Place) -> Part[ast.Node]:
    if place.many:
        return Part(True, False, "a pattern is not compared with the items of a list")
    texts = [str(value) for value in condition.values]
    if (problem := beyond_re2(texts)) is not None:
        return Part(True, False, problem)
    subject = place.last_part if place.basename else place.text
    return Part(_binary("matches regex", subject, _literal("(?i)" + joined_patterns(texts))))


def _ordered(condition: Condition, place: _Place) -> Part[ast.Node]:
    lowest = condition.op in (Operator.GT, Operator.GE)
    if place.type == "datetime":
        moments = [moment_of(value, Language.KQL) for value in condition.values]
        edge = (min if lowest else max)(moments)
        return Part(_binary(_ORDER[condition.op], place.node, _time(edge)))
    numbers = [number for value in condition.values if (number := _number_of(value)) is not None]
    if not numbers:
        return Part(False)
    subject = place.node if place.type in NUMBERS else _call("todouble", place.text)
    return Part(_binary(_ORDER[condition.op], subject, _literal((min if lowest else max)(numbers))))


def _typed(condition: Condition, place: _Place) -> Part[ast.Node]:
    if condition.op is not Operator.EQ:
        texts = [str(value) for value in condition.values]
        op = _TEXT_OPERATORS.get(condition.op)
        if op is None:
            return Part(True, False, f"the field holds {place.type} values, not text")
        return Part(_any([_binary(op, place.text, _literal(text)) for text in texts]))
    if place.type == "datetime":
        return Part(
            _any([_binary("==", place.node, _time(moment_of(value, Language.KQL))) for value in condition.values])
        )
    known = [item for value in condition.values if (item := _constant(place.type, value)) is not None]
    return Part(_equal(place.node, known)) if known else Part(False)


def _in_block(place: _Place, text: str) -> list[ast.Node]:
    """Ways for an address to lie in a block. A block that ends at a dot is a prefix, another a range of numbers."""
    network = block_of(text)
    subject = place.text
    if not isinstance(network, IPv4Network):
        return [_call("ipv6_is_in_range", subject, _literal(str(network)))]
    whole, bits = divmod(network.prefixlen, 8)
    if whole and not bits and whole < 4:
        prefix = ".".join(str(network).split(".")[:whole]) + "."
        heads = [prefix, _MAPPED + prefix] if place.address_form == _MAPPED else [prefix]
        return [_binary("startswith", subject, _literal(head)) for head in heads]
    if place.address_form:
        subject = _call("extract", _literal(_BARE_ADDRESS), _literal(1), subject)
    low, high = int(network.network_address), int(network.broadcast_address)
    return [ast.Between(0, 0, "between", _call("parse_ipv4", subject), _literal(low), _literal(high))]


# Values


def _constant(kind: str, value: Scalar) -> ast.Literal | None:
    """A value as a constant of a column's type; None when the column never holds it."""
    if kind == "bool":
        spelled = str(value).casefold()
        return _literal(spelled == "true") if spelled in ("true", "false") else None
    number = _number_of(value)
    if number is None or (kind in ("int", "long") and not float(number).is_integer()):
        return None
    return _literal(int(number) if kind in ("int", "long") else number)


def _number_of(value: Scalar) -> int | float | None:
    """A number that fits into 64 bits."""
    number = number_of(value)
    return None if number is None or abs(number) >= 2**63 else number


# Nodes without a place: the text does not exist yet


def _literal(value: str | int | float | bool) -> ast.Literal:
    match value:
        case bool():
            return ast.Literal(0, 0, "bool", value)
        case int():
            return ast.Literal(0, 0, "long", value)
        case float():
            return ast.Literal(0, 0, "real", value)
        case str():
            return ast.Literal(0, 0, "string", value)


def _time(value: datetime) -> ast.Literal:
    return ast.Literal(0, 0, "datetime", moment(value).removeprefix("datetime(").removesuffix(")"))


def _name(text: str) -> ast.Name:
    return ast.Name(0, 0, text)


def _call(name: str, *arguments: ast.Node) -> ast.Call:
    return ast.Call(0, 0, name, arguments)


def _binary(op: str, left: ast.Node, right: ast.Node) -> ast.Binary:
    return ast.Binary(0, 0, op, left, right)


def _where(predicate: ast.Node) -> ast.Where:
    return ast.Where(0, 0, predicate)


def _logical(op: str, nodes: Sequence[ast.Node]) -> ast.Node:
    flat: list[ast.Node] = []
    for node in nodes:
        flat += node.parts if isinstance(node, ast.Logical) and node.op == op else (node,)
    return flat[0] if len(flat) == 1 else ast.Logical(0, 0, op, tuple(flat))


def _any(nodes: Sequence[ast.Node]) -> ast.Node:
    return _logical("or", nodes)


def _equal(subject: ast.Node, values: Sequence[ast.Literal], *, anycase: bool = False) -> ast.Node:
    if len(values) == 1:
        return _binary("=~" if anycase else "==", subject, values[0])
    return ast.InList(0, 0, "in~" if anycase else "in", subject, tuple(values))


def _conjuncts(node: ast.Node) -> tuple[ast.Node, ...]:
    return node.parts if isinstance(node, ast.Logical) and node.op == "and" else (node,)


def _within(time: ast.Node, window: Window) -> ast.Node:
    return _logical("and", [_binary(">=", time, _time(window.start)), _binary("<", time, _time(window.end))])


def _nullable(node: ast.Node) -> bool:
    """Whether an expression can be neither true nor false, as a comparison of a number that is not there."""
    for part in ast.walk(node):
        match part:
            case ast.Between():
                return True
            case ast.Binary(right=ast.Literal(type=kind)) if kind != "string":
                return True
            case ast.InList(items=(ast.Literal(type=kind), *_)) if kind != "string":
                return True
            case ast.Call(name="ipv6_is_in_range"):
                return True
    return False


@lru_cache(maxsize=512)
def _expression(field: str) -> ast.Node:
    """A view's field as an expression: a column, or a path into one."""
    statement = parse(field).statements[0]
    assert isinstance(statement, ast.ExpressionStatement)
    return statement.value


def _root(node: ast.Node) -> str:
    while isinstance(node, ast.Member | ast.Index):
        node = node.base
    return node.name if isinstance(node, ast.Name) else ""


def _reading_json(node: ast.Node) -> ast.Node:
    """The same path into a column that holds a JSON text."""
    match node:
        case ast.Member(base=base, name=name):
            return ast.Member(0, 0, _reading_json(base), name)
        case ast.Index(base=base, index=index):
            return ast.Index(0, 0, _reading_json(base), index)
        case _:
            return _call("parse_json", node)
