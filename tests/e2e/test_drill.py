"""One alert in bad weather: while it fires and ends, its receiver, the broker with the hot store, the database and the notifier go."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from tests.e2e.parts import Parts
from tests.patience import eventually
from tests.servers.throwaway import Servers
from tests.sinks.receiver import Receiver

SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes or more").decode()
GRACE = timedelta(minutes=4)
"""Of the processes: the last minutes are theirs to judge only when the test has rolled them up with a shorter one."""
PREPARE = """
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from apps.monitoring.models import AlertRule, Channel
AlertRule.objects.all().delete()
Channel.objects.exclude(kind="webhook").delete()
AlertRule.objects.create(
    name="failing", metric="error_rate", statistic="ratio", operator="gt", threshold=0.1, window_minutes=1, min_samples=5,
    no_data="keep",
)
# As ops may do in the admin: nobody waits for beat.
often = IntervalSchedule.objects.create(every=2, period=IntervalSchedule.SECONDS)
PeriodicTask.objects.filter(queue__in=["rollup", "alerts", "notifications"]).update(interval=often)
"""


@pytest.fixture
def own() -> Iterator[Servers]:
    """Servers of this test's own, which keep their ports when they start again."""
    servers = Servers.start()
    servers.postgres.port = urlsplit(servers.postgres.url).port or 0
    yield servers
    servers.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(SECRET) as opened:
        yield opened


@pytest.fixture
def product(own: Servers, receiver: Receiver, tmp_path: Path) -> Iterator[Parts]:
    environment = {
        **os.environ,
        **own.environment(),
        "CELERY_BROKER_URL": own.valkey.url.rpartition("/")[0] + "/1",
        "MONITORING_GRACE_SECONDS": str(GRACE.total_seconds()),
        "MONITORING_NOTIFY_MAX_AGE_SECONDS": "86400",
        "MONITORING_WEBHOOK_URL": receiver.url,
        "MONITORING_WEBHOOK_SECRET": SECRET,
        "MONITORING_ALLOWED_WEBHOOK_HOSTS": f"127.0.0.1:{receiver.port}",
        "PYTHONUNBUFFERED": "1",
    }
    with Parts(environment, tmp_path) as parts:
        parts.manage("migrate", "-v", "0")
        parts.manage("setup_monitoring")
        parts.manage("shell", "-c", PREPARE)
        yield parts


def test_of_an_alert_in_bad_weather_one_beginning_arrives_and_then_its_end(
    product: Parts, own: Servers, receiver: Receiver, tmp_path: Path
) -> None:
    store = redis.Redis.from_url(own.valkey.url)
    last = (datetime.now(UTC) - GRACE).replace(second=0, microsecond=0) - timedelta(minutes=1)
    replay(product, tmp_path / "bad.jsonl", last, completed=False)
    receiver.down()
    product.start("worker", "notifier", "beat")
    eventually("it was tried in vain", lambda: waits(own, tried=True), 60, product.told)

    store.flushall()
    os.killpg(product.running["notifier"].pid, signal.SIGKILL)  # with it goes what it had been asked to do later
    product.running["notifier"].wait()
    own.postgres.stop()
    product.start("notifier")
    own.postgres.start()
    assert waits(own)
    receiver.up()
    eventually("its beginning arrives", lambda: told(receiver) == ["firing"], 90, product.told)

    store.flushall()
    replay(product, tmp_path / "good.jsonl", last + timedelta(minutes=2), completed=True)
    short = Parts({**product.environment, "MONITORING_GRACE_SECONDS": "5"}, tmp_path)
    short.manage("rollup")
    eventually("its end arrives", lambda: told(receiver) == ["firing", "resolved"], 60, product.told)
    eventually("nothing is left", lambda: not waits(own), 20, product.told)
    assert rows(own, "SELECT kind, status FROM monitoring_notification ORDER BY created_at") == [
        ("firing", "delivered"),
        ("resolved", "delivered"),
    ]


def replay(product: Parts, file: Path, minute: datetime, *, completed: bool) -> None:
    """Ten interactions of one minute."""
    lines = [
        {"conversation_id": f"c-{turn}", "tenant": "acme", "offset_ms": turn * 1_000, "completed": completed,
         "customer_message": "Where is my order?"} | ({"agent_response": "On its way."} if completed else {})
        for turn in range(10)
    ]  # fmt: skip
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    product.manage("replay", str(file), "--start", minute.isoformat(), "--speed", "max")


def waits(own: Servers, *, tried: bool = False) -> bool:
    """Whether a notification is pending; ``tried``: after an attempt that is over."""
    over = "AND attempts > 0 AND leased_until IS NULL" if tried else ""
    return bool(rows(own, f"SELECT 1 FROM monitoring_notification WHERE status = 'pending' {over}"))


def rows(own: Servers, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(own.postgres.url) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def told(receiver: Receiver) -> list[str]:
    """What arrived, in order; of what arrived twice, which is allowed under one id, the first."""
    kinds = {arrival.headers["webhook-id"]: str(arrival.body["kind"]) for arrival in receiver.arrivals()}
    assert max(Counter(kinds.values()).values(), default=1) == 1, f"two ids of one kind: {kinds}"
    return list(kinds.values())
