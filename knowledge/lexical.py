"""BM25 over stemmed, id-aware tokens. Heavy libraries are imported on first use."""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .documents import Document
from .spelling import Spelling
from .tokens import tokens, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Lexical:
    """Documents by their words. Scores are arrays with one number for each document, in the documents' order."""

    spelling: Spelling
    """The words of the documents, to correct a query with."""

    def __init__(self, documents: Sequence[Document]) -> None:
        """Index the documents; at least one has a word."""
        import bm25s
        import numpy as np

        logging.getLogger("bm25s").setLevel(logging.WARNING)
        texts = [" ".join((d.title, d.section, d.text, *d.keywords, *d.phrases)) for d in documents]
        corpus = [tokens(text) for text in texts]
        frequent = Counter(word for text in texts for word in words(text))
        self.spelling = Spelling(word for word, _ in frequent.most_common())
        self._size = len(corpus)
        holders: dict[str, list[int]] = {}
        for place, each in enumerate(corpus):
            for word in dict.fromkeys(each):
                holders.setdefault(word, []).append(place)
        self._holders = {word: np.array(places, dtype=np.int32) for word, places in holders.items()}
        self._index = bm25s.BM25(method="lucene")
        self._index.index(corpus, show_progress=False)

    def knows(self, word: str) -> bool:
        """Whether any document has the token."""
        return word in self._holders

    def rank(self, said: Sequence[str]) -> "NDArray[np.float32]":
        """BM25 of each document, the best one at 1; all zero where no token is known."""
        import numpy as np

        known = [word for word in said if word in self._holders]
        if not known:
            return np.zeros(self._size, dtype=np.float32)
        scores = np.asarray(self._index.get_scores(known), dtype=np.float32)
        return scores / (scores.max() or 1.0)

    def coverage(self, said: Sequence[str]) -> float:
        """The share of a query's weight that the document with most of it carries; rare and unknown words weigh most."""
        import numpy as np

        carried = np.zeros(self._size, dtype=np.float32)
        whole = 0.0
        for word in set(said):
            holders = self._holders.get(word)
            weight = math.log(1 + self._size / len(holders)) if holders is not None else math.log(1 + self._size)
            whole += weight
            if holders is not None:
                carried[holders] += weight
        return float(carried.max()) / whole if whole else 0.0
