"""The verdict on a KQL text: grammar, names and types, what it may do, whether it is bounded."""

from collections.abc import Collection, Mapping

from ..query import Check, Diagnostic, Language
from ..syntax import QuerySyntaxError, did_you_mean
from . import ast
from .binder import Binder
from .functions import workspace_functions
from .parser import parse
from .policy import unbounded, writes
from .scalars import MOST_FINDINGS
from .schema import SURFACES, Schema, tables


def check(
    text: str,
    collection: str | None = None,
    schema: Schema | None = None,
    functions: Mapping[str, ast.Function] | None = None,
    *,
    allowed_locations: Collection[str] = (),
) -> Check:
    """Check a query.

    Args:
        text: One or more statements.
        collection: The table that the query is about, or `sentinel` or `defender` to check against the tables of
            that place alone. Without a place, a column of either is known.
        schema: Tables to check against instead of the built-in ones, see `load_schema`.
        functions: Functions of the workspace instead of the built-in ones, see `load_functions`.
        allowed_locations: Addresses that `externaldata` may read.

    Returns:
        `ok`: it parses and every table, column, function and type fits. `read_only`: it only reads its own tables; a
        text that cannot be parsed is never called read-only.
    """
    place = collection if collection in SURFACES else None
    known = schema if schema is not None else tables(place)
    callable_functions = workspace_functions() if functions is None else functions
    try:
        return _checked(text, collection, known, callable_functions, allowed_locations)
    except QuerySyntaxError as error:
        return Check(Language.KQL, False, False, (error.diagnostic(),))
    except RecursionError:
        found = Diagnostic("too_complex", "error", "the query is nested too deeply to be judged", 0, len(text))
        return Check(Language.KQL, False, False, (found,))


def _checked(
    text: str,
    collection: str | None,
    known: Schema,
    functions: Mapping[str, ast.Function],
    allowed_locations: Collection[str],
) -> Check:
    query = parse(text)
    policy = list(writes(query, functions, allowed_locations))
    if query.command is not None:
        return Check(Language.KQL, False, False, tuple(policy))
    binder = Binder(known, functions)
    findings = list(binder.bind(query))
    if collection is not None and collection not in SURFACES and collection not in known:
        hint = did_you_mean(collection, known)
        findings.insert(0, Diagnostic("unknown_collection", "error", f"there is no table {collection}", 0, 0, hint))
    ok = not any(item.severity == "error" for item in findings)
    open_table = unbounded(query, known)
    listed = [*findings, *policy[:MOST_FINDINGS], *([open_table] if open_table else [])]
    return Check(
        Language.KQL,
        ok,
        read_only=not policy,
        diagnostics=tuple(sorted(listed, key=lambda item: (item.start, item.end))),
        collections=tuple(binder.collections),
        fields=tuple(binder.fields),
    )
