"""Every metric the product knows: the one place that recording, roll-up, rules, API and dashboard read.

A *metric* is recorded and stored; a *ratio* is computed from two metrics when read. Values are stored as
integers (`scale` storage units make one unit of the metric), so sums are exact and merging never rounds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Kind(StrEnum):
    """What a series of the metric holds in one period."""

    COUNTER = "counter"
    """How often: `count`."""
    AMOUNT = "amount"
    """How much: `count` values with their `sum`."""
    HISTOGRAM = "histogram"
    """A distribution: `count`, `sum`, `min`, `max` and buckets."""
    DISTINCT = "distinct"
    """How many different ones: a mergeable sketch."""


MILLISECONDS: Final = "ms"
DOLLARS: Final = "USD"
SHARE: Final = "share"
SCORE: Final = "score"
TOKENS: Final = "tokens"
EACH: Final = "count"

_SCALE: Final = MappingProxyType({MILLISECONDS: 1_000, DOLLARS: 10**9, SCORE: 10**6, TOKENS: 1, EACH: 1})
"""Storage units in one unit: microseconds, nano-dollars, millionths."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A recorded metric. `code` is its short name in the hot store, where every byte is paid a million times."""

    name: str
    code: str
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    scale: int = field(init=False)
    """Storage units in one unit."""
    signed: bool = field(init=False)
    """Whether a value may be negative, as a similarity may."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _SCALE[self.unit])
        object.__setattr__(self, "signed", self.kind is Kind.AMOUNT and self.unit == SCORE)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A metric computed when read: `numerator` over `denominator`, None when the denominator is 0.

    `samples` is the metric whose count says what the ratio is made of; `required` is a metric that must have
    counted something, or the ratio is unknown: unpriced traffic has no cost, not a cost of 0.
    """

    name: str
    numerator: str
    denominator: str
    samples: str
    unit: str
    meaning: str
    required: str | None = None


_METRICS: Final = (
    Metric("interactions", "i", Kind.COUNTER, EACH, "Interactions: one customer message and what the agent did with it."),
    Metric("interactions_answered", "ia", Kind.COUNTER, EACH, "Interactions with an answer."),
    Metric("interactions_failed", "if", Kind.COUNTER, EACH, "Interactions with at least one error, or without an answer."),
    Metric("response_time", "rt", Kind.HISTOGRAM, MILLISECONDS, "From the customer's message to the answer."),
    Metric("tokens", "t", Kind.AMOUNT, TOKENS, "Tokens of interactions that reported them; kinds are disjoint.", ("kind",)),
    Metric("interactions_with_tokens", "it", Kind.COUNTER, EACH, "Interactions that reported tokens."),
    Metric("cost", "c", Kind.AMOUNT, DOLLARS, "Cost of interactions that have a price.", ("model",)),
    Metric("model_usage", "m", Kind.COUNTER, EACH, "Interactions by the model that answered.", ("model",)),
    Metric("handoffs", "h", Kind.COUNTER, EACH, "Interactions handed over to a human.", ("reason",)),
    Metric("conversations", "cv", Kind.DISTINCT, EACH, "Different conversations with an interaction."),
    Metric("handoff_conversations", "hc", Kind.DISTINCT, EACH, "Different conversations with a handoff."),
    Metric("confidence", "cf", Kind.HISTOGRAM, SCORE, "The agent's confidence in its answer, 0 to 1."),
    Metric("intents", "in", Kind.COUNTER, EACH, "Interactions by what the customer wanted.", ("intent",)),
    Metric("errors", "e", Kind.COUNTER, EACH, "Errors by the operation that failed.", ("operation",)),
    Metric("llm_calls", "l", Kind.COUNTER, EACH, "Calls to a language model.", ("provider",)),
    Metric("llm_call_errors", "le", Kind.COUNTER, EACH, "Calls to a language model that failed.", ("provider",)),
    Metric(
        "llm_call_duration",
        "ld",
        Kind.HISTOGRAM,
        MILLISECONDS,
        "Duration of a call to a language model.",
        ("provider",),
    ),
    Metric("llm_calls_cancelled", "lx", Kind.COUNTER, EACH, "Calls that the caller gave up.", ("provider",)),
    Metric(
        "llm_time_to_first_token",
        "lf",
        Kind.HISTOGRAM,
        MILLISECONDS,
        "From a streamed call's start to its first token.",
        ("provider",),
    ),
    Metric(
        "llm_call_tokens",
        "lt",
        Kind.AMOUNT,
        TOKENS,
        "Tokens of calls to a language model; kinds are disjoint.",
        ("kind", "provider"),
    ),
    Metric(
        "llm_call_cost",
        "lc",
        Kind.AMOUNT,
        DOLLARS,
        "Cost of calls to a language model that have a price.",
        ("provider",),
    ),
    Metric("context_builds", "x", Kind.COUNTER, EACH, "Contexts built for a model."),
    Metric("context_build_duration", "xd", Kind.HISTOGRAM, MILLISECONDS, "Time to build a context."),
    Metric("context_components", "xc", Kind.AMOUNT, EACH, "Parts put into a context.", ("component",)),
    Metric("handoff_decisions", "hd", Kind.COUNTER, EACH, "Decisions for or against a handoff.", ("decision",)),
    Metric("knowledge_searches", "k", Kind.COUNTER, EACH, "Searches of the knowledge base."),
    Metric("knowledge_hits", "kh", Kind.COUNTER, EACH, "Searches that found at least one result."),
    Metric("knowledge_results", "kr", Kind.AMOUNT, EACH, "Results found by searches."),
    Metric("knowledge_similarity", "ks", Kind.AMOUNT, SCORE, "Similarity of results to the query."),
    Metric("knowledge_search_duration", "kd", Kind.HISTOGRAM, MILLISECONDS, "Duration of a search."),
    Metric("feedback", "f", Kind.AMOUNT, SCORE, "Customer satisfaction, on the scale that the caller uses."),
    Metric("computed_costs", "cc", Kind.COUNTER, EACH, "Costs computed from a price list, by list and version.", ("source",)),
    Metric("unknown_prices", "np", Kind.COUNTER, EACH, "Tokens without a cost: nobody knows the model's price.", ("model",)),
    Metric("refused_values", "r", Kind.COUNTER, EACH, "Values refused at recording, by reason.", ("reason",)),
    Metric(
        "monitor_events",
        "me",
        Kind.COUNTER,
        EACH,
        "What befell the monitoring itself: drops, retries, overflows.",
        ("event",),
    ),
    Metric("label_overflow", "o", Kind.COUNTER, EACH, "Label values counted under `other`, by metric.", ("metric",)),
)

MONITOR_EVENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "merged_by_caller": "The queue of events was full, and a caller merged its own event.",
        "events_lost": "A call could not hand over what it was to record.",
        "thread_errors": "The monitoring thread met an error and went on, or could not be started.",
        "flushes_failed_connection": "The hot store was not reached; what waits is sent again, as after each failure.",
        "flushes_failed_timeout": "The hot store did not answer in time.",
        "flushes_failed_loading": "The hot store was reading its file after a start.",
        "flushes_failed_busy": "The hot store was held up by a long script.",
        "flushes_failed_read_only": "The hot store was a replica.",
        "flushes_failed_out_of_memory": "The hot store had reached its `maxmemory`.",
        "flushes_failed_cannot_save": "The hot store could not write its file and took no writes.",
        "flushes_failed_no_replicas": "The hot store had fewer replicas than it must have.",
        "flushes_failed_no_script": "The hot store had forgotten a script twice in a row.",
        "flushes_failed_not_allowed": "The hot store refused the user, the password or the command.",
        "flushes_failed_cluster": "A part of the cluster was down or moving.",
        "flushes_failed_other": "The hot store failed in a way that passes and has no name here.",
        "flushes_repeated": "A flush was sent again that had been applied: its answer had been lost. Counted once.",
        "flushes_refused": "The hot store refused a flush for good; its records are lost.",
        "lines_rejected": "A line of a batch that came over HTTP was no interaction; its sender was told.",
        "spans_rejected": "A span of an agent that came over HTTP could not be counted; its exporter was told.",
        "batches_unconfirmed": "A batch that came over HTTP was not confirmed by the hot store; its sender was told.",
        "batches_refused": "The hot store refused a part of a batch that came over HTTP for good; its sender was told.",
        "minutes_dropped": "A minute was given up because what waited for the hot store had reached its bound.",
        "log_lines_dropped": "A log line was left out because the queue of lines was full.",
        "log_lines_failed": "A log line could not be made or written.",
        "log_writes_retried": "Log lines could not be written and were tried again.",
        "rows_older_than_retention": "A record was older than anything that is kept.",
        "clocks_differ": "A worker's clock was more than 5 s from the database's; the earlier one was taken.",
        "compaction_mismatches": "A compacted row was not the sum of its parts and was made anew.",
        "rows_without_series": "A row had no series, or one that could have been purged while it was there.",
        "series_purged": "A series had no row any more and was deleted.",
        "delivery_tasks_refused": "The broker did not take the task of a delivery; the next sweep delivers.",
        "notifications_delivered": "A notification was delivered.",
        "notifications_retried": "A delivery failed and will be tried again.",
        "notifications_given_up": "A delivery failed for good; it can be sent again from the admin.",
        "notifications_to_fallback": "A notification went to the fallback of its channel.",
    }
)
"""What `monitor_events` counts, by the value of its label."""
LOSSES: Final = frozenset(
    {
        "events_lost",
        "minutes_dropped",
        "flushes_refused",
        "batches_refused",
        "log_lines_dropped",
        "log_lines_failed",
        "rows_older_than_retention",
        "compaction_mismatches",
        "rows_without_series",
    }
)
"""Those after which something is missing, or was wrong."""

_RATIOS: Final = (
    Ratio(
        "cost_per_conversation", "cost", "conversations", "interactions", DOLLARS,
        "Priced cost over conversations.", required="cost",
    ),
    Ratio(
        "handoff_rate", "handoff_conversations", "conversations", "interactions", SHARE,
        "Conversations with a handoff over conversations.",
    ),
    Ratio(
        "knowledge_hit_rate", "knowledge_hits", "knowledge_searches", "knowledge_searches", SHARE,
        "Searches with a result over searches.",
    ),
    Ratio(
        "error_rate", "interactions_failed", "interactions", "interactions", SHARE,
        "Interactions with an error over interactions.",
    ),
    Ratio("llm_error_rate", "llm_call_errors", "llm_calls", "llm_calls", SHARE, "Failed calls over calls to a language model."),
)  # fmt: skip

METRICS: Final[Mapping[str, Metric]] = MappingProxyType({m.name: m for m in _METRICS})
RATIOS: Final[Mapping[str, Ratio]] = MappingProxyType({r.name: r for r in _RATIOS})
BY_CODE: Final[Mapping[str, Metric]] = MappingProxyType({m.code: m for m in _METRICS})

DISTINCT: Final = tuple(m.name for m in _METRICS if m.kind is Kind.DISTINCT)
"""The metrics whose snapshots hold a sketch."""

OTHER: Final = "other"
"""The label value that counts what is over the cap, or not a category at all."""
UNSPECIFIED: Final = "unspecified"
"""The label value of what the caller did not say."""

USER_PREFIX: Final = "user."
_USER_CODES: Final = MappingProxyType({Kind.COUNTER: "u", Kind.HISTOGRAM: "v"})
_USER_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]{0,99}\Z")


def user_metric(name: str, kind: Kind) -> Metric:
    """The metric behind `monitor.count(name)` or `monitor.sample(name)`; its labels are the caller's.

    Raises ValueError when the name is no metric name.
    """
    if not _USER_NAME.match(name):
        msg = f"{name!r} is no metric name: letters, digits, underscore and dot, not starting with a digit, 100 at most"
        raise ValueError(msg)
    unit = EACH if kind is Kind.COUNTER else SCORE
    return Metric(USER_PREFIX + name, _USER_CODES[kind] + name, kind, unit, "A metric of the user's own.")


def scale_of(metric: str) -> int:
    """Storage units in one unit of a metric, the users' own included."""
    if metric.startswith(USER_PREFIX):
        return user_metric(metric.removeprefix(USER_PREFIX), Kind.HISTOGRAM).scale
    return METRICS[metric].scale


def by_code(code: str) -> Metric:
    """The metric of a hot-store code. Raises KeyError for a code that this version does not know."""
    known = BY_CODE.get(code)
    if known is not None:
        return known
    for kind, prefix in _USER_CODES.items():
        if code.startswith(prefix) and _USER_NAME.match(code[1:]):
            return user_metric(code[1:], kind)
    raise KeyError(code)
