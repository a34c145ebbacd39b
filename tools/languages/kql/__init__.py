"""KQL, the language of Microsoft Sentinel and Defender: a front end of its own, from text to verdict and back."""

from .check import check
from .compile import compile_search
from .functions import functions_from_metadata, load_functions
from .parser import parse
from .printer import to_text
from .schema import from_metadata, load_schema

__all__ = [
    "check",
    "compile_search",
    "from_metadata",
    "functions_from_metadata",
    "load_functions",
    "load_schema",
    "parse",
    "to_text",
]
