"""Follow-ups that leave words out: said again in full, from the questions before them.

`same for PC-7`, `and on the other host`, `I meant ann`, `only since 14:00`, `and before that?` say what changes and
leave the rest to the question before. The words are data (`references.yaml`). Pure.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..knowledge.errors import UsageError
from ..knowledge.tokens import tokens
from ..tools.evidence.records import Answer
from ..tools.languages.entities import Entities, find_entities
from ..tools.languages.search import Window
from ..tools.languages.window import parse_window
from .matching import essence
from .references import refers, resolved, rules

KINDS = ("host", "user", "ip", "domain", "email", "file", "process", "cve", "app", "alert")
"""Entities that a follow-up may put in the place of others."""


@dataclass(frozen=True)
class Question:
    """A question in full."""

    text: str
    window: Window | None = None
    """The window that a follow-up gives it; None: the text's own, or the case's."""


def in_full(said: str, earlier: Sequence[str], last: Answer | None, window: Window | None, now: datetime) -> Question:
    """What is asked, with everything that the words leave to earlier questions.

    Args:
        said: The analyst's words.
        earlier: Earlier questions of the case as they were said, oldest first.
        last: The case's last answer.
        window: The case's window.
        now: The moment of the question.
    """
    whole = ""
    for number, text in enumerate((*earlier, said)):
        if not (whole and leaves_out(text, now)):
            whole = text
            continue
        new = _new_names(text, whole, (*earlier, said)[:number], last)
        # The case keeps the window of the last answer; before there is one, the question's own words hold it.
        keeps_time = window is None and _without_time(text, now) == text and _relative(text) is None
        whole = _with_names(whole if keeps_time else _without_time(whole, now), new)
    return Question(said) if whole == said else Question(whole, _new_window(said, last, window, now))


def leaves_out(said: str, now: datetime) -> bool:
    """Whether the words only say what changes: a name or a time, and nothing that a hunt could answer."""
    rest = _without_time(said, now)
    changes = rest != said or bool(_named(find_entities(said))) or refers(said) or _relative(said) is not None
    left = essence(rest)
    for pattern in (*rules().again.leads, *rules().again.before, *rules().again.since):
        left = re.sub(pattern, " ", left, flags=re.IGNORECASE)
    for kind in KINDS:
        for value in find_entities(rest).values(kind):
            left = left.replace(value, " ")
    return changes and not tokens(left)


def _named(entities: Entities) -> Mapping[str, tuple[str, ...]]:
    return {kind: values for kind in KINDS if (values := entities.values(kind))}


def _new_names(said: str, whole: str, before: Sequence[str], last: Answer | None) -> Mapping[str, tuple[str, ...]]:
    """What the words put in the place of something: what they name, else what they point at."""
    entities = find_entities(said)
    return _named(entities) or resolved(said, entities, [*before[:-1], whole] if before else [whole], last)


def _with_names(whole: str, new: Mapping[str, tuple[str, ...]]) -> str:
    """The question with new names in the place of those of the same kind, of a role, or at its end."""
    for kind, values in new.items():
        entities = find_entities(whole)
        name = " and ".join(values)
        spans = [(mention.start, mention.end) for mention in entities.mentions if mention.kind == kind]
        text = entities.text
        if not spans:
            spans = _unnamed(kind, text)
        if not spans:
            whole = f"{text.rstrip(' ?.!')}, {name}"
            continue
        for place, (start, end) in reversed(list(enumerate(spans))):
            text = text[:start] + (name if place == 0 else "") + text[end:]
        whole = text
    return whole


def _unnamed(kind: str, text: str) -> list[tuple[int, int]]:
    """Where the question speaks of a role or of a family of hosts instead of a name."""
    patterns = [pattern for role in rules().roles for pattern in role.patterns] if kind in ("user", "email") else []
    patterns += rules().families if kind == "host" else []
    found = (re.search(pattern, text, 0 if kind == "host" else re.IGNORECASE) for pattern in patterns)
    return [match.span() for match in found if match][:1]


def _without_time(text: str, now: datetime) -> str:
    try:
        parsed = parse_window(text, now)
    except UsageError:
        return text
    return text if parsed.used_default else " ".join(parsed.rest.split())


def _relative(said: str) -> str | None:
    """`before` or `since`, where the words speak of the time before or after what was told."""
    again = rules().again
    for name, patterns in (("before", again.before), ("since", again.since)):
        if any(re.search(pattern, said, re.IGNORECASE) for pattern in patterns):
            return name
    return None


def _new_window(said: str, last: Answer | None, window: Window | None, now: datetime) -> Window | None:
    """The window that the words give: stated, or told by what came before.

    Raises:
        UsageError: it lies in the future or is not understood.
    """
    relative = _relative(said)
    if relative and window is not None:
        if relative == "before":
            return Window(start=window.start - (window.end - window.start), end=window.start, phrase="before that")
        told = [entry.time for entry in last.timeline if entry.verdict != "benign"] if last else []
        start = min(told, default=window.start)
        return Window(start=start, end=now, phrase="since then") if start < now else None
    parsed = parse_window(said, now)
    return None if parsed.used_default else parsed.window
