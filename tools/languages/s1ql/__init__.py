"""S1QL 1.0, the query language of SentinelOne Deep Visibility."""

from .ast import And, Comparison, Node, Not, Operator, Or, Value, ValueKind
from .check import check
from .compile import compile_search
from .lexer import Quoting
from .parser import parse
from .printer import to_text

__all__ = [
    "And",
    "Comparison",
    "Node",
    "Not",
    "Operator",
    "Or",
    "Quoting",
    "Value",
    "ValueKind",
    "check",
    "compile_search",
    "parse",
    "to_text",
]
