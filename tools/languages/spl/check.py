"""What is wrong with an SPL query. Splunk has no schema and answers most mistakes with no rows."""

from ..query import Check, Diagnostic, Language
from ..syntax import QuerySyntaxError, did_you_mean
from .judge import Judge
from .outline import outline, without_comments
from .parser import parse_outline
from .policy import writes
from .schema import logs


def check(text: str, collection: str | None = None) -> Check:
    """Check a query: the supported subset, reading only, bounds, fields through the pipeline, traps.

    Args:
        text: The query; it may begin with `search` or not.
        collection: A known log (`sysmon`, `security`, `system`, `powershell`) that it is for, where its text names none.
    """
    if collection is not None and collection not in logs():
        hint = did_you_mean(collection, logs()) or "logs: " + ", ".join(logs())
        unknown = Diagnostic("unknown_collection", "error", f"there is no log {collection}", 0, 0, hint)
        return Check(Language.SPL, False, True, (unknown,))
    given = (collection,) if collection else ()
    clean = without_comments(text)
    try:
        commands = outline(clean)
    except QuerySyntaxError as error:
        # What cannot be cut into commands cannot be called harmless.
        return Check(Language.SPL, False, False, (error.diagnostic(),), given)
    refused = tuple(writes(commands))
    try:
        query = parse_outline(clean, commands)
    except QuerySyntaxError as error:
        found = _in_order((*refused, error.diagnostic()))
        return Check(Language.SPL, False, not refused, found, given)
    judge = Judge(query, clean, collection)
    found = _in_order((*refused, *judge.run()))
    ok = not any(item.severity == "error" for item in found)
    return Check(Language.SPL, ok, not refused, found, judge.places, tuple(dict.fromkeys(judge.used)))


def _in_order(found: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    return tuple(sorted(found, key=lambda item: (item.start, item.end)))
