"""Scalar expressions: recursive descent with precedence climbing, so that a chain costs one frame."""

from collections.abc import Callable
from typing import NoReturn

from ..syntax import MAX_DEPTH, QuerySyntaxError
from . import ast
from .lexer import Token, string_value, tokens
from .words import (
    ADD,
    AND,
    CHAINS,
    ENDS,
    EQUAL,
    INSTEAD_OF,
    LIST_OPERATORS,
    NOT_A_VALUE,
    NOT_NEW,
    OR,
    PRECEDENCE,
    TEXT,
    TRUTH,
    TYPES,
)
from .words import STRING_OPERATORS as STRING_OPERATORS


class ExpressionParser:
    """Reads expressions from a token list. Tabular sources inside brackets come from the subclass."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0
        self._token = self._tokens[0]

    # The cursor

    def _advance(self) -> Token:
        token = self._token
        if token.kind != "end":
            self._at += 1
            self._token = self._tokens[self._at]
        return token

    def _peek(self, ahead: int = 1) -> Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def _last_end(self) -> int:
        return self._tokens[self._at - 1].end if self._at else 0

    def _is(self, text: str) -> bool:
        token = self._token
        return token.text == text and token.kind != "string"

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self._advance()
            return True
        return False

    def _expect(self, text: str, where: str = "") -> Token:
        if not self._is(text):
            self._fail(f"expected {text}{' ' + where if where else ''}", closing=text in ")]")
        return self._advance()

    def _fail(
        self, message: str, token: Token | None = None, hint: str | None = None, *, closing: bool = False
    ) -> NoReturn:
        """Refuse a token; `closing`: where the query or a bracket could have ended."""
        token = token or self._token
        found = "the end of the query" if token.kind == "end" else token.text
        hint = hint or self._guess(token, closing)
        raise QuerySyntaxError(f"{message}, found {found[:40]}", token.start, token.end, hint=hint)

    def _guess(self, token: Token, closing: bool) -> str | None:
        """What was probably meant by a token that has no place where it stands."""
        before = self._tokens[self._at - 1].text if self._at else ""
        if token.kind == "op":
            if token.text == before == "|" and token.start == self._last_end():
                return "write or"
            return f"write not({token.text[1:]}(...))" if token.text[:1] == "!" else INSTEAD_OF.get(token.text)
        if token.kind == "name" and before == "not":
            return "not takes brackets: not(...)"
        if token.kind == "name" and token.text != token.text.lower() and token.text.lower() in PRECEDENCE:
            return f"operators are written small: {token.text.lower()}"
        if token.kind == "name" and token.text in ("is", "not"):
            negated, empty = "write !has, !contains, !in or not(...)", "write isnull(...) or isempty(...)"
            return negated if token.text == "not" else empty
        return None

    def _enter(self, token: Token) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise QuerySyntaxError(
                f"brackets lie more than {MAX_DEPTH} deep", token.start, token.end, code="too_complex"
            )

    def _leave(self) -> None:
        self._depth -= 1

    def _comma_list(self, item: Callable[[], ast.Node]) -> tuple[ast.Node, ...]:
        items = [item()]
        while self._accept(","):
            items.append(item())
        return tuple(items)

    # Expressions

    def _expression(self, floor: int = OR) -> ast.Expr:
        left = self._operand()
        ceiling = TEXT
        while True:
            token = self._token
            if token.kind not in ("name", "op"):
                return left
            level = PRECEDENCE.get(token.text, 0)
            if level < floor or level > ceiling:
                return left
            if level <= AND:
                left = self._logical(left, token.text, level)
                ceiling = level
            elif level in CHAINS:
                self._advance()
                right = self._expression(level + 1)
                left = ast.Binary(left.start, right.end, token.text, left, right)
                ceiling = level
            else:
                left = self._comparison(left, token, level)
                ceiling = level - 1

    def _logical(self, left: ast.Expr, op: str, level: int) -> ast.Expr:
        parts = [left]
        while self._accept(op):
            parts.append(self._expression(level + 1))
        return ast.Logical(left.start, parts[-1].end, op, tuple(parts))

    def _comparison(self, left: ast.Expr, token: Token, level: int) -> ast.Expr:
        op = self._advance().text
        op = "has" if op == ":" else op
        if op in LIST_OPERATORS:
            return self._in_list(left, op)
        if op in ("between", "!between"):
            self._expect("(", f"after {op}")
            low = self._expression(ADD)
            self._expect("..", "between the bounds")
            high = self._expression(ADD)
            return ast.Between(left.start, self._expect(")").end, op, left, low, high)
        if op == "matches":
            self._expect("regex", "after matches")
            op = "matches regex"
        right = self._expression(level + 1) if level < TEXT else self._operand()
        return ast.Binary(left.start, right.end, op, left, right)

    def _in_list(self, left: ast.Expr, op: str) -> ast.Expr:
        if not self._is("("):
            self._fail(f"expected ( after {op}", hint=f"put what it is compared with in brackets: {op} (...)")
        opening = self._advance()
        self._enter(opening)
        items = self._comma_list(self._value)
        self._leave()
        return ast.InList(left.start, self._expect(")", f"to close {op} (").end, op, left, items)

    def _operand(self) -> ast.Expr:
        token = self._token
        if token.kind == "op" and token.text in "+-":
            self._advance()
            operand = self._postfix(self._primary())
            return ast.Unary(token.start, operand.end, token.text, operand)
        return self._postfix(self._primary())

    def _postfix(self, base: ast.Expr) -> ast.Expr:
        while self._token.kind == "op":
            text = self._token.text
            if text == "[":
                base = self._index(base)
            elif text == ".":
                self._advance()
                base = self._member(base)
            else:
                break
        return base

    def _index(self, base: ast.Expr) -> ast.Expr:
        self._enter(self._advance())
        index = self._expression()
        self._leave()
        return ast.Index(base.start, self._expect("]").end, base, index)

    def _member(self, base: ast.Expr) -> ast.Expr:
        if self._is("["):
            return self._index(base)
        token = self._token
        if token.kind != "name":
            self._fail("expected a name after .")
        if token.text in NOT_A_VALUE:
            self._reserved(token)
        if self._peek().text == "(" and token.kind == "name":
            call = self._call(self._advance())
            return ast.MemberCall(base.start, call.end, base, call)
        self._advance()
        return ast.Member(base.start, token.end, base, token.text)

    def _primary(self) -> ast.Expr:
        token = self._token
        match token.kind:
            case "name":
                return self._name_or_call()
            case "string":
                return self._string()
            case "number":
                self._advance()
                return _number(token)
            case "timespan":
                self._advance()
                return ast.Literal(token.start, token.end, "timespan", token.text)
            case "literal":
                self._advance()
                return _typed_literal(token)
            case "op" if token.text == "(":
                return self._group()
            case "op" if token.text == "[":
                return self._bracketed_name()
            case "op" if token.text == "*" and PRECEDENCE.get(self._peek().text, 0) in (EQUAL, TEXT):
                self._advance()
                return ast.Star(token.start, token.end)
            case _:
                self._fail("expected a value")

    def _name_or_call(self) -> ast.Expr:
        token = self._advance()
        if self._is("("):
            if token.text == "dynamic":
                return self._dynamic(token)
            if token.text == "typeof":
                return self._typeof(token)
            if token.text not in NOT_A_VALUE or token.text in ("toscalar", "totable"):
                return self._call(token)
        if token.text in NOT_A_VALUE and token.text not in TRUTH:
            self._reserved(token)
        if token.text in TRUTH:
            return ast.Literal(token.start, token.end, "bool", token.text.lower() == "true")
        return ast.Name(token.start, token.end, token.text)

    def _reserved(self, token: Token) -> NoReturn:
        """A word of the language stands where a value or a name is expected."""
        message, hint = f"{token.text} is a word of the language", f"as a name it is written ['{token.text}']"
        raise QuerySyntaxError(message, token.start, token.end, hint=hint)

    def _call(self, name: Token) -> ast.Call:
        opening = self._expect("(")
        self._enter(opening)
        arguments: list[ast.Node] = []
        if not self._is(")"):
            arguments.append(self._argument())
            while self._accept(","):
                arguments.append(self._argument())
        self._leave()
        closing = self._expect(")", f"to close {name.text}(")
        return ast.Call(name.start, closing.end, name.text, tuple(arguments))

    def _argument(self) -> ast.Expr:
        return self._lone_star() or self._named(self._value)

    def _lone_star(self) -> ast.Star | None:
        """`*` for every column, where it stands alone."""
        if not self._is("*") or self._peek().text not in ENDS:
            return None
        token = self._advance()
        return ast.Star(token.start, token.end)

    def _group(self) -> ast.Expr:
        opening = self._advance()
        self._enter(opening)
        inner = self._value()
        self._leave()
        self._expect(")", "to close (")
        return inner

    def _value(self) -> ast.Expr:
        """An expression where a tabular one may stand too."""
        return self._expression()

    def _string(self) -> ast.Literal:
        first = self._advance()
        value, end = string_value(first), first.end
        while self._token.kind == "string":
            part = self._advance()
            value, end = value + string_value(part), part.end
        return ast.Literal(first.start, end, "string", value)

    def _bracketed_name(self) -> ast.Expr:
        opening = self._advance()
        if self._token.kind != "string":
            self._fail("expected a quoted name after [")
        name = self._string().value
        closing = self._expect("]")
        if self._is("("):
            token = Token("name", name, opening.start, closing.end)
            return self._call(token)
        return ast.Name(opening.start, closing.end, name)

    def _typeof(self, token: Token) -> ast.Expr:
        self._expect("(")
        name = self._type_name()
        return ast.TypeOf(token.start, self._expect(")").end, name)

    def _type_name(self) -> str:
        token = self._token
        if token.kind != "name" or token.text not in TYPES:
            self._fail("expected a type such as string, long or datetime")
        self._advance()
        return TYPES[token.text]

    # Names and lists of names

    def _names_follow(self) -> bool:
        """Whether `name =` or `(name, name) =` comes next."""
        token = self._token
        if token.kind == "name":
            return self._peek().text == "=" and self._peek().kind == "op" and token.text not in TRUTH
        if token.kind != "op":
            return False
        if token.text == "[" and self._peek().kind == "string" and self._peek(2).text == "]":
            return self._peek(3).text == "="
        if token.text != "(":
            return False
        ahead = self._after_name(1)
        while ahead and self._peek(ahead).text == ",":
            ahead = self._after_name(ahead + 1)
        return ahead > 0 and self._peek(ahead).text == ")" and self._peek(ahead + 1).text == "="

    def _after_name(self, ahead: int) -> int:
        """The place behind a name, bare or bracketed; 0 when there is none."""
        if self._peek(ahead).kind == "name":
            return ahead + 1
        bracketed = self._peek(ahead).text == "[" and self._peek(ahead + 1).kind == "string"
        return ahead + 3 if bracketed and self._peek(ahead + 2).text == "]" else 0

    def _named(self, read: Callable[[], ast.Node] | None = None) -> ast.Expr:
        """`expression` or `name = expression`."""
        read = read or self._expression
        if not self._names_follow():
            return read()
        start = self._token.start
        if self._accept("("):
            names = [self._name()]
            while self._accept(","):
                names.append(self._name())
            self._expect(")")
        else:
            names = [self._name()]
        self._expect("=")
        value = read()
        return ast.Named(start, value.end, tuple(names), value)

    def _name(self, forbidden: frozenset[str] = NOT_NEW) -> str:
        """The name of something new."""
        token = self._token
        if token.kind == "name":
            if token.text in forbidden:
                self._reserved(token)
            return self._advance().text
        if token.text == "[" and self._peek().kind == "string":
            node = self._bracketed_name()
            if isinstance(node, ast.Name):
                return node.name
        self._fail("expected a name")

    def _name_pattern(self) -> ast.Expr:
        """A name, or a pattern with stars such as `Device*` whose pieces touch."""
        if self._token.text == "[":
            return self._bracketed_name()
        start, pieces = self._token, [self._pattern_piece()]
        while self._token.start == self._last_end() and (
            self._is("*") or (pieces[-1] == "*" and self._token.kind == "name")
        ):
            pieces.append(self._pattern_piece())
        text, end = "".join(pieces), self._last_end()
        return ast.Star(start.start, end, text) if "*" in text else ast.Name(start.start, end, text)

    def _pattern_piece(self) -> str:
        if self._token.kind == "name" and self._token.text in NOT_A_VALUE:
            self._reserved(self._token)
        if self._token.kind == "name" or self._is("*"):
            return self._advance().text
        self._fail("expected a name or *")

    # Dynamic literals

    def _dynamic(self, token: Token) -> ast.Expr:
        self._expect("(")
        value = self._json()
        return ast.DynamicLiteral(token.start, self._expect(")", "to close dynamic(").end, value)

    def _json(self) -> object:
        token = self._token
        if self._accept("["):
            self._enter(token)
            items: list[object] = []
            while not (self._is("]") and not items):
                items.append(self._json())
                if not self._accept(","):
                    break
            self._leave()
            self._expect("]", "to close [")
            return tuple(items)
        if self._accept("{"):
            self._enter(token)
            pairs: list[tuple[str, object]] = []
            while not (self._is("}") and not pairs):
                if self._token.kind != "string":
                    self._fail("expected a quoted key")
                key = self._string().value
                self._expect(":", "after the key")
                pairs.append((key, self._json()))
                if not self._accept(","):
                    break
            self._leave()
            self._expect("}", "to close {")
            return ast.Bag(tuple(pairs))
        if token.kind == "name" and token.text in ("null", "true", "false"):
            self._advance()
            return {"null": None, "true": True, "false": False}[token.text]
        if token.kind == "op" and token.text in "+-" and self._peek().kind in ("number", "timespan"):
            self._advance()
            number = _number(self._advance())
            return -number.value if token.text == "-" and number.type in ("long", "real") else number.value
        if token.kind in ("string", "number", "timespan", "literal"):
            node = self._primary()
            if isinstance(node, ast.Literal) and node.type in ("string", "long", "real", "bool"):
                return node.value
            return node
        if token.kind == "name" and token.text == "dynamic":
            self._advance()
            inner = self._dynamic(token)
            return inner.value if isinstance(inner, ast.DynamicLiteral) else None
        self._fail("expected a JSON value")


def _number(token: Token) -> ast.Literal:
    text = token.text
    if text[:2] in ("0x", "0X"):
        return ast.Literal(token.start, token.end, "long", int(text, 16))
    if token.kind == "timespan":
        return ast.Literal(token.start, token.end, "timespan", text)
    if text.isdigit():
        if len(text) > 20:
            raise QuerySyntaxError("the number is too large", token.start, token.end)
        return ast.Literal(token.start, token.end, "long", int(text))
    return ast.Literal(token.start, token.end, "real", float(text))


def _typed_literal(token: Token) -> ast.Literal:
    name, _, rest = token.text.partition("(")
    return ast.Literal(token.start, token.end, TYPES[name.strip()], rest[:-1].strip())
