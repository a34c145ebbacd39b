r"""From a search to a CQL query.

LogScale compares text with case, so text is compared by patterns with the `i` flag; numbers and codes stand as they
are. Falcon writes Windows paths by volume, so a drive letter also matches `\Device\HarddiskVolumeN`.
"""

import re
from collections.abc import Sequence

from ..compiling import Builder, Part, condition_nodes, countable, regex_part
from ..literals import block_pattern, escaped, joined_patterns, pattern, within_last_part
from ..query import Compiled, Language
from ..search import Aggregation, Condition, Scalar, Search
from ..search import Operator as Ask
from ..values import moment_of, number_of
from ..views import Attribute, View
from .ast import (
    Always,
    And,
    Comparator,
    Compare,
    Count,
    Filter,
    GroupBy,
    In,
    Node,
    Not,
    Or,
    Pipeline,
    Regex,
    Sort,
    Stage,
    Tail,
    Text,
)
from .printer import to_text
from .schema import DEVICE_PATHS, EVENT

_ORDER: dict[Ask, Comparator] = {Ask.GT: ">", Ask.GE: ">=", Ask.LT: "<", Ask.LE: "<="}
_PLAIN = re.compile(r"[A-Za-z0-9_.:\-]+\Z")
_DRIVE = re.compile(r"[A-Za-z]?:(?=\\)")
_DEVICE = r"({}|\\Device\\HarddiskVolume\d+)"
_COUNTED = "_count"
_DISTINCT = "_distinct"


def compile_search(search: Search, view: View) -> Compiled:
    """Write a search as a query of the raw events; the window goes beside the text, the cap is its last stage.

    Raises:
        NotCarriedError: no row of the view can match.
        UnsafeValueError: a value cannot be encoded.
    """
    builder = _Cql()
    narrowed = condition_nodes(search, view, builder)
    notes = list(narrowed.cannot_express)
    condition = builder.all_of(narrowed.nodes) if narrowed.nodes else Always()
    stages: list[Stage] = [Filter(condition)]
    if search.aggregation is not None and not notes and countable(search.aggregation, view):
        stages += _counting(search.aggregation, view, search.limit)
    else:
        if search.aggregation is not None:
            notes.append("the events are counted afterwards, since not every condition can be asked here")
        stages.append(Sort(("@timestamp",), "desc", search.limit) if search.newest_first else Tail(search.limit))
    return Compiled(to_text(Pipeline(tuple(stages))), tuple(notes))


def _counting(aggregation: Aggregation, view: View, limit: int) -> list[Stage]:
    fields = tuple(dict.fromkeys(view.attributes[name].field for name in aggregation.by))
    functions = [Count(name=_COUNTED)]
    if aggregation.distinct is not None:
        functions.append(Count(view.attributes[aggregation.distinct].field, distinct=True, name=_DISTINCT))
    stages: list[Stage] = [GroupBy(fields, tuple(functions), limit)]
    if aggregation.minimum > 1:
        stages.append(Filter(Compare(_COUNTED, ">=", Text(str(aggregation.minimum)))))
    return [*stages, Sort((_COUNTED,), "desc", limit)]


class _Cql(Builder[Node]):
    def all_of(self, nodes: Sequence[Node]) -> Node:
        flat = tuple(part for node in nodes for part in (node.parts if isinstance(node, And) else (node,)))
        return flat[0] if len(flat) == 1 else And(flat)

    def any_of(self, nodes: Sequence[Node]) -> Node:
        return Or(tuple(part for node in nodes for part in (node.parts if isinstance(node, Or) else (node,))))

    def negated(self, node: Node) -> Node:
        return node.part if isinstance(node, Not) else Not(node)

    def one_of(self, field: str, values: Sequence[str], attribute: Attribute | None) -> Node:
        texts = tuple(Text(value) for value in values)
        return Compare(field, "=", texts[0]) if len(texts) == 1 else In(field, texts)

    def vendor_value(self, attribute: Attribute, value: str) -> str | None:
        return value if _PLAIN.match(value) and attribute.field != EVENT else None

    def condition(self, condition: Condition, attribute: Attribute) -> Part[Node]:
        name, op = attribute.field, condition.op
        if op is Ask.EXISTS:
            node: Node = And((Compare(name, "=", Text("*")), Compare(name, "!=", Text(""))))
            return Part(node) if attribute.transform == "none" else Part(node, False, "asked of the whole path")
        if op in _ORDER:
            return self._ordered(condition, attribute)
        texts = [str(value) for value in condition.values]
        if op is Ask.CIDR:
            blocks = [block_pattern(text) for text in texts]
            known = [block for block in blocks if block is not None]
            if len(known) < len(blocks):
                return Part(True, False, "only blocks of IPv4 addresses are asked")
            return Part(_compared(name, joined_patterns(known)))
        if op is Ask.MATCHES:
            return self._regex(name, texts, attribute)
        if op is Ask.EQ and (attribute.type in ("int", "float") or attribute.kind == "ip") and _all_plain(texts):
            return Part(self.one_of(name, texts, attribute))
        if name in DEVICE_PATHS and attribute.transform == "none" and any(_DRIVE.match(text) for text in texts):
            return Part(_compared(name, joined_patterns([_on_any_volume(op, text) for text in texts])))
        if attribute.kind == "list":
            node = _compared(name, pattern(Ask.CONTAINS, texts))
            return Part(node) if op is Ask.CONTAINS else Part(node, False, "asked anywhere in the list")
        last_part = attribute.transform == "basename"
        if last_part and not (texts := within_last_part(texts)):
            return Part(False)
        return Part(_compared(name, pattern(op, texts, kind=attribute.kind, last_part=last_part)))

    def _ordered(self, condition: Condition, attribute: Attribute) -> Part[Node]:
        if attribute.field == EVENT:
            return Part(False)  # names have no order
        numbers = [
            number
            for value in condition.values
            if (number := _epoch(value) if attribute.type == "epoch_ms" else number_of(value)) is not None
        ]
        if not numbers:
            return Part(False)
        edge = (min if condition.op in (Ask.GT, Ask.GE) else max)(numbers)
        return Part(Compare(attribute.field, _ORDER[condition.op], Text(str(edge))))

    def _regex(self, name: str, texts: Sequence[str], attribute: Attribute) -> Part[Node]:
        part: Part[Node] = regex_part(texts, attribute, lambda text: _compared(name, text))
        drive = name in DEVICE_PATHS and any(":" in text.replace("(?:", "") for text in texts)
        if drive and part.node is not True:
            return Part(True, False, "Falcon writes this path by volume, without a drive letter")
        return part


def _compared(name: str, text: str) -> Compare:
    r"""A pattern between slashes, ignoring case. A slash in it is `\x2f`; so nothing in it can end it."""
    if not text:
        # Two slashes would begin a comment, and the empty pattern holds for whatever is there.
        return Compare(name, "=", Text("*"))
    out: list[str] = []
    at = 0
    while at < len(text):
        step = 2 if text[at] == "\\" and at + 1 < len(text) else 1
        char = text[at + step - 1]
        out.append(f"\\x{ord(char):02x}" if char == "/" or not char.isprintable() else text[at : at + step])
        at += step
    return Compare(name, "=", Regex("".join(out), "i"))


def _on_any_volume(op: Ask, text: str) -> str:
    drive = _DRIVE.match(text)
    if drive is not None and len(drive.group()) == 1 and op in (Ask.EQ, Ask.STARTSWITH):
        drive = None
    body = _DEVICE.format(drive.group()) + escaped(text[drive.end() :]) if drive else escaped(text)
    begin = "" if op is Ask.CONTAINS or op is Ask.ENDSWITH else "^"
    return begin + body + ("$" if op in (Ask.EQ, Ask.ENDSWITH) else "")


def _all_plain(texts: Sequence[str]) -> bool:
    return all(_PLAIN.match(text) for text in texts)


def _epoch(value: Scalar) -> int:
    return int(moment_of(value, Language.CQL).timestamp() * 1000)
