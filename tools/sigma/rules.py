"""Sigma rule files, read by pySigma: each rule with the place of its lines, or why it cannot be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from ...knowledge.errors import ContentError, UsageError

_SUFFIXES = (".yml", ".yaml")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _DuplicateKeyError(yaml.MarkedYAMLError):
    """A key that stands twice in one mapping: a condition would be lost without a word."""


@dataclass(frozen=True)
class RuleFile:
    """One rule of a file, with the YAML that it was read from."""

    path: Path
    node: yaml.Node
    rule: SigmaRule

    def line_of(self, *keys: str) -> int:
        """The line of the last of these nested keys that is there; of the rule when none is."""
        return _line_of(self.node, *keys)

    def line_of_field(self, field: str | None) -> int:
        """The line where the detection first names a field, modifiers aside; of the detection when it does not."""
        line = self.line_of("detection")
        return next((at for name, at in _keys(self.node) if name.partition("|")[0] == field and at >= line), line)


def _line_of(node: yaml.Node, *keys: str) -> int:
    line = int(node.start_mark.line) + 1
    for key in keys:
        entries = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((name, value) for name, value in entries if name.value == key), None)
        if found is None:
            break
        line, node = int(found[0].start_mark.line) + 1, found[1]
    return line


def _keys(node: yaml.Node) -> list[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        own = [(str(name.value), int(name.start_mark.line) + 1) for name, _ in node.value]
        return own + [found for _, value in node.value for found in _keys(value)]
    if isinstance(node, yaml.SequenceNode):
        return [found for item in node.value for found in _keys(item)]
    return []


def rule_files(paths: Sequence[Path]) -> list[Path]:
    """The YAML files among paths and below folders, in order.

    Raises:
        UsageError: a path does not exist.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(sorted(inner for inner in path.rglob("*") if inner.suffix in _SUFFIXES and inner.is_file()))
        elif path.exists():
            found.append(path)
        else:
            raise UsageError(f"{path} does not exist")
    return list(dict.fromkeys(found))


def read_rules(path: Path) -> list[RuleFile]:
    """The rules of one file; several may stand in it, parted by `---`.

    Raises:
        ContentError: the file is not YAML, or a document in it is no Sigma rule; names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        nodes = [node for node in yaml.compose_all(text, Loader=_LOADER) if node is not None]
        for node in nodes:
            _refuse_duplicates(node)
        documents = [found for found in yaml.load_all(text, Loader=_LOADER) if found is not None]
    except UnicodeDecodeError as exc:
        raise ContentError(str(path), None, "the file is not UTF-8 text") from exc
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}") from exc
    except (yaml.YAMLError, ValueError) as exc:
        mark = getattr(exc, "problem_mark", None)
        problem = getattr(exc, "problem", None) or str(exc)
        raise ContentError(str(path), mark.line + 1 if mark else None, f"not YAML: {problem}") from exc
    if not nodes:
        raise ContentError(str(path), 1, "the file is empty; a Sigma rule has a title, a logsource and a detection")
    return [_read(path, node, document) for node, document in zip(nodes, documents, strict=True)]


def _refuse_duplicates(node: yaml.Node) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if str(key.value) in seen:
                raise _DuplicateKeyError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
            _refuse_duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_duplicates(item)


def _read(path: Path, node: yaml.Node, document: Any) -> RuleFile:
    line = int(node.start_mark.line) + 1
    if not isinstance(document, dict):
        raise ContentError(str(path), line, "a Sigma rule is a mapping with a title, a logsource and a detection")
    if "correlation" in document:
        raise ContentError(
            str(path), line, "a correlation rule ties other rules together over time, which no search can state"
        )
    if "filter" in document:
        raise ContentError(str(path), line, "a Sigma filter changes other rules and is no rule by itself")
    try:
        rule = SigmaRule.from_dict(document)
        if not rule.detection.parsed_condition:
            raise SigmaError("Sigma rule must have a condition")
        for condition in rule.detection.parsed_condition:
            condition.parse()
    except SigmaError as exc:
        keys = ("detection", "condition") if "ondition" in type(exc).__name__ else ("detection",)
        problem = str(exc.args[0] if exc.args else exc).rstrip(".")
        raise ContentError(str(path), _line_of(node, *keys), problem) from exc
    except (TypeError, AttributeError, KeyError) as exc:
        raise ContentError(str(path), line, f"a Sigma rule of another shape: {exc}") from exc
    return RuleFile(path, node, rule)
