"""Work that is under way when its process forks counts once, in the process that began it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from apps.monitoring import AgentMonitor
from apps.monitoring.ingest import recorder

Recorded = Callable[[], Counter[str]]


def in_a_child(work: Callable[[], None]) -> None:
    """Do it in a forked process, and send what that recorded."""
    child = os.fork()
    if child == 0:
        done = False
        try:
            work()
            done = recorder.flush_now(10)
        finally:
            os._exit(0 if done else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_stream_or_a_generator_that_the_child_lets_go_of_or_reads_on(monitor: AgentMonitor, recorded: Recorded) -> None:
    call = monitor.llm_call(provider="p", model="m")

    @call
    def words() -> Iterator[int]:
        yield from (1, 2, 3)

    under_way: list[Any] = [call(lambda: iter([1, 2, 3]))(), words(), call(lambda: iter([1, 2, 3]))()]
    for stream in under_way:
        next(stream)

    def let_go_and_read_on() -> None:
        assert list(under_way.pop()) == [2, 3]
        under_way.clear()

    in_a_child(let_go_and_read_on)
    assert [list(stream) for stream in under_way] == [[2, 3]] * 3
    found = recorded()
    assert (found["l\x1fp:n"], found["lx\x1fp:n"]) == (3, 0)


def test_a_block_that_the_child_leaves_as_well(monitor: AgentMonitor, recorded: Recorded) -> None:
    build = monitor.context_build()
    with build:
        in_a_child(lambda: build.__exit__(None, None, None))
    assert recorded()["x:n"] == 1


def test_what_the_child_begins_counts(monitor: AgentMonitor, recorded: Recorded) -> None:
    def own() -> None:
        with monitor.context_build():
            pass

    in_a_child(own)
    assert recorded()["x:n"] == 1
