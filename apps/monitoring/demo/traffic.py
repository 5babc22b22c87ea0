"""When customers come and go: conversations of all tenants, moved on in the order of their time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from statistics import fmean
from typing import Final

from apps.monitoring.demo import parameters
from apps.monitoring.demo.agent import AgentService
from apps.monitoring.demo.clock import Clock, Steps
from apps.monitoring.demo.customer import Conversation, Customers
from apps.monitoring.demo.documents import DOCUMENTS
from apps.monitoring.demo.incidents import CALM, Outbreak
from apps.monitoring.demo.parameters import BEHAVIOURS, TENANTS
from apps.monitoring.monitor import AgentMonitor, get_agent_monitor

_ANSWER_SECONDS: Final = 2.0
"""What an answer takes, about: for how many conversations are under way at any moment."""


class SurveyError(Exception):
    """The invitation to rate a conversation could not be sent."""


@dataclass(slots=True)
class Traffic:
    """Customers of some tenants. The same seed, start and rate make the same traffic.

    ``rate``: interactions a minute over all tenants, in equal parts. ``outbreak``: what goes wrong, if anything; may be
    set while it runs.
    """

    rate: float
    seed: int
    tenants: Sequence[str] = TENANTS
    outbreak: Outbreak | None = None
    monitors: Callable[[str], AgentMonitor] = get_agent_monitor
    interactions: int = 0
    conversations: int = 0
    """Conversations with an interaction so far."""
    _chance: random.Random = field(init=False)
    _customers: Customers = field(init=False)
    _agents: dict[str, AgentService] = field(init=False)
    _clock: Clock = field(default_factory=Clock)
    _due: list[tuple[float, int, Steps[None]]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - reproducible on purpose
        self._agents = {
            tenant: AgentService(BEHAVIOURS[tenant], DOCUMENTS[tenant], self.monitors(tenant), self._clock, self._chance)
            for tenant in self.tenants
        }

    def run(self, start: float, end: float) -> Iterator[float]:
        """Yield the moment of each step before it happens, in order, from ``start`` to ``end`` (epoch seconds).

        The step happens when the next one is asked for: whoever drives may wait until its moment. An interaction
        counts in the range that it ends in. A second run goes on where the first one ended.
        """
        if not self._due:
            self._open(start)
        while self._due and self._due[0][0] < end:
            at, _, steps = heapq.heappop(self._due)
            yield at
            self._clock.now = at
            wait = next(steps, None)
            if wait is not None:
                self._plan(at + wait, steps)

    def _open(self, start: float) -> None:
        """At the start as many are talking already as at any other moment, so that the first minute is like the rest."""
        # With the start in their ids, conversations of two runs are never taken for the same ones.
        self._customers = Customers(self._chance, f"{self.seed:x}-{round(start * 1_000):x}")
        cycle = fmean(parameters.THINK_SECONDS) + _ANSWER_SECONDS
        for tenant in self.tenants:
            for _ in range(round(self.rate / len(self.tenants) * cycle / 60)):
                self._plan(start + self._chance.uniform(0, cycle), self._talk(self._customers.underway(tenant)))
            self._plan(start, self._arrivals(tenant))

    def _arrivals(self, tenant: str) -> Steps[None]:
        """New conversations: gamma gaps, as bursty as the recorded arrivals."""
        mean = 60 * len(self.tenants) / self.rate * fmean(BEHAVIOURS[tenant].turns)
        shape = parameters.CONVERSATION_GAP_SHAPE
        while True:
            yield self._chance.gammavariate(shape, mean / shape)
            self._plan(self._clock.now, self._talk(self._customers.arrive(tenant)))

    def _talk(self, conversation: Conversation) -> Steps[None]:
        """Message and answer in turn, until the customer has what was wanted, or a human."""
        silent = True
        while True:
            incident = CALM if self.outbreak is None else self.outbreak.at(conversation.tenant, self._clock.now)
            message = self._customers.ask(conversation, incident)
            yield from self._agents[conversation.tenant].answer(message, incident)
            self.interactions += 1
            self.conversations += silent
            silent = False
            conversation.handed_over = message.wants_human
            if message.wants_human or conversation.turn >= conversation.turns:
                break
            yield self._customers.think()
        self._ask_for_stars(conversation)

    def _ask_for_stars(self, conversation: Conversation) -> None:
        monitor = self.monitors(conversation.tenant)
        if self._chance.random() < parameters.SURVEY_FAILURE:
            error = SurveyError("the invitation was not accepted by the mail server")
            context = {"conversation_id": conversation.id}
            monitor.log_and_record_error("survey", error, context, timestamp=self._clock.now)
            return
        stars = self._customers.stars(conversation)
        if stars is not None:
            monitor.record_feedback(score=stars, conversation_id=conversation.id, timestamp=self._clock.now)

    def _plan(self, at: float, steps: Steps[None]) -> None:
        heapq.heappush(self._due, (at, next(self._order), steps))
