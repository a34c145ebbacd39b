"""What a name of a query stands for, and the names that Kusto gives to columns without one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ....tools.languages.kql import ast, naming
from ....tools.languages.kql.rows import Row
from ....tools.languages.kql.scopes import Names
from .conversions import ALIASES


@dataclass(frozen=True, slots=True)
class Constant:
    """A scalar: the expression that takes the name's place, and its type."""

    node: ast.Node
    kind: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table that stands in the text under a name of the lab's."""

    name: str
    row: Row


@dataclass(frozen=True, slots=True)
class Closure:
    """A function and the names that its body sees."""

    declaration: ast.Function
    scope: "Scope"


Meaning = Constant | Table | Closure


Scope = Names[Meaning]


def output_name(node: ast.Node) -> str | None:
    """The name of an expression's column; None where Kusto numbers it."""
    return naming.implied_name(_modern(node))


def name_of_aggregate(call: ast.Call) -> str:
    """The column name of an aggregate without one."""
    modern = _modern(call)
    return (naming.aggregate_name(modern) if isinstance(modern, ast.Call) else None) or "Column1"


def _modern(node: ast.Node) -> ast.Node:
    """The expression with old names of functions replaced, where they name their column alike."""
    if isinstance(node, ast.Call) and node.name in ALIASES and node.name not in ("argmax", "argmin"):
        return ast.Call(node.start, node.end, ALIASES[node.name], node.arguments)
    return node


class Namer:
    """The names of one operator's columns, from left to right: a name that is taken gets the first free number."""

    def __init__(self, items: Sequence[ast.Node], skip: Iterable[str] = ()) -> None:
        self._declared = {name for item in items if isinstance(item, ast.Named) for name in item.names}
        self._declared |= {item.name for item in items if isinstance(item, ast.Name)}
        self._skip, self._taken, self._numbered = set(skip), set[str](), 0

    def names(self, item: ast.Node) -> tuple[str, ...]:
        """The names of an item as it is written."""
        if isinstance(item, ast.Named):
            return tuple(self.take(name) for name in item.names)
        return (self.take(output_name(item) or self._number()),)

    def take(self, base: str) -> str:
        """A free name like this one."""
        name, number = base, 0
        while name in self._taken or (number and name in self._declared):
            number += 1
            name = f"{base}{number}"
        self._taken.add(name)
        return name

    def _number(self) -> str:
        self._numbered += 1
        while f"Column{self._numbered}" in self._skip:
            self._numbered += 1
        return f"Column{self._numbered}"
