"""Text to FQL and back. The grammar is LANGUAGES 3.2; `+` binds tighter than `,`."""

import re
from dataclasses import replace

from ..syntax import MAX_DEPTH, QuerySyntaxError, Token, TokenStream, tokenize
from .ast import And, Node, Not, Operator, Or, Term, Value, ValueKind

_TOKENS = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)
      | (?P<number>-?\d+(?:\.\d+)?(?![\w.]))
      | (?P<operator>!~|>=|<=|[!~><*])
      | (?P<sign>[+,:()\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"""\\(['"\\])""")
_WORDS = {"and": "write + for and", "or": "write , for or, in brackets", "not": "write ! before the value"}
_BARE = {"true": ValueKind.BOOLEAN, "false": ValueKind.BOOLEAN, "null": ValueKind.NULL}


def parse(text: str) -> Node:
    """Parse an FQL filter.

    Raises:
        QuerySyntaxError: with the place and, where known, what to write instead.
    """
    parser = _Parser(_tokens(text))
    node = parser.any_of(0)
    parser.finish()
    return node


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
    return "[" + ",".join(_literal(value) for value in term.values) + "]"


def _literal(value: Value) -> str:
    if value.kind is not ValueKind.STRING:
        return value.text
    return "'" + value.text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _tokens(text: str) -> list[Token]:
    try:
        return tokenize(text, _TOKENS)
    except QuerySyntaxError as error:
        if text[error.start : error.start + 1] == "%":
            raise QuerySyntaxError(
                error.message, error.start, error.end, "write the filter itself; encoding it is the client's work"
            ) from error
        raise


class _Parser(TokenStream):
    def _is(self, text: str) -> bool:
        return self._next.text == text and self._next.kind in ("sign", "operator")

    def finish(self) -> None:
        token = self._next
        if token.kind == "end":
            return
        hint = _WORDS.get(token.text.lower())
        if token.kind == "name" and hint is None:
            hint = "join conditions with + (and) or , (or)"
        raise QuerySyntaxError(f"{token.text!r} does not belong here", token.start, token.end, hint)

    def any_of(self, depth: int) -> Node:
        parts = [self._all_of(depth)]
        while self._is(","):
            self._take()
            parts.append(self._all_of(depth))
        if len(parts) == 1:
            return parts[0]
        return Or(tuple(parts), bracketed=False, start=parts[0].start, end=parts[-1].end)

    def _all_of(self, depth: int) -> Node:
        parts = [self._unary(depth)]
        while self._is("+"):
            self._take()
            parts.append(self._unary(depth))
        if len(parts) == 1:
            return parts[0]
        return And(tuple(parts), bracketed=False, start=parts[0].start, end=parts[-1].end)

    def _unary(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            token = self._next
            raise QuerySyntaxError("brackets are nested too deeply", token.start, token.end, code="too_complex")
        if self._is("!"):
            bang = self._take()
            part = self._unary(depth + 1)
            return Not(part, start=bang.start, end=part.end)
        if self._is("("):
            opening = self._take()
            inner = self.any_of(depth + 1)
            if not self._is(")"):
                raise QuerySyntaxError("this bracket is not closed", opening.start, opening.end, "add )")
            closing = self._take()
            if isinstance(inner, And | Or):
                return replace(inner, bracketed=True, start=opening.start, end=closing.end)
            return inner
        return self._term()

    def _term(self) -> Term:
        name = self._take()
        if name.kind != "name":
            raise QuerySyntaxError("a property name is expected here", name.start, max(name.end, name.start + 1))
        if not self._is(":"):
            hint = _WORDS.get(name.text.lower()) or "write property:'value'"
            raise QuerySyntaxError(f"{name.text} is not followed by a colon", name.start, name.end, hint)
        self._take()
        operator = Operator.EQ
        if self._next.kind == "operator":
            operator = self._operator(self._take())
        if self._is("["):
            opening = self._take()
            values = [self._value()]
            while self._is(","):
                self._take()
                values.append(self._value())
            if not self._is("]"):
                raise QuerySyntaxError("this list is not closed", opening.start, opening.end, "add ]")
            end = self._take().end
            return Term(name.text.lower(), operator, tuple(values), True, name.start, end)
        value = self._value()
        return Term(name.text.lower(), operator, (value,), False, name.start, value.end)

    def _operator(self, token: Token) -> Operator:
        following = self._next
        if following.kind == "operator":
            pair = token.text + following.text
            raise QuerySyntaxError(
                f"{pair} is not an operator",
                token.start,
                following.end,
                "a negated pattern is written !'*text*'" if pair == "!*" else None,
            )
        return Operator(token.text)

    def _value(self) -> Value:
        token = self._take()
        if token.kind == "string":
            return Value(ValueKind.STRING, _ESCAPE.sub(r"\1", token.text[1:-1]), token.start, token.end)
        if token.kind == "number":
            return Value(ValueKind.NUMBER, token.text, token.start, token.end)
        if token.kind == "name" and token.text in _BARE:
            return Value(_BARE[token.text], token.text, token.start, token.end)
        if token.kind == "name":
            raise QuerySyntaxError("text is written in single quotes", token.start, token.end, f"write '{token.text}'")
        raise QuerySyntaxError("a value is expected here", token.start, max(token.end, token.start + 1))
