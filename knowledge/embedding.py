"""Static word vectors: small, offline, deterministic. Heavy libraries are imported on first use."""

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "tracehound-wordllama-256"


def embed(texts: Sequence[str]) -> "NDArray[np.float32]":
    """One row for each text: 256 numbers, of length 1."""
    import numpy as np

    return np.asarray(_model().embed(list(texts), norm=True), dtype=np.float32)


@cache
def _model() -> Any:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    import wordllama

    # Its import configures the root logger of the whole program.
    root.handlers[:] = handlers
    root.setLevel(level)
    # The plain load() looks in a folder that the wheel does not have and then asks the network.
    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
