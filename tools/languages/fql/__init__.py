"""FQL, the filter language of Falcon's entity APIs (alerts, hosts, vulnerabilities, cases, IOCs, intel)."""

from .ast import And, Node, Not, Operator, Or, Term, Value, ValueKind
from .parser import parse, to_text

__all__ = ["And", "Node", "Not", "Operator", "Or", "Term", "Value", "ValueKind", "parse", "to_text"]
