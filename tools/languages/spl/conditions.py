"""Conditions of `search`. The AND between two terms may be left out, and OR is taken before it."""

import re
from dataclasses import dataclass, replace
from typing import cast

from ..syntax import MAX_DEPTH, QuerySyntaxError, Token, TokenStream
from .ast import Always, And, Comparator, Compare, In, Node, Not, Or, Search, Term, Value
from .literals import decoded
from .tokens import tokens_at

OR_BEFORE_AND = True
"""Splunk's Search Manual, `Boolean expressions`: in `search` the OR clauses are evaluated before the AND clauses."""

_TOKENS = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<operator>!=|<=|>=|[=<>])
      | (?P<sign>[(),\[\]])
      | (?P<word>(?:[^\s"=<>(),!\[\]`]|!(?!=))+)
    """,
    re.VERBOSE | re.DOTALL,
)
_TIMES = ("earliest", "latest")
_OTHER_TIMES = frozenset(
    {"_index_earliest", "_index_latest", "starttime", "endtime", "starttimeu", "endtimeu", "timeformat"}
)
_CALLS = ("TERM", "CASE")


@dataclass(frozen=True, slots=True)
class _Time:
    """`earliest=` or `latest=`, which stand among the conditions and are none."""

    name: str
    value: str
    start: int
    end: int


def read_search(text: str, offset: int, *, head: bool) -> Search:
    """The arguments of `search`.

    Args:
        text: Without the command's name.
        offset: Where it begins in the query.
        head: Whether it picks events, so that it may bound the time.

    Raises:
        QuerySyntaxError: with the place in the query.
    """
    return _Parser(tokens_at(text, offset, _TOKENS), head).search()


class _Parser(TokenStream):
    def __init__(self, tokens: list[Token], head: bool) -> None:
        super().__init__(tokens)
        self._head = head
        self._times: dict[str, _Time] = {}

    def search(self) -> Search:
        start = self._next.start
        if self._next.kind == "end":
            raise QuerySyntaxError("a condition is expected here", start, start)
        parts = self._parts(0, top=True)
        token = self._next
        if token.kind != "end":
            raise self._error(token, f"{token.text!r} does not belong here")
        condition = self._joined(parts) if parts else None
        found = {name: time.value for name, time in self._times.items()}
        return Search(condition, found.get("earliest"), found.get("latest"), start, self._last_end)

    def _error(self, token: Token, message: str, hint: str | None = None) -> QuerySyntaxError:
        return QuerySyntaxError(message, token.start, max(token.end, token.start + 1), hint)

    def _is(self, sign: str) -> bool:
        return self._next.kind == "sign" and self._next.text == sign

    def _keyword(self, word: str) -> bool:
        return self._next.kind == "word" and self._next.text == word

    def _parts(self, depth: int, *, top: bool = False) -> list[Node]:
        parts: list[Node] = []
        while True:
            part = self._any_of(depth, top)
            if isinstance(part, _Time):
                self._times[part.name] = part
            else:
                parts.append(part)
            if self._next.kind == "end" or self._is(")"):
                return parts
            if self._keyword("AND"):
                self._take()

    def _joined(self, parts: list[Node]) -> Node:
        return parts[0] if len(parts) == 1 else And(tuple(parts), False, parts[0].start, parts[-1].end)

    def _any_of(self, depth: int, top: bool) -> Node | _Time:
        first = self._unary(depth)
        if isinstance(first, _Time):
            if not (top and self._head) or self._keyword("OR"):
                message = f"{first.name} bounds the whole search and stands beside its conditions"
                raise QuerySyntaxError(message, first.start, first.end, "put it at the head, outside brackets and OR")
            return first
        parts: list[Node] = [first]
        while self._keyword("OR"):
            self._take()
            part = self._unary(depth)
            if isinstance(part, _Time):
                raise QuerySyntaxError(f"{part.name} cannot be an alternative", part.start, part.end)
            parts.append(part)
        return parts[0] if len(parts) == 1 else Or(tuple(parts), False, parts[0].start, parts[-1].end)

    def _unary(self, depth: int) -> Node | _Time:
        token = self._next
        if depth > MAX_DEPTH:
            raise QuerySyntaxError("brackets are nested too deeply", token.start, token.end, code="too_complex")
        if self._keyword("NOT"):
            self._take()
            part = self._unary(depth + 1)
            if isinstance(part, _Time):
                raise QuerySyntaxError(f"{part.name} cannot be negated", part.start, part.end)
            return Not(part, token.start, part.end)
        if self._is("("):
            self._take()
            inner = self._joined(self._parts(depth + 1))
            if not self._is(")"):
                raise self._error(token, "this bracket is not closed", "add )")
            end = self._take().end
            return replace(inner, bracketed=True, start=token.start, end=end) if isinstance(inner, And | Or) else inner
        return self._condition()

    def _condition(self) -> Node | _Time:
        token = self._take()
        if token.kind == "sign" and token.text == "[":
            raise self._error(token, "a subsearch is not supported")
        if token.kind not in ("word", "string"):
            raise self._error(token, "a condition is expected here")
        if token.kind == "word" and token.text in ("AND", "OR"):
            raise self._error(token, f"{token.text} joins two conditions, and one is missing here")
        following = self._next
        if following.kind == "operator":
            return self._compared(token)
        if token.kind == "word" and following.kind == "sign" and following.text == "(" and token.text in _CALLS:
            raise QuerySyntaxError(
                f"{token.text}() is not supported", token.start, following.end, code="unknown_function"
            )
        if self._keyword("IN") or self._keyword("in"):
            listed = self._tokens[self._at + 1 : self._at + 2]
            if listed and listed[0].text == "(" and listed[0].kind == "sign":
                return self._in(token)
        if token.kind == "word" and token.text == "*":
            return Always(token.start, token.end)
        text = decoded(token.text) if token.kind == "string" else token.text
        return Term(text, token.kind == "string", token.start, token.end)

    def _field(self, token: Token) -> str:
        name = decoded(token.text) if token.kind == "string" else token.text
        if not name.strip():
            raise self._error(token, "a field name is expected here")
        if name in _OTHER_TIMES:
            raise self._error(token, f"the time modifier {name} is not supported", "write earliest= and latest=")
        return name

    def _compared(self, token: Token) -> Node | _Time:
        name = self._field(token)
        sign = self._take()
        value = self._value()
        if name in _TIMES:
            if sign.text != "=":
                raise self._error(sign, f"{name} is written with =")
            if name in self._times:
                raise self._error(token, f"{name} is given twice")
            return _Time(name, value.text, token.start, value.end)
        return Compare(name, cast(Comparator, sign.text), value, token.start, value.end)

    def _value(self) -> Value:
        token = self._take()
        if token.kind == "sign" and token.text == "[":
            raise self._error(token, "a subsearch is not supported")
        if token.kind not in ("word", "string"):
            hint = "write a list as field IN (a, b)" if token.text == "(" else None
            raise self._error(token, "a value is expected here", hint)
        return Value(decoded(token.text) if token.kind == "string" else token.text, token.start, token.end)

    def _in(self, token: Token) -> In:
        name = self._field(token)
        keyword = self._take()
        if keyword.text != "IN":
            raise self._error(keyword, "`in` is searched for as a word", "write IN")
        opened = self._take()
        values = [self._value()]
        while self._is(","):
            self._take()
            values.append(self._value())
        if not self._is(")"):
            raise self._error(opened, "this list is not closed", "separate the values by commas and close with )")
        return In(name, tuple(values), token.start, self._take().end)
