"""Which kind of question this is, decided from its words alone, before any telemetry is read."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..knowledge.typed_yaml import Pattern, around, read_typed
from .orders import is_harmful, is_order

Route = Literal["search", "alert", "explain", "runbook", "respond", "off_topic"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Frozen):
    """Patterns that lead to one route."""

    route: Route
    patterns: tuple[Pattern, ...] = Field(min_length=1)


class Rules(_Frozen):
    """Everything in `routes.yaml`."""

    routes: tuple[Rule, ...] = Field(min_length=1)
    outbound: tuple[Annotated[str, around("host")], ...]
    """`{host}` stands for the hosts of the question."""
    elsewhere_words: str
    estate_words: str


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
    found: Route | None = next((rule.route for rule in _rules().routes if _any(rule.patterns, text)), None)
    if found != "explain" and is_order(question):
        return "respond"
    return found or ("alert" if alert_ids else "search")


def _any(patterns: Sequence[str], text: str) -> bool:
    return any(re.search(pattern, text, re.IGNORECASE | re.DOTALL) for pattern in patterns)


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
