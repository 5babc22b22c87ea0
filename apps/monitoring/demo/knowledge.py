"""The knowledge base: a similarity search over help documents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

_WORD: Final = re.compile(r"[a-z]{3,}")
MIN_SIMILARITY: Final = 0.1


@dataclass(frozen=True, slots=True)
class Hit:
    """A found document and its cosine similarity to the query, 0 to 1."""

    document: str
    similarity: float


class KnowledgeBase:
    """TF-IDF vectors of documents, compared by their cosine.

    Method: Salton and Buckley, "Term-weighting approaches in automatic text retrieval", 1988: logarithmic term
    frequency times inverse document frequency, normalised to length 1.
    """

    def __init__(self, documents: Sequence[str]) -> None:
        self._documents = tuple(documents)
        bags = [_words(document) for document in self._documents]
        found_in = Counter(word for bag in bags for word in bag)
        self._columns = {word: column for column, word in enumerate(sorted(found_in))}
        self._weights = np.array([np.log(len(bags) / found_in[word]) for word in self._columns])
        self._matrix = np.array([self._vector(bag) for bag in bags])

    def search(self, query: str, limit: int = 3) -> list[Hit]:
        """The most similar documents, best first; none when nothing is similar."""
        if not self._documents:
            return []
        similarities = self._matrix @ self._vector(_words(query))
        best = np.argsort(-similarities, kind="stable")[:limit]
        return [Hit(self._documents[i], float(similarities[i])) for i in best if similarities[i] >= MIN_SIMILARITY]

    def _vector(self, bag: Counter[str]) -> npt.NDArray[np.float64]:
        vector = np.zeros(len(self._columns))
        for word, times in bag.items():
            column = self._columns.get(word)
            if column is not None:
                vector[column] = (1 + np.log(times)) * self._weights[column]
        length = float(np.linalg.norm(vector))
        return vector / length if length else vector


def _words(text: str) -> Counter[str]:
    """Words of three letters and more; the plural's s goes, so that "seats" finds "seat"."""
    return Counter(word.removesuffix("s") for word in _WORD.findall(text.lower()))
