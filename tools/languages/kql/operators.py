"""Tabular operators: one method an operator, found by its word."""

from collections.abc import Callable, Mapping
from typing import ClassVar

from ..syntax import did_you_mean
from . import ast
from .expressions import NOT_A_NAME, ExpressionParser
from .lexer import Token

_AFTER_A_NAME = frozenset({")", ",", ";", "|", ".", "==", "!=", "=~", "!~", "<", ">", "<=", ">=", "=", "[", ".."})
_PARAMETER_NAMES = """
    kind flags isfuzzy withsource with_source bagexpansion with_itemindex hint threshold characters with_match_id
    decodeblocks expandoutput datascope id access with_node_id cycles
"""
_PARAMETERS = frozenset(_PARAMETER_NAMES.split())
LEFT_ONLY = frozenset({"leftanti", "anti", "leftantisemi", "leftsemi"})
"""Kinds of join that yield rows of the left side alone."""
RIGHT_ONLY = frozenset({"rightanti", "rightantisemi", "rightsemi"})
LOOKUP_KINDS = frozenset({"inner", "leftouter"})
JOIN_KINDS = LEFT_ONLY | RIGHT_ONLY | LOOKUP_KINDS | {"innerunique", "rightouter", "fullouter"}
_KIND_MEANT = {"left": "leftouter", "right": "rightouter", "full": "fullouter", "outer": "fullouter", "cross": "inner"}
_UNION_KINDS, _BAG_KINDS = frozenset({"inner", "outer"}), frozenset({"bag", "array"})
_PARSE_KINDS = frozenset({"simple", "regex", "relaxed"})
_SEARCH_KINDS = frozenset({"default", "case_insensitive", "case_sensitive"})
_CHART_NAMES = """
    3Dchart anomalychart areachart barchart card columnchart graph ladderchart linechart list piechart pivotchart plotly
    sankey scatterchart stackedareachart table timechart timeline timepivot treemap
"""
_CHARTS = frozenset(_CHART_NAMES.split())


class OperatorParser(ExpressionParser):
    """Reads pipelines."""

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
            if head and not (following.text in _AFTER_A_NAME and following.kind == "op") and following.kind != "end":
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
        while self._token.kind == "name" and self._token.text in _PARAMETERS:
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
                meant = _KIND_MEANT.get(value.text)
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
        if self._accept("asc") or self._accept("desc") or self._accept("granny-asc") or self._accept("granny-desc"):
            return pattern
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
        parameters = self._parameters(_UNION_KINDS)
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

    # Nested values

    def _mv_expand(self, token: Token) -> ast.Operator:
        parameters = self._parameters(_BAG_KINDS)
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

    def _make_series(self, token: Token) -> ast.Operator:
        self._parameters()
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
        return ast.MakeSeries(token.start, end, aggregates, axis, tuple(bounds), by, tuple(words), defaults)

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

    def _parse(self, token: Token) -> ast.Operator:
        parameters = tuple(self._parameters(_PARSE_KINDS).items())
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

    # Plugins, functions and the rest

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
        if chart.text not in _CHARTS:
            self._fail("expected a chart such as timechart", hint=did_you_mean(chart.text, _CHARTS))
        self._advance()
        properties: list[tuple[str, ast.Expr]] = []
        while self._token.kind == "name" and self._peek().text == "=":
            name = self._advance().text
            self._advance()
            properties += [(name, value) for value in self._comma_list(self._primary)]
        properties += self._properties()
        return ast.Render(token.start, self._last_end(), chart.text, tuple(properties))

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

    def _getschema(self, token: Token) -> ast.Operator:
        return ast.GetSchema(token.start, token.end)

    def _as(self, token: Token) -> ast.Operator:
        self._parameters()
        name = self._name()
        return ast.As(token.start, self._last_end(), name)

    def _consume(self, token: Token) -> ast.Operator:
        self._parameters()
        return ast.Consume(token.start, token.end)

    def _search(self, token: Token) -> ast.Operator:
        exact = self._parameters(_SEARCH_KINDS).get("kind") == "case_sensitive"
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

    # Tables written in the text

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

    def _assert_schema(self, token: Token) -> ast.Operator:
        self._column_defs()
        return ast.Consume(token.start, self._last_end())

    _Reader = Callable[["OperatorParser", Token], ast.Operator]

    _readers: ClassVar[dict[str, _Reader]] = {
        "where": _where,
        "filter": _where,
        "project": _project,
        "project-away": _project,
        "project-keep": _project,
        "project-rename": _project,
        "project-reorder": _project,
        "extend": _extend,
        "serialize": _serialize,
        "distinct": _distinct,
        "summarize": _summarize,
        "sort": _sort,
        "order": _sort,
        "top": _top,
        "top-nested": _top_nested,
        "top-hitters": _top_hitters,
        "take": _take,
        "limit": _take,
        "sample": _take,
        "sample-distinct": _sample_distinct,
        "count": _count,
        "join": _join,
        "lookup": _join,
        "union": _union,
        "partition": _partition,
        "fork": _fork,
        "facet": _facet,
        "mv-expand": _mv_expand,
        "mvexpand": _mv_expand,
        "mv-apply": _mv_apply,
        "mvapply": _mv_apply,
        "make-series": _make_series,
        "parse": _parse,
        "parse-where": _parse,
        "parse-kv": _parse_kv,
        "evaluate": _evaluate,
        "invoke": _invoke,
        "render": _render,
        "getschema": _getschema,
        "as": _as,
        "consume": _consume,
        "assert-schema": _assert_schema,
        "search": _search,
        "find": _find,
        "reduce": _reduce,
        "scan": _scan,
    }
    _heads: ClassVar[dict[str, _Reader]] = {
        "union": _union,
        "search": _search,
        "find": _find,
        "range": _range,
        "print": _print,
        "evaluate": _evaluate,
    }


def _expands(items: tuple[ast.Node, ...]) -> tuple[ast.Expand, ...]:
    return tuple(item for item in items if isinstance(item, ast.Expand))


def _bags(parameters: Mapping[str, str]) -> str:
    return parameters.get("bagexpansion", parameters.get("kind", "bag"))
