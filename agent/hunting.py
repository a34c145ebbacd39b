"""Hunts as a person asks for them: `NAME=VALUE` parameters, and the question that a case keeps."""

from collections.abc import Iterable, Mapping, Sequence

from ..knowledge.errors import UsageError
from ..tools.hunts import Hunt


def read_values(pairs: Iterable[str], where: str) -> dict[str, list[str]]:
    """Parameters by name; one that is given again has several values.

    Args:
        pairs: `NAME=VALUE`, as typed.
        where: What they were typed behind, for the message: `--set`, `/hunt`.

    Raises:
        UsageError: one of them is not written so.
    """
    given: dict[str, list[str]] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if not name or not value:
            raise UsageError(f"{where} {pair}: write NAME=VALUE")
        given.setdefault(name, []).append(value)
    return given


def question_of(hunt: Hunt, values: Mapping[str, Sequence[str]]) -> str:
    """The words of a question that runs exactly this hunt: its title, and what it is asked with."""
    shown = ", ".join(f"{name}={'|'.join(given)}" for name, given in values.items())
    return f"{hunt.title} ({hunt.id}{': ' + shown if shown else ''})"
