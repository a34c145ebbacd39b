"""The shape of the house: arrows between rooms, portability, and names that belong to the lab alone."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("cli", "evals", "agent", "graphs", "tools", "knowledge", "prompts")
MAY_IMPORT = {
    "cli": {"evals", "agent", "graphs", "tools", "knowledge", "prompts"},
    "evals": {"agent", "graphs", "tools", "knowledge", "prompts"},
    "agent": {"graphs", "tools", "knowledge", "prompts"},
    "graphs": {"tools", "knowledge", "prompts"},
    "tools": {"knowledge", "prompts"},
    "knowledge": set[str](),
    "prompts": {"knowledge"},  # for the exception tree, which lives in the lowest room
}
HEAVY = {"langgraph", "langchain_core", "langchain_openai", "chromadb", "httpx", "duckdb"}
POSIX_ONLY = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog"}


def sources() -> list[Path]:
    return [ROOT / "cli.py", *(path for room in ROOMS[1:] for path in sorted((ROOT / room).rglob("*.py")))]


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Dotted names inside the package (without `tracehound.`) or of other packages, with the line."""
    here = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                yield node.module or "", node.lineno
                continue
            base = here[: len(here) - node.level]
            module = ".".join((*base, *(node.module or "").split("."))).strip(".")
            for alias in node.names:
                yield "tracehound." + (module or alias.name), node.lineno


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_run_one_way(path: Path) -> None:
    room = room_of(path)
    for name, line in imports(path):
        parts = name.split(".")
        if parts[0] == "tracehound" and len(parts) > 1 and parts[1] in ROOMS:
            assert parts[1] == room or parts[1] in MAY_IMPORT[room], f"{path}:{line} imports {name}"


def test_the_lab_stands_on_languages_and_vendors_alone() -> None:
    for path in (ROOT / "evals" / "lab").glob("*.py"):
        for name, line in imports(path):
            parts = name.split(".")
            if parts[:2] == ["tracehound", "tools"] and len(parts) > 2:
                assert parts[2] in ("languages", "vendors"), f"{path}:{line} imports {name}"


def test_nothing_is_posix_only() -> None:
    for path in sources():
        for name, line in imports(path):
            assert name.split(".")[0] not in POSIX_ONLY, f"{path}:{line} imports {name}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used = f"{node.value.id}.{node.attr}"
                assert used not in ("os.fork", "os.geteuid", "os.getuid", "os.killpg"), (
                    f"{path}:{node.lineno} uses {used}"
                )
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.match(r"^/(tmp|dev|etc|proc)/", node.value) or room_of(path) in ("knowledge", "evals"), (
                    f"{path}:{node.lineno} holds the path {node.value!r}"
                )


def catches_everything(node: ast.AST) -> bool:
    """A broad handler that does not raise again; one that cleans up and re-raises catches nothing."""
    broad = isinstance(node, ast.ExceptHandler) and (
        node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))
    )
    if not broad or not isinstance(node, ast.ExceptHandler):
        return False
    last = node.body[-1]
    return not (isinstance(last, ast.Raise) and last.exc is None)


def test_only_the_outermost_edge_catches_everything() -> None:
    allowed = {"cli.py", "graphs/calling.py"}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = str(path.relative_to(ROOT).as_posix())
            assert not catches_everything(node) or where in allowed, (
                f"{path} catches everything: {ast.unparse(node)[:60]}"
            )


def test_cli_import_is_light() -> None:
    code = "import sys, tracehound.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(loaded.split())


def test_the_executor_imports_no_model_and_no_graph() -> None:
    code = "import sys, tracehound.tools.response.__main__; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not {
        name for name in loaded if name.split(".")[0] in ("langgraph", "langchain_core", "langchain_openai", "openai")
    }
    assert not {
        name for name in loaded if name.startswith(("tracehound.graphs", "tracehound.agent", "tracehound.evals"))
    }
