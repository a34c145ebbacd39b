"""FQL, the filter language of Falcon's entity APIs (alerts, hosts, vulnerabilities, cases, IOCs, intel)."""

from .ast import And, Node, Not, Operator, Or, Term, Value, ValueKind
from .check import check
from .compile import compile_search, within
from .parser import parse, to_text

__all__ = [
    "And",
    "Node",
    "Not",
    "Operator",
    "Or",
    "Term",
    "Value",
    "ValueKind",
    "check",
    "compile_search",
    "parse",
    "to_text",
    "within",
]
