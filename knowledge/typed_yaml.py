"""YAML data read into a model; a mistake is named with its file and line."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ValidationError

from .errors import ContentError
from .loading import LOADER, parsed

Model = TypeVar("Model", bound=BaseModel)


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as exc:
        raise ValueError(f"{pattern!r} is not a regular expression: {exc}") from exc
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]
"""A Python regular expression, as text."""


def around(slot: str) -> AfterValidator:
    """The check of a pattern around `{slot}`, which stands for something that is known when the pattern is used."""

    def compiles(pattern: str) -> str:
        _compiles(pattern.replace(f"{{{slot}}}", "x"))
        return pattern

    return AfterValidator(compiles)


def read_typed(text: str, source: str, model: type[Model]) -> Model:
    """One YAML document as a model.

    Raises:
        ContentError: it is not YAML, or not what the model wants; names file, line and what is wrong.
    """
    try:
        content = parsed(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        raise ContentError(source, mark.line + 1 if mark else None, f"not YAML: {exc}") from exc
    try:
        return model.model_validate(content)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ContentError(
            source, line_of(yaml.compose(text, Loader=LOADER), first["loc"]), f"{where}: {first['msg']}"
        ) from exc


def line_of(node: Any, location: Sequence[int | str]) -> int | None:
    """The line of the deepest part of a location that stands in the document; None for an empty one."""
    if node is None:
        return None
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = node.value[part]
        else:
            found = None
        if found is None:
            break
        node = found
    return int(node.start_mark.line) + 1
