"""S1QL 1.0, the query language of SentinelOne Deep Visibility."""

from .ast import And, Comparison, Node, Not, Operator, Or, Value, ValueKind
from .parser import parse, to_text

__all__ = ["And", "Comparison", "Node", "Not", "Operator", "Or", "Value", "ValueKind", "parse", "to_text"]
