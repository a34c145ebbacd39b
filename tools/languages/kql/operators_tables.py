"""Operators over several tables, and those that make a table."""

from . import ast
from .lexer import Token
from .pipelines import PipelineParser
from .words import JOIN_KINDS, LOOKUP_KINDS, SEARCH_KINDS, UNION_KINDS


class TableParser(PipelineParser):
    """Reads `join`, `union`, `search`, `range`, `datatable` and their kin."""

    # Several tables

    def _join(self, token: Token) -> ast.Operator:
        kind = self._parameters(LOOKUP_KINDS if token.text == "lookup" else JOIN_KINDS).get("kind", "")
        right = self._postfix(self._primary())
        if self._accept("on"):
            on = self._comma_list(self._expression)
        else:
            self._fail(f"expected on after the table of {token.text}")
        return ast.Join(token.start, self._last_end(), token.text, kind, right, on)

    def _union(self, token: Token) -> ast.Operator:
        parameters = self._parameters(UNION_KINDS)
        tables = self._comma_list(self._table)
        source = parameters.get("withsource", parameters.get("with_source"))
        fuzzy = parameters.get("isfuzzy", "false").lower() == "true"
        return ast.Union(token.start, self._last_end(), parameters.get("kind", "outer"), source, tables, fuzzy)

    def _table(self) -> ast.Expr:
        """One table of a union: a name, a pattern, a call or a bracketed pipeline."""
        following = self._peek()
        if self._is("*") or (
            self._token.kind == "name" and following.text == "*" and following.start == self._token.end
        ):
            return self._name_pattern()
        return self._postfix(self._primary())

    def _partition(self, token: Token) -> ast.Operator:
        self._parameters()
        self._expect("by")
        key = self._partition_key()
        source: ast.Expr | None = None
        body: tuple[ast.Operator, ...] = ()
        if self._accept("{"):
            source = self._value()
            self._expect("}")
        else:
            self._expect("(")
            body = self._operators()
            self._expect(")")
        return ast.Partition(token.start, self._last_end(), key, body, source)

    def _partition_key(self) -> ast.Expr:
        """A column; the bracket behind it is the subquery's, not a call's."""
        start = self._token.start
        name = self._name()
        return ast.Name(start, self._last_end(), name)

    def _fork(self, token: Token) -> ast.Operator:
        branches: list[tuple[ast.Operator, ...]] = []
        while self._is("(") or (self._token.kind == "name" and self._peek().text == "="):
            if not self._is("("):
                self._name()
                self._expect("=")
            self._expect("(")
            branches.append(self._operators())
            self._expect(")")
        if not branches:
            self._fail("expected ( after fork")
        return ast.Fork(token.start, self._last_end(), tuple(branches))

    def _facet(self, token: Token) -> ast.Operator:
        self._expect("by")
        by = self._comma_list(self._expression)
        branch: tuple[ast.Operator, ...] = ()
        if self._accept("with"):
            self._expect("(")
            branch = self._operators()
            self._expect(")")
        return ast.Fork(token.start, self._last_end(), (branch,), by)

    def _as(self, token: Token) -> ast.Operator:
        self._parameters()
        name = self._name()
        return ast.As(token.start, self._last_end(), name)

    # Search and find

    def _search(self, token: Token) -> ast.Operator:
        exact = self._parameters(SEARCH_KINDS).get("kind") == "case_sensitive"
        tables = self._in_tables()
        predicate = self._lone_star() or self._expression()
        return ast.Search(token.start, predicate.end, tables, predicate, exact)

    def _find(self, token: Token) -> ast.Operator:
        source = self._parameters().get("withsource", "source_")
        tables = self._in_tables()
        self._accept("where")
        predicate = self._expression()
        columns: tuple[ast.Node, ...] = ()
        if self._accept("project"):
            columns = self._comma_list(self._find_column)
        elif self._token.text in ("project-smart", "project-away"):
            self._advance()
        return ast.Find(token.start, self._last_end(), tables, predicate, columns, source)

    def _find_column(self) -> ast.Expr:
        start = self._token.start
        name = self._name()
        column = ast.Name(start, self._last_end(), name)
        if self._accept(":"):
            self._type_name()
        return column

    def _in_tables(self) -> tuple[ast.Node, ...]:
        if not self._accept("in"):
            return ()
        self._expect("(", "after in")
        tables = self._comma_list(self._table)
        self._expect(")")
        return tables

    # Tables from nothing

    def _range(self, token: Token) -> ast.Operator:
        name = self._name()
        self._expect("from")
        low = self._expression()
        self._expect("to")
        high = self._expression()
        self._expect("step")
        step = self._expression()
        return ast.Range(token.start, step.end, name, low, high, step)

    def _print(self, token: Token) -> ast.Operator:
        items = self._comma_list(self._named)
        return ast.Print(token.start, self._last_end(), items)

    def _assert_schema(self, token: Token) -> ast.Operator:
        self._column_defs()
        return ast.Consume(token.start, self._last_end())
