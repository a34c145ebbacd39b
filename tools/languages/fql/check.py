"""What is wrong with a filter before Falcon silently answers it with the wrong rows (LANGUAGES 3.3, VENDOR_APIS 1.14)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from ..query import Check, Code, Diagnostic, Language, Severity
from ..syntax import QuerySyntaxError, did_you_mean
from .ast import And, Node, Not, Operator, Or, Term, Value, ValueKind, terms
from .parser import parse
from .schema import COLLECTIONS, MAX_TERMS, Property, every_property, known_in, lookup, tables

_RANGES = frozenset({Operator.GT, Operator.GE, Operator.LT, Operator.LE})
_WORDS = frozenset({Operator.MATCH, Operator.NOT_MATCH})
_DATE = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})(?P<clock>[Tt]\d{2}(?::\d{2}(?::\d{2})?)?)?(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:?\d{2})?\Z"
)
_RELATIVE = re.compile(r"now(?:[-+]\d+[smhdwMy])?\Z")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?\Z")


def check(text: str, collection: str | None = None) -> Check:
    """Check a filter, against one collection's properties or, without a collection, against all of them.

    Without a collection a doubt about a property is a warning, since the endpoint is not known.
    """
    if collection is not None and collection not in COLLECTIONS:
        hint = did_you_mean(collection, COLLECTIONS) or "collections: " + ", ".join(COLLECTIONS)
        unknown = Diagnostic("unknown_collection", "error", f"FQL has no collection {collection}", 0, 0, hint)
        return Check(Language.FQL, False, True, (unknown,))
    try:
        node = parse(text)
    except QuerySyntaxError as error:
        return Check(Language.FQL, False, True, (error.diagnostic(),), (collection,) if collection else ())
    conditions = list(terms(node))
    found: list[Diagnostic] = list(_ambiguous(node))
    for term in conditions:
        found += _judge(term, collection) if collection else _judge_anywhere(term)
    if len(conditions) > MAX_TERMS:
        properties = len({term.property for term in conditions})
        found.append(
            Diagnostic(
                "too_complex",
                # Whether a property that is named often counts once is not documented.
                "error" if properties > MAX_TERMS else "warning",
                f"a filter holds at most {MAX_TERMS} properties; this one has {len(conditions)} conditions on {properties}",
                conditions[MAX_TERMS].start,
                conditions[-1].end,
                "use a list: property:['a','b']",
            )
        )
    found.sort(key=lambda item: (item.start, item.end))
    return Check(
        Language.FQL,
        not any(item.severity == "error" for item in found),
        True,
        tuple(found),
        (collection,) if collection else (),
        tuple(dict.fromkeys(term.property for term in conditions)),
    )


def _ambiguous(node: Node) -> Iterator[Diagnostic]:
    match node:
        case Not(part=part):
            yield from _ambiguous(part)
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                if isinstance(node, Or) and isinstance(part, And) and not part.bracketed:
                    yield Diagnostic(
                        "ambiguous",
                        "warning",
                        "`,` and `+` are mixed without brackets; here `+` is taken first",
                        part.start,
                        part.end,
                        "put brackets around what belongs together",
                    )
                yield from _ambiguous(part)
        case Term():
            return


def _judge_anywhere(term: Term) -> list[Diagnostic]:
    collections = known_in(term.property)
    if not collections:
        hint = did_you_mean(term.property, every_property())
        return [_unknown(term, "no endpoint is known to filter on", hint, "warning")]
    judged = [_judge(term, collection) for collection in collections]
    best = min(judged, key=lambda items: sum(2 if item.severity == "error" else 1 for item in items))
    return [replace(item, severity="warning") if item.severity == "error" else item for item in best]


def _unknown(term: Term, message: str, hint: str | None, severity: Severity) -> Diagnostic:
    end = term.start + len(term.property)
    return Diagnostic("unknown_column", severity, f"{message} {term.property}", term.start, end, hint)


def _judge(term: Term, collection: str) -> list[Diagnostic]:
    known = lookup(collection, term.property)
    if known is None:
        hint = did_you_mean(term.property, tables()[collection])
        return [_unknown(term, f"{collection} do not filter on", hint, "error")]
    problem = _operator_problem(term, known, collection)
    if problem is not None:
        return [problem]
    found = [item for value in term.values for item in (_value_problem(term, value, known),) if item is not None]
    return found or _habits(term, known, collection)


def _at(term: Term, code: Code, message: str, hint: str | None = None, severity: Severity = "error") -> Diagnostic:
    return Diagnostic(code, severity, message, term.start, term.end, hint)


def _has_wildcard(term: Term) -> bool:
    return any(value.kind is ValueKind.STRING and "*" in value.text for value in term.values)


def _operator_problem(term: Term, known: Property, collection: str) -> Diagnostic | None:
    name, operator = term.property, term.operator
    wildcard = operator is Operator.WILDCARD or _has_wildcard(term)
    if operator in _RANGES and not known.range:
        return _at(
            term, "bad_operator", f"{collection} allow no {operator} on {name}", f"ranges: {_ranges(collection)}"
        )
    if operator in _RANGES and term.is_list:
        return _at(term, "bad_operator", f"{operator} takes one value, not a list")
    if known.type == "array" and (wildcard or operator in _WORDS) and not _only_star(term):
        return _at(term, "bad_operator", f"{name} is an array: only exact values are compared", f"{name}:['value']")
    if known.type == "timestamp" and (wildcard or operator in _WORDS) and not _only_star(term):
        return _at(term, "bad_operator", f"{name} is a time: no wildcards and no ~", f"{name}:>'now-7d'")
    if known.type == "boolean" and operator not in (Operator.EQ, Operator.NE):
        return _at(term, "bad_operator", f"{name} is true or false: no {operator}")
    if collection == "vulnerabilities" and (wildcard or operator in _WORDS):
        return _at(term, "bad_operator", f"vulnerabilities take no wildcards and no ~ ({name})", "name whole values")
    if collection == "hosts" and operator is Operator.NOT_MATCH:
        return _at(term, "bad_operator", "hosts do not support !~", "write !'value'")
    return None


def _only_star(term: Term) -> bool:
    """`field:!'*'`: the documented form of "has no value"."""
    return term.operator is Operator.NE and [value.text for value in term.values] == ["*"]


def _ranges(collection: str) -> str:
    return ", ".join(sorted(item.name for item in tables()[collection].values() if item.range)[:8])


def _value_problem(term: Term, value: Value, known: Property) -> Diagnostic | None:
    def at(code: Code, message: str, hint: str | None = None, severity: Severity = "error") -> Diagnostic:
        return Diagnostic(code, severity, message, value.start, value.end, hint)

    name, text = known.name, value.text
    if value.kind is ValueKind.NULL or (value.kind is ValueKind.STRING and text in ("", "*")):
        return None
    match known.type:
        case "boolean" if value.kind is not ValueKind.BOOLEAN:
            return at("type_mismatch", f"{name} is true or false", "write true or false without quotes")
        case "number" if value.kind is ValueKind.BOOLEAN or not _NUMBER.match(text.replace("*", "0")):
            return at("type_mismatch", f"{name} is a number")
        case "timestamp" if value.kind is ValueKind.NUMBER and name in (
            "created_date",
            "last_updated",
            "published_date",
        ):
            return None
        case "timestamp" if value.kind is not ValueKind.STRING:
            return at("type_mismatch", f"{name} is a time", "write '2026-01-31T00:00:00Z' or 'now-7d'")
        case "timestamp" if not _is_time(text):
            hint = f"write '{text.lower()}'" if _RELATIVE.match(text.lower()) else "'2026-01-31T00:00:00Z' or 'now-7d'"
            return at("bad_value", f"{text!r} is not a time", hint)
        case "string" if value.kind in (ValueKind.NUMBER, ValueKind.BOOLEAN):
            return at("type_mismatch", f"{name} is text", f"write '{text}'", "warning")
    if known.values and term.operator not in _RANGES and "*" not in text and text not in known.values:
        if term.operator in _WORDS and text.lower() in (item.lower() for item in known.values):
            return None
        hint = did_you_mean(text, known.values) or "values: " + ", ".join(known.values)
        return at("bad_value", f"{name} is never {text!r}", hint)
    return None


def _is_time(text: str) -> bool:
    if _RELATIVE.match(text):
        return True
    whole = _DATE.match(text)
    if whole is None:
        return False
    try:
        datetime.fromisoformat(whole["day"] + (whole["clock"] or ""))
    except ValueError:
        return False
    return True


def _habits(term: Term, known: Property, collection: str) -> list[Diagnostic]:
    """Legal filters that an endpoint answers with nothing."""
    name, texts = term.property, [value.text for value in term.values if value.kind is ValueKind.STRING]
    plain = term.operator in (Operator.EQ, Operator.NE)

    def silent(message: str, hint: str) -> list[Diagnostic]:
        return [_at(term, "silent_zero", message, hint, "warning")]

    if collection == "hosts" and plain:
        if known.type == "string" and any(len(t) > 2 and t.startswith("*") and t.endswith("*") for t in texts):
            return silent(
                f"hosts match nothing for a wildcard on both sides ({name})", f"{name}:'begin*' or {name}:'*end'"
            )
        if term.operator is Operator.EQ and "*" in texts:
            return silent(f"hosts do not support {name}:'*'", f"{name}:!''")
        if known.type == "ip" and any("*" in t for t in texts):
            return silent(f"{name} takes no wildcards", "local_ip.raw:*'192.168.*'")
        if name == "tags" and any("/" not in t for t in texts if t):
            return silent("host tags are compared whole", "tags:'FalconGroupingTags/Name'")
    if collection == "cases":
        if term.operator in _WORDS:
            return silent("cases answer ~ with nothing", f"{name}:*'*text*'")
        if plain and any("*" in t for t in texts) and not _only_star(term):
            return silent("cases take a wildcard literally unless * stands before the value", f"{name}:*'*text*'")
    if collection == "vulnerabilities" and name in ("cve.id", "vulnerability_id") and not term.is_list:
        return silent(f"{name} is compared as a list", f"{name}:['CVE-2026-0001']")
    return []
