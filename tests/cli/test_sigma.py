"""`tracehound hunts import`: a line for each rule, hunts in the SOC's own folder, and the exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
RULE = """title: Lab Tool Starts Oddly
id: 7a1b2c3d-0000-4000-8000-00000000000a
author: Ida Berg
level: high
logsource: {product: windows, category: process_creation}
detection:
  selection: {CommandLine|contains: ' -oddly'}
  condition: selection
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "good.yml").write_text(RULE, encoding="utf-8")
    (folder / "other.yml").write_text(RULE.replace("CommandLine|contains", "Unheard"), encoding="utf-8")
    return folder


def test_imported_hunts_are_used_at_once_and_a_second_import_changes_nothing(run: Run, rules: Path, home: Path) -> None:
    first = run("hunts", "import", str(rules))
    assert first.code == 0
    good, other = first.out.splitlines()
    assert good == f"{rules / 'good.yml'}:1: imported as sigma.lab-tool-starts-oddly"
    assert other.startswith(f"{rules / 'other.yml'}:7: not imported: Unheard: ")
    assert "1 imported" in first.err
    folder = home / "content" / "hunts"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run("hunts", "import", str(rules)).out == first.out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert run("hunts", "check", str(folder)).code == 0
    shown = " ".join(run("hunts", "show", "sigma.lab-tool-starts-oddly").out.split())
    assert "Ida Berg" in shown
    assert "Detection Rule License (DRL) 1.1" in shown


def test_hunts_go_to_the_content_folder_or_to_the_one_that_is_named(
    run: Run, rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = tmp_path / "content"
    (content / "hunts").mkdir(parents=True)
    monkeypatch.setenv("TRACEHOUND_CONTENT", str(content))
    assert run("hunts", "import", str(rules / "good.yml")).code == 0
    assert [path.name for path in (content / "hunts").iterdir()] == ["lab-tool-starts-oddly.yaml"]
    elsewhere = run("hunts", "import", str(rules / "good.yml"), "-o", str(tmp_path / "elsewhere"))
    assert elsewhere.code == 0
    assert "set TRACEHOUND_CONTENT" in elsewhere.err
    assert (tmp_path / "elsewhere" / "lab-tool-starts-oddly.yaml").exists()


def test_what_is_no_rule_is_a_failure_that_names_file_and_line(run: Run, rules: Path, tmp_path: Path) -> None:
    (rules / "good.yml").write_text(RULE.replace("selection:", "selection: ["), encoding="utf-8")
    broken = run("hunts", "import", str(rules / "good.yml"))
    assert broken.code == 1
    assert f"{rules / 'good.yml'}:8: not a Sigma rule: not YAML" in broken.out
    assert run("hunts", "import", str(rules / "other.yml")).code == 1
    assert run("hunts", "import", str(tmp_path / "nowhere.yml")).code == 2


def test_a_hunt_shows_the_languages_of_its_searches(run: Run) -> None:
    shown = json.loads(run("hunts", "show", "lateral-movement.remote-service", "--json").out)
    assert set(shown["languages"]) == {search["id"] for search in shown["searches"]}
    assert "# psexec-client: valid in " in run("hunts", "show", "lateral-movement.remote-service").out
