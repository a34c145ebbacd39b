"""The phrases of every document as vectors, and the nearest of them to a text.

They live in Chroma under a folder whose name carries the hash of the content and of the embedder; a different hash
builds anew. Beside the collection lies one packed file of the same vectors: up to `SCANNED` phrases a look at each of
them is exact, takes a few milliseconds, and spares a process the import of Chroma; beyond that Chroma's graph answers.
"""

import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .documents import Document
from .embedding import NAME, embed
from .errors import StorageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCANNED = 60_000
"""Phrases of an index that is searched without Chroma."""
DEPTH = 120
"""Nearest phrases that are looked at; several may belong to one document."""
YOUNG = 3_600
"""Seconds for which an index without a pointer to it is left alone."""
_PACKED = "vectors.npz"
_COLLECTION = "passages"
_BATCH = 2_000


class Vectors(Protocol):
    """An index of phrases."""

    def nearness(self, text: str) -> dict[int, float]:
        """Place of the nearest documents and the cosine of their nearest phrase."""
        ...


def open_vectors(documents: Sequence[Document], folder: Path) -> Vectors:
    """The index for exactly these documents, built when the folder holds none.

    A build goes to a folder of its own and is published by replacing one small file, so that processes that build at
    the same time do not meet.

    Raises:
        StorageError: the folder cannot be written.
    """
    stamp = _stamp(documents)
    pointer = folder / "index.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        current = _read_pointer(pointer)
        if current.get("stamp") == stamp and (folder / current["folder"] / _PACKED).is_file():
            return _open(folder / current["folder"])
        name = f"{stamp[:12]}-{uuid.uuid4().hex[:8]}"
        _build(documents, folder / name)
        part = folder / f"{name}.json"
        part.write_text(json.dumps({"stamp": stamp, "folder": name, "embedder": NAME}), encoding="utf-8")
        os.replace(part, pointer)
    except OSError as exc:
        raise StorageError(f"the search index in {folder} cannot be written: {exc.strerror or exc}") from exc
    _sweep(folder, keep=name)
    return _open(folder / name)


@dataclass(frozen=True, slots=True)
class Scan:
    """A look at every phrase."""

    places: "NDArray[np.int32]"
    """Of each phrase, the place of its document."""
    vectors: "NDArray[np.float32]"
    """Of each phrase, its vector of length 1."""

    def nearness(self, text: str) -> dict[int, float]:
        """Place of the nearest documents and the cosine of their nearest phrase."""
        import numpy as np

        # A product by BLAS wakes a thread for each core and waits for the last of them, which on a busy machine is long.
        cosines = np.einsum("ij,j->i", self.vectors, embed([text])[0])
        nearest = np.argpartition(-cosines, DEPTH)[:DEPTH] if len(cosines) > DEPTH else range(len(cosines))
        return _best((int(self.places[number]), float(cosines[number])) for number in nearest)


@dataclass(frozen=True, slots=True)
class Graph:
    """Chroma's approximate search."""

    collection: Any

    def nearness(self, text: str) -> dict[int, float]:
        """Place of the nearest documents and the cosine of their nearest phrase."""
        answer = self.collection.query(
            query_embeddings=embed([text]), n_results=DEPTH, include=["metadatas", "distances"]
        )
        entries = zip(answer["metadatas"][0], answer["distances"][0], strict=True)
        return _best((int(entry["place"]), 1.0 - float(distance)) for entry, distance in entries)


def _best(pairs: Iterable[tuple[int, float]]) -> dict[int, float]:
    near: dict[int, float] = {}
    for place, cosine in pairs:
        near[place] = max(near.get(place, -1.0), cosine)
    return near


def _stamp(documents: Sequence[Document]) -> str:
    content = json.dumps([asdict(document) for document in documents], sort_keys=True)
    return hashlib.sha256(f"{NAME}\n{content}".encode()).hexdigest()


def _read_pointer(pointer: Path) -> dict[str, str]:
    try:
        content = json.loads(pointer.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _open(folder: Path) -> Vectors:
    import numpy as np

    with np.load(folder / _PACKED, allow_pickle=False) as packed:
        places = packed["places"]
        if len(places) <= SCANNED:
            return Scan(places, packed["vectors"])
    return Graph(_client(folder).get_collection(_COLLECTION))


def _client(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))


def _build(documents: Sequence[Document], folder: Path) -> None:
    import numpy as np

    phrases = [
        (place, number, re.sub(r"\{\w+\}", " ", phrase))
        for place, document in enumerate(documents)
        for number, phrase in enumerate(dict.fromkeys((document.title, *document.phrases, document.text)))
        if phrase.strip()
    ]
    vectors = embed([phrase for _, _, phrase in phrases])
    collection = _client(folder).create_collection(
        _COLLECTION, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )
    for at in range(0, len(phrases), _BATCH):
        batch = phrases[at : at + _BATCH]
        collection.add(
            ids=[f"{place}-{number}" for place, number, _ in batch],
            documents=[phrase for _, _, phrase in batch],
            metadatas=[{"place": place} for place, _, _ in batch],
            embeddings=vectors[at : at + _BATCH],
        )
    np.savez(folder / _PACKED, places=np.array([place for place, _, _ in phrases], dtype=np.int32), vectors=vectors)


def _sweep(folder: Path, keep: str) -> None:
    """Remove indexes of earlier content. Another process may have one open; what cannot go stays."""
    for old in folder.iterdir():
        if not old.is_dir() or not re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]{8}", old.name) or old.name == keep:
            continue
        # A young folder may be one that another process is building at this moment.
        with suppress(FileNotFoundError):
            if time.time() - old.stat().st_mtime > YOUNG:
                shutil.rmtree(old, ignore_errors=True)
