"""The summary of a tenant, or of all, over a range: from merged cells to the shape that users read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apps.monitoring.catalogue import METRICS, RATIOS
from apps.monitoring.core import tokens
from apps.monitoring.core.cell import Cell
from apps.monitoring.core.series import SeriesKey

Cells = Mapping[SeriesKey, Cell]


class Reader:
    """Reads statistics out of cells in the metrics' own units; None where there are no samples."""

    def __init__(self, cells: Cells) -> None:
        self._by_metric: dict[str, list[tuple[tuple[str, ...], Cell]]] = {}
        for key, cell in cells.items():
            self._by_metric.setdefault(key.metric, []).append((key.values, cell))

    def total(self, metric: str) -> Cell:
        """Every series of a metric as one."""
        merged = Cell()
        for _, cell in self._by_metric.get(metric, ()):
            merged.merge(cell)
        return merged

    def by_label(self, metric: str, label: str) -> dict[str, Cell]:
        """The cells by the value of a label, the most frequent first."""
        position = METRICS[metric].labels.index(label)
        grouped: dict[str, Cell] = {}
        for values, cell in self._by_metric.get(metric, ()):
            grouped.setdefault(values[position], Cell()).merge(cell)
        return dict(sorted(grouped.items(), key=lambda item: (-item[1].count, item[0])))

    def count(self, metric: str) -> int:
        """How often, or how many different ones."""
        cell = self.total(metric)
        return cell.distinct() if cell.sketches else cell.count

    def unit_sum(self, metric: str, cell: Cell | None = None) -> float | int | None:
        """The sum, of all series or of one cell."""
        cell = self.total(metric) if cell is None else cell
        if cell.sum is None:
            return None
        scale = METRICS[metric].scale
        return cell.sum if scale == 1 else cell.sum / scale

    def mean(self, metric: str) -> float | None:
        """The mean."""
        return _scaled(self.total(metric).mean(), METRICS[metric].scale)

    def quantile(self, metric: str, q: float) -> float | None:
        """The nearest-rank quantile."""
        return _scaled(self.total(metric).quantile(q), METRICS[metric].scale)

    def ratio(self, name: str) -> float | None:
        """The value of a ratio of the catalogue."""
        ratio = RATIOS[name]
        if ratio.required is not None and not self.count(ratio.required):
            return None
        numerator = self.unit_sum(ratio.numerator)
        return _divide(self.count(ratio.numerator) if numerator is None else numerator, self.count(ratio.denominator))


def summarize(cells: Cells) -> dict[str, Any]:
    """Every block of the summary, without the range. A statistic without samples is None, never 0."""
    read = Reader(cells)
    interactions = read.count("interactions")
    conversations = read.count("conversations")
    return {
        "response_time": _response_time(read),
        "token_usage": _token_usage(read, interactions, conversations),
        "cost": _cost(read, interactions),
        "handoff": {
            "total_handoffs": read.count("handoffs"),
            "handoff_rate": read.ratio("handoff_rate"),
            "by_reason": {reason: cell.count for reason, cell in read.by_label("handoffs", "reason").items()},
        },
        "knowledge_base": {
            "total_searches": read.count("knowledge_searches"),
            "hit_rate": read.ratio("knowledge_hit_rate"),
            "avg_results": read.mean("knowledge_results"),
            "avg_similarity_score": read.mean("knowledge_similarity"),
        },
        "model_usage": _model_usage(read),
        "confidence": {
            "mean": read.mean("confidence"),
            "p50": read.quantile("confidence", 0.50),
            "sample_count": read.count("confidence"),
        },
        "intents": _intents(read),
        "errors": {
            "total": read.count("errors"),
            "error_rate": read.ratio("error_rate"),
            "by_operation": {name: cell.count for name, cell in read.by_label("errors", "operation").items()},
        },
        "llm_calls": _llm_calls(read),
        "feedback": {"count": read.count("feedback"), "mean": read.mean("feedback")},
        "interactions": {"total": interactions, "answered": read.count("interactions_answered")},
    }


def _response_time(read: Reader) -> dict[str, Any]:
    cell = read.total("response_time")
    scale = METRICS["response_time"].scale
    return {
        "p50_ms": _scaled(cell.quantile(0.50), scale),
        "p95_ms": _scaled(cell.quantile(0.95), scale),
        "p99_ms": _scaled(cell.quantile(0.99), scale),
        "mean_ms": _scaled(cell.mean(), scale),
        "min_ms": _scaled(cell.min, scale),
        "max_ms": _scaled(cell.max, scale),
        "sample_count": cell.count,
    }


def _token_usage(read: Reader, interactions: int, conversations: int) -> dict[str, Any]:
    total = _tokens(read, tokens.KINDS)
    return {
        "total_tokens": total,
        "prompt_tokens": _tokens(read, tokens.PROMPT_KINDS),
        "completion_tokens": _tokens(read, tokens.COMPLETION_KINDS),
        "by_kind": {kind: cell.sum for kind, cell in read.by_label("tokens", "kind").items()},
        "avg_per_conversation": None if total is None else _divide(total, conversations),
        "conversation_count": conversations,
        "interactions_without_tokens": interactions - read.count("interactions_with_tokens"),
    }


def _tokens(read: Reader, kinds: Sequence[str]) -> int | None:
    """The tokens of some kinds together; None when none of them was ever reported."""
    found = read.by_label("tokens", "kind")
    sums = [found[kind].sum or 0 for kind in kinds if kind in found]
    return sum(sums) if sums else None


def _cost(read: Reader, interactions: int) -> dict[str, Any]:
    total = read.unit_sum("cost")
    used = _tokens(read, tokens.KINDS)
    return {
        "total_usd": total,
        "avg_per_conversation_usd": read.ratio("cost_per_conversation"),
        "avg_per_token_usd": None if total is None or used is None else _divide(total, used),
        "by_model": {model: read.unit_sum("cost", cell) for model, cell in read.by_label("cost", "model").items()},
        "unpriced_interactions": interactions - read.count("cost"),
    }


def _model_usage(read: Reader) -> dict[str, Any]:
    models = read.by_label("model_usage", "model")
    costs = read.by_label("cost", "model")
    total = sum(cell.count for cell in models.values())
    return {
        model: {
            "count": cell.count,
            "share": _divide(cell.count, total),
            "cost_usd": read.unit_sum("cost", costs.get(model, Cell())),
        }
        for model, cell in models.items()
    }


def _intents(read: Reader) -> list[dict[str, Any]]:
    intents = read.by_label("intents", "intent")
    total = sum(cell.count for cell in intents.values())
    return [{"intent": name, "count": cell.count, "share": _divide(cell.count, total)} for name, cell in intents.items()]


def _llm_calls(read: Reader) -> dict[str, Any]:
    calls = read.by_label("llm_calls", "provider")
    failed = read.by_label("llm_call_errors", "provider")
    durations = read.by_label("llm_call_duration", "provider")
    scale = METRICS["llm_call_duration"].scale
    return {
        "total": read.count("llm_calls"),
        "error_rate": read.ratio("llm_error_rate"),
        "p95_ms": read.quantile("llm_call_duration", 0.95),
        "by_provider": {
            provider: {
                "count": cell.count,
                "error_rate": _divide(failed.get(provider, Cell()).count, cell.count),
                "p95_ms": _scaled(durations.get(provider, Cell()).quantile(0.95), scale),
            }
            for provider, cell in calls.items()
        },
    }


def _divide(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


def _scaled(value: float | None, scale: int) -> float | None:
    return None if value is None else value / scale
