r"""A reader of Sigma rules that knows no converter: the judge of the measurement.

It reads a rule's YAML by the Sigma specification into a tree of tests and says whether flat event fields meet it.
It imports neither `tools/sigma` nor pySigma, so that a mistake of either is not its own.
"""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any, Literal

MANY, ONE = "\ue000", "\ue001"
"""Stand for `*` and `?` in a text whose escapes are read; from the private use area, so no rule writes them."""
_DASHES = ("-", "/", "\u2013", "\u2014", "\u2015")
_DASH = re.compile(r"\B[-/]\b")
_TOKEN = re.compile(r"\s*(\(|\)|[^\s()]+)")

Kind = Literal["text", "pattern", "network", "number", "absent", "present", "keyword"]
Fields = Mapping[str, Any]


class UnreadRuleError(Exception):
    """The judge does not know a construct of this rule; the message names it."""


@dataclass(frozen=True, slots=True)
class Test:
    """One value that one field is compared with."""

    field: str
    kind: Kind
    value: str
    """A text with `MANY` and `ONE`, a pattern, a network, or `<=5`."""
    cased: bool = False

    __test__ = False

    def holds(self, fields: Fields) -> bool:
        """Whether the event's field meets the test."""
        actual = fields.get(self.field)
        if self.kind == "absent":
            return actual in (None, "")
        if actual in (None, ""):
            return False
        if self.kind == "present":
            return True
        text = str(actual)
        match self.kind:
            case "text":
                return _glob(self.value, text) if self.cased else _glob(self.value.lower(), text.lower())
            case "pattern":
                return re.search(self.value, text) is not None
            case "network":
                return _within(text, self.value)
            case _:
                return _ordered(text, self.value)


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Never:
    """The part does not hold."""

    part: "Node"


Node = Test | All | Some | Never


@dataclass(frozen=True, slots=True)
class SigmaRule:
    """What the measurement needs of a rule."""

    name: str
    title: str
    product: str
    category: str
    service: str
    condition: Node

    def holds(self, fields: Fields) -> bool:
        """Whether an event is one that the rule finds."""
        return holds(self.condition, fields)


def holds(node: Node, fields: Fields) -> bool:
    """Whether flat fields meet a tree of tests."""
    match node:
        case Test():
            return node.holds(fields)
        case All(parts=parts):
            return all(holds(part, fields) for part in parts)
        case Some(parts=parts):
            return any(holds(part, fields) for part in parts)
        case Never(part=part):
            return not holds(part, fields)


def read_rule(name: str, document: Mapping[str, Any]) -> SigmaRule:
    """Read a rule's YAML.

    Raises:
        UnreadRuleError: it uses what the judge does not know.
    """
    source, detection = document.get("logsource", {}), document.get("detection", {})
    searches = {key: _detection(value) for key, value in detection.items() if key not in ("condition", "timeframe")}
    written = detection.get("condition", "")
    conditions = written if isinstance(written, list) else [written]
    parsed = [_Condition(str(text), searches).read() for text in conditions]
    return SigmaRule(
        name=name,
        title=str(document.get("title", "")),
        product=str(source.get("product") or ""),
        category=str(source.get("category") or ""),
        service=str(source.get("service") or ""),
        condition=parsed[0] if len(parsed) == 1 else Some(tuple(parsed)),
    )


def each_test(node: Node) -> Iterator[Test]:
    """Every test of a tree."""
    match node:
        case Test():
            yield node
        case Never(part=part):
            yield from each_test(part)
        case All(parts=parts) | Some(parts=parts):
            for part in parts:
                yield from each_test(part)


def _detection(value: Any) -> Node:
    if isinstance(value, Mapping):
        return _all([_item(str(key), held) for key, held in value.items()])
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return _some([_detection(item) for item in value])
    raise UnreadRuleError("keywords without a field")


def _all(parts: Sequence[Node]) -> Node:
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _some(parts: Sequence[Node]) -> Node:
    return parts[0] if len(parts) == 1 else Some(tuple(parts))


def _item(key: str, value: Any) -> Node:
    field, *modifiers = key.split("|")
    values = value if isinstance(value, list) else [value]
    if not field:
        raise UnreadRuleError("keywords without a field")
    each = [_value(field, modifiers, item) for item in values]
    if not each:
        return Test(field, "absent", "")
    whole = _all(each) if "all" in modifiers else _some(each)
    return Never(whole) if "neq" in modifiers else whole


def _value(field: str, modifiers: Sequence[str], value: Any) -> Node:
    known = set(modifiers) - {"all", "neq"}
    if "exists" in known:
        return Test(field, "present" if value else "absent", "")
    if value is None or value == "":
        return Test(field, "absent", "")
    if "re" in known:
        flags = "".join(flag for flag in ("i", "m", "s") if flag in known)
        return Test(field, "pattern", f"(?{flags}){value}" if flags else str(value))
    if "cidr" in known:
        return Test(field, "network", str(value))
    for name, sign in (("lte", "<="), ("gte", ">="), ("lt", "<"), ("gt", ">")):
        if name in known:
            return Test(field, "number", f"{sign}{value}")
    texts = [str(value).lower() if isinstance(value, bool) else _escapes_read(str(value))]
    position = {"contains": (True, True), "startswith": (False, True), "endswith": (True, False)}
    before, after = False, False
    for modifier in modifiers:
        match modifier:
            case "all" | "cased" | "neq":
                pass
            case "contains" | "startswith" | "endswith":
                before, after = position[modifier]
            case "windash":
                texts = [text for one in texts for text in _dashes(one)]
            case "wide" | "utf16le":
                texts = [text.encode("utf-16-le").decode("latin-1") for text in texts]
            case "base64":
                texts = [base64.b64encode(text.encode("latin-1")).decode() for text in texts]
            case "base64offset":
                texts = [text for one in texts for text in _offsets(one.encode("latin-1"))]
            case _:
                raise UnreadRuleError(f"the modifier {modifier}")
    framed = [
        ("" if not before or text.startswith(MANY) else MANY)
        + text
        + ("" if not after or text.endswith(MANY) else MANY)
        for text in texts
    ]
    return _some([Test(field, "text", text, "cased" in known) for text in dict.fromkeys(framed)])


def _escapes_read(text: str) -> str:
    r"""`*` and `?` as wildcards; a backslash makes them, and itself, plain, and stands for itself elsewhere."""
    out: list[str] = []
    at = 0
    while at < len(text):
        pair = text[at : at + 2]
        if len(pair) == 2 and pair[0] == "\\" and pair[1] in "*?\\":
            out.append(pair[1])
            at += 2
            continue
        out.append({"*": MANY, "?": ONE}.get(text[at], text[at]))
        at += 1
    return "".join(out)


def _dashes(text: str) -> list[str]:
    found = [text]
    for place in reversed(list(_DASH.finditer(text))):
        found = [one[: place.start()] + dash + one[place.end() :] for one in found for dash in _DASHES]
    return found


def _offsets(data: bytes) -> list[str]:
    """What is always the same in the base64 of a longer text that holds the data, at each of three offsets."""
    starts, ends = (0, 2, 3), (None, -3, -2)
    return [
        base64.b64encode(b" " * offset + data)[starts[offset] : ends[(len(data) + offset) % 3]].decode()
        for offset in range(3)
    ]


def _glob(pattern: str, text: str) -> bool:
    if ONE in pattern or MANY in pattern.strip(MANY):
        quoted = re.sub(r"([\[\]*?])", r"[\1]", pattern)
        return fnmatchcase(text, quoted.replace(MANY, "*").replace(ONE, "?"))
    bare = pattern.strip(MANY)
    begins, ends = pattern.startswith(MANY), pattern.endswith(MANY)
    if begins and ends:
        return bare in text
    return text.endswith(bare) if begins else text.startswith(bare) if ends else text == bare


def _within(text: str, network: str) -> bool:
    try:
        return ip_address(text) in ip_network(network, strict=False)
    except ValueError:
        return False


def _ordered(text: str, bound: str) -> bool:
    found = re.fullmatch(r"([<>]=?)(.+)", bound)
    try:
        assert found is not None
        left, right = float(text), float(found[2])
    except ValueError:
        return False
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[found[1]]


class _Condition:
    """`not` binds closer than `and`, and that closer than `or`; `1 of x*` and `all of them` are names of many."""

    def __init__(self, text: str, searches: Mapping[str, Node]) -> None:
        if "|" in text:
            raise UnreadRuleError("an aggregation in the condition")
        self._tokens = [found[1] for found in _TOKEN.finditer(text)]
        self._searches = searches
        self._at = 0

    def read(self) -> Node:
        node = self._or()
        if self._at < len(self._tokens):
            raise UnreadRuleError(f"the condition at {self._tokens[self._at]!r}")
        return node

    def _peek(self) -> str:
        return self._tokens[self._at].lower() if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        if self._at >= len(self._tokens):
            raise UnreadRuleError("a condition that ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _or(self) -> Node:
        parts = [self._and()]
        while self._peek() == "or":
            self._take()
            parts.append(self._and())
        return _some(parts)

    def _and(self) -> Node:
        parts = [self._not()]
        while self._peek() == "and":
            self._take()
            parts.append(self._not())
        return _all(parts)

    def _not(self) -> Node:
        if self._peek() == "not":
            self._take()
            return Never(self._not())
        if self._peek() == "(":
            self._take()
            node = self._or()
            if self._take() != ")":
                raise UnreadRuleError("a bracket that does not close")
            return node
        return self._named()

    def _named(self) -> Node:
        word = self._take()
        if word.lower() in ("1", "any", "all") and self._peek() == "of":
            self._take()
            names = self._matching(self._take())
            parts = [self._searches[name] for name in names]
            return _all(parts) if word.lower() == "all" else _some(parts)
        if word not in self._searches:
            raise UnreadRuleError(f"the condition names {word!r}")
        return self._searches[word]

    def _matching(self, pattern: str) -> list[str]:
        if pattern.lower() == "them":
            names = [name for name in self._searches if not name.startswith("_")]
        else:
            names = [name for name in self._searches if fnmatchcase(name, pattern)]
        if not names:
            raise UnreadRuleError(f"no search is called {pattern!r}")
        return names
