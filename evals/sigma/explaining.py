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


def _uncarried(outcome: Outcome) -> bool:
    """Whether the backend asks for a field of Sysmon that the view of such events does not carry."""
    launch = re.search(r"EventCode=1\b", outcome.corrected.query) is not None
    beside = r"CommandLine|Description|OriginalFileName|ParentCommandLine|ParentImage|Product"
    fields = "CurrentDirectory|Hashes" if launch else f"CallTrace|SignatureStatus|{beside}"
    return re.search(rf"\b({fields})\b", outcome.corrected.query) is not None


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
    (
        _theirs(r"DeviceRegistryEvents", "kql"),
        "the name of a registry value is looked for in the key, where Defender does not keep it",
    ),
    (_theirs(r"\bisnull\(", "kql"), "a text without a value is asked for by `isnull`, which no text is"),
    (
        _theirs(r"(?s)SubStatus", "kql", "spl"),
        "a failed logon has two codes: ours compares the SubStatus alone",
    ),
    (
        _theirs(r"TargetImageFileName", "cql"),
        "the loading process is asked for in a field that the event does not have",
    ),
    (_theirs(r"IntegrityLevel In \(", "s1ql"), "values of a list of fixed words are compared with case"),
    (
        lambda outcome: (
            outcome.language.startswith("spl") and "ours" in outcome.corrected.wrong and _uncarried(outcome)
        ),
        "a field that no attribute carries there: ours leaves the alternative or the filter out, and says so",
    ),
    (_theirs(r"\\\*", "spl"), "a plain star behind a backslash is written so that Splunk reads a wildcard"),
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
