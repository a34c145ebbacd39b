"""The names that expressions without one give to their columns."""

from . import ast
from .functions import library


def implied_name(node: ast.Node) -> str | None:
    """The name that an expression gives to its column; None when it gets a number."""
    match node:
        case ast.Name(name=name):
            return name
        case ast.Member(base=base, name=name):
            before = implied_name(base)
            return f"{before}_{name}" if before else name
        case ast.Index(base=base, index=index):
            before = implied_name(base)
            part = str(index.value) if isinstance(index, ast.Literal) else ""
            return f"{before}_{part}" if before else part or None
        case ast.Call():
            return _of_call(node)
        case ast.Named(names=names):
            return names[0]
        case _:
            return None


def is_guess(node: ast.Node) -> bool:
    """Whether an expression has its implied name only where such a column is there."""
    return isinstance(node, ast.Call) and node.name in ("column_ifexists", "columnifexists")


def is_own_column(node: ast.Node) -> str | None:
    """The column that an expression stands for when its type stays: `Name`, `tostring(Name)`."""
    if isinstance(node, ast.Name):
        return node.name
    if isinstance(node, ast.Call) and node.arguments and _converts(node.name):
        return is_own_column(node.arguments[0])
    return None


def _converts(name: str) -> bool:
    return name.startswith("to") and name in library().names.first


def _of_call(call: ast.Call) -> str | None:
    names = library().names
    first = implied_name(call.arguments[0]) if call.arguments else None
    if call.name in library().aggregate:
        return aggregate_name(call)
    if call.name in names.first or (call.name in names.only and len(call.arguments) == 1):
        return first
    if call.name in names.constant:
        return names.constant[call.name]
    if is_guess(call) and call.arguments and isinstance(call.arguments[0], ast.Literal):
        return str(call.arguments[0].value)
    if call.name in names.own or (call.name in names.prefix and call.arguments):
        return f"{names.prefix.get(call.name, call.name)}_{first or ''}"
    return None


def aggregate_name(call: ast.Call) -> str | None:
    """The column name of an aggregate: `count_`, `dcount_DeviceName`, `set_FileName`."""
    first = (implied_name(call.arguments[0]) if call.arguments else None) or ""
    match call.name:
        case "take_anyif" | "take_any" | "arg_max" | "arg_min" | "binary_all_or" | "binary_all_and" | "binary_all_xor":
            return first or None
        case "percentile" | "percentiles" if len(call.arguments) > 1:
            return percentile_name(first, call.arguments[1])
        case "percentilew" | "percentilesw" if len(call.arguments) > 2:
            return percentile_name(first, call.arguments[2])
        case "percentiles_array" | "percentilesw_array":
            return f"percentiles_{first}"
        case "argmax" | "argmin":
            return f"{call.name[3:]}_{first}"
    return f"{library().names.prefix.get(call.name, call.name)}_{first}"


def percentile_name(column: str, rank: ast.Node) -> str:
    """`percentile_Duration_99_9`."""
    value = str(rank.value).replace(".", "_") if isinstance(rank, ast.Literal) else ""
    return f"percentile_{column}_{value}"
