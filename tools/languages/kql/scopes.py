"""Names that the statements of a query declare, whatever a reader of the query takes them to stand for."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Names(Generic[T]):
    """Names declared so far; a function's body opens a scope of its own."""

    parent: "Names[T] | None" = None
    names: dict[str, T] = field(default_factory=dict)

    def find(self, name: str) -> T | None:
        """What the name stands for here; None when it is not declared."""
        scope: Names[T] | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None

    def all_names(self) -> set[str]:
        """Every name that can be seen from here."""
        return set(self.names) | (self.parent.all_names() if self.parent else set())
