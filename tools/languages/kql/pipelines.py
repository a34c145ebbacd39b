"""Pipelines: sources, stages, and the operators that filter, shape and order one table."""

from collections.abc import Callable, Mapping
from typing import ClassVar

from ..syntax import did_you_mean
from . import ast
from .expressions import ExpressionParser
from .lexer import Token
from .words import AFTER_A_NAME, KIND_MEANT, NOT_A_NAME, PARAMETERS

_ORDERS = frozenset({"asc", "desc", "granny-asc", "granny-desc"})
Reader = Callable[..., ast.Operator]
"""A method that reads one operator behind its word."""


class PipelineParser(ExpressionParser):
    """Reads pipelines. The operators by their words come from the subclass."""

    _readers: ClassVar[Mapping[str, Reader]]
    """Operators behind a pipe."""
    _heads: ClassVar[Mapping[str, Reader]]
    """Operators that may also stand at the head of a pipeline."""

    def _value(self) -> ast.Expr:
        source = self._source()
        if not self._is("|"):
            return source
        return self._pipeline(source)

    def _pipeline(self, source: ast.Node) -> ast.Pipeline:
        operators: list[ast.Operator] = []
        while self._accept("|"):
            operators.append(self._operator())
        return ast.Pipeline(source.start, self._last_end(), source, tuple(operators))

    def _source(self) -> ast.Node:
        """What may stand at the head of a pipeline."""
        token = self._token
        if token.kind == "name":
            following = self._peek()
            head = self._heads.get(token.text)
            if head and not (following.text in AFTER_A_NAME and following.kind == "op") and following.kind != "end":
                if token.text == "range" and self._peek(2).text != "from":
                    return self._expression()
                return head(self, self._advance())
            if following.text == "(":
                if token.text == "datatable":
                    return self._datatable()
                if token.text in ("externaldata", "external_data"):
                    return self._externaldata()
        return self._expression()

    def _guess(self, token: Token, closing: bool) -> str | None:
        """What was probably meant, where a stage of the pipeline or an item of a list follows without its sign."""
        meant = super()._guess(token, closing)
        if meant is not None or not closing or token.kind not in ("name", "keyword", "string", "number"):
            return meant
        if token.text.lower() in self._readers and token.kind != "string":
            return f"put | before {token.text.lower()}"
        before = self._tokens[self._at - 1] if self._at else token
        ends_value = before.kind in ("name", "string", "number", "timespan", "literal") or before.text in (")", "]")
        return f"is a comma or an operator missing before {token.text[:40]}?" if ends_value else None

    def _operator(self) -> ast.Operator:
        token = self._token
        reader = self._readers.get(token.text) if token.kind in ("name", "keyword") else None
        if reader is None:
            meant = did_you_mean(token.text, self._readers) if token.kind in ("name", "keyword") else None
            self._fail("expected an operator such as where or project", hint=meant)
        self._enter(token)
        operator = reader(self, self._advance())
        self._leave()
        return operator

    def _operators(self) -> tuple[ast.Operator, ...]:
        """Operators without a source, as in the brackets of mv-apply."""
        operators = [self._operator()]
        while self._accept("|"):
            operators.append(self._operator())
        return tuple(operators)

    def _parameters(self, kinds: frozenset[str] = frozenset()) -> dict[str, str]:
        """`kind=inner`, `hint.strategy=shuffle` and the like, by name; `kinds` are what a kind may be."""
        found: dict[str, str] = {}
        while self._token.kind == "name" and self._token.text in PARAMETERS:
            ahead, name = 1, self._token.text
            while self._peek(ahead).text == "." and self._peek(ahead + 1).kind == "name":
                name += "." + self._peek(ahead + 1).text
                ahead += 2
            if self._peek(ahead).text != "=" or self._peek(ahead).kind != "op":
                break
            for _ in range(ahead + 1):
                self._advance()
            value = self._advance()
            if value.kind not in ("name", "string", "number", "timespan"):
                self._fail(f"expected a value for {name}", value)
            if name == "kind" and kinds and value.text not in kinds:
                meant = KIND_MEANT.get(value.text)
                hint = f"did you mean {meant}?" if meant in kinds else did_you_mean(value.text, kinds)
                hint = hint or f"kinds: {', '.join(sorted(kinds))}"
                self._fail("there is no such kind here", value, hint)
            found[name] = value.text
        return found

    # Filtering and shaping

    def _where(self, token: Token) -> ast.Operator:
        self._parameters()
        predicate = self._named()
        return ast.Where(token.start, predicate.end, predicate)

    def _project(self, token: Token) -> ast.Operator:
        if token.text == "project" and (self._token.kind == "end" or self._token.text in ("|", ";", ")")):
            return ast.Project(token.start, token.end, token.text, ())
        item = self._named if token.text in ("project", "project-rename") else self._column_pattern
        items = self._comma_list(item)
        return ast.Project(token.start, self._last_end(), token.text, items)

    def _column_pattern(self) -> ast.Expr:
        pattern = self._name_pattern()
        if self._token.text in _ORDERS:
            self._advance()
        return pattern

    def _extend(self, token: Token) -> ast.Operator:
        items = self._comma_list(self._named)
        return ast.Extend(token.start, self._last_end(), items, token.text)

    def _serialize(self, token: Token) -> ast.Operator:
        if self._token.kind == "end" or self._token.text in ("|", ";", ")"):
            return ast.Extend(token.start, token.end, (), token.text)
        return self._extend(token)

    def _distinct(self, token: Token) -> ast.Operator:
        self._parameters()
        items = self._comma_list(lambda: self._lone_star() or self._named())
        return ast.Distinct(token.start, self._last_end(), items)

    def _summarize(self, token: Token) -> ast.Operator:
        self._parameters()
        aggregates: tuple[ast.Node, ...] = ()
        by: tuple[ast.Node, ...] = ()
        if not self._is("by"):
            aggregates = self._comma_list(self._named)
        if self._accept("by"):
            by = self._comma_list(self._named)
        return ast.Summarize(token.start, self._last_end(), aggregates, by)

    # Ordering and counting

    def _sort(self, token: Token) -> ast.Operator:
        self._parameters()
        self._expect("by", f"after {token.text}")
        by = self._comma_list(self._ordered)
        return ast.Sort(token.start, self._last_end(), by)

    def _ordered(self) -> ast.Expr:
        value = self._named()
        descending, nulls = True, None
        if self._accept("asc"):
            descending = False
        else:
            self._accept("desc")
        if self._accept("nulls"):
            nulls = self._token.text
            if not (self._accept("first") or self._accept("last")):
                self._fail("expected first or last after nulls")
        return ast.Ordered(value.start, self._last_end(), value, descending, nulls)

    def _top(self, token: Token) -> ast.Operator:
        self._parameters()
        count = self._expression()
        self._expect("by", "after the number of rows")
        key = self._ordered()
        return ast.Top(token.start, key.end, count, (key,))

    def _top_nested(self, token: Token) -> ast.Operator:
        parts = [self._top_nested_part()]
        while self._accept(","):
            if self._token.text != "top-nested":
                self._fail("expected top-nested")
            self._advance()
            parts.append(self._top_nested_part())
        return ast.TopNested(token.start, self._last_end(), tuple(parts))

    def _top_nested_part(self) -> ast.TopNestedPart:
        start = self._token.start
        count = None if self._is("of") else self._expression()
        self._expect("of", "after top-nested")
        key = self._named()
        others: ast.Expr | None = None
        if self._accept("with"):
            self._expect("others")
            self._expect("=")
            others = self._expression()
        self._expect("by")
        aggregate = self._ordered()
        return ast.TopNestedPart(start, self._last_end(), key, aggregate, count, others)

    def _top_hitters(self, token: Token) -> ast.Operator:
        count = self._expression()
        self._expect("of")
        of = self._expression()
        by = self._expression() if self._accept("by") else None
        return ast.TopHitters(token.start, self._last_end(), count, of, by)

    def _take(self, token: Token) -> ast.Operator:
        self._parameters()
        count = self._expression()
        return ast.Take(token.start, count.end, count, "sample" if token.text == "sample" else "take")

    def _sample_distinct(self, token: Token) -> ast.Operator:
        count = self._expression()
        self._expect("of")
        of = self._expression()
        return ast.SampleDistinct(token.start, of.end, count, of)

    def _count(self, token: Token) -> ast.Operator:
        name = self._name() if self._accept("as") else None
        return ast.Count(token.start, self._last_end(), name)

    def _getschema(self, token: Token) -> ast.Operator:
        return ast.GetSchema(token.start, token.end)

    def _consume(self, token: Token) -> ast.Operator:
        self._parameters()
        return ast.Consume(token.start, token.end)

    # Declared columns and properties

    def _column_defs(self, *, defaults: bool = False) -> tuple[ast.ColumnDef, ...]:
        self._expect("(")
        columns: list[ast.ColumnDef] = []
        while not self._is(")"):
            if self._is("*"):
                star = self._advance()
                columns.append(ast.ColumnDef(star.start, star.end, "*", "dynamic"))
            else:
                columns.append(self._typed_column(defaults))
            if not self._accept(","):
                break
        self._expect(")")
        return tuple(columns)

    def _typed_column(self, defaults: bool) -> ast.ColumnDef:
        start = self._token.start
        quoted = self._token.kind == "string"  # datatable accepts it
        name = self._string().value if quoted else self._name()
        self._expect(":", f"and a type after {name}")
        kind = self._type_name()
        default = self._operand() if defaults and self._accept("=") else None
        return ast.ColumnDef(start, self._last_end(), name, kind, default)

    def _column_def(self) -> ast.ColumnDef:
        start, name = self._token.start, self._name()
        kind = self._type_name() if self._accept(":") else "string"
        return ast.ColumnDef(start, self._last_end(), name, kind)

    def _properties(self) -> tuple[tuple[str, ast.Expr], ...]:
        """`with (name = value, ...)`, where it is there."""
        found: list[tuple[str, ast.Expr]] = []
        if not self._accept("with"):
            return ()
        self._expect("(", "after with")
        while not self._is(")"):
            name = self._name(NOT_A_NAME)
            self._expect("=")
            found.append((name, self._expression()))
            if not self._accept(","):
                break
            while self._token.kind == "name" and self._peek().text in (",", ")"):  # more columns of ycolumns
                self._advance()
                self._accept(",")
        self._expect(")")
        return tuple(found)

    # Tables written in the text

    def _datatable(self) -> ast.Node:
        token = self._advance()
        columns = self._column_defs()
        self._expect("[", "before the values of datatable")
        values: list[ast.Node] = []
        while not self._is("]"):
            values.append(self._expression())
            if not self._accept(","):
                break
        self._expect("]", "to close datatable")
        return ast.DataTable(token.start, self._last_end(), columns, tuple(values))

    def _externaldata(self) -> ast.Node:
        token = self._advance()
        columns = self._column_defs()
        self._expect("[", "before the locations of externaldata")
        locations: list[ast.Node] = []
        while not self._is("]"):
            locations.append(self._expression())
            if not self._accept(","):
                break
        self._expect("]", "to close the locations")
        properties = self._properties()
        return ast.ExternalData(token.start, self._last_end(), columns, tuple(locations), properties)
