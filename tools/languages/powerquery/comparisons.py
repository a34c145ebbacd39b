"""Whether a column can be compared in this way with these values."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from ..literals import regex_problem
from ..query import Code, Diagnostic, Severity
from ..s1ql.schema import Field as Column
from ..syntax import listed_hint
from .ast import LISTS, PATTERNS, Compare, Operator, Test, Value, ValueKind

_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[Zz]|[+-]\d{2}:?\d{2})?)?\Z|\d{10,19}\Z"
)
_pattern_problem = lru_cache(maxsize=1024)(regex_problem)
"""Hunts repeat their patterns, and judging one takes as long as the rest of a query."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?\Z", re.ASCII)
_LONE_BACKSLASH = re.compile(r"""\\[^\\"']""")
_ESCAPE_PAIR = re.compile(r"""\\[\\"']""")
_ORDER = frozenset({"<", "<=", ">", ">="})
_ANYCASE = frozenset({Operator.IN_ANYCASE, Operator.CONTAINS, Operator.CONTAINS_ANYCASE})


def escape_problem(value: Value, text: str) -> Diagnostic | None:
    """A warning where a string holds a single backslash: the manual's way is two, and it may mean something else."""
    if value.kind is not ValueKind.STRING or "\\" not in value.text:
        return None
    lone = _LONE_BACKSLASH.search(_ESCAPE_PAIR.sub("  ", text[value.start : value.end]))
    if lone is None:
        return None
    place = value.start + lone.start()
    message = "a single backslash; PowerQuery writes each one twice"
    return Diagnostic("ambiguous", "warning", message, place, place + 1, "write \\\\")


def compared(node: Compare, left: Column | None, right: Column | None) -> Iterator[Diagnostic]:
    """What is wrong with `column = value`, whichever side the column stands on."""
    if left is not None and isinstance(node.right, Value):
        known, value = left, node.right
    elif right is not None and isinstance(node.left, Value):
        known, value = right, node.left
    else:
        return
    if value.kind is ValueKind.NULL:
        return
    if node.sign in _ORDER and known.type in ("string", "enum", "bool", "list"):
        message = f"{known.name} ({known.type}) has no order"
        yield Diagnostic("bad_operator", _severity(known), message, node.start, node.end, "use = or matches")
        return
    yield from _typed(known, value)
    if known.type == "enum" and known.values:
        yield from _listed(known, value, ignoring_case=False)


def tested(node: Test, known: Column | None, text: str) -> Iterator[Diagnostic]:
    """What is wrong with a test in this text."""
    if node.operator is Operator.CONTAINS:
        start = text.lower().find(node.operator.value, node.subject.end)
        end = start + len(node.operator)
        message = "sources disagree on whether contains minds case"
        yield Diagnostic("silent_zero", "warning", message, start, end, "write contains:anycase or contains:matchcase")
    if node.operator in PATTERNS:
        yield from _patterns(node.values)
    if known is None:
        return
    if node.operator not in LISTS and known.type in ("int", "bool", "timestamp"):
        message = f"{known.name} ({known.type}) is not compared with {node.operator}"
        yield Diagnostic("bad_operator", _severity(known), message, node.start, node.end, "use = or in (...)")
        return
    for value in node.values:
        if node.operator not in PATTERNS:
            yield from _typed(known, value)
        if known.type == "enum" and known.values and node.operator in LISTS:
            yield from _listed(known, value, ignoring_case=node.operator in _ANYCASE)
    if known.type == "enum" and known.values and node.operator not in LISTS | PATTERNS:
        yield from _part_of_listed(node, known)


def _severity(known: Column) -> Severity:
    # What is read off a name is no ground for refusing.
    return "warning" if known.inferred else "error"


def _typed(known: Column, value: Value) -> Iterator[Diagnostic]:
    def at(code: Code, message: str, hint: str | None = None, *, warn: bool = False) -> Diagnostic:
        return Diagnostic(code, "warning" if warn else _severity(known), message, value.start, value.end, hint)

    text = value.text
    match known.type:
        case "int" if value.kind is not ValueKind.NUMBER:
            quoted_number = _NUMBER.match(text) is not None
            yield at("type_mismatch", f"{known.name} is a number", f"write {text}" if quoted_number else None,
                     warn=quoted_number)  # fmt: skip
        case "timestamp" if not _TIME.match(text):
            yield at("bad_value", f"{text!r} is not a time", 'write "2026-01-31T00:00:00.000Z"')
        case "bool" if text.lower() not in ("true", "false"):
            yield at("type_mismatch", f"{known.name} is true or false", f"write {known.name} = true")
        case "string" if value.kind is ValueKind.STRING and (text.startswith("*") or text.endswith("*")):
            write = (
                f"write {known.name} contains:anycase" if text.strip("*") else f"write {known.name} = * without quotes"
            )
            yield at("silent_zero", "there are no wildcards, so the star itself is searched", write, warn=True)
        case "string" | "enum" if value.kind is not ValueKind.STRING:
            yield at("type_mismatch", f"{known.name} is text", f'write "{text}"', warn=True)


def _listed(known: Column, value: Value, *, ignoring_case: bool) -> Iterator[Diagnostic]:
    if value.text in known.values:
        return
    spelled = next((name for name in known.values if name.lower() == value.text.lower()), None)
    if spelled is not None:
        # Connectors and converters disagree on the case of object types, so both are taken.
        if not ignoring_case and known.name != "event.category":
            message = f"{known.name} is compared with case, and the value is spelled {spelled}"
            yield Diagnostic("silent_zero", "warning", message, value.start, value.end, f"did you mean {spelled}?")
        return
    hint = listed_hint(value.text, known.values)
    message = f"{known.name} is never {value.text!r}"
    yield Diagnostic("bad_value", "error", message, value.start, value.end, hint)


def _part_of_listed(node: Test, known: Column) -> Iterator[Diagnostic]:
    ignoring = node.operator in _ANYCASE
    for value in node.values:
        wanted = value.text.lower() if ignoring else value.text
        if not any(wanted in (name.lower() if ignoring else name) for name in known.values):
            message = f"no value of {known.name} contains {value.text!r}"
            yield Diagnostic("silent_zero", "warning", message, value.start, value.end)


def _patterns(values: Sequence[Value]) -> Iterator[Diagnostic]:
    for value in values:
        if value.kind is not ValueKind.STRING:
            yield Diagnostic("type_mismatch", "error", "a pattern is written in quotes", value.start, value.end)
            continue
        problem = _pattern_problem(value.text)
        if problem is not None:
            yield Diagnostic("bad_value", *problem, value.start, value.end)
