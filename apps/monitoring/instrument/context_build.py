"""A context built for a model: how long it took and what went in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from apps.monitoring.core import values
from apps.monitoring.instrument.timed import Timed

if TYPE_CHECKING:
    from apps.monitoring.monitor import AgentMonitor


class ContextBuild(Timed):
    """Made by `AgentMonitor.context_build`. One that raises is an error of the operation ``context_build``."""

    def __init__(self, monitor: AgentMonitor, conversation_id: str | None) -> None:
        super().__init__(monitor, conversation_id)
        self._components: dict[str, int] = {}

    def add(self, component: str, parts: int = 1) -> None:
        """Say that so many parts of a kind went in."""

        def look() -> None:
            self._components[component] = self._components.get(component, 0) + values.stored(parts, 1)

        self._look(look)

    def _record(self, duration_ms: float, error: BaseException | None) -> None:
        if isinstance(error, Exception):
            self._fail("context_build", error)
        elif error is None:
            self._monitor.log_and_record_context_build(
                conversation_id=self._conversation_id, components=self._components, duration_ms=duration_ms
            )

    def _anew(self) -> Self:
        return type(self)(self._monitor, self._conversation_id)
