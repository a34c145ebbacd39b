"""Text to SPL: the documented subset that hunts and ordinary questions need. The rest is refused by name."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal, cast

from ..syntax import QuerySyntaxError, Token, TokenStream, did_you_mean
from .ast import (
    Aggregate,
    Bin,
    Dedup,
    Eval,
    Expression,
    Fields,
    FillNull,
    Head,
    Pipeline,
    Regex,
    Rename,
    Reverse,
    Rex,
    Sort,
    SortKey,
    Stage,
    Stats,
    Table,
    Tail,
    Top,
    Where,
)
from .conditions import read_search
from .expressions import read_assignments, read_expression
from .literals import decoded
from .outline import Command, Outline, outline, without_comments
from .tokens import tokens_at

COMMANDS = (
    "search", "where", "eval", "regex", "rex", "stats", "eventstats", "top", "rare", "bin", "bucket", "table", "fields",
    "sort", "head", "tail", "reverse", "dedup", "rename", "fillnull",
)  # fmt: skip
"""Commands of the subset."""
AGGREGATES: Mapping[str, str] = {
    "count": "count", "c": "count", "dc": "dc", "distinct_count": "dc", "values": "values", "list": "list", "min": "min",
    "max": "max", "sum": "sum", "avg": "avg", "mean": "avg", "first": "first", "last": "last", "earliest": "earliest",
    "latest": "latest",
}  # fmt: skip
"""Functions of `stats` and what each is called canonically."""

_ARGUMENTS = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<field>'[^'"]+')
      | (?P<operator>!=|=)
      | (?P<sign>[(),\[\]])
      | (?P<word>[^\s"'=!(),\[\]`]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_FIELD = re.compile(r"[A-Za-z_][^\s*]*\Z")
_WILD = re.compile(r"[A-Za-z_*][^\s]*\Z")
_GROUP = re.compile(r"(?<!\\)(?:\\\\)*\(\?P?<([A-Za-z_][A-Za-z0-9_]*)>")
_SPAN = re.compile(r"(\d+)\s*([a-z]*)\Z")
_UNITS: Mapping[str, float] = {
    "": 1, "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "mins": 60, "minute": 60,
    "minutes": 60, "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400,
    "days": 86400,
}  # fmt: skip
LARGEST = 1_000_000_000
"""The largest number of rows that can be asked for."""


def parse(text: str) -> Pipeline:
    """Parse a query of the subset.

    Raises:
        QuerySyntaxError: with the place; code `unknown_function` names a command or function outside the subset.
    """
    clean = without_comments(text)
    return parse_outline(clean, outline(clean))


def parse_outline(text: str, found: Outline) -> Pipeline:
    """Parse a query whose comments are gone and whose commands are known.

    Raises:
        QuerySyntaxError: as `parse`.
    """
    if not found.commands:
        raise QuerySyntaxError("the query is empty", 0, 0)
    head = found.commands[0]
    if head.name != "search":
        raise _unsupported(head, "begin with the condition that picks the events")
    stages = [_stage(text, command, head=index == 0) for index, command in enumerate(found.commands)]
    return Pipeline(tuple(stages))


def _unsupported(command: Command, hint: str | None = None) -> QuerySyntaxError:
    known = hint or did_you_mean(command.name, COMMANDS) or "supported: " + ", ".join(COMMANDS)
    name = command.name or "this"
    return QuerySyntaxError(
        f"the command {name} is not supported", command.start, max(command.body, command.start + 1), known,
        "unknown_function",
    )  # fmt: skip


def _stage(text: str, command: Command, *, head: bool) -> Stage:
    if command.name not in COMMANDS:
        raise _unsupported(command)
    if command.macros:
        start, end = command.macros[0]
        raise QuerySyntaxError("a macro is not supported", start, end, "write out what it stands for")
    body, at = command.arguments(text), command.body
    match command.name:
        case "search":
            stage: Stage = read_search(body, at, head=head)
        case "where":
            stage = Where(read_expression(body, at))
        case "eval":
            stage = Eval(read_assignments(body, at))
        case name:
            stage = _Arguments(tokens_at(body, at, _ARGUMENTS), text, name).read()
    return replace(stage, start=command.start, end=command.end)


class _Arguments(TokenStream):
    """The arguments of one command."""

    def __init__(self, tokens: list[Token], text: str, command: str) -> None:
        super().__init__(tokens)
        self._text, self._command = text, command

    def read(self) -> Stage:
        readers: dict[str, Callable[[], Stage]] = {
            "regex": self._regex, "rex": self._rex, "stats": self._stats, "eventstats": self._stats, "top": self._top,
            "rare": self._top, "bin": self._bin, "bucket": self._bin, "table": self._table, "fields": self._kept,
            "sort": self._sort, "head": self._head, "tail": self._tail, "reverse": Reverse, "dedup": self._dedup,
            "rename": self._rename, "fillnull": self._fillnull,
        }  # fmt: skip
        stage = readers[self._command]()
        token = self._next
        if token.kind != "end":
            raise self._error(token, f"{token.text!r} does not belong here")
        return stage

    def _error(self, token: Token, message: str, hint: str | None = None) -> QuerySyntaxError:
        return QuerySyntaxError(message, token.start, max(token.end, token.start + 1), hint)

    def _is(self, text: str) -> bool:
        return self._next.kind in ("sign", "operator") and self._next.text == text

    def _keyword(self, *words: str) -> bool:
        return self._next.kind == "word" and self._next.text.lower() in words

    def _option(self, *known: str) -> tuple[str, Token] | None:
        """The name and value of `name=value`, when one follows.

        Raises:
            QuerySyntaxError: the command has no such option in the subset.
        """
        name, sign = self._next, self._after
        if name.kind != "word" or sign.kind != "operator" or sign.text != "=":
            return None
        if name.text not in known:
            hint = did_you_mean(name.text, known) or ("supported: " + ", ".join(known) if known else None)
            raise self._error(name, f"{self._command} has no option {name.text} in this subset of SPL", hint)
        self._at += 2
        return name.text, self._take()

    def _field(self, *, wild: bool = False) -> str:
        token = self._take()
        name = {"string": decoded(token.text), "field": token.text[1:-1]}.get(token.kind)
        if name is not None and name.strip() and (wild or "*" not in name):
            return name
        if token.kind == "word" and (_FIELD.match(token.text) or (wild and _WILD.match(token.text))):
            return token.text
        if token.text == "[":
            raise self._error(token, "a subsearch is not supported")
        hint = "a name with a wildcard is not supported here" if "*" in token.text else None
        raise self._error(token, "a field name is expected here", hint)

    def _fields(self, *, wild: bool = False, until: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Names separated by commas or spaces."""
        names: list[str] = []
        while self._next.kind != "end" and not self._keyword(*until):
            names.append(self._field(wild=wild))
            if self._is(","):
                self._take()
        if not names:
            raise self._error(self._next, "a field name is expected here")
        return tuple(names)

    def _number(self, token: Token) -> int:
        if token.kind != "word" or not token.text.isdecimal() or len(token.text) > 12 or int(token.text) > LARGEST:
            raise self._error(token, "a whole number is expected here")
        return int(token.text)

    def _truth(self, token: Token) -> bool:
        words = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
        if token.text.lower() not in words:
            raise self._error(token, "true or false is expected here")
        return words[token.text.lower()]

    def _string(self) -> str:
        token = self._take()
        if token.kind != "string":
            raise self._error(token, "a pattern in double quotes is expected here")
        return decoded(token.text)

    def _regex(self) -> Stage:
        if self._next.kind == "string" and self._after.kind == "end":
            return Regex("_raw", self._string())
        name = self._field()
        sign = self._take()
        if sign.text not in ("=", "!="):
            raise self._error(sign, "= or != is expected here", 'write: regex field="pattern"')
        return Regex(name, self._string(), sign.text == "!=")

    def _rex(self) -> Stage:
        name, pattern, place = "_raw", None, self._next
        while self._next.kind != "end":
            if self._next.kind == "string":
                place = self._next
                pattern = self._string()
            elif self._option("field") is not None:
                self._at -= 1
                name = self._field()
            else:
                raise self._error(
                    self._next, f"{self._next.text!r} does not belong here", 'write: rex field=f "(?<n>.)"'
                )
        if pattern is None:
            raise self._error(self._next, "a pattern in double quotes is expected here")
        names = tuple(dict.fromkeys(_GROUP.findall(pattern)))
        if not names:
            raise self._error(place, "the pattern names no group", "write the part to be kept as (?<name>...)")
        return Rex(name, pattern, names)

    def _by(self) -> tuple[str, ...]:
        if not self._keyword("by"):
            return ()
        self._take()
        return self._fields()

    def _stats(self) -> Stage:
        functions: list[Aggregate] = []
        self._option()
        while self._next.kind != "end" and not self._keyword("by"):
            functions.append(self._aggregate())
            if self._is(","):
                self._take()
        if not functions:
            raise self._error(self._next, "a function such as count is expected here")
        return Stats(tuple(functions), self._by(), self._command == "eventstats")

    def _aggregate(self) -> Aggregate:
        token = self._take()
        function = AGGREGATES.get(token.text) if token.kind == "word" else None
        if function is None:
            hint = did_you_mean(token.text, AGGREGATES) or "supported: " + ", ".join(dict.fromkeys(AGGREGATES.values()))
            message = f"{token.text or 'nothing'} is not supported inside {self._command}"
            raise QuerySyntaxError(message, token.start, max(token.end, token.start + 1), hint, "unknown_function")
        of = self._operand() if self._is("(") else None
        if of is None and function != "count":
            raise self._error(token, f"{token.text} needs a field", f"write {token.text}(field)")
        written = self._text[token.start : self._last_end]
        name = "count" if of is None else f"{token.text}({of})" if isinstance(of, str) else written
        if self._keyword("as"):
            self._take()
            name = self._field()
        return Aggregate(function, of, name, token.start, self._last_end)

    def _operand(self) -> str | Expression | None:
        opened = self._take()
        if self._is(")"):
            self._take()
            return None
        if self._keyword("eval") and self._after.text == "(":
            self._take()
            token = self._take()
            start, depth = token.end, 1
            while depth:
                token = self._take()
                if token.kind == "end":
                    raise self._error(opened, "this bracket is not closed", "add )")
                depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "sign" else 0
            found: str | Expression = read_expression(self._text[start : token.start], start)
        else:
            found = self._field()
        if not self._is(")"):
            raise self._error(opened, "this bracket is not closed", "add )")
        self._take()
        return found

    def _top(self) -> Stage:
        limit = 10
        while (option := self._option("limit")) is not None:
            limit = self._number(option[1])
        if self._next.kind == "word" and self._next.text.isdecimal():
            limit = self._number(self._take())
        return Top(self._fields(until=("by",)), self._by(), limit, self._command == "rare")

    def _bin(self) -> Stage:
        span: tuple[float, str] | None = None
        name, label = "", ""
        while self._next.kind != "end":
            option = self._option("span")
            if option is not None:
                span = self._span(option[1])
            elif self._keyword("as") and name:
                self._take()
                label = self._field()
            elif not name:
                name = self._field()
            else:
                raise self._error(self._next, f"{self._next.text!r} does not belong here")
        if not name or span is None:
            raise self._error(self._next, "bin needs a field and a span", "write: bin _time span=5m")
        return Bin(name, *span, label or name)

    def _span(self, token: Token) -> tuple[float, str]:
        found = _SPAN.match(token.text)
        if found is None or found[2] not in _UNITS or not 0 < len(found[1]) < 10 or int(found[1]) == 0:
            raise self._error(token, "a span is written as 30s, 5m, 1h or 1d")
        return int(found[1]) * _UNITS[found[2]], token.text

    def _table(self) -> Stage:
        return Table(self._fields(wild=True))

    def _kept(self) -> Stage:
        drop = False
        if self._next.kind == "word" and self._next.text in ("+", "-"):
            drop = self._take().text == "-"
        return Fields(self._fields(wild=True), drop)

    def _sort(self) -> Stage:
        limit, keys = 10_000, list[SortKey]()
        if (option := self._option("limit")) is not None:
            limit = self._number(option[1])
        elif self._next.kind == "word" and self._next.text.isdecimal():
            limit = self._number(self._take())
        while self._next.kind != "end" and not (keys and self._keyword("d", "desc")):
            keys.append(self._key())
            if self._is(","):
                self._take()
        if not keys:
            raise self._error(self._next, "a field name is expected here")
        if self._keyword("d", "desc"):
            self._take()
            keys = [replace(key, descending=not key.descending) for key in keys]
        return Sort(tuple(keys), limit)

    def _key(self) -> SortKey:
        token = self._next
        descending = token.kind == "word" and token.text.startswith("-")
        if token.kind == "word" and token.text[:1] in ("-", "+"):
            if len(token.text) == 1:
                self._take()
            else:
                self._tokens[self._at] = replace(token, text=token.text[1:], start=token.start + 1)
        following = self._after
        if self._next.kind == "word" and following.text == "(" and following.kind == "sign":
            kind = self._take()
            if kind.text not in ("auto", "num", "str"):
                message = f"sorting by {kind.text} is not supported"
                raise QuerySyntaxError(message, kind.start, kind.end, "supported: auto, num, str", "unknown_function")
            opened = self._take()
            name = self._field()
            if not self._is(")"):
                raise self._error(opened, "this bracket is not closed", "add )")
            self._take()
            return SortKey(name, descending, cast(Literal["auto", "num", "str"], kind.text))
        return SortKey(self._field(), descending)

    def _limit(self) -> int:
        if self._next.kind == "end":
            return 10
        option = self._option("limit")
        if option is None and self._is("("):
            raise self._error(
                self._next, f"{self._command} with a condition is not supported", f"write {self._command} 10"
            )
        return self._number(option[1] if option else self._take())

    def _head(self) -> Stage:
        return Head(self._limit())

    def _tail(self) -> Stage:
        return Tail(self._limit())

    def _dedup(self) -> Stage:
        limit, keep = 1, False
        if self._next.kind == "word" and self._next.text.isdecimal():
            limit = self._number(self._take())
        names: list[str] = []
        while self._next.kind != "end":
            if (option := self._option("keepempty")) is not None:
                keep = self._truth(option[1])
            elif self._keyword("sortby"):
                raise self._error(self._next, "sortby is not supported", "sort before dedup")
            else:
                names.append(self._field())
            if self._is(","):
                self._take()
        if not names:
            raise self._error(self._next, "a field name is expected here")
        return Dedup(tuple(names), max(limit, 1), keep)

    def _rename(self) -> Stage:
        pairs: list[tuple[str, str]] = []
        while self._next.kind != "end":
            old = self._field()
            if not self._keyword("as"):
                raise self._error(self._next, "AS is expected here", "write: rename old AS new")
            self._take()
            pairs.append((old, self._field()))
            if self._is(","):
                self._take()
        if not pairs:
            raise self._error(self._next, "a field name is expected here")
        return Rename(tuple(pairs))

    def _fillnull(self) -> Stage:
        value = "0"
        if (option := self._option("value")) is not None:
            token = option[1]
            if token.kind not in ("word", "string"):
                raise self._error(token, "a value is expected here")
            value = decoded(token.text) if token.kind == "string" else token.text
        return FillNull(value, self._fields() if self._next.kind != "end" else ())
