"""Calls of aggregates, written as calls that run."""

from collections.abc import Mapping

from ....tools.languages.kql import ast
from ....tools.languages.kql.rows import DYNAMIC
from . import sql_functions, trees
from .conversions import ALIASES, Arguments, Kinds, fitted, lab, to_string
from .shapes import signature_of

_AS_TEXT = frozenset({"timespan", "guid", "string"})
_COUNTING = frozenset({"dcount", "dcountif", "count_distinct", "count_distinctif"})
"""Aggregates that count the empty text as a value, as Kusto does: a string is never null."""
_COLLECTING: Mapping[str, tuple[str, bool]] = {
    "make_set": ("set_of", False),
    "make_set_if": ("set_of_if", True),
    "make_list": ("list", False),
    "make_list_if": ("list_if", True),
    "make_list_with_nulls": ("list_with_nulls", False),
    "make_bag": ("bag", False),
    "make_bag_if": ("bag_if", True),
}


def adapted_aggregate(call: ast.Call, kinds: Kinds) -> ast.Node:
    """An aggregate whose arguments were adapted."""
    name = ALIASES.get(call.name, call.name)
    if name in _COLLECTING:
        return _collected(name, call.arguments, kinds)
    signature = signature_of(name)
    arguments = fitted(call.arguments, kinds, signature) if signature else call.arguments
    if name in ("min", "max", "minif", "maxif") and kinds and kinds[0] in DYNAMIC:
        arguments = (to_string(call.arguments[0], kinds[0]), *arguments[1:])
    if name in ("sum", "avg", "sumif", "avgif") and kinds and kinds[0] in DYNAMIC:
        arguments = (lab("number", call.arguments[0]), *arguments[1:])
    if name in _COUNTING and kinds and kinds[0] == "string":
        arguments = (to_string(arguments[0], "string"), *arguments[1:])
    over = {"timespan": "span", "datetime": "moment"}.get(kinds[0] if kinds else "")
    if over and name in ("avg", "avgif", "sum", "sumif"):
        return lab(f"{name.removesuffix('if')}_{over}{'_if' if name.endswith('if') else ''}", *arguments)
    if name == "percentiles_array":
        return trees.call("pack_array", *(trees.call("percentile", arguments[0], rank) for rank in _ranks(arguments)))
    if name in _OWN_AGGREGATES:
        return lab(name, *arguments)
    return trees.call(name, *arguments)


_OWN_AGGREGATES = frozenset(
    (
        *("take_anyif", "maxif", "minif", "count_distinct", "count_distinctif", "percentileif"),
        *("stdevp", "stdevpif", "variancep", "variancepif"),
        *("covariance", "covarianceif", "covariancep", "covariancepif"),
        *("binary_all_and", "binary_all_or", "binary_all_xor"),
    )
)


def _ranks(arguments: Arguments) -> tuple[ast.Node, ...]:
    """The percentages of percentiles_array(), which may be given as one list."""
    first = arguments[1]
    if isinstance(first, ast.DynamicLiteral) and isinstance(first.value, tuple):
        return tuple(ast.Literal(0, 0, "real", float(rank)) for rank in first.value)
    return arguments[1:]


def _collected(name: str, arguments: Arguments, kinds: Kinds) -> ast.Node:
    own, conditional = _COLLECTING[name]
    value, *rest = arguments
    if kinds[0] == "datetime":
        value = lab("moment", value)
    elif kinds[0] in _AS_TEXT and name != "make_list_with_nulls":
        value = to_string(value, kinds[0])
    needed = 1 + conditional
    if own.startswith(("set", "list")) and name != "make_list_with_nulls" and len(arguments) == needed:
        rest = [*rest, trees.number(sql_functions.NO_LIMIT)]
    elif own.startswith("bag"):
        rest = rest[:conditional]
    return lab(own, value, *rest)
