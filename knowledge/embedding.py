"""Static word vectors for Chroma: small, offline, deterministic. Import this module only where vectors are needed."""

import logging
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from chromadb import Documents, EmbeddingFunction, Embeddings
from chromadb.utils.embedding_functions import register_embedding_function

NAME = "tracehound-wordllama-256"


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


@register_embedding_function
class WordVectors(EmbeddingFunction[Documents]):
    """Chroma's embedding function over wordllama's 256-dimensional vectors."""

    def __init__(self) -> None: ...

    def __call__(self, input: Documents) -> Embeddings:
        """Embed texts."""
        return [np.asarray(vector, dtype=np.float32) for vector in _model().embed(list(input), norm=True)]

    @staticmethod
    def name() -> str:
        """The name that an index remembers."""
        return NAME

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> "WordVectors":
        """Make the function again from what an index remembers."""
        return WordVectors()

    def get_config(self) -> dict[str, Any]:
        """Nothing is configurable."""
        return {}
