"""Rewritten KQL to DuckDB SQL, by duckdb-kql."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from duckdb_kql import KqlError, KqlSchemaError, KqlUnsupportedError
from duckdb_kql.translate import CLOCK_SLOT, clock, to_sql

from ....tools.languages.kql import ast
from .faults import SemanticFaultError, UnrunnableError, unresolved_table
from .lowering import lowered
from .sql_functions import PREFIX, registered

_ONE_AT_A_TIME = threading.Lock()
"""The translator keeps state of its own while it works."""
_WORDS: Mapping[str, str] = {"function:": "the function ", "aggregate:": "the aggregate ", "operator:": "the operator "}
_NO_HINT = "no DuckDB mapping"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A query in words that can be translated: its last table, and the tables and scalars that it reads."""

    node: ast.Node
    lets: Sequence[ast.Let]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and the values of its parameters."""

    sql: str
    values: Mapping[str, Any]


def translated(query: Rewritten, tables: Mapping[str, list[str]], now: datetime) -> Statement:
    """DuckDB SQL of a query that was rewritten.

    Args:
        query: What is run.
        tables: Table to its columns.
        now: What `now()` means, UTC without a zone.

    Raises:
        SemanticFaultError: it names what does not exist here.
        UnrunnableError: it uses what cannot be translated.
    """
    registered()
    try:
        with _ONE_AT_A_TIME, clock(now) as active:
            sql = to_sql(lowered(query.node, query.lets), dict(tables))
    except KqlUnsupportedError as exc:
        raise UnrunnableError(_in_words(exc)) from exc
    except KqlSchemaError as exc:
        raise unresolved_table(exc.name) from exc
    except KqlError as exc:
        raise SemanticFaultError(str(exc)) from exc
    except RecursionError as exc:
        raise UnrunnableError("a query that is nested this deeply") from exc
    return Statement(str(sql), {CLOCK_SLOT: now} if active.used else {})


def _in_words(exc: KqlUnsupportedError) -> str:
    construct = str(exc.construct)
    for prefix, words in _WORDS.items():
        if construct.startswith(prefix):
            construct = words + construct.removeprefix(prefix).removeprefix(PREFIX)
    return construct if exc.hint is None or _NO_HINT in exc.hint else f"{construct} ({exc.hint})"
