"""The items of a generator, looked at on their way to its caller."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Self


class Items:
    """For ``yield from``: what the caller sends, throws and closes reaches the generator, as it would without this."""

    def __init__(self, generator: Generator[Any, Any, Any], seen: Callable[[Any], None]) -> None:
        self._generator, self._seen = generator, seen

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """The next item, after the generator has got a value."""
        return self._looked_at(self._generator.send(value))

    def throw(self, *raised: Any) -> Any:
        """The next item, after the generator has handled what is raised in it."""
        return self._looked_at(self._generator.throw(*raised))

    def close(self) -> None:
        """End the generator where it is."""
        self._generator.close()

    def _looked_at(self, item: Any) -> Any:
        self._seen(item)
        return item
