"""What the snapshots must say of some events, in plain Python, and what they say.

The definitions are those of the documentation, spelled a second time: nothing of recording or roll-up is used.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil, log2
from typing import Any

import psycopg

from apps.monitoring.core import distinct, histogram
from tests.faults.soak.events import Event

Key = tuple[str, str, str, int]
"""Tenant ("" for all together), metric, labels as JSON, first minute."""

RESOLUTIONS = (1, 60, 1_440)
"""Minutes."""
EXACT, NEAR = 4_096, 0.02
"""So many conversations are counted exactly, more within 2 %."""
DISTINCT = {"conversations", "handoff_conversations"}
OWN = "monitor_events"
"""What befell the monitoring itself: no event of a customer."""


@dataclass
class Entry:
    """``total``, ``low`` and ``high`` are None where the metric has none."""

    count: int = 0
    total: int | None = None
    low: int | None = None
    high: int | None = None
    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, value: int) -> None:
        self.count += 1
        self.total = (self.total or 0) + value

    def observe(self, value: int) -> None:
        self.add(value)
        self.low = value if self.low is None else min(self.low, value)
        self.high = value if self.high is None else max(self.high, value)
        self.buckets[-32768 if value == 0 else ceil(log2(value) * 64) - 1] += 1


class Ledger:
    """Adds events up."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._entries: dict[Key, Entry] = {}
        self._members: dict[Key, set[tuple[str, str]]] = {}
        self.events = 0
        for event in events:
            self.events += 1
            for tenant in (event["tenant"], ""):
                _BOOKS[event["method"]](_Page(self, tenant, event), event["arguments"])

    def entries(self, minutes: int) -> dict[Key, Entry]:
        """What each series did in each stretch of so many minutes."""
        entries: dict[Key, Entry] = {}
        for (*series, minute), entry in self._entries.items():
            key: Key = (*series, minute - minute % minutes)  # type: ignore[assignment]
            entries[key] = _sum(entries[key], entry) if key in entries else entry
        members: dict[Key, set[tuple[str, str]]] = {}
        for (*series, minute), own in self._members.items():
            members.setdefault((*series, minute - minute % minutes), set()).update(own)  # type: ignore[arg-type]
        return entries | {key: Entry(len(own)) for key, own in members.items()}


class _Page:
    """Where one event counts for one tenant, or for all together."""

    def __init__(self, ledger: Ledger, tenant: str, event: Event) -> None:
        self._ledger, self._tenant, self._event = ledger, tenant, event

    def _key(self, metric: str, labels: dict[str, str]) -> Key:
        spelled = json.dumps(labels, sort_keys=True, separators=(",", ":")) if labels else ""
        return self._tenant, metric, spelled, int(self._event["timestamp"] // 60)

    def _entry(self, metric: str, labels: dict[str, str]) -> Entry:
        return self._ledger._entries.setdefault(self._key(metric, labels), Entry())

    def count(self, metric: str, times: int = 1, **labels: str) -> None:
        self._entry(metric, labels).count += times

    def add(self, metric: str, value: float | None, scale: int = 1, **labels: str) -> None:
        if value is not None:
            self._entry(metric, labels).add(_exact(value, scale))

    def observe(self, metric: str, value: float | None, scale: int, **labels: str) -> None:
        if value is not None:
            self._entry(metric, labels).observe(_exact(value, scale))

    def member(self, metric: str, name: str) -> None:
        self._ledger._members.setdefault(self._key(metric, {}), set()).add((self._event["tenant"], name))

    def tokens(self, metric: str, usage: dict[str, int] | None, **labels: str) -> None:
        if usage:
            self.add(metric, usage["prompt_tokens"], kind="input", **labels)
            self.add(metric, usage["completion_tokens"], kind="output", **labels)


def _exact(value: float, scale: int) -> int:
    exact = Decimal(str(value)) * scale
    assert exact == int(exact), (value, scale)
    return int(exact)


_MICROSECONDS, _NANODOLLARS, _MILLIONTHS = 1_000, 10**9, 10**6


def _interaction(page: _Page, told: dict[str, Any]) -> None:
    page.count("interactions")
    page.count("model_usage", model=told["model_used"])
    page.member("conversations", told["conversation_id"])
    failed = [error["operation"] for error in told["errors"]]
    if told["agent_response"] is not None:
        page.count("interactions_answered")
        page.observe("response_time", told["processing_time_ms"], _MICROSECONDS)
    else:
        failed = failed or ["no_answer"]
    if failed:
        page.count("interactions_failed")
    for operation in failed:
        page.count("errors", operation=operation)
    if told["token_usage"]:
        page.count("interactions_with_tokens")
    page.tokens("tokens", told["token_usage"])
    page.add("cost", told["estimated_cost"], _NANODOLLARS, model=told["model_used"])
    page.observe("confidence", told["confidence_score"], _MILLIONTHS)
    if told["intent"] is not None:
        page.count("intents", intent=told["intent"])
    if told["handoff_triggered"]:
        page.count("handoffs", reason=told["handoff_reason"])
        page.member("handoff_conversations", told["conversation_id"])


def _llm_call(page: _Page, told: dict[str, Any]) -> None:
    provider = told["provider"]
    page.count("llm_calls", provider=provider)
    if told["error"] is not None:
        page.count("llm_call_errors", provider=provider)
    page.observe("llm_call_duration", told["duration_ms"], _MICROSECONDS, provider=provider)
    page.tokens("llm_call_tokens", told["token_usage"], provider=provider)
    page.add("llm_call_cost", told["cost"], _NANODOLLARS, provider=provider)


def _search(page: _Page, told: dict[str, Any]) -> None:
    page.count("knowledge_searches")
    if told["result_count"]:
        page.count("knowledge_hits")
    page.add("knowledge_results", told["result_count"])
    for score in told["similarity_scores"]:
        page.add("knowledge_similarity", score, _MILLIONTHS)
    page.observe("knowledge_search_duration", told["duration_ms"], _MICROSECONDS)


def _context_build(page: _Page, told: dict[str, Any]) -> None:
    page.count("context_builds")
    page.observe("context_build_duration", told["duration_ms"], _MICROSECONDS)
    for component, parts in told["components"].items():
        page.add("context_components", parts, component=component)


def _feedback(page: _Page, told: dict[str, Any]) -> None:
    page.add("feedback", told["score"], _MILLIONTHS)


def _error(page: _Page, told: dict[str, Any]) -> None:
    page.count("errors", operation=told["operation"])


def _handoff_decision(page: _Page, told: dict[str, Any]) -> None:
    page.count("handoff_decisions", decision="handoff" if told["decision"] else "stay")


def _count(page: _Page, told: dict[str, Any]) -> None:
    page.count(f"user.{told['name']}", times=told["value"], **told["labels"])


def _sample(page: _Page, told: dict[str, Any]) -> None:
    page.observe(f"user.{told['name']}", told["value"], _MILLIONTHS, **told["labels"])


_BOOKS = {
    "log_and_record_interaction": _interaction,
    "log_and_record_llm_call": _llm_call,
    "log_and_record_knowledge_search": _search,
    "log_and_record_context_build": _context_build,
    "record_feedback": _feedback,
    "log_and_record_error": _error,
    "log_and_record_handoff_decision": _handoff_decision,
    "count": _count,
    "sample": _sample,
}


def stored(database_url: str, minutes: int) -> dict[Key, Entry]:
    """What the snapshots of one resolution say, the parts of all shards together."""
    found: dict[Key, Entry] = {}
    sketches: dict[Key, list[bytes]] = {}
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT s.tenant, s.metric, s.labels, (extract(epoch FROM m.ts) / 60)::int, m.count, m.sum, m.min, m.max, m.data "
            "FROM monitoring_metricsnapshot m JOIN monitoring_series s ON s.id = m.series_id WHERE m.resolution = %s",
            [minutes],
        )
        for *named, count, total, low, high, data in rows:
            key: Key = tuple(named)  # type: ignore[assignment]
            if key[1] in DISTINCT:
                sketches.setdefault(key, []).append(bytes(data))
                continue
            buckets = Counter(histogram.decode(bytes(data))) if data is not None else Counter()
            part = Entry(count, None if total is None else int(total), low, high, buckets)
            found[key] = _sum(found[key], part) if key in found else part
    return found | {key: Entry(distinct.count(distinct.merge(parts))) for key, parts in sketches.items()}


def _sum(one: Entry, other: Entry) -> Entry:
    def either(choose: Any, *values: int | None) -> int | None:
        known = [value for value in values if value is not None]
        return choose(known) if known else None

    return Entry(
        one.count + other.count,
        either(sum, one.total, other.total),
        either(min, one.low, other.low),
        either(max, one.high, other.high),
        one.buckets + other.buckets,
    )


def differences(wanted: dict[Key, Entry], found: dict[Key, Entry]) -> list[str]:
    """One line a series and minute that is not what it must be."""
    return [
        f"{key}: the ledger has {wanted.get(key)}, the snapshots have {found.get(key)}"
        for key in sorted(wanted.keys() | found.keys())
        if key[1] != OWN and not _alike(key, wanted.get(key), found.get(key))
    ]


def is_crowded(key: Key, entry: Entry) -> bool:
    """Whether it counts more conversations than are counted exactly."""
    return key[1] in DISTINCT and entry.count > EXACT


def _alike(key: Key, wanted: Entry | None, found: Entry | None) -> bool:
    if wanted is not None and found is not None and is_crowded(key, wanted):
        return abs(found.count - wanted.count) <= NEAR * wanted.count
    return wanted == found
