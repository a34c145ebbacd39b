"""S1QL 1.0 (Deep Visibility) as SQL over the table of endpoint events.

Plain operators heed case, those with `CIS` or `Anycase` ignore it. Regular expressions are RE2, found anywhere. A
negation also holds for events without the field.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from ...tools.languages import s1ql
from ...tools.languages.s1ql import Comparison, Operator, Quoting, Value, ValueKind
from ...tools.languages.s1ql.schema import lookup
from ...tools.languages.syntax import QuerySyntaxError
from .sql import Clause, QueryRejectedError, joined, moment, naive, quoted
from .telemetry import Telemetry

TABLE = "s1_events"
_SIGNS = frozenset({Operator.LT, Operator.LE, Operator.GT, Operator.GE})


def run(
    telemetry: Telemetry, text: str, start: datetime, end: datetime, limit: int, quoting: Quoting = Quoting.PUBLISHED
) -> list[dict[str, Any]]:
    """The events that match within the window, newest first, at most `limit`.

    Args:
        telemetry: The lab's tables.
        text: The query.
        start: First moment, included.
        end: Last moment, excluded.
        limit: Most rows.
        quoting: How the text writes its strings.

    Raises:
        QueryRejectedError: the text is not S1QL, or names a field that does not exist.
    """
    columns = telemetry.tables.get(TABLE, {})
    condition = where(text, columns, quoting)
    result = telemetry.run(
        f'SELECT * FROM {telemetry.place(TABLE)} WHERE "eventTime" >= ? AND "eventTime" < ? AND ({condition.sql}) '
        f'ORDER BY "eventTime" DESC LIMIT {limit}',
        (naive(start), naive(end), *condition.values),
    )
    return result.records()


def where(text: str, columns: Mapping[str, str], quoting: Quoting = Quoting.PUBLISHED) -> Clause:
    """The condition that a query sets on the table with these columns.

    Raises:
        QueryRejectedError: the text is not S1QL, or names a field that does not exist.
    """
    try:
        return _node(s1ql.parse(text, quoting), columns)
    except QuerySyntaxError as exc:
        raise QueryRejectedError(str(exc)) from exc


def _node(node: s1ql.Node, columns: Mapping[str, str]) -> Clause:
    match node:
        case s1ql.And(parts=parts):
            return joined([_node(part, columns) for part in parts], "AND")
        case s1ql.Or(parts=parts):
            return joined([_node(part, columns) for part in parts], "OR")
        case s1ql.Not(part=part):
            return _not(_node(part, columns))
        case Comparison():
            name = _column(node.field, columns)
            clause = _comparison(node, quoted(name), columns[name]) if name else _absent(node)
            return _not(clause) if node.negated or node.operator is Operator.NE else clause


def _comparison(node: Comparison, column: str, kind: str) -> Clause:
    text = column if kind == "VARCHAR" else f"CAST({column} AS VARCHAR)"
    match node.operator:
        case Operator.IS_EMPTY:
            return Clause(f"coalesce({text}, '') = ''")
        case Operator.EXISTS:
            return Clause(f"{column} IS NOT NULL")
        case Operator.IS_TRUE:
            return Clause(f"lower({text}) = 'true'")
        case Operator.IS_FALSE:
            return Clause(f"lower({text}) = 'false'")
        case Operator.BETWEEN:
            low, high = node.values
            return joined([_ordered(column, kind, ">=", low), _ordered(column, kind, "<=", high)], "AND")
        case operator if operator in _SIGNS:
            return _ordered(column, kind, str(operator), node.values[0])
        case operator:
            boolean = kind == "BOOLEAN" or ((known := lookup(node.field)) is not None and known.type == "bool")
            return joined([_text(operator, column, text, kind, value, boolean) for value in node.values], "OR")


def _text(operator: Operator, column: str, text: str, kind: str, value: Value, boolean: bool) -> Clause:
    match operator:
        case Operator.EQ | Operator.NE | Operator.IN:
            if kind.startswith("TIMESTAMP"):
                return _ordered(column, kind, "=", value)
            # Truth values come as text, `True` in one event and `true` in the next.
            if boolean or value.kind is ValueKind.BOOLEAN:
                return Clause(f"lower({text}) = ?", (value.text.lower(),))
            return Clause(f"{text} = ?", (value.text,))
        case Operator.IN_ANYCASE:
            return Clause(f"lower({text}) = lower(?)", (value.text,))
        case Operator.CONTAINS | Operator.IN_CONTAINS:
            return Clause(f"contains({text}, ?)", (value.text,))
        case Operator.CONTAINS_CIS | Operator.IN_CONTAINS_ANYCASE:
            return Clause(f"contains(lower({text}), lower(?))", (value.text,))
        case Operator.STARTSWITH:
            return Clause(f"starts_with({text}, ?)", (value.text,))
        case Operator.STARTSWITH_CIS:
            return Clause(f"starts_with(lower({text}), lower(?))", (value.text,))
        case Operator.ENDSWITH:
            return Clause(f"ends_with({text}, ?)", (value.text,))
        case Operator.ENDSWITH_CIS:
            return Clause(f"ends_with(lower({text}), lower(?))", (value.text,))
        case Operator.REGEXP:
            return Clause(f"regexp_matches({text}, ?)", (value.text,))
        case _:
            raise AssertionError(operator)


def _ordered(column: str, kind: str, sign: str, value: Value) -> Clause:
    number = re.fullmatch(r"-?\d+(\.\d+)?", value.text)
    if number and not kind.startswith("TIMESTAMP"):
        return Clause(f"TRY_CAST({column} AS DOUBLE) {sign} ?", (float(value.text),))
    try:
        wanted = datetime.fromtimestamp(float(value.text) / 1000, UTC) if number else moment(value.text)
    except ValueError as exc:
        raise QueryRejectedError(f"{value.text!r} is neither a number nor a time") from exc
    return Clause(f"TRY_CAST({column} AS TIMESTAMP) {sign} ?", (naive(wanted),))


def _absent(node: Comparison) -> Clause:
    """A field that exists in the language and in no event."""
    return Clause("TRUE" if node.operator is Operator.IS_EMPTY else "FALSE")


def _not(clause: Clause) -> Clause:
    return Clause(f"NOT coalesce({clause.sql}, FALSE)", clause.values)


def _column(field: str, columns: Mapping[str, str]) -> str | None:
    """The column that carries a field; None when no event has it.

    Raises:
        QueryRejectedError: the language has no such field.
    """
    by_name = {name.casefold(): name for name in columns}
    if field.casefold() in by_name:
        return by_name[field.casefold()]
    twins = _twins().get(field.casefold())
    if twins is None:
        raise QueryRejectedError(f"unknown field {field}")
    return next((by_name[twin] for twin in twins if twin in by_name), None)


@cache
def _twins() -> Mapping[str, tuple[str, ...]]:
    """Each field of the language to the names that mean the same, all in lower case."""
    source = files("tracehound.tools.languages.s1ql").joinpath("fields.json")
    fields: dict[str, dict[str, Any]] = json.loads(source.read_text(encoding="utf-8"))
    groups: dict[str, list[str]] = {}
    for name, facts in fields.items():
        groups.setdefault(str(facts.get("v2") or name), []).append(name.casefold())
    twins = {name: tuple(group) for group in groups.values() for name in group}
    older = {name.casefold(): facts["use"].casefold() for name, facts in fields.items() if "use" in facts}
    return twins | {name: twins[newer] for name, newer in older.items()}
