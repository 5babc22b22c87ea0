"""`POST /api/v1/interactions`: what is taken, for whom, and what is refused in which words."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.monitoring import logs
from apps.monitoring.api import content as body
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest import recorder
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.recorder import flush_now
from apps.monitoring.interactions import batch
from tests.integration.api.conftest import bearer
from tests.integration.api.posting import PATH, lines, post, recorded, row
from tests.integration.api.problems import problem
from tests.integration.api.rows import staff
from tests.integration.ingest.hot import everything, fields
from tests.patience import eventually

pytestmark = pytest.mark.usefixtures("stores")

NDJSON = "application/x-ndjson"


def taken(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 202, answer.content
    told: dict[str, Any] = answer.json()
    return told


class TestTheBody:
    def test_with_the_answer_an_interaction_is_in_the_summary(self, agent: Client) -> None:
        told = taken(post(agent, row(model="gpt-4o", prompt_tokens=1_000, completion_tokens=100, intent="refund")))
        assert told == {"accepted": 1, "rejected": [], "rejected_count": 0, "repeated": False}
        read = bearer("airline").get("/api/v1/metrics/summary").json()
        assert read["interactions"] == {"total": 1, "answered": 1}
        assert read["cost"]["total_usd"] > 0, "what has no cost is priced"
        assert bearer().get("/api/v1/metrics/summary").json()["interactions"]["total"] == 1

    @pytest.mark.parametrize("kind", [NDJSON, "application/jsonl", "application/x-ndjson; charset=utf-8"])
    def test_lines_are_taken_too(self, agent: Client, kind: str) -> None:
        content = b"\n" + lines(row(0), row(1)) + b"\r\n  \n" + json.dumps(row(2)).encode()
        assert taken(post(agent, content, kind=kind))["accepted"] == 3
        assert recorded() == 3

    def test_an_array_is_as_many_as_it_has(self, agent: Client) -> None:
        assert taken(post(agent, [row(0), row(1)]))["accepted"] == 2

    def test_what_is_not_known_of_a_line_is_passed_over_and_what_is_missing_is_missing(self, agent: Client) -> None:
        taken(post(agent, [{"turn": 7, "tool_calls": [1], "run_id": "x"}, {"completed": None}, {"completed": False}]))
        read = bearer("airline").get("/api/v1/metrics/summary").json()
        assert read["interactions"] == {"total": 3, "answered": 2}
        assert read["response_time"]["sample_count"] == 0
        assert read["cost"] == {**read["cost"], "total_usd": None, "unpriced_interactions": 3}
        assert read["errors"]["by_operation"] == {"no_answer": 1}

    def test_a_line_counts_in_the_minute_that_it_says(self, agent: Client) -> None:
        when = datetime.now(UTC) - timedelta(days=3)
        offset = when.astimezone().isoformat()
        taken(post(agent, [row(timestamp=offset), row(timestamp=when.strftime("%Y-%m-%dT%H:%M:%S.123456789Z"))]))
        minute = int(when.timestamp() // 60)
        store = HotStore.from_conf()
        assert {found.minute for shard in range(store.shards) for found in store.backlog(shard)} == {minute}

    @pytest.mark.parametrize(
        ("broken", "reason"),
        [
            (b"{", "no JSON"), (b"[1]", "no JSON object"), (b'"x"', "no JSON object"), (b'{"a": NaN}', "no JSON"),
            (b'{"a": "\\ud800"}', "no JSON"), (b"\xff", "no JSON"), (b'{"a":' * 60 + b"1" + b"}" * 60, "nested deeper than 50"),
            (b'{"errors": "timeout"}', "errors is no list"), (b'{"llm_calls": {}, "errors": 3}', "errors is no list"),
            (b'{"processing_time_ms": "fast"}', "processing_time_ms is no number"),
            (b'{"tenant": 5}', "no tenant"), (b'{"tenant": " "}', "no tenant"),
            (b'{"timestamp": 1767571200}', "no ISO 8601 time"), (b'{"timestamp": ""}', "no ISO 8601 time"),
            (b'{"timestamp": "2026-01-05T00:00:00"}', "has no time zone"), (b'{"timestamp": "soon"}', "no ISO 8601 time"),
            (b'{"timestamp": "2005-01-05T00:00:00Z"}', "over ten years back"),
            (b'{"timestamp": "2999-01-05T00:00:00Z"}', "over an hour ahead"),
            (b'{"llm_calls": [' + b"{}," * 1_000 + b"{}]}", "llm_calls has more than 1,000"),
            (b'{"errors": [' + b"1," * 1_000 + b"1]}", "errors has more than 1,000"),
            (b'{"timestamp": "2026-01-05T00:00:00\\u0000Z"}', "no ISO 8601 time"),
            (b'{"handoff_triggered": "false"}', "handoff_triggered is neither true nor false"),
            (b'{"completed": []}', "completed is neither true nor false"),
        ],
    )  # fmt: skip
    def test_a_broken_line_is_told_with_its_number_and_the_others_count(
        self, agent: Client, broken: bytes, reason: str
    ) -> None:
        told = taken(post(agent, lines(row(0)) + b"\n" + broken + b"\n" + lines(row(1)), kind=NDJSON))
        assert (told["accepted"], told["rejected_count"], [line["line"] for line in told["rejected"]]) == (2, 1, [3])
        assert reason in told["rejected"][0]["detail"]
        assert recorded() == 2
        alone = post(agent, broken, kind=NDJSON)
        assert "No line" in problem(alone, 400)
        assert reason in alone.json()["rejected"][0]["detail"]

    def test_what_is_older_than_what_is_kept_is_told_and_not_lost_later(self, agent: Client, settings: Any) -> None:
        settings.MONITORING_RETENTION_DAY_DAYS = 30
        old = (datetime.now(UTC) - timedelta(days=40)).isoformat()
        assert "MONITORING_RETENTION_DAY_DAYS" in taken(post(agent, [row(), row(timestamp=old)]))["rejected"][0]["detail"]

    @pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dt%H:%M:%Sz", "%Y-%m-%d %H:%M:%S+00:00"])
    def test_times_of_rfc_3339_are_read(self, agent: Client, form: str) -> None:
        assert taken(post(agent, row(timestamp=datetime.now(UTC).strftime(form))))["accepted"] == 1

    def test_an_hour_ahead_counts_and_more_does_not(self, agent: Client) -> None:
        near, far = ((datetime.now(UTC) + timedelta(minutes=minutes)).isoformat() for minutes in (59, 61))
        told = taken(post(agent, [row(timestamp=near), row(timestamp=far)]))
        assert (told["accepted"], told["rejected"][0]["line"]) == (1, 2)

    def test_of_many_broken_lines_a_hundred_are_listed_and_all_are_counted(self, agent: Client) -> None:
        told = taken(post(agent, [5] * 150 + [row()]))
        assert (len(told["rejected"]), told["rejected_count"], told["accepted"]) == (100, 150, 1)
        answer = post(agent, [5] * 150)
        problem(answer, 400)
        assert (len(answer.json()["rejected"]), answer.json()["rejected_count"]) == (100, 150)
        flush_now()
        assert fields(everything(HotStore.from_conf()), GLOBAL)["me\x1flines_rejected:n"] == 300

    @pytest.mark.parametrize(
        ("content", "kind", "said"),
        [
            (b"", NDJSON, "empty"), (b"", "application/json", "empty"), (b"\n \n", NDJSON, "no line"), (b"[]", "application/json", "no line"),
            (b"5", "application/json", "neither"), (b"{", "application/json", "no JSON"), (b"\xff", "application/json", "no JSON"),
        ],
    )  # fmt: skip
    def test_a_body_that_is_no_batch_is_told(self, agent: Client, content: bytes, kind: str, said: str) -> None:
        assert said in problem(post(agent, content, kind=kind), 400)

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
    def test_another_kind_is_refused(self, agent: Client, kind: str) -> None:
        problem(post(agent, lines(row()), kind=kind), 415)

    def test_a_parameter_that_there_is_not_is_refused(self, agent: Client) -> None:
        answer = agent.generic("POST", PATH + "?tenant=retail", json.dumps(row()), content_type="application/json")
        problem(answer, 400)
        assert "tenant" in answer.json()["errors"]


class TestBounds:
    def test_too_many_bytes(self, agent: Client) -> None:
        large = json.dumps(row(customer_message="x" * body.MOST)).encode()
        assert "8,388,608 bytes" in problem(post(agent, large), 413)
        assert taken(post(agent, json.dumps(row(customer_message="x" * (body.MOST - 1_000))).encode()))["accepted"] == 1

    def test_too_many_lines(self, agent: Client) -> None:
        assert "10,000 lines" in problem(post(agent, b"{}\n" * (batch.MOST_LINES + 1), kind=NDJSON), 413)
        assert "10,000 lines" in problem(post(agent, [{}] * (batch.MOST_LINES + 1)), 413)
        assert recorded() == 0
        assert taken(post(agent, b"{}\n" * batch.MOST_LINES, kind=NDJSON))["accepted"] == batch.MOST_LINES
        assert recorded() == batch.MOST_LINES

    def test_too_many_calls_and_searches(self, agent: Client) -> None:
        heavy = {"llm_calls": [{}] * 1_000, "knowledge_searches": [{}] * 1_000}
        assert "50,000 interactions" in problem(post(agent, [heavy] * 25), 413)
        assert taken(post(agent, [heavy] * 2))["accepted"] == 2

    @pytest.mark.parametrize("kind", ["application/json", NDJSON])
    def test_too_many_objects_and_lists(self, agent: Client, kind: str) -> None:
        assert "500,000 objects" in problem(post(agent, b'{"a": [' + b"[]," * 500_000 + b"[]]}", kind=kind), 413)
        assert taken(post(agent, b'{"a": [' + b"[]," * 300_000 + b"[]]}", kind=kind))["accepted"] == 1

    def test_gzip_is_unpacked(self, agent: Client) -> None:
        packed = gzip.compress(lines(row(0))) + gzip.compress(lines(row(1)))
        assert taken(post(agent, packed, kind=NDJSON, **{"content-encoding": "GZIP"}))["accepted"] == 2

    def test_a_bomb_is_not_unpacked_to_its_end(self, agent: Client) -> None:
        layer = gzip.compress(b" " * 1_000_000, 9)
        began = time.monotonic()
        assert "8,388,608 bytes" in problem(post(agent, layer * 5_000, kind=NDJSON, **{"content-encoding": "gzip"}), 413)
        assert time.monotonic() - began < 5

    @pytest.mark.parametrize(
        "content",
        [b"no gzip", gzip.compress(lines(row()))[:-9], gzip.compress(lines(row())) + b"more"],
        ids=["none at all", "one that was cut off", "one with more behind it"],
    )
    def test_what_is_no_gzip_is_told(self, agent: Client, content: bytes) -> None:
        assert "no gzip" in problem(post(agent, content, kind=NDJSON, **{"content-encoding": "gzip"}), 400)
        assert recorded() == 0

    def test_another_coding_is_refused(self, agent: Client) -> None:
        assert "gzip" in problem(post(agent, row(), **{"content-encoding": "br"}), 415)


class TestWalls:
    def test_another_tenants_line_is_rejected_in_the_same_words_whether_it_exists_or_not(self, agent: Client) -> None:
        taken(post(bearer(can_record=True), row(tenant="retail")))
        told = taken(post(agent, [row(tenant="retail"), row(tenant="nobody"), row(tenant="airline"), row()]))
        assert told["accepted"] == 2
        assert [line["detail"] for line in told["rejected"]] == ["The token is bound to another tenant."] * 2
        assert (recorded("airline"), recorded("retail"), recorded("nobody")) == (2, 1, 0)

    @pytest.mark.parametrize("spelled", ["retail\x00", " retail ", "retail"])
    def test_no_spelling_of_a_name_leads_elsewhere(self, agent: Client, spelled: str) -> None:
        problem(post(agent, row(tenant=spelled)), 400)
        assert recorded("retail") == 0

    def test_a_token_whose_tenant_the_stores_cannot_hold_records_for_nobody_else(self) -> None:
        problem(post(bearer(" airline", can_record=True), row()), 400)
        assert recorded("airline") == 0

    def test_a_token_of_all_names_the_tenant_of_each_line(self) -> None:
        told = taken(post(bearer(can_record=True), [row(tenant="airline"), row(), row(tenant="retail")]))
        assert (told["accepted"], told["rejected"]) == (
            2, [{"line": 2, "detail": "no tenant: the token is of all, so each line names its own"}],
        )  # fmt: skip

    def test_nobody_else_may_record(self) -> None:
        problem(post(Client(), row()), 401)
        problem(post(staff("change_alertrule"), row()), 401)
        for client in (bearer(), bearer("airline"), bearer("airline", can_write=True)):
            assert "does not record" in problem(post(client, row()), 403)

    def test_a_token_that_records_opens_nothing_else(self, agent: Client) -> None:
        for path in ("metrics/summary", "metrics/series", "alerts", "rules", "rules/1/explain", "silences", "channels"):
            assert problem(agent.get(f"/api/v1/{path}"), 403) == "The token only records."
        problem(post(agent, row()).client.post("/api/v1/rules/backtest", {}, content_type="application/json"), 403)

    def test_other_methods_are_not_there(self, agent: Client) -> None:
        problem(agent.get(PATH), 405)


def test_every_interaction_is_logged_once_with_its_time_and_without_what_identifies_a_person(
    agent: Client, tmp_path: Path, settings: Any
) -> None:
    settings.MONITORING_LOG_PATH = str(tmp_path / "log")
    when = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    rows = [
        row(n, customer_message="I am mia@example.com", timestamp=when, model="gpt-4o", prompt_tokens=9, completion_tokens=1,
            llm_calls=[{"duration_ms": 5}], knowledge_searches=[{"query": "x", "result_count": 1}])
        for n in range(450)
    ]  # fmt: skip
    for _ in range(3):
        taken(post(agent, rows, "a-key"))
    taken(post(agent, [5, row(900)], "another"))
    logs.drain(10)
    told = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    logs.configure(path="")
    kinds = [line["event_type"] for line in told]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "agent_interaction": 451, "llm_api_call": 450, "knowledge_search": 450,
    }  # fmt: skip
    first = next(line for line in told if line["event_type"] == "agent_interaction")
    assert (first["tenant_id"], first["timestamp"][:19]) == ("airline", when[:19])
    assert "mia" not in str(first)
    assert first["estimated_cost"] > 0


def test_no_line_of_a_batch_is_lost_to_the_log_because_it_is_large(agent: Client, settings: Any, tmp_path: Path) -> None:
    settings.MONITORING_LOG_PATH, settings.MONITORING_LOG_QUEUE_SIZE = str(tmp_path / "log"), 2_000
    logs.configure_from_settings()
    before = logs.counters().get("log_lines_dropped", 0)
    taken(post(agent, [row(number, llm_calls=[{"duration_ms": 1.0}] * 50) for number in range(200)]))
    assert logs.drain(30)
    assert logs.counters().get("log_lines_dropped", 0) == before
    assert len((tmp_path / "log").read_text().splitlines()) == 200 * 51


def test_what_befalls_the_log_is_told_by_a_process_that_only_takes_batches(
    agent: Client, settings: Any, tmp_path: Path
) -> None:
    settings.MONITORING_LOG_PATH, settings.MONITORING_LOG_QUEUE_SIZE = str(tmp_path / "log"), 1
    recorder._begin_anew()
    logs.configure_from_settings()
    taken(post(agent, [row(number) for number in range(200)]))

    def told() -> int:
        return fields(everything(HotStore.from_conf()), GLOBAL)["me\x1flog_lines_dropped:n"]

    eventually("it is told", told)
