"""Search over hunts and runbooks: BM25 and static word vectors, joined by score.

Ids and tool names (`T1021.002`, `4769`, `comsvcs.dll`) sink in vectors, so a query that holds one which the index knows
goes to BM25 alone. Everything else is ranked by both. Scores are joined, not ranks: a rank does not say whether the
best hit is any good, and declining a question needs exactly that. Heavy libraries are imported on first use.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from . import stems
from .documents import Document as Document
from .documents import Kind as Kind
from .lexical import Lexical
from .synonyms import plain
from .tokens import ids, tokens
from .vectors import Vectors, open_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
        if not self.documents:
            return []
        text = plain(self._words.spelling.corrected(text))
        said = tokens(text)
        if not said:
            return []
        scores = self._score(text, said) if by == "both" else self._part(by, text, said)
        ranked = (int(place) for place in (-scores).argsort(kind="stable"))
        found = (place for place in ranked if kind is None or self.documents[place].kind == kind)
        return [
            _passage(self.documents[place], float(scores[place])) for place in islice(found, k) if scores[place] > 0
        ]

    def _score(self, text: str, said: Sequence[str]) -> "NDArray[np.float32]":
        """The score of each document.

        The lexical part is the share of the query's weight that the best document covers, scaled down by BM25 for the
        others; the other part is the cosine. Both lie between 0 and 1.
        """
        shares = self._words.rank(said)
        shares *= self._words.coverage(said)
        # The index is opened for id queries as well: one path, one behaviour.
        vectors = self._vectors
        if any(self._words.knows(word) for word in ids(text)):
            return shares
        shares += self._near(vectors.nearness(text))
        shares /= 2
        return shares

    def _part(self, by: By, text: str, said: Sequence[str]) -> "NDArray[np.float32]":
        """The score of each document by one part alone."""
        return self._near(self._vectors.nearness(text)) if by == "vectors" else self._words.rank(said)

    def _near(self, nearness: Mapping[int, float]) -> "NDArray[np.float32]":
        import numpy as np

        near = np.zeros(len(self.documents), dtype=np.float32)
        near[list(nearness)] = [max(0.0, cosine) for cosine in nearness.values()]
        return near

    @cached_property
    def _words(self) -> Lexical:
        known = stems.recall(self.folder)
        lexical = Lexical(self.documents)
        if stems.known() > known:
            stems.keep(self.folder)
        return lexical

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
