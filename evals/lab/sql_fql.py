"""FQL filters as SQL conditions, with the habits of each endpoint, its silent zeros included.

Unknown fields match nothing and are no error. Equality is exact and heeds case. A negation also holds for records
without the field. What each endpoint does with wildcards, text match and ranges follows the vendor's field guides.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from ...tools.languages import fql
from ...tools.languages.fql import Operator, Term, Value, ValueKind
from ...tools.languages.syntax import QuerySyntaxError
from .sql import Clause, QueryRejectedError, joined, like_wildcards, moment, naive, quoted

HELD = ("alerts", "hosts", "vulnerabilities")
"""Collections with a table in the lab."""
MOST_PROPERTIES = 20
_NOTHING = Clause("FALSE")
_RANGES = frozenset({Operator.GT, Operator.GE, Operator.LT, Operator.LE})
_WORDS = frozenset({Operator.MATCH, Operator.NOT_MATCH})
_LISTED = frozenset({"cve.id", "vulnerability_id"})
"""Spotlight compares these with lists only."""
_TIME = re.compile(r"(timestamp|_seen|last_login|\.created|\.start|\.end|scan_time|published_date|agent_local_time)$")
_SAME = {"local_ip.raw": "local_ip"}
_ARRAYS = frozenset(
    {
        "child_process_ids",
        "cve.cwes",
        "cve.types",
        "data_domains",
        "groups",
        "host_info.groups",
        "host_info.tags",
        "ioc_context",
        "ioc_values",
        "ou",
        "source_products",
        "source_vendors",
        "tags",
    }
)
_ADDRESSES = frozenset({"local_ip", "external_ip"})
"""Addresses of hosts; only `local_ip.raw` takes wildcards."""
_HOST_RANGES = frozenset(
    {
        "cpu_signature",
        "deployment_type",
        "external_ip",
        "first_seen",
        "last_login_timestamp",
        "last_seen",
        "linux_sensor_mode",
        "modified_timestamp",
        "reduced_functionality_mode",
        "serial_number",
    }
)


def unsupported(text: str, collection: str | None) -> str | None:
    """The collection whose records the lab does not hold; None when it runs the filter, or the filter is wrong anyway."""
    if collection is None or collection in HELD or not fql.check(text, collection).ok:
        return None
    return f"the collection {collection}, of which it holds no records"


def where(text: str, collection: str, columns: Mapping[str, str], now: datetime) -> Clause:
    """The condition that a filter sets on the table of a collection (`alerts`, `hosts`, `vulnerabilities`).

    Args:
        text: the filter; empty means every record.
        collection: whose habits apply.
        columns: the table's columns with their DuckDB types.
        now: what `now-7d` counts from.

    Raises:
        QueryRejectedError: a text that the vendor answers with 400.
    """
    if not text.strip():
        return Clause("TRUE")
    try:
        node = fql.parse(text)
    except QuerySyntaxError as exc:
        raise QueryRejectedError(f"invalid filter: {exc}") from exc
    translation = _Translation(collection, columns, now)
    clause = translation.node(node)
    if len(translation.properties) > MOST_PROPERTIES:
        raise QueryRejectedError(f"invalid filter: more than {MOST_PROPERTIES} properties")
    return clause


class _Translation:
    def __init__(self, collection: str, columns: Mapping[str, str], now: datetime) -> None:
        self._collection, self._columns, self._now = collection, columns, now
        self.properties: set[str] = set()

    def node(self, node: fql.Node) -> Clause:
        match node:
            case fql.And(parts=parts):
                return joined([self.node(part) for part in parts], "AND")
            case fql.Or(parts=parts):
                return joined([self.node(part) for part in parts], "OR")
            case fql.Not(part=part):
                return _not(self.node(part))
            case Term():
                return self._term(node)

    def _term(self, term: Term) -> Clause:
        self.properties.add(term.property)
        name = term.property if term.property in self._columns else _SAME.get(term.property, term.property)
        self._refuse_what_the_endpoint_refuses(term)
        if name not in self._columns:
            return _NOTHING
        if (
            self._collection == "vulnerabilities"
            and name in _LISTED
            and term.operator is Operator.EQ
            and not term.is_list
        ):
            return _NOTHING
        column, kind = quoted(name), self._kind(name)
        if term.operator in (Operator.NE, Operator.NOT_MATCH):
            return _not(joined([self._one(column, kind, term, value) for value in term.values], "OR"))
        return joined([self._one(column, kind, term, value) for value in term.values], "OR")

    def _refuse_what_the_endpoint_refuses(self, term: Term) -> None:
        if self._collection == "hosts" and term.operator is Operator.NOT_MATCH:
            raise QueryRejectedError("invalid filter: !~ is not supported on hosts")
        if self._collection == "vulnerabilities" and term.operator in (*_WORDS, Operator.WILDCARD):
            raise QueryRejectedError(f"invalid filter: {term.operator} is not supported on vulnerabilities")

    def _kind(self, name: str) -> str:
        declared = self._columns[name]
        if name in _ARRAYS:
            return "array"
        if declared.startswith("TIMESTAMP") or _TIME.search(name):
            return "timestamp"
        if declared == "BOOLEAN":
            return "boolean"
        return "string" if declared == "VARCHAR" else "number"

    def _one(self, column: str, kind: str, term: Term, value: Value) -> Clause:
        if value.kind is ValueKind.NULL:
            return Clause(f"{column} IS NULL")
        if term.operator in _RANGES:
            return self._range(column, kind, term, value)
        if kind in ("array", "timestamp") and term.operator in _WORDS:
            return _NOTHING
        if kind == "array":
            return _NOTHING if term.operator is Operator.WILDCARD else self._member(column, value.text)
        if value.text == "":
            return Clause(f"coalesce(CAST({column} AS VARCHAR), '') = ''")
        if value.text == "*" and self._knows_lone_star(term):
            return Clause(f"coalesce(CAST({column} AS VARCHAR), '') <> ''")
        if term.operator in _WORDS:
            return _text_match(column, value.text)
        if kind == "timestamp":
            return self._range(column, kind, term, value, "=") if "*" not in value.text else _NOTHING
        if "*" in value.text and self._takes_wildcard(term, value.text):
            return Clause(f"CAST({column} AS VARCHAR) LIKE ? ESCAPE '\\'", (like_wildcards(value.text),))
        if kind == "boolean":
            return Clause(f"{column} = TRY_CAST(? AS BOOLEAN)", (value.text,))
        if kind == "number":
            return Clause(f"CAST({column} AS DOUBLE) = TRY_CAST(? AS DOUBLE)", (value.text,))
        return Clause(f"{column} = ?", (value.text,))

    def _member(self, column: str, text: str) -> Clause:
        """Exact membership, whether the table holds a list, a JSON text of one, or a single value."""
        if text in ("", "*"):
            return Clause(f"coalesce(CAST({column} AS VARCHAR), '[]') {'=' if text == '' else '<>'} '[]'")
        items = f"TRY_CAST(TRY_CAST(CAST({column} AS VARCHAR) AS JSON) AS VARCHAR[])"
        whole = f"TRY_CAST(CAST({column} AS VARCHAR) AS VARCHAR[])"
        found = f"coalesce(list_contains({items}, ?), list_contains({whole}, ?), CAST({column} AS VARCHAR) = ?)"
        return Clause(found, (text, text, text))

    def _takes_wildcard(self, term: Term, text: str) -> bool:
        """Elsewhere the asterisk is an ordinary character, and nothing matches."""
        if term.operator is Operator.WILDCARD:
            return True
        if term.is_list:
            return False
        if self._collection == "alerts":
            return True
        inner = text.removeprefix("*") if text.startswith("*") else text.removesuffix("*")
        if self._collection != "hosts" or term.property in (*_ADDRESSES, "tags"):
            return False
        return text != "*" and "*" not in inner

    def _knows_lone_star(self, term: Term) -> bool:
        """Whether `'*'` means any value: for hosts only behind `!`, for vulnerabilities never."""
        return self._collection != "vulnerabilities" and (
            self._collection != "hosts" or term.operator is not Operator.EQ
        )

    def _range(self, column: str, kind: str, term: Term, value: Value, sign: str | None = None) -> Clause:
        sign = sign or str(term.operator)
        if kind == "timestamp":
            try:
                wanted = naive(moment(value.text, self._now))
            except ValueError as exc:
                raise QueryRejectedError(f"invalid filter: {value.text!r} is not a timestamp") from exc
            return Clause(f"TRY_CAST({column} AS TIMESTAMP) {sign} ?", (wanted,))
        if self._collection == "hosts" and term.property not in _HOST_RANGES:
            return _NOTHING
        if kind == "number":
            return Clause(f"CAST({column} AS DOUBLE) {sign} TRY_CAST(? AS DOUBLE)", (value.text,))
        if term.property in _ADDRESSES:
            return Clause(f"{_address(column)} {sign} {_address('?')}", (value.text,) * 4)
        if self._collection == "hosts":
            return Clause(f"{column} {sign} ?", (value.text,))
        raise QueryRejectedError(f"invalid filter: {sign} is not supported on {term.property}")


def _address(value: str) -> str:
    """An IPv4 address as a number, so that ranges follow the addresses and not their digits."""
    octets = [f"TRY_CAST(split_part({value}, '.', {place}) AS BIGINT)" for place in range(1, 5)]
    return f"((({octets[0]} * 256 + {octets[1]}) * 256 + {octets[2]}) * 256 + {octets[3]})"


def _not(clause: Clause) -> Clause:
    return Clause(f"NOT coalesce({clause.sql}, FALSE)", clause.values)


def _text_match(column: str, text: str) -> Clause:
    """The words of the text, next to one another, ignoring case, spaces and punctuation."""
    words = " ".join(re.findall(r"[^\W_]+", text.lower()))
    plain = f"' ' || trim(regexp_replace(lower(CAST({column} AS VARCHAR)), '[^\\pL\\pN]+', ' ', 'g')) || ' '"
    return Clause(f"contains({plain}, ?)", (f" {words} ",))
