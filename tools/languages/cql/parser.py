"""Text to CQL: the documented subset that hunts and ordinary questions need. The rest is refused by name.

Vendors answer a malformed CQL query with HTTP 200 and free-text matches, so nothing here may pass as free text.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, cast

from ..syntax import MAX_DEPTH, QuerySyntaxError, Token, TokenStream, did_you_mean, tokenize
from .ast import (
    Always,
    And,
    Comparator,
    Compare,
    Count,
    Filter,
    GroupBy,
    Head,
    In,
    Node,
    Not,
    Or,
    Pipeline,
    Regex,
    Select,
    Sort,
    Stage,
    Table,
    Tail,
    Text,
)

_TOKENS = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<regex>(?:(?<=[=<>])|(?<=[=<>]\s))/(?:[^/\\\n]|\\.)+/[a-zA-Z]*)
      | (?P<operator>:=|!=|<=|>=|[=<>])
      | (?P<word>(?:(?!:=)[@#*A-Za-z0-9_.\-:\\$%+~?])+)
      | (?P<sign>[()\[\],|!])
    """,
    re.VERBOSE | re.DOTALL,
)
_FIELD = re.compile(r"[@#]?[A-Za-z_][A-Za-z0-9_.]*\Z")
_FUNCTION = re.compile(r"[A-Za-z][A-Za-z0-9_:]*\Z")
_KEYWORDS = frozenset({"and", "or", "not"})
_FLAGS = frozenset("dgimF")

STAGES = ("groupBy", "count", "sort", "head", "tail", "select", "table")
"""Functions that may stand as a stage of the pipeline."""


def parse(text: str) -> Pipeline:
    """Parse a query of the subset.

    Raises:
        QuerySyntaxError: with the place; code `unknown_function` names a function outside the subset.
    """
    try:
        tokens = tokenize(text, _TOKENS)
    except QuerySyntaxError as error:
        if text[error.start : error.start + 1] != "/":
            raise
        hint = "quote a value that holds a slash; a pattern is written /.../i after ="
        raise QuerySyntaxError(error.message, error.start, error.end, hint) from error
    return _Parser(tokens).pipeline()


class _Parser(TokenStream):
    def _is(self, sign: str) -> bool:
        return self._next.kind in ("sign", "operator") and self._next.text == sign

    def _keyword(self, word: str) -> bool:
        return self._next.kind == "word" and self._next.text.lower() == word

    def _expect(self, sign: str, what: str) -> Token:
        token = self._next
        if not self._is(sign):
            raise QuerySyntaxError(what, token.start, max(token.end, token.start + 1), f"add {sign}")
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

    def pipeline(self) -> Pipeline:
        if self._next.kind == "end":
            raise QuerySyntaxError("the query is empty", 0, 0)
        if self._is("|"):
            self._take()
        stages = [self._stage()]
        while self._is("|"):
            self._take()
            stages.append(self._stage())
        token = self._next
        if token.kind != "end":
            raise QuerySyntaxError(f"{token.text!r} does not belong here", token.start, token.end)
        return Pipeline(tuple(stages))

    def _stage(self) -> Stage:
        if self._call_follows() and self._next.text != "in":
            return self._function()
        start = self._next.start
        condition = self._sequence(0)
        return Filter(condition, start, self._last_end)

    # Conditions. OR binds tighter than a bare space; where the text mixes both, the check warns.

    def _sequence(self, depth: int) -> Node:
        parts = [self._any_of(depth)]
        while not (self._next.kind == "end" or self._is("|") or self._is(")")):
            if self._keyword("and"):
                self._take()
            parts.append(self._any_of(depth))
        if len(parts) == 1:
            return parts[0]
        return And(tuple(parts), False, parts[0].start, parts[-1].end)

    def _any_of(self, depth: int) -> Node:
        parts = [self._unary(depth)]
        while self._keyword("or"):
            self._take()
            parts.append(self._unary(depth))
        if len(parts) == 1:
            return parts[0]
        return Or(tuple(parts), False, parts[0].start, parts[-1].end)

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
            inner = self._sequence(depth + 1)
            if not self._is(")"):
                raise QuerySyntaxError("this bracket is not closed", token.start, token.end, "add )")
            end = self._take().end
            return replace(inner, bracketed=True, start=token.start, end=end) if isinstance(inner, And | Or) else inner
        return self._condition()

    def _condition(self) -> Node:
        if self._call_follows():
            if self._next.text != "in":
                raise self._unknown(self._next, filters=True)
            return self._in()
        token = self._take()
        if token.kind == "word" and token.text == "*":
            return Always(token.start, token.end)
        following = self._next
        if token.kind != "word" or following.kind != "operator":
            what = "free text is not searched" if token.kind in ("word", "string") else "a condition is expected here"
            hint = "write field=value, or field=/text/i" if token.kind in ("word", "string") else None
            raise QuerySyntaxError(what, token.start, max(token.end, token.start + 1), hint)
        if _FIELD.match(token.text) is None:
            raise QuerySyntaxError(f"{token.text} is not a field name", token.start, token.end)
        if following.text == ":=":
            raise QuerySyntaxError("assigning with := is not supported", following.start, following.end)
        self._take()
        value = self._value()
        if isinstance(value, Regex) and following.text not in ("=", "!="):
            raise QuerySyntaxError("a regular expression is compared with = or !=", following.start, following.end)
        return Compare(token.text, cast(Comparator, following.text), value, token.start, value.end)

    def _value(self) -> Text | Regex:
        token = self._take()
        if token.kind == "string":
            return Text(re.sub(r'\\(["\\])', r"\1", token.text[1:-1]), token.start, token.end)
        if token.kind == "regex":
            close = token.text.rindex("/")
            flags = token.text[close + 1 :]
            if unknown := set(flags) - _FLAGS:
                raise QuerySyntaxError(
                    f"{''.join(sorted(unknown))} is not a flag", token.start, token.end, "use /.../i"
                )
            return Regex(token.text[1:close], flags, token.start, token.end)
        if token.kind == "word" and token.text.lower() not in _KEYWORDS:
            return Text(token.text, token.start, token.end)
        raise QuerySyntaxError("a value is expected here", token.start, max(token.end, token.start + 1))

    def _in(self) -> In:
        name = self._take()
        self._expect("(", "in needs its arguments in brackets")
        if self._keyword("field"):
            self._take()
            self._expect("=", "field= is expected here")
        column = self._field()
        self._expect(",", "in needs a list of values")
        keyword = self._take()
        if keyword.text != "values":
            raise QuerySyntaxError(
                "values=[...] is expected here", keyword.start, keyword.end, f"in({column}, values=[...])"
            )
        self._expect("=", "values=[...] is expected here")
        self._expect("[", "a list is expected here")
        values: list[Text] = []
        while True:
            value = self._value()
            if isinstance(value, Regex):
                raise QuerySyntaxError("in takes no regular expressions", value.start, value.end)
            values.append(value)
            if not self._is(","):
                break
            self._take()
        self._expect("]", "this list is not closed")
        return In(column, tuple(values), name.start, self._expect(")", "this call is not closed").end)

    # Stages.

    def _unknown(self, token: Token, *, filters: bool) -> QuerySyntaxError:
        here = "in a condition" if filters else "in this subset of CQL"
        hint = did_you_mean(token.text, STAGES if not filters else ("in",))
        listed = "only in(field, values=[...])" if filters else "supported: " + ", ".join(STAGES)
        return QuerySyntaxError(
            f"the function {token.text} is not supported {here}",
            token.start,
            token.end,
            hint or listed,
            "syntax" if token.text in STAGES else "unknown_function",
        )

    def _function(self) -> Stage:
        name = self._next
        readers: dict[str, Callable[[], Stage]] = {
            "groupBy": self._group_by,
            "count": self._count,
            "sort": self._sort,
            "head": lambda: self._first(Head),
            "tail": lambda: self._first(Tail),
            "select": self._select,
            "table": self._table,
        }
        if name.text not in readers:
            raise self._unknown(name, filters=False)
        stage = readers[name.text]()
        return replace(stage, start=name.start, end=self._last_end)

    def _field(self) -> str:
        token = self._take()
        if token.kind == "string":
            text = token.text[1:-1]
        elif token.kind == "word":
            text = token.text
        else:
            text = ""
        if _FIELD.match(text) is None:
            raise QuerySyntaxError("a field name is expected here", token.start, max(token.end, token.start + 1))
        return text

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

    def _named(self) -> Token | None:
        """The name of a named argument, when one follows; its `=` is taken too."""
        name, sign = self._next, self._after
        if name.kind == "word" and sign.kind == "operator" and sign.text == "=":
            self._at += 2
            return name
        return None

    def _number(self) -> int:
        token = self._take()
        if token.kind != "word" or not token.text.isdigit():
            raise QuerySyntaxError("a whole number is expected here", token.start, max(token.end, token.start + 1))
        return int(token.text)

    def _choice(self, *words: str) -> str:
        token = self._take()
        if token.text not in words:
            raise QuerySyntaxError(
                f"{' or '.join(words)} is expected here", token.start, max(token.end, token.start + 1)
            )
        return token.text

    def _arguments(self, positional: Callable[[], None], named: dict[str, Callable[[], None]]) -> None:
        function = self._take()
        self._expect("(", "arguments in brackets are expected here")
        first = True
        while not self._is(")"):
            if not first:
                self._expect(",", "this call is not closed")
            name = self._named()
            if name is None:
                if not first:
                    raise QuerySyntaxError("a named argument is expected here", self._next.start, self._next.end)
                positional()
            elif name.text in named:
                named[name.text]()
            else:
                raise QuerySyntaxError(
                    f"{function.text} has no argument {name.text} in this subset of CQL",
                    name.start,
                    name.end,
                    did_you_mean(name.text, named) or "supported: " + ", ".join(named),
                )
            first = False
        self._take()

    def _count(self) -> Count:
        found: dict[str, str] = {}

        def column() -> None:
            found["field"] = self._field()

        def distinct() -> None:
            found["distinct"] = self._choice("true", "false")

        def label() -> None:
            found["as"] = self._field()

        start = self._next.start
        self._arguments(column, {"field": column, "distinct": distinct, "as": label})
        end = self._last_end
        return Count(found.get("field"), found.get("distinct") == "true", found.get("as", "_count"), start, end)

    def _group_by(self) -> GroupBy:
        fields: list[str] = []
        functions: list[Count] = []
        limit: list[int] = []

        def columns() -> None:
            fields.extend(self._fields())

        def aggregate() -> None:
            if not self._call_follows() or self._next.text != "count":
                raise QuerySyntaxError(
                    f"{self._next.text or 'nothing'} is not supported inside groupBy",
                    self._next.start,
                    max(self._next.end, self._next.start + 1),
                    "supported: count()",
                    "unknown_function" if self._call_follows() else "syntax",
                )
            functions.append(self._count())

        def function() -> None:
            if not self._is("["):
                return aggregate()
            self._take()
            aggregate()
            while self._is(","):
                self._take()
                aggregate()
            self._expect("]", "this list is not closed")

        def cap() -> None:
            limit.append(self._number())

        self._arguments(columns, {"field": columns, "function": function, "limit": cap})
        return GroupBy(tuple(fields), tuple(functions) or (Count(),), limit[0] if limit else None)

    def _sort(self) -> Sort:
        fields: list[str] = []
        found: dict[str, str | int] = {}

        def columns() -> None:
            fields.extend(self._fields())

        def order() -> None:
            found["order"] = self._choice("asc", "desc")

        def cap() -> None:
            found["limit"] = self._number()

        self._arguments(columns, {"field": columns, "order": order, "limit": cap})
        direction: Literal["asc", "desc"] = "asc" if found.get("order") == "asc" else "desc"
        return Sort(tuple(fields) or ("_count",), direction, int(found.get("limit", 200)))

    def _first(self, kind: type[Head] | type[Tail]) -> Stage:
        found: list[int] = []

        def cap() -> None:
            found.append(self._number())

        self._arguments(cap, {"limit": cap})
        return kind(found[0] if found else 200)

    def _select(self) -> Select:
        fields: list[str] = []

        def columns() -> None:
            fields.extend(self._fields())

        self._arguments(columns, {"fields": columns})
        return Select(tuple(fields))

    def _table(self) -> Table:
        fields: list[str] = []
        limit: list[int] = []

        def columns() -> None:
            fields.extend(self._fields())

        def cap() -> None:
            limit.append(self._number())

        self._arguments(columns, {"fields": columns, "limit": cap})
        return Table(tuple(fields), limit[0] if limit else 200)
