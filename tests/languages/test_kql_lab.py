"""The hunt library's searches in KQL on generated telemetry: the rows that come back are those that a search means."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib.resources import as_file, files
from typing import Any

import pytest

from tracehound.evals.lab.lab import Lab
from tracehound.evals.lab.sql_kql import Engine
from tracehound.evals.lab.store import TELEMETRY
from tracehound.evals.lab.telemetry import Telemetry
from tracehound.tools.evidence.normalise import standard
from tracehound.tools.hunts import Hunt, bind, read_hunts
from tracehound.tools.languages import Platform, Query, translate
from tracehound.tools.languages.search import Expression, Scalar, Search, Window, matches
from tracehound.tools.languages.vocabulary import EventClass

EACH = 3
"""Searches of each event class that are run; the executor of the lab takes its time."""
MICROSOFT = (Platform.DEFENDER, Platform.SENTINEL)


class Engines:
    """The lab's executor of KQL for both places, without the servers and their pacing."""

    def __init__(self, lab: Lab) -> None:
        telemetry = Telemetry(lab.directory / TELEMETRY)
        now = datetime.fromisoformat(str(lab.info()["clock"]))
        self.names: Mapping[str, str] = lab.names
        self.window = Window(start=now - timedelta(days=45), end=now)
        self._engines = {
            Platform.DEFENDER: Engine(telemetry, "defender", now),
            Platform.SENTINEL: Engine(telemetry, "sentinel", now),
        }
        self._asked: dict[tuple[Platform, str], list[Mapping[str, Any]]] = {}
        self._whole: dict[tuple[EventClass, Platform], dict[str, list[Mapping[str, Any]]]] = {}

    def events(self, query: Query) -> list[Mapping[str, Any]]:
        """What comes back, as events; the same text is asked once."""
        key = (query.platform, query.text)
        if key not in self._asked:
            self._asked[key] = self._fresh(query)
        return self._asked[key]

    def _fresh(self, query: Query) -> list[Mapping[str, Any]]:
        answer = self._engines[query.platform].run(query.text, query.window.start, query.window.end)
        names = [name for name, _ in answer.columns]
        read = standard()
        rows = [{key: value for key, value in zip(names, row, strict=True) if value is not None} for row in answer.rows]
        return [read.event(query, row, "E").fields for row in rows]

    def search(self, event_class: EventClass, where: Expression | None = None) -> list[Query]:
        asked = Search(event_class=event_class, where=where, window=self.window, limit=10_000)
        return [item for item in translate(asked, MICROSOFT) if isinstance(item, Query)]

    def whole(self, event_class: EventClass, platform: Platform) -> dict[str, list[Mapping[str, Any]]]:
        """Every event of a class, by the table that holds it."""
        if (event_class, platform) not in self._whole:
            found: dict[str, list[Mapping[str, Any]]] = {}
            for query in self.search(event_class):
                if query.platform is platform:
                    found.setdefault(query.collection, []).extend(self.events(query))
            self._whole[event_class, platform] = found
        return self._whole[event_class, platform]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Engines:
    return Engines(Lab.create(tmp_path_factory.mktemp("kestrel") / "lab"))


def library() -> list[Hunt]:
    with as_file(files("tracehound.knowledge").joinpath("hunts")) as folder:
        return [hunt for path in sorted(folder.glob("*.yaml")) for hunt in read_hunts(path)]


def filled(hunt: Hunt, names: Mapping[str, str]) -> dict[str, list[Scalar]]:
    """Something that is there for every parameter, in a case that is not the vendor's."""
    known = {"host": names["DC-01"].lower(), "user": "D.Okoye", "ip": "192.0.2.77", "process": "PowerShell.EXE"}
    known |= {"service": "psexesvc", "file": "invoice_88213.DOCM", "domain": "kestrel.example"}
    return {name: [known.get(parameter.type, "x")] for name, parameter in hunt.parameters.items()}


def test_every_row_that_a_search_means_comes_back_and_no_other(engines: Engines) -> None:
    asked = returned = 0
    runs: Counter[tuple[EventClass, str]] = Counter()
    wrong: list[object] = []
    for hunt in library():
        for entry in hunt.searches:
            # Wide searches bring rows and narrow ones leave rows out: some of each kind are asked.
            kind = (entry.event_class, entry.signal)
            runs[kind] += 1
            if runs[kind] > EACH:
                continue
            where = bind(entry.where, filled(hunt, engines.names))
            queries = engines.search(entry.event_class, where)
            asked += len(queries)
            for platform in MICROSOFT:
                mine = [query for query in queries if query.platform is platform]
                whole = engines.whole(entry.event_class, platform)
                if any(len(events) >= 10_000 for events in whole.values()):
                    continue
                events = [event for query in mine for event in engines.events(query)]
                kept = sum(matches(where, event) for event in events)
                meant = sum(matches(where, event) for part in whole.values() for event in part)
                exact = not any(query.cannot_express for query in mine)
                returned += kept
                if kept != meant or (exact and len(events) != kept):
                    wrong.append((hunt.id, entry.id, platform.value, kept, len(events), meant, [q.text for q in mine]))
    assert not wrong
    assert asked > 30
    assert returned > 100
