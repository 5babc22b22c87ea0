"""The demo's figures are those of the recordings."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.monitoring.demo import parameters
from apps.monitoring.demo.parameters import BEHAVIOURS


@pytest.fixture(scope="module")
def interactions(recordings: Path) -> list[dict[str, Any]]:
    with gzip.open(recordings / "tau2" / "interactions.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def of(interactions: list[dict[str, Any]], tenant: str) -> list[dict[str, Any]]:
    return [line for line in interactions if line["model"] == parameters.NORMAL_MODEL and line["tenant"] == tenant]


@pytest.mark.parametrize("tenant", sorted(BEHAVIOURS))
def test_a_tenant_behaves_like_the_recorded_one(interactions: list[dict[str, Any]], tenant: str) -> None:
    lines, fitted = of(interactions, tenant), BEHAVIOURS[tenant]
    turns = Counter(line["conversation_id"] for line in lines)
    deciles = np.quantile(list(turns.values()), np.arange(0.05, 1, 0.1), method="nearest")
    assert tuple(deciles) == fitted.turns
    calls = [call for line in lines for call in line["llm_calls"]]
    seconds = np.log([call["duration_ms"] / 1_000 for call in calls])
    assert (seconds.mean(), seconds.std()) == pytest.approx((fitted.call_log_mean, fitted.call_log_sigma), abs=0.001)
    further = np.mean([len(line["llm_calls"]) - 1 for line in lines])
    assert further / (1 + further) == pytest.approx(fitted.further_call, abs=0.001)
    handed_over = {line["conversation_id"] for line in lines if line["handoff_triggered"]}
    assert len(handed_over) / len(turns) == fitted.handoff_share
    assert np.mean([bool(line["errors"]) for line in lines]) == pytest.approx(fitted.tool_failure, abs=0.001)


@pytest.mark.parametrize("tenant", sorted(BEHAVIOURS))
def test_a_tenants_tokens_are_like_the_recorded_ones(interactions: list[dict[str, Any]], tenant: str) -> None:
    lines, fitted = of(interactions, tenant), BEHAVIOURS[tenant]
    calls = [(line["turn"], call) for line in lines for call in line["llm_calls"]]
    turns, prompts = np.array([turn for turn, _ in calls]), np.array([call["prompt_tokens"] for _, call in calls])
    slope, start = np.polyfit(turns, prompts, 1)
    assert (round(start), round(slope)) == (fitted.prompt_start, fitted.prompt_per_turn)
    assert np.log(prompts / (start + slope * turns)).std() == pytest.approx(fitted.prompt_log_sigma, abs=0.001)
    completions = np.log([call["completion_tokens"] for _, call in calls])
    assert completions.mean() == pytest.approx(fitted.completion_log_mean, abs=0.001)
    assert completions.std() == pytest.approx(fitted.completion_log_sigma, abs=0.001)


def test_tokens_cost_what_they_were_recorded_to_cost(interactions: list[dict[str, Any]]) -> None:
    for model, price in parameters.PRICES.items():
        priced = [line for line in interactions if line["model"] == model and line.get("estimated_cost_usd") is not None]
        tokens = sum(line["prompt_tokens"] + line["completion_tokens"] for line in priced)
        assert sum(line["estimated_cost_usd"] for line in priced) / tokens * 1e6 == pytest.approx(price, abs=0.001)


def test_customers_arrive_as_burstily_as_recorded(recordings: Path) -> None:
    with gzip.open(recordings / "azure_llm" / "AzureLLMInferenceTrace_conv.csv.gz", "rt") as lines:
        times = sorted(datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp() for row in csv.DictReader(lines))
    gaps = np.diff(times)
    assert (gaps.mean() / gaps.std()) ** 2 == pytest.approx(parameters.CONVERSATION_GAP_SHAPE, abs=0.001)


def test_calls_fail_as_often_as_recorded_outside_the_one_incident(recordings: Path) -> None:
    files = sorted((recordings / "llmperf" / "individual").glob("*.json"))
    failed = {file.stem: [call["error_code"] is not None for call in json.loads(file.read_text())] for file in files}
    assert sum(failed.pop("lepton_7b")) == 130
    calls = [each for provider in failed.values() for each in provider]
    assert len(calls) == 1_350
    assert sum(calls) / len(calls) == pytest.approx(parameters.CALL_FAILURE, abs=0.0001)
