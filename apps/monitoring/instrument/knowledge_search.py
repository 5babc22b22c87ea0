"""A search of the knowledge base: how long it took, how much it found, and how close that is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sized
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self

from apps.monitoring.instrument.timed import Timed

if TYPE_CHECKING:
    from apps.monitoring.monitor import AgentMonitor

Score = Callable[[Any], float]

_MOST: Final = 1_000
"""Scores that are looked at: an endless iterator must not hold the caller."""


class KnowledgeSearch(Timed):
    """Made by `AgentMonitor.knowledge_search`.

    One that raises is an error of the operation ``knowledge_search``, and no search without results.
    """

    def __init__(self, monitor: AgentMonitor, query: str | None, score: Score | None, conversation_id: str | None) -> None:
        super().__init__(monitor, conversation_id)
        self._query, self._score = query, score
        self._count: int | None = None
        self._scores: list[float] = []

    def results(self, results: Any, scores: Iterable[float] | None = None) -> Any:
        """Say what was found: a collection, or how many. ``scores`` are the similarities. Returns the results."""

        def look() -> None:
            if isinstance(results, int):
                self._count = results
            elif isinstance(results, Sized):
                self._count = len(results)
            if scores is not None:
                self._scores = list(islice(scores, _MOST))
            elif self._score is not None and isinstance(results, Iterable) and isinstance(results, Sized):
                self._scores = [self._score(result) for result in islice(results, _MOST)]

        self._look(look)
        return results

    def _record(self, duration_ms: float, error: BaseException | None) -> None:
        if isinstance(error, Exception):
            self._fail("knowledge_search", error)
        elif error is None:
            self._monitor.log_and_record_knowledge_search(
                query=self._query,
                result_count=self._count,
                similarity_scores=self._scores,
                duration_ms=duration_ms,
                conversation_id=self._conversation_id,
            )

    def _called(self, arguments: inspect.BoundArguments) -> None:
        """The query is the argument of that name, or else the first text."""
        given = arguments.arguments
        query = given.get("query") or next((value for value in given.values() if isinstance(value, str)), None)
        if self._query is None and isinstance(query, str):
            self._query = query

    def _found(self, value: Any) -> None:
        self.results(value)

    def _anew(self) -> Self:
        return type(self)(self._monitor, self._query, self._score, self._conversation_id)
