"""What a difference between two queries comes from: the faults of a backend that no correction of ours undoes."""

import re
from collections.abc import Callable, Sequence

from .comparing import Outcome

Sign = Callable[[Outcome], bool]


def _theirs(pattern: str, *languages: str) -> Sign:
    found = re.compile(pattern)
    return lambda outcome: (
        outcome.language.startswith(languages or ("",)) and bool(found.search(outcome.corrected.query))
    )


def _inner_wildcard(outcome: Outcome) -> bool:
    """Whether our query holds the pattern of a value with a wildcard inside."""
    return "(?s:" in outcome.our_query


EXPLANATIONS: Sequence[tuple[Sign, str]] = (
    (
        _theirs(r"(?i)\bnot [^()\n]+? or "),
        "a negated value that stands for several (`windash`) is not bracketed: `not a or b`",
    ),
    (
        _theirs(r'ParentFileName startswith ""', "kql"),
        "a parent's path is cut to what follows its last backslash, which leaves an empty text",
    ),
    (
        lambda outcome: (
            "InitiatingProcessParentFileName" in outcome.corrected.query and "ours" in outcome.corrected.wrong
        ),
        "Defender keeps a parent's name alone: the backend compares the name, ours leaves the condition on its path out",
    ),
    (
        lambda outcome: "InboundConnectionAccepted" in outcome.our_query or "ConnectionSuccess" in outcome.our_query,
        "`Initiated`, the direction of a connection, is dropped",
    ),
    (
        _theirs(r'="[^"]*\*[^"]*"|= "[^"]*\*[^"]*"', "s1ql", "powerquery"),
        "a value with a wildcard inside becomes an equality with a star in it",
    ),
    (_inner_wildcard, "a value with a wildcard inside becomes several `contains`, in any order and place"),
    (
        _theirs(r"\bUser (contains|=)", "powerquery"),
        "the field `User` has no counterpart in its table and stands as it is",
    ),
)
"""The first sign that fits an outcome says why it differs."""


def explanation(outcome: Outcome) -> str:
    """Why the queries differ; empty where nobody has said so yet."""
    return next((why for sign, why in EXPLANATIONS if sign(outcome)), "")
