"""When customers come and go: a stream of interactions in the order of their time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from apps.monitoring.demo import parameters
from apps.monitoring.demo.agent import AgentService
from apps.monitoring.demo.customer import Conversation, Customers
from apps.monitoring.demo.incidents import CALM, Incident
from apps.monitoring.monitor import get_agent_monitor

_MEAN_TURNS = sum(parameters.TURNS) / len(parameters.TURNS)

Weather = Callable[[str, float], Incident]
"""The incident of a tenant at a moment."""


def calm(_tenant: str, _at: float) -> Incident:
    """No incident, ever."""
    return CALM


@dataclass(slots=True)
class Traffic:
    """``rate``: interactions a minute over all tenants. The same seed makes the same traffic."""

    rate: float
    seed: int
    tenants: Sequence[str] = parameters.TENANTS
    weather: Weather = calm
    conversations: int = 0
    _chance: random.Random = field(init=False)
    _agent: AgentService = field(init=False)
    _customers: Customers = field(init=False)
    _due: list[tuple[float, int, Conversation | str]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - reproducible on purpose
        self._agent = AgentService(self._chance)
        self._customers = Customers(self._chance)

    def run(self, start: float, end: float) -> Iterator[float]:
        """Yield the moment of each interaction before it happens, in order, from ``start`` to ``end`` (epoch seconds).

        The interaction happens when the next one is asked for: whoever drives may wait until its moment.
        """
        for tenant in self.tenants if not self._due else ():
            self._plan(start + self._gap() * self._chance.random(), tenant)
        while self._due and self._due[0][0] < end:
            at, _, who = heapq.heappop(self._due)
            conversation = self._arrival(who, at) if isinstance(who, str) else who
            yield at
            self._turn(conversation, at)

    def _arrival(self, tenant: str, at: float) -> Conversation:
        self._plan(at + self._gap(), tenant)
        self.conversations += 1
        return self._customers.arrive(tenant)

    def _turn(self, conversation: Conversation, at: float) -> None:
        took = self._agent.answer(conversation, at, self.weather(conversation.tenant, at)) / 1_000
        if conversation.turn < conversation.turns and not conversation.handed_over:
            self._plan(at + took + self._customers.thinks(), conversation)
        elif self._chance.random() < 0.3:  # noqa: PLR2004 - three in ten customers leave stars
            score = self._customers.satisfaction(conversation)
            monitor = get_agent_monitor(conversation.tenant)
            monitor.record_feedback(score=score, conversation_id=conversation.id, timestamp=at + took)

    def _plan(self, at: float, who: Conversation | str) -> None:
        heapq.heappush(self._due, (at, next(self._order), who))

    def _gap(self) -> float:
        """Seconds to a tenant's next conversation: gamma, as bursty as the recorded arrivals."""
        mean = 60 * _MEAN_TURNS * len(self.tenants) / self.rate
        shape = parameters.CONVERSATION_GAP_SHAPE
        return self._chance.gammavariate(shape, mean / shape)
