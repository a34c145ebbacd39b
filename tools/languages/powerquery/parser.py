"""Text to PowerQuery objects: a first filter and the commands behind it."""

from collections.abc import Callable
from dataclasses import replace

from ..syntax import QuerySyntaxError, Token, did_you_mean
from .ast import (
    Call,
    Columns,
    Command,
    Expression,
    Field,
    Filter,
    Group,
    Key,
    Let,
    Limit,
    Named,
    Query,
    SaveLookup,
    Sort,
    Value,
    ValueKind,
)
from .expressions import ExpressionParser, tokens_of
from .functions import COMMAND_INSTEAD, COMMANDS, NOT_SUPPORTED


def parse(text: str) -> Query:
    """Parse a query of the subset.

    Raises:
        QuerySyntaxError: with the place; code `unknown_function` names a command or form outside the subset.
    """
    return _Parser(tokens_of(text)).query()


class _Parser(ExpressionParser):
    def query(self) -> Query:
        if self._next.kind == "end":
            raise QuerySyntaxError("the query is empty", 0, 0)
        condition: Expression | None = None
        commands: list[Command] = []
        if self._keyword("filter") and (self._after.text == "(" or self._after.kind not in ("sign", "test")):
            commands.append(self._command())
        elif not self._is("|"):
            self._refuse_leading_command()
            condition = self.expression(loose=True)
        while self._is("|"):
            self._take()
            commands.append(self._command())
        token = self._next
        if token.kind != "end":
            raise self._trailing(token)
        return Query(condition, tuple(commands))

    def _refuse_leading_command(self) -> None:
        token, following = self._next, self._after
        name = token.text.lower()
        if token.kind == "word" and name in NOT_SUPPORTED and following.kind in ("word", "string", "sign"):
            if following.text in ("=", "==", "!=", "<", "<=", ">", ">="):
                return
            raise self._unsupported(token)

    def _trailing(self, token: Token) -> QuerySyntaxError:
        place = token.start, token.end
        if token.kind == "word" and token.text.lower() in COMMANDS:
            return QuerySyntaxError(f"{token.text} begins a command", *place, f"write | {token.text.lower()}")
        return QuerySyntaxError(f"{token.text!r} does not belong here", *place)

    def _command(self) -> Command:
        name = self._next
        if name.kind != "word":
            raise QuerySyntaxError(
                "a command is expected behind |",
                name.start,
                max(name.end, name.start + 1),
                "commands: " + ", ".join(COMMANDS),
            )
        readers: dict[str, Callable[[], Command]] = {
            "filter": self._filter,
            "columns": self._columns,
            "let": self._let,
            "group": self._group,
            "sort": self._sort,
            "limit": self._limit,
            "savelookup": self._savelookup,
        }
        reader = readers.get(name.text.lower())
        if reader is None:
            raise self._unsupported(name)
        self._take()
        return replace(reader(), start=name.start, end=self._last_end)

    def _unsupported(self, name: Token) -> QuerySyntaxError:
        lowered = name.text.lower()
        place = name.start, name.end
        if lowered in NOT_SUPPORTED:
            what = f"the command {name.text} is not supported in this subset of PowerQuery"
            return QuerySyntaxError(what, *place, "supported: " + ", ".join(COMMANDS), "unknown_function")
        instead = COMMAND_INSTEAD.get(lowered)
        hint = f"write {instead}" if instead else did_you_mean(name.text, COMMANDS)
        return QuerySyntaxError(
            f"PowerQuery has no command {name.text}", *place, hint or "commands: " + ", ".join(COMMANDS),
            "unknown_function",
        )  # fmt: skip

    def _filter(self) -> Filter:
        return Filter(self.expression(loose=True))

    def _columns(self) -> Columns:
        return Columns(self._items())

    def _let(self) -> Let:
        items = self._items()
        for item in items:
            if item.name is None:
                raise QuerySyntaxError("let gives a name to a value", item.start, item.end, "write name=...")
        return Let(items)

    def _group(self) -> Group:
        if self._keyword("by"):
            by = self._next
            raise QuerySyntaxError("group has nothing to count", by.start, by.end, "write group n=count() by ...")
        aggregates = self._items()
        if not self._keyword("by"):
            return Group(aggregates)
        self._take()
        return Group(aggregates, self._items())

    def _items(self) -> tuple[Named, ...]:
        items = [self._item()]
        while self._is(","):
            self._take()
            items.append(self._item())
        return tuple(items)

    def _item(self) -> Named:
        start = self._next.start
        name = self._output_name()
        expression = self.expression(loose=False)
        if name is None and not isinstance(expression, Call | Field):
            quoted = isinstance(expression, Value) and expression.kind is ValueKind.STRING
            hint = "fields are written without quotes" if quoted else "write name=..."
            raise QuerySyntaxError("this column has no name", expression.start, expression.end, hint)
        return Named(expression, name, start, expression.end)

    def _output_name(self) -> str | None:
        token, sign = self._next, self._after
        if token.kind not in ("word", "string") or sign.kind != "sign" or sign.text != "=":
            return None
        name = self._literal().text if token.kind == "string" else self._take().text
        self._take()
        if not name:
            raise QuerySyntaxError("a column needs a name", token.start, token.end)
        return name

    def _sort(self) -> Sort:
        keys = [self._key()]
        while self._is(","):
            self._take()
            keys.append(self._key())
        if self._keyword("desc", "asc"):
            order = self._next
            last = keys[-1].expression
            name = last.name if isinstance(last, Field | Call) else "field"
            hint = f"write sort -{name}" if order.text.lower() == "desc" else f"write sort {name}"
            raise QuerySyntaxError(f"PowerQuery does not take {order.text} behind a key", order.start, order.end, hint)
        return Sort(tuple(keys))

    def _key(self) -> Key:
        descending = self._is("-")
        if self._is("-", "+"):
            self._take()
        expression = self.expression(loose=False)
        if isinstance(expression, Call) and not expression.arguments:
            # Rows are sorted by the column that `count()` has made.
            expression = Field(expression.name, expression.start, expression.end)
        return Key(expression, descending)

    def _limit(self) -> Limit:
        token = self._take()
        text = token.text.replace("_", "")
        if token.kind != "number" or not text.isdigit() or int(text) < 1:
            raise QuerySyntaxError(
                "limit takes a whole number of rows", token.start, max(token.end, token.start + 1), "limit 100"
            )
        return Limit(int(text))

    def _savelookup(self) -> SaveLookup:
        token = self._next
        table = self._take().text if token.kind == "word" else self._literal().text
        if not self._is(","):
            return SaveLookup(table)
        self._take()
        word = self._literal()
        if word.text != "merge":
            raise QuerySyntaxError("savelookup knows no other word than 'merge'", word.start, word.end)
        return SaveLookup(table, merge=True)
