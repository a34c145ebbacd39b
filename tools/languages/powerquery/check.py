"""What is wrong with a PowerQuery before it is sent (LANGUAGES 4.2, VENDOR_APIS 2.5)."""

from ..query import Check, Diagnostic, Language
from ..syntax import QuerySyntaxError, did_you_mean
from .ast import Columns, Command, Filter, Group, Let, Limit, Query, SaveLookup, Sort
from .judging import Judge
from .parser import parse
from .schema import COLLECTIONS, MAX_TEXT


def check(text: str, collection: str | None = None) -> Check:
    """Check a query: the supported subset, fields through the pipeline, types, closed lists, patterns, escapes.

    The time span is given outside the text and an answer holds 1,000 rows without `limit`, so a query is always
    bounded. A text that cannot be parsed is never called read-only.
    """
    if collection is not None and collection not in COLLECTIONS:
        hint = did_you_mean(collection, COLLECTIONS) or "collections: events"
        unknown = Diagnostic("unknown_collection", "error", f"PowerQuery has no collection {collection}", 0, 0, hint)
        return Check(Language.POWERQUERY, False, False, (unknown,))
    try:
        query = parse(text)
    except QuerySyntaxError as error:
        return Check(Language.POWERQUERY, False, False, (error.diagnostic(),), COLLECTIONS)
    judge = Judge(text)
    _judge(query, judge)
    writes = [command for command in query.commands if isinstance(command, SaveLookup)]
    found = [*judge.findings, *map(_writing, writes)]
    if len(text) > MAX_TEXT:
        message = f"{len(text):,} characters, and the console takes about {MAX_TEXT:,}"
        found.append(Diagnostic("too_complex", "warning", message, 0, len(text)))
    return Check(
        Language.POWERQUERY,
        not any(item.severity == "error" for item in found),
        not writes,
        tuple(sorted(found, key=lambda item: (item.start, item.end))),
        COLLECTIONS,
        tuple(dict.fromkeys(judge.used)),
    )


def _writing(command: SaveLookup) -> Diagnostic:
    message = f"savelookup stores the rows in the tenant as {command.table!r}; queries here only read"
    return Diagnostic("not_read_only", "warning", message, command.start, command.end, "leave | savelookup out")


def _judge(query: Query, judge: Judge) -> None:
    if query.condition is not None:
        judge.condition(query.condition, first=True)
    for command in query.commands:
        _command(command, judge)


def _command(command: Command, judge: Judge) -> None:
    match command:
        case Filter(condition=condition):
            judge.condition(condition, first=False)
        case Columns(items=items):
            judge.replace(items)
        case Let(items=items):
            judge.add(items)
        case Group(aggregates=aggregates, by=by):
            judge.group(aggregates, by)
        case Sort(keys=keys):
            for key in keys:
                judge.expression(key.expression)
        case Limit() | SaveLookup():
            return
