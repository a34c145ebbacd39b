"""Text to FQL and back. The grammar is LANGUAGES 3.2; `+` binds tighter than `,`.

A whole condition is read by one pattern, which keeps checking fast; `mistakes` is asked only about what does not fit.
"""

import re
from dataclasses import replace

from ..syntax import MAX_DEPTH, QuerySyntaxError
from . import mistakes
from .ast import And, Node, Not, Operator, Or, Term, Value, ValueKind

_SCALAR = r"""
    (?P<string>'[^'\\]*(?:\\.[^'\\]*)*' | "[^"\\]*(?:\\.[^"\\]*)*")
  | (?P<bare>-?[0-9]+(?:\.[0-9]+)?(?![\w.*-]) | (?:true|false|null)(?![\w.*-]))
"""
_FLAGS = re.VERBOSE | re.DOTALL | re.ASCII
_CONDITION = re.compile(
    rf"""\s*(?P<name>[A-Za-z_]\w*(?:\.\w+)*)\s*:\s*(?P<operator>!~|>=|<=|[!~><*])?\s*(?:{_SCALAR}|(?P<opening>\[))""",
    _FLAGS,
)
_ITEM = re.compile(rf"\s*(?:{_SCALAR})\s*(?P<sign>[,\]])", _FLAGS)
_SPACE = re.compile(r"\s*", re.ASCII)
_ESCAPE = re.compile(r"""\\(['"\\])""")
_BARE = {"true": ValueKind.BOOLEAN, "false": ValueKind.BOOLEAN, "null": ValueKind.NULL}


def parse(text: str) -> Node:
    """Parse an FQL filter.

    Raises:
        QuerySyntaxError: with the place and, where known, what to write instead.
    """
    return _Parser(text).whole()


def to_text(node: Node) -> str:
    """Print a filter canonically: alternatives always in brackets, strings in single quotes."""
    match node:
        case Term():
            return f"{node.property}:{node.operator}{_list(node) if node.is_list else _literal(node.values[0])}"
        case Not(part=Term() as part):
            return f"!{to_text(part)}"
        case Not(part=part):
            inner = to_text(part)
            return f"!{inner}" if isinstance(part, Or) else f"!({inner})"
        case And(parts=parts):
            return "+".join(f"({to_text(part)})" if isinstance(part, And) else to_text(part) for part in parts)
        case Or(parts=parts):
            return f"({','.join(f'({to_text(part)})' if isinstance(part, And) else to_text(part) for part in parts)})"


def _list(term: Term) -> str:
    return "[" + ",".join(map(_literal, term.values)) + "]"


def _literal(value: Value) -> str:
    if value.kind is not ValueKind.STRING:
        return value.text
    return "'" + value.text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def whole(self) -> Node:
        node = self._any_of(0)
        if self._sign():
            raise mistakes.behind_condition(self._text, self._at)
        return node

    def _sign(self) -> str:
        """The character behind any space, which is passed; empty at the end."""
        self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # matches nothing, too
        return self._text[self._at : self._at + 1]

    def _any_of(self, depth: int) -> Node:
        parts = [self._all_of(depth)]
        while self._sign() == ",":
            self._at += 1
            parts.append(self._all_of(depth))
        if len(parts) == 1:
            return parts[0]
        return Or(tuple(parts), bracketed=False, start=parts[0].start, end=parts[-1].end)

    def _all_of(self, depth: int) -> Node:
        parts = [self._unary(depth)]
        while self._sign() == "+":
            self._at += 1
            parts.append(self._unary(depth))
        if len(parts) == 1:
            return parts[0]
        return And(tuple(parts), bracketed=False, start=parts[0].start, end=parts[-1].end)

    def _unary(self, depth: int) -> Node:
        sign, start = self._sign(), self._at
        if depth > MAX_DEPTH:
            raise QuerySyntaxError("brackets are nested too deeply", start, start + 1, code="too_complex")
        if sign == "!":
            self._at += 1
            part = self._unary(depth + 1)
            return Not(part, start=start, end=part.end)
        if sign == "(":
            self._at += 1
            inner = self._any_of(depth + 1)
            closing = self._sign()
            if not closing:
                raise QuerySyntaxError("this bracket is not closed", start, start + 1, "add )")
            if closing != ")":
                raise mistakes.behind_condition(self._text, self._at)
            self._at += 1
            return replace(inner, bracketed=True, start=start, end=self._at) if isinstance(inner, And | Or) else inner
        return self._term()

    def _term(self) -> Term:
        found = _CONDITION.match(self._text, self._at)
        if found is None:
            raise mistakes.in_condition(self._text, self._at)
        self._at = found.end()
        one = found["opening"] is None
        values = (_value(found),) if one else self._items(found.end() - 1)
        operator = Operator(found["operator"] or "")
        return Term(found["name"].lower(), operator, values, not one, found.start("name"), self._at)

    def _items(self, opening: int) -> tuple[Value, ...]:
        values: list[Value] = []
        while True:
            found = _ITEM.match(self._text, self._at)
            if found is None:
                raise mistakes.in_list(self._text, opening, self._at)
            values.append(_value(found))
            self._at = found.end()
            if found["sign"] == "]":
                return tuple(values)


def _value(found: re.Match[str]) -> Value:
    string = found["string"]
    if string is None:
        bare = found["bare"]
        return Value(_BARE.get(bare, ValueKind.NUMBER), bare, *found.span("bare"))
    text = string[1:-1]
    return Value(ValueKind.STRING, _ESCAPE.sub(r"\1", text) if "\\" in text else text, *found.span("string"))
