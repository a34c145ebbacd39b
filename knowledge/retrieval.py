"""Search over hunts and runbooks: BM25 and static word vectors, joined by score.

Ids and tool names (`T1021.002`, `4769`, `comsvcs.dll`) sink in vectors, so a query that holds one which the index knows
goes to BM25 alone. Everything else is ranked by both. Scores are joined, not ranks: a rank does not say whether the
best hit is any good, and declining a question needs exactly that. Heavy libraries are imported on first use.
"""

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

from .documents import Document as Document
from .documents import Kind
from .tokens import ids, tokens
from .vectors import Vectors, open_vectors

By = Literal["both", "words", "vectors"]


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

    def search(self, text: str, k: int = 5, kind: Kind | None = None, by: By = "both") -> list[Passage]:
        """The best `k` documents for a text, best first; none for a text without a word.

        Args:
            text: a question, some words, or an id.
            k: how many.
            kind: only documents of this kind.
            by: rank by one of the two parts alone; only a comparison wants that.

        Raises:
            StorageError: the folder cannot be written.
        """
        words = tokens(text)
        if not words or not self.documents:
            return []
        scores = self._score(text, words) if by == "both" else self._part(by, text, words)
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

    def _part(self, by: By, text: str, words: Sequence[str]) -> dict[int, float]:
        """Place of each candidate and its score by one part alone."""
        if by == "vectors":
            return self._vectors.nearness(text)
        lexical = self._words.rank(words)
        top = max(lexical.values(), default=1.0)
        return {place: score / top for place, score in lexical.items()}

    @cached_property
    def _words(self) -> "_Words":
        return _Words(self.documents)

    @cached_property
    def _vectors(self) -> Vectors:
        return open_vectors(self.documents, self.folder)


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
