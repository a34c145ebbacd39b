r"""The hunt library as typed objects. Its data lives in `knowledge/hunts/*.yaml`; analysts add their own folders.

A hunt is one or more searches with parameters, pivots, ATT&CK ids, example questions, what it cannot see and the
benign explanations to rule out. A hunt's searches also serve as labels: an event that meets a search's condition is an
instance of that behaviour, wherever the event came from.

    id: lateral-movement.remote-service
    title: Remote service execution (PsExec and its kin)
    domain: endpoint                     # endpoint, identity, email, cloud
    techniques: [T1021.002, T1569.002]
    tags: [psexec, smbexec, lateral movement]
    questions: ["show me lateral movement from {host}", "who ran psexec on {host}"]
    parameters:                          # type is an entity type; optional unless `required: true`
      host: {type: host}
    searches:
      - id: service-created
        class: service_activity
        signal: strong                   # strong: wrong by itself; medium: wrong in company; context; inventory
        says: Service installed remotely # noun phrase shown with the event
        techniques: [T1543.003]          # the hunt's, when left out
        where:
          all:
            - {field: device.hostname, eq: $host}       # dropped when the parameter has no value
            - {field: service.name, contains: [PSEXESVC, remcom]}
            - not: {field: service.cmd_line, startswith: 'C:\\Windows\\System32\\svchost'}
    pivots: [lateral-movement.on-target] # hunts that follow when this one finds something
    blind: ["Hosts without an EDR sensor"]
    benign: ["Administrators patch with PsExec from a known workstation"]
    runbooks: [lateral-movement]

What a hunt asks beyond filters (`count`, `spot`, `follow`, `absent`, `lacks`, `include`) is told in `hunt_relations`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..knowledge.errors import ContentError, UsageError
from ..knowledge.loading import LOADER
from ..knowledge.typed_yaml import line_of
from .evidence.units import unit_names
from .hunt_relations import KEYS, WITH_EXPRESSION, Relations, attributes_named, faults
from .languages.search import All, AnyOf, Condition, Expression, Not, Operator, Scalar, conditions
from .languages.vocabulary import ATTRIBUTES, EventClass

Signal = Literal["strong", "medium", "context", "inventory"]
Domain = Literal["endpoint", "identity", "email", "cloud"]
ParameterType = Literal[
    "host",
    "user",
    "ip",
    "domain",
    "url",
    "hash",
    "file",
    "process",
    "service",
    "cve",
    "email",
    "alert",
    "app",
    "text",
    "choice",
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Parameter(_Frozen):
    """One slot of a hunt."""

    type: ParameterType
    required: bool = False
    default: Scalar | None = None
    about: str = ""
    words: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """For a `choice`: value to the words of a question that mean it."""
    cues: tuple[str, ...] = ()
    """For a `choice`: patterns around `{word}`, one of which must fit."""


class HuntSearch(_Frozen):
    """One search of a hunt, with `$parameter` values not yet filled."""

    id: str
    event_class: EventClass = Field(validation_alias="class", serialization_alias="class")
    where: Expression | None = None
    signal: Signal = "medium"
    says: str = ""
    techniques: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    """Parameters without which this search does not run (and does not label)."""
    limit: int = Field(default=1_000, ge=1, le=10_000)
    """Rows that are fetched at most; behaviour that is told by its amount needs more than the usual thousand."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Hunt(_Frozen):
    """One entry of the hunt library."""

    id: str = Field(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)+$")
    title: str
    domain: Domain
    about: str = ""
    techniques: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    questions: tuple[str, ...] = Field(min_length=1)
    parameters: Mapping[str, Parameter] = Field(default_factory=dict)
    searches: tuple[HuntSearch, ...] = ()
    relations: Relations = Relations()
    """What it asks beyond its searches; in the file each kind is a key of the hunt's own."""
    pivots: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    benign: tuple[str, ...] = ()
    runbooks: tuple[str, ...] = ()
    texts: bool = False
    """It asks what texts say to whoever reads them: told are its rows that address an assistant, and no story."""
    attribution: str = ""
    """Whose work it is and under which licence, where it came from elsewhere (`hunts import`)."""
    source: str = ""
    """File it came from."""

    @property
    def phrases(self) -> tuple[str, ...]:
        """What its searches and relations say of a row: the noun phrases that may stand before a sentence."""
        said = [search.says for search in self.searches]
        said += [item.says for item in self.relations.spot] + [item.says for item in self.relations.follow]
        return tuple(dict.fromkeys(filter(None, said)))


def read_hunts(path: Path) -> list[Hunt]:
    """Read one YAML file: a hunt, or a list of hunts under `hunts`.

    Raises:
        ContentError: names file, line and what is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node, content = _composed(text)
    except UnicodeDecodeError as exc:
        raise ContentError(str(path), None, "the file is not UTF-8 text") from exc
    except (yaml.YAMLError, ValueError) as exc:  # ValueError: a date that the calendar does not have
        mark = getattr(exc, "problem_mark", None)
        raise ContentError(str(path), mark.line + 1 if mark else None, f"not YAML: {exc}") from exc
    if not isinstance(content, dict) or node is None:
        raise ContentError(str(path), 1, "a hunt file is a mapping: one hunt, or `hunts:` with a list")
    entries, nodes = [content], [node]
    if "hunts" in content:
        entries = content["hunts"]
        listed = next(value for key, value in node.value if key.value == "hunts")
        if not isinstance(entries, list):
            raise ContentError(str(path), listed.start_mark.line + 1, "`hunts:` is followed by a list of hunts")
        nodes = listed.value
    return [_read_hunt(entry, entry_node, path) for entry, entry_node in zip(entries, nodes, strict=True)]


def _composed(text: str) -> tuple[Any, Any]:
    """The one document of a text, as nodes that know their lines and as data; parsed once for both."""
    loader = LOADER(text)
    try:
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _read_hunt(entry: Any, node: yaml.Node, path: Path) -> Hunt:
    if not isinstance(entry, dict):
        raise ContentError(str(path), node.start_mark.line + 1, f"a hunt is a mapping, found {entry!r}")
    try:
        searches = entry.get("searches", ())
        if isinstance(searches, list):
            searches = [_with_expression(search) for search in searches]
        relations = {key: _with_expressions(key, entry[key]) for key in KEYS if key in entry}
        rest = {key: value for key, value in entry.items() if key not in KEYS}
        hunt = Hunt.model_validate({**rest, "searches": searches, "relations": relations, "source": str(path)})
        _cross_check(hunt)
    except ValidationError as exc:
        first = exc.errors()[0]
        # In the file a relation is a key of the hunt's own.
        where = first["loc"][1:] if first["loc"][:1] == ("relations",) else first["loc"]
        raise ContentError(str(path), line_of(node, where), f"{'.'.join(map(str, where))}: {first['msg']}") from exc
    except ValueError as exc:
        raise ContentError(str(path), node.start_mark.line + 1, f"{entry.get('id', 'hunt')}: {exc}") from exc
    return hunt


def _with_expression(search: Any) -> Any:
    """A search of the file with its condition read; what is no search is left for the schema to refuse."""
    if not isinstance(search, dict) or search.get("where") is None:
        return search
    return {**search, "where": parse_expression(search["where"])}


def _with_expressions(key: str, entries: Any) -> Any:
    """The relations of one kind with their conditions read; what is no relation is left for the schema to refuse."""
    name = WITH_EXPRESSION.get(key)
    if name is None or not isinstance(entries, list):
        return entries
    return [
        {**entry, name: parse_expression(entry[name])} if isinstance(entry, dict) and entry.get(name) else entry
        for entry in entries
    ]


def _cross_check(hunt: Hunt) -> None:
    if not hunt.searches and hunt.relations == Relations():
        raise ValueError("a hunt has `searches`, or `include`, `lacks` or `absent`")
    for problem in faults(hunt.relations, {item.id: item.event_class for item in hunt.searches}, unit_names()):
        raise ValueError(problem)
    for follow in hunt.relations.follow:
        _check_relation(hunt, follow.id, follow.event_class, follow.where)
    for absent in hunt.relations.absent:
        _check_relation(hunt, absent.id, absent.event_class, absent.where)
    for lacks in hunt.relations.lacks:
        _check_relation(hunt, lacks.id, EventClass.DEVICE, lacks.where)
        if lacks.platform.removeprefix("$") not in hunt.parameters:
            raise ValueError(f"{lacks.id}: parameter {lacks.platform} is not declared")
    for search in hunt.searches:
        for condition in conditions(search.where):
            if condition.field not in ATTRIBUTES[search.event_class]:
                raise ValueError(f"search {search.id}: {search.event_class} has no attribute {condition.field!r}")
            for value in condition.values:
                if isinstance(value, str) and value.startswith("$") and value[1:] not in hunt.parameters:
                    raise ValueError(f"search {search.id}: parameter {value} is not declared")
                if condition.op is Operator.MATCHES:
                    _require_pattern(search, str(value))
        for need in search.needs:
            if need not in hunt.parameters:
                raise ValueError(f"search {search.id}: needs {need}, which is not declared")


def _check_relation(hunt: Hunt, name: str, event_class: EventClass, where: Expression | None) -> None:
    found = tuple(conditions(where))
    known = ATTRIBUTES[event_class]
    rows = frozenset().union(*(ATTRIBUTES[search.event_class] for search in hunt.searches)) if hunt.searches else known
    for condition in found:
        if condition.field not in known:
            raise ValueError(f"{name}: {event_class} has no attribute {condition.field!r}")
        for value in condition.values:
            named = isinstance(value, str) and value.startswith("$") and "." not in value
            if named and str(value)[1:] not in hunt.parameters:
                raise ValueError(f"{name}: parameter {value} is not declared")
    for attribute in attributes_named(found) - rows:
        raise ValueError(f"{name}: no row that it follows has {attribute!r}")


def _require_pattern(search: HuntSearch, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as exc:
        raise ValueError(f"search {search.id}: {pattern!r} is not a regular expression: {exc}") from exc


def parse_expression(data: Mapping[str, Any]) -> Expression:
    """Read the short YAML form of an expression.

    `{all: [...]}`, `{any: [...]}`, `{not: {...}}`, `{field: name, <operator>: value or list}`; `exists: true`.

    Raises:
        ValueError: the form is none of these.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"expected a mapping, found {data!r}")
    if "all" in data:
        return All(of=_parts(data, "all"))
    if "any" in data:
        return AnyOf(of=_parts(data, "any"))
    if "not" in data:
        return Not(of=parse_expression(data["not"]))
    operators = [key for key in data if key != "field"]
    if "field" not in data or len(operators) != 1:
        raise ValueError(f"a condition has `field` and one operator, found {sorted(map(str, data))}")
    try:
        operator = Operator(operators[0])
    except ValueError:
        raise ValueError(f"unknown operator {operators[0]!r}; one of {', '.join(Operator)}") from None
    value = data[operators[0]]
    if operator is Operator.EXISTS:
        condition = Condition(field=data["field"], op=operator)
        return condition if value else Not(of=condition)
    values = tuple(value) if isinstance(value, list) else (value,)
    return Condition(field=data["field"], op=operator, values=values)


def _parts(data: Mapping[str, Any], name: str) -> tuple[Expression, ...]:
    if not isinstance(data[name], list):
        raise ValueError(f"{name}: expected a list, found {data[name]!r}")
    return tuple(parse_expression(part) for part in data[name])


def bind(expression: Expression | None, values: Mapping[str, Sequence[Scalar]]) -> Expression | None:
    """Fill `$parameters`; a condition whose parameter has no value is left out.

    Returns:
        The filled expression, or None when nothing is left of it.
    """
    match expression:
        case None:
            return None
        case Condition(values=found):
            if not any(isinstance(value, str) and value.startswith("$") for value in found):
                return expression
            filled: list[Scalar] = []
            for value in found:
                if isinstance(value, str) and value.startswith("$"):
                    filled.extend(values.get(value[1:], ()))
                else:
                    filled.append(value)
            return expression.model_copy(update={"values": tuple(filled)}) if filled else None
        case Not(of=part):
            inner = bind(part, values)
            return None if inner is None else Not(of=inner)
        case All(of=parts) | AnyOf(of=parts):
            bound = [bind(part, values) for part in parts]
            kept = tuple(part for part in bound if part is not None)
            if not kept:
                return None
            return kept[0] if len(kept) == 1 else type(expression)(of=kept)


def check_parameters(hunt: Hunt, values: Mapping[str, Sequence[Scalar]]) -> None:
    """Refuse unknown parameters and missing required ones.

    Raises:
        UsageError: names the parameter and what the hunt takes.
    """
    takes = ", ".join(hunt.parameters) or "no parameters"
    for name in values:
        if name not in hunt.parameters:
            raise UsageError(f"hunt {hunt.id} has no parameter {name!r}; it takes {takes}")
    for name, parameter in hunt.parameters.items():
        if parameter.required and not values.get(name):
            raise UsageError(f"hunt {hunt.id} needs {name} ({parameter.type}): --set {name}=...")
