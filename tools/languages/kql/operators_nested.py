"""Operators that open nested values and texts, series, plugins and charts."""

from collections.abc import Mapping

from ..syntax import did_you_mean
from . import ast
from .lexer import Token
from .operators_tables import TableParser
from .words import BAG_KINDS, CHARTS, PARSE_KINDS


class NestedParser(TableParser):
    """Reads `mv-expand`, `parse`, `make-series`, `scan`, `evaluate` and their kin."""

    def _mv_expand(self, token: Token) -> ast.Operator:
        parameters = self._parameters(BAG_KINDS)
        items = self._comma_list(self._expand)
        limit = self._expression() if self._accept("limit") else None
        index, bags = parameters.get("with_itemindex"), _bags(parameters)
        return ast.MvExpand(token.start, self._last_end(), _expands(items), index, limit, bags=bags)

    def _expand(self) -> ast.Expr:
        value = self._named()
        kind = None
        if self._accept("to"):
            self._expect("typeof")
            self._expect("(")
            kind = self._type_name()
            self._expect(")")
        return ast.Expand(value.start, self._last_end(), value, kind)

    def _mv_apply(self, token: Token) -> ast.Operator:
        parameters = self._parameters()
        items = self._comma_list(self._expand)
        limit = self._expression() if self._accept("limit") else None
        self._expect("on", "before the subquery of mv-apply")
        self._expect("(")
        body = self._operators()
        self._expect(")", "to close the subquery")
        index, bags = parameters.get("with_itemindex"), _bags(parameters)
        return ast.MvExpand(token.start, self._last_end(), _expands(items), index, limit, body, bags)

    # Series

    def _make_series(self, token: Token) -> ast.Operator:
        kind = self._parameters().get("kind", "")
        series = [self._series()]
        while self._accept(","):
            series.append(self._series())
        self._expect("on", "before the axis of make-series")
        axis = self._axis()
        bounds: list[ast.Node] = []
        words: list[str] = []
        if self._accept("in"):
            if not self._is("range"):
                self._fail("expected range after in")
            bounds.append(self._primary())
            words.append("in")
        else:
            for word in ("from", "to", "step"):
                if word == "step":
                    self._expect("step", "in make-series")
                elif not self._accept(word):
                    continue
                bounds.append(self._expression())
                words.append(word)
        by = self._comma_list(self._named) if self._accept("by") else ()
        aggregates, defaults = tuple(value for value, _ in series), tuple(default for _, default in series)
        end = self._last_end()
        return ast.MakeSeries(token.start, end, aggregates, axis, tuple(bounds), by, tuple(words), defaults, kind)

    def _axis(self) -> ast.Expr:
        """A column or a call, never an `in`: that word starts the bounds."""
        start = self._token.start
        if not self._names_follow():
            return self._operand()
        name = self._name()
        self._expect("=")
        value = self._operand()
        return ast.Named(start, value.end, (name,), value)

    def _series(self) -> tuple[ast.Expr, ast.Expr | None]:
        value = self._named()
        if not self._accept("default"):
            return value, None
        self._expect("=")
        return value, self._expression()

    # Texts

    def _parse(self, token: Token) -> ast.Operator:
        parameters = tuple(self._parameters(PARSE_KINDS).items())
        source = self._expression()
        self._expect("with", "after the text to parse")
        pattern: list[ast.Literal | ast.Star | ast.ColumnDef] = []
        while not (self._token.kind == "end" or (self._token.kind == "op" and self._token.text in ("|", ";", ")"))):
            if self._token.kind == "string":
                pattern.append(self._string())
            elif self._is("*"):
                star = self._advance()
                pattern.append(ast.Star(star.start, star.end))
            else:
                pattern.append(self._column_def())
        if not pattern:
            self._fail("expected a pattern after with")
        return ast.Parse(token.start, self._last_end(), token.text, parameters, source, tuple(pattern))

    def _parse_kv(self, token: Token) -> ast.Operator:
        source = self._expression()
        self._expect("as", "after the text to parse")
        columns = self._column_defs()
        properties = self._properties()
        return ast.ParseKv(token.start, self._last_end(), source, columns, properties)

    def _reduce(self, token: Token) -> ast.Operator:
        self._expect("by")
        key = self._expression()
        properties: list[tuple[str, ast.Expr]] = []
        while self._token.kind == "name" and self._token.text in ("with", "threshold", "characters", "kind"):
            name = self._advance().text
            if self._accept("="):
                properties.append((name, self._primary()))
            self._accept(",")
        return ast.Reduce(token.start, self._last_end(), key, tuple(properties))

    # Steps

    def _scan(self, token: Token) -> ast.Operator:
        match_id = self._parameters().get("with_match_id")
        by: tuple[ast.Node, ...] = ()
        while self._accept("order") or self._accept("partition"):
            self._expect("by")
            by += self._comma_list(self._ordered)
        columns = self._column_defs(defaults=True) if self._accept("declare") else ()
        self._expect("with", "before the steps of scan")
        self._expect("(", "before the steps of scan")
        steps: list[ast.ScanStep] = []
        while not steps or not self._is(")"):
            steps.append(self._scan_step())
            self._expect(";", "behind the step of scan")
        self._advance()
        return ast.Scan(token.start, self._last_end(), columns, tuple(steps), match_id, by)

    def _scan_step(self) -> ast.ScanStep:
        start = self._expect("step", "in scan").start
        name = self._name()
        self._accept("optional")
        if self._accept("output"):
            self._expect("=")
            self._advance()
        self._expect(":", f"and a condition after step {name}")
        condition = self._expression()
        assignments: tuple[ast.Node, ...] = ()
        if self._accept("=>"):
            assignments = self._comma_list(self._named)
        return ast.ScanStep(start, self._last_end(), name, condition, assignments)

    # Plugins, functions and charts

    def _evaluate(self, token: Token) -> ast.Operator:
        self._parameters()
        name = self._token
        if name.kind != "name" or self._peek().text != "(":
            self._fail("expected a plugin such as bag_unpack(...)")
        call = self._call(self._advance())
        columns = self._column_defs() if self._accept(":") else None
        return ast.Evaluate(token.start, self._last_end(), call, columns)

    def _invoke(self, token: Token) -> ast.Operator:
        name = self._token
        if name.kind != "name" or self._peek().text != "(":
            self._fail("expected a function such as FileProfile(...)")
        call = self._call(self._advance())
        return ast.Invoke(token.start, call.end, call)

    def _render(self, token: Token) -> ast.Operator:
        chart = self._token
        if chart.text not in CHARTS:
            self._fail("expected a chart such as timechart", hint=did_you_mean(chart.text, CHARTS))
        self._advance()
        properties: list[tuple[str, ast.Expr]] = []
        while self._token.kind == "name" and self._peek().text == "=":
            name = self._advance().text
            self._advance()
            properties += [(name, value) for value in self._comma_list(self._primary)]
        properties += self._properties()
        return ast.Render(token.start, self._last_end(), chart.text, tuple(properties))


def _expands(items: tuple[ast.Node, ...]) -> tuple[ast.Expand, ...]:
    return tuple(item for item in items if isinstance(item, ast.Expand))


def _bags(parameters: Mapping[str, str]) -> str:
    return parameters.get("bagexpansion", parameters.get("kind", "bag"))
