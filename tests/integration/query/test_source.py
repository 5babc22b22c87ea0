"""Reading snapshots and hot store as one: each thing once, whatever the roll-up does meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from django.db import connection, transaction

from apps.monitoring.core.clock import minute_of, to_datetime
from apps.monitoring.core.resolution import Stored
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.core.summary import summarize
from apps.monitoring.ingest.hotstore import Batch, Held, HotStore, shard_of
from apps.monitoring.ingest.server import server
from apps.monitoring.query import remembered, series, source
from apps.monitoring.query.errors import HotStoreUnavailableError, RangeError, UnknownTenantError
from apps.monitoring.query.summary import summary
from apps.monitoring.query.window import parse
from apps.monitoring.rollup import batches, periods, shards
from tests.integration.ingest.hot import MINUTE, Writer, interaction
from tests.integration.rollup.stored import AFTER, TENANTS, roll_up, send, some
from tests.patience import eventually
from tests.sessions import newcomers, others
from tests.unit.ingest.made import event

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def summarized(tenant: str = GLOBAL, start: int = MINUTE, end: int = MINUTE + 10) -> dict[str, Any]:
    return summarize(source.read(tenant, start, end, HotStore.from_conf()).cells)


def total(tenant: str = GLOBAL) -> int:
    return int(summarized(tenant)["interactions"]["total"])


@pytest.mark.usefixtures("stores")
class TestReading:
    def test_the_answer_is_the_same_wherever_the_minutes_are(self) -> None:
        send(*some(300))
        live = [summarized(tenant) for tenant in (GLOBAL, *TENANTS)]
        store = HotStore.from_conf()
        for shard in range(4):
            store.seal(shard, MINUTE + 1)
        assert [summarized(tenant) for tenant in (GLOBAL, *TENANTS)] == live
        for shard in range(8):
            shards.roll_up(shard, (MINUTE + 2) * 60.0 + 30, store)
            assert [summarized(tenant) for tenant in (GLOBAL, *TENANTS)] == live
        roll_up()
        assert [summarized(tenant) for tenant in (GLOBAL, *TENANTS)] == live

    @pytest.mark.parametrize("within", [nullcontext, transaction.atomic], ids=["alone", "in a transaction"])
    @pytest.mark.parametrize("before", [1, 0], ids=["known series", "new series"])
    def test_a_batch_that_is_committed_between_two_statements_counts_once(
        self, before: int, within: Callable[[], AbstractContextManager[Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remembered._begin_anew()
        now = time.time()
        minute = minute_of(now) - 20
        send(*[interaction(number, "acme", minute - 5) for number in range(before)])
        roll_up(now)
        send(*[interaction(number, "acme", minute) for number in range(7)])
        stored = periods.stored

        def seen() -> int:
            return int(summarized("acme", minute, minute + 1)["interactions"]["total"])

        def meanwhile(start: int, end: int) -> Stored:
            monkeypatch.undo()
            worker = threading.Thread(target=lambda: (roll_up(now), connection.close()))
            worker.start()
            worker.join()
            return stored(start, end)

        monkeypatch.setattr(source.periods, "stored", meanwhile)
        with within():
            assert seen() == 7
        assert [seen() for _ in range(3)] == [7] * 3, "nothing wrong is remembered"

    def test_in_a_transaction_of_somebody_else_no_connection_is_left_open(self) -> None:
        send(interaction())
        before = others()
        for _ in range(2):
            with transaction.atomic():
                assert total() == 1
            eventually("its session has ended", lambda: not newcomers(before))

    def test_a_batch_that_is_committed_and_not_dropped_yet_counts_once(self) -> None:
        send(*[interaction(number) for number in range(7)])
        store, shard = HotStore.from_conf(), shard_of("acme", 8)
        (batch,) = store.seal(shard, MINUTE + 1)
        batches.commit(shard, batch, store.chunks(shard, batch))
        assert (total(), total("acme")) == (7, 7)
        store.drop(shard, batch)
        assert (total(), total("acme")) == (7, 7)

    def test_a_batch_that_is_rolled_up_between_the_two_reads_counts_once(self) -> None:
        send(*[interaction(number) for number in range(7)])
        plain = HotStore.from_conf()

        class Meanwhile(HotStore):
            """Rolls everything up at each step of the reading."""

            def backlogs(self, of: Sequence[int]) -> list[tuple[int, Batch]]:
                found = super().backlogs(of)
                roll_up()
                return found

        class Between(HotStore):
            def read_tenant(self, wanted: Any, tenant: str) -> Any:
                found: list[tuple[Batch, Held]] = list(super().read_tenant(wanted, tenant))
                roll_up()
                return iter(found)

        for kind in (Meanwhile, Between):
            send(*[interaction(number) for number in range(7)])
            store = kind(plain._server, plain._prefix, plain.shards)
            wanted = total()
            assert summarize(source.read("acme", MINUTE, MINUTE + 1, store).cells)["interactions"]["total"] == wanted

    def test_a_tenant_that_has_another_shard_now_is_found_in_both(self) -> None:
        plain = HotStore.from_conf()
        tenant = next(f"t-{n}" for n in range(100) if shard_of(f"t-{n}", 2) != shard_of(f"t-{n}", 8))
        old = HotStore(plain._server, plain._prefix, 2)  # MONITORING_SHARDS was raised, and this writer is an old one
        send(*[interaction(number, tenant, MINUTE + number) for number in range(10)], store=old)
        send(*[interaction(number, tenant, MINUTE + number) for number in range(10)])
        for late in range(3):
            assert (total(tenant), total()) == (20 + late, 20 + late)
            roll_up()
            assert (total(tenant), total()) == (20 + late, 20 + late)
            send(interaction(late, tenant, MINUTE + 2), store=old)

    def test_a_backlog_of_an_hour_is_read_in_a_few_round_trips(self) -> None:
        tenants = [f"t-{number}" for number in range(30)]
        send(*[interaction(number, tenants[number % 30], MINUTE + number % 60) for number in range(1_800)])

        class Counting:
            trips = 0

            def __getattr__(self, name: str) -> Any:
                self.trips += 1
                return getattr(plain._server, name)

        plain, counting = HotStore.from_conf(), Counting()
        store = HotStore(cast("Any", counting), plain._prefix, plain.shards)
        found = source.read(GLOBAL, MINUTE, MINUTE + 60, store)
        assert summarize(found.cells)["interactions"]["total"] == 1_800
        assert counting.trips <= 4
        counting.trips = 0
        assert not source.read("nobody", MINUTE, MINUTE + 60, store).known
        assert counting.trips <= 4

    @pytest.mark.timeout(120)
    def test_while_roll_ups_run_the_total_never_goes_down_and_never_beyond_what_was_sent(self) -> None:
        sent, seen, errors, stop = [0], [0], [], threading.Event()

        def read() -> None:
            try:
                while not stop.is_set():
                    low = sent[0]
                    found = total("acme")
                    assert low <= found <= sent[0] + 20, (low, found, sent[0])
                    seen.append(found)
            except BaseException as error:
                errors.append(error)
            finally:
                connection.close()

        def tick() -> None:
            try:
                while not stop.is_set():
                    shards.roll_up(shard_of("acme", 8), AFTER, HotStore.from_conf())
            except BaseException as error:
                errors.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=read), threading.Thread(target=read), threading.Thread(target=tick)]
        for thread in threads:
            thread.start()
        writer = Writer(HotStore.from_conf())
        # However busy the machine is, the readers have looked often enough before the writer is done.
        while (sent[0] < 2_400 or len(seen) < 40) and not errors:
            assert writer.send(*[interaction(number) for number in range(20)])
            sent[0] += 20
        stop.set()
        for thread in threads:
            thread.join()
        assert errors == []
        assert total("acme") == sent[0]

    def test_a_range_includes_its_start_and_not_its_end(self) -> None:
        send(*[interaction(0, minute=MINUTE + offset) for offset in range(4)])
        for _ in range(2):
            assert summarized("acme", MINUTE + 1, MINUTE + 3)["interactions"]["total"] == 2
            roll_up()

    def test_a_tenant_sees_its_own_alone(self) -> None:
        send(interaction(0, "acme"), interaction(0, "bolt"), interaction(1, "bolt"))
        for _ in range(2):
            assert [total(tenant) for tenant in ("acme", "bolt", GLOBAL)] == [1, 2, 3]
            roll_up()

    def test_the_summary_names_its_range_and_how_far_it_is_complete(self) -> None:
        send(interaction(0, "acme"))
        start, end = to_datetime(MINUTE), to_datetime(MINUTE + 5)
        found = summary("acme", start, end)
        assert (found["tenant"], found["from"], found["to"], found["complete_until"]) == (
            "acme", "2026-01-05T00:00:00Z", "2026-01-05T00:05:00Z", None,
        )  # fmt: skip
        roll_up(AFTER)
        assert summary("acme", start, end)["complete_until"] == "2026-01-05T00:29:00Z"

    def test_a_tenant_that_nobody_knows_is_an_error_and_an_empty_range_is_not(self) -> None:
        send(interaction(0, "acme"))
        roll_up()
        with pytest.raises(UnknownTenantError, match="nobody"):
            summary("nobody", to_datetime(MINUTE), to_datetime(MINUTE + 1))
        assert summary("acme", to_datetime(MINUTE + 100), to_datetime(MINUTE + 101))["interactions"]["total"] == 0
        assert summary(None, to_datetime(MINUTE + 100), to_datetime(MINUTE + 101))["response_time"]["p95_ms"] is None

    def test_a_hot_store_that_is_away_is_an_error_and_not_a_smaller_number(self) -> None:
        away = HotStore(server("redis://127.0.0.1:1/0"), "agentmon", 8)
        with pytest.raises(HotStoreUnavailableError):
            source.read("acme", MINUTE, MINUTE + 1, away)

    def test_two_labels_come_back_in_their_order(self) -> None:
        send(event("llm_api_call", tenant="acme"))
        live = source.read("acme", MINUTE, MINUTE + 1, HotStore.from_conf()).cells
        roll_up()
        stored = source.read("acme", MINUTE, MINUTE + 1, HotStore.from_conf()).cells
        assert stored == live
        assert {key.values for key in stored if key.metric == "llm_call_tokens"} >= {("input", "openai"), ("output", "openai")}

    def test_the_metrics_of_the_users_own_come_back_with_their_labels(self) -> None:
        send(event("user_metric", tenant="acme"), event("user_metric", tenant="acme", labels={}))
        live = source.read("acme", MINUTE, MINUTE + 1, HotStore.from_conf()).cells
        roll_up()
        assert source.read("acme", MINUTE, MINUTE + 1, HotStore.from_conf()).cells == live
        assert len(live) == 2

    def test_the_minutes_of_a_chart_are_those_with_interactions(self) -> None:
        send(
            *[interaction(0, "acme", MINUTE, processing_time_ms=float(ms)) for ms in range(100, 2_100, 100)],
            interaction(0, "acme", MINUTE + 3, agent_response=None),
        )
        roll_up()
        points = series.per_minute("acme", to_datetime(MINUTE), to_datetime(MINUTE + 5))
        assert [(point["minute"], point["interactions"]) for point in points] == [
            ("2026-01-05T00:00:00Z", 20),
            ("2026-01-05T00:03:00Z", 1),
        ]
        assert points[0]["p95_ms"] == pytest.approx(1_900, rel=0.01)
        assert points[1]["p95_ms"] is None
        assert series.per_minute(None, to_datetime(MINUTE), to_datetime(MINUTE + 5)) == points


@pytest.mark.parametrize(
    ("window", "frm", "to", "minutes"),
    [
        (None, None, None, 60),
        ("15m", None, None, 15),
        ("1h", None, None, 60),
        ("7d", None, None, 7 * 1_440),
        ("2 w", None, None, 14 * 1_440),
        ("90s", None, None, 1.5),
        (None, "2026-01-05T11:00:00Z", None, 60),
        (None, "2026-01-05T11:00:00 02:00", "2026-01-05T10:00:00Z", 60),
    ],
)
def test_a_range_as_users_write_it(window: str | None, frm: str | None, to: str | None, minutes: float) -> None:
    start, end = parse(window, frm, to, NOW)
    assert (end - start).total_seconds() == minutes * 60


@pytest.mark.parametrize(
    ("window", "frm", "to"),
    [
        ("0m", None, None), ("-5m", None, None), ("5", None, None), ("m", None, None), ("5y", None, None), ("999999d", None, None),
        ("1h", "2026-01-05T11:00:00Z", None), (None, None, "2026-01-05T11:00:00Z"), (None, "2026-01-05T11:00:00", None),
        (None, "yesterday", None), (None, "2026-01-05T13:00:00Z", None), (None, "2026-01-05T11:00:00Z", "2026-01-05T11:00:00Z"),
        (None, "0001-01-01T00:00:00+14:00", None), (None, "1990-01-01T00:00:00Z", None),
    ],
)  # fmt: skip
def test_a_range_that_cannot_be_read_is_refused(window: str | None, frm: str | None, to: str | None) -> None:
    with pytest.raises(RangeError):
        parse(window, frm, to, NOW)
