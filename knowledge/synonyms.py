"""Words that mean the same to a searcher: `synonyms.yaml` read, checked and applied."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml

from .errors import ContentError
from .loading import LOADER


def plain(text: str) -> str:
    """The text in lower case, with every alias replaced by what it stands for."""
    meanings, pattern = _builtin()
    return pattern.sub(lambda match: meanings[match[0]], re.sub(r"\s+", " ", text.lower()))


@cache
def _builtin() -> tuple[Mapping[str, str], re.Pattern[str]]:
    source = files("tracehound.knowledge").joinpath("synonyms.yaml")
    meanings = read_synonyms(source.read_text(encoding="utf-8"), "knowledge/synonyms.yaml")
    longest_first = sorted(meanings, key=len, reverse=True)
    return meanings, re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-]|\.\w)")


def read_synonyms(text: str, source: str | Path) -> Mapping[str, str]:
    """Alias to what it stands for.

    Raises:
        ContentError: the text is no mapping of words to lists of words, or one alias stands for two things.
    """
    try:
        node = yaml.compose(text, Loader=LOADER)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        raise ContentError(str(source), mark.line + 1 if mark else None, f"not YAML: {exc}") from exc
    if not isinstance(node, yaml.MappingNode):
        raise ContentError(str(source), 1, "synonyms are a mapping: what is meant, and a list of words that mean it")
    found: dict[str, str] = {}
    for key, value in node.value:
        line = value.start_mark.line + 1
        if not isinstance(value, yaml.SequenceNode) or not value.value:
            raise ContentError(str(source), line, f"{key.value}: expected a list of words")
        for item in value.value:
            if not isinstance(item, yaml.ScalarNode) or not item.value or item.value != item.value.lower():
                raise ContentError(str(source), line, f"{key.value}: an alias is a word or phrase in lower case")
            if item.value in found:
                raise ContentError(str(source), line, f"{item.value} already stands for {found[item.value]}")
            found[item.value] = str(key.value)
    return found
