"""The lab's detection rules over observations: what makes a recording raise alerts (`detections.yaml`)."""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from ...knowledge.loading import parsed
from ...tools.languages.vocabulary import EventClass
from .observation import Observation

Test = Callable[[Mapping[str, Any]], bool]

QUIET = timedelta(minutes=10)
"""The same rule, host and actor alert once in this time."""


@dataclass(frozen=True)
class Count:
    """How many observations of one group make an alert."""

    at_least: int
    within: timedelta
    by: tuple[str, ...]
    distinct: str = ""


@dataclass(frozen=True)
class Rule:
    """One detection rule."""

    id: str
    title: str
    severity: str
    technique: str
    tactic: str
    event_class: EventClass
    activity: Test | None
    tests: tuple[Test, ...]
    count: Count | None = None

    def fits(self, attributes: Mapping[str, Any]) -> bool:
        """Whether an observation of the right activity meets every other condition."""
        return all(test(attributes) for test in self.tests)


@dataclass(frozen=True)
class Detection:
    """A rule that fired, and what it fired on."""

    rule: Rule
    seen: Sequence[Observation]

    @property
    def last(self) -> Observation:
        """The observation that made it fire."""
        return self.seen[-1]


@dataclass
class Detector:
    """Runs all rules over observations in any order; groups are counted when everything was seen."""

    _counted: dict[tuple[str, ...], list[Observation]] = field(default_factory=lambda: defaultdict(list))
    _single: list[tuple[Rule, Observation]] = field(default_factory=list)

    def look(self, seen: Observation) -> None:
        """Take in one observation."""
        for rule in _candidates(seen.event_class, seen.attributes.get("activity")):
            if not rule.fits(seen.attributes):
                continue
            if rule.count is None:
                self._single.append((rule, seen))
            else:
                self._counted[(rule.id, *map(seen.text, rule.count.by))].append(seen)

    def detections(self) -> Iterator[Detection]:
        """What fired, oldest first."""
        found = [Detection(rule, (seen,)) for rule, seen in self._single]
        by_id = {rule.id: rule for rule in rules()}
        for key, group in self._counted.items():
            rule = by_id[key[0]]
            if rule.count is not None and (burst := _burst(group, rule.count)):
                found.append(Detection(rule, burst))
        last: dict[tuple[str, ...], datetime] = {}
        for detection in sorted(found, key=lambda item: item.last.time):
            seen = detection.last
            key = (detection.rule.id, seen.host, seen.text("actor.process.name"), seen.text("process.name"))
            if key not in last or seen.time - last[key] > QUIET:
                yield detection
                last[key] = seen.time


def _burst(group: Iterable[Observation], count: Count) -> tuple[Observation, ...]:
    window: deque[Observation] = deque()
    for seen in sorted(group, key=lambda item: item.time):
        window.append(seen)
        while seen.time - window[0].time > count.within:
            window.popleft()
        size = len({item.text(count.distinct) for item in window}) if count.distinct else len(window)
        if size >= count.at_least:
            return tuple(window)
    return ()


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, as the file orders them."""
    content = files("tracehound.evals.lab").joinpath("detections.yaml").read_text(encoding="utf-8")
    return tuple(_rule(entry) for entry in parsed(content))


@cache
def _candidates(event_class: EventClass, activity: str | None) -> tuple[Rule, ...]:
    """Rules whose class and activity fit: few, so that most observations cost one look-up."""
    return tuple(
        rule
        for rule in rules()
        if rule.event_class is event_class and (rule.activity is None or rule.activity({"activity": activity}))
    )


def _rule(entry: Mapping[str, Any]) -> Rule:
    counted = entry.get("count")
    count = counted and Count(
        counted["at_least"],
        timedelta(seconds=counted["within_seconds"]),
        tuple(counted["by"]),
        counted.get("distinct", ""),
    )
    tests = {name: _test(name, value) for name, value in entry["when"].items()}
    activity = next((tests.pop(name) for name in ("activity", "activity|startswith") if name in tests), None)
    return Rule(
        entry["id"], entry["title"], entry["severity"], entry["technique"], entry["tactic"], EventClass(entry["class"]),
        activity, tuple(tests.values()), count,
    )  # fmt: skip


def _test(condition: str, value: Any) -> Test:
    name, _, operator = condition.partition("|")
    none_of, operator = operator.endswith("!"), operator.rstrip("!")
    wanted = [str(item) for item in (value if isinstance(value, list) else [value])]
    if operator != "matches":
        wanted = [item.casefold() for item in wanted]
    matches = _matcher(operator, wanted)

    def test(attributes: Mapping[str, Any]) -> bool:
        actual = attributes.get(name)
        return actual is not None and matches(str(actual).casefold()) is not none_of

    return test


def _matcher(operator: str, wanted: Sequence[str]) -> Callable[[str], bool]:
    match operator:
        case "":
            return lambda actual: actual in wanted
        case "contains":
            return lambda actual: any(item in actual for item in wanted)
        case "startswith":
            return lambda actual: actual.startswith(tuple(wanted))
        case "endswith":
            return lambda actual: actual.endswith(tuple(wanted))
        case "matches":
            patterns = [re.compile(item, re.IGNORECASE) for item in wanted]
            return lambda actual: any(pattern.search(actual) for pattern in patterns)
        case _:
            raise ValueError(f"detections.yaml: unknown operator {operator!r}")
