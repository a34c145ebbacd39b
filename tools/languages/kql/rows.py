"""What flows through a pipeline: typed columns, and the names that expressions give to columns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from . import ast

UNKNOWN = "unknown"
"""Type of what could not be resolved: fits everywhere, so that one mistake is reported once."""
DYNAMIC = frozenset({"dynamic", "array", "bag"})
"""Types of nested values: of any shape, surely a list, surely a property bag."""
NUMBERS = ("int", "long", "real", "decimal")


@dataclass(frozen=True, slots=True)
class Row:
    """Columns with their types. An open row may hold more columns than are known."""

    columns: Mapping[str, str] = field(default_factory=dict)
    open: bool = False

    def with_columns(self, added: Mapping[str, str]) -> "Row":
        """The row with columns added or retyped."""
        return Row({**self.columns, **added}, self.open)

    def without(self, names: Iterable[str]) -> "Row":
        """The row without some columns."""
        dropped = set(names)
        return Row({name: kind for name, kind in self.columns.items() if name not in dropped}, self.open)


def fresh(name: str, taken: Iterable[str]) -> str:
    """A name not taken yet: the name, or the name with the first free number behind it."""
    used = set(taken)
    if name not in used:
        return name
    number = 1
    while f"{name}{number}" in used:
        number += 1
    return f"{name}{number}"


def joined(left: Row, right: Row, dropped: Iterable[str] = ()) -> Row:
    """Both sides of a join; a right column whose name is taken gets a number."""
    columns = dict(left.columns)
    skip = set(dropped)
    for name, kind in right.columns.items():
        if name not in skip:
            columns[fresh(name, columns)] = kind
    return Row(columns, left.open or right.open)


def united(rows: Iterable[Row], kind: str) -> Row:
    """The columns of a union. Columns that differ in type also appear with the type behind the name."""
    parts = list(rows)
    if kind == "inner" and not any(part.open for part in parts):
        shared = set.intersection(*(set(part.columns) for part in parts)) if parts else set()
        return Row({name: parts[0].columns[name] for name in parts[0].columns if name in shared} if parts else {})
    columns: dict[str, str] = {}
    for part in parts:
        for name, type_name in part.columns.items():
            known = columns.setdefault(name, type_name)
            if known not in (type_name, UNKNOWN) and type_name != UNKNOWN:
                columns[f"{name}_{known}"], columns[f"{name}_{type_name}"] = known, type_name
                columns[name] = UNKNOWN
    return Row(columns, any(part.open for part in parts))


_PREFIXES = {
    "make_set": "set",
    "make_set_if": "set",
    "makeset": "set",
    "make_list": "list",
    "make_list_if": "list",
    "make_list_with_nulls": "list",
    "makelist": "list",
    "make_bag": "bag",
    "make_bag_if": "bag",
    "make_dictionary": "dictionary",
    "buildschema": "schema",
    "take_any": "",
    "take_anyif": "",
}


def implied_name(node: ast.Node) -> str | None:
    """The name that an expression without one gives to its column; None when it gets a number."""
    match node:
        case ast.Name(name=name):
            return name
        case ast.Member(base=base, name=name):
            before = implied_name(base)
            return f"{before}_{name}" if before else name
        case ast.Index(base=base, index=ast.Literal(value=value)):
            before = implied_name(base)
            return f"{before}_{value}" if before else None
        case ast.Call(arguments=arguments) if arguments:
            return implied_name(arguments[0])
        case ast.Named(names=names):
            return names[0]
        case _:
            return None


def aggregate_name(call: ast.Call) -> str:
    """The column name of an aggregate without one: `count_`, `dcount_DeviceName`, `set_FileName`."""
    prefix = _PREFIXES.get(call.name, call.name)
    of = (implied_name(call.arguments[0]) if call.arguments else None) or ""
    if not prefix:
        return of
    if call.name in ("percentile", "percentilew") and len(call.arguments) > 1:
        rank = call.arguments[-1]
        return f"percentile_{of}_{rank.value}" if isinstance(rank, ast.Literal) else f"percentile_{of}"
    if call.name in ("countif", "count"):
        of = ""
    return f"{prefix}_{of}"
