"""No name of the lab's world or of a recording is known outside the lab and the tests: nothing was fitted to them."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("agent", "evals", "graphs", "knowledge", "prompts", "tools")
TEXT = {".py", ".yaml", ".md", ".json", ".jsonl"}
PUBLIC_TOOLS = {"rclone.exe"}
"""Programs that anybody may use, and that a hunt may therefore name."""


def files() -> list[Path]:
    found = [ROOT / "cli.py"]
    for room in ROOMS:
        found += [path for path in (ROOT / room).rglob("*") if path.suffix in TEXT and path.is_file()]
    lab = ROOT / "evals" / "lab"
    return [path for path in found if lab not in path.parents and "__pycache__" not in path.parts]


def mentions(names: Iterable[str], within: Iterable[Path] | None = None) -> list[str]:
    """Places that hold one of the names as a word."""
    either = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.-])(?:{either})(?![\w-])", re.IGNORECASE)
    found = []
    for path in files() if within is None else within:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if hit := pattern.search(line):
                found.append(f"{path.name}:{number} {hit.group()}")
    return found


def lab_names() -> set[str]:
    world: dict[str, Any] = yaml.safe_load((ROOT / "evals" / "lab" / "kestrel.yaml").read_text(encoding="utf-8"))
    external = [ip for value in world["external"].values() for ip in (value if isinstance(value, list) else [value])]
    machines: dict[str, Any] = world["servers"] | world["controllers"] | world["special"]
    return {
        *world["people"],
        *(person["host"] for person in world["people"].values()),
        *machines,
        *(machine["ip"] for machine in machines.values()),
        *world["services"],
        *world["cloud_users"],
        *external,
        *world["files"],
        world["scanner"],
        world["company"]["name"],
        world["company"]["domain"],
        world["campaign"]["domain"],
        world["campaign"]["drop"],
        world["app"]["name"],
        world["change"],
    } - PUBLIC_TOOLS


def test_names_of_the_lab_stay_in_the_lab() -> None:
    assert mentions(lab_names()) == []


def test_names_of_the_recordings_stay_in_the_recordings(corpora: Path) -> None:
    truth = json.loads((corpora / "otrf" / "truth.json").read_text(encoding="utf-8"))
    kinds = ("hosts", "users", "ips")
    told = [name for case in truth.values() for kind in kinds for name in case.get("entities", {}).get(kind, ())]
    assert told
    ordinary = {name for name in told if len(name) < 5 or name.lower() == "administrator"}
    assert mentions(set(told) - ordinary) == []


@pytest.mark.parametrize("planted", ["it names WS-042 here", "user = 'm.alvarez'", "203.0.113.66"])
def test_a_planted_name_is_seen(planted: str, tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    page.write_text(f"nothing\n{planted}\n", encoding="utf-8")
    assert [place.split(" ")[0] for place in mentions(lab_names(), [page])] == ["page.py:2"]
