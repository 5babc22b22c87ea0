"""A replay beside everything else: live minutes are judged, nothing piles up, nothing is lost without a word."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.core.clock import minute_of, to_datetime
from apps.monitoring.ingest.hotstore import HotStore, shard_of
from apps.monitoring.ingest.server import server as hot_server
from apps.monitoring.models import AlertTransition, EvaluationProgress, Notification, ShardProgress
from apps.monitoring.replay import passage
from apps.monitoring.rollup import locks, shards
from config.embedded.valkey import Valkey
from tests.e2e.parts import ROOT, environment_of_tests, manage
from tests.integration.alerts.judged import channel, rule
from tests.integration.ingest.hot import interaction, interactions
from tests.integration.rollup.stored import clear, rows, send, value
from tests.patience import eventually

pytestmark = pytest.mark.usefixtures("stores")

DAY = 86_400


def recording(path: Path, offsets: Iterable[float], tenants: int = 3) -> Path:
    """One interaction at each of some seconds."""
    lines = [
        {
            "tenant": f"tenant-{number % tenants}",
            "conversation_id": f"c-{number % 900}",
            "offset_ms": offset * 1_000,
            "processing_time_ms": 9_000 + number % 50,
            "agent_response": "yes",
            "model": "m",
            "prompt_tokens": 10 + number % 7,
            "completion_tokens": 3,
            "estimated_cost_usd": 0.01,
        }
        for number, offset in enumerate(offsets)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def at(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def started(file: Path, start: float, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "replay", str(file), "--start", at(start), "--json"],
        cwd=ROOT,
        env={**environment_of_tests(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(running: subprocess.Popen[str]) -> dict[str, Any]:
    out, said = running.communicate(timeout=60)
    assert running.returncode == 0, said
    found: dict[str, Any] = json.loads(out)
    return found


def played(file: Path, start: float) -> None:
    call_command("replay", str(file), start=at(start), speed="max", stdout=io.StringIO())


def judged(until: int) -> None:
    """The installation has been at work: every minute before is complete and judged."""
    for shard in range(8):
        ShardProgress.objects.create(shard=shard, complete_until=to_datetime(until), ticked_at=timezone.now())
    EvaluationProgress.objects.create(next_minute=to_datetime(until), ran_at=timezone.now())


def test_while_last_month_is_replayed_an_incident_of_now_is_told_and_no_minute_of_then_is_judged(tmp_path: Path) -> None:
    now = time.time()
    live = minute_of(now) - 2
    judged(live)
    rule(threshold=5_000.0)
    channel()
    file = recording(tmp_path / "month.jsonl", (number % 3_000 for number in range(40_000)))
    running = started(file, now - 30 * DAY)
    store = HotStore.from_conf()
    eventually("lines arrive", lambda: any(store.backlog(shard) for shard in range(8)), 30)
    send(interaction(1, "acme", live, processing_time_ms=9_999.0))
    assert not shards.roll_up(shard_of("acme", 8), now, store).busy
    assert not evaluate(now).busy
    assert running.poll() is None, "the replay was over too early to say anything"
    assert not any(shards.roll_up(shard, now, store).busy for shard in range(8))
    assert evaluate(now).minutes >= 1
    assert Notification.objects.filter(kind="firing").count() == 1
    assert ended(running)["interactions"] == 40_000
    for shard in range(8):
        while shards.roll_up(shard, now, store).left:
            pass
    evaluate(now)
    assert {line.tenant for line in AlertTransition.objects.all()} == {"acme"}
    assert sum(value("interactions", f"tenant-{number}") for number in range(3)) == 40_000


def test_a_recording_that_reaches_into_minutes_that_are_not_judged_keeps_them_from_being_judged_in_part(tmp_path: Path) -> None:
    live = minute_of(time.time()) - 30
    judged(live)
    rule("many", metric="interactions", statistic="count", threshold=1.0)
    file = recording(tmp_path / "now.jsonl", (60 + number % 540 for number in range(12_000)), tenants=1)
    running = started(file, live * 60.0)
    store, shard = HotStore.from_conf(), shard_of("tenant-0", 8)
    eventually("lines arrive", lambda: store.backlog(shard), 30)
    assert shards.roll_up(shard, time.time(), store).busy
    assert evaluate(time.time()).busy
    assert running.poll() is None, "the replay was over too early to say anything"
    ended(running)
    shards.roll_up_all(time.time(), store)
    evaluate(time.time())
    (fired,) = AlertTransition.objects.filter(tenant="tenant-0", state="firing")
    first = [row["offset_ms"] for row in map(json.loads, file.read_text().splitlines()) if row["offset_ms"] + 9_050 < 120_000]
    assert fired.minute == to_datetime(live + 1)
    assert fired.samples == pytest.approx(len(first), abs=50)


def test_a_replay_that_loses_its_hold_ends_with_one_line_and_says_how_far_it_came(tmp_path: Path) -> None:
    now = minute_of(time.time())
    file = recording(tmp_path / "now.jsonl", (number % 540 for number in range(40_000)), tenants=1)
    running = started(file, (now - 30) * 60.0)
    eventually("it holds, and plays", lambda: HotStore.from_conf().backlog(shard_of("tenant-0", 8)), 30)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            "WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND classid = %s",
            [locks._HOLD],
        )
        assert cursor.fetchall() == [(True,)]
    _, said = running.communicate(timeout=60)
    assert running.returncode == 1
    (line,) = said.splitlines()
    told = re.search(r"is gone: stopped after (\d+) interactions", line)
    assert told is not None, line
    assert interactions(HotStore.from_conf()) == int(told[1]) < 40_000


def test_nothing_piles_up_in_the_hot_store_and_the_snapshots_are_the_same(
    tmp_path: Path, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = time.time() - 20 * DAY
    file = recording(tmp_path / "talk.jsonl", (number * 7 % 3_000 for number in range(1_200)))
    played(file, start)
    store = HotStore.from_conf()
    assert interactions(store) == 1_200
    shards.roll_up_all(time.time(), store)
    wanted = rows()
    for progress in (None, minute_of(time.time())):
        clear(valkey)
        if progress is not None:
            judged(progress)
        monkeypatch.setattr(passage, "_UNCONFIRMED", 50)
        monkeypatch.setattr(passage, "_NOT_ROLLED_UP", 250)
        played(file, start)
        assert 0 < interactions(store) <= 250
        assert ShardProgress.objects.exists() is (progress is not None)  # what is held stays open
        shards.roll_up_all(time.time(), store)
        assert rows() == wanted


def test_a_replay_waits_for_a_hot_store_that_goes_away_and_loses_nothing(tmp_path: Path) -> None:
    start = time.time() - 20 * DAY
    file = recording(tmp_path / "talk.jsonl", (number * 5 for number in range(12_000)))
    server = Valkey(tmp_path / "valkey", options=("--appendfsync", "always"))
    server.start()
    try:
        bound = {"MONITORING_MAX_PENDING_BYTES": "150000"}
        running = started(file, start, REDIS_URL=server.url, **bound)
        store = HotStore(hot_server(server.url), "agentmon", 8)
        eventually("lines arrive", lambda: any(store.backlog(shard) for shard in range(8)), 30)
        server.kill()
        time.sleep(1.5)  # not a wait for anything: as long as it is away
        assert running.poll() is None
        server.start()
        told = ended(running)
        assert (told["interactions"], told["lost"]) == (12_000, {})
        assert interactions(HotStore(hot_server(server.url), "agentmon", 8)) == 12_000
    finally:
        server.stop()


def test_what_the_hot_store_refused_for_good_is_told_and_the_exit_code_says_so(tmp_path: Path, valkey: redis.Redis) -> None:
    file = recording(tmp_path / "talk.jsonl", range(10), tenants=1)
    valkey.set(f"agentmon:{{{shard_of('tenant-0', 8)}}}:open", "not a hash")
    done = manage(environment_of_tests(), "replay", str(file), "--start", at(time.time() - DAY), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["lost"] == {"flushes_refused": 1}


def test_a_person_sees_how_far_it_is_and_the_rate(tmp_path: Path) -> None:
    file = recording(tmp_path / "talk.jsonl", range(4_000))
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (40, 120))
    running = subprocess.Popen(
        [sys.executable, "manage.py", "replay", str(file), "--start", at(time.time() - DAY)],
        cwd=ROOT,
        env=environment_of_tests(),
        stdout=end,
        stderr=end,
    )
    os.close(end)
    shown = "".join(_shown(terminal))
    assert running.wait(20) == 0, shown
    assert len(set(re.findall(r"replay: +(\d+)%\|", shown))) > 1, shown
    assert "4000/4000" in shown
    assert re.search(r"[\d.]+k? interactions/s", shown), shown
    assert re.search(r"interactions per second +\d+", shown), shown


def _shown(terminal: int) -> Iterator[str]:
    """Until nobody writes to it any more, which Linux says by an error."""
    with suppress(OSError):
        while piece := os.read(terminal, 65_536):
            yield piece.decode(errors="replace")
    os.close(terminal)
