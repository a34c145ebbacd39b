r"""From a search to SPL.

`search` ignores case and its one wildcard cannot be escaped, so it is asked what wildcards can say; the rest goes to
`where` as a pattern. Each condition is kept in both forms, and a part of the whole goes to `search` when all in it can.
The window stands in the text: there is no client that would send it beside it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ....knowledge.errors import UnsafeValueError
from ..compiling import Builder, Part, condition_nodes, countable, regex_part
from ..literals import block_pattern, pattern, within_last_part
from ..query import Compiled, Language
from ..search import Aggregation, Condition, Search, Window
from ..search import Operator as Ask
from ..values import block_of, moment_of, number_of
from ..views import Attribute, View
from . import ast
from .literals import safe_pattern
from .printer import to_text
from .schema import CODE

COUNTED = "count"
DISTINCT = "distinct"
MAPPED = frozenset({"IpAddress"})
"""Fields in which an IPv4 address may be wrapped as `::ffff:10.0.0.1`."""
_ORDER: dict[Ask, ast.Comparator] = {Ask.GT: ">", Ask.GE: ">=", Ask.LT: "<", Ask.LE: "<="}
_PLAIN = re.compile(r"[A-Za-z0-9_.:\-]+\Z")
_FIXED = frozenset({CODE, "source", "EventType"})
"""Fields whose values are those that the views list, and no others."""


@dataclass(frozen=True)
class Piece:
    """A condition in both forms."""

    search: ast.Node | None
    """None: `search` cannot say it."""
    where: ast.Expression
    total: ast.Expression
    """As `where`, and false where the field is missing, so that it can be negated."""
    parts: tuple["Piece", ...] = ()
    """What it is the conjunction of."""

    def conjuncts(self) -> tuple["Piece", ...]:
        """The conditions that all must hold."""
        return tuple(inner for part in self.parts for inner in part.conjuncts()) if self.parts else (self,)


def compile_search(search: Search, view: View) -> Compiled:
    """Write a search as SPL, bounded by its window and its limit; the newest events come first.

    Raises:
        NotCarriedError: no row of the view can match.
        UnsafeValueError: a value cannot be encoded.
    """
    narrowed = condition_nodes(search, view, _Spl())
    notes = list(narrowed.cannot_express)
    pieces = [part for node in narrowed.nodes for part in node.conjuncts()]
    nodes = [piece.search for piece in pieces if piece.search is not None]
    rest = [piece.where for piece in pieces if piece.search is None]
    stages: list[ast.Stage] = [_head(search.window, nodes)]
    if rest:
        stages.append(ast.Where(_joined("AND", rest)))
    if search.aggregation is not None and not notes and countable(search.aggregation, view):
        stages += _counting(search.aggregation, view, search.limit)
    else:
        if search.aggregation is not None:
            notes.append("the events are counted afterwards, since not every condition can be asked here")
        stages.append(ast.Head(search.limit))
    return Compiled(to_text(ast.Pipeline(tuple(stages))), tuple(notes))


def _head(window: Window, nodes: Sequence[ast.Node]) -> ast.Search:
    everywhere = ast.Compare("index", "=", ast.Value("*"))
    condition = ast.And((everywhere, *nodes)) if nodes else everywhere
    return ast.Search(condition, _epoch(window.start.timestamp()), _epoch(window.end.timestamp()))


def _epoch(seconds: float) -> str:
    return str(int(seconds)) if seconds.is_integer() else f"{seconds:.6f}"


def _counting(aggregation: Aggregation, view: View, limit: int) -> list[ast.Stage]:
    fields = tuple(dict.fromkeys(view.attributes[name].field for name in aggregation.by))
    functions = [ast.Aggregate("count", None, COUNTED)]
    if aggregation.distinct is not None:
        functions.append(ast.Aggregate("dc", view.attributes[aggregation.distinct].field, DISTINCT))
    stages: list[ast.Stage] = [ast.Stats(tuple(functions), fields)]
    if aggregation.minimum > 1:
        stages.append(ast.Where(ast.Binary(">=", ast.Name(COUNTED), ast.Constant(aggregation.minimum))))
    return [*stages, ast.Sort((ast.SortKey(COUNTED, True),), limit)]


class _Spl(Builder[Piece]):
    def all_of(self, nodes: Sequence[Piece]) -> Piece:
        flat = tuple(part for node in nodes for part in node.conjuncts())
        searches = [node.search for node in flat if node.search is not None]
        whole = ast.And(tuple(searches)) if len(searches) == len(flat) else None
        return Piece(whole, _joined("AND", [n.where for n in flat]), _joined("AND", [n.total for n in flat]), flat)

    def any_of(self, nodes: Sequence[Piece]) -> Piece:
        found = [node.search for node in nodes if node.search is not None]
        flat = tuple(part for node in found for part in (node.parts if isinstance(node, ast.Or) else (node,)))
        whole = ast.Or(flat) if len(found) == len(nodes) else None
        return Piece(whole, _joined("OR", [n.where for n in nodes]), _joined("OR", [n.total for n in nodes]))

    def negated(self, node: Piece) -> Piece:
        search = node.search.part if isinstance(node.search, ast.Not) else ast.Not(node.search) if node.search else None
        total = ast.Unary("NOT", node.total)
        return Piece(search, total, total)

    def one_of(self, field: str, values: Sequence[str], attribute: Attribute | None) -> Piece:
        listed = ast.Call("in", (ast.Name(field), *(ast.Constant(value) for value in values)))
        return _piece(_listed(field, values), field, listed)

    def vendor_value(self, attribute: Attribute, value: str) -> str | None:
        return value if _PLAIN.match(value) and attribute.field not in _FIXED else None

    def condition(self, condition: Condition, attribute: Attribute) -> Part[Piece]:
        name, op = attribute.field, condition.op
        if attribute.type in ("datetime", "epoch_s", "epoch_ms"):
            return self._moment(condition, attribute)
        if op is Ask.EXISTS:
            node = _exists(name, attribute)
            return Part(node) if attribute.transform == "none" else Part(node, False, "asked of the whole path")
        if op in _ORDER:
            return self._ordered(condition, attribute)
        texts = [str(value) for value in condition.values]
        for text in texts:
            _refuse_broken(text)
        if op is Ask.CIDR:
            return Part(_any([_block(name, text) for text in texts]))
        if op is Ask.MATCHES:
            return self._regex(name, texts, attribute)
        if attribute.kind == "list":
            node = _any([_text(name, Ask.CONTAINS, texts, attribute)])
            return Part(node) if op is Ask.CONTAINS else Part(node, False, "asked anywhere in the list")
        if attribute.transform == "basename" and not (texts := within_last_part(texts)):
            return Part(False)
        return Part(_text(name, op, texts, attribute))

    def _moment(self, condition: Condition, attribute: Attribute) -> Part[Piece]:
        if condition.op is Ask.EXISTS:
            return Part(True)
        if condition.op not in _ORDER:
            return Part(True, False, "a time is compared by before and after alone")
        moments = [moment_of(value, Language.SPL).timestamp() for value in condition.values]
        edge = (min if condition.op in (Ask.GT, Ask.GE) else max)(moments)
        number = int(edge) if edge.is_integer() else edge
        compared = ast.Binary(_ORDER[condition.op], ast.Name(attribute.field), ast.Constant(number))
        return Part(_piece(None, attribute.field, compared))

    def _ordered(self, condition: Condition, attribute: Attribute) -> Part[Piece]:
        if attribute.field in _FIXED and attribute.type != "int":
            return Part(False)  # names have no order
        numbers = [number for value in condition.values if (number := number_of(value)) is not None]
        if not numbers:
            return Part(False)
        edge = (min if condition.op in (Ask.GT, Ask.GE) else max)(numbers)
        sign = _ORDER[condition.op]
        held = ast.Call("tonumber", (ast.Name(attribute.field),))
        where = ast.Binary(sign, held, ast.Constant(edge))
        total = ast.Joined("AND", (ast.Call("isnotnull", (held,)), where))
        numeric = attribute.type in ("int", "float")
        plain = ast.Compare(attribute.field, sign, ast.Value(str(edge))) if numeric and "e" not in str(edge) else None
        return Part(Piece(plain, where, total))

    def _regex(self, name: str, texts: list[str], attribute: Attribute) -> Part[Piece]:
        return regex_part(texts, attribute, lambda text: _matched(name, text))


def _joined(word: Literal["AND", "OR"], parts: Sequence[ast.Expression]) -> ast.Expression:
    return parts[0] if len(parts) == 1 else ast.Joined(word, tuple(parts))


def _any(pieces: Sequence[Piece]) -> Piece:
    return pieces[0] if len(pieces) == 1 else _Spl().any_of(pieces)


def _piece(search: ast.Node | None, field: str, where: ast.Expression) -> Piece:
    there = ast.Call("isnotnull", (ast.Name(field),))
    return Piece(search, where, ast.Joined("AND", (there, where)))


def _listed(field: str, values: Sequence[str]) -> ast.Node:
    found = tuple(ast.Value(value) for value in values)
    return ast.Compare(field, "=", found[0]) if len(found) == 1 else ast.In(field, found)


def _matched(field: str, text: str) -> Piece:
    called = ast.Call("match", (ast.Name(field), ast.Constant("(?i)" + safe_pattern(text))))
    return _piece(None, field, called)


def _exists(field: str, attribute: Attribute) -> Piece:
    """There, and not one of the ways in which Windows writes that it is not."""
    empty = ("", "-") if attribute.kind in ("ip", "host", "user") else ("",)
    nothing = ast.Call("in", (ast.Name(field), *(ast.Constant(value) for value in empty)))
    there = ast.Call("isnotnull", (ast.Name(field),))
    held = ast.Joined("AND", (there, ast.Unary("NOT", nothing)))
    search = ast.And((ast.Compare(field, "=", ast.Value("*")), ast.Not(_listed(field, empty))))
    return Piece(search, held, held)


def _text(field: str, op: Ask, texts: Sequence[str], attribute: Attribute) -> Piece:
    last_part = attribute.transform == "basename"
    mapped = field in MAPPED and op in (Ask.EQ, Ask.STARTSWITH)
    wanted = pattern(op, texts, kind=attribute.kind, last_part=last_part)
    matched = _matched(field, "^(::ffff:)?" + wanted.removeprefix("^") if mapped else wanted)
    if not all(map(_is_plain, texts)) or (last_part and op in (Ask.STARTSWITH, Ask.CONTAINS)):
        return matched
    forms = [form for text in texts for form in _wildcards(op, text, attribute.kind, last_part, mapped)]
    return Piece(_listed(field, forms), matched.where, matched.total)


def _wildcards(op: Ask, text: str, kind: str, last_part: bool, mapped: bool) -> tuple[str, ...]:
    match op:
        case Ask.EQ if kind == "host":
            return text, f"{text}.*"
        case Ask.EQ if kind == "user":
            return text, f"*\\{text}", f"{text}@*"
        case Ask.EQ if last_part:
            return text, f"*\\{text}", f"*/{text}"
        case Ask.EQ:
            return (text, f"::ffff:{text}") if mapped else (text,)
        case Ask.STARTSWITH:
            return (f"{text}*", f"::ffff:{text}*") if mapped else (f"{text}*",)
        case Ask.ENDSWITH:
            return (f"*{text}",)
        case _:
            return (f"*{text}*",)


def _is_plain(text: str) -> bool:
    """Whether `search` compares it as it is: no wildcard, no sign that another layer reads, no block of addresses."""
    return bool(text) and text.isprintable() and "*" not in text and "`" not in text and not _is_block(text)


def _is_block(text: str) -> bool:
    if "/" not in text:
        return False
    try:
        block_of(text)
    except UnsafeValueError:
        return False
    return True


def _block(field: str, text: str) -> Piece:
    network = block_of(text)
    addresses = block_pattern(text)
    if field in MAPPED and addresses is not None:
        return _matched(field, "^(::ffff:)?" + addresses.removeprefix("^"))
    matched = ast.Call("cidrmatch", (ast.Constant(str(network)), ast.Name(field)))
    return _piece(ast.Compare(field, "=", ast.Value(str(network))), field, matched)


def _refuse_broken(text: str) -> None:
    """Refuse what no text encoding can carry.

    Raises:
        UnsafeValueError: half of a surrogate pair.
    """
    if not text.isascii() and any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        raise UnsafeValueError(f"{text!r} holds half a character, which SPL cannot carry.")
