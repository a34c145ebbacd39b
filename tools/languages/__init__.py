"""The query languages: check, compile, print. Useful without the rest of Tracehound.

from tracehound.tools.languages import Language, check

check(Language.FQL, "severity_name:'High'", "alerts").diagnostics
"""

from .query import Check, Diagnostic, Language, Platform, Query
from .search import Search, Window
from .translate import Inapplicable, raw_query, translate
from .translate import check_query as check
from .vocabulary import EventClass

__all__ = [
    "Check",
    "Diagnostic",
    "EventClass",
    "Inapplicable",
    "Language",
    "Platform",
    "Query",
    "Search",
    "Window",
    "check",
    "raw_query",
    "translate",
]
