"""Legal conditions that an endpoint is known to answer with nothing, and no error (VENDOR_APIS 1.14, LANGUAGES 3.3)."""

import re
from collections.abc import Iterator
from datetime import date, timedelta

from ..query import Diagnostic
from .ast import Operator, Term, ValueKind
from .judging import EPOCHS, NUMBER, RANGES, RELATIVE, SCALES, WORDS, at_term, has_wildcard, only_star
from .schema import Property

_TECHNIQUE = re.compile(r"T\d{4}(?:\.\d{3})?\Z", re.I)
_TACTIC = re.compile(r"TA\d{4}\Z", re.I)
_BLOCK = re.compile(r"[0-9.]+/[0-9]{1,2}\Z")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_LIKE = re.compile(r"%[^%*]+|%?[^%*]+%\Z")
"""A value with SQL's wildcard at an end; `%TEMP%` is taken for one, too, outside command lines."""
_HASHES = ("md5", "sha1", "sha256")

Finding = tuple[str, str]
"""What the endpoint does, and what to write instead."""


def silent_zeros(term: Term, known: Property, collection: str) -> list[Diagnostic]:
    """Warnings about a condition that is right by grammar and type."""
    if only_star(term):
        return []
    texts = [value.text for value in term.values if value.kind is ValueKind.STRING]
    found = next(_habits(term, known, collection, texts), None)
    if found is not None:
        message, hint = found
        return [at_term(term, "silent_zero", message, hint, "warning")]
    surprise = _not_quite_zero(term, known, collection)
    return [at_term(term, "silent_zero", surprise, f"write {term.property}:'value'", "info")] if surprise else []


def _habits(term: Term, known: Property, collection: str, texts: list[str]) -> Iterator[Finding]:
    match known.type:
        case "array":
            yield from _array(term)
        case "timestamp":
            yield from _time(term, known, texts)
        case "number":
            yield from _number(term, known, collection)
        case _:
            match collection:
                case "alerts":
                    yield from _alerts(term, known, texts)
                case "hosts":
                    yield from _hosts(term, known, texts)
                case "cases":
                    yield from _cases(term, texts)
                case "vulnerabilities":
                    yield from _vulnerabilities(term)
            yield from _text(term, known, texts)


def _array(term: Term) -> Iterator[Finding]:
    if term.operator in WORDS or term.operator is Operator.WILDCARD or (has_wildcard(term) and not _any_value(term)):
        what = "~ matches" if term.operator in WORDS else "wildcards match"
        value = term.values[0].text.strip("*") or "value"
        yield (
            f"{term.property} is an array, where {what} nothing: items are compared whole",
            f"{term.property}:'{value}'",
        )


def _time(term: Term, known: Property, texts: list[str]) -> Iterator[Finding]:
    name = term.property
    if term.operator is Operator.WILDCARD or (has_wildcard(term) and not _any_value(term)):
        yield f"{name} is a time, where wildcards match nothing", f"{name}:>='2026-01-01'+{name}:<'2026-02-01'"
    for text in texts:
        relative = RELATIVE.match(text)
        if relative and relative["unit"] in ("w", "M", "y"):
            yield f"only hours and days are documented behind now, not {relative['unit']}", f"{name}:>'now-30d'"
        if term.operator is Operator.EQ and relative:
            yield f"{name} hardly equals the very moment {text!r}", f"{name}:>='{text}'"
        if term.operator is Operator.EQ and _DAY.match(text) and known.name not in EPOCHS:
            yield f"{name} holds moments, and no day equals one", f"{name}:>='{text}'+{name}:<'{_next_day(text)}'"
        if term.operator in (Operator.GT, Operator.GE) and text == "now" and not name.startswith("expir"):
            yield f"no {name} is later than now", f"{name}:>'now-24h'"


def _next_day(text: str) -> str:
    try:
        return (date.fromisoformat(text) + timedelta(days=1)).isoformat()
    except OverflowError:
        return text


def _number(term: Term, known: Property, collection: str) -> Iterator[Finding]:
    if (collection, known.name) not in SCALES:
        return
    top = 10 if known.name == "cve.base_score" else 100
    for value in term.values:
        if not NUMBER.match(value.text):
            continue
        number = float(value.text)
        above = number > top or (number == top and term.operator is Operator.GT)
        if (above and term.operator not in (Operator.LT, Operator.LE, Operator.NE)) or (
            term.operator in (Operator.LT, Operator.LE) and number < 0
        ):
            yield f"{known.name} goes from 0 to {top}", f"{known.name}:>={top * 4 // 5}"
        if term.operator is Operator.EQ and 0 < number <= 5 and top == 100:
            bands = "Informational below 20, Low 20, Medium 40, High 60, Critical 80"
            yield (
                f"{known.name} goes from 0 to 100 ({bands}); {value.text} is no level",
                f"{known.name}:>={number * 20 - 20:g}",
            )


def _alerts(term: Term, known: Property, texts: list[str]) -> Iterator[Finding]:
    name = term.property
    if term.is_list and has_wildcard(term):
        yield f"a list compares whole values, and * is a character in it ({name})", f"{name}:'begin*',{name}:'*end'"
    if known.name == "technique" and any(map(_TECHNIQUE.match, texts)):
        yield "technique holds names", f"technique_id:'{texts[0].upper()}'"
    if known.name == "tactic" and any(map(_TACTIC.match, texts)):
        yield "tactic holds names", f"tactic_id:'{texts[0].upper()}'"
    if known.name == "technique_id" and not any(text[:1] in "Tt*C" for text in texts):
        yield "technique_id holds ids such as T1003", f"technique:'{texts[0] if texts else 'value'}'"
    if known.name == "filename" and any("\\" in text or "/" in text for text in texts):
        yield "filename holds the last part of a path", "filepath:'*...*'"
    if known.name.endswith("_ip") and any(map(_BLOCK.match, texts)):
        yield f"FQL has no CIDR; {name} is compared as text", f"{name}:'10.1.*'"


def _hosts(term: Term, known: Property, texts: list[str]) -> Iterator[Finding]:
    name, plain = term.property, term.operator in (Operator.EQ, Operator.NE)
    if not plain:
        return
    if "*" in texts and term.operator is Operator.EQ:
        yield f"hosts do not support {name}:'*'", f"{name}:!''"
    if known.type == "ip" and any("*" in text for text in texts):
        hint = "local_ip.raw:*'192.168.*'" if name == "local_ip" else f"{name}:>='203.0.113.0'+{name}:<='203.0.113.255'"
        yield f"{name} takes no wildcards", hint
    if name == "tags" and any(
        not text.startswith(("FalconGroupingTags/", "SensorGroupingTags/")) for text in texts if text
    ):
        yield "host tags are compared whole, with their prefix and with case", "tags:'FalconGroupingTags/Name'"
    if name == "tags" and any("*" in text for text in texts):
        yield "host tags are compared whole", "tags:'FalconGroupingTags/Name'"
    if any(len(text) > 2 and text.startswith("*") and text.endswith("*") for text in texts):
        yield f"hosts match nothing for a wildcard on both sides ({name})", f"{name}:*'{_starred(texts)}'"
    if any("*" in text[1:-1] for text in texts):
        yield f"hosts take * at one end of a value only ({name})", f"{name}:*'{_starred(texts)}'"
    if term.is_list and has_wildcard(term):
        yield f"a list compares whole values, and * is a character in it ({name})", f"{name}:'begin*',{name}:'*end'"


def _cases(term: Term, texts: list[str]) -> Iterator[Finding]:
    name = term.property
    if term.operator in WORDS:
        yield "cases answer ~ with nothing", f"{name}:*'*{texts[0].strip('*') if texts else 'text'}*'"
    if term.operator in (Operator.EQ, Operator.NE) and has_wildcard(term):
        yield "cases take a wildcard literally unless * stands before the value", f"{name}:*'{_starred(texts)}'"


def _starred(texts: list[str]) -> str:
    return next(text for text in texts if "*" in text)


def _vulnerabilities(term: Term) -> Iterator[Finding]:
    if term.property in ("cve.id", "vulnerability_id") and not term.is_list:
        value = term.values[0].text if term.values else "CVE-2026-0001"
        yield f"{term.property} is compared as a list", f"{term.property}:['{value}']"


def _text(term: Term, known: Property, texts: list[str]) -> Iterator[Finding]:
    name = term.property
    if term.operator not in (Operator.EQ, Operator.NE):
        return
    for text in texts:
        spelled = next((item for item in known.usual if item.casefold() == text.casefold()), None)
        if spelled is not None and text not in known.usual:
            yield f"{name} heeds case", f"{name}:'{spelled}'"
        if known.name.rsplit(".", 1)[-1] in _HASHES and text != text.lower():
            yield "hashes are written in lower case", f"{name}:'{text.lower()}'"
        if known.letters == "upper" and text != text.upper():
            yield f"{name} is written in upper case", f"{name}:'{text.upper()}'"
        if known.name != "cmdline" and _LIKE.match(text):
            yield "% is a character, and the wildcard is *", f"{name}:'{text.replace('%', '*')}'"
        if text != text.strip():
            yield "the spaces around the value are compared, too", f"{name}:'{text.strip()}'"


def _not_quite_zero(term: Term, known: Property, collection: str) -> str | None:
    """What surprises without always matching nothing; said as information."""
    if term.operator not in (Operator.EQ, Operator.NE) or known.type != "string" or known.values:
        return None
    if collection in ("alerts", "hosts") and term.is_list and len(term.values) == 1 and not known.is_code:
        return "a list of one value is compared whole and with case"
    if collection in ("iocs", "intel") and has_wildcard(term) and not _any_value(term):
        return f"{collection} may take * literally unless it stands before the value too: {term.property}:*'*text*'"
    return None


def _any_value(term: Term) -> bool:
    return [value.text for value in term.values] == ["*"] and term.operator not in RANGES
