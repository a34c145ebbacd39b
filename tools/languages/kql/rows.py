"""What flows through a pipeline: types, typed columns, and how the tables of a join or a union come together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

UNKNOWN = "unknown"
"""Type of what could not be resolved: fits everywhere, so that one mistake is reported once."""
DYNAMIC = frozenset({"dynamic", "array", "bag", "primitive"})
"""Types of nested values: of any shape, surely a list, surely a property bag, surely one plain value in a nested one."""
NUMBERS = ("int", "long", "real", "decimal")


MOST_COLUMNS = 5_000
"""Columns of a row that are followed one by one; a join that makes more leaves the row open."""


class Nested(str):
    """A nested type (`array`, `bag`) with what is known of its inside; equal to the bare type."""

    element: str
    parts: Mapping[str, str]

    def __new__(cls, kind: str, element: str = "dynamic", parts: Mapping[str, str] | None = None) -> "Nested":
        """A list of elements of a type, or a bag of parts by name."""
        made = super().__new__(cls, kind)
        made.element, made.parts = element, parts or {}
        return made


def array_of(kind: str) -> Nested:
    """A list whose elements are of a type."""
    return Nested("array", inside(kind))


def bag_of(parts: Mapping[str, str]) -> Nested:
    """A property bag of which some parts are known."""
    return Nested("bag", parts={name: inside(kind) for name, kind in parts.items()})


def inside(kind: str) -> str:
    """The type that a value has once it lies in a nested one."""
    return kind if kind in DYNAMIC else "dynamic" if kind in (UNKNOWN, "any") else "primitive"


def element_of(kind: str) -> str:
    """The type of one element of a nested value."""
    if kind == "array" and isinstance(kind, Nested):
        return kind.element
    return kind if kind in ("bag", "primitive") else "dynamic"


def part_of(kind: str, name: str) -> str:
    """The type of a named part of a nested value."""
    return kind.parts.get(name, "dynamic") if isinstance(kind, Nested) and kind == "bag" else "dynamic"


def plain(kind: str) -> str:
    """The type as KQL names it: whatever is nested is `dynamic`."""
    return "dynamic" if kind in DYNAMIC else kind


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
    used = taken if isinstance(taken, dict | set) else set(taken)
    if name not in used:
        return name
    number = 1
    while f"{name}{number}" in used:
        number += 1
    return f"{name}{number}"


def joined(left: Row, right: Row, dropped: Iterable[str] = ()) -> Row:
    """Both sides of a join; a right column whose name is taken gets a number that neither side uses."""
    if len(left.columns) + len(right.columns) > MOST_COLUMNS:
        return Row(left.columns, open=True)
    columns = dict(left.columns)
    skip = set(dropped)
    used = {*left.columns, *right.columns}
    for name, kind in right.columns.items():
        if name in skip:
            continue
        free = fresh(name, used) if name in columns else name
        used.add(free)
        columns[free] = kind
    return Row(columns, left.open or right.open)


def united(rows: Iterable[Row], kind: str) -> Row:
    """The columns of a union.

    A column that differs in type between the first two tables that have it stands once for each type, with the type
    behind its name; this is how Microsoft's language service reads a union.
    """
    parts = list(rows)
    if kind == "inner" and parts and not any(part.open for part in parts):
        shared = set.intersection(*(set(part.columns) for part in parts))
        parts = [Row({name: kind for name, kind in part.columns.items() if name in shared}) for part in parts]
    found: dict[str, list[str]] = {}
    for part in parts:
        for name, type_name in part.columns.items():
            found.setdefault(name, []).append(type_name)
    columns: dict[str, str] = {}
    for name, kinds in found.items():
        if UNKNOWN in kinds or len({plain(type_name) for type_name in kinds[:2]}) == 1:
            columns[name] = kinds[0] if all(type_name == kinds[0] for type_name in kinds) else plain(kinds[0])
        else:
            columns |= {f"{name}_{plain(type_name)}": plain(type_name) for type_name in kinds}
    return Row(columns, any(part.open for part in parts))


def of_any(rows: Iterable[Row]) -> Row:
    """The columns of many tables that are read as one; the first table that has a column gives its type."""
    columns: dict[str, str] = {}
    for row in rows:
        for name, kind in row.columns.items():
            columns.setdefault(name, kind)
    return Row(columns)
