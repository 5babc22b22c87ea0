"""Which request and which trace a line belongs to. Read on the caller's thread: nowhere else is it known."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar

_bound: ContextVar[Mapping[str, object] | None] = ContextVar("agent_monitor_correlation", default=None)


@contextmanager
def bind_request_id(request_id: str) -> Iterator[None]:
    """Everything recorded inside carries this ``request_id``, in this thread or asyncio task and those begun from it."""
    yield from _bind({"request_id": request_id})


@contextmanager
def bind_trace(trace_id: str, span_id: str | None = None) -> Iterator[None]:
    """For traces that OpenTelemetry does not know; its current span goes first."""
    yield from _bind({"trace_id": trace_id} if span_id is None else {"trace_id": trace_id, "span_id": span_id})


def current() -> Mapping[str, object] | None:
    """``trace_id``, ``span_id``, ``request_id``, as far as known; None outside of any. Never raises.

    OpenTelemetry is asked only when the application has imported it: without it there is no current span.
    """
    bound = _bound.get()
    tracing = sys.modules.get("opentelemetry.trace")
    if tracing is None:
        return bound
    try:
        span = tracing.get_current_span()
        if span is tracing.INVALID_SPAN:
            return bound
        found = span.get_span_context()
        known = {"trace_id": found.trace_id, "span_id": found.span_id} if found.is_valid else {}
    except Exception:  # a tracing library half imported or of another version must not cost the caller its request
        return bound
    return {**(bound or {}), **known}


def _bind(names: Mapping[str, object]) -> Iterator[None]:
    token = _bound.set({**(_bound.get() or {}), **names})
    try:
        yield
    finally:
        with suppress(ValueError):  # a generator that another task or thread closes: the context is not this one
            _bound.reset(token)
