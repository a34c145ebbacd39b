"""Which fields a stage of a piped query can read: those of the event, until a stage leaves nothing but its own."""

from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from .query import Diagnostic
from .syntax import did_you_mean

_SHOWN = 12


@dataclass(slots=True)
class FieldsHere:
    """Follows the fields through the stages. `of_events` are the names that events are known to have."""

    of_events: Set[str]
    whole: bool = True
    """Whether the whole event is still there."""
    made: set[str] = field(default_factory=set)
    """Fields that stages made, and those they left when the event is gone."""
    dropped: set[str] = field(default_factory=set)

    @property
    def known(self) -> set[str]:
        """Every name that can be read here, as far as it is known."""
        return self.made | (self.of_events - self.dropped if self.whole else set())

    def add(self, *names: str) -> None:
        """A stage makes fields beside what is there."""
        self.made.update(names)
        self.dropped.difference_update(names)

    def leave(self, *names: str) -> None:
        """A stage leaves these fields and no others."""
        self.whole, self.made, self.dropped = False, set(names), set()

    def drop(self, names: Iterable[str]) -> None:
        """A stage takes fields away."""
        gone = set(names)
        self.made -= gone
        self.dropped |= gone

    def from_event(self, name: str) -> bool:
        """Whether a name, where it can be read, stands for a field of the event itself."""
        return self.whole and name not in self.made

    def gone(self, name: str, start: int, end: int) -> Diagnostic | None:
        """The finding on a field that no stage before has left; None when it can be read."""
        if name in self.made or (self.whole and name not in self.dropped):
            return None
        here = self.known
        hint = did_you_mean(name, here) or "fields here: " + ", ".join(sorted(here)[:_SHOWN])
        return Diagnostic("unknown_column", "error", f"no stage before has left {name}", start, end, hint)
