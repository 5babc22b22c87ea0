"""What an agent's code calls: one method an event. It costs microseconds and never fails the caller."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from time import time as now
from typing import Any, Final

from apps.monitoring.catalogue import Kind
from apps.monitoring.core import values
from apps.monitoring.core.event import BELONGS, TYPE, Event
from apps.monitoring.ingest.recorder import get_ready, note, recorder
from apps.monitoring.ingest.tally import MAX_ITEMS
from apps.monitoring.instrument.context_build import ContextBuild
from apps.monitoring.instrument.knowledge_search import KnowledgeSearch
from apps.monitoring.instrument.llm_call import LLMCall
from apps.monitoring.logs.context import current as correlation
from apps.monitoring.logs.plain import spelled
from apps.monitoring.logs.redaction import MARGIN, MAX_SHORT

_log = logging.getLogger(__name__)

Timestamp = datetime | float | None
TokenUsage = Mapping[str, int | None]

UNKNOWN_TENANT: Final = "unknown"
_NONE: Final = ()
_UNSAID: Final[Any] = object()
_OF_FAILURE: Final = ("operation", "type")
_LONGEST_NAME: Final = MAX_SHORT + MARGIN


class AgentMonitor:
    """Records what the agent of one tenant does.

    Every optional value may be missing: a missing cost is not a cost of 0. Durations are milliseconds, costs US
    dollars, timestamps aware datetimes or epoch seconds (default: now). A call with wrong arguments is a TypeError, as
    of any function; nothing else is raised, and in the default write mode no method does I/O on the caller's thread.
    The first monitor that a process makes reads the price list (0.1 s), unless Django has done so at the start
    (`apps.monitoring.instrument`).

    Without ``pricing`` a cost that is not given stays unknown, whatever the price list says.
    """

    def __init__(self, tenant_id: str, *, pricing: bool = True) -> None:
        self.tenant_id = _tenant(tenant_id)
        self._pricing = None if pricing else "off"
        if pricing:
            get_ready()

    def log_and_record_interaction(  # noqa: PLR0913 - the public surface, keyword-only
        self,
        *,
        conversation_id: str | None,
        customer_message: str | None = None,
        agent_response: str | None = None,
        model_used: str | None = None,
        confidence_score: float | None = None,
        processing_time_ms: float | None = None,
        token_usage: TokenUsage | None = None,
        estimated_cost: float | None = None,
        handoff_triggered: bool = False,
        handoff_reason: str | None = None,
        intent: str | None = None,
        errors: Iterable[Mapping[str, Any]] = (),
        timestamp: Timestamp = None,
    ) -> None:
        """One customer message and what the agent did with it.

        Without ``agent_response`` it is an interaction without an answer: it counts as an error and has no response
        time. ``errors`` are the errors that happened in it: mappings with ``operation`` and, if known, ``type``.
        ``token_usage`` may also have cache_read_tokens, cache_write_tokens (both part of the prompt) and reasoning_tokens
        (part of the completion). Without ``estimated_cost`` the tokens are priced by the model, if its price is known.
        """
        self._put(
            [
                "agent_interaction",
                self.tenant_id,
                now(),
                timestamp,
                None,
                conversation_id,
                customer_message,
                agent_response,
                model_used,
                confidence_score,
                processing_time_ms,
                _own(token_usage),
                estimated_cost,
                self._pricing,
                handoff_triggered,
                handoff_reason,
                intent,
                None if errors is _NONE else _failures(errors),
            ]
        )

    def log_and_record_llm_call(  # noqa: PLR0913 - the public surface, keyword-only
        self,
        *,
        provider: str,
        model: str,
        duration_ms: float | None = None,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        token_usage: TokenUsage | None = None,
        cost: float | None = None,
        error: object = None,
        cancelled: bool = False,
        time_to_first_token_ms: float | None = None,
        conversation_id: str | None = None,
        timestamp: Timestamp = None,
    ) -> None:
        """One call to a language model; ``error`` (an exception or a text) marks it as failed.

        Tokens are given as two counts or, with cached and reasoning tokens, as ``token_usage``. ``cancelled`` marks a call
        that the caller gave up.
        """
        usage = (
            {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
            if token_usage is None
            else _own(token_usage)
        )
        self._put(
            [
                "llm_api_call",
                self.tenant_id,
                now(),
                timestamp,
                None,
                conversation_id,
                provider,
                model,
                duration_ms,
                usage,
                time_to_first_token_ms,
                cost,
                self._pricing,
                error,
                None if cancelled is False else cancelled,
            ]
        )

    def llm_call(self, *, provider: str, model: str, conversation_id: str | None = None) -> LLMCall:
        """Time a call to a language model and record how it ends: a context manager, or a decorator, sync and async.

        What it raises is recorded and goes on to the caller. Token counts are read from the provider's answer or stream
        (``call.response(...)``, ``call.stream(...)``), which a decorated function just returns.
        """
        return LLMCall(self, provider, model, conversation_id)

    def context_build(self, *, conversation_id: str | None = None) -> ContextBuild:
        """Time the building of a context: a context manager (``build.add("documents", 3)``), or a decorator."""
        return ContextBuild(self, conversation_id)

    def knowledge_search(
        self, *, query: str | None = None, score: Callable[[Any], float] | None = None, conversation_id: str | None = None
    ) -> KnowledgeSearch:
        """Time a search of the knowledge base: a context manager (``search.results(found)``), or a decorator.

        A decorated function returns what it found, and its argument ``query`` or first text is the query. ``score`` says how
        similar a result is.
        """
        return KnowledgeSearch(self, query, score, conversation_id)

    def log_and_record_context_build(
        self,
        *,
        conversation_id: str | None = None,
        components: Mapping[str, int] | None = None,
        duration_ms: float | None = None,
        timestamp: Timestamp = None,
    ) -> None:
        """A context built for a model; ``components`` says how many parts of each kind went in."""
        self._put(["context_building", self.tenant_id, now(), timestamp, None, conversation_id, _own(components), duration_ms])

    def log_and_record_handoff_decision(
        self,
        *,
        decision: bool,
        conversation_id: str | None = None,
        confidence: float | None = None,
        triggers: Iterable[str] = (),
        reason: str | None = None,
        timestamp: Timestamp = None,
    ) -> None:
        """Whether the agent decided to hand over to a human, and why."""
        values = conversation_id, decision, confidence, _own(triggers), reason
        self._put(["handoff_decision", self.tenant_id, now(), timestamp, None, *values])

    def log_and_record_knowledge_search(
        self,
        *,
        query: str | None = None,
        result_count: int | None = None,
        similarity_scores: Iterable[float] = (),
        duration_ms: float | None = None,
        conversation_id: str | None = None,
        timestamp: Timestamp = None,
    ) -> None:
        """A search of the knowledge base; at least one result makes it a hit."""
        values = conversation_id, query, result_count, _own(similarity_scores), duration_ms
        self._put(["knowledge_search", self.tenant_id, now(), timestamp, None, *values])

    def log_and_record_error(
        self,
        operation: str,
        exception: object = None,
        context: Mapping[str, Any] | None = None,
        *,
        timestamp: Timestamp = None,
    ) -> None:
        """Something failed outside an interaction; inside one, use the interaction's ``errors``."""
        self._put(["error", self.tenant_id, now(), timestamp, None, operation, exception, _own(context)])

    def record_feedback(self, *, score: float, conversation_id: str | None = None, timestamp: Timestamp = None) -> None:
        """How satisfied the customer was, on the scale of your own."""
        self._put(["feedback", self.tenant_id, now(), timestamp, None, conversation_id, score])

    def count(self, name: str = _UNSAID, value: int = _UNSAID, /, **labels: Any) -> None:
        """Count an event of your own; rules know it as the metric ``user.<name>``. Without ``value`` it is one.

        A name and a value may be given by name, too; by position they leave ``name`` and ``value`` free for labels.
        """
        self._own_metric(Kind.COUNTER, name, value, labels, 1)

    def sample(self, name: str = _UNSAID, value: float = _UNSAID, /, **labels: Any) -> None:
        """Record a value of your own (not negative), with its distribution; rules know it as ``user.<name>``.

        A name and a value may be given by name, too, as with `count`.
        """
        self._own_metric(Kind.HISTOGRAM, name, value, labels, None)

    def refused(self, reason: str) -> None:
        """Count a value that could not be read, as the metric ``refused_values``: for helpers around an agent's calls."""
        self._put(["refusal", self.tenant_id, now(), None, None, reason])

    def lost(self) -> None:
        """Count something that could not be recorded. Never raises."""
        _lost()

    def get_metrics_summary(self, window: str = "1h") -> dict[str, Any] | None:
        """The summary of this tenant, live to the second; None when a store cannot be read (logged)."""
        # Late: the reading side needs Django's models, which are not there yet when this module is imported.
        from apps.monitoring.query import window as windows
        from apps.monitoring.query.summary import summary

        try:
            start, end = windows.parse(window, None, None, datetime.now(UTC))
            return summary(self.tenant_id, start, end)
        except Exception:
            _log.exception("the summary of tenant %s cannot be read", self.tenant_id)
            return None

    def _own_metric(self, kind: Kind, name: Any, value: Any, labels: dict[str, Any], otherwise: int | None) -> None:
        if name is _UNSAID:
            name = labels.pop("name", None)
        if value is _UNSAID:
            value = labels.pop("value", otherwise)
        self._put(["user_metric", self.tenant_id, now(), None, None, name, kind, value, labels])

    def _put(self, event: Event) -> None:
        try:
            event[BELONGS] = correlation()
            recorder().put(event)
        except Exception:
            _log.exception("a %s was not recorded", event[TYPE])
            _lost()


def _lost() -> None:
    try:
        note("events_lost")
    except Exception:
        _log.debug("without a recorder nothing is counted", exc_info=True)


_monitors: dict[str, AgentMonitor] = {}
_MAX_MONITORS: Final = 50_000


def get_agent_monitor(tenant_id: str) -> AgentMonitor:
    """The monitor of a tenant: the same object each time, for every thread and after every fork."""
    if type(tenant_id) is not str:
        return AgentMonitor(tenant_id)
    found = _monitors.get(tenant_id)
    if found is not None:
        return found
    monitor = AgentMonitor(tenant_id)
    # Without a lock, which a fork could leave taken for ever in the child: setdefault is one step, the bound need not be exact.
    return _monitors.setdefault(tenant_id, monitor) if len(_monitors) < _MAX_MONITORS else monitor


def _failures(errors: Any) -> Any:
    """The errors of an interaction as they are now, without what an exception in them holds."""
    if type(errors) is not list and type(errors) is not tuple:
        return _own(errors)
    if not errors:
        return None
    try:
        return [_failure(error) for error in errors[: MAX_ITEMS + 1]]  # one more than is looked at, so that it is counted
    except Exception:  # a foreign object may raise anything when it is looked at: it is refused where it is counted
        return _own(errors)


def _failure(error: Any) -> Any:
    """What is counted and logged of an error; what stands beside it, such as the exception, does not wait with it."""
    if type(error) is not dict:
        return _said(error)
    return {name: _said(value) for name in _OF_FAILURE if (value := error.get(name)) is not None}


def _said(value: Any) -> Any:
    """A text in the place of an exception."""
    return spelled(value)[:_LONGEST_NAME] if issubclass(type(value), BaseException) else value


def _own(value: Any) -> Any:
    """The caller may go on changing its lists and mappings before the monitoring thread looks at them."""
    kind = type(value)
    if kind is dict or kind is list:
        if len(value) > MAX_ITEMS:  # one more than is looked at, so that it is counted
            return value[: MAX_ITEMS + 1] if kind is list else dict(islice(value.copy().items(), MAX_ITEMS + 1))
        return value.copy() or None
    return None if value is _NONE else value


def _tenant(tenant_id: object) -> str:
    """The tenant as every store can hold it; never "", which is all tenants together."""
    try:
        # On the caller's thread, where what is lazy may do what it likes.
        given = str(tenant_id) if values.is_lazy(tenant_id) else tenant_id
        return (values.text(given, values.MAX_TENANT).strip() if given is not None else "") or UNKNOWN_TENANT
    except Exception:  # what is lazy may raise anything
        return UNKNOWN_TENANT
