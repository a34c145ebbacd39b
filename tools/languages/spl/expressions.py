"""Expressions of `where` and `eval`. AND is taken before OR here; a word is a field and a string a value."""

import re
from dataclasses import replace

from ..syntax import MAX_DEPTH, QuerySyntaxError, Token, TokenStream, did_you_mean
from .ast import Binary, Call, Constant, Expression, Joined, Name, Unary
from .literals import decoded
from .tokens import tokens_at

FUNCTIONS: dict[str, tuple[int, int | None]] = {
    "abs": (1, 1),
    "case": (2, None),
    "ceil": (1, 1),
    "ceiling": (1, 1),
    "cidrmatch": (2, 2),
    "coalesce": (1, None),
    "false": (0, 0),
    "floor": (1, 1),
    "if": (3, 3),
    "in": (2, None),
    "isnotnull": (1, 1),
    "isnull": (1, 1),
    "isnum": (1, 1),
    "len": (1, 1),
    "like": (2, 2),
    "lower": (1, 1),
    "ltrim": (1, 2),
    "match": (2, 2),
    "max": (1, None),
    "min": (1, None),
    "mvcount": (1, 1),
    "mvindex": (2, 3),
    "mvjoin": (2, 2),
    "now": (0, 0),
    "null": (0, 0),
    "nullif": (2, 2),
    "relative_time": (2, 2),
    "replace": (3, 3),
    "round": (1, 2),
    "rtrim": (1, 2),
    "split": (2, 2),
    "strftime": (2, 2),
    "substr": (2, 3),
    "tonumber": (1, 2),
    "tostring": (1, 1),
    "trim": (1, 2),
    "true": (0, 0),
    "upper": (1, 1),
}
"""Least and most arguments; None: any number."""
TRUTHS = frozenset({"cidrmatch", "false", "in", "isnotnull", "isnull", "isnum", "like", "match", "true"})
"""Functions that are conditions."""
LONGEST_NUMBER = 300
"""Digits."""
LONGEST_CHAIN = 100
"""Calculations in a row, without brackets."""
COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">="})
_RANKS = {
    "XOR": 0, "OR": 1, "AND": 2, "NOT": 3, **dict.fromkeys((*COMPARISONS, "LIKE", "IN"), 4),
    **dict.fromkeys("+-.", 5), **dict.fromkeys("*/%", 6),
}  # fmt: skip
"""The higher is taken first."""

_TOKENS = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<field>'[^'"]+')
      | (?P<number>\d+(?:\.\d+)?(?![\w.]))
      | (?P<operator>==|!=|<=|>=|[=<>+\-*/%.])
      | (?P<sign>[(),\[\]])
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    """,
    re.VERBOSE | re.DOTALL,
)


def read_expression(text: str, offset: int) -> Expression:
    """One expression that fills the text.

    Raises:
        QuerySyntaxError: with the place in the query.
    """
    parser = _Parser(tokens_at(text, offset, _TOKENS))
    found = parser.expression(0)
    parser.finish()
    return found


def read_assignments(text: str, offset: int) -> tuple[tuple[str, Expression], ...]:
    """`a = expression, b = expression`.

    Raises:
        QuerySyntaxError: with the place in the query.
    """
    parser = _Parser(tokens_at(text, offset, _TOKENS))
    found = [parser.assignment()]
    while parser.comma():
        found.append(parser.assignment())
    parser.finish()
    return tuple(found)


class _Parser(TokenStream):
    def finish(self) -> None:
        token = self._next
        if token.kind != "end":
            raise self._error(token, f"{token.text!r} does not belong here")

    def comma(self) -> bool:
        """Whether a comma follows; it is taken."""
        if self._is(","):
            self._take()
            return True
        return False

    def assignment(self) -> tuple[str, Expression]:
        token = self._take()
        if token.kind not in ("word", "field", "string"):
            raise self._error(token, "the name of a new field is expected here")
        sign = self._take()
        if sign.text != "=":
            raise self._error(sign, "= is expected here", "write: eval field = expression")
        name = token.text if token.kind == "word" else decoded(token.text)
        return name, self.expression(0)

    def _error(self, token: Token, message: str, hint: str | None = None) -> QuerySyntaxError:
        return QuerySyntaxError(message, token.start, max(token.end, token.start + 1), hint)

    def _is(self, text: str) -> bool:
        return self._next.kind in ("sign", "operator") and self._next.text == text

    def _keyword(self, *words: str) -> bool:
        return self._next.kind == "word" and self._next.text.upper() in words

    def expression(self, depth: int) -> Expression:
        return self._climb(0, depth)

    def _climb(self, least: int, depth: int) -> Expression:
        """What is held together by operators of at least this rank."""
        token = self._next
        if depth > MAX_DEPTH:
            raise QuerySyntaxError("brackets are nested too deeply", token.start, token.end, code="too_complex")
        left = self._negated(depth) if least <= _RANKS["NOT"] and self._keyword("NOT") else self._signed(depth)
        length = 0
        while (found := self._operator()) is not None and _RANKS[found] >= least:
            sign = self._take()
            length += 1
            if length > LONGEST_CHAIN:
                raise QuerySyntaxError("this is too long a calculation", sign.start, sign.end, code="too_complex")
            left = self._joined(found, left, depth)
        return left

    def _operator(self) -> str | None:
        token = self._next
        if token.kind == "operator":
            return "=" if token.text == "==" else token.text
        return token.text.upper() if self._keyword("AND", "OR", "XOR", "LIKE", "IN") else None

    def _joined(self, operator: str, left: Expression, depth: int) -> Expression:
        """The left operand with what follows its operator."""
        rank = _RANKS[operator]
        if operator == "IN":
            if not self._is("("):
                raise self._error(self._next, "a list in brackets is expected here")
            values = self._arguments(depth)
            return Call("in", (left, *values), left.start, self._last_end)
        right = self._climb(rank + 1, depth + 1)
        match operator:
            case "LIKE":
                return Call("like", (left, right), left.start, right.end)
            case "AND" | "OR" | "XOR":
                operands = [left, right]
                while self._operator() == operator:
                    self._take()
                    operands.append(self._climb(rank + 1, depth + 1))
                return Joined(operator, tuple(operands), left.start, operands[-1].end)
            case _:
                return Binary(operator, left, right, left.start, right.end)

    def _negated(self, depth: int) -> Expression:
        token = self._take()
        operand = self._climb(_RANKS["NOT"], depth + 1)
        return Unary("NOT", operand, token.start, operand.end)

    def _signed(self, depth: int) -> Expression:
        token = self._next
        if depth > MAX_DEPTH:
            raise QuerySyntaxError("signs are nested too deeply", token.start, token.end, code="too_complex")
        if not self._is("-"):
            return self._primary(depth)
        self._take()
        operand = self._signed(depth + 1)
        number = operand.value if isinstance(operand, Constant) else None
        if isinstance(number, int | float) and not isinstance(number, bool):
            return Constant(-number, token.start, operand.end)
        return Unary("-", operand, token.start, operand.end)

    def _primary(self, depth: int) -> Expression:
        token = self._take()
        match token.kind:
            case "string":
                return Constant(decoded(token.text), token.start, token.end)
            case "number":
                if len(token.text) > LONGEST_NUMBER:
                    raise self._error(token, "this number is too long")
                number = float(token.text) if "." in token.text else int(token.text)
                return Constant(number, token.start, token.end)
            case "field":
                return Name(token.text[1:-1], token.start, token.end)
            case "word" if self._is("("):
                return self._call(token, depth)
            case "word" if token.text.upper() not in ("AND", "OR", "NOT", "XOR", "LIKE", "IN"):
                return Name(token.text, token.start, token.end)
        if token.kind == "sign" and token.text == "(":
            inner = self.expression(depth + 1)
            if not self._is(")"):
                raise self._error(token, "this bracket is not closed", "add )")
            end = self._take().end
            return replace(inner, start=token.start, end=end)
        if token.kind == "sign" and token.text == "[":
            raise self._error(token, "a subsearch is not supported")
        raise self._error(token, "a field, a value or a function is expected here")

    def _call(self, token: Token, depth: int) -> Expression:
        arity = FUNCTIONS.get(token.text)
        if arity is None:
            hint = did_you_mean(token.text, FUNCTIONS) or "supported: " + ", ".join(sorted(FUNCTIONS))
            message = f"the function {token.text} is not supported"
            raise QuerySyntaxError(message, token.start, token.end, hint, "unknown_function")
        arguments = self._arguments(depth)
        least, most = arity
        if len(arguments) < least or (most is not None and len(arguments) > most):
            expected = f"{least}" if most == least else f"at least {least}" if most is None else f"{least} to {most}"
            message = f"{token.text} takes {expected} arguments, not {len(arguments)}"
            raise QuerySyntaxError(message, token.start, self._last_end)
        constants = {"true": True, "false": False, "null": None}
        if token.text in constants:
            return Constant(constants[token.text], token.start, self._last_end)
        return Call(token.text, arguments, token.start, self._last_end)

    def _arguments(self, depth: int) -> tuple[Expression, ...]:
        opened = self._take()
        found: list[Expression] = []
        while not self._is(")"):
            if found and not self.comma():
                raise self._error(opened, "this bracket is not closed", "separate arguments by commas and close with )")
            found.append(self.expression(depth + 1))
        self._take()
        return tuple(found)
