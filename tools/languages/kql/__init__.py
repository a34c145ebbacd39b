"""KQL, the language of Microsoft Sentinel and Defender: a front end of its own, from text to verdict and back."""

from .check import check
from .compile import compile_search
from .functions import load_functions
from .parser import parse
from .printer import to_text
from .schema import load_schema

__all__ = ["check", "compile_search", "load_functions", "load_schema", "parse", "to_text"]
