"""What is wrong with a filter before Falcon silently answers it with the wrong rows (LANGUAGES 3.3, VENDOR_APIS 1.14)."""

from collections.abc import Iterator
from dataclasses import replace

from ..query import Check, Diagnostic, Language, Severity
from ..syntax import QuerySyntaxError, did_you_mean
from .ast import And, Node, Not, Operator, Or, Term, ValueKind, terms
from .habits import silent_zeros
from .judging import problems
from .parser import parse, to_text
from .schema import COLLECTIONS, ELSEWHERE, MAX_TERMS, guess, known_in, lookup


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
    found = list(_of_the_whole(node, collection))
    for term in conditions:
        found += _judge(term, collection) if collection else _judge_anywhere(term)
        found += _capitals(term, text)
    if len(conditions) > MAX_TERMS:
        found.append(_too_many(conditions))
    found.sort(key=lambda item: (item.start, item.end))
    return Check(
        Language.FQL,
        not any(item.severity == "error" for item in found),
        True,
        tuple(found),
        (collection,) if collection else (),
        tuple(dict.fromkeys(term.property for term in conditions)),
    )


def _of_the_whole(node: Node, collection: str | None) -> Iterator[Diagnostic]:
    match node:
        case Not(part=part):
            yield from _of_the_whole(part, collection)
        case And(parts=parts) | Or(parts=parts):
            if isinstance(node, Or) and any(isinstance(part, And) and not part.bracketed for part in parts):
                yield _ambiguous(node)
            if isinstance(node, And):
                yield from _contradictions(node, collection)
            for part in parts:
                yield from _of_the_whole(part, collection)
        case Term():
            return


def _ambiguous(node: Or) -> Diagnostic:
    mixed = [part for part in node.parts if isinstance(part, And) and not part.bracketed]
    as_read, other = to_text(node)[1:-1], to_text(_comma_first(node))
    return Diagnostic(
        "ambiguous",
        "warning",
        "`,` and `+` are mixed without brackets; here `+` is taken first",
        mixed[0].start,
        mixed[-1].end,
        f"write {as_read} as it is read here, or {other}",
    )


def _comma_first(node: Or) -> Node:
    """The other reading, in which `,` binds tighter: in `a+b,c+d` the alternatives are b and c."""
    groups: list[list[Node]] = [[]]
    for part in node.parts:
        first, *rest = part.parts if isinstance(part, And) and not part.bracketed else (part,)
        groups[-1].append(first)
        groups += [[item] for item in rest]
    return And(tuple(group[0] if len(group) == 1 else Or(tuple(group)) for group in groups))


def _contradictions(node: And, collection: str | None) -> Iterator[Diagnostic]:
    """Two values that a property cannot hold at once."""
    seen: dict[str, Term] = {}
    for part in node.parts:
        if not isinstance(part, Term) or part.operator is not Operator.EQ or part.is_list:
            continue
        closed = [known for place in known_in(part.property) if (known := lookup(place, part.property)) is not None]
        if collection is not None and (only := lookup(collection, part.property)) is not None:
            closed = [only]
        earlier = seen.setdefault(part.property, part)
        alike = earlier.values == part.values or "*" in earlier.values[0].text + part.values[0].text
        if not alike and closed and all(known.values and known.type == "string" for known in closed):
            both = ",".join(f"'{term.values[0].text}'" for term in (earlier, part))
            yield Diagnostic(
                "silent_zero",
                "warning",
                f"{part.property} is never both {earlier.values[0].text!r} and {part.values[0].text!r}",
                earlier.start,
                part.end,
                f"for either of them write {part.property}:[{both}]",
            )


def _capitals(term: Term, text: str) -> list[Diagnostic]:
    end = term.start + len(term.property)
    if text[term.start : end] == term.property:
        return []
    message = "property names are documented in lower case, and an unknown one matches nothing"
    return [Diagnostic("silent_zero", "info", message, term.start, end, f"write {term.property}")]


def _too_many(conditions: list[Term]) -> Diagnostic:
    properties = len({term.property for term in conditions})
    return Diagnostic(
        "too_complex",
        # Whether a property that is named often counts once is not documented.
        "error" if properties > MAX_TERMS else "warning",
        f"a filter holds at most {MAX_TERMS} properties; this one has {len(conditions)} conditions on {properties}",
        conditions[MAX_TERMS].start,
        conditions[-1].end,
        "use a list: property:['a','b']",
    )


def _judge_anywhere(term: Term) -> list[Diagnostic]:
    collections = known_in(term.property)
    if not collections and term.property in ELSEWHERE:
        return []
    if not collections:
        return [_unknown(term, "no endpoint is known to filter on", guess(term.property), "warning")]
    best: list[Diagnostic] = []
    for number, collection in enumerate(collections):
        judged = _judge(term, collection)
        if not judged:
            return []
        if number == 0 or _weight(judged) < _weight(best):
            best = judged
    return [replace(item, severity="warning") if item.severity == "error" else item for item in best]


def _weight(items: list[Diagnostic]) -> int:
    return sum({"error": 4, "warning": 2, "info": 1}[item.severity] for item in items)


def _unknown(term: Term, message: str, hint: str | None, severity: Severity) -> Diagnostic:
    end = term.start + len(term.property)
    return Diagnostic("unknown_column", severity, f"{message} {term.property}", term.start, end, hint)


def _judge(term: Term, collection: str) -> list[Diagnostic]:
    known = lookup(collection, term.property)
    if known is None:
        hint = guess(term.property, collection)
        return [_unknown(term, f"{collection} do not filter on", hint, "error")]
    if term.operator is Operator.NE and any(value.kind is ValueKind.NULL or value.text == "" for value in term.values):
        return []
    found = problems(term, known, collection)
    return found if any(item.severity == "error" for item in found) else found + silent_zeros(term, known, collection)
