"""KQL in the lab yields the rows that Microsoft's documentation says: one probe a line of `kql_behaviour.yaml`."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tracehound.evals.lab.sql_kql import Answer, run_on_nothing


class Probes(yaml.SafeLoader):
    """YAML with `!set`: a list whose order does not matter."""


def _unordered(loader: yaml.SafeLoader, node: yaml.Node) -> frozenset[Any]:
    assert isinstance(node, yaml.SequenceNode)
    return frozenset(loader.construct_sequence(node, deep=True))


Probes.add_constructor("!set", _unordered)
CASES = yaml.load((Path(__file__).parent / "kql_behaviour.yaml").read_text(encoding="utf-8"), Loader=Probes)


def shown(value: Any, kind: str) -> Any:
    """A value as Kusto prints it; dynamic ones read."""
    match value:
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
        case timedelta():
            days, rest = divmod(int(value.total_seconds()), 86_400)
            clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
            return f"{days}.{clock}" if days else clock
        case str() if kind == "dynamic":
            return json.loads(value)
        case None if kind == "string":
            return ""
    return value


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, frozenset):
        return isinstance(found, list) and len(found) == len(wanted) and set(found) == wanted
    if isinstance(wanted, float):
        return isinstance(found, float | int) and abs(found - wanted) < 1e-9
    return type(found) is type(wanted) and bool(found == wanted)


def rows(answer: Answer) -> list[list[Any]]:
    return [[shown(value, kind) for value, (_, kind) in zip(row, answer.columns, strict=True)] for row in answer.rows]


@pytest.mark.parametrize("probe", CASES["probes"], ids=lambda probe: probe["name"])
def test_kql_behaves_as_documented(probe: dict[str, Any]) -> None:
    answer = run_on_nothing(CASES["tables"] + probe["query"], {})
    if "columns" in probe:
        assert [name for name, _ in answer.columns] == probe["columns"]
    if "rows" not in probe:
        return
    found, wanted = rows(answer), probe["rows"]
    if probe.get("order") == "any":
        found, wanted = sorted(found, key=repr), sorted(wanted, key=repr)
    assert len(found) == len(wanted), found
    for one, other in zip(found, wanted, strict=True):
        assert len(one) == len(other)
        assert all(map(same, one, other)), f"{one} is not {other}"


def test_there_are_enough_probes() -> None:
    assert len(CASES["probes"]) >= 60
    assert len({probe["name"] for probe in CASES["probes"]}) == len(CASES["probes"])
