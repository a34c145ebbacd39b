"""Search over hunts and runbooks: BM25 and static word vectors, joined by score.

Ids and tool names (`T1021.002`, `4769`, `comsvcs.dll`) sink in vectors, so a query that holds one which the index knows
goes to BM25 alone. Everything else is ranked by both. Scores are joined, not ranks: a rank does not say whether the
best hit is any good, and declining a question needs exactly that. The vectors live in Chroma under a folder whose name
carries the hash of the content and of the embedder; a different hash builds anew. Heavy libraries are imported on
first use.
"""

import hashlib
import json
import logging
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from .errors import StorageError
from .tokens import ids, tokens

Kind = Literal["hunt", "runbook"]
_DEPTH = 120


@dataclass(frozen=True, slots=True)
class Document:
    """One thing to find: a hunt, or a section of a runbook.

    `text` is what a reader is shown, `keywords` are words that only help to find it, and each of `phrases` (example
    questions, headings) is a sentence that a searcher may say; the nearest of them stands for the document.
    """

    id: str
    kind: Kind
    title: str
    section: str
    text: str
    keywords: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A document that was found. `score` lies between 0 and 1 and compares between queries."""

    id: str
    kind: Kind
    title: str
    section: str
    text: str
    score: float


class Retrieval:
    """A searchable set of documents."""

    def __init__(self, passages: Iterable[Document], folder: Path) -> None:
        """Prepare; the index is built or opened at the first search.

        Args:
            passages: what can be found.
            folder: where the vectors are kept between runs.
        """
        self.documents = tuple(passages)
        self.folder = folder

    @classmethod
    def open(cls, folder: Path, *, passages: Iterable[Document]) -> "Retrieval":
        """The index under a folder over these documents."""
        return cls(passages, folder)

    def search(self, text: str, k: int = 5, kind: Kind | None = None) -> list[Passage]:
        """The best `k` documents for a text, best first; none for a text without a word.

        Args:
            text: a question, some words, or an id.
            k: how many.
            kind: only documents of this kind.

        Raises:
            StorageError: the folder cannot be written.
        """
        words = tokens(text)
        if not words or not self.documents:
            return []
        scores = self._score(text, words)
        ranked = sorted(scores, key=lambda place: (-scores[place], place))
        found = (place for place in ranked if kind is None or self.documents[place].kind == kind)
        return [_passage(self.documents[place], scores[place]) for place in islice(found, k)]

    def _score(self, text: str, words: Sequence[str]) -> dict[int, float]:
        """Place of each candidate and its score.

        The lexical part is the share of the query's weight that the best document covers, scaled down by BM25 for the
        others; the other part is the cosine. Both lie between 0 and 1.
        """
        lexical = self._words.rank(words)
        # The index is opened for id queries as well: one path, one behaviour.
        vectors = self._vectors
        near = {} if any(self._words.knows(word) for word in ids(text)) else vectors.nearness(text)
        top = max(lexical.values(), default=1.0)
        covered = max((self._words.coverage(words, place) for place in lexical), default=0.0)
        shares = {place: covered * score / top for place, score in lexical.items()}
        if not near:
            return shares
        return {
            place: (shares.get(place, 0.0) + max(0.0, near.get(place, 0.0))) / 2
            for place in shares.keys() | near.keys()
        }

    @cached_property
    def _words(self) -> "_Words":
        return _Words(self.documents)

    @cached_property
    def _vectors(self) -> "_Vectors":
        return _Vectors.open(self.documents, self.folder)


def _passage(document: Document, score: float) -> Passage:
    return Passage(
        id=document.id,
        kind=document.kind,
        title=document.title,
        section=document.section,
        text=document.text,
        score=round(min(score, 1.0), 4),
    )


class _Words:
    """BM25 over stemmed, id-aware tokens."""

    def __init__(self, documents: Sequence[Document]) -> None:
        import bm25s

        logging.getLogger("bm25s").setLevel(logging.WARNING)
        corpus = [tokens(" ".join((d.title, d.section, d.text, *d.keywords, *d.phrases))) for d in documents]
        self._sets = [frozenset(words) for words in corpus]
        counts: dict[str, int] = {}
        for words in self._sets:
            for word in words:
                counts[word] = counts.get(word, 0) + 1
        total = len(corpus)
        self._weights = {word: math.log(1 + total / count) for word, count in counts.items()}
        self._unknown = math.log(1 + total)
        self._index = bm25s.BM25(method="lucene")
        self._index.index(corpus, show_progress=False)

    def knows(self, word: str) -> bool:
        return word in self._weights

    def rank(self, words: Sequence[str]) -> dict[int, float]:
        """Place of each document that shares a word, and its score."""
        known = [word for word in words if word in self._weights]
        if not known:
            return {}
        scores = self._index.get_scores(known)
        return {place: float(score) for place, score in enumerate(scores) if score > 0}

    def coverage(self, words: Sequence[str], place: int) -> float:
        """The share of a query's weight that a document carries; rare and unknown words weigh most."""
        weights = {word: self._weights.get(word, self._unknown) for word in set(words)}
        return sum(weight for word, weight in weights.items() if word in self._sets[place]) / sum(weights.values())


@dataclass(frozen=True, slots=True)
class _Vectors:
    """The phrases of every document in Chroma."""

    collection: Any

    @classmethod
    def open(cls, documents: Sequence[Document], folder: Path) -> "_Vectors":
        """The index for exactly these documents, built when the folder holds none.

        A build goes to a folder of its own and is published by replacing one small file, so that processes that
        build at the same time do not meet.
        """
        from .embedding import NAME, WordVectors

        stamp = _stamp(documents, NAME)
        pointer = folder / "index.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            current = _read_pointer(pointer)
            if current.get("stamp") == stamp and (folder / current["folder"]).is_dir():
                collection = _client(folder / current["folder"]).get_collection("passages", WordVectors())
                return cls(collection)
            name = f"{stamp[:12]}-{uuid.uuid4().hex[:8]}"
            collection = _build(documents, folder / name)
            part = folder / f"{name}.json"
            part.write_text(json.dumps({"stamp": stamp, "folder": name, "embedder": NAME}), encoding="utf-8")
            os.replace(part, pointer)
        except OSError as exc:
            raise StorageError(f"the search index in {folder} cannot be written: {exc.strerror or exc}") from exc
        _sweep(folder, keep=name)
        return cls(collection)

    def nearness(self, text: str) -> dict[int, float]:
        """Place of the nearest documents and the cosine of their nearest phrase."""
        answer = self.collection.query(query_texts=[text], n_results=_DEPTH, include=["metadatas", "distances"])
        near: dict[int, float] = {}
        for entry, distance in zip(answer["metadatas"][0], answer["distances"][0], strict=True):
            place = int(entry["place"])
            near[place] = max(near.get(place, -1.0), 1.0 - float(distance))
        return near


def _stamp(documents: Sequence[Document], embedder: str) -> str:
    content = json.dumps([asdict(document) for document in documents], sort_keys=True)
    return hashlib.sha256(f"{embedder}\n{content}".encode()).hexdigest()


def _read_pointer(pointer: Path) -> dict[str, str]:
    try:
        content = json.loads(pointer.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _client(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))


def _build(documents: Sequence[Document], folder: Path) -> Any:
    from .embedding import WordVectors

    entries = [
        (f"{place}-{number}", re.sub(r"\{\w+\}", " ", phrase), {"place": place})
        for place, document in enumerate(documents)
        for number, phrase in enumerate(dict.fromkeys((document.title, *document.phrases, document.text)))
        if phrase.strip()
    ]
    collection = _client(folder).create_collection(
        "passages", embedding_function=WordVectors(), configuration={"hnsw": {"space": "cosine"}}
    )
    for at in range(0, len(entries), 2_000):
        names, texts, places = zip(*entries[at : at + 2_000], strict=True)
        collection.add(ids=list(names), documents=list(texts), metadatas=list(places))
    return collection


def _sweep(folder: Path, keep: str) -> None:
    """Remove indexes of earlier content. Another process may have one open; what cannot go stays."""
    for old in folder.iterdir():
        if old.is_dir() and re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]{8}", old.name) and old.name != keep:
            shutil.rmtree(old, ignore_errors=True)
