"""The agent service of one tenant: one customer message in, one answer out, everything told to the monitor.

This is how an agent of your own is instrumented: the monitor is called where things happen, and nothing else changes.
The times are given because the agent lives in simulated time; in real time they are left out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from apps.monitoring.demo import parameters
from apps.monitoring.demo.clock import Clock, Steps
from apps.monitoring.demo.context import Context, ContextBuilder
from apps.monitoring.demo.customer import Message
from apps.monitoring.demo.incidents import Incident
from apps.monitoring.demo.knowledge import Hit, KnowledgeBase
from apps.monitoring.demo.parameters import Behaviour
from apps.monitoring.demo.provider import Completion, Provider, ProviderError
from apps.monitoring.monitor import AgentMonitor

_ATTEMPTS: Final = 2
_PAUSE_SECONDS: Final = 0.5
"""Between two attempts of a call."""
_FOUND: Final = "Here is what I found: {document} Is there anything else I can do for you?"
_NOT_FOUND: Final = "I am afraid I found nothing about that. Could you put it in other words?"
_HANDED_OVER: Final = "I am handing you over to a colleague, who reads what we wrote so far."


@dataclass(slots=True)
class _Reply:
    """What one turn came to."""

    model: str
    answered: bool = False
    completions: list[Completion] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)

    def failed(self, operation: str, kind: str) -> None:
        self.errors.append({"operation": operation, "type": kind})


class AgentService:
    """Answers the customers of one tenant."""

    def __init__(
        self, behaviour: Behaviour, documents: Sequence[str], monitor: AgentMonitor, clock: Clock, chance: random.Random
    ) -> None:
        self._behaviour = behaviour
        self._monitor = monitor
        self._clock = clock
        self._chance = chance
        self._knowledge = KnowledgeBase(documents)
        self._emptied = KnowledgeBase(())
        self._context = ContextBuilder(behaviour, chance)
        self._provider = Provider(behaviour, chance)

    def answer(self, message: Message, incident: Incident) -> Steps[None]:
        """Answer one message; it counts when the steps are through."""
        asked_at = self._clock.now
        hits = yield from self._search(message, incident)
        context = yield from self._build_context(message, hits)
        reply = yield from self._reply(message, context, incident)
        confidence = self._confidence(message, hits)
        reason = self._handoff(message, hits, confidence)
        text = _words(message, hits) if reply.answered else None
        self._record(message, reply, text, confidence, reason, asked_at)

    def _search(self, message: Message, incident: Incident) -> Steps[list[Hit]]:
        began = self._clock.now
        hits = (self._emptied if incident.knowledge_empty else self._knowledge).search(message.text)
        yield self._chance.uniform(0.003, 0.025)
        self._monitor.log_and_record_knowledge_search(
            query=message.text,
            result_count=len(hits),
            similarity_scores=[hit.similarity for hit in hits],
            duration_ms=self._ms_since(began),
            conversation_id=message.conversation_id,
            timestamp=self._clock.now,
        )
        return hits

    def _build_context(self, message: Message, hits: Sequence[Hit]) -> Steps[Context]:
        began = self._clock.now
        context = yield from self._context.build(message.turn, hits)
        self._monitor.log_and_record_context_build(
            conversation_id=message.conversation_id,
            components=context.components,
            duration_ms=self._ms_since(began),
            timestamp=self._clock.now,
        )
        return context

    def _reply(self, message: Message, context: Context, incident: Incident) -> Steps[_Reply]:
        """As many model calls as the answer takes; one that fails for good leaves the message without an answer."""
        reply = _Reply(parameters.DEAR_MODEL if incident.dear_model else parameters.NORMAL_MODEL)
        while True:
            completion = yield from self._call(message, context, reply, incident)
            if completion is None:
                return reply
            reply.completions.append(completion)
            if self._chance.random() >= self._behaviour.further_call * parameters.FURTHER_CALL_FACTOR:
                break
        if self._chance.random() < self._behaviour.tool_failure * parameters.TOOL_FAILURE_FACTOR:
            reply.failed("tool_lookup", "ToolError")
        reply.answered = True
        return reply

    def _call(self, message: Message, context: Context, reply: _Reply, incident: Incident) -> Steps[Completion | None]:
        """One call, tried again when it fails."""
        for attempt in range(_ATTEMPTS):
            if attempt:
                yield _PAUSE_SECONDS
            began = self._clock.now
            try:
                completion = yield from self._provider.complete(reply.model, context.tokens, incident)
            except ProviderError as error:
                reply.failed("llm_call", type(error).__name__)
                self._record_call(message, reply.model, began, None, error)
            else:
                self._record_call(message, reply.model, began, completion, None)
                return completion
        return None

    def _record_call(
        self, message: Message, model: str, began: float, done: Completion | None, error: ProviderError | None
    ) -> None:
        self._monitor.log_and_record_llm_call(
            provider=parameters.PROVIDERS[model],
            model=model,
            duration_ms=self._ms_since(began),
            prompt_tokens=done.prompt_tokens if done else None,
            completion_tokens=done.completion_tokens if done else None,
            cost=done.cost_usd if done else None,
            error=error,
            conversation_id=message.conversation_id,
            timestamp=self._clock.now,
        )

    def _confidence(self, message: Message, hits: Sequence[Hit]) -> float:
        """Nothing like it was recorded: high with documents, middling without, low for who wants a human."""
        if message.wants_human:
            return self._chance.betavariate(2, 5)
        return self._chance.betavariate(12, 2) if hits else self._chance.betavariate(4, 4)

    def _handoff(self, message: Message, hits: Sequence[Hit], confidence: float) -> str | None:
        """The reason of a handoff, or None."""
        triggers = ["customer_request"] * message.wants_human + ["nothing_found"] * (not hits)
        reason = triggers[-1] if message.wants_human else None
        self._monitor.log_and_record_handoff_decision(
            decision=message.wants_human,
            conversation_id=message.conversation_id,
            confidence=confidence,
            triggers=triggers,
            reason=reason,
            timestamp=self._clock.now,
        )
        return reason

    def _record(
        self, message: Message, reply: _Reply, text: str | None, confidence: float, reason: str | None, asked_at: float
    ) -> None:
        used = reply.completions
        usage = {
            "prompt_tokens": sum(each.prompt_tokens for each in used),
            "completion_tokens": sum(each.completion_tokens for each in used),
        }
        self._monitor.log_and_record_interaction(
            conversation_id=message.conversation_id,
            customer_message=message.text,
            agent_response=text,
            model_used=reply.model,
            confidence_score=confidence if reply.answered else None,
            processing_time_ms=self._ms_since(asked_at),
            # Nothing came back: what it used is unknown, not 0.
            token_usage={**usage, "total_tokens": sum(usage.values())} if used else None,
            estimated_cost=round(sum(each.cost_usd for each in used), 9) if used else None,
            handoff_triggered=message.wants_human,
            handoff_reason=reason,
            intent=message.intent,
            errors=reply.errors,
            timestamp=self._clock.now,
        )

    def _ms_since(self, began: float) -> float:
        return round((self._clock.now - began) * 1_000, 3)


def _words(message: Message, hits: Sequence[Hit]) -> str:
    if message.wants_human:
        return _HANDED_OVER
    return _FOUND.format(document=hits[0].document) if hits else _NOT_FOUND
