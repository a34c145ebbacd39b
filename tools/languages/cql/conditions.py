"""Conditions of CQL, and what conditions and stages share: fields, values, lists and arguments of functions."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from ..syntax import MAX_DEPTH, QuerySyntaxError, Token, TokenStream, did_you_mean
from .ast import Always, And, Cidr, Comparator, Compare, In, Node, Not, Or, Ref, Regex, Test, Text
from .lexer import FIELD

OR_BEFORE_AND = True
"""In LogScale OR binds tighter than AND, written or not (LANGUAGES 3.5); pySigma writes its output by the same rule."""
FILTERS = ("in", "cidr", "regex", "test")
"""Functions that are conditions."""
RAW = "@rawstring"
"""The field that a pattern without a field is looked for in."""

_FUNCTION = re.compile(r"[A-Za-z][A-Za-z0-9_:]*\Z")
_KEYWORDS = frozenset({"and", "or", "not"})
_FLAGS = frozenset("dgimF")
_ESCAPED = re.compile(r'\\(["\\])')


class Conditions(TokenStream):
    """Reads conditions."""

    def _is(self, sign: str) -> bool:
        return self._next.kind in ("sign", "operator") and self._next.text == sign

    def _keyword(self, word: str) -> bool:
        return self._next.kind == "word" and self._next.text.lower() == word

    def _error(self, token: Token, message: str, hint: str | None = None) -> QuerySyntaxError:
        return QuerySyntaxError(message, token.start, max(token.end, token.start + 1), hint)

    def _expect(self, sign: str, what: str) -> Token:
        if not self._is(sign):
            raise self._error(self._next, what, f"add {sign}")
        return self._take()

    def _call_follows(self) -> bool:
        name, following = self._next, self._after
        return (
            name.kind == "word"
            and name.text.lower() not in _KEYWORDS
            and following.text == "("
            and following.kind == "sign"
            and _FUNCTION.match(name.text) is not None
        )

    # Conditions. Which of OR and AND is taken first is one constant; where the text mixes both, the check warns.

    def _condition_of(self, depth: int) -> Node:
        """A whole condition, up to a pipe, a closing bracket or the end of a branch."""
        return self._all_of(depth) if OR_BEFORE_AND else self._any_of(depth)

    def _ends(self) -> bool:
        return self._next.kind == "end" or any(self._is(sign) for sign in ("|", ")", ";", "}"))

    def _all_of(self, depth: int) -> Node:
        inner = self._any_of if OR_BEFORE_AND else self._unary
        parts = [inner(depth)]
        while not self._ends() and not self._keyword("or"):
            if self._keyword("and"):
                self._take()
            parts.append(inner(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts), False, parts[0].start, parts[-1].end)

    def _any_of(self, depth: int) -> Node:
        inner = self._unary if OR_BEFORE_AND else self._all_of
        parts = [inner(depth)]
        while self._keyword("or"):
            self._take()
            parts.append(inner(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts), False, parts[0].start, parts[-1].end)

    def _unary(self, depth: int) -> Node:
        token = self._next
        if depth > MAX_DEPTH:
            raise QuerySyntaxError("brackets are nested too deeply", token.start, token.end, code="too_complex")
        if self._keyword("not") or self._is("!"):
            self._take()
            part = self._unary(depth + 1)
            return Not(part, token.start, part.end)
        if self._is("("):
            self._take()
            inner = self._condition_of(depth + 1)
            if not self._is(")"):
                raise self._error(token, "this bracket is not closed", "add )")
            end = self._take().end
            return replace(inner, bracketed=True, start=token.start, end=end) if isinstance(inner, And | Or) else inner
        return self._condition()

    def _condition(self) -> Node:
        if self._call_follows():
            return self._filter(None)
        token = self._take()
        if token.kind == "word" and token.text == "*":
            return Always(token.start, token.end)
        if token.kind == "regex":
            return Compare(RAW, "=", _pattern(token), token.start, token.end)
        following = self._next
        if token.kind not in ("word", "string") or following.kind != "operator":
            what = "free text is not searched" if token.kind in ("word", "string") else "a condition is expected here"
            hint = "write field=value, or field=/text/i" if token.kind in ("word", "string") else None
            raise self._error(token, what, hint)
        name = token.text if token.kind == "word" else _unquoted(token)
        if FIELD.match(name) is None:
            raise self._error(token, f"{token.text} is not a field name")
        return self._compared(name, token)

    def _compared(self, name: str, token: Token) -> Node:
        sign = self._take()
        if sign.text == "=~":
            if not self._call_follows():
                raise self._error(self._next, "a function is expected here", "write field =~ in(values=[...])")
            return replace(self._filter(name), start=token.start)
        if sign.text == ":=":
            raise self._error(sign, "a field is assigned in a stage of its own", "put it between two |")
        if sign.text == "==":
            raise self._error(sign, "== stands inside test() alone", "write field=value")
        value = self._value()
        if isinstance(value, Regex) and sign.text not in ("=", "!="):
            raise self._error(sign, "a regular expression is compared with = or !=")
        return Compare(name, cast(Comparator, sign.text), value, token.start, value.end)

    def _value(self) -> Text | Regex:
        token = self._take()
        if token.kind == "string":
            return Text(_unquoted(token), token.start, token.end)
        if token.kind == "regex":
            return _pattern(token)
        if token.kind == "block" or (token.kind == "word" and token.text.lower() not in _KEYWORDS):
            return Text(token.text, token.start, token.end)
        raise self._error(token, "a value is expected here")

    def _text(self) -> Text:
        value = self._value()
        if isinstance(value, Regex):
            raise QuerySyntaxError("a text is expected here, not a pattern", value.start, value.end)
        return value

    def _texts(self) -> tuple[Text, ...]:
        """One text or a list of them."""
        if not self._is("["):
            return (self._text(),)
        self._take()
        values = [self._text()]
        while self._is(","):
            self._take()
            values.append(self._text())
        self._expect("]", "this list is not closed")
        return tuple(values)

    def _truth(self) -> bool:
        token = self._take()
        if token.text not in ("true", "false"):
            raise self._error(token, "true or false is expected here")
        return token.text == "true"

    def _field(self) -> str:
        token = self._take()
        name = _unquoted(token) if token.kind == "string" else token.text if token.kind == "word" else ""
        if FIELD.match(name) is None:
            raise self._error(token, "a field name is expected here")
        return name

    def _fields(self) -> tuple[str, ...]:
        if not self._is("["):
            return (self._field(),)
        self._take()
        names = [self._field()]
        while self._is(","):
            self._take()
            names.append(self._field())
        self._expect("]", "this list is not closed")
        return tuple(names)

    # Functions.

    def _named(self) -> Token | None:
        """The name of a named argument, when one follows; its `=` is taken too."""
        name, sign = self._next, self._after
        if name.kind == "word" and sign.kind == "operator" and sign.text == "=":
            self._at += 2
            return name
        return None

    def _arguments(self, named: Mapping[str, Callable[[], None]], default: str | None) -> None:
        """Arguments in brackets, each read by its reader; one without a name is that of `default`."""
        function = self._take()
        self._expect("(", "arguments in brackets are expected here")
        given: set[str] = set()
        first = True
        while not self._is(")"):
            if not first:
                self._expect(",", "this call is not closed")
            first = False
            token = self._next
            name = self._named()
            known = name.text if name is not None else default
            if known is None or (name is None and default in given):
                raise self._error(token, "a named argument is expected here")
            if known not in named:
                hint = did_you_mean(known, named) or "supported: " + ", ".join(named)
                raise self._error(token, f"{function.text} has no argument {known} in this subset of CQL", hint)
            given.add(known)
            named[known]()
        self._take()

    def _filter(self, name: str | None) -> Node:
        """`in`, `cidr`, `regex` or `test`; `name` is the field where it stands before `=~`."""
        token = self._next
        readers = {"in": self._in, "cidr": self._cidr, "regex": self._regex}
        if token.text == "test" and name is None:
            return self._test()
        if token.text not in readers:
            raise self._unknown_filter(token)
        return readers[token.text](name)

    def _unknown_filter(self, token: Token) -> QuerySyntaxError:
        hint = did_you_mean(token.text, FILTERS) or "conditions: " + ", ".join(FILTERS)
        message = f"the function {token.text} is not supported in a condition"
        return QuerySyntaxError(message, token.start, token.end, hint, "unknown_function")

    def _subject(self, found: list[str], token: Token) -> str:
        if not found:
            raise self._error(token, f"{token.text} needs a field", f"write {token.text}(field, ...)")
        return found[-1]

    def _in(self, name: str | None) -> Node:
        token, field = self._next, [name] if name else list[str]()
        values: list[Text] = []
        ignore: list[bool] = []
        self._arguments(
            {
                "field": lambda: field.append(self._field()),
                "values": lambda: values.extend(self._texts()),
                "ignoreCase": lambda: ignore.append(self._truth()),
            },
            "field" if name is None else "values",
        )
        subject = self._subject(field, token)
        if not values:
            raise self._error(token, "in needs a list of values", f"in({subject}, values=[...])")
        return In(subject, tuple(values), any(ignore), token.start, self._last_end)

    def _cidr(self, name: str | None) -> Node:
        token, field = self._next, [name] if name else list[str]()
        blocks: list[Text] = []
        self._arguments(
            {"field": lambda: field.append(self._field()), "subnet": lambda: blocks.extend(self._texts())},
            "field" if name is None else "subnet",
        )
        subject = self._subject(field, token)
        if not blocks:
            raise self._error(token, "cidr needs a block of addresses", f'cidr({subject}, subnet="10.0.0.0/8")')
        return Cidr(subject, tuple(blocks), token.start, self._last_end)

    def _regex(self, name: str | None) -> Node:
        token, field = self._next, [name] if name else list[str]()
        patterns: list[Text] = []
        flags: list[str] = []
        self._arguments(
            {
                "regex": lambda: patterns.append(self._text()),
                "field": lambda: field.append(self._field()),
                "flags": lambda: flags.append(self._text().text),
            },
            "regex",
        )
        if not patterns or not patterns[-1].text:
            raise self._error(token, "regex needs a pattern", 'regex("text", field=f, flags="i")')
        pattern = replace(patterns[-1], text=slashed(patterns[-1].text))
        value = Regex(pattern.text, _known_flags(flags[-1] if flags else "", token), pattern.start, pattern.end)
        return Compare(field[-1] if field else RAW, "=", value, token.start, self._last_end)

    def _test(self) -> Node:
        token = self._take()
        self._take()
        left = self._operand()
        sign = self._take()
        if sign.text not in ("==", "!=", "<", "<=", ">", ">="):
            hint = "equality is written == here" if sign.text == "=" else None
            raise self._error(sign, "a comparison is expected here", hint)
        right = self._operand()
        end = self._expect(")", "this call is not closed").end
        return Test(left, sign.text, right, token.start, end)  # type: ignore[arg-type]

    def _operand(self) -> Ref | Text:
        """A field, a number, or a text in quotes."""
        token = self._take()
        if token.kind == "string":
            return Text(_unquoted(token), token.start, token.end)
        if token.kind == "word" and FIELD.match(token.text):
            return Ref(token.text, token.start, token.end)
        if token.kind == "word" and re.fullmatch(r"-?\d+(\.\d+)?", token.text):
            return Text(token.text, token.start, token.end)
        raise self._error(token, "a field, a number or a text in quotes is expected here")


def slashed(pattern: str) -> str:
    """A pattern as it stands between slashes: a slash in it gets a backslash, what is not printed its number."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        step = 2 if pattern[at] == "\\" and at + 1 < len(pattern) else 1
        char = pattern[at + step - 1]
        plain = "\\/" if char == "/" else f"\\x{{{ord(char):x}}}"
        out.append(plain if char == "/" or not char.isprintable() else pattern[at : at + step])
        at += step
    return "".join(out)


def _unquoted(token: Token) -> str:
    return _ESCAPED.sub(r"\1", token.text[1:-1])


def _pattern(token: Token) -> Regex:
    close = token.text.rindex("/")
    return Regex(token.text[1:close], _known_flags(token.text[close + 1 :], token), token.start, token.end)


def _known_flags(flags: str, token: Token) -> str:
    unknown = "".join(sorted(set(flags) - _FLAGS))
    if unknown:
        hint = "a dot that also stands for line breaks has the flag d" if unknown == "s" else "use /.../i"
        raise QuerySyntaxError(f"{unknown} is not a flag", token.start, token.end, hint)
    return flags
