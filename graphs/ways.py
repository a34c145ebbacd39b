"""The ways in which a model takes part in an investigation: what it is offered, and how often it may correct itself."""

from collections.abc import Callable
from dataclasses import dataclass

from ..tools.languages.query import Language, Platform, Query
from ..tools.languages.search import Window
from ..tools.languages.translate import raw_query
from .calling import REPAIRS

RawQuery = Callable[[Platform, Language, str, str, Window, int], Query]
"""Makes a checked query of platform, language, collection, text, window and limit."""


@dataclass(frozen=True)
class Ways:
    """How a model takes part. The default is the product; others are there to be compared with it."""

    obliged: bool = True
    """Whether the searches that the question obliges are made too; without them a model is measured alone."""
    typed: bool = True
    """Whether hunts and typed searches are offered."""
    raw: bool = True
    """Whether queries of its own are offered."""
    repairs: int = REPAIRS
    """Turns in which it may correct queries that failed the check."""
    query: RawQuery = raw_query
    """Makes its own queries, checked. Another one than the default is for a lab alone."""
