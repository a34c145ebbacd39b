"""CQL (LogScale), the query language of Falcon's raw sensor events: a documented subset."""

from .ast import (
    Always,
    And,
    Compare,
    Count,
    Filter,
    GroupBy,
    Head,
    In,
    Node,
    Not,
    Or,
    Pipeline,
    Regex,
    Select,
    Sort,
    Stage,
    Table,
    Tail,
    Text,
)
from .check import check
from .compile import compile_search
from .parser import parse
from .printer import to_text

__all__ = [
    "Always",
    "And",
    "Compare",
    "Count",
    "Filter",
    "GroupBy",
    "Head",
    "In",
    "Node",
    "Not",
    "Or",
    "Pipeline",
    "Regex",
    "Select",
    "Sort",
    "Stage",
    "Table",
    "Tail",
    "Text",
    "check",
    "compile_search",
    "parse",
    "to_text",
]
