"""Text to CQL: the documented subset that hunts and ordinary questions need. The rest is refused by name.

Vendors answer a malformed CQL query with HTTP 200 and free-text matches, so no word may pass as free text; a pattern
between slashes may, since nobody writes one by mistake.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, cast

from ..syntax import QuerySyntaxError, Token, did_you_mean
from .ast import (
    Aggregate,
    Always,
    Assign,
    Branch,
    Bucket,
    Call,
    Case,
    Count,
    Drop,
    Filter,
    GroupBy,
    Head,
    Node,
    Pipeline,
    Regex,
    Rename,
    Select,
    Sort,
    Stage,
    Summary,
    Table,
    Tail,
    Text,
    Top,
)
from .conditions import FILTERS, Conditions, slashed
from .lexer import tokens_of

AGGREGATES = ("count", "sum", "avg", "min", "max", "collect", "selectLast")
"""Functions that make one row, or one a group."""
VALUES = ("lower", "upper", "length", "concat", "replace")
"""Functions that make a field."""
STAGES = (
    "groupBy", *AGGREGATES, "bucket", "top", "sort", "head", "tail", "select", "table", "drop", "rename", *VALUES,
    *FILTERS, "case",
)  # fmt: skip
"""Functions that may stand as a stage of the pipeline."""

_SPAN = re.compile(r"(\d+)\s*([a-z]+)\Z")
_MILLISECONDS = {
    **dict.fromkeys(("ms", "millis", "milliseconds"), 1),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1_000),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60_000),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3_600_000),
    **dict.fromkeys(("d", "day", "days"), 86_400_000),
    **dict.fromkeys(("w", "week", "weeks"), 604_800_000),
}


def parse(text: str) -> Pipeline:
    """Parse a query of the subset.

    Raises:
        QuerySyntaxError: with the place; code `unknown_function` names a function outside the subset.
    """
    return _Parser(tokens_of(text)).pipeline()


class _Parser(Conditions):
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
        if self._next.kind == "word" and self._next.text == "case" and self._after.text == "{":
            return self._case()
        if self._next.kind == "word" and self._after.kind == "operator" and self._after.text == ":=":
            return self._assign()
        if self._call_follows() and self._next.text not in FILTERS:
            return self._function()
        start = self._next.start
        condition = self._condition_of(0)
        return Filter(condition, start, self._last_end)

    # Fields that are made.

    def _assign(self) -> Assign:
        start = self._next.start
        name = self._field()
        self._take()
        if self._call_follows():
            function = self._next
            if function.text not in VALUES:
                raise self._unknown(function, VALUES, "after :=")
            made = self._made()
            return Assign(name, made.value, start, self._last_end)
        value = self._operand()
        if self._next.kind in ("word", "operator", "regex"):
            raise self._error(self._next, "calculating with := is not supported", f"functions: {', '.join(VALUES)}")
        return Assign(name, value, start, self._last_end)

    def _made(self) -> Assign:
        """`lower(field, as=name)` and its kind as an assignment."""
        token = self._next
        fields: list[str] = []
        found: dict[str, str] = {}
        patterns: list[Text] = []
        named: dict[str, Callable[[], None]] = {
            "field": lambda: fields.extend(self._fields()),
            "as": lambda: found.update({"as": self._field()}),
        }
        if token.text == "replace":
            named |= {
                "regex": lambda: patterns.append(self._text()),
                "with": lambda: found.update({"with": self._text().text}),
                "replacement": lambda: found.update({"with": self._text().text}),
                "flags": lambda: found.update({"flags": self._text().text}),
            }
        self._arguments(named, "regex" if token.text == "replace" else "field")
        if not fields or (len(fields) > 1 and token.text != "concat"):
            raise self._error(token, f"{token.text} needs one field", f"write {token.text}(field, as=name)")
        pattern = None
        if token.text == "replace":
            if not patterns or not patterns[0].text:
                raise self._error(token, "replace needs a pattern", 'replace("a", with="b", field=f)')
            if set(found.get("flags", "")) - set("dim"):
                raise self._error(token, "replace takes the flags d, i and m in this subset")
            pattern = Regex(slashed(patterns[0].text), found.get("flags", ""), patterns[0].start, patterns[0].end)
        function = cast(Literal["lower", "upper", "length", "concat", "replace"], token.text)
        value = Call(function, tuple(fields), pattern, found.get("with", ""), token.start, self._last_end)
        default = fields[0] if token.text == "replace" else f"_{token.text}"
        return Assign(found.get("as", default), value, token.start, self._last_end)

    def _case(self) -> Case:
        start = self._take().start
        opened = self._take()
        branches: list[Branch] = []
        while not self._is("}"):
            if self._next.kind == "end":
                raise self._error(opened, "this case is not closed", "add }")
            branches.append(self._branch())
            if self._is(";"):
                self._take()
            elif not self._is("}"):
                raise self._error(self._next, "; or } is expected here")
        if not branches:
            raise self._error(opened, "a branch is expected here", "write case { condition | field := value; * }")
        return Case(tuple(branches), start, self._take().end)

    def _branch(self) -> Branch:
        condition: Node | None = None
        assignments: list[Assign] = []
        while True:
            token = self._next
            stage = self._stage()
            if isinstance(stage, Filter) and condition is None and not assignments:
                condition = stage.condition
            elif isinstance(stage, Assign):
                assignments.append(stage)
            else:
                raise self._error(
                    token, "a branch holds a condition and then assignments in this subset of CQL",
                    "write condition | field := value",
                )  # fmt: skip
            if not self._is("|"):
                return Branch(condition or Always(token.start, token.start), tuple(assignments))
            self._take()

    # Stages.

    def _unknown(self, token: Token, known: tuple[str, ...], where: str) -> QuerySyntaxError:
        hint = did_you_mean(token.text, known) or "supported: " + ", ".join(known)
        code: Literal["syntax", "unknown_function"] = "syntax" if token.text in STAGES else "unknown_function"
        message = f"the function {token.text} is not supported {where}"
        return QuerySyntaxError(message, token.start, token.end, hint, code)

    def _function(self) -> Stage:
        name = self._next
        readers: dict[str, Callable[[], Stage]] = {
            **dict.fromkeys(AGGREGATES, self._summary), **dict.fromkeys(VALUES, self._made), "groupBy": self._group_by,
            "bucket": self._bucket, "top": self._top, "sort": self._sort, "head": lambda: self._first(Head),
            "tail": lambda: self._first(Tail), "select": self._select, "table": self._table, "drop": self._drop,
            "rename": self._rename,
        }  # fmt: skip
        if name.text not in readers:
            raise self._unknown(name, STAGES, "in this subset of CQL")
        stage = readers[name.text]()
        return replace(stage, start=name.start, end=self._last_end)

    def _number(self) -> int:
        token = self._take()
        if token.kind != "word" or not token.text.isdecimal() or len(token.text) > 9:
            raise self._error(token, "a whole number is expected here")
        return int(token.text)

    def _choice(self, *words: str) -> str:
        token = self._take()
        if token.text not in words:
            raise self._error(token, f"{' or '.join(words)} is expected here")
        return token.text

    def _summary(self) -> Summary:
        token = self._next
        fields: list[str] = []
        found: dict[str, str] = {}
        named: dict[str, Callable[[], None]] = {"field": lambda: fields.extend(self._fields())}
        kept = token.text in ("collect", "selectLast")
        if kept:
            named["fields"] = named["field"]
        else:
            named["as"] = lambda: found.update({"as": self._field()})
        if token.text == "count":
            named["distinct"] = lambda: found.update({"distinct": self._choice("true", "false")})
        self._arguments(named, "fields" if kept else "field")
        if (not fields and token.text != "count") or (len(fields) > 1 and not kept):
            raise self._error(token, f"{token.text} needs one field", f"write {token.text}(field)")
        if token.text == "count":
            of = fields[0] if fields else None
            name = found.get("as", "_count")
            return Count(of, found.get("distinct") == "true", name, token.start, self._last_end)
        function = cast(Literal["sum", "avg", "min", "max", "collect", "selectLast"], token.text)
        name = "" if kept else found.get("as", f"_{token.text}")
        return Aggregate(function, tuple(fields), name, token.start, self._last_end)

    def _summaries(self) -> tuple[Summary, ...]:
        """One function, or a list of them, which may stand in brackets of its own."""
        if self._is("("):
            self._take()
            found = self._summaries()
            self._expect(")", "this bracket is not closed")
            return found
        if not self._is("["):
            return (self._inner(),)
        self._take()
        functions = [self._inner()]
        while self._is(","):
            self._take()
            functions.append(self._inner())
        self._expect("]", "this list is not closed")
        return tuple(functions)

    def _inner(self) -> Summary:
        token = self._next
        if not self._call_follows() or token.text not in AGGREGATES:
            raise QuerySyntaxError(
                f"{token.text or 'nothing'} is not supported as an aggregate",
                token.start,
                max(token.end, token.start + 1),
                did_you_mean(token.text, AGGREGATES) or "supported: " + ", ".join(AGGREGATES),
                "unknown_function" if self._call_follows() else "syntax",
            )
        return self._summary()

    def _group_by(self) -> GroupBy:
        fields: list[str] = []
        functions: list[Summary] = []
        limit: list[int] = []

        def cap() -> None:
            if self._next.text == "max":  # the most that LogScale gives
                self._take()
            else:
                limit.append(self._number())

        named: dict[str, Callable[[], None]] = {
            "field": lambda: fields.extend(self._fields()),
            "function": lambda: functions.extend(self._summaries()),
            "limit": cap,
        }
        token = self._next
        self._arguments(named, "field")
        if not fields:
            raise self._error(token, "groupBy needs a field", "write groupBy([field])")
        return GroupBy(tuple(fields), tuple(functions) or (Count(),), limit[0] if limit else None)

    def _bucket(self) -> Bucket:
        fields: list[str] = []
        functions: list[Summary] = []
        spans: list[tuple[str, int]] = []
        token = self._next
        self._arguments(
            {
                "span": lambda: spans.append(self._span()),
                "field": lambda: fields.extend(self._fields()),
                "function": lambda: functions.extend(self._summaries()),
            },
            "span",
        )
        if not spans:
            raise self._error(token, "bucket needs a span", "write bucket(span=1h)")
        return Bucket(*spans[0], tuple(fields), tuple(functions) or (Count(),))

    def _span(self) -> tuple[str, int]:
        token = self._next
        text = self._text().text
        found = _SPAN.match(text)
        if found is None or found[2] not in _MILLISECONDS or len(found[1]) > 6 or not int(found[1]):
            raise self._error(token, "a span is written as 30s, 5m, 1h or 1d")
        return text, int(found[1]) * _MILLISECONDS[found[2]]

    def _top(self) -> Top:
        fields: list[str] = []
        found: dict[str, str | int] = {}
        token = self._next
        self._arguments(
            {
                "field": lambda: fields.extend(self._fields()),
                "limit": lambda: found.update({"limit": self._number()}),
                "as": lambda: found.update({"as": self._field()}),
            },
            "field",
        )
        if not fields:
            raise self._error(token, "top needs a field", "write top([field])")
        return Top(tuple(fields), int(found.get("limit", 10)), str(found.get("as", "_count")))

    def _sort(self) -> Sort:
        fields: list[str] = []
        found: dict[str, str | int] = {}
        self._arguments(
            {
                "field": lambda: fields.extend(self._fields()),
                "order": lambda: found.update({"order": self._choice("asc", "desc")}),
                "limit": lambda: found.update({"limit": self._number()}),
            },
            "field",
        )
        direction: Literal["asc", "desc"] = "asc" if found.get("order") == "asc" else "desc"
        return Sort(tuple(fields) or ("_count",), direction, int(found.get("limit", 200)))

    def _first(self, kind: type[Head] | type[Tail]) -> Stage:
        found: list[int] = []
        self._arguments({"limit": lambda: found.append(self._number())}, "limit")
        return kind(found[0] if found else 200)

    def _listed(self, name: str) -> tuple[str, ...]:
        """The fields of a function that takes nothing else."""
        fields: list[str] = []
        token = self._next
        self._arguments({name: lambda: fields.extend(self._fields())}, name)
        if not fields:
            raise self._error(token, f"{token.text} needs a field", f"write {token.text}([field])")
        return tuple(fields)

    def _select(self) -> Select:
        return Select(self._listed("fields"))

    def _drop(self) -> Drop:
        return Drop(self._listed("fields"))

    def _rename(self) -> Rename:
        pairs: list[tuple[str, str]] = []
        olds: list[str] = []
        token = self._next

        def several() -> None:
            if not self._is("["):
                olds.append(self._field())
                return
            self._take()
            while not self._is("]"):
                old, new = self._pair()
                pairs.append((old, new))
                if self._is(","):
                    self._take()
                elif not self._is("]"):
                    raise self._error(self._next, "this list is not closed", "add ]")
            self._take()

        def label() -> None:
            pairs.extend((old, self._field()) for old in olds[-1:])

        self._arguments({"field": several, "as": label}, "field")
        if not pairs:
            raise self._error(token, "rename needs a field and its new name", "write rename(field=old, as=new)")
        return Rename(tuple(pairs))

    def _pair(self) -> tuple[str, str]:
        self._expect("[", "a pair is expected here")
        old = self._field()
        self._expect(",", "a pair is expected here")
        new = self._field()
        self._expect("]", "this pair is not closed")
        return old, new

    def _table(self) -> Stage:
        fields: list[str] = []
        found: dict[str, str | int] = {}
        token = self._next
        self._arguments(
            {
                "fields": lambda: fields.extend(self._fields()),
                "limit": lambda: found.update({"limit": self._number()}),
                "sortby": lambda: found.update({"sortby": self._field()}),
                "order": lambda: found.update({"order": self._choice("asc", "desc")}),
            },
            "fields",
        )
        if not fields:
            raise self._error(token, "table needs a field", "write table([field])")
        order: Literal["asc", "desc"] = "asc" if found.get("order") == "asc" else "desc"
        return Table(tuple(fields), int(found.get("limit", 200)), cast("str | None", found.get("sortby")), order)
