"""The hunt library's searches on generated telemetry: what the lab's engines return is what the searches mean."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib.resources import as_file, files
from typing import Any

import pytest

from tracehound.evals.lab import sql_cql, sql_fql, sql_s1ql
from tracehound.evals.lab.lab import Lab
from tracehound.evals.lab.store import TELEMETRY
from tracehound.evals.lab.telemetry import Telemetry
from tracehound.tools.evidence.normalise import standard
from tracehound.tools.hunts import Hunt, bind, read_hunts
from tracehound.tools.languages import Language, Platform, Query, translate
from tracehound.tools.languages.search import Scalar, Search, Window, matches
from tracehound.tools.languages.vocabulary import EventClass

EDR = (Platform.FALCON, Platform.SENTINELONE)
TABLES = {
    "alerts": ("falcon_alerts", "alerts"),
    "hosts": ("falcon_devices", "hosts"),
    "vulnerabilities": ("falcon_vulnerabilities", "vulnerabilities"),
}


class Engines:
    """The lab's own executors, without the servers and their pacing."""

    def __init__(self, lab: Lab) -> None:
        self.telemetry = Telemetry(lab.directory / TELEMETRY)
        self.names: Mapping[str, str] = lab.names
        self.now = datetime.fromisoformat(str(lab.info()["clock"]))
        # A span whose events of any one class stay below the limit of a search.
        self.window = Window(start=self.now - timedelta(days=7), end=self.now)

    def rows(self, query: Query) -> list[dict[str, Any]]:
        start, end = query.window.start, query.window.end
        match query.language:
            case Language.CQL:
                return list(sql_cql.run(self.telemetry, query.text, start, end).rows)
            case Language.S1QL:
                found = sql_s1ql.run(self.telemetry, query.text, start, end, query.limit)
                return [row | {"eventTime": row["eventTime"].isoformat() + "Z"} for row in found]
            case Language.FQL:
                table, collection = TABLES[query.collection]
                clause = sql_fql.where(query.text, collection, self.telemetry.tables[table], self.now)
                sql = f"SELECT document FROM {self.telemetry.place(table)} WHERE {clause.sql}"
                return [json.loads(row[0]) for row in self.telemetry.run(sql, clause.values).rows]
            case _:
                raise AssertionError(query.language)

    def events(self, query: Query) -> list[Mapping[str, Any]]:
        reader = standard()
        return [reader.event(query, row, "E").fields for row in self.rows(query)]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Engines:
    return Engines(Lab.create(tmp_path_factory.mktemp("kestrel") / "lab"))


def queries(search: Search) -> list[Query]:
    found = [item for item in translate(search, EDR) if isinstance(item, Query)]
    return [query for query in found if query.language is not Language.REST]


def library() -> list[Hunt]:
    with as_file(files("tracehound.knowledge").joinpath("hunts")) as folder:
        return [hunt for path in sorted(folder.glob("*.yaml")) for hunt in read_hunts(path)]


def filled(hunt: Hunt, names: Mapping[str, str]) -> dict[str, list[Scalar]]:
    """Something that is there for every parameter, in a case that is not the vendor's."""
    known = {"host": names["WS-042"].lower(), "user": "SVC-Backup", "ip": "203.0.113.66", "process": "PowerShell.EXE"}
    known |= {"service": "psexesvc", "file": "RCLONE.exe", "cve": "cve-2023-23397", "domain": "kestrel.example"}
    return {name: [known.get(parameter.type, "x")] for name, parameter in hunt.parameters.items()}


def test_every_row_that_a_search_means_comes_back_and_no_other(engines: Engines) -> None:
    everything: dict[EventClass, dict[str, list[Mapping[str, Any]]]] = {}
    asked = returned = 0
    for hunt in library():
        for entry in hunt.searches:
            where = bind(entry.where, filled(hunt, engines.names))
            search = Search(event_class=entry.event_class, where=where, window=engines.window, limit=10_000)
            kinds = everything.setdefault(entry.event_class, {})
            if not kinds:
                whole = Search(event_class=entry.event_class, window=engines.window, limit=10_000)
                for query in queries(whole):
                    kinds.setdefault(query.platform, []).extend(engines.events(query))
            for platform in EDR:
                found = [query for query in queries(search) if query.platform is platform]
                events = [event for query in found for event in engines.events(query)]
                meant = sum(matches(where, event) for event in kinds.get(platform, []))
                kept = sum(matches(where, event) for event in events)
                asked, returned = asked + len(found), returned + kept
                where_from = (hunt.id, entry.id, platform, [query.text for query in found])
                assert kept == meant, where_from
                if not any(query.cannot_express for query in found):
                    assert len(events) == kept, where_from
    assert asked > 200
    assert returned > 500
