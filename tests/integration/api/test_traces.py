"""`POST /v1/traces`: what is taken, for whom, and what is refused in which words."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.monitoring import logs
from apps.monitoring.api import content as body
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.recorder import flush_now
from apps.monitoring.spans import batch, protobuf_body
from tests.integration.api.conftest import bearer
from tests.integration.api.exporting import KINDS, PATH, export, failure, rejected, send, turn
from tests.integration.api.posting import recorded
from tests.integration.api.rows import staff
from tests.integration.ingest.hot import everything, fields
from tests.unit.spans.exported import PROTOBUF, Sent, as_json, protobuf, sent

pytestmark = pytest.mark.usefixtures("stores")

NOTHING = (0, "")


def summary(tenant: str = "airline") -> Any:
    return bearer(tenant).get("/api/v1/metrics/summary").json()


@pytest.mark.parametrize("kind", KINDS)
class TestBothEncodings:
    def test_with_the_answer_the_spans_are_in_the_summary(self, agent: Client, kind: str) -> None:
        end = round(time.time()) - 1
        call = {
            "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 1_000,
            "gen_ai.usage.output_tokens": 100, "gen_ai.response.time_to_first_chunk": 0.5,
        }  # fmt: skip
        search = {"gen_ai.retrieval.documents": [{"id": "a", "score": 0.5}]}
        agents = {
            **call,
            "gen_ai.conversation.id": "c-1",
            "agent_monitor.intent": "refund",
            "agent_monitor.confidence_score": 0.5,
        }
        spans = [
            sent("chat", end, 1.5, attributes=call), sent("chat", end, 1.5, attributes={**call, "error.type": "timeout"}),
            sent("retrieval", end, attributes=search), sent("invoke_agent", end, 2.0, attributes=agents),
            sent(None, end, attributes={"http.request.method": "POST"}), sent("execute_tool", end, attributes={"gen_ai.tool.type": "function"}),
        ]  # fmt: skip
        answer = export(agent, *spans, kind=kind)
        assert (answer["content-type"], rejected(answer)) == (kind, NOTHING)
        assert answer.content == (b"" if kind == PROTOBUF else b"{}")
        read = summary()
        assert read["interactions"] == {"total": 1, "answered": 1}
        assert read["response_time"]["p50_ms"] == pytest.approx(2_000, rel=0.01)
        assert (read["llm_calls"]["total"], read["llm_calls"]["error_rate"]) == (2, 0.5)
        assert read["knowledge_base"] == {"total_searches": 1, "hit_rate": 1, "avg_results": 1, "avg_similarity_score": 0.5}
        assert (read["token_usage"]["total_tokens"], read["intents"][0]["intent"]) == (1_100, "refund")
        assert read["cost"]["total_usd"] > 0, "what has no cost is priced"

    @pytest.mark.parametrize("parameter", ["; charset=utf-8", ""])
    def test_gzip_is_unpacked(self, agent: Client, kind: str, parameter: str) -> None:
        content = gzip.compress(protobuf(turn()) if kind == PROTOBUF else as_json(turn()))
        answer = send(agent, content, kind + parameter, **{"content-encoding": "gzip", "accept": "text/html"})
        assert rejected(answer) == NOTHING
        assert recorded() == 1

    def test_nothing_and_nothing_that_counts_is_taken_without_the_hot_store(
        self, agent: Client, kind: str, settings: Any
    ) -> None:
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        other = sent("create_agent", time.time())
        assert rejected(export(agent, kind=kind)) == rejected(export(agent, other, kind=kind)) == NOTHING
        assert send(agent, b"" if kind == PROTOBUF else b"{}", kind).status_code == 200

    def test_what_cannot_count_is_told_and_the_others_do(self, agent: Client, kind: str) -> None:
        spans = [
            turn(0),
            sent("chat", 1e9),
            sent("chat", time.time() + 4_000),
            Sent({"gen_ai.operation.name": "chat"}),
            turn(1),
        ]
        number, why = rejected(export(agent, *spans, kind=kind))
        assert number == 3
        assert "number 2: it ends over ten years back" in why
        assert "number 4: it has no end time" in why
        assert recorded() == 2
        assert rejected(export(agent, spans[1], kind=kind))[0] == 1
        flush_now()
        assert fields(everything(HotStore.from_conf()), GLOBAL)["me\x1fspans_rejected:n"] == 4

    @pytest.mark.parametrize(
        "content", [b"\xff", b"\x0a\x05x", b"{", b"[]", b'"x"', b'{"resourceSpans": 5}', b'{"resourceSpans": [5]}']
    )
    def test_a_body_that_is_none_is_told(self, agent: Client, kind: str, content: bytes) -> None:
        assert "The body is no" in failure(send(agent, content, kind), 400)
        assert recorded() == 0

    def test_who_may_not_record_is_told(self, agent: Client, kind: str) -> None:
        answer = export(Client(), turn(), kind=kind)
        assert "credentials" in failure(answer, 401)
        assert answer["www-authenticate"].startswith("Bearer")
        failure(export(staff("change_alertrule"), turn(), kind=kind), 401)
        for client in (bearer(), bearer("airline"), bearer("airline", can_write=True)):
            assert "does not record" in failure(export(client, turn(), kind=kind), 403)
        assert recorded() == 0

    def test_too_many_bytes_and_too_many_spans(self, agent: Client, kind: str) -> None:
        assert "8,388,608 bytes" in failure(send(agent, b" " * (body.MOST + 1), kind), 413)
        bomb = gzip.compress(b" " * 1_000_000, 9) * 1_000
        assert "8,388,608 bytes" in failure(send(agent, bomb, kind, **{"content-encoding": "gzip"}), 413)
        spans = [turn(n) for n in range(batch.MOST_SPANS + 1)]
        assert "10,000 spans" in failure(export(agent, *spans, kind=kind), 413)
        assert recorded() == 0
        assert rejected(export(agent, *spans[1:], kind=kind)) == NOTHING
        assert recorded() == batch.MOST_SPANS

    def test_the_hot_store_is_away(self, agent: Client, kind: str, hot_store_away: None) -> None:
        answer = export(agent, turn(), kind=kind)
        assert "same body again" in failure(answer, 503)
        assert answer["retry-after"] == "5"

    def test_a_coding_that_there_is_not(self, agent: Client, kind: str) -> None:
        assert "gzip" in failure(export(agent, turn(), kind=kind, **{"content-encoding": "deflate"}), 415)
        assert "no gzip" in failure(export(agent, turn(), kind=kind, **{"content-encoding": "gzip"}), 400)

    def test_a_parameter_that_there_is_not_is_refused(self, agent: Client, kind: str) -> None:
        answer = agent.generic("POST", f"{PATH}?tenant=retail", b"", content_type=kind)
        failure(answer, 400)

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_other_methods_are_not_there(self, agent: Client, kind: str, method: str) -> None:
        assert "not allowed" in failure(agent.generic(method, PATH, b"", content_type=kind), 405)


@pytest.mark.parametrize("kind", ["text/plain", "application/grpc", "application/x-www-form-urlencoded", ""])
def test_another_type_is_refused(agent: Client, kind: str) -> None:
    assert "application/x-protobuf" in failure(send(agent, b"", kind), 415)


def test_a_span_that_is_too_large_is_told_by_itself(agent: Client) -> None:
    large = turn(1, **{"gen_ai.prompt": "x" * protobuf_body.LARGEST})
    number, why = rejected(export(agent, turn(0), large, turn(2)))
    assert (number, recorded()) == (1, 2)
    assert "number 2: larger than 1,048,576 bytes" in why


class TestWalls:
    def test_another_tenants_span_is_rejected_in_the_same_words_whether_it_exists_or_not(self, agent: Client) -> None:
        assert rejected(export(bearer(can_record=True), turn(**{"tenant.id": "retail"}))) == NOTHING
        spans = [turn(n, **({"tenant.id": name} if name else {})) for n, name in enumerate(["retail", "nobody", "airline", ""])]
        assert rejected(export(agent, *spans)) == (
            2,
            "2 spans, the first of them number 1: The token is bound to another tenant.",
        )
        assert (recorded("airline"), recorded("retail"), recorded("nobody")) == (2, 1, 0)

    @pytest.mark.parametrize("spelled", ["retail\x00", " retail ", 5, True, ["retail"], "", " "])
    def test_no_spelling_of_a_name_leads_elsewhere(self, agent: Client, spelled: Any) -> None:
        for kind in KINDS:
            assert rejected(export(agent, turn(**{"tenant.id": spelled}), kind=kind))[0] == 1
        assert (recorded("retail"), recorded("airline")) == (0, 0)

    def test_a_token_of_all_reads_the_tenant_from_the_span_and_then_from_its_resource(self) -> None:
        first = turn(0, **{"tenant.id": "airline"})
        spans = [
            Sent(first.attributes, first.start, first.end, resource={"tenant.id": "retail"}),
            Sent(turn(1).attributes, first.start, first.end, resource={"tenant.id": "retail"}),
            turn(2),
        ]
        number, why = rejected(export(bearer(can_record=True), *spans))
        assert (number, recorded("airline"), recorded("retail")) == (1, 1, 1)
        assert "the token is of all, so each span or its resource names its own as tenant.id" in why

    def test_the_attribute_is_a_setting(self, settings: Any) -> None:
        settings.MONITORING_OTLP_TENANT_ATTRIBUTE = "customer"
        client = bearer(can_record=True)
        assert rejected(export(client, turn(0, customer="airline"), turn(1, **{"tenant.id": "airline"})))[0] == 1
        assert recorded() == 1


def test_which_agents_talk_to_customers_is_a_setting(agent: Client, settings: Any) -> None:
    spans = [turn(n, **{"gen_ai.agent.name": name}) for n, name in enumerate(["front", "refunds", "front"])]
    settings.MONITORING_OTLP_AGENTS = ["front"]
    assert rejected(export(agent, *spans)) == NOTHING
    assert recorded() == 2


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_attributes_cost_themselves_alone(agent: Client, kind: str) -> None:
    hostile: list[Any] = [
        "x" * 20_000, [1, [2, [3]]], {"a": {"b": [True]}}, float("nan"), float("inf"), -1, 2**63 - 1, True, "7", b"\xff", "", "\x00\x1f",
        [None] * 1_500, "[" * 5_000,
    ]  # fmt: skip
    names = [
        "gen_ai.conversation.id", "gen_ai.request.model", "gen_ai.provider.name", "gen_ai.usage.input_tokens", "error.type",
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.response.time_to_first_chunk", "gen_ai.retrieval.documents",
        "gen_ai.input.messages", "gen_ai.output.messages", "agent_monitor.handoff_triggered", "agent_monitor.handoff_reason",
        "agent_monitor.intent", "agent_monitor.confidence_score", "agent_monitor.estimated_cost_usd", "agent_monitor.result_count",
        "agent_monitor.similarity_scores", "gen_ai.agent.name", "gen_ai.tool.type", "gen_ai.operation.name",
    ]  # fmt: skip
    end = round(time.time())
    told = [
        sent(operation, end, attributes={name: value})
        for operation in ("chat", "retrieval", "invoke_agent")
        for name in names
        for value in hostile
    ]
    assert rejected(export(agent, *told, kind=kind)) == NOTHING
    assert (
        rejected(
            export(
                agent,
                sent("chat", end, attributes={"gen_ai.usage.output_tokens": 1, **{f"a.{n}": n for n in range(10_000)}}),
                kind=kind,
            )
        )
        == NOTHING
    )
    read = summary()
    assert read["interactions"]["total"] == (len(names) - 1) * len(hostile)
    assert read["llm_calls"]["total"] == (len(names) - 1) * len(hostile) + 1
    assert flush_now()
    assert fields(everything(HotStore.from_conf()), "airline")["r\x1fnot_a_number:n"] > 0


def test_a_span_is_logged_once_with_its_trace_and_without_what_identifies_a_person(
    agent: Client, tmp_path: Path, settings: Any
) -> None:
    settings.MONITORING_LOG_PATH = str(tmp_path / "log")
    asked = [{"role": "user", "parts": [{"type": "text", "content": "I am mia@example.com"}]}]
    end = round(time.time()) - 90
    span = sent("invoke_agent", end, attributes={"gen_ai.input.messages": asked, "gen_ai.usage.input_tokens": 5})
    for _ in range(2):
        assert rejected(export(agent, span, sent("retrieval", end))) == NOTHING
    logs.drain(10)
    (line,) = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    logs.configure(path="")
    assert (line["event_type"], line["tenant_id"], line["trace_id"], line["span_id"]) == (
        "agent_interaction", "airline", "5b" * 16, "ee" * 8,
    )  # fmt: skip
    assert line["timestamp"][:19] == datetime.fromtimestamp(end, UTC).isoformat()[:19]
    assert "mia" not in str(line)
    assert "[email]" in line["customer_message"]
