"""From a search to an S1QL 1.0 query. Every comparison of text is written in a form that ignores case."""

from collections.abc import Sequence
from datetime import UTC

from ..compiling import Builder, NotCarriedError, Part, condition_nodes, regex_part
from ..literals import block_pattern, joined_patterns, pattern, within_last_part
from ..query import Compiled, Language
from ..search import Condition, Search, matches
from ..search import Operator as Ask
from ..values import moment_of, number_of
from ..views import Attribute, View
from .ast import And, Comparison, Node, Not, Operator, Or, Value, ValueKind, ors
from .printer import to_text
from .schema import MAX_LIST, MAX_ORS, Field, lookup

_ORDER = {Ask.GT: Operator.GT, Ask.GE: Operator.GE, Ask.LT: Operator.LT, Ask.LE: Operator.LE}
_SINGLE = {
    Ask.CONTAINS: Operator.CONTAINS_CIS,
    Ask.STARTSWITH: Operator.STARTSWITH_CIS,
    Ask.ENDSWITH: Operator.ENDSWITH_CIS,
}


def compile_search(search: Search, view: View) -> Compiled:
    """Write a search as a Deep Visibility query; the window and the cap go beside the text.

    Raises:
        NotCarriedError: no row of the view can match, or the query would hold too many ORs.
        UnsafeValueError: a value cannot be encoded.
    """
    node, missing = condition_of(search, view)
    if ors(node) > MAX_ORS:
        node, missing = condition_of(search, view, compact=True)
    if ors(node) > 2 * MAX_ORS:
        raise NotCarriedError(
            f"the query for {view.id} would hold {ors(node)} ORs, and Deep Visibility takes about {MAX_ORS}"
        )
    notes = list(missing)
    if search.aggregation is not None:
        notes.append("S1QL 1.0 lists and does not count; the events are counted afterwards")
    return Compiled(to_text(node), tuple(notes))


def condition_of(search: Search, view: View, *, compact: bool = False) -> tuple[Node, tuple[str, ...]]:
    """The condition of a search as a tree, whatever its size, and sentences on what it leaves out.

    Args:
        search: The typed question.
        view: Where its events lie.
        compact: Write alternatives as one regular expression instead of ORs.

    Raises:
        NotCarriedError: no row of the view can match.
        UnsafeValueError: a value cannot be encoded.
    """
    builder = _S1ql(compact=compact)
    narrowed = condition_nodes(search, view, builder)
    return builder.all_of(narrowed.nodes), narrowed.cannot_express


class _S1ql(Builder[Node]):
    def __init__(self, *, compact: bool) -> None:
        self._compact = compact
        """Write alternatives as one regular expression instead of ORs."""

    def all_of(self, nodes: Sequence[Node]) -> Node:
        flat = tuple(part for node in nodes for part in (node.parts if isinstance(node, And) else (node,)))
        return flat[0] if len(flat) == 1 else And(flat)

    def any_of(self, nodes: Sequence[Node]) -> Node:
        return Or(tuple(part for node in nodes for part in (node.parts if isinstance(node, Or) else (node,))))

    def negated(self, node: Node) -> Node:
        return node.part if isinstance(node, Not) else Not(node)

    def one_of(self, field: str, values: Sequence[str], attribute: Attribute | None) -> Node:
        known = lookup(field)
        if known is not None and known.type == "bool":
            return Comparison(field, Operator.IS_TRUE if values[0].lower() == "true" else Operator.IS_FALSE)
        return self._listed(field, Operator.IN, Operator.EQ, values)

    def vendor_value(self, attribute: Attribute, value: str) -> str | None:
        known = lookup(attribute.field)
        if known is None or not known.values:
            return None
        return next((item for item in known.values if item.casefold() == value.casefold()), None)

    def condition(self, condition: Condition, attribute: Attribute) -> Part[Node]:
        known = lookup(attribute.field)
        if known is None:
            return Part(True, False, f"S1QL has no field {attribute.field}")
        if condition.op is Ask.EXISTS:
            node = Comparison(attribute.field, Operator.IS_EMPTY, negated=True)
            return Part(node) if attribute.transform == "none" else Part(node, False, "asked of the whole path")
        match known.type:
            case "enum" if known.values:
                wanted = [item for item in known.values if matches(condition, {condition.field: item})]
                return Part(self._listed(known.name, Operator.IN, Operator.EQ, wanted) if wanted else False)
            case "int":
                return self._number(condition, known)
            case "timestamp":
                return self._time(condition, known)
            case "bool":
                return self._boolean(condition, known)
            case _:
                return self._text(condition, attribute)

    def _number(self, condition: Condition, known: Field) -> Part[Node]:
        numbers = [number for value in condition.values if isinstance(number := number_of(value), int)]
        if condition.op is Ask.EQ:
            return (
                Part(self._listed(known.name, Operator.IN, Operator.EQ, list(map(str, numbers)), ValueKind.NUMBER))
                if numbers
                else Part(False)
            )
        if condition.op in _ORDER:
            if not numbers:
                return Part(False)
            edge = (min if condition.op in (Ask.GT, Ask.GE) else max)(numbers)
            return Part(Comparison(known.name, _ORDER[condition.op], (Value(ValueKind.NUMBER, str(edge)),)))
        return Part(True, False, f"{known.name} is a number")

    def _time(self, condition: Condition, known: Field) -> Part[Node]:
        if condition.op not in _ORDER:
            return Part(True, False, f"{known.name} is a time")
        moments = [moment_of(value, Language.S1QL) for value in condition.values]
        edge = min(moments) if condition.op in (Ask.GT, Ask.GE) else max(moments)
        text = edge.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return Part(Comparison(known.name, _ORDER[condition.op], (Value(ValueKind.STRING, text),)))

    def _boolean(self, condition: Condition, known: Field) -> Part[Node]:
        wanted = {str(value).lower() for value in condition.values} & {"true", "false"}
        if condition.op is not Ask.EQ:
            return Part(True, False, f"{known.name} is true or false")
        return Part(self.one_of(known.name, [wanted.pop()], None)) if len(wanted) == 1 else Part(bool(wanted))

    def _text(self, condition: Condition, attribute: Attribute) -> Part[Node]:
        name, op = attribute.field, condition.op
        texts = [str(value) for value in condition.values]
        if op is Ask.CIDR:
            blocks = [block_pattern(text) for text in texts]
            known = [block for block in blocks if block is not None]
            if len(known) < len(blocks):
                return Part(True, False, "only blocks of IPv4 addresses are asked")
            return Part(_regexp(name, joined_patterns(known)))
        if op in _ORDER:
            return Part(True, False, f"{name} is text and has no order")
        if op is Ask.MATCHES:
            return self._regex(name, texts, attribute)
        if attribute.kind == "list" and op is not Ask.CONTAINS:
            whole = self._text(condition.model_copy(update={"op": Ask.CONTAINS}), attribute)
            return Part(whole.node, False, "asked anywhere in the list")
        last_part = attribute.transform == "basename"
        if last_part and not (texts := within_last_part(texts)):
            return Part(False)
        as_pattern = last_part or not all(map(_quotable, texts))
        if op is Ask.EQ and attribute.kind in ("host", "user"):
            if as_pattern or self._compact or len(texts) > 1:
                return Part(_regexp(name, pattern(op, texts, kind=attribute.kind)))
            return Part(Or(tuple(_also_qualified(name, texts[0], attribute.kind))))
        if as_pattern or (op in (Ask.STARTSWITH, Ask.ENDSWITH) and len(texts) > 1):
            return Part(_regexp(name, pattern(op, texts, last_part=last_part)))
        if op is Ask.EQ:
            return Part(self._listed(name, Operator.IN_ANYCASE, None, texts))
        if op is Ask.CONTAINS and len(texts) > 1:
            return Part(self._listed(name, Operator.IN_CONTAINS_ANYCASE, None, texts))
        return Part(Comparison(name, _SINGLE[op], (Value(ValueKind.STRING, texts[0]),)))

    def _regex(self, name: str, texts: Sequence[str], attribute: Attribute) -> Part[Node]:
        return regex_part(texts, attribute, lambda text: _regexp(name, text))

    def _listed(
        self,
        name: str,
        several: Operator,
        single: Operator | None,
        values: Sequence[str],
        kind: ValueKind = ValueKind.STRING,
    ) -> Node:
        written = [Value(kind, text) for text in dict.fromkeys(values)]
        if len(written) == 1 and single is not None:
            return Comparison(name, single, (written[0],))
        chunks = [tuple(written[at : at + MAX_LIST]) for at in range(0, len(written), MAX_LIST)]
        lists = tuple(Comparison(name, several, chunk) for chunk in chunks)
        return lists[0] if len(lists) == 1 else Or(lists)


def _quotable(text: str) -> bool:
    r"""Whether a string literal carries the text whether or not its reader takes backslashes for escapes.

    Published queries write backslashes singly and the vendor's API notes ask for them doubled, so a text that would
    read differently where it matters (a quote, a backslash at the end, control characters) becomes a pattern.
    """
    return text != "" and not any(char in "\"'" or not char.isprintable() for char in text) and not text.endswith("\\")


def _regexp(name: str, text: str) -> Comparison:
    r"""A pattern that ignores case, in quotes: quotes in it are written as `\xHH`, and so is a backslash at the end."""
    out: list[str] = []
    at = 0
    while at < len(text):
        pair = text[at : at + 2]
        if text[at] == "\\" and len(pair) == 2:
            out.append(_hex(pair[1]) if pair[1] in "\"'" or not pair[1].isprintable() else pair)
            at += 2
        else:
            out.append(_hex(text[at]) if text[at] in "\"'" or not text[at].isprintable() else text[at])
            at += 1
    written = "".join(out)
    if written.endswith("\\\\"):
        written = written[:-2] + r"\x5c"
    return Comparison(name, Operator.REGEXP, (Value(ValueKind.STRING, f"(?i){written}"),))


def _hex(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\x{{{ord(char):x}}}"


def _also_qualified(name: str, text: str, kind: str) -> list[Node]:
    def compared(operator: Operator, value: str) -> Comparison:
        return Comparison(name, operator, (Value(ValueKind.STRING, value),))

    equal = compared(Operator.IN_ANYCASE, text)
    if kind == "host":
        return [equal, compared(Operator.STARTSWITH_CIS, f"{text}.")]
    return [equal, compared(Operator.ENDSWITH_CIS, f"\\{text}"), compared(Operator.STARTSWITH_CIS, f"{text}@")]
