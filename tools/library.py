"""The hunt library: built-in hunts and the SOC's own, their check, and the behaviours they recognise in an event."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml

from ..knowledge import attack
from ..knowledge.errors import ContentError, UsageError
from ..knowledge.loading import LOADER
from ..knowledge.retrieval import Document
from ..knowledge.runbooks import load_runbooks
from .hunt_languages import sample, sentence
from .hunts import Hunt, HuntSearch, Signal, bind, read_hunts
from .languages.query import Platform
from .languages.views import narrow, views_for
from .languages.vocabulary import EventClass
from .passages import hunt_document
from .recognise import recogniser

_STRENGTH: Mapping[Signal, int] = {"strong": 0, "medium": 1, "context": 2, "inventory": 3}


@dataclass(frozen=True, slots=True)
class Label:
    """An event is an instance of this behaviour. `says` is the noun phrase that the hunt gives it."""

    hunt: str
    search: str
    signal: Signal
    says: str
    techniques: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about hunt files. An error refuses the file; a note is worth knowing."""

    path: str
    line: int | None
    text: str
    severity: Literal["error", "note"] = "error"

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}" if self.line else f"{self.path}: {self.text}"


@dataclass(frozen=True)
class HuntLibrary:
    """Hunts by id, in a fixed order."""

    hunts: Mapping[str, Hunt]

    @classmethod
    def load(cls, extra: Path | None = None) -> "HuntLibrary":
        """The built-in hunts, and those of a folder of the SOC's own, which replace built-in ones of the same id.

        Args:
            extra: a folder with `*.yaml` files; its sub-folder `hunts` is read when there is one.

        Raises:
            ContentError: a file breaks the schema; names file and line.
        """
        if extra is None:
            return _builtin()
        own: dict[str, Hunt] = {}
        for path in hunt_files([extra / "hunts" if (extra / "hunts").is_dir() else extra]):
            for hunt in read_hunts(path):
                if hunt.id in own:
                    raise ContentError(str(path), None, f"hunt {hunt.id} is also in {own[hunt.id].source}")
                own[hunt.id] = hunt
        return cls({**_builtin().hunts, **own})

    def all(self) -> Sequence[Hunt]:
        """Every hunt."""
        return tuple(self.hunts.values())

    def get(self, hunt_id: str) -> Hunt:
        """The hunt with this id.

        Raises:
            UsageError: there is none; names the ones that sound alike.
        """
        found = self.hunts.get(hunt_id)
        if found is None:
            near = ", ".join(get_close_matches(hunt_id, self.hunts, n=3, cutoff=0.4)) or "see `tracehound hunts list`"
            raise UsageError(f"there is no hunt {hunt_id!r}; nearest: {near}")
        return found

    def search(self, hunt_id: str, search_id: str) -> HuntSearch:
        """One search of a hunt.

        Raises:
            UsageError: there is none.
        """
        hunt = self.get(hunt_id)
        for search in hunt.searches:
            if search.id == search_id:
                return search
        raise UsageError(f"hunt {hunt_id} has no search {search_id!r}")

    def passages(self) -> list[Document]:
        """The hunts as documents for retrieval."""
        return [hunt_document(hunt) for hunt in self.hunts.values()]

    def label(self, fields: Mapping[str, Any], event_class: EventClass) -> list[Label]:
        """The behaviours that an event is an instance of, strongest first.

        Conditions on parameters are left out; a search of which nothing remains, or that needs a parameter, labels
        nothing.
        """
        event = dict(fields)
        return [label for holds, label in self._recognisers.get(event_class, ()) if holds(event)]

    @cached_property
    def _recognisers(self) -> Mapping[EventClass, Sequence[tuple[Callable[[dict[str, Any]], bool], Label]]]:
        found: dict[EventClass, list[tuple[Callable[[dict[str, Any]], bool], Label]]] = {}
        for hunt in self.hunts.values():
            for search in hunt.searches:
                where = None if search.needs else bind(search.where, {})
                if where is None:
                    continue
                techniques = search.techniques or hunt.techniques
                label = Label(hunt.id, search.id, search.signal, search.says, techniques)
                found.setdefault(search.event_class, []).append((recogniser(where), label))
        for entries in found.values():
            entries.sort(key=lambda entry: _STRENGTH[entry[1].signal])
        return found


@cache
def _builtin() -> HuntLibrary:
    folder = files("tracehound.knowledge").joinpath("hunts")
    paths = sorted(Path(str(path)) for path in folder.iterdir() if path.name.endswith(".yaml"))
    return HuntLibrary({hunt.id: hunt for path in paths for hunt in read_hunts(path)})


def hunt_files(paths: Iterable[Path]) -> list[Path]:
    """The YAML files among paths and below folders, in order.

    Raises:
        UsageError: a path does not exist.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(sorted(inner for inner in path.rglob("*") if inner.suffix in (".yaml", ".yml")))
        elif path.exists():
            found.append(path)
        else:
            raise UsageError(f"{path} does not exist")
    return found


def missing_attributes(search: HuntSearch) -> Mapping[Platform, tuple[str, ...]]:
    """The platforms that cannot run a search, and the attributes they lack for it (none: they lack the values).

    Optional parameters are left out, as in a run that does not fill them. A platform without the class is left out.
    """
    lacking: dict[Platform, tuple[str, ...]] = {}
    for platform in Platform:
        verdicts = [narrow(sample(search), view) for view in views_for(search.event_class, frozenset({platform}))]
        if verdicts and all(whole is False for whole, _ in verdicts):
            lacking[platform] = min((missing for _, missing in verdicts), key=len)
    return lacking


def check(paths: Sequence[Path], *, content: Path | None = None) -> list[Problem]:
    """Check hunt files: schema, attributes, ATT&CK ids, pivots, runbooks, and that some platform can run each search.

    Args:
        paths: files and folders.
        content: the SOC's own content folder, whose hunts and runbooks may be named as well.

    Returns:
        Errors and notes in file order. No error: the files can be used.
    """
    problems: list[Problem] = []
    read: list[tuple[Path, Hunt]] = []
    for path in hunt_files(paths):
        try:
            read.extend((path, hunt) for hunt in read_hunts(path))
        except ContentError as exc:
            problems.append(Problem(exc.path, exc.line, exc.problem))
    known = set(HuntLibrary.load(content).hunts) | {hunt.id for _, hunt in read}
    runbooks = {book.id for book in load_runbooks(*([content / "runbooks"] if content else []))}
    seen: dict[str, Path] = {}
    for path, hunt in read:
        line = _Lines.of(path)
        if hunt.id in seen:
            problems.append(Problem(str(path), line.find(hunt.id), f"hunt {hunt.id} is also in {seen[hunt.id]}"))
        seen[hunt.id] = path
        problems.extend(
            Problem(str(path), line.find(hunt.id, word), text, severity)
            for word, text, severity in _faults(hunt, known, runbooks)
        )
    return problems


def _faults(hunt: Hunt, known: set[str], runbooks: set[str]) -> Iterable[tuple[str, str, Literal["error", "note"]]]:
    """What is wrong with a hunt: the word to point at, the sentence, the severity."""
    for technique_id in (*hunt.techniques, *(name for search in hunt.searches for name in search.techniques)):
        found = attack.technique(technique_id)
        if found is None or found.withdrawn:
            state = "has no" if found is None else "withdrew"
            yield technique_id, f"{hunt.id}: ATT&CK {attack.version()} {state} {technique_id}", "error"
    for pivot in hunt.pivots:
        if pivot not in known:
            yield pivot, f"{hunt.id}: there is no hunt {pivot} to pivot to", "error"
    for runbook in hunt.runbooks:
        if runbook not in runbooks:
            yield runbook, f"{hunt.id}: there is no runbook {runbook}", "error"
    ids = [search.id for search in hunt.searches]
    for repeated in sorted({name for name in ids if ids.count(name) > 1}):
        yield repeated, f"{hunt.id}: two searches are called {repeated}", "error"
    for search in hunt.searches:
        carried = {view.platform for view in views_for(search.event_class)}
        lacking = missing_attributes(search)
        if carried <= set(lacking):
            why = "; ".join(f"{name} {_lack(lacks)}" for name, lacks in lacking.items())
            yield search.id, f"{hunt.id}#{search.id}: no platform can run it: {why or search.event_class}", "error"
            continue
        for name, lacks in lacking.items():
            yield search.id, f"{hunt.id}#{search.id}: {name} cannot run it, it {_lack(lacks)}", "note"
        yield search.id, f"{hunt.id}#{search.id}: {sentence(search)}", "note"


def _lack(attributes: Sequence[str]) -> str:
    return f"lacks {', '.join(attributes)}" if attributes else "never reports such a value"


@dataclass(frozen=True, slots=True)
class _Lines:
    """Where the words of a hunt stand in its file."""

    words: Sequence[tuple[str, int]]

    @classmethod
    def of(cls, path: Path) -> "_Lines":
        words: list[tuple[str, int]] = []
        for event in yaml.parse(path.read_text(encoding="utf-8"), Loader=LOADER):
            if isinstance(event, yaml.ScalarEvent) and event.start_mark is not None:
                words.append((event.value, event.start_mark.line + 1))
        return cls(words)

    def find(self, hunt_id: str, word: str | None = None) -> int | None:
        """The line of a word below the line that names the hunt; that line itself without a word."""
        names = (
            at for at, (value, _) in enumerate(self.words) if value == hunt_id and at and self.words[at - 1][0] == "id"
        )
        start = next(names, None)
        if start is None:
            return None
        if word is None:
            return self.words[start][1]
        return next((line for value, line in self.words[start + 1 :] if value == word), self.words[start][1])
