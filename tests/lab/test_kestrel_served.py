"""The generated lab behind its servers: facts of the world, asked in each language."""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest

from tracehound.evals.lab.lab import Lab
from tracehound.tools.languages.query import Check, Language, Platform, Query
from tracehound.tools.languages.search import Window
from tracehound.tools.vendors.estate import Estate

pytestmark = pytest.mark.anyio


SEEDS = (0, 3, 11)


@pytest.fixture(scope="module", params=SEEDS)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab.create(tmp_path_factory.mktemp("kestrel") / "lab", seed=request.param)


@pytest.fixture
async def connected(lab: Lab) -> AsyncIterator[Estate]:
    found = lab.estate()
    yield found
    await found.aclose()


FACTS = (Path(__file__).parent / "kestrel_facts.txt").read_text(encoding="utf-8").splitlines()
"""Platform, language and collection | column | its values | the query, with canonical names in angles."""


def _path(key: str, row: Mapping[str, Any]) -> list[str]:
    """A column, or the way to it through nested objects."""
    return [key] if key in row else key.split(".")


def actual(text: str, lab: Lab) -> str:
    """A text with the lab's own names in place of the canonical ones; a name that no seed changes stays."""
    return re.sub(r"<([^<>|]+)>", lambda match: lab.names.get(match[1], match[1]), text)


@pytest.mark.parametrize("fact", FACTS)
async def test_a_fact_is_where_its_sensor_would_show_it(lab: Lab, connected: Estate, fact: str) -> None:
    where, key, expected, text = (part.strip() for part in fact.split("|", 3))
    platform, language, collection = where.split()
    window = Window(start=connected.now() - timedelta(days=14), end=connected.now())
    if collection in ("alerts", "vulnerabilities"):
        window = Window(start=connected.now() - timedelta(days=45), end=connected.now())
    spoken = Language(language)
    asked = Query(Platform(platform), spoken, collection, actual(text, lab), window, 1000, Check(spoken, True, True))
    reader = connected.reader(asked.platform)
    assert reader is not None
    found = await reader.run(asked)
    assert (found.status, found.coverage.complete) == ("ok", True), found.error
    assert {str(reduce(getitem, _path(key, row), row)) for row in found.rows} == set(actual(expected, lab).split())


async def test_the_threat_that_nobody_mitigated_is_open(lab: Lab, connected: Estate) -> None:
    window = Window(start=connected.now() - timedelta(days=14), end=connected.now())
    text = actual("GET /threats?resolved=false&computerName__contains=<FS-01>", lab)
    asked = Query(Platform.SENTINELONE, Language.REST, "threats", text, window, 1000, Check(Language.REST, True, True))
    reader = connected.reader(Platform.SENTINELONE)
    assert reader is not None
    assert {row["id"] for row in (await reader.run(asked)).rows} >= {lab.alerts["S1-rclone"]}


async def test_every_alert_of_the_lab_is_found_by_its_id(lab: Lab, connected: Estate) -> None:
    assert lab.alerts
    for alert in lab.alerts.values():
        found = [await reader.find_alert(alert) for reader in connected.readers]
        assert sum(item is not None for item in found) == 1


def test_two_labs_have_different_secrets(lab: Lab, tmp_path: Path) -> None:
    from tracehound.evals.lab.folder import STATE
    from tracehound.evals.lab.state import LabState

    states = [LabState(lab.directory / STATE), LabState(tmp_path / STATE)]
    secrets = {state.credential("falcon", "acting").secret for state in states}
    assert len(secrets) == 2
    for state in states:
        state.close()
