"""`manage.py simulate`, as a person runs it: what it says it did is in the stores, and what cannot be is one line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.monitoring.core.clock import to_minute
from apps.monitoring.management.commands import simulate
from apps.monitoring.models import AlertTransition
from tests.e2e.parts import ROOT, environment_of_tests, manage
from tests.patience import eventually

pytestmark = pytest.mark.usefixtures("stores")

START = "2026-01-05T00:00:00+00:00"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return manage(environment_of_tests(**environment), *arguments)


def result(*arguments: str) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def summary(simulated: dict[str, Any], *arguments: str) -> dict[str, Any]:
    done = run("summary", "--from", simulated["from"], "--to", simulated["to"], *arguments)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The command in the background, and the file of its standard output; killed when a test fails."""
    out = folder / "out.log"
    with out.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "simulate", *arguments],
            cwd=ROOT,
            env=environment_of_tests(),
            stdout=log,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        yield process, out
    finally:
        process.kill()
        process.communicate()


def test_what_it_says_it_did_is_what_the_summary_counts() -> None:
    simulated = result("simulate", "--minutes", "12", "--start", START, "--seed", "5")
    assert simulated["interactions"] > 800
    assert simulated["interactions_per_second"] > 0
    assert (simulated["from"], simulated["to"]) == (START, "2026-01-05T00:12:00+00:00")
    for _ in range(2):  # from the hot store, then from the snapshots
        whole = summary(simulated)
        assert whole["interactions"]["total"] == simulated["interactions"]
        assert whole["token_usage"]["conversation_count"] == simulated["conversations"]
        assert whole["knowledge_base"]["total_searches"] >= simulated["interactions"]
        assert whole["knowledge_base"]["hit_rate"] == pytest.approx(0.95, abs=0.03)
        assert 0 < whole["cost"]["avg_per_conversation_usd"] < 0.1
        assert whole["feedback"]["count"] > 10
        tenants = [
            summary(simulated, "--tenant", tenant)["interactions"]["total"] for tenant in ("airline", "retail", "telecom")
        ]
        assert sum(tenants) == simulated["interactions"]
        assert run("rollup").returncode == 0


def test_the_same_seed_and_start_make_the_same_traffic_for_the_tenants_asked_for() -> None:
    arguments = ("simulate", "--minutes", "5", "--start", START, "--seed", "9", "--tenant", "retail", "--tenant", "telecom")
    one, again = result(*arguments), result(*arguments)
    assert (one["interactions"], one["conversations"]) == (again["interactions"], again["conversations"])
    whole = summary(one)
    assert whole["interactions"]["total"] == 2 * one["interactions"]
    assert whole["token_usage"]["conversation_count"] == one["conversations"]
    assert "airline" in run("summary", "--tenant", "airline", "--from", START, "--to", one["to"]).stderr


def test_an_incident_that_ends_now_makes_its_rule_fire_for_its_tenant_only() -> None:
    assert run("setup_monitoring").returncode == 0
    simulated = result("simulate", "--minutes", "15", "--incident", "slow-provider", "--incident-after", "600")
    assert simulated["incident"] == "slow-provider"
    assert run("rollup").returncode == 0
    assert run("evaluate").returncode == 0
    fired = set(AlertTransition.objects.filter(state="firing").values_list("rule_name", "tenant"))
    assert ("response-time-p95", "airline") in fired
    assert {tenant for _, tenant in fired} == {"airline"}


@pytest.mark.timeout(90)
def test_live_traffic_goes_at_the_pace_of_the_clock_tells_of_its_incident_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    live = ("--live", "--rate", "300", "--backfill", "2", "--incident", "cost-spike", "--incident-after", "2")
    with running(tmp_path, *live, "--incident-minutes", "0.05") as (process, out):
        begins = "incident cost-spike begins for airline"
        eventually("it tells that the incident is over", lambda: "incident cost-spike is over" in out.read_text(), 40)
        assert begins in out.read_text()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    said = dict(line.split("  ", 1) for line in out.read_text().splitlines() if "  " in line)
    total = int(said["interactions"])
    # Two minutes at once, then at least the five seconds of the incident.
    assert 600 < total < 600 * 3
    window = {"from": said["from"].strip(), "to": said["to"].strip()}
    counted = summary(window)
    assert counted["interactions"]["total"] == total
    assert counted["model_usage"]["claude-opus-4-6"]["count"] > 0


def test_what_is_backfilled_begins_after_what_was_recorded() -> None:
    now = time.time()
    assert simulate._unrecorded(now - 600, now) == now - 600
    made = result("simulate", "--minutes", "4", "--rate", "60")
    end = datetime.fromisoformat(made["to"])
    last = to_minute(end - timedelta(seconds=1))
    # The last minute may have nothing, and the end may be the beginning of one that has.
    assert simulate._unrecorded(now - 600, now + 120) in {60.0 * last, 60.0 * (last + 1), 60.0 * (to_minute(end) + 1)}
    assert simulate._unrecorded(now - 600, now) <= now


@pytest.mark.timeout(90)
def test_ctrl_c_at_full_speed_keeps_what_was_made_and_says_how_far_it_came(tmp_path: Path) -> None:
    with running(tmp_path, "--minutes", "200000", "--start", "2026-01-05T00:00:00Z", "--json") as (process, out):
        eventually("it is at work", hot_store_has_something, 40)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=40)
    assert process.returncode == 0, errors
    said = json.loads(out.read_text())
    assert said["interactions"] > 0
    assert summary(said)["interactions"]["total"] == said["interactions"]


def hot_store_has_something() -> bool:
    from apps.monitoring.ingest.hotstore import HotStore

    store = HotStore.from_conf()
    return any(store.backlog(shard) for shard in range(store.shards))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--rate", "0"), "--rate is a number above 0"),
        (("--rate", "nan"), "--rate is a number above 0"),
        (("--minutes", "-3"), "--minutes is a number above 0"),
        (("--minutes", "inf"), "--minutes is a number above 0"),
        (("--start", "yesterday"), "ISO 8601"),
        (("--start", "2026-01-05T00:00:00"), "time zone"),
        (("--start", "2999-01-01T00:00:00Z"), "future"),
        (("--live", "--start", START), "--live begins now"),
        (("--backfill", "5"), "--backfill is for --live"),
        (("--incident-after", "5"), "needs an --incident"),
        (("--incident", "cost-spike", "--incident-after", "900"), "after the end of the traffic"),
        (("--incident", "cost-spike", "--incident-after", "-1"), "--incident-after is a number of 0 or more"),
        (("--incident", "cost-spike", "--incident-tenant", "airline", "--tenant", "retail"), "has no traffic"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(arguments: tuple[str, ...], reason: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("simulate", *arguments)
    (said,) = str(refused.value).splitlines()
    assert reason in said


def test_a_refusal_is_one_line_and_no_success() -> None:
    done = run("simulate", "--rate", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["CommandError: --rate is a number above 0, at most 1e+06, not 0"]


@pytest.mark.parametrize("arguments", [("--rate", "many"), ("--incident", "flood"), ("--tenant", "bank")])
def test_what_is_no_value_of_an_option_is_refused_with_the_usage(arguments: tuple[str, ...]) -> None:
    done = run("simulate", *arguments)
    assert done.returncode == 2
    assert arguments[1] in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_server_that_is_away_is_said_in_one_line_before_anything_is_made() -> None:
    for away in ({"REDIS_URL": "redis://127.0.0.1:1/0"}, {"DATABASE_URL": "postgresql://u:p@127.0.0.1:1/none"}):
        done = run("simulate", "--minutes", "1", **away)
        assert done.returncode == 1
        (said,) = done.stderr.splitlines()
        assert next(iter(away)) in said


def test_the_help_names_every_option_and_incident() -> None:
    said = run("simulate", "--help").stdout
    for word in (
        "--minutes",
        "--rate",
        "--incident",
        "--seed",
        "--tenant",
        "--start",
        "--live",
        "--incident-after",
        "--json",
        "--backfill",
    ):
        assert word in said
    for incident in ("slow-provider", "provider-errors", "handoff-storm", "empty-knowledge-base", "cost-spike"):
        assert incident in said
