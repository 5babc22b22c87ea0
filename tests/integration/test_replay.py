"""The recorded conversations through replay, roll-up and summary: what was recorded is what is reported."""

from __future__ import annotations

import gzip
import io
import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Count

from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.models import RollupBatch
from apps.monitoring.rollup import shards
from tests.oracle.recording import Interaction, read
from tests.oracle.totals import Totals, totals

START = datetime(2026, 1, 5, tzinfo=UTC)
TENANTS = ("airline", "retail", "telecom", None)
WITHOUT_AN_INTERACTION = {"pr133__gpt-oss-120b__airline": 1}
"""Conversations that expected.json counts although the customer never said anything in them."""

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
def recording(recordings: Path) -> Path:
    return recordings / "tau2" / "interactions.jsonl.gz"


@pytest.fixture
def expected(recordings: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((recordings / "tau2" / "expected.json").read_text())
    return found


@pytest.fixture
def rows(recording: Path) -> list[Interaction]:
    return read(recording)


def replay(file: Path, start: datetime = START) -> None:
    call_command("replay", str(file), start=start.isoformat(), speed="max", stdout=io.StringIO())


def rollup() -> dict[str, Any]:
    out = io.StringIO()
    call_command("rollup", json=True, stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def summary(tenant: str | None, start: datetime = START, minutes: int = 120) -> dict[str, Any]:
    out = io.StringIO()
    end = start + timedelta(minutes=minutes)
    call_command("summary", tenant=tenant, frm=start.isoformat(), to=end.isoformat(), json=True, stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def summaries(start: datetime = START) -> list[dict[str, Any]]:
    """Every summary over the recording, without when it was and how far it is complete."""
    elsewhen = {"from", "to", "complete_until"}
    found = [summary(tenant, start) for tenant in TENANTS]
    return [{name: block for name, block in one.items() if name not in elsewhen} for one in found]


def of_tenant(rows: Iterable[Interaction], tenant: str | None) -> list[Interaction]:
    return [row for row in rows if tenant in {None, row.tenant}]


def test_the_summary_is_what_was_computed_from_the_raw_recordings(recording: Path, expected: dict[str, dict[str, Any]]) -> None:
    replay(recording)
    rollup()
    for tenant in TENANTS:
        compare_with_runs(
            summary(tenant), {name: run for name, run in expected.items() if tenant is None or f"__{tenant}" in name}
        )


def compare_with_runs(found: dict[str, Any], runs: dict[str, dict[str, Any]]) -> None:
    def wanted(field: str) -> Any:
        return sum(run[field] for run in runs.values())

    conversations = wanted("conversations") - sum(WITHOUT_AN_INTERACTION.get(name, 0) for name in runs)
    assert found["interactions"] == {"total": wanted("interactions"), "answered": wanted("answered")}
    assert found["token_usage"]["conversation_count"] == conversations
    assert found["token_usage"]["prompt_tokens"] == wanted("prompt_tokens")
    assert found["token_usage"]["completion_tokens"] == wanted("completion_tokens")
    assert found["token_usage"]["total_tokens"] == wanted("prompt_tokens") + wanted("completion_tokens")
    assert found["handoff"]["total_handoffs"] == wanted("handoff_interactions")
    assert found["handoff"]["handoff_rate"] == wanted("handoff_conversations") / conversations
    assert found["llm_calls"]["total"] == wanted("llm_calls")
    assert found["response_time"]["sample_count"] == wanted("answered")
    assert found["response_time"]["max_ms"] == max(run["processing_ms_max"] for run in runs.values())
    # The sums of the runs were rounded to a microdollar there; the rows are compared below, to a billionth.
    assert found["cost"]["total_usd"] == near(wanted("cost_usd"), abs=1e-6 * len(runs))


def test_the_summary_of_any_part_is_what_the_rows_of_that_part_add_up_to(recording: Path, rows: list[Interaction]) -> None:
    replay(recording)
    rollup()
    for minutes in (range(120), range(1), range(1, 2), range(5, 9), range(70, 120), range(79, 120)):
        for tenant in TENANTS:
            part = [row for row in of_tenant(rows, tenant) if row.minute in minutes]
            compare(summary(tenant, START + timedelta(minutes=minutes.start), len(minutes)), totals(part))


def compare(found: dict[str, Any], wanted: Totals) -> None:
    assert found["interactions"] == {"total": wanted.interactions, "answered": wanted.answered}
    assert found["token_usage"]["conversation_count"] == wanted.conversations
    assert found["token_usage"]["prompt_tokens"] == wanted.prompt_tokens
    assert found["token_usage"]["completion_tokens"] == wanted.completion_tokens
    assert found["token_usage"]["interactions_without_tokens"] == wanted.without_tokens
    compare_cost(found["cost"], wanted)
    assert found["handoff"]["total_handoffs"] == wanted.handoffs
    assert found["handoff"]["handoff_rate"] == share(wanted.handoff_conversations, wanted.conversations)
    assert found["errors"]["error_rate"] == share(wanted.failed, wanted.interactions)
    times = found["response_time"]
    assert times["sample_count"] == len(wanted.response_times)
    assert times["min_ms"] == min(wanted.response_times, default=None)
    assert times["max_ms"] == max(wanted.response_times, default=None)
    assert times["mean_ms"] == near(share(sum(wanted.response_times), len(wanted.response_times)), rel=1e-9)
    for percent in (50, 95, 99):
        assert times[f"p{percent}_ms"] == near(wanted.percentile(percent), rel=0.01)


def compare_cost(found: dict[str, Any], wanted: Totals) -> None:
    total = None if wanted.cost is None else float(wanted.cost)
    assert found["total_usd"] == near(total, abs=1e-9)
    assert found["unpriced_interactions"] == wanted.unpriced
    assert found["by_model"] == {model: near(float(cost), abs=1e-9) for model, cost in wanted.cost_by_model.items()}
    assert found["avg_per_conversation_usd"] == near(share(total, wanted.conversations), abs=1e-9)


def share(part: float | None, whole: float) -> float | None:
    return part / whole if part is not None and whole else None


def near(value: float | None, **within: float) -> Any:
    return None if value is None else pytest.approx(value, rel=within.get("rel", 0), abs=within.get("abs", 0))


def test_the_summary_is_the_same_before_during_and_after_the_roll_up(recording: Path) -> None:
    replay(recording)
    live = summaries()
    store, now = HotStore.from_conf(), time.time()
    for shard in range(store.shards):
        shards.roll_up(shard, START.timestamp() + 10 * 60 + 30, store)
    assert summaries() == live
    batches = 0
    for shard in range(store.shards):
        batches += shards.roll_up(shard, now, store).batches
        assert summaries() == live
    assert batches
    assert rollup()["batches"] == 0
    assert summaries() == live


def test_lines_that_come_after_their_minutes_were_rolled_up_count_like_any_other(recording: Path, tmp_path: Path) -> None:
    replay(recording)
    rollup()
    later = START + timedelta(days=1)
    for part in halves(recording, tmp_path):
        replay(part, later)
        assert rollup()["batches"]
    assert summaries(later) == summaries()
    assert RollupBatch.objects.filter(minute__gte=later).values("shard", "minute").annotate(n=Count("id")).filter(n=2).exists()


def halves(recording: Path, folder: Path) -> list[Path]:
    """Every other line, so that each minute has its share in both."""
    with gzip.open(recording, "rb") as lines:
        everything = lines.readlines()
    files = [folder / "even.jsonl", folder / "odd.jsonl"]
    for number, file in enumerate(files):
        file.write_bytes(b"".join(everything[number::2]))
    return files


def test_a_replay_in_real_time_takes_its_time_and_counts_the_same(tmp_path: Path) -> None:
    recording = tmp_path / "slow.jsonl"
    line = '{"tenant": "t", "conversation_id": "c", "offset_ms": %d, "processing_time_ms": 100, "agent_response": "."}\n'
    recording.write_text("".join(line % offset for offset in (1_900, 0, 900)))
    began = time.monotonic()
    call_command("replay", str(recording), start=START.isoformat(), speed="4", stdout=io.StringIO())
    assert time.monotonic() - began >= 0.5
    assert summary("t")["interactions"] == {"total": 3, "answered": 3}


def test_an_answer_of_which_it_is_not_said_whether_it_was_completed_is_an_answer(tmp_path: Path) -> None:
    recording = tmp_path / "null.jsonl"
    line = '{"tenant": "t", "offset_ms": 0, "processing_time_ms": 100, "agent_response": "."%s}\n'
    recording.write_text(
        "".join(line % more for more in ("", ', "completed": null', ', "completed": true', ', "completed": false'))
    )
    replay(recording)
    found = summary("t")
    assert found["interactions"] == {"total": 4, "answered": 3}
    assert found["errors"]["by_operation"] == {"no_answer": 1}
