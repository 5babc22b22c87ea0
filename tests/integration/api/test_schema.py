"""The OpenAPI schema says what the API does."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import jsonschema
import pytest
from django.core.management import call_command
from django.test import Client

from apps.monitoring.api import urls
from apps.monitoring.core.clock import isoformat
from apps.monitoring.models import Channel, MuteWindow
from tests.integration.alerts.judged import answered, play
from tests.integration.alerts.judged import rule as judged_rule
from tests.integration.api.conftest import Record, bearer
from tests.integration.api.posting import PATH, post
from tests.integration.api.posting import row as interaction
from tests.integration.api.rows import fire, rule, send, silence
from tests.integration.api.test_walls import addresses
from tests.integration.ingest.hot import MINUTE

SUMMARY = "/api/v1/metrics/summary"
SERIES = "/api/v1/metrics/series"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """As the command gives it, which fails on a warning."""
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=out)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def strict(node: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: `nullable` is a type of its own, and nothing may be there that is not described."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: strict(value) for key, value in node.items()}
    if node.pop("nullable", False) is True and isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]
    if "oneOf" in node:  # an empty text is a URI, too, where nothing looks into formats
        node["anyOf"] = node.pop("oneOf")
    if isinstance(node.get("properties"), dict):
        node.setdefault("additionalProperties", False)
    return node


def check(schema: dict[str, Any], path: str, answer: Any, method: str = "get") -> None:
    """Whether an answer is what the schema says of this address and status."""
    responses = schema["paths"][path][method]["responses"]
    described = responses.get(str(answer.status_code), responses.get("default"))["content"][answer["content-type"]]
    wanted = strict({**described["schema"], "components": schema["components"]})
    jsonschema.validate(answer.json(), wanted, format_checker=jsonschema.FormatChecker())


def test_every_address_is_described(schema: dict[str, Any]) -> None:
    found = {f"/{address.replace('<id>', '{id}')}" for address in addresses(urls.urlpatterns)}
    assert set(schema["paths"]) == found
    assert {SUMMARY, SERIES, "/healthz", "/readyz", "/api/v1/rules/{id}/backtest"} <= found


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does(schema: dict[str, Any]) -> None:
    operations = [operation for methods in schema["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(operation["summary"] and operation["tags"] for operation in operations)


def test_what_is_listed_and_shown_is_as_described(schema: dict[str, Any], writer: Client) -> None:
    slow = rule()
    alert = fire(slow, "airline")
    acknowledged = send(writer, "POST", f"alerts/{alert.pk}/acknowledge")
    channel = Channel.objects.create(name="ops", kind="log", secrets={"a": "b"})
    slow.channels.add(channel)
    window = MuteWindow.objects.create(name="nights", rules=["slow"], starts="02:00", ends="03:00")
    check(schema, "/api/v1/alerts/{id}/acknowledge", acknowledged, "post")
    for noun, row in {
        "rules": slow, "alerts": alert, "channels": channel, "silences": silence("airline"), "mute-windows": window,
    }.items():  # fmt: skip
        check(schema, f"/api/v1/{noun}", writer.get(f"/api/v1/{noun}"))
        check(schema, f"/api/v1/{noun}/{{id}}", writer.get(f"/api/v1/{noun}/{row.pk}"))
        check(schema, f"/api/v1/{noun}/{{id}}", writer.get(f"/api/v1/{noun}/0"))
        if noun != "alerts":
            check(schema, f"/api/v1/{noun}", send(writer, "POST", noun, {}), "post")
    rule("own", scope="one_tenant", tenant="airline")
    check(schema, "/api/v1/rules", bearer("airline").get("/api/v1/rules"))
    check(schema, "/api/v1/channels", bearer().get("/api/v1/channels"))
    check(schema, "/api/v1/channels/{id}/test", send(writer, "POST", f"channels/{channel.pk}/test"), "post")


def test_a_trial_is_as_described(schema: dict[str, Any], everyone: Client) -> None:
    play({0: answered(9_000.0, "airline"), 1: answered(1.0, "airline")}, 2)
    slow = judged_rule()
    over = {"from": isoformat(MINUTE), "to": isoformat(MINUTE + 2)}
    path = f"rules/{slow.pk}"
    check(schema, "/api/v1/rules/{id}/backtest", send(everyone, "POST", f"{path}/backtest", over), "post")
    suggestion = send(everyone, "POST", f"{path}/suggest", {**over, "alerts_per_week": 1})
    check(schema, "/api/v1/rules/{id}/suggest", suggestion, "post")
    check(schema, "/api/v1/rules/{id}/suggest", send(everyone, "POST", f"{path}/suggest", {}), "post")


def test_what_comes_of_a_batch_is_as_described(schema: dict[str, Any], agent: Client, everyone: Client) -> None:
    answers = [
        post(agent, [interaction(), 5], "a-key"),
        post(agent, [interaction(), 5], "a-key"),
        post(agent, interaction(), "a-key"),
        post(agent, 5),
        post(agent, [5]),
        post(agent, interaction(), kind="text/plain"),
        post(agent, [{}] * 10_001),
        post(everyone, interaction()),
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 422, 400, 400, 415, 413, 403]
    for answer in answers:
        check(schema, PATH, answer, "post")


def test_the_examples_of_interactions_are_interactions(schema: dict[str, Any], agent: Client) -> None:
    body = schema["paths"][PATH]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "application/x-ndjson", "application/jsonl"}
    examples = [example["value"] for example in body["application/json"]["examples"].values()]
    assert len(examples) == 2
    for example in examples:
        jsonschema.validate(example, strict({**body["application/json"]["schema"], "components": schema["components"]}))
        assert post(agent, example).json()["rejected"] == []


def test_an_empty_summary_is_as_described(schema: dict[str, Any], everyone: Client) -> None:
    check(schema, SUMMARY, everyone.get(SUMMARY))


def test_a_full_summary_is_as_described(schema: dict[str, Any], everyone: Client, record: Record) -> None:
    record(
        "airline", 3, model_used="gpt-4o", estimated_cost=0.5, intent="refund", confidence_score=0.9, handoff_triggered=True,
        handoff_reason="angry", token_usage={"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        errors=[{"operation": "search", "type": "TimeoutError"}],
    )  # fmt: skip
    record("airline", 1, model_used="unpriced", agent_response=None)
    answer = everyone.get(SUMMARY)
    assert answer.json()["model_usage"]["unpriced"]["cost_usd"] is None
    check(schema, SUMMARY, answer)


def test_every_problem_is_as_described(schema: dict[str, Any], everyone: Client, airline: Client, client: Client) -> None:
    answers = [
        everyone.get(SUMMARY, {"window": "soon"}),
        client.get(SUMMARY),
        airline.get(SUMMARY, {"tenant": "retail"}),
        everyone.get(SUMMARY, {"tenant": "nobody"}),
    ]
    assert [answer.status_code for answer in answers] == [400, 401, 403, 404]
    for answer in answers:
        check(schema, SUMMARY, answer)


def test_a_problem_of_a_store_is_as_described(schema: dict[str, Any], everyone: Client, hot_store_away: None) -> None:
    check(schema, SUMMARY, everyone.get(SUMMARY))
    check(schema, "/readyz", everyone.get("/readyz"))
    check(schema, "/healthz", everyone.get("/healthz"))


def test_the_schema_and_its_page_need_no_token_and_no_internet(client: Client, stores: None) -> None:
    assert b"openapi" in client.get("/api/schema/").content
    page = client.get("/api/docs/").content.decode()
    assert "://" not in page.replace("http://testserver", "").replace("http://www.w3.org", "")
