"""Reading data files of the evals: YAML into a pydantic model, with the line of whatever is wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ..knowledge.errors import ContentError

M = TypeVar("M", bound=BaseModel)


def read_yaml(path: Path, model: type[M]) -> M:
    """A file as a model.

    Raises:
        ContentError: it is not such YAML; names file, line and what is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content: Any = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as exc:
        raise ContentError(str(path), None, f"the file cannot be read: {exc}") from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        raise ContentError(str(path), mark.line + 1 if mark else None, f"not YAML: {exc}") from exc
    try:
        return model.model_validate(content)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(map(str, first["loc"]))
        problem = f"{where}: {first['msg']}" if where else first["msg"]
        raise ContentError(str(path), _line(node, first["loc"]), problem) from exc


def _line(node: yaml.Node | None, location: Sequence[int | str]) -> int:
    if node is None:
        return 1
    for part in location:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            found = next(
                (key if part == location[-1] else value for key, value in node.value if key.value == part), None
            )
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = node.value[part]
        if found is None:
            break
        node = found
    return int(node.start_mark.line) + 1
