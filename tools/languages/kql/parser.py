"""Statements: `parse` reads a whole KQL text into a tree, by hand-written recursive descent."""

from ..syntax import QuerySyntaxError
from . import ast
from .operators import OperatorParser
from .words import NOT_A_VALUE


def parse(text: str) -> ast.Query:
    """Read a query.

    A text that starts with a dot is a control command: it is named in the tree and not read further.

    Raises:
        QuerySyntaxError: the text is no KQL, with the place of the first problem.
    """
    return _Parser(text).query()


class _Parser(OperatorParser):
    def query(self) -> ast.Query:
        if self._is("."):
            word = self._peek().text
            return ast.Query(0, self._tokens[-1].end, (), word or ".")
        statements = self._statements("")
        if self._token.kind != "end":
            self._fail("expected ; or | or the end of the query", closing=True)
        if not statements:
            raise QuerySyntaxError("the query is empty", 0, self._tokens[-1].end)
        return ast.Query(0, self._tokens[-1].end, statements)

    def _statements(self, closing: str) -> tuple[ast.Statement, ...]:
        """Statements up to the closing token, which is left for the caller."""
        statements: list[ast.Statement] = []
        while self._token.kind != "end" and not (closing and self._is(closing)):
            statements.append(self._statement())
            if not self._accept(";"):
                break
        return tuple(statements)

    def _statement(self) -> ast.Statement:
        token, following = self._token, self._peek()
        if token.kind == "name" and following.kind in ("name", "op", "keyword"):
            if token.text == "let":
                return self._let()
            if token.text == "set" and following.kind == "name":
                return self._set()
            if token.text == "declare" and following.text in ("query_parameters", "pattern"):
                return self._declare()
            if token.text in ("alias", "restrict") and following.text in ("database", "access"):
                return self._other()
        value = self._value()
        return ast.ExpressionStatement(value.start, value.end, value)

    def _let(self) -> ast.Statement:
        start = self._advance().start
        name = self._name(NOT_A_VALUE)
        self._expect("=", f"after let {name}")
        if self._is("materialize"):
            value: ast.Node = self._call(self._advance())
        else:
            value = self._function() if self._function_follows() else self._value()
        return ast.Let(start, self._last_end(), name, value)

    def _function_follows(self) -> bool:
        """Whether a bracket opens here whose end is followed by a body in braces."""
        ahead = 1 if self._token.text == "view" and self._peek().text == "(" else 0
        if self._peek(ahead).text != "(" or self._peek(ahead).kind != "op":
            return False
        depth = 0
        while True:
            token = self._peek(ahead)
            if token.kind == "end" or (token.text in (";", "|") and token.kind == "op"):
                return False
            if token.kind == "op":
                depth += (token.text == "(") - (token.text == ")")
            ahead += 1
            if depth == 0:
                return self._peek(ahead).text == "{"

    def _function(self) -> ast.Function:
        start = self._token.start
        self._accept("view")
        parameters = self._function_parameters()
        opening = self._expect("{", "before the body of the function")
        self._enter(opening)
        body = self._statements("}")
        self._leave()
        closing = self._expect("}", "to close the body of the function")
        return ast.Function(start, closing.end, parameters, body)

    def _function_parameters(self) -> tuple[ast.Parameter, ...]:
        self._expect("(")
        parameters: list[ast.Parameter] = []
        while not self._is(")"):
            parameters.append(self._parameter())
            if not self._accept(","):
                break
        self._expect(")")
        return tuple(parameters)

    def _parameter(self) -> ast.Parameter:
        start = self._token.start
        name = self._name()
        self._expect(":", f"and a type after {name}")
        if self._is("("):
            columns = self._column_defs()
            return ast.Parameter(start, self._last_end(), name, "table", columns)
        kind = self._type_name()
        default = self._operand() if self._accept("=") else None
        return ast.Parameter(start, self._last_end(), name, kind, None, default)

    def _set(self) -> ast.Statement:
        start = self._advance().start
        name = self._name()
        if self._accept("="):
            self._expression()
        return ast.SetStatement(start, self._last_end(), name)

    def _declare(self) -> ast.Statement:
        start = self._advance().start
        if self._token.text == "pattern":
            return self._skip(start, "pattern")
        self._advance()
        parameters = self._function_parameters()
        return ast.Declare(start, self._last_end(), parameters)

    def _other(self) -> ast.Statement:
        token = self._advance()
        return self._skip(token.start, token.text)

    def _skip(self, start: int, keyword: str) -> ast.Statement:
        while self._token.kind != "end" and not self._is(";"):
            self._advance()
        return ast.OtherStatement(start, self._last_end(), keyword)
