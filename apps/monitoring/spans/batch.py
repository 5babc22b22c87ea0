"""The spans of a request that count, and what of them cannot."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from apps.monitoring.interactions.batch import Batch, Entry, TooManyError
from apps.monitoring.interactions.row import Broken, BrokenError, misplaced
from apps.monitoring.monitor import AgentMonitor
from apps.monitoring.spans import conventions, json_body, protobuf_body
from apps.monitoring.spans.conventions import Kind
from apps.monitoring.spans.meaning import Meaning, meaning
from apps.monitoring.spans.span import Span

MOST_SPANS: Final = 10_000
_NANOS: Final = 1_000_000_000
_LARGE: Final = f"larger than {protobuf_body.LARGEST:,} bytes"


@dataclass(frozen=True, slots=True)
class Told:
    """A span that counts, with its number from 1 among all spans of its request."""

    number: int
    span: Span
    meaning: Meaning
    tenant: Any

    @property
    def belongs(self) -> Mapping[str, object]:
        """For the log: the trace is the agent's, and not the request's that brought it."""
        told = {"trace_id": self.span.trace_id, "span_id": self.span.span_id}
        return {name: value for name, value in told.items() if value}

    def ended(self, now: float) -> float:
        """Raises BrokenError."""
        if not self.span.end:
            raise BrokenError("it has no end time")
        when = self.span.end / _NANOS
        reason = misplaced(when, now)
        if reason is not None:
            raise BrokenError(reason)
        return when

    def play(self, monitor: AgentMonitor, when: float) -> None:
        """Record what it means."""
        values = self.meaning.values
        match self.meaning.kind:
            case Kind.CALL:
                monitor.log_and_record_llm_call(**values, timestamp=when)
            case Kind.SEARCH:
                monitor.log_and_record_knowledge_search(**values, timestamp=when)
            case Kind.INTERACTION:
                monitor.log_and_record_interaction(**values, timestamp=when)
            case Kind.ERROR:
                monitor.log_and_record_error(**values, timestamp=when)
            case Kind.REFUSAL:
                monitor.refused(**values)


def of_protobuf(content: bytes, agents: Collection[str], tenant: str) -> Batch:
    """Of Protobuf's binary form. ``tenant`` is the attribute that names it. Raises UnreadableError and TooManyError."""
    return _batch(content, "protobuf", protobuf_body.spans(content, {*conventions.READ, tenant}), agents, tenant)


def of_json(content: bytes, agents: Collection[str], tenant: str) -> Batch:
    """Of OTLP's JSON; else as `of_protobuf`."""
    return _batch(content, "json", json_body.spans(content, {*conventions.READ, tenant}), agents, tenant)


def _batch(content: bytes, kind: str, found: Iterator[Span | None], agents: Collection[str], attribute: str) -> Batch:
    lines: list[Entry | Broken] = []
    for number, span in enumerate(found, start=1):
        if number > MOST_SPANS:
            raise TooManyError(f"The batch has more than {MOST_SPANS:,} spans.")
        if span is None:
            lines.append(Broken(number, _LARGE))
            continue
        means = meaning(span, agents)
        if means is not None:
            tenant = span.attributes.get(attribute)
            lines.append(Told(number, span, means, span.resource.get(attribute) if tenant is None else tenant))
    digest = hashlib.blake2b(content, digest_size=16, person=f"spans {kind}".encode()).hexdigest()
    return Batch(lines, digest, counted_as="spans_rejected")
