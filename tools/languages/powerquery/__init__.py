"""PowerQuery, the query language of SentinelOne's Singularity Data Lake: a documented subset.

A filter in the names of S1QL 2.0, then `filter`, `columns`, `let`, `group`, `sort` and `limit`, with fields, literals,
comparisons, `contains` / `in` / `matches` with `:anycase` or `:matchcase`, `field = *`, arithmetic, `a ? b : c` and
the functions of `functions.py`. `parse`, `lookup`, `join`, `union`, `transpose`, `compare`, `top`, `nolimit`,
`dataset`, `datasource`, queries inside `in (...)`, `#shortcuts` and `$"..."` are refused by name; `savelookup` is read
and refused because it writes.
"""

from .ast import (
    And,
    Anywhere,
    Arithmetic,
    Call,
    Choice,
    Columns,
    Command,
    Compare,
    Expression,
    Field,
    Filter,
    FreeText,
    Group,
    Key,
    Let,
    Limit,
    Named,
    Not,
    Operator,
    Or,
    Present,
    Query,
    SaveLookup,
    Sort,
    Test,
    Value,
    ValueKind,
)
from .check import check
from .compile import compile_search
from .parser import parse
from .printer import label, to_text
from .translation import from_s1ql

__all__ = [
    "And",
    "Anywhere",
    "Arithmetic",
    "Call",
    "Choice",
    "Columns",
    "Command",
    "Compare",
    "Expression",
    "Field",
    "Filter",
    "FreeText",
    "Group",
    "Key",
    "Let",
    "Limit",
    "Named",
    "Not",
    "Operator",
    "Or",
    "Present",
    "Query",
    "SaveLookup",
    "Sort",
    "Test",
    "Value",
    "ValueKind",
    "check",
    "compile_search",
    "from_s1ql",
    "label",
    "parse",
    "to_text",
]
