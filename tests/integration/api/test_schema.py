"""The OpenAPI schema says what the API does."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import jsonschema
import pytest
from django.core.management import call_command
from django.test import Client

from tests.integration.api.conftest import Record

SUMMARY = "/api/v1/metrics/summary"
SERIES = "/api/v1/metrics/series"
EXPLAIN = "/api/v1/rules/{id}/explain"


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
    if isinstance(node.get("properties"), dict):
        node.setdefault("additionalProperties", False)
    return node


def check(schema: dict[str, Any], path: str, answer: Any) -> None:
    """Whether an answer is what the schema says of this address and status."""
    described = schema["paths"][path]["get"]["responses"][str(answer.status_code)]["content"][answer["content-type"]]
    wanted = strict({**described["schema"], "components": schema["components"]})
    jsonschema.validate(answer.json(), wanted, format_checker=jsonschema.FormatChecker())


def test_every_address_is_described(schema: dict[str, Any]) -> None:
    assert set(schema["paths"]) == {SUMMARY, SERIES, EXPLAIN, "/healthz", "/readyz"}


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
