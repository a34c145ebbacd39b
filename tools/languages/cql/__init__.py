"""CQL (LogScale), the query language of Falcon's raw sensor events: a documented subset.

Conditions: `field=value` with `*` as its wildcard, `!=`, `<`, `<=`, `>`, `>=`, `field=/pattern/flags`, `/pattern/` alone,
`in()`, `cidr()`, `regex()`, `test(a == b)`, the first three of these also behind `=~`; AND (which may be left out), OR
(which is taken before AND), NOT or `!`, brackets. Named groups of a pattern that every event passes become fields.

Stages: conditions, `field := value` (a field, a text, a number, or one of `lower`, `upper`, `length`, `concat`, `replace`;
nothing is calculated), `case { condition | field := value; ... }`, `groupBy`, `bucket`, `top`, `count`, `sum`, `avg`, `min`,
`max`, `collect`, `selectLast`, `sort`, `head`, `tail`, `select`, `table`, `drop`, `rename`. Everything else is refused by
name: free text, `join`, `match`, `timeChart`, saved queries and their kind.
"""

from .ast import (
    Aggregate,
    Always,
    And,
    Assign,
    Branch,
    Bucket,
    Call,
    Case,
    Cidr,
    Compare,
    Count,
    Drop,
    Filter,
    GroupBy,
    Head,
    In,
    Node,
    Not,
    Or,
    Pipeline,
    Ref,
    Regex,
    Rename,
    Select,
    Sort,
    Stage,
    Table,
    Tail,
    Test,
    Text,
    Top,
)
from .check import check
from .compile import compile_search
from .parser import parse
from .printer import to_text

__all__ = [
    "Aggregate",
    "Always",
    "And",
    "Assign",
    "Branch",
    "Bucket",
    "Call",
    "Case",
    "Cidr",
    "Compare",
    "Count",
    "Drop",
    "Filter",
    "GroupBy",
    "Head",
    "In",
    "Node",
    "Not",
    "Or",
    "Pipeline",
    "Ref",
    "Regex",
    "Rename",
    "Select",
    "Sort",
    "Stage",
    "Table",
    "Tail",
    "Test",
    "Text",
    "Top",
    "check",
    "compile_search",
    "parse",
    "to_text",
]
