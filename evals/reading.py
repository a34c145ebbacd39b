"""Reading data files of the evals: YAML into a pydantic model, with the line of whatever is wrong."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from ..knowledge.errors import ContentError
from ..knowledge.typed_yaml import read_typed

M = TypeVar("M", bound=BaseModel)


def read_yaml(path: Path, model: type[M]) -> M:
    """A file as a model.

    Raises:
        ContentError: it is not such YAML; names file, line and what is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ContentError(str(path), None, f"the file cannot be read: {exc}") from exc
    return read_typed(text, str(path), model)
