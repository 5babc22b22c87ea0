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
MIN_SIMILARITY: Final = 0.08


@dataclass(frozen=True, slots=True)
class Hit:
    """A found document and its cosine similarity to the query, 0 to 1."""

    document: str
    similarity: float


class KnowledgeBase:
    """TF-IDF vectors of documents, compared by their cosine (Salton and Buckley, 1988)."""

    def __init__(self, documents: Sequence[str]) -> None:
        self._documents = list(documents)
        words = [_words(document) for document in self._documents]
        self._columns = {word: column for column, word in enumerate(sorted({w for bag in words for w in bag}))}
        found_in = Counter(word for bag in words for word in bag)
        self._weights = np.array([np.log(1 + len(words) / found_in[word]) for word in self._columns])
        self._matrix = np.array([self._vector(bag) for bag in words]) if words else np.empty((0, 0))

    def search(self, query: str, limit: int = 3) -> list[Hit]:
        """The most similar documents, best first; none when nothing is similar."""
        if not self._documents:
            return []
        similarities = self._matrix @ self._vector(_words(query))
        best = np.argsort(-similarities)[:limit]
        return [
            Hit(self._documents[index], float(similarities[index])) for index in best if similarities[index] >= MIN_SIMILARITY
        ]

    def _vector(self, bag: Counter[str]) -> npt.NDArray[np.float64]:
        vector = np.zeros(len(self._columns))
        for word, times in bag.items():
            column = self._columns.get(word)
            if column is not None:
                vector[column] = (1 + np.log(times)) * self._weights[column]
        length = float(np.linalg.norm(vector))
        return vector / length if length else vector


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.lower()))
