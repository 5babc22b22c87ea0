"""Lines reach their file whole, in order and once, or are counted; whoever logs never waits."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from apps.monitoring.core.event import Event
from apps.monitoring.logs.formats import FORMATS
from apps.monitoring.logs.line import Renderer
from apps.monitoring.logs.redaction import Redactor
from apps.monitoring.logs.sink import Sink
from apps.monitoring.logs.writer import LogWriter
from tests.patience import eventually
from tests.unit.logs.said import event

RENDER = Renderer(Redactor(), FORMATS["json"])


@pytest.fixture
def writer_to() -> Iterator[Callable[..., LogWriter]]:
    made: list[LogWriter] = []

    def make(path: Path | str, **how: object) -> LogWriter:
        made.append(LogWriter(Sink(str(path)), RENDER, **how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for writer in made:
        writer.close(0.1)


def numbered(first: int, last: int) -> list[Event]:
    return [event(conversation_id=f"c-{number}") for number in range(first, last)]


def conversations(*paths: Path) -> list[str]:
    return [json.loads(line)["conversation_id"] for path in paths for line in path.read_text().splitlines()]


def names(first: int, last: int) -> list[str]:
    return [f"c-{number}" for number in range(first, last)]


def test_lines_are_written_in_order_without_being_asked_for(writer_to: Callable[..., LogWriter], tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    writer = writer_to(path)
    for first in range(0, 3_000, 100):
        writer.put(numbered(first, first + 100))
    eventually("they are written", lambda: writer.counters()["log_lines"] == 3_000)
    assert conversations(path) == names(0, 3_000)


def test_threads_lose_nothing(writer_to: Callable[..., LogWriter], tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    writer = writer_to(path)
    threads = [threading.Thread(target=lambda: [writer.put(numbered(n, n + 1)) for n in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.drain(20)
    assert sorted(conversations(path)) == sorted(names(0, 500) * 4)


def test_a_full_queue_drops_and_counts_and_does_not_wait(writer_to: Callable[..., LogWriter], tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    writer = writer_to(path, queue_size=10, own_thread=False)
    writer.put(numbered(0, 7))
    writer.put(numbered(7, 20))
    writer.put(numbered(20, 25))
    assert writer.counters()["log_lines_dropped"] == 15
    assert writer.drain(20)
    assert conversations(path) == names(0, 10)


def test_long_texts_fill_the_queue_sooner_and_short_lines_still_fit(
    writer_to: Callable[..., LogWriter], tmp_path: Path
) -> None:
    path = tmp_path / "agent.log"
    writer = writer_to(path, queue_bytes=380_000, own_thread=False)
    writer.put([event(conversation_id="c-0", customer_message="hi", agent_response="hi")] * 500)
    long = [event(conversation_id=f"c-{n}", customer_message="é" * 30_000, agent_response=None) for n in range(1, 5)]
    writer.put([*long[:3], event(conversation_id="c-short", customer_message="hi", agent_response="hi")])
    writer.put(long[3:])
    assert writer.counters()["log_lines_dropped"] == 2
    assert writer.drain(20)
    assert conversations(path) == [*["c-0"] * 500, "c-1", "c-2", "c-short"]
    writer.put(long[3:])  # what was written makes room
    assert writer.drain(20)
    assert conversations(path)[-1] == "c-4"


def test_a_few_events_may_not_be_as_long_as_they_like(writer_to: Callable[..., LogWriter], tmp_path: Path) -> None:
    writer = writer_to(tmp_path / "agent.log", queue_bytes=10_000_000, own_thread=False)
    for number in range(40):
        writer.put([event(conversation_id=f"c-{number}", customer_message="x" * 1_000_000)])
    assert writer.counters()["log_lines_dropped"] == 31
    assert writer.drain(20)


def test_an_event_more_costs_little_however_many_wait(writer_to: Callable[..., LogWriter], tmp_path: Path) -> None:
    writer = writer_to(tmp_path / "agent.log", own_thread=False)
    writer.put(numbered(0, 19_000))
    taken = []
    for number in range(19_000, 20_100):
        began = time.thread_time()
        writer.put(numbered(number, number + 1))
        taken.append(time.thread_time() - began)
    assert sorted(taken)[550] < 0.0005
    assert writer.counters()["log_lines_dropped"] == 100


def test_an_event_that_cannot_be_read_is_counted_and_the_next_one_written(
    writer_to: Callable[..., LogWriter], tmp_path: Path
) -> None:
    path = tmp_path / "agent.log"
    writer = writer_to(path, own_thread=False)
    writer.put([[*event()[:4], object(), *event()[5:]], *numbered(0, 1)])
    assert writer.drain(20)
    assert writer.counters()["log_lines_failed"] == 1
    assert conversations(path) == names(0, 1)


def test_a_file_that_was_moved_away_is_begun_anew(writer_to: Callable[..., LogWriter], tmp_path: Path) -> None:
    path, rotated = tmp_path / "agent.log", tmp_path / "agent.log.1"
    writer = writer_to(path)
    writer.put(numbered(0, 10))
    assert writer.drain(20)
    path.rename(rotated)
    writer.put(numbered(10, 20))
    assert writer.drain(20)
    assert conversations(rotated) == names(0, 10)
    assert conversations(path) == names(10, 20)


def test_a_file_that_was_cut_to_nothing_goes_on_from_its_start(writer_to: Callable[..., LogWriter], tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    writer = writer_to(path)
    writer.put(numbered(0, 10))
    assert writer.drain(20)
    os.truncate(path, 0)
    writer.put(numbered(10, 20))
    assert writer.drain(20)
    assert conversations(path) == names(10, 20)


def test_a_folder_that_is_missing_is_waited_for(writer_to: Callable[..., LogWriter], tmp_path: Path) -> None:
    path = tmp_path / "later" / "agent.log"
    writer = writer_to(path)
    writer.put(numbered(0, 10))
    eventually("it is tried again", lambda: writer.counters()["log_writes_retried"] >= 1)
    path.parent.mkdir()
    assert writer.drain(20)
    assert conversations(path) == names(0, 10)
    assert writer.counters()["log_lines_failed"] == 0


def test_a_full_disk_keeps_the_lines_and_bounds_them(writer_to: Callable[..., LogWriter]) -> None:
    writer = writer_to("/dev/full", queue_size=100)
    for number in range(300):
        writer.put(numbered(number, number + 1))
    eventually("it is tried again", lambda: writer.counters()["log_writes_retried"] >= 1)
    counted = writer.counters()
    assert counted["log_lines"] == 0
    assert counted["log_lines_dropped"] > 0
    assert not writer.drain(0.1)


def test_half_a_line_on_a_full_disk_is_ended_and_written_again(tmp_path: Path) -> None:
    script = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from tests.unit.logs.test_writer import *
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, {resource.RLIM_INFINITY}))
writer = LogWriter(Sink({str(tmp_path / "agent.log")!r}), RENDER, own_thread=False)
writer.put(numbered(0, 5))
for _ in range(3):
    writer.run_once(patience=0.1)
resource.setrlimit(resource.RLIMIT_FSIZE, ({resource.RLIM_INFINITY}, {resource.RLIM_INFINITY}))
assert writer.drain(20)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    good, torn = [], 0
    for line in (tmp_path / "agent.log").read_text().splitlines():
        try:
            good.append(json.loads(line)["conversation_id"])
        except ValueError:
            torn += 1
    assert good == names(0, 5)
    assert torn == 1


def test_a_pipe_whose_reader_went_away_loses_lines_and_counts_them(writer_to: Callable[..., LogWriter], tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = writer_to(path, own_thread=False)
    writer.put(numbered(0, 1))
    assert writer.drain(20)
    os.close(reader)
    writer.put(numbered(1, 2))
    writer.run_once()
    assert writer.counters()["log_lines_failed"] == 1
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer.put(numbered(2, 3))
    assert writer.drain(20)
    assert json.loads(os.read(reader, 65_536))["conversation_id"] == "c-2"
    os.close(reader)


def test_a_reader_that_does_not_read_holds_nobody_up(writer_to: Callable[..., LogWriter], tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = writer_to(path, queue_size=1_000)
    began = time.monotonic()
    for first in range(0, 5_000, 100):
        writer.put(numbered(first, first + 100))
    assert time.monotonic() - began < 5
    counted = writer.counters()
    assert counted["log_lines_dropped"] > 0
    read = bytearray()
    drained = threading.Thread(target=writer.drain, args=(20,))
    drained.start()
    while drained.is_alive():
        with suppress(BlockingIOError):
            read += os.read(reader, 65_536)
    # The last lines may have come between the last look and the end of the thread.
    with suppress(BlockingIOError):
        while more := os.read(reader, 65_536):
            read += more
    os.close(reader)
    lines = [json.loads(line)["conversation_id"] for line in read.splitlines()]
    assert lines[:1_000] == names(0, 1_000)
    assert len(lines) == writer.counters()["log_lines"] == 5_000 - writer.counters()["log_lines_dropped"]


def test_processes_may_share_a_file(writer_to: Callable[..., LogWriter], tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    writer = writer_to(path)
    writer.put(numbered(0, 200))
    children = []
    for child in range(3):
        pid = os.fork()
        if not pid:
            writer.put(numbered(1_000 * (child + 1), 1_000 * (child + 1) + 200))
            os._exit(0 if writer.drain(20) else 1)
        children.append(pid)
    for pid in children:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert writer.drain(20)
    expected = [name for first in (0, 1_000, 2_000, 3_000) for name in names(first, first + 200)]
    assert sorted(conversations(path)) == sorted(expected)


def test_a_closed_standard_output_ends_nothing() -> None:
    script = """
import os
from tests.unit.logs.test_writer import *
os.close(1)
writer = LogWriter(Sink("-"), RENDER)
writer.put(numbered(0, 5))
eventually("they have failed", lambda: writer.counters()["log_lines_failed"] == 5)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_reader_that_ends_early_does_not_end_the_process() -> None:
    script = """
from tests.unit.logs.test_writer import *
writer = LogWriter(Sink("-"), RENDER)
writer.put(numbered(0, 1))
writer.drain(5)
eventually("they fail", lambda: writer.put(numbered(1, 2)) or writer.counters()["log_lines_failed"] > 0)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 0, errors


def test_what_waits_is_written_at_the_end_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    script = f"""
from apps.monitoring import logs
from tests.unit.logs.test_writer import *
logs.configure(path={str(path)!r})
logs.emit_many(numbered(0, 2_000))
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert conversations(path) == names(0, 2_000)
