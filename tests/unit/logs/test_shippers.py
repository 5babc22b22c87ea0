"""The configurations in deploy/logs fit the lines they are to read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from apps.monitoring.logs.line import MAX_BYTES
from tests.unit.logs.said import ARGUMENTS, CORRELATION, event, line, rendered

DEPLOY = Path(__file__).resolve().parents[3] / "deploy" / "logs"
WHEN = datetime(2026, 1, 5, 9, 30, 0, 123456, tzinfo=UTC)


def every_line(form: str) -> list[dict[str, Any]]:
    return [line(event(event_type, **CORRELATION), form=form) for event_type in ARGUMENTS]


def test_cloudwatch_reads_the_time_and_takes_the_size() -> None:
    (collected,) = json.loads((DEPLOY / "cloudwatch-agent.json").read_text())["logs"]["logs_collected"]["files"]["collect_list"]
    for said in every_line("json"):
        # The agent finds the time in the line; what follows the pattern, the Z, is not looked at.
        assert datetime.strptime(said["timestamp"][:-1], collected["timestamp_format"]).replace(tzinfo=UTC) == WHEN
        assert next(iter(said)) == "timestamp"
    assert collected["timezone"] == "UTC"
    assert MAX_BYTES <= 256 * 1024 - 26, "PutLogEvents: bytes of an event and 26 of its own"


def test_loki_finds_its_labels_in_every_line() -> None:
    (scraped,) = yaml.safe_load((DEPLOY / "promtail.yml").read_text())["scrape_configs"]
    stages = {name: stage for given in scraped["pipeline_stages"] for name, stage in given.items()}
    for said in every_line("json"):
        for source in stages["json"]["expressions"].values():
            assert isinstance(said[source], str)
        assert datetime.fromisoformat(said[stages["timestamp"]["source"]]) == WHEN
    assert set(stages["labels"]) | set(stages["structured_metadata"]) <= set(stages["json"]["expressions"])
    assert not {"conversation_id", "trace_id", "request_id"} & set(stages["labels"]), (
        "a label with many values is a stream each"
    )


def test_elastic_takes_the_lines_as_they_are() -> None:
    (read,) = yaml.safe_load((DEPLOY / "filebeat.yml").read_text())["filebeat.inputs"]
    assert read["parsers"] == [{"ndjson": {"target": "", "overwrite_keys": True, "expand_keys": True, "add_error_key": True}}]
    for said in every_line("ecs"):
        assert datetime.fromisoformat(said["@timestamp"]) == WHEN
        assert said["ecs.version"] == "8.11.0"
        assert said["event.outcome"] in {"success", "failure"}
        assert len(said["trace.id"]) == 32
        for name in said:  # expand_keys: a name that is also the beginning of another cannot be both value and object
            assert not any(other.startswith(f"{name}.") for other in said)


ECS = {
    "@timestamp": "2026-01-05T09:30:00.123456Z",
    "log.level": "info",
    "message": "LLM API call",
    "ecs.version": "8.11.0",
    "event.dataset": "agent_monitor",
    "event.kind": "event",
    "event.outcome": "success",
    "event.duration": 800_000_000,
    "log.logger": "agent.monitor",
    "event.action": "llm_api_call",
    "organization.id": "acme",
    "agent_monitor": {
        "conversation_id": "c-17",
        "provider": "openai",
        "model": "gpt-4o",
        "duration_ms": 800,
        "token_usage": {"prompt_tokens": 812},
        "cost": 0.002,
    },
}


def test_a_line_of_elastic_in_full() -> None:
    assert line(event("llm_api_call"), form="ecs") == ECS


def test_an_error_has_elastics_names() -> None:
    said = line(event("error"), form="ecs")
    assert (said["error.type"], said["error.message"], said["event.outcome"]) == ("ValueError", "no user [email]", "failure")


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\r", "\n", "\x9b2J", "\u2028", "\u202e"])
def test_the_console_obeys_nobody(hostile: str) -> None:
    said = rendered(event(customer_message=f"a{hostile}b", conversation_id=f"c{hostile}"), form="console").decode()
    assert hostile not in said[:-1]
    assert said.count("\n") == 1
