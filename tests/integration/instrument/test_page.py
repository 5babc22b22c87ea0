"""The code of docs/instrumenting.md, run as it stands there, by an agent that has nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from apps.monitoring import logs
from apps.monitoring.ingest import recorder
from apps.monitoring.ingest.hotstore import HotStore
from tests.e2e.parts import ROOT
from tests.integration.ingest.hot import everything, fields
from tests.integration.instrument.provider import serving

PAGE = ROOT / "docs" / "instrumenting.md"


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names that the blocks of section 3 define, beside those that the reader has."""
    section = PAGE.read_text().partition("## 3.")[2].partition("## 4.")[0]
    code = "\n".join(re.findall(r"```python\n(.*?)```", section, re.DOTALL))
    assert code.count("def ") == 6
    assert code.count("import ") == 5
    document = SimpleNamespace(score=0.8)
    names: dict[str, Any] = {
        "index": SimpleNamespace(query=lambda *_, **__: [document] * 3),
        "decide_handoff": lambda _: "angry_customer",
    }
    with serving() as address:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - it is our own page
        yield names
        names["client"].close()


def test_who_copies_the_page_has_every_number(agent: dict[str, Any], store: HotStore) -> None:
    asked = [{"role": "user", "content": "Hello?"}]
    conversation = SimpleNamespace(id="c-1", question="Where is my refund?", last_messages=lambda _: asked)
    assert agent["answer"]("acme", conversation, "Where is my refund?") == "Hello."
    assert len(list(agent["stream"]("acme", asked))) == 4
    assert recorder.flush_now(10)
    found = fields(everything(store), "acme")
    assert (found["i:n"], found["ia:n"], found["if:n"], found["h\x1fangry_customer:n"]) == (1, 1, 0, 1)
    assert (found["hd\x1fhandoff:n"], found["x:n"], found["xc\x1fdocuments:s"], found["k:n"], found["kh:n"]) == (1, 1, 3, 1, 1)
    assert (found["l\x1fopenai:n"], found["lf\x1fopenai:n"] > 0 or found["lf\x1fopenai:s"] > 0) == (2, True)
    assert found["t\x1finput:s"] + found["t\x1fcache_read:s"] == 120
    assert found["c\x1fgpt-4o:s"] == 20 * 2_500 + 100 * 1_250 + 30 * 10_000


def test_the_log_says_what_it_cost_and_by_which_list(
    agent: dict[str, Any], store: HotStore, settings: Any, tmp_path: Path
) -> None:
    settings.MONITORING_LOG_PATH = str(tmp_path / "agent.log")
    asked = [{"role": "user", "content": "Hello?"}]
    conversation = SimpleNamespace(id="c-1", question="Where is my refund?", last_messages=lambda _: asked)
    agent["answer"]("acme", conversation, "Where is my refund?")
    assert recorder.flush_now(10)
    assert logs.drain(10)
    lines = {line["event_type"]: line for line in map(json.loads, (tmp_path / "agent.log").read_text().splitlines())}
    logs.configure(path="")
    assert lines["agent_interaction"]["estimated_cost"] == lines["llm_api_call"]["cost"] == pytest.approx(0.000475)
    assert (
        lines["agent_interaction"]["pricing"] == lines["llm_api_call"]["pricing"] == f"genai-prices {version('genai-prices')}"
    )


def test_a_provider_that_fails_is_a_failed_call_and_a_failed_turn(agent: dict[str, Any], store: HotStore) -> None:
    asked = [{"role": "user", "content": "Hello?"}]
    conversation = SimpleNamespace(id="c-1", question="Where is my refund?", last_messages=lambda _: asked)
    agent["client"] = openai.OpenAI(base_url="http://127.0.0.1:1/v1", max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        agent["answer"]("acme", conversation, "Where is my refund?")
    assert recorder.flush_now(10)
    found = fields(everything(store), "acme")
    assert (found["i:n"], found["ia:n"], found["if:n"], found["e\x1fllm:n"]) == (1, 0, 1, 1)
    assert (found["le\x1fopenai:n"], found["t\x1finput:s"], found["c\x1fgpt-4o:n"]) == (1, 0, 0)


def test_a_search_that_fails_counts_as_a_search_that_fails_and_not_as_a_call_to_the_model(
    agent: dict[str, Any], store: HotStore
) -> None:
    class Away:
        def query(self, *_: object, **__: object) -> None:
            raise ConnectionError("the index is away")

    agent["index"] = Away()
    conversation = SimpleNamespace(id="c-1", question="Where is my refund?", last_messages=lambda _: [])
    with pytest.raises(ConnectionError):
        agent["answer"]("acme", conversation, "Where is my refund?")
    assert recorder.flush_now(10)
    found = fields(everything(store), "acme")
    failed = {name.split("\x1f")[1].removesuffix(":n"): times for name, times in found.items() if name.startswith("e\x1f")}
    assert failed == {"knowledge_search": 1, "no_answer": 1}
    assert (found["i:n"], found["if:n"], found["x:n"], found["k:n"], found["l\x1fopenai:n"]) == (1, 1, 0, 0, 0)
