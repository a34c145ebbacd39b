"""The wheel must carry every package, and nothing from the root but the public modules."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOP = ("agent", "evals", "graphs", "knowledge", "prompts", "tools")


def test_every_package_is_declared() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = (init.parent for top in TOP for init in (ROOT / top).rglob("__init__.py"))
    names = {".".join(("tracehound", *folder.relative_to(ROOT).parts)) for folder in folders}
    assert set(settings["packages"]) == {"tracehound", *names}


def test_no_stray_root_modules() -> None:
    """Every module at the root is shipped."""
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "cli.py"}


def test_every_data_file_is_shipped() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    shipped: set[Path] = set()
    for package, patterns in settings["package-data"].items():
        folder = ROOT.joinpath(*package.split(".")[1:])
        shipped.update(path for pattern in patterns for path in folder.glob(pattern))
    kinds = {".yaml", ".json", ".jsonl", ".lark", ".md", ".html", ".css", ".js"}
    present = {path for top in TOP for path in (ROOT / top).rglob("*") if path.suffix in kinds and path.is_file()}
    assert present - shipped == set()
