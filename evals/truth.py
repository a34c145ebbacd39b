"""What really happened in a lab, as far as a right answer must know it: resolved to the lab's own names and clock."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..tools.evidence.records import Evidence, WindowRecord
from .opening import World
from .reading import read_yaml

TRUTH = Path(__file__).parent / "lab" / "truth.yaml"
_PART = re.compile(r"(\d+)([dhms])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def span(text: object) -> timedelta:
    """A length of time such as `8h12m`.

    Raises:
        ValueError: it is none.
    """
    parts = _PART.findall(str(text))
    if not parts or "".join(number + unit for number, unit in parts) != str(text):
        raise ValueError(f"write a length of time such as 8h12m, not {text!r}")
    return timedelta(**{_UNITS[unit]: int(number) for number, unit in parts})


Span = Annotated[timedelta, BeforeValidator(span)]


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Sighting(_Fact):
    """Rows that show one fact, in canonical names."""

    before: Span | None = None
    daily: str | None = Field(default=None, pattern=r"^\d\d:\d\d$")
    give: Span = timedelta(minutes=1)
    host: str | None = None
    classes: tuple[str, ...] = Field(default=(), alias="class")
    has: tuple[Mapping[str, str], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_a_time(self) -> Self:
        if (self.before is None) == (self.daily is None):
            raise ValueError("a sighting has either `before` or `daily`")
        return self


class StoryTruth(_Fact):
    """A story: where and when it lies, and its steps."""

    hosts: tuple[str, ...]
    begins: Span
    ends: Span
    steps: Mapping[str, Sighting]


class ScenarioTruth(_Fact):
    """The file."""

    scenario: str
    cast: Mapping[str, str]
    protected: tuple[str, ...]
    stories: Mapping[str, StoryTruth]
    look_alikes: Mapping[str, Sighting]
    hostile: tuple[str, ...]


@dataclass(frozen=True)
class Mark:
    """A sighting at its moments, in the lab's own names."""

    moments: tuple[datetime, ...]
    give: timedelta
    host: str | None
    classes: tuple[str, ...]
    has: tuple[Mapping[str, str], ...]

    def near(self, moment: datetime | None) -> bool:
        """Whether a moment lies within reach: after it for what lasts, on either side for what is a moment."""
        return moment is not None and any(abs(moment - mark) <= self.give for mark in self.moments)

    def shown_by(self, item: Evidence) -> bool:
        """Whether a row shows it."""
        if not self.near(item.time) or (self.classes and item.event_class not in self.classes):
            return False
        if self.host and short(item.host or "") != short(self.host):
            return False
        return any(all(_occurs(text, item, name) for name, text in alternative.items()) for alternative in self.has)


@dataclass(frozen=True)
class Story:
    """A story in the lab's own names."""

    hosts: tuple[str, ...]
    begins: datetime
    ends: datetime
    steps: Mapping[str, Mark]


@dataclass(frozen=True)
class Truth:
    """What is true in one lab."""

    cast: Mapping[str, str] = field(default_factory=dict)
    protected: tuple[str, ...] = ()
    stories: Mapping[str, Story] = field(default_factory=dict)
    look_alikes: Mapping[str, Sighting] = field(default_factory=dict)
    hostile: tuple[str, ...] = ()
    alerts: Mapping[str, str] = field(default_factory=dict)
    clock: datetime | None = None
    rename: Callable[[str], str] = lambda text: text

    def look_alike(self, name: str, window: WindowRecord) -> Mark | None:
        """A look-alike, if it lies in the window."""
        assert self.clock is not None
        mark = _mark(self.look_alikes[name], self.clock, self.rename)
        inside = tuple(moment for moment in mark.moments if window.start <= moment and moment + mark.give <= window.end)
        return Mark(inside, mark.give, mark.host, mark.classes, mark.has) if inside else None


def truth_of(lab: World) -> Truth:
    """The truth about a generated lab, from what it says of itself."""
    facts, clock = read_yaml(TRUTH, ScenarioTruth), lab.clock
    rename = renamer(lab.names)
    stories = {
        name: Story(
            hosts=tuple(map(rename, story.hosts)),
            begins=clock - story.begins,
            ends=clock - story.ends,
            steps={step: _mark(sighting, clock, rename) for step, sighting in story.steps.items()},
        )
        for name, story in facts.stories.items()
    }
    return Truth(
        cast={role: rename(name) for role, name in facts.cast.items()},
        protected=tuple(map(rename, facts.protected)),
        stories=stories,
        look_alikes=facts.look_alikes,
        hostile=tuple(map(rename, facts.hostile)),
        alerts=lab.alerts,
        clock=clock,
        rename=rename,
    )


def renamer(names: Mapping[str, str]) -> Callable[[str], str]:
    """Replaces every canonical name in a text by the lab's own; longer names win."""
    longest_first = "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name)))
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{longest_first})(?![A-Za-z0-9])")
    return lambda text: pattern.sub(lambda match: names[match.group(0)], text) if names else text


def short(host: str) -> str:
    """A host's name without its domain, for comparing."""
    return host.partition(".")[0].casefold()


def occurs(text: str, value: str) -> bool:
    """Whether a text occurs in a value, ignoring case; a number or an address must stand as a whole."""
    needle, hay = text.casefold(), value.casefold()
    if re.fullmatch(r"[\d.]+|0x[0-9a-f]+", needle):
        return re.search(rf"(?<![\w.]){re.escape(needle)}(?![\w.])", hay) is not None
    return needle in hay


def _occurs(text: str, item: Evidence, attribute: str) -> bool:
    if attribute == "*":
        return any(occurs(text, str(value)) for value in (*item.fields.values(), *item.raw.values()))
    return occurs(text, str(item.fields.get(attribute, "")))


def _mark(sighting: Sighting, clock: datetime, rename: Callable[[str], str]) -> Mark:
    return Mark(
        moments=_moments(sighting, clock),
        give=sighting.give,
        host=rename(sighting.host) if sighting.host else None,
        classes=sighting.classes,
        has=tuple({name: rename(text) for name, text in alternative.items()} for alternative in sighting.has),
    )


def _moments(sighting: Sighting, clock: datetime) -> tuple[datetime, ...]:
    if sighting.before is not None:
        return (clock - sighting.before,)
    hour, minute = map(int, str(sighting.daily).split(":"))
    last = clock.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return tuple(last - timedelta(days=day) for day in range(-1, 14))
