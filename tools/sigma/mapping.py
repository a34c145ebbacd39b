"""Sigma's log sources and field names in the words of a `Search`: `fields.yaml`, read and checked once."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ...knowledge.errors import ContentError
from ..hunts import Domain
from ..languages.vocabulary import ATTRIBUTES, EventClass

Spellings = Literal["hive", "dword"]
FILE = "fields.yaml"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(_Frozen):
    """What one Sigma field is in a `Search`."""

    attribute: tuple[str, ...] = ()
    """Any of them may meet the condition."""
    name: str | None = None
    """The attribute that holds the last part of this path."""
    values: Mapping[str, str] = Field(default_factory=dict)
    """Sigma's value to ours; a value that is not listed cannot be expressed."""
    rename: Mapping[str, str] = Field(default_factory=dict)
    """Sigma's value to ours; a value that is not listed stands as it is."""
    spellings: Spellings | None = None
    hashes: Mapping[str, str] = Field(default_factory=dict)
    """Algorithm of a `NAME=VALUE` list to the attribute that holds such a hash."""
    implied: tuple[str, ...] = ()
    """Values that every event of the class has."""

    @field_validator("attribute", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def attributes(self) -> tuple[str, ...]:
        """Every attribute that this field can become a condition on."""
        return (*self.attribute, *([self.name] if self.name else []), *self.hashes.values())

    @model_validator(mode="after")
    def _says_something(self) -> "Target":
        if not self.attributes and not self.implied:
            raise ValueError("a field has an attribute, hashes or implied values")
        return self


class EventKind(_Frozen):
    """One kind of event: its class, what all of its events have, and where its fields are."""

    event_class: EventClass = Field(validation_alias="class")
    where: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    domain: Domain = "endpoint"
    fields: str

    @field_validator("where", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        return {name: (held,) if isinstance(held, str) else held for name, held in value.items()}


class LogSource(_Frozen):
    """A Sigma log source: the kind of its events, or the kinds by EventID."""

    product: str | None = None
    category: str | None = None
    service: str | None = None
    os: str | None = None
    kind: EventKind | None = None
    events: Mapping[str, EventKind] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _kind_stands_beside(cls, data: Any) -> Any:
        own = {key: data[key] for key in ("class", "where", "domain", "fields") if key in data}
        rest = {key: value for key, value in data.items() if key not in own}
        return rest | {"kind": own} if own else rest

    @model_validator(mode="after")
    def _tells_a_kind(self) -> "LogSource":
        if (self.kind is None) == (not self.events):
            raise ValueError("a log source has a class of its own, or `events`")
        return self

    def fits(self, product: str | None, category: str | None, service: str | None) -> bool:
        """Whether a rule of this log source is meant."""
        return (self.product, self.category, self.service) == (product, category, service)


class SigmaMapping(_Frozen):
    """The whole of `fields.yaml`."""

    logsources: tuple[LogSource, ...]
    fields: Mapping[str, Mapping[str, Target]]
    hives: Mapping[str, tuple[str, ...]]

    @model_validator(mode="after")
    def _attributes_exist(self) -> "SigmaMapping":
        for source in self.logsources:
            for kind in (*source.events.values(), *([source.kind] if source.kind else [])):
                if kind.fields not in self.fields:
                    raise ValueError(f"there is no table of fields {kind.fields!r}")
                named = {name for target in self.fields[kind.fields].values() for name in target.attributes}
                if unknown := (named | set(kind.where)) - ATTRIBUTES[kind.event_class]:
                    raise ValueError(f"{kind.fields}: {kind.event_class} has no {', '.join(sorted(unknown))}")
        return self

    def source(self, product: str | None, category: str | None, service: str | None) -> LogSource | None:
        """The log source of a rule; None when it has no event class here."""
        return next((source for source in self.logsources if source.fits(product, category, service)), None)


@cache
def mapping() -> SigmaMapping:
    """The built-in mapping.

    Raises:
        ContentError: it breaks the schema, or names an attribute that its class does not have.
    """
    return read_mapping(files("tracehound.tools.sigma").joinpath(FILE).read_text(encoding="utf-8"), FILE)


def read_mapping(text: str, path: str) -> SigmaMapping:
    """Read and check a mapping.

    Raises:
        ContentError: it breaks the schema, or names an attribute that its class does not have.
    """
    try:
        return SigmaMapping.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as exc:
        raise ContentError(path, None, f"not YAML: {exc}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        raise ContentError(path, None, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from exc
