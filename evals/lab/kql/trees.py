"""Making and changing nodes of KQL's tree. Nodes made here have no place in a text."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from ....tools.languages.kql import ast

T = TypeVar("T", bound=ast.Node)


def mapped(node: T, change: Callable[[ast.Node], ast.Node]) -> T:
    """The node with each node directly inside it changed; the node itself where nothing changes."""
    changes: dict[str, Any] = {}
    for name in type(node).__slots__:
        before = getattr(node, name)
        after = _changed(before, change)
        if after is not before:
            changes[name] = after
    return replace(node, **changes) if changes else node


def _changed(value: Any, change: Callable[[ast.Node], ast.Node]) -> Any:
    if isinstance(value, ast.Node):
        return change(value)
    if isinstance(value, tuple):
        items = tuple(_changed(item, change) for item in value)
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def name(text: str) -> ast.Name:
    """A column or table by its name."""
    return ast.Name(0, 0, text)


def call(function: str, *arguments: ast.Node) -> ast.Call:
    """`function(arguments)`."""
    return ast.Call(0, 0, function, arguments)


def text(value: str) -> ast.Literal:
    """A string."""
    return ast.Literal(0, 0, "string", value)


def number(value: int) -> ast.Literal:
    """A long."""
    return ast.Literal(0, 0, "long", value)


def truth(value: bool) -> ast.Literal:
    """A bool."""
    return ast.Literal(0, 0, "bool", value)


def named(column: str, value: ast.Node) -> ast.Named:
    """`column = value`."""
    return ast.Named(0, 0, (column,), value)


def binary(left: ast.Node, op: str, right: ast.Node) -> ast.Binary:
    """`left op right`."""
    return ast.Binary(0, 0, op, left, right)


def all_of(*parts: ast.Node) -> ast.Node:
    """`a and b and c`."""
    return parts[0] if len(parts) == 1 else ast.Logical(0, 0, "and", parts)


def any_of(*parts: ast.Node) -> ast.Node:
    """`a or b or c`."""
    return parts[0] if len(parts) == 1 else ast.Logical(0, 0, "or", parts)


def where(predicate: ast.Node) -> ast.Where:
    """`where predicate`."""
    return ast.Where(0, 0, predicate)


def extend(*items: ast.Node) -> ast.Extend:
    """`extend items`."""
    return ast.Extend(0, 0, items)


def project(*items: ast.Node, kind: str = "project") -> ast.Project:
    """`project items`, or one of its kin."""
    return ast.Project(0, 0, kind, items)


def columns(names: Iterable[str]) -> tuple[ast.Name, ...]:
    """Columns by their names."""
    return tuple(name(item) for item in names)


def unnamed(item: ast.Node) -> ast.Node:
    """The value of `name = value`, or the item itself."""
    return item.value if isinstance(item, ast.Named) else item
