"""A condition that is wrong at its endpoint: operators that the property does not take, values that it never holds."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from ..query import Code, Diagnostic, Severity
from ..syntax import did_you_mean
from .ast import Operator, Term, Value, ValueKind
from .schema import Property, tables

RANGES = frozenset({Operator.GT, Operator.GE, Operator.LT, Operator.LE})
WORDS = frozenset({Operator.MATCH, Operator.NOT_MATCH})
BANDS: Mapping[str, tuple[float, float]] = {
    "informational": (0, 20),
    "low": (20, 40),
    "medium": (40, 60),
    "high": (60, 80),
    "critical": (80, 101),
}
"""Falcon's severity names and the numbers from and below which they are given."""
CVSS: Mapping[str, tuple[float, float]] = {
    "none": (0, 0.1),
    "low": (0.1, 4),
    "medium": (4, 7),
    "high": (7, 9),
    "critical": (9, 10.1),
}
SCALES: Mapping[tuple[str, str], tuple[str, Mapping[str, tuple[float, float]]]] = {
    ("alerts", "severity"): ("severity_name", BANDS),
    ("alerts", "severity_name"): ("severity", BANDS),
    ("cases", "severity"): ("", BANDS),
    ("vulnerabilities", "cve.base_score"): ("cve.severity", CVSS),
    ("vulnerabilities", "cve.severity"): ("cve.base_score", CVSS),
}
"""Properties that name or number how severe something is, each with its other form at the same endpoint."""
EPOCHS = frozenset({"created_date", "last_updated", "published_date"})
"""Times of intel indicators, in seconds since 1970."""

_DATE = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})(?P<clock>[Tt]\d{2}(?::\d{2}(?::\d{2})?)?)?(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:?\d{2})?\Z",
    re.ASCII,
)
RELATIVE = re.compile(r"now(?:[-+][0-9]+(?P<unit>[smhdwMy]))?\Z")
_AGO = re.compile(r"(?:(?:last|past|now\s*-)\s*)?([0-9]+)\s*(minute|hour|day|week|month|m|h|d|w)s?(?:\s+ago)?\Z", re.I)
_HOURS = {"w": (7, "d"), "month": (30, "d")}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z")


def problems(term: Term, known: Property, collection: str) -> list[Diagnostic]:
    """What makes a condition wrong; empty where it is right."""
    operator = _operator_problem(term, known, collection)
    if operator is not None:
        return [operator]
    return [item for value in term.values for item in _value_problems(term, value, known, collection)]


def at_term(term: Term, code: Code, message: str, hint: str | None = None, severity: Severity = "error") -> Diagnostic:
    """A finding about a whole condition."""
    return Diagnostic(code, severity, message, term.start, term.end, hint)


def has_wildcard(term: Term) -> bool:
    """Whether a value holds a `*`."""
    return any(value.kind is ValueKind.STRING and "*" in value.text for value in term.values)


def only_star(term: Term) -> bool:
    """`field:!'*'`: the documented form of "has no value"."""
    return term.operator is Operator.NE and [value.text for value in term.values] == ["*"]


def _operator_problem(term: Term, known: Property, collection: str) -> Diagnostic | None:
    name, operator = term.property, term.operator
    if operator in RANGES and not known.range:
        other, _ = SCALES.get((collection, known.name), ("", BANDS))
        hint = f"compare {other} instead: {other}:{operator}{_edge(term, other, collection)}" if other else None
        return at_term(
            term,
            "bad_operator",
            f"{collection} allow no {operator} on {name}",
            hint or f"ranges: {_ranges(collection)}",
        )
    if operator in RANGES and term.is_list:
        return at_term(term, "bad_operator", f"{operator} takes one value, not a list")
    if operator in WORDS and known.type in ("number", "timestamp"):
        what = "a number" if known.type == "number" else "a time"
        hint = f"{name}:>=60" if known.type == "number" else f"{name}:>'now-7d'"
        return at_term(term, "bad_operator", f"{operator} compares words, and {name} is {what}", hint)
    if known.type == "boolean" and operator not in (Operator.EQ, Operator.NE):
        return at_term(term, "bad_operator", f"{name} is true or false: no {operator}")
    patterns = operator is Operator.WILDCARD or has_wildcard(term) or operator in WORDS
    if collection == "vulnerabilities" and patterns:
        return at_term(
            term, "bad_operator", f"vulnerabilities take no wildcards and no ~ ({name})", "name whole values"
        )
    if collection == "hosts" and operator is Operator.NOT_MATCH:
        return at_term(term, "bad_operator", "hosts do not support !~", f"write {name}:!'value'")
    return None


def _edge(term: Term, other: str, collection: str) -> str:
    """The number at which the named severity begins."""
    bands = SCALES[collection, other][1]
    low, high = bands.get(term.values[0].text.lower(), (60, 80))
    return f"{high if term.operator in (Operator.GT, Operator.LE) else low:g}"


def _ranges(collection: str) -> str:
    return ", ".join(sorted(item.name for item in tables()[collection].values() if item.range)[:8])


def _value_problems(term: Term, value: Value, known: Property, collection: str) -> list[Diagnostic]:
    def at(code: Code, message: str, hint: str | None = None, severity: Severity = "error") -> list[Diagnostic]:
        return [Diagnostic(code, severity, message, value.start, value.end, hint)]

    name, text = known.name, value.text
    if value.kind is ValueKind.NULL or (value.kind is ValueKind.STRING and text in ("", "*")):
        return []
    match known.type:
        case "boolean" if value.kind is not ValueKind.BOOLEAN:
            return at("type_mismatch", f"{name} is true or false", "write true or false without quotes")
        case "number" if value.kind is ValueKind.BOOLEAN or not NUMBER.match(text.replace("*", "0")):
            banded = _other_scale(name, text, term, collection)
            if banded is not None:
                return at("bad_value", f"{name} is a number, and {text!r} is the name of a band", banded)
            return at("type_mismatch", f"{name} is a number")
        case "timestamp" if value.kind is ValueKind.NUMBER and name in EPOCHS:
            return []
        case "timestamp" if value.kind is not ValueKind.STRING:
            return at("type_mismatch", f"{name} is a time", f"write '{_moment(text)}' or 'now-7d'")
        case "timestamp" if "*" not in text:
            return at("bad_value", f"{text!r} is not a time", _as_time(text)) if not is_time(text) else []
        case "string" if known.values and term.operator not in RANGES and _is_other_scale(name, text, collection):
            hint = _other_scale(name, text, term, collection)
            return [
                *at("bad_value", f"{name} is a name, not a number", hint),
                at_term(term, "silent_zero", f"Falcon answers a number in {name} with nothing", None, "warning"),
            ]
        case "string" if value.kind in (ValueKind.NUMBER, ValueKind.BOOLEAN):
            return at("type_mismatch", f"{name} is text", f"write '{text}'", "warning")
    if known.values and term.operator not in RANGES and "*" not in text and text not in known.values:
        return _unlisted(term, value, known)
    return []


def _unlisted(term: Term, value: Value, known: Property) -> list[Diagnostic]:
    """A value that the list of all values does not have; one in another case is known to be a silent zero."""
    spelled = next((item for item in known.values if item.casefold() == value.text.casefold()), None)
    if spelled is not None and term.operator in WORDS:
        return []
    hint = did_you_mean(value.text, known.values) or "values: " + ", ".join(known.values)
    found = [Diagnostic("bad_value", "error", f"{known.name} is never {value.text!r}", value.start, value.end, hint)]
    if spelled is not None:
        message = f"{known.name} heeds case: Falcon answers {value.text!r} with nothing, not with an error"
        found.append(at_term(term, "silent_zero", message, f"write '{spelled}'", "warning"))
    return found


def _is_other_scale(name: str, text: str, collection: str) -> bool:
    return (collection, name) in SCALES and NUMBER.match(text) is not None


def _other_scale(name: str, text: str, term: Term, collection: str) -> str | None:
    """The same severity by name where a number was given, or by number where a name was; None when it is neither."""
    other, bands = SCALES.get((collection, name), ("", BANDS))
    if NUMBER.match(text):
        band = next((band for band, (low, high) in bands.items() if low <= float(text) < high), None)
        if band is None:
            return f"compare {other}:>={text}"
        spelled = band.upper() if collection == "vulnerabilities" else band.capitalize()
        return f"write {name}:'{spelled}', or compare {other}:>={text}"
    if text.lower() not in bands or (collection, name) not in SCALES:
        return None
    low, high = bands[text.lower()]
    if term.operator in RANGES:
        return f"write {name}:{term.operator}{high if term.operator in (Operator.GT, Operator.LE) else low:g}"
    between = f"{name}:>={low:g}+{name}:<{high:g}"
    spelled = text.upper() if collection == "vulnerabilities" else text.capitalize()
    return f"write {other}:'{spelled}' or {between}" if other else f"write {between}"


def is_time(text: str) -> bool:
    """Whether a text is a time of FQL: ISO 8601, possibly cut short, or relative to now."""
    if RELATIVE.match(text):
        return True
    whole = _DATE.match(text)
    if whole is None:
        return False
    try:
        datetime.fromisoformat(whole["day"] + (whole["clock"] or ""))
    except ValueError:
        return False
    return True


def _as_time(text: str) -> str:
    """How the time that somebody wrote in another way is written."""
    lowered = text.strip().lower()
    joined = lowered.replace(" ", "")
    if RELATIVE.match(joined):
        return f"write '{joined}'"
    if lowered in ("today", "yesterday"):
        return "write 'now-1d', or the day as '2026-01-31'"
    ago = _AGO.match(lowered)
    if ago is not None:
        unit = ago[2] if ago[2] == "month" else ago[2][0]
        factor, unit = _HOURS.get(unit, (1, unit))
        return f"write 'now-{int(ago[1]) * factor}{unit}'"
    spaced = lowered.replace(" ", "t", 1).upper()
    if is_time(spaced):
        return f"write '{spaced}'"
    return f"write '{_moment(text)}' or 'now-7d'"


def _moment(text: str) -> str:
    """A moment as FQL writes it: the one that an epoch number means, or an example."""
    if NUMBER.match(text) and 8 < len(text) < 14:
        seconds = float(text) / (1000 if len(text) > 10 else 1)
        return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return "2026-01-31T00:00:00Z"
