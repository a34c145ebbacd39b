"""KQL text to DuckDB SQL: every call of duckdb-kql is in this module."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb_kql
from duckdb_kql import KqlError, KqlSchemaError, KqlSyntaxError, KqlUnsupportedError

from .faults import SemanticFaultError, UnrunnableError, unresolved_table
from .sql_functions import registered

_ONE_AT_A_TIME = threading.Lock()
"""The translator keeps state of its own while it works."""
_WORDS: Mapping[str, str] = {"function:": "the function ", "aggregate:": "the aggregate ", "operator:": "the operator "}


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and the values of its parameters."""

    sql: str
    values: Mapping[str, Any]


def translated(text: str, tables: Mapping[str, list[str]], now: datetime) -> Statement:
    """DuckDB SQL of KQL that was rewritten.

    Args:
        text: KQL, one expression behind its `let` statements.
        tables: Table to its columns.
        now: What `now()` means, UTC without a zone.

    Raises:
        SemanticFaultError: it names what does not exist here.
        UnrunnableError: it uses what cannot be translated.
    """
    registered()
    try:
        with _ONE_AT_A_TIME:
            sql = duckdb_kql.to_sql(text, schema=dict(tables), allow_write=False, query_now=now, functions=[])
    except KqlSyntaxError as exc:
        raise UnrunnableError(f"this way of writing: {exc}") from exc
    except KqlUnsupportedError as exc:
        raise UnrunnableError(_in_words(exc)) from exc
    except KqlSchemaError as exc:
        raise unresolved_table(exc.name) from exc
    except KqlError as exc:
        raise SemanticFaultError(str(exc)) from exc
    except RecursionError as exc:
        raise UnrunnableError("a query that is nested this deeply") from exc
    return Statement(str(sql), dict(sql.parameters))


def _in_words(exc: KqlUnsupportedError) -> str:
    construct = str(exc.construct)
    for prefix, words in _WORDS.items():
        if construct.startswith(prefix):
            construct = words + construct.removeprefix(prefix)
    return f"{construct}{f' ({exc.hint})' if exc.hint else ''}"
