"""The price list is whole in every process, whenever it was forked."""

from __future__ import annotations

import pytest
import redis

from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.server import server
from tests.faults.script import SETUP, run
from tests.integration.ingest.hot import everything, fields

UNPRICED = """
def unpriced():
    get_agent_monitor("acme").log_and_record_interaction(
        conversation_id="c", agent_response="yes", model_used="gpt-4o", timestamp=1767571200,
        token_usage={"prompt_tokens": 1_000, "completion_tokens": 100})
"""


@pytest.fixture
def store(valkey: redis.Redis, redis_url: str) -> HotStore:
    return HotStore(server(redis_url), "agentmon", shards=8)


def test_children_that_are_forked_while_another_thread_reads_it_know_every_price(store: HotStore) -> None:
    run(
        """
        import threading
        threading.Thread(target=unpriced).start()
        children = []
        for _ in range(12):
            child = os.fork()
            if child == 0:
                unpriced()
                os._exit(0 if flush_now(20) else 1)
            children.append(child)
            time.sleep(0.01)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 12
        """,
        SETUP + UNPRICED,
    )
    counted = fields(everything(store), "acme")
    assert counted["i:n"] == counted["c\x1fgpt-4o:n"] == 13
    assert not [name for name in counted if name.startswith("np")], "a model whose price is listed is known"


def test_a_price_list_that_cannot_be_read_is_asked_for_again(store: HotStore) -> None:
    run(
        """
        from apps.monitoring.ingest import prices
        prices._AGAIN_SECONDS = 0.1
        path, sys.path[:] = sys.path[:], []
        unpriced()
        assert flush_now(20)
        time.sleep(0.2)
        sys.path[:] = path
        unpriced()
        """,
        SETUP + UNPRICED,
    )
    counted = fields(everything(store), "acme")
    assert counted["np\x1fgpt-4o:n"] == counted["c\x1fgpt-4o:n"] == 1
