"""SPL, Splunk's search language: a documented subset for Windows event logs. Nothing is sent to Splunk yet."""

from .ast import Pipeline, Search, Stage
from .check import check
from .compile import compile_search
from .parser import parse
from .printer import to_text

__all__ = ["Pipeline", "Search", "Stage", "check", "compile_search", "parse", "to_text"]
