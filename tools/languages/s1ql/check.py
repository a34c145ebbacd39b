"""What is wrong with an S1QL query before it is sent (LANGUAGES 4.1, VENDOR_APIS 2.4)."""

import re
from collections.abc import Iterator
from functools import lru_cache

from ..literals import regex_problem
from ..query import Check, Code, Diagnostic, Language, Severity
from ..syntax import QuerySyntaxError, did_you_mean, listed_hint
from .ast import LIST_OPERATORS, And, Comparison, Node, Not, Operator, Or, Value, ValueKind, ors
from .lexer import Quoting
from .parser import parse
from .schema import COLLECTIONS, MAX_LIST, MAX_ORS, Field, by_v2, fields, lookup

_ANYCASE = frozenset(
    {
        Operator.IN_ANYCASE,
        Operator.IN_CONTAINS_ANYCASE,
        Operator.CONTAINS_CIS,
        Operator.STARTSWITH_CIS,
        Operator.ENDSWITH_CIS,
    }
)
_PRESENCE = frozenset({Operator.IS_EMPTY, Operator.EXISTS})
_EXACT = frozenset({Operator.EQ, Operator.NE, Operator.IN})
_ORDER = frozenset({Operator.LT, Operator.LE, Operator.GT, Operator.GE, Operator.BETWEEN})
_ALLOWED = {
    "enum": _PRESENCE | _EXACT | {Operator.IN_ANYCASE},
    "int": _PRESENCE | _EXACT | _ORDER,
    "timestamp": _PRESENCE | _ORDER | {Operator.EQ, Operator.NE},
    "bool": _PRESENCE | _EXACT | {Operator.IS_TRUE, Operator.IS_FALSE},
    "string": frozenset(Operator) - _ORDER - {Operator.IS_TRUE, Operator.IS_FALSE},
}
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[Zz]|[+-]\d{2}:?\d{2})?)?\Z|\d{10,13}\Z"
)
_pattern_problem = lru_cache(maxsize=1024)(regex_problem)
"""Hunts repeat their patterns, and judging one takes as long as the rest of a query."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?\Z", re.ASCII)


def check(text: str, collection: str | None = None, *, quoting: Quoting = Quoting.PUBLISHED) -> Check:
    """Check a query: fields, operators, types, closed lists, regular expressions, size.

    The time span is given outside the text, so a query is always bounded in time.
    """
    if collection is not None and collection not in COLLECTIONS:
        unknown = Diagnostic(
            "unknown_collection", "error", f"S1QL has no collection {collection}", 0, 0, "collections: events"
        )
        return Check(Language.S1QL, False, True, (unknown,))
    try:
        node = parse(text, quoting)
    except QuerySyntaxError as error:
        return Check(Language.S1QL, False, True, (error.diagnostic(),), COLLECTIONS)
    conditions = [(item, lookup(item.field)) for item in _conditions(node)]
    found = [problem for item, known in conditions for problem in _judge(item, known)]
    count = ors(node)
    if count > MAX_ORS:
        message = f"{count} ORs, and Deep Visibility is known to take about {MAX_ORS}"
        found.append(Diagnostic("too_complex", "warning", message, 0, len(text), "use In Contains Anycase (...)"))
    found.sort(key=lambda item: (item.start, item.end))
    names = (known.name if known else item.field for item, known in conditions)
    return Check(
        Language.S1QL,
        not any(item.severity == "error" for item in found),
        True,
        tuple(found),
        COLLECTIONS,
        tuple(dict.fromkeys(names)),
    )


def _conditions(node: Node) -> Iterator[Comparison]:
    match node:
        case Comparison():
            yield node
        case Not(part=part):
            yield from _conditions(part)
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                yield from _conditions(part)


def _judge(item: Comparison, known: Field | None) -> Iterator[Diagnostic]:
    end = item.start + len(item.field)
    if known is None:
        first = by_v2().get(item.field.lower())
        hint = f"{item.field} is the S1QL 2.0 name of {first}" if first else did_you_mean(item.field, _current())
        yield Diagnostic("unknown_column", "error", f"S1QL has no field {item.field}", item.start, end, hint)
        return
    if known.use is not None:
        message = f"{known.name} is an old name that consoles may no longer know"
        yield Diagnostic("unknown_column", "warning", message, item.start, end, f"use {known.use}")
    if len(item.values) > MAX_LIST:
        message = f"an In list holds at most {MAX_LIST} items, this one {len(item.values)}"
        yield Diagnostic("too_complex", "error", message, item.values[MAX_LIST].start, item.values[-1].end)
    if item.operator not in _ALLOWED[known.type]:
        yield Diagnostic(
            "bad_operator",
            # What is read off a name is no ground for refusing.
            "warning" if known.inferred else "error",
            f"{known.name} ({known.type}) is not compared with {item.operator}",
            item.start,
            item.end,
            "operators: " + ", ".join(sorted(_ALLOWED[known.type])[:8]),
        )
        return
    for value in item.values:
        if not _plain(item, value, known):
            yield from _value(item, value, known)


def _plain(item: Comparison, value: Value, known: Field) -> bool:
    """Text compared with text, as in most conditions: nothing to find."""
    text = known.type == "string" and value.kind is ValueKind.STRING
    return text and item.operator is not Operator.REGEXP and '"' not in value.text and "*" not in value.text


def _current() -> list[str]:
    return [field.name for field in fields().values() if field.use is None]


def _value(item: Comparison, value: Value, known: Field) -> Iterator[Diagnostic]:
    severity: Severity = "warning" if known.inferred else "error"

    def at(code: Code, message: str, hint: str | None = None, *, warn: bool = False) -> Diagnostic:
        return Diagnostic(code, "warning" if warn else severity, message, value.start, value.end, hint)

    match known.type:
        case "int" if not _NUMBER.match(value.text):
            yield at("type_mismatch", f"{known.name} is a number")
        case "timestamp" if not _TIME.match(value.text):
            yield at("bad_value", f"{value.text!r} is not a time", 'write "2026-01-31T00:00:00.000Z"')
        case "bool" if value.text.lower() not in ("true", "false"):
            yield at("type_mismatch", f"{known.name} is true or false", "Is True, Is False")
        case "enum" if known.values:
            yield from _enum(item, value, known)
        case "string" if value.kind is not ValueKind.STRING:
            yield at("type_mismatch", f"{known.name} is text", f'write "{value.text}"', warn=True)
        case "string" if item.operator is Operator.REGEXP:
            problem = _pattern_problem(value.text)
            if problem is not None:
                yield Diagnostic("bad_value", *problem, value.start, value.end)
        case "string" if value.text.startswith("*") or value.text.endswith("*"):
            hint = f"write {known.name} ContainsCIS" if value.text.strip("*") else f"write {known.name} Is Not Empty"
            yield at("silent_zero", "S1QL has no wildcards, so the star itself is searched", hint, warn=True)
        case "string" if item.operator in LIST_OPERATORS or item.operator in _EXACT:
            if '"' in value.text:
                yield at("ambiguous", "the value holds quotes; check where it ends", warn=True)


def _enum(item: Comparison, value: Value, known: Field) -> Iterator[Diagnostic]:
    if value.text in known.values:
        return
    spelled = next((name for name in known.values if name.lower() == value.text.lower()), None)
    if spelled is not None:
        # Connectors and converters disagree on the case of object types, so both are taken.
        if item.operator not in _ANYCASE and known.name != "ObjectType":
            message = f"{known.name} is compared with case, and the value is spelled {spelled}"
            yield Diagnostic("silent_zero", "warning", message, value.start, value.end, f"did you mean {spelled}?")
        return
    yield Diagnostic(
        "bad_value",
        "warning" if known.inferred else "error",
        f"{known.name} is never {value.text!r}",
        value.start,
        value.end,
        listed_hint(value.text, known.values),
    )
