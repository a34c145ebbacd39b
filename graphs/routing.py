"""Which kind of question this is, decided from its words alone, before any telemetry is read."""

import re
from functools import cache
from importlib.resources import files
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..knowledge.typed_yaml import Pattern, read_typed
from .orders import is_harmful, is_order

Route = Literal["search", "alert", "explain", "runbook", "respond", "off_topic"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Frozen):
    """Patterns that lead to one route; an order leads to `respond` (`orders.yaml`)."""

    route: Route
    patterns: tuple[Pattern, ...]

    @model_validator(mode="after")
    def _leads(self) -> Self:
        if not self.patterns and self.route != "respond":
            raise ValueError(f"no pattern leads to {self.route}")
        return self


class Rules(_Frozen):
    """Everything in `routes.yaml`."""

    routes: tuple[Rule, ...] = Field(min_length=1)
    outbound: tuple[str, ...]
    """Patterns around `{host}`, which stands for the hosts of the question."""
    elsewhere_words: str
    estate_words: str

    @field_validator("outbound")
    @classmethod
    def _compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern.replace("{host}", "h"))
            except re.error as exc:
                raise ValueError(f"{pattern!r} is not a regular expression: {exc}") from exc
        return patterns


@cache
def _rules() -> Rules:
    return read_rules(files("tracehound.graphs").joinpath("routes.yaml").read_text(encoding="utf-8"))


def read_rules(text: str, source: str = "graphs/routes.yaml") -> Rules:
    """Read the rules.

    Raises:
        ContentError: names file, line and what is wrong.
    """
    return read_typed(text, source, Rules)


def route_of(question: str, *, alert_ids: tuple[str, ...] = ()) -> Route:
    """The route of a question; `search` when no rule fits.

    Args:
        question: The analyst's words.
        alert_ids: Alert ids found in it; a question about one of them is an alert question.
    """
    text = question
    for alert_id in alert_ids:
        text = text.replace(alert_id, "{alert}")
    if is_harmful(question):
        return "off_topic"
    for rule in _rules().routes:
        if rule.route == "respond" and is_order(question):
            return rule.route
        if any(re.search(pattern, text, re.IGNORECASE | re.DOTALL) for pattern in rule.patterns):
            return rule.route
    return "alert" if alert_ids else "search"


def asks_outbound(question: str, hosts: tuple[str, ...]) -> bool:
    """Whether the question asks for what came from its hosts."""
    names = "|".join(re.escape(host) for host in hosts)
    if not names:
        return False
    return any(
        re.search(pattern.replace("{host}", f"(?:{names})"), question, re.IGNORECASE) for pattern in _rules().outbound
    )


def speaks_of_an_estate(question: str) -> bool:
    """Whether any word of the question belongs to a security estate."""
    return bool(_words(question) & set(_rules().estate_words.split()))


def speaks_of_something_else(question: str) -> bool:
    """Whether a word of the question belongs to another walk of life and none to a security estate."""
    return bool(_words(question) & set(_rules().elsewhere_words.split())) and not speaks_of_an_estate(question)


def _words(question: str) -> set[str]:
    return set(re.findall(r"[a-z0-9-]+", question.lower()))
