"""What is wrong with a CQL query. Falcon answers most mistakes with HTTP 200 and free-text matches or no rows."""

from ..query import Check, Diagnostic, Language
from ..syntax import QuerySyntaxError, did_you_mean
from .judge import Judge
from .parser import parse
from .schema import COLLECTIONS


def check(text: str, collection: str | None = None) -> Check:
    """Check a query: the supported subset, event names, fields through the pipeline, regular expressions.

    The time span is given outside the text, so a query is always bounded in time. The subset has no function that
    writes, sends or reads elsewhere, so what it accepts is read-only.
    """
    place = (collection,) if collection else ("events",)
    if collection is not None and collection not in COLLECTIONS:
        hint = did_you_mean(collection, COLLECTIONS) or "repositories: " + ", ".join(COLLECTIONS)
        unknown = Diagnostic("unknown_collection", "error", f"there is no repository {collection}", 0, 0, hint)
        return Check(Language.CQL, False, True, (unknown,))
    try:
        query = parse(text)
    except QuerySyntaxError as error:
        return Check(Language.CQL, False, True, (error.diagnostic(),), place)
    judge = Judge(query, text)
    found = tuple(sorted(judge.run(), key=lambda item: (item.start, item.end)))
    ok = not any(item.severity == "error" for item in found)
    return Check(Language.CQL, ok, True, found, place, tuple(dict.fromkeys(judge.used)))
