"""What one interaction costs: on the caller's thread, and in the whole process."""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.bench import peers
from tests.bench.peers import Peer

ROUNDS = 9
CALLS = 4_000
TOKEN_USAGE = {"prompt_tokens": 812, "completion_tokens": 96, "total_tokens": 908}


def ours() -> Peer:
    from apps.monitoring import get_agent_monitor

    monitor = get_agent_monitor(peers.TENANT)

    def tell(seconds: float) -> None:
        monitor.log_and_record_interaction(
            conversation_id="c-1",
            customer_message="Where is my refund?",
            agent_response="It is on its way.",
            model_used=peers.MODEL,
            confidence_score=0.93,
            processing_time_ms=seconds * 1_000,
            token_usage=TOKEN_USAGE,
            estimated_cost=0.0021,
            handoff_triggered=False,
            intent=peers.INTENT,
        )

    return Peer("AgentMonitor, log line included", tell)


ASKED = (
    "Hi, I ordered a pair of running shoes three weeks ago, order #W2890441, and they still haven’t arrived. The tracking page has said "
    "“in transit” since 11/05. Could you look into it and tell me whether I can get my $129.99 back? My zip code is 78234."
)
ANSWERED = (
    "Thank you for waiting, and I am sorry about the delay. I have found order #W2890441: running shoes, item 2757705742, sent on 2024-11-02 "
    "and last seen in the depot at 12:30 on the 5th. You may either have the order sent again at no cost, which takes 3 to 5 working days, or "
    "have the full amount of $129.99 refunded to the original payment method, credit_card_9074831. Which of the two do you prefer?"
)


def as_written() -> Peer:
    """Texts as long as in recorded conversations, many conversations, and a cost that is computed."""
    from apps.monitoring import get_agent_monitor

    monitor, conversation = get_agent_monitor(peers.TENANT), itertools.cycle([f"c-{number}" for number in range(5_000)])

    def tell(seconds: float) -> None:
        monitor.log_and_record_interaction(
            conversation_id=next(conversation),
            customer_message=ASKED,
            agent_response=ANSWERED,
            model_used=peers.MODEL,
            confidence_score=0.93,
            processing_time_ms=seconds * 1_000,
            token_usage=TOKEN_USAGE,
            intent=peers.INTENT,
        )

    return Peer(f"AgentMonitor, {len(ASKED) + len(ANSWERED)} characters, cost computed", tell)


@contextmanager
def multiprocess() -> Iterator[Callable[[], float]]:
    """prometheus_client in its multiprocess mode, which a process must begin with: CPU microseconds of a call, each time it is asked."""
    script = (
        "import sys, time; from tests.bench import peers\n"
        "peer = peers.prometheus(); peer.tell(1.0)\n"
        "for _ in sys.stdin:\n"
        "    began = time.process_time()\n"
        f"    for i in range({CALLS}): peer.tell(1.0 + i * 1e-4)\n"
        f"    print((time.process_time() - began) / {CALLS} * 1e6, flush=True)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder}
        process = subprocess.Popen(
            [sys.executable, "-c", script], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            asked, answers = process.stdin, process.stdout

            def measured() -> float:
                print(flush=True, file=asked)
                return float(answers.readline())

            yield measured


@contextmanager
def content(mode: str) -> Iterator[None]:
    """Log lines with what people wrote as it is (`full`), or redacted."""
    from apps.monitoring import logs
    from apps.monitoring.conf import conf

    logs.configure(path=conf().log_path, content_mode=mode)
    yield
    logs.configure(path=conf().log_path)


def caller_and_process(peer: Peer) -> tuple[float, float]:
    """Microseconds of a call: CPU of the calling thread, and CPU of the whole process until everything is done."""
    from apps.monitoring import logs
    from apps.monitoring.ingest.recorder import flush_now

    process, thread = time.process_time(), time.thread_time()
    for index in range(CALLS):
        peer.tell(1.0 + index * 1e-4)
    caller = time.thread_time() - thread
    flush_now()
    logs.drain()
    return caller / CALLS * 1e6, (time.process_time() - process) / CALLS * 1e6


def measure(redis_url: str) -> list[dict[str, Any]]:
    """Interleaved rounds, medians; the ratio is to prometheus_client's CPU in the same run."""
    written = as_written()
    everyone: Sequence[Peer] = (
        ours(),
        written,
        peers.prometheus(),
        peers.statsd(),
        peers.opentelemetry(),
        peers.redis_pipeline(redis_url),
        peers.structured(),
        peers.json_logger(),
    )
    taken: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with multiprocess() as several:
        for number in range(ROUNDS + 1):
            if number == 1:  # the first was to warm up
                taken.clear()
            for peer in everyone:
                taken[peer.name].append(caller_and_process(peer))
            with content("full"):
                taken[f"{written.name}, texts as they are"].append(caller_and_process(written))
            taken["prometheus_client, multiprocess mode"].append((several(),) * 2)
    medians = {name: tuple(statistics.median(side) for side in zip(*rounds, strict=True)) for name, rounds in taken.items()}
    base = medians["prometheus_client"][1]
    return [
        {
            "what": name,
            "caller_us": round(caller, 2),
            "process_us": round(process, 2),
            "caller_ratio": round(caller / base, 3),
            "process_ratio": round(process / base, 3),
        }
        for name, (caller, process) in medians.items()
    ]
