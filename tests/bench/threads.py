"""How long a call takes when eight threads record as fast as they can: the slowest beside the median.

The interpreter runs one thread at a time and changes them each 5 ms, so a call that is interrupted takes the turns of the
others: 35 ms, whatever it does. That is the interpreter's and not the call's, so each thread pauses between its calls,
as a request does; prometheus_client, called in the same way, shows what is left of it.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.bench import peers
from tests.bench.recording import ours

THREADS = 8
CALLS = 3_000
PAUSE_SECONDS = 0.001
ROUNDS = 3


def taken(tell: Callable[[float], None]) -> list[float]:
    """Microseconds of every call of every thread."""
    found: list[float] = []

    def work() -> None:
        own: list[float] = []
        for index in range(CALLS):
            began = time.perf_counter()
            tell(1.0 + index * 1e-4)
            own.append((time.perf_counter() - began) * 1e6)
            time.sleep(PAUSE_SECONDS)
        found.extend(own)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def measure() -> list[dict[str, Any]]:
    """Rounds of all peers in turn; the median of each figure."""
    everyone = (ours(), peers.prometheus())
    rounds: dict[str, list[list[float]]] = {peer.name: [] for peer in everyone}
    for _ in range(ROUNDS):
        for peer in everyone:
            rounds[peer.name].append(sorted(taken(peer.tell)))
    rows = []
    for name, found in rounds.items():
        median, p99, worst = (
            statistics.median(one[min(len(one) - 1, int(len(one) * share))] for one in found) for share in (0.5, 0.99, 1.0)
        )
        rows.append(
            {
                "what": name,
                "median_us": round(median, 1),
                "p99_us": round(p99, 1),
                "worst_us": round(worst, 1),
                "p99_over_median": round(p99 / median, 1),
            }
        )
    return rows
