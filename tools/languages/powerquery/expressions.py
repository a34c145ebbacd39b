r"""Text to PowerQuery expressions. The grammar is LANGUAGES 4.2.

In a filter, conditions may stand beside one another with nothing but a space (all must hold), and a quoted text alone
is searched for. In a string a backslash escapes a quote or a backslash; before any other character it is itself.
"""

import re
from typing import cast

from ..syntax import MAX_DEPTH, QuerySyntaxError, Token, TokenStream, did_you_mean, tokenize
from .ast import (
    LISTS,
    And,
    Anywhere,
    Arithmetic,
    Call,
    Choice,
    Compare,
    Expression,
    Field,
    FreeText,
    Not,
    Operation,
    Operator,
    Or,
    Present,
    Sign,
    Test,
    Value,
    ValueKind,
)
from .functions import COMMANDS

_TOKENS = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<number>\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<test>(?:contains|matches|in)(?::[a-zA-Z]+)?(?![\w.]))
      | (?P<word>[a-zA-Z_]\w*(?:\.\w+)*)
      | (?P<shortcut>\#[a-zA-Z]\w*)
      | (?P<sign>==|!=|<=|>=|&&|\|\||[=<>!+\-*/%?:|(),])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII | re.IGNORECASE,
)
_ESCAPED = re.compile(r"""\\([\\"'])""")
_CONSTANTS = {"true": ValueKind.BOOLEAN, "false": ValueKind.BOOLEAN, "null": ValueKind.NULL}
_SIGNS: dict[str, Sign] = {"=": "=", "==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_OLDER = {
    "containscis": "contains:anycase",
    "anycase": ":anycase behind contains or in",
    "regexp": "matches",
    "like": "contains:anycase or matches",
    "startswith": 'matches "^text"',
    "startswithcis": 'matches "^text"',
    "endswith": 'matches "text$"',
    "endswithcis": 'matches "text$"',
    "is": "field = * or !(field = *)",
    "exists": "field = *",
    "between": ">= and <=",
    "does": "not (field contains:anycase ...)",
}
"""Operators of S1QL 1.0 and of SQL to what PowerQuery has instead."""


def tokens_of(text: str) -> list[Token]:
    """Cut a query into tokens.

    Raises:
        QuerySyntaxError: a character that starts no token; code `unknown_function` where it begins a form that the
            subset leaves out.
    """
    try:
        return tokenize(text, _TOKENS)
    except QuerySyntaxError as error:
        if text.startswith('$"', error.start) or text.startswith("$'", error.start):
            place = error.start, error.start + 1
            hint = 'write message matches "..."'
            raise QuerySyntaxError(
                'the short form $"..." is not supported', *place, hint, "unknown_function"
            ) from error
        raise


class ExpressionParser(TokenStream):
    """Reads expressions; `loose` is the way of filters, where a space joins conditions and a text alone is searched."""

    def _is(self, *signs: str) -> bool:
        token = self._tokens[self._at]
        return token.kind == "sign" and token.text in signs

    def _keyword(self, *words: str) -> bool:
        token = self._tokens[self._at]
        return token.kind == "word" and token.text.lower() in words

    def _expect(self, sign: str, what: str) -> Token:
        token = self._next
        if not self._is(sign):
            raise QuerySyntaxError(what, token.start, max(token.end, token.start + 1), f"add {sign}")
        return self._take()

    def expression(self, loose: bool, depth: int = 0) -> Expression:
        """An expression up to where it ends.

        Raises:
            QuerySyntaxError: there is none.
        """
        condition = self._any_of(loose, depth)
        if not self._is("?"):
            return condition
        self._take()
        yes = self.expression(False, self._deeper(depth))
        self._expect(":", "a choice needs its second value: condition ? a : b")
        no = self.expression(False, self._deeper(depth))
        return Choice(condition, yes, no, condition.start, no.end)

    def _deeper(self, depth: int) -> int:
        if depth >= MAX_DEPTH:
            token = self._next
            raise QuerySyntaxError("brackets are nested too deeply", token.start, token.end, code="too_complex")
        return depth + 1

    def _any_of(self, loose: bool, depth: int) -> Expression:
        parts = [self._all_of(loose, depth)]
        while self._keyword("or") or self._is("||"):
            self._take()
            parts.append(self._all_of(loose, depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts), False, parts[0].start, parts[-1].end)

    def _all_of(self, loose: bool, depth: int) -> Expression:
        parts = [self._unary(loose, depth)]
        while True:
            if self._keyword("and") or self._is("&&"):
                self._take()
            elif not (loose and self._condition_follows()):
                break
            parts.append(self._unary(loose, depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts), False, parts[0].start, parts[-1].end)

    def _condition_follows(self) -> bool:
        token = self._next
        if token.kind == "word":
            name, following = token.text.lower(), self._after
            forgotten = name in COMMANDS and following.kind != "test" and following.text not in _SIGNS
            return name not in ("and", "or", "by") and not forgotten
        anywhere = self._is("*") and self._after.kind == "test"
        return token.kind in ("string", "shortcut") or self._is("(", "!") or anywhere

    def _unary(self, loose: bool, depth: int) -> Expression:
        token = self._next
        if self._keyword("not") or self._is("!"):
            self._take()
            part = self._unary(loose, self._deeper(depth))
            return Not(part, token.start, part.end)
        found = self._comparison(loose, depth)
        if loose and isinstance(found, Value) and found.kind is ValueKind.STRING:
            return FreeText(found.text, found.start, found.end)
        return found

    def _comparison(self, loose: bool, depth: int) -> Expression:
        left = self._sum(loose, depth)
        if isinstance(left, FreeText) and (self._next.text in _SIGNS or self._next.kind == "test"):
            left = Value(ValueKind.STRING, left.text, left.start, left.end)
        token = self._next
        if token.kind == "sign" and token.text in _SIGNS:
            self._take()
            return self._compared(left, _SIGNS[token.text], loose, depth)
        negated = (self._is("!") or self._keyword("not")) and self._after.kind == "test"
        if negated:
            self._take()
        if self._next.kind == "test":
            test = self._test(left)
            return Not(test, test.start, test.end) if negated else test
        if isinstance(left, Anywhere):
            what = "* alone is no filter"
            hint = 'begin with | for every event, name a field as in event.type = *, or write * contains:anycase "text"'
            raise QuerySyntaxError(what, left.start, left.end, hint)
        if isinstance(left, Field) and self._keyword(*_OLDER):
            older = self._next
            hint = f"write {_OLDER[older.text.lower()]}"
            raise QuerySyntaxError(f"PowerQuery has no operator {older.text}", older.start, older.end, hint)
        return left

    def _compared(self, left: Expression, sign: Sign, loose: bool, depth: int) -> Expression:
        star = self._next
        if self._is("*") and sign in ("=", "!="):
            self._take()
            if not isinstance(left, Field):
                raise QuerySyntaxError("= * asks for a field", left.start, star.end, "write field = *")
            present = Present(left, left.start, star.end)
            return present if sign == "=" else Not(present, left.start, star.end)
        right = self._sum(False, depth)
        return Compare(left, sign, right, left.start, right.end)

    def _test(self, subject: Expression) -> Test:
        token = self._take()
        operator = self._operator(token)
        if isinstance(subject, Anywhere) and operator in LISTS:
            raise QuerySyntaxError(f"* is not compared with {operator}", subject.start, token.end, "* contains:anycase")
        if not self._is("("):
            if operator in LISTS:
                here = self._next
                raise QuerySyntaxError(
                    f"{operator} needs a list in brackets", here.start, max(here.end, here.start + 1), 'in ("a", "b")'
                )
            value = self._literal()
            return Test(subject, operator, (value,), subject.start, value.end)
        opening = self._take()
        values = [self._literal()]
        while self._is(","):
            self._take()
            values.append(self._literal())
        if not self._is(")"):
            raise QuerySyntaxError("this list is not closed", opening.start, opening.end, "add )")
        return Test(subject, operator, tuple(values), subject.start, self._take().end)

    def _operator(self, token: Token) -> Operator:
        written = token.text.lower()
        if written not in set(Operator):
            known = f"operators are {', '.join(Operator)}"
            hint = did_you_mean(written, Operator) or known
            raise QuerySyntaxError(f"there is no operator {token.text}", token.start, token.end, hint)
        following = self._next
        if following.kind == "test" or self._keyword("anycase", "matchcase"):
            better = f"{written}:{following.text.lower()}" if following.kind == "word" else following.text.lower()
            hint = f"write {better if following.kind == 'word' else better + ' (...)'}"
            what = f"{token.text} {following.text} is written otherwise in PowerQuery"
            raise QuerySyntaxError(what, token.start, following.end, hint)
        return Operator(written)

    def _literal(self) -> Value:
        minus = self._take() if self._is("-") else None
        token = self._next
        if token.kind == "string" and minus is None:
            self._take()
            return Value(ValueKind.STRING, _ESCAPED.sub(r"\1", token.text[1:-1]), token.start, token.end)
        if token.kind == "number":
            self._take()
            text = token.text.replace("_", "")
            start = minus.start if minus else token.start
            return Value(ValueKind.NUMBER, f"-{text}" if minus else text, start, token.end)
        if self._keyword(*_CONSTANTS) and minus is None:
            self._take()
            return Value(_CONSTANTS[token.text.lower()], token.text.lower(), token.start, token.end)
        place = token.start, max(token.end, token.start + 1)
        if token.kind == "word" and (self._after.text in _SIGNS or self._after.kind == "test"):
            raise QuerySyntaxError("a query inside in (...) is not supported", *place, code="unknown_function")
        raise QuerySyntaxError(
            "a value is expected here", *place, f'write "{token.text}"' if token.kind == "word" else None
        )

    def _sum(self, loose: bool, depth: int) -> Expression:
        left = self._product(loose, depth)
        while self._is("+", "-"):
            operation = cast(Operation, self._take().text)
            right = self._product(False, depth)
            left = Arithmetic(operation, left, right, left.start, right.end)
        return left

    def _product(self, loose: bool, depth: int) -> Expression:
        left = self._primary(loose, depth)
        while self._is("*", "/", "%") and self._after.kind != "test":
            operation = cast(Operation, self._take().text)
            right = self._primary(False, depth)
            left = Arithmetic(operation, left, right, left.start, right.end)
        return left

    def _primary(self, loose: bool, depth: int) -> Expression:
        token = self._next
        if token.kind == "word":
            return self._named(token, depth)
        if token.kind in ("string", "number"):
            return self._literal()
        if self._is("("):
            return self._in_brackets(loose, depth)
        if self._is("-"):
            if self._after.kind == "number":
                return self._literal()
            self._take()
            part = self._primary(False, self._deeper(depth))
            return Arithmetic("-", Value(ValueKind.NUMBER, "0", token.start, token.start), part, token.start, part.end)
        if self._is("*"):
            return self._star()
        raise self._misplaced(token)

    def _named(self, token: Token, depth: int) -> Expression:
        lowered = token.text.lower()
        if lowered in _CONSTANTS:
            return self._literal()
        if lowered in ("and", "or", "by"):
            raise self._misplaced(token)
        self._take()
        return self._call(token, depth) if self._is("(") else Field(token.text, token.start, token.end)

    def _star(self) -> Anywhere:
        star = self._take()
        if self._next.kind != "test":
            hint = "begin with | for every event, or write field = *"
            raise QuerySyntaxError("* alone is no filter", star.start, star.end, hint)
        return Anywhere(star.start, star.end)

    def _in_brackets(self, loose: bool, depth: int) -> Expression:
        opening = self._take()
        inner = self.expression(loose, self._deeper(depth))
        if not self._is(")"):
            raise QuerySyntaxError("this bracket is not closed", opening.start, opening.end, "add )")
        end = self._take().end
        match inner:
            case And(parts=parts):
                return And(parts, True, opening.start, end)
            case Or(parts=parts):
                return Or(parts, True, opening.start, end)
            case _:
                return inner

    def _call(self, name: Token, depth: int) -> Call:
        self._take()
        arguments: list[Expression] = []
        while not self._is(")"):
            if arguments:
                self._expect(",", "this call is not closed")
            arguments.append(self.expression(False, self._deeper(depth)))
        return Call(name.text, tuple(arguments), name.start, self._take().end)

    def _misplaced(self, token: Token) -> QuerySyntaxError:
        place = token.start, max(token.end, token.start + 1)
        if token.kind == "shortcut":
            what = f"the shortcut {token.text} is not supported"
            return QuerySyntaxError(what, *place, "name the field, as in src.process.cmdline", "unknown_function")
        if token.kind == "test":
            return QuerySyntaxError(f"a field is expected before {token.text}", *place)
        if token.kind == "end":
            return QuerySyntaxError("the query ends where a condition is expected", *place)
        hint = "write != for unequal" if token.text == ">" else None
        return QuerySyntaxError(f"{token.text!r} does not belong here", *place, hint)
