"""The agent service: one customer message in, one answer out, everything told to the monitor.

This is how an agent of your own is instrumented: the monitor is called where things happen, and nothing else changes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from apps.monitoring.demo import documents, parameters
from apps.monitoring.demo.context import ContextBuilder
from apps.monitoring.demo.customer import Conversation
from apps.monitoring.demo.incidents import Incident
from apps.monitoring.demo.knowledge import Hit, KnowledgeBase
from apps.monitoring.demo.provider import NAME, Completion, Provider, ProviderError
from apps.monitoring.monitor import AgentMonitor, get_agent_monitor

_ATTEMPTS = 2
_ANSWER = "Here is what I found: {document} Is there anything else I can do for you?"


@dataclass(slots=True)
class _Answer:
    """What one turn came to."""

    completions: list[Completion] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    elapsed_ms: float = 0.0
    text: str | None = None


class AgentService:
    """Answers the customers of every tenant."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._knowledge = {tenant: KnowledgeBase(texts) for tenant, texts in documents.DOCUMENTS.items()}
        self._empty = KnowledgeBase(())
        self._context = ContextBuilder(chance)
        self._provider = Provider(chance)

    def answer(self, conversation: Conversation, asked_at: float, incident: Incident) -> float:
        """Answer one message; returns the milliseconds it took. ``asked_at`` in epoch seconds."""
        monitor = get_agent_monitor(conversation.tenant)
        conversation.turn += 1
        hits = self._search(monitor, conversation, asked_at, incident)
        context = self._context.build(conversation.turn, hits)
        monitor.log_and_record_context_build(
            conversation_id=conversation.id,
            components=context.components,
            duration_ms=context.duration_ms,
            timestamp=asked_at,
        )
        answer = _Answer(elapsed_ms=context.duration_ms)
        model = parameters.DEAR_MODEL if incident.dear_model else parameters.NORMAL_MODEL
        self._ask_model(monitor, conversation, model, asked_at, incident, answer, hits)
        self._record(monitor, conversation, model, asked_at, incident, answer)
        return answer.elapsed_ms

    def _search(self, monitor: AgentMonitor, conversation: Conversation, at: float, incident: Incident) -> Sequence[Hit]:
        knowledge = self._empty if incident.knowledge_empty else self._knowledge[conversation.tenant]
        hits = knowledge.search(conversation.question)
        monitor.log_and_record_knowledge_search(
            query=conversation.question,
            result_count=len(hits),
            similarity_scores=[hit.similarity for hit in hits],
            duration_ms=self._chance.uniform(3, 25),
            conversation_id=conversation.id,
            timestamp=at,
        )
        return hits

    def _ask_model(  # noqa: PLR0913, PLR0917 - one turn has this many sides
        self,
        monitor: AgentMonitor,
        conversation: Conversation,
        model: str,
        at: float,
        incident: Incident,
        answer: _Answer,
        hits: Sequence[Hit],
    ) -> None:
        """One to three calls, each tried twice; without an answer the interaction has failed."""
        calls = self._chance.choices((1, 2, 3), parameters.CALLS_PER_ANSWER)[0]
        for _ in range(calls):
            if not self._call(monitor, conversation, model, at, incident, answer, calls):
                return
        if self._chance.random() < parameters.TOOL_FAILURE:
            answer.errors.append({"operation": "tool_lookup", "type": "ToolError"})
        answer.text = _ANSWER.format(document=hits[0].document if hits else "nothing in the help pages.")

    def _call(  # noqa: PLR0913, PLR0917 - as above
        self,
        monitor: AgentMonitor,
        conversation: Conversation,
        model: str,
        at: float,
        incident: Incident,
        answer: _Answer,
        calls: int,
    ) -> bool:
        for _ in range(_ATTEMPTS):
            try:
                completion = self._provider.complete(model, incident, calls)
            except ProviderError as error:
                answer.elapsed_ms += error.duration_ms
                answer.errors.append({"operation": "llm_call", "type": type(error).__name__})
                monitor.log_and_record_llm_call(
                    provider=NAME,
                    model=model,
                    duration_ms=error.duration_ms,
                    error=error,
                    conversation_id=conversation.id,
                    timestamp=at + answer.elapsed_ms / 1_000,
                )
                continue
            answer.elapsed_ms += completion.duration_ms
            answer.completions.append(completion)
            monitor.log_and_record_llm_call(
                provider=NAME,
                model=model,
                duration_ms=completion.duration_ms,
                prompt_tokens=completion.prompt_tokens,
                completion_tokens=completion.completion_tokens,
                cost=completion.cost_usd,
                conversation_id=conversation.id,
                timestamp=at + answer.elapsed_ms / 1_000,
            )
            return True
        return False

    def _record(
        self,
        monitor: AgentMonitor,
        conversation: Conversation,
        model: str,
        asked_at: float,
        incident: Incident,
        answer: _Answer,
    ) -> None:
        when = asked_at + answer.elapsed_ms / 1_000
        share = max(parameters.HANDOFF_SHARE, incident.handoff_share)
        conversation.handed_over = conversation.wants_human < share
        confidence = self._chance.betavariate(2, 5) if conversation.handed_over else self._chance.betavariate(12, 2)
        reason = "customer_request" if conversation.handed_over else None
        monitor.log_and_record_handoff_decision(
            decision=conversation.handed_over,
            conversation_id=conversation.id,
            confidence=confidence,
            triggers=["customer_request"] if conversation.handed_over else [],
            reason=reason,
            timestamp=when,
        )
        prompt = sum(completion.prompt_tokens for completion in answer.completions)
        completion_tokens = sum(completion.completion_tokens for completion in answer.completions)
        used = bool(answer.completions)
        monitor.log_and_record_interaction(
            conversation_id=conversation.id,
            customer_message=conversation.question,
            agent_response=answer.text,
            model_used=model,
            confidence_score=confidence if answer.text else None,
            processing_time_ms=answer.elapsed_ms,
            token_usage={"prompt_tokens": prompt, "completion_tokens": completion_tokens} if used else None,
            estimated_cost=sum(completion.cost_usd for completion in answer.completions) if used else None,
            handoff_triggered=conversation.handed_over,
            handoff_reason=reason,
            intent=conversation.intent,
            errors=answer.errors,
            timestamp=when,
        )
