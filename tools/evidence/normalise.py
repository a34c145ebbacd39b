"""Vendor rows as events: the reading direction of the views.

A view says which vendor field carries which attribute; `Normaliser` reads a row through the view that fits it. Rows of
raw queries may fit none: they are read generically, by the names that the platform's views know, as `base_event`, and
a row that gives neither time, host nor account that way carries `unparsed: true`. Pure: no I/O, same row same event.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from ..languages.query import Platform, Query
from ..languages.views import Attribute, View, all_views
from ..languages.vocabulary import ATTRIBUTES, EventClass
from .canonical import original
from .event import Event
from .records import iso_z
from .values import (
    converter,
    event_data,
    parse_json,
    parse_time,
    readable,
    short_host,
    split_account,
    text_of,
    unquoted,
)

_TIME_LIKE = re.compile(
    r"(^|_)(time|timestamp|_time|date)|time(stamp|generated|utc)?$|timestamp|datetime", re.IGNORECASE
)
_HOST_LIKE = re.compile(r"^(.*_)?(computer|computername|devicename|endpointname|hostname|host|dvc)$", re.IGNORECASE)
_USER_LIKE = re.compile(r"^(.*_)?(username|accountname|account|user|userprincipalname|upn)$", re.IGNORECASE)

Reader = Callable[[Mapping[str, Any]], Any]
"""Takes the vendor value of one attribute out of a row; None when it is not there."""


@dataclass(frozen=True, slots=True)
class _Column:
    attribute: str
    read: Reader
    convert: Callable[[Any], Any]
    account: bool
    """Whether it may hold an account with its domain, to be split."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A view with its readers made once."""

    view: View
    columns: tuple[_Column, ...]
    selects: tuple[tuple[Reader, frozenset[str]], ...]
    activities: tuple[tuple[Reader, Mapping[str, str]], ...]
    time: Attribute
    read_time: Reader

    def fit(self, row: Mapping[str, Any]) -> int:
        """2: every selecting field fits; 1: some are not in the row; 0: the row belongs to another class."""
        score = 2
        for read, values in self.selects:
            value = read(row)
            if value is None:
                score = 1
            elif text_of(value).lower() not in values:
                return 0
        return score


def _reader(attribute: Attribute) -> Reader:
    key, many = attribute.key, attribute.kind == "list"
    if attribute.kind == "event_data":
        column, _, name = key.partition(".")
        return lambda row: row[key] if key in row else event_data(row.get(column), name)
    return _key_reader(key, many)


def raw_time(view: View, row: Mapping[str, Any]) -> Any:
    """The value that a row gives as its time, as the vendor wrote it; None when it is not there."""
    return _reader(view.attributes["time"])(row)


def _key_reader(key: str, many: bool = False) -> Reader:
    if "." not in key:
        return lambda row: row.get(key)
    parts = tuple(key.split("."))
    return lambda row: row[key] if key in row else _walk(row, parts, many)


def _walk(value: Any, parts: Sequence[str], many: bool) -> Any:
    """Follow a dotted path. JSON texts are opened on the way; a number is a place in a list, else every item counts."""
    for index, part in enumerate(parts):
        value = parse_json(value)
        if isinstance(value, Mapping):
            rest = ".".join(parts[index:])
            if rest in value:
                return unquoted(value[rest])
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal():
            value = value[int(part)] if int(part) < len(value) else None
        elif isinstance(value, list):
            found = [_walk(item, parts[index:], many) for item in value]
            found = [item for item in found if item is not None]
            return (found or None) if many else next(iter(found), None)
        else:
            return None
    return unquoted(value)


def _compile(view: View) -> _Compiled:
    by_field = {attribute.field: attribute for attribute in view.attributes.values()}

    def of_field(name: str) -> Reader:
        known = by_field.get(name)
        # Row keys of Deep Visibility are the camelCase of the query's field.
        readers = [_reader(known)] if known else []
        readers += [_key_reader(key) for key in dict.fromkeys([name, name[:1].lower() + name[1:]])]

        def read(row: Mapping[str, Any]) -> Any:
            return next((value for reader in readers if (value := reader(row)) is not None), None)

        return read

    columns = []
    for name, attribute in view.attributes.items():
        if name == "time":
            continue
        account = name.endswith("user.name") and attribute.kind == "user"
        columns.append(_Column(name, _reader(attribute), converter(attribute), account))
    time = view.attributes["time"]
    return _Compiled(
        view=view,
        columns=tuple(columns),
        selects=tuple(
            (of_field(name), frozenset(value.lower() for value in values)) for name, values in view.select.items()
        ),
        activities=tuple((of_field(name), dict(values)) for name, values in view.activity.items()),
        time=time,
        read_time=_reader(time),
    )


@dataclass
class Normaliser:
    """Reads rows through views; makes each view's readers once."""

    views: Sequence[View] = field(default_factory=all_views)

    def __post_init__(self) -> None:
        """Index the views by where their rows come from."""
        self._by_place: dict[tuple[Platform, str], list[_Compiled]] = {}
        self._names: dict[Platform, dict[str, tuple[str, Attribute]]] = {}
        for view in self.views:
            self._by_place.setdefault((view.platform, view.collection.lower()), []).append(_compile(view))
            known = self._names.setdefault(view.platform, {})
            for name, attribute in view.attributes.items():
                if name in ATTRIBUTES[EventClass.BASE]:
                    known.setdefault(attribute.key, (name, attribute))

    def event(self, query: Query, row: Mapping[str, Any], evidence_id: str) -> Event:
        """Read one row of one query.

        Args:
            query: The query that returned it: its platform, collection and class choose the view.
            row: The vendor's row, or its safe form.
            evidence_id: Id of the row in its case.
        """
        compiled = self._choose(query, row)
        if compiled is None:
            return self._generic(query, row, evidence_id)
        return _read(compiled, query, row, evidence_id)

    def _choose(self, query: Query, row: Mapping[str, Any]) -> _Compiled | None:
        candidates = self._by_place.get((query.platform, query.collection.lower()), [])
        for name in ("$table", "Type", "TableName") if query.search is None else ():
            table = row.get(name)
            if isinstance(table, str) and (query.platform, table.lower()) in self._by_place:
                candidates = self._by_place[query.platform, table.lower()]
        if query.search is not None:
            for compiled in candidates:
                if compiled.view.event_class is query.event_class and compiled.fit(row):
                    return compiled
        scored = [(compiled.fit(row), compiled) for compiled in candidates]
        exact = [compiled for score, compiled in scored if score == 2 and _overlap(compiled, row)]
        if exact:
            return max(exact, key=lambda compiled: _overlap(compiled, row)) if len(exact) > 1 else exact[0]
        possible = [compiled for score, compiled in scored if score and _overlap(compiled, row) >= 2]
        if query.event_class is not None:
            possible = [item for item in possible if item.view.event_class is query.event_class] or possible
        # A projection that dropped the selecting field leaves the class open unless one view alone can be meant.
        return possible[0] if len({item.view.event_class for item in possible}) == 1 else None

    def _generic(self, query: Query, row: Mapping[str, Any], evidence_id: str) -> Event:
        fields: dict[str, Any] = {}
        known = self._names.get(query.platform, {})
        moment: datetime | None = None
        for key, value in row.items():
            name, attribute = known.get(key, (None, None))
            if name == "time" and attribute is not None:
                moment = moment or parse_time(value, attribute.type)
            elif name and attribute is not None:
                found = converter(attribute)(_opened(value))
                if found is not None:
                    fields.setdefault(name, found)
        moment = moment or _first_time(row)
        for name, pattern in (("device.hostname", _HOST_LIKE), ("actor.user.name", _USER_LIKE)):
            if name not in fields:
                held = (value for key, value in row.items() if pattern.search(key) and isinstance(value, str))
                value = next(held, "")
                if value:
                    fields[name] = readable(value)
        if moment:
            fields["time"] = iso_z(moment)
        if "actor.user.name" in fields:
            _split(fields, "actor.user.name", EventClass.BASE)
        if not (moment or "device.hostname" in fields or "actor.user.name" in fields):
            fields["unparsed"] = True
        return _finish(query, query.event_class or EventClass.BASE, moment, fields, evidence_id)


@cache
def standard() -> Normaliser:
    """The normaliser over every view; making it reads all view files."""
    return Normaliser()


def is_unparsed(fields: Mapping[str, Any]) -> bool:
    """Whether nothing could be read from the row that these fields stand for."""
    return fields.get("unparsed") is True


def _overlap(compiled: _Compiled, row: Mapping[str, Any]) -> int:
    return sum(column.read(row) is not None for column in compiled.columns) + (compiled.read_time(row) is not None)


def _first_time(row: Mapping[str, Any]) -> datetime | None:
    for key, value in row.items():
        if _TIME_LIKE.search(key):
            moment = parse_time(value)
            if moment and 1990 < moment.year < 2200:
                return moment
    return None


def _read(compiled: _Compiled, query: Query, row: Mapping[str, Any], evidence_id: str) -> Event:
    view = compiled.view
    fields: dict[str, Any] = dict(view.constants)
    moment = parse_time(compiled.read_time(row), compiled.time.type)
    if moment:
        fields["time"] = iso_z(moment)
    for column in compiled.columns:
        value = column.read(row)
        if value is None or value == "":
            continue
        found = column.convert(_opened(value) if type(value) is dict else value)
        if found is not None:
            fields[column.attribute] = found
    for name, parts in view.joined.items():
        if parts[0] in fields:
            fields[name] = "\\".join(str(fields[part]) for part in parts if part in fields)
    for column in compiled.columns:
        if column.account and column.attribute in fields:
            _split(fields, column.attribute, view.event_class)
    for read, activities in compiled.activities:
        activity = activities.get(text_of(read(row)))
        if activity:
            fields["activity"] = activity
    return _finish(query, view.event_class, moment, fields, evidence_id)


def _opened(value: Any) -> Any:
    """What a safe form in a row stands for; a vendor's own object that only looks like one stays as it is."""
    try:
        return original(value)
    except (ValueError, TypeError, LookupError, RecursionError):
        return value


def _split(fields: dict[str, Any], name: str, event_class: EventClass) -> None:
    account, place = split_account(str(fields[name]))
    fields[name] = account
    domain = name.removesuffix("name") + "domain"
    if place and domain in ATTRIBUTES[event_class]:
        fields.setdefault(domain, place)


def _finish(
    query: Query, event_class: EventClass, moment: datetime | None, fields: dict[str, Any], evidence_id: str
) -> Event:
    host, user = fields.get("device.hostname"), fields.get("user.name") or fields.get("actor.user.name")
    return Event(
        evidence=evidence_id,
        platform=query.platform,
        collection=query.collection,
        event_class=event_class,
        time=moment,
        host=short_host(str(host)) if host else None,
        user=split_account(str(user))[0] if user else None,
        fields=fields,
    )
