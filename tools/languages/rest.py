"""SentinelOne's list endpoints as a tiny query language: `GET /threats?createdAt__gte=...&limit=1000`.

Threats and agents have no query language of their own; their typed parameters (VENDOR_APIS 2.2, 2.3) are treated as
one, so that they are checked, recorded and shown like every other query.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from ...knowledge.errors import UnsafeValueError
from .compiling import Builder, Part, condition_nodes
from .query import Check, Compiled, Diagnostic, Language
from .search import Condition, Operator, Search
from .syntax import QuerySyntaxError, did_you_mean
from .views import Attribute, View

MAX_PAGE = 1000

_VERDICTS = ("true_positive", "suspicious", "false_positive", "undefined")
_TIME, _TEXT, _FLAG, _NUMBER = ("time",), ("text",), ("true", "false"), ("number",)
PARAMETERS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "threats": {
        "ids": _TEXT,
        "resolved": _FLAG,
        "incidentStatuses": ("unresolved", "in_progress", "resolved"),
        "analystVerdicts": _VERDICTS,
        "classifications": _TEXT,
        "confidenceLevels": ("malicious", "suspicious", "n/a"),
        "mitigationStatuses": ("not_mitigated", "mitigated", "marked_as_benign"),
        "contentHashes": _TEXT,
        "computerName__contains": _TEXT,
        "query": _TEXT,
        "createdAt__gte": _TIME,
        "createdAt__lt": _TIME,
        "updatedAt__gte": _TIME,
        "updatedAt__lt": _TIME,
        "siteIds": _TEXT,
        "limit": _NUMBER,
    },
    "agents": {
        "ids": _TEXT,
        "uuids": _TEXT,
        "computerName": _TEXT,
        "computerName__contains": _TEXT,
        "externalIp__contains": _TEXT,
        "networkStatuses": ("connected", "connecting", "disconnected", "disconnecting"),
        "isActive": _FLAG,
        "infected": _FLAG,
        "osTypes": ("windows", "linux", "macos"),
        "siteIds": _TEXT,
        "lastActiveDate__gte": _TIME,
        "limit": _NUMBER,
    },
}
"""Parameters by collection: `time`, `text`, `number`, or the closed list of values. The cursor is the client's."""

_SAFE = "-_.~:,@"
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?Z\Z")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One `name=value`, decoded."""

    name: str
    value: str
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ListCall:
    """A call of a list endpoint."""

    method: str
    collection: str
    parameters: tuple[Parameter, ...]

    def as_dict(self) -> dict[str, str]:
        """The parameters as an HTTP client takes them."""
        return {parameter.name: parameter.value for parameter in self.parameters}


def parse(text: str) -> ListCall:
    """Parse `METHOD /collection?name=value&...`; values are percent-encoded.

    Raises:
        QuerySyntaxError: with the place.
    """
    head = re.match(r"\s*([A-Za-z]+)\s+/([A-Za-z0-9/_-]+)(\?|\s*\Z)", text)
    if head is None:
        raise QuerySyntaxError("a call begins with GET and a path", 0, len(text), "GET /threats?limit=100")
    parameters: list[Parameter] = []
    at = head.end()
    body = text[at:].rstrip()
    for piece in body.split("&") if body else ():
        name, sign, value = piece.partition("=")
        if not re.fullmatch(r"[A-Za-z_]+", name) or not sign:
            raise QuerySyntaxError("a parameter is written name=value", at, at + max(len(piece), 1))
        if re.search(r"[\s#?]|%(?![0-9A-Fa-f]{2})", value):
            raise QuerySyntaxError("this value is not percent-encoded", at + len(name) + 1, at + len(piece))
        parameters.append(Parameter(name, unquote(value), at, at + len(piece)))
        at += len(piece) + 1
    return ListCall(head[1].upper(), head[2], tuple(parameters))


def to_text(call: ListCall) -> str:
    """Print a call canonically, values percent-encoded."""
    query = "&".join(f"{p.name}={quote(p.value, safe=_SAFE)}" for p in call.parameters)
    return f"{call.method} /{call.collection}" + (f"?{query}" if query else "")


def check(text: str, collection: str | None = None) -> Check:
    """Check a call: it reads, the endpoint is known, and it has these parameters and values."""
    try:
        call = parse(text)
    except QuerySyntaxError as error:
        return Check(Language.REST, False, True, (error.diagnostic(),))
    found: list[Diagnostic] = []
    reads = call.method == "GET"
    if not reads:
        found.append(
            Diagnostic("not_read_only", "warning", f"{call.method} changes things", 0, len(call.method), "GET")
        )
    known = PARAMETERS.get(call.collection)
    place = text.index(call.collection)
    if known is None or (collection is not None and collection != call.collection):
        hint = "endpoints: " + (collection or ", ".join(PARAMETERS))
        message = f"/{call.collection} is not the list that is asked for"
        found.append(Diagnostic("unknown_collection", "error", message, place, place + len(call.collection), hint))
    for parameter in call.parameters if known else ():
        found += _judge(parameter, known or {})
    for repeated in {p.name for p in call.parameters if [q.name for q in call.parameters].count(p.name) > 1}:
        last = [p for p in call.parameters if p.name == repeated][-1]
        found.append(Diagnostic("bad_value", "error", f"{repeated} is given twice", last.start, last.end, "a,b"))
    return Check(
        Language.REST,
        not any(item.severity == "error" for item in found),
        reads,
        tuple(found),
        (call.collection,),
        tuple(dict.fromkeys(parameter.name for parameter in call.parameters)),
    )


def _judge(parameter: Parameter, known: Mapping[str, Sequence[str]]) -> list[Diagnostic]:
    values = known.get(parameter.name)
    start = parameter.start + len(parameter.name) + 1
    if values is None:
        hint = did_you_mean(parameter.name, known)
        message = f"there is no parameter {parameter.name}"
        return [Diagnostic("unknown_column", "error", message, parameter.start, start - 1, hint)]
    if parameter.value == "":
        return [Diagnostic("bad_value", "error", f"{parameter.name} has no value", parameter.start, parameter.end)]
    if values is _TIME and not _ISO.match(parameter.value):
        hint = "write 2026-01-31T00:00:00.000000Z"
        return [Diagnostic("bad_value", "error", f"{parameter.value!r} is not a time", start, parameter.end, hint)]
    if values is _NUMBER and not (parameter.value.isdigit() and 1 <= int(parameter.value) <= MAX_PAGE):
        message = f"{parameter.name} is a number from 1 to {MAX_PAGE}"
        return [Diagnostic("bad_value", "error", message, start, parameter.end)]
    if values in (_TIME, _NUMBER, _TEXT):
        return []
    return [
        Diagnostic("bad_value", "error", f"{parameter.name} is never {value!r}", start, parameter.end, hint)
        for value in parameter.value.split(",")
        if value not in values
        for hint in (did_you_mean(value, values) or "values: " + ", ".join(values),)
    ]


def compile_search(search: Search, view: View) -> Compiled:
    """Write a search as a call of the view's list endpoint.

    Threats happen at a time; agents are states that last, so the window asks those seen since its start.

    Raises:
        NotCarriedError: no row of the view can match.
        UnsafeValueError: a value cannot be encoded.
    """
    narrowed = condition_nodes(search, view, _Rest(view.collection))
    parameters = [_moment(f"{view.attributes['time'].field}__gte", search.window.start)]
    before = f"{view.attributes['time'].field}__lt"
    if before in PARAMETERS[view.collection]:
        parameters.append(_moment(before, search.window.end))
    notes = list(narrowed.cannot_express)
    for node in narrowed.nodes:
        for parameter in node:
            if any(parameter.name == other.name for other in parameters):
                notes.append(f"{parameter.name} can be given once; the rows are narrowed afterwards")
            else:
                parameters.append(parameter)
    if search.aggregation is not None:
        notes.append("SentinelOne lists and does not count here; the rows are counted afterwards")
    parameters.append(Parameter("limit", str(min(search.limit, MAX_PAGE))))
    return Compiled(to_text(ListCall("GET", view.collection, tuple(parameters))), tuple(notes))


def _moment(name: str, moment: datetime) -> Parameter:
    return Parameter(name, moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


_Parameters = tuple[Parameter, ...]


class _Rest(Builder[_Parameters]):
    """Parameters all hold at once; there are no alternatives and no negation."""

    joins = False

    def __init__(self, collection: str) -> None:
        self._known = PARAMETERS[collection]

    def all_of(self, nodes: Sequence[_Parameters]) -> _Parameters:
        return tuple(parameter for node in nodes for parameter in node)

    def any_of(self, nodes: Sequence[_Parameters]) -> _Parameters:
        raise NotImplementedError

    def negated(self, node: _Parameters) -> _Parameters:
        raise NotImplementedError

    def one_of(self, field: str, values: Sequence[str], attribute: Attribute | None) -> _Parameters:
        return (Parameter(field, ",".join(values)),)

    def vendor_value(self, attribute: Attribute, value: str) -> str | None:
        return next(
            (item for item in self._known.get(attribute.field, ()) if item.casefold() == value.casefold()), None
        )

    def condition(self, condition: Condition, attribute: Attribute) -> Part[_Parameters]:
        name, op = attribute.field, condition.op
        texts = [str(value) for value in condition.values]
        if any(not text.isprintable() for text in texts):
            raise UnsafeValueError(f"{name} cannot be compared with control characters.")
        if any("," in text for text in texts):
            return Part(True, False, "a comma separates values here")
        if "" in texts:
            return Part(True, False, "an empty value is taken for none")
        if name == "ids" and op is Operator.EQ:
            return Part((Parameter(name, ",".join(texts)),))
        if f"{name}__contains" in self._known and op in (
            Operator.EQ,
            Operator.CONTAINS,
            Operator.STARTSWITH,
            Operator.ENDSWITH,
        ):
            node = (Parameter(f"{name}__contains", ",".join(texts)),)
            return Part(node) if op is Operator.CONTAINS else Part(node, False, "asked as contained")
        if values := self._known.get(name):
            wanted = [value for value in values if value.casefold() in {text.casefold() for text in texts}]
            if op is Operator.EQ and values not in (_TEXT, _TIME, _NUMBER):
                return Part((Parameter(name, ",".join(wanted)),)) if wanted else Part(False)
        return Part(True, False, "SentinelOne's list does not filter on this")
