"""From a search to an FQL filter.

FQL compares text with case, endpoint by endpoint; only `~` is documented to ignore it, and by words. So equality of
text is written with `~` where the endpoint has it, codes and closed lists are written exactly, and every other
comparison of text is left to the rows.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from ipaddress import IPv4Network

from ....knowledge.errors import UnsafeValueError
from ..compiling import Builder, Part, condition_nodes
from ..literals import whole
from ..query import Compiled, Language
from ..search import Condition, Search, Window, matches
from ..search import Operator as Ask
from ..syntax import QuerySyntaxError
from ..values import block_of, moment_of, number_of
from ..views import Attribute, View
from ..vocabulary import EventClass
from .ast import And, Node, Not, Operator, Or, Term, Value, ValueKind, terms
from .parser import parse, to_text
from .schema import MAX_TERMS, Property, lookup

_ORDER = {Ask.GT: Operator.GT, Ask.GE: Operator.GE, Ask.LT: Operator.LT, Ask.LE: Operator.LE}
_ALERT_TIMES = frozenset({"timestamp", "created_timestamp", "updated_timestamp", "crawled_timestamp"})
_ADDRESS_PART = re.compile(r"[0-9a-fA-F.:]+")
_WITH_CASE = "FQL compares text with case here"


def compile_search(search: Search, view: View) -> Compiled:
    """Write a search as the filter of one collection; the window is part of the filter.

    Raises:
        NotCarriedError: no row of the view can match.
        UnsafeValueError: a value cannot be encoded.
    """
    builder = _Fql(view.collection)
    narrowed = condition_nodes(search, view, builder)
    time = _window(search, view)
    notes = list(narrowed.cannot_express)
    nodes = list(narrowed.nodes)
    if sum(map(_size, (*nodes, *time))) > MAX_TERMS:
        nodes, left_out = _fitting(nodes, MAX_TERMS - sum(map(_size, time)))
        notes += left_out
    if search.aggregation is not None:
        notes.append("FQL lists and does not count; the rows are counted afterwards")
    return Compiled(to_text(builder.all_of([*nodes, *time])), tuple(notes))


def within(text: str, window: Window) -> str:
    """An alert filter limited to a window, unless it names a time itself or is no filter at all."""
    try:
        node = parse(text)
    except QuerySyntaxError:
        return text
    if any(term.property in _ALERT_TIMES for term in terms(node)):
        return text
    bounds = (_moment("timestamp", Operator.GE, window.start), _moment("timestamp", Operator.LT, window.end))
    return to_text(And((*(node.parts if isinstance(node, And) else (node,)), *bounds)))


def _size(node: Node) -> int:
    return sum(1 for _ in terms(node))


def _fitting(nodes: Sequence[Node], room: int) -> tuple[list[Node], list[str]]:
    """As many of the conditions as one statement holds, small ones first: fewer conditions match more rows."""
    parts = [part for node in nodes for part in (node.parts if isinstance(node, And) else (node,))]
    kept: list[Node] = []
    for part in sorted(parts, key=_size):
        if _size(part) <= room:
            kept.append(part)
            room -= _size(part)
    dropped = len(parts) - len(kept)
    note = f"FQL holds {MAX_TERMS} properties in a statement; {dropped} of the conditions are left to the rows"
    return [part for part in parts if part in kept], [note]


def _window(search: Search, view: View) -> list[Node]:
    """Alerts happen at a time; hosts and vulnerabilities are states that last, so those of the window's time are asked."""
    start, end = search.window.start, search.window.end
    match view.event_class:
        case EventClass.DEVICE:
            return [_moment("first_seen", Operator.LT, end), _moment("last_seen", Operator.GE, start)]
        case EventClass.VULNERABILITY:
            return [_moment("created_timestamp", Operator.LT, end)]
        case _:
            field = view.attributes["time"].field
            return [_moment(field, Operator.GE, start), _moment(field, Operator.LT, end)]


def _moment(name: str, operator: Operator, moment: datetime) -> Term:
    utc = moment.astimezone(UTC)
    text = utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if utc.microsecond else "%Y-%m-%dT%H:%M:%SZ")
    return Term(name, operator, (_string(text),))


class _Fql(Builder[Node]):
    def __init__(self, collection: str) -> None:
        self._collection = collection

    def all_of(self, nodes: Sequence[Node]) -> Node:
        flat = tuple(part for node in nodes for part in (node.parts if isinstance(node, And) else (node,)))
        return flat[0] if len(flat) == 1 else And(flat)

    def any_of(self, nodes: Sequence[Node]) -> Node:
        return Or(tuple(part for node in nodes for part in (node.parts if isinstance(node, Or) else (node,))))

    def negated(self, node: Node) -> Node:
        return node.part if isinstance(node, Not) else Not(node)

    def one_of(self, field: str, values: Sequence[str], attribute: Attribute | None) -> Node:
        known = lookup(self._collection, field)
        if known is not None and known.type == "boolean":
            return Term(field, Operator.EQ, (Value(ValueKind.BOOLEAN, values[0]),))
        return _term(field, values, as_list=self._collection == "vulnerabilities" or len(values) > 1)

    def vendor_value(self, attribute: Attribute, value: str) -> str | None:
        known = lookup(self._collection, attribute.field)
        if known is None or not known.values:
            return None
        return next((item for item in known.values if item.casefold() == value.casefold()), None)

    def condition(self, condition: Condition, attribute: Attribute) -> Part[Node]:
        known = lookup(self._collection, attribute.field)
        if known is None:
            return Part(True, False, f"{self._collection} do not filter on {attribute.field}")
        if condition.op is Ask.EXISTS:
            # A property that is missing may count as not empty, so this keeps too much rather than too little.
            return Part(Term(known.name, Operator.NE, (_string(""),)), False, "asked as not empty")
        match known.type:
            case "number":
                return self._number(condition, known)
            case "timestamp":
                return self._time(condition, known)
            case "boolean":
                return self._boolean(condition, known)
            case "ip":
                return self._address(condition, known)
            case "string" if known.values:
                return self._closed(condition, known)
            case "string" if known.is_code:
                return self._code(condition, known)
            case "string" if attribute.kind == "ip":
                return self._address(condition, known)
            case "string" if condition.op is Ask.EQ and attribute.transform == "none":
                return self._text(condition, known, attribute)
            case _:
                return Part(True, False, _WITH_CASE)

    def _number(self, condition: Condition, known: Property) -> Part[Node]:
        numbers = [number for value in condition.values if (number := number_of(value)) is not None]
        if condition.op is Ask.EQ:
            return (
                Part(_bare(known.name, ValueKind.NUMBER, list(map(_number_text, numbers)))) if numbers else Part(False)
            )
        if condition.op in _ORDER:
            if not numbers:
                return Part(False)
            edge = (min if condition.op in (Ask.GT, Ask.GE) else max)(numbers)
            return Part(Term(known.name, _ORDER[condition.op], (Value(ValueKind.NUMBER, _number_text(edge)),)))
        return Part(True, False, f"{known.name} is a number")

    def _time(self, condition: Condition, known: Property) -> Part[Node]:
        if condition.op not in _ORDER:
            return Part(True, False, f"{known.name} is a time")
        moments = [moment_of(value, Language.FQL) for value in condition.values]
        edge = min(moments) if condition.op in (Ask.GT, Ask.GE) else max(moments)
        return Part(_moment(known.name, _ORDER[condition.op], edge))

    def _boolean(self, condition: Condition, known: Property) -> Part[Node]:
        if condition.op is not Ask.EQ:
            return Part(True, False, f"{known.name} is true or false")
        wanted = {str(value).lower() for value in condition.values} & {"true", "false"}
        if len(wanted) != 1:
            return Part(bool(wanted))
        return Part(Term(known.name, Operator.EQ, (Value(ValueKind.BOOLEAN, wanted.pop()),)))

    def _address(self, condition: Condition, known: Property) -> Part[Node]:
        texts = [str(value) for value in condition.values]
        match condition.op:
            case Ask.EQ if not any("*" in text or not text for text in texts):
                return Part(_term(known.name, texts, as_list=len(texts) > 1))
            case Ask.STARTSWITH if self._takes_prefixes(known) and all(map(_ADDRESS_PART.fullmatch, texts)):
                return Part(self._prefixes(known.name, texts))
            case Ask.CIDR if known.range:
                spans = [_span(known.name, text) for text in texts]
                return Part(spans[0] if len(spans) == 1 else Or(tuple(spans)))
            case Ask.CIDR if self._takes_prefixes(known):
                blocks = [_block(text) for text in texts]
                if all(prefix for prefix, _ in blocks):
                    exact = all(exact for _, exact in blocks)
                    why = "" if exact else "FQL has no CIDR; the enclosing octets are asked"
                    return Part(self._prefixes(known.name, [prefix for prefix, _ in blocks]), exact, why)
        return Part(True, False, "FQL does not compare addresses so")

    def _takes_prefixes(self, known: Property) -> bool:
        """Whether the endpoint finds addresses by their first octets: hosts do in the raw form alone."""
        return known.type != "ip" or lookup(self._collection, f"{known.name}.raw") is not None

    def _prefixes(self, name: str, prefixes: Sequence[str]) -> Node:
        raw, operator = (
            (f"{name}.raw", Operator.WILDCARD)
            if lookup(self._collection, f"{name}.raw") is not None
            else (name, Operator.EQ)
        )
        found = [Term(raw, operator, (_string(f"{prefix}*"),)) for prefix in prefixes]
        return found[0] if len(found) == 1 else Or(tuple(found))

    def _closed(self, condition: Condition, known: Property) -> Part[Node]:
        wanted = [item for item in known.values if matches(condition, {condition.field: item})]
        if not wanted:
            return Part(False)
        return Part(_term(known.name, wanted, as_list=self._collection == "vulnerabilities" or len(wanted) > 1))

    def _code(self, condition: Condition, known: Property) -> Part[Node]:
        texts = [_cased(str(value), known.letters) for value in condition.values]
        if any("*" in text or not text for text in texts):
            return Part(True, False, "FQL takes * for a wildcard and an empty value for a missing one")
        if condition.op is Ask.EQ:
            return Part(_term(known.name, texts, as_list=self._collection == "vulnerabilities" or len(texts) > 1))
        if condition.op is Ask.STARTSWITH and self._collection == "alerts":
            return Part(self._prefixes(known.name, texts))
        return Part(True, False, _WITH_CASE)

    def _text(self, condition: Condition, known: Property, attribute: Attribute) -> Part[Node]:
        texts = [str(value) for value in condition.values]
        if self._collection == "alerts" and all(re.search(r"[^\W_]", text) for text in texts):
            words = [Term(known.name, Operator.MATCH, (_string(text),)) for text in texts]
            why = "asked by words, since only ~ ignores case"
            return Part(words[0] if len(words) == 1 else Or(tuple(words)), False, why)
        if self._collection == "hosts" and attribute.kind == "host" and not any("*" in text for text in texts):
            spelled = [form for text in texts for form in dict.fromkeys((text, text.lower(), text.upper()))]
            names: list[Node] = [Term(known.name, Operator.EQ, (_string(form),)) for form in spelled]
            full: list[Node] = [Term(known.name, Operator.EQ, (_string(f"{form}.*"),)) for form in spelled]
            return Part(
                Or((*names, *full)),
                False,
                "asked as given, in lower and in upper case, so a name in mixed case is missed",
            )
        return Part(True, False, _WITH_CASE)


def _term(name: str, values: Sequence[str], *, as_list: bool) -> Term:
    return Term(name, Operator.EQ, tuple(_string(text) for text in values), as_list)


def _string(text: str) -> Value:
    """A quoted value. FQL has no escape for a NUL, and a server may take it for the end of the filter.

    Raises:
        UnsafeValueError: a character that cannot be sent.
    """
    if "\0" in text:
        raise UnsafeValueError("FQL cannot carry text with a NUL character: search for the text before or behind it.")
    return Value(ValueKind.STRING, whole(text, Language.FQL))


def _bare(name: str, kind: ValueKind, values: Sequence[str]) -> Term:
    return Term(name, Operator.EQ, tuple(Value(kind, text) for text in values), len(values) > 1)


def _number_text(number: int | float) -> str:
    """A number without an exponent, which FQL does not read."""
    return f"{Decimal(str(number)):f}"


def _block(text: str) -> tuple[str, bool]:
    """The whole octets that a block's addresses begin with, and whether they say it exactly."""
    network = block_of(text)
    if not isinstance(network, IPv4Network):
        return "", False
    octets = network.prefixlen // 8
    head = str(network.network_address).split(".")[:octets]
    prefix = ".".join(head) + ("." if octets < 4 else "")
    return (prefix if octets else ""), network.prefixlen % 8 == 0


def _span(name: str, text: str) -> Node:
    """The addresses of a block, by the first and the last of them."""
    network = block_of(text)
    first = Term(name, Operator.GE, (_string(str(network.network_address)),))
    return And((first, Term(name, Operator.LE, (_string(str(network.broadcast_address)),))))


def _cased(text: str, letters: str | None) -> str:
    """A code in the case that the endpoint writes it in; what lies beyond ASCII would become another letter."""
    if not text.isascii():
        return text
    return text.lower() if letters == "lower" else text.upper() if letters == "upper" else text
