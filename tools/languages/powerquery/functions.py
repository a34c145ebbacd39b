"""Functions, aggregates and commands: which the subset has, and what to write instead of those that it has not.

Sources: LANGUAGES 4.2, and the public help of PowerQueries (Scalyr), the product that Singularity Data Lake grew from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Type = Literal["string", "number", "bool", "timestamp", "list", "any"]


@dataclass(frozen=True, slots=True)
class Function:
    """How often and with what a function is called."""

    fewest: int
    most: int
    result: Type


def _each(names: str, fewest: int, most: int, result: Type) -> dict[str, Function]:
    return {name: Function(fewest, most, result) for name in names.split()}


MANY = 20

SCALARS: Mapping[str, Function] = {
    **_each("abs ceiling floor sqrt exp ln log number len", 1, 1, "number"),
    **_each("pow", 2, 2, "number"),
    **_each("lower upper trim ltrim rtrim string", 1, 1, "string"),
    **_each("substr", 2, 3, "string"),
    **_each("format", 1, MANY, "string"),
    **_each("strftime", 1, 2, "string"),
    **_each("array_to_string", 1, 2, "string"),
    **_each("timebucket", 1, 2, "timestamp"),
    **_each("isempty isblank", 1, 1, "bool"),
}
"""Functions of one row."""

AGGREGATES: Mapping[str, Function] = {
    **_each("count", 0, 1, "number"),
    **_each("sum avg mean median stddev p10 p50 p90 p95 p99 p999 estimate_distinct", 1, 1, "number"),
    **_each("pct", 2, 2, "number"),
    **_each("min max any newest oldest", 1, 1, "any"),
    **_each("min_by max_by", 2, 2, "any"),
    **_each("array_agg array_agg_distinct", 1, 2, "list"),
}
"""Functions of a group's rows; `count` may be given a condition."""

INSTEAD: Mapping[str, str] = {
    "coalesce": "write a ? a : b",
    "ifnull": "write a ? a : b",
    "if": "write condition ? a : b, and count(condition) in a group",
    "case": "write condition ? a : b",
    "percentile": "write p95(x) or pct(95, x)",
    "count_distinct": "write estimate_distinct(x)",
    "dcount": "write estimate_distinct(x)",
    "first": "write oldest(x)",
    "last": "write newest(x)",
    "strlen": "write len(x)",
    "length": "write len(x)",
    "tolower": "write lower(x)",
    "toupper": "write upper(x)",
    "bin": "write timebucket(time, '1 hour')",
    "date_trunc": "write timebucket(time, '1 hour')",
    "formattime": "write strftime(time, '%Y-%m-%d')",
    "concat": "write format('%s %s', a, b)",
    "startswith": "write field matches '^text'",
    "endswith": "write field matches 'text$'",
}
"""Names that come from other languages."""

COMMANDS = ("filter", "columns", "let", "group", "sort", "limit")

NOT_SUPPORTED = frozenset(
    {
        "parse", "lookup", "join", "inner", "left", "outer", "sql", "union", "transpose", "compare", "top", "nolimit",
        "dataset", "datasource",
    }
)  # fmt: skip
"""Commands of PowerQuery outside this subset."""

COMMAND_INSTEAD: Mapping[str, str] = {
    "where": "filter",
    "search": "filter",
    "select": "columns",
    "project": "columns",
    "fields": "columns",
    "table": "columns",
    "extend": "let",
    "eval": "let",
    "stats": "group",
    "summarize": "group",
    "groupby": "group",
    "order": "sort",
    "head": "limit",
    "take": "limit",
}
"""Commands that come from other languages."""
