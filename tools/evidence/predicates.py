"""The closed list of what may be said of events, as templates: they write a sentence, and they read one back.

`predicates.yaml` holds the list. A template writes a sentence from the values of a group's events, and as a pattern it
accepts exactly the sentences that the cited events support: the right attribute in the right place, so that a swapped
parent and child, source and destination, or a changed outcome does not pass.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from ...knowledge.errors import ContentError
from ...knowledge.loading import parsed
from ..languages.vocabulary import ATTRIBUTES, EventClass
from .event import Event
from .merge import Group
from .safe import code_safe, safe, shorten

INLINE, CODE = 120, 300
"""Longest value in running text and as code, in characters; what is longer is cut in its middle."""

_SPECIAL = frozenset({"host", "platform"})
_NOUNS = (
    ("user", "accounts"),
    ("host", "hosts"),
    ("hostname", "hosts"),
    ("ip", "addresses"),
    ("port", "ports"),
    ("path", "files"),
    ("file", "files"),
    ("service", "services"),
    ("process", "programs"),
    ("email.to", "recipients"),
    ("email", "mails"),
    ("resource", "items"),
    ("country", "countries"),
    ("platform", "platforms"),
)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for the first of some attributes that is there."""

    names: tuple[str, ...]
    code: bool


@dataclass(frozen=True, slots=True)
class Part:
    """Text, a slot, or an optional sequence of both."""

    kind: Literal["text", "slot", "optional"]
    text: str = ""
    slot: Slot | None = None
    parts: tuple["Part", ...] = ()


Template = tuple[Part, ...]
_TOKEN = re.compile(r"`\{([^}]+)\}`|\{([^}]+)\}|([\[\]])|([^`{}\[\]]+)")


def parse_template(text: str) -> Template:
    """Read a template.

    Raises:
        ValueError: brackets do not match, or a backtick stands alone.
    """
    stack: list[list[Part]] = [[]]
    at = 0
    for match in _TOKEN.finditer(text):
        if match.start() != at:
            break
        at = match.end()
        code, plain, bracket, literal = match.groups()
        if code or plain:
            stack[-1].append(Part("slot", slot=Slot(tuple((code or plain).split("|")), bool(code))))
        elif literal:
            stack[-1].append(Part("text", text=literal))
        elif bracket == "[":
            stack.append([])
        elif len(stack) > 1:
            inner = stack.pop()
            stack[-1].append(Part("optional", parts=tuple(inner)))
        else:
            raise ValueError(f"a ] without [ in {text!r}")
    if at != len(text) or len(stack) != 1:
        raise ValueError(f"cannot read the template {text!r}")
    return tuple(stack[0])


def slots(template: Template) -> Iterable[Slot]:
    """Every slot of a template."""
    for part in template:
        if part.slot:
            yield part.slot
        yield from slots(part.parts)


@dataclass(frozen=True, slots=True)
class Predicate:
    """One thing that may be said."""

    name: str
    event_class: EventClass | None
    """None: of any class."""
    when: Mapping[str, frozenset[str]]
    has: tuple[str, ...]
    text: Template
    subject: Template
    object: Template

    def fits(self, event: Event) -> bool:
        """Whether it may be said of an event."""
        return self.contradiction(event) is None and all(_value(event, name) for name in self.has)

    def contradiction(self, event: Event) -> str | None:
        """The attribute by which an event says otherwise; None when it does not."""
        if self.event_class is not None and event.event_class is not self.event_class:
            return "class"
        return next((name for name, values in self.when.items() if event.text(name).lower() not in values), None)


@cache
def predicates() -> tuple[Predicate, ...]:
    """The closed list, in file order.

    Raises:
        ContentError: the file breaks its schema.
    """
    name = "predicates.yaml"
    content = parsed(files("tracehound.tools.evidence").joinpath(name).read_text(encoding="utf-8"))
    found = []
    for class_name, entries in content.items():
        event_class = None if class_name == "other" else EventClass(class_name)
        for entry in entries:
            try:
                found.append(_predicate(event_class, entry))
            except (KeyError, ValueError) as exc:
                raise ContentError(name, None, f"{class_name}, {entry.get('predicate')}: {exc}") from exc
    return tuple(found)


def _predicate(event_class: EventClass | None, entry: Mapping[str, Any]) -> Predicate:
    known = _SPECIAL | (ATTRIBUTES[event_class] if event_class else frozenset().union(*ATTRIBUTES.values()))
    made = Predicate(
        name=entry["predicate"],
        event_class=event_class,
        when={key: frozenset(str(value).lower() for value in values) for key, values in entry.get("when", {}).items()},
        has=tuple(entry.get("has", ())),
        text=parse_template(entry["text"]),
        subject=parse_template(entry["subject"]),
        object=parse_template(entry["object"]),
    )
    named = {
        name for template in (made.text, made.subject, made.object) for slot in slots(template) for name in slot.names
    }
    unknown = (named | set(made.when) | set(made.has)) - known
    if unknown:
        raise ValueError(f"no attribute {', '.join(sorted(unknown))}")
    return made


def predicate_for(group: Group) -> Predicate:
    """The first predicate that fits an event of a group, contradicts none, and has what its sentence needs."""
    same_class = [item for item in predicates() if item.event_class in (group.events[0].event_class, None)]
    values = Values(group.events)
    for item in same_class:
        fits = any(item.fits(event) for event in group.events)
        if fits and all(may_mean(item, event) for event in group.events) and render(item.text, values) is not None:
            return item
    return same_class[-1]


def may_mean(predicate: Predicate, event: Event) -> bool:
    """Whether an event's report agrees with a predicate as far as it goes: what it does not carry is no objection."""
    name = predicate.contradiction(event)
    if name is None:
        return True
    if name == "class":
        return False
    return all(not event.text(key) or event.text(key).lower() in values for key, values in predicate.when.items())


@dataclass(frozen=True)
class Values:
    """What the events of a claim carry, as it may be shown."""

    events: Sequence[Event]
    _held: dict[str, list[str]] = field(default_factory=dict)

    def of(self, name: str) -> list[str]:
        """Distinct values of an attribute in the events' order, case ignored."""
        if name not in self._held:
            found: dict[str, str] = {}
            for event in self.events:
                text = _value(event, name)
                if text:
                    found.setdefault(text.casefold(), text)
            self._held[name] = list(found.values())
        return self._held[name]

    def every(self, name: str) -> set[str]:
        """Every value of an attribute as it is written."""
        return {text for event in self.events if (text := _value(event, name))}


def _value(event: Event, name: str) -> str:
    if name == "host":
        return event.host or ""
    if name == "platform":
        return event.platform.value
    value = event.fields.get(name)
    if value is None or value == "":
        return ""
    if isinstance(value, list):
        return ", ".join(str(item) for item in value[:3]) + (f" and {len(value) - 3} more" if len(value) > 3 else "")
    return str(value)


def counted(name: str, number: int) -> str:
    """`38 accounts`: how several values of an attribute are named."""
    for key, noun in _NOUNS:
        if name == key or name.startswith(f"{key}.") or name.endswith(f".{key}") or f".{key}." in name:
            return f"{number} {noun}"
    return f"{number} values"


def shown(text: str, *, code: bool) -> str:
    """A value as a sentence shows it: neutralised, cut, as a code span or bare."""
    return code_safe(shorten(safe(text), CODE)) if code else shorten(safe(text), INLINE)


def render(template: Template, values: Values, *, burst: bool = False) -> str | None:
    """The sentence; None when a value that it needs is not there.

    Args:
        template: What to write.
        values: What the events carry.
        burst: Name several values by their number; otherwise the first report's value is shown.
    """
    out: list[str] = []
    for part in template:
        if part.kind == "text":
            out.append(part.text)
        elif part.slot:
            name = next((name for name in part.slot.names if values.of(name)), None)
            if name is None:
                return None
            held = values.of(name)
            many = burst and len(held) > 1
            out.append(counted(name, len(held)) if many else shown(held[0], code=part.slot.code))
        else:
            out.append(render(part.parts, values, burst=burst) or "")
    return "".join(out)


def pattern(template: Template, values: Values, *, burst: bool = False) -> str:
    """A regular expression for every sentence of a template that the values support.

    In a burst several values may be named by their number alone; for one happening any report's value may be named.
    """
    out: list[str] = []
    for part in template:
        if part.kind == "text":
            out.append(re.escape(part.text))
        elif part.slot:
            out.append(_slot_pattern(part.slot, values, burst))
        else:
            out.append(f"(?:{pattern(part.parts, values, burst=burst)})?")
    return "".join(out)


def _slot_pattern(slot: Slot, values: Values, burst: bool) -> str:
    # Only the first attribute that is there may stand in the slot, else a fallback could take another's place.
    name = next((name for name in slot.names if values.of(name)), None)
    if name is None:
        return "(?!)"
    if burst and len(values.of(name)) > 1:
        return re.escape(counted(name, len(values.of(name))))
    allowed = {shown(text, code=slot.code) for text in values.every(name)}
    return "(?:" + "|".join(re.escape(text) for text in sorted(allowed, key=len, reverse=True)) + ")"


def stamp(moment: datetime) -> str:
    """A time as sentences show it: UTC to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def repetition(group: Group) -> str:
    """What a sentence adds for a burst; empty for one happening."""
    if group.count == 1:
        return ""
    return f" ({group.count} times between {stamp(group.first)} and {stamp(group.last)})"
