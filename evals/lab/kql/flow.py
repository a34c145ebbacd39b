"""A pipeline while it is being rewritten."""

from dataclasses import dataclass, field

from ....tools.languages.kql import ast
from ....tools.languages.kql.rows import Row


@dataclass(slots=True)
class Flow:
    """The source, the operators written so far, and the row behind them.

    `per` is the column that tells subtables apart, in the subquery of `mv-apply` or `partition`: what groups, counts or
    cuts rows does so for each of its values.
    """

    source: ast.Node
    row: Row
    operators: list[ast.Operator] = field(default_factory=list)
    per: str | None = None

    def add(self, operator: ast.Operator, row: Row | None = None) -> None:
        """Put an operator behind the pipeline; without a row, it leaves the columns as they are."""
        self.operators.append(operator)
        if row is not None:
            self.row = row

    def restart(self, source: ast.Node, row: Row) -> None:
        """Go on from a table that holds the rows so far."""
        self.source, self.row, self.operators = source, row, []

    @property
    def node(self) -> ast.Node:
        """The pipeline."""
        return ast.Pipeline(0, 0, self.source, tuple(self.operators)) if self.operators else self.source
