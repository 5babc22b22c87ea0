"""The configurations in deploy/logs fit the lines they are to read."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from apps.monitoring.core.event import FIELDS
from apps.monitoring.core.tokens import GIVEN
from apps.monitoring.logs import fields
from apps.monitoring.logs.events import SHOWS
from apps.monitoring.logs.formats import FORMATS
from apps.monitoring.logs.line import MAX_BYTES
from tests.unit.logs.said import ARGUMENTS, CORRELATION, event, line, rendered
from tests.unit.logs.test_schema import SCHEMA

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy" / "logs"
PAGE = (ROOT / "docs" / "logs.md").read_text()
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


PATH = re.compile(r"\$\.([\w.]+)")


def test_a_metric_filter_names_fields_that_the_schema_has() -> None:
    given = json.loads((DEPLOY / "cloudwatch-metric-filter.json").read_text())
    (collected,) = json.loads((DEPLOY / "cloudwatch-agent.json").read_text())["logs"]["logs_collected"]["files"]["collect_list"]
    assert given["logGroupName"] == collected["log_group_name"]
    (made,) = given["metricTransformations"]
    (meant,) = re.findall(r'event_type = "(\w+)"', given["filterPattern"])
    named = PATH.findall(given["filterPattern"] + made["metricValue"] + "".join(made["dimensions"].values()))
    assert set(named) == {"event_type", "processing_time_ms", "model_used"}
    assert set(named) <= paths(meant)
    assert typed(made["metricValue"].removeprefix("$.")) == "number"


def test_loki_finds_its_labels_in_every_line() -> None:
    """Without Alloy itself: its blocks, and that each receives from the one before."""
    config = (DEPLOY / "config.alloy").read_text()
    assert config.count("{") == config.count("}")
    components = set(re.findall(r'^([a-z_.]+) "(\w+)" {$', config, re.MULTILINE))
    named = set(re.findall(r"\b((?:local|loki)\.[a-z_.]+)\.(\w+)\.(?:targets|receiver)\b", config))
    assert named == components - {("loki.source.file", "agent_monitoring")}
    taken = {
        name: set(re.findall(r'"(\w+)" = ""', body))
        for name, body in re.findall(r"stage\.(\w+) {(.*?)\n  }", config, re.DOTALL)
    }
    assert taken["labels"] | taken["structured_metadata"] | {"timestamp"} == taken["json"]
    assert taken["labels"] == {"level", "event_type", "tenant_id"}, "a label with many values is a stream each"
    assert re.findall(r'(?:source|format) = "(\w+)"', config) == ["timestamp", "RFC3339Nano"]
    for said in every_line("json"):
        assert all(isinstance(said[name], str) for name in taken["json"])
        assert datetime.fromisoformat(said["timestamp"]) == WHEN


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


def test_elastics_template_has_every_field_with_its_type_and_no_other() -> None:
    template = json.loads((DEPLOY / "elasticsearch-template.json").read_text())
    read = yaml.safe_load((DEPLOY / "filebeat.yml").read_text())
    assert fnmatch(read["output.elasticsearch"]["index"], *template["index_patterns"])
    mapped = dict(template["template"]["mappings"]["properties"])
    own = mapped.pop("agent_monitor")["properties"]
    told = [name for kind in ARGUMENTS for name in FIELDS[kind]]
    assert own.keys() == {*told, "refused", "left_out"} - {"error", "exception"}
    assert set(own["token_usage"]["properties"]) == set(GIVEN)
    names = {name for said in every_line("ecs") for name in said if name != "agent_monitor"}
    assert mapped.keys() == names
    kinds = {"number": {"double"}, "boolean": {"boolean"}, "text": {"match_only_text"}, "name": {"keyword"}}
    for name in told:
        kind = typed(name)
        if kind in kinds:
            assert own[name]["type"] in kinds[kind], name


def block(after: str) -> str:
    """The lines of the page's first block after a text, as one."""
    text = PAGE.partition(after)[2].partition("```")[2].partition("```")[0]
    _, _, lines = text.partition("\n")
    return lines.strip().replace(",\n ", ",").replace("\n ", " ")


@pytest.mark.parametrize("form", FORMATS)
def test_the_page_shows_what_the_code_prints(form: str) -> None:
    shown = event(
        tenant="airline", token_usage={"prompt_tokens": 812, "completion_tokens": 96}, pricing="genai-prices 0.2.3",
        handoff_triggered=False, handoff_reason=None, errors=None, **CORRELATION,
    )  # fmt: skip
    assert (
        block(f"in the format `{form}`" if form == "console" else f"n the format `{form}`")
        == rendered(shown, form=form).decode().strip()
    )


def test_the_page_lists_every_field_of_every_event() -> None:
    listed = {
        kind: re.findall(r"`(\w+)`(¹?)", fields)
        for kind, fields in re.findall(r"^\| `(\w+)` \| (`.*?) \|$", PAGE, re.MULTILINE)
    }
    assert {kind: [name for name, _ in listed[kind]] for kind in ARGUMENTS} == {kind: list(FIELDS[kind]) for kind in ARGUMENTS}
    free = {name for kind in ARGUMENTS for name, mark in listed[kind] if mark}
    texts = {name for name, show in SHOWS.items() if show in {fields.text, fields.exception, fields.details}}
    assert free == texts


def test_the_pages_queries_name_fields_that_there_are() -> None:
    section = PAGE.partition("## CloudWatch, Elastic, Loki")[2]
    queries = re.findall(r"```\n(.*?)```", section, re.DOTALL)
    assert len(queries) == 6
    flat = {path for kind in ARGUMENTS for path in paths(kind)}
    mapped = json.loads((DEPLOY / "elasticsearch-template.json").read_text())["template"]["mappings"]["properties"]
    elastic = {*mapped, *(f"agent_monitor.{name}" for name in mapped["agent_monitor"]["properties"])}
    for query in queries:
        words = set(re.findall(r"(?<![\w.\"])[a-z@][\w]*(?:\.\w+)*(?![\w(\"])", re.sub(r'"[^"]*"', "", query))) - SYNTAX
        known = elastic | {"agent_monitor.errors.operation"} if ": " in query else flat | {"job"}
        assert words, query
        assert words <= known, words - known


SYNTAX = {
    "filter", "stats", "by", "and", "fields", "sum", "json", "unwrap",
}  # fmt: skip
"""Of the three query languages."""


def paths(kind: str) -> set[str]:
    """How the fields of a line are named by whoever reads JSON: with dots, and numbers for the places of a list."""
    found = {"timestamp", "level", "event_type", "tenant_id", "request_id", "trace_id", *FIELDS[kind]}
    found |= {f"token_usage.{name}" for name in GIVEN if "token_usage" in FIELDS[kind]}
    found |= {f"{name}.{part}" for name in {"error", "exception"} & {*FIELDS[kind]} for part in ("type", "message")}
    return found | ({"errors.0.operation", "errors.0.type"} if "errors" in FIELDS[kind] else set())


def typed(name: str) -> str | None:
    """The type that the schema gives a field."""
    (given,) = {
        json.dumps(shown["properties"][name])
        for shown in SCHEMA["$defs"].values()
        if name in shown.get("properties", {}) and "event_type" in shown["properties"]
    }
    found = json.loads(given)
    return str(found["type"] if "type" in found else found["$ref"].rpartition("/")[2])


def test_an_error_has_elastics_names() -> None:
    said = line(event("error"), form="ecs")
    assert (said["error.type"], said["error.message"], said["event.outcome"]) == ("ValueError", "no user [email]", "failure")


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\r", "\n", "\x9b2J", "\u2028", "\u202e"])
def test_the_console_obeys_nobody(hostile: str) -> None:
    said = rendered(event(customer_message=f"a{hostile}b", conversation_id=f"c{hostile}"), form="console").decode()
    assert hostile not in said[:-1]
    assert said.count("\n") == 1
