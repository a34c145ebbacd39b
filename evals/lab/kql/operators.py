"""Which writer an operator has."""

from collections.abc import Callable, Mapping

from ....tools.languages.kql import ast
from .faults import UnrunnableError
from .flow import Flow
from .names import Scope
from .stages import Stages

_WORDS: Mapping[type[ast.Node], str] = {
    ast.Fork: "fork",
    ast.Scan: "scan",
    ast.Reduce: "reduce",
    ast.Find: "find behind a pipe",
}


class Operators(Stages):
    """Operators by the type of their node."""

    def step(self, flow: Flow, operator: ast.Operator, scope: Scope) -> None:
        """Write an operator behind a pipeline."""
        write = self._writers.get(type(operator))
        if write is None:
            facet = isinstance(operator, ast.Fork) and operator.by
            raise UnrunnableError("facet" if facet else _WORDS.get(type(operator), type(operator).__name__.lower()))
        write(self, flow, operator, scope)

    def head(self, operator: ast.Operator, scope: Scope) -> Flow:
        """The start of a pipeline that begins with an operator."""
        match operator:
            case ast.Union():
                return self._union_head(operator, scope)
            case ast.Search():
                return self._search_head(operator, scope)
            case ast.Find():
                return self._find_head(operator, scope)
            case ast.Range():
                return self._range(operator, scope)
            case ast.Print():
                return self._print(operator, scope)
            case _:
                raise UnrunnableError(f"a query that begins with {type(operator).__name__.lower()}")

    def _invoke(self, flow: Flow, node: ast.Invoke, scope: Scope) -> None:
        """A function of the query whose first argument is the table before it."""
        if flow.per:
            raise UnrunnableError("invoke in a subquery")
        piped = self.hoisted("invoked", flow.node, flow.row)
        inner = Scope(scope, {"piped table": piped})
        call = ast.Call(0, 0, node.call.name, (ast.Name(0, 0, "piped table"), *node.call.arguments))
        source, row = self.table(call, inner)
        flow.restart(source, row)
        if isinstance(source, ast.Pipeline):
            flow.source, flow.operators = source.source, list(source.operators)

    _writers: Mapping[type[ast.Node], Callable[..., None]] = {
        ast.Where: Stages._where,
        ast.Project: Stages._project,
        ast.Extend: Stages._extend,
        ast.Distinct: Stages._distinct,
        ast.Summarize: Stages._summarize,
        ast.Sort: Stages._sort,
        ast.Top: Stages._top,
        ast.TopNested: Stages._top_nested,
        ast.TopHitters: Stages._top_hitters,
        ast.Take: Stages._take,
        ast.SampleDistinct: Stages._sample_distinct,
        ast.Count: Stages._count,
        ast.Join: Stages._join,
        ast.Union: Stages._union,
        ast.Partition: Stages._partition,
        ast.MvExpand: Stages._mv_expand,
        ast.MakeSeries: Stages._make_series,
        ast.Parse: Stages._parse,
        ast.ParseKv: Stages._parse_kv,
        ast.Evaluate: Stages._evaluate,
        ast.Invoke: _invoke,
        ast.Render: Stages._unchanged,
        ast.Consume: Stages._unchanged,
        ast.GetSchema: Stages._get_schema,
        ast.As: Stages._as,
        ast.Search: Stages._search,
    }
