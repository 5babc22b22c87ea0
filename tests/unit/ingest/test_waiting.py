from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.core.event import Event
from apps.monitoring.ingest.buffer import Buffer
from apps.monitoring.ingest.waiting import Record, Waiting
from tests.unit.ingest.made import NOW, event, events


def offered(waiting: Waiting, *of: Event) -> None:
    buffer = Buffer(100)
    buffer.merge(list(of))
    for (minute, tenant), slot in buffer.take().items():
        waiting.merge(minute, tenant, slot)


def contents(records: list[Record]) -> dict[tuple[int, str], object]:
    return {(minute, tenant): (slot.plain()[:3], slot.members) for minute, tenant, slot in records}


@given(st.lists(st.tuples(events(), st.booleans(), st.integers(0, 5)), max_size=40))
def test_what_is_packed_between_is_what_was_never_packed(steps: list[tuple[Event, bool, int]]) -> None:
    packed, plain = Waiting(), Waiting()
    for one, pack, minute in steps:
        moved = [*one[:2], NOW + minute * 60, None, *one[4:]]
        offered(packed, moved)
        offered(plain, moved)
        if pack:
            packed.pack()
    taken = packed.take(10**9)
    assert contents(taken) == contents(plain.take(10**9))
    assert [minute for minute, _, _ in taken] == sorted(minute for minute, _, _ in taken)
    assert not packed


def test_the_oldest_come_first_and_no_more_than_asked_for() -> None:
    waiting = Waiting()
    for minute in (3, 1, 2):
        offered(waiting, *[event("agent_interaction", when=NOW + 60 * minute, tenant=f"t-{n}") for n in range(10)])
    waiting.pack()
    first = waiting.take(1)
    assert len(first) == 1
    rest = waiting.take(10**9)
    assert [minute - first[0][0] for minute, _, _ in rest] == [0] * 9 + [1] * 10 + [2] * 10


def test_a_minute_that_is_dropped_is_gone_and_so_is_its_memory() -> None:
    waiting = Waiting()
    for minute in range(4):
        offered(waiting, event("agent_interaction", when=NOW + 60 * minute))
    waiting.pack()
    sizes = [waiting.size()]
    while (minute := waiting.oldest()) is not None:
        assert waiting.is_last(minute) is (len(sizes) == 4)
        waiting.drop(minute)
        sizes.append(waiting.size())
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 0


def test_packing_makes_past_minutes_a_tenth_as_large() -> None:
    waiting = Waiting()
    for minute in range(12):
        offered(waiting, *[event("agent_interaction", when=NOW + 60 * minute, tenant=f"t-{n}") for n in range(50)])
    before = waiting.size()
    waiting.pack()
    assert waiting.size() < before * (2 / 12 + 0.1)
