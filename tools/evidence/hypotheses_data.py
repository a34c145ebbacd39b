"""Hypotheses about incidents as data: what may have happened, what evidence speaks for it, and what could refute it.

The data lies in `knowledge/hypotheses/*.yaml`; a SOC's own files replace hypotheses and signs of the same id.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ...knowledge.errors import ContentError, UsageError
from ...knowledge.loading import LOADER
from ...knowledge.typed_yaml import line_of, read_typed
from ..hunts import HuntSearch, parse_expression
from ..languages.search import Expression, conditions
from ..languages.vocabulary import ATTRIBUTES
from ..library import HuntLibrary

Fact = Literal["several-tactics", "many-accounts", "many-hosts", "daily-rhythm", "no-host"]
"""What all rows show together; `hypotheses.py` says how each is told."""
Kind = Literal["hosts", "users", "addresses"]

_ID = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_KNOWN = frozenset().union(*ATTRIBUTES.values())


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trial(_Data):
    """A search that could refute a hypothesis."""

    hunt: str
    """`hunt.id`, or `hunt.id#search`; all searches of the hunt without one."""
    fill: Mapping[str, Kind] = Field(validation_alias="with", min_length=1)
    against: Literal["found", "nothing"]
    because: str
    days_before: int = Field(default=0, ge=0, le=90)
    """Search so many days before the window instead of the window."""


class Hypothesis(_Data):
    """One class of incident."""

    id: str = Field(pattern=_ID)
    title: str
    about: str
    tests: tuple[Trial, ...] = Field(min_length=1)


def _expression(value: Any) -> Any:
    return parse_expression(value) if isinstance(value, Mapping) else value


class When(_Data):
    """What a row must be; everything given must hold."""

    hunts: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    where: Annotated[Expression | None, BeforeValidator(_expression)] = None
    judged: Literal["suspicious", "context", "benign"] | None = None
    facts: tuple[Fact, ...] = ()


class Sign(_Data):
    """What evidence shows, and for and against which hypotheses that speaks."""

    id: str = Field(pattern=_ID)
    says: str
    weight: int = Field(ge=1, le=3)
    """How much it tells: 1 is common to innocent and hostile work, 3 is hardly ever both."""
    when: When
    supports: tuple[str, ...] = Field(default=(), validation_alias="for")
    against: tuple[str, ...] = ()


class _File(_Data):
    hypotheses: tuple[Hypothesis, ...] = ()
    signs: tuple[Sign, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            raise ValueError("a file of hypotheses is a mapping with `hypotheses:`, `signs:` or both")
        return content


@dataclass(frozen=True)
class Catalogue:
    """Hypotheses and signs by id, in the order of the files."""

    hypotheses: Mapping[str, Hypothesis]
    signs: Mapping[str, Sign]

    @classmethod
    def load(cls, extra: Path | None = None, library: HuntLibrary | None = None) -> "Catalogue":
        """The built-in hypotheses, and those of the folder `hypotheses` in a SOC's own content.

        Args:
            extra: The content folder.
            library: Hunts that tests and signs may name.

        Raises:
            ContentError: a file breaks the schema or names what is not there; names file and line.
        """
        if extra is None and library is None:
            return _builtin()
        paths = [*_builtin_files(), *(sorted((extra / "hypotheses").glob("*.yaml")) if extra else ())]
        return read_catalogue(paths, library or HuntLibrary.load(extra))


@cache
def _builtin() -> Catalogue:
    return read_catalogue(_builtin_files(), HuntLibrary.load())


def _builtin_files() -> list[Path]:
    folder = files("tracehound.knowledge").joinpath("hypotheses")
    return sorted(Path(str(path)) for path in folder.iterdir() if path.name.endswith(".yaml"))


def read_catalogue(paths: Iterable[Path], library: HuntLibrary) -> Catalogue:
    """Read files of hypotheses; a later file replaces what has the same id.

    Raises:
        ContentError: names file, line and what is wrong.
    """
    hypotheses: dict[str, Hypothesis] = {}
    signs: dict[str, Sign] = {}
    read = [(path, *_read(path)) for path in paths]
    for _, _, content in read:
        hypotheses |= {item.id: item for item in content.hypotheses}
        signs |= {item.id: item for item in content.signs}
    for path, text, content in read:
        for location, problem in _faults(content, set(hypotheses), library):
            raise ContentError(str(path), line_of(yaml.compose(text, Loader=LOADER), location), problem)
    return Catalogue(hypotheses, signs)


def _read(path: Path) -> tuple[str, _File]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ContentError(str(path), None, f"the file cannot be read: {exc}") from exc
    return text, read_typed(text, str(path), _File)


def _faults(content: _File, known: set[str], library: HuntLibrary) -> Iterable[tuple[Sequence[int | str], str]]:
    """What a file names that is not there: the place and the sentence."""
    for at, hypothesis in enumerate(content.hypotheses):
        for number, test in enumerate(hypothesis.tests):
            place = ("hypotheses", at, "tests", number)
            try:
                searches_of(test.hunt, library)
            except UsageError as exc:
                yield (*place, "hunt"), f"{hypothesis.id}: {exc}"
                continue
            takes = library.get(test.hunt.partition("#")[0]).parameters
            for name in set(test.fill) - set(takes):
                yield (*place, "with", name), f"{hypothesis.id}: {test.hunt} has no parameter {name!r}"
    for at, sign in enumerate(content.signs):
        for key, names in (("for", sign.supports), ("against", sign.against)):
            for number, name in enumerate(names):
                if name not in known:
                    yield ("signs", at, key, number), f"{sign.id}: there is no hypothesis {name!r}"
        for name in sorted(set(sign.supports) & set(sign.against)):
            yield ("signs", at, "against"), f"{sign.id}: it speaks both for and against {name!r}"
        if sign.when == When():
            yield ("signs", at, "when"), f"{sign.id}: it names no condition, so every row would show it"
        for condition in conditions(sign.when.where):
            if condition.field not in _KNOWN:
                yield ("signs", at, "when", "where"), f"{sign.id}: there is no attribute {condition.field!r}"
            for value in condition.values if condition.op == "matches" else ():
                try:
                    re.compile(str(value))
                except re.error as exc:
                    yield ("signs", at, "when", "where"), f"{sign.id}: {value!r} is not a regular expression: {exc}"
        for number, pattern in enumerate(sign.when.hunts):
            if not any(fnmatchcase(name, pattern) for name in _names(library)):
                yield ("signs", at, "when", "hunts", number), f"{sign.id}: no hunt or search is called {pattern!r}"


def _names(library: HuntLibrary) -> set[str]:
    return {f"{hunt.id}#{search.id}" for hunt in library.all() for search in hunt.searches}


def searches_of(name: str, library: HuntLibrary) -> tuple[HuntSearch, ...]:
    """The searches that `hunt.id` or `hunt.id#search` names.

    Raises:
        UsageError: there is no such hunt or search.
    """
    hunt, _, search = name.partition("#")
    return (library.search(hunt, search),) if search else library.get(hunt).searches
