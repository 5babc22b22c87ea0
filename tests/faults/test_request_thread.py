"""What a call costs the thread that makes it, seen from outside: no I/O, and no wait for whoever does it."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.faults.script import SETUP, run

EVERY_CALL = """
def every_call(monitor):
    monitor.log_and_record_interaction(
        conversation_id="c", customer_message="call 555-123-2002", agent_response="yes", model_used="gpt-4o", intent="refund",
        token_usage={"prompt_tokens": 1_000, "completion_tokens": 100}, errors=[{"operation": "crm"}])
    monitor.log_and_record_llm_call(provider="openai", model="gpt-4o", prompt_tokens=7, completion_tokens=3, error=OSError("x"))
    monitor.log_and_record_context_build(components={"history": 4}, duration_ms=2)
    monitor.log_and_record_handoff_decision(decision=True, triggers=["policy"])
    monitor.log_and_record_knowledge_search(query="refund", result_count=1, similarity_scores=[0.5], duration_ms=3)
    monitor.log_and_record_error("crm", OSError("x"), {"order": 7})
    monitor.record_feedback(score=4)
    monitor.count("carts", country="de")
    monitor.sample("basket", 19.5)
    with monitor.llm_call(provider="openai", model="gpt-4o") as call:
        call.usage(prompt_tokens=7, completion_tokens=3)
    with monitor.context_build() as build:
        build.add("documents", 3)
    with monitor.knowledge_search(query="refund") as search:
        search.results([1, 2])
"""

WATCHED = """
import threading
seen, mine = [], threading.get_ident()
def watch(event, args):
    if threading.get_ident() == mine and watching and event.partition(".")[0] in {
        "open", "import", "socket", "os", "subprocess", "shutil", "fcntl", "glob", "sqlite3", "marshal"
    }:
        seen.append((event, str(args)[:80]))
watching = False
sys.addaudithook(watch)
import orjson
formatted = []
def called(frame, event, what):  # the labels of a metric of the user's own are spelled as JSON, where it is merged
    if event == "c_call" and what is orjson.dumps and not frame.f_code.co_filename.endswith("series.py"):
        formatted.append(frame)
"""


def test_no_call_does_any_io_or_formats_a_line_on_the_thread_of_the_caller(redis_url: str, tmp_path: Path) -> None:
    said = run(
        """
        monitor = get_agent_monitor("acme")
        watching = True
        sys.setprofile(called)
        for _ in range(40):
            every_call(monitor)
        watching = False
        assert not seen and not formatted, (seen, formatted)
        assert recorder().flusher.counters["merged_by_caller"] > 100
        watching = True
        open(os.devnull).close()
        orjson.dumps({})
        assert formatted
        print(*seen)
        """,
        SETUP + EVERY_CALL + WATCHED,
        MONITORING_QUEUE_SIZE="20",
        MONITORING_LOG_PATH=f"{tmp_path}/agent.log",
    )
    assert "open" in said, "who watches sees I/O"


def test_no_call_waits_while_the_hot_store_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        said = run(
            """
            monitor = get_agent_monitor("acme")
            every_call(monitor)
            recorder()._wake.set()
            deadline = time.monotonic() + 20
            while not recorder().flusher._lock.locked() and time.monotonic() < deadline:
                time.sleep(0.001)
            longest = 0.0
            for _ in range(250):
                began = time.monotonic()
                every_call(monitor)
                longest = max(longest, time.monotonic() - began)
            assert recorder().flusher._lock.locked(), "the flush is still waiting"
            print(longest, recorder().flusher.counters["merged_by_caller"])
            os._exit(0)
            """,
            SETUP + EVERY_CALL,
            MONITORING_QUEUE_SIZE="1000",
            MONITORING_FLUSH_INTERVAL="0.05",
            REDIS_URL=f"redis://127.0.0.1:{hanging.getsockname()[1]}/0",
        )
    longest, merged = said.split()
    assert int(merged) > 1_000, "the queue was full: callers merged"
    assert float(longest) < 1, "and the flush takes five seconds"
